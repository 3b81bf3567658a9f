// Package play delivers a story to a URL as the vendor would: correctly signed, with the vendor's time limit, retries
// and order, and with faults if they are asked for. At the end it compares the truth of the story with what the
// receiver has made of it.
package play

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
)

// Fault is something that goes wrong on the way.
type Fault string

// The faults.
const (
	Duplicate   Fault = "duplicate"
	Reorder     Fault = "reorder"
	Late        Fault = "late"
	LostAck     Fault = "lost-ack"
	RotatedKey  Fault = "rotated-key"
	WrongKey    Fault = "wrong-key"
	ChangedBody Fault = "changed-body"
)

// Faults lists the faults, each with what happens.
var Faults = []struct {
	Fault
	Title string
}{
	{Duplicate, "each message comes twice, through two subscriptions"},
	{Reorder, "the messages of an agreement come in another order"},
	{Late, "a quarter of the messages comes hours later"},
	{LostAck, "a quarter of the acknowledgements is lost, so the vendor retries"},
	{RotatedKey, "from the middle on, the second key signs; without one, one message must first be refused"},
	{WrongKey, "a key signs that the receiver does not know: all requests must be refused"},
	{ChangedBody, "a quarter of the messages is changed on its way, and must be refused if the body is signed"},
}

// ParseFaults reads the names of faults, separated by commas.
func ParseFaults(s string) (all []Fault, err error) {
	var names []string
	for _, f := range Faults {
		names = append(names, string(f.Fault))
	}
	for name := range strings.SplitSeq(s, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "":
		case !slices.Contains(names, name):
			return nil, fmt.Errorf("no fault %q; the faults: %s", name, strings.Join(names, ", "))
		default:
			all = append(all, Fault(name))
		}
	}
	return all, nil
}

// MaxNumber is the largest number of agreements.
const MaxNumber = 10_000

// Plan is what to play.
type Plan struct {
	Provider webhook.Provider
	Story    string
	Number   int     // of agreements; zero for the story's own number
	Speed    float64 // the vendor's time in a unit of real time; zero for an hour in a second
	Faults   []Fault
	Seed     uint64 // of the faults' choices
	URL      string // of the webhook, with its token, which is secret
	Keys     []webhook.Secret
	API      string // the base URL of the read API; empty if there is none to compare with
	StateURL string // where the developer's application answers its state; see [Report]
	Client   *http.Client
	Patience time.Duration  // how long the receiver may do nothing after the last request; zero for ten seconds
	Progress func(Progress) // called after each request, by one goroutine at a time; may be nil
}

// Progress is what became of one request.
type Progress struct {
	At         time.Time // the vendor's time
	Agreement  string
	Step       string
	Try        int // from 0
	Status     int // of the answer; zero without one
	Took       time.Duration
	Outcome    string // what the vendor makes of it
	Done, Left int    // messages
}

// Play is a plan that can be carried out.
type Play struct {
	Plan
	retrier    webhook.Retrier
	agreements []*story.Agreement
	deliveries []*delivery
	copies     map[*story.Agreement][]*delivery
	start      time.Time // of the stories, in the vendor's time
	target     *url.URL
	strange    webhook.Secret
	unsigned   bool // nobody can notice that a body was changed
}

// delivery is one message on its way through one subscription.
type delivery struct {
	message      story.Message
	agreement    *story.Agreement
	subscription int
	due          time.Duration // since the beginning of the stories
	key          webhook.Secret

	falseKey     int  // so many tries are signed with a key that the receiver does not know
	changed      bool // the first try is changed on its way
	loses        bool // the first acknowledgement
	try          int
	genuine      int // tries
	acknowledged int // genuine tries, though the acknowledgement may be lost
}

const always = 1 << 30

// New prepares a play. Its errors are the user's: they name what is missing or wrong in the plan.
func New(plan Plan) (*Play, error) {
	p := &Play{
		Plan: plan, strange: webhook.NewSecret("UNKNOWNTOTHERECEIVER" + rand.Text()),
		copies: map[*story.Agreement][]*delivery{},
	}
	retrier, ok := plan.Provider.(webhook.Retrier)
	if !ok {
		return nil, fmt.Errorf("%s does not state how it retries", plan.Provider.Info().Name)
	}
	p.retrier = retrier
	book, err := story.Open(plan.Provider)
	if err != nil {
		return nil, err
	}
	told, err := book.Find(plan.Story)
	if err != nil {
		return nil, err
	}
	switch p.target, err = url.Parse(plan.URL); { // err quotes the URL with the token
	case err != nil || p.target.Scheme != "http" && p.target.Scheme != "https" || p.target.Host == "":
		return nil, errors.New("the URL is not like http://127.0.0.1:3000/webhooks/docusign")
	case len(plan.Keys) == 0:
		return nil, errors.New("no key to sign with")
	case plan.Number < 0 || plan.Number > MaxNumber:
		return nil, fmt.Errorf("%d agreements are not from 1 to %d", plan.Number, MaxNumber)
	case plan.Speed != 0 && !(plan.Speed >= 0.001 && plan.Speed <= 1e9):
		return nil, fmt.Errorf("the speed %v is not from 0.001 to 1e9", plan.Speed)
	}
	if p.Number == 0 {
		p.Number = told.Number
	}
	if p.Speed == 0 {
		p.Speed = 3600
	}
	if p.Patience == 0 {
		p.Patience = 10 * time.Second
	}
	if p.Client == nil {
		p.Client = newClient()
	}
	if err := p.prepare(book, told); err != nil {
		return nil, err
	}
	p.unsigned = p.has(ChangedBody) && p.changesAreUnseen()
	return p, nil
}

func newClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = inFlight
	return &http.Client{Transport: transport}
}

func (p *Play) has(f Fault) bool { return slices.Contains(p.Faults, f) }

// prepare makes the stories and arranges the faults. The stories end when they have been played, so that nothing happens
// in the future. Many agreements begin within ten minutes, and go on at different paces.
func (p *Play) prepare(book *story.Book, told story.Story) error {
	r := mathrand.New(mathrand.NewPCG(p.Seed, 0))
	begins, paces := make([]time.Duration, p.Number), make([]float64, p.Number)
	var last time.Duration
	for i := range p.Number {
		if paces[i] = 1; i > 0 {
			begins[i], paces[i] = 10*time.Minute*time.Duration(i)/time.Duration(p.Number), 0.5+r.Float64()
		}
		last = max(last, begins[i]+told.Length(paces[i]))
	}
	p.start = time.Now().Add(-last + p.real(last))
	for i := range p.Number {
		a, err := book.Tell(told, p.start.Add(begins[i]), paces[i])
		if err != nil {
			return err
		}
		if p.has(WrongKey) {
			a.Truth = story.Truth{}
		}
		p.agreements = append(p.agreements, a)
		p.copies[a] = p.arrange(r, a, 1)
		if p.has(Duplicate) {
			p.copies[a] = append(p.copies[a], p.arrange(r, a, 2)...)
		}
		p.deliveries = append(p.deliveries, p.copies[a]...)
	}
	slices.SortStableFunc(p.deliveries, func(a, b *delivery) int { return cmp.Compare(a.due, b.due) })
	return nil
}

// Lasts is how long the play takes in real time, without retries.
func (p *Play) Lasts() time.Duration {
	return p.real(p.deliveries[len(p.deliveries)-1].due)
}

// Messages is the number of messages.
func (p *Play) Messages() int { return len(p.deliveries) }

// real is how long the vendor's time takes.
func (p *Play) real(d time.Duration) time.Duration { return time.Duration(float64(d) / p.Speed) }

// arrange returns the messages of an agreement through one subscription, with the faults that happen to them.
func (p *Play) arrange(r *mathrand.Rand, a *story.Agreement, subscription int) []*delivery {
	n := len(a.Messages)
	all, order := make([]*delivery, n), make([]int, n)
	for i, m := range a.Messages {
		order[i] = i
		all[i] = &delivery{message: m, agreement: a, subscription: subscription, key: p.Keys[0]}
	}
	if p.has(Reorder) {
		r.Shuffle(n, func(i, j int) { order[i], order[j] = order[j], order[i] })
		if slices.IsSorted(order) {
			slices.Reverse(order)
		}
	}
	for i, d := range all {
		d.due = max(0, a.Messages[order[i]].At.Sub(p.start))
		switch {
		case p.has(WrongKey):
			d.falseKey = always
		case p.has(RotatedKey) && len(p.Keys) > 1 && i >= n/2:
			d.key = p.Keys[1]
		case p.has(RotatedKey) && len(p.Keys) == 1 && i == n/2 && len(p.agreements) == 1: // the mistake is soon noticed
			d.falseKey = 1
		}
	}
	some := func(f Fault, happens func(*delivery)) {
		for _, i := range r.Perm(n)[:(n+3)/4] {
			if p.has(f) {
				happens(all[i])
			}
		}
	}
	some(Late, func(d *delivery) { d.due += time.Hour + time.Duration(r.Int64N(int64(5*time.Hour))) })
	some(LostAck, func(d *delivery) { d.loses = true })
	some(ChangedBody, func(d *delivery) { d.changed = true })
	return all
}

// request returns the next try of a delivery, and whether it must be refused.
func (p *Play) request(d *delivery) (r *webhook.Request, refuse bool, err error) {
	if r, err = d.message.Request(d.try, d.subscription); err != nil {
		return nil, false, err
	}
	r.Query = p.target.Query()
	key := d.key
	if d.try < d.falseKey {
		key, refuse = p.strange, true
	}
	if err := p.Provider.Sign(r, key, time.Now()); err != nil {
		return nil, false, err
	}
	if d.changed && d.try == 0 {
		r.Body, refuse = changed(r.Body), refuse || !p.unsigned
	}
	return r, refuse, nil
}

// changed returns the body with one member more in its JSON object, which means nothing.
func changed(body []byte) []byte {
	return bytes.Replace(body, []byte(`{"`), []byte(`{"changed":true,"`), 1)
}

// changesAreUnseen reports whether the vendor signs nothing of the body.
func (p *Play) changesAreUnseen() bool {
	d := *p.deliveries[0]
	d.changed, d.falseKey = true, 0
	r, _, err := p.request(&d)
	if err != nil {
		return false
	}
	_, err = p.Provider.Verify(r, webhook.Keys{Keys: p.Keys})
	return err == nil
}
