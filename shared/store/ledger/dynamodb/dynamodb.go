// Package dynamodb is the ledger in a DynamoDB table: one partition per subject, one item per event, and one for the
// agreement under the sort key "@". It makes claims with one conditional PutItem, and effects with one transaction. Each
// note has a partition of its own, "@" and its name.
package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
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

// TTL deletes late, by days: what has expired may still be there, and counts as absent. An agreement that is deleted between
// being read and being committed, while another worker commits as many events anew, is not noticed: its versions begin
// again.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
const (
	absent  = "attribute_not_exists(pk) OR expires < :now"
	undone  = absent + " OR #state <> :processed"
	version = "attribute_not_exists(pk) OR expires < :now OR version = :version"
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

// maxTogether is how many bytes of events and agreements are committed together, else each event by itself. A partition
// takes 1,000 write units in a second, and a transaction costs two for each KB: all at once must leave some for others.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/bp-partition-key-design.html and
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
const maxTogether = 256 << 10

var errTooLarge = errors.New("too large together")

// Commit implements [ledger.Ledger]. The SDK makes the ClientRequestToken, which guards its own repetitions only.
func (l *Ledger) Commit(ctx context.Context, effects ...ledger.Commit) error {
	writes, err := l.writes(effects)
	if err != nil {
		return wrap("commit", err)
	}
	_, err = l.client.TransactWriteItems(ctx, &dynamodb.TransactWriteItemsInput{TransactItems: writes})
	var cancelled *types.TransactionCanceledException
	if errors.As(err, &cancelled) {
		return reason(cancelled, len(effects))
	}
	return wrap("commit", err)
}

// writes are one for each event, and the agreement's last.
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

// reason reads why a transaction was cancelled: one code per write, in their order, the events' first. If the effect of one
// is there, nothing else matters.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html
func reason(cancelled *types.TransactionCanceledException, events int) error {
	err := wrap("commit", cancelled)
	for i, r := range cancelled.CancellationReasons {
		switch code := aws.ToString(r.Code); code {
		case "ConditionalCheckFailed":
			if i < events {
				return ledger.ErrProcessed
			}
			err = ledger.ErrConflict
		case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded": // the SDK does not repeat these
			err = ledger.ErrConflict
		}
	}
	return err
}

// eventUpdate is an Update, not a Put: the counts of a claim survive, and so does when the first copy came. What is vouched
// for is the copy that was processed.
func (l *Ledger) eventUpdate(c ledger.Commit, event, agreement string) *types.Update {
	values := item{
		":processed": text(string(ledger.Processed)), ":type": text(string(c.Event.Type)), ":vendorType": text(c.Event.VendorType),
		":agreementId": text(c.Event.AgreementID), ":occurredAt": instant(c.Event.OccurredAt), ":processedAt": instant(c.At),
		":proof": text(string(c.Proof)), ":sha256": text(c.SHA256), ":size": number(int64(c.Size)), ":event": text(event),
		":provider": text(c.Provider), ":receivedAt": instant(c.ReceivedAt), ":now": unix(c.At),
	}
	agreed, via, expires := "", "", ""
	if c.Agreement != nil {
		values[":agreement"], values[":statusBefore"], values[":statusAfter"] = text(agreement), text(string(c.StatusBefore)), text(string(c.StatusAfter()))
		agreed = ", agreement = :agreement, statusBefore = :statusBefore, statusAfter = :statusAfter"
	}
	if c.Via != "" {
		values[":via"] = &types.AttributeValueMemberSS{Value: []string{c.Via}}
		via = ", via = if_not_exists(via, :via)"
	}
	if l.expiry > 0 {
		values[":expires"] = unix(c.At.Add(l.expiry))
		expires = ", expires = :expires"
	}
	expression := "SET #state = :processed, #type = :type, vendorType = :vendorType, agreementId = :agreementId, " +
		"occurredAt = :occurredAt, processedAt = :processedAt, proof = :proof, sha256 = :sha256, #size = :size, event = :event, " +
		"provider = if_not_exists(provider, :provider), receivedAt = if_not_exists(receivedAt, :receivedAt)" + agreed + via + expires
	return &types.Update{
		TableName: &l.table, Key: itemKey(c.Key), UpdateExpression: &expression, ConditionExpression: aws.String(undone),
		ExpressionAttributeNames: reserved, ExpressionAttributeValues: values,
	}
}

// reserved are the names that stand for words which mean something else in expressions.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
var reserved = map[string]string{"#state": "state", "#type": "type", "#size": "size"}

// agreementPut writes the agreement after its last event, if it still is what the first was folded into.
func (l *Ledger) agreementPut(last ledger.Commit, agreement string, expected int64) *types.Put {
	item := itemKey(ledger.Key{Subject: last.Subject, ID: agreementSK})
	item["agreement"], item["version"] = text(agreement), number(last.Version+1)
	item["provider"], item["agreementId"] = text(last.Agreement.Provider), text(last.Agreement.ID)
	item["status"], item["updatedAt"] = text(string(last.Agreement.Status)), instant(last.Agreement.UpdatedAt)
	l.expire(item, last.At)
	return &types.Put{
		TableName: &l.table, Item: item, ConditionExpression: aws.String(version),
		ExpressionAttributeValues: map[string]types.AttributeValue{":version": number(expected), ":now": unix(last.At)},
	}
}

// MarkUnreadable implements [ledger.Ledger].
func (l *Ledger) MarkUnreadable(ctx context.Context, c ledger.Claim) error {
	names := map[string]string{"#state": "state"}
	values := item{":unreadable": text(string(ledger.Unreadable)), ":processed": text(string(ledger.Processed)), ":now": unix(c.ReceivedAt)}
	expression := "SET #state = :unreadable"
	for name, v := range claimItem(c) { // what an earlier claim has recorded stays
		if name == "pk" || name == "sk" {
			continue
		}
		expression += fmt.Sprintf(", #%[1]s = if_not_exists(#%[1]s, :%[1]s)", name)
		names["#"+name], values[":"+name] = name, v
	}
	if l.expiry > 0 {
		values[":expires"] = unix(c.ReceivedAt.Add(l.expiry))
		expression += ", expires = :expires"
	}
	_, err := l.client.UpdateItem(ctx, &dynamodb.UpdateItemInput{
		TableName: &l.table, Key: itemKey(c.Key), UpdateExpression: &expression, ConditionExpression: aws.String(undone),
		ExpressionAttributeNames: names, ExpressionAttributeValues: values,
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
