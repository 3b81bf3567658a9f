package stack

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/operate"
	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// console answers an operator's calls for a stack that is deployed with the template, and records them.
type console struct {
	*lambdatest.AWS
	stack *lambdatest.Stack
	moves int
	moved []string // the queues of each move
}

func (c *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	_, operation, _ := strings.Cut(r.Header.Get("X-Amz-Target"), ".")
	var in struct{ QueueUrl, SourceArn, DestinationArn string }
	json.Unmarshal(body, &in)
	queue := func(arn string) string { return c.stack.Resource(strings.TrimPrefix(arn, "arn:")) }
	member := func(element, key, value string) string {
		return fmt.Sprintf("<member><%[1]sKey>%[2]s</%[1]sKey><%[1]sValue>%[3]s</%[1]sValue></member>", element, key, value)
	}
	switch {
	case form.Get("Action") == "DescribeStacks":
		var outputs, parameters string
		for name, value := range c.stack.Outputs() {
			outputs += member("Output", name, value)
		}
		for name, value := range c.stack.Parameters {
			parameters += member("Parameter", name, value)
		}
		fmt.Fprintf(w, "<R><DescribeStacksResult><Stacks><member><Outputs>%s</Outputs><Parameters>%s</Parameters>"+
			"</member></Stacks></DescribeStacksResult></R>", outputs, parameters)
	case form.Get("Action") == "DescribeStackResource":
		fmt.Fprintf(w, "<R><DescribeStackResourceResult><StackResourceDetail><PhysicalResourceId>%s</PhysicalResourceId>"+
			"</StackResourceDetail></DescribeStackResourceResult></R>", c.stack.Name(form.Get("LogicalResourceId")))
	case operation == "GetQueueAttributes":
		fmt.Fprintf(w, `{"Attributes":{"QueueArn":"arn:%s","ApproximateNumberOfMessages":"0"}}`, in.QueueUrl)
	case operation == "StartMessageMoveTask":
		c.moves++
		c.moved = append(c.moved, queue(in.SourceArn)+" to "+queue(in.DestinationArn))
		fmt.Fprint(w, `{}`)
	case operation == "ListMessageMoveTasks":
		fmt.Fprintf(w, `{"Results":[{"Status":"COMPLETED","StartedTimestamp":%d}]}`, c.moves)
	default:
		r.Body = io.NopCloser(bytes.NewReader(body))
		c.AWS.ServeHTTP(w, r)
	}
}

func (c *console) calls() (all []string) {
	for _, call := range c.Calls() {
		if call.Service == "" {
			continue
		}
		line := call.Service + " " + call.Operation
		for _, on := range call.On {
			line += " " + c.stack.Resource(on)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// TestADeployedStack checks on which resources of the template each of an operator's actions acts.
func TestADeployedStack(t *testing.T) {
	parameters := lambdatest.Deploy(t, nil).Changed()
	for _, p := range provider.All() {
		parameters[p.Info().Resource] = "enabled"
		if p.Info().Name != "adobesign" { // which shows a client certificate
			parameters[p.Info().Resource+"ClientSubjects"] = ""
		}
	}
	parameters["DocuSign"] = "disabled"
	c := &console{stack: lambdatest.Deploy(t, parameters), AWS: &lambdatest.AWS{Secret: `{"keys":["k"],"urlToken":"u"}`}}
	server := httptest.NewServer(c)
	defer server.Close()
	lambdatest.Enter(t, map[string]string{"AWS_ENDPOINT_URL": server.URL})
	s, err := Open(t.Context(), "hooks")
	must(t, err)
	target := s.Target()
	wants := func(what string, want ...string) {
		t.Helper()
		calls := c.calls()
		for i := range calls {
			calls[i] = strings.ReplaceAll(calls[i], "unknown: restored", "RestoredTable")
		}
		if diff := cmp.Diff(want, calls); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
	target.Ledger.History(t.Context(), "s")
	wants("history", "dynamodb Query RestoredTable")
	target.Notes.Note(t.Context(), "n")
	wants("notes", "dynamodb GetItem RestoredTable")
	target.Bus.Publish(t.Context(), []bus.Event{{Source: "s", DetailType: "d"}})
	wants("replay", "events PutEvents EventBus", "sqs SendMessage OutletQueue")
	must(t, target.Archive(t.Context(), bus.Event{}))
	wants("archive", "sqs SendMessage DocumentQueue")
	r := s.reconciler()
	r.Agreements.Agreement(t.Context(), "s")
	r.Notes.PutNote(t.Context(), "n", "text", 0)
	must(t, r.Queue.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: "b"}))
	wants("confirm", "dynamodb GetItem RestoredTable", "dynamodb PutItem RestoredTable", "sqs SendMessage Queue")
	if diff := cmp.Diff([]string{parameters["References"]}, r.Policy.References); diff != "" ||
		fmt.Sprint(r.Remembers.Hours()/24) != parameters["ExpireAfterDays"] {
		t.Errorf("remembers %s: %s", r.Remembers, diff)
	}
	for _, p := range target.Providers { // one is disabled, the others have no credentials
		reply := target.Confirm(t.Context(), reconcile.Question{Provider: p.Info().Name, AgreementID: "a"})
		if reply.Error == nil || reply.Error.Code != "not-asked" {
			t.Errorf("%s: %+v", p.Info().Name, reply)
		}
	}
	c.calls()
	if now := target.Now(); time.Since(now) > time.Minute {
		t.Errorf("it is %v", now)
	}
	for _, p := range target.Providers {
		name := p.Info().Name
		address, keys, err := target.Webhook(t.Context(), name)
		_, clientErr := target.Clients(t.Context(), name)
		if name == "docusign" {
			if !errors.Is(err, operate.ErrDisabled) || !errors.Is(clientErr, operate.ErrDisabled) {
				t.Errorf("%s is disabled: %v, %v", name, err, clientErr)
			}
			wants(name)
			continue
		}
		want := "https://hooks.example.com/webhooks/" + name
		if name == "adobesign" {
			want = "https://mtls.example.com/webhooks/" + name
		}
		if err != nil || keys.URL(address) != want {
			t.Errorf("%s is at %s, %v", name, keys.URL(address), err)
		}
		wants(name, "secretsmanager GetSecretValue "+p.Info().Resource+"Secret")
	}
	var out bytes.Buffer
	if err := s.Redrive(t.Context(), &out); err != nil && !strings.Contains(err.Error(), "ListObjectsV2") {
		t.Error(err)
	}
	wants("redrive", "dynamodb GetItem RestoredTable", "s3 GET PayloadBucket")
	moves := []string{"DeadLetterQueue to Queue", "DocumentDeadLetterQueue to DocumentQueue",
		"OutletDeadLetterQueue to OutletQueue"}
	if diff := cmp.Diff(moves, c.moved); diff != "" {
		t.Error(diff)
	}
}

// TestDoctor examines a stack whose receiver can store nothing: it has neither a table nor a queue.
func TestDoctor(t *testing.T) {
	const key = "canary-key-of-the-stack"
	parameters := lambdatest.Deploy(t, nil).Changed()
	parameters["DocuSign"], parameters["BoldSign"], parameters["DocuSignClientSubjects"] = "enabled", "disabled", ""
	c := &console{stack: lambdatest.Deploy(t, parameters),
		AWS: &lambdatest.AWS{Secret: `{"keys":[" ` + key + `"],"urlToken":"canary-token"}`}}
	aws := httptest.NewServer(c)
	defer aws.Close()
	lambdatest.Enter(t, map[string]string{"AWS_ENDPOINT_URL": aws.URL})
	s, err := Open(t.Context(), "hooks")
	must(t, err)
	docusign, _ := webhook.Find(provider.All(), "docusign")
	receiver := &receive.Receiver{Provider: docusign, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Keys: func(context.Context) (webhook.Keys, error) { return webhook.Keys{Keys: webhook.Secrets(key)}, nil }}
	domain := httptest.NewTLSServer(apigw.HTTP(apigw.Function(receiver.Receive), "/webhooks/docusign", receiver.Log))
	defer domain.Close()
	s.roots = domain.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for name, tt := range map[string]struct {
		provider, url string
		failed        bool
		says          []string
	}{
		"healthy": {"docusign", domain.URL, false, []string{
			"ok           clock ", "warning      keys             white space or quotes around the key d3c1 were removed",
			"not checked  acknowledgement  a sample would become an event of the stack",
			"ok           refusal          an unsigned request gets 401 and nothing else; the alarm of wrong keys counts it",
		}},
		"disabled":            {"boldsign", "", false, []string{"not checked  keys             disabled: to receive"}},
		"unknown":             {"nosign", "", true, nil},
		"the other's URL":     {"docusign", domain.URL + "/webhooks/boldsign", true, nil},
		"a domain of nothing": {"docusign", "https://127.0.0.1:1", true, []string{"failure      reachability"}},
	} {
		t.Run(name, func(t *testing.T) {
			var report bytes.Buffer
			err := s.Doctor(t.Context(), &report, tt.provider, tt.url)
			if (err != nil) != tt.failed {
				t.Errorf("%v\n%s", err, &report)
			}
			for _, says := range tt.says {
				if !strings.Contains(report.String(), says) {
					t.Errorf("it does not say %q:\n%s", says, &report)
				}
			}
			if strings.Contains(report.String()+fmt.Sprint(err), "canary") {
				t.Errorf("a secret is shown:\n%s%v", &report, err)
			}
		})
	}
	s.parameters["MutualTlsDomain"], s.parameters["DocuSignClientSubjects"] = "mtls.example.com", "CN=a"
	var report bytes.Buffer
	if err := s.Doctor(t.Context(), &report, "docusign", ""); err == nil ||
		!strings.Contains(report.String(), "failure      client certificate  the vendor must show a certificate at mtls.example.com") {
		t.Errorf("%v\n%s", err, &report)
	}
}

// TestPreflight examines a deployed stack whose console refuses what the stack does not need.
func TestPreflight(t *testing.T) {
	const key = "canary-key-of-the-stack"
	parameters := lambdatest.Deploy(t, nil).Changed()
	for _, p := range provider.All() {
		parameters[p.Info().Resource] = "disabled"
	}
	parameters["DocuSign"], parameters["AlarmTopicArn"], parameters["AccessLogs"] = "enabled", "", "off"
	parameters["DocuSignClientSubjects"] = ""
	c := &console{stack: lambdatest.Deploy(t, parameters), AWS: &lambdatest.AWS{Secret: `{"keys":["` + key + `"]}`}}
	aws := httptest.NewServer(c)
	defer aws.Close()
	lambdatest.Enter(t, map[string]string{"AWS_ENDPOINT_URL": aws.URL, "AWS_MAX_ATTEMPTS": "1"})
	s, err := Open(t.Context(), "hooks")
	must(t, err)
	docusign, _ := webhook.Find(provider.All(), "docusign")
	receiver := &receive.Receiver{Provider: docusign, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		Keys: func(context.Context) (webhook.Keys, error) { return webhook.Keys{Keys: webhook.Secrets(key)}, nil }}
	domain := httptest.NewTLSServer(apigw.HTTP(apigw.Function(receiver.Receive), "/webhooks/docusign", receiver.Log))
	defer domain.Close()
	s.roots = domain.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	s.parameters["PublicUrl"] = domain.URL
	s.outputs["DocuSignWebhookUrl"] = domain.URL + "/webhooks/docusign"
	for name, tt := range map[string]struct {
		oldest   uint16
		topic    string
		failures int
		says     []string
	}{
		"new TLS":        {tls.VersionTLS12, "", 1, []string{"ok           old TLS", "failure      alarm topic"}},
		"old TLS":        {tls.VersionTLS10, "", 1, []string{"warning      old TLS", "failure      alarm topic"}},
		"nothing to fix": {tls.VersionTLS12, someTopic, 0, []string{"not checked  alarm topic", "nothing must be fixed; "}},
	} {
		t.Run(name, func(t *testing.T) {
			domain.TLS.MinVersion = tt.oldest
			s.parameters["AlarmTopicArn"] = tt.topic
			var report bytes.Buffer
			err := s.Preflight(t.Context(), &report)
			for _, says := range append(tt.says, "warning      access logs", "ok           keys", "ok           reachability",
				"ok           TLS", "not checked  refusal", "not checked  vendor", "not checked  concurrency") {
				if !strings.Contains(report.String(), says) {
					t.Errorf("it does not say %q", says)
				}
			}
			if (err != nil) != (tt.failures > 0) || strings.Contains(report.String()+fmt.Sprint(err), "canary") ||
				strings.Count(report.String(), "failure ") != tt.failures {
				t.Errorf("%v\n%s", err, &report)
			}
		})
	}
}

// TestAdobeNeedsTLS12 expects that what is a warning at other vendors is a failure at Adobe.
func TestAdobeNeedsTLS12(t *testing.T) {
	for name, want := range map[string]doctor.Level{"adobesign": doctor.Failure, "docusign": doctor.Warning} {
		p, _ := webhook.Find(provider.All(), name)
		f := doctor.Finding{Check: "TLS", Level: doctor.Warning, Text: "the server speaks only TLS 1.3: allow TLS 1.2 too"}
		if got := needs12(p.Info(), []doctor.Finding{f}); got[0].Level != want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
