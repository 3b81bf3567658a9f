package eventbridge_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/eventbridge"
)

// entry is one of PutEvents.
type entry struct {
	EventBusName, Source, DetailType, Detail string
	Time                                     float64
}

func (e entry) id() string {
	var d bus.Detail
	json.Unmarshal([]byte(e.Detail), &d)
	return d.EventID
}

// service is EventBridge. The zero one takes everything.
type service struct {
	t      *testing.T
	whole  func([]entry) (status int, code string) // of a request; 200 if nil
	code   func(entry, int) string                 // of an entry's nth time, from 1 on; empty: taken
	answer func([]any) []any                       // changes the answers; may be nil

	mu       sync.Mutex
	requests [][]entry
	times    map[string]int // by event ID
}

// ServeHTTP speaks AWS JSON 1.1.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if target, typ := r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type"); target != "AWSEvents.PutEvents" || typ != "application/x-amz-json-1.1" {
		s.t.Errorf("%s, %s", target, typ)
	}
	var input struct{ Entries []entry }
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = append(s.requests, input.Entries)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if s.whole != nil {
		if status, code := s.whole(input.Entries); status != http.StatusOK {
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "the reason"})
			return
		}
	}
	answers, failed := s.each(input.Entries)
	if s.answer != nil {
		answers = s.answer(answers)
	}
	json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": failed, "Entries": answers})
}

func (s *service) each(entries []entry) (answers []any, failed int) {
	for _, e := range entries {
		s.times[e.id()]++
		code := ""
		if s.code != nil {
			code = s.code(e, s.times[e.id()])
		}
		if code == "" {
			answers = append(answers, map[string]string{"EventId": "of " + e.id()})
			continue
		}
		answers = append(answers, map[string]string{"ErrorCode": code, "ErrorMessage": "the reason"})
		failed++
	}
	return answers, failed
}

// ids are the events of each request.
func (s *service) ids() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all [][]string
	for _, request := range s.requests {
		var ids []string
		for _, e := range request {
			ids = append(ids, e.id())
		}
		all = append(all, ids)
	}
	return all
}

// open starts the service, and makes a bus that reaches it and does not try a whole request again.
func open(t *testing.T, s *service) *eventbridge.Bus {
	t.Helper()
	s.t, s.times = t, map[string]int{}
	return client(t, s)
}

func client(t *testing.T, handler http.Handler) *eventbridge.Bus {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return eventbridge.New(sdk.New(sdk.Options{
		BaseEndpoint: aws.String(server.URL), Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}), "the-bus")
}

var at = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func event(id string) bus.Event {
	return bus.Event{Source: "esign.docusign", DetailType: "agreement.sent", Time: at, Detail: bus.Detail{
		EventID: id, Event: esign.Event{ID: id, Provider: "docusign", Type: esign.AgreementSent},
	}}
}

// events are n events, called "0" and so on.
func events(n int) (all []bus.Event) {
	for i := range n {
		all = append(all, event(fmt.Sprint(i)))
	}
	return all
}

// ofSize makes an event that counts n bytes.
func ofSize(t *testing.T, id string, n int) bus.Event {
	t.Helper()
	e := event(id)
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		t.Fatal(err)
	}
	n -= 14 + len(e.Source) + len(e.DetailType) + len(detail)
	e.Detail.Event.VendorType = strings.Repeat("x", n)
	return e
}

// wantErrors checks that these events have an error, and no others.
func wantErrors(t *testing.T, got []error, want ...int) {
	t.Helper()
	var indices []int
	for i, err := range got {
		if err != nil {
			indices = append(indices, i)
		}
	}
	if !slices.Equal(want, indices) {
		t.Errorf("errors at %v, want %v: %v", indices, want, errors.Join(got...))
	}
}

func wantRequests(t *testing.T, s *service, want ...[]string) {
	t.Helper()
	if diff := cmp.Diff(want, s.ids()); diff != "" {
		t.Errorf("requests: %s", diff)
	}
}

func TestAnEntryIsWhatConsumersGet(t *testing.T) {
	s := &service{}
	e := event("e1")
	wantErrors(t, open(t, s).Publish(t.Context(), []bus.Event{e}))
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]entry{{{"the-bus", "esign.docusign", "agreement.sent", string(detail), float64(at.Unix())}}}
	if diff := cmp.Diff(want, s.requests); diff != "" {
		t.Error(diff)
	}
}

func TestNothingIsSentOfNothing(t *testing.T) {
	s := &service{}
	if errs := open(t, s).Publish(t.Context(), nil); len(errs) != 0 {
		t.Error(errs)
	}
	wantRequests(t, s)
}

func TestARequestHoldsTenEntries(t *testing.T) {
	s := &service{}
	wantErrors(t, open(t, s).Publish(t.Context(), events(25)))
	wantRequests(t, s,
		[]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"},
		[]string{"10", "11", "12", "13", "14", "15", "16", "17", "18", "19"},
		[]string{"20", "21", "22", "23", "24"})
}

func TestARequestHoldsLessThan256KB(t *testing.T) {
	const limit = 256 << 10
	for name, tt := range map[string]struct {
		sizes []int
		want  [][]string
	}{
		"just less":                      {[]int{100_000, 100_000, limit - 200_001}, [][]string{{"0", "1", "2"}}},
		"just as much":                   {[]int{100_000, 100_000, limit - 200_000}, [][]string{{"0", "1"}, {"2"}}},
		"one that is larger by itself":   {[]int{1000, limit + 1, 1000, 1000}, [][]string{{"0"}, {"1"}, {"2", "3"}}},
		"nothing but such as are larger": {[]int{limit, limit}, [][]string{{"0"}, {"1"}}},
		"as many as fit":                 {[]int{200_000, 100_000, 50_000, 200_000}, [][]string{{"0"}, {"1", "2"}, {"3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			var all []bus.Event
			for i, size := range tt.sizes {
				all = append(all, ofSize(t, fmt.Sprint(i), size))
			}
			wantErrors(t, open(t, s).Publish(t.Context(), all))
			wantRequests(t, s, tt.want...)
		})
	}
}

func TestOnlyWhatFailedIsSentAgain(t *testing.T) {
	s := &service{code: func(e entry, time int) string {
		switch {
		case e.id() == "3" && time == 1:
			return "ThrottlingException"
		case e.id() == "11" && time < 3:
			return "InternalFailure"
		}
		return ""
	}}
	wantErrors(t, open(t, s).Publish(t.Context(), events(12)))
	wantRequests(t, s,
		[]string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}, []string{"10", "11"},
		[]string{"3", "11"},
		[]string{"11"})
}

func TestWhatFailsAgainAndAgainIsGivenUpForNow(t *testing.T) {
	s := &service{code: func(e entry, _ int) string {
		if e.id() == "2" || e.id() == "13" {
			return "ThrottlingException"
		}
		return ""
	}}
	errs := open(t, s).Publish(t.Context(), events(14))
	wantErrors(t, errs, 2, 13)
	for _, i := range []int{2, 13} {
		if errors.Is(errs[i], bus.ErrRefused) || !strings.Contains(errs[i].Error(), "ThrottlingException") {
			t.Error(errs[i])
		}
	}
	if got := s.times["2"]; got != 5 || s.times["0"] != 1 {
		t.Errorf("sent %d times, and what was taken %d times", got, s.times["0"])
	}
}

func TestARefusedEntryIsNotSentAgain(t *testing.T) {
	for _, code := range []string{
		"MalformedDetail", "InvalidArgument", "InvalidAccountIdException", "NotAuthorizedForDetailTypeException",
		"NotAuthorizedForSourceException", "RedactionFailure",
	} {
		t.Run(code, func(t *testing.T) {
			s := &service{code: func(e entry, _ int) string {
				if e.id() == "1" {
					return code
				}
				return ""
			}}
			errs := open(t, s).Publish(t.Context(), events(3))
			wantErrors(t, errs, 1)
			if !errors.Is(errs[1], bus.ErrRefused) || s.times["1"] != 1 {
				t.Errorf("%v, sent %d times", errs[1], s.times["1"])
			}
		})
	}
}

func TestOneEntryDoesNotSpoilItsRequest(t *testing.T) {
	culprit := func(e entry) bool { return e.id() == "2" }
	s := &service{whole: func(all []entry) (int, string) {
		if slices.ContainsFunc(all, culprit) {
			return http.StatusBadRequest, "ValidationException"
		}
		return http.StatusOK, ""
	}}
	errs := open(t, s).Publish(t.Context(), events(4))
	wantErrors(t, errs, 2)
	if !errors.Is(errs[2], bus.ErrRefused) {
		t.Error(errs[2])
	}
	wantRequests(t, s, []string{"0", "1", "2", "3"}, []string{"0"}, []string{"1"}, []string{"2"}, []string{"3"})
}

func TestARequestThatFailsIsNobodysFault(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		code   string
	}{
		"out of order":      {http.StatusInternalServerError, "InternalFailure"},
		"too fast":          {http.StatusBadRequest, "ThrottlingException"},
		"no permission":     {http.StatusBadRequest, "AccessDeniedException"},
		"no such bus":       {http.StatusBadRequest, "ResourceNotFoundException"},
		"no longer trusted": {http.StatusForbidden, "ExpiredTokenException"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{whole: func([]entry) (int, string) { return tt.status, tt.code }}
			errs := open(t, s).Publish(t.Context(), events(2))
			wantErrors(t, errs, 0, 1)
			if err := errors.Join(errs...); errors.Is(err, bus.ErrRefused) || !strings.Contains(err.Error(), tt.code) {
				t.Error(err)
			}
		})
	}
}

func TestARequestThatFailsOnceIsMadeAgain(t *testing.T) {
	first := true
	s := &service{whole: func([]entry) (int, string) {
		defer func() { first = false }()
		if first {
			return http.StatusServiceUnavailable, "ServiceUnavailable"
		}
		return http.StatusOK, ""
	}}
	wantErrors(t, open(t, s).Publish(t.Context(), events(2)))
	wantRequests(t, s, []string{"0", "1"}, []string{"0", "1"})
}

func TestAnswersThatAreTooFewCountForNothing(t *testing.T) {
	s := &service{answer: func(all []any) []any { return all[1:] }}
	errs := open(t, s).Publish(t.Context(), events(3))
	wantErrors(t, errs, 0, 1, 2)
	if err := errors.Join(errs...); errors.Is(err, bus.ErrRefused) {
		t.Error(err)
	}
}

func TestWhatIsNoJSONIsRefused(t *testing.T) {
	s := &service{}
	all := events(3)
	all[1].Detail.Event.OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	errs := open(t, s).Publish(t.Context(), all)
	wantErrors(t, errs, 1)
	if !errors.Is(errs[1], bus.ErrRefused) {
		t.Error(errs[1])
	}
	wantRequests(t, s, []string{"0", "2"})
}

func TestPublishEndsWithItsContext(t *testing.T) {
	for name, code := range map[string]string{"while the service hangs": "", "between attempts": "ThrottlingException"} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			var cancelled time.Time
			stop := sync.OnceFunc(func() {
				cancelled = time.Now()
				cancel()
			})
			b := client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if ctx.Err() != nil {
					if late := time.Since(cancelled); late > 100*time.Millisecond { // else it was on its way
						t.Errorf("a request %v afterwards", late)
					}
				} else if code == "" {
					stop()
					<-t.Context().Done()
				} else {
					fmt.Fprintf(w, `{"Entries":[{"ErrorCode":%q}]}`, code)
					time.AfterFunc(5*time.Millisecond, stop)
				}
			}))
			wantErrors(t, b.Publish(ctx, events(1)), 0)
			if took := time.Since(cancelled); took > 400*time.Millisecond {
				t.Errorf("took %v", took)
			}
		})
	}
}
