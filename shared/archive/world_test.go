package archive_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/document/folder"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	agreementID = "08740f95-2187-4b01-9a69-452ae3140752"
	namespace   = "esignhooks/stack"
	maxReceives = 30 // the queue's
	visibility  = 16 * time.Minute
)

var start = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

// completed is the event that starts the archiving.
func completed(provider, agreement string) bus.Event {
	event := &esign.Event{
		ID: webhook.EventID(provider, "completed", agreement), Provider: provider, Type: esign.AgreementCompleted,
		AgreementID: agreement,
		Subject:     webhook.AgreementSubject(provider, agreement), Proof: esign.ProofURLToken, OccurredAt: start,
		ReceivedAt: start,
	}
	return bus.EventOf(ledger.Entry{Event: event, ProcessedAt: start, StatusAfter: esign.Completed})
}

// world surrounds an archiver: the queue of jobs with its clock, the stores, and a vendor. Each call to one of them is
// a step, which may fail.
type world struct {
	t      *testing.T
	vendor *vendor
	open   func(ctx context.Context, provider string) (vendorapi.Client, error)
	store  document.Store
	dir    string
	log    buffer
	out    buffer // metrics
	// forgotten reports whether the agreement is forgotten by now. It is optional.
	forgotten func() bool

	mu     sync.Mutex
	now    time.Time
	jobs   []*message
	parked []string
	dead   []string // given up by the queue
	sent   []webhook.Delivery
	delays []time.Duration
	notes  map[string]note
	steps  []string
	fault  func(n int, do func() error) error // of the nth step, counted from 1
}

type message struct {
	body     string
	visible  time.Time
	receives int
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: start, dir: t.TempDir(), notes: map[string]note{}}
	w.store = folder.New(w.dir)
	w.vendor = &vendor{world: w, status: vendorapi.Agreement{ID: agreementID, Status: esign.Completed,
		VendorStatus: "completed", ChangedAt: start.Add(-time.Minute)}}
	w.open = func(context.Context, string) (vendorapi.Client, error) { return w.vendor, nil }
	return w
}

// step runs do, unless it is to fail. It holds no lock meanwhile.
func (w *world) step(name string, do func() error) error {
	w.mu.Lock()
	w.steps = append(w.steps, name)
	n, fault := len(w.steps), w.fault
	w.mu.Unlock()
	if fault == nil {
		return do()
	}
	return fault(n, do)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) archiver() *archive.Archiver {
	return &archive.Archiver{
		Clients:   func(ctx context.Context, provider string) (vendorapi.Client, error) { return w.open(ctx, provider) },
		Documents: documents{w}, Queue: findings{w}, Jobs: jobs{w}, Notes: notes{w}, Tombstones: w,
		Now:     w.clock,
		Log:     slog.New(slog.NewJSONHandler(&w.log, nil)),
		Metrics: metric.New(&w.out, namespace, w.clock),
	}
}

// Forgotten implements [ledger.Tombstones].
func (w *world) Forgotten(_ context.Context, subject string) (time.Time, error) {
	if w.forgotten != nil && subject == webhook.AgreementSubject("acmesign", agreementID) && w.forgotten() {
		return start, nil
	}
	return time.Time{}, nil
}

// add puts a job on the queue.
func (w *world) add(body string) {
	w.jobs = append(w.jobs, &message{body: body, visible: w.now})
}

// archive archives one agreement.
func (w *world) archive() {
	w.t.Helper()
	w.add(archive.Job(completed("acmesign", agreementID)))
	w.run(w.archiver())
}

// run behaves like Lambda and SQS, until the queue is empty.
func (w *world) run(a *archive.Archiver) {
	w.t.Helper()
	for rounds := 0; len(w.jobs) > 0; rounds++ {
		if rounds > 1000 {
			w.t.Fatal("the queue does not become empty")
		}
		m := slices.MinFunc(w.jobs, func(a, b *message) int { return a.visible.Compare(b.visible) })
		if w.now.Before(m.visible) {
			w.now = m.visible
		}
		if m.receives++; m.receives > maxReceives {
			w.dead = append(w.dead, m.body)
			w.remove(m)
			continue
		}
		m.visible = w.now.Add(visibility)
		if w.invoke(a, m) {
			w.remove(m)
		}
	}
}

func (w *world) remove(m *message) {
	w.jobs = slices.DeleteFunc(w.jobs, func(other *message) bool { return other == m })
}

var errCrash = errors.New("the process ends")

// invoke reports whether the message is to be deleted. A panic means that Lambda gets no response.
func (w *world) invoke(a *archive.Archiver, m *message) (done bool) {
	defer func() {
		if r := recover(); r != nil && r != errCrash {
			panic(r)
		}
	}()
	response, err := a.Handle(w.t.Context(),
		events.SQSEvent{Records: []events.SQSMessage{record(m, fmt.Sprintf("receipt %p", m))}})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(response.BatchItemFailures) == 1 && response.BatchItemFailures[0].ItemIdentifier != "id" {
		w.t.Errorf("%+v", response)
	}
	return len(response.BatchItemFailures) == 0
}

func record(m *message, receipt string) events.SQSMessage {
	return events.SQSMessage{
		MessageId: "id", ReceiptHandle: receipt, Body: m.body,
		Attributes: map[string]string{"ApproximateReceiveCount": strconv.Itoa(m.receives)},
	}
}

// buffer may be used by two archivers at the same time.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

type jobs struct{ *world }

func (j jobs) Later(_ context.Context, receipt string, d time.Duration) error {
	return j.step("later", func() error {
		j.mu.Lock()
		defer j.mu.Unlock()
		for _, m := range j.jobs {
			if fmt.Sprintf("receipt %p", m) == receipt {
				m.visible = j.now.Add(d)
				j.delays = append(j.delays, d)
				return nil
			}
		}
		return errors.New("no such receipt")
	})
}

func (j jobs) Park(_ context.Context, body string) error {
	return j.step("park", func() error { j.parked = append(j.parked, body); return nil })
}

type note struct {
	text    string
	version int64
}

type notes struct{ w *world }

func (n notes) Note(_ context.Context, name string) (text string, version int64, err error) {
	err = n.w.step("note", func() error {
		n.w.mu.Lock()
		defer n.w.mu.Unlock()
		text, version = n.w.notes[name].text, n.w.notes[name].version
		return nil
	})
	return text, version, err
}

func (n notes) PutNote(_ context.Context, name, text string, version int64) error {
	return n.w.step("put note", func() error {
		n.w.mu.Lock()
		defer n.w.mu.Unlock()
		switch stored := n.w.notes[name]; {
		case stored == note{text, version + 1}:
		case stored.version != version:
			return ledger.ErrConflict
		default:
			n.w.notes[name] = note{text, version + 1}
		}
		return nil
	})
}

type findings struct{ *world }

func (f findings) Send(ctx context.Context, m queue.Message) error {
	return f.step("send", func() error {
		d, err := queue.Decode(ctx, m, nil)
		if err != nil {
			return err
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		f.sent = append(f.sent, *d)
		return nil
	})
}

type documents struct{ *world }

func (d documents) Put(ctx context.Context, key string, f document.File) (stored document.Stored, err error) {
	err = d.step("put", func() error { stored, err = d.store.Put(ctx, key, f); return err })
	return stored, err
}

func (d documents) Stat(ctx context.Context, key string) (stored document.Stored, err error) {
	err = d.step("stat", func() error { stored, err = d.store.Stat(ctx, key); return err })
	return stored, err
}

func (d documents) Get(ctx context.Context, key string) (content []byte, err error) {
	err = d.step("get", func() error { content, err = d.store.Get(ctx, key); return err })
	return content, err
}

// vendor is a vendor whose audit trail differs with each download.
type vendor struct {
	*world
	vendorapi.Client // no other method may be called
	status           vendorapi.Agreement
	statusErr        func() error // nil: none; called for each question
	files            func() ([]vendorapi.Document, error)
	foreign          func(esign.Event) (bool, error) // nil: never
	pause            time.Duration
	downloads        int
	form             func() ([]vendorapi.Field, error) // nil: must not be asked for
	formCalls        int
	asked            []time.Time // for the status
}

func (v *vendor) Pause() time.Duration { return v.pause }

func (v *vendor) Agreement(context.Context, string) (a vendorapi.Agreement, err error) {
	err = v.step("agreement", func() error {
		v.mu.Lock()
		v.asked = append(v.asked, v.now)
		v.mu.Unlock()
		if v.statusErr != nil {
			return v.statusErr()
		}
		return nil
	})
	return v.status, err
}

func (v *vendor) Foreign(_ context.Context, e esign.Event) (foreign bool, err error) {
	err = v.step("foreign", func() error {
		if v.foreign != nil {
			foreign, err = v.foreign(e)
		}
		return err
	})
	return foreign, err
}

func (v *vendor) Documents(context.Context, string) (all []vendorapi.Document, err error) {
	err = v.step("documents", func() error {
		if v.files != nil {
			all, err = v.files()
			return err
		}
		all = []vendorapi.Document{
			{Kind: esign.KindDocument, Name: "documents.pdf", PDF: true,
				Open: func(context.Context) (vendorapi.Content, error) { return v.content("the contract") }},
			{Kind: esign.KindAuditTrail, Name: "audit-trail.pdf", PDF: true,
				Open: func(context.Context) (vendorapi.Content, error) {
					v.mu.Lock()
					v.downloads++
					n := v.downloads
					v.mu.Unlock()
					return v.content(fmt.Sprint("audit trail, download ", n))
				}},
		}
		return nil
	})
	return all, err
}

func (v *vendor) content(text string) (c vendorapi.Content, err error) {
	err = v.step("open", func() error { c = content(pdf(text), "application/pdf"); return nil })
	return c, err
}

func pdf(text string) string { return "%PDF-1.7\n" + text + "\nstartxref\n0\n%%EOF\n" }

func content(body, contentType string) vendorapi.Content {
	return vendorapi.Content{ReadCloser: io.NopCloser(strings.NewReader(body)), Size: int64(len(body)), Type: contentType}
}

// of lists one document.
func of(d vendorapi.Document) func() ([]vendorapi.Document, error) {
	return func() ([]vendorapi.Document, error) { return []vendorapi.Document{d}, nil }
}

// counted returns the metrics.
func (w *world) counted() map[string]float64 {
	w.t.Helper()
	sums := map[string]float64{}
	for _, line := range metrictest.Read(w.t, namespace, w.out.String()) {
		if len(line.OfProvider) > 0 {
			w.t.Errorf("dimensions of %+v", line)
		}
		for name, value := range line.Values {
			sums[name+" "+line.Provider] += value
		}
	}
	return sums
}

// found returns the findings that were sent, by kind.
func (w *world) found() map[string]webhook.Delivery {
	w.t.Helper()
	byID, byKind := map[string]webhook.Delivery{}, map[string]webhook.Delivery{}
	for _, d := range w.sent {
		if d.Proof != esign.ProofConfirmed {
			w.t.Errorf("%+v", d)
		}
		byID[d.EventID] = d
		byKind[d.Via] = d
	}
	if len(byID) != len(byKind) {
		w.t.Errorf("%d events of %d kinds", len(byID), len(byKind))
	}
	return byKind
}

// detail of a finding.
type detail struct {
	Type       esign.Type
	OccurredAt time.Time
	Documents  []esign.Document
	Attributes map[string]string
}

func (w *world) detail(d webhook.Delivery) (f detail) {
	w.t.Helper()
	if err := json.Unmarshal(d.Payload, &f); err != nil {
		w.t.Fatal(err)
	}
	return f
}
