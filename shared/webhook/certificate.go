package webhook

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// ClientCertificates are the client certificates that a vendor must show. The zero value demands none.
//
// API Gateway verifies a certificate against the truststore of a domain with mutual TLS, and passes on its subject. The
// truststore may hold a CA that issues certificates to many, so the subject says who shows it.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/rest-api-mutual-tls.html, read 2026-12-01.
type ClientCertificates struct {
	domain   string
	subjects []Secret // normalised, see subject; not secret, but compared like it
}

// ParseClientCertificates returns the certificates with these subjects, distinguished names separated by semicolons, as
// they are shown at this domain. Without subjects, it returns the zero value.
func ParseClientCertificates(domain, subjects string) (ClientCertificates, error) {
	c := ClientCertificates{domain: strings.ToLower(domain)}
	for _, name := range split(subjects, ';') {
		if strings.Trim(name, " ") == "" {
			continue
		}
		normalised, ok := subject(name)
		if !ok {
			return ClientCertificates{}, fmt.Errorf("webhook: %q is no distinguished name like CN=example.com,O=Example", name)
		}
		c.subjects = append(c.subjects, NewSecret(normalised))
	}
	switch {
	case len(c.subjects) == 0:
		return ClientCertificates{}, nil
	case domain == "":
		return ClientCertificates{}, errors.New("webhook: subjects of certificates without a domain that demands them")
	}
	return c, nil
}

// Demanded reports whether the vendor must show a certificate.
func (c ClientCertificates) Demanded() bool { return len(c.subjects) > 0 }

// Domain returns the domain at which certificates are shown.
func (c ClientCertificates) Domain() string { return c.domain }

// Reached reports whether a request came by the domain at which certificates are shown.
func (c ClientCertificates) Reached(r *Request) bool {
	return c.domain != "" && strings.EqualFold(r.Domain, c.domain)
}

// Accept reports whether a request came by the domain, with a certificate of one of the subjects. It compares with all
// of them, in constant time.
func (c ClientCertificates) Accept(r *Request) bool {
	shown, ok := subject(r.ClientSubject)
	return ok && Any(c.subjects, shown) && c.Reached(r)
}

// Shown returns the subject of the certificate that a request showed, for the operator's log; empty if there was none.
// It is truncated after 1,000 bytes. Bytes that are not printable ASCII are escaped, so it can be put on the list.
func Shown(r *Request) string {
	var b strings.Builder
	for _, c := range []byte(r.ClientSubject[:min(len(r.ClientSubject), 1000)]) {
		if c < 0x20 || c > 0x7e {
			fmt.Fprintf(&b, `\%02X`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// subject returns a distinguished name without what its spelling may leave open: white space around the parts, the case
// of the attributes' names, and whether a byte that is not ASCII is escaped. The order of the parts matters. It returns
// false for what has a part without a name or a value.
//
// SPEC: https://www.rfc-editor.org/rfc/rfc4514#section-2.4 and, for white space and quotes,
// https://www.rfc-editor.org/rfc/rfc2253#section-4.
func subject(name string) (normalised string, ok bool) {
	parts := split(name, ',')
	for i, part := range parts {
		attribute, value, found := strings.Cut(part, "=")
		attribute, value = strings.Trim(attribute, " "), trimEnd(strings.TrimLeft(value, " "))
		if !found || attribute == "" || value == "" {
			return "", false
		}
		parts[i] = strings.ToLower(attribute) + "=" + unescaped(value)
	}
	return strings.Join(parts, ","), true
}

// unescaped returns a value in which bytes that are not printable ASCII are not escaped.
func unescaped(value string) string {
	var b strings.Builder
	for i := 0; i < len(value); i++ {
		if value[i] != '\\' || i+1 == len(value) {
			b.WriteByte(value[i])
			continue
		}
		if i+2 < len(value) {
			if c, err := strconv.ParseUint(value[i+1:i+3], 16, 8); err == nil && (c < 0x20 || c > 0x7e) {
				b.WriteByte(byte(c))
				i += 2
				continue
			}
		}
		b.WriteString(value[i : i+2])
		i++
	}
	return b.String()
}

// trimEnd removes the spaces at the end of a value, but for one that is escaped.
func trimEnd(value string) string {
	trimmed := strings.TrimRight(value, " ")
	backslashes := len(trimmed) - len(strings.TrimRight(trimmed, `\`))
	if backslashes%2 == 1 && len(trimmed) < len(value) {
		return trimmed + " "
	}
	return trimmed
}

// split separates a list at a character that is neither escaped nor in quotes.
func split(list string, separator byte) (parts []string) {
	quoted, start := false, 0
	for i := 0; i < len(list); i++ {
		switch list[i] {
		case '\\':
			i++
		case '"':
			quoted = !quoted
		case separator:
			if !quoted {
				parts = append(parts, list[start:i])
				start = i + 1
			}
		}
	}
	return append(parts, list[start:])
}
