package dynamodb_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/lab/tablemodel"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/ledger/ledgertest"
)

const table = "events"

// client starts DynamoDB Local with an empty table.
func client(t *testing.T) *sdk.Client {
	t.Helper()
	slow.Test(t)
	c := sdk.New(sdk.Options{BaseEndpoint: aws.String(enginetest.DynamoDB(t)), Region: "us-east-1", Credentials: anybody})
	enginetest.Table(t, c, table)
	return c
}

var anybody = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
})

// replicated is a ledger whose patrols, which need no consistent reads, see everything.
type replicated struct {
	*dynamodb.Ledger
	table *tablemodel.Table
}

func (r replicated) Patrol(ctx context.Context, from string, visit func(ledger.Standing) error) (string, error) {
	r.table.Replicate()
	return r.Ledger.Patrol(ctx, from, visit)
}

// TestLedger runs the suites on a model, which delays what it may delay, and on DynamoDB Local, which does not.
func TestLedger(t *testing.T) {
	t.Run("model", func(t *testing.T) {
		ledgertest.Run(t, func(*testing.T) ledgertest.Ledger {
			model := tablemodel.New()
			return replicated{dynamodb.New(model.Client(), table, 30*24*time.Hour), model}
		})
		testItems(t, tablemodel.New().Client())
	})
	t.Run("DynamoDB Local", func(t *testing.T) {
		c := client(t)
		for _, expiry := range []time.Duration{0, 30 * 24 * time.Hour} {
			t.Run(fmt.Sprint("expiry ", expiry), func(t *testing.T) {
				ledgertest.Run(t, func(*testing.T) ledgertest.Ledger { return dynamodb.New(c, table, expiry) })
			})
		}
		testItems(t, c)
	})
}

func testItems(t *testing.T, c *sdk.Client) {
	t.Run("versions", func(t *testing.T) { testVersions(t, c) })
	t.Run("an expired item that is still in the table counts as absent", func(t *testing.T) { testExpired(t, c) })
	t.Run("a batch too large for a partition is refused", func(t *testing.T) { testTooLarge(t, c) })
	t.Run("items hold no personal data and no payload", func(t *testing.T) { testAttributes(t, c) })
	t.Run("a note is outside of every provider's subjects and never expires", func(t *testing.T) { testNote(t, c) })
}

// TestItemsExpire checks that a write keeps its items for the time of expiry from then on, and no longer.
func TestItemsExpire(t *testing.T) {
	const years = 4 * 365 * 24 * time.Hour // TTL ignores an item that expired more than five years ago
	begin := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	claim := ledger.Claim{Key: ledger.Key{Subject: "acmesign#a", ID: "e"}, Provider: "acmesign", AgreementID: "a"}
	event := esign.Event{Type: esign.AgreementSent, AgreementID: "a", OccurredAt: begin, Approximate: true}
	after := esign.Fold(esign.Agreement{}, event)
	at := func(when time.Time) ledger.Claim {
		c := claim
		c.ReceivedAt = when
		return c
	}
	write := map[string]func(context.Context, *dynamodb.Ledger, time.Time) error{
		"claim": func(ctx context.Context, l *dynamodb.Ledger, when time.Time) error {
			_, err := l.Claim(ctx, at(when))
			return err
		},
		"repeated": func(ctx context.Context, l *dynamodb.Ledger, _ time.Time) error {
			return l.Repeated(ctx, claim.Key, "v")
		},
		"commit": func(ctx context.Context, l *dynamodb.Ledger, when time.Time) error {
			return l.Commit(ctx, ledger.Commit{Claim: claim, Event: event, Agreement: &after, At: when})
		},
		"correct": func(ctx context.Context, l *dynamodb.Ledger, when time.Time) error {
			exact := event
			exact.Approximate = false
			return l.Correct(ctx, ledger.Correction{Claim: claim, Event: exact, After: after, Agreement: after, Version: 1,
				At: when})
		},
		"duplicate": func(ctx context.Context, l *dynamodb.Ledger, when time.Time) error {
			return l.MarkDuplicate(ctx, at(when), "of")
		},
		"unreadable": func(ctx context.Context, l *dynamodb.Ledger, when time.Time) error {
			return l.MarkUnreadable(ctx, at(when), when)
		},
		"note": func(ctx context.Context, l *dynamodb.Ledger, _ time.Time) error {
			return l.PutNote(ctx, "n", "text", 0)
		},
	}
	// The last of these writes is made 30 minutes after the others.
	for writes, renews := range map[string]bool{
		"claim": true, "claim, repeated": false, "claim, commit": true, "commit": true, "commit, correct": true,
		"claim, duplicate": true, "duplicate": true, "claim, unreadable": true, "unreadable": true,
		"unreadable, commit": true, "note": false,
	} {
		for _, expiry := range []time.Duration{0, time.Hour, 24*time.Hour + time.Second} {
			model, when := tablemodel.New(), begin
			l, names := dynamodb.New(model.Client(), table, expiry), strings.Split(writes, ", ")
			for i, name := range names {
				if i == len(names)-1 {
					when = when.Add(30 * time.Minute)
				}
				if err := write[name](t.Context(), l, when); err != nil {
					t.Errorf("%s: %v", writes, err)
				}
			}
			end := begin.Add(expiry)
			if renews {
				end = when.Add(expiry)
			}
			for late, hold := range map[time.Duration]bool{0: true, 2 * time.Second: false, years: false} {
				model := model.Clone()
				model.Expire(end.Add(late))
				hold = hold || expiry == 0
				wantHolds(t, fmt.Sprintf("%s, expiry %v + %v", writes, expiry, late), model, map[ledger.Key]bool{
					claim.Key: hold && writes != "note", {Subject: "@n", ID: "@"}: writes == "note",
					{Subject: claim.Subject, ID: "@"}: hold && strings.Contains(writes, "commit"),
				})
			}
		}
	}
}

// TestADroppedEventExpiresAndATombstoneStays also if items expire: the event at once, the tombstone never.
func TestADroppedEventExpiresAndATombstoneStays(t *testing.T) {
	begin := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	claim := ledger.Claim{Key: ledger.Key{Subject: "acmesign#a", ID: "e"}, ReceivedAt: begin, Provider: "acmesign"}
	sum := sha256.Sum256([]byte(claim.Subject))
	tombstone := ledger.Key{Subject: "@forgotten#" + hex.EncodeToString(sum[:]), ID: "@"}
	for _, expiry := range []time.Duration{0, time.Hour} {
		model := tablemodel.New()
		l := dynamodb.New(model.Client(), table, expiry)
		_, err := l.Claim(t.Context(), claim)
		err = errors.Join(err, l.Bury(t.Context(), claim.Subject, begin), l.Drop(t.Context(), claim.Key, begin))
		if err != nil {
			t.Fatal(err)
		}
		for late, want := range map[time.Duration][2]bool{
			0: {true, true}, 2 * time.Second: {false, true}, time.Hour + 2*time.Second: {false, true},
		} {
			model := model.Clone()
			model.Expire(begin.Add(late))
			wantHolds(t, fmt.Sprintf("expiry %v + %v", expiry, late), model, map[ledger.Key]bool{
				claim.Key: want[0], tombstone: want[1],
			})
		}
	}
}

// referring returns an effect on an agreement that has n references afterwards.
func referring(before esign.Agreement, version int64, n int, at time.Time) ledger.Commit {
	c := ledger.Commit{
		Claim:  ledger.Claim{Key: ledger.Key{Subject: "acmesign#a", ID: fmt.Sprint(version)}, Provider: "acmesign"},
		Event:  esign.Event{Type: esign.AgreementSent, AgreementID: "a", OccurredAt: at, References: map[string]string{}},
		Before: before, Version: version, At: at,
	}
	for i := range n {
		c.Event.References[fmt.Sprint("name-", i)] = "value"
	}
	after := esign.Fold(before, c.Event)
	c.Agreement = &after
	return c
}

// TestAReferenceExpiresSoonAfterItsAgreement commits events at many distances. Some are reported late, and some have
// the time of a clock that is ahead.
func TestAReferenceExpiresSoonAfterItsAgreement(t *testing.T) {
	const expiry, days = 30 * 24 * time.Hour, 24 * time.Hour
	model, begin := tablemodel.New(), time.Date(2026, 11, 2, 12, 0, 0, 0, time.UTC)
	l := dynamodb.New(model.Client(), table, expiry)
	key := ledger.Key{Subject: "@reference#" + ledger.Reference{Name: "name-0", Value: "value"}.Hash(), ID: "acmesign#a"}
	before, at := esign.Agreement{}, begin
	for i, pause := range []time.Duration{0, time.Minute, 35 * time.Hour, time.Hour, 23 * time.Hour, 20 * days, 0,
		time.Hour, 29 * days, time.Second, 3 * days, 25 * days, 13 * time.Hour, 13 * time.Hour} {
		at = at.Add(pause)
		says := 0
		if i == 0 {
			says = 1
		}
		c := referring(before, int64(i), says, at.Add([]time.Duration{0, 20 * time.Hour, -12 * time.Hour}[i%3]))
		c.At = at
		if err := l.Commit(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		before = *c.Agreement
		for late, hold := range map[time.Duration]bool{0: true, 2*days + 2*time.Second: false} {
			model := model.Clone()
			model.Expire(at.Add(expiry + late))
			wantHolds(t, fmt.Sprintf("event %d + %v", i, late), model, map[ledger.Key]bool{key: hold})
		}
	}
}

// TestAReferenceCosts two write units when it is new, and nothing afterwards, or once a day if items expire.
func TestAReferenceCosts(t *testing.T) {
	begin := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	for _, expiry := range []time.Duration{0, 30 * 24 * time.Hour} {
		for _, n := range []int{0, 1, 10, esign.MaxReferences} {
			model := tablemodel.New()
			l := dynamodb.New(model.Client(), table, expiry)
			cost := func(c ledger.Commit) int {
				t.Helper()
				indexed := c
				indexed.Before, indexed.Key.ID, indexed.Version = *c.Agreement, "indexed", 0
				reference := tablemodel.New()
				without, before := dynamodb.New(reference.Client(), table, 0), model.WriteUnits()
				if err := errors.Join(l.Commit(t.Context(), c), without.Commit(t.Context(), indexed)); err != nil {
					t.Fatal(err)
				}
				return model.WriteUnits() - before - reference.WriteUnits()
			}
			first := referring(esign.Agreement{}, 0, n, begin)
			second := referring(*first.Agreement, 1, n, begin.Add(time.Hour))
			nextDay := referring(*second.Agreement, 2, n, begin.Add(24*time.Hour))
			renewed := 0
			if expiry > 0 {
				renewed = 2 * n
			}
			for i, tt := range []struct{ got, want int }{{cost(first), 2 * n}, {cost(second), 0}, {cost(nextDay), renewed}} {
				if tt.got != tt.want {
					t.Errorf("event %d with %d references, expiry %v: %d write units, want %d", i, n, expiry, tt.got, tt.want)
				}
			}
		}
	}
}

// TestAPartIsBounded checks that few enough items are read to put all their IDs into a note.
func TestAPartIsBounded(t *testing.T) {
	var scan struct{ Limit int }
	c := sdk.New(sdk.Options{BaseEndpoint: aws.String("http://table"), Region: "us-east-1", Credentials: anybody,
		RetryMaxAttempts: 1, HTTPClient: smithyhttp.ClientDoFunc(func(r *http.Request) (*http.Response, error) {
			return nil, errors.Join(errors.New("not answered"), json.NewDecoder(r.Body).Decode(&scan))
		})})
	if _, err := dynamodb.New(c, table, 0).Patrol(t.Context(), "", nil); err == nil || scan.Limit != ledger.MaxPart {
		t.Errorf("a part has up to %d items, %v", scan.Limit, err)
	}
}

func wantHolds(t *testing.T, when string, model *tablemodel.Table, want map[ledger.Key]bool) {
	t.Helper()
	for key, hold := range want {
		if model.Holds(key.Subject, key.ID) != hold {
			t.Errorf("%s: the table holds %v: %v, want %v", when, key, !hold, hold)
		}
	}
}

func testVersions(t *testing.T, c *sdk.Client) {
	setVersion := func(t *testing.T, key ledger.Key, version int) {
		t.Helper()
		input := sdk.UpdateItemInput{
			TableName: aws.String(table), UpdateExpression: aws.String("REMOVE v"),
			Key: map[string]types.AttributeValue{
				"pk": &types.AttributeValueMemberS{Value: key.Subject}, "sk": &types.AttributeValueMemberS{Value: key.ID},
			},
		}
		if version > 0 {
			input.UpdateExpression = aws.String("SET v = :v")
			input.ExpressionAttributeValues = map[string]types.AttributeValue{
				":v": &types.AttributeValueMemberN{Value: fmt.Sprint(version)},
			}
		}
		if _, err := c.UpdateItem(t.Context(), &input); err != nil {
			t.Fatal(err)
		}
	}
	ledgertest.Versions(t, dynamodb.New(c, table, 0), setVersion)
	ledgertest.References(t, dynamodb.New(c, table, 0), setVersion)
}

func testExpired(t *testing.T, c *sdk.Client) {
	l := dynamodb.New(c, table, time.Hour)
	now := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	claim := ledger.Claim{
		Key: ledger.Key{Subject: "acmesign#expired", ID: "a"}, Provider: "acmesign", AgreementID: "expired", ReceivedAt: now,
	}
	event := esign.Event{Type: esign.AgreementSent, AgreementID: "expired", OccurredAt: now}
	after := esign.Fold(esign.Agreement{}, event)
	commit := ledger.Commit{Claim: claim, Event: event, Agreement: &after, At: now}
	for i, when := range []time.Duration{0, 2 * time.Hour, 4 * time.Hour} {
		claim.ReceivedAt, commit.At = now.Add(when), now.Add(when)
		if i < 2 { // the third time the store was out of reach for the claim
			if found, err := l.Claim(t.Context(), claim); err != nil || found.State != ledger.New {
				t.Errorf("claimed after %v: %+v, %v", when, found, err)
			}
		}
		if err := l.Commit(t.Context(), commit); err != nil {
			t.Errorf("committed after %v: %v", when, err)
		}
	}
	claim.ReceivedAt = now.Add(4*time.Hour + time.Minute)
	if found, err := l.Claim(t.Context(), claim); err != nil || found.State != ledger.Processed {
		t.Errorf("claimed before expiry: %+v, %v", found, err)
	}
}

func testTooLarge(t *testing.T, c *sdk.Client) {
	l := dynamodb.New(c, table, 0)
	for participants, tooLarge := range map[int]bool{25: false, esign.MaxParticipants: true} {
		var effects []ledger.Commit
		for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
			event := esign.Event{Type: esign.AgreementUpdated, AgreementID: "large", OccurredAt: time.Now()}
			for i := range participants {
				event.Participants = append(event.Participants,
					esign.Participant{ID: fmt.Sprintf("sha256:%064d", i), Status: esign.Cancelled})
			}
			after := esign.Fold(esign.Agreement{}, event)
			effects = append(effects, ledger.Commit{
				Claim: ledger.Claim{Key: ledger.Key{Subject: fmt.Sprint("acmesign#large", participants), ID: id}},
				Event: event, Agreement: &after, Version: int64(len(effects)), At: time.Now(),
			})
		}
		err := l.Commit(t.Context(), effects...)
		refused := err != nil && strings.Contains(err.Error(), "too large together")
		if refused != tooLarge || !refused && err != nil {
			t.Errorf("%d participants: %v", participants, err)
		}
	}
	event := esign.Event{Type: esign.Other, Attributes: map[string]string{"large": strings.Repeat("x", 300<<10)}}
	if err := l.Commit(t.Context(),
		ledger.Commit{Claim: ledger.Claim{Key: ledger.Key{Subject: "acmesign#large", ID: "a"}}, Event: event}); err != nil {
		t.Errorf("larger, and by itself: %v", err)
	}
}

func testAttributes(t *testing.T, c *sdk.Client) {
	l := dynamodb.New(c, table, 0)
	claim := ledger.Claim{
		Key: ledger.Key{Subject: "acmesign#attributes", ID: "a"}, Provider: "acmesign", VendorType: "agreement-sent",
		AgreementID: "attributes", ReceivedAt: time.Now(), Via: "v", SHA256: "00", Size: 1, Proof: esign.ProofSigned,
	}
	event := esign.Event{Type: esign.AgreementSent, AgreementID: "attributes", OccurredAt: time.Now()}
	after := esign.Fold(esign.Agreement{}, event)
	if err := l.Commit(t.Context(),
		ledger.Commit{Claim: claim, Event: event, Agreement: &after, At: time.Now()}); err != nil {
		t.Fatal(err)
	}
	out, err := c.Query(t.Context(), &sdk.QueryInput{
		ConsistentRead: aws.Bool(true), TableName: aws.String(table), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: claim.Subject}},
	})
	if err != nil {
		t.Fatal(err)
	}
	known := " pk sk v state type vendorType provider agreementId occurredAt receivedAt processedAt proof sha256 size " +
		"via event agreement statusBefore statusAfter status updatedAt version "
	for _, item := range out.Items {
		for name := range item {
			if !strings.Contains(known, fmt.Sprintf(" %s ", name)) {
				t.Errorf("attribute %s: does it hold personal data?", name)
			}
		}
	}
	if len(out.Items) != 2 {
		t.Errorf("%d items", len(out.Items))
	}
}

func testNote(t *testing.T, c *sdk.Client) {
	l := dynamodb.New(c, table, time.Hour)
	for version, text := range []string{"first", "second"} {
		if err := l.PutNote(t.Context(), "acmesign/changed", text, int64(version)); err != nil {
			t.Fatal(err)
		}
	}
	out, err := c.GetItem(t.Context(),
		&sdk.GetItemInput{ConsistentRead: aws.Bool(true), TableName: aws.String(table), Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: "@acmesign/changed"}, "sk": &types.AttributeValueMemberS{Value: "@"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"pk", "sk", "text", "v", "version"}
	if got := slices.Sorted(maps.Keys(out.Item)); !slices.Equal(got, want) {
		t.Errorf("the item has %v, want %v", got, want)
	}
}
