package attack

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// examples sends the vendor's examples, genuine and forged. The queue's message must carry the identity and the exact
// bytes. The log must hold no secret and no part of a body.
func examples(t *testing.T, v vendor) {
	keys := webhooktest.DevelopmentKeys(v)
	keys.URLTokens = webhook.Secrets("0123456789abcdef")
	if v.Object == "" {
		return // AcmeSign has none
	}
	for name, r := range webhooktest.Examples(t, v.name()) {
		r.URLToken, r.Trace = "0123456789abcdef", "Root=1-5759e988-bd862e3fe1be46a994272793"
		w := newWorld(t, vendor{Provider: v.Provider}, keys) // without claims, which are about other keys
		if a := w.Send(r); a.Status != http.StatusOK {
			t.Errorf("%s: %d", name, a.Status)
			continue
		}
		if r.Method == http.MethodPost {
			carried(t, w, r)
		}
		forged := webhooktest.Clone(r)
		for header := range forged.Header {
			switch {
			case header == "Content-Type":
			case v.Covered == nil && header == http.CanonicalHeaderKey(v.Header):
				forged.Header.Set(header, "FORGEDPUBLICID") // may be logged
			default:
				forged.Header.Set(header, "forged-header-value")
			}
		}
		w.Send(forged)
		for _, secret := range []string{
			"0123456789abcdef", v.Info().DevelopmentKey, "forged-header-value", "example.com", "Example",
		} {
			if strings.Contains(w.log.String(), secret) {
				t.Errorf("%s: the log shows %q: %s", name, secret, &w.log)
			}
		}
		for line := range strings.Lines(w.log.String()) {
			if !json.Valid([]byte(line)) {
				t.Errorf("%s: not JSON: %s", name, line)
			}
		}
	}
}

// carried fails unless the queue has one message for each event of r, with everything that the worker needs.
func carried(t *testing.T, w *World, r *webhook.Request) {
	t.Helper()
	ids, err := w.Identify(r)
	if err != nil || len(ids) != len(w.sent) {
		t.Fatalf("%d messages of %d events, %v", len(w.sent), len(ids), err)
	}
	for i, id := range ids {
		got, err := queue.Decode(t.Context(), w.sent[i], folder.New(w.folder))
		if err != nil {
			t.Fatal(err)
		}
		want := webhooktest.Delivery(w, r, id, w.claims[i].Proof)
		if got.Trace = ""; want.Proof == esign.Proof("") {
			t.Error("no proof")
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if m := w.sent[i]; m.Group != id.Subject || m.DeduplicationID != id.EventID {
			t.Errorf("group %q, deduplication ID %q", m.Group, m.DeduplicationID)
		}
	}
}
