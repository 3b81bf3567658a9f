package lambda

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

func TestEnvironment(t *testing.T) {
	type values struct {
		Optional, Required string
		Bool               bool
		Hours, Expiry      time.Duration
	}
	type change map[string]string // "-" unsets the variable
	whole := map[string]string{"OPTIONAL": "o", "REQUIRED": "r", "BOOL": "true", "HOURS": "24", "DAYS": "0"}
	day := 24 * time.Hour
	for name, tt := range map[string]struct {
		change   change
		want     values
		problems []string
	}{
		"everything is set":   {nil, values{"o", "r", true, day, 0}, nil},
		"an optional, empty":  {change{"OPTIONAL": ""}, values{"", "r", true, day, 0}, nil},
		"an optional, unset":  {change{"OPTIONAL": "-"}, values{"", "r", true, day, 0}, nil},
		"false":               {change{"BOOL": "false"}, values{"o", "r", false, day, 0}, nil},
		"no hours":            {change{"HOURS": "0"}, values{"o", "r", true, 0, 0}, nil},
		"the shortest expiry": {change{"DAYS": "30"}, values{"o", "r", true, day, 30 * day}, nil},
		"a hundred years":     {change{"DAYS": "36500"}, values{"o", "r", true, day, 36500 * day}, nil},
		"everything is unset": {
			change{"OPTIONAL": "-", "REQUIRED": "-", "BOOL": "-", "HOURS": "-", "DAYS": "-"}, values{},
			[]string{"BOOL", "DAYS", "HOURS", "REQUIRED"},
		},
		"everything is empty": {
			change{"OPTIONAL": "", "REQUIRED": "", "BOOL": "", "HOURS": "", "DAYS": ""}, values{},
			[]string{"BOOL", "DAYS", "HOURS", "REQUIRED"},
		},
		"one is missing and two are wrong": {
			change{"REQUIRED": "-", "BOOL": "yes", "DAYS": "soon"}, values{}, []string{"BOOL", "DAYS", "REQUIRED"},
		},
		"true in capitals":            {change{"BOOL": "TRUE"}, values{}, []string{"BOOL"}},
		"1 is not true":               {change{"BOOL": "1"}, values{}, []string{"BOOL"}},
		"true with a space":           {change{"BOOL": "true "}, values{}, []string{"BOOL"}},
		"negative hours":              {change{"HOURS": "-1"}, values{}, []string{"HOURS"}},
		"more hours than 16 bits":     {change{"HOURS": "65536"}, values{}, []string{"HOURS"}},
		"an expiry below the minimum": {change{"DAYS": "29"}, values{}, []string{"DAYS"}},
		"one day":                     {change{"DAYS": "1"}, values{}, []string{"DAYS"}},
		"a negative expiry":           {change{"DAYS": "-30"}, values{}, []string{"DAYS"}},
		"an expiry above the maximum": {change{"DAYS": "36501"}, values{}, []string{"DAYS"}},
		"more days than 64 bits":      {change{"DAYS": "99999999999999999999"}, values{}, []string{"DAYS"}},
		"a fraction of days":          {change{"DAYS": "30.5"}, values{}, []string{"DAYS"}},
		"an expiry with a unit":       {change{"DAYS": "30d"}, values{}, []string{"DAYS"}},
		"an expiry with a space":      {change{"DAYS": " 30"}, values{}, []string{"DAYS"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := maps.Clone(whole)
			for name, value := range tt.change {
				if env[name] = value; value == "-" {
					delete(env, name)
				}
			}
			e := NewEnvironment(lookup(env))
			got := values{e.Optional("OPTIONAL"), e.Required("REQUIRED"), e.Bool("BOOL"), e.Hours("HOURS"), e.Expiry("DAYS")}
			problems := lambdatest.Named(e.Err())
			if diff := cmp.Diff(tt.problems, problems); diff != "" {
				t.Error(diff)
			}
			if problems == nil && got != tt.want {
				t.Errorf("%+v, not %+v", got, tt.want)
			}
		})
	}
}

// info is what stat returns if the file is there.
var info os.FileInfo

// What the three signs of `sam local` may look like. The first of each is the genuine one.
var (
	samLocals  = []string{"true", "-", "", "false", "TRUE", "True", "1", " true", "true "}
	logStreams = []string{"$LATEST", "-", "", "2026/11/02/[$LATEST]58419525dade4d17a495dceeeed44708",
		"2026/11/02/[1]58419525dade4d17a495dceeeed44708", "$latest", " $LATEST", "$LATEST "}
	stats = []error{nil, fs.ErrNotExist, fs.ErrPermission, errors.New("not a directory")}
)

func TestSamLocalNeedsAllThreeSigns(t *testing.T) {
	count := 0
	for _, local := range samLocals {
		for _, stream := range logStreams {
			for _, statErr := range stats {
				env := map[string]string{}
				if local != "-" {
					env["AWS_SAM_LOCAL"] = local
				}
				if stream != "-" {
					env["AWS_LAMBDA_LOG_STREAM_NAME"] = stream
				}
				got := samLocal(lookup(env), func(path string) (os.FileInfo, error) {
					if path != "/var/rapid/aws-lambda-rie" {
						t.Errorf("looks at %s", path)
					}
					return info, statErr
				})
				if want := local == samLocals[0] && stream == logStreams[0] && statErr == nil; got != want {
					t.Errorf("AWS_SAM_LOCAL=%q, log stream %q, emulator %v: %v", local, stream, statErr, got)
				} else if got {
					count++
				}
			}
		}
	}
	if count != 1 {
		t.Errorf("%d combinations are sam local", count)
	}
}

// TestNoEnvironmentAloneMakesSamLocal checks that no setting of variables alone makes a function accept forgeries.
func TestNoEnvironmentAloneMakesSamLocal(t *testing.T) {
	missing := func(path string) (os.FileInfo, error) {
		if path != "/var/rapid/aws-lambda-rie" {
			t.Errorf("the environment chose the file %s", path)
		}
		return nil, fs.ErrNotExist
	}
	for _, value := range []string{"true", "$LATEST", "/var/rapid/aws-lambda-rie", "/bin/sh", "1", ""} {
		if samLocal(func(string) (string, bool) { return value, true }, missing) {
			t.Errorf("every variable is %q", value)
		}
	}
	everything := map[string]string{"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST", "HOME": "/var/rapid",
		"PWD": "/", "AWS_LAMBDA_FUNCTION_NAME": "x"}
	if samLocal(lookup(everything), missing) {
		t.Error("the environment of sam local suffices")
	}
	lambda := maps.Clone(everything) // in AWS the log stream cannot be chosen, whatever is in the image
	lambda["AWS_LAMBDA_LOG_STREAM_NAME"] = "2026/11/02/[$LATEST]58419525dade4d17a495dceeeed44708"
	if samLocal(lookup(lambda), func(string) (os.FileInfo, error) { return info, nil }) {
		t.Error("a function with the emulator's file is sam local in AWS")
	}
}

func FuzzNoEnvironmentAloneMakesSamLocal(f *testing.F) {
	f.Add("true", "$LATEST")
	f.Add("", "")
	f.Fuzz(func(t *testing.T, local, stream string) {
		env := lookup(map[string]string{"AWS_SAM_LOCAL": local, "AWS_LAMBDA_LOG_STREAM_NAME": stream})
		if samLocal(env, func(string) (os.FileInfo, error) { return nil, fs.ErrNotExist }) {
			t.Fatal("without the file")
		}
		got := samLocal(env, func(string) (os.FileInfo, error) { return info, nil })
		if got != (local == "true" && stream == "$LATEST") {
			t.Fatal(got)
		}
	})
}

func TestHasEndpoint(t *testing.T) {
	for name, tt := range map[string]struct {
		env     map[string]string
		sqs, s3 bool
	}{
		"none":            {nil, false, false},
		"of all services": {map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566"}, true, true},
		"of one":          {map[string]string{"AWS_ENDPOINT_URL_SQS": "http://localhost:9324"}, true, false},
		"of another":      {map[string]string{"AWS_ENDPOINT_URL_S3": "http://localhost:9000"}, false, true},
		"of one with a longer name": {map[string]string{"AWS_ENDPOINT_URL_S3_CONTROL": "http://localhost:9000"}, false,
			false},
		"empty": {map[string]string{"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_SQS": ""}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			lambdatest.Clean(t)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			if got := HasEndpoint("SQS"); got != tt.sqs {
				t.Errorf("SQS: %v", got)
			}
			if got := HasEndpoint("S3"); got != tt.s3 {
				t.Errorf("S3: %v", got)
			}
			if got := S3Client(aws.Config{Region: "eu-central-1"}).Options().UsePathStyle; got != tt.s3 {
				t.Errorf("buckets by path: %v", got)
			}
		})
	}
}

func TestWhatIsRetried(t *testing.T) {
	lambdatest.Clean(t)
	retryer := AWS(ResponseTimeout).Retryer()
	for err, want := range map[error]bool{
		fmt.Errorf("cut off: %w", io.ErrUnexpectedEOF):                   true,
		&smithy.GenericAPIError{Code: "TransactionConflictException"}:    true,
		&smithy.GenericAPIError{Code: "ThrottlingException"}:             true,
		&smithy.GenericAPIError{Code: "ConditionalCheckFailedException"}: false,
		&smithy.GenericAPIError{Code: "TransactionCanceledException"}:    false,
		io.EOF: false,
	} {
		if got := retryer.IsErrorRetryable(err); got != want {
			t.Errorf("%v is retried: %v", err, got)
		}
	}
}

// TestUnderSAMLocal gives the test's machine the emulator's file. Then `sam local` replaces what has no local engine.
func TestUnderSAMLocal(t *testing.T) {
	emulator := filepath.Join(t.TempDir(), "emulator")
	if err := os.WriteFile(emulator, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	defer func(path string) { runtimeEmulator = path }(runtimeEmulator)
	runtimeEmulator = emulator
	t.Setenv("TMPDIR", t.TempDir())
	samLocal := map[string]string{"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"}
	const endpoint = "https://local.example"
	for name, tt := range map[string]struct {
		change   map[string]string
		replaced string // the services
	}{
		"without engines":    {nil, "SQS SECRETS_MANAGER"},
		"the queue's engine": {map[string]string{"AWS_ENDPOINT_URL_SQS": endpoint}, "SECRETS_MANAGER"},
		"the secrets' engine alone": {map[string]string{"AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint},
			"SQS"},
		"all engines": {map[string]string{"AWS_ENDPOINT_URL": endpoint}, ""},
		"in AWS": {map[string]string{
			"AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/02/[$LATEST]58419525dade4d17a495dceeeed44708"}, ""},
		"with another value": {map[string]string{"AWS_SAM_LOCAL": "1"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			lambdatest.Enter(t, lambdatest.Variables())
			lambdatest.Set(t, samLocal)
			lambdatest.Set(t, tt.change)
			for _, service := range []string{"SQS", "SECRETS_MANAGER"} {
				if got := Lacks(service); got != strings.Contains(tt.replaced, service) {
					t.Errorf("lacks %s: %v", service, got)
				}
			}
			p := acmesign.Provider{}
			r, err := NewReceiver(p, slog.New(slog.DiscardHandler), io.Discard)
			if err != nil {
				t.Fatal(err)
			}
			account := &lambdatest.AWS{Secret: `{"keys":["real"]}`}
			account.Connect(r)
			keys, err := r.Keys(t.Context())
			if err != nil || len(keys.Keys) != 1 || webhook.Any(keys.Keys, p.Info().DevelopmentKey) != (tt.replaced != "") {
				t.Errorf("the development key counts: %v, %v", tt.replaced == "", err)
			}
			if err := r.Queue.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: "b"}); err != nil {
				t.Error(err)
			}
			sent := slices.ContainsFunc(account.Calls(), func(c lambdatest.Call) bool { return c.Service == "sqs" })
			if sent == strings.Contains(tt.replaced, "SQS") {
				t.Errorf("sent to the queue: %v", sent)
			}
		})
	}
}

func TestTemporaryStoresWork(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := TemporaryStores()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Payloads.Put(t.Context(), "k", []byte("p")); err != nil {
		t.Error(err)
	}
	if err := s.Queue.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: "b"}); err != nil {
		t.Error(err)
	}
	other, err := TemporaryStores() // another function's container, or another warm one
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.Payloads.Get(t.Context(), "k"); err == nil {
		t.Error("two functions share their temporary stores")
	}
}
