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
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/bus/eventbridge"
)

// entry is an entry of PutEvents.
type entry struct {
	EventBusName, Source, DetailType, Detail string
	Time                                     float64
	TraceHeader                              string
}

func (e entry) id() string {
	var d bus.Detail
	json.Unmarshal([]byte(e.Detail), &d)
	return d.EventID
}

// service is EventBridge, as the client's transport. The zero service accepts everything.
type service struct {
	t       *testing.T
	request func(*http.Request, []entry) (status int, code string) // optional: fails whole requests
	entry   func(id string, time int) (code string)                // optional: fails an entry the nth time, from 1 on
	answer  func([]any) []any                                      // optional: changes the answers

	requests [][]entry
	times    map[string]int // how often each event was sent
	took     time.Duration  // in all
}

// Do implements [aws.HTTPClient]. It speaks AWS JSON 1.1.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
func (s *service) Do(r *http.Request) (*http.Response, error) {
	target, contentType := r.Header.Get("X-Amz-Target"), r.Header.Get("Content-Type")
	if target != "AWSEvents.PutEvents" || contentType != "application/x-amz-json-1.1" {
		s.t.Errorf("%s, %s", target, contentType)
	}
	var input struct{ Entries []entry }
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
		s.t.Error(err)
	}
	s.requests = append(s.requests, input.Entries)
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", contentType)
	if s.request != nil {
		status, code := s.request(r, input.Entries)
		if err := r.Context().Err(); err != nil {
			return nil, err
		}
		if status != http.StatusOK {
			w.WriteHeader(status)
			json.NewEncoder(w).Encode(map[string]string{"__type": code, "message": "the reason"})
			return w.Result(), nil
		}
	}
	answers, failed := s.answers(input.Entries)
	if s.answer != nil {
		answers = s.answer(answers)
	}
	json.NewEncoder(w).Encode(map[string]any{"FailedEntryCount": failed, "Entries": answers})
	return w.Result(), nil
}

func (s *service) answers(entries []entry) (answers []any, failed int) {
	for _, e := range entries {
		s.times[e.id()]++
		code := ""
		if s.entry != nil {
			code = s.entry(e.id(), s.times[e.id()])
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

// publish publishes events in a bubble, and checks which of them have an error.
func (s *service) publish(t *testing.T, events []bus.Event, wantErrors ...int) (errs []error) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		errs = s.publishWith(t, t.Context(), events, wantErrors...)
		s.took = time.Since(begin)
	})
	return errs
}

// publishWith publishes events through a client that does not retry by itself.
func (s *service) publishWith(t *testing.T, ctx context.Context, events []bus.Event, wantErrors ...int) []error {
	t.Helper()
	s.t, s.times = t, map[string]int{}
	errs := eventbridge.New(sdk.New(sdk.Options{
		HTTPClient: s, Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	}), "the-bus").Publish(ctx, events)
	if len(errs) != len(events) {
		t.Errorf("%d errors for %d events", len(errs), len(events))
	}
	var indices []int
	for i, err := range errs {
		if err != nil {
			indices = append(indices, i)
		}
	}
	if !slices.Equal(wantErrors, indices) {
		t.Errorf("errors at %v, want %v: %v", indices, wantErrors, errors.Join(errs...))
	}
	return errs
}

// wantRequests checks the IDs of the events in each request.
func (s *service) wantRequests(t *testing.T, want ...[]string) {
	t.Helper()
	var got [][]string
	for _, request := range s.requests {
		var ids []string
		for _, e := range request {
			ids = append(ids, e.id())
		}
		got = append(got, ids)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("requests: %s", diff)
	}
}

// wantError checks an error with the service's code.
func wantError(t *testing.T, err error, code string, refused bool) {
	t.Helper()
	if errors.Is(err, bus.ErrRefused) != refused || !strings.Contains(err.Error(), code) {
		t.Errorf("%v; want %s, permanently refused: %v", err, code, refused)
	}
}

var at = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func event(id string) bus.Event {
	return bus.Event{Source: "esign.acmesign", DetailType: "agreement.sent", Time: at, Detail: bus.Detail{
		EventID: id, Event: esign.Event{ID: id, Provider: "acmesign", Type: esign.AgreementSent},
	}}
}

// events returns n events, with the IDs "0", "1" and so on.
func events(n int) (all []bus.Event) {
	for i := range n {
		all = append(all, event(fmt.Sprint(i)))
	}
	return all
}

// ofSize returns an event that counts n bytes against the limit of a request.
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

// failing returns a function for service.entry: these events always fail with this code.
func failing(code string, ids ...string) func(string, int) string {
	return func(id string, _ int) string {
		if slices.Contains(ids, id) {
			return code
		}
		return ""
	}
}

var ten = []string{"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"}

func TestAnEntryHoldsTheEvent(t *testing.T) {
	s, e := &service{}, event("e1")
	s.publish(t, []bus.Event{e})
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		t.Fatal(err)
	}
	want := [][]entry{{{"the-bus", "esign.acmesign", "agreement.sent", string(detail), float64(at.Unix()), ""}}}
	e.Trace = "1-5759e988-bd862e3fe1be46a994272793"
	s.publish(t, []bus.Event{e})
	traced := want[0][0]
	traced.TraceHeader = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"
	want = append(want, []entry{traced})
	if diff := cmp.Diff(want, s.requests); diff != "" {
		t.Error(diff)
	}
}

func TestNoEventsMakeNoRequest(t *testing.T) {
	s := &service{}
	s.publish(t, nil)
	s.wantRequests(t)
}

func TestARequestHoldsTenEntries(t *testing.T) {
	s := &service{}
	s.publish(t, events(25))
	s.wantRequests(t, ten, []string{"10", "11", "12", "13", "14", "15", "16", "17", "18", "19"},
		[]string{"20", "21", "22", "23", "24"})
}

func TestARequestHoldsLessThan256KB(t *testing.T) {
	const limit = 256 << 10
	for name, tt := range map[string]struct {
		sizes []int
		want  [][]string
	}{
		"just below the limit":      {[]int{100_000, 100_000, limit - 200_001}, [][]string{{"0", "1", "2"}}},
		"exactly at the limit":      {[]int{100_000, 100_000, limit - 200_000}, [][]string{{"0", "1"}, {"2"}}},
		"one entry above the limit": {[]int{1000, limit + 1, 1000, 1000}, [][]string{{"0"}, {"1"}, {"2", "3"}}},
		"all entries at the limit":  {[]int{limit, limit}, [][]string{{"0"}, {"1"}}},
		"as many as fit":            {[]int{200_000, 100_000, 50_000, 200_000}, [][]string{{"0"}, {"1", "2"}, {"3"}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &service{}
			var all []bus.Event
			for i, size := range tt.sizes {
				all = append(all, ofSize(t, fmt.Sprint(i), size))
			}
			s.publish(t, all)
			s.wantRequests(t, tt.want...)
		})
	}
}

func TestOnlyFailedEntriesAreRetried(t *testing.T) {
	s := &service{entry: func(id string, time int) string {
		switch {
		case id == "3" && time == 1:
			return "ThrottlingException"
		case id == "11" && time < 3:
			return "InternalFailure"
		}
		return ""
	}}
	s.publish(t, events(12))
	s.wantRequests(t, ten, []string{"10", "11"}, []string{"3", "11"}, []string{"11"})
}

func TestAnEntryIsSentFiveTimesAtMost(t *testing.T) {
	s := &service{entry: failing("ThrottlingException", "2", "13")}
	errs := s.publish(t, events(14), 2, 13)
	wantError(t, errs[2], "ThrottlingException", false)
	wantError(t, errs[13], "ThrottlingException", false)
	if s.times["2"] != 5 || s.times["13"] != 5 || s.times["0"] != 1 {
		t.Errorf("sent %v", s.times)
	}
	if s.took == 0 || s.took > 2*time.Second {
		t.Errorf("took %v", s.took)
	}
}

func TestARefusedEntryIsNotRetried(t *testing.T) {
	for _, code := range []string{
		"MalformedDetail", "InvalidArgument", "InvalidAccountIdException", "NotAuthorizedForDetailTypeException",
		"NotAuthorizedForSourceException", "RedactionFailure",
	} {
		t.Run(code, func(t *testing.T) {
			s := &service{entry: failing(code, "1")}
			errs := s.publish(t, events(3), 1)
			wantError(t, errs[1], code, true)
			if s.times["1"] != 1 {
				t.Errorf("sent %d times", s.times["1"])
			}
		})
	}
}

func TestOneEntryDoesNotSpoilItsRequest(t *testing.T) {
	s := &service{request: func(_ *http.Request, all []entry) (int, string) {
		if slices.ContainsFunc(all, func(e entry) bool { return e.id() == "2" }) {
			return http.StatusBadRequest, "ValidationException"
		}
		return http.StatusOK, ""
	}}
	errs := s.publish(t, events(4), 2)
	wantError(t, errs[2], "ValidationException", true)
	s.wantRequests(t, []string{"0", "1", "2", "3"}, []string{"0"}, []string{"1"}, []string{"2"}, []string{"3"})
}

func TestAFailedRequestRefusesNoEntry(t *testing.T) {
	for code, status := range map[string]int{
		"InternalFailure":           http.StatusInternalServerError,
		"ThrottlingException":       http.StatusBadRequest,
		"AccessDeniedException":     http.StatusBadRequest,
		"ResourceNotFoundException": http.StatusBadRequest,
		"ExpiredTokenException":     http.StatusForbidden,
	} {
		t.Run(code, func(t *testing.T) {
			s := &service{request: func(*http.Request, []entry) (int, string) { return status, code }}
			errs := s.publish(t, events(2), 0, 1)
			wantError(t, errors.Join(errs...), code, false)
		})
	}
}

func TestAFailedRequestIsRetried(t *testing.T) {
	s := &service{}
	s.request = func(*http.Request, []entry) (int, string) {
		if len(s.requests) == 1 {
			return http.StatusServiceUnavailable, "ServiceUnavailable"
		}
		return http.StatusOK, ""
	}
	s.publish(t, events(2))
	s.wantRequests(t, []string{"0", "1"}, []string{"0", "1"})
}

func TestAnIncompleteAnswerIsAnError(t *testing.T) {
	s := &service{answer: func(all []any) []any { return all[1:] }}
	errs := s.publish(t, events(3), 0, 1, 2)
	wantError(t, errors.Join(errs...), "2 answers to 3 entries", false)
}

func TestADetailThatIsNotJSONIsRefused(t *testing.T) {
	s, all := &service{}, events(3)
	all[1].Detail.Event.OccurredAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	errs := s.publish(t, all, 1)
	wantError(t, errs[1], "year", true)
	s.wantRequests(t, []string{"0", "2"})
}

func TestPublishEndsWithItsContext(t *testing.T) {
	for name, request := range map[string]func(*http.Request, []entry) (int, string){
		"during a request": func(r *http.Request, _ []entry) (int, string) {
			<-r.Context().Done()
			return http.StatusOK, ""
		},
		"between attempts": func(*http.Request, []entry) (int, string) {
			return http.StatusInternalServerError, "InternalFailure"
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, start := &service{request: request}, time.Now()
				const timeout = time.Nanosecond // less than any pause
				ctx, cancel := context.WithTimeout(t.Context(), timeout)
				defer cancel()
				s.publishWith(t, ctx, events(1), 0)
				if took := time.Since(start); took > timeout || len(s.requests) != 1 {
					t.Errorf("took %v, %d requests", took, len(s.requests))
				}
			})
		})
	}
}
