package webhooktest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// plant is a mistake that people make, and the cause that must come first.
type plant struct {
	mistake string
	// key is what the sender signs with if it is not the configured key.
	key func(configured string) string
	// configured is the list of configured keys; nil: the key alone.
	configured []string
	// change changes the signed request.
	change func(*webhook.Request)
	want   string
}

// realKey looks like the keys of most vendors: base64.
const realKey = "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA="

func constant(key string) func(string) string { return func(string) string { return key } }

func wrapped(before, after string) func(string) string {
	return func(key string) string { return before + key + after }
}

func decoded(key string) string {
	b, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// keyPlants are mistakes with a secret key.
func keyPlants(developmentKey string) []plant {
	return []plant{
		{"another key", constant("another key"), nil, nil, refusal.WrongKey},
		{"an old key of three", constant("old"), []string{"a", "b", realKey}, nil, refusal.WrongKey},
		{"the development key", constant(developmentKey), nil, nil, refusal.DevelopmentKey},
		{"the variable is unset", constant(realKey), []string{developmentKey}, nil, refusal.DevelopmentKey},
		{"a line break", wrapped("", "\n"), nil, nil, refusal.KeyWhitespace},
		{"a Windows line break", wrapped("", "\r\n"), nil, nil, refusal.KeyWhitespace},
		{"a space before", wrapped(" ", ""), nil, nil, refusal.KeyWhitespace},
		{"a space after, the second of two keys", wrapped("", " "), []string{"a", realKey}, nil, refusal.KeyWhitespace},
		{"double quotes", wrapped(`"`, `"`), nil, nil, refusal.KeyWhitespace},
		{"single quotes", wrapped("'", "'"), nil, nil, refusal.KeyWhitespace},
		{"a configured line break", constant(realKey), []string{realKey + "\n"}, nil, refusal.KeyWhitespace},
		{"configured quotes", constant(realKey), []string{`"` + realKey + `"`}, nil, refusal.KeyWhitespace},
		{"two keys in one", constant(realKey), []string{"first;" + realKey}, nil, refusal.KeyWhitespace},
		{"decoded base64", decoded, nil, nil, refusal.KeyEncoding},
		{"decoded hex", constant("key"), []string{"6b6579"}, nil, refusal.KeyEncoding},
		{"encoded as base64", constant(base64.StdEncoding.EncodeToString([]byte(realKey))), nil, nil, refusal.KeyEncoding},
		{"without =", constant(strings.TrimRight(realKey, "=")), nil, nil, refusal.KeyEncoding},
		{"with =", wrapped("", "="), nil, nil, refusal.KeyEncoding},
		{"escaped for a URL", constant(url.QueryEscape(realKey)), nil, nil, refusal.KeyEncoding},
		{"escaped in JSON", constant("abc/def"), []string{`abc\/def`}, nil, refusal.KeyEncoding},
	}
}

// signature finds a digest in hex or base64.
var signature = regexp.MustCompile(`\b[0-9a-f]{64}\b|[A-Za-z0-9+/]{43}=|[A-Za-z0-9+/]{86}==`)

// respell replaces the values that differ between two keys: the signatures.
func respell(with func(digest []byte, old string) string) func(*webhook.Request) {
	replace := func(old string) string {
		digest, err := hex.DecodeString(old)
		if err != nil {
			digest, _ = base64.StdEncoding.DecodeString(old)
		}
		if text, err := hex.DecodeString(string(digest)); err == nil {
			digest = text
		}
		return with(digest, old)
	}
	return func(r *webhook.Request) {
		found := false
		for name, values := range r.Header {
			for i, value := range values {
				found = found || signature.MatchString(value)
				r.Header[name][i] = signature.ReplaceAllStringFunc(value, replace)
			}
		}
		if i := bytes.Index(r.Body, []byte("event_hash")); i >= 0 {
			rest := signature.FindIndex(r.Body[i:])
			old := string(r.Body[i+rest[0] : i+rest[1]])
			r.Body = bytes.Replace(r.Body, []byte(old), []byte(replace(old)), 1)
		} else if !found {
			panic("no signature")
		}
	}
}

// signaturePlants are mistakes with the signature's spelling. sent is how the vendor spells it.
var signaturePlants = []plant{
	{"in base64url", nil, nil, respell(func(d []byte, old string) string {
		return base64.URLEncoding.EncodeToString(d) + " "
	}), refusal.SignatureEncoding},
	{"in upper-case hex", nil, nil, respell(func(d []byte, _ string) string {
		return strings.ToUpper(hex.EncodeToString(d))
	}), refusal.SignatureEncoding},
	{"with a prefix", nil, nil, respell(func(_ []byte, old string) string { return "sha256=" + old }),
		refusal.SignatureEncoding},
	{"cut off", nil, nil, respell(func(_ []byte, old string) string { return old[:20] }), refusal.SignatureMalformed},
	{"a placeholder", nil, nil, respell(func([]byte, string) string { return "{{signature}}" }),
		refusal.SignatureMalformed},
}

// jsonOf returns a change of a JSON body.
func jsonOf(change func(compact []byte) []byte) func(*webhook.Request) {
	return func(r *webhook.Request) {
		var compact bytes.Buffer
		if err := json.Compact(&compact, webhook.TrimBOM(r.Body)); err != nil {
			panic(err)
		}
		r.Body = change(compact.Bytes())
	}
}

func indented(prefix, indent string) func([]byte) []byte {
	return func(compact []byte) []byte {
		var made bytes.Buffer
		if err := json.Indent(&made, compact, prefix, indent); err != nil {
			panic(err)
		}
		return made.Bytes()
	}
}

func marshaled(compact []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(compact))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		panic(err)
	}
	b, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return b
}

func replaced(old, with string) func([]byte) []byte {
	return func(b []byte) []byte { return bytes.ReplaceAll(b, []byte(old), []byte(with)) }
}

func body(change func([]byte) []byte) func(*webhook.Request) {
	return func(r *webhook.Request) { r.Body = change(r.Body) }
}

// bodyPlants are changes of a body that is signed as it is.
func bodyPlants() []plant {
	changed := func(mistake string, change func(*webhook.Request)) plant {
		return plant{mistake, nil, nil, change, refusal.BodyChanged}
	}
	return []plant{
		changed("a line break at the end", body(func(b []byte) []byte { return append(b, '\n') })),
		changed("a byte order mark", body(func(b []byte) []byte { return append([]byte("\xef\xbb\xbf"), b...) })),
		changed("cut off", body(func(b []byte) []byte { return b[:len(b)*2/3] })),
		changed("empty", body(func([]byte) []byte { return nil })),
		changed("read in another encoding", body(func(b []byte) []byte {
			made := []rune{}
			for _, c := range append(b, "é"...) {
				made = append(made, rune(c))
			}
			return []byte(string(made[:len(made)-2]))
		})),
		{"compressed", nil, nil, body(func(b []byte) []byte {
			var made bytes.Buffer
			w := gzip.NewWriter(&made)
			w.Write(b)
			w.Close()
			return made.Bytes()
		}), refusal.BodyCompressed},
		{"decompressed on the way", nil, nil, func(r *webhook.Request) {
			r.Header.Set("Content-Encoding", "gzip")
			r.Body = append(r.Body, ' ')
		}, refusal.BodyCompressed},
		changed("quoted as JSON", body(func(b []byte) []byte { b, _ = json.Marshal(string(b)); return b })),
		changed("pretty", jsonOf(indented("", "  "))),
		changed("pretty with tabs", jsonOf(indented("", "\t"))),
		changed("pretty, four spaces, CRLF", jsonOf(func(b []byte) []byte {
			return replaced("\n", "\r\n")(indented("", "    ")(b))
		})),
		changed("escaped slashes", jsonOf(replaced("/", `\/`))),
		changed("sorted", jsonOf(marshaled)),
		changed("sorted and pretty", jsonOf(func(b []byte) []byte { return indented("", "  ")(marshaled(b)) })),
	}
}

// explains plants mistakes in an example that is signed under a real key.
func explains(t *testing.T, p webhook.Provider, name string, example *webhook.Request) {
	signed := func(key string, r *webhook.Request) *webhook.Request {
		made := Clone(r)
		if err := p.Sign(made, webhook.NewSecret(key), ReceivedAt); err != nil {
			t.Fatal(err)
		}
		return made
	}
	one, two := signed("one", example), signed("two", example)
	inBody := !bytes.Equal(one.Body, two.Body)
	var headers []string // with a signature
	for header := range one.Header {
		if !slices.Equal(one.Header[header], two.Header[header]) {
			headers = append(headers, header)
		}
	}
	info := p.Info()
	if slices.ContainsFunc(headers, func(h string) bool { return one.Header.Get(h) == "one" }) {
		return // no signature: the key itself
	}
	plants := append(keyPlants(info.DevelopmentKey), signaturePlants...)
	if !inBody {
		plants = append(plants, plant{"no signature", nil, nil, func(r *webhook.Request) {
			for _, header := range headers {
				delete(r.Header, header)
			}
		}, refusal.SignatureMissing}, plant{"in another header", nil, nil, func(r *webhook.Request) {
			r.Header["X-Forwarded-Signature"] = r.Header[headers[0]]
			delete(r.Header, headers[0])
		}, refusal.OtherHeader})
	}
	isJSON := json.Valid(webhook.TrimBOM(example.Body))
	if !inBody {
		for _, planted := range bodyPlants() {
			if isJSON || planted.mistake != "sorted" {
				plants = append(plants, planted)
			}
		}
	}
	for _, planted := range plants {
		configured := planted.configured
		if configured == nil {
			configured = []string{realKey}
		}
		key := realKey
		if planted.key != nil {
			key = planted.key(realKey)
		}
		r := signed(key, example)
		if planted.change != nil {
			func() {
				defer func() { recover() }() // not JSON: this mistake cannot be made
				planted.change(r)
			}()
		}
		keys := webhook.Keys{}
		for _, key := range configured {
			keys.Keys = append(keys.Keys, webhook.NewSecret(key))
		}
		if _, err := p.Verify(r, keys); err == nil {
			continue // this vendor does not mind
		}
		causes := refusal.Explain(p, []webhook.Provider{p}, r, keys)
		got := ""
		if len(causes) > 0 {
			got = causes[0].Code
		}
		if got != planted.want {
			t.Errorf("%s, %s: explained as %v, want %s", name, planted.mistake, causes, planted.want)
		}
		for _, cause := range causes {
			for _, key := range configured {
				if cause.Hint == "" || len(key) > 6 && strings.Contains(cause.Hint, key) {
					t.Errorf("%s, %s: the hint of %s is empty or shows the key: %s", name, planted.mistake, cause.Code, cause.Hint)
				}
			}
		}
	}
	genuine := signed(realKey, example)
	tokens := webhook.Keys{Keys: []webhook.Secret{webhook.NewSecret(realKey)}, URLTokens: webhook.Secrets("the-right-token")}
	for token, want := range map[string]string{"": refusal.URLTokenMissing, "{token}": refusal.URLTokenWrong,
		"old": refusal.URLTokenWrong} {
		genuine.URLToken = token
		causes := refusal.Explain(p, nil, genuine, tokens)
		if len(causes) != 1 || causes[0].Code != want {
			t.Errorf("%s, token %q: explained as %v", name, token, causes)
		}
	}
	if causes := refusal.Explain(p, nil, genuine, webhook.Keys{}); len(causes) == 0 ||
		causes[0].Code != refusal.NoKeyConfigured {
		t.Errorf("%s without keys: explained as %v", name, causes)
	}
}
