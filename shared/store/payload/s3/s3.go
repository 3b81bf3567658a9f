// Package s3 is the payload store in an S3 bucket.
package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"esignhooks/shared/plumbing/object"
	"esignhooks/shared/store/payload"
)

// Store implements [payload.Store].
type Store struct {
	client *s3.Client
	bucket string
}

var _ payload.Store = (*Store)(nil)

// New returns a store in a bucket.
func New(client *s3.Client, bucket string) *Store { return &Store{client, bucket} }

// Put implements [payload.Store].
func (s *Store) Put(ctx context.Context, key string, body []byte) error {
	in := &s3.PutObjectInput{Bucket: &s.bucket, Key: &key, ContentType: aws.String("application/octet-stream")}
	return wrap("put", object.Create(ctx, s.client, in, bytes.NewReader(body)))
}

// Get implements [payload.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	body, err := object.Read(ctx, s.client, s.bucket, key)
	if errors.Is(err, object.ErrNotFound) {
		return nil, payload.ErrNotFound
	}
	return body, wrap("get", err)
}

// Location returns where the payload under key is: s3://bucket/key.
func (s *Store) Location(key string) string { return "s3://" + s.bucket + "/" + key }

func wrap(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("payload/s3: %s: %w", action, err)
}
