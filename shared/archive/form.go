package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/store/document"
	"esignhooks/shared/vendorapi"
)

const (
	formName          = "form-data.json"
	laterManifestName = "manifest-form-data.json" // of an agreement whose form data was stored later than its documents
)

// formVersion is the format version of the form data that this release writes.
const formVersion = 1

// form is the file that holds what the participants have filled in.
type form struct {
	V           int               `json:"v"`
	Provider    string            `json:"provider"`
	AgreementID string            `json:"agreementId"`
	Fields      []vendorapi.Field `json:"fields"`
}

// The outcomes of asking for form data, as manifests state them.
const (
	formStored      = "stored"
	formDenied      = "denied"      // the credentials lack a right, or the account's settings forbid it
	formRefused     = "refused"     // the vendor refuses the request, or the form is too large
	formUnsupported = "unsupported" // the vendor's API offers none
	formUnknown     = "unknown"     // the vendor no longer has it
	formUnreadable  = "unreadable"
)

// refusal returns the outcome for an error that does not stop the archive, and "" for any other.
func refusal(err error, final bool) string {
	switch {
	case errors.Is(err, vendorapi.ErrDenied):
		return formDenied
	case errors.Is(err, errors.ErrUnsupported):
		return formUnsupported
	case errors.Is(err, vendorapi.ErrInvalid):
		return formRefused
	case errors.Is(err, vendorapi.ErrUnknown) && final:
		return formUnknown
	case errors.Is(err, vendorapi.ErrUnreadable) && final:
		return formUnreadable
	}
	return ""
}

// addForm stores the form data of an agreement, unless it is stored, and adds it to the manifest. If the vendor refuses
// it, the manifest says so.
func (a *Archiver) addForm(
	ctx context.Context, client vendorapi.Client, j job, m *manifest, said []esign.Participant,
) error {
	key := document.Key(j.provider, j.agreement, formName)
	stored, err := a.Documents.Stat(ctx, key)
	if errors.Is(err, document.ErrNotFound) {
		var fields []vendorapi.Field
		fields, err = client.FormData(ctx, j.agreement)
		if m.FormData = refusal(err, a.final(j)); m.FormData != "" {
			a.logRefusal(ctx, j, m.FormData, err)
			return nil
		}
		if err == nil {
			stored, err = a.putForm(ctx, key, j.form(fields, said), m.metadata())
		}
	}
	if err != nil {
		return fmt.Errorf("archive: form data: %w", err)
	}
	m.FormData = formStored
	m.Documents = append(m.Documents, esign.Document{
		Kind: esign.KindFormData, Name: formName, Location: stored.Location, ContentType: stored.ContentType,
		SHA256: stored.SHA256, Size: stored.Size,
	})
	return nil
}

func (a *Archiver) putForm(
	ctx context.Context, key string, f form, metadata map[string]string,
) (document.Stored, error) {
	text, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return document.Stored{}, vendorapi.ErrUnreadable // err may quote a value
	}
	sum := sha256.Sum256(text)
	return a.Documents.Put(ctx, key, document.File{
		Body: bytes.NewReader(text), Size: int64(len(text)), ContentType: "application/json",
		SHA256: hex.EncodeToString(sum[:]), Metadata: metadata,
	})
}

// logRefusal logs each kind of refusal of a vendor once per process.
func (a *Archiver) logRefusal(ctx context.Context, j job, outcome string, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if which := j.provider + " " + outcome; !slices.Contains(a.refused, which) {
		a.refused = append(a.refused, which)
		a.log(j).WarnContext(ctx, "no form data", "outcome", outcome, "error", err, "hint",
			"agreements are archived without it, and their manifests say so; this is logged once per process and vendor")
	}
}

// form returns the file for these fields. Their people get the IDs that they have in the agreement's events.
func (j job) form(fields []vendorapi.Field, said []esign.Participant) form {
	f := form{V: formVersion, Provider: j.provider, AgreementID: j.agreement, Fields: []vendorapi.Field{}}
	ids := map[string]string{}
	for _, field := range fields {
		id, known := ids[field.Person]
		if !known {
			id = j.person(field.Person, said)
			ids[field.Person] = id
		}
		field.Person = id
		f.Fields = append(f.Fields, field)
	}
	return f
}

// person returns the ID of the participant who has this key in the agreement, else in the vendor's answer; the key
// itself if nobody or more than one has it.
func (j job) person(key string, said []esign.Participant) string {
	var folded []esign.Participant
	if j.state != nil {
		for id, p := range j.state.Participants {
			folded = append(folded, esign.Participant{ID: id, Aliases: p.Aliases})
		}
	}
	for _, people := range [][]esign.Participant{folded, said} {
		var found []string
		for _, p := range people {
			has := func(other string) bool { return key != "" && esign.Digest(other) == esign.Digest(key) }
			if has(p.ID) {
				return p.ID
			}
			if slices.ContainsFunc(p.Aliases, has) && !slices.Contains(found, p.ID) {
				found = append(found, p.ID)
			}
		}
		if len(found) == 1 {
			return found[0]
		}
	}
	return key
}

// later adds the form data to an agreement that was archived without it, because an operator has ordered it. A second
// manifest lists everything. It returns false if there is nothing to add.
func (a *Archiver) later(ctx context.Context, client vendorapi.Client, j job, m manifest) (bool, error) {
	if !a.FormData || !j.ordered || m.FormData == formStored {
		return false, nil
	}
	all, err := a.manifest(ctx, j, laterManifestName)
	if errors.Is(err, document.ErrNotFound) {
		all = m
		if err = a.addForm(ctx, client, j, &all, nil); err != nil || all.FormData != formStored {
			return false, err
		}
		all.ArchivedAt = a.Now().UTC()
		all, err = a.putManifest(ctx, j, laterManifestName, all)
	}
	if err != nil {
		return false, err
	}
	return true, a.send(ctx, finding.FormData(j.provider, j.agreement, all.Documents, all.ArchivedAt, a.Now()))
}
