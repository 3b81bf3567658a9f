package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

func TestOnlySampledTracesAreKept(t *testing.T) {
	const id = "1-5759e988-bd862e3fe1be46a994272793"
	for header, want := range map[string]string{
		"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1": id,
		"Parent=53995c3f42cd8ad8; Sampled=1; Root=" + id:    id,
		"Root=" + id + ";Sampled=0":                         "",
		"Root=" + id:                                        "",
		"Root=" + id + "\"x;Sampled=1":                      "",
		"Self=" + id + ";Sampled=1":                         "",
		"Sampled=1":                                         "", "": "",
	} {
		if got := ledger.NewClaim(&webhook.Delivery{Trace: header}, "", "", time.Time{}).Trace; got != want {
			t.Errorf("%s: %q, not %q", header, got, want)
		}
	}
}

func TestAClaimHoldsTheDelivery(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	got := ledger.NewClaim(&webhook.Delivery{
		Provider: "p", EventID: "e", Subject: "s", Via: "v", ReceivedAt: at, Proof: esign.ProofSigned, Payload: []byte("abc"),
	}, "type", "a", at.Add(-1))
	want := ledger.Claim{
		Key: ledger.Key{Subject: "s", ID: "e"}, Provider: "p", VendorType: "type", AgreementID: "a", OccurredAt: at.Add(-1),
		ReceivedAt: at, Proof: esign.ProofSigned, Via: "v", Size: 3,
		SHA256: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
