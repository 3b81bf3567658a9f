package mutants

// inForget are mistakes in what becomes of an agreement that an operator has had forgotten.
var inForget = []mistake{
	{"publish a forgotten agreement again", "shared/process/commit.go",
		`if version == 0 {
			if err := p.forgotten(`, `if version < 0 {
			if err := p.forgotten(`, "process TestAForgottenAgreementStaysForgotten"},
	{"look for the tombstone of every agreement", "shared/process/commit.go",
		`if version == 0 {
			if err := p.forgotten(`, `if version >= 0 {
			if err := p.forgotten(`, "process TestAnAgreementThatExistsCostsNoRead"},
	{"archive the payload of a forgotten agreement", "shared/process/decode.go",
		`err != nil || !keeps {`, `err != nil || !keeps && err != nil {`, "process TestAForgottenAgreementStaysForgotten"},
	{"keep the claim of a dropped event", "shared/process/forget.go",
		`p.Ledger.Drop(ctx, e.claim.Key, p.Now().UTC())`, `ctx.Err()`, "process TestAForgottenAgreementStaysForgotten"},
	{"make a dead letter of a forgotten agreement", "shared/process/deadletter.go",
		`if result.claim.ID != "" {
		if err := p.forgotten(`, `if result.claim.ID == "" {
		if err := p.forgotten(`, "process TestAForgottenAgreementStaysForgotten"},
	{"continue an agreement that was erased meanwhile", "shared/store/ledger/dynamodb/dynamodb.go",
		`unchanged = p.unchanged(expected)`, `unchanged = p.absent(last.At) + " OR " + p.unchanged(expected)`, table},
	{"begin an agreement that was forgotten meanwhile", "shared/store/ledger/embedded/embedded.go",
		`} else if !at.IsZero() {`, `} else if at.IsZero() && err != nil {`, "process TestAForgottenAgreementStaysForgotten"},
	{"keep a dropped event", "shared/store/ledger/item/agreement.go", `i[Expires] = Unix(at)`, `_ = at`,
		"store/ledger/dynamodb TestADroppedEventExpiresAndATombstoneStays"},
	{"name the subject on its tombstone", "shared/store/ledger/item/agreement.go",
		`NoteKey("forgotten#" + hex.EncodeToString(sum[:]))`, `NoteKey("forgotten#" + subject + hex.EncodeToString(sum[:]))`,
		"store/ledger/dynamodb TestADroppedEventExpiresAndATombstoneStays"},
	{"leave the references of a forgotten agreement", "shared/store/ledger/dynamodb/forget.go",
		`for _, r := range references {`, `for _, r := range references[:0] {`, table},
	{"archive a forgotten agreement", "shared/archive/archive.go",
		`if !at.IsZero() {
		return errForgotten`, `if at.IsZero() && err != nil {
		return errForgotten`, "archive TestNothingIsArchivedOfAForgottenAgreement"},
	{"forget an agreement unasked", "Makefile", "--id='$(ID)' $(if $(filter 1,$(APPLY)),--apply)", "--id='$(ID)' --apply",
		"docs TestVariablesOfTheHelpHaveTheirEffect"},
	{"remove an agreement that is only to be shown", "shared/operate/forget.go", `if !apply {`,
		`if !apply && at.IsZero() && found < 0 {`, "operate TestForget"},
	{"remove before the tombstone is written", "shared/operate/forget.go",
		`if err := t.Forgetter.Bury(ctx, f.Subject, t.Now().UTC()); err != nil {`,
		`defer t.Forgetter.Bury(ctx, f.Subject, t.Now().UTC())
		if err := ctx.Err(); err != nil {`, "operate TestForget"},
	{"erase before the places are swept", "shared/operate/forget.go",
		`places := append(slices.Clone(t.Places), Place{"notes", t.forgetNotes},
		Place{"items of the table", func(ctx context.Context, _ Traces, remove bool) (int, int, error) {
			return t.forgetItems(ctx, f, remove)
		}})`, `places := append([]Place{{"notes", t.forgetNotes},
		{"items of the table", func(ctx context.Context, _ Traces, remove bool) (int, int, error) {
			return t.forgetItems(ctx, f, remove)
		}}}, t.Places...)`, "operate TestForgetGoesOnAfterAFailure"},
	{"claim what localhost has forgotten", "shared/store/ledger/embedded/embedded.go",
		`e.State != ledger.New || !buried.IsZero()`, `e.State != ledger.New || buried.IsZero() && false`,
		"lab/gateway TestAnOperatorForgetsAnAgreement"},
	{"miss a forgotten agreement", "shared/reconcile/compare.go",
		`return !at.IsZero(), err`, `return at.IsZero() && err != nil, err`, "reconcile TestAForgottenAgreementIsNotMissed"},
}
