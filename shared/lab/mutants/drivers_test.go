package mutants

// The tests of the drivers, none of which needs an engine.
const (
	table      = "store/ledger/dynamodb TestLedger/model"
	expiry     = "store/ledger/dynamodb TestItemsExpire"
	embedded   = "store/ledger/embedded Test.*"
	localQueue = "store/queue/embedded Test.*"
)

var inDrivers = []mistake{
	{"continue a trace that X-Ray does not keep", "shared/store/ledger/ledger.go", `kept = value == "1"`, `kept = true`,
		"store/ledger TestOnlySampledTracesAreKept"},
	{"keep the trace of an expired event", "shared/store/ledger/item/event.go", `removed = append(removed, Trace)`, `removed = append(removed, Packed)`,
		"store/ledger/item TestAnEventHasOneForm"},
	{"lose the trace on the bus", "shared/store/bus/bus.go", `		Trace: e.Trace,
`, ``, "publish TestTheTraceOfTheRequestIsContinued"},
	{"log the delay of an effect elsewhere", "shared/process/commit.go", `"delay", c.At`, `"took", c.At`,
		"lab/template TestTheDashboardReadsWhatTheFunctionsLog"},
	{"read an agreement that may be old", "shared/store/ledger/dynamodb/dynamodb.go",
		`Key: attributesOf(item.AgreementKey(subject)), ConsistentRead: aws.Bool(true),`,
		`Key: attributesOf(item.AgreementKey(subject)), ConsistentRead: aws.Bool(false),`, table},
	{"read an event that may be old", "shared/store/ledger/dynamodb/dynamodb.go",
		`Key: attributesOf(item.Key(key)), ConsistentRead: aws.Bool(true),`,
		`Key: attributesOf(item.Key(key)),`, table},
	{"read a history that may be old", "shared/store/ledger/dynamodb/dynamodb.go",
		`ConsistentRead: aws.Bool(true), KeyConditionExpression: &ofSubject,`, `KeyConditionExpression: &ofSubject,`, table},
	{"scan for effects that may be old", "shared/store/ledger/dynamodb/dynamodb.go",
		`ConsistentRead: aws.Bool(true), FilterExpression: &committed,`, `FilterExpression: &committed,`, table},
	{"read a note that may be old", "shared/store/ledger/dynamodb/notes.go",
		`aws.Bool(true)`, `aws.Bool(false)`, table},
	{"look references up that may be old", "shared/store/ledger/dynamodb/references.go",
		`ConsistentRead: aws.Bool(true), `, ``, table},
	{"index only as many references as fit", "shared/store/ledger/dynamodb/references.go",
		`puts[together:]`, `puts[len(puts):]`, table},
	{"commit more than fits with the references", "shared/store/ledger/ledger.go",
		`MaxCommits = 99 - MaxIndexed`, `MaxCommits = 99`, table},
	{"find agreements by earlier values", "shared/store/ledger/reference.go",
		`a.References[r.Name] == r.Value`, `a.References[r.Name] != ""`, table},
	{"find one page of agreements", "shared/store/ledger/dynamodb/references.go",
		`next = item.KeyOf(itemOf(page.LastEvaluatedKey)).ID`, `next = ""`, table},
	{"renew no references", "shared/store/ledger/dynamodb/references.go",
		`l.expiry > 0 && !before`, `l.expiry < 0 && !before`,
		"store/ledger/dynamodb TestAReferenceExpiresSoonAfterItsAgreement"},
	{"let a reference expire before its agreement", "shared/store/ledger/dynamodb/references.go",
		`now.Add(2*renewal)`, `now.Add(renewal)`, "store/ledger/dynamodb TestAReferenceExpiresSoonAfterItsAgreement"},
	{"renew references with each event", "shared/store/ledger/dynamodb/references.go",
		`.Equal(now.Truncate(renewal))`, `.Equal(now)`, "store/ledger/dynamodb TestAReferenceCosts"},
	{"publish references of a newer release", "shared/store/ledger/item/event.go",
		`if !after.isEvent() {`, `if after.IsAgreement() {`, "store/ledger/item TestOnlyEventsAreCommitted"},
	{"expire in milliseconds", "shared/store/ledger/item/item.go", `return N(t.Unix())`, `return N(t.UnixMilli())`,
		expiry},
	{"expire at once", "shared/store/ledger/dynamodb/attributes.go",
		`item.Unix(now.Add(l.expiry))`, `item.Unix(now)`, expiry},
	{"expire always", "shared/store/ledger/dynamodb/attributes.go", `if l.expiry > 0 {`, `if l.expiry >= 0 {`, expiry},
	{"let an agreement expire never", "shared/store/ledger/dynamodb/dynamodb.go",
		`l.expire(after, last.At)`, ``, expiry},
	{"let an agreement expire before its events", "shared/store/ledger/dynamodb/dynamodb.go",
		`l.expire(after, last.At)`, `l.expire(after, last.At.Add(-l.expiry/2))`, expiry},
	{"let an effect expire with its claim", "shared/store/ledger/dynamodb/dynamodb.go",
		`changed, kept, removed := item.OfEffect(c, event, agreement)
	l.expire(changed, c.At)`, `changed, kept, removed := item.OfEffect(c, event, agreement)`, expiry},
	{"let a correction expire with its event", "shared/store/ledger/dynamodb/dynamodb.go",
		`changed, kept, removed := item.OfCorrection(c, texts[0], texts[1])
	l.expire(changed, c.At)`, `changed, kept, removed := item.OfCorrection(c, texts[0], texts[1])`, expiry},
	{"let a mark expire with its claim", "shared/store/ledger/dynamodb/dynamodb.go",
		`l.expire(changed, c.ReceivedAt)`, `l.expire(claimed, c.ReceivedAt)`, expiry},
	{"let a claim expire never", "shared/store/ledger/dynamodb/dynamodb.go", `l.expire(claimed, c.ReceivedAt)
	p :=`, `p :=`, expiry},
	{"take an expired item for a new one too early", "shared/store/ledger/dynamodb/attributes.go",
		`p.name(item.Expires) + " < " +`, `p.name(item.Expires) + " > " +`, table},
	{"commit a duplicate again", "shared/store/ledger/dynamodb/attributes.go",
		`+ ", " + p.value("duplicate", item.S(string(ledger.Duplicate))) + ")"`, `+ ")"`, table},
	{"commit on another version of the agreement", "shared/store/ledger/dynamodb/attributes.go",
		`p.name(item.RecordVersion) + " = "`, `p.name(item.RecordVersion) + " >= "`, table},
	{"write over a newer release's item", "shared/store/ledger/dynamodb/attributes.go",
		`" <= " + p.value("current", item.N(item.Version))`, `" >= " + p.value("current", item.N(item.Version))`, table},
	{"overwrite the first copy's arrival", "shared/store/ledger/dynamodb/dynamodb.go",
		`u.setIfAbsent(kept)
	u.remove(removed)
	return`, `u.set(kept)
	u.remove(removed)
	return`, table},
	{"read one page of a history", "shared/store/ledger/dynamodb/dynamodb.go",
		`for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err`, `if pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err`, table},
	{"read one page of effects", "shared/store/ledger/dynamodb/dynamodb.go",
		`for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("committed", err)`, `if pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return wrap("committed", err)`, table},
	{"patrol one page", "shared/store/ledger/dynamodb/patrol.go",
		`return cursorAt(page.LastEvaluatedKey), nil`, `return cursorAt(nil), nil`, table},
	{"patrol from the beginning", "shared/store/ledger/dynamodb/patrol.go", `keyAt(from)`, `keyAt("")`, table},
	{"visit terminal agreements", "shared/store/ledger/dynamodb/patrol.go",
		`if s.Status.Terminal() {`, `if s.Status == "" {`, table},
	{"count a repetition twice", "shared/store/ledger/dynamodb/dynamodb.go",
		`p.value("one", item.N(1))`, `p.value("one", item.N(2))`, table},
	{"drop a repetition of an event with many subscriptions", "shared/store/ledger/dynamodb/dynamodb.go",
		`err = l.repeated(ctx, key, "")`, `return nil`, table},
	{"take a lost answer to a note for a conflict", "shared/store/ledger/dynamodb/notes.go",
		`foundVersion == version+1 && found == text`, `foundVersion == version && found == text`, table},
	{"write a note over another", "shared/store/ledger/dynamodb/notes.go",
		`foundVersion == version+1 && found == text`, `foundVersion == version+1 || found == text`, table},
	{"take a throttled table for a failure", "shared/store/ledger/dynamodb/dynamodb.go",
		`case "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded":`, `case "TransactionConflict":`,
		"store/ledger/dynamodb TestReasonsOfACancelledTransaction"},
	{"commit too much together", "shared/store/ledger/dynamodb/dynamodb.go",
		`maxTogether = 256 << 10`, `maxTogether = 256 << 20`, table},
	{"replay up to and including the end", "shared/store/ledger/dynamodb/dynamodb.go",
		`at + " < " + p.value("to", item.Instant(to))`, `at + " <= " + p.value("to", item.Instant(to))`, table},
	{"write times in the zone of the process", "shared/store/ledger/item/item.go",
		`S(t.UTC().Format(`, `S(t.Format(`, table},
	{"write times that do not sort", "shared/store/ledger/item/item.go",
		`"2006-01-02T15:04:05.000000000Z07:00"`, `"2006-01-02T15:04:05.999999999Z07:00"`, table},
	{"forget the time of a claim", "shared/store/ledger/item/event.go", `i[OccurredAt] = Instant(c.OccurredAt)`,
		`_ = c.OccurredAt`, table},
	{"forget when an event was corrected", "shared/store/ledger/item/event.go",
		`CorrectedAt: Instant(c.At),
		Proof`, `Proof`, table},
	{"swap an event's statuses", "shared/store/ledger/item/event.go",
		`plain[StatusBefore] = S(string(c.StatusBefore))
		plain[StatusAfter] = S(string(c.StatusAfter()))`, `plain[StatusBefore] = S(string(c.StatusAfter()))
		plain[StatusAfter] = S(string(c.StatusBefore))`, table},
	{"keep an agreement's version", "shared/store/ledger/item/agreement.go",
		`i[RecordVersion] = N(last.Version + 1)`, `i[RecordVersion] = N(last.Version)`, table},

	{"store long events as JSON", "shared/store/ledger/item/pack.go",
		`if all.Bytes() <= Unit-expiryBytes-countBytes {`, `if all.Bytes() <= 400<<10 {`,
		"lab/template TestAUsualEventFitsOneUnit"},
	{"leave the claim's fields in a packed event", "shared/store/ledger/dynamodb/dynamodb.go",
		`u.setIfAbsent(kept)
	u.remove(removed)
	return`, `u.setIfAbsent(kept)
	u.remove(removed[:1])
	return`, "lab/template TestAUsualEventFitsOneUnit"},
	{"take a packed event's time for exact", "shared/store/ledger/item/pack.go",
		`packed[Event] = S(InexactMark)`, `packed[Event] = S("inexact")`, "store/ledger/item TestAnEventHasOneForm"},
	{"take a vendor's text for a mark", "shared/store/ledger/item/pack.go",
		`possible = false`, `possible = true`, "store/ledger/item TestAnEventHasOneForm"},
	{"publish a packed event without its agreement", "shared/store/ledger/item/pack.go",
		`objects[Agreement] = c.Agreement`, `delete(objects, Agreement)`, "publish TestRecordsOfVersion2"},
	{"count no duplicates of a packed event", "shared/store/ledger/dynamodb/attributes.go",
		`" AND attribute_exists(" + p.name(item.Packed) + "))"`,
		`" AND attribute_not_exists(" + p.name(item.Packed) + "))"`, "store/ledger/dynamodb TestItemsOfVersion2"},
	{"change the dictionary", "shared/store/ledger/item/pack.go",
		"`\"sha256\":\"=\",\"size\":2000}`", "`\"size\":2000,\"sha256\":\"=\"}`",
		"store/ledger/dynamodb TestItemsOfVersion2"},
	{"leave the names of a hashed agreement out", "shared/store/ledger/item/agreement.go",
		`i.string(PK) == i.string(Provider)+"#"+i.string(AgreementID)`, `strings.Contains(i.string(PK), "#")`,
		"store/ledger/item TestATrimmedAgreementIsPatrolled"},
	{"leave the time of a trimmed agreement unread", "shared/store/ledger/dynamodb/patrol.go",
		`item.ReceivedAt,
	item.Agreement,`, `item.ReceivedAt,`, "store/ledger/dynamodb TestAPatrolReadsATrimmedAgreement"},
	{"embedded: claim a known event again", "shared/store/ledger/embedded/embedded.go",
		`if e.State != ledger.New || !buried.IsZero() {
			return false
		}
		fill(e, c)
		e.State = ledger.Received`, `if e.State.Settled() || !buried.IsZero() {
			return false
		}
		fill(e, c)
		e.State = ledger.Received`, embedded},
	{"embedded: commit on another version of the agreement", "shared/store/ledger/embedded/embedded.go",
		`if r.Version != expected {`, `if r.Version > expected {`, embedded},
	{"embedded: commit an event twice", "shared/store/ledger/embedded/embedded.go",
		`case entries[i].State.Settled() || twice:`, `case entries[i].State.Settled() && !twice:`, embedded},
	{"embedded: publish nothing that is processed", "shared/store/ledger/embedded/stream.go",
		`e.State != ledger.Processed {`, `e.State == ledger.Processed {`, embedded},
	{"embedded: forget one change more", "shared/store/ledger/embedded/stream.go",
		`binary.BigEndian.Uint64(k) < before`, `binary.BigEndian.Uint64(k) <= before`, embedded},
	{"embedded: do not signal a change", "shared/store/ledger/embedded/stream.go",
		`tx.OnCommit(l.signal)`, ``, embedded},
	{"embedded: do not signal earlier changes", "shared/store/ledger/embedded/embedded.go",
		`l.signal()
	return`, `return`, "store/ledger/embedded TestChangedSignalsNewRecords"},
	{"embedded: skip an agreement between two pages", "shared/store/ledger/embedded/references.go",
		`next = last`, `next = max(last, subject)`, embedded},
	{"embedded: patrol one part", "shared/store/ledger/embedded/patrol.go", `next = string(k)`, `next = ""`, embedded},
	{"embedded: write a note over another", "shared/store/ledger/embedded/notes.go",
		`case stored.Version != expected:`, `case stored.Version > expected:`, embedded},

	{"queue: forget the receives at a restart", "shared/store/queue/embedded/embedded.go",
		`tx.Bucket(q.receives).Put(sequenceKey(e.sequence), count)`, `tx.Bucket(q.receives).Put(sequenceKey(0), count)`,
		localQueue},
	{"queue: deliver a group at once", "shared/store/queue/embedded/embedded.go",
		`case e.reserved:
			blocked[e.group] = true`, `case e.reserved:`, localQueue},
	{"queue: deliver a group while a message is in flight", "shared/store/queue/embedded/embedded.go",
		`case e.visibleAt.After(now):
			blocked[e.group] = true`, `case e.visibleAt.After(now):`, localQueue},
	{"queue: deduplicate for five seconds", "shared/store/queue/embedded/embedded.go",
		`deduplicationWindow = 5 * time.Minute`, `deduplicationWindow = 5 * time.Second`, localQueue},
	{"queue: remember no deduplication ID", "shared/store/queue/embedded/embedded.go",
		`err == nil && now.Before(t)`, `err == nil && now.After(t)`, localQueue},
	{"queue: one attempt too many", "shared/store/queue/embedded/embedded.go",
		`receives > q.config.MaxReceives`, `receives > q.config.MaxReceives+1`, localQueue},
	{"queue: keep the deduplication ID of a dead letter", "shared/store/queue/embedded/embedded.go",
		`m.DeduplicationID = q.config.Name + "-" + e.id()`, ``, localQueue},
	{"queue: drop dead letters", "shared/store/queue/embedded/embedded.go",
		`if err := q.config.DeadLetters.append(tx, m); err != nil {
		return err
	}`, ``, localQueue},
	{"queue: hold a reserved message", "shared/store/queue/embedded/embedded.go",
		`e.reserved = false`, `e.reserved = true`, localQueue},
	{"queue: accept an old receipt", "shared/store/queue/embedded/embedded.go",
		`ok && q.pending[i].receipt == receipt && !q.pending[i].reserved`, `ok && !q.pending[i].reserved`, localQueue},
	{"queue: delete nothing if one receipt is invalid", "shared/store/queue/embedded/embedded.go",
		`errs = append(errs, err)
			continue`, `q.mu.Unlock()
			return err`, localQueue},

	{"SQS: swap group and deduplication ID", "shared/store/queue/sqs/sqs.go",
		`MessageGroupId: &m.Group, MessageDeduplicationId: &m.DeduplicationID`,
		`MessageGroupId: &m.DeduplicationID, MessageDeduplicationId: &m.Group`, "store/queue/sqs TestRequests"},
	{"SQS: send no trace", "shared/store/queue/sqs/sqs.go", `if m.Trace != "" {`, `if m.Trace == "" {`,
		"store/queue/sqs TestRequests"},
	{"SQS: delay in milliseconds", "shared/store/queue/sqs/jobs.go",
		`math.Ceil(d.Seconds())`, `math.Ceil(float64(d.Milliseconds()))`, "store/queue/sqs TestRequests"},
	{"SQS: delay by nothing", "shared/store/queue/sqs/jobs.go",
		`math.Ceil(d.Seconds())`, `math.Floor(d.Seconds())`, "store/queue/sqs TestRequests"},
	{"SQS: park in the queue itself", "shared/store/queue/sqs/jobs.go",
		`QueueUrl: &j.deadLetterURL`, `QueueUrl: &j.url`, "store/queue/sqs TestRequests"},

	{"payload folder: do not sync a file", "shared/store/payload/folder/folder.go",
		`errors.Join(err, durable.Fsync(file), file.Close())`, `errors.Join(err, file.Close())`,
		"store/payload/folder TestAPayloadSurvivesAPowerFailure"},
	{"payload folder: do not sync a name", "shared/store/payload/folder/folder.go",
		`return err
	}
	return durable.Sync(dir)`, `return err
	}
	return nil`, "store/payload/folder TestAPayloadSurvivesAPowerFailure"},
	{"payload folder: do not sync a name that is there", "shared/store/payload/folder/folder.go",
		`if _, err := os.Stat(path); err == nil {
		return durable.Sync(dir)`, `if _, err := os.Stat(path); err == nil {
		return nil`, "store/payload/folder TestAPayloadSurvivesAPowerFailure"},
	{"payload folder: do not sync new folders", "shared/store/payload/folder/folder.go",
		`durable.Mkdir(s.dir, dir)`, `os.MkdirAll(dir, 0o700)`, "store/payload/folder TestAPayloadSurvivesAPowerFailure"},
	{"document folder: do not sync a file", "shared/store/document/folder/folder.go",
		`errors.Join(err, durable.Fsync(file), file.Close())`, `errors.Join(err, file.Close())`,
		"store/document/folder TestADocumentSurvivesAPowerFailure"},
	{"document folder: do not sync a name", "shared/store/document/folder/folder.go",
		`return durable.Sync(filepath.Dir(path))`, `return nil`, "store/document/folder TestADocumentSurvivesAPowerFailure"},
	{"document folder: do not sync new folders", "shared/store/document/folder/folder.go",
		`durable.Mkdir(s.dir, filepath.Dir(path))`, `os.MkdirAll(filepath.Dir(path), 0o700)`,
		"store/document/folder TestADocumentSurvivesAPowerFailure"},
	{"sync only the last folder", "shared/plumbing/durable/durable.go",
		`for above := filepath.Dir(filepath.Clean(root)); dir != above; dir = filepath.Dir(dir) {`,
		`for above := filepath.Dir(dir); dir != above; dir = filepath.Dir(dir) {`,
		"store/payload/folder TestAPayloadSurvivesAPowerFailure"},
	{"ignore a failed sync of a folder", "shared/plumbing/durable/durable.go",
		`errors.Join(Fsync(d), d.Close())`, `d.Close()`, "store/payload/folder TestAPayloadSurvivesAPowerFailure"},
	{"accept changes after a failed sync", "shared/plumbing/groupcommit/groupcommit.go",
		`if db.broken != nil {`, `if false {`, "plumbing/groupcommit TestNothingIsAcceptedAfterAFailedSync"},
	{"report the commit of a change that failed", "shared/plumbing/groupcommit/groupcommit.go",
		`if !m.failed {`, `if m.failed {`, "plumbing/groupcommit Test.*"},
	{"leave a failed change in its group", "shared/plumbing/groupcommit/groupcommit.go",
		`left[failed].failed = true`, `left[0].failed = true`, "plumbing/groupcommit Test.*"},

	{"EventBridge: send everything again", "shared/store/bus/eventbridge/eventbridge.go",
		`		waiting = failed`, `		_ = failed
		break`, "store/bus/eventbridge Test.*"},
	{"EventBridge: take part of an answer for success", "shared/store/bus/eventbridge/eventbridge.go",
		`err == nil && len(out.Entries) != len(batch)`, `err == nil && len(out.Entries) > len(batch)`,
		"store/bus/eventbridge Test.*"},
	{"EventBridge: ignore refused entries", "shared/store/bus/eventbridge/eventbridge.go",
		`out.Entries[i].ErrorCode != nil`, `out.Entries[i].ErrorCode == nil`, "store/bus/eventbridge Test.*"},
	{"EventBridge: publish at the time of the publication", "shared/store/bus/eventbridge/eventbridge.go",
		`Time: &e.Time,`, ``, "store/bus/eventbridge Test.*"},
	{"metrics in seconds", "shared/plumbing/metric/metric.go",
		`float64(d.Microseconds()) / 1000`, `float64(d.Microseconds()) / 1e6`, "plumbing/metric Test.*"},
	{"metrics with a time in seconds", "shared/plumbing/metric/metric.go",
		`l.now().UnixMilli()`, `l.now().Unix()`, "plumbing/metric Test.*"},
	{"drop all but one value of a header", "shared/plumbing/apigw/apigw.go",
		`values(e.MultiValueHeaders, e.Headers)`, `values(nil, e.Headers)`, "plumbing/apigw Test.*"},
	{"read base64 as text", "shared/plumbing/apigw/apigw.go",
		`if e.IsBase64Encoded {`, `if !e.IsBase64Encoded {`, "plumbing/apigw Test.*"},
}
