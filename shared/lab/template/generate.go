// Package template generates the vendors' parts of template.yaml, and holds the tests of template.yaml.
package template

import (
	"bytes"
	_ "embed"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"esignhooks/shared/webhook"
)

//go:embed vendors.tmpl
var definitions string

var sections = template.Must(template.New("vendors").Parse(definitions))

// section is a generated part of template.yaml, with its marker lines.
var section = regexp.MustCompile(`(?ms)^( *# BEGIN generated: (\w+)\n)(.*?)(^ *# END generated\n)`)

// Generate returns the text of template.yaml with all generated sections written for these providers.
func Generate(text []byte, providers []webhook.Provider) ([]byte, error) {
	var vendors []vendor
	for _, p := range providers {
		v := vendor{p.Info()}
		if !strings.EqualFold(v.Resource, v.Name) {
			return nil, fmt.Errorf("template: the resource name %q is not %q in CamelCase", v.Resource, v.Name)
		}
		vendors = append(vendors, v)
	}
	var err error
	text = section.ReplaceAllFunc(text, func(old []byte) []byte {
		parts := section.FindSubmatch(old)
		var out bytes.Buffer
		if e := sections.ExecuteTemplate(&out, string(parts[2]), vendors); e != nil {
			err = fmt.Errorf("template: section %s: %w", parts[2], e)
		}
		return bytes.Join([][]byte{parts[1], bytes.TrimPrefix(out.Bytes(), []byte("\n")), parts[4]}, nil)
	})
	return text, err
}

// vendor is what a section knows of a vendor.
type vendor struct{ webhook.Info }

// ShortTitle returns the title without what follows the resource name. It is in the description of the secret, which
// must not change: an update of a secret could overwrite its keys.
func (v vendor) ShortTitle() string {
	if strings.HasPrefix(v.Title, v.Resource) {
		return v.Resource
	}
	return v.Title
}

// Variable returns the environment variable with the secret's ARN.
func (v vendor) Variable() string { return strings.ToUpper(v.Name) + "_SECRET_ARN" }
