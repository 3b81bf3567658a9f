package localhost

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"esignhooks/shared/sample"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
)

// vendor is what the console shows of a provider.
type vendor struct {
	Name        string   `json:"name"`
	Title       string   `json:"title"`
	Variable    string   `json:"keysVariable"`
	Keys        int      `json:"keys"`
	Development bool     `json:"developmentKey"`
	Tokens      int      `json:"urlTokens"`
	Samples     []string `json:"samples"`
	Stories     []tale   `json:"stories"`
}

type tale struct {
	Name  string `json:"name"`
	Title string `json:"title"`
}

// serveVendors lists the vendors and what can be sent in their name.
func (g *Gateway) serveVendors(w http.ResponseWriter) {
	all := []vendor{}
	for _, p := range g.providers {
		info, keys := p.Info(), g.config.Keys[p.Info().Name]
		v := vendor{
			Name: info.Name, Title: info.Title, Variable: info.KeysVariable, Keys: len(keys.Keys.Keys),
			Development: keys.Development, Tokens: len(keys.URLTokens), Samples: sample.Names(p), Stories: []tale{},
		}
		if book, err := story.Open(p); err == nil {
			for _, s := range book.Stories {
				v.Stories = append(v.Stories, tale{s.Name, s.Title})
			}
		}
		all = append(all, v)
	}
	answer(w, map[string]any{"vendors": all, "forwarding": g.config.ForwardURL != ""}, nil)
}

// maxOrder is the largest order that the console gives, in bytes.
const maxOrder = 64 << 10

// readOrder reads what the console orders, unless another web page does.
func readOrder(w http.ResponseWriter, r *http.Request, v any) bool {
	if foreign(w, r) {
		return false
	}
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxOrder)).Decode(v); err != nil {
		http.Error(w, "the order is no JSON object", http.StatusBadRequest)
		return false
	}
	return true
}

// sent is what became of a request that the developer has sent.
type sent struct {
	ID          string `json:"id"` // of the request in /api/requests
	Status      int    `json:"status"`
	AgreementID string `json:"agreementId,omitempty"`
}

// redeliver sends a request again: the same bytes with the same signature, as a vendor does after a timeout.
func (g *Gateway) redeliver(w http.ResponseWriter, r *http.Request, id string) {
	if foreign(w, r) {
		return
	}
	x, ok := g.requests.find(id)
	switch {
	case !ok:
		http.Error(w, noSuchRequest, http.StatusNotFound)
		return
	case x.bodyCut || x.headerCut:
		http.Error(w, "the request cannot be sent again: it is not kept completely, because of its size",
			http.StatusConflict)
		return
	}
	again, err := http.NewRequestWithContext(context.WithoutCancel(r.Context()), x.method, "/", bytes.NewReader(x.body))
	if err != nil {
		http.Error(w, "the request cannot be sent again: its method is not valid", http.StatusConflict)
		return
	}
	path := x.url
	again.URL, again.Header, again.Host, again.RemoteAddr = &path, x.header.Clone(), x.host, r.RemoteAddr
	answer(w, g.resend(again, x.id), nil)
}

// resend serves a request of our own. It repeats the one with the ID of, unless that is empty.
func (g *Gateway) resend(r *http.Request, of string) sent {
	var x *exchange
	ctx := context.WithValue(r.Context(), resentKey{}, &resent{of: of, as: &x})
	recorder := &recorder{header: http.Header{}, status: http.StatusOK}
	g.ServeHTTP(recorder, r.WithContext(ctx))
	s := sent{Status: recorder.status}
	if x != nil {
		s.ID = x.id
	}
	return s
}

// sendSample sends an example as a vendor would, like make send.
func (g *Gateway) sendSample(w http.ResponseWriter, r *http.Request) {
	var s struct{ Provider, Event, Agreement string }
	if !readOrder(w, r, &s) {
		return
	}
	p, ok := webhook.Find(g.providers, s.Provider)
	if !ok {
		http.Error(w, fmt.Sprintf("no provider %q; the providers are: %s", s.Provider, webhook.Names(g.providers)),
			http.StatusUnprocessableEntity)
		return
	}
	result, err := g.sendSampleOf(context.WithoutCancel(r.Context()), p, s.Event, s.Agreement)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	answer(w, result, nil)
}

func (g *Gateway) sendSampleOf(ctx context.Context, p webhook.Provider, name, agreement string) (sent, error) {
	keys := g.config.Keys[p.Info().Name].Keys.Keys
	if len(keys) == 0 {
		return sent{}, fmt.Errorf("no key to sign with: $%s is empty", p.Info().KeysVariable)
	}
	example, id, err := sample.Request(p, name, agreement, keys[0], time.Now())
	if err != nil {
		return sent{}, err
	}
	request, err := httpRequest(ctx, p, keys[0], example, target(g.config, Sending{Provider: p.Info().Name}), time.Now())
	if err != nil {
		return sent{}, err
	}
	result := g.resend(request, "")
	if result.Status == http.StatusOK {
		result.AgreementID = id
	}
	return result, nil
}

// play plays a story, and answers with its report when it ends.
func (g *Gateway) play(w http.ResponseWriter, r *http.Request) {
	var s struct {
		Provider, Story string
		Number          int
		Speed           float64
	}
	if !readOrder(w, r, &s) {
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Hour))
	report, err := g.Play(r.Context(), Simulation{Provider: s.Provider, Story: s.Story, Number: s.Number, Speed: s.Speed})
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	answer(w, report, nil)
}
