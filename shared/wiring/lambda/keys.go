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

// Timing of reads from Secrets Manager.
const (
	RefreshAfter = 60 * time.Second // the age at which keys are read again
	ReadTimeout  = time.Second      // of one read
	RetryAfter   = 10 * time.Second // the pause after a read that failed
)

// keys caches one provider's keys from Secrets Manager. Requests use the last known keys during a read and after a read
// that failed, so an outage of Secrets Manager affects no request.
type keys struct {
	read            func(context.Context) (string, error)
	requireURLToken bool
	certificates    webhook.ClientCertificates
	refusesAll      func(webhook.Keys) bool
	now             func() time.Time
	log             *slog.Logger

	reading sync.Mutex // held during a read

	mu    sync.Mutex // guards state
	state keyState
}

// keyState is the state after the last read.
type keyState struct {
	keys     webhook.Keys
	known    bool // a read has succeeded, so that keys is valid
	reads    int
	nextRead time.Time
}

// Secret returns a function that reads the secret with this ARN.
func Secret(client *secretsmanager.Client, arn string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		out, err := client.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
		if err != nil {
			return "", err
		}
		if out.SecretString == nil {
			return "", errors.New("lambda: the secret is binary, not text")
		}
		return *out.SecretString, nil
	}
}

// get returns the current keys. It fails only if no read has succeeded yet.
func (k *keys) get(ctx context.Context) (webhook.Keys, error) {
	before := k.last()
	if k.now().Before(before.nextRead) {
		return before.result()
	}
	if !before.known { // no keys to use meanwhile: wait for the read in progress
		k.reading.Lock()
	} else if !k.reading.TryLock() {
		return before.result()
	}
	defer k.reading.Unlock()
	if k.last().reads == before.reads { // no other request has read while we waited
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
		return webhook.Keys{}, errors.New("lambda: no keys could be read yet")
	}
	return s.keys, nil
}

func (k *keys) refresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, ReadTimeout)
	defer cancel()
	secret, err := k.read(ctx)
	var read webhook.Keys
	if err == nil {
		read, err = ParseKeys(secret, k.requireURLToken)
		read.Certificates = k.certificates
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.reads++
	if err != nil {
		k.log.Error("keys unavailable", "stale", k.state.known, "error", err)
		if k.state.known { // otherwise each request tries
			k.state.nextRead = k.now().Add(RetryAfter)
		}
		return
	}
	if k.refusesAll(read) {
		k.log.Warn("no key in the secret: every request will be refused")
	}
	k.state.keys, k.state.known, k.state.nextRead = read, true, k.now().Add(RefreshAfter)
}

// ParseKeys returns the active keys of a secret. It fails if a URL token is required and the secret has none.
func ParseKeys(secret string, requireURLToken bool) (webhook.Keys, error) {
	stored, err := webhook.ParseStoredKeys(secret)
	if err != nil {
		return webhook.Keys{}, err
	}
	return stored.Active(requireURLToken)
}
