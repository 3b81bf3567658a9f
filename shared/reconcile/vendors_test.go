package reconcile_test

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// TestEveryVendor reconciles with the clients of all vendors that have one.
func TestEveryVendor(t *testing.T) {
	for _, p := range all.Providers() {
		name := p.Info().Name
		t.Run(name, func(t *testing.T) {
			const missed, silent, deleted, foreign = "6ee5e1d2-32d3-4a5a-8b47-0f6a1c2d3e01",
				"6ee5e1d2-32d3-4a5a-8b47-0f6a1c2d3e02", "6ee5e1d2-32d3-4a5a-8b47-0f6a1c2d3e03",
				"6ee5e1d2-32d3-4a5a-8b47-0f6a1c2d3e04" // of an account without credentials: the vendor denies that it exists
			w, stub := newWorld(t), vendorstub.New(t)
			stub.Now = w.Now
			stub.Receiver("hooks.example.com", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				maps.Copy(w.Header(), r.Header) // a vendor that verifies the URL expects its own header back
			}))
			long := start.Add(-100 * time.Hour)
			stub.Set(name, vendorstub.Agreement{ID: missed, Status: esign.Completed, ChangedAt: start.Add(-2 * time.Hour),
				CreatedAt: start.Add(-3 * time.Hour)})
			stub.Set(name, vendorstub.Agreement{ID: silent, Status: esign.Declined, ChangedAt: long, CreatedAt: long})
			stub.Set(name, vendorstub.Agreement{ID: deleted, Status: esign.Sent, ChangedAt: long, CreatedAt: long,
				Deleted: true})
			url := "https://hooks.example.com/live/webhooks/" + name
			stub.Subscribe(name, vendorstub.Subscription{ID: "account", URL: url + "/token", Disabled: true})
			credentials := stub.Credentials(name)
			client, err := all.Open(name, credentials,
				vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: w.ledger, Now: w.Now})
			if errors.Is(err, vendorapi.ErrOff) {
				t.Skip("no client")
			}
			must(t, err)
			_, err = client.Subscriptions(t.Context())
			lists := !errors.Is(err, errors.ErrUnsupported) // subscriptions, and changes
			w.Repair = true
			w.Providers, w.worker.Providers = []webhook.Provider{p}, []webhook.Provider{p}
			w.Clients = func(context.Context, string) (vendorapi.Client, error) { return client, nil }
			w.Webhook = func(context.Context, string) (string, webhook.Keys, error) {
				return url, webhook.Keys{URLTokens: webhook.Secrets("token")}, nil
			}
			for _, id := range []string{silent, foreign} {
				sent := finding.Reconciled(name, id, esign.Sent, "", long, long, finding.Said{})
				w.deliver(&sent)
			}
			lost := finding.Reconciled(name, deleted, esign.Sent, "", long, long, finding.Said{})
			_, err = w.ledger.Claim(t.Context(), ledger.NewClaim(&lost, "", deleted, long))
			must(t, err)
			for range 3 {
				must(t, w.pass())
				w.now = w.now.Add(tick)
			}
			got := map[string]esign.Status{}
			for _, id := range []string{missed, silent, deleted, foreign} {
				a, _, err := w.ledger.Agreement(t.Context(), webhook.AgreementSubject(name, id))
				must(t, err)
				got[id] = a.Status
			}
			want := map[string]esign.Status{missed: esign.Completed, silent: esign.Declined, deleted: "",
				foreign: esign.Sent}
			counts := map[string]int{"Reconciled": 2, "ReconcileFailed": 0, "StaleClaims": 1}
			if !lists {
				want[missed], counts["Reconciled"] = "", 1
			}
			counted := w.counted()
			delete(counted, "SubscriptionProblems") // there may be more than what is repaired
			if diff := cmp.Diff(want, got) + cmp.Diff(counts, counted); diff != "" {
				t.Error(diff, w.log.String())
			}
			if s := stub.Subscriptions(name); lists && (len(s) != 1 || s[0].Disabled || s[0].URL != url+"/token") {
				t.Errorf("%+v", s)
			}
		})
	}
}
