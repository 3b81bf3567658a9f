// Package receive answers a vendor's request: it verifies, identifies, claims, enqueues and acknowledges. It does
// nothing slow, since the vendor waits for the answer.
package receive

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// Deadline limits a request, the others its steps. The answer is sent within 4 s even if AWS does not respond: the
// strictest vendors wait 5 s, and a cold start may take one of them. Reading the keys takes at most 1 s, so one event
// has time for all steps: 1 + 0.8 + 1 + 1 = 3.8. Several events share that time; a ledger that does not answer costs
// them 0.8 s in all.
//
// SPEC: https://helpx.adobe.com/sign/developer/webhook/overview.html and
// https://www.esignglobal.com/developer-center/api/e3esec8grw834hdls3c5uket, read 2026-11-22.
const (
	Deadline      = 3800 * time.Millisecond
	claimDeadline = 800 * time.Millisecond
	countDeadline = 300 * time.Millisecond // counts a duplicate, in parallel with sending
	storeDeadline = 1000 * time.Millisecond
	sendDeadline  = 1000 * time.Millisecond
)

// retryAfter is the Retry-After of a 503, in seconds. Most vendors ignore it and follow their own schedule.
const retryAfter = "30"

// Receiver receives the requests of one provider. Its fields are set once, before the first request.
type Receiver struct {
	Provider webhook.Provider
	Others   []webhook.Provider // all, to explain that a request is one of another vendor
	// Keys returns the valid keys. An error means that no keys are known, not even old ones.
	Keys     func(context.Context) (webhook.Keys, error)
	Claims   ledger.Claimer
	Payloads payload.Store
	Queue    queue.Sender
	Now      func() time.Time
	Log      *slog.Logger // with the provider's name
	Metrics  *metric.Log  // nil: none
	// Explanations limits how many refusals are explained. All receivers of a process share it. Nil: this one is alone.
	Explanations *Limiter
	// Observe is called with what became of each request, before Receive returns. Nil: nobody observes.
	Observe func(context.Context, *webhook.Request, *webhook.Response, Observation)

	first        sync.Once
	explanations Limiter
}

// Receive answers one request.
func (r *Receiver) Receive(ctx context.Context, request *webhook.Request) *webhook.Response {
	start := r.Now()
	ctx, cancel := context.WithTimeout(ctx, Deadline)
	defer cancel()
	o := Observation{Causes: []webhook.Refusal{}}
	response, keys, err := r.receive(ctx, request, start, &o)
	if err != nil {
		response = r.refuse(ctx, request, keys, err, &o)
	}
	if r.Observe != nil {
		r.Observe(ctx, request, response, o)
	}
	return response
}

var (
	errNoSuchURL = errors.New("receive: no URL token matches")
	errMethod    = errors.New("receive: method not allowed")
	errTooLarge  = errors.New("receive: body over the limit")
	// errNoCertificate has the answer of a request that is not genuine.
	errNoCertificate = fmt.Errorf("receive: no accepted client certificate: %w", webhook.ErrNotGenuine)
)

func (r *Receiver) receive(ctx context.Context, request *webhook.Request, start time.Time,
	o *Observation) (response *webhook.Response, keys webhook.Keys, err error) {
	if keys, err = r.Keys(ctx); err != nil {
		return nil, keys, fmt.Errorf("receive: keys: %w", err)
	}
	request.TokenMatched = webhook.Any(keys.URLTokens, request.URLToken)
	if len(keys.URLTokens) > 0 && !request.TokenMatched {
		return nil, keys, errNoSuchURL
	}
	if request.Method != http.MethodGet && request.Method != http.MethodPost {
		return nil, keys, errMethod
	}
	if len(request.Body) > webhook.MaxBody {
		return nil, keys, errTooLarge
	}
	response, err = r.challenge(ctx, request, keys)
	event := request.Method == http.MethodPost && errors.Is(err, webhook.ErrNoChallenge)
	switch {
	// A challenge needs the certificate too, or the wrong URL could be registered, and all events would be refused.
	case (err == nil || event) && keys.Certificates.Demanded() && !keys.Certificates.Accept(request):
		return nil, keys, errNoCertificate
	case err == nil:
		o.Outcome = Challenge
		r.Log.InfoContext(ctx, "challenge answered", "method", request.Method)
	case event:
		response, err = r.post(ctx, request, keys, start, o)
	}
	return response, keys, err
}

// challenge answers a verification of the URL. If the provider panics, the request counts as an event: it must be
// genuine.
func (r *Receiver) challenge(ctx context.Context, request *webhook.Request,
	keys webhook.Keys) (response *webhook.Response, err error) {
	defer func() {
		if recover() != nil { // the value may quote the body, the stack does not
			r.Log.ErrorContext(ctx, "panic in the provider's challenge", "stack", string(debug.Stack()))
			response, err = nil, webhook.ErrNoChallenge
		}
	}()
	return r.Provider.Challenge(request, keys)
}

func (r *Receiver) post(ctx context.Context, request *webhook.Request, keys webhook.Keys, start time.Time,
	o *Observation) (*webhook.Response, error) {
	request.LimitContentType()
	proof, err := r.Provider.Verify(request, keys)
	if err != nil {
		return nil, err
	}
	if keys.Certificates.Demanded() && (proof == esign.ProofURLToken || proof == esign.ProofClientID) {
		proof = esign.ProofAuthenticated // receive has checked the certificate
	}
	o.Proof = proof
	r.first.Do(func() { r.logHeaders(ctx, request) })
	ids, duplicates, unreachable := r.identify(ctx, request), 0, false
	var counting sync.WaitGroup
	defer counting.Wait() // after the answer the process is frozen
	for _, id := range ids {
		delivery := webhook.Delivery{
			Provider: r.Provider.Info().Name, EventID: id.EventID, Subject: id.Subject, Via: id.Via,
			FormerIDs: id.FormerIDs, ReceivedAt: start.UTC(), Proof: proof,
			ContentType: request.Header.Get("Content-Type"), Payload: request.Body, Trace: request.Trace,
		}
		claim := ledger.NewClaim(&delivery, id.VendorType, id.AgreementID, id.ExactTime())
		var found ledger.Found
		if !unreachable { // or it would use up the queue's time
			found, unreachable = r.claim(ctx, claim)
		}
		if found.State != ledger.New {
			duplicates++
			counting.Go(func() { r.count(ctx, claim) }) // while the message is sent
		}
		enqueued, err := r.enqueue(ctx, found, claim, &delivery)
		o.Events = append(o.Events, ObservedEvent{id, found.State, enqueued})
		if err != nil {
			return nil, err
		}
	}
	response := r.Provider.Acknowledge(request)
	o.Outcome = outcome(r.Provider.Info().Name, o.Events, duplicates)
	r.measure(metric.ProviderCount("Received", len(ids)), metric.Count("Duplicate", duplicates),
		metric.Milliseconds("AcknowledgeTime", r.Now().Sub(start)))
	return response, nil
}

// measure writes the metrics of a request. The alarms in template.yaml name them.
func (r *Receiver) measure(values ...metric.Value) {
	r.Metrics.Put(r.Provider.Info().Name, values...)
}

// logHeaders logs the names of the headers that a vendor really sends, since not all vendors document how they sign.
func (r *Receiver) logHeaders(ctx context.Context, request *webhook.Request) {
	var names []string
	for name := range request.Header {
		names = append(names, webhook.Label(name))
	}
	slices.Sort(names)
	r.Log.InfoContext(ctx, "first genuine request", "headers", names)
}

// encoded reports whether the request has a Content-Encoding. API Gateway decompresses gzip, and then a signature over
// the compressed bytes cannot be verified.
func encoded(request *webhook.Request) bool { return request.Header.Get("Content-Encoding") != "" }

// identify never fails. A request that cannot be parsed, or that makes the provider panic, is stored as unreadable.
func (r *Receiver) identify(ctx context.Context, request *webhook.Request) []webhook.Identity {
	ids, err := r.tryToIdentify(request)
	if err == nil && len(ids) > 0 {
		return ids
	}
	id := webhook.Unreadable(r.Provider.Info().Name, request.Body)
	r.Log.ErrorContext(ctx, "unreadable", "event", id.EventID, "error", err, "encoded", encoded(request))
	return []webhook.Identity{id}
}

func (r *Receiver) tryToIdentify(request *webhook.Request) (ids []webhook.Identity, err error) {
	defer func() {
		if recover() != nil { // the value may quote the body, the stack does not
			err = fmt.Errorf("receive: panic in provider: %s", debug.Stack())
		}
	}()
	return r.Provider.Identify(request)
}

// enqueue sends an event to the queue, unless the ledger found it done. A copy that states the exact time of an event
// without one is sent too: the worker corrects the event. So is a copy of an unreadable event that is not lost only if
// it is sent: it can be read now, or the event's dead letter has expired. All other copies of an unreadable event would
// only multiply its dead letters.
func (r *Receiver) enqueue(ctx context.Context, found ledger.Found, claim ledger.Claim,
	delivery *webhook.Delivery) (enqueued bool, err error) {
	log, exact, suffix := r.logOf(claim), found.Inexact && !claim.OccurredAt.IsZero(), ""
	switch {
	case found.State == ledger.Unreadable:
		if age := r.Now().Sub(found.UnreadableAt); age < queue.DeadLetterRetention && !r.readable(delivery) {
			log.InfoContext(ctx, "duplicate", "state", found.State)
			return false, nil
		}
		suffix = fmt.Sprint(".unreadable", found.UnreadableAt.UnixMilli()) // once for each mark
	case exact:
		suffix = ".exact"
	case found.State.Settled():
		log.InfoContext(ctx, "duplicate", "state", found.State)
		return false, nil
	case found.State == ledger.Received && !found.Inexact && claim.OccurredAt.IsZero():
		suffix = ".inexact"
	}
	if err := r.send(ctx, delivery, suffix); err != nil {
		return false, fmt.Errorf("receive: %s: %w", claim.ID, err)
	}
	log.InfoContext(ctx, "received", "proof", claim.Proof, "redelivered", found.State != ledger.New)
	return true, nil
}

// readable reports whether the worker can read a delivery: both have the same parser. Its answer cannot be forgotten,
// as a version of the parser could, and it needs nothing from the build, which is reproducible and knows no revision.
// It also finds a copy that can be read although the first one could not.
func (r *Receiver) readable(delivery *webhook.Delivery) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	_, err := r.Provider.Normalize(delivery)
	return err == nil && delivery.Subject != webhook.UnreadableSubject(delivery.Provider)
}

func (r *Receiver) logOf(claim ledger.Claim) *slog.Logger {
	log := r.Log.With("event", claim.ID, "vendorType", claim.VendorType)
	if claim.Trace != "" {
		log = log.With("trace", claim.Trace)
	}
	return log
}

// claim returns the state in which the ledger found the event. If the ledger is unavailable, the event counts as new:
// the worker deduplicates, and the acknowledgement depends on the queue alone.
func (r *Receiver) claim(ctx context.Context, claim ledger.Claim) (found ledger.Found, unreachable bool) {
	ctx, cancel := context.WithTimeout(ctx, claimDeadline)
	defer cancel()
	found, err := r.Claims.Claim(ctx, claim)
	if err != nil {
		r.logOf(claim).WarnContext(ctx, "not claimed", "error", err)
		return ledger.Found{}, !errors.Is(err, format.ErrNewer)
	}
	return found, false
}

func (r *Receiver) count(ctx context.Context, claim ledger.Claim) {
	ctx, cancel := context.WithTimeout(ctx, countDeadline)
	defer cancel()
	if err := r.Claims.Repeated(ctx, claim.Key, claim.Via); err != nil {
		r.logOf(claim).WarnContext(ctx, "duplicate not counted", "error", err)
	}
}

// send sends a delivery. The suffix of the deduplication ID keeps the queue from dropping a copy that states the exact
// time as a duplicate of a copy that does not, whichever of them it gets first, and a copy of an unreadable event as a
// duplicate of what could not be read.
func (r *Receiver) send(ctx context.Context, delivery *webhook.Delivery, suffix string) error {
	message, key := queue.Encode(delivery)
	message.DeduplicationID += suffix
	if key != "" {
		ctx, cancel := context.WithTimeout(ctx, storeDeadline)
		defer cancel()
		if err := r.Payloads.Put(ctx, key, delivery.Payload); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendDeadline)
	defer cancel()
	return r.Queue.Send(ctx, message)
}

// refuse turns an error into an answer. It is the only place that does, and the answer shows nothing of the error or of
// the request.
func (r *Receiver) refuse(ctx context.Context, request *webhook.Request, keys webhook.Keys, err error,
	o *Observation) *webhook.Response {
	info := r.Provider.Info()
	o.Outcome, o.Err = Refused, err
	switch {
	case errors.Is(err, errNoSuchURL):
		r.measure(metric.ProviderCount("Refused", 1))
		r.Log.With(r.explain(ctx, request, keys, o)...).WarnContext(ctx, "refused", "reason", "URL token")
		return &webhook.Response{Status: http.StatusNotFound}
	case errors.Is(err, webhook.ErrNoChallenge), errors.Is(err, errMethod):
		r.measure(metric.ProviderCount("Refused", 1))
		r.Log.With(r.explain(ctx, request, keys, o)...).InfoContext(ctx, "refused", "reason", "method")
		return plainText(http.StatusMethodNotAllowed, "This URL receives "+info.Title+" webhooks, by POST.\n", "Allow",
			info.Allow)
	case errors.Is(err, webhook.ErrNotGenuine), errors.Is(err, webhook.ErrNoKey):
		reason := "signature"
		switch {
		case errors.Is(err, webhook.ErrNoKey):
			reason = "no key"
		case errors.Is(err, errNoCertificate):
			reason = "client certificate"
		}
		r.measure(metric.ProviderCount("Refused", 1), metric.ProviderCount("WrongKey", 1))
		r.Log.With(r.explain(ctx, request, keys, o)...).WarnContext(ctx, "refused", "reason", reason, "error", err,
			"method", webhook.Label(request.Method), "encoded", encoded(request))
		return &webhook.Response{Status: http.StatusUnauthorized}
	case errors.Is(err, errTooLarge):
		r.measure(metric.ProviderCount("Refused", 1))
		r.Log.ErrorContext(ctx, "refused", "reason", "size", "bytes", len(request.Body))
		return plainText(http.StatusRequestEntityTooLarge, "the body is larger than 10 MiB: do not include documents\n")
	default: // a service that we depend on is unavailable
		o.Outcome = Unavailable
		r.measure(metric.Count("Unavailable", 1))
		r.Log.ErrorContext(ctx, "unavailable", "error", err)
		return plainText(http.StatusServiceUnavailable, "try again later\n", "Retry-After", retryAfter)
	}
}

// plainText returns a text/plain answer. headers are names and values in turn.
func plainText(status int, body string, headers ...string) *webhook.Response {
	header := http.Header{"Content-Type": {"text/plain; charset=utf-8"}}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	return &webhook.Response{Status: status, Header: header, Body: []byte(body)}
}
