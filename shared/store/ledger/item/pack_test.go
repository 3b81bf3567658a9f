package item

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// TestBytes counts as DynamoDB's documentation does.
func TestBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		item Item
		want int
	}{
		"a text in UTF-8":      {Item{"näme": S("añ")}, 5 + 3},
		"an empty text":        {Item{"a": S("")}, 1},
		"one digit":            {Item{"n": N(7)}, 1 + 2},
		"two digits":           {Item{"n": N(42)}, 1 + 2},
		"three digits":         {Item{"n": N(-123)}, 1 + 3},
		"bytes":                {Item{"b": {Kind: Binary, Text: "\x00\xff\xfe"}}, 1 + 3},
		"a set":                {Item{"s": {Kind: StringSet, Set: []string{"ab", "c"}}}, 1 + 3},
		"all attributes of it": {Item{"a": S("b"), "n": N(100)}, 2 + 1 + 3},
	} {
		if got := tt.item.Bytes(); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", name, got, tt.want)
		}
	}
}

// long returns an effect whose item takes more than one unit.
func long() ledger.Commit {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	c := ledger.Commit{At: at.Add(time.Second), StatusBefore: esign.Sent}
	c.Claim = ledger.Claim{Key: ledger.Key{Subject: "acmesign#a", ID: "e"}, Provider: "acmesign", VendorType: "SIGNED",
		AgreementID: "a", ReceivedAt: at, Proof: esign.ProofSigned, Via: "v", SHA256: "5a", Size: 2000}
	c.Event = esign.Event{ID: "e", Provider: "acmesign", Type: esign.AgreementSigned, VendorType: "SIGNED",
		Subject: "acmesign#a", AgreementID: "a", OccurredAt: at, ReceivedAt: at, Proof: esign.ProofSigned,
		Payload: &esign.Payload{SHA256: "5a"}}
	for i := range 20 {
		c.Event.Participants = append(c.Event.Participants, esign.Participant{ID: fmt.Sprint("person-", i), Status: "signed"})
	}
	after := esign.Fold(esign.Agreement{}, c.Event)
	c.Agreement = &after
	return c
}

// stored returns the item after an effect on this one.
func stored(t *testing.T, before Item, c ledger.Commit) Item {
	t.Helper()
	texts := [2]string{}
	for i, v := range []any{c.Event, c.Agreement} {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(b)
	}
	changed, kept, removed := OfEffect(c, texts[0], texts[1])
	return written(before, c.Key, changed, kept, removed)
}

func written(before Item, key ledger.Key, changed, kept Item, removed []string) Item {
	after := maps.Clone(kept)
	maps.Copy(after, before)
	maps.Copy(after, changed)
	maps.Copy(after, Key(key))
	for _, name := range removed {
		delete(after, name)
	}
	return after
}

func TestAnEventHasOneForm(t *testing.T) {
	big, small := long(), long()
	small.Event.Participants, small.Event.VendorType, small.VendorType = nil, "small", "small"
	folded := esign.Fold(esign.Agreement{}, small.Event)
	small.Agreement = &folded
	literal := long() // a text that looks like a reference to another one
	literal.Event.AgreementID, literal.Agreement.ID = same, same
	hashed := long()
	hashed.Subject, hashed.Event.Subject = "acmesign#5f", "acmesign#5f"
	nothing := long()
	nothing.Event.AgreementID, nothing.AgreementID, nothing.Agreement, nothing.StatusBefore = "", "", nil, ""
	traced := long()
	traced.Trace = "1-5759e988-bd862e3fe1be46a994272793"
	inexact := long()
	inexact.Event.Approximate = true
	for name, tt := range map[string]struct {
		commit ledger.Commit
		packed bool
	}{
		"long": {big, true}, "short": {small, false}, "with a text that is a mark": {literal, false},
		"with an ID that is hashed": {hashed, true}, "about no agreement": {nothing, true},
		"without its exact time": {inexact, true}, "of a trace": {traced, true},
	} {
		t.Run(name, func(t *testing.T) {
			for state, before := range map[string]Item{
				"new": nil, "claimed": OfClaim(tt.commit.Claim), "expired, packed": stored(t, nil, big), "expired, of a trace": stored(t, nil, traced),
				"expired, plain": stored(t, nil, small),
			} {
				i := stored(t, before, tt.commit)
				if i.isPacked() != tt.packed || i.isPacked() != (i[V].Text == "2") {
					t.Errorf("%s: version %s with %d bytes", state, i[V].Text, i.Bytes())
				}
				if _, both := i[Packed]; both && !tt.packed || tt.packed && i.Bytes() > Unit {
					t.Errorf("%s: %v", state, i)
				}
				if Inexact(i) != tt.commit.Event.Approximate {
					t.Errorf("%s: inexact is %v", state, Inexact(i))
				}
				e, err := ReadEvent(i)
				published, committed, errPublished := Committed(before, i)
				if strings.HasPrefix(state, "expired") {
					published, committed, errPublished = Committed(nil, i)
				}
				if err != nil || errPublished != nil || !committed {
					t.Fatalf("%s: %v, %v", state, err, errPublished)
				}
				c := tt.commit
				want := ledger.Entry{Key: c.Key, State: ledger.Processed, Provider: c.Provider, Type: c.Event.Type,
					VendorType: c.Event.VendorType, AgreementID: c.Event.AgreementID, OccurredAt: c.Event.OccurredAt,
					ReceivedAt: c.ReceivedAt, ProcessedAt: c.At, Proof: c.Proof, SHA256: c.SHA256, Size: c.Size,
					Via: []string{"v"}, Event: &c.Event, Agreement: c.Agreement, StatusBefore: c.StatusBefore,
					StatusAfter: c.StatusAfter()}
				if diff := cmp.Diff(want, e); diff != "" && c.Agreement != nil {
					t.Errorf("%s: %s", state, diff)
				}
				if diff := cmp.Diff([]any{c.Event, c.Agreement, c.Trace}, []any{*published.Event, published.Agreement, published.Trace}); diff != "" {
					t.Errorf("%s: published: %s", state, diff)
				}
			}
		})
	}
}

// TestACorrectionKeepsTheRest in either form, whatever the form was.
func TestACorrectionKeepsTheRest(t *testing.T) {
	for name, before := range map[string]func(*ledger.Commit){
		"packed": func(*ledger.Commit) {}, "plain": func(c *ledger.Commit) { c.Event.Participants = nil },
	} {
		for corrected, change := range map[string]func(*ledger.Correction){
			"packed": func(*ledger.Correction) {}, "plain": func(c *ledger.Correction) { c.Event.Participants = nil },
		} {
			c := long()
			c.Event.Approximate = true
			before(&c)
			after := esign.Fold(esign.Agreement{}, c.Event)
			c.Agreement = &after
			x := ledger.Correction{Claim: c.Claim, Event: c.Event, At: c.At.Add(time.Hour)}
			change(&x)
			x.Event.OccurredAt, x.Event.Approximate, x.SHA256 = c.Event.OccurredAt.Add(-time.Hour), false, "6b"
			x.After = esign.Fold(esign.Agreement{}, x.Event)
			event, _ := json.Marshal(x.Event)
			agreement, _ := json.Marshal(x.After)
			first := stored(t, OfClaim(c.Claim), c)
			changed, kept, removed := OfCorrection(x, string(event), string(agreement))
			i := written(first, c.Key, changed, kept, removed)
			want, err := ReadEvent(first)
			if err != nil {
				t.Fatal(err)
			}
			want.OccurredAt, want.CorrectedAt, want.SHA256 = x.Event.OccurredAt, x.At, "6b"
			want.Event, want.Agreement = &x.Event, &x.After
			got, err := ReadEvent(i)
			if diff := cmp.Diff(want, got); diff != "" || err != nil || Inexact(i) {
				t.Errorf("%s, then %s: %v, %s", name, corrected, err, diff)
			}
			if _, committed, err := Committed(first, i); committed || err != nil {
				t.Errorf("%s, then %s: published again, %v", name, corrected, err)
			}
		}
	}
}

// TestATrimmedAgreementIsPatrolled reads what was left out from the key and from the JSON.
func TestATrimmedAgreementIsPatrolled(t *testing.T) {
	c := long()
	c.Subject, c.Agreement.ID = "acmesign#agreement-0123456789", "agreement-0123456789"
	c.Agreement.Participants = nil
	for name, tt := range map[string]struct {
		status  esign.Status
		subject string
		over    int // bytes beyond one unit
		left    bool
	}{
		"fits":              {esign.Sent, c.Subject, 0, false},
		"fits without them": {esign.Sent, c.Subject, 86, true},
		"ended":             {esign.Completed, c.Subject, 86, true},
		"too long anyway":   {esign.Sent, c.Subject, 87, false},
		"under a hash":      {esign.Sent, "acmesign#5f", 30, true},
	} {
		c.Agreement.Status, c.Subject, c.Agreement.SharedReference = tt.status, tt.subject, ""
		text := func() string {
			b, err := json.Marshal(c.Agreement)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		c.Agreement.SharedReference = "x"
		c.Agreement.SharedReference += strings.Repeat("x", Unit-expiryBytes+tt.over-OfAgreement(c, text()).Bytes())
		i := OfAgreement(c, text())
		if left := i[UpdatedAt].Kind == None; left != tt.left || left && i.Bytes()+expiryBytes > Unit {
			t.Errorf("%s: %d bytes, left out: %v", name, i.Bytes(), left)
		}
		s := ReadStanding(i)
		if s.Provider != "acmesign" || s.AgreementID != c.Agreement.ID || s.Status != tt.status ||
			!s.Since.Equal(c.Agreement.UpdatedAt) && !tt.status.Terminal() {
			t.Errorf("%s: %+v", name, s)
		}
		if a, _, err := ReadAgreement(i); err != nil || cmp.Diff(*c.Agreement, a) != "" {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
	}
}

// FuzzUnpack reads anything without a panic and without an endless item, and quotes nothing of it.
func FuzzUnpack(f *testing.F) {
	f.Add([]byte(compress([]byte(`{"event":{"id":"="}}`))))
	f.Add([]byte(compress([]byte(strings.Repeat("secret", maxContent/3)))))
	f.Add([]byte("no DEFLATE"))
	f.Fuzz(func(t *testing.T, b []byte) {
		i := Key(ledger.Key{Subject: "acmesign#a", ID: "e"})
		i[V], i[Packed] = N(PackedVersion), Value{Kind: Binary, Text: string(b)}
		i[State] = S(string(ledger.Processed))
		if _, err := ReadEvent(i); err != nil && strings.Contains(err.Error(), "secret") {
			t.Error(err)
		}
		Committed(nil, i)
	})
}
