package dynamodb

import (
	"context"
	"errors"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

// Note implements [ledger.Notes].
func (l *Ledger) Note(ctx context.Context, name string) (text string, version int64, err error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.table, Key: attributesOf(item.NoteKey(name)), ConsistentRead: aws.Bool(true),
	})
	if err != nil || out.Item == nil {
		return "", 0, wrap("note", err)
	}
	text, version, err = item.ReadNote(itemOf(out.Item))
	return text, version, wrap("note", err)
}

// PutNote implements [ledger.Notes]. If the answer to a call is lost, the SDK retries it, and finds what it has written
// itself.
func (l *Ledger) PutNote(ctx context.Context, name, text string, version int64) error {
	p := newPlaceholders()
	var condition string
	if version > 0 {
		condition = p.unchanged(version)
	} else {
		condition = "attribute_not_exists(" + p.name(item.PK) + ")"
	}
	put := dynamodb.PutItemInput{
		TableName: &l.table, Item: attributesOf(item.OfNote(name, text, version+1)), ConditionExpression: &condition,
		ExpressionAttributeNames:            p.names,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
	if len(p.values) > 0 { // DynamoDB refuses an empty map
		put.ExpressionAttributeValues = p.values
	}
	_, err := l.client.PutItem(ctx, &put)
	var refused *types.ConditionalCheckFailedException
	if !errors.As(err, &refused) {
		return wrap("put note", err)
	}
	if len(refused.Item) == 0 { // there is no note
		return ledger.ErrConflict
	}
	found, foundVersion, err := item.ReadNote(itemOf(refused.Item))
	if err != nil {
		return wrap("put note", err)
	}
	if foundVersion == version+1 && found == text {
		return nil
	}
	return ledger.ErrConflict
}
