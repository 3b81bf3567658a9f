package vendorstub

import (
	"archive/zip"
	"bytes"
	"cmp"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"esignhooks/shared/esign"
)

// The one integration, and the user.
const (
	docusignKey  = "0a1b2c3d-0000-4000-8000-000000000001"
	docusignUser = "0a1b2c3d-0000-4000-8000-000000000002"
)

// The account of the credentials, another account of the user, and their numbers, which XML messages give instead.
const (
	DocuSignAccount     = "0a1b2c3d-0000-4000-8000-000000000003"
	DocuSignOther       = "0a1b2c3d-0000-4000-8000-00000000000f"
	DocuSignOtherNumber = "7305529"
	DocuSignNumber      = "7305528"
)

// docusignRSA is the integration's key, one per process.
var docusignRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// docuSign serves /oauth and /restapi/v2.1.
type docuSign struct {
	*account
	noConsent bool

	hourly, burst, polling int // limits
	calls                  map[string]int
}

func serveDocuSign(a *account, mux *http.ServeMux) *docuSign {
	d := &docuSign{
		account: a, hourly: 3000, burst: 500, polling: 100, calls: map[string]int{},
	}
	a.credentials = func() object {
		block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(docusignRSA())}
		return object{
			"authHost": a.URL, "integrationKey": docusignKey, "userId": docusignUser, "accountId": DocuSignAccount,
			"privateKey": string(pem.EncodeToMemory(block)),
		}
	}
	a.routes(mux, "/oauth", nil, map[string]handler{"POST /token": d.token})
	a.routes(mux, "/oauth", d.authorize, map[string]handler{"GET /userinfo": d.userInfo})
	a.routes(mux, "/restapi/v2.1", d.authorize, map[string]handler{"GET /accounts/{account}": d.information})
	a.routes(mux, "/restapi/v2.1/accounts/{account}", d.admit, map[string]handler{
		"GET /envelopes": d.envelopes, "GET /envelopes/{envelope}": with(d.find, d.envelope),
		"GET /envelopes/{envelope}/form_data":            with(d.find, d.form),
		"GET /envelopes/{envelope}/documents/{document}": with(d.find, d.document),
		"GET /connect": d.configurations, "POST /connect": d.save, "PUT /connect": d.save,
		"GET /connect/failures": d.undelivered, "PUT /connect/envelopes/retry_queue": d.retry,
	})
	return d
}

// DocuSignConsent gives or withdraws the user's consent. It is given at first.
func (s *Server) DocuSignConsent(given bool) {
	s.locked(func() { s.docuSign.noConsent = !given })
}

// DocuSignLimits sets how many calls are answered per hour and per 30 seconds, and how many calls about one envelope
// per hour. The defaults are 3,000 and 500, and 100 for the last, which DocuSign does not publish.
func (s *Server) DocuSignLimits(hourly, burst, polling int) {
	d := s.docuSign
	s.locked(func() { d.hourly, d.burst, d.polling = hourly, burst, polling })
}

// DocuSignForgetTokens makes all access tokens invalid.
func (s *Server) DocuSignForgetTokens() {
	s.locked(func() { clear(s.docuSign.tokens) })
}

func (*docuSign) refuse(code int, word string) *reply {
	return answer(code, object{"errorCode": word, "message": "A sentence about somebody@example.com."})
}

// token exchanges a JWT for an access token that is valid for an hour.
//
// SPEC: https://developers.docusign.com/platform/auth/jwt-get-token, read 2026-11-23.
func (d *docuSign) token(r *http.Request) *reply {
	if problem := d.assertion(r); problem != "" {
		return answer(http.StatusBadRequest, object{"error": "invalid_grant", "error_description": problem})
	}
	if d.noConsent {
		return answer(http.StatusBadRequest, object{"error": "consent_required"})
	}
	return answer(http.StatusOK, object{"access_token": d.issue(time.Hour), "token_type": "Bearer", "expires_in": 3600})
}

// assertion checks the JWT, and returns what is wrong with it. It uses the real time, since golang.org/x/oauth2, which
// makes the JWT, has no other clock.
func (d *docuSign) assertion(r *http.Request) (problem string) {
	if r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "unsupported_grant_type"
	}
	parts := strings.Split(r.PostFormValue("assertion"), ".")
	if len(parts) != 3 {
		return "malformed"
	}
	var head struct{ Alg, Typ string }
	var claims struct {
		Iss, Sub, Aud, Scope string
		Iat, Exp             int64
	}
	for i, into := range []any{&head, &claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(decoded, into) != nil {
			return "malformed"
		}
	}
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2]) // an unreadable one matches nothing
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := time.Now().Unix()
	_, host, _ := strings.Cut(d.URL, "://")
	scopes := strings.Fields(claims.Scope)
	switch {
	case head.Alg != "RS256" || rsa.VerifyPKCS1v15(&docusignRSA().PublicKey, crypto.SHA256, sum[:], signature) != nil:
		return "no_valid_keys_or_signatures"
	case claims.Iss != docusignKey:
		return "issuer_not_found"
	case claims.Sub != docusignUser:
		return "user_not_found"
	case claims.Aud != host:
		return "invalid_audience"
	case claims.Iat > now || claims.Exp <= now || claims.Exp-claims.Iat > 3600:
		return "expired_or_not_yet_valid_token"
	case !slices.Contains(scopes, "signature") || !slices.Contains(scopes, "impersonation"):
		return "invalid_scope"
	}
	return ""
}

// authorize checks the access token.
func (d *docuSign) authorize(next handler) handler {
	return func(r *http.Request) *reply {
		if !d.authorized(r) {
			return d.refuse(http.StatusUnauthorized, "AUTHORIZATION_INVALID_TOKEN")
		}
		return next(r)
	}
}

func (d *docuSign) userInfo(*http.Request) *reply {
	account := func(id, name string, standard bool) object {
		return object{"account_id": id, "is_default": standard, "account_name": name, "base_uri": d.URL}
	}
	accounts := []any{
		account(DocuSignOther, "Another", true), account(DocuSignAccount, "Ours", false),
	}
	return answer(http.StatusOK, object{
		"sub": docusignUser, "email": "somebody@example.com", "accounts": accounts,
	})
}

// information describes an account of the user, given by its number.
func (d *docuSign) information(r *http.Request) *reply {
	known := map[string]string{DocuSignNumber: DocuSignAccount, DocuSignOtherNumber: DocuSignOther}
	if id := known[r.PathValue("account")]; id != "" {
		return answer(http.StatusOK, object{"accountIdGuid": id, "accountName": "An account"})
	}
	return d.refuse(http.StatusBadRequest, "USER_LACKS_MEMBERSHIP")
}

// admit checks token, account and limits.
//
// SPEC: https://developers.docusign.com/platform/resource-limits, read 2026-11-23: the hourly limit is reset at the top
// of each hour, the other after 30 seconds; the headers.
func (d *docuSign) admit(next handler) handler {
	return d.authorize(func(r *http.Request) *reply {
		if id := strings.ToLower(r.PathValue("account")); id != DocuSignAccount && id != DocuSignOther {
			return d.refuse(http.StatusUnauthorized, "USER_LACKS_MEMBERSHIP")
		}
		hour, window := d.Now().Truncate(time.Hour), d.Now().Truncate(30*time.Second)
		hourly, burst, polling := d.count("hourly", hour), d.count("burst", window), 0
		if envelope := r.PathValue("envelope"); envelope != "" {
			polling = d.count(strings.ToLower(envelope), hour)
		}
		var out *reply
		switch {
		case hourly > d.hourly:
			out = d.refuse(http.StatusBadRequest, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED")
		case burst > d.burst:
			out = d.refuse(http.StatusBadRequest, "BURST_APIINVOCATION_LIMIT_EXCEEDED")
		case polling > d.polling:
			out = d.refuse(http.StatusBadRequest, "Hourly_Envelope_Polling_Limit_Exceeded")
		default:
			out = next(r)
		}
		for name, value := range map[string]int64{
			"X-RateLimit-Limit": int64(d.hourly), "X-RateLimit-Remaining": int64(max(d.hourly-hourly, 0)),
			"X-RateLimit-Reset":  hour.Add(time.Hour).Unix(),
			"X-BurstLimit-Limit": int64(d.burst), "X-BurstLimit-Remaining": int64(max(d.burst-burst, 0)),
		} {
			out.header.Set(name, strconv.FormatInt(value, 10))
		}
		return out
	})
}

// count counts a call against a limit since a time.
func (d *docuSign) count(limit string, since time.Time) int {
	key := limit + since.Format(time.RFC3339)
	d.calls[key]++
	return d.calls[key]
}

// docusignStatuses are the vendor's words. An envelope that expires is voided.
var docusignStatuses = map[esign.Status]string{
	esign.Created: "created", esign.Sent: "sent", esign.Viewed: "delivered", esign.Signed: "signed",
	esign.Failed: "deleted", esign.Expired: "voided", esign.Cancelled: "voided", esign.Declined: "declined",
	esign.Completed: "completed",
}

// docusignMembers are the members of an envelope by what a request names to include them.
var docusignMembers = map[string]string{"custom_fields": "customFields", "recipients": "recipients"}

// docusignEnvelope describes an envelope, with what the request wants to include.
func docusignEnvelope(r *http.Request, a *Agreement) object {
	envelope := object{
		"envelopeId": strings.ToLower(a.ID), "status": cmp.Or(a.VendorStatus, docusignStatuses[a.Status]),
		"statusChangedDateTime": a.ChangedAt.UTC().Format("2006-01-02T15:04:05.0000000Z"),
		"emailSubject":          "A subject",
		"sender":                object{"userName": "Somebody", "email": "somebody@example.com"},
		"purgeState":            "unpurged", "isSignatureProviderEnvelope": "false", "anySigner": nil,
	}
	for name := range strings.SplitSeq(r.URL.Query().Get("include"), ",") {
		if included := a.Included[name]; included != nil {
			envelope[docusignMembers[name]] = included
		}
	}
	switch a.Status {
	case esign.Expired:
		envelope["voidedReason"] = "Envelope has expired."
		envelope["expireDateTime"] = envelope["statusChangedDateTime"]
	case esign.Cancelled:
		envelope["voidedReason"] = "Quote expired, a new contract follows."
	}
	return envelope
}

// envelopes lists the changed envelopes. It leaves out voidedReason, the worse of what the documentation leaves open.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/envelopes/envelopes/liststatuschanges, read
// 2026-11-23: from_date is required; count is 1,000 at most; the numbers are strings; nextUri is there if there is
// more.
func (d *docuSign) envelopes(r *http.Request) *reply {
	query := r.URL.Query()
	from, fromErr := time.Parse(time.RFC3339, query.Get("from_date"))
	to, toErr := time.Parse(time.RFC3339, cmp.Or(query.Get("to_date"), d.Now().Format(time.RFC3339)))
	start, startErr := strconv.Atoi(cmp.Or(query.Get("start_position"), "0"))
	count, countErr := strconv.Atoi(cmp.Or(query.Get("count"), "1000"))
	if cmp.Or(fromErr, toErr, startErr, countErr) != nil || start < 0 ||
		!strings.EqualFold(query.Get("from_to_status"), "changed") {
		return d.refuse(http.StatusBadRequest, "INVALID_REQUEST_PARAMETER")
	}
	var all []any
	for _, a := range d.agreements {
		if !a.Deleted && !a.ChangedAt.Before(from) && !a.ChangedAt.After(to) {
			listed := docusignEnvelope(r, a)
			delete(listed, "voidedReason")
			all = append(all, listed)
		}
	}
	listed := page(all, start, min(count, 1000))
	end := start + len(listed)
	list := object{
		"resultSetSize": strconv.Itoa(len(listed)), "totalSetSize": strconv.Itoa(len(all)),
		"startPosition": strconv.Itoa(start), "endPosition": strconv.Itoa(max(end-1, 0)),
	}
	if len(listed) > 0 {
		list["envelopes"] = listed
	}
	if end < len(all) {
		list["nextUri"] = fmt.Sprintf("/envelopes?start_position=%d", end)
	}
	return answer(http.StatusOK, list)
}

func (d *docuSign) envelope(r *http.Request, a *Agreement) *reply {
	return answer(http.StatusOK, docusignEnvelope(r, a))
}

var docusignGUID = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// find returns the envelope of a request, or a refusal.
func (d *docuSign) find(r *http.Request) (*Agreement, *reply) {
	id := r.PathValue("envelope")
	if !docusignGUID.MatchString(id) {
		return nil, d.refuse(http.StatusBadRequest, "INVALID_REQUEST_PARAMETER")
	}
	a := d.agreement(id)
	if a == nil || a.Deleted || a.Other != strings.EqualFold(r.PathValue("account"), DocuSignOther) {
		return nil, d.refuse(http.StatusNotFound, "ENVELOPE_DOES_NOT_EXIST")
	}
	return a, nil
}

// form serves what the recipients have filled in.
func (d *docuSign) form(_ *http.Request, a *Agreement) *reply {
	fields := cmp.Or(a.Form, `"formData":[]`)
	return answer(http.StatusOK, json.RawMessage(`{"envelopeId":"`+strings.ToLower(a.ID)+`",`+fields+`}`))
}

// document serves a document. DocuSign does not document its answer while one is not ready: here, an unknown code.
func (d *docuSign) document(r *http.Request, a *Agreement) *reply {
	if a.preparing() {
		return d.refuse(http.StatusBadRequest, "DOCUMENT_NOT_READY_OR_SO")
	}
	switch name := r.PathValue("document"); {
	case name == "combined" && r.URL.Query().Get("certificate") == "false":
		return document(a, "signed")
	case name == "combined":
		return document(a, "signed and certificate")
	case name == "certificate":
		return document(a, "certificate")
	case name == "archive":
		var content bytes.Buffer
		archive := zip.NewWriter(&content)
		file, _ := archive.Create("signed.pdf") // a buffer takes everything
		file.Write(PDF(a.ID))
		archive.Close()
		return &reply{http.StatusOK, http.Header{"Content-Type": {"application/zip"}}, content.Bytes()}
	}
	return d.refuse(http.StatusNotFound, "DOCUMENT_DOES_NOT_EXIST")
}

// docusignEvents are those that a configuration can subscribe to.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-23; from extension-executed on, https://learn.microsoft.com/connectors/docusign/, read 2026-11-30.
var docusignEvents = []string{
	"envelope-created", "envelope-sent", "envelope-resent", "envelope-delivered", "envelope-completed",
	"envelope-declined",
	"envelope-voided", "recipient-authenticationfailed", "recipient-autoresponded", "recipient-declined",
	"recipient-delivered", "recipient-completed", "recipient-sent", "recipient-resent", "template-created",
	"template-modified", "template-deleted", "envelope-corrected", "envelope-purge", "envelope-deleted",
	"envelope-discard", "recipient-reassign", "recipient-delegate", "recipient-finish-later", "click-agreed",
	"click-declined", "extension-executed", "envelope-reminder-sent", "envelope-removed",
	"identity-verification-completed", "identity-verification-pending", "notary-session-notary-assigned",
	"notary-session-notary-removed", "notary-session-paused", "notary-session-signer-locked",
	"notary-session-signer-unlocked", "notary-session-status-updated", "notary-session-terminated", "sms-opt-in",
	"sms-opt-out",
}

// docusignConfiguration shows a subscription. Its Settings are the configuration without ID, URL and the switch. Nil
// Settings mean a correct configuration.
func docusignConfiguration(sub *Subscription) object {
	settings := sub.Settings
	if settings == nil {
		click := func(e string) bool { return strings.HasPrefix(e, "click-") }
		settings = object{
			"name": "esignhooks", "configurationType": "custom", "allUsers": "true", "requiresAcknowledgement": "true",
			"includeHMAC": "true", "includeEnvelopeVoidReason": "true", "enableLog": "true", "deliveryMode": "SIM",
			"eventData": object{"version": "restv2.1", "includeData": []string{"recipients", "custom_fields"}},
			"events":    slices.DeleteFunc(slices.Clone(docusignEvents), click),
		}
	}
	configuration := maps.Clone(settings)
	configuration["connectId"], configuration["urlToPublishTo"] = sub.ID, sub.URL
	configuration["allowEnvelopePublish"] = strconv.FormatBool(!sub.Disabled)
	return configuration
}

func (d *docuSign) configurations(*http.Request) *reply {
	all := []any{}
	for _, sub := range d.subscriptions {
		all = append(all, docusignConfiguration(sub))
	}
	return answer(http.StatusOK, object{"configurations": all, "totalRecords": strconv.Itoa(len(all))})
}

// save creates or updates a configuration. An update resets what it does not name, the worse of what the documentation
// leaves open.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectconfigurations/create, read
// 2026-11-23: name and configurationType are required; the URL must be https; without allUsers there must be userIds.
func (d *docuSign) save(r *http.Request) *reply {
	body, _ := io.ReadAll(r.Body)
	var settings object
	var known struct {
		ConnectID, Name, ConfigurationType, URLToPublishTo, AllUsers, AllowEnvelopePublish string
		UserIDs, Events                                                                    []string
	}
	unknown := func(event string) bool { return !slices.Contains(docusignEvents, event) }
	if json.Unmarshal(body, &settings) != nil || json.Unmarshal(body, &known) != nil ||
		known.Name == "" || known.ConfigurationType == "" || !strings.HasPrefix(known.URLToPublishTo, "https://") ||
		known.AllUsers != "true" && len(known.UserIDs) == 0 || slices.ContainsFunc(known.Events, unknown) {
		return d.refuse(http.StatusBadRequest, "INVALID_REQUEST_BODY")
	}
	for _, name := range []string{"connectId", "urlToPublishTo", "allowEnvelopePublish"} {
		delete(settings, name)
	}
	sub, code := d.subscription(known.ConnectID), http.StatusOK
	switch {
	case r.Method == http.MethodPost:
		d.made++
		sub, code = &Subscription{ID: strconv.Itoa(10000 + d.made)}, http.StatusCreated
		d.subscriptions = append(d.subscriptions, sub)
	case sub == nil:
		return d.refuse(http.StatusBadRequest, "INVALID_REQUEST_PARAMETER")
	}
	sub.URL, sub.Disabled, sub.Settings = known.URLToPublishTo, known.AllowEnvelopePublish != "true", settings
	return answer(code, docusignConfiguration(sub))
}

// undelivered lists the failures of all configurations.
func (d *docuSign) undelivered(*http.Request) *reply {
	all := []any{}
	for _, sub := range d.subscriptions {
		for _, id := range sub.Failed {
			all = append(all, object{"accountId": DocuSignAccount, "connectId": sub.ID, "configUrl": sub.URL, "envelopeId": id,
				"status": "Completed", "failureId": sub.ID + "-" + id, "retryCount": "1", "email": "somebody@example.com",
			})
		}
	}
	return answer(http.StatusOK, object{"failures": all, "totalRecords": strconv.Itoa(len(all))})
}

// retry delivers everything that is named, where the configuration is switched on.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectevents/retryforenvelopes, read
// 2026-11-23: "synchronous: must be false. Setting this property to any other value will result in errors".
func (d *docuSign) retry(r *http.Request) *reply {
	var filter struct {
		EnvelopeIDs []string
		Synchronous string
	}
	if json.NewDecoder(r.Body).Decode(&filter) != nil || len(filter.EnvelopeIDs) == 0 ||
		cmp.Or(filter.Synchronous, "false") != "false" {
		return d.refuse(http.StatusBadRequest, "INVALID_REQUEST_BODY")
	}
	queue := []any{}
	for _, sub := range d.subscriptions {
		sub.Failed = slices.DeleteFunc(sub.Failed, func(id string) bool {
			retried := !sub.Disabled && slices.Contains(filter.EnvelopeIDs, id)
			if retried {
				queue = append(queue, object{"configId": sub.ID, "configUrl": sub.URL, "envelopeId": id, "status": "queued"})
			}
			return retried
		})
	}
	return answer(http.StatusOK, object{"retryQueue": queue})
}
