package localhost

import (
	_ "embed"
	"encoding/json"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/embedded"
)

//go:embed page.html
var pageHTML string

var page = template.Must(template.New("").Funcs(template.FuncMap{
	"time": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
	"path": url.PathEscape,
	"detail": func(detail json.RawMessage) (d bus.Detail, err error) {
		err = json.Unmarshal(detail, &d)
		return d, err
	},
}).Parse(pageHTML))

// servePage answers / with the agreements, the events and what was published.
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
