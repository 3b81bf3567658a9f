package vendorapi

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// errRedirect refuses a redirect that is one too many, changes the scheme, or answers anything but a GET.
var errRedirect = errors.New("vendorapi: redirected too often, to another scheme, or after a request other than GET")

// NewHTTPClient returns the client that all vendor clients of a process share.
func NewHTTPClient() *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	transport.DialContext = (&net.Dialer{Timeout: 5 * time.Second}).DialContext
	transport.TLSHandshakeTimeout = 5 * time.Second
	transport.ResponseHeaderTimeout = callTimeout
	return &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) >= 5 || r.URL.Scheme != via[0].URL.Scheme || via[0].Method != http.MethodGet {
			return errRedirect
		}
		r.Header.Del("Referer") // a vendor's download link may be a secret
		return nil              // net/http does not send Authorization to other hosts
	}}
}

// withoutSecrets reduces an error of net/http to its cause. The full text quotes the URL or the answer, and either may
// hold a secret.
func withoutSecrets(err error) error {
	var network net.Error // *url.Error implements it too
	var certificate *tls.CertificateVerificationError
	var failed *url.Error
	if errors.As(err, &failed) {
		err = failed.Err
	}
	switch {
	case errors.As(err, &network):
		err = network
	case errors.As(err, &certificate):
		err = certificate
	case errors.Is(err, errRedirect):
		return errRedirect
	case errors.Is(err, context.Canceled):
		err = context.Canceled
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = io.ErrUnexpectedEOF
	default:
		return errors.New("vendorapi: the connection failed")
	}
	return fmt.Errorf("vendorapi: no response, or a truncated one: %w", err)
}
