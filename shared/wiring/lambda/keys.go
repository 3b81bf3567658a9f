package lambda

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/webhook"
)

// How old keys may be before they are read again, how long reading may take, and how soon it is tried again after it has
// failed.
const (
	KeysAge      = 60 * time.Second
	KeysDeadline = time.Second
	KeysRetry    = 10 * time.Second
)

// keys are one provider's keys in Secrets Manager. Requests use those that were read last while newer ones are read, and
// when they cannot be read: an outage of Secrets Manager stops nobody.
type keys struct {
	read            func(context.Context) (string, error)
	requireURLToken bool
	refusesAll      func(webhook.Keys) bool
	now             func() time.Time
	log             *slog.Logger

	reading sync.Mutex // held while reading

	mu    sync.Mutex
	state keyState
}

// keyState is what the last reading left.
type keyState struct {
	keys  webhook.Keys
	known bool
	reads int
	next  time.Time // of reading
}

// Secret reads the secret with this ARN.
func Secret(client *secretsmanager.Client, arn string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
		if err != nil {
			return "", err
		}
		if out.SecretString == nil {
			return "", errors.New("the secret is binary")
		}
		return *out.SecretString, nil
	}
}

// get returns the keys that are valid now. It fails only if none were ever read.
func (k *keys) get(ctx context.Context) (webhook.Keys, error) {
	before := k.last()
	if k.now().Before(before.next) {
		return before.result()
	}
	if !before.known { // nothing to use meanwhile: wait for whoever reads
		k.reading.Lock()
	} else if !k.reading.TryLock() {
		return before.result()
	}
	defer k.reading.Unlock()
	if k.last().reads == before.reads { // nobody has read while we waited
		k.refresh(ctx)
	}
	return k.last().result()
}

func (k *keys) last() keyState {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state
}

func (s keyState) result() (webhook.Keys, error) {
	if !s.known {
		return webhook.Keys{}, errors.New("app: no keys could be read yet")
	}
	return s.keys, nil
}

func (k *keys) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, KeysDeadline)
	defer cancel()
	text, err := k.read(ctx)
	var read webhook.Keys
	if err == nil {
		read, err = ParseKeys(text, k.requireURLToken)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.reads++
	if err != nil {
		k.log.Error("keys not read", "stale", k.state.known, "error", err)
		if k.state.known { // otherwise each request tries
			k.state.next = k.now().Add(KeysRetry)
		}
		return
	}
	if k.refusesAll(read) {
		k.log.Warn("no key in the secret: every request will be refused")
	}
	k.state.keys, k.state.known, k.state.next = read, true, k.now().Add(KeysAge)
}

// ParseKeys reads the keys that count out of a secret.
func ParseKeys(text string, requireURLToken bool) (webhook.Keys, error) {
	stored, err := webhook.ParseStoredKeys(text)
	if err != nil {
		return webhook.Keys{}, err
	}
	return stored.Active(requireURLToken)
}
