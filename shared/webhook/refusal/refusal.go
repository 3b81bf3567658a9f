// Package refusal explains why a request was refused: it tries what people really do wrong with keys, signatures and
// bodies. It does no I/O. What it returns is for the operator. No answer to a vendor may depend on it.
package refusal

import (
	"errors"
	"net/http"
	"slices"

	"esignhooks/shared/webhook"
)

// The causes, in the order of precedence.
const (
	NoKeyConfigured          = "no-key-configured"
	URLTokenMissing          = "url-token-missing"
	URLTokenWrong            = "url-token-wrong"
	OtherVendor              = "other-vendor"
	ClientCertificateMissing = "client-certificate-missing"
	ClientIDMissing          = "client-id-missing"
	ClientIDUnknown          = "client-id-unknown"
	SignatureMissing         = "signature-missing"
	OtherHeader              = "other-header"
	SignatureMalformed       = "signature-malformed"
	DevelopmentKey           = "development-key"
	KeyWhitespace            = "key-whitespace"
	KeyEncoding              = "key-encoding"
	SignatureEncoding        = "signature-encoding"
	QueryNotSigned           = "query-not-signed"
	BodyCompressed           = "body-compressed"
	BodyChanged              = "body-changed"
	WrongKey                 = "wrong-key"
)

var precedence = []string{
	NoKeyConfigured, URLTokenMissing, URLTokenWrong, OtherVendor, ClientCertificateMissing, ClientIDMissing,
	ClientIDUnknown, SignatureMissing, OtherHeader, SignatureMalformed, DevelopmentKey, KeyWhitespace, KeyEncoding,
	SignatureEncoding, QueryNotSigned, BodyCompressed, BodyChanged, WrongKey,
}

// Explain returns why p refused a request under these keys, the most likely cause first. It must be called only for a
// request that was refused, and not for its size. A request that was refused for its method has a cause only if it is
// another vendor's. The others are all providers: their requests are recognised.
func Explain(p webhook.Provider, others []webhook.Provider, request *webhook.Request,
	keys webhook.Keys) []webhook.Refusal {
	r := *request
	r.TokenMatched = webhook.Any(keys.URLTokens, r.URLToken)
	var causes []webhook.Refusal
	if webhook.RefusesAll(p, keys) {
		causes = append(causes, webhook.Refusal{Code: NoKeyConfigured, Hint: "no key is configured for " + p.Info().Title +
			": store the vendor's key in the stack's secret, on localhost in $" + p.Info().KeysVariable})
	}
	explained, other := p.Explain(&r, keys), owner(p, others, &r)
	if len(keys.URLTokens) > 0 && !r.TokenMatched {
		causes = append(causes, urlToken(r.URLToken))
		if len(r.Body) > maxFormBody || accepts(p, &r, keys) { // the rest is right, or it costs too much to know
			explained, other = nil, nil
		}
	}
	if _, err := p.Challenge(&r, keys); r.Method != http.MethodPost && errors.Is(err, webhook.ErrNoChallenge) {
		explained = nil // refused for its method
	} else if keys.Certificates.Demanded() && !keys.Certificates.Accept(&r) {
		causes = append(causes, certificate(p, keys.Certificates, &r))
		if len(r.Body) > maxFormBody || accepts(p, &r, keys) {
			explained = nil
		}
	}
	if other != nil {
		causes = append(causes, webhook.Refusal{Code: OtherVendor, Hint: "the request looks like one of " +
			other.Info().Title + ", but came to the URL of " + p.Info().Title + ": register the URL that ends in /webhooks/" +
			other.Info().Name + " there"})
	}
	causes = append(causes, explained...)
	slices.SortStableFunc(causes, func(a, b webhook.Refusal) int {
		return slices.Index(precedence, a.Code) - slices.Index(precedence, b.Code)
	})
	return causes
}

func urlToken(sent string) webhook.Refusal {
	const register = "register the whole URL that make urls shows"
	switch sent {
	case "":
		return webhook.Refusal{Code: URLTokenMissing, Hint: "the URL has no token at its end: " + register}
	case "{token}", "%7Btoken%7D", "<token>", "TOKEN", "token":
		return webhook.Refusal{Code: URLTokenWrong, Hint: "the URL ends in a placeholder instead of a token: " + register}
	}
	return webhook.Refusal{Code: URLTokenWrong, Hint: "the URL's token, " + webhook.NewSecret(sent).Fingerprint() +
		", is not configured; it may be an old one, or belong to another vendor or stack: " + register}
}

func certificate(p webhook.Provider, c webhook.ClientCertificates, r *webhook.Request) webhook.Refusal {
	hint := "the certificate's subject, " + webhook.Shown(r) + ", is not on the list: if it is the vendor's, add it to " +
		p.Info().Resource + "ClientSubjects"
	if !c.Reached(r) || r.ClientSubject == "" {
		hint = "the request did not come by " + c.Domain() + " with a client certificate, which " + p.Info().Resource +
			"ClientSubjects demands: register the URL that make urls shows, and let the vendor show its certificate"
	}
	return webhook.Refusal{Code: ClientCertificateMissing, Hint: hint}
}

// accepts reports whether the provider accepts a request, whatever is wrong with the URL's token or the certificate.
func accepts(p webhook.Provider, r *webhook.Request, keys webhook.Keys) bool {
	_, err := p.Challenge(r, keys)
	if r.Method == http.MethodPost && errors.Is(err, webhook.ErrNoChallenge) {
		_, err = p.Verify(r, keys)
	}
	return err == nil || errors.Is(err, webhook.ErrNoChallenge)
}

// owner returns the provider whose request r seems to be, and nil if it may be one of p.
func owner(p webhook.Provider, others []webhook.Provider, r *webhook.Request) webhook.Provider {
	if p.Resembles(r) {
		return nil
	}
	for _, other := range others {
		if other.Info().Name != p.Info().Name && other.Resembles(r) {
			return other
		}
	}
	return nil
}
