package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

const canary = "canary-5f0e9b"

type exported struct {
	Name   string
	Secret webhook.Secret
}

type unexported struct {
	Name   string
	secret webhook.Secret
}

type pointers struct {
	Secret *webhook.Secret
	secret *webhook.Secret
}

type embedding struct {
	webhook.Secret
	Name string
}

// holders are the ways in which a secret gets into something that is printed. The ones in hidden cannot print REDACTED,
// since fmt calls no methods on unexported fields; they must not print the secret.
func holders() (open, hidden map[string]any) {
	s := webhook.NewSecret(canary)
	p := &s
	return map[string]any{
			"the value":                       s,
			"a pointer":                       p,
			"an exported field":               exported{"n", s},
			"a pointer to an exported field":  &exported{"n", s},
			"an exported field twice deep":    struct{ Inner exported }{exported{"n", s}},
			"embedded":                        embedding{s, "n"},
			"a slice":                         []webhook.Secret{s, s},
			"an array":                        [2]webhook.Secret{s, s},
			"a slice of any":                  []any{1, s},
			"the value of a map":              map[string]webhook.Secret{"key": s},
			"keys":                            webhook.Keys{Keys: []webhook.Secret{s}, URLTokens: []webhook.Secret{s}},
			"a pointer to keys":               &webhook.Keys{Keys: []webhook.Secret{s}, URLTokens: []webhook.Secret{s}},
			"keys in the value of a map":      map[string]webhook.Keys{"docusign": {Keys: []webhook.Secret{s}}},
			"an exported field in an any":     any(exported{"n", s}),
			"the list that Secrets makes":     webhook.Secrets(canary),
			"an exported field behind slices": []exported{{"n", s}},
		}, map[string]any{
			"an unexported field":              unexported{"n", s},
			"a pointer to an unexported field": &unexported{"n", s},
			"an unexported field in a slice":   []unexported{{"n", s}},
			"an unexported field in a map":     map[string]unexported{"key": {"n", s}},
			"an unexported slice":              struct{ secrets []webhook.Secret }{[]webhook.Secret{s}},
			"an unexported map":                struct{ secrets map[string]webhook.Secret }{map[string]webhook.Secret{"key": s}},
			"pointers in fields":               pointers{p, p},
			"unexported keys":                  struct{ keys webhook.Keys }{webhook.Keys{Keys: []webhook.Secret{s}}},
			"the method itself":                struct{ reveal func() string }{s.Reveal},
		}
}

// rejectSecret fails if the text holds the secret in any form that fmt, JSON or a debugger would give it.
func rejectSecret(t *testing.T, text string) {
	t.Helper()
	b := []byte(canary)
	for form, s := range map[string]string{
		"plain":      canary,
		"a part":     "canary",
		"hex":        hex.EncodeToString(b),
		"HEX":        strings.ToUpper(hex.EncodeToString(b)),
		"spaced hex": fmt.Sprintf("% x", b),
		"0x hex":     strings.TrimSuffix(fmt.Sprintf("%#v", b[:4])[len("[]byte{"):], "}"),
		"bytes":      strings.Trim(fmt.Sprint(b), "[]"),
		"base64":     base64.RawStdEncoding.EncodeToString(b),
		"SHA-256":    fmt.Sprintf("%x", sha256.Sum256(b)),
	} {
		if strings.Contains(text, s) {
			t.Errorf("contains the secret (%s): %s", form, text)
		}
	}
}

func TestSecretIsRedactedUnderEveryVerb(t *testing.T) {
	open, hidden := holders()
	for _, verb := range []string{
		"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "% x", "%#x", "%o", "%b", "%c", "%U", "%e", "%t", "%10s", "%-3v",
		"%.2s", "%z",
	} {
		for name, holder := range open {
			text := fmt.Sprintf(verb, holder)
			rejectSecret(t, text)
			if !strings.Contains(text, "REDACTED") {
				t.Errorf("%s under %s: %s", name, verb, text)
			}
		}
		for _, holder := range hidden {
			rejectSecret(t, fmt.Sprintf(verb, holder))
		}
	}
	s := webhook.NewSecret(canary)
	for _, text := range []string{
		fmt.Sprintf("%#v", &s), fmt.Sprint(s), fmt.Sprintln(s), s.String(), fmt.Sprint("key ", s),
		fmt.Errorf("key %v", s).Error(),
		errors.Join(fmt.Errorf("a %s", s), fmt.Errorf("b %+v", &s)).Error(),
	} {
		rejectSecret(t, text)
		if !strings.Contains(text, "REDACTED") {
			t.Error(text)
		}
	}
	for _, verb := range []string{"%T", "%p", "%w"} { // fmt calls no methods for these
		for _, holder := range open {
			rejectSecret(t, fmt.Sprintf(verb, holder))
		}
		rejectSecret(t, fmt.Sprintf(verb, s))
		rejectSecret(t, fmt.Sprintf(verb, &s))
	}
}

func TestZeroSecretIsRedactedToo(t *testing.T) {
	var zero webhook.Secret
	if text := fmt.Sprintf("%v %+v %#v %s %q", zero, zero, zero, zero,
		webhook.NewSecret("")); text != strings.TrimSpace(strings.Repeat("REDACTED ", 5)) {
		t.Error(text)
	}
	var none *webhook.Secret
	rejectSecret(t, fmt.Sprintf("%v %+v %#v", none, none, none)) // does not panic
}

func TestSecretIsRedactedInJSON(t *testing.T) {
	open, hidden := holders()
	for name, holder := range open {
		b, err := json.Marshal(holder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		rejectSecret(t, string(b))
		if !strings.Contains(string(b), `"REDACTED"`) {
			t.Errorf("%s: %s", name, b)
		}
	}
	for name, holder := range hidden {
		if name == "the method itself" {
			continue // JSON has no functions
		}
		b, err := json.Marshal(holder)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		rejectSecret(t, string(b))
	}
	b, err := json.Marshal(webhook.NewSecret(canary))
	if err != nil || string(b) != `"REDACTED"` {
		t.Errorf("%s, %v", b, err)
	}
}

func TestSecretIsRedactedInXML(t *testing.T) {
	s := webhook.NewSecret(canary)
	b, err := xml.Marshal(struct {
		XMLName xml.Name        `xml:"keys"`
		Value   webhook.Secret  `xml:"value"`
		Pointer *webhook.Secret `xml:"pointer"`
		Attr    webhook.Secret  `xml:"attr,attr"`
		hidden  webhook.Secret
	}{Value: s, Pointer: &s, Attr: s, hidden: s})
	if err != nil {
		t.Fatal(err)
	}
	if want := `<keys attr="REDACTED"><value>REDACTED</value><pointer>REDACTED</pointer></keys>`; string(b) != want {
		t.Errorf("%s", b)
	}
}

func TestSecretIsRedactedInSlog(t *testing.T) {
	for handlerName, handler := range map[string]func(*bytes.Buffer) slog.Handler{
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
		"JSON": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
	} {
		open, hidden := holders()
		for name, holder := range open {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("m", "key", holder)
			rejectSecret(t, out.String())
			if !strings.Contains(out.String(), "REDACTED") {
				t.Errorf("%s with the %s handler: %s", name, handlerName, &out)
			}
		}
		for _, holder := range hidden {
			var out bytes.Buffer
			slog.New(handler(&out)).Info("m", "key", holder)
			rejectSecret(t, out.String())
		}
		s := webhook.NewSecret(canary)
		var out bytes.Buffer
		log := slog.New(handler(&out)).With("with", s)
		log.WithGroup("group").Info("m", slog.Group("inner", "a", s, slog.Any("b", &s)),
			slog.Any("c", []slog.Attr{slog.Any("d", s)}))
		log.Error("failed", "error", fmt.Errorf("with %v", s))
		rejectSecret(t, out.String())
		if strings.Count(out.String(), "REDACTED") < 4 {
			t.Errorf("%s handler: %s", handlerName, &out)
		}
	}
}

func TestRevealReturnsTheSecret(t *testing.T) {
	for _, want := range []string{canary, "", "\x00\xff", " spaces stay "} {
		if got := webhook.NewSecret(want).Reveal(); got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if got := (webhook.Secret{}).Reveal(); got != "" {
		t.Errorf("the zero secret reveals %q", got)
	}
}

func TestEqual(t *testing.T) {
	for name, tt := range map[string]struct {
		secret    webhook.Secret
		candidate string
		want      bool
	}{
		"the secret itself":                     {webhook.NewSecret(canary), canary, true},
		"another of the same length":            {webhook.NewSecret(canary), "canary-5f0e9c", false},
		"a beginning of it":                     {webhook.NewSecret(canary), "canary", false},
		"it and more":                           {webhook.NewSecret(canary), canary + "x", false},
		"another case":                          {webhook.NewSecret(canary), strings.ToUpper(canary), false},
		"with a space":                          {webhook.NewSecret(canary), canary + " ", false},
		"nothing":                               {webhook.NewSecret(canary), "", false},
		"its redacted form":                     {webhook.NewSecret(canary), "REDACTED", false},
		"nothing equals an empty secret":        {webhook.NewSecret(""), "", false},
		"nothing equals the zero secret":        {webhook.Secret{}, "", false},
		"something does not equal an empty one": {webhook.NewSecret(""), "x", false},
		"bytes that are not text":               {webhook.NewSecret("\x00\xff"), "\x00\xff", true},
		"a NUL does not end the comparison":     {webhook.NewSecret("a\x00b"), "a\x00c", false},
		"the hash of the secret is not a secret": {
			webhook.NewSecret(canary), fmt.Sprintf("%x", sha256.Sum256([]byte(canary))), false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.secret.Equal(tt.candidate); got != tt.want {
				t.Error(got)
			}
		})
	}
}

func TestHMACIsThatOfRFC4231(t *testing.T) {
	// printf 'what do ya want for nothing?' | openssl dgst -sha256 -hmac Jefe   (test case 2 of RFC 4231)
	const want = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
	key := webhook.NewSecret("Jefe")
	for _, parts := range [][]string{
		{"what do ya want for nothing?"}, {"what do ya ", "want for nothing?"}, {"", "what do ya want for nothing", "", "?"},
	} {
		var bs [][]byte
		for _, part := range parts {
			bs = append(bs, []byte(part))
		}
		if got := hex.EncodeToString(key.HMAC(sha256.New, bs...)); got != want {
			t.Errorf("%q: %s", parts, got)
		}
	}
}

func TestAny(t *testing.T) {
	two := webhook.Secrets("first", "second")
	for name, tt := range map[string]struct {
		secrets   []webhook.Secret
		candidate string
		want      bool
	}{
		"the first of two":                {two, "first", true},
		"the last of two":                 {two, "second", true},
		"none of two":                     {two, "third", false},
		"one after the other":             {two, "firstsecond", false},
		"empty, with two secrets":         {two, "", false},
		"no secrets":                      {nil, "first", false},
		"no secrets and nothing":          {nil, "", false},
		"an empty secret matches nothing": {[]webhook.Secret{webhook.NewSecret("")}, "", false},
		"the zero secret matches nothing": {[]webhook.Secret{{}}, "", false},
		"an empty secret hides no others": {[]webhook.Secret{{}, webhook.NewSecret("x"), {}}, "x", true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := webhook.Any(tt.secrets, tt.candidate); got != tt.want {
				t.Error(got)
			}
		})
	}
}

func TestMatches(t *testing.T) {
	sign := func(key webhook.Secret) string { return hex.EncodeToString(key.HMAC(sha256.New, []byte("body"))) }
	one, two, empty := webhook.NewSecret("one"), webhook.NewSecret("two"), webhook.NewSecret("")
	for name, tt := range map[string]struct {
		keys   []webhook.Secret
		values []string
		want   bool
	}{
		"one key, its value":                    {[]webhook.Secret{one}, []string{sign(one)}, true},
		"one key, another's value":              {[]webhook.Secret{one}, []string{sign(two)}, false},
		"the first of two keys":                 {[]webhook.Secret{one, two}, []string{sign(one)}, true},
		"the last of two keys":                  {[]webhook.Secret{one, two}, []string{sign(two)}, true},
		"the first of two values":               {[]webhook.Secret{one}, []string{sign(one), sign(two)}, true},
		"the last of two values":                {[]webhook.Secret{one}, []string{sign(two), sign(one)}, true},
		"the last of both":                      {[]webhook.Secret{two, one}, []string{"x", sign(one)}, true},
		"a beginning of the value":              {[]webhook.Secret{one}, []string{sign(one)[:63]}, false},
		"the value in capitals":                 {[]webhook.Secret{one}, []string{strings.ToUpper(sign(one))}, false},
		"the key itself":                        {[]webhook.Secret{one}, []string{"one"}, false},
		"no keys":                               {nil, []string{sign(one)}, false},
		"no values":                             {[]webhook.Secret{one}, nil, false},
		"an empty value":                        {[]webhook.Secret{one}, []string{""}, false},
		"signed with the empty key":             {[]webhook.Secret{empty}, []string{sign(empty)}, false},
		"signed with the zero key":              {[]webhook.Secret{{}}, []string{sign(empty)}, false},
		"signed with the empty one of two keys": {[]webhook.Secret{one, empty}, []string{sign(empty)}, false},
		"an empty key hides no others":          {[]webhook.Secret{empty, one, {}}, []string{sign(one)}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := webhook.Matches(tt.keys, tt.values, sign); got != tt.want {
				t.Error(got)
			}
		})
	}
	if webhook.Matches([]webhook.Secret{one}, []string{""}, func(webhook.Secret) string { return "" }) {
		t.Error("an empty signature matched")
	}
}

func TestSecrets(t *testing.T) {
	for name, tt := range map[string]struct{ values, want []string }{
		"as they are":               {[]string{"a", "b"}, []string{"a", "b"}},
		"nothing":                   {nil, nil},
		"an empty one goes":         {[]string{""}, nil},
		"white space alone goes":    {[]string{" \t\r\n", "a"}, []string{"a"}},
		"quotes alone go":           {[]string{`""`, `''`, `"`}, nil},
		"white space around goes":   {[]string{" a\n", "\tb\r\n"}, []string{"a", "b"}},
		"quotes around go":          {[]string{`"a"`, `'b'`, ` "c" `}, []string{"a", "b", "c"}},
		"white space inside stays":  {[]string{"a b"}, []string{"a b"}},
		"quotes inside stay":        {[]string{`a"b'c`}, []string{`a"b'c`}},
		"a repeated one goes":       {[]string{"a", "b", "a"}, []string{"a", "b"}},
		"repeated once trimmed":     {[]string{"a", ` "a" `}, []string{"a"}},
		"case is significant":       {[]string{"a", "A"}, []string{"a", "A"}},
		"the order stays":           {[]string{"c", "a", "b"}, []string{"c", "a", "b"}},
		"base64 keeps its padding":  {[]string{"QUJD+/=="}, []string{"QUJD+/=="}},
		"a comma does not separate": {[]string{"a,b"}, []string{"a,b"}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, s := range webhook.Secrets(tt.values...) {
				got = append(got, s.Reveal())
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestConfigured(t *testing.T) {
	for name, tt := range map[string]struct {
		keys webhook.Keys
		want bool
	}{
		"nothing":    {webhook.Keys{}, false},
		"empty":      {webhook.Keys{Keys: webhook.Secrets(""), URLTokens: webhook.Secrets(" ")}, false},
		"a key":      {webhook.Keys{Keys: webhook.Secrets("k")}, true},
		"a token":    {webhook.Keys{URLTokens: webhook.Secrets("t")}, true},
		"one of two": {webhook.Keys{Keys: webhook.Secrets("k"), URLTokens: webhook.Secrets("t")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := tt.keys.Configured(); got != tt.want {
				t.Error(got)
			}
		})
	}
}
