package reconcile_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
)

const pause = 15 * time.Minute

// office answers questions about one agreement.
type office struct {
	vendorapi.Client // no other method may be called
	pause            time.Duration
	asked            atomic.Int64
	answer           func(ctx context.Context, id string) (vendorapi.Agreement, error)
}

func (o *office) Pause() time.Duration { return o.pause }

func (o *office) Agreement(ctx context.Context, id string) (vendorapi.Agreement, error) {
	o.asked.Add(1)
	return o.answer(ctx, id)
}

// confirming returns a world whose vendor has a Pause and says this.
func confirming(t *testing.T, says vendorapi.Agreement) (*world, *office) {
	w := newWorld(t)
	w.allow("deal")
	o := &office{pause: pause, answer: func(context.Context, string) (vendorapi.Agreement, error) { return says, nil }}
	w.Clients = func(context.Context, string) (vendorapi.Client, error) { return o, nil }
	return w, o
}

func (w *world) ask(t *testing.T) reconcile.Reply {
	return w.Confirm(t.Context(), reconcile.Question{Provider: acmesign.Name, AgreementID: "e-1"})
}

// unread is a queue that nobody reads.
type unread struct {
	mu   sync.Mutex
	sent []queue.Message
}

func (u *unread) Send(_ context.Context, m queue.Message) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.sent = append(u.sent, m)
	return nil
}

func code(r reconcile.Reply) string {
	if r.Error == nil {
		return ""
	}
	return r.Error.Code
}

// TestConfirm compares each answer, which is given before anything is processed, with our agreement after that.
func TestConfirm(t *testing.T) {
	type people = []esign.Participant
	hour := start.Add(-time.Hour)
	deal := map[string]string{"deal": "1", "unlisted": "2"}
	sent := finding.Said{References: map[string]string{"deal": "1"}, Participants: people{{ID: "1",
		Status: esign.Sent}}}
	forged := finding.Said{Participants: people{{ID: "1", Aliases: []string{"one"}, Status: esign.Signed}}}
	for name, tt := range map[string]struct {
		ours         []esign.Status
		said         finding.Said // by the last event
		vendor       vendorapi.Agreement
		want         esign.Status
		person       esign.Status // whose ID is 1
		entered      esign.Type
		contradicted bool // which is not stored
	}{
		"what no webhook has brought": {nil, finding.Said{}, vendorapi.Agreement{Status: esign.Sent, References: deal,
			Participants: people{{ID: "1", Status: esign.Viewed}}}, esign.Sent, esign.Viewed, esign.AgreementSent, false},
		"the end": {[]esign.Status{esign.Sent}, sent, vendorapi.Agreement{Status: esign.Completed,
			References: deal}, esign.Completed, esign.Sent, esign.AgreementCompleted, false},
		"nothing new": {[]esign.Status{esign.Sent}, sent, vendorapi.Agreement{Status: esign.Sent,
			References: deal}, esign.Sent, esign.Sent, "", false},
		"an earlier status": {[]esign.Status{esign.Viewed}, sent, vendorapi.Agreement{Status: esign.Sent,
			References: deal}, esign.Viewed, esign.Sent, "", false},
		"one has signed": {[]esign.Status{esign.Sent}, sent, vendorapi.Agreement{Status: esign.Sent,
			Participants: people{{ID: "1", Status: esign.Signed, At: hour}}}, esign.Sent, esign.Signed,
			esign.AgreementUpdated, false},
		"a reference": {[]esign.Status{esign.Sent}, finding.Said{Participants: sent.Participants},
			vendorapi.Agreement{Status: esign.Sent, References: deal}, esign.Sent, esign.Sent, esign.AgreementUpdated, false},
		"a word that we do not know": {[]esign.Status{esign.Sent}, sent, vendorapi.Agreement{VendorStatus: "new",
			References: deal}, esign.Sent, esign.Sent, "", false},
		"a forged completion": {[]esign.Status{esign.Viewed, esign.Completed}, forged,
			vendorapi.Agreement{Status: esign.Sent, References: deal,
				Participants: people{{ID: "one", Status: esign.Sent}}}, esign.Viewed, esign.Sent, esign.AgreementUpdated, true},
		"a forged end, and another": {[]esign.Status{esign.Sent, esign.Completed}, sent,
			vendorapi.Agreement{Status: esign.Declined, References: deal}, esign.Declined, esign.Sent,
			esign.AgreementDeclined, true},
		"a forged decline of a completed agreement": {[]esign.Status{esign.Sent, esign.Declined}, sent,
			vendorapi.Agreement{Status: esign.Completed, References: deal}, esign.Completed, esign.Sent,
			esign.AgreementCompleted, false},
		"a forged signature": {[]esign.Status{esign.Sent}, forged, vendorapi.Agreement{Status: esign.Sent,
			References:   deal,
			Participants: people{{ID: "1", Status: esign.Viewed}}}, esign.Sent, esign.Viewed, esign.AgreementUpdated, true},
	} {
		t.Run(name, func(t *testing.T) {
			tt.vendor.ID, tt.vendor.ChangedAt = "e-1", start.Add(-time.Second)
			w, o := confirming(t, tt.vendor)
			for i, status := range tt.ours {
				said := finding.Said{}
				if i == len(tt.ours)-1 {
					said = tt.said
				}
				d := finding.Reconciled(acmesign.Name, "e-1", status, "", hour.Add(time.Duration(i)-time.Hour), start, said)
				d.EventID = fmt.Sprint(i) // as if it were a webhook's
				w.deliver(&d)
			}
			unread := new(unread)
			w.Queue = unread
			got := w.ask(t)
			if got.Error != nil || got.Agreement.Status != tt.want || got.Entered != (tt.entered != "") || got.Recently ||
				got.Contradicted != tt.contradicted || !got.AskedAt.Equal(start) || o.asked.Load() != 1 ||
				got.Agreement.Participants["1"].Status != tt.person || got.Agreement.Conflict && tt.contradicted {
				t.Errorf("%s: %+v %+v", code(got), got.Confirmation, got.Error)
			}
			if a := got.Agreement; a.Status.Terminal() && a.Reached[a.Status].IsZero() {
				t.Errorf("not reached: %+v", a)
			}
			if diff := cmp.Diff(map[string]string{"deal": "1"}, got.Agreement.References); diff != "" &&
				tt.vendor.References != nil {
				t.Error(diff)
			}
			w.now = w.now.Add(time.Second)
			again := w.ask(t)
			if again.Error != nil || !again.Recently || again.Entered || o.asked.Load() != 1 ||
				!again.AskedAt.Equal(start) ||
				again.Agreement.Status != tt.want || again.Agreement.Participants["1"].Status != tt.person {
				t.Errorf("asked again: %s %+v", code(again), again.Confirmation)
			}
			w.Queue = w
			for _, m := range unread.sent {
				must(t, w.Send(t.Context(), m))
			}
			ours, _, err := w.ledger.Agreement(t.Context(), "acmesign#e-1")
			must(t, err)
			if diff := cmp.Diff(got.Agreement, ours, cmpopts.EquateEmpty()); diff != "" && !tt.contradicted {
				t.Errorf("after it was processed: %s", diff)
			}
			if sent := len(unread.sent); sent != 0 && tt.entered == "" || tt.entered != "" && (sent != 1 ||
				!strings.Contains(unread.sent[0].Body, `"type":"`+string(tt.entered)+`"`) ||
				strings.Contains(unread.sent[0].Body, "unlisted")) {
				t.Errorf("%+v", unread.sent)
			}
			w.now = w.now.Add(pause)
			if third := w.ask(t); third.Recently || third.Entered && !tt.contradicted || third.Agreement.Status != tt.want ||
				o.asked.Load() != 2 {
				t.Errorf("after the pause: %s %+v", code(third), third.Confirmation)
			}
		})
	}
}

// distant lets all who read a note at the same time read the same.
type distant struct{ *world }

func (d distant) Note(ctx context.Context, name string) (string, int64, error) {
	text, version, err := d.world.Note(ctx, name)
	time.Sleep(time.Millisecond)
	return text, version, err
}

// TestConcurrentQuestionsAreOne lets several processes ask at once.
func TestConcurrentQuestionsAreOne(t *testing.T) {
	for name, tt := range map[string]struct {
		pause time.Duration
		takes time.Duration
		fails error
		asked int64
		codes map[string]int
	}{
		"the vendor demands a pause": {pause, time.Second, nil, 1, map[string]int{"": 5}},
		"the vendor demands none":    {0, time.Second, nil, 5, map[string]int{"": 5}},
		"a vendor that is slow": {pause, time.Hour, nil, 1, map[string]int{"too-slow": 1,
			"asked-recently": 4}},
		"a vendor that fails": {pause, time.Second, errDown, 1, map[string]int{"vendor-failed": 1,
			"asked-recently": 4}},
		"a vendor that was asked too often": {pause, 0, vendorapi.ErrNotReady, 1, map[string]int{"asked-recently": 5}},
	} {
		t.Run(name, func(t *testing.T) {
			w, o := confirming(t, vendorapi.Agreement{})
			o.pause, o.answer = tt.pause, func(ctx context.Context, id string) (vendorapi.Agreement, error) {
				select {
				case <-time.After(tt.takes):
				case <-ctx.Done():
					return vendorapi.Agreement{}, ctx.Err()
				}
				return vendorapi.Agreement{ID: id, Status: esign.Completed}, tt.fails
			}
			w.Queue, w.Notes = new(unread), distant{w}
			synctest.Test(t, func(t *testing.T) {
				w.Now = time.Now
				var all sync.WaitGroup
				var mu sync.Mutex
				codes, times := map[string]int{}, map[time.Time]bool{}
				for range 5 {
					all.Go(func() {
						began := time.Now()
						got := w.ask(t)
						mu.Lock()
						defer mu.Unlock()
						if codes[code(got)]++; time.Since(began) > reconcile.ConfirmTimeout {
							t.Errorf("took %s", time.Since(began))
						}
						if got.Confirmation != nil && got.Agreement.Status != esign.Completed {
							t.Errorf("%+v", got.Confirmation)
						} else if got.Confirmation != nil {
							times[got.AskedAt] = true
						}
					})
				}
				all.Wait()
				if !maps.Equal(codes, tt.codes) || o.asked.Load() != tt.asked || len(times) > 1 {
					t.Errorf("%v, asked %d times, at %v", codes, o.asked.Load(), times)
				}
				time.Sleep(time.Minute) // then a vendor that failed may be asked again
				before := o.asked.Load()
				got := w.ask(t)
				if again := tt.pause == 0 || tt.fails == errDown || tt.takes == time.Hour; again != (o.asked.Load() > before) {
					t.Errorf("a minute later: %s %+v", code(got), got.Confirmation)
				}
			})
		})
	}
}

// hanging lets calls of one kind hang until their context ends.
type hanging struct {
	*world
	queue.Sender
	what string
}

func (h hanging) wait(ctx context.Context, what string) error {
	if h.what != what {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (h hanging) Agreement(ctx context.Context, subject string) (a esign.Agreement, version int64, err error) {
	if err := h.wait(ctx, "table"); err != nil {
		return a, 0, err
	}
	return h.world.Agreement(ctx, subject)
}

func (h hanging) Note(ctx context.Context, name string) (string, int64, error) {
	if err := h.wait(ctx, "notes"); err != nil {
		return "", 0, err
	}
	return h.world.Note(ctx, name)
}

func (h hanging) PutNote(ctx context.Context, name, text string, version int64) error {
	if strings.Contains(text, `"state"`) {
		if err := h.wait(ctx, "answers"); err != nil {
			return err
		}
	}
	return h.world.PutNote(ctx, name, text, version)
}

func (h hanging) Send(ctx context.Context, m queue.Message) error {
	if err := h.wait(ctx, "queue"); err != nil {
		return err
	}
	return h.Sender.Send(ctx, m)
}

// TestConfirmEndsInTime lets everything hang in turn.
func TestConfirmEndsInTime(t *testing.T) {
	for what, want := range map[string]string{"credentials": "unavailable", "vendor": "too-slow",
		"table": "unavailable",
		"notes": "unavailable", "answers": "", "queue": "", "": ""} {
		t.Run(what, func(t *testing.T) {
			w, o := confirming(t, vendorapi.Agreement{})
			h := hanging{w, new(unread), what}
			w.Agreements, w.Notes, w.Queue = h, h, h
			w.Clients = func(ctx context.Context, _ string) (vendorapi.Client, error) {
				return o, h.wait(ctx,
					"credentials")
			}
			o.answer = func(ctx context.Context, id string) (vendorapi.Agreement, error) {
				return vendorapi.Agreement{ID: id, Status: esign.Sent}, h.wait(ctx, "vendor")
			}
			synctest.Test(t, func(t *testing.T) {
				w.Now = time.Now
				began := time.Now()
				got := w.ask(t)
				if took := time.Since(began); took > reconcile.ConfirmTimeout || code(got) != want {
					t.Errorf("%s after %s", code(got), took)
				}
				if got.Confirmation != nil && (got.Agreement.Status != esign.Sent || got.Entered == (what == "queue")) {
					t.Errorf("%+v", got.Confirmation)
				}
			})
		})
	}
}

// TestWhyThereIsNoConfirmation checks the codes, that each message says what to do, and that a failed question can be
// repeated.
func TestWhyThereIsNoConfirmation(t *testing.T) {
	const secret = "a-secret"
	for name, tt := range map[string]struct {
		question reconcile.Question
		client   error
		vendor   error
		want     reconcile.Problem // Message: a part
		again    bool              // a second question asks the vendor again at once
	}{
		"no agreement": {reconcile.Question{Provider: "acmesign"}, nil, nil,
			reconcile.Problem{Code: "bad-request", Message: "agreementId"}, false},
		"no provider": {reconcile.Question{AgreementID: "e-1"}, nil, nil,
			reconcile.Problem{Code: "bad-request", Message: "agreementId"}, false},
		"an unknown provider": {reconcile.Question{Provider: secret, AgreementID: "e-1"}, nil, nil,
			reconcile.Problem{Code: "unknown-provider", Message: "acmesign"}, false},
		"no credentials": {client: vendorapi.ErrOff, want: reconcile.Problem{Code: "not-asked",
			Message: "credentials"}},
		"a vendor without an API": {client: vendorapi.ErrNoClient, want: reconcile.Problem{Code: "not-asked",
			Message: "credentials"}},
		"a secret that is gone": {client: errDown, want: reconcile.Problem{Code: "unavailable", Message: "secret"}},
		"an unknown agreement": {vendor: vendorapi.ErrUnknown, want: reconcile.Problem{Code: "unknown-agreement",
			Message: "check the ID"}, again: true},
		"an impossible ID": {vendor: vendorapi.ErrInvalid, want: reconcile.Problem{Code: "unknown-agreement",
			Message: "check the ID"}, again: true},
		"a denied request": {vendor: vendorapi.ErrDenied, want: reconcile.Problem{Code: "denied",
			Message: "permission"}, again: true},
		"an API that cannot": {vendor: errors.ErrUnsupported, want: reconcile.Problem{Code: "not-asked",
			Message: "credentials"}, again: true},
		"a rate limit": {vendor: &vendorapi.LaterError{After: 90 * time.Minute},
			want: reconcile.Problem{Code: "rate-limited", Message: "retry", RetryAfter: 5400}},
		"asked too often": {vendor: vendorapi.ErrNotReady, want: reconcile.Problem{Code: "asked-recently",
			Message: "retry", RetryAfter: 900}},
		"a vendor that fails": {vendor: errDown, want: reconcile.Problem{Code: "vendor-failed",
			Message: "retry", RetryAfter: 60}},
	} {
		t.Run(name, func(t *testing.T) {
			w, o := confirming(t, vendorapi.Agreement{})
			w.Clients = func(context.Context, string) (vendorapi.Client, error) {
				if tt.client != nil {
					return nil, fmt.Errorf("acmesign: %w", tt.client)
				}
				return o, nil
			}
			o.answer = func(context.Context, string) (vendorapi.Agreement, error) {
				return vendorapi.Agreement{}, fmt.Errorf("acmesign: %w", tt.vendor)
			}
			if tt.question == (reconcile.Question{}) {
				tt.question = reconcile.Question{Provider: "acmesign", AgreementID: "e-1"}
			}
			got := w.Confirm(t.Context(), tt.question)
			text, err := json.Marshal(got)
			must(t, err)
			if p := got.Error; p == nil || p.Code != tt.want.Code || !strings.Contains(p.Message, tt.want.Message) ||
				p.RetryAfter != tt.want.RetryAfter || !strings.HasPrefix(string(text), `{"error":{"code":"`) ||
				strings.Contains(string(text)+w.log.String(), secret) || len(w.sent) > 0 {
				t.Errorf("%s, logged %s", text, w.log.String())
			}
			before := o.asked.Load()
			if w.Confirm(t.Context(), tt.question); (o.asked.Load() > before) != tt.again {
				t.Errorf("asked %d, then %d times", before, o.asked.Load())
			}
			if before == 0 || tt.again {
				return
			}
			w.now = w.now.Add(time.Duration(tt.want.RetryAfter) * time.Second)
			if w.Confirm(t.Context(), tt.question); o.asked.Load() != before+1 {
				t.Errorf("after %d s: asked %d times", tt.want.RetryAfter, o.asked.Load())
			}
		})
	}
}

// TestARateLimitIsKept lets a question meet the vendor's limit. Then neither another question nor a pass asks before it
// has ended, and the limit that a pass meets holds for questions.
func TestARateLimitIsKept(t *testing.T) {
	limited := fmt.Errorf("acmesign: %w", &vendorapi.LaterError{After: 20 * time.Minute})
	for name, passFirst := range map[string]bool{"met by a question": false, "met by a pass": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.happen("e-1", esign.Sent, start.Add(-time.Hour))
			calls := 0
			w.vendor.answer = func(string) error {
				if calls++; calls == 1 {
					return limited
				}
				return nil
			}
			if passFirst {
				must(t, w.pass())
			} else if got := w.ask(t); code(got) != "rate-limited" || got.Error.RetryAfter != 1200 {
				t.Errorf("%+v", got)
			}
			w.now = w.now.Add(10 * time.Minute)
			if got := w.ask(t); code(got) != "rate-limited" || got.Error.RetryAfter != 600 {
				t.Errorf("%+v", got)
			}
			if must(t, w.pass()); calls != 1 {
				t.Errorf("%d calls before the limit ends", calls)
			}
			w.now = w.now.Add(10 * time.Minute)
			if got := w.ask(t); got.Error != nil || got.Agreement.Status != esign.Sent {
				t.Errorf("%+v", got)
			}
		})
	}
}

// TestAFaultAtAnyStepOfAQuestion lets each external call fail once, in each way. A minute later the answer is right,
// and it has effect once.
func TestAFaultAtAnyStepOfAQuestion(t *testing.T) {
	for _, fault := range []string{before, after, dies} {
		for n := 1; ; n++ {
			w, o := confirming(t, vendorapi.Agreement{})
			o.answer = func(_ context.Context, id string) (a vendorapi.Agreement, err error) {
				err = w.do(func() error {
					a = vendorapi.Agreement{ID: id, Status: esign.Completed, References: map[string]string{"deal": "1"}}
					return nil
				})
				return a, err
			}
			w.failing, w.fault = n, fault
			first := w.ask(t)
			steps := w.step
			w.failing = 0
			if first.Confirmation != nil && first.Agreement.Status != esign.Completed {
				t.Errorf("%s at step %d: %+v", fault, n, first.Confirmation)
			}
			w.now = w.now.Add(time.Minute)
			if got := w.ask(t); got.Error != nil || got.Agreement.Status != esign.Completed || o.asked.Load() > 2 {
				t.Errorf("%s at step %d: %s, asked %d times, first %s", fault, n, code(got), o.asked.Load(), code(first))
			}
			enteredOnce(t, w)
			if n > steps {
				if n < 6 || first.Error != nil {
					t.Errorf("only %d steps, %s", n, code(first))
				}
				break
			}
		}
	}
}

// TestNotesThatCannotBeTrusted checks that a question is asked all the same.
func TestNotesThatCannotBeTrusted(t *testing.T) {
	name := reconcile.LastAskedNote("acmesign", "e-1")
	if reconcile.LastAskedNote("acmesign", "E-1") != name || reconcile.LastAskedNote("acmesign", "e-2") == name {
		t.Error("the name depends on the case only")
	}
	for kind, text := range map[string]string{
		"nothing": "", "nonsense": "{", "of a later release": `{"v":2,"until":"2026-11-23T09:01:00Z"}`,
		"a clock that was ahead": `{"v":1,"until":"2027-11-23T09:01:00Z"}`,
	} {
		w, o := confirming(t, vendorapi.Agreement{ID: "e-1", Status: esign.Sent,
			References:   map[string]string{"deal": "text"},
			Participants: []esign.Participant{{ID: "1", Status: esign.Sent, Reference: "text"}}})
		must(t, w.ledger.PutNote(t.Context(), name, text, 0))
		if got := w.ask(t); got.Error != nil || o.asked.Load() != 1 {
			t.Errorf("%s: %s", kind, code(got))
		}
		stored, _, err := w.ledger.Note(t.Context(), name)
		must(t, err)
		if strings.Contains(stored, "text") || !strings.Contains(stored, `"state":{"id":"e-1","status":"sent"`) {
			t.Errorf("%s: %s", kind, stored)
		}
	}
}

// TestAnExpiredAgreementIsNotEnteredAgain checks an agreement that the table has forgotten.
func TestAnExpiredAgreementIsNotEnteredAgain(t *testing.T) {
	for old, entered := range map[time.Duration]bool{31 * 24 * time.Hour: false, 29 * 24 * time.Hour: true} {
		w, _ := confirming(t, vendorapi.Agreement{ID: "e-1", Status: esign.Completed, ChangedAt: start.Add(-old)})
		w.Remembers = 30 * 24 * time.Hour
		if got := w.ask(t); got.Error != nil || got.Entered != entered || got.Agreement.Status != esign.Completed ||
			got.Agreement.ID != "e-1" || (len(w.sent) == 1) != entered {
			t.Errorf("%s: %+v", old, got.Confirmation)
		}
	}
}

func TestReadQuestion(t *testing.T) {
	asked := reconcile.Question{Provider: "docusign", AgreementID: "x"}
	for payload, want := range map[string]struct {
		q  reconcile.Question
		ok bool
	}{
		`{"provider":"docusign","agreementId":"x"}`: {asked, true},
		`{"agreementId":"x"}`:                       {reconcile.Question{AgreementID: "x"}, true},
		`{"provider":"docusign","agreementId":1}`:   {reconcile.Question{}, true},
		`{"version":"0","id":"53dc4d37","detail-type":"Scheduled Event","source":"aws.events","detail":{}}`: {},
		`{}`: {}, `null`: {}, ``: {}, `[1]`: {}, `"x"`: {},
	} {
		if q, ok := reconcile.ReadQuestion([]byte(payload)); q != want.q || ok != want.ok {
			t.Errorf("%s: %+v, %v", payload, q, ok)
		}
	}
}

func TestAForgottenAgreementIsNotEnteredAgain(t *testing.T) {
	w, _ := confirming(t, vendorapi.Agreement{ID: "e-1", Status: esign.Completed, ChangedAt: start.Add(-time.Second)})
	must(t, w.ledger.Bury(t.Context(), "acmesign#e-1", start))
	if reply := w.ask(t); reply.Error != nil || reply.Agreement.Status != esign.Completed || reply.Entered ||
		len(w.sent) > 0 {
		t.Errorf("%+v", reply)
	}
	note, _, err := w.ledger.Note(t.Context(), reconcile.LastAskedNote(acmesign.Name, "e-1"))
	if must(t, err); strings.Contains(note, "state") {
		t.Errorf("the note: %s", note)
	}
}
