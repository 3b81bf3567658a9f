// Package queuetest is the suite that every driver of the queue passes. It tests the behaviour of SQS FIFO on which the
// worker relies.
package queuetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/payload/folder"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// Queue is a queue with the consumer's side, which Lambda implements on AWS.
type Queue interface {
	queue.Sender
	// Receive returns up to limit messages. It returns none if none arrives within a short wait.
	Receive(ctx context.Context, limit int) ([]queue.Received, error)
	Delete(ctx context.Context, receipt string) error
}

// The configuration of the queues that the suite needs.
const (
	Visibility  = 2 * time.Second
	MaxReceives = 3
)

// Open returns an empty queue and its empty dead-letter queue.
type Open func(t *testing.T) (main, deadLetters Queue)

// Run runs the suite on a real engine, in real time.
func Run(t *testing.T, open Open) {
	run(t, open, func(t *testing.T, test func(*testing.T)) { test(t) })
}

// RunInBubble runs each test of the suite in a synctest bubble, and opens the queues inside it.
func RunInBubble(t *testing.T, open Open) { run(t, open, synctest.Test) }

func run(t *testing.T, open Open, around func(*testing.T, func(*testing.T))) {
	for name, test := range map[string]func(*testing.T, Queue, Queue){
		"a group is delivered in order":                             testOrder,
		"a message in flight blocks its group only":                 testGroups,
		"a batch may hold several messages of a group":              testBatch,
		"a duplicate is dropped, even after the message is deleted": testDeduplication,
		"an undeleted message is redelivered in order, and counted": testVisibility,
		"a message received too often goes to the dead letters":     testDeadLetters,
		"an expired receipt deletes nothing":                        testReceipt,
		"bodies and attributes are unchanged":                       testContents,
		"the largest message is accepted, a larger one refused":     testSize,
		"deliveries of every kind survive encoding and transport":   testDeliveries,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			around(t, func(t *testing.T) {
				main, deadLetters := open(t)
				test(t, main, deadLetters)
			})
		})
	}
}

func message(group, id string) queue.Message {
	return queue.Message{
		Group: group, DeduplicationID: id, Body: "body of " + id, Attributes: map[string]string{"eventId": id},
	}
}

func send(t *testing.T, q Queue, messages ...queue.Message) {
	t.Helper()
	for _, m := range messages {
		if err := q.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
}

// receive calls Receive once, and checks which messages it returns.
func receive(t *testing.T, q Queue, limit int, want ...string) []queue.Received {
	t.Helper()
	received, err := q.Receive(t.Context(), limit)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range received {
		got = append(got, r.Attributes["eventId"])
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("received: %s", diff)
	}
	return received
}

func remove(t *testing.T, q Queue, received ...queue.Received) {
	t.Helper()
	for _, r := range received {
		if err := q.Delete(t.Context(), r.Receipt); err != nil {
			t.Fatal(err)
		}
	}
}

// expire waits until all messages in flight are visible again.
func expire() { time.Sleep(Visibility + time.Second) }

func testOrder(t *testing.T, q, _ Queue) {
	for i := range 5 {
		send(t, q, message("g", fmt.Sprint(i)))
	}
	for i := range 5 {
		remove(t, q, receive(t, q, 1, fmt.Sprint(i))...)
	}
	receive(t, q, 1)
}

func testGroups(t *testing.T, q, _ Queue) {
	send(t, q, message("g", "g1"), message("g", "g2"), message("h", "h1"))
	first := receive(t, q, 1, "g1")
	second := receive(t, q, 1, "h1")
	receive(t, q, 1)
	remove(t, q, second...)
	receive(t, q, 1)
	remove(t, q, first...)
	remove(t, q, receive(t, q, 1, "g2")...)
}

func testBatch(t *testing.T, q, _ Queue) {
	send(t, q, message("g", "1"), message("g", "2"), message("g", "3"))
	received := receive(t, q, 10, "1", "2", "3")
	remove(t, q, received[0], received[1])
	receive(t, q, 10) // the third is still in flight
	expire()
	remove(t, q, receive(t, q, 10, "3")...)
}

func testDeduplication(t *testing.T, q, _ Queue) {
	send(t, q, message("g", "1"), message("g", "1"))
	remove(t, q, receive(t, q, 10, "1")...)
	send(t, q, message("g", "1"))
	receive(t, q, 10)
	send(t, q, message("g", "2"))
	remove(t, q, receive(t, q, 10, "2")...)
}

func testVisibility(t *testing.T, q, _ Queue) {
	send(t, q, message("g", "1"), message("g", "2"))
	if first := receive(t, q, 10, "1", "2"); first[0].Receives != 1 {
		t.Errorf("received %d times", first[0].Receives)
	}
	receive(t, q, 10)
	expire()
	again := receive(t, q, 10, "1", "2")
	if again[0].Receives != 2 {
		t.Errorf("received %d times", again[0].Receives)
	}
	remove(t, q, again...)
}

func testDeadLetters(t *testing.T, q, deadLetters Queue) {
	poison := message("g", "1")
	send(t, q, poison, message("g", "2"))
	var id string
	for range MaxReceives {
		id = receive(t, q, 1, "1")[0].ID
		expire()
	}
	received, err := q.Receive(t.Context(), 1) // the messages behind it are no longer blocked
	for i := 0; i < 3 && err == nil && len(received) == 0; i++ {
		received, err = q.Receive(t.Context(), 1)
	}
	if err != nil || len(received) != 1 || received[0].Attributes["eventId"] != "2" {
		t.Fatalf("after the poison message: %+v, %v", received, err)
	}
	got := receive(t, deadLetters, 10, "1")[0].Message
	if got.DeduplicationID == poison.DeduplicationID || got.DeduplicationID == "" {
		t.Errorf("the dead letter of message %s has deduplication ID %q, unchanged or empty", id, got.DeduplicationID)
	}
	got.DeduplicationID = poison.DeduplicationID
	if diff := cmp.Diff(poison, got); diff != "" {
		t.Error(diff)
	}
}

func testReceipt(t *testing.T, q, _ Queue) {
	send(t, q, message("g", "1"))
	old := receive(t, q, 1, "1")
	expire()
	fresh := receive(t, q, 1, "1")
	q.Delete(t.Context(), old[0].Receipt) // drivers differ in whether this is an error
	remove(t, q, fresh...)
	expire()
	receive(t, q, 1)
}

func testContents(t *testing.T, q, _ Queue) {
	m := message("acmesign#08740f95-2187-4b01-9a69-452ae3140752", strings.Repeat("f", 64))
	m.Body = "<x>\r\n\t\"é\" 🦀 \u2028 </x> "
	m.Attributes = map[string]string{
		"eventId": "1", "via": "configuration/1", "contentType": `multipart/form-data; boundary="x"`,
	}
	m.Trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
	send(t, q, m)
	received := receive(t, q, 1, "1")
	if diff := cmp.Diff(m, received[0].Message); diff != "" {
		t.Error(diff)
	}
	remove(t, q, received...)
}

func testSize(t *testing.T, q, _ Queue) {
	m := message("g", "1")
	m.Body = strings.Repeat("x", queue.MaxMessage-len("eventId"+"String"+"1"))
	send(t, q, m)
	received := receive(t, q, 1, "1")
	if received[0].Body != m.Body {
		t.Error("the largest body has changed")
	}
	remove(t, q, received...)
	m.DeduplicationID, m.Body = "2", strings.Repeat("x", queue.MaxMessage+1)
	if err := q.Send(t.Context(), m); err == nil {
		t.Error("a larger message was accepted")
	}
	m.DeduplicationID, m.Body = "3", ""
	if err := q.Send(t.Context(), m); err == nil {
		t.Error("an empty body was accepted")
	}
}

func testDeliveries(t *testing.T, q, _ Queue) {
	store := folder.New(t.TempDir())
	for name, payload := range map[string][]byte{
		"JSON":                         []byte(`{"event":"sent"}`),
		"empty":                        {},
		"NUL":                          []byte("{\x00}"),
		"not UTF-8":                    {'{', 0xff, 0xfe, '}'},
		"U+FFFE":                       []byte("\ufffe"),
		"U+FFFF":                       []byte("\uffff"),
		"a lone surrogate":             {0xed, 0xa0, 0x80},
		"vertical tab":                 []byte("\x0b"),
		"CR LF":                        []byte("--b\r\n\r\n{}\r\n--b--\r\n"),
		"just below the limit":         bytes.Repeat([]byte("x"), queue.MaxMessage-600),
		"above the limit":              bytes.Repeat([]byte("x"), queue.MaxMessage),
		"above the limit in base64":    bytes.Repeat([]byte{0}, queue.MaxMessage*4/5),
		"3 MB with embedded documents": bytes.Repeat([]byte("JVBERi0xLjcK"), 3<<20/12),
	} {
		d := webhook.Delivery{
			Provider: "acmesign", EventID: webhook.EventID("acmesign", name), Subject: "acmesign#e1",
			Via: "configuration/1", ReceivedAt: time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC),
			Proof: esign.ProofSigned, ContentType: "application/json; charset=utf-8", Payload: payload,
		}
		m, key := queue.Encode(&d)
		if key != "" {
			if err := store.Put(t.Context(), key, payload); err != nil {
				t.Fatal(err)
			}
		}
		if stored := key != ""; stored != (len(payload) >= queue.MaxMessage*4/5 && name != "just below the limit") {
			t.Errorf("%s: payload stored: %v", name, stored)
		}
		if err := q.Send(t.Context(), m); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		received, err := q.Receive(t.Context(), 1)
		if err != nil || len(received) != 1 {
			t.Fatalf("%s: %+v, %v", name, received, err)
		}
		got, err := queue.Decode(t.Context(), received[0].Message, store)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(got.Payload, payload) {
			t.Errorf("%s: the payload has changed", name)
		}
		d.Payload, got.Payload = nil, nil
		if diff := cmp.Diff(&d, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		remove(t, q, received...)
	}
}
