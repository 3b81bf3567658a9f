package vendorstub

import (
	"archive/zip"
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

// What DocuSign knows of the one integration, user and account.
const (
	docusignKey     = "0a1b2c3d-0000-4000-8000-000000000001"
	docusignUser    = "0a1b2c3d-0000-4000-8000-000000000002"
	docusignAccount = "0a1b2c3d-0000-4000-8000-000000000003"
)

// docusignRSA is the integration's key, one per process.
var docusignRSA = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// docusign is what DocuSign keeps beside agreements and subscriptions. The server's mu guards it.
type docusign struct {
	noConsent bool
	tokens    map[string]time.Time // good until
	made      int                  // tokens, configurations

	hourly, burst, polling int // limits
	calls                  map[string]int
}

func (s *Server) docusign() *docusign { return s.vendors["docusign"].(*docusign) }

// DocuSignConsent gives, or takes back, the user's consent, which is given at first.
func (s *Server) DocuSignConsent(given bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.docusign().noConsent = !given
}

// DocuSignLimits sets how many calls are answered per hour and per 30 seconds, and how many questions about one envelope
// per hour. At first they are 3,000 and 500, and 100 since DocuSign does not publish the last.
func (s *Server) DocuSignLimits(hourly, burst, polling int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docusign()
	d.hourly, d.burst, d.polling = hourly, burst, polling
}

// DocuSignForgetTokens makes all access tokens invalid.
func (s *Server) DocuSignForgetTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.docusign().tokens)
}

func init() {
	vendors = append(vendors, func(s *Server, mux *http.ServeMux) {
		s.vendors["docusign"] = &docusign{tokens: map[string]time.Time{}, hourly: 3000, burst: 500, polling: 100, calls: map[string]int{}}
		mux.HandleFunc("POST /oauth/token", s.docusignToken)
		mux.HandleFunc("GET /oauth/userinfo", s.docusignUserInfo)
		for pattern, handle := range map[string]http.HandlerFunc{
			"GET /envelopes":                                 s.docusignEnvelopes,
			"GET /envelopes/{envelope}":                      s.docusignEnvelope,
			"GET /envelopes/{envelope}/documents/{document}": s.docusignDocument,
			"GET /connect":                                   s.docusignConfigurations,
			"POST /connect":                                  s.docusignSave,
			"PUT /connect":                                   s.docusignSave,
			"GET /connect/failures":                          s.docusignFailures,
			"PUT /connect/envelopes/retry_queue":             s.docusignRetry,
		} {
			method, path, _ := strings.Cut(pattern, " ")
			mux.HandleFunc(method+" /restapi/v2.1/accounts/{account}"+path, func(w http.ResponseWriter, r *http.Request) {
				if s.docusignAdmits(w, r) {
					handle(w, r)
				}
			})
		}
	})
	credentials["docusign"] = func(s *Server) any {
		key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(docusignRSA())})
		return map[string]string{
			"authHost": s.URL, "integrationKey": docusignKey, "userId": docusignUser, "accountId": docusignAccount, "privateKey": string(key),
		}
	}
}

func docusignError(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]string{"errorCode": code, "message": "A sentence about somebody@example.com."})
}

// docusignToken exchanges a JWT for an access token that is good for an hour.
//
// SPEC: https://developers.docusign.com/platform/auth/jwt-get-token, read 2026-11-23.
func (s *Server) docusignToken(w http.ResponseWriter, r *http.Request) {
	if problem := s.docusignAssertion(r); problem != "" {
		answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": problem})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.docusign()
	if d.noConsent {
		answer(w, http.StatusBadRequest, map[string]string{"error": "consent_required"})
		return
	}
	d.made++
	token := fmt.Sprintf("docusign-token-%d", d.made)
	d.tokens[token] = s.Now().Add(time.Hour)
	answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
}

// docusignAssertion checks the JWT, and says what is wrong with it. Its times are real ones: whoever makes it with
// golang.org/x/oauth2 has no other clock.
func (s *Server) docusignAssertion(r *http.Request) (problem string) {
	if r.PostFormValue("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" {
		return "unsupported_grant_type"
	}
	signed, signature, _ := cutLast(r.PostFormValue("assertion"), ".")
	header, payload, _ := strings.Cut(signed, ".")
	var head struct{ Alg, Typ string }
	var claims struct {
		Iss, Sub, Aud, Scope string
		Iat, Exp             int64
	}
	for _, part := range []struct {
		text string
		into any
	}{{header, &head}, {payload, &claims}} {
		decoded, err := base64.RawURLEncoding.DecodeString(part.text)
		if err != nil || json.Unmarshal(decoded, part.into) != nil {
			return "malformed"
		}
	}
	mac, _ := base64.RawURLEncoding.DecodeString(signature) // unreadable matches nothing
	sum := sha256.Sum256([]byte(signed))
	now := time.Now().Unix()
	_, host, _ := strings.Cut(s.URL, "://")
	scopes := strings.Fields(claims.Scope)
	switch {
	case head.Alg != "RS256" || rsa.VerifyPKCS1v15(&docusignRSA().PublicKey, crypto.SHA256, sum[:], mac) != nil:
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

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// docusignAuthorized checks the access token.
func (s *Server) docusignAuthorized(w http.ResponseWriter, r *http.Request) bool {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Now().Before(s.docusign().tokens[token]) {
		return true
	}
	docusignError(w, http.StatusUnauthorized, "AUTHORIZATION_INVALID_TOKEN")
	return false
}

func (s *Server) docusignUserInfo(w http.ResponseWriter, r *http.Request) {
	if !s.docusignAuthorized(w, r) {
		return
	}
	account := func(id, name string, standard bool) map[string]any {
		return map[string]any{"account_id": id, "is_default": standard, "account_name": name, "base_uri": s.URL}
	}
	answer(w, http.StatusOK, map[string]any{"sub": docusignUser, "email": "somebody@example.com", "accounts": []any{
		account("0a1b2c3d-0000-4000-8000-00000000000f", "Another", true), account(docusignAccount, "Ours", false),
	}})
}

// docusignAdmits checks token, account and limits.
//
// SPEC: https://developers.docusign.com/platform/resource-limits, read 2026-11-23: the hourly limit begins anew at the top
// of each hour, the other after 30 seconds; the headers.
func (s *Server) docusignAdmits(w http.ResponseWriter, r *http.Request) bool {
	if !s.docusignAuthorized(w, r) {
		return false
	}
	if !strings.EqualFold(r.PathValue("account"), docusignAccount) {
		docusignError(w, http.StatusUnauthorized, "USER_LACKS_MEMBERSHIP")
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	d, hour, window := s.docusign(), s.Now().Truncate(time.Hour), s.Now().Truncate(30*time.Second)
	count := func(of string, since time.Time) int {
		key := of + since.Format(time.RFC3339)
		d.calls[key]++
		return d.calls[key]
	}
	hourly, burst, polling := count("hourly", hour), count("burst", window), 0
	if envelope := r.PathValue("envelope"); envelope != "" {
		polling = count(strings.ToLower(envelope), hour)
	}
	for name, value := range map[string]string{
		"X-RateLimit-Limit": strconv.Itoa(d.hourly), "X-RateLimit-Remaining": strconv.Itoa(max(d.hourly-hourly, 0)),
		"X-RateLimit-Reset":  strconv.FormatInt(hour.Add(time.Hour).Unix(), 10),
		"X-BurstLimit-Limit": strconv.Itoa(d.burst), "X-BurstLimit-Remaining": strconv.Itoa(max(d.burst-burst, 0)),
	} {
		w.Header().Set(name, value)
	}
	switch {
	case hourly > d.hourly:
		docusignError(w, http.StatusBadRequest, "HOURLY_APIINVOCATION_LIMIT_EXCEEDED")
	case burst > d.burst:
		docusignError(w, http.StatusBadRequest, "BURST_APIINVOCATION_LIMIT_EXCEEDED")
	case polling > d.polling:
		docusignError(w, http.StatusBadRequest, "Hourly_Envelope_Polling_Limit_Exceeded")
	default:
		return true
	}
	return false
}

// docusignStatuses are the words for what all vendors have. An envelope that expires is voided.
var docusignStatuses = map[esign.Status]string{
	esign.Created: "created", esign.Sent: "sent", esign.Viewed: "delivered", esign.Signed: "signed", esign.Failed: "deleted",
	esign.Expired: "voided", esign.Cancelled: "voided", esign.Declined: "declined", esign.Completed: "completed",
}

func docusignDescribe(a *Agreement) map[string]any {
	envelope := map[string]any{
		"envelopeId": strings.ToLower(a.ID), "status": cmp.Or(a.VendorStatus, docusignStatuses[a.Status]),
		"statusChangedDateTime": a.ChangedAt.UTC().Format("2006-01-02T15:04:05.0000000Z"),
		"emailSubject":          "A subject", "sender": map[string]string{"userName": "Somebody", "email": "somebody@example.com"},
		"purgeState": "unpurged", "isSignatureProviderEnvelope": "false", "anySigner": nil,
	}
	switch a.Status {
	case esign.Expired:
		envelope["voidedReason"] = "Envelope has expired."
	case esign.Cancelled:
		envelope["voidedReason"] = "The sender changed their mind."
	}
	return envelope
}

// docusignEnvelopes lists those that changed.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/envelopes/envelopes/liststatuschanges, read
// 2026-11-23: from_date is required; count is 1,000 at most; the numbers are texts; nextUri stands there if there is more.
func (s *Server) docusignEnvelopes(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	from, fromErr := time.Parse(time.RFC3339, query.Get("from_date"))
	to, toErr := time.Parse(time.RFC3339, cmp.Or(query.Get("to_date"), s.Now().Format(time.RFC3339)))
	start, startErr := strconv.Atoi(cmp.Or(query.Get("start_position"), "0"))
	count, countErr := strconv.Atoi(cmp.Or(query.Get("count"), "1000"))
	if fromErr != nil || toErr != nil || startErr != nil || countErr != nil || start < 0 || !strings.EqualFold(query.Get("from_to_status"), "changed") {
		docusignError(w, http.StatusBadRequest, "INVALID_REQUEST_PARAMETER")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []any
	for _, a := range s.agreements["docusign"] {
		if !a.Deleted && !a.ChangedAt.Before(from) && !a.ChangedAt.After(to) {
			listed := docusignDescribe(a)
			delete(listed, "voidedReason") // which is the worse of what the documents leave open
			all = append(all, listed)
		}
	}
	start = min(start, len(all))
	end := min(start+min(count, 1000), len(all))
	list := map[string]any{
		"resultSetSize": strconv.Itoa(end - start), "totalSetSize": strconv.Itoa(len(all)),
		"startPosition": strconv.Itoa(start), "endPosition": strconv.Itoa(max(end-1, 0)),
	}
	if end > start {
		list["envelopes"] = all[start:end]
	}
	if end < len(all) {
		list["nextUri"] = fmt.Sprintf("/envelopes?start_position=%d", end)
	}
	answer(w, http.StatusOK, list)
}

func (s *Server) docusignEnvelope(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a := s.docusignFind(w, r); a != nil {
		answer(w, http.StatusOK, docusignDescribe(a))
	}
}

var docusignGUID = regexp.MustCompile(`^(?i)[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// docusignFind finds the envelope of a request, or answers it. The caller holds mu.
func (s *Server) docusignFind(w http.ResponseWriter, r *http.Request) *Agreement {
	id := r.PathValue("envelope")
	if !docusignGUID.MatchString(id) {
		docusignError(w, http.StatusBadRequest, "INVALID_REQUEST_PARAMETER")
		return nil
	}
	a := s.agreement("docusign", id)
	if a == nil || a.Deleted {
		docusignError(w, http.StatusNotFound, "ENVELOPE_DOES_NOT_EXIST")
		return nil
	}
	return a
}

// docusignDocument serves a document. What DocuSign answers when one is not ready is not documented: here, a code that
// nobody knows.
func (s *Server) docusignDocument(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	a := s.docusignFind(w, r)
	if a == nil {
		s.mu.Unlock()
		return
	}
	found, notReady := *a, a.NotReady > 0
	if notReady {
		a.NotReady--
	}
	s.mu.Unlock()
	switch document := r.PathValue("document"); {
	case notReady:
		docusignError(w, http.StatusBadRequest, "DOCUMENT_NOT_READY_OR_SO")
	case document == "combined" && r.URL.Query().Get("certificate") == "false":
		serve(w, found, "signed")
	case document == "combined":
		serve(w, found, "signed and certificate")
	case document == "certificate":
		serve(w, found, "certificate")
	case document == "archive":
		w.Header().Set("Content-Type", "application/zip")
		archive := zip.NewWriter(w)
		file, _ := archive.Create("signed.pdf")
		file.Write(PDF(found.ID))
		archive.Close()
	default:
		docusignError(w, http.StatusNotFound, "DOCUMENT_DOES_NOT_EXIST")
	}
}

// docusignEvents are those that a configuration can tell of.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI 2.1,
// read 2026-11-23.
var docusignEvents = []string{
	"envelope-created", "envelope-sent", "envelope-resent", "envelope-delivered", "envelope-completed", "envelope-declined",
	"envelope-voided", "recipient-authenticationfailed", "recipient-autoresponded", "recipient-declined",
	"recipient-delivered", "recipient-completed", "recipient-sent", "recipient-resent", "template-created",
	"template-modified", "template-deleted", "envelope-corrected", "envelope-purge", "envelope-deleted",
	"envelope-discard", "recipient-reassign", "recipient-delegate", "recipient-finish-later", "click-agreed",
	"click-declined",
}

// docusignConfiguration shows a subscription. Its Settings are the configuration without ID, URL and whether it is
// switched on; if they are nil, one that does what we want.
func docusignConfiguration(sub *Subscription) map[string]any {
	settings := sub.Settings
	if settings == nil {
		settings = map[string]any{
			"name": "esignhooks", "configurationType": "custom", "allUsers": "true", "requiresAcknowledgement": "true",
			"includeHMAC": "true", "includeEnvelopeVoidReason": "true", "enableLog": "true", "deliveryMode": "SIM",
			"eventData": map[string]any{"version": "restv2.1", "includeData": []string{"recipients"}},
			"events":    slices.DeleteFunc(slices.Clone(docusignEvents), func(e string) bool { return strings.HasPrefix(e, "click-") }),
		}
	}
	configuration := maps.Clone(settings)
	configuration["connectId"], configuration["urlToPublishTo"] = sub.ID, sub.URL
	configuration["allowEnvelopePublish"] = strconv.FormatBool(!sub.Disabled)
	return configuration
}

func (s *Server) docusignConfigurations(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	configurations := []any{}
	for _, sub := range s.subscriptions["docusign"] {
		configurations = append(configurations, docusignConfiguration(sub))
	}
	answer(w, http.StatusOK, map[string]any{"configurations": configurations, "totalRecords": strconv.Itoa(len(configurations))})
}

// docusignSave creates a configuration, or updates one: then what it does not name is reset, which is the worse of what
// the documents leave open.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectconfigurations/create, read
// 2026-11-23: name and configurationType are required; the URL must be https; without allUsers there must be userIds.
func (s *Server) docusignSave(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	var settings map[string]any
	var known struct {
		ConnectID, Name, ConfigurationType, URLToPublishTo, AllUsers, AllowEnvelopePublish string
		UserIDs, Events                                                                    []string
	}
	unknown := func(event string) bool { return !slices.Contains(docusignEvents, event) }
	if json.Unmarshal(body, &settings) != nil || json.Unmarshal(body, &known) != nil || known.Name == "" || known.ConfigurationType == "" ||
		!strings.HasPrefix(known.URLToPublishTo, "https://") || known.AllUsers != "true" && len(known.UserIDs) == 0 ||
		slices.ContainsFunc(known.Events, unknown) {
		docusignError(w, http.StatusBadRequest, "INVALID_REQUEST_BODY")
		return
	}
	for _, name := range []string{"connectId", "urlToPublishTo", "allowEnvelopePublish"} {
		delete(settings, name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	sub, status := (*Subscription)(nil), http.StatusOK
	if r.Method == http.MethodPost {
		d := s.docusign()
		d.made++
		sub, status = &Subscription{ID: strconv.Itoa(10000 + d.made)}, http.StatusCreated
		s.subscriptions["docusign"] = append(s.subscriptions["docusign"], sub)
	} else {
		i := slices.IndexFunc(s.subscriptions["docusign"], func(sub *Subscription) bool { return sub.ID == known.ConnectID })
		if i < 0 {
			docusignError(w, http.StatusBadRequest, "INVALID_REQUEST_PARAMETER")
			return
		}
		sub = s.subscriptions["docusign"][i]
	}
	sub.URL, sub.Disabled, sub.Settings = known.URLToPublishTo, known.AllowEnvelopePublish != "true", settings
	answer(w, status, docusignConfiguration(sub))
}

func (s *Server) docusignFailures(w http.ResponseWriter, _ *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failures := []any{}
	for _, sub := range s.subscriptions["docusign"] {
		for _, id := range sub.Failed {
			failures = append(failures, map[string]string{
				"accountId": docusignAccount, "connectId": sub.ID, "configUrl": sub.URL, "envelopeId": id, "status": "Completed",
				"failureId": sub.ID + "-" + id, "retryCount": "1", "email": "somebody@example.com",
			})
		}
	}
	answer(w, http.StatusOK, map[string]any{"failures": failures, "totalRecords": strconv.Itoa(len(failures))})
}

// docusignRetry takes it that everything can be delivered now, where the configuration is switched on.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectevents/retryforenvelopes, read
// 2026-11-23: "synchronous: must be false. Setting this property to any other value will result in errors".
func (s *Server) docusignRetry(w http.ResponseWriter, r *http.Request) {
	var filter struct {
		EnvelopeIDs []string
		Synchronous string
	}
	if json.NewDecoder(r.Body).Decode(&filter) != nil || len(filter.EnvelopeIDs) == 0 || cmp.Or(filter.Synchronous, "false") != "false" {
		docusignError(w, http.StatusBadRequest, "INVALID_REQUEST_BODY")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := []any{}
	for _, sub := range s.subscriptions["docusign"] {
		sub.Failed = slices.DeleteFunc(sub.Failed, func(id string) bool {
			again := !sub.Disabled && slices.Contains(filter.EnvelopeIDs, id)
			if again {
				queue = append(queue, map[string]string{"configId": sub.ID, "configUrl": sub.URL, "envelopeId": id, "status": "queued"})
			}
			return again
		})
	}
	answer(w, http.StatusOK, map[string]any{"retryQueue": queue})
}
