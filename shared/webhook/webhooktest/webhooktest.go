// Package webhooktest is the suite that every provider runs. Its inputs are the examples in events/<provider>, complete
// proxy events signed with the provider's development key; its outputs are golden files in the provider's testdata.
package webhooktest

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/webhook"
)

var update = flag.Bool("update", false, "rewrite the golden files; read the diff")

// ReceivedAt is when the examples are received.
var ReceivedAt = time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)

// Root returns the module's root folder.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		break
	}
	t.Fatal("webhooktest: no go.mod above the working directory")
	return ""
}

// Fixture returns a file below the folder that ESIGN_FIXTURES names: recorded requests that are not ours to publish. It
// skips the test if the variable is unset, and fails it if the file is missing.
func Fixture(t testing.TB, path string) []byte {
	t.Helper()
	dir := os.Getenv("ESIGN_FIXTURES")
	if dir == "" {
		t.Skip("ESIGN_FIXTURES is unset: recorded requests are not tested")
	}
	if !filepath.IsAbs(dir) { // relative to the root, wherever the test runs
		dir = filepath.Join(Root(t), dir)
	}
	b, err := os.ReadFile(filepath.Join(dir, path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Examples returns the requests in events/<provider>, by file name without ".json".
func Examples(t testing.TB, provider string) map[string]*webhook.Request {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Root(t), "events", provider, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no examples in events/%s: %v", provider, err)
	}
	examples := map[string]*webhook.Request{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e events.APIGatewayProxyRequest
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		request, err := apigw.Request(e)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		examples[strings.TrimSuffix(filepath.Base(file), ".json")] = request
	}
	return examples
}

// DevelopmentKeys are the keys that the examples are signed with.
func DevelopmentKeys(p webhook.Provider) webhook.Keys {
	return webhook.Keys{Keys: webhook.Secrets(p.Info().DevelopmentKey)}
}

// Delivery makes the delivery that the receiver would make of an identity of r.
func Delivery(p webhook.Provider, r *webhook.Request, id webhook.Identity, proof esign.Proof) *webhook.Delivery {
	return &webhook.Delivery{
		Provider: p.Info().Name, EventID: id.EventID, Subject: id.Subject, Via: id.Via, FormerIDs: id.FormerIDs,
		ReceivedAt: ReceivedAt, Proof: proof, ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
	}
}

// Clone returns a deep copy of r.
func Clone(r *webhook.Request) *webhook.Request {
	c := *r
	c.Header = r.Header.Clone()
	c.Query = maps.Clone(r.Query)
	c.Body = slices.Clone(r.Body)
	return &c
}

// Read verifies, identifies and normalises r as the pipeline does.
func Read(p webhook.Provider, r *webhook.Request, keys webhook.Keys) ([]webhook.Identity, []esign.Event, error) {
	proof, err := p.Verify(r, keys)
	if err != nil {
		return nil, nil, err
	}
	ids, err := p.Identify(r)
	if err != nil {
		return nil, nil, err
	}
	var read []esign.Event
	for _, id := range ids {
		event, err := p.Normalize(Delivery(p, r, id, proof))
		if err != nil {
			return nil, nil, err
		}
		read = append(read, event)
	}
	return ids, read, nil
}

// Suite is a suite of tests that needs the vendor's claims, such as the one of shared/lab/attack.
type Suite func(*testing.T, webhook.Provider, Claims)

// Run checks the provider against its examples, its golden files and the vendor's claims, and runs the suites.
func Run(t *testing.T, p webhook.Provider, claims Claims, suites ...Suite) {
	posts := map[string]*webhook.Request{}
	for name, r := range Examples(t, p.Info().Name) {
		if r.Method == "POST" {
			posts[name] = r
		}
	}
	keys := DevelopmentKeys(p)
	info(t, p.Info(), claims)
	challenge(t, p, keys)
	retries(t, p)
	completes(t, p, posts)
	orphans(t, posts)
	for name, r := range posts {
		t.Run(name, func(t *testing.T) {
			original := Clone(r)
			golden(t, p, name, r)
			refusals(t, p, r)
			rotation(t, p, r)
			explains(t, p, name, r)
			flips(t, p, r, keys)
			truncations(t, p, r)
			concurrency(p, r, keys)
			if diff := cmp.Diff(original, r); diff != "" {
				t.Errorf("the request was changed: %s", diff)
			}
			if answer := p.Acknowledge(r); answer.Status != 200 {
				t.Errorf("acknowledged with %d", answer.Status)
			}
		})
	}
	for name, list := range claims.LongLists {
		t.Run("long list of "+name, func(t *testing.T) { longList(t, p, list) })
	}
	for _, suite := range suites {
		suite(t, p, claims)
	}
}

// longList reads a genuine body that lists millions of empty things. It must not cost a hundred times its size, in a
// function of 256 MB.
func longList(t *testing.T, p webhook.Provider, list func(func(string) string) string) {
	size := slow.Cases(1<<20, 3<<20)
	body := list(func(element string) string { return strings.Repeat(element, size/len(element)) })
	r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	ids, err := p.Identify(r)
	if err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	limit := uint64(12 * len(body)) // in all, most of it garbage by the end
	if strings.HasPrefix(body, "<") {
		limit *= 4 // a token of XML costs more than its length, but is freed
	}
	if cost := after.TotalAlloc - before.TotalAlloc; cost > limit {
		t.Errorf("%d bytes cost %d", len(body), cost)
	}
	event, err := p.Normalize(Delivery(p, r, ids[0], esign.ProofSigned))
	if err != nil {
		t.Fatal(err)
	}
	aliases := 0
	for _, person := range event.Participants {
		aliases += len(person.Aliases)
	}
	// What is compared with each other must be as few as the elements of some lists.
	if n := max(len(event.Participants), aliases, len(event.Present)); n > 4*webhook.MaxList {
		t.Errorf("%d participants, %d aliases, %d present", len(event.Participants), aliases, len(event.Present))
	}
}

// challenge checks that the provider allows GET exactly if the vendor sends a challenge, and that it answers its own.
func challenge(t *testing.T, p webhook.Provider, keys webhook.Keys) {
	_, err := p.Challenge(&webhook.Request{Method: http.MethodGet, Header: http.Header{}}, keys)
	if allow := p.Info().Allow; slices.Contains(strings.Split(allow, ", "), http.MethodGet) == errors.Is(err,
		webhook.ErrNoChallenge) {
		t.Errorf("Allow is %q, and Challenge returns %v", allow, err)
	}
	if challenger, ok := p.(webhook.Challenger); ok {
		if answer, err := p.Challenge(challenger.ChallengeRequest(keys.Keys[0]), keys); err != nil || answer.Status != 200 {
			t.Errorf("the vendor's challenge is answered with %v, %v", answer, err)
		}
	}
}

// retries checks that the vendor takes the provider's own answer for an acknowledgement, and a failure for none.
func retries(t *testing.T, p webhook.Provider) {
	retrier, ok := p.(webhook.Retrier)
	if !ok {
		return
	}
	for name, r := range Examples(t, p.Info().Name) {
		if r.Method == http.MethodPost && (!retrier.Acknowledges(r, p.Acknowledge(r)) ||
			retrier.Acknowledges(r, &webhook.Response{Status: http.StatusServiceUnavailable})) {
			t.Errorf("%s: the vendor does not take our acknowledgement, or takes a failure for one", name)
		}
	}
	for _, pause := range retrier.Retries().Pauses {
		if pause <= 0 {
			t.Errorf("a retry after %v", pause)
		}
	}
}

func info(t *testing.T, info webhook.Info, claims Claims) {
	named := regexp.MustCompile(`^[a-z]+$`).MatchString(info.Name)
	if !named || info.Title == "" || info.KeysVariable == "" || info.DevelopmentKey == "" || info.Allow == "" ||
		info.AnswerWithin < time.Second {
		t.Errorf("incomplete: %+v", info)
	}
	variables := [3]string{info.KeysVariable, info.TokensVariable(), info.APIVariable()}
	if diff := cmp.Diff(claims.Variables, variables); diff != "" {
		t.Errorf("environment variables (-claimed +used):\n%s", diff)
	}
}

// completes fails unless an example completes an agreement.
func completes(t *testing.T, p webhook.Provider, posts map[string]*webhook.Request) {
	for _, r := range posts {
		if _, read, err := Read(p, r, DevelopmentKeys(p)); err == nil && read[0].Type == esign.AgreementCompleted {
			return
		}
	}
	t.Errorf("no example in events/%s completes an agreement", p.Info().Name)
}

// orphans checks that every golden file has an example.
func orphans(t *testing.T, examples map[string]*webhook.Request) {
	files, err := filepath.Glob(filepath.Join("testdata", "*"+wantJSON))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if examples[strings.TrimSuffix(filepath.Base(file), wantJSON)] == nil {
			t.Errorf("%s has no example of a POST: delete it", file)
		}
	}
}

const wantJSON = ".want.json"

var (
	eventID  = regexp.MustCompile(`^[0-9a-f]{64}$`)
	typeName = regexp.MustCompile(`^(agreement|template|account)\.[a-z]+$|^test$|^other$`)
)

// golden checks what the example means against testdata/<name>.want.json, and that it is well formed.
func golden(t *testing.T, p webhook.Provider, name string, r *webhook.Request) {
	ids, read, err := Read(p, r, DevelopmentKeys(p))
	if err != nil {
		t.Fatalf("the example is not genuine and readable under the development key: %v", err)
	}
	again, err := p.Identify(Delivery(p, r, ids[0], "").Request())
	if err != nil {
		t.Fatalf("identified again from the delivery: %v", err)
	}
	for i, id := range ids {
		wellFormed(t, p, id, read[i])
		if again[i].EventID != id.EventID || again[i].Subject != id.Subject {
			t.Errorf("identified again from the delivery as %+v, want %+v", again[i], id)
		}
	}
	got, err := json.MarshalIndent(struct {
		Identities []webhook.Identity
		Events     []esign.Event
	}{ids, read}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	Golden(t, filepath.Join("testdata", name+wantJSON), append(got, '\n'))
}

// Golden compares got with the file; with -update it writes the file.
func Golden(t testing.TB, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; %s writes it", err, updateCommand(t))
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; %s rewrites it: %s", file, updateCommand(t), diff)
	}
}

// updateCommand returns the command that writes the golden files of a test. Tests run in the folder of their package.
func updateCommand(t testing.TB) string {
	folder, err := os.Getwd()
	if err == nil {
		folder, err = filepath.Rel(Root(t), folder)
	}
	if err != nil {
		t.Fatal(err)
	}
	test, _, _ := strings.Cut(t.Name(), "/")
	return fmt.Sprintf("go test ./%s -run '^%s$' -update", filepath.ToSlash(folder), test)
}

func wellFormed(t *testing.T, p webhook.Provider, id webhook.Identity, e esign.Event) {
	t.Helper()
	name := p.Info().Name
	if !eventID.MatchString(id.EventID) {
		t.Errorf("event ID %q", id.EventID)
	}
	if !strings.HasPrefix(id.Subject, name+"#") || len(id.Subject) > 128 {
		t.Errorf("subject %q", id.Subject)
	}
	if id.AgreementID != "" && id.Subject != webhook.AgreementSubject(name, id.AgreementID) {
		t.Errorf("subject %q of agreement %q", id.Subject, id.AgreementID)
	}
	if id.VendorType != webhook.Label(id.VendorType) || id.Via != webhook.Label(id.Via) {
		t.Errorf("labels %q, %q", id.VendorType, id.Via)
	}
	if e.AgreementID != id.AgreementID || e.VendorType != id.VendorType {
		t.Errorf("identified as %q of %q, normalised as %q of %q", id.VendorType, id.AgreementID, e.VendorType, e.AgreementID)
	}
	if !typeName.MatchString(string(e.Type)) || strings.HasPrefix(string(e.Type), "agreement.") && e.AgreementID == "" {
		t.Errorf("type %q of agreement %q", e.Type, e.AgreementID)
	}
	if b, _ := json.Marshal(e); strings.Contains(string(b), "@") {
		t.Errorf("an e-mail address in the event: %s", b)
	}
}

// refusals: without a key, under a wrong one, and under an empty one that it is even signed with, nothing is genuine,
// and the error contains no secret.
func refusals(t *testing.T, p webhook.Provider, r *webhook.Request) {
	empty, signed := webhook.NewSecret(""), Clone(r)
	if err := p.Sign(signed, empty, ReceivedAt); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		request *webhook.Request
		keys    []webhook.Secret
		want    []error
	}{
		"no key":       {r, nil, []error{webhook.ErrNoKey}},
		"an empty key": {signed, []webhook.Secret{empty}, []error{webhook.ErrNotGenuine, webhook.ErrNoKey}},
		"another key":  {r, webhook.Secrets("wrong-key-0123456789"), []error{webhook.ErrNotGenuine}},
	} {
		proof, err := p.Verify(tt.request, webhook.Keys{Keys: tt.keys})
		if !slices.ContainsFunc(tt.want, func(want error) bool { return errors.Is(err, want) }) || proof != "" {
			t.Errorf("under %s: %q, %v", name, proof, err)
			continue
		}
		prefixed(t, p, err)
		secrets := []string{"wrong-key", p.Info().DevelopmentKey, "@"}
		for _, values := range tt.request.Header {
			secrets = append(secrets, values...)
		}
		for _, secret := range secrets {
			if len(secret) > 8 && strings.Contains(err.Error(), secret) {
				t.Errorf("under %s, the error shows %q: %v", name, secret, err)
			}
		}
	}
}

// prefixed checks that an error names its package once: the provider's, or that of [webhook.DecodeJSON].
func prefixed(t *testing.T, p webhook.Provider, err error) {
	t.Helper()
	text := err.Error()
	if own := p.Info().Name + ": "; strings.Count(text, own)+strings.Count(text, "webhook: ") != 1 ||
		!strings.HasPrefix(text, own) && !strings.HasPrefix(text, "webhook: ") {
		t.Errorf("not prefixed once: %q", text)
	}
}

// rotation checks that each configured key is valid, in any order, and no other key.
func rotation(t *testing.T, p webhook.Provider, r *webhook.Request) {
	next := Clone(r)
	if err := p.Sign(next, webhook.NewSecret("next-key-0123456789"), ReceivedAt); err != nil {
		t.Fatal(err)
	}
	development := p.Info().DevelopmentKey
	for _, order := range [][]string{{development, "next-key-0123456789"}, {"next-key-0123456789", development}} {
		both := webhook.Keys{Keys: webhook.Secrets(order...)}
		for name, r := range map[string]*webhook.Request{"current": r, "next": next} {
			if _, err := p.Verify(r, both); err != nil {
				t.Errorf("signed with the %s key: %v", name, err)
			}
		}
	}
	if _, err := p.Verify(next, DevelopmentKeys(p)); !errors.Is(err, webhook.ErrNotGenuine) {
		t.Errorf("signed with an unknown key: %v", err)
	}
	if _, _, err := Read(p, next, webhook.Keys{Keys: webhook.Secrets("next-key-0123456789")}); err != nil {
		t.Errorf("signed again: %v", err)
	}
}

// flips changes one bit of the body. If the request still counts as signed, it must have the same meaning.
func flips(t *testing.T, p webhook.Provider, r *webhook.Request, keys webhook.Keys) {
	if proof, _ := p.Verify(r, keys); proof != esign.ProofSigned {
		return
	}
	wantIDs, want, _ := Read(p, r, keys)
	for i := 0; i < len(r.Body); i += slow.Cases(7, 2) {
		flipped := Clone(r)
		flipped.Body[i] ^= 1 << (i % 8)
		if proof, err := p.Verify(flipped, keys); err != nil || proof != esign.ProofSigned {
			continue
		}
		ids, read, err := Read(p, flipped, keys)
		if err != nil || !cmp.Equal(wantIDs, ids) || !cmp.Equal(want, read) {
			t.Fatalf("with byte %d changed, the request counts as signed and has another meaning: %v", i, err)
		}
	}
}

// truncations checks that reading a truncated body does not panic, and that the only error is ErrUnreadable.
func truncations(t *testing.T, p webhook.Provider, r *webhook.Request) {
	step := 1 + len(r.Body)/slow.Cases(40, 400)
	for n := 0; n < len(r.Body); n += step {
		cut := Clone(r)
		cut.Body = cut.Body[:n]
		ids, err := p.Identify(cut)
		if err != nil {
			if !errors.Is(err, webhook.ErrUnreadable) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
			prefixed(t, p, err)
			continue
		}
		for _, id := range ids {
			if _, err := p.Normalize(Delivery(p, cut, id, "")); err != nil && !errors.Is(err, webhook.ErrUnreadable) {
				t.Fatalf("cut to %d bytes: %v", n, err)
			}
		}
	}
}

// concurrency gives the race detector something to see.
func concurrency(p webhook.Provider, r *webhook.Request, keys webhook.Keys) {
	var group sync.WaitGroup
	for range 4 {
		group.Go(func() {
			Read(p, r, keys)
			p.Acknowledge(r)
		})
	}
	group.Wait()
}
