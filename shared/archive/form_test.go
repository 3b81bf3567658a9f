package archive_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

func (v *vendor) FormData(context.Context, string) (fields []vendorapi.Field, err error) {
	err = v.step("form", func() error {
		v.formCalls++
		if v.form == nil {
			return errors.New("form data was not to be asked for")
		}
		fields, err = v.form()
		return err
	})
	return fields, err
}

// withForm returns an archiver that archives form data.
func (w *world) withForm() *archive.Archiver {
	a := w.archiver()
	a.FormData = true
	return a
}

// read reads a file of the agreement.
func (w *world) read(provider, name string) string {
	text, err := os.ReadFile(filepath.Join(w.dir, provider, agreementID, name))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func kinds(documents []esign.Document) (all []string) {
	for _, d := range documents {
		all = append(all, string(d.Kind))
	}
	return all
}

var oneField = func() ([]vendorapi.Field, error) {
	return []vendorapi.Field{{Name: "canary name", Value: "canary value", Person: "1"}}, nil
}

func TestFormDataIsOffUnlessSet(t *testing.T) {
	w := newWorld(t)
	w.archive()
	w.check()
	if strings.Contains(w.read("acmesign", "manifest.json"), "formData") || w.vendor.formCalls > 0 {
		t.Error(w.read("acmesign", "manifest.json"))
	}
}

// TestEveryVendorsFormDataIsArchived checks the file, and that nothing of it is anywhere else.
func TestEveryVendorsFormDataIsArchived(t *testing.T) {
	for provider, tt := range map[string]struct{ form, key, want string }{
		"docusign": {`"recipientFormData":[{"recipientId":"1","email":"canary@example.com",
			"formData":[{"name":"canary","value":"canary"}]}]`, "1", "stored"},
		"adobesign": {"completed,email,role,first,last,canary\n1,canary@example.com,SIGNER,canary,canary,canary\n",
			webhook.ParticipantKey("canary@example.com"), "stored"},
		"dropboxsign": {`[{"api_id":"a","signature_id":"1","name":"canary","value":"canary"}]`, "1", "stored"},
		"esignglobal": {"", "", "unsupported"},
	} {
		t.Run(provider, func(t *testing.T) {
			w, stub := withStub(t)
			stub.Set(provider, vendorstub.Agreement{ID: agreementID, Status: esign.Completed, Form: tt.form})
			e := completed(provider, agreementID)
			e.Detail.Agreement = &esign.Agreement{Participants: map[string]esign.Progress{"person": {Aliases: []string{tt.key}}}}
			w.add(archive.Job(e))
			w.run(w.withForm())
			documents, manifest := w.detail(w.found()["archived"]).Documents, w.read(provider, "manifest.json")
			if !strings.Contains(manifest, fmt.Sprintf(`"formData": %q`, tt.want)) || len(w.delays)+len(w.parked) > 0 {
				t.Errorf("%s: %s", manifest, &w.log)
			}
			if tt.want == "stored" {
				var file struct {
					V      int
					Fields []vendorapi.Field
				}
				text, last := w.read(provider, "form-data.json"), documents[len(documents)-1]
				if err := json.Unmarshal([]byte(text), &file); err != nil || file.V != 1 || len(file.Fields) != 1 ||
					file.Fields[0].Name != "canary" || file.Fields[0].Value != "canary" || file.Fields[0].Person != "person" ||
					strings.Contains(text, "example.com") {
					t.Errorf("%v: %s", err, text)
				}
				if last.Kind != esign.KindFormData || last.Size != int64(len(text)) || !strings.Contains(manifest, last.SHA256) {
					t.Errorf("%+v", last)
				}
			}
			for _, d := range w.sent {
				manifest += string(d.Payload)
			}
			if all := manifest + w.log.String() + w.out.String(); strings.Contains(all, "canary") {
				t.Errorf("form data in %s", all)
			}
		})
	}
}

func TestARefusalOfFormDataDoesNotStopTheArchive(t *testing.T) {
	broken := errors.New("answered 500")
	for name, tt := range map[string]struct {
		errs   []error // of the attempts; the last one is repeated
		want   string
		delays int
	}{
		"a right is missing":      {[]error{vendorapi.ErrDenied}, "denied", 0},
		"the vendor refuses":      {[]error{vendorapi.ErrInvalid}, "refused", 0},
		"the vendor offers none":  {[]error{errors.ErrUnsupported}, "unsupported", 0},
		"it is gone":              {[]error{vendorapi.ErrUnknown}, "unknown", 6},
		"it cannot be read":       {[]error{vendorapi.ErrUnreadable}, "unreadable", 6},
		"it is late":              {[]error{vendorapi.ErrUnknown, nil}, "stored", 1},
		"a failure is retried":    {[]error{broken, broken, nil}, "stored", 2},
		"a rate limit is kept":    {[]error{&vendorapi.LaterError{After: time.Hour}, nil}, "stored", 1},
		"it was not ready before": {[]error{vendorapi.ErrNotReady, vendorapi.ErrDenied}, "denied", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.form = func() ([]vendorapi.Field, error) {
				if err := tt.errs[min(w.vendor.formCalls, len(tt.errs))-1]; err != nil {
					return nil, fmt.Errorf("acmesign: %w", err)
				}
				return oneField()
			}
			a := w.withForm()
			for _, id := range []string{agreementID, "another"} {
				w.vendor.status.ID, w.vendor.formCalls = id, 0
				w.add(archive.Job(completed("acmesign", id)))
				w.run(a)
			}
			if got := w.read("acmesign", "manifest.json"); !strings.Contains(got, fmt.Sprintf(`"formData": %q`, tt.want)) ||
				len(w.delays) != 2*tt.delays || len(w.parked)+len(w.dead) > 0 || w.vendor.downloads != 2 {
				t.Errorf("%s, delays %v, downloads %d: %s", got, w.delays, w.vendor.downloads, &w.log)
			}
			once := 1
			if tt.want == "stored" {
				once = 0
			}
			if n := strings.Count(w.log.String(), "no form data"); n != once {
				t.Errorf("logged %d times: %s", n, &w.log)
			}
		})
	}
}

// TestFormDataIsAddedOnlyByOrder switches form data on after an agreement was archived.
func TestFormDataIsAddedOnlyByOrder(t *testing.T) {
	w := newWorld(t)
	w.archive()
	before := w.read("acmesign", "manifest.json")
	denied := true
	w.vendor.form = func() ([]vendorapi.Field, error) {
		if denied {
			return nil, vendorapi.ErrDenied
		}
		return oneField()
	}
	archived := func() (all [][]string) {
		for _, d := range w.sent {
			if d.Via == "archived" {
				all = append(all, kinds(w.detail(d).Documents))
			}
		}
		return all
	}
	job, order := archive.Job(completed("acmesign", agreementID)), archive.Order(completed("acmesign", agreementID))
	first, both := []string{"document", "audit-trail"}, []string{"document", "audit-trail", "form-data"}
	for i, step := range []struct {
		body   string
		denied bool
		want   [][]string // what is reported in all
		calls  int
	}{
		{job, false, [][]string{first, first}, 0},
		{order, true, [][]string{first, first, first}, 1},
		{order, false, [][]string{first, first, first, first, both}, 2},
		{order, false, [][]string{first, first, first, first, both, first, both}, 2},
		{job, false, [][]string{first, first, first, first, both, first, both, first}, 2},
	} {
		w.now, denied = w.now.Add(time.Hour), step.denied
		w.add(step.body)
		w.run(w.withForm())
		if diff := cmp.Diff(step.want, archived()); diff != "" || w.vendor.formCalls != step.calls {
			t.Errorf("step %d: %d calls, %s", i, w.vendor.formCalls, diff)
		}
	}
	ids := map[string]string{}
	for _, d := range w.sent {
		if said, known := ids[d.EventID]; known && said != string(d.Payload) {
			t.Errorf("two versions of one event: %s and %s", said, d.Payload)
		}
		ids[d.EventID] = string(d.Payload)
	}
	if after := w.read("acmesign", "manifest.json"); after != before || len(ids) != 3 {
		t.Errorf("%d events, manifest %s", len(ids), after)
	}
	if later := w.read("acmesign", "manifest-form-data.json"); !strings.Contains(later, `"formData": "stored"`) {
		t.Error(later)
	}
}

func TestWhoFilledInAField(t *testing.T) {
	state := map[string]esign.Progress{
		"a": {Aliases: []string{"1", "shared", webhook.ParticipantKey("joe@example.com")}},
		"b": {Aliases: []string{"shared"}},
	}
	said := []esign.Participant{{ID: "c", Aliases: []string{"3"}}, {ID: "z", Aliases: []string{"1"}}}
	for key, want := range map[string]string{
		"a": "a", "1": "a", "shared": "shared", "3": "c", "nobody": "nobody", "": "",
		webhook.ParticipantKey("joe@example.com"): "a",
	} {
		w := newWorld(t)
		w.vendor.status.Participants = said
		w.vendor.form = func() ([]vendorapi.Field, error) { return []vendorapi.Field{{Value: "", Person: key}}, nil }
		e := completed("acmesign", agreementID)
		e.Detail.Agreement = &esign.Agreement{Participants: state}
		w.add(archive.Job(e))
		w.run(w.withForm())
		var file struct{ Fields []vendorapi.Field }
		if err := json.Unmarshal([]byte(w.read("acmesign", "form-data.json")), &file); err != nil || len(file.Fields) != 1 ||
			!slices.Equal([]string{want}, []string{file.Fields[0].Person}) {
			t.Errorf("%s: %+v, %v", key, file, err)
		}
	}
}
