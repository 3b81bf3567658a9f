package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-lambda-go/events"

	examples "esignhooks/events"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// workload makes genuine requests of an example of a provider, each about a new agreement, that differ in nothing but the
// agreement's ID.
type workload struct {
	provider  webhook.Provider
	proxy     events.APIGatewayProxyRequest // the example
	request   *webhook.Request
	agreement string // in request
	key       webhook.Secret
	serial    int
}

// newWorkload makes requests with bodies of at least size bytes: longer than the example by a field that means nothing.
func newWorkload(p webhook.Provider, name string, size int) (*workload, error) {
	w := &workload{provider: p, key: webhook.NewSecret(p.Info().DevelopmentKey)}
	file, err := examples.FS.ReadFile(p.Info().Name + "/" + name + ".json")
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(file, &w.proxy); err != nil {
		return nil, err
	}
	if w.request, err = apigw.Request(w.proxy); err != nil {
		return nil, err
	}
	w.request.Body = lengthen(w.request.Body, size)
	ids, err := p.Identify(w.request)
	if err != nil {
		return nil, err
	}
	w.agreement = ids[0].AgreementID
	if len(w.agreement) < digits || !bytes.Contains(w.request.Body, []byte(w.agreement)) {
		return nil, fmt.Errorf("bench: %s of %s: no agreement to replace", name, p.Info().Name)
	}
	return w, nil
}

// lengthen adds a field to the last JSON object in a body.
func lengthen(body []byte, size int) []byte {
	end := bytes.LastIndexByte(body, '}')
	filler := size - len(body) - len(`,"filler":""`)
	if end < 0 || filler <= 0 {
		return body
	}
	return bytes.Join([][]byte{body[:end], []byte(`,"filler":"`), bytes.Repeat([]byte("x"), filler), []byte(`"`), body[end:]}, nil)
}

// digits is how many characters of an agreement's ID are replaced, its last ones.
const digits = 12

// id is the agreement's ID with a number in it.
func (w *workload) id(n int) string {
	return w.agreement[:len(w.agreement)-digits] + fmt.Sprintf("%0*d", digits, n)
}

// about makes a request about an agreement.
func (w *workload) about(id string) (*webhook.Request, error) {
	r := *w.request
	r.Header = w.request.Header.Clone()
	r.Body = bytes.ReplaceAll(w.request.Body, []byte(w.agreement), []byte(id))
	return &r, w.provider.Sign(&r, w.key, time.Now())
}

// fresh makes the proxy event of a request about a new agreement.
func (w *workload) fresh() ([]byte, error) {
	w.serial++
	r, err := w.about(w.id(w.serial))
	if err != nil {
		return nil, err
	}
	return w.event(r)
}

// forged makes the proxy event of a request that is signed under another key, and has neither a client ID nor a URL token
// that is known.
func (w *workload) forged() ([]byte, error) {
	w.serial++
	r, err := w.about(w.id(w.serial))
	if err != nil {
		return nil, err
	}
	if err := w.provider.Sign(r, webhook.NewSecret("forged"), time.Now()); err != nil {
		return nil, err
	}
	return w.event(r)
}

// event is a request as API Gateway gives it to the function.
func (w *workload) event(r *webhook.Request) ([]byte, error) {
	e := w.proxy
	e.Resource, e.PathParameters = e.Resource+"/{token}", map[string]string{"token": urlToken}
	e.Headers, e.MultiValueHeaders = map[string]string{}, r.Header
	for name, values := range r.Header {
		e.Headers[name] = values[0]
	}
	e.MultiValueQueryStringParameters, e.QueryStringParameters = r.Query, map[string]string{}
	for name, values := range r.Query {
		e.QueryStringParameters[name] = values[0]
	}
	e.Body = string(r.Body)
	if e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(r.Body)
	}
	return json.Marshal(e)
}

// post makes a request for the gateway on localhost, without the headers of the transport.
func (w *workload) post(gateway, id string) (*http.Request, error) {
	r, err := w.about(id)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequest(http.MethodPost, gateway+"/webhooks/"+w.provider.Info().Name, bytes.NewReader(r.Body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.Header {
		if !strings.HasPrefix(name, "X-Forwarded-") && name != "Host" && name != "Content-Length" {
			request.Header[name] = values
		}
	}
	return request, nil
}

// completed makes a workload of a provider's example of a completed agreement.
func completed(p webhook.Provider, size int) (*workload, error) {
	name, err := sample.Completed(p)
	if err != nil {
		return nil, err
	}
	return newWorkload(p, name, size)
}

// batch makes the event that the worker gets for deliveries: one about each of these agreements, of events that were never
// seen.
func (w *workload) batch(agreements []string) ([]byte, error) {
	var batch events.SQSEvent
	for _, agreement := range agreements {
		w.serial++
		r, err := w.about(agreement)
		if err != nil {
			return nil, err
		}
		ids, err := w.provider.Identify(r)
		if err != nil {
			return nil, err
		}
		m, _ := queue.Encode(&webhook.Delivery{
			Provider: w.provider.Info().Name, EventID: webhook.EventID("bench", fmt.Sprint(w.serial)), Subject: ids[0].Subject,
			ReceivedAt: time.Now(), Proof: "signed", ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
		})
		batch.Records = append(batch.Records, record(m, w.serial))
	}
	return json.Marshal(batch)
}

// record is a message in the event of Lambda's event source mapping.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html, read 2026-11-24.
func record(m queue.Message, serial int) events.SQSMessage {
	r := events.SQSMessage{
		MessageId: fmt.Sprintf("%08x-9d0d-4d57-8fca-0d7f6c1f0a11", serial), ReceiptHandle: strings.Repeat("A", 400), Body: m.Body,
		Attributes: map[string]string{
			"ApproximateReceiveCount": "1", "SentTimestamp": "1793611800000", "SequenceNumber": "18849496460467696128",
			"MessageGroupId": m.Group, "SenderId": "AROAEXAMPLE:bench", "MessageDeduplicationId": m.DeduplicationID,
			"ApproximateFirstReceiveTimestamp": "1793611800100",
		},
		MessageAttributes: map[string]events.SQSMessageAttribute{}, EventSource: "aws:sqs", AWSRegion: "eu-central-1",
		EventSourceARN: "arn:aws:sqs:eu-central-1:123456789012:deliveries.fifo",
	}
	for name, value := range m.Attributes {
		r.MessageAttributes[name] = events.SQSMessageAttribute{DataType: "String", StringValue: &value}
	}
	return r
}
