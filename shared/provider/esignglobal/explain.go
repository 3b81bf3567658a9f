package esignglobal

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// Explain implements [webhook.Provider].
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	own := func(name string) bool {
		return strings.EqualFold(name, signatureHeader) || strings.EqualFold(name, timestampHeader)
	}
	timestamp, sent := only(r.Header, timestampHeader), r.Header.Values(signatureHeader)
	if timestamp == "" && len(sent) == 0 { // a proxy may have renamed both
		timestamp = milliseconds(r.Header)
	}
	scheme := refusal.Scheme{
		Info:      p.Info(),
		Where:     "the header " + signatureHeader,
		Format:    "64 characters of lower-case hex, with " + timestampHeader,
		Source:    "the app's Secret Key in eSignGlobal",
		Absent:    "eSignGlobal may not sign; then register the URL with its token, which make urls shows",
		Sent:      r.Header.Values(signatureHeader),
		Header:    refusal.Without(r.Header, own),
		Body:      r.Body,
		Malformed: timestamp == "" || only(r.Header, signatureHeader) == "",
		Signed:    func(body []byte) [][]byte { return signed(r, timestamp, body) },
	}
	less := func(query url.Values) {
		other := webhook.Request{Query: query}
		scheme.LessQuery = append(scheme.LessQuery, func(body []byte) [][]byte { return signed(&other, timestamp, body) })
	}
	if names := slices.Sorted(maps.Keys(r.Query)); len(names) > 0 {
		less(nil)
		for _, name := range names[:min(len(names), 10)] {
			query := maps.Clone(r.Query)
			delete(query, name)
			less(query)
		}
	}
	return scheme.Causes(scheme.Find(keys.Keys))
}

// milliseconds returns the first value of a header, in alphabetical order, that looks like a time of this century.
func milliseconds(header http.Header) string {
	for _, name := range slices.Sorted(maps.Keys(header)) {
		for _, value := range header[name] {
			if len(value) == 13 && strings.Trim(value, "0123456789") == "" {
				return value
			}
		}
	}
	return ""
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	for name := range r.Header {
		if strings.HasPrefix(name, "X-Tsign-") {
			return true
		}
	}
	return webhook.Mentions(r.Body, `"callBackEnum"`, `"callBackDesc"`, `"eventPayload"`)
}
