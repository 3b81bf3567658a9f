package background

import (
	"io"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// acme is the only vendor of most tests.
var acme = []webhook.Provider{acmesign.Provider{}}

// functions wire each function from the environment. The result is a pointer to a struct, and nil after an error.
var functions = map[string]func() (any, error){
	"receiver":   func() (any, error) { return wiring.NewReceiver(acme[0], slog.New(slog.DiscardHandler), io.Discard) },
	"worker":     func() (any, error) { return newWorker(acme, slog.New(slog.DiscardHandler), io.Discard) },
	"outlet":     func() (any, error) { return newOutlet(slog.New(slog.DiscardHandler)) },
	"publisher":  func() (any, error) { return newPublisher(slog.New(slog.DiscardHandler), io.Discard) },
	"archiver":   func() (any, error) { return newArchiver(acme, slog.New(slog.DiscardHandler), io.Discard) },
	"reconciler": func() (any, error) { return newReconciler(acme, slog.New(slog.DiscardHandler), io.Discard) },
}

// required are the variables that each function needs.
var required = map[string]string{
	"receiver":  "EXPIRE_AFTER_DAYS METRICS_NAMESPACE PAYLOAD_BUCKET QUEUE_URL REQUIRE_URL_TOKEN SECRET_ARN TABLE_NAME",
	"worker":    "DEAD_LETTER_QUEUE_URL EXPIRE_AFTER_DAYS METRICS_NAMESPACE PAYLOAD_BUCKET TABLE_NAME",
	"outlet":    "OUTLET_DEAD_LETTER_QUEUE_URL OUTLET_QUEUE_URL OUTLET_SECRET_ARN OUTLET_URL",
	"publisher": "EVENT_BUS_NAME METRICS_NAMESPACE PAYLOAD_BUCKET",
	"archiver": "DOCUMENT_BUCKET DOCUMENT_DEAD_LETTER_QUEUE_URL DOCUMENT_QUEUE_URL METRICS_NAMESPACE " +
		"QUEUE_URL TABLE_NAME",
	"reconciler": "API_URL EXPIRE_AFTER_DAYS METRICS_NAMESPACE QUEUE_URL REPAIR_SUBSCRIPTIONS " +
		"REQUIRE_URL_TOKEN SILENT_AGREEMENT_HOURS TABLE_NAME",
}

// TestProblemsAreReportedAtOnce checks that the error names every missing variable that the function needs, and no
// other.
func TestProblemsAreReportedAtOnce(t *testing.T) {
	samLocal := map[string]string{"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"}
	for name, tt := range map[string]struct {
		unset  bool // no variable is set before the change
		change map[string]string
		wrong  string // the variables that are reported, if the function needs them; empty: all
	}{
		"nothing is set": {true, nil, ""},
		"only the variables of sam local are set": {true, samLocal, ""},
		"only a local engine is set": {true, map[string]string{"AWS_ENDPOINT_URL": "http://127.0.0.1:1"},
			""},
		"one is missing and three are wrong": {
			false,
			map[string]string{"TABLE_NAME": "", "REQUIRE_URL_TOKEN": "yes", "EXPIRE_AFTER_DAYS": "29",
				"SILENT_AGREEMENT_HOURS": "-1"},
			"EXPIRE_AFTER_DAYS REQUIRE_URL_TOKEN SILENT_AGREEMENT_HOURS TABLE_NAME",
		},
		"no metrics namespace":         {false, map[string]string{"METRICS_NAMESPACE": ""}, "METRICS_NAMESPACE"},
		"a variable of some functions": {false, map[string]string{"QUEUE_URL": ""}, "QUEUE_URL"},
		"a variable of the worker alone": {false, map[string]string{"DEAD_LETTER_QUEUE_URL": ""},
			"DEAD_LETTER_QUEUE_URL"},
		"a variable of the reconciler alone": {false, map[string]string{"REPAIR_SUBSCRIPTIONS": "1"}, "REPAIR_SUBSCRIPTIONS"},
	} {
		t.Run(name, func(t *testing.T) {
			lambdatest.Clean(t)
			if !tt.unset {
				lambdatest.Set(t, lambdatest.Variables())
			}
			lambdatest.Set(t, tt.change)
			for function, wire := range functions {
				var want []string
				for _, name := range strings.Fields(required[function]) {
					if tt.wrong == "" || strings.Contains(" "+tt.wrong+" ", " "+name+" ") {
						want = append(want, name)
					}
				}
				got, err := wire()
				if diff := cmp.Diff(want, lambdatest.Named(err)); diff != "" {
					t.Errorf("%s: %v: %s", function, err, diff)
				}
				if reflect.ValueOf(got).IsNil() != (err != nil) {
					t.Errorf("%s: %+v, %v", function, got, err)
				}
			}
		})
	}
}

// TestHalfOfMutualTLSIsRefused expects an error from a function that would refuse all events, or register a wrong URL.
func TestHalfOfMutualTLSIsRefused(t *testing.T) {
	for _, tt := range []struct {
		function, subjects, domain, vendors string
		want                                []string
	}{
		{"receiver", "CN=a", "mtls.example.com", "", nil},
		{"receiver", "", "mtls.example.com", "", nil},
		{"receiver", "CN=a", "", "", []string{"CLIENT_SUBJECTS"}},
		{"receiver", "CN=a;hooks.example", "mtls.example.com", "", []string{"CLIENT_SUBJECTS"}},
		{"reconciler", "", "mtls.example.com", " acmesign ", nil},
		{"reconciler", "", "", "   ", nil},
		{"reconciler", "", "", "acmesign", []string{"MUTUAL_TLS_DOMAIN"}},
	} {
		enter(t, map[string]string{"CLIENT_SUBJECTS": tt.subjects, "MUTUAL_TLS_DOMAIN": tt.domain,
			"MUTUAL_TLS_VENDORS": tt.vendors})
		_, err := functions[tt.function]()
		if diff := cmp.Diff(tt.want, lambdatest.Named(err)); diff != "" {
			t.Errorf("%+v: %v: %s", tt, err, diff)
		}
	}
}

// enter sets the variables of all functions, with these changes.
func enter(t *testing.T, change map[string]string) {
	t.Helper()
	lambdatest.Clean(t)
	lambdatest.Set(t, lambdatest.Variables())
	lambdatest.Set(t, change)
}
