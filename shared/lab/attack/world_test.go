// Package attack is what a forger and a vandal try on every provider, through the whole pipeline: the proxy event's JSON,
// the receiver, the queue's message and the worker. A row of a table is an attack and what must become of it.
package attack

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// canary stands in every key and token, and in every body: wherever else it turns up, something was told.
const canary = "canary"

func keyOf(v vendor) string   { return canary + "-key-of-" + v.Info().Name }
func tokenOf(v vendor) string { return canary + "-token-of-" + v.Info().Name }

// keys are those of v; withToken says whether its URL holds a secret as well.
func keys(v vendor, withToken bool) webhook.Keys {
	k := webhook.Keys{Keys: webhook.Secrets(keyOf(v))}
	if withToken {
		k.URLTokens = webhook.Secrets(tokenOf(v))
	}
	return k
}

// world is a vendor's receiver and the worker, and what stands behind them.
type world struct {
	t *testing.T
	vendor
	*embedded.Ledger
	handler lambda.Handler
	worker  *process.Processor
	db      *bbolt.DB
	folder  string // of payloads
	claims  []ledger.Claim
	sent    []queue.Message
	dead    []queue.Message
	log     bytes.Buffer
	now     time.Time
}

func newWorld(t *testing.T, v vendor, keys webhook.Keys) *world {
	t.Helper()
	dir := t.TempDir()
	db, err := bbolt.Open(filepath.Join(dir, "db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	l, err := embedded.New(groupcommit.New(db))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, vendor: v, Ledger: l, db: db, folder: filepath.Join(dir, "payloads"), now: webhooktest.ReceivedAt}
	log, payloads, now := slog.New(slog.NewJSONHandler(&w.log, nil)), folder.New(w.folder), func() time.Time { return w.now }
	receiver := &receive.Receiver{
		Provider: v.Provider, Keys: func(context.Context) (webhook.Keys, error) { return keys, nil }, Claims: w,
		Payloads: payloads, Queue: (*live)(w), Now: now, Log: log.With("provider", v.Info().Name),
	}
	w.handler = lambda.NewHandler(apigw.Function(receiver.Receive))
	w.worker = &process.Processor{Providers: provider.All(), Ledger: l, Payloads: payloads, DeadLetters: (*letters)(w), Now: now, Log: log}
	return w
}

// Claim implements [ledger.Claimer].
func (w *world) Claim(ctx context.Context, c ledger.Claim) (ledger.State, error) {
	w.claims = append(w.claims, c)
	return w.Ledger.Claim(ctx, c)
}

// live and letters are the world's two queues.
type (
	live    world
	letters world
)

// Send implements [queue.Sender].
func (q *live) Send(_ context.Context, m queue.Message) error {
	q.sent = append(q.sent, m)
	return nil
}

// Send implements [queue.Sender].
func (q *letters) Send(_ context.Context, m queue.Message) error {
	q.dead = append(q.dead, m)
	return nil
}

type answer struct {
	status int
	header http.Header
	body   string
}

// proxyEvent is r as API Gateway passes it on.
func proxyEvent(r *webhook.Request) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		HTTPMethod: r.Method, MultiValueHeaders: r.Header, MultiValueQueryStringParameters: r.Query, Body: string(r.Body),
	}
	if r.URLToken != "" {
		e.PathParameters = map[string]string{"token": r.URLToken}
	}
	if !utf8.Valid(r.Body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.Body), true
	}
	return e
}

// send passes r through the JSON of events and answers. Whatever r is, the answer tells nothing.
func (w *world) send(r *webhook.Request) answer {
	w.t.Helper()
	event, err := json.Marshal(proxyEvent(r))
	if err != nil {
		w.t.Fatal(err)
	}
	said, err := w.handler.Invoke(w.t.Context(), event)
	if err != nil {
		w.t.Fatal(err)
	}
	var response events.APIGatewayProxyResponse
	if err := json.Unmarshal(said, &response); err != nil {
		w.t.Fatal(err)
	}
	a := answer{response.StatusCode, http.Header{}, response.Body}
	for name, value := range response.Headers {
		a.header.Set(name, value)
	}
	for name, values := range response.MultiValueHeaders {
		a.header[http.CanonicalHeaderKey(name)] = values
	}
	w.echo(a)
	return a
}

// echo: an answer holds none of the secrets and nothing of the request but, where Adobe is acknowledged, the configured
// client ID, byte for byte.
func (w *world) echo(a answer) {
	w.t.Helper()
	told := fmt.Sprint(a.header, a.body)
	if w.Info().Name == "adobesign" && a.status == http.StatusOK {
		key := keyOf(w.vendor)
		if echoed := a.header.Values("X-AdobeSign-ClientId"); len(echoed) != 1 || echoed[0] != key {
			w.t.Errorf("echoed %q", echoed)
		}
		told = strings.ReplaceAll(told, key, "")
	}
	if strings.Contains(strings.ToLower(told), canary) {
		w.t.Errorf("the answer tells %.300q", told)
	}
}

// quiet: each line of the log is one JSON object, and none of them holds a secret, a header's value or a part of the body.
func (w *world) quiet(r *webhook.Request) {
	w.t.Helper()
	log := w.log.String()
	for line := range strings.Lines(log) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || object["level"] == nil {
			w.t.Errorf("not a line of JSON: %.300q", line)
		}
	}
	for _, values := range r.Header {
		for _, value := range values {
			if len(value) > 15 && strings.Contains(log, value) {
				w.t.Errorf("the log tells the header %.100q", value)
			}
		}
	}
	if strings.Contains(strings.ToLower(log), canary) {
		w.t.Errorf("the log tells a secret or a part of the body: %.1000s", log)
	}
	if strings.ContainsFunc(log, func(c rune) bool { return c < ' ' && c != '\n' }) {
		w.t.Errorf("the log holds control characters: %.1000q", log)
	}
}

// trace is all that the world has kept: claims, agreements, messages, payloads.
func (w *world) trace() string {
	w.t.Helper()
	all := fmt.Sprint(w.claims, w.sent, w.dead)
	err := w.db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			return b.ForEach(func(k, v []byte) error {
				all += fmt.Sprintf("%s %q %s\n", name, k, v)
				return nil
			})
		})
	})
	if err != nil {
		w.t.Fatal(err)
	}
	filepath.WalkDir(w.folder, func(path string, _ fs.DirEntry, err error) error {
		all += path
		return err
	})
	return all
}

// record is a message as Lambda's event source mapping passes it on.
func record(id int, m queue.Message) events.SQSMessage {
	r := events.SQSMessage{
		MessageId: fmt.Sprint(id), Body: m.Body, MessageAttributes: map[string]events.SQSMessageAttribute{},
		Attributes: map[string]string{"MessageGroupId": m.Group, "MessageDeduplicationId": m.DeduplicationID},
	}
	for name, value := range m.Attributes {
		r.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
	}
	return r
}

// work lets the worker process what the queue holds.
func (w *world) work() {
	w.t.Helper()
	for i, m := range w.sent {
		response, err := w.worker.Handle(w.t.Context(), events.SQSEvent{Records: []events.SQSMessage{record(i, m)}})
		if err != nil || len(response.BatchItemFailures) > 0 {
			w.t.Errorf("not processed: %v, %v", response, err)
		}
	}
	w.sent = nil
}

// events are all events by ID.
func (w *world) events() map[string]ledger.Entry {
	w.t.Helper()
	all, err := w.Events()
	if err != nil {
		w.t.Fatal(err)
	}
	found := map[string]ledger.Entry{}
	for _, e := range all {
		found[e.ID] = e
	}
	return found
}

// What becomes of a request. A new event is told by its proof.
const (
	refused    = "401"
	noSuchURL  = "404"
	badMethod  = "405"
	tooLarge   = "413"
	duplicate  = "duplicate"
	unreadable = "kept as unreadable"
)

// fate sends r and says what becomes of it: the status of a refusal, which is silent and leaves no trace, or what the
// worker makes of what was acknowledged.
func (w *world) fate(r *webhook.Request) string {
	w.t.Helper()
	trace, before, claims := w.trace(), w.events(), len(w.claims)
	original := webhooktest.Clone(r)
	a := w.send(r)
	defer w.quiet(original)
	if a.status != http.StatusOK {
		if w.trace() != trace {
			w.t.Errorf("refused with %d, and left a trace: %.1000s", a.status, w.trace())
		}
		if silent := a.status == http.StatusUnauthorized || a.status == http.StatusNotFound; silent && (a.body != "" || len(a.header) > 0) {
			w.t.Errorf("refused with %d, and said %v %q", a.status, a.header, a.body)
		}
		return fmt.Sprint(a.status)
	}
	if want := w.Acknowledge(original); string(want.Body) != a.body {
		w.t.Errorf("acknowledged with %q", a.body)
	}
	w.work()
	var fates []string
	for id, e := range w.events() {
		switch was, known := before[id]; {
		case !known && e.State == ledger.Unreadable:
			fates = append(fates, unreadable)
		case !known && e.State == ledger.Processed:
			w.consistent(e, w.claims[claims:])
			fates = append(fates, string(e.Proof))
		case !known:
			fates = append(fates, "stuck as "+string(e.State))
		case e.Duplicates == was.Duplicates+1:
			e.Duplicates, e.Via, was.Via = was.Duplicates, nil, nil
			if fmt.Sprint(e.State, e.Proof, e.SHA256, e.StatusAfter) != fmt.Sprint(was.State, was.Proof, was.SHA256, was.StatusAfter) {
				fates = append(fates, "a duplicate that changed the event")
				continue
			}
			fates = append(fates, duplicate)
		}
	}
	slices.Sort(fates)
	return strings.Join(fates, ", ")
}

// consistent: the worker read of an event what the receiver, which verified it, had read.
func (w *world) consistent(e ledger.Entry, claims []ledger.Claim) {
	w.t.Helper()
	i := slices.IndexFunc(claims, func(c ledger.Claim) bool { return c.ID == e.ID })
	if i < 0 {
		w.t.Errorf("%s was never claimed", e.ID)
		return
	}
	c := claims[i]
	at := e.OccurredAt
	if c.OccurredAt.IsZero() {
		at = c.OccurredAt
	}
	got := fmt.Sprintf("%q %q %q %q %v", e.Subject, cmp.Or(e.AgreementID, "none"), e.VendorType, e.Proof, at.UTC())
	if want := fmt.Sprintf("%q %q %q %q %v", c.Subject, cmp.Or(c.AgreementID, "none"), c.VendorType, c.Proof, c.OccurredAt.UTC()); got != want {
		w.t.Errorf("verified as %s, processed as %s", want, got)
	}
	if e.AgreementID != "" && e.Subject != webhook.AgreementSubject(e.Provider, e.AgreementID) {
		w.t.Errorf("%q is no subject of %q", e.Subject, e.AgreementID)
	}
	b, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	if told := strings.ReplaceAll(string(b), keyOf(w.vendor), ""); strings.Contains(told, canary) { // Adobe's client ID is public
		w.t.Errorf("the event tells a part of the body: %s", told)
	}
}
