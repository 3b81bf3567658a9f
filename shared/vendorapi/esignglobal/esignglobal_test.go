package esignglobal_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/esignglobal"
	"esignhooks/shared/webhook"
)

const (
	provider  = "esignglobal"
	id        = "9fbe6c8190824227bde29136b0145c81"
	tokenPath = "POST /esignglobal/v1/oauth2/accessToken"
)

// world is the stub of the vendor, a clock, and the notes that all our processes share.
type world struct {
	*vendorstub.Server
	now   time.Time
	notes ledger.Notes
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Server: vendorstub.New(t), now: time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC), notes: vendorstub.Notes(t)}
	w.Now = func() time.Time { return w.now }
	return w
}

// open returns a client. Each client acts as another process.
func (w *world) open(t *testing.T, members ...string) vendorapi.Client {
	t.Helper()
	credentials := map[string]string{}
	if err := json.Unmarshal(w.Credentials(provider), &credentials); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(members); i += 2 {
		credentials[members[i]] = members[i+1]
	}
	text, err := json.Marshal(credentials)
	if err != nil {
		t.Fatal(err)
	}
	client, err := esignglobal.New(text, vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: w.notes, Now: w.Now})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func TestCredentials(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"with the host of a data centre":  {`{"appId":"a","appSecret":"s","host":"openapi-eu1.esignglobal.com"}`, ""},
		"all that is missing is reported": {`{}`, "api.appId is missing\napi.appSecret is missing\napi.host is missing"},
		"a host is no address": {`{"appId":"a","appSecret":"s","host":"http://openapi-eu1.esignglobal.com"}`,
			"api.host is not a host name: write it without https:// and without a path"},
		"all wrong members are reported": {`{"host":"a/b"}`,
			"api.appId is missing\napi.appSecret is missing\napi.host is not a host name: write it without https:// and " +
				"without a path"},
	} {
		t.Run(name, func(t *testing.T) {
			got := ""
			if _, err := esignglobal.New([]byte(tt.text), vendorapi.Options{}); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestAgreement(t *testing.T) {
	w := newWorld(t)
	client := w.open(t)
	for status, tt := range map[esign.Status]struct {
		want         esign.Status
		vendorStatus string
	}{
		esign.Created: {esign.Created, "0"}, esign.Sent: {esign.Sent, "1"}, esign.Viewed: {esign.Sent, "1"},
		esign.Signed:    {esign.Signed, "1"},
		esign.Completed: {esign.Completed, "2"}, esign.Expired: {esign.Expired, "3"}, esign.Declined: {esign.Declined, "4"},
		esign.Cancelled: {esign.Cancelled, "5"}, esign.Failed: {esign.Failed, "7"},
	} {
		t.Run("the vendor's word for "+string(status), func(t *testing.T) {
			w.Set(provider, vendorstub.Agreement{ID: id, Status: status})
			want := vendorapi.Agreement{ID: id, Status: tt.want, VendorStatus: tt.vendorStatus}
			if status.Terminal() {
				want.ChangedAt = w.now
			}
			got, err := client.Agreement(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(got, "Participants", "SharedReference")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAnswers(t *testing.T) {
	yes, no := true, false
	ada := func(waiting *bool, id string, aliases ...string) []esign.Participant {
		return []esign.Participant{{ID: webhook.SenderKey(id), Status: esign.Sent, Role: esign.RoleSigner, Order: 1,
			Aliases: append([]string{}, aliases...), Reference: "emp-1", Waiting: waiting}}
	}
	const email = "ada@example.com"
	signers := func(status int, second string) string {
		return fmt.Sprintf(`"signerInfos":[
			{"businessId":"emp-1","userEmail":"ada@example.com","signOrder":"1","signerStatus":%d},
			{"businessId":%q,"phoneNumber":{"countryCode":"+44","number":"1"},"signOrder":2,"signerStatus":0}]`, status, second)
	}
	envelope := func(members string) string { return `{"envelopeId":"` + id + `",` + members + `}` }
	for name, tt := range map[string]struct {
		body string
		want vendorapi.Agreement
		err  error
	}{
		"code 0 as a number": {
			body: `{"code":0,"data":` + envelope(`"envelopeStatus":2`) + `}`,
			want: vendorapi.Agreement{ID: id, Status: esign.Completed, VendorStatus: "2"},
		},
		"code 0 and all other values as strings": {
			body: `{"code":"0","data":` + envelope(`"envelopeStatus":"2","envelopeEndTime":"2026-11-23T09:00:00Z"`) + `}`,
			want: vendorapi.Agreement{ID: id, Status: esign.Completed, VendorStatus: "2",
				ChangedAt: time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)},
		},
		"an unknown status is empty": {
			body: `{"code":"0","data":` + envelope(`"envelopeStatus":6`) + `}`,
			want: vendorapi.Agreement{ID: id, VendorStatus: "6"},
		},
		"a signer in progress, and another who shares the businessId": {
			body: `{"code":0,"data":` + envelope(`"envelopeStatus":1,`+signers(1, "emp-1")) + `}`,
			want: vendorapi.Agreement{ID: id, Status: esign.Sent, VendorStatus: "1", Participants: ada(&yes, email),
				SharedReference: "businessId"},
		},
		"the first signer, and another with another businessId": {
			body: `{"code":0,"data":` + envelope(`"envelopeStatus":1,`+signers(0, "emp-2")) + `}`,
			want: vendorapi.Agreement{ID: id, Status: esign.Sent, VendorStatus: "1",
				Participants: ada(&yes, "emp-1", webhook.SenderKey(email))},
		},
		"nobody waits at the end": {
			body: `{"code":0,"data":` + envelope(`"envelopeStatus":"5",`+signers(1, "emp-2")) + `}`,
			want: vendorapi.Agreement{ID: id, Status: esign.Cancelled, VendorStatus: "5",
				Participants: ada(&no, "emp-1", webhook.SenderKey(email))},
		},
		"an answer without a code": {body: `{"data":` + envelope(`"envelopeStatus":2`) + `}`, err: errPasses},
		"an answer about another envelope": {body: `{"code":0,"data":{"envelopeId":"other","envelopeStatus":2}}`,
			err: vendorapi.ErrUnknown},
		"an answer without data": {body: `{"code":0,"data":null}`, err: vendorapi.ErrUnknown},
		"data of another shape":  {body: `{"code":0,"data":"secret@example.com"}`, err: errPasses},
		"a refusal with an unknown code": {body: `{"code":1437999,"message":"system busy","data":"secret@example.com"}`,
			err: errPasses},
		"a refusal that names the envelope": {body: `{"code":"1437101","message":"The Envelope does not exist"}`,
			err: vendorapi.ErrUnknown},
		"a code is quoted, and nothing else": {body: `{"code":"se\ncret@example.com","message":"secret"}`, err: errPasses},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Fail(vendorstub.Failure{Path: "/envelopeDetail", Status: 200, Body: tt.body, Times: 1})
			got, err := w.open(t).Agreement(t.Context(), id)
			if tt.err != nil {
				if !is(err, tt.err) {
					t.Errorf("got %v, want %v", err, tt.err)
				}
				if err != nil && (strings.Contains(err.Error(), " secret") || strings.Contains(err.Error(), "\n")) {
					t.Errorf("the error contains a secret: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// errPasses stands for any temporary error, which has no sentinel.
var errPasses = errors.New("an error that may pass")

func is(err, want error) bool {
	if want != errPasses {
		return errors.Is(err, want)
	}
	for _, named := range []error{vendorapi.ErrUnknown, vendorapi.ErrDenied, vendorapi.ErrInvalid, vendorapi.ErrNotReady} {
		if errors.Is(err, named) {
			return false
		}
	}
	return err != nil
}

func TestUnknownEnvelopes(t *testing.T) {
	w := newWorld(t)
	w.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Completed, Deleted: true})
	client := w.open(t)
	if _, err := client.Agreement(t.Context(), id); !errors.Is(err, vendorapi.ErrUnknown) {
		t.Errorf("got %v, want %v", err, vendorapi.ErrUnknown)
	}
	if _, err := client.Documents(t.Context(), id); !errors.Is(err, vendorapi.ErrUnknown) {
		t.Errorf("got %v, want %v", err, vendorapi.ErrUnknown)
	}
}

// TestAnIDIsNotReadAsARefusal sends IDs that look like error codes. Otherwise a forger's ID could make the client
// replace its token, or treat a forgery as denied.
func TestAnIDIsNotReadAsARefusal(t *testing.T) {
	w := newWorld(t)
	w.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Sent})
	client := w.open(t)
	if _, err := client.Agreement(t.Context(), id); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Hour)
	for madeUp, want := range map[string]error{"my-TOKEN": vendorapi.ErrUnknown, "token": vendorapi.ErrUnknown,
		"": vendorapi.ErrUnknown} {
		w.Fail(vendorstub.Failure{
			Path: "/envelopeDetail", Status: 200, Body: `{"code":1437101,"message":"the envelope ` + strings.ToLower(madeUp) +
				` does not exist"}`, Times: 1,
		})
		if _, err := client.Agreement(t.Context(), madeUp); !errors.Is(err, want) {
			t.Errorf("%q: got %v, want %v", madeUp, err, want)
		}
	}
	if n := w.Calls(tokenPath); n != 1 {
		t.Errorf("got %d tokens, want 1", n)
	}
}

// TestTokens shows that all processes share one token, since a new token ends the one before.
func TestTokens(t *testing.T) {
	ask := func(t *testing.T, client vendorapi.Client) {
		t.Helper()
		if _, err := client.Agreement(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
	setup := func(t *testing.T) *world {
		w := newWorld(t)
		w.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Completed})
		return w
	}
	t.Run("all processes share one token, for nearly a day", func(t *testing.T) {
		w := setup(t)
		first, second := w.open(t), w.open(t)
		for range 23 {
			ask(t, first)
			ask(t, second)
			w.now = w.now.Add(time.Hour)
		}
		if n := w.Calls(tokenPath); n != 1 {
			t.Errorf("got %d tokens, want 1", n)
		}
	})
	t.Run("a token is replaced before it expires, and no request is refused", func(t *testing.T) {
		w := setup(t)
		client := w.open(t)
		ask(t, client)
		w.now = w.now.Add(24*time.Hour - time.Minute)
		ask(t, client)
		if n := w.Calls(tokenPath); n != 2 {
			t.Errorf("got %d tokens, want 2", n)
		}
		if n := w.Calls("envelopeDetail"); n != 2 {
			t.Errorf("asked %d times, want 2", n)
		}
	})
	t.Run("a revoked token is replaced once, for all processes", func(t *testing.T) {
		w := setup(t)
		first, second := w.open(t), w.open(t)
		ask(t, first)
		ask(t, second)
		stranger, err := esignglobal.New(w.Credentials(provider), vendorapi.Options{
			HTTP: vendorapi.NewHTTPClient(), Notes: newWorld(t).notes, Now: w.Now, // with notes of its own
		})
		if err != nil {
			t.Fatal(err)
		}
		ask(t, stranger)
		w.now = w.now.Add(6 * time.Minute)
		ask(t, first)
		ask(t, second)
		if n := w.Calls(tokenPath); n != 3 {
			t.Errorf("got %d tokens, want 3", n)
		}
	})
	t.Run("a token that a refusal names is replaced", func(t *testing.T) {
		w := setup(t)
		client := w.open(t)
		ask(t, client)
		w.now = w.now.Add(time.Hour)
		w.Fail(vendorstub.Failure{Path: "/envelopeDetail", Status: 200, Body: `{"code":"1437001","message":"Invalid Token"}`,
			Times: 1})
		ask(t, client)
		if n := w.Calls(tokenPath); n != 2 {
			t.Errorf("got %d tokens, want 2", n)
		}
	})
	t.Run("repeated refusals cost one token", func(t *testing.T) {
		w := setup(t)
		client := w.open(t)
		w.Fail(vendorstub.Failure{Path: "/envelopeDetail", Status: 200, Body: `{"code":401,"message":""}`, Times: 10})
		for range 3 {
			if _, err := client.Agreement(t.Context(), id); !errors.Is(err, vendorapi.ErrDenied) {
				t.Errorf("got %v, want %v", err, vendorapi.ErrDenied)
			}
		}
		if n := w.Calls(tokenPath); n != 1 {
			t.Errorf("got %d tokens, want 1", n)
		}
	})
	for name, tt := range map[string]struct {
		failure vendorstub.Failure
		secret  string
		want    error
	}{
		"a wrong secret": {secret: "wrong", want: vendorapi.ErrDenied},
		"a refusal with HTTP status 200": {failure: vendorstub.Failure{Status: 200,
			Body: `{"code":40001,"message":"wrong"}`}, want: vendorapi.ErrDenied},
		"a token without an expiry is replaced": {failure: vendorstub.Failure{Status: 200,
			Body: `{"access_token":"t"}`}, want: vendorapi.ErrDenied},
		"the vendor is down": {failure: vendorstub.Failure{Status: 500}, want: errPasses},
	} {
		t.Run(name, func(t *testing.T) {
			w := setup(t)
			secret := vendorstub.ESignGlobalSecret
			if tt.secret != "" {
				secret = tt.secret
			}
			if tt.failure.Status != 0 {
				tt.failure.Path, tt.failure.Times = "accessToken", 1
				w.Fail(tt.failure)
			}
			_, err := w.open(t, "appSecret", secret).Agreement(t.Context(), id)
			if !is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if n := w.Calls(tokenPath); n != 1 {
				t.Errorf("asked %d times for a token, want 1: each may end an older one", n)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	w := newWorld(t)
	w.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Completed, NotReady: 1})
	client := w.open(t)
	if _, err := client.Documents(t.Context(), id); !errors.Is(err, vendorapi.ErrNotReady) {
		t.Fatalf("got %v, want %v", err, vendorapi.ErrNotReady)
	}
	documents, err := client.Documents(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range documents {
		content, err := d.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(content)
		content.Close()
		if err != nil || int64(len(b)) != content.Size || content.Type != "application/pdf" || !d.PDF {
			t.Errorf("%s: %d bytes of %d, %s, %v", d.Name, len(b), content.Size, content.Type, err)
		}
		got[d.Name] = string(b)
	}
	want := map[string]string{
		"audit-trail.pdf": string(vendorstub.PDF(id + " CERTIFICATE")),
		"contract-1.pdf":  string(vendorstub.PDF(id + " CONTRACT")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	t.Run("an expired link must be requested again", func(t *testing.T) {
		w.now = w.now.Add(time.Hour)
		_, err := documents[0].Open(t.Context())
		if !errors.Is(err, vendorapi.ErrNotReady) {
			t.Errorf("got %v, want %v", err, vendorapi.ErrNotReady)
		}
		if strings.Contains(err.Error(), "signature") {
			t.Errorf("the error contains the link: %v", err)
		}
	})
	t.Run("an envelope that is not completed", func(t *testing.T) {
		w.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Sent})
		if _, err := client.Documents(t.Context(), id); !is(err, errPasses) {
			t.Errorf("got %v, want %v", err, errPasses)
		}
	})
}

func TestFiles(t *testing.T) {
	type named struct {
		Name string
		PDF  bool
	}
	file := func(kind, name string) string {
		return `{"fileType":"` + kind + `","fileName":"` + name + `","downloadUrl":"https://files.example.com/f?secret"}`
	}
	for name, tt := range map[string]struct {
		status string
		files  []string
		want   []named
		err    error
	}{
		"files are numbered in the order of their names": {
			status: "2", files: []string{file("ATTACHMENT", "b.jpeg"), file("ATTACHMENT", "a.png")},
			want: []named{{"attachment-1.png", false}, {"attachment-2.jpeg", false}},
		},
		"contracts are numbered, other files are not": {
			status: "2", files: []string{file("CONTRACT", "b.pdf"), file("CONTRACT", "a.pdf"), file("CERTIFICATE", "c.pdf"),
				file("COMBINED", "d.pdf")},
			want: []named{{"contract-1.pdf", true}, {"contract-2.pdf", true}, {"audit-trail.pdf", true}, {"combined.pdf", true}},
		},
		"types in lower case, as on an older page": {
			status: "2", files: []string{file("contract", "a"), file("certificate", "b")},
			want: []named{{"contract-1.pdf", true}, {"audit-trail.pdf", true}},
		},
		"attachments keep their type": {
			status: "2", files: []string{file("ATTACHMENT", "John Doe.PDF"), file("ATTACHMENT", "passport.jpeg"),
				file("ATTACHMENT", "x.p/../../df"), file("ATTACHMENT", "z.ünsafe")},
			want: []named{{"attachment-1.pdf", false}, {"attachment-2.jpeg", false}, {"attachment-3", false},
				{"attachment-4", false}},
		},
		"a file of an unknown type is kept": {
			status: "2", files: []string{file("AUDIO", "a.ogg")}, want: []named{{"other-1.ogg", false}},
		},
		"a second certificate does not replace the first": {
			status: "2", files: []string{file("CERTIFICATE", "a"), file("CERTIFICATE", "b")},
			want: []named{{"audit-trail.pdf", true}, {"audit-trail-2.pdf", true}},
		},
		"an envelope that is not completed": {status: "1", files: []string{file("CONTRACT", "a")},
			err: vendorapi.ErrNotReady},
		"a link without TLS is not followed": {
			status: "2", files: []string{`{"fileType":"CONTRACT","downloadUrl":"http://files.example.com/f?secret"}`},
			err: vendorapi.ErrInvalid,
		},
		"a link to another port of this machine": {
			status: "2", files: []string{`{"fileType":"CONTRACT","downloadUrl":"http://127.0.0.1:1/f?secret"}`},
			err: vendorapi.ErrInvalid,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Fail(vendorstub.Failure{Path: "/files/download", Status: 200, Times: 1,
				Body: `{"code":"0","data":{"envelopeStatus":` + tt.status + `,"envelopeFiles":[` + strings.Join(tt.files, ",") +
					`]}}`})
			documents, err := w.open(t).Documents(t.Context(), id)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil && strings.Contains(err.Error(), "secret") {
				t.Errorf("the error contains the link: %v", err)
			}
			var got []named
			for _, d := range documents {
				got = append(got, named{d.Name, d.PDF})
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestRedirectedLink checks that neither the token nor the link is sent to the target of a redirect.
func TestRedirectedLink(t *testing.T) {
	w := newWorld(t)
	var got http.Header
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		w.Write(vendorstub.PDF("x"))
	}))
	t.Cleanup(elsewhere.Close)
	w.Set(provider, vendorstub.Agreement{ID: id, Status: esign.Completed})
	documents, err := w.open(t).Documents(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.Fail(vendorstub.Failure{Path: "/esignglobal-files/", Status: 302, Header: http.Header{"Location": {elsewhere.URL}},
		Times: 1})
	content, err := documents[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	content.Close()
	if got == nil || got.Get("Authorization") != "" || got.Get("Referer") != "" {
		t.Errorf("got the header %v", got)
	}
}

func TestUnsupported(t *testing.T) {
	client := newWorld(t).open(t)
	_, _, changed := client.Changed(t.Context(), time.Time{}, time.Time{}, "")
	_, subscriptions := client.Subscriptions(t.Context())
	_, register := client.Register(t.Context(), "https://api.example.com/webhooks/esignglobal/t")
	_, repair := client.Repair(t.Context(), "https://api.example.com/webhooks/esignglobal/t")
	for name, err := range map[string]error{"changed": changed, "subscriptions": subscriptions, "register": register,
		"repair": repair} {
		t.Run(name, func(t *testing.T) {
			if !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("got %v, want %v", err, errors.ErrUnsupported)
			}
		})
	}
}
