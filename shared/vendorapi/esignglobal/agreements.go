package esignglobal

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/esignglobal"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// statuses are the values of envelopeStatus.
//
// SPEC: https://www.esignglobal.com/developer-center/api/pgwry228y585ip83zux1m7ky, read 2026-11-23: 0 to 5; 7 is only
// on the page of the callback ENVELOPE_SIGNER_FAILED.
var statuses = map[webhook.Text]esign.Status{
	"0": esign.Created, "1": esign.Sent, "2": esign.Completed, "3": esign.Expired, "4": esign.Declined,
	"5": esign.Cancelled,
	"7": esign.Failed,
}

const (
	inProgress = "1"
	completed  = "2"
)

// Agreement implements [vendorapi.Client].
//
// SPEC: the same page: GET envelopeDetail; signerStatus 0 is pending, 1 in progress, 2 signed; businessId and signOrder
// as in callbacks; the form of a "timestamp" is not documented. It has no other key of the sender.
func (c *client) Agreement(ctx context.Context, id string) (vendorapi.Agreement, error) {
	var envelope struct {
		ID      webhook.Text                     `json:"envelopeId"`
		Status  webhook.Text                     `json:"envelopeStatus"`
		EndTime webhook.Text                     `json:"envelopeEndTime"`
		Signers webhook.List[esignglobal.Signer] `json:"signerInfos"`
	}
	if err := c.get(ctx, "envelope/envelopeDetail", url.Values{"envelopeId": {id}}, &envelope); err != nil {
		return vendorapi.Agreement{}, err
	}
	if string(envelope.ID) != id {
		return vendorapi.Agreement{}, fmt.Errorf("esignglobal: %w: the response is about another envelope",
			vendorapi.ErrUnknown)
	}
	a := vendorapi.Agreement{ID: id, Status: statuses[envelope.Status],
		VendorStatus: webhook.Label(string(envelope.Status))}
	if a.Status.Terminal() {
		a.ChangedAt = moment(envelope.EndTime)
	}
	for _, signer := range envelope.Signers {
		if a.Status == esign.Sent && signer.Status == "2" {
			a.Status = esign.Signed
		}
	}
	people, differ := esignglobal.Participants(envelope.Signers, envelope.Status == inProgress)
	if a.Participants = people; len(people) > 0 && !differ {
		a.SharedReference = esignglobal.SharedReference
	}
	return a, nil
}

// moment parses a time, given as a number or as text.
func moment(t webhook.Text) time.Time {
	if at := webhook.UnixTime(string(t)); !at.IsZero() {
		return at
	}
	return webhook.Time(string(t))
}

// file is a file of an envelope.
type file struct {
	Type webhook.Text `json:"fileType"`
	Name webhook.Text `json:"fileName"`
	Link webhook.Text `json:"downloadUrl"` // valid for 60 minutes, for anybody who has it
}

// kinds maps the vendor's types of files to our names. An older page has them in lower case.
var kinds = map[string]string{
	"contract": "contract", "combined": "combined", "certificate": "audit-trail", "attachment": "attachment",
}

// Documents implements [vendorapi.Client]: each signed document, the certificate, and one merged of both where the
// account has it so.
//
// SPEC: https://www.esignglobal.com/developer-center/api/dygf6h69qejdsxxzzi1zzetb, read 2026-11-23: only for completed
// envelopes; the types of files; links are valid for 60 minutes.
func (c *client) Documents(ctx context.Context, id string) ([]vendorapi.Document, error) {
	var envelope struct {
		Status webhook.Text       `json:"envelopeStatus"`
		Files  webhook.List[file] `json:"envelopeFiles"`
	}
	query := url.Values{"envelopeId": {id}, "downloadType": {"list"}}
	if err := c.get(ctx, "envelope/files/download", query, &envelope); err != nil {
		return nil, err
	}
	if envelope.Status != completed && envelope.Status != "" || len(envelope.Files) == 0 {
		return nil, fmt.Errorf("esignglobal: files: %w", vendorapi.ErrNotReady)
	}
	// In the order of their names, since the vendor promises none.
	slices.SortStableFunc(envelope.Files, func(a, b file) int { return cmp.Compare(a.Name, b.Name) })
	count := map[string]int{}
	var documents []vendorapi.Document
	for _, f := range envelope.Files {
		if !c.trusted(string(f.Link)) {
			return nil, fmt.Errorf("esignglobal: files: %w: the link is not https", vendorapi.ErrInvalid)
		}
		kind := cmp.Or(kinds[strings.ToLower(string(f.Type))], "other")
		count[kind]++
		documents = append(documents, f.document(kind, count[kind], c.links))
	}
	return documents, nil
}

// trusted reports whether a link may be followed: it is https, or on the same local host as the API in a test.
func (c *client) trusted(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme+"://"+u.Host == c.base)
}

// extension matches an extension that is safe in a file name.
var extension = regexp.MustCompile(`\.[a-z0-9]{1,8}$`)

// document names a file after its kind, since the vendor's name for it may be personal. All files are PDF except
// attachments and unknown types.
func (f file) document(kind string, number int, links vendorapi.HTTP) vendorapi.Document {
	suffix, pdf := ".pdf", kind != "attachment" && kind != "other"
	if !pdf {
		suffix = extension.FindString(strings.ToLower(string(f.Name)))
	}
	name := fmt.Sprintf("%s-%d%s", kind, number, suffix)
	if number == 1 && (kind == "audit-trail" || kind == "combined") {
		name = kind + suffix
	}
	is := esign.KindDocument
	if kind == "audit-trail" {
		is = esign.KindAuditTrail
	}
	link := string(f.Link)
	return vendorapi.Document{Kind: is, Name: name, PDF: pdf, Open: func(ctx context.Context) (vendorapi.Content, error) {
		content, err := links.Open(ctx, link, nil)
		if err != nil {
			return vendorapi.Content{}, fmt.Errorf("esignglobal: %s: %w", name, err)
		}
		return content, nil
	}}
}

// explainLink treats a refused link as not ready: a new link may work, above all when this one has expired.
func explainLink(r *vendorapi.Refusal) error {
	switch r.Status {
	case http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return vendorapi.ErrNotReady
	}
	return nil
}

// FormData implements [vendorapi.Client]. No page of the vendor's documentation has a call for what signers have filled
// in: the signed document is the only source.
func (c *client) FormData(context.Context, string) ([]vendorapi.Field, error) {
	return nil, unsupported("the API offers no form data")
}

// Changed implements [vendorapi.Client]. This vendor has no such call.
func (c *client) Changed(context.Context, time.Time, time.Time, string) ([]vendorapi.Agreement, string, error) {
	return nil, "", unsupported("the API cannot list envelopes; known ones can be requested one by one")
}
