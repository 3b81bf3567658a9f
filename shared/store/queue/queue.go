// Package queue is the contract of the queue between the receivers and the worker, and the wire format of its messages.
// Its drivers are sqs, and embedded for localhost. Both pass the suite in queuetest.
//
// Each group of messages is first in, first out. Delivery is at least once, so consumers must tolerate redelivery.
package queue

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/webhook"
)

// Message is a message to send.
type Message struct {
	Group           string            // 1 to 128 printable ASCII characters
	DeduplicationID string            // 1 to 128 printable ASCII characters
	Body            string            // not empty, and only characters that SQS accepts
	Attributes      map[string]string // at most 10, with non-empty values
	Trace           string            // the X-Ray trace header; optional
}

// Received is a message that a consumer has received. Other consumers do not see it until its visibility timeout ends.
type Received struct {
	Message
	ID       string // the message ID; a redrive makes a new one
	Receipt  string // needed to delete the message
	Receives int    // how often the message was received, including this time
}

// Sender puts messages on a queue.
type Sender interface {
	// Send returns once the queue has stored the message durably. A duplicate is accepted but not delivered: a message
	// whose DeduplicationID the queue has accepted within the last five minutes. After an error, the message may or may
	// not be in the queue.
	Send(context.Context, Message) error
}

// MaxMessage is the maximum size of a message in bytes, as counted by [Message.Size].
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html: 1 MiB.
const MaxMessage = 1 << 20

// DeadLetterRetention is how long the dead-letter queue keeps a message. template.yaml says the same. On localhost dead
// letters do not expire.
const DeadLetterRetention = 14 * 24 * time.Hour

// ErrMalformed reports that Encode cannot have made the message. Send it to the dead-letter queue.
var ErrMalformed = errors.New("queue: malformed message")

// The encodings of the payload in the body of a message.
const (
	encodingText   = "text"   // unchanged
	encodingBase64 = "base64" // SQS would refuse one of its characters
	encodingEmpty  = "empty"  // the payload is empty; the body is a placeholder, because SQS refuses an empty one
	encodingStored = "stored" // the body is the payload's key in the payload store
)

// Version is the format version of the messages that this release makes. A message without one is of version 1.
const Version = 1

// Encode returns the message for a delivery. The key is empty if the message holds the payload. Otherwise the payload
// is too large, and the caller must put it in the payload store under this key before it sends the message.
func Encode(d *webhook.Delivery) (m Message, key string) {
	m = Message{
		Group:           d.Subject,
		DeduplicationID: d.EventID,
		Trace:           d.Trace,
		Attributes: map[string]string{
			"v":          strconv.Itoa(Version),
			"provider":   d.Provider,
			"eventId":    d.EventID,
			"subject":    d.Subject,
			"receivedAt": d.ReceivedAt.UTC().Format(time.RFC3339Nano),
			"proof":      string(d.Proof),
			"encoding":   encodingText,
		},
	}
	for name, value := range map[string]string{
		"contentType": contentType(d.ContentType), "via": d.Via, formerIDs: writeFormerIDs(d.FormerIDs),
	} {
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

// fits reports whether m, which has no body yet, can have a body of n bytes.
func (m Message) fits(n int) bool { return m.Size()+n <= MaxMessage }

// Identity returns the delivery without its payload, as the attributes describe it. Fields without an attribute are
// zero.
func (m Message) Identity() *webhook.Delivery {
	receivedAt, _ := time.Parse(time.RFC3339Nano, m.Attributes["receivedAt"]) // zero if malformed
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

// Decode returns the delivery of a message. It reads the payload from the payload store if it is there. It returns
// ErrMalformed for a message that Encode cannot have made, and [format.ErrNewer] for a message that a newer release has
// made: leave that one in the queue. All other errors come from the payload store.
func Decode(ctx context.Context, m Message, payloads payload.Store) (*webhook.Delivery, error) {
	attribute, d := m.Attributes, m.Identity()
	if err := checkVersion(attribute["v"]); err != nil {
		return nil, err
	}
	if d.ReceivedAt.IsZero() {
		return nil, fmt.Errorf("%w: receivedAt", ErrMalformed)
	}
	for _, name := range []string{"provider", "eventId", "subject", "proof"} {
		if attribute[name] == "" {
			return nil, fmt.Errorf("%w: no %s", ErrMalformed, name)
		}
	}
	var err error
	if d.FormerIDs, err = readFormerIDs(attribute[formerIDs]); err != nil {
		return nil, err
	}
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

func checkVersion(attribute string) error {
	if attribute == "" {
		return nil // version 1
	}
	v, err := strconv.Atoi(attribute)
	if err != nil {
		return fmt.Errorf("%w: v", ErrMalformed)
	}
	if err := format.Check(v, Version); err != nil {
		return fmt.Errorf("queue: message: %w", err)
	}
	return nil
}

// formerIDs is the attribute with [webhook.Identity.FormerIDs]. It is the tenth attribute, and SQS takes no more. It is
// absent if there are none. A release that does not know it processes the message under its event ID alone.
const formerIDs = "formerIds"

// writeFormerIDs returns the value of the attribute: the IDs, separated by spaces, each with "@" and its time if it has
// one.
func writeFormerIDs(ids []webhook.FormerID) string {
	var words []string
	for _, id := range ids {
		word := id.ID
		if !id.OccurredAt.IsZero() {
			word += "@" + id.OccurredAt.UTC().Format(time.RFC3339Nano)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

// readFormerIDs is the reverse of writeFormerIDs.
func readFormerIDs(attribute string) (ids []webhook.FormerID, err error) {
	if attribute == "" {
		return nil, nil
	}
	for word := range strings.SplitSeq(attribute, " ") {
		id := webhook.FormerID{}
		var at string
		var hasTime bool
		if id.ID, at, hasTime = strings.Cut(word, "@"); hasTime {
			if id.OccurredAt, err = time.Parse(time.RFC3339Nano, at); err != nil {
				return nil, fmt.Errorf("%w: time in %s", ErrMalformed, formerIDs)
			}
		}
		if id.ID == "" {
			return nil, fmt.Errorf("%w: %s", ErrMalformed, formerIDs)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// contentType returns a Content-Type that fits in an attribute. It drops any other, because readers do not need it.
func contentType(s string) string {
	if !webhook.CarriesContentType(s) {
		return ""
	}
	return s
}

// sendable reports whether SQS accepts the payload as a message body.
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

// Size returns the size of the message as SQS counts it: the body, and the names, types and values of the attributes.
func (m Message) Size() int {
	n := len(m.Body)
	for name, value := range m.Attributes {
		n += len(name) + len("String") + len(value)
	}
	return n
}
