package background

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambdacontext"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// Reconciler returns the function that asks the vendors for what webhooks never brought. A vendor that cannot be asked
// is logged and counted. It is not an error of the function.
//
// An invocation with a [reconcile.Question] asks about one agreement, and returns the [reconcile.Reply]. An error is a
// reply too, so that a caller can act on it. Any other invocation makes a pass, and returns null.
func Reconciler(providers []webhook.Provider) func(context.Context, json.RawMessage) (any, error) {
	log := lambdacontext.NewLogger()
	reconciler, err := newReconciler(providers, log, os.Stdout)
	if err != nil {
		wiring.Fail(log, err)
	}
	return func(ctx context.Context, payload json.RawMessage) (any, error) {
		if q, ok := reconcile.ReadQuestion(payload); ok {
			return reconciler.Confirm(ctx, q), nil
		}
		reconciler.Run(ctx)
		return nil, nil
	}
}

func newReconciler(providers []webhook.Provider, log *slog.Logger, metrics io.Writer) (*reconcile.Reconciler, error) {
	if err := requireEngines(); err != nil {
		return nil, err
	}
	c, err := ReadReconcilerConfig(providers, os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.ResponseTimeout)
	secrets := secretsmanager.NewFromConfig(a)
	l := dynamodb.New(awsdynamodb.NewFromConfig(a), c.Table, 0)
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: l, Now: time.Now}
	return &reconcile.Reconciler{
		Providers:   providers,
		Clients:     newVendorClients(secrets, c.SecretARNs, options, log).get,
		Webhook:     webhooks{c, providers, secrets}.get,
		Agreements:  l,
		Tombstones:  l,
		Notes:       l,
		Table:       l,
		Queue:       sqs.New(awssqs.NewFromConfig(a), c.QueueURL),
		Policy:      esign.Policy{References: c.References, Reasons: c.IncludeReasons},
		Repair:      c.RepairSubscriptions,
		SilentAfter: c.SilentAfter,
		Remembers:   c.ExpireAfter,
		Now:         time.Now,
		Log:         log,
		Metrics:     metric.New(metrics, c.MetricsNamespace, time.Now),
	}, nil
}

// webhooks knows the URL and the keys of each provider's webhook.
type webhooks struct {
	config    ReconcilerConfig
	providers []webhook.Provider
	secrets   *secretsmanager.Client
}

// get implements the Webhook of [reconcile.Reconciler].
func (w webhooks) get(ctx context.Context, provider string) (address string, keys webhook.Keys, err error) {
	p, ok := webhook.Find(w.providers, provider)
	if !ok || w.config.SecretARNs[provider] == "" {
		return "", webhook.Keys{}, fmt.Errorf("background: %s: %w", provider, vendorapi.ErrOff)
	}
	secret, err := wiring.Secret(w.secrets, w.config.SecretARNs[provider])(ctx)
	if err != nil {
		return "", webhook.Keys{}, err
	}
	keys, err = wiring.ParseKeys(secret, w.config.RequireURLToken && !p.Info().SignsAll)
	base := w.config.APIURL
	if slices.Contains(w.config.MutualTLSVendors, provider) {
		base = "https://" + w.config.MutualTLSDomain
	}
	return base + "/webhooks/" + provider, keys, err
}
