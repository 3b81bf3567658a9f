package vendorapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/stored"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

var errDown = errors.New("out of reach")

// notes is the table's notes, in memory.
type notes struct {
	mu      sync.Mutex
	text    string
	version int64
	written []string

	slow    time.Duration // the age of what is read
	readErr error
	// beforeWrite is called before the nth write, from 1. If it returns an error, that is the answer; the write happens
	// all the same if happens is set.
	beforeWrite func(n int) error
	happens     bool
}

func (n *notes) Note(_ context.Context, name string) (string, int64, error) {
	defer time.Sleep(n.slow)
	n.mu.Lock()
	defer n.mu.Unlock()
	if name != "acmesign/token" {
		panic(name)
	}
	return n.text, n.version, n.readErr
}

func (n *notes) PutNote(ctx context.Context, name, text string, version int64) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.written = append(n.written, text)
	if err := ctx.Err(); err != nil {
		return err
	}
	if n.beforeWrite != nil {
		if err := n.beforeWrite(len(n.written)); err != nil {
			if n.happens {
				n.text, n.version = text, version+1
			}
			return err
		}
	}
	if version != n.version {
		if n.text == text && n.version == version+1 {
			return nil
		}
		return ledger.ErrConflict
	}
	n.text, n.version = text, version+1
	return nil
}

// issuer is a vendor whose tokens last for a day. When it issues a token, the one before soon expires.
type issuer struct {
	mu     sync.Mutex
	given  []time.Time // when token n was given; they count from 1
	takes  time.Duration
	lasts  time.Duration
	err    error
	during int // fetches that are under way
	most   int
}

func (v *issuer) fetch(ctx context.Context) (string, time.Time, error) {
	v.mu.Lock()
	v.during++
	v.most = max(v.most, v.during)
	v.mu.Unlock()
	var err error
	select {
	case <-ctx.Done():
		err = ctx.Err()
	case <-time.After(v.takes):
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.during--
	if err = errors.Join(err, v.err); err != nil {
		return "", time.Time{}, err
	}
	v.given = append(v.given, time.Now())
	return fmt.Sprint("token-", len(v.given)), time.Now().Add(v.lasts), nil
}

// takes reports whether the vendor accepts a token now.
func (v *issuer) accepts(token string) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	var n int
	fmt.Sscanf(token, "token-%d", &n)
	return n == len(v.given) || n > 0 && n < len(v.given) && time.Since(v.given[n]) < 5*time.Minute
}

func newIssuer() *issuer { return &issuer{takes: time.Second, lasts: 24 * time.Hour} }

// process returns a process that shares tokens. Its clock may be wrong.
func process(n *notes, v *issuer, wrong time.Duration) *vendorapi.Tokens {
	return &vendorapi.Tokens{
		Provider: "acmesign", Secret: webhook.NewSecret("app-secret"), Fetch: v.fetch, Notes: n,
		Now: func() time.Time { return time.Now().Add(wrong) },
	}
}

func token(t *testing.T, tokens *vendorapi.Tokens) string {
	t.Helper()
	got, err := tokens.Token(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// reject makes the request with this token fail.
func reject(t *testing.T, tokens *vendorapi.Tokens, token string) bool {
	t.Helper()
	return tokens.Rejected(t.Context(), http.Header{"Authorization": {"Bearer " + token}})
}

func TestOneTokenForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{slow: time.Millisecond}, newIssuer()
		v.takes = 10 * time.Second
		var group sync.WaitGroup
		for range 8 {
			tokens := process(n, v, 0)
			for range 16 {
				group.Go(func() {
					if got, err := tokens.Token(t.Context()); got != "token-1" || err != nil {
						t.Errorf("%q, %v", got, err)
					}
				})
			}
		}
		start := time.Now()
		group.Wait()
		if len(v.given) != 1 || time.Since(start) > 11*time.Second {
			t.Errorf("%d tokens in %v", len(v.given), time.Since(start))
		}
	})
}

func TestATokenIsReplacedShortlyBeforeItExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		a, b := process(n, v, 0), process(n, v, 0)
		for _, step := range []struct {
			wait time.Duration
			want string
		}{{0, "token-1"}, {24*time.Hour - 2*time.Minute - time.Second, "token-1"}, {time.Second, "token-2"}} {
			time.Sleep(step.wait)
			for _, tokens := range []*vendorapi.Tokens{a, b, process(n, v, 0)} {
				if got := token(t, tokens); got != step.want {
					t.Errorf("%s, want %s", got, step.want)
				}
			}
		}
		if len(v.given) != 2 || v.most != 1 {
			t.Errorf("%d tokens, %d at once", len(v.given), v.most)
		}
	})
}

func TestARejectedTokenIsReplacedByAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		a, b := process(n, v, 0), process(n, v, 0)
		token(t, a)
		token(t, b)
		time.Sleep(time.Hour)
		if !reject(t, a, "token-1") || token(t, a) != "token-2" {
			t.Error("the process whose request failed keeps the token")
		}
		if token(t, b) != "token-1" {
			t.Error("the other process dropped a token that was not rejected there")
		}
		if !reject(t, b, "token-1") || token(t, b) != "token-2" {
			t.Error("the other process does not use the new token")
		}
		if !reject(t, b, "token-1") || token(t, b) != "token-2" {
			t.Error("a late rejection of the old token drops the new one")
		}
		if len(v.given) != 2 {
			t.Errorf("%d tokens", len(v.given))
		}
	})
}

// TestANewTokenIsNotReplacedWhenRejected rejects a token that was just issued. Otherwise a missing access right would
// make every request fetch another token.
func TestANewTokenIsNotReplacedWhenRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		a, b := process(n, v, 0), process(n, v, 0)
		token(t, a)
		time.Sleep(59 * time.Second)
		token(t, b)
		if reject(t, a, "token-1") || reject(t, b, "token-1") || token(t, a) != "token-1" {
			t.Error("a new token is replaced")
		}
		time.Sleep(time.Second)
		if !reject(t, b, "token-1") || token(t, b) != "token-2" {
			t.Error("an older token is not replaced")
		}
		early := process(n, v, -time.Hour) // to its clock, the token is from the future
		token(t, early)
		if !reject(t, early, "token-2") || token(t, early) != "token-3" {
			t.Error("a token from the future is not replaced")
		}
		if a.Rejected(t.Context(), http.Header{"Authorization": {"Basic x"}}) {
			t.Error("a string that is not our token is treated as rejected")
		}
	})
}

func TestBearer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		var seen []string
		client, _ := serve(t, func(w http.ResponseWriter, r *http.Request) {
			authorization := r.Header.Get("Authorization")
			if seen = append(seen, authorization); authorization != fmt.Sprint("Bearer token-", len(v.given)) {
				w.WriteHeader(http.StatusUnauthorized)
			}
		})
		tokens := process(n, v, 0)
		h := vendorapi.HTTP{Client: client, Authorize: tokens.Bearer, Rejected: tokens.Rejected, Now: time.Now}
		call := func() error { return send(t.Context(), &h, http.MethodPost, nil) }
		if err := call(); err != nil {
			t.Error(err)
		}
		time.Sleep(time.Hour)
		v.fetch(t.Context()) // for another process, so that our token expires
		if err := call(); err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff([]string{"Bearer token-1", "Bearer token-1", "Bearer token-3"}, seen); diff != "" {
			t.Error(diff)
		}
		time.Sleep(time.Hour)
		v.fetch(t.Context())
		v.err = errDown
		if err := call(); !errors.Is(err, errDown) { // a temporary error, not ErrDenied
			t.Error(err)
		}
	})
}

func TestALeaseEndsWithTheProcessThatHadIt(t *testing.T) {
	for name, tt := range map[string]struct {
		clock     time.Duration // error of the dead process's clock
		wait, max time.Duration
	}{
		"all clocks agree":                 {0, 40 * time.Second, 42 * time.Second},
		"its clock was a little fast":      {10 * time.Second, 50 * time.Second, 52 * time.Second},
		"its clock was slow":               {-10 * time.Second, 30 * time.Second, 32 * time.Second},
		"its clock was a minute fast":      {time.Minute, 0, 2 * time.Second},
		"its clock was hours slow":         {-3 * time.Hour, 0, 2 * time.Second},
		"its clock was in another century": {1e6 * time.Hour, 0, 2 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, v := &notes{}, newIssuer()
				n.beforeWrite = func(nth int) error {
					if nth == 2 { // the token; the process ends before
						return errDown
					}
					return nil
				}
				token(t, process(n, v, tt.clock))
				start := time.Now()
				if got := token(t, process(n, v, 0)); got != "token-2" {
					t.Error(got)
				}
				if waited := time.Since(start); waited < tt.wait-2*time.Second || waited > tt.max {
					t.Errorf("waited for %v", waited)
				}
			})
		})
	}
}

func TestWaitingForAnotherProcessHasADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		v.takes = 20 * time.Second
		slow := process(n, v, 0)
		var group sync.WaitGroup
		group.Go(func() { token(t, slow) })
		synctest.Wait()
		for name, tokens := range map[string]*vendorapi.Tokens{"in the same process": slow, "in another": process(n, v, 0)} {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			start := time.Now()
			_, err := tokens.Token(ctx)
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 2*time.Second {
				t.Errorf("%s: %v after %v", name, err, time.Since(start))
			}
			if tokens == slow && tokens.Rejected(ctx, http.Header{"Authorization": {"Bearer x"}}) {
				t.Errorf("%s: rejected a token after its deadline", name)
			}
			cancel()
		}
		group.Wait()
		if len(v.given) != 1 {
			t.Errorf("%d tokens", len(v.given))
		}
	})
}

func TestAFailedFetchReleasesTheLease(t *testing.T) {
	for name, tt := range map[string]struct {
		takes time.Duration
		err   error
		ends  time.Duration // when the caller gives up
		want  error
		after time.Duration
	}{
		"the vendor fails":           {time.Second, errDown, time.Hour, errDown, time.Second},
		"the vendor hangs":           {time.Hour, nil, time.Hour, context.DeadlineExceeded, 35 * time.Second},
		"the caller gives up":        {time.Hour, nil, 3 * time.Second, context.DeadlineExceeded, 3 * time.Second},
		"the credentials are denied": {time.Second, vendorapi.ErrDenied, time.Hour, vendorapi.ErrDenied, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, v := &notes{}, newIssuer()
				v.takes, v.err = tt.takes, tt.err
				ctx, cancel := context.WithTimeout(t.Context(), tt.ends)
				defer cancel()
				start := time.Now()
				got, err := process(n, v, 0).Token(ctx)
				if got != "" || !errors.Is(err, tt.want) || time.Since(start) != tt.after {
					t.Errorf("%q, %v after %v", got, err, time.Since(start))
				}
				v.takes, v.err = 0, nil
				start = time.Now()
				if got := token(t, process(n, v, 0)); got != "token-1" || time.Since(start) > 0 {
					t.Errorf("%s after %v", got, time.Since(start))
				}
			})
		})
	}
}

// TestATokenIsSharedEvenIfItsCallerGivesUp lets the caller give up after the vendor has issued the token.
func TestATokenIsSharedEvenIfItsCallerGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		ctx, cancel := context.WithCancel(t.Context())
		tokens := process(n, v, 0)
		tokens.Fetch = func(ctx context.Context) (string, time.Time, error) {
			defer cancel()
			return v.fetch(ctx)
		}
		if got, err := tokens.Token(ctx); got != "token-1" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		if got := token(t, process(n, v, 0)); got != "token-1" {
			t.Error(got)
		}
	})
}

func TestNotesThatFail(t *testing.T) {
	t.Run("a token in memory needs no note", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, v := &notes{}, newIssuer()
			tokens := process(n, v, 0)
			token(t, tokens)
			n.readErr, n.beforeWrite = errDown, func(int) error { return errDown }
			if got := token(t, tokens); got != "token-1" {
				t.Error(got)
			}
		})
	})
	t.Run("without notes no token is fetched, since that could expire another's", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, n := range []*notes{{readErr: errDown}, {beforeWrite: func(int) error { return errDown }}} {
				v := newIssuer()
				if _, err := process(n, v, 0).Token(t.Context()); !errors.Is(err, errDown) || len(v.given) > 0 {
					t.Errorf("%v, and %d tokens", err, len(v.given))
				}
			}
		})
	})
	t.Run("a lease that was written although the call failed expires", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			n, v := &notes{happens: true}, newIssuer()
			n.beforeWrite = func(nth int) error {
				if nth == 1 {
					return errDown
				}
				return nil
			}
			tokens := process(n, v, 0)
			if _, err := tokens.Token(t.Context()); !errors.Is(err, errDown) {
				t.Error(err)
			}
			if got := token(t, tokens); got != "token-1" || len(v.given) != 1 {
				t.Errorf("%s of %d", got, len(v.given))
			}
		})
	})
	t.Run("an invalid note is overwritten", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			for _, text := range []string{"{", "[]", `{"sealed":"?","expires":"9999-01-01T00:00:00Z"}`,
				`{"sealed":"AAAA","expires":"9999-01-01T00:00:00Z"}`} {
				n, v := &notes{text: text, version: 7}, newIssuer()
				for range 2 {
					if got := token(t, process(n, v, 0)); got != "token-1" {
						t.Errorf("%s: %s", text, got)
					}
				}
			}
		})
	})
}

// TestAnOlderTokenNeverReplacesANewerOne suspends a process for so long that its lease expires.
func TestAnOlderTokenNeverReplacesANewerOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		stopped := process(n, v, 0)
		stopped.Fetch = func(ctx context.Context) (string, time.Time, error) {
			token, expires, err := v.fetch(ctx)
			time.Sleep(time.Minute) // ignores the context
			return token, expires, err
		}
		var group sync.WaitGroup
		group.Go(func() {
			if got := token(t, stopped); got != "token-1" {
				t.Error(got)
			}
		})
		time.Sleep(45 * time.Second)
		if got := token(t, process(n, v, 0)); got != "token-2" {
			t.Error(got)
		}
		group.Wait()
		if got := token(t, process(n, v, 0)); got != "token-2" {
			t.Error(got)
		}
		time.Sleep(5 * time.Minute) // the vendor lets the older token expire
		if v.accepts("token-1") || !reject(t, stopped, "token-1") || token(t, stopped) != "token-2" {
			t.Error("the suspended process does not recover")
		}
	})
}

// TestATokenThatIsLost ends a process between the vendor's answer and the note. The other processes' token is valid for
// another five minutes, and is then rejected.
func TestATokenThatIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		other := process(n, v, 0)
		token(t, other)
		time.Sleep(time.Hour)
		dying := process(n, v, 0)
		token(t, dying)
		reject(t, dying, "token-1")
		n.beforeWrite = func(nth int) error {
			if nth == 4 {
				return errDown
			}
			return nil
		}
		if got := token(t, dying); got != "token-2" || len(n.written) != 4 {
			t.Errorf("%s, %d writes", got, len(n.written))
		}
		use := func(tokens *vendorapi.Tokens) {
			t.Helper()
			got := token(t, tokens)
			if !v.accepts(got) && (!reject(t, tokens, got) || !v.accepts(token(t, tokens))) {
				t.Errorf("after %s, no token that the vendor accepts", got)
			}
		}
		for range 20 {
			time.Sleep(time.Minute)
			use(other)
			use(process(n, v, 0))
		}
		if len(v.given) != 3 {
			t.Errorf("%d tokens", len(v.given))
		}
	})
}

func TestTheTokenInTheNoteIsSealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		token(t, process(n, v, 0))
		for _, text := range n.written {
			if strings.Contains(text, "token-1") || strings.Contains(text, "app-secret") {
				t.Errorf("written: %s", text)
			}
		}
		for name, change := range map[string]func(*vendorapi.Tokens){
			"other credentials": func(o *vendorapi.Tokens) { o.Secret = webhook.NewSecret("other") },
			"a changed note":    func(*vendorapi.Tokens) { n.text = strings.Replace(n.text, `"sealed":"`, `"sealed":"AAAA`, 1) },
		} {
			text, given := n.text, len(v.given)
			other := process(n, v, 0)
			change(other)
			if got := token(t, other); len(v.given) != given+1 || got != fmt.Sprint("token-", given+1) {
				t.Errorf("%s: read %s", name, got)
			}
			n.text = text
		}
		first := n.text
		again := process(&notes{}, &issuer{lasts: time.Hour}, 0)
		token(t, again)
		if first == again.Notes.(*notes).text {
			t.Error("sealing the same token twice gives the same text")
		}
	})
}

func TestATokenThatCannotBeSealedIsNotWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, v := &notes{}, newIssuer()
		tokens := process(n, v, 0)
		tokens.Secret = webhook.Secret{}
		if _, err := tokens.Token(t.Context()); err == nil || strings.Contains(fmt.Sprint(n.written), "sealed") {
			t.Errorf("sealed without a secret: %v, %q", err, n.written)
		}
		empty := process(n, v, 0)
		empty.Fetch = func(context.Context) (string, time.Time, error) { return "", time.Now().Add(time.Hour), nil }
		if _, err := empty.Token(t.Context()); err == nil {
			t.Error("no token, and no error")
		}
	})
}

// TestAVendorMayReturnTheSameToken lets the vendor return the same token again, or an expired one.
func TestAVendorMayReturnTheSameToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, lasts := range []time.Duration{time.Hour, time.Minute, 0} {
			tokens, fetched := process(&notes{}, nil, 0), 0
			tokens.Fetch = func(context.Context) (string, time.Time, error) {
				fetched++
				return "token", time.Now().Add(lasts), nil
			}
			token(t, tokens)
			time.Sleep(2 * time.Minute)
			if !reject(t, tokens, "token") || token(t, tokens) != "token" || fetched != 2 {
				t.Errorf("fetched %d times", fetched)
			}
			if token(t, tokens); lasts == time.Hour && fetched != 2 {
				t.Errorf("fetched %d times, since it was rejected once", fetched)
			}
		}
	})
}

// TestClocksMayDiffer runs processes with wrong clocks. These cost tokens and a few failed requests, which are retried.
func TestClocksMayDiffer(t *testing.T) {
	const day = 24*time.Hour + 30*time.Minute
	for wrong, requests := range map[time.Duration]int{
		-30 * time.Second: 2, -time.Second: 2, time.Second: 2, 30 * time.Second: 2, -day: 4, day: 4,
	} {
		t.Run(wrong.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, v := &notes{}, newIssuer()
				var group sync.WaitGroup
				for _, tokens := range []*vendorapi.Tokens{process(n, v, 0), process(n, v, wrong), process(n, v, 0)} {
					group.Go(func() {
						for range 100 {
							accepted := false
							for tries := 0; tries < requests && !accepted; tries++ {
								got, err := tokens.Token(t.Context())
								if accepted = v.accepts(got); err != nil || !accepted && !reject(t, tokens, got) {
									t.Errorf("%s, %v", got, err)
								}
							}
							if !accepted {
								t.Errorf("no token that the vendor accepts after %d requests", requests)
							}
							time.Sleep(time.Hour)
						}
					})
				}
				group.Wait()
				if wrong.Abs() < time.Minute && len(v.given) > 6 {
					t.Errorf("%d tokens in 100 hours", len(v.given))
				}
			})
		})
	}
}

func TestNotesOfOtherReleases(t *testing.T) {
	for name, tt := range map[string]struct {
		note, token string
		err         error
	}{
		"version 1":      {stored.NoteV1(t, "acmesign/token"), "the token of 2026", nil},
		"a newer note":   {`{"v":2}`, "", format.ErrNewer},
		"without a note": {"", "fetched", nil},
	} {
		n := &notes{text: tt.note, version: 1}
		tokens := vendorapi.Tokens{
			Provider: "acmesign", Secret: webhook.NewSecret("the credentials of 2026"), Notes: n, Now: time.Now,
			Fetch: func(context.Context) (string, time.Time, error) { return "fetched", time.Now().Add(time.Hour), nil },
		}
		token, err := tokens.Token(t.Context())
		if token != tt.token || !errors.Is(err, tt.err) {
			t.Errorf("%s: %q, %v", name, token, err)
		}
		if tt.err != nil && n.text != tt.note {
			t.Errorf("%s: overwritten by %s", name, n.text)
		}
	}
}
