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

// Limits of the work for one request, in bytes.
const (
	maxHashed     = 6 << 20   // in all; verifying the request has cost a part of it already
	maxRespelt    = 2 << 20   // of that, for other keys and other forms of the body
	maxFormBody   = 256 << 10 // a larger body is tried as it is only
	maxScanned    = 64 << 10  // a larger JSON text has few forms
	maxCandidates = 32        // digests that the headers may hold
	maxHeaders    = 8 << 10   // values that are searched for digests
	perTry        = 1 << 10   // counts as hashed for each key that is tried
)

// Scheme is how one request of a vendor is signed: by an HMAC-SHA256. The work of its methods depends on the request and
// on the keys, not on what matches.
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
	// Signed returns the parts of a request with this body that are signed.
	Signed func(body []byte) [][]byte
	// LessQuery are variants of Signed that leave out values of the URL's query.
	LessQuery []func(body []byte) [][]byte
}

// Evidence is what shows a cause. At most one field is set.
type Evidence struct {
	Key    string // the fingerprint of a key, or several
	Header string
	Text   string // a phrase of ours
}

// Found are the causes of a refusal, by code.
type Found map[string]Evidence

// candidate is a digest that the request carries.
type candidate struct {
	digest string
	header string // another header than the vendor's; empty: the right place
}

// search compares the digests that a request carries with those that keys make.
type search struct {
	Scheme
	keys       []webhook.Secret
	candidates []candidate
	examined   int // of the headers' values
	hashed     int
	limit      int // of hashed
	found      Found
}

// Find returns the causes for which the request is refused.
func (s Scheme) Find(keys []webhook.Secret) Found {
	f := &search{Scheme: s, keys: keys, found: Found{}}
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
		f.found[SignatureMissing] = Evidence{}
	case own == 0 || s.Malformed:
		f.found[SignatureMalformed] = Evidence{}
	}
	var body text
	if !s.BodyUnsigned {
		body = read(s.Body)
	}
	encoding, sorted := s.Encoding(), body.alphabetical()
	if encoding != "" {
		f.found[BodyCompressed] = Evidence{Text: encoding}
	} else if !s.BodyUnsigned && body.cutOff() {
		f.found[BodyChanged] = Evidence{Text: "it is cut off"}
	}
	if s.Signed != nil {
		f.compare(body)
	}
	if _, elsewhere := f.found[OtherHeader]; elsewhere {
		delete(f.found, SignatureMissing)
	}
	if len(f.found) > 0 || len(keys) == 0 {
		return f.found
	}
	if sorted { // no proof, but no vendor sorts
		f.found[BodyChanged] = Evidence{Text: "its names are in alphabetical order"}
	}
	if len(keys) == 1 && keys[0].Equal(s.Info.DevelopmentKey) {
		f.found[DevelopmentKey] = Evidence{}
	} else {
		f.found[WrongKey] = Evidence{Key: fingerprints(keys)}
	}
	return f.found
}

func (f *search) add(header, value string) {
	if f.examined += len(value); len(f.candidates) >= maxCandidates || f.examined > maxHeaders {
		return
	}
	for _, digest := range digests(value) {
		f.candidates = append(f.candidates, candidate{string(digest), header})
	}
}

// compare tries what is likely first, for all keys: the work may end before all is tried.
func (f *search) compare(body text) {
	if len(f.candidates) == 0 {
		return
	}
	asSent := f.Signed(f.Body)
	f.limit = maxHashed
	f.form(SignatureEncoding, asSent)
	if !webhook.Any(f.keys, f.Info.DevelopmentKey) {
		development := webhook.NewSecret(f.Info.DevelopmentKey)
		f.try(DevelopmentKey, development, development, asSent)
	}
	f.limit = min(f.hashed+maxRespelt, maxHashed)
	for _, signed := range f.LessQuery {
		f.form(QueryNotSigned, signed(f.Body))
	}
	formed := !f.BodyUnsigned && len(f.Body) <= maxFormBody
	if formed {
		f.forms(body.likeliest())
	}
	f.spell(KeyWhitespace, spaced, 0, likely, asSent)
	f.spell(KeyEncoding, encoded, 0, likely, asSent)
	if formed {
		f.forms(body.likely())
	}
	f.spell(KeyWhitespace, spaced, likely, all, asSent)
	f.spell(KeyEncoding, encoded, likely, all, asSent)
	if formed {
		f.forms(body.unlikely())
	}
}

// forms tries forms of the body.
func (f *search) forms(forms func(yield func([]byte) bool)) {
	for form := range forms {
		if f.hashed > f.limit {
			return
		}
		f.hashed += 3 * len(form) // making it costs more than hashing it
		if len(form) > 0 && !bytes.Equal(form, f.Body) {
			f.form(BodyChanged, f.Signed(form))
		}
	}
}

// form tries what else may have been signed.
func (f *search) form(code string, parts [][]byte) {
	for _, key := range f.keys {
		f.try(code, key, key, parts)
	}
}

// How many of a key's spellings are likely. They come first.
const likely, all = 7, 1000

// spell tries the spellings from the first one to the last one of each key.
func (f *search) spell(code string, spellings func(string) []string, from, to int, parts [][]byte) {
	for _, key := range f.keys {
		if f.hashed > f.limit {
			return
		}
		respelt := webhook.Respelt([]webhook.Secret{key}, spellings)
		for _, spelling := range respelt[min(from, len(respelt)):min(to, len(respelt))] {
			f.try(code, key, spelling, parts)
		}
	}
}

// try notes the cause if the request carries the digest of the parts under the key. A right digest that was nevertheless
// refused is in another spelling, or in another header.
func (f *search) try(code string, configured, key webhook.Secret, parts [][]byte) {
	if f.hashed += perTry + size(parts); f.hashed > f.limit || key.Reveal() == "" {
		return
	}
	made := webhook.NewSecret(string(key.HMAC(sha256.New, parts...)))
	for _, c := range f.candidates {
		if !made.Equal(c.digest) {
			continue
		}
		if c.header != "" {
			f.found[OtherHeader] = Evidence{Header: c.header}
		}
		if c.header == "" || code != SignatureEncoding {
			f.found[code] = Evidence{Key: configured.Fingerprint()}
		}
	}
}

func size(parts [][]byte) (n int) {
	for _, part := range parts {
		n += len(part)
	}
	return n
}

// Encoding returns how the body is compressed, or was before it came here; empty if it was not.
func (s Scheme) Encoding() string {
	for _, known := range []struct{ magic, name string }{
		{"\x1f\x8b", "gzip"}, {"\x28\xb5\x2f\xfd", "zstd"}, {"\x78\x01", "zlib"}, {"\x78\x5e", "zlib"}, {"\x78\x9c", "zlib"},
		{"\x78\xda", "zlib"},
	} {
		if bytes.HasPrefix(s.Body, []byte(known.magic)) {
			return known.name
		}
	}
	named := strings.ToLower(strings.TrimSpace(s.Header.Get("Content-Encoding")))
	if slices.Contains([]string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress"}, named) {
		return named
	}
	return ""
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

// And returns the causes of two signatures of one request. What is only left because nothing else applies is dropped if
// something does.
func (f Found) And(other Found) Found {
	all := maps.Clone(other)
	maps.Copy(all, f)
	specific := maps.Clone(all)
	delete(specific, WrongKey)
	if specific[DevelopmentKey] == (Evidence{}) { // no key shows it
		delete(specific, DevelopmentKey)
	}
	if len(specific) > 0 {
		return specific
	}
	return all
}

// Causes returns what was found, with hints.
func (s Scheme) Causes(found Found) (causes []webhook.Refusal) {
	for _, code := range precedence {
		if evidence, ok := found[code]; ok {
			causes = append(causes, webhook.Refusal{Code: code, Hint: s.hint(code, evidence)})
		}
	}
	return causes
}

func (s Scheme) hint(code string, e Evidence) string {
	title, key := s.Info.Title, "the configured key "+e.Key
	switch code {
	case SignatureMissing:
		return "the request has no signature in " + s.Where + ": " + s.Absent
	case OtherHeader:
		return "the right signature is in the header " + webhook.Label(e.Header) + ", but " + title + " puts it in " +
			s.Where + ": find the proxy that renames the header"
	case SignatureMalformed:
		return s.Where + " has no signature of " + title + ", which is " + s.Format +
			": it is cut off, a placeholder, or something that it needs is missing"
	case DevelopmentKey:
		if e.Key == "" {
			return "only the development key is configured, and the request is signed with another key: set $" +
				s.Info.KeysVariable + " to the key from " + s.Source
		}
		return "the request is signed with the development key, which is not configured: sign it with a configured key, or " +
			"unset $" + s.Info.KeysVariable + " on localhost"
	case KeyWhitespace:
		return "the signature matches " + key + " with white space or quotes added to it or removed: copy the key from " +
			s.Source + " again"
	case KeyEncoding:
		return "the signature matches " + key + ` if it is decoded or encoded, or if "=" is added to its end or removed: ` +
			"configure the key exactly as the sender uses it; copy it whole from " + s.Source
	case SignatureEncoding:
		return "the signature is right under " + key + ", but in another spelling: " + title + " sends " + s.Format
	case QueryNotSigned:
		return "the signature is right under " + key + " without the query of the URL, which " + title +
			" signs: find what adds to the query, or register the URL without one"
	case BodyCompressed:
		return "the body is or was compressed (" + e.Text + "), so the signed bytes are not those that came: switch off " +
			"compression at the sender or at the proxy"
	case BodyChanged:
		if e.Text != "" {
			return "the body is not the one that " + title + " signed (" + e.Text +
				"): find the proxy or the code that changes it"
		}
		return "the signature is right under " + key + " for another form of the body: find the proxy or the code that " +
			"changes it, and pass the bytes on as they came"
	}
	return "no configured key (" + e.Key + ") made this signature: compare them with " + s.Source
}
