package embedded

import (
	"bytes"
	"context"

	"go.etcd.io/bbolt"

	"esignhooks/shared/store/ledger"
)

// patrolPart is how many items one part of a patrol reads.
const patrolPart = 100

// Patrol implements [ledger.Patroller]. Its cursor is the key of the next item. It also finds the events that the queue
// has given up on. On AWS those stay received.
func (l *Ledger) Patrol(_ context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	var found []ledger.Standing
	err = l.db.View(func(tx *bbolt.Tx) error {
		cursor := tx.Bucket(itemsBucket).Cursor()
		k, v := cursor.Seek([]byte(from))
		for range patrolPart {
			if k == nil {
				break
			}
			read := eventStanding
			if isAgreement(k) {
				read = agreementStanding
			}
			s, stopped, err := read(k, v)
			if err != nil {
				return err
			}
			if stopped {
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

func agreementStanding(k, b []byte) (s ledger.Standing, stopped bool, err error) {
	var r agreementRecord
	err = decode(b, &r)
	a := r.Agreement
	return ledger.Standing{
		Provider:    a.Provider,
		Subject:     string(k[:bytes.IndexByte(k, 0)]),
		AgreementID: a.ID,
		Status:      a.Status,
		Since:       a.UpdatedAt,
	}, !a.Status.Terminal(), err
}

func eventStanding(_, b []byte) (s ledger.Standing, stopped bool, err error) {
	var e eventRecord
	err = decode(b, &e)
	return ledger.Standing{
		Provider:    e.Provider,
		Subject:     e.Subject,
		AgreementID: e.AgreementID,
		EventID:     e.ID,
		Since:       e.ReceivedAt,
	}, e.State == ledger.Received || e.State == ledger.Failed, err
}
