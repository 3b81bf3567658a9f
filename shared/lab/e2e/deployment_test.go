package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	eventbridgetypes "github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	s3types "github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"esignhooks/shared/provider"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// deployment is a stack of the real template, and what else the test has made in the account.
type deployment struct {
	t        *testing.T
	stack    string
	template string // built
	endpoint string // of the emulator; empty on AWS

	config         aws.Config
	cloudformation *cloudformation.Client
	secrets        *secretsmanager.Client
	sqs            *awssqs.Client
	s3             *awss3.Client
	events         *eventbridge.Client
	table          *awsdynamodb.Client

	outputs   map[string]string
	resources map[string]string // logical → physical ID
	ledger    *dynamodb.Ledger
	keys      map[string]webhook.Secret // by provider
	urls      map[string]string         // by provider, with the token
	tokens    []string
	retained  []string // ARNs of secrets that the stack has left behind
	replaced  []string // names of tables that restored ones have replaced
	first     string   // subject of an agreement of the first deployment
	caught    string   // URL of the queue that gets everything on the bus
	consumer  string   // URL of the queue of README's rule
	bus       []message
	emitted   map[string]bool // by event ID: see emit
	vendors   vendors         // on an emulator
	scratch   string          // a folder
	leaks     leaks           // on an emulator
}

// deploy builds the template and deploys it under a name of its own. It is deleted with the test.
func deploy(t *testing.T) *deployment {
	t.Helper()
	d := prepare(t)
	d.template = d.build(webhooktest.Root(t))
	if d.endpoint != "" {
		d.vendors = startVendors(t)
		d.vendors.trust(t, d.template)
	}
	d.create(d.template)
	return d
}

// prepare returns a deployment without a stack.
func prepare(t *testing.T) *deployment {
	t.Helper()
	config, err := awsconfig.LoadDefaultConfig(t.Context())
	must(t, err)
	d := &deployment{
		t: t, stack: "esignhooks-e2e-" + random(4), endpoint: os.Getenv("AWS_ENDPOINT_URL"), config: config,
		cloudformation: cloudformation.NewFromConfig(config), secrets: secretsmanager.NewFromConfig(config),
		sqs: awssqs.NewFromConfig(config), events: eventbridge.NewFromConfig(config),
		table: awsdynamodb.NewFromConfig(config),
		keys:  map[string]webhook.Secret{}, urls: map[string]string{}, emitted: map[string]bool{}, scratch: t.TempDir(),
	}
	d.s3 = awss3.NewFromConfig(config, func(o *awss3.Options) { o.UsePathStyle = d.endpoint != "" })
	return d
}

// create deploys a template for the first time.
func (d *deployment) create(template string, parameters ...string) {
	d.t.Helper()
	d.t.Cleanup(d.delete)
	d.deployStack(d.stack, template, d.parameters(append(parameters, "ArchiveDays=30")...))
	d.outputs = d.outputsOf(d.stack)
	d.resources = d.resourcesOf(d.stack)
	d.ledger = dynamodb.New(d.table, d.outputs["TableName"], 0)
	d.putKeys()
}

// build builds a release, and returns its template.
func (d *deployment) build(source string) (template string) {
	d.t.Helper()
	built := d.t.TempDir()
	d.runIn(source, os.Getenv("SAM"), "build", "--build-dir", built, d.parameters())
	template = filepath.Join(built, "template.yaml")
	if d.endpoint != "" {
		suitEmulator(d.t, template)
	}
	return template
}

// suitEmulator makes an update keep the API's deployment: with the old one the emulator deletes the stage. It also makes
// the emulator keep what outlives the stack: it takes RetainExceptOnCreate for Delete.
func suitEmulator(t *testing.T, template string) {
	t.Helper()
	source, err := os.ReadFile(template)
	must(t, err)
	kept := bytes.ReplaceAll(source, []byte("AlwaysDeploy: true"), []byte("AlwaysDeploy: false"))
	kept = bytes.ReplaceAll(kept, []byte("RetainExceptOnCreate"), []byte("Retain"))
	if bytes.Equal(kept, source) {
		t.Fatal("the template has no AlwaysDeploy")
	}
	must(t, os.WriteFile(template, kept, 0o600))
}

// parameters overrides the template's. It enables all vendors. Only an emulator gets the account's role for access logs:
// in AWS somebody else may have set it.
func (d *deployment) parameters(more ...string) string {
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	all := append([]string{"Arch=" + arch}, more...)
	for _, p := range provider.All() {
		if info := p.Info(); info.Disabled {
			all = append(all, info.Resource+"=enabled")
		}
	}
	if d.endpoint == "" {
		all = append(all, "AccessLogs=off")
	}
	return "--parameter-overrides=" + strings.Join(all, " ")
}

func (d *deployment) deployStack(stack, template string, more ...string) {
	d.t.Helper()
	d.sam(append([]string{
		"deploy", "--stack-name", stack, "--template-file", template, "--resolve-s3", "--capabilities", "CAPABILITY_IAM",
		"--no-confirm-changeset", "--no-progressbar",
	}, more...)...)
}

func (d *deployment) sam(arguments ...string) string {
	d.t.Helper()
	return d.run(os.Getenv("SAM"), arguments...)
}

// make runs a target that acts on the stack, and returns what it prints.
func (d *deployment) make(target string, variables ...string) string {
	d.t.Helper()
	return d.run("make", append([]string{"-s", target, "STACK=" + d.stack}, variables...)...)
}

func (d *deployment) run(name string, arguments ...string) string {
	d.t.Helper()
	return d.runIn(webhooktest.Root(d.t), name, arguments...)
}

// runIn runs a command in a folder.
func (d *deployment) runIn(folder, name string, arguments ...string) string {
	d.t.Helper()
	out, err := d.tryIn(folder, name, arguments...)
	if err != nil {
		d.t.Fatalf("%s %s: %v\n%s", name, strings.Join(arguments, " "), err, out)
	}
	return out
}

// try returns both outputs: the tools report to either.
func (d *deployment) try(name string, arguments ...string) (string, error) {
	return d.tryIn(webhooktest.Root(d.t), name, arguments...)
}

func (d *deployment) tryIn(folder, name string, arguments ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.t.Context()), 10*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	command.Dir = folder
	command.Env = append(os.Environ(), "SAM_CLI_TELEMETRY=0")
	if d.vendors.certificate != "" {
		command.Env = append(command.Env, "SSL_CERT_FILE="+d.vendors.certificate)
	}
	command.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// follow is what make logs prints in a few seconds.
func (d *deployment) follow() string {
	d.t.Helper()
	ctx, stop := context.WithTimeout(d.t.Context(), 10*time.Second)
	defer stop()
	command := exec.CommandContext(ctx, "make", "-s", "logs", "STACK="+d.stack)
	command.Dir, command.WaitDelay = webhooktest.Root(d.t), 10*time.Second
	command.Cancel = func() error { return command.Process.Signal(os.Interrupt) }
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	command.Run() // it ends by the interruption
	return out.String()
}

func (d *deployment) outputsOf(stack string) map[string]string {
	d.t.Helper()
	out, err := d.cloudformation.DescribeStacks(d.t.Context(), &cloudformation.DescribeStacksInput{StackName: &stack})
	must(d.t, err)
	outputs := map[string]string{}
	for _, o := range out.Stacks[0].Outputs {
		outputs[*o.OutputKey] = *o.OutputValue
	}
	return outputs
}

func (d *deployment) resourcesOf(stack string) map[string]string {
	d.t.Helper()
	resources := map[string]string{}
	pages := cloudformation.NewListStackResourcesPaginator(d.cloudformation,
		&cloudformation.ListStackResourcesInput{StackName: &stack})
	for pages.HasMorePages() {
		page, err := pages.NextPage(d.t.Context())
		must(d.t, err)
		for _, r := range page.StackResourceSummaries {
			resources[*r.LogicalResourceId] = aws.ToString(r.PhysicalResourceId)
		}
	}
	return resources
}

// putKeys adds a new key to each secret, as an operator does, and keeps the generated token.
func (d *deployment) putKeys() {
	d.t.Helper()
	for _, p := range provider.All() {
		name, key := p.Info().Name, random(16)
		d.keys[name] = webhook.NewSecret(key)
		secret := d.editSecret(p, func(secret map[string]any) { secret["keys"] = []string{key} })
		token, _ := secret["urlToken"].(string)
		if needs := !p.Info().SignsAll; needs != (len(token) >= 43) {
			d.t.Fatalf("%s: a token of %d characters", name, len(token))
		} else if needs {
			d.tokens = append(d.tokens, token)
		}
		d.urls[name] = d.reachable(strings.Replace(d.output(p, "WebhookUrl"), "{token}", token, 1))
	}
}

// editSecret changes a provider's secret, and returns what it is now.
func (d *deployment) editSecret(p webhook.Provider, edit func(map[string]any)) map[string]any {
	d.t.Helper()
	arn := d.output(p, "Secret")
	out, err := d.secrets.GetSecretValue(d.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn})
	must(d.t, err)
	var secret map[string]any
	must(d.t, json.Unmarshal([]byte(*out.SecretString), &secret))
	edit(secret)
	text, err := json.Marshal(secret)
	must(d.t, err)
	_, err = d.secrets.PutSecretValue(d.t.Context(),
		&secretsmanager.PutSecretValueInput{SecretId: &arn, SecretString: aws.String(string(text))})
	must(d.t, err)
	return secret
}

// output finds a provider's output, whatever the capitals of its name.
func (d *deployment) output(p webhook.Provider, suffix string) string {
	d.t.Helper()
	for name, value := range d.outputs {
		if strings.EqualFold(name, p.Info().Name+suffix) {
			return value
		}
	}
	d.t.Fatalf("no output %s%s", p.Info().Name, suffix)
	return ""
}

// reachable is the URL of an API under which the emulator serves it: the name of the API's host does not resolve there.
func (d *deployment) reachable(address string) string {
	if d.endpoint == "" {
		return address
	}
	u, err := url.Parse(address)
	must(d.t, err)
	api, _, _ := strings.Cut(u.Host, ".")
	stage, path, _ := strings.Cut(strings.TrimPrefix(u.Path, "/"), "/")
	return fmt.Sprintf("%s/restapis/%s/%s/_user_request_/%s", d.endpoint, api, stage, path)
}

// catchAll sends everything that is published on the stack's bus to a queue.
func (d *deployment) catchAll() {
	d.t.Helper()
	ctx, name := d.t.Context(), d.stack+"-caught"
	queue, err := d.sqs.CreateQueue(ctx, &awssqs.CreateQueueInput{QueueName: &name})
	must(d.t, err)
	d.caught = *queue.QueueUrl
	d.t.Cleanup(func() {
		_, err := d.sqs.DeleteQueue(context.Background(), &awssqs.DeleteQueueInput{QueueUrl: &d.caught})
		d.note(err)
	})
	attributes, err := d.sqs.GetQueueAttributes(ctx,
		&awssqs.GetQueueAttributesInput{QueueUrl: &d.caught, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	must(d.t, err)
	arn := attributes.Attributes["QueueArn"]
	rule, err := d.events.PutRule(ctx, &eventbridge.PutRuleInput{
		Name: &name, EventBusName: aws.String(d.outputs["EventBusName"]),
		EventPattern: aws.String(`{"source":[{"prefix":""}]}`),
	})
	must(d.t, err)
	d.t.Cleanup(func() {
		bus := aws.String(d.outputs["EventBusName"])
		_, err := d.events.RemoveTargets(context.Background(),
			&eventbridge.RemoveTargetsInput{EventBusName: bus, Rule: &name, Ids: []string{"queue"}})
		d.note(err)
		_, err = d.events.DeleteRule(context.Background(), &eventbridge.DeleteRuleInput{EventBusName: bus, Name: &name})
		d.note(err)
	})
	policy := fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"events.amazonaws.com"},
		"Action":"sqs:SendMessage","Resource":%q,"Condition":{"ArnEquals":{"aws:SourceArn":%q}}}]}`, arn, *rule.RuleArn)
	_, err = d.sqs.SetQueueAttributes(ctx,
		&awssqs.SetQueueAttributesInput{QueueUrl: &d.caught, Attributes: map[string]string{"Policy": policy}})
	must(d.t, err)
	targets, err := d.events.PutTargets(ctx, &eventbridge.PutTargetsInput{
		EventBusName: aws.String(d.outputs["EventBusName"]), Rule: &name,
		Targets: []eventbridgetypes.Target{{Id: aws.String("queue"), Arn: &arn}},
	})
	must(d.t, err)
	if targets.FailedEntryCount > 0 {
		d.t.Fatalf("%+v", targets.FailedEntries)
	}
}

// delete deletes the stack, and what it retains.
func (d *deployment) delete() {
	out, err := d.try(os.Getenv("SAM"), "delete", "--stack-name", d.stack, "--no-prompts")
	d.note(err)
	if _, err := d.cloudformation.DescribeStacks(context.Background(),
		&cloudformation.DescribeStacksInput{StackName: &d.stack}); err == nil {
		d.t.Errorf("the stack is still there\n%s", out)
	}
	for _, table := range append(d.replaced, d.outputs["TableName"]) {
		_, err = d.table.UpdateTable(context.Background(),
			&awsdynamodb.UpdateTableInput{TableName: &table, DeletionProtectionEnabled: aws.Bool(false)})
		d.note(err)
		_, err = d.table.DeleteTable(context.Background(), &awsdynamodb.DeleteTableInput{TableName: &table})
		d.note(err)
	}
	secrets := d.retained
	for name, value := range d.outputs {
		if strings.HasSuffix(name, "Secret") {
			secrets = append(secrets, value)
		}
	}
	for _, secret := range secrets {
		_, err := d.secrets.DeleteSecret(context.Background(), &secretsmanager.DeleteSecretInput{
			SecretId: &secret, ForceDeleteWithoutRecovery: aws.Bool(true),
		})
		d.note(err)
	}
	for name, id := range d.resources {
		if strings.HasSuffix(name, "Queue") {
			_, err := d.sqs.DeleteQueue(context.Background(), &awssqs.DeleteQueueInput{QueueUrl: &id})
			d.note(err)
		}
	}
	for _, name := range []string{"ArchiveBucket", "DocumentBucket", "PayloadBucket"} {
		d.deleteBucket(d.resources[name])
	}
}

func (d *deployment) deleteBucket(bucket string) {
	ctx := context.Background()
	pages := awss3.NewListObjectVersionsPaginator(d.s3, &awss3.ListObjectVersionsInput{Bucket: &bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if d.note(err); err != nil {
			return
		}
		var objects []s3types.ObjectIdentifier
		for _, v := range page.Versions {
			objects = append(objects, s3types.ObjectIdentifier{Key: v.Key, VersionId: v.VersionId})
		}
		for _, m := range page.DeleteMarkers {
			objects = append(objects, s3types.ObjectIdentifier{Key: m.Key, VersionId: m.VersionId})
		}
		if len(objects) > 0 {
			_, err := d.s3.DeleteObjects(ctx,
				&awss3.DeleteObjectsInput{Bucket: &bucket, Delete: &s3types.Delete{Objects: objects}})
			d.note(err)
		}
	}
	_, err := d.s3.DeleteBucket(ctx, &awss3.DeleteBucketInput{Bucket: &bucket})
	d.note(err)
}

// note reports what could not be cleaned up.
func (d *deployment) note(err error) {
	if err != nil {
		d.t.Errorf("clean up: %v", err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func random(n int) string {
	b := make([]byte, n)
	rand.Read(b)
	return hex.EncodeToString(b)
}
