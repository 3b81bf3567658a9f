package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// URLs writes what to register at each vendor. It is the one place that shows the URL tokens.
func (s *Stack) URLs(ctx context.Context, w io.Writer) error {
	fmt.Fprintln(w, "These URLs are secrets: whoever knows one may send what looks like events. Show each to its vendor only.")
	var problems []error
	for _, p := range provider.All() {
		if err := s.registration(ctx, w, p); err != nil {
			problems = append(problems, fmt.Errorf("stack: %s: %w", p.Info().Title, err))
		}
	}
	return errors.Join(problems...)
}

func (s *Stack) registration(ctx context.Context, w io.Writer, p webhook.Provider) error {
	info := p.Info()
	address, keys, err := s.webhook(ctx, info.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "\n%s\n  %s\n", info.Title, keys.URL(address))
	for _, line := range info.Registration {
		fmt.Fprintf(w, "  - %s\n", line)
	}
	if webhook.RefusesAll(p, keys) {
		fmt.Fprintf(w, "  ! The secret holds no keys: every request is refused. To put one there:\n    %s\n",
			edit(s.output(info.Name, "Secret"), putKey))
	}
	return nil
}

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
	if errors.Is(err, vendorapi.ErrOff) {
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
