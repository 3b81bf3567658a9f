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
	event               string      // the ID of the event that completed it
	reported            esign.Event // that event; a job of an earlier release may lack the account and the proof
	at                  time.Time   // when that event was committed
	body                string
	receipt             string
	attempt             int // 1 the first time
}

// Job returns the body of a job: the event that completed an agreement, as EventBridge delivers it.
func Job(e bus.Event) string {
	detail, _ := json.Marshal(e.Detail) // strings, numbers and times always marshal
	body, _ := json.Marshal(events.EventBridgeEvent{
		Version: "0", Source: e.Source, DetailType: e.DetailType, Time: e.Time, Resources: []string{}, Detail: detail,
	})
	return string(body)
}

// readJob reads a message. Even with an error, the job has the message's body and receipt.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html, read 2026-11-23:
// ApproximateReceiveCount is how often the message was received and not deleted.
func readJob(record events.SQSMessage) (job, error) {
	received, _ := strconv.Atoi(record.Attributes["ApproximateReceiveCount"])
	j := job{body: record.Body, receipt: record.ReceiptHandle, attempt: max(received, 1)}
	var envelope events.EventBridgeEvent
	var detail bus.Detail
	if json.Unmarshal([]byte(record.Body), &envelope) != nil || json.Unmarshal(envelope.Detail, &detail) != nil ||
		detail.Event.Provider == "" || detail.Event.AgreementID == "" {
		return j, fmt.Errorf("%w: the job is not the event of an agreement", errPermanent)
	}
	j.provider, j.agreement, j.event, j.at = detail.Event.Provider, detail.Event.AgreementID, detail.EventID, envelope.Time
	j.reported = detail.Event
	return j, nil
}
