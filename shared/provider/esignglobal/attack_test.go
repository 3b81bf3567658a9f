package esignglobal_test

import (
	"net/http"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/attack"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var claims = webhooktest.Claims{
	Variables: [3]string{"ESIGNGLOBAL_SECRETS", "ESIGNGLOBAL_URL_TOKENS", "ESIGNGLOBAL_API"},
	Header:    signature, AlgorithmHeader: "X-Tsign-Open-SIGNATURE-ALGORITHM",
	Headers: http.Header{timestamp: {"1793610000000"}}, SignedTime: timestamp,
	Covered: func(r *webhook.Request) []byte { // the requests have no query
		return append([]byte(r.Header.Get(timestamp)), r.Body...)
	},
	Spellings: []func([]byte) string{webhooktest.Hex},
	Object:    "callBackEnvelopeVO", ID: "envelopeId",
	Completed: func(_, _ string) string { return `"callBackDesc":"ENVELOPE_FINISH"` },
	Named: func(quoted string) string {
		return `"callBackDesc":` + quoted + `,"callBackEnvelopeVO":{"envelopeId":"a"}`
	},
	TokenAlone: esign.ProofURLToken,
	LongLists: map[string]func(func(string) string) string{
		"signers": func(repeat func(string) string) string {
			return `{"event":"ENVELOPE_FINISH","eventPayload":{"envelopeId":"e","signerList":[` + repeat("{},") + `{}]}}`
		},
		"signers of their own": func(repeat func(string) string) string {
			return `{"event":"ENVELOPE_FINISH","eventPayload":{"envelopeId":"e",` + repeat(`"signerInfo":{},`) + `"x":1}}`
		},
		"unknown lists": func(repeat func(string) string) string {
			return `{"event":"ENVELOPE_FINISH","eventPayload":{"envelopeId":"e","whatever":[` + repeat("{},") + `{}]}}`
		},
	},
}

func TestProvider(t *testing.T) { webhooktest.Run(t, provider, claims, attack.Run) }

func FuzzGenuine(f *testing.F) { attack.Fuzz(f, provider, claims) }
