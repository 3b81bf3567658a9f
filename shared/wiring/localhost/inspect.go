package localhost

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/receive"
	bus "esignhooks/shared/store/bus/embedded"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// serveRequests lists the last requests of vendors, the newest first.
func (g *Gateway) serveRequests(w http.ResponseWriter, r *http.Request) {
	part, err := partOf(r.URL.Query(), "requests")
	var before uint64
	if err == nil && part.after != "" {
		if before, err = g.requests.numberOf(part.after); err != nil {
			err = errAfter
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	page := struct {
		Requests []Request `json:"requests"`
		Next     string    `json:"next,omitempty"`
	}{Requests: []Request{}}
	for _, x := range g.requests.newest(before) {
		if !part.of(x.provider) {
			continue
		}
		if n := len(page.Requests); n == part.limit {
			page.Next = part.cursor(page.Requests[n-1].ID)
			break
		}
		page.Requests = append(page.Requests, g.listed(r.Context(), x))
	}
	answer(w, page, nil)
}

// listed returns the request as it is listed, with what its first event is at present.
func (g *Gateway) listed(ctx context.Context, x *exchange) Request {
	shown := g.requests.list(x)
	if len(x.events) > 0 {
		if e, err := g.ledger.Event(ctx, keyOf(x.events[0])); err == nil {
			shown.State, shown.Type = e.State, eventOf(e).Type
		}
	}
	return shown
}

func keyOf(e receive.ObservedEvent) ledger.Key { return ledger.Key{Subject: e.Subject, ID: e.EventID} }

// inspected is all that is known of a request, without secrets.
type inspected struct {
	Request
	Path       string              `json:"path"`
	Query      map[string][]string `json:"query"`
	Headers    map[string][]string `json:"headers"`
	HeadersCut bool                `json:"headersCut"` // not all of the headers and the query is kept
	Body       string              `json:"body"`
	Base64     bool                `json:"isBase64Encoded"` // the body is not text
	Steps      []step              `json:"steps"`
	Answer     answered            `json:"answer"`
	Events     []traced            `json:"events"`
}

type answered struct {
	Status     int                 `json:"status"`
	Headers    map[string][]string `json:"headers"`
	Body       string              `json:"body"`
	DurationMS float64             `json:"durationMs"`
}

// step is one step of the verification of a request.
type step struct {
	Name   string `json:"name"`
	Result string `json:"result"` // passed, failed or skipped
	Detail string `json:"detail"`
}

// traced is what became of an event of a request.
type traced struct {
	ID           string           `json:"id"`
	Subject      string           `json:"subject"`
	VendorType   string           `json:"vendorType"`
	AgreementID  string           `json:"agreementId"`
	StateBefore  string           `json:"stateBefore"` // in which the request found it; new for the first delivery
	Duplicate    bool             `json:"duplicate"`
	Why          string           `json:"why"` // it is or is not a duplicate
	Event        *event           `json:"event"`
	StatusBefore esign.Status     `json:"statusBefore"`
	StatusAfter  esign.Status     `json:"statusAfter"`
	Before       *esign.Agreement `json:"before"` // null: there was none
	After        *esign.Agreement `json:"after"`  // null until the event is processed
	Published    []bus.Published  `json:"published"`
}

// serveRequest shows one request.
func (g *Gateway) serveRequest(w http.ResponseWriter, r *http.Request, id string) {
	x, ok := g.requests.find(id)
	if !ok {
		http.Error(w, noSuchRequest, http.StatusNotFound)
		return
	}
	mask := g.requests.mask
	shown := inspected{
		Request: g.listed(r.Context(), x), Path: "/webhooks/" + x.provider, Query: mask.values(x.url.Query()),
		Headers: mask.header(x.header), HeadersCut: x.headerCut, Steps: g.steps(x), Events: []traced{},
	}
	if x.hasToken() {
		shown.Path += "/" + redacted
	}
	shown.Body, shown.Base64 = g.requests.text(x.body, x.bodyCut)
	shown.Answer = answered{x.status, mask.header(x.answerHeader), mask.mask(string(x.answer)), shown.DurationMS}
	for _, e := range x.events {
		t, err := g.trace(r.Context(), e)
		if err != nil {
			answer(w, nil, err)
			return
		}
		t.AgreementID, t.VendorType = mask.mask(t.AgreementID), mask.mask(t.VendorType)
		if t.Event != nil {
			for i, via := range t.Event.Via { // it may hold a client ID
				t.Event.Via[i] = mask.mask(via)
			}
		}
		shown.Events = append(shown.Events, t)
	}
	answer(w, shown, nil)
}

var noSuchRequest = fmt.Sprintf("no such request: the last %d are kept, until the gateway ends", maxRequests)

// hasToken reports whether the path had a segment for a token.
func (x *exchange) hasToken() bool {
	rest, _ := strings.CutPrefix(x.url.EscapedPath(), "/webhooks/"+x.provider)
	return strings.Trim(rest, "/") != ""
}

// maxTraced is how many of the last publications are searched for an event.
const maxTraced = 10_000

func (g *Gateway) trace(ctx context.Context, o receive.ObservedEvent) (traced, error) {
	t := traced{
		ID: o.EventID, Subject: o.Subject, VendorType: o.VendorType, AgreementID: o.AgreementID,
		StateBefore: cmp.Or(string(o.Before), "new"), Duplicate: o.Before != ledger.New, Why: why(o),
	}
	e, err := g.ledger.Event(ctx, keyOf(o))
	if err == nil && e.State == ledger.Duplicate {
		e, err = g.ledger.Event(ctx, ledger.Key{Subject: o.Subject, ID: e.DuplicateOf})
	}
	if err != nil {
		return t, err
	}
	if t.Published, err = g.bus.About(e.ID, maxTraced); err != nil {
		return t, err
	}
	if e.State == ledger.New { // not claimed, or forgotten
		return t, nil
	}
	history, err := g.ledger.History(ctx, o.Subject)
	if err != nil {
		return t, err
	}
	for _, other := range ledger.InOrderOfCommits(history) {
		if other.ID == e.ID {
			e.Duplicates = other.Duplicates // also under other IDs
			break
		}
		if other.Agreement != nil {
			t.Before = other.Agreement
		}
	}
	shown := eventOf(e)
	t.Event, t.StatusBefore, t.StatusAfter, t.After = &shown, e.StatusBefore, e.StatusAfter, e.Agreement
	return t, nil
}

// why says why an event is or is not a duplicate.
func why(o receive.ObservedEvent) string {
	text := map[ledger.State]string{
		ledger.New:        "No earlier request has this event ID.",
		ledger.Received:   "An earlier request has this event ID, and its event is not processed yet.",
		ledger.Processed:  "An earlier request has this event ID, and its event is processed.",
		ledger.Duplicate:  "This event was processed before, under the event ID of an earlier release.",
		ledger.Unreadable: "An earlier request has this event ID, and it could not be read.",
		ledger.Failed:     "An earlier request has this event ID, and the queue has given up on it.",
	}[o.Before]
	switch {
	case o.Before == ledger.New:
	case o.Enqueued:
		text += " It was enqueued again, which has no second effect."
	default:
		text += " It was acknowledged, and has no second effect."
	}
	return text
}

// steps returns the steps of the verification, in order. Steps after a failure are skipped.
func (g *Gateway) steps(x *exchange) (steps []step) {
	keys := g.config.Keys[x.provider]
	failed := false
	add := func(name, result, format string, values ...any) {
		detail := g.requests.mask.mask(fmt.Sprintf(format, values...))
		if failed {
			result, detail = "skipped", "Not reached."
		}
		failed = failed || result == "failed"
		steps = append(steps, step{name, result, detail})
	}
	observed := x.failure != "" || x.outcome != receive.Refused && x.outcome != receive.Unavailable
	switch tokens := len(keys.URLTokens); {
	case x.status == http.StatusNotFound && !observed:
		add("url-token", "failed", "The path is neither /webhooks/%s nor /webhooks/%[1]s/{token}.", x.provider)
	case !observed:
		add("url-token", "skipped", "Not reached.")
	case x.status == http.StatusNotFound && x.hasToken():
		add("url-token", "failed", "The token in the path is not one of the %d that are configured.", tokens)
	case x.status == http.StatusNotFound:
		add("url-token", "failed", "The path has no token. Configured tokens: %d.", tokens)
	case tokens == 0:
		add("url-token", "skipped", "No token is configured for this vendor.")
	default:
		add("url-token", "passed", "The token in the path is one of the configured ones: %d.", tokens)
	}
	switch x.status {
	case http.StatusMethodNotAllowed:
		add("method", "failed", "The vendor does not use %s. Send a POST.", x.method)
	case http.StatusRequestEntityTooLarge:
		add("size", "failed", "%d bytes are more than the limit of %d.", x.bodyBytes, webhook.MaxBody)
	default:
		add("size", "passed", "%d bytes.", x.bodyBytes)
	}
	if !observed {
		failed = true
	}
	switch genuine := x.proof != ""; {
	case x.outcome == receive.Challenge:
		add("challenge", "passed", "The vendor has verified the URL. It got the answer below.")
		return steps
	case x.status == http.StatusUnauthorized && x.method == http.MethodGet:
		add("challenge", "failed", "The verification of the URL is refused: %s.", x.failure)
	default:
		add("challenge", "skipped", "The request is no verification of the URL.")
		switch n := len(keys.Keys.Keys); {
		case x.status == http.StatusServiceUnavailable && !genuine:
			add("keys", "failed", "The keys cannot be read: %s.", x.failure)
		case keys.Development:
			add("keys", "passed", "The development key, since $%s is not set.", g.info(x.provider).KeysVariable)
		case n == 0:
			add("keys", "passed", "No key is configured.")
		default:
			add("keys", "passed", "Configured keys: %d.", n)
		}
		if genuine {
			add("verify", "passed", "Genuine: %s.", x.proof)
		} else {
			add("verify", "failed", "Not genuine: %s.", x.failure)
		}
	}
	for _, e := range x.events {
		if e.Subject == webhook.UnreadableSubject(x.provider) {
			add("identify", "passed", "The body cannot be read. Its hash is the event ID %s.", e.EventID)
		} else {
			add("identify", "passed", "Event ID %s of %s.", e.EventID, e.Subject)
		}
		add("claim", "passed", "%s", why(e))
		switch {
		case e.Enqueued:
			add("enqueue", "passed", "The event is in the worker's queue.")
		case x.outcome == receive.Unavailable:
			add("enqueue", "failed", "The queue did not take the event: %s.", x.failure)
		default:
			add("enqueue", "skipped", "The worker has nothing left to do.")
		}
	}
	return steps
}

func (g *Gateway) info(provider string) webhook.Info {
	p, _ := webhook.Find(g.providers, provider)
	return p.Info()
}
