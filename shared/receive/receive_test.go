package receive_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var errDown = errors.New("out of reach")

// world holds a receiver's dependencies: a real ledger, a queue that records messages, and faults.
type world struct {
	*receive.Receiver
	ledger *embedded.Ledger
	sent   []queue.Message
	log    bytes.Buffer
	lines  bytes.Buffer // of metrics

	keysErr, claimErr, countErr, putErr, sendErr error
	happens                                      bool // the failed call takes effect all the same
}

func newWorld(t *testing.T, p webhook.Provider, keys webhook.Keys) *world {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	w := &world{}
	if w.ledger, err = embedded.New(groupcommit.New(db)); err != nil {
		t.Fatal(err)
	}
	w.Receiver = &receive.Receiver{
		Provider: p, Keys: func(context.Context) (webhook.Keys, error) { return keys, w.keysErr },
		Claims: w, Payloads: faultyStore{folder.New(t.TempDir()), w}, Queue: w,
		Now: func() time.Time { return webhooktest.ReceivedAt }, Log: slog.New(slog.NewJSONHandler(&w.log, nil)),
	}
	w.Metrics = metric.New(&w.lines, namespace, w.Now)
	return w
}

const namespace = "esignhooks/stack"

func (w *world) Claim(ctx context.Context, c ledger.Claim) (ledger.Found, error) {
	if w.claimErr != nil {
		if w.happens {
			w.ledger.Claim(ctx, c)
		}
		return ledger.Found{}, w.claimErr
	}
	return w.ledger.Claim(ctx, c)
}

func (w *world) Repeated(ctx context.Context, key ledger.Key, via string) error {
	if w.countErr != nil {
		return w.countErr
	}
	return w.ledger.Repeated(ctx, key, via)
}

func (w *world) Send(_ context.Context, m queue.Message) error {
	if w.sendErr == nil || w.happens {
		w.sent = append(w.sent, m)
	}
	return w.sendErr
}

type faultyStore struct {
	payload.Store
	w *world
}

func (s faultyStore) Put(ctx context.Context, key string, body []byte) error {
	if s.w.putErr != nil {
		return s.w.putErr
	}
	return s.Store.Put(ctx, key, body)
}

func (w *world) history(t *testing.T, subject string) []ledger.Entry {
	t.Helper()
	history, err := w.ledger.History(t.Context(), subject)
	if err != nil {
		t.Fatal(err)
	}
	return history
}

var (
	provider = acmesign.Provider{}
	genuine  = webhooktest.DevelopmentKeys(provider)
	at       = webhooktest.ReceivedAt.Add(-time.Hour)
)

// completed returns a request with one event.
func completed() *webhook.Request {
	return acmesign.Request(acmesign.Event{Number: 1, Type: "completed", Agreement: "a1", At: at})
}

// several returns a request with n events, each about an agreement of its own.
func several(n int) *webhook.Request {
	var events []acmesign.Event
	for i := range n {
		events = append(events, acmesign.Event{
			Number: int64(i + 1), Type: "completed", Agreement: fmt.Sprint("a", i+1), At: at,
		})
	}
	return acmesign.Request(events...)
}

// signed returns a genuine request with this body.
func signed(t *testing.T, body string) *webhook.Request {
	t.Helper()
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	if err := provider.Sign(r, genuine.Keys[0], time.Time{}); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAnswers is the table of answers.
func TestAnswers(t *testing.T) {
	withToken := webhook.Keys{Keys: genuine.Keys, URLTokens: webhook.Secrets("token-one", "token-two")}
	certified := webhook.Keys{Keys: genuine.Keys, Certificates: certificates(t)}
	for name, tt := range map[string]struct {
		keys    webhook.Keys
		request *webhook.Request
		fault   func(*world)
		want    int
		sent    int
		header  string // name: value
		metric  string // and the reason in the log line of a refusal
	}{
		"genuine": {genuine, completed(), nil, 200, 1, "", "Received"},
		"genuine, unknown event": {
			genuine, signed(t, `{"events":[{"number":7,"type":"teleported","agreement":"e"}]}`), nil, 200, 1, "", "Received",
		},
		"genuine, unreadable": {genuine, signed(t, `{"events":`), nil, 200, 1, "", "Received"},
		"genuine, empty":      {genuine, signed(t, ``), nil, 200, 1, "", "Received"},
		"genuine, not UTF-8":  {genuine, signed(t, "\xff\xfe\x00"), nil, 200, 1, "", "Received"},
		"genuine, nested too deep": {
			genuine, signed(t, strings.Repeat("[", 200000)), nil, 200, 1, "", "Received",
		},
		"no signature": {
			genuine, &webhook.Request{Method: "POST", Header: http.Header{}, Body: []byte(`{}`)}, nil, 401, 0, "",
			"Refused signature",
		},
		"no key": {webhook.Keys{}, completed(), nil, 401, 0, "", "Refused no key"},
		"GET": {
			genuine, &webhook.Request{Method: "GET", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method",
		},
		"HEAD": {
			genuine, &webhook.Request{Method: "HEAD", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method",
		},
		"PUT": {
			genuine, &webhook.Request{Method: "PUT", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method",
		},
		"no URL token": {withToken, completed(), nil, 404, 0, "", "Refused URL token"},
		"wrong URL token": {
			withToken, tokened(completed(), "token-three"), nil, 404, 0, "", "Refused URL token",
		},
		"wrong URL token by GET": {
			withToken, &webhook.Request{Method: "GET", URLToken: "token"}, nil, 404, 0, "", "Refused URL token",
		},
		"second URL token":                 {withToken, tokened(completed(), "token-two"), nil, 200, 1, "", "Received"},
		"a URL token where none is needed": {genuine, tokened(completed(), "token"), nil, 200, 1, "", "Received"},
		"a certificate is missing":         {certified, completed(), nil, 401, 0, "", "Refused client certificate"},
		"a certificate, and a wrong signature": {
			certified, shown(signed(t, "x"), "CN=a", "X"), nil, 401, 0, "", "Refused signature",
		},
		"a certificate": {certified, shown(completed(), "CN=a", ""), nil, 200, 1, "", "Received"},
		"a foreign certificate": {
			certified, shown(completed(), "CN=b", ""), nil, 401, 0, "", "Refused client certificate",
		},
		"GET without a certificate": {
			certified, &webhook.Request{Method: "GET", Header: http.Header{}}, nil, 405, 0, "Allow: POST", "Refused method",
		},
		"over the size limit": {
			genuine, signed(t, strings.Repeat(" ", webhook.MaxBody+1)), nil, 413, 0, "", "Refused size",
		},
		"at the size limit": {
			genuine, signed(t, strings.Repeat(" ", webhook.MaxBody)), nil, 200, 1, "", "Received",
		},
		"keys cannot be read": {
			genuine, completed(), func(w *world) { w.keysErr = errDown }, 503, 0, "Retry-After: 30", "Unavailable",
		},
		"claim store out of reach": {
			genuine, completed(), func(w *world) { w.claimErr = errDown }, 200, 1, "", "Received",
		},
		"claim store failed after it had it": {
			genuine, completed(), func(w *world) { w.claimErr, w.happens = errDown, true }, 200, 1, "", "Received",
		},
		"queue out of reach": {
			genuine, completed(), func(w *world) { w.sendErr = errDown }, 503, 0, "Retry-After: 30", "Unavailable",
		},
		"queue failed after it had it": {
			genuine, completed(), func(w *world) { w.sendErr, w.happens = errDown, true }, 503, 1, "Retry-After: 30",
			"Unavailable",
		},
		"payload store out of reach, not used": {
			genuine, completed(), func(w *world) { w.putErr = errDown }, 200, 1, "", "Received",
		},
		"payload store out of reach, large one": {
			genuine, signed(t, strings.Repeat(" ", 2<<20)), func(w *world) { w.putErr = errDown }, 503, 0, "Retry-After: 30",
			"Unavailable",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, provider, tt.keys)
			if tt.fault != nil {
				tt.fault(w)
			}
			answer := w.Receive(t.Context(), webhooktest.Clone(tt.request))
			if answer.Status != tt.want || len(w.sent) != tt.sent {
				t.Errorf("answered %d with %d messages, want %d with %d\n%s", answer.Status, len(w.sent), tt.want, tt.sent, &w.log)
			}
			if name, value, ok := strings.Cut(tt.header, ": "); ok && answer.Header.Get(name) != value {
				t.Errorf("header %s: %q, want %q", name, answer.Header.Get(name), value)
			}
			if (tt.want == 401 || tt.want == 404) && (len(answer.Body) > 0 || len(answer.Header) > 0) {
				t.Errorf("a refusal reveals %q, %v", answer.Body, answer.Header)
			}
			name, reason, _ := strings.Cut(tt.metric, " ")
			lines := metrictest.Read(t, namespace, w.lines.String())
			if len(lines) != 1 || lines[0].Provider != "acmesign" || lines[0].Values[name] != 1 {
				t.Errorf("counted %+v, want %s", lines, tt.metric)
			}
			var wrongKey float64
			if reason == "signature" || reason == "no key" || reason == "client certificate" {
				wrongKey = 1
			}
			if got := lines[0].Values["WrongKey"]; got != wrongKey {
				t.Errorf("%v wrong keys, want %v", got, wrongKey)
			}
			if reason != "" && !strings.Contains(w.log.String(), `"reason":"`+reason+`"`) {
				t.Errorf("the log does not name the reason %q: %s", reason, &w.log)
			}
			if events, err := w.ledger.Events(); err != nil ||
				(tt.want == 401 || tt.want == 404 || tt.want == 413 || tt.want == 405) && len(events) > 0 {
				t.Errorf("a refusal left %+v, %v", events, err)
			}
		})
	}
}

// certificates demand the subject CN=a at mtls.example.com.
func certificates(t *testing.T) webhook.ClientCertificates {
	t.Helper()
	c, err := webhook.ParseClientCertificates("mtls.example.com", "CN=a")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// shown returns a request that came by the domain with a certificate. If changed is not empty, it follows the body.
func shown(r *webhook.Request, subject, changed string) *webhook.Request {
	r.Domain, r.ClientSubject, r.Body = "mtls.example.com", subject, append(r.Body, changed...)
	return r
}

func tokened(r *webhook.Request, token string) *webhook.Request {
	r.URLToken = token
	return r
}

func TestEachEventOfAnAcknowledgedRequestIsCounted(t *testing.T) {
	w := newWorld(t, provider, genuine)
	clock := webhooktest.ReceivedAt
	w.Now = func() time.Time { return clock }
	w.Keys = func(context.Context) (webhook.Keys, error) {
		clock = clock.Add(1500 * time.Microsecond)
		return genuine, nil
	}
	want := func(what string, duplicates float64) {
		t.Helper()
		w.lines.Reset()
		if answer := w.Receive(t.Context(), several(2)); answer.Status != 200 {
			t.Fatalf("%s: answered %d", what, answer.Status)
		}
		want := []metrictest.Line{{
			Provider:   "acmesign",
			Values:     map[string]float64{"Received": 2, "Duplicate": duplicates, "AcknowledgeTime": 1.5},
			OfProvider: []string{"Received"},
		}}
		if diff := cmp.Diff(want, metrictest.Read(t, namespace, w.lines.String())); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	want("new", 0)
	want("received before", 2)
	done := ledger.Claim{Key: ledger.Key{Subject: "acmesign#a1", ID: webhook.EventID("acmesign", "1")}}
	if err := w.ledger.Commit(t.Context(), ledger.Commit{Claim: done}); err != nil {
		t.Fatal(err)
	}
	want("one of them processed", 2)
	w.claimErr = errDown
	want("unknown whether they are new", 0)
}

// challenger is a vendor that verifies a URL by GET, with this outcome.
type challenger struct {
	acmesign.Provider
	err    error
	panics bool
}

func (challenger) Info() webhook.Info {
	info := acmesign.Provider{}.Info()
	info.Allow = "GET, POST"
	return info
}

func (c challenger) Challenge(r *webhook.Request, keys webhook.Keys) (*webhook.Response, error) {
	if c.panics {
		panic("secret of the request")
	}
	if r.Method != http.MethodGet {
		return c.Provider.Challenge(r, keys)
	}
	return &webhook.Response{Status: http.StatusOK, Body: []byte("hello")}, c.err
}

func TestChallenges(t *testing.T) {
	withToken := webhook.Keys{Keys: genuine.Keys, URLTokens: webhook.Secrets("token-one")}
	get := &webhook.Request{Method: http.MethodGet, Header: http.Header{}}
	forged := acmesign.Challenge("hello")
	forged.Body = append(forged.Body, []byte(`,"events":[]`)...)
	refused := fmt.Errorf("challenge: %w", webhook.ErrNotGenuine)
	for name, tt := range map[string]struct {
		provider webhook.Provider
		keys     webhook.Keys
		request  *webhook.Request
		want     int
		body     string
		metric   string
		sent     int
	}{
		"POST":                       {provider, genuine, acmesign.Challenge("hello"), 200, "hello", "", 0},
		"POST before there are keys": {provider, webhook.Keys{}, acmesign.Challenge("hello"), 200, "hello", "", 0},
		"POST with the URL token": {
			provider, withToken, tokened(acmesign.Challenge("hello"), "token-one"), 200, "hello", "", 0,
		},
		"POST without the URL token": {provider, withToken, acmesign.Challenge("hello"), 404, "", "Refused", 0},
		"POST that is not quite one": {provider, genuine, forged, 401, "", "Refused WrongKey", 0},
		"PUT": {
			provider, genuine, &webhook.Request{Method: "PUT", Body: forged.Body}, 405, "This URL", "Refused", 0,
		},
		"GET":                 {challenger{}, genuine, get, 200, "hello", "", 0},
		"GET that is refused": {challenger{err: refused}, genuine, get, 401, "", "Refused WrongKey", 0},
		"GET before there are keys": {
			challenger{err: webhook.ErrNoKey}, webhook.Keys{}, get, 401, "", "Refused WrongKey", 0,
		},
		"GET of an unknown kind": {
			challenger{err: webhook.ErrNoChallenge}, genuine, get, 405, "This URL", "Refused", 0,
		},
		"POST of an event":            {challenger{err: refused}, genuine, completed(), 200, "thanks", "Received", 1},
		"a panic, and a genuine POST": {challenger{panics: true}, genuine, completed(), 200, "thanks", "Received", 1},
		"a panic, and a POST without keys": {
			challenger{panics: true}, webhook.Keys{}, completed(), 401, "", "Refused WrongKey", 0,
		},
		"a panic, and a forged POST": {
			challenger{panics: true}, genuine, acmesign.Challenge("hello"), 401, "", "Refused WrongKey", 0,
		},
		"a panic, and a GET": {challenger{panics: true}, genuine, get, 405, "This URL", "Refused", 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.provider, tt.keys)
			answer := w.Receive(t.Context(), webhooktest.Clone(tt.request))
			if answer.Status != tt.want || !strings.HasPrefix(string(answer.Body), tt.body) || len(w.sent) != tt.sent {
				t.Errorf("answered %d %q, %d messages", answer.Status, answer.Body, len(w.sent))
			}
			if tt.want == 401 && len(answer.Body)+len(answer.Header) > 0 {
				t.Errorf("the refusal shows %+v", answer)
			}
			if tt.want == 405 && answer.Header.Get("Allow") != tt.provider.Info().Allow {
				t.Errorf("Allow: %q", answer.Header.Get("Allow"))
			}
			var counted []string
			for _, line := range metrictest.Read(t, namespace, w.lines.String()) {
				counted = append(counted, line.OfProvider...)
			}
			if got := strings.Join(counted, " "); got != tt.metric {
				t.Errorf("counted %q, want %q", got, tt.metric)
			}
			events, err := w.ledger.Events()
			if err != nil || len(events) != tt.sent {
				t.Errorf("%d events, %v", len(events), err)
			}
			log := w.log.String()
			if answered := tt.want == 200 && tt.sent == 0; strings.Contains(log, "challenge answered") != answered {
				t.Errorf("log: %s", log)
			}
			if strings.Contains(log, "secret of the request") || strings.Contains(log, "hello") {
				t.Errorf("the log quotes the request: %s", log)
			}
		})
	}
}

// TestRepetition checks that the state found in the ledger decides whether the event is sent to the queue again.
func TestRepetition(t *testing.T) {
	r := completed()
	w := newWorld(t, provider, genuine)

	w.sendErr = errDown // claimed, not sent, not acknowledged
	if answer := w.Receive(t.Context(), r); answer.Status != 503 {
		t.Fatalf("answered %d", answer.Status)
	}
	w.sendErr = nil // the vendor's retry finds "received", and sends
	if answer := w.Receive(t.Context(), r); answer.Status != 200 || len(w.sent) != 1 {
		t.Fatalf("answered %d with %d messages", answer.Status, len(w.sent))
	}
	const subject = "acmesign#a1"
	entry := w.history(t, subject)[0]
	if entry.State != ledger.Received || entry.Duplicates != 1 {
		t.Errorf("%+v", entry)
	}

	agreement := esign.Agreement{Provider: "acmesign", ID: entry.AgreementID, Status: esign.Completed}
	commit := ledger.Commit{
		Claim:     ledger.Claim{Key: entry.Key, Provider: "acmesign"},
		Event:     esign.Event{Type: esign.AgreementCompleted, AgreementID: entry.AgreementID},
		Agreement: &agreement,
	}
	if err := w.ledger.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	w.countErr = errDown // does not matter
	if answer := w.Receive(t.Context(), r); answer.Status != 200 || len(w.sent) != 1 {
		t.Errorf("a duplicate of what is processed: answered %d with %d messages", answer.Status, len(w.sent))
	}
	w.countErr = nil
	w.Receive(t.Context(), r)
	if entry := w.history(t, subject)[0]; entry.State != ledger.Processed || entry.Duplicates != 2 {
		t.Errorf("%+v", entry)
	}
}

// TestTheExactTimeIsSent checks which copies of an event are sent, and under which deduplication ID. The queue drops a
// second message with the same one.
func TestTheExactTimeIsSent(t *testing.T) {
	timeless := acmesign.Event{Number: 1, Type: "signed", Agreement: "a1"}
	exact := timeless
	exact.At = at
	id := identity(t, acmesign.Request(exact)).EventID
	for name, tt := range map[string]struct {
		first, second acmesign.Event
		processed     bool
		want          []string
	}{
		"received without a time, then with it":  {timeless, exact, false, []string{id, id + ".exact"}},
		"received with its time, then without":   {exact, timeless, false, []string{id, id + ".inexact"}},
		"received twice without a time":          {timeless, timeless, false, []string{id, id}},
		"received twice with its time":           {exact, exact, false, []string{id, id}},
		"processed without a time, then with it": {timeless, exact, true, []string{id, id + ".exact"}},
		"processed with its time, then without":  {exact, timeless, true, []string{id}},
		"processed twice without a time":         {timeless, timeless, true, []string{id}},
		"processed twice with its time":          {exact, exact, true, []string{id}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, provider, genuine)
			if answer := w.Receive(t.Context(), acmesign.Request(tt.first)); answer.Status != 200 {
				t.Fatalf("answered %d", answer.Status)
			}
			if claimed := w.history(t, "acmesign#a1")[0]; tt.processed {
				agreement := esign.Agreement{Provider: "acmesign", ID: "a1", Status: esign.Signed}
				event := esign.Event{Type: esign.AgreementSigned, AgreementID: "a1", Approximate: tt.first.At.IsZero()}
				commit := ledger.Commit{Claim: ledger.Claim{Key: claimed.Key}, Event: event, Agreement: &agreement}
				if err := w.ledger.Commit(t.Context(), commit); err != nil {
					t.Fatal(err)
				}
			}
			if answer := w.Receive(t.Context(), acmesign.Request(tt.second)); answer.Status != 200 {
				t.Fatalf("answered %d", answer.Status)
			}
			var got []string
			for _, m := range w.sent {
				got = append(got, m.DeduplicationID)
				if m.Group != "acmesign#a1" || m.Attributes["eventId"] != id {
					t.Errorf("%+v", m)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
			if e := w.history(t, "acmesign#a1")[0]; e.Duplicates != 1 {
				t.Errorf("%d duplicates", e.Duplicates)
			}
		})
	}
}

// parser cannot read what the worker gets, or panics, unless it is mended.
type parser struct {
	acmesign.Provider
	mended, panics bool
}

func (p parser) Normalize(d *webhook.Delivery) (esign.Event, error) {
	switch {
	case p.mended:
		return esign.Event{Type: esign.Other}, nil
	case p.panics:
		panic("secret of the payload")
	}
	return esign.Event{}, webhook.ErrUnreadable
}

// TestACopyOfAnUnreadableEventIsSentIfNothingElseKeepsIt checks that copies multiply no dead letters.
func TestACopyOfAnUnreadableEventIsSentIfNothingElseKeepsIt(t *testing.T) {
	const kept = queue.DeadLetterRetention
	garbage := signed(t, `{"events":`)
	for name, tt := range map[string]struct {
		parser  parser
		request *webhook.Request
		marked  time.Time
		want    bool
	}{
		"the dead letter is kept":                 {parser{}, completed(), webhooktest.ReceivedAt.Add(-kept + 1), false},
		"the dead letter has expired":             {parser{}, completed(), webhooktest.ReceivedAt.Add(-kept), true},
		"an earlier release marked the event":     {parser{}, completed(), time.Time{}, true},
		"the parser is mended":                    {parser{mended: true}, completed(), webhooktest.ReceivedAt, true},
		"the parser panics":                       {parser{panics: true}, completed(), webhooktest.ReceivedAt, false},
		"never identified, and kept":              {parser{mended: true}, garbage, webhooktest.ReceivedAt, false},
		"never identified, and expired":           {parser{mended: true}, garbage, webhooktest.ReceivedAt.Add(-kept), true},
		"a clock that was ahead marked the event": {parser{}, completed(), webhooktest.ReceivedAt.Add(kept), false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, tt.parser, genuine)
			w.Receive(t.Context(), webhooktest.Clone(tt.request))
			first := w.sent[0]
			var ids []string
			for n := range 2 { // marks
				m := ledger.Claim{Key: ledger.Key{Subject: first.Group, ID: first.DeduplicationID}, Provider: "acmesign"}
				at := tt.marked
				if n > 0 && !at.IsZero() {
					at = at.Add(-time.Second)
				}
				if err := w.ledger.MarkUnreadable(t.Context(), m, at); err != nil {
					t.Fatal(err)
				}
				w.sent = nil
				for range 2 { // copies
					if answer := w.Receive(t.Context(), webhooktest.Clone(tt.request)); answer.Status != 200 {
						t.Errorf("answered %d", answer.Status)
					}
				}
				if n == 0 && (len(w.sent) == 2) != tt.want || len(w.sent) == 1 {
					t.Fatalf("sent %+v", w.sent)
				}
				for _, s := range w.sent {
					ids = append(ids, s.DeduplicationID)
					if s.Attributes["eventId"] != first.DeduplicationID || s.Body != first.Body {
						t.Errorf("sent %+v", s)
					}
				}
			}
			if len(ids) == 4 && !tt.marked.IsZero() && (ids[0] != ids[1] || ids[1] == ids[2] || ids[2] != ids[3]) ||
				slices.Contains(ids, first.DeduplicationID) {
				t.Errorf("deduplication IDs of two copies after each of two marks: %q", ids)
			}
			if e := w.history(t, first.Group)[0]; e.Duplicates != 4 || e.State != ledger.Unreadable {
				t.Errorf("%+v", e)
			}
			if strings.Contains(w.log.String(), "secret of the payload") {
				t.Error("the log quotes the panic")
			}
		})
	}
}

func identity(t *testing.T, r *webhook.Request) webhook.Identity {
	t.Helper()
	ids, err := provider.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	return ids[0]
}

// The claims of an older release cannot read what a newer one has stored.
func TestAnEventThatANewerReleaseStoredIsEnqueued(t *testing.T) {
	w := newWorld(t, provider, genuine)
	w.claimErr = fmt.Errorf("ledger: %w", format.ErrNewer)
	answer := w.Receive(t.Context(), several(3))
	if answer.Status != 200 || len(w.sent) != 3 {
		t.Errorf("answered %d with %d messages", answer.Status, len(w.sent))
	}
	if n := strings.Count(w.log.String(), "deploy that release"); n != 3 { // the ledger was reachable for each claim
		t.Errorf("%d claims: %s", n, &w.log)
	}
}

func TestMessageCarriesTheIdentityAndTheVeryBytes(t *testing.T) {
	provider := acmesign.Provider{Renamed: true}
	w := newWorld(t, provider, genuine)
	r := several(3)
	r.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
	if answer := w.Receive(t.Context(), r); answer.Status != 200 || len(w.sent) != 3 {
		t.Fatalf("%d, %d messages", answer.Status, len(w.sent))
	}
	ids, err := provider.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		want := webhooktest.Delivery(provider, r, id, esign.ProofSigned)
		want.Trace = r.Trace
		got, err := queue.Decode(t.Context(), w.sent[i], w.Payloads)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		if m := w.sent[i]; m.Group != id.Subject || m.DeduplicationID != id.EventID {
			t.Errorf("group %q, deduplication ID %q", m.Group, m.DeduplicationID)
		}
	}
}

func TestUnreadableRequestsAreKeptUnderOneSubject(t *testing.T) {
	w := newWorld(t, provider, genuine)
	for range 2 {
		for _, body := range []string{`{"events":`, `nonsense`} {
			if answer := w.Receive(t.Context(), signed(t, body)); answer.Status != 200 || string(answer.Body) != "thanks" {
				t.Errorf("%+v", answer)
			}
		}
	}
	history := w.history(t, "acmesign#unreadable")
	if len(history) != 2 || history[0].Duplicates != 1 || history[1].Duplicates != 1 {
		t.Errorf("%+v", history)
	}
}

// panicky panics while identifying, as a bug in a provider would.
type panicky struct{ acmesign.Provider }

func (panicky) Identify(*webhook.Request) ([]webhook.Identity, error) { panic("secret of the payload") }

func TestAPanicWhileIdentifyingLosesNothing(t *testing.T) {
	w := newWorld(t, panicky{}, genuine)
	if answer := w.Receive(t.Context(), completed()); answer.Status != 200 || len(w.sent) != 1 ||
		w.sent[0].Group != "acmesign#unreadable" {
		t.Errorf("answered %d, sent %+v", answer.Status, w.sent)
	}
	if strings.Contains(w.log.String(), "secret of the payload") {
		t.Error("the log quotes the panic")
	}
}

func TestARequestWithSeveralEventsIsAcknowledgedOnceAllAreSent(t *testing.T) {
	w := newWorld(t, provider, genuine)
	if answer := w.Receive(t.Context(), several(2)); answer.Status != 200 || len(w.sent) != 2 {
		t.Errorf("answered %d with %d messages", answer.Status, len(w.sent))
	}
}

// TestDeadlines checks that the receiver answers within 4 s, whichever dependency hangs.
func TestDeadlines(t *testing.T) {
	many := several(20)
	large := signed(t, string(many.Body)+strings.Repeat(" ", 2<<20))
	for name, tt := range map[string]struct {
		hang func(*hanging)
		want int // of one event that does not fit into a message
	}{
		"the claim":               {func(h *hanging) { h.claim = true }, 200},
		"the count":               {func(h *hanging) { h.count, h.most = true, 300*time.Millisecond }, 200},
		"the queue":               {func(h *hanging) { h.send = true }, 503},
		"the payload store":       {func(h *hanging) { h.put = true }, 503},
		"the claim and the queue": {func(h *hanging) { h.claim, h.send = true, true }, 503},
		"the keys, for their second": {
			func(h *hanging) { h.keys, h.claim, h.put, h.send = time.Second, true, true, true }, 503,
		},
		"the keys, the payload store and the queue for nearly their time, and the claim": {
			func(h *hanging) { h.keys, h.claim, h.slow = time.Second, true, 990*time.Millisecond }, 200,
		},
		"the keys and the payload store for nearly their time, the claim and the queue": {
			func(h *hanging) { h.keys, h.claim, h.send, h.slow = time.Second, true, true, 990*time.Millisecond }, 503,
		},
	} {
		// Without events, and with many that do not fit into a message.
		for _, request := range []*webhook.Request{signed(t, strings.Repeat(" ", 2<<20)), large} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					h := &hanging{}
					tt.hang(h)
					r := receive.Receiver{
						Provider: provider, Claims: h, Payloads: h, Queue: h, Now: time.Now, Log: slog.New(slog.DiscardHandler),
						Keys: func(context.Context) (webhook.Keys, error) { time.Sleep(h.keys); return genuine, nil },
					}
					start := time.Now()
					answer := r.Receive(t.Context(), webhooktest.Clone(request))
					if took := time.Since(start); took >= 4*time.Second || h.most > 0 && took != h.most {
						t.Errorf("answered after %v", took)
					}
					if several := request == large && h.slow > 0; answer.Status != tt.want && !several {
						t.Errorf("answered %d, want %d", answer.Status, tt.want)
					}
				})
			})
		}
	}
}

// hanging is a ledger, payload store and queue that answer only when they are given up.
type hanging struct {
	keys, slow              time.Duration // slow is that of sends and puts
	most                    time.Duration // how long the answer takes, counts included; 0 means less than 4 s
	claim, count, send, put bool
}

func hang(ctx context.Context, yes bool) error {
	if yes {
		<-ctx.Done()
	}
	return ctx.Err()
}

func (h *hanging) Claim(ctx context.Context, _ ledger.Claim) (ledger.Found, error) {
	return ledger.Found{State: ledger.Received}, hang(ctx, h.claim)
}
func (h *hanging) Repeated(ctx context.Context, _ ledger.Key, _ string) error {
	return hang(ctx, h.count)
}
func (h *hanging) Send(ctx context.Context, _ queue.Message) error {
	return hang(delay(ctx, h.slow), h.send)
}
func (h *hanging) Put(ctx context.Context, _ string, _ []byte) error {
	return hang(delay(ctx, h.slow), h.put)
}

// delay waits, unless ctx ends before.
func delay(ctx context.Context, d time.Duration) context.Context {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
	return ctx
}

func (h *hanging) Get(ctx context.Context, _ string) ([]byte, error) { return nil, errDown }

func TestTheFirstGenuineRequestLogsItsHeadersNames(t *testing.T) {
	w := newWorld(t, provider, genuine)
	r := completed()
	r.Header["X-Undocumented-Scheme"] = []string{"secret-value"}
	for range 2 {
		w.Receive(t.Context(), r)
	}
	if log := w.log.String(); strings.Count(log, "X-Undocumented-Scheme") != 1 || strings.Contains(log, "secret-value") {
		t.Error(log)
	}
}

// verifier remembers the Content-Type of the request that it verifies.
type verifier struct {
	acmesign.Provider
	contentType *string
}

func (v verifier) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	*v.contentType = r.Header.Get("Content-Type")
	return v.Provider.Verify(r, keys)
}

// The worker must be able to read what was verified.
func TestAContentTypeThatTheQueueCannotCarryIsNotVerified(t *testing.T) {
	for sent, want := range map[string]string{
		"multipart/form-data; boundary=" + strings.Repeat("x", 200): "multipart/form-data; boundary=" +
			strings.Repeat("x", 200),
		"multipart/form-data; boundary=" + strings.Repeat("x", 300): "",
	} {
		got := "none"
		w, r := newWorld(t, verifier{contentType: &got}, genuine), completed()
		r.Header.Set("Content-Type", sent)
		w.Receive(t.Context(), r)
		if sentOn := w.sent[0].Attributes["contentType"]; got != want || sentOn != want {
			t.Errorf("verified with %q, sent with %q", got, sentOn)
		}
	}
}

func TestARefusalLogsThatTheBodyWasEncoded(t *testing.T) {
	w := newWorld(t, provider, genuine)
	r := completed()
	r.Body = append(r.Body, ' ')
	r.Header.Set("Content-Encoding", "gzip")
	if answer := w.Receive(t.Context(), r); answer.Status != 401 || !strings.Contains(w.log.String(), `"encoded":true`) {
		t.Errorf("%d %s", answer.Status, &w.log)
	}
}
