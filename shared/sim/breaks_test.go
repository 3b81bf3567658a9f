package sim

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"esignhooks/shared/webhook/webhooktest"
)

// breaks are mistakes that one could make in the code, and within how many seeds the simulation finds each.
var breaks = []struct {
	name     string
	file     string
	old, new string
	seeds    int
}{
	{"acknowledge what the queue did not take", "shared/receive/receive.go",
		`return fmt.Errorf("receive: %s: %w", claim.ID, err)`, `log.ErrorContext(ctx, "not sent", "error", err)`, 100},
	{"take a claim for a delivery that is safe", "shared/receive/receive.go",
		`if found == ledger.Processed || found == ledger.Unreadable {`, `if found != ledger.New {`, 100},
	{"give a request no deadline", "shared/receive/receive.go",
		"deadline      = 3800 * time.Millisecond\n\tclaimDeadline = 800 * time.Millisecond\n\tcountDeadline = 300 * time.Millisecond // of counting a duplicate, beside the sending\n\tstoreDeadline = 1000 * time.Millisecond\n\tsendDeadline  = 1000 * time.Millisecond",
		"deadline      = 9 * time.Second\n\tclaimDeadline = 9 * time.Second\n\tcountDeadline = 9 * time.Second\n\tstoreDeadline = 9 * time.Second\n\tsendDeadline  = 9 * time.Second", 100},
	{"acknowledge what cannot be read, and drop it", "shared/receive/receive.go",
		`	return []webhook.Identity{id}
`, `	return nil
`, 200},
	{"put the large payload nowhere", "shared/receive/receive.go",
		`if err := r.Payloads.Put(ctx, key, delivery.Payload); err != nil {`, `if err := ctx.Err(); err != nil {`, 5000},
	{"deduplicate in the queue by the agreement", "shared/queue/queue.go",
		`DeduplicationID: d.EventID,`, `DeduplicationID: d.Subject,`, 100},
	{"send the identity of a neighbour", "shared/queue/queue.go",
		`"eventId":    d.EventID,`, `"eventId":    d.Subject,`, 100},
	{"delete what failed", "shared/process/process.go",
		`response.BatchItemFailures = append(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId})`, ``, 100},
	{"take a conflict for done", "shared/process/process.go",
		`		case errors.Is(err, ledger.ErrProcessed):
			log.InfoContext`, `		case errors.Is(err, ledger.ErrProcessed), errors.Is(err, ledger.ErrConflict):
			log.InfoContext`, 300},
	{"take done for a failure", "shared/process/process.go",
		`			log.InfoContext(ctx, "already processed")
			return nil
`, `			return err
`, 100},
	{"fold into nothing", "shared/process/process.go",
		`after := esign.Fold(before, e)`, `after := esign.Fold(esign.Agreement{}, e)`, 100},
	{"commit the event without its agreement", "shared/process/process.go",
		`if e.AgreementID != "" {`, `if e.AgreementID == "none" {`, 100},
	{"say that nothing has changed", "shared/process/process.go",
		`commit.Agreement, commit.StatusBefore, commit.Version = &after, before.Status, version`,
		`commit.Agreement, commit.StatusBefore, commit.Version = &after, after.Status, version`, 100},
	{"drop what cannot be read", "shared/process/process.go",
		`if err := p.DeadLetters.Send(ctx, letter); err != nil {`, `if err := ctx.Err(); err != nil {`, 200},
	{"leave what cannot be read unmarked", "shared/process/process.go",
		`if err := p.Ledger.MarkUnreadable(ctx, ledger.NewClaim(d, "", "", time.Time{})); err != nil {`, `if err := ctx.Err(); err != nil {`, 200},
	{"fold by arrival", "shared/esign/agreement.go",
		`if a.Status.Before(status) {`, `if a.Status != status {`, 200},
	{"publish nothing that failed once", "shared/publish/publish.go",
		`response.BatchItemFailures = append(response.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: record.Change.SequenceNumber})`, ``, 100},
	{"publish duplicates that were counted", "shared/publish/publish.go",
		`if text(before, "state") == string(ledger.Processed) && text(before, "processedAt") == text(now, "processedAt") {`, `if text(before, "state") == "never" {`, 100},
	{"publish only what had a claim", "shared/publish/publish.go",
		`if text(now, "state") != string(ledger.Processed) {`, `if text(now, "state") != string(ledger.Processed) || text(before, "state") == "" {`, 300},
	{"make one event of two signers", "shared/provider/docusign/identify.go",
		`return webhook.EventID(name, "recipient", p.envelopeID, p.event, p.recipientID)`, `return webhook.EventID(name, "recipient", p.envelopeID, p.event)`, 200},
	{"make two events of a retry", "shared/provider/docusign/identify.go",
		`return webhook.EventID(name, "envelope", p.envelopeID, p.event)`, `return webhook.EventID(name, "envelope", p.envelopeID, string(p.body))`, 100},
	{"make two events of two subscriptions", "shared/provider/adobesign/identify.go",
		`case about.ID != "" && p.Event != "" && p.EventDate != "":`, `case p.NotificationID == "" && about.ID != "":`, 100},
	{"believe any signature", "shared/provider/docusign/verify.go",
		`return "", fmt.Errorf("docusign: no signature matches: %w", webhook.ErrNotGenuine)`, `return esign.ProofSigned, nil`, 200},
	{"believe any client", "shared/webhook/secret.go",
		`found = made.Equal(value) && usable || found`, `found = made.Equal(value) || usable || found`, 200},
}

// TestTheSimulationFindsMistakes makes each mistake in the real code, and looks for a seed that shows it.
func TestTheSimulationFindsMistakes(t *testing.T) {
	if !*all {
		t.Skip("make sim makes them")
	}
	root := webhooktest.Root(t)
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			file := filepath.Join(root, b.file)
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(source), b.old); n != 1 {
				t.Fatalf("%s holds it %d times: %s", b.file, n, b.old)
			}
			broken := filepath.Join(t.TempDir(), "broken.go")
			must(t, os.WriteFile(broken, []byte(strings.Replace(string(source), b.old, b.new, 1)), 0o600))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: broken}})
			must(t, err)
			must(t, os.WriteFile(broken+".json", overlay, 0o600))
			out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-timeout=3m", "-overlay", broken+".json", "-run=^TestSeeds$",
				"esignhooks/shared/sim", "-seeds", strconv.Itoa(b.seeds), "-brief").CombinedOutput()
			if err == nil || !strings.Contains(string(out), "SEED=") {
				t.Errorf("not found within %d seeds: %v\n%.3000s", b.seeds, err, out)
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "SEED=") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
