package background

import (
	"encoding/json"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/lab/faulty"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

// silent accepts connections and never answers, not even in a TLS handshake.
func silent(t *testing.T) (url string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts
	must(t, err)
	t.Cleanup(func() { listener.Close() })
	return "https://" + listener.Addr().String()
}

// finite is an answer's time on a busy machine when the engine behind it hangs without end. The vendors' time limits
// are checked without a stopwatch, by TestDeadlines of shared/receive.
const finite = time.Minute

// TestHangingEngines checks that vendors get an answer, whichever engine hangs. If only the ledger hangs, the answer is
// the acknowledgement.
func TestHangingEngines(t *testing.T) {
	slow.Test(t)
	a := newAccount(t)
	for how, endpoint := range map[string]func(t *testing.T, service string) string{
		"before the handshake":    func(t *testing.T, _ string) string { return silent(t) },
		"before the answer":       func(t *testing.T, service string) string { return always(t, service, faulty.Hang) },
		"before the answer, done": func(t *testing.T, service string) string { return always(t, service, faulty.HangDone) },
		"in the middle of answers": func(t *testing.T,
			service string) string {
			return always(t, service, faulty.HangAnswer)
		},
	} {
		t.Run(how, func(t *testing.T) {
			var group sync.WaitGroup
			defer group.Wait()
			for _, tt := range []struct {
				services []string
				want     int
			}{
				{[]string{"DYNAMODB"}, 200}, {[]string{"SQS"}, 503}, {[]string{"DYNAMODB", "SQS", "S3"}, 503},
				{[]string{"SECRETS_MANAGER"}, 503},
			} {
				receivers := a.hanging(t, endpoint, tt.services)
				for _, p := range provider.All() {
					sizes := []int{0}
					if p.Info().SignsAll {
						sizes = append(sizes, 2<<20) // which is stored first
					}
					for _, size := range sizes {
						request := fresh(t, p, size)
						group.Go(func() {
							answer, took, err := ask(t, receivers[p.Info().Name], request)
							for i := 0; i < 5 && err == nil && tt.want == 200 && answer.StatusCode == 503; i++ { // the other engine was late
								answer, took, err = ask(t, receivers[p.Info().Name], request)
							}
							if err != nil || answer.StatusCode != tt.want || took >= finite {
								t.Errorf("%v hang: %s answers %d to %d bytes after %v, %v", tt.services, p.Info().Name, answer.StatusCode,
									len(request), took, err)
							}
						})
					}
				}
			}
		})
	}
}

// hanging makes the receivers in front of services that hang.
func (a *account) hanging(t *testing.T, endpoint func(*testing.T, string) string,
	services []string) map[string]apigw.Function {
	for _, service := range services {
		name := "AWS_ENDPOINT_URL_" + service
		engine := os.Getenv(name)
		t.Setenv(name, endpoint(t, service))
		defer t.Setenv(name, engine)
	}
	return a.makeReceivers(t)
}

func always(t *testing.T, service string, kind faulty.Kind) string {
	p := faulty.New(t, os.Getenv("AWS_ENDPOINT_URL_"+service), 1)
	p.Set(faulty.Always(faulty.Rates{kind: 1}))
	return p.URL
}

// fresh makes a request about a new agreement, with so much white space after it.
func fresh(t *testing.T, p webhook.Provider, size int) []byte {
	t.Helper()
	key, now := webhook.NewSecret(p.Info().DevelopmentKey), time.Now()
	name, err := sample.Completed(p)
	must(t, err)
	r, _, err := sample.Request(p, name, "", key, now)
	must(t, err)
	if size > 0 {
		r.Body = append(r.Body, strings.Repeat(" ", size)...)
		must(t, p.Sign(r, key, now))
	}
	if !p.Info().SignsAll {
		r.URLToken = urlToken
	}
	return proxyEvent(t, r)
}

// ask invokes a receiver. A [lambda.Handler] does one invocation at a time.
func ask(t *testing.T, receiver apigw.Function, request []byte) (response events.APIGatewayProxyResponse,
	took time.Duration, err error) {
	start := time.Now()
	answer, err := lambda.NewHandler(receiver).Invoke(t.Context(), request)
	took = time.Since(start)
	if err == nil {
		err = json.Unmarshal(answer, &response)
	}
	return response, took, err
}
