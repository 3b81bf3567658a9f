package template

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/outlet"
	"esignhooks/shared/publish"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
	"esignhooks/shared/store/queue"
	wiring "esignhooks/shared/wiring/lambda"
)

const day = 24 * time.Hour

// maxRetention is the longest time for which SQS keeps a message.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
const maxRetention = 14 * day

// logical returns the logical ID in <ID> or <ID.Attribute>.
func logical(value string) string {
	id, _, _ := strings.Cut(strings.Trim(value, "<>"), ".")
	return id
}

// queueNames are the names of the queues, after the stack's.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html: 80 characters. A
// stack's name must leave room for the longest: see TestALongStackNameIsRefusedAtOnce.
var queueNames = map[string]string{
	"Queue": "deliveries.fifo", "DeadLetterQueue": "dead-letters.fifo",
	"OutletQueue": "outlet.fifo", "OutletDeadLetterQueue": "outlet-dead-letters.fifo",
	"DocumentQueue": "documents", "DocumentDeadLetterQueue": "document-dead-letters",
}

// queueRules expects that a message waits long enough in each queue, and then goes to a dead-letter queue.
func queueRules(c *checker) {
	readers := map[string]string{} // the function, by queue
	for _, mapping := range c.of("AWS::Lambda::EventSourceMapping") {
		readers[logical(c.get(mapping+".EventSourceArn"))] = logical(c.get(mapping + ".FunctionName"))
	}
	for _, name := range c.of("AWS::SQS::Queue") {
		own, _ := strings.CutPrefix(c.get(name+".QueueName"), "<AWS::StackName>-")
		c.holds(own == queueNames[name], "%s is called %q: another name would replace it, with its messages", name, own)
		fifo := strings.HasSuffix(own, ".fifo")
		want := map[string]string{ // one of both encrypts it
			"SqsManagedSseEnabled": strconv.FormatBool(c.keyOr("") == ""), "KmsMasterKeyId": c.keyOr(absent),
		}
		if fifo {
			want["FifoQueue"] = "true"
			want["ContentBasedDeduplication"] = "false" // queue.Encode makes the deduplication ID
			want["DeduplicationScope"] = "messageGroup" // with the next line: high throughput
			want["FifoThroughputLimit"] = "perMessageGroupId"
			// A queue that was made earlier would keep 256 KB.
			c.holds(c.number(name+".MaximumMessageSize") == queue.MaxMessage, "%s takes no message of %d bytes", name,
				queue.MaxMessage)
		}
		c.want(name+".", want)
		retention := c.seconds(name + ".MessageRetentionPeriod")
		reader, isRead := readers[name]
		if !isRead { // a dead-letter queue
			c.holds(retention == maxRetention, "%s keeps dead letters for %s", name, retention)
			continue
		}
		c.readQueue(name, reader, fifo, retention)
	}
	c.holds(strings.HasSuffix(c.get("Queue.QueueName"), ".fifo"), "the order within an agreement is lost")
	c.holds(!strings.HasSuffix(c.get("DocumentQueue.QueueName"), ".fifo"), "EventBridge sends no group")
}

// readQueue expects of a queue that a function reads that all retries fit into the retention, and the whole life of a
// message into the shortest expiry of an event.
func (c *checker) readQueue(name, reader string, fifo bool, retention time.Duration) {
	// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html: at least six times the timeout. More
	// would only delay retries.
	visible, timeout := c.seconds(name+".VisibilityTimeout"), c.seconds(reader+".Timeout")
	c.holds(visible == 6*timeout, "%s hides messages for %s, and %s may take %s", name, visible, reader, timeout)
	letters := logical(c.get(name + ".RedrivePolicy.deadLetterTargetArn"))
	c.want(name+".", map[string]string{"RedrivePolicy.deadLetterTargetArn": "<" + letters + ".Arn>"})
	const arn = "arn:<AWS::Partition>:sqs:<AWS::Region>:<AWS::AccountId>:"
	c.want(letters+".RedriveAllowPolicy.", map[string]string{
		"redrivePermission": "byQueue", "sourceQueueArns": "[" + arn + c.get(name+".QueueName") + "]",
	})
	// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_StartMessageMoveTask.html: both are
	// FIFO, or none.
	c.holds(fifo == strings.HasSuffix(c.get(letters+".QueueName"), ".fifo"), "%s cannot have the dead letters of %s",
		letters, name)
	receives := c.number(name + ".RedrivePolicy.maxReceiveCount")
	if !fifo {
		// A message of a standard queue keeps its age in the dead-letter queue.
		retries := time.Duration(0)
		for i := range receives {
			retries += min(archive.FirstDelay<<min(i, 10), archive.MaxDelay)
		}
		c.holds(retention == maxRetention && (retries-2*day).Abs() < time.Hour, "%s retries for %s, not for two days", name,
			retries)
		return
	}
	if name == "OutletQueue" { // its function gives up itself
		const least = int(outlet.GiveUpAfter / outlet.MaxPause)
		c.holds(receives == 1000 && receives > 2*least, "%s gives up after %d attempts", name, receives)
		c.holds(retention == maxRetention, "%s keeps messages for %s", name, retention)
		return
	}
	retries := time.Duration(receives) * visible
	c.holds(retries == 10*time.Hour, "%s retries for %s, and operators are told 10 hours", name, retries)
	// A batch may wait behind others. In a worker's outage of a long weekend, the messages must survive.
	c.holds(retention == 4*day, "%s keeps messages for %s", name, retention)
	c.holds(2*retention+maxRetention < wiring.MinExpiry*day,
		"a message may live for %s, and its event expires after %d days", 2*retention+maxRetention, wiring.MinExpiry)
}

// mappingRules expects of each event source mapping that a failure is retried, and that nothing is left out.
func mappingRules(c *checker) {
	sources := map[string]string{}
	for _, name := range c.of("AWS::Lambda::EventSourceMapping") {
		source := c.get(name + ".EventSourceArn")
		sources[source] = c.get(name + ".FunctionName")
		enabled := absent // true by default
		if name == "ArchiverSource" {
			enabled = c.ifAsked("true", "false")
		}
		c.want(name+".", map[string]string{
			// All our functions report what failed. Without this, Lambda takes the report for a success, and deletes the batch.
			// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
			"FunctionResponseTypes": "[ReportBatchItemFailures]",
			"Enabled":               enabled,
		})
		queueName, isQueue := c.values[logical(source)+".QueueName"]
		switch {
		case !isQueue:
			c.streamMapping(name)
		case source == "<OutletQueue.Arn>":
			c.want(name+".", map[string]string{
				"BatchSize":                        "1", // an application may be slow
				"ScalingConfig.MaximumConcurrency": "10",
			})
		case strings.HasSuffix(queueName, ".fifo"):
			c.want(name+".", map[string]string{
				"BatchSize":                        "10", // the most of a FIFO queue
				"ScalingConfig.MaximumConcurrency": c.parameters["MaxConcurrency"],
			})
		default:
			c.want(name+".", map[string]string{
				"BatchSize":                        "1", // the documents of one agreement may need all time and disk space
				"ScalingConfig.MaximumConcurrency": "2", // the least; the vendors' limits are low
			})
		}
	}
	for source, function := range map[string]string{
		"<Queue.Arn>": "<WorkerFunction>", c.streamARN(): "<PublisherFunction>",
		"<DocumentQueue.Arn>": "<ArchiverFunction>",
		"<OutletQueue.Arn>":   c.ifForwarded("<OutletFunction>"),
	} {
		c.holds(sources[source] == function, "%s reads %s", sources[source], source)
	}
}

// ifForwarded returns s if the stack has an outlet.
func (c *checker) ifForwarded(s string) string {
	if c.parameters["OutletUrl"] == "" {
		return ""
	}
	return s
}

// streamMapping expects that every commit reaches the publisher, and that what it cannot publish is kept.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-params.html and
// https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html
func (c *checker) streamMapping(name string) {
	c.want(name+".", map[string]string{
		"BatchSize":                               "100", // the default; its events fit in ten calls
		"BisectBatchOnFunctionError":              "true",
		"DestinationConfig.OnFailure.Destination": "<PayloadBucket.Arn>", // only a bucket gets the records themselves
		"MaximumRetryAttempts":                    "-1",                  // no limit but the age
		"MetricsConfig.Metrics":                   "[EventCount]",        // UnpublishedAlarm reads them
		"StartingPosition":                        "TRIM_HORIZON",        // LATEST misses commits while the mapping is made
		"ParallelizationFactor":                   absent,
		"FilterCriteria.Filters.1.Pattern":        absent,
	})
	age := c.seconds(name + ".MaximumRecordAgeInSeconds")
	c.holds(age == 12*time.Hour, "records are kept in the bucket after %s, and operators are told 12 hours", age)
	c.filter(c.get(name + ".FilterCriteria.Filters.0.Pattern"))
}

// filter evaluates a pattern on records of the stream, as the drivers write them: every commit and correction must
// pass.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html: a field matches if it is one of
// the listed values. An absent field does not match.
func (c *checker) filter(pattern string) {
	var parsed any
	if err := json.Unmarshal([]byte(pattern), &parsed); err != nil {
		c.errorf("the filter is no JSON: %v", err)
		return
	}
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	entry := ledger.Entry{
		Key: ledger.Key{Subject: "acmesign#a", ID: "e"}, State: ledger.Processed, ProcessedAt: at,
		Event: &esign.Event{ID: "e", Provider: "acmesign", Type: esign.AgreementSent, Subject: "acmesign#a", OccurredAt: at},
	}
	for _, before := range []ledger.State{ledger.New, ledger.Received, ledger.Processed} {
		for _, state := range []ledger.State{ledger.Processed, ledger.Received, ledger.Duplicate, ledger.Unreadable} {
			record, err := publish.Record(1, before, entry)
			if err != nil {
				c.errorf("%v", err)
				return
			}
			record.Change.NewImage[item.State] = events.NewStringAttribute(string(state))
			var read any
			b, err := json.Marshal(record)
			if err == nil {
				err = json.Unmarshal(b, &read)
			}
			passes := matches(parsed, read)
			c.holds(err == nil && passes == (state == ledger.Processed), "the filter passes a record of state %s: %t", state,
				passes)
		}
	}
}

// matches reports whether a value matches a pattern of objects and of lists of texts.
func matches(pattern, value any) bool {
	switch p := pattern.(type) {
	case map[string]any:
		v, ok := value.(map[string]any)
		for name, member := range p {
			ok = ok && matches(member, v[name])
		}
		return ok
	case []any:
		return slices.Contains(p, value)
	}
	return false
}

// bucketRules expects that buckets are private, that no object is lost by a mistake, and that payloads outlive every
// message that refers to them.
func bucketRules(c *checker) {
	policies := map[string]string{}
	for _, name := range c.of("AWS::S3::BucketPolicy") {
		bucket := logical(c.get(name + ".Bucket"))
		policies[bucket] = name
		c.want(name+".", map[string]string{
			"Bucket": "<" + bucket + ">", "PolicyDocument.Version": "2012-10-17",
			"PolicyDocument.Statement.0.Effect": "Deny", "PolicyDocument.Statement.0.Principal": "*",
			"PolicyDocument.Statement.0.Action":                             "s3:*",
			"PolicyDocument.Statement.0.Resource":                           "[<" + bucket + ".Arn>, <" + bucket + ".Arn>/*]",
			"PolicyDocument.Statement.0.Condition.Bool.aws:SecureTransport": "false",
		})
	}
	lifetimes := map[string]time.Duration{ // 0: without limit
		// The longest life of a message. Operators are told 30 days too.
		"PayloadBucket": max(2*c.seconds("Queue.MessageRetentionPeriod")+c.seconds("DeadLetterQueue.MessageRetentionPeriod")+
			day, 30*day),
		"DocumentBucket": 0,
	}
	if days := c.parameters["ArchiveDays"]; days != "0" {
		n, _ := strconv.Atoi(days)
		lifetimes["ArchiveBucket"] = time.Duration(n) * day
	}
	const rule = ".LifecycleConfiguration.Rules.0."
	for _, name := range c.of("AWS::S3::Bucket") {
		c.holds(policies[name] != "", "%s has no policy, and may be reached without TLS", name)
		algorithm, cached := "AES256", absent
		if c.keyOr("") != "" {
			algorithm, cached = "aws:kms", "true"
		}
		c.want(name+".BucketEncryption.ServerSideEncryptionConfiguration.0.", map[string]string{
			"ServerSideEncryptionByDefault.SSEAlgorithm":   algorithm,
			"ServerSideEncryptionByDefault.KMSMasterKeyID": c.keyOr(absent),
			"BucketKeyEnabled":                             cached,
		})
		c.want(name+".", map[string]string{
			"OwnershipControls.Rules.0.ObjectOwnership":            "BucketOwnerEnforced",
			"PublicAccessBlockConfiguration.BlockPublicAcls":       "true",
			"PublicAccessBlockConfiguration.BlockPublicPolicy":     "true",
			"PublicAccessBlockConfiguration.IgnorePublicAcls":      "true",
			"PublicAccessBlockConfiguration.RestrictPublicBuckets": "true",
			// to restore objects
			"VersioningConfiguration.Status": "Enabled",
		})
		lifetime, known := lifetimes[name]
		c.holds(known, "how long does %s keep its objects?", name)
		if lifetime == 0 {
			c.want(name, map[string]string{rule + "Status": absent, rule + "ExpirationInDays": absent})
			continue
		}
		c.want(name+rule, map[string]string{
			"Status": "Enabled", "AbortIncompleteMultipartUpload.DaysAfterInitiation": "1",
			"NoncurrentVersionExpiration.NoncurrentDays": "1", "Prefix": absent,
		})
		days := time.Duration(c.number(name+rule+"ExpirationInDays")) * day
		c.holds(days == lifetime, "%s keeps objects for %s, not %s", name, days, lifetime)
	}
}

// tableName is the table that all functions use: the stack's own, or one that was restored.
func (c *checker) tableName() string {
	if table, _, restored := strings.Cut(c.parameters["TableStreamArn"], "/stream/"); restored {
		return table[strings.LastIndex(table, "/")+1:]
	}
	return "<Table>"
}

// streamARN is the stream of that table.
func (c *checker) streamARN() string {
	if restored := c.parameters["TableStreamArn"]; restored != "" {
		return restored
	}
	return "<Table.StreamArn>"
}

// ofTable returns a permission on the stack's own table as one on the table in use.
func (c *checker) ofTable(permission string) string {
	if table, _, restored := strings.Cut(c.parameters["TableStreamArn"], "/stream/"); restored {
		return strings.ReplaceAll(permission, "<Table.Arn>", table)
	}
	return permission
}

// tableRules expects the table of the drivers.
func tableRules(c *checker) {
	protected := c.parameters["DeletionProtection"]
	kind, encrypted := absent, absent
	if c.keyOr("") != "" {
		kind, encrypted = "KMS", "true"
	}
	for _, name := range c.of("AWS::DynamoDB::Table") {
		c.want(name+".", map[string]string{
			"AttributeDefinitions.0.AttributeName": item.PK, "AttributeDefinitions.0.AttributeType": "S",
			"AttributeDefinitions.1.AttributeName": item.SK, "AttributeDefinitions.1.AttributeType": "S",
			"KeySchema.0.AttributeName": item.PK, "KeySchema.0.KeyType": "HASH",
			"KeySchema.1.AttributeName": item.SK, "KeySchema.1.KeyType": "RANGE",
			"TimeToLiveSpecification.AttributeName": item.Expires, "TimeToLiveSpecification.Enabled": "true",
			// publish.Committed reads the new image, and the old one shows whether it was published before.
			"StreamSpecification.StreamViewType": "NEW_AND_OLD_IMAGES",
			"BillingMode":                        "PAY_PER_REQUEST", // nobody watches a capacity
			"DeletionProtectionEnabled":          protected,
			"PointInTimeRecoverySpecification.PointInTimeRecoveryEnabled": "true",
			"SSESpecification.KMSMasterKeyId":                             c.keyOr(absent), "SSESpecification.SSEType": kind,
			"SSESpecification.SSEEnabled": encrypted,
			"TableName":                   absent, // two stacks fit in an account
		})
	}
}

// busRules expects that every completion reaches the archiver's queue, or its dead-letter queue.
func busRules(c *checker) {
	for _, name := range c.of("AWS::Events::EventBus") {
		c.want(name+".", map[string]string{"Name": "<AWS::StackName>"})
	}
	targets := map[string]bool{}
	for _, name := range c.of("AWS::Events::Rule") {
		c.text(name + ".Description")
		queueARN, letters := c.get(name+".Targets.0.Arn"), c.get(name+".Targets.0.DeadLetterConfig.Arn")
		targets[queueARN] = true
		c.want(name+".", map[string]string{
			"EventBusName": "<EventBus>", "State": c.ifAsked("ENABLED", "DISABLED"),
			"Targets.0.Id":                   "documents",
			"Targets.0.DeadLetterConfig.Arn": c.get(logical(queueARN) + ".RedrivePolicy.deadLetterTargetArn"),
			"Targets.0.InputPath":            absent, "Targets.0.InputTransformer": absent, // all of it is read
		})
		c.pattern(name)
		for _, policy := range c.of("AWS::SQS::QueuePolicy") {
			const statement = "PolicyDocument.Statement.0."
			c.want(policy+".", map[string]string{
				"Queues":                 "[<" + logical(queueARN) + ">, <" + logical(letters) + ">]",
				"PolicyDocument.Version": "2012-10-17",
				statement + "Effect":     "Allow", statement + "Principal.Service": "events.amazonaws.com",
				statement + "Action":                            "sqs:SendMessage",
				statement + "Resource":                          "[" + queueARN + ", " + letters + "]",
				statement + "Condition.ArnEquals.aws:SourceArn": "<" + name + ".Arn>",
			})
		}
	}
	c.holds(targets["<DocumentQueue.Arn>"], "no rule sends completions to the archiver")
	c.holds(len(c.of("AWS::SQS::QueuePolicy")) == 1, "EventBridge may not send to the queue")
}

// pattern evaluates a rule's pattern on events of the bus: of every vendor, exactly completions must match.
func (c *checker) pattern(rule string) {
	properties, _ := c.resources[rule]["Properties"].(object)
	pattern, _ := properties["EventPattern"].(object)
	c.under(rule, "EventPattern")
	for _, kind := range []esign.Type{esign.AgreementCompleted, esign.AgreementSent, esign.AgreementArchived} {
		for _, replay := range []bool{false, true} {
			event := bus.EventOf(ledger.Entry{Event: &esign.Event{Provider: "acmesign", Type: kind}})
			event.Detail.Replay = replay
			matched := len(pattern) == 2 && among(pattern["source"], event.Source) &&
				among(pattern["detail-type"], event.DetailType)
			c.holds(matched == (kind == esign.AgreementCompleted), "%s matches %s: %t", rule, event.DetailType, matched)
		}
	}
	c.holds(!among(pattern["source"], "aws.s3"), "%s matches other events", rule)
}

// among reports whether a text is one of a pattern's values or begins with one of its prefixes.
//
// SPEC: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-create-pattern-operators.html
func among(pattern any, text string) bool {
	all, _ := pattern.([]any)
	return slices.ContainsFunc(all, func(one any) bool {
		if matcher, ok := one.(object); ok {
			prefix, ok := matcher["prefix"].(string)
			return ok && strings.HasPrefix(text, prefix)
		}
		return one == text
	})
}

func TestMatches(t *testing.T) {
	pattern := map[string]any{"a": map[string]any{"b": []any{"x", "y"}}}
	for text, want := range map[string]bool{
		`{"a":{"b":"y","c":1}}`: true, `{"a":{"b":"z"}}`: false, `{"a":{}}`: false, `{}`: false, `{"a":"y"}`: false,
	} {
		var value any
		if err := json.Unmarshal([]byte(text), &value); err != nil || matches(pattern, value) != want {
			t.Errorf("%s: %t, %v", text, !want, err)
		}
	}
}

// TestALongStackNameIsRefusedAtOnce runs make deploy with a SAM CLI that only shows its arguments.
func TestALongStackNameIsRefusedAtOnce(t *testing.T) {
	longest := 80
	for _, name := range queueNames {
		longest = min(longest, 80-len("-"+name))
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "sam"), []byte("#!/bin/sh\necho sam $*\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
	for name, accepted := range map[string]bool{
		"esignhooks": true, strings.Repeat("x", longest): true, strings.Repeat("x", longest+1): false,
		"": false, "1x": false, "a_b": false,
	} {
		command := exec.Command("make", "-s", "deploy", "STACK="+name)
		command.Dir = "../../.."
		out, err := command.CombinedOutput()
		if deployed := err == nil && strings.Contains(string(out), "sam deploy --stack-name "+name+"\n"); deployed != accepted ||
			!accepted && (strings.Contains(string(out), "sam ") || !strings.Contains(string(out), strconv.Itoa(longest))) {
			t.Errorf("%q: %v, %s", name, err, out)
		}
	}
	for file, stated := range map[string]string{
		"../../../template.yaml": "a name of %d characters", "../../docs/deploy.md": "at most %d characters",
	} {
		text, err := os.ReadFile(file)
		if stated = fmt.Sprintf(stated, longest); err != nil || !strings.Contains(string(text), stated) {
			t.Errorf("%s does not state %q: %v", file, stated, err)
		}
	}
}
