package template

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestBucketsAreClosedAndForgetNothingAtOnce checks that buckets are private, and that no function can delete or
// overwrite an object.
func TestBucketsAreClosedAndForgetNothingAtOnce(t *testing.T) {
	all := readTemplate(t)
	policies := map[string]string{}
	for _, policy := range all.of(t, "AWS::S3::BucketPolicy") {
		policies[referred(at(policy, "Bucket"))] = written(at(policy, "PolicyDocument", "Statement"))
	}
	for name := range all.of(t, "AWS::S3::Bucket") {
		all.expect(t, name, map[string]string{
			"BucketEncryption.ServerSideEncryptionConfiguration": "[[ServerSideEncryptionByDefault, [SSEAlgorithm, AES256]]]",
			"OwnershipControls.Rules":                            "[[ObjectOwnership, BucketOwnerEnforced]]",
			"PublicAccessBlockConfiguration": "[BlockPublicAcls, true, BlockPublicPolicy, true, IgnorePublicAcls, true, " +
				"RestrictPublicBuckets, true]",
			"VersioningConfiguration.Status": "Enabled",
		})
		want := "[[Effect, Deny, Principal, *, Action, s3:*, Resource, [!GetAtt " + name + ".Arn, !Sub ${" + name +
			".Arn}/*], Condition, [Bool, [aws:SecureTransport, false]]]]"
		if got := policies[name]; got != want {
			t.Errorf("%s may be reached without TLS: %s", name, got)
		}
	}
	all.expect(t, "DocumentBucket", map[string]string{"LifecycleConfiguration": ""}) // documents never expire
	writers := map[string][]string{}
	for name, function := range all.of(t, "AWS::Serverless::Function") {
		for action, on := range allowed(function) {
			if strings.HasPrefix(action, "s3:Delete") {
				t.Errorf("%s may %s", name, action)
			}
			for _, one := range on {
				if action == "s3:PutObject" && !strings.HasPrefix(one, "!Sub ${PayloadBucket.") {
					writers[name] = append(writers[name], one)
				}
			}
		}
	}
	const adds = "/* [Null, [s3:if-none-match, false]]" // it overwrites nothing
	if want := map[string][]string{
		"ArchiverFunction": {"!Sub ${DocumentBucket.Arn}" + adds}, "WorkerFunction": {"!Sub ${ArchiveBucket.Arn}" + adds},
	}; !maps.EqualFunc(writers, want, slices.Equal) {
		t.Errorf("they may write %q", writers)
	}
}

// TestTheArchiverGetsEveryCompletion checks the rule of the archiver's queue. An event that cannot be delivered to the
// queue must go to the dead-letter queue.
func TestTheArchiverGetsEveryCompletion(t *testing.T) {
	all := readTemplate(t)
	all.expect(t, "DocumentRule", map[string]string{
		"EventBusName": "!Ref EventBus",
		"EventPattern": "[source, [[prefix, esign.]], detail-type, [agreement.completed]]",
		"Targets": "[[Id, documents, Arn, !GetAtt DocumentQueue.Arn, DeadLetterConfig, " +
			"[Arn, !GetAtt DocumentDeadLetterQueue.Arn]]]",
	})
	all.expect(t, "DocumentQueuePolicy", map[string]string{
		"Queues": "[!Ref DocumentQueue, !Ref DocumentDeadLetterQueue]",
		"PolicyDocument.Statement": "[[Effect, Allow, Principal, [Service, events.amazonaws.com], Action, sqs:SendMessage, " +
			"Resource, [!GetAtt DocumentQueue.Arn, !GetAtt DocumentDeadLetterQueue.Arn], " +
			"Condition, [ArnEquals, [aws:SourceArn, !GetAtt DocumentRule.Arn]]]]",
	})
	all.expect(t, "ArchiverSource", map[string]string{
		"BatchSize": "1", "EventSourceArn": "!GetAtt DocumentQueue.Arn", "FunctionName": "!Ref ArchiverFunction",
		"FunctionResponseTypes": "[ReportBatchItemFailures]",
	})
}

// TestQueuesLoseNothing checks that a message stays invisible while a function may process it. A message that fails too
// often must go to a dead-letter queue that an alarm watches.
func TestQueuesLoseNothing(t *testing.T) {
	all := readTemplate(t)
	queues := all.of(t, "AWS::SQS::Queue")
	number := func(n yaml.Node) int {
		i, err := strconv.Atoi(n.Value)
		if err != nil {
			t.Fatal(err)
		}
		return i
	}
	watched := map[string]bool{}
	for _, alarm := range all.of(t, "AWS::CloudWatch::Alarm") {
		if at(alarm, "MetricName").Value == "ApproximateNumberOfMessagesVisible" && at(alarm, "Threshold").Value == "0" {
			watched[written(at(alarm, "Dimensions"))] = true
		}
	}
	served := 0
	for name, source := range all.of(t, "AWS::Lambda::EventSourceMapping") {
		queue := referred(at(source, "EventSourceArn"))
		if _, ok := queues[queue]; !ok {
			continue // the table's stream
		}
		served++
		timeout := number(at(all.Resources[referred(at(source, "FunctionName"))].Properties, "Timeout"))
		if visible := number(at(queues[queue], "VisibilityTimeout")); visible < 6*timeout {
			t.Errorf("%s: %d s are less than six times the %d s of the function of %s", queue, visible, timeout, name)
		}
		letters := referred(at(queues[queue], "RedrivePolicy", "deadLetterTargetArn"))
		all.expect(t, letters, map[string]string{
			"RedriveAllowPolicy.sourceQueueArns": "[!Sub arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:" +
				at(queues[queue], "QueueName").Value + "]",
			"MessageRetentionPeriod": strconv.Itoa(14 * 24 * 60 * 60),
		})
		if !watched["[[Name, QueueName, Value, !GetAtt "+letters+".QueueName]]"] {
			t.Errorf("no alarm reads %s", letters)
		}
	}
	if served < 2 {
		t.Errorf("functions read %d queues", served)
	}
	for name := range queues {
		all.expect(t, name, map[string]string{"SqsManagedSseEnabled": "true"})
	}
}

// TestThePublisherReadsEveryCommit checks that the stream has both images. The publisher publishes the new image, and
// the old one shows whether it was published before. A record that cannot be published must be kept in the bucket.
func TestThePublisherReadsEveryCommit(t *testing.T) {
	all := readTemplate(t)
	all.expect(t, "Table", map[string]string{"StreamSpecification.StreamViewType": "NEW_AND_OLD_IMAGES"})
	all.expect(t, "PublisherSource", map[string]string{
		"EventSourceArn":         "!GetAtt Table.StreamArn",
		"FilterCriteria.Filters": `[[Pattern, {"dynamodb":{"NewImage":{"state":{"S":["processed"]}}}}]]`,
		"StartingPosition":       "TRIM_HORIZON", "FunctionResponseTypes": "[ReportBatchItemFailures]",
		"MaximumRecordAgeInSeconds": "43200", "MaximumRetryAttempts": "-1",
		"DestinationConfig.OnFailure.Destination": "!GetAtt PayloadBucket.Arn", "MetricsConfig.Metrics": "[EventCount]",
	})
}

// TestRetainedResources checks that exactly the data, the secrets and the account's resources outlive the stack.
func TestRetainedResources(t *testing.T) {
	kept := []string{
		"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SecretsManager::Secret",
		"AWS::ApiGateway::Account", "AWS::IAM::Role", // the account's
	}
	for name, r := range readTemplate(t).Resources {
		want := ""
		if slices.Contains(kept, r.Type) {
			want = "Retain"
		}
		if r.DeletionPolicy != want || r.UpdateReplacePolicy != want {
			t.Errorf("%s has the policies %q and %q, not %q", name, r.DeletionPolicy, r.UpdateReplacePolicy, want)
		}
	}
}
