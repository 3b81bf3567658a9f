package archive_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// withStub is a world whose vendors are the stub's, asked by the clients that are deployed.
func withStub(t *testing.T) (*world, *vendorstub.Server) {
	t.Helper()
	w, stub := newWorld(t), vendorstub.New(t)
	stub.Now = w.clock
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: w.clock}
	made := map[string]vendorapi.Client{}
	for _, p := range all.Providers() {
		name := p.Info().Name
		client, err := all.Open(name, stub.Credentials(name), options)
		if err != nil {
			t.Fatal(err)
		}
		made[name] = client
	}
	w.open = func(_ context.Context, name string) (vendorapi.Client, error) { return made[name], nil }
	return w, stub
}

func TestEveryVendorsDocumentsAreArchived(t *testing.T) {
	for _, p := range all.Providers() {
		t.Run(p.Info().Name, func(t *testing.T) {
			w, stub := withStub(t)
			contract := []byte(pdf("the contract"))
			stub.Set(p.Info().Name, vendorstub.Agreement{ID: agreementID, Status: esign.Completed, NotReady: 2, PDF: contract})
			for range 2 {
				w.add(archive.Job(completed(p.Info().Name, agreementID)))
				w.run(w.archiver())
			}
			found, kept := w.found(), false
			documents := w.detail(found["archived"]).Documents
			for _, d := range documents {
				content, err := os.ReadFile(d.Location)
				if err != nil || d.ContentType != "application/pdf" || d.Size != int64(len(content)) ||
					filepath.Base(d.Location) != d.Name {
					t.Errorf("%+v, %v", d, err)
				}
				kept = kept || bytes.Equal(content, contract)
			}
			if len(found) != 2 || !kept || len(w.parked)+len(w.dead) > 0 {
				t.Errorf("found %v, parked %d, dead %d: %s", found, len(w.parked), len(w.dead), &w.log)
			}
			if counted := w.counted(); counted["Archived "+p.Info().Name] != 1 || counted["Forged "+p.Info().Name] != 0 {
				t.Errorf("%v", counted)
			}
		})
	}
}

func TestEveryVendorRevealsForgeries(t *testing.T) {
	for _, p := range all.Providers() {
		for name, a := range map[string]vendorstub.Agreement{
			"an agreement that is not completed": {ID: agreementID, Status: esign.Sent},
			"a declined agreement":               {ID: agreementID, Status: esign.Declined},
			"an unknown agreement":               {ID: "f5a8a5a8-0000-4b01-9a69-452ae3140752", Status: esign.Completed},
		} {
			t.Run(p.Info().Name+": "+name, func(t *testing.T) {
				w, stub := withStub(t)
				stub.Set(p.Info().Name, a)
				w.add(archive.Job(completed(p.Info().Name, agreementID)))
				w.run(w.archiver())
				if len(w.parked) != 1 || len(w.sent) > 0 || w.counted()["Forged "+p.Info().Name] != 1 {
					t.Errorf("parked %d, sent %v, counted %v: %s", len(w.parked), w.sent, w.counted(), &w.log)
				}
			})
		}
	}
}

func TestATruncatedDownloadIsRetried(t *testing.T) {
	for _, p := range all.Providers() {
		t.Run(p.Info().Name, func(t *testing.T) {
			w, stub := withStub(t)
			name, contract := p.Info().Name, []byte(pdf(strings.Repeat("the contract ", 10000)))
			stub.Set(name, vendorstub.Agreement{ID: agreementID, Status: esign.Completed, PDF: contract, Truncated: true})
			w.fault = func(n int, do func() error) error {
				if w.steps[n-1] == "later" {
					stub.Set(name, vendorstub.Agreement{ID: agreementID, Status: esign.Completed, PDF: contract})
				}
				return do()
			}
			w.add(archive.Job(completed(name, agreementID)))
			w.run(w.archiver())
			if len(w.delays) != 1 || len(w.detail(w.found()["archived"]).Documents) == 0 {
				t.Errorf("put off %v, %s", w.delays, &w.log)
			}
		})
	}
}

// TestLogsHoldNoCredentials checks that, after any failure, logs hold nothing that was sent to the vendors' APIs or
// received from them.
func TestLogsHoldNoCredentials(t *testing.T) {
	w, stub := withStub(t)
	for _, p := range all.Providers() {
		name := p.Info().Name
		stub.Set(name, vendorstub.Agreement{ID: agreementID, Status: esign.Completed, Truncated: true})
		stub.Set(name, vendorstub.Agreement{ID: "f5a8a5a8-0000-4b01-9a69-452ae3140752", Status: esign.Sent})
		for _, id := range []string{agreementID, "f5a8a5a8-0000-4b01-9a69-452ae3140752", "unknown"} {
			w.add(archive.Job(completed(name, id)))
		}
	}
	stub.Fail(vendorstub.Failure{Status: 401, Times: 6, Body: `{"error":"invalid_grant","error_description":"canary"}`})
	stub.Fail(vendorstub.Failure{Status: 500, Times: 2, Body: `canary`})
	w.run(w.archiver())
	secrets := []string{"canary", stub.URL, "Bearer", "access_token", "http://", "https://"}
	for _, p := range all.Providers() {
		stored, err := webhook.ParseStoredKeys(`{"api":` + string(stub.Credentials(p.Info().Name)) + `}`)
		if err != nil {
			t.Fatal(err)
		}
		for _, value := range strings.Split(string(stored.API), `"`) {
			if len(value) > 20 {
				secrets = append(secrets, value)
			}
		}
	}
	for _, s := range secrets {
		if strings.Contains(w.log.String()+w.out.String(), s) {
			t.Errorf("the log contains %q", s)
		}
	}
	if len(w.parked) == 0 || len(w.dead) == 0 {
		t.Errorf("parked %d, dead %d", len(w.parked), len(w.dead))
	}
}
