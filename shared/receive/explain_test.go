package receive_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/receive"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// explaining is AcmeSign with an explanation.
type explaining struct {
	acmesign.Provider
	causes []webhook.Refusal
	panics bool
	keys   *webhook.Keys // of the last call
}

func (e explaining) Challenge(r *webhook.Request, keys webhook.Keys) (*webhook.Response, error) {
	if r.Method == http.MethodGet {
		return nil, webhook.ErrNotGenuine
	}
	return e.Provider.Challenge(r, keys)
}

func (e explaining) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	if *e.keys = keys; e.panics {
		panic("secret of the request")
	}
	return e.causes
}

// refusals returns the log's lines about refusals, without what all lines have.
func (w *world) refusals(t *testing.T) (lines []map[string]any) {
	t.Helper()
	for text := range strings.Lines(w.log.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		if line["msg"] == "refused" {
			delete(line, "time")
			delete(line, "level")
			delete(line, "msg")
			lines = append(lines, line)
		}
	}
	return lines
}

func TestARefusalIsExplainedInTheLog(t *testing.T) {
	both := []webhook.Refusal{{Code: "key-encoding", Hint: "Compare the keys."},
		{Code: "body-changed", Hint: "Find the proxy."}}
	forged := func() *webhook.Request {
		r := completed()
		r.Header.Set(acmesign.SignatureHeader, "00")
		return r
	}
	get := func() *webhook.Request { return &webhook.Request{Method: http.MethodGet, Header: http.Header{}} }
	line := func(method, reason, err string, more ...any) map[string]any {
		l := map[string]any{"reason": reason, "error": err, "method": method, "encoded": false}
		for i := 0; i < len(more); i += 2 {
			l[more[i].(string)] = more[i+1]
		}
		return l
	}
	const notGenuine, noKey = "acmesign: signature: not genuine", "acmesign: no key configured"
	for _, tt := range []struct {
		behaviour string
		provider  explaining
		keys      webhook.Keys
		request   *webhook.Request
		status    int
		want      []map[string]any
	}{
		{"the first cause is logged", explaining{causes: both}, genuine, forged(), 401,
			[]map[string]any{line("POST", "signature", notGenuine, "cause", "key-encoding", "hint", "Compare the keys.")}},
		{"a refused GET is explained", explaining{causes: both}, genuine, get(), 401,
			[]map[string]any{line("GET", "signature", "not genuine", "cause", "key-encoding", "hint", "Compare the keys.")}},
		{"without a key too", explaining{causes: both[1:]}, webhook.Keys{}, forged(), 401,
			[]map[string]any{line("POST", "no key", noKey, "cause", "no-key-configured", "hint",
				"no key is configured for AcmeSign: store the vendor's key in the stack's secret, on localhost in $ACMESIGN_KEYS")}},
		{"no cause is found", explaining{}, genuine, forged(), 401, []map[string]any{line("POST", "signature", notGenuine)}},
		{"a panic is harmless", explaining{panics: true}, genuine, forged(), 401,
			[]map[string]any{line("POST", "signature", notGenuine)}},
		{"a genuine request is not explained", explaining{causes: both}, genuine, completed(), 200, nil},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			tt.provider.keys = new(webhook.Keys)
			w := newWorld(t, tt.provider, tt.keys)
			answer := w.Receive(t.Context(), tt.request)
			if answer.Status != tt.status || tt.status != 200 && len(answer.Body)+len(answer.Header) > 0 {
				t.Errorf("answered %+v", answer)
			}
			if diff := cmp.Diff(tt.want, w.refusals(t)); diff != "" {
				t.Error(diff)
			}
			if log := w.log.String(); strings.Contains(log, "secret of the request") ||
				strings.Contains(log, "panic in") != tt.provider.panics {
				t.Errorf("the log quotes the request, or names no panic, or one that was none: %s", log)
			}
			if tt.status != 200 && len(tt.provider.keys.Keys) != len(tt.keys.Keys) {
				t.Error("explained under other keys")
			}
		})
	}
}

// All receivers of a process share the limit.
func TestFiveRefusalsInASecondAreExplained(t *testing.T) {
	provider := explaining{causes: []webhook.Refusal{{Code: "wrong-key"}}, keys: new(webhook.Keys)}
	forged := completed()
	forged.Header.Set(acmesign.SignatureHeader, "00")
	now := webhooktest.ReceivedAt.Add(time.Hour)
	worlds := []*world{newWorld(t, provider, genuine), newWorld(t, provider, genuine)}
	var explained []string
	worlds[0].Explanations = new(receive.Limiter)
	worlds[1].Explanations = worlds[0].Explanations
	for i, after := range []time.Duration{0, 0, 0, 400, 0, 0, 599, 0, 1, 0, 0, 0} { // ms
		now = now.Add(after * time.Millisecond)
		w := worlds[i%2]
		w.log.Reset()
		w.Now = func() time.Time { return now }
		w.Receive(t.Context(), forged)
		line := w.refusals(t)[0]
		word := "-"
		if line["cause"] == "wrong-key" {
			word = "yes"
		}
		if n, ok := line["unexplained"]; ok {
			word += strings.Repeat("+", int(n.(float64)))
		}
		explained = append(explained, word)
	}
	want := strings.Fields("yes yes yes yes yes - - - yes+++ yes yes -")
	if diff := cmp.Diff(want, explained); diff != "" {
		t.Error(diff)
	}
}
