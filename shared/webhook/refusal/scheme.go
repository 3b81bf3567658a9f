package refusal

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"net/http"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
)

// Limits of the work for one request. They keep it below 5 ms where the processor has instructions for SHA-256.
const (
	maxHashed     = 2 << 20   // bytes that are hashed in all
	maxFormed     = 768 << 10 // bytes of other forms of the body in all
	maxFormBody   = 256 << 10
	maxScanned    = 64 << 10 // a larger JSON text has fewer forms
	maxCandidates = 64
)

// Scheme is how one request of a vendor is signed: by an HMAC-SHA256. The work of its methods depends on the request and
// on the number of keys, not on what matches.
type Scheme struct {
	Info   webhook.Info
	Where  string // in which header or field the vendor puts the signature, for hints
	Format string // of the signature, for hints, such as "44 characters of base64"
	Source string // where the vendor shows the key, for hints
	Absent string // what to do if there is no signature, for hints
	// Sent are the values in that place, as they were sent, at least one if the place exists.
	Sent []string
	// Malformed reports that something which the signature needs is missing, such as a time.
	Malformed bool
	// Header has the other headers, in which the signature may be by mistake. It may be nil.
	Header http.Header
	Body   []byte
	// BodyUnsigned reports that the signature does not cover the body.
	BodyUnsigned bool
	// Signed returns the parts that are signed of a request with this body. WithoutQuery does without the query's values;
	// it is nil if the vendor does not sign them.
	Signed, WithoutQuery func(body []byte) [][]byte
}

// candidate is a digest that the request carries.
type candidate struct {
	digest string
	header string // another header than the vendor's; empty: the right place
}

// Found is what explains a refusal: the causes, each with the fingerprint of the key that shows it, or with a header.
type Found map[string]string

// search compares what a request carries with what could have been sent under one of the keys.
type search struct {
	Scheme
	candidates []candidate
	text       text
	hashed     int
	found      Found
}

// Find returns why a request that is not genuine was refused, without hints. Nothing is found in a place that is right
// under one of the keys.
func (s Scheme) Find(keys []webhook.Secret) Found {
	f := &search{Scheme: s, found: Found{}}
	if !s.BodyUnsigned {
		f.text = read(s.Body)
	}
	for _, value := range s.Sent {
		f.add("", value)
	}
	own := len(f.candidates)
	for _, name := range slices.Sorted(maps.Keys(s.Header)) {
		for _, value := range s.Header[name] {
			f.add(name, value)
		}
	}
	switch absent := strings.TrimSpace(strings.Join(s.Sent, "")) == ""; {
	case absent:
		f.found[SignatureMissing] = ""
	case own == 0 || s.Malformed:
		f.found[SignatureMalformed] = ""
	}
	if encoding := s.encoding(); encoding != "" {
		f.found[BodyCompressed] = encoding
	} else if !s.BodyUnsigned && f.text.cutOff() {
		f.found[BodyChanged] = "it is cut off"
	}
	f.compare(keys)
	if _, elsewhere := f.found[OtherHeader]; elsewhere {
		delete(f.found, SignatureMissing)
	}
	if len(f.found) == 0 && len(keys) > 0 {
		f.found[WrongKey] = fingerprints(keys)
		if onlyDevelopment(s.Info, keys) {
			f.found = Found{DevelopmentKey: ""}
		}
		if f.text.alphabetical() { // no proof, but no serializer of a vendor sorts
			f.found[BodyChanged] = "its names are in alphabetical order"
		}
	}
	return f.found
}

func (f *search) add(header, value string) {
	for _, digest := range digests(value) {
		if len(f.candidates) < maxCandidates {
			f.candidates = append(f.candidates, candidate{string(digest), header})
		}
	}
}

// compare tries the likely mistakes first: the work may end before all are tried.
func (f *search) compare(keys []webhook.Secret) {
	if len(f.candidates) == 0 || f.Signed == nil {
		return
	}
	asSent := f.Signed(f.Body)
	for _, key := range keys {
		f.try(SignatureEncoding, key, key, asSent)
	}
	development := webhook.NewSecret(f.Info.DevelopmentKey)
	if !slices.ContainsFunc(keys, func(key webhook.Secret) bool { return key.Equal(f.Info.DevelopmentKey) }) {
		f.try(DevelopmentKey, development, development, asSent)
	}
	if f.WithoutQuery != nil {
		for _, key := range keys {
			f.try(QueryNotSigned, key, key, f.WithoutQuery(f.Body))
		}
	}
	f.spell(KeyWhitespace, keys, spaced, asSent)
	f.spell(KeyEncoding, keys, encoded, asSent)
	if f.BodyUnsigned || len(f.Body) > maxFormBody {
		return
	}
	formed := 0
	for form := range f.text.forms() {
		if formed += len(form); formed > maxFormed {
			return
		}
		for _, key := range keys {
			f.try(BodyChanged, key, key, f.Signed(form))
		}
	}
}

func (f *search) spell(code string, keys []webhook.Secret, spellings func(string) []string, parts [][]byte) {
	for _, key := range keys {
		if f.hashed > maxHashed {
			return
		}
		for _, spelling := range webhook.Respelt([]webhook.Secret{key}, spellings) {
			f.try(code, key, spelling, parts)
		}
	}
}

// try notes the cause if the request carries the digest of the parts under the key. A right digest that was nevertheless
// refused is in another spelling, or in another header.
func (f *search) try(code string, configured, key webhook.Secret, parts [][]byte) {
	cost := 1 << 10 // of a key
	for _, part := range parts {
		cost += len(part)
	}
	if f.hashed += cost; f.hashed > maxHashed || key.Reveal() == "" {
		return
	}
	made := webhook.NewSecret(string(key.HMAC(sha256.New, parts...)))
	for _, c := range f.candidates {
		if !made.Equal(c.digest) {
			continue
		}
		if c.header != "" {
			f.found[OtherHeader] = c.header
		}
		if c.header == "" || code != SignatureEncoding {
			f.found[code] = configured.Fingerprint()
		}
	}
}

// encoding returns how the body is compressed, or was before it came here; empty if it was not.
func (s Scheme) encoding() string {
	for name, magic := range map[string]string{"gzip": "\x1f\x8b", "zstd": "\x28\xb5\x2f\xfd", "zlib": "\x78\x9c"} {
		if bytes.HasPrefix(s.Body, []byte(magic)) {
			return name
		}
	}
	named := strings.TrimSpace(s.Header.Get("Content-Encoding"))
	if strings.EqualFold(named, "identity") {
		return ""
	}
	return webhook.Label(named)
}

func onlyDevelopment(info webhook.Info, keys []webhook.Secret) bool {
	return len(keys) == 1 && keys[0].Equal(info.DevelopmentKey)
}

func fingerprints(keys []webhook.Secret) string {
	var shown []string
	for _, key := range keys[:min(len(keys), 5)] {
		shown = append(shown, key.Fingerprint())
	}
	return strings.Join(shown, ", ")
}

// Without returns the headers whose names are not the vendor's own.
func Without(header http.Header, own func(name string) bool) http.Header {
	others := maps.Clone(header)
	maps.DeleteFunc(others, func(name string, _ []string) bool { return own(name) })
	return others
}

// Add adds a cause, unless it was found already.
func (f Found) Add(code, detail string) {
	if _, known := f[code]; !known {
		f[code] = detail
	}
}

// Specific drops the causes that are only left because nothing else applies, if something does.
func (f Found) Specific() Found {
	specific := maps.Clone(f)
	delete(specific, WrongKey)
	if specific[DevelopmentKey] == "" { // no key shows it
		delete(specific, DevelopmentKey)
	}
	if len(specific) > 0 {
		return specific
	}
	return f
}

// Partly is Found of a request with a right signature in another place, so that the key is right.
func (f Found) Partly(detail string) Found {
	f.Add(BodyChanged, detail)
	return f.Specific()
}

// Causes returns what was found, with hints.
func (s Scheme) Causes(found Found) (causes []webhook.Refusal) {
	for _, code := range precedence {
		if detail, ok := found[code]; ok {
			causes = append(causes, webhook.Refusal{Code: code, Hint: s.hint(code, detail)})
		}
	}
	return causes
}

func (s Scheme) hint(code, detail string) string {
	title := s.Info.Title
	configured := "the configured key " + detail
	switch code {
	case SignatureMissing:
		return "the request has no signature in " + s.Where + ": " + s.Absent
	case OtherHeader:
		return "the right signature is in the header " + webhook.Label(detail) + ", but " + title + " puts it in " + s.Where +
			": find the proxy that renames the header"
	case SignatureMalformed:
		return s.Where + " has no signature of " + title + ", which is " + s.Format +
			": it is cut off, a placeholder, or something that it needs is missing"
	case DevelopmentKey:
		if detail == "" {
			return "only the development key is configured, and the request is signed with another key: set $" +
				s.Info.KeysVariable + " to the key from " + s.Source
		}
		return "the request is signed with the development key, which is not configured: sign it with a configured key, or " +
			"unset $" + s.Info.KeysVariable + " on localhost"
	case KeyWhitespace:
		return "the signature matches " + configured + " with white space or quotes added to it or removed: copy the key " +
			"from " + s.Source + " again, without what surrounds it"
	case KeyEncoding:
		return "the signature matches " + configured + ` if it is decoded or encoded, or if "=" is added to its end or ` +
			"removed: configure the key exactly as the sender uses it; copy it whole from " + s.Source
	case SignatureEncoding:
		return "the signature is right under " + configured + ", but in another spelling: " + title + " sends " + s.Format
	case QueryNotSigned:
		return "the signature is right under " + configured + " without the query of the URL, which " + title +
			" signs: find what adds the query, or register the URL without one"
	case BodyCompressed:
		return "the body is or was compressed (" + detail + "), so the signed bytes are not those that came: switch off " +
			"compression at the sender or at the proxy"
	case BodyChanged:
		if strings.Contains(detail, " ") { // no fingerprint
			return "the body is not the one that " + title + " signed (" + detail +
				"): find the proxy or the code that changes it"
		}
		return "the signature is right under the key " + detail + " for another form of the body: find the proxy or the " +
			"code that changes it, and pass the bytes on as they came"
	}
	return "no configured key (" + detail + ") made this signature: compare them with " + s.Source
}
