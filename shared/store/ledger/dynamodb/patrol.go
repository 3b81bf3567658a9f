package dynamodb

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
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
		s := standing(item)
		if s.Status.Terminal() {
			continue
		}
		if err := visit(s); err != nil {
			return "", err
		}
	}
	return place(page.LastEvaluatedKey), nil
}

func standing(i item) ledger.Standing {
	s := ledger.Standing{
		Provider: get(i, "provider"), Subject: get(i, "pk"), AgreementID: get(i, "agreementId"),
		Status: esign.Status(get(i, "status")), EventID: get(i, "sk"),
	}
	since := "receivedAt"
	if s.EventID == agreementSK {
		s.EventID, since = "", "updatedAt"
	}
	s.Since, _ = time.Parse(time.RFC3339Nano, get(i, since)) // what cannot be read is long ago
	return s
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
