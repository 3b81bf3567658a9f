package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/vendorapi"
)

// office is a vendor's API. It knows the true history, also of events without a webhook.
type office struct {
	w          *world
	provider   string
	url        string // of its subscription
	disabled   bool   // the subscription
	agreements []*file
	downloads  int
	granted    bool // there are credentials of the foreign account
}

// accounts are the accounts in the examples, by provider. The credentials are for these.
var accounts = map[string]string{
	"docusign":    "3d9a1c52-7f04-4b6e-8a21-5c0b7e94d113",
	"dropboxsign": "2c53d16ce65dea6123200eb2d3739d3958a3f0f5",
}

// foreignAccount returns the ID of another account.
func foreignAccount(provider string) string {
	return accounts[provider][:35] + "f" + accounts[provider][36:]
}

// file is an agreement at its vendor.
type file struct {
	id      string
	status  esign.Status
	changed time.Time
	ready   time.Duration // delay of the documents after completion
	foreign bool
}

var _ vendorapi.Client = (*office)(nil)

// happens changes the agreement at its vendor.
func (o *office) happens(h *happening) {
	for _, f := range o.agreements {
		if f.id == h.agreement {
			if f.status.Before(h.status) {
				f.status, f.changed = h.status, time.Now()
			}
			return
		}
	}
	ready := []time.Duration{0, 20 * time.Minute, 7 * time.Hour}[o.w.choices.choose(3)]
	o.agreements = append(o.agreements, &file{h.agreement, h.status, time.Now(), ready, h.foreign})
}

func (o *office) ask(ctx context.Context, what string, answer func() error) error {
	return o.w.do(ctx, o.provider+" "+what, readFaults, func() error {
		if o.w.rate > 0 && o.w.choices.rarely(4*o.w.rate) {
			return &vendorapi.LaterError{After: []time.Duration{time.Minute, 2 * time.Hour}[o.w.choices.choose(2)]}
		}
		return answer()
	})
}

var _ vendorapi.Accounts = (*office)(nil)

// Foreign implements [vendorapi.Accounts]. The account of the credentials has to be asked for.
func (o *office) Foreign(ctx context.Context, e esign.Event) (foreign bool, err error) {
	err = o.ask(ctx, "account", func() error {
		form := regexp.MustCompile(`^[0-9a-f-]{36,40}$`)
		foreign = !o.granted && vendorapi.OtherAccount(form, accounts[o.provider], e.AccountID)
		return nil
	})
	return foreign, err
}

// visible reports whether the credentials may see an agreement.
func (o *office) visible(f *file) bool { return !f.foreign || o.granted }

func (o *office) find(id string) (*file, error) {
	if i := slices.IndexFunc(o.agreements, func(f *file) bool { return f.id == id && o.visible(f) }); i >= 0 {
		return o.agreements[i], nil
	}
	return nil, vendorapi.ErrUnknown
}

// says returns the API's answer about an agreement. Dropbox Sign reports only the time of the last signature.
func (o *office) says(f *file) vendorapi.Agreement {
	a := vendorapi.Agreement{ID: f.id, Status: f.status, VendorStatus: string(f.status), ChangedAt: f.changed}
	if o.provider == "dropboxsign" && f.status != esign.Completed {
		a.ChangedAt = time.Time{}
	}
	return a
}

func (o *office) Pause() time.Duration { return 10 * time.Minute }

func (o *office) Agreement(ctx context.Context, id string) (a vendorapi.Agreement, err error) {
	err = o.ask(ctx, "status "+id, func() error {
		f, err := o.find(id)
		if err == nil {
			a = o.says(f)
		}
		return err
	})
	return a, err
}

// Documents returns different bytes each time, because vendors regenerate documents. Some downloads are truncated.
func (o *office) Documents(ctx context.Context, id string) (all []vendorapi.Document, err error) {
	err = o.ask(ctx, "documents "+id, func() error {
		f, err := o.find(id)
		if err != nil {
			return err
		}
		if f.status != esign.Completed || time.Since(f.changed) < f.ready {
			return vendorapi.ErrNotReady
		}
		for _, name := range []string{"document.pdf", "audit-trail.pdf"} {
			all = append(all, vendorapi.Document{Name: name, PDF: true,
				Open: func(ctx context.Context) (c vendorapi.Content, err error) {
					err = o.ask(ctx, "download "+name, func() error {
						o.downloads++
						body := fmt.Appendf(nil, "%%PDF-1.7 %s %s %d %%%%EOF", id, name, o.downloads)
						c = vendorapi.Content{Size: int64(len(body)), Type: "application/pdf"}
						if o.w.rate > 0 && o.w.choices.rarely(o.w.rate) {
							body = body[:len(body)/2]
						}
						c.ReadCloser = io.NopCloser(bytes.NewReader(body))
						return nil
					})
					return c, err
				}})
		}
		return nil
	})
	return all, err
}

// Changed returns two agreements per page. The cursor is the last ID of the page before.
func (o *office) Changed(ctx context.Context, from, to time.Time, page string) (changed []vendorapi.Agreement,
	next string, err error) {
	if o.provider == "esignglobal" {
		return nil, "", errors.ErrUnsupported
	}
	err = o.ask(ctx, "changed", func() error {
		passed := page == ""
		for _, f := range o.agreements {
			if passed && o.visible(f) && !f.changed.Before(from) && f.changed.Before(to) {
				if len(changed) == 2 {
					next = changed[1].ID
					return nil
				}
				changed = append(changed, o.says(f))
			}
			passed = passed || f.id == page
		}
		return nil
	})
	return changed, next, err
}

func (o *office) Subscriptions(ctx context.Context) (all []vendorapi.Subscription, err error) {
	err = o.ask(ctx, "subscriptions", func() error {
		all = []vendorapi.Subscription{{Name: "ours", URL: o.url, Active: !o.disabled}}
		return nil
	})
	return all, err
}

func (o *office) Register(context.Context, string) ([]vendorapi.Step, error) {
	panic("nobody registers")
}

// FormData is never called: the archiver of the simulation does not archive form data.
func (o *office) FormData(context.Context, string) ([]vendorapi.Field, error) {
	return nil, errors.ErrUnsupported
}

func (o *office) Repair(ctx context.Context, _ string) (steps []vendorapi.Step, err error) {
	err = o.ask(ctx, "what is to be repaired", func() error {
		if o.disabled {
			steps = []vendorapi.Step{{Description: "enable", Do: func(ctx context.Context) error {
				return o.w.do(ctx, o.provider+" enable", networkFaults, func() error { o.disabled = false; return nil })
			}}}
		}
		return nil
	})
	return steps, err
}
