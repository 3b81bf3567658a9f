package background

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/lambda/lambdatest"
)

// arrivals are where a change of a parameter shows: in the template, by the types of resources and their properties,
// and in what functions do, by the fields of their structs. "all" is of all resources of a type, "vendors'" is one of
// each vendor. A resource without a property is made or removed.
var arrivals = map[string]struct {
	template  []string
	functions []string
}{
	"<Vendor>": {[]string{"Alarm", "Function", "Function.Environment", "LogGroup", "Outputs", "Role",
		"Role.Policies", "Secret", "all Dashboard.DashboardBody"},
		[]string{"Archiver.Clients", "Reconciler.Clients", "Reconciler.Webhook"}},
	"<Vendor>AllowedIps": {[]string{"Alarm", "MetricFilter", "all Api.Auth"}, nil},
	// And what the vendor's function accepts.
	"<Vendor>ClientSubjects":   {[]string{"Function.Environment", "Outputs"}, nil},
	"<Vendor>SilentAfterHours": {[]string{"Alarm"}, nil},
	"AccessLogs":               {[]string{"Role", "all Account", "all Api.Metadata"}, nil},
	"AlarmTopicArn":            {[]string{"Alarm.OKActions", "all Alarm.AlarmActions"}, nil},
	"Arch":                     {[]string{"Globals.Function", "all Function.Metadata"}, nil},
	"ArchiveDays": {[]string{"Bucket", "BucketPolicy", "Function.Environment", "Outputs", "Role.Policies"},
		[]string{"Worker.Archive"}},
	"ArchiveFormData": {[]string{"Function.Environment"}, []string{"Archiver.FormData"}},
	"AskVendors": {[]string{"Alarm", "Alarm.Metrics", "EventSourceMapping.Enabled", "Function.Events",
		"all Rule.State"}, nil},
	"BurstLimit":         {[]string{"all Api.MethodSettings"}, nil},
	"DeletionProtection": {[]string{"all Table.DeletionProtectionEnabled"}, nil},
	"ExpireAfterDays": {[]string{"Globals.Function"},
		[]string{"Reconciler.Remembers", "Worker.Ledger", "vendors' Claims"}},
	"KeepExecuteApi": {nil, nil}, // only with PublicUrl
	"KmsKeyArn": {[]string{"Role.Policies", "all Bucket.BucketEncryption", "all LogGroup.KmsKeyId",
		"all Queue.KmsMasterKeyId", "all Queue.SqsManagedSseEnabled", "all Secret.KmsKeyId", "all Table.SSESpecification"},
		nil},
	"LogRetentionDays":        {[]string{"all LogGroup.RetentionInDays"}, nil},
	"MaxConcurrency":          {[]string{"EventSourceMapping.ScalingConfig"}, nil},
	"MutualTlsCertificateArn": {nil, nil}, // only with MutualTlsDomain
	"MutualTlsDomain": {[]string{"Alarm", "Function.Environment", "MetricFilter", "Outputs", "all BasePathMapping",
		"all DomainName"}, nil},
	"MutualTlsTruststore": {nil, nil},
	"OutletUrl": {[]string{"Alarm", "Alarm.Metrics", "EventSourceMapping", "Function", "Function.Environment",
		"LogGroup", "Outputs", "Queue", "Role", "Role.Policies", "Secret", "all Dashboard.DashboardBody"},
		[]string{"Outlet.Application",
			"Outlet.DeadLetters", "Outlet.Keys", "Outlet.Later", "Outlet.Log", "Publisher.Bus"}},
	"PublicUrl": {[]string{"Function.Environment", "Outputs", "all Api.DisableExecuteApiEndpoint"},
		[]string{"Reconciler.Webhook"}},
	"RateLimit":           {[]string{"all Api.MethodSettings"}, nil},
	"RefusedThreshold":    {[]string{"vendors' Alarm.Threshold"}, nil},
	"RepairSubscriptions": {[]string{"Function.Environment"}, []string{"Reconciler.Repair"}},
	"IncludeReasons":      {[]string{"Function.Environment"}, []string{"Reconciler.Policy", "Worker.Policy"}},
	"References":          {[]string{"Function.Environment"}, []string{"Reconciler.Policy", "Worker.Policy"}},
	"RequireUrlToken": {[]string{"Function.Environment", "Outputs"},
		[]string{"AdobeSign.accepts", "DropboxSign.accepts", "ESignGlobal.Keys", "ESignGlobal.accepts",
			"Reconciler.Webhook"}},
	"TableStreamArn": {[]string{"Alarm.Metrics", "EventSourceMapping.EventSourceArn", "Globals.Function", "Outputs",
		"Role.Policies"},
		[]string{"Archiver.Clients", "Archiver.Notes", "Archiver.Tombstones", "Reconciler.Agreements",
			"Reconciler.Clients", "Reconciler.Notes", "Reconciler.Table", "Reconciler.Tombstones", "Worker.Ledger",
			"vendors' Claims"}},
	"Tracing":              {[]string{"Globals.Function"}, nil},
	"WebAclArn":            {[]string{"all WebACLAssociation"}, nil},
	"SilentAgreementHours": {[]string{"Function.Environment"}, []string{"Reconciler.SilentAfter"}},
}

// TestEveryParameterArrives changes one parameter after the other. The subjects of certificates need a domain.
func TestEveryParameterArrives(t *testing.T) {
	before := lambdatest.Deploy(t, enabled())
	changed := before.Changed()
	for _, p := range provider.All() {
		changed[p.Info().Resource] = "disabled"
	}
	facts := map[string]facts{}
	for _, function := range before.Functions() {
		in(t, before, function, nil, func(t *testing.T, w *wired) { facts[function] = w.observe(t) })
	}
	for _, name := range slices.Sorted(maps.Keys(changed)) {
		t.Run(name, func(t *testing.T) {
			before, parameters := before, enabled()
			if generic(name) == "<Vendor>ClientSubjects" {
				parameters["MutualTlsDomain"] = changed["MutualTlsDomain"]
				before = lambdatest.Deploy(t, parameters)
			}
			parameters[name] = changed[name]
			after := lambdatest.Deploy(t, parameters)
			expected, known := arrivals[generic(name)]
			if !known {
				t.Fatal("nothing is known to depend on it")
			}
			if diff := cmp.Diff(expected.template, differences(before, after)); diff != "" {
				t.Errorf("in the template: %s", diff)
			}
			of := map[string][]string{} // by field: the functions that do something else
			for _, function := range after.Functions() {
				if facts[function] != nil && maps.Equal(before.Variables(function), after.Variables(function)) {
					continue
				}
				in(t, after, function, nil, func(t *testing.T, w *wired) {
					for field, is := range w.observe(t) {
						if !slices.Equal(is, facts[function][field]) {
							of[field] = append(of[field], strings.TrimSuffix(function, "Function")+"."+field)
						}
					}
				})
			}
			var got []string
			for field, functions := range of {
				if len(functions) == len(provider.All()) {
					functions = []string{"vendors' " + field}
				}
				got = append(got, functions...)
			}
			slices.Sort(got)
			if vendor, ok := strings.CutSuffix(name, "ClientSubjects"); ok {
				expected.functions = []string{vendor + ".accepts", "Reconciler.Webhook"}
			}
			if p, ok := webhook.Find(provider.All(), strings.ToLower(name)); ok && !all.Has(p.Info().Name) {
				expected.functions = []string{"Reconciler.Webhook"} // there is no client of its API
			}
			if diff := cmp.Diff(expected.functions, got); diff != "" {
				t.Errorf("in the functions: %s", diff)
			}
		})
	}
}

// generic returns the name of a parameter, with <Vendor> instead of a vendor.
func generic(parameter string) string {
	for _, p := range provider.All() {
		if rest, ok := strings.CutPrefix(parameter, p.Info().Resource); ok {
			return "<Vendor>" + rest
		}
	}
	return parameter
}

// differences lists what two stacks do not have in common, as in arrivals.
func differences(before, after *lambdatest.Stack) []string {
	type property struct{ resource, name string }
	a, b := before.Values(), after.Values()
	kinds, total, different := map[string]string{}, map[string]int{}, map[property]bool{}
	for _, values := range []map[string]string{a, b} {
		for path, value := range values {
			parts := strings.Split(path, ".")
			if parts[1] == "Type" && kinds[parts[0]] == "" {
				kinds[parts[0]] = value[strings.LastIndex(value, ":")+1:]
				total[kinds[parts[0]]]++
			}
			if a[path] != b[path] {
				different[property{parts[0], parts[1]}] = true
			}
		}
	}
	counts := map[string]int{}
	for p := range different {
		switch kind := kinds[p.resource]; {
		case p.resource == "Outputs":
			counts["Outputs"]++
		case kind == "":
			counts[p.resource+"."+p.name]++
		case p.name == "Type":
			counts[kind]++
		case !different[property{p.resource, "Type"}]:
			counts[kind+"."+p.name]++
		}
	}
	var found []string
	for what, n := range counts {
		kind, _, _ := strings.Cut(what, ".")
		switch n {
		case total[kind]:
			what = "all " + what
		case len(provider.All()):
			what = "vendors' " + what
		}
		found = append(found, what)
	}
	slices.Sort(found)
	return found
}
