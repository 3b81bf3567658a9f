package attack

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// attack changes the vendor's genuine request, which has been processed before.
type attack struct {
	change func(w *World, r *webhook.Request)
	want   string
	unless func(v vendor) string // the outcome that the vendor's claims demand instead; "" for none
}

// notApplicable is the outcome of an attack that the vendor's protocol makes impossible.
const notApplicable = "not applicable"

// try makes the attacks on a provider.
func try(t *testing.T, v vendor, withToken bool, attacks map[string]attack) {
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			want := a.want
			if a.unless != nil {
				want = cmp.Or(a.unless(v), want)
			}
			if want == notApplicable {
				return
			}
			w := newWorld(t, v, keysOf(v, withToken))
			proof := w.Fate(v.genuine())
			if proof == Refused || proof == noSuchURL {
				t.Fatalf("the genuine request is refused: %s", proof)
			}
			if want == sameProof {
				want = proof
			}
			r := v.genuine()
			a.change(w, r)
			if got := w.Fate(r); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// sameProof is the outcome of a request that is accepted as another event, with the genuine request's proof.
const sameProof = "same proof"

// exception returns outcome for vendors that satisfy the condition.
func exception(condition func(v vendor) bool, outcome string) func(vendor) string {
	return func(v vendor) string {
		if condition(v) {
			return outcome
		}
		return ""
	}
}

// Conditions under which a vendor's documents allow what the attack tries.
func signsNothing(v vendor) bool   { return v.Covered == nil }
func signsTime(v vendor) bool      { return v.SignedTime != "" }
func provesByBody(v vendor) bool   { return v.WithoutHeader != "" }
func takesAnyProof(v vendor) bool  { return v.AnyOfSeveral }
func trustsToken(v vendor) bool    { return v.TokenAlone != "" }
func refusesFormats(v vendor) bool { return v.RefusesOtherFormats }

var (
	provedByBody   = exception(provesByBody, duplicate)
	anyOfThem      = exception(takesAnyProof, duplicate)
	nothingHashed  = exception(signsNothing, notApplicable)
	bodyIsFree     = exception(signsNothing, duplicate)
	bodyIsWaste    = exception(signsNothing, Unreadable)
	otherEvent     = exception(signsNothing, sameProof)
	timeIsSigned   = exception(signsTime, Refused) // and so are the query's values
	bordersAreFree = exception(signsTime, Unreadable)
)

// setTime changes the signed timestamp, if the vendor sends one.
func (v vendor) setTime(r *webhook.Request, at string) {
	if v.SignedTime != "" {
		r.Header.Set(v.SignedTime, at)
	}
}

func wrong(v vendor) string { return v.proof("wrong-key-0123456789", v.genuine()) }

func (w *World) spell(r *webhook.Request, value string) { r.Header.Set(w.Header, value) }

func missingProofs(t *testing.T, v vendor) {
	try(t, v, false, map[string]attack{
		"the proof is missing": {
			func(w *World, r *webhook.Request) { r.Header.Del(w.Header) }, Refused, provedByBody,
		},
		"all headers are missing": {
			func(_ *World, r *webhook.Request) { r.Header = http.Header{} }, Refused, provedByBody,
		},
		"the proof is empty":               {func(w *World, r *webhook.Request) { w.spell(r, "") }, Refused, nil},
		"the proof is white space":         {func(w *World, r *webhook.Request) { w.spell(r, " \t ") }, Refused, nil},
		"the proof is a word for no value": {func(w *World, r *webhook.Request) { w.spell(r, "null") }, Refused, nil},
		"the proof comes first, then a wrong one": {
			func(w *World, r *webhook.Request) { r.Header.Add(w.Header, wrong(w.vendor)) }, Refused, anyOfThem,
		},
		"a wrong one comes first, then the proof": {func(w *World, r *webhook.Request) {
			right := r.Header.Get(w.Header)
			w.spell(r, wrong(w.vendor))
			r.Header.Add(w.Header, right)
		}, Refused, anyOfThem},
		"the proof comes first, then an empty one": {
			func(w *World, r *webhook.Request) { r.Header.Add(w.Header, "") }, Refused, anyOfThem,
		},
		"the proof is in a list": {func(w *World, r *webhook.Request) {
			w.spell(r, wrong(w.vendor)+","+r.Header.Get(w.Header))
		}, Refused, anyOfThem},
		"the proof has other names": {func(w *World, r *webhook.Request) {
			right := r.Header.Get(w.Header)
			r.Header.Del(w.Header)
			for _, name := range []string{
				"X-Signature", "X-Hub-Signature-256", "Authorization", w.Header + "a", w.Header[:len(w.Header)-1],
			} {
				r.Header.Set(name, right)
			}
		}, Refused, provedByBody},
		"the proof is in the query": {func(w *World, r *webhook.Request) {
			r.Query = url.Values{w.Header: {r.Header.Get(w.Header)}}
			r.Header.Del(w.Header)
		}, Refused, provedByBody},
		"the algorithm is none, and so is the proof": {func(w *World, r *webhook.Request) {
			w.unsign(r)
			r.Header.Set(w.AlgorithmHeader, "none")
		}, Refused, provedByBody},
		"another algorithm is named, and the proof is right": {func(w *World, r *webhook.Request) {
			r.Header.Set(w.AlgorithmHeader, "none")
		}, duplicate, nil},
		"the algorithm is SHA-1":   downgraded("HMACSHA1", sha1.New),
		"the algorithm is MD5":     downgraded("HMACMD5", md5.New),
		"the algorithm is SHA-512": downgraded("HMACSHA512", sha512.New),
		"the legacy MD5 header replaces the proof": {func(w *World, r *webhook.Request) {
			r.Header.Del(w.Header)
			r.Header.Set("Content-MD5", webhooktest.Base64OfHex(webhooktest.MAC(md5.New, w.key(), r.Body)))
		}, Refused, provedByBody},
		"the proof is a hash without a key": {func(w *World, r *webhook.Request) {
			if w.Covered != nil {
				sum := sha256.Sum256(w.Covered(r))
				w.spell(r, w.Spellings[0](sum[:]))
			}
		}, Refused, nothingHashed},
		"another body with only the old hash": {func(w *World, r *webhook.Request) {
			r.Header.Del(w.Header)
			r.Body = []byte(w.Body(w.key(), "forged"))
		}, Refused, func(v vendor) string { return string(v.WithoutHeader) }},
	})
}

func downgraded(algorithm string, h func() hash.Hash) attack {
	return attack{func(w *World, r *webhook.Request) {
		r.Header.Set(w.AlgorithmHeader, algorithm)
		w.spell(r, w.Spellings[0](w.mac(h, w.key(), r)))
	}, Refused, nothingHashed}
}

// spellings sends the right MAC in encodings that the vendor does not use.
func spellings(t *testing.T, v vendor) {
	for name, spelling := range map[string]func(mac []byte, right string) string{
		"hex":                    func(mac []byte, _ string) string { return hex.EncodeToString(mac) },
		"hex in capitals":        func(mac []byte, _ string) string { return strings.ToUpper(hex.EncodeToString(mac)) },
		"base64":                 func(mac []byte, _ string) string { return webhooktest.Base64(mac) },
		"base64 without padding": func(mac []byte, _ string) string { return base64.RawStdEncoding.EncodeToString(mac) },
		"base64 for URLs":        func(mac []byte, _ string) string { return "-_" + base64.URLEncoding.EncodeToString(mac) },
		"base64 of hex":          func(mac []byte, _ string) string { return webhooktest.Base64OfHex(mac) },
		"base64 of hex in capitals": func(mac []byte, _ string) string {
			return webhooktest.Base64([]byte(strings.ToUpper(hex.EncodeToString(mac))))
		},
		"base64 twice":                func(_ []byte, right string) string { return webhooktest.Base64([]byte(right)) },
		"half of the MAC":             func(mac []byte, _ string) string { return hex.EncodeToString(mac[:len(mac)/2]) },
		"half of the MAC in base64":   func(mac []byte, _ string) string { return webhooktest.Base64(mac[:len(mac)/2]) },
		"half of the text":            func(_ []byte, right string) string { return right[:len(right)/2] },
		"its first character":         func(_ []byte, right string) string { return right[:1] },
		"all but its last character":  func(_ []byte, right string) string { return right[:len(right)-1] },
		"all but its first character": func(_ []byte, right string) string { return right[1:] },
		"one character more":          func(_ []byte, right string) string { return right + "0" },
		"with a NUL":                  func(_ []byte, right string) string { return right + "\x00" },
		"with a NUL and a character":  func(_ []byte, right string) string { return right + "\x00" + right },
		"twice":                       func(_ []byte, right string) string { return right + right },
		"twice, with a space":         func(_ []byte, right string) string { return right + " " + right },
		"twice, with a semicolon":     func(_ []byte, right string) string { return right + ";" + right },
		"with its algorithm before":   func(_ []byte, right string) string { return "sha256=" + right },
		"with a version before":       func(_ []byte, right string) string { return "v1=" + right },
		"in quotes":                   func(_ []byte, right string) string { return `"` + right + `"` },
		"percent-encoded": func(_ []byte, right string) string {
			return "%" + hex.EncodeToString([]byte(right[:1])) + right[1:]
		},
		"in another case": func(_ []byte, right string) string { return swapCase(right) },
		"with a wide character": func(_ []byte, right string) string {
			return string(rune(right[0])+0xfee0) + right[1:]
		},
		"with a byte order mark": func(_ []byte, right string) string { return "\ufeff" + right },
		"with a line break":      func(_ []byte, right string) string { return right[:8] + "\r\n " + right[8:] },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, v, keysOf(v, false))
			w.Fate(v.genuine())
			r := v.genuine()
			mac := v.mac(sha256.New, v.key(), r)
			w.spell(r, spelling(mac, v.Spellings[0](mac)))
			want := Refused
			allowed := func(s func([]byte) string) bool { return s(mac) == r.Header.Get(v.Header) }
			if slices.ContainsFunc(v.Spellings, allowed) {
				want = duplicate
			}
			if got := w.Fate(r); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func swapCase(s string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", c) {
			return c ^ 0x20
		}
		return c
	}, s)
}

// guessedKeys signs requests with keys that a forger may know or guess.
func guessedKeys(t *testing.T, v vendor) {
	key := v.key()
	sum := sha256.Sum256([]byte(key))
	guesses := map[string]string{
		"no key": "", "a space": " ", "a NUL": "\x00", "the URL's token": v.token(), "what a secret prints": "REDACTED",
		"the word null": "null", "the development key": v.Info().DevelopmentKey, "the provider's name": v.name(),
		"the key in capitals": strings.ToUpper(key), "the key cut off": key[:len(key)-1], "the key and more": key + "x",
		"the key's hash": string(sum[:]), "the key's hash in hex": hex.EncodeToString(sum[:]),
		"the key in base64": webhooktest.Base64([]byte(key)), "the key in quotes": `"` + key + `"`,
	}
	for _, other := range provider.All() {
		if name := other.Info().Name; name != v.name() {
			guesses["the key of "+name], guesses["the token of "+name] = keyOf(other), tokenOf(other)
		}
	}
	for _, withToken := range []bool{false, true} {
		w := newWorld(t, v, keysOf(v, withToken))
		for name, guess := range guesses {
			r := v.signed(guess, v.Body(guess, "forged"))
			r.URLToken = v.token()
			if got := w.Fate(r); got != Refused {
				t.Errorf("signed with %s: %s", name, got)
			}
		}
	}
}

// withoutKey configures no keys, or only empty ones. Then nothing is genuine.
func withoutKey(t *testing.T, v vendor) {
	empty := webhook.NewSecret("")
	for name, none := range map[string]webhook.Keys{
		"no keys": {}, "an empty key": {Keys: []webhook.Secret{empty}}, "the zero key": {Keys: []webhook.Secret{{}}},
	} {
		w := newWorld(t, v, none)
		for _, guess := range []string{"", v.key(), v.Info().DevelopmentKey, "REDACTED"} {
			for _, token := range []string{"", v.token()} {
				r := v.signed(guess, v.Body(guess, "forged"))
				r.URLToken = token
				if got := w.Fate(r); got != Refused {
					t.Errorf("with %s, signed with %q: %s", name, guess, got)
				}
				r.Header = http.Header{}
				if got := w.Fate(r); got != Refused {
					t.Errorf("with %s, not signed: %s", name, got)
				}
			}
		}
	}
}

func changedRequests(t *testing.T, v vendor) {
	changed := func(change func(body []byte) []byte) func(*World, *webhook.Request) {
		return func(_ *World, r *webhook.Request) { r.Body = change(r.Body) }
	}
	replaced := func(old, with string) func(*World, *webhook.Request) {
		return changed(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(with)) })
	}
	before := func(s string) func(*World, *webhook.Request) {
		return changed(func(b []byte) []byte { return append([]byte(s), b...) })
	}
	after := func(s string) func(*World, *webhook.Request) {
		return changed(func(b []byte) []byte { return append(b, s...) })
	}
	try(t, v, false, map[string]attack{
		"another agreement": {replaced(`"genuine"`, `"forged"`), Refused, otherEvent},
		"another body": {
			func(w *World, r *webhook.Request) { r.Body = []byte(w.Body(w.key(), "forged")) }, Refused, otherEvent,
		},
		"no body":              {changed(func([]byte) []byte { return nil }), Refused, bodyIsWaste},
		"a body cut off":       {changed(func(b []byte) []byte { return b[:len(b)-1] }), Refused, bodyIsWaste},
		"the body twice":       {changed(func(b []byte) []byte { return append(b, b...) }), Refused, bodyIsWaste},
		"a NUL after it":       {after("\x00"), Refused, bodyIsWaste},
		"a line feed after it": {after("\n"), Refused, bodyIsFree},
		"a space after it":     {after(" "), Refused, bodyIsFree},
		"a space before it":    {before(" "), Refused, bodyIsFree},
		"a byte order mark":    {before("\ufeff"), Refused, bodyIsFree},
		"another field before it": {
			changed(func(b []byte) []byte { return bytes.Replace(b, []byte("{"), []byte(`{"x":1,`), 1) }), Refused, bodyIsFree,
		},
		"white space within":          {replaced(`,"leak"`, `, "leak"`), Refused, bodyIsFree},
		"a line break within":         {replaced(`,"leak"`, ",\r\n\"leak\""), Refused, bodyIsFree},
		"the same character, escaped": {replaced(`genuine`, `\u0067enuine`), Refused, bodyIsFree},
		"a length extension of SHA-256": {
			func(w *World, r *webhook.Request) { r.Body = append(r.Body, padding(w, r)...) }, Refused, bodyIsWaste,
		},
		"another time": {
			func(w *World, r *webhook.Request) { w.setTime(r, "1793610000001") }, duplicate, timeIsSigned,
		},
		"another query": {
			func(_ *World, r *webhook.Request) { r.Query = url.Values{"a": {"b"}} }, duplicate, timeIsSigned,
		},
		"the time's last digit moves to the body": {func(w *World, r *webhook.Request) {
			if at := r.Header.Get(w.SignedTime); at != "" {
				w.setTime(r, at[:len(at)-1])
				r.Body = append([]byte(at[len(at)-1:]), r.Body...)
			}
		}, duplicate, bordersAreFree},
		"the body's first character moves to the time": {func(w *World, r *webhook.Request) {
			if at := r.Header.Get(w.SignedTime); at != "" {
				w.setTime(r, at+string(r.Body[:1]))
				r.Body = r.Body[1:]
			}
		}, duplicate, bordersAreFree},
		"the body moves to the query": {func(w *World, r *webhook.Request) {
			if r.Header.Get(w.SignedTime) != "" {
				r.Query, r.Body = url.Values{"a": {string(r.Body)}}, nil
			}
		}, duplicate, bordersAreFree},
	})
}

// padding is what a forger appends to extend a message whose unkeyed hash is known.
func padding(w *World, r *webhook.Request) []byte {
	n := len(r.Body) + sha256.BlockSize
	if w.Covered != nil {
		n = len(w.Covered(r)) + sha256.BlockSize
	}
	glue := append([]byte{0x80}, make([]byte, (119-n%64)%64)...)
	glue = binary.BigEndian.AppendUint64(glue, uint64(n)*8)
	return append(glue, `,"x":1}`...)
}

func replays(t *testing.T, v vendor) {
	years := func(n int) func(*World, *webhook.Request) {
		return func(w *World, _ *webhook.Request) { w.now = w.now.AddDate(n, 0, 0) }
	}
	try(t, v, false, map[string]attack{
		"at once":           {func(*World, *webhook.Request) {}, duplicate, nil},
		"after ten years":   {years(10), duplicate, nil},
		"ten years earlier": {years(-10), duplicate, nil},
		"from another address": {
			func(_ *World, r *webhook.Request) { r.Header.Set("X-Forwarded-For", "198.51.100.7") }, duplicate, nil,
		},
		"with another client": {func(_ *World, r *webhook.Request) { r.Header.Set("User-Agent", "curl/8") }, duplicate, nil},
		"signed again at another time": {func(w *World, r *webhook.Request) {
			w.setTime(r, fmt.Sprint(w.now.AddDate(3, 0, 0).UnixMilli()))
			w.spell(r, w.proof(w.key(), r))
		}, duplicate, nil},
		"a thousand times": {func(w *World, r *webhook.Request) {
			for range 50 {
				w.now = w.now.Add(24 * time.Hour)
				if got := w.Fate(webhooktest.Clone(r)); got != duplicate {
					w.t.Errorf("got %s", got)
				}
			}
		}, duplicate, nil},
	})
}

// otherVendors sends this vendor's requests to the receivers of all other vendors. It sends them unchanged, and with
// the signature moved to where the other vendor looks for it. The vendors have keys of their own, or share one key.
// With a shared key a body may happen to be an event of the other vendor, but never one about an agreement.
func otherVendors(t *testing.T, from vendor) {
	const shared = canary + "-key-of-all"
	for _, to := range provider.All() {
		if to.Info().Name == from.name() {
			continue
		}
		t.Run("to "+to.Info().Name, func(t *testing.T) {
			target := vendor{Provider: to}
			if got := newWorld(t, target, keysOf(to, false)).Fate(from.genuine()); got != Refused {
				t.Errorf("as it is: %s", got)
			}
			r := from.signed(shared, from.Body(shared, "forged"))
			w := newWorld(t, target, webhook.Keys{Keys: webhook.Secrets(shared)})
			if got := w.Fate(webhooktest.Clone(r)); got != Refused {
				t.Errorf("under one key: %s", got)
			}
			if from.Covered == nil {
				return // a client ID is public: no key may be the same
			}
			harmless := []string{Refused, Unreadable, duplicate, string(esign.ProofSigned)}
			for name, r := range disguised(t, from, to, r, shared) {
				if got := w.Fate(r); !slices.Contains(harmless, got) || len(w.events()) > 1 {
					t.Errorf("under one key, %s: %s", name, got)
				}
			}
			for _, e := range w.events() {
				if e.Event != nil && (e.Event.AgreementID != "" || e.Event.Type != esign.Other) {
					t.Errorf("under one key, it means %+v", e.Event)
				}
			}
		})
	}
}

// Digests as vendors spell them in a header.
var (
	hexDigest         = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	base64Digest      = regexp.MustCompile(`^[A-Za-z0-9+/]{43}=$`)
	base64OfHexDigest = regexp.MustCompile(`^[A-Za-z0-9+/]{86}==$`)
)

// disguised returns requests with the bytes that from has signed, and with that signature where to looks for one. The
// headers are those of an example of to: its digests are replaced by the signature, in each of to's spellings.
func disguised(t *testing.T, from vendor, to webhook.Provider, r *webhook.Request,
	key string) map[string]*webhook.Request {
	covered, mac := from.Covered(r), from.mac(sha256.New, key, r)
	all := map[string]*webhook.Request{}
	for example, genuine := range webhooktest.Examples(t, to.Info().Name) {
		if genuine.Method != http.MethodPost {
			continue
		}
		header, rest := http.Header{}, []string{}
		for name, values := range genuine.Header {
			value := hexDigest.ReplaceAllString(values[0], webhooktest.Hex(mac))
			value = base64Digest.ReplaceAllString(value, webhooktest.Base64(mac))
			value = base64OfHexDigest.ReplaceAllString(value, webhooktest.Base64OfHex(mac))
			if value != values[0] {
				header.Set(name, value)
			} else if name != "Content-Type" {
				rest = append(rest, name)
			}
		}
		if len(header) == 0 {
			continue // it is not signed in a header
		}
		disguise := func(how string, body string, more ...string) {
			d := &webhook.Request{Method: http.MethodPost, Header: header.Clone(), Body: []byte(body)}
			for i := 0; i < len(more); i += 2 {
				d.Header.Set(more[i], more[i+1])
			}
			all[how+" of "+example] = d
		}
		disguise("as the body", string(covered))
		disguise("as a form", url.Values{"json": {string(covered)}}.Encode())
		for _, name := range rest { // one of them may be a signed timestamp
			disguise("with the first character in "+name, string(covered[1:]), name, string(covered[:1]))
		}
	}
	return all
}

// urlTokens sends requests with the right keys and a wrong token, and with only the right token.
func urlTokens(t *testing.T, v vendor) {
	to := func(token func(v vendor) string) func(*World, *webhook.Request) {
		return func(w *World, r *webhook.Request) { r.URLToken = token(w.vendor) }
	}
	another := func(w *World, r *webhook.Request) { r.Body = []byte(w.Body(w.key(), "forged")) }
	unsigned := func(w *World, r *webhook.Request) { w.unsign(r) }
	try(t, v, true, map[string]attack{
		"no token":      {to(func(vendor) string { return "" }), noSuchURL, nil},
		"another token": {to(func(vendor) string { return "0123456789abcdef" }), noSuchURL, nil},
		"a token made for another vendor": {
			to(func(v vendor) string { return strings.Replace(v.token(), v.name(), "elsewhere", 1) }), noSuchURL, nil,
		},
		"the key as the token":      {to(vendor.key), noSuchURL, nil},
		"the token cut off":         {to(func(v vendor) string { return v.token()[:len(v.token())-1] }), noSuchURL, nil},
		"the token and more":        {to(func(v vendor) string { return v.token() + "x" }), noSuchURL, nil},
		"the token and a NUL":       {to(func(v vendor) string { return v.token() + "\x00" }), noSuchURL, nil},
		"the token and a space":     {to(func(v vendor) string { return v.token() + " " }), noSuchURL, nil},
		"the token and a line feed": {to(func(v vendor) string { return v.token() + "\n" }), noSuchURL, nil},
		"the token in capitals":     {to(func(v vendor) string { return strings.ToUpper(v.token()) }), noSuchURL, nil},
		"the token twice":           {to(func(v vendor) string { return v.token() + "," + v.token() }), noSuchURL, nil},
		"a redacted token":          {to(func(vendor) string { return "REDACTED" }), noSuchURL, nil},
		"the pattern of the URL":    {to(func(vendor) string { return "{token}" }), noSuchURL, nil},
		"the token in query and headers": {func(w *World, r *webhook.Request) {
			r.Query, r.URLToken = url.Values{"token": {r.URLToken}}, ""
			r.Header.Set("Authorization", "Bearer "+w.token())
			r.Header.Set("X-Token", w.token())
		}, noSuchURL, nil},
		"a wrong token and a wrong method": {
			func(_ *World, r *webhook.Request) { r.URLToken, r.Method = "x", http.MethodPut }, noSuchURL, nil,
		},
		"a wrong token and no proof": {
			func(w *World, r *webhook.Request) { r.URLToken = "x"; unsigned(w, r) }, noSuchURL, nil,
		},

		"the token without another proof": {unsigned, Refused, exception(trustsToken, duplicate)},
		"the token does not outweigh a wrong proof": {
			func(w *World, r *webhook.Request) { w.spell(r, wrong(w.vendor)) }, Refused, nil,
		},
		"the token does not outweigh half a proof": {
			func(w *World, r *webhook.Request) { r.Header.Del(w.Header) }, Refused, provedByBody,
		},
		"another body under the token": {another, Refused, otherEvent},
		"another body under the token alone": {func(w *World, r *webhook.Request) { unsigned(w, r); another(w, r) }, Refused,
			func(v vendor) string { return string(v.TokenAlone) }},
	})
}
