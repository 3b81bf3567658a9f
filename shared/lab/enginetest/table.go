package enginetest

import (
	"net/http"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// Table makes a table like the template's, with its stream. It has no TTL, so that expired items stay, as they do for
// days on AWS.
func Table(t testing.TB, client *dynamodb.Client, name string) {
	t.Helper()
	text := types.ScalarAttributeTypeS
	options := func(o *dynamodb.Options) { // of the test, not of the product: a busy machine takes its time
		o.HTTPClient, o.RetryMaxAttempts = &http.Client{Timeout: 2 * time.Minute}, 1
	}
	_, err := client.CreateTable(t.Context(), &dynamodb.CreateTableInput{
		TableName: &name, BillingMode: types.BillingModePayPerRequest,
		AttributeDefinitions: []types.AttributeDefinition{
			{AttributeName: aws.String("pk"), AttributeType: text}, {AttributeName: aws.String("sk"), AttributeType: text},
		},
		KeySchema: []types.KeySchemaElement{
			{AttributeName: aws.String("pk"), KeyType: types.KeyTypeHash},
			{AttributeName: aws.String("sk"), KeyType: types.KeyTypeRange},
		},
		StreamSpecification: &types.StreamSpecification{StreamEnabled: aws.Bool(true),
			StreamViewType: types.StreamViewTypeNewAndOldImages},
	}, options)
	if err != nil {
		t.Fatal(err)
	}
}
