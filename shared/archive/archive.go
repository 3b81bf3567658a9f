// Package archive is the archiver: when an agreement is completed it asks the vendor's API whether that is true, fetches
// the signed documents and the audit trail, and stores them. What it found out it tells as findings, which take the way of
// every delivery.
package archive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Jobs is the queue of jobs, a standard one, as far as the archiver uses it beside what Lambda does.
type Jobs interface {
	// Later makes a received job come again after d, at most 12 hours.
	Later(ctx context.Context, receipt string, d time.Duration) error
	// Park puts a job among the dead letters. The one that was received is to be deleted then.
	Park(ctx context.Context, body string) error
}

// Archiver is the consumer of jobs. Its fields are set once, before the first batch.
type Archiver struct {
	// Clients returns the client of a provider's API, or [vendorapi.ErrOff], of which it has told the operator itself.
	Clients   func(ctx context.Context, provider string) (vendorapi.Client, error)
	Documents document.Store
	Queue     queue.Sender // of the findings
	Jobs      Jobs
	Now       func() time.Time
	Log       *slog.Logger
	Metrics   *metric.Log // nil: none

	mu    sync.Mutex
	until map[string]time.Time // by provider: before then its limits are used up
}

// reserve is what is kept of an invocation's time, to put off what is not done.
const reserve = 20 * time.Second

// How a job is put off: a minute, two, four and so on to two hours. With the queue's 30 receives that is about two days.
const (
	firstDelay = time.Minute
	maxDelay   = 2 * time.Hour
	maxLater   = 11 * time.Hour // if the vendor wants longer; below SQS's 12 h
)

// What may be the vendor's delay is given up after so many attempts, and at such an age of the event. The seventh attempt
// is more than an hour after the first, unless the queue counts faster.
const (
	doubtAttempts = 7
	doubtAge      = time.Hour
)

// What is wrong with an agreement, beside the errors of [vendorapi.Client].
var (
	errContradicted = errors.New("archive: the vendor says that the agreement has ended otherwise")
	errUnconfirmed  = errors.New("archive: the vendor does not say that the agreement is completed")
	errNotWhole     = errors.New("archive: not a whole document")
	errNever        = errors.New("archive: can never be archived")
)

// Handle works on a batch, and reports the jobs that are put off: those must not be deleted.
func (a *Archiver) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	work := ctx
	if end, limited := ctx.Deadline(); limited { // on localhost there is none
		var cancel context.CancelFunc
		work, cancel = context.WithDeadline(ctx, end.Add(-reserve))
		defer cancel()
	}
	for _, record := range batch.Records {
		j, err := readJob(record)
		var pause time.Duration
		if err == nil {
			pause, err = a.work(work, j)
		}
		if !a.settle(ctx, j, pause, err) {
			response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})
		}
	}
	return response, nil
}

func (a *Archiver) log(j job) *slog.Logger {
	return a.Log.With("provider", j.provider, "event", j.event, "agreement", webhook.Label(j.agreement))
}

// settle decides what becomes of a job, and says whether it may be deleted.
func (a *Archiver) settle(ctx context.Context, j job, pause time.Duration, err error) (done bool) {
	log := a.log(j)
	doubted := j.attempt >= doubtAttempts && a.Now().Sub(j.at) >= doubtAge
	switch {
	case err == nil, errors.Is(err, vendorapi.ErrOff):
		return true
	case errors.Is(err, errContradicted), errors.Is(err, errUnconfirmed) && doubted:
		return a.park(ctx, log, j, err, "forged", metric.Count("Forged", 1), metric.Count("Parked", 1))
	case errors.Is(err, errNever), errors.Is(err, vendorapi.ErrInvalid), errors.Is(err, errors.ErrUnsupported),
		errors.Is(err, vendorapi.ErrUnknown) && doubted, errors.Is(err, errNotWhole) && doubted:
		return a.park(ctx, log, j, err, "parked", metric.Count("Parked", 1))
	}
	level, delay := slog.LevelError, max(pause, min(firstDelay<<min(j.attempt-1, 10), maxDelay))
	var later *vendorapi.LaterError
	if errors.As(err, &later) {
		delay = min(max(delay, later.After), maxLater)
	}
	if later != nil || errors.Is(err, vendorapi.ErrNotReady) || errors.Is(err, vendorapi.ErrUnknown) || errors.Is(err, errUnconfirmed) {
		level = slog.LevelInfo
	}
	log.Log(ctx, level, "not archived yet", "attempt", j.attempt, "again", delay.String(), "error", err)
	if err := a.Jobs.Later(ctx, j.receipt, delay); err != nil { // then it comes again after the visibility timeout
		log.ErrorContext(ctx, "not put off", "error", err)
	}
	return false
}

// park gives a job up, and tells of it.
func (a *Archiver) park(ctx context.Context, log *slog.Logger, j job, reason error, as string, values ...metric.Value) (done bool) {
	if err := a.Jobs.Park(ctx, j.body); err != nil {
		log.ErrorContext(ctx, "not parked", "error", err)
		return false
	}
	log.ErrorContext(ctx, as, "attempt", j.attempt, "error", reason)
	a.Metrics.Put(j.provider, values...)
	return true
}

// work archives the agreement of a job, unless the vendor's limits are used up. pause is the client's.
func (a *Archiver) work(ctx context.Context, j job) (pause time.Duration, err error) {
	if wait := a.blocked(j.provider); wait > 0 {
		return 0, &vendorapi.LaterError{After: wait}
	}
	client, err := a.Clients(ctx, j.provider)
	if err != nil {
		return 0, err
	}
	err = a.archive(ctx, client, j)
	var later *vendorapi.LaterError
	if errors.As(err, &later) {
		a.block(j.provider, later.After)
	}
	return client.Pause(), err
}

func (a *Archiver) blocked(provider string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.until[provider].Sub(a.Now())
}

func (a *Archiver) block(provider string, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.until == nil {
		a.until = map[string]time.Time{}
	}
	a.until[provider] = a.Now().Add(d)
}

// archive does what is not done yet. The manifest is written last: where there is one, the vendor has confirmed and all is
// stored, and nothing is left but to tell of it, perhaps once more.
func (a *Archiver) archive(ctx context.Context, client vendorapi.Client, j job) error {
	m, err := a.manifest(ctx, j)
	made := errors.Is(err, document.ErrNotFound)
	if made {
		m, err = a.store(ctx, client, j)
	}
	if err != nil {
		return err
	}
	if err := a.send(ctx, finding.Archived(j.provider, j.agreement, m.Documents, m.ArchivedAt, a.Now())); err != nil {
		return err
	}
	a.log(j).InfoContext(ctx, "archived", "documents", len(m.Documents), "before", !made)
	if made {
		a.Metrics.Put(j.provider, metric.Count("Archived", 1))
	}
	return nil
}

// store stores the documents of an agreement and its manifest, after the vendor has confirmed that it is completed.
func (a *Archiver) store(ctx context.Context, client vendorapi.Client, j job) (manifest, error) {
	confirmed, err := a.confirm(ctx, client, j)
	if err != nil {
		return manifest{}, err
	}
	m := manifest{
		Provider: j.provider, AgreementID: j.agreement, VendorStatus: webhook.Label(confirmed.VendorStatus), CompletedAt: confirmed.ChangedAt,
	}
	all, err := client.Documents(ctx, j.agreement)
	if err != nil {
		return manifest{}, fmt.Errorf("archive: documents: %w", err)
	}
	if len(all) == 0 {
		return manifest{}, fmt.Errorf("%w: the vendor lists none", errNotWhole)
	}
	names := map[string]bool{manifestName: true}
	for _, d := range all {
		if names[d.Name] {
			return manifest{}, fmt.Errorf("%w: two documents of one name", errNever)
		}
		names[d.Name] = true
		stored, err := a.fetch(ctx, d, document.Key(j.provider, j.agreement, d.Name), m.metadata())
		if err != nil {
			return manifest{}, fmt.Errorf("archive: %s: %w", d.Name, err)
		}
		m.Documents = append(m.Documents, esign.Document{
			Name: d.Name, Location: stored.Location, ContentType: stored.ContentType, SHA256: stored.SHA256, Size: stored.Size,
		})
	}
	m.ArchivedAt = a.Now().UTC()
	return a.putManifest(ctx, j, m)
}

// confirm asks the vendor whether the agreement is completed, whoever said so, and tells of it if it is.
func (a *Archiver) confirm(ctx context.Context, client vendorapi.Client, j job) (vendorapi.Agreement, error) {
	said, err := client.Agreement(ctx, j.agreement)
	switch {
	case errors.Is(err, vendorapi.ErrUnknown):
		return said, fmt.Errorf("%w: %w", errUnconfirmed, err)
	case err != nil:
		return said, fmt.Errorf("archive: status: %w", err)
	case said.Status != esign.Completed && said.Status.Terminal():
		return said, fmt.Errorf("%w: %s", errContradicted, said.Status)
	case said.Status != esign.Completed:
		return said, fmt.Errorf("%w: %q", errUnconfirmed, webhook.Label(said.VendorStatus))
	}
	if err := a.send(ctx, finding.Confirmed(j.provider, j.agreement, said.VendorStatus, a.Now().UTC())); err != nil {
		return said, err
	}
	a.log(j).InfoContext(ctx, "confirmed")
	a.Metrics.Put(j.provider, metric.Count("Confirmed", 1))
	return said, nil
}

func (a *Archiver) send(ctx context.Context, d webhook.Delivery) error {
	m, _ := queue.Encode(&d) // a finding fits in a message
	if err := a.Queue.Send(ctx, m); err != nil {
		return fmt.Errorf("archive: finding: %w", err)
	}
	return nil
}
