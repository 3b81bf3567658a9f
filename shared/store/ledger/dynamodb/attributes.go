package dynamodb

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

type attributes = map[string]types.AttributeValue

// attributesOf returns an item in the SDK's terms.
func attributesOf(i item.Item) attributes {
	out := make(attributes, len(i))
	for name, v := range i {
		out[name] = attributeOf(v)
	}
	return out
}

func attributeOf(v item.Value) types.AttributeValue {
	switch v.Kind {
	case item.Number:
		return &types.AttributeValueMemberN{Value: v.Text}
	case item.StringSet:
		return &types.AttributeValueMemberSS{Value: v.Set}
	case item.Binary:
		return &types.AttributeValueMemberB{Value: []byte(v.Text)}
	}
	return &types.AttributeValueMemberS{Value: v.Text}
}

// itemOf is the reverse of attributesOf. It drops attributes of other types: the format has none.
func itemOf(from attributes) item.Item {
	i := make(item.Item, len(from))
	for name, v := range from {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			i[name] = item.S(v.Value)
		case *types.AttributeValueMemberN:
			i[name] = item.Value{Kind: item.Number, Text: v.Value}
		case *types.AttributeValueMemberSS:
			i[name] = item.Value{Kind: item.StringSet, Set: v.Value}
		case *types.AttributeValueMemberB:
			i[name] = item.Value{Kind: item.Binary, Text: string(v.Value)}
		}
	}
	return i
}

// placeholders are the names and values in an expression.
type placeholders struct {
	names  map[string]string
	values attributes
}

func newPlaceholders() placeholders { return placeholders{map[string]string{}, attributes{}} }

// name returns the placeholder of an attribute. All attributes have one, since some are reserved words.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html
func (p placeholders) name(attribute string) string {
	p.names["#"+attribute] = attribute
	return "#" + attribute
}

// value returns the placeholder of a value.
func (p placeholders) value(name string, v item.Value) string {
	p.values[":"+name] = attributeOf(v)
	return ":" + name
}

// absent is the condition that an item does not exist. TTL deletes late, by days: an expired item that is still in the
// table counts as absent. One case is not noticed: an agreement is deleted between being read and being committed,
// while another worker commits as many events to it. Its versions begin at 1 again.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ttl-expired-items.html
func (p placeholders) absent(now time.Time) string {
	return "attribute_not_exists(" + p.name(item.PK) + ") OR " + p.name(item.Expires) + " < " +
		p.value("now", item.Unix(now))
}

// unsettled is the condition that an event is not settled, nor written by a newer release.
func (p placeholders) unsettled(now time.Time) string {
	return p.absent(now) + " OR NOT (" + p.settled() + ") AND " + p.readable()
}

// settled is the condition that an event is settled.
func (p placeholders) settled() string {
	return p.name(item.State) + " IN (" + p.value("processed", item.S(string(ledger.Processed))) + ", " +
		p.value("duplicate", item.S(string(ledger.Duplicate))) + ")"
}

// inexact is the condition that an event is processed without its exact time, and is readable.
func (p placeholders) inexact() string {
	return p.name(item.State) + " = " + p.value("processed", item.S(string(ledger.Processed))) +
		" AND contains(" + p.name(item.Event) + ", " + p.value("mark", item.S(item.InexactMark)) + ") AND " + p.readable()
}

// unchanged is the condition that an agreement or note still has the expected version, and is readable.
func (p placeholders) unchanged(expected int64) string {
	return p.name(item.RecordVersion) + " = " + p.value("expected", item.N(expected)) + " AND " + p.readable()
}

// readable is the condition that no newer release has written the item: see [format.ErrNewer].
func (p placeholders) readable() string {
	v := p.name(item.V)
	return "(attribute_not_exists(" + v + ") OR " + v + " <= " + p.value("current", item.N(item.Version)) +
		" OR " + v + " = " + p.value("newest", item.N(item.PackedVersion)) +
		" AND attribute_exists(" + p.name(item.Packed) + "))"
}

// update collects an update expression.
type update struct {
	placeholders
	clauses, removed []string
}

// set overwrites attributes.
func (u *update) set(i item.Item) {
	for _, name := range slices.Sorted(maps.Keys(i)) {
		u.clauses = append(u.clauses, u.name(name)+" = "+u.value(name, i[name]))
	}
}

// setIfAbsent sets the attributes that the item in the table does not have.
func (u *update) setIfAbsent(i item.Item) {
	for _, name := range slices.Sorted(maps.Keys(i)) {
		placeholder := u.name(name)
		u.clauses = append(u.clauses, fmt.Sprintf("%s = if_not_exists(%s, %s)", placeholder, placeholder,
			u.value(name, i[name])))
	}
}

// remove removes attributes that the item may have.
func (u *update) remove(names []string) {
	for _, name := range names {
		u.removed = append(u.removed, u.name(name))
	}
}

func (u *update) expression() *string {
	expression := "SET " + strings.Join(u.clauses, ", ")
	if len(u.removed) > 0 {
		expression += " REMOVE " + strings.Join(u.removed, ", ")
	}
	return &expression
}

// expire sets the expiry of an item that was written now.
func (l *Ledger) expire(i item.Item, now time.Time) {
	if l.expiry > 0 {
		i[item.Expires] = item.Unix(now.Add(l.expiry))
	}
}
