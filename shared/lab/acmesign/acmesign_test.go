package acmesign_test

import (
	"fmt"
	"hash/fnv"
	"testing"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/attack"
	"esignhooks/shared/webhook/webhooktest"
)

var claims = webhooktest.Claims{
	Header:    acmesign.SignatureHeader,
	Covered:   webhooktest.BodyOf,
	Spellings: []func([]byte) string{webhooktest.Hex},
	ID:        "agreement",
	Completed: func(_, seed string) string {
		number := fnv.New32()
		number.Write([]byte(seed))
		return fmt.Sprintf(`"number":%d,"type":"completed"`, number.Sum32())
	},
	Wrap:  func(members string) string { return `{"events":[{` + members + `}]}` },
	Named: func(quoted string) string { return `"number":1,"agreement":"a","via":` + quoted + `,"type":` + quoted },
}

// TestAttacks shows that the synthetic provider refuses what real ones must refuse.
func TestAttacks(t *testing.T) { attack.Run(t, acmesign.Provider{}, claims) }
