package vendorapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"time"

	"esignhooks/shared/store/ledger"
)

// ErrOff means that there are no credentials, so everything that needs the vendor's API is off.
var ErrOff = errors.New("vendorapi: no credentials for the vendor's API")

// ErrNoClient reports that esignhooks has no client for the vendor's API. It is an [ErrOff] that no credentials can
// change, and an [errors.ErrUnsupported].
var ErrNoClient error = noClient{}

type noClient struct{}

func (noClient) Error() string        { return "vendorapi: there is no API client for this vendor" }
func (noClient) Is(target error) bool { return target == ErrOff || target == errors.ErrUnsupported }

var (
	errNoObject  = errors.New("api is not a JSON object")
	errLineBreak = fmt.Errorf(`%w: a line break in a string, as in a key, must be written as \n`, errNoObject)
)

// Options are what every client needs in addition to its credentials.
type Options struct {
	HTTP  *http.Client
	Notes ledger.Notes
	Now   func() time.Time
}

// ReadCredentials decodes the member "api" of a secret into v, a pointer to a struct of string fields. It trims
// surrounding white space, such as a copied line break. Its errors name members and quote no value.
func ReadCredentials(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("api.%s is not a string", wrong.Field)
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		unknown := strings.TrimPrefix(err.Error(), "json: unknown field ")
		return fmt.Errorf("api has the unknown member %s; the members are %s", unknown, members(v))
	case err != nil && strings.Contains(err.Error(), `'\n' in string`):
		return errLineBreak
	case err != nil:
		return errNoObject
	}
	if _, err := d.Token(); err != io.EOF {
		return errNoObject
	}
	for _, field := range reflect.ValueOf(v).Elem().Fields() {
		field.SetString(strings.TrimSpace(field.String()))
	}
	return nil
}

// members lists the names that ReadCredentials accepts.
func members(v any) string {
	var names []string
	for field := range reflect.TypeOf(v).Elem().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return strings.Join(names, ", ")
}

// Missing returns one error that names all empty members, or nil if none is empty. It takes alternating names and
// values.
func Missing(members ...string) error {
	var problems []error
	for i := 0; i < len(members); i += 2 {
		if members[i+1] == "" {
			problems = append(problems, fmt.Errorf("api.%s is missing", members[i]))
		}
	}
	return errors.Join(problems...)
}

// BaseURL returns the URL of a host that is given by its name, as in "api.vendor.example". For tests, a host on this
// machine is given with a scheme: http://127.0.0.1:4010.
func BaseURL(member, host string) (string, error) {
	address := "https://" + host
	if name, ok := strings.CutPrefix(host, "http://"); ok {
		host, address = name, host
	}
	u, err := url.Parse(address)
	local := err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.Host != host || u.Hostname() == "" || u.Scheme == "http" && !local {
		return "", fmt.Errorf("api.%s is not a host name: write it without https:// and without a path", member)
	}
	return address, nil
}
