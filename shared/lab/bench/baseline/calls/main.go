// Command calls is a receiver with nothing in it but its calls of AWS: PutItem and SendMessage, with as many attributes as
// ours send, and PutObject before them if the body does not fit in a message. It verifies nothing and reads nothing of the
// body, and takes the SDK's default configuration.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// What our claims and messages hold beside the body: names and typical lengths of values.
var (
	itemAttributes    = map[string]int{"provider": 8, "vendorType": 18, "agreementId": 36, "receivedAt": 30, "occurredAt": 30, "proof": 6, "sha256": 64, "size": 4, "state": 8}
	messageAttributes = map[string]int{"provider": 8, "eventId": 64, "subject": 45, "receivedAt": 30, "proof": 6, "encoding": 4, "contentType": 16}
)

const largest = 1<<20 - 2048 // a body that fits in a message beside its attributes

type receiver struct {
	dynamodb             *dynamodb.Client
	sqs                  *sqs.Client
	s3                   *s3.Client
	table, queue, bucket string
}

func main() {
	c, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	r := receiver{
		dynamodb.NewFromConfig(c), sqs.NewFromConfig(c), s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }),
		os.Getenv("TABLE_NAME"), os.Getenv("QUEUE_URL"), os.Getenv("PAYLOAD_BUCKET"),
	}
	lambda.Start(r.handle)
}

func (r *receiver) handle(ctx context.Context, e events.APIGatewayProxyRequest) (events.APIGatewayProxyResponse, error) {
	body := e.Body
	if e.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return events.APIGatewayProxyResponse{}, err
		}
		body = string(b)
	}
	invocation, _ := lambdacontext.FromContext(ctx)
	id := strings.Repeat("0", 28) + invocation.AwsRequestID // as long as an event ID
	if err := r.take(ctx, id, body); err != nil {
		return events.APIGatewayProxyResponse{}, err
	}
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, nil
}

func (r *receiver) take(ctx context.Context, id, body string) error {
	item := map[string]dynamodbtypes.AttributeValue{"pk": text("docusign#" + id[28:]), "sk": text(id)}
	for name, length := range itemAttributes {
		item[name] = text(strings.Repeat("x", length))
	}
	_, err := r.dynamodb.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &r.table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: dynamodbtypes.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err != nil {
		return err
	}
	if len(body) > largest {
		if _, err := r.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &r.bucket, Key: &id, Body: bytes.NewReader([]byte(body))}); err != nil {
			return err
		}
		body = id
	}
	message := sqs.SendMessageInput{
		QueueUrl: &r.queue, MessageBody: &body, MessageGroupId: &id, MessageDeduplicationId: &id,
		MessageAttributes: map[string]sqstypes.MessageAttributeValue{},
	}
	for name, length := range messageAttributes {
		message.MessageAttributes[name] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: aws.String(strings.Repeat("x", length))}
	}
	_, err = r.sqs.SendMessage(ctx, &message)
	return err
}

func text(s string) dynamodbtypes.AttributeValue {
	return &dynamodbtypes.AttributeValueMemberS{Value: s}
}
