package vendorapi

import (
	"context"
	"regexp"
	"strings"

	"esignhooks/shared/esign"
)

// Accounts is a [Client] that can recognise the events of another account than its own. A client has one set of
// credentials, but an account of the same vendor may call the same URL without having given us credentials.
type Accounts interface {
	// Foreign reports whether an event certainly belongs to another account than that of the credentials. If it cannot be
	// certain, it returns false. An error is temporary. The caller must check first that the event is signed: any sender
	// can name a foreign account.
	Foreign(context.Context, esign.Event) (bool, error)
}

// OtherAccount reports whether two IDs certainly name different accounts: both have the vendor's form of an ID, and
// they differ. IDs of different forms may be two names of one account.
func OtherAccount(form *regexp.Regexp, ours, theirs string) bool {
	return form.MatchString(ours) && form.MatchString(theirs) && !strings.EqualFold(ours, theirs)
}
