package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/store/ledger"
	embeddedledger "esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/queue"
	embeddedqueue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/webhook"
)

const (
	connections = 32
	repeated    = 10 // of so many requests, one is sent again
	stretch     = 1500 * time.Millisecond
)

// localhost measures requests until their effect is committed, beside two commits of the store for each; ends the gateway without
// a warning while they come; and checks that nothing is lost or doubled.
func (b *bench) localhost() error {
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		return err
	}
	c := &crowd{bench: b, load: w, data: filepath.Join(b.dir, "data"), acknowledged: map[string]int{}}
	if err := c.start(); err != nil {
		return err
	}
	defer func() { c.gateway.kill() }()
	var acknowledged, committed, own, bare []float64 // a second
	for range b.rounds/2 + 1 {
		began, before := time.Now(), len(c.acknowledged)
		if err := c.send(stretch); err != nil {
			return err
		}
		acknowledged = append(acknowledged, float64(len(c.acknowledged)-before)/time.Since(began).Seconds())
		for c.gateway.output.events() < len(c.acknowledged) && time.Since(began) < timeout {
			time.Sleep(time.Millisecond)
		}
		committed = append(committed, float64(len(c.acknowledged)-before)/time.Since(began).Seconds())
		if err := c.drain(); err != nil { // or it would go on during the next measurement
			return err
		}
		rate, err := b.commits(b.own)
		if err != nil {
			return err
		}
		own = append(own, rate)
		if rate, err = b.commits(together); err != nil {
			return err
		}
		bare = append(bare, rate)
	}
	latencies := c.latencies
	if err := c.sendAndKill(); err != nil {
		return err
	}
	lost, doubled, err := c.count()
	if err != nil {
		return err
	}
	p99 := percentile(latencies, 0.99)
	each := func(of, beside []float64) float64 { // round by round
		var ratios []float64
		for i := range of {
			ratios = append(ratios, of[i]/beside[i])
		}
		return median(ratios)
	}
	r := each(committed, own)
	b.report.add(row{
		fmt.Sprintf("localhost, %d connections, 10 %% duplicates: until the effect is committed", connections), r, "≥ 0.4", r >= 0.4,
		fmt.Sprintf("%.0f events/s; acknowledged %.0f/s", median(committed), median(acknowledged)),
		fmt.Sprintf("the store's own two commits before an acknowledgement, from as many sides: %.0f events/s", median(own)),
	}, row{
		"the same", each(committed, bare), "", false, fmt.Sprintf("%.0f events/s", median(committed)),
		fmt.Sprintf("two commits of 2 KB to a bare bbolt, those that wait together in one: %.0f events/s", median(bare)),
	}, row{
		"localhost: time to the acknowledgement", 0, "p99 ≤ 25 ms", p99 <= 25*time.Millisecond,
		fmt.Sprintf("p50 %s, p99 %s, of %d requests", milli(median(latencies)), milli(p99), len(latencies)), "–",
	}, row{
		"localhost: acknowledged, with a kill -9 meanwhile", 0, "none lost, none doubled", lost+doubled == 0,
		fmt.Sprintf("%d of %d lost, %d doubled", lost, len(c.acknowledged), doubled), "–",
	})
	return nil
}

// crowd sends requests to a gateway, each from several vendors' sides at once, and remembers what was acknowledged.
type crowd struct {
	*bench
	load    *workload
	data    string
	gateway *process
	url     atomic.Value // string
	serial  atomic.Int64

	mu           sync.Mutex
	acknowledged map[string]int // how often, by agreement
	latencies    []time.Duration
}

// start starts the gateway on the store that there is.
func (c *crowd) start() (err error) {
	c.gateway, err = run(exec.CommandContext(c, string(c.built["Local"])), []string{"PORT=0", "DATA=" + c.data, "PATH=/usr/bin:/bin"})
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		_, banner, _ := strings.Cut(c.gateway.output.begin(), "esignhooks on ")
		if url, _, whole := strings.Cut(banner, "\n"); whole {
			c.url.Store(url)
			return nil
		}
	}
	return fmt.Errorf("bench: no gateway: %s", c.gateway.output.end())
}

// send sends for so long, from all connections at once. One request of ten is sent again, right after.
func (c *crowd) send(d time.Duration) error {
	ctx, cancel := context.WithTimeout(c, d)
	defer cancel()
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var group sync.WaitGroup
	failures := make(chan error, connections)
	for range connections {
		group.Go(func() {
			for ctx.Err() == nil {
				n := int(c.serial.Add(1))
				copies := 1
				if n%repeated == 0 {
					copies = 2
				}
				for range copies {
					if err := c.post(client, c.load.id(n)); err != nil {
						failures <- err
						return
					}
				}
			}
		})
	}
	group.Wait()
	close(failures)
	return <-failures
}

// post sends a request until it is acknowledged, as vendors do.
func (c *crowd) post(client *http.Client, id string) error {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		request, err := c.load.post(c.url.Load().(string), id)
		if err != nil {
			return err
		}
		began := time.Now()
		answer, err := client.Do(request.WithContext(c))
		if err != nil {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("bench: the gateway answered %s", answer.Status)
		}
		c.mu.Lock()
		c.acknowledged[id]++
		c.latencies = append(c.latencies, time.Since(began))
		c.mu.Unlock()
		return nil
	}
	return errors.New("bench: a request was not acknowledged")
}

// sendAndKill ends the gateway while requests come, and starts another on the same store.
func (c *crowd) sendAndKill() error {
	sent := make(chan error)
	go func() { sent <- c.send(stretch) }()
	time.Sleep(stretch / 2)
	if err := errors.Join(c.gateway.kill(), c.start(), <-sent); err != nil {
		return err
	}
	return c.drain()
}

// published is what the gateway's API tells of an event that was put on its bus.
type published struct {
	Published []struct {
		Envelope struct {
			Detail struct {
				EventID       string `json:"eventId"`
				StatusChanged bool   `json:"statusChanged"`
				Event         struct {
					AgreementID string `json:"agreementId"`
				} `json:"event"`
			} `json:"detail"`
		} `json:"envelope"`
	} `json:"published"`
}

func (c *crowd) get(path string, v any) error {
	client := http.Client{Timeout: timeout}
	answer, err := client.Get(c.url.Load().(string) + path)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	return json.NewDecoder(answer.Body).Decode(v)
}

// drain waits until as many agreements are published as were acknowledged.
func (c *crowd) drain() error {
	for deadline := time.Now().Add(2 * timeout); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		var p published
		if err := c.get("/api/published", &p); err != nil {
			return err
		}
		agreements := map[string]bool{}
		for _, e := range p.Published {
			agreements[e.Envelope.Detail.Event.AgreementID] = true
		}
		if len(agreements) >= len(c.acknowledged) {
			return nil
		}
	}
	return nil // count tells what is missing
}

// count says of how many agreements nothing was published, and how many had an effect twice: more than one event, or a
// status entered twice. An event that is published twice, by the same ID, is none: that is promised to nobody.
func (c *crowd) count() (lost, doubled int, err error) {
	var p published
	if err := c.get("/api/published", &p); err != nil {
		return 0, 0, err
	}
	events, entered := map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, e := range p.Published {
		d := e.Envelope.Detail
		for _, ids := range []map[string]map[string]bool{events, entered} {
			if ids[d.Event.AgreementID] == nil {
				ids[d.Event.AgreementID] = map[string]bool{}
			}
		}
		events[d.Event.AgreementID][d.EventID] = true
		if d.StatusChanged {
			entered[d.Event.AgreementID][d.EventID] = true
		}
	}
	for id := range c.acknowledged {
		switch {
		case len(events[id]) == 0:
			lost++
		case len(events[id]) > 1 || len(entered[id]) != 1:
			doubled++
		}
	}
	return lost, doubled, nil
}

// commits measures how many times a second a store in a new file can do what twice does with a number, from all connections
// at once.
func (b *bench) commits(open func(*groupcommit.DB) (twice func(int) error, err error)) (float64, error) {
	file := filepath.Join(b.dir, "floor.db")
	db, err := bbolt.Open(file, 0o600, nil)
	if err != nil {
		return 0, err
	}
	defer os.Remove(file)
	defer db.Close()
	twice, err := open(groupcommit.New(db))
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(b, stretch)
	defer cancel()
	var n atomic.Int64
	var group sync.WaitGroup
	failures := make(chan error, connections)
	began := time.Now()
	for range connections {
		group.Go(func() {
			for ctx.Err() == nil {
				if err := twice(int(n.Add(1))); err != nil {
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	return float64(n.Load()) / time.Since(began).Seconds(), <-failures
}

// own claims and sends, as the receiver does on localhost, and nothing else.
func (b *bench) own(db *groupcommit.DB) (func(int) error, error) {
	claims, err := embeddedledger.New(db)
	if err != nil {
		return nil, err
	}
	messages, err := embeddedqueue.Open(db, embeddedqueue.Config{Name: "deliveries", Visibility: time.Minute, Now: time.Now})
	payload := bytes.Repeat([]byte("x"), small)
	return func(n int) error {
		d := &webhook.Delivery{
			Provider: "docusign", EventID: webhook.EventID("docusign", fmt.Sprint(n)), Subject: fmt.Sprintf("docusign#%036d", n),
			ReceivedAt: time.Now().UTC(), Proof: esign.ProofSigned, ContentType: "application/json", Payload: payload,
		}
		if _, err := claims.Claim(b, ledger.NewClaim(d, "envelope-completed", d.Subject, d.ReceivedAt)); err != nil {
			return err
		}
		m, _ := queue.Encode(d)
		return messages.Send(b, m)
	}, err
}

// together puts two values, one after the other.
func together(db *groupcommit.DB) (func(int) error, error) {
	bucket, value := []byte("floor"), make([]byte, small)
	err := db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket(bucket); return err })
	return func(n int) error {
		for i := range 2 {
			key := fmt.Appendf(nil, "%016x.%d", n, i)
			if err := db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Put(key, value) }); err != nil {
				return err
			}
		}
		return nil
	}, err
}
