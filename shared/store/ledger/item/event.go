package item

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// OfClaim returns the event of a claim, without its state.
func OfClaim(c ledger.Claim) Item {
	i := Key(c.Key)
	i[V] = N(Version)
	i[Provider] = S(c.Provider)
	i[VendorType] = S(c.VendorType)
	i[AgreementID] = S(c.AgreementID)
	i[ReceivedAt] = Instant(c.ReceivedAt)
	i[Proof] = S(string(c.Proof))
	i[SHA256] = S(c.SHA256)
	i[Size] = N(int64(c.Size))
	if !c.OccurredAt.IsZero() {
		i[OccurredAt] = Instant(c.OccurredAt)
	}
	if c.Via != "" {
		i[Via] = Value{Kind: StringSet, Set: []string{c.Via}}
	}
	return i
}

// OfEffect returns the attributes that a commit writes to its event, without the key. Event and agreement are JSON. A
// commit overwrites those in changed. It writes those in kept only if the claim has not, since they describe the first
// copy. It removes those in removed, which the claim or an expired event has left.
func OfEffect(c ledger.Commit, event, agreement string) (changed, kept Item, removed []string) {
	plain := Item{
		V:           N(Version),
		State:       S(string(ledger.Processed)),
		Type:        S(string(c.Event.Type)),
		VendorType:  S(c.Event.VendorType),
		AgreementID: S(c.Event.AgreementID),
		OccurredAt:  Instant(c.Event.OccurredAt),
		ProcessedAt: Instant(c.At),
		Proof:       S(string(c.Proof)),
		SHA256:      S(c.SHA256),
		Size:        N(int64(c.Size)),
		Event:       S(event),
	}
	if c.Agreement != nil {
		plain[Agreement] = S(agreement)
		plain[StatusBefore] = S(string(c.StatusBefore))
		plain[StatusAfter] = S(string(c.StatusAfter()))
	}
	if c.Trace != "" {
		plain[Trace] = S(c.Trace)
	}
	kept = Item{Provider: S(c.Provider), ReceivedAt: Instant(c.ReceivedAt)}
	if c.Via != "" {
		kept[Via] = Value{Kind: StringSet, Set: []string{c.Via}}
	}
	changed, removed = fitted(c.Key, plain, kept, content{c.Event, c.Agreement, c.SHA256, c.Size})
	if c.Trace == "" {
		removed = append(removed, Trace)
	}
	for _, name := range removed {
		delete(kept, name)
	}
	return changed, kept, removed
}

// OfCorrection returns the attributes that a correction writes to its event, without the key, as [OfEffect] does. Event
// and agreement are JSON.
func OfCorrection(c ledger.Correction, event, agreement string) (changed, kept Item, removed []string) {
	kept = Item{Provider: S(c.Event.Provider), VendorType: S(c.Event.VendorType), AgreementID: S(c.Event.AgreementID)}
	changed, removed = fitted(c.Key, Item{
		V:           N(Version),
		OccurredAt:  Instant(c.Event.OccurredAt),
		CorrectedAt: Instant(c.At),
		Proof:       S(string(c.Proof)),
		SHA256:      S(c.SHA256),
		Size:        N(int64(c.Size)),
		Event:       S(event),
		Agreement:   S(agreement),
	}, kept, content{c.Event, &c.After, c.SHA256, c.Size})
	for _, name := range removed {
		delete(kept, name)
	}
	return changed, kept, removed
}

// InexactMark is a part of the JSON of every event without its exact time, and of no other event.
const InexactMark = `"occurredAtApproximate":true`

// Inexact reports whether the exact time of an event is not known.
func Inexact(i Item) bool {
	if StateOf(i) == ledger.Processed {
		return strings.Contains(i.string(Event), InexactMark)
	}
	return i.string(OccurredAt) == ""
}

// OfUnreadable returns the attributes that mark an event as unreadable.
func OfUnreadable(at time.Time) Item {
	return Item{State: S(string(ledger.Unreadable)), UnreadableAt: Instant(at)}
}

// FoundIn returns what a claim has found.
func FoundIn(i Item) ledger.Found {
	at, _ := time.Parse(time.RFC3339Nano, i.string(UnreadableAt)) // zero if absent
	return ledger.Found{State: StateOf(i), Inexact: Inexact(i), UnreadableAt: at}
}

// StateOf returns the state of an event.
func StateOf(i Item) ledger.State { return ledger.State(i.string(State)) }

// ReadEvent reads an event.
func ReadEvent(i Item) (ledger.Entry, error) {
	i, unreadable := i.unpack()
	e := ledger.Entry{
		Key:          KeyOf(i),
		State:        StateOf(i),
		Provider:     i.string(Provider),
		Type:         esign.Type(i.string(Type)),
		VendorType:   i.string(VendorType),
		AgreementID:  i.string(AgreementID),
		Proof:        esign.Proof(i.string(Proof)),
		SHA256:       i.string(SHA256),
		DuplicateOf:  i.string(DuplicateOf),
		Via:          i.set(Via),
		StatusBefore: esign.Status(i.string(StatusBefore)),
		StatusAfter:  esign.Status(i.string(StatusAfter)),
	}
	if unreadable == nil {
		unreadable = i.CheckVersion()
	}
	if unreadable != nil {
		return e, unreadable
	}
	for name, n := range map[string]*int{Duplicates: &e.Duplicates, Size: &e.Size} {
		value, err := i.number(name)
		if err != nil {
			return e, fmt.Errorf("%s: %w", name, err)
		}
		*n = int(value)
	}
	times := map[string]*time.Time{
		OccurredAt: &e.OccurredAt, ReceivedAt: &e.ReceivedAt, ProcessedAt: &e.ProcessedAt, CorrectedAt: &e.CorrectedAt,
		UnreadableAt: &e.UnreadableAt,
	}
	for name, t := range times {
		if s := i.string(name); s != "" {
			var err error
			if *t, err = time.Parse(time.RFC3339Nano, s); err != nil {
				return e, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for name, v := range map[string]any{Event: &e.Event, Agreement: &e.Agreement} {
		if s := i.string(name); s != "" {
			if err := json.Unmarshal([]byte(s), v); err != nil {
				return e, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return e, nil
}

// Committed reads a change of an item, as the table's stream shows it. It reports whether the change committed an
// event: the event is processed, and was not before, or by another commit. Counting a duplicate and a correction
// change a processed event and commit nothing. An expired item that is not yet deleted can be committed once more.
//
// The entry has what an event on the bus needs. Errors quote nothing of the item. An event must be of the provider in
// its key, because a receiver may only write items of its own provider.
func Committed(before, after Item) (e ledger.Entry, committed bool, err error) {
	if !after.isEvent() {
		return e, false, nil
	}
	if err := after.CheckVersion(); err != nil {
		return e, true, err
	}
	if StateOf(after) != ledger.Processed {
		return e, false, nil
	}
	if StateOf(before) == ledger.Processed && before.string(ProcessedAt) == after.string(ProcessedAt) {
		return e, false, nil
	}
	if after, err = after.unpack(); err != nil {
		return e, true, err
	}
	e, err = readCommitted(after)
	return e, true, err
}

func readCommitted(i Item) (ledger.Entry, error) {
	e := ledger.Entry{
		Key:          KeyOf(i),
		State:        StateOf(i),
		StatusBefore: esign.Status(i.string(StatusBefore)),
		StatusAfter:  esign.Status(i.string(StatusAfter)),
		Trace:        i.string(Trace),
	}
	var err error
	if e.ProcessedAt, err = time.Parse(time.RFC3339Nano, i.string(ProcessedAt)); err != nil {
		return e, errors.New("processedAt is not a time")
	}
	if err := json.Unmarshal([]byte(i.string(Event)), &e.Event); err != nil || e.Event == nil || e.Event.ID != e.ID ||
		e.Event.Provider == "" || !strings.HasPrefix(e.Subject, e.Event.Provider+"#") || e.Event.Type == "" {
		return e, errors.New("event does not match the key")
	}
	if s := i.string(Agreement); s != "" {
		if err := json.Unmarshal([]byte(s), &e.Agreement); err != nil {
			return e, errors.New("agreement cannot be read")
		}
	}
	return e, nil
}

// Change returns the item of a processed event before and after a change, for a stream that is not DynamoDB's. It has
// what [Committed] reads. The item before the change is nil for a new event.
func Change(stateBefore ledger.State, e ledger.Entry) (before, after Item, err error) {
	after = Key(e.Key)
	after[V] = N(Version)
	after[State] = S(string(e.State))
	after[ProcessedAt] = Instant(e.ProcessedAt)
	objects := map[string]any{Event: e.Event}
	if e.Agreement != nil {
		objects[Agreement] = e.Agreement
		after[StatusBefore] = S(string(e.StatusBefore))
		after[StatusAfter] = S(string(e.StatusAfter))
	}
	for name, v := range objects {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		after[name] = S(string(b))
	}
	if stateBefore == ledger.New {
		return nil, after, nil
	}
	before = Key(e.Key)
	before[State] = S(string(stateBefore))
	if stateBefore == ledger.Processed {
		before[ProcessedAt] = after[ProcessedAt]
	}
	return before, after, nil
}
