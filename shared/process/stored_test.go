package process_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/stored"
	"esignhooks/shared/process"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
)

// storedDelivery is a delivery that an earlier version enqueued.
type storedDelivery struct {
	Provider, EventID, Subject, Via string
	ReceivedAt                      time.Time
	Proof                           esign.Proof
	ContentType, Trace              string
	SHA256                          string
	Size                            int
}

func TestMessagesOfVersion1AreRead(t *testing.T) {
	var batch events.SQSEvent
	stored.V1(t, "messages.json", &batch)
	var want []storedDelivery
	stored.V1(t, "messages.want.json", &want)
	payloads := folder.New(filepath.Join(stored.LocalV1(t), "payloads"))
	var got []storedDelivery
	for _, record := range batch.Records {
		d, err := queue.Decode(t.Context(), process.Message(record).Message, payloads)
		if err != nil {
			t.Fatalf("%s: %v", record.MessageId, err)
		}
		got = append(got, storedDelivery{
			d.Provider, d.EventID, d.Subject, d.Via, d.ReceivedAt, d.Proof, d.ContentType, d.Trace,
			ledger.NewClaim(d, "", "", time.Time{}).SHA256, len(d.Payload),
		})
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
