package app

import (
	"errors"
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
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/queue"
	"esignhooks/shared/webhook"
)

// variables are those that template.yaml sets, for a receiver and a worker alike.
func variables() map[string]string {
	return map[string]string{
		"TABLE_NAME": "table", "PAYLOAD_BUCKET": "bucket", "QUEUE_URL": "https://sqs.example/q.fifo", "SECRET_ARN": "arn:aws:secret",
		"DEAD_LETTER_QUEUE_URL": "https://sqs.example/d.fifo", "REQUIRE_URL_TOKEN": "true", "EXPIRE_AFTER_DAYS": "0",
		"METRICS_NAMESPACE": "esignhooks/stack", "ARCHIVE_BUCKET": "",
	}
}

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// The names of the problems in an error, each with as many lines as it has.
func named(err error) []string {
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

func TestConfig(t *testing.T) {
	day := 24 * time.Hour
	receiver := config{table: "table", payloadBucket: "bucket", queueURL: "https://sqs.example/q.fifo", secretARN: "arn:aws:secret", requireURLToken: true, metricsNamespace: "esignhooks/stack"}
	worker := config{table: "table", payloadBucket: "bucket", deadLetterURL: "https://sqs.example/d.fifo", metricsNamespace: "esignhooks/stack"}
	for name, tt := range map[string]struct {
		change           map[string]string
		receiver, worker func(*config) // what differs
	}{
		"as the template writes it": {nil, func(*config) {}, func(*config) {}},
		"an archive":                {map[string]string{"ARCHIVE_BUCKET": "archive"}, func(*config) {}, func(c *config) { c.archiveBucket = "archive" }},
		"the namespace of another stack": {map[string]string{"METRICS_NAMESPACE": "esignhooks/other"},
			func(c *config) { c.metricsNamespace = "esignhooks/other" }, func(c *config) { c.metricsNamespace = "esignhooks/other" }},
		"no token is required": {map[string]string{"REQUIRE_URL_TOKEN": "false"}, func(c *config) { c.requireURLToken = false }, func(*config) {}},
		"the least expiry": {map[string]string{"EXPIRE_AFTER_DAYS": "30"},
			func(c *config) { c.expiry = 30 * day }, func(c *config) { c.expiry = 30 * day }},
		"a hundred years": {map[string]string{"EXPIRE_AFTER_DAYS": "36500"},
			func(c *config) { c.expiry = 36500 * day }, func(c *config) { c.expiry = 36500 * day }},
	} {
		t.Run(name, func(t *testing.T) {
			env := variables()
			maps.Copy(env, tt.change)
			for what, read := range map[string]struct {
				read   func(func(string) (string, bool)) (config, error)
				want   config
				change func(*config)
			}{
				"receiver": {receiverConfig, receiver, tt.receiver}, "worker": {workerConfig, worker, tt.worker},
			} {
				read.change(&read.want)
				got, err := read.read(lookup(env))
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
				if diff := cmp.Diff(read.want, got, cmp.AllowUnexported(config{})); diff != "" {
					t.Errorf("%s: %s", what, diff)
				}
			}
		})
	}
}

func TestConfigReportsAllProblemsAtOnceAndByName(t *testing.T) {
	for name, tt := range map[string]struct {
		change           map[string]string // "-" takes the variable away
		receiver, worker []string
	}{
		"nothing is set": {
			map[string]string{"TABLE_NAME": "-", "PAYLOAD_BUCKET": "-", "QUEUE_URL": "-", "SECRET_ARN": "-", "DEAD_LETTER_QUEUE_URL": "-", "REQUIRE_URL_TOKEN": "-", "EXPIRE_AFTER_DAYS": "-", "METRICS_NAMESPACE": "-"},
			[]string{"EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "QUEUE_URL", "REQUIRE_URL_TOKEN", "SECRET_ARN", "TABLE_NAME"},
			[]string{"DEAD_LETTER_QUEUE_URL", "EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "TABLE_NAME"},
		},
		"everything is empty": {
			map[string]string{"TABLE_NAME": "", "PAYLOAD_BUCKET": "", "QUEUE_URL": "", "SECRET_ARN": "", "DEAD_LETTER_QUEUE_URL": "", "REQUIRE_URL_TOKEN": "", "EXPIRE_AFTER_DAYS": "", "METRICS_NAMESPACE": ""},
			[]string{"EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "QUEUE_URL", "REQUIRE_URL_TOKEN", "SECRET_ARN", "TABLE_NAME"},
			[]string{"DEAD_LETTER_QUEUE_URL", "EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "TABLE_NAME"},
		},
		"one is missing and two are wrong": {
			map[string]string{"TABLE_NAME": "-", "REQUIRE_URL_TOKEN": "yes", "EXPIRE_AFTER_DAYS": "soon"},
			[]string{"EXPIRE_AFTER_DAYS", "REQUIRE_URL_TOKEN", "TABLE_NAME"}, []string{"EXPIRE_AFTER_DAYS", "TABLE_NAME"},
		},
		"no namespace for metrics":                          {map[string]string{"METRICS_NAMESPACE": ""}, []string{"METRICS_NAMESPACE"}, []string{"METRICS_NAMESPACE"}},
		"no archive, not even an empty one":                 {map[string]string{"ARCHIVE_BUCKET": "-"}, nil, nil},
		"what the other function needs is nobody's concern": {map[string]string{"QUEUE_URL": "-"}, []string{"QUEUE_URL"}, nil},
		"and the other way round":                           {map[string]string{"DEAD_LETTER_QUEUE_URL": "-"}, nil, []string{"DEAD_LETTER_QUEUE_URL"}},
		"true in capitals":                                  {map[string]string{"REQUIRE_URL_TOKEN": "TRUE"}, []string{"REQUIRE_URL_TOKEN"}, nil},
		"1 is not true":                                     {map[string]string{"REQUIRE_URL_TOKEN": "1"}, []string{"REQUIRE_URL_TOKEN"}, nil},
		"true with a space":                                 {map[string]string{"REQUIRE_URL_TOKEN": "true "}, []string{"REQUIRE_URL_TOKEN"}, nil},
		"an expiry below the least":                         {map[string]string{"EXPIRE_AFTER_DAYS": "29"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"one day":                                           {map[string]string{"EXPIRE_AFTER_DAYS": "1"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"a negative expiry":                                 {map[string]string{"EXPIRE_AFTER_DAYS": "-30"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"more than a hundred years":                         {map[string]string{"EXPIRE_AFTER_DAYS": "36501"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"more than a number holds":                          {map[string]string{"EXPIRE_AFTER_DAYS": "99999999999999999999"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"a fraction of days":                                {map[string]string{"EXPIRE_AFTER_DAYS": "30.5"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"an expiry with a unit":                             {map[string]string{"EXPIRE_AFTER_DAYS": "30d"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
		"an expiry with a space":                            {map[string]string{"EXPIRE_AFTER_DAYS": " 30"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := variables()
			for name, value := range tt.change {
				if env[name] = value; value == "-" {
					delete(env, name)
				}
			}
			_, err := receiverConfig(lookup(env))
			if diff := cmp.Diff(tt.receiver, named(err)); diff != "" {
				t.Errorf("receiver: %v: %s", err, diff)
			}
			_, err = workerConfig(lookup(env))
			if diff := cmp.Diff(tt.worker, named(err)); diff != "" {
				t.Errorf("worker: %v: %s", err, diff)
			}
		})
	}
}

// info is what stat returns if the file is there.
var info os.FileInfo

// What the three signs of `sam local` may look like. The first of each is the genuine one.
var (
	samLocals  = []string{"true", "-", "", "false", "TRUE", "True", "1", " true", "true "}
	logStreams = []string{"$LATEST", "-", "", "2026/11/02/[$LATEST]58419525dade4d17a495dceeeed44708", "2026/11/02/[1]58419525dade4d17a495dceeeed44708", "$latest", " $LATEST", "$LATEST "}
	stats      = []error{nil, fs.ErrNotExist, fs.ErrPermission, errors.New("not a directory")}
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

// Nobody who can only set variables makes a function take forgeries for genuine.
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
	everything := map[string]string{"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST", "HOME": "/var/rapid", "PWD": "/", "AWS_LAMBDA_FUNCTION_NAME": "x"}
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

// clean is an environment as outside Lambda and without any of our variables.
func clean(t *testing.T) {
	t.Helper()
	for name := range variables() {
		t.Setenv(name, "")
	}
	for _, name := range []string{
		"AWS_SAM_LOCAL", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL_S3",
		"AWS_ENDPOINT_URL_DYNAMODB", "AWS_ENDPOINT_URL_SECRETS_MANAGER", "AWS_PROFILE", "AWS_CA_BUNDLE",
	} {
		t.Setenv(name, "")
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	t.Setenv("AWS_REGION", "eu-central-1")
	if _, err := os.Stat(runtimeEmulator); err == nil {
		t.Fatal("this test cannot run in a container of sam local")
	}
}

func TestHasEndpoint(t *testing.T) {
	for name, tt := range map[string]struct {
		env     map[string]string
		sqs, s3 bool
	}{
		"none":                      {nil, false, false},
		"of all services":           {map[string]string{"AWS_ENDPOINT_URL": "http://localhost:4566"}, true, true},
		"of one":                    {map[string]string{"AWS_ENDPOINT_URL_SQS": "http://localhost:9324"}, true, false},
		"of another":                {map[string]string{"AWS_ENDPOINT_URL_S3": "http://localhost:9000"}, false, true},
		"of one with a longer name": {map[string]string{"AWS_ENDPOINT_URL_S3_CONTROL": "http://localhost:9000"}, false, false},
		"empty":                     {map[string]string{"AWS_ENDPOINT_URL": "", "AWS_ENDPOINT_URL_SQS": ""}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			for name, value := range tt.env {
				t.Setenv(name, value)
			}
			if got := hasEndpoint("SQS"); got != tt.sqs {
				t.Errorf("SQS: %v", got)
			}
			if got := hasEndpoint("S3"); got != tt.s3 {
				t.Errorf("S3: %v", got)
			}
			if got := s3Client(aws.Config{Region: "eu-central-1"}).Options().UsePathStyle; got != tt.s3 {
				t.Errorf("buckets by path: %v", got)
			}
		})
	}
}

func TestFunctionsWithoutAConfigurationReportEverything(t *testing.T) {
	for name, env := range map[string]map[string]string{
		"nothing is set": nil,
		"the environment of sam local without its container": {"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"},
		"with a local engine":                                {"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
	} {
		t.Run(name, func(t *testing.T) {
			clean(t)
			for name, value := range env {
				t.Setenv(name, value)
			}
			r, err := newReceiver(docusign.Provider{}, slog.New(slog.DiscardHandler), io.Discard)
			want := []string{"EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "QUEUE_URL", "REQUIRE_URL_TOKEN", "SECRET_ARN", "TABLE_NAME"}
			if diff := cmp.Diff(want, named(err)); diff != "" || r != nil {
				t.Errorf("receiver %+v: %s", r, diff)
			}
			w, err := newWorker(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
			want = []string{"DEAD_LETTER_QUEUE_URL", "EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "TABLE_NAME"}
			if diff := cmp.Diff(want, named(err)); diff != "" || w != nil {
				t.Errorf("worker %+v: %s", w, diff)
			}
		})
	}
}

func TestFunctionsAreWiredWithoutCallingAnybody(t *testing.T) {
	clean(t)
	for name, value := range variables() {
		t.Setenv(name, value)
	}
	for _, p := range provider.All() {
		r, err := newReceiver(p, slog.New(slog.DiscardHandler), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if r.Provider != p || r.Keys == nil || r.Claims == nil || r.Payloads == nil || r.Queue == nil || r.Now == nil || r.Log == nil || r.Metrics == nil {
			t.Errorf("%+v", r)
		}
	}
	w, err := newWorker(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(w.Providers) != len(provider.All()) || w.Ledger == nil || w.Payloads == nil || w.DeadLetters == nil || w.Now == nil || w.Log == nil || w.Metrics == nil || w.Archive != nil {
		t.Errorf("%+v", w)
	}
}

func TestClientsTryAgainSoonAndNotAllAtOnce(t *testing.T) {
	clean(t)
	a, err := awsConfig(workerPatience)
	if err != nil {
		t.Fatal(err)
	}
	delays := map[time.Duration]bool{}
	for range 10 {
		delay, err := a.Retryer().RetryDelay(10, errors.New("throttled"))
		if err != nil || delay > 200*time.Millisecond {
			t.Errorf("the tenth attempt waits %v, %v", delay, err)
		}
		delays[delay] = true
	}
	if len(delays) < 2 {
		t.Errorf("every attempt waits %v", delays)
	}
}

func TestDevelopmentKeys(t *testing.T) {
	for _, p := range provider.All() {
		keys, err := developmentKeys(p)(t.Context())
		if err != nil || !webhook.Any(keys.Keys, p.Info().DevelopmentKey) || len(keys.Keys) != 1 || len(keys.URLTokens) > 0 {
			t.Errorf("%s: %+v, %v", p.Info().Name, keys, err)
		}
	}
}

func TestTemporaryStoresWork(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	s, err := temporaryStores()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.payloads.Put(t.Context(), "k", []byte("p")); err != nil {
		t.Error(err)
	}
	if err := s.queue.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: "b"}); err != nil {
		t.Error(err)
	}
	other, err := temporaryStores() // another function's container, or another warm one
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.payloads.Get(t.Context(), "k"); err == nil {
		t.Error("two functions share their temporary stores")
	}
}
