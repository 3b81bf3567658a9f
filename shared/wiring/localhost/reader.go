package localhost

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/embedded"
	"esignhooks/shared/store/ledger"
)

// event is an event as the read API shows it.
type event struct {
	ID          string            `json:"id"`
	Provider    string            `json:"provider"`
	Type        esign.Type        `json:"type"`
	VendorType  string            `json:"vendorType"`
	AgreementID string            `json:"agreementId"`
	OccurredAt  time.Time         `json:"occurredAt"`
	ReceivedAt  time.Time         `json:"receivedAt"`
	State       ledger.State      `json:"state"`
	Duplicates  int               `json:"duplicates"`
	Proof       esign.Proof       `json:"proof"`
	Via         []string          `json:"via"`
	Pulled      bool              `json:"pulled,omitempty"` // from a stack
	Approximate bool              `json:"occurredAtApproximate,omitempty"`
	Participant string            `json:"participant,omitempty"`
	Cause       esign.Cause       `json:"cause,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Documents   []esign.Document  `json:"documents,omitempty"`

	References        map[string]string `json:"references,omitempty"`
	ReferencesCut     []string          `json:"referencesCut,omitempty"`
	ReferencesLeftOut int               `json:"referencesLeftOut,omitempty"`
	Reason            string            `json:"reason,omitempty"`
	Payload           *esign.Payload    `json:"payload,omitempty"`
}

func eventOf(e ledger.Entry) event {
	shown := event{
		ID: e.ID, Provider: e.Provider, Type: e.Type, VendorType: e.VendorType, AgreementID: e.AgreementID,
		OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, State: e.State, Duplicates: e.Duplicates, Proof: e.Proof,
		Via: append([]string{}, e.Via...), Pulled: slices.Contains(e.Via, operate.PulledVia),
	}
	if shown.OccurredAt.IsZero() {
		shown.OccurredAt, shown.Approximate = e.ReceivedAt, true
	}
	if e.Event != nil {
		shown.Approximate, shown.Participant, shown.Attributes = e.Event.Approximate, e.Event.Participant, e.Event.Attributes
		shown.Cause, shown.Documents = e.Event.Cause, e.Event.Documents
		shown.References, shown.ReferencesCut = e.Event.References, e.Event.ReferencesCut
		shown.ReferencesLeftOut, shown.Reason, shown.Payload = e.Event.ReferencesLeftOut, e.Event.Reason, e.Event.Payload
	}
	if shown.Type == "" && e.State == ledger.Unreadable {
		shown.Type = esign.Other
	}
	return shown
}

func eventsOf(entries []ledger.Entry) []event {
	shown := make([]event, len(entries))
	for i, e := range entries {
		shown[i] = eventOf(e)
	}
	return shown
}

// serveReader answers / and /api/.
func (g *Gateway) serveReader(w http.ResponseWriter, r *http.Request, segments []string) {
	var read func()
	switch {
	case slices.Equal(segments, []string{"api", "agreements"}):
		read = func() { g.serveAgreements(w, r) }
	case slices.Equal(segments, []string{"api", "events"}):
		read = func() { g.serveEvents(w, r) }
	case slices.Equal(segments, []string{"api", "published"}):
		read = func() { g.servePublished(w, r) }
	case slices.Equal(segments, []string{"api", "stream"}):
		read = func() { g.stream.ServeHTTP(w, r) }
	case slices.Equal(segments, []string{"api", "vendors"}):
		read = func() { g.serveVendors(w) }
	case slices.Equal(segments, []string{"api", "send"}) && r.Method == http.MethodPost:
		g.sendSample(w, r)
		return
	case slices.Equal(segments, []string{"api", "play"}) && r.Method == http.MethodPost:
		g.play(w, r)
		return
	case len(segments) == 4 && segments[0] == "api" && segments[1] == "requests" && segments[3] == "redeliver" &&
		r.Method == http.MethodPost:
		g.redeliver(w, r, segments[2])
		return
	case slices.Equal(segments, []string{"api", "requests"}):
		read = func() { g.serveRequests(w, r) }
	case len(segments) == 3 && segments[0] == "api" && segments[1] == "requests":
		read = func() { g.serveRequest(w, r, segments[2]) }
	case len(segments) == 4 && segments[0] == "api" && segments[1] == "agreements":
		read = func() { g.serveAgreement(w, r, segments[2], segments[3]) }
	case slices.Equal(segments, []string{"api", "operate"}) && r.Method == http.MethodPost:
		g.operate(w, r)
		return
	case slices.Equal(segments, []string{"api", "pull"}) && r.Method == http.MethodPost:
		g.servePull(w, r)
		return
	case slices.Equal(segments, []string{"api", "record"}) && r.Method == http.MethodPost:
		g.serveRecord(w, r)
		return
	case slices.Equal(segments, []string{"api", "doctor"}) && r.Method == http.MethodPost:
		g.serveDoctor(w, r)
		return
	case slices.Equal(segments, []string{"api", "confirm"}) && r.Method == http.MethodPost:
		g.confirm(w, r)
		return
	default:
		content, contentType, ok := consoleFile(r.URL.Path)
		if !ok {
			http.NotFound(w, r)
			return
		}
		read = func() { serveConsole(w, content, contentType) }
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "read only", http.StatusMethodNotAllowed)
		return
	}
	read()
}

func (g *Gateway) serveAgreements(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("reference") {
		g.serveByReference(w, r)
		return
	}
	serveList(w, r, "agreements", g.ledger.AgreementsAfter)
}

func (g *Gateway) serveEvents(w http.ResponseWriter, r *http.Request) {
	serveList(w, r, "events", func(provider, after string, limit int) ([]event, string, error) {
		entries, next, err := g.ledger.EventsAfter(provider, after, limit)
		return eventsOf(entries), next, err
	})
}

// servePublished lists what was published, with the state of its forwarding to FORWARD_URL.
func (g *Gateway) servePublished(w http.ResponseWriter, r *http.Request) {
	serveList(w, r, "published", func(provider, after string, limit int) ([]embedded.Published, string, error) {
		if provider != "" {
			provider = bus.Source(provider)
		}
		return g.bus.EventsAfter(provider, after, limit)
	})
}

// serveList answers with the part of a list that the request asks for.
func serveList[T any](w http.ResponseWriter, r *http.Request, name string,
	list func(provider, after string, limit int) ([]T, string, error)) {
	part, err := partOf(r.URL.Query(), name)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	items, next, err := list(part.provider, part.after, part.limit)
	page := map[string]any{name: items}
	if next != "" {
		page["next"] = part.cursor(next)
	}
	answer(w, page, err)
}

func (g *Gateway) serveAgreement(w http.ResponseWriter, r *http.Request, provider, escaped string) {
	id, err := url.PathUnescape(escaped)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	found, err := operate.Find(r.Context(), g.ledger, provider, id)
	if errors.Is(err, operate.ErrUnknown) || err == nil && found.Version == 0 {
		http.NotFound(w, r)
		return
	}
	events := eventsOf(found.History)
	var documents []esign.Document
	for _, e := range events {
		if len(e.Documents) > len(documents) { // an event with form data that was stored later has all
			documents = e.Documents
		}
	}
	answer(w, struct {
		esign.Agreement
		Documents []esign.Document `json:"documents,omitempty"`
		Events    []event          `json:"events"`
	}{found.Agreement, documents, events}, err)
}

func answer(w http.ResponseWriter, v any, err error) {
	body, marshalErr := json.Marshal(v)
	if err != nil || marshalErr != nil {
		http.Error(w, "the store is unavailable", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body)
}
