package dynamodb

import (
	"context"
	"errors"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/store/ledger"
)

// noteKey is outside of every subject, since those begin with a provider's name.
func noteKey(name string) item { return itemKey(ledger.Key{Subject: "@" + name, ID: agreementSK}) }

// Note implements [ledger.Notes].
func (l *Ledger) Note(ctx context.Context, name string) (text string, version int64, err error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{TableName: &l.table, Key: noteKey(name), ConsistentRead: aws.Bool(true)})
	if err != nil || out.Item == nil {
		return "", 0, wrap("note", err)
	}
	version, err = strconv.ParseInt(get(out.Item, "version"), 10, 64)
	return get(out.Item, "text"), version, wrap("note", err)
}

// PutNote implements [ledger.Notes]. The SDK repeats a call whose answer was lost, and so finds what it has written itself.
func (l *Ledger) PutNote(ctx context.Context, name, content string, version int64) error {
	item := noteKey(name)
	item["text"], item["version"] = text(content), number(version+1)
	put := dynamodb.PutItemInput{
		TableName: &l.table, Item: item, ConditionExpression: aws.String("attribute_not_exists(pk)"),
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if version > 0 {
		put.ConditionExpression = aws.String("#version = :version")
		put.ExpressionAttributeNames = map[string]string{"#version": "version"}
		put.ExpressionAttributeValues = map[string]types.AttributeValue{":version": number(version)}
	}
	_, err := l.client.PutItem(ctx, &put)
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		if get(refused.Item, "version") == get(item, "version") && get(refused.Item, "text") == content {
			return nil
		}
		return ledger.ErrConflict
	}
	return wrap("put note", err)
}
