package dropboxsign

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/dropboxsign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// signatureRequest has more than callbacks are read for.
type signatureRequest struct {
	dropboxsign.Request
	Complete  bool         `json:"is_complete"`
	Declined  bool         `json:"is_declined"`
	Error     bool         `json:"has_error"`
	ExpiresAt webhook.Text `json:"expires_at"`
}

// The status codes of a signature that are compared by name.
//
// SPEC: https://github.com/hellosign/hellosign-java-sdk SignatureStatus.java, read 2026-11-23: success, on_hold,
// signed, awaiting_signature, declined, error_unknown, error_file, error_component_position, error_text_tag.
// on_hold_by_requester and error_invalid_email are known from other clients only.
// SPEC: https://developers.hellosign.com/docs/signature-request/expiration, read 2026-11-23: a request has expired if
// one of its signatures is expired.
const (
	awaiting = "awaiting_signature"
	signed   = "signed"
	expired  = "expired"
	onHold   = "on_hold" // and on_hold_by_requester: not sent yet
)

// agreement returns the state of a request, with the sender's keys and the signers.
func (r signatureRequest) agreement() vendorapi.Agreement {
	a := r.state()
	a.References, a.Participants = r.References(), r.Participants(a.Status.Terminal())
	return a
}

// state returns the status of a request. No field marks a cancelled request, since the vendor no longer has it.
func (r signatureRequest) state() vendorapi.Agreement {
	a := vendorapi.Agreement{ID: string(r.ID)}
	switch {
	case r.Complete:
		a.Status, a.VendorStatus = esign.Completed, "is_complete"
		a.ChangedAt = slices.MaxFunc(append(r.signings(), time.Time{}), time.Time.Compare)
	case r.Declined:
		a.Status, a.VendorStatus = esign.Declined, "is_declined"
	case r.some(func(s dropboxsign.Signature) bool { return s.Status == expired }):
		a.Status, a.VendorStatus, a.ChangedAt = esign.Expired, expired, webhook.UnixTime(string(r.ExpiresAt))
	case r.Error && !r.some(func(s dropboxsign.Signature) bool { return !s.Failed() }):
		// has_error alone may concern one of several signatures.
		a.Status, a.VendorStatus = esign.Failed, "has_error"
	case r.some(func(s dropboxsign.Signature) bool { return s.Status == signed }):
		a.Status, a.VendorStatus = esign.Signed, signed
		if at := r.signings(); len(at) > 0 {
			a.ChangedAt = slices.MinFunc(at, time.Time.Compare)
		}
	case r.some(func(s dropboxsign.Signature) bool { return !webhook.UnixTime(string(s.LastViewed)).IsZero() }):
		a.Status, a.VendorStatus = esign.Viewed, "last_viewed_at"
	case r.some(func(s dropboxsign.Signature) bool { return s.Status == awaiting }):
		a.Status, a.VendorStatus = esign.Sent, awaiting
	case r.some(func(s dropboxsign.Signature) bool { return strings.HasPrefix(string(s.Status), onHold) }):
		a.Status, a.VendorStatus = esign.Created, onHold
	case len(r.Signatures) > 0:
		a.VendorStatus = string(r.Signatures[0].Status)
	}
	return a
}

func (r signatureRequest) some(is func(dropboxsign.Signature) bool) bool {
	return slices.ContainsFunc(r.Signatures, is)
}

// signings returns the times of the signatures so far.
func (r signatureRequest) signings() (at []time.Time) {
	for _, s := range r.Signatures {
		if t := webhook.UnixTime(string(s.SignedAt)); !t.IsZero() {
			at = append(at, t)
		}
	}
	return at
}

// validID matches the vendor's IDs. No other ID may get into a path, since IDs come from events that may not be signed.
var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,128}$`)

// Agreement implements [vendorapi.Client].
//
// SPEC: https://developers.hellosign.com/api/reference/warnings-and-errors, read 2026-11-23: 410 is "the request was
// cancelled or deleted". It does not say which, and a completed request can be deleted. So it is unknown, not
// cancelled.
func (c *client) Agreement(ctx context.Context, id string) (vendorapi.Agreement, error) {
	if !validID.MatchString(id) {
		return vendorapi.Agreement{}, fmt.Errorf("dropboxsign: %w: not the ID of a signature request", vendorapi.ErrUnknown)
	}
	var answer struct {
		Request signatureRequest `json:"signature_request"`
	}
	if err := c.get(ctx, "/signature_request/"+id, nil, &answer); err != nil {
		return vendorapi.Agreement{}, err
	}
	if a := answer.Request.agreement(); a.ID == id {
		return a, nil
	}
	return vendorapi.Agreement{}, fmt.Errorf("dropboxsign: %w: the response is about another request",
		vendorapi.ErrUnknown)
}

// Documents implements [vendorapi.Client]. There is one document: the merged PDF, which ends with the audit trail. The
// API has no separate audit trail.
//
// SPEC: https://developers.hellosign.com/api/reference/operation/signatureRequestFiles, read 2026-11-23: "pdf for a
// single merged document".
// SPEC: https://help.dropbox.com/account-settings/dropbox-sign-separate-audit-trail, read 2026-11-23: the audit trail
// is attached to the signed document; an account's setting separates it in the vendor's own pages, and zip does here.
func (c *client) Documents(_ context.Context, id string) ([]vendorapi.Document, error) {
	if !validID.MatchString(id) {
		return nil, fmt.Errorf("dropboxsign: %w: not the ID of a signature request", vendorapi.ErrUnknown)
	}
	return []vendorapi.Document{{Kind: esign.KindDocument, Name: "document.pdf", PDF: true,
		Open: func(ctx context.Context) (vendorapi.Content, error) {
			content, err := c.files.Open(ctx, c.base+"/signature_request/files/"+id+"?file_type=pdf",
				http.Header{"Accept": {"*/*"}})
			if err != nil {
				return vendorapi.Content{}, fmt.Errorf("dropboxsign: %w", err)
			}
			return content, nil
		}}}, nil
}

// explainFiles interprets 409 as "being prepared". A failed request has no files, and is answered with a permanent 422.
//
// SPEC: https://developers.hellosign.com/changelog/2023/3/15, read 2026-11-23: 422, no longer 409, for requests in
// error.
func (c *client) explainFiles(r *vendorapi.Refusal) error {
	if r.Status == http.StatusConflict {
		return vendorapi.ErrNotReady
	}
	return c.explain(r)
}

// lookback is how long before the window a listed request may have been created. The vendor retries events for up to
// three days.
const lookback = 3 * 24 * time.Hour

// Changed implements [vendorapi.Client] with a limitation: the vendor cannot search by the time of a change, and
// promises no order. It lists the requests that were created in the window or up to three days before it. Changes of
// older ones are found only by asking for each. The search takes dates in an undocumented time zone, so it includes one
// day more.
//
// SPEC: https://developers.hellosign.com/api/reference/search, read 2026-11-23: created:[min TO max], both included; "a
// minor delay" before a new request is found.
func (c *client) Changed(ctx context.Context, from, to time.Time, page string) ([]vendorapi.Agreement, string, error) {
	number, err := strconv.Atoi(cmp.Or(page, "1"))
	if err != nil {
		return nil, "", fmt.Errorf("dropboxsign: %w: invalid cursor", vendorapi.ErrInvalid)
	}
	var answer struct {
		Requests webhook.List[signatureRequest] `json:"signature_requests"`
		Info     listInfo                       `json:"list_info"`
	}
	if err := c.get(ctx, "/signature_request/list", url.Values{
		"query": {fmt.Sprintf("created:[%s TO %s]",
			from.Add(-lookback).UTC().Format(time.DateOnly), to.UTC().AddDate(0, 0, 1).Format(time.DateOnly))},
		"page":      {strconv.Itoa(number)},
		"page_size": {"100"},
	}, &answer); err != nil {
		return nil, "", err
	}
	var changed []vendorapi.Agreement
	for _, r := range answer.Requests {
		changed = append(changed, r.agreement())
	}
	if number < answer.Info.Pages {
		return changed, strconv.Itoa(number + 1), nil
	}
	return changed, "", nil
}
