// Package story has stories about agreements, such as two people who sign, and writes the requests with which each
// vendor reports them.
//
// The stories are the same for all vendors. How a vendor reports their steps is in events/<provider>/stories.tmpl. What
// must be true at the end follows from the story alone, not from the code that receives the requests.
package story

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"text/template"
	"time"

	"esignhooks/events"
	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Story is something that may happen to an agreement.
type Story struct {
	Name   string
	Title  string // what happens, in one line
	Number int    // of agreements to play it with, if the user does not say

	people int
	steps  []step
}

// step is one thing that happens, some time after the step before it.
type step struct {
	after time.Duration
	kind  string // the name of a template in stories.tmpl
	who   int    // the person whom it concerns
}

// Whom the steps concern. Cleo takes over from Ada.
const (
	ada = iota
	ben
	cleo
)

// Length is how long the story lasts at this pace.
func (s Story) Length(pace float64) (all time.Duration) {
	for _, step := range s.steps {
		all += time.Duration(float64(step.after) * pace)
	}
	return all
}

// optional are the steps that a vendor need not report. Without any other step a vendor does not have the story.
var optional = []string{"created", "sent", "asked", "viewed"}

// All lists the stories.
func All() []Story {
	const minute = time.Minute
	begin := []step{{0, "created", ada}, {minute, "sent", ada}, {time.Second, "asked", ada}, {time.Second, "asked", ben}}
	with := func(steps ...step) []step { return append(slices.Clone(begin), steps...) }
	signs := []step{{25 * minute, "viewed", ada}, {6 * minute, "signed", ada}}
	return []Story{
		{"two-signers", "two people sign", 1, 2, with(signs[0], signs[1],
			step{100 * minute, "viewed", ben}, step{8 * minute, "signed", ben}, step{2 * time.Second, "completed", ben})},
		{"decline", "one signs, and the other declines", 1, 2, with(signs[0], signs[1],
			step{70 * minute, "viewed", ben}, step{4 * minute, "declined", ben})},
		{"void", "one signs, and the sender withdraws the agreement", 1, 2, with(signs[0], signs[1],
			step{45 * minute, "cancelled", ada})},
		{"expiry", "one signs, and the other has not when the time is over", 1, 2, with(signs[0], signs[1],
			step{12 * time.Hour, "expired", ben})},
		{"delegation", "one hands over to a third person, and all the others sign", 1, 2, with(signs[0],
			step{9 * minute, "delegated", ada}, step{time.Second, "asked", cleo}, step{50 * minute, "viewed", cleo},
			step{5 * minute, "signed", cleo}, step{30 * minute, "viewed", ben}, step{7 * minute, "signed", ben},
			step{2 * time.Second, "completed", ben})},
		{"undeliverable", "one signs, and the other cannot be reached", 1, 2, with(
			step{40 * time.Second, "bounced", ben}, signs[0], signs[1])},
		{"bulk", "one person each signs many agreements", 100, 1, []step{
			{0, "created", ada}, {minute, "sent", ada}, {time.Second, "asked", ada}, signs[0], signs[1],
			{2 * time.Second, "completed", ada}}},
	}
}

// Book holds the stories of a vendor.
type Book struct {
	provider string
	templates
	Stories []Story
}

// files holds <provider>/stories.tmpl.
var files fs.FS = events.FS

// Open returns the provider's book. A provider without stories.tmpl has no stories.
func Open(p webhook.Provider) (*Book, error) {
	b := &Book{provider: p.Info().Name}
	text, err := fs.ReadFile(files, b.provider+"/stories.tmpl")
	if errors.Is(err, fs.ErrNotExist) {
		return b, nil
	} else if err != nil {
		return nil, err
	}
	t, err := template.New(b.provider).Funcs(functions).Option("missingkey=error").Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("story: %w", err)
	}
	b.templates = templates{t}
	b.Stories = slices.DeleteFunc(All(), func(s Story) bool {
		return slices.ContainsFunc(s.steps, func(step step) bool {
			return !slices.Contains(optional, step.kind) && t.Lookup(step.kind) == nil
		})
	})
	return b, nil
}

// Names lists the names of the stories.
func (b *Book) Names() (names []string) {
	for _, s := range b.Stories {
		names = append(names, s.Name)
	}
	return names
}

// Find returns a story. The error names those that there are.
func (b *Book) Find(name string) (Story, error) {
	names := b.Names()
	if i := slices.Index(names, name); i >= 0 {
		return b.Stories[i], nil
	}
	switch known := slices.ContainsFunc(All(), func(s Story) bool { return s.Name == name }); {
	case len(names) == 0:
		return Story{}, fmt.Errorf("%s has no stories: events/%s has no stories.tmpl", b.provider, b.provider)
	case known:
		return Story{}, fmt.Errorf("%s reports nothing that makes a story %q; its stories: %s", b.provider, name,
			strings.Join(names, ", "))
	}
	return Story{}, fmt.Errorf("no story %q; the stories of %s: %s", name, b.provider, strings.Join(names, ", "))
}

// Agreement is a story as it happens to one agreement.
type Agreement struct {
	ID       string
	Messages []Message // in the order in which they happen
	Truth    Truth
}

// Tell returns a story that begins at the given time, with a new agreement. pace stretches the pauses.
func (b *Book) Tell(s Story, start time.Time, pace float64) (*Agreement, error) {
	now := &scene{Key: random(), at: start.UTC()}
	for _, name := range []string{"Ada", "Ben"}[:s.people] {
		now.add(name)
	}
	now.Expires = start.UTC().Add(s.Length(pace)).Truncate(time.Second)
	if s.steps[len(s.steps)-1].kind != "expired" {
		now.Expires = now.Expires.Add(30 * 24 * time.Hour)
	}
	told := &Agreement{Truth: Truth{Participants: map[string]Person{}}}
	for _, step := range s.steps {
		now.at = now.at.Add(time.Duration(float64(step.after) * pace))
		now.happens(step)
		if b.Lookup(step.kind) == nil {
			continue
		}
		if status := statuses[step.kind]; told.Truth.Status.Before(status) {
			told.Truth.Status = status
		}
		told.Messages = append(told.Messages, Message{Step: step.kind, Number: len(told.Messages), At: now.At, book: b,
			scene: now.clone()})
	}
	told.Truth.Events = len(told.Messages)
	var err error
	if told.ID, err = b.word("agreement", now); err != nil {
		return nil, err
	}
	for _, p := range append(now.Replaced, now.People...) {
		if err := b.conclude(told.Truth.Participants, p); err != nil {
			return nil, err
		}
	}
	return told, nil
}

// conclude enters the state of a person.
func (b *Book) conclude(all map[string]Person, p *person) error {
	id, err := b.word("participant", p)
	if err != nil {
		return err
	}
	is := Person{Status: p.Status, Replaced: p.Replaced}
	if p.Bounced {
		problem, err := b.word("problem", p)
		if err != nil {
			return err
		}
		is.Problem = esign.Cause(problem)
	}
	if p.Status == esign.Expired && b.Lookup("at-expiry") != nil {
		status, err := b.word("at-expiry", p)
		if err != nil {
			return err
		}
		is.Status = esign.Status(status)
	}
	all[id] = is
	return nil
}

// Message is one request of a story.
type Message struct {
	Step   string
	Number int       // of the event in the story, from 0
	At     time.Time // when it happens
	book   *Book
	scene  scene
}

// Request returns the request, not signed yet, as the vendor sends it the given time, from 0, and through the given
// subscription, from 1.
func (m Message) Request(retry, subscription int) (*webhook.Request, error) {
	s := m.scene
	s.Retry, s.Subscription = retry, subscription
	return m.book.request(m.Step, &s)
}

// scene is what is so while a story goes on. Templates read it.
type scene struct {
	Key      string    // of the agreement: 32 random hex digits, from which the vendor's ID is made
	EventKey string    // of the event
	At       time.Time // in whole seconds
	Status   esign.Status
	Created  time.Time
	Sent     time.Time
	Ended    time.Time
	Expires  time.Time
	People   []*person // who acts, in turn
	Replaced []*person
	Who      *person // whom the event concerns
	From     *person // who has handed over to Who

	Name         string // of the event, as the vendor calls it
	Retry        int
	Subscription int

	at time.Time
}

type person struct {
	Key, Name, Email string
	Number           int // from 1
	Status           esign.Status
	Viewed, Acted    time.Time
	Bounced          bool
	Replaced         bool
	From             *person // whose task it was
}

// Open reports whether the person has neither acted nor been replaced.
func (p *person) Open() bool { return p.Acted.IsZero() && !p.Replaced }

// As returns the scene for an event with this name.
func (s *scene) As(name string) *scene {
	named := *s
	named.Name = name
	return &named
}

// Seen reports whether everybody has viewed the agreement.
func (s *scene) Seen() bool {
	return !slices.ContainsFunc(s.People, func(p *person) bool { return p.Viewed.IsZero() })
}

func (s *scene) add(name string) *person {
	number := len(s.People) + len(s.Replaced) + 1
	p := &person{Key: random(), Name: name + " Example", Email: strings.ToLower(name) + "@example.com", Number: number}
	s.People = append(s.People, p)
	return p
}

// statuses are those that the steps give an agreement.
var statuses = map[string]esign.Status{
	"created": esign.Created, "sent": esign.Sent, "asked": esign.Sent, "viewed": esign.Viewed, "signed": esign.Signed,
	"declined": esign.Declined, "cancelled": esign.Cancelled, "expired": esign.Expired, "completed": esign.Completed,
}

func (s *scene) happens(step step) {
	s.At, s.EventKey, s.From = s.at.Truncate(time.Second), random(), nil
	if step.who < len(s.People)+len(s.Replaced) {
		s.Who = s.person(step.who + 1)
	}
	if status := statuses[step.kind]; s.Status.Before(status) {
		s.Status = status
	}
	switch step.kind {
	case "created":
		s.Created = s.At
	case "sent":
		s.Sent = s.At
		for _, p := range s.People {
			p.Status = esign.Sent
		}
	case "viewed":
		s.Who.Status, s.Who.Viewed = esign.Viewed, s.At
	case "signed":
		s.Who.Status, s.Who.Acted = esign.Signed, s.At
	case "declined":
		s.Who.Status, s.Who.Acted, s.Ended = esign.Declined, s.At, s.At
	case "delegated":
		s.From = s.Who
		s.People = slices.DeleteFunc(s.People, func(p *person) bool { return p == s.From })
		s.From.Replaced = true
		s.Replaced = append(s.Replaced, s.From)
		s.Who = s.add("Cleo")
		s.Who.Status, s.Who.From = esign.Sent, s.From
	case "bounced":
		s.Who.Bounced = true
	case "cancelled", "completed":
		s.Ended = s.At
	case "expired":
		s.Ended = s.At
		for _, p := range s.People {
			if p.Open() {
				p.Status = esign.Expired
			}
		}
	}
}

func (s *scene) person(number int) *person {
	for _, p := range append(slices.Clone(s.People), s.Replaced...) {
		if p.Number == number {
			return p
		}
	}
	return nil
}

// clone returns a copy that later steps do not change.
func (s *scene) clone() scene {
	copied, known := *s, map[*person]*person{}
	var one func(p *person) *person
	one = func(p *person) *person {
		if p == nil || known[p] != nil {
			return known[p]
		}
		q := *p
		known[p] = &q
		q.From = one(p.From)
		return &q
	}
	all := func(people []*person) (copies []*person) {
		for _, p := range people {
			copies = append(copies, one(p))
		}
		return copies
	}
	copied.People, copied.Replaced = all(s.People), all(s.Replaced)
	copied.Who, copied.From = one(s.Who), one(s.From)
	return copied
}

func random() string {
	b := make([]byte, 16)
	rand.Read(b)
	return hex.EncodeToString(b)
}
