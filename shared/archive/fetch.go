package archive

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"

	"esignhooks/shared/store/document"
	"esignhooks/shared/vendorapi"
)

// MaxDocument is the size, in bytes, of the largest document that is archived.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/API_EphemeralStorage.html, read 2026-11-23: /tmp has 512 MB unless
// configured otherwise.
const MaxDocument = 400 << 20

// fetch downloads and stores a document unless it is already stored, and returns the stored copy. The first stored copy
// is never overwritten, since some vendors generate another audit trail for each download.
func (a *Archiver) fetch(
	ctx context.Context, d vendorapi.Document, key string, metadata map[string]string,
) (document.Stored, error) {
	stored, err := a.Documents.Stat(ctx, key)
	if !errors.Is(err, document.ErrNotFound) {
		return stored, err
	}
	content, err := d.Open(ctx)
	if err != nil {
		return document.Stored{}, err
	}
	defer content.Close()
	file, err := temporary()
	if err != nil {
		return document.Stored{}, err
	}
	defer file.Close()
	f, err := download(file, content, d.PDF)
	if err != nil {
		return document.Stored{}, err
	}
	f.Metadata = metadata
	return a.Documents.Put(ctx, key, f)
}

// temporary returns a file without a name, which disappears when it is closed or the process ends. A named file would
// survive a crash, since Lambda's next process sees the files of the last one.
func temporary() (*os.File, error) {
	file, err := os.CreateTemp("", "esignhooks-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// download copies content to a file and checks it. errIncomplete may pass on a retry, errPermanent does not.
func download(file *os.File, content vendorapi.Content, pdf bool) (document.File, error) {
	if content.Size > MaxDocument {
		return document.File{}, fmt.Errorf("%w: %d bytes", errPermanent, content.Size)
	}
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, hash), io.LimitReader(content, MaxDocument+1))
	switch {
	case err != nil:
		return document.File{}, err
	case n > MaxDocument:
		return document.File{}, fmt.Errorf("%w: more than %d bytes", errPermanent, MaxDocument)
	case n == 0 || content.Size >= 0 && n != content.Size:
		return document.File{}, fmt.Errorf("%w: %d bytes of %d", errIncomplete, n, content.Size)
	}
	f := document.File{Body: file, Size: n, SHA256: hex.EncodeToString(hash.Sum(nil)), ContentType: "application/pdf"}
	if pdf {
		return f, checkPDF(file, n)
	}
	if f.ContentType, _, err = mime.ParseMediaType(content.Type); err != nil {
		f.ContentType = "application/octet-stream"
	}
	return f, nil
}

// checkPDF returns an error unless a file begins and ends like a PDF.
//
// SPEC: https://www.verypdf.com/document/pdf-format-reference/pg_1102.htm, read 2026-11-23, which is Adobe's PDF
// Reference, appendix H.3, notes 13 and 18: the header is in the first 1,024 bytes, %%EOF in the last.
func checkPDF(file io.ReaderAt, size int64) error {
	part := make([]byte, min(size, 1024))
	for marker, offset := range map[string]int64{"%PDF-": 0, "%%EOF": size - int64(len(part))} {
		if _, err := file.ReadAt(part, offset); err != nil {
			return err
		}
		if !bytes.Contains(part, []byte(marker)) {
			return fmt.Errorf("%w: a PDF without %s", errIncomplete, marker)
		}
	}
	return nil
}
