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
	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// workload makes genuine requests from a provider's example. They differ in the agreement's ID only.
type workload struct {
	provider  webhook.Provider
	proxy     events.APIGatewayProxyRequest // the example
	request   *webhook.Request              // the example
	agreement string                        // in request
	key       webhook.Secret
	serial    int
}

// digits is how many characters at the end of an agreement's ID are replaced by a number.
const digits = 12

// newWorkload makes bodies of at least size bytes: it adds a field without meaning to the example.
func newWorkload(p webhook.Provider, name string, size int) *workload {
	w := &workload{provider: p, key: webhook.NewSecret(p.Info().DevelopmentKey)}
	check(json.Unmarshal(must(examples.FS.ReadFile(p.Info().Name+"/"+name+".json")), &w.proxy))
	w.request = must(apigw.Request(w.proxy))
	body := w.request.Body
	end := bytes.LastIndexByte(body, '}') // of the last JSON object
	if filler := size - len(body) - len(`,"filler":""`); filler > 0 && end >= 0 {
		w.request.Body = fmt.Appendf(nil, `%s,"filler":"%s"%s`, body[:end], strings.Repeat("x", filler), body[end:])
	}
	w.agreement = must(p.Identify(w.request))[0].AgreementID
	if len(w.agreement) < digits || !bytes.Contains(w.request.Body, []byte(w.agreement)) {
		check(fmt.Errorf("bench: %s of %s: the body does not contain the agreement's ID", name, p.Info().Name))
	}
	return w
}

// completed makes requests from the provider's example of a completed agreement.
func completed(p webhook.Provider, size int) *workload {
	return newWorkload(p, must(sample.Completed(p)), size)
}

// id returns the agreement's ID with a number in it.
func (w *workload) id(n int) string {
	return fmt.Sprintf("%s%0*d", w.agreement[:len(w.agreement)-digits], digits, n)
}

// about returns a request about an agreement, signed with a key.
func (w *workload) about(id string, key webhook.Secret) *webhook.Request {
	r := *w.request
	r.Header = w.request.Header.Clone()
	r.Body = bytes.ReplaceAll(w.request.Body, []byte(w.agreement), []byte(id))
	check(w.provider.Sign(&r, key, time.Now()))
	return &r
}

// fresh returns the proxy event of a request about a new agreement.
func (w *workload) fresh() []byte { return w.event(w.key) }

// forged returns the proxy event of a request that is not genuine.
func (w *workload) forged() []byte { return w.event(webhook.NewSecret("forged")) }

func (w *workload) event(key webhook.Secret) []byte {
	w.serial++
	r := w.about(w.id(w.serial), key)
	e := w.proxy
	e.Resource, e.PathParameters = e.Resource+"/{token}", map[string]string{"token": urlToken}
	first := func(values map[string][]string) map[string]string {
		single := map[string]string{}
		for name, v := range values {
			single[name] = v[0]
		}
		return single
	}
	e.Headers, e.MultiValueHeaders = first(r.Header), r.Header
	e.QueryStringParameters, e.MultiValueQueryStringParameters = first(r.Query), r.Query
	e.Body = string(r.Body)
	if e.IsBase64Encoded {
		e.Body = base64.StdEncoding.EncodeToString(r.Body)
	}
	return must(json.Marshal(e))
}

// post returns a request to the local gateway, without the headers that a client sets itself.
func (w *workload) post(gateway, id string) *http.Request {
	r := w.about(id, w.key)
	request := must(http.NewRequest(http.MethodPost, gateway+"/webhooks/"+w.provider.Info().Name, bytes.NewReader(r.Body)))
	for name, values := range r.Header {
		if !strings.HasPrefix(name, "X-Forwarded-") && name != "Host" && name != "Content-Length" {
			request.Header[name] = values
		}
	}
	return request
}

// delivery returns a genuine delivery about an agreement.
func (w *workload) delivery(id string) *webhook.Delivery {
	r := w.about(id, w.key)
	i := must(w.provider.Identify(r))[0]
	return &webhook.Delivery{
		Provider: w.provider.Info().Name, EventID: i.EventID, Subject: i.Subject, ReceivedAt: time.Now().UTC(),
		Proof: esign.ProofSigned, ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
	}
}

// batch returns the worker's event of new deliveries, one about each of these agreements.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html, read 2026-11-24.
func (w *workload) batch(agreements []string) []byte {
	var batch events.SQSEvent
	for _, agreement := range agreements {
		w.serial++
		d := w.delivery(agreement)
		d.EventID = webhook.EventID("bench", fmt.Sprint(w.serial))
		m, _ := queue.Encode(d)
		r := events.SQSMessage{
			MessageId:     fmt.Sprintf("%08x-9d0d-4d57-8fca-0d7f6c1f0a11", w.serial),
			ReceiptHandle: strings.Repeat("A", 400), Body: m.Body,
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
		batch.Records = append(batch.Records, r)
	}
	return must(json.Marshal(batch))
}
