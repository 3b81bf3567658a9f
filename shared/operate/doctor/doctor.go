// Package doctor examines everything between a vendor and a gateway: keys, clock, tunnel, TLS, the URL from outside in,
// the vendor's handshake, the acknowledgement, and what is set at the vendor. It shows no secret.
package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"
)

// Level is the result of a check.
type Level string

const (
	OK         Level = "ok"
	Warning    Level = "warning"
	Failure    Level = "failure"
	NotChecked Level = "not checked"
)

// Finding is the result of one check.
type Finding struct {
	Group string   `json:"group"` // the vendor's title, or [Computer]
	Check string   `json:"check"`
	Level Level    `json:"level"`
	Text  string   `json:"text"`            // one line; of a warning or a failure, it says what to do
	Steps []string `json:"steps,omitempty"` // what to compare by hand
}

// Computer is the group of the findings that belong to no vendor.
const Computer = "This computer"

// Report writes the findings, one line each, grouped as they come. It returns an error if a check failed.
func Report(w io.Writer, findings []Finding) error { return ReportOf("doctor", w, findings) }

// ReportOf is [Report] of another command that finds something.
func ReportOf(command string, w io.Writer, findings []Finding) error {
	table, group, failed := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0), "", 0
	for _, f := range findings {
		if f.Group != group {
			table.Flush()
			group = f.Group
			fmt.Fprintln(w, group)
		}
		fmt.Fprintf(table, "  %-11s\t%-15s\t%s\n", f.Level, f.Check, f.Text)
		if len(f.Steps) > 0 {
			table.Flush()
		}
		for _, step := range f.Steps {
			fmt.Fprintf(w, "      - %s\n", step)
		}
		if f.Level == Failure {
			failed++
		}
	}
	table.Flush()
	if failed > 0 {
		return fmt.Errorf("%s: %d of %d checks failed", command, failed, len(findings))
	}
	return nil
}

// Doctor makes the checks. It is not changed while it does.
type Doctor struct {
	Now   func() time.Time
	Roots *x509.CertPool // nil: the computer's
	// Arrived reports whether a request with this value of [NonceHeader] has arrived at the gateway. Nil: nobody can tell,
	// and nothing may be stored, because the URL is that of a deployed stack.
	Arrived func(ctx context.Context, nonce string) bool
	// Quiet leaves out the request that nothing proves, which starts an alarm of a deployed stack.
	Quiet bool
}

// NonceHeader marks the doctor's requests.
const NonceHeader = "X-Esignhooks-Doctor"

// timeout limits one request. Every vendor but one waits less.
const timeout = 30 * time.Second

// client returns a client that speaks TLS 1.2 or later, or only 1.2, as some vendors do. It follows no redirect: no
// vendor does.
func (d *Doctor) client(only12 bool) *http.Client {
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: d.Roots, Time: d.Now}
	if only12 {
		config.MaxVersion = tls.VersionTLS12
	}
	return &http.Client{
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, DisableKeepAlives: true,
			ForceAttemptHTTP2: !only12},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Timeout:       timeout,
	}
}

// AcceptsOldTLS reports whether the server of a URL speaks TLS 1.0 or 1.1. It must have answered before.
func (d *Doctor) AcceptsOldTLS(ctx context.Context, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
	if err != nil {
		return false
	}
	client := d.client(true)
	config := client.Transport.(*http.Transport).TLSClientConfig
	config.MinVersion, config.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	answer, err := client.Do(request)
	if err != nil {
		return false
	}
	answer.Body.Close()
	return true
}

// tolerance is how wrong the clock may be.
const tolerance = 5 * time.Second

// Clock compares the clock with the Date header of the first of these URLs that answers.
func (d *Doctor) Clock(ctx context.Context, urls ...string) Finding {
	f := Finding{Group: Computer, Check: "clock"}
	for _, url := range urls {
		request, err := http.NewRequestWithContext(ctx, http.MethodHead, url, nil)
		if err != nil {
			continue
		}
		client := d.client(false)
		client.Timeout = 3 * time.Second
		// A wrong clock makes certificates invalid. Nothing secret is sent, so only the time is at stake.
		client.Transport.(*http.Transport).TLSClientConfig.InsecureSkipVerify = true
		sent := d.Now()
		answer, err := client.Do(request)
		if err != nil {
			continue
		}
		answer.Body.Close()
		theirs, err := http.ParseTime(answer.Header.Get("Date"))
		if err != nil {
			continue
		}
		ours := sent.Add(d.Now().Sub(sent) / 2)
		off, host := ours.Sub(theirs), request.URL.Hostname()
		if -tolerance <= off && off <= tolerance+time.Second { // the header has whole seconds
			f.Level, f.Text = OK, fmt.Sprintf("differs by at most %v from that of %s", tolerance, host)
			return f
		}
		f.Level = Failure
		f.Text = fmt.Sprintf("is %v %s that of %s: synchronise it, for example with timedatectl set-ntp true",
			off.Abs().Round(time.Second), map[bool]string{true: "ahead of", false: "behind"}[off > 0], host)
		return f
	}
	f.Level, f.Text = NotChecked, "no server with a Date header was reached"
	return f
}

// certificate says what is wrong with a certificate.
func certificate(err error) string {
	var name x509.HostnameError
	var invalid x509.CertificateInvalidError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &name):
		return "the certificate is for another host: get one for the host of the URL"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet: renew it, or set the clock"
	case errors.As(err, &unknown):
		return "no known authority has issued the certificate, or an intermediate certificate is missing: install the " +
			"whole chain of a public authority"
	}
	return "the certificate is not accepted: use one of a public authority"
}

// plain returns the innermost message of an error of net/http, which quotes no URL.
func plain(err error) string {
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return strings.TrimSpace(err.Error())
}
