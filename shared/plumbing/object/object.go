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

// Create puts an object, unless there is one under its key already, which is no error. The body is read anew
// for each attempt.
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html, read 2026-11-23: If-None-Match: * is
// answered 412 if the object is there, and 409 if somebody else is just writing it; then one tries again.
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

// ErrNotFound: there is no object under this key.
var ErrNotFound = errors.New("object: not found")

// Read returns the content of an object, or ErrNotFound.
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
