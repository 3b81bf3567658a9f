package background

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	ddbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/faulty"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

const (
	visibility   = 6 * time.Second
	senders      = 16
	workers      = 8
	workersLimit = 5 * time.Second // of an invocation
)

// makeReceivers makes the functions, for the endpoints of the environment.
func (a *account) makeReceivers(t *testing.T) map[string]apigw.Function {
	t.Helper()
	made := map[string]apigw.Function{}
	for _, p := range provider.All() {
		t.Setenv("SECRET_ARN", p.Info().Name) // a secret's name will do
		receiver, err := wiring.NewReceiver(p, slog.New(slog.DiscardHandler), io.Discard)
		must(t, err)
		made[p.Info().Name] = receiver.Receive
	}
	return made
}

// happening is an event that a vendor sends.
type happening struct {
	provider webhook.Provider
	payload  []byte // of the function
	ack      *webhook.Response
	repeat   bool // send it again after the acknowledgement
}

// happenings returns n events. Each agreement passes through all events that the examples have. It also returns the
// expected events, by subject and ID.
func happenings(t *testing.T, n int, random *rand.Rand) (all []happening, truth map[string]map[string]esign.Event) {
	truth = map[string]map[string]esign.Event{}
	now := time.Now().Add(-1000 * time.Hour).Truncate(time.Second)
	for i := 0; len(all) < n; i++ {
		p := provider.All()[i%len(provider.All())]
		agreement := ""
		for _, name := range sample.Names(p) {
			now = now.Add(time.Minute)
			r, about, err := sample.Request(p, name, agreement, webhook.NewSecret(p.Info().DevelopmentKey), now)
			must(t, err)
			if about == "" {
				continue
			}
			agreement = about
			if p.Info().SignsAll && random.IntN(30) == 0 { // too large for a message
				r.Body = append(r.Body, bytes.Repeat([]byte(" "), 1<<20)...)
				must(t, p.Sign(r, webhook.NewSecret(p.Info().DevelopmentKey), now))
			}
			ids, err := p.Identify(r)
			must(t, err)
			e, err := p.Normalize(&webhook.Delivery{
				Provider: p.Info().Name, EventID: ids[0].EventID, Subject: ids[0].Subject,
				ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
			})
			must(t, err)
			if _, told := truth[ids[0].Subject][ids[0].EventID]; told || e.OccurredAt.IsZero() || len(all) == n {
				continue
			}
			if truth[ids[0].Subject] == nil {
				truth[ids[0].Subject] = map[string]esign.Event{}
			}
			e.Provider = p.Info().Name
			truth[ids[0].Subject][ids[0].EventID] = e
			if !p.Info().SignsAll {
				r.URLToken = urlToken
			}
			all = append(all, happening{p, proxyEvent(t, r), p.Acknowledge(r), random.IntN(4) == 0})
		}
	}
	random.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all, truth
}

func proxyEvent(t *testing.T, r *webhook.Request) []byte {
	t.Helper()
	e := events.APIGatewayProxyRequest{
		HTTPMethod: r.Method, MultiValueHeaders: r.Header, MultiValueQueryStringParameters: r.Query, Body: string(r.Body),
		PathParameters: map[string]string{"token": r.URLToken},
	}
	payload, err := json.Marshal(e)
	must(t, err)
	return payload
}

// vendors send until they are acknowledged.
type vendors struct {
	receivers map[string]apigw.Function

	mu           sync.Mutex
	acknowledged []time.Duration
	refused      []time.Duration
	mostRefusals int // of one happening
}

func (v *vendors) deliver(t *testing.T, h happening) {
	for refusals := 0; ; refusals++ {
		answer, took, err := ask(t, v.receivers[h.provider.Info().Name], h.payload)
		switch {
		case err == nil && answer.StatusCode == h.ack.Status && answer.Body == string(h.ack.Body):
			v.note(&v.acknowledged, took, refusals)
			return
		case err == nil && answer.StatusCode == 503 && answer.Headers["Retry-After"] != "":
			v.note(&v.refused, took, refusals)
			time.Sleep(rand.N(50 * time.Millisecond << min(refusals, 6))) // engines on a busy machine must catch up
		default:
			t.Errorf("%s: answered %+v, %v", h.provider.Info().Name, answer, err)
			return
		}
	}
}

func (v *vendors) note(times *[]time.Duration, took time.Duration, refusals int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	*times = append(*times, took)
	v.mostRefusals = max(v.mostRefusals, refusals)
}

// invokeWorker processes a batch as the event source mapping does: it deletes the messages that the worker does not
// report.
func (a *account) invokeWorker(worker *process.Processor, queueURL string, batch events.SQSEvent) {
	ctx, cancel := context.WithTimeout(a.t.Context(), workersLimit)
	defer cancel()
	payload, err := json.Marshal(batch)
	if err != nil {
		a.t.Error(err)
	}
	answer, err := lambda.NewHandler(worker.Handle).Invoke(ctx, payload)
	if ctx.Err() != nil {
		return // AWS would have ended the function, without a response
	}
	var response events.SQSEventResponse
	if err == nil {
		err = json.Unmarshal(answer, &response)
	}
	if err != nil {
		a.t.Errorf("the worker answered %s, %v", answer, err)
		return
	}
	for _, record := range batch.Records {
		if slices.Contains(response.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: record.MessageId}) {
			continue
		}
		// After the visibility timeout the receipt is invalid, and the message is redelivered.
		a.sqs.DeleteMessage(a.t.Context(),
			&awssqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: &record.ReceiptHandle})
	}
}

// drain has workers consume the queue until it is empty and the vendors are done. The faults end with the vendors.
func (a *account) drain(worker *process.Processor, queueURL string, done <-chan struct{}) {
	var group sync.WaitGroup
	defer group.Wait()
	free := make(chan struct{}, workers)
	for {
		free <- struct{}{}
		batch := a.receive(queueURL)
		if len(batch.Records) > 0 {
			group.Go(func() {
				a.invokeWorker(worker, queueURL, batch)
				<-free
			})
			continue
		}
		<-free
		select {
		case <-done:
			if a.messages(queueURL) == 0 {
				return
			}
		default:
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// messages returns the number of messages on the queue, including those in flight.
func (a *account) messages(queueURL string) (n int) {
	a.t.Helper()
	names := []sqstypes.QueueAttributeName{
		sqstypes.QueueAttributeNameApproximateNumberOfMessages,
		sqstypes.QueueAttributeNameApproximateNumberOfMessagesNotVisible,
	}
	out, err := a.sqs.GetQueueAttributes(a.t.Context(),
		&awssqs.GetQueueAttributesInput{QueueUrl: &queueURL, AttributeNames: names})
	must(a.t, err)
	for _, name := range names {
		count, err := strconv.Atoi(out.Attributes[string(name)])
		must(a.t, err)
		n += count
	}
	return n
}

// withOutages also refuses 20 of every 200 requests in a row, more than a client retries.
func withOutages(rates faulty.Rates) func(string) faulty.Rates {
	requests := 0
	return func(string) faulty.Rates {
		if requests++; requests%200 < 20 {
			return faulty.Rates{faulty.Refuse: 1}
		}
		return rates
	}
}

// TestNothingIsLost lets vendors send until they are acknowledged, and a quarter of the events once more. More than a
// quarter of the requests to the engines fail. In the end each event must have had its effect exactly once. DELIVERIES
// is the approximate number of acknowledgements.
func TestNothingIsLost(t *testing.T) {
	slow.Test(t)
	deliveries := 2000
	if n := os.Getenv("DELIVERIES"); n != "" {
		var err error
		deliveries, err = strconv.Atoi(n)
		must(t, err)
	}
	a := newAccount(t)
	queueURL, deadLetterURL := os.Getenv("QUEUE_URL"), os.Getenv("DEAD_LETTER_QUEUE_URL")
	_, err := a.sqs.SetQueueAttributes(t.Context(),
		&awssqs.SetQueueAttributesInput{QueueUrl: &queueURL, Attributes: map[string]string{
			"VisibilityTimeout": fmt.Sprint(int(visibility.Seconds())), "RedrivePolicy": a.redrivePolicy(deadLetterURL, 200),
		}})
	must(t, err)
	all, truth := happenings(t, deliveries*4/5, rand.New(rand.NewPCG(1, 1)))

	n := newNetwork(t)
	n.enter(t)
	v := &vendors{receivers: a.makeReceivers(t)}
	w, err := newWorker(provider.All(), slog.New(slog.DiscardHandler), io.Discard)
	must(t, err)
	for _, proxy := range n {
		proxy.Set(withOutages(faulty.Evenly(0.2)))
	}
	start, told, done := time.Now(), make(chan happening), make(chan struct{})
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			for h := range told {
				v.deliver(t, h)
				if h.repeat {
					v.deliver(t, h)
				}
			}
		})
	}
	go func() {
		for _, h := range all {
			told <- h
		}
		close(told)
		group.Wait()
		n.set(faulty.Always(nil))
		close(done)
	}()
	a.drain(w, queueURL, done)
	t.Logf("%d happenings of %d agreements in %v", len(all), len(truth), time.Since(start).Round(time.Second))
	v.report(t)
	for service, proxy := range n {
		t.Logf("requests to %s: %v", service, proxy.Counts())
	}
	a.compare(t, truth)
	if letters := a.messages(deadLetterURL); letters > 0 {
		t.Errorf("%d dead letters", letters)
	}
}

func (v *vendors) report(t *testing.T) {
	for what, took := range map[string][]time.Duration{"acknowledged": v.acknowledged, "refused": v.refused} {
		slices.Sort(took)
		if len(took) == 0 {
			continue
		}
		at := func(part float64) time.Duration { return took[int(part*float64(len(took)-1))].Round(time.Millisecond) }
		t.Logf("%s: %d, in %v (half), %v (99 of 100), %v (all)", what, len(took), at(0.5), at(0.99), at(1))
	}
	t.Logf("refused %d times in a row at most", v.mostRefusals)
}

// compare checks that the table holds exactly the expected events.
func (a *account) compare(t *testing.T, truth map[string]map[string]esign.Event) {
	items := 0
	for subject, happened := range truth {
		history, err := a.ledger.History(t.Context(), subject)
		must(t, err)
		a.checkArchive(history)
		var want esign.Agreement
		for _, e := range happened {
			want = esign.Fold(want, e)
		}
		items += len(happened) + 1
		got, version, err := a.ledger.Agreement(t.Context(), subject)
		must(t, err)
		if diff := cmp.Diff(want, got); diff != "" || version != int64(len(happened)) {
			t.Errorf("%s: version %d after %d events, %s", subject, version, len(happened), diff)
		}
		var ids []string
		entered := map[esign.Status]int{}
		for _, e := range history {
			ids = append(ids, e.ID)
			if e.State != ledger.Processed {
				t.Errorf("%s %s: %s", subject, e.ID, e.State)
			}
			if e.StatusAfter != e.StatusBefore {
				entered[e.StatusAfter]++
			}
		}
		slices.Sort(ids)
		if diff := cmp.Diff(slices.Sorted(maps.Keys(happened)), ids); diff != "" {
			t.Errorf("%s: %s", subject, diff)
		}
		for status, times := range entered {
			if times > 1 {
				t.Errorf("%s entered %q %d times", subject, status, times)
			}
		}
	}
	found := 0
	for pages := awsdynamodb.NewScanPaginator(awsdynamodb.NewFromConfig(a.config),
		&awsdynamodb.ScanInput{TableName: new("Table")}); pages.HasMorePages(); {
		page, err := pages.NextPage(t.Context())
		must(t, err)
		for _, item := range page.Items {
			if pk := item["pk"].(*ddbtypes.AttributeValueMemberS).Value; !strings.HasPrefix(pk, "@reference#") {
				found++
			}
		}
	}
	if found != items {
		t.Errorf("%d items in the table, want %d", found, items)
	}
}
