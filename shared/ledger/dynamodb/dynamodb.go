// Package dynamodb is the ledger in a DynamoDB table: one partition per subject, one item per event, and one for the
// agreement under the sort key "@". It makes claims with one conditional PutItem, and effects with one transaction. Each
// note has a partition of its own, "@" and its name.
package dynamodb

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/ledger"
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
)

// New makes a ledger in a table with the string keys pk and sk. Items expire so long after their last effect, by the TTL
// attribute "expires"; never if expiry is 0.
func New(client *dynamodb.Client, table string, expiry time.Duration) *Ledger {
	return &Ledger{client, table, expiry}
}

// TTL deletes late, by days: what has expired may still be there, and counts as absent.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
const (
	absent  = "attribute_not_exists(pk) OR expires < :now"
	undone  = absent + " OR #state <> :processed"
	version = "attribute_not_exists(pk) OR expires < :now OR #version = :version"
)

// Claim implements [ledger.Claimer].
func (l *Ledger) Claim(ctx context.Context, c ledger.Claim) (ledger.State, error) {
	item := claimItem(c)
	item["state"] = text(string(ledger.Received))
	l.expire(item, c.ReceivedAt)
	_, err := l.client.PutItem(ctx, &dynamodb.PutItemInput{
		TableName: &l.table, Item: item, ConditionExpression: aws.String(absent),
		ExpressionAttributeValues:           map[string]types.AttributeValue{":now": unix(c.ReceivedAt)},
		ReturnValuesOnConditionCheckFailure: types.ReturnValuesOnConditionCheckFailureAllOld,
	})
	var exists *types.ConditionalCheckFailedException
	if errors.As(err, &exists) {
		return ledger.State(get(exists.Item, "state")), nil
	}
	return ledger.New, wrap("claim", err)
}

// Repeated implements [ledger.Claimer].
func (l *Ledger) Repeated(ctx context.Context, key ledger.Key, via string) error {
	err := l.repeated(ctx, key, via)
	var refused *types.ConditionalCheckFailedException
	if errors.As(err, &refused) && via != "" { // more subscriptions than are kept
		err = l.repeated(ctx, key, "")
	}
	if errors.As(err, &refused) {
		return nil // not known
	}
	return wrap("count", err)
}

func (l *Ledger) repeated(ctx context.Context, key ledger.Key, via string) error {
	input := dynamodb.UpdateItemInput{
		TableName: &l.table, Key: itemKey(key), UpdateExpression: aws.String("ADD duplicates :one"),
		ConditionExpression:       aws.String("attribute_exists(pk)"),
		ExpressionAttributeValues: item{":one": number(1)},
	}
	if via != "" {
		*input.UpdateExpression += ", via :via"
		*input.ConditionExpression += " AND (attribute_not_exists(via) OR size(via) < :most)"
		input.ExpressionAttributeValues[":via"] = &types.AttributeValueMemberSS{Value: []string{via}}
		input.ExpressionAttributeValues[":most"] = number(ledger.MaxVia)
	}
	_, err := l.client.UpdateItem(ctx, &input)
	return err
}

// Agreement implements [ledger.Ledger]. One that has expired and is still there is folded on: that is nobody's loss.
func (l *Ledger) Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error) {
	out, err := l.client.GetItem(ctx, &dynamodb.GetItemInput{
		TableName: &l.table, Key: itemKey(ledger.Key{Subject: subject, ID: agreementSK}), ConsistentRead: aws.Bool(true),
	})
	if err != nil || out.Item == nil {
		return agreement, 0, wrap("agreement", err)
	}
	if err := fromJSON(out.Item, "agreement", &agreement); err != nil {
		return agreement, 0, wrap("agreement", err)
	}
	version, err = strconv.ParseInt(get(out.Item, "version"), 10, 64)
	return agreement, version, wrap("agreement", err)
}

// Commit implements [ledger.Ledger]. The SDK makes the ClientRequestToken, which guards its own repetitions only.
func (l *Ledger) Commit(ctx context.Context, c ledger.Commit) error {
	event, err := l.eventUpdate(c)
	if err != nil {
		return wrap("commit", err)
	}
	writes := []types.TransactWriteItem{{Update: event}}
	if c.Agreement != nil {
		agreement, err := l.agreementPut(c)
		if err != nil {
			return wrap("commit", err)
		}
		writes = append(writes, types.TransactWriteItem{Put: agreement})
	}
	_, err = l.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		return reason(cancelled)
	}
	return wrap("commit", err)
}

// reason reads why a transaction was cancelled: one code per write, in their order. The event's comes first: if its effect
// is there, nothing else matters.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func reason(cancelled *types.TransactionCanceledException) error {
	for i, r := range cancelled.CancellationReasons {
		switch code := aws.ToString(r.Code); code {
		case "ConditionalCheckFailed":
			if i == 0 {
				return ledger.ErrProcessed
			}
			return ledger.ErrConflict
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded": // the SDK does not repeat these
			return ledger.ErrConflict
		}
	}
	return wrap("commit", cancelled)
}

// eventUpdate is an Update, not a Put: the counts of a claim survive, and so does the first copy's.
func (l *Ledger) eventUpdate(c ledger.Commit) (*types.Update, error) {
	u := newUpdate()
	u.claim(c.Claim, "vendorType", "agreementId", "occurredAt", "proof", "sha256", "size")
	if err := u.json("event", c.Event); err != nil {
		return nil, err
	}
	if c.Agreement != nil {
		if err := u.json("agreement", c.Agreement); err != nil {
			return nil, err
		}
		u.set("statusBefore", text(string(c.StatusBefore)))
		u.set("statusAfter", text(string(c.Agreement.Status)))
	}
	u.set("state", text(string(ledger.Processed)))
	u.set("type", text(string(c.Event.Type)))
	u.set("vendorType", text(c.Event.VendorType))
	u.set("agreementId", text(c.Event.AgreementID))
	u.set("occurredAt", instant(c.Event.OccurredAt))
	u.set("processedAt", instant(c.At))
	u.set("proof", text(string(c.Proof))) // these three are the copy's that was processed
	u.set("sha256", text(c.SHA256))
	u.set("size", number(int64(c.Size)))
	u.expire(l.expiry, c.At)
	u.value(":now", unix(c.At))
	u.value(":processed", text(string(ledger.Processed)))
	return &types.Update{
		TableName: &l.table, Key: itemKey(c.Key), UpdateExpression: u.expression(), ConditionExpression: aws.String(undone),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
	}, nil
}

func (l *Ledger) agreementPut(c ledger.Commit) (*types.Put, error) {
	item := itemKey(ledger.Key{Subject: c.Subject, ID: agreementSK})
	body, err := toJSON(c.Agreement)
	if err != nil {
		return nil, err
	}
	item["agreement"], item["version"] = body, number(c.Version+1)
	item["provider"], item["agreementId"] = text(c.Agreement.Provider), text(c.Agreement.ID)
	item["status"], item["updatedAt"] = text(string(c.Agreement.Status)), instant(c.Agreement.UpdatedAt)
	l.expire(item, c.At)
	return &types.Put{
		TableName: &l.table, Item: item, ConditionExpression: aws.String(version),
		ExpressionAttributeNames:  map[string]string{"#version": "version"},
		ExpressionAttributeValues: map[string]types.AttributeValue{":version": number(c.Version), ":now": unix(c.At)},
	}, nil
}

// MarkUnreadable implements [ledger.Ledger].
func (l *Ledger) MarkUnreadable(ctx context.Context, c ledger.Claim) error {
	u := newUpdate()
	u.claim(c)
	u.set("state", text(string(ledger.Unreadable)))
	u.expire(l.expiry, c.ReceivedAt)
	u.value(":now", unix(c.ReceivedAt))
	u.value(":processed", text(string(ledger.Processed)))
	_, err := l.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.table, Key: itemKey(c.Key), UpdateExpression: u.expression(), ConditionExpression: aws.String(undone),
		ExpressionAttributeNames: u.names, ExpressionAttributeValues: u.values,
	})
	var processed *types.ConditionalCheckFailedException
	if errors.As(err, &processed) {
		return nil
	}
	return wrap("mark unreadable", err)
}

// History implements [ledger.Ledger].
func (l *Ledger) History(ctx context.Context, subject string) ([]ledger.Entry, error) {
	var history []ledger.Entry
	pages := dynamodb.NewQueryPaginator(l.client, &dynamodb.QueryInput{
		TableName: &l.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :subject"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":subject": text(subject)},
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, wrap("history", err)
		}
		for _, item := range page.Items {
			if get(item, "sk") == agreementSK {
				continue
			}
			e, err := entry(item)
			if err != nil {
				return nil, wrap("history", err)
			}
			history = append(history, e)
		}
	}
	ledger.Sort(history)
	return history, nil
}

// Committed implements [ledger.Reader]. A scan returns the items of a partition one after the other.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.Partitions.html: items with the same
// partition key are stored together, in the order of their sort keys.
func (l *Ledger) Committed(ctx context.Context, from, to time.Time, visit func([]ledger.Entry) error) error {
	pages := dynamodb.NewScanPaginator(l.client, &dynamodb.ScanInput{
		TableName: &l.table, ConsistentRead: aws.Bool(true),
		FilterExpression:          aws.String("#state = :processed AND processedAt >= :from AND processedAt < :to"),
		ExpressionAttributeNames:  map[string]string{"#state": "state"},
		ExpressionAttributeValues: item{":processed": text(string(ledger.Processed)), ":from": instant(from), ":to": instant(to)},
	})
	var subject []ledger.Entry
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("committed", err)
		}
		for _, item := range page.Items {
			e, err := entry(item)
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
