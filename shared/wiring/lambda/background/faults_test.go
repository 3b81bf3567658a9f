package background

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http/httptrace"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/faulty"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/process"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/ledger/ledgertest"
	"esignhooks/shared/store/payload/s3"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/queuetest"
	"esignhooks/shared/store/queue/sqs"
	wiring "esignhooks/shared/wiring/lambda"
)

// network holds a faulty proxy for each engine.
type network map[string]*faulty.Proxy

// newNetwork puts a proxy in front of each engine of the environment.
func newNetwork(t *testing.T) network {
	t.Helper()
	n := network{}
	for i, service := range []string{"DYNAMODB", "SQS", "S3"} {
		n[service] = faulty.New(t, os.Getenv("AWS_ENDPOINT_URL_"+service), uint64(i))
	}
	return n
}

// enter makes new clients use the network.
func (n network) enter(t *testing.T) {
	t.Helper()
	for service, proxy := range n {
		t.Setenv("AWS_ENDPOINT_URL_"+service, proxy.URL)
	}
}

func (n network) set(rates func(string) faulty.Rates) {
	for _, p := range n {
		p.Set(rates)
	}
}

// Engines on a busy machine answer late, most of all 1 MB messages. TestClientsGiveUpInTime checks the timeouts of
// production.
const (
	timeout  = 3 * wiring.ReceiverResponseTimeout // where the test waits for most timeouts
	deadline = 3 * time.Second
	patient  = 5 * time.Second // where few requests hang, and a late answer would count as a fault
)

// clients are the drivers of a receiver.
type clients struct {
	ledger   *dynamodb.Ledger
	queue    *sqs.Queue
	payloads *s3.Store
}

func newClients(t *testing.T, timeout time.Duration) clients {
	t.Helper()
	config := wiring.AWS(timeout)
	return clients{
		dynamodb.New(awsdynamodb.NewFromConfig(config), "Table", 0),
		sqs.New(awssqs.NewFromConfig(config), os.Getenv("QUEUE_URL")),
		s3.New(wiring.S3Client(config), "payloads"),
	}
}

// TestDriversUnderFaults checks the contracts of ledger, queue and payload store on a network that fails.
func TestDriversUnderFaults(t *testing.T) {
	slow.Test(t)
	a := newAccount(t)
	t.Run("each fault", func(t *testing.T) {
		networks := map[faulty.Kind]network{}
		for _, kind := range faulty.Kinds {
			networks[kind] = newNetwork(t)
		}
		for kind, n := range networks {
			n.enter(t)
			c := newClients(t, timeout)
			t.Run(string(kind), func(t *testing.T) {
				t.Parallel()
				testFault(t, n, c, a.ledger, kind)
			})
		}
	})
	t.Run("each message is in the queue once", func(t *testing.T) {
		got := map[string]int{}
		for batch := a.receive(os.Getenv("QUEUE_URL")); len(batch.Records) > 0; batch = a.receive(os.Getenv("QUEUE_URL")) {
			for _, record := range batch.Records {
				got[record.Body]++
			}
		}
		want := map[string]int{}
		for _, kind := range faulty.Kinds {
			want[string(kind)+", once"], want[string(kind)+", lasting"] = 1, 1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
	t.Run("the ledger's suite", testLedgerUnderFaults)
	t.Run("the queue's suite", a.testQueueUnderFaults)
	t.Run("after an outage", testRecovery)
	t.Run("an idle connection is kept for longer than an answer may take", testIdleConnection)
}

// once is a fault that happens to the first request only.
func once(kind faulty.Kind) func(string) faulty.Rates {
	rates := faulty.Rates{kind: 1}
	return func(string) faulty.Rates {
		defer func() { rates = nil }()
		return rates
	}
}

// testFault checks that a single fault costs only time, within a deadline. After a fault that lasts, a second call
// finds out whether the first one had its effect.
func testFault(t *testing.T, n network, c clients, direct ledgertest.Ledger, kind faulty.Kind) {
	call := func(rates func(string) faulty.Rates, f func(context.Context) error) error {
		n.set(rates)
		defer n.set(faulty.Always(nil))
		ctx, cancel := context.WithTimeout(t.Context(), deadline)
		defer cancel()
		return f(ctx)
	}
	for what, rates := range map[string]func() func(string) faulty.Rates{
		", once":    func() func(string) faulty.Rates { return once(kind) },
		", lasting": func() func(string) faulty.Rates { return faulty.Always(faulty.Rates{kind: 1}) },
	} {
		name := string(kind) + what
		claimed, commit := commitOf("acmesign#claimed "+name), commitOf("acmesign#committed "+name)
		var found ledger.Found
		for step, tt := range map[string]struct {
			call   func(context.Context) error
			answer bool // has a body
		}{
			"claim": {func(ctx context.Context) (err error) { found, err = c.ledger.Claim(ctx, claimed.Claim); return err },
				true},
			"put": {func(ctx context.Context) error { return c.payloads.Put(ctx, name, []byte(name)) }, false},
			"send": {func(ctx context.Context) error {
				return c.queue.Send(ctx, queue.Message{Group: string(kind[0]), DeduplicationID: fmt.Sprintf("%x", name),
					Body: name})
			}, true},
			"commit": {func(ctx context.Context) error { return c.ledger.Commit(ctx, commit) }, true},
		} {
			first := call(rates(), tt.call)
			fails := what == ", lasting" && kind != faulty.Slow ||
				kind == faulty.HangAnswer && tt.answer || // has begun: the deadline ends it
				kind == faulty.Throttle && step == "commit" // of a transaction: the caller reads again
			if fails != (first != nil) {
				t.Errorf("%s, %s: %v", step, what, first)
			}
			if step == "commit" && kind == faulty.Throttle && !errors.Is(first, ledger.ErrConflict) {
				t.Errorf("%s, throttled: %v", step, first)
			}
			second := call(faulty.Always(nil), tt.call)
			if step == "commit" && errors.Is(second, ledger.ErrProcessed) == (first == nil || kind.Done()) {
				second = nil
			}
			if second != nil {
				t.Errorf("%s again, %s: %v", step, what, second)
			}
		}
		if unheard := what == ", lasting" && !kind.Done(); unheard != (found.State == ledger.New) {
			t.Errorf("claimed again, %s: %+v", what, found)
		}
		history, err := direct.History(t.Context(), commit.Subject)
		must(t, err)
		_, version, err := direct.Agreement(t.Context(), commit.Subject)
		if err != nil || version != 1 || len(history) != 1 || history[0].State != ledger.Processed {
			t.Errorf("%s: version %d, %+v, %v", name, version, history, err)
		}
		if body, err := c.payloads.Get(t.Context(), name); err != nil || string(body) != name {
			t.Errorf("%s: payload %q, %v", name, body, err)
		}
	}
}

func commitOf(subject string) ledger.Commit {
	now := time.Now().UTC()
	claim := ledger.Claim{Key: ledger.Key{Subject: subject, ID: "e"}, Provider: "acmesign", AgreementID: "a",
		OccurredAt: now, ReceivedAt: now}
	event := esign.Event{ID: "e", Provider: "acmesign", Subject: subject, AgreementID: "a", Type: esign.AgreementSent,
		OccurredAt: now}
	after := esign.Fold(esign.Agreement{}, event)
	return ledger.Commit{Claim: claim, Event: event, Agreement: &after, At: now}
}

// persistent retries failed calls, as the contract allows. If no faulty request reaches the engine, its results are
// exact.
type persistent struct{ ledgertest.Ledger }

// again retries until the engine answers, so that it returns no fault of the network. It also returns ErrConflict after
// ten attempts.
func again(call func() error) (err error) {
	for conflicts, faults := 0, 0; conflicts < 10 && faults < 30; {
		switch err = call(); {
		case err == nil || errors.Is(err, ledger.ErrProcessed):
			return err
		case errors.Is(err, ledger.ErrConflict):
			conflicts++
		default:
			faults++
		}
	}
	return err
}

func (p persistent) Claim(ctx context.Context, c ledger.Claim) (found ledger.Found, err error) {
	err = again(func() (err error) { found, err = p.Ledger.Claim(ctx, c); return err })
	return found, err
}

func (p persistent) Repeated(ctx context.Context, key ledger.Key, via string) error {
	return again(func() error { return p.Ledger.Repeated(ctx, key, via) })
}

func (p persistent) Agreement(ctx context.Context, subject string) (agreement esign.Agreement, version int64,
	err error) {
	err = again(func() (err error) { agreement, version, err = p.Ledger.Agreement(ctx, subject); return err })
	return agreement, version, err
}

func (p persistent) Commit(ctx context.Context, effects ...ledger.Commit) error {
	return again(func() error { return p.Ledger.Commit(ctx, effects...) })
}

func (p persistent) Event(ctx context.Context, k ledger.Key) (e ledger.Entry, err error) {
	err = again(func() (err error) { e, err = p.Ledger.Event(ctx, k); return err })
	return e, err
}

func (p persistent) MarkDuplicate(ctx context.Context, c ledger.Claim, of string) error {
	return again(func() error { return p.Ledger.MarkDuplicate(ctx, c, of) })
}

func (p persistent) Correct(ctx context.Context, c ledger.Correction) error {
	return again(func() error { return p.Ledger.Correct(ctx, c) })
}

func (p persistent) MarkUnreadable(ctx context.Context, c ledger.Claim, at time.Time) error {
	return again(func() error { return p.Ledger.MarkUnreadable(ctx, c, at) })
}

func (p persistent) History(ctx context.Context, subject string) (history []ledger.Entry, err error) {
	err = again(func() (err error) { history, err = p.Ledger.History(ctx, subject); return err })
	return history, err
}

func (p persistent) Note(ctx context.Context, name string) (text string, version int64, err error) {
	err = again(func() (err error) { text, version, err = p.Ledger.Note(ctx, name); return err })
	return text, version, err
}

func (p persistent) ByReference(ctx context.Context, r ledger.Reference, cursor string, limit int) (
	found []esign.Agreement, next string, err error) {
	err = again(func() (err error) { found, next, err = p.Ledger.ByReference(ctx, r, cursor, limit); return err })
	return found, next, err
}

func (p persistent) Forgotten(ctx context.Context, subject string) (at time.Time, err error) {
	err = again(func() (err error) { at, err = p.Ledger.Forgotten(ctx, subject); return err })
	return at, err
}

func (p persistent) Bury(ctx context.Context, subject string, at time.Time) error {
	return again(func() error { return p.Ledger.Bury(ctx, subject, at) })
}

func (p persistent) Drop(ctx context.Context, key ledger.Key, at time.Time) error {
	return again(func() error { return p.Ledger.Drop(ctx, key, at) })
}

func (p persistent) Remains(ctx context.Context, subject string) (entries []ledger.Entry, err error) {
	err = again(func() (err error) { entries, err = p.Ledger.Remains(ctx, subject); return err })
	return entries, err
}

func (p persistent) Erase(ctx context.Context, subject string, references []ledger.Reference,
	notes ...string) (removed int, err error) {
	err = again(func() error {
		n, err := p.Ledger.Erase(ctx, subject, references, notes...)
		removed += n
		return err
	})
	return removed, err
}

func (p persistent) PutNote(ctx context.Context, name, text string, version int64) error {
	return again(func() error { return p.Ledger.PutNote(ctx, name, text, version) })
}

func testLedgerUnderFaults(t *testing.T) {
	n := newNetwork(t)
	n.enter(t)
	rates := faulty.Evenly(0.4)
	n["DYNAMODB"].Set(func(operation string) faulty.Rates {
		switch operation {
		case "GetItem", "Query":
			return rates
		case "Scan": // its visitor may not be called twice
			return nil
		}
		return rates.NotDone()
	})
	l := persistent{newClients(t, patient).ledger}
	ledgertest.Run(t, func(*testing.T) ledgertest.Ledger { return l })
	t.Cleanup(func() { t.Logf("requests: %v", n["DYNAMODB"].Counts()) })
}

// persistentQueue retries failed sends over the network. It receives and deletes without faults, as Lambda does itself.
type persistentQueue struct {
	*sqs.Queue
	a   *account
	url string
}

func (q persistentQueue) Send(ctx context.Context, m queue.Message) error {
	return again(func() error { return q.Queue.Send(ctx, m) })
}

func (q persistentQueue) Receive(ctx context.Context, limit int) (received []queue.Received, err error) {
	batch, err := q.a.receiveUpTo(ctx, q.url, limit)
	for _, record := range batch.Records {
		m := process.Message(record)
		m.Receipt = record.ReceiptHandle
		if m.Receives, err = strconv.Atoi(record.Attributes["ApproximateReceiveCount"]); err != nil {
			return nil, err
		}
		received = append(received, m)
	}
	return received, err
}

func (q persistentQueue) Delete(ctx context.Context, receipt string) error {
	_, err := q.a.sqs.DeleteMessage(ctx, &awssqs.DeleteMessageInput{QueueUrl: &q.url, ReceiptHandle: &receipt})
	return err
}

// testQueueUnderFaults allows every kind of fault, since sending a message twice is harmless.
func (a *account) testQueueUnderFaults(t *testing.T) {
	n := newNetwork(t)
	n.enter(t)
	config := wiring.AWS(patient)
	client := awssqs.NewFromConfig(config)
	n["SQS"].Set(faulty.Always(faulty.Evenly(0.3)))
	var queues atomic.Int32
	open := func(attributes map[string]string) persistentQueue {
		maps.Copy(attributes, map[string]string{
			"FifoQueue": "true", "DeduplicationScope": "messageGroup", "FifoThroughputLimit": "perMessageGroupId",
			"VisibilityTimeout": strconv.Itoa(int(queuetest.Visibility.Seconds())),
		})
		out, err := a.sqs.CreateQueue(a.t.Context(), &awssqs.CreateQueueInput{
			QueueName: aws.String(fmt.Sprintf("suite-%d.fifo", queues.Add(1))), Attributes: attributes,
		})
		must(a.t, err)
		return persistentQueue{sqs.New(client, *out.QueueUrl), a, *out.QueueUrl}
	}
	queuetest.Run(t, func(*testing.T) (queuetest.Queue, queuetest.Queue) {
		deadLetters := open(map[string]string{})
		return open(map[string]string{"RedrivePolicy": a.redrivePolicy(deadLetters.url, queuetest.MaxReceives)}), deadLetters
	})
	t.Cleanup(func() { t.Logf("requests: %v", n["SQS"].Counts()) })
}

func (a *account) redrivePolicy(deadLetterURL string, maxReceives int) string {
	out, err := a.sqs.GetQueueAttributes(a.t.Context(), &awssqs.GetQueueAttributesInput{
		QueueUrl: &deadLetterURL, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameQueueArn},
	})
	must(a.t, err)
	return fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":"%d"}`, out.Attributes["QueueArn"], maxReceives)
}

// testRecovery lets an outage exhaust the client's retry quota. Every call must still be attempted once, and the first
// call after the outage must succeed.
func testRecovery(t *testing.T) {
	for _, kind := range []faulty.Kind{faulty.Fail, faulty.Refuse, faulty.Throttle} {
		t.Run(string(kind), func(t *testing.T) {
			n := newNetwork(t)
			n.enter(t)
			c := newClients(t, timeout)
			send := func(i int) error {
				return c.queue.Send(t.Context(),
					queue.Message{Group: "outage", DeduplicationID: fmt.Sprint(kind[:1], i), Body: "b"})
			}
			n["SQS"].Set(faulty.Always(faulty.Rates{kind: 1}))
			const outage = 400
			var calls sync.WaitGroup
			for worker := range 8 {
				calls.Go(func() {
					for i := range outage / 8 {
						if send(1000*worker+i) == nil {
							t.Error("sent during an outage")
						}
					}
				})
			}
			calls.Wait()
			if tried := n["SQS"].Counts()[kind]; tried != outage+100 { // the quota's worth of retries
				t.Errorf("%d calls were tried %d times", outage, tried)
			}
			n["SQS"].Set(faulty.Always(nil))
			for i := range 5 { // and gain a retry
				if err := send(-i); err != nil {
					t.Errorf("call %d after the outage: %v", i, err)
				}
			}
			n["SQS"].Set(once(kind))
			if err := send(-6); err != nil {
				t.Errorf("no retry after the outage: %v", err)
			}
		})
	}
}

func testIdleConnection(t *testing.T) {
	c := newClients(t, timeout)
	reused := false
	ctx := httptrace.WithClientTrace(t.Context(),
		&httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused }})
	for i := range 2 {
		must(t, c.queue.Send(ctx, queue.Message{Group: "idle", DeduplicationID: fmt.Sprint("idle", i), Body: "b"}))
		time.Sleep(2 * timeout)
	}
	if !reused {
		t.Error("the second call made a connection of its own")
	}
}
