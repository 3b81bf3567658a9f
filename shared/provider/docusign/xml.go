package docusign

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"esignhooks/shared/webhook"
)

// xmlMessage is the legacy format. Its namespace is on the root, on the children only, or missing. Tags without a
// namespace match all three.
//
// SPEC: https://github.com/docusign/connect-node-listener-aws, webhook_eg_msg_completed.xml, read 2026-11-22: no event
// name and no account GUID; times without a zone.
type xmlMessage struct {
	XMLName        xml.Name `xml:"DocuSignEnvelopeInformation"` // SOAP has another root
	EnvelopeStatus struct {
		envelope
		TimeGenerated text
	}
	PDFBytes       present `xml:"DocumentPDFs>DocumentPDF>PDFBytes"`
	TimeZoneOffset text    // hours; only if the configuration asks for it
}

func parseXML(body []byte) (*payload, error) {
	var x xmlMessage
	if !decode(body, &x) {
		body = repaired(body)
		if !decode(body, &x) || strings.ContainsRune(string(x.EnvelopeStatus.EnvelopeID), utf8.RuneError) {
			// The detail would quote the body.
			return nil, fmt.Errorf("docusign: not DocuSign's XML%s: %w", soap(body), webhook.ErrUnreadable)
		}
	}
	status := x.EnvelopeStatus
	if status.EnvelopeID == "" || status.Status == "" {
		return nil, fmt.Errorf("docusign: XML without an envelope's status: %w", webhook.ErrUnreadable)
	}
	p := &payload{
		envelope: status.envelope, format: formatXML, generated: status.TimeGenerated,
		envelopeID: strings.ToLower(string(status.EnvelopeID)),
		documents:  bool(x.PDFBytes), offset: offset(x.TimeZoneOffset),
	}
	p.accountID = status.Fields.account()
	return p, nil
}

func decode(body []byte, x *xmlMessage) bool {
	*x = xmlMessage{}
	d := xml.NewTokenDecoder(withoutDoctype{xml.NewDecoder(bytes.NewReader(body))})
	return d.Decode(x) == nil && d.Skip() == io.EOF
}

// soap returns the advice for a message in SOAP, which has another root.
//
// SPEC: https://www.docusign.com/blog/developers/trenches-soap, read 2026-11-30: DocuSign would wait for an answer in
// SOAP, and report "Operation timed out" for any other.
func soap(body []byte) string {
	for _, namespace := range []string{"http://schemas.xmlsoap.org/soap/envelope/",
		"http://www.w3.org/2003/05/soap-envelope"} {
		if bytes.Contains(body[:min(len(body), 1024)], []byte(namespace)) {
			return ", but SOAP: switch off useSoapInterface in the Connect configuration"
		}
	}
	return ""
}

func offset(hours text) *time.Duration {
	n, err := strconv.ParseFloat(string(hours), 64)
	if err != nil || !(math.Abs(n) <= 14) {
		return nil
	}
	d := time.Duration(n * float64(time.Hour))
	return &d
}

// withoutDoctype refuses document type declarations. The decoder would skip them silently.
type withoutDoctype struct{ d *xml.Decoder }

var errDoctype = errors.New("document type declaration")

// Token implements [xml.TokenReader].
func (w withoutDoctype) Token() (xml.Token, error) {
	token, err := w.d.RawToken()
	if _, ok := token.(xml.Directive); ok {
		return nil, errDoctype
	}
	return token, err
}
