package faulty_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/faulty"
)

const said = "what the engine says, which is long enough to be cut"

// engine counts the requests that it hears.
func engine(t *testing.T) (url string, heard *atomic.Int32) {
	heard = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "question" || r.Header.Get("X-Amz-Target") != "DynamoDB_20120810.PutItem" {
			t.Errorf("%v %q %v", r.Header, body, err)
		}
		heard.Add(1)
		io.WriteString(w, said)
	}))
	t.Cleanup(server.Close)
	return server.URL, heard
}

// ask returns what a client that waits a moment gets.
func ask(t *testing.T, url string) (status int, body string, err error) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "POST", url, strings.NewReader("question"))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "DynamoDB_20120810.PutItem")
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(b), err
}

func TestKinds(t *testing.T) {
	half := said[:len(said)/2]
	late := context.DeadlineExceeded
	for kind, want := range map[faulty.Kind]struct {
		heard  int32
		status int
		body   string // begins so
		err    error
	}{
		faulty.Pass:       {1, 200, said, nil},
		faulty.Slow:       {1, 200, said, nil},
		faulty.Refuse:     {0, 0, "", io.EOF},
		faulty.Fail:       {0, 500, `{"__type":"com.amazonaws#InternalServerError"`, nil},
		faulty.Throttle:   {0, 400, `{"__type":"com.amazonaws#ProvisionedThroughputExceededException"`, nil},
		faulty.Hang:       {0, 0, "", late},
		faulty.Cut:        {1, 0, "", io.EOF},
		faulty.CutAnswer:  {1, 200, half, io.ErrUnexpectedEOF},
		faulty.FailDone:   {1, 500, `{"__type":"com.amazonaws#InternalServerError"`, nil},
		faulty.HangDone:   {1, 0, "", late},
		faulty.HangAnswer: {1, 200, half, late},
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			url, heard := engine(t)
			p := faulty.New(t, url, 1)
			p.Set(faulty.Always(faulty.Rates{kind: 1}))
			status, body, err := ask(t, p.URL)
			if heard.Load() != want.heard || status != want.status || !strings.HasPrefix(body, want.body) ||
				!errors.Is(err, want.err) {
				t.Errorf("engine heard %d, client got %d %q, %v", heard.Load(), status, body, err)
			}
			if diff := cmp.Diff(map[faulty.Kind]int{kind: 1}, p.Counts()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestASeedIsAlwaysTheSame(t *testing.T) {
	url, _ := engine(t)
	rates := faulty.Evenly(0.5)
	delete(rates, faulty.Hang)
	delete(rates, faulty.HangDone)
	delete(rates, faulty.HangAnswer)
	sequence := func(seed uint64) (kinds []faulty.Kind) {
		p := faulty.New(t, url, seed)
		p.Set(faulty.Always(rates))
		before := p.Counts()
		for range 100 {
			ask(t, p.URL)
			for kind, n := range p.Counts() {
				if n > before[kind] {
					kinds = append(kinds, kind)
				}
			}
			before = p.Counts()
		}
		if passed := before[faulty.Pass]; passed < 35 || passed > 65 {
			t.Errorf("%d of 100 passed at a rate of one half", passed)
		}
		return kinds
	}
	first := sequence(1)
	if diff := cmp.Diff(first, sequence(1)); diff != "" {
		t.Error(diff)
	}
	if cmp.Equal(first, sequence(2)) {
		t.Error("another seed is the same")
	}
}

func TestNotDoneIsNotDone(t *testing.T) {
	url, heard := engine(t)
	p := faulty.New(t, url, 1)
	rates := faulty.Evenly(1).NotDone()
	delete(rates, faulty.Hang)
	p.Set(func(operation string) faulty.Rates {
		if operation != "PutItem" {
			t.Errorf("operation %q", operation)
		}
		return rates
	})
	for range 100 {
		ask(t, p.URL)
	}
	if passed := p.Counts()[faulty.Pass]; passed == 0 || passed != int(heard.Load()) {
		t.Errorf("%d passed, the engine heard %d", passed, heard.Load())
	}
}
