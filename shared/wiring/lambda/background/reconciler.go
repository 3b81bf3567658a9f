package background

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// Reconciler makes the function that asks the vendors for what webhooks never brought. That a vendor could not be asked is
// logged and counted, and no error of the function.
func Reconciler(providers []webhook.Provider) func(context.Context) {
	log := lambdacontext.NewLogger()
	reconciler, err := newReconciler(providers, log, os.Stdout)
	if err != nil {
		wiring.Fail(log, err)
	}
	return func(ctx context.Context) { reconciler.Run(ctx) }
}

func newReconciler(providers []webhook.Provider, log *slog.Logger, metrics io.Writer) (*reconcile.Reconciler, error) {
	if err := needEngines(wiring.SAMLocal()); err != nil {
		return nil, err
	}
	e := wiring.NewEnvironment()
	table, namespace, queueURL := e.Need("TABLE_NAME"), e.Need("METRICS_NAMESPACE"), e.Need("QUEUE_URL")
	r := &reconcile.Reconciler{
		Providers: providers, Repair: e.Truth("REPAIR_SUBSCRIPTIONS"), SilentAfter: hours(e, "SILENT_AGREEMENT_HOURS"),
		Remembers: e.Expiry(), Now: time.Now, Log: log, Metrics: metric.New(metrics, namespace, time.Now),
	}
	w := webhooks{
		providers: providers, arns: secretARNs(e, providers), api: e.Need("API_URL"), requireURLToken: e.Truth("REQUIRE_URL_TOKEN"),
	}
	if err := e.Err(); err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.Patience)
	w.secrets = secretsmanager.NewFromConfig(a)
	l := dynamodb.New(awsdynamodb.NewFromConfig(a), table, 0)
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: l, Now: time.Now}
	r.Clients, r.Webhook = newVendorClients(w.secrets, w.arns, options, log).get, w.get
	r.Agreements, r.Notes, r.Table, r.Queue = l, l, l, sqs.New(awssqs.NewFromConfig(a), queueURL)
	return r, nil
}

// hours reads a number of hours; 0 is never.
func hours(e *wiring.Environment, name string) time.Duration {
	value := e.Get(name)
	hours, err := strconv.ParseUint(value, 10, 16)
	if err != nil {
		e.Problem("%s is %q, not a number of hours", name, value)
	}
	return time.Duration(hours) * time.Hour
}

// webhooks are where the providers' events come in.
type webhooks struct {
	providers       []webhook.Provider
	secrets         *secretsmanager.Client
	arns            map[string]string // of the secrets, by provider
	api             string            // the URL under which vendors reach the API
	requireURLToken bool
}

// get implements the Webhook of [reconcile.Reconciler].
func (w webhooks) get(ctx context.Context, provider string) (address string, keys webhook.Keys, err error) {
	text, err := wiring.Secret(w.secrets, w.arns[provider])(ctx)
	if err != nil {
		return "", webhook.Keys{}, err
	}
	p, _ := webhook.Find(w.providers, provider)
	keys, err = wiring.ParseKeys(text, w.requireURLToken && !p.Info().SignsAll)
	return w.api + "/webhooks/" + provider, keys, err
}
