package ledgertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
)

// Versions checks that records without a format version are read, and that records of a newer release are refused and
// kept. setVersion changes the version of a stored record, and removes it if it is 0. It must find an event by its key,
// an agreement by its subject and the ID "@", and a note by its name after "@" and the ID "@".
func Versions(t *testing.T, l Ledger, setVersion func(t *testing.T, key ledger.Key, version int)) {
	const subject, note = "acmesign#versions", "acmesign/versions"
	received := claimOf(subject, "received")
	done := commitOf(claimOf(subject, "done"), esign.AgreementSent, esign.Agreement{}, 0)
	must(t, l.Commit(t.Context(), done))
	if _, err := l.Claim(t.Context(), received); err != nil {
		t.Fatal(err)
	}
	must(t, l.PutNote(t.Context(), note, "text", 0))
	setAll := func(version int) {
		for _, key := range []ledger.Key{done.Key, received.Key, {Subject: subject, ID: "@"},
			{Subject: "@" + note, ID: "@"}} {
			setVersion(t, key, version)
		}
	}
	type contents struct {
		History   []ledger.Entry
		Agreement esign.Agreement
		Note      string
	}
	read := func() (c contents) {
		t.Helper()
		var errs [3]error
		c.History, errs[0] = l.History(t.Context(), subject)
		c.Agreement, _, errs[1] = l.Agreement(t.Context(), subject)
		c.Note, _, errs[2] = l.Note(t.Context(), note)
		must(t, errors.Join(errs[:]...))
		return c
	}
	want := read()

	setAll(0)
	if diff := cmp.Diff(want, read(), unequal); diff != "" {
		t.Errorf("without a version: %s", diff)
	}

	setAll(2)
	next := commitOf(received, esign.AgreementCompleted, *done.Agreement, 1)
	unclaimed := commitOf(claimOf(subject, "unclaimed"), esign.AgreementCompleted, *done.Agreement, 1)
	for name, call := range map[string]func(context.Context) error{
		"Claim":          func(ctx context.Context) error { _, err := l.Claim(ctx, received); return err },
		"Agreement":      func(ctx context.Context) error { _, _, err := l.Agreement(ctx, subject); return err },
		"Commit":         func(ctx context.Context) error { return l.Commit(ctx, next) },
		"Commit again":   func(ctx context.Context) error { return l.Commit(ctx, done) },
		"first Commit":   func(ctx context.Context) error { return l.Commit(ctx, unclaimed) },
		"Event":          func(ctx context.Context) error { _, err := l.Event(ctx, done.Key); return err },
		"MarkDuplicate":  func(ctx context.Context) error { return l.MarkDuplicate(ctx, received, "other") },
		"marked again":   func(ctx context.Context) error { return l.MarkDuplicate(ctx, done.Claim, "other") },
		"MarkUnreadable": func(ctx context.Context) error { return l.MarkUnreadable(ctx, received, start) },
		"History":        func(ctx context.Context) error { _, err := l.History(ctx, subject); return err },
		"Remains":        func(ctx context.Context) error { _, err := l.Remains(ctx, subject); return err },
		"Erase":          func(ctx context.Context) error { _, err := l.Erase(ctx, subject, nil); return err },
		"Drop":           func(ctx context.Context) error { return l.Drop(ctx, received.Key, start) },
		"Note":           func(ctx context.Context) error { _, _, err := l.Note(ctx, note); return err },
		"PutNote":        func(ctx context.Context) error { return l.PutNote(ctx, note, "other", 1) },
		"first PutNote":  func(ctx context.Context) error { return l.PutNote(ctx, note, "other", 0) },
		"Committed": func(ctx context.Context) error {
			return l.Committed(ctx, time.Time{}, start.AddDate(1, 0, 0), func([]ledger.Entry) error { return nil })
		},
	} {
		if err := call(t.Context()); !errors.Is(err, format.ErrNewer) {
			t.Errorf("%s of a newer record: %v, want %v", name, err, format.ErrNewer)
		}
	}
	if err := l.Repeated(t.Context(), received.Key, "v"); err != nil && !errors.Is(err, format.ErrNewer) {
		t.Error(err)
	}

	setAll(1)
	if diff := cmp.Diff(want, read(), unequal); diff != "" {
		t.Errorf("after the refusals: %s", diff)
	}
}
