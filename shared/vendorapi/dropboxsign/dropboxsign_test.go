package dropboxsign_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/dropboxsign"
)

const (
	provider = "dropboxsign"
	id       = "fa5c8a0b0f492d768749333ad6fcc214c111e967"
	ourURL   = "https://api.example.com/webhooks/dropboxsign/token-1"
)

var now = time.Date(2026, 11, 23, 10, 0, 10, 0, time.UTC)

func open(t *testing.T, members ...string) (*vendorstub.Server, vendorapi.Client) {
	t.Helper()
	stub := vendorstub.New(t)
	stub.Now = func() time.Time { return now }
	credentials := map[string]string{}
	if err := json.Unmarshal(stub.Credentials(provider), &credentials); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(members); i += 2 {
		credentials[members[i]] = members[i+1]
	}
	text, err := json.Marshal(credentials)
	if err != nil {
		t.Fatal(err)
	}
	client, err := dropboxsign.New(text, vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Now: stub.Now})
	if err != nil {
		t.Fatal(err)
	}
	return stub, client
}

func TestCredentials(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"only the key": {`{"apiKey":"k"}`, ""},
		"all problems are reported": {`{"host":"https://a/b"}`,
			"api.apiKey is missing\napi.host is not a host name: write it without https:// and without a path"},
		"a misspelt member is reported": {`{"apikeys":"k"}`,
			`api has the unknown member "apikeys"; the members are apiKey, clientId, host`},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := dropboxsign.New([]byte(tt.text), vendorapi.Options{}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAgreement(t *testing.T) {
	for name, tt := range map[string]struct {
		is   vendorstub.Agreement
		want vendorapi.Agreement
	}{
		"completed at the last signature": {
			vendorstub.Agreement{Status: esign.Completed},
			vendorapi.Agreement{Status: esign.Completed, VendorStatus: "is_complete", ChangedAt: now.Truncate(time.Second)},
		},
		"declined": {
			vendorstub.Agreement{Status: esign.Declined},
			vendorapi.Agreement{Status: esign.Declined, VendorStatus: "is_declined"},
		},
		"expired after one signature": {
			vendorstub.Agreement{Status: esign.Expired},
			vendorapi.Agreement{Status: esign.Expired, VendorStatus: "expired", ChangedAt: now},
		},
		"failed for every signer": {
			vendorstub.Agreement{Status: esign.Failed}, vendorapi.Agreement{Status: esign.Failed, VendorStatus: "has_error"},
		},
		"an error of one signature is not a failure": {
			vendorstub.Agreement{Status: esign.Sent, VendorStatus: "error_unknown"},
			vendorapi.Agreement{Status: esign.Sent, VendorStatus: "awaiting_signature"},
		},
		"signed by one of two, since the first signature": {
			vendorstub.Agreement{Status: esign.Signed},
			vendorapi.Agreement{Status: esign.Signed, VendorStatus: "signed", ChangedAt: now.Add(-time.Minute)},
		},
		"viewed": {
			vendorstub.Agreement{Status: esign.Viewed},
			vendorapi.Agreement{Status: esign.Viewed, VendorStatus: "last_viewed_at"},
		},
		"sent": {
			vendorstub.Agreement{Status: esign.Sent},
			vendorapi.Agreement{Status: esign.Sent, VendorStatus: "awaiting_signature"},
		},
		"held back by its sender": {
			vendorstub.Agreement{Status: esign.Created}, vendorapi.Agreement{Status: esign.Created, VendorStatus: "on_hold"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t)
			tt.is.ID, tt.want.ID = id, id
			stub.Set(provider, tt.is)
			got, err := client.Agreement(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got, cmpopts.IgnoreFields(got, "Participants")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestAnswers tests answers that the stub never gives.
func TestAnswers(t *testing.T) {
	yes, no := true, false
	for name, tt := range map[string]struct {
		answer string
		want   vendorapi.Agreement
	}{
		"a bounced address that can be corrected is not a failure": {
			`"has_error":true,"signatures":[{"status_code":"error_file"},{"status_code":"error_invalid_email"}]`,
			vendorapi.Agreement{VendorStatus: "error_file"},
		},
		"an unknown code is ignored": {
			`"signatures":[{"status_code":"in_space"}]`, vendorapi.Agreement{VendorStatus: "in_space"},
		},
		"empty lists as PHP writes them, and numbers as strings": {
			`"metadata":[],"is_complete":true,"signatures":[{"status_code":"signed","signed_at":"1763892000"}]`,
			vendorapi.Agreement{Status: esign.Completed, VendorStatus: "is_complete", ChangedAt: time.Unix(1763892000, 0).UTC()},
		},
		"signed by some, since the first of them": {
			`"signatures":[{"status_code":"signed","signed_at":1763892060},{"status_code":"signed","signed_at":1763892000},{"status_code":"awaiting_signature"}]`,
			vendorapi.Agreement{Status: esign.Signed, VendorStatus: "signed", ChangedAt: time.Unix(1763892000, 0).UTC()},
		},
		"the sender's keys, and the signers": {
			`"metadata":{"crm":{"deal":7}},"signatures":[{"signature_id":"s1","status_code":"awaiting_signature","order":0,
			"signer_role":"Tenant"}]`,
			vendorapi.Agreement{Status: esign.Sent, VendorStatus: "awaiting_signature",
				References: map[string]string{"crm.deal": "7"}, Participants: []esign.Participant{{ID: "s1", Status: esign.Sent,
					Role: esign.RoleSigner, Order: 1, Reference: "Tenant", Waiting: &yes}}},
		},
		"nobody waits at the end": {
			`"is_declined":true,"signatures":[{"signature_id":"s1","status_code":"awaiting_signature"}]`,
			vendorapi.Agreement{Status: esign.Declined, VendorStatus: "is_declined", Participants: []esign.Participant{
				{ID: "s1", Status: esign.Sent, Role: esign.RoleSigner, Waiting: &no}}},
		},
		"completed before anything else": {
			`"is_complete":true,"is_declined":true,"has_error":true,"signatures":null`,
			vendorapi.Agreement{Status: esign.Completed, VendorStatus: "is_complete"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t)
			stub.Fail(vendorstub.Failure{Status: 200, Times: 1, Body: `{"signature_request":{"signature_request_id":"` + id +
				`",` + tt.answer + `}}`})
			got, err := client.Agreement(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			tt.want.ID = id
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRefusals(t *testing.T) {
	body := func(name string) string {
		return `{"error":{"error_name":"` + name + `","error_msg":"secret@example.com"}}`
	}
	for name, tt := range map[string]struct {
		ask     string
		deleted bool
		failure vendorstub.Failure
		want    error
	}{
		"the vendor does not know the request":              {ask: "unknown", want: vendorapi.ErrUnknown},
		"the request is deleted":                            {ask: id, deleted: true, want: vendorapi.ErrUnknown},
		"an ID that leads to another path is not asked for": {ask: "../account", want: vendorapi.ErrUnknown},
		"an ID that is the name of a path": {ask: "list",
			failure: vendorstub.Failure{Status: 200, Body: `{"signature_requests":[]}`}, want: vendorapi.ErrUnknown},
		"an answer about another request": {ask: id,
			failure: vendorstub.Failure{Status: 200,
				Body: `{"signature_request":{"signature_request_id":"other","is_complete":true}}`}, want: vendorapi.ErrUnknown},
		"the key is not accepted": {ask: id,
			failure: vendorstub.Failure{Status: 401, Body: body("unauthorized")}, want: vendorapi.ErrDenied},
		"the account lacks the right": {ask: id,
			failure: vendorstub.Failure{Status: 403, Body: body("forbidden")}, want: vendorapi.ErrDenied},
		"the account has no credit": {ask: id,
			failure: vendorstub.Failure{Status: 402, Body: body("payment_required")}, want: vendorapi.ErrDenied},
		"the request is wrong": {ask: id,
			failure: vendorstub.Failure{Status: 400, Body: body("bad_request")}, want: vendorapi.ErrInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t)
			stub.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Completed, Deleted: tt.deleted})
			if tt.failure.Status != 0 {
				tt.failure.Times = 1
				stub.Fail(tt.failure)
			}
			_, err := client.Agreement(t.Context(), tt.ask)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if n := stub.Calls(""); n != 0 && strings.Contains(tt.ask, "/") {
				t.Errorf("asked %d times", n)
			}
			if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), stub.URL) {
				t.Errorf("the error contains a secret: %v", err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		reset  time.Duration // from now; no header if zero
		want   time.Duration
	}{
		"until the vendor's reset":  {429, 50 * time.Second, 50 * time.Second},
		"403 may be the limit too":  {403, 50 * time.Second, 50 * time.Second},
		"a minute without a header": {429, 0, time.Minute},
		"at most an hour":           {429, 300 * time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t)
			header := http.Header{}
			if tt.reset != 0 {
				header.Set("X-Ratelimit-Reset", strconv.FormatInt(now.Add(tt.reset).Unix(), 10))
			}
			stub.Fail(vendorstub.Failure{Status: tt.status, Header: header, Body: `{"error":{"error_name":"exceeded_rate"}}`,
				Times: 1})
			_, err := client.Agreement(t.Context(), id)
			var later *vendorapi.LaterError
			if !errors.As(err, &later) || later.After != tt.want {
				t.Errorf("got %v, want a LaterError of %v", err, tt.want)
			}
		})
	}
	t.Run("files have a lower limit than the rest", func(t *testing.T) {
		stub, client := open(t)
		stub.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Completed})
		var later *vendorapi.LaterError
		for i := range 26 {
			_, err := download(t, client)
			if refused := errors.As(err, &later); refused != (i == 25) {
				t.Fatalf("download %d: %v", i, err)
			}
		}
		if later.After != 50*time.Second {
			t.Errorf("got %v, want to wait for the rest of the minute", later.After)
		}
		if _, err := client.Agreement(t.Context(), id); err != nil {
			t.Error(err)
		}
	})
}

func download(t *testing.T, client vendorapi.Client) (string, error) {
	t.Helper()
	documents, err := client.Documents(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if len(documents) != 1 || documents[0].Name != "document.pdf" || !documents[0].PDF {
		t.Fatalf("got %v, want one PDF", documents)
	}
	content, err := documents[0].Open(t.Context())
	if err != nil {
		return "", err
	}
	defer content.Close()
	got, err := io.ReadAll(content)
	if err == nil && (int64(len(got)) != content.Size || content.Type != "application/pdf") {
		t.Errorf("got %d bytes of %d, %s", len(got), content.Size, content.Type)
	}
	return string(got), err
}

func TestDocuments(t *testing.T) {
	for name, tt := range map[string]struct {
		is   vendorstub.Agreement
		want error
	}{
		"one merged PDF":            {vendorstub.Agreement{Status: esign.Completed}, nil},
		"409: still being prepared": {vendorstub.Agreement{Status: esign.Completed, NotReady: 1}, vendorapi.ErrNotReady},
		"410: deleted":              {vendorstub.Agreement{Status: esign.Completed, Deleted: true}, vendorapi.ErrUnknown},
		"422: a request that failed will never be ready": {vendorstub.Agreement{Status: esign.Failed}, vendorapi.ErrInvalid},
		"a truncated download": {vendorstub.Agreement{Status: esign.Completed, Truncated: true},
			io.ErrUnexpectedEOF},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t)
			tt.is.ID, tt.is.PDF = id, vendorstub.PDF("signed")
			stub.Set(provider, tt.is)
			got, err := download(t, client)
			if !errors.Is(err, tt.want) {
				t.Fatalf("got %v, want %v", err, tt.want)
			}
			if err == nil && got != string(tt.is.PDF) {
				t.Errorf("got %d bytes, want %d", len(got), len(tt.is.PDF))
			}
		})
	}
	t.Run("an ID that leads to another path is not asked for", func(t *testing.T) {
		_, client := open(t)
		if _, err := client.Documents(t.Context(), "../../account"); !errors.Is(err, vendorapi.ErrUnknown) {
			t.Errorf("got %v, want %v", err, vendorapi.ErrUnknown)
		}
	})
	t.Run("a conflict means ErrNotReady only for files", func(t *testing.T) {
		stub, client := open(t)
		stub.Fail(vendorstub.Failure{Status: 409, Times: 1})
		if _, err := client.Agreement(t.Context(), id); !errors.Is(err, vendorapi.ErrInvalid) {
			t.Errorf("got %v, want %v", err, vendorapi.ErrInvalid)
		}
	})
}

func TestChanged(t *testing.T) {
	stub, client := open(t)
	want := map[string]esign.Status{}
	for i := range 150 {
		a := vendorstub.Agreement{ID: "request-" + strconv.Itoa(i), Status: esign.Completed,
			CreatedAt: now.Add(-72 * time.Hour)}
		want[a.ID] = a.Status
		stub.Set(provider, a)
	}
	stub.Set(provider, vendorstub.Agreement{ID: "today", Status: esign.Sent})
	want["today"] = esign.Sent
	stub.Set(provider, vendorstub.Agreement{ID: "made-long-ago", Status: esign.Completed,
		CreatedAt: now.Add(-5 * 24 * time.Hour)})
	got, pages := map[string]esign.Status{}, 0
	for page := ""; page != "" || pages == 0; pages++ {
		changed, next, err := client.Changed(t.Context(), now.Add(-15*time.Minute), now, page)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range changed {
			got[a.ID] = a.Status
		}
		page = next
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if pages != 2 {
		t.Errorf("got %d pages, want 2", pages)
	}
}

func TestSubscriptions(t *testing.T) {
	const cleared = "there is no callback URL: it was never set, or the vendor cleared it after ten failures in a row"
	account, app := vendorstub.Subscription{ID: "account",
		URL: ourURL}, vendorstub.Subscription{ID: vendorstub.DropboxSignApp, URL: ourURL}
	disabled := account
	disabled.Disabled = true
	for name, tt := range map[string]struct {
		clientID string
		are      []vendorstub.Subscription
		want     []vendorapi.Subscription
	}{
		"the account's": {
			"", []vendorstub.Subscription{account},
			[]vendorapi.Subscription{{Name: "account", URL: ourURL, Active: true}},
		},
		"the account's, cleared": {
			"", []vendorstub.Subscription{disabled},
			[]vendorapi.Subscription{{Name: "account", Problems: []string{cleared}}},
		},
		"an app has its own URL": {
			"", []vendorstub.Subscription{account, app},
			[]vendorapi.Subscription{{Name: "account", URL: ourURL, Active: true},
				{Name: "app " + vendorstub.DropboxSignApp, URL: ourURL, Active: true}},
		},
		"ours is the app's, and the account has none": {
			vendorstub.DropboxSignApp, []vendorstub.Subscription{app},
			[]vendorapi.Subscription{{Name: "app " + vendorstub.DropboxSignApp, URL: ourURL, Active: true}},
		},
		"the app's, cleared": {
			vendorstub.DropboxSignApp, nil,
			[]vendorapi.Subscription{{Name: "app " + vendorstub.DropboxSignApp, Problems: []string{cleared}}},
		},
		"an app that is not the account's": {
			"other", nil, []vendorapi.Subscription{{Name: "app other", Problems: []string{"the API key cannot see this app"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t, "clientId", tt.clientID)
			for _, s := range tt.are {
				stub.Subscribe(provider, s)
			}
			got, err := client.Subscriptions(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestSubscriptionsOfManyApps(t *testing.T) {
	stub, client := open(t)
	stub.Subscribe(provider, vendorstub.Subscription{ID: "account", URL: ourURL})
	for _, app := range []string{"a", "b"} {
		stub.Fail(vendorstub.Failure{Path: "/api_app/list", Status: 200, Times: 1,
			Body: `{"api_apps":[{"client_id":"` + app + `","callback_url":"` + ourURL + `"}],"list_info":{"num_pages":2}}`})
	}
	got, err := client.Subscriptions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []vendorapi.Subscription{
		{Name: "account", URL: ourURL, Active: true}, {Name: "app a", URL: ourURL, Active: true},
		{Name: "app b", URL: ourURL, Active: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestRegister(t *testing.T) {
	for name, tt := range map[string]struct {
		clientID string
		at       string // the URL before
		disabled bool
		want     string // part of the step's description; empty for no step
	}{
		"the first URL of the account": {"", "", false,
			"set the callback URL of the account to https://api.example.com/webhooks/dropboxsign/…;"},
		"the first URL of the app": {vendorstub.DropboxSignApp, "", false, "set the callback URL of the app " +
			vendorstub.DropboxSignApp + " to https://api"},
		"what callbacks disclose":   {"", "", false, "names and e-mail addresses"},
		"a URL that was cleared":    {"", ourURL, true, "set the callback URL of the account"},
		"nothing if the URL is set": {"", ourURL, false, ""},
		"another token":             {"", ourURL + "2", false, "which is set with another token"},
		"somebody else's URL is named": {"", "https://other.example.com/hook?key=secret", false,
			"in place of https://other.example.com/hook, which gets no events"},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t, "clientId", tt.clientID)
			place := "account"
			if tt.clientID != "" {
				place = tt.clientID
			}
			if tt.at != "" {
				stub.Subscribe(provider, vendorstub.Subscription{ID: place, URL: tt.at, Disabled: tt.disabled})
			}
			steps, err := client.Register(t.Context(), ourURL)
			if err != nil {
				t.Fatal(err)
			}
			if tt.want == "" {
				if len(steps) != 0 {
					t.Errorf("got %q, want nothing to do", steps[0].Description)
				}
				return
			}
			if len(steps) != 1 || !strings.Contains(steps[0].Description, tt.want) {
				t.Fatalf("got %v, want %q", steps, tt.want)
			}
			if strings.Contains(steps[0].Description, "token-1") || strings.Contains(steps[0].Description, "secret") {
				t.Errorf("the step contains a secret: %s", steps[0].Description)
			}
			if n := stub.Calls("PUT "); n != 0 {
				t.Errorf("%d changes before the step is done", n)
			}
			if err := steps[0].Do(t.Context()); err != nil {
				t.Fatal(err)
			}
			want := []vendorstub.Subscription{{ID: place, URL: ourURL}}
			if diff := cmp.Diff(want, stub.Subscriptions(provider)); diff != "" {
				t.Error(diff)
			}
			if steps, err = client.Register(t.Context(), ourURL); err != nil || len(steps) != 0 {
				t.Errorf("got %v, %v: want nothing left to do", steps, err)
			}
		})
	}
	t.Run("the vendor keeps another URL", func(t *testing.T) {
		stub, client := open(t)
		steps, err := client.Register(t.Context(), ourURL)
		if err != nil || len(steps) != 1 {
			t.Fatal(steps, err)
		}
		stub.Fail(vendorstub.Failure{Method: "PUT", Status: 200, Body: `{"account":{"callback_url":null}}`, Times: 1})
		if err := steps[0].Do(t.Context()); err == nil {
			t.Error("no error")
		}
	})
	t.Run("a URL that the vendor refuses", func(t *testing.T) {
		_, client := open(t)
		steps, err := client.Register(t.Context(), "http://api.example.com/webhooks/dropboxsign/t")
		if err != nil || len(steps) != 1 {
			t.Fatal(steps, err)
		}
		if err := steps[0].Do(t.Context()); !errors.Is(err, vendorapi.ErrInvalid) {
			t.Errorf("got %v, want %v", err, vendorapi.ErrInvalid)
		}
	})
}

func TestRepair(t *testing.T) {
	for name, tt := range map[string]struct {
		is   vendorstub.Subscription
		want string
	}{
		"a cleared URL is set again": {vendorstub.Subscription{URL: ourURL, Disabled: true}, ourURL},
		"a working URL is kept":      {vendorstub.Subscription{URL: ourURL}, ourURL},
		"a URL that somebody changed is kept": {vendorstub.Subscription{URL: "https://other.example.com/hook"},
			"https://other.example.com/hook"},
	} {
		t.Run(name, func(t *testing.T) {
			stub, client := open(t)
			tt.is.ID = "account"
			stub.Subscribe(provider, tt.is)
			steps, err := client.Repair(t.Context(), ourURL)
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range steps {
				if err := step.Do(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff([]vendorstub.Subscription{{ID: "account", URL: tt.want}},
				stub.Subscriptions(provider)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
