package template

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// samples are values that a parameter must take, and some that it must refuse.
type samples struct{ accepted, refused []string }

var patterns = map[string]samples{
	"AdobeSignAllowedIps": addresses, "ESignGlobalAllowedIps": addresses,
	"AlarmTopicArn": {
		[]string{"", "arn:aws:sns:eu-central-1:123456789012:my-alarms_2", "arn:aws-us-gov:sns:us-gov-west-1:123456789012:x"},
		[]string{"alarms", "arn:aws:sqs:eu-central-1:123456789012:x", "arn:aws:sns:eu-central-1:12345678901:x",
			"arn:aws:sns:eu-central-1:1234567890123:x", "arn:aws:sns:eu-central-1:123456789012:",
			"arn:aws:sns:eu-central-1:123456789012:x.fifo", // CloudWatch cannot notify a FIFO topic
			" arn:aws:sns:eu-central-1:123456789012:x", "arn:aws:sns:eu-central-1:123456789012:x y"},
	},
	"KmsKeyArn": {
		[]string{"", "arn:aws:kms:eu-central-1:123456789012:key/1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f",
			"arn:aws-us-gov:kms:us-gov-west-1:123456789012:key/mrk-1a2b"},
		[]string{"1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f", "alias/esignhooks", // a permission on an alias is none on its key
			"arn:aws:kms:eu-central-1:123456789012:alias/esignhooks", "arn:aws:kms:eu-central-1:123456789012:key/"},
	},
	"MutualTlsCertificateArn": {
		[]string{"", "arn:aws:acm:eu-central-1:123456789012:certificate/1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f"},
		[]string{"1a2b3c4d", "arn:aws:iam::123456789012:server-certificate/x",
			"arn:aws:acm:eu-central-1:123456789012:certificate/"},
	},
	"MutualTlsDomain": {
		[]string{"", "mtls.example.com", "hooks-2.e-sign.example.com"},
		[]string{"https://mtls.example.com", "mtls.example.com/", "mtls", "Mtls.example.com", "mtls.example.com.",
			"*.example.com"},
	},
	"MutualTlsTruststore": {
		[]string{"", "s3://my-bucket/truststore-1.pem", "s3://my.bucket/a/b_2.pem"},
		[]string{"https://bucket.s3.amazonaws.com/a.pem", "s3://bucket", "s3://bucket/", "s3://bucket/a b.pem",
			"bucket/a.pem"},
	},
	"OutletUrl": {
		[]string{"", "https://app.example.com", "https://App.example.com:8443/events?a=b&c=%20"},
		[]string{"http://app.example.com", "app.example.com", "https://", "https://app.example.com/a b",
			"https://user@app.example.com/", "https://app.example.com:x/"},
	},
	"PublicUrl": {
		[]string{"", "https://hooks.example.com", "https://hooks2.example-1.com/e-sign/v1_0.x"},
		[]string{"http://hooks.example.com", "hooks.example.com", "https://hooks.example.com/", "https://",
			"https://hooks.example.com/a?b", "https://user@hooks.example.com", "https://hooks.example.com//a",
			"https://Hooks.example.com", "https://hooks.example.com/a/"},
	},
	"TableStreamArn": {
		[]string{"", "arn:aws:dynamodb:eu-central-1:123456789012:table/esignhooks-Table-1A2B/stream/2026-11-30T09:30:00.123",
			"arn:aws-us-gov:dynamodb:us-gov-west-1:123456789012:table/my_table.2/stream/2026-11-30T09:30:00.123"},
		[]string{"esignhooks-restored", "arn:aws:dynamodb:eu-central-1:123456789012:table/esignhooks-restored", // no stream
			"arn:aws:dynamodb:eu-central-1:123456789012:table/x/stream/", "None"}, // what the AWS CLI prints without a stream
	},
	"WebAclArn": {
		[]string{"", "arn:aws:wafv2:eu-central-1:123456789012:regional/webacl/my-acl_2/1a2b3c4d-1a2b-3c4d-5e6f-1a2b3c4d5e6f"},
		[]string{"my-acl", "arn:aws:wafv2:us-east-1:123456789012:global/webacl/for-cloudfront/1a2b", // not of a region
			"arn:aws:waf-regional:eu-central-1:123456789012:webacl/1a2b"},
	},
	"ExpireAfterDays": expiries(),
}

var addresses = samples{
	[]string{"", "192.0.2.1", "192.0.2.1,198.51.100.0/24"},
	[]string{"192.0.2.1, 198.51.100.1", "192.0.2.1,", "192.0.2", "192.0.2.1/", "example.com", " "},
}

// expiries tries days around the limits. What the template takes, the functions must take too.
func expiries() (s samples) {
	for days := range 10100 {
		if days > 120 && days%500 > 2 && days%500 < 498 {
			continue
		}
		text := strconv.Itoa(days)
		e := wiring.NewEnvironment(func(string) (string, bool) { return text, true })
		e.Expiry("EXPIRE_AFTER_DAYS")
		if e.Err() == nil && days <= 9999 {
			s.accepted = append(s.accepted, text)
		} else {
			s.refused = append(s.refused, text)
		}
	}
	s.refused = append(s.refused, "", "-30", "030", "30.5", " 30")
	return s
}

// subjects are lists of distinguished names. What the template takes, the functions must take too: a receiver does not
// start with a list that it cannot read.
func subjects() (s samples) {
	s.refused = []string{"hooks.example", ";"}
	for _, list := range []string{
		"", "CN=a", `CN=hooks.example, O=Acme\, Inc.;cn = b`, "2.5.4.3=a", " CN=a ; CN=b", `CN="a, b;c",O=d`, "CN=a=b", "CN=Ä",
		`CN=a\;b`, `CN=\ a`, "CN", "CN=", "CN= ", "CN=a;b", "CN=a,", "CN=a,,O=b", "CN=a,O=Acme; Inc.", "=a", "CN=a,=b",
	} {
		if _, err := webhook.ParseClientCertificates("mtls.example.com", list); err == nil {
			s.accepted = append(s.accepted, list)
		} else {
			s.refused = append(s.refused, list)
		}
	}
	return s
}

// ranges are the limits of numbers and the choices of texts, in the order of the template.
var ranges = map[string]map[string]string{
	"AccessLogs": {"AllowedValues": "[create-role, use-role, off]"},
	// SPEC: https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleExpiration.html: a positive number of days.
	"ArchiveDays": {"MinValue": "0", "MaxValue": "36500"}, // a hundred years, as for an expiry
	// SPEC: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html, read
	// 2026-11-30
	"LogRetentionDays": {"AllowedValues": "[1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, " +
		"2192, 2557, 2922, 3288, 3653]"},
	// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-scaling.html: 2 to 1,000.
	"MaxConcurrency":       {"MinValue": "2", "MaxValue": "1000"},
	"BurstLimit":           {"MinValue": "1"},
	"Tracing":              {"AllowedValues": "[Active, PassThrough]"},
	"RateLimit":            {"MinValue": "1"},
	"References":           {"MaxLength": "1000"}, // all variables of a function have 4 KB
	"RefusedThreshold":     {"MinValue": "0"},
	"SilentAgreementHours": {"MinValue": "0", "MaxValue": "8760"}, // a year
}

var row = regexp.MustCompile("(?m)^\\| ((?:`\\w+`(?:, )?)+) \\| ([^|]+) \\|")

// documented returns the defaults of the parameters, as the documentation states them.
var documented = sync.OnceValue(func() map[string]string {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		panic(err)
	}
	_, table, _ := strings.Cut(string(page), "## AWS: template parameters")
	table, _, _ = strings.Cut(table, "\n## ")
	defaults := map[string]string{}
	for _, match := range row.FindAllStringSubmatch(table, -1) {
		for _, name := range strings.Split(match[1], ", ") {
			if defaults[strings.Trim(name, "`")] = strings.Trim(match[2], "`"); match[2] == "none" {
				defaults[strings.Trim(name, "`")] = ""
			}
		}
	}
	return defaults
})

// parameterRules expects that each parameter is documented with its default, and takes what the functions take.
func parameterRules(c *checker) {
	standard := documented()
	for _, p := range provider.All() {
		info := p.Info()
		standard[info.Resource] = "enabled"
		if info.Disabled {
			standard[info.Resource] = "disabled"
		}
	}
	all := maps.Clone(ranges)
	for _, p := range provider.All() {
		info := p.Info()
		all[info.Resource] = map[string]string{"AllowedValues": "[enabled, disabled]"}
		all[info.Resource+"ClientSubjects"] = map[string]string{"MaxLength": "1000"} // as for References
		// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarm-evaluation.html: with periods of an
		// hour or more, an alarm evaluates 7 days at most.
		all[info.Resource+"SilentAfterHours"] = map[string]string{"MinValue": "0", "MaxValue": strconv.Itoa(7 * 24)}
	}
	folders, _ := filepath.Glob("../../../.sam/*/Makefile")
	for i := range folders {
		folders[i] = filepath.Base(filepath.Dir(folders[i]))
	}
	all["Arch"] = map[string]string{"AllowedValues": "[" + strings.Join(folders, ", ") + "]"}
	declared := members(members(c.root.Content[0])["Parameters"])
	used := uses(c.root.Content[0])
	for name := range declared {
		value, documented := standard[name]
		c.holds(documented, "configuration.md has no row for %s", name)
		path := "Parameters/" + name + "."
		want := map[string]string{"Default": value, "Type": "String"}
		if _, err := strconv.Atoi(value); err == nil && patterns[name].accepted == nil {
			want["Type"] = "Number"
		}
		if value == "true" || value == "false" {
			want["AllowedValues"] = "[true, false]"
		}
		maps.Copy(want, all[name])
		c.want(path, want)
		c.text(path + "Description")
		c.holds(used["Ref "+name] > 0, "nothing uses the parameter %s", name)
		s := patterns[name]
		if strings.HasSuffix(name, "ClientSubjects") {
			s = subjects()
		}
		if s.accepted != nil {
			c.text(path + "ConstraintDescription")
			pattern, err := regexp.Compile(c.get(path + "AllowedPattern"))
			if err != nil {
				c.errorf("%s: %v", name, err)
				continue
			}
			for _, sample := range s.accepted {
				c.holds(pattern.MatchString(sample), "%s refuses %q", name, sample)
			}
			for _, sample := range s.refused {
				c.holds(!pattern.MatchString(sample), "%s takes %q", name, sample)
			}
		}
	}
	for name := range standard {
		c.holds(declared[name] != nil, "configuration.md has a row for %s, and there is no such parameter", name)
	}
	for name := range members(members(c.root.Content[0])["Conditions"]) {
		c.holds(used["Condition "+name] > 0, "nothing uses the condition %s", name)
	}
	// A stack without vendors would receive nothing.
	var switches []string
	for _, p := range provider.All() {
		switches = append(switches, c.parameters[p.Info().Resource])
	}
	const rule = "Rules.SomeVendorEnabled.Assertions.0."
	c.want(rule, map[string]string{
		"Assert.Fn::Contains.0": "[" + strings.Join(switches, ", ") + "]", "Assert.Fn::Contains.1": "enabled",
	})
	c.text(rule + "AssertDescription")
	// Where nothing but the URL proves who calls, the URL that anybody can call must be closed.
	const tokens = "Rules.UrlTokenRequiredAtExecuteApi."
	c.want(tokens, map[string]string{
		"RuleCondition":       strconv.FormatBool(c.parameters["RequireUrlToken"] == "false"),
		"Assertions.0.Assert": strconv.FormatBool(c.parameters["PublicUrl"] != ""),
		"Assertions.1.Assert": strconv.FormatBool(c.parameters["KeepExecuteApi"] == "false"),
	})
	c.text(tokens + "Assertions.0.AssertDescription")
	c.text(tokens + "Assertions.1.AssertDescription")
	// Half of mutual TLS would refuse a vendor's events.
	given := func(name string) string { return strconv.FormatBool(c.parameters[name] != "") }
	absentIs := func(name string) string { return strconv.FormatBool(c.parameters[name] == "") }
	const complete, missing = "Rules.MutualTlsComplete.", "Rules.MutualTlsDomainMissing."
	c.want(complete, map[string]string{
		"RuleCondition":       given("MutualTlsDomain"),
		"Assertions.0.Assert": given("MutualTlsCertificateArn"),
		"Assertions.1.Assert": given("MutualTlsTruststore"),
	})
	c.want(missing, map[string]string{"RuleCondition": absentIs("MutualTlsDomain")})
	useless := []string{"MutualTlsCertificateArn", "MutualTlsTruststore"}
	for _, p := range provider.All() {
		useless = append(useless, p.Info().Resource+"ClientSubjects")
	}
	for i, name := range useless {
		c.want(fmt.Sprint(missing, "Assertions.", i, "."), map[string]string{"Assert": absentIs(name)})
		c.text(fmt.Sprint(missing, "Assertions.", i, ".AssertDescription"))
	}
	c.text(complete + "Assertions.0.AssertDescription")
	c.text(complete + "Assertions.1.AssertDescription")
	for _, p := range provider.All() { // in the template itself, since with equal values a list hides what it refers to
		c.holds(used["Ref "+p.Info().Resource] >= 2, "the rule does not name %s", p.Info().Resource)
	}
}

// asking are the alarms of the archiver and the reconciler.
var asking = map[string]bool{
	"ContradictedAlarm": true, "DocumentDeadLettersAlarm": true, "ForgedAlarm": true, "NotAskedAlarm": true,
	"ReconcileFailedAlarm": true, "ReconciledAlarm": true, "ReconcilerStoppedAlarm": true, "StaleClaimsAlarm": true,
	"SubscriptionAlarm": true,
}

// existenceRules expects each resource and output under exactly its condition.
func existenceRules(c *checker) {
	expected := func(name string) bool {
		for _, p := range provider.All() {
			info := p.Info()
			if !strings.HasPrefix(name, info.Resource) {
				continue
			}
			hours := c.parameters[info.Resource+"SilentAfterHours"]
			return c.parameters[info.Resource] == "enabled" && (name != info.Resource+"SilentAlarm" || hours != "0")
		}
		switch name {
		case "ApiAccount", "ApiLogsRole": // of the account
			return c.parameters["AccessLogs"] == "create-role"
		case "ApiLogs", "TooLargeFilter", "TooLargeAlarm":
			return c.parameters["AccessLogs"] != "off"
		case "ArchiveBucket", "ArchiveBucketPolicy", "ArchiveBucketName":
			return c.parameters["ArchiveDays"] != "0"
		}
		if asking[name] {
			return c.parameters["AskVendors"] == "true"
		}
		if strings.HasPrefix(name, "Forbidden") {
			return c.parameters["AccessLogs"] != "off" && c.forbids()
		}
		if strings.HasPrefix(name, "MutualTls") {
			return c.parameters["MutualTlsDomain"] != ""
		}
		if name == "WebAclAssociation" {
			return c.parameters["WebAclArn"] != ""
		}
		return !strings.HasPrefix(name, "Outlet") || c.parameters["OutletUrl"] != ""
	}
	for _, section := range []struct {
		name string
		made map[string]object
	}{{"Resources", c.resources}, {"Outputs", c.outputs}} {
		for name := range members(members(c.root.Content[0])[section.name]) {
			_, exists := section.made[name]
			c.holds(exists == expected(name), "%s exists: %t", name, exists)
		}
	}
	// What outlives the stack: data, the vendors' secrets, and what belongs to the account.
	kept := []string{
		"AWS::DynamoDB::Table", "AWS::S3::Bucket", "AWS::S3::BucketPolicy", "AWS::SecretsManager::Secret",
		"AWS::ApiGateway::Account", "AWS::SQS::Queue", // what waits in a queue is acknowledged
	}
	for name, r := range c.resources {
		deleted, replaced := absent, absent
		if kind, _ := r["Type"].(string); slices.Contains(kept, kind) {
			deleted, replaced = "RetainExceptOnCreate", "Retain" // a failed first deployment leaves nothing behind
		}
		if name == "ApiAccount" || name == "ApiLogsRole" { // other APIs may use them already
			deleted, replaced = "Retain", "Retain"
		}
		c.want(name+"/", map[string]string{"DeletionPolicy": deleted, "UpdateReplacePolicy": replaced})
		// SPEC: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-attribute-condition.html, read
		// 2026-11-30: if a resource with a condition is not created, nor are those that depend on it.
		if on, ok := r["DependsOn"].(string); ok {
			c.holds(c.resources[on] != nil, "%s depends on %s, which does not exist", name, on)
		}
	}
}

// uses counts where a node uses a parameter or a condition.
func uses(n *yaml.Node) map[string]int {
	found := map[string]int{}
	var walk func(n *yaml.Node)
	walk = func(n *yaml.Node) {
		switch n.Tag {
		case "!Ref":
			found["Ref "+n.Value]++
		case "!Condition":
			found["Condition "+n.Value]++
		case "!If":
			found["Condition "+n.Content[0].Value]++
		case "!Sub":
			for _, match := range variable.FindAllStringSubmatch(n.Value, -1) {
				found["Ref "+match[1]]++
			}
		}
		for i, child := range n.Content {
			if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "Condition" {
				found["Condition "+child.Value]++
			}
			walk(child)
		}
	}
	walk(n)
	return found
}
