package stack

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"

	"esignhooks/shared/archive"
	"esignhooks/shared/operate"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue"
)

// inFlight is how long the worker may work on an event that it has read: the timeout of its function.
const inFlight = 30 * time.Second

// places are the stores of the stack that may hold something of an agreement, apart from the table.
func (s *Stack) places() []operate.Place {
	all := []operate.Place{
		s.ofQueue("dead letters", "DeadLetterQueueUrl"),
		s.ofQueue("dead letters of the archiver", "DocumentDeadLetterQueueUrl"),
	}
	if s.outputs["OutletQueueUrl"] != "" {
		all = append(all, s.ofQueue("events for the application", "OutletQueueUrl"),
			s.ofQueue("dead letters of the outlet", "OutletDeadLetterQueueUrl"))
	}
	all = append(all,
		operate.Place{Name: "unpublished records", Forget: s.forgetUnpublished},
		operate.Place{Name: "stored payloads", Forget: s.forgetStored})
	if s.outputs["ArchiveBucketName"] != "" {
		all = append(all, operate.Place{Name: "archived payloads", Forget: s.forgetArchived})
	}
	if s.outputs["DocumentBucketName"] != "" {
		all = append(all, operate.Place{Name: "documents", Forget: s.forgetDocuments})
	}
	return all
}

// ofQueue is a queue by its output. Messages that another consumer has received are not found.
func (s *Stack) ofQueue(name, output string) operate.Place {
	return operate.Place{Name: name, Forget: func(ctx context.Context, t operate.Traces, remove bool) (int, int, error) {
		n, err := forgetMessages(ctx, sqs.NewFromConfig(s.config), s.outputs[output], t, remove)
		return n, 0, err
	}}
}

// How long the messages that are looked through stay invisible, and how long that may take.
const (
	hidden     = 5 * time.Minute
	lookingFor = 4 * time.Minute
)

var errLongQueue = errors.New("the queue is too long to be looked through; redrive it first, or run the command again")

// forgetMessages receives all messages of a queue, and counts those of an agreement. If remove is set, it deletes them.
// All others become visible again.
//
// SPEC:
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html:
// while a message of a group is invisible, no other of that group is received. So those of the agreement are deleted at
// once, before the next ones are received. If they are only counted, at most ten are found at a time.
func forgetMessages(ctx context.Context, client *sqs.Client, url string, t operate.Traces, remove bool) (found int,
	err error) {
	others := []string{} // receipts
	defer func() {
		for some := range slices.Chunk(others, 10) {
			show := sqs.ChangeMessageVisibilityBatchInput{QueueUrl: &url}
			for i, receipt := range some {
				show.Entries = append(show.Entries, types.ChangeMessageVisibilityBatchRequestEntry{
					Id: aws.String(fmt.Sprint(i)), ReceiptHandle: &receipt, VisibilityTimeout: 0,
				})
			}
			_, failed := client.ChangeMessageVisibilityBatch(context.WithoutCancel(ctx), &show)
			err = errors.Join(err, failed)
		}
	}()
	for end := time.Now().Add(lookingFor); ; {
		out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
			QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, VisibilityTimeout: int32(hidden / time.Second),
			MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameMessageGroupId},
		})
		if err != nil || len(out.Messages) == 0 {
			return found, err
		}
		for _, m := range out.Messages {
			group := m.Attributes[string(types.MessageSystemAttributeNameMessageGroupId)]
			ours := group == t.Subject || archive.IsOf(aws.ToString(m.Body), t.Provider, t.AgreementID)
			if ours {
				found++
			}
			if !ours || !remove {
				others = append(others, aws.ToString(m.ReceiptHandle))
				continue
			}
			if _, err := client.DeleteMessage(ctx,
				&sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				return found, err
			}
		}
		if time.Now().After(end) {
			return found, errLongQueue
		}
	}
}

func (s *Stack) s3() *awss3.Client {
	return awss3.NewFromConfig(s.config, func(o *awss3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil             // local engines have no names for buckets
		o.DisableLogOutputChecksumValidationSkipped = true // a warning for each object that was written without
	})
}

// payloadBucket returns the name of the bucket of large payloads and of what could not be published.
func (s *Stack) payloadBucket(ctx context.Context) (string, error) {
	resource, err := cloudformation.NewFromConfig(s.config).DescribeStackResource(ctx,
		&cloudformation.DescribeStackResourceInput{
			StackName: &s.name, LogicalResourceId: aws.String("PayloadBucket"),
		})
	if err != nil {
		return "", err
	}
	return *resource.StackResourceDetail.PhysicalResourceId, nil
}

func (s *Stack) forgetDocuments(ctx context.Context, t operate.Traces, remove bool) (found, kept int, err error) {
	return forgetObjects(ctx, s.s3(), s.outputs["DocumentBucketName"], document.Folder(t.Provider, t.AgreementID), remove)
}

func (s *Stack) forgetArchived(ctx context.Context, t operate.Traces, remove bool) (found, kept int, err error) {
	return s.forgetPayloads(ctx, s.outputs["ArchiveBucketName"], t, remove, func(sha256 string, _ time.Time) string {
		return payload.ArchiveKey(t.Provider, sha256)
	})
}

// forgetStored removes the payloads that were too large for a message. Their keys hold the day of the first copy.
func (s *Stack) forgetStored(ctx context.Context, t operate.Traces, remove bool) (found, kept int, err error) {
	bucket, err := s.payloadBucket(ctx)
	if err != nil {
		return 0, 0, err
	}
	large := t
	large.Events = nil
	for _, e := range t.Events {
		if e.Size > queue.MaxMessage/2 { // base64 makes it a third larger
			large.Events = append(large.Events, e)
		}
	}
	return s.forgetPayloads(ctx, bucket, large, remove, func(sha256 string, receivedAt time.Time) string {
		return payload.KeyOf(t.Provider, receivedAt, sha256)
	})
}

func (s *Stack) forgetPayloads(ctx context.Context, bucket string, t operate.Traces, remove bool,
	key func(sha256 string, receivedAt time.Time) string) (found, kept int, err error) {
	client, seen := s.s3(), map[string]bool{}
	for _, e := range t.Events {
		k := key(e.SHA256, e.ReceivedAt)
		if e.SHA256 == "" || seen[k] {
			continue
		}
		seen[k] = true
		n, protected, err := forgetObjects(ctx, client, bucket, k, remove)
		if found, kept = found+n, kept+protected; err != nil {
			return found, kept, err
		}
	}
	return found, kept, nil
}

// forgetObjects counts all versions of the objects whose keys have a prefix. If remove is set, it deletes them. It does
// not bypass a retention.
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock.html: S3 denies access to the deletion of a
// version under a legal hold or a retention.
func forgetObjects(ctx context.Context, client *awss3.Client, bucket, prefix string, remove bool) (found, kept int,
	err error) {
	pages := awss3.NewListObjectVersionsPaginator(client, &awss3.ListObjectVersionsInput{Bucket: &bucket, Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return found, kept, err
		}
		var versions []s3types.ObjectIdentifier
		for _, v := range page.Versions {
			versions = append(versions, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			versions = append(versions, s3types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		found += len(versions)
		for _, v := range versions {
			if !remove {
				break
			}
			_, err := client.DeleteObject(ctx,
				&awss3.DeleteObjectInput{Bucket: &bucket, Key: v.Key, VersionId: v.VersionId})
			var answer smithy.APIError
			if errors.As(err, &answer) && answer.ErrorCode() == "AccessDenied" {
				kept++
			} else if err != nil {
				return found, kept, err
			}
		}
	}
	return found, kept, nil
}

// forgetUnpublished counts the records of an agreement that were set aside. If remove is set, it removes them, and
// keeps the records of others in the same object.
func (s *Stack) forgetUnpublished(ctx context.Context, t operate.Traces, remove bool) (found, kept int, err error) {
	bucket, err := s.payloadBucket(ctx)
	if err != nil {
		return 0, 0, err
	}
	client := s.s3()
	for _, folder := range []string{publish.Folder, publish.LambdaFolder} {
		pages := awss3.NewListObjectsV2Paginator(client, &awss3.ListObjectsV2Input{Bucket: &bucket, Prefix: &folder})
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				return found, kept, err
			}
			for _, object := range page.Contents {
				body, err := s3.New(client, bucket).Get(ctx, *object.Key)
				if err != nil {
					return found, kept, err
				}
				rest, n, err := publish.Without(body, t.Subject)
				if err != nil {
					continue // make redrive reports it
				}
				if found += n; n == 0 || !remove {
					continue
				}
				if rest != nil {
					if err := s3.New(client, bucket).Put(ctx, rewritten(*object.Key), rest); err != nil {
						return found, kept, err
					}
				}
				_, protected, err := forgetObjects(ctx, client, bucket, *object.Key, true)
				if kept += protected; err != nil {
					return found, kept, err
				}
			}
		}
	}
	return found, kept, nil
}

// rewritten returns the key of an object without some of its records.
func rewritten(key string) string {
	return publish.Folder + "rest-" + strings.ReplaceAll(key, "/", "-") + "-" + fmt.Sprint(time.Now().UnixNano())
}
