package mutants

// The tests of localhost's loops.
const (
	failing  = "wiring/localhost TestNothingIsLostWhenAFunctionFails"
	ending   = "wiring/localhost TestNothingIsLostWhenTheProcessEnds"
	retrying = "wiring/localhost TestWhatNeverSucceedsBecomesADeadLetter"
	wired    = "wiring/localhost (TestEveryFunction.*|TestSettingsAreThoseOfTheTemplate)"
)

var inLocalhost = []mistake{
	{"localhost deletes what a function reports as failed", "shared/wiring/localhost/worker.go",
		`failed[failure.ItemIdentifier] = true`, `failed[failure.ItemIdentifier] = false`, failing},
	{"localhost opens its page to tunnels of Cloudflare", "shared/wiring/localhost/gateway.go",
		`strings.HasPrefix(name, "Cf-") ||`, `strings.HasPrefix(name, "CF-") ||`, "lab/gateway TestMalformedOperatorCommands"},
	{"localhost accepts a slash at the end of a webhook's path without a word", "shared/wiring/localhost/gateway.go",
		`if strings.HasSuffix(r.URL.Path, "/") {`, `if false {`, "lab/gateway TestASlashAtTheEndOfAPathIsLogged"},
	{"localhost deletes the messages of a failed invocation", "shared/wiring/localhost/worker.go",
		`answer, err := call(ctx, handler, batch)
	if err != nil {
		return err
	}`, `answer, err := call(ctx, handler, batch)
	if err != nil {
		answer = []byte("{}")
	}`, failing},
	{"localhost takes a panic for success", "shared/wiring/localhost/worker.go",
		`err = fmt.Errorf("panic: %s", debug.Stack())`, `answer, _ = []byte("{}"), fmt.Sprint(debug.Stack())`, failing},
	{"localhost ends with a panic of a function", "shared/wiring/localhost/worker.go",
		`if recover() != nil {`, `if err != nil {`, failing},
	{"localhost deletes no message", "shared/wiring/localhost/worker.go",
		`return from.DeleteBatch(ctx, done)`, `return ctx.Err()`, failing},
	{"localhost deletes what was received first only", "shared/wiring/localhost/worker.go",
		`return from.DeleteBatch(ctx, done)`, `return from.DeleteBatch(ctx, done[:min(1, len(done))])`, retrying},
	{"localhost swaps message ID and receipt", "shared/wiring/localhost/worker.go",
		`MessageId: r.ID, ReceiptHandle: r.Receipt`, `MessageId: r.Receipt, ReceiptHandle: r.ID`, failing},
	{"localhost makes a group of each message", "shared/wiring/localhost/worker.go",
		`"MessageGroupId": r.Group`, `"MessageGroupId": r.DeduplicationID`, failing},
	{"localhost does not count receives", "shared/wiring/localhost/worker.go",
		`strconv.Itoa(r.Receives)`, `strconv.Itoa(1)`, retrying},
	{"localhost passes no attributes", "shared/wiring/localhost/worker.go",
		`record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}`,
		`_, _ = name, value`, failing},
	{"localhost does not show what it has given up", "shared/wiring/localhost/worker.go",
		`return g.ledger.MarkFailed(tx, ledger.NewClaim(d, "", "", time.Time{}))`,
		`_ = ledger.NewClaim(d, "", "", time.Time{})
	return nil`, retrying},
	{"localhost forgets what the publisher reports as failed", "shared/wiring/localhost/publisher.go",
		`done = min(done, sequences[failure.ItemIdentifier])`, `_ = failure`, failing},
	{"localhost forgets all before the last failure", "shared/wiring/localhost/publisher.go",
		`done = min(done, sequences[failure.ItemIdentifier])`, `done = sequences[failure.ItemIdentifier]`, failing},
	{"localhost forgets the first failure", "shared/wiring/localhost/publisher.go",
		`g.ledger.Forget(done)`, `g.ledger.Forget(done + 1)`, failing},
	{"localhost forgets what a failed publisher did not publish", "shared/wiring/localhost/publisher.go",
		`answer, err := call(ctx, handler, payload)
	if err != nil {
		return false, err
	}`, `answer, err := call(ctx, handler, payload)
	if err != nil {
		answer = []byte("{}")
	}`, failing},
	{"localhost retries the publisher without a pause", "shared/wiring/localhost/publisher.go",
		`			case <-time.After(time.Second):
			}
		} else`, `			case <-time.After(0):
			}
		} else`, failing},
	{"localhost starts no publisher", "shared/wiring/localhost/gateway.go",
		`group.Go(func() { g.publish(ctx) })`, ``, failing},
	{"localhost starts no archiver", "shared/wiring/localhost/gateway.go",
		`group.Go(func() { g.archive(ctx) })`, ``, failing},
	{"localhost starts the archiver for several vendors only", "shared/wiring/localhost/gateway.go",
		`if len(g.clients) > 0 {`, `if len(g.clients) > 1 {`, failing},
	{"localhost starts no reconciler", "shared/wiring/localhost/gateway.go",
		`group.Go(func() { g.reconcile(ctx) })`, ``, failing},
	{"localhost closes the store while functions run", "shared/wiring/localhost/gateway.go",
		`	group.Wait()
	if errors`, `	if errors`, ending},
	{"localhost gives up after 3 attempts", "shared/wiring/localhost/gateway.go",
		`maxReceives = 25`, `maxReceives = 3`, retrying},
	{"localhost retries once a minute", "shared/wiring/localhost/gateway.go",
		`visibility = 5 * time.Second`, `visibility = time.Minute`, retrying},
	{"localhost has no dead letters", "shared/wiring/localhost/gateway.go",
		`MaxReceives: maxReceives, DeadLetters: g.dead,`, `DeadLetters: g.dead,`, retrying},
	{"localhost enqueues what cannot be read again", "shared/wiring/localhost/gateway.go",
		`DeadLetters: g.dead, Now: time.Now, Log: g.log,`, `DeadLetters: g.queue, Now: time.Now, Log: g.log,`, wired},
	{"localhost opens one queue twice", "shared/wiring/localhost/gateway.go",
		`Name: "deliveries",`, `Name: "dead-letters",`, failing},
	{"localhost listens on all addresses", "shared/wiring/localhost/config.go",
		`net.JoinHostPort("127.0.0.1", c.Port)`, `net.JoinHostPort("", c.Port)`,
		"wiring/localhost TestOnlyThisMachineIsListenedTo"},
	{"localhost accepts a development key beside others", "shared/wiring/localhost/config.go",
		`if keys.Development = !ok; !ok {`, `if keys.Development = !ok; list == "" {`,
		"wiring/localhost TestReadConfigOfKeys"},
	{"localhost reads the keys as tokens", "shared/wiring/localhost/config.go",
		`keys.URLTokens = webhook.Secrets(strings.Split(tokens, ",")...)`,
		`keys.URLTokens = webhook.Secrets(strings.Split(list+tokens[:0], ",")...)`, "wiring/localhost TestReadConfigOfKeys"},
	{"localhost keeps no names of new folders", "shared/wiring/localhost/store.go",
		`durable.Mkdir(string(filepath.Separator), dir)`, `durable.Mkdir(dir, dir)`,
		"wiring/localhost TestTheStoreSurvivesAPowerFailure"},
	{"localhost does not sync the name of its file", "shared/wiring/localhost/store.go",
		`errors.Join(db.Update(stampStore), durable.Sync(data))`, `db.Update(stampStore)`,
		"wiring/localhost TestTheStoreSurvivesAPowerFailure"},
	{"localhost does not sync its file", "shared/wiring/localhost/store.go",
		`&bbolt.Options{Timeout: time.Second}`, `&bbolt.Options{Timeout: time.Second, NoSync: true}`,
		"wiring/localhost TestTheStoreSurvivesAPowerFailure"},
	{"localhost opens the store of a newer release", "shared/wiring/localhost/store.go",
		`return format.Check(v, storeVersion)`, `return format.Check(storeVersion, v)`,
		"wiring/localhost TestAFolderOfANewerReleaseIsRefusedAndUntouched"},
	{"localhost publishes before the archiver has its job", "shared/wiring/localhost/vendors.go",
		`return slices.Repeat([]error{err}, len(events))`, `_ = slices.Repeat([]error{err}, len(events))`,
		"wiring/localhost TestAJobIsOnDiskBeforeItsEventIsPublished"},
	{"localhost archives only where there are no credentials", "shared/wiring/localhost/vendors.go",
		`b.g.clients[e.Detail.Event.Provider] == nil`, `b.g.clients[e.Detail.Event.Provider] != nil`, failing},
	{"localhost archives every event", "shared/wiring/localhost/vendors.go",
		`e.DetailType != string(esign.AgreementCompleted) ||`, `esign.AgreementCompleted == "" ||`,
		"wiring/localhost TestAJobIsOnDiskBeforeItsEventIsPublished"},
	{"localhost asks about agreements at once", "shared/wiring/localhost/vendors.go",
		`silentAfter = 24 * time.Hour`, `silentAfter = 24 * time.Minute`, wired},
	{"localhost never asks about agreements", "shared/wiring/localhost/vendors.go",
		`SilentAfter: silentAfter,`, ``, wired},
	{"localhost reconciles once", "shared/wiring/localhost/vendors.go",
		`case <-time.After(reconcileEvery):`, ``, failing},
	{"a pass of localhost hangs", "shared/wiring/localhost/vendors.go",
		`g.reconciler.Run(pass)`, `g.reconciler.Run(ctx)
		_ = pass`, failing},
	{"localhost gives up an archive after 3 attempts", "shared/wiring/localhost/vendors.go",
		`MaxReceives: jobReceives,`, `MaxReceives: 3,`, retrying},
	{"localhost uses the development key at the vendor", "shared/wiring/localhost/vendors.go",
		`if keys.Development {`, `if !keys.Development {`, "wiring/localhost TestAVendorGetsNoDevelopmentKey"},
	{"localhost redrives no jobs", "shared/wiring/localhost/operator.go",
		`g.jobs.DeadLetters.Redrive(g.jobs.Queue)`, `g.jobs.DeadLetters.Redrive(g.jobs.DeadLetters)`, retrying},
	{"localhost redrives no deliveries", "shared/wiring/localhost/operator.go",
		`g.dead.Redrive(g.queue)`, `g.dead.Redrive(g.dead)`, retrying},
	{"list more agreements than the limit", "shared/wiring/localhost/reference.go",
		`limit-len(page.Agreements)`, `limit`, "wiring/localhost TestAgreementsAreFoundByReference"},
}
