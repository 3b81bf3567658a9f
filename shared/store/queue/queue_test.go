package queue_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// store is a payload store in memory. It fails with err if that is set.
type store struct {
	payloads map[string][]byte
	err      error
	gets     int
}

func (s *store) Put(_ context.Context, key string, p []byte) error {
	s.payloads = map[string][]byte{key: p}
	return s.err
}

func (s *store) Get(ctx context.Context, key string) ([]byte, error) {
	s.gets++
	if err := errors.Join(ctx.Err(), s.err); err != nil {
		return nil, err
	}
	p, ok := s.payloads[key]
	if !ok {
		return nil, payload.ErrNotFound
	}
	return p, nil
}

func delivery(p []byte) *webhook.Delivery {
	return &webhook.Delivery{
		Provider: "acmesign", EventID: webhook.EventID("acmesign", "1"),
		Subject: "acmesign#08740f95-2187-4b01-9a69-452ae3140752", Via: "configuration/1",
		FormerIDs: []webhook.FormerID{
			{ID: "former"}, {ID: "split", OccurredAt: time.Date(2026, 11, 2, 9, 29, 59, 5, time.UTC)},
		},
		ReceivedAt: time.Date(2026, 11, 2, 9, 30, 0, 123456789, time.UTC), Proof: esign.ProofSigned,
		ContentType: "application/json; charset=utf-8", Payload: p,
		Trace: "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
	}
}

// The rules of SQS for messages, written independently of the code under test.
//
// SPEC: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html and
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html
var (
	sqsID       = regexp.MustCompile("^[a-zA-Z0-9!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~]{1,128}$")
	sqsText     = regexp.MustCompile(`^[\x{9}\x{A}\x{D}\x{20}-\x{D7FF}\x{E000}-\x{FFFD}\x{10000}-\x{10FFFF}]+$`)
	sqsName     = regexp.MustCompile(`^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$`)
	printable   = regexp.MustCompile(`^[ -~]+$`)
	sqsReserved = regexp.MustCompile(`(?i)^(aws|amazon)\.`)
)

// refused returns why SQS would refuse the message, or nil.
func refused(m queue.Message) error {
	var problems []error
	problem := func(ok bool, format string, args ...any) {
		if !ok {
			problems = append(problems, fmt.Errorf(format, args...))
		}
	}
	problem(sqsID.MatchString(m.Group), "group %q", m.Group)
	problem(sqsID.MatchString(m.DeduplicationID), "deduplication ID %q", m.DeduplicationID)
	problem(m.Body != "", "an empty body")
	problem(utf8.ValidString(m.Body) && sqsText.MatchString(m.Body), "characters of the body")
	problem(bytesOf(m) <= 1048576, "%d bytes", bytesOf(m))
	problem(len(m.Attributes) <= 10, "%d attributes", len(m.Attributes))
	for name, value := range m.Attributes {
		valid := sqsName.MatchString(name) && !sqsReserved.MatchString(name) && len(name) <= 256
		problem(valid, "attribute name %q", name)
		problem(printable.MatchString(value), "attribute %s is %q", name, value)
	}
	return errors.Join(problems...)
}

func bytesOf(m queue.Message) int {
	n := len(m.Body)
	for name, value := range m.Attributes {
		n += len(name) + len("String") + len(value)
	}
	return n
}

// through encodes, stores and decodes d, and checks the properties of every message.
func through(t *testing.T, d *webhook.Delivery) (m queue.Message, key string) {
	t.Helper()
	before := *d
	before.Payload = bytes.Clone(d.Payload)
	m, key = queue.Encode(d)
	if err := refused(m); err != nil {
		t.Fatalf("SQS would refuse it: %v", err)
	}
	if m.Group != d.Subject || m.DeduplicationID != d.EventID || m.Trace != d.Trace {
		t.Fatalf("group %q, deduplication %q, trace %q", m.Group, m.DeduplicationID, m.Trace)
	}
	s := &store{payloads: map[string][]byte{}}
	if key != "" {
		if want := payload.Key(d.Provider, d.ReceivedAt, d.Payload); key != want || m.Body != key {
			t.Fatalf("stored under %q and looked for under %q, want %q", key, m.Body, want)
		}
		s.Put(t.Context(), key, d.Payload)
	}
	got, err := queue.Decode(t.Context(), m, s)
	if err != nil {
		t.Fatal(err)
	}
	if (s.gets > 0) != (key != "") {
		t.Fatalf("the payload was fetched %d times", s.gets)
	}
	if !bytes.Equal(got.Payload, d.Payload) {
		t.Fatal("the payload has changed")
	}
	want := before
	want.Payload, got.Payload = nil, nil
	if len(want.ContentType) > 256 || want.ContentType != "" && !printable.MatchString(want.ContentType) {
		want.ContentType = "" // dropped
	}
	if diff := cmp.Diff(&want, got); diff != "" {
		t.Fatal(diff)
	}
	if !bytes.Equal(before.Payload, d.Payload) || before.ContentType != d.ContentType {
		t.Fatal("the delivery was changed")
	}
	return m, key
}

func TestPayloadsAreEncoded(t *testing.T) {
	for name, tt := range map[string]struct{ payload, encoding, body string }{
		"JSON is unchanged":                  {`{"a":"é🦀"}`, "text", `{"a":"é🦀"}`},
		"an empty payload":                   {"", "empty", "-"},
		"a payload of - is not empty":        {"-", "text", "-"},
		"white space is unchanged":           {" \t\r\n", "text", " \t\r\n"},
		"NUL":                                {"\x00", "base64", "AA=="},
		"a vertical tab":                     {"\x0b", "base64", "Cw=="},
		"not UTF-8":                          {"\xff", "base64", "/w=="},
		"a lone surrogate":                   {"\xed\xa0\x80", "base64", "7aCA"},
		"U+FFFE":                             {"\ufffe", "base64", "77++"},
		"U+FFFF":                             {"\uffff", "base64", "77+/"},
		"U+FFFD is unchanged":                {"\ufffd", "text", "\ufffd"},
		"U+1FFFE is unchanged":               {"\U0001fffe", "text", "\U0001fffe"},
		"DEL and C1 are unchanged":           {"\x7f\u0080\u009f", "text", "\x7f\u0080\u009f"},
		"text that looks like base64 is not": {"AA==", "text", "AA=="},
	} {
		t.Run(name, func(t *testing.T) {
			m, key := through(t, delivery([]byte(tt.payload)))
			if key != "" || m.Body != tt.body || m.Attributes["encoding"] != tt.encoding {
				t.Errorf("key %q, body %q as %s", key, m.Body, m.Attributes["encoding"])
			}
		})
	}
}

func TestAttributesAreLeftOutIfSQSWouldRefuseThem(t *testing.T) {
	contentType := func(s string) func(*webhook.Delivery) {
		return func(d *webhook.Delivery) { d.ContentType = s }
	}
	noContentType := []string{"contentType"}
	for name, tt := range map[string]struct {
		change func(*webhook.Delivery)
		absent []string
	}{
		"an empty content type":             {contentType(""), noContentType},
		"a content type beyond ASCII":       {contentType("text/é"), noContentType},
		"a content type with a line break":  {contentType("a\r\nb"), noContentType},
		"a content type that is not UTF-8":  {contentType("a\xff"), noContentType},
		"a content type that is too long":   {contentType(strings.Repeat("x", 257)), noContentType},
		"the longest content type is there": {contentType(strings.Repeat("x", 256)), nil},
		"an empty subscription":             {func(d *webhook.Delivery) { d.Via = "" }, []string{"via"}},
		"no former IDs":                     {func(d *webhook.Delivery) { d.FormerIDs = nil }, []string{"formerIds"}},
		"all that may be empty": {
			func(d *webhook.Delivery) { d.Via, d.ContentType, d.Trace, d.FormerIDs = "", "", "", nil },
			[]string{"via", "contentType", "formerIds"},
		},
		"a full second": {func(d *webhook.Delivery) { d.ReceivedAt = d.ReceivedAt.Truncate(time.Second) }, nil},
		"a long subject and a long ID": {func(d *webhook.Delivery) {
			d.Subject, d.EventID = strings.Repeat("s", 128), strings.Repeat("e", 128)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			d := delivery([]byte("{}"))
			tt.change(d)
			m, _ := through(t, d)
			for _, attribute := range tt.absent {
				if value, there := m.Attributes[attribute]; there {
					t.Errorf("%s is %q", attribute, value)
				}
			}
			if want := 10 - len(tt.absent); len(m.Attributes) != want {
				t.Errorf("%d attributes, want %d", len(m.Attributes), want)
			}
		})
	}
}

// When a new version is deployed, messages of the old one are still in the queue.
func TestTheWireFormat(t *testing.T) {
	d := delivery([]byte(`{"event":"sent"}`))
	d.ReceivedAt = d.ReceivedAt.In(time.FixedZone("", 3600))
	d.FormerIDs[1].OccurredAt = d.FormerIDs[1].OccurredAt.In(time.FixedZone("", 3600))
	got, key := queue.Encode(d)
	want := queue.Message{
		Group: d.Subject, DeduplicationID: d.EventID, Body: `{"event":"sent"}`, Trace: d.Trace,
		Attributes: map[string]string{
			"v": "1", "provider": "acmesign", "eventId": d.EventID, "subject": d.Subject, "via": "configuration/1",
			"receivedAt": "2026-11-02T09:30:00.123456789Z", "proof": "signed", "encoding": "text",
			"contentType": "application/json; charset=utf-8", "formerIds": "former split@2026-11-02T09:29:59.000000005Z",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" || key != "" {
		t.Errorf("%s, key %q", diff, key)
	}
}

func TestVersions(t *testing.T) {
	for version, want := range map[string]error{"": nil, "1": nil, "2": format.ErrNewer} {
		m, _ := queue.Encode(delivery([]byte("{}")))
		if m.Attributes["v"] = version; version == "" {
			delete(m.Attributes, "v")
		}
		if _, err := queue.Decode(t.Context(), m, nil); !errors.Is(err, want) || errors.Is(err, queue.ErrMalformed) {
			t.Errorf("version %q: %v, want %v", version, err, want)
		}
	}
}

// The dead-letter queue replaces deduplication IDs.
func TestIdentityComesFromTheAttributesAlone(t *testing.T) {
	m, _ := queue.Encode(delivery([]byte("{}")))
	m.Group, m.DeduplicationID = "another", "2b4d8a5e-6a39-4b0b-b2f7-0a6a4a2f5c11"
	got, err := queue.Decode(t.Context(), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(delivery([]byte("{}")), got); diff != "" {
		t.Error(diff)
	}
}

func TestSizes(t *testing.T) {
	// room is what the attributes leave for the body, with an encoding of "text".
	one, _ := queue.Encode(delivery([]byte("x")))
	room := queue.MaxMessage - (bytesOf(one) - 1)
	inBase64 := (room - (len("base64") - len("text"))) / 4 * 3
	for name, tt := range map[string]struct {
		payload  []byte
		encoding string
	}{
		"text one byte below the limit":    {bytes.Repeat([]byte("x"), room-1), "text"},
		"text exactly at the limit":        {bytes.Repeat([]byte("x"), room), "text"},
		"text one byte above the limit":    {bytes.Repeat([]byte("x"), room+1), "stored"},
		"as large as a message":            {bytes.Repeat([]byte("x"), queue.MaxMessage), "stored"},
		"bytes count, not characters":      {[]byte(strings.Repeat("é", room/2) + strings.Repeat("x", room%2)), "text"},
		"bytes count above the limit":      {[]byte(strings.Repeat("é", room/2) + strings.Repeat("x", room%2+1)), "stored"},
		"base64 just below the limit":      {make([]byte, inBase64), "base64"},
		"base64 above the limit":           {make([]byte, inBase64+1), "stored"},
		"fits as text, but not as base64":  {append(bytes.Repeat([]byte("x"), room-1), 0), "stored"},
		"10 MiB":                           {bytes.Repeat([]byte("x"), 10<<20), "stored"},
		"10 MiB of bytes SQS would refuse": {make([]byte, 10<<20), "stored"},
	} {
		t.Run(name, func(t *testing.T) {
			m, key := through(t, delivery(tt.payload))
			if got := m.Attributes["encoding"]; got != tt.encoding {
				t.Errorf("encoded as %s, with %d of %d bytes", got, bytesOf(m), queue.MaxMessage)
			}
			if (key != "") != (tt.encoding == "stored") {
				t.Errorf("key %q", key)
			}
			if name == "text exactly at the limit" && bytesOf(m) != queue.MaxMessage {
				t.Errorf("%d bytes", bytesOf(m))
			}
		})
	}
}

func TestAttributesCountForTheSize(t *testing.T) {
	d := delivery(nil)
	d.Via, d.ContentType, d.FormerIDs = "", "", nil
	d.Payload = []byte("x")
	one, _ := queue.Encode(d)
	d.Payload = bytes.Repeat([]byte("x"), queue.MaxMessage-bytesOf(one)+1)
	if _, key := through(t, d); key != "" {
		t.Error("stored, though it fits exactly")
	}
	for name, change := range map[string]func(*webhook.Delivery){
		"via":          func(d *webhook.Delivery) { d.Via = "v" },
		"content type": func(d *webhook.Delivery) { d.ContentType = "a/b" },
		"subject":      func(d *webhook.Delivery) { d.Subject += "x" },
		"proof":        func(d *webhook.Delivery) { d.Proof = esign.ProofPartlySigned },
		"former ID":    func(d *webhook.Delivery) { d.FormerIDs = []webhook.FormerID{{ID: "x"}} },
	} {
		larger := *d
		change(&larger)
		if _, key := through(t, &larger); key == "" {
			t.Errorf("a longer %s does not count", name)
		}
	}
	d.Trace = strings.Repeat("t", 500)
	if _, key := through(t, d); key != "" {
		t.Error("the trace header counts, but SQS does not count it")
	}
}

func TestMalformed(t *testing.T) {
	cases := map[string]queue.Message{
		"without attributes": {Group: "g", DeduplicationID: "d", Body: "canary"},
		"nothing":            {},
	}
	with := func(name, attribute, value string) { // an empty value removes the attribute
		m, _ := queue.Encode(delivery([]byte("canary")))
		if m.Attributes[attribute] = value; value == "" {
			delete(m.Attributes, attribute)
		}
		cases[name] = m
	}
	for _, name := range []string{"provider", "eventId", "subject", "proof", "receivedAt", "encoding"} {
		with("without "+name, name, "")
		empty := cases["without "+name]
		empty.Attributes = maps.Clone(empty.Attributes)
		empty.Attributes[name] = ""
		cases["with an empty "+name] = empty
	}
	with("not a time", "receivedAt", "yesterday")
	with("a time without a zone", "receivedAt", "2026-11-02T09:30:00")
	with("a time in seconds", "receivedAt", "1793611800")
	with("a version that is no number", "v", "one")
	with("a former ID without a time", "formerIds", "a@")
	with("a former ID with a malformed time", "formerIds", "a b@yesterday")
	with("a time without a former ID", "formerIds", "@2026-11-02T09:30:00Z")
	with("an empty former ID", "formerIds", "a  b")
	with("an unknown encoding", "encoding", "gzip")
	with("an encoding in capitals", "encoding", "TEXT")
	with("not base64", "encoding", "base64")
	truncated, _ := queue.Encode(delivery([]byte{0, 1, 2}))
	truncated.Body = base64.RawStdEncoding.EncodeToString([]byte{0xff})
	cases["truncated base64"] = truncated
	for name, m := range cases {
		t.Run(name, func(t *testing.T) {
			s := &store{}
			d, err := queue.Decode(t.Context(), m, s)
			if !errors.Is(err, queue.ErrMalformed) || d != nil {
				t.Fatalf("%+v, %v", d, err)
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes the body: %v", err)
			}
			if s.gets > 0 {
				t.Error("the payload of a malformed message was fetched")
			}
		})
	}
}

func TestOptionalAttributesMayBeMissing(t *testing.T) {
	m, _ := queue.Encode(delivery([]byte("{}")))
	delete(m.Attributes, "via")
	delete(m.Attributes, "contentType")
	delete(m.Attributes, "formerIds")
	m.Trace = ""
	m.Attributes["new"] = "of a later version"
	d, err := queue.Decode(t.Context(), m, nil)
	if err != nil || d.Via != "" || d.ContentType != "" || d.Trace != "" || d.FormerIDs != nil ||
		string(d.Payload) != "{}" {
		t.Errorf("%+v, %v", d, err)
	}
}

func TestErrorsOfThePayloadStoreArePassedThrough(t *testing.T) {
	large := delivery(bytes.Repeat([]byte("x"), queue.MaxMessage))
	m, key := queue.Encode(large)
	if key == "" {
		t.Fatal("not stored")
	}
	broken := errors.New("unreachable")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		ctx   context.Context
		store *store
		want  error
	}{
		"not found":                {t.Context(), &store{}, payload.ErrNotFound},
		"the store is unreachable": {t.Context(), &store{err: broken}, broken},
		"timeout":                  {t.Context(), &store{err: context.DeadlineExceeded}, context.DeadlineExceeded},
		"cancelled": {cancelled, &store{payloads: map[string][]byte{key: large.Payload}},
			context.Canceled},
		"only another payload is there": {t.Context(), &store{payloads: map[string][]byte{key + "x": nil}},
			payload.ErrNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			d, err := queue.Decode(tt.ctx, m, tt.store)
			if !errors.Is(err, tt.want) || errors.Is(err, queue.ErrMalformed) || d != nil {
				t.Errorf("%v, %v", d, err)
			}
		})
	}
}

func FuzzEncodeAndDecode(f *testing.F) {
	for _, p := range []string{"{}", "", "-", "\x00", "\xff", "\ufffe", "\ufffd", "\r\n", "AA==", "\x7f\u0080",
		"\U0010ffff", "\xed\xa0\x80"} {
		f.Add([]byte(p), "application/json", "configuration/1", int64(1793611800), int64(0))
	}
	f.Add([]byte("{}"), "", "", int64(0), int64(999999999))
	f.Add([]byte("{}"), "a\nb", "é", int64(-1), int64(1))
	f.Add([]byte("{}"), strings.Repeat("x", 300), strings.Repeat("x", 300), int64(253402300799), int64(120000000))
	f.Add([]byte("{}"), " ", " ", int64(1), int64(1))
	f.Fuzz(func(t *testing.T, p []byte, contentType, via string, unix, nano int64) {
		d := delivery(p)
		// Via is a label, and headers are trimmed.
		d.ContentType, d.Via = strings.TrimSpace(contentType), webhook.Label(via)
		if unix %= 253402300800; unix < 0 { // the end of 9999
			unix = -unix
		}
		if nano %= 1e9; nano < 0 {
			nano = -nano
		}
		d.ReceivedAt = time.Unix(unix, nano).UTC()
		if _, key := through(t, d); key != "" && len(p) < queue.MaxMessage/2 {
			t.Fatalf("%d bytes are stored", len(p))
		}
	})
}

// The sizes of the payloads are close to the limit.
func FuzzNoMessageIsTooLarge(f *testing.F) {
	for _, unit := range []string{"x", "é", "\x00", "🦀", "\xff\xfe", "ab\x0b"} {
		f.Add(unit, int16(0), "application/json")
		f.Add(unit, int16(-300), "")
		f.Add(unit, int16(300), "x")
	}
	f.Fuzz(func(t *testing.T, unit string, around int16, contentType string) {
		if unit == "" || len(unit) > 64 {
			t.Skip()
		}
		for _, limit := range []int{queue.MaxMessage, queue.MaxMessage * 3 / 4} {
			n := limit + int(around) - 300
			p := bytes.Repeat([]byte(unit), n/len(unit)+1)[:n]
			d := delivery(p)
			d.ContentType = strings.TrimSpace(contentType)
			through(t, d)
		}
	})
}

// Decode does not panic, and returns a delivery or one of its documented errors.
func FuzzDecode(f *testing.F) {
	f.Add("2026-11-02T09:30:00Z", "text", "{}")
	f.Add("2026-11-02T09:30:00+01:00", "base64", "e30=")
	f.Add("2026-11-02T09:30:00Z", "stored", "2026/11/02/acmesign/ba78")
	f.Add("", "empty", "-")
	f.Fuzz(func(t *testing.T, receivedAt, encoding, body string) {
		m, _ := queue.Encode(delivery([]byte("{}")))
		m.Body, m.Attributes["receivedAt"], m.Attributes["encoding"] = body, receivedAt, encoding
		d, err := queue.Decode(t.Context(), m, &store{})
		switch {
		case err == nil:
			if d.ReceivedAt.IsZero() && !strings.HasPrefix(receivedAt, "000") || d.Payload == nil {
				t.Fatalf("%+v", d)
			}
		case errors.Is(err, payload.ErrNotFound):
			if encoding != "stored" {
				t.Fatalf("fetched for %q", encoding)
			}
		case !errors.Is(err, queue.ErrMalformed):
			t.Fatal(err)
		}
	})
}

func BenchmarkMessage(b *testing.B) {
	for name, p := range map[string][]byte{
		"2 KB of text": bytes.Repeat([]byte("x"), 2<<10), "1 MB of text": bytes.Repeat([]byte("x"), 1e6),
		"2 KB of bytes": make([]byte, 2<<10),
	} {
		d := delivery(p)
		m, _ := queue.Encode(d)
		for what, do := range map[string]func() error{
			"encode": func() error { queue.Encode(d); return nil },
			"decode": func() error { _, err := queue.Decode(b.Context(), m, nil); return err },
		} {
			b.Run(what+" "+name, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(int64(len(p)))
				for b.Loop() {
					if err := do(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
