package soak

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/enginetest"
	"esignhooks/shared/lab/faulty"
	"esignhooks/shared/provider"
	"esignhooks/shared/store/ledger"
	driver "esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/webhook"
)

// buildFunctions builds the receivers and the worker as SAM does. It returns the folder of each by name.
func buildFunctions(t *testing.T, root, build string) map[string]string {
	t.Helper()
	names := []string{"worker"}
	for _, p := range provider.All() {
		names = append(names, p.Info().Name)
	}
	folders := map[string]string{}
	for _, name := range names {
		folders[name] = filepath.Join(build, name)
		if err := os.Mkdir(folders[name], 0o755); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("make", "-s", "-f", ".sam/functions.mk", "GOARCH="+runtime.GOARCH,
			"ARTIFACTS_DIR="+folders[name], "build-"+name+"Function")
		c.Dir = root
		c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { // of the make that started this test
			return strings.HasPrefix(v, "MAKE") || strings.HasPrefix(v, "MFLAGS=")
		})
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", name, err, out)
		}
	}
	return folders
}

// function is a process of a Lambda function, and its Runtime API. It serves one invocation at a time. When it dies,
// the next invocation starts another process.
type function struct {
	binary  string
	env     []string
	api     *httptest.Server
	timeout time.Duration
	turn    chan struct{} // held during an invocation

	mu      sync.Mutex
	process *exec.Cmd
	ended   chan struct{}
	waiting chan []byte // event
	answers chan []byte // nil is a failure
}

func newFunction(t *testing.T, binary string, timeout time.Duration, env []string) *function {
	f := &function{binary: binary, timeout: timeout, env: env, turn: make(chan struct{}, 1), waiting: make(chan []byte),
		answers: make(chan []byte, 1)}
	f.api = httptest.NewServer(f)
	f.env = append([]string{"AWS_LAMBDA_RUNTIME_API=" + f.api.Listener.Addr().String(), "AWS_LAMBDA_FUNCTION_NAME=soak",
		"AWS_LAMBDA_LOG_STREAM_NAME=soak", "_HANDLER=bootstrap"}, env...)
	t.Cleanup(func() {
		f.kill()
		f.api.CloseClientConnections()
		f.api.Close()
	})
	return f
}

// ServeHTTP is the Runtime API.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, read 2026-11-24.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		if err != nil || !strings.HasSuffix(r.URL.Path, "/response") {
			body = nil
		}
		select {
		case f.answers <- body:
		default: // nobody waits any more
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	select {
	case <-r.Context().Done():
	case event := <-f.waiting:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", "00000000-0000-4000-8000-000000000000")
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(f.timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:soak")
		w.Write(event)
	}
}

var errInvocation = errors.New("the invocation failed")

// invoke invokes the function. As Lambda does, it kills a process that takes longer than the timeout.
func (f *function) invoke(ctx context.Context, event []byte) ([]byte, error) {
	select {
	case f.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-f.turn }()
	ended, err := f.start()
	if err != nil {
		return nil, err
	}
	select { // the answer of an invocation that timed out
	case <-f.answers:
	default:
	}
	for waiting, late := f.waiting, time.After(f.timeout); ; {
		select {
		case waiting <- event:
			waiting = nil
		case body := <-f.answers:
			if body == nil {
				return nil, errInvocation
			}
			return body, nil
		case <-ended:
			return nil, errInvocation
		case <-late:
			f.kill()
			return nil, errInvocation
		}
	}
}

// start starts a process unless one runs.
func (f *function) start() (ended chan struct{}, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.process != nil {
		select {
		case <-f.ended:
		default:
			return f.ended, nil
		}
	}
	c := exec.Command(f.binary)
	c.Env = f.env
	if err := c.Start(); err != nil {
		return nil, err
	}
	f.process, f.ended = c, make(chan struct{})
	go func(ended chan struct{}) {
		c.Wait()
		close(ended)
	}(f.ended)
	return f.ended, nil
}

func (f *function) signal(s os.Signal) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.process != nil {
		f.process.Process.Signal(s) // it may have ended
	}
}

func (f *function) kill() {
	f.signal(syscall.SIGKILL)
	f.mu.Lock()
	ended := f.ended
	f.mu.Unlock()
	if ended != nil {
		<-ended
	}
}

const urlToken = "0123456789abcdef0123456789abcdef"

// secrets is a Secrets Manager that holds the development keys, by the provider's name.
func secrets(w http.ResponseWriter, r *http.Request) {
	var asked struct{ SecretId string }
	json.NewDecoder(r.Body).Decode(&asked)
	p, ok := webhook.Find(provider.All(), asked.SecretId)
	if !ok {
		http.Error(w, "", http.StatusServiceUnavailable) // such as S3, which nothing here needs
		return
	}
	secret := fmt.Sprintf(`{"keys":[%q],"urlTokens":[%q]}`, p.Info().DevelopmentKey, urlToken)
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	json.NewEncoder(w).Encode(map[string]string{"Name": asked.SecretId, "SecretString": secret})
}

// stack is the functions on local engines, behind a network that fails.
type stack struct {
	t         *testing.T
	report    *report
	random    *rand.Rand
	functions map[string][]*function
	engines   map[string]*enginetest.Engine
	network   map[string]*faulty.Proxy
	sqs       *sqs.Client // without the network
	dynamodb  *dynamodb.Client
	queue     string // URLs
	dead      string
	sent      map[string]bool // IDs of events
	letters   int             // unreadable events that were acknowledged
}

func soakFunctions(t *testing.T, r *report, folders map[string]string, end time.Time) {
	t.Cleanup(func() {
		if t.Skipped() {
			r.skip(engine, "an engine is not available: "+t.Name()+" was skipped")
		}
	})
	s := &stack{t: t, report: r, random: rand.New(rand.NewPCG(*seed, 1<<32)), functions: map[string][]*function{},
		network: map[string]*faulty.Proxy{}, sent: map[string]bool{}}
	s.engines = map[string]*enginetest.Engine{"DYNAMODB": enginetest.DynamoDBOnDisk(t), "SQS": enginetest.SQSEngine(t)}
	s.openStores()
	s.openFunctions(folders)
	for life := uint64(0); life == 0 || time.Now().Before(end) && r.holds(); life++ {
		s.live(newVendors(r, rand.New(rand.NewPCG(*seed, 1<<33+life)), 3000, s.post), end)
	}
	for _, proxy := range s.network {
		r.addFaults(proxy.Counts())
	}
}

// live has vendors send for some minutes, while functions, engines and network fail. It verifies the result.
func (s *stack) live(v *vendors, end time.Time) {
	ctx, cancel := context.WithDeadline(s.t.Context(), end)
	ctx, cancelLife := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	defer cancelLife()
	var vendors, workers sync.WaitGroup
	vendors.Go(func() { v.run(ctx) })
	stop := make(chan struct{})
	for _, worker := range s.functions["worker"] {
		workers.Go(func() { s.consume(worker, stop) })
	}
	for round := 0; round < 6 || ctx.Err() == nil; round++ {
		s.fault(round)
	}
	s.setFaults(0)
	cancelLife()
	vendors.Wait()
	s.await("the queue is empty", func() bool { return s.messages(s.queue) == 0 })
	close(stop)
	workers.Wait()
	s.verify(v)
}

func (s *stack) config() aws.Config {
	return aws.Config{Region: "us-east-1", HTTPClient: &http.Client{Timeout: time.Minute},
		Credentials: aws.CredentialsProviderFunc(
			func(context.Context) (aws.Credentials, error) {
				return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
			})}
}

func (s *stack) openStores() {
	s.dynamodb = dynamodb.NewFromConfig(s.config(),
		func(o *dynamodb.Options) { o.BaseEndpoint = &s.engines["DYNAMODB"].URL })
	s.sqs = sqs.NewFromConfig(s.config(), func(o *sqs.Options) { o.BaseEndpoint = &s.engines["SQS"].URL })
	enginetest.Table(s.t, s.dynamodb, "Table")
	for name, url := range map[string]*string{"deliveries.fifo": &s.queue, "dead-letters.fifo": &s.dead} {
		out, err := s.sqs.CreateQueue(s.t.Context(), &sqs.CreateQueueInput{QueueName: &name, Attributes: map[string]string{
			"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
			"VisibilityTimeout": "12",
		}})
		if err != nil {
			s.t.Fatal(err)
		}
		*url = *out.QueueUrl
	}
}

func (s *stack) openFunctions(folders map[string]string) {
	for name, e := range s.engines {
		s.network[name] = faulty.New(s.t, e.URL, s.random.Uint64())
	}
	stub := httptest.NewServer(http.HandlerFunc(secrets))
	s.t.Cleanup(stub.Close)
	for name, folder := range folders {
		env := []string{
			"AWS_ENDPOINT_URL_DYNAMODB=" + s.network["DYNAMODB"].URL, "AWS_ENDPOINT_URL_SQS=" + s.network["SQS"].URL,
			"AWS_ENDPOINT_URL_S3=" + stub.URL, "AWS_ENDPOINT_URL_SECRETS_MANAGER=" + stub.URL, "AWS_REGION=us-east-1",
			"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_SESSION_TOKEN=test", "TABLE_NAME=Table",
			"PAYLOAD_BUCKET=payloads", "EXPIRE_AFTER_DAYS=0", "METRICS_NAMESPACE=esignhooks/soak", "ARCHIVE_BUCKET=",
			"INCLUDE_REASONS=false", "REFERENCES=*",
			"REQUIRE_URL_TOKEN=true", "SECRET_ARN=" + name, "QUEUE_URL=" + s.queue, "DEAD_LETTER_QUEUE_URL=" + s.dead,
		}
		binary := filepath.Join(folder, "bootstrap")
		s.functions[name] = append(s.functions[name], newFunction(s.t, binary, 10*time.Second, env))
		if name == "worker" {
			s.functions[name] = append(s.functions[name], newFunction(s.t, binary, 10*time.Second, env))
		}
	}
}

// post passes a request on as API Gateway does.
func (s *stack) post(ctx context.Context, p webhook.Provider, r *webhook.Request) (answer, error) {
	event, err := json.Marshal(events.APIGatewayProxyRequest{
		HTTPMethod: r.Method, MultiValueHeaders: r.Header, MultiValueQueryStringParameters: r.Query, Body: string(r.Body),
		PathParameters: map[string]string{"token": urlToken},
	})
	if err != nil {
		return answer{}, err
	}
	b, err := s.functions[p.Info().Name][0].invoke(ctx, event)
	if err != nil {
		return answer{}, err
	}
	var got events.APIGatewayProxyResponse
	err = json.Unmarshal(b, &got)
	return answer{got.StatusCode, got.Body, got.Headers["Retry-After"]}, err
}

// consume is the event source mapping of a worker.
func (s *stack) consume(worker *function, stop <-chan struct{}) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(20 * time.Millisecond):
		}
		if err := s.batch(worker); err != nil {
			s.report.note("batches that failed")
		}
	}
}

func (s *stack) batch(worker *function) error {
	out, err := s.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
		QueueUrl: &s.queue, MaxNumberOfMessages: 10, MessageAttributeNames: []string{"All"},
		MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameAll},
	})
	if err != nil || len(out.Messages) == 0 {
		return err
	}
	var batch events.SQSEvent
	for _, m := range out.Messages {
		record := events.SQSMessage{MessageId: *m.MessageId, ReceiptHandle: *m.ReceiptHandle, Body: *m.Body,
			Attributes: m.Attributes, MessageAttributes: map[string]events.SQSMessageAttribute{}}
		for name, v := range m.MessageAttributes {
			record.MessageAttributes[name] = events.SQSMessageAttribute{DataType: *v.DataType, StringValue: v.StringValue}
		}
		batch.Records = append(batch.Records, record)
	}
	event, err := json.Marshal(batch)
	if err != nil {
		return err
	}
	b, err := worker.invoke(context.Background(), event)
	if err != nil {
		return err
	}
	var response events.SQSEventResponse
	if err := json.Unmarshal(b, &response); err != nil {
		return err
	}
	for _, record := range batch.Records {
		if !slices.Contains(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId}) {
			_, err = s.sqs.DeleteMessage(context.Background(), &sqs.DeleteMessageInput{QueueUrl: &s.queue,
				ReceiptHandle: &record.ReceiptHandle})
		}
	}
	return err
}

func (s *stack) setFaults(total float64) {
	for _, proxy := range s.network {
		proxy.Set(faulty.Always(faulty.Evenly(total)))
	}
}

// fault lets a function or an engine fail. The network fails all the time.
func (s *stack) fault(round int) {
	s.setFaults([]float64{0.05, 0.3, 0.9}[s.random.IntN(3)])
	wait := func(d time.Duration) { time.Sleep(d/3 + time.Duration(s.random.Int64N(int64(2*d/3)))) }
	wait(1500 * time.Millisecond)
	names := []string{"worker"}
	for _, p := range provider.All() {
		names = append(names, p.Info().Name)
	}
	all := s.functions[names[s.random.IntN(len(names))]]
	if round%2 == 0 {
		all = s.functions["worker"]
	}
	one := all[s.random.IntN(len(all))]
	switch round % 6 {
	case 0, 3:
		one.signal(syscall.SIGKILL)
		s.report.note("functions killed")
		s.report.did(kill)
	case 1, 4:
		one.signal(syscall.SIGSTOP)
		wait(3 * time.Second)
		one.signal(syscall.SIGCONT)
		s.report.note("functions stopped and continued")
		s.report.did(pause)
	case 2:
		s.engines["DYNAMODB"].Restart()
		s.report.did(engine)
		s.report.skip(engine, "DynamoDB Local is killed; ElasticMQ keeps messages in memory, so it is stopped and continued")
	case 5:
		s.engines["SQS"].Signal(syscall.SIGSTOP)
		wait(3 * time.Second)
		s.engines["SQS"].Signal(syscall.SIGCONT)
		s.report.did(engine)
	}
}

func (s *stack) await(what string, done func() bool) {
	for deadline := time.Now().Add(3 * time.Minute); !done(); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.report.check(effectOnce, false, "not after 3 minutes: %s", what)
			return
		}
	}
}

// messages returns the number of messages on a queue, also in flight.
func (s *stack) messages(url string) (n int) {
	out, err := s.sqs.GetQueueAttributes(context.Background(), &sqs.GetQueueAttributesInput{QueueUrl: &url,
		AttributeNames: []types.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"}})
	if err != nil {
		return -1
	}
	for _, count := range out.Attributes {
		one, _ := strconv.Atoi(count)
		n += one
	}
	return n
}

// verify compares the table and the dead letters with what has happened.
func (s *stack) verify(v *vendors) {
	l := driver.New(s.dynamodb, "Table", 0)
	states := map[string]map[string]ledger.Entry{} // by subject and ID
	history := func(subject string) map[string]ledger.Entry {
		if states[subject] == nil {
			all, err := l.History(s.t.Context(), subject)
			if err != nil {
				s.t.Error(err)
			}
			states[subject] = map[string]ledger.Entry{}
			for _, e := range all {
				states[subject][e.ID] = e
			}
		}
		return states[subject]
	}
	for _, h := range v.all() {
		for _, id := range h.ids {
			s.sent[id] = true
		}
	}
	for _, story := range v.stories {
		var want esign.Agreement
		subject, exact := "", true
		var took []effect // in the order in which they were sent
		for _, h := range story.happenings {
			if !h.readable {
				at := webhook.UnreadableSubject(h.provider.Info().Name)
				if !h.acknowledged.IsZero() {
					s.letters++
					s.report.check(unreadable, history(at)[h.ids[0]].State == ledger.Unreadable, "%s is %s", h.ids[0],
						history(at)[h.ids[0]].State)
				}
				continue
			}
			e := history(h.subject)[h.ids[0]]
			if !h.acknowledged.IsZero() {
				s.report.check(effectOnce, e.State == ledger.Processed, "%s %s is %q", h.provider.Info().Name, h.event.Type,
					e.State)
			}
			if e.State == ledger.Processed {
				subject, exact = h.subject, exact && !h.event.OccurredAt.IsZero()
				want = esign.Fold(want, h.event)
				took = append(took, effect{e.ID, e.StatusBefore, e.StatusAfter, e.ProcessedAt.UnixNano()})
			}
		}
		if subject == "" {
			continue
		}
		got, version, err := l.Agreement(s.t.Context(), subject)
		if err != nil {
			s.t.Error(err)
		}
		diff := ""
		if exact {
			diff = cmp.Diff(want, got)
		}
		s.report.check(folded, got.Status == want.Status && diff == "", "%s is %q, its events make it %q: %s", subject,
			got.Status,
			want.Status, diff)
		s.report.check(oneEvent, version == int64(len(took)), "%s has version %d after %d events", subject, version,
			len(took))
		s.report.checkStory(story.ordered, took)
	}
	for subject := range states {
		for id := range history(subject) {
			s.report.check(oneEvent, s.sent[id], "%s was never sent", id)
		}
	}
	s.report.check(unreadable, s.messages(s.dead) >= s.letters, "%d dead letters of %d unreadable events",
		s.messages(s.dead), s.letters)
	for _, about := range v.forged {
		for _, p := range provider.All() {
			s.report.check(refusedLeaves, len(history(webhook.AgreementSubject(p.Info().Name, about))) == 0,
				"a forged request has left %s", about)
		}
	}
}
