package s3_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/payload/payloadtest"
	"esignhooks/shared/store/payload/s3"
)

func TestStore(t *testing.T) {
	client := client(enginetest.Moto(t))
	if _, err := client.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String("payloads")}); err != nil {
		t.Fatal(err)
	}
	payloadtest.Run(t, s3.New(client, "payloads"))
}

// A key that is forbidden must not be taken for a missing one: an outage of a permission would lose what was received.
func TestForbiddenIsNotMissing(t *testing.T) {
	for code, missing := range map[string]bool{"NoSuchKey": true, "AccessDenied": false, "NoSuchBucket": false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(map[bool]int{true: http.StatusNotFound, false: http.StatusForbidden}[missing])
			fmt.Fprintf(w, "<Error><Code>%s</Code></Error>", code)
		}))
		t.Cleanup(server.Close)
		store := s3.New(client(server.URL), "payloads")
		if _, err := store.Get(t.Context(), "k"); err == nil || errors.Is(err, payload.ErrNotFound) != missing {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func client(endpoint string) *sdk.Client {
	return sdk.New(sdk.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}
