package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// The runbooks of shared/docs/runbooks.md, by their headings.
const (
	setUp       = "Before you begin"
	lostTable   = "The table is lost or wrong"
	lostRegion  = "A region is lost"
	leakedToken = "A URL token is leaked"
	leakedKey   = "A key is leaked"
	disabled    = "A vendor disabled our webhook"
	deadLetters = "Dead letters"
	forgery     = "A completion may be forged"
	badRelease  = "A bad release"
)

// executed are the numbers of the steps that the test executes, by runbook.
var executed = map[string][]int{
	lostTable:   {1, 2, 3, 5, 6, 7, 8, 9, 10},
	leakedToken: {1, 2, 3, 4, 5},
	leakedKey:   {2, 4, 5},
	disabled:    {1, 2, 3, 4, 5},
	deadLetters: {1, 2, 3},
	forgery:     {1, 2, 3, 4},
}

// excused has the reasons of the steps that the test does not execute.
var excused = map[string]map[int]string{
	lostTable: {
		4:  "the emulator makes no backup of a table that is deleted",
		11: "the tests of shared/operate remove agreements",
		12: "the emulator has no limits, alarms or TLS to check; the tests of shared/stack check the checks",
	},
	lostRegion: {
		1: "it is the first deployment, with which the test begins; the emulator has one region",
		2: "\"an operator inspects and replays\" shows the URLs",
		3: "\"an operator registers the URLs\" registers them",
		4: "as in " + lostTable,
		5: "the emulator has one region; " + deadLetters + " redrives",
	},
	leakedToken: {6: "it leads to " + forgery},
	leakedKey:   {1: "at the vendor", 3: "at the vendor", 6: "it leads to " + forgery},
	forgery:     {5: "it informs people, and leads to the leaks"},
	badRelease: {
		1: "as in " + lostTable,
		2: "TestUpgrade deploys an earlier release over this one, and this one again",
		3: "as in " + lostTable,
		4: "as in " + deadLetters,
	},
}

// TestEveryStepOfTheRunbooksIsAccountedFor expects that each step is executed, or excused with a reason.
func TestEveryStepOfTheRunbooksIsAccountedFor(t *testing.T) {
	found := map[string][]int{}
	for title, commands := range readRunbooks(t) {
		if title == setUp {
			continue
		}
		for n := range commands {
			found[title] = append(found[title], n)
			_, reason := excused[title][n]
			if runs := slices.Contains(executed[title], n); runs == reason {
				t.Errorf("%s, step %d: executed %t, excused %t", title, n, runs, reason)
			} else if runs && commands[n] == "" {
				t.Errorf("%s, step %d has no command", title, n)
			}
		}
		if len(commands) == 0 {
			t.Errorf("%s has no steps", title)
		}
	}
	for title, steps := range executed {
		for _, n := range slices.Concat(steps, slices.Collect(maps.Keys(excused[title]))) {
			if !slices.Contains(found[title], n) {
				t.Errorf("%s has no step %d", title, n)
			}
		}
	}
}

// readRunbooks returns the commands of each step of each runbook. Commands before the first step are those of step 0.
func readRunbooks(t *testing.T) map[string]map[int]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join(webhooktest.Root(t), "shared/docs/runbooks.md"))
	must(t, err)
	books := map[string]map[int]string{}
	numbered := regexp.MustCompile(`^(\d+)\. `)
	for _, section := range strings.Split(string(page), "\n## ")[1:] {
		title, text, _ := strings.Cut(section, "\n")
		books[title] = map[int]string{}
		n := 0
		for line := range strings.Lines(text) {
			if number := numbered.FindStringSubmatch(line); number != nil {
				n, _ = strconv.Atoi(number[1])
				books[title][n] = ""
			} else if strings.HasPrefix(line, "    ") {
				books[title][n] += strings.TrimSpace(line) + "\n"
			}
		}
	}
	return books
}

// runbook is one that an operator follows, in a shell.
type runbook struct {
	d        *deployment
	title    string
	commands map[int]string
	setUp    string
	values   []string // what to put in place of <…>, in pairs
	state    string   // file with the variables of earlier steps
	done     []int
}

// open begins a runbook. The values take the place of what the page has in angle brackets.
func (d *deployment) open(title string, values ...string) *runbook {
	d.t.Helper()
	books := readRunbooks(d.t)
	values = append(values, "<stack>", d.stack, "<region>", d.config.Region)
	return &runbook{
		d: d, title: title, commands: books[title], setUp: books[setUp][0], values: values,
		state: filepath.Join(d.scratch, strings.ReplaceAll(title, " ", "-")),
	}
}

// onEmulator changes two commands. A log is followed for a few seconds only. The emulator has no previous template, so
// SAM deploys the same one again, with the same change of parameters.
const onEmulator = `
make() {
	if [ "$1" = logs ]; then timeout -s INT 5 make -s "$@" || true; else command make -s "$@"; fi
}
aws() {
	case " $* " in
	*" --use-previous-template "*)
		"$SAM" deploy --stack-name "$STACK" --template-file "$TEMPLATE" --resolve-s3 --capabilities CAPABILITY_IAM \
			--no-confirm-changeset --no-progressbar --parameter-overrides "$(jq -r 'map(select(.ParameterValue) |
			"\(.ParameterKey)=\(.ParameterValue)") | join(" ")' <<<"$parameters")" >/dev/null ;;
	*) command aws --endpoint-url "$AWS_ENDPOINT_URL" "$@" ;; # for SQS the AWS CLI ignores the variable
	esac
}
`

// step executes a step, which must succeed, and returns its output.
func (r *runbook) step(n int) string {
	r.d.t.Helper()
	return r.stepWith(n, "")
}

// stepWith executes a step that waits for an input.
func (r *runbook) stepWith(n int, input string) string {
	r.d.t.Helper()
	out, err := r.try(n, input)
	if err != nil {
		r.d.t.Fatalf("%s, step %d: %v\n%s", r.title, n, err, out)
	}
	return out
}

// assigned matches the variables that a step sets for later ones.
var assigned = regexp.MustCompile(`(?m)^(?:read -rs )?(\w+)(?:=| && export)`)

func (r *runbook) try(n int, input string) (string, error) {
	r.d.t.Helper()
	r.done = append(r.done, n)
	script := "set -euo pipefail\n" + onEmulator + r.setUp + "[ ! -e $STATE ] || . $STATE\n" + r.commands[n]
	for _, match := range assigned.FindAllStringSubmatch(r.commands[n], -1) {
		script += "declare -p " + match[1] + " >>$STATE\n"
	}
	script = strings.NewReplacer(r.values...).Replace(script)
	if left := regexp.MustCompile(`<[A-Za-z][\w ]*>`).FindString(script); left != "" {
		r.d.t.Fatalf("%s, step %d: nothing takes the place of %s", r.title, n, left)
	}
	ctx, cancel := context.WithTimeout(r.d.t.Context(), 5*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, "bash", "-c", script)
	c.Dir, c.WaitDelay, c.Stdin = webhooktest.Root(r.d.t), 10*time.Second, strings.NewReader(input)
	c.Env = append(os.Environ(), "SAM_CLI_TELEMETRY=0", "STATE="+r.state, "TEMPLATE="+r.d.template,
		"SSL_CERT_FILE="+r.d.vendors.certificate, "PATH="+filepath.Dir(os.Getenv("SAM"))+":"+os.Getenv("PATH"))
	began := time.Now()
	out, err := c.CombinedOutput()
	r.d.t.Logf("%s, step %d: %.1f s", r.title, n, time.Since(began).Seconds())
	return string(out), err
}

// shows executes a step, and expects texts in its output.
func (r *runbook) shows(n int, texts ...string) {
	r.d.t.Helper()
	out := r.step(n)
	for _, text := range texts {
		if !strings.Contains(out, text) {
			r.d.t.Errorf("%s, step %d does not show %s:\n%s", r.title, n, text, out)
		}
	}
}

// end expects that the steps were those that the test claims to execute.
func (r *runbook) end() {
	r.d.t.Helper()
	if slices.Sort(r.done); !slices.Equal(slices.Compact(r.done), executed[r.title]) {
		r.d.t.Errorf("%s: executed %d, not %d", r.title, r.done, executed[r.title])
	}
}

// leaks are the runbooks of a leaked token and a leaked key, and what is leaked.
type leaks struct {
	token, key *runbook
	oldURL     string         // of Adobe
	oldKey     webhook.Secret // of DocuSign
	newKey     string
}

// addSecrets begins the runbooks of the leaks. The functions read the new token and key with the credentials.
func (d *deployment) addSecrets() {
	d.t.Helper()
	d.leaks = leaks{oldURL: d.urls["adobesign"], oldKey: d.keys["docusign"], newKey: random(16)}
	d.leaks.token = d.open(leakedToken, "<Vendor>", "AdobeSign", "<provider>", "adobesign", "<old URL>", d.leaks.oldURL)
	d.leaks.key = d.open(leakedKey, "<Vendor>", "DocuSign", "<provider>", "docusign")
	d.leaks.token.step(1)
	d.leaks.key.stepWith(2, d.leaks.newKey+"\n")
}

// leaked is a request of Adobe's and one of DocuSign's.
func (d *deployment) leaked() (adobe, docu *webhook.Request) {
	d.t.Helper()
	adobe, _ = d.fresh(adobesign.Provider{}, "agreement-created", "")
	return adobe, d.signed(`{"event":"envelope-sent","data":{"envelopeId":"leak-` + random(8) + `"}}`)
}

// useNewSecrets makes the vendors use the new token and key, while the old ones are still valid.
func (d *deployment) useNewSecrets() {
	d.t.Helper()
	adobe, docu := d.leaked()
	d.accepted(adobesign.Provider{}, adobe)
	d.accepted(docusign.Provider{}, docu)
	tokens := d.secretOf(adobesign.Provider{}).URLTokens
	if len(tokens) != 1 {
		d.t.Fatalf("%d tokens were added", len(tokens))
	}
	d.tokens = append(d.tokens, tokens[0])
	address := d.urls["adobesign"]
	d.urls["adobesign"] = address[:strings.LastIndex(address, "/")+1] + tokens[0]
	d.keys["docusign"] = webhook.NewSecret(d.leaks.newKey)
	d.eventually("an empty queue", func() (string, bool) {
		waiting := d.waiting(d.outputs["QueueUrl"])
		return waiting, waiting == "0 and 0"
	})
	d.accepted(adobesign.Provider{}, adobe)
}

// runbooks follows the runbooks. The leaked token and key are removed before the table is replaced, which starts all
// functions again: so the test need not wait until the secrets are read again.
func (d *deployment) runbooks() {
	d.needsVendors()
	token, key := d.leaks.token, d.leaks.key
	token.step(2)
	token.step(3)
	token.step(4)
	key.step(4)
	d.restoreTable()
	adobe, docu := d.leaked()
	if answer, body := d.sendTo(d.leaks.oldURL, adobe); answer.StatusCode != http.StatusNotFound {
		d.t.Errorf("the old URL got %d %q", answer.StatusCode, body)
	}
	must(d.t, docusign.Provider{}.Sign(docu, d.leaks.oldKey, time.Now()))
	if answer, body := d.send(docusign.Provider{}, docu); answer.StatusCode != http.StatusUnauthorized {
		d.t.Errorf("the old key got %d %q", answer.StatusCode, body)
	}
	token.shows(5, "404")
	key.shows(5, `"cause":"wrong-key"`)
	if s := d.secretOf(adobesign.Provider{}); s.URLToken != "" || len(s.URLTokens) != 1 || len(s.API) == 0 {
		d.t.Error("the old token is still in the secret, or the credentials are gone")
	}
	if s := d.secretOf(docusign.Provider{}); !slices.Equal(s.Keys, []string{d.leaks.newKey}) || len(s.API) == 0 {
		d.t.Error("the old key is still in the secret, or the credentials are gone")
	}
	token.end()
	key.end()
	d.redriveDeadLetters()
	d.doubt()
	d.enableWebhook()
}

func completedExample(d *deployment, p webhook.Provider) string {
	d.t.Helper()
	example, err := sample.Completed(p)
	must(d.t, err)
	return example
}

// secretOf is what a provider's secret holds now.
func (d *deployment) secretOf(p webhook.Provider) (stored webhook.StoredKeys) {
	d.t.Helper()
	arn := d.output(p, "Secret")
	out, err := d.secrets.GetSecretValue(d.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &arn})
	must(d.t, err)
	stored, err = webhook.ParseStoredKeys(*out.SecretString)
	must(d.t, err)
	return stored
}

// restoreTable replaces the table by one that is restored. Nothing that is acknowledged meanwhile is lost.
func (d *deployment) restoreTable() {
	waiting, lost := "waiting-"+random(8), "6f1c0a52-"+random(2)+"-4d1e-9f00-"+random(6)
	began := time.Now().UTC()
	r := d.open(lostTable, "<time>", began.Format(time.RFC3339), "<from>", began.Add(-time.Minute).Format(time.RFC3339),
		"<to>", began.Add(time.Hour).Format(time.RFC3339))
	before := d.outputs["TableName"]
	d.replaced = append(d.replaced, before)
	r.step(1)
	d.mapping("Disabled")
	d.accepted(docusign.Provider{}, d.signed(fmt.Sprintf(`{"event":"envelope-sent","data":{"envelopeId":%q}}`, waiting)))
	d.vendors.Set("docusign", vendorstub.Agreement{
		ID: lost, Status: esign.Completed, ChangedAt: began.Add(-30 * time.Minute), PDF: vendorstub.PDF(random(8)),
	})
	r.shows(2, "PointInTimeRecoveryStatus")
	for _, n := range []int{3, 5, 6, 7} {
		r.step(n)
	}
	d.outputs, d.resources = d.outputsOf(d.stack), d.resourcesOf(d.stack)
	restored := d.outputs["TableName"]
	if restored == before {
		d.t.Fatal("the stack still uses the table of before")
	}
	d.ledger = dynamodb.New(d.table, restored, 0)
	r.shows(8, restored, "table/"+restored+"/stream/")
	d.history("docusign#"+waiting, 1)
	d.published(waiting, 1, func(e bus.Detail) bool { return e.Event.AgreementID == waiting })
	if agreement, _, err := d.ledger.Agreement(d.t.Context(), d.first); err != nil || agreement.Status != esign.Completed {
		d.t.Errorf("the history is gone: %+v, %v", agreement, err)
	}
	old := dynamodb.New(d.table, before, 0)
	if history, err := old.History(d.t.Context(), "docusign#"+waiting); err != nil || len(history) > 1 ||
		len(history) == 1 && history[0].ProcessedAt.After(began) {
		d.t.Errorf("the worker still writes the table of before: %+v, %v", history, err)
	}
	r.step(9)
	d.history("docusign#"+lost, 1)
	r.step(10)
	d.published("a replay", 1, func(e bus.Detail) bool { return e.Replay && e.Event.AgreementID == waiting })
	r.end()
}

// mapping waits until the worker's mapping has this state.
func (d *deployment) mapping(state string) {
	d.t.Helper()
	d.eventually("the mapping is "+state, func() (string, bool) {
		seen := d.call("lambda", http.MethodGet, "/2015-03-31/event-source-mappings/"+d.resources["WorkerSource"], "")
		return fmt.Sprint(seen), seen["State"] == state
	})
}

// redriveDeadLetters has a letter whose cause is corrected.
func (d *deployment) redriveDeadLetters() {
	id := "letter-" + random(8)
	r := d.signed(fmt.Sprintf(`{"event":"envelope-completed","data":{"envelopeId":%q}}`, id))
	ids, err := docusign.Provider{}.Identify(r)
	must(d.t, err)
	message, _ := queue.Encode(&webhook.Delivery{
		Provider: "docusign", EventID: ids[0].EventID, Subject: ids[0].Subject, ReceivedAt: time.Now().UTC(),
		Proof: esign.ProofSigned, ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
	})
	must(d.t, sqs.New(d.sqs, d.outputs["DeadLetterQueueUrl"]).Send(d.t.Context(), message))
	book := d.open(deadLetters)
	book.shows(1, `"ApproximateNumberOfMessages": "1"`)
	book.shows(2, `"level":"`)
	book.shows(3, "dead letters: 1 moved")
	d.completed(docusign.Provider{}, id)
	book.end()
}

// doubt follows the runbook of a completion that the vendor does not confirm, and then does.
func (d *deployment) doubt() {
	p := adobesign.Provider{}
	request, id := d.fresh(p, completedExample(d, p), "")
	d.vendors.Set("adobesign", vendorstub.Agreement{ID: id, Status: esign.Cancelled})
	d.accepted(p, request)
	subject := webhook.AgreementSubject("adobesign", id)
	d.history(subject, 1)
	d.eventually("the parked completion", func() (string, bool) {
		letters := d.waiting(d.outputs["DocumentDeadLetterQueueUrl"])
		return letters, letters == "1 and 0"
	})
	book := d.open(forgery, "<provider>", "adobesign", "<id>", id)
	book.shows(1, id)
	book.shows(2, id, string(esign.ProofURLToken))
	var said struct {
		VendorStatus string
		Contradicted bool
	}
	out := book.step(3)
	if err := json.Unmarshal([]byte(out), &said); err != nil || !said.Contradicted {
		d.t.Errorf("the vendor's word is %s, %v", out, err)
	}
	d.vendors.Set("adobesign", vendorstub.Agreement{ID: id, Status: esign.Completed, PDF: vendorstub.PDF(random(8))})
	book.step(4)
	d.history(subject, 3)
	d.make("redrive")
	d.eventually("no dead letters of the archiver", func() (string, bool) {
		letters := d.waiting(d.outputs["DocumentDeadLetterQueueUrl"])
		return letters, letters == "0 and 0"
	})
	book.end()
}

// enableWebhook enables a subscription again that the vendor has disabled.
func (d *deployment) enableWebhook() {
	d.vendors.Disable("docusign")
	book := d.open(disabled, "<provider>", "docusign")
	if out, err := book.try(1, ""); err == nil || !strings.Contains(out, "no healthy subscription") {
		d.t.Errorf("a disabled subscription: %v\n%s", err, out)
	}
	book.step(2)
	book.shows(3, "is active")
	book.step(4)
	book.step(5)
	book.end()
}
