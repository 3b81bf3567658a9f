package mutants

const preflightGo, gatherGo = "shared/stack/preflight.go", "shared/stack/gather.go"

// inPreflight are mistakes in what is checked before production.
var inPreflight = []mistake{
	{"pass what AWS did not let us read", preflightGo, `found := doctor.Finding{Level: doctor.NotChecked,`,
		`found := doctor.Finding{Level: doctor.OK,`, "stack TestPreflightChecks"},
	{"take an empty answer for a table that is protected", "shared/stack/durability.go",
		`cmp.Or(err, errEmpty); err == nil && described.Table`, `err; err == nil && described.Table`, "stack TestPreflightReadsTheAccount"},
	{"forget that the outlet runs too", preflightGo, `behind += 10`, `behind += 0`, "stack TestPreflightChecks"},
	{"accept a topic that AWS encrypts", preflightGo, `strings.HasSuffix(key, "alias/aws/sns")`, `key == "aws/sns"`,
		"stack TestPreflightChecks"},
	{"count subscriptions that wait for their confirmation", preflightGo,
		`strconv.Atoi(f.value["SubscriptionsConfirmed"])`, `strconv.Atoi(f.value["SubscriptionsPending"])`,
		"stack TestPreflightChecks"},
	{"accept muted alarms", preflightGo, `case !f.value[i].enabled:`, `case f.value[i].name == "":`,
		"stack TestPreflightChecks"},
	{"let AskVendors=false excuse the worker", preflightGo, `askVendors == "false" && ours`,
		`askVendors == "false" && (ours || !ours)`,
		"stack TestPreflightChecks"},
	{"show a placeholder", preflightGo, `value.Fingerprint(), secret`, `value.Reveal(), secret`,
		"stack TestPreflightChecks"},
	{"miss a subscription to execute-api", preflightGo, `case own && r.publicURL:`, `case own && r.kept:`,
		"stack TestPreflightOfSubscriptions"},
	{"believe that an acknowledgement is required", preflightGo, `for _, problem := range s.Problems {`,
		`for _, problem := range s.Problems[:0] {`, "stack TestPreflightOfSubscriptions"},
	{"forget that the own URL is kept open", gatherGo, `kept: s.parameters["KeepExecuteApi"] == "true"`,
		`kept: s.parameters["KeepExecuteApi"] == "yes"`, "stack TestPreflightListsSubscriptions"},
	{"start the alarm of wrong keys", gatherGo, `Quiet: true`, `Quiet: false`, "stack TestPreflight"},
	{"accept TLS 1.3 alone at Adobe", gatherGo, `info.Name == "adobesign" && f.Check`, `info.Name == "adobe" && f.Check`,
		"stack TestAdobeNeedsTLS12"},
	{"allow more than preflight calls", "shared/docs/deploy.md", `"Action": ["sns:GetTopicAttributes"]`,
		`"Action": ["sns:GetTopicAttributes", "sns:Publish"]`, "stack TestThePolicyOfPreflightIsTheSmallest"},
}
