package doctor

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"time"

	"esignhooks/shared/sample"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Patient is one webhook to examine.
type Patient struct {
	Provider webhook.Provider
	Keys     webhook.Keys
	// Problems of how the keys are written, which work nevertheless: see [Written].
	Problems    []string
	Development bool   // nothing is configured, so the development key holds
	Place       string // where the keys are, for a sentence: $DOCUSIGN_HMAC_KEYS
	TokenPlace  string // where the URL tokens are
	// Address is the URL that the vendor calls, with its token. Local is the gateway's own. Either may be empty.
	Address, Local string
	// Client of the vendor's API, or why there is none.
	Client    vendorapi.Client
	ClientErr error
}

// shortest is the length from which a shared secret is hard to guess. All vendors' secrets are longer.
const shortest = 16

// Written returns what is odd about how keys are written. They were trimmed, so they work.
func Written(values []string) (problems []string) {
	for _, value := range values {
		trimmed := webhook.Secrets(value)
		switch {
		case len(trimmed) == 0 && value != "":
			problems = append(problems, "an entry is nothing but white space or quotes")
		case len(trimmed) > 0 && trimmed[0].Reveal() != value:
			problems = append(problems, "white space or quotes around the key "+trimmed[0].Fingerprint()+" were removed")
		}
	}
	return problems
}

// Examine makes all checks of the webhooks, in their order. all are those whose keys must differ.
func (d *Doctor) Examine(ctx context.Context, patients, all []Patient) (findings []Finding) {
	for _, p := range patients {
		group := p.Provider.Info().Title
		for _, f := range slices.Concat(p.keys(all), p.tokens(), d.url(ctx, p), p.vendor(ctx)) {
			f.Group = group
			findings = append(findings, f)
		}
	}
	return findings
}

// keys checks the configured keys.
func (p Patient) keys(all []Patient) (found []Finding) {
	info := p.Provider.Info()
	add := func(level Level, text string, arguments ...any) {
		found = append(found, Finding{Check: "keys", Level: level, Text: fmt.Sprintf(text, arguments...)})
	}
	switch {
	case webhook.RefusesAll(p.Provider, p.Keys):
		add(Failure, "none is configured, so every request is refused: put the vendor's key into %s", p.Place)
	case p.Development:
		add(Warning, "the development key is in use, and the vendor's requests are refused: put the vendor's key into %s",
			p.Place)
	case webhook.Any(p.Keys.Keys, info.DevelopmentKey):
		add(Failure, "the development key is one of them, and everybody knows it: remove it from %s", p.Place)
	}
	for _, problem := range p.Problems {
		add(Warning, "%s: write it without them into %s", problem, p.Place)
	}
	var prints []string
	for _, key := range p.Keys.Keys {
		prints = append(prints, key.Fingerprint())
		if value := key.Reveal(); len(value) < shortest && !p.public(key) && value != info.DevelopmentKey {
			add(Warning, "the key %s has only %d characters: it may be cut off, and can be guessed; copy it again from the "+
				"vendor's page into %s", key.Fingerprint(), len(value), p.Place)
		}
		for _, other := range all {
			if other.Provider.Info().Name != info.Name && webhook.Any(other.Keys.Keys, key.Reveal()) {
				add(Warning, "the key %s is also one of %s: each vendor has its own; remove it where it is wrong",
					key.Fingerprint(), other.Provider.Info().Title)
			}
		}
	}
	if len(found) == 0 && len(prints) == 0 {
		add(OK, "none, and the URL token proves the requests")
	} else if len(found) == 0 {
		add(OK, "%d: %s", len(prints), strings.Join(prints, ", "))
	}
	return found
}

// public reports whether the vendor sends the key itself, as Adobe does its client ID. So it need not be long.
func (p Patient) public(key webhook.Secret) bool {
	challenger, ok := p.Provider.(webhook.Challenger)
	if !ok {
		return false
	}
	for _, values := range challenger.ChallengeRequest(key).Header {
		if slices.Contains(values, key.Reveal()) {
			return true
		}
	}
	return false
}

// tokens checks the URL tokens.
func (p Patient) tokens() []Finding {
	f := Finding{Check: "URL token", Level: OK}
	switch n := len(p.Keys.URLTokens); {
	case n > 0:
		f.Text = fmt.Sprintf("%d: %s", n, strings.Join(fingerprints(p.Keys.URLTokens), ", "))
	case p.Provider.Info().SignsAll:
		f.Text = "none, and none is needed: the signature covers the whole body"
	default:
		f.Level = Warning
		f.Text = "none, and the signature does not cover the whole body, so who learns the URL can forge events: put a " +
			"random value into " + p.TokenPlace + ", for example of openssl rand -hex 16"
	}
	return []Finding{f}
}

func fingerprints(secrets []webhook.Secret) (prints []string) {
	for _, s := range secrets {
		prints = append(prints, s.Fingerprint())
	}
	return prints
}

// answer is what came back for a request.
type answer struct {
	*http.Response
	body    []byte
	after   time.Duration
	arrived bool
	err     error
}

// send sends a request to the URL, marked with a nonce.
func (d *Doctor) send(ctx context.Context, client *http.Client, address string, r *webhook.Request) (a answer) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, r.Method, address, bytes.NewReader(r.Body))
	if err != nil {
		return answer{err: errors.New("the URL cannot be parsed")}
	}
	request.URL.RawQuery = r.Query.Encode()
	for name, values := range r.Header {
		request.Header[name] = values
	}
	nonce := rand.Text()
	request.Header.Set(NonceHeader, nonce)
	start := d.Now()
	a.Response, a.err = client.Do(request)
	if a.err == nil {
		defer a.Body.Close()
		a.body, a.err = io.ReadAll(io.LimitReader(a.Body, 64<<10))
	}
	a.after = d.Now().Sub(start)
	a.arrived = d.Arrived == nil || d.Arrived(ctx, nonce)
	return a
}

// differs returns how an answer differs from the expected one; "" if it does not. Other headers may be added.
func (a answer) differs(want *webhook.Response) string {
	if a.StatusCode != want.Status {
		return fmt.Sprintf("the answer is %d instead of %d", a.StatusCode, want.Status)
	}
	for name := range want.Header {
		if !slices.Equal(a.Header.Values(name), want.Header.Values(name)) &&
			!slices.Equal(a.Header.Values(name), want.Header[name]) {
			return "the header " + name + " of the answer is another"
		}
	}
	if !bytes.Equal(a.body, want.Body) {
		return fmt.Sprintf("the body of the answer is another, of %d bytes instead of %d", len(a.body), len(want.Body))
	}
	return ""
}

// url makes the checks that send requests.
func (d *Doctor) url(ctx context.Context, p Patient) []Finding {
	address := cmp.Or(p.Address, p.Local)
	skip := func(reason string, checks ...string) (found []Finding) {
		for _, check := range checks {
			found = append(found, Finding{Check: check, Level: NotChecked, Text: reason})
		}
		return found
	}
	all := []string{"handshake", "acknowledgement", "refusal"}
	if address == "" {
		return skip("the URL is not known: name it, as in URL=https://tunnel.example", append([]string{"reachability",
			"TLS"}, all...)...)
	}
	if _, want := p.knock(); d.Quiet && want.Status == http.StatusUnauthorized {
		return skip("there is no key to ask with, and a request without one would start the alarm of wrong keys",
			append([]string{"reachability", "TLS"}, all...)...)
	}
	client := d.client(false)
	defer client.CloseIdleConnections()
	if p.Keys.Certificates.Demanded() {
		return append(skip("only the vendor has the client certificate: send the vendor's own test, and look with make logs",
			append([]string{"reachability", "TLS"}, all...)...), d.certificate(ctx, client, p))
	}
	var found []Finding
	if p.Address == "" {
		found = skip("no public URL is known: start a tunnel, or name its URL, as in URL=https://tunnel.example",
			"reachability", "TLS")
	} else {
		reached, tlsState := d.reach(ctx, client, p)
		if found = append(found, reached); reached.Level == Failure && tlsState == nil {
			return append(found, skip("the URL is not reached", append([]string{"TLS"}, all...)...)...)
		}
		found = append(found, d.tls(ctx, p, tlsState))
		if reached.Level == Failure {
			return append(found, skip("the URL does not lead to the gateway", all...)...)
		}
	}
	found = append(found, d.handshake(ctx, client, p, address), d.acknowledgement(ctx, client, p, address),
		d.refusal(ctx, client, p, address))
	if len(p.Keys.URLTokens) > 0 {
		found = append(found, d.wrongToken(ctx, client, p, address))
	}
	return found
}

// certificate checks that the URL is at the domain that demands client certificates, and that nobody gets in without.
func (d *Doctor) certificate(ctx context.Context, client *http.Client, p Patient) Finding {
	f := Finding{Check: "client certificate", Level: Failure}
	domain := p.Keys.Certificates.Domain()
	if u, err := url.Parse(p.Address); err != nil || !strings.EqualFold(u.Hostname(), domain) {
		f.Text = "the vendor must show a certificate at " + domain + ", and every other URL refuses it: register the URL " +
			"that make urls shows"
		return f
	}
	r, _ := p.knock()
	a := d.send(ctx, client, p.Address, r)
	var lower *net.OpError
	var wrong *tls.CertificateVerificationError
	switch {
	case a.err == nil && a.StatusCode == http.StatusForbidden:
		f.Level, f.Text = NotChecked, domain+" answers 403, which may also be due to a list of addresses or a web ACL"
	case a.err == nil:
		f.Text = fmt.Sprintf("%s answers %d without a client certificate: deploy the stack again, and see that its DNS "+
			"record points to the output MutualTlsTarget", domain, a.StatusCode)
	case errors.As(a.err, &wrong):
		f.Text = certificate(a.err)
	case errors.As(a.err, &lower) && lower.Op == "remote error", // an alert of TLS
		errors.Is(a.err, syscall.ECONNRESET), errors.Is(a.err, io.EOF):
		f.Level, f.Text = OK, domain+" lets nobody in without a client certificate"
	default:
		f.Text = domain + " does not answer (" + plain(a.err) + "): let its DNS record point to the output MutualTlsTarget"
	}
	return f
}

// knock is a request that stores nothing, and its answer. It is the vendor's challenge if that is a GET.
func (p Patient) knock() (*webhook.Request, *webhook.Response) {
	if challenger, ok := p.Provider.(webhook.Challenger); ok && len(p.Keys.Keys) > 0 {
		if r := challenger.ChallengeRequest(p.Keys.Keys[0]); r.Method == http.MethodGet {
			return r, p.expected(r)
		}
	}
	r := &webhook.Request{Method: http.MethodGet, Header: http.Header{}}
	return r, p.expected(r)
}

// expected returns the answer that the gateway must give to a request. Only the status of a refusal matters, and that
// it has no body.
func (p Patient) expected(r *webhook.Request) *webhook.Response {
	checked := *r
	checked.TokenMatched = len(p.Keys.URLTokens) > 0
	answer, err := p.Provider.Challenge(&checked, p.Keys)
	if errors.Is(err, webhook.ErrNoChallenge) && r.Method == http.MethodPost {
		if _, err = p.Provider.Verify(&checked, p.Keys); err == nil {
			answer = p.Provider.Acknowledge(&checked)
		}
	}
	switch {
	case err == nil:
		return answer
	case errors.Is(err, webhook.ErrNoChallenge):
		return &webhook.Response{Status: http.StatusMethodNotAllowed}
	}
	return &webhook.Response{Status: http.StatusUnauthorized}
}

// startTunnel says how to make a tunnel to the gateway.
func (p Patient) startTunnel() string {
	local, err := url.Parse(p.Local)
	if err != nil || local.Host == "" {
		local = &url.URL{Host: "127.0.0.1:3000"}
	}
	return "start the tunnel, for example with cloudflared tunnel --url http://" + local.Host + ", and name its URL"
}

// reach checks that a request to the public URL arrives at the gateway. It returns the state of TLS if a TLS connection
// was made.
func (d *Doctor) reach(ctx context.Context, client *http.Client, p Patient) (Finding, *tlsState) {
	f := Finding{Check: "reachability", Level: Failure}
	r, want := p.knock()
	a := d.send(ctx, client, p.Address, r)
	if a.err != nil {
		var state *tlsState
		var wrong *tls.CertificateVerificationError
		if errors.As(a.err, &wrong) {
			state = &tlsState{err: a.err}
		}
		f.Text = "the URL does not answer (" + plain(a.err) + "): "
		switch {
		case state != nil:
			f.Text += "see TLS"
		case d.Arrived == nil:
			f.Text += "see whether the API and its domain name are deployed"
		default:
			f.Text += p.startTunnel()
		}
		return f, state
	}
	state := &tlsState{version: 0}
	if a.TLS != nil {
		state = &tlsState{version: a.TLS.Version, expires: a.TLS.PeerCertificates[0].NotAfter}
	}
	switch wrong := a.differs(&webhook.Response{Status: want.Status}); {
	case !a.arrived:
		f.Text = fmt.Sprintf("%d, but the request has not arrived at this gateway: let the tunnel forward to it, and name "+
			"the URL that it has now", a.StatusCode)
	case a.StatusCode != want.Status:
		f.Text = wrong + ": something between the vendor and the gateway changes requests or answers, such as a firewall or " +
			"a login page; let it pass them unchanged"
	case d.Arrived == nil:
		f.Level, f.Text = OK, fmt.Sprintf("%s answers %d, as the gateway does", vendorapi.Masked(p.Address), want.Status)
	default:
		f.Level, f.Text = OK, "a request to "+vendorapi.Masked(p.Address)+" has arrived here"
	}
	return f, state
}

// tlsState is what a connection has shown. The zero version means that it was not encrypted.
type tlsState struct {
	err     error
	version uint16
	expires time.Time
}

// soon is when an expiry is near: an automatic renewal would have happened.
const soon = 14 * 24 * time.Hour

// tls checks the certificate, and that the server speaks TLS 1.2, which some vendors need.
func (d *Doctor) tls(ctx context.Context, p Patient, state *tlsState) Finding {
	f := Finding{Check: "TLS", Level: Failure}
	switch {
	case state.err != nil:
		f.Text = certificate(state.err)
		return f
	case state.version == 0:
		f.Text = "the URL is not https, and vendors call no other: use the https URL of the tunnel"
		return f
	}
	r, _ := p.knock()
	client := d.client(true)
	defer client.CloseIdleConnections()
	a, left := d.send(ctx, client, p.Address, r), state.expires.Sub(d.Now())
	switch {
	case a.err != nil && state.version == tls.VersionTLS13:
		f.Level, f.Text = Warning, "the server speaks only TLS 1.3: allow TLS 1.2 too, which some vendors need"
	case left < soon:
		f.Level = Warning
		f.Text = fmt.Sprintf("the certificate expires in %d days: renew it", int(left.Hours()/24))
	default:
		f.Level = OK
		f.Text = fmt.Sprintf("%s, also TLS 1.2; the certificate is valid until %s", tls.VersionName(state.version),
			state.expires.UTC().Format(time.DateOnly))
	}
	return f
}

// handshake sends the vendor's verification of the URL.
func (d *Doctor) handshake(ctx context.Context, client *http.Client, p Patient, address string) Finding {
	f := Finding{Check: "handshake", Level: NotChecked}
	challenger, ok := p.Provider.(webhook.Challenger)
	if !ok {
		f.Text = "this vendor does not verify a URL before it calls it"
		return f
	}
	var key webhook.Secret
	if len(p.Keys.Keys) > 0 {
		key = p.Keys.Keys[0]
	}
	r := challenger.ChallengeRequest(key)
	want := p.expected(r)
	if want.Status != http.StatusOK {
		f.Text = "there is no key to ask with"
		return f
	}
	return d.timed(f, d.send(ctx, client, address, r), want, p.Provider.Info())
}

// timed compares an answer with the expected one, and its time with the vendor's limit.
func (d *Doctor) timed(f Finding, a answer, want *webhook.Response, info webhook.Info) Finding {
	f.Level = Failure
	if a.err != nil {
		f.Text = "no answer (" + plain(a.err) + "): see the log of the gateway"
		return f
	}
	after, limit := a.after.Round(time.Millisecond), fmt.Sprintf("%.0f s", info.AnswerWithin.Seconds())
	switch wrong := a.differs(want); {
	case !a.arrived:
		f.Text = "the request has not arrived at this gateway: let the tunnel forward everything to it"
	case wrong != "":
		f.Text = wrong + ": let the tunnel or the proxy pass the answer unchanged, and see the log of the gateway"
	case a.after > info.AnswerWithin:
		f.Text = fmt.Sprintf("the answer is right, but took %v, and the vendor waits %s: use a nearer or faster tunnel",
			after, limit)
	case a.after > info.AnswerWithin/2:
		f.Level = Warning
		f.Text = fmt.Sprintf("the answer is right, but took %v, and the vendor waits only %s: use a nearer or faster tunnel",
			after, limit)
	default:
		f.Level = OK
		f.Text = fmt.Sprintf("byte for byte right, after %v; the vendor waits %s", after, limit)
	}
	return f
}

// acknowledgement sends a genuine sample to a gateway on localhost, and nothing to a stack, which would store it.
func (d *Doctor) acknowledgement(ctx context.Context, client *http.Client, p Patient, address string) Finding {
	f := Finding{Check: "acknowledgement", Level: NotChecked}
	switch {
	case d.Arrived == nil:
		f.Text = "a sample would become an event of the stack; send the vendor's own test, and look with make logs"
		return f
	case len(p.Keys.Keys) == 0:
		f.Text = "there is no key to sign a sample with"
		return f
	}
	r, _, err := sample.Request(p.Provider, sample.Harmless(p.Provider), "", p.Keys.Keys[0], d.Now())
	if err != nil {
		f.Text = "there is no sample: " + err.Error()
		return f
	}
	return d.timed(f, d.send(ctx, client, address, r), p.expected(r), p.Provider.Info())
}

// refusal sends a request that nothing proves.
func (d *Doctor) refusal(ctx context.Context, client *http.Client, p Patient, address string) Finding {
	f := Finding{Check: "refusal", Level: NotChecked}
	if d.Quiet {
		f.Text = "a forgery would start the alarm of wrong keys: make doctor sends one"
		return f
	}
	r := &webhook.Request{
		Method: http.MethodPost, Header: http.Header{"Content-Type": {"application/json"}}, Body: []byte("{}"),
	}
	what, want := "an unsigned request", p.expected(r)
	if want.Status != http.StatusUnauthorized { // a wrong signature may be worse than none
		what = "a request with a wrong signature"
		if err := p.Provider.Sign(r, webhook.NewSecret(rand.Text()), d.Now()); err == nil {
			want = p.expected(r)
		}
	}
	if want.Status != http.StatusUnauthorized {
		f.Text = "the URL token alone proves a request of this vendor"
		return f
	}
	a := d.send(ctx, client, address, r)
	f.Level = Failure
	if a.err != nil {
		f.Text = "no answer (" + plain(a.err) + "): see the log of the gateway"
		return f
	}
	if wrong := a.differs(want); wrong != "" {
		f.Text = what + " is not refused as it must be: " + wrong + "; look for what answers in place of the gateway"
		return f
	}
	f.Level, f.Text = OK, what+" gets 401 and nothing else"
	if d.Arrived == nil {
		f.Text += "; the alarm of wrong keys counts it"
	}
	return f
}

// wrongToken sends a request to a URL whose token is not configured.
func (d *Doctor) wrongToken(ctx context.Context, client *http.Client, p Patient, address string) Finding {
	f := Finding{Check: "wrong token", Level: Failure}
	base := address[:strings.LastIndex(address, "/")+1]
	r, _ := p.knock()
	a := d.send(ctx, client, base+rand.Text(), r)
	switch {
	case a.err != nil:
		f.Text = "no answer (" + plain(a.err) + "): see the log of the gateway"
	case a.StatusCode != http.StatusNotFound:
		f.Text = fmt.Sprintf("a URL with another token answers %d instead of 404: look for what answers in place of the "+
			"gateway", a.StatusCode)
	default:
		f.Level, f.Text = OK, "a URL with another token gets 404"
	}
	return f
}

// vendor checks the subscriptions at the vendor, or says what to compare by hand.
func (p Patient) vendor(ctx context.Context) []Finding {
	info := p.Provider.Info()
	f := Finding{Check: "vendor", Level: NotChecked, Steps: info.Registration}
	if p.ClientErr != nil {
		f.Text = "no API credentials are configured; compare by hand what is set at the vendor:"
		if errors.Is(p.ClientErr, vendorapi.ErrNoClient) {
			f.Text = "esignhooks has no client of this vendor's API; compare by hand what is set at the vendor:"
		}
		return []Finding{f}
	}
	subscriptions, err := p.Client.Subscriptions(ctx)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		f.Text = "the vendor's API cannot list this; compare by hand what is set at the vendor:"
		return []Finding{f}
	case err != nil:
		f.Level = Failure
		f.Text = "the vendor's API does not answer as it should (" + printable(err.Error()) + "): check the credentials"
		return []Finding{f}
	}
	f.Steps, f.Level = nil, Failure
	if p.Address == "" {
		f.Level, f.Text = NotChecked, fmt.Sprintf("%d are registered; without a public URL, none is compared",
			len(subscriptions))
		return []Finding{f}
	}
	f.Text = "nothing is registered for the URL: make register PROVIDER=" + info.Name + " shows what to change"
	for _, s := range subscriptions {
		if !vendorapi.SameEndpoint(s.URL, p.Address) {
			continue
		}
		s = s.Checked(p.Keys)
		switch {
		case s.Healthy():
			f.Level, f.Text = OK, printable(s.Name)+" is active"
			return []Finding{f}
		case !s.Active:
			s.Problems = append(s.Problems, "it is not active")
		case s.Failures > 0:
			s.Problems = append(s.Problems, fmt.Sprintf("%d events are undelivered", s.Failures))
		}
		f.Text = printable(s.Name+": "+strings.Join(s.Problems, "; ")) + ": make register PROVIDER=" + info.Name +
			" shows what to change"
	}
	return []Finding{f}
}

// printable replaces what is unsafe on a terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
