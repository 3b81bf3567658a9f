package outlet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/queue"
)

// Envelope returns the event in the form in which EventBridge delivers it.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-events-structure.html
func Envelope(e bus.Event, id, account, region string) (events.EventBridgeEvent, error) {
	detail, err := json.Marshal(e.Detail)
	return events.EventBridgeEvent{
		Version: "0", ID: id, DetailType: e.DetailType, Source: e.Source, AccountID: account,
		Time: e.Time.UTC().Truncate(time.Second), Region: region, Resources: []string{}, Detail: detail,
	}, err
}

// Bus is a bus whose events also go to an application.
type Bus struct {
	bus.Bus
	Queue           queue.Sender // a FIFO queue, which a [Forwarder] consumes
	Account, Region string       // of the stack
	Now             func() time.Time
}

// Publish implements [bus.Bus]. It queues an event first, since the bus remembers no order. After a failure, the later
// events of the same subject fail too.
func (b *Bus) Publish(ctx context.Context, all []bus.Event) []error {
	errs, blocked := make([]error, len(all)), map[string]error{}
	var queued []bus.Event
	var indexes []int
	for i, e := range all {
		subject := e.Detail.Event.Subject
		if blocked[subject] == nil {
			blocked[subject] = b.send(ctx, e)
		}
		if errs[i] = blocked[subject]; errs[i] == nil {
			queued, indexes = append(queued, e), append(indexes, i)
		}
	}
	if len(queued) == 0 {
		return errs
	}
	for i, err := range b.Bus.Publish(ctx, queued) {
		errs[indexes[i]] = err
	}
	return errs
}

func (b *Bus) send(ctx context.Context, e bus.Event) error {
	id := e.Detail.EventID
	envelope, err := Envelope(e, uuid(id), b.Account, b.Region)
	if err != nil {
		return errors.Join(bus.ErrRefused, err)
	}
	body, err := json.Marshal(envelope)
	if err != nil {
		return errors.Join(bus.ErrRefused, err)
	}
	m := queue.Message{
		Group: e.Detail.Event.Subject, DeduplicationID: id, Body: sendable.Replace(string(body)),
		Attributes: map[string]string{eventIDAttribute: id},
	}
	if e.Detail.Replay { // the queue may remember the event itself
		m.DeduplicationID += ".replay." + fmt.Sprint(b.Now().UnixNano())
	}
	return b.Queue.Send(ctx, m)
}

// uuid gives an event ID the form of EventBridge's IDs.
func uuid(id string) string {
	id = (id + strings.Repeat("0", 32))[:32]
	return strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
}

// sendable escapes the two characters of JSON that SQS refuses.
var sendable = strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`)
