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
// are ignored. A second field named json is an error, so that one cannot be verified and the other processed.
//
// SPEC: https://github.com/hellosign/hellosign-openapi openapi.yaml, read 2026-11-22: the callbacks' description says
// multipart/form-data with a field json, the 2026 edition's x-webhooks say application/json. Third parties report
// application/x-www-form-urlencoded.
func message(r *webhook.Request) ([]byte, error) {
	mediaType, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // if unreadable, the body decides
	start := bytes.TrimLeft(webhook.TrimBOM(r.Body), " \t\r\n")
	var fields [][]byte
	var err error
	switch urlencoded := mediaType == "application/x-www-form-urlencoded"; {
	case bytes.HasPrefix(start, []byte("{")): // a form never begins like this
		return r.Body, nil
	case mediaType == "multipart/form-data", !urlencoded && bytes.HasPrefix(start, []byte("--")):
		fields, err = multipartFields(start, params["boundary"])
	default:
		fields, err = urlencodedFields(r.Body)
	}
	if err != nil || len(fields) != 1 {
		return nil, fmt.Errorf("dropboxsign: the body is not a form with one field json: %w", webhook.ErrUnreadable)
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

// multipartFields reads the fields of a multipart form. Without a boundary in the Content-Type, it takes the first
// line's.
func multipartFields(body []byte, boundary string) (fields [][]byte, err error) {
	if boundary == "" {
		line, _, _ := bytes.Cut(body, []byte("\n"))
		boundary = strings.TrimPrefix(strings.TrimRight(string(line), " \t\r"), "--")
	}
	for reader := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := reader.NextRawPart() // NextPart would undo quoted-printable
		if err == io.EOF {                // the closing boundary; a truncated form returns a wrapped error
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
		field := bytes.NewBuffer(make([]byte, 0, len(body)+bytes.MinRead)) // with room to read all without growing
		if _, err := field.ReadFrom(part); err != nil {
			return nil, err
		}
		fields = append(fields, field.Bytes())
	}
}
