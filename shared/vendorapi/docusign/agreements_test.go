package docusign_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
)

func TestAgreement(t *testing.T) {
	changedAt := time.Date(2026, 11, 22, 9, 8, 7, 600_000_000, time.UTC)
	for name, tt := range map[string]struct {
		is     vendorstub.Agreement
		status esign.Status
		word   string
	}{
		"created":                           {vendorstub.Agreement{Status: esign.Created}, esign.Created, "created"},
		"sent":                              {vendorstub.Agreement{Status: esign.Sent}, esign.Sent, "sent"},
		"delivered is viewed":               {vendorstub.Agreement{Status: esign.Viewed}, esign.Viewed, "delivered"},
		"signed":                            {vendorstub.Agreement{Status: esign.Signed}, esign.Signed, "signed"},
		"completed":                         {vendorstub.Agreement{Status: esign.Completed}, esign.Completed, "completed"},
		"declined":                          {vendorstub.Agreement{Status: esign.Declined}, esign.Declined, "declined"},
		"voided by the sender is cancelled": {vendorstub.Agreement{Status: esign.Cancelled}, esign.Cancelled, "voided"},
		"voided after expiry is expired":    {vendorstub.Agreement{Status: esign.Expired}, esign.Expired, "voided"},
		"an unknown status of the vendor is empty": {vendorstub.Agreement{VendorStatus: "processing"}, "", "processing"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.is.ID, tt.is.ChangedAt = strings.ToUpper(envelopeID), changedAt
			w.Set("docusign", tt.is)
			got, err := w.client(t, nil).Agreement(t.Context(), envelopeID)
			want := vendorapi.Agreement{ID: envelopeID, Status: tt.status, VendorStatus: tt.word, ChangedAt: changedAt}
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("error %v\n%s", err, diff)
			}
		})
	}
}

// TestIncluded has an envelope of which a signer has signed, and the next one is at work. A list has no clientUserId.
func TestIncluded(t *testing.T) {
	const guid = "aaaaaaaa-0000-4000-8000-000000000000"
	w := newWorld(t)
	at := w.clock.at.Add(-time.Minute)
	signer := func(id, order, status string, more map[string]any) map[string]any {
		is := map[string]any{"recipientId": id, "routingOrder": order, "status": status}
		maps.Copy(is, more)
		return is
	}
	for i, reference := range map[int]any{1: "u-1", 2: nil} {
		w.Set("docusign", vendorstub.Agreement{ID: id(i), Status: esign.Sent, ChangedAt: at, Included: map[string]any{
			"custom_fields": map[string]any{"textCustomFields": []any{map[string]any{"name": "deal", "value": "7"}}},
			"recipients": map[string]any{"currentRoutingOrder": "2", "signers": []any{
				signer("1", "1", "completed", map[string]any{"recipientIdGuid": guid, "signedDateTime": at.Add(-time.Second),
					"clientUserId": reference}), signer("2", "2", "sent", nil)}},
		}})
	}
	want := func(i int, reference string) vendorapi.Agreement {
		return vendorapi.Agreement{
			ID: id(i), Status: esign.Sent, VendorStatus: "sent", ChangedAt: at, References: map[string]string{"deal": "7"},
			Participants: []esign.Participant{
				{ID: "2", Status: esign.Sent, Role: esign.RoleSigner, Order: 2, Waiting: new(true)},
				{ID: guid, Aliases: []string{"1"}, Status: esign.Signed, At: at.Add(-time.Second), Role: esign.RoleSigner, Order: 1,
					Reference: reference, Waiting: new(false)},
			},
		}
	}
	c := w.client(t, nil)
	got, err := c.Agreement(t.Context(), id(1))
	if diff := cmp.Diff(want(1, "u-1"), got); err != nil || diff != "" {
		t.Errorf("error %v\n%s", err, diff)
	}
	changed, _, err := c.Changed(t.Context(), at, w.clock.at, "")
	if err != nil || len(changed) != 2 {
		t.Fatalf("%d changed, error %v", len(changed), err)
	}
	slices.SortFunc(changed, func(a, b vendorapi.Agreement) int { return strings.Compare(a.ID, b.ID) })
	if diff := cmp.Diff(want(2, ""), changed[1]); diff != "" {
		t.Error(diff)
	}
}

// TestAListThatIsTooLarge asks again for the envelopes alone.
func TestAListThatIsTooLarge(t *testing.T) {
	w := newWorld(t)
	w.Set("docusign", vendorstub.Agreement{ID: id(1), Status: esign.Sent, ChangedAt: w.clock.at.Add(-time.Minute),
		Included: map[string]any{"recipients": map[string]any{"note": strings.Repeat("x", 9<<20)}}})
	changed, _, err := w.client(t, nil).Changed(t.Context(), w.clock.at.Add(-time.Hour), w.clock.at, "")
	if err != nil || len(changed) != 1 || changed[0].Status != esign.Sent {
		t.Errorf("%+v, error %v", changed, err)
	}
}

func TestUnknownAgreement(t *testing.T) {
	w := newWorld(t)
	w.Set("docusign", vendorstub.Agreement{ID: envelopeID, Status: esign.Completed, Deleted: true})
	c := w.client(t, nil)
	for name, tt := range map[string]struct {
		id    string
		calls int
	}{
		"an unknown envelope":                {"5a1e0c3b-7d2f-4c6e-9b8a-ffffffffffff", 1},
		"a deleted envelope":                 {envelopeID, 1},
		"an implausible ID is not asked for": {"../../connect", 0},
		"an empty ID is not asked for":       {"", 0},
	} {
		t.Run(name, func(t *testing.T) {
			before := w.Calls("/restapi/")
			if _, err := c.Agreement(t.Context(), tt.id); !errors.Is(err, vendorapi.ErrUnknown) {
				t.Errorf("error %v", err)
			}
			if calls := w.Calls("/restapi/") - before; calls != tt.calls {
				t.Errorf("%d calls, want %d", calls, tt.calls)
			}
			if _, err := c.Documents(t.Context(), tt.id); !errors.Is(err, vendorapi.ErrUnknown) {
				t.Errorf("documents: error %v", err)
			}
		})
	}
}

func TestInvalidAgreementAnswers(t *testing.T) {
	for name, body := range map[string]string{
		"without a status": `{"envelopeId":"` + envelopeID + `"}`, "of a login page": `<html>`, "of nothing": `{}`,
		"of a list": `[]`,
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.Fail(vendorstub.Failure{Path: "/envelopes/", Status: 200, Body: body, Times: 1})
			if a, err := w.client(t, nil).Agreement(t.Context(), envelopeID); err == nil {
				t.Errorf("agreement %+v", a)
			}
		})
	}
}

// download reads a document as the archiver does.
func download(t *testing.T, d vendorapi.Document) (content []byte, c vendorapi.Content, err error) {
	t.Helper()
	if c, err = d.Open(t.Context()); err != nil {
		return nil, c, err
	}
	defer c.Close()
	content, err = io.ReadAll(c)
	return content, c, err
}

func TestDocuments(t *testing.T) {
	w := newWorld(t)
	w.Set("docusign", vendorstub.Agreement{ID: envelopeID, Status: esign.Completed, NotReady: 1})
	documents, err := w.client(t, nil).Documents(t.Context(), envelopeID)
	if err != nil {
		t.Fatal(err)
	}
	if got := names(documents, func(d vendorapi.Document) string { return d.Name }); !slices.Equal(got,
		[]string{"document.pdf", "audit-trail.pdf"}) {
		t.Fatalf("documents %q", got)
	}
	if _, _, err := download(t, documents[0]); !errors.Is(err, vendorapi.ErrNotReady) ||
		errors.Is(err, vendorapi.ErrInvalid) {
		t.Errorf("error %v of a document that is not ready", err)
	}
	for i, want := range []string{"signed", "certificate"} {
		content, c, err := download(t, documents[i])
		if err != nil || !bytes.Equal(content, vendorstub.PDF(envelopeID+" "+want)) || c.Size != int64(len(content)) ||
			c.Type != "application/pdf" || !documents[i].PDF {
			t.Errorf("%s: error %v, %d bytes of %d, type %q, content %.60q", documents[i].Name, err, len(content), c.Size,
				c.Type, content)
		}
	}
}

func TestNoDocuments(t *testing.T) {
	envelope := func(rest string) func(world) {
		return func(w world) {
			w.Fail(vendorstub.Failure{
				Path: "/envelopes/" + envelopeID, Status: 200, Times: 1,
				Body: fmt.Sprintf(`{"envelopeId":%q,"status":"completed",%s}`, envelopeID, rest),
			})
		}
	}
	for name, tt := range map[string]struct {
		is     vendorstub.Agreement
		before func(world)
		want   error
	}{
		"of an envelope that is not completed": {vendorstub.Agreement{Status: esign.Viewed}, nil,
			vendorapi.ErrNotReady},
		"of a purged envelope": {vendorstub.Agreement{},
			envelope(`"purgeState":"documents_purged"`), vendorapi.ErrUnknown},
		"of an envelope purged with its metadata": {vendorstub.Agreement{},
			envelope(`"purgeState":"documents_and_metadata_and_redact_purged"`), vendorapi.ErrUnknown},
		"an envelope queued for purging still has them": {vendorstub.Agreement{},
			envelope(`"purgeState":"documents_queued"`), nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.is.ID = envelopeID
			w.Set("docusign", tt.is)
			if tt.before != nil {
				tt.before(w)
			}
			if documents, err := w.client(t, nil).Documents(t.Context(), envelopeID); !errors.Is(err, tt.want) ||
				(len(documents) > 0) != (tt.want == nil) {
				t.Errorf("%d documents, error %v, want %v", len(documents), err, tt.want)
			}
		})
	}
}

// TestSignaturesOfSigners downloads the documents of signers with their own certificates separately, since combining
// would break the signatures.
func TestSignaturesOfSigners(t *testing.T) {
	w := newWorld(t)
	w.complete()
	w.Fail(vendorstub.Failure{
		Path: "/envelopes/" + envelopeID, Status: 200, Times: 1,
		Body: fmt.Sprintf(`{"envelopeId":%q,"status":"completed","isSignatureProviderEnvelope":"true"}`, envelopeID),
	})
	documents, err := w.client(t, nil).Documents(t.Context(), envelopeID)
	if err != nil || len(documents) != 2 || documents[0].Name != "documents.zip" || documents[0].PDF ||
		documents[1].Name != "audit-trail.pdf" {
		t.Fatalf("documents %+v, error %v", documents, err)
	}
	content, c, err := download(t, documents[0])
	if err != nil || !bytes.HasPrefix(content, []byte("PK")) || c.Type != "application/zip" {
		t.Errorf("error %v, type %q, content %.20q", err, c.Type, content)
	}
}

func TestDownloadsThatFail(t *testing.T) {
	for name, tt := range map[string]struct {
		is      vendorstub.Agreement
		failure vendorstub.Failure
		want    error // nil for a temporary error
	}{
		"a truncated download": {is: vendorstub.Agreement{Truncated: true}},
		"an exhausted rate limit": {
			failure: vendorstub.Failure{Path: "/documents/", Status: 400,
				Body: `{"errorCode":"BURST_APIINVOCATION_LIMIT_EXCEEDED"}`, Times: 9},
		},
		"refused credentials": {
			failure: vendorstub.Failure{Path: "/documents/", Status: 401, Times: 9}, want: vendorapi.ErrDenied,
		},
		"an envelope that was deleted meanwhile": {
			failure: vendorstub.Failure{Path: "/documents/", Status: 404, Body: `{"errorCode":"ENVELOPE_DOES_NOT_EXIST"}`,
				Times: 9}, want: vendorapi.ErrUnknown,
		},
		"a setting that forbids it": {
			failure: vendorstub.Failure{Path: "/documents/", Status: 400,
				Body: `{"errorCode":"COMBINED_PDF_DOWNLOAD_NOT_ALLOWED"}`, Times: 9}, want: vendorapi.ErrDenied,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.is.ID, tt.is.Status = envelopeID, esign.Completed
			w.Set("docusign", tt.is)
			documents, err := w.client(t, nil).Documents(t.Context(), envelopeID)
			if err != nil {
				t.Fatal(err)
			}
			w.Fail(tt.failure)
			_, _, err = download(t, documents[0])
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || errors.Is(err, vendorapi.ErrNotReady) {
				t.Errorf("error %v, want %v", err, tt.want)
			}
		})
	}
}

// id makes the ID of an envelope.
func id(n int) string { return fmt.Sprintf("5a1e0c3b-7d2f-4c6e-9b8a-%012d", n) }

func TestChanged(t *testing.T) {
	w := newWorld(t)
	from, to := w.clock.at.Add(-time.Hour), w.clock.at.Add(600*time.Millisecond)
	for i, at := range []time.Time{from.Add(-time.Minute), from, to.Add(-time.Millisecond), to.Add(time.Minute)} {
		w.Set("docusign", vendorstub.Agreement{ID: id(i), Status: esign.Expired, ChangedAt: at})
	}
	changed, next, err := w.client(t, nil).Changed(t.Context(), from, to, "")
	if err != nil || next != "" || len(changed) != 2 {
		t.Fatalf("%d changed, next page %q, error %v", len(changed), next, err)
	}
	want := vendorapi.Agreement{ID: id(1), Status: esign.Expired, VendorStatus: "voided", ChangedAt: from}
	if diff := cmp.Diff(want, changed[0]); diff != "" || changed[1].ID != id(2) {
		t.Errorf("%s, then %s", diff, changed[1].ID)
	}
}

func TestNothingChanged(t *testing.T) {
	w := newWorld(t)
	if changed, next, err := w.client(t, nil).Changed(t.Context(), w.clock.at, w.clock.at, ""); err != nil || next != "" ||
		len(changed) > 0 {
		t.Errorf("%d changed, next page %q, error %v", len(changed), next, err)
	}
	if _, _, err := w.client(t, nil).Changed(t.Context(), w.clock.at, w.clock.at, "x"); err == nil {
		t.Error("an invalid page is accepted")
	}
}

func TestPages(t *testing.T) {
	for name, between := range map[string]func(w world, page int){
		"of envelopes that do not change": func(world, int) {},
		"while envelopes change and leave the window": func(w world, page int) {
			for i := range 20 {
				w.Set("docusign", vendorstub.Agreement{ID: id(page*20 + i), Status: esign.Completed,
					ChangedAt: w.clock.at.Add(time.Hour)})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			from, to := w.clock.at.Add(-time.Hour), w.clock.at
			const all = 1200
			for i := range all {
				w.Set("docusign", vendorstub.Agreement{ID: id(i), Status: esign.Sent,
					ChangedAt: from.Add(time.Duration(i) * time.Second)})
			}
			c, seen, pages := w.client(t, nil), map[string]bool{}, 0
			for page := ""; pages == 0 || page != ""; pages++ {
				changed, next, err := c.Changed(t.Context(), from, to, page)
				if err != nil {
					t.Fatal(err)
				}
				for _, a := range changed {
					seen[a.ID] = true
				}
				page = next
				between(w, pages)
			}
			if len(seen) != all || pages < 3 {
				t.Errorf("%d of %d envelopes in %d pages", len(seen), all, pages)
			}
		})
	}
}
