package docusign

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"esignhooks/shared/provider/docusign"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// configuration is a Connect configuration as received. When we change it, we send unknown fields back unchanged.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectconfigurations/create, read
// 2026-11-23: the fields; all scalars are strings. Whether an update resets what it does not name is not documented.
type configuration map[string]any

// settings are the required values, each with the problem to report otherwise.
var settings = []struct{ name, value, problem string }{
	{"allowEnvelopePublish", "true", "it is switched off"},
	{"pausePublish", "false", "it is paused"},
	{"allUsers", "true", "it is not for all users of the account"},
	{"allUsersExcept", "false", "it excludes some users of the account"},
	{"requiresAcknowledgement", "true", "it requires no acknowledgement: a failed message is never resent"},
	{"includeHMAC", "true", "it includes no HMAC signature: its messages are refused"},
	{"deliveryMode", "SIM", "it does not send individual messages (SIM)"},
	{"useSoapInterface", "false", "it wraps its messages in SOAP, which is not supported"},
	{"includeDocuments", "false", "it includes documents"},
	{"includeCertificateOfCompletion", "false", "it includes the certificate of completion"},
	{"includeEnvelopeVoidReason", "true", "it omits why an envelope is voided, so that expired envelopes look cancelled"},
	{"enableLog", "true", "its log is switched off, so that failures are not visible"},
}

const format = "restv2.1" // JSON

// The data in the messages. Recipients include the envelope's summary. Whatever else the operator has added stays,
// except for documents.
const (
	recipients   = "recipients"
	customFields = "custom_fields"
	documents    = "documents"
)

// discloses is what the data contains, for an operator.
const discloses = "recipients discloses names and e-mail addresses to this stack's queue, and custom_fields the " +
	"sender's own fields; documents are never included"

func (c configuration) id() string  { return c.scalar("connectId") }
func (c configuration) url() string { return c.scalar("urlToPublishTo") }

// scalar returns a scalar value; empty if it is missing.
func (c configuration) scalar(name string) string {
	s, _ := c[name].(string)
	return s
}

// list returns a list of strings; empty if it is missing.
func (c configuration) list(name string) (list []string) {
	values, _ := c[name].([]any)
	for _, v := range values {
		if s, ok := v.(string); ok {
			list = append(list, s)
		}
	}
	return list
}

// is reports whether a setting has this value. A missing setting means "false".
func (c configuration) is(name, value string) bool {
	return strings.EqualFold(cmp.Or(c.scalar(name), "false"), value)
}

func (c configuration) active() bool {
	return c.is("allowEnvelopePublish", "true") && c.is("pausePublish", "false")
}

// received reports whether it covers envelopes that the account's users receive, instead of those that they send.
func (c configuration) received() bool { return c.is("configurationType", "customrecipient") }

// title identifies it for an operator.
func (c configuration) title() string {
	return fmt.Sprintf("%q (%s)", webhook.Label(c.scalar("name")), webhook.Label(c.id()))
}

// problems lists what is wrong, for an operator.
func (c configuration) problems() (problems []string) {
	for _, s := range settings {
		if !c.is(s.name, s.value) {
			problems = append(problems, s.problem)
		}
	}
	data, _ := c["eventData"].(map[string]any)
	if configuration(data).scalar("version") != format {
		problems = append(problems, "its data format is not REST v2.1 (JSON)")
	}
	if !contains(c.data(), recipients) {
		problems = append(problems, "its messages do not include: "+recipients)
	}
	if contains(c.data(), documents) {
		problems = append(problems, "its messages include: "+documents)
	}
	if names := without(docusign.Events(), c.list("events")); len(names) > 0 {
		problems = append(problems, "it does not send: "+strings.Join(names, ", "))
	}
	return problems
}

// data lists what the messages include.
func (c configuration) data() []string {
	data, _ := c["eventData"].(map[string]any)
	return configuration(data).list("includeData")
}

func contains(names []string, name string) bool {
	return slices.ContainsFunc(names, func(s string) bool { return strings.EqualFold(s, name) })
}

// changes lists what [client.Register] changes, for an operator. Without custom fields, a configuration works, but
// events carry no references.
func (c configuration) changes() []string {
	changes := c.problems()
	if !contains(c.data(), customFields) {
		changes = append(changes, "its messages do not include: "+customFields+", so that events carry no references")
	}
	if !contains(c.data(), customFields) || !contains(c.data(), recipients) {
		changes = append(changes, discloses)
	}
	return changes
}

// missing returns the further events that it does not send. They are no problem.
func (c configuration) missing() []string { return without(docusign.MoreEvents(), c.list("events")) }

// without returns the elements of a that are not in b.
func without(a, b []string) []string {
	return slices.DeleteFunc(slices.Clone(a), func(s string) bool { return slices.Contains(b, s) })
}

// corrected returns the configuration with the required values.
func (c configuration) corrected(webhookURL string) configuration {
	c = maps.Clone(c)
	for _, s := range settings {
		c[s.name] = s.value
	}
	c["urlToPublishTo"] = webhookURL
	data, _ := c["eventData"].(map[string]any)
	data = maps.Clone(data)
	if data == nil {
		data = map[string]any{}
	}
	needed := []string{recipients, customFields}
	data["version"] = format
	data["includeData"] = append(needed, slices.DeleteFunc(c.data(), func(name string) bool {
		return contains(needed, name) || strings.EqualFold(name, documents)
	})...)
	c["eventData"] = data
	c["events"] = append(docusign.Events(), without(c.list("events"), docusign.Events())...)
	return c
}

// failure is an undelivered message. It may belong to an envelope with a notification of its own.
type failure struct {
	ConnectID  webhook.Text `json:"connectId"`
	ConfigURL  webhook.Text `json:"configUrl"`
	EnvelopeID webhook.Text `json:"envelopeId"`
}

func (c *client) configurations(ctx context.Context) ([]configuration, error) {
	var answer struct {
		Configurations webhook.List[configuration] `json:"configurations"`
	}
	err := c.call(ctx, http.MethodGet, "/connect", nil, &answer)
	return answer.Configurations, err
}

// failures reads the log of failures, which covers 15 days at most. We assume that a message leaves it once it is
// delivered. Otherwise Repair resends it, as a duplicate.
//
// SPEC: https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectevents/listfailures, read
// 2026-11-23: without dates there is no filter.
func (c *client) failures(ctx context.Context) ([]failure, error) {
	var answer struct {
		Failures webhook.List[failure] `json:"failures"`
	}
	err := c.call(ctx, http.MethodGet, "/connect/failures", nil, &answer)
	return answer.Failures, err
}

// Subscriptions implements [vendorapi.Client]. It does not list the notifications of single envelopes.
func (c *client) Subscriptions(ctx context.Context) ([]vendorapi.Subscription, error) {
	configurations, err := c.configurations(ctx)
	if err != nil {
		return nil, err
	}
	failures, err := c.failures(ctx)
	if err != nil {
		return nil, err
	}
	var subscriptions []vendorapi.Subscription
	for _, configuration := range configurations {
		s := vendorapi.Subscription{
			Name: configuration.title(), URL: configuration.url(), Active: configuration.active(),
			Problems: configuration.problems(),
		}
		for _, f := range failures {
			if string(f.ConnectID) == configuration.id() || vendorapi.SameEndpoint(string(f.ConfigURL), configuration.url()) {
				s.Failures++
			}
		}
		subscriptions = append(subscriptions, s)
	}
	return subscriptions, nil
}

// Register implements [vendorapi.Client] with an account-level configuration. DocuSign signs with the account's HMAC
// keys, which are created in its console.
//
// It removes nothing that the operator has added, except for documents. The further events are added in a step of their
// own: whether DocuSign refuses a configuration with an event that the account's plan does not have is not documented.
func (c *client) Register(ctx context.Context, webhookURL string) (steps []vendorapi.Step, err error) {
	if !strings.HasPrefix(webhookURL, "https://") {
		return nil, fmt.Errorf("docusign: the URL must begin with https://: %w", vendorapi.ErrInvalid)
	}
	configurations, err := c.configurations(ctx)
	if err != nil {
		return nil, err
	}
	for _, found := range configurations {
		if !vendorapi.SameEndpoint(found.url(), webhookURL) || found.received() {
			continue
		}
		changes := found.changes()
		if found.url() != webhookURL {
			changes = append(changes, "its URL ends in another token")
		}
		if len(changes) > 0 {
			steps = append(steps, vendorapi.Step{
				Description: fmt.Sprintf("change the Connect configuration %s, which leads to %s: %s",
					found.title(), vendorapi.Masked(webhookURL), strings.Join(changes, "; ")),
				Do: c.saving(http.MethodPut, found.corrected(webhookURL)),
			})
		}
		if missing := found.missing(); len(missing) > 0 {
			steps = append(steps, c.extending(webhookURL, missing))
		}
		return steps, nil
	}
	wanted := configuration{"name": "esignhooks", "configurationType": "custom"}.corrected(webhookURL)
	return []vendorapi.Step{{
		Description: fmt.Sprintf("create the Connect configuration %q for all users, with acknowledgement and HMAC, "+
			"without documents, which sends to %s: %s; %s",
			wanted.scalar("name"), vendorapi.Masked(webhookURL), strings.Join(docusign.Events(), ", "), discloses),
		Do: c.saving(http.MethodPost, wanted),
	}, c.extending(webhookURL, docusign.MoreEvents())}, nil
}

// extending returns the step that adds events to the configuration for the URL, which may not exist before. If DocuSign
// refuses them together, it adds those that DocuSign accepts.
func (c *client) extending(webhookURL string, events []string) vendorapi.Step {
	return vendorapi.Step{
		Description: "then add events that not every account has: " + strings.Join(events, ", "),
		Optional:    true,
		Do: func(ctx context.Context) error {
			configurations, err := c.configurations(ctx)
			if err != nil {
				return err
			}
			for _, found := range configurations {
				if found.url() == webhookURL && !found.received() {
					err := c.add(ctx, found, events)
					if errors.Is(err, vendorapi.ErrInvalid) {
						return c.addEach(ctx, found, events)
					}
					return err
				}
			}
			return fmt.Errorf("docusign: %w: no configuration leads to the URL", vendorapi.ErrUnknown)
		},
	}
}

// add adds events to a configuration.
func (c *client) add(ctx context.Context, to configuration, events []string) error {
	extended := maps.Clone(to)
	extended["events"] = append(to.list("events"), without(events, to.list("events"))...)
	return c.saving(http.MethodPut, extended)(ctx)
}

// addEach adds the events that DocuSign accepts, and returns the others in an error.
func (c *client) addEach(ctx context.Context, to configuration, events []string) error {
	var accepted, refused []string
	for _, event := range events {
		switch err := c.add(ctx, to, append(accepted, event)); {
		case err == nil:
			accepted = append(accepted, event)
		case errors.Is(err, vendorapi.ErrInvalid):
			refused = append(refused, event)
		default:
			return err
		}
	}
	if len(refused) > 0 {
		return fmt.Errorf("docusign: %w: %s", vendorapi.ErrInvalid, strings.Join(refused, ", "))
	}
	return nil
}

// saving returns a function that creates a configuration, or updates the one with its connectId.
func (c *client) saving(method string, wanted configuration) func(context.Context) error {
	return func(ctx context.Context) error { return c.call(ctx, method, "/connect", wanted, nil) }
}

// batch is the number of envelopes in one request. DocuSign documents no limit.
const batch = 100

// Repair implements [vendorapi.Client].
//
// SPEC: https://developers.docusign.com/platform/webhooks/connect/pause-a-configuration, read 2026-11-23: messages that
// are held during a pause are sent with the next retry;
// https://developers.docusign.com/docs/esign-rest-api/reference/connect/connectevents/retryforenvelopes, read
// 2026-11-23: the messages of the named envelopes are resent; synchronous must be false, or left out.
func (c *client) Repair(ctx context.Context, webhookURL string) (steps []vendorapi.Step, err error) {
	configurations, err := c.configurations(ctx)
	if err != nil {
		return nil, err
	}
	ids := []string{} // of the configurations for this URL
	for _, found := range configurations {
		if !vendorapi.SameEndpoint(found.url(), webhookURL) {
			continue
		}
		ids = append(ids, found.id())
		if !found.active() {
			resumed := maps.Clone(found)
			resumed["allowEnvelopePublish"], resumed["pausePublish"] = "true", "false"
			steps = append(steps, vendorapi.Step{
				Description: fmt.Sprintf("switch the Connect configuration %s on again", found.title()),
				Do:          c.saving(http.MethodPut, resumed),
			})
		}
	}
	failures, err := c.failures(ctx)
	if err != nil {
		return nil, err
	}
	var envelopes []string
	for _, f := range failures {
		if slices.Contains(ids, string(f.ConnectID)) || vendorapi.SameEndpoint(string(f.ConfigURL), webhookURL) {
			envelopes = append(envelopes, string(f.EnvelopeID))
		}
	}
	slices.Sort(envelopes)
	if envelopes = slices.Compact(envelopes); len(envelopes) > 0 {
		steps = append(steps, vendorapi.Step{
			Description: fmt.Sprintf("resend the undelivered messages of %d envelopes", len(envelopes)),
			Do: func(ctx context.Context) error {
				for some := range slices.Chunk(envelopes, batch) {
					if err := c.call(ctx, http.MethodPut, "/connect/envelopes/retry_queue", map[string]any{"envelopeIds": some},
						nil); err != nil {
						return err
					}
				}
				return nil
			},
		})
	}
	return steps, nil
}
