package docusign_test

import (
	"net/http"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
)

// TestAnAccountsNumberIsMappedOnce checks that the API is asked for numbers only, once a day, and that its failure is
// no answer.
func TestAnAccountsNumberIsMappedOnce(t *testing.T) {
	w := newWorld(t)
	c := w.client(t, nil).(vendorapi.Accounts)
	foreign := func(account string) (bool, error) {
		return c.Foreign(t.Context(), esign.Event{AccountID: account})
	}
	w.Fail(vendorstub.Failure{Path: "/accounts/" + vendorstub.DocuSignOtherNumber, Status: http.StatusInternalServerError,
		Times: 4})
	if is, err := foreign(vendorstub.DocuSignOtherNumber); is || err == nil {
		t.Errorf("%v, %v while the API is down", is, err)
	}
	const path = "/restapi/v2.1/accounts/"
	before := w.Calls(path)
	for range 3 {
		for account, want := range map[string]bool{
			vendorstub.DocuSignNumber: false, vendorstub.DocuSignOtherNumber: true, "1": false, "": false,
			"3d9a1c52-7f04-4b6e-8a21-5c0b7e94d113": true, "../envelopes": false,
		} {
			if is, err := foreign(account); is != want || err != nil {
				t.Errorf("%q: %v, %v", account, is, err)
			}
		}
	}
	if asked := w.Calls(path) - before; asked != 3 {
		t.Errorf("asked %d times", asked)
	}
	w.clock.at = w.clock.at.Add(25 * time.Hour)
	if is, err := foreign(vendorstub.DocuSignOtherNumber); !is || err != nil || w.Calls(path)-before != 4 {
		t.Errorf("%v, %v after a day", is, err)
	}
}
