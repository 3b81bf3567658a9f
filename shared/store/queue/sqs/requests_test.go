package sqs_test

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/sqs"
)

// service is SQS, as the client's transport. It keeps the last request, or fails.
type service struct {
	request string
	fails   bool
}

// Do implements [aws.HTTPClient]. The SDK checks the MD5 of the body.
func (s *service) Do(r *http.Request) (*http.Response, error) {
	b, err := io.ReadAll(r.Body)
	s.request = r.Header.Get("X-Amz-Target") + " " + string(b)
	var in struct{ MessageBody string }
	json.Unmarshal(b, &in)
	sum := md5.Sum([]byte(in.MessageBody))
	answer, status := `{"MessageId":"m","MD5OfMessageBody":"`+hex.EncodeToString(sum[:])+`"}`, http.StatusOK
	if s.fails {
		answer, status = `{"__type":"com.amazonaws.sqs#QueueDoesNotExist"}`, http.StatusBadRequest
	}
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(answer))}, err
}

func TestRequests(t *testing.T) {
	const text = `{"DataType":"String","StringValue":`
	const visible = `ChangeMessageVisibility {"QueueUrl":"https://q","ReceiptHandle":"r","VisibilityTimeout":`
	m := queue.Message{Group: "g", DeduplicationID: "d", Body: "b", Attributes: map[string]string{"a": "1", "z": "2"}}
	traced := m
	traced.Trace, traced.Attributes = "Root=1", nil
	later := func(d time.Duration) func(*sqs.Queue, *sqs.Jobs) error {
		return func(_ *sqs.Queue, j *sqs.Jobs) error { return j.Later(t.Context(), "r", d) }
	}
	for want, call := range map[string]func(*sqs.Queue, *sqs.Jobs) error{
		`SendMessage {"QueueUrl":"https://q","MessageGroupId":"g","MessageDeduplicationId":"d","MessageBody":"b",` +
			`"MessageAttributes":{"a":` + text + `"1"},"z":` + text + `"2"}}}`: func(q *sqs.Queue, _ *sqs.Jobs) error {
			return q.Send(t.Context(), m)
		},
		`SendMessage {"QueueUrl":"https://q","MessageGroupId":"g","MessageDeduplicationId":"d","MessageBody":"b",` +
			`"MessageAttributes":{},` +
			`"MessageSystemAttributes":{"AWSTraceHeader":` + text + `"Root=1"}}}`: func(q *sqs.Queue, _ *sqs.Jobs) error {
			return q.Send(t.Context(), traced)
		},
		`SendMessage {"QueueUrl":"https://dead","MessageBody":"b"}`: func(_ *sqs.Queue, j *sqs.Jobs) error {
			return j.Park(t.Context(), "b")
		},
		visible + `1}`:     later(time.Millisecond),
		visible + `90}`:    later(90 * time.Second),
		visible + `43200}`: later(12 * time.Hour),
	} {
		s := &service{}
		c := sdk.New(sdk.Options{
			HTTPClient: s, Region: "us-east-1", Retryer: aws.NopRetryer{},
			Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			}),
		})
		q, jobs := sqs.New(c, "https://q"), sqs.NewJobs(c, "https://q", "https://dead")
		if err := call(q, jobs); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if diff := cmp.Diff(fields(t, want), fields(t, strings.TrimPrefix(s.request, "AmazonSQS."))); diff != "" {
			t.Error(diff)
		}
		if s.fails = true; call(q, jobs) == nil {
			t.Errorf("%s: no error", want)
		}
	}
}

// fields returns a request, whose members have no order.
func fields(t *testing.T, request string) map[string]any {
	t.Helper()
	operation, body, _ := strings.Cut(request, " ")
	all := map[string]any{}
	if err := json.Unmarshal([]byte(body), &all); err != nil {
		t.Fatalf("%s: %v", request, err)
	}
	all["operation"] = operation
	return all
}
