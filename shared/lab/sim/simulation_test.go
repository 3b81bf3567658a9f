package sim

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/process"
	"esignhooks/shared/publish"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// simulation holds the real receivers, worker and publisher, and the simulated services they use.
type simulation struct {
	t         testing.TB
	world     *world
	table     *table
	queue     *fifo
	payloads  *bucket
	aside     *bucket
	bus       *eventBus
	receivers map[string]*receive.Receiver
	worker    *process.Processor
	publisher *publish.Publisher

	happenings []*happening
	faultless  bool
	busy       time.Duration // how long messages wait before a worker receives them
	after      *aftermath    // nil: no archiver and no reconciler
	upgrade    *upgrade      // nil: the releases stay as they are

	mu     sync.Mutex
	bodies map[string]*happening // by hash
	forged map[string]bool
	done   chan struct{} // closed when the vendors are done
	stop   chan struct{} // closed to end workers and publishers
}

var silent = slog.New(slog.NewJSONHandler(io.Discard, &slog.HandlerOptions{Level: slog.LevelError + 1}))

func newSimulation(t testing.TB, c *choices) *simulation {
	w := newWorld(c)
	s := &simulation{
		t: t, world: w, table: newTable(w), payloads: &bucket{w, map[string][]byte{}}, aside: &bucket{w, map[string][]byte{}},
		receivers: map[string]*receive.Receiver{}, bodies: map[string]*happening{}, forged: map[string]bool{},
		done: make(chan struct{}), stop: make(chan struct{}),
	}
	s.queue = newQueue(w, "queue", newQueue(w, "dead letters", nil))
	s.bus = &eventBus{w: w, table: s.table, refused: map[string]bool{}}
	for _, p := range simulated() {
		keys := webhook.Keys{Keys: []webhook.Secret{key(p)}}
		s.receivers[p.Info().Name] = &receive.Receiver{
			Provider: p, Claims: s.table, Payloads: s.payloads, Queue: s.queue, Now: time.Now, Log: silent,
			Keys: func(ctx context.Context) (webhook.Keys, error) {
				return keys, w.do(ctx, "keys", []fault{failBefore, killBefore}, func() error { return nil })
			},
		}
	}
	var providers []webhook.Provider
	for _, p := range simulated() {
		providers = append(providers, referring{p})
	}
	s.worker = &process.Processor{
		Providers: providers, Ledger: s.table, Payloads: s.payloads, DeadLetters: s.queue.dead, Now: time.Now, Log: silent,
		Policy: esign.Policy{References: []string{"*"}},
		Pause: func(ctx context.Context, attempt int) {
			w.do(ctx, fmt.Sprintf("pause %d", attempt), nil, func() error { return nil })
		},
	}
	s.publisher = &publish.Publisher{Bus: s.bus, SetAside: s.aside, Log: silent}
	return s
}

// simulate runs the world until the vendors are done and all queues are empty. Then it checks the guarantees.
func (s *simulation) simulate(workers int, vendors func()) (problems []string) {
	for i := range workers {
		s.world.start(func() { s.work(fmt.Sprintf("worker %d", i)) })
	}
	for shard := range s.table.streams {
		s.world.start(func() { s.publish(shard) })
	}
	if s.after != nil {
		s.world.start(func() { s.archiveJobs("archiver 0") })
		s.world.start(func() { s.archiveJobs("archiver 1") })
		s.world.start(func() { s.reconcile() })
	}
	s.world.start(func() {
		vendors()
		s.settle()
		close(s.stop)
	})
	s.world.schedule()
	s.check()
	return s.world.problems
}

// work is an event source mapping: it receives, invokes, and deletes the records that were not reported.
func (s *simulation) work(name string) {
	for n := 0; ; n++ {
		time.Sleep(s.busy)
		var received []*letter
		var changed <-chan struct{}
		var next time.Time
		s.mapping(name, "receive", func() {
			received, changed, next = s.queue.receive(s.batch(10)), s.queue.changed, s.queue.next()
		})
		if len(received) == 0 {
			var visible <-chan time.Time
			if !next.IsZero() {
				visible = time.After(time.Until(next))
			}
			select {
			case <-s.stop:
				return
			case <-changed:
			case <-visible:
			}
			continue
		}
		receipts := map[*letter]string{}
		for _, l := range received {
			receipts[l] = l.receipt
		}
		var response events.SQSEventResponse
		var err error
		lived := s.world.run(fmt.Sprintf("%s batch %d", name, n), 30*time.Second, func(ctx context.Context) {
			if response, err = s.worker.Handle(ctx, sqsEvent(received)); err == nil {
				err = ctx.Err() // a timeout: Lambda discards the answer
			}
		})
		if !lived || err != nil {
			continue // the whole batch is redelivered
		}
		failed := map[string]bool{}
		for _, f := range response.BatchItemFailures {
			failed[f.ItemIdentifier] = true
		}
		s.mapping(name, "delete", func() {
			for _, l := range received {
				if !failed[l.id] && l.receipt == receipts[l] {
					s.queue.remove(l)
				}
			}
		})
	}
}

// batch chooses the size of a batch.
func (s *simulation) batch(most int) int {
	if s.world.every {
		return most
	}
	return 1 + s.world.choices.choose(most)
}

// mapping is a step of AWS itself. It never fails.
func (s *simulation) mapping(name, what string, effect func()) {
	ctx := context.WithValue(context.Background(), actorKey{}, &actor{name: name})
	s.world.do(ctx, what, nil, func() error { effect(); return nil })
}

// publish is the event source mapping of the stream's shard.
func (s *simulation) publish(shard int) {
	name := fmt.Sprintf("publisher %d", shard)
	for n := 0; ; n++ {
		var batch []events.DynamoDBEventRecord
		var grown <-chan struct{}
		s.mapping(name, "read", func() {
			waiting := s.table.streams[shard]
			batch, grown = slices.Clone(waiting[:min(len(waiting), s.batch(5))]), s.table.grown
		})
		if len(batch) == 0 {
			select {
			case <-s.stop:
				return
			case <-grown:
			}
			continue
		}
		var response events.DynamoDBEventResponse
		var err error
		lived := s.world.run(fmt.Sprintf("%s batch %d", name, n), 30*time.Second, func(ctx context.Context) {
			if response, err = s.publisher.Handle(ctx, events.DynamoDBEvent{Records: batch}); err == nil {
				err = ctx.Err()
			}
		})
		if !lived || err != nil {
			time.Sleep(time.Second)
			continue
		}
		done := len(batch)
		for _, f := range response.BatchItemFailures {
			done = min(done, slices.IndexFunc(batch,
				func(r events.DynamoDBEventRecord) bool { return r.Change.SequenceNumber == f.ItemIdentifier }))
		}
		s.mapping(name, "checkpoint", func() { s.table.streams[shard] = s.table.streams[shard][done:] })
		if done < len(batch) {
			time.Sleep(time.Second)
		}
	}
}

// settle ends the faults, and waits until all queues and streams are empty.
func (s *simulation) settle() {
	s.mapping("faults", "end", func() { s.world.rate = 0 })
	for range 20 {
		time.Sleep(maxReceives * visibility)
		resting := false
		s.mapping("operator", "looks", func() {
			if len(s.queue.dead.waiting) > 0 && s.lettersAreReadable() {
				s.queue.redrive()
			} else {
				resting = len(s.queue.waiting)+len(s.table.streams[0])+len(s.table.streams[1]) == 0
			}
		})
		if resting {
			return
		}
	}
	s.world.problem("the queues and streams are never empty")
}

// lettersAreReadable reports whether a dead letter holds a readable request, which was moved there after too many
// receives.
func (s *simulation) lettersAreReadable() bool {
	return slices.ContainsFunc(s.queue.dead.waiting, func(l *letter) bool {
		h := s.bodies[s.hashOf(l)]
		return h == nil || h.readable
	})
}

// hashOf returns the hash of a message's payload, also if it is in the payload store.
func (s *simulation) hashOf(l *letter) string {
	body := l.message.Body
	if stored, ok := s.payloads.objects[body]; ok {
		return hash(stored)
	}
	return hash([]byte(body))
}

// identities returns the identities of a request's events.
func (s *simulation) identities(h *happening, r *webhook.Request) []webhook.Identity {
	ids, err := s.receivers[h.provider.Info().Name].Provider.Identify(r)
	if err != nil {
		ids = []webhook.Identity{webhook.Unreadable(h.provider.Info().Name, r.Body)}
	}
	return ids
}

// isSafe reports whether an event is in the queue or has had its effect, under its ID or a former one.
func (s *simulation) isSafe(id webhook.Identity) bool {
	return slices.ContainsFunc(append(id.FormerIDs, webhook.FormerID{ID: id.EventID}), func(f webhook.FormerID) bool {
		state := s.table.state(ledger.Key{Subject: id.Subject, ID: f.ID})
		return s.queue.taken[f.ID] || state.Settled() || state == ledger.Unreadable
	})
}

// inBubble runs one simulation. It returns the violated guarantees, and the trace.
func inBubble(t *testing.T, c *choices, play func(*simulation) []string) (problems, trace []string) {
	synctest.Test(t, func(t *testing.T) {
		s := newSimulation(t, c)
		problems = play(s)
		trace = s.world.trace
	})
	return problems, trace
}
