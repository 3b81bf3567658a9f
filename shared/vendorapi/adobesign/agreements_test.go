package adobesign_test

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

func TestStatuses(t *testing.T) {
	for word, want := range map[string]esign.Status{
		"DRAFT": esign.Created, "AUTHORING": esign.Created, "PREFILL": esign.Created,
		"DOCUMENTS_NOT_YET_PROCESSED": esign.Created,
		"WAITING_FOR_AUTHORING":       esign.Created, "WAITING_FOR_PREFILL": esign.Created,
		"OUT_FOR_SIGNATURE": esign.Sent, "OUT_FOR_APPROVAL": esign.Sent, "OUT_FOR_ACCEPTANCE": esign.Sent,
		"OUT_FOR_DELIVERY":     esign.Sent,
		"OUT_FOR_FORM_FILLING": esign.Sent, "WAITING_FOR_FAXIN": esign.Sent, "WAITING_FOR_VERIFICATION": esign.Sent,
		"WAITING_FOR_MY_SIGNATURE": esign.Sent, "WIDGET_WAITING_FOR_VERIFICATION": esign.Sent, "IN_REVISION": esign.Sent,
		"SIGNED": esign.Completed, "APPROVED": esign.Completed, "ACCEPTED": esign.Completed, "DELIVERED": esign.Completed,
		"FORM_FILLED": esign.Completed,
		"EXPIRED":     esign.Expired, "ABORTED": esign.Cancelled, "CANCELLED": esign.Cancelled,
		"ARCHIVED": "", "COMPLETED": "", "NEW_WORD": "",
	} {
		t.Run(word, func(t *testing.T) {
			w := newWorld(t)
			w.set(vendorstub.Agreement{ID: id, Status: esign.Sent, VendorStatus: word})
			got, err := w.simple(t).Agreement(t.Context(), id)
			if diff := cmp.Diff(vendorapi.Agreement{ID: id, Status: want, VendorStatus: word}, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
		})
	}
}

func TestTheSendersKey(t *testing.T) {
	for answer, want := range map[string]map[string]string{
		`"externalId": {"id": "deal-7|a"}`: {"externalId": "deal-7|a"},
		`"externalId": {"id": ""}`:         nil,
		`"externalId": "deal-7"`:           nil,
		`"name": "Agreement"`:              nil,
	} {
		for _, status := range []string{"OUT_FOR_SIGNATURE", "SIGNED"} {
			w := newWorld(t)
			w.set(vendorstub.Agreement{ID: id, Status: esign.Completed})
			w.Fail(vendorstub.Failure{Path: "/agreements/" + id, Status: 200, Times: 1,
				Body: `{"id": "` + id + `", "status": "` + status + `", ` + answer + `}`})
			got, err := w.simple(t).Agreement(t.Context(), id)
			if diff := cmp.Diff(want, got.References); err != nil || diff != "" || got.Participants != nil {
				t.Error(answer, err, diff)
			}
		}
	}
}

func TestHowACancelledAgreementEnded(t *testing.T) {
	for _, status := range []esign.Status{esign.Declined, esign.Cancelled, esign.Failed} {
		for _, word := range []string{"CANCELLED", "ABORTED"} {
			w := newWorld(t)
			at := w.now.Add(-time.Hour)
			w.set(vendorstub.Agreement{ID: id, Status: status, VendorStatus: word, CreatedAt: at.Add(-time.Hour), ChangedAt: at})
			want := vendorapi.Agreement{ID: id, Status: status, VendorStatus: word, ChangedAt: at}
			got, err := w.simple(t).Agreement(t.Context(), id)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Error(err, diff)
			}
			listed, _, err := w.simple(t).Changed(t.Context(), at, at.Add(time.Minute), "")
			if diff := cmp.Diff([]vendorapi.Agreement{want}, listed); err != nil || diff != "" {
				t.Error(err, diff)
			}
		}
	}
}

func TestWhenAnAgreementEnded(t *testing.T) {
	const early, late, later = "2026-11-19T10:00:00Z", "2026-11-19T11:00:00Z", "2026-11-20T11:00:00Z"
	event := func(kind, date string) string { return `{"type": "` + kind + `", "date": "` + date + `"}` }
	for name, tt := range map[string]struct {
		status esign.Status
		events string
		want   string // empty for an unknown time
	}{
		"by the last signature": {esign.Completed, event("ESIGNED", early) + "," + event("ESIGNED", late) + "," +
			event("EMAIL_VIEWED", later), late},
		"by the last action": {esign.Completed, event("ACTION_COMPLETED_HOSTED", late) + "," + event("SHARED", later),
			late},
		"by its expiry": {esign.Expired, event("ESIGNED", early) + "," + event("EXPIRED_AUTOMATICALLY", late) +
			"," + event("SHARED", later), late},
		"by an unknown event": {esign.Completed, event("CREATED", early) + "," + event("NEW_WORD", late), ""},
		"an open agreement":   {esign.Sent, event("ESIGNED", early), ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set(vendorstub.Agreement{ID: id, Status: tt.status})
			w.Fail(vendorstub.Failure{Path: "/events", Status: 200, Body: `{"events": [` + tt.events + `]}`, Times: 1})
			got, err := w.simple(t).Agreement(t.Context(), id)
			want, _ := time.Parse(time.RFC3339, tt.want)
			if err != nil || got.Status != tt.status || !got.ChangedAt.Equal(want) {
				t.Error(got, err)
			}
			if asked := w.Calls("/events") > 0; asked != tt.status.Terminal() {
				t.Errorf("events requested: %t", asked)
			}
		})
	}
}

func TestCancellingEvents(t *testing.T) {
	const early, late = "2026-11-19T10:00:00Z", "2026-11-19T11:00:00Z"
	event := func(kind, date string) string { return `{"type": "` + kind + `", "date": "` + date + `"}` }
	for name, tt := range map[string]struct {
		events string
		want   esign.Status
	}{
		"too many wrong passwords":      {event("RECALLED_MAX_SIGNING_PASSWORD_ATTEMPTS", late), esign.Cancelled},
		"the last counts":               {event("RECALLED", early) + "," + event("REJECTED", late), esign.Declined},
		"the last counts, in any order": {event("REJECTED", late) + "," + event("RECALLED", early), esign.Declined},
		"later events of other types are ignored": {event("REJECTED", late) + "," + event("SHARED", "2026-11-19T12:00:00Z"),
			esign.Declined},
		"of two at once the second counts": {event("RECALLED", late) + "," + event("REJECTED", late), esign.Declined},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set(vendorstub.Agreement{ID: id, Status: esign.Cancelled})
			w.Fail(vendorstub.Failure{Path: "/events", Status: 200, Body: `{"events": [` + tt.events + `]}`, Times: 1})
			got, err := w.simple(t).Agreement(t.Context(), id)
			want, _ := time.Parse(time.RFC3339, late)
			if err != nil || got.Status != tt.want || !got.ChangedAt.Equal(want) {
				t.Error(got, err)
			}
		})
	}
	t.Run("the rate is limited", func(t *testing.T) {
		w := newWorld(t)
		w.set(vendorstub.Agreement{ID: id, Status: esign.Cancelled})
		w.Fail(vendorstub.Failure{Path: "/events", Status: 429, Times: 99})
		if got, err := w.simple(t).Agreement(t.Context(), id); !errors.As(err, new(*vendorapi.LaterError)) {
			t.Error(got, err)
		}
	})
}

func TestUnknownAgreements(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Completed, Deleted: true})
	c := w.simple(t)
	for _, unknown := range []string{id, "CBJCHBCAABAAother"} {
		if _, err := c.Agreement(t.Context(), unknown); !errors.Is(err, vendorapi.ErrUnknown) ||
			errors.Is(err, vendorapi.ErrDenied) {
			t.Error(err)
		}
		documents, err := c.Documents(t.Context(), unknown)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range documents {
			if _, err := d.Open(t.Context()); !errors.Is(err, vendorapi.ErrUnknown) {
				t.Error(err)
			}
		}
	}
	before := w.Calls("")
	for _, implausible := range []string{"", "..", "a/b", "a?b", "a#b", "a b", "a%2Fb", "*", "é",
		strings.Repeat("a", 513)} {
		if _, err := c.Agreement(t.Context(), implausible); !errors.Is(err, vendorapi.ErrUnknown) {
			t.Errorf("%q: %v", implausible, err)
		}
		if _, err := c.Documents(t.Context(), implausible); !errors.Is(err, vendorapi.ErrUnknown) {
			t.Errorf("%q: %v", implausible, err)
		}
	}
	if n := w.Calls("") - before; n != 0 {
		t.Errorf("%d requests for implausible IDs", n)
	}
}

func TestAgreementsOfOtherUsers(t *testing.T) {
	w := newWorld(t)
	for i, user := range []string{"", "CBJuser1", "CBJuser2", "CBJuser3", "unverified"} {
		agreement := fmt.Sprint("CBJagreement", i)
		w.set(vendorstub.Agreement{ID: agreement, Status: esign.Completed})
		if user != "" {
			w.AdobeSignOwner(agreement, user)
		}
	}
	c := w.client(t)
	for i := range 4 {
		got, err := c.Agreement(t.Context(), fmt.Sprint("CBJagreement", i))
		if err != nil || got.Status != esign.Completed {
			t.Fatal(i, got, err)
		}
		w.pass(2 * time.Minute)
	}
	if _, err := c.Agreement(t.Context(), "CBJagreement4"); !errors.Is(err, vendorapi.ErrDenied) {
		t.Errorf("of a user who cannot be acted for: %v", err)
	}
	if _, err := c.Agreement(t.Context(), "CBJagreement9"); !errors.Is(err, vendorapi.ErrUnknown) ||
		errors.Is(err, vendorapi.ErrDenied) {
		t.Errorf("of no user: %v", err)
	}
	if n := w.Calls("POST /oauth/v2/refresh"); n != 1 {
		t.Errorf("refused users cost %d tokens", n)
	}

	before := w.Calls("")
	documents, err := c.Documents(t.Context(), "CBJagreement3")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range documents {
		content, err := d.Open(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		content.Close()
	}
	if n := w.Calls("") - before; n != 2 {
		t.Errorf("%d requests for two documents of the user found last", n)
	}
}

func TestTheListOfUsersIsReadOnceAnHour(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: "CBJagreement1", Status: esign.Sent})
	w.AdobeSignOwner("CBJagreement1", "CBJuser1")
	c := w.simple(t)
	c.Agreement(t.Context(), "CBJagreement1")
	pages := w.Calls("GET /api/rest/v6/users")
	w.set(vendorstub.Agreement{ID: "CBJagreement2", Status: esign.Sent})
	w.AdobeSignOwner("CBJagreement2", "CBJuser2")
	if _, err := c.Agreement(t.Context(), "CBJagreement2"); !errors.Is(err, vendorapi.ErrDenied) {
		t.Error(err)
	}
	if n := w.Calls("GET /api/rest/v6/users"); n != pages {
		t.Errorf("%d pages of the list, %d before", n, pages)
	}
	w.pass(time.Hour)
	if _, err := c.Agreement(t.Context(), "CBJagreement2"); err != nil {
		t.Error(err)
	}
}

func TestWithoutTheRightToListUsersTheirAgreementsAreDenied(t *testing.T) {
	for name, tt := range map[string]struct {
		owner  string
		status int
		want   error
	}{
		"of another user":                    {"CBJuser1", 403, vendorapi.ErrDenied},
		"of no user":                         {"", 403, vendorapi.ErrUnknown},
		"the list fails":                     {"", 500, nil},
		"the list's rate limit is exhausted": {"", 429, nil},
		"the list rejects the token":         {"", 401, vendorapi.ErrDenied},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tt.owner != "" {
				w.set(vendorstub.Agreement{ID: id, Status: esign.Sent})
				w.AdobeSignOwner(id, tt.owner)
			}
			code := "PERMISSION_DENIED"
			if tt.status == 401 {
				code = "INVALID_ACCESS_TOKEN"
			}
			w.Fail(vendorstub.Failure{Path: "/users", Status: tt.status, Body: `{"code": "` + code + `"}`, Times: 99})
			_, err := w.simple(t).Agreement(t.Context(), id)
			if tt.want != nil && !errors.Is(err, tt.want) || tt.want == nil &&
				(err == nil || errors.Is(err, vendorapi.ErrUnknown)) {
				t.Error(err)
			}
		})
	}
}

func TestDocuments(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Completed, NotReady: 1})
	c := w.simple(t)
	documents, err := c.Documents(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, d := range documents {
		content, err := d.Open(t.Context())
		if errors.Is(err, vendorapi.ErrNotReady) {
			content, err = d.Open(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(content)
		if err != nil || !d.PDF || content.Type != "application/pdf" || content.Size != int64(len(text)) {
			t.Error(d.Name, err, content.Type, content.Size)
		}
		content.Close()
		got[d.Name] = string(text)
	}
	want := map[string]string{
		"document.pdf":    string(vendorstub.PDF(id + " document")), // with what was attached, without the audit report
		"audit-trail.pdf": string(vendorstub.PDF(id + " audit trail")),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestATruncatedDownload(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: id, Status: esign.Completed, PDF: bytes.Repeat([]byte("%PDF"), 1000), Truncated: true})
	documents, err := w.simple(t).Documents(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	content, err := documents[0].Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(content); err == nil {
		t.Error("no error")
	}
}

// all reads every page. It calls between after each page.
func all(t *testing.T, c vendorapi.Client, from, to time.Time, between func(page int)) map[string]esign.Status {
	t.Helper()
	found := map[string]esign.Status{}
	page := ""
	for n := 1; ; n++ {
		changed, next, err := c.Changed(t.Context(), from, to, page)
		if err != nil || n > 500 {
			t.Fatal(n, err)
		}
		for _, a := range changed {
			found[a.ID] = a.Status
		}
		if next == "" {
			return found
		}
		if page = next; between != nil {
			between(n)
		}
	}
}

func TestChangedListsTheAgreementsOfAllUsersInTheWindow(t *testing.T) {
	w := newWorld(t)
	from, to := w.now.Add(-24*time.Hour), w.now
	want := map[string]esign.Status{}
	add := func(name string, at time.Time, status esign.Status, owner string, in bool) {
		w.set(vendorstub.Agreement{ID: name, Status: status, ChangedAt: at})
		if owner != "" {
			w.AdobeSignOwner(name, owner)
		}
		if in {
			want[name] = status
		}
	}
	add("CBJfirst", from, esign.Completed, "", true)
	add("CBJlast", to.Add(-time.Second), esign.Declined, "CBJuser1", true)
	add("CBJbefore", from.Add(-time.Minute), esign.Completed, "CBJuser1", false)
	add("CBJafter", to.Add(time.Minute), esign.Completed, "CBJuser2", false)
	add("CBJnobody", from.Add(time.Hour), esign.Completed, "unverified", false)
	for i := range 120 { // many with the same second
		add(fmt.Sprint("CBJmany", i), from.Add(time.Duration(i/60)*time.Hour), esign.Sent, "CBJuser2", true)
	}
	w.set(vendorstub.Agreement{ID: "CBJgone", Status: esign.Completed, ChangedAt: from.Add(time.Hour), Deleted: true})
	if diff := cmp.Diff(want, all(t, w.client(t), from, to, nil)); diff != "" {
		t.Error(diff)
	}
	// Agreements in the second half of a second are listed too.
	add("CBJhalf", from.Add(500*time.Millisecond), esign.Sent, "", true)
	if diff := cmp.Diff(want, all(t, w.client(t), from.Add(500*time.Millisecond), to, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestChangedMissesNothingWhileTheListChanges(t *testing.T) {
	w := newWorld(t)
	from, to := w.now.Add(-24*time.Hour), w.now
	untouched := map[string]esign.Status{}
	for i := range 300 {
		name := fmt.Sprint("CBJ", i)
		w.set(vendorstub.Agreement{ID: name, Status: esign.Sent, ChangedAt: from.Add(time.Duration(i) * time.Minute)})
		if i%3 != 0 {
			untouched[name] = esign.Sent
		}
	}
	found := all(t, w.simple(t), from, to, func(page int) {
		for i := (page - 1) * 50; i < page*50; i += 3 { // what was listed changes, and leaves the window
			if i%3 == 0 {
				w.set(vendorstub.Agreement{ID: fmt.Sprint("CBJ", i), Status: esign.Completed, ChangedAt: to.Add(time.Hour)})
			}
		}
	})
	maps.DeleteFunc(found, func(name string, _ esign.Status) bool { _, ok := untouched[name]; return !ok })
	if diff := cmp.Diff(untouched, found); diff != "" {
		t.Error(diff)
	}
}

func TestChangedReadsAPageThatIsNotInOrderOfTime(t *testing.T) {
	w := newWorld(t)
	item := func(name, date string) string {
		return `{"id": "` + name + `", "status": "SIGNED", "modifiedDate": "` + date + `"}`
	}
	body := func(next string, items ...string) string {
		return `{"agreementAssetsResults": {"agreementAssetsResultList": [` + strings.Join(items, ",") +
			`], "searchPageInfo": {"nextIndex": ` + next + `}}}`
	}
	w.Fail(vendorstub.Failure{Path: "/users", Status: 403, Body: `{"code": "PERMISSION_DENIED"}`, Times: 9})
	w.Fail(vendorstub.Failure{Path: "/search", Status: 200, Times: 1,
		Body: body("2", item("CBJ1", "2026-11-20T11:00:00Z"), item("CBJ2", "2026-11-20T10:00:00Z"))})
	w.Fail(vendorstub.Failure{Path: "/search", Status: 200, Times: 1,
		Body: body("null", item("CBJ3", "2026-11-20T09:00:00Z"), item("../x", "2026-11-20T09:00:00Z"))})
	_, next, err := w.simple(t).Changed(t.Context(), w.now.Add(-24*time.Hour), w.now, "")
	if err != nil || !strings.HasPrefix(next, "2 2026-11-19T12:00:00Z") {
		t.Error(next, err)
	}
	changed, next, err := w.simple(t).Changed(t.Context(), w.now.Add(-24*time.Hour), w.now, next)
	if diff := cmp.Diff([]vendorapi.Agreement{{ID: "CBJ3", Status: esign.Completed, VendorStatus: "SIGNED"}},
		changed); err != nil || next != "" || diff != "" {
		t.Error(next, err, diff)
	}
}

func TestChangedWithoutTheRightToListUsers(t *testing.T) {
	w := newWorld(t)
	w.set(vendorstub.Agreement{ID: "CBJmine", Status: esign.Completed, ChangedAt: w.now.Add(-time.Minute)})
	w.set(vendorstub.Agreement{ID: "CBJtheirs", Status: esign.Completed, ChangedAt: w.now.Add(-time.Minute)})
	w.AdobeSignOwner("CBJtheirs", "CBJuser1")
	w.Fail(vendorstub.Failure{Path: "/users", Status: 403, Body: `{"code": "PERMISSION_DENIED"}`, Times: 1})
	want := map[string]esign.Status{"CBJmine": esign.Completed}
	if diff := cmp.Diff(want, all(t, w.simple(t), w.now.Add(-time.Hour), w.now, nil)); diff != "" {
		t.Error(diff)
	}
}

func TestChangedFailsInsteadOfSkipping(t *testing.T) {
	for name, tt := range map[string]struct {
		failure vendorstub.Failure
		want    error
	}{
		"the token is rejected": {vendorstub.Failure{Path: "/search", Status: 401,
			Body: `{"code": "INVALID_ACCESS_TOKEN"}`}, vendorapi.ErrDenied},
		"the scope is missing":                 {vendorstub.Failure{Path: "/search", Status: 403}, vendorapi.ErrDenied},
		"the search's rate limit is exhausted": {vendorstub.Failure{Path: "/search", Status: 429}, nil},
		"the events' rate limit is exhausted":  {vendorstub.Failure{Path: "/events", Status: 429}, nil},
		"the list of users rejects the token": {vendorstub.Failure{Path: "/users", Status: 401,
			Body: `{"code": "INVALID_ACCESS_TOKEN"}`}, vendorapi.ErrDenied},
		"the user of the credentials may not search": {vendorstub.Failure{Path: "/search", Status: 403,
			Body: `{"code": "PERMISSION_DENIED"}`}, vendorapi.ErrDenied},
		"the users' rate limit is exhausted": {vendorstub.Failure{Path: "/users", Status: 429}, nil},
		"the vendor is down":                 {vendorstub.Failure{Path: "/search", Status: 500}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.set(vendorstub.Agreement{ID: id, Status: esign.Cancelled, ChangedAt: w.now.Add(-time.Minute)})
			tt.failure.Times = 99
			w.Fail(tt.failure)
			changed, next, err := w.simple(t).Changed(t.Context(), w.now.Add(-time.Hour), w.now, "")
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Error(changed, next, err)
			}
		})
	}
	w := newWorld(t)
	w.Fail(vendorstub.Failure{Path: "/search", Status: 401, Body: `{"code": "INVALID_ACCESS_TOKEN"}`, Times: 1})
	if _, _, err := w.simple(t).Changed(t.Context(), w.now.Add(-time.Hour), w.now,
		"0 2026-11-20T11:00:00Z CBJuser1"); !errors.Is(err, vendorapi.ErrDenied) {
		t.Errorf("another user's list with a rejected token: %v", err)
	}
	for _, page := range []string{"x", "1", "x 2026-11-20T12:00:00Z u", "1 yesterday u"} {
		if _, _, err := w.simple(t).Changed(t.Context(), w.now.Add(-time.Hour), w.now, page); !errors.Is(err,
			vendorapi.ErrInvalid) {
			t.Errorf("%q: %v", page, err)
		}
	}
}

func TestADeletedUserDoesNotEndTheList(t *testing.T) {
	w := newWorld(t)
	at := w.now.Add(-time.Minute)
	for i, user := range []string{"CBJuser1", "CBJuser2", "CBJuser3"} {
		w.set(vendorstub.Agreement{ID: fmt.Sprint("CBJagreement", i), Status: esign.Completed, ChangedAt: at})
		w.AdobeSignOwner(fmt.Sprint("CBJagreement", i), user)
	}
	c := w.simple(t)
	found := all(t, c, w.now.Add(-time.Hour), w.now, func(page int) {
		if page == 3 { // CBJuser2 is next
			w.AdobeSignOwner("CBJagreement1", "CBJuser3")
			w.pass(2 * time.Hour)
		}
	})
	if names := slices.Sorted(maps.Keys(found)); !slices.Equal(names,
		[]string{"CBJagreement0", "CBJagreement1", "CBJagreement2"}) {
		t.Error(names)
	}
}
