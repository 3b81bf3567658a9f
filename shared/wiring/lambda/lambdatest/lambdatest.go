// Package lambdatest holds what the tests of the wiring share.
package lambdatest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Variables returns the variables of all functions, as template.yaml sets them for a stack with AcmeSign as its vendor.
func Variables() map[string]string {
	return map[string]string{
		"ACMESIGN_SECRET_ARN":            "arn:acmesign",
		"API_URL":                        "https://api.example/live",
		"ARCHIVE_BUCKET":                 "",
		"DEAD_LETTER_QUEUE_URL":          "https://sqs.example/d.fifo",
		"DOCUMENT_BUCKET":                "documents",
		"DOCUMENT_DEAD_LETTER_QUEUE_URL": "https://sqs.example/x",
		"DOCUMENT_QUEUE_URL":             "https://sqs.example/d",
		"EVENT_BUS_NAME":                 "bus",
		"EXPIRE_AFTER_DAYS":              "0",
		"ACCOUNT_ID":                     "123456789012",
		"OUTLET_URL":                     "https://app.example.com/events",
		"OUTLET_QUEUE_URL":               "http://127.0.0.1:1/outlet.fifo",
		"OUTLET_DEAD_LETTER_QUEUE_URL":   "http://127.0.0.1:1/outlet-dead-letters.fifo",
		"OUTLET_SECRET_ARN":              "outlet",
		"ARCHIVE_FORM_DATA":              "false",
		"INCLUDE_REASONS":                "true",
		"REFERENCES":                     "*",
		"CLIENT_SUBJECTS":                "",
		"MUTUAL_TLS_DOMAIN":              "",
		"MUTUAL_TLS_VENDORS":             "",
		"METRICS_NAMESPACE":              "esignhooks/stack",
		"PAYLOAD_BUCKET":                 "bucket",
		"QUEUE_URL":                      "https://sqs.example/q.fifo",
		"REPAIR_SUBSCRIPTIONS":           "false",
		"REQUIRE_URL_TOKEN":              "true",
		"SECRET_ARN":                     "arn:aws:secret",
		"SILENT_AGREEMENT_HOURS":         "24",
		"TABLE_NAME":                     "table",
	}
}

// Clean makes the environment that of a process outside Lambda, with our variables empty.
func Clean(t *testing.T) {
	t.Helper()
	for name := range Variables() {
		t.Setenv(name, "")
	}
	for _, name := range []string{
		"AWS_SAM_LOCAL", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_S3",
		"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY",
		"AWS_SESSION_TOKEN",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none") // for the engines' own clients
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_REGION", "eu-central-1")
	if _, err := os.Stat("/var/rapid/aws-lambda-rie"); err == nil {
		t.Fatal("this test cannot run in a container of sam local")
	}
}

// Set sets these variables until the test ends.
func Set(t *testing.T, variables map[string]string) {
	t.Helper()
	for name, value := range variables {
		t.Setenv(name, value)
	}
}

// Named returns the sorted names of the variables that an error reports, one for each line.
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
