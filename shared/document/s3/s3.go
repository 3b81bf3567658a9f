// Package s3 is the store of documents in an S3 bucket.
package s3

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"esignhooks/shared/document"
)

// Store implements [document.Store].
type Store struct {
	client *s3.Client
	bucket string
}

var _ document.Store = (*Store)(nil)

// New makes a store in a bucket.
func New(client *s3.Client, bucket string) *Store { return &Store{client, bucket} }

// Put implements [document.Store].
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html, read 2026-11-23: S3 verifies the body by the
// checksum, and keeps it with the object.
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html, read 2026-11-23: If-None-Match: * is
// answered 412 if the object is there, and 409 if somebody else is just writing it; then one tries again.
func (s *Store) Put(ctx context.Context, key string, f document.File) (document.Stored, error) {
	sum, err := hex.DecodeString(f.SHA256)
	if err != nil {
		return document.Stored{}, wrap("put", err)
	}
	for {
		if _, err := f.Body.Seek(0, io.SeekStart); err != nil {
			return document.Stored{}, wrap("put", err)
		}
		_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
			Bucket: &s.bucket, Key: &key, Body: f.Body, ContentLength: &f.Size, ContentType: &f.ContentType, Metadata: f.Metadata,
			IfNoneMatch: aws.String("*"), ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum)),
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
		})
		var answer smithy.APIError
		errors.As(err, &answer)
		switch {
		case err == nil, answer != nil && answer.ErrorCode() == "PreconditionFailed":
			return s.Stat(ctx, key)
		case answer == nil || answer.ErrorCode() != "ConditionalRequestConflict" || ctx.Err() != nil:
			return document.Stored{}, wrap("put", err)
		}
	}
}

// Stat implements [document.Store].
//
// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html, read 2026-11-23: an object that is not there
// is answered 404 to those who may s3:ListBucket, and 403 to others; to read the checksum of an
// object under a KMS key takes kms:Decrypt.
func (s *Store) Stat(ctx context.Context, key string) (document.Stored, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.bucket, Key: &key, ChecksumMode: types.ChecksumModeEnabled})
	var missing *types.NotFound
	if errors.As(err, &missing) {
		return document.Stored{}, document.ErrNotFound
	} else if err != nil {
		return document.Stored{}, wrap("stat", err)
	}
	sum, err := base64.StdEncoding.DecodeString(aws.ToString(out.ChecksumSHA256))
	if err != nil || len(sum) == 0 {
		return document.Stored{}, errors.New("document/s3: stat: an object that was stored by somebody else")
	}
	return document.Stored{
		Location: "s3://" + s.bucket + "/" + key, ContentType: aws.ToString(out.ContentType), SHA256: hex.EncodeToString(sum),
		Size: aws.ToInt64(out.ContentLength),
	}, nil
}

// Get implements [document.Store].
func (s *Store) Get(ctx context.Context, key string) ([]byte, error) {
	out, err := s.client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket, Key: &key})
	var missing *types.NoSuchKey
	if errors.As(err, &missing) {
		return nil, document.ErrNotFound
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
	return fmt.Errorf("document/s3: %s: %w", action, err)
}
