package docusign_test

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/docusign"
)

const envelopeID = "5a1e0c3b-7d2f-4c6e-9b8a-0f1e2d3c4b5a"

// clock is the clock of server and clients.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

// world is the stub of the vendor, with what its clients need.
type world struct {
	*vendorstub.Server
	clock   *clock
	options vendorapi.Options
}

func newWorld(t *testing.T) world {
	server, clock := vendorstub.New(t), &clock{time.Date(2026, 11, 22, 10, 20, 0, 0, time.UTC)}
	server.Now = clock.now
	return world{server, clock, vendorapi.Options{
		HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: clock.now,
	}}
}

// client returns a client. change may change its credentials.
func (w world) client(t *testing.T, change func(map[string]string)) vendorapi.Client {
	t.Helper()
	c, err := docusign.New(w.credentials(t, change), w.options)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (w world) credentials(t *testing.T, change func(map[string]string)) []byte {
	t.Helper()
	var members map[string]string
	if err := json.Unmarshal(w.Credentials("docusign"), &members); err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(members)
	}
	text, err := json.Marshal(members)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func (w world) complete() {
	w.Set("docusign", vendorstub.Agreement{ID: envelopeID, Status: esign.Completed})
}

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	for name, tt := range map[string]struct {
		change func(map[string]string)
		want   []string // parts of the error; empty for no error
	}{
		"the values that the page Apps and Keys shows": {nil, nil},
		"a key in PKCS #8": {func(m map[string]string) {
			block, _ := pem.Decode([]byte(m["privateKey"]))
			key, _ := x509.ParsePKCS1PrivateKey(block.Bytes)
			der, _ := x509.MarshalPKCS8PrivateKey(key)
			m["privateKey"] = string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
		}, nil},
		"the default auth host is production's": {func(m map[string]string) { delete(m, "authHost") }, nil},
		"all missing members are reported at once": {func(m map[string]string) { clear(m) }, []string{
			"api.integrationKey is missing", "api.userId is missing", "api.accountId is missing", "api.privateKey is missing",
		}},
		"all wrong members are reported at once": {func(m map[string]string) {
			m["authHost"], m["userId"], m["accountId"], m["integrationKey"] = "https://secret/", "secret@example.com", "12345", "secret"
			m["privateKey"] = "secret"
		}, []string{
			"api.authHost is not a host name", "api.userId is not a GUID", "api.accountId is not a GUID",
			"api.integrationKey is not a GUID", "api.privateKey is not an RSA key in PEM",
		}},
		"a public key": {func(m map[string]string) {
			m["privateKey"] = "-----BEGIN PUBLIC KEY-----\nc2VjcmV0\n-----END PUBLIC KEY-----\n"
		}, []string{"api.privateKey is not an RSA key in PEM"}},
		"an unknown member": {func(m map[string]string) { m["password"] = "secret" },
			[]string{`unknown member "password"`}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := docusign.New(w.credentials(t, tt.change), w.options)
			if (err != nil) != (len(tt.want) > 0) {
				t.Fatalf("error %v, want %q", err, tt.want)
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q does not contain %q", err, want)
				}
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("%q quotes a value", err)
			}
		})
	}
}

func TestClientDoesNotShowItsKey(t *testing.T) {
	w := newWorld(t)
	shown := fmt.Sprintf("%+v %#v", w.client(t, nil), w.client(t, nil))
	if strings.Contains(shown, "PRIVATE KEY") {
		t.Error("printing a client shows its private key")
	}
}

func TestPause(t *testing.T) {
	if pause := newWorld(t).client(t, nil).Pause(); pause != 15*time.Minute {
		t.Errorf("pause %s", pause)
	}
}

// TestTokens counts token requests. The stub accepts only a JWT that DocuSign would accept.
func TestTokens(t *testing.T) {
	for name, tt := range map[string]struct {
		between  func(world)
		tokens   int
		userinfo int // of two clients
	}{
		"all clients share one token, and each looks up the account once": {func(world) {}, 1, 2},
		"a token is replaced before it expires": {func(w world) {
			w.clock.at = w.clock.at.Add(59 * time.Minute)
		}, 2, 2},
		"a rejected token is replaced": {func(w world) {
			w.clock.at = w.clock.at.Add(5 * time.Minute)
			w.DocuSignForgetTokens()
		}, 2, 2},
		"the account is looked up again after a day": {func(w world) { w.clock.at = w.clock.at.Add(24 * time.Hour) },
			2, 4},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.complete()
			clients := []vendorapi.Client{w.client(t, nil), w.client(t, nil)}
			ask := func() {
				for _, c := range clients {
					if _, err := c.Agreement(t.Context(), envelopeID); err != nil {
						t.Fatal(err)
					}
				}
			}
			ask()
			tt.between(w)
			ask()
			if tokens, userinfo := w.Calls("POST /oauth/token"), w.Calls("GET /oauth/userinfo"); tokens != tt.tokens ||
				userinfo != tt.userinfo {
				t.Errorf("%d tokens and %d account lookups, want %d and %d", tokens, userinfo, tt.tokens,
					tt.userinfo)
			}
		})
	}
}

func TestNoToken(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(map[string]string)
		before func(world)
		want   error
		says   string
	}{
		"the user has not consented yet": {
			before: func(w world) { w.DocuSignConsent(false) }, want: vendorapi.ErrDenied,
			says: "/oauth/auth?response_type=code&scope=signature%20impersonation&client_id=",
		},
		"another user": {
			change: func(m map[string]string) { m["userId"] = envelopeID }, want: vendorapi.ErrDenied, says: "invalid_grant",
		},
		"another integration": {
			change: func(m map[string]string) { m["integrationKey"] = envelopeID }, want: vendorapi.ErrDenied,
			says: "invalid_grant",
		},
		"the user has no access to the account": {
			change: func(m map[string]string) { m["accountId"] = envelopeID }, want: vendorapi.ErrDenied,
			says: "not one of the user's accounts",
		},
		"the account is served without TLS": {
			before: func(w world) {
				w.Fail(vendorstub.Failure{Path: "/oauth/userinfo", Status: 200, Times: 1,
					Body: string(w.userinfo("http://example.com"))})
			},
			says: "base_uri is not the address of a host",
		},
		"the answer holds no token": {
			before: func(w world) {
				w.Fail(vendorstub.Failure{Path: "/oauth/token", Status: 200, Times: 9,
					Body: `{"access_token":"","expires_in":3600}`})
			},
			says: "access token: the response has no token",
		},
		"the auth host is down": {
			before: func(w world) { w.Fail(vendorstub.Failure{Path: "/oauth/token", Status: 503, Times: 9}) },
			says:   "answered 503",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.complete()
			if tt.before != nil {
				tt.before(w)
			}
			_, err := w.client(t, tt.change).Agreement(t.Context(), envelopeID)
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.says) {
				t.Fatalf("error %v, want %v with %q", err, tt.want, tt.says)
			}
			if tt.want == nil && (errors.Is(err, vendorapi.ErrDenied) || errors.Is(err, vendorapi.ErrInvalid) ||
				errors.Is(err, vendorapi.ErrUnknown)) {
				t.Errorf("the temporary error %v is final", err)
			}
			if !strings.HasPrefix(err.Error(), "docusign: ") || strings.Count(err.Error(), "docusign: ") > 1 {
				t.Errorf("error %q", err)
			}
		})
	}
}

// userinfo returns the auth host's answer for an account with this base URL.
func (w world) userinfo(baseURI string) []byte {
	var members map[string]string
	json.Unmarshal(w.Credentials("docusign"), &members)
	text, _ := json.Marshal(map[string]any{"accounts": []any{map[string]string{"account_id": strings.ToUpper(members["accountId"]), "base_uri": baseURI}}})
	return text
}

func TestAccountIsKnownInAnyCase(t *testing.T) {
	w := newWorld(t)
	w.complete()
	w.Fail(vendorstub.Failure{Path: "/oauth/userinfo", Status: 200, Times: 1, Body: string(w.userinfo(w.URL))})
	if _, err := w.client(t, nil).Agreement(t.Context(), envelopeID); err != nil {
		t.Error(err)
	}
}

// TestTheAccountIsNotOnThisMachine answers with a base URL on the loopback interface. The client must not send its
// token there in clear text.
func TestTheAccountIsNotOnThisMachine(t *testing.T) {
	w := newWorld(t)
	server := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "application/json")
		if strings.HasSuffix(r.URL.Path, "/oauth/token") {
			io.WriteString(rw, `{"access_token":"t","expires_in":3600}`)
		} else {
			rw.Write(w.userinfo(w.URL))
		}
	}))
	t.Cleanup(server.Close)
	w.options.HTTP = server.Client()
	client := w.client(t, func(members map[string]string) {
		members["authHost"] = strings.TrimPrefix(server.URL, "https://")
	})
	if _, err := client.Agreement(t.Context(), envelopeID); err == nil || !strings.Contains(err.Error(), "base_uri") ||
		w.Calls("") > 0 {
		t.Errorf("%v, after %d calls in clear text", err, w.Calls(""))
	}
}

func TestErrorCodes(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		body   string
		want   error
	}{
		"an unknown envelope is 404": {404,
			`{"errorCode":"ENVELOPE_DOES_NOT_EXIST","message":"secret"}`, vendorapi.ErrUnknown},
		"an unknown envelope is 400": {400,
			`{"errorCode":"ENVELOPE_DOES_NOT_EXIST","message":"secret"}`, vendorapi.ErrUnknown},
		"too many questions about one envelope": {400,
			`{"errorCode":"Hourly_Envelope_Polling_Limit_Exceeded","message":"secret"}`, vendorapi.ErrNotReady},
		"too many in a burst": {429,
			`{"errorCode":"Burst_Envelope_Polling_Limit_Exceeded","message":"secret"}`, vendorapi.ErrNotReady},
		"too many calls about one envelope": {400,
			`{"errorCode":"Hourly_APIInvocation_Envelope_Limit_Exceeded","message":"secret"}`, vendorapi.ErrNotReady},
		"the user lacks a right": {400, `{"errorCode":"USER_LACKS_PERMISSIONS","message":"secret"}`,
			vendorapi.ErrDenied},
		"the account lacks a right": {403,
			`{"errorCode":"ACCOUNT_LACKS_PERMISSIONS","message":"secret"}`, vendorapi.ErrDenied},
		"the integration is unknown": {400,
			`{"errorCode":"PARTNER_AUTHENTICATION_FAILED","message":"secret"}`, vendorapi.ErrDenied},
		"a token that is always rejected": {401,
			`{"errorCode":"AUTHORIZATION_INVALID_TOKEN","message":"secret"}`, vendorapi.ErrDenied},
		"a setting forbids it": {400,
			`{"errorCode":"COMBINED_PDF_DOWNLOAD_NOT_ALLOWED","message":"secret"}`, vendorapi.ErrDenied},
		"any other code is an invalid request": {400,
			`{"errorCode":"INVALID_REQUEST_PARAMETER","message":"secret"}`, vendorapi.ErrInvalid},
		"an implausible code is not quoted": {400, `{"errorCode":"secret@example.com"}`,
			vendorapi.ErrInvalid},
		"an answer without JSON is classified by its status": {404, `<html>secret</html>`, vendorapi.ErrUnknown},
		"an error of the auth host is classified by its status": {403,
			`{"error":"insufficient_scope","error_description":"secret"}`, vendorapi.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.complete()
			w.Fail(vendorstub.Failure{Path: "/envelopes/", Status: tt.status, Body: tt.body, Times: 9})
			_, err := w.client(t, nil).Agreement(t.Context(), envelopeID)
			if !errors.Is(err, tt.want) {
				t.Fatalf("error %v, want %v", err, tt.want)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("%q quotes the answer", err)
			}
		})
	}
}

func TestLimits(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(world)
		want   time.Duration
	}{
		"of an hour, to the header's time": {func(w world) { w.DocuSignLimits(0, 500, 100) },
			40 * time.Minute},
		"of an hour, without a header to the next full hour": {func(w world) {
			w.Fail(vendorstub.Failure{Path: "/envelopes/", Status: 400,
				Body: `{"errorCode":"HOURLY_APIINVOCATION_LIMIT_EXCEEDED"}`, Times: 1})
		}, 40 * time.Minute},
		"of an hour, with a header before the full hour": {func(w world) {
			w.Fail(vendorstub.Failure{
				Path: "/envelopes/", Status: 400, Body: `{"errorCode":"HOURLY_APIINVOCATION_LIMIT_EXCEEDED"}`, Times: 1,
				Header: http.Header{"X-Ratelimit-Reset": {fmt.Sprint(w.clock.at.Add(11 * time.Minute).Unix())}},
			})
		}, 11 * time.Minute},
		"of an hour, with an impossible header": {func(w world) {
			w.Fail(vendorstub.Failure{
				Path: "/envelopes/", Status: 400, Body: `{"errorCode":"HOURLY_APIINVOCATION_LIMIT_EXCEEDED"}`, Times: 1,
				Header: http.Header{"X-Ratelimit-Reset": {"3600"}},
			})
		}, 40 * time.Minute},
		"of an hour, with a header in milliseconds": {func(w world) {
			w.Fail(vendorstub.Failure{
				Path: "/envelopes/", Status: 400, Body: `{"errorCode":"HOURLY_APIINVOCATION_LIMIT_EXCEEDED"}`, Times: 1,
				Header: http.Header{"X-Ratelimit-Reset": {fmt.Sprint(w.clock.at.UnixMilli())}},
			})
		}, 40 * time.Minute},
		"of a burst": {func(w world) { w.DocuSignLimits(3000, 0, 100) }, 30 * time.Second},
		"of an hour, with status 429": {func(w world) {
			w.Fail(vendorstub.Failure{Path: "/envelopes/", Status: 429,
				Body: `{"errorCode":"HOURLY_APIINVOCATION_LIMIT_EXCEEDED"}`, Times: 1})
		}, 40 * time.Minute},
		"with status 429": {func(w world) {
			w.Fail(vendorstub.Failure{Path: "/envelopes/", Status: 429, Header: http.Header{"Retry-After": {"90"}},
				Body: `{"errorCode":"WHATEVER"}`, Times: 1})
		}, 90 * time.Second},
		"of tokens": {func(w world) { w.Fail(vendorstub.Failure{Path: "/oauth/token", Status: 429, Times: 1}) }, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.complete()
			tt.before(w)
			_, err := w.client(t, nil).Agreement(t.Context(), envelopeID)
			var later *vendorapi.LaterError
			if !errors.As(err, &later) || later.After != tt.want {
				t.Errorf("error %v, want a LaterError of %s", err, tt.want)
			}
		})
	}
}

// names returns a name for each element, such as a step or a document.
func names[T any](all []T, name func(T) string) (list []string) {
	for _, v := range all {
		list = append(list, name(v))
	}
	return list
}
