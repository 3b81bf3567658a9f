package mutants

const certificateGo = "shared/webhook/certificate.go"

// inCertificates are mistakes with client certificates.
var inCertificates = []mistake{
	{"take any certificate of the truststore", certificateGo, `ok && Any(c.subjects, shown)`, `ok && shown != ""`,
		"webhook TestCertificatesAreCompared"},
	{"take a certificate of any domain", certificateGo, `Any(c.subjects, shown) && c.Reached(r)`,
		`Any(c.subjects, shown)`,
		"provider/boldsign ^TestProvider$"},
	{"compare subjects without their order", certificateGo, `return strings.Join(parts, ","), true`,
		`return strings.Join(parts[:1], ","), true`, "webhook TestCertificatesAreCompared"},
	{"split subjects at escaped commas", certificateGo, `case '\\':
			i++`, `case '\\':`, "webhook TestCertificatesAreCompared"},
	{"answer a challenge without a certificate", "shared/receive/receive.go", `(err == nil || event) && keys`,
		`event && keys`, "provider/adobesign ^TestProvider$"},
	{"take a signature for a certificate", "shared/receive/receive.go",
		`(proof == esign.ProofURLToken || proof == esign.ProofClientID)`, `proof != ""`, "provider/boldsign ^TestProvider$"},
	{"believe a header's domain", "shared/plumbing/apigw/apigw.go", `Domain: e.RequestContext.DomainName`,
		`Domain: header.Get("Host")`, "plumbing/apigw ^TestRequest$"},
	{"explain a missing certificate by the key", "shared/webhook/refusal/refusal.go",
		`causes = append(causes, certificate(p, keys.Certificates, &r))`, `_ = certificate`,
		"webhook/refusal TestAMissingCertificateIsExplained"},
	{"believe that a certificate is demanded", "shared/operate/doctor/webhook.go",
		`a.err == nil && a.StatusCode == http.StatusForbidden`, `a.err == nil`,
		"operate/doctor TestMutualTLS"},
	{"ignore the subjects of certificates", keysGo, `read.Certificates = k.certificates`, `_ = k.certificates`, deployed},
	{"look for a URL without mutual TLS", reconcilerGo, `slices.Contains(w.config.MutualTLSVendors, provider)`,
		`slices.Contains(w.config.MutualTLSVendors, "")`, deployed},
}
