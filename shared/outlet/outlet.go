// Package outlet delivers published events to an application by HTTP POST. Requests are signed as Standard Webhooks
// describe it.
//
// SPEC: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, read 2026-11-30.
package outlet

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"esignhooks/shared/webhook"
)

// Timeout limits one attempt.
const Timeout = 10 * time.Second

// Key is a secret that signs requests.
type Key struct{ secret []byte }

// ParseKey reads a secret in the form of Standard Webhooks: "whsec_" and the base64 of 24 to 64 bytes. The prefix and
// the padding may be missing. Its error does not quote the secret.
func ParseKey(s webhook.Secret) (Key, error) {
	text := strings.TrimRight(strings.TrimPrefix(strings.TrimSpace(s.Reveal()), "whsec_"), "=")
	secret, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil || len(secret) < 24 || len(secret) > 64 {
		return Key{}, errors.New(`not a secret of Standard Webhooks: "whsec_" and the base64 of 24 to 64 random bytes`)
	}
	return Key{secret}, nil
}

// sign returns the signature of a request, in the form of the header.
func (k Key) sign(id, timestamp string, body []byte) string {
	mac := hmac.New(sha256.New, k.secret)
	io.WriteString(mac, id+"."+timestamp+".")
	mac.Write(body)
	return "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Sender posts events to an application.
type Sender struct {
	URL    string
	Client *http.Client
	Now    func() time.Time
}

// Post sends the envelope of an event, signed with each of the keys; without keys, it is not signed. It succeeds if the
// application answers 2xx. Its errors contain neither the URL nor anything of the answer's body.
func (s *Sender) Post(ctx context.Context, eventID string, envelope []byte, keys ...Key) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, bytes.NewReader(envelope))
	if err != nil {
		return errors.New("the URL is not valid")
	}
	timestamp := strconv.FormatInt(s.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Webhook-Id", eventID)
	request.Header.Set("Webhook-Timestamp", timestamp)
	var signatures []string
	for _, key := range keys {
		signatures = append(signatures, key.sign(eventID, timestamp, envelope))
	}
	if len(signatures) > 0 {
		request.Header.Set("Webhook-Signature", strings.Join(signatures, " "))
	}
	answer, err := s.Client.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		return failed.Err
	} else if err != nil {
		return err
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, 64<<10)) // so that the connection can be reused
	if answer.StatusCode < 200 || answer.StatusCode > 299 {
		return fmt.Errorf("the application answered %d", answer.StatusCode)
	}
	return nil
}

// NewClient returns a client that follows no redirects, which would drop the body or lead elsewhere.
func NewClient() *http.Client {
	return &http.Client{
		Timeout:       Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// NewPublicClient returns a client for an application on the internet: it also refuses to connect to a private address,
// whatever the host's name resolves to, and uses no proxy.
func NewPublicClient() *http.Client {
	client := NewClient()
	dialer := &net.Dialer{Timeout: Timeout, Control: func(_, address string, _ syscall.RawConn) error {
		if to, err := netip.ParseAddrPort(address); err != nil || !public(to.Addr()) {
			return errors.New("the application has a private address")
		}
		return nil
	}}
	client.Transport = &http.Transport{
		DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: Timeout,
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: 1,
	}
	return client
}

// special are the ranges that are not on the internet, apart from those that package netip knows.
//
// SPEC: https://www.iana.org/assignments/iana-ipv4-special-registry and
// https://www.iana.org/assignments/iana-ipv6-special-registry, read 2026-11-30.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.0/24"),
	netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"), // which would lead to any of the above
	netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("100::/64"), netip.MustParsePrefix("2001::/23"),
	netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("2002::/16"),
}

func public(a netip.Addr) bool {
	a = a.Unmap()
	if !a.IsGlobalUnicast() || a.IsPrivate() {
		return false
	}
	for _, prefix := range special {
		if prefix.Contains(a) {
			return false
		}
	}
	return true
}
