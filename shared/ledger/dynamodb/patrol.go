package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"esignhooks/shared/esign"
	"esignhooks/shared/ledger"
)

// Patrol implements [ledger.Patroller]: a part is one page of a scan, and its place the key of the page's last item.
func (l *Ledger) Patrol(ctx context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	start, err := placeKey(from)
	if err != nil {
		return "", wrap("patrol", err)
	}
	page, err := l.client.Scan(ctx, &dynamodb.ScanInput{
		TableName: &l.table, ExclusiveStartKey: start,
		FilterExpression:     aws.String("sk = :agreement AND attribute_exists(#status) OR #state = :received"),
		ProjectionExpression: aws.String("pk, sk, #provider, agreementId, #status, updatedAt, receivedAt"),
		ExpressionAttributeNames: map[string]string{
			"#status": "status", "#state": "state", "#provider": "provider",
		},
		ExpressionAttributeValues: item{":agreement": text(agreementSK), ":received": text(string(ledger.Received))},
	})
	if err != nil {
		return "", wrap("patrol", err)
	}
	for _, item := range page.Items {
		s, err := standing(item)
		if err != nil {
			return "", wrap("patrol", err)
		}
		if s.Status.Terminal() {
			continue
		}
		if err := visit(s); err != nil {
			return "", err
		}
	}
	return place(page.LastEvaluatedKey), nil
}

func standing(i item) (ledger.Standing, error) {
	s := ledger.Standing{
		Provider: get(i, "provider"), Subject: get(i, "pk"), AgreementID: get(i, "agreementId"),
		Status: esign.Status(get(i, "status")), EventID: get(i, "sk"),
	}
	since := "receivedAt"
	if s.EventID == agreementSK {
		s.EventID, since = "", "updatedAt"
	}
	var err error
	if s.Since, err = time.Parse(time.RFC3339Nano, get(i, since)); err != nil {
		return s, fmt.Errorf("%s: %w", since, err)
	}
	return s, nil
}

// place writes a key as text: the JSON array of its parts. No key is the empty text.
func place(key item) string {
	if key == nil {
		return ""
	}
	b, _ := json.Marshal([]string{get(key, "pk"), get(key, "sk")}) // texts always marshal
	return string(b)
}

func placeKey(place string) (item, error) {
	if place == "" {
		return nil, nil
	}
	var key []string
	if err := json.Unmarshal([]byte(place), &key); err != nil || len(key) != 2 {
		return nil, errors.New("no such place")
	}
	return itemKey(ledger.Key{Subject: key[0], ID: key[1]}), nil
}
