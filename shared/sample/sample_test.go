package sample_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// The times at which samples are made: before and after those of the examples, in whole seconds and not, in UTC and
// not.
var times = map[string]time.Time{
	"later":              time.Date(2027, 3, 14, 15, 9, 26, 535897932, time.UTC),
	"earlier":            time.Date(2025, 12, 31, 23, 59, 59, 999999999, time.UTC),
	"on a full second":   time.Date(2028, 2, 29, 0, 0, 0, 0, time.UTC),
	"in another zone":    time.Date(2026, 12, 31, 20, 0, 0, 1, time.FixedZone("", -8*3600)),
	"in an hour of 2032": time.Date(2032, 11, 2, 9, 30, 0, 500e6, time.UTC),
}

// meaning is what a request's first event means.
func meaning(t *testing.T, p webhook.Provider, r *webhook.Request) (webhook.Identity, esign.Event) {
	t.Helper()
	ids, err := p.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	event, err := p.Normalize(webhooktest.Delivery(p, r, ids[0], ""))
	if err != nil {
		t.Fatal(err)
	}
	return ids[0], event
}

// genuine fails unless r is genuine under key, and under no other.
func genuine(t *testing.T, p webhook.Provider, r *webhook.Request, key string) {
	t.Helper()
	verify := func(key string) error {
		keys := webhook.Keys{Keys: webhook.Secrets(key)}
		if r.Method == "GET" {
			_, err := p.Challenge(r, keys)
			return err
		}
		_, err := p.Verify(r, keys)
		return err
	}
	if err := verify(key); err != nil {
		t.Errorf("under its key: %v", err)
	}
	if err := verify("another-" + key); !errors.Is(err, webhook.ErrNotGenuine) {
		t.Errorf("under another key: %v", err)
	}
}

func TestNamesAreTheFilesOfTheFolder(t *testing.T) {
	for _, p := range provider.All() {
		name := p.Info().Name
		files, err := filepath.Glob(filepath.Join(webhooktest.Root(t), "events", name, "*.json"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%v, %v", files, err)
		}
		for i, file := range files {
			files[i] = strings.TrimSuffix(filepath.Base(file), ".json")
		}
		if diff := cmp.Diff(files, sample.Names(p)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

func TestEveryExampleBecomesAFreshRequest(t *testing.T) {
	for _, p := range provider.All() {
		info := p.Info()
		examples := webhooktest.Examples(t, info.Name)
		for _, name := range sample.Names(p) {
			t.Run(info.Name+"/"+name, func(t *testing.T) {
				original := examples[name]
				for when, now := range times {
					for _, key := range []string{info.DevelopmentKey, "key-of-a-test-0123456789"} {
						r, agreement, err := sample.Request(p, name, "", webhook.NewSecret(key), now)
						if err != nil {
							t.Fatal(err)
						}
						genuine(t, p, r, key)
						if r.Method != original.Method {
							t.Fatalf("%s instead of %s", r.Method, original.Method)
						}
						if r.Method != "POST" {
							if agreement != "" {
								t.Errorf("about %q", agreement)
							}
							continue
						}
						wasID, was := meaning(t, p, original)
						id, event := meaning(t, p, r)
						fresh(t, when, now, was, event)
						if id.AgreementID != agreement || (agreement == "") != (wasID.AgreementID == "") {
							t.Errorf("%s: about %q, and says %q; the example is about %q", when, id.AgreementID, agreement,
								wasID.AgreementID)
						}
						if agreement == "" {
							continue
						}
						if agreement == wasID.AgreementID ||
							strings.Contains(strings.ToLower(string(r.Body)), strings.ToLower(wasID.AgreementID)) {
							t.Errorf("%s: the example's agreement %q is still there", when, wasID.AgreementID)
						}
						if len(agreement) != len(wasID.AgreementID) {
							t.Errorf("%q does not look like %q", agreement, wasID.AgreementID)
						}
						if id.EventID == wasID.EventID || id.Subject == wasID.Subject {
							t.Errorf("%s: the event is the example's", when)
						}
					}
				}
			})
		}
	}
}

// fresh checks the event's time, and that nothing else of its meaning has changed.
func fresh(t *testing.T, when string, now time.Time, was, is esign.Event) {
	t.Helper()
	if is.OccurredAt.IsZero() != was.OccurredAt.IsZero() || is.Approximate != was.Approximate {
		t.Errorf("%s: occurred at %v, the example's at %v", when, is.OccurredAt, was.OccurredAt)
	}
	if off := is.OccurredAt.Sub(now).Abs(); !is.OccurredAt.IsZero() && off > time.Second {
		t.Errorf("%s: occurred at %v, %v from now", when, is.OccurredAt, off)
	}
	if is.Type != was.Type || is.VendorType != was.VendorType || is.Participant != was.Participant ||
		len(is.Participants) != len(was.Participants) {
		t.Errorf("%s: means %+v, the example %+v", when, is, was)
	}
	for i := range min(len(is.Participants), len(was.Participants)) { // they moved with the event, by whole seconds or not
		a, b := was.Participants[i], is.Participants[i]
		if a.ID != b.ID || a.Status != b.Status || a.At.IsZero() != b.At.IsZero() {
			t.Errorf("%s: participant %+v, in the example %+v", when, b, a)
		}
		if off := b.At.Sub(is.OccurredAt) - a.At.Sub(was.OccurredAt); !a.At.IsZero() && off.Abs() > time.Second {
			t.Errorf("%s: participant %s moved by %v against the event", when, a.ID, off)
		}
	}
}

func TestRequestIsAboutTheGivenAgreement(t *testing.T) {
	for _, p := range provider.All() {
		info := p.Info()
		examples := webhooktest.Examples(t, info.Name)
		for _, name := range sample.Names(p) {
			t.Run(info.Name+"/"+name, func(t *testing.T) {
				original := examples[name]
				for _, given := range []string{
					"0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "0123456789abcdef0123456789abcdef01234567", "a1", "with_under.score",
				} {
					r, agreement, err := sample.Request(p, name, given, webhook.NewSecret(info.DevelopmentKey), times["later"])
					if err != nil {
						t.Fatal(err)
					}
					genuine(t, p, r, info.DevelopmentKey)
					if r.Method != "POST" {
						if agreement != "" {
							t.Errorf("a %s is about no agreement, and says %q", r.Method, agreement)
						}
						continue
					}
					wasID, was := meaning(t, p, original)
					id, event := meaning(t, p, r)
					want := given
					if wasID.AgreementID == "" {
						want = "" // not about an agreement, whatever is asked for
					}
					if agreement != want || id.AgreementID != want || event.AgreementID != want {
						t.Errorf("asked for %q, says %q, is about %q", given, agreement, id.AgreementID)
					}
					fresh(t, "later", times["later"], was, event)
				}
			})
		}
	}
}

func TestAGivenAgreementIsNotTakenForATime(t *testing.T) {
	for _, p := range provider.All() {
		name, err := sample.Completed(p)
		if err != nil {
			t.Fatal(err)
		}
		for _, given := range []string{"1700000000", "1700000000123", "2026-11-02T09:30:00"} {
			r, agreement, err := sample.Request(p, name, given, webhook.NewSecret(p.Info().DevelopmentKey), times["later"])
			if err != nil {
				t.Fatal(err)
			}
			if id, _ := meaning(t, p, r); id.AgreementID != agreement {
				t.Errorf("%s/%s: says %q, is about %q", p.Info().Name, name, agreement, id.AgreementID)
			}
		}
	}
}

func TestTheReturnedAgreementIsTheOneThatIsStored(t *testing.T) { // it is printed for people to look it up
	for _, p := range provider.All() {
		name, err := sample.Completed(p)
		if err != nil {
			t.Fatal(err)
		}
		r, agreement, err := sample.Request(p, name, "0A1B2C3D-4E5F-4A6B-8C7D-9E0F1A2B3C4D",
			webhook.NewSecret(p.Info().DevelopmentKey), times["later"])
		if err != nil {
			t.Fatal(err)
		}
		if id, _ := meaning(t, p, r); id.AgreementID != agreement {
			t.Errorf("%s/%s: says %q, is about %q", p.Info().Name, name, agreement, id.AgreementID)
		}
	}
}

func TestAnAgreementMayBeTheExamplesOwn(t *testing.T) {
	for _, p := range provider.All() {
		for name, original := range webhooktest.Examples(t, p.Info().Name) {
			if original.Method != "POST" {
				continue
			}
			was, _ := meaning(t, p, original)
			if was.AgreementID == "" {
				continue
			}
			_, agreement, err := sample.Request(p, name, was.AgreementID, webhook.NewSecret(p.Info().DevelopmentKey),
				times["later"])
			if err != nil || agreement != was.AgreementID {
				t.Errorf("%s/%s: %q, %v", p.Info().Name, name, agreement, err)
			}
		}
	}
}

// The README says: take the events of one agreement, one after the other.
func TestSamplesOfOneAgreementFoldIntoOne(t *testing.T) {
	for _, p := range provider.All() {
		name, err := sample.Completed(p)
		if err != nil {
			t.Fatal(err)
		}
		key := webhook.NewSecret(p.Info().DevelopmentKey)
		r, agreement, err := sample.Request(p, name, "", key, times["later"])
		if err != nil || agreement == "" {
			t.Fatalf("%q, %v", agreement, err)
		}
		id, event := meaning(t, p, r)
		if event.Type != esign.AgreementCompleted {
			t.Errorf("%s: %s", name, event.Type)
		}
		for _, other := range sample.Names(p) {
			r, about, err := sample.Request(p, other, agreement, key, times["later"].Add(time.Hour))
			if err != nil {
				t.Fatal(err)
			}
			if about == "" || r.Method != "POST" {
				continue
			}
			if otherID, _ := meaning(t, p, r); otherID.Subject != id.Subject {
				t.Errorf("%s and %s: %s and %s", name, other, id.Subject, otherID.Subject)
			}
		}
	}
}

func TestTwiceGivesDifferentAgreements(t *testing.T) {
	for _, p := range provider.All() {
		for _, name := range sample.Names(p) {
			agreements, events := map[string]bool{}, map[string]bool{}
			n := slow.Cases(3, 20)
			for range n {
				r, agreement, err := sample.Request(p, name, "", webhook.NewSecret(p.Info().DevelopmentKey), times["later"])
				if err != nil {
					t.Fatal(err)
				}
				if agreement == "" {
					break
				}
				id, _ := meaning(t, p, r)
				agreements[agreement], events[id.EventID] = true, true
			}
			if len(agreements) > 0 && (len(agreements) < n || len(events) < n) {
				t.Errorf("%s/%s: %d agreements and %d events in %d requests", p.Info().Name, name, len(agreements), len(events), n)
			}
		}
	}
}

// TestTheSameRequestTwiceIsTheSameEvent samples one agreement twice at one instant. That is one event, unless the event
// has an ID of its own, on which the agreement has no influence.
func TestTheSameRequestTwiceIsTheSameEvent(t *testing.T) {
	const agreement, other = "0a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d", "1a1b2c3d-4e5f-4a6b-8c7d-9e0f1a2b3c4d"
	for _, p := range provider.All() {
		for _, name := range sample.Names(p) {
			var ids []string
			var last *webhook.Request
			for range 2 {
				r, _, err := sample.Request(p, name, agreement, webhook.NewSecret(p.Info().DevelopmentKey), times["later"])
				if err != nil {
					t.Fatal(err)
				}
				if r.Method == "POST" {
					id, _ := meaning(t, p, r)
					ids, last = append(ids, id.EventID), r
				}
			}
			if len(ids) == 0 || ids[0] == ids[1] {
				continue
			}
			last.Body = bytes.ReplaceAll(last.Body, []byte(agreement), []byte(other))
			if id, _ := meaning(t, p, last); id.EventID != ids[1] {
				t.Errorf("%s/%s: %v", p.Info().Name, name, ids)
			}
		}
	}
}

func TestJSONStaysJSON(t *testing.T) {
	for _, p := range provider.All() {
		examples := webhooktest.Examples(t, p.Info().Name)
		for _, name := range sample.Names(p) {
			if !json.Valid(examples[name].Body) {
				continue
			}
			r, _, err := sample.Request(p, name, "", webhook.NewSecret(p.Info().DevelopmentKey), times["earlier"])
			if err != nil || !json.Valid(r.Body) {
				t.Errorf("%s/%s: %v: %s", p.Info().Name, name, err, r.Body)
			}
		}
	}
}

func TestUnknownExamplesListTheKnownOnes(t *testing.T) {
	for _, p := range provider.All() {
		for _, name := range []string{
			"no-such-example", "", "../" + p.Info().Name + "/" + sample.Names(p)[0], sample.Names(p)[0] + ".json", "*",
			strings.ToUpper(sample.Names(p)[0]),
		} {
			r, agreement, err := sample.Request(p, name, "", webhook.NewSecret("canary-key"), times["later"])
			if err == nil || r != nil || agreement != "" {
				t.Fatalf("%q is %+v", name, r)
			}
			if !strings.Contains(err.Error(), p.Info().Name) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v", err)
			}
			for _, there := range sample.Names(p) {
				if !strings.Contains(err.Error(), there) {
					t.Errorf("the error does not name %s: %v", there, err)
				}
			}
		}
	}
}

func TestCompletedNamesAnExampleThatCompletes(t *testing.T) {
	for _, p := range provider.All() {
		name, err := sample.Completed(p)
		if err != nil || !slices.Contains(sample.Names(p), name) {
			t.Fatalf("%q, %v", name, err)
		}
		shortest := webhooktest.Examples(t, p.Info().Name)
		if _, event := meaning(t, p, shortest[name]); event.Type != esign.AgreementCompleted {
			t.Errorf("%s is %s", name, event.Type)
		}
		for other, r := range shortest {
			if r.Method != "POST" || len(r.Body) >= len(shortest[name].Body) {
				continue
			}
			if _, event := meaning(t, p, r); event.Type == esign.AgreementCompleted {
				t.Errorf("%s is shorter than %s", other, name)
			}
		}
	}
}

// unknown is a provider without examples.
type unknown struct{ webhook.Provider }

func (unknown) Info() webhook.Info { return webhook.Info{Name: "unknown"} }

func TestAProviderWithoutExamples(t *testing.T) {
	if names := sample.Names(unknown{}); len(names) > 0 {
		t.Error(names)
	}
	if _, err := sample.Completed(unknown{}); err == nil {
		t.Error("no error")
	}
	if _, _, err := sample.Request(unknown{}, "x", "", webhook.Secret{}, time.Time{}); err == nil {
		t.Error("no error")
	}
}

func TestExamplesAreEmbeddedAsTheyAreOnDisk(t *testing.T) {
	for _, p := range provider.All() {
		files, err := os.ReadDir(filepath.Join(webhooktest.Root(t), "events", p.Info().Name))
		files = slices.DeleteFunc(files, func(f os.DirEntry) bool { return f.Name() == "stories.tmpl" })
		if err != nil || len(files) != len(sample.Names(p)) {
			t.Errorf("%s: %d files, %d examples, %v", p.Info().Name, len(files), len(sample.Names(p)), err)
		}
	}
}

// TestHarmless checks that the doctor's sample completes nothing: an archiver would ask for its documents.
func TestHarmless(t *testing.T) {
	for _, p := range provider.All() {
		r, _, err := sample.Request(p, sample.Harmless(p), "", webhook.NewSecret("key"), times["later"])
		if err != nil {
			t.Errorf("%s: %v", p.Info().Name, err)
		} else if _, event := meaning(t, p, r); event.Type.Status() != "" {
			t.Errorf("%s: the sample is %s", p.Info().Name, event.Type)
		}
	}
}
