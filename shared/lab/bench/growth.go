package main

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/webhook"
)

const (
	fewAgreements = 10_000
	claimed       = 1_000 // events in a round
)

// growth measures claims and commits in stores with few and with many agreements.
func (b *bench) growth() error {
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		return err
	}
	var contestants []func() (cost, error)
	sizes := []int{fewAgreements, b.agreements}
	for _, size := range sizes {
		g, err := b.grow(w, size)
		if err != nil {
			return err
		}
		defer g.db.Close()
		contestants = append(contestants, g.turn)
	}
	all, err := rounds(b.rounds, contestants...)
	if err != nil {
		return err
	}
	rate := func(s series) float64 { return float64(time.Second) / float64(s.middle(cost.wallOf)) }
	r := ratio(all[0], all[1], cost.wallOf) // of the rates: the fewer, the faster
	b.report.add(row{
		fmt.Sprintf("embedded store with %d agreements: claims and commits of new events", b.agreements), r, "≥ 0.75", r >= 0.75,
		fmt.Sprintf("%.0f events/s", rate(all[1])), fmt.Sprintf("with %d agreements: %.0f events/s", fewAgreements, rate(all[0])),
	})
	return nil
}

// grown is a store with many agreements.
type grown struct {
	load   *workload
	db     *bbolt.DB
	ledger *embedded.Ledger
	size   int
	serial int
}

// stride is by how much the numbers of neighbouring agreements in a store differ: new ones come between them.
const stride = 1000

// grow makes a store with one event of each of size agreements: the first as the ledger writes it, the others its copies.
func (b *bench) grow(w *workload, size int) (*grown, error) {
	db, err := bbolt.Open(filepath.Join(b.dir, fmt.Sprintf("agreements-%d.db", size)), 0o600, nil)
	if err != nil {
		return nil, err
	}
	l, err := embedded.New(groupcommit.New(db))
	if err != nil {
		return nil, err
	}
	g := &grown{load: w, db: db, ledger: l, size: size}
	if err := g.take(w.id(0)); err != nil {
		return nil, err
	}
	if err := g.forget(); err != nil {
		return nil, err
	}
	entries, err := entries(db, w.id(0))
	if err != nil {
		return nil, err
	}
	db.NoSync = true
	for from := 1; from < size; from += 50_000 {
		if b.Err() != nil {
			return nil, b.Err()
		}
		if err := g.multiply(entries, w.id(0), from, min(size, from+50_000)); err != nil {
			return nil, err
		}
	}
	db.NoSync = false
	return g, db.Sync()
}

// entry is what a bucket holds of an agreement.
type entry struct{ bucket, key, value []byte }

// entries finds what is stored under keys that name an agreement.
func entries(db *bbolt.DB, id string) (found []entry, err error) {
	err = db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(k, v []byte) error {
				if bytes.Contains(k, []byte(id)) {
					found = append(found, entry{slices.Clone(name), slices.Clone(k), slices.Clone(v)})
				}
				return nil
			})
		})
	})
	return found, err
}

// multiply copies the entries of an agreement for the agreements with the numbers from one to the other.
func (g *grown) multiply(entries []entry, id string, from, to int) error {
	return g.db.Update(func(tx *bbolt.Tx) error {
		for n := from; n < to; n++ {
			copied := []byte(g.load.id(n * stride))
			for _, e := range entries {
				bucket := tx.Bucket(e.bucket)
				bucket.FillPercent = 0.9
				if err := bucket.Put(bytes.ReplaceAll(e.key, []byte(id), copied), bytes.ReplaceAll(e.value, []byte(id), copied)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// turn takes events about new agreements, that lie among the old ones, from several sides at once.
func (g *grown) turn() (cost, error) {
	ids := make(chan string, claimed)
	for range claimed {
		g.serial++
		ids <- g.load.id(g.serial*7919%g.size*stride + 1 + g.serial%(stride-1)) // 7919 is a prime: all over the store
	}
	close(ids)
	began := time.Now()
	failures := make(chan error, connections)
	var group sync.WaitGroup
	for range connections {
		group.Go(func() {
			for id := range ids {
				if err := g.take(id); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	c := cost{wall: time.Since(began) / claimed}
	close(failures)
	if err := <-failures; err != nil {
		return c, err
	}
	return c, g.forget()
}

// take claims an event about an agreement and commits it, as receiver and worker do.
func (g *grown) take(id string) error {
	r, err := g.load.about(id)
	if err != nil {
		return err
	}
	ids, err := g.load.provider.Identify(r)
	if err != nil {
		return err
	}
	d := &webhook.Delivery{
		Provider: g.load.provider.Info().Name, EventID: ids[0].EventID, Subject: ids[0].Subject, ReceivedAt: time.Now().UTC(), Proof: esign.ProofSigned,
		ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
	}
	event, err := g.load.provider.Normalize(d)
	if err != nil {
		return err
	}
	event.ID, event.Provider, event.Subject, event.ReceivedAt, event.Proof = d.EventID, d.Provider, d.Subject, d.ReceivedAt, d.Proof
	claim := ledger.NewClaim(d, event.VendorType, event.AgreementID, event.OccurredAt)
	if _, err := g.ledger.Claim(context.Background(), claim); err != nil {
		return err
	}
	before, version, err := g.ledger.Agreement(context.Background(), d.Subject)
	if err != nil {
		return err
	}
	after := esign.Fold(before, event)
	return g.ledger.Commit(context.Background(), ledger.Commit{
		Claim: claim, Event: event, Agreement: &after, StatusBefore: before.Status, Version: version, At: time.Now().UTC(),
	})
}

// forget empties the stream, as the publisher does.
func (g *grown) forget() error {
	changes, err := g.ledger.Changes(2 * claimed)
	if err != nil || len(changes) == 0 {
		return err
	}
	return g.ledger.Forget(changes[len(changes)-1].Sequence + 1)
}
