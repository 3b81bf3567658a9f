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
	"esignhooks/shared/webhook/webhooktest"
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
					filepath.Base(d.Location) != d.Name || d.Kind != kindOf(d.Name) {
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

// TestForeignCompletionsOfEveryVendor checks, for an agreement that the vendor does not know, which account IDs are
// certain enough. "Our" is the stub's.
func TestForeignCompletionsOfEveryVendor(t *testing.T) {
	const (
		guid   = "3d9a1c52-7f04-4b6e-8a21-5c0b7e94d113"
		hex    = "6421d70b9bd45059fa207d03ab8d1b96515b472c"
		ourHex = "5008b25c7f67153e57d5a357b1687968068fb465"
	)
	ourGUID := strings.ToUpper(vendorstub.DocuSignAccount)
	for name, tt := range map[string]struct {
		provider, account string
		proof             esign.Proof
		app               bool
		want              string
	}{
		"DocuSign, another GUID":          {"docusign", guid, esign.ProofSigned, false, "NotAsked"},
		"DocuSign, our GUID":              {"docusign", ourGUID, esign.ProofSigned, false, "Forged"},
		"DocuSign, no account":            {"docusign", "", esign.ProofSigned, false, "Forged"},
		"DocuSign, our number":            {"docusign", vendorstub.DocuSignNumber, esign.ProofSigned, false, "Forged"},
		"DocuSign, another of the user's": {"docusign", vendorstub.DocuSignOtherNumber, esign.ProofSigned, false, "NotAsked"},
		"DocuSign, nobody's number":       {"docusign", "1", esign.ProofSigned, false, "Forged"},
		"DocuSign, another kind of ID":    {"docusign", hex, esign.ProofSigned, false, "Forged"},
		"DocuSign, a weaker proof":        {"docusign", guid, esign.ProofURLToken, false, "Forged"},
		"Dropbox Sign, another ID":        {"dropboxsign", hex, esign.ProofSigned, false, "NotAsked"},
		"Dropbox Sign, our ID":            {"dropboxsign", ourHex, esign.ProofSigned, false, "Forged"},
		"Dropbox Sign, no account":        {"dropboxsign", "", esign.ProofSigned, false, "Forged"},
		"Dropbox Sign, an app callback":   {"dropboxsign", hex, esign.ProofSigned, true, "Forged"},
		"Dropbox Sign, another kind":      {"dropboxsign", guid, esign.ProofSigned, false, "Forged"},
		"Dropbox Sign, a weaker proof":    {"dropboxsign", hex, esign.ProofPartlySigned, false, "Forged"},
		"Adobe signs nothing":             {"adobesign", "CBJCHBCAABAAforeign", esign.ProofURLToken, false, "Forged"},
		"eSignGlobal names no account":    {"esignglobal", "", esign.ProofSigned, false, "Forged"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := withStub(t)
			e := completed(tt.provider, agreementID)
			e.Detail.Event.AccountID, e.Detail.Event.Proof = tt.account, tt.proof
			e.Detail.Event.Attributes = map[string]string{"callback": "account"}
			if tt.app {
				e.Detail.Event.Attributes["callback"] = "app"
			}
			w.add(archive.Job(e))
			w.run(w.archiver())
			if got := w.outcome(tt.provider); got != tt.want {
				t.Errorf("%s: %s", got, &w.log)
			}
		})
	}
}

// TestAnEventNamesItsAccount takes completions as the vendors send them.
func TestAnEventNamesItsAccount(t *testing.T) {
	for name, tt := range map[string]struct{ provider, example, want string }{
		"DocuSign's JSON names a foreign account":    {"docusign", "envelope-completed", "NotAsked"},
		"DocuSign's XML names our account's number":  {"docusign", "xml-completed", "Forged"},
		"Dropbox Sign's callback is a foreign one's": {"dropboxsign", "signature-request-all-signed", "NotAsked"},
		"Adobe's event is not signed":                {"adobesign", "agreement-completed", "Forged"},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := withStub(t)
			p, _ := webhook.Find(all.Providers(), tt.provider)
			r := webhooktest.Examples(t, tt.provider)[tt.example]
			proof, err := p.Verify(r, webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(p.Info().DevelopmentKey)}})
			if err != nil {
				t.Fatal(err)
			}
			ids, err := p.Identify(r)
			if err != nil {
				t.Fatal(err)
			}
			event, err := p.Normalize(webhooktest.Delivery(p, r, ids[0], proof))
			if err != nil || event.Type != esign.AgreementCompleted {
				t.Fatalf("%+v, %v", event, err)
			}
			e := completed(tt.provider, event.AgreementID)
			e.Detail.Event.AccountID, e.Detail.Event.Attributes = event.AccountID, event.Attributes
			e.Detail.Event.Proof = proof
			w.add(archive.Job(e))
			w.run(w.archiver())
			if got := w.outcome(tt.provider); got != tt.want {
				t.Errorf("%s: %s", got, &w.log)
			}
		})
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
