package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"

	"esignhooks/shared/provider"
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
	url, arn := s.output(info.Name, "WebhookUrl"), s.output(info.Name, "Secret")
	if url == "" || arn == "" {
		return errors.New("the stack has no outputs for it; deploy it from this version")
	}
	stored, err := s.stored(ctx, arn)
	if err != nil {
		return fmt.Errorf("%w: %s", err, arn)
	}
	url, required := strings.CutSuffix(url, "/{token}")
	keys, err := stored.Active(required)
	if err != nil {
		return fmt.Errorf("%w: %s", err, arn)
	}
	if listed := webhook.Secrets(stored.URLTokens...); len(listed) > 0 {
		url += "/" + listed[len(listed)-1].Reveal() // the newest: tokens are rotated by adding one
	} else if required {
		url += "/" + keys.URLTokens[0].Reveal()
	}
	fmt.Fprintf(w, "\n%s\n  %s\n", info.Title, url)
	for _, line := range info.Registration {
		fmt.Fprintf(w, "  - %s\n", line)
	}
	if webhook.RefusesAll(p, keys) {
		fmt.Fprintf(w, "  ! The secret holds no keys: every request is refused. To put one there:\n    %s\n", put(stored, arn))
	}
	return nil
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

func (s *Stack) stored(ctx context.Context, arn string) (webhook.StoredKeys, error) {
	out, err := secretsmanager.NewFromConfig(s.config).GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &arn})
	if err != nil {
		return webhook.StoredKeys{}, err
	}
	return webhook.ParseStoredKeys(aws.ToString(out.SecretString))
}

// put is the command, for a shell, that adds a key and keeps the rest.
func put(stored webhook.StoredKeys, arn string) string {
	stored.Keys, stored.URLTokens = []string{"KEY"}, append([]string{}, stored.URLTokens...)
	text, _ := json.Marshal(stored) // strings always marshal
	return fmt.Sprintf("aws secretsmanager put-secret-value --secret-id '%s' --secret-string '%s'", arn, strings.ReplaceAll(string(text), "'", `'\''`))
}
