package localhost

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"slices"
	"time"

	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Examination is what the doctor is asked to examine. Empty fields ask for everything.
type Examination struct {
	Provider string `json:"provider"`
	URL      string `json:"url"` // of a tunnel or of a webhook behind it
}

// surroundings are what the doctor finds around the gateway.
type surroundings struct {
	local  doctor.Local
	clocks []string       // servers whose time is right
	roots  *x509.CertPool // nil: the computer's
}

var ours = surroundings{
	local:  doctor.Local{Get: doctor.Get, Find: exec.LookPath},
	clocks: []string{"https://aws.amazon.com/", "https://www.cloudflare.com/"},
}

// Doctor has the running gateway examine itself, and writes the report to w. It returns an error if a check failed.
func Doctor(ctx context.Context, w io.Writer, config Config, providers []webhook.Provider, e Examination) error {
	report, err := order(ctx, config, "/api/doctor", e)
	if errors.Is(err, errNoGateway) {
		return unattended(ctx, w, config, providers, e)
	} else if err != nil {
		return err
	}
	defer report.Close()
	var found struct{ Findings []doctor.Finding }
	if err := json.NewDecoder(report).Decode(&found); err != nil {
		return fmt.Errorf("localhost: the doctor's answer: %w", err)
	}
	return doctor.Report(w, found.Findings)
}

// unattended reports that no gateway runs, and what can be said without one: how the keys of this shell are written.
func unattended(ctx context.Context, w io.Writer, config Config, providers []webhook.Provider, e Examination) error {
	found := []doctor.Finding{{Group: doctor.Computer, Check: "gateway", Level: doctor.Failure,
		Text: "none answers on " + config.address() + ": start it with make run"}}
	all := patients(config, providers)
	asked, err := doctor.Select(all, e.Provider, e.URL)
	if err != nil {
		return err
	}
	for i := range asked {
		asked[i].Address, asked[i].ClientErr = "", vendorapi.ErrOff
	}
	for _, f := range (&doctor.Doctor{Now: time.Now}).Examine(ctx, asked, all) {
		if f.Check == "keys" || f.Check == "URL token" {
			found = append(found, f)
		}
	}
	return doctor.Report(w, found)
}

func patients(config Config, providers []webhook.Provider) (all []doctor.Patient) {
	for _, p := range providers {
		info, keys := p.Info(), config.Keys[p.Info().Name]
		all = append(all, doctor.Patient{
			Provider: p, Keys: keys.Keys, Problems: keys.Problems, Development: keys.Development,
			Place: "$" + info.KeysVariable, TokenPlace: "$" + info.TokensVariable(),
		})
	}
	return all
}

// serveDoctor examines this gateway. Its samples become events of the store.
func (g *Gateway) serveDoctor(w http.ResponseWriter, r *http.Request) {
	if foreign(w, r) {
		return
	}
	var e Examination
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&e); err != nil {
		http.Error(w, `an examination is like {"provider": "docusign", "url": "https://tunnel.example"}`,
			http.StatusBadRequest)
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute)) // a tunnel may be slow
	address := r.Context().Value(http.LocalAddrContextKey).(net.Addr).String()
	found, err := g.examine(r.Context(), e, address, ours)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	answer(w, map[string]any{"findings": found}, nil)
}

// examine examines this gateway, which listens on address.
func (g *Gateway) examine(ctx context.Context, e Examination, address string, around surroundings) ([]doctor.Finding,
	error) {
	d := &doctor.Doctor{Now: time.Now, Roots: around.roots, Arrived: func(_ context.Context, nonce string) bool {
		return g.requests.arrived(nonce)
	}}
	all := patients(g.config, g.providers)
	for i, p := range all {
		name := p.Provider.Info().Name
		all[i].Local = p.Keys.URL("http://" + address + "/webhooks/" + name)
		all[i].Client, all[i].ClientErr = g.client(ctx, name)
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	tunnel, found := around.local.Tunnel(ctx, port)
	if e.URL != "" && tunnel == "" {
		found = doctor.Finding{Group: doctor.Computer, Check: "tunnel", Level: doctor.NotChecked,
			Text: "the given URL is used"}
	} else if e.URL == "" {
		e.URL = tunnel
	}
	asked, err := doctor.Select(all, e.Provider, e.URL)
	if err != nil {
		return nil, err
	}
	return slices.Concat([]doctor.Finding{
		{Group: doctor.Computer, Check: "gateway", Level: doctor.OK, Text: "answers on " + address},
		d.Clock(ctx, around.clocks...), found,
	}, d.Examine(ctx, asked, all)), nil
}

// arrived reports whether one of the last requests was the doctor's with this nonce.
func (q *requests) arrived(nonce string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.ContainsFunc(q.kept, func(x *exchange) bool { return x.header.Get(doctor.NonceHeader) == nonce })
}
