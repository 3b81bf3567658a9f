package dynamodb

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

// Forgotten implements [ledger.Ledger].
func (l *Ledger) Forgotten(ctx context.Context, subject string) (time.Time, error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.table, Key: attributesOf(item.TombstoneKey(subject)), ConsistentRead: aws.Bool(true),
	})
	if err != nil || out.Item == nil {
		return time.Time{}, wrap("forgotten", err)
	}
	at, err := item.ReadTombstone(itemOf(out.Item))
	return at, wrap("forgotten", err)
}

// Bury implements [ledger.Forgetter]. A tombstone never expires: the agreement may still be open at its vendor.
func (l *Ledger) Bury(ctx context.Context, subject string, at time.Time) error {
	p := newPlaceholders()
	return wrap("bury", l.replace(ctx, item.OfTombstone(subject, at), p, p.readable()))
}

// Drop implements [ledger.Ledger]. No function may delete an item, so the event expires.
func (l *Ledger) Drop(ctx context.Context, key ledger.Key, at time.Time) error {
	p := newPlaceholders()
	err := l.replace(ctx, item.OfDropped(key, at), p, "attribute_exists("+p.name(item.PK)+") AND NOT ("+p.settled()+
		") AND "+p.readable())
	if errors.As(err, new(*types.ConditionalCheckFailedException)) { // it is unknown or settled
		return nil
	}
	return wrap("drop", err)
}

// replace writes an item in place of the one with the same key, if the condition holds.
func (l *Ledger) replace(ctx context.Context, i item.Item, p placeholders, condition string) error {
	_, err := l.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &l.table, Item: attributesOf(i), ConditionExpression: &condition,
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		return refusal(refused.Item, err)
	}
	return err
}

// Erase implements [ledger.Forgetter]. The references come first: their items are found by the events alone.
func (l *Ledger) Erase(ctx context.Context, subject string, references []ledger.Reference, notes ...string) (
	removed int, err error) {
	var keys []item.Item
	for _, name := range notes {
		keys = append(keys, item.NoteKey(name))
	}
	for _, r := range references {
		keys = append(keys, item.Key(ledger.Key{Subject: item.ReferencePK(r), ID: subject}))
	}
	err = l.eachOf(ctx, subject, func(i item.Item) error {
		keys = append(keys, item.Key(item.KeyOf(i)))
		return nil
	})
	for _, key := range keys {
		var existed bool
		if err == nil {
			existed, err = l.remove(ctx, key)
		}
		if existed {
			removed++
		}
	}
	return removed, wrap("erase", err)
}

// remove deletes an item, and reports whether it existed.
func (l *Ledger) remove(ctx context.Context, key item.Item) (existed bool, err error) {
	p := newPlaceholders()
	condition := p.readable()
	out, err := l.client.DeleteItem(ctx, &dynamodb.DeleteItemInput{
		TableName: &l.table, Key: attributesOf(key), ConditionExpression: &condition,
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
		ReturnValues:                        types.ReturnValueAllOld,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		return false, refusal(refused.Item, err)
	}
	return err == nil && out.Attributes != nil, err
}
