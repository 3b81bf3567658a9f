package localhost

import (
	"encoding/json"
	"errors"
	"html/template"
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
	Approximate bool              `json:"occurredAtApproximate,omitempty"`
	Participant string            `json:"participant,omitempty"`
	Attributes  map[string]string `json:"attributes,omitempty"`
	Documents   []esign.Document  `json:"documents,omitempty"`
}

func eventOf(e ledger.Entry) event {
	shown := event{
		ID: e.ID, Provider: e.Provider, Type: e.Type, VendorType: e.VendorType, AgreementID: e.AgreementID,
		OccurredAt: e.OccurredAt, ReceivedAt: e.ReceivedAt, State: e.State, Duplicates: e.Duplicates, Proof: e.Proof,
		Via: append([]string{}, e.Via...),
	}
	if shown.OccurredAt.IsZero() {
		shown.OccurredAt, shown.Approximate = e.ReceivedAt, true
	}
	if e.Event != nil {
		shown.Approximate, shown.Participant, shown.Attributes = e.Event.Approximate, e.Event.Participant, e.Event.Attributes
		shown.Documents = e.Event.Documents
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
	case r.URL.Path == "/":
		read = func() { g.servePage(w) }
	case slices.Equal(segments, []string{"api", "agreements"}):
		read = func() { g.serveAgreements(w) }
	case slices.Equal(segments, []string{"api", "events"}):
		read = func() { g.serveEvents(w) }
	case slices.Equal(segments, []string{"api", "published"}):
		read = func() { g.servePublished(w) }
	case len(segments) == 4 && segments[0] == "api" && segments[1] == "agreements":
		read = func() { g.serveAgreement(w, r, segments[2], segments[3]) }
	case slices.Equal(segments, []string{"api", "operate"}) && r.Method == http.MethodPost:
		g.operate(w, r)
		return
	default:
		http.NotFound(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "read only", http.StatusMethodNotAllowed)
		return
	}
	read()
}

func (g *Gateway) serveAgreements(w http.ResponseWriter) {
	agreements, err := g.ledger.Agreements()
	answer(w, map[string]any{"agreements": agreements}, err)
}

func (g *Gateway) serveEvents(w http.ResponseWriter) {
	entries, err := g.ledger.Events()
	answer(w, map[string]any{"events": eventsOf(entries)}, err)
}

// servePublished shows what was published, and how far it has come on its way to FORWARD_URL.
func (g *Gateway) servePublished(w http.ResponseWriter) {
	published, err := g.bus.Events()
	answer(w, map[string]any{"published": published}, err)
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
		documents = append(documents, e.Documents...) // of one event: an agreement is archived once
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
		http.Error(w, "the store cannot be read", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body)
}

var page = template.Must(template.New("").Funcs(template.FuncMap{
	"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"path": url.PathEscape,
	"detail": func(detail json.RawMessage) (d bus.Detail, err error) {
		err = json.Unmarshal(detail, &d)
		return d, err
	},
}).Parse(`<!doctype html>
<html lang="en"><meta charset="utf-8"><title>esignhooks</title>
<meta name="viewport" content="width=device-width">
<style>
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top }
td:first-child { white-space: nowrap } td.id { font: .85em/1.8 ui-monospace, monospace; overflow-wrap: anywhere; min-width: 16ch } .note { color: #666 } .scroll { overflow-x: auto }
</style>
<h1>esignhooks</h1>
<h2>Agreements</h2>
{{if .Agreements}}<div class="scroll"><table><tr><th>updated (UTC)<th>provider<th>agreement<th>status</tr>
{{range .Agreements}}<tr><td>{{time .UpdatedAt}}<td>{{.Provider}}<td class="id"><a href="/api/agreements/{{path .Provider}}/{{path .ID}}">{{.ID}}</a><td>{{or .Status "–"}}{{if .Conflict}} <span class="note">(conflicting ends)</span>{{end}}</tr>
{{end}}</table></div>{{else}}<p class="note">None yet. Send one: <code>make send PROVIDER=docusign EVENT=envelope-completed</code></p>{{end}}
<h2>Events</h2>
{{if .Events}}<div class="scroll"><table><tr><th>received (UTC)<th>provider<th>type<th>vendor's name<th>agreement<th>state<th>proof<th>duplicates</tr>
{{range .Events}}<tr><td>{{time .ReceivedAt}}<td>{{.Provider}}<td>{{.Type}}<td>{{.VendorType}}<td class="id">{{.AgreementID}}<td>{{.State}}<td>{{.Proof}}<td>{{.Duplicates}}</tr>
{{range .Documents}}<tr><td><td colspan="7" class="note id">{{.Location}}</tr>
{{end}}{{end}}</table></div>{{else}}<p class="note">None yet.</p>{{end}}
<h2>Published</h2>
{{if .Published}}<div class="scroll"><table><tr><th>committed (UTC)<th>source<th>type<th>agreement<th>status<th>forwarding<th>attempts</tr>
{{range .Published}}{{$d := detail .Envelope.Detail}}<tr><td>{{time .Envelope.Time}}<td>{{.Envelope.Source}}<td>{{.Envelope.DetailType}}{{if $d.Replay}} <span class="note">(replay)</span>{{end}}<td class="id">{{$d.Event.AgreementID}}<td>{{if $d.StatusChanged}}{{or $d.StatusBefore "–"}} → {{end}}{{$d.StatusAfter}}<td>{{.State}}{{with .Error}} <span class="note">({{.}})</span>{{end}}<td>{{.Attempts}}</tr>
{{end}}</table></div><p class="note">All of it: <a href="/api/published">/api/published</a></p>{{else}}<p class="note">None yet.</p>{{end}}
</html>
`))

func (g *Gateway) servePage(w http.ResponseWriter) {
	agreements, err := g.ledger.Agreements()
	if err != nil {
		answer(w, nil, err)
		return
	}
	entries, err := g.ledger.Events()
	if err != nil {
		answer(w, nil, err)
		return
	}
	published, err := g.bus.Events()
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	w.Header().Set("Cache-Control", "no-store")
	page.Execute(w, struct {
		Agreements []esign.Agreement
		Events     []event
		Published  []embedded.Published
	}{agreements, eventsOf(entries), published})
}
