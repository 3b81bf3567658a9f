package mutants

// inRefusals are mistakes in the explanation of a refusal.
var inRefusals = []mistake{
	{"explain under an empty key", "shared/webhook/refusal/scheme.go", `f.hashed > f.limit || key.Reveal() == ""`,
		`f.hashed > f.limit`, "provider/docusign TestExplain$"},
	{"hash without a limit", "shared/webhook/refusal/scheme.go",
		`f.hashed += perTry + size(parts); f.hashed > f.limit || `, `f.hashed += 0; `, "webhook/refusal TestWorkIsLimited"},
	{"write forms of any size", "shared/webhook/refusal/form.go", `if len(made) > limit {`,
		`if limit < 0 {`, "webhook/refusal TestMemoryIsLimited"},
	{"show any Content-Encoding", "shared/webhook/refusal/scheme.go",
		`if slices.Contains([]string{"gzip", "x-gzip", "deflate", "br", "zstd", "compress"}, named) {`,
		`if named != "" {`, "webhook/refusal TestCausesAreOrdered"},
	{"prefer the rarer cause", "shared/webhook/refusal/refusal.go",
		`return slices.Index(precedence, a.Code) - slices.Index(precedence, b.Code)`,
		`return slices.Index(precedence, b.Code) - slices.Index(precedence, a.Code)`, "webhook/refusal TestCausesAreOrdered"},
	{"take a body in another form for a wrong key", "shared/webhook/refusal/scheme.go",
		`f.form(BodyChanged, f.Signed(form))`, `f.form(WrongKey, f.Signed(form))`,
		"provider/boldsign ^TestProvider$"},
	{"forget the line break at a key's end", "shared/webhook/refusal/spelling.go", `{"", "\n"}, {"", "\r\n"},`, ``,
		"provider/boldsign ^TestProvider$"},
	{"do not look into other headers", "shared/webhook/refusal/scheme.go", `f.add(name, value)`, `_ = value`,
		"provider/boldsign ^TestProvider$"},
	{"take its own request for another vendor's", "shared/webhook/refusal/refusal.go", `if p.Resembles(r) {`,
		`if !p.Resembles(r) {`, "provider TestRequestsAreRecognised"},
	{"show a key in a hint", "shared/webhook/secret.go", `return hex.EncodeToString(sum[:2])`,
		`return hex.EncodeToString(sum[:2]) + s.Reveal()`,
		"provider/boldsign ^TestProvider$"},
	{"explain without the URL's token", "shared/webhook/refusal/refusal.go",
		`causes = append(causes, urlToken(r.URLToken))`, `_ = urlToken`, "provider/boldsign ^TestProvider$"},
	{"do not show the unknown client ID", "shared/provider/adobesign/explain.go",
		`shown(ids)`, `""`, "provider/adobesign TestExplain"},
	{"blame the key if one signature is right", "shared/provider/dropboxsign/explain.go",
		`case hashRight:
		return content`, `case false:
		return content`, "provider/dropboxsign TestExplain"},
	{"explain what was refused for its token alone", "shared/webhook/refusal/refusal.go",
		`causes = append(causes, urlToken(r.URLToken))
		if len(r.Body) > maxFormBody || accepts(p, &r, keys)`, `causes = append(causes, urlToken(r.URLToken))
		if len(r.Body) > maxFormBody`,
		"provider/boldsign ^TestProvider$"},
}
