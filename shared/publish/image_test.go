package publish_test

import (
	"context"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
)

type image = map[string]events.DynamoDBAttributeValue

// table is a DynamoDB table and the stream of its changes.
type table struct {
	*dynamodb.Ledger
	client *sdk.Client
	before map[ledger.Key]image
}

func newTable(t *testing.T) *table {
	t.Helper()
	c := sdk.New(sdk.Options{
		BaseEndpoint: aws.String(enginetest.DynamoDB(t)), Region: "us-east-1",
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
		}),
	})
	const name = "events"
	enginetest.Table(t, c, name)
	return &table{dynamodb.New(c, name, 30*24*time.Hour), c, map[ledger.Key]image{}}
}

// record returns the record of the last change to an item.
func (tb *table) record(t *testing.T, key ledger.Key) events.DynamoDBEventRecord {
	t.Helper()
	out, err := tb.client.GetItem(t.Context(), &sdk.GetItemInput{
		TableName: aws.String("events"), ConsistentRead: aws.Bool(true), Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: key.Subject}, "sk": &types.AttributeValueMemberS{Value: key.ID},
		},
	})
	if err != nil || len(out.Item) == 0 {
		t.Fatalf("no item %v: %v", key, err)
	}
	now := image{}
	for name, v := range out.Item {
		now[name] = inStream(t, v)
	}
	defer func() { tb.before[key] = now }()
	return events.DynamoDBEventRecord{Change: events.DynamoDBStreamRecord{NewImage: now, OldImage: tb.before[key]}}
}

func inStream(t *testing.T, v types.AttributeValue) events.DynamoDBAttributeValue {
	t.Helper()
	switch v := v.(type) {
	case *types.AttributeValueMemberS:
		return events.NewStringAttribute(v.Value)
	case *types.AttributeValueMemberN:
		return events.NewNumberAttribute(v.Value)
	case *types.AttributeValueMemberSS:
		return events.NewStringSetAttribute(v.Value)
	case *types.AttributeValueMemberB:
		return events.NewBinaryAttribute(v.Value)
	}
	t.Fatalf("the driver writes %T", v)
	return events.DynamoDBAttributeValue{}
}

// wantCommitted checks that the record and the ledger agree on an event, and that localhost's record has no attribute
// that the item lacks.
func (tb *table) wantCommitted(t *testing.T, key ledger.Key) {
	t.Helper()
	record := tb.record(t, key)
	read, committed, err := publish.Committed(record)
	if err != nil || !committed {
		t.Fatalf("%v, %v", committed, err)
	}
	history, err := tb.History(t.Context(), key.Subject)
	if err != nil || len(history) != 1 {
		t.Fatalf("%+v, %v", history, err)
	}
	if diff := cmp.Diff(bus.EventOf(history[0]), bus.EventOf(read)); diff != "" {
		t.Error(diff)
	}
	for name := range recordOf(t, 1, ledger.New, history[0]).Change.NewImage {
		if _, ok := record.Change.NewImage[name]; !ok {
			t.Errorf("the item has no %s", name)
		}
	}
}

func (tb *table) wantNothing(t *testing.T, key ledger.Key) {
	t.Helper()
	if read, committed, err := publish.Committed(tb.record(t, key)); err != nil || committed {
		t.Errorf("%+v, %v", read, err)
	}
}

func TestTheDriversItemsAreRead(t *testing.T) {
	tb := newTable(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	e := entryOf("e1")
	claim := ledger.Claim{
		Key: e.Key, Provider: "acmesign", VendorType: "agreement-completed", AgreementID: "a", ReceivedAt: at,
		Proof: esign.ProofSigned, Via: "configuration/1", SHA256: "00ff", Size: 17,
	}
	_, err := tb.Claim(t.Context(), claim)
	must(err)
	tb.wantNothing(t, e.Key)
	must(tb.MarkUnreadable(t.Context(), claim, at))
	tb.wantNothing(t, e.Key)
	must(tb.Commit(t.Context(), ledger.Commit{Claim: claim, Event: *e.Event, Agreement: e.Agreement,
		StatusBefore: esign.Sent, At: at}))
	tb.wantCommitted(t, e.Key)
	tb.wantNothing(t, ledger.Key{Subject: e.Subject, ID: "@"})
	must(tb.Repeated(t.Context(), e.Key, "configuration/2"))
	tb.wantNothing(t, e.Key)

	claim.ID = "renamed"
	must(tb.MarkDuplicate(t.Context(), claim, e.ID))
	tb.wantNothing(t, claim.Key)

	claim.Key, claim.AgreementID = ledger.Key{Subject: "acmesign#template:t", ID: "e2"}, ""
	template := esign.Event{ID: "e2", Provider: "acmesign", Type: esign.TemplateCreated, Subject: claim.Subject,
		OccurredAt: at, Proof: esign.ProofSigned}
	must(tb.Commit(t.Context(), ledger.Commit{Claim: claim, Event: template, At: at}))
	tb.wantCommitted(t, claim.Key)
}
