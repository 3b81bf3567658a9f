package lambda

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
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
	day := 24 * time.Hour
	type read struct {
		Given, Needed string
		Truth         bool
		Expiry        time.Duration
		Problems      []string
	}
	whole := map[string]string{"GIVEN": "g", "NEEDED": "n", "TRUTH": "true", "EXPIRE_AFTER_DAYS": "0"}
	for name, tt := range map[string]struct {
		change map[string]string // "-" takes the variable away
		want   read
	}{
		"everything is there":       {nil, read{"g", "n", true, 0, nil}},
		"what may be empty":         {map[string]string{"GIVEN": ""}, read{"", "n", true, 0, nil}},
		"what may be missing":       {map[string]string{"GIVEN": "-"}, read{"", "n", true, 0, nil}},
		"false":                     {map[string]string{"TRUTH": "false"}, read{"g", "n", false, 0, nil}},
		"the least expiry":          {map[string]string{"EXPIRE_AFTER_DAYS": "30"}, read{"g", "n", true, 30 * day, nil}},
		"a hundred years":           {map[string]string{"EXPIRE_AFTER_DAYS": "36500"}, read{"g", "n", true, 36500 * day, nil}},
		"all that is missing":       {map[string]string{"GIVEN": "-", "NEEDED": "-", "TRUTH": "-", "EXPIRE_AFTER_DAYS": "-"}, read{Problems: []string{"EXPIRE_AFTER_DAYS", "NEEDED", "TRUTH"}}},
		"all that is empty":         {map[string]string{"GIVEN": "", "NEEDED": "", "TRUTH": "", "EXPIRE_AFTER_DAYS": ""}, read{Problems: []string{"EXPIRE_AFTER_DAYS", "NEEDED", "TRUTH"}}},
		"one missing, two wrong":    {map[string]string{"NEEDED": "-", "TRUTH": "yes", "EXPIRE_AFTER_DAYS": "soon"}, read{Problems: []string{"EXPIRE_AFTER_DAYS", "NEEDED", "TRUTH"}}},
		"true in capitals":          {map[string]string{"TRUTH": "TRUE"}, read{Problems: []string{"TRUTH"}}},
		"1 is not true":             {map[string]string{"TRUTH": "1"}, read{Problems: []string{"TRUTH"}}},
		"true with a space":         {map[string]string{"TRUTH": "true "}, read{Problems: []string{"TRUTH"}}},
		"an expiry below the least": {map[string]string{"EXPIRE_AFTER_DAYS": "29"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"one day":                   {map[string]string{"EXPIRE_AFTER_DAYS": "1"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"a negative expiry":         {map[string]string{"EXPIRE_AFTER_DAYS": "-30"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"more than a hundred years": {map[string]string{"EXPIRE_AFTER_DAYS": "36501"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"more than a number holds":  {map[string]string{"EXPIRE_AFTER_DAYS": "99999999999999999999"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"a fraction of days":        {map[string]string{"EXPIRE_AFTER_DAYS": "30.5"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"an expiry with a unit":     {map[string]string{"EXPIRE_AFTER_DAYS": "30d"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
		"an expiry with a space":    {map[string]string{"EXPIRE_AFTER_DAYS": " 30"}, read{Problems: []string{"EXPIRE_AFTER_DAYS"}}},
	} {
		t.Run(name, func(t *testing.T) {
			env := maps.Clone(whole)
			for name, value := range tt.change {
				if env[name] = value; value == "-" {
					delete(env, name)
				}
			}
			e := Environment{lookup: lookup(env)}
			got := read{Given: e.Get("GIVEN"), Needed: e.Need("NEEDED"), Truth: e.Truth("TRUTH"), Expiry: e.Expiry()}
			if err := e.Err(); err != nil { // nothing else counts
				got = read{Problems: lambdatest.Named(err)}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
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

func TestClientsTryAgainSoonAndNotAllAtOnce(t *testing.T) {
	lambdatest.Clean(t)
	a := AWS(Patience)
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
