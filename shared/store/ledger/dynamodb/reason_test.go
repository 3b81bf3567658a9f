package dynamodb

import (
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/store/ledger"
)

func TestReasonsOfACancelledTransaction(t *testing.T) {
	other := errors.New("another error")
	for name, tt := range map[string]struct {
		codes []string // of two events and their agreement
		want  error
	}{
		"an event is done already":                      {[]string{"None", "ConditionalCheckFailed", "None"}, ledger.ErrProcessed},
		"an event is done, and the agreement other":     {[]string{"ConditionalCheckFailed", "None", "ConditionalCheckFailed"}, ledger.ErrProcessed},
		"another is written, and an event is done":      {[]string{"TransactionConflict", "ConditionalCheckFailed", "None"}, ledger.ErrProcessed},
		"an event is done, and another is written":      {[]string{"ConditionalCheckFailed", "TransactionConflict", "None"}, ledger.ErrProcessed},
		"the agreement has changed":                     {[]string{"None", "None", "ConditionalCheckFailed"}, ledger.ErrConflict},
		"an event is being written":                     {[]string{"TransactionConflict", "None", "None"}, ledger.ErrConflict},
		"the agreement is being written":                {[]string{"None", "None", "TransactionConflict"}, ledger.ErrConflict},
		"the partition is throttled":                    {[]string{"None", "ThrottlingError", "None"}, ledger.ErrConflict},
		"the table is throttled":                        {[]string{"ProvisionedThroughputExceeded", "None", "None"}, ledger.ErrConflict},
		"an item is too large":                          {[]string{"None", "ItemCollectionSizeLimitExceeded", "None"}, other},
		"something is wrong, and nobody says with what": {[]string{"ValidationError", "None", "None"}, other},
		"no reason": {nil, other},
	} {
		cancelled := &types.TransactionCanceledException{}
		for _, code := range tt.codes {
			cancelled.CancellationReasons = append(cancelled.CancellationReasons, types.CancellationReason{Code: &code})
		}
		got := reason(cancelled, 2)
		if tt.want == other && (errors.Is(got, ledger.ErrProcessed) || errors.Is(got, ledger.ErrConflict) || !errors.Is(got, cancelled)) {
			t.Errorf("%s: %v", name, got)
		} else if tt.want != other && got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
