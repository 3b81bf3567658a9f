package all

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

const (
	envelope = "08740f95-2187-4b01-9a69-452ae3140752" // which every vendor's ID may look like
	header   = "\ufeff\"completed\",\"email\",\"role\",\"first\",\"last\""
)

func TestFormData(t *testing.T) {
	jane := webhook.ParticipantKey("jane@example.com")
	for name, tt := range map[string]struct{ provider, form, want string }{
		"DocuSign: recipients share a name, the sender has filled in, one field is nobody's": {"docusign", `
			"formData":[{"name":"Salary","value":"1"},{"name":"Salary","value":"2"},{"name":"Loose","value":" x "}],
			"prefillFormData":{"formData":[{"name":"Offer","value":"A"}]},
			"recipientFormData":[
				{"recipientId":"1","name":"Jane Doe","email":"jane@example.com","SignedTime":"2026-11-02T09:30:00Z",
					"formData":[{"name":"Salary","value":"1","originalValue":"0"}]},
				{"recipientId":"2","formData":[{"name":"Salary","value":"2"}]}]`,
			`[{"name":"Offer","value":"A"},{"name":"Salary","value":"1","person":"1"},` +
				`{"name":"Salary","value":"2","person":"2"},{"name":"Loose","value":" x "}]`},
		"DocuSign: no form": {"docusign", `"formData":[]`, "null"},
		"Adobe: quotes, line breaks, one name twice, a row for each": {"adobesign",
			header + ",\"a\",\"a\"\r\n" + `2026-11-02,jane@example.com,SIGNER,Jane,Doe,"1, ""x""` + "\nline\",2\r\n" +
				"2026-11-02,joe@example.com,SIGNER,Joe,Doe,,3\r\n",
			`[{"name":"a","id":"6","value":"1, \"x\"\nline","person":"` + jane + `"},` +
				`{"name":"a","id":"7","value":"2","person":"` + jane + `"},` +
				`{"name":"a","id":"6","value":"","person":"` + webhook.ParticipantKey("joe@example.com") + `"},` +
				`{"name":"a","id":"7","value":"3","person":"` + webhook.ParticipantKey("joe@example.com") + `"}]`},
		"Adobe: no form":          {"adobesign", "", "null"},
		"Adobe: no fields":        {"adobesign", header + "\n1,jane@example.com,SIGNER,Jane,Doe\n", "null"},
		"Adobe: another header":   {"adobesign", "<html>\n", vendorapi.ErrUnreadable.Error()},
		"Adobe: a quote too many": {"adobesign", header + ",a\n1,2,3,4,5,\"x\"y\n", vendorapi.ErrUnreadable.Error()},
		"Adobe: too many fields": {"adobesign", header + strings.Repeat(",", vendorapi.MaxFields) + "\n",
			vendorapi.ErrInvalid.Error()},
		"Dropbox Sign: one name twice, a boolean, a text": {"dropboxsign",
			`[{"api_id":"a","signature_id":"s1","name":"Yes","type":"checkbox","value":true},` +
				`{"api_id":"b","signature_id":"s2","name":"Yes","type":"checkbox-merge","value":"true"}]`,
			`[{"name":"Yes","id":"a","value":true,"person":"s1"},{"name":"Yes","id":"b","value":"true","person":"s2"}]`},
		"Dropbox Sign: too many fields": {"dropboxsign", "[" + strings.Repeat("{},", vendorapi.MaxFields) + "{}]",
			vendorapi.ErrInvalid.Error()},
		"Dropbox Sign: too large": {"dropboxsign", `[{"value":"` + strings.Repeat("x", vendorapi.MaxForm) + `"}]`,
			vendorapi.ErrInvalid.Error()},
		"eSignGlobal offers none": {"esignglobal", "", errors.ErrUnsupported.Error()},
	} {
		t.Run(name, func(t *testing.T) {
			stub := vendorstub.New(t)
			stub.Set(tt.provider, vendorstub.Agreement{ID: envelope, Status: esign.Completed, Form: tt.form})
			fields, err := open(t, tt.provider, stub).FormData(t.Context(), envelope)
			if err != nil {
				if !strings.Contains(err.Error(), tt.want) || len(fields) > 0 {
					t.Errorf("%v, and %d fields", err, len(fields))
				}
				return
			}
			got, err := json.Marshal(fields)
			if diff := cmp.Diff(tt.want, string(got)); diff != "" || err != nil {
				t.Errorf("%v %s", err, diff)
			}
		})
	}
}

// TestFormDataIsRefused checks what a refusal means, and that it quotes nothing.
func TestFormDataIsRefused(t *testing.T) {
	const canary = `"message":"canary"`
	for name, tt := range map[string]struct {
		provider string
		status   int
		body     string
		want     error
	}{
		"DocuSign: a right is missing": {"docusign", 400, `{"errorCode":"USER_LACKS_PERMISSIONS",` + canary + `}`,
			vendorapi.ErrDenied},
		"DocuSign: another refusal": {"docusign", 400, `{"errorCode":"SOMETHING",` + canary + `}`,
			vendorapi.ErrInvalid},
		"DocuSign: asked too often": {"docusign", 400, `{"errorCode":"HOURLY_ENVELOPE_X_LIMIT_EXCEEDED"}`,
			vendorapi.ErrNotReady},
		"DocuSign: another envelope": {"docusign", 200, `{"envelopeId":"canary"}`, vendorapi.ErrUnreadable},
		"DocuSign: no JSON":          {"docusign", 200, `canary`, vendorapi.ErrUnreadable},
		"Adobe: not the sender's": {"adobesign", 403, `{"code":"PERMISSION_DENIED",` + canary + `}`,
			vendorapi.ErrDenied},
		"Adobe: a draft":                   {"adobesign", 403, `{"code":"AGREEMENT_IN_DRAFT_STATE"}`, vendorapi.ErrNotReady},
		"Adobe: gone":                      {"adobesign", 404, `{"code":"DOCUMENT_HAS_BEEN_DELETED"}`, vendorapi.ErrUnknown},
		"Dropbox Sign: a right is missing": {"dropboxsign", 403, `{"error":{"error_name":"forbidden"}}`, vendorapi.ErrDenied},
		"Dropbox Sign: gone":               {"dropboxsign", 410, `{"error":{"error_name":"deleted"}}`, vendorapi.ErrUnknown},
		"Dropbox Sign: another request": {"dropboxsign", 200, `{"signature_request":{"title":"canary"}}`,
			vendorapi.ErrUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			stub := vendorstub.New(t)
			path := map[string]string{"docusign": "/form_data", "adobesign": "/formData", "dropboxsign": "/signature_request/"}
			stub.Fail(vendorstub.Failure{Path: path[tt.provider], Status: tt.status, Body: tt.body, Times: 9})
			_, err := open(t, tt.provider, stub).FormData(t.Context(), envelope)
			if !errors.Is(err, tt.want) || strings.Contains(fmt.Sprintf("%+v", err), "canary") {
				t.Errorf("%v", err)
			}
		})
	}
}

// TestFormDataIsAskedForOnce checks that an agreement without a form costs one call.
func TestFormDataIsAskedForOnce(t *testing.T) {
	stub := vendorstub.New(t)
	stub.Set("adobesign", vendorstub.Agreement{ID: envelope, Status: esign.Completed})
	stub.AdobeSignOwner("another", "another-user")
	if _, err := open(t, "adobesign", stub).FormData(t.Context(), envelope); err != nil || stub.Calls("/formData") != 1 {
		t.Errorf("%d calls, %v", stub.Calls("/formData"), err)
	}
}
