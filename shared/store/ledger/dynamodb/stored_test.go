package dynamodb_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/stored"
	"esignhooks/shared/lab/tablemodel"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
)

// storedEvent is an event that an earlier version stored.
type storedEvent struct {
	Subject, ID                         string
	State                               ledger.State
	Provider                            string
	Type                                esign.Type
	VendorType, AgreementID             string
	OccurredAt, ReceivedAt, ProcessedAt time.Time
	Proof                               esign.Proof
	Duplicates                          int
	Via                                 []string
	SHA256                              string
	Size                                int
	Event                               *esign.Event
	Agreement                           *esign.Agreement
	StatusBefore, StatusAfter           esign.Status
}

type storedAgreement struct {
	Version   int64
	Agreement esign.Agreement
}

// storedItem reads an item in DynamoDB's JSON.
func storedItem(t *testing.T, b []byte) map[string]types.AttributeValue {
	t.Helper()
	var attributes map[string]struct {
		S, N *string
		B    []byte
		SS   []string
	}
	if err := json.Unmarshal(b, &attributes); err != nil {
		t.Fatal(err)
	}
	item := map[string]types.AttributeValue{}
	for name, v := range attributes {
		switch {
		case v.S != nil:
			item[name] = &types.AttributeValueMemberS{Value: *v.S}
		case v.N != nil:
			item[name] = &types.AttributeValueMemberN{Value: *v.N}
		case v.B != nil:
			item[name] = &types.AttributeValueMemberB{Value: v.B}
		default:
			item[name] = &types.AttributeValueMemberSS{Value: v.SS}
		}
	}
	return item
}

// fill puts items into a table.
func fill(t *testing.T, c *sdk.Client, items []json.RawMessage) {
	t.Helper()
	for _, item := range items {
		if _, err := c.PutItem(t.Context(),
			&sdk.PutItemInput{TableName: aws.String(table), Item: storedItem(t, item)}); err != nil {
			t.Fatal(err)
		}
	}
}

func storedEventOf(e ledger.Entry) storedEvent {
	return storedEvent{
		e.Subject, e.ID, e.State, e.Provider, e.Type, e.VendorType, e.AgreementID, e.OccurredAt, e.ReceivedAt,
		e.ProcessedAt, e.Proof, e.Duplicates, e.Via, e.SHA256, e.Size, e.Event, e.Agreement, e.StatusBefore, e.StatusAfter,
	}
}

// TestItemsOfVersion2 reads events whose content is packed, and takes none of them for new.
func TestItemsOfVersion2(t *testing.T) {
	c := tablemodel.New().Client()
	var items []json.RawMessage
	stored.V2(t, "items.json", &items)
	fill(t, c, items)
	var want []storedEvent
	stored.V2(t, "items.want.json", &want)
	l := dynamodb.New(c, table, 0)
	for _, w := range want {
		key := ledger.Key{Subject: w.Subject, ID: w.ID}
		e, err := l.Event(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, storedEventOf(e), cmpopts.EquateEmpty()); diff != "" {
			t.Error(diff)
		}
		claim := ledger.Claim{Key: key, Provider: w.Provider, ReceivedAt: w.ReceivedAt.Add(time.Hour)}
		found, err := l.Claim(t.Context(), claim)
		if wanted := (ledger.Found{State: ledger.Processed, Inexact: w.Event.Approximate}); err != nil || found != wanted {
			t.Errorf("claim found %+v, %v", found, err)
		}
		commit := ledger.Commit{Claim: claim, Event: *w.Event, At: claim.ReceivedAt}
		if err := l.Commit(t.Context(), commit); !errors.Is(err, ledger.ErrProcessed) {
			t.Errorf("committed twice: %v", err)
		}
		if err := l.Repeated(t.Context(), key, "another"); err != nil {
			t.Error(err)
		}
		if again, err := l.Event(t.Context(), key); err != nil || again.Duplicates != w.Duplicates+1 {
			t.Errorf("%d duplicates, %v", again.Duplicates, err)
		}
	}
	if len(want) < 15 {
		t.Errorf("%d events", len(want))
	}
}

// TestItemsOfVersion1 reads a table that version 1 wrote, then works on it.
func TestItemsOfVersion1(t *testing.T) {
	model := tablemodel.New()
	c := model.Client()
	var items []json.RawMessage
	stored.V1(t, "items.json", &items)
	fill(t, c, items)
	var want struct {
		Events     []storedEvent
		Agreements map[string]storedAgreement
	}
	stored.V1(t, "items.want.json", &want)
	l := dynamodb.New(c, table, 0)

	got, received := map[string][]storedEvent{}, 0
	for _, w := range want.Events {
		if w.State == ledger.Received {
			received++
		}
		if got[w.Subject] == nil {
			history, err := l.History(t.Context(), w.Subject)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range history {
				got[w.Subject] = append(got[w.Subject], storedEventOf(e))
			}
		}
	}
	wanted := map[string][]storedEvent{}
	for _, w := range want.Events {
		wanted[w.Subject] = append(wanted[w.Subject], w)
	}
	if diff := cmp.Diff(wanted, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
	if received < 2 || len(want.Agreements) < 4 {
		t.Errorf("the data holds %d received events and %d agreements", received, len(want.Agreements))
	}
	for subject, w := range want.Agreements {
		a, version, err := l.Agreement(t.Context(), subject)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(w, storedAgreement{version, a}, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", subject, diff)
		}
	}
	waiting := 0
	model.Replicate()
	if _, err := l.Patrol(t.Context(), "", func(s ledger.Standing) error {
		if s.EventID != "" {
			waiting++
		}
		return nil
	}); err != nil || waiting != received {
		t.Errorf("patrol found %d received events, %v; want %d", waiting, err, received)
	}
	for name, want := range map[string]int64{"acmesign/reconciled": 1, "acmesign/token": 2} {
		text, version, err := l.Note(t.Context(), name)
		if err != nil || text == "" || version != want {
			t.Errorf("%s: version %d, %v", name, version, err)
		}
		if err := l.PutNote(t.Context(), name, "next", version); err != nil {
			t.Error(err)
		}
	}
	for _, w := range want.Events {
		at := w.ReceivedAt.Add(time.Hour)
		claim := ledger.Claim{Key: ledger.Key{Subject: w.Subject, ID: w.ID}, Provider: w.Provider, ReceivedAt: at}
		if found, err := l.Claim(t.Context(), claim); err != nil || found.State != w.State {
			t.Errorf("claim found %+v, %v; want %q", found, err, w.State)
		}
		event := esign.Event{ID: w.ID, Provider: w.Provider, Subject: w.Subject, Type: esign.AgreementUpdated, OccurredAt: at}
		commit := ledger.Commit{Claim: claim, Event: event, At: at}
		if a, ok := want.Agreements[w.Subject]; ok {
			commit.Event.AgreementID, commit.Version = a.Agreement.ID, a.Version
			after := esign.Fold(a.Agreement, commit.Event)
			commit.Agreement, commit.StatusBefore = &after, a.Agreement.Status
		}
		if err := l.Commit(t.Context(), commit); (w.State == ledger.Processed) != errors.Is(err, ledger.ErrProcessed) {
			t.Errorf("%s: %v", w.State, err)
		}
	}
	for subject, a := range want.Agreements { // fold one more event into each
		event := esign.Event{ID: "next", Subject: subject, Type: esign.AgreementUpdated, AgreementID: a.Agreement.ID,
			OccurredAt: time.Now()}
		after := esign.Fold(a.Agreement, event)
		commit := ledger.Commit{
			Claim: ledger.Claim{Key: ledger.Key{Subject: subject, ID: "next"}}, Event: event, Agreement: &after,
			Version: a.Version,
			At:      time.Now(),
		}
		if err := l.Commit(t.Context(), commit); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
	}
}

// TestAPatrolReadsATrimmedAgreement finds when an agreement last changed, if only its JSON has it.
func TestAPatrolReadsATrimmedAgreement(t *testing.T) {
	model := tablemodel.New()
	l := dynamodb.New(model.Client(), table, 0)
	c := referring(esign.Agreement{}, 0, 0, time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC))
	c.Agreement.Provider = "acmesign"
	for n := 0; n < 900; n += 9 { // until it is trimmed, and no longer fits
		c.Agreement.SharedReference = strings.Repeat("x", n)
		if n > 0 {
			c.Version++
		}
		c.Key.ID = fmt.Sprint("event-", n)
		if err := l.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		model.Replicate()
		if _, err := l.Patrol(t.Context(), "", func(s ledger.Standing) error {
			want := ledger.Standing{Provider: "acmesign", Subject: "acmesign#a", AgreementID: "a", Status: c.Agreement.Status,
				Since: c.Agreement.UpdatedAt}
			if diff := cmp.Diff(want, s); diff != "" {
				t.Errorf("with %d bytes: %s", n, diff)
			}
			return nil
		}); err != nil || t.Failed() {
			t.Fatal(err)
		}
	}
}
