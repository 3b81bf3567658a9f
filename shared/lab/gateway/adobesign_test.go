package gateway

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

const (
	adobeID    = "BLACKBOXCLIENT1"
	adobeOther = "BLACKBOXCLIENT2"
	adobeThird = "ats-7c1d0b52-4e3f-4a11-9d77-1f2e3d4c5b6a"
)

var adobeKeys = "ADOBESIGN_CLIENT_IDS=" + adobeID + "," + adobeOther + "," + adobeThird

// adobe is a notification about an agreement; a nil field of change is left out.
func adobe(agreement, name string, change ...object) request {
	return adobeBody(text(merge(object{
		"webhookId":             "11111111-aaaa-4bbb-8ccc-000000000001",
		"webhookName":           "all agreements",
		"webhookNotificationId": guid(),
		"webhookUrlInfo":        object{"url": "https://hooks.example.org/webhooks/adobesign"},
		"webhookScope":          "ACCOUNT",
		"event":                 name,
		"eventDate":             moment(0).Format(time.RFC3339),
		"eventResourceType":     "AGREEMENT",
		"participantUserId":     "USER-A",
		"participantUserEmail":  "a@people.example",
		"actingUserId":          "USER-A",
		"actingUserEmail":       "a@people.example",
		"agreement":             object{"id": agreement, "name": "Lease", "status": "OUT_FOR_SIGNATURE"},
	}, change...)))
}

func adobeBody(body string) request {
	return request{path: "/webhooks/adobesign", body: body, header: map[string]string{
		"Content-Type": "application/json;charset=UTF-8", "X-AdobeSign-ClientId": adobeID, "User-Agent": "AdobeSign",
	}}
}

func TestAdobeVerifiesTheURLWithAGet(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	get := request{method: "GET", path: "/webhooks/adobesign"}
	for _, name := range []string{"X-AdobeSign-ClientId", "X-ADOBESIGN-CLIENTID", "x-adobesign-clientid", "X-Adobesign-Clientid"} {
		for _, id := range []string{adobeID, adobeOther, adobeThird} {
			g.accept(get.with(name, id))
		}
	}
	g.refuse(
		get,
		get.with("X-AdobeSign-ClientId", ""),
		get.with("X-AdobeSign-ClientId", "123XXX456"),
		get.with("X-AdobeSign-ClientId", adobeID+","+adobeOther),
		get.with("X-AdobeSign-ClientId", adobeID[:len(adobeID)-1]),
		get.with("X-AdobeSign-ClientId", adobeID+"X"),
		get.to("/webhooks/adobesign?X-AdobeSign-ClientId="+adobeID),
	)
	if events := g.events(); len(events) != 0 {
		t.Errorf("verification left events: %s", names(events))
	}
}

func TestAdobeEchoesTheClientIDOnEveryPost(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	first := adobe(guid(), "AGREEMENT_CREATED")
	g.alike(first, first, adobe(guid(), "AGREEMENT_NOT_YET_INVENTED"), adobe(guid(), "SOMETHING_ELSE"), adobeBody(`{"event":`), adobeBody(""))
	for _, name := range []string{"x-adobesign-clientid", "X-ADOBESIGN-CLIENTID"} {
		g.accept(first.with(name, adobeThird))
	}
	g.accept(first.to("/webhooks/adobesign?guid=test"))
}

func TestAdobeRefusesUnknownClientIDs(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	r := adobe(guid(), "AGREEMENT_WORKFLOW_COMPLETED")
	g.refuse(
		r.without("X-AdobeSign"), r.with("X-AdobeSign-ClientId", ""), r.with("X-AdobeSign-ClientId", "123XXX456"),
		r.with("X-AdobeSign-ClientId", strings.ToLower(adobeID)), r.with("X-AdobeSign-ClientId", adobeID+","+adobeOther),
		adobeBody("{").with("X-AdobeSign-ClientId", "123XXX456"),
	)
	if events := g.events(); len(events) != 0 {
		t.Errorf("refused requests left events: %s", names(events))
	}
}

func TestAdobeUnreadableBodiesAreKept(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	bodies := []string{"", `{"event":"AGREEMENT_CREATED",`, "<xml/>", "\xff\xfe\x00", `"AGREEMENT_CREATED"`}
	for _, body := range bodies {
		g.accept(adobeBody(body))
	}
	g.unreadable(len(bodies))
	g.accept(adobeBody(bodies[1]))
	g.unreadable(len(bodies)) // hash of the body: the same one is a duplicate
}

func TestAdobeCopiesForSeveralApplicationsAreOneEvent(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	id := guid()
	hooks := map[string]string{adobeID: guid(), adobeOther: guid(), adobeThird: guid()}
	for _, client := range []string{adobeID, adobeOther, adobeThird} {
		g.accept(adobe(id, "AGREEMENT_WORKFLOW_COMPLETED", object{"webhookId": hooks[client], "webhookScope": "GROUP"}).
			with("X-AdobeSign-ClientId", client))
	}
	e := g.one("adobesign", id, 2)
	if e.Type != "agreement.completed" || e.Proof != "client-id" || !e.OccurredAt.Equal(moment(0)) {
		t.Errorf("got %+v", e)
	}
	// "an operator can see through which subscriptions an event came"
	via := strings.Join(e.Via, " ")
	for client, hook := range hooks {
		if !strings.Contains(via, hook) && !strings.Contains(via, client) {
			t.Errorf("via %q shows neither webhook %s nor client %s", e.Via, hook, client)
		}
	}
}

func TestAdobeResourceTypesAreComparedWithoutCase(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	id := guid()
	g.accept(adobe(id, "AGREEMENT_CREATED"), adobe(id, "AGREEMENT_CREATED", object{"eventResourceType": "agreement"}))
	g.one("adobesign", id, 1)
}

func TestAdobeTellsHappeningsApart(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	signed := func(id string, change object) request {
		return adobe(id, "AGREEMENT_ACTION_COMPLETED", object{"actionType": "ESIGNED"}, change)
	}
	for name, change := range map[string]object{
		"two participants":            {"participantUserId": "USER-B"},
		"two acting users":            {"actingUserId": "USER-B"},
		"two action types":            {"actionType": "APPROVED"},
		"two times":                   {"eventDate": moment(1).Format(time.RFC3339)},
		"two sub-events":              {"subEvent": "SOMETHING"},
		"a participant known by mail": {"participantUserId": nil, "participantUserEmail": "b@people.example"},
	} {
		t.Run(name+" are two events", func(t *testing.T) {
			g, id := g.in(t), guid()
			g.accept(signed(id, object{}), signed(id, change))
			g.many("adobesign", id, 2)
		})
	}
	t.Run("another mail address of the same user is the same event", func(t *testing.T) {
		g, id := g.in(t), guid()
		g.accept(signed(id, object{}), signed(id, object{"participantUserEmail": "c@people.example"}))
		g.one("adobesign", id, 1)
	})
}

func TestAdobeWithoutAnIdentityUsesTheNotificationID(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	change := object{"agreement": nil, "webhookNotificationId": guid(), "eventDate": nil}
	g.accept(adobe("", "AGREEMENT_CREATED", change), adobe("", "AGREEMENT_CREATED", change, object{"webhookName": "renamed"}))
	if events := g.events(); len(events) != 1 || events[0].Duplicates != 1 {
		t.Errorf("got %+v, want one event with one duplicate", events)
	}
	if agreements := g.agreements(); len(agreements) != 0 {
		t.Errorf("got agreements %+v, want none", agreements)
	}
}

// TestAdobeTypes has one type per status; the provider's own tests have them all.
func TestAdobeTypes(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	type meaning struct{ kind, status string }
	for name, want := range map[string]meaning{
		"AGREEMENT_CREATED":                           {"agreement.created", "created"},
		"AGREEMENT_ACTION_REQUESTED":                  {"agreement.sent", "sent"},
		"AGREEMENT_DOCUMENTS_VIEWED":                  {"agreement.viewed", "viewed"},
		"AGREEMENT_ACTION_COMPLETED":                  {"agreement.signed", "signed"},
		"AGREEMENT_WORKFLOW_COMPLETED":                {"agreement.completed", "completed"},
		"AGREEMENT_REJECTED":                          {"agreement.declined", "declined"},
		"AGREEMENT_RECALLED":                          {"agreement.cancelled", "cancelled"},
		"AGREEMENT_EXPIRED":                           {"agreement.expired", "expired"},
		"AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM": {"agreement.failed", "failed"},
		"AGREEMENT_NOT_YET_INVENTED":                  {"agreement.updated", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g, id := g.in(t), guid()
			g.accept(adobe(id, name))
			if got := g.one("adobesign", id, 0); got.Type != want.kind || got.VendorType != name || got.AgreementID != id {
				t.Errorf("got %+v, want %s", got, want.kind)
			}
			if a := g.agreement("adobesign", id); a.Status != want.status || !a.UpdatedAt.Equal(moment(0)) {
				t.Errorf("got agreement %s at %v, want %q at %v", a.Status, a.UpdatedAt, want.status, moment(0))
			}
		})
	}
}

func TestAdobeOtherResourcesAreNoAgreements(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	type resource struct{ event, kind, key, want string }
	resources := []resource{
		{"WIDGET_CREATED", "WIDGET", "widget", "other"},
		{"WIDGET_DISABLED", "widget", "widget", "other"},
		{"MEGASIGN_CREATED", "MEGASIGN", "megaSign", "other"},
		{"MEGASIGN_RECALLED", "megasign", "megasign", "other"},
		{"LIBRARY_DOCUMENT_CREATED", "LIBRARY_DOCUMENT", "libraryDocument", "template.created"},
		{"LIBRARY_DOCUMENT_MODIFIED", "library_document", "libraryDocument", "template.updated"},
		{"LIBRARY_DOCUMENT_AUTO_CANCELLED_CONVERSION_PROBLEM", "LIBRARY_DOCUMENT", "libraryDocument", "template.failed"},
	}
	want := map[string]string{}
	for _, r := range resources {
		want[r.event] = r.want
		one := object{"agreement": nil, "eventResourceType": r.kind, r.key: object{"id": guid(), "name": "n", "status": "ACTIVE"}}
		two := object{"agreement": nil, "eventResourceType": r.kind, r.key: object{"id": guid(), "name": "n", "status": "ACTIVE"}}
		g.accept(adobe("", r.event, one), adobe("", r.event, one), adobe("", r.event, two))
	}
	got := map[string]string{}
	for _, e := range g.events() {
		got[e.VendorType] = e.Type
		if e.AgreementID != "" || e.State != "processed" {
			t.Errorf("%s: agreement %q, state %s", e.VendorType, e.AgreementID, e.State)
		}
	}
	if !maps.Equal(want, got) {
		t.Errorf("got %v, want %v", got, want)
	}
	if n := len(g.events()); n != 2*len(resources) {
		t.Errorf("got %d events, want two for each of %d types", n, len(resources))
	}
	if agreements := g.agreements(); len(agreements) != 0 {
		t.Errorf("got agreements %+v, want none", agreements)
	}
}

func TestAdobeTrimmingIsVisible(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	id := guid()
	g.accept(adobe(id, "AGREEMENT_WORKFLOW_COMPLETED", object{
		"conditionalParametersTrimmed": []string{"includeSignedDocuments", "includeParticipantsInfo"},
	}))
	e := g.one("adobesign", id, 0)
	values := strings.Join(slices.Collect(maps.Values(e.Attributes)), " ")
	if !strings.Contains(values, "includeSignedDocuments") || !strings.Contains(values, "includeParticipantsInfo") {
		t.Errorf("the attributes %v do not show what was trimmed", e.Attributes)
	}
}

func TestAdobeLargeBodiesAreTaken(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	id := guid()
	r := adobe(id, "AGREEMENT_WORKFLOW_COMPLETED", object{"agreement": object{
		"id": id, "status": "SIGNED", "signedDocumentInfo": object{"document": strings.Repeat("JVBERi0x", 5<<20/8)},
	}})
	g.accept(r, r)
	if e := g.one("adobesign", id, 1); e.Type != "agreement.completed" {
		t.Errorf("got %s, want agreement.completed", e.Type)
	}
}

func TestAdobeFixtures(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	for name, status := range map[string]string{
		"01_AGREEMENT_CREATED.json":                           "created",
		"02_AGREEMENT_REJECTED.json":                          "declined",
		"05_AGREEMENT_AUTO_CANCELLED_CONVERSION_PROBLEM.json": "failed",
		"06_AGREEMENT_WORKFLOW_COMPLETED.template.json":       "", // every leaf is ""
	} {
		t.Run(name, func(t *testing.T) {
			g, body := g.in(t), fixture(t, "adobesign/"+name)
			g.accept(adobeBody(body), adobeBody(body))
			var sent struct {
				EventDate time.Time
				Agreement struct{ ID string }
			}
			json.Unmarshal([]byte(body), &sent)
			if status == "" {
				for _, e := range g.events() {
					if e.VendorType == "" && (strings.HasPrefix(e.Type, "agreement.completed") || e.AgreementID != "" || e.Duplicates != 1) {
						t.Errorf("the template became %+v", e)
					}
				}
				return
			}
			e := g.one("adobesign", sent.Agreement.ID, 1)
			if a := g.agreement("adobesign", sent.Agreement.ID); a.Status != status || !e.OccurredAt.Equal(sent.EventDate) {
				t.Errorf("got %s at %v, want %s at %v", a.Status, e.OccurredAt, status, sent.EventDate)
			}
		})
	}
	if status := g.send(request{method: "GET", path: "/api/agreements/adobesign/"}).Status; status == http.StatusOK {
		t.Error("the template became an agreement without an ID")
	}
}

func TestAdobeMasksTheTokenItRepeats(t *testing.T) {
	t.Parallel()
	const token = "token-in-the-path-4f8a1c"
	g := start(t, adobeKeys, "ADOBESIGN_URL_TOKENS="+token)
	r := adobe(guid(), "AGREEMENT_CREATED", object{"webhookUrlInfo": object{"url": "https://hooks.example.org/webhooks/adobesign/" + token}})
	bad := adobeBody(`{"webhookUrlInfo":{"url":"https://hooks.example.org/webhooks/adobesign/` + token + `"`)
	g.accept(r.to(r.path+"/"+token), bad.to(bad.path+"/"+token))
	g.events()
	for _, path := range []string{"/", "/api/events", "/api/agreements"} {
		if strings.Contains(g.send(request{method: "GET", path: path}).Body, token) {
			t.Errorf("%s shows the token", path)
		}
	}
	if strings.Contains(g.output.String(), token) {
		t.Errorf("the output shows the token")
	}
}
