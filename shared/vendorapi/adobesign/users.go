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

// userHeader names the user whom a request is for. An account's webhook tells of the agreements of all its users, but
// the API shows each agreement to its own users only, of whom the token's is one.
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
	ids    []string // in rising order
	until  time.Time
	latest string // the user who was the right one last; empty is that of the token
}

// users lists the IDs of the account's users, or nobody if the credentials may not know them. The list is asked for once
// an hour, as the vendor wants it.
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

// asOwner asks about an agreement as the user who was the right one last, then as the token's, then as each of the others,
// until one may see it. If none may, the answer is that to the token's user.
func (c *client) asOwner(ctx context.Context, ask func(user string) error) error {
	c.mu.Lock()
	latest := c.people.latest
	c.mu.Unlock()
	err := c.ask(latest, ask)
	if latest != "" && hidden(err) {
		err = c.ask("", ask)
	}
	if !hidden(err) {
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
		if other := c.ask(user, ask); !hidden(other) {
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

// hidden says whether another user may see what this one does not. Whether PERMISSION_DENIED or INVALID_AGREEMENT_ID is
// said of another user's agreement is not documented: either makes us ask as the others.
func hidden(err error) bool {
	return errors.Is(err, errUser) || errors.Is(err, vendorapi.ErrUnknown)
}
