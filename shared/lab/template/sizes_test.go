package template

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/tablemodel"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/ledger/item"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// referring is a provider whose events carry so many references.
type referring struct {
	webhook.Provider
	references int
}

func (p referring) Normalize(d *webhook.Delivery) (esign.Event, error) {
	e, err := p.Provider.Normalize(d)
	e.References = map[string]string{}
	for i := range p.references {
		e.References[fmt.Sprintf("externalId%d", i)] = fmt.Sprintf("D-2026-%05d", i)
	}
	return e, err
}

// watched records what is committed.
type watched struct {
	*dynamodb.Ledger
	commits []ledger.Commit
}

func (w *watched) Commit(ctx context.Context, effects ...ledger.Commit) error {
	w.commits = append(w.commits, effects...)
	return w.Ledger.Commit(ctx, effects...)
}

// told is a story of two people who sign, in the table.
type told struct {
	events, agreement int // the largest item of an event, and that of the agreement at the end, in bytes
	packed            []map[string]types.AttributeValue
	units             int // write units of the worker, without those of references
	messages          int
}

// tell receives and processes the story, and expects that the ledger returns what was committed.
func tell(t *testing.T, vendor webhook.Provider, references int) (s told) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	book, err := story.Open(vendor)
	must(err)
	signers, err := book.Find("two-signers")
	must(err)
	agreement, err := book.Tell(signers, time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC), 1)
	must(err)
	p, model, now, subject := referring{vendor, references}, tablemodel.New(), time.Time{}, ""
	l := &watched{Ledger: dynamodb.New(model.Client(), "table", 400*24*time.Hour)}
	worker := &process.Processor{
		Providers: []webhook.Provider{p}, Ledger: l, Policy: esign.Policy{References: []string{"*"}},
		Now: func() time.Time { return now }, Log: slog.New(slog.DiscardHandler),
	}
	for _, m := range agreement.Messages {
		r, err := m.Request(0, 1)
		must(err)
		must(p.Sign(r, webhook.NewSecret("key"), m.At))
		ids, err := p.Identify(r)
		must(err)
		id := ids[0]
		subject, now = id.Subject, m.At.Add(2_345_678_912)
		d := &webhook.Delivery{
			Provider: p.Info().Name, EventID: id.EventID, Subject: subject, Via: id.Via, FormerIDs: id.FormerIDs,
			ReceivedAt: m.At.Add(1_234_567_891), Proof: esign.ProofSigned, ContentType: r.Header.Get("Content-Type"),
			Payload: r.Body, Trace: traced,
		}
		_, err = l.Claim(t.Context(), ledger.NewClaim(d, id.VendorType, id.AgreementID, id.OccurredAt))
		must(err)
		before := model.WriteUnits()
		message, _ := queue.Encode(d)
		_, err = worker.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{recordOf(message)}})
		must(err)
		s.units += model.WriteUnits() - before
	}
	s.messages = len(agreement.Messages)
	s.units -= 2 * references // each is indexed once
	history, err := l.History(t.Context(), subject)
	must(err)
	for _, c := range l.commits {
		i := slices.IndexFunc(history, func(e ledger.Entry) bool { return e.Key == c.Key })
		for _, pair := range [][2]any{{history[i].Event, c.Event}, {history[i].Agreement, c.Agreement},
			{history[i].SHA256, c.SHA256}, {history[i].Size, c.Size}, {history[i].OccurredAt, c.Event.OccurredAt},
			{history[i].VendorType, c.Event.VendorType}, {history[i].Provider, c.Provider}} {
			got, _ := json.Marshal(pair[0])
			want, _ := json.Marshal(pair[1])
			if string(got) != string(want) {
				t.Errorf("%s: stored as %s, committed as %s", c.Event.Type, got, want)
			}
		}
	}
	all, err := model.Client().Scan(t.Context(), &sdk.ScanInput{TableName: aws.String("table"),
		ConsistentRead: aws.Bool(true)})
	must(err)
	for _, stored := range all.Items {
		switch i := itemOf(stored); {
		case i[item.SK].Text == item.AgreementSK:
			s.agreement = i.Bytes()
		case i[item.State].Text != "":
			s.events = max(s.events, i.Bytes())
			s.packed = append(s.packed, stored)
		}
	}
	return s
}

// traced is the trace header of an invocation that X-Ray samples.
const traced = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"

func recordOf(m queue.Message) events.SQSMessage {
	record := events.SQSMessage{MessageId: "m", Body: m.Body, Attributes: map[string]string{"MessageGroupId": m.Group, "AWSTraceHeader": m.Trace},
		MessageAttributes: map[string]events.SQSMessageAttribute{}}
	for name, value := range m.Attributes {
		record.MessageAttributes[name] = events.SQSMessageAttribute{StringValue: &value, DataType: "String"}
	}
	return record
}

func itemOf(stored map[string]types.AttributeValue) item.Item {
	i := item.Item{}
	for name, v := range stored {
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			i[name] = item.S(v.Value)
		case *types.AttributeValueMemberN:
			i[name] = item.Value{Kind: item.Number, Text: v.Value}
		case *types.AttributeValueMemberB:
			i[name] = item.Value{Kind: item.Binary, Text: string(v.Value)}
		case *types.AttributeValueMemberSS:
			i[name] = item.Value{Kind: item.StringSet, Set: v.Value}
		}
	}
	return i
}

// earlier is the largest item of an event, and that of the agreement, before events were packed: with 0, 1 and 10
// references.
var earlier = map[string][2][3]int{
	"adobesign":   {{3192, 3318, 3840}, {1396, 1478, 1739}},
	"boldsign":    {{2195, 2321, 2843}, {966, 1048, 1309}},
	"docusign":    {{2416, 2542, 3064}, {1039, 1121, 1382}},
	"dropboxsign": {{2267, 2393, 2915}, {951, 1033, 1294}},
	"esignglobal": {{3285, 3411, 3933}, {1551, 1633, 1894}},
}

// TestAUsualEventFitsOneUnit for each vendor, and the page states the sizes. They differ by a few bytes, since the
// stories have random IDs.
func TestAUsualEventFitsOneUnit(t *testing.T) {
	page, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range provider.All() {
		info := p.Info()
		var cells [2][3]int
		for column, references := range []int{0, 1, 10} {
			s := tell(t, p, references)
			cells[0][column], cells[1][column] = s.events, s.agreement
			if s.events > item.Unit {
				t.Errorf("%s: with %d references an event has %d bytes", info.Name, references, s.events)
			}
		}
		for row, of := range []string{"event", "agreement"} {
			was := earlier[info.Name][row]
			begin := fmt.Sprintf("| %s, %s | %d, %d, %d | ", info.Title, of, was[0], was[1], was[2])
			t.Logf("%s%d, %d, %d |", begin, cells[row][0], cells[row][1], cells[row][2])
			_, rest, found := strings.Cut(string(page), "\n"+begin)
			var stated [3]int
			if _, err := fmt.Sscanf(rest, "%d, %d, %d |", &stated[0], &stated[1], &stated[2]); !found || err != nil {
				t.Errorf("performance.md has no row %q", begin)
			}
			for i, n := range cells[row] {
				if off := n - stated[i]; off > 30 || off < -30 {
					t.Errorf("performance.md: %s has %d bytes, not %d", begin, n, stated[i])
				}
			}
		}
	}
}
