package dynamodb

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
)

func TestReasonsOfACancelledTransaction(t *testing.T) {
	const none, failed, conflict = "None", "ConditionalCheckFailed", "TransactionConflict"
	other := errors.New("another error")
	for name, tt := range map[string]struct {
		codes []string // of two events and their agreement
		want  error
	}{
		"an event is processed":                        {[]string{none, failed, none}, ledger.ErrProcessed},
		"an event is processed, the agreement changed": {[]string{failed, none, failed}, ledger.ErrProcessed},
		"a conflict, and an event is processed":        {[]string{conflict, failed, none}, ledger.ErrProcessed},
		"an event is processed, and a conflict":        {[]string{failed, conflict, none}, ledger.ErrProcessed},
		"the agreement has changed":                    {[]string{none, none, failed}, ledger.ErrConflict},
		"another transaction writes an event":          {[]string{conflict, none, none}, ledger.ErrConflict},
		"another transaction writes the agreement":     {[]string{none, none, conflict}, ledger.ErrConflict},
		"the partition is throttled":                   {[]string{none, "ThrottlingError", none}, ledger.ErrConflict},
		"the table is throttled": {[]string{"ProvisionedThroughputExceeded", none, none},
			ledger.ErrConflict},
		"an item is too large":                          {[]string{none, "ItemCollectionSizeLimitExceeded", none}, other},
		"the request is invalid, and nobody says where": {[]string{"ValidationError", none, none}, other},
		"no reason": {nil, other},
	} {
		cancelled := &types.TransactionCanceledException{}
		for _, code := range tt.codes {
			cancelled.CancellationReasons = append(cancelled.CancellationReasons, types.CancellationReason{Code: &code})
		}
		got := reason(cancelled, 2)
		expected := errors.Is(got, ledger.ErrProcessed) || errors.Is(got, ledger.ErrConflict)
		if tt.want == other && (expected || !errors.Is(got, cancelled)) {
			t.Errorf("%s: %v", name, got)
		} else if tt.want != other && got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestAnEventOfANewerReleaseIsNotTakenForProcessed(t *testing.T) {
	code := "ConditionalCheckFailed"
	cancelled := &types.TransactionCanceledException{CancellationReasons: []types.CancellationReason{
		{Code: &code, Item: attributesOf(item.Item{item.V: item.N(item.Version + 1)})},
	}}
	if got := reason(cancelled, 1); !errors.Is(got, format.ErrNewer) {
		t.Errorf("%v, want %v", got, format.ErrNewer)
	}
}
