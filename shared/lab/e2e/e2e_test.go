// Package e2e holds the test of the real template, deployed with `sam deploy` to the AWS endpoint that the environment
// names: an emulator, or a real account.
//
// Where the emulator (localemu 1.3) differs from AWS, and what is checked instead:
//   - it accepts alarms, the access log and its metric filter, TLS policy, throttling, gateway responses, point-in-time
//     recovery and log retention, but they do nothing; it does not enforce IAM. These are checked by cfn-lint and by
//     shared/lab/template;
//   - it makes no metrics of log lines: the lines themselves are checked;
//   - a restore copies a table as it is now, and at once. There is no previous template: see onEmulator;
//   - the APIs' host names do not resolve: see deployment.reachable;
//   - the table's stream omits Updates within a transaction, which commit the events: see deployment.emit. The publisher
//     is tested with a stream's real images on DynamoDB Local;
//   - the vendors' APIs are stubs on this machine, which AWS cannot reach: on a real account those steps are skipped.
//     The two functions that call them get the stub's certificate with their code: see vendors.trust;
//   - replacing the API's deployment deletes its stage: see keepDeployment;
//   - an update whose conditions remove resources is refused: vendors are disabled and enabled on a real account only;
//   - a transaction fails with 500 if it conflicts with another write, and the delivery waits for the queue's visibility
//     timeout. It also undoes what was written meanwhile, even a commit. So requests are sent one after the other, each
//     when the last one is processed; a receiver that answers 503 gets the request again.
package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	dynamodbtypes "github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/jsonschema-go/jsonschema"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/provider/adobesign"
	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/sample"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/item"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/sqs"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// TestDeployed is what `make e2e` runs.
func TestDeployed(t *testing.T) {
	if os.Getenv("SAM") == "" {
		t.Skip("it deploys to AWS or an emulator: make e2e")
	}
	t.Parallel() // as TestUpgrade, since both wait most of the time
	d := deploy(t)
	d.catchAll()
	d.deployReadmeRule()
	for _, step := range []struct {
		name string
		run  func(*deployment)
	}{
		{"every vendor gets its acknowledgement", (*deployment).acknowledgements},
		{"every example is in the table and on the bus", (*deployment).examples},
		{"an agreement completes once for twenty redeliveries", (*deployment).redeliveries},
		{"the order of one agreement is kept", (*deployment).order},
		{"a large payload goes through the bucket", (*deployment).large},
		{"a forgery leaves nothing behind", (*deployment).forgeries},
		{"what cannot be read is among the dead letters, and comes back", (*deployment).unreadable},
		{"what can never be published is kept whole", (*deployment).unpublishable},
		{"an operator inspects and replays", (*deployment).operate},
		{"without credentials nobody is asked", (*deployment).off},
		{"a completion is confirmed and archived", (*deployment).archived},
		{"a forged completion is not", (*deployment).forgedCompletion},
		{"a completion without a webhook is found", (*deployment).unreported},
		{"an operator registers the URLs", (*deployment).registration},
		{"an operator follows the runbooks", (*deployment).runbooks},
		{"a second deployment keeps keys and history", (*deployment).again},
		{"a vendor is disabled and enabled again", (*deployment).disable},
		{"metrics are written", (*deployment).metrics},
		{"the tokens are nowhere", (*deployment).secrecy},
	} {
		t.Run(step.name, func(t *testing.T) {
			d.t = t
			step.run(d)
		})
		d.t = t
	}
}

// send posts a request to a provider's URL.
func (d *deployment) send(p webhook.Provider, r *webhook.Request) (*http.Response, string) {
	d.t.Helper()
	return d.sendTo(d.urls[p.Info().Name], r)
}

func (d *deployment) sendTo(address string, r *webhook.Request) (*http.Response, string) {
	d.t.Helper()
	request, err := http.NewRequestWithContext(d.t.Context(), r.Method, address, bytes.NewReader(r.Body))
	must(d.t, err)
	request.URL.RawQuery = r.Query.Encode()
	for name, values := range r.Header {
		if name != "Host" && name != "Content-Length" && name != "Accept-Encoding" {
			request.Header[name] = values
		}
	}
	answer, err := (&http.Client{Timeout: time.Minute}).Do(request)
	must(d.t, err)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	must(d.t, err)
	return answer, string(body)
}

// accepted sends a genuine request and expects the provider's acknowledgement, byte for byte. A write beside a
// transaction may fail on the emulator; then it sends the request again, as the vendor does.
func (d *deployment) accepted(p webhook.Provider, r *webhook.Request) {
	d.t.Helper()
	answer, body := d.send(p, r)
	for attempt := 0; d.endpoint != "" && answer.StatusCode == http.StatusServiceUnavailable && attempt < 3; attempt++ {
		time.Sleep(time.Second)
		answer, body = d.send(p, r)
	}
	want := p.Acknowledge(r)
	if answer.StatusCode != want.Status || body != string(want.Body) {
		d.t.Errorf("%s: %d %q, want %d %q", p.Info().Name, answer.StatusCode, body, want.Status, want.Body)
	}
	for name, values := range want.Header {
		if got := answer.Header.Get(name); got != values[0] {
			d.t.Errorf("%s: header %s is %q, want %q", p.Info().Name, name, got, values[0])
		}
	}
}

// fresh makes a genuine request of an example; without an agreement's ID about a new one.
func (d *deployment) fresh(p webhook.Provider, example, agreement string) (*webhook.Request, string) {
	d.t.Helper()
	r, id, err := sample.Request(p, example, agreement, d.keys[p.Info().Name], time.Now())
	must(d.t, err)
	return r, id
}

// signed makes a DocuSign request with this body.
func (d *deployment) signed(body string) *webhook.Request {
	d.t.Helper()
	r := &webhook.Request{Method: "POST", Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte(body)}
	must(d.t, docusign.Provider{}.Sign(r, d.keys["docusign"], time.Now()))
	return r
}

// envelope sends events of a new DocuSign envelope, one after the other. On the emulator each must be processed before
// the next is sent: a transaction that fails would undo the writes beside it.
func (d *deployment) envelope(id string, events ...string) {
	d.t.Helper()
	for i, event := range events {
		d.accepted(docusign.Provider{}, d.signed(fmt.Sprintf(`{"event":%q,"data":{"envelopeId":%q}}`, event, id)))
		if d.endpoint != "" {
			d.history("docusign#"+id, i+1)
		}
	}
}

func (d *deployment) acknowledgements() {
	for _, p := range provider.All() {
		example, err := sample.Completed(p)
		must(d.t, err)
		r, id := d.fresh(p, example, "")
		d.accepted(p, r)
		d.completed(p, id)
		d.first = webhook.AgreementSubject(p.Info().Name, id)
	}
	challenge, _ := d.fresh(adobesign.Provider{}, "verification", "")
	d.accepted(adobesign.Provider{}, challenge)
}

// completed waits until the agreement is in the table.
func (d *deployment) completed(p webhook.Provider, id string) {
	d.t.Helper()
	d.eventually("agreement "+id, func() (string, bool) {
		agreement, _, err := d.ledger.Agreement(d.t.Context(), webhook.AgreementSubject(p.Info().Name, id))
		return fmt.Sprintf("%+v, %v", agreement, err), err == nil && agreement.Status == esign.Completed
	})
}

// eventually waits until done, and otherwise fails with what was seen last.
func (d *deployment) eventually(what string, done func() (seen string, ok bool)) {
	d.t.Helper()
	for start := time.Now(); ; time.Sleep(150 * time.Millisecond) {
		seen, ok := done()
		if ok {
			return
		}
		if time.Since(start) > 5*time.Minute {
			d.t.Fatalf("%s: %s", what, seen)
		}
	}
}

// history waits until all events of a subject are processed, and there are at least so many.
func (d *deployment) history(subject string, n int) (history []ledger.Entry) {
	d.t.Helper()
	d.eventually("history of "+subject, func() (string, bool) {
		var err error
		history, err = d.ledger.History(d.t.Context(), subject)
		unprocessed := slices.ContainsFunc(history, func(e ledger.Entry) bool { return e.State != ledger.Processed })
		return fmt.Sprintf("%+v, %v", history, err), err == nil && !unprocessed && len(history) >= n
	})
	d.emit(subject)
	return history
}

// emit makes the emulator's stream emit a subject's commits. It deletes and rewrites each committed item, as if it had
// just been committed. On AWS the stream has emitted them already.
func (d *deployment) emit(subject string) {
	d.t.Helper()
	if d.endpoint == "" {
		return
	}
	table := aws.String(d.outputs["TableName"])
	out, err := d.table.Query(d.t.Context(), &awsdynamodb.QueryInput{
		TableName: table, KeyConditionExpression: aws.String("pk = :subject"),
		FilterExpression:         aws.String("#state = :processed"),
		ExpressionAttributeNames: map[string]string{"#state": "state"},
		ExpressionAttributeValues: map[string]dynamodbtypes.AttributeValue{
			":subject": text(subject), ":processed": text("processed"),
		},
	})
	must(d.t, err)
	for _, item := range out.Items {
		key := map[string]dynamodbtypes.AttributeValue{"pk": item["pk"], "sk": item["sk"]}
		id := item["sk"].(*dynamodbtypes.AttributeValueMemberS).Value
		if d.emitted[id] {
			continue
		}
		d.emitted[id] = true
		_, err := d.table.DeleteItem(d.t.Context(), &awsdynamodb.DeleteItemInput{TableName: table, Key: key})
		must(d.t, err)
		_, err = d.table.PutItem(d.t.Context(), &awsdynamodb.PutItemInput{TableName: table, Item: item})
		must(d.t, err)
	}
}

func text(s string) dynamodbtypes.AttributeValue {
	return &dynamodbtypes.AttributeValueMemberS{Value: s}
}

// message is an event as a target of a rule gets it.
type message struct {
	events.EventBridgeEvent
	detail bus.Detail
}

// take takes messages out of the queue of a target.
func (d *deployment) take(queueURL string) (messages []message) {
	d.t.Helper()
	for _, m := range d.receive(queueURL) {
		var got message
		must(d.t, json.Unmarshal([]byte(*m.Body), &got.EventBridgeEvent))
		must(d.t, json.Unmarshal(got.Detail, &got.detail))
		messages = append(messages, got)
		d.discard(queueURL, m)
	}
	return messages
}

// receive takes what a queue holds.
func (d *deployment) receive(queueURL string) []sqstypes.Message {
	d.t.Helper()
	out, err := d.sqs.ReceiveMessage(d.t.Context(), &awssqs.ReceiveMessageInput{
		QueueUrl: &queueURL, MaxNumberOfMessages: 10, WaitTimeSeconds: 1, MessageAttributeNames: []string{"All"},
	})
	must(d.t, err)
	return out.Messages
}

func (d *deployment) discard(queueURL string, m sqstypes.Message) {
	d.t.Helper()
	_, err := d.sqs.DeleteMessage(d.t.Context(),
		&awssqs.DeleteMessageInput{QueueUrl: &queueURL, ReceiptHandle: m.ReceiptHandle})
	must(d.t, err)
}

// published waits until n such events have come over the bus, and returns all that have.
func (d *deployment) published(what string, n int, such func(bus.Detail) bool) (found []message) {
	d.t.Helper()
	d.eventually("on the bus: "+what, func() (string, bool) {
		found = slices.DeleteFunc(slices.Clone(d.bus), func(m message) bool { return !such(m.detail) })
		if len(found) < n {
			d.bus = append(d.bus, d.take(d.caught)...)
		}
		return fmt.Sprintf("%d, and %d others", len(found), len(d.bus)-len(found)), len(found) >= n
	})
	return found
}

// examples sends every example, and compares the table and the bus with each other and with the published schema.
func (d *deployment) examples() {
	type sent struct{ subject, event string }
	var all []sent
	for _, p := range provider.All() {
		before := len(all)
		for _, name := range sample.Names(p) {
			r, _ := d.fresh(p, name, "")
			if r.Method != http.MethodPost {
				continue
			}
			d.accepted(p, r)
			ids, err := p.Identify(r)
			must(d.t, err)
			for _, id := range ids {
				all = append(all, sent{id.Subject, id.EventID})
				d.history(id.Subject, 1)
			}
		}
		if len(all)-before < 10 {
			d.t.Errorf("only %d events of %s", len(all)-before, p.Info().Name)
		}
	}
	for _, s := range all {
		d.compare(d.history(s.subject, 1), s.event)
		d.sizes(s.subject)
	}
}

// compare compares an event in the table with what is on the bus, in the schema and in the archive.
func (d *deployment) compare(history []ledger.Entry, eventID string) {
	d.t.Helper()
	file, err := os.ReadFile(filepath.Join(webhooktest.Root(d.t), "shared/store/bus/detail.schema.json"))
	must(d.t, err)
	var source jsonschema.Schema
	must(d.t, json.Unmarshal(file, &source))
	schema, err := source.Resolve(nil)
	must(d.t, err)
	i := slices.IndexFunc(history, func(e ledger.Entry) bool { return e.ID == eventID })
	if i < 0 {
		d.t.Fatalf("%s is not in %+v", eventID, history)
	}
	entry := history[i]
	want := bus.EventOf(entry)
	got := d.published(eventID, 1, func(e bus.Detail) bool { return e.EventID == eventID })[0]
	if got.Source != want.Source || got.DetailType != want.DetailType || !got.Time.Equal(want.Time.Truncate(time.Second)) {
		d.t.Errorf("envelope %+v of %+v", got, want)
	}
	if diff := cmp.Diff(want.Detail, got.detail); diff != "" {
		d.t.Error(diff)
	}
	var detail any
	must(d.t, json.Unmarshal(got.Detail, &detail))
	if err := schema.Validate(detail); err != nil {
		d.t.Errorf("%s: %v", got.Detail, err)
	}
	archived, err := d.s3.GetObject(d.t.Context(), &awss3.GetObjectInput{
		Bucket: aws.String(d.outputs["ArchiveBucketName"]), Key: aws.String(payload.ArchiveKey(entry.Provider, entry.SHA256)),
	})
	if err != nil || aws.ToInt64(archived.ContentLength) != int64(entry.Size) {
		d.t.Errorf("archive: %+v, %v", archived, err)
	}
}

func (d *deployment) redeliveries() {
	id := "again-" + random(8)
	subject := "docusign#" + id
	for i := range 20 {
		d.accepted(docusign.Provider{},
			d.signed(fmt.Sprintf(`{"event":"envelope-completed","retryCount":%d,"data":{"envelopeId":%q}}`, i, id)))
		if i == 0 && d.endpoint != "" { // see emit: an UpdateItem beside the commit would make the stream emit the commit too
			d.history(subject, 1)
		}
	}
	history := d.history(subject, 1)
	if n := history[0].Duplicates; len(history) != 1 || n < 10 || n > 19 { // counting is best effort
		d.t.Errorf("%+v", history)
	}
	if _, version, err := d.ledger.Agreement(d.t.Context(), subject); err != nil || version != 1 {
		d.t.Errorf("version %d, %v", version, err)
	}
	// At least once is what EventBridge promises; here nothing fails.
	time.Sleep(3 * time.Second)
	d.bus = append(d.bus, d.take(d.caught)...)
	published := d.published(id, 1, func(e bus.Detail) bool { return e.Event.AgreementID == id })
	if len(published) != 1 || !published[0].detail.StatusChanged || published[0].detail.StatusAfter != esign.Completed {
		d.t.Errorf("published: %+v", published)
	}
}

func (d *deployment) order() {
	id := "order-" + random(8)
	sent := []string{"envelope-created", "envelope-sent", "envelope-delivered", "envelope-completed"}
	d.envelope(id, sent...)
	var committed []string
	for _, e := range ledger.InOrderOfCommits(d.history("docusign#"+id, len(sent))) {
		committed = append(committed, e.VendorType)
	}
	if diff := cmp.Diff(sent, committed); diff != "" {
		d.t.Error(diff)
	}
	entered, seen := map[esign.Status]int{}, map[string]bool{}
	for _, m := range d.published(id, len(sent),
		func(e bus.Detail) bool { return e.Event.AgreementID == id && e.StatusChanged }) {
		if !seen[m.detail.EventID] { // EventBridge delivers at least once
			entered[m.detail.StatusAfter]++
		}
		seen[m.detail.EventID] = true
	}
	if diff := cmp.Diff(map[esign.Status]int{"created": 1, "sent": 1, "viewed": 1, "completed": 1}, entered); diff != "" {
		d.t.Errorf("each status is entered once: %s", diff)
	}
}

// sizes expects that each event of a subject takes one KB at most, which the bill counts on.
func (d *deployment) sizes(subject string) {
	out, err := d.table.Query(d.t.Context(), &awsdynamodb.QueryInput{
		TableName: aws.String(d.outputs["TableName"]), KeyConditionExpression: aws.String("pk = :subject"),
		ExpressionAttributeValues: map[string]dynamodbtypes.AttributeValue{":subject": text(subject)},
	})
	must(d.t, err)
	for _, stored := range out.Items {
		if stored["state"] == nil { // the agreement
			continue
		}
		size := 0
		for name, v := range stored {
			switch v := v.(type) {
			case *dynamodbtypes.AttributeValueMemberS:
				size += len(name) + len(v.Value)
			case *dynamodbtypes.AttributeValueMemberB:
				size += len(name) + len(v.Value)
			case *dynamodbtypes.AttributeValueMemberN:
				size += len(name) + 1 + (len(v.Value)+1)/2
			case *dynamodbtypes.AttributeValueMemberSS:
				size += len(name) + len(strings.Join(v.Value, ""))
			}
		}
		if size > item.Unit {
			d.t.Errorf("an event of %s takes %d bytes", subject, size)
		}
	}
}

// large sends what does not fit in a message. The emulator's gateway takes no more than some 6 MB.
func (d *deployment) large() {
	id := "large-" + random(8)
	r := d.signed(fmt.Sprintf(`{"event":"envelope-completed","data":{"envelopeId":%q,"filler":%q}}`, id,
		strings.Repeat("x", 3<<20)))
	d.accepted(docusign.Provider{}, r)
	if history := d.history("docusign#"+id, 1); history[0].Size != len(r.Body) ||
		history[0].StatusAfter != esign.Completed {
		d.t.Errorf("%+v", history)
	}
}

func (d *deployment) forgeries() {
	for _, p := range provider.All() {
		example, err := sample.Completed(p)
		must(d.t, err)
		r, id, err := sample.Request(p, example, "", webhook.NewSecret("not the key"), time.Now())
		must(d.t, err)
		answer, body := d.send(p, r)
		if answer.StatusCode != 401 || body != "" {
			d.t.Errorf("%s: a forgery got %d %q", p.Info().Name, answer.StatusCode, body)
		}
		if !p.Info().SignsAll {
			genuine, _ := d.fresh(p, example, id)
			address := d.urls[p.Info().Name]
			for _, wrong := range []string{address[:strings.LastIndex(address, "/")], address + "x"} {
				if answer, body := d.sendTo(wrong, genuine); answer.StatusCode != 404 || body != "" {
					d.t.Errorf("%s without its token: %d %q", p.Info().Name, answer.StatusCode, body)
				}
			}
		}
		time.Sleep(time.Second)
		history, err := d.ledger.History(d.t.Context(), webhook.AgreementSubject(p.Info().Name, id))
		if err != nil || len(history) > 0 {
			d.t.Errorf("%s: a forgery left %+v, %v", p.Info().Name, history, err)
		}
	}
}

// deadLetters looks at the dead letters without taking them.
func (d *deployment) deadLetters() []string {
	d.t.Helper()
	var bodies []string
	url := d.outputs["DeadLetterQueueUrl"]
	for _, m := range d.receive(url) {
		bodies = append(bodies, *m.Body)
		_, err := d.sqs.ChangeMessageVisibility(d.t.Context(),
			&awssqs.ChangeMessageVisibilityInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle, VisibilityTimeout: 0})
		must(d.t, err)
	}
	return bodies
}

func (d *deployment) unreadable() {
	r := d.signed(`{"event":"envelope-completed","data":{` + random(8))
	d.accepted(docusign.Provider{}, r)
	set := func() (string, bool) {
		letters := d.deadLetters()
		return fmt.Sprint(letters), slices.Equal(letters, []string{string(r.Body)})
	}
	d.eventually("the dead letter", set)
	d.eventually("the mark", func() (string, bool) {
		history, err := d.ledger.History(d.t.Context(), webhook.UnreadableSubject("docusign"))
		return fmt.Sprintf("%+v, %v", history, err), err == nil && len(history) == 1 && history[0].State == ledger.Unreadable
	})
	// The tool fails if it sees the letter come back.
	if out, _ := d.try("make", "-s", "redrive", "STACK="+d.stack); !strings.Contains(out, "dead letters: 1 moved") {
		d.t.Error(out)
	}
	d.eventually("the dead letter, after the worker could not read it again", set)
	url := d.outputs["DeadLetterQueueUrl"]
	for _, m := range d.receive(url) {
		d.discard(url, m)
	}
}

// unpublishable puts an item into the table that no worker would, and repairs it.
func (d *deployment) unpublishable() {
	table := aws.String(d.outputs["TableName"])
	key := map[string]dynamodbtypes.AttributeValue{"pk": text("docusign#poison"), "sk": text(strings.Repeat("0", 64))}
	item := maps.Clone(key)
	item["state"], item["event"], item["processedAt"] = text("processed"), text("no event"), text(time.Now().UTC().Format(time.RFC3339Nano))
	_, err := d.table.PutItem(d.t.Context(), &awsdynamodb.PutItemInput{TableName: table, Item: item})
	must(d.t, err)
	defer func() {
		_, err := d.table.DeleteItem(d.t.Context(), &awsdynamodb.DeleteItemInput{TableName: table, Key: key})
		must(d.t, err)
	}()
	var object string
	d.eventually("the kept record", func() (string, bool) {
		out, err := d.s3.ListObjectsV2(d.t.Context(),
			&awss3.ListObjectsV2Input{Bucket: aws.String(d.resources["PayloadBucket"]), Prefix: aws.String("unpublished/")})
		must(d.t, err)
		if len(out.Contents) == 1 {
			object = *out.Contents[0].Key
		}
		return fmt.Sprintf("%d objects", len(out.Contents)), object != ""
	})
	id := "after-" + random(8)
	d.envelope(id, "envelope-sent")
	d.history("docusign#"+id, 1)
	d.published(id, 1, func(e bus.Detail) bool { return e.Event.AgreementID == id }) // nothing waits behind it
	if out, err := d.try("make", "-s", "redrive", "STACK="+d.stack); err == nil || !strings.Contains(out, object) {
		d.t.Errorf("redriving what cannot be published: %v\n%s", err, out)
	}
	_, err = d.s3.DeleteObject(d.t.Context(),
		&awss3.DeleteObjectInput{Bucket: aws.String(d.resources["PayloadBucket"]), Key: &object})
	must(d.t, err)
	d.make("redrive")
}

func (d *deployment) operate() {
	id := "replay-" + random(8)
	d.envelope(id, "envelope-sent", "envelope-completed")
	before := d.history("docusign#"+id, 2)
	for _, want := range []string{id, "completed", "envelope-sent", before[0].ID} {
		if out := d.make("inspect", "PROVIDER=docusign", "ID="+id); !strings.Contains(out, want) {
			d.t.Errorf("inspect does not show %s:\n%s", want, out)
		}
	}
	d.make("replay", "PROVIDER=docusign", "ID="+id)
	for _, e := range before {
		replayed := d.published("replay of "+e.ID, 1,
			func(detail bus.Detail) bool { return detail.Replay && detail.EventID == e.ID })
		want := bus.EventOf(e).Detail
		want.Replay = true
		if diff := cmp.Diff(want, replayed[0].detail); diff != "" {
			d.t.Error(diff)
		}
	}
	from := before[0].ProcessedAt.Add(-time.Second).Format(time.RFC3339)
	d.make("replay", "FROM="+from, "TO="+time.Now().UTC().Add(time.Minute).Format(time.RFC3339))
	d.published("a replay of a time", 4,
		func(detail bus.Detail) bool { return detail.Replay && detail.Event.AgreementID == id })
	if out := d.make("replay", "REBUILD=1", "PROVIDER=docusign", "ID="+id); !strings.Contains(out, "no difference") {
		d.t.Error(out)
	}
	if diff := cmp.Diff(before, d.history("docusign#"+id, 2)); diff != "" {
		d.t.Errorf("a replay has changed the table: %s", diff)
	}
	if logs := d.follow(); !strings.Contains(logs, `"message":"processed"`) {
		d.t.Errorf("make logs shows %.2000s", logs)
	}
	urls := d.make("urls")
	for _, token := range d.tokens {
		if strings.Count(urls, token) != 1 {
			d.t.Error("urls does not show every token once")
		}
	}
	d.readmeRule()
}

// again deploys with another parameter. On the emulator, the runbook of the table has done that.
func (d *deployment) again() {
	if d.endpoint == "" {
		d.deployStack(d.stack, d.template, d.parameters("ArchiveDays=30", "LogRetentionDays=7"))
	}
	for _, p := range provider.All() {
		example, err := sample.Completed(p)
		must(d.t, err)
		r, id := d.fresh(p, example, "")
		d.accepted(p, r)
		d.completed(p, id)
	}
	if agreement, _, err := d.ledger.Agreement(d.t.Context(), d.first); err != nil || agreement.Status == "" {
		d.t.Errorf("the history is gone: %+v, %v", agreement, err)
	}
}

// disable disables a vendor: its URL is gone, and its messages in the queue are still processed. Enabled again, the
// vendor has a new secret. With the value of the old one, the registered URL works as before.
func (d *deployment) disable() {
	if d.endpoint != "" {
		d.t.Skip("the emulator refuses an update whose conditions remove resources: Unresolved resource dependencies")
	}
	p := provider.All()[0]
	name, resource := p.Info().Name, p.Info().Resource
	example, err := sample.Completed(p)
	must(d.t, err)
	old := d.output(p, "Secret")
	d.update(resource + "=disabled")
	for output := range d.outputs {
		if strings.HasPrefix(output, resource) {
			d.t.Errorf("output %s of a disabled vendor", output)
		}
	}
	for logical, physical := range d.resources {
		if strings.HasPrefix(logical, resource) {
			d.t.Errorf("resource %s of a disabled vendor: %s", logical, physical)
		}
	}
	r, id := d.fresh(p, example, "")
	if answer, body := d.send(p, r); answer.StatusCode != 403 && answer.StatusCode != 404 {
		d.t.Errorf("a disabled vendor got %d %q", answer.StatusCode, body)
	}
	d.enqueue(p, r)
	d.completed(p, id)
	d.envelope("other-"+random(8), "envelope-completed")
	d.reconcile()
	if urls := d.make("urls"); !strings.Contains(urls, "disabled: to receive its webhooks, deploy with "+resource+
		"=enabled") {
		d.t.Error("urls does not show how to enable the vendor")
	}
	if out, err := d.try("make", "-s", "register", "STACK="+d.stack, "PROVIDER="+name); err == nil ||
		!strings.Contains(out, "deploy with "+resource+"=enabled") {
		d.t.Errorf("%v: %s", err, out)
	}
	value, err := d.secrets.GetSecretValue(d.t.Context(), &secretsmanager.GetSecretValueInput{SecretId: &old})
	must(d.t, err)
	d.update()
	fresh := d.output(p, "Secret")
	d.retained = append(d.retained, old)
	if fresh == old {
		d.t.Error("the secret is the old one")
	}
	if urls := d.make("urls"); !strings.Contains(urls, "! The secret holds no keys") {
		d.t.Error("urls does not warn of the new secret")
	}
	_, err = d.secrets.PutSecretValue(d.t.Context(),
		&secretsmanager.PutSecretValueInput{SecretId: &fresh, SecretString: value.SecretString})
	must(d.t, err)
	r, id = d.fresh(p, example, "")
	d.accepted(p, r)
	d.completed(p, id)
}

// update deploys the same template with these parameters.
func (d *deployment) update(parameters ...string) {
	d.t.Helper()
	d.deployStack(d.stack, d.template, d.parameters(append([]string{"ArchiveDays=30"}, parameters...)...))
	d.outputs, d.resources = d.outputsOf(d.stack), d.resourcesOf(d.stack)
}

// enqueue puts the events of a genuine request into the queue, as the vendor's function would.
func (d *deployment) enqueue(p webhook.Provider, r *webhook.Request) {
	d.t.Helper()
	ids, err := p.Identify(r)
	must(d.t, err)
	for _, id := range ids {
		message, _ := queue.Encode(&webhook.Delivery{
			Provider: p.Info().Name, EventID: id.EventID, Subject: id.Subject, ReceivedAt: time.Now().UTC(),
			Proof: esign.ProofURLToken, ContentType: r.Header.Get("Content-Type"), Payload: r.Body,
		})
		must(d.t, sqs.New(d.sqs, d.outputs["QueueUrl"]).Send(d.t.Context(), message))
	}
}

// logs is what the functions have logged. One group at a time: sam leaves some out without a word if they are more than
// it has threads.
func (d *deployment) logs() string {
	d.t.Helper()
	var logs strings.Builder
	for logical := range d.resources {
		if function, ok := strings.CutSuffix(logical, "Logs"); ok && function != "Api" {
			logs.WriteString(d.logsOf(function))
		}
	}
	return logs.String()
}

// logsOf is what a function has logged. The emulator writes to the log groups that functions have without a
// configuration.
func (d *deployment) logsOf(function string) string {
	d.t.Helper()
	group := d.resources[function+"Logs"]
	if d.endpoint != "" {
		group = "/aws/lambda/" + d.resources[function+"Function"]
	}
	return d.sam("logs", "--start-time", "2hours ago", "--cw-log-group", group)
}

// metrics looks for every metric that alarms and dashboards refer to. CloudWatch makes them of the functions' log
// lines.
func (d *deployment) metrics() {
	logs := d.logs()
	if !strings.Contains(logs, `"Namespace": "esignhooks/`+d.stack+`"`) {
		d.t.Error("no metric is in the stack's namespace")
	}
	names := []string{"AcknowledgeTime", "Duplicate", "NoStatusChange", "Processed", "Received", "Refused", "Unpublished",
		"Unreadable", "WrongKey"}
	if d.endpoint != "" { // see needsVendors
		names = append(names, "Archived", "Confirmed", "Forged", "Parked", "Reconciled", "SubscriptionProblems")
	}
	for _, name := range names {
		if !strings.Contains(logs, `"Name": "`+name+`"`) {
			d.t.Errorf("no metric %s", name)
		}
	}
}

// secrecy looks for the tokens and keys in all that the stack shows.
func (d *deployment) secrecy() {
	var shown strings.Builder
	fmt.Fprintln(&shown, d.outputs, d.logs())
	for _, e := range d.bus {
		shown.Write(e.Detail)
	}
	pages := awsdynamodb.NewScanPaginator(d.table, &awsdynamodb.ScanInput{TableName: aws.String(d.outputs["TableName"])})
	items := 0
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		must(d.t, err)
		for _, item := range page.Items {
			items++
			for name, value := range item {
				if s, ok := value.(*dynamodbtypes.AttributeValueMemberS); ok {
					fmt.Fprintln(&shown, name, s.Value)
				}
			}
		}
	}
	if items < 50 || len(d.bus) < 50 {
		d.t.Errorf("only %d items and %d events to look at", items, len(d.bus))
	}
	for _, token := range d.tokens {
		if strings.Contains(shown.String(), token) {
			d.t.Error("a URL token is shown")
		}
	}
	for name, key := range d.keys {
		if strings.Contains(shown.String(), key.Reveal()) {
			d.t.Errorf("a key of %s is shown", name)
		}
	}
	if slices.ContainsFunc(d.apiSecrets(), func(secret string) bool { return strings.Contains(shown.String(), secret) }) {
		d.t.Error("credentials of a vendor's API are shown")
	}
}
