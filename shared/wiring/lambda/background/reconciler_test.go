package background

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/lambda"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// reconcilerVariables are those that template.yaml sets.
func reconcilerVariables() map[string]string {
	all := map[string]string{
		"TABLE_NAME": "table", "QUEUE_URL": "https://sqs.example/q.fifo", "METRICS_NAMESPACE": namespace,
		"API_URL": "https://api.example/live", "REPAIR_SUBSCRIPTIONS": "false", "REQUIRE_URL_TOKEN": "true", "SILENT_AGREEMENT_HOURS": "24", "EXPIRE_AFTER_DAYS": "0",
	}
	for _, p := range provider.All() {
		name := strings.ToUpper(p.Info().Name)
		all[name+"_SECRET_ARN"] = "arn:" + p.Info().Name
	}
	return all
}

// enter sets the variables that a reconciler needs, with these changes.
func enter(t *testing.T, change map[string]string) {
	t.Helper()
	lambdatest.Clean(t)
	lambdatest.Set(t, reconcilerVariables())
	lambdatest.Set(t, change)
}

func TestAReconcilersConfiguration(t *testing.T) {
	nothing := map[string]string{}
	var all []string
	for name := range reconcilerVariables() {
		nothing[name] = ""
		all = append(all, name)
	}
	type wired struct {
		Repair            bool
		Silent, Remembers time.Duration
	}
	for name, tt := range map[string]struct {
		change  map[string]string
		want    wired
		problem []string
	}{
		"as the template writes it":           {nil, wired{false, 24 * time.Hour, 0}, nil},
		"that repairs":                        {map[string]string{"REPAIR_SUBSCRIPTIONS": "true"}, wired{true, 24 * time.Hour, 0}, nil},
		"that asks for nobody":                {map[string]string{"SILENT_AGREEMENT_HOURS": "0"}, wired{false, 0, 0}, nil},
		"whose table forgets":                 {map[string]string{"EXPIRE_AFTER_DAYS": "30"}, wired{false, 24 * time.Hour, 30 * 24 * time.Hour}, nil},
		"all that is missing is told at once": {nothing, wired{}, all},
		"all that is wrong is told at once": {
			map[string]string{"REPAIR_SUBSCRIPTIONS": "yes", "REQUIRE_URL_TOKEN": "1", "SILENT_AGREEMENT_HOURS": "-1", "EXPIRE_AFTER_DAYS": "29"}, wired{},
			[]string{"EXPIRE_AFTER_DAYS", "REPAIR_SUBSCRIPTIONS", "REQUIRE_URL_TOKEN", "SILENT_AGREEMENT_HOURS"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			enter(t, tt.change)
			r, err := newReconciler(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
			if diff := cmp.Diff(slices.Sorted(slices.Values(tt.problem)), lambdatest.Named(err)); diff != "" {
				t.Fatal(diff)
			}
			if err != nil {
				return
			}
			if got := (wired{r.Repair, r.SilentAfter, r.Remembers}); got != tt.want || len(r.Providers) != len(provider.All()) {
				t.Errorf("%+v", got)
			}
			if r.Clients == nil || r.Webhook == nil || r.Agreements == nil || r.Notes == nil || r.Table == nil || r.Queue == nil || r.Now == nil || r.Log == nil || r.Metrics == nil {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestOurURLAndTheKeysThatCountThere(t *testing.T) {
	const stored = `{"keys":["k"],"urlTokens":["listed"],"urlToken":"generated"}`
	for name, tt := range map[string]struct {
		provider, required, secret string
		want                       string // the URL with the newest token; empty: an error
	}{
		"where a token is required":                  {"adobesign", "true", `{"urlToken":"generated"}`, "https://api.example/live/webhooks/adobesign/generated"},
		"where one is required, and there is a list": {"adobesign", "true", stored, "https://api.example/live/webhooks/adobesign/listed"},
		"where none is required":                     {"adobesign", "false", `{"urlToken":"generated"}`, "https://api.example/live/webhooks/adobesign"},
		"where the signature covers all":             {"docusign", "true", `{"urlToken":"generated"}`, "https://api.example/live/webhooks/docusign"},
		"where somebody wants one all the same":      {"docusign", "true", stored, "https://api.example/live/webhooks/docusign/listed"},
		"where the one that is required is missing":  {"adobesign", "true", `{"keys":["k"]}`, ""},
		"where the secret cannot be read":            {"adobesign", "true", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var in struct {
					SecretID string `json:"SecretId"`
				}
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.SecretID != "arn:"+tt.provider || tt.secret == "" {
					w.WriteHeader(http.StatusBadRequest)
					return
				}
				w.Header().Set("Content-Type", "application/x-amz-json-1.1")
				json.NewEncoder(w).Encode(map[string]string{"SecretString": tt.secret})
			}))
			defer secrets.Close()
			enter(t, map[string]string{
				"REQUIRE_URL_TOKEN": tt.required, "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets.URL,
				"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test",
			})
			r, err := newReconciler(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
			must(t, err)
			address, keys, err := r.Webhook(t.Context(), tt.provider)
			if (err != nil) != (tt.want == "") || err == nil && keys.URL(address) != tt.want {
				t.Errorf("%s, %v", keys.URL(address), err)
			}
		})
	}
}

func TestThatAVendorCannotBeAskedIsNoErrorOfTheFunction(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	enter(t, map[string]string{"AWS_ENDPOINT_URL": gone.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
	function := lambda.NewHandler(Reconciler(provider.All()))
	if answer, err := function.Invoke(t.Context(), []byte(`{"detail-type":"Scheduled Event"}`)); err != nil {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestAReconcilerInAnAccount makes passes with the real drivers against local engines.
func TestAReconcilerInAnAccount(t *testing.T) {
	moto := enginetest.Moto(t)
	enter(t, map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": enginetest.DynamoDB(t), "AWS_ENDPOINT_URL_SQS": enginetest.SQS(t), "AWS_ENDPOINT_URL_SECRETS_MANAGER": moto,
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": "us-east-1", "TABLE_NAME": "Reconciled",
	})
	config := wiring.AWS(wiring.Patience)
	enginetest.Table(t, awsdynamodb.NewFromConfig(config), "Reconciled")
	queues := awssqs.NewFromConfig(config)
	queue, err := queues.CreateQueue(t.Context(), &awssqs.CreateQueueInput{QueueName: aws.String("found.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
	must(t, err)
	t.Setenv("QUEUE_URL", *queue.QueueUrl)
	stub := vendorstub.New(t)
	for _, p := range provider.All() {
		stored := webhook.StoredKeys{URLToken: urlToken}
		if p.Info().Name == "dropboxsign" {
			stored.API = stub.Credentials("dropboxsign")
		}
		text, err := json.Marshal(stored)
		must(t, err)
		made, err := secretsmanager.NewFromConfig(config).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: aws.String("reconciler-" + p.Info().Name), SecretString: aws.String(string(text)),
		})
		must(t, err)
		t.Setenv(strings.ToUpper(p.Info().Name)+"_SECRET_ARN", *made.ARN)
	}
	const id = "fa5c8a0b0f492d768749333ad6fcc214c111e967"
	stub.Set("dropboxsign", vendorstub.Agreement{ID: id, Status: esign.Completed, ChangedAt: time.Now().Add(-2 * time.Hour), CreatedAt: time.Now().Add(-3 * time.Hour)})
	stub.Subscribe("dropboxsign", vendorstub.Subscription{ID: "account", URL: "https://api.example/live/webhooks/dropboxsign/" + urlToken})
	var log, metrics bytes.Buffer
	r, err := newReconciler(provider.All(), slog.New(slog.NewJSONHandler(&log, nil)), &metrics)
	must(t, err)
	for range 2 {
		must(t, r.Run(t.Context()))
	}
	got := map[string]int{}
	for _, line := range metrictest.Read(t, namespace, metrics.String()) {
		for name, value := range line.Values {
			got[fmt.Sprint(line.Provider, " ", name)] += int(value)
		}
	}
	// Nobody reads the queue, so that the second pass finds it again; the queue knows it.
	want := map[string]int{"dropboxsign ReconcileFailed": 0, "dropboxsign SubscriptionProblems": 0, "dropboxsign Reconciled": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff, log.String())
	}
	received, err := queues.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
	must(t, err)
	if len(received.Messages) != 1 || !strings.Contains(*received.Messages[0].Body, id) {
		t.Errorf("%d messages", len(received.Messages))
	}
	if n := strings.Count(log.String(), "off: no credentials"); n != 3 || strings.Contains(log.String(), urlToken) {
		t.Errorf("said %d times that it is off: %s", n, log.String())
	}
}
