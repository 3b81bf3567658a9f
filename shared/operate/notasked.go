package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	archiver "esignhooks/shared/archive"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/vendorapi"
)

// maxListed is the number of completions that are listed for each provider.
const maxListed = 20

// notAsked lists the newest completions of other accounts that the archiver has not asked about.
func notAsked(ctx context.Context, w io.Writer, t Target, provider string) error {
	all, err := archiver.NotAsked{Notes: t.Notes, Provider: provider}.All(ctx)
	if err != nil || len(all) == 0 {
		return err
	}
	fmt.Fprintf(w, "  ! %d completions are not confirmed: they belong to accounts without credentials\n"+
		"    when the secret holds the credentials of their account, make redrive asks about them\n", len(all))
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row(table, "    AGREEMENT", "ACCOUNT", "NOT ASKED SINCE (UTC)")
	for i, c := range slices.Backward(all) {
		if i < len(all)-maxListed {
			break
		}
		row(table, "    "+c.AgreementID, c.AccountID, moment(c.At))
	}
	table.Flush()
	if len(all) > maxListed {
		fmt.Fprintf(w, "    … and %d older ones\n", len(all)-maxListed)
	}
	return nil
}

// AskAgain queues the completions that the archiver has not asked about, if there are credentials of their account now.
func AskAgain(ctx context.Context, w io.Writer, t Target) error {
	var problems []error
	for _, p := range t.Providers {
		if err := askAgain(ctx, w, t, p.Info().Name); err != nil {
			problems = append(problems, fmt.Errorf("operate: completions that were not asked about: %w", err))
		}
	}
	return errors.Join(problems...)
}

func askAgain(ctx context.Context, w io.Writer, t Target, provider string) error {
	waiting := archiver.NotAsked{Notes: t.Notes, Provider: provider}
	if all, err := waiting.All(ctx); err != nil || len(all) == 0 {
		return err
	}
	client, err := t.Clients(ctx, provider)
	if err != nil && !errors.Is(err, vendorapi.ErrOff) && !errors.Is(err, ErrDisabled) {
		return err
	}
	accounts, _ := client.(vendorapi.Accounts)
	foreign := map[string]bool{} // by account
	queued, left := 0, 0
	err = waiting.Remove(ctx, func(c archiver.Completion) (bool, error) {
		event := c.Event(provider)
		if _, known := foreign[c.AccountID]; !known && accounts != nil {
			still, err := accounts.Foreign(ctx, event.Detail.Event)
			if err != nil {
				return false, fmt.Errorf("%s: account %s: %w", provider, terminal.Printable(c.AccountID), err)
			}
			foreign[c.AccountID] = still
		}
		if accounts == nil || foreign[c.AccountID] {
			left++
			return false, nil
		}
		if err := t.Archive(ctx, event); err != nil {
			return false, fmt.Errorf("the archiver's queue: %w", err)
		}
		queued++
		return true, nil
	})
	fmt.Fprintf(w, "%s: %d completions that were not asked about are queued for the archiver\n", provider, queued)
	if left > 0 {
		fmt.Fprintf(w, "%s: %d wait for credentials of their account; make registered lists them\n", provider, left)
	}
	return err
}
