// Package s3 is the document store in an S3 bucket.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"esignhooks/shared/plumbing/object"
	"esignhooks/shared/store/document"
)

// Store implements [document.Store].
type Store struct {
	client *s3.Client
	bucket string
}

var _ document.Store = (*Store)(nil)

// New returns a store in a bucket.
func New(client *s3.Client, bucket string) *Store { return &Store{client, bucket} }

// Put implements [document.Store].
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, read 2026-11-23: S3 verifies the checksum
// of the body, and stores it with the object.
func (s *Store) Put(ctx context.Context, key string, f document.File) (document.Stored, error) {
	sum, err := hex.DecodeString(f.SHA256)
	if err != nil {
		return document.Stored{}, wrap("put", err)
	}
	in := &s3.PutObjectInput{
		Bucket: &s.bucket, Key: &key, ContentLength: &f.Size, ContentType: &f.ContentType, Metadata: f.Metadata,
		ChecksumSHA256:    aws.String(base64.StdEncoding.EncodeToString(sum)),
		ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}
	if err := object.Create(ctx, s.client, in, f.Body); err != nil {
		return document.Stored{}, wrap("put", err)
	}
	return s.Stat(ctx, key)
}

// Stat implements [document.Store].
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, read 2026-11-23: for a missing object, S3
// answers 404 to callers with s3:ListBucket, and 403 to others. Reading the checksum of an object under a KMS key needs
// kms:Decrypt.
func (s *Store) Stat(ctx context.Context, key string) (document.Stored, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{
		Bucket: &s.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled,
	})
	var missing *types.NotFound
	if errors.As(err, &missing) {
		return document.Stored{}, document.ErrNotFound
	} else if err != nil {
		return document.Stored{}, wrap("stat", err)
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(out.ChecksumSHA256))
	if err != nil || len(sum) == 0 {
		return document.Stored{}, errors.New("document/s3: stat: the object has no SHA-256 checksum, so another program " +
			"has stored it")
	}
	return document.Stored{
		Location: "s3://" + s.bucket + "/" + key, ContentType: aws.ToString(out.ContentType),
		SHA256: hex.EncodeToString(sum), Size: aws.ToInt64(out.ContentLength),
	}, nil
}

// Get implements [document.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	body, err := object.Read(ctx, s.client, s.bucket, key)
	if errors.Is(err, object.ErrNotFound) {
		return nil, document.ErrNotFound
	}
	return body, wrap("get", err)
}

func wrap(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("document/s3: %s: %w", action, err)
}
