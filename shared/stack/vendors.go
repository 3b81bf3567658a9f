package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// webhook is where a provider's events come in, without the token, and the keys that count there.
func (s *Stack) webhook(ctx context.Context, provider string) (string, webhook.Keys, error) {
	stored, err := s.stored(ctx, provider)
	if err != nil {
		return "", webhook.Keys{}, err
	}
	address, required := strings.CutSuffix(s.output(provider, "WebhookUrl"), "/{token}")
	keys, err := stored.Active(required)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, s.output(provider, "Secret"))
	}
	return address, keys, err
}

// client makes the client of a provider's API.
func (s *Stack) client(ctx context.Context, provider string) (vendorapi.Client, error) {
	stored, err := s.stored(ctx, provider)
	if err != nil {
		return nil, err
	}
	client, err := all.Open(provider, stored.API, vendorapi.Options{HTTP: s.http, Notes: s.ledger(), Now: time.Now})
	if errors.Is(err, vendorapi.ErrOff) && !errors.Is(err, vendorapi.ErrNoClient) {
		err = fmt.Errorf("%w; to put those of the file api.json there:\n    %s", err,
			edit(s.output(provider, "Secret"), putAPI))
	}
	return client, err
}

// output is the output of a provider: the provider's name, in any capitals, and a suffix.
func (s *Stack) output(provider, suffix string) string {
	for name, value := range s.outputs {
		if strings.EqualFold(name, provider+suffix) {
			return value
		}
	}
	return ""
}

func (s *Stack) stored(ctx context.Context, provider string) (webhook.StoredKeys, error) {
	arn := s.output(provider, "Secret")
	if arn == "" || s.output(provider, "WebhookUrl") == "" {
		return webhook.StoredKeys{}, errors.New("the stack has no outputs for it; deploy it from this version")
	}
	out, err := secretsmanager.NewFromConfig(s.config).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return webhook.StoredKeys{}, fmt.Errorf("%w: %s", err, arn)
	}
	stored, err := webhook.ParseStoredKeys(aws.ToString(out.SecretString))
	if err != nil {
		err = fmt.Errorf("%w: %s", err, arn)
	}
	return stored, err
}

// How jq changes a secret.
const (
	putKey = `'.keys = ["KEY"]'`
	putAPI = `--slurpfile api api.json '.api = $api[0]'`
)

// edit is the command, for a shell, that changes a secret as jq is told, keeps the rest and shows nothing of it.
func edit(arn, jq string) string {
	return fmt.Sprintf("aws secretsmanager get-secret-value --secret-id '%[1]s' --query SecretString --output text | jq -c %[2]s |"+
		" aws secretsmanager put-secret-value --secret-id '%[1]s' --secret-string file:///dev/stdin", arn, jq)
}
