package template

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/outlet"
	"esignhooks/shared/process"
	"esignhooks/shared/provider"
	"esignhooks/shared/publish"
	"esignhooks/shared/receive"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/vendorapi"
	wiring "esignhooks/shared/wiring/lambda"
)

// apiRules expects an API that reaches the functions with the vendor's bytes, and that writes no URL token to any log.
func apiRules(c *checker) {
	for _, name := range c.of("AWS::Serverless::Api") {
		c.want(name+".", map[string]string{
			"AlwaysDeploy":        "true", // or paths and settings that follow from parameters would stay
			"Auth.ApiKeyRequired": "false",
			// API Gateway decodes other types as UTF-8. These can have other bytes, and are signed.
			"BinaryMediaTypes":           "[application~1octet-stream, application~1xml, multipart~1form-data, text~1xml]",
			"EndpointAccessMode":         "BASIC", // STRICT refuses domains in front of the API
			"EndpointConfiguration.Type": "REGIONAL",
			// Or what proves the sender at PublicUrl could be bypassed.
			"DisableExecuteApiEndpoint": strconv.FormatBool(c.parameters["PublicUrl"] != "" &&
				c.parameters["KeepExecuteApi"] == "false"),
			// API Gateway's own answer to an unknown path is 403, which a vendor's console shows as a wrong key.
			"GatewayResponses.MISSING_AUTHENTICATION_TOKEN.StatusCode":                         "404",
			"GatewayResponses.MISSING_AUTHENTICATION_TOKEN.ResponseTemplates.application/json": `{"message":"Not Found"}`,
			"MethodSettings.0.HttpMethod":                                                      "*",
			"MethodSettings.0.ResourcePath":                                                    "/*",
			"MethodSettings.0.DataTraceEnabled":                                                "false", // a token
			"MethodSettings.0.LoggingLevel":                                                    "OFF",   // a token
			// a dimension
			"Name": "<AWS::StackName>",
			// or a second stage
			"OpenApiVersion": "3.0.1",
			// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-security-policies.html: TLS 1.2 and
			// 1.3. Adobe speaks nothing newer than 1.2.
			"SecurityPolicy":   "SecurityPolicy_TLS13_1_2_2021_06",
			"StageName":        "live", // vendors have registered URLs with it
			"TracingEnabled":   absent, // a trace would record the URL token
			"DefinitionBody":   absent,
			"MethodSettings.1": absent,
		})
		c.want(name+".MethodSettings.0.", map[string]string{
			"ThrottlingRateLimit": c.parameters["RateLimit"], "ThrottlingBurstLimit": c.parameters["BurstLimit"],
		})
		c.throttling()
		c.addresses(name)
		c.mutualTLS()
		c.accessLog(name)
		c.want(name+"/Metadata.checkov.skip.0.", map[string]string{"id": "CKV_AWS_76"})
		c.text(name + "/Metadata.checkov.skip.0.comment")
	}
	c.accountRole()
}

// addresses expects that everybody may call all paths, but those of a vendor with a list of addresses.
func (c *checker) addresses(api string) {
	const statements = ".Auth.ResourcePolicy.CustomStatements."
	c.want(api+statements+"0.", map[string]string{
		"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "execute-api:/*",
	})
	next := 1
	for _, vendor := range []string{"AdobeSign", "ESignGlobal"} { // they sign nothing
		listed := c.parameters[vendor+"AllowedIps"]
		if listed == "" {
			continue
		}
		path := "execute-api:/*/*/webhooks/" + strings.ToLower(vendor)
		c.want(fmt.Sprint(api, statements, next, "."), map[string]string{
			"Effect": "Deny", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "[" + path + ", " + path + "/*]",
			"Condition.NotIpAddress.aws:SourceIp": "[" + strings.ReplaceAll(listed, ",", ", ") + "]",
		})
		next++
	}
	c.want(fmt.Sprint(api, statements, next, "."), map[string]string{"Effect": absent})
}

// mutualTLS expects a domain at which API Gateway verifies client certificates, and that leads to the API.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-custom-domain-tls-version.html, read
// 2026-12-01: an enhanced security policy excludes mutual TLS.
func (c *checker) mutualTLS() {
	for _, name := range c.of("AWS::ApiGateway::DomainName") {
		c.want(name+".", map[string]string{
			"DomainName":                            c.parameters["MutualTlsDomain"],
			"EndpointConfiguration.Types":           "[REGIONAL]",
			"MutualTlsAuthentication.TruststoreUri": c.parameters["MutualTlsTruststore"],
			"RegionalCertificateArn":                c.parameters["MutualTlsCertificateArn"],
			"SecurityPolicy":                        "TLS_1_2",
		})
	}
	mappings := c.of("AWS::ApiGateway::BasePathMapping")
	c.holds(len(mappings) == len(c.of("AWS::ApiGateway::DomainName")), "the domain leads nowhere")
	for _, name := range mappings {
		c.want(name+".", map[string]string{
			"DomainName": "<MutualTlsDomainName>", "RestApiId": "<Api>", "Stage": "<Api.Stage>",
		})
	}
}

// throttling expects defaults with which no vendor is throttled, and a flood stays affordable, and the web ACL.
//
// Adobe sends 30 requests at once: https://helpx.adobe.com/sign/developer/webhook/overview.html. It sends the next one
// after the answer, so after a pause that is many a second, for as long as its queue lasts. A fifth of the account's
// limit is left for other APIs.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html: 10,000 a second and 5,000 at once.
func (c *checker) throttling() {
	const account, burst = 10000, 5000
	rate, at := c.number("Parameters/RateLimit.Default"), c.number("Parameters/BurstLimit.Default")
	c.holds(rate >= 3*30 && rate*2*len(provider.All()) <= account*4/5, "%d requests a second are throttled", rate)
	c.holds(at >= 30*10 && at <= burst/5, "%d requests at once are throttled", at)
	for _, association := range c.of("AWS::WAFv2::WebACLAssociation") {
		c.want(association+".", map[string]string{
			"ResourceArn": "arn:<AWS::Partition>:apigateway:<AWS::Region>::/restapis/<Api>/stages/<Api.Stage>",
			"WebACLArn":   c.parameters["WebAclArn"],
		})
	}
	// Each vendor has two paths. 5 is what a million of a stranger's requests costs.
	daily := func(rate int) int { return rate * 86400 * 5 / 1e6 }
	stated := fmt.Sprintf("at 100 a second, a day costs $%d for each URL that is flooded", daily(rate))
	c.holds(strings.Contains(operate(), stated), "operate.md does not state %q", stated)
}

// accessLog expects fields that hold neither the path, which has the URL token, nor a header, and what the alarm on 413
// needs.
func (c *checker) accessLog(api string) {
	destination, text := c.get(api+".AccessLogSetting.DestinationArn"), c.get(api+".AccessLogSetting.Format")
	if c.parameters["AccessLogs"] == "off" {
		c.holds(destination == absent && text == absent, "an access log is written: %s", text)
		return
	}
	const group = "arn:<AWS::Partition>:logs:<AWS::Region>:<AWS::AccountId>:log-group:"
	c.holds(destination == group+"<ApiLogs>", "the access log goes to %s", destination)
	var format map[string]string
	if err := json.Unmarshal([]byte(text), &format); err != nil {
		c.errorf("the access log is no JSON: %v", err)
	}
	renamed := map[string]string{"time": "requestTime", "sourceIp": "identity.sourceIp", "error": "error.responseType"}
	// A sender may choose requestId, but not extendedRequestId.
	harmless := []string{"error", "extendedRequestId", "httpMethod", "integrationLatency", "requestId", "resourcePath", "responseLatency",
		"responseLength", "sourceIp", "status", "time", "tlsVersion"}
	for _, field := range harmless {
		want := renamed[field]
		if want == "" {
			want = field
		}
		c.holds(format[field] == "$context."+want, "the access log's %s is %q", field, format[field])
	}
	c.holds(len(format) == len(harmless), "the access log has other fields: %s", text)
	filters := c.of("AWS::Logs::MetricFilter")
	for _, name := range []string{"TooLarge", "Forbidden"} {
		c.holds(c.resources[name+"Alarm"] == nil || slices.Contains(filters, name+"Filter"), "nothing counts what %sAlarm reads",
			name)
	}
	for _, filter := range filters {
		metric := strings.TrimSuffix(filter, "Filter")
		c.want(filter+".", map[string]string{
			// SPEC: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
			"FilterPattern": map[string]string{
				"TooLarge":  `{ $.status = "413" }`,
				"Forbidden": `{ ($.status = "403") && ($.error != "WAF_FILTERED") }`,
			}[metric],
			"LogGroupName":                            "<ApiLogs>",
			"MetricTransformations.0.MetricName":      metric,
			"MetricTransformations.0.MetricNamespace": c.namespace(),
			"MetricTransformations.0.MetricValue":     "1",
			"MetricTransformations.0.Unit":            "Count",
		})
	}
}

// forbids reports whether the API refuses senders by their addresses or certificates.
func (c *checker) forbids() bool {
	return c.parameters["AdobeSignAllowedIps"]+c.parameters["ESignGlobalAllowedIps"]+c.parameters["MutualTlsDomain"] != ""
}

// accountRole expects the role with which API Gateway writes access logs, and that the API waits for it.
//
// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html
func (c *checker) accountRole() {
	after := ""
	if c.parameters["AccessLogs"] == "create-role" {
		after = "<ApiAccount>"
		for _, account := range c.of("AWS::ApiGateway::Account") {
			c.want(account+".", map[string]string{"CloudWatchRoleArn": "<ApiLogsRole.Arn>"})
		}
		c.want("ApiLogsRole.", map[string]string{
			"AssumeRolePolicyDocument.Version":                       "2012-10-17",
			"AssumeRolePolicyDocument.Statement.0.Effect":            "Allow",
			"AssumeRolePolicyDocument.Statement.0.Principal.Service": "apigateway.amazonaws.com",
			"AssumeRolePolicyDocument.Statement.0.Action":            "sts:AssumeRole",
			"ManagedPolicyArns": "[arn:<AWS::Partition>:iam::aws:policy/service-role/" +
				"AmazonAPIGatewayPushToCloudWatchLogs]",
		})
	}
	c.want("Api/", map[string]string{"Metadata.After": after})
}

func (c *checker) namespace() string { return "esignhooks/<AWS::StackName>" }

// backgroundNeeds are the functions that are no receivers, with the timeout and the memory that their code needs.
var backgroundNeeds = map[string]struct {
	timeout time.Duration
	memory  int // MB
}{
	// What is left of a batch's time is for the report of what failed.
	"WorkerFunction":    {process.BatchTimeout + 5*time.Second, 512}, // ten payloads of 6 MB, decoded
	"PublisherFunction": {publish.BatchTimeout + 5*time.Second, 256},
	"OutletFunction":    {3 * outlet.Timeout, 256},
	// One download and its upload must fit, and time to delay the job.
	"ArchiverFunction":   {vendorapi.DownloadTimeout + archive.Reserve + 40*time.Second, 512},
	"ReconcilerFunction": {reconcile.LastCall + 3*time.Minute, 256},
}

// functionRules expects of each function what its code relies on.
func functionRules(c *checker) {
	receivers := map[string]string{} // the vendor's resource name, by function
	for _, info := range c.vendors() {
		receivers[info.Resource+"Function"] = info.Resource
	}
	for name := range backgroundNeeds {
		wanted := name != "OutletFunction" || c.parameters["OutletUrl"] != ""
		c.holds((c.resources[name] != nil) == wanted, "there is %s: %t", name, !wanted)
	}
	for _, name := range c.of("AWS::Serverless::Function") {
		c.text(name + ".Description")
		c.want(name, map[string]string{
			"/Metadata.BuildMethod": "makefile", "/Metadata.ContextPath": ".sam/" + c.parameters["Arch"],
			".Architectures": "[" + c.parameters["Arch"] + "]", ".CodeUri": ".", ".Handler": "bootstrap",
			// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html: to 2029-06-30.
			".Runtime":                      "provided.al2023",
			".LoggingConfig.LogFormat":      "JSON", // or a metric would be wrapped in another line
			".LoggingConfig.SystemLogLevel": "WARN", // no lines about success
			".LoggingConfig.LogGroup":       "<" + strings.TrimSuffix(name, "Function") + "Logs>",
			".Tracing":                      c.parameters["Tracing"],
			// A limit of one function takes executions from the others, and an account may have 10 in all.
			".ReservedConcurrentExecutions": absent,
			".EphemeralStorage":             absent, // 512 MB
		})
		timeout, memory := c.seconds(name+".Timeout"), c.number(name+".MemorySize")
		if vendor := receivers[name]; vendor != "" {
			// A start of the process, and the answer. API Gateway waits 29 s.
			// SPEC: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
			least := wiring.PrepareTimeout + receive.Deadline
			c.holds(timeout == 10*time.Second && timeout >= 2*least && timeout < 29*time.Second,
				"%s has %s, and its code needs %s", name, timeout, least)
			c.holds(memory == 256, "%s has %d MB", name, memory) // an event of 6 MB lives about five times
			c.want(name+"/", map[string]string{"DependsOn": "WorkerFunction"})
			c.receiverPaths(name, webhookPathOf(vendor))
		} else {
			want, ok := backgroundNeeds[name]
			c.holds(ok, "what does the code of %s need?", name)
			c.holds(timeout == want.timeout, "%s has %s, and its code needs %s", name, timeout, want.timeout)
			c.holds(memory == want.memory, "%s has %d MB", name, memory)
			after := absent
			if name == "WorkerFunction" { // its items are read by a publisher of the same release
				after = "PublisherFunction"
			}
			c.want(name+"/", map[string]string{"DependsOn": after})
		}
		c.variablesOf(name, receivers[name], memory)
	}
	c.want("ReconcilerFunction.", map[string]string{
		// A pass that fails is not repeated: the next one continues where it stopped.
		"EventInvokeConfig.MaximumRetryAttempts":     "0",
		"EventInvokeConfig.MaximumEventAgeInSeconds": "900", // until the next pass
		"Events.Pass.Type":                           "Schedule",
		"Events.Pass.Properties.Schedule":            "rate(15 minutes)",
		"Events.Pass.Properties.State":               c.ifAsked("ENABLED", "DISABLED"),
	})
	c.holds(archive.MaxDocument < 512_000_000, "the largest document does not fit in the archiver's /tmp")
	c.text("ReconcilerFunction.Events.Pass.Properties.Description")
	c.holds(15*time.Minute >= 3*c.seconds("ReconcilerFunction.Timeout"), "two passes of the reconciler overlap")
}

func webhookPathOf(resource string) string {
	for _, p := range provider.All() {
		if p.Info().Resource == resource {
			return webhookPath(p.Info())
		}
	}
	return ""
}

func (c *checker) receiverPaths(name, path string) {
	for event, want := range map[string]string{"Webhook": path, "WebhookWithToken": path + "/{token}"} {
		c.want(name+".Events."+event+".", map[string]string{
			"Type": "Api", "Properties.Method": "any", // the function itself answers 405
			"Properties.Path": want, "Properties.RestApiId": "<Api>",
		})
	}
}

// variablesOf expects the value of each variable that a function has. Which it needs, TestConfigsMatchTheTemplate
// compares with its code.
func (c *checker) variablesOf(function, vendor string, memory int) {
	archive := ""
	if c.parameters["ArchiveDays"] != "0" {
		archive = "<ArchiveBucket>"
	}
	outletQueue := ""
	if c.parameters["OutletUrl"] != "" {
		outletQueue = "<OutletQueue>"
	}
	var certified []string
	for _, p := range provider.All() {
		name := ""
		if c.parameters[p.Info().Resource+"ClientSubjects"] != "" {
			name = p.Info().Name
		}
		certified = append(certified, name)
	}
	want := map[string]string{
		"API_URL":                        c.apiURL(),
		"ARCHIVE_BUCKET":                 archive,
		"ARCHIVE_FORM_DATA":              c.parameters["ArchiveFormData"],
		"REFERENCES":                     c.parameters["References"],
		"INCLUDE_REASONS":                c.parameters["IncludeReasons"],
		"DEAD_LETTER_QUEUE_URL":          "<DeadLetterQueue>",
		"DOCUMENT_BUCKET":                "<DocumentBucket>",
		"DOCUMENT_DEAD_LETTER_QUEUE_URL": "<DocumentDeadLetterQueue>",
		"DOCUMENT_QUEUE_URL":             "<DocumentQueue>",
		"EVENT_BUS_NAME":                 "<EventBus>",
		"ACCOUNT_ID":                     "<AWS::AccountId>",
		"OUTLET_DEAD_LETTER_QUEUE_URL":   "<OutletDeadLetterQueue>",
		"OUTLET_QUEUE_URL":               outletQueue,
		"OUTLET_SECRET_ARN":              secretARN("OutletSecret"),
		"OUTLET_URL":                     c.parameters["OutletUrl"],
		"EXPIRE_AFTER_DAYS":              c.parameters["ExpireAfterDays"],
		"GOGC":                           "400", // measured: an acknowledgement takes a quarter less CPU time
		"GOMAXPROCS":                     "1",   // below 1,769 MB there is less than one processor
		"METRICS_NAMESPACE":              c.namespace(),
		"CLIENT_SUBJECTS":                c.parameters[vendor+"ClientSubjects"],
		"MUTUAL_TLS_DOMAIN":              c.parameters["MutualTlsDomain"],
		"MUTUAL_TLS_VENDORS":             strings.Join(certified, " "),
		"PAYLOAD_BUCKET":                 "<PayloadBucket>",
		"QUEUE_URL":                      "<Queue>",
		"REPAIR_SUBSCRIPTIONS":           c.parameters["RepairSubscriptions"],
		"REQUIRE_URL_TOKEN":              c.parameters["RequireUrlToken"],
		"SECRET_ARN":                     secretARN(vendor + "Secret"),
		"SILENT_AGREEMENT_HOURS":         c.parameters["SilentAgreementHours"],
		"TABLE_NAME":                     c.tableName(),
	}
	for _, p := range provider.All() {
		info, value := p.Info(), ""
		if c.parameters[info.Resource] == "enabled" {
			value = info.Resource + "Secret-AbCdEf" // the part of the ARN after "secret:"
		}
		want[strings.ToUpper(info.Name)+"_SECRET_ARN"] = value
	}
	for _, service := range []string{"DYNAMODB", "EVENTBRIDGE", "S3", "SECRETS_MANAGER", "SQS"} {
		want["AWS_ENDPOINT_URL_"+service] = "" // only for sam local
	}
	prefix := function + ".Environment.Variables."
	for path := range c.values {
		variable, ok := strings.CutPrefix(path, prefix)
		if value, known := want[variable]; ok && known {
			c.want(prefix, map[string]string{variable: value})
		}
	}
	for _, service := range []string{"DYNAMODB", "EVENTBRIDGE", "S3", "SECRETS_MANAGER", "SQS"} {
		c.want(prefix, map[string]string{"AWS_ENDPOINT_URL_" + service: ""})
	}
	c.want(prefix, map[string]string{"GOGC": "400", "GOMAXPROCS": "1"})
	limit, ok := strings.CutSuffix(c.get(prefix+"GOMEMLIMIT"), "MiB")
	mib, err := strconv.Atoi(limit)
	// The rest is for what Go does not count. Far below, the collector would run all the time.
	c.holds(ok && err == nil && mib*100 >= 80*memory && mib*100 <= 90*memory, "%s has GOMEMLIMIT=%s of %d MB", function,
		limit, memory)
}

// logRules expects that each log belongs to one function or the API, and expires.
func logRules(c *checker) {
	for _, name := range c.of("AWS::Logs::LogGroup") {
		c.want(name+".", map[string]string{
			"RetentionInDays": c.parameters["LogRetentionDays"], "KmsKeyId": c.keyOr(absent),
		})
		c.holds(name == "ApiLogs" || c.resources[strings.TrimSuffix(name, "Logs")+"Function"] != nil, "nothing writes to %s",
			name)
	}
}

// secretRules expects for each vendor a secret with a value that the receivers read, and with a token that fits into a
// URL and cannot be guessed.
func secretRules(c *checker) {
	var wanted []string
	for _, info := range c.vendors() {
		name := info.Resource + "Secret"
		wanted = append(wanted, name)
		title := info.Title
		if strings.HasPrefix(title, info.Resource) {
			title = info.Resource
		}
		const empty = `{"keys":[],"urlTokens":[]}`
		// A change of any of these could overwrite the keys of a deployed stack.
		want := map[string]string{"Description": "<AWS::StackName>: keys of " + title, "Name": absent}
		if info.SignsAll {
			want["SecretString"] = empty
		} else {
			want["GenerateSecretString.ExcludePunctuation"] = "true" // it is a segment of a URL
			want["GenerateSecretString.GenerateStringKey"] = "urlToken"
			want["GenerateSecretString.PasswordLength"] = "43" // of 62 characters: 256 bits
			want["GenerateSecretString.SecretStringTemplate"] = empty
		}
		c.want(name+".", want)
	}
	if c.parameters["OutletUrl"] != "" {
		wanted = append(wanted, "OutletSecret")
		c.want("OutletSecret.", map[string]string{
			"Description": "<AWS::StackName>: signs the requests to the application", "Name": absent,
			"GenerateSecretString.ExcludePunctuation":   "true", // letters and digits are base64
			"GenerateSecretString.GenerateStringKey":    "secret",
			"GenerateSecretString.PasswordLength":       "40", // of 62 characters: more than 192 bits
			"GenerateSecretString.SecretStringTemplate": `{"secrets":[]}`,
		})
	}
	slices.Sort(wanted)
	for _, name := range wanted {
		c.want(name+".", map[string]string{"KmsKeyId": c.keyOr(absent)})
	}
	got := c.of("AWS::SecretsManager::Secret")
	c.holds(slices.Equal(got, wanted), "there are the secrets %q, not %q", got, wanted)
}

// TestFunctionsStartWithTheirVariables starts each function with the template's variables until it asks for work: once
// with the defaults, and once with all vendors disabled.
func TestFunctionsStartWithTheirVariables(t *testing.T) {
	slow.Test(t)
	root, folder := readRoot(t), t.TempDir()
	of := func(name string) string { return strings.ToLower(strings.TrimSuffix(name, "Function")) }
	disabled := map[string]string{}
	for _, p := range provider.All() {
		disabled[p.Info().Resource] = "disabled"
	}
	build := []string{"build", "-o", folder}
	for _, name := range newChecker(root, nil).of("AWS::Serverless::Function") {
		build = append(build, "../../../functions/"+of(name))
	}
	if out, err := exec.Command("go", build...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for title, parameters := range map[string]map[string]string{"": nil, " without vendors": disabled} {
		c := newChecker(root, parameters)
		for _, name := range c.of("AWS::Serverless::Function") {
			environment := []string{
				"AWS_ENDPOINT_URL=http://127.0.0.1:1", "AWS_REGION=us-east-1",
				"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none",
			}
			for variable, value := range c.environment(name) {
				environment = append(environment, variable+"="+value)
			}
			t.Run(name+title, func(t *testing.T) { asksForWork(t, filepath.Join(folder, of(name)), environment) })
		}
	}
}

// environment returns the variables of a function.
func (c *checker) environment(function string) map[string]string {
	found := map[string]string{}
	for path, value := range c.values {
		if name, ok := strings.CutPrefix(path, function+".Environment.Variables."); ok {
			found[name] = value
		}
	}
	return found
}

// asksForWork starts a function, and waits until it asks Lambda for an invocation.
func asksForWork(t *testing.T, binary string, environment []string) {
	asked := make(chan bool, 1)
	lambda := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/invocation/next") {
			asked <- true
		}
		<-r.Context().Done()
	}))
	defer lambda.Close()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	command := exec.CommandContext(ctx, binary)
	command.Env = append(environment, "AWS_LAMBDA_RUNTIME_API="+lambda.Listener.Addr().String())
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case <-asked:
		stop()
		<-ended
	case err := <-ended:
		t.Errorf("%v\n%s", err, &log)
	}
}
