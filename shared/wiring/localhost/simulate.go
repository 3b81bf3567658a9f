package localhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"esignhooks/shared/sample/play"
	"esignhooks/shared/webhook"
)

// Simulation is a story to play. What it leaves out is that of the gateway on localhost.
type Simulation struct {
	Provider string
	Story    string
	Number   int     // of agreements; zero for the story's own number
	Speed    float64 // the vendor's time in a unit of real time; zero for an hour in a second
	Faults   []play.Fault
	Seed     uint64           // of the faults' choices; zero for a new one
	URL      string           // of the webhook, with its token if it has one
	Keys     []webhook.Secret // to sign with
	API      string           // the base URL of the read API
	StateURL string           // where the application answers its state
	Agreed   bool             // to send many requests to another machine
	Patience time.Duration    // how long the receiver may do nothing before the verdict; zero for ten seconds
	Progress func(play.Progress)
}

// manyAgreements need the user's consent if they are for another machine.
const manyAgreements = 100

// Simulate prepares a simulation. Its errors are mistakes of the user.
func Simulate(ctx context.Context, config Config, providers []webhook.Provider, s Simulation) (*play.Play, error) {
	p, ok := webhook.Find(providers, s.Provider)
	if !ok {
		var names []string
		for _, p := range providers {
			names = append(names, p.Info().Name)
		}
		return nil, fmt.Errorf("no provider %q; the providers are: %s", s.Provider, strings.Join(names, ", "))
	}
	if len(s.Keys) == 0 {
		s.Keys = config.Keys[s.Provider].Keys.Keys
	}
	if len(s.Keys) == 0 {
		return nil, fmt.Errorf("no key to sign with: $%s is empty", p.Info().KeysVariable)
	}
	if s.Seed == 0 {
		s.Seed = 1 + rand.Uint64N(999_999)
	}
	plan := play.Plan{
		Provider: p, Story: s.Story, Number: s.Number, Speed: s.Speed, Faults: s.Faults, Seed: s.Seed, Keys: s.Keys,
		URL: target(config, Sending{Provider: s.Provider, URL: s.URL}), API: s.API, StateURL: s.StateURL,
		Patience: s.Patience, Progress: s.Progress,
	}
	if s.StateURL != "" && !isHTTP(s.StateURL) || s.API != "" && !isHTTP(s.API) {
		return nil, errors.New("the URLs to compare with are not like http://127.0.0.1:3000")
	}
	if u, err := url.Parse(plan.URL); err == nil {
		here, base := isThisMachine(u.Hostname()), u.Scheme+"://"+u.Host
		ours := config.address() == u.Host || "localhost:"+config.Port == u.Host
		if s.API == "" && (ours || here && strings.HasPrefix(u.Path, "/webhooks/") && answers(ctx, base) == nil) {
			plan.API = base
		}
		if !here && s.Number > manyAgreements && !s.Agreed {
			return nil, fmt.Errorf("%d agreements for another machine: set YES=1 if you may send it so much", s.Number)
		}
	}
	return play.New(plan)
}

func isThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Running returns an error unless a gateway answers on localhost.
func Running(ctx context.Context, config Config) error {
	err := answers(ctx, "http://"+config.address())
	if err != nil {
		return fmt.Errorf("no gateway answers on %s; start it with make run: %w", config.address(), err)
	}
	return nil
}

// answers returns an error unless there is a read API.
func answers(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/agreements?limit=1", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if failed, ok := errors.AsType[*url.Error](err); ok {
		return failed.Err
	} else if err != nil {
		return err
	}
	defer answer.Body.Close()
	var list map[string]json.RawMessage
	if err := json.NewDecoder(answer.Body).Decode(&list); err != nil || list["agreements"] == nil {
		return errors.New("another program answers there")
	}
	return nil
}

// Play plays a story to the gateway itself, without a connection.
func (g *Gateway) Play(ctx context.Context, s Simulation) (*play.Report, error) {
	s.URL, s.API, s.StateURL = "", "", ""
	p, err := Simulate(ctx, g.config, g.providers, s)
	if err != nil {
		return nil, err
	}
	p.Client = &http.Client{Transport: inProcess{g}}
	return p.Run(ctx)
}

// inProcess sends requests to a handler.
type inProcess struct{ http.Handler }

// RoundTrip implements [http.RoundTripper].
func (h inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	sent := r.Clone(r.Context())
	sent.Host, sent.URL.Scheme, sent.URL.Host, sent.RemoteAddr = r.URL.Host, "", "", "127.0.0.1:0"
	sent.RequestURI = sent.URL.RequestURI()
	if sent.Body == nil {
		sent.Body = http.NoBody
	}
	w := recorder{header: http.Header{}, status: http.StatusOK}
	h.ServeHTTP(&w, sent)
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: w.status, Header: w.header, Body: io.NopCloser(&w.body), Request: r}, nil
}

type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(b []byte) (int, error) { return w.body.Write(b) }
