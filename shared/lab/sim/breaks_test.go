package sim

import (
	"encoding/json"
	"fmt"
	"go/scanner"
	gotoken "go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"esignhooks/shared/webhook/webhooktest"
)

// breaks are mistakes that a developer could make in the product. The simulation must find each within so many seeds.
// A mistake replaces the code old by new. Layout and comments do not matter in old.
var breaks = []struct {
	name     string
	file     string
	old, new string
	seeds    int
}{
	{"acknowledge although the queue is unavailable", "shared/receive/receive.go",
		`return fmt.Errorf("receive: %s: %w", claim.ID, err)`, `log.ErrorContext(ctx, "not sent", "error", err)`, 100},
	{"acknowledge every known event without sending it", "shared/receive/receive.go",
		`if (found.State.Settled() || found.State == ledger.Unreadable) && !exact {`,
		`if found.State != ledger.New {`, 100},
	{"drop the copy that states the time", "shared/receive/receive.go",
		`log, exact := r.logOf(claim), found.Inexact && !claim.OccurredAt.IsZero()`, `log, exact := r.logOf(claim), false`,
		1000},
	{"send the copy that states the time as a duplicate", "shared/receive/receive.go",
		`message.DeduplicationID += suffix`, `_ = suffix`, 1000},
	{"take the copy that states the time for a duplicate", "shared/process/commit.go",
		`case errors.Is(err, ledger.ErrInexact) && !first.Approximate`, `case false`, 1000},
	{"correct the event only", "shared/process/correct.go",
		`Agreement: after[len(after)-1]`, `Agreement: *effects[len(effects)-1].Agreement`, 1000},
	{"give a request no deadline", "shared/receive/receive.go",
		`deadline = 3800 * time.Millisecond
		claimDeadline = 800 * time.Millisecond
		countDeadline = 300 * time.Millisecond
		storeDeadline = 1000 * time.Millisecond
		sendDeadline = 1000 * time.Millisecond`,
		`deadline = 9 * time.Second
		claimDeadline = 9 * time.Second
		countDeadline = 9 * time.Second
		storeDeadline = 9 * time.Second
		sendDeadline = 9 * time.Second`, 100},
	{"acknowledge and drop an unreadable request", "shared/receive/receive.go",
		`	return []webhook.Identity{id}
`, `	return nil
`, 200},
	{"do not store a large payload", "shared/receive/receive.go",
		`if err := r.Payloads.Put(ctx, key, delivery.Payload); err != nil {`, `if err := ctx.Err(); err != nil {`, 5000},
	{"deduplicate in the queue by the agreement", "shared/store/queue/queue.go",
		`DeduplicationID: d.EventID,`, `DeduplicationID: d.Subject,`, 100},
	{"send the subject as event ID", "shared/store/queue/queue.go",
		`"eventId":    d.EventID,`, `"eventId":    d.Subject,`, 100},
	{"delete failed records", "shared/process/process.go",
		`response.BatchItemFailures = append(response.BatchItemFailures, failure)`, `_ = failure`, 100},
	{"delete the records after a failed one", "shared/process/process.go",
		`range messages[done:] {`, `range messages[done:min(done+1, len(messages))] {`, 1000},
	{"treat a conflict as success", "shared/process/commit.go",
		`			continue
		case len(events) > 1:`, `			return len(events), nil
		case len(events) > 1:`, 300},
	{"treat a processed event as a failure", "shared/process/commit.go",
		`			return 1, nil
		default:`, `			return 0, err
		default:`, 100},
	{"treat a batch as processed if one event is", "shared/process/commit.go",
		`		case len(events) > 1:`, `		case len(events) > 1 && errors.Is(err, ledger.ErrProcessed):
			return len(events), nil
		case len(events) > 1:`, 100},
	{"treat all single commits as successful", "shared/process/commit.go",
		`			return i, err
		}
	}
	return len(events), nil`, `			break
		}
	}
	return len(events), nil`, 1000},
	{"fold into an empty agreement", "shared/process/commit.go",
		`after := esign.Fold(agreement, e.event)`, `after := esign.Fold(esign.Agreement{}, e.event)`, 100},
	{"fold each event of a batch into what was read", "shared/process/commit.go",
		`			agreement = after
`, ``, 100},
	{"commit the agreement after the first event of a batch", "shared/process/commit.go",
		`		err = p.Ledger.Commit(ctx, effects...)`, `		effects[len(effects)-1].Agreement = effects[0].Agreement
		err = p.Ledger.Commit(ctx, effects...)`, 100},
	{"give each event of a batch the same status before", "shared/process/commit.go",
		`		err = p.Ledger.Commit(ctx, effects...)`, `		for i := range effects {
			effects[i].StatusBefore = effects[0].StatusBefore
		}
		err = p.Ledger.Commit(ctx, effects...)`, 100},
	{"commit all events of a batch at the same time", "shared/process/commit.go",
		`now.Add(time.Duration(i))`, `now`, 100},
	{"commit an event together with its copy", "shared/process/commit.go",
		`return a.claim.ID == b.claim.ID || a.`, `return a.`, 1000},
	{"commit the event without its agreement", "shared/process/commit.go",
		`aboutAgreement := events[0].event.AgreementID != ""`, `aboutAgreement := events[0].event.AgreementID == "none"`,
		100},
	{"send no former IDs", "shared/receive/receive.go", `FormerIDs: id.FormerIDs,`, ``, 500},
	{"look up no former IDs", "shared/process/commit.go", `range e.otherIDs {`, `range e.otherIDs[:0] {`, 500},
	{"take each event with a former ID for a duplicate", "shared/process/commit.go",
		`found.State.Settled() && other.Fits(found.OccurredAt) &&`, `found.State.Settled() &&`, 500},
	{"take a claimed event for a processed one", "shared/process/commit.go",
		`found.State.Settled() && other`, `found.State != ledger.New && other`, 500},
	{"commit an event together with its copy of another release", "shared/process/commit.go",
		`|| a.hasOtherID(b.claim.ID) || b.hasOtherID(a.claim.ID)`, ``, 1000},
	{"commit a duplicate", "shared/process/commit.go",
		`else if of.ID != "" {`, `else if of.ID == "never" {`, 500},
	{"never identify a message again", "shared/process/decode.go",
		`if len(d.FormerIDs) > 0 || finding.Is(d) {`, `if true {`, 500},
	{"report no change of status", "shared/process/commit.go",
		`StatusBefore = agreement.Status`, `StatusBefore = after.Status`, 100},
	{"drop unreadable deliveries", "shared/process/deadletter.go",
		`if err := p.DeadLetters.Send(ctx, m); err != nil {`, `if err := ctx.Err(); err != nil {`, 200},
	{"do not mark unreadable deliveries", "shared/process/deadletter.go",
		`if err := p.Ledger.MarkUnreadable(ctx, result.claim); err != nil {`, `if err := ctx.Err(); err != nil {`, 200},
	{"fold by arrival", "shared/esign/agreement.go",
		`if a.Status.Before(status) {`, `if a.Status != status {`, 200},
	{"do not retry a failed publication", "shared/publish/publish.go",
		`response.BatchItemFailures = append(response.BatchItemFailures, failure)`, `_ = failure`, 100},
	{"publish duplicates that were counted", "shared/store/ledger/item/event.go",
		`if StateOf(before) == ledger.Processed && before.string(ProcessedAt) == after.string(ProcessedAt) {`,
		`if StateOf(before) == "never" {`, 100},
	{"publish only claimed events", "shared/store/ledger/item/event.go",
		`if StateOf(after) != ledger.Processed {`, `if StateOf(after) != ledger.Processed || StateOf(before) == "" {`, 300},
	{"make one event of two signers", "shared/provider/docusign/identify.go",
		`return webhook.EventID(name, "recipient", p.envelopeID, p.event, p.recipientID)`,
		`return webhook.EventID(name, "recipient", p.envelopeID, p.event)`, 200},
	{"make two events of a retry", "shared/provider/docusign/identify.go",
		`return webhook.EventID(name, "envelope", p.envelopeID, p.event)`,
		`return webhook.EventID(name, "envelope", p.envelopeID, string(p.body))`, 100},
	{"make two events of two subscriptions", "shared/provider/adobesign/identify.go",
		`case about.ID != "" && p.Event != "" && p.EventDate != "":`, `case p.NotificationID == "" && about.ID != "":`, 100},
	{"accept any signature", "shared/provider/docusign/verify.go",
		`return "", fmt.Errorf("docusign: no signature matches: %w", webhook.ErrNotGenuine)`, `return esign.ProofSigned, nil`,
		200},
	{"accept any client ID", "shared/webhook/secret.go",
		`found = made.Equal(value) && usable || found`, `found = made.Equal(value) || usable || found`, 200},
	{"confirm whatever the vendor's API answers", "shared/archive/archive.go",
		`case reported.Status != esign.Completed:`, `case reported.Status == esign.Failed:`, 500},
	{"send the archived event only when documents are new", "shared/archive/archive.go",
		`	if err := a.send(ctx, finding.Archived(j.provider,`, `	if !made {
		return nil
	}
	if err := a.send(ctx, finding.Archived(j.provider,`, 5000},
	{"report another download than the stored one", "shared/archive/fetch.go",
		`	return a.Documents.Put(ctx, key, f)`, `	stored, err = a.Documents.Put(ctx, key, f)
	stored.SHA256 = f.SHA256
	return stored, err`, 20000},
	{"believe any sender who names another account", "shared/archive/archive.go",
		`!ok || j.reported.Proof != esign.ProofSigned || j.reported.AccountID == ""`, `!ok || j.reported.AccountID == ""`,
		500},
	{"take two names of an account for two accounts", "shared/vendorapi/accounts.go",
		`form.MatchString(ours) && form.MatchString(theirs) && !strings`, `theirs != "" && !strings`, 500},
	{"take an agreement of another account for forged", "shared/archive/archive.go",
		`if foreign, unsure := a.foreign(ctx, client, j); foreign {`,
		`if foreign, unsure := a.foreign(ctx, client, j); foreign && unsure != nil {`, 500},
	{"forget what was not asked about", "shared/archive/archive.go",
		`if err := (NotAsked{a.Notes, j.provider}).add(ctx, c); err != nil {`, `if err := ctx.Err(); err != nil {`, 500},
	{"forget what could not be queued again", "shared/archive/notasked.go",
		`removed[c], failed = done(c)`, `removed[c] = true
				_, failed = done(c)`, 20000},
	{"park nothing", "shared/archive/archive.go",
		`if err := a.Jobs.Park(ctx, j.body); err != nil {`, `if err := ctx.Err(); err != nil {`, 500},
	{"delete a postponed job", "shared/archive/archive.go",
		`return false } func (a *Archiver) park(`, `return true }; func (a *Archiver) park(`, 500},
	{"give each finding a new ID", "shared/finding/finding.go",
		`append([]string{b.Kind, subject}, identity...)...)`,
		`append([]string{b.Kind, subject, now.String()}, identity...)...)`, 500},
	{"ignore a failure of a page's findings", "shared/reconcile/changes.go",
		`			if err := p.compare(ctx, a, mayBeUnderway); err != nil {
				return err
			}`, `			p.compare(ctx, a, mayBeUnderway)`, 5000},
	{"read the first page only", "shared/reconcile/changes.go",
		`if p.progress.Page = next; next == "" {`, `if p.progress.Page = ""; p.progress.Page == "" {`, 5000},
	{"leave a gap between two windows", "shared/reconcile/changes.go",
		`p.progress.Compared.Add(-overlap)`, `p.progress.Compared.Add(overlap)`, 500},
	{"read the first part of the table only", "shared/reconcile/patrol.go",
		`p.progress.Round.Cursor, p.progress.Round.Going = next, next != ""`,
		`p.progress.Round.Cursor, p.progress.Round.Going = next, false`, 2000},
	{"repair nothing", "shared/reconcile/subscription.go",
		`if !p.settings.Repair {`, `if p.settings.Repair {`, 2000},
}

// TestPlantedMistakesFitTheCode is quick. It fails when an edit of the product makes a planted mistake impossible.
func TestPlantedMistakesFitTheCode(t *testing.T) {
	root := webhooktest.Root(t)
	for _, b := range breaks {
		if _, err := plant(filepath.Join(root, b.file), b.old, b.new); err != nil {
			t.Errorf("%s: %v", b.name, err)
		}
		if slices.ContainsFunc(tokens([]byte(b.old)), token.isComment) {
			t.Errorf("%s: the pattern contains a comment", b.name)
		}
	}
}

// plant returns the file's content with the only occurrence of the code old replaced by new.
func plant(file, old, new string) ([]byte, error) {
	source, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	code, pattern := slices.DeleteFunc(tokens(source), token.isComment), tokens([]byte(old))
	found, at := 0, 0
	for i := range len(code) - len(pattern) + 1 {
		if slices.EqualFunc(code[i:i+len(pattern)], pattern, func(a, b token) bool { return a.text == b.text }) {
			found, at = found+1, i
		}
	}
	if found != 1 {
		return nil, fmt.Errorf("%s contains this code %d times, want once: %s", file, found, old)
	}
	from, to := code[at].offset, code[at+len(pattern)-1].offset+len(pattern[len(pattern)-1].text)
	return slices.Concat(source[:from], []byte(new), source[to:]), nil
}

type token struct {
	offset int
	text   string
}

func (t token) isComment() bool {
	return strings.HasPrefix(t.text, "//") || strings.HasPrefix(t.text, "/*")
}

// tokens returns the source's tokens and comments, without the semicolons that line ends imply.
func tokens(source []byte) (all []token) {
	file := gotoken.NewFileSet().AddFile("", -1, len(source))
	var s scanner.Scanner
	s.Init(file, source, nil, scanner.ScanComments)
	for {
		pos, kind, text := s.Scan()
		switch {
		case kind == gotoken.EOF:
			return all
		case kind == gotoken.SEMICOLON && text == "\n":
			continue
		case text == "" || kind.IsOperator():
			text = kind.String()
		}
		all = append(all, token{file.Offset(pos), text})
	}
}

// TestTheSimulationFindsMistakes plants each mistake in the real code, and expects a seed that fails.
func TestTheSimulationFindsMistakes(t *testing.T) {
	if !*all {
		t.Skip("slow: make sim runs it")
	}
	root := webhooktest.Root(t)
	for _, b := range breaks {
		t.Run(b.name, func(t *testing.T) {
			file := filepath.Join(root, b.file)
			source, err := plant(file, b.old, b.new)
			must(t, err)
			broken := filepath.Join(t.TempDir(), "broken.go")
			must(t, os.WriteFile(broken, source, 0o600))
			overlay, err := json.Marshal(map[string]map[string]string{"Replace": {file: broken}})
			must(t, err)
			must(t, os.WriteFile(broken+".json", overlay, 0o600))
			test := "(TestSeeds|TestUpgrade)"
			if strings.HasPrefix(b.file, "shared/archive/") || strings.HasPrefix(b.file, "shared/reconcile/") ||
				strings.HasPrefix(b.file, "shared/finding/") || strings.HasPrefix(b.file, "shared/vendorapi/") {
				test = "TestAfterTheEvent"
			}
			out, err := exec.Command("go", "test", "-count=1", "-vet=off", "-timeout=3m", "-overlay", broken+".json", "-run=^"+
				test+"$",
				"esignhooks/shared/lab/sim", "-seeds", strconv.Itoa(b.seeds), "-brief").CombinedOutput()
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
