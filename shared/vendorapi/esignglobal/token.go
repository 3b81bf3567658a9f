package esignglobal

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"time"

	"esignhooks/shared/vendorapi"
)

// fetcher returns a function that requests an access token. A new token shortens the life of the old one to 5 minutes.
//
// SPEC: https://www.esignglobal.com/developer-center/api/mmcjntoocjtwl1frc6khk3k4, read 2026-11-23: 24 hours; "ensure
// all parameters are sent as form fields using the multipart/form-data content type", which golang.org/x/oauth2 does
// not support.
func (k credentials) fetcher(base string, o vendorapi.Options) func(context.Context) (string, time.Time, error) {
	h := vendorapi.HTTP{Client: o.HTTP, Explain: explainToken, Now: o.Now}
	return func(ctx context.Context) (string, time.Time, error) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		form.WriteField("client_id", k.AppID)
		form.WriteField("client_secret", k.AppSecret)
		form.WriteField("grant_type", "client_credentials")
		form.Close()
		var answer struct {
			outcome
			Token   string `json:"access_token"`
			Expires int64  `json:"expires_in"` // seconds
		}
		start := o.Now()
		_, err := h.Do(ctx, vendorapi.Request{
			Method: http.MethodPost, URL: base + "/esignglobal/v1/oauth2/accessToken",
			Header: http.Header{"Content-Type": {form.FormDataContentType()}}, Body: body.Bytes(),
		}, &answer)
		switch {
		case err != nil:
			return "", time.Time{}, fmt.Errorf("access token: %w", err)
		case answer.Token == "" || answer.Expires <= 0:
			return "", time.Time{}, fmt.Errorf("access token: %w: code %q", vendorapi.ErrDenied, answer.code())
		}
		return answer.Token, start.Add(time.Duration(answer.Expires) * time.Second), nil
	}
}

// explainToken treats 400 as wrong credentials. That is not documented, but nothing else in the request can be wrong.
func explainToken(r *vendorapi.Refusal) error {
	if r.Status == http.StatusBadRequest {
		return vendorapi.ErrDenied
	}
	return nil
}
