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

// ErrNoClient reports that esignhooks has no client for the vendor's API. It is an [ErrOff] that no credentials can change,
// and an [errors.ErrUnsupported].
var ErrNoClient error = noClient{}

type noClient struct{}

func (noClient) Error() string        { return "vendorapi: there is no API client for this vendor" }
func (noClient) Is(target error) bool { return target == ErrOff || target == errors.ErrUnsupported }

var (
	errNoObject  = errors.New("api is not a JSON object")
	errLineBreak = fmt.Errorf(`%w: a line break in a text, as in a key, is written \n`, errNoObject)
)

// Options are what every client needs beside its credentials.
type Options struct {
	HTTP  *http.Client
	Notes ledger.Notes
	Now   func() time.Time
}

// ReadCredentials reads the member "api" of a secret into v, a pointer to a struct whose fields are texts. What stands
// around a text, such as the line break that was copied with it, is left away. Its errors name members, and quote nothing.
func ReadCredentials(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Errorf("api.%s is not a text", wrong.Field)
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		return fmt.Errorf("api has the unknown member %s; there are %s", strings.TrimPrefix(err.Error(), "json: unknown field "), members(v))
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

// members lists what ReadCredentials knows.
func members(v any) string {
	var names []string
	for field := range reflect.TypeOf(v).Elem().Fields() {
		names = append(names, field.Tag.Get("json"))
	}
	return strings.Join(names, ", ")
}

// Missing lists the members that are empty and must not be, as one error; nil if there are none. It takes names and values
// in turn.
func Missing(members ...string) error {
	var problems []error
	for i := 0; i < len(members); i += 2 {
		if members[i+1] == "" {
			problems = append(problems, fmt.Errorf("api.%s is missing", members[i]))
		}
	}
	return errors.Join(problems...)
}

// BaseURL makes the address of a host, which is a name as in "account.docusign.com". What runs on this machine, for tests,
// is an address with a scheme: http://127.0.0.1:4010.
func BaseURL(member, host string) (string, error) {
	address := "https://" + host
	if name, ok := strings.CutPrefix(host, "http://"); ok {
		host, address = name, host
	}
	u, err := url.Parse(address)
	local := err == nil && (u.Hostname() == "127.0.0.1" || u.Hostname() == "localhost")
	if err != nil || u.Host != host || u.Hostname() == "" || u.Scheme == "http" && !local {
		return "", fmt.Errorf("api.%s is not the name of a host: there is no https:// and no path in it", member)
	}
	return address, nil
}
