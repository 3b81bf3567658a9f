package reconcile_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/process"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var (
	start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

	errDown = errors.New("out of reach")
	errDead = errors.New("the process is dead")
)

const (
	tick      = 15 * time.Minute
	namespace = "esignhooks/stack"
	address   = "https://hooks.example.com/live/webhooks/acmesign"
)

// world is a reconciler with a stub vendor, a real worker and a real ledger. The step with the number failing, counted
// from 1, has a fault.
type world struct {
	*reconcile.Reconciler
	t      *testing.T
	vendor *vendor
	ledger *embedded.Ledger
	worker *process.Processor
	now    time.Time
	events int64 // at the vendor, which numbers them
	log    bytes.Buffer
	lines  bytes.Buffer // of metrics

	mu      sync.Mutex
	step    int
	failing int
	fault   string // see do
	sent    []queue.Message
	longest int // of the notes, in bytes
}

const (
	before = "fails before it happens"
	after  = "happens, and fails"
	dies   = "the process dies"
)

func newWorld(t *testing.T) *world {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, &bbolt.Options{NoSync: true})
	must(t, err)
	t.Cleanup(func() { db.Close() })
	w := &world{t: t, now: start}
	w.vendor = &vendor{world: w, truth: map[string]vendorapi.Agreement{}, pageSize: 100,
		subscriptions: []vendorapi.Subscription{
			{Name: "17", URL: address, Active: true},
		}}
	w.ledger, err = embedded.New(groupcommit.New(db))
	must(t, err)
	silent := slog.New(slog.NewJSONHandler(io.Discard, nil))
	clock := func() time.Time { return w.now }
	w.worker = &process.Processor{
		Providers: []webhook.Provider{acmesign.Provider{}}, Ledger: w.ledger, Payloads: folder.New(t.TempDir()),
		DeadLetters: w, Now: clock, Log: silent,
	}
	w.Reconciler = &reconcile.Reconciler{
		Providers: []webhook.Provider{acmesign.Provider{}},
		Clients:   func(context.Context, string) (vendorapi.Client, error) { return w.vendor, nil },
		Webhook: func(context.Context, string) (string, webhook.Keys, error) {
			return address, webhook.Keys{}, nil
		},
		Agreements: w, Tombstones: w.ledger, Notes: w, Table: w, Queue: w, SilentAfter: 24 * time.Hour,
		Now: clock, Log: slog.New(slog.NewJSONHandler(&w.log, nil)), Metrics: metric.New(&w.lines, namespace, clock),
	}
	return w
}

// do makes one call, with its fault.
func (w *world) do(effect func() error) error {
	w.mu.Lock()
	w.step++
	fails, dead := w.step == w.failing, w.fault == dies && w.failing > 0 && w.step > w.failing
	w.mu.Unlock()
	switch {
	case dead:
		return errDead
	case fails && w.fault == before:
		return errDown
	}
	err := effect()
	if fails && w.fault != before {
		return errDown
	}
	return err
}

func (w *world) Agreement(ctx context.Context, subject string) (a esign.Agreement, version int64, err error) {
	err = w.do(func() error {
		a, version, err = w.ledger.Agreement(ctx, subject)
		return err
	})
	return a, version, err
}

func (w *world) Note(ctx context.Context, name string) (text string, version int64, err error) {
	err = w.do(func() error {
		text, version, err = w.ledger.Note(ctx, name)
		return err
	})
	return text, version, err
}

func (w *world) PutNote(ctx context.Context, name, text string, version int64) error {
	if len(text) > ledger.MaxNote {
		w.t.Errorf("a note of %d bytes", len(text))
	}
	w.mu.Lock()
	w.longest = max(w.longest, len(text))
	w.mu.Unlock()
	return w.do(func() error { return w.ledger.PutNote(ctx, name, text, version) })
}

func (w *world) Patrol(ctx context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	err = w.do(func() error {
		next, err = w.ledger.Patrol(ctx, from, visit)
		return err
	})
	return next, err
}

// Send acts as the queue and the worker: it processes the message at once.
func (w *world) Send(ctx context.Context, m queue.Message) error {
	return w.do(func() error {
		w.sent = append(w.sent, m)
		record := events.SQSMessage{
			MessageId: strconv.Itoa(len(w.sent)), Body: m.Body, MessageAttributes: map[string]events.SQSMessageAttribute{},
			Attributes: map[string]string{"MessageGroupId": m.Group, "MessageDeduplicationId": m.DeduplicationID},
		}
		for name, value := range m.Attributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
		}
		response, err := w.worker.Handle(ctx, events.SQSEvent{Records: []events.SQSMessage{record}})
		if err != nil || len(response.BatchItemFailures) > 0 {
			w.t.Errorf("not processed: %+v, %v", response, err)
		}
		return nil
	})
}

// deliver processes a webhook.
func (w *world) deliver(d *webhook.Delivery) {
	w.t.Helper()
	m, _ := queue.Encode(d)
	failing := w.failing
	w.failing = 0
	must(w.t, w.Send(w.t.Context(), m))
	w.failing = failing
	w.sent = w.sent[:len(w.sent)-1]
}

// pass runs a pass.
func (w *world) pass() error {
	w.t.Helper()
	w.step = 0
	return w.Run(w.t.Context())
}

// counted returns the sums of the metrics since the last call.
func (w *world) counted() map[string]int {
	w.t.Helper()
	defer w.lines.Reset()
	sums := map[string]int{}
	for _, line := range metrictest.Read(w.t, namespace, w.lines.String()) {
		if line.Provider == "" || len(line.OfProvider) > 0 {
			w.t.Errorf("dimensions of %+v", line)
		}
		for name, value := range line.Values {
			sums[name] += int(value)
		}
	}
	return sums
}

func (w *world) status(id string) esign.Status {
	w.t.Helper()
	a, _, err := w.ledger.Agreement(w.t.Context(), "acmesign#"+id)
	must(w.t, err)
	return a.Status
}

// wrong lists the agreements whose status is not the vendor's.
func (w *world) wrong() (ids []string) {
	w.t.Helper()
	for id, a := range w.vendor.truth {
		if w.status(id) != a.Status {
			ids = append(ids, fmt.Sprintf("%s is %s, not %s", id, w.status(id), a.Status))
		}
	}
	slices.Sort(ids)
	return ids
}

// asked is a call of Changed.
type asked struct {
	from, to time.Time
	page     string
}

// vendor is a stub of a vendor's API, with the true state of each agreement.
type vendor struct {
	*world
	truth         map[string]vendorapi.Agreement
	pageSize      int
	untimed       bool // lists all changes after a time, without their times
	subscriptions []vendorapi.Subscription
	steps         []vendorapi.Step // of Repair

	answer func(call string) error // nil if no call fails

	listed   []vendorapi.Agreement // as of the request for the first page
	windows  []asked
	agreed   []string // the IDs asked for
	repaired []string // the URLs passed to Repair
}

func (v *vendor) Pause() time.Duration { return 0 }

func (v *vendor) call(name string, effect func()) error {
	return v.do(func() error {
		if v.answer != nil {
			if err := v.answer(name); err != nil {
				return err
			}
		}
		effect()
		return nil
	})
}

func (v *vendor) Agreement(_ context.Context, id string) (a vendorapi.Agreement, err error) {
	err = v.call("agreement "+id, func() { v.agreed, a = append(v.agreed, id), v.truth[id] })
	if err == nil && a.ID == "" {
		err = vendorapi.ErrUnknown
	}
	return a, err
}

func (v *vendor) Changed(_ context.Context, from, to time.Time, page string) (changed []vendorapi.Agreement,
	next string, err error) {
	v.windows = append(v.windows, asked{from, to, page})
	err = v.call("changed "+page, func() {
		if page == "" {
			v.listed = v.list(from, to)
		}
		offset, _ := strconv.Atoi(page)
		changed = v.listed[min(offset, len(v.listed)):]
		if len(changed) > v.pageSize {
			changed, next = changed[:v.pageSize], strconv.Itoa(offset+v.pageSize)
		}
	})
	return changed, next, err
}

func (v *vendor) list(from, to time.Time) (listed []vendorapi.Agreement) {
	for _, a := range v.truth {
		if !a.ChangedAt.Before(from) && (a.ChangedAt.Before(to) || v.untimed) {
			listed = append(listed, a)
		}
	}
	slices.SortFunc(listed, func(a, b vendorapi.Agreement) int {
		return cmp.Or(a.ChangedAt.Compare(b.ChangedAt), cmp.Compare(a.ID, b.ID))
	})
	for i := range listed {
		if v.untimed || listed[i].ID == "untimed" {
			listed[i].ChangedAt = time.Time{}
		}
	}
	return listed
}

func (v *vendor) Subscriptions(context.Context) (all []vendorapi.Subscription, err error) {
	err = v.call("subscriptions", func() { all = v.subscriptions })
	return all, err
}

func (v *vendor) Repair(_ context.Context, url string) (steps []vendorapi.Step, err error) {
	err = v.call("repair", func() { v.repaired, steps = append(v.repaired, url), v.steps })
	return steps, err
}

func (v *vendor) Documents(context.Context, string) ([]vendorapi.Document, error) {
	return nil, errors.New("not the reconciler's")
}

func (v *vendor) FormData(context.Context, string) ([]vendorapi.Field, error) {
	return nil, errors.New("not the reconciler's")
}

func (v *vendor) Register(context.Context, string) ([]vendorapi.Step, error) {
	return nil, errors.New("not the reconciler's")
}

// happen changes an agreement at the vendor, and returns the delivery of its webhook.
func (w *world) happen(id string, status esign.Status, at time.Time) *webhook.Delivery {
	w.t.Helper()
	w.vendor.truth[id] = vendorapi.Agreement{ID: id, Status: status, VendorStatus: string(status), ChangedAt: at}
	p := acmesign.Provider{}
	w.events++
	r := acmesign.Request(acmesign.Event{Number: w.events, Type: string(status), Agreement: id, At: at})
	ids, err := p.Identify(r)
	must(w.t, err)
	return webhooktest.Delivery(p, r, ids[0], esign.ProofSigned)
}

// open makes an open agreement whose webhook has arrived.
func (w *world) open(id string, at time.Time) { w.deliver(w.happen(id, esign.Sent, at)) }

// forget changes an agreement so that the vendor no longer lists it: only a patrol finds it.
func (w *world) forget(id string, status esign.Status) {
	w.vendor.truth[id] = vendorapi.Agreement{ID: id, Status: status, ChangedAt: start.Add(-1000 * time.Hour)}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
