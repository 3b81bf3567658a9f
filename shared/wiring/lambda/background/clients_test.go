package background

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/vendorapi"
)

// made is a client that records its credentials.
type made struct {
	vendorapi.Client
	credentials string
}

var (
	errWrong     = errors.New("api.key is missing")
	errThrottled = errors.New("throttled")
)

// safe is a stub of Secrets Manager, with a clock.
type safe struct {
	*vendorClient
	log   bytes.Buffer
	text  string
	err   error
	time  time.Time
	reads int
	opens int
}

func newSafe(text string) *safe {
	s := &safe{text: text, time: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)}
	s.vendorClient = &vendorClient{
		read: func(context.Context) (string, error) { s.reads++; return s.text, s.err },
		open: func(credentials []byte) (vendorapi.Client, error) {
			s.opens++
			switch string(credentials) {
			case "":
				return nil, fmt.Errorf("acmesign: %w", vendorapi.ErrOff)
			case `"wrong"`:
				return nil, errWrong
			}
			return made{credentials: string(credentials)}, nil
		},
		now: func() time.Time { return s.time },
		log: slog.New(slog.NewJSONHandler(&s.log, nil)),
	}
	return s
}

// wants gets the client. It checks its credentials or the error, and how often the safe was read so far.
func (s *safe) wants(t *testing.T, reads int, credentials string, want error) {
	t.Helper()
	got, err := s.get(t.Context())
	if !errors.Is(err, want) || (err == nil) != (want == nil) || (got == nil) != (want != nil) {
		t.Fatalf("%v, %v", got, err)
	}
	if got != nil && got.(made).credentials != credentials {
		t.Errorf("a client of %v", got)
	}
	if s.reads != reads {
		t.Errorf("read %d times, want %d", s.reads, reads)
	}
}

// said returns the logged messages, and empties the log.
func (s *safe) said() (all []string) {
	for line := range strings.SplitSeq(strings.TrimSpace(s.log.String()), "\n") {
		if _, message, ok := strings.Cut(line, `"msg":"`); ok {
			message, _, _ = strings.Cut(message, `"`)
			all = append(all, message)
		}
	}
	s.log.Reset()
	return all
}

func TestAClientIsReplacedOnlyWhenCredentialsChange(t *testing.T) {
	s := newSafe(`{"keys":["a"],"api":"one"}`)
	s.wants(t, 1, `"one"`, nil)
	s.text = `{"keys":["b"],"api":"one"}`
	s.time = s.time.Add(60*time.Second - 1)
	s.wants(t, 1, `"one"`, nil)
	s.time = s.time.Add(1)
	s.wants(t, 2, `"one"`, nil)
	if s.opens != 1 {
		t.Errorf("made %d times", s.opens)
	}
	s.text = `{"keys":["b"],"api":"two"}`
	s.time = s.time.Add(60 * time.Second)
	s.wants(t, 3, `"two"`, nil)
	if said := s.said(); s.opens != 2 || said != nil {
		t.Errorf("made %d times, said %q", s.opens, said)
	}
}

func TestWithoutCredentialsAProviderIsOffAndThatIsLoggedOnce(t *testing.T) {
	s := newSafe(`{"urlToken":"x"}`)
	for i := range 5 {
		s.wants(t, i+1, "", vendorapi.ErrOff)
		s.time = s.time.Add(60 * time.Second)
	}
	if diff := cmp.Diff([]string{"off: the secret has no credentials of the vendor's API"}, s.said()); diff != "" {
		t.Error(diff)
	}
	s.text = `{"api":"one"}`
	s.wants(t, 6, `"one"`, nil)
	s.text = `{}` // and off again
	s.time = s.time.Add(60 * time.Second)
	s.wants(t, 7, "", vendorapi.ErrOff)
	if said := s.said(); len(said) != 1 {
		t.Errorf("said %q", said)
	}
}

func TestWrongCredentialsAreLoggedOnce(t *testing.T) {
	s := newSafe(`{"api":"wrong"}`)
	for i := range 3 {
		s.wants(t, i+1, "", errWrong)
		s.time = s.time.Add(60 * time.Second)
	}
	if diff := cmp.Diff([]string{"wrong API credentials"}, s.said()); diff != "" {
		t.Error(diff)
	}
	s.text = `{"api":"one"}`
	s.wants(t, 4, `"one"`, nil)
	s.text = `{"api":"wrong"}` // the ones of before serve
	for i := range 3 {
		s.time = s.time.Add(60 * time.Second)
		s.wants(t, 5+i, `"one"`, nil)
	}
	if diff := cmp.Diff([]string{"wrong API credentials"}, s.said()); diff != "" {
		t.Error(diff)
	}
}

func TestTheLastCredentialsStayInUseWhileNoneCanBeRead(t *testing.T) {
	for name, broken := range map[string]struct {
		text string
		err  error
	}{
		"an error":                  {"", errThrottled},
		"an error with credentials": {`{"api":"two"}`, errThrottled},
		"no JSON":                   {"canary", nil},
		"an empty secret":           {"", nil},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSafe(`{"api":"one"}`)
			s.wants(t, 1, `"one"`, nil)
			s.text, s.err = broken.text, broken.err
			s.time = s.time.Add(60 * time.Second)
			s.wants(t, 2, `"one"`, nil)
			s.time = s.time.Add(10*time.Second - 1)
			s.wants(t, 2, `"one"`, nil)
			s.time = s.time.Add(1)
			s.wants(t, 3, `"one"`, nil)
			if log := s.log.String(); strings.Count(log, `"stale":true`) != 2 || strings.Contains(log, "canary") {
				t.Errorf("logged %s", log)
			}
		})
	}
}

func TestWithoutAnyCredentialsYetEachCallTriesAgain(t *testing.T) {
	s := newSafe("")
	s.err = errThrottled
	s.wants(t, 1, "", errThrottled)
	s.wants(t, 2, "", errThrottled)
	s.text, s.err = `{"api":"one"}`, nil
	s.wants(t, 3, `"one"`, nil)
	s.wants(t, 3, `"one"`, nil)
}

func TestAReadOfCredentialsTimesOutAfterASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSafe("")
		s.read = func(ctx context.Context) (string, error) {
			<-ctx.Done()
			return "", ctx.Err()
		}
		begin := time.Now()
		if got, err := s.get(context.Background()); !errors.Is(err, context.DeadlineExceeded) ||
			time.Since(begin) != time.Second {
			t.Errorf("%v, %v after %s", got, err, time.Since(begin))
		}
	})
}

func TestConcurrentCallsShareOneRead(t *testing.T) {
	s := newSafe(`{"api":"one"}`)
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if got, err := s.get(t.Context()); err != nil || got.(made).credentials != `"one"` {
				t.Errorf("%v, %v", got, err)
			}
		})
	}
	group.Wait()
	if s.reads != 1 || s.opens != 1 {
		t.Errorf("read %d times, made %d times", s.reads, s.opens)
	}
}
