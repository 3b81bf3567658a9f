package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
	embeddedledger "esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/queue"
	embeddedqueue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/webhook"
)

const (
	connections = 32
	repeated    = 10 // every tenth request is sent twice
	stretch     = 1500 * time.Millisecond
)

// localhost measures how fast the gateway commits the effects of requests, and compares it with two commits of its
// store per request. Then it kills the gateway while requests arrive, and checks that nothing is lost or doubled.
func (b *bench) localhost() {
	c := &crowd{bench: b, load: completed(referenceProvider(), small), acknowledged: map[string]bool{}}
	c.startGateway()
	defer func() { c.gateway.kill() }()
	var acknowledged, committed, store, ratios []float64 // per second
	for range b.rounds/2 + 1 {
		began, before := time.Now(), len(c.acknowledged)
		rate := func() float64 { return float64(len(c.acknowledged)-before) / time.Since(began).Seconds() }
		check(c.send(quickly(b, stretch)))
		acknowledged = append(acknowledged, rate())
		for time.Since(began) < timeout {
			if _, effects, _ := c.gateway.output(); effects >= len(c.acknowledged) {
				break
			}
			time.Sleep(time.Millisecond)
		}
		committed = append(committed, rate())
		c.drain() // it must not continue during the next measurement
		store = append(store, b.commits())
		ratios = append(ratios, committed[len(committed)-1]/store[len(store)-1])
	}
	times := c.times
	c.sendAndKill()
	lost, doubled := c.count()
	r, p99 := median(ratios), percentile(times, 0.99)
	b.report.add(row{
		fmt.Sprintf("localhost, %d connections, 10 %% duplicates: until the effect is committed", connections), r, "≥ 0.4",
		r >= 0.4, fmt.Sprintf("%.0f events/s; acknowledged %.0f/s", median(committed), median(acknowledged)),
		fmt.Sprintf("the store's two commits before an acknowledgement: %.0f events/s", median(store)),
	}, row{
		figure: "localhost: time to the acknowledgement", goal: "p99 ≤ 25 ms", met: p99 <= 25*time.Millisecond,
		measured: fmt.Sprintf("p50 %s, p99 %s, of %d requests", milli(median(times)), milli(p99), len(times)),
	}, row{
		figure: "localhost: acknowledged, with a kill -9 meanwhile", goal: "none lost, none doubled",
		met: lost+doubled == 0, measured: fmt.Sprintf("%d of %d lost, %d doubled", lost, len(c.acknowledged), doubled),
	})
}

// crowd sends requests to a gateway over several connections.
type crowd struct {
	*bench
	load    *workload
	gateway *process
	url     atomic.Value // string
	serial  atomic.Int64

	mu           sync.Mutex
	acknowledged map[string]bool // by agreement
	times        []time.Duration // to the acknowledgement
}

// startGateway starts the gateway. The store of its predecessor stays.
func (c *crowd) startGateway() {
	c.gateway = run(c, []string{c.binaries["functions/esignhooks"], "run"}, "PORT=0", "DATA="+filepath.Join(c.dir, "data"),
		"PATH=/usr/bin:/bin")
	for deadline := time.Now().Add(timeout); ; time.Sleep(5 * time.Millisecond) {
		_, _, recent := c.gateway.output()
		_, banner, _ := strings.Cut(recent, "esignhooks on ")
		if url, _, whole := strings.Cut(banner, "\n"); whole {
			c.url.Store(url)
			return
		}
		if time.Now().After(deadline) {
			check(fmt.Errorf("bench: the gateway did not start: %s", recent))
		}
	}
}

// send sends requests for so long.
func (c *crowd) send(d time.Duration) error {
	client := &http.Client{Timeout: timeout, Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	end := time.Now().Add(d)
	return parallel(connections, func() (more bool, err error) {
		n := int(c.serial.Add(1))
		err = c.post(client, c.load.id(n))
		if err == nil && n%repeated == 0 {
			err = c.post(client, c.load.id(n))
		}
		return time.Now().Before(end) && c.Err() == nil, err
	})
}

// post sends a request until it is acknowledged, as vendors do.
func (c *crowd) post(client *http.Client, id string) error {
	for deadline := time.Now().Add(timeout); time.Now().Before(deadline); {
		began := time.Now()
		answer, err := client.Do(c.load.post(c.url.Load().(string), id))
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
		c.acknowledged[id] = true
		c.times = append(c.times, time.Since(began))
		c.mu.Unlock()
		return nil
	}
	return errors.New("bench: a request was not acknowledged")
}

// sendAndKill kills the gateway while requests arrive, and starts it again.
func (c *crowd) sendAndKill() {
	sent := make(chan error, 1)
	go func() { sent <- c.send(quickly(c.bench, stretch)) }()
	time.Sleep(quickly(c.bench, stretch) / 2)
	c.gateway.kill()
	c.startGateway()
	check(<-sent)
	c.drain()
}

// published returns the IDs of the published events by agreement, and of those that changed its status.
func (c *crowd) published() (events, changes map[string]map[string]bool) {
	var list struct {
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
	answer := must(http.Get(c.url.Load().(string) + "/api/published?limit=1000000000"))
	defer answer.Body.Close()
	check(json.NewDecoder(answer.Body).Decode(&list))
	events, changes = map[string]map[string]bool{}, map[string]map[string]bool{}
	for _, e := range list.Published {
		d := e.Envelope.Detail
		id := d.Event.AgreementID
		if events[id] == nil {
			events[id], changes[id] = map[string]bool{}, map[string]bool{}
		}
		events[id][d.EventID] = true
		if d.StatusChanged {
			changes[id][d.EventID] = true
		}
	}
	return events, changes
}

// drain waits until an event of each acknowledged agreement is published. It gives up in silence: count reports the
// rest.
func (c *crowd) drain() {
	for deadline := time.Now().Add(2 * timeout); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if events, _ := c.published(); len(events) >= len(c.acknowledged) {
			return
		}
	}
}

// count returns how many agreements have no published event, and how many have two or entered a status twice. An event
// that is published twice under one ID is not doubled: publication is at least once.
func (c *crowd) count() (lost, doubled int) {
	events, changes := c.published()
	for id := range c.acknowledged {
		if len(events[id]) == 0 {
			lost++
		} else if len(events[id]) > 1 || len(changes[id]) != 1 {
			doubled++
		}
	}
	return lost, doubled
}

func (b *bench) emptyStore() *bbolt.DB {
	return must(bbolt.Open(filepath.Join(must(os.MkdirTemp(b.dir, "store-")), "db"), 0o600, nil))
}

// commits returns how many deliveries per second a new store can claim and enqueue, as receivers on localhost do.
func (b *bench) commits() float64 {
	db := b.emptyStore()
	defer db.Close()
	commits := groupcommit.New(db)
	claims := must(embeddedledger.New(commits))
	config := embeddedqueue.Config{Name: "deliveries", Visibility: time.Minute, Now: time.Now}
	messages := must(embeddedqueue.Open(commits, config))
	load := completed(referenceProvider(), small)
	example := load.delivery(load.id(0))
	ctx, cancel := context.WithTimeout(b, quickly(b, stretch))
	defer cancel()
	var n atomic.Int64
	began := time.Now()
	check(parallel(connections, func() (more bool, err error) {
		d, id := *example, load.id(int(n.Add(1)))
		d.EventID, d.Subject = webhook.EventID(id), webhook.AgreementSubject(reference, id)
		_, err = claims.Claim(b, ledger.NewClaim(&d, "completed", id, d.ReceivedAt))
		m, _ := queue.Encode(&d)
		return ctx.Err() == nil, errors.Join(err, messages.Send(b, m))
	}))
	return float64(n.Load()) / time.Since(began).Seconds()
}
