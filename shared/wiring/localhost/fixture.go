package localhost

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode"

	"esignhooks/shared/sample"
	"esignhooks/shared/sample/fixture"
	"esignhooks/shared/webhook"
)

// Fixture makes an example of a recorded request in a new file, and returns its name. The provider may be empty for a
// proxy event. If out is empty, the file is in the folder events.
func Fixture(config Config, providers []webhook.Provider, recorded []byte, provider, out string) (string, error) {
	p, e, err := sample.Saved(providers, recorded, provider)
	if err != nil {
		return "", err
	}
	salt, err := salt(filepath.Join(config.Data, "fixture.salt"))
	if err != nil {
		return "", err
	}
	made, err := fixture.Make(p, e, salt)
	if err != nil {
		return "", err
	}
	if out == "" {
		out = filepath.Join("events", p.Info().Name, "recorded-"+kebab(made.Name)+".json")
	}
	file, err := os.OpenFile(out, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return "", fmt.Errorf("%s exists: name another file by OUT=", out)
	} else if err != nil {
		return "", err
	}
	_, err = file.Write(made.Event)
	return out, errors.Join(err, file.Close())
}

// salt returns the random bytes in a file. It creates the file, so that all fixtures of a store call a person, an
// account or an agreement the same.
func salt(file string) ([]byte, error) {
	b, err := os.ReadFile(file)
	if err == nil && len(b) > 0 || err != nil && !errors.Is(err, fs.ErrNotExist) {
		return b, err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	b = []byte(rand.Text())
	return b, os.WriteFile(file, b, 0o600)
}

// kebab returns a vendor's word for a file name.
func kebab(s string) string {
	var out strings.Builder
	for i, c := range s {
		switch {
		case unicode.IsUpper(c) && i > 0 && unicode.IsLower(rune(s[i-1])):
			out.WriteString("-" + strings.ToLower(string(c)))
		case c < unicode.MaxASCII && (unicode.IsLetter(c) || unicode.IsDigit(c)):
			out.WriteString(strings.ToLower(string(c)))
		default:
			out.WriteByte('-')
		}
	}
	return strings.Trim(out.String(), "-")
}
