package vendorapi_test

import (
	"fmt"
	"strings"
	"testing"

	"esignhooks/shared/vendorapi"
)

func TestReadCredentials(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"all members": {`{"apiKey": "TOPSECRET", "host": "h"}`, ""},
		"fewer":       {` {"apiKey": "TOPSECRET"} `, ""},
		"an unknown member": {`{"apikeys": "TOPSECRET"}`,
			`api has the unknown member "apikeys"; the members are apiKey, host`},
		"a member that is a list": {`{"apiKey": ["TOPSECRET"]}`, "api.apiKey is not a string"},
		"a member that is a number": {
			`{"apiKey": 4711, "host": "TOPSECRET"}`, "api.apiKey is not a string",
		},
		"a text":       {`"TOPSECRET"`, "api is not a JSON object"},
		"a list":       {`["TOPSECRET"]`, "api is not a JSON object"},
		"nothing":      {"", "api is not a JSON object"},
		"invalid JSON": {"TOPSECRET", "api is not a JSON object"},
		"a PEM key in a string": {
			"{\"apiKey\": \"-----BEGIN PRIVATE KEY-----\nTOPSECRET\"}",
			`api is not a JSON object: a line break in a string, as in a key, must be written as \n`,
		},
		"surrounding white space": {`{"apiKey": " TOPSECRET\r\n"}`, ""},
		"truncated JSON":          {`{"apiKey": "TOPSECRET`, "api is not a JSON object"},
		"text after it":           {`{"apiKey": "a"} TOPSECRET`, "api is not a JSON object"},
		"one more brace":          {`{"apiKey": "a"}}`, "api is not a JSON object"},
		"two objects":             {`{"apiKey": "a"}{"apiKey": "TOPSECRET"}`, "api is not a JSON object"},
		"a PEM key without JSON":  {"-----BEGIN PRIVATE KEY-----\nTOPSECRET", "api is not a JSON object"},
		"an invalid escape":       {`{"apiKey": "\TOPSECRET"}`, "api is not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			var v struct {
				APIKey string `json:"apiKey"`
				Host   string `json:"host"`
			}
			err := vendorapi.ReadCredentials([]byte(tt.text), &v)
			if got := strings.TrimPrefix(fmt.Sprint(err), "<nil>"); got != tt.want {
				t.Errorf("%s, want %q", got, tt.want)
			}
			if err == nil && v.APIKey != "TOPSECRET" {
				t.Errorf("read %+v", v)
			}
		})
	}
}

func TestMissing(t *testing.T) {
	if err := vendorapi.Missing("appId", "a", "appSecret", "b"); err != nil {
		t.Error(err)
	}
	err := vendorapi.Missing("appId", "", "appSecret", "TOPSECRET", "host", "")
	if got, want := fmt.Sprint(err), "api.appId is missing\napi.host is missing"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestBaseURL(t *testing.T) {
	for host, want := range map[string]string{
		"api.acme.example":         "https://api.acme.example",
		"api.eu1.acme.example:443": "https://api.eu1.acme.example:443",
		"http://127.0.0.1:4010":    "http://127.0.0.1:4010",
		"http://localhost:4010":    "http://localhost:4010",

		"":                              "",
		"http://":                       "",
		"http://vendor.example":         "",
		"http://127.0.0.1.example":      "",
		"http://127.0.0.1:4010/v3":      "",
		"http://me:TOPSECRET@localhost": "",
		"http://localhost?TOPSECRET":    "",
		"https://api.acme.example":      "",
		"api.acme.example/":             "",
		"api.acme.example/v3":           "",
		"api.acme.example?TOPSECRET":    "",
		"api.acme.example#TOPSECRET":    "",
		"me:TOPSECRET@vendor.example":   "",
		"@vendor.example":               "",
		"api.acme example":              "",
		"api.acme.example\n":            "",
		":443":                          "",
		"%54OPSECRET":                   "",
	} {
		got, err := vendorapi.BaseURL("host", host)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", host, got, err, want)
		}
		if err != nil && err.Error() != "api.host is not a host name: write it without https:// and without a path" {
			t.Errorf("%q: %v", host, err)
		}
	}
}
