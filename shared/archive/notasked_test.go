package archive_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
)

const account = "account-2"

// reported is the job of a completion that was reported for an account.
func reported(provider, agreement, account string, proof esign.Proof) string {
	e := completed(provider, agreement)
	e.Detail.Event.AccountID, e.Detail.Event.Proof, e.Detail.Proof = account, proof, proof
	return archive.Job(e)
}

// list returns the list of a provider's completions that were not asked about.
func (w *world) list(provider string) []archive.Completion {
	w.t.Helper()
	all, err := archive.NotAsked{Notes: notes{w}, Provider: provider}.All(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return all
}

// outcome names what became of the only job.
func (w *world) outcome(provider string) string {
	var outcomes []string
	counted := w.counted()
	for _, metric := range []string{"Confirmed", "Archived", "Forged", "NotAsked"} {
		if counted[metric+" "+provider] > 0 {
			outcomes = append(outcomes, metric)
		}
	}
	if len(w.list(provider)) != int(counted["NotAsked "+provider]) || len(w.parked) != int(counted["Forged "+provider]) {
		outcomes = append(outcomes, fmt.Sprintf("%d on the list, %d parked", len(w.list(provider)), len(w.parked)))
	}
	return strings.Join(outcomes, ", ")
}

// TestOnlyACertainlyForeignCompletionIsNotAsked checks that each doubt leaves the judgement to the vendor's answer, so
// that nobody can silence the alarm by naming a foreign account.
func TestOnlyACertainlyForeignCompletionIsNotAsked(t *testing.T) {
	errDown := errors.New("down")
	answers := map[string]struct {
		agreement vendorapi.Agreement
		err       error
		asToday   string
	}{
		"unknown":   {err: vendorapi.ErrUnknown, asToday: "Forged"},
		"completed": {agreement: vendorapi.Agreement{Status: esign.Completed}, asToday: "Confirmed, Archived"},
		"sent":      {agreement: vendorapi.Agreement{Status: esign.Sent}, asToday: "Forged"},
		"declined":  {agreement: vendorapi.Agreement{Status: esign.Declined}, asToday: "Forged"},
		"denied":    {err: vendorapi.ErrDenied, asToday: ""},
	}
	foreign := map[string]func(esign.Event) (bool, error){
		"foreign":   func(e esign.Event) (bool, error) { return e.AccountID == account, nil },
		"uncertain": func(esign.Event) (bool, error) { return false, nil },
		"in doubt":  func(esign.Event) (bool, error) { return false, errDown },
	}
	for answer, tt := range answers {
		for verdict, is := range foreign {
			for _, proof := range []esign.Proof{esign.ProofSigned, esign.ProofPartlySigned, esign.ProofURLToken,
				esign.ProofClientID, ""} {
				for _, id := range []string{account, ""} {
					t.Run(fmt.Sprintf("%s, %s, %q, account %q", answer, verdict, proof, id), func(t *testing.T) {
						w := newWorld(t)
						w.vendor.status, w.vendor.foreign = tt.agreement, is
						w.vendor.statusErr = func() error { return tt.err }
						w.add(reported("acmesign", agreementID, id, proof))
						w.run(w.archiver())
						want := tt.asToday
						if answer == "unknown" && verdict == "foreign" && proof == esign.ProofSigned && id != "" {
							want = "NotAsked"
						}
						if got := w.outcome("acmesign"); got != want {
							t.Errorf("%s, want %s: %s", got, want, &w.log)
						}
						if asked := slices.Contains(w.steps, "foreign"); asked &&
							(answer != "unknown" || proof != esign.ProofSigned || id == "") {
							t.Error("asked for the account in vain")
						}
					})
				}
			}
		}
	}
}

// TestADoubtfulAccountIsNoReasonForSilence checks that an alarm starts if nobody can say whose agreement it is.
func TestADoubtfulAccountIsNoReasonForSilence(t *testing.T) {
	for name, tt := range map[string]struct {
		failures int
		want     string
		asked    int
	}{
		"it is known at last": {3, "NotAsked", 4}, "it never is": {100, "Forged", 14},
	} {
		t.Run(name, func(t *testing.T) {
			w, n := newWorld(t), 0
			w.vendor.statusErr = func() error { return vendorapi.ErrUnknown }
			w.vendor.foreign = func(esign.Event) (bool, error) {
				if n++; n <= tt.failures {
					return false, &vendorapi.LaterError{After: time.Minute}
				}
				return true, nil
			}
			w.add(reported("acmesign", agreementID, account, esign.ProofSigned))
			w.run(w.archiver())
			if got := w.outcome("acmesign"); got != tt.want || n != tt.asked {
				t.Errorf("%s after %d questions: %s", got, n, &w.log)
			}
		})
	}
}

// TestWhatIsNotAskedIsKeptWhateverFails lets each step fail once, also after its effect, or end the process.
func TestWhatIsNotAskedIsKeptWhateverFails(t *testing.T) {
	errFault := errors.New("fault")
	for name, fault := range map[string]func(do func() error) error{
		"the step fails":       func(func() error) error { return errFault },
		"the answer is lost":   func(do func() error) error { do(); return errFault },
		"another changes it":   func(func() error) error { return ledger.ErrConflict },
		"the process ends":     func(func() error) error { panic(errCrash) },
		"it ends after a step": func(do func() error) error { do(); panic(errCrash) },
	} {
		for at := 1; ; at++ {
			w := newWorld(t)
			w.vendor.statusErr = func() error { return vendorapi.ErrUnknown }
			w.vendor.foreign = func(esign.Event) (bool, error) { return true, nil }
			hit := false
			w.fault = func(n int, do func() error) error {
				if n == at {
					hit = true
					return fault(do)
				}
				return do()
			}
			w.add(reported("acmesign", agreementID, account, esign.ProofSigned))
			w.run(w.archiver())
			w.fault = nil
			if all := w.list("acmesign"); len(all) != 1 || all[0].AgreementID != agreementID ||
				len(w.parked)+len(w.dead)+len(w.sent) > 0 {
				t.Errorf("%s, step %d of %q: on the list %+v, %s", name, at, w.steps, all, &w.log)
			}
			if !hit {
				break
			}
		}
	}
}

func TestTheLogSaysWhatToDo(t *testing.T) {
	w := newWorld(t)
	w.vendor.statusErr = func() error { return vendorapi.ErrUnknown }
	w.vendor.foreign = func(esign.Event) (bool, error) { return true, nil }
	w.add(reported("acmesign", agreementID, account, esign.ProofSigned))
	w.run(w.archiver())
	for _, want := range []string{`"level":"WARN"`, "not asked", "acmesign", agreementID, account, "make redrive"} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("no %s in %s", want, &w.log)
		}
	}
}

// TestTheListHasNoLimit adds more completions than a note holds, some of them again.
func TestTheListHasNoLimit(t *testing.T) {
	const count = 300
	w := newWorld(t)
	w.vendor.statusErr = func() error { return vendorapi.ErrUnknown }
	w.vendor.foreign = func(esign.Event) (bool, error) { return true, nil }
	want := map[string]bool{}
	for i := range count {
		id := fmt.Sprintf("%s-%d", strings.Repeat("\x01", 200), i%250) // control characters are six times as long in JSON
		want[id] = true
		w.now = w.now.Add(time.Second)
		w.add(reported("acmesign", id, account, esign.ProofSigned))
		w.run(w.archiver())
	}
	got := map[string]bool{}
	for _, c := range w.list("acmesign") {
		got[c.AgreementID] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	longest := slices.MaxFunc(slices.Collect(maps.Values(w.notes)), func(a, b note) int {
		return len(a.text) - len(b.text)
	})
	if len(w.notes) < 10 || len(longest.text) > 40<<10 {
		t.Errorf("%d notes, the longest has %d bytes", len(w.notes), len(longest.text))
	}
	removed := 0
	err := archive.NotAsked{Notes: notes{w}, Provider: "acmesign"}.Remove(t.Context(),
		func(archive.Completion) (bool, error) { removed++; return true, nil })
	if left := w.list("acmesign"); err != nil || removed < len(want) || len(left) > 0 {
		t.Errorf("%v, %d removed, %d left", err, removed, len(left))
	}
}

// TestWhatIsAddedWhileItIsRemovedStays checks that a completion that is asked about again, and again not known, is not
// removed.
func TestWhatIsAddedWhileItIsRemovedStays(t *testing.T) {
	w := newWorld(t)
	w.vendor.statusErr = func() error { return vendorapi.ErrUnknown }
	w.vendor.foreign = func(esign.Event) (bool, error) { return true, nil }
	for _, id := range []string{"a", "b", "c"} {
		w.add(reported("acmesign", id, account, esign.ProofSigned))
	}
	w.run(w.archiver())
	errFull := errors.New("the queue is full")
	err := archive.NotAsked{Notes: notes{w}, Provider: "acmesign"}.Remove(t.Context(),
		func(c archive.Completion) (bool, error) {
			switch c.AgreementID {
			case "a":
				w.now = w.now.Add(time.Minute)
				w.add(archive.Job(c.Event("acmesign")))
				w.run(w.archiver())
				return true, nil
			case "b":
				return true, nil
			}
			return false, errFull
		})
	var left []string
	for _, c := range w.list("acmesign") {
		left = append(left, c.AgreementID)
	}
	if !errors.Is(err, errFull) || !slices.Equal(left, []string{"c", "a"}) {
		t.Errorf("%v; left %q", err, left)
	}
}

// TestANewerListIsLeftAlone checks that nothing overwrites a list that a newer release wrote, and nothing is lost.
func TestANewerListIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.vendor.statusErr = func() error { return vendorapi.ErrUnknown }
	w.vendor.foreign = func(esign.Event) (bool, error) { return true, nil }
	newer := note{`{"v":2,"completions":{}}`, 7}
	w.notes["acmesign/not-asked"] = newer
	w.add(reported("acmesign", agreementID, account, esign.ProofSigned))
	w.run(w.archiver())
	if w.notes["acmesign/not-asked"] != newer || len(w.dead) != 1 {
		t.Errorf("%+v, dead %d", w.notes, len(w.dead))
	}
}
