package docusign

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/jwt"

	"esignhooks/shared/vendorapi"
)

// fetchTimeout limits a request for a token: [jwt] ignores the context and our clock.
const fetchTimeout = 30 * time.Second

// fetcher returns a function that requests an access token.
//
// SPEC: https://developers.docusign.com/platform/auth/jwt-get-token, read 2026-11-23: RS256; iss is the integration
// key, sub the user, aud the auth host without scheme; the token is valid for expires_in seconds, about an hour.
func (k credentials) fetcher(auth string, o vendorapi.Options) func(context.Context) (string, time.Time, error) {
	_, host, _ := strings.Cut(auth, "://")
	config := jwt.Config{
		Email: k.IntegrationKey, Subject: k.UserID, PrivateKey: []byte(k.PrivateKey),
		Scopes: []string{"signature", "impersonation"}, Audience: host, TokenURL: auth + "/oauth/token",
	}
	return func(ctx context.Context) (string, time.Time, error) {
		limited := *o.HTTP
		limited.Timeout = fetchTimeout
		token, err := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, &limited)).Token()
		if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) { // its text quotes the body
			return "", time.Time{}, explainToken(refused, auth)
		} else if err != nil {
			return "", time.Time{}, fmt.Errorf("access token: %w", err)
		}
		seconds, _ := token.Extra("expires_in").(float64)
		if token.AccessToken == "" || seconds <= 0 {
			return "", time.Time{}, errors.New("access token: the response has no token, or no lifetime")
		}
		return token.AccessToken, o.Now().Add(time.Duration(seconds) * time.Second), nil
	}
}

// explainToken returns why there is no token.
//
// SPEC: https://developers.docusign.com/platform/auth/reference/obtain-consent, read 2026-11-23: until the user
// consents, the answer is 400 and consent_required; the user consents once, in a browser.
func explainToken(r *oauth2.RetrieveError, auth string) error {
	var answer struct {
		Error string `json:"error"`
	}
	json.Unmarshal(r.Body, &answer) // an unreadable body has no code
	switch status := r.Response.StatusCode; {
	case answer.Error == "consent_required":
		return fmt.Errorf("%w: consent_required: the user must open, and agree to, %s/oauth/auth?response_type=code"+
			"&scope=signature%%20impersonation&client_id={integrationKey}&redirect_uri={one of the app's}", vendorapi.ErrDenied,
			auth)
	case status == http.StatusTooManyRequests:
		return &vendorapi.LaterError{After: time.Minute}
	case status >= 500 || status == http.StatusRequestTimeout:
		return fmt.Errorf("access token: answered %d", status)
	default:
		return fmt.Errorf("%w: access token: answered %d %s", vendorapi.ErrDenied, status, errorCode.FindString(answer.Error))
	}
}

// isKey reports whether [jwt] can sign with a key: PKCS #8, or PKCS #1 as DocuSign issues them.
func isKey(text string) bool {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return false
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		_, ok := key.(*rsa.PrivateKey)
		return ok
	}
	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	return err == nil
}
