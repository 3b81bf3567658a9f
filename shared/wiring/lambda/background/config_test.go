package background

import (
	"io"
	"log/slog"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

func TestConfigReportsAllProblemsAtOnceAndByName(t *testing.T) {
	for name, tt := range map[string]struct {
		change           map[string]string
		receiver, worker []string
	}{
		"everything is empty": {
			map[string]string{"TABLE_NAME": "", "PAYLOAD_BUCKET": "", "QUEUE_URL": "", "SECRET_ARN": "", "DEAD_LETTER_QUEUE_URL": "", "REQUIRE_URL_TOKEN": "", "EXPIRE_AFTER_DAYS": "", "METRICS_NAMESPACE": ""},
			[]string{"EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "QUEUE_URL", "REQUIRE_URL_TOKEN", "SECRET_ARN", "TABLE_NAME"},
			[]string{"DEAD_LETTER_QUEUE_URL", "EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "TABLE_NAME"},
		},
		"one is missing and two are wrong": {
			map[string]string{"TABLE_NAME": "", "REQUIRE_URL_TOKEN": "yes", "EXPIRE_AFTER_DAYS": "soon"},
			[]string{"EXPIRE_AFTER_DAYS", "REQUIRE_URL_TOKEN", "TABLE_NAME"}, []string{"EXPIRE_AFTER_DAYS", "TABLE_NAME"},
		},
		"no namespace for metrics":                          {map[string]string{"METRICS_NAMESPACE": ""}, []string{"METRICS_NAMESPACE"}, []string{"METRICS_NAMESPACE"}},
		"what the other function needs is nobody's concern": {map[string]string{"QUEUE_URL": ""}, []string{"QUEUE_URL"}, nil},
		"and the other way round":                           {map[string]string{"DEAD_LETTER_QUEUE_URL": ""}, nil, []string{"DEAD_LETTER_QUEUE_URL"}},
		"an expiry below the least":                         {map[string]string{"EXPIRE_AFTER_DAYS": "29"}, []string{"EXPIRE_AFTER_DAYS"}, []string{"EXPIRE_AFTER_DAYS"}},
	} {
		t.Run(name, func(t *testing.T) {
			lambdatest.Clean(t)
			lambdatest.Set(t, lambdatest.Variables())
			lambdatest.Set(t, tt.change)
			r, err := wiring.NewReceiver(docusign.Provider{}, slog.New(slog.DiscardHandler), io.Discard)
			if diff := cmp.Diff(tt.receiver, lambdatest.Named(err)); diff != "" || (r == nil) != (err != nil) {
				t.Errorf("receiver: %v: %s", err, diff)
			}
			w, err := newWorker(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
			if diff := cmp.Diff(tt.worker, lambdatest.Named(err)); diff != "" || (w == nil) != (err != nil) {
				t.Errorf("worker: %v: %s", err, diff)
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
			lambdatest.Clean(t)
			lambdatest.Set(t, env)
			r, err := wiring.NewReceiver(docusign.Provider{}, slog.New(slog.DiscardHandler), io.Discard)
			want := []string{"EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "QUEUE_URL", "REQUIRE_URL_TOKEN", "SECRET_ARN", "TABLE_NAME"}
			if diff := cmp.Diff(want, lambdatest.Named(err)); diff != "" || r != nil {
				t.Errorf("receiver %+v: %s", r, diff)
			}
			w, err := newWorker(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
			want = []string{"DEAD_LETTER_QUEUE_URL", "EXPIRE_AFTER_DAYS", "METRICS_NAMESPACE", "PAYLOAD_BUCKET", "TABLE_NAME"}
			if diff := cmp.Diff(want, lambdatest.Named(err)); diff != "" || w != nil {
				t.Errorf("worker %+v: %s", w, diff)
			}
		})
	}
}

func TestFunctionsAreWiredWithoutCallingAnybody(t *testing.T) {
	lambdatest.Clean(t)
	lambdatest.Set(t, lambdatest.Variables())
	for _, p := range provider.All() {
		r, err := wiring.NewReceiver(p, slog.New(slog.DiscardHandler), io.Discard)
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
