package mutants

// inConsole are mistakes in what localhost lists and shows of requests, and in what its console may do.
var inConsole = []mistake{
	{"show a secret that is escaped", "shared/wiring/localhost/mask.go",
		"!strings.ContainsAny(text, `\\%&+`) && !m.contains(text)", `!m.contains(text)`,
		"wiring/localhost TestSecretsOfRequestsAreMasked"},
	{"show the half of a secret at which a body is cut", "shared/wiring/localhost/mask.go",
		`from < limit && limit < to`, `from > limit && limit < to`, "wiring/localhost TestSecretsOfRequestsAreMasked"},
	{"show old tokens of paths", "shared/wiring/localhost/mask.go",
		`text = tokenPath.ReplaceAllString(text, "${1}"+redacted)`, `_ = tokenPath`,
		"wiring/localhost TestSecretsOfRequestsAreMasked"},
	{"mask the development key", "shared/wiring/localhost/mask.go", `if !k.Development {`, `if k.Development || true {`,
		"wiring/localhost TestTheDevelopmentKeyIsNoSecret"},
	{"say that nothing was found where nothing was looked for", "shared/receive/explain.go", `o.Causes = nil`,
		`o.Causes = o.Causes[:0]`, "wiring/localhost TestCausesThatWereNotLookedForAreNull"},
	{"keep headers of any size", "shared/wiring/localhost/requests.go", `if headerSize(x.header) <= left {`,
		`if len(x.header) < 1000 {`, "wiring/localhost TestKeptRequestsAreBounded"},
	{"keep the bodies of all requests", "shared/wiring/localhost/requests.go", `	q.drop()
`, ``, "wiring/localhost TestKeptRequestsAreBounded"},
	{"send half a body again", "shared/wiring/localhost/act.go", `case x.bodyCut || x.headerCut:`, `case x.headerCut:`,
		"wiring/localhost TestTheConsoleActs"},
	{"let another page send requests again", "shared/wiring/localhost/act.go", `if foreign(w, r) {
		return
	}
	x, ok := g.requests.find(id)`, `x, ok := g.requests.find(id)`, "wiring/localhost TestTheConsoleActs"},
	{"wait for a slow console", "shared/wiring/localhost/stream.go", `default:
			s.drop(r)
		}`, `default:
		}`, "wiring/localhost TestTheStreamIsBounded"},
	{"hide a gap of the stream", "shared/wiring/localhost/stream.go", `last != "" && last != s.id()`, `last == "gap"`,
		"wiring/localhost TestTheStreamShowsWhatHappens"},
	{"list a duplicate as an event", "shared/store/ledger/embedded/recent.go",
		`if err := recent.Delete(k); err != nil {
			return err
		}`, ``, "store/ledger/embedded TestLedger"},
	{"list an agreement twice", "shared/store/ledger/embedded/recent.go", `if before.Version > 0 {`,
		`if before.Version < 0 {`, "store/ledger/embedded TestLedger"},
	{"trust the index of an earlier release", "shared/wiring/localhost/store.go",
		`bytes.Equal(bucket.Get(versionKey), indexedStamp)`, `!bytes.Equal(bucket.Get(versionKey), nil)`,
		"wiring/localhost TestAnEarlierReleaseMayChangeTheStore"},
	{"forget after a restart what waits for the application", "shared/store/bus/embedded/embedded.go",
		`if p.State == Waiting {
		change =`, `if p.State == Failed {
		change =`, "store/bus/embedded TestForwardingContinuesAfterARestart"},
	{"skip an item between two parts of a list", "shared/store/ledger/embedded/recent.go",
		`last, limit = k, limit-1`, `last, limit = recentKey(time.Time{}, of), limit-1`,
		"store/ledger/embedded TestListsHavePages"},
	{"show personal data unasked", "shared/wiring/localhost/console/console.js",
		"const concealer = revealed.has(r.id) ? null : concealerOf(parts)", "const concealer = null", inChromium},
	{"show nothing before a reload", "shared/wiring/localhost/console/console.js", "list.items.unshift(request)", "",
		inChromium},
}

const inChromium = "lab/console TestTheConsole"
