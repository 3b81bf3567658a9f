// Package object creates and reads whole objects in S3 buckets, for the drivers of the stores.
package object

import (
	"context"
	"errors"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

// Create stores an object. If its key already holds an object, Create does nothing, and returns no error. Each attempt
// reads the body from the start.
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html, read 2026-11-23: with
// If-None-Match: *, S3 answers 412 if the object exists, and 409 during a concurrent write. After 409, clients should
// retry.
func Create(ctx context.Context, client *s3.Client, in *s3.PutObjectInput, body io.ReadSeeker) error {
	in.Body, in.IfNoneMatch = body, aws.String("*")
	for {
		if _, err := body.Seek(0, io.SeekStart); err != nil {
			return err
		}
		_, err := client.PutObject(ctx, in)
		var answer smithy.APIError
		errors.As(err, &answer)
		switch {
		case err == nil, answer != nil && answer.ErrorCode() == "PreconditionFailed":
			return nil
		case answer == nil || answer.ErrorCode() != "ConditionalRequestConflict" || ctx.Err() != nil:
			return err
		}
	}
}

// ErrNotFound reports that there is no object under the key.
var ErrNotFound = errors.New("object: not found")

// Read returns the content of an object, or ErrNotFound. The caller needs the permission s3:ListBucket too: without it,
// S3 answers 403 for a missing object, as if the key were forbidden.
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html, read 2026-12-01
func Read(ctx context.Context, client *s3.Client, bucket, key string) ([]byte, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, ErrNotFound
	} else if err != nil {
		return nil, err
	}
	defer out.Body.Close()
	return io.ReadAll(out.Body)
}
