package adobesign

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// errNoForm means that an agreement has no fields.
var errNoForm = errors.New("no form data")

// FormData implements [vendorapi.Client]. Only the user who has sent an agreement may read its form data.
//
// SPEC: as for the package: GET /agreements/{id}/formData, "can only be called by the creator of the agreement";
// text/csv; 404 NO_FORM_DATA.
func (c *client) FormData(ctx context.Context, id string) ([]vendorapi.Field, error) {
	path, err := path(id)
	if err != nil {
		return nil, err
	}
	var body []byte
	err = c.asOwner(ctx, func(user string) error {
		return c.at(ctx, func(base string) error {
			content, err := c.http.Open(ctx, base+path+"/formData", asUser(http.Header{"Accept": {"text/csv"}}, user))
			if err == nil {
				body, err = vendorapi.ReadForm(content)
			}
			return err
		})
	})
	if errors.Is(err, errNoForm) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	fields, err := readForm(body)
	if err != nil {
		return nil, fmt.Errorf("adobesign: form data: %w", err)
	}
	return fields, nil
}

// personal are the first columns, which describe the participant of a row. They are not fields of the form.
//
// SPEC: https://helpx.adobe.com/sign/using/sign-export-agreement-field-data.html, read 2026-11-30: one row for each
// participant. That the header begins so is known from other clients' samples only.
var personal = []string{"completed", "email", "role", "first", "last"}

// readForm reads the CSV. Several columns may have one name: the ID of a field is the number of its column, from 1.
func readForm(body []byte) ([]vendorapi.Field, error) {
	r := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(body, []byte("\ufeff"))))
	r.FieldsPerRecord = -1 // an error would quote nothing, but a row may be shorter
	header, err := r.Read()
	if err == io.EOF {
		return nil, nil
	}
	same := func(a, b string) bool { return strings.EqualFold(strings.TrimSpace(a), b) }
	if err != nil || len(header) < len(personal) ||
		!slices.EqualFunc(header[:len(personal)], personal, same) {
		return nil, vendorapi.ErrUnreadable
	}
	if err := vendorapi.CheckFields(len(header)); err != nil {
		return nil, err
	}
	var fields []vendorapi.Field
	for {
		row, err := r.Read()
		switch {
		case err == io.EOF:
			return fields, nil
		case err != nil || len(row) > len(header):
			return nil, vendorapi.ErrUnreadable
		}
		for i := len(personal); i < len(row); i++ {
			fields = append(fields, vendorapi.Field{
				Name: header[i], ID: strconv.Itoa(i + 1), Value: row[i],
				Person: webhook.ParticipantKey(strings.TrimSpace(row[1])), // an address: always a hash
			})
		}
		if err := vendorapi.CheckFields(len(fields)); err != nil {
			return nil, err
		}
	}
}
