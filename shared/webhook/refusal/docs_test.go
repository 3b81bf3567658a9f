package refusal

import (
	"os"
	"regexp"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestThePageListsAllCauses compares the table of the page with the order of precedence.
func TestThePageListsAllCauses(t *testing.T) {
	page, err := os.ReadFile("../../docs/refusals.md")
	if err != nil {
		t.Fatal(err)
	}
	var listed []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		listed = append(listed, row[1])
	}
	if diff := cmp.Diff(precedence, listed); diff != "" {
		t.Error(diff)
	}
}
