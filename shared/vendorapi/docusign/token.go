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

// fetchDeadline is that of a request for a token, with its answer: [jwt] heeds neither the context's end nor our clock.
const fetchDeadline = 30 * time.Second

// fetcher makes what gets an access token.
//
// SPEC: https://developers.docusign.com/platform/auth/jwt-get-token, read 2026-11-23: RS256; iss is the integration key,
// sub the user, aud the auth host without scheme; the token is good for as long as expires_in says, about an hour.
func (k credentials) fetcher(auth string, o vendorapi.Options) func(context.Context) (string, time.Time, error) {
	_, host, _ := strings.Cut(auth, "://")
	config := jwt.Config{
		Email: k.IntegrationKey, Subject: k.UserID, PrivateKey: []byte(k.PrivateKey),
		Scopes: []string{"signature", "impersonation"}, Audience: host, TokenURL: auth + "/oauth/token",
	}
	return func(ctx context.Context) (string, time.Time, error) {
		limited := *o.HTTP
		limited.Timeout = fetchDeadline
		token, err := config.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, &limited)).Token()
		if refused := (*oauth2.RetrieveError)(nil); errors.As(err, &refused) { // its text would show the body
			return "", time.Time{}, explainToken(refused, auth)
		} else if err != nil {
			return "", time.Time{}, fmt.Errorf("access token: %w", err)
		}
		seconds, _ := token.Extra("expires_in").(float64)
		if token.AccessToken == "" || seconds <= 0 {
			return "", time.Time{}, errors.New("access token: the answer holds none, or not how long it is good for")
		}
		return token.AccessToken, o.Now().Add(time.Duration(seconds) * time.Second), nil
	}
}

// explainToken says why there is no token.
//
// SPEC: https://developers.docusign.com/platform/auth/reference/obtain-consent, read 2026-11-23: as long as the user has
// not agreed, the answer is 400 and consent_required; the user agrees once, in a browser.
func explainToken(r *oauth2.RetrieveError, auth string) error {
	var answer struct {
		Error string `json:"error"`
	}
	json.Unmarshal(r.Body, &answer) // what cannot be read tells nothing
	switch status := r.Response.StatusCode; {
	case answer.Error == "consent_required":
		return fmt.Errorf("%w: consent_required: the user has to open, and agree to, %s/oauth/auth?response_type=code"+
			"&scope=signature%%20impersonation&client_id={integrationKey}&redirect_uri={one of the app's}", vendorapi.ErrDenied, auth)
	case status == http.StatusTooManyRequests:
		return &vendorapi.LaterError{After: time.Minute}
	case status >= 500 || status == http.StatusRequestTimeout:
		return fmt.Errorf("access token: answered %d", status)
	default:
		return fmt.Errorf("%w: access token: answered %d %s", vendorapi.ErrDenied, status, errorCode.FindString(answer.Error))
	}
}

// isKey says whether text is what [jwt] can sign with: PKCS #8, or PKCS #1 as DocuSign makes them.
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
