package mutants

import "fmt"

// worlds is the simulation of so many worlds.
func worlds(n int) string { return fmt.Sprintf("lab/sim (TestSeeds|TestUpgrade) -seeds=%d -brief", n) }

// aftermath is the simulation of so many worlds with archiver, reconciler and vendors' APIs.
func aftermath(n int) string { return fmt.Sprintf("lab/sim TestAfterTheEvent -seeds=%d -brief", n) }

// engine are mistakes in what the simulation runs. It must find each within the stated number of worlds.
var engine = []mistake{
	{"acknowledge although the queue is unavailable", "shared/receive/receive.go",
		`return fmt.Errorf("receive: %s: %w", claim.ID, err)`, `log.ErrorContext(ctx, "not sent", "error", err)`, worlds(100)},
	{"acknowledge every known event without sending it", "shared/receive/receive.go",
		`case found.State.Settled():`, `case found.State != ledger.New:`, worlds(100)},
	{"drop the copy that states the time", "shared/receive/receive.go",
		`found.Inexact && !claim.OccurredAt.IsZero(), ""`, `false, ""`, worlds(1000)},
	{"send the copy that states the time as a duplicate", "shared/receive/receive.go",
		`message.DeduplicationID += suffix`, `_ = suffix`, worlds(1000)},
	{"take the copy that states the time for a duplicate", "shared/process/commit.go",
		`case errors.Is(err, ledger.ErrInexact) && !first.Approximate`, `case false`, worlds(1000)},
	{"correct the event only", "shared/process/correct.go",
		`Agreement: after[len(after)-1]`, `Agreement: *effects[len(effects)-1].Agreement`, worlds(1000)},
	{"give a request no deadline", "shared/receive/receive.go",
		`Deadline = 3800 * time.Millisecond
		claimDeadline = 800 * time.Millisecond
		countDeadline = 300 * time.Millisecond
		storeDeadline = 1000 * time.Millisecond
		sendDeadline = 1000 * time.Millisecond`,
		`Deadline = 9 * time.Second
		claimDeadline = 9 * time.Second
		countDeadline = 9 * time.Second
		storeDeadline = 9 * time.Second
		sendDeadline = 9 * time.Second`, worlds(100)},
	{"acknowledge and drop an unreadable request", "shared/receive/receive.go",
		`	return []webhook.Identity{id}
`, `	return nil
`, worlds(200)},
	{"do not store a large payload", "shared/receive/receive.go",
		`if err := r.Payloads.Put(ctx, key, delivery.Payload); err != nil {`, `if err := ctx.Err(); err != nil {`, worlds(5000)},
	{"deduplicate in the queue by the agreement", "shared/store/queue/queue.go",
		`DeduplicationID: d.EventID,`, `DeduplicationID: d.Subject,`, worlds(100)},
	{"send the subject as event ID", "shared/store/queue/queue.go",
		`"eventId":    d.EventID,`, `"eventId":    d.Subject,`, worlds(100)},
	{"delete failed records", "shared/process/process.go",
		`response.BatchItemFailures = append(response.BatchItemFailures, failure)`, `_ = failure`, worlds(100)},
	{"delete the records after a failed one", "shared/process/process.go",
		`range messages[done:] {`, `range messages[done:min(done+1, len(messages))] {`, worlds(1000)},
	{"treat a conflict as success", "shared/process/commit.go",
		`			continue
		case len(events) > 1:`, `			return len(events), nil
		case len(events) > 1:`, worlds(300)},
	{"treat a processed event as a failure", "shared/process/commit.go",
		`			return 1, nil
		default:`, `			return 0, err
		default:`, worlds(100)},
	{"treat a batch as processed if one event is", "shared/process/commit.go",
		`		case len(events) > 1:`, `		case len(events) > 1 && errors.Is(err, ledger.ErrProcessed):
			return len(events), nil
		case len(events) > 1:`, worlds(100)},
	{"treat all single commits as successful", "shared/process/commit.go",
		`			return i, err
		}
	}
	return len(events), nil`, `			break
		}
	}
	return len(events), nil`, worlds(1000)},
	{"fold into an empty agreement", "shared/process/commit.go",
		`after := esign.Fold(agreement, e.event)`, `after := esign.Fold(esign.Agreement{}, e.event)`, worlds(100)},
	{"fold each event of a batch into what was read", "shared/process/commit.go",
		`			agreement = after
`, ``, worlds(100)},
	{"commit the agreement after the first event of a batch", "shared/process/commit.go",
		`		err = p.Ledger.Commit(ctx, effects...)`, `		effects[len(effects)-1].Agreement = effects[0].Agreement
		err = p.Ledger.Commit(ctx, effects...)`, worlds(100)},
	{"give each event of a batch the same status before", "shared/process/commit.go",
		`		err = p.Ledger.Commit(ctx, effects...)`, `		for i := range effects {
			effects[i].StatusBefore = effects[0].StatusBefore
		}
		err = p.Ledger.Commit(ctx, effects...)`, worlds(100)},
	{"commit all events of a batch at the same time", "shared/process/commit.go",
		`now.Add(time.Duration(i))`, `now`, worlds(100)},
	{"commit an event together with its copy", "shared/process/commit.go",
		`return a.claim.ID == b.claim.ID || a.`, `return a.`, worlds(1000)},
	{"commit the event without its agreement", "shared/process/commit.go",
		`aboutAgreement := events[0].event.AgreementID != ""`, `aboutAgreement := events[0].event.AgreementID == "none"`, worlds(100)},
	{"send no former IDs", "shared/receive/receive.go", `FormerIDs: id.FormerIDs,`, ``, worlds(500)},
	{"look up no former IDs", "shared/process/commit.go", `range e.otherIDs {`, `range e.otherIDs[:0] {`, worlds(500)},
	{"take each event with a former ID for a duplicate", "shared/process/commit.go",
		`found.State.Settled() && other.Fits(found.OccurredAt) &&`, `found.State.Settled() &&`, worlds(500)},
	{"take a claimed event for a processed one", "shared/process/commit.go",
		`found.State.Settled() && other`, `found.State != ledger.New && other`, worlds(500)},
	{"commit an event together with its copy of another release", "shared/process/commit.go",
		`|| a.hasOtherID(b.claim.ID) || b.hasOtherID(a.claim.ID)`, ``, worlds(1000)},
	{"commit a duplicate", "shared/process/commit.go",
		`else if of.ID != "" {`, `else if of.ID == "never" {`, worlds(500)},
	{"never identify a message again", "shared/process/decode.go",
		`if len(d.FormerIDs) > 0 || finding.Is(d) {`, `if true {`, worlds(500)},
	{"report no change of status", "shared/process/commit.go",
		`StatusBefore = agreement.Status`, `StatusBefore = after.Status`, worlds(100)},
	{"drop unreadable deliveries", "shared/process/deadletter.go",
		`if err := p.DeadLetters.Send(ctx, m); err != nil {`, `if err := ctx.Err(); err != nil {`, worlds(200)},
	{"do not mark unreadable deliveries", "shared/process/deadletter.go",
		`if err := p.Ledger.MarkUnreadable(ctx, result.claim, p.Now().UTC()); err != nil {`, `if err := ctx.Err(); err != nil {`, worlds(200)},
	{"fold by arrival", "shared/esign/agreement.go",
		`if a.Status.Before(status) {`, `if a.Status != status {`, worlds(200)},
	{"do not retry a failed publication", "shared/publish/publish.go",
		`response.BatchItemFailures = append(response.BatchItemFailures, failure)`, `_ = failure`, worlds(100)},
	{"publish duplicates that were counted", "shared/store/ledger/item/event.go",
		`if StateOf(before) == ledger.Processed && before.string(ProcessedAt) == after.string(ProcessedAt) {`,
		`if StateOf(before) == "never" {`, worlds(100)},
	{"publish only claimed events", "shared/store/ledger/item/event.go",
		`if StateOf(after) != ledger.Processed {`, `if StateOf(after) != ledger.Processed || StateOf(before) == "" {`, worlds(300)},
	{"make one event of two signers", "shared/provider/docusign/identify.go",
		`return webhook.EventID(name, "recipient", p.envelopeID, p.event, p.recipientID)`,
		`return webhook.EventID(name, "recipient", p.envelopeID, p.event)`, worlds(200)},
	{"make two events of a retry", "shared/provider/docusign/identify.go",
		`return webhook.EventID(name, "envelope", p.envelopeID, p.event)`,
		`return webhook.EventID(name, "envelope", p.envelopeID, string(p.body))`, worlds(100)},
	{"make two events of two subscriptions", "shared/provider/adobesign/identify.go",
		`case about.ID != "" && p.Event != "" && p.EventDate != "":`, `case p.NotificationID == "" && about.ID != "":`, worlds(100)},
	{"accept any signature", "shared/provider/docusign/verify.go",
		`return "", fmt.Errorf("docusign: no signature matches: %w", webhook.ErrNotGenuine)`, `return esign.ProofSigned, nil`, worlds(200)},
	{"accept any client ID", "shared/webhook/secret.go",
		`found = made.Equal(value) && usable || found`, `found = made.Equal(value) || usable || found`, worlds(200)},
	{"confirm whatever the vendor's API answers", "shared/archive/archive.go",
		`case reported.Status != esign.Completed:`, `case reported.Status == esign.Failed:`, aftermath(500)},
	{"send the archived event only when documents are new", "shared/archive/archive.go",
		`	if err := a.send(ctx, finding.Archived(j.provider,`, `	if !made {
		return nil
	}
	if err := a.send(ctx, finding.Archived(j.provider,`, aftermath(5000)},
	{"report another download than the stored one", "shared/archive/fetch.go",
		`	return a.Documents.Put(ctx, key, f)`, `	stored, err = a.Documents.Put(ctx, key, f)
	stored.SHA256 = f.SHA256
	return stored, err`, aftermath(20000)},
	{"believe any sender who names another account", "shared/archive/archive.go",
		`!ok || j.reported.Proof != esign.ProofSigned || j.reported.AccountID == ""`, `!ok || j.reported.AccountID == ""`, aftermath(500)},
	{"take two names of an account for two accounts", "shared/vendorapi/accounts.go",
		`form.MatchString(ours) && form.MatchString(theirs) && !strings`, `theirs != "" && !strings`, aftermath(500)},
	{"take an agreement of another account for forged", "shared/archive/archive.go",
		`if foreign, unsure := a.foreign(ctx, client, j); foreign {`,
		`if foreign, unsure := a.foreign(ctx, client, j); foreign && unsure != nil {`, aftermath(500)},
	{"forget what was not asked about", "shared/archive/archive.go",
		`if err := (NotAsked{a.Notes, j.provider}).add(ctx, c); err != nil {`, `if err := ctx.Err(); err != nil {`, aftermath(500)},
	{"forget what could not be queued again", "shared/archive/notasked.go",
		`removed[c], failed = done(c)`, `removed[c] = true
				_, failed = done(c)`, aftermath(20000)},
	{"park nothing", "shared/archive/archive.go",
		`if err := a.Jobs.Park(ctx, j.body); err != nil {`, `if err := ctx.Err(); err != nil {`, aftermath(500)},
	{"delete a postponed job", "shared/archive/archive.go",
		`return false } func (a *Archiver) park(`, `return true }; func (a *Archiver) park(`, aftermath(500)},
	{"give each finding a new ID", "shared/finding/finding.go",
		`append([]string{b.Kind, subject}, identity...)...)`,
		`append([]string{b.Kind, subject, now.String()}, identity...)...)`, aftermath(500)},
	{"ignore a failure of a page's findings", "shared/reconcile/changes.go",
		`			if err := p.compare(ctx, a, mayBeUnderway); err != nil {
				return err
			}`, `			p.compare(ctx, a, mayBeUnderway)`, aftermath(5000)},
	{"read the first page only", "shared/reconcile/changes.go",
		`if p.progress.Page = next; next == "" {`, `if p.progress.Page = ""; p.progress.Page == "" {`, aftermath(5000)},
	{"leave a gap between two windows", "shared/reconcile/changes.go",
		`p.progress.Compared.Add(-overlap)`, `p.progress.Compared.Add(overlap)`, aftermath(500)},
	{"read the first part of the table only", "shared/reconcile/patrol.go",
		`p.progress.Round.Cursor, p.progress.Round.Going = next, next != ""`,
		`p.progress.Round.Cursor, p.progress.Round.Going = next, false`, aftermath(2000)},
	{"repair nothing", "shared/reconcile/subscription.go",
		`if !p.settings.Repair {`, `if p.settings.Repair {`, aftermath(2000)},
}
