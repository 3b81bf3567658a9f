package adobesign_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/adobesign"
)

const id = "CBJCHBCAABAA_agreement-1"

// world is the stub of the vendor, with what its clients need.
type world struct {
	*vendorstub.Server
	mu      sync.Mutex
	now     time.Time
	options vendorapi.Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: vendorstub.New(t), now: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)}
	clock := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	w.Now = clock
	w.options = vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: clock}
	return w
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) client(t *testing.T) vendorapi.Client {
	t.Helper()
	return w.open(t, w.Credentials("adobesign"))
}

// simple returns a client with an integration key.
func (w *world) simple(t *testing.T) vendorapi.Client {
	t.Helper()
	text, _ := json.Marshal(map[string]string{"integrationKey": vendorstub.AdobeSignKey, "host": w.URL})
	return w.open(t, text)
}

func (w *world) open(t *testing.T, credentials []byte) vendorapi.Client {
	t.Helper()
	client, err := adobesign.New(credentials, w.options)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func (w *world) set(a vendorstub.Agreement) { w.Set("adobesign", a) }

func TestCredentialsAreOneOfTwoSets(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string // parts of the error; empty for no error
	}{
		"an integration key":              {`{"integrationKey": "canary"}`, nil},
		"an integration key and its host": {`{"integrationKey": "canary", "host": "api.eu1.adobesign.com"}`, nil},
		"a refresh token":                 {`{"clientId": "c", "clientSecret": "canary", "refreshToken": "canary", "host": "api.eu1.adobesign.com"}`, nil},
		"nothing":                         {`{}`, []string{"api.integrationKey", "refreshToken"}},
		"both": {`{"integrationKey": "canary", "refreshToken": "canary"}`,
			[]string{"integrationKey as well as"}},
		"parts of the second set": {`{"refreshToken": "canary"}`,
			[]string{"api.clientId", "api.clientSecret", "api.host"}},
		"a refresh token without its host": {`{"clientId": "c", "clientSecret": "canary", "refreshToken": "canary"}`,
			[]string{"api.host is missing"}},
		"a host that is an address": {`{"integrationKey": "canary", "host": "https://canary.example/x"}`,
			[]string{"api.host is not"}},
		"several problems are reported together": {`{"clientId": "c", "host": "canary/"}`,
			[]string{"api.clientSecret", "api.refreshToken", "api.host is not"}},
		"an unknown member": {`{"integrationKey": "canary", "key": "canary"}`,
			[]string{`unknown member "key"`}},
		"no object": {`"canary"`, []string{"api"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := adobesign.New([]byte(tt.text), vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Now: time.Now})
			if (err == nil) != (tt.want == nil) {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%v", err)
				}
			}
		})
	}
}

func TestTokensAreSharedAndRenewed(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Sent})
	ask := func(c vendorapi.Client) {
		t.Helper()
		if _, err := c.Agreement(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	first, second := w.client(t), w.client(t)
	ask(first)
	ask(second)
	ask(first)
	if n := w.Calls("POST /oauth/v2/refresh"); n != 1 {
		t.Errorf("%d refreshed", n)
	}
	w.pass(59 * time.Minute)
	ask(second)
	if n := w.Calls("POST /oauth/v2/refresh"); n != 2 {
		t.Errorf("%d refreshed after an hour", n)
	}
	w.pass(5 * time.Minute)
	w.Fail(vendorstub.Failure{Path: "/agreements/", Status: 401, Body: `{"code": "INVALID_ACCESS_TOKEN"}`, Times: 1})
	ask(second)
	if n := w.Calls("POST /oauth/v2/refresh"); n != 3 {
		t.Errorf("%d refreshed after one was revoked", n)
	}
}

func TestATokenLastsNoLongerThanAnHour(t *testing.T) {
	w := newWorld(t)
	w.Fail(vendorstub.Failure{
		Path: "/oauth/v2/refresh", Status: 200, Header: http.Header{"Content-Type": {"application/json"}},
		Body: `{"access_token": "in-milliseconds", "token_type": "Bearer", "expires_in": 3600000}`, Times: 9,
	})
	w.Fail(vendorstub.Failure{Path: "/agreements/", Status: 200, Body: `{"status": "SIGNED"}`, Times: 9})
	c := w.client(t)
	for want := range 3 {
		if _, err := c.Agreement(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if n := w.Calls("POST /oauth/v2/refresh"); n != want+1 {
			t.Errorf("%d tokens in hour %d", n, want)
		}
		w.pass(time.Hour)
	}
}

func TestARefusedRefresh(t *testing.T) {
	for name, tt := range map[string]struct {
		failure vendorstub.Failure
		want    error
		later   time.Duration
	}{
		"the refresh token is rejected": {vendorstub.Failure{Status: 400,
			Body: `{"error": "invalid_grant", "error_description": "canary"}`}, vendorapi.ErrDenied, 0},
		"the secret is rejected": {vendorstub.Failure{Status: 401, Body: `canary`}, vendorapi.ErrDenied, 0},
		"too many": {vendorstub.Failure{Status: 429, Header: http.Header{"Retry-After": {"90"}},
			Body: `canary`}, nil, 90 * time.Second},
		"too many, without Retry-After": {vendorstub.Failure{Status: 429}, nil, time.Minute},
		"the vendor is down":            {vendorstub.Failure{Status: 503, Body: `canary`}, nil, 0},
		"an invalid answer":             {vendorstub.Failure{Status: 200, Body: `{"canary": 1}`}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.failure.Path, tt.failure.Times = "/oauth/v2/refresh", 10
			w.Fail(tt.failure)
			_, err := w.client(t).Agreement(t.Context(), id)
			var later *vendorapi.LaterError
			if err == nil || errors.Is(err, vendorapi.ErrDenied) != (tt.want != nil) ||
				strings.Contains(err.Error(), "canary") || strings.Contains(err.Error(), "stub") {
				t.Error(err)
			}
			if errors.As(err, &later) != (tt.later > 0) || later != nil && later.After != tt.later {
				t.Errorf("%v, want %s", err, tt.later)
			}
		})
	}
}

// reroute sends requests for one host to another address.
type reroute struct {
	host, to string
	next     http.RoundTripper
}

func (r reroute) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.URL.Host == r.host {
		request = request.Clone(request.Context())
		to, _ := url.Parse(r.to)
		request.URL.Scheme, request.URL.Host, request.Host = to.Scheme, to.Host, ""
	}
	return r.next.RoundTrip(request)
}

func TestAnUnknownAccessPointIsLookedUp(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Sent})
	w.options.HTTP.Transport = reroute{"api.adobesign.com", w.URL, w.options.HTTP.Transport}
	// The stub's own access point is http, which only its own host may name.
	w.Fail(vendorstub.Failure{Path: "/baseUris", Status: 200, Body: `{"apiAccessPoint": "https://api.adobesign.com/"}`,
		Times: 1})
	c := w.open(t, []byte(`{"integrationKey": "`+vendorstub.AdobeSignKey+`"}`))
	for range 3 {
		if _, err := c.Agreement(t.Context(), id); err != nil {
			t.Fatal(err)
		}
	}
	if n := w.Calls("/baseUris"); n != 1 {
		t.Errorf("looked up %d times", n)
	}
}

func TestAnAccountMoves(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Completed})
	c := w.simple(t)
	ask := func() {
		t.Helper()
		if a, err := c.Agreement(t.Context(), id); err != nil || a.Status != esign.Completed {
			t.Fatal(a, err)
		}
	}
	ask()
	if n := w.Calls("/baseUris"); n != 0 {
		t.Errorf("a known access point was looked up %d times", n)
	}
	w.AdobeSignMoves()
	ask()
	ask()
	if n := w.Calls("/baseUris"); n != 1 {
		t.Errorf("the new access point was looked up %d times", n)
	}
	documents, _ := c.Documents(t.Context(), id)
	if _, err := documents[0].Open(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestInvalidAccessPoints(t *testing.T) {
	for name, body := range map[string]string{
		"no address":              `{"apiAccessPoint": "canary"}`,
		"another host, not https": `{"apiAccessPoint": "http://canary.example/"}`,
		"nothing":                 `{}`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.AdobeSignMoves()
			w.Fail(vendorstub.Failure{Path: "/baseUris", Status: 200, Body: body, Times: 1})
			_, err := w.simple(t).Agreement(t.Context(), id)
			if err == nil || errors.Is(err, vendorapi.ErrUnknown) || errors.Is(err, vendorapi.ErrDenied) ||
				strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
		})
	}
	t.Run("the access point does not serve the account", func(t *testing.T) {
		w := newWorld(t)
		w.Fail(vendorstub.Failure{Path: "/agreements", Status: 401, Body: `{"code": "INVALID_API_ACCESS_POINT"}`, Times: 9})
		if _, err := w.simple(t).Agreement(t.Context(), id); err == nil || errors.Is(err, vendorapi.ErrUnknown) ||
			errors.Is(err, vendorapi.ErrDenied) {
			t.Error(err)
		}
		if n := w.Calls("/agreements"); n != 2 {
			t.Errorf("asked %d times", n)
		}
	})
}

func TestCodesOfErrors(t *testing.T) {
	all := []error{vendorapi.ErrNotReady, vendorapi.ErrUnknown, vendorapi.ErrDenied, vendorapi.ErrInvalid}
	for code, tt := range map[string]struct {
		status int
		want   error // nil for a temporary error
	}{
		"DOCUMENT_NOT_AVAILABLE":           {404, vendorapi.ErrNotReady},
		"DOCUMENT_NOT_YET_AVAILABLE":       {404, vendorapi.ErrNotReady},
		"AGREEMENT_NOT_AVAILABLE":          {404, vendorapi.ErrNotReady},
		"AGREEMENT_IN_DRAFT_STATE":         {403, vendorapi.ErrNotReady},
		"INVALID_AGREEMENT_ID":             {404, vendorapi.ErrUnknown},
		"AGREEMENT_DELETED":                {404, vendorapi.ErrUnknown},
		"DOCUMENTS_REMOVED":                {404, vendorapi.ErrUnknown},
		"PERMISSION_DENIED":                {404, vendorapi.ErrDenied},
		"API_TERMS_NOT_ACCEPTED":           {403, vendorapi.ErrDenied},
		"INVALID_ACCESS_TOKEN":             {401, vendorapi.ErrDenied},
		"UNVERIFIED_USER":                  {401, vendorapi.ErrDenied},
		"INVALID_ARGUMENTS":                {400, vendorapi.ErrInvalid},
		"MISC_ERROR":                       {400, nil},
		"RESOURCE_MODIFIED":                {412, nil},
		"MISC_SERVER_ERROR":                {500, nil},
		"A_CODE_THAT_CAME_LATER":           {400, vendorapi.ErrInvalid},
		"A_CODE_THAT_CAME_LATER_FORBIDDEN": {403, vendorapi.ErrDenied},
	} {
		t.Run(code, func(t *testing.T) {
			w := newWorld(t)
			w.Fail(vendorstub.Failure{Path: "/combinedDocument", Status: tt.status, Body: `{"code": "` + code +
				`", "message": "canary"}`, Times: 99})
			documents, err := w.simple(t).Documents(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			_, err = documents[0].Open(t.Context())
			for _, kind := range all {
				if errors.Is(err, kind) != (kind == tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			}
			if err == nil || tt.status < 500 && !strings.Contains(err.Error(), code) || strings.Contains(err.Error(), "canary") {
				t.Error(err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		failure vendorstub.Failure
		want    time.Duration
	}{
		"in the header": {vendorstub.Failure{Header: http.Header{"Retry-After": {"120"}}, Body: `{"retryAfter": 7}`},
			2 * time.Minute},
		"only in the body": {vendorstub.Failure{Body: `{"code": "THROTTLING_TOO_MANY_REQUESTS", "retryAfter": 600}`},
			10 * time.Minute},
		"implausible in the body": {vendorstub.Failure{Body: `{"code": "THROTTLING_TOO_MANY_REQUESTS", "retryAfter": 1e30}`},
			24 * time.Hour},
		"nowhere": {vendorstub.Failure{Body: `{"code": "THROTTLING_TOO_MANY_REQUESTS"}`}, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.failure.Status, tt.failure.Path, tt.failure.Times = 429, "/agreements", 1
			w.Fail(tt.failure)
			_, err := w.simple(t).Agreement(t.Context(), id)
			if later := new(*vendorapi.LaterError); !errors.As(err, later) || (*later).After != tt.want {
				t.Error(err)
			}
			if n := w.Calls("/agreements"); n != 1 {
				t.Errorf("asked %d times", n)
			}
		})
	}
}

func TestPauseKeepsIdenticalRequestsWithinTheLimit(t *testing.T) {
	w := newWorld(t)
	w.AdobeSignLimit(1, 10*time.Minute)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Completed, NotReady: 2})
	c := w.simple(t)
	for _, want := range []error{vendorapi.ErrNotReady, vendorapi.ErrNotReady, nil} {
		if _, err := c.Agreement(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		documents, err := c.Documents(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := documents[0].Open(t.Context()); !errors.Is(err, want) {
			t.Fatal(err)
		}
		w.pass(c.Pause())
	}
	c.Agreement(t.Context(), id)
	if _, err := c.Agreement(t.Context(), id); !errors.As(err, new(*vendorapi.LaterError)) {
		t.Errorf("the vendor has no limit: %v", err)
	}
}
