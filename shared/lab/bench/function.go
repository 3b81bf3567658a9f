package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// function is a process of a Lambda function, with a Runtime API of its own to ask for events. It serves one at a time, as
// on Lambda.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, read 2026-11-24: GET runtime/invocation/next waits
// for an event; POST runtime/invocation/{id}/response, …/error and runtime/init/error are answered 202.
type function struct {
	process *process
	server  *http.Server
	queue   chan *invocation
	ready   chan struct{} // closed when it has asked for its first event

	mu      sync.Mutex
	current *invocation
	failure error     // what it told instead of asking for an event
	asked   time.Time // for its first event
}

type invocation struct {
	id     string
	event  []byte
	begun  time.Time
	answer chan answer
}

// answer is what a function made of an event. The time is from when the waiting function was given it.
type answer struct {
	body []byte
	took time.Duration
	err  error
}

// serial numbers the invocations of all functions: an ID never comes again, as on Lambda.
var serial atomic.Uint32

// runtimePath is what the paths of the Runtime API begin with.
const runtimePath = "/2018-06-01/runtime/"

// timeout is of an event, as Lambda's is, and of whatever else is waited for.
const timeout = 30 * time.Second

// start starts a function with nothing in its environment but what Lambda sets, and env.
func start(ctx context.Context, b bootstrap, env ...string) (*function, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	f := &function{queue: make(chan *invocation), ready: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+runtimePath+"invocation/next", f.next)
	mux.HandleFunc("POST "+runtimePath+"invocation/{id}/response", f.end)
	mux.HandleFunc("POST "+runtimePath+"invocation/{id}/error", f.end)
	mux.HandleFunc("POST "+runtimePath+"init/error", f.fail)
	f.server = &http.Server{Handler: mux}
	go f.server.Serve(listener)
	f.process, err = run(exec.CommandContext(ctx, string(b)), append(lambdaEnvironment(listener.Addr().String()), env...))
	if err != nil {
		f.server.Close()
		return nil, fmt.Errorf("bench: start: %w", err)
	}
	return f, nil
}

// lambdaEnvironment is what Lambda sets.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func lambdaEnvironment(runtimeAPI string) []string {
	return []string{
		"AWS_LAMBDA_RUNTIME_API=" + runtimeAPI, "_HANDLER=bootstrap", "AWS_REGION=eu-central-1", "AWS_DEFAULT_REGION=eu-central-1",
		"AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_SESSION_TOKEN=token",
		"AWS_LAMBDA_FUNCTION_NAME=bench", "AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_LAMBDA_LOG_GROUP_NAME=bench", "AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_LAMBDA_LOG_STREAM_NAME=2026/11/24/[$LATEST]0123456789abcdef0123456789abcdef",
		"LANG=en_US.UTF-8", "TZ=:UTC", "PATH=/usr/local/bin:/usr/bin:/bin",
	}
}

// next gives the function its next event.
func (f *function) next(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	if f.asked.IsZero() {
		f.asked = time.Now()
		close(f.ready)
	}
	f.mu.Unlock()
	select {
	case <-r.Context().Done():
	case i := <-f.queue:
		f.mu.Lock()
		f.current, i.begun = i, time.Now()
		f.mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(i.event)))
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.begun.Add(timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:bench")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0")
		w.Write(i.event)
	}
}

// end takes the answer to the current event, be it a response or an error.
func (f *function) end(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	f.mu.Lock()
	defer f.mu.Unlock()
	i := f.current
	if err != nil || i == nil || i.id != r.PathValue("id") {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	f.current = nil
	a := answer{body: body, took: time.Since(i.begun)}
	if r.URL.Path == runtimePath+"invocation/"+i.id+"/error" {
		a.err = fmt.Errorf("bench: the function failed: %s", body)
	}
	i.answer <- a
	w.WriteHeader(http.StatusAccepted)
}

// fail takes the news that the function cannot start.
func (f *function) fail(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	f.mu.Lock()
	f.failure = fmt.Errorf("bench: the function did not start: %s", body)
	f.mu.Unlock()
	w.WriteHeader(http.StatusAccepted)
}

// invoke gives the function an event, as soon as it asks for one, and waits for its answer.
func (f *function) invoke(ctx context.Context, event []byte) answer {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	i := &invocation{id: fmt.Sprintf("%08x-0000-4000-8000-000000000000", serial.Add(1)), event: event, answer: make(chan answer, 1)}
	select {
	case f.queue <- i:
	case <-f.process.ended:
		return answer{err: f.problem()}
	case <-ctx.Done():
		return answer{err: context.Cause(ctx)}
	}
	select {
	case a := <-i.answer:
		return a
	case <-f.process.ended:
		return answer{err: f.problem()}
	case <-ctx.Done():
		return answer{err: context.Cause(ctx)}
	}
}

func (f *function) problem() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return cmp.Or(f.failure, fmt.Errorf("bench: the function ended: %s", f.process.output.end()))
}

// wait waits for the end of INIT.
func (f *function) wait(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case <-f.ready:
		return nil
	case <-f.process.ended:
		return f.problem()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// initialised is how long the process took from its start until it asked for its first event.
func (f *function) initialised() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked.Sub(f.process.started)
}

// stop ends the process and its Runtime API.
func (f *function) stop() error { return errors.Join(f.process.kill(), f.server.Close()) }
