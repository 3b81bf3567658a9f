package archive

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/bus"
)

// job is one agreement to be archived.
type job struct {
	provider, agreement string
	event               string           // the ID of the event that completed it
	reported            esign.Event      // that event; a job of an earlier release may lack the account and the proof
	state               *esign.Agreement // the agreement after that event; nil if the job does not have it
	ordered             bool             // by an operator, not by an event
	at                  time.Time        // when that event was committed
	body                string
	receipt             string
	attempt             int // 1 the first time
}

// envelope is the body of a job. EventBridge's has no further members.
type envelope struct {
	events.EventBridgeEvent
	Ordered bool `json:"ordered,omitempty"`
}

// Job returns the body of a job: the event that completed an agreement, as EventBridge delivers it.
func Job(e bus.Event) string { return newJob(e, false) }

// Order returns the body of a job that an operator has ordered. If the agreement is archived without form data, the job
// adds it.
func Order(e bus.Event) string { return newJob(e, true) }

func newJob(e bus.Event, ordered bool) string {
	detail, _ := json.Marshal(e.Detail) // strings, numbers and times always marshal
	body, _ := json.Marshal(envelope{events.EventBridgeEvent{
		Version: "0", Source: e.Source, DetailType: e.DetailType, Time: e.Time, Resources: []string{}, Detail: detail,
	}, ordered})
	return string(body)
}

// IsOf reports whether the body is that of a job of this agreement.
func IsOf(body, provider, agreementID string) bool {
	j, err := readJob(events.SQSMessage{Body: body})
	return err == nil && j.provider == provider && j.agreement == agreementID
}

// readJob reads a message. Even with an error, the job has the message's body and receipt.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html, read 2026-11-23:
// ApproximateReceiveCount is how often the message was received and not deleted.
func readJob(record events.SQSMessage) (job, error) {
	received, _ := strconv.Atoi(record.Attributes["ApproximateReceiveCount"])
	j := job{body: record.Body, receipt: record.ReceiptHandle, attempt: max(received, 1)}
	var envelope envelope
	var detail bus.Detail
	if json.Unmarshal([]byte(record.Body), &envelope) != nil || json.Unmarshal(envelope.Detail, &detail) != nil ||
		detail.Event.Provider == "" || detail.Event.AgreementID == "" {
		return j, fmt.Errorf("%w: the job is not the event of an agreement", errPermanent)
	}
	j.provider, j.agreement, j.event, j.at = detail.Event.Provider, detail.Event.AgreementID, detail.EventID, envelope.Time
	j.reported, j.state, j.ordered = detail.Event, detail.Agreement, envelope.Ordered
	return j, nil
}
