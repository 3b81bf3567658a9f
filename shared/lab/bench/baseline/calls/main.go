// Command calls makes the calls of AWS that a receiver or the worker makes, with as many attributes and bytes, and
// nothing else. It takes the SDK's default configuration.
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
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// The attributes of our items and messages: names and typical lengths.
var (
	claimAttributes = map[string]int{
		"provider": 8, "vendorType": 18, "agreementId": 36, "receivedAt": 30, "occurredAt": 30, "proof": 6, "sha256": 64,
		"size": 4, "state": 8,
	}
	messageAttributes = map[string]int{
		"provider": 8, "eventId": 64, "subject": 45, "receivedAt": 30, "proof": 6, "encoding": 4, "contentType": 16,
	}
	eventAttributes = map[string]int{
		"provider": 8, "receivedAt": 30, "event": 600, "agreement": 291, "statusBefore": 4, "statusAfter": 4, "type": 14,
		"vendorType": 13, "agreementId": 36, "occurredAt": 30, "processedAt": 30, "proof": 6, "sha256": 64, "size": 4,
	}
	agreementAttributes = map[string]int{
		"agreement": 291, "version": 1, "provider": 8, "agreementId": 36, "status": 4, "updatedAt": 30,
	}
)

const largest = 1<<20 - 2048 // bytes of a body that fits in a message with its attributes

// filler is like the JSON in our items: JSON escapes one character of four.
var filler = strings.Repeat(`"1":abcd`, 100)

type item = map[string]types.AttributeValue

type function struct {
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
	f := function{
		dynamodb.NewFromConfig(c), sqs.NewFromConfig(c), s3.NewFromConfig(c, func(o *s3.Options) { o.UsePathStyle = true }),
		os.Getenv("TABLE_NAME"), os.Getenv("QUEUE_URL"), os.Getenv("PAYLOAD_BUCKET"),
	}
	if os.Getenv("SECRET_ARN") == "worker" {
		lambda.Start(f.work)
	}
	lambda.Start(f.receive)
}

// receive claims and sends. A body that is too large for a message is stored first.
func (f *function) receive(ctx context.Context, e events.APIGatewayProxyRequest) (r events.APIGatewayProxyResponse,
	err error) {
	body := e.Body
	if e.IsBase64Encoded {
		b, err := base64.StdEncoding.DecodeString(body)
		if err != nil {
			return r, err
		}
		body = string(b)
	}
	invocation, _ := lambdacontext.FromContext(ctx)
	id := strings.Repeat("0", 28) + invocation.AwsRequestID // as long as an event ID
	claim := item{"pk": text("docusign#" + id[28:]), "sk": text(id)}
	for name, length := range claimAttributes {
		claim[name] = text(strings.Repeat("x", length))
	}
	_, err = f.dynamodb.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &f.table, Item: claim, ConditionExpression: aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	if err != nil {
		return r, err
	}
	if len(body) > largest {
		content := bytes.NewReader([]byte(body))
		if _, err := f.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &f.bucket, Key: &id, Body: content}); err != nil {
			return r, err
		}
		body = id
	}
	message := sqs.SendMessageInput{
		QueueUrl: &f.queue, MessageBody: &body, MessageGroupId: &id, MessageDeduplicationId: &id,
		MessageAttributes: map[string]sqstypes.MessageAttributeValue{},
	}
	for name, length := range messageAttributes {
		value := aws.String(strings.Repeat("x", length))
		message.MessageAttributes[name] = sqstypes.MessageAttributeValue{DataType: aws.String("String"), StringValue: value}
	}
	_, err = f.sqs.SendMessage(ctx, &message)
	return events.APIGatewayProxyResponse{StatusCode: http.StatusOK}, err
}

// work reads each agreement of a batch, and commits its events and the agreement in one transaction.
func (f *function) work(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	groups := map[string][]string{} // event IDs by subject
	for _, record := range batch.Records {
		subject := record.Attributes["MessageGroupId"]
		groups[subject] = append(groups[subject], record.Attributes["MessageDeduplicationId"])
	}
	for subject, ids := range groups {
		if err := f.commit(ctx, subject, ids); err != nil {
			return events.SQSEventResponse{}, err
		}
	}
	return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, nil
}

func (f *function) commit(ctx context.Context, subject string, ids []string) error {
	key := item{"pk": text(subject), "sk": text("@")}
	_, err := f.dynamodb.GetItem(ctx,
		&dynamodb.GetItemInput{TableName: &f.table, Key: key, ConsistentRead: aws.Bool(true)})
	if err != nil {
		return err
	}
	var writes []types.TransactWriteItem
	for _, id := range ids {
		event := types.Update{
			TableName: &f.table, Key: item{"pk": text(subject), "sk": text(id)},
			ConditionExpression:       aws.String("attribute_not_exists(pk) OR #state <> :state"),
			ExpressionAttributeNames:  map[string]string{"#state": "state"},
			ExpressionAttributeValues: item{":state": text("processed")},
		}
		sets := []string{"#state = :state"}
		for name, length := range eventAttributes {
			sets = append(sets, "#"+name+" = :"+name)
			event.ExpressionAttributeNames["#"+name] = name
			event.ExpressionAttributeValues[":"+name] = text(filler[:length])
		}
		event.UpdateExpression = aws.String("SET " + strings.Join(sets, ", "))
		writes = append(writes, types.TransactWriteItem{Update: &event})
	}
	agreement := item{"pk": text(subject), "sk": text("@")}
	for name, length := range agreementAttributes {
		agreement[name] = text(filler[:length])
	}
	writes = append(writes, types.TransactWriteItem{Put: &types.Put{
		TableName: &f.table, Item: agreement,
		ConditionExpression:       aws.String("attribute_not_exists(pk) OR #version <> :version"),
		ExpressionAttributeNames:  map[string]string{"#version": "version"},
		ExpressionAttributeValues: item{":version": text("0")},
	}})
	_, err = f.dynamodb.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return err
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
