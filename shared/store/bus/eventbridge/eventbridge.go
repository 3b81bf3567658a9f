// Package eventbridge publishes events to Amazon EventBridge.
package eventbridge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"esignhooks/shared/store/bus"
)

// The limits of one request. An entry that exceeds maxBytes is sent alone, so that EventBridge decides.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html: 10 entries.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html: less than 256 KB. Each entry counts
// 14 bytes for its time, and the lengths of its source, detail type and detail.
const (
	maxEntries = 10
	maxBytes   = 256<<10 - 1
)

// maxAttempts limits how often one call sends an entry. The pauses in between take two seconds at most in all.
const maxAttempts = 5

// Bus implements [bus.Bus].
type Bus struct {
	client *eventbridge.Client
	name   string
}

var _ bus.Bus = (*Bus)(nil)

// New returns a bus for the event bus with this name.
func New(client *eventbridge.Client, name string) *Bus { return &Bus{client, name} }

// pending is an entry that EventBridge has not accepted yet.
type pending struct {
	index int // in the events of the call
	entry types.PutEventsRequestEntry
}

// size returns the number of bytes that the entry counts against maxBytes.
func (p pending) size() int {
	return 14 + len(*p.entry.Source) + len(*p.entry.DetailType) + len(*p.entry.Detail)
}

// Publish implements [bus.Bus].
func (b *Bus) Publish(ctx context.Context, events []bus.Event) []error {
	errs := make([]error, len(events))
	var waiting []pending
	for i, e := range events {
		detail, err := json.Marshal(e.Detail)
		if err != nil {
			errs[i] = fmt.Errorf("bus/eventbridge: %w: %w", bus.ErrRefused, err)
			continue
		}
		entry := types.PutEventsRequestEntry{
			EventBusName: &b.name, Source: &e.Source, DetailType: &e.DetailType, Detail: aws.String(string(detail)),
			Time: &e.Time,
		}
		if e.Trace != "" {
			entry.TraceHeader = aws.String("Root=" + e.Trace + ";Sampled=1")
		}
		waiting = append(waiting, pending{i, entry})
	}
	for attempt := 0; attempt < maxAttempts && len(waiting) > 0; attempt++ {
		pause(ctx, attempt)
		var failed []pending
		for len(waiting) > 0 {
			n := batchSize(waiting)
			for i, err := range b.put(ctx, waiting[:n]) {
				p := waiting[i]
				if errs[p.index] = err; err != nil && !errors.Is(err, bus.ErrRefused) {
					failed = append(failed, p)
				}
			}
			waiting = waiting[n:]
		}
		waiting = failed
	}
	return errs
}

// batchSize returns how many entries fit in one request. It is at least one.
func batchSize(waiting []pending) int {
	size := waiting[0].size()
	for n, p := range waiting[1:min(maxEntries, len(waiting))] {
		if size += p.size(); size > maxBytes {
			return n + 1
		}
	}
	return min(maxEntries, len(waiting))
}

// put makes one request, and returns one error for each entry. If EventBridge refuses the whole request, put sends each
// entry alone, because a single entry may be the reason.
func (b *Bus) put(ctx context.Context, batch []pending) []error {
	errs := make([]error, len(batch))
	input := eventbridge.PutEventsInput{}
	for _, p := range batch {
		input.Entries = append(input.Entries, p.entry)
	}
	out, err := b.client.PutEvents(ctx, &input)
	if err == nil && len(out.Entries) != len(batch) {
		err = fmt.Errorf("%d answers to %d entries", len(out.Entries), len(batch))
	}
	alone := err != nil && len(batch) > 1 && permanent(err)
	for i, p := range batch {
		switch {
		case alone:
			errs[i] = b.put(ctx, []pending{p})[0]
		case err != nil:
			errs[i] = wrap(err)
		case out.Entries[i].ErrorCode != nil:
			entry := out.Entries[i]
			errs[i] = wrap(&smithy.GenericAPIError{Code: *entry.ErrorCode, Message: aws.ToString(entry.ErrorMessage)})
		}
	}
	return errs
}

// permanent reports whether a request or an entry will be refused every time.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
func permanent(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ValidationException", "MalformedDetail", "InvalidArgument", "InvalidAccountIdException",
		"NotAuthorizedForDetailTypeException", "NotAuthorizedForSourceException", "RedactionFailure":
		return true
	}
	return false
}

func wrap(err error) error {
	if permanent(err) {
		return fmt.Errorf("bus/eventbridge: %w: %w", bus.ErrRefused, err)
	}
	return fmt.Errorf("bus/eventbridge: %w", err)
}

// pause waits before another attempt: a random time of up to 100 ms, 200 ms, 400 ms and so on.
func pause(ctx context.Context, attempt int) {
	if attempt == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(50 * time.Millisecond << attempt)):
	}
}
