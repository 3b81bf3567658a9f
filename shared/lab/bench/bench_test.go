package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

func newAccount(t *testing.T) *account {
	t.Helper()
	a, err := open(t.TempDir(), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.close)
	return a
}

func TestFunctionsAreMeasuredWithTheSettingsOfTheTemplate(t *testing.T) {
	template, err := os.ReadFile(filepath.Join(webhooktest.Root(t), "template.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	settings := 0
	for _, v := range newAccount(t).environment("docusign", setting) {
		if name, value, _ := strings.Cut(v, "="); strings.HasPrefix(name, "GO") {
			settings++
			if !regexp.MustCompile(`(?m)^        ` + name + `: '?` + value + `'?( #.*)?$`).Match(template) {
				t.Errorf("%s is not in template.yaml", v)
			}
		}
	}
	if want := strings.Count(string(template), "\n        GO"); settings != want {
		t.Errorf("%d settings of Go, in template.yaml %d", settings, want)
	}
}

func built(t *testing.T, folder, name string) bootstrap {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("functions are built for Linux, whose /proc tells what they cost")
	}
	b, err := build(t.Context(), webhooktest.Root(t), t.TempDir(), folder, name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func started(t *testing.T, b bootstrap, env ...string) *function {
	t.Helper()
	f, err := start(t.Context(), b, env...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.stop(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func event(t *testing.T, of func() ([]byte, error)) []byte {
	t.Helper()
	b, err := of()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryProviderIsAcknowledgedWithOneClaimAndOneMessage(t *testing.T) {
	a := newAccount(t)
	for _, p := range provider.All() {
		name := p.Info().Name
		f := started(t, built(t, functions, receivers()[name]), a.environment(name, setting)...)
		w, err := completed(p, small)
		if err != nil {
			t.Fatal(err)
		}
		if len(w.request.Body) < small {
			t.Errorf("%s: a body of %d bytes", name, len(w.request.Body))
		}
		wantCalls := func(want map[string]int) {
			t.Helper()
			for operation, want := range want {
				if u := a.used(operation); u.calls != want || u.unknown != 0 {
					t.Errorf("%s: %q has %+v, want %d calls", name, operation, u, want)
				}
			}
		}
		if err := f.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantCalls(map[string]int{"GetSecretValue": 1, "UpdateItem": 1, "SendMessage": 1, "": 3}) // the last two do nothing
		if len(a.table)+len(a.sent) > 0 {
			t.Errorf("%s: a start leaves %d subjects and %d messages", name, len(a.table), len(a.sent))
		}
		a.reset(true)
		for range 3 {
			got := f.invoke(t.Context(), event(t, w.fresh))
			if err := errors.Join(got.err, status(http.StatusOK)(got.body)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		wantCalls(map[string]int{"PutItem": 3, "SendMessage": 3, "": 6})
		if u := a.used(""); u.duplicates != 0 {
			t.Errorf("%s: %d duplicates", name, u.duplicates)
		}
		if u := a.used("SendMessage"); u.bytes < 3*small {
			t.Errorf("%s: three messages of %d bytes in all", name, u.bytes)
		}
		a.reset(true)
		got := f.invoke(t.Context(), event(t, w.forged))
		if err := errors.Join(got.err, status(http.StatusUnauthorized)(got.body)); err != nil {
			t.Errorf("%s: a forgery: %v", name, err)
		}
		if u := a.used(""); u.calls != 0 {
			t.Errorf("%s: a forgery makes calls: %+v", name, u)
		}
	}
}

func TestADuplicateIsSeen(t *testing.T) {
	a := newAccount(t)
	f := started(t, built(t, functions, "DocuSign"), a.environment("docusign", setting)...)
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.wait(t.Context()); err != nil {
		t.Fatal(err)
	}
	a.reset(true)
	same := event(t, w.fresh)
	for range 2 {
		if got := f.invoke(t.Context(), same); got.err != nil {
			t.Fatal(got.err)
		}
	}
	if claims, messages, counts := a.used("PutItem"), a.used("SendMessage"), a.used("UpdateItem"); claims.duplicates != 1 || messages.duplicates != 1 || counts.calls != 1 {
		t.Errorf("claims %+v, messages %+v, counts %+v", claims, messages, counts)
	}
}

func TestTheWorkerCommitsWhatTheStubsKeep(t *testing.T) {
	a := newAccount(t)
	f := started(t, built(t, functions, "Worker"), a.environment("", 512)...)
	w, err := newWorkload(docusign.Provider{}, "envelope-sent", small)
	if err != nil {
		t.Fatal(err)
	}
	batch := event(t, func() ([]byte, error) { return w.batch([]string{w.id(1), w.id(2), w.id(1)}) })
	for range 2 { // the second time, all of it is there
		got := f.invoke(t.Context(), batch)
		if err := errors.Join(got.err, allProcessed(got.body)); err != nil {
			t.Fatal(err)
		}
	}
	if u := a.used("TransactWriteItems"); u.duplicates == 0 {
		t.Errorf("a repeated batch is not refused: %+v", u)
	}
	for subject, events := range map[string]int{"docusign#" + w.id(1): 2, "docusign#" + w.id(2): 1} {
		partition := a.table[subject]
		var agreement esign.Agreement
		if err := json.Unmarshal([]byte(text(partition["@"]["agreement"])), &agreement); err != nil {
			t.Fatal(err)
		}
		if version := partition["@"]["version"]["N"]; len(partition) != events+1 || agreement.Status != esign.Sent || version == nil {
			t.Errorf("%s: %d items, %s, version %v", subject, len(partition), agreement.Status, version)
		}
	}
}

func TestTheBaselinesAnswerAndMakeTheirCalls(t *testing.T) {
	a := newAccount(t)
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]map[string]int{
		"ok": {"": 0}, "copy": {"": 0}, "calls": {"PutItem": 2, "SendMessage": 2, "": 4}, "worker": {"GetItem": 2, "TransactWriteItems": 2, "": 4},
	} {
		a.reset(true)
		f := started(t, built(t, baselines, name), a.environment("", setting)...)
		make, check := w.fresh, status(http.StatusOK)
		if name == "worker" {
			make, check = func() ([]byte, error) { return w.batch([]string{w.id(1)}) }, allProcessed
		}
		for range 2 {
			got := f.invoke(t.Context(), event(t, make))
			if err := errors.Join(got.err, check(got.body)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for operation, calls := range want {
			if u := a.used(operation); u.calls != calls || u.duplicates+u.unknown != 0 {
				t.Errorf("%s: %q has %+v, want %d calls", name, operation, u, calls)
			}
		}
	}
}

func TestAFunctionMayComeByTLS(t *testing.T) {
	a, err := open(t.TempDir(), true)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	f := started(t, built(t, baselines, "calls"), a.environment("", setting)...)
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.invoke(t.Context(), event(t, w.fresh)); got.err != nil || a.used("").calls != 2 {
		t.Errorf("%v, %+v", got.err, a.used(""))
	}
}

// loaded is the event of testdata/load.
func loaded(t *testing.T, sleep, burn time.Duration, bytes int) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{"Sleep": sleep, "Burn": burn, "Bytes": bytes})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestASlowOrFatFunctionShowsAsSuch(t *testing.T) {
	f := started(t, built(t, "shared/lab/bench/testdata", "load"))
	any := func([]byte) error { return nil }
	slow, err := invokeAll(t.Context(), f, [][]byte{loaded(t, 60*time.Millisecond, 0, 0)}, any)
	if err != nil || slow.wall < 60*time.Millisecond {
		t.Errorf("slept 60 ms: %+v, %v", slow, err)
	}
	busy, err := invokeAll(t.Context(), f, [][]byte{loaded(t, 0, 50*time.Millisecond, 0), loaded(t, 0, 70*time.Millisecond, 0)}, any)
	if err != nil || busy.cpu < 55*time.Millisecond || busy.wall < 70*time.Millisecond { // the kernel's two clocks may differ a little
		t.Errorf("was busy for 50 and 70 ms: %+v, %v", busy, err)
	}
	_, before, err := f.process.memory()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := invokeAll(t.Context(), f, [][]byte{loaded(t, 0, 0, 64<<20)}, any); err != nil {
		t.Fatal(err)
	}
	if now, peak, err := f.process.memory(); err != nil || now < 64<<20 || peak < before+48<<20 {
		t.Errorf("holds 64 MiB: %d and at most %d bytes, before %d, %v", now, peak, before, err)
	}
}

func TestTheStubsWait(t *testing.T) {
	a := newAccount(t)
	f := started(t, built(t, baselines, "calls"), a.environment("", setting)...)
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		t.Fatal(err)
	}
	a.delay.Store(int64(30 * time.Millisecond))
	if got := f.invoke(t.Context(), event(t, w.fresh)); got.err != nil || got.took < 60*time.Millisecond {
		t.Errorf("two calls that take 30 ms: %v, %v", got.took, got.err)
	}
}

func TestAFunctionThatFailsIsReported(t *testing.T) {
	for name, tt := range map[string]struct {
		function bootstrap
		env      []string
		want     string
	}{
		"it returns an error":      {built(t, "shared/lab/bench/testdata", "load"), nil, "errorMessage"},
		"its environment is wrong": {built(t, functions, "Worker"), nil, "wrong configuration"},
	} {
		f := started(t, tt.function, tt.env...)
		if got := f.invoke(t.Context(), []byte("[")); got.err == nil || !strings.Contains(got.err.Error(), tt.want) {
			t.Errorf("%s: %v", name, got.err)
		}
	}
	f := started(t, built(t, "shared/lab/bench/testdata", "load"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := f.invoke(ctx, nil); !errors.Is(got.err, context.Canceled) {
		t.Errorf("given up: %v", got.err)
	}
}

func TestRequestsOfAWorkloadDifferInTheirAgreementAlone(t *testing.T) {
	for _, p := range provider.All() {
		w, err := completed(p, small)
		if err != nil {
			t.Fatal(err)
		}
		keys := webhooktest.DevelopmentKeys(p)
		var first webhook.Identity
		for n := range 3 {
			r, err := w.about(w.id(n + 1))
			if err != nil {
				t.Fatal(err)
			}
			r.TokenMatched = true
			if _, err := p.Verify(r, keys); err != nil {
				t.Fatalf("%s: %v", p.Info().Name, err)
			}
			ids, err := p.Identify(r)
			if err != nil || len(ids) != 1 {
				t.Fatalf("%s: %v, %v", p.Info().Name, ids, err)
			}
			if ids[0].AgreementID != w.id(n+1) || ids[0].EventID == first.EventID || ids[0].Subject == first.Subject {
				t.Errorf("%s: %+v after %+v", p.Info().Name, ids[0], first)
			}
			if restored := bytes.ReplaceAll(r.Body, []byte(w.id(n+1)), []byte(w.agreement)); !bytes.Equal(restored, w.request.Body) {
				t.Errorf("%s: more than the agreement has changed", p.Info().Name)
			}
			first = ids[0]
		}
	}
}

func TestConditionsAndUpdates(t *testing.T) {
	one := func(kind, value string) map[string]any { return map[string]any{kind: value} }
	stored := item{"pk": one("S", "p"), "n": one("N", "5"), "state": one("S", "received"), "via": {"SS": []any{"a", "b"}}}
	values := item{":five": one("N", "5"), ":six": one("N", "6"), ":received": one("S", "received"), ":two": one("N", "2")}
	for condition, want := range map[string]bool{
		"attribute_exists(pk)":                                       true,
		"attribute_not_exists(pk)":                                   false,
		"attribute_not_exists(pk) OR n < :six":                       true,
		"attribute_not_exists(pk) OR missing < :six":                 false,
		"#state <> :received":                                        false,
		"#state = :received AND n = :five":                           true,
		"attribute_exists(pk) AND (n = :six OR size(via) < :two)":    false,
		"attribute_exists(pk) AND (n = :six OR size(via) <= :two)":   true,
		"attribute_exists(missing) OR n >= :five AND #state = :five": false,
		"missing <> :five":                                           false,
	} {
		e := expression{tokens: tokenise(condition), names: map[string]string{"#state": "state"}, values: values, item: stored}
		if got, err := e.condition(); got != want || err != nil {
			t.Errorf("%s: %v, %v", condition, got, err)
		}
	}
	changed := item{"pk": one("S", "p"), "old": one("S", "x"), "n": one("N", "5"), "via": {"SS": []any{"a", "b"}}}
	update := "SET #state = :received, n = if_not_exists(n, :six), m = if_not_exists(m, :six) ADD count :two, via :via REMOVE old"
	e := expression{
		tokens: tokenise(update), names: map[string]string{"#state": "state"}, item: stored,
		values: item{":received": one("S", "received"), ":six": one("N", "6"), ":two": one("N", "2"), ":via": {"SS": []any{"b", "c"}}},
	}
	if err := e.update(changed); err != nil {
		t.Fatal(err)
	}
	want := item{
		"pk": one("S", "p"), "state": one("S", "received"), "n": one("N", "5"), "m": one("N", "6"), "count": one("N", "2"),
		"via": {"SS": []any{"a", "b", "c"}},
	}
	if diff := cmp.Diff(want, changed); diff != "" {
		t.Error(diff)
	}
	for _, wrong := range []string{"n", "SET n :five", "(n = :five", "n = :five n"} {
		e := expression{tokens: tokenise(wrong), values: values, item: stored}
		if _, err := e.condition(); wrong[0] != 'S' && wrong != "n" && err == nil {
			t.Errorf("%q is a condition", wrong)
		}
		e = expression{tokens: tokenise(wrong), values: values, item: stored}
		if err := e.update(item{}); err == nil {
			t.Errorf("%q is an update", wrong)
		}
	}
}

func TestRoundsTakeTurnsAndTheFirstDoesNotCount(t *testing.T) {
	var turns []string
	contestant := func(name string, costs ...time.Duration) func() (cost, error) {
		i := 0
		return func() (cost, error) {
			turns = append(turns, name)
			i++
			return cost{wall: costs[i-1], cpu: 1}, nil
		}
	}
	all, err := rounds(3, contestant("a", 1000, 40, 20, 60), contestant("b", 1, 20, 5, 20))
	if err != nil || strings.Join(turns, "") != "abababab" {
		t.Fatal(turns, err)
	}
	if r := ratio(all[0], all[1], cost.wallOf); r != 3 { // of 2, 4 and 3
		t.Errorf("the ratio is %v", r)
	}
	if m := all[0].middle(cost.wallOf); m != 40 {
		t.Errorf("the median is %v", m)
	}
	if p := percentile([]time.Duration{5, 1, 4, 2, 3}, 0.99); p != 5 {
		t.Errorf("the percentile is %v", p)
	}
	broken := errors.New("broken")
	if _, err := rounds(3, func() (cost, error) { return cost{}, broken }); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func TestWhatIsProcessedIsCountedOnceHoweverItIsWritten(t *testing.T) {
	line := `{"msg":"processed","event":"1"}` + "\n" + `{"msg":"already processed","event":"1"}` + "\n"
	for size := 1; size <= len(line); size++ {
		o := &output{}
		for part := range slices.Chunk([]byte(strings.Repeat(line, 3)), size) {
			o.Write(part)
		}
		if o.events() != 3 || o.count() != 3*len(line) || o.end() != strings.Repeat(line, 3) {
			t.Errorf("written %d at a time: %d events, %d bytes", size, o.events(), o.count())
		}
	}
}

func TestTheGatewaySurvivesAKillAndItsCrowdSeesWhatIsLost(t *testing.T) {
	b := &bench{Context: t.Context(), built: map[string]bootstrap{"Local": built(t, functions, "Local")}}
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		t.Fatal(err)
	}
	c := &crowd{bench: b, load: w, data: t.TempDir(), acknowledged: map[string]int{}}
	if err := c.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.gateway.kill() })
	if err := c.sendAndKill(); err != nil {
		t.Fatal(err)
	}
	if c.gateway.output.events() == 0 {
		t.Error("nothing was processed after the kill")
	}
	copies := 0
	for _, n := range c.acknowledged {
		copies += n - 1
	}
	if lost, doubled, err := c.count(); lost+doubled != 0 || err != nil || len(c.acknowledged) == 0 || len(c.acknowledged) > repeated && copies == 0 {
		t.Errorf("%d lost, %d doubled of %d, %d repeated, %v", lost, doubled, len(c.acknowledged), copies, err)
	}
	c.acknowledged["never sent"] = 1
	if lost, _, err := c.count(); lost != 1 || err != nil {
		t.Errorf("%d lost, %v", lost, err)
	}
}

func TestAStoreGrowsToItsSize(t *testing.T) {
	w, err := completed(docusign.Provider{}, small)
	if err != nil {
		t.Fatal(err)
	}
	g, err := (&bench{Context: t.Context(), dir: t.TempDir()}).grow(w, 300)
	if err != nil {
		t.Fatal(err)
	}
	defer g.db.Close()
	if _, err := g.turn(); err != nil {
		t.Fatal(err)
	}
	agreements, err := g.ledger.Agreements()
	if err != nil || len(agreements) != 300+claimed {
		t.Errorf("%d agreements, %v", len(agreements), err)
	}
	for _, n := range []int{0, 1, 299} { // the first, and copies of it
		history, err := g.ledger.History(t.Context(), webhook.AgreementSubject("docusign", w.id(n*stride)))
		if err != nil || len(history) != 1 || history[0].Event.AgreementID != w.id(n*stride) {
			t.Errorf("%d: %+v, %v", n, history, err)
		}
	}
}

func TestWhatASymbolBelongsTo(t *testing.T) {
	for symbol, want := range map[string]string{
		"github.com/aws/aws-sdk-go-v2/service/dynamodb.(*Client).PutItem": "client of dynamodb",
		"github.com/aws/aws-sdk-go-v2/service/s3/types.(*Bucket).x":       "client of s3",
		"github.com/aws/aws-sdk-go-v2/service/internal/checksum.init":     "aws-sdk-go-v2 without clients",
		"github.com/aws/aws-sdk-go-v2/config.LoadDefaultConfig":           "aws-sdk-go-v2 without clients",
		"github.com/aws/smithy-go/middleware.(*Stack).HandleMiddleware":   "smithy-go",
		"github.com/aws/aws-lambda-go/lambda.Start":                       "aws-lambda-go",
		"go.etcd.io/bbolt/internal/common.(*Page).x":                      "bbolt",
		"esignhooks/shared/receive.(*Receiver).post":                      "esignhooks",
		"main.main":                               "esignhooks",
		"net/http.(*Transport).dialConn":          "net",
		"crypto/tls.(*Conn).Write":                "crypto",
		"vendor/golang.org/x/net/idna.idnaValues": "vendor",
		"slices.SortFunc[go.shape.*uint8,github.com/aws/aws-lambda-go/x.y]": "rest of the standard library",
		"runtime.mheap_":            "runtime",
		"internal/abi.x":            "runtime",
		"go:func.*":                 "texts, interfaces and what else the compiler makes",
		"type:.eq.[3]interface {}":  "texts, interfaces and what else the compiler makes",
		"golang.org/x/oauth2.Token": "golang.org/x/oauth2",
	} {
		if got := part(symbol); got != want {
			t.Errorf("%s belongs to %q, want %q", symbol, got, want)
		}
	}
	b := &bench{Context: t.Context(), root: webhooktest.Root(t), dir: t.TempDir()}
	weights, err := b.weights(filepath.Join(baselines, "ok"))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for part, n := range weights {
		if n < 0 {
			t.Errorf("%s weighs %d bytes", part, n)
		}
		sum += n
	}
	if sum != 2*weights["**whole**"] {
		t.Errorf("the parts weigh %d, the whole %d", sum-weights["**whole**"], weights["**whole**"])
	}
}

func TestTheTableTellsGoalsAndRatios(t *testing.T) {
	var out strings.Builder
	r := report{load: "0.1 and 0.2", weights: "a table"}
	r.add(row{"one", 1.256, "≤ 1.25", false, "5 µs", "4 µs"}, row{"two", 0, "", false, "7", "–"}, row{"three", 0.5, "≤ 1", true, "1", "2"})
	r.write(&out, time.Now(), 3)
	for _, line := range []string{
		"| one | 1.26 | ≤ 1.25 | **no** | 5 µs | 4 µs |", "| two |  |  |  | 7 | – |", "| three | 0.50 | ≤ 1 | yes | 1 | 2 |", "a table", "0.1 and 0.2", machine(),
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no %q in\n%s", line, &out)
		}
	}
}
