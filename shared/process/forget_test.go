package process_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// forget does what an operator does. The receiver claims deliveries after the items are erased. (Unlike DynamoDB, the
// ledger here takes no claims once the tombstone is there.)
func (w *world) forget(t *testing.T, subject string, claimed ...*webhook.Delivery) {
	t.Helper()
	if _, err := w.Erase(t.Context(), subject, nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range claimed {
		w.receive(t, d)
	}
	if err := w.Bury(t.Context(), subject, now); err != nil {
		t.Fatal(err)
	}
}

// receive claims an event as the receiver does.
func (w *world) receive(t *testing.T, d *webhook.Delivery) {
	t.Helper()
	if _, err := w.Claim(t.Context(), ledger.NewClaim(d, "", "a", time.Time{})); err != nil {
		t.Fatal(err)
	}
}

func TestAForgottenAgreementStaysForgotten(t *testing.T) {
	strange := step("signed") // it is identified, and cannot be read
	strange.Payload = []byte("nonsense")
	for name, tt := range map[string]struct {
		before     []*webhook.Delivery // of the operator's command
		meanwhile  bool                // the operator's command runs between reading and writing
		deliveries []*webhook.Delivery
	}{
		"a vendor's retries": {[]*webhook.Delivery{step("sent")}, false,
			[]*webhook.Delivery{step("sent"), step("viewed")}},
		"an unreadable event": {nil, false, []*webhook.Delivery{strange}},
		"a commit to an agreement": {[]*webhook.Delivery{step("created")}, true,
			[]*webhook.Delivery{step("sent"), step("viewed")}},
		"the first commit": {nil, true, []*webhook.Delivery{step("completed")}},
	} {
		t.Run(name, func(t *testing.T) {
			w, archive := newWorld(t), newStore(t)
			w.handle(t, tt.before...)
			w.metrics.Reset()
			if tt.meanwhile {
				w.beforeCommit = func() { w.forget(t, subject) }
				w.handle(t, tt.deliveries...)
			} else {
				w.Archive = archive
				w.forget(t, subject, tt.deliveries...)
				w.handle(t, append(tt.deliveries, other(), ping())...)
				w.wantAgreement(t, "acmesign#b", "created", 1)
			}
			w.wantAgreement(t, subject, "", 0)
			w.history(t, subject, 0)
			w.wantDeadLetters(t, 0)
			if n := strings.Count(w.log.String(), `"level":"INFO","msg":"dropped: the agreement is forgotten"`); n !=
				len(tt.deliveries) || strings.Contains(w.log.String(), `"level":"WARN"`) ||
				strings.Contains(w.log.String(), `"level":"ERROR"`) {
				t.Errorf("log: %s", w.log.String())
			}
			if !tt.meanwhile && len(archive.keys) != 2 { // of the other agreement, and of the event without one
				t.Errorf("the archive keeps %q", archive.keys)
			}
		})
	}
}

// tombstones counts how often the worker looks for one.
type tombstones struct {
	ledger.Ledger
	err   error
	looks int
}

func (l *tombstones) Forgotten(ctx context.Context, subject string) (time.Time, error) {
	if l.looks++; l.err != nil {
		return time.Time{}, l.err
	}
	return l.Ledger.Forgotten(ctx, subject)
}

// TestAnAgreementThatExistsCostsNoRead counts the reads of tombstones: one for each new agreement, none for what is not
// about an agreement.
func TestAnAgreementThatExistsCostsNoRead(t *testing.T) {
	w := newWorld(t)
	l := &tombstones{Ledger: w}
	w.Processor.Ledger = l
	w.handleRecords(t, []events.SQSMessage{record("0", step("created"))})
	w.handle(t, step("sent"), step("viewed"))
	w.handle(t, step("signed"), ping())
	if l.looks != 1 {
		t.Errorf("%d reads, want 1", l.looks)
	}
	l.err = errDown
	w.wantFailure(t, other())
	w.wantAgreement(t, "acmesign#b", "", 0)
}
