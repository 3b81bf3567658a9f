package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"esignhooks/shared/operate"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/payload/s3"
)

// Redrive sends the dead letters through the worker again, those of the archiver through the archiver, and those of the
// outlet to the application. It has the archiver ask about the completions of other accounts that have credentials now,
// and publishes what the publisher could not. What is left of the dead letters and the unpublished events is an error.
func (s *Stack) Redrive(ctx context.Context, w io.Writer) error {
	var problems []error
	if err := s.redriveDeadLetters(ctx, w, "dead letters", "DeadLetterQueueUrl", "QueueUrl"); err != nil {
		problems = append(problems, fmt.Errorf("stack: dead letters: %w", err))
	}
	if err := s.redriveDeadLetters(ctx, w, "documents", "DocumentDeadLetterQueueUrl", "DocumentQueueUrl"); err != nil {
		problems = append(problems, fmt.Errorf("stack: documents: %w", err))
	}
	if s.outputs["OutletQueueUrl"] != "" {
		if err := s.redriveDeadLetters(ctx, w, "outlet", "OutletDeadLetterQueueUrl", "OutletQueueUrl"); err != nil {
			problems = append(problems, fmt.Errorf("stack: outlet: %w", err))
		}
	}
	if err := operate.AskAgain(ctx, w, s.Target()); err != nil {
		problems = append(problems, err)
	}
	if err := s.redriveUnpublished(ctx, w); err != nil {
		problems = append(problems, fmt.Errorf("stack: unpublished records: %w", err))
	}
	return errors.Join(problems...)
}

// redriveDeadLetters moves the messages of one queue back to another, and waits until they are moved. The destination
// is named, since SQS does not know where those come from that a function itself has sent. letters and queue are the
// names of outputs.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html: one task
// at a time per queue; the two queues are of the same type, both FIFO or both standard.
func (s *Stack) redriveDeadLetters(ctx context.Context, w io.Writer, what, letters, queue string) error {
	client := sqs.NewFromConfig(s.config)
	from, err := attribute(ctx, client, s.outputs[letters], types.QueueAttributeNameQueueArn)
	if err != nil {
		return err
	}
	to, err := attribute(ctx, client, s.outputs[queue], types.QueueAttributeNameQueueArn)
	if err != nil {
		return err
	}
	last, err := lastMove(ctx, client, from)
	if err != nil {
		return err
	}
	earlier := int64(0)
	if running(last) {
		fmt.Fprintf(w, "%s: they are being moved already\n", what)
	} else {
		earlier = last.StartedTimestamp
		if _, err := client.StartMessageMoveTask(ctx,
			&sqs.StartMessageMoveTaskInput{SourceArn: &from, DestinationArn: &to}); err != nil {
			return err
		}
	}
	moved, err := await(ctx, w, client, what, from, earlier)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "%s: %d moved back to the queue\n", what, moved)
	if moved > 0 {
		pause(ctx, 5*time.Second) // what still cannot be processed returns
	}
	left, err := attribute(ctx, client, s.outputs[letters], types.QueueAttributeNameApproximateNumberOfMessages)
	if err == nil && left != "0" {
		err = fmt.Errorf("about %s are left or have returned; the logs say why", left)
	}
	return err
}

func attribute(ctx context.Context, client *sqs.Client, url string, name types.QueueAttributeName) (string, error) {
	out, err := client.GetQueueAttributes(ctx,
		&sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: []types.QueueAttributeName{name}})
	if err != nil {
		return "", err
	}
	return out.Attributes[string(name)], nil
}

// lastMove is the last move that was started from a queue; zero if there was none.
func lastMove(ctx context.Context, client *sqs.Client, from string) (types.ListMessageMoveTasksResultEntry, error) {
	out, err := client.ListMessageMoveTasks(ctx, &sqs.ListMessageMoveTasksInput{SourceArn: &from})
	if err != nil || len(out.Results) == 0 {
		return types.ListMessageMoveTasksResultEntry{}, err
	}
	return out.Results[0], nil
}

func running(move types.ListMessageMoveTasksResultEntry) bool {
	status := aws.ToString(move.Status)
	return status == "RUNNING" || status == "CANCELLING"
}

// await waits until a move has ended that was started after the earlier one, and returns how many messages it has
// moved.
func await(ctx context.Context, w io.Writer, client *sqs.Client, what, from string, earlier int64) (int64, error) {
	shown := int64(0)
	for {
		move, err := lastMove(ctx, client, from)
		switch {
		case err != nil:
			return 0, err
		case move.StartedTimestamp == earlier: // it does not show yet
		case aws.ToString(move.Status) == "COMPLETED":
			return move.ApproximateNumberOfMessagesMoved, nil
		case !running(move):
			return 0, fmt.Errorf("%s after %d were moved: %s", aws.ToString(move.Status), move.ApproximateNumberOfMessagesMoved,
				aws.ToString(move.FailureReason))
		case move.ApproximateNumberOfMessagesMoved > shown:
			shown = move.ApproximateNumberOfMessagesMoved
			fmt.Fprintf(w, "%s: %d of %d moved\n", what, shown, aws.ToInt64(move.ApproximateNumberOfMessagesToMove))
		}
		pause(ctx, time.Second)
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// redriveUnpublished publishes the records of the table's stream that were kept in the bucket, and deletes each object
// when all its records are published.
func (s *Stack) redriveUnpublished(ctx context.Context, w io.Writer) error {
	bucket, err := s.payloadBucket(ctx)
	if err != nil {
		return err
	}
	client := s.s3()
	published, left := 0, 0
	for _, folder := range []string{publish.Folder, publish.LambdaFolder} {
		pages := awss3.NewListObjectsV2Paginator(client, &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &folder})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return err
			}
			for _, object := range page.Contents {
				n, err := s.publishObject(ctx, w, client, bucket, *object.Key)
				if published += n; err != nil {
					fmt.Fprintf(w, "unpublished records: %s stays: %v\n", *object.Key, err)
					left++
				}
			}
		}
	}
	fmt.Fprintf(w, "unpublished records: %d published\n", published)
	if left > 0 {
		return fmt.Errorf("%d objects stay in s3://%s", left, bucket)
	}
	return nil
}

// publishObject publishes the records of one object, and returns how many events it has published.
func (s *Stack) publishObject(ctx context.Context, w io.Writer, client *awss3.Client, bucket, key string) (int, error) {
	object, err := s3.New(client, bucket).Get(ctx, key)
	if err != nil {
		return 0, err
	}
	batch, err := publish.Records(object)
	if err != nil {
		return 0, err
	}
	var events []bus.Event
	var problems []error
	for _, record := range batch.Records {
		entry, committed, err := publish.Committed(record)
		if err != nil {
			problems = append(problems, fmt.Errorf("record %s: %w", record.Change.SequenceNumber, err))
		} else if committed {
			events = append(events, bus.EventOf(entry))
		}
	}
	failed := operate.Publish(ctx, w, s.bus(), events)
	if failed > 0 {
		problems = append(problems, fmt.Errorf("%d events not published", failed))
	}
	if len(problems) == 0 {
		_, err := client.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &bucket, Key: &key})
		problems = append(problems, err)
	}
	return len(events) - failed, errors.Join(problems...)
}
