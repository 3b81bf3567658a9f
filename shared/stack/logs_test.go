package stack

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
)

// screen is a writer that can be looked at meanwhile.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func (s *screen) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (a *account) log(group, text string, at time.Time) {
	a.t.Helper()
	client := cloudwatchlogs.NewFromConfig(a.config)
	// may be there
	client.CreateLogStream(a.t.Context(),
		&cloudwatchlogs.CreateLogStreamInput{LogGroupName: &group, LogStreamName: aws.String("instance")})
	_, err := client.PutLogEvents(a.t.Context(), &cloudwatchlogs.PutLogEventsInput{
		LogGroupName: &group, LogStreamName: aws.String("instance"),
		LogEvents: []types.InputLogEvent{{Message: &text, Timestamp: aws.Int64(at.UnixMilli())}},
	})
	must(a.t, err)
}

func (a *account) testLogs(t *testing.T) {
	s := a.open()
	now := time.Now()
	a.log(s.name+"-worker", "third\n", now.Add(-time.Second))
	a.log(s.name+"-worker", "first", now.Add(-3*time.Second))
	a.log(s.name+"-adobesign", "second", now.Add(-2*time.Second))
	a.log(s.name+"-adobesign", "long ago", now.Add(-time.Hour))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out screen
	ended := make(chan error, 1)
	show := func(source string, at time.Time, text string) { fmt.Fprintf(&out, "%s %s, ", source, text) }
	go func() { ended <- s.Logs(ctx, now.Add(-10*time.Minute), show) }()
	wait := func(text string) {
		t.Helper()
		for range 200 {
			if strings.Contains(out.shown(), text) {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
		t.Fatalf("does not show %q: %s", text, out.shown())
	}
	wait("third")
	a.log(s.name+"-worker", "late", now.Add(-30*time.Second))
	wait("late")
	a.log(s.name+"-worker", "last", time.Now())
	wait("last")
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := out.shown(); got != "Worker first, AdobeSign second, Worker third, Worker late, Worker last, " {
		t.Error(got)
	}
	s.name = "nobodys"
	if err := s.Logs(t.Context(), now, show); err == nil || !strings.Contains(err.Error(), "nobodys") {
		t.Error(err)
	}
}
