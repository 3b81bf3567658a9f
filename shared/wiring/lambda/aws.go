package lambda

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
)

// How long a client waits for a response to begin before it retries.
const (
	ReceiverResponseTimeout = 400 * time.Millisecond // a retry fits into each deadline of a receiver
	ResponseTimeout         = 2 * time.Second        // of all other functions
)

// AWS returns the configuration of a function's clients. Region, credentials and endpoints come from the environment,
// where Lambda and the template put them. There are no configuration files and there is no metadata service, so
// config.LoadDefaultConfig is not used: linking it makes a cold start take 1.5 times as long.
//
// Every call may be retried. At worst, a duplicate is counted twice, or a new event is counted as a duplicate. So
// timeouts are short:
//
//	connection, TLS handshake   500 ms each
//	response begins             responseTimeout, from the end of the request
//	attempt as a whole          5 s; the receivers' deadlines are shorter
//	attempts                    3, with a random pause of up to 200 ms before the second and the third
//
// Each client has a retry quota of 500. A retry costs 5. A retry that succeeds returns its cost, and a first attempt
// that succeeds returns 1. During an outage the quota runs out, and each call has one attempt. A first attempt is never
// refused and never waits.
//
// SPEC: https://github.com/aws/aws-sdk-go-v2 aws/retry, v1.48.0: by default a retry costs 14, which leaves 35 retries.
// A service may ask for a longer pause by x-amz-retry-after; the caller's deadline limits it.
//
// WithReadTimeout is no substitute for responseTimeout: it closes idle connections too.
func AWS(responseTimeout time.Duration) aws.Config {
	var all *string // the SDK does not ask ConfigSources if AWS_ENDPOINT_URL is set and the service's variable is not
	if url := os.Getenv("AWS_ENDPOINT_URL"); url != "" {
		all = &url
	}
	return aws.Config{
		Region:        os.Getenv("AWS_REGION"),
		BaseEndpoint:  all,
		Credentials:   aws.CredentialsProviderFunc(roleCredentials),
		ConfigSources: []any{endpoints{}},
		HTTPClient:    HTTPClient(5*time.Second, responseTimeout),
		Logger:        logging.Nop{}, // the SDK does not log JSON; calls return what matters as errors
		Retryer: func() aws.Retryer {
			standard := retry.NewStandard(func(o *retry.StandardOptions) {
				o.RetryCost = 5
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) {
					return rand.N(200 * time.Millisecond), nil
				})
				o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(truncated))
			})
			return retry.AddWithErrorCodes(standard, "TransactionConflictException") // a write during a transaction
		},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // as by default
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
}

// HTTPClient returns an HTTP client for AWS services. timeout limits an attempt as a whole. responseTimeout is as in
// [AWS].
func HTTPClient(timeout, responseTimeout time.Duration) aws.HTTPClient {
	transport := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 500 * time.Millisecond }).
		GetTransport()
	transport.TLSHandshakeTimeout = 500 * time.Millisecond
	transport.ResponseHeaderTimeout = responseTimeout
	transport.MaxIdleConnsPerHost = 64
	transport.WriteBufferSize = 16 << 10 // a request with a typical notification is one write
	return httpClient{&http.Client{
		Transport: transport,
		Timeout:   timeout,
		// A redirect is not followed: it could send a payload to another host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

type httpClient struct{ *http.Client }

// maxCopied is the size in bytes up to which Do copies a request's body. Uploads to S3 may be larger.
const maxCopied = 512 << 10

// Do sends a request. It copies a small body and makes the request replayable, for two reasons:
//
//   - net/http does not know that the SDK's body is in memory, and would write the header separately. The response may
//     then arrive before net/http has checked that the body has ended. By that time the SDK has closed the body, whose
//     WriteTo returns io.EOF, and net/http drops a healthy connection.
//   - A service closes idle connections, which a frozen function does not notice. net/http retries a replayable request
//     at once on another connection. The SDK would wait first, and count an attempt.
//
// SPEC: https://pkg.go.dev/net/http#Transport (Idempotency-Key), https://github.com/aws/aws-sdk-go-v2/issues/3423
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	switch {
	case r.ContentLength > maxCopied:
		r.Body = struct{ io.ReadCloser }{r.Body} // without WriteTo
	case r.ContentLength > 0:
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, err
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
		r.Header["Idempotency-Key"] = nil // makes the request replayable, and is not sent
	}
	return c.Client.Do(r)
}

// roleCredentials returns the credentials of the function's role. They are valid as long as the process lives.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func roleCredentials(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), Source: "environment",
	}
	if !c.HasKeys() {
		return c, errors.New("lambda: AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set")
	}
	return c, nil
}

// endpoints reads the endpoints of services from AWS_ENDPOINT_URL_<SERVICE> and AWS_ENDPOINT_URL.
type endpoints struct{}

// GetServiceBaseEndpoint implements the SDK's source of configuration.
//
// SPEC: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html: the service's own variable takes
// precedence over AWS_ENDPOINT_URL.
func (endpoints) GetServiceBaseEndpoint(_ context.Context, service string) (string, bool, error) {
	url := endpoint(strings.ToUpper(strings.ReplaceAll(service, " ", "_")))
	return url, url != "", nil
}

func endpoint(service string) string {
	if url := os.Getenv("AWS_ENDPOINT_URL_" + service); url != "" {
		return url
	}
	return os.Getenv("AWS_ENDPOINT_URL")
}

// HasEndpoint reports whether the environment sets the endpoint of a service, or of all services.
func HasEndpoint(service string) bool { return endpoint(service) != "" }

// truncated makes a truncated response retryable. By default the SDK does not retry it.
func truncated(err error) aws.Ternary {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// S3Client returns a client of S3. It addresses buckets by path if an endpoint is set: local engines have no DNS name
// for each bucket.
func S3Client(a aws.Config) *awss3.Client {
	return awss3.NewFromConfig(a, func(o *awss3.Options) { o.UsePathStyle = HasEndpoint("S3") })
}
