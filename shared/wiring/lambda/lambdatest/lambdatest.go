// Package apptest holds what the tests of the wiring share.
package lambdatest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Variables are those that template.yaml sets, for a receiver and a worker alike.
func Variables() map[string]string {
	return map[string]string{
		"TABLE_NAME": "table", "PAYLOAD_BUCKET": "bucket", "QUEUE_URL": "https://sqs.example/q.fifo", "SECRET_ARN": "arn:aws:secret",
		"DEAD_LETTER_QUEUE_URL": "https://sqs.example/d.fifo", "REQUIRE_URL_TOKEN": "true", "EXPIRE_AFTER_DAYS": "0",
		"METRICS_NAMESPACE": "esignhooks/stack", "ARCHIVE_BUCKET": "",
	}
}

// Clean makes an environment as outside Lambda and without any of our variables.
func Clean(t *testing.T) {
	t.Helper()
	for name := range Variables() {
		t.Setenv(name, "")
	}
	for _, name := range []string{
		"AWS_SAM_LOCAL", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_S3",
		"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none") // for engines' own clients
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_REGION", "eu-central-1")
	if _, err := os.Stat("/var/rapid/aws-lambda-rie"); err == nil {
		t.Fatal("this test cannot run in a container of sam local")
	}
}

// Set sets variables.
func Set(t *testing.T, variables map[string]string) {
	t.Helper()
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// Named are the names of the variables in an error, each as often as it has lines.
func Named(err error) []string {
	if err == nil {
		return nil
	}
	var names []string
	for line := range strings.SplitSeq(err.Error(), "\n") {
		name, _, _ := strings.Cut(line, " ")
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
