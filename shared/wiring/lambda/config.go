package lambda

import (
	"time"

	"esignhooks/shared/webhook"
)

// ReceiverConfig is the configuration of a receiver. Each field names the environment variable that it is read from.
// Those without a default are required. template.yaml sets them.
type ReceiverConfig struct {
	// TABLE_NAME: the name of the DynamoDB table.
	Table string
	// EXPIRE_AFTER_DAYS: the number of days after which the history of an agreement expires, from 30 to 36500.
	// 0 means never.
	ExpireAfter time.Duration
	// PAYLOAD_BUCKET: the name of the S3 bucket for payloads that are too large for a message.
	PayloadBucket string
	// QUEUE_URL: the URL of the FIFO queue of deliveries.
	QueueURL string
	// SECRET_ARN: the ARN of the secret with the provider's keys and URL tokens.
	SecretARN string
	// REQUIRE_URL_TOKEN: true or false. If true, the URL must end in a token, unless the vendor signs the whole body.
	RequireURLToken bool
	// MUTUAL_TLS_DOMAIN: the domain at which vendors show client certificates. Empty by default.
	MutualTLSDomain string
	// CLIENT_SUBJECTS: the subjects of client certificates, separated by semicolons. The vendor must show one of them at
	// the domain. Empty by default: it shows none.
	Certificates webhook.ClientCertificates
	// METRICS_NAMESPACE: the CloudWatch namespace of the metrics.
	MetricsNamespace string
}

// ReadReceiverConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once.
func ReadReceiverConfig(lookup func(string) (string, bool)) (ReceiverConfig, error) {
	e := NewEnvironment(lookup)
	c := ReceiverConfig{
		Table:            e.Required("TABLE_NAME"),
		ExpireAfter:      e.Expiry("EXPIRE_AFTER_DAYS"),
		PayloadBucket:    e.Required("PAYLOAD_BUCKET"),
		QueueURL:         e.Required("QUEUE_URL"),
		SecretARN:        e.Required("SECRET_ARN"),
		RequireURLToken:  e.Bool("REQUIRE_URL_TOKEN"),
		MutualTLSDomain:  e.Optional("MUTUAL_TLS_DOMAIN"),
		MetricsNamespace: e.Required("METRICS_NAMESPACE"),
	}
	c.Certificates = e.certificates("CLIENT_SUBJECTS", c.MutualTLSDomain)
	return c, e.Err()
}
