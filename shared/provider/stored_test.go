package provider_test

import (
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/stored"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// TestPeopleOfVersion1 folds a message of today into agreements that the first release stored. That release knew people
// by IDs that are aliases now, or showed an ID that the sender had chosen.
func TestPeopleOfVersion1(t *testing.T) {
	var v1 struct {
		Agreements map[string]struct{ Agreement esign.Agreement }
	}
	stored.V1(t, "items.want.json", &v1)
	for subject, tt := range map[string]struct {
		body string
		was  []string
		want map[string][]string // aliases by ID
	}{
		"docusign#a7c48a5b-71d1-4c54-5e2f-9b40c4e2a465": {
			`{"event": "recipient-completed", "data": {"envelopeId": "a7c48a5b-71d1-4c54-5e2f-9b40c4e2a465", "recipientId": "1",
			"envelopeSummary": {"status": "sent", "recipients": {"signers": [
			{"recipientId": "1", "recipientIdGuid": "1a1c2b5e-0d6f-4c3a-9b77-5f0e8d2c4a61", "status": "completed",
			"signedDateTime": "2026-11-30T07:30:00Z"},
			{"recipientId": "2", "recipientIdGuid": "2b7d9c1e-4f3a-4e58-8c21-9a6b5d4e3f20", "status": "sent",
			"sentDateTime": "2026-11-30T07:24:37.5Z"}]}}}}`,
			[]string{"1", "2"},
			map[string][]string{
				"1a1c2b5e-0d6f-4c3a-9b77-5f0e8d2c4a61": {"1"}, "2b7d9c1e-4f3a-4e58-8c21-9a6b5d4e3f20": {"2"},
			},
		},
		"docusign#d9b88a4f-37b4-5b97-5e9d-6e70d7f7f544": { // known from JSON and XML
			`{"event": "recipient-completed", "data": {"envelopeId": "d9b88a4f-37b4-5b97-5e9d-6e70d7f7f544", "recipientId": "1",
			"envelopeSummary": {"status": "completed", "recipients": {"signers": [
			{"recipientId": "1", "recipientIdGuid": "ab94e21d-60c7-4f85-8d3a-1759e0b6c2f8", "status": "completed",
			"signedDateTime": "2026-11-30T07:30:00Z"},
			{"recipientId": "2", "recipientIdGuid": "2b7d9c1e-4f3a-4e58-8c21-9a6b5d4e3f20", "status": "sent",
			"sentDateTime": "2026-11-30T07:24:37.5Z"}]}}}}`,
			[]string{"1", "2", "ab94e21d-60c7-4f85-8d3a-1759e0b6c2f8"},
			map[string][]string{
				"ab94e21d-60c7-4f85-8d3a-1759e0b6c2f8": {"1"}, "2b7d9c1e-4f3a-4e58-8c21-9a6b5d4e3f20": {"2"},
			},
		},
		"esignglobal#c13c4d05e2b11e8d7a3388d7e29b03fc": {
			`{"callBackEnum": "ENVELOPE_SIGNER_SIGNED", "callBackDesc": "ENVELOPE_SIGNER_SIGNED", "callBackProcessVO": null,
			"callBackEnvelopeVO": {"envelopeId": "c13c4d05e2b11e8d7a3388d7e29b03fc", "envelopeStatus": 1,
			"signerInfo": {"businessId": "emp-1001", "signerStatus": 2, "signOrder": 1, "signDate": 1764488100000}}}`,
			[]string{"emp-1001", "emp-1002"},
			map[string][]string{webhook.SenderKey("emp-1001"): nil, "emp-1002": nil}, // until it is named again
		},
	} {
		t.Run(subject, func(t *testing.T) {
			before := v1.Agreements[subject].Agreement
			if diff := cmp.Diff(tt.was, slices.Sorted(maps.Keys(before.Participants))); diff != "" {
				t.Fatal(diff)
			}
			p, _ := webhook.Find(provider.All(), before.Provider)
			r := &webhook.Request{Method: "POST", Body: []byte(tt.body)}
			ids, err := p.Identify(r)
			if err != nil || ids[0].Subject != subject {
				t.Fatalf("%v, %v", ids, err)
			}
			e, err := p.Normalize(webhooktest.Delivery(p, r, ids[0], esign.ProofSigned))
			if err != nil {
				t.Fatal(err)
			}
			got := map[string][]string{}
			for id, person := range esign.Fold(before, e).Participants {
				got[id] = person.Aliases
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
