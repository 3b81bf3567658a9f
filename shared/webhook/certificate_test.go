package webhook_test

import (
	"regexp"
	"strconv"
	"strings"
	"testing"

	"esignhooks/shared/webhook"
)

// TestCertificatesAreCompared lists spellings of the same subject, and subjects that are others.
func TestCertificatesAreCompared(t *testing.T) {
	const domain, listed = "mtls.example.com", `CN=hooks.example,O=Acme\, Inc.,C=US; CN=second \;1 , o="A, B"`
	c, err := webhook.ParseClientCertificates("MTLS.example.com", listed)
	if err != nil || !c.Demanded() || c.Domain() != domain {
		t.Fatal(c, err)
	}
	for subject, want := range map[string]bool{
		`CN=hooks.example,O=Acme\, Inc.,C=US`:       true,
		`cn=hooks.example, o = Acme\, Inc. , C= US`: true, // spaces and the case of names may differ
		`CN=second \;1,O="A, B"`:                    true,
		``:                                          false,
		`CN=hooks.example`:                          false,
		`CN=hooks.example,O=Acme\, Inc.`:            false,
		`CN=hooks.example,O=Acme\, Inc.,C=US,C=US`:  false,
		`C=US,O=Acme\, Inc.,CN=hooks.example`:       false,
		`CN=hooks.example,O=Acme, Inc.,C=US`:        false,
		`CN=Hooks.example,O=Acme\, Inc.,C=US`:       false, // a value is compared as it is
		`CN=hooks.example,O=Acme\,  Inc.,C=US`:      false,
		`CN=hooks.example\ ,O=Acme\, Inc.,C=US`:     false, // an escaped space is a part of the value
		`CN=hooks.example+O=Acme\, Inc.,C=US`:       false,
		`O=x\,CN=hooks.example,O=Acme\, Inc.,C=US`:  false,
		`O="x,CN=hooks.example,O=Acme\, Inc.,C=US`:  false,
		listed:  false, // the whole list is no subject
		`,`:     false,
		`hooks`: false,
	} {
		r := &webhook.Request{Domain: domain, ClientSubject: subject}
		if got := c.Accept(r); got != want {
			t.Errorf("%s: %t", subject, got)
		}
		for _, other := range []string{"", "example.com", "mtls.example.com.", "x1.execute-api.eu-central-1.amazonaws.com"} {
			if r.Domain = other; c.Accept(r) {
				t.Errorf("%s is accepted at %q", subject, other)
			}
		}
	}
}

func TestCertificatesAreParsed(t *testing.T) {
	for _, tt := range []struct{ domain, subjects, problem string }{
		{"", "", ""},
		{"mtls.example.com", " ; ", ""},
		{"", "CN=a", "without a domain"},
		{"mtls.example.com", "CN=a;b", `"b" is no distinguished name`},
		{"mtls.example.com", "CN=", "is no distinguished name"},
		{"mtls.example.com", "=a", "is no distinguished name"},
		{"mtls.example.com", "CN=a,", "is no distinguished name"},
	} {
		c, err := webhook.ParseClientCertificates(tt.domain, tt.subjects)
		if tt.problem == "" && err != nil || tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem)) {
			t.Errorf("%+v: %v", tt, err)
		}
		// What demands nothing accepts nothing either, whatever a request shows.
		if c.Demanded() || c.Accept(&webhook.Request{}) ||
			c.Accept(&webhook.Request{Domain: tt.domain, ClientSubject: "CN=a"}) {
			t.Errorf("%+v: %+v", tt, c)
		}
	}
}

// TestAShownSubjectCanBePutOnTheList expects that what the log shows of a subject is accepted as a list of one.
func TestAShownSubjectCanBePutOnTheList(t *testing.T) {
	for _, subject := range []string{"CN=Müller,O=x", "CN=a\tb", `CN=a\,b\\`, "CN=a\x00,O=\xff", `CN=\C3\BC`, `CN="ä, b"`, `CN=\\C3`} {
		r := &webhook.Request{Domain: "mtls.example.com", ClientSubject: subject}
		shown := webhook.Shown(r)
		c, err := webhook.ParseClientCertificates("mtls.example.com", shown)
		if err != nil || !c.Accept(r) || strings.ContainsFunc(shown, func(c rune) bool { return c < ' ' || c > '~' }) {
			t.Errorf("%q is shown as %q: %v", subject, shown, err)
		}
	}
	if shown := webhook.Shown(&webhook.Request{ClientSubject: strings.Repeat("x", 5000)}); len(shown) != 1000 {
		t.Errorf("%d bytes are shown", len(shown))
	}
}

// FuzzSubject expects that a subject that is accepted is on the list, in its spelling or another one.
func FuzzSubject(f *testing.F) {
	for _, seed := range []string{"CN=a,O=b", `CN=a\,b`, `CN="a,b"`, "cn = a ", `CN=a\`, "CN=a;CN=b", `CN=a\ `, `"`, ";", `CN=\C3\bc`, "CN=ü"} {
		f.Add(seed, seed)
	}
	f.Fuzz(func(t *testing.T, list, shown string) {
		c, err := webhook.ParseClientCertificates("mtls.example.com", list)
		if err != nil || !c.Accept(&webhook.Request{Domain: "mtls.example.com", ClientSubject: shown}) {
			return
		}
		plain := func(s string) string {
			s = escaped.ReplaceAllStringFunc(s, func(e string) string {
				c, _ := strconv.ParseUint(e[1:], 16, 8)
				return string([]byte{byte(c)})
			})
			return strings.ToLower(strings.ReplaceAll(s, " ", ""))
		}
		if shown == "" || !strings.Contains(plain(list), plain(shown)) {
			t.Errorf("%q is accepted by %q", shown, list)
		}
	})
}

// escaped matches a byte that is not printable ASCII.
var escaped = regexp.MustCompile(`\\(?:[01][0-9a-fA-F]|7[fF]|[89a-fA-F][0-9a-fA-F])`)
