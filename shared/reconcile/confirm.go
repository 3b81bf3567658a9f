package reconcile

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// The limits of one question.
const (
	ConfirmTimeout = 3 * time.Second
	afterwards     = 500 * time.Millisecond // of it, to enter and to keep the answer
	lookAgain      = 100 * time.Millisecond // while another process asks
	retryFailed    = time.Minute            // after a vendor that failed; less if its Pause is less
)

// Question names the agreement that a caller wants to know about at once.
type Question struct {
	Provider    string `json:"provider"`
	AgreementID string `json:"agreementId"`
}

// ReadQuestion reports whether the payload of an invocation is a question, and returns it. A question that cannot be
// read is empty, which [Reconciler.Confirm] refuses. The event of a schedule is no question.
func ReadQuestion(payload []byte) (Question, bool) {
	var members map[string]json.RawMessage
	if json.Unmarshal(payload, &members) != nil || members["provider"] == nil && members["agreementId"] == nil {
		return Question{}, false
	}
	var q Question
	if json.Unmarshal(payload, &q) != nil {
		return Question{}, true
	}
	return q, true
}

// Reply is the answer to a question: a confirmation or an error.
type Reply struct {
	*Confirmation
	Error *Problem `json:"error,omitempty"`
}

// Confirmation is what the vendor says about an agreement.
type Confirmation struct {
	// Agreement is ours, with all that the vendor says, as it will be once the worker has processed the finding. If the
	// vendor contradicts how our agreement or a person has ended, it is as the vendor says.
	Agreement    esign.Agreement `json:"agreement"`
	VendorStatus string          `json:"vendorStatus,omitempty"` // the vendor's word
	Contradicted bool            `json:"contradicted,omitempty"` // our agreement says otherwise: an event may be forged
	Entered      bool            `json:"entered"`                // a finding was sent
	AskedAt      time.Time       `json:"askedAt"`
	Recently     bool            `json:"recently,omitempty"` // the vendor may not be asked again yet
}

// Problem is why there is no confirmation. Its message says what to do. It holds nothing that the vendor sent.
type Problem struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	// RetryAfter is the number of seconds before which the same question has the same answer; 0 if it is not known.
	RetryAfter int `json:"retryAfter,omitempty"`
}

// The codes of problems, with their messages.
const (
	badRequest       = "bad-request"
	unknownProvider  = "unknown-provider"
	notAsked         = "not-asked"
	unknownAgreement = "unknown-agreement"
	denied           = "denied"
	rateLimited      = "rate-limited"
	askedRecently    = "asked-recently"
	tooSlow          = "too-slow"
	vendorFailed     = "vendor-failed"
	unavailable      = "unavailable"
)

var messages = map[string]string{
	badRequest: `name an agreement, as in {"provider": "docusign", "agreementId": "ID"}`,
	notAsked: "the vendor was not asked: there are no credentials of its API; add them (see " +
		"shared/docs/after-the-event.md), and wait for the webhook until then",
	unknownAgreement: "the vendor has no such agreement, or the credentials cannot see it: check the ID, and whether " +
		"the agreement belongs to the account of the credentials",
	denied: "the vendor does not accept the credentials, or they lack a permission: make registered shows more, and so " +
		"does the log; wait for the webhook until then",
	rateLimited:   "the vendor's rate limit is exhausted: retry later, or wait for the webhook",
	askedRecently: "the vendor was asked before and gave no answer: retry later, or wait for the webhook",
	tooSlow:       "the vendor did not answer in time: retry later, or wait for the webhook",
	vendorFailed:  "the vendor's API failed: retry later, or wait for the webhook",
	unavailable: "the table cannot be reached, or the secret cannot be read or is wrong: look into the log, and " +
		"retry",
}

func problem(code string, retryAfter time.Duration) Reply {
	seconds := int((max(retryAfter, 0) + time.Second - 1) / time.Second)
	return Reply{Error: &Problem{code, messages[code], seconds}}
}

// Confirm asks the vendor about one agreement now, and enters what is new like any finding. It does not wait until the
// worker has processed that. It answers within [ConfirmTimeout].
//
// It asks once within the vendor's Pause, whatever process is asked. Until then it repeats what the vendor said.
func (r *Reconciler) Confirm(ctx context.Context, q Question) Reply {
	ctx, cancel := context.WithTimeout(ctx, ConfirmTimeout)
	defer cancel()
	if q.Provider == "" || q.AgreementID == "" {
		return problem(badRequest, 0)
	}
	provider, ok := webhook.Find(r.Providers, q.Provider)
	if !ok {
		return Reply{Error: &Problem{Code: unknownProvider, Message: "the providers are: " + webhook.Names(r.Providers)}}
	}
	p := r.pass(provider.Info())
	p.log = p.log.With("agreement", webhook.Label(q.AgreementID))
	var err error
	if p.client, err = r.Clients(ctx, p.provider); err != nil {
		return p.failed(ctx, err, unavailable)
	}
	return p.confirm(ctx, q.AgreementID)
}

func (p *pass) confirm(ctx context.Context, id string) Reply {
	last := &lastAsked{pass: p, id: id}
	for {
		if err := last.load(ctx); err != nil {
			return p.failed(ctx, err, unavailable)
		}
		if last.State != nil {
			return p.repeat(ctx, last)
		}
		wait := last.Until.Sub(p.settings.Now())
		if wait <= 0 {
			ok, err := last.reserve(ctx)
			if err != nil {
				return p.failed(ctx, err, unavailable)
			} else if ok {
				return p.askNow(ctx, last)
			}
			continue // another process asks
		}
		if last.By == "" || p.settings.Now().Sub(last.At) > ConfirmTimeout || sleep(ctx, lookAgain) != nil {
			return problem(askedRecently, wait)
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// repeat answers as the vendor did when it was asked last.
func (p *pass) repeat(ctx context.Context, last *lastAsked) Reply {
	ours, err := p.ours(ctx, last.State.ID)
	if err != nil {
		return p.failed(ctx, err, unavailable)
	}
	c, _ := p.compose(ours, last.State.agreement(), last.At)
	c.Recently = true
	return Reply{Confirmation: &c}
}

// askNow asks the vendor, and keeps the answer. The question is reserved.
func (p *pass) askNow(ctx context.Context, last *lastAsked) Reply {
	if err := p.load(ctx); err != nil { // then the vendor itself answers with its limit
		p.log.ErrorContext(ctx, "not known whether the vendor's rate limit is exhausted", "error", err)
	} else if wait := p.progress.RetryAfter.Sub(p.settings.Now()); wait > 0 && wait <= maxWait {
		last.release(ctx, 0)
		return problem(rateLimited, wait)
	}
	end, _ := ctx.Deadline()
	asking, cancel := context.WithDeadline(ctx, end.Add(-afterwards))
	defer cancel()
	a, err := p.client.Agreement(asking, last.id)
	if err == nil && a.ID == "" {
		err = vendorapi.ErrUnknown
	}
	if err != nil {
		return p.refused(ctx, last, err, asking.Err() != nil)
	}
	ours, err := p.ours(ctx, a.ID)
	if err != nil {
		last.release(ctx, retryFailed)
		return p.failed(ctx, err, unavailable)
	}
	p.reportContradiction(ctx, ours, a)
	c, found := p.compose(ours, a, last.At)
	if ours.ID == "" {
		if forgotten, err := p.forgotten(ctx, a.ID); err != nil {
			last.release(ctx, retryFailed)
			return p.failed(ctx, err, unavailable)
		} else if forgotten { // nothing is kept of it
			last.release(ctx, 0)
			return Reply{Confirmation: &c}
		}
	}
	var both sync.WaitGroup
	both.Go(func() { last.keep(ctx, a) })
	both.Go(func() { c.Entered = found != nil && p.enter(ctx, *found) })
	both.Wait()
	return Reply{Confirmation: &c}
}

// compose returns what the vendor says, and the finding of what our agreement lacks. That is nil if it lacks nothing,
// or if the table may have held the agreement once, so that it would complete a second time.
func (p *pass) compose(ours esign.Agreement, a vendorapi.Agreement, asked time.Time) (Confirmation,
	*webhook.Delivery) {
	c := Confirmation{Agreement: ours, VendorStatus: webhook.Label(a.VendorStatus), AskedAt: asked}
	var found *webhook.Delivery
	if a.Status != "" && misses(ours, a.Status) {
		d, after := p.statusFinding(ours, a)
		c.Agreement, found = after, &d
	} else if d, after, ok := p.updateFinding(ours, a, asked, true); ok {
		c.Agreement, found = after, &d
	}
	c.Agreement.Provider, c.Agreement.ID = p.provider, webhook.AgreementID(a.ID)
	if ours.ID == "" && (a.Status == "" || p.expired(a.ChangedAt)) {
		found = nil
	}
	c.Contradicted = p.overrule(&c.Agreement, a)
	return c, found
}

// enter sends a finding, and reports whether it could. If not, a webhook or a pass brings it.
func (p *pass) enter(ctx context.Context, d webhook.Delivery) bool {
	if err := p.send(ctx, d); err != nil {
		p.log.ErrorContext(ctx, "confirmed now, and not entered", "event", d.EventID, "error", err)
		return false
	}
	p.log.InfoContext(ctx, "confirmed now, and entered", "event", d.EventID)
	return true
}

// refused says why the vendor gave no answer. It lets the next question ask again if that does no harm.
func (p *pass) refused(ctx context.Context, last *lastAsked, err error, late bool) Reply {
	var later *vendorapi.LaterError
	switch {
	case errors.As(err, &later):
		last.release(ctx, 0)
		p.progress.RetryAfter = p.settings.Now().UTC().Add(min(later.After, maxWait))
		if err := p.save(ctx); err != nil { // a concurrent pass meets the limit itself
			p.log.InfoContext(ctx, "the vendor's rate limit is not noted", "error", err)
		}
		return problem(rateLimited, later.After)
	case errors.Is(err, vendorapi.ErrNotReady):
		wait := last.release(ctx, p.client.Pause())
		p.log.InfoContext(ctx, "not confirmed", "error", err)
		return problem(askedRecently, wait)
	case errors.Is(err, vendorapi.ErrUnknown), errors.Is(err, vendorapi.ErrInvalid),
		errors.Is(err, vendorapi.ErrDenied), errors.Is(err, errors.ErrUnsupported):
		last.release(ctx, 0)
		return p.failed(ctx, err, vendorFailed)
	}
	wait := last.release(ctx, retryFailed)
	code := vendorFailed
	if late {
		code = tooSlow
	}
	p.log.ErrorContext(ctx, "not confirmed", "error", err)
	return problem(code, wait)
}

// failed logs an error and returns its problem, which has the given code if the error has no other meaning.
func (p *pass) failed(ctx context.Context, err error, code string) Reply {
	switch {
	case errors.Is(err, vendorapi.ErrOff), errors.Is(err, errors.ErrUnsupported):
		return problem(notAsked, 0)
	case errors.Is(err, vendorapi.ErrUnknown), errors.Is(err, vendorapi.ErrInvalid):
		code = unknownAgreement
	case errors.Is(err, vendorapi.ErrDenied):
		code = denied
	}
	p.log.ErrorContext(ctx, "not confirmed", "error", err)
	return problem(code, 0)
}

// overrule makes an agreement as the vendor says where that contradicts how the agreement or a person has ended. Only
// forged events explain that, or a vendor whose API is late. It reports whether there was such a contradiction.
//
// A vendor's API knows fewer statuses on the way than its webhooks report, so these stay.
func (p *pass) overrule(ours *esign.Agreement, a vendorapi.Agreement) (contradicted bool) {
	if a.Status != "" && ours.Status.Terminal() && ours.Status != a.Status {
		kept := esign.Agreement{Status: a.Status}
		for status, at := range ours.Reached {
			if !status.Terminal() || status == a.Status {
				kept = esign.Fold(kept, esign.Event{
					Type: esign.Type("agreement." + status), OccurredAt: at, Approximate: ours.Approximate[status],
				})
			}
		}
		ours.Status, ours.Reached, ours.Approximate, ours.Conflict = kept.Status, kept.Reached, kept.Approximate, false
		contradicted = true
	}
	people := maps.Clone(ours.Participants)
	for id, known := range people {
		i := slices.IndexFunc(a.Participants, func(p esign.Participant) bool { return samePerson(id, known.Aliases, p) })
		if i < 0 || known.Status.Before(esign.Signed) {
			continue
		}
		if says := a.Participants[i]; says.Status != "" && says.Status.Before(known.Status) {
			known.Status, known.At, known.Approximate, contradicted = says.Status, says.At, says.Approximate, true
			if known.At.IsZero() {
				known.At, known.Approximate = p.began, true
			}
			people[id] = known
		}
	}
	ours.Participants = people
	return contradicted
}

// samePerson reports whether a participant has one of these keys.
func samePerson(id string, aliases []string, p esign.Participant) bool {
	return slices.ContainsFunc(append(slices.Clone(p.Aliases), p.ID), func(key string) bool {
		return esign.Digest(key) == esign.Digest(id) ||
			slices.ContainsFunc(aliases, func(alias string) bool { return esign.Digest(alias) == esign.Digest(key) })
	})
}
