package main

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
)

const (
	fewAgreements = 10_000
	claimed       = 1_000 // events in a round
	stride        = 1_000 // between the numbers of two stored agreements; the numbers of new ones lie between them
)

// growth compares claims and commits in an embedded store of many agreements with those in a store of few.
func (b *bench) growth() {
	load := completed(referenceProvider(), small)
	few, many := b.grow(load, fewAgreements), b.grow(load, b.agreements)
	defer few.db.Close()
	defer many.db.Close()
	all := rounds(b.rounds, few.turn, many.turn)
	rate := func(s series) float64 { return float64(time.Second) / float64(s.median(wall)) }
	r := ratio(all[0], all[1], wall) // the ratio of the rates is the inverse of the times' ratio
	b.report.add(row{
		fmt.Sprintf("embedded store with %d agreements: claims and commits of new events", b.agreements), r, "≥ 0.75",
		r >= 0.75,
		fmt.Sprintf("%.0f events/s", rate(all[1])),
		fmt.Sprintf("with %d agreements: %.0f events/s", fewAgreements, rate(all[0])),
	})
}

// grown is a store of many agreements.
type grown struct {
	*bench
	load   *workload
	db     *bbolt.DB
	ledger *embedded.Ledger
	size   int
	serial atomic.Int64
}

// grow makes a store with one event of each agreement. The ledger writes the first; the others are copies of its
// entries.
func (b *bench) grow(load *workload, size int) *grown {
	db := b.emptyStore()
	g := &grown{bench: b, load: load, db: db, ledger: must(embedded.New(groupcommit.New(db))), size: size}
	first := []byte(load.id(0))
	check(g.commit(load.id(0)))
	g.emptyStream()
	type entry struct{ bucket, key, value []byte }
	var entries []entry // of the first agreement
	check(db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(k, v []byte) error {
				if bytes.Contains(k, first) {
					entries = append(entries, entry{slices.Clone(name), slices.Clone(k), slices.Clone(v)})
				}
				return nil
			})
		})
	}))
	db.NoSync = true
	for from := 1; from < size; from += 50_000 {
		check(b.Err(), db.Update(func(tx *bbolt.Tx) (err error) {
			for n := from; n < min(size, from+50_000); n++ {
				id := []byte(load.id(n * stride))
				for _, e := range entries {
					bucket := tx.Bucket(e.bucket)
					bucket.FillPercent = 0.9
					err = errors.Join(err, bucket.Put(bytes.ReplaceAll(e.key, first, id), bytes.ReplaceAll(e.value, first, id)))
				}
			}
			return err
		}))
	}
	db.NoSync = false
	check(db.Sync())
	return g
}

// turn commits events about new agreements, which lie between the old ones, from several goroutines at once.
func (g *grown) turn() cost {
	began, left := time.Now(), atomic.Int64{}
	left.Store(int64(quickly(g.bench, claimed)))
	check(parallel(connections, func() (more bool, err error) {
		if left.Add(-1) < 0 {
			return false, nil
		}
		n := int(g.serial.Add(1))
		return true, g.commit(g.load.id(n*7919%g.size*stride + 1 + n%(stride-1))) // a prime: everywhere in the store
	}))
	c := cost{wall: time.Since(began) / time.Duration(quickly(g.bench, claimed))}
	g.emptyStream()
	return c
}

// commit claims an event about an agreement and commits it, as receiver and worker do.
func (g *grown) commit(id string) error {
	d := g.load.delivery(id)
	event, err := g.load.provider.Normalize(d)
	if err != nil {
		return err
	}
	event.ID, event.Provider, event.Subject, event.ReceivedAt, event.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
	claim := ledger.NewClaim(d, event.VendorType, event.AgreementID, event.OccurredAt)
	if _, err := g.ledger.Claim(g, claim); err != nil {
		return err
	}
	before, version, err := g.ledger.Agreement(g, d.Subject)
	if err != nil {
		return err
	}
	after := esign.Fold(before, event)
	return g.ledger.Commit(g, ledger.Commit{Claim: claim, Event: event, Agreement: &after, StatusBefore: before.Status,
		Version: version, At: time.Now().UTC()})
}

// emptyStream removes all changes from the stream, as the publisher does.
func (g *grown) emptyStream() {
	if changes := must(g.ledger.Changes(2 * claimed)); len(changes) > 0 {
		check(g.ledger.Forget(changes[len(changes)-1].Sequence + 1))
	}
}
