package attack

import (
	"net/http"
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

// clientCertificates attacks a stack in which the vendor must show a client certificate. What an attacker sends is
// genuine but for the certificate, with the vendor's key and URL token.
func clientCertificates(t *testing.T, v vendor) {
	const (
		domain  = "m.example.com" // short: the log may not show a long header
		subject = `CN=hooks.vendor.example,O=Vendor\, Inc.,C=US`
		own     = "a1b2c3d4e5.execute-api.eu-central-1.amazonaws.com"
	)
	keys := keysOf(v, true)
	var err error
	if keys.Certificates, err = webhook.ParseClientCertificates(domain, subject+";CN=former"); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		domain, subject string
		change          func(r *webhook.Request)
		want            string
	}{
		"the vendor's certificate at the domain": {domain, subject, nil, ""},
		"another subject on the list":            {"M.example.com", "cn=former", nil, ""},
		"no certificate at the domain":           {domain, "", nil, Refused},
		"execute-api":                            {own, "", nil, Refused},
		"the certificate at execute-api":         {own, subject, nil, Refused},
		"the other domain":                       {"hooks.example.com", "", nil, Refused},
		"the certificate at the other domain":    {"hooks.example.com", subject, nil, Refused},
		"no domain":                              {"", subject, nil, Refused},
		"a domain that ends like ours":           {"x." + domain, subject, nil, Refused},
		"a foreign subject":                      {domain, "CN=hooks.stranger.example,O=Stranger,C=US", nil, Refused},
		"the vendor's name alone":                {domain, "CN=hooks.vendor.example", nil, Refused},
		"the vendor's name with more":            {domain, subject + ",OU=x", nil, Refused},
		"the vendor's subject in a value":        {domain, `O="` + subject + `"`, nil, Refused},
		"the list instead of a subject":          {domain, subject + ";CN=former", nil, Refused},
		"headers that claim both": {own, "", func(r *webhook.Request) {
			for name, value := range map[string]string{
				"Host": domain, "X-Forwarded-Host": domain, "X-Amzn-Mtls-Clientcert-Subject": subject,
				"X-Client-Cert-Subject": subject, "X-Ssl-Client-S-Dn": subject, "Ssl-Client-Verify": "SUCCESS",
			} {
				r.Header.Set(name, value)
			}
		}, Refused},
		"a query that claims both": {own, "", func(r *webhook.Request) {
			r.Query = map[string][]string{"domainName": {domain}, "subjectDN": {subject}}
		}, Refused},
		"the certificate without the token": {domain, subject, func(r *webhook.Request) { r.URLToken = "" }, noSuchURL},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, v, keys)
			r, want := v.genuine(), tt.want
			r.Domain, r.ClientSubject = tt.domain, tt.subject
			if tt.change != nil {
				tt.change(r)
			}
			if want == "" { // the proof without certificates, but never a weaker one than the certificate
				proof, err := v.Verify(&webhook.Request{Method: r.Method, Header: r.Header, Query: r.Query, Body: r.Body,
					TokenMatched: true}, keys)
				if err != nil {
					t.Fatal(err)
				}
				if want = string(proof); proof == esign.ProofURLToken || proof == esign.ProofClientID {
					want = string(esign.ProofAuthenticated)
				}
			}
			if got := w.Fate(r); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	challenger, ok := v.Provider.(webhook.Challenger)
	if !ok {
		return
	}
	for name, by := range map[string]struct {
		domain, subject string
		want            int
	}{
		"a challenge at the domain":         {domain, subject, http.StatusOK},
		"a challenge by the other domain":   {own, "", http.StatusUnauthorized},
		"a challenge with a foreign client": {domain, "CN=stranger", http.StatusUnauthorized},
	} {
		t.Run(name, func(t *testing.T) {
			r := webhooktest.Clone(challenger.ChallengeRequest(webhook.NewSecret(v.key())))
			r.Domain, r.ClientSubject, r.URLToken = by.domain, by.subject, v.token()
			if r.Header == nil {
				r.Header = http.Header{}
			}
			if a := newWorld(t, v, keys).Send(r); a.Status != by.want {
				t.Errorf("answered %d", a.Status)
			}
		})
	}
}
