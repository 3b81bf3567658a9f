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

// How long a client waits for the beginning of an answer before it asks again.
const (
	ReceiverPatience = 400 * time.Millisecond // leaves time for a second attempt within each of a receiver's deadlines
	Patience         = 2 * time.Second        // of all other functions
)

// AWS configures the clients of a function. Region, credentials and endpoints are those that Lambda and the template put
// into the environment. There is nothing else to look for, neither files nor a metadata service, and with what
// config.LoadDefaultConfig links to look there a function starts half as fast again.
//
// All that the clients ask for may be asked again (at worst, a duplicate is counted twice, or an event that is new), so that an
// attempt is given up soon:
//
//	connection, TLS handshake   500 ms each
//	beginning of the answer     patience, counted from the end of the request
//	attempt as a whole          5 s; the receivers' deadlines are shorter
//	attempts                    3, with a random pause of up to 200 ms before the second and the third
//
// Retries come from a quota: 500 for each client, 5 for a retry, 10 after a timeout; what succeeds gives back, a retry what
// it cost, a first attempt 1. During an outage the quota runs out, and calls have one attempt each; a first attempt is never
// refused and never waits.
//
// WithReadTimeout would not do for patience: it closes idle connections too.
func AWS(patience time.Duration) aws.Config {
	return aws.Config{
		Region:        os.Getenv("AWS_REGION"),
		Credentials:   aws.CredentialsProviderFunc(roleCredentials),
		ConfigSources: []any{endpoints{}},
		HTTPClient:    HTTPClient(5*time.Second, patience),
		Logger:        logging.Nop{}, // its lines are not JSON; what matters comes back as an error
		Retryer: func() aws.Retryer {
			standard := retry.NewStandard(func(o *retry.StandardOptions) {
				o.Backoff = retry.BackoffDelayerFunc(func(int, error) (time.Duration, error) { return rand.N(200 * time.Millisecond), nil })
				o.Retryables = append(o.Retryables, retry.IsErrorRetryableFunc(answerCut))
			})
			return retry.AddWithErrorCodes(standard, "TransactionConflictException") // a write that met a transaction
		},
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenSupported, // as by default
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenSupported,
	}
}

// HTTPClient makes a client of AWS's services: timeout is for an attempt as a whole, patience as in [AWS].
func HTTPClient(timeout, patience time.Duration) aws.HTTPClient {
	transport := awshttp.NewBuildableClient().
		WithDialerOptions(func(d *net.Dialer) { d.Timeout = 500 * time.Millisecond }).
		GetTransport()
	transport.TLSHandshakeTimeout = 500 * time.Millisecond
	transport.ResponseHeaderTimeout = patience
	transport.MaxIdleConnsPerHost = 64
	transport.WriteBufferSize = 16 << 10 // a request with a notification of usual length is one write
	return httpClient{&http.Client{
		Transport:     transport,
		Timeout:       timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // nobody else gets a payload
	}}
}

type httpClient struct{ *http.Client }

// brief is how long a body may be, in bytes, to be copied. What S3 is sent may be longer.
const brief = 512 << 10

// Do sends a request.
//
// Net/http does not see that the SDK's body is in memory, and would write the header by itself first. Then the answer may
// come before net/http has looked whether the body is longer than it should be: by that time the SDK has closed the body,
// whose WriteTo answers io.EOF, and net/http gives up a connection that is in order.
//
// A service closes connections that nobody uses, and a function that was frozen does not know. Net/http then asks again by
// another one, at once, if it is told that it may and can; the SDK would wait first, and count it as an attempt.
// SPEC: https://pkg.go.dev/net/http#Transport (Idempotency-Key), https://github.com/aws/aws-sdk-go-v2/issues/3423
func (c httpClient) Do(r *http.Request) (*http.Response, error) {
	switch {
	case r.ContentLength > brief:
		r.Body = struct{ io.ReadCloser }{r.Body} // without WriteTo
	case r.ContentLength > 0:
		body := make([]byte, r.ContentLength)
		if _, err := io.ReadFull(r.Body, body); err != nil {
			return nil, err
		}
		r.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		r.Body, _ = r.GetBody()
		r.Header["Idempotency-Key"] = nil // is not sent
	}
	return c.Client.Do(r)
}

// roleCredentials are the function's role's. They live as long as the process.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func roleCredentials(context.Context) (aws.Credentials, error) {
	c := aws.Credentials{
		AccessKeyID: os.Getenv("AWS_ACCESS_KEY_ID"), SecretAccessKey: os.Getenv("AWS_SECRET_ACCESS_KEY"),
		SessionToken: os.Getenv("AWS_SESSION_TOKEN"), Source: "environment",
	}
	if !c.HasKeys() {
		return c, errors.New("app: AWS_ACCESS_KEY_ID or AWS_SECRET_ACCESS_KEY is not set")
	}
	return c, nil
}

// endpoints are those that the environment names.
type endpoints struct{}

// GetServiceBaseEndpoint is what the SDK's clients ask a source of configuration for.
//
// SPEC: https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html: the service's variable goes before that
// of all.
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

// HasEndpoint says whether the environment names the address of a service, or of all.
func HasEndpoint(service string) bool { return endpoint(service) != "" }

// answerCut says that an answer that ended in its middle is worth another attempt. The SDK by itself does not think so.
func answerCut(err error) aws.Ternary {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// S3Client addresses buckets by path where an endpoint is given, since local engines have no names for them.
func S3Client(a aws.Config) *awss3.Client {
	return awss3.NewFromConfig(a, func(o *awss3.Options) { o.UsePathStyle = HasEndpoint("S3") })
}
