package dropboxsign_test

import (
	"net/http"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
)

// TestTheKeysAccountIsAskedForOnce checks that a failure of the API is no answer.
func TestTheKeysAccountIsAskedForOnce(t *testing.T) {
	stub, client := open(t)
	foreign := esign.Event{AccountID: "6421d70b9bd45059fa207d03ab8d1b96515b472c"}
	ours := esign.Event{AccountID: "5008b25c7f67153e57d5a357b1687968068fb465"}
	stub.Fail(vendorstub.Failure{Path: "/account", Status: http.StatusInternalServerError, Times: 4})
	accounts := client.(vendorapi.Accounts)
	if is, err := accounts.Foreign(t.Context(), foreign); is || err == nil {
		t.Errorf("%v, %v while the API is down", is, err)
	}
	before := stub.Calls("/account")
	for range 2 {
		for e, want := range map[*esign.Event]bool{&foreign: true, &ours: false, {}: false} {
			if is, err := accounts.Foreign(t.Context(), *e); is != want || err != nil {
				t.Errorf("%+v: %v, %v", e, is, err)
			}
		}
	}
	if asked := stub.Calls("/account") - before; asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}
