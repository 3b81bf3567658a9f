package background

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/outlet"
	"esignhooks/shared/plumbing/metric"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/receive"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// wired is a function as its constructor makes it, with the struct's fields.
type wired struct {
	*lambdatest.AWS
	stack    *lambdatest.Stack
	receiver webhook.Provider // nil: a background function
	fields   reflect.Value
	requests []attempt
	log      bytes.Buffer
	metrics  bytes.Buffer
}

// attempt is a request that a receiver may accept.
type attempt struct {
	name    string
	request webhook.Request
}

// facts are what a function does, by the fields of its struct.
type facts map[string][]string

// in runs f in a bubble, with a function that its constructor makes from the template's variables and these.
func in(t *testing.T, s *lambdatest.Stack, function string, variables map[string]string, f func(*testing.T, *wired)) {
	t.Helper()
	prepare(t)
	w := &wired{AWS: &lambdatest.AWS{}, stack: s}
	for _, p := range provider.All() {
		if p.Info().Resource+"Function" == function {
			w.receiver, w.requests = p, attempts[p.Info().Name]
		}
	}
	lambdatest.Enter(t, s.Variables(function))
	lambdatest.Set(t, variables)
	synctest.Test(t, func(t *testing.T) {
		log := slog.New(slog.NewJSONHandler(&w.log, nil))
		constructors := map[string]func() (any, error){
			"WorkerFunction":     func() (any, error) { return newWorker(provider.All(), log, &w.metrics) },
			"PublisherFunction":  func() (any, error) { return newPublisher(log, &w.metrics) },
			"OutletFunction":     func() (any, error) { return newOutlet(log) },
			"ArchiverFunction":   func() (any, error) { return newArchiver(provider.All(), log, &w.metrics) },
			"ReconcilerFunction": func() (any, error) { return newReconciler(provider.All(), log, &w.metrics) },
		}
		construct := constructors[function]
		if w.receiver != nil {
			construct = func() (any, error) { return wiring.NewReceiver(w.receiver, log, &w.metrics) }
		}
		made, err := construct()
		must(t, err)
		w.fields = reflect.ValueOf(made).Elem()
		f(t, w)
	})
}

const (
	realKey   = "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"
	generated = "generated-url-token"
)

var (
	secret = fmt.Sprintf(`{"keys":[%q],"urlToken":%q}`, realKey, generated)
	noKey  = fmt.Sprintf(`{"keys":[],"urlToken":%q}`, generated)
)

// certified is the name of a request with everything that a vendor may have to show.
const certified = "key, token and certificate"

// By provider: requests to its receiver, and credentials of its API.
var (
	attempts    = map[string][]attempt{}
	credentials = map[string]string{}
)

func prepare(t *testing.T) {
	t.Helper()
	if len(attempts) > 0 {
		return
	}
	vendors := vendorstub.New(t)
	for _, p := range provider.All() {
		example, err := sample.Completed(p)
		must(t, err)
		for name, key := range map[string]string{"development key": p.Info().DevelopmentKey, "key": realKey} {
			for token, with := range map[string]string{"": "", generated: " and token"} {
				r, _, err := sample.Request(p, example, "", webhook.NewSecret(key), time.Now())
				must(t, err)
				r.URLToken = token
				attempts[p.Info().Name] = append(attempts[p.Info().Name], attempt{name + with, *r})
				if name != "key" || token == "" {
					continue
				}
				for shown, by := range map[string][2]string{
					certified:                         {"mtls.example.com", "CN=" + p.Info().Resource + "ClientSubjects"},
					"key, token, another subject":     {"mtls.example.com", "CN=OtherClientSubjects"},
					"key, token, at another domain":   {"hooks.example.com", "CN=" + p.Info().Resource + "ClientSubjects"},
					"key, token, without certificate": {"mtls.example.com", ""},
				} {
					r.Domain, r.ClientSubject = by[0], by[1]
					attempts[p.Info().Name] = append(attempts[p.Info().Name], attempt{shown, *r})
				}
			}
		}
		credentials[p.Info().Name] = string(vendors.Credentials(p.Info().Name))
	}
}

// observe uses each field of a function, and sends the requests to a receiver.
func (w *wired) observe(t *testing.T) facts {
	t.Helper()
	w.Connect(w.fields.Addr().Interface())
	found := facts{}
	for i := range w.fields.NumField() {
		if field := w.fields.Type().Field(i); field.IsExported() {
			found[field.Name] = w.use(t, w.fields.Field(i).Addr().Interface())
		}
	}
	if w.receiver == nil {
		return found
	}
	receive := w.fields.Addr().MethodByName("Receive").Interface().(func(context.Context,
		*webhook.Request) *webhook.Response)
	for _, a := range w.requests {
		if receive(t.Context(), &a.request).Status == 200 {
			found["accepts"] = append(found["accepts"], a.name)
		} else if made := w.calls(t); made != nil {
			t.Errorf("a refused request with the %s makes calls: %q", a.name, made)
		}
		w.calls(t)
	}
	slices.Sort(found["accepts"])
	return found
}

// use uses a field as widely as its function may, and returns the calls that this makes.
func (w *wired) use(t *testing.T, field any) (facts []string) {
	ctx, now := t.Context(), time.Now()
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	claim := ledger.Claim{Key: ledger.Key{Subject: "s", ID: "e"}, Provider: "docusign", ReceivedAt: now}
	w.Secret = secret
	switch f := field.(type) {
	case *webhook.Provider:
		return []string{(*f).Info().Name}
	case *[]webhook.Provider:
		for _, p := range *f {
			facts = append(facts, p.Info().Name)
		}
		return facts
	case *bool, *time.Duration:
		return []string{fmt.Sprint(reflect.ValueOf(f).Elem())}
	case *func(context.Context, int): // a test's
		return nil
	case *func() time.Time:
		return []string{fmt.Sprint((*f)().Equal(now))}
	case **receive.Limiter: // only localhost shares it
		return []string{fmt.Sprint(*f == nil)}
	case *func(context.Context, *webhook.Request, *webhook.Response, receive.Observation): // only localhost observes
		return []string{fmt.Sprint(*f == nil)}
	case **slog.Logger:
		w.log.Reset()
		(*f).Info("logged")
		return []string{fmt.Sprint(strings.Contains(w.log.String(), `"msg":"logged"`))}
	case **metric.Log:
		(*f).Put("p", metric.Count("n", 1))
		var line struct {
			AWS struct {
				Timestamp         int64
				CloudWatchMetrics []struct{ Namespace string }
			} `json:"_aws"`
		}
		must(t, json.Unmarshal(w.metrics.Bytes(), &line))
		w.metrics.Reset()
		return []string{line.AWS.CloudWatchMetrics[0].Namespace, fmt.Sprint(line.AWS.Timestamp == now.UnixMilli())}
	case *ledger.Claimer:
		(*f).Claim(ctx, claim)
		(*f).Repeated(ctx, claim.Key, "")
	case *ledger.Ledger:
		(*f).Claim(ctx, claim)
		(*f).Commit(ctx, ledger.Commit{Claim: claim, Agreement: &esign.Agreement{}, At: now})
		(*f).MarkUnreadable(ctx, claim, now)
	case *ledger.Tombstones:
		(*f).Forgotten(ctx, "s")
	case *ledger.Notes:
		(*f).Note(ctx, "n")
		(*f).PutNote(ctx, "n", "text", 0)
	case *ledger.Patroller:
		(*f).Patrol(ctx, "", func(ledger.Standing) error { return nil })
	case *interface {
		Agreement(context.Context, string) (esign.Agreement, int64, error)
	}:
		(*f).Agreement(ctx, "s")
	case *payload.Store:
		if *f == nil {
			return nil
		}
		(*f).Put(ctx, "k", nil)
		(*f).Get(ctx, "k")
	case *process.Archive:
		if *f == nil {
			return nil
		}
		(*f).Put(ctx, "k", nil)
		facts = append(facts, (*f).Location("k"))
	case *outlet.Sender:
		return []string{f.URL, fmt.Sprint(f.Now().Equal(now))}
	case *func(context.Context) ([]outlet.Key, error):
		if _, err := (*f)(cancelled); err == nil {
			t.Error("keys are read without the message's context")
		}
		w.Secret = fmt.Sprintf(`{"secret":%q,"secrets":[%q]}`, strings.Repeat("a", 40), strings.Repeat("b", 40))
		for range 2 { // the second read is after RefreshAfter
			(*f)(ctx)
			keys, err := (*f)(ctx)
			facts = append(facts, fmt.Sprint(len(keys), err))
			time.Sleep(wiring.RefreshAfter)
			w.Secret = noKey
		}
	case *func(context.Context, string, time.Duration) error:
		(*f)(ctx, "receipt", time.Minute)
	case *esign.Policy:
		return []string{fmt.Sprint(*f)}
	case *document.Store:
		(*f).Put(ctx, "k", document.File{Body: strings.NewReader(""), ContentType: "a/b"})
	case *queue.Sender:
		(*f).Send(ctx, queue.Message{Group: "g", DeduplicationID: "d", Body: "b"})
	case *archive.Jobs:
		(*f).Later(ctx, "receipt", time.Minute)
		(*f).Park(ctx, "body")
	case *bus.Bus:
		(*f).Publish(ctx, []bus.Event{{Source: "s", DetailType: "d"}})
	case *func(context.Context) (webhook.Keys, error):
		if _, err := (*f)(cancelled); err == nil {
			t.Error("keys are read without the request's context")
		}
		for range 2 { // the second read is after RefreshAfter
			w.log.Reset()
			(*f)(ctx)
			(*f)(ctx)
			facts = append(facts, fmt.Sprint(strings.Contains(w.log.String(), "no key in the secret")))
			time.Sleep(wiring.RefreshAfter)
			w.Secret = noKey
		}
		facts = append(facts, w.calls(t)...)
		w.Secret = secret
		(*f)(ctx)
	case *func(context.Context, string) (string, webhook.Keys, error):
		for _, p := range provider.All() {
			name := p.Info().Name
			if _, _, err := (*f)(cancelled, name); err == nil {
				t.Errorf("the secret of %s is read without the pass's context", name)
			}
			address, keys, err := (*f)(ctx, name)
			if errors.Is(err, vendorapi.ErrOff) {
				facts = append(facts, name+" is off")
			} else {
				facts = append(facts, keys.URL(address))
			}
		}
	case *func(context.Context, string) (vendorapi.Client, error):
		for _, p := range provider.All() {
			facts = append(facts, w.useAPI(t, p.Info().Name, *f)...)
		}
	default:
		t.Fatalf("unknown: %T", f)
	}
	return append(facts, w.calls(t)...)
}

// useAPI asks a vendor about an agreement: before the secret has credentials of its API, and then with some.
func (w *wired) useAPI(t *testing.T, name string,
	get func(context.Context, string) (vendorapi.Client, error)) []string {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := get(cancelled, name); err == nil {
		t.Errorf("the secret of %s is read without the context", name)
	} else if errors.Is(err, vendorapi.ErrNoClient) {
		return []string{name + " has no client"}
	}
	w.log.Reset()
	w.Secret = "{}"
	if _, err := get(t.Context(), name); !errors.Is(err, vendorapi.ErrOff) {
		t.Errorf("%s without credentials: %v", name, err)
	}
	if !strings.Contains(w.log.String(), fmt.Sprintf(`"provider":%q`, name)) { // without a secret
		return []string{name + " is off"}
	}
	time.Sleep(wiring.RefreshAfter)
	w.Secret = fmt.Sprintf(`{"api":%s}`, credentials[name])
	client, err := get(t.Context(), name)
	must(t, err)
	for _, c := range lambdatest.HTTPClients(client) {
		if c.CheckRedirect == nil || c.Transport == nil {
			t.Errorf("the client of %s is not that of package vendorapi: %+v", name, c)
		}
	}
	w.Connect(client)
	client.Agreement(t.Context(), "08740f95-2187-4b01-9a69-452ae3140752")
	return slices.Compact(slices.Sorted(slices.Values(w.calls(t))))
}

var expiry = regexp.MustCompile(`":?expires":\{"N":"(\d+)"\}`)

// calls returns the calls of AWS since the last one: service, operation, resources and the expiry of each item.
func (w *wired) calls(t *testing.T) (all []string) {
	for _, c := range w.Calls() {
		if c.Service == "" {
			continue
		}
		line := c.Service + " " + c.Operation
		for _, on := range c.On {
			line += " " + w.stack.Resource(on)
		}
		for _, match := range expiry.FindAllStringSubmatch(c.Body, -1) {
			seconds, err := strconv.ParseInt(match[1], 10, 64)
			must(t, err)
			line += fmt.Sprint(" ", time.Duration(seconds-time.Now().Unix())*time.Second)
		}
		if !strings.HasSuffix(c.Host, ".eu-central-1.amazonaws.com") && c.Host != "local.example" {
			line += " at " + c.Host
		}
		if c.Service == "s3" && !c.Checked {
			line += " without checksum"
		}
		all = append(all, line)
	}
	return all
}

// want returns the facts of a function, from the values of the parameters.
func want(s *lambdatest.Stack, function string) facts {
	days, _ := strconv.Atoi(s.Parameters["ExpireAfterDays"])
	hours, _ := strconv.Atoi(s.Parameters["SilentAgreementHours"])
	kept := time.Duration(days) * 24 * time.Hour
	expiring := func(call string, items int) string {
		if days == 0 {
			items = 0
		}
		return call + strings.Repeat(" "+kept.String(), items)
	}
	var names, webhooks []string
	address := strings.TrimSuffix(s.Outputs()["ApiUrl"], "/") + "/webhooks/"
	for _, p := range provider.All() {
		info := p.Info()
		names = append(names, info.Name)
		if s.Parameters[info.Resource] == "disabled" {
			webhooks = append(webhooks, info.Name+" is off")
			continue
		}
		url := address + info.Name
		if s.Parameters[info.Resource+"ClientSubjects"] != "" {
			url = "https://" + s.Parameters["MutualTlsDomain"] + "/webhooks/" + info.Name
		}
		if s.Parameters["RequireUrlToken"] == "true" && !info.SignsAll {
			url += "/" + generated
		}
		webhooks = append(webhooks, url)
	}
	notes := []string{"dynamodb GetItem Table", "dynamodb PutItem Table"} // which never expire
	policy := []string{fmt.Sprintf("{[%s] %s}", s.Parameters["References"], s.Parameters["IncludeReasons"])}
	found := facts{
		"Log": {"true"}, "Now": {"true"}, "Metrics": {"esignhooks/hooks", "true"}, "Queue": {"sqs SendMessage Queue"},
	}
	switch function {
	case "WorkerFunction":
		delete(found, "Queue")
		found["Providers"], found["Pause"], found["Archive"] = names, nil, nil
		found["Policy"] = policy
		found["DeadLetters"] = []string{"sqs SendMessage DeadLetterQueue"}
		found["Payloads"] = []string{"s3 PUT PayloadBucket", "s3 GET PayloadBucket"}
		found["Ledger"] = []string{expiring("dynamodb PutItem Table", 1),
			expiring("dynamodb TransactWriteItems Table Table", 2), expiring("dynamodb UpdateItem Table", 1)}
		if s.Parameters["ArchiveDays"] != "0" {
			found["Archive"] = []string{"s3://hooks-archivebucket-1a2b3c4d/k", "s3 PUT ArchiveBucket"}
		}
	case "PublisherFunction":
		delete(found, "Queue")
		delete(found, "Now")
		found["Bus"] = []string{"events PutEvents EventBus"}
		found["SetAside"] = []string{"s3 PUT PayloadBucket", "s3 GET PayloadBucket"}
		if s.Parameters["OutletUrl"] != "" {
			found["Bus"] = []string{"sqs SendMessage OutletQueue", "events PutEvents EventBus"}
		}
	case "OutletFunction":
		get := "secretsmanager GetSecretValue OutletSecret"
		found = facts{
			"Log": {"true"}, "Application": {s.Parameters["OutletUrl"], "true"}, "Keys": {"2 <nil>", "2 <nil>", get, get},
			"Later": {"sqs ChangeMessageVisibility OutletQueue"}, "DeadLetters": {"sqs SendMessage OutletDeadLetterQueue"},
		}
	case "ArchiverFunction":
		found["Documents"] = []string{"s3 PUT DocumentBucket", "s3 HEAD DocumentBucket"}
		found["Jobs"] = []string{"sqs ChangeMessageVisibility DocumentQueue", "sqs SendMessage DocumentDeadLetterQueue"}
		found["Notes"], found["Tombstones"], found["Clients"] = notes, notes[:1], asks(s)
		found["FormData"] = []string{s.Parameters["ArchiveFormData"]}
	case "ReconcilerFunction":
		found["Agreements"], found["Tombstones"], found["Table"] = notes[:1], notes[:1], []string{"dynamodb Scan Table"}
		found["Notes"], found["Clients"], found["Providers"] = notes, asks(s), names
		found["Remembers"], found["Repair"] = []string{kept.String()}, []string{s.Parameters["RepairSubscriptions"]}
		found["Policy"] = policy
		found["SilentAfter"] = []string{(time.Duration(hours) * time.Hour).String()}
		found["Webhook"] = append(webhooks, secrets(s)...)
	default:
		name := strings.ToLower(strings.TrimSuffix(function, "Function"))
		read := "secretsmanager GetSecretValue " + strings.TrimSuffix(function, "Function") + "Secret"
		p, _ := webhook.Find(provider.All(), name)
		keys, _ := wiring.ParseKeys(noKey, s.Parameters["RequireUrlToken"] == "true" && !p.Info().SignsAll)
		found["Provider"], found["Others"] = []string{name}, names
		found["Explanations"], found["Observe"] = []string{"true"}, []string{"true"}
		found["Keys"] = []string{"false", fmt.Sprint(webhook.RefusesAll(p, keys)), read, read, read}
		found["Payloads"] = []string{"s3 PUT PayloadBucket", "s3 GET PayloadBucket"}
		found["Claims"] = []string{expiring("dynamodb PutItem Table", 1), "dynamodb UpdateItem Table"}
		found["accepts"] = []string{"key", "key and token", "key, token and certificate", "key, token, another subject",
			"key, token, at another domain", "key, token, without certificate"}
		if s.Parameters["RequireUrlToken"] == "true" && !p.Info().SignsAll {
			found["accepts"] = found["accepts"][1:]
		}
		if s.Parameters[p.Info().Resource+"ClientSubjects"] != "" {
			found["accepts"] = []string{certified}
		}
	}
	if s.Parameters["TableStreamArn"] != "" { // a table that is no resource of the stack
		for _, facts := range found {
			for i := range facts {
				facts[i] = strings.ReplaceAll(facts[i], " Table", " unknown: restored")
			}
		}
	}
	return found
}

// secrets are the calls that read the secrets of all enabled vendors once.
func secrets(s *lambdatest.Stack) (calls []string) {
	for _, p := range provider.All() {
		if s.Parameters[p.Info().Resource] == "enabled" {
			calls = append(calls, "secretsmanager GetSecretValue "+p.Info().Resource+"Secret")
		}
	}
	return calls
}

// asks are the calls around those of the vendors' APIs. Vendors that issue access tokens share them by notes.
func asks(s *lambdatest.Stack) (facts []string) {
	for _, p := range provider.All() {
		if !all.Has(p.Info().Name) {
			facts = append(facts, p.Info().Name+" has no client")
			continue
		}
		if s.Parameters[p.Info().Resource] == "disabled" {
			facts = append(facts, p.Info().Name+" is off")
			continue
		}
		if p.Info().Name != "dropboxsign" { // which has an API key
			facts = append(facts, "dynamodb GetItem Table", "dynamodb PutItem Table")
		}
		facts = append(facts, "secretsmanager GetSecretValue "+p.Info().Resource+"Secret")
	}
	return facts
}

// enabled are parameters that enable all vendors.
func enabled() map[string]string {
	parameters := map[string]string{}
	for _, p := range provider.All() {
		parameters[p.Info().Resource] = "enabled"
	}
	return parameters
}

// TestDeployedFunctions checks what each function does with exactly the template's variables: where it sends, what it
// accepts, and when what it writes expires. Whatever a function's configuration may set besides, that is the same.
func TestDeployedFunctions(t *testing.T) {
	standard := lambdatest.Deploy(t, enabled())
	changed := standard.Changed()
	maps.Copy(changed, enabled())
	for name, tt := range map[string]struct {
		stack     *lambdatest.Stack
		variables map[string]string
	}{
		"with the default parameters": {standard, nil},
		"with other parameters":       {lambdatest.Deploy(t, changed), nil},
		"that are said to be local": {standard, map[string]string{"AWS_SAM_LOCAL": "true",
			"AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST"}},
		"with an endpoint": {standard, map[string]string{"AWS_SAM_LOCAL": "1",
			"AWS_ENDPOINT_URL": "https://local.example"}},
		"that are said to be local, with an endpoint of the queue": {standard, map[string]string{"AWS_SAM_LOCAL": "true",
			"AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST", "AWS_ENDPOINT_URL_SQS": "https://local.example"}},
		"that are said to be local, with an endpoint of the secrets": {standard, map[string]string{"AWS_SAM_LOCAL": "true",
			"AWS_LAMBDA_LOG_STREAM_NAME": "$LATEST", "AWS_ENDPOINT_URL_SECRETS_MANAGER": "https://local.example"}},
	} {
		for _, function := range tt.stack.Functions() {
			t.Run(function+" "+name, func(t *testing.T) {
				in(t, tt.stack, function, tt.variables, func(t *testing.T, w *wired) {
					if diff := cmp.Diff(want(tt.stack, function), w.observe(t)); diff != "" {
						t.Error(diff)
					}
				})
			})
		}
	}
}
