package mutants

// inPromises are mistakes that break a promise of guarantees.md which the others do not touch.
var inPromises = []mistake{
	{"answer 500 instead of 503", "shared/receive/receive.go", `plainText(http.StatusServiceUnavailable,`,
		`plainText(http.StatusInternalServerError,`, worlds(100)},
	{"register before it is confirmed", "shared/operate/register.go", `case !apply:`, `case len(steps) > 99:`,
		"operate TestRegisterShowsThenDoesThenFindsNothingToDo"},
	{"call a vendor although its rate limit is exhausted", "shared/reconcile/pass.go",
		`if wait := p.progress.RetryAfter.Sub(p.began); wait > 0 && wait <= maxWait {`,
		`if wait := p.progress.RetryAfter.Sub(p.began); wait > 0 && wait <= 0 {`,
		"reconcile TestARateLimitEndsThePassQuietly"},
	{"continue a pass beyond the rate limit", "shared/reconcile/pass.go", `if errs = append(errs, err); limited {`,
		`if errs = append(errs, err); limited && len(errs) > 9 {`, "reconcile TestARateLimitEndsThePassQuietly"},
	{"let one vendor's failure hide the others'", "shared/reconcile/reconcile.go", `errs[i] = p.run(ctx)`,
		`if err := p.run(ctx); i == 0 {
			errs[i] = err
		}`, "reconcile TestAFailingProviderDoesNotStopOthers"},
	{"accept an empty key", "shared/webhook/secret.go", `hmac.Equal(got[:], wanted[:]) && want != ""`,
		`hmac.Equal(got[:], wanted[:])`, "webhook TestEqual"},
	{"compare secrets byte by byte", "shared/webhook/secret.go", `hmac.Equal(got[:], wanted[:]) && want`,
		`string(got[:]) == string(wanted[:]) && want`, "lab/attack TestSecretsAreComparedInConstantTime"},
	{"show secrets in texts", "shared/webhook/secret.go", `func (Secret) String() string { return redacted }`,
		`func (s Secret) String() string { return s.Reveal() }`, "webhook TestSecretIsRedactedUnderEveryVerb"},
	{"pass control characters on to the logs", "shared/webhook/identity.go", `if c < 0x20 || c > 0x7e {`, `if c > 0x7e {`,
		"webhook TestLabel"},
	{"accept any URL token", "shared/receive/receive.go", `if len(keys.URLTokens) > 0 && !request.TokenMatched {`,
		`if len(keys.URLTokens) > 9 && !request.TokenMatched {`, "receive TestAnswers"},
	{"read a body of any size", "shared/receive/receive.go", `if len(request.Body) > webhook.MaxBody {`,
		`if len(request.Body) > 99*webhook.MaxBody {`, "provider/docusign TestProvider"},
	{"follow a redirect with credentials", "shared/vendorapi/transport.go",
		`len(via) >= 5 || r.URL.Scheme != via[0].URL.Scheme || via[0].Method != http.MethodGet`,
		`len(via) >= 5`, "vendorapi TestDo"},
	{"call every host local", "shared/wiring/localhost/gateway.go", `return host == "localhost" || host == "127.0.0.1"`,
		`return host != ""`, "lab/gateway TestTheReadAPIAnswersOnlyThisMachine"},
}
