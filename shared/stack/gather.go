package stack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/apigateway"
	"github.com/aws/aws-sdk-go-v2/service/cloudformation"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatch/types"
	awseventbridge "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/sns"

	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// Preflight checks a stack and its account before production, and writes the report. It changes nothing. The stack may
// be of an earlier release, so that it can be checked before it is updated.
func (s *Stack) Preflight(ctx context.Context, w io.Writer) error {
	resources := s.resources(ctx)
	findings := slices.Concat(s.accountFindings(ctx), s.stackFindings(ctx, resources), s.vendorFindings(ctx, resources))
	if err := doctor.ReportOf("preflight", w, findings); err != nil {
		return err
	}
	open := 0
	for _, f := range findings {
		if f.Level == doctor.NotChecked {
			open++
		}
	}
	_, err := fmt.Fprintf(w, "nothing must be fixed; %d of %d checks could not be made\n", open, len(findings))
	return err
}

// resource is a resource of the stack.
type resource struct{ logical, physical, kind string }

func (s *Stack) resources(ctx context.Context) fact[[]resource] {
	f := fact[[]resource]{action: "cloudformation:ListStackResources"}
	pages := cloudformation.NewListStackResourcesPaginator(cloudformation.NewFromConfig(s.config),
		&cloudformation.ListStackResourcesInput{StackName: &s.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			f.err = err
			return f
		}
		for _, r := range page.StackResourceSummaries {
			f.value = append(f.value, resource{
				aws.ToString(r.LogicalResourceId), aws.ToString(r.PhysicalResourceId), aws.ToString(r.ResourceType),
			})
		}
	}
	return f
}

// grouped gives findings a group, and a check to those that have none.
func grouped(group, check string, findings ...doctor.Finding) []doctor.Finding {
	for i := range findings {
		findings[i].Group = group
		if findings[i].Check == "" {
			findings[i].Check = check
		}
	}
	return findings
}

// errEmpty is that of an answer without what was asked for: nothing may pass because of it.
var errEmpty = errors.New("stack: an empty answer")

// accountFindings are about what all stacks of an account share.
func (s *Stack) accountFindings(ctx context.Context) []doctor.Finding {
	settings := fact[concurrency]{action: "lambda:GetAccountSettings"}
	limits, err := lambda.NewFromConfig(s.config).GetAccountSettings(ctx, &lambda.GetAccountSettingsInput{})
	if settings.err = cmp.Or(err, errEmpty); err == nil && limits.AccountLimit != nil {
		settings.err = nil
		settings.value = concurrency{
			int(limits.AccountLimit.ConcurrentExecutions),
			int(aws.ToInt32(limits.AccountLimit.UnreservedConcurrentExecutions)),
		}
	}
	front := fact[gateway]{action: "apigateway:GET"}
	account, err := apigateway.NewFromConfig(s.config).GetAccount(ctx, &apigateway.GetAccountInput{})
	if front.err = err; err == nil {
		front.value.role = aws.ToString(account.CloudwatchRoleArn)
		if t := account.ThrottleSettings; t != nil {
			front.value.rate, front.value.burst = int(t.RateLimit), int(t.BurstLimit)
		}
	}
	vendors := 0
	for _, p := range provider.All() {
		if !s.disabled(p.Info()) {
			vendors++
		}
	}
	return slices.Concat(
		grouped(theAccount, "region", inRegion(s.config.Region, s.parameters)),
		grouped(theAccount, "concurrency", concurrent(settings, s.parameters, vendors)),
		grouped(theAccount, "requests", throttled(front, s.parameters)),
		grouped(theAccount, "access logs", logged(front, s.parameters["AccessLogs"])),
	)
}

// stackFindings are about alarms, what runs, and the table.
func (s *Stack) stackFindings(ctx context.Context, resources fact[[]resource]) []doctor.Finding {
	to := s.parameters["AlarmTopicArn"]
	attributes := fact[map[string]string]{action: "sns:GetTopicAttributes"}
	if to != "" {
		out, err := sns.NewFromConfig(s.config).GetTopicAttributes(ctx, &sns.GetTopicAttributesInput{TopicArn: &to})
		if attributes.err = cmp.Or(err, errEmpty); err == nil && len(out.Attributes) > 0 {
			attributes.err, attributes.value = nil, out.Attributes
		}
	}
	all := grouped(theStack, "", topic(attributes, to)...)
	if resources.err != nil {
		all = append(all, grouped(theStack, "alarms", resources.unread())...)
		all = append(all, grouped(theStack, "runs", resources.unread())...)
	} else {
		names := named(resources.value, "AWS::CloudWatch::Alarm")
		all = append(all, grouped(theStack, "alarms", alarmed(s.alarms(ctx, names), names, to))...)
		for _, t := range s.toggles(ctx, resources.value) {
			all = append(all, grouped(theStack, "runs", t.on(s.parameters["AskVendors"]))...)
		}
	}
	return append(all, grouped(theStack, "", s.durability(ctx).check(s.outputs["TableName"])...)...)
}

func named(resources []resource, kind string) (names []string) {
	for _, r := range resources {
		if r.kind == kind {
			names = append(names, r.physical)
		}
	}
	return names
}

func (s *Stack) alarms(ctx context.Context, names []string) fact[[]alarm] {
	f := fact[[]alarm]{action: "cloudwatch:DescribeAlarms"}
	for some := range slices.Chunk(names, 100) { // at most in one call
		out, err := cloudwatch.NewFromConfig(s.config).DescribeAlarms(ctx, &cloudwatch.DescribeAlarmsInput{
			AlarmNames: some, AlarmTypes: []types.AlarmType{types.AlarmTypeMetricAlarm}, MaxRecords: aws.Int32(100),
		})
		if err != nil {
			f.err = err
			return f
		}
		for _, a := range out.MetricAlarms {
			f.value = append(f.value, alarm{aws.ToString(a.AlarmName), aws.ToBool(a.ActionsEnabled), a.AlarmActions})
		}
	}
	return f
}

// toggles are the event source mappings and the rules, such as the schedule.
func (s *Stack) toggles(ctx context.Context, resources []resource) (all []toggle) {
	functions, events := lambda.NewFromConfig(s.config), awseventbridge.NewFromConfig(s.config)
	for _, r := range resources {
		t := toggle{name: r.logical}
		switch r.kind {
		case "AWS::Lambda::EventSourceMapping":
			t.state.action, t.enable = "lambda:GetEventSourceMapping",
				"aws lambda update-event-source-mapping --enabled --uuid "+r.physical
			out, err := functions.GetEventSourceMapping(ctx, &lambda.GetEventSourceMappingInput{UUID: &r.physical})
			if t.state.err = err; err == nil {
				t.state.value = aws.ToString(out.State)
			}
		case "AWS::Events::Rule":
			bus, name, custom := strings.Cut(r.physical, "|")
			in := &awseventbridge.DescribeRuleInput{Name: &r.physical}
			t.enable = "aws events enable-rule --name " + r.physical
			if custom {
				in.Name, in.EventBusName = &name, &bus
				t.enable = "aws events enable-rule --name " + name + " --event-bus-name " + bus
			}
			t.state.action = "events:DescribeRule"
			out, err := events.DescribeRule(ctx, in)
			if t.state.err = err; err == nil {
				t.state.value = string(out.State)
			}
		default:
			continue
		}
		all = append(all, t)
	}
	return all
}

// listed is a client whose subscriptions were asked for before.
type listed struct {
	vendorapi.Client
	subscriptions []vendorapi.Subscription
	err           error
}

func (l listed) Subscriptions(context.Context) ([]vendorapi.Subscription, error) {
	return l.subscriptions, l.err
}

// vendorFindings are about secrets, URLs and subscriptions.
func (s *Stack) vendorFindings(ctx context.Context, resources fact[[]resource]) (all []doctor.Finding) {
	d := &doctor.Doctor{Now: time.Now, Roots: s.roots, Quiet: true}
	apis := append(named(resources.value, "AWS::ApiGateway::RestApi"), "")
	var patients []doctor.Patient
	for _, p := range provider.All() {
		info := p.Info()
		if s.disabled(info) {
			continue
		}
		text, err := s.secret(ctx, info.Name)
		if err != nil {
			read := fact[string]{err: err, action: "secretsmanager:GetSecretValue"}
			if s.parameters["KmsKeyArn"] != "" {
				read.action += " and kms:Decrypt"
			}
			f := read.unread()
			if arn := s.output(info.Name, "Secret"); arn == "" || code(err) == "ResourceNotFoundException" {
				f = found(doctor.Failure, "the stack has no secret for it: deploy the stack again")
			}
			all = append(all, grouped(info.Title, "secret", f)...)
			continue
		}
		all = append(all, grouped(info.Title, "secret", written(text, s.output(info.Name, "Secret"))...)...)
		patient, err := s.patient(ctx, p)
		if err != nil {
			all = append(all, grouped(info.Title, "keys",
				found(doctor.Failure, "%v: repair the secret, or deploy the stack again", err))...)
			continue
		}
		if err := patient.ClientErr; err != nil && !errors.Is(err, vendorapi.ErrOff) {
			all = append(all, grouped(info.Title, "secret", found(doctor.Failure, "%s: repair it",
				strings.ReplaceAll(err.Error(), "\n", "; ")))...)
		} else if err == nil {
			subscriptions, err := patient.Client.Subscriptions(ctx)
			patient.Client = listed{patient.Client, subscriptions, err}
		}
		patients = append(patients, patient)
	}
	for _, patient := range patients {
		info := patient.Provider.Info()
		reached := d.Examine(ctx, []doctor.Patient{patient}, patients)
		if l, ok := patient.Client.(listed); ok && l.err == nil {
			reached = slices.DeleteFunc(reached, func(f doctor.Finding) bool { return f.Check == "vendor" })
			reached = append(reached, grouped(info.Title, "", registration{
				provider: info, address: patient.Address, keys: patient.Keys, subscriptions: l.subscriptions, apiID: apis[0],
				publicURL: s.parameters["PublicUrl"] != "", kept: s.parameters["KeepExecuteApi"] == "true",
			}.check()...)...)
		}
		all = append(all, needs12(info, reached)...)
	}
	slices.SortStableFunc(all, func(a, b doctor.Finding) int { return strings.Compare(a.Group, b.Group) })
	return append(all, s.oldTLS(ctx, d, all)...)
}

// needs12 makes a failure of a URL that speaks only TLS 1.3, if the vendor speaks only TLS 1.2.
//
// SPEC: https://helpx.adobe.com/sign/developer/webhook/overview.html (from memory): webhooks use TLS 1.2, and not 1.3.
func needs12(info webhook.Info, findings []doctor.Finding) []doctor.Finding {
	for i, f := range findings {
		if info.Name == "adobesign" && f.Check == "TLS" && strings.Contains(f.Text, "only TLS 1.3") {
			findings[i].Level = doctor.Failure
		}
	}
	return findings
}

// oldTLS examines the own domain, if it was reached. The minimum of execute-api cannot be changed.
func (s *Stack) oldTLS(ctx context.Context, d *doctor.Doctor, findings []doctor.Finding) []doctor.Finding {
	public, err := url.Parse(s.parameters["PublicUrl"])
	if err != nil || public.Host == "" {
		return nil
	}
	reached := slices.ContainsFunc(findings, func(f doctor.Finding) bool {
		return f.Check == "reachability" && f.Level == doctor.OK
	})
	if !reached {
		return grouped(theURL, "old TLS", found(doctor.NotChecked, "the URL is not reached"))
	}
	return grouped(theURL, "old TLS", oldTLS(d.AcceptsOldTLS(ctx, public.String()), public.Hostname()))
}
