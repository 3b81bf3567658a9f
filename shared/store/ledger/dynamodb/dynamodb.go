// Package dynamodb is the ledger in a DynamoDB table. It claims an event with one conditional PutItem, and commits
// effects in one transaction. Package item has the format of the items.
package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

// Ledger implements [ledger.Ledger].
type Ledger struct {
	client *dynamodb.Client
	table  string
	expiry time.Duration
}

var (
	_ ledger.Ledger    = (*Ledger)(nil)
	_ ledger.Reader    = (*Ledger)(nil)
	_ ledger.Notes     = (*Ledger)(nil)
	_ ledger.Patroller = (*Ledger)(nil)
	_ ledger.Forgetter = (*Ledger)(nil)
)

// New returns the ledger in a table. Items expire after the given time without a further effect; never if expiry is 0.
func New(client *dynamodb.Client, table string, expiry time.Duration) *Ledger {
	return &Ledger{client, table, expiry}
}

// Claim implements [ledger.Claimer].
func (l *Ledger) Claim(ctx context.Context, c ledger.Claim) (ledger.Found, error) {
	claimed := item.OfClaim(c)
	claimed[item.State] = item.S(string(ledger.Received))
	l.expire(claimed, c.ReceivedAt)
	p := newPlaceholders()
	_, err := l.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &l.table, Item: attributesOf(claimed), ConditionExpression: aws.String(p.absent(c.ReceivedAt)),
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var exists *types.ConditionalCheckFailedException
	if errors.As(err, &exists) {
		found := itemOf(exists.Item)
		if err := found.CheckVersion(); err != nil {
			return ledger.Found{}, wrap("claim", err)
		}
		return item.FoundIn(found), nil
	}
	return ledger.Found{}, wrap("claim", err)
}

// Repeated implements [ledger.Claimer].
func (l *Ledger) Repeated(ctx context.Context, key ledger.Key, via string) error {
	err := l.repeated(ctx, key, via)
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) && via != "" { // the event has MaxVia subscriptions
		err = l.repeated(ctx, key, "")
	}
	if errors.As(err, &refused) {
		return nil // the event is not known
	}
	return wrap("count", err)
}

func (l *Ledger) repeated(ctx context.Context, key ledger.Key, via string) error {
	p := newPlaceholders()
	update := "ADD " + p.name(item.Duplicates) + " " + p.value("one", item.N(1))
	condition := "attribute_exists(" + p.name(item.PK) + ") AND " + p.readable()
	if via != "" {
		subscriptions := p.name(item.Via)
		update += ", " + subscriptions + " " + p.value("subscription", item.Value{Kind: item.StringSet, Set: []string{via}})
		condition += " AND (attribute_not_exists(" + subscriptions + ") OR size(" + subscriptions + ") < " +
			p.value("most", item.N(ledger.MaxVia)) + ")"
	}
	_, err := l.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.table, Key: attributesOf(item.Key(key)), UpdateExpression: &update, ConditionExpression: &condition,
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
	})
	return err
}

// Agreement implements [ledger.Ledger]. An expired agreement that is still in the table is folded further, which does
// no harm.
func (l *Ledger) Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.table, Key: attributesOf(item.AgreementKey(subject)), ConsistentRead: aws.Bool(true),
	})
	if err != nil || out.Item == nil {
		return agreement, 0, wrap("agreement", err)
	}
	agreement, version, err = item.ReadAgreement(itemOf(out.Item))
	return agreement, version, wrap("agreement", err)
}

// Event implements [ledger.Ledger].
func (l *Ledger) Event(ctx context.Context, key ledger.Key) (ledger.Entry, error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.table, Key: attributesOf(item.Key(key)), ConsistentRead: aws.Bool(true),
	})
	if err != nil || out.Item == nil {
		return ledger.Entry{Key: key}, wrap("event", err)
	}
	e, err := item.ReadEvent(itemOf(out.Item))
	return e, wrap("event", err)
}

// maxTogether is how many bytes of events and agreements are committed in one transaction. A larger batch is refused,
// so that each event is committed by itself. A partition takes 1,000 write units in a second, and a transaction costs
// two for each KB: one transaction must leave some for others.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
const maxTogether = 256 << 10

var errTooLarge = errors.New("too large together")

// Commit implements [ledger.Ledger]. The SDK adds a ClientRequestToken, which makes its own retries idempotent.
func (l *Ledger) Commit(ctx context.Context, effects ...ledger.Commit) error {
	writes, err := l.writes(effects)
	if err != nil {
		return wrap("commit", err)
	}
	if last := effects[len(effects)-1]; last.Agreement != nil {
		missing := l.missing(effects[0].Before, *last.Agreement, last.At)
		if writes, err = l.index(ctx, writes, missing, last.Subject, last.At); err != nil {
			return err
		}
	}
	return l.transact(ctx, "commit", writes, len(effects))
}

// transact writes all or nothing. The first writes are events.
func (l *Ledger) transact(ctx context.Context, action string, writes []types.TransactWriteItem, events int) error {
	_, err := l.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		return reason(cancelled, events)
	}
	return wrap(action, err)
}

// writes returns one write for each event, then that of the agreement. Those of its references follow.
func (l *Ledger) writes(effects []ledger.Commit) ([]types.TransactWriteItem, error) {
	writes := make([]types.TransactWriteItem, 0, len(effects)+1)
	size, agreement := 0, ""
	for _, c := range effects {
		event, err := json.Marshal(c.Event)
		if err != nil {
			return nil, err
		}
		if c.Agreement != nil {
			b, err := json.Marshal(c.Agreement)
			if err != nil {
				return nil, err
			}
			agreement = string(b)
		}
		size += len(event) + len(agreement)
		writes = append(writes, types.TransactWriteItem{Update: l.eventUpdate(c, string(event), agreement)})
	}
	if len(effects) > 1 && size > maxTogether {
		return nil, errTooLarge
	}
	if last := effects[len(effects)-1]; last.Agreement != nil {
		writes = append(writes, types.TransactWriteItem{Put: l.agreementPut(last, agreement, effects[0].Version)})
	}
	return writes, nil
}

// reason returns why a transaction was cancelled. It has one code for each write, in their order, the events' first.
// The condition of a reference's item fails only if a newer release wrote it. The first event that is processed, or
// that a newer release wrote, outweighs every other reason.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func reason(cancelled *types.TransactionCanceledException, events int) error {
	err := wrap("commit", cancelled)
	for i, r := range cancelled.CancellationReasons {
		switch code := aws.ToString(r.Code); code {
		case "ConditionalCheckFailed":
			if i < events {
				return refusal(r.Item, processed(r.Item))
			}
			err = refusal(r.Item, ledger.ErrConflict)
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded": // the SDK does not retry these
			err = ledger.ErrConflict
		}
	}
	return err
}

// processed returns the error for an event that is already processed.
func processed(found attributes) error {
	if i := itemOf(found); item.StateOf(i) == ledger.Processed && item.Inexact(i) {
		return ledger.ErrInexact
	}
	return ledger.ErrProcessed
}

// refusal returns why the condition of a write failed: a newer release wrote the item, or else the other reason.
func refusal(found attributes, other error) error {
	if err := itemOf(found).CheckVersion(); err != nil {
		return wrap("write", err)
	}
	return other
}

// eventUpdate is an Update, not a Put, so that the counts and the arrival time of the claim survive. Proof and hash
// become those of the copy that was processed.
func (l *Ledger) eventUpdate(c ledger.Commit, event, agreement string) *types.Update {
	changed, kept, removed := item.OfEffect(c, event, agreement)
	l.expire(changed, c.At)
	u := update{placeholders: newPlaceholders()}
	u.set(changed)
	u.setIfAbsent(kept)
	u.remove(removed)
	return &types.Update{
		TableName: &l.table, Key: attributesOf(item.Key(c.Key)), UpdateExpression: u.expression(),
		ConditionExpression:      aws.String(u.unsettled(c.At)),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// agreementPut writes the agreement after its last event, if it still has the version that the first event was folded
// into. An agreement that has been deleted since has none.
func (l *Ledger) agreementPut(last ledger.Commit, agreement string, expected int64) *types.Put {
	after := item.OfAgreement(last, agreement)
	l.expire(after, last.At)
	p := newPlaceholders()
	var unchanged string
	if expected == 0 {
		unchanged = p.absent(last.At)
	} else {
		unchanged = p.unchanged(expected)
	}
	return &types.Put{
		TableName: &l.table, Item: attributesOf(after), ConditionExpression: &unchanged,
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	}
}

// MarkDuplicate implements [ledger.Ledger].
func (l *Ledger) MarkDuplicate(ctx context.Context, c ledger.Claim, of string) error {
	changed := item.Item{item.State: item.S(string(ledger.Duplicate)), item.DuplicateOf: item.S(of)}
	if !c.OccurredAt.IsZero() {
		changed[item.OccurredAt] = item.Instant(c.OccurredAt)
	}
	found, err := l.mark(ctx, c, changed)
	if err == nil && found == ledger.Processed {
		return ledger.ErrProcessed
	}
	return wrap("mark duplicate", err)
}

// Correct implements [ledger.Ledger].
func (l *Ledger) Correct(ctx context.Context, c ledger.Correction) error {
	var texts [3]string
	for i, v := range []any{c.Event, c.After, c.Agreement} {
		b, err := json.Marshal(v)
		if err != nil {
			return wrap("correct", err)
		}
		texts[i] = string(b)
	}
	changed, kept, removed := item.OfCorrection(c, texts[0], texts[1])
	l.expire(changed, c.At)
	u := update{placeholders: newPlaceholders()}
	u.set(changed)
	u.setIfAbsent(kept)
	u.remove(removed)
	after := ledger.Commit{Claim: c.Claim, Agreement: &c.Agreement, Version: c.Version, At: c.At}
	writes := []types.TransactWriteItem{
		{Update: &types.Update{
			TableName: &l.table, Key: attributesOf(item.Key(c.Key)), UpdateExpression: u.expression(),
			ConditionExpression:      aws.String(u.inexact()),
			ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
			ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
		}},
		{Put: l.agreementPut(after, texts[2], c.Version)},
	}
	writes, err := l.index(ctx, writes, l.missing(c.Before, c.Agreement, c.At), c.Subject, c.At)
	if err != nil {
		return err
	}
	return l.transact(ctx, "correct", writes, 1)
}

// MarkUnreadable implements [ledger.Ledger].
func (l *Ledger) MarkUnreadable(ctx context.Context, c ledger.Claim, at time.Time) error {
	_, err := l.mark(ctx, c, item.OfUnreadable(at))
	return wrap("mark unreadable", err)
}

// mark changes an event that is not settled. If it is settled, mark returns its state and changes nothing.
func (l *Ledger) mark(ctx context.Context, c ledger.Claim, changed item.Item) (settled ledger.State, err error) {
	key, claimed := item.Key(c.Key), item.OfClaim(c)
	for name := range key { // a key cannot be updated
		delete(claimed, name)
	}
	changed[item.V] = item.N(item.Version)
	for name := range changed {
		delete(claimed, name)
	}
	l.expire(changed, c.ReceivedAt)
	u := update{placeholders: newPlaceholders()}
	u.set(changed)
	u.setIfAbsent(claimed)
	_, err = l.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.table, Key: attributesOf(key), UpdateExpression: u.expression(),
		ConditionExpression:      aws.String(u.unsettled(c.ReceivedAt)),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) {
		found := itemOf(refused.Item)
		return item.StateOf(found), found.CheckVersion()
	}
	return ledger.New, err
}

// History implements [ledger.Reader].
func (l *Ledger) History(ctx context.Context, subject string) ([]ledger.Entry, error) {
	history, err := l.Remains(ctx, subject)
	if err != nil {
		return nil, err
	}
	history = ledger.Merge(history)
	ledger.Sort(history)
	return history, nil
}

// Remains implements [ledger.Forgetter].
func (l *Ledger) Remains(ctx context.Context, subject string) (all []ledger.Entry, err error) {
	err = l.eachOf(ctx, subject, func(i item.Item) error {
		if i.IsAgreement() {
			return nil
		}
		e, err := item.ReadEvent(i)
		all = append(all, e)
		return err
	})
	if err != nil {
		return nil, wrap("history", err)
	}
	return all, nil
}

// eachOf visits all items of a subject.
func (l *Ledger) eachOf(ctx context.Context, subject string, visit func(item.Item) error) error {
	p := newPlaceholders()
	ofSubject := p.name(item.PK) + " = " + p.value("subject", item.S(subject))
	pages := dynamodb.NewQueryPaginator(l.client, &dynamodb.QueryInput{
		TableName: &l.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: &ofSubject,
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, found := range page.Items {
			if err := visit(itemOf(found)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Committed implements [ledger.Reader]. A scan returns the items of a partition one after the other.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.Partitions.html: items with the
// same partition key are stored together, in the order of their sort keys.
func (l *Ledger) Committed(ctx context.Context, from, to time.Time, visit func([]ledger.Entry) error) error {
	p := newPlaceholders()
	at := p.name(item.ProcessedAt)
	committed := p.name(item.State) + " = " + p.value("processed", item.S(string(ledger.Processed))) +
		" AND " + at + " >= " + p.value("from", item.Instant(from)) + " AND " + at + " < " + p.value("to", item.Instant(to))
	pages := dynamodb.NewScanPaginator(l.client, &dynamodb.ScanInput{
		TableName: &l.table, ConsistentRead: aws.Bool(true), FilterExpression: &committed,
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
	})
	var subject []ledger.Entry
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("committed", err)
		}
		for _, found := range page.Items {
			e, err := item.ReadEvent(itemOf(found))
			if err != nil {
				return wrap("committed", err)
			}
			if len(subject) > 0 && subject[0].Subject != e.Subject {
				if err := visit(ledger.InOrderOfCommits(subject)); err != nil {
					return err
				}
				subject = nil
			}
			subject = append(subject, e)
		}
	}
	if len(subject) == 0 {
		return nil
	}
	return visit(ledger.InOrderOfCommits(subject))
}

func wrap(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("ledger/dynamodb: %s: %w", action, err)
}
