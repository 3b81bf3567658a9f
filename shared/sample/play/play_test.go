package play_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/sample/play"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
)

const address = "https://hooks.example.com/webhooks/x/secret-canary"

func find(t *testing.T, name string) webhook.Provider {
	t.Helper()
	p, ok := webhook.Find(provider.All(), name)
	if !ok {
		t.Fatalf("no provider %s", name)
	}
	return p
}

// app is a receiver that does with the nth request what a test says: "" acknowledges, a number is that status, and
// "hang", "break" and "redirect" are what they say. It ends every list with its last element.
type app struct {
	provider webhook.Provider
	does     []string

	state func(query url.Values) (status int, body string) // what a GET answers

	mu    sync.Mutex
	began time.Time
	at    []time.Duration
	false int // requests that the right key has not signed
}

var right = webhook.Secrets("key-of-a-test-0123456789")

func (a *app) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Method == http.MethodGet {
		status, body := a.state(r.URL.Query())
		w.WriteHeader(status)
		io.WriteString(w, body)
		return w.Result(), nil
	}
	body, _ := io.ReadAll(r.Body)
	a.mu.Lock()
	does := a.does[min(len(a.at), len(a.does)-1)]
	a.at = append(a.at, time.Since(a.began))
	sent := &webhook.Request{Method: r.Method, Header: r.Header, Body: body}
	if _, err := a.provider.Verify(sent, webhook.Keys{Keys: right}); err != nil {
		a.false++
	}
	a.mu.Unlock()
	switch does {
	case "":
		answer := a.provider.Acknowledge(sent)
		for name, values := range answer.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Status)
		w.Write(answer.Body)
	case "hang":
		<-r.Context().Done()
		return nil, r.Context().Err()
	case "break":
		return nil, errors.New("connection reset")
	case "redirect":
		w.Header().Set("Location", address+"/elsewhere")
		w.WriteHeader(http.StatusFound)
	default:
		var status int
		fmt.Sscan(does, &status)
		w.WriteHeader(status)
	}
	return w.Result(), nil
}

// plays plays a story at real pace in a bubble.
func plays(t *testing.T, plan play.Plan, does ...string) (
	report *play.Report, at []time.Duration, steps []play.Progress,
) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		a := &app{provider: plan.Provider, does: does, began: time.Now()}
		plan.Speed, plan.URL, plan.Client = 1, address, &http.Client{Transport: a}
		plan.Keys = right
		plan.Progress = func(p play.Progress) { steps = append(steps, p) }
		p, err := play.New(plan)
		if err != nil {
			t.Fatal(err)
		}
		if report, err = p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if at = a.at; a.false != report.False {
			t.Errorf("%d requests were false, and should have been refused: %d", a.false, report.False)
		}
	})
	return report, at, steps
}

// vendors are those whose stories can be played.
func vendors() []webhook.Provider {
	return slices.DeleteFunc(provider.All(), func(p webhook.Provider) bool {
		_, retries := p.(webhook.Retrier)
		book, err := story.Open(p)
		return err == nil && len(book.Stories) == 0 || !retries
	})
}

func every(n int, d time.Duration) []time.Duration { return slices.Repeat([]time.Duration{d}, n) }

// TestRetries has an application that acknowledges nothing, and looks at the pauses before the retries of the first
// message, which come from the vendors' documents.
func TestRetries(t *testing.T) {
	const s, m, h = time.Second, time.Minute, time.Hour
	for name, tt := range map[string]struct {
		pauses  []time.Duration
		inOrder bool
	}{
		"adobesign": {[]time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 64 * m, 128 * m, 256 * m, 512 * m, 12 * h,
			12 * h, 12 * h, 12 * h, 6*h + 57*m}, true},
		"boldsign":    {[]time.Duration{m, 15 * m, 45 * m, h, 8 * h, 24 * h}, false},
		"docusign":    {every(10, 24*h), true},
		"dropboxsign": {[]time.Duration{5 * m, 15 * m, 45 * m, 135 * m, 405 * m, 1215 * m}, false},
		"esignglobal": {[]time.Duration{10 * s, 30 * s, m, 2 * m, 3 * m, 4 * m, 5 * m, 6 * m, 7 * m, 8 * m, 9 * m, 10 * m,
			20 * m, 30 * m, h, 2 * h}, false},
	} {
		t.Run(name, func(t *testing.T) {
			report, _, steps := plays(t, play.Plan{Provider: find(t, name), Story: "bulk", Number: 1}, "503")
			var times []time.Time
			first := steps[0].Step
			for _, step := range steps {
				if step.Step == first {
					times = append(times, step.At)
				}
			}
			var pauses []time.Duration
			for i := range len(times) - 1 {
				pauses = append(pauses, times[i+1].Sub(times[i]).Round(time.Millisecond))
			}
			want := tt.pauses
			if name == "dropboxsign" {
				want = want[:len(pauses)] // ten failures come first
			}
			if diff := cmp.Diff(want, pauses); diff != "" {
				t.Error(diff)
			}
			if only := len(times) == len(steps); only != tt.inOrder {
				t.Errorf("only the first message was tried: %v", only)
			}
			if report.GivenUp != report.Messages || report.Acknowledged > 0 || report.Requests != len(steps) {
				t.Errorf("%+v", report)
			}
		})
	}
}

func TestTenFailuresInARowClearTheURL(t *testing.T) {
	report, at, steps := plays(t, play.Plan{Provider: find(t, "dropboxsign"), Story: "bulk", Number: 5}, "500")
	last := steps[len(steps)-1].Outcome
	if len(at) != 10 || report.GivenUp != report.Messages || !strings.Contains(last, "10 failures in a row") {
		t.Errorf("%d requests, %d given up of %d, %s", len(at), report.GivenUp, report.Messages, last)
	}
	almost := append(slices.Repeat([]string{"500"}, 9), "")
	if report, _, _ := plays(t, play.Plan{Provider: find(t, "dropboxsign"), Story: "bulk", Number: 5}, almost...); report.
		GivenUp > 0 {
		t.Errorf("%+v", report)
	}
}

// TestWhatCounts lets the first request fail in many ways. None but a timely acknowledgement in the vendor's own form
// counts. Later messages of an ordered vendor wait for the retry.
func TestWhatCounts(t *testing.T) {
	waits := map[string]time.Duration{ // from the first try to the second
		"adobesign": time.Minute, "boldsign": time.Minute, "docusign": 24 * time.Hour, "dropboxsign": 5 * time.Minute,
		"esignglobal": 10 * time.Second,
	}
	timeouts := map[string]time.Duration{
		"adobesign": 5 * time.Second, "boldsign": 10 * time.Second, "docusign": 100 * time.Second,
		"dropboxsign": 30 * time.Second, "esignglobal": 5 * time.Second,
	}
	for vendor, wait := range waits {
		for _, does := range []string{"hang", "break", "redirect", "500", "401", "404", "202", "200"} {
			t.Run(vendor+"/"+does, func(t *testing.T) {
				accepts := map[string]bool{
					"docusign/200": true, "docusign/202": true, "boldsign/200": true, // no body is needed
				}[vendor+"/"+does]
				report, _, steps := plays(t, play.Plan{Provider: find(t, vendor), Story: "two-signers"}, does, "")
				if report.Acknowledged != report.Messages || report.GivenUp > 0 || (report.Retried == 0) != accepts {
					t.Fatalf("%+v", report)
				}
				if accepts {
					return
				}
				i := slices.IndexFunc(steps, func(s play.Progress) bool { return s.Try == 1 })
				if got := steps[i].At.Sub(steps[0].At).Round(time.Millisecond); got != wait {
					t.Errorf("retried after %v", got)
				}
				if does == "hang" && steps[0].Took != timeouts[vendor] {
					t.Errorf("waited %v for the answer", steps[0].Took)
				}
				ordered := vendor == "adobesign" || vendor == "docusign"
				if ordered && i != 1 {
					t.Errorf("%d requests came before the retry", i)
				}
				if strings.Contains(steps[0].Outcome, "canary") {
					t.Error(steps[0].Outcome)
				}
			})
		}
	}
}

// TestFaults looks at the requests that each fault makes.
func TestFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		fault play.Fault
		check func(r *play.Report, messages int) bool
	}{
		"none":      {"", func(r *play.Report, n int) bool { return r.Requests == n && r.Retried == 0 }},
		"duplicate": {play.Duplicate, func(r *play.Report, n int) bool { return r.Requests == 2*n && r.Messages == 2*n }},
		"lost":      {play.LostAck, func(r *play.Report, n int) bool { return r.Lost > 0 && r.Retried == r.Lost }},
		"late":      {play.Late, func(r *play.Report, n int) bool { return r.Requests == n && r.Seconds > 3600 }},
		"reorder":   {play.Reorder, func(r *play.Report, n int) bool { return r.Requests == n && r.Retried == 0 }},
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range vendors() {
				plain, _, in := plays(t, play.Plan{Provider: p, Story: "two-signers"}, "")
				plan := play.Plan{Provider: p, Story: "two-signers", Faults: []play.Fault{tt.fault}, Seed: 7}
				report, _, steps := plays(t, plan, "")
				if !tt.check(report, plain.Messages) || report.Acknowledged != report.Messages {
					t.Errorf("%s: %+v", p.Info().Name, report)
				}
				names := func(steps []play.Progress) (all []string) {
					for _, s := range steps {
						all = append(all, s.Step)
					}
					return all
				}
				if same := slices.Equal(names(in), names(steps)); (tt.fault == play.Reorder || tt.fault == play.Late) && same {
					t.Errorf("%s: in the same order: %v", p.Info().Name, names(steps))
				}
			}
		})
	}
}

// TestFalseRequestsMustBeRefused plays to an application that accepts all.
func TestFalseRequestsMustBeRefused(t *testing.T) {
	for _, fault := range []play.Fault{play.WrongKey, play.RotatedKey, play.ChangedBody} {
		report, _, _ := plays(t, play.Plan{Provider: find(t, "docusign"), Story: "void", Faults: []play.Fault{fault}}, "")
		if report.Verdict != play.Wrong || len(report.Differences) != report.False || report.False == 0 {
			t.Errorf("%s: %+v", fault, report)
		}
	}
}

// TestNobodyNoticesAChange at a vendor that does not sign the body.
func TestNobodyNoticesAChange(t *testing.T) {
	plan := play.Plan{Provider: find(t, "adobesign"), Story: "void", Faults: []play.Fault{play.ChangedBody}}
	report, _, _ := plays(t, plan, "")
	if report.Unnoticed == 0 || report.False > 0 || report.Retried > 0 {
		t.Errorf("%+v", report)
	}
}

func TestMistakesInAPlan(t *testing.T) {
	plan := func() play.Plan {
		return play.Plan{Provider: find(t, "adobesign"), Story: "void", URL: address, Keys: webhook.Secrets("k")}
	}
	for name, tt := range map[string]struct {
		change func(*play.Plan)
		want   string
	}{
		"unknown story":  {func(p *play.Plan) { p.Story = "opera" }, "two-signers"},
		"no key":         {func(p *play.Plan) { p.Keys = nil }, "no key"},
		"too many":       {func(p *play.Plan) { p.Number = play.MaxNumber + 1 }, "from 1 to 10000"},
		"negative speed": {func(p *play.Plan) { p.Speed = -1 }, "the speed -1 is not from 0.001"},
		"no speed":       {func(p *play.Plan) { p.Speed = math.NaN() }, "the speed NaN is not from 0.001"},
		"no URL":         {func(p *play.Plan) { p.URL = "" }, "the URL is not like"},
		"another scheme": {func(p *play.Plan) { p.URL = "file:///secret-canary" }, "the URL is not like"},
		"no URL at all":  {func(p *play.Plan) { p.URL = "http://%zz/secret-canary" }, "the URL is not like"},
	} {
		t.Run(name, func(t *testing.T) {
			changed := plan()
			tt.change(&changed)
			_, err := play.New(changed)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
	if _, err := play.ParseFaults("late,typhoon"); err == nil || !strings.Contains(err.Error(), "changed-body") {
		t.Error(err)
	}
	if faults, err := play.ParseFaults(" late, duplicate,"); err != nil || len(faults) != 2 {
		t.Error(faults, err)
	}
}

func TestThePlayEndsWithItsContext(t *testing.T) {
	for _, p := range vendors() {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			a := &app{provider: p, does: []string{""}, began: time.Now()}
			run, err := play.New(play.Plan{Provider: p, Story: "two-signers", Number: 20, Speed: 1, URL: address,
				Keys: webhook.Secrets("k"), Client: &http.Client{Transport: a}})
			if err != nil {
				t.Fatal(err)
			}
			if report, err := run.Run(ctx); !errors.Is(err, context.DeadlineExceeded) || report != nil {
				t.Errorf("%+v, %v", report, err)
			}
		})
	}
}
