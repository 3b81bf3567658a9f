package stack

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/publish"
	"esignhooks/shared/store/ledger"
)

// TestRecordsOfAnAgreementAreTakenOut also lists where a stack looks for things of an agreement.
func TestRecordsOfAnAgreementAreTakenOut(t *testing.T) {
	s := &Stack{outputs: map[string]string{"OutletQueueUrl": "q", "ArchiveBucketName": "a", "DocumentBucketName": "d"}}
	var names []string
	for _, p := range s.places() {
		names = append(names, p.Name)
	}
	want := []string{"dead letters", "dead letters of the archiver", "events for the application",
		"dead letters of the outlet", "unpublished records", "stored payloads", "archived payloads", "documents"}
	if !slices.Equal(names, want) {
		t.Errorf("places: %q", names)
	}
	record := func(subject string) []byte {
		e := entryOf("a")
		e.Subject, e.Event.Subject = subject, subject
		r, err := publish.Record(1, ledger.New, e)
		must(t, err)
		body, err := json.Marshal(events.DynamoDBEvent{Records: []events.DynamoDBEventRecord{r}})
		must(t, err)
		object, err := json.Marshal(map[string]string{"payload": string(body)})
		must(t, err)
		return object
	}
	for subject, removed := range map[string]int{"docusign#e-1": 1, "docusign#other": 0} {
		rest, n, err := publish.Without(record("docusign#e-1"), subject)
		if err != nil || n != removed || (rest == nil) != (removed == 1) {
			t.Errorf("%s: %d, %s, %v", subject, n, rest, err)
		}
	}
}
