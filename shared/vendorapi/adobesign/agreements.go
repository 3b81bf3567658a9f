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
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// agreement leaves out what is personal.
type agreement struct {
	ID           webhook.Text `json:"id"`
	Status       webhook.Text `json:"status"`
	ModifiedDate webhook.Text `json:"modifiedDate"` // only in a list; of any change, not only of the status
}

// statuses are those that begin with neither OUT_FOR_ nor WAITING_FOR_, which is to be sent. ARCHIVED is of a file that was
// put there and that nobody signed: it says nothing to us, and neither does COMPLETED, which is of a recipient.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/techblog/tldr/api-agreement-statuses, read 2026-11-23.
var statuses = map[webhook.Text]esign.Status{
	"DRAFT": esign.Created, "AUTHORING": esign.Created, "PREFILL": esign.Created, "DOCUMENTS_NOT_YET_PROCESSED": esign.Created,
	"WAITING_FOR_AUTHORING": esign.Created, "WAITING_FOR_PREFILL": esign.Created,
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

// sound is how the vendor's IDs look. Others do not get into a path: they come from events that nobody signed.
var sound = regexp.MustCompile(`^[A-Za-z0-9_-]{1,512}\*?$`)

func path(id string) (string, error) {
	if !sound.MatchString(id) {
		return "", fmt.Errorf("adobesign: %w: no ID of an agreement", vendorapi.ErrUnknown)
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

// endings tell why an agreement is CANCELLED or ABORTED, which each may mean that the sender cancelled it, that a recipient
// declined it, or that its documents could not be converted. Other events that are called RECALLED_… cancel it too.
//
// SPEC: as for statuses, and AgreementEvent in https://github.com/adobe-sign/AdobeSignJavaSdk docs, read 2026-11-23.
var endings = map[webhook.Text]esign.Status{
	"REJECTED":                          esign.Declined,
	"AUTO_CANCELLED_CONVERSION_PROBLEM": esign.Failed,
	"RECALLED":                          esign.Cancelled,
	"ABORTED":                           esign.Cancelled,
}

// ending says what an event makes of an agreement with this status, if it has ended it. Of those that complete one it is the
// last that counts.
func ending(status esign.Status, event string) (how esign.Status, ok bool) {
	switch status {
	case esign.Completed:
		return status, strings.HasPrefix(event, "ACTION_COMPLETED") || strings.HasSuffix(event, "SIGNED")
	case esign.Expired:
		return status, strings.HasPrefix(event, "EXPIRED")
	}
	if strings.HasPrefix(event, "RECALLED_") {
		return esign.Cancelled, true
	}
	how, ok = endings[webhook.Text(event)]
	return how, ok
}

// read is what an agreement says of itself, which is not when it took on its status.
func (a agreement) read() vendorapi.Agreement {
	return vendorapi.Agreement{ID: string(a.ID), Status: a.status(), VendorStatus: string(a.Status)}
}

// ended is what an agreement says, and its events of how and when it ended.
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
		how, ok := ending(a.status(), string(e.Type))
		if at := webhook.Time(string(e.Date)); ok && !at.Before(read.ChangedAt) {
			read.Status, read.ChangedAt = how, at
		}
	}
	return read, nil
}

// Documents implements [vendorapi.Client]. It asks nothing: whether the agreement is completed is the caller's knowledge,
// since the vendor serves documents before that too.
func (c *client) Documents(_ context.Context, id string) ([]vendorapi.Document, error) {
	path, err := path(id)
	if err != nil {
		return nil, err
	}
	return []vendorapi.Document{
		c.document("document.pdf", path+"/combinedDocument?attachSupportingDocuments=true&attachAuditReport=false"),
		c.document("audit-trail.pdf", path+"/auditTrail"),
	}, nil
}

func (c *client) document(name, path string) vendorapi.Document {
	return vendorapi.Document{Name: name, PDF: true, Open: func(ctx context.Context) (content vendorapi.Content, err error) {
		err = c.asOwner(ctx, func(user string) error {
			return c.at(ctx, func(base string) error {
				content, err = c.http.Open(ctx, base+path, asUser(http.Header{"Accept": {"application/pdf"}}, user))
				return err
			})
		})
		return content, err
	}}
}

// place is where a list goes on: with a user, a time and how many from then on are known.
type place struct {
	user  string
	since time.Time
	index int
}

func (p place) String() string {
	return fmt.Sprintf("%d %s %s", p.index, p.since.Format(time.RFC3339Nano), p.user)
}

func parsePlace(s string) (p place, err error) {
	parts := strings.SplitN(s, " ", 3)
	if len(parts) == 3 {
		p.index, err = strconv.Atoi(parts[0])
		p.since, p.user = webhook.Time(parts[1]), parts[2]
	}
	if err != nil || p.since.IsZero() {
		return place{}, fmt.Errorf("adobesign: %w: no page of the list", vendorapi.ErrInvalid)
	}
	return p, nil
}

// pageSize is that of Adobe's own tools. The largest is not documented.
const pageSize = 50

// Changed implements [vendorapi.Client] for what the token's user has sent, then for what each user of the account has, if
// the credentials may know them. An account's webhook tells of the same agreements.
//
// A user's list is read by time, not by number: what changes meanwhile leaves the list, and would make us miss as many
// others.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/bestpractices, read 2026-11-23: POST
// /search for agreements by modifiedDate, role, type and sortByField. Its form is documented nowhere that we could read;
// this is how https://github.com/adobe-sign clients and others send it. Whether an agreement born of a web form has the
// role SENDER is unknown.
func (c *client) Changed(ctx context.Context, from, to time.Time, page string) ([]vendorapi.Agreement, string, error) {
	users, err := c.users(ctx)
	if err != nil {
		return nil, "", err
	}
	at := place{since: from.UTC().Truncate(time.Second)}
	if page != "" {
		if at, err = parsePlace(page); err != nil {
			return nil, "", err
		}
	}
	listed, more, err := c.search(ctx, at, to)
	if errors.Is(err, errUser) && at.user != "" {
		err = nil // has left, or may not be acted for
	}
	if err != nil {
		return nil, "", err
	}
	var changed []vendorapi.Agreement
	for _, a := range listed {
		if !sound.MatchString(string(a.ID)) {
			continue
		}
		read, err := a.read(), error(nil)
		if read.Status == esign.Cancelled { // perhaps; the time alone is not worth asking for
			read, err = c.ended(ctx, at.user, a)
		}
		switch {
		case hidden(err): // gone since
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
			return changed, place{user: user, since: from.UTC().Truncate(time.Second)}.String(), nil
		}
	}
	return changed, "", nil
}

// after is the place behind those that were listed there. If they are not in the order of time, it counts them.
func (p place) after(listed []agreement) place {
	modified := func(a agreement) time.Time { return webhook.Time(string(a.ModifiedDate)) }
	inOrder := slices.IsSortedFunc(listed, func(a, b agreement) int { return modified(a).Compare(modified(b)) })
	if n := len(listed); n > 0 && inOrder && modified(listed[n-1]).After(p.since) {
		return place{user: p.user, since: modified(listed[n-1])}
	}
	p.index += len(listed)
	return p
}

// search lists one page of what a user has sent, and says whether there is more.
func (c *client) search(ctx context.Context, at place, to time.Time) ([]agreement, bool, error) {
	in := map[string]any{
		"scope": []string{"AGREEMENT_ASSETS"},
		"agreementAssetsCriteria": map[string]any{
			"type": []string{"AGREEMENT", "WIDGET_INSTANCE", "MEGASIGN_CHILD"},
			"role": []string{"SENDER"},
			"modifiedDate": map[string]any{"range": map[string]string{
				"min": at.since.Format(time.RFC3339Nano), "max": to.UTC().Add(time.Second - 1).Truncate(time.Second).Format(time.RFC3339),
			}},
			"sortByField": "MODIFIED_DATE", "sortOrder": "ASC", "visibility": "SHOW_ALL", "startIndex": at.index, "pageSize": pageSize,
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
