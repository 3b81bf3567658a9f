package attack

import (
	"bytes"
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
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// attack changes the vendor's genuine request, which has been processed before.
type attack struct {
	change func(w *world, r *webhook.Request)
	want   string
	but    map[string]string // what must become of it instead, by provider; "" does not apply
}

// try makes the attack on every provider.
func try(t *testing.T, withToken bool, attacks map[string]attack) {
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			for _, v := range vendors(t) {
				want, other := a.but[v.Info().Name]
				if !other {
					want = a.want
				}
				if want == "" {
					continue
				}
				w := newWorld(t, v, keys(v, withToken))
				proof := w.fate(v.genuine())
				if proof == refused || proof == noSuchURL {
					t.Fatalf("%s: the genuine request is refused: %s", v.Info().Name, proof)
				}
				r := v.genuine()
				a.change(w, r)
				if got := w.fate(r); got != want {
					t.Errorf("%s: got %s, want %s", v.Info().Name, got, want)
				}
			}
		})
	}
}

// Where the vendor's documents allow what others would not.
var (
	hashStandsIn = map[string]string{"dropboxsign": duplicate}       // event_hash proves time and type, and is proved to be no more
	anyOfThem    = map[string]string{"docusign": duplicate}          // one signature per key of the account
	nothingHashd = map[string]string{"adobesign": ""}                // there is no algorithm
	bodyIsFree   = map[string]string{"adobesign": duplicate}         // nothing of the body is proved
	bodyIsWaste  = map[string]string{"adobesign": unreadable}        // as above
	newUnproved  = map[string]string{"adobesign": "client-id"}       // as above
	timeIsSigned = map[string]string{"esignglobal": refused}         // and so are the values of the query
	hashOfOther  = map[string]string{"dropboxsign": "partly-signed"} // never signed
)

func wrong(v vendor) string { return v.proof("wrong-key-0123456789", v.genuine()) }

func (w *world) spell(r *webhook.Request, value string) { r.Header.Set(w.header, value) }

func TestStrippedAndDowngradedProofsProveNothing(t *testing.T) {
	try(t, false, map[string]attack{
		"the proof is missing":                    {func(w *world, r *webhook.Request) { r.Header.Del(w.header) }, refused, hashStandsIn},
		"all headers are missing":                 {func(_ *world, r *webhook.Request) { r.Header = http.Header{} }, refused, hashStandsIn},
		"the proof is empty":                      {func(w *world, r *webhook.Request) { w.spell(r, "") }, refused, nil},
		"the proof is white space":                {func(w *world, r *webhook.Request) { w.spell(r, " \t ") }, refused, nil},
		"the proof is the word of no value":       {func(w *world, r *webhook.Request) { w.spell(r, "null") }, refused, nil},
		"the proof comes first, then a wrong one": {func(w *world, r *webhook.Request) { r.Header.Add(w.header, wrong(w.vendor)) }, refused, anyOfThem},
		"a wrong one comes first, then the proof": {func(w *world, r *webhook.Request) {
			right := r.Header.Get(w.header)
			w.spell(r, wrong(w.vendor))
			r.Header.Add(w.header, right)
		}, refused, anyOfThem},
		"the proof comes first, then an empty one": {func(w *world, r *webhook.Request) { r.Header.Add(w.header, "") }, refused, anyOfThem},
		"the proof stands in a list": {func(w *world, r *webhook.Request) {
			w.spell(r, wrong(w.vendor)+","+r.Header.Get(w.header))
		}, refused, anyOfThem},
		"the proof stands under other names": {func(w *world, r *webhook.Request) {
			right := r.Header.Get(w.header)
			r.Header.Del(w.header)
			for _, name := range []string{"X-Signature", "X-Hub-Signature-256", "Authorization", w.header + "x", "X-DocuSign-Signature-", "X-DocuSign-Signature-1a"} {
				r.Header.Set(name, right)
			}
		}, refused, hashStandsIn},
		"the proof stands in the query": {func(w *world, r *webhook.Request) {
			r.Query = url.Values{w.header: {r.Header.Get(w.header)}}
			r.Header.Del(w.header)
		}, refused, hashStandsIn},
		"the algorithm is none, and so is the proof": {func(w *world, r *webhook.Request) {
			r.Header.Del(w.header)
			r.Header.Del(timestamp)
			for _, name := range []string{"X-Authorization-Digest", "X-Tsign-Open-SIGNATURE-ALGORITHM"} {
				r.Header.Set(name, "none")
			}
		}, refused, hashStandsIn},
		"the algorithm is said to be another, and the proof is right": {func(_ *world, r *webhook.Request) {
			for _, name := range []string{"X-Authorization-Digest", "X-Tsign-Open-SIGNATURE-ALGORITHM"} {
				r.Header.Set(name, "none")
			}
		}, duplicate, nil},
		"the algorithm is SHA-1":   downgraded("HMACSHA1", sha1.New),
		"the algorithm is MD5":     downgraded("HMACMD5", md5.New),
		"the algorithm is SHA-512": downgraded("HMACSHA512", sha512.New),
		"the legacy MD5 header stands in": {func(w *world, r *webhook.Request) {
			r.Header.Del(w.header)
			r.Header.Set("Content-MD5", base64OfHex(keyed(md5.New, keyOf(w.vendor), r.Body)))
		}, refused, hashStandsIn},
		"the proof is a hash without a key": {func(w *world, r *webhook.Request) {
			if w.covered != nil {
				sum := sha256.Sum256(w.covered(r))
				w.spell(r, w.spellings[0](sum[:]))
			}
		}, refused, nothingHashd},
		"another body lies under the old hash alone": {func(w *world, r *webhook.Request) {
			r.Header.Del(w.header)
			r.Body = []byte(w.body(keyOf(w.vendor), "forged"))
		}, refused, hashOfOther},
	})
}

func downgraded(algorithm string, h func() hash.Hash) attack {
	return attack{func(w *world, r *webhook.Request) {
		r.Header.Set("X-Authorization-Digest", algorithm)
		r.Header.Set("X-Tsign-Open-SIGNATURE-ALGORITHM", strings.ToLower(algorithm))
		w.spell(r, w.spellings[0](w.mac(h, keyOf(w.vendor), r)))
	}, refused, nothingHashd}
}

// TestOnlyTheVendorsSpellingsProve: the right MAC in a form that the vendor does not use is none.
func TestOnlyTheVendorsSpellingsProve(t *testing.T) {
	for name, spelling := range map[string]func(mac []byte, right string) string{
		"hex":                         func(mac []byte, _ string) string { return hex.EncodeToString(mac) },
		"hex in capitals":             func(mac []byte, _ string) string { return strings.ToUpper(hex.EncodeToString(mac)) },
		"base64":                      func(mac []byte, _ string) string { return base64Of(mac) },
		"base64 without padding":      func(mac []byte, _ string) string { return base64.RawStdEncoding.EncodeToString(mac) },
		"base64 for URLs":             func(mac []byte, _ string) string { return "-_" + base64.URLEncoding.EncodeToString(mac) },
		"base64 of hex":               func(mac []byte, _ string) string { return base64OfHex(mac) },
		"base64 of hex in capitals":   func(mac []byte, _ string) string { return base64Of([]byte(strings.ToUpper(hex.EncodeToString(mac)))) },
		"base64 twice":                func(_ []byte, right string) string { return base64Of([]byte(right)) },
		"half of the MAC":             func(mac []byte, _ string) string { return hex.EncodeToString(mac[:len(mac)/2]) },
		"half of the MAC in base64":   func(mac []byte, _ string) string { return base64Of(mac[:len(mac)/2]) },
		"half of the text":            func(_ []byte, right string) string { return right[:len(right)/2] },
		"its first character":         func(_ []byte, right string) string { return right[:1] },
		"all but its last character":  func(_ []byte, right string) string { return right[:len(right)-1] },
		"all but its first character": func(_ []byte, right string) string { return right[1:] },
		"one character more":          func(_ []byte, right string) string { return right + "0" },
		"a NUL more":                  func(_ []byte, right string) string { return right + "\x00" },
		"a NUL and more":              func(_ []byte, right string) string { return right + "\x00" + right },
		"twice":                       func(_ []byte, right string) string { return right + right },
		"twice, with a space":         func(_ []byte, right string) string { return right + " " + right },
		"twice, with a semicolon":     func(_ []byte, right string) string { return right + ";" + right },
		"with its algorithm before":   func(_ []byte, right string) string { return "sha256=" + right },
		"with a version before":       func(_ []byte, right string) string { return "v1=" + right },
		"in quotes":                   func(_ []byte, right string) string { return `"` + right + `"` },
		"percent-encoded":             func(_ []byte, right string) string { return "%" + hex.EncodeToString([]byte(right[:1])) + right[1:] },
		"in another case":             func(_ []byte, right string) string { return swapCase(right) },
		"with a wide character":       func(_ []byte, right string) string { return string(rune(right[0])+0xfee0) + right[1:] },
		"with a byte order mark":      func(_ []byte, right string) string { return "\ufeff" + right },
		"with a line break":           func(_ []byte, right string) string { return right[:8] + "\r\n " + right[8:] },
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range vendors(t) {
				w := newWorld(t, v, keys(v, false))
				w.fate(v.genuine())
				r := v.genuine()
				mac := v.mac(sha256.New, keyOf(v), r)
				w.spell(r, spelling(mac, v.spellings[0](mac)))
				want := refused
				if slices.ContainsFunc(v.spellings, func(s func([]byte) string) bool { return s(mac) == r.Header.Get(v.header) }) {
					want = duplicate
				}
				if got := w.fate(r); got != want {
					t.Errorf("%s: got %s, want %s", v.Info().Name, got, want)
				}
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

// TestOnlyTheKeyIsTheKey: a request that is signed throughout, but under what a forger may know or guess.
func TestOnlyTheKeyIsTheKey(t *testing.T) {
	all := vendors(t)
	for _, withToken := range []bool{false, true} {
		for _, v := range all {
			key := keyOf(v)
			sum := sha256.Sum256([]byte(key))
			w := newWorld(t, v, keys(v, withToken))
			guesses := map[string]string{
				"no key": "", "a space": " ", "a NUL": "\x00", "the URL's token": tokenOf(v), "what a secret prints": "REDACTED", "the word null": "null",
				"the development key": v.Info().DevelopmentKey, "the key in capitals": strings.ToUpper(key), "the key cut off": key[:len(key)-1],
				"the key and more": key + "x", "the key's hash": string(sum[:]), "the key's hash in hex": hex.EncodeToString(sum[:]),
				"the key in base64": base64Of([]byte(key)), "the key in quotes": `"` + key + `"`, "the provider's name": v.Info().Name,
			}
			for _, other := range all {
				if other.Info().Name != v.Info().Name {
					guesses["the key of "+other.Info().Name], guesses["the token of "+other.Info().Name] = keyOf(other), tokenOf(other)
				}
			}
			for name, guess := range guesses {
				r := v.signed(guess, v.body(guess, "forged"))
				r.URLToken = tokenOf(v)
				if got := w.fate(r); got != refused {
					t.Errorf("%s, signed with %s: %s", v.Info().Name, name, got)
				}
			}
		}
	}
}

// TestNothingIsGenuineWithoutAKey: lists that are empty, or of empty keys, open nothing.
func TestNothingIsGenuineWithoutAKey(t *testing.T) {
	empty := webhook.NewSecret("")
	for name, none := range map[string]webhook.Keys{
		"no keys": {}, "an empty key": {Keys: []webhook.Secret{empty}}, "the zero key": {Keys: []webhook.Secret{{}}},
	} {
		for _, v := range vendors(t) {
			w := newWorld(t, v, none)
			for _, guess := range []string{"", keyOf(v), v.Info().DevelopmentKey, "REDACTED"} {
				for _, token := range []string{"", tokenOf(v)} {
					r := v.signed(guess, v.body(guess, "forged"))
					r.URLToken = token
					if got := w.fate(r); got != refused {
						t.Errorf("%s with %s, signed with %q: %s", v.Info().Name, name, guess, got)
					}
					r.Header = http.Header{}
					if got := w.fate(r); got != refused {
						t.Errorf("%s with %s, not signed: %s", v.Info().Name, name, got)
					}
				}
			}
		}
	}
}

func TestWhatIsCoveredCannotBeChanged(t *testing.T) {
	changed := func(change func(body []byte) []byte) func(*world, *webhook.Request) {
		return func(_ *world, r *webhook.Request) { r.Body = change(r.Body) }
	}
	replaced := func(old, with string) func(*world, *webhook.Request) {
		return changed(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(with)) })
	}
	before := func(s string) func(*world, *webhook.Request) {
		return changed(func(b []byte) []byte { return append([]byte(s), b...) })
	}
	after := func(s string) func(*world, *webhook.Request) {
		return changed(func(b []byte) []byte { return append(b, s...) })
	}
	try(t, false, map[string]attack{
		"another agreement":             {replaced(`"genuine"`, `"forged"`), refused, newUnproved},
		"another body":                  {func(w *world, r *webhook.Request) { r.Body = []byte(w.body(keyOf(w.vendor), "forged")) }, refused, newUnproved},
		"no body":                       {changed(func([]byte) []byte { return nil }), refused, bodyIsWaste},
		"a body cut off":                {changed(func(b []byte) []byte { return b[:len(b)-1] }), refused, bodyIsWaste},
		"the body twice":                {changed(func(b []byte) []byte { return append(b, b...) }), refused, bodyIsWaste},
		"a NUL after it":                {after("\x00"), refused, bodyIsWaste},
		"a line feed after it":          {after("\n"), refused, bodyIsFree},
		"a space after it":              {after(" "), refused, bodyIsFree},
		"a space before it":             {before(" "), refused, bodyIsFree},
		"a byte order mark":             {before("\ufeff"), refused, bodyIsFree},
		"another field before it":       {changed(func(b []byte) []byte { return bytes.Replace(b, []byte("{"), []byte(`{"x":1,`), 1) }), refused, bodyIsFree},
		"white space within":            {replaced(`,"leak"`, `, "leak"`), refused, bodyIsFree},
		"a line break within":           {replaced(`,"leak"`, ",\r\n\"leak\""), refused, bodyIsFree},
		"the same character, escaped":   {replaced(`genuine`, `\u0067enuine`), refused, bodyIsFree},
		"the length of SHA-256 extends": {func(w *world, r *webhook.Request) { r.Body = append(r.Body, padding(w, r)...) }, refused, bodyIsWaste},
		"another time":                  {func(_ *world, r *webhook.Request) { r.Header.Set(timestamp, "1793610000001") }, duplicate, timeIsSigned},
		"another query":                 {func(_ *world, r *webhook.Request) { r.Query = url.Values{"a": {"b"}} }, duplicate, timeIsSigned},
		"the time's last digit moves to the body": {func(_ *world, r *webhook.Request) {
			if at := r.Header.Get(timestamp); at != "" {
				r.Header.Set(timestamp, at[:len(at)-1])
				r.Body = append([]byte(at[len(at)-1:]), r.Body...)
			}
		}, duplicate, map[string]string{"esignglobal": unreadable}},
		"the body's first character moves to the time": {func(_ *world, r *webhook.Request) {
			if at := r.Header.Get(timestamp); at != "" {
				r.Header.Set(timestamp, at+string(r.Body[:1]))
				r.Body = r.Body[1:]
			}
		}, duplicate, map[string]string{"esignglobal": unreadable}},
		"the body moves to the query": {func(_ *world, r *webhook.Request) {
			if r.Header.Get(timestamp) != "" {
				r.Query, r.Body = url.Values{"a": {string(r.Body)}}, nil
			}
		}, duplicate, map[string]string{"esignglobal": unreadable}},
	})
}

// padding is what a forger who knows a hash without a key would append to go on from it.
func padding(w *world, r *webhook.Request) []byte {
	n := len(r.Body) + sha256.BlockSize
	if w.covered != nil {
		n = len(w.covered(r)) + sha256.BlockSize
	}
	glue := append([]byte{0x80}, make([]byte, (119-n%64)%64)...)
	glue = binary.BigEndian.AppendUint64(glue, uint64(n)*8)
	return append(glue, `,"x":1}`...)
}

func TestReplaysAreDuplicates(t *testing.T) {
	years := func(n int) func(*world, *webhook.Request) {
		return func(w *world, _ *webhook.Request) { w.now = w.now.AddDate(n, 0, 0) }
	}
	try(t, false, map[string]attack{
		"at once":            {func(*world, *webhook.Request) {}, duplicate, nil},
		"after ten years":    {years(10), duplicate, nil},
		"from the past":      {years(-10), duplicate, nil},
		"from elsewhere":     {func(_ *world, r *webhook.Request) { r.Header.Set("X-Forwarded-For", "198.51.100.7") }, duplicate, nil},
		"as another browser": {func(_ *world, r *webhook.Request) { r.Header.Set("User-Agent", "curl/8") }, duplicate, nil},
		"signed anew at another time": {func(w *world, r *webhook.Request) {
			if r.Header.Get(timestamp) != "" {
				r.Header.Set(timestamp, fmt.Sprint(w.now.AddDate(3, 0, 0).UnixMilli()))
			}
			w.spell(r, w.proof(keyOf(w.vendor), r))
		}, duplicate, nil},
		"a thousand times": {func(w *world, r *webhook.Request) {
			for range 50 {
				w.now = w.now.Add(24 * time.Hour)
				if got := w.fate(webhooktest.Clone(r)); got != duplicate {
					w.t.Errorf("got %s", got)
				}
			}
		}, duplicate, nil},
	})
}

// TestOneVendorsRequestsAreNotAnothers: neither as they are nor spelled as the other would, under keys of their own and
// under one for all.
func TestOneVendorsRequestsAreNotAnothers(t *testing.T) {
	const shared = canary + "-key-of-all"
	for _, to := range vendors(t) {
		for _, from := range vendors(t) {
			if from.Info().Name == to.Info().Name {
				continue
			}
			t.Run(from.Info().Name+" to "+to.Info().Name, func(t *testing.T) {
				if got := newWorld(t, to, keys(to, false)).fate(from.genuine()); got != refused {
					t.Errorf("as it is: %s", got)
				}
				w := newWorld(t, to, webhook.Keys{Keys: webhook.Secrets(shared)})
				r := from.signed(shared, from.body(shared, "forged"))
				if got := w.fate(webhooktest.Clone(r)); got != refused {
					t.Errorf("under one key: %s", got)
				}
				if from.covered == nil || to.covered == nil {
					return // a client ID is public: no key may be the same
				}
				for name, r := range respelled(from, to, r, shared) {
					if got := w.fate(r); got != refused && got != unreadable && got != duplicate || len(w.events()) > 1 {
						t.Errorf("under one key, %s: %s", name, got)
					}
				}
				for _, e := range w.events() {
					if e.Event != nil {
						t.Errorf("under one key, it means %+v", e.Event)
					}
				}
			})
		}
	}
}

// respelled are the bytes that from has signed, with that signature, dressed as to's.
func respelled(from, to vendor, r *webhook.Request, key string) map[string]*webhook.Request {
	covered, mac := from.covered(r), from.mac(sha256.New, key, r)
	dressed := map[string]*webhook.Request{}
	for i, spelling := range to.spellings {
		for name, body := range map[string]string{"as its body": string(covered), "as its form": url.Values{"json": {string(covered)}}.Encode()} {
			d := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: []byte(body)}
			d.Header.Set(to.header, spelling(mac))
			dressed[fmt.Sprint(name, i)] = d
		}
		d := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: covered[1:]}
		d.Header.Set(to.header, spelling(mac))
		d.Header.Set(timestamp, string(covered[:1]))
		dressed[fmt.Sprint("with its first character as the time", i)] = d
	}
	return dressed
}

// TestURLTokensKeepStrangersOut: the keys are right, or nothing but the token is.
func TestURLTokensKeepStrangersOut(t *testing.T) {
	to := func(token func(v vendor) string) func(*world, *webhook.Request) {
		return func(w *world, r *webhook.Request) { r.URLToken = token(w.vendor) }
	}
	another := func(w *world, r *webhook.Request) { r.Body = []byte(w.body(keyOf(w.vendor), "forged")) }
	unsigned := func(w *world, r *webhook.Request) {
		r.Header.Del(w.header)
		r.Header.Del(timestamp)
	}
	try(t, true, map[string]attack{
		"no token":                  {to(func(vendor) string { return "" }), noSuchURL, nil},
		"another token":             {to(func(vendor) string { return "0123456789abcdef" }), noSuchURL, nil},
		"the token of a neighbour":  {to(func(v vendor) string { return strings.Replace(tokenOf(v), v.Info().Name, "elsewhere", 1) }), noSuchURL, nil},
		"the key for a token":       {to(keyOf), noSuchURL, nil},
		"the token cut off":         {to(func(v vendor) string { return tokenOf(v)[:len(tokenOf(v))-1] }), noSuchURL, nil},
		"the token and more":        {to(func(v vendor) string { return tokenOf(v) + "x" }), noSuchURL, nil},
		"the token and a NUL":       {to(func(v vendor) string { return tokenOf(v) + "\x00" }), noSuchURL, nil},
		"the token and a space":     {to(func(v vendor) string { return tokenOf(v) + " " }), noSuchURL, nil},
		"the token and a line feed": {to(func(v vendor) string { return tokenOf(v) + "\n" }), noSuchURL, nil},
		"the token in capitals":     {to(func(v vendor) string { return strings.ToUpper(tokenOf(v)) }), noSuchURL, nil},
		"the token twice":           {to(func(v vendor) string { return tokenOf(v) + "," + tokenOf(v) }), noSuchURL, nil},
		"what a token prints":       {to(func(vendor) string { return "REDACTED" }), noSuchURL, nil},
		"the pattern of the URL":    {to(func(vendor) string { return "{token}" }), noSuchURL, nil},
		"the token in query and headers": {func(w *world, r *webhook.Request) {
			r.Query, r.URLToken = url.Values{"token": {r.URLToken}}, ""
			r.Header.Set("Authorization", "Bearer "+tokenOf(w.vendor))
			r.Header.Set("X-Token", tokenOf(w.vendor))
		}, noSuchURL, nil},
		"a wrong token and a wrong method": {func(_ *world, r *webhook.Request) { r.URLToken, r.Method = "x", http.MethodPut }, noSuchURL, nil},
		"a wrong token and no proof":       {func(w *world, r *webhook.Request) { r.URLToken = "x"; unsigned(w, r) }, noSuchURL, nil},

		"the token alone proves what it may":        {unsigned, refused, map[string]string{"dropboxsign": duplicate, "esignglobal": duplicate}},
		"the token does not outweigh a wrong proof": {func(w *world, r *webhook.Request) { w.spell(r, wrong(w.vendor)) }, refused, nil},
		"the token does not outweigh half a proof":  {func(w *world, r *webhook.Request) { r.Header.Del(w.header) }, refused, hashStandsIn},
		"another body under the token":              {another, refused, map[string]string{"adobesign": "url-token"}},
		"another body under the token alone": {func(w *world, r *webhook.Request) { unsigned(w, r); another(w, r) }, refused,
			map[string]string{"dropboxsign": "partly-signed", "esignglobal": "url-token"}},
	})
}
