package background

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"esignhooks/shared/wiring/lambda/lambdatest"
)

// patience is how long an HTTP client waits: for the response to begin, and for an attempt as a whole.
type patience struct{ response, whole time.Duration }

// patienceOf returns the patience of a field's clients. A receiver's deadlines leave time for a retry.
func (w *wired) patienceOf(field string) patience {
	switch {
	case field == "Documents": // which may be large
		return patience{30 * time.Second, 3 * time.Minute}
	case w.receiver != nil:
		return patience{400 * time.Millisecond, 5 * time.Second}
	}
	return patience{2 * time.Second, 5 * time.Second}
}

// TestClientsGiveUpInTime uses the clients that the constructors make, against services that hang at each step.
func TestClientsGiveUpInTime(t *testing.T) {
	net.LookupHost("localhost") // reads the resolver's configuration, outside of the bubbles
	resolver := net.DefaultResolver
	defer func() { net.DefaultResolver = resolver }()
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	stack := lambdatest.Deploy(t, enabled())
	for _, function := range stack.Functions() {
		t.Run(function, func(t *testing.T) {
			in(t, stack, function, nil, func(t *testing.T, w *wired) {
				seen := 0
				for i := range w.fields.NumField() {
					field := w.fields.Type().Field(i)
					if !field.IsExported() {
						continue
					}
					for _, client := range lambdatest.HTTPClients(w.fields.Field(i).Interface()) {
						seen++
						w.giveUp(t, field.Name, client)
					}
				}
				if seen < 2 {
					t.Errorf("%d clients", seen)
				}
			})
		})
	}
}

func (w *wired) giveUp(t *testing.T, field string, client *http.Client) {
	own := client.Transport.(*http.Transport)
	want := w.patienceOf(field)
	piped := func(serve func(net.Conn)) func(context.Context, string, string) (net.Conn, error) {
		return func(context.Context, string, string) (net.Conn, error) {
			here, there := net.Pipe()
			go serve(there)
			return here, nil
		}
	}
	answering := func(text string) func(net.Conn) {
		return func(conn net.Conn) {
			http.ReadRequest(bufio.NewReader(conn))
			io.WriteString(conn, text)
		}
	}
	for step, tt := range map[string]struct {
		change func(*http.Transport)
		want   time.Duration
	}{
		"finding the address": {func(*http.Transport) {}, 500 * time.Millisecond},
		"the TLS handshake": {func(c *http.Transport) {
			c.DialContext = piped(func(conn net.Conn) { io.Copy(io.Discard, conn) })
		}, 500 * time.Millisecond},
		"the response": {func(c *http.Transport) { c.DialTLSContext = piped(answering("")) }, want.response},
		"the rest of the response": {func(c *http.Transport) {
			c.DialTLSContext = piped(answering("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"))
		}, want.whole},
	} {
		transport := own.Clone()
		tt.change(transport)
		copied := *client
		copied.Transport = transport
		began := time.Now()
		response, err := copied.Get("https://service.example.test")
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if took := time.Since(began); err == nil || took != tt.want {
			t.Errorf("the client of %s waits %v for %s, not %v: %v", field, took, step, tt.want, err)
		}
	}
	if own.MaxIdleConnsPerHost < 50 {
		t.Errorf("the client of %s closes connections that concurrent calls could use again", field)
	}
	if err := client.CheckRedirect(nil, nil); !errors.Is(err, http.ErrUseLastResponse) {
		t.Errorf("the client of %s follows redirects: %v", field, err)
	}
}

// TestCallsAreRetried checks that each call has three attempts, with short pauses of different lengths, and that each
// client may retry a hundred times before it needs a success.
func TestCallsAreRetried(t *testing.T) {
	stack := lambdatest.Deploy(t, enabled())
	for _, function := range stack.Functions() {
		t.Run(function, func(t *testing.T) {
			in(t, stack, function, nil, func(t *testing.T, w *wired) {
				w.Connect(w.fields.Addr().Interface())
				w.Status = http.StatusServiceUnavailable
				for i := range w.fields.NumField() {
					field := w.fields.Type().Field(i)
					switch field.Name {
					case "Claims", "Queue", "Payloads", "Ledger", "DeadLetters", "Bus", "SetAside", "Documents", "Notes", "Table":
					default:
						continue
					}
					began := time.Now()
					w.use(t, w.fields.Field(i).Addr().Interface())
					first := time.Since(began)
					began = time.Now()
					calls := w.use(t, w.fields.Field(i).Addr().Interface())
					if second := time.Since(began); first == second || first == 0 {
						t.Errorf("%s: the pauses are always %v", field.Name, first)
					}
					times := map[string]int{}
					for _, call := range calls {
						times[call]++
					}
					for call, n := range times {
						if n%3 != 0 {
							t.Errorf("%s: %s has %d attempts", field.Name, call, n)
						}
					}
					if limit := time.Duration(len(calls)) * 200 * time.Millisecond; len(calls) < 3 || time.Since(began) > limit {
						t.Errorf("%s: %d attempts in %v", field.Name, len(calls), time.Since(began))
					}
				}
				if field := w.fields.FieldByName("Queue"); field.IsValid() {
					attempts := 0
					for range 60 {
						attempts += len(w.use(t, field.Addr().Interface()))
					}
					if attempts != 60+100-4 { // two calls were retried before
						t.Errorf("60 calls have %d attempts", attempts)
					}
				}
			})
		})
	}
}
