package stack

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/operate"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// webhook returns the URL of a provider's webhook without the token, and the active keys.
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

// client returns the client of a provider's API.
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

// output returns an output of a provider, by its suffix. Its prefix is the provider's name in CamelCase.
func (s *Stack) output(provider, suffix string) string {
	for name, value := range s.outputs {
		if strings.EqualFold(name, provider+suffix) {
			return value
		}
	}
	return ""
}

// disabled reports whether the vendor was disabled at the last deployment. An older stack may lack its parameter.
func (s *Stack) disabled(info webhook.Info) bool {
	value, found := s.parameters[info.Resource]
	return value == "disabled" || !found && info.Disabled
}

// enable says how to enable a disabled vendor.
func enable(info webhook.Info) string {
	return "to receive its webhooks, deploy with " + info.Resource + "=enabled"
}

func (s *Stack) stored(ctx context.Context, name string) (webhook.StoredKeys, error) {
	text, err := s.secret(ctx, name)
	if err != nil {
		return webhook.StoredKeys{}, err
	}
	stored, err := webhook.ParseStoredKeys(text)
	if err != nil {
		err = fmt.Errorf("%w: %s", err, s.output(name, "Secret"))
	}
	return stored, err
}

// secret returns the text of a provider's secret.
func (s *Stack) secret(ctx context.Context, name string) (string, error) {
	arn := s.output(name, "Secret")
	if p, ok := webhook.Find(provider.All(), name); ok && s.disabled(p.Info()) {
		return "", fmt.Errorf("%w: %s", operate.ErrDisabled, enable(p.Info()))
	}
	if arn == "" || s.output(name, "WebhookUrl") == "" {
		return "", errors.New("the stack has no outputs for it; deploy it from this version")
	}
	out, err := secretsmanager.NewFromConfig(s.config).GetSecretValue(ctx,
		&secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, arn)
	}
	return aws.ToString(out.SecretString), nil
}

// These are jq's arguments that change a secret.
const (
	putKey = `'.keys = ["KEY"]'`
	putAPI = `--slurpfile api api.json '.api = $api[0]'`
)

// move returns the commands, for a shell, that find the secrets of a vendor that stacks have left behind, and copy the
// value of one into another.
func move(info webhook.Info, arn string) string {
	return fmt.Sprintf("aws secretsmanager list-secrets --filters Key=name,Values=%sSecret --output text"+
		" --query 'SecretList[].[ARN,Description]'\n    "+
		"aws secretsmanager get-secret-value --secret-id OLD --query SecretString --output text |"+
		" aws secretsmanager put-secret-value --secret-id '%s' --secret-string file:///dev/stdin", info.Resource, arn)
}

// edit returns the command, for a shell, that changes a secret by jq and keeps the rest of it. It shows nothing of it.
func edit(arn, jq string) string {
	return fmt.Sprintf("aws secretsmanager get-secret-value --secret-id '%[1]s' --query SecretString --output text | "+
		"jq -c %[2]s | aws secretsmanager put-secret-value --secret-id '%[1]s' --secret-string file:///dev/stdin", arn, jq)
}
