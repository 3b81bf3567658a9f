package vendorapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// ErrUnreadable means that the vendor's form data is not in the format that we know. Another answer may be.
var ErrUnreadable = errors.New("vendorapi: the form data cannot be read")

// Limits of the form data of an agreement. Beyond them it is refused with ErrInvalid, since a part would mislead.
const (
	MaxForm   = 4 << 20 // bytes of the vendor's answer
	MaxFields = 50_000
)

// Field is one value of an agreement's form. The name and the value are often personal: they are written to the form
// data's file, and nowhere else.
type Field struct {
	Name string `json:"name"` // as the sender has named the field; several fields may have one name
	// ID distinguishes fields with the same name, where the vendor has an ID for them.
	ID    string `json:"id,omitempty"`
	Value any    `json:"value"` // a string or [json.RawMessage], as the vendor has it
	// Person is a key of the participant, as in [esign.Participant]; empty for what the sender has filled in.
	Person string `json:"person,omitempty"`
}

// Fields is a JSON array of at most MaxFields elements. Elements with a member of the wrong type lack that member.
type Fields[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (f *Fields[T]) UnmarshalJSON(b []byte) error {
	*f = nil
	if len(b) == 0 || b[0] != '[' {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(b)) // b is valid JSON
	d.Token()
	for d.More() {
		if len(*f) == MaxFields {
			return errFields
		}
		var element T
		var wrong *json.UnmarshalTypeError
		if err := d.Decode(&element); err != nil && !errors.As(err, &wrong) {
			return err
		}
		*f = append(*f, element)
	}
	return nil
}

var errFields = fmt.Errorf("%w: the form has more than %d fields", ErrInvalid, MaxFields)

// CheckFields returns ErrInvalid if a form has too many fields.
func CheckFields(n int) error {
	if n > MaxFields {
		return errFields
	}
	return nil
}

// ReadForm reads and closes an answer with form data.
func ReadForm(content Content) ([]byte, error) {
	defer content.Close()
	body, err := io.ReadAll(io.LimitReader(content, MaxForm+1))
	switch {
	case err != nil:
		return nil, withoutSecrets(err)
	case len(body) > MaxForm:
		return nil, fmt.Errorf("%w: the form data has more than %d bytes", ErrInvalid, MaxForm)
	case content.Size >= 0 && int64(len(body)) != content.Size:
		return nil, withoutSecrets(io.ErrUnexpectedEOF)
	}
	return body, nil
}

// DecodeForm decodes form data in JSON. Its errors quote nothing of it.
func DecodeForm(body []byte, out any) error {
	if err := json.Unmarshal(body, out); errors.Is(err, ErrInvalid) {
		return errFields
	} else if err != nil {
		return ErrUnreadable
	}
	return nil
}
