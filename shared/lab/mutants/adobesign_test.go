package mutants

// inAdobeSign are mistakes in what Adobe's notifications state about people, and in what we ask Adobe for.
var inAdobeSign = []mistake{
	{"let an approver wait after the approval", "shared/provider/adobesign/people.go",
		`who.Status = cmp.Or(who.Status, esign.Sent)`, `_ = esign.Sent`,
		"provider/adobesign TestWhoseTurnItIs"},
	{"let those wait who have acted", "shared/provider/adobesign/people.go",
		`if set.done() && !ended {`, `if set.done() && ended {`, "provider/adobesign TestTasks"},
	{"let people wait after the end", "shared/provider/adobesign/people.go",
		`ended || said[i].Replaced {`, `said[i].Replaced {`,
		"provider/adobesign TestTasks"},
	{"believe a list that lags", "shared/provider/adobesign/task.go",
		`(person.Waiting == nil || !t.later)`, `(person.Waiting == nil || t.later)`, "provider/adobesign TestTasks"},
	{"mix up two people with one address", "shared/provider/adobesign/task.go",
		`t = t.or(all.byID[alias])`, `t = t.or(all.byID[alias]).or(all.byAlias[alias])`, "provider/adobesign TestTasks"},
	{"take any member for the successor", "shared/provider/adobesign/people.go",
		`if len(active) == 1 {`, `if len(active) >= 1 {`, "provider/adobesign TestReplacements"},
	{"replace a delegator who is still asked", "shared/provider/adobesign/people.go",
		`return shown && keeps`, `return keeps && !shown`, "provider/adobesign TestReplacements"},
	{"link the delegatee to the delegator", "shared/provider/adobesign/people.go",
		`replace(p.delegator(), p.delegatee(), p.keepsTask())`,
		`replace(one(esign.Sent, p.ParticipantID), p.delegator().ID, p.keepsTask())`,
		"provider/adobesign TestReplacements"},
	{"blame the sender for a recipient's attempts", "shared/provider/adobesign/people.go",
		`sender != "" && strings.EqualFold(`, `sender == "never" && strings.EqualFold(`, "provider/adobesign TestProblems"},
	{"carry the vendor's default sentence as a reason", "shared/provider/adobesign/normalize.go",
		`if !defaultReasons[comment] {`, `if comment != "" {`, "provider/adobesign TestReasons"},
	{"give an expiry a reason", "shared/provider/adobesign/normalize.go",
		`case esign.AgreementDeclined, esign.AgreementCancelled, esign.AgreementFailed:
		for`, `default:
		for`, "provider/adobesign TestReasons"},
	{"split the sender's key", "shared/provider/adobesign/payload.go",
		`stated[name] = string(value)`, `stated[name], _, _ = strings.Cut(string(value), "|")`,
		"provider/adobesign TestReferences"},
	{"switch off what the operator added for other resources", "shared/vendorapi/adobesign/subscriptions.go",
		`all[kind] = maps.Clone(chosen)`, `if kind == ofAgreements {
			all[kind] = maps.Clone(chosen)
		}`, "vendorapi/adobesign TestRegisterKeepsWhatTheOperatorAdded"},
	{"unsubscribe from what the operator added", "shared/vendorapi/adobesign/subscriptions.go",
		`all = append(all, string(event))
	}
	for _, event := range events`, `_ = event
	}
	for _, event := range events`, "vendorapi/adobesign TestRegisterKeepsWhatTheOperatorAdded"},
	{"ask for no participants", "shared/vendorapi/adobesign/subscriptions.go",
		`all[ofAgreements][needed.condition] = true`, `all[ofAgreements][needed.condition] = needed.condition == details`,
		"vendorapi/adobesign TestRegisterMakesAWebhookOnce"},
	{"ask for signed documents", "shared/vendorapi/adobesign/subscriptions.go",
		`all[ofAgreements][signedDocuments] = false`, `all[ofAgreements][signedDocuments] = true`,
		"vendorapi/adobesign TestRegisterMakesAWebhookOnce"},
}
