package dropboxsign

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/url"
	"strings"

	"esignhooks/shared/webhook"
)

// message returns the JSON text of a callback, exactly the bytes that Content-Sha256 covers. Other fields of the form
// are passed over; a second one named json is an error, lest one be verified and the other believed.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: the callbacks' description says
// multipart/form-data with a field json, the 2026 edition's x-webhooks say application/json. Third parties report
// application/x-www-form-urlencoded.
func message(r *webhook.Request) ([]byte, error) {
	mediaType, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // unreadable: the body tells
	start := bytes.TrimLeft(webhook.TrimBOM(r.Body), " \t\r\n")
	var fields [][]byte
	var err error
	switch urlencoded := mediaType == "application/x-www-form-urlencoded"; {
	case bytes.HasPrefix(start, []byte("{")): // no form begins like this
		return r.Body, nil
	case mediaType == "multipart/form-data", !urlencoded && bytes.HasPrefix(start, []byte("--")):
		fields, err = multipartFields(start, params["boundary"])
	default:
		fields, err = urlencodedFields(r.Body)
	}
	if err != nil || len(fields) != 1 {
		return nil, fmt.Errorf("dropboxsign: the body is no form with one field json: %w", webhook.ErrUnreadable)
	}
	return fields[0], nil
}

func urlencodedFields(body []byte) (fields [][]byte, err error) {
	form, err := url.ParseQuery(string(body))
	for _, value := range form["json"] {
		fields = append(fields, []byte(value))
	}
	return fields, err
}

// multipartFields takes the boundary from the first line if the Content-Type has none.
func multipartFields(body []byte, boundary string) (fields [][]byte, err error) {
	if boundary == "" {
		line, _, _ := bytes.Cut(body, []byte("\n"))
		boundary = strings.TrimPrefix(strings.TrimRight(string(line), " \t\r"), "--")
	}
	for reader := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := reader.NextRawPart() // NextPart would undo quoted-printable
		if err == io.EOF {                // itself, not wrapped: the closing boundary; a form cut off is an error
			return fields, nil
		} else if err != nil {
			return nil, err
		}
		if strings.HasPrefix(strings.ToLower(part.Header.Get("Content-Type")), "multipart/") {
			return nil, errors.New("a form within the form")
		}
		if part.FormName() != "json" {
			continue
		}
		if len(fields) > 0 {
			return nil, errors.New("two fields json")
		}
		field := bytes.NewBuffer(make([]byte, 0, len(body)+bytes.MinRead)) // it grows if there is less room for reading
		if _, err := field.ReadFrom(part); err != nil {
			return nil, err
		}
		fields = append(fields, field.Bytes())
	}
}
