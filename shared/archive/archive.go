// Package archive is the archiver. When an agreement is completed, it confirms that with the vendor's API, downloads
// the signed documents and the audit trail, and stores them. It sends what it has done as findings, which are processed
// like every delivery.
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
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Jobs is the queue of jobs, a standard queue. Lambda receives and deletes the jobs; the archiver does the rest.
type Jobs interface {
	// Later redelivers a received job after d, at most 12 hours.
	Later(ctx context.Context, receipt string, d time.Duration) error
	// Park copies a job to the dead-letter queue. The caller must then have the received job deleted.
	Park(ctx context.Context, body string) error
}

// Archiver is the consumer of jobs. Set its fields before the first batch.
type Archiver struct {
	// Clients returns the client of a provider's API. It returns [vendorapi.ErrOff] if there is none, and logs that
	// itself.
	Clients   func(ctx context.Context, provider string) (vendorapi.Client, error)
	Documents document.Store
	Queue     queue.Sender // for the findings
	Jobs      Jobs
	Notes     ledger.Notes // for the completions that are not asked about
	FormData  bool         // whether what the participants have filled in is archived too
	// Tombstones are those of the agreements that are forgotten. Nothing is archived of them.
	Tombstones ledger.Tombstones
	Now        func() time.Time
	Log        *slog.Logger
	Metrics    *metric.Log // nil: none

	mu    sync.Mutex
	until map[string]time.Time // by provider: when its rate limit is reset
	// refused holds the refusals of form data that are logged.
	refused []string
}

// Reserve is the part of an invocation's time that is kept for delaying unfinished jobs.
const Reserve = 20 * time.Second

// The delays of a job: one minute, two, four and so on up to two hours. With the queue's 30 receives, that is about two
// days.
const (
	FirstDelay = time.Minute
	MaxDelay   = 2 * time.Hour
	maxLater   = 11 * time.Hour // if the vendor asks for longer; SQS allows 12 hours
)

// A problem that may only be the vendor's delay is final after this many attempts and this age of the event. The
// seventh attempt is more than an hour after the first. The age matters because the queue also counts receives that
// failed early.
const (
	finalAttempts = 7
	finalAge      = time.Hour
	doubtAttempts = 2 * finalAttempts // if the vendor cannot be asked whose account it is
	doubtAge      = 12 * time.Hour
)

// What can be wrong with an agreement, in addition to the errors of [vendorapi.Client].
var (
	errContradicted = errors.New("archive: the vendor reports another final status")
	errUnconfirmed  = errors.New("archive: the vendor does not report the agreement as completed")
	errIncomplete   = errors.New("archive: incomplete document")
	errPermanent    = errors.New("archive: can never be archived")
	errForeign      = errors.New("archive: the agreement belongs to another account")
	errForgotten    = errors.New("archive: the agreement is forgotten")
	errDoubt        = errors.New("archive: the agreement is unknown, and may belong to another account")
)

// Handle processes a batch, and reports the jobs that are delayed, which Lambda must not delete.
func (a *Archiver) Handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	response := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}
	for _, record := range batch.Records {
		j, err := readJob(record)
		var pause time.Duration
		if err == nil {
			pause, err = a.work(ctx, j)
		}
		if !a.finish(ctx, j, pause, err) {
			failure := events.SQSBatchItemFailure{ItemIdentifier: record.MessageId}
			response.BatchItemFailures = append(response.BatchItemFailures, failure)
		}
	}
	return response, nil
}

func (a *Archiver) log(j job) *slog.Logger {
	return a.Log.With("provider", j.provider, "event", j.event, "agreement", webhook.Label(j.agreement))
}

// finish acts on the outcome of a job: it parks or delays the job, and reports whether Lambda may delete it.
func (a *Archiver) finish(ctx context.Context, j job, pause time.Duration, err error) (done bool) {
	log := a.log(j)
	final := a.final(j)
	if errors.Is(err, errForeign) {
		err = a.setAside(ctx, log, j)
	}
	switch {
	case err == nil, errors.Is(err, vendorapi.ErrOff):
		return true
	case errors.Is(err, errForgotten):
		a.Log.InfoContext(ctx, "dropped: the agreement is forgotten", "provider", j.provider, "event", j.event)
		return true
	case errors.Is(err, errContradicted), errors.Is(err, errUnconfirmed) && final,
		errors.Is(err, errDoubt) && j.attempt >= doubtAttempts && a.Now().Sub(j.at) >= doubtAge:
		return a.park(ctx, log, j, err, "forged", metric.Count("Forged", 1), metric.Count("Parked", 1))
	case errors.Is(err, errPermanent), errors.Is(err, vendorapi.ErrInvalid), errors.Is(err, errors.ErrUnsupported),
		errors.Is(err, vendorapi.ErrUnknown) && final, errors.Is(err, errIncomplete) && final:
		return a.park(ctx, log, j, err, "parked", metric.Count("Parked", 1))
	}
	level, delay := slog.LevelError, max(pause, min(FirstDelay<<min(j.attempt-1, 10), MaxDelay))
	var later *vendorapi.LaterError
	if errors.As(err, &later) {
		delay = min(max(delay, later.After), maxLater)
	}
	if later != nil || errors.Is(err, vendorapi.ErrNotReady) || errors.Is(err, vendorapi.ErrUnknown) ||
		errors.Is(err, errUnconfirmed) {
		level = slog.LevelInfo
	}
	log.Log(ctx, level, "not archived yet", "attempt", j.attempt, "retryIn", delay.String(), "error", err)
	if err := a.Jobs.Later(ctx, j.receipt, delay); err != nil { // the visibility timeout redelivers it
		log.ErrorContext(ctx, "retry not delayed", "error", err)
	}
	return false
}

// park moves a job to the dead-letter queue, and logs and counts that.
func (a *Archiver) park(ctx context.Context, log *slog.Logger, j job, reason error, message string,
	values ...metric.Value) (done bool) {
	if err := a.Jobs.Park(ctx, j.body); err != nil {
		log.ErrorContext(ctx, "not moved to the dead-letter queue", "error", err)
		return false
	}
	log.ErrorContext(ctx, message, "attempt", j.attempt, "error", reason)
	a.Metrics.Put(j.provider, values...)
	return true
}

// final reports whether a problem is final that may only be the vendor's delay.
func (a *Archiver) final(j job) bool {
	return j.attempt >= finalAttempts && a.Now().Sub(j.at) >= finalAge
}

// setAside puts a job on the list of completions that are not asked about, and logs and counts that.
func (a *Archiver) setAside(ctx context.Context, log *slog.Logger, j job) error {
	c := Completion{AgreementID: j.agreement, AccountID: j.reported.AccountID, EventID: j.event, At: a.Now().UTC()}
	if err := (NotAsked{a.Notes, j.provider}).add(ctx, c); err != nil {
		return err
	}
	log.WarnContext(ctx, "not asked: the agreement belongs to an account without credentials", "account", c.AccountID,
		"hint", "the completion is signed but not confirmed; when the secret holds credentials of this account, run make "+
			"redrive; make registered lists all such completions")
	a.Metrics.Put(j.provider, metric.Count("NotAsked", 1))
	return nil
}

// work archives the agreement of a job, unless the vendor's rate limit is exhausted. It ends early enough to delay the
// job. pause is the least time to wait before the next attempt.
func (a *Archiver) work(ctx context.Context, j job) (pause time.Duration, err error) {
	if end, limited := ctx.Deadline(); limited { // localhost sets no deadline
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end.Add(-Reserve))
		defer cancel()
	}
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

// archive does what is not done yet. The manifest is written last. If it exists, the vendor has confirmed the
// completion and all documents are stored, so only the finding is left to send, perhaps again.
func (a *Archiver) archive(ctx context.Context, client vendorapi.Client, j job) error {
	if err := a.forgotten(ctx, j); err != nil {
		return err
	}
	m, err := a.manifest(ctx, j, manifestName)
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
	if !made {
		added, err := a.later(ctx, client, j, m)
		if added {
			a.log(j).InfoContext(ctx, "form data added")
		}
		return err
	}
	a.Metrics.Put(j.provider, metric.Count("Archived", 1))
	return nil
}

// forgotten returns errForgotten if the agreement is forgotten.
func (a *Archiver) forgotten(ctx context.Context, j job) error {
	at, err := a.Tombstones.Forgotten(ctx, webhook.AgreementSubject(j.provider, j.agreement))
	if err != nil {
		return fmt.Errorf("archive: tombstone: %w", err)
	}
	if !at.IsZero() {
		return errForgotten
	}
	return nil
}

// store stores the documents and the manifest of an agreement, after the vendor has confirmed the completion.
func (a *Archiver) store(ctx context.Context, client vendorapi.Client, j job) (manifest, error) {
	confirmed, err := a.confirm(ctx, client, j)
	if err != nil {
		return manifest{}, err
	}
	m := manifest{
		Provider: j.provider, AgreementID: j.agreement,
		VendorStatus: webhook.Label(confirmed.VendorStatus), CompletedAt: confirmed.ChangedAt,
	}
	all, err := client.Documents(ctx, j.agreement)
	if err != nil {
		return manifest{}, fmt.Errorf("archive: documents: %w", err)
	}
	if len(all) == 0 {
		return manifest{}, fmt.Errorf("%w: the vendor lists no documents", errIncomplete)
	}
	names := map[string]bool{manifestName: true, laterManifestName: true, formName: true}
	for _, d := range all {
		if names[d.Name] {
			return manifest{}, fmt.Errorf("%w: two documents have the same name", errPermanent)
		}
		names[d.Name] = true
		if err := a.forgotten(ctx, j); err != nil { // meanwhile
			return manifest{}, err
		}
		stored, err := a.fetch(ctx, d, document.Key(j.provider, j.agreement, d.Name), m.metadata())
		if err != nil {
			return manifest{}, fmt.Errorf("archive: %s: %w", d.Name, err)
		}
		m.Documents = append(m.Documents, esign.Document{
			Kind: d.Kind, Name: d.Name, Location: stored.Location, ContentType: stored.ContentType,
			SHA256: stored.SHA256, Size: stored.Size,
		})
	}
	if a.FormData { // last: nothing that its vendor answers may hold up the documents
		if err := a.addForm(ctx, client, j, &m, confirmed.Participants); err != nil {
			return manifest{}, err
		}
	}
	m.ArchivedAt = a.Now().UTC()
	return a.putManifest(ctx, j, manifestName, m)
}

// confirm asks the vendor whether the agreement is completed, whatever the event's proof, and sends the finding if it
// is.
func (a *Archiver) confirm(ctx context.Context, client vendorapi.Client, j job) (vendorapi.Agreement, error) {
	reported, err := client.Agreement(ctx, j.agreement)
	switch {
	case errors.Is(err, vendorapi.ErrUnknown):
		if foreign, unsure := a.foreign(ctx, client, j); foreign {
			return reported, errForeign
		} else if unsure != nil {
			return reported, fmt.Errorf("%w: %w", errDoubt, unsure)
		}
		return reported, fmt.Errorf("%w: %w", errUnconfirmed, err)
	case err != nil:
		return reported, fmt.Errorf("archive: status: %w", err)
	case reported.Status != esign.Completed && reported.Status.Terminal():
		return reported, fmt.Errorf("%w: %s", errContradicted, reported.Status)
	case reported.Status != esign.Completed:
		return reported, fmt.Errorf("%w: %q", errUnconfirmed, webhook.Label(reported.VendorStatus))
	}
	found := finding.Confirmed(j.provider, j.agreement, reported.VendorStatus, a.Now().UTC(), reported.Said())
	if err := a.send(ctx, found); err != nil {
		return reported, err
	}
	a.log(j).InfoContext(ctx, "confirmed")
	a.Metrics.Put(j.provider, metric.Count("Confirmed", 1))
	return reported, nil
}

// foreign reports whether an agreement that the vendor does not know certainly belongs to another account than that of
// our credentials. Only a signature over the whole event counts. Otherwise a forger could name a foreign account, and
// no alarm would start.
func (a *Archiver) foreign(ctx context.Context, client vendorapi.Client, j job) (bool, error) {
	accounts, ok := client.(vendorapi.Accounts)
	if !ok || j.reported.Proof != esign.ProofSigned || j.reported.AccountID == "" {
		return false, nil
	}
	return accounts.Foreign(ctx, j.reported)
}

func (a *Archiver) send(ctx context.Context, d webhook.Delivery) error {
	m, _ := queue.Encode(&d) // a finding fits in a message
	if err := a.Queue.Send(ctx, m); err != nil {
		return fmt.Errorf("archive: finding: %w", err)
	}
	return nil
}
