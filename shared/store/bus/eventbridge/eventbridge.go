// Package eventbridge is the bus of Amazon EventBridge.
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

// What one request takes. An entry that is larger by itself is sent alone: the service knows best.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html: 10 entries.
// https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevent-size.html: less than 256 KB, of which each entry takes
// 14 bytes for its time and the lengths of its source, detail type and detail.
const (
	maxEntries = 10
	maxBytes   = 256<<10 - 1
)

// attempts is how often an entry is tried within one call, with growing pauses in between: at most two seconds in all.
const attempts = 5

// Bus implements [bus.Bus].
type Bus struct {
	client *eventbridge.Client
	name   string
}

var _ bus.Bus = (*Bus)(nil)

// New makes a bus of the event bus with this name.
func New(client *eventbridge.Client, name string) *Bus { return &Bus{client, name} }

// pending is an entry that the bus does not have yet.
type pending struct {
	index int // in the events of the call
	entry types.PutEventsRequestEntry
}

// size is what the entry counts against maxBytes.
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
		waiting = append(waiting, pending{i, types.PutEventsRequestEntry{
			EventBusName: &b.name, Source: &e.Source, DetailType: &e.DetailType, Detail: aws.String(string(detail)), Time: &e.Time,
		}})
	}
	for attempt := 0; attempt < attempts && len(waiting) > 0; attempt++ {
		pause(ctx, attempt)
		var failed []pending
		for len(waiting) > 0 {
			n := batch(waiting)
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

// batch is how many of the waiting fit in one request: at least one.
func batch(waiting []pending) int {
	size := waiting[0].size()
	for n, p := range waiting[1:min(maxEntries, len(waiting))] {
		if size += p.size(); size > maxBytes {
			return n + 1
		}
	}
	return min(maxEntries, len(waiting))
}

// put makes one request, and returns one error for each entry. If it is refused as a whole, one entry may be to blame: each
// is sent alone.
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
	alone := err != nil && len(batch) > 1 && forGood(err)
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

// forGood says whether a request or an entry will be refused every time.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
func forGood(err error) bool {
	var api smithy.APIError
	if !errors.As(err, &api) {
		return false
	}
	switch api.ErrorCode() {
	case "ValidationException", "MalformedDetail", "InvalidArgument", "InvalidAccountIdException", "NotAuthorizedForDetailTypeException",
		"NotAuthorizedForSourceException", "RedactionFailure":
		return true
	}
	return false
}

func wrap(err error) error {
	if forGood(err) {
		return fmt.Errorf("bus/eventbridge: %w: %w", bus.ErrRefused, err)
	}
	return fmt.Errorf("bus/eventbridge: %w", err)
}

// pause waits before another attempt, at random up to 100 ms, 200 ms, 400 ms and so on.
func pause(ctx context.Context, attempt int) {
	if attempt == 0 {
		return
	}
	select {
	case <-ctx.Done():
	case <-time.After(rand.N(50 * time.Millisecond << attempt)):
	}
}
