package operate_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/webhook"
)

var start = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

func open(t *testing.T) *embedded.Ledger {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	must(t, err)
	t.Cleanup(func() { db.Close() })
	l, err := embedded.New(groupcommit.New(db))
	must(t, err)
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// happening is an event of acmesign: what it says, and when.
type happening struct {
	agreement string
	id        string
	typ       esign.Type
	minute    time.Duration // after start, when it was committed; it has occurred an hour before
}

func (h happening) commit() ledger.Commit {
	at := start.Add(h.minute * time.Minute)
	claim := ledger.Claim{
		Key: ledger.Key{Subject: webhook.AgreementSubject("acmesign", h.agreement), ID: h.id}, Provider: "acmesign",
		VendorType:  "vendor-" + h.id,
		AgreementID: h.agreement, OccurredAt: at.Add(-time.Hour), ReceivedAt: at.Add(-time.Minute), Proof: esign.ProofSigned,
		Via:    "configuration/7",
		SHA256: "00ff" + h.id, Size: 17,
	}
	return ledger.Commit{At: at, Claim: claim, Event: esign.Event{
		ID: h.id, Provider: "acmesign", Type: h.typ, VendorType: claim.VendorType, Subject: claim.Subject,
		AgreementID: h.agreement,
		OccurredAt:  claim.OccurredAt, ReceivedAt: claim.ReceivedAt, Proof: claim.Proof, Participant: "signer-1",
	}}
}

// take commits an event as the worker does, after change has had its way with the commit.
func take(t *testing.T, l *embedded.Ledger, h happening, change func(*ledger.Commit)) {
	t.Helper()
	c := h.commit()
	before, version, err := l.Agreement(t.Context(), c.Subject)
	must(t, err)
	after := esign.Fold(before, c.Event)
	c.Agreement, c.StatusBefore, c.Version = &after, before.Status, version
	if change != nil {
		change(&c)
	}
	must(t, l.Commit(t.Context(), c))
}

func takeAll(t *testing.T, l *embedded.Ledger, all ...happening) {
	t.Helper()
	for _, h := range all {
		take(t, l, h, nil)
	}
}

var story = []happening{
	{"e-1", "a", esign.AgreementSent, 1}, {"e-1", "b", esign.AgreementCompleted, 2},
	{"e-1", "c", esign.AgreementViewed, 3},
}

// recorder is a bus that takes everything but what it refuses.
type recorder struct {
	events []bus.Event
	sizes  []int // of the batches
	refuse map[string]error
}

func (r *recorder) Publish(_ context.Context, events []bus.Event) []error {
	errs := make([]error, len(events))
	r.sizes = append(r.sizes, len(events))
	for i, e := range events {
		if errs[i] = r.refuse[e.Detail.EventID]; errs[i] == nil {
			r.events = append(r.events, e)
		}
	}
	return errs
}

func (r *recorder) ids() string {
	var ids []string
	for _, e := range r.events {
		ids = append(ids, e.Detail.EventID)
	}
	return strings.Join(ids, " ")
}

// do runs a command as people type it, and returns what it printed.
func do(t *testing.T, reader ledger.Reader, b bus.Bus, command string) (string, error) {
	t.Helper()
	return act(t, operate.Target{Ledger: reader, Bus: b}, command)
}

func act(t *testing.T, target operate.Target, command string) (string, error) {
	t.Helper()
	run, err := operate.Parse(strings.Fields(command))
	must(t, err)
	var out strings.Builder
	err = run.Act(t.Context(), &out, target)
	return out.String(), err
}

func TestAnAgreementIsFoundInAnyCase(t *testing.T) {
	l := open(t)
	takeAll(t, l, happening{"lower", "a", esign.AgreementSent, 1}, happening{"Mixed", "b", esign.AgreementSent, 1})
	for id, want := range map[string]string{"lower": "lower", "LOWER": "lower", "Mixed": "Mixed"} {
		r, err := operate.Find(t.Context(), l, "acmesign", id)
		if err != nil || r.Agreement.ID != want || len(r.History) != 1 {
			t.Errorf("%s: %+v, %v", id, r, err)
		}
	}
	for _, unknown := range [][2]string{{"acmesign", "mixed"}, {"other", "lower"}} {
		_, err := operate.Find(t.Context(), l, unknown[0], unknown[1])
		if !errors.Is(err, operate.ErrUnknown) || !strings.Contains(err.Error(), unknown[0]) ||
			!strings.Contains(err.Error(), unknown[1]) || !strings.Contains(err.Error(), "lower case") {
			t.Errorf("%v: %v", unknown, err)
		}
	}
}

func TestAnAgreementIsFoundBeforeAnythingIsProcessed(t *testing.T) {
	l := open(t)
	_, err := l.Claim(t.Context(), happening{"e-1", "a", esign.AgreementSent, 1}.commit().Claim)
	must(t, err)
	r, err := operate.Find(t.Context(), l, "acmesign", "e-1")
	if err != nil || r.Agreement.ID != "e-1" || r.Agreement.Provider != "acmesign" || len(r.History) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

// changing is a ledger in which an event is committed between the reading of the agreement and of its history.
type changing struct {
	*embedded.Ledger
	meanwhile func()
}

func (c *changing) History(ctx context.Context, subject string) ([]ledger.Entry, error) {
	if c.meanwhile != nil {
		c.meanwhile()
		c.meanwhile = nil
	}
	return c.Ledger.History(ctx, subject)
}

func TestAnAgreementThatChangesMeanwhileIsReadAgain(t *testing.T) {
	l := open(t)
	takeAll(t, l, story[0])
	c := &changing{l, func() { takeAll(t, l, story[1]) }}
	r, err := operate.Find(t.Context(), c, "acmesign", "e-1")
	if err != nil || r.Version != 2 || len(r.History) != 2 || r.Agreement.Status != esign.Completed {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestInspect(t *testing.T) {
	l := open(t)
	takeAll(t, l, story...)
	must(t, l.Repeated(t.Context(), ledger.Key{Subject: "acmesign#e-1", ID: "b"}, "configuration/8"))
	_, err := l.Claim(t.Context(), happening{"e-1", "d", esign.AgreementSigned, 4}.commit().Claim)
	must(t, err)
	take(t, l, happening{"e-1", "e", esign.AgreementDeclined, 5}, func(c *ledger.Commit) {
		c.Event.Approximate = true
		c.Event.VendorType = "vendor\x1b[2J\te\u202e"
	})
	got, err := do(t, l, nil, "inspect -provider acmesign -id E-1")
	must(t, err)
	const want = `agreement             acmesign e-1
status                completed
updated               2026-11-02 08:35:00
sent                  2026-11-02 08:31:00
viewed                2026-11-02 08:33:00
declined              2026-11-02 08:35:00
completed             2026-11-02 08:32:00
participant signer-1  2026-11-02 08:35:00 declined
conflict              events claim different final statuses; the highest one is kept

OCCURRED (UTC)        RECEIVED (UTC)       TYPE                 VENDOR'S NAME  STATE      STATUS            PROOF   DUPLICATES  VIA                              EVENT  SHA256
2026-11-02 08:31:00   2026-11-02 09:30:00  agreement.sent       vendor-a       processed  – → sent          signed  0           configuration/7                  a      00ffa
2026-11-02 08:32:00   2026-11-02 09:31:00  agreement.completed  vendor-b       processed  sent → completed  signed  1           configuration/7,configuration/8  b      00ffb
2026-11-02 08:33:00   2026-11-02 09:32:00  agreement.viewed     vendor-c       processed  =                 signed  0           configuration/7                  c      00ffc
2026-11-02 08:34:00   2026-11-02 09:33:00  –                    vendor-d       received   –                 signed  0           configuration/7                  d      00ffd
~2026-11-02 08:35:00  2026-11-02 09:34:00  agreement.declined   vendor?[2J?e?  processed  =                 signed  0           configuration/7                  e      00ffe
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestInspectFindsByReference(t *testing.T) {
	l := open(t)
	for agreement, references := range map[string]map[string]string{
		"e-1": {"deal_id": "123", "crm.url": "https://x.example/?a=b:c\x1b[2J"}, "e-2": {"deal_id": "123"},
		"e-3": {"deal_id": "1234"},
	} {
		take(t, l, happening{agreement, "a", esign.AgreementSent, 1}, func(c *ledger.Commit) {
			c.Event.References, c.Event.ReferencesLeftOut = references, 2
			after := esign.Fold(esign.Agreement{}, c.Event)
			c.Agreement = &after
		})
	}
	for command, want := range map[string]string{
		"inspect -reference deal_id:123": `PROVIDER  ID   STATUS  REFERENCES
acmesign  e-1  sent    crm.url:https://x.example/?a=b:c?[2J, deal_id:123
acmesign  e-2  sent    deal_id:123
`,
		"inspect -reference crm.url:https://x.example/?a=b:c\x1b[2J": "e-1",
		"inspect -provider acmesign -id e-1":                         "reference deal_id     123\n",
		"inspect -provider acmesign -id e-2":                         "references left out   2 of an event",
	} {
		if got, err := do(t, l, nil, command); err != nil || !strings.Contains(got, want) {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", command, err, got, want)
		}
	}
	for _, unknown := range []string{"deal_id:12", "deal_id:", "Deal_id:123", ":123", "deal:_id:123"} {
		if got, err := do(t, l, nil, "inspect -reference "+unknown); !errors.Is(err, operate.ErrUnknown) || got != "" {
			t.Errorf("%s: %q, %v", unknown, got, err)
		}
	}
}

func TestInspectShowsWhereTheDocumentsAre(t *testing.T) {
	l := open(t)
	takeAll(t, l, story...)
	take(t, l, happening{"e-1", "d", esign.AgreementArchived, 4}, func(c *ledger.Commit) {
		c.Event.Documents = []esign.Document{{Name: "document.pdf", Location: "s3://bucket/acmesign/e-1/document.pdf",
			SHA256: "00ff"}}
	})
	got, err := do(t, l, nil, "inspect -provider acmesign -id e-1")
	if want := "document document.pdf  s3://bucket/acmesign/e-1/document.pdf sha256 00ff\n"; err != nil ||
		!strings.Contains(got, want) {
		t.Errorf("%v: no %q in\n%s", err, want, got)
	}
}
