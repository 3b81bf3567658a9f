package adobesign

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"esignhooks/shared/esign"
	provider "esignhooks/shared/provider/adobesign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// agreement leaves out personal data.
//
// SPEC: as for the package: an agreement has externalId, without a role or status of its participants, which only
// GET /agreements/{id}/members has. A list has no externalId.
type agreement struct {
	ID         webhook.Text        `json:"id"`
	Status     webhook.Text        `json:"status"`
	ExternalID provider.ExternalID `json:"externalId"`
	// only in a list; the time of any change, not only of the status
	ModifiedDate webhook.Text `json:"modifiedDate"`
}

// statuses lists the vendor's statuses that do not begin with OUT_FOR_ or WAITING_FOR_, which mean sent. ARCHIVED is
// left out, since it is for an uploaded file that nobody signed. So is COMPLETED, which is a recipient's status.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/techblog/tldr/api-agreement-statuses, read 2026-11-23.
var statuses = map[webhook.Text]esign.Status{
	"DRAFT": esign.Created, "AUTHORING": esign.Created, "PREFILL": esign.Created,
	"DOCUMENTS_NOT_YET_PROCESSED": esign.Created,
	"WAITING_FOR_AUTHORING":       esign.Created, "WAITING_FOR_PREFILL": esign.Created,
	"WIDGET_WAITING_FOR_VERIFICATION": esign.Sent, "IN_REVISION": esign.Sent,
	"SIGNED": esign.Completed, "APPROVED": esign.Completed, "ACCEPTED": esign.Completed, "DELIVERED": esign.Completed,
	"FORM_FILLED": esign.Completed,
	"EXPIRED":     esign.Expired,
	"CANCELLED":   esign.Cancelled, "ABORTED": esign.Cancelled, // see ending
}

func (a agreement) status() esign.Status {
	if s, ok := statuses[a.Status]; ok {
		return s
	}
	if strings.HasPrefix(string(a.Status), "OUT_FOR_") || strings.HasPrefix(string(a.Status), "WAITING_FOR_") {
		return esign.Sent
	}
	return ""
}

// validID matches the vendor's IDs. No other ID may get into a path, since IDs come from events that nobody signed.
var validID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,512}\*?$`)

func path(id string) (string, error) {
	if !validID.MatchString(id) {
		return "", fmt.Errorf("adobesign: %w: not the ID of an agreement", vendorapi.ErrUnknown)
	}
	return "/agreements/" + id, nil
}

// Agreement implements [vendorapi.Client].
func (c *client) Agreement(ctx context.Context, id string) (vendorapi.Agreement, error) {
	path, err := path(id)
	if err != nil {
		return vendorapi.Agreement{}, err
	}
	var read vendorapi.Agreement
	err = c.asOwner(ctx, func(user string) error {
		var a agreement
		if err := c.get(ctx, user, path, &a); err != nil {
			return err
		}
		a.ID = webhook.Text(id)
		if a.status().Terminal() {
			read, err = c.ended(ctx, user, a)
			return err
		}
		read = a.read()
		return nil
	})
	return read, err
}

// endings maps the event that ended a CANCELLED or ABORTED agreement to its real status: the sender may have cancelled
// it, a recipient may have declined it, or the documents could not be converted. Other events named RECALLED_… cancel
// it too.
//
// SPEC: as for statuses, and AgreementEvent in https://github.com/adobe-sign/AdobeSignJavaSdk docs, read 2026-11-23.
var endings = map[webhook.Text]esign.Status{
	"REJECTED":                          esign.Declined,
	"AUTO_CANCELLED_CONVERSION_PROBLEM": esign.Failed,
	"RECALLED":                          esign.Cancelled,
	"ABORTED":                           esign.Cancelled,
}

// ending reports whether an event may have ended an agreement with this vendor status, and with which real status. The
// last of these events counts.
func ending(status esign.Status, event string) (real esign.Status, ok bool) {
	switch status {
	case esign.Completed:
		return status, strings.HasPrefix(event, "ACTION_COMPLETED") || strings.HasSuffix(event, "SIGNED")
	case esign.Expired:
		return status, strings.HasPrefix(event, "EXPIRED")
	}
	if strings.HasPrefix(event, "RECALLED_") {
		return esign.Cancelled, true
	}
	real, ok = endings[webhook.Text(event)]
	return real, ok
}

// read returns the state of an agreement. The vendor does not report when it reached its status.
func (a agreement) read() vendorapi.Agreement {
	return vendorapi.Agreement{
		ID: string(a.ID), Status: a.status(), VendorStatus: string(a.Status), References: a.ExternalID.References(),
	}
}

// ended returns the state of a finished agreement. Its events show how and when it ended.
func (c *client) ended(ctx context.Context, user string, a agreement) (vendorapi.Agreement, error) {
	read := a.read()
	var answer struct {
		Events webhook.List[struct {
			Type webhook.Text `json:"type"`
			Date webhook.Text `json:"date"`
		}] `json:"events"`
	}
	if err := c.get(ctx, user, "/agreements/"+read.ID+"/events", &answer); err != nil {
		return vendorapi.Agreement{}, err
	}
	for _, e := range answer.Events {
		real, ok := ending(a.status(), string(e.Type))
		if at := webhook.Time(string(e.Date)); ok && !at.Before(read.ChangedAt) {
			read.Status, read.ChangedAt = real, at
		}
	}
	return read, nil
}

// Documents implements [vendorapi.Client]. It makes no call. The caller must know that the agreement is completed,
// since the vendor serves documents before that too.
func (c *client) Documents(_ context.Context, id string) ([]vendorapi.Document, error) {
	path, err := path(id)
	if err != nil {
		return nil, err
	}
	return []vendorapi.Document{
		c.document(esign.KindDocument, "document.pdf",
			path+"/combinedDocument?attachSupportingDocuments=true&attachAuditReport=false"),
		c.document(esign.KindAuditTrail, "audit-trail.pdf", path+"/auditTrail"),
	}, nil
}

func (c *client) document(kind esign.DocumentKind, name, path string) vendorapi.Document {
	return vendorapi.Document{Kind: kind, Name: name, PDF: true,
		Open: func(ctx context.Context) (content vendorapi.Content, err error) {
			err = c.asOwner(ctx, func(user string) error {
				return c.at(ctx, func(base string) error {
					content, err = c.http.Open(ctx, base+path, asUser(http.Header{"Accept": {"application/pdf"}}, user))
					return err
				})
			})
			return content, err
		}}
}

// cursor is a position in the list of changes: a user, a time, and how many agreements from that time on were listed.
type cursor struct {
	user  string
	since time.Time
	index int
}

func (p cursor) String() string {
	return fmt.Sprintf("%d %s %s", p.index, p.since.Format(time.RFC3339Nano), p.user)
}

func parseCursor(s string) (p cursor, err error) {
	parts := strings.SplitN(s, " ", 3)
	if len(parts) == 3 {
		p.index, err = strconv.Atoi(parts[0])
		p.since, p.user = webhook.Time(parts[1]), parts[2]
	}
	if err != nil || p.since.IsZero() {
		return cursor{}, fmt.Errorf("adobesign: %w: invalid cursor", vendorapi.ErrInvalid)
	}
	return p, nil
}

// pageSize is what Adobe's own tools use. The maximum is not documented.
const pageSize = 50

// Changed implements [vendorapi.Client]. It lists what the token's user has sent, then what each user of the account
// has sent, if the credentials may list the users. An account's webhook covers the same agreements.
//
// It pages by time, not by index: an agreement that changes meanwhile leaves its position, and with an index another
// one would be missed.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/bestpractices, read 2026-11-23: POST
// /search for agreements by modifiedDate, role, type and sortByField. Its form is documented nowhere that we could
// read; this is how https://github.com/adobe-sign clients and others send it. Whether an agreement born of a web form
// has the role SENDER is unknown.
func (c *client) Changed(ctx context.Context, from, to time.Time, page string) ([]vendorapi.Agreement, string, error) {
	users, err := c.users(ctx)
	if err != nil {
		return nil, "", err
	}
	at := cursor{since: from.UTC().Truncate(time.Second)}
	if page != "" {
		if at, err = parseCursor(page); err != nil {
			return nil, "", err
		}
	}
	listed, more, err := c.search(ctx, at, to)
	if errors.Is(err, errUser) && at.user != "" {
		err = nil // the user has left, or we may not act for them
	}
	if err != nil {
		return nil, "", err
	}
	var changed []vendorapi.Agreement
	for _, a := range listed {
		if !validID.MatchString(string(a.ID)) {
			continue
		}
		read, err := a.read(), error(nil)
		if read.Status == esign.Cancelled { // may mean another status; the time alone is not worth a call
			read, err = c.ended(ctx, at.user, a)
		}
		switch {
		case invisible(err): // deleted since
		case err != nil:
			return nil, "", err
		default:
			changed = append(changed, read)
		}
	}
	if more {
		return changed, at.after(listed).String(), nil
	}
	for _, user := range users {
		if user > at.user {
			return changed, cursor{user: user, since: from.UTC().Truncate(time.Second)}.String(), nil
		}
	}
	return changed, "", nil
}

// after returns the cursor behind the listed agreements. If they are not sorted by time, it counts them.
func (p cursor) after(listed []agreement) cursor {
	modified := func(a agreement) time.Time { return webhook.Time(string(a.ModifiedDate)) }
	inOrder := slices.IsSortedFunc(listed, func(a, b agreement) int { return modified(a).Compare(modified(b)) })
	if n := len(listed); n > 0 && inOrder && modified(listed[n-1]).After(p.since) {
		return cursor{user: p.user, since: modified(listed[n-1])}
	}
	p.index += len(listed)
	return p
}

// search lists one page of what a user has sent, and reports whether there is more.
func (c *client) search(ctx context.Context, at cursor, to time.Time) ([]agreement, bool, error) {
	in := map[string]any{
		"scope": []string{"AGREEMENT_ASSETS"},
		"agreementAssetsCriteria": map[string]any{
			"type": []string{"AGREEMENT", "WIDGET_INSTANCE", "MEGASIGN_CHILD"},
			"role": []string{"SENDER"},
			"modifiedDate": map[string]any{"range": map[string]string{
				"min": at.since.Format(time.RFC3339Nano),
				"max": to.UTC().Add(time.Second - 1).Truncate(time.Second).Format(time.RFC3339),
			}},
			"sortByField": "MODIFIED_DATE", "sortOrder": "ASC", "visibility": "SHOW_ALL", "startIndex": at.index,
			"pageSize": pageSize,
		},
	}
	var answer struct {
		Results struct {
			List webhook.List[agreement] `json:"agreementAssetsResultList"`
			Page struct {
				Next webhook.Text `json:"nextIndex"`
			} `json:"searchPageInfo"`
		} `json:"agreementAssetsResults"`
	}
	if _, err := c.call(ctx, at.user, vendorapi.Request{
		Method: http.MethodPost, URL: "/search", Header: http.Header{"X-Ownership-Scope": {"OWNED"}}, JSON: in,
	}, &answer); err != nil {
		return nil, false, err
	}
	return answer.Results.List, answer.Results.Page.Next != "" && len(answer.Results.List) > 0, nil
}
