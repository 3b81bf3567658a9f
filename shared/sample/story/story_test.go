package story_test

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var start = time.Date(2026, 11, 2, 8, 0, 0, 999, time.FixedZone("", 3600))

// told has a vendor's story about one agreement.
func told(t *testing.T, p webhook.Provider, s story.Story) *story.Agreement {
	t.Helper()
	book, err := story.Open(p)
	if err != nil {
		t.Fatal(err)
	}
	a, err := book.Tell(s, start, 1)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// each runs a test with every story of every vendor.
func each(t *testing.T, f func(*testing.T, webhook.Provider, story.Story)) {
	for _, p := range provider.All() {
		book, err := story.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range book.Stories {
			t.Run(p.Info().Name+"/"+s.Name, func(t *testing.T) { f(t, p, s) })
		}
	}
}

func normalize(t *testing.T, p webhook.Provider, r *webhook.Request) (webhook.Identity, esign.Event) {
	t.Helper()
	ids, err := p.Identify(r)
	if err != nil || len(ids) != 1 {
		t.Fatalf("%v, %v: %s", ids, err, r.Body)
	}
	event, err := p.Normalize(webhooktest.Delivery(p, r, ids[0], ""))
	if err != nil {
		t.Fatal(err)
	}
	return ids[0], event
}

// TestTheTruthIsWhatTheEventsMean folds the events of each story in many orders, some of them twice, and compares the
// result with what the story says.
func TestTheTruthIsWhatTheEventsMean(t *testing.T) {
	each(t, func(t *testing.T, p webhook.Provider, s story.Story) {
		a := told(t, p, s)
		events, ids := []esign.Event{}, map[string]bool{}
		for _, m := range a.Messages {
			for subscription := range 2 {
				r, err := m.Request(subscription, subscription+1)
				if err != nil {
					t.Fatal(err)
				}
				id, event := normalize(t, p, r)
				if id.AgreementID != a.ID {
					t.Errorf("about %q instead of %q", id.AgreementID, a.ID)
				}
				if off := event.OccurredAt.Sub(m.At); !event.OccurredAt.IsZero() && !event.Approximate && off != 0 {
					t.Errorf("%s: off by %v", m.Step, off)
				}
				if event.OccurredAt.IsZero() {
					event.OccurredAt, event.Approximate = time.Now(), true
				}
				ids[id.EventID] = true
				events = append(events, event)
			}
		}
		if len(ids) != a.Truth.Events {
			t.Errorf("%d events instead of %d", len(ids), a.Truth.Events)
		}
		for seed := range uint64(slow.Cases(5, 100)) {
			if seed > 0 {
				rand.New(rand.NewPCG(seed, 0)).Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
			}
			var folded esign.Agreement
			for _, e := range events {
				folded = esign.Fold(folded, e)
			}
			if diff := a.Truth.Differences(folded, a.Truth.Events); len(diff) > 0 {
				var types []string
				for _, e := range events {
					types = append(types, string(e.VendorType))
				}
				t.Fatalf("order %d, %s:\n%s", seed, strings.Join(types, " "), strings.Join(diff, "\n"))
			}
		}
	})
}

func TestRequestsAreGenuineAndWellFormed(t *testing.T) {
	each(t, func(t *testing.T, p webhook.Provider, s story.Story) {
		key := webhook.NewSecret("key-of-a-test-0123456789")
		for _, m := range told(t, p, s).Messages {
			r, err := m.Request(0, 1)
			if err != nil {
				t.Fatal(err)
			}
			if err := p.Sign(r, key, time.Now()); err != nil {
				t.Fatal(err)
			}
			if _, err := p.Verify(r, webhook.Keys{Keys: []webhook.Secret{key}}); err != nil {
				t.Error(err)
			}
			from, to := strings.Index(string(r.Body), "{"), strings.LastIndex(string(r.Body), "}")+1
			if body := r.Body[from:to]; !json.Valid(body) || strings.Contains(string(body), "<no value>") {
				t.Errorf("%s", r.Body)
			}
		}
	})
}

func TestEachMessageIsItsOwn(t *testing.T) {
	each(t, func(t *testing.T, p webhook.Provider, s story.Story) {
		a, b := told(t, p, s), told(t, p, s)
		if a.ID == b.ID || !cmp.Equal(a.Truth.Status, b.Truth.Status) {
			t.Errorf("%v and %v", a.ID, b.ID)
		}
		for i := range a.Messages[1:] {
			if a.Messages[i+1].At.Before(a.Messages[i].At) {
				t.Errorf("%v is not in order", a.Messages[i+1])
			}
		}
	})
}

// TestStories lists which vendor has which story.
func TestStories(t *testing.T) {
	all := "two-signers decline void expiry delegation undeliverable bulk"
	want := map[string]string{
		"adobesign": all, "boldsign": all, "docusign": all, "dropboxsign": all,
		"esignglobal": strings.Replace(all, "delegation ", "", 1),
	}
	for name, stories := range want {
		p, _ := webhook.Find(provider.All(), name)
		book, err := story.Open(p)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(stories, strings.Join(book.Names(), " ")); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// stranger is a provider without stories.
type stranger struct{ webhook.Provider }

func (stranger) Info() webhook.Info { return webhook.Info{Name: "stranger"} }

func TestAStoryThatAVendorCannotTellIsRefused(t *testing.T) {
	global, _ := webhook.Find(provider.All(), "esignglobal")
	for name, tt := range map[string]struct {
		provider webhook.Provider
		story    string
		want     []string
	}{
		"not reported by the vendor": {global, "delegation", []string{"esignglobal reports nothing", "two-signers, decline, void"}},
		"unknown":                    {global, "opera", []string{`no story "opera"`, "two-signers, decline, void"}},
		"no stories":                 {stranger{}, "void", []string{"stranger has no stories"}},
	} {
		t.Run(name, func(t *testing.T) {
			book, err := story.Open(tt.provider)
			if err != nil {
				t.Fatal(err)
			}
			_, err = book.Find(tt.story)
			if err == nil || !slices.ContainsFunc(tt.want, func(s string) bool { return strings.Contains(err.Error(), s) }) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestDifferences(t *testing.T) {
	truth := story.Truth{Status: esign.Declined, Events: 5, Participants: map[string]story.Person{
		"a": {Status: esign.Signed}, "b": {Status: esign.Declined}, "c": {Status: esign.Sent, Problem: esign.CauseBounced},
	}}
	right := func() esign.Agreement {
		return esign.Agreement{Status: esign.Declined, Participants: map[string]esign.Progress{
			"a": {Status: esign.Signed}, "x": {Status: esign.Declined, Aliases: []string{"b"}},
			"c": {Status: esign.Sent, Problem: esign.CauseBounced},
		}}
	}
	for name, tt := range map[string]struct {
		change func(a *esign.Agreement)
		events int
		want   []string
	}{
		"equal":            {func(*esign.Agreement) {}, 5, nil},
		"status":           {func(a *esign.Agreement) { a.Status = esign.Signed }, 5, []string{"status"}},
		"events":           {func(*esign.Agreement) {}, 6, []string{"events"}},
		"a person missing": {func(a *esign.Agreement) { delete(a.Participants, "a") }, 5, []string{"participants", "participant a"}},
		"a person more":    {func(a *esign.Agreement) { a.Participants["d"] = esign.Progress{} }, 5, []string{"participants"}},
		"exchanged": {func(a *esign.Agreement) {
			a.Participants["a"], a.Participants["x"] = esign.Progress{Status: esign.Declined}, esign.Progress{
				Status: esign.Signed, Aliases: []string{"b"}}
		}, 5, []string{"participant a", "participant b"}},
		"replaced": {func(a *esign.Agreement) {
			a.Participants["a"] = esign.Progress{Status: esign.Signed, Replaced: true}
		}, 5, []string{"participant a"}},
		"no problem": {func(a *esign.Agreement) { a.Participants["c"] = esign.Progress{Status: esign.Sent} }, 5,
			[]string{"participant c"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := right()
			tt.change(&a)
			got := truth.Differences(a, tt.events)
			if len(got) != len(tt.want) {
				t.Fatalf("got %q", got)
			}
			for i, prefix := range tt.want {
				if !strings.HasPrefix(got[i], prefix) {
					t.Errorf("got %q, want %q", got[i], prefix)
				}
			}
		})
	}
}
