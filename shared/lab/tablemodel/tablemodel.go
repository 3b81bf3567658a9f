// Package tablemodel is a DynamoDB table in the test's process, as the transport of the SDK's client. It refuses what
// it does not know, and it is as unkind as DynamoDB may be:
//
//   - An eventually consistent read returns what the table held at the last [Table.Replicate].
//   - Expired items stay until [Table.Expire]. TTL reads seconds.
//   - A page ends after [Page] bytes that were read, before the filter.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html,
// https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Query.Pagination.html, read 2026-11-30.
package tablemodel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
)

// The limits of DynamoDB.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html, read 2026-11-30.
const (
	itemBytes        = 400 << 10
	transactionItems = 100
	transactionBytes = 4 << 20
)

// Page is far less than DynamoDB's 1 MB, so that few items fill it.
const Page = 32 << 10

// ttl is the attribute that the template names for TTL.
const ttl = "expires"

// Table is a table with the keys pk and sk. All methods are safe for concurrent use.
type Table struct {
	mu             sync.Mutex
	items, replica map[key]item
	transactions   map[string]string // the request of each ClientRequestToken
	units          int
}

// key is the key of an item. Items are stored and scanned by the hash of the partition key, then by the sort key.
type key struct {
	hash   [8]byte
	pk, sk string
}

func keyOf(pk, sk string) key {
	sum := sha256.Sum256([]byte(pk))
	return key{[8]byte(sum[:]), pk, sk}
}

func (k key) compare(other key) int {
	return cmp.Or(bytes.Compare(k.hash[:], other.hash[:]), cmp.Compare(k.sk, other.sk))
}

// item is an item. It is never changed, but replaced.
type item map[string]value

type value struct {
	S  *string  `json:",omitempty"`
	N  *string  `json:",omitempty"`
	B  []byte   `json:",omitempty"`
	SS []string `json:",omitempty"`
}

// New returns an empty table.
func New() *Table {
	return &Table{items: map[key]item{}, replica: map[key]item{}, transactions: map[string]string{}}
}

// Client returns a client of the table, which has any name. It does not retry.
func (t *Table) Client() *dynamodb.Client {
	return dynamodb.New(dynamodb.Options{
		HTTPClient: t, Region: "us-east-1", Retryer: aws.NopRetryer{},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
}

// Replicate lets eventually consistent reads see everything that was written.
func (t *Table) Replicate() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.replica = maps.Clone(t.items)
}

// Expire deletes the items that are expired at this time. TTL ignores an item that expired more than five years ago.
func (t *Table) Expire(now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.items, func(_ key, i item) bool {
		v := i[ttl].N
		if v == nil {
			return false
		}
		seconds, err := strconv.ParseInt(*v, 10, 64)
		return err == nil && seconds < now.Unix() && seconds > now.AddDate(-5, 0, 0).Unix()
	})
	t.replica = maps.Clone(t.items)
}

// Clone returns a table with the same items.
func (t *Table) Clone() *Table {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := New()
	c.items, c.replica = maps.Clone(t.items), maps.Clone(t.replica)
	return c
}

// WriteUnits returns how many write units the writes have cost: one for each KB of an item that is begun, of the larger
// of the item before and after, and twice as many in a transaction.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html, read 2026-11-30.
func (t *Table) WriteUnits() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.units
}

// Holds reports whether the table has an item.
func (t *Table) Holds(pk, sk string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.items[keyOf(pk, sk)] != nil
}

// write is a Put or an Update, alone or in a transaction, or a Delete.
type write struct {
	TableName                           string
	Item, Key                           item
	UpdateExpression                    string
	ConditionExpression                 string
	ExpressionAttributeNames            map[string]string
	ExpressionAttributeValues           map[string]value
	ReturnValuesOnConditionCheckFailure string
	ReturnValues                        string // of a DeleteItem
}

// read is a GetItem, a Query or a Scan.
type read struct {
	TableName                              string
	Key, ExclusiveStartKey                 item
	ConsistentRead                         bool
	Limit                                  int
	KeyConditionExpression                 string
	FilterExpression, ProjectionExpression string
	ExpressionAttributeNames               map[string]string
	ExpressionAttributeValues              map[string]value
}

type transaction struct {
	ClientRequestToken string
	TransactItems      []struct{ Put, Update *write }
}

// failure is an error of DynamoDB.
type failure struct {
	code, message string
	item          item // of a failed condition, if it is asked for
	reasons       []any
}

func (f *failure) Error() string { return f.code + ": " + f.message }

func invalid(format string, a ...any) error {
	return &failure{code: "ValidationException", message: fmt.Sprintf(format, a...)}
}

// Do implements [aws.HTTPClient]. It speaks AWS JSON 1.0.
func (t *Table) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer, status := any(nil), http.StatusOK
	answer, err = t.answer(strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "DynamoDB_20120810."), body)
	if f, ok := err.(*failure); ok {
		status = http.StatusBadRequest
		answer = struct {
			Type                string `json:"__type"`
			Message             string `json:"message"`
			Item                item   `json:",omitempty"`
			CancellationReasons []any  `json:",omitempty"`
		}{"com.amazonaws.dynamodb.v20120810#" + f.code, f.message, f.item, f.reasons}
	} else if err != nil {
		return nil, err
	}
	b, err := json.Marshal(answer)
	header := http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(b)), Request: r}, err
}

func (t *Table) answer(operation string, body []byte) (any, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var w write
	var r read
	var all transaction
	input := map[string]any{"PutItem": &w, "UpdateItem": &w, "DeleteItem": &w, "GetItem": &r, "Query": &r, "Scan": &r,
		"TransactWriteItems": &all}[operation]
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(input); err != nil {
		return nil, fmt.Errorf("tablemodel: %s: %w", operation, err)
	}
	switch operation {
	case "PutItem", "UpdateItem":
		after, err := t.try(w)
		if err == nil {
			t.put(after, 1)
		}
		return struct{}{}, err
	case "DeleteItem":
		if _, err := t.try(w); err != nil {
			return struct{}{}, err
		}
		before := t.items[w.Key.key()]
		t.units += (before.size() + 1<<10 - 1) >> 10
		delete(t.items, w.Key.key())
		if before == nil || w.ReturnValues != "ALL_OLD" {
			return struct{}{}, nil
		}
		return map[string]any{"Attributes": before}, nil
	case "TransactWriteItems":
		return struct{}{}, t.transact(all, body)
	case "GetItem":
		found := t.from(r)[r.Key.key()]
		if found == nil {
			return struct{}{}, nil
		}
		return map[string]any{"Item": found}, nil
	}
	return t.list(operation == "Query", r)
}

// from returns the items that a read sees.
func (t *Table) from(r read) map[key]item {
	if r.ConsistentRead {
		return t.items
	}
	return t.replica
}

func (i item) key() key {
	if pk, sk := i["pk"].S, i["sk"].S; pk != nil && sk != nil {
		return keyOf(*pk, *sk)
	}
	return key{}
}

// size is the size that DynamoDB bills: a number takes one byte for two digits, and one more.
func (i item) size() (n int) {
	for name, v := range i {
		if n += len(name) + len(v.B); v.N != nil {
			n += (len(*v.N)+1)/2 + 1
		} else {
			n += len(v.text())
		}
		for _, s := range v.SS {
			n += len(s)
		}
	}
	return n
}

// put stores an item, at a price for each KB.
func (t *Table) put(i item, price int) {
	larger := max(i.size(), t.items[i.key()].size())
	t.units += price * ((larger + 1<<10 - 1) >> 10)
	t.items[i.key()] = i
}

// try returns the item after a write, or why the write is refused.
func (t *Table) try(w write) (after item, err error) {
	e := expression{names: w.ExpressionAttributeNames, values: w.ExpressionAttributeValues, used: map[string]bool{}}
	at := w.Item
	if at == nil {
		at = w.Key
	}
	if k := at.key(); k.pk == "" || k.sk == "" || w.Item == nil && len(at) != 2 {
		return nil, invalid("the key is not complete")
	}
	before := t.items[at.key()]
	holds, err := e.condition(w.ConditionExpression, before)
	if err != nil {
		return nil, err
	}
	if after = w.Item; after == nil {
		if after, err = e.update(w.UpdateExpression, before, w.Key); err != nil {
			return nil, err
		}
	}
	if err := e.unused(); err != nil {
		return nil, err
	}
	for name, v := range after {
		if v.S == nil && v.N == nil && len(v.B) == 0 && len(v.SS) == 0 {
			return nil, invalid("%s has no value", name)
		}
	}
	if !holds {
		f := &failure{code: "ConditionalCheckFailedException", message: "The conditional request failed"}
		if w.ReturnValuesOnConditionCheckFailure == "ALL_OLD" {
			f.item = before
		}
		return nil, f
	}
	if n := after.size(); n > itemBytes {
		return nil, invalid("Item size has exceeded the maximum allowed size")
	}
	return after, nil
}

func (t *Table) transact(all transaction, body []byte) error {
	if done := t.transactions[all.ClientRequestToken]; done == string(body) {
		return nil
	} else if done != "" || all.ClientRequestToken == "" {
		return &failure{code: "IdempotentParameterMismatchException"}
	}
	if len(all.TransactItems) > transactionItems {
		return invalid("more than %d items", transactionItems)
	}
	reasons, refused, size, seen := []any{}, false, 0, map[key]bool{}
	var changed []item
	for _, one := range all.TransactItems {
		w := one.Put
		if w == nil {
			w = one.Update
		}
		reason := map[string]any{"Code": "None"}
		after, err := t.try(*w)
		if f, ok := err.(*failure); ok && f.code == "ConditionalCheckFailedException" {
			refused = true
			if reason["Code"] = "ConditionalCheckFailed"; f.item != nil {
				reason["Item"] = f.item
			}
		} else if err != nil {
			return err
		} else if changed = append(changed, after); seen[after.key()] {
			return invalid("Transaction request cannot include multiple operations on one item")
		} else {
			seen[after.key()] = true
		}
		size += after.size()
		reasons = append(reasons, reason)
	}
	if size > transactionBytes {
		return invalid("Transaction is too large")
	}
	if refused {
		return &failure{code: "TransactionCanceledException", reasons: reasons}
	}
	for _, i := range changed {
		t.put(i, 2)
	}
	t.transactions[all.ClientRequestToken] = string(body)
	return nil
}

// list answers a Query or a Scan.
func (t *Table) list(query bool, r read) (any, error) {
	if query == (r.KeyConditionExpression == "") {
		return nil, invalid("a query has a key condition, and a scan has none")
	}
	from, start := t.from(r), r.ExclusiveStartKey.key()
	all := slices.SortedFunc(maps.Keys(from), key.compare)
	e := expression{names: r.ExpressionAttributeNames, values: r.ExpressionAttributeValues, used: map[string]bool{}}
	names := e.projection(r.ProjectionExpression)
	found, size, n := []item{}, 0, 0
	var last, previous item
	for _, k := range all {
		i := from[k]
		ours, err := e.condition(r.KeyConditionExpression, i)
		if err != nil {
			return nil, err
		}
		if !ours || start.pk != "" && k.compare(start) <= 0 {
			continue
		}
		if n++; size > Page || r.Limit > 0 && n > r.Limit {
			last = previous.project([]string{"pk", "sk"})
			break
		}
		size, previous = size+i.size(), i
		matches, err := e.condition(r.FilterExpression, i)
		if err != nil {
			return nil, err
		}
		if matches {
			found = append(found, i.project(names))
		}
	}
	if err := e.unused(); previous != nil && err != nil {
		return nil, err
	}
	answer := map[string]any{"Items": found, "Count": len(found)}
	if last != nil {
		answer["LastEvaluatedKey"] = last
	}
	return answer, nil
}

func (i item) project(names []string) item {
	if names == nil {
		return i
	}
	projected := item{}
	for _, name := range names {
		if v, ok := i[name]; ok {
			projected[name] = v
		}
	}
	return projected
}
