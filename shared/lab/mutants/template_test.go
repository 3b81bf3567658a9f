package mutants

// onRules is the test that evaluates the template and checks each value.
const onRules = "lab/template TestTheTemplateFollowsItsRules"

// inTemplate are mistakes in the template. The test of the rules must find each.
var inTemplate = inFile("template.yaml", onRules, [][3]string{
	{"give a message one attempt", `maxReceiveCount: 200`, `maxReceiveCount: 1`},
	{"query the logs of a vendor that is disabled",
		`DocuSign: !If [DocuSignEnabled, !Sub "SOURCE '${DocuSignLogs}' | ", '']`,
		`DocuSign: !Sub "SOURCE '${DocuSignLogs}' | "`},
	{"show the dead letters of an outlet that does not exist", `- Outlet: !If
            - Forwarded`, `- Outlet: !If
            - Asked`},
	{"lay one widget over another", `"x": 8, "y": 10,`, `"x": 7, "y": 10,`},
	{"delete what was acknowledged with the stack",
		`    Type: AWS::SQS::Queue
    DeletionPolicy: RetainExceptOnCreate
    UpdateReplacePolicy: Retain
    Properties:
      ContentBasedDeduplication: false # the receiver`,
		`    Type: AWS::SQS::Queue
    Properties:
      ContentBasedDeduplication: false # the receiver`},
	{"poll for documents that nobody asks for", `Enabled: !If [Asked, true, false]`, `Enabled: true`},
	{"log each success of Lambda", `SystemLogLevel: WARN`, `SystemLogLevel: INFO`},
	{"reconcile although nobody asks",
		`Schedule: rate(15 minutes)
            State: !If [Asked, ENABLED, DISABLED]`,
		`Schedule: rate(15 minutes)
            State: ENABLED`},
	{"stop the archiver while vendors are asked", `AskVendors:
    Type: String
    Default: 'true'`, `AskVendors:
    Type: String
    Default: 'false'`},
	{"watch for forgeries only if events are forwarded", `ForgedAlarm:
    Type: AWS::CloudWatch::Alarm
    Condition: Asked`, `ForgedAlarm:
    Type: AWS::CloudWatch::Alarm
    Condition: Forwarded`},
	{"keep messages for an hour", `MessageRetentionPeriod: 345600`, `MessageRetentionPeriod: 3600`},
	{"keep dead letters for four days",
		`MessageRetentionPeriod: 1209600 # 14 days`,
		`MessageRetentionPeriod: 345600 # 14 days`},
	{"let a message be received again while it is processed",
		`VisibilityTimeout: 180 # six times the worker's timeout`,
		`VisibilityTimeout: 30 # six times the worker's timeout`},
	{"give up archiving after minutes", `maxReceiveCount: 30`, `maxReceiveCount: 3`},
	{"take messages of a quarter of the size",
		`MaximumMessageSize: 1048576
      # Twice this time, plus 14 days in the dead-letter queue, is less than the shortest expiry of an event.`,
		`MaximumMessageSize: 262144
      # Twice this time, plus 14 days in the dead-letter queue, is less than the shortest expiry of an event.`},
	{"deduplicate over the whole queue",
		`ContentBasedDeduplication: false # the receiver sets the deduplication ID
      DeduplicationScope: messageGroup`,
		`ContentBasedDeduplication: false # the receiver sets the deduplication ID
      DeduplicationScope: queue`},
	{"sign with a short key", `PasswordLength: 40`, `PasswordLength: 20`},
	{"let a slow application time out a batch", `BatchSize: 1 # an application`, `BatchSize: 10 # an application`},
	{"publish past the outlet",
		`OUTLET_QUEUE_URL: !If [Forwarded, !Ref OutletQueue, '']`, `OUTLET_QUEUE_URL: ''`},
	{"watch the wrong queue of the outlet",
		`Value: !GetAtt OutletDeadLetterQueue.QueueName`, `Value: !GetAtt OutletQueue.QueueName`},
	{"deduplicate by the content",
		`ContentBasedDeduplication: false # the receiver sets the deduplication ID`,
		`ContentBasedDeduplication: true # the receiver sets the deduplication ID`},
	{"let payloads expire before the dead letters", `ExpirationInDays: 30`, `ExpirationInDays: 7`},
	{"keep payloads without limit",
		`Status: Enabled
            ExpirationInDays: 30`,
		`Status: Disabled
            ExpirationInDays: 30`},
	{"deny TLS instead of its absence",
		`aws:SecureTransport: 'false'

  # ---- reconciler: asks the vendors' APIs for changes that no webhook reported`,
		`aws:SecureTransport: 'true'

  # ---- reconciler: asks the vendors' APIs for changes that no webhook reported`},
	{"end the worker before it reports",
		`Timeout: 30 # it stops after 25 s itself, and reports failed items

  WorkerFunctionRole:`,
		`Timeout: 20 # it stops after 25 s itself, and reports failed items

  WorkerFunctionRole:`},
	{"end the archiver during a download",
		`Timeout: 300 # a download may take 240 s of it`,
		`Timeout: 120 # a download may take 240 s of it`},
	{"end a receiver before it answers", `Timeout: 10`, `Timeout: 3`},
	{"limit the worker to all its memory",
		`GOMEMLIMIT: 440MiB
          INCLUDE_REASONS`,
		`GOMEMLIMIT: 512MiB
          INCLUDE_REASONS`},
	{"throttle a vendor that sends all at once", `ThrottlingBurstLimit: !Ref BurstLimit`, `ThrottlingBurstLimit: 10`},
	{"reconcile once a day", `rate(15 minutes)`, `rate(1 day)`},
	{"repeat a pass that failed at once", `MaximumRetryAttempts: 0`, `MaximumRetryAttempts: 2`},
	{"let no item expire", `AttributeName: expires`, `AttributeName: expiry`},
	{"leave the old image out of the stream", `StreamViewType: NEW_AND_OLD_IMAGES`, `StreamViewType: NEW_IMAGE`},
	{"keep no backups of the table", `PointInTimeRecoveryEnabled: true`, `PointInTimeRecoveryEnabled: false`},
	{"delete the table with the stack",
		`    Type: AWS::DynamoDB::Table
    DeletionPolicy: RetainExceptOnCreate
`,
		`    Type: AWS::DynamoDB::Table
    DeletionPolicy: Delete
`},
	{"leave the table of a failed deployment behind",
		`    Type: AWS::DynamoDB::Table
    DeletionPolicy: RetainExceptOnCreate
`,
		`    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
`},
	{"protect the table the other way round",
		`!If [DeletionProtected, true, false]`,
		`!If [DeletionProtected, false, true]`},
	{"ignore what the worker reports",
		`      FunctionName: !Ref WorkerFunction
      FunctionResponseTypes: [ReportBatchItemFailures]
`,
		`      FunctionName: !Ref WorkerFunction
`},
	{"ignore what the archiver reports",
		`      FunctionName: !Ref ArchiverFunction
      FunctionResponseTypes: [ReportBatchItemFailures]
`,
		`      FunctionName: !Ref ArchiverFunction
`},
	{"disable the publisher",
		`      FunctionName: !Ref PublisherFunction`,
		`      Enabled: false
      FunctionName: !Ref PublisherFunction`},
	{"miss commits while the mapping is made", `StartingPosition: TRIM_HORIZON`, `StartingPosition: LATEST`},
	{"set events aside after five minutes", `MaximumRecordAgeInSeconds: 43200`, `MaximumRecordAgeInSeconds: 300`},
	{"publish claims only", `"state":{"S":["processed"]}`, `"state":{"S":["received"]}`},
	{"drop the records that are too old",
		`      DestinationConfig:
        OnFailure:
          Destination: !GetAtt PayloadBucket.Arn # a bucket gets the records, a queue only their position
`,
		``},
	{"ignore MaxConcurrency", `MaximumConcurrency: !Ref MaxConcurrency`, `MaximumConcurrency: 2`},
	{"disable the archiver's rule", `      EventBusName`, `      State: DISABLED
      EventBusName`},
	{"archive what is archived", `detail-type: [agreement.completed]`, `detail-type: [agreement.archived]`},
	{"let the bus send, and not its rule",
		`aws:SourceArn: !GetAtt DocumentRule.Arn`,
		`aws:SourceArn: !GetAtt EventBus.Arn`},
	{"forbid the worker to update",
		`Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query, dynamodb:UpdateItem]`,
		`Action: [dynamodb:GetItem, dynamodb:PutItem, dynamodb:Query]`},
	{"forbid the worker to read large payloads",
		`Action: s3:GetObject
                Resource: !Sub ${PayloadBucket.Arn}/*`,
		`Action: s3:PutObject
                Resource: !Sub ${PayloadBucket.Arn}/*`},
	{"forbid the worker to send dead letters", `Resource: !GetAtt DeadLetterQueue.Arn`, `Resource: !GetAtt Queue.Arn`},
	{"forbid the worker to see that a payload is missing",
		`Action: s3:ListBucket # without it, S3 answers 403 for a missing payload`,
		`Action: s3:GetObject # without it, S3 answers 403 for a missing payload`},
	{"forbid the archiver to see that an object is missing",
		`Action: s3:ListBucket # without it, S3 answers 403 for a missing object`,
		`Action: s3:GetObject # without it, S3 answers 403 for a missing object`},
	{"forbid the archiver to delay a job",
		`sqs:ChangeMessageVisibility, sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ReceiveMessage]
                Resource: !GetAtt DocumentQueue.Arn`,
		`sqs:DeleteMessage, sqs:GetQueueAttributes, sqs:ReceiveMessage]
                Resource: !GetAtt DocumentQueue.Arn`},
	{"let the archiver overwrite only",
		`s3:if-none-match: 'false'
              - Effect: Allow`,
		`s3:if-none-match: 'true'
              - Effect: Allow`},
	{"forbid Lambda to read the stream", `dynamodb:GetShardIterator, `, ``},
	{"let the reconciler delete",
		`Action: [dynamodb:GetItem, dynamodb:Scan]`,
		`Action: [dynamodb:DeleteItem, dynamodb:GetItem, dynamodb:Scan]`},
	{"let the reconciler write events",
		`Condition: # only notes: its findings go through the queue, like every delivery
                  ForAllValues:StringLike:
                    dynamodb:LeadingKeys: ['@*']`,
		`Condition: # only notes: its findings go through the queue, like every delivery
                  ForAllValues:StringLike:
                    dynamodb:LeadingKeys: ['*']`},
	{"encrypt the table with another key", `KMSMasterKeyId: !Ref KmsKeyArn`, `KMSMasterKeyId: alias/aws/dynamodb`},
	{"let the outlet use the key for the table",
		`- !Sub secretsmanager.${AWS::Region}.${AWS::URLSuffix}
                        - !Sub sqs.${AWS::Region}.${AWS::URLSuffix}
                - !Ref AWS::NoValue
              - Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt OutletLogs.Arn`,
		`- !Sub dynamodb.${AWS::Region}.${AWS::URLSuffix}
                        - !Sub secretsmanager.${AWS::Region}.${AWS::URLSuffix}
                        - !Sub sqs.${AWS::Region}.${AWS::URLSuffix}
                - !Ref AWS::NoValue
              - Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt OutletLogs.Arn`},
	{"write to the log of another function",
		`Resource: !GetAtt WorkerLogs.Arn`, `Resource: !GetAtt PublisherLogs.Arn`},
	{"let another service take a role",
		`Service: lambda.amazonaws.com
            Action: sts:AssumeRole
      Policies:
        - PolicyName: WorkerFunctionRolePolicy0`,
		`Service: apigateway.amazonaws.com
            Action: sts:AssumeRole
      Policies:
        - PolicyName: WorkerFunctionRolePolicy0`},
	{"forbid a receiver to count duplicates",
		`        - PolicyName: BoldSignFunctionRolePolicy0
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Effect: Allow
                Action: [dynamodb:PutItem, dynamodb:UpdateItem]`,
		`        - PolicyName: BoldSignFunctionRolePolicy0
          PolicyDocument:
            Version: '2012-10-17'
            Statement:
              - Effect: Allow
                Action: dynamodb:PutItem`},
	{"forbid a receiver to store large payloads", `????/??/??/docusign/*`, `????/??/docusign/*`},
	{"watch the throttles of another function",
		`Value: !Ref WorkerFunction
              MetricName: Throttles`,
		`Value: !Ref ReconcilerFunction
              MetricName: Throttles`},
	{"watch the wrong queue",
		`Value: !GetAtt DocumentDeadLetterQueue.QueueName`,
		`Value: !GetAtt DocumentQueue.QueueName`},
	{"watch the dead letters that somebody reads",
		`          Value: !GetAtt DeadLetterQueue.QueueName
      EvaluationPeriods: 1
      MetricName: ApproximateNumberOfMessagesVisible`,
		`          Value: !GetAtt DeadLetterQueue.QueueName
      EvaluationPeriods: 1
      MetricName: ApproximateNumberOfMessagesNotVisible`},
	{"misspell a metric", `MetricName: IteratorAge`, `MetricName: IteratorsAge`},
	{"take milliseconds for seconds", `Threshold: 300000`, `Threshold: 300`},
	{"take a share for a percentage", `Threshold: 0.2`, `Threshold: 20`},
	{"wait for one more period",
		`DatapointsToAlarm: 2
      Dimensions:
        - Name: QueueName
          Value: !GetAtt Queue.QueueName`,
		`DatapointsToAlarm: 3
      Dimensions:
        - Name: QueueName
          Value: !GetAtt Queue.QueueName`},
	{"never end the alarm on throttles",
		`SUM(FILL(METRICS(), 0))
        - Id: reads`,
		`SUM(METRICS())
        - Id: reads`},
	{"take silence for forgery",
		`TreatMissingData: notBreaching

  GatewayClientErrorsAlarm:`,
		`TreatMissingData: breaching

  GatewayClientErrorsAlarm:`},
	{"overlook failures that are minutes apart",
		`EvaluationPeriods: 1 # failures that are minutes apart would not add up over several periods`,
		`EvaluationPeriods: 3
      DatapointsToAlarm: 2`},
	{"leave a way around the domain", `!If [ExecuteApiClosed, true, false]`, `!If [PublicUrlGiven, true, false]`},
	{"accept no proof at all at the own URL",
		`RuleCondition: !Equals [!Ref RequireUrlToken, 'false']`,
		`RuleCondition: !Equals [!Ref RequireUrlToken, 'true']`},
	{"trust any client at the domain with mutual TLS", `MutualTlsAuthentication:
        TruststoreUri: !Ref MutualTlsTruststore
`, ``},
	{"register a URL without mutual TLS", `!If
          - DocuSignCertified
          - !Sub https://${MutualTlsDomain}`, `!If
          - DocuSignCertified
          - !Ref PublicUrl`},
	{"demand certificates that nobody can show",
		`Assert: !Equals [!Ref DocuSignClientSubjects, '']`,
		`Assert: !Equals [!Ref DocuSignClientSubjects, !Ref DocuSignClientSubjects]`},
	{"attach the web ACL to no stage", `stages/${Api.Stage}`, `stages/${AWS::StackName}`},
	{"allow only strangers", `NotIpAddress:
                    aws:SourceIp: !Split [',', !Ref AdobeSignAllowedIps]`, `IpAddress:
                    aws:SourceIp: !Split [',', !Ref AdobeSignAllowedIps]`},
	{"take a list of addresses for one",
		`aws:SourceIp: !Split [',', !Ref AdobeSignAllowedIps]`, `aws:SourceIp: !Ref AdobeSignAllowedIps`},
	{"protect the URL without a token only",
		`Resource: [execute-api:/*/*/webhooks/adobesign, execute-api:/*/*/webhooks/adobesign/*]`,
		`Resource: [execute-api:/*/*/webhooks/adobesign]`},
	{"overlook a disabled publisher",
		`Expression: IF(FILL(processed, 0) > 0, IF(FILL(invocations, 0) > 0, 0, 1), 0)`,
		`Expression: IF(processed > 0, IF(invocations > 0, 0, 1), 0)`},
	{"take a schedule without passes for good",
		`TreatMissingData: breaching # before the first invocation there is nothing to fill`,
		`TreatMissingData: notBreaching`},
	{"overlook dropped records", `MetricName: DroppedEventCount`, `MetricName: InvokedEventCount`},
	{"compare a text with a number", `"413"`, `413`},
	{"log the paths with the tokens", `LoggingLevel: 'OFF'`, `LoggingLevel: INFO`},
	{"log the token instead of the route", `"resourcePath":"$context.resourcePath"`, `"resourcePath":"$context.path"`},
	{"take multipart bodies for text",
		`        - multipart~1form-data
`,
		``},
	{"make short tokens",
		`PasswordLength: 43 # 256 bits
        SecretStringTemplate: '{"keys":[],"urlTokens":[]}'
      KmsKeyId: !If [KeyGiven, !Ref KmsKeyArn, !Ref AWS::NoValue]

  BoldSignFunction:`,
		`PasswordLength: 8 # 256 bits
        SecretStringTemplate: '{"keys":[],"urlTokens":[]}'
      KmsKeyId: !If [KeyGiven, !Ref KmsKeyArn, !Ref AWS::NoValue]

  BoldSignFunction:`},
	{"make tokens that are no segment of a URL",
		`      Description: !Sub '${AWS::StackName}: keys of Dropbox Sign'
      GenerateSecretString:
        ExcludePunctuation: true`,
		`      Description: !Sub '${AWS::StackName}: keys of Dropbox Sign'
      GenerateSecretString:
        ExcludePunctuation: false`},
	{"archive if it is off",
		`Archived: !Not [!Equals [!Ref ArchiveDays, 0]]`,
		`Archived: !Equals [!Ref ArchiveDays, 0]`},
	{"make the role where there is one",
		`!Equals [!Ref AccessLogs, create-role]`,
		`!Equals [!Ref AccessLogs, use-role]`},
	{"let events expire after a day", `^(0|[3-9]\d|[1-9]\d{2,3})$`, `^(0|[1-9]\d{0,3})$`},
	{"redrive the queue into itself",
		`Value: !Ref DeadLetterQueue
`,
		`Value: !Ref Queue
`},
	{"register the URL without its token",
		`!If [UrlTokenRequired, '/{token}', '']
  # END generated`,
		`!If [UrlTokenRequired, '', '/{token}']
  # END generated`},
	{"park jobs among the deliveries",
		`DOCUMENT_DEAD_LETTER_QUEUE_URL: !Ref DocumentDeadLetterQueue`,
		`DOCUMENT_DEAD_LETTER_QUEUE_URL: !Ref DeadLetterQueue`},
	{"ignore ExpireAfterDays", `EXPIRE_AFTER_DAYS: !Ref ExpireAfterDays`, `EXPIRE_AFTER_DAYS: '0'`},
	{"create no log without the role",
		`    Metadata:
      After`,
		`    DependsOn: ApiAccount
    Metadata:
      After`},
	{"count an old event as one of today", `Expression: FILL(invocations, 0)`, `Expression: invocations`},
	{"overlook a disabled publisher of one event a day", `EvaluationPeriods: 72`, `EvaluationPeriods: 24`},
})

// inFile are mistakes in one file that one test finds: their names, and the text before and after.
func inFile(file, found string, all [][3]string) (mistakes []mistake) {
	for _, m := range all {
		mistakes = append(mistakes, mistake{m[0], file, m[1], m[2], found})
	}
	return mistakes
}
