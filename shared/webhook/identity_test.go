package webhook_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/webhook"
)

// Each want is the output of the command above it. The command hashes the provider and the fields, each after its
// length as 8 bytes in big-endian order.
func TestEventID(t *testing.T) {
	for name, tt := range map[string]struct {
		provider string
		fields   []string
		want     string
	}{
		// printf '\0\0\0\0\0\0\0\010docusign' | sha256sum
		"the provider alone": {"docusign", nil, "b750bbcdb1075600307f43593664560145535190660886354f03ead65060e8e2"},
		// printf '\0\0\0\0\0\0\0\010docusign\0\0\0\0\0\0\0\003abc' | sha256sum
		"one field": {"docusign", []string{"abc"}, "19a11fa9dead65bb34ba022e22220cfa472c1bbd8ae66d64338db08e1ec3cac3"},
		// printf '\0\0\0\0\0\0\0\010docusign\0\0\0\0\0\0\0\0' | sha256sum
		"an empty field counts": {
			"docusign", []string{""}, "df03d0b9f17e662429dbd7ea40938f5383553bdde282279d95a9c0ecc3ec351c",
		},
		// printf '\0\0\0\0\0\0\0\011adobesign\0\0\0\0\0\0\0\005event\0\0\0\0\0\0\0\002\303\251' | sha256sum
		"a length is that of the bytes": {
			"adobesign", []string{"event", "é"}, "f568a7d4fb4a464393d15892eb2da1ec8aa0de31f0db1ac4694c16dcf0b7563c",
		},
		// (printf '\0\0\0\0\0\0\0\013dropboxsign\0\0\0\0\0\0\001\054'; printf 'x%.0s' $(seq 300)) | sha256sum
		"a length above 255": {
			"dropboxsign", []string{strings.Repeat("x", 300)},
			"c35c9b714bc93f2e25a188c0113ad7ec4ad73c9620e7d9cc13be0db787ab6020",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := webhook.EventID(tt.provider, tt.fields...); got != tt.want {
				t.Error(got)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	want := webhook.Identity{
		// printf '\0\0\0\0\0\0\0\010docusign\0\0\0\0\0\0\0\012unreadable\0\0\0\0\0\0\0\002{}' | sha256sum
		EventID: "c3a5617d63b90f860f7d7bae1e99b47b41a5ee975e2af0c0ffeec2bccef0e823",
		Subject: "docusign#unreadable",
	}
	if diff := cmp.Diff(want, webhook.Unreadable("docusign", []byte("{}"))); diff != "" {
		t.Error(diff)
	}
	if webhook.Unreadable("docusign", nil).EventID == webhook.Unreadable("docusign", []byte{0}).EventID {
		t.Error("two bodies have one event ID")
	}
}

func TestEventIDKeepsTheBordersOfFields(t *testing.T) {
	ids := map[string][]string{}
	for _, fields := range [][]string{
		{}, {""}, {"", ""}, {"", "", ""},
		{"abc"}, {"ab", "c"}, {"a", "bc"}, {"a", "b", "c"}, {"", "abc"}, {"abc", ""}, {"ab", "", "c"}, {"cba"}, {"c", "ab"},
		{"\x00\x00\x00\x00\x00\x00\x00\x01a"}, {"a", "a"}, {"aa"}, {"a\x00\x00\x00\x00\x00\x00\x00\x01a"},
		{"#"}, {":"}, {"a:b"}, {"a#b"}, {"a,b"}, {"a", ",", "b"},
	} {
		id := webhook.EventID("docusign", fields...)
		if other, taken := ids[id]; taken {
			t.Errorf("%q and %q are one event", fields, other)
		}
		ids[id] = fields
	}
	if webhook.EventID("docusign", "a") == webhook.EventID("docusigna") ||
		webhook.EventID("docusign", "a") == webhook.EventID("adobesign", "a") {
		t.Error("the provider does not change the ID")
	}
}

func FuzzEventIDKeepsTheBordersOfFields(f *testing.F) {
	f.Add("abc", "", uint8(1))
	f.Add("a@example.com", "\x00\x00", uint8(0))
	form := regexp.MustCompile(`^[0-9a-f]{64}$`)
	f.Fuzz(func(t *testing.T, a, b string, n uint8) {
		id := webhook.EventID("docusign", a, b)
		if !form.MatchString(id) {
			t.Fatal(id)
		}
		if id != webhook.EventID("docusign", a, b) {
			t.Fatal("not the same twice")
		}
		joined := a + b
		if i := int(n) % (len(joined) + 1); i != len(a) && id == webhook.EventID("docusign", joined[:i], joined[i:]) {
			t.Fatalf("the border after %d does not count in %q", i, joined)
		}
		if id == webhook.EventID("docusign", joined) {
			t.Fatal("two fields are one")
		}
	})
}

// nasty returns unusual IDs. All are different.
func nasty() []string {
	hash := func(s string) string {
		sum := sha256.Sum256([]byte(s))
		return "sha256:" + hex.EncodeToString(sum[:])
	}
	ids := []string{
		"", " ", "  ", "\t", "\n", "\r\n", "\x00", "\x00\x00", "\x7f", "\x80", "\xff", "\xfe", "\ufffd", "\u00a0", "\ufeff",
		"a", "A", "a ", " a", "a\n", "b", "a:b", "a::b", ":", "::", ":a", "a:", "#", "##", "a#b", "#a", "@", "a@b", "+", "+a",
		"e\u0301", "\u00e9", "🦀", "ａ", "а", // the last two: full-width and Cyrillic
		"template:1", "template", "account:1", "other:", "sha256:", "sha256", hash("other"),
		"anna@example.com", "Anna@example.com", "anna+1@example.com", "+4915112345678", "+49 151 12345678",
		"\"a b\"@example.com",
		"~", "!", "\\", "'", "\"", "%00", "%20", "../..", "a/b", "{token}", "null", "0", "00", "-",
		"08740f95-2187-4b01-9a69-452ae3140752", "08740F95-2187-4B01-9A69-452AE3140752",
	}
	for _, n := range []int{63, 64, 65, 99, 100, 101, 118, 119, 120, 121, 122, 126, 127, 128, 129, 511, 512, 513, 5000} {
		ids = append(ids, strings.Repeat("x", n), strings.Repeat("x", n-1)+"y", strings.Repeat("é", n))
	}
	return ids
}

var groupID = regexp.MustCompile(`^[!-~]{1,128}$`) // SQS's limits, also used for partition keys

func TestSubjectsAreUniqueKeys(t *testing.T) {
	seen := map[string]string{}
	check := func(what, subject string) {
		t.Helper()
		if !groupID.MatchString(subject) || !strings.HasPrefix(subject, "docusign#") {
			t.Errorf("%s: %q is not 1 to 128 printable characters, or not docusign's", what, subject)
		}
		if other, taken := seen[subject]; taken {
			t.Errorf("%s and %s have one subject, %s", what, other, subject)
		}
		seen[subject] = what
	}
	check("the unreadable", webhook.UnreadableSubject("docusign"))
	for _, id := range nasty() {
		check("agreement "+id, webhook.AgreementSubject("docusign", id))
		for _, kind := range []string{"template", "account", "other", "click", "librarydocument"} {
			check(kind+" "+id, webhook.Subject("docusign", kind, id))
		}
	}
}

// An ID that looks like the hash of another ID must not get the same key.
func TestAnIDThatLooksLikeAHashHasItsOwnKey(t *testing.T) {
	for _, hashed := range []string{"a b", "é", "anna müller", strings.Repeat("x", 200)} {
		sum := sha256.Sum256([]byte(hashed))
		likeness := "sha256:" + hex.EncodeToString(sum[:])
		for name, key := range map[string]func(string) string{
			"AgreementSubject": func(id string) string { return webhook.AgreementSubject("docusign", id) },
			"AgreementSubject of AgreementID": func(id string) string {
				return webhook.AgreementSubject("docusign", webhook.AgreementID(id))
			},
			"Subject":        func(id string) string { return webhook.Subject("docusign", "template", id) },
			"ParticipantKey": webhook.ParticipantKey,
		} {
			if hashed == likeness || key(hashed) != key(likeness) {
				continue
			}
			t.Errorf("%s gives %.10q and %s the same key", name, hashed, likeness)
		}
	}
}

func TestNoAgreementHasTheSubjectOfUnreadableRequests(t *testing.T) {
	if webhook.AgreementSubject("docusign", "unreadable") == webhook.UnreadableSubject("docusign") {
		t.Error("an agreement with the ID \"unreadable\" shares its subject with the unreadable requests")
	}
}

func TestAgreementSubject(t *testing.T) {
	for name, tt := range map[string]struct{ id, want string }{
		"an ordinary ID is kept": {
			"08740f95-2187-4b01-9a69-452ae3140752", "docusign#08740f95-2187-4b01-9a69-452ae3140752",
		},
		"punctuation stays": {"CBJCHBCAABAA*_-.x~", "docusign#CBJCHBCAABAA*_-.x~"},
		// printf 'a b' | sha256sum
		"a space makes it a hash": {
			"a b", "docusign#sha256:c8687a08aa5d6ed2044328fa6a697ab8e96dc34291e8c2034ae8c38e6fcc6d65",
		},
		// printf 'a:b' | sha256sum
		"a colon makes it a hash":                    {"a:b", "docusign#sha256:"},
		"the longest that fits":                      {strings.Repeat("x", 119), "docusign#" + strings.Repeat("x", 119)},
		"a longer one is a hash":                     {strings.Repeat("x", 120), "docusign#sha256:"},
		"an e-mail address that is an ID would stay": {"a@b", "docusign#a@b"},
	} {
		t.Run(name, func(t *testing.T) {
			got := webhook.AgreementSubject("docusign", tt.id)
			if got != tt.want && !(strings.HasSuffix(tt.want, "sha256:") && strings.HasPrefix(got, tt.want) &&
				len(got) == len(tt.want)+64) {
				t.Error(got)
			}
		})
	}
}

func TestSubject(t *testing.T) {
	for name, tt := range map[string]struct{ kind, id, want string }{
		"a template":             {"template", "t1", "docusign#template:t1"},
		"without an ID":          {"account", "", "docusign#account:"},
		"a colon in the ID":      {"template", "a:b", "docusign#template:a:b"},
		"the longest that fits":  {"template", strings.Repeat("x", 110), "docusign#template:" + strings.Repeat("x", 110)},
		"a longer one is a hash": {"template", strings.Repeat("x", 111), "docusign#template:sha256:"},
		"beyond ASCII is a hash": {"template", "é", "docusign#template:sha256:"},
	} {
		t.Run(name, func(t *testing.T) {
			got := webhook.Subject("docusign", tt.kind, tt.id)
			if got != tt.want && !(strings.HasSuffix(tt.want, "sha256:") && strings.HasPrefix(got, tt.want) &&
				len(got) == len(tt.want)+64) {
				t.Error(got)
			}
		})
	}
}

func TestAgreementID(t *testing.T) {
	seen := map[string]string{}
	for _, id := range nasty() {
		got := webhook.AgreementID(id)
		if len(id) <= 512 && got != id {
			t.Errorf("%q became %q", id, got)
		}
		if len(got) > 512 {
			t.Errorf("%d bytes", len(got))
		}
		if again := webhook.AgreementID(got); again != got {
			t.Errorf("%.20q, and once more %.20q", got, again)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%.20q and %.20q are one agreement", id, other)
		}
		seen[got] = id
	}
}

func TestParticipantKey(t *testing.T) {
	// printf %s a@example.com | sha256sum; printf %s +4915112345678 | sha256sum; printf x%.0s $(seq 65) | sha256sum
	for id, want := range map[string]string{
		"a@example.com":  "sha256:08168cd80dfd534ab0f10af10f1303fe00af2d43ab5c1432360d137f8197e17a",
		"+4915112345678": "sha256:536afd523e19dc83fccba822ef5e4ca646111314aaf0aa286667c5bea18dd70b",
		"CBJCHBCAABAA":   "CBJCHBCAABAA", "1": "1", "": "",
		strings.Repeat("x", 64): strings.Repeat("x", 64), "12345678": "12345678", "--": "--", "a-123456789": "a-123456789",
		"123456789_":            "123456789_",
		strings.Repeat("x", 65): "sha256:9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9",
	} {
		if got := webhook.ParticipantKey(id); got != want {
			t.Errorf("%s became %s", id, got)
		}
	}
	seen := map[string]string{}
	for _, id := range nasty() {
		got := webhook.ParticipantKey(id)
		if got != "" && !regexp.MustCompile(`^[!-~]{1,128}$`).MatchString(got) {
			t.Errorf("%.20q became %q", id, got)
		}
		if other, taken := seen[got]; taken {
			t.Errorf("%.20q and %.20q are one participant", id, other)
		}
		seen[got] = id
	}
}

func TestParticipantKeyShowsNoAddressAndNoNumber(t *testing.T) {
	for _, id := range []string{
		"anna@example.com", "ANNA@EXAMPLE.COM", " anna@example.com", "anna@example.com\n", "anna+sign@example.com",
		"anna@localhost", "@anna",
		"mailto:anna@example.com", "Anna <anna@example.com>", "anna＠example.com", "änna@example.com", "\"anna\"@example.com",
		"+4915112345678", "+49 151 12345678", "+49-151-12345678", "tel:+4915112345678", "0151 12345678", "(0151) 12345678",
		"00 49 151 12345678",
		"Anna Müller", "Anna Example", "anna.example",
	} {
		got := webhook.ParticipantKey(id)
		if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(got) {
			t.Errorf("%q is shown as %q", id, got)
		}
	}
}

// Numbers and addresses as they are written without + and without @.
func TestParticipantKeyShowsNoNumberInANationalNotation(t *testing.T) {
	for _, id := range []string{"(0151)12345678", "0151/12345678", "0049-151-12345678", "tel:004915112345678",
		"anna%40example.com",
		"015112345", "-0151-12345-", "0-1-5-1-1-2-3-4-5"} {
		if got := webhook.ParticipantKey(id); got == id {
			t.Errorf("%q is shown as it is", id)
		}
	}
}

func TestLabel(t *testing.T) {
	for name, tt := range map[string]struct{ s, want string }{
		"a vendor's name is kept":                   {"envelope-completed", "envelope-completed"},
		"empty":                                     {"", ""},
		"an inner space is kept":                    {"ESIGN SENT", "ESIGN SENT"},
		"surrounding spaces are trimmed":            {"  a ", "a"},
		"only spaces":                               {"   ", ""},
		"a line break cannot forge a line":          {"a\r\nlevel=ERROR", "a??level=ERROR"},
		"each byte beyond ASCII is marked":          {"é", "??"},
		"NUL and DEL are marked":                    {"\x00a\x7f", "?a?"},
		"escape sequences are marked":               {"\x1b[31m", "?[31m"},
		"invalid UTF-8 is marked":                   {"\xff", "?"},
		"the longest that fits":                     {strings.Repeat("x", 100), strings.Repeat("x", 100)},
		"a longer label is truncated":               {strings.Repeat("x", 101), strings.Repeat("x", 100)},
		"truncated inside a character":              {strings.Repeat("x", 99) + "é", strings.Repeat("x", 99) + "?"},
		"truncated after a space, which is trimmed": {strings.Repeat("x", 99) + " y", strings.Repeat("x", 99)},
	} {
		t.Run(name, func(t *testing.T) {
			if got := webhook.Label(tt.s); got != tt.want {
				t.Errorf("%q", got)
			}
		})
	}
}

func FuzzIdentityIsFitToBeStored(f *testing.F) {
	for _, id := range nasty() {
		f.Add(id, "a")
	}
	f.Add("a b", "a:b")
	label := regexp.MustCompile(`^$|^[!-~]([ -~]{0,98}[!-~])?$`)
	participant := regexp.MustCompile(`^$|^[^@+\x00-\x20\x7f-\xff]{1,71}$`)
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, subject := range []string{
			webhook.AgreementSubject("adobesign", a), webhook.Subject("adobesign", "librarydocument", a),
			webhook.AgreementSubject("adobesign", webhook.AgreementID(a)),
		} {
			if !groupID.MatchString(subject) || !strings.HasPrefix(subject, "adobesign#") {
				t.Errorf("subject %q", subject)
			}
		}
		if strings.Contains(strings.TrimPrefix(webhook.AgreementSubject("adobesign", a), "adobesign#"), ":") !=
			strings.HasPrefix(webhook.AgreementSubject("adobesign", a), "adobesign#sha256:") {
			t.Error("an agreement's subject looks like another kind's")
		}
		if a != b && webhook.AgreementSubject("adobesign", a) == webhook.AgreementSubject("adobesign", b) {
			t.Error("two agreements, one subject")
		}
		if got := webhook.ParticipantKey(a); !participant.MatchString(got) {
			t.Errorf("participant %q", got)
		}
		if a != b && webhook.ParticipantKey(a) == webhook.ParticipantKey(b) {
			t.Error("two participants, one key")
		}
		if got := webhook.Label(a); !label.MatchString(got) || webhook.Label(got) != got {
			t.Errorf("label %q", got)
		}
	})
}

func TestDeliveryHasTheIdentityOfItsRequest(t *testing.T) {
	d := webhook.Delivery{ContentType: "multipart/form-data; boundary=x", Payload: []byte("--x")}
	want := &webhook.Request{
		Method: "POST", Header: http.Header{"Content-Type": {"multipart/form-data; boundary=x"}}, Body: []byte("--x"),
	}
	if diff := cmp.Diff(want, d.Request()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(&webhook.Request{Method: "POST", Header: http.Header{}},
		(&webhook.Delivery{}).Request()); diff != "" {
		t.Error(diff)
	}
}

func TestTokensVariable(t *testing.T) {
	if got := (webhook.Info{Name: "docusign"}).TokensVariable(); got != "DOCUSIGN_URL_TOKENS" {
		t.Error(got)
	}
}

func TestErrorsAreDistinct(t *testing.T) {
	all := []error{webhook.ErrNotGenuine, webhook.ErrNoKey, webhook.ErrUnreadable, webhook.ErrNoChallenge}
	for i, a := range all {
		for j, b := range all {
			if errors.Is(a, b) != (i == j) {
				t.Errorf("%v is %v", a, b)
			}
		}
	}
}
