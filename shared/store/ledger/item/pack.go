package item

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// Unit is how much of an item a write unit pays for. A transaction takes two of them for each KB begun.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html, read 2026-11-30.
const Unit = 1 << 10

// The attributes that an item may get besides those that are written: its expiry, and of an event the count of
// duplicates.
const (
	expiryBytes = len(Expires) + 6
	countBytes  = len(Duplicates) + 3
)

// Bytes returns the size of an item, as DynamoDB bills it.
//
// SPEC: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html, read 2026-12-01:
// the UTF-8 bytes of all names and values; a number has one byte for two digits, and one more; a set has no overhead of
// its own, unlike a list or a map, of which our items have none.
func (i Item) Bytes() (n int) {
	for name, v := range i {
		n += len(name)
		switch v.Kind {
		case Number:
			n += (len(strings.TrimPrefix(v.Text, "-"))+1)/2 + 1
		case StringSet:
			for _, s := range v.Set {
				n += len(s)
			}
		default:
			n += len(v.Text)
		}
	}
	return n
}

// content is what the attribute [Packed] holds: JSON, compressed by DEFLATE with the [dictionary]. A text that the item
// holds anyway is [same].
type content struct {
	Event     esign.Event      `json:"event"`
	Agreement *esign.Agreement `json:"agreement,omitempty"`
	SHA256    string           `json:"sha256,omitempty"`
	Size      int              `json:"size,omitempty"`
}

const same = "="

// maxContent limits the JSON of a [content]. An event and its agreement have 356 KB at most.
const maxContent = 1 << 20

// shared calls visit with each text of c that an item holds elsewhere, and with that other text.
func (c *content) shared(i Item, visit func(field *string, other string)) {
	subject := i.string(PK)
	provider, id, _ := strings.Cut(subject, "#")
	payload := ""
	if c.Event.Payload != nil {
		payload = c.Event.Payload.SHA256
	}
	visit(&c.SHA256, payload)
	visit(&c.Event.ID, i.string(SK))
	visit(&c.Event.Subject, subject)
	visit(&c.Event.Provider, provider)
	visit(&c.Event.AgreementID, id)
	visit((*string)(&c.Event.Type), i.string(Type))
	visit((*string)(&c.Event.Proof), i.string(Proof))
	if c.Agreement != nil {
		visit(&c.Agreement.Provider, provider)
		visit(&c.Agreement.ID, id)
		visit((*string)(&c.Agreement.Status), i.string(StatusAfter))
	}
}

// moved are the attributes that an item with [Packed] does not have, since they are in it.
var moved = []string{Provider, VendorType, AgreementID, OccurredAt, SHA256, Size, Event, Agreement}

// pack returns the attributes of an item with [Packed] in place of those that are moved. Of an event without its exact
// time, the attribute Event is still [InexactMark], which conditions look for. It reports whether that is possible.
func pack(plain Item, c content) (Item, bool) {
	packed, possible := maps.Clone(plain), true
	for _, name := range moved {
		delete(packed, name)
	}
	if c.Event.Approximate {
		packed[Event] = S(InexactMark)
	}
	if c.Agreement != nil {
		agreement := *c.Agreement
		c.Agreement = &agreement
	}
	c.shared(packed, func(field *string, other string) {
		switch {
		case *field == same:
			possible = false
		case *field == other && other != "":
			*field = same
		}
	})
	text, err := json.Marshal(c)
	if err != nil || !possible {
		return nil, false
	}
	packed[V], packed[Packed] = N(PackedVersion), Value{Kind: Binary, Text: compress(text)}
	return packed, true
}

// unpack returns an item with the attributes that were moved. It returns other items as they are.
func (i Item) unpack() (Item, error) {
	if !i.isPacked() {
		return i, nil
	}
	text, err := decompress(i[Packed].Text)
	if err != nil {
		return i, fmt.Errorf("%s: %w", Packed, err)
	}
	var c content
	if err := json.Unmarshal(text, &c); err != nil {
		return i, errors.New(Packed + ": it is not JSON of ours")
	}
	c.shared(i, func(field *string, other string) {
		if *field == same {
			*field = other
		}
	})
	plain := maps.Clone(i)
	delete(plain, Packed)
	plain[V] = N(Version)
	plain[Provider] = S(c.Event.Provider)
	plain[VendorType] = S(c.Event.VendorType)
	plain[AgreementID] = S(c.Event.AgreementID)
	plain[OccurredAt] = Instant(c.Event.OccurredAt)
	plain[SHA256] = S(c.SHA256)
	plain[Size] = N(int64(c.Size))
	objects := map[string]any{Event: c.Event}
	if c.Agreement != nil {
		objects[Agreement] = c.Agreement
	}
	for name, v := range objects {
		b, err := json.Marshal(v)
		if err != nil {
			return i, fmt.Errorf("%s: %w", name, err)
		}
		plain[name] = S(string(b))
	}
	return plain, nil
}

func (i Item) isPacked() bool {
	version, _ := i.number(V)
	return version == PackedVersion && i[Packed].Kind == Binary
}

// fitted returns the attributes to write to the event with this key, and those to remove: the plain ones if the item
// then takes one [Unit], and packed ones otherwise. other are attributes that the item has too.
func fitted(key ledger.Key, plain, other Item, c content) (changed Item, removed []string) {
	all := Key(key)
	maps.Copy(all, other)
	maps.Copy(all, plain)
	if all.Bytes() <= Unit-expiryBytes-countBytes {
		return plain, []string{Packed}
	}
	maps.Copy(plain, Key(key))
	packed, possible := pack(plain, c)
	for name := range Key(key) { // a key cannot be updated
		delete(plain, name)
		delete(packed, name)
	}
	if !possible {
		return plain, []string{Packed}
	}
	for _, name := range moved {
		if packed[name].Kind == None {
			removed = append(removed, name)
		}
	}
	return packed, removed
}

var compressors = sync.Pool{New: func() any {
	w, _ := flate.NewWriterDict(io.Discard, flate.BestCompression, []byte(dictionary)) // the level is a known one
	return w
}}

func compress(text []byte) string {
	var out bytes.Buffer
	w := compressors.Get().(*flate.Writer)
	defer compressors.Put(w)
	w.Reset(&out)
	w.Write(text) // a buffer takes everything
	w.Close()
	return out.String()
}

func decompress(packed string) ([]byte, error) {
	r := flate.NewReaderDict(strings.NewReader(packed), []byte(dictionary))
	text, err := io.ReadAll(io.LimitReader(r, maxContent+1))
	if err == nil && len(text) > maxContent {
		err = errors.New("it is too long")
	}
	return text, err
}

// dictionary is text that events and agreements have in common, the most frequent last. It is a part of the format of
// [PackedVersion]: never change it. Another one needs another version.
const dictionary = `"url-token","client-id","partly-signed","confirmed","authenticated"` +
	`"agreement.created","agreement.sent","agreement.viewed","agreement.signed","agreement.completed",` +
	`"agreement.declined","agreement.cancelled","agreement.expired","agreement.failed","agreement.updated",` +
	`"agreement.undeliverable","agreement.archived","cause":"bounced","problem":"auto-reply","reason":"",` +
	`"referencesCut":["referencesLeftOut":1,"referencesOlder":{"sharedReferenceDiffers":true,"conflict":true` +
	`"replaced":true,"replacedBy":"atApproximate":true,"reachedApproximate":{"sent":true},"occurredAtApproximate":true,` +
	`"documents":[{"kind":"document","name":"audit-trail","location":"s3://","contentType":"application/pdf",` +
	`"role":"approver","role":"copy","role":"form-filler","role":"witness","role":"acceptor","role":"certified",` +
	`"roleAt":"orderAt":"referenceAt":"waitingAt":"problemAt":"sharedReference":"businessId","reference":"emp-` +
	`"vendorType":"ENVELOPE_FINISH","SIGNER_SIGNED","SIGNER_VIEWED","ENVELOPE_START","attributes":{"envelopeStatus":"2"` +
	`"vendorType":"signature_request_all_signed","signature_request_signed","signature_request_viewed",` +
	`"signature_request_sent","attributes":{"callback":"account","test_mode":"false"}}` +
	`"vendorType":"AGREEMENT_WORKFLOW_COMPLETED","AGREEMENT_ACTION_COMPLETED","AGREEMENT_ACTION_REQUESTED",` +
	`"AGREEMENT_EMAIL_VIEWED","AGREEMENT_CREATED","attributes":{"agreementStatus":"OUT_FOR_SIGNATURE",` +
	`"participantRole":"SIGNER","webhookNotificationId":"webhookScope":"ACCOUNT"}}"CBJCHBCAABAA` +
	`"vendorType":"envelope-completed","recipient-completed","recipient-delivered","envelope-delivered","envelope-sent",` +
	`"envelope-created","accountId":"attributes":{"envelopeStatus":"completed","format":"sim"}}` +
	`{"event":{"id":"=","provider":"=","type":"=","vendorType":"Completed","subject":"=","agreementId":"=",` +
	`"accountId":"","occurredAt":"2026-11-02T11:50:04Z","receivedAt":"2026-12-02T11:50:05.234567891Z","proof":"=",` +
	`"references":{"externalId":"D-2026-00"},"payload":{"sha256":""},"participant":"",` +
	`"participants":[{"id":"sha256:","aliases":["sha256:"],"status":"sent","at":"2027-01-02T10:02:02Z","role":"signer",` +
	`"order":1,"waiting":true},{"id":"","aliases":["1"],"status":"viewed","role":"signer","order":2,"waiting":false}],` +
	`"present":["1","2",""],"attributes":{"status":"Completed"}},` +
	`"agreement":{"provider":"=","id":"=","status":"=","updatedAt":"2027-02-02T11:50:04Z","reached":{` +
	`"completed":"2027-03-02T11:50:04Z","created":"2026-11-02T09:30:00Z","sent":"2026-12-02T09:31:00Z",` +
	`"signed":"2027-01-02T10:02:02Z","viewed":"2027-02-02T09:56:02Z"},"participants":{"sha256:` +
	`":{"status":"sent","at":"2026-12-02T10:02:02Z","aliases":["1"],"role":"signer","order":1,"reference":"",` +
	`"toldAt":"2026-11-02T11:50:04Z","waiting":true,"statedAt":"2026-11-02T11:50:04Z"},"` +
	`":{"status":"signed","at":"2026-12-02T11:50:02Z","aliases":["2"],"role":"signer","order":2,` +
	`"toldAt":"2026-12-02T11:50:04Z","statedAt":"2026-12-02T11:50:04Z"}},"listing":{"at":"2026-12-02T11:50:04Z",` +
	`"ids":["sha256:","1","2",""]},"references":{"externalId":""},"referencesAt":"2026-12-02T11:50:04Z"},` +
	`"sha256":"=","size":2000}`
