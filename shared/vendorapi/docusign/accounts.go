package docusign

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// accountNumber matches the number that XML messages give for an account, where JSON gives the GUID.
var accountNumber = regexp.MustCompile(`^[0-9]{1,18}$`)

// Foreign implements [vendorapi.Accounts]. It compares GUIDs. The number of an account is first mapped to the GUID.
func (c *client) Foreign(ctx context.Context, e esign.Event) (bool, error) {
	id := e.AccountID
	if accountNumber.MatchString(id) {
		var err error
		if id, err = c.accountGUID(ctx, id); err != nil {
			return false, err
		}
	}
	return vendorapi.OtherAccount(guid, c.account, id), nil
}

// mapping is the GUID of an account, given by its number.
type mapping struct {
	guid    string // empty if the user does not belong to the account
	expires time.Time
}

// accountGUID returns the GUID of the account with this number, which it remembers for a day. It returns "" if the user
// does not belong to the account: then DocuSign does not answer.
//
// SPEC: https://www.rubydoc.info/gems/docusign_esign/2.1.0/DocuSign_eSign%2FAccountsApi:list_settings, read 2026-11-30:
// an account is given by "the external account number (int) or account ID Guid".
// SPEC: https://github.com/docusign/docusign-esign-node-client test/AccountsApi.js, read 2026-11-30: the answer has
// accountIdGuid.
func (c *client) accountGUID(ctx context.Context, number string) (string, error) {
	if known, ok := c.numbers.Load(number); ok && c.now().Before(known.(mapping).expires) {
		return known.(mapping).guid, nil
	}
	base, err := c.base(ctx)
	if err != nil {
		return "", fmt.Errorf("docusign: %w", err)
	}
	var answer struct {
		GUID webhook.Text `json:"accountIdGuid"`
	}
	err = c.http.Get(ctx, strings.TrimSuffix(base, c.account)+number, &answer)
	denied := errors.Is(err, vendorapi.ErrDenied) || errors.Is(err, vendorapi.ErrInvalid) ||
		errors.Is(err, vendorapi.ErrUnknown)
	if err != nil && !denied {
		return "", fmt.Errorf("docusign: %w", err)
	}
	c.numbers.Store(number, mapping{string(answer.GUID), c.now().Add(24 * time.Hour)})
	return string(answer.GUID), nil
}
