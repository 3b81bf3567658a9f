package stack

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
)

// account is an AWS account of local engines, with all of a stack that operators touch.
type account struct {
	t         *testing.T
	config    aws.Config
	sqs       *sqs.Client // deliveries and dead letters
	s3        *awss3.Client
	published *sqs.Client // of the queue that a rule sends all events to
	outputs   map[string]string
	stacks    int
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newAccount(t *testing.T) *account {
	t.Helper()
	moto := enginetest.Moto(t)
	for name, value := range map[string]string{
		"AWS_ENDPOINT_URL": moto, "AWS_ENDPOINT_URL_DYNAMODB": enginetest.DynamoDB(t),
		"AWS_ENDPOINT_URL_SQS": enginetest.SQS(t),
		"AWS_ACCESS_KEY_ID":    "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1",
	} {
		t.Setenv(name, value)
	}
	config, err := awsconfig.LoadDefaultConfig(t.Context())
	must(t, err)
	a := &account{t: t, config: config, outputs: map[string]string{"TableName": "Table", "EventBusName": "bus"}}
	a.sqs = sqs.NewFromConfig(config)
	a.s3 = awss3.NewFromConfig(config, func(o *awss3.Options) { o.UsePathStyle = true })
	a.published = sqs.NewFromConfig(config, func(o *sqs.Options) { o.BaseEndpoint = &moto })
	enginetest.Table(t, awsdynamodb.NewFromConfig(a.config), "Table")
	a.makeQueues()
	a.makeBus()
	for _, p := range provider.All() {
		name := p.Info().Resource
		a.outputs[name+"WebhookUrl"] = "https://api.example/live/webhooks/" + strings.ToLower(name) + "/{token}"
		out, err := secretsmanager.NewFromConfig(config).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: &name, SecretString: aws.String(`{"keys":["canary-key"],"urlTokens":[],"urlToken":"generated"}`),
		})
		must(t, err)
		a.outputs[name+"Secret"] = *out.ARN
	}
	return a
}

// makeQueues makes no FIFO queues: ElasticMQ moves nothing out of those.
func (a *account) makeQueues() {
	for name, output := range map[string]string{"deliveries": "QueueUrl", "documents": "DocumentQueueUrl"} {
		letters, err := a.sqs.CreateQueue(a.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(name + "-dead-letters")})
		must(a.t, err)
		a.outputs[strings.Replace(output, "QueueUrl", "DeadLetterQueueUrl", 1)] = *letters.QueueUrl
		queue, err := a.sqs.CreateQueue(a.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
			"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":200}`, a.arn(a.sqs, *letters.QueueUrl)),
		}})
		must(a.t, err)
		a.outputs[output] = *queue.QueueUrl
	}
}

func (a *account) arn(client *sqs.Client, queueURL string) string {
	a.t.Helper()
	arn, err := attribute(a.t.Context(), client, queueURL, "QueueArn")
	must(a.t, err)
	return arn
}

// makeBus makes the bus, and a rule that sends all events to a queue.
func (a *account) makeBus() {
	queue, err := a.published.CreateQueue(a.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String("published")})
	must(a.t, err)
	arn := a.arn(a.published, *queue.QueueUrl)
	client, name := awseventbridge.NewFromConfig(a.config), aws.String("bus")
	_, err = client.CreateEventBus(a.t.Context(), &awseventbridge.CreateEventBusInput{Name: name})
	must(a.t, err)
	_, err = client.PutRule(a.t.Context(),
		&awseventbridge.PutRuleInput{Name: name, EventBusName: name,
			EventPattern: aws.String(`{"source":["esign.docusign"]}`)})
	must(a.t, err)
	_, err = client.PutTargets(a.t.Context(),
		&awseventbridge.PutTargetsInput{Rule: name, EventBusName: name,
			Targets: []eventbridgetypes.Target{{Id: aws.String("1"), Arn: &arn}}})
	must(a.t, err)
}

// deploy makes a stack with these outputs, and returns its name. Its bucket is named like it, and so are its log
// groups.
func (a *account) deploy(outputs map[string]string) string {
	a.t.Helper()
	a.stacks++
	name := fmt.Sprint("stack-", a.stacks)
	values := map[string]any{}
	for output, value := range outputs {
		values[output] = map[string]string{"Value": value}
	}
	resource := func(typ, property, value string) any {
		return map[string]any{"Type": typ, "Properties": map[string]string{property: value}}
	}
	declared := map[string]any{}
	var parameters []types.Parameter
	for _, p := range provider.All() {
		name := p.Info().Resource
		declared[name] = map[string]string{"Type": "String"}
		parameters = append(parameters, types.Parameter{ParameterKey: &name, ParameterValue: aws.String("enabled")})
	}
	template, err := json.Marshal(map[string]any{"Parameters": declared, "Outputs": values, "Resources": map[string]any{
		"PayloadBucket": resource("AWS::S3::Bucket", "BucketName", name),
		"AdobeSignLogs": resource("AWS::Logs::LogGroup", "LogGroupName", name+"-adobesign"),
		"WorkerLogs":    resource("AWS::Logs::LogGroup", "LogGroupName", name+"-worker"),
	}})
	must(a.t, err)
	_, err = cloudformation.NewFromConfig(a.config).CreateStack(a.t.Context(), &cloudformation.CreateStackInput{
		StackName: &name, TemplateBody: aws.String(string(template)), Parameters: parameters,
		OnFailure: types.OnFailureDoNothing,
	})
	must(a.t, err)
	return name
}

func (a *account) open() *Stack {
	a.t.Helper()
	s, err := Open(a.t.Context(), a.deploy(a.outputs))
	must(a.t, err)
	return s
}

// received are the events that the rule's queue has got since the last time.
func (a *account) received() []bus.Detail {
	a.t.Helper()
	queue, err := a.published.GetQueueUrl(a.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String("published")})
	must(a.t, err)
	var all []bus.Detail
	for {
		out, err := a.published.ReceiveMessage(a.t.Context(),
			&sqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
		must(a.t, err)
		if len(out.Messages) == 0 {
			return all
		}
		for _, m := range out.Messages {
			var envelope events.EventBridgeEvent
			must(a.t, json.Unmarshal([]byte(*m.Body), &envelope))
			var detail bus.Detail
			must(a.t, json.Unmarshal(envelope.Detail, &detail))
			all = append(all, detail)
			_, err := a.published.DeleteMessage(a.t.Context(),
				&sqs.DeleteMessageInput{QueueUrl: queue.QueueUrl, ReceiptHandle: m.ReceiptHandle})
			must(a.t, err)
		}
	}
}

// entryOf is a processed event that completes the agreement e-1.
func entryOf(id string) ledger.Entry {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	event := esign.Event{
		ID: id, Provider: "docusign", Type: esign.AgreementCompleted, VendorType: "envelope-completed",
		Subject: "docusign#e-1", AgreementID: "e-1",
		OccurredAt: at, ReceivedAt: at, Proof: esign.ProofSigned,
	}
	agreement := esign.Fold(esign.Agreement{}, event)
	return ledger.Entry{
		Key: ledger.Key{Subject: event.Subject, ID: id}, State: ledger.Processed, Provider: event.Provider, ProcessedAt: at,
		Event: &event, Agreement: &agreement, StatusAfter: agreement.Status,
	}
}

func (a *account) commit(id string) {
	a.t.Helper()
	e := entryOf(id)
	l := dynamodb.New(awsdynamodb.NewFromConfig(a.config), "Table", 0)
	must(a.t, l.Commit(a.t.Context(), ledger.Commit{
		Claim: ledger.Claim{Key: e.Key, Provider: e.Provider, AgreementID: "e-1", ReceivedAt: e.ProcessedAt}, Event: *e.Event,
		Agreement: e.Agreement, At: e.ProcessedAt,
	}))
}

func TestOnAWS(t *testing.T) {
	slow.Test(t)
	a := newAccount(t)
	t.Run("Open", a.testOpen)
	t.Run("Commands", a.testCommands)
	t.Run("URLs", a.testURLs)
	t.Run("URLsOfOtherStacks", a.testURLsOfOtherStacks)
	t.Run("DisabledVendors", a.testDisabledVendors)
	t.Run("Register", a.testRegister)
	t.Run("Archive", a.testArchive)
	t.Run("WithoutCredentials", a.testWithoutCredentials)
	t.Run("Pull", a.testPull)
	t.Run("Logs", a.testLogs)
	t.Run("RedriveDeadLetters", a.testRedriveDeadLetters)
	t.Run("RedriveUnpublished", a.testRedriveUnpublished)
	t.Run("RedriveKeepsWhatIsNotPublished", a.testRedriveKeepsWhatIsNotPublished)
	t.Run("RedriveGoesOnBehindAFailure", a.testRedriveGoesOnBehindAFailure)
}

func (a *account) testOpen(t *testing.T) {
	for _, missing := range needed {
		outputs := maps.Clone(a.outputs)
		delete(outputs, missing)
		if _, err := Open(t.Context(), a.deploy(outputs)); err == nil || !strings.Contains(err.Error(), missing) ||
			!strings.Contains(err.Error(), "CREATE_COMPLETE") {
			t.Errorf("without %s: %v", missing, err)
		}
	}
	if _, err := Open(t.Context(), "nobodys"); err == nil ||
		!strings.Contains(err.Error(), `no stack "nobodys" in us-east-1`) {
		t.Errorf("a stack that is not there: %v", err)
	}
	for name, tt := range map[string]struct {
		environment map[string]string
		want        string
	}{
		"no region": {map[string]string{"AWS_REGION": "", "AWS_DEFAULT_REGION": ""}, "set AWS_REGION"},
		"no credentials": {map[string]string{"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "",
			"AWS_EC2_METADATA_DISABLED": "true"}, "run aws configure"},
		"no such profile": {map[string]string{"AWS_PROFILE": "nobodys"}, "nobodys"},
		"AWS is not to use": {map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_MAX_ATTEMPTS": "1"},
			"cannot be read"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CONFIG_FILE", t.TempDir()+"/none")
			t.Setenv("AWS_SHARED_CREDENTIALS_FILE", t.TempDir()+"/none")
			for name, value := range tt.environment {
				t.Setenv(name, value)
			}
			if _, err := Open(t.Context(), "stack-1"); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Error(err)
			}
		})
	}
}

func (a *account) testCommands(t *testing.T) {
	a.commit("a")
	s := a.open()
	var out strings.Builder
	for _, command := range []string{"inspect -provider docusign -id E-1", "replay -rebuild -provider docusign -id e-1",
		"replay -from 2026-11-02 -to 2026-11-03"} {
		run, err := operate.Parse(strings.Fields(command))
		must(t, err)
		must(t, run.Act(t.Context(), &out, s.Target()))
	}
	for _, said := range []string{"docusign e-1", "no difference", "1 events published again"} {
		if !strings.Contains(out.String(), said) {
			t.Errorf("does not say %q: %s", said, &out)
		}
	}
	if got := a.received(); len(got) != 1 || got[0].EventID != "a" || !got[0].Replay {
		t.Errorf("received %+v", got)
	}
	if _, err := operate.Find(t.Context(), s.Target().Ledger, "docusign", "nobodys"); !errors.Is(err, operate.ErrUnknown) {
		t.Error(err)
	}
}

func (a *account) testURLs(t *testing.T) {
	var out strings.Builder
	must(t, a.open().URLs(t.Context(), &out))
	text := out.String()
	for _, p := range provider.All() {
		lines := append([]string{p.Info().Title, "https://api.example/live/webhooks/" + p.Info().Name + "/generated\n"},
			p.Info().Registration...)
		for _, line := range lines {
			if !strings.Contains(text, line) {
				t.Errorf("does not say %q", line)
			}
		}
		if len(p.Info().Registration) == 0 {
			t.Errorf("%s does not say where to register", p.Info().Name)
		}
	}
	if strings.Contains(text, "canary") || strings.Contains(text, "!") || !strings.Contains(text, "secrets") {
		t.Error(text)
	}
}

func (a *account) testURLsOfOtherStacks(t *testing.T) {
	outputs := maps.Clone(a.outputs)
	for name, secret := range map[string]string{
		"AdobeSign":   `{"keys":["",""],"urlTokens":["it's"],"urlToken":"generated","api":{"clientId":"canary"}}`,
		"DocuSign":    `{"keys":["canary-key"],"urlTokens":[],"api":{"privateKey":"canary"}}`,
		"DropboxSign": `{"keys":["canary-key"],"urlTokens":["first","second"],"urlToken":"generated"}`,
		"ESignGlobal": `{"keys":[],"urlTokens":["token"]}`,
	} {
		a.putSecret(name, secret)
	}
	outputs["DocuSignWebhookUrl"] = "https://api.example/live/webhooks/docusign"
	outputs["ESignGlobalWebhookUrl"] = "https://api.example/live/webhooks/esignglobal"
	s, err := Open(t.Context(), a.deploy(outputs))
	must(t, err)
	text := sections(t, s)
	for title, want := range map[string][]string{
		"Adobe Acrobat Sign": {
			"/adobesign/it's\n", "! The secret holds no keys: every request is refused",
			"get-secret-value --secret-id '" + outputs["AdobeSignSecret"] + "' ", `jq -c '.keys = ["KEY"]'`,
			"put-secret-value --secret-id '" + outputs["AdobeSignSecret"] + "' ",
		},
		"DocuSign Connect": {"/docusign\n"},
		"Dropbox Sign":     {"/dropboxsign/second\n"},
		"eSignGlobal":      {"/esignglobal/token\n"}, // which proves a request
	} {
		for _, line := range want {
			if !strings.Contains(text[title], line) {
				t.Errorf("%s does not say %q: %s", title, line, text[title])
			}
		}
		if len(want) == 1 && strings.Contains(text[title], "!") {
			t.Errorf("%s warns: %s", title, text[title])
		}
	}
	a.putSecret("AdobeSign", `{"keys":["canary-key"],"urlTokens":[]}`)
	a.putSecret("DropboxSign", `canary-key`)
	delete(s.outputs, "ESignGlobalWebhookUrl")
	var out strings.Builder
	err = s.URLs(t.Context(), &out)
	for _, said := range []string{"Adobe Acrobat Sign: the secret holds neither", "Dropbox Sign: the secret is not like",
		"eSignGlobal: the stack has no outputs"} {
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("does not say %q: %v", said, err)
		}
	}
	if !strings.Contains(out.String(), "/docusign\n") || strings.Contains(fmt.Sprint(out.String(), err), "canary") {
		t.Errorf("%s, %v", &out, err)
	}
}

func (a *account) testDisabledVendors(t *testing.T) {
	disabled, other := provider.All()[0].Info(), provider.All()[1].Info()
	outputs := maps.Clone(a.outputs)
	maps.DeleteFunc(outputs, func(name, _ string) bool { return strings.HasPrefix(name, disabled.Resource) })
	for _, p := range provider.All() {
		a.putSecret(p.Info().Resource, `{"keys":["canary-key"],"urlTokens":[],"urlToken":"generated"}`)
	}
	a.putSecret(other.Resource, `{"keys":[],"urlTokens":[],"urlToken":"generated"}`)
	s, err := Open(t.Context(), a.deploy(outputs))
	must(t, err)
	s.parameters = map[string]string{disabled.Resource: "disabled", other.Resource: "enabled"}
	a.putSecret("ESignGlobal", `{"keys":[],"urlTokens":[],"urlToken":"generated"}`) // accepts requests without a key
	text := sections(t, s)
	how := "deploy with " + disabled.Resource + "=enabled"
	for title, want := range map[string][]string{
		disabled.Title: {how, "secret, with", "copy the value of the old secret"},
		other.Title: {"list-secrets --filters Key=name,Values=" + other.Resource + "Secret", "--secret-id '" +
			outputs[other.Resource+"Secret"]},
		"eSignGlobal": {"list-secrets --filters Key=name,Values=ESignGlobalSecret"},
	} {
		for _, line := range want {
			if !strings.Contains(text[title], line) {
				t.Errorf("%s does not say %q: %s", title, line, text[title])
			}
		}
	}
	for _, command := range []string{"register", "registered", "archive -id x"} {
		name, rest, _ := strings.Cut(command, " ")
		out, err := a.operate(s, name+" -provider "+disabled.Name+" "+rest)
		if !errors.Is(err, operate.ErrDisabled) || !strings.Contains(err.Error(), how) {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
	s.parameters = nil
	for _, p := range provider.All() {
		if got, want := s.disabled(p.Info()), p.Info().Disabled; got != want {
			t.Errorf("%s, in a stack without its parameter: disabled %t, want %t", p.Info().Title, got, want)
		}
	}
	s.parameters = map[string]string{disabled.Resource: "disabled"}
	out, err := a.operate(s, "registered")
	if errors.Is(err, operate.ErrDisabled) || !strings.Contains(out, disabled.Title+"\n  disabled: ") {
		t.Errorf("%v: %s", err, out)
	}
}

func (a *account) putSecret(name, text string) {
	a.t.Helper()
	_, err := secretsmanager.NewFromConfig(a.config).PutSecretValue(a.t.Context(), &secretsmanager.PutSecretValueInput{
		SecretId: aws.String(a.outputs[name+"Secret"]), SecretString: &text,
	})
	must(a.t, err)
}

// sections are what URLs writes of each provider, by its title.
func sections(t *testing.T, s *Stack) map[string]string {
	t.Helper()
	var out strings.Builder
	must(t, s.URLs(t.Context(), &out))
	found := map[string]string{}
	for _, section := range strings.Split(out.String(), "\n\n")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		found[title] = text
	}
	return found
}
