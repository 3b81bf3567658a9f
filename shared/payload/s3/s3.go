// Package s3 is the payload store in an S3 bucket.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"esignhooks/shared/payload"
)

// Store implements [payload.Store].
type Store struct {
	client *s3.Client
	bucket string
}

var _ payload.Store = (*Store)(nil)

// New makes a store in a bucket.
func New(client *s3.Client, bucket string) *Store { return &Store{client, bucket} }

// Put implements [payload.Store].
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html: If-None-Match: * is answered 412
// if the object is there, and 409 if somebody else is just writing it; then one tries again.
func (s *Store) Put(ctx context.Context, key string, body []byte) error {
	for {
		_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &s.bucket, Key: &key, Body: bytes.NewReader(body), IfNoneMatch: aws.String("*"),
			ContentType: aws.String("application/octet-stream"),
		})
		var answer smithy.APIError
		errors.As(err, &answer)
		switch {
		case err == nil, answer != nil && answer.ErrorCode() == "PreconditionFailed":
			return nil
		case answer == nil || answer.ErrorCode() != "ConditionalRequestConflict" || ctx.Err() != nil:
			return wrap("put", err)
		}
	}
}

// Get implements [payload.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, payload.ErrNotFound
	} else if err != nil {
		return nil, wrap("get", err)
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	return body, wrap("get", err)
}

func wrap(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("payload/s3: %s: %w", action, err)
}
