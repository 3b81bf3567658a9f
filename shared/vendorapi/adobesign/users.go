package adobesign

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// userHeader names the user whom a request acts for. An account's webhook covers the agreements of all its users, but
// the API shows an agreement only to the users who take part in it.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/webhookapis, read 2026-11-23:
// "userid:{userId}", with an account's token; if not specified, the caller is inferred from the token.
const userHeader = "X-Api-User"

func asUser(header http.Header, user string) http.Header {
	header = header.Clone()
	if user != "" {
		if header == nil {
			header = http.Header{}
		}
		header.Set(userHeader, "userid:"+user)
	}
	return header
}

// people are the users of the account.
type people struct {
	ids    []string // sorted
	until  time.Time
	latest string // the last user who could see an agreement; empty is the token's
}

// users returns the IDs of the account's users, or none if the credentials may not list them. It asks once an hour, as
// the vendor requires.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/bestpractices, read 2026-11-23.
func (c *client) users(ctx context.Context) ([]string, error) {
	c.mu.Lock()
	known := c.people
	c.mu.Unlock()
	if c.now().Before(known.until) {
		return known.ids, nil
	}
	type page struct {
		Users webhook.List[struct {
			ID webhook.Text `json:"id"`
		}] `json:"userInfoList"`
		Page next `json:"page"`
	}
	var ids []string
	err := pages(func(cursor string) (string, error) {
		var answer page
		err := c.get(ctx, "", "/users"+query("cursor", cursor), &answer)
		for _, u := range answer.Users {
			if u.ID != "" {
				ids = append(ids, string(u.ID))
			}
		}
		return string(answer.Page.Cursor), err
	})
	if err != nil && !errors.Is(err, errUser) {
		return nil, err
	}
	slices.Sort(ids)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.people.ids, c.people.until = slices.Compact(ids), c.now().Add(time.Hour)
	return c.people.ids, nil
}

// asOwner calls ask as the last user who could see an agreement, then as the token's user, then as each other user,
// until one can see it. If none can, it returns the error of the token's user.
func (c *client) asOwner(ctx context.Context, ask func(user string) error) error {
	c.mu.Lock()
	latest := c.people.latest
	c.mu.Unlock()
	err := c.ask(latest, ask)
	if latest != "" && invisible(err) {
		err = c.ask("", ask)
	}
	if !invisible(err) {
		return err
	}
	others, listErr := c.users(ctx)
	if listErr != nil {
		return listErr
	}
	for _, user := range others {
		if user == latest {
			continue
		}
		if other := c.ask(user, ask); !invisible(other) {
			return other
		}
	}
	return err
}

func (c *client) ask(user string, ask func(user string) error) error {
	err := ask(user)
	if err == nil {
		c.mu.Lock()
		c.people.latest = user
		c.mu.Unlock()
	}
	return err
}

// invisible reports whether another user may see what this one does not. The code for another user's agreement is not
// documented: PERMISSION_DENIED and INVALID_AGREEMENT_ID both make us ask as the others.
func invisible(err error) bool {
	return errors.Is(err, errUser) || errors.Is(err, vendorapi.ErrUnknown)
}
