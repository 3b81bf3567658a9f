package background

import (
	"io"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// TestUnderSAMLocal runs this test in another binary, for which a file of every machine is sam local's emulator.
func TestUnderSAMLocal(t *testing.T) {
	lambdatest.Enter(t, lambdatest.Variables())
	lambdatest.Set(t, map[string]string{"AWS_SAM_LOCAL": "true", "AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"})
	if !wiring.Lacks("SQS") {
		slow.Test(t)
		const linked = "-ldflags=-X=esignhooks/shared/wiring/lambda.runtimeEmulator=/dev/null"
		out, err := exec.Command("go", "test", linked, "-count=1", "-run=^TestUnderSAMLocal$", ".").CombinedOutput()
		if err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	t.Setenv("TMPDIR", t.TempDir())
	log := slog.New(slog.DiscardHandler)
	w, err := newWorker(acme, log, io.Discard)
	must(t, err)
	must(t, w.Payloads.Put(t.Context(), "k", []byte("p")))
	must(t, w.DeadLetters.Send(t.Context(), queue.Message{Group: "g", DeduplicationID: "d", Body: "b"}))
	_, err = w.Ledger.Claim(t.Context(), ledger.Claim{Key: ledger.Key{Subject: "s", ID: "e"}, ReceivedAt: time.Now()})
	must(t, err)
	for _, endpoint := range []string{"", "https://local.example"} {
		t.Setenv("AWS_ENDPOINT_URL_SQS", endpoint)
		_, archiver := newArchiver(acme, log, io.Discard)
		_, reconciler := newReconciler(acme, log, io.Discard)
		if (archiver == nil) != (endpoint != "") || (reconciler == nil) != (endpoint != "") {
			t.Errorf("with the endpoint %q: %v, %v", endpoint, archiver, reconciler)
		}
	}
}
