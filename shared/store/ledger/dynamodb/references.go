package dynamodb

import (
	"context"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

// renewal is how often the reference items of an agreement with events are renewed, if items expire.
const renewal = 24 * time.Hour

// missing returns the references of an agreement whose items must be written.
//
// If items expire, those of all references are written again once a day, since they must not expire before the
// agreement. The time of the last commit is not known, but it is not before UpdatedAt. So if the agreement was updated
// today, its items were written today.
func (l *Ledger) missing(before, after esign.Agreement, now time.Time) []ledger.Reference {
	if l.expiry > 0 && !before.UpdatedAt.Truncate(renewal).Equal(now.Truncate(renewal)) {
		before.References = nil
	}
	return ledger.Unindexed(before, after)
}

// maxWrites is the largest number of writes of a transaction.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
const maxWrites = 100

// index appends the reference items to the writes of a commit. If there are more than MaxIndexed, it writes the others
// at once: see [ledger.Reference].
func (l *Ledger) index(ctx context.Context, writes []types.TransactWriteItem, missing []ledger.Reference,
	subject string, now time.Time) ([]types.TransactWriteItem, error) {
	puts := make([]types.TransactWriteItem, len(missing))
	for i, r := range missing {
		puts[i].Put = l.referencePut(r, subject, now)
	}
	together := min(len(puts), ledger.MaxIndexed)
	for some := range slices.Chunk(puts[together:], maxWrites) {
		if err := l.transact(ctx, "index", some, 0); err != nil {
			return nil, err
		}
	}
	return append(writes, puts[:together]...), nil
}

// referencePut replaces the item if there is one, which renews its expiry. It is kept for two days longer than the
// agreement: one because it is renewed once a day, and one because the vendor's clock may be ahead.
func (l *Ledger) referencePut(r ledger.Reference, subject string, now time.Time) *types.Put {
	reference := item.OfReference(r, subject)
	l.expire(reference, now.Add(2*renewal))
	p := newPlaceholders()
	return &types.Put{
		TableName: &l.table, Item: attributesOf(reference), ConditionExpression: aws.String(p.readable()),
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// ByReference implements [ledger.Reader]. Its cursor is the subject of the last item.
func (l *Ledger) ByReference(ctx context.Context, r ledger.Reference, cursor string, limit int) (
	found []esign.Agreement, next string, err error) {
	p := newPlaceholders()
	partition := item.ReferencePK(r)
	inPartition := p.name(item.PK) + " = " + p.value("partition", item.S(partition))
	query := dynamodb.QueryInput{
		TableName: &l.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: &inPartition,
		Limit:                    aws.Int32(int32(min(limit, ledger.MaxFound))),
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
	}
	if cursor != "" {
		query.ExclusiveStartKey = attributesOf(item.Key(ledger.Key{Subject: partition, ID: cursor}))
	}
	page, err := l.client.Query(ctx, &query)
	if err != nil {
		return nil, "", wrap("by reference", err)
	}
	for _, reference := range page.Items {
		subject, err := item.ReadReference(itemOf(reference))
		if err != nil {
			return nil, "", wrap("by reference", err)
		}
		a, _, err := l.Agreement(ctx, subject)
		if err != nil {
			return nil, "", err
		}
		if r.IsOf(a) {
			found = append(found, a)
		}
	}
	if page.LastEvaluatedKey != nil {
		next = item.KeyOf(itemOf(page.LastEvaluatedKey)).ID
	}
	return found, next, nil
}
