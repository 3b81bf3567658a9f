package stack

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/vendorapi"
)

func (a *account) operate(s *Stack, command string) (string, error) {
	a.t.Helper()
	run, err := operate.Parse(strings.Fields(command))
	must(a.t, err)
	var out strings.Builder
	err = run.Act(a.t.Context(), &out, s.Target())
	if strings.Contains(out.String(), "canary") {
		a.t.Errorf("shows a secret: %s", &out)
	}
	return out.String(), err
}

// putCredentials stores the credentials of the vendors' API, with a key and two tokens.
func (a *account) putCredentials(stub *vendorstub.Server, name string) {
	a.t.Helper()
	text, err := json.Marshal(map[string]any{
		"keys": []string{"canary-key"}, "urlTokens": []string{"canary-old", "canary-new"}, "urlToken": "canary-generated",
		"api": stub.Credentials(strings.ToLower(name)),
	})
	must(a.t, err)
	a.putSecret(name, string(text))
}

func (a *account) testRegister(t *testing.T) {
	stub := vendorstub.New(t)
	a.putCredentials(stub, "DropboxSign")
	s := a.open()
	if out, err := a.operate(s, "registered -provider dropboxsign"); err == nil ||
		!strings.Contains(out, "Dropbox Sign\n") {
		t.Errorf("%v: %s", err, out)
	}
	for _, said := range []string{"read back", "nothing to do"} {
		out, err := a.operate(s, "register -provider dropboxsign -apply")
		if err != nil || !strings.Contains(out, said) {
			t.Errorf("does not say %q, %v: %s", said, err, out)
		}
	}
	got := stub.Subscriptions("dropboxsign")
	if len(got) != 1 || got[0].URL != "https://api.example/live/webhooks/dropboxsign/canary-new" {
		t.Errorf("registered %+v", got)
	}
	if out, err := a.operate(s, "registered -provider dropboxsign"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func (a *account) testArchive(t *testing.T) {
	stub := vendorstub.New(t)
	stub.Set("dropboxsign", vendorstub.Agreement{ID: "d-1", Status: esign.Completed})
	a.putCredentials(stub, "DropboxSign")
	s := a.open()
	if out, err := a.operate(s, "archive -provider dropboxsign -id d-1"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	jobs := a.drain("DocumentQueueUrl")
	if len(jobs) != 1 {
		t.Fatalf("%d jobs", len(jobs))
	}
	var envelope events.EventBridgeEvent
	must(t, json.Unmarshal([]byte(jobs[0]), &envelope))
	var detail bus.Detail
	must(t, json.Unmarshal(envelope.Detail, &detail))
	if envelope.Source != "esign.dropboxsign" || envelope.DetailType != "agreement.completed" ||
		detail.Event.AgreementID != "d-1" || !detail.Replay {
		t.Errorf("%+v, %+v", envelope, detail)
	}
}

func (a *account) testWithoutCredentials(t *testing.T) {
	a.putSecret("DropboxSign", `{"keys":["canary-key"],"urlTokens":[],"urlToken":"canary"}`)
	s := a.open()
	for _, command := range []string{"register -provider dropboxsign", "archive -provider dropboxsign -id d-1"} {
		_, err := a.operate(s, command)
		if !errors.Is(err, vendorapi.ErrOff) || !strings.Contains(err.Error(), a.outputs["DropboxSignSecret"]) ||
			!strings.Contains(err.Error(), "apiKey") {
			t.Errorf("%s: %v", command, err)
		}
	}
	if out, err := a.operate(s, "registered -provider dropboxsign"); err != nil ||
		!strings.Contains(out, "--slurpfile api api.json") {
		t.Errorf("%v: %s", err, out)
	}
	a.putSecret("DropboxSign", `{"keys":["canary-key"],"urlTokens":[],"urlToken":"canary","api":{"apiKye":"canary"}}`)
	if out, err := a.operate(s, "registered -provider dropboxsign"); err == nil ||
		!strings.Contains(err.Error(), "apiKye") || strings.Contains(err.Error(), "canary") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestTheCommandsThatEditASecret runs the commands with a fake AWS CLI, which keeps the secret in a file.
func TestTheCommandsThatEditASecret(t *testing.T) {
	if _, err := exec.LookPath("jq"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	const aws = `#!/bin/sh
case "$*" in
"secretsmanager get-secret-value --secret-id arn:it --query SecretString --output text") cat secret ;;
"secretsmanager put-secret-value --secret-id arn:it --secret-string file:///dev/stdin") cat /dev/stdin >put && mv put secret ;;
*) exit 1 ;;
esac
`
	before := map[string]any{"keys": []any{}, "urlTokens": []any{"it's"}, "urlToken": "generated",
		"api": map[string]any{"old": "1"}}
	for name, tt := range map[string]struct {
		jq      string
		changed string
		want    any
	}{
		"a key":           {putKey, "keys", []any{"KEY"}},
		"API credentials": {putAPI, "api", map[string]any{"apiKey": "it's\n\"new\""}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write := func(name string, mode os.FileMode, text string) {
				must(t, os.WriteFile(filepath.Join(dir, name), []byte(text), mode))
			}
			secret, err := json.Marshal(before)
			must(t, err)
			write("aws", 0o700, aws)
			write("secret", 0o600, string(secret)+"\n") // as the CLI prints it
			write("api.json", 0o600, "{\n  \"apiKey\": \"it's\\n\\\"new\\\"\"\n}\n")
			command := exec.Command("sh", "-c", edit("arn:it", tt.jq))
			command.Dir, command.Env = dir, append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"))
			if out, err := command.CombinedOutput(); err != nil || len(out) > 0 {
				t.Fatalf("%v: %s", err, out)
			}
			text, err := os.ReadFile(filepath.Join(dir, "secret"))
			must(t, err)
			want, got := map[string]any{}, map[string]any{}
			must(t, json.Unmarshal(secret, &want))
			want[tt.changed] = tt.want
			must(t, json.Unmarshal(text, &got))
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
