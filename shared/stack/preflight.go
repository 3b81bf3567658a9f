package stack

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws/arn"
	"github.com/aws/smithy-go"

	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/plumbing/terminal"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// The groups of what belongs to no vendor.
const (
	theAccount = "The account"
	theStack   = "The stack"
	theURL     = "The URL"
)

// fact is what was read from AWS, or why it could not be read.
type fact[T any] struct {
	value  T
	err    error
	action string // of IAM, which reads it
}

// unread is the finding of a check whose fact could not be read. Such a check has not passed.
func (f fact[T]) unread() doctor.Finding {
	found := doctor.Finding{Level: doctor.NotChecked, Text: "needs " + f.action + ": let your role use it"}
	if !denied(f.err) {
		found.Text = "needs " + f.action + ", which failed (" + code(f.err) + "): try again later"
	}
	return found
}

// denied reports whether AWS has refused a call because of permissions.
func denied(err error) bool {
	var answer smithy.APIError
	return errors.As(err, &answer) &&
		(strings.HasPrefix(answer.ErrorCode(), "AccessDenied") || answer.ErrorCode() == "AuthorizationError")
}

// code is short, and names no account or resource.
func code(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		return answer.ErrorCode()
	}
	return "no usable answer"
}

func found(level doctor.Level, text string, arguments ...any) doctor.Finding {
	return doctor.Finding{Level: level, Text: fmt.Sprintf(text, arguments...)}
}

// number returns a parameter; 0 if the stack is of a release without it.
func number(parameters map[string]string, name string) int {
	n, _ := strconv.Atoi(parameters[name])
	return n
}

// concurrency is what an account has in a region.
type concurrency struct{ limit, unreserved int }

// forEachReceiver is how many requests of one vendor may be answered at a time: at 50 ms each, 200 a second.
const forEachReceiver = 10

// publishers run at a time, one for each shard of the stream. A new table has four.
const publishers = 4

// concurrent checks that all functions can run at the same time. Throttled receivers lose no event, but some vendors
// pause or give up. vendors is how many are enabled.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html (from memory): a new account may have a
// limit below 1,000; L-B99A9384 is the quota.
func concurrent(f fact[concurrency], parameters map[string]string, vendors int) doctor.Finding {
	if f.err != nil {
		return f.unread()
	}
	behind := number(parameters, "MaxConcurrency") + publishers + 2 + 1 // worker; archiver, reconciler
	if parameters["OutletUrl"] != "" {
		behind += 10
	}
	const more = "aws service-quotas request-service-quota-increase --service-code lambda --quota-code L-B99A9384 " +
		"--desired-value 1000"
	switch left := f.value.unreserved - behind; {
	case left < vendors:
		return found(doctor.Failure, "%d of the account's %d executions at a time are not reserved. The functions "+
			"behind the queue may take %d, and each vendor needs one: %s; until then deploy with a lower MaxConcurrency",
			f.value.unreserved, f.value.limit, behind, more)
	case left < forEachReceiver*vendors:
		return found(doctor.Warning, "%d of the account's %d executions at a time are not reserved. The functions "+
			"behind the queue may take %d, which leaves %d for receivers, and peaks are answered 429: %s",
			f.value.unreserved, f.value.limit, behind, left, more)
	default:
		return found(doctor.OK, "%d executions at a time are not reserved, of which %d are left for receivers",
			f.value.unreserved, left)
	}
}

// gateway is what API Gateway has for the whole account in a region.
type gateway struct {
	role        string
	rate, burst int
}

// throttled compares the limits of the account with those of the stack's URLs.
func throttled(f fact[gateway], parameters map[string]string) doctor.Finding {
	rate, burst := number(parameters, "RateLimit"), number(parameters, "BurstLimit")
	switch {
	case f.err != nil:
		return f.unread()
	case f.value.rate == 0:
		return found(doctor.NotChecked, "the answer to %s names no limits", f.action)
	case f.value.rate < rate:
		return found(doctor.Failure, "API Gateway takes %d requests a second for the whole account, less than "+
			"RateLimit=%d: ask for more, with the quota's code from aws service-quotas list-service-quotas "+
			"--service-code apigateway; or deploy with a lower RateLimit", f.value.rate, rate)
	case f.value.burst < burst:
		return found(doctor.Warning, "API Gateway takes %d requests at once for the whole account, less than "+
			"BurstLimit=%d: deploy with a lower BurstLimit", f.value.burst, burst)
	}
	return found(doctor.OK, "API Gateway takes %d requests a second, and %d at once, for the whole account",
		f.value.rate,
		f.value.burst)
}

// logged checks that API Gateway can write access logs.
func logged(f fact[gateway], accessLogs string) doctor.Finding {
	switch {
	case accessLogs == "off":
		return found(doctor.Warning, "AccessLogs=off, so no alarm starts when a request is too large: deploy with "+
			"AccessLogs=create-role, or use-role")
	case f.err != nil:
		return f.unread()
	case f.value.role == "" && accessLogs == "use-role":
		return found(doctor.Failure, "API Gateway has no role in this region, which AccessLogs=use-role needs: aws "+
			"apigateway update-account --patch-operations op=replace,path=/cloudwatchRoleArn,value=<ARN of a role>; or "+
			"deploy with AccessLogs=create-role")
	case f.value.role == "":
		return found(doctor.Failure, "API Gateway has no role in this region, so it writes no access logs: deploy the "+
			"stack again with AccessLogs=create-role")
	}
	return found(doctor.OK, "API Gateway has the role %s", f.value.role)
}

// inRegion checks that what the parameters name is in the region of the stack.
func inRegion(region string, parameters map[string]string) doctor.Finding {
	for _, name := range []string{"AlarmTopicArn", "KmsKeyArn", "TableStreamArn", "WebAclArn"} {
		named, err := arn.Parse(parameters[name])
		if err == nil && named.Region != region {
			return found(doctor.Failure, "%s is in %s, and the stack in %s: make one there, and deploy with its ARN", name,
				named.Region, region)
		}
	}
	return found(doctor.OK, "%s, with all that the parameters name", region)
}

// topic checks that somebody gets what alarms publish. Its fact holds the attributes.
//
// SPEC: https://repost.aws/knowledge-center/cloudwatch-configure-alarm-sns, read 2026-12-01: an alarm cannot
// publish to a topic that is encrypted with alias/aws/sns, since nobody can change the policy of that key.
func topic(f fact[map[string]string], topicARN string) (all []doctor.Finding) {
	add := func(check string, one doctor.Finding) {
		one.Check = check
		all = append(all, one)
	}
	var answer smithy.APIError
	switch {
	case topicARN == "":
		add("alarm topic", found(doctor.Failure, "there is none, so alarms notify nobody: aws sns create-topic --name "+
			"esignhooks-alarms, and deploy with its ARN as AlarmTopicArn"))
		return all
	case errors.As(f.err, &answer) && (answer.ErrorCode() == "NotFound" || answer.ErrorCode() == "NotFoundException"):
		add("alarm topic", found(doctor.Failure, "%s does not exist: make one, and deploy with its ARN as AlarmTopicArn",
			topicARN))
		return all
	case f.err != nil:
		add("alarm topic", f.unread())
		add("encryption", f.unread())
		return all
	}
	switch n, _ := strconv.Atoi(f.value["SubscriptionsConfirmed"]); {
	case n > 0:
		add("alarm topic", found(doctor.OK, "has %d confirmed subscriptions", n))
	case f.value["SubscriptionsPending"] > "0":
		add("alarm topic", found(doctor.Failure, "no subscription is confirmed, so alarms notify nobody: open the "+
			"link in the message that its address has got; aws sns list-subscriptions-by-topic --topic-arn %s shows it",
			topicARN))
	default:
		add("alarm topic", found(doctor.Failure, "nobody subscribes, so alarms notify nobody: aws sns subscribe "+
			"--topic-arn %s --protocol email --notification-endpoint <address>, and open the link in the message", topicARN))
	}
	switch key := f.value["KmsMasterKeyId"]; {
	case key == "":
		add("encryption", found(doctor.OK, "the topic has no key that could keep alarms out"))
	case strings.HasSuffix(key, "alias/aws/sns"):
		add("encryption", found(doctor.Failure, "the topic is encrypted with alias/aws/sns, so it gets nothing from "+
			"alarms: aws sns set-topic-attributes --topic-arn %s --attribute-name KmsMasterKeyId --attribute-value <ID "+
			"of your own key, or '' for none>", topicARN))
	default:
		add("encryption", found(doctor.NotChecked, "the topic has a key of its own, whose policy must let "+
			"cloudwatch.amazonaws.com use kms:Decrypt and kms:GenerateDataKey*: send yourself a test with aws cloudwatch "+
			"set-alarm-state --state-value ALARM --state-reason test --alarm-name <name>"))
	}
	return all
}

// alarm is an alarm as it is in CloudWatch.
type alarm struct {
	name    string
	enabled bool
	actions []string
}

// alarmed checks that all alarms of the stack are there and notify the topic.
func alarmed(f fact[[]alarm], names []string, topicARN string) doctor.Finding {
	if f.err != nil {
		return f.unread()
	}
	var off, mute, missing []string
	for _, name := range names {
		i := slices.IndexFunc(f.value, func(a alarm) bool { return a.name == name })
		switch {
		case i < 0:
			missing = append(missing, name)
		case !f.value[i].enabled:
			off = append(off, name)
		case topicARN != "" && !slices.Contains(f.value[i].actions, topicARN):
			mute = append(mute, name)
		}
	}
	switch {
	case len(names) == 0:
		return found(doctor.Failure, "the stack has none: deploy it again")
	case len(missing) > 0:
		return found(doctor.Failure, "%d alarms are missing (%s): deploy the stack again", len(missing),
			strings.Join(missing, ", "))
	case len(off) > 0:
		return found(doctor.Failure, "the actions of %d are disabled: aws cloudwatch enable-alarm-actions "+
			"--alarm-names %s",
			len(off), strings.Join(off, " "))
	case len(mute) > 0:
		return found(doctor.Failure, "%d do not notify the topic (%s): deploy the stack again with AlarmTopicArn=%s",
			len(mute),
			strings.Join(mute, ", "), topicARN)
	}
	return found(doctor.OK, "%d are there, and their actions are enabled", len(names))
}

// toggle is something that somebody may have switched off.
type toggle struct {
	name   string // in the template
	state  fact[string]
	enable string // the command
}

// asks are the prefixes of what AskVendors=false switches off.
var asks = []string{"Archiver", "Document", "Reconciler"}

// on checks an event source mapping or a rule.
func (s toggle) on(askVendors string) doctor.Finding {
	state := strings.ToLower(s.state.value)
	ours := slices.ContainsFunc(asks, func(prefix string) bool { return strings.HasPrefix(s.name, prefix) })
	switch {
	case s.state.err != nil:
		f := s.state.unread()
		f.Text = s.name + " " + f.Text
		return f
	case askVendors == "false" && ours:
		return found(doctor.OK, "%s is %s, with AskVendors=false", s.name, state)
	case state == "enabled":
		return found(doctor.OK, "%s is enabled", s.name)
	case state == "disabled" || state == "disabling":
		return found(doctor.Failure, "%s is %s, so what it feeds does not run: %s", s.name, state, s.enable)
	}
	return found(doctor.Warning, "%s is %s: run make preflight again in a minute", s.name, cmp.Or(state, "not known"))
}

// durability is whether the table can be lost.
type durability struct{ protected, recoverable fact[bool] }

// check gives advice: a stack works without both.
func (t durability) check(name string) []doctor.Finding {
	backup, protection := found(doctor.OK, "the table can be restored to any second of the last days"),
		found(doctor.OK, "the table refuses to be deleted")
	if t.recoverable.err != nil {
		backup = t.recoverable.unread()
	} else if !t.recoverable.value {
		backup = found(doctor.Warning, "point-in-time recovery is off: aws dynamodb update-continuous-backups "+
			"--table-name %s --point-in-time-recovery-specification PointInTimeRecoveryEnabled=true", name)
	}
	if t.protected.err != nil {
		protection = t.protected.unread()
	} else if !t.protected.value {
		protection = found(doctor.Warning, "the table can be deleted by mistake: deploy with DeletionProtection=true, or, if "+
			"it was restored, aws dynamodb update-table --table-name %s --deletion-protection-enabled", name)
	}
	backup.Check, protection.Check = "recovery", "protection"
	return []doctor.Finding{backup, protection}
}

// placeholder matches what people write where a value is still to be filled in.
var placeholder = regexp.MustCompile(`(?i)^(<.*>|\{.*\}|\$\{?\w+\}?|\.{3}|…|x{3,}|key|secret|token|` +
	`hmac[-_ ]?key|api[-_ ]?key|client[-_ ]?id|test|todo|tbd|none|null|undefined|` +
	`(change|replace|fill)[-_ ]?(me|this|in)?|your[-_ ].*|dummy|example|placeholder|password)$`)

// written checks how the secret of a vendor is written. Nothing of it is shown but names and fingerprints.
func written(text, secret string) (all []doctor.Finding) {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.DisallowUnknownFields()
	var stored webhook.StoredKeys
	if err := d.Decode(&stored); err != nil {
		if unknown, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok && len(unknown) <= 32 {
			all = append(all, found(doctor.Failure, "the unknown member %s is read by nothing; the members are keys, "+
				"urlTokens, urlToken and api: rename or remove it in %s", unknown, secret))
		} else {
			all = append(all, found(doctor.Failure, `it is not like {"keys": ["…"], "urlTokens": ["…"], "urlToken": "…"}: `+
				"write it again into %s", secret))
		}
		json.Unmarshal([]byte(text), &stored)
	}
	for _, value := range webhook.Secrets(slices.Concat(stored.Keys, stored.URLTokens, []string{stored.URLToken})...) {
		if placeholder.MatchString(value.Reveal()) {
			all = append(all, found(doctor.Failure, "the value %s is a placeholder, which anybody can guess: put the "+
				"real one into %s", value.Fingerprint(), secret))
		}
	}
	for i := range all {
		all[i].Check = "secret"
	}
	return all
}

// registration is what a vendor has for a webhook of the stack.
type registration struct {
	provider      webhook.Info
	address       string // the stack's, with the token
	keys          webhook.Keys
	subscriptions []vendorapi.Subscription
	apiID         string // empty: not known
	publicURL     bool   // whether the stack has one
	kept          bool   // whether the API's own URL stays open
}

// check compares the subscriptions that send anything with the URL of the stack.
func (r registration) check() (all []doctor.Finding) {
	register := "make register PROVIDER=" + r.provider.Name + " APPLY=1"
	add := func(level doctor.Level, s vendorapi.Subscription, text string) {
		all = append(all, found(level, "%s %s", terminal.Printable(s.Name), text))
	}
	healthy := false
	for _, s := range r.subscriptions {
		u, err := url.Parse(s.URL)
		if err != nil || !s.Active {
			continue
		}
		own := r.executeAPI(u)
		switch ours := strings.Contains(u.Path+"/", "/webhooks/"+r.provider.Name+"/"); {
		case vendorapi.SameEndpoint(s.URL, r.address):
			s = s.Checked(r.keys)
			for _, problem := range s.Problems {
				add(doctor.Failure, s, terminal.Printable(problem)+": "+register)
			}
			if s.Failures > 0 {
				add(doctor.Warning, s, fmt.Sprintf("could not deliver %d events: resend them at the vendor", s.Failures))
			}
			healthy = healthy || len(s.Problems) == 0
		case r.keys.Certificates.Demanded() && own:
			add(doctor.Failure, s, "calls "+vendorapi.Masked(s.URL)+", where it is refused, because it must show a client "+
				"certificate at "+r.keys.Certificates.Domain()+": "+register+", then delete it at the vendor")
		case own && r.publicURL && r.kept:
			add(doctor.Warning, s, "still calls "+vendorapi.Masked(s.URL)+", which only KeepExecuteApi=true keeps open: "+
				register+", then delete it at the vendor")
		case own && r.publicURL:
			add(doctor.Failure, s, "still calls "+vendorapi.Masked(s.URL)+", which PublicUrl closes: "+register+
				", then delete it at the vendor; deploy with KeepExecuteApi=true until that is done")
		case ours:
			add(doctor.Warning, s, "calls another URL, "+vendorapi.Masked(s.URL)+": if nothing else needs it, delete it "+
				"at the vendor")
		}
	}
	switch {
	case healthy && r.provider.Name == "docusign":
		all = append(all, found(doctor.OK, "one to the URL is active and requires acknowledgement; an "+
			"eventNotification of an envelope must require it too, and is not listed"))
	case healthy:
		all = append(all, found(doctor.OK, "one to the URL is active"))
	default:
		all = append(all, found(doctor.Failure, "no healthy one calls %s: %s", vendorapi.Masked(r.address), register))
	}
	for i := range all {
		all[i].Check = "subscription"
	}
	return all
}

// executeAPI reports whether a URL is the own one of the stack's API.
func (r registration) executeAPI(u *url.URL) bool {
	id, rest, _ := strings.Cut(strings.ToLower(u.Hostname()), ".")
	return strings.HasPrefix(rest, "execute-api.") && (r.apiID == "" || id == strings.ToLower(r.apiID))
}

// oldTLS checks that an own domain refuses TLS 1.0 and 1.1.
func oldTLS(accepted bool, host string) doctor.Finding {
	if accepted {
		return found(doctor.Warning, "%s accepts TLS 1.0 or 1.1, which security audits refuse: aws apigateway "+
			"update-domain-name --domain-name %[1]s --patch-operations op=replace,path=/securityPolicy,value=TLS_1_2", host)
	}
	return found(doctor.OK, "%s refuses TLS 1.0 and 1.1", host)
}
