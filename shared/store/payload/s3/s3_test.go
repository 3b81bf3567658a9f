package s3_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/s3"

	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/store/payload/payloadtest"
	"esignhooks/shared/store/payload/s3"
)

func TestStore(t *testing.T) {
	client := sdk.New(sdk.Options{
		BaseEndpoint: aws.String(enginetest.Moto(t)), Region: "us-east-1", UsePathStyle: true,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	if _, err := client.CreateBucket(t.Context(), &sdk.CreateBucketInput{Bucket: aws.String("payloads")}); err != nil {
		t.Fatal(err)
	}
	payloadtest.Run(t, s3.New(client, "payloads"))
}
