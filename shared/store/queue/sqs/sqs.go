// Package sqs sends messages to an SQS FIFO queue. On AWS, Lambda's event source mapping receives them.
package sqs

import (
	"context"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"esignhooks/shared/store/queue"
)

// Queue implements [queue.Sender].
type Queue struct {
	client *sqs.Client
	url    string
}

var _ queue.Sender = (*Queue)(nil)

// New returns a sender for the queue with this URL.
func New(client *sqs.Client, url string) *Queue { return &Queue{client, url} }

// Send implements [queue.Sender].
func (q *Queue) Send(ctx context.Context, m queue.Message) error {
	input := sqs.SendMessageInput{
		QueueUrl: &q.url, MessageGroupId: &m.Group, MessageDeduplicationId: &m.DeduplicationID, MessageBody: &m.Body,
		MessageAttributes: map[string]types.MessageAttributeValue{},
	}
	for name, value := range m.Attributes {
		input.MessageAttributes[name] = types.MessageAttributeValue{DataType: aws.String("String"), StringValue: &value}
	}
	if m.Trace != "" {
		const name = string(types.MessageSystemAttributeNameForSendsAWSTraceHeader)
		input.MessageSystemAttributes = map[string]types.MessageSystemAttributeValue{
			name: {DataType: aws.String("String"), StringValue: &m.Trace},
		}
	}
	if _, err := q.client.SendMessage(ctx, &input); err != nil {
		return fmt.Errorf("queue/sqs: send: %w", err)
	}
	return nil
}
