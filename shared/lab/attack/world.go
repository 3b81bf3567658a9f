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

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/process"
	"esignhooks/shared/receive"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// World is a vendor's receiver and the worker, with their stores and queues. It records all that they keep and log.
type World struct {
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
	public  []string // what was sent in the header of a vendor that signs nothing, the longest first
	now     time.Time
}

// NewWorld opens the pipeline of a provider under one key, for attacks of the vendor's own test. See [World.Signed].
func NewWorld(t *testing.T, p webhook.Provider, claims webhooktest.Claims) *World {
	t.Helper()
	return newWorld(t, vendor{p, claims}, keysOf(p, false))
}

// Key returns the key that the world's requests are proved with.
func (w *World) Key() string { return w.key() }

// Signed returns a POST of the body that is genuine.
func (w *World) Signed(body string) *webhook.Request { return w.signed(w.key(), body) }

func newWorld(t *testing.T, v vendor, keys webhook.Keys) *World {
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
	w := &World{t: t, vendor: v, Ledger: l, db: db, folder: filepath.Join(dir, "payloads"), now: webhooktest.ReceivedAt}
	log, payloads := slog.New(slog.NewJSONHandler(&w.log, nil)), folder.New(w.folder)
	now := func() time.Time { return w.now }
	receiver := &receive.Receiver{
		Provider: v.Provider, Keys: func(context.Context) (webhook.Keys, error) { return keys, nil }, Claims: w,
		Payloads: payloads, Queue: (*live)(w), Now: now, Log: log.With("provider", v.name()),
	}
	w.handler = lambda.NewHandler(apigw.Function(receiver.Receive))
	w.worker = &process.Processor{
		Providers: []webhook.Provider{v.Provider}, Ledger: l, Payloads: payloads, DeadLetters: (*letters)(w), Now: now,
		Log: log, Policy: esign.Policy{References: []string{"*"}},
	}
	return w
}

// Claim implements [ledger.Claimer].
func (w *World) Claim(ctx context.Context, c ledger.Claim) (ledger.Found, error) {
	w.claims = append(w.claims, c)
	return w.Ledger.Claim(ctx, c)
}

// live and letters are the queue and the dead-letter queue.
type (
	live    World
	letters World
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

type certificate = events.APIGatewayCustomAuthorizerRequestTypeRequestIdentityClientCert

// proxyEvent returns r as API Gateway passes it on.
func proxyEvent(r *webhook.Request) events.APIGatewayProxyRequest {
	e := events.APIGatewayProxyRequest{
		HTTPMethod: r.Method, MultiValueHeaders: r.Header, MultiValueQueryStringParameters: r.Query, Body: string(r.Body),
	}
	e.RequestContext.DomainName = r.Domain
	if r.ClientSubject != "" {
		e.RequestContext.Identity.ClientCert = &certificate{SubjectDN: r.ClientSubject}
	}
	if r.URLToken != "" {
		e.PathParameters = map[string]string{"token": r.URLToken}
	}
	if !utf8.Valid(r.Body) {
		e.Body, e.IsBase64Encoded = base64.StdEncoding.EncodeToString(r.Body), true
	}
	return e
}

// Send passes r and its answer through Lambda's JSON, and checks that the answer reveals nothing.
func (w *World) Send(r *webhook.Request) *webhook.Response {
	w.t.Helper()
	event, err := json.Marshal(proxyEvent(r))
	if err != nil {
		w.t.Fatal(err)
	}
	output, err := w.handler.Invoke(w.t.Context(), event)
	if err != nil {
		w.t.Fatal(err)
	}
	var response events.APIGatewayProxyResponse
	if err := json.Unmarshal(output, &response); err != nil {
		w.t.Fatal(err)
	}
	a := &webhook.Response{Status: response.StatusCode, Header: http.Header{}, Body: []byte(response.Body)}
	for name, value := range response.Headers {
		a.Header.Set(name, value)
	}
	for name, values := range response.MultiValueHeaders {
		a.Header[http.CanonicalHeaderKey(name)] = values
	}
	w.echo(a)
	return a
}

// echo fails if an answer holds a secret or anything of the request. A vendor that signs nothing gets its configured
// key, which is a public ID, back byte for byte.
func (w *World) echo(a *webhook.Response) {
	w.t.Helper()
	shown := fmt.Sprintf("%v %s", a.Header, a.Body)
	if w.Header != "" && w.Covered == nil && a.Status == http.StatusOK {
		key := w.key()
		if echoed := a.Header.Values(w.Header); len(echoed) != 1 || echoed[0] != key {
			w.t.Errorf("echoed %q", echoed)
		}
		shown = strings.ReplaceAll(shown, key, "")
	}
	if strings.Contains(strings.ToLower(shown), canary) {
		w.t.Errorf("the answer shows %.300q", shown)
	}
}

// quiet fails unless each line of the log is one JSON object without secrets, header values and parts of the body. A
// hint may show the header of a vendor that signs nothing, since that is a public ID.
func (w *World) quiet(r *webhook.Request) {
	w.t.Helper()
	for _, value := range r.Header.Values(w.Header) {
		w.public = append(w.public, webhook.Label(strings.TrimSpace(value)))
	}
	slices.SortFunc(w.public, func(a, b string) int { return len(b) - len(a) })
	log := w.log.String()
	for line := range strings.Lines(log) {
		var object map[string]any
		if err := json.Unmarshal([]byte(line), &object); err != nil || object["level"] == nil {
			w.t.Errorf("not a line of JSON: %.300q", line)
		}
		if hint, ok := object["hint"].(string); ok && w.Covered == nil {
			for _, value := range w.public {
				hint = strings.ReplaceAll(hint, value, "")
			}
			object["hint"] = hint
			rest, _ := json.Marshal(object) // it was JSON
			log = strings.Replace(log, line, string(rest)+"\n", 1)
		}
	}
	for _, values := range r.Header {
		for _, value := range values {
			if len(value) > 15 && strings.Contains(log, value) {
				w.t.Errorf("the log shows the header %.100q", value)
			}
		}
	}
	if strings.Contains(strings.ToLower(log), canary) {
		w.t.Errorf("the log shows a secret or a part of the body: %.1000s", log)
	}
	if strings.ContainsFunc(log, func(c rune) bool { return c < ' ' && c != '\n' }) {
		w.t.Errorf("the log holds control characters: %.1000q", log)
	}
}

// trace returns everything that the world has stored: claims, agreements, messages and payloads.
func (w *World) trace() string {
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

// record returns a message as Lambda's event source mapping passes it on.
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

// work lets the worker process the queue's messages.
func (w *World) work() {
	w.t.Helper()
	for i, m := range w.sent {
		response, err := w.worker.Handle(w.t.Context(), events.SQSEvent{Records: []events.SQSMessage{record(i, m)}})
		if err != nil || len(response.BatchItemFailures) > 0 {
			w.t.Errorf("not processed: %v, %v", response, err)
		}
	}
	w.sent = nil
}

// events returns all events by ID.
func (w *World) events() map[string]ledger.Entry {
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

// Outcomes of a request. A new event is represented by its proof.
const (
	Refused    = "401"
	noSuchURL  = "404"
	badMethod  = "405"
	tooLarge   = "413"
	duplicate  = "duplicate"
	Unreadable = "kept as unreadable"
)

// Fate sends r and returns its outcome: the status of a refusal, or the worker's result of an acknowledged request. A
// refusal must leave no trace and keep the log free of secrets.
func (w *World) Fate(r *webhook.Request) string {
	w.t.Helper()
	trace, before, claims := w.trace(), w.events(), len(w.claims)
	original := webhooktest.Clone(r)
	a := w.Send(r)
	defer w.quiet(original)
	if a.Status != http.StatusOK {
		if w.trace() != trace {
			w.t.Errorf("refused with %d, and left a trace: %.1000s", a.Status, w.trace())
		}
		if silent := a.Status == http.StatusUnauthorized || a.Status == http.StatusNotFound; silent &&
			(len(a.Body) > 0 || len(a.Header) > 0) {
			w.t.Errorf("refused with %d, and said %v %q", a.Status, a.Header, string(a.Body))
		}
		return fmt.Sprint(a.Status)
	}
	if want := w.Acknowledge(original); string(want.Body) != string(a.Body) {
		w.t.Errorf("acknowledged with %q", string(a.Body))
	}
	w.work()
	var fates []string
	for id, e := range w.events() {
		switch was, known := before[id]; {
		case !known && e.State == ledger.Unreadable:
			fates = append(fates, Unreadable)
		case !known && e.State == ledger.Processed:
			w.consistent(e, w.claims[claims:])
			fates = append(fates, string(e.Proof))
		case !known:
			fates = append(fates, "stuck as "+string(e.State))
		case e.Duplicates == was.Duplicates+1:
			e.Duplicates, e.Via, was.Via = was.Duplicates, nil, nil
			if fmt.Sprint(e.State, e.Proof, e.SHA256, e.StatusAfter) != fmt.Sprint(was.State, was.Proof, was.SHA256,
				was.StatusAfter) {
				fates = append(fates, "a duplicate that changed the event")
				continue
			}
			fates = append(fates, duplicate)
		}
	}
	slices.Sort(fates)
	return strings.Join(fates, ", ")
}

// consistent fails unless the worker read the same of an event as the receiver, which verified it.
func (w *World) consistent(e ledger.Entry, claims []ledger.Claim) {
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
	if want := fmt.Sprintf("%q %q %q %q %v", c.Subject, cmp.Or(c.AgreementID, "none"), c.VendorType, c.Proof,
		c.OccurredAt.UTC()); got != want {
		w.t.Errorf("verified as %s, processed as %s", want, got)
	}
	if e.AgreementID != "" && e.Subject != webhook.AgreementSubject(e.Provider, e.AgreementID) {
		w.t.Errorf("%q is not the subject of %q", e.Subject, e.AgreementID)
	}
	b, err := json.Marshal(e)
	if err != nil {
		w.t.Fatal(err)
	}
	if shown := strings.ReplaceAll(string(b), w.key(), ""); strings.Contains(shown, canary) { // the key may be public
		w.t.Errorf("the event shows a part of the body: %s", shown)
	}
}
