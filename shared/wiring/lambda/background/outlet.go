package background

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"

	"esignhooks/shared/outlet"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// Outlet returns the function that sends the published events to the application.
func Outlet() func(context.Context, events.SQSEvent) (events.SQSEventResponse, error) {
	log := lambdacontext.NewLogger()
	forwarder, err := newOutlet(log)
	if err != nil {
		wiring.Fail(log, err)
	}
	return forwarder.Handle
}

func newOutlet(log *slog.Logger) (*outlet.Forwarder, error) {
	if err := requireEngines(); err != nil {
		return nil, err
	}
	c, err := ReadOutletConfig(os.LookupEnv)
	if err != nil {
		return nil, err
	}
	a := wiring.AWS(wiring.ResponseTimeout)
	client := awssqs.NewFromConfig(a)
	keys := &outletKeys{read: wiring.Secret(secretsmanager.NewFromConfig(a), c.SecretARN), now: time.Now, log: log}
	return &outlet.Forwarder{
		Application: outlet.Sender{URL: c.URL, Client: outlet.NewPublicClient(), Now: time.Now},
		Keys:        keys.get,
		Later:       sqs.NewJobs(client, c.QueueURL, "").Later,
		DeadLetters: sqs.New(client, c.DeadLetterQueueURL),
		Log:         log,
	}, nil
}

// outletKeys caches the keys of the outlet. The last known keys stay in use while none can be read. The function makes
// one call at a time.
type outletKeys struct {
	read func(context.Context) (string, error)
	now  func() time.Time
	log  *slog.Logger

	keys     []outlet.Key
	nextRead time.Time
}

func (k *outletKeys) get(ctx context.Context) ([]outlet.Key, error) {
	if k.now().Before(k.nextRead) {
		return k.keys, nil
	}
	ctx, cancel := context.WithTimeout(ctx, wiring.ReadTimeout)
	defer cancel()
	text, err := k.read(ctx)
	var read []outlet.Key
	if err == nil {
		read, err = parseOutletKeys(text)
	}
	switch {
	case err == nil:
		k.keys, k.nextRead = read, k.now().Add(wiring.RefreshAfter)
	case k.keys != nil:
		k.log.Error("keys unavailable", "stale", true, "error", err)
		k.nextRead = k.now().Add(wiring.RetryAfter)
	default:
		return nil, fmt.Errorf("background: no key to sign with: %w", err)
	}
	return k.keys, nil
}

// parseOutletKeys reads the outlet's secret: the generated one, and those that an operator has added.
func parseOutletKeys(text string) (keys []outlet.Key, err error) {
	var stored struct {
		Secret  string   `json:"secret"`
		Secrets []string `json:"secrets"`
	}
	if err := json.Unmarshal([]byte(text), &stored); err != nil {
		return nil, errors.New(`the secret is not like {"secret": "…", "secrets": []}`) // the error would quote it
	}
	for _, secret := range webhook.Secrets(append(stored.Secrets, stored.Secret)...) {
		key, err := outlet.ParseKey(secret)
		if err != nil {
			return nil, fmt.Errorf("a secret is %w", err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, errors.New("the secret holds no key")
	}
	return keys, nil
}
