package mutants

// inBench are mistakes in what developers use against real vendors.
var inBench = []mistake{
	{"the doctor sends a sample to a stack", "shared/operate/doctor/webhook.go",
		`f := Finding{Check: "acknowledgement", Level: NotChecked}
	switch {
	case d.Arrived == nil:`, `f := Finding{Check: "acknowledgement", Level: NotChecked}
	switch {
	case d.Now == nil:`, "operate/doctor TestHealthyWebhooks"},
	{"the doctor shows a key", "shared/operate/doctor/webhook.go", `prints = append(prints, key.Fingerprint())`,
		`prints = append(prints, key.Reveal())`,
		"operate/doctor (TestHealthyWebhooks|TestWhatIsWrong)"},
	{"the doctor takes any server for the gateway", "shared/operate/doctor/webhook.go",
		`a.arrived = d.Arrived == nil || d.Arrived(ctx, nonce)`, `a.arrived = nonce != ""`,
		"operate/doctor TestWhatIsWrong"},
	{"the doctor compares no bodies", "shared/operate/doctor/webhook.go",
		`if !bytes.Equal(a.body, want.Body) {`, `if len(a.body) < len(want.Body) {`, "operate/doctor TestWhatIsWrong"},
	{"the doctor waits longer than the vendor", "shared/operate/doctor/webhook.go",
		`case a.after > info.AnswerWithin:`, `case a.after > 10*info.AnswerWithin:`, "operate/doctor TestWhatIsWrong"},
	{"a fixture means something else", "shared/sample/fixture/fixture.go",
		`!reflect.DeepEqual(was, is)`, `was.Unreadable != is.Unreadable`, "sample/fixture TestAnotherMeaningIsRefused"},
	{"short values are taken for harmless", "shared/sample/fixture/anonymise.go",
		`if len(s) > 64 {
		return false
	}`, `if len(s) < 64 {
		return true
	}`, "sample/fixture (TestExamplesMeanTheSame|TestWhatIsReplaced)"},
	{"a fixture keeps the names that a sender chose", "shared/sample/fixture/anonymise.go",
		`&& !slices.Contains(chosen, fold(parent))`, `|| slices.Contains(chosen, fold(parent))`,
		"sample/fixture TestWhatIsReplaced"},
	{"a recording holds the token of the path", "shared/wiring/localhost/record.go",
		`e.Path = c.mask.mask(e.Path)`, `_ = e.Path`, "wiring/localhost TestRequestsAreRecorded"},
	{"a recording has no end", "shared/wiring/localhost/record.go",
		`c.state.Left-1, c.state.Recorded+1`, `c.state.Left, c.state.Recorded+1`, "wiring/localhost TestRequestsAreRecorded"},
	{"a pulled event proves what no request can", "shared/wiring/localhost/pull.go",
		`!slices.Contains(vendorProofs, p.Proof)`, `p.Proof == ""`, "wiring/localhost TestEventsOfAStackArePulled"},
	{"a pulled event is not marked", "shared/wiring/localhost/pull.go",
		`Via: operate.PulledVia`, `Via: ""`, "wiring/localhost TestEventsOfAStackArePulled"},
	{"findings are pulled", "shared/stack/pull.go",
		`e.Proof != esign.ProofConfirmed && e.SHA256 != ""`,
		`e.Proof == esign.ProofConfirmed || e.SHA256 != ""`, "stack TestPull"},
}
