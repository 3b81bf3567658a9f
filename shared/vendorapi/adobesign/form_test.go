package adobesign

import (
	"errors"
	"strings"
	"testing"

	"esignhooks/shared/vendorapi"
)

// FuzzForm checks that any CSV is read or refused, and that nobody's address is a key.
func FuzzForm(f *testing.F) {
	const header = "completed,email,role,first,last"
	f.Add([]byte("\ufeff" + header + ",a,a\r\n1,jane@example.com,SIGNER,Jane,Doe,\"1, \"\"x\"\"\nline\",2\r\n"))
	f.Add([]byte(header + "\n\n,@,,,,\n"))
	f.Add([]byte(header + ",a\n1,2,3"))
	f.Fuzz(func(t *testing.T, body []byte) {
		fields, err := readForm(body)
		known := errors.Is(err, vendorapi.ErrUnreadable) || errors.Is(err, vendorapi.ErrInvalid)
		if err != nil && (len(fields) > 0 || !known) {
			t.Errorf("%d fields, %v", len(fields), err)
		}
		for _, field := range fields {
			if strings.ContainsAny(field.Person, "@ ") || field.ID == "" {
				t.Fatalf("%+v", field)
			}
		}
	})
}
