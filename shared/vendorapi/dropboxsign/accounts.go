package dropboxsign

import (
	"context"
	"regexp"

	"esignhooks/shared/esign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// accountID matches the ID of an account.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-30: account_id and
// reported_for_account_id in the examples are 40 hexadecimal digits.
var accountID = regexp.MustCompile(`^[0-9a-f]{40}$`)

// Foreign implements [vendorapi.Accounts]. It compares the account of an account callback with that of the API key. The
// account of an app callback shows nothing: it may be that of an end user, who has authorised the app.
func (c *client) Foreign(ctx context.Context, e esign.Event) (bool, error) {
	if e.Attributes["callback"] == "app" || !accountID.MatchString(e.AccountID) {
		return false, nil
	}
	ours, err := c.ownAccount(ctx)
	return vendorapi.OtherAccount(accountID, ours, e.AccountID), err
}

// ownAccount returns the ID of the API key's account. It asks once: a key never changes its account.
func (c *client) ownAccount(ctx context.Context) (string, error) {
	if known := c.account.Load(); known != nil {
		return *known, nil
	}
	var answer struct {
		Account struct {
			ID webhook.Text `json:"account_id"`
		} `json:"account"`
	}
	if err := c.get(ctx, "/account", nil, &answer); err != nil {
		return "", err
	}
	id := string(answer.Account.ID)
	c.account.Store(&id)
	return id, nil
}
