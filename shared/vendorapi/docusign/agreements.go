package docusign

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Agreement implements [vendorapi.Client].
func (c *client) Agreement(ctx context.Context, id string) (vendorapi.Agreement, error) {
	var envelope json.RawMessage
	if err := c.envelope(ctx, id, "?include="+url.QueryEscape(further), &envelope); err != nil {
		return vendorapi.Agreement{}, err
	}
	return agreement(envelope)
}

// further is what answers include about an envelope.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: include of one envelope and of the list takes custom_fields and recipients, among others. A
// list has no clientUserId.
const further = "custom_fields,recipients"

// envelope reads an envelope. DocuSign's IDs are GUIDs.
func (c *client) envelope(ctx context.Context, id, query string, out any) error {
	if !guid.MatchString(id) {
		return fmt.Errorf("docusign: %w: not the ID of an envelope", vendorapi.ErrUnknown)
	}
	return c.call(ctx, http.MethodGet, "/envelopes/"+id+query, nil, out)
}

// agreement reads an envelope in the way the receiver reads a message, which contains one: a voided envelope may have
// expired.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-23: envelopeId, status, statusChangedDateTime, voidedReason.
func agreement(envelope json.RawMessage) (vendorapi.Agreement, error) {
	e, err := docusign.ReadEnvelope(envelope)
	if err != nil || e.AgreementID == "" {
		return vendorapi.Agreement{}, errors.New("docusign: the answer is not an envelope")
	}
	return vendorapi.Agreement{
		ID: e.AgreementID, Status: e.Type.Status(), VendorStatus: e.VendorType, ChangedAt: e.OccurredAt,
		References: e.References, Participants: e.Participants,
	}, nil
}

// hasReason reports whether a voided envelope states the reason. Without it, an expired envelope looks cancelled.
// Whether lists contain it is not documented.
func hasReason(envelope json.RawMessage) bool {
	var voided struct {
		Reason webhook.Text `json:"voidedReason"`
	}
	json.Unmarshal(envelope, &voided) // an unreadable envelope has no reason
	return voided.Reason != ""
}

// Documents implements [vendorapi.Client].
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/envelopes/envelopedocuments/get, read 2026-11-23:
// the IDs combined, certificate and archive; without certificate=false the account's settings decide whether the
// certificate is in the combined document as well. purgeState ends in _purged once the documents are gone; a download
// then only says so. https://github.com/docusign/docusign-esign-node-client/issues/303, read 2026-11-23: documents
// signed with the signers' own certificates must not be combined, which would break their signatures.
func (c *client) Documents(ctx context.Context, id string) ([]vendorapi.Document, error) {
	var envelope struct {
		Status            webhook.Text `json:"status"`
		PurgeState        webhook.Text `json:"purgeState"`
		SignatureProvider webhook.Text `json:"isSignatureProviderEnvelope"`
	}
	if err := c.envelope(ctx, id, "", &envelope); err != nil {
		return nil, err
	}
	switch {
	case !strings.EqualFold(string(envelope.Status), string(esign.Completed)):
		return nil, fmt.Errorf("docusign: the envelope is not completed: %w", vendorapi.ErrNotReady)
	case strings.HasSuffix(string(envelope.PurgeState), "_purged"):
		return nil, fmt.Errorf("docusign: the documents are purged: %w", vendorapi.ErrUnknown)
	}
	signed := vendorapi.Document{Kind: esign.KindDocument, Name: "document.pdf", PDF: true,
		Open: c.open(id, "combined?certificate=false", "application/pdf")}
	if strings.EqualFold(string(envelope.SignatureProvider), "true") {
		signed.Name, signed.PDF, signed.Open = "documents.zip", false, c.open(id, "archive", "application/zip")
	}
	return []vendorapi.Document{
		signed, {Kind: esign.KindAuditTrail, Name: "audit-trail.pdf", PDF: true,
			Open: c.open(id, "certificate", "application/pdf")},
	}, nil
}

// open returns a function that starts a download. DocuSign documents no answer for "not ready". A completed envelope
// has its documents, so an unknown refusal is treated as temporary.
func (c *client) open(id, document, accept string) func(context.Context) (vendorapi.Content, error) {
	return func(ctx context.Context) (vendorapi.Content, error) {
		base, err := c.base(ctx)
		if err != nil {
			return vendorapi.Content{}, fmt.Errorf("docusign: %w", err)
		}
		content, err := c.http.Open(ctx, base+"/envelopes/"+id+"/documents/"+document, http.Header{"Accept": {accept}})
		if errors.Is(err, vendorapi.ErrInvalid) {
			err = fmt.Errorf("%w: %v", vendorapi.ErrNotReady, err)
		}
		if err != nil {
			return vendorapi.Content{}, fmt.Errorf("docusign: %w", err)
		}
		return content, nil
	}
}

// The length of a page of changed envelopes, and how much the next page repeats. An envelope that changes between two
// pages leaves the list, and all that follow it move up.
const (
	pageSize = 200
	overlap  = 50
)

// Changed implements [vendorapi.Client]. The cursor is the index of the first envelope.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/envelopes/envelopes/liststatuschanges, read
// 2026-11-23: from_to_status=changed means a change of status between the two dates; nextUri is there if there is more.
func (c *client) Changed(ctx context.Context, from, to time.Time, page string) (changed []vendorapi.Agreement,
	next string, err error) {
	start := 0
	if page != "" {
		if start, err = strconv.Atoi(page); err != nil {
			return nil, "", fmt.Errorf("docusign: %w: invalid cursor", vendorapi.ErrInvalid)
		}
	}
	query := url.Values{
		"from_date":      {from.UTC().Format(time.RFC3339)},
		"to_date":        {to.Add(time.Second).UTC().Format(time.RFC3339)}, // the fraction is truncated
		"from_to_status": {"changed"},
		"include":        {further},
		"start_position": {strconv.Itoa(start)},
		"count":          {strconv.Itoa(pageSize)},
	}
	var answer struct {
		Envelopes webhook.List[json.RawMessage] `json:"envelopes"`
		NextURI   webhook.Text                  `json:"nextUri"`
	}
	err = c.call(ctx, http.MethodGet, "/envelopes?"+query.Encode(), nil, &answer)
	if errors.Is(err, vendorapi.ErrResponse) { // such as hundreds of recipients in each envelope
		query.Del("include")
		err = c.call(ctx, http.MethodGet, "/envelopes?"+query.Encode(), nil, &answer)
	}
	if err != nil {
		return nil, "", err
	}
	for _, envelope := range answer.Envelopes {
		a, err := agreement(envelope)
		if err == nil && a.Status == esign.Cancelled && !hasReason(envelope) {
			a, err = c.Agreement(ctx, a.ID)
		}
		switch {
		case errors.Is(err, vendorapi.ErrUnknown): // deleted since
		case err != nil:
			return nil, "", err
		default:
			changed = append(changed, a)
		}
	}
	if n := len(answer.Envelopes); answer.NextURI != "" && n > 0 {
		next = strconv.Itoa(start + max(n-overlap, 1))
	}
	return changed, next, nil
}
