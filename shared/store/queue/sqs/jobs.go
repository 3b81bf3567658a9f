package sqs

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Jobs is the consumer's side of a standard queue. Lambda receives and deletes the messages.
type Jobs struct {
	client             *sqs.Client
	url, deadLetterURL string
}

// NewJobs returns the Jobs of the queue with this URL. Its dead-letter queue must be a standard queue too.
func NewJobs(client *sqs.Client, url, deadLetterURL string) *Jobs {
	return &Jobs{client, url, deadLetterURL}
}

// Later makes a received message visible again after d. The caller must not delete it.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html, read
// 2026-11-23: whole seconds, and at most 12 hours from when the message was received.
func (j *Jobs) Later(ctx context.Context, receipt string, d time.Duration) error {
	_, err := j.client.ChangeMessageVisibility(ctx, &sqs.ChangeMessageVisibilityInput{
		QueueUrl: &j.url, ReceiptHandle: &receipt, VisibilityTimeout: int32(math.Ceil(d.Seconds())),
	})
	if err != nil {
		return fmt.Errorf("queue/sqs: later: %w", err)
	}
	return nil
}

// Park sends a message to the dead-letter queue. The caller must delete the received message afterwards.
func (j *Jobs) Park(ctx context.Context, body string) error {
	_, err := j.client.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &j.deadLetterURL, MessageBody: &body})
	if err != nil {
		return fmt.Errorf("queue/sqs: park: %w", err)
	}
	return nil
}
