package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"mime/multipart"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

const (
	dropboxKey    = "black-box-dropbox-key-current-5b1e"
	dropboxSecond = "black-box-dropbox-key-previous-77c0"
	dropboxAlien  = "black-box-dropbox-key-of-nobody-1d9f"
)

const dropboxKeys = "DROPBOXSIGN_API_KEYS=" + dropboxSecond + "," + dropboxKey

// dropboxMessage is a callback; its event_hash is made with key.
func dropboxMessage(key, name string, second int, metadata object, resource object) string {
	at := strconv.FormatInt(moment(second).Unix(), 10)
	return text(merge(object{
		"event": object{
			"event_time": at, "event_type": name, "event_hash": hex.EncodeToString(sum(key, at+name)),
			"event_metadata": merge(object{
				"related_signature_id": "", "reported_for_account_id": "acc0000000000000000000000000000000000001",
				"reported_for_app_id": "", "event_message": "",
			}, metadata),
		},
		"account_guid": "acc0000000000000000000000000000000000001",
	}, resource))
}

func signatureRequest(id string, change object) object {
	return object{"signature_request": merge(object{
		"signature_request_id": id, "title": "Lease", "metadata": []any{}, "is_complete": false, "test_mode": true,
		"signatures": []object{{"signature_id": "sig-1", "signer_email_address": "a@people.example", "signer_name": "Ada", "status_code": "awaiting_signature"}},
	}, change)}
}

// multipartForm is a form with one field json, as Dropbox Sign sends it, with a Content-Sha256 if there is one.
func multipartForm(message, sha string) request {
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	w.WriteField("json", message)
	w.Close()
	r := request{path: "/webhooks/dropboxsign", body: body.String(), header: map[string]string{
		"Content-Type": w.FormDataContentType(), "User-Agent": "Dropbox Sign API",
	}}
	if sha != "" {
		r.header["Content-Sha256"] = sha
	}
	return r
}

// contentSha256 is base64 of the hex digest, as in the vendor's example.
func contentSha256(key, message string) string {
	return base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum(key, message))))
}

// dropbox is a whole, signed callback about a signature request.
func dropbox(id, name string, second int, metadata object) request {
	message := dropboxMessage(dropboxKey, name, second, metadata, signatureRequest(id, nil))
	return multipartForm(message, contentSha256(dropboxKey, message))
}

func TestDropboxSignAcknowledgesEverythingGenuineAlike(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	first := dropbox(guid(), "signature_request_sent", 1, nil)
	odd := dropboxMessage(dropboxKey, "signature_request_sent", 1, nil, object{"signature_request": "not an object"})
	test := dropboxMessage(dropboxKey, "callback_test", 1, nil, nil)
	unreadable := dropboxMessage(dropboxKey, "", 1, nil, nil)
	g.alike(first, first, dropbox(guid(), "not_yet_invented", 1, nil), multipartForm(unreadable, ""), multipartForm(odd, ""),
		multipartForm(test, ""), multipartForm(test, ""))
}

func TestDropboxSignOddObjectsAreNeitherRefusedNorLost(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	odd := []any{"text", 7, []any{}, []any{"text"}, true, nil, object{}, object{"signature_request_id": 7}, object{"signature_request_id": object{}}}
	for second, value := range odd {
		g.accept(multipartForm(dropboxMessage(dropboxKey, "signature_request_signed", second, nil, object{"signature_request": value}), ""))
	}
	events := g.events()
	if len(events) != len(odd) {
		t.Errorf("got %d events, want %d", len(events), len(odd))
	}
	for _, e := range events {
		if e.State == "processed" && e.Type != "other" && e.AgreementID == "" {
			t.Errorf("%s without a readable agreement became %s", e.VendorType, e.Type)
		}
	}
}

func TestDropboxSignGenuineMessagesThatSayLittleAreKept(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	for at, tt := range map[string]struct{ name, state string }{
		"some day in 2026": {"signature_request_sent", "processed"}, // ends in a digit: event_hash tells where the type begins
		"1772619601":       {"", "unreadable"},
	} {
		t.Run(at+" "+tt.name, func(t *testing.T) {
			g, before := g.in(t), len(g.events())
			message := text(merge(object{"event": object{
				"event_time": at, "event_type": tt.name, "event_hash": hex.EncodeToString(sum(dropboxKey, at+tt.name)),
			}}, signatureRequest(guid(), nil)))
			g.accept(multipartForm(message, contentSha256(dropboxKey, message)))
			if events := g.events(); len(events) != before+1 || events[0].State != tt.state {
				t.Errorf("got %d new events, the newest %+v; want one, %s", len(events)-before, events[0], tt.state)
			}
		})
	}
}

func TestDropboxSignReadsEveryForm(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	id := guid()
	message := dropboxMessage(dropboxKey, "signature_request_sent", 1, nil, signatureRequest(id, object{"title": "Ünï & co + 100% = \u2028"}))
	sha := contentSha256(dropboxKey, message)
	form, plain := multipartForm(message, sha), multipartForm(message, sha)
	plain.body = message
	encoded := plain
	encoded.body = url.Values{"json": {message}}.Encode()
	g.accept(
		form,
		plain.with("Content-Type", "application/json"),
		plain.with("Content-Type", "application/json; charset=utf-8"),
		encoded.with("Content-Type", "application/x-www-form-urlencoded"),
	)
	if e := g.one("dropboxsign", id, 3); e.Proof != "signed" || e.Type != "agreement.sent" || !e.OccurredAt.Equal(moment(1)) {
		t.Errorf("got %+v", e)
	}
}

func TestDropboxSignTakesEveryConfiguredKey(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	for _, key := range []string{dropboxKey, dropboxSecond} {
		id := guid()
		message := dropboxMessage(key, "signature_request_sent", 1, nil, signatureRequest(id, nil))
		g.accept(multipartForm(message, contentSha256(key, message)))
		g.one("dropboxsign", id, 0)
	}
}

func TestDropboxSignProof(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	for name, tt := range map[string]struct {
		sha   func(message string) string
		proof string
	}{
		"Content-Sha256 as base64 of hex": {func(m string) string { return contentSha256(dropboxKey, m) }, "signed"},
		"Content-Sha256 as base64 of the digest": {
			func(m string) string { return base64.StdEncoding.EncodeToString(sum(dropboxKey, m)) }, "signed",
		},
		"no Content-Sha256": {func(string) string { return "" }, "partly-signed"},
	} {
		t.Run(name+" proves "+tt.proof, func(t *testing.T) {
			g, id := g.in(t), guid()
			message := dropboxMessage(dropboxKey, "signature_request_sent", 1, nil, signatureRequest(id, nil))
			r := multipartForm(message, tt.sha(message))
			if tt.proof == "signed" {
				r = r.without("Content-Sha256").with("content-sha256", tt.sha(message))
			}
			g.accept(r)
			if e := g.one("dropboxsign", id, 0); e.Proof != tt.proof {
				t.Errorf("got proof %q, want %q", e.Proof, tt.proof)
			}
		})
	}
}

func TestDropboxSignRefusesWhatIsNotSigned(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	message := func(key string) string {
		return dropboxMessage(key, "signature_request_all_signed", 1, nil, signatureRequest(guid(), nil))
	}
	good := message(dropboxKey)
	at := strconv.FormatInt(moment(1).Unix(), 10)
	hash := hex.EncodeToString(sum(dropboxKey, at+"signature_request_all_signed"))
	rehashed := func(with string) request { return multipartForm(strings.Replace(good, hash, with, 1), "") }
	forged := strings.Replace(good, "Lease", "Other", 1)
	g.refuse(
		multipartForm(message(dropboxAlien), ""),
		multipartForm(message(""), ""),
		rehashed(""),
		rehashed(hex.EncodeToString(sum(dropboxKey, at))), // over the time alone
		rehashed(base64.StdEncoding.EncodeToString(sum(dropboxKey, at+"signature_request_all_signed"))),
		rehashed(hash[:32]),
		multipartForm(strings.Replace(good, "signature_request_all_signed", "signature_request_canceled", 1), ""),
		multipartForm(strings.Replace(good, at, strconv.FormatInt(moment(2).Unix(), 10), 1), ""),
		multipartForm(forged, contentSha256(dropboxKey, good)), // a true event_hash, another body
		multipartForm(good, contentSha256(dropboxAlien, good)),
		multipartForm(good, "bm90IGEgc2lnbmF0dXJl"),
		multipartForm(good, contentSha256(dropboxKey, multipartForm(good, "").body)),
		multipartForm(`{"event":`, ""), multipartForm("", ""), multipartForm("{}", ""), multipartForm("null", ""),
		multipartForm(`{"event":{"event_time":0,"event_type":null,"event_hash":null}}`, ""),
	)
	if events := g.events(); len(events) != 0 {
		t.Errorf("refused requests left events: %s", names(events))
	}
}

func TestDropboxSignProvesTheMessageItReads(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	one, two := guid(), guid()
	signed := dropboxMessage(dropboxKey, "signature_request_sent", 1, nil, signatureRequest(one, nil))
	forged := dropboxMessage(dropboxKey, "signature_request_all_signed", 1, nil, signatureRequest(two, nil)) // a captured event_hash
	for _, messages := range [][]string{{signed, forged}, {forged, signed}} {
		var body bytes.Buffer
		w := multipart.NewWriter(&body)
		for _, message := range messages {
			w.WriteField("json", message)
		}
		w.Close()
		r := multipartForm(signed, contentSha256(dropboxKey, signed)).with("Content-Type", w.FormDataContentType())
		r.body = body.String()
		g.send(r)
		r.body = url.Values{"json": messages}.Encode()
		g.send(r.with("Content-Type", "application/x-www-form-urlencoded"))
	}
	for _, e := range g.events() {
		if e.AgreementID != one {
			t.Errorf("a forged message beside a signed one became %+v", e)
		}
	}
}

func TestDropboxSignOneHappeningIsOneEvent(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	app := object{"reported_for_app_id": "app0000000000000000000000000000000000001", "reported_for_account_id": nil}
	for _, name := range []string{
		"signature_request_sent", "signature_request_signed", "signature_request_all_signed", "signature_request_remind", "not_yet_invented",
	} {
		t.Run("account and app copies of "+name, func(t *testing.T) {
			g, id := g.in(t), guid()
			forApp := dropboxMessage(dropboxKey, name, 1, merge(app, object{"related_signature_id": "sig-1"}),
				merge(signatureRequest(id, nil), object{"client_id": "app0000000000000000000000000000000000001"}))
			g.accept(dropbox(id, name, 1, object{"related_signature_id": "sig-1"}), multipartForm(forApp, contentSha256(dropboxKey, forApp)))
			events := g.events()
			if e := events[0]; e.Duplicates != 1 || e.VendorType != name || events[len(events)-1].Duplicates != 1 {
				t.Errorf("got %+v, want one event with one duplicate", e)
			}
		})
	}
}

func TestDropboxSignTellsHappeningsApart(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	t.Run("two signers in one second", func(t *testing.T) {
		g, id := g.in(t), guid()
		for _, signature := range []string{"sig-1", "sig-2"} {
			g.accept(dropbox(id, "signature_request_signed", 1, object{"related_signature_id": signature}))
		}
		g.many("dropboxsign", id, 2)
	})
	t.Run("two requests in one second, with one event_hash", func(t *testing.T) {
		g := g.in(t)
		for range 2 {
			id := guid()
			g.accept(dropbox(id, "signature_request_sent", 1, nil))
			defer g.one("dropboxsign", id, 0)
		}
	})
	t.Run("two reminders in one second, told apart by the request they show", func(t *testing.T) {
		g, id := g.in(t), guid()
		for _, signer := range []string{"sig-1", "sig-2"} {
			change := object{"signatures": []object{{"signature_id": signer, "last_reminded_at": moment(1).Unix()}}}
			message := dropboxMessage(dropboxKey, "signature_request_remind", 1, nil, signatureRequest(id, change))
			g.accept(multipartForm(message, contentSha256(dropboxKey, message)))
		}
		g.many("dropboxsign", id, 2)
	})
	t.Run("two views at two times", func(t *testing.T) {
		g, id := g.in(t), guid()
		g.accept(dropbox(id, "signature_request_viewed", 1, object{"related_signature_id": "sig-1"}),
			dropbox(id, "signature_request_viewed", 2, object{"related_signature_id": "sig-1"}))
		g.many("dropboxsign", id, 2)
	})
}

// TestDropboxSignTypes has one type per status; the provider's own tests have them all.
func TestDropboxSignTypes(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	type meaning struct{ kind, status string }
	for name, want := range map[string]meaning{
		"signature_request_prepared":   {"agreement.created", "created"},
		"signature_request_sent":       {"agreement.sent", "sent"},
		"signature_request_viewed":     {"agreement.viewed", "viewed"},
		"signature_request_signed":     {"agreement.signed", "signed"},
		"signature_request_all_signed": {"agreement.completed", "completed"},
		"signature_request_declined":   {"agreement.declined", "declined"},
		"signature_request_canceled":   {"agreement.cancelled", "cancelled"},
		"signature_request_expired":    {"agreement.expired", "expired"},
		"signature_request_invalid":    {"agreement.failed", "failed"},
		"not_yet_invented":             {"other", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			g.accept(dropbox(id, name, 4, nil))
			if e := g.one("dropboxsign", id, 0); e.Type != want.kind || e.VendorType != name || e.AgreementID != id || !e.OccurredAt.Equal(moment(4)) {
				t.Errorf("got %+v, want %s at %v", e, want.kind, moment(4))
			}
			if a := g.agreement("dropboxsign", id); a.Status != want.status {
				t.Errorf("got status %q, want %q", a.Status, want.status)
			}
		})
	}
}

func TestDropboxSignOtherEventsAreNoAgreements(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	want := map[string]string{}
	for name, tt := range map[string]struct {
		kind     string
		resource object
	}{
		"template_created":  {"template.created", object{"template": object{"template_id": guid(), "title": "T", "metadata": object{}}}},
		"template_error":    {"template.failed", object{"template": object{"template_id": guid()}}},
		"account_confirmed": {"account.confirmed", object{"account": object{"account_id": guid(), "email_address": "a@people.example"}}},
		"callback_test":     {"test", object{}},
		"fax_received":      {"other", object{"transmission": object{"signature_request_id": "", "files_url": "https://x.example/1"}}},
		"not_yet_invented":  {"other", object{}},
		"unknown_error":     {"other", object{}},
	} {
		want[name] = tt.kind
		message := dropboxMessage(dropboxKey, name, 1, object{"reported_for_app_id": nil}, tt.resource)
		g.accept(multipartForm(message, contentSha256(dropboxKey, message)))
	}
	got := map[string]string{}
	for _, e := range g.events() {
		got[e.VendorType] = e.Type
		if e.State != "processed" || e.AgreementID != "" {
			t.Errorf("%s: state %s, agreement %q", e.VendorType, e.State, e.AgreementID)
		}
	}
	if !maps.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	if agreements := g.agreements(); len(agreements) != 0 {
		t.Errorf("got agreements %+v, want none", agreements)
	}
}

func TestDropboxSignWorksWithoutMetadata(t *testing.T) {
	t.Parallel()
	g := start(t, dropboxKeys)
	id := guid()
	at := strconv.FormatInt(moment(1).Unix(), 10)
	message := text(merge(object{"event": object{
		"event_time": at, "event_type": "signature_request_sent", "event_hash": hex.EncodeToString(sum(dropboxKey, at+"signature_request_sent")),
	}}, signatureRequest(id, object{"metadata": object{}, "custom_fields": nil, "template_ids": nil})))
	g.accept(multipartForm(message, contentSha256(dropboxKey, message)))
	g.one("dropboxsign", id, 0)
}

func TestDropboxSignFixtures(t *testing.T) {
	t.Parallel()
	var vectors struct {
		APIKey string `json:"api_key"`
		Field  string `json:"json_field"`
		OfHex  string `json:"content_sha256_base64_of_hex"`
		OfRaw  string `json:"content_sha256_base64_of_raw"`
	}
	if err := json.Unmarshal([]byte(fixture(t, "dropboxsign/synthetic/vectors.json")), &vectors); err != nil {
		t.Fatal(err)
	}
	g := start(t, "DROPBOXSIGN_API_KEYS="+vectors.APIKey)
	t.Run("official callbacks with a true hash are taken", func(t *testing.T) {
		g := g.in(t)
		var callbacks map[string]json.RawMessage
		if err := json.Unmarshal([]byte(fixture(t, "dropboxsign/01_EventCallbackHelper_AccountCallbacks.json")), &callbacks); err != nil {
			t.Fatal(err)
		}
		if len(callbacks) == 0 {
			t.Fatal("no callbacks")
		}
		for _, callback := range callbacks {
			g.accept(multipartForm(string(callback), ""))
		}
		g.accept(multipartForm(fixture(t, "dropboxsign/03_EventCallbackExample_account_confirmed.json"), ""))
		for _, e := range g.events() {
			if e.State != "processed" || e.Proof != "partly-signed" || e.AgreementID != "" {
				t.Errorf("got %+v", e)
			}
		}
	})
	t.Run("official examples with a placeholder for the hash are refused", func(t *testing.T) {
		g := g.in(t)
		g.refuse(
			multipartForm(fixture(t, "dropboxsign/04_EventCallbackAccountSignatureRequestSent.json"), ""),
			multipartForm(fixture(t, "dropboxsign/05_EventCallbackAppAccountConfirmed.json"), ""),
		)
	})
	t.Run("a whole multipart request is taken, in all its forms", func(t *testing.T) {
		g := g.in(t)
		head, body, _ := strings.Cut(fixture(t, "dropboxsign/synthetic/all_signed.multipart.http"), "\r\n\r\n")
		r := request{path: "/webhooks/dropboxsign", body: body, header: map[string]string{}}
		for _, line := range strings.Split(head, "\r\n")[1:] {
			if name, value, _ := strings.Cut(line, ": "); name != "Host" && name != "Content-Length" {
				r.header[name] = value
			}
		}
		g.accept(r, r.with("Content-Sha256", vectors.OfRaw), multipartForm(vectors.Field, vectors.OfHex))
		var sent struct {
			SignatureRequest struct {
				ID string `json:"signature_request_id"`
			} `json:"signature_request"`
		}
		if err := json.Unmarshal([]byte(vectors.Field), &sent); err != nil {
			t.Fatal(err)
		}
		if e := g.one("dropboxsign", sent.SignatureRequest.ID, 2); e.Type != "agreement.completed" || e.Proof != "signed" {
			t.Errorf("got %+v", e)
		}
	})
}
