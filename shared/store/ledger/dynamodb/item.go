package dynamodb

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// agreementSK is the sort key of the agreement. Event IDs are hexadecimal, so it is none.
const agreementSK = "@"

type item = map[string]types.AttributeValue

func itemKey(k ledger.Key) item { return item{"pk": text(k.Subject), "sk": text(k.ID)} }

func text(s string) types.AttributeValue { return &types.AttributeValueMemberS{Value: s} }

func number(n int64) types.AttributeValue {
	return &types.AttributeValueMemberN{Value: strconv.FormatInt(n, 10)}
}

func unix(t time.Time) types.AttributeValue { return number(t.Unix()) }

// instant writes a time so that times sort as text.
func instant(t time.Time) types.AttributeValue {
	return text(t.UTC().Format("2006-01-02T15:04:05.000000000Z07:00"))
}

func fromJSON(i item, name string, v any) error {
	if s := get(i, name); s != "" {
		return json.Unmarshal([]byte(s), v)
	}
	return nil
}

// get reads a text or a number; empty if there is none.
func get(i item, name string) string {
	switch v := i[name].(type) {
	case *types.AttributeValueMemberS:
		return v.Value
	case *types.AttributeValueMemberN:
		return v.Value
	}
	return ""
}

// claimItem holds what the receiver knows.
func claimItem(c ledger.Claim) item {
	i := itemKey(c.Key)
	i["provider"], i["vendorType"], i["agreementId"] = text(c.Provider), text(c.VendorType), text(c.AgreementID)
	i["receivedAt"], i["proof"], i["sha256"], i["size"] = instant(c.ReceivedAt), text(string(c.Proof)), text(c.SHA256), number(int64(c.Size))
	if !c.OccurredAt.IsZero() {
		i["occurredAt"] = instant(c.OccurredAt)
	}
	if c.Via != "" {
		i["via"] = &types.AttributeValueMemberSS{Value: []string{c.Via}}
	}
	return i
}

func (l *Ledger) expire(i item, now time.Time) {
	if l.expiry > 0 {
		i["expires"] = unix(now.Add(l.expiry))
	}
}

// entry reads an event item.
func entry(i item) (ledger.Entry, error) {
	e := ledger.Entry{
		Key: ledger.Key{Subject: get(i, "pk"), ID: get(i, "sk")}, State: ledger.State(get(i, "state")),
		Provider: get(i, "provider"), Type: esign.Type(get(i, "type")), VendorType: get(i, "vendorType"),
		AgreementID: get(i, "agreementId"), Proof: esign.Proof(get(i, "proof")), SHA256: get(i, "sha256"),
		StatusBefore: esign.Status(get(i, "statusBefore")), StatusAfter: esign.Status(get(i, "statusAfter")),
	}
	if via, ok := i["via"].(*types.AttributeValueMemberSS); ok {
		e.Via = slices.Sorted(slices.Values(via.Value))
	}
	for name, n := range map[string]*int{"duplicates": &e.Duplicates, "size": &e.Size} {
		if s := get(i, name); s != "" {
			var err error
			if *n, err = strconv.Atoi(s); err != nil {
				return e, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for name, t := range map[string]*time.Time{"occurredAt": &e.OccurredAt, "receivedAt": &e.ReceivedAt, "processedAt": &e.ProcessedAt} {
		if s := get(i, name); s != "" {
			var err error
			if *t, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return e, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if err := fromJSON(i, "event", &e.Event); err != nil {
		return e, fmt.Errorf("event: %w", err)
	}
	if err := fromJSON(i, "agreement", &e.Agreement); err != nil {
		return e, fmt.Errorf("agreement: %w", err)
	}
	return e, nil
}
