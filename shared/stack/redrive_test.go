package stack

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/publish"
	"esignhooks/shared/store/ledger"
)

// bury sends dead letters, as the functions do: SQS does not know where they come from.
func (a *account) bury(output string, bodies ...string) {
	a.t.Helper()
	for _, body := range bodies {
		_, err := a.sqs.SendMessage(a.t.Context(),
			&sqs.SendMessageInput{QueueUrl: aws.String(a.outputs[output]), MessageBody: &body})
		must(a.t, err)
	}
}

// drain takes all messages out of a queue.
func (a *account) drain(output string) []string {
	a.t.Helper()
	var bodies []string
	for {
		out, err := a.sqs.ReceiveMessage(a.t.Context(),
			&sqs.ReceiveMessageInput{QueueUrl: aws.String(a.outputs[output]), MaxNumberOfMessages: 10})
		must(a.t, err)
		if len(out.Messages) == 0 {
			slices.Sort(bodies)
			return bodies
		}
		for _, m := range out.Messages {
			bodies = append(bodies, *m.Body)
			_, err := a.sqs.DeleteMessage(a.t.Context(),
				&sqs.DeleteMessageInput{QueueUrl: aws.String(a.outputs[output]), ReceiptHandle: m.ReceiptHandle})
			must(a.t, err)
		}
	}
}

func (a *account) testRedriveDeadLetters(t *testing.T) {
	s := a.open()
	for i, bodies := range [][]string{{}, {"a", "b", "c"}} {
		a.bury("DeadLetterQueueUrl", bodies...)
		jobs := bodies[:min(len(bodies), 2)]
		a.bury("DocumentDeadLetterQueueUrl", jobs...)
		var out strings.Builder
		must(t, s.Redrive(t.Context(), &out))
		for _, said := range []string{fmt.Sprintf("dead letters: %d moved", len(bodies)),
			fmt.Sprintf("documents: %d moved", len(jobs))} {
			if !strings.Contains(out.String(), said) {
				t.Errorf("time %d does not say %q: %s", i, said, &out)
			}
		}
		for output, want := range map[string][]string{
			"QueueUrl": bodies, "DocumentQueueUrl": jobs, "DeadLetterQueueUrl": nil, "DocumentDeadLetterQueueUrl": nil,
		} {
			if got := a.drain(output); !slices.Equal(got, want) {
				t.Errorf("time %d: %s holds %v", i, output, got)
			}
		}
	}
}

// keep puts an object of stream records into the bucket, as Lambda does.
func (a *account) keep(bucket, key string, records ...events.DynamoDBEventRecord) {
	a.t.Helper()
	payload, err := json.Marshal(events.DynamoDBEvent{Records: records})
	must(a.t, err)
	object, err := json.Marshal(map[string]any{"payload": string(payload), "version": "1.0"})
	must(a.t, err)
	a.put(bucket, key, object)
}

func (a *account) put(bucket, key string, object []byte) {
	a.t.Helper()
	_, err := a.s3.PutObject(a.t.Context(),
		&awss3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(object)})
	must(a.t, err)
}

func (a *account) objects(bucket string) []string {
	a.t.Helper()
	out, err := a.s3.ListObjectsV2(a.t.Context(), &awss3.ListObjectsV2Input{Bucket: &bucket})
	must(a.t, err)
	var keys []string
	for _, object := range out.Contents {
		keys = append(keys, *object.Key)
	}
	return keys
}

func record(t *testing.T, before ledger.State, id string) events.DynamoDBEventRecord {
	t.Helper()
	r, err := publish.Record(1, before, entryOf(id))
	must(t, err)
	return r
}

func (a *account) testRedriveUnpublished(t *testing.T) {
	s := a.open()
	a.keep(s.name, publish.LambdaFolder+"mapping/shard/2026/11/23/a", record(t, ledger.Received, "a"),
		record(t, ledger.Received, "b"))
	a.keep(s.name, publish.LambdaFolder+"mapping/shard/2026/11/23/b", record(t, ledger.Processed, "counted duplicate"))
	a.keep(s.name, publish.Folder+"1.json", record(t, ledger.New, "c"))
	a.put(s.name, "2026/11/23/docusign/payload", []byte("a delivery's"))
	var out strings.Builder
	must(t, s.Redrive(t.Context(), &out))
	if !strings.Contains(out.String(), "unpublished records: 3 published") {
		t.Error(out.String())
	}
	var ids []string
	for _, detail := range a.received() {
		if ids = append(ids, detail.EventID); detail.Replay {
			t.Errorf("%s is marked as published again", detail.EventID)
		}
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{"a", "b", "c"}) {
		t.Errorf("received %v", ids)
	}
	if got := a.objects(s.name); !slices.Equal(got, []string{"2026/11/23/docusign/payload"}) {
		t.Errorf("left: %v", got)
	}
}

func (a *account) testRedriveKeepsWhatIsNotPublished(t *testing.T) {
	s := a.open()
	unreadable := record(t, ledger.Received, "unreadable")
	delete(unreadable.Change.NewImage, "event")
	a.keep(s.name, publish.Folder+"1.json", record(t, ledger.New, "a"), unreadable, record(t, ledger.New, "b"))
	a.put(s.name, publish.Folder+"2.json", []byte("{"))
	a.keep(s.name, publish.Folder+"3.json", record(t, ledger.New, "c"))
	var out strings.Builder
	err := s.Redrive(t.Context(), &out)
	if err == nil || !strings.Contains(err.Error(), "2 objects stay in s3://"+s.name) {
		t.Error(err)
	}
	for _, said := range []string{"unpublished/1.json stays: record 1: publish: unreadable",
		"unpublished/2.json stays: publish: kept", "3 published"} {
		if !strings.Contains(out.String(), said) {
			t.Errorf("does not say %q: %s", said, &out)
		}
	}
	if got := len(a.received()); got != 3 {
		t.Errorf("received %d", got)
	}
	if got := a.objects(s.name); !slices.Equal(got, []string{"unpublished/1.json", "unpublished/2.json"}) {
		t.Errorf("left: %v", got)
	}
}

func (a *account) testRedriveGoesOnBehindAFailure(t *testing.T) {
	s := a.open()
	s.outputs["EventBusName"] = "no such bus:"
	s.outputs["DeadLetterQueueUrl"] += "-gone"
	s.outputs["DocumentDeadLetterQueueUrl"] += "-gone"
	a.keep(s.name, publish.Folder+"1.json", record(t, ledger.New, "a"))
	var out strings.Builder
	err := s.Redrive(t.Context(), &out)
	for _, said := range []string{"stack: dead letters:", "stack: documents:",
		"stack: unpublished records: 1 objects stay"} {
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("does not say %q: %v", said, err)
		}
	}
	if got := a.objects(s.name); len(got) != 1 || !strings.Contains(out.String(), "docusign#e-1 a not published") {
		t.Errorf("left: %v; %s", got, &out)
	}
}
