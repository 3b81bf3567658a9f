package sample

import (
	"testing"

	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/provider"
)

func TestSaved(t *testing.T) {
	for name, tt := range map[string]struct{ file, provider, want, contentType string }{
		"a proxy event":             {`{"httpMethod":"POST","path":"/live/webhooks/docusign/t","headers":{"content-type":"a/b"}}`, "", "docusign", "a/b"},
		"a request of the read API": {`{"method":"POST","path":"/webhooks/docusign","headers":{"Content-Type":["a/b"]}}`, "", "docusign", "a/b"},
		"an HTTP request":           {"POST /webhooks/docusign/t HTTP/1.1\r\nContent-Type: a/b\r\nContent-Length: 99\r\n\r\n{}", "", "docusign", "a/b"},
		"an HTTP request of Unix":   {"POST /webhooks/docusign HTTP/1.1\nContent-Type: a/b\n\n{}\n\n", "", "docusign", "a/b"},
		"JSON":                      {`{"event":{}}`, "docusign", "docusign", "application/json"},
		"XML":                       {"<a/>", "docusign", "docusign", "text/xml"},
		"a multipart form":          {"--b1\r\n\r\n", "dropboxsign", "dropboxsign", "multipart/form-data; boundary=b1"},
		"a form":                    {"json=%7B%7D", "dropboxsign", "dropboxsign", "application/x-www-form-urlencoded"},
		"an unknown vendor":         {"<a/>", "nosign", "", ""},
		"no vendor's name":          {"<a/>", "", "", ""},
		"another's proxy event":     {`{"httpMethod":"POST","path":"/webhooks/nosign"}`, "", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p, e, err := Saved(provider.All(), []byte(tt.file), tt.provider)
			if tt.want == "" {
				if err == nil {
					t.Error("it is read")
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			r, err := apigw.Request(e)
			if err != nil || p.Info().Name != tt.want || r.Header.Get("Content-Type") != tt.contentType || r.Method != "POST" {
				t.Errorf("%s: %+v, %v", p.Info().Name, r, err)
			}
		})
	}
}
