package sim

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/esign"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/ledger"
)

var (
	networkFaults = []fault{failBefore, failAfter, hangBefore, hangAfter, throttle, late, killBefore, killAfter}
	readFaults    = []fault{failBefore, hangBefore, throttle, late, killBefore, killAfter}
)

// In all worlds: commits of several events, and those that were refused because one of them was processed already.
var together, split, corrected atomic.Int64

// table is the ledger, as the table behaves: conditional writes, a transaction, and a stream of what was written.
type table struct {
	w          *world
	items      map[ledger.Key]*ledger.Entry
	agreements map[string]versioned
	stale      map[string]versioned // what a read may still see
	streams    [2][]events.DynamoDBEventRecord
	grown      chan struct{} // closed and renewed when a stream grows
	expired    bool          // a claim has expired
	sequence   uint64
	notes      map[string]note
	references map[ledger.Reference]map[string]bool // the subjects of each
	throttled  time.Time                            // until then, each write is
}

type note struct {
	text    string
	version int64
}

type versioned struct {
	agreement esign.Agreement
	version   int64
}

var (
	_ ledger.Ledger    = (*table)(nil)
	_ ledger.Notes     = (*table)(nil)
	_ ledger.Patroller = (*table)(nil)
)

func newTable(w *world) *table {
	return &table{
		w: w, items: map[ledger.Key]*ledger.Entry{}, agreements: map[string]versioned{}, stale: map[string]versioned{},
		grown: make(chan struct{}), notes: map[string]note{}, references: map[ledger.Reference]map[string]bool{},
	}
}

// throttles reports whether the table refuses a write. Once it does, it goes on for longer than an invocation retries.
func (t *table) throttles() bool {
	if t.w.rate == 0 {
		return false
	}
	if t.w.choices.rarely(10 * t.w.rate) {
		t.throttled = time.Now().Add(time.Minute)
	}
	return time.Now().Before(t.throttled)
}

func (t *table) write(k ledger.Key, before ledger.State, e ledger.Entry) {
	t.items[k] = &e
	t.sequence++
	record, err := publish.Record(t.sequence, before, e)
	if err != nil {
		t.w.problem("stream: %v", err)
		return
	}
	if e.State != ledger.Processed { // which the mapping's filter leaves out
		return
	}
	shard := int(k.Subject[len(k.Subject)-1]) % len(t.streams)
	t.streams[shard] = append(t.streams[shard], record)
	close(t.grown)
	t.grown = make(chan struct{})
}

func (t *table) state(k ledger.Key) ledger.State {
	if e := t.items[k]; e != nil {
		return e.State
	}
	return ledger.New
}

func entryOf(c ledger.Claim) ledger.Entry {
	e := ledger.Entry{
		Key: c.Key, State: ledger.Received, Provider: c.Provider, VendorType: c.VendorType, AgreementID: c.AgreementID,
		OccurredAt: c.OccurredAt, ReceivedAt: c.ReceivedAt, Proof: c.Proof, SHA256: c.SHA256, Size: c.Size,
	}
	if c.Via != "" {
		e.Via = []string{c.Via}
	}
	return e
}

// Claim implements [ledger.Claimer].
func (t *table) Claim(ctx context.Context, c ledger.Claim) (found ledger.Found, err error) {
	err = t.w.do(ctx, "claim "+short(c.ID), networkFaults, func() error {
		found = ledger.Found{State: t.state(c.Key), Inexact: t.inexact(c.Key)}
		if found.State == ledger.New {
			t.write(c.Key, ledger.New, entryOf(c))
		} else {
			found.UnreadableAt = t.items[c.Key].UnreadableAt
		}
		return nil
	})
	return found, err
}

// inexact reports whether the exact time of a known event is not known.
func (t *table) inexact(k ledger.Key) bool {
	e := t.items[k]
	return e != nil && (e.State == ledger.Processed && e.Event.Approximate ||
		e.State != ledger.Processed && e.OccurredAt.IsZero())
}

// Repeated implements [ledger.Claimer].
func (t *table) Repeated(ctx context.Context, key ledger.Key, via string) error {
	return t.w.do(ctx, "count "+short(key.ID), networkFaults, func() error {
		if e := t.items[key]; e != nil {
			changed := *e
			changed.Duplicates++
			if via != "" && !slices.Contains(changed.Via, via) {
				changed.Via = append(slices.Clone(changed.Via), via)
			}
			t.write(key, e.State, changed)
		}
		return nil
	})
}

// Agreement implements [ledger.Ledger]. The read may come a moment too early.
func (t *table) Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64, err error) {
	err = t.w.do(ctx, "read "+subject, readFaults, func() error {
		seen := t.agreements[subject]
		if t.w.rate > 0 && t.w.choices.rarely(4*t.w.rate) {
			seen = t.stale[subject]
		}
		agreement, version = seen.agreement, seen.version
		return nil
	})
	return agreement, version, err
}

// Commit implements [ledger.Ledger].
func (t *table) Commit(ctx context.Context, effects ...ledger.Commit) error {
	name := "commit"
	for _, c := range effects {
		name += " " + short(c.ID) + " " + string(c.Event.Type)
	}
	first, last := effects[0], effects[len(effects)-1]
	err := t.w.do(ctx, name+" version "+strconv.FormatInt(last.Version+1, 10), networkFaults, func() error {
		t.examine(effects)
		if t.throttles() {
			return errThrottle
		}
		if last.Agreement != nil {
			t.index(first.Subject, first.Before, *last.Agreement, ledger.MaxIndexed, esign.MaxReferences)
		}
		if slices.ContainsFunc(effects, func(c ledger.Commit) bool { return t.state(c.Key).Settled() }) {
			if len(effects) > 1 {
				split.Add(1)
			}
			if slices.ContainsFunc(effects, func(c ledger.Commit) bool { return t.inexact(c.Key) }) {
				return ledger.ErrInexact
			}
			return ledger.ErrProcessed
		}
		if last.Agreement != nil {
			now := t.agreements[first.Subject]
			if now.version != first.Version {
				return ledger.ErrConflict
			}
			t.stale[first.Subject] = now
			t.agreements[first.Subject] = versioned{*last.Agreement, last.Version + 1}
			t.index(first.Subject, first.Before, *last.Agreement, 0, ledger.MaxIndexed)
		}
		for _, c := range effects {
			t.process(c)
		}
		if len(effects) > 1 {
			together.Add(1)
		}
		return nil
	})
	if err == errThrottle {
		return ledger.ErrConflict // as the driver says it
	}
	return err
}

// Correct implements [ledger.Ledger].
func (t *table) Correct(ctx context.Context, c ledger.Correction) error {
	err := t.w.do(ctx, "correct "+short(c.ID), networkFaults, func() error {
		if t.throttles() {
			return errThrottle
		}
		if t.state(c.Key) != ledger.Processed || !t.inexact(c.Key) {
			return ledger.ErrProcessed
		}
		now := t.agreements[c.Subject]
		if now.version != c.Version {
			return ledger.ErrConflict
		}
		t.stale[c.Subject] = now
		t.agreements[c.Subject] = versioned{c.Agreement, c.Version + 1}
		t.index(c.Subject, c.Before, c.Agreement, 0, esign.MaxReferences)
		e := *t.items[c.Key]
		e.OccurredAt, e.CorrectedAt, e.Event, e.Agreement = c.Event.OccurredAt, c.At, &c.Event, &c.After
		e.Proof, e.SHA256, e.Size = c.Proof, c.SHA256, c.Size
		corrected.Add(1)
		t.write(c.Key, ledger.Processed, e)
		return nil
	})
	if err == errThrottle {
		return ledger.ErrConflict // as the driver says it
	}
	return err
}

// History implements [ledger.Ledger].
func (t *table) History(ctx context.Context, subject string) (history []ledger.Entry, err error) {
	err = t.w.do(ctx, "history of "+subject, readFaults, func() error {
		history = nil
		for k, e := range t.items {
			if k.Subject == subject {
				history = append(history, *e)
			}
		}
		ledger.Sort(history)
		return nil
	})
	return history, err
}

// examine checks what a caller owes the ledger.
func (t *table) examine(effects []ledger.Commit) {
	for i, c := range effects {
		if c.Subject != effects[0].Subject || (c.Agreement == nil) != (effects[0].Agreement == nil) {
			t.w.problem("%s and %s are committed together", short(effects[0].ID), short(c.ID))
		}
		if slices.ContainsFunc(effects[:i], func(earlier ledger.Commit) bool { return earlier.ID == c.ID }) {
			t.w.problem("%s is committed together with itself", short(c.ID))
		}
		if i > 0 && !c.At.After(effects[i-1].At) {
			t.w.problem("%s does not come after the one before it", short(c.ID))
		}
		if c.Agreement != nil && c.Version != effects[0].Version+int64(i) {
			t.w.problem("%s has another version than that of the one before it", short(c.ID))
		}
	}
}

func (t *table) process(c ledger.Commit) {
	e, before := entryOf(c.Claim), t.state(c.Key)
	if known := t.items[c.Key]; known != nil {
		e.Duplicates, e.Via, e.ReceivedAt, e.UnreadableAt = known.Duplicates, known.Via, known.ReceivedAt, known.UnreadableAt
	}
	e.State, e.Type, e.VendorType = ledger.Processed, c.Event.Type, c.Event.VendorType
	e.AgreementID, e.OccurredAt, e.ProcessedAt = c.Event.AgreementID, c.Event.OccurredAt, c.At
	e.Event, e.Agreement, e.StatusBefore, e.StatusAfter = &c.Event, c.Agreement, c.StatusBefore, c.StatusAfter()
	t.write(c.Key, before, e)
}

// Event implements [ledger.Ledger].
func (t *table) Event(ctx context.Context, k ledger.Key) (e ledger.Entry, err error) {
	err = t.w.do(ctx, "look up "+short(k.ID), readFaults, func() error {
		e = ledger.Entry{Key: k}
		if known := t.items[k]; known != nil {
			e = *known
		}
		return nil
	})
	return e, err
}

// Forgotten implements [ledger.Ledger]. No operator forgets anything.
func (t *table) Forgotten(context.Context, string) (time.Time, error) { return time.Time{}, nil }

// Drop implements [ledger.Ledger].
func (t *table) Drop(context.Context, ledger.Key, time.Time) error { return nil }

// MarkDuplicate implements [ledger.Ledger].
func (t *table) MarkDuplicate(ctx context.Context, c ledger.Claim, of string) error {
	return t.mark(ctx, c, func(e *ledger.Entry) {
		if e.State, e.DuplicateOf = ledger.Duplicate, of; !c.OccurredAt.IsZero() {
			e.OccurredAt = c.OccurredAt
		}
	}, ledger.ErrProcessed)
}

// MarkUnreadable implements [ledger.Ledger].
func (t *table) MarkUnreadable(ctx context.Context, c ledger.Claim, at time.Time) error {
	return t.mark(ctx, c, func(e *ledger.Entry) { e.State, e.UnreadableAt = ledger.Unreadable, at }, nil)
}

// mark changes an event that is not settled. It returns the error if it is processed.
func (t *table) mark(ctx context.Context, c ledger.Claim, change func(*ledger.Entry), processed error) error {
	return t.w.do(ctx, "mark "+short(c.ID), networkFaults, func() error {
		if t.throttles() {
			return errThrottle
		}
		before := t.state(c.Key)
		if before == ledger.Processed {
			return processed
		}
		if before.Settled() {
			return nil
		}
		e := entryOf(c)
		if known := t.items[c.Key]; known != nil {
			e = *known
		}
		change(&e)
		t.write(c.Key, before, e)
		return nil
	})
}

// Note implements [ledger.Notes].
func (t *table) Note(ctx context.Context, name string) (text string, version int64, err error) {
	err = t.w.do(ctx, "note "+name, readFaults, func() error {
		text, version = t.notes[name].text, t.notes[name].version
		return nil
	})
	return text, version, err
}

// PutNote implements [ledger.Notes].
func (t *table) PutNote(ctx context.Context, name, text string, version int64) error {
	return t.w.do(ctx, "put note "+name, networkFaults, func() error {
		now := t.notes[name]
		if now == (note{text, version + 1}) {
			return nil
		}
		if now.version != version {
			return ledger.ErrConflict
		}
		t.notes[name] = note{text, version + 1}
		return nil
	})
}

// Patrol implements [ledger.Patroller], one item to a part. A place is the name of the last item before it.
func (t *table) Patrol(ctx context.Context, from string, visit func(ledger.Standing) error) (next string, err error) {
	type item struct {
		place    string
		standing ledger.Standing
	}
	var part []item
	err = t.w.do(ctx, "patrol", readFaults, func() error {
		var all []item
		for k, e := range t.items {
			if e.State != ledger.Received {
				continue
			}
			all = append(all, item{k.Subject + " " + k.ID, ledger.Standing{
				Provider: e.Provider, Subject: k.Subject, AgreementID: e.AgreementID, EventID: k.ID, Since: e.ReceivedAt,
			}})
		}
		for subject, a := range t.agreements {
			if a.agreement.Status.Terminal() {
				continue
			}
			all = append(all, item{subject + " @", ledger.Standing{
				Provider: a.agreement.Provider, Subject: subject, AgreementID: a.agreement.ID, Status: a.agreement.Status,
				Since: a.agreement.UpdatedAt,
			}})
		}
		slices.SortFunc(all, func(a, b item) int { return cmp.Compare(a.place, b.place) })
		all = slices.DeleteFunc(all, func(i item) bool { return i.place <= from })
		if part = all[:min(1, len(all))]; len(all) > 1 {
			next = part[0].place
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	for _, i := range part {
		if err := visit(i.standing); err != nil {
			return "", err
		}
	}
	return next, nil
}

// expire drops a claim that nobody has processed yet, as if its time were over.
func (t *table) expire() {
	for _, k := range t.keys() {
		if t.items[k].State == ledger.Received && t.w.choices.rarely(2) {
			t.w.note("%-34s expire %s", "table", short(k.ID))
			delete(t.items, k)
			t.expired = true
			return
		}
	}
}

func (t *table) keys() []ledger.Key {
	var keys []ledger.Key
	for k := range t.items {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b ledger.Key) int {
		return slices.Compare([]string{a.Subject, a.ID}, []string{b.Subject, b.ID})
	})
	return keys
}

func short(id string) string { return id[:min(8, len(id))] }
