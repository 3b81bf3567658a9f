package e2e

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// upgradeFrom names the commit whose release the test deploys first, and then upgrades.
const upgradeFrom = ".ci/upgrade-from"

// upgrade is a stack that an earlier release has made.
type upgrade struct {
	*deployment
	earlier string // its template, built
	left    left
}

// TestUpgrade deploys an earlier release, this one over it, the earlier one again, and at last this one.
//
// The emulator cannot update an API. There the stack keeps the paths of the earlier release: TestDeployed tests those of
// this one.
func TestUpgrade(t *testing.T) {
	if os.Getenv("SAM") == "" {
		t.Skip("it deploys to AWS or an emulator: make e2e")
	}
	t.Parallel()
	u := &upgrade{deployment: prepare(t)}
	u.earlier, u.template = u.build(u.checkOut()), u.build(webhooktest.Root(t))
	u.create(u.earlier)
	u.catchAll()
	for _, step := range []struct {
		name string
		run  func(*upgrade)
	}{
		{"the earlier release leaves events, letters and documents", (*upgrade).leave},
		{"an upgrade finds them all", (*upgrade).upgraded},
		{"a rollback loses nothing", (*upgrade).rolledBack},
	} {
		t.Run(step.name, func(t *testing.T) {
			u.t = t
			step.run(u)
		})
		u.t = t
	}
}

// checkOut writes the release that the upgrade starts from to a folder.
func (d *deployment) checkOut() (folder string) {
	d.t.Helper()
	root := webhooktest.Root(d.t)
	name, err := os.ReadFile(filepath.Join(root, upgradeFrom))
	must(d.t, err)
	commit := strings.TrimSpace(string(name))
	if err := exec.Command("git", "-C", root, "cat-file", "-e", commit+"^{commit}").Run(); err != nil {
		d.t.Fatalf("%s names the commit %s, which this clone does not have: get the whole history by git fetch --unshallow",
			upgradeFrom, commit)
	}
	folder = d.t.TempDir()
	tarball := filepath.Join(folder, "release.tar")
	d.run("git", "archive", "--output", tarball, commit)
	d.run("tar", "-xf", tarball, "-C", folder)
	return folder
}

// left is what the earlier release has left behind.
type left struct {
	histories map[string][]ledger.Entry // by subject, of what is processed
	requests  []sentRequest             // of those events
	queued    []sentRequest             // acknowledged, and waiting in the queue
	letter    string                    // the body of the dead letter
	document  string                    // the key of an object in the bucket of documents
	secrets   map[string]string         // by ARN
}

// sentRequest is a request about an agreement of its own.
type sentRequest struct {
	provider webhook.Provider
	request  *webhook.Request
	id       string // of the agreement
}

func (s sentRequest) subject() string { return webhook.AgreementSubject(s.provider.Info().Name, s.id) }

// completions sends a completed agreement of each vendor.
func (d *deployment) completions() (sent []sentRequest) {
	d.t.Helper()
	for _, p := range provider.All() {
		example, err := sample.Completed(p)
		must(d.t, err)
		r, id := d.fresh(p, example, "")
		d.accepted(p, r)
		sent = append(sent, sentRequest{p, r, id})
	}
	return sent
}

// leave makes the earlier release process events, and leaves others in the queue and in the dead-letter queue.
func (d *upgrade) leave() {
	d.left = left{histories: map[string][]ledger.Entry{}, secrets: map[string]string{}, requests: d.completions()}
	large := fmt.Sprintf(`{"event":"envelope-completed","data":{"envelopeId":"upgrade-%s","filler":%q}}`, random(8),
		strings.Repeat("x", 3<<20))
	d.accepted(docusign.Provider{}, d.signed(large))
	for _, s := range d.left.requests {
		d.completed(s.provider, s.id)
		d.left.histories[s.subject()] = d.committed(s.subject(), 1)
	}
	unreadable := d.signed(`{"event":"envelope-completed","data":{` + random(8))
	d.accepted(docusign.Provider{}, unreadable)
	d.left.letter = string(unreadable.Body)
	d.eventually("the dead letter", func() (string, bool) {
		letters := d.deadLetters()
		return fmt.Sprint(letters), slices.Equal(letters, []string{d.left.letter})
	})
	d.left.document = "docusign/" + random(8) + ".pdf"
	_, err := d.s3.PutObject(d.t.Context(), &awss3.PutObjectInput{
		Bucket: aws.String(d.outputs["DocumentBucketName"]), Key: &d.left.document, Body: strings.NewReader("%PDF"),
	})
	must(d.t, err)
	d.left.secrets = d.secretValues()
	d.receiveMessages(false)
	d.left.queued = d.completions()
	for _, s := range d.left.queued {
		history, err := d.ledger.History(d.t.Context(), s.subject())
		must(d.t, err)
		if len(history) != 1 || history[0].State != ledger.Received {
			d.t.Fatalf("%s is not in flight: %+v", s.subject(), history)
		}
	}
}

// committed waits like history, and leaves the stream alone.
func (d *deployment) committed(subject string, n int) (history []ledger.Entry) {
	d.t.Helper()
	d.eventually("history of "+subject, func() (string, bool) {
		var err error
		history, err = d.ledger.History(d.t.Context(), subject)
		unprocessed := slices.ContainsFunc(history, func(e ledger.Entry) bool { return e.State != ledger.Processed })
		return fmt.Sprintf("%+v, %v", history, err), err == nil && !unprocessed && len(history) >= n
	})
	return history
}

// secretValues returns the vendors' secrets.
func (d *deployment) secretValues() map[string]string {
	d.t.Helper()
	values := map[string]string{}
	for _, p := range provider.All() {
		arn := d.output(p, "Secret")
		out, err := d.secrets.GetSecretValue(d.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn})
		must(d.t, err)
		values[arn] = *out.SecretString
	}
	return values
}

// call calls a REST API of AWS for which the project needs no client.
func (d *deployment) call(service, method, path, body string) (answer map[string]any) {
	d.t.Helper()
	endpoint := d.endpoint
	if endpoint == "" {
		endpoint = "https://" + service + "." + d.config.Region + ".amazonaws.com"
	}
	r, err := http.NewRequestWithContext(d.t.Context(), method, endpoint+path, strings.NewReader(body))
	must(d.t, err)
	r.Header.Set("Content-Type", "application/json")
	credentials, err := d.config.Credentials.Retrieve(d.t.Context())
	must(d.t, err)
	sum := sha256.Sum256([]byte(body))
	must(d.t, v4.NewSigner().SignHTTP(d.t.Context(), credentials, r, hex.EncodeToString(sum[:]), service, d.config.Region,
		time.Now()))
	got, err := http.DefaultClient.Do(r)
	must(d.t, err)
	defer got.Body.Close()
	text, err := io.ReadAll(got.Body)
	must(d.t, err)
	if got.StatusCode >= 400 {
		d.t.Fatalf("%s %s: %s: %s", method, path, got.Status, text)
	}
	json.Unmarshal(text, &answer) // an empty one stays nil
	return answer
}

// receiveMessages enables or disables the event source mapping of the worker.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/api/API_UpdateEventSourceMapping.html
func (d *deployment) receiveMessages(enabled bool) {
	d.t.Helper()
	path := "/2015-03-31/event-source-mappings/" + d.resources["WorkerSource"]
	d.call("lambda", http.MethodPut, path, fmt.Sprintf(`{"Enabled":%t}`, enabled))
	want := map[bool]string{true: "Enabled", false: "Disabled"}[enabled]
	d.eventually("the mapping is "+want, func() (string, bool) {
		seen := d.call("lambda", http.MethodGet, path, "")
		return fmt.Sprint(seen), seen["State"] == want
	})
}

// over deploys a template over the stack. The emulator makes another stage for another deployment of the API, before it
// deletes the old one, and that fails. So the stage is deleted before, and made again if the emulator has deleted both.
func (d *deployment) over(template string) {
	d.t.Helper()
	if d.endpoint == "" {
		d.deployStack(d.stack, template, d.parameters("ArchiveDays=30", "LogRetentionDays=7"))
	} else {
		stages := "/restapis/" + d.resources["Api"] + "/stages"
		made := d.call("apigateway", http.MethodPost, "/restapis/"+d.resources["Api"]+"/deployments", `{}`)
		d.call("apigateway", http.MethodDelete, stages+"/live", "")
		d.deployStack(d.stack, template, d.parameters("ArchiveDays=30", "LogRetentionDays=7"))
		if left := d.call("apigateway", http.MethodGet, stages, ""); !strings.Contains(fmt.Sprint(left), "live") {
			d.call("apigateway", http.MethodPost, stages, fmt.Sprintf(`{"stageName":"live","deploymentId":%q}`, made["id"]))
		}
	}
	d.outputs, d.resources = d.outputsOf(d.stack), d.resourcesOf(d.stack)
}

// upgraded deploys this release over the earlier one. All that it has left behind is found again, once.
func (d *upgrade) upgraded() {
	outputs, resources := d.outputs, d.resources
	d.over(d.template)
	for name, value := range outputs {
		if d.outputs[name] != value {
			d.t.Errorf("the output %s was %s, and is %s", name, value, d.outputs[name])
		}
	}
	for name, id := range resources {
		if strings.HasSuffix(name, "Queue") || strings.HasSuffix(name, "Secret") || strings.HasSuffix(name, "Bucket") ||
			name == "Table" || name == "EventBus" || name == "Api" {
			if d.resources[name] != id {
				d.t.Errorf("%s was %s, and is %s", name, id, d.resources[name])
			}
		}
	}
	if diff := cmp.Diff(d.left.secrets, d.secretValues()); diff != "" {
		d.t.Error("the secrets have changed") // the difference would show them
	}
	d.receiveMessages(true)
	for _, s := range d.left.queued {
		d.completed(s.provider, s.id)
		d.left.histories[s.subject()] = d.committed(s.subject(), 1)
	}
	d.found(slices.Concat(d.left.requests, d.left.queued))
	url := d.outputs["DeadLetterQueueUrl"]
	if letters := d.deadLetters(); !slices.Equal(letters, []string{d.left.letter}) {
		d.t.Errorf("dead letters: %q", letters)
	}
	for _, m := range d.receive(url) {
		d.discard(url, m)
	}
	object, err := d.s3.GetObject(d.t.Context(), &awss3.GetObjectInput{
		Bucket: aws.String(d.outputs["DocumentBucketName"]), Key: &d.left.document,
	})
	must(d.t, err)
	content, err := io.ReadAll(object.Body)
	must(d.t, err)
	if !bytes.Equal(content, []byte("%PDF")) {
		d.t.Errorf("the document is %q", content)
	}
}

// found sends the requests again, and expects each event once, unchanged, on the bus and in the archive.
func (d *upgrade) found(all []sentRequest) {
	d.t.Helper()
	for _, s := range all {
		d.accepted(s.provider, s.request)
	}
	for _, s := range all {
		history := d.history(s.subject(), 1)
		for i := range history {
			history[i].Duplicates = d.left.histories[s.subject()][i].Duplicates
		}
		if diff := cmp.Diff(d.left.histories[s.subject()], history); diff != "" {
			d.t.Errorf("%s: %s", s.subject(), diff)
		}
		for _, e := range history {
			d.compare(history, e.ID)
		}
	}
}

// rolledBack deploys the earlier release again, and then this one. Both receive and process.
func (d *upgrade) rolledBack() {
	before := d.completions()
	for _, s := range before {
		d.completed(s.provider, s.id)
		d.left.histories[s.subject()] = d.committed(s.subject(), 1)
	}
	if d.endpoint != "" {
		d.keepOutput(d.earlier)
	}
	d.over(d.earlier)
	meanwhile := d.completions()
	for _, s := range meanwhile {
		d.completed(s.provider, s.id)
		d.left.histories[s.subject()] = d.committed(s.subject(), 1)
	}
	d.over(d.template)
	d.found(slices.Concat(before, meanwhile))
}

// keepOutput adds an output to an earlier template, under a condition that is false. The emulator refuses a template
// without it, because it then evaluates the attribute of a resource that does not exist.
func (d *deployment) keepOutput(template string) {
	d.t.Helper()
	text, err := os.ReadFile(template)
	must(d.t, err)
	const output = "\nOutputs:\n  MutualTlsTarget:\n    Condition: Forwarded\n    Value: none\n"
	kept := strings.Replace(string(text), "\nOutputs:\n", output, 1)
	if kept == string(text) {
		d.t.Fatal("the earlier template has no outputs")
	}
	must(d.t, os.WriteFile(template, []byte(kept), 0o600))
}
