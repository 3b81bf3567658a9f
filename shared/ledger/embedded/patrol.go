package embedded

import (
	"context"
	"encoding/json"

	"go.etcd.io/bbolt"

	"esignhooks/shared/ledger"
)

// patrolled is how many items a part of a patrol looks at.
const patrolled = 100

// The first letter of a place; the key of an item follows.
const (
	amongAgreements = "a"
	amongEvents     = "e"
)

// Patrol implements [ledger.Patroller]: first the agreements, then the events. It finds those that the queue gave up on
// too, which on AWS stay received.
func (l *Ledger) Patrol(_ context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	if from == "" {
		from = amongAgreements
	}
	among, after := from[:1], from[1:]
	bucket, read, then := agreementsBucket, agreementStanding, amongEvents
	if among == amongEvents {
		bucket, read, then = eventsBucket, eventStanding, ""
	}
	var found []ledger.Standing
	err = l.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(bucket).Cursor()
		k, v := cursor.Seek([]byte(after + "\x00"))
		for range patrolled {
			if k == nil {
				break
			}
			s, stands, err := read(k, v)
			if err != nil {
				return err
			}
			if stands {
				found = append(found, s)
			}
			next = among + string(k)
			k, v = cursor.Next()
		}
		if k == nil {
			next = then
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, s := range found {
		if err := visit(s); err != nil {
			return "", err
		}
	}
	return next, nil
}

func agreementStanding(subject, b []byte) (s ledger.Standing, stands bool, err error) {
	var r record
	err = json.Unmarshal(b, &r)
	a := r.Agreement
	return ledger.Standing{
		Provider: a.Provider, Subject: string(subject), AgreementID: a.ID, Status: a.Status, Since: a.UpdatedAt,
	}, !a.Status.Terminal(), err
}

func eventStanding(_, b []byte) (s ledger.Standing, stands bool, err error) {
	var e ledger.Entry
	err = json.Unmarshal(b, &e)
	return ledger.Standing{
		Provider: e.Provider, Subject: e.Subject, AgreementID: e.AgreementID, EventID: e.ID, Since: e.ReceivedAt,
	}, e.State == ledger.Received || e.State == ledger.Failed, err
}
