package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

// patrolled are the attributes that [item.ReadStanding] reads.
var patrolled = []string{
	item.PK, item.SK, item.Provider, item.AgreementID, item.Status, item.State, item.UpdatedAt, item.ReceivedAt,
	item.Agreement,
}

// Patrol implements [ledger.Patroller]. A part is one page of a scan. Its cursor is the key of the page's last item.
func (l *Ledger) Patrol(ctx context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	start, err := keyAt(from)
	if err != nil {
		return "", wrap("patrol", err)
	}
	p := newPlaceholders()
	stopped := p.name(item.SK) + " = " + p.value("at", item.S(item.AgreementSK)) +
		" AND attribute_exists(" + p.name(item.Status) + ") OR " +
		p.name(item.State) + " = " + p.value("received", item.S(string(ledger.Received)))
	var projection []string
	for _, name := range patrolled {
		projection = append(projection, p.name(name))
	}
	page, err := l.client.Scan(ctx, &dynamodb.ScanInput{
		TableName: &l.table, ExclusiveStartKey: start, Limit: aws.Int32(ledger.MaxPart), FilterExpression: &stopped,
		ProjectionExpression:     aws.String(strings.Join(projection, ", ")),
		ExpressionAttributeNames: p.names, ExpressionAttributeValues: p.values,
	})
	if err != nil {
		return "", wrap("patrol", err)
	}
	for _, found := range page.Items {
		s := item.ReadStanding(itemOf(found))
		if s.Status.Terminal() {
			continue
		}
		if err := visit(s); err != nil {
			return "", err
		}
	}
	return cursorAt(page.LastEvaluatedKey), nil
}

// cursorAt returns a key as text, the JSON array of its parts; empty for no key.
func cursorAt(key attributes) string {
	if key == nil {
		return ""
	}
	k := item.KeyOf(itemOf(key))
	b, _ := json.Marshal([]string{k.Subject, k.ID}) // texts always marshal
	return string(b)
}

func keyAt(cursor string) (attributes, error) {
	if cursor == "" {
		return nil, nil
	}
	var key []string
	if err := json.Unmarshal([]byte(cursor), &key); err != nil || len(key) != 2 {
		return nil, errors.New("malformed cursor")
	}
	return attributesOf(item.Key(ledger.Key{Subject: key[0], ID: key[1]})), nil
}
