package adobesign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// fetcher returns a function that requests an access token.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/oauth, read 2026-11-23: POST
// /oauth/v2/refresh at the same access point; the access token lasts an hour, the refresh token until it is unused for
// 60 days.
func (k credentials) fetcher(host string, o vendorapi.Options) func(context.Context) (string, time.Time, error) {
	config := oauth2.Config{
		ClientID: k.ClientID, ClientSecret: k.ClientSecret,
		Endpoint: oauth2.Endpoint{TokenURL: host + "/oauth/v2/refresh", AuthStyle: oauth2.AuthStyleInParams},
	}
	return func(ctx context.Context) (string, time.Time, error) {
		ctx = context.WithValue(ctx, oauth2.HTTPClient, o.HTTP)
		token, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: k.RefreshToken}).Token()
		if err != nil {
			return "", time.Time{}, fmt.Errorf("access token: %w", explainToken(err))
		}
		// An hour is documented. A table gives expires_in in milliseconds, its example in seconds.
		lasts := min(time.Duration(token.ExpiresIn)*time.Second, time.Hour)
		return token.AccessToken, o.Now().Add(lasts), nil
	}
}

// explainToken returns why there is no token. It drops all that an error of oauth2 quotes of the response.
func explainToken(err error) error {
	var answer *oauth2.RetrieveError
	var failed *url.Error
	switch {
	case errors.As(err, &answer):
		status := answer.Response.StatusCode
		if status == http.StatusTooManyRequests {
			seconds, _ := strconv.Atoi(answer.Response.Header.Get("Retry-After"))
			return &vendorapi.LaterError{After: time.Duration(cmp.Or(min(max(seconds, 0), 24*60*60), 60)) * time.Second}
		}
		if status/100 == 4 { // OAuth answers 400 to an invalid refresh token
			return fmt.Errorf("%w: answered %d (%s)", vendorapi.ErrDenied, status, webhook.Label(answer.ErrorCode))
		}
		return fmt.Errorf("answered %d", status)
	case errors.As(err, &failed):
		return failed.Err // without the URL
	}
	return errors.New("unexpected response")
}
