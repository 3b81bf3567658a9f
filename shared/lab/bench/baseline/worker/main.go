// Command worker is a worker with nothing in it but its calls of AWS: for each agreement in a batch one GetItem, and one
// transaction of its event items and the agreement, with as many attributes and bytes as ours. It understands nothing of
// the records, and takes the SDK's default configuration.
package main

import (
	"context"
	"log"
	"os"
	"strings"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// What our items hold: names and typical lengths of values.
var (
	eventAttributes = map[string]int{
		"provider": 8, "receivedAt": 30, "event": 600, "agreement": 291, "statusBefore": 4, "statusAfter": 4, "type": 14, "vendorType": 13,
		"agreementId": 36, "occurredAt": 30, "processedAt": 30, "proof": 6, "sha256": 64, "size": 4,
	}
	agreementAttributes = map[string]int{"agreement": 291, "version": 1, "provider": 8, "agreementId": 36, "status": 4, "updatedAt": 30}
)

// filler is like the JSON in our items: one character of four is escaped on its way.
var filler = strings.Repeat(`"1":abcd`, 100)

type item = map[string]types.AttributeValue

type worker struct {
	dynamodb *dynamodb.Client
	table    string
}

func main() {
	c, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	w := worker{dynamodb.NewFromConfig(c), os.Getenv("TABLE_NAME")}
	lambda.Start(w.handle)
}

func (w *worker) handle(ctx context.Context, batch events.SQSEvent) (events.SQSEventResponse, error) {
	groups := map[string][]string{} // event IDs by subject
	for _, record := range batch.Records {
		subject := record.Attributes["MessageGroupId"]
		groups[subject] = append(groups[subject], record.Attributes["MessageDeduplicationId"])
	}
	for subject, ids := range groups {
		if err := w.commit(ctx, subject, ids); err != nil {
			return events.SQSEventResponse{}, err
		}
	}
	return events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{}}, nil
}

func (w *worker) commit(ctx context.Context, subject string, ids []string) error {
	_, err := w.dynamodb.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &w.table, Key: item{"pk": text(subject), "sk": text("@")}, ConsistentRead: aws.Bool(true),
	})
	if err != nil {
		return err
	}
	var writes []types.TransactWriteItem
	for _, id := range ids {
		writes = append(writes, types.TransactWriteItem{Update: w.event(subject, id)})
	}
	agreement := item{"pk": text(subject), "sk": text("@")}
	for name, length := range agreementAttributes {
		agreement[name] = text(filler[:length])
	}
	writes = append(writes, types.TransactWriteItem{Put: &types.Put{
		TableName: &w.table, Item: agreement, ConditionExpression: aws.String("attribute_not_exists(pk) OR #version <> :version"),
		ExpressionAttributeNames: map[string]string{"#version": "version"}, ExpressionAttributeValues: item{":version": text("0")},
	}})
	_, err = w.dynamodb.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	return err
}

func (w *worker) event(subject, id string) *types.Update {
	event := types.Update{
		TableName: &w.table, Key: item{"pk": text(subject), "sk": text(id)}, ConditionExpression: aws.String("attribute_not_exists(pk) OR #state <> :state"),
		ExpressionAttributeNames: map[string]string{"#state": "state"}, ExpressionAttributeValues: item{":state": text("processed")},
	}
	sets := []string{"#state = :state"}
	for name, length := range eventAttributes {
		sets = append(sets, "#"+name+" = :"+name)
		event.ExpressionAttributeNames["#"+name], event.ExpressionAttributeValues[":"+name] = name, text(filler[:length])
	}
	event.UpdateExpression = aws.String("SET " + strings.Join(sets, ", "))
	return &event
}

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }
