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

// What is known of the one account and its application. The client ID is the one that localhost accepts without
// configuration.
const (
	AdobeSignKey      = "stub-adobesign-integration-key"
	AdobeSignClientID = "DEVELOPMENTCLIENTID"
	AdobeSignUser     = "CBJCHBCAABAAadmin" // whom the credentials are of

	adobeSignSecret  = "stub-adobesign-client-secret"
	adobeSignRefresh = "stub-adobesign-refresh-token"
	adobeSignMoved   = "/adobesign-na2" // the access point after a move
	adobeSignPage    = 2                // of lists
)

// adobeSign serves /api/rest/v6, and /oauth/v2/refresh. The settings of its subscriptions are the members of a webhook that
// are not those of other vendors too: name, scope, webhookSubscriptionEvents, webhookConditionalParams, lastModified.
type adobeSign struct {
	*Server
	access    string               // what the paths must begin with
	tokens    map[string]time.Time // their ends
	owners    map[string]string    // users, by agreement
	receivers map[string]http.Handler
	limit     int // of identical GETs
	interval  time.Duration
	asked     map[string][]time.Time
	made      int
}

func init() {
	credentials["adobesign"] = func(s *Server) any {
		return map[string]string{
			"clientId": AdobeSignClientID, "clientSecret": adobeSignSecret, "refreshToken": adobeSignRefresh, "host": s.URL,
		}
	}
	vendors = append(vendors, func(s *Server, mux *http.ServeMux) {
		d := &adobeSign{
			Server: s, tokens: map[string]time.Time{}, owners: map[string]string{}, receivers: map[string]http.Handler{},
			asked: map[string][]time.Time{},
		}
		s.vendors["adobesign"] = d
		api := http.NewServeMux()
		api.HandleFunc("GET /baseUris", d.baseUris)
		api.HandleFunc("GET /users", d.users)
		api.HandleFunc("GET /agreements/{id}", d.get)
		api.HandleFunc("GET /agreements/{id}/events", d.events)
		api.HandleFunc("GET /agreements/{id}/combinedDocument", d.combined)
		api.HandleFunc("GET /agreements/{id}/auditTrail", d.auditTrail)
		api.HandleFunc("POST /search", d.search)
		api.HandleFunc("GET /webhooks", d.webhooks)
		api.HandleFunc("POST /webhooks", d.create)
		api.HandleFunc("GET /webhooks/{id}", d.webhook)
		api.HandleFunc("PUT /webhooks/{id}", d.update)
		api.HandleFunc("DELETE /webhooks/{id}", d.remove)
		api.HandleFunc("PUT /webhooks/{id}/state", d.state)
		for _, access := range []string{"", adobeSignMoved} {
			mux.Handle(access+"/api/rest/v6/", http.StripPrefix(access+"/api/rest/v6", d.admit(access, api)))
		}
		mux.HandleFunc("POST /oauth/v2/refresh", d.refresh)
	})
}

func (s *Server) adobeSign() *adobeSign { return s.vendors["adobesign"].(*adobeSign) }

// AdobeSignMoves puts the account behind another access point.
func (s *Server) AdobeSignMoves() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adobeSign().access = adobeSignMoved
}

// AdobeSignOwner says that an agreement is a user's, not AdobeSignUser's. A user called unverified is not verified.
func (s *Server) AdobeSignOwner(id, user string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adobeSign().owners[id] = user
}

// AdobeSignLimit limits identical GETs of a user, as the vendor does: to 1 in 10 minutes, or 3 in a minute. Without it,
// there is no limit.
func (s *Server) AdobeSignLimit(n int, interval time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adobeSign().limit, s.adobeSign().interval = n, interval
}

// AdobeSignReceiver is where Adobe's requests to a host go. Without one they go over the network.
func (s *Server) AdobeSignReceiver(host string, h http.Handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.adobeSign().receivers[host] = h
}

// refuse is the vendor's error.
func (*adobeSign) refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]string{"code": code, "message": "The message of " + code})
}

func (d *adobeSign) refresh(w http.ResponseWriter, r *http.Request) {
	form := map[string]string{
		"grant_type": "refresh_token", "client_id": AdobeSignClientID, "client_secret": adobeSignSecret, "refresh_token": adobeSignRefresh,
	}
	for member, value := range form {
		if r.PostFormValue(member) != value {
			answer(w, http.StatusBadRequest, map[string]string{"error": "invalid_grant", "error_description": "The " + member + " is not valid"})
			return
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made++
	token := fmt.Sprintf("stub-adobesign-access-token-%d", d.made)
	d.tokens[token] = d.Now().Add(time.Hour)
	answer(w, http.StatusOK, map[string]any{"access_token": token, "token_type": "Bearer", "expires_in": 3600})
}

// admit lets requests through that are authorized, come to the right place and are not too many.
func (d *adobeSign) admit(access string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		ends, known := d.tokens[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]
		elsewhere := access != d.access && r.URL.Path != "/baseUris"
		users := d.everybody()
		d.mu.Unlock()
		named, user := r.Header.Get("X-Api-User"), effectiveUser(r)
		switch {
		case r.Header.Get("Authorization") == "":
			d.refuse(w, http.StatusUnauthorized, "NO_AUTHORIZATION_HEADER")
		case r.Header.Get("Authorization") != "Bearer "+AdobeSignKey && (!known || !d.Now().Before(ends)):
			d.refuse(w, http.StatusUnauthorized, "INVALID_ACCESS_TOKEN")
		case elsewhere:
			d.refuse(w, http.StatusUnauthorized, "INVALID_API_ACCESS_POINT")
		case named != "" && !strings.HasPrefix(named, "userid:"):
			d.refuse(w, http.StatusBadRequest, "INVALID_X_API_USER_HEADER")
		case !slices.Contains(users, user):
			d.refuse(w, http.StatusUnauthorized, "INVALID_USER")
		case user == "unverified":
			d.refuse(w, http.StatusUnauthorized, "UNVERIFIED_USER")
		default:
			if wait := d.wait(r); wait > 0 {
				w.Header().Set("Retry-After", strconv.Itoa(wait))
				answer(w, http.StatusTooManyRequests, map[string]any{
					"code": "THROTTLING_TOO_MANY_REQUESTS", "message": fmt.Sprintf("Try again in %d seconds", wait), "retryAfter": wait,
				})
				return
			}
			next.ServeHTTP(w, r)
		}
	})
}

// wait counts a GET, and says for how many seconds it comes too early.
func (d *adobeSign) wait(r *http.Request) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.limit == 0 || r.Method != http.MethodGet {
		return 0
	}
	request := effectiveUser(r) + " " + r.URL.String()
	recent := slices.DeleteFunc(d.asked[request], func(at time.Time) bool { return d.Now().Sub(at) >= d.interval })
	d.asked[request] = append(recent, d.Now())
	if len(recent) < d.limit {
		return 0
	}
	return int(d.interval.Seconds())
}

// effectiveUser is whom a request is for.
func effectiveUser(r *http.Request) string {
	return cmp.Or(strings.TrimPrefix(r.Header.Get("X-Api-User"), "userid:"), AdobeSignUser)
}

// everybody are the users of the account. The caller holds mu.
func (d *adobeSign) everybody() []string {
	users := append(slices.Collect(maps.Values(d.owners)), AdobeSignUser)
	slices.Sort(users)
	return slices.Compact(users)
}

func (d *adobeSign) baseUris(w http.ResponseWriter, _ *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer(w, http.StatusOK, map[string]string{"apiAccessPoint": d.URL + d.access + "/", "webAccessPoint": d.URL + d.access + "/"})
}

func (d *adobeSign) users(w http.ResponseWriter, r *http.Request) {
	var all []any
	d.mu.Lock()
	for i, id := range d.everybody() {
		all = append(all, map[string]any{"id": id, "email": fmt.Sprintf("user%d@example.com", i), "isAccountAdmin": id == AdobeSignUser})
	}
	d.mu.Unlock()
	d.page(w, r, "userInfoList", all)
}

// page answers with one page of a list.
func (d *adobeSign) page(w http.ResponseWriter, r *http.Request, name string, all []any) {
	from, err := strconv.Atoi(cmp.Or(r.FormValue("cursor"), "0"))
	if err != nil || from < 0 || from > len(all) {
		d.refuse(w, http.StatusBadRequest, "INVALID_CURSOR")
		return
	}
	to, page := min(from+adobeSignPage, len(all)), map[string]string{}
	if to < len(all) {
		page["nextCursor"] = strconv.Itoa(to)
	}
	answer(w, http.StatusOK, map[string]any{name: append([]any{}, all[from:to]...), "page": page})
}

// adobeSignWords are the usual statuses, and the event that ended the agreement.
var adobeSignWords = map[esign.Status][2]string{
	esign.Created: {"DRAFT", ""}, esign.Sent: {"OUT_FOR_SIGNATURE", ""}, esign.Viewed: {"OUT_FOR_SIGNATURE", ""},
	esign.Signed: {"OUT_FOR_SIGNATURE", "ACTION_COMPLETED"}, esign.Completed: {"SIGNED", "ACTION_COMPLETED"},
	esign.Expired: {"EXPIRED", "EXPIRED_AUTOMATICALLY"}, esign.Cancelled: {"CANCELLED", "RECALLED"}, esign.Declined: {"CANCELLED", "REJECTED"},
	esign.Failed: {"CANCELLED", "AUTO_CANCELLED_CONVERSION_PROBLEM"},
}

func (a *Agreement) adobeSignStatus() string {
	return cmp.Or(a.VendorStatus, adobeSignWords[a.Status][0])
}

// find refuses what is not there, or is another user's.
func (d *adobeSign) find(w http.ResponseWriter, r *http.Request) (Agreement, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.agreement("adobesign", r.PathValue("id"))
	switch {
	case a == nil || a.ID != r.PathValue("id"):
		d.refuse(w, http.StatusNotFound, "INVALID_AGREEMENT_ID")
		return Agreement{}, false
	case d.owner(a.ID) != effectiveUser(r):
		d.refuse(w, http.StatusForbidden, "PERMISSION_DENIED")
		return Agreement{}, false
	case a.Deleted:
		d.refuse(w, http.StatusNotFound, "AGREEMENT_DELETED")
		return Agreement{}, false
	}
	return *a, true
}

// owner is the user whose agreement it is. The caller holds mu.
func (d *adobeSign) owner(id string) string { return cmp.Or(d.owners[id], AdobeSignUser) }

func (d *adobeSign) get(w http.ResponseWriter, r *http.Request) {
	if a, ok := d.find(w, r); ok {
		answer(w, http.StatusOK, map[string]any{
			"id": a.ID, "name": "Agreement", "status": a.adobeSignStatus(), "senderEmail": "sender@example.com", "signatureType": "ESIGN",
			"createdDate": a.CreatedAt.UTC().Format(time.RFC3339),
		})
	}
}

func (d *adobeSign) events(w http.ResponseWriter, r *http.Request) {
	a, ok := d.find(w, r)
	if !ok {
		return
	}
	events := []map[string]string{{"type": "CREATED", "date": a.CreatedAt.UTC().Format(time.RFC3339), "actingUserEmail": "sender@example.com"}}
	if last := adobeSignWords[a.Status][1]; last != "" {
		events = append(events, map[string]string{"type": last, "date": a.ChangedAt.UTC().Format(time.RFC3339), "comment": "A reason"})
	}
	events = append(events, map[string]string{"type": "DOWNLOADED", "date": d.Now().UTC().Format(time.RFC3339)})
	answer(w, http.StatusOK, map[string]any{"events": events})
}

func (d *adobeSign) combined(w http.ResponseWriter, r *http.Request) {
	a, ok := d.find(w, r)
	if !ok {
		return
	}
	d.mu.Lock()
	known := d.agreement("adobesign", a.ID)
	preparing := known.NotReady > 0
	if preparing {
		known.NotReady--
	}
	d.mu.Unlock()
	switch {
	case preparing:
		d.refuse(w, http.StatusNotFound, "DOCUMENT_NOT_AVAILABLE")
	case a.Status == esign.Created:
		d.refuse(w, http.StatusForbidden, "AGREEMENT_IN_DRAFT_STATE")
	default:
		kind := "document"
		if r.FormValue("attachAuditReport") == "true" {
			kind += " with audit report"
		}
		if r.FormValue("attachSupportingDocuments") == "false" {
			kind += " alone"
		}
		serve(w, a, kind)
	}
}

func (d *adobeSign) auditTrail(w http.ResponseWriter, r *http.Request) {
	if a, ok := d.find(w, r); ok {
		serve(w, a, "audit trail")
	}
}

// search lists the agreements of the effective user, who sent them. It goes no further than 10,000.
func (d *adobeSign) search(w http.ResponseWriter, r *http.Request) {
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
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	c := &in.Criteria
	if err := decoder.Decode(&in); err != nil || !slices.Equal(in.Scope, []string{"AGREEMENT_ASSETS"}) || c.PageSize < 1 || c.PageSize > 100 ||
		c.StartIndex < 0 || c.StartIndex+c.PageSize > 10_000 || c.SortByField != "MODIFIED_DATE" || c.SortOrder != "ASC" {
		d.refuse(w, http.StatusBadRequest, "INVALID_ARGUMENTS")
		return
	}
	var all []any
	d.mu.Lock()
	sorted := slices.SortedStableFunc(slices.Values(d.agreements["adobesign"]), func(a, b *Agreement) int { return a.ChangedAt.Compare(b.ChangedAt) })
	for _, a := range sorted {
		// The vendor's times have no fractions of seconds.
		at := a.ChangedAt.Truncate(time.Second)
		if a.Deleted || d.owner(a.ID) != effectiveUser(r) || at.Before(c.ModifiedDate.Range.Min) || at.After(c.ModifiedDate.Range.Max) ||
			!slices.Contains(c.Type, "AGREEMENT") || !slices.Contains(c.Role, "SENDER") {
			continue
		}
		all = append(all, map[string]any{
			"id": a.ID, "name": "Agreement", "type": "AGREEMENT", "role": []string{"SENDER"}, "status": a.adobeSignStatus(),
			"modifiedDate": at.UTC().Format(time.RFC3339), "createdDate": a.CreatedAt.UTC().Format(time.RFC3339),
			"participantList": []any{map[string]string{"email": "signer@example.com"}},
		})
	}
	d.mu.Unlock()
	from, to := min(c.StartIndex, len(all)), min(c.StartIndex+c.PageSize, len(all))
	page := map[string]any{"nextIndex": nil}
	if to < len(all) {
		page["nextIndex"] = to
	}
	answer(w, http.StatusOK, map[string]any{"totalHits": len(all), "agreementAssetsResults": map[string]any{
		"agreementAssetsResultList": append([]any{}, all[from:to]...), "searchPageInfo": page, "totalHits": len(all), "status": map[string]any{},
	}})
}

// adobeSignHook is a webhook as the vendor shows it.
func (s *Subscription) adobeSignHook() map[string]any {
	events := []any{}
	for _, e := range provider.Events() {
		events = append(events, e)
	}
	hook := map[string]any{
		"name": "esignhooks", "scope": "ACCOUNT", "webhookSubscriptionEvents": events, "lastModified": "2026-11-01T00:00:00Z",
		"webhookConditionalParams": map[string]any{"webhookAgreementEvents": map[string]any{"includeSignedDocuments": false}},
	}
	maps.Copy(hook, s.Settings)
	hook["id"], hook["webhookUrlInfo"], hook["status"] = s.ID, map[string]any{"url": s.URL}, "ACTIVE"
	if s.Disabled {
		hook["status"] = "INACTIVE"
	}
	return hook
}

func (s *Subscription) adobeSignETag() string {
	text, _ := json.Marshal(s.adobeSignHook()) // of texts and booleans
	sum := sha256.Sum256(text)
	return strings.ToUpper(hex.EncodeToString(sum[:8]))
}

func (d *adobeSign) webhooks(w http.ResponseWriter, r *http.Request) {
	var all []any
	d.mu.Lock()
	for _, s := range d.subscriptions["adobesign"] {
		if hook := s.adobeSignHook(); !s.Disabled || r.FormValue("showInActiveWebhooks") == "true" {
			delete(hook, "webhookConditionalParams")
			hook["applicationId"] = AdobeSignClientID
			all = append(all, hook)
		}
	}
	d.mu.Unlock()
	d.page(w, r, "userWebhookList", all)
}

// hook finds the webhook of a request, which must know its ETag if it changes anything.
func (d *adobeSign) hook(w http.ResponseWriter, r *http.Request) (*Subscription, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.subscriptions["adobesign"], func(s *Subscription) bool { return s.ID == r.PathValue("id") })
	if i < 0 {
		d.refuse(w, http.StatusNotFound, "INVALID_WEBHOOK_ID")
		return nil, false
	}
	s := d.subscriptions["adobesign"][i]
	switch match := r.Header.Get("If-Match"); {
	case r.Method == http.MethodGet:
	case match == "":
		d.refuse(w, http.StatusBadRequest, "MISSING_IF_MATCH_HEADER")
		return nil, false
	case match != s.adobeSignETag():
		d.refuse(w, http.StatusPreconditionFailed, "RESOURCE_MODIFIED")
		return nil, false
	}
	return s, true
}

func (d *adobeSign) webhook(w http.ResponseWriter, r *http.Request) {
	if s, ok := d.hook(w, r); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		w.Header().Set("ETag", s.adobeSignETag())
		answer(w, http.StatusOK, s.adobeSignHook())
	}
}

// adobeSignSettings are what is sent to make or change a webhook.
type adobeSignSettings struct {
	Name       string                     `json:"name"`
	Scope      string                     `json:"scope"`
	State      string                     `json:"state"`
	Events     []string                   `json:"webhookSubscriptionEvents"`
	URL        struct{ URL string }       `json:"webhookUrlInfo"`
	Conditions map[string]map[string]bool `json:"webhookConditionalParams"`
}

// settings reads them. It refuses what the vendor refuses.
func (d *adobeSign) settings(w http.ResponseWriter, r *http.Request) (in adobeSignSettings, ok bool) {
	decoder := json.NewDecoder(r.Body)
	decoder.DisallowUnknownFields()
	family := func(event string) bool {
		kinds := []string{"AGREEMENT_", "LIBRARY_DOCUMENT_", "WIDGET_", "MEGASIGN_"}
		return !slices.ContainsFunc(kinds, func(kind string) bool { return strings.HasPrefix(event, kind) })
	}
	code := ""
	switch err := decoder.Decode(&in); {
	case err != nil:
		code = "INVALID_JSON"
	case in.Name == "" || in.Scope == "" || len(in.Events) == 0:
		code = "MISSING_REQUIRED_PARAM"
	case in.State != "ACTIVE":
		code = "INVALID_WEBHOOK_STATE"
	case slices.ContainsFunc(in.Events, family):
		code = "INVALID_WEBHOOK_SUBSCRIPTION_EVENTS"
	}
	if code != "" {
		d.refuse(w, http.StatusBadRequest, code)
	}
	return in, code == ""
}

func (in adobeSignSettings) put(s *Subscription) {
	if s.Settings = maps.Clone(s.Settings); s.Settings == nil {
		s.Settings = map[string]any{}
	}
	s.Settings["name"], s.Settings["scope"] = in.Name, in.Scope
	s.Settings["webhookSubscriptionEvents"], s.Settings["webhookConditionalParams"] = in.Events, in.Conditions
}

func (d *adobeSign) create(w http.ResponseWriter, r *http.Request) {
	in, ok := d.settings(w, r)
	if !ok {
		return
	}
	if d.twin("", in.URL.URL) {
		d.refuse(w, http.StatusBadRequest, "DUPLICATE_WEBHOOK_CONFIGURATION")
		return
	}
	if !d.verified(in.URL.URL) {
		d.refuse(w, http.StatusBadRequest, "INVALID_WEBHOOK_URL")
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.made++
	s := &Subscription{ID: fmt.Sprintf("CBJCHBCAABAAwebhook%d", d.made), URL: in.URL.URL}
	in.put(s)
	d.subscriptions["adobesign"] = append(d.subscriptions["adobesign"], s)
	w.Header().Set("Location", d.URL+d.access+"/api/rest/v6/webhooks/"+s.ID)
	answer(w, http.StatusCreated, map[string]string{"id": s.ID})
}

func (d *adobeSign) update(w http.ResponseWriter, r *http.Request) {
	s, ok := d.hook(w, r)
	if !ok {
		return
	}
	in, ok := d.settings(w, r)
	if !ok {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if in.URL.URL != s.URL || in.Scope != s.adobeSignHook()["scope"] {
		d.refuse(w, http.StatusBadRequest, "UPDATE_NOT_ALLOWED")
		return
	}
	in.put(s)
	w.WriteHeader(http.StatusNoContent)
}

func (d *adobeSign) remove(w http.ResponseWriter, r *http.Request) {
	if s, ok := d.hook(w, r); ok {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.subscriptions["adobesign"] = slices.DeleteFunc(d.subscriptions["adobesign"], func(other *Subscription) bool { return other == s })
		w.WriteHeader(http.StatusNoContent)
	}
}

func (d *adobeSign) state(w http.ResponseWriter, r *http.Request) {
	s, ok := d.hook(w, r)
	if !ok {
		return
	}
	var in struct {
		State string `json:"state"`
	}
	switch json.NewDecoder(r.Body).Decode(&in); {
	case in.State != "ACTIVE" && in.State != "INACTIVE":
		d.refuse(w, http.StatusBadRequest, "INVALID_ARGUMENTS")
	case in.State == "ACTIVE" && d.twin(s.ID, s.URL):
		d.refuse(w, http.StatusBadRequest, "DUPLICATE_WEBHOOK_CONFIGURATION")
	case in.State == "ACTIVE" && !d.verified(s.URL):
		d.refuse(w, http.StatusBadRequest, "INVALID_WEBHOOK_URL")
	default:
		d.mu.Lock()
		defer d.mu.Unlock()
		s.Disabled = in.State == "INACTIVE"
		w.WriteHeader(http.StatusNoContent)
	}
}

// twin says whether another active webhook of the account has this URL.
func (d *adobeSign) twin(id, url string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.ContainsFunc(d.subscriptions["adobesign"], func(s *Subscription) bool {
		return s.ID != id && s.URL == url && !s.Disabled && s.adobeSignHook()["scope"] == "ACCOUNT"
	})
}

// verified asks a URL whether it wants to be told: it must give the client ID back, in the header or in the body.
func (d *adobeSign) verified(address string) bool {
	u, err := url.Parse(address)
	local := err == nil && u.Scheme == "http" && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.Scheme != "https" && !local {
		return false
	}
	request := httptest.NewRequest(http.MethodGet, address, nil)
	request.Header.Set("X-AdobeSign-ClientId", AdobeSignClientID)
	d.mu.Lock()
	receiver := d.receivers[u.Host]
	d.mu.Unlock()
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
	json.Unmarshal(text, &body) // of either form
	return response.StatusCode/100 == 2 && (response.Header.Get("X-AdobeSign-ClientId") == AdobeSignClientID || body.ClientID == AdobeSignClientID)
}
