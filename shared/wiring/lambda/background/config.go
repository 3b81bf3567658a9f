package background

import (
	"regexp"
	"strings"
	"time"

	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
)

// WorkerConfig is the configuration of the worker. Each field names the environment variable that it is read from.
// template.yaml sets them.
type WorkerConfig struct {
	// TABLE_NAME: the name of the DynamoDB table. Required.
	Table string
	// EXPIRE_AFTER_DAYS: the number of days after which the history of an agreement expires, from 30 to 36500.
	// 0 means never. Required.
	ExpireAfter time.Duration
	// PAYLOAD_BUCKET: the name of the S3 bucket for payloads that are too large for a message. Required.
	PayloadBucket string
	// ARCHIVE_BUCKET: the name of the S3 bucket that keeps raw payloads. Empty by default: none are kept.
	ArchiveBucket string
	// REFERENCES: the names of the references that events may carry, separated by commas, or * for all. If it is set but
	// empty, they carry none. Default: externalId.
	References []string
	// INCLUDE_REASONS: true or false. If true, events carry why somebody declined or cancelled.
	// Default: false.
	IncludeReasons bool
	// DEAD_LETTER_QUEUE_URL: the URL of the FIFO queue for deliveries that cannot be read. Required.
	DeadLetterQueueURL string
	// METRICS_NAMESPACE: the CloudWatch namespace of the metrics. Required.
	MetricsNamespace string
}

// ReadWorkerConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once.
func ReadWorkerConfig(lookup func(string) (string, bool)) (WorkerConfig, error) {
	e := wiring.NewEnvironment(lookup)
	c := WorkerConfig{
		Table:              e.Required("TABLE_NAME"),
		ExpireAfter:        e.Expiry("EXPIRE_AFTER_DAYS"),
		PayloadBucket:      e.Required("PAYLOAD_BUCKET"),
		ArchiveBucket:      e.Optional("ARCHIVE_BUCKET"),
		References:         e.References(),
		IncludeReasons:     e.Option("INCLUDE_REASONS"),
		DeadLetterQueueURL: e.Required("DEAD_LETTER_QUEUE_URL"),
		MetricsNamespace:   e.Required("METRICS_NAMESPACE"),
	}
	return c, e.Err()
}

// PublisherConfig is the configuration of the publisher. Each field names the environment variable that it is read
// from. Those without a default are required. template.yaml sets them.
type PublisherConfig struct {
	// EVENT_BUS_NAME: the name of the EventBridge bus.
	EventBus string
	// OUTLET_QUEUE_URL: the URL of the FIFO queue of the events for the application. Empty by default: no application.
	OutletQueueURL string
	// ACCOUNT_ID: the ID of the stack's AWS account. Required with OUTLET_QUEUE_URL.
	AccountID string
	// PAYLOAD_BUCKET: the name of the S3 bucket that keeps events which the bus refuses.
	PayloadBucket string
	// METRICS_NAMESPACE: the CloudWatch namespace of the metrics.
	MetricsNamespace string
}

// ReadPublisherConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once.
func ReadPublisherConfig(lookup func(string) (string, bool)) (PublisherConfig, error) {
	e := wiring.NewEnvironment(lookup)
	c := PublisherConfig{
		EventBus:         e.Required("EVENT_BUS_NAME"),
		OutletQueueURL:   e.Optional("OUTLET_QUEUE_URL"),
		AccountID:        e.Optional("ACCOUNT_ID"),
		PayloadBucket:    e.Required("PAYLOAD_BUCKET"),
		MetricsNamespace: e.Required("METRICS_NAMESPACE"),
	}
	if c.OutletQueueURL != "" {
		e.Required("ACCOUNT_ID")
	}
	return c, e.Err()
}

// OutletConfig is the configuration of the outlet. Each field names the environment variable that it is read from. All
// are required. template.yaml sets them.
type OutletConfig struct {
	// OUTLET_URL: the URL of the application.
	URL string
	// OUTLET_SECRET_ARN: the ARN of the secret that signs the requests.
	SecretARN string
	// OUTLET_QUEUE_URL: the URL of the FIFO queue of the events for the application.
	QueueURL string
	// OUTLET_DEAD_LETTER_QUEUE_URL: the URL of the FIFO queue for the events that the application never took.
	DeadLetterQueueURL string
}

// ReadOutletConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once.
func ReadOutletConfig(lookup func(string) (string, bool)) (OutletConfig, error) {
	e := wiring.NewEnvironment(lookup)
	c := OutletConfig{
		URL:                e.Required("OUTLET_URL"),
		SecretARN:          e.Required("OUTLET_SECRET_ARN"),
		QueueURL:           e.Required("OUTLET_QUEUE_URL"),
		DeadLetterQueueURL: e.Required("OUTLET_DEAD_LETTER_QUEUE_URL"),
	}
	return c, e.Err()
}

// ArchiverConfig is the configuration of the archiver. Each field names the environment variable that it is read from.
// template.yaml sets them.
type ArchiverConfig struct {
	// TABLE_NAME: the name of the DynamoDB table, which holds the vendors' access tokens. Required.
	Table string
	// DOCUMENT_BUCKET: the name of the S3 bucket that keeps the documents. Required.
	DocumentBucket string
	// DOCUMENT_QUEUE_URL: the URL of the queue of completed agreements, the archiver's jobs. Required.
	JobQueueURL string
	// DOCUMENT_DEAD_LETTER_QUEUE_URL: the URL of the dead-letter queue of these jobs. Required.
	JobDeadLetterQueueURL string
	// QUEUE_URL: the URL of the FIFO queue of deliveries, which takes findings too. Required.
	QueueURL string
	// <PROVIDER>_SECRET_ARN: the ARN of each provider's secret, by provider. Empty by default: no documents are fetched
	// from this vendor.
	SecretARNs map[string]string
	// ARCHIVE_FORM_DATA: true or false. If true, what the participants have filled in is archived too.
	// Default: false.
	ArchiveFormData bool
	// METRICS_NAMESPACE: the CloudWatch namespace of the metrics. Required.
	MetricsNamespace string
}

// ReadArchiverConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once.
func ReadArchiverConfig(providers []webhook.Provider, lookup func(string) (string, bool)) (ArchiverConfig, error) {
	e := wiring.NewEnvironment(lookup)
	c := ArchiverConfig{
		Table:                 e.Required("TABLE_NAME"),
		DocumentBucket:        e.Required("DOCUMENT_BUCKET"),
		JobQueueURL:           e.Required("DOCUMENT_QUEUE_URL"),
		JobDeadLetterQueueURL: e.Required("DOCUMENT_DEAD_LETTER_QUEUE_URL"),
		QueueURL:              e.Required("QUEUE_URL"),
		SecretARNs:            secretARNs(e, providers),
		ArchiveFormData:       e.Option("ARCHIVE_FORM_DATA"),
		MetricsNamespace:      e.Required("METRICS_NAMESPACE"),
	}
	return c, e.Err()
}

// ReconcilerConfig is the configuration of the reconciler. Each field names the environment variable that it is read
// from. template.yaml sets them.
type ReconcilerConfig struct {
	// TABLE_NAME: the name of the DynamoDB table. Required.
	Table string
	// EXPIRE_AFTER_DAYS: the number of days after which the history of an agreement expires, from 30 to 36500.
	// 0 means never. Required.
	ExpireAfter time.Duration
	// QUEUE_URL: the URL of the FIFO queue of deliveries, which takes findings too. Required.
	QueueURL string
	// REFERENCES: as for the worker.
	References []string
	// INCLUDE_REASONS: as for the worker.
	IncludeReasons bool
	// <PROVIDER>_SECRET_ARN: the ARN of each provider's secret, by provider. Empty by default: this vendor is not
	// reconciled.
	SecretARNs map[string]string
	// API_URL: the URL under which vendors reach the API, without a slash at its end. Required.
	APIURL string
	// MUTUAL_TLS_DOMAIN: the domain at which vendors must show a client certificate. Empty by default: no
	// vendor must.
	MutualTLSDomain string
	// MUTUAL_TLS_VENDORS: the names of these vendors, separated by spaces. Empty by default.
	MutualTLSVendors []string
	// REQUIRE_URL_TOKEN: true or false. If true, the URL must end in a token, unless the vendor signs the whole body.
	// Required.
	RequireURLToken bool
	// REPAIR_SUBSCRIPTIONS: true or false. If true, a subscription that does not work is repaired at the vendor.
	// Required.
	RepairSubscriptions bool
	// SILENT_AGREEMENT_HOURS: the number of hours without an event after which the vendor is asked about an agreement
	// that has not ended, at most 65535. 0 means never. Required.
	SilentAfter time.Duration
	// METRICS_NAMESPACE: the CloudWatch namespace of the metrics. Required.
	MetricsNamespace string
}

// ReadReconcilerConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once.
func ReadReconcilerConfig(providers []webhook.Provider, lookup func(string) (string, bool)) (ReconcilerConfig, error) {
	e := wiring.NewEnvironment(lookup)
	c := ReconcilerConfig{
		Table:               e.Required("TABLE_NAME"),
		ExpireAfter:         e.Expiry("EXPIRE_AFTER_DAYS"),
		QueueURL:            e.Required("QUEUE_URL"),
		References:          e.References(),
		IncludeReasons:      e.Option("INCLUDE_REASONS"),
		SecretARNs:          secretARNs(e, providers),
		APIURL:              e.Required("API_URL"),
		MutualTLSDomain:     e.Optional("MUTUAL_TLS_DOMAIN"),
		MutualTLSVendors:    strings.Fields(e.Optional("MUTUAL_TLS_VENDORS")),
		RequireURLToken:     e.Bool("REQUIRE_URL_TOKEN"),
		RepairSubscriptions: e.Bool("REPAIR_SUBSCRIPTIONS"),
		SilentAfter:         e.Hours("SILENT_AGREEMENT_HOURS"),
		MetricsNamespace:    e.Required("METRICS_NAMESPACE"),
	}
	if len(c.MutualTLSVendors) > 0 {
		e.Required("MUTUAL_TLS_DOMAIN")
	}
	return c, e.Err()
}

// secretARNs returns the <PROVIDER>_SECRET_ARN of each provider that has one, by provider.
//
// The template writes only the part of the ARN after "secret:". Lambda limits all variables of a function to 4 KB, and
// the ARNs of fifty vendors would not fit. That part is the name of the secret, which Secrets Manager accepts as an ID,
// and a random suffix.
func secretARNs(e *wiring.Environment, providers []webhook.Provider) map[string]string {
	arns := map[string]string{}
	for _, p := range providers {
		name := p.Info().Name
		arn := e.Optional(strings.ToUpper(name) + "_SECRET_ARN")
		if !strings.HasPrefix(arn, "arn:") {
			arn = arnSuffix.ReplaceAllString(arn, "")
		}
		if arn != "" {
			arns[name] = arn
		}
	}
	return arns
}

// arnSuffix is what Secrets Manager appends to a secret's name in its ARN.
var arnSuffix = regexp.MustCompile(`-[0-9A-Za-z]{6}$`)
