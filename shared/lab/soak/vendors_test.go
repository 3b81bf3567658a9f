package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

// happening is something that a vendor reports.
type happening struct {
	provider webhook.Provider
	request  *webhook.Request
	ids      []string // the event's ID, and those of earlier releases
	subject  string
	about    string // the agreement's ID
	event    esign.Event
	readable bool

	acknowledged time.Time
	gaveUp       bool
}

// story is what happens to one agreement.
type story struct {
	happenings []*happening
	ordered    bool // each is sent after the acknowledgement of the one before
}

// answer is what a vendor gets.
type answer struct {
	status     int
	body       string
	retryAfter string
}

// post delivers a request. Its error says that the vendor got no answer.
type post func(context.Context, webhook.Provider, *webhook.Request) (answer, error)

// vendors send stories.
type vendors struct {
	report *report
	post   post
	most   int // events

	mu      sync.Mutex
	random  *rand.Rand
	stories []*story
	forged  []string // IDs of agreements
	serial  int
}

func newVendors(r *report, random *rand.Rand, most int, p post) *vendors {
	return &vendors{report: r, post: p, most: most, random: random}
}

func (v *vendors) chance(n int) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.random.IntN(n) == 0
}

func (v *vendors) pause(most time.Duration) {
	v.mu.Lock()
	d := time.Duration(v.random.Int64N(int64(most)))
	v.mu.Unlock()
	time.Sleep(d)
}

// run has some vendors send until ctx is done. It returns when everything is acknowledged or given up.
func (v *vendors) run(ctx context.Context) {
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			for ctx.Err() == nil {
				s := v.tell()
				if s == nil {
					return
				}
				v.send(ctx, s)
			}
		})
	}
	group.Wait()
}

// tell makes a new story.
func (v *vendors) tell() *story {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.serial >= v.most {
		return nil
	}
	s := &story{ordered: v.random.IntN(3) > 0}
	p := provider.All()[v.random.IntN(len(provider.All()))]
	names, about := sample.Names(p), ""
	v.random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	var ids []string
	for _, name := range names {
		v.serial++
		at := time.Now().Add(-time.Hour + time.Duration(v.serial)*time.Second).Truncate(time.Second)
		r, known, err := sample.Request(p, name, about, webhook.NewSecret(p.Info().DevelopmentKey), at)
		if err != nil || known == "" {
			continue
		}
		all, err := p.Identify(r)
		if err != nil || len(all) != 1 {
			continue
		}
		h := &happening{provider: p, request: r, ids: []string{all[0].EventID}, subject: all[0].Subject, about: known,
			readable: true}
		for _, former := range all[0].FormerIDs {
			h.ids = append(h.ids, former.ID)
		}
		h.event, err = p.Normalize(&webhook.Delivery{Provider: p.Info().Name, EventID: all[0].EventID,
			Subject: all[0].Subject, ContentType: r.Header.Get("Content-Type"), Payload: r.Body})
		if err != nil || slices.ContainsFunc(h.ids, func(id string) bool { return slices.Contains(ids, id) }) {
			continue // the vendor would report it in the same words
		}
		h.event.Provider = p.Info().Name
		about, ids = known, append(ids, h.ids...)
		if s.happenings = append(s.happenings, h); len(s.happenings) == 5 {
			break
		}
	}
	if v.random.IntN(8) == 0 {
		body := fmt.Appendf(nil, `{"nothing that a vendor sends": %d`, v.serial)
		r := &webhook.Request{Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}
		key := webhook.NewSecret(p.Info().DevelopmentKey)
		err := p.Sign(r, key, time.Now())
		if _, notGenuine := p.Verify(r, webhook.Keys{Keys: []webhook.Secret{key}}); err == nil && notGenuine == nil {
			s.happenings = append(s.happenings, &happening{provider: p, request: r,
				ids: []string{webhook.Unreadable(p.Info().Name, r.Body).EventID}})
		}
	}
	v.stories = append(v.stories, s)
	return s
}

// send sends a story. The reordered ones travel at the same time.
func (v *vendors) send(ctx context.Context, s *story) {
	var group sync.WaitGroup
	for _, h := range s.happenings {
		if !s.ordered {
			v.report.did(reorder)
			group.Go(func() {
				v.pause(50 * time.Millisecond)
				v.deliver(ctx, h)
			})
			continue
		}
		v.deliver(ctx, h)
		if h.gaveUp {
			s.ordered = false // it may have its effect later
		}
	}
	group.Wait()
	if len(s.happenings) > 0 && v.chance(3) {
		v.forge(s.happenings[0])
	}
}

// deliver sends until it is acknowledged, and perhaps again. Some vendors give up.
func (v *vendors) deliver(ctx context.Context, h *happening) {
	if !h.readable {
		v.report.did(garbage)
	}
	for attempt := 1; ; attempt++ {
		if v.attempt(h) {
			h.acknowledged = time.Now()
			break
		}
		if attempt == 3 && v.chance(40) {
			h.gaveUp = true
			return
		}
		if ctx.Err() != nil && attempt > 300 {
			v.report.check(answered, false, "%s %s is never acknowledged", h.provider.Info().Name, h.ids[0])
			return
		}
		v.pause(min(time.Duration(attempt)*50*time.Millisecond, time.Second))
	}
	for v.chance(4) {
		v.report.did(redeliver)
		v.attempt(h)
	}
}

// attempt sends once, and reports whether that was acknowledged.
func (v *vendors) attempt(h *happening) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // a generous vendor
	defer cancel()
	got, err := v.post(ctx, h.provider, h.request)
	if err != nil {
		v.report.note("requests without an answer")
		return false
	}
	want := h.provider.Acknowledge(h.request)
	acknowledged := got.status == want.Status && got.body == string(want.Body)
	unavailable := got.status == http.StatusServiceUnavailable && got.retryAfter != ""
	if unavailable {
		v.report.note("requests answered with 503")
	}
	v.report.check(answered, acknowledged || unavailable, "%s was answered with %d %.100q", h.provider.Info().Name,
		got.status, got.body)
	return acknowledged
}

// forge sends a request that is signed with another key.
func (v *vendors) forge(like *happening) {
	p := like.provider
	r, about, err := sample.Request(p, sample.Names(p)[0], "", webhook.NewSecret("not-the-key-8a21"), time.Now())
	if err != nil || about == "" {
		return
	}
	v.report.did(forge)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	got, err := v.post(ctx, p, r)
	if err == nil && got.status != http.StatusServiceUnavailable {
		v.report.check(refusedLeaves, got.status == http.StatusUnauthorized && got.body == "",
			"a forged request of %s is answered with %d %.100q", p.Info().Name, got.status, got.body)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forged = append(v.forged, about)
}

// all returns every happening.
func (v *vendors) all() (all []*happening) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.stories {
		all = append(all, s.happenings...)
	}
	return all
}
