package background

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// tokened is AcmeSign with a signature that does not cover the whole body, so that its URL needs a token.
type tokened struct{ acmesign.Provider }

func (p tokened) Info() webhook.Info {
	info := p.Provider.Info()
	info.SignsAll = false
	return info
}

func TestWebhooks(t *testing.T) {
	const stored = `{"keys":["k"],"urlTokens":["listed"],"urlToken":"generated"}`
	const generated, url = `{"urlToken":"generated"}`, "https://api.example/live/webhooks/acmesign"
	for name, tt := range map[string]struct {
		provider         webhook.Provider
		required, secret string
		want             string // the URL with the newest token; empty: an error
	}{
		"a token is required":                      {tokened{}, "true", generated, url + "/generated"},
		"a token is required, and there is a list": {tokened{}, "true", stored, url + "/listed"},
		"no token is required":                     {tokened{}, "false", generated, url},
		"the signature covers the whole body":      {acme[0], "true", generated, url},
		"the operator wants a token all the same":  {acme[0], "true", stored, url + "/listed"},
		"the required token is missing":            {tokened{}, "true", `{"keys":["k"]}`, ""},
		"the secret cannot be read":                {tokened{}, "true", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			secrets := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				var in struct {
					SecretID string `json:"SecretId"`
				}
				if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.SecretID != "arn:acmesign" || tt.secret == "" {
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
			r, err := newReconciler([]webhook.Provider{tt.provider}, slog.New(slog.DiscardHandler), io.Discard)
			must(t, err)
			address, keys, err := r.Webhook(t.Context(), acmesign.Name)
			if (err != nil) != (tt.want == "") || err == nil && keys.URL(address) != tt.want {
				t.Errorf("%s, %v", keys.URL(address), err)
			}
		})
	}
}

// TestAVendorWithoutASecretIsOff: a disabled vendor has an empty ARN, and nothing is called for it.
func TestAVendorWithoutASecretIsOff(t *testing.T) {
	enter(t, map[string]string{"ACMESIGN_SECRET_ARN": ""})
	a, err := newArchiver(acme, slog.New(slog.DiscardHandler), io.Discard)
	must(t, err)
	r, err := newReconciler(acme, slog.New(slog.DiscardHandler), io.Discard)
	must(t, err)
	for _, provider := range []string{acmesign.Name, "another"} {
		for _, clients := range []func(context.Context, string) (vendorapi.Client, error){a.Clients, r.Clients} {
			if client, err := clients(t.Context(), provider); client != nil || !errors.Is(err, vendorapi.ErrOff) {
				t.Errorf("%s: %v, %v", provider, client, err)
			}
		}
		if _, _, err := r.Webhook(t.Context(), provider); !errors.Is(err, vendorapi.ErrOff) {
			t.Errorf("%s: %v", provider, err)
		}
	}
	if err := r.Run(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAVendorThatCannotBeAskedIsNoErrorOfTheFunction(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	enter(t, map[string]string{"AWS_ENDPOINT_URL": gone.URL, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"})
	function := lambda.NewHandler(Reconciler(acme))
	if answer, err := function.Invoke(t.Context(), []byte(`{"detail-type":"Scheduled Event"}`)); err != nil {
		t.Errorf("%s, %v", answer, err)
	}
}

// TestAReconcilerInAnAccount makes passes with the real drivers against local engines.
func TestAReconcilerInAnAccount(t *testing.T) {
	moto := enginetest.Moto(t)
	enter(t, map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB": enginetest.DynamoDB(t), "AWS_ENDPOINT_URL_SQS": enginetest.SQS(t),
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": moto,
		"AWS_ACCESS_KEY_ID":                "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "",
		"AWS_REGION": "us-east-1",
		"TABLE_NAME": "Reconciled",
	})
	config := wiring.AWS(wiring.ResponseTimeout)
	enginetest.Table(t, awsdynamodb.NewFromConfig(config), "Reconciled")
	queues := awssqs.NewFromConfig(config)
	queue, err := queues.CreateQueue(t.Context(),
		&awssqs.CreateQueueInput{QueueName: aws.String("found.fifo"), Attributes: map[string]string{"FifoQueue": "true"}})
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
	stub.Set("dropboxsign", vendorstub.Agreement{ID: id, Status: esign.Completed,
		ChangedAt: time.Now().Add(-2 * time.Hour), CreatedAt: time.Now().Add(-3 * time.Hour)})
	stub.Subscribe("dropboxsign", vendorstub.Subscription{ID: "account",
		URL: "https://api.example/live/webhooks/dropboxsign/" + urlToken})
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
	want := map[string]int{"dropboxsign ReconcileFailed": 0, "dropboxsign SubscriptionProblems": 0,
		"dropboxsign Reconciled": 2}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff, log.String())
	}
	received, err := queues.ReceiveMessage(t.Context(),
		&awssqs.ReceiveMessageInput{QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10})
	must(t, err)
	if len(received.Messages) != 1 || !strings.Contains(*received.Messages[0].Body, id) {
		t.Errorf("%d messages", len(received.Messages))
	}
	if n := strings.Count(log.String(), "off: the secret has no credentials"); n != 3 ||
		strings.Contains(log.String(), urlToken) {
		t.Errorf("said %d times that it is off: %s", n, log.String())
	}
}
