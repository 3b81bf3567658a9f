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

// fetcher makes what gets an access token.
//
// SPEC: https://developer.adobe.com/acrobat-sign/docs/overview/developer_guide/oauth, read 2026-11-23: POST
// /oauth/v2/refresh at the same access point; the token lasts an hour, and the refresh token until it was not used for 60
// days.
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
		// An hour is documented; a table says that expires_in is in milliseconds, its example that it is in seconds.
		lasts := min(time.Duration(token.ExpiresIn)*time.Second, time.Hour)
		return token.AccessToken, o.Now().Add(lasts), nil
	}
}

// explainToken says why there is no token. It leaves of an error of oauth2 what quotes nothing of the answer.
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
		if status/100 == 4 { // 400 is what OAuth says of a refresh token that is no good
			return fmt.Errorf("%w: answered %d (%s)", vendorapi.ErrDenied, status, webhook.Label(answer.ErrorCode))
		}
		return fmt.Errorf("answered %d", status)
	case errors.As(err, &failed):
		return failed.Err // without the URL
	}
	return errors.New("the answer is not what it should be")
}
