package lambda

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/webhook"
)

// vault is a stub of Secrets Manager, with a clock. It counts its reads.
type vault struct {
	*keys
	log bytes.Buffer

	mu    sync.Mutex
	text  string
	err   error
	reads int
	time  time.Time
}

func newVault(text string) *vault {
	v := &vault{text: text, time: time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)}
	v.keys = &keys{
		read: func(context.Context) (string, error) {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.reads++
			return v.text, v.err
		},
		now: func() time.Time {
			v.mu.Lock()
			defer v.mu.Unlock()
			return v.time
		},
		refusesAll: func(keys webhook.Keys) bool { return webhook.RefusesAll(acmesign.Provider{}, keys) },
		log:        slog.New(slog.NewJSONHandler(&v.log, nil)),
	}
	return v
}

func (v *vault) set(text string, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.text, v.err = text, err
}

func (v *vault) pass(d time.Duration) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.time = v.time.Add(d)
}

// wants gets the keys, and checks them and how often the vault was asked by then.
func (v *vault) wants(t *testing.T, reads int, key ...string) {
	t.Helper()
	got, err := v.get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(key, revealed(got.Keys)); diff != "" {
		t.Error(diff)
	}
	if v.reads != reads {
		t.Errorf("read %d times, want %d", v.reads, reads)
	}
}

func revealed(secrets []webhook.Secret) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, s.Reveal())
	}
	return all
}

var errThrottled = errors.New("throttled")

func TestKeysAreReadOnceInAMinute(t *testing.T) {
	v := newVault(`{"keys":["a"]}`)
	v.wants(t, 1, "a")
	v.set(`{"keys":["a","b"]}`, nil)
	v.wants(t, 1, "a")
	v.pass(60*time.Second - 1)
	v.wants(t, 1, "a")
	v.pass(1)
	v.wants(t, 2, "a", "b")
	v.wants(t, 2, "a", "b")
	v.set(`{"keys":["b"]}`, nil)
	v.pass(time.Hour)
	v.wants(t, 3, "b")
	v.pass(59 * time.Second)
	v.wants(t, 3, "b")
	if v.log.Len() > 0 {
		t.Errorf("logged %s", &v.log)
	}
}

func TestTheLastKeysStayInUseWhileNoneCanBeRead(t *testing.T) {
	for name, broken := range map[string]func(*vault){
		"an error":            func(v *vault) { v.set("", errThrottled) },
		"an error with a key": func(v *vault) { v.set(`{"keys":["forged"]}`, errThrottled) },
		"no JSON":             func(v *vault) { v.set("canary", nil) },
		"nothing":             func(v *vault) { v.set("", nil) },
		"no URL token, though one is required": func(v *vault) {
			v.requireURLToken = true
			v.set(`{"keys":["forged"]}`, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(`{"keys":["a"]}`)
			v.wants(t, 1, "a")
			broken(v)
			v.pass(60 * time.Second)
			v.wants(t, 2, "a")
			if !strings.Contains(v.log.String(), `"level":"ERROR"`) || !strings.Contains(v.log.String(), `"stale":true`) {
				t.Errorf("logged %s", &v.log)
			}
			v.pass(10*time.Second - 1)
			v.wants(t, 2, "a") // not read again yet
			v.pass(1)
			v.wants(t, 3, "a") // read again after ten seconds
			v.pass(365 * 24 * time.Hour)
			v.wants(t, 4, "a") // however old they are
			v.requireURLToken = false
			v.set(`{"keys":["b"]}`, nil)
			v.wants(t, 4, "a")
			v.pass(10 * time.Second)
			v.wants(t, 5, "b")
			v.pass(60*time.Second - 1)
			v.wants(t, 5, "b") // for a whole minute again
		})
	}
}

func TestWithoutAnyKeysEachRequestTriesAgain(t *testing.T) {
	v := newVault("")
	v.set("", errThrottled)
	for reads := 1; reads <= 3; reads++ {
		keys, err := v.get(t.Context())
		if err == nil || keys.Configured() || v.reads != reads {
			t.Fatalf("%+v, %v after %d reads", keys, err, v.reads)
		}
	}
	if strings.Contains(v.log.String(), `"stale":true`) {
		t.Errorf("logged %s", &v.log)
	}
	v.set(`{"keys":["a"]}`, nil)
	v.wants(t, 4, "a")
	v.wants(t, 4, "a")
}

func TestAReadTimesOutAfterASecond(t *testing.T) {
	for name, text := range map[string]string{"the first time": "", "with older keys at hand": `{"keys":["a"]}`} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // its clock advances when all goroutines wait
				v := newVault(text)
				v.now = time.Now
				if text != "" {
					if _, err := v.get(t.Context()); err != nil {
						t.Fatal(err)
					}
					time.Sleep(RefreshAfter)
				}
				v.read = func(ctx context.Context) (string, error) {
					<-ctx.Done()
					return "", ctx.Err()
				}
				start := time.Now()
				got, err := v.get(context.Background())
				if waited := time.Since(start); waited != time.Second {
					t.Errorf("waited %v", waited)
				}
				if (err == nil) != (text != "") || got.Configured() != (text != "") {
					t.Errorf("%+v, %v", got, err)
				}
				if !strings.Contains(v.log.String(), context.DeadlineExceeded.Error()) {
					t.Errorf("logged %s", &v.log)
				}
			})
		})
	}
}

func TestReadingEndsWithTheRequestToo(t *testing.T) {
	v := newVault("")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	v.read = func(ctx context.Context) (string, error) { return "", ctx.Err() }
	if _, err := v.get(ctx); err == nil || !strings.Contains(v.log.String(), context.Canceled.Error()) {
		t.Errorf("%v, logged %s", err, &v.log)
	}
}

func TestNoRequestWaitsForAReadThatHangsIfKeysAreKnown(t *testing.T) {
	v := newVault(`{"keys":["a"]}`)
	v.wants(t, 1, "a")
	v.pass(60 * time.Second)
	started, release := make(chan struct{}), make(chan struct{})
	reads := 0
	v.read = func(context.Context) (string, error) {
		reads++ // under k.reading; the race detector says if not
		close(started)
		<-release
		return `{"keys":["b"]}`, nil
	}
	var group sync.WaitGroup
	group.Go(func() {
		if got, err := v.get(t.Context()); err != nil || !webhook.Any(got.Keys, "b") {
			t.Errorf("the reader gets %q, %v", revealed(got.Keys), err)
		}
	})
	<-started
	for range 20 { // none of these may wait: the read does not end
		v.wants(t, 1, "a")
	}
	var crowd sync.WaitGroup
	for range 20 {
		crowd.Go(func() {
			if got, err := v.get(t.Context()); err != nil || !webhook.Any(got.Keys, "a") {
				t.Errorf("%q, %v", revealed(got.Keys), err)
			}
		})
	}
	crowd.Wait()
	close(release)
	group.Wait()
	if got, err := v.get(t.Context()); err != nil || !webhook.Any(got.Keys, "b") || reads != 1 {
		t.Errorf("%q, %v after %d reads", revealed(got.Keys), err, reads)
	}
}

func TestTheFirstRequestsShareOneRead(t *testing.T) {
	v := newVault("")
	const callers = 20
	looked, release, reads := make(chan struct{}, 100*callers), make(chan struct{}), 0
	now := v.now
	v.now = func() time.Time { // each caller reads the clock when it finds no keys
		looked <- struct{}{}
		return now()
	}
	v.read = func(context.Context) (string, error) {
		reads++
		<-release
		return `{"keys":["a"]}`, nil
	}
	var group sync.WaitGroup
	for range callers {
		group.Go(func() {
			if got, err := v.get(t.Context()); err != nil || !webhook.Any(got.Keys, "a") {
				t.Errorf("%q, %v", revealed(got.Keys), err)
			}
		})
	}
	for range callers {
		<-looked
	}
	close(release)
	group.Wait()
	if reads != 1 {
		t.Errorf("read %d times", reads)
	}
}

func TestConcurrentReadsWhileTimePasses(t *testing.T) { // for the race detector
	v := newVault(`{"keys":["a"]}`)
	v.wants(t, 1, "a")
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 100 {
				if i == 0 {
					v.pass(7 * time.Second)
				} else if i == 1 && j%3 == 0 {
					v.set(`{"keys":["a"]}`, map[bool]error{true: errThrottled}[j%2 == 0])
				}
				if got, err := v.get(t.Context()); err != nil || !webhook.Any(got.Keys, "a") {
					t.Errorf("%q, %v, though there were keys", revealed(got.Keys), err)
				}
			}
		})
	}
	group.Wait()
}

// The generated urlToken counts only where a token is required.
func TestParseKeys(t *testing.T) {
	for name, tt := range map[string]struct {
		text             string
		keys             []string
		tokens, required []string // if no token is required, and if one is; required nil is an error
	}{
		"as the template makes it": {`{"urlToken":"generated"}`, nil, nil, []string{"generated"}},
		"keys alone":               {`{"keys":["a","b"]}`, []string{"a", "b"}, nil, nil},
		"all of it": {`{"keys":["a"],"urlTokens":["t","u"],"urlToken":"g"}`, []string{"a"},
			[]string{"t", "u"}, []string{"g", "t", "u"}},
		"tokens of one's own": {`{"urlTokens":["t"]}`, nil, []string{"t"}, []string{"t"}},
		"a token in both places counts once": {`{"urlTokens":["t","g"],"urlToken":"g"}`, nil, []string{"t", "g"},
			[]string{"g", "t"}},
		"empty tokens do not count": {`{"keys":["a"],"urlTokens":["", " "],"urlToken":""}`, []string{"a"}, nil, nil},
		"empty keys do not count":   {`{"keys":["","a"," "]}`, []string{"a"}, nil, nil},
		"pasted with quotes and a line end": {`{"keys":["\"a\"\n"," b "],"urlTokens":[" 't'\n"]}`, []string{"a", "b"},
			[]string{"t"}, []string{"t"}},
		"null for a list":                {`{"keys":null,"urlTokens":null,"urlToken":null}`, nil, nil, nil},
		"nothing":                        {`{}`, nil, nil, nil},
		"unknown fields are passed over": {`{"keys":["a"],"note":"ours","keys2":["x"]}`, []string{"a"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			for required, tokens := range map[bool][]string{false: tt.tokens, true: tt.required} {
				got, err := ParseKeys(tt.text, required)
				if required && tokens == nil {
					if err == nil || got.Configured() {
						t.Errorf("no token where one is required: %+v, %v", got, err)
					}
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([][]string{tt.keys, tokens},
					[][]string{revealed(got.Keys), revealed(got.URLTokens)}); diff != "" {
					t.Errorf("required: %v: %s", required, diff)
				}
			}
		})
	}
}

func TestErrorsOfMalformedSecretsQuoteNothing(t *testing.T) {
	for name, text := range map[string]string{
		"nothing":                       ``,
		"a key as it is":                `canary-key`,
		"a key in quotes":               `"canary-key"`,
		"a list":                        `["canary-key"]`,
		"a number":                      `4711`,
		"keys a string":                 `{"keys":"canary-key"}`,
		"keys a number":                 `{"keys":4711}`,
		"keys an object":                `{"keys":{"canary-key":1}}`,
		"a key a number":                `{"keys":[4711]}`,
		"a key a list":                  `{"keys":[["canary-key"]]}`,
		"urlTokens a string":            `{"keys":["canary-key"],"urlTokens":"canary-token"}`,
		"urlToken a list":               `{"keys":["canary-key"],"urlToken":["canary-token"]}`,
		"cut off":                       `{"keys":["canary-key"`,
		"something after it":            `{"keys":["canary-key"]}canary`,
		"single quotes":                 `{'keys':['canary-key']}`,
		"a trailing comma":              `{"keys":["canary-key",]}`,
		"a line end in a key":           "{\"keys\":[\"canary-\nkey\"]}",
		"bytes":                         "\xff\xfe\x00canary",
		"a key that would be a command": `keys=canary-key`,
	} {
		t.Run(name, func(t *testing.T) {
			for _, required := range []bool{false, true} {
				v := newVault(text)
				v.requireURLToken = required
				got, err := v.get(t.Context())
				if err == nil || got.Configured() {
					t.Fatalf("%+v, %v", got, err)
				}
				_, parseErr := ParseKeys(text, required)
				if parseErr == nil {
					t.Fatal("no error")
				}
				for _, said := range []string{err.Error(), parseErr.Error(), v.log.String()} {
					if strings.Contains(said, "canary") || strings.Contains(said, "4711") {
						t.Errorf("quotes the secret: %s", said)
					}
				}
				if !strings.Contains(v.log.String(), parseErr.Error()[:20]) {
					t.Errorf("does not log what is wrong: %s", &v.log)
				}
			}
		})
	}
}

func TestASecretWithoutKeysLogsAWarning(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		warn bool
	}{
		"an empty list":     {`{"keys":[]}`, true},
		"an empty object":   {`{}`, true},
		"a list of nothing": {`{"keys":["", " "],"urlTokens":[""],"urlToken":""}`, true},
		"one key":           {`{"keys":["canary-key"]}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			v := newVault(tt.text)
			got, err := v.get(t.Context())
			if err != nil || got.Configured() == tt.warn {
				t.Fatalf("%+v, %v", got, err)
			}
			if warned := strings.Contains(v.log.String(), `"level":"WARN"`); warned != tt.warn ||
				strings.Contains(v.log.String(), "canary") {
				t.Errorf("logged %s", &v.log)
			}
			v.wants(t, 1, revealed(got.Keys)...) // and it counts as read
		})
	}
}

func TestEmptyingTheSecretRemovesTheKeys(t *testing.T) {
	v := newVault(`{"keys":["a"]}`)
	v.wants(t, 1, "a")
	v.set(`{"keys":[]}`, nil)
	v.pass(60 * time.Second)
	v.wants(t, 2)
}

func TestAMissingTokenIsLoggedWithoutTheKeys(t *testing.T) {
	v := newVault(`{"keys":["canary-key"]}`)
	v.requireURLToken = true
	got, err := v.get(t.Context())
	if err == nil || got.Configured() {
		t.Fatalf("%+v, %v", got, err)
	}
	if !strings.Contains(v.log.String(), "urlToken") || strings.Contains(v.log.String(), "canary") {
		t.Errorf("logged %s", &v.log)
	}
}

func FuzzErrorsOfParseKeysQuoteNothing(f *testing.F) {
	for _, s := range []string{`{"keys":["canary"]}`, `{"keys":"canary"}`, `canary`, `{"canary":1}`,
		`{"urlToken":["canary"]}`, "[canary"} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, text string, required bool) {
		got, err := ParseKeys(text, required)
		if err == nil {
			if required && len(got.URLTokens) == 0 {
				t.Fatal("no token where one is required")
			}
			for _, s := range append(revealed(got.Keys), revealed(got.URLTokens)...) {
				if s == "" {
					t.Fatal("an empty key")
				}
			}
			return
		}
		if got.Configured() {
			t.Fatal("keys with an error")
		}
		for _, other := range []string{"", "x"} {
			if _, otherErr := ParseKeys(other, false); err.Error() != otherErr.Error() && !required {
				t.Fatalf("the error depends on the secret: %v", err)
			}
		}
	})
}

// manager is Secrets Manager's HTTP interface, with one answer.
func manager(t *testing.T, status int, answer string) *secretsmanager.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Target") != "secretsmanager.GetSecretValue" {
			t.Errorf("target %s", r.Header.Get("X-Amz-Target"))
		}
		if body, err := io.ReadAll(r.Body); err != nil || string(body) != `{"SecretId":"arn:aws:secretsmanager:x"}` {
			t.Errorf("asked for %s, %v", body, err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	t.Cleanup(server.Close)
	return secretsmanager.New(secretsmanager.Options{
		Region: "eu-central-1", BaseEndpoint: &server.URL,
		Credentials: credentials.NewStaticCredentialsProvider("id", "key", ""), Retryer: aws.NopRetryer{},
	})
}

func TestSecret(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		answer string
		want   string
		err    string // what the error says
	}{
		"a string":        {200, `{"SecretString":"{\"keys\":[\"canary\"]}"}`, `{"keys":["canary"]}`, ""},
		"an empty string": {200, `{"SecretString":""}`, "", ""},
		"binary":          {200, `{"SecretBinary":"Y2FuYXJ5"}`, "", "binary"}, // "canary"
		"neither":         {200, `{}`, "", "binary"},
		"a missing secret": {400, `{"__type":"ResourceNotFoundException","Message":"not there"}`, "",
			"ResourceNotFoundException"},
		"out of order":                  {500, `{"__type":"InternalServiceError"}`, "", "500"},
		"the function is not permitted": {400, `{"__type":"AccessDeniedException","Message":"no"}`, "", "AccessDenied"},
	} {
		t.Run(name, func(t *testing.T) {
			read := Secret(manager(t, tt.status, tt.answer), "arn:aws:secretsmanager:x")
			got, err := read(t.Context())
			if got != tt.want || (err == nil) != (tt.err == "") {
				t.Fatalf("%q, %v", got, err)
			}
			if err != nil && (!strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "canary") ||
				strings.Contains(err.Error(), "Y2FuYXJ5")) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestABinarySecretHoldsNoKey(t *testing.T) {
	v := newVault("")
	// {"keys":["canary"]}
	v.read = Secret(manager(t, 200, `{"SecretBinary":"eyJrZXlzIjpbImNhbmFyeSJdfQ=="}`), "arn:aws:secretsmanager:x")
	got, err := v.get(t.Context())
	if err == nil || got.Configured() {
		t.Errorf("%+v, %v", got, err)
	}
	for _, told := range []string{"canary", "eyJrZXlz"} {
		if strings.Contains(v.log.String()+err.Error(), told) {
			t.Errorf("%v, logged %s", err, &v.log)
		}
	}
}
