package vendorstub

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	provider "esignhooks/shared/provider/adobesign"
)

// The one account and its application. The client ID is the one that localhost accepts without configuration.
const (
	AdobeSignKey      = "stub-adobesign-integration-key"
	AdobeSignClientID = "DEVELOPMENTCLIENTID"
	AdobeSignUser     = "CBJCHBCAABAAadmin" // the user of the credentials

	adobeSignSecret  = "stub-adobesign-client-secret"
	adobeSignRefresh = "stub-adobesign-refresh-token"
	adobeSignMoved   = "/adobesign-na2" // the access point after a move
	adobeSignPage    = 2                // the length of a page
)

// adobeSign serves /api/rest/v6 and /oauth/v2/refresh. The Settings of a subscription are the members of a webhook that
// other vendors do not have: name, scope, webhookSubscriptionEvents, webhookConditionalParams, lastModified.
type adobeSign struct {
	*account
	access    string            // the prefix that paths must have
	owners    map[string]string // users, by agreement
	receivers map[string]http.Handler
	limit     int // of identical GETs
	interval  time.Duration
	asked     map[string][]time.Time
}

func serveAdobeSign(a *account, mux *http.ServeMux) *adobeSign {
	d := &adobeSign{
		account: a, owners: map[string]string{},
		receivers: map[string]http.Handler{}, asked: map[string][]time.Time{},
	}
	a.credentials = func() object {
		return object{
			"clientId": AdobeSignClientID, "clientSecret": adobeSignSecret, "refreshToken": adobeSignRefresh, "host": a.URL,
		}
	}
	a.routes(mux, "", nil, map[string]handler{"POST /oauth/v2/refresh": d.refresh})
	for _, access := range []string{"", adobeSignMoved} {
		admit := func(next handler) handler { return d.admit(access, next) }
		a.routes(mux, access+"/api/rest/v6", admit, map[string]handler{
			"GET /baseUris": d.baseUris, "GET /users": d.users, "POST /search": d.search,
			"GET /agreements/{id}":                  with(d.find, d.get),
			"GET /agreements/{id}/events":           with(d.find, d.events),
			"GET /agreements/{id}/combinedDocument": with(d.find, d.combined),
			"GET /agreements/{id}/formData":         with(d.find, d.form),
			"GET /agreements/{id}/auditTrail":       with(d.find, d.auditTrail),
			"GET /webhooks":                         d.webhooks,
			"POST /webhooks":                        with(d.settings, d.create),
			"GET /webhooks/{id}":                    with(d.hook, d.webhook),
			"PUT /webhooks/{id}":                    with(d.hook, d.update),
			"DELETE /webhooks/{id}":                 with(d.hook, d.remove),
			"PUT /webhooks/{id}/state":              with(d.hook, d.state),
		})
	}
	return d
}

// AdobeSignMoves puts the account behind another access point.
func (s *Server) AdobeSignMoves() {
	s.locked(func() { s.adobeSign.access = adobeSignMoved })
}

// AdobeSignOwner gives an agreement to a user other than AdobeSignUser. A user named "unverified" is not verified.
func (s *Server) AdobeSignOwner(id, user string) {
	s.locked(func() { s.adobeSign.owners[id] = user })
}

// AdobeSignLimit limits a user's identical GETs. The vendor's limit is 1 in 10 minutes, or 3 in a minute. By default
// there is no limit.
func (s *Server) AdobeSignLimit(n int, interval time.Duration) {
	s.locked(func() { s.adobeSign.limit, s.adobeSign.interval = n, interval })
}

// Receiver handles the vendors' requests to a host, such as the verification of a URL. Other hosts are called over the
// network.
func (s *Server) Receiver(host string, h http.Handler) {
	s.locked(func() { s.adobeSign.receivers[host] = h })
}

// refuse answers with the vendor's error.
func (*adobeSign) refuse(status int, code string) *reply {
	return answer(status, object{"code": code, "message": "The message of " + code})
}

func (d *adobeSign) refresh(r *http.Request) *reply {
	for member, value := range map[string]string{
		"grant_type": "refresh_token", "client_id": AdobeSignClientID,
		"client_secret": adobeSignSecret, "refresh_token": adobeSignRefresh,
	} {
		if r.PostFormValue(member) != value {
			return answer(http.StatusBadRequest,
				object{"error": "invalid_grant", "error_description": "The " + member + " is not valid"})
		}
	}
	return answer(http.StatusOK, object{"access_token": d.issue(time.Hour), "token_type": "Bearer", "expires_in": 3600})
}

// admit refuses a request that is not authorized, comes to the wrong access point or is one too many.
func (d *adobeSign) admit(access string, next handler) handler {
	return func(r *http.Request) *reply {
		named, user := r.Header.Get("X-Api-User"), effectiveUser(r)
		switch {
		case r.Header.Get("Authorization") == "":
			return d.refuse(http.StatusUnauthorized, "NO_AUTHORIZATION_HEADER")
		case r.Header.Get("Authorization") != "Bearer "+AdobeSignKey && !d.authorized(r):
			return d.refuse(http.StatusUnauthorized, "INVALID_ACCESS_TOKEN")
		case access != d.access && !strings.HasSuffix(r.URL.Path, "/baseUris"):
			return d.refuse(http.StatusUnauthorized, "INVALID_API_ACCESS_POINT")
		case named != "" && !strings.HasPrefix(named, "userid:"):
			return d.refuse(http.StatusBadRequest, "INVALID_X_API_USER_HEADER")
		case !slices.Contains(d.everybody(), user):
			return d.refuse(http.StatusUnauthorized, "INVALID_USER")
		case user == "unverified":
			return d.refuse(http.StatusUnauthorized, "UNVERIFIED_USER")
		}
		if wait := d.wait(r); wait > 0 {
			out := answer(http.StatusTooManyRequests, object{
				"code": "THROTTLING_TOO_MANY_REQUESTS", "message": fmt.Sprintf("Try again in %d seconds", wait),
				"retryAfter": wait,
			})
			out.header.Set("Retry-After", strconv.Itoa(wait))
			return out
		}
		return next(r)
	}
}

// wait counts a GET, and returns by how many seconds it is too early.
func (d *adobeSign) wait(r *http.Request) int {
	if d.limit == 0 || r.Method != http.MethodGet {
		return 0
	}
	request := effectiveUser(r) + " " + r.URL.String()
	old := func(at time.Time) bool { return d.Now().Sub(at) >= d.interval }
	recent := slices.DeleteFunc(d.asked[request], old)
	d.asked[request] = append(recent, d.Now())
	if len(recent) < d.limit {
		return 0
	}
	return int(d.interval.Seconds())
}

// effectiveUser is the user that a request acts for.
func effectiveUser(r *http.Request) string {
	return cmp.Or(strings.TrimPrefix(r.Header.Get("X-Api-User"), "userid:"), AdobeSignUser)
}

// everybody returns the users of the account.
func (d *adobeSign) everybody() []string {
	users := append(slices.Collect(maps.Values(d.owners)), AdobeSignUser)
	slices.Sort(users)
	return slices.Compact(users)
}

func (d *adobeSign) baseUris(*http.Request) *reply {
	point := d.URL + d.access + "/"
	return answer(http.StatusOK, object{"apiAccessPoint": point, "webAccessPoint": point})
}

func (d *adobeSign) users(r *http.Request) *reply {
	var all []any
	for i, id := range d.everybody() {
		email := fmt.Sprintf("user%d@example.com", i)
		all = append(all, object{"id": id, "email": email, "isAccountAdmin": id == AdobeSignUser})
	}
	return d.page(r, "userInfoList", all)
}

// page answers with one page of a list.
func (d *adobeSign) page(r *http.Request, name string, all []any) *reply {
	from, err := strconv.Atoi(cmp.Or(r.FormValue("cursor"), "0"))
	if err != nil || from < 0 || from > len(all) {
		return d.refuse(http.StatusBadRequest, "INVALID_CURSOR")
	}
	info := map[string]string{}
	if next := from + adobeSignPage; next < len(all) {
		info["nextCursor"] = strconv.Itoa(next)
	}
	return answer(http.StatusOK, object{name: page(all, from, adobeSignPage), "page": info})
}

// adobeSignWords are the usual status, and the event that ended the agreement.
var adobeSignWords = map[esign.Status]struct{ status, event string }{
	esign.Created:   {"DRAFT", ""},
	esign.Sent:      {"OUT_FOR_SIGNATURE", ""},
	esign.Viewed:    {"OUT_FOR_SIGNATURE", ""},
	esign.Signed:    {"OUT_FOR_SIGNATURE", "ACTION_COMPLETED"},
	esign.Completed: {"SIGNED", "ACTION_COMPLETED"},
	esign.Expired:   {"EXPIRED", "EXPIRED_AUTOMATICALLY"},
	esign.Cancelled: {"CANCELLED", "RECALLED"},
	esign.Declined:  {"CANCELLED", "REJECTED"},
	esign.Failed:    {"CANCELLED", "AUTO_CANCELLED_CONVERSION_PROBLEM"},
}

func (a *Agreement) adobeSignStatus() string {
	return cmp.Or(a.VendorStatus, adobeSignWords[a.Status].status)
}

// find returns the agreement of a request. It refuses one that does not exist, or is another user's.
func (d *adobeSign) find(r *http.Request) (*Agreement, *reply) {
	a := d.agreement(r.PathValue("id"))
	switch {
	case a == nil || a.ID != r.PathValue("id"):
		return nil, d.refuse(http.StatusNotFound, "INVALID_AGREEMENT_ID")
	case d.owner(a.ID) != effectiveUser(r):
		return nil, d.refuse(http.StatusForbidden, "PERMISSION_DENIED")
	case a.Deleted:
		return nil, d.refuse(http.StatusNotFound, "AGREEMENT_DELETED")
	}
	return a, nil
}

func (d *adobeSign) owner(id string) string { return cmp.Or(d.owners[id], AdobeSignUser) }

func adobeSignTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }

func (d *adobeSign) get(_ *http.Request, a *Agreement) *reply {
	return answer(http.StatusOK, object{
		"id": a.ID, "name": "Agreement", "status": a.adobeSignStatus(), "senderEmail": "sender@example.com",
		"signatureType": "ESIGN", "createdDate": adobeSignTime(a.CreatedAt),
	})
}

func (d *adobeSign) events(_ *http.Request, a *Agreement) *reply {
	events := []object{
		{"type": "CREATED", "date": adobeSignTime(a.CreatedAt), "actingUserEmail": "sender@example.com"},
	}
	if last := adobeSignWords[a.Status].event; last != "" {
		last := object{"type": last, "date": adobeSignTime(a.ChangedAt), "comment": "A reason"}
		events = append(events, last)
	}
	events = append(events, object{"type": "DOWNLOADED", "date": adobeSignTime(d.Now())})
	return answer(http.StatusOK, object{"events": events})
}

func (d *adobeSign) combined(r *http.Request, a *Agreement) *reply {
	switch {
	case a.preparing():
		return d.refuse(http.StatusNotFound, "DOCUMENT_NOT_AVAILABLE")
	case a.Status == esign.Created:
		return d.refuse(http.StatusForbidden, "AGREEMENT_IN_DRAFT_STATE")
	}
	kind := "document"
	if r.FormValue("attachAuditReport") == "true" {
		kind += " with audit report"
	}
	if r.FormValue("attachSupportingDocuments") == "false" {
		kind += " alone"
	}
	return document(a, kind)
}

func (d *adobeSign) form(_ *http.Request, a *Agreement) *reply {
	if a.Form == "" {
		return d.refuse(http.StatusNotFound, "NO_FORM_DATA")
	}
	return &reply{http.StatusOK, http.Header{"Content-Type": {"text/csv"}}, []byte(a.Form)}
}

func (d *adobeSign) auditTrail(_ *http.Request, a *Agreement) *reply {
	return document(a, "audit trail")
}

// strict decodes the body of a request, and refuses members that the vendor does not know.
func strict(r *http.Request, into any) error {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// search lists the agreements that the effective user has sent, up to 10,000.
func (d *adobeSign) search(r *http.Request) *reply {
	var in struct {
		Scope    []string `json:"scope"`
		Criteria struct {
			Type         []string `json:"type"`
			Role         []string `json:"role"`
			ModifiedDate struct {
				Range struct{ Min, Max time.Time } `json:"range"`
			} `json:"modifiedDate"`
			SortByField string `json:"sortByField"`
			SortOrder   string `json:"sortOrder"`
			Visibility  string `json:"visibility"`
			StartIndex  int    `json:"startIndex"`
			PageSize    int    `json:"pageSize"`
		} `json:"agreementAssetsCriteria"`
	}
	err := strict(r, &in)
	c := &in.Criteria
	if err != nil || !slices.Equal(in.Scope, []string{"AGREEMENT_ASSETS"}) || c.PageSize < 1 || c.PageSize > 100 ||
		c.StartIndex < 0 || c.StartIndex+c.PageSize > 10_000 || c.SortByField != "MODIFIED_DATE" || c.SortOrder != "ASC" {
		return d.refuse(http.StatusBadRequest, "INVALID_ARGUMENTS")
	}
	byTime := func(a, b *Agreement) int { return a.ChangedAt.Compare(b.ChangedAt) }
	var all []any
	for _, a := range slices.SortedStableFunc(slices.Values(d.agreements), byTime) {
		// The vendor's times have no fractions of seconds.
		at, window := a.ChangedAt.Truncate(time.Second), c.ModifiedDate.Range
		if a.Deleted || d.owner(a.ID) != effectiveUser(r) || at.Before(window.Min) || at.After(window.Max) ||
			!slices.Contains(c.Type, "AGREEMENT") || !slices.Contains(c.Role, "SENDER") {
			continue
		}
		all = append(all, object{
			"id": a.ID, "name": "Agreement", "type": "AGREEMENT", "role": []string{"SENDER"},
			"status": a.adobeSignStatus(), "modifiedDate": adobeSignTime(at), "createdDate": adobeSignTime(a.CreatedAt),
			"participantList": []any{object{"email": "signer@example.com"}},
		})
	}
	info := object{"nextIndex": nil}
	if next := c.StartIndex + c.PageSize; next < len(all) {
		info["nextIndex"] = next
	}
	return answer(http.StatusOK, object{"totalHits": len(all), "agreementAssetsResults": object{
		"agreementAssetsResultList": page(all, c.StartIndex, c.PageSize), "searchPageInfo": info,
		"totalHits": len(all), "status": object{},
	}})
}

// adobeSignHook is a webhook as the vendor shows it.
func (s *Subscription) adobeSignHook() object {
	events := []any{}
	for _, e := range provider.Events() {
		events = append(events, e)
	}
	conditions := object{"webhookAgreementEvents": object{"includeDetailedInfo": true, "includeParticipantsInfo": true}}
	hook := object{
		"name": "esignhooks", "scope": "ACCOUNT", "webhookSubscriptionEvents": events,
		"lastModified": "2026-11-01T00:00:00Z", "webhookConditionalParams": conditions,
	}
	maps.Copy(hook, s.Settings)
	hook["id"], hook["webhookUrlInfo"], hook["status"] = s.ID, object{"url": s.URL}, "ACTIVE"
	if s.Disabled {
		hook["status"] = "INACTIVE"
	}
	return hook
}

func (s *Subscription) adobeSignETag() string {
	text, _ := json.Marshal(s.adobeSignHook()) // strings and booleans always marshal
	sum := sha256.Sum256(text)
	return strings.ToUpper(hex.EncodeToString(sum[:8]))
}

func (d *adobeSign) webhooks(r *http.Request) *reply {
	var all []any
	for _, s := range d.subscriptions {
		if hook := s.adobeSignHook(); !s.Disabled || r.FormValue("showInActiveWebhooks") == "true" {
			delete(hook, "webhookConditionalParams")
			hook["applicationId"] = AdobeSignClientID
			all = append(all, hook)
		}
	}
	return d.page(r, "userWebhookList", all)
}

// hook returns the webhook of a request. A request that changes it must send its ETag.
func (d *adobeSign) hook(r *http.Request) (*Subscription, *reply) {
	s := d.subscription(r.PathValue("id"))
	if s == nil {
		return nil, d.refuse(http.StatusNotFound, "INVALID_WEBHOOK_ID")
	}
	switch match := r.Header.Get("If-Match"); {
	case r.Method == http.MethodGet:
	case match == "":
		return nil, d.refuse(http.StatusBadRequest, "MISSING_IF_MATCH_HEADER")
	case match != s.adobeSignETag():
		return nil, d.refuse(http.StatusPreconditionFailed, "RESOURCE_MODIFIED")
	}
	return s, nil
}

func (d *adobeSign) webhook(_ *http.Request, s *Subscription) *reply {
	out := answer(http.StatusOK, s.adobeSignHook())
	out.header.Set("ETag", s.adobeSignETag())
	return out
}

// adobeSignSettings are sent to create or change a webhook.
type adobeSignSettings struct {
	Name       string                     `json:"name"`
	Scope      string                     `json:"scope"`
	State      string                     `json:"state"`
	Events     []string                   `json:"webhookSubscriptionEvents"`
	URL        struct{ URL string }       `json:"webhookUrlInfo"`
	Conditions map[string]map[string]bool `json:"webhookConditionalParams"`
}

// settings reads them, and refuses what the vendor refuses.
func (d *adobeSign) settings(r *http.Request) (in adobeSignSettings, refused *reply) {
	unknown := func(event string) bool {
		families := []string{"AGREEMENT_", "LIBRARY_DOCUMENT_", "WIDGET_", "MEGASIGN_"}
		return !slices.ContainsFunc(families, func(family string) bool { return strings.HasPrefix(event, family) })
	}
	code := ""
	switch err := strict(r, &in); {
	case err != nil:
		code = "INVALID_JSON"
	case in.Name == "" || in.Scope == "" || len(in.Events) == 0:
		code = "MISSING_REQUIRED_PARAM"
	case in.State != "ACTIVE":
		code = "INVALID_WEBHOOK_STATE"
	case slices.ContainsFunc(in.Events, unknown):
		code = "INVALID_WEBHOOK_SUBSCRIPTION_EVENTS"
	default:
		return in, nil
	}
	return in, d.refuse(http.StatusBadRequest, code)
}

func (in adobeSignSettings) put(s *Subscription) {
	if s.Settings = maps.Clone(s.Settings); s.Settings == nil {
		s.Settings = object{}
	}
	s.Settings["name"], s.Settings["scope"] = in.Name, in.Scope
	s.Settings["webhookSubscriptionEvents"], s.Settings["webhookConditionalParams"] = in.Events, in.Conditions
}

func (d *adobeSign) create(_ *http.Request, in adobeSignSettings) *reply {
	if refused := d.activates("", in.URL.URL); refused != nil {
		return refused
	}
	d.made++
	s := &Subscription{ID: fmt.Sprintf("CBJCHBCAABAAwebhook%d", d.made), URL: in.URL.URL}
	in.put(s)
	d.subscriptions = append(d.subscriptions, s)
	out := answer(http.StatusCreated, object{"id": s.ID})
	out.header.Set("Location", d.URL+d.access+"/api/rest/v6/webhooks/"+s.ID)
	return out
}

func (d *adobeSign) update(r *http.Request, s *Subscription) *reply {
	in, refused := d.settings(r)
	if refused != nil {
		return refused
	}
	if in.URL.URL != s.URL || in.Scope != s.adobeSignHook()["scope"] {
		return d.refuse(http.StatusBadRequest, "UPDATE_NOT_ALLOWED")
	}
	in.put(s)
	return status(http.StatusNoContent)
}

func (d *adobeSign) remove(_ *http.Request, s *Subscription) *reply {
	d.subscriptions = slices.DeleteFunc(d.subscriptions, func(other *Subscription) bool { return other == s })
	return status(http.StatusNoContent)
}

func (d *adobeSign) state(r *http.Request, s *Subscription) *reply {
	var in struct {
		State string `json:"state"`
	}
	json.NewDecoder(r.Body).Decode(&in) // without a state it is refused
	switch in.State {
	case "ACTIVE":
		if refused := d.activates(s.ID, s.URL); refused != nil {
			return refused
		}
	case "INACTIVE":
	default:
		return d.refuse(http.StatusBadRequest, "INVALID_ARGUMENTS")
	}
	s.Disabled = in.State == "INACTIVE"
	return status(http.StatusNoContent)
}

// activates refuses to activate a webhook if another active one of the account has this URL, or the URL is not
// verified.
func (d *adobeSign) activates(id, url string) *reply {
	if slices.ContainsFunc(d.subscriptions, func(s *Subscription) bool {
		return s.ID != id && s.URL == url && !s.Disabled && s.adobeSignHook()["scope"] == "ACCOUNT"
	}) {
		return d.refuse(http.StatusBadRequest, "DUPLICATE_WEBHOOK_CONFIGURATION")
	}
	if !d.verified(url) {
		return d.refuse(http.StatusBadRequest, "INVALID_WEBHOOK_URL")
	}
	return nil
}

// verified asks a URL whether it wants events: it must return the client ID, in the header or in the body. The mutex is
// free meanwhile.
func (d *adobeSign) verified(address string) bool {
	u, err := url.Parse(address)
	local := err == nil && u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.Scheme != "https" && !local {
		return false
	}
	receiver := d.receivers[u.Host]
	d.mu.Unlock()
	defer d.mu.Lock()
	request := httptest.NewRequest(http.MethodGet, address, nil)
	request.Header.Set("X-AdobeSign-ClientId", AdobeSignClientID)
	var response *http.Response
	if receiver != nil {
		recorder := httptest.NewRecorder()
		receiver.ServeHTTP(recorder, request)
		response = recorder.Result()
	} else {
		request.RequestURI = "" // as a client's request must be
		client := &http.Client{Timeout: 5 * time.Second}
		if response, err = client.Do(request); err != nil {
			return false
		}
		defer response.Body.Close()
	}
	var body struct {
		ClientID string `json:"xAdobeSignClientId"`
	}
	text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
	json.Unmarshal(text, &body) // either form is enough
	returned := response.Header.Get("X-AdobeSign-ClientId") == AdobeSignClientID || body.ClientID == AdobeSignClientID
	return response.StatusCode/100 == 2 && returned
}
