// Package queue is the contract of the queue between the receivers and the worker, and the wire format of its messages.
// Drivers: sqs, and embedded for localhost. queuetest is the suite that both pass.
//
// The queue is first in, first out for each group, and at least once. The worker stands the repetitions.
package queue

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/webhook"
)

// Message is what a queue carries. Group and DeduplicationID are printable ASCII of 1 to 128 characters, Body is not
// empty and holds only characters that SQS takes, and attributes are at most 10, none empty.
type Message struct {
	Group           string
	DeduplicationID string
	Body            string
	Attributes      map[string]string
	Trace           string // the X-Ray trace header; may be empty
}

// Received is a message as a consumer gets it. It stays invisible until it is deleted, or the visibility timeout is over.
type Received struct {
	Message
	ID       string // a redrive gives it a new one
	Receipt  string // what Delete takes
	Receives int    // 1 the first time
}

// Sender puts messages on a queue.
type Sender interface {
	// Send returns when the queue has the message durably. A message whose DeduplicationID the queue took within the last
	// five minutes is taken without being delivered again. An error means that it may or may not have been taken.
	Send(context.Context, Message) error
}

// MaxMessage is the size of a message that the queue takes: the body and the names, types and values of the attributes.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html: 1 MiB.
const MaxMessage = 1 << 20

// ErrMalformed: the message is not one that Encode makes. Set it aside.
var ErrMalformed = errors.New("queue: malformed message")

// How the body of a message holds the payload.
const (
	encodingText   = "text"   // as it is
	encodingBase64 = "base64" // because it holds what SQS refuses
	encodingEmpty  = "empty"  // there is none, which SQS refuses
	encodingStored = "stored" // the body is the payload's key in the payload store
)

// Encode makes the message of a delivery. If the payload does not fit, key is where the payload must be put before the
// message is sent; otherwise it is empty.
func Encode(d *webhook.Delivery) (m Message, key string) {
	m = Message{
		Group:           d.Subject,
		DeduplicationID: d.EventID,
		Trace:           d.Trace,
		Attributes: map[string]string{
			"provider":   d.Provider,
			"eventId":    d.EventID,
			"subject":    d.Subject,
			"receivedAt": d.ReceivedAt.UTC().Format(time.RFC3339Nano),
			"proof":      string(d.Proof),
			"encoding":   encodingText,
		},
	}
	for name, value := range map[string]string{"contentType": contentType(d.ContentType), "via": d.Via} {
		if value != "" { // SQS refuses empty values
			m.Attributes[name] = value
		}
	}
	switch {
	case len(d.Payload) == 0:
		m.Body, m.Attributes["encoding"] = "-", encodingEmpty
	case m.fits(len(d.Payload)) && sendable(d.Payload):
		m.Body = string(d.Payload)
	default:
		m.Attributes["encoding"] = encodingBase64
		if m.fits(base64.StdEncoding.EncodedLen(len(d.Payload))) {
			m.Body = base64.StdEncoding.EncodeToString(d.Payload)
			break
		}
		key = payload.Key(d.Provider, d.ReceivedAt, d.Payload)
		m.Body, m.Attributes["encoding"] = key, encodingStored
	}
	return m, key
}

// fits says whether the queue takes m, which has no body yet, with one of n bytes.
func (m Message) fits(n int) bool { return m.Size()+n <= MaxMessage }

// Identity is what the attributes say of the delivery, as far as they say it: all but the payload.
func (m Message) Identity() *webhook.Delivery {
	receivedAt, _ := time.Parse(time.RFC3339Nano, m.Attributes["receivedAt"]) // zero if it cannot be read
	return &webhook.Delivery{
		Provider:    m.Attributes["provider"],
		EventID:     m.Attributes["eventId"],
		Subject:     m.Attributes["subject"],
		Via:         m.Attributes["via"],
		ReceivedAt:  receivedAt,
		Proof:       esign.Proof(m.Attributes["proof"]),
		ContentType: m.Attributes["contentType"],
		Trace:       m.Trace,
	}
}

// Decode reads a message, and fetches its payload if it is stored elsewhere. It returns ErrMalformed for what Encode
// would not have made; other errors are the payload store's.
func Decode(ctx context.Context, m Message, payloads payload.Store) (*webhook.Delivery, error) {
	attribute, d := m.Attributes, m.Identity()
	if d.ReceivedAt.IsZero() {
		return nil, fmt.Errorf("%w: receivedAt", ErrMalformed)
	}
	for _, name := range []string{"provider", "eventId", "subject", "proof"} {
		if attribute[name] == "" {
			return nil, fmt.Errorf("%w: no %s", ErrMalformed, name)
		}
	}
	var err error
	switch attribute["encoding"] {
	case encodingText:
		d.Payload = []byte(m.Body)
	case encodingEmpty:
		d.Payload = []byte{}
	case encodingBase64:
		if d.Payload, err = base64.StdEncoding.DecodeString(m.Body); err != nil {
			return nil, fmt.Errorf("%w: body is not base64", ErrMalformed)
		}
	case encodingStored:
		if d.Payload, err = payloads.Get(ctx, m.Body); err != nil {
			return nil, fmt.Errorf("queue: payload of %s: %w", d.EventID, err)
		}
	default:
		return nil, fmt.Errorf("%w: encoding", ErrMalformed)
	}
	return d, nil
}

// contentType returns a header value that fits in an attribute, else none: readers can do without.
func contentType(s string) string {
	if !webhook.CarriesContentType(s) {
		return ""
	}
	return s
}

// sendable says whether SQS takes the payload as a message body.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html:
// only #x9 #xA #xD, #x20 to #xD7FF, #xE000 to #xFFFD, #x10000 to #x10FFFF.
func sendable(body []byte) bool {
	for _, c := range body {
		if c < 0x20 && c != '\t' && c != '\n' && c != '\r' {
			return false
		}
	}
	return utf8.Valid(body) && !bytes.Contains(body, []byte("\ufffe")) && !bytes.Contains(body, []byte("\uffff"))
}

// Size is what SQS counts against MaxMessage, in bytes.
func (m Message) Size() int {
	n := len(m.Body)
	for name, value := range m.Attributes {
		n += len(name) + len("String") + len(value)
	}
	return n
}
