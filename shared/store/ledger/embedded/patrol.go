package embedded

import (
	"bytes"
	"context"
	"encoding/json"

	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
)

// patrolled is how many items a part of a patrol looks at.
const patrolled = 100

// Patrol implements [ledger.Patroller]: a place is the key of the next item. It finds those that the queue gave up on too,
// which on AWS stay received.
func (l *Ledger) Patrol(_ context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	var found []ledger.Standing
	err = l.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(itemsBucket).Cursor()
		k, v := cursor.Seek([]byte(from))
		for range patrolled {
			if k == nil {
				break
			}
			read := eventStanding
			if isAgreement(k) {
				read = agreementStanding
			}
			s, stands, err := read(k, v)
			if err != nil {
				return err
			}
			if stands {
				found = append(found, s)
			}
			k, v = cursor.Next()
		}
		next = string(k)
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

func agreementStanding(k, b []byte) (s ledger.Standing, stands bool, err error) {
	var r record
	err = json.Unmarshal(b, &r)
	a := r.Agreement
	return ledger.Standing{
		Provider: a.Provider, Subject: string(k[:bytes.IndexByte(k, 0)]), AgreementID: a.ID, Status: a.Status, Since: a.UpdatedAt,
	}, !a.Status.Terminal(), err
}

func eventStanding(_, b []byte) (s ledger.Standing, stands bool, err error) {
	var e ledger.Entry
	err = json.Unmarshal(b, &e)
	return ledger.Standing{
		Provider: e.Provider, Subject: e.Subject, AgreementID: e.AgreementID, EventID: e.ID, Since: e.ReceivedAt,
	}, e.State == ledger.Received || e.State == ledger.Failed, err
}
