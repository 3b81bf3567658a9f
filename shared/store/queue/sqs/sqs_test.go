package sqs_test

import (
	"context"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/queuetest"
	"esignhooks/shared/store/queue/sqs"
)

func client(url string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: &url, Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// consumer adds the consumer's side, which Lambda implements on AWS.
type consumer struct {
	*sqs.Queue
	client *sdk.Client
	url    string
}

func (c consumer) Receive(ctx context.Context, limit int) ([]queue.Received, error) {
	out, err := c.client.ReceiveMessage(ctx, &sdk.ReceiveMessageInput{
		QueueUrl: &c.url, MaxNumberOfMessages: int32(limit), MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil {
		return nil, err
	}
	var received []queue.Received
	for _, m := range out.Messages {
		receives, err := strconv.Atoi(m.Attributes["ApproximateReceiveCount"])
		if err != nil {
			return nil, err
		}
		r := queue.Received{ID: *m.MessageId, Receipt: *m.ReceiptHandle, Receives: receives, Message: queue.Message{
			Group: m.Attributes["MessageGroupId"], DeduplicationID: m.Attributes["MessageDeduplicationId"],
			Body: *m.Body, Trace: m.Attributes["AWSTraceHeader"], Attributes: map[string]string{},
		}}
		for name, value := range m.MessageAttributes {
			r.Attributes[name] = *value.StringValue
		}
		received = append(received, r)
	}
	return received, nil
}

func (c consumer) Delete(ctx context.Context, receipt string) error {
	_, err := c.client.DeleteMessage(ctx, &sdk.DeleteMessageInput{QueueUrl: &c.url, ReceiptHandle: &receipt})
	return err
}

func TestQueue(t *testing.T) {
	c := client(enginetest.SQS(t))
	var names atomic.Int32
	create := func(t *testing.T, attributes map[string]string) consumer {
		attributes["FifoQueue"] = "true"
		attributes["DeduplicationScope"] = "messageGroup"
		attributes["FifoThroughputLimit"] = "perMessageGroupId"
		attributes["VisibilityTimeout"] = strconv.Itoa(int(queuetest.Visibility.Seconds()))
		out, err := c.CreateQueue(t.Context(), &sdk.CreateQueueInput{
			QueueName: aws.String(fmt.Sprintf("q%d.fifo", names.Add(1))), Attributes: attributes,
		})
		if err != nil {
			t.Fatal(err)
		}
		return consumer{sqs.New(c, *out.QueueUrl), c, *out.QueueUrl}
	}
	queuetest.Run(t, func(t *testing.T) (queuetest.Queue, queuetest.Queue) {
		deadLetters := create(t, map[string]string{})
		arn, err := c.GetQueueAttributes(t.Context(), &sdk.GetQueueAttributesInput{
			QueueUrl: &deadLetters.url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameQueueArn},
		})
		if err != nil {
			t.Fatal(err)
		}
		policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`,
			arn.Attributes["QueueArn"], queuetest.MaxReceives)
		return create(t, map[string]string{"RedrivePolicy": policy}), deadLetters
	})
}
