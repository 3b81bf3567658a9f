package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/document"
)

const manifestName = "manifest.json"

// manifestVersion is the format version of the manifests that this release writes.
const manifestVersion = 1

// manifest lists the stored documents of an agreement.
type manifest struct {
	V            int              `json:"v"` // the format version; absent means 1
	Provider     string           `json:"provider"`
	AgreementID  string           `json:"agreementId"`
	VendorStatus string           `json:"vendorStatus,omitempty"`
	CompletedAt  time.Time        `json:"completedAt,omitzero"` // zero if unknown
	ArchivedAt   time.Time        `json:"archivedAt"`
	Documents    []esign.Document `json:"documents"`
	// FormData is the outcome of asking for form data; empty if it was not asked for.
	FormData string `json:"formData,omitempty"`
}

// metadata returns the metadata of each document.
func (m manifest) metadata() map[string]string {
	metadata := map[string]string{"provider": m.Provider}
	if m.VendorStatus != "" {
		metadata["vendor-status"] = m.VendorStatus
	}
	if !m.CompletedAt.IsZero() {
		metadata["completed-at"] = m.CompletedAt.UTC().Format(time.RFC3339)
	}
	return metadata
}

// manifest reads the manifest of an agreement. It returns document.ErrNotFound if there is none.
func (a *Archiver) manifest(ctx context.Context, j job, name string) (m manifest, err error) {
	text, err := a.Documents.Get(ctx, document.Key(j.provider, j.agreement, name))
	if err != nil {
		return m, fmt.Errorf("archive: manifest: %w", err)
	}
	unreadable := json.Unmarshal(text, &m) != nil
	if err := format.Check(m.V, manifestVersion); err != nil {
		return m, fmt.Errorf("archive: manifest: %w", err)
	}
	if unreadable || len(m.Documents) == 0 {
		return m, fmt.Errorf("%w: the manifest cannot be read", errPermanent)
	}
	if m.Provider != j.provider || m.AgreementID != j.agreement { // on a file system that ignores case
		return m, fmt.Errorf("%w: the manifest belongs to another agreement", errPermanent)
	}
	return m, nil
}

// putManifest stores a manifest, and returns the stored one: another archiver may have been faster.
func (a *Archiver) putManifest(ctx context.Context, j job, name string, m manifest) (manifest, error) {
	m.V = manifestVersion
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return m, err
	}
	sum := sha256.Sum256(text)
	_, err = a.Documents.Put(ctx, document.Key(j.provider, j.agreement, name), document.File{
		Body: bytes.NewReader(text), Size: int64(len(text)), ContentType: "application/json",
		SHA256: hex.EncodeToString(sum[:]), Metadata: m.metadata(),
	})
	if err != nil {
		return m, fmt.Errorf("archive: manifest: %w", err)
	}
	return a.manifest(ctx, j, name)
}
