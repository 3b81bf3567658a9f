package mutants

// The tests that find mistakes in the wiring. None needs an engine.
const (
	deployed   = "wiring/lambda/background TestDeployedFunctions"
	arrives    = "wiring/lambda/background TestEveryParameterArrives"
	started    = "wiring/lambda/background (TestStartedFunctions|TestAFunctionWithoutItsVariablesEnds)"
	commands   = "wiring/lambda/background TestCommandsStartTheirFunction"
	patient    = "wiring/lambda/background (TestClientsGiveUpInTime|TestCallsAreRetried)"
	operators  = "stack TestADeployedStack"
	underLocal = "wiring/lambda TestUnderSAMLocal"
)

const (
	receiverGo   = "shared/wiring/lambda/receiver.go"
	samLocalGo   = "shared/wiring/lambda/samlocal.go"
	awsGo        = "shared/wiring/lambda/aws.go"
	configGo     = "shared/wiring/lambda/config.go"
	keysGo       = "shared/wiring/lambda/keys.go"
	environGo    = "shared/wiring/lambda/environment.go"
	workerGo     = "shared/wiring/lambda/background/worker.go"
	publisherGo  = "shared/wiring/lambda/background/publisher.go"
	archiverGo   = "shared/wiring/lambda/background/archiver.go"
	reconcilerGo = "shared/wiring/lambda/background/reconciler.go"
	clientsGo    = "shared/wiring/lambda/background/clients.go"
	backgroundGo = "shared/wiring/lambda/background/config.go"
)

var inWiring = []mistake{
	{"let the development keys count without an endpoint of the secrets", samLocalGo,
		`os.Stat) && !HasEndpoint(service)`, `os.Stat) || !HasEndpoint(service)`, deployed},
	{"let an endpoint alone make the development keys count", samLocalGo,
		`samLocal(os.LookupEnv, os.Stat) && !HasEndpoint(service)`, `HasEndpoint(service)`, deployed},
	{"let AWS_SAM_LOCAL alone make the development keys count", samLocalGo,
		`local == "true" && stream == "$LATEST" && err == nil`, `local == "true" || stream == "$LATEST" && err == nil`, deployed},
	{"let any value of AWS_SAM_LOCAL be sam local", samLocalGo,
		`local == "true" &&`, `local != "" &&`, underLocal},
	{"never be under sam local", samLocalGo, `&& err == nil`, `&& err != nil`, underLocal},
	{"ask for the secrets' endpoint before temporary stores", receiverGo, `if Lacks("SQS")`, `if Lacks("SECRETS_MANAGER")`,
		underLocal},
	{"use the development keys unless under sam local", receiverGo,
		`r.Keys = k.get; Lacks("SECRETS_MANAGER")`, `r.Keys = k.get; !Lacks("SECRETS_MANAGER")`, deployed},
	{"let the receiver's claims never expire", receiverGo,
		`dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, c.ExpireAfter)`, `dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, 0)`,
		arrives},
	{"let what the worker writes never expire", workerGo,
		`dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, c.ExpireAfter)`, `dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, 0)`,
		arrives},
	{"let the reconciler forget the expiry", reconcilerGo, `Remembers: c.ExpireAfter,`, ``, arrives},
	{"take the silence for the expiry", reconcilerGo, `Remembers: c.ExpireAfter,`, `Remembers: c.SilentAfter,`, arrives},
	{"send large payloads to the table's name", receiverGo, `s3.New(S3Client(a), c.PayloadBucket)`,
		`s3.New(S3Client(a), c.Table)`, deployed},
	{"require no URL token", receiverGo, `c.RequireURLToken && !p.Info().SignsAll`, `c.RequireURLToken && p.Info().SignsAll`,
		deployed},
	{"require a URL token whatever the parameter", receiverGo, `c.RequireURLToken && !p`, `!p`, arrives},
	{"give a receiver the patience of other functions", receiverGo, `AWS(ReceiverResponseTimeout)`, `AWS(ResponseTimeout)`, patient},
	{"give the receiver no metrics", receiverGo, `r.Metrics = metric.New(metrics, c.MetricsNamespace, time.Now)`, ``, deployed},
	{"warn of missing keys when there are some", receiverGo, `return webhook.RefusesAll(p, keys)`, `return !webhook.RefusesAll(p, keys)`,
		deployed},
	{"prepare nothing before the first request", receiverGo, `Prepare(receiver, log)`, ``, started},
	{"open no connection to the queue before the first request", receiverGo,
		`calls.Go(func() { r.Queue.Send(ctx, queue.Message{}) })`, ``, started},
	{"go on with a wrong configuration", receiverGo, `os.Exit(1)`, ``, started},
	{"prepare for as long as the services hang", receiverGo,
		`PrepareTimeout = time.Second`, `PrepareTimeout = time.Minute`, "wiring/lambda TestAStartWaitsASecondForServicesThatHang"},
	{"log without the provider", receiverGo, `.With("provider", p.Info().Name)`, ``, started},
	{"read the queue's URL from the dead letters' variable", configGo, `e.Required("QUEUE_URL")`,
		`e.Required("DEAD_LETTER_QUEUE_URL")`, deployed},
	{"swap the receiver's table and bucket", configGo, `e.Required("TABLE_NAME")`, `e.Required("PAYLOAD_BUCKET")`, deployed},
	{"read an expiry as hours", environGo, `time.Duration(days) * 24 * time.Hour`, `time.Duration(days) * time.Hour`, arrives},
	{"read hours as days", environGo, `time.Duration(hours) * time.Hour`, `time.Duration(hours) * 24 * time.Hour`, arrives},
	{"take false for true", environGo, `return value == "true"`, `return value == "false"`, deployed},
	{"keep keys of a secret for an hour", keysGo, `RefreshAfter = 60 * time.Second`, `RefreshAfter = 60 * time.Minute`,
		"wiring/lambda TestKeysAreReadOnceInAMinute"},
	{"read the keys without the request's context", keysGo, `context.WithTimeout(ctx, ReadTimeout)`,
		`context.WithTimeout(context.Background(), ReadTimeout)`, deployed},
	{"take old keys for new ones", keysGo, `k.state.keys, k.state.known, k.state.nextRead = read, true,`,
		`k.state.known, k.state.nextRead = true,`, deployed},
	{"follow redirects of AWS", awsGo, `return http.ErrUseLastResponse`, `return nil`, patient},
	{"wait for a response as long as for the attempt", awsGo, `transport.ResponseHeaderTimeout = responseTimeout`,
		`transport.ResponseHeaderTimeout = timeout`, patient},
	{"wait for connections without limit", awsGo, `d.Timeout = 500 * time.Millisecond`, `d.Timeout = 500 * time.Second`, patient},
	{"wait for TLS without limit", awsGo, `transport.TLSHandshakeTimeout = 500 * time.Millisecond`,
		`transport.TLSHandshakeTimeout = 0`, patient},
	{"swap the timeouts of an attempt", awsGo, `HTTPClient(5*time.Second, responseTimeout)`, `HTTPClient(responseTimeout, 5*time.Second)`,
		patient},
	{"pay the standard price for a retry", awsGo, `o.RetryCost = 5`, `o.RetryCost = 14`, patient},
	{"give up at a truncated response", awsGo, `return aws.TrueTernary`, `return aws.FalseTernary`, "wiring/lambda TestWhatIsRetried"},
	{"do not retry a write during a transaction", awsGo, `"TransactionConflictException"`, `"TransactionCanceledException"`,
		"wiring/lambda TestWhatIsRetried"},
	{"use the credentials without their session", awsGo, `SessionToken: os.Getenv("AWS_SESSION_TOKEN"),`, ``,
		"wiring/lambda TestClientsTakeTheirConfigurationFromTheEnvironment"},
	{"send unreadable deliveries to the queue", backgroundGo, `e.Required("DEAD_LETTER_QUEUE_URL")`, `e.Required("QUEUE_URL")`,
		deployed},
	{"read large payloads from the archive", workerGo, `w.Payloads = s3.New(wiring.S3Client(a), c.PayloadBucket)`,
		`w.Payloads = s3.New(wiring.S3Client(a), c.ArchiveBucket)`, deployed},
	{"archive no payload", workerGo, `if c.ArchiveBucket != ""`, `if c.ArchiveBucket == ""`, deployed},
	{"use temporary stores unless under sam local", workerGo, `if wiring.Lacks("SQS")`, `if !wiring.Lacks("SQS")`, deployed},
	{"count nothing of the worker", workerGo, `w.Metrics = metric.New(metrics, c.MetricsNamespace, time.Now)`, ``, deployed},
	{"ignore the worker's configuration error", workerGo, `if err != nil { wiring.Fail(log, err) } return worker.Handle`,
		`_ = err
	return worker.Handle`, started},
	{"publish on the bus that is named like the bucket", backgroundGo, `e.Required("EVENT_BUS_NAME")`, `e.Required("PAYLOAD_BUCKET")`,
		deployed},
	{"write the publisher's metrics nowhere", publisherGo, `newPublisher(log, os.Stdout)`, `newPublisher(log, io.Discard)`, started},
	{"swap the archiver's queues", archiverGo, `c.JobQueueURL, c.JobDeadLetterQueueURL`, `c.JobDeadLetterQueueURL, c.JobQueueURL`,
		deployed},
	{"send findings to the archiver itself", archiverGo, `sqs.New(client, c.QueueURL)`, `sqs.New(client, c.JobQueueURL)`, deployed},
	{"upload documents with the patience of small calls", archiverGo, `s3.New(wiring.S3Client(forUploads(a)), c.DocumentBucket)`,
		`s3.New(wiring.S3Client(a), c.DocumentBucket)`, patient},
	{"swap the timeouts of an upload", archiverGo, `wiring.HTTPClient(uploadTimeout, uploadResponseTimeout)`,
		`wiring.HTTPClient(uploadResponseTimeout, uploadTimeout)`, patient},
	{"give the vendors' clients no clock", archiverGo, `Notes: notes, Now: time.Now}`, `Notes: notes}`, deployed},
	{"use an HTTP client without timeouts for the vendors", reconcilerGo, `HTTP: vendorapi.NewHTTPClient(),`, `HTTP: http.DefaultClient,`,
		deployed},
	{"never repair a subscription", reconcilerGo, `Repair: c.RepairSubscriptions,`, ``, arrives},
	{"repair if URL tokens are required", reconcilerGo, `Repair: c.RepairSubscriptions,`, `Repair: c.RequireURLToken,`, arrives},
	{"ask about silent agreements never", backgroundGo, `SilentAfter: e.Hours("SILENT_AGREEMENT_HOURS"),`, ``, arrives},
	{"reconcile after the invocation's end", reconcilerGo, `func(ctx context.Context) { reconciler.Run(ctx) }`,
		`func(ctx context.Context) { reconciler.Run(context.Background()) }`, started},
	{"expect the vendors' URLs without a token", reconcilerGo, `w.config.RequireURLToken && !p`, `!w.config.RequireURLToken && !p`,
		deployed},
	{"read another vendor's secret", clientsGo, `range arns {`, `range arns {
		arn = arns["docusign"]`, deployed},
	{"look a secret up by its cut name", backgroundGo, `if !strings.HasPrefix(arn, "arn:")`, `if strings.HasPrefix(arn, "arn:")`, deployed},
	{"read the credentials once and never again", clientsGo, `c.nextRead = c.now().Add(wiring.RefreshAfter)`,
		`c.nextRead = c.now().Add(wiring.RefreshAfter * 1000)`, deployed},
	{"receive DocuSign's webhooks as BoldSign", "functions/docusign/main.go", `wiring.Receiver(docusign.Provider{})`,
		`wiring.Receiver(boldsign.Provider{})`, commands},
	{"start the archiver as the reconciler", "functions/reconciler/main.go", `background.Reconciler(`, `background.Archiver(`, commands},
	{"process no vendor's deliveries", "functions/worker/main.go", `provider.All()`, `provider.All()[:1]`, commands},
	{"replay on the bus that is named like the table", "shared/stack/stack.go", `s.outputs["EventBusName"]`, `s.outputs["TableName"]`,
		operators},
	{"give the worker the archiver's jobs", "shared/stack/stack.go", `s.outputs["DocumentQueueUrl"]`, `s.outputs["QueueUrl"]`, operators},
	{"redrive the archiver's dead letters to the worker", "shared/stack/redrive.go",
		`"DocumentDeadLetterQueueUrl", "DocumentQueueUrl"`, `"DocumentDeadLetterQueueUrl", "QueueUrl"`, operators},
	{"move messages from the queue to the dead letters", "shared/stack/redrive.go", `SourceArn: &from, DestinationArn: &to`,
		`SourceArn: &to, DestinationArn: &from`, operators},
	{"let an operator act on a disabled vendor", "shared/stack/vendors.go", `value == "disabled" ||`, `value == "enabled" ||`, operators},
	{"call vendors without a client", clientsGo, `if !all.Has(provider) {
			continue
		}`, ``, deployed},
	{"send payloads without a checksum", awsGo, `aws.RequestChecksumCalculationWhenSupported`,
		`aws.RequestChecksumCalculationWhenRequired`, deployed},
	{"keep one idle connection", awsGo, `transport.MaxIdleConnsPerHost = 64`, `transport.MaxIdleConnsPerHost = 1`, patient},
	{"pause equally long before each retry", awsGo, `return rand.N(200 * time.Millisecond), nil`, `return 200 * time.Millisecond, nil`,
		patient},
	{"process deliveries of no vendor", workerGo, `newWorker(providers, log, os.Stdout)`, `newWorker(nil, log, os.Stdout)`, started},
	{"archive the documents of no vendor", archiverGo, `newArchiver(providers, log, os.Stdout)`, `newArchiver(nil, log, os.Stdout)`,
		started},
	{"start the archiver under sam local without engines", archiverGo, `if wiring.Lacks("SQS")`, `if false`,
		"wiring/lambda/background TestUnderSAMLocal"},
}
