package vendorstub

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
)

// The credentials of the one account, which owns one API app.
const (
	DropboxSignKey = "stub-dropboxsign-key"
	DropboxSignApp = "0dd3b823a682527788c4e40cb7b6f7e9"
)

// dropboxSign serves /v3. Its subscriptions have the ID "account", or the client ID of the app; a disabled one is a
// callback URL that the vendor has cleared.
type dropboxSign struct {
	*Server
	minute time.Time
	used   map[string]int // requests in this minute, by tier
}

func init() {
	credentials["dropboxsign"] = func(s *Server) any {
		return map[string]string{"apiKey": DropboxSignKey, "host": s.URL}
	}
	vendors = append(vendors, func(s *Server, mux *http.ServeMux) {
		d := &dropboxSign{Server: s, used: map[string]int{}}
		mux.HandleFunc("GET /v3/signature_request/{id}", d.standard(d.get))
		mux.HandleFunc("GET /v3/signature_request/list", d.standard(d.list))
		mux.HandleFunc("GET /v3/signature_request/files/{id}", d.limited("files", 25, d.files))
		mux.HandleFunc("GET /v3/account", d.standard(d.account))
		mux.HandleFunc("PUT /v3/account", d.standard(d.account))
		mux.HandleFunc("GET /v3/api_app/list", d.standard(d.apps))
		mux.HandleFunc("GET /v3/api_app/{id}", d.standard(d.app))
		mux.HandleFunc("PUT /v3/api_app/{id}", d.standard(d.app))
	})
}

func (d *dropboxSign) standard(h http.HandlerFunc) http.HandlerFunc {
	return d.limited("standard", 100, h)
}

// limited lets so many requests a minute through. The vendor tells no Retry-After.
func (d *dropboxSign) limited(tier string, limit int, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != DropboxSignKey || password != "" {
			d.refuse(w, http.StatusUnauthorized, "unauthorized", "Unauthorized api key")
			return
		}
		d.mu.Lock()
		if minute := d.Now().Truncate(time.Minute); !minute.Equal(d.minute) {
			d.minute, d.used = minute, map[string]int{}
		}
		d.used[tier]++
		left := limit - d.used[tier]
		reset := d.minute.Add(time.Minute).Unix()
		d.mu.Unlock()
		w.Header().Set("X-RateLimit-Limit", strconv.Itoa(limit))
		w.Header().Set("X-RateLimit-Remaining", strconv.Itoa(max(left, 0)))
		w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(reset, 10))
		if left < 0 {
			d.refuse(w, http.StatusTooManyRequests, "exceeded_rate", "Too many requests.")
			return
		}
		h(w, r)
	}
}

// refuse is the vendor's error.
func (*dropboxSign) refuse(w http.ResponseWriter, status int, name, message string) {
	answer(w, status, map[string]any{"error": map[string]string{"error_name": name, "error_msg": message}})
}

// find refuses what is not there. A cancelled request is not there any more, like a deleted one.
func (d *dropboxSign) find(w http.ResponseWriter, r *http.Request) (Agreement, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.agreement("dropboxsign", r.PathValue("id"))
	switch {
	case a == nil:
		d.refuse(w, http.StatusNotFound, "not_found", "Not found")
		return Agreement{}, false
	case a.Deleted, a.Status == esign.Cancelled:
		d.refuse(w, http.StatusGone, "deleted", "This resource has been deleted.")
		return Agreement{}, false
	}
	return *a, true
}

func (d *dropboxSign) get(w http.ResponseWriter, r *http.Request) {
	if a, ok := d.find(w, r); ok {
		answer(w, http.StatusOK, map[string]any{"signature_request": signatureRequest(a)})
	}
}

// signatureRequest is what the vendor says of a request with two signers.
func signatureRequest(a Agreement) map[string]any {
	status := map[esign.Status][2]string{
		esign.Created: {"on_hold_by_requester", "on_hold_by_requester"}, esign.Signed: {"signed", "awaiting_signature"},
		esign.Failed: {"error_file", "error_file"}, esign.Expired: {"signed", "expired"},
		esign.Declined: {"signed", "declined"}, esign.Completed: {"signed", "signed"},
	}[a.Status]
	var signatures []map[string]any
	for i, code := range status {
		s := map[string]any{
			"signature_id": fmt.Sprintf("%s-%d", a.ID, i), "signer_email_address": fmt.Sprintf("signer%d@example.com", i), "signer_name": "Signer",
			"order": i, "status_code": "awaiting_signature", "signed_at": nil, "last_viewed_at": nil, "has_pin": false,
		}
		if code != "" {
			s["status_code"] = code
		}
		if code == "signed" {
			s["signed_at"] = a.ChangedAt.Unix() - int64(1-i)*60
		}
		if a.Status == esign.Viewed && i == 0 {
			s["last_viewed_at"] = a.ChangedAt.Unix()
		}
		if a.VendorStatus != "" && i == 0 {
			s["status_code"] = a.VendorStatus
		}
		signatures = append(signatures, s)
	}
	request := map[string]any{
		"signature_request_id": a.ID, "title": "Agreement", "metadata": []any{}, "created_at": a.CreatedAt.Unix(), "expires_at": nil,
		"is_complete": a.Status == esign.Completed, "is_declined": a.Status == esign.Declined,
		"has_error":  a.Status == esign.Failed || strings.HasPrefix(a.VendorStatus, "error_"),
		"signatures": signatures, "cc_email_addresses": []any{}, "test_mode": false,
	}
	if a.Status == esign.Expired {
		request["expires_at"] = a.ChangedAt.Unix()
	}
	return request
}

// list knows one search, that by dates of creation, which it takes to be in UTC. The newest is first.
func (d *dropboxSign) list(w http.ResponseWriter, r *http.Request) {
	from, to, _ := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(r.FormValue("query"), "created:["), "]"), " TO ")
	if _, err := time.Parse(time.DateOnly, from); err != nil {
		d.refuse(w, http.StatusBadRequest, "bad_request", "Invalid query")
		return
	}
	var found []any
	d.mu.Lock()
	for _, a := range slices.Backward(d.agreements["dropboxsign"]) {
		if on := a.CreatedAt.UTC().Format(time.DateOnly); from <= on && on <= to && !a.Deleted && a.Status != esign.Cancelled {
			found = append(found, signatureRequest(*a))
		}
	}
	d.mu.Unlock()
	d.page(w, r, "signature_requests", found)
}

// page answers with one page of a list.
func (d *dropboxSign) page(w http.ResponseWriter, r *http.Request, name string, all []any) {
	number, _ := strconv.Atoi(r.FormValue("page"))
	size, _ := strconv.Atoi(r.FormValue("page_size"))
	if number < 1 || size < 1 || size > 100 {
		d.refuse(w, http.StatusBadRequest, "bad_request", "page must be 1 or more, page_size between 1 and 100")
		return
	}
	from, to := min((number-1)*size, len(all)), min(number*size, len(all))
	answer(w, http.StatusOK, map[string]any{
		name:        append([]any{}, all[from:to]...),
		"list_info": map[string]int{"page": number, "num_pages": (len(all) + size - 1) / size, "num_results": len(all), "page_size": size},
	})
}

func (d *dropboxSign) files(w http.ResponseWriter, r *http.Request) {
	a, ok := d.find(w, r)
	if !ok {
		return
	}
	d.mu.Lock()
	known := d.agreement("dropboxsign", a.ID)
	preparing := known.NotReady > 0
	if preparing {
		known.NotReady--
	}
	d.mu.Unlock()
	switch {
	case a.Status == esign.Failed:
		d.refuse(w, http.StatusUnprocessableEntity, "unprocessable_entity", "This entity is unprocessable.")
	case preparing:
		d.refuse(w, http.StatusConflict, "conflict", "The files are still being prepared.")
	case r.FormValue("file_type") != "pdf":
		d.refuse(w, http.StatusBadRequest, "bad_request", "Invalid file_type")
	default:
		serve(w, a, "document")
	}
}

func (d *dropboxSign) account(w http.ResponseWriter, r *http.Request) {
	if url, ok := d.callbackURL(w, r, "account"); ok {
		answer(w, http.StatusOK, map[string]any{"account": map[string]any{
			"account_id": "5008b25c7f67153e57d5a357b1687968068fb465", "email_address": "me@example.com", "callback_url": url,
		}})
	}
}

func (d *dropboxSign) app(w http.ResponseWriter, r *http.Request) {
	if r.PathValue("id") != DropboxSignApp {
		d.refuse(w, http.StatusNotFound, "not_found", "Not found")
	} else if url, ok := d.callbackURL(w, r, DropboxSignApp); ok {
		answer(w, http.StatusOK, map[string]any{"api_app": apiApp(url)})
	}
}

func (d *dropboxSign) apps(w http.ResponseWriter, r *http.Request) {
	d.page(w, r, "api_apps", []any{apiApp(d.subscription(DropboxSignApp, ""))})
}

func apiApp(url any) map[string]any {
	return map[string]any{"client_id": DropboxSignApp, "name": "My Production App", "callback_url": url, "is_approved": true}
}

// callbackURL is where the account or the app has its events sent, after a PUT has changed it.
func (d *dropboxSign) callbackURL(w http.ResponseWriter, r *http.Request, id string) (any, bool) {
	var in struct {
		URL string `json:"callback_url"`
	}
	if r.Method == http.MethodPut {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasPrefix(in.URL, "https://") {
			d.refuse(w, http.StatusBadRequest, "bad_request", "callback_url must be an https URL")
			return nil, false
		}
	}
	return d.subscription(id, in.URL), true
}

// subscription sets a URL unless it is empty, and returns the one that stands there; nil, as JSON's null, for none.
func (d *dropboxSign) subscription(id, url string) any {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.subscriptions["dropboxsign"], func(s *Subscription) bool { return s.ID == id })
	if i < 0 {
		if url == "" {
			return nil
		}
		d.subscriptions["dropboxsign"] = append(d.subscriptions["dropboxsign"], &Subscription{ID: id, URL: url})
		return url
	}
	s := d.subscriptions["dropboxsign"][i]
	if url != "" {
		s.URL, s.Disabled = url, false
	}
	if s.Disabled || s.URL == "" {
		return nil
	}
	return s.URL
}
