package sim

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// claimed is an example, and the status that it reports.
type claimed struct {
	example string
	status  esign.Status
}

// stories holds what may happen to one agreement at each vendor, in order. The statuses come from the vendors'
// documents, not from our code. A provider without a story is not simulated.
var stories = map[string][]claimed{
	"adobesign": {
		{"agreement-created", esign.Created}, {"agreement-sent", esign.Sent}, {"agreement-viewed", esign.Viewed},
		{"agreement-signed", esign.Signed}, {"agreement-completed", esign.Completed}, {"agreement-recalled", esign.Cancelled},
	},
	"docusign": {
		{"envelope-created", esign.Created}, {"envelope-sent", esign.Sent}, {"envelope-delivered", esign.Viewed},
		{"recipient-completed", esign.Signed},
		{"recipient-completed-second", esign.Signed}, {"envelope-completed", esign.Completed},
		{"envelope-voided", esign.Cancelled},
	},
	"dropboxsign": {
		{"signature-request-sent", esign.Sent}, {"signature-request-viewed", esign.Viewed},
		{"signature-request-signed", esign.Signed},
		{"signature-request-signed-second", esign.Signed}, {"signature-request-all-signed", esign.Completed},
		{"signature-request-declined", esign.Declined},
	},
	"esignglobal": {
		{"envelope-start", esign.Sent}, {"envelope-signer-viewed", esign.Viewed}, {"envelope-signer-signed", esign.Signed},
		{"envelope-signer-signed-second", esign.Signed}, {"envelope-finish", esign.Completed},
		{"envelope-declined", esign.Declined},
	},
}

// timeless holds the examples that report the same event without its time.
var timeless = map[string]string{"envelope-finish": "envelope-finish-v2", "envelope-declined": "signer-declined"}

// simulated returns the providers that have a story.
func simulated() []webhook.Provider {
	return slices.DeleteFunc(provider.All(), func(p webhook.Provider) bool { return stories[p.Info().Name] == nil })
}

const day = 24 * time.Hour

// retries is how the vendor retries a request that was not acknowledged.
func retries(p webhook.Provider) webhook.Retries { return p.(webhook.Retrier).Retries() }

// happening is one event of the true history.
type happening struct {
	provider  webhook.Provider
	agreement string
	example   string
	status    esign.Status
	base      *webhook.Request // of the first copy
	timeless  *webhook.Request // what the second subscription sends instead: it does not state the time
	readable  bool

	acknowledged bool
	timed        bool // a request that states the time was acknowledged
	requests     int  // that were genuine

	dropped bool // the vendor never sends it
	delayed bool // it happens after the upgrade
	foreign bool // of an account without credentials
	untrue  bool // it did not happen: an impostor sends a request that passes for genuine
}

func (h *happening) String() string {
	return h.provider.Info().Name + " " + h.agreement + " " + h.example
}

var (
	examplesOnce sync.Once
	examples     map[string]map[string]*webhook.Request // by provider and name
)

// example returns a copy of an example.
func example(t testing.TB, p webhook.Provider, name string) *webhook.Request {
	examplesOnce.Do(func() {
		examples = map[string]map[string]*webhook.Request{}
		for _, p := range provider.All() {
			examples[p.Info().Name] = webhooktest.Examples(t, p.Info().Name)
		}
	})
	r := examples[p.Info().Name][name]
	if r == nil {
		t.Fatalf("%s has no example %s", p.Info().Name, name)
	}
	return webhooktest.Clone(r)
}

// request returns the nth copy, sent through one of two subscriptions.
func (h *happening) request(n, subscription int) *webhook.Request {
	r := webhooktest.Clone(h.base)
	switch h.provider.Info().Name {
	case "esignglobal":
		if h.timeless != nil && subscription == 2 {
			r = webhooktest.Clone(h.timeless)
		}
	case "docusign":
		r.Body = bytes.Replace(r.Body, []byte(`"retryCount":0`), fmt.Appendf(nil, `"retryCount":%d`, n), 1)
		r.Body = bytes.ReplaceAll(r.Body, []byte("20410771"), fmt.Appendf(nil, "2041077%d", subscription))
	case "adobesign":
		r.Body = bytes.ReplaceAll(r.Body, []byte("5d0c1f6e-1111"), fmt.Appendf(nil, "5d0c1f6e-111%d", subscription))
		r.Body = bytes.ReplaceAll(r.Body, []byte("7a1e5c90-2222"), fmt.Appendf(nil, "7a1e5c90-222%d", subscription))
	}
	if err := h.provider.Sign(r, key(h.provider), time.Now()); err != nil {
		panic(err)
	}
	return r
}

func key(p webhook.Provider) webhook.Secret { return webhook.NewSecret(p.Info().DevelopmentKey) }

// about changes the agreement of an example, and returns the new ID.
func about(t testing.TB, p webhook.Provider, name string, number int) (*webhook.Request, string) {
	r := example(t, p, name)
	ids, err := p.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	old := ids[0].AgreementID
	now := fmt.Sprintf("%s%04x", old[:len(old)-4], number)
	r.Body = bytes.ReplaceAll(r.Body, []byte(old), []byte(now))
	r.Body = bytes.ReplaceAll(r.Body, []byte(strings.ToUpper(old)), []byte(now))
	return r, now
}

func hash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// report sends the happenings in order through one subscription, as a vendor does. It retries each until it is
// acknowledged or the vendor gives up. It pauses after each happening.
func (s *simulation) report(name string, all []*happening, subscription int, pauses []time.Duration) {
	var insisting sync.WaitGroup
	for i, h := range all {
		if h.delayed {
			<-s.upgrade.done
		}
		one := func() { s.insist(fmt.Sprintf("%s %d", name, i), h, subscription) }
		if !s.happens(name, h) {
			one = func() {}
		}
		if retries(h.provider).InOrder {
			one()
		} else {
			insisting.Add(1)
			s.world.start(func() {
				defer insisting.Done()
				one()
			})
		}
		time.Sleep(pauses[i])
	}
	insisting.Wait() // faults continue while any vendor retries
}

// happens records the happening at the vendor, and reports whether the vendor sends a webhook. It sends none while its
// subscription is disabled.
func (s *simulation) happens(name string, h *happening) (sends bool) {
	if s.after == nil {
		return true
	}
	s.mapping(name, "happens "+h.example, func() {
		o := s.after.offices[h.provider.Info().Name]
		if !h.untrue {
			o.happens(h)
		}
		sends = h.untrue || h.foreign || !h.dropped && !o.disabled // the foreign account has its own subscription
	})
	return sends
}

func (s *simulation) insist(name string, h *happening, subscription int) {
	for n, pause := range append([]time.Duration{0}, retries(h.provider).Pauses...) {
		time.Sleep(pause)
		if s.deliver(fmt.Sprintf("%s try %d", name, n), h, n, subscription) {
			return
		}
	}
	s.mapping(name, "gives up", func() {})
}

// deliver sends one copy, and reports whether it was acknowledged.
func (s *simulation) deliver(name string, h *happening, n, subscription int) bool {
	r := h.request(n, subscription)
	s.mu.Lock()
	s.bodies[hash(r.Body)] = h
	h.requests++
	s.mu.Unlock()
	status, took := s.post(name, h.provider, r)
	s.mapping(name, fmt.Sprintf("answer %d", status), func() {
		if took > vendorPatience {
			s.world.problem("%s waited %v", name, took)
		}
		switch status {
		case http.StatusOK:
			s.acknowledged(name, h, r)
		case http.StatusServiceUnavailable, http.StatusBadGateway: // API Gateway answers 502 if the process died
		default:
			s.world.problem("%s: %s was answered %d", name, h, status)
		}
	})
	return status == http.StatusOK
}

// vendorPatience is the time limit that we promise. The strictest vendors wait a second longer.
const vendorPatience = 4 * time.Second

// post runs a receiver for the request, as Lambda does.
func (s *simulation) post(name string, p webhook.Provider, r *webhook.Request) (status int, took time.Duration) {
	began := time.Now()
	status = http.StatusBadGateway
	s.world.run(name, 10*time.Second, func(ctx context.Context) {
		status = s.receivers[p.Info().Name].Receive(ctx, r).Status
	})
	return status, time.Since(began)
}

// acknowledged checks that an acknowledged event is already in the queue or processed.
func (s *simulation) acknowledged(name string, h *happening, r *webhook.Request) {
	h.acknowledged = true
	h.timed = h.timed || !s.identities(h, r)[0].ExactTime().IsZero()
	for _, id := range s.identities(h, r) {
		if !s.isSafe(id) {
			s.world.problem("%s: %s was acknowledged but is neither queued nor processed", name, h)
		}
	}
}

// forge sends a happening of another agreement, signed with another key.
func (s *simulation) forge(name string, h *happening, number int) {
	r, _ := about(s.t, h.provider, h.example, 0x7000+number)
	if err := h.provider.Sign(r, webhook.NewSecret("another key"), time.Now()); err != nil {
		panic(err)
	}
	s.mu.Lock()
	s.forged[hash(r.Body)] = true
	s.mu.Unlock()
	status, _ := s.post(name, h.provider, r)
	s.mapping(name, fmt.Sprintf("answer %d", status), func() {
		switch status {
		case http.StatusUnauthorized, http.StatusServiceUnavailable, http.StatusBadGateway:
		default:
			s.world.problem("%s: a forgery of %s was answered %d", name, h, status)
		}
	})
}
