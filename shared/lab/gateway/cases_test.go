package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"go.etcd.io/bbolt"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	ledger "esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload/folder"
	queue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
	"esignhooks/shared/wiring/localhost"
)

// TestCases sends each public case to a gateway of its own, and compares what the read API then shows.
func TestCases(t *testing.T) {
	t.Parallel()
	for _, c := range webhooktest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			g := start(t, webhooktest.CaseKeys...)
			var o webhooktest.Outcome
			for _, r := range c.Requests {
				sent := request{method: r.Method, path: r.Path, body: string(r.Body), header: map[string]string{}}
				for _, h := range r.Headers {
					sent.header[h[0]] = h[1]
				}
				got := g.send(sent)
				o.Answered(got.Status, []byte(got.Body))
			}
			g.outcome(&o)
			o.Check(t, c.Right)
		})
	}
}

// outcome adds what the read API and the log show.
func (g *gateway) outcome(o *webhooktest.Outcome) {
	g.t.Helper()
	all := g.events()
	g.await("publication of all events", func() bool {
		processed := slices.DeleteFunc(slices.Clone(all), func(e event) bool { return e.State != "processed" })
		return len(g.published()) >= len(processed)
	})
	after := map[string]string{}
	for _, p := range g.published() {
		after[p.Envelope.Detail.EventID] = string(p.Envelope.Detail.StatusAfter)
	}
	o.Agreements, o.Log = map[string]any{}, g.log.String()
	slices.SortStableFunc(all, func(a, b event) int { return a.ReceivedAt.Compare(b.ReceivedAt) })
	for _, e := range all {
		o.Events = append(o.Events, map[string]any{
			"type": e.Type, "agreement": e.AgreementID, "duplicates": e.Duplicates, "occurredAt": e.OccurredAt, "state": e.State,
			"status": after[e.ID],
		})
		if e.AgreementID == "" {
			continue
		}
		var a struct {
			Status       string
			Conflict     bool
			Reached      map[string]time.Time
			Participants map[string]struct{ Status string }
		}
		g.read("/api/agreements/"+e.Provider+"/"+url.PathEscape(e.AgreementID), &a)
		participants := []string{}
		for _, p := range a.Participants {
			participants = append(participants, p.Status)
		}
		slices.Sort(participants)
		o.Agreements[e.Provider+"/"+e.AgreementID] = map[string]any{
			"status": a.Status, "conflict": a.Conflict, "reached": a.Reached, "participants": participants,
		}
	}
}

// TestCasesInLambda passes each public case to the receivers as Lambda does: as JSON, with base64 for the body. The
// worker starts only afterwards, so all copies meet in its queue.
func TestCasesInLambda(t *testing.T) {
	t.Parallel()
	for _, c := range webhooktest.Cases(t) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			var o webhooktest.Outcome
			data, log := t.TempDir(), &output{}
			receivers, stop := openReceivers(t, data, slog.New(slog.NewJSONHandler(log, nil)))
			for _, r := range c.Requests {
				path, query, _ := strings.Cut(r.Path, "?")
				e := events.APIGatewayProxyRequest{
					HTTPMethod: r.Method, MultiValueHeaders: http.Header{},
					Body: base64.StdEncoding.EncodeToString(r.Body), IsBase64Encoded: true,
				}
				e.MultiValueQueryStringParameters, _ = url.ParseQuery(query)
				for _, h := range r.Headers {
					e.MultiValueHeaders[h[0]] = append(e.MultiValueHeaders[h[0]], h[1])
				}
				var answer events.APIGatewayProxyResponse
				b, err := receivers[strings.TrimSuffix(path, "/")].Invoke(t.Context(), must(json.Marshal(e)))
				if err != nil || json.Unmarshal(b, &answer) != nil {
					t.Fatalf("%s, %v", b, err)
				}
				o.Answered(answer.StatusCode, []byte(answer.Body))
			}
			stop()
			startIn(t, data, webhooktest.CaseKeys...).outcome(&o)
			o.Log += log.String()
			o.Check(t, c.Right)
		})
	}
}

// openReceivers makes the receivers of all providers, by path, on a gateway's store.
func openReceivers(t *testing.T, data string, log *slog.Logger) (byPath map[string]lambda.Handler, stop func() error) {
	t.Helper()
	config := must(localhost.ReadConfig(provider.All(), func(name string) (value string, ok bool) {
		for _, variable := range append(webhooktest.CaseKeys, "DATA="+data) {
			if value, ok := strings.CutPrefix(variable, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}))
	bolt := must(bbolt.Open(filepath.Join(data, "esignhooks.db"), 0o600, nil))
	db := groupcommit.New(bolt)
	claims := must(ledger.New(db))
	deliveries := must(queue.Open(db, queue.Config{Name: "deliveries", Visibility: time.Minute, Now: time.Now}))
	byPath = map[string]lambda.Handler{}
	for _, p := range provider.All() {
		keys := config.Keys[p.Info().Name].Keys
		receiver := &receive.Receiver{
			Provider: p, Claims: claims, Payloads: folder.New(filepath.Join(data, "payloads")), Queue: deliveries,
			Keys: func(context.Context) (webhook.Keys, error) { return keys, nil }, Now: time.Now, Log: log,
		}
		byPath["/webhooks/"+p.Info().Name] = lambda.NewHandler(apigw.Function(receiver.Receive))
	}
	return byPath, bolt.Close
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
