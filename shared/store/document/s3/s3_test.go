package s3_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/document/documenttest"
	"esignhooks/shared/store/document/s3"
)

func client(url string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: &url, Region: "us-east-1", UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

func TestStore(t *testing.T) {
	client := client(enginetest.Moto(t))
	if _, err := client.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String("documents")}); err != nil {
		t.Fatal(err)
	}
	store := s3.New(client, "documents")
	documenttest.Run(t, store, func(key string) string { return "s3://documents/" + key })
	t.Run("metadata is stored with the object", func(t *testing.T) {
		key := document.Key("acmesign", "metadata", "documents.pdf")
		file := documenttest.File([]byte("content"), "application/pdf")
		if _, err := store.Put(t.Context(), key, file); err != nil {
			t.Fatal(err)
		}
		head, err := client.HeadObject(t.Context(), &sdk.HeadObjectInput{Bucket: aws.String("documents"), Key: &key})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(file.Metadata, head.Metadata); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("an object without a checksum is an error", func(t *testing.T) {
		key := document.Key("acmesign", "foreign", "documents.pdf")
		_, err := client.PutObject(t.Context(), &sdk.PutObjectInput{
			Bucket: aws.String("documents"), Key: &key, Body: strings.NewReader("x"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if stored, err := store.Stat(t.Context(), key); err == nil {
			t.Errorf("%+v", stored)
		}
	})
}

// The server checks the body's checksum, as S3 does and the engine does not. The first attempt meets a concurrent
// write.
func TestEachAttemptSendsTheBodyWithItsChecksum(t *testing.T) {
	puts := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		sum := sha256.Sum256(body)
		checksum := base64.StdEncoding.EncodeToString(sum[:])
		puts++
		switch {
		case err != nil || string(body) != "this" || r.Method != http.MethodPut || r.Header.Get("If-None-Match") != "*":
			t.Errorf("%s %v %q, %v", r.Method, r.Header, body, err)
		case puts == 1:
			w.WriteHeader(http.StatusConflict)
			io.WriteString(w, "<Error><Code>ConditionalRequestConflict</Code></Error>")
		case r.Header.Get("X-Amz-Checksum-Sha256") != checksum:
			w.WriteHeader(http.StatusBadRequest)
			io.WriteString(w, "<Error><Code>BadDigest</Code></Error>")
		default:
			t.Errorf("stored %q", body)
		}
	}))
	defer server.Close()
	file := documenttest.File([]byte("this"), "application/pdf")
	file.SHA256 = documenttest.File([]byte("that"), "").SHA256
	stored, err := s3.New(client(server.URL), "documents").Put(t.Context(), "acmesign/e1/documents.pdf", file)
	if err == nil || !strings.Contains(err.Error(), "BadDigest") || puts != 2 {
		t.Errorf("%+v, %v after %d attempts", stored, err, puts)
	}
}
