package sqs_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/archive"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/store/queue/sqs"
)

var _ archive.Jobs = (*sqs.Jobs)(nil)

func TestJobs(t *testing.T) {
	c := client(enginetest.SQS(t))
	var urls []string
	for _, name := range []string{"jobs", "dead-letters"} {
		out, err := c.CreateQueue(t.Context(), &sdk.CreateQueueInput{
			QueueName: &name, Attributes: map[string]string{"VisibilityTimeout": "60"},
		})
		if err != nil {
			t.Fatal(err)
		}
		urls = append(urls, *out.QueueUrl)
	}
	jobs := sqs.NewJobs(c, urls[0], urls[1])
	receive := func(url string) (body, receipt string) {
		out, err := c.ReceiveMessage(t.Context(), &sdk.ReceiveMessageInput{QueueUrl: &url, WaitTimeSeconds: 3})
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return "", ""
		}
		return *out.Messages[0].Body, *out.Messages[0].ReceiptHandle
	}
	if _, err := c.SendMessage(t.Context(),
		&sdk.SendMessageInput{QueueUrl: &urls[0], MessageBody: aws.String("job")}); err != nil {
		t.Fatal(err)
	}
	_, receipt := receive(urls[0])
	if err := jobs.Later(t.Context(), receipt, 400*time.Millisecond); err != nil { // rounded up to a second
		t.Fatal(err)
	}
	begin := time.Now()
	var body string
	if body, receipt = receive(urls[0]); body != "job" || time.Since(begin) < 300*time.Millisecond {
		t.Fatalf("%q after %s", body, time.Since(begin))
	}
	if err := jobs.Later(t.Context(), receipt, 12*time.Hour); err != nil {
		t.Error(err)
	}
	if again, _ := receive(urls[0]); again != "" {
		t.Errorf("%q was redelivered too early", again)
	}
	if err := jobs.Later(t.Context(), "none", time.Second); err == nil {
		t.Error("an invalid receipt was accepted")
	}
	if err := jobs.Park(t.Context(), body); err != nil {
		t.Fatal(err)
	}
	if parked, _ := receive(urls[1]); parked != "job" {
		t.Errorf("parked %q", parked)
	}
}
