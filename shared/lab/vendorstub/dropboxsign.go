package vendorstub

import (
	"cmp"
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

// dropboxSign serves /v3. A subscription's ID is "account" or the client ID of the app. A disabled subscription is a
// callback URL that the vendor has cleared.
type dropboxSign struct {
	*account
	minute time.Time
	used   map[string]int // requests in this minute, by tier
}

func serveDropboxSign(a *account, mux *http.ServeMux) {
	d := &dropboxSign{account: a, used: map[string]int{}}
	a.credentials = func() object { return object{"apiKey": DropboxSignKey, "host": a.URL} }
	a.routes(mux, "/v3", d.limited("standard", 100), map[string]handler{
		"GET /signature_request/{id}": with(d.find, d.get), "GET /signature_request/list": d.list,
		"GET /account": with(d.callback, d.atAccount), "PUT /account": with(d.callback, d.atAccount),
		"GET /api_app/{id}": with(d.callback, d.atApp), "PUT /api_app/{id}": with(d.callback, d.atApp),
		"GET /api_app/list": d.apps,
	})
	a.routes(mux, "/v3", d.limited("files", 25), map[string]handler{
		"GET /signature_request/files/{id}": with(d.find, d.files),
	})
}

// limited admits authorized requests, up to a limit per minute. The vendor sends no Retry-After.
func (d *dropboxSign) limited(tier string, limit int) func(handler) handler {
	return func(next handler) handler {
		return func(r *http.Request) *reply {
			if user, password, _ := r.BasicAuth(); user != DropboxSignKey || password != "" {
				return d.refuse(http.StatusUnauthorized, "unauthorized", "Unauthorized api key")
			}
			if minute := d.Now().Truncate(time.Minute); !minute.Equal(d.minute) {
				d.minute, d.used = minute, map[string]int{}
			}
			d.used[tier]++
			left := limit - d.used[tier]
			out := d.refuse(http.StatusTooManyRequests, "exceeded_rate", "Too many requests.")
			if left >= 0 {
				out = next(r)
			}
			out.header.Set("X-RateLimit-Limit", strconv.Itoa(limit))
			out.header.Set("X-RateLimit-Remaining", strconv.Itoa(max(left, 0)))
			out.header.Set("X-Ratelimit-Reset", strconv.FormatInt(d.minute.Add(time.Minute).Unix(), 10))
			return out
		}
	}
}

// refuse answers with the vendor's error.
func (*dropboxSign) refuse(code int, name, message string) *reply {
	return answer(code, object{"error": object{"error_name": name, "error_msg": message}})
}

// find returns the signature request of a request, or a refusal. A cancelled one is gone, like a deleted one.
func (d *dropboxSign) find(r *http.Request) (*Agreement, *reply) {
	a := d.agreement(r.PathValue("id"))
	switch {
	case a == nil:
		return nil, d.refuse(http.StatusNotFound, "not_found", "Not found")
	case a.Deleted, a.Status == esign.Cancelled:
		return nil, d.refuse(http.StatusGone, "deleted", "This resource has been deleted.")
	}
	return a, nil
}

func (d *dropboxSign) get(_ *http.Request, a *Agreement) *reply {
	return answer(http.StatusOK, object{"signature_request": signatureRequest(a)})
}

// signatureRequest is how the vendor shows a request with two signers.
func signatureRequest(a *Agreement) object {
	codes := map[esign.Status][2]string{
		esign.Created: {"on_hold_by_requester", "on_hold_by_requester"}, esign.Signed: {"signed", "awaiting_signature"},
		esign.Failed: {"error_file", "error_file"}, esign.Expired: {"signed", "expired"},
		esign.Declined: {"signed", "declined"}, esign.Completed: {"signed", "signed"},
	}[a.Status]
	var signatures []object
	for i, code := range codes {
		s := object{
			"signature_id": fmt.Sprintf("%s-%d", a.ID, i), "signer_email_address": fmt.Sprintf("signer%d@example.com", i),
			"signer_name": "Signer", "order": i, "status_code": "awaiting_signature", "signed_at": nil,
			"last_viewed_at": nil, "has_pin": false,
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
	request := object{
		"signature_request_id": a.ID, "title": "Agreement", "metadata": []any{}, "created_at": a.CreatedAt.Unix(),
		"expires_at": nil, "is_complete": a.Status == esign.Completed, "is_declined": a.Status == esign.Declined,
		"has_error":     a.Status == esign.Failed || strings.HasPrefix(a.VendorStatus, "error_"),
		"response_data": json.RawMessage(cmp.Or(a.Form, "[]")),
		"signatures":    signatures, "cc_email_addresses": []any{}, "test_mode": false,
	}
	if a.Status == esign.Expired {
		request["expires_at"] = a.ChangedAt.Unix()
	}
	return request
}

// list supports one search, by dates of creation, which it takes as UTC. The newest request comes first.
func (d *dropboxSign) list(r *http.Request) *reply {
	dates := strings.TrimSuffix(strings.TrimPrefix(r.FormValue("query"), "created:["), "]")
	from, to, _ := strings.Cut(dates, " TO ")
	if _, err := time.Parse(time.DateOnly, from); err != nil {
		return d.refuse(http.StatusBadRequest, "bad_request", "Invalid query")
	}
	var found []any
	for _, a := range slices.Backward(d.agreements) {
		on := a.CreatedAt.UTC().Format(time.DateOnly)
		if from <= on && on <= to && !a.Deleted && a.Status != esign.Cancelled {
			found = append(found, signatureRequest(a))
		}
	}
	return d.page(r, "signature_requests", found)
}

// page answers with one page of a list.
func (d *dropboxSign) page(r *http.Request, name string, all []any) *reply {
	number, _ := strconv.Atoi(r.FormValue("page"))
	size, _ := strconv.Atoi(r.FormValue("page_size"))
	if number < 1 || size < 1 || size > 100 {
		const limits = "page must be 1 or more, page_size between 1 and 100"
		return d.refuse(http.StatusBadRequest, "bad_request", limits)
	}
	info := map[string]int{
		"page": number, "num_pages": (len(all) + size - 1) / size, "num_results": len(all), "page_size": size,
	}
	return answer(http.StatusOK, object{name: page(all, (number-1)*size, size), "list_info": info})
}

func (d *dropboxSign) files(r *http.Request, a *Agreement) *reply {
	switch {
	case a.preparing() && a.Status != esign.Failed:
		return d.refuse(http.StatusConflict, "conflict", "The files are still being prepared.")
	case a.Status == esign.Failed:
		return d.refuse(http.StatusUnprocessableEntity, "unprocessable_entity", "This entity is unprocessable.")
	case r.FormValue("file_type") != "pdf":
		return d.refuse(http.StatusBadRequest, "bad_request", "Invalid file_type")
	}
	return document(a, "document")
}

func (d *dropboxSign) atAccount(_ *http.Request, url any) *reply {
	return answer(http.StatusOK, object{"account": object{
		"account_id": "5008b25c7f67153e57d5a357b1687968068fb465", "email_address": "me@example.com", "callback_url": url,
	}})
}

func (d *dropboxSign) atApp(_ *http.Request, url any) *reply {
	return answer(http.StatusOK, object{"api_app": apiApp(url)})
}

func (d *dropboxSign) apps(r *http.Request) *reply {
	return d.page(r, "api_apps", []any{apiApp(d.current(DropboxSignApp))})
}

func apiApp(url any) object {
	return object{
		"client_id": DropboxSignApp, "name": "My Production App", "callback_url": url, "is_approved": true,
	}
}

// callback returns the callback URL of the account or the app, after a PUT has changed it.
func (d *dropboxSign) callback(r *http.Request) (any, *reply) {
	id := cmp.Or(r.PathValue("id"), "account")
	if id != "account" && id != DropboxSignApp {
		return nil, d.refuse(http.StatusNotFound, "not_found", "Not found")
	}
	if r.Method == http.MethodPut {
		var in struct {
			URL string `json:"callback_url"`
		}
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil || !strings.HasPrefix(in.URL, "https://") {
			return nil, d.refuse(http.StatusBadRequest, "bad_request", "callback_url must be an https URL")
		}
		if d.subscription(id) == nil {
			d.subscriptions = append(d.subscriptions, &Subscription{ID: id})
		}
		s := d.subscription(id)
		s.URL, s.Disabled = in.URL, false
	}
	return d.current(id), nil
}

// current returns the callback URL with this ID; nil, which is JSON's null, for none.
func (d *dropboxSign) current(id string) any {
	s := d.subscription(id)
	if s == nil || s.Disabled || s.URL == "" {
		return nil
	}
	return s.URL
}
