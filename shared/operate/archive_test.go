package operate_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// jobs are what the archiver gets.
type jobs struct {
	events []bus.Event
	err    error
}

func (j *jobs) add(_ context.Context, e bus.Event) error {
	j.events = append(j.events, e)
	return j.err
}

func TestArchiveUsesTheLastKnownCompletion(t *testing.T) {
	l, j, v := open(t), &jobs{}, &vendor{err: errors.New("asked in vain")}
	takeAll(t, l, append(story, happening{"e-1", "d", esign.AgreementCompleted, 4},
		happening{"e-1", "e", esign.AgreementUpdated, 5})...)
	target := v.target()
	target.Ledger, target.Archive = l, j.add
	out, err := act(t, target, "archive -provider acmesign -id E-1")
	if err != nil || !strings.Contains(out, "acmesign e-1 is queued for the archiver") || len(j.events) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	e := j.events[0]
	if e.DetailType != "agreement.completed" || e.Source != "esign.acmesign" || e.Detail.EventID != "d" ||
		!e.Detail.Replay || e.Detail.Proof != esign.ProofSigned || e.Detail.Agreement == nil {
		t.Errorf("%+v", e)
	}
}

func TestArchiveAsksTheVendorWhereNoCompletionIsKnown(t *testing.T) {
	for name, known := range map[string][]happening{
		"an unknown agreement": nil,
		"it was sent":          {{"e-1", "a", esign.AgreementSent, 1}},
		"it was never claimed": {{"e-2", "a", esign.AgreementCompleted, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			l, j := open(t), &jobs{}
			takeAll(t, l, known...)
			_, err := l.Claim(t.Context(), happening{"e-1", "claimed", esign.AgreementCompleted, 6}.commit().Claim)
			must(t, err)
			v := &vendor{agreement: vendorapi.Agreement{ID: "e-1", Status: esign.Completed, VendorStatus: "Done",
				ChangedAt: start.Add(-time.Hour)}}
			target := v.target()
			target.Ledger, target.Archive = l, j.add
			out, err := act(t, target, "archive -provider acmesign -id E-1")
			if err != nil || !strings.Contains(out, "acmesign e-1 is queued for the archiver") || len(j.events) != 1 {
				t.Fatalf("%v: %s", err, out)
			}
			e := j.events[0]
			if e.DetailType != "agreement.completed" || e.Source != "esign.acmesign" || len(e.Detail.EventID) != 64 ||
				!e.Detail.Replay || !e.Time.Equal(start) ||
				e.Detail.Proof != esign.ProofConfirmed || e.Detail.StatusAfter != esign.Completed {
				t.Errorf("%+v", e)
			}
			if d := e.Detail.Event; d.Provider != "acmesign" || d.AgreementID != "e-1" ||
				d.Subject != webhook.AgreementSubject("acmesign", "e-1") ||
				d.ID != e.Detail.EventID || !d.OccurredAt.Equal(start.Add(-time.Hour)) || !d.ReceivedAt.Equal(start) ||
				d.Proof != esign.ProofConfirmed {
				t.Errorf("%+v", d)
			}
		})
	}
}

// unreadableLedger fails.
type unreadableLedger struct {
	ledger.Reader
	err error
}

func (l unreadableLedger) Agreement(context.Context, string) (esign.Agreement, int64, error) {
	return esign.Agreement{}, 0, l.err
}

func TestArchiveReportsErrors(t *testing.T) {
	broken := errors.New("broken")
	sent := vendorapi.Agreement{ID: "e-1", Status: esign.Sent, VendorStatus: "Out\x1b"}
	completed := vendorapi.Agreement{ID: "e-1", Status: esign.Completed}
	for name, tt := range map[string]struct {
		vendor vendor
		change func(*operate.Target)
		want   error
		said   string
		jobs   int // that were tried
	}{
		"the vendor does not know it": {vendor{err: vendorapi.ErrUnknown}, nil, vendorapi.ErrUnknown,
			"no event has completed", 0},
		"it is not completed":         {vendor{agreement: sent}, nil, nil, "is Out?, not completed", 0},
		"the queue cannot be reached": {vendor{agreement: completed}, nil, broken, "queue", 1},
		"there are no credentials":    {vendor{}, off, vendorapi.ErrOff, "put them there", 0},
		"the table cannot be read": {vendor{}, func(t *operate.Target) { t.Ledger = unreadableLedger{err: broken} },
			broken, "", 0},
		"there is no such provider": {vendor{}, func(t *operate.Target) { t.Providers = t.Providers[:1] }, nil,
			"the providers are: other", 0},
		"the vendor is to be asked later": {vendor{err: &vendorapi.LaterError{After: time.Hour}}, nil, nil, "1h0m0s", 0},
	} {
		t.Run(name, func(t *testing.T) {
			j := &jobs{err: broken}
			target := tt.vendor.target()
			target.Ledger, target.Archive = open(t), j.add
			if tt.change != nil {
				tt.change(&target)
			}
			out, err := act(t, target, "archive -provider acmesign -id e-1")
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.said) ||
				len(j.events) != tt.jobs || out != "" {
				t.Errorf("%v, %d jobs: %s", err, len(j.events), out)
			}
		})
	}
}
