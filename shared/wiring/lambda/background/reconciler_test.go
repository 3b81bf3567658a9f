package background

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/plumbing/metric/metrictest"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
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

// TestAVendorWithoutASecretIsOff checks that no secret is read for a disabled vendor, whose ARN is empty.
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
	for event, want := range map[string]string{
		`{"detail-type":"Scheduled Event"}`:           `null`,
		`{"provider":"acmesign","agreementId":"e-1"}`: `{"error":{"code":"not-asked",`, // without an API client
		`{"provider":"acmesign"}`:                     `{"error":{"code":"bad-request",`,
		`{"provider":"x","agreementId":"e-1"}`:        `{"error":{"code":"unknown-provider",`,
	} {
		answer, err := function.Invoke(t.Context(), []byte(event))
		if err != nil || !strings.HasPrefix(string(answer), want) {
			t.Errorf("%s: %s, %v", event, answer, err)
		}
	}
}

// TestAReconcilerInAnAccount makes passes with the real drivers against local engines, for all vendors with a client.
func TestAReconcilerInAnAccount(t *testing.T) {
	slow.Test(t)
	moto := enginetest.Moto(t)
	enter(t, map[string]string{
		"AWS_ENDPOINT_URL_DYNAMODB":        enginetest.DynamoDB(t),
		"AWS_ENDPOINT_URL_SQS":             enginetest.SQS(t),
		"AWS_ENDPOINT_URL_SECRETS_MANAGER": moto,
		"AWS_ACCESS_KEY_ID":                "test",
		"AWS_SECRET_ACCESS_KEY":            "test",
		"AWS_SESSION_TOKEN":                "",
		"AWS_REGION":                       "us-east-1",
		"TABLE_NAME":                       "Reconciled",
	})
	config := engineConfig()
	enginetest.Table(t, awsdynamodb.NewFromConfig(config), "Reconciled")
	queues := awssqs.NewFromConfig(config)
	queue, err := queues.CreateQueue(t.Context(), &awssqs.CreateQueueInput{
		QueueName: aws.String("found.fifo"), Attributes: map[string]string{"FifoQueue": "true"},
	})
	must(t, err)
	t.Setenv("QUEUE_URL", *queue.QueueUrl)
	const id = "6ee5e1d2-32d3-4a5a-8b47-0f6a1c2d3e01"
	stub := vendorstub.New(t)
	want, found := map[string]int{}, 0
	for _, p := range all.Providers() {
		name := p.Info().Name
		secret, err := json.Marshal(webhook.StoredKeys{URLToken: urlToken, API: stub.Credentials(name)})
		must(t, err)
		made, err := secretsmanager.NewFromConfig(config).CreateSecret(t.Context(), &secretsmanager.CreateSecretInput{
			Name: aws.String("reconciler-" + name), SecretString: aws.String(string(secret)),
		})
		must(t, err)
		t.Setenv(strings.ToUpper(name)+"_SECRET_ARN", *made.ARN)
		stub.Set(name, vendorstub.Agreement{
			ID: id, Status: esign.Completed,
			ChangedAt: time.Now().Add(-30 * time.Minute), CreatedAt: time.Now().Add(-3 * time.Hour),
		})
		options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: vendorstub.Notes(t), Now: time.Now}
		client, err := all.Open(name, stub.Credentials(name), options)
		must(t, err)
		want[name+" ReconcileFailed"] = 0
		changed, _, err := client.Changed(t.Context(), time.Now().Add(-4*time.Hour), time.Now(), "")
		if err != nil && !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		// The queue is not read, so each pass sends the finding. The queue deduplicates it. An agreement without a time is
		// postponed to a later pass.
		if len(changed) == 1 && !changed[0].ChangedAt.IsZero() {
			want[name+" Reconciled"] = 2
			found++
		}
	}
	var log, metrics bytes.Buffer
	r, err := newReconciler(all.Providers(), slog.New(slog.NewJSONHandler(&log, nil)), &metrics)
	must(t, err)
	for range 2 {
		must(t, r.Run(t.Context()))
	}
	got := map[string]int{}
	for _, line := range metrictest.Read(t, namespace, metrics.String()) {
		for name, value := range line.Values {
			if name != "SubscriptionProblems" { // not every stub is configured as we want it
				got[line.Provider+" "+name] += int(value)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff, log.String())
	}
	received, err := queues.ReceiveMessage(t.Context(), &awssqs.ReceiveMessageInput{
		QueueUrl: queue.QueueUrl, MaxNumberOfMessages: 10,
	})
	must(t, err)
	if found == 0 || len(received.Messages) != found {
		t.Errorf("%d messages, want %d", len(received.Messages), found)
	}
	for _, m := range received.Messages {
		if !strings.Contains(*m.Body, id) {
			t.Error(*m.Body)
		}
	}
	if strings.Contains(log.String(), urlToken) {
		t.Error(log.String())
	}
}
