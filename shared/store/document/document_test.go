package document_test

import (
	"regexp"
	"strings"
	"testing"

	"esignhooks/shared/store/document"
)

var hashed = regexp.MustCompile(`^sha256-[0-9a-f]{64}$`)

func TestUnsafeNamesInAKeyAreHashed(t *testing.T) {
	long := strings.Repeat("a", 128)
	for name, tt := range map[string]struct{ id, want string }{ // an empty want means any hash
		"a GUID":                  {"08740f95-2187-4b01-9a69-452ae3140752", "08740f95-2187-4b01-9a69-452ae3140752"},
		"capitals and underscore": {"CBJCHBCAABAA_x", "CBJCHBCAABAA_x"},
		"a dot within":            {"a..b", "a..b"},
		"a leading hyphen":        {"-a", "-a"},
		"128 characters":          {long, long},
		"129 characters":          {long + "a", ""},
		// printf '..' | sha256sum
		"the parent folder": {"..", "sha256-5ec1f7e700f37c3d0b2981d04855fc34b94aaa15457b05ca571817442d228f81"},
		"the folder itself": {".", ""},
		"a hidden file":     {".a", ""},
		// printf 'a/b' | sha256sum
		"a slash":                  {"a/b", "sha256-c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11"},
		"a backslash":              {`a\b`, ""},
		"a path out of the folder": {"../../etc/passwd", ""},
		"an absolute path":         {"/etc/passwd", ""},
		"a space":                  {"a b", ""},
		"a line end":               {"a\n", ""},
		"NUL":                      {"a\x00", ""},
		"not ASCII":                {"ä", ""},
		"not UTF-8":                {"\xff", ""},
		"an e-mail address":        {"somebody@example.com", ""},
		// printf '' | sha256sum
		"empty":               {"", "sha256-e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
		"the hash of another": {"sha256-c14cddc033f64b9dea80ea675cf280a015e672516090a5626781153dc68fea11", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for part, key := range map[string]string{
				"agreement": strings.Split(document.Key("acmesign", tt.id, "manifest.json"), "/")[1],
				"name":      strings.Split(document.Key("acmesign", "e1", tt.id), "/")[2],
			} {
				if tt.want != "" && key != tt.want || tt.want == "" && (!hashed.MatchString(key) || key == tt.id) {
					t.Errorf("%s: %q", part, key)
				}
			}
		})
	}
}
