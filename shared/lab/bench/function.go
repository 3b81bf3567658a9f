package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// process is a child process.
type process struct {
	*exec.Cmd
	started time.Time
	ended   chan struct{} // closed

	mu      sync.Mutex
	written int
	effects int    // log lines of the worker that report a committed event
	line    []byte // begun
	recent  []byte // the end of the output
}

// run starts a binary with only these variables in its environment.
func run(ctx context.Context, command []string, env ...string) *process {
	p := &process{Cmd: exec.CommandContext(ctx, command[0], command[1:]...), ended: make(chan struct{}), started: time.Now()}
	p.Env, p.Stdout, p.Stderr, p.WaitDelay = env, p, p, time.Second
	check(p.Start())
	go func() {
		p.Wait()
		close(p.ended)
	}()
	return p
}

// kill ends the process as kill -9 does.
func (p *process) kill() {
	p.Process.Kill() // it may have ended
	<-p.ended
}

// Write receives the process's output.
func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.written += len(b)
	p.line = append(p.line, b...)
	end := bytes.LastIndexByte(p.line, '\n') + 1
	p.effects += bytes.Count(p.line[:end], []byte(`"msg":"processed"`))
	p.line = append(p.line[:0], p.line[end:]...)
	p.recent = append(p.recent, b...)
	p.recent = append(p.recent[:0], p.recent[max(0, len(p.recent)-8<<10):]...)
	return len(b), nil
}

func (p *process) output() (written, effects int, recent string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written, p.effects, string(p.recent)
}

// cpu returns the processor time that the process has used, system calls included.
//
// SPEC: https://docs.kernel.org/scheduler/sched-stats.html: the first number of schedstat is the time on the processor
// in nanoseconds. There is one file per thread. Go does not end its threads.
func (p *process) cpu() (total time.Duration) {
	for _, file := range must(filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Process.Pid))) {
		first, _, _ := strings.Cut(string(must(os.ReadFile(file))), " ")
		total += time.Duration(must(strconv.Atoi(first)))
	}
	return total
}

// memory returns how many bytes are resident, now and at the peak.
//
// SPEC: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html: VmRSS and VmHWM, in kB of 1,024 bytes.
func (p *process) memory() (now, peak int) {
	for line := range strings.Lines(string(must(os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))))) {
		fmt.Sscanf(line, "VmRSS: %d kB", &now)
		fmt.Sscanf(line, "VmHWM: %d kB", &peak)
	}
	return now << 10, peak << 10
}

// function is a running Lambda function. It serves one invocation at a time.
type function struct {
	*process
	api     *httptest.Server // the Runtime API
	queue   chan *invocation
	current atomic.Pointer[invocation]
	ready   chan time.Time // when it asked for its first event
	asked   sync.Once
}

type invocation struct {
	id     string
	event  []byte
	begun  time.Time
	answer chan answer
}

type answer struct {
	body   string
	took   time.Duration // since the function received the event
	failed bool
}

// serial makes invocation IDs unique, as on Lambda.
var serial atomic.Uint32

// timeout is the timeout of an invocation, and of anything else that should happen soon.
const timeout = 30 * time.Second

// start starts a function. The environment is what Lambda sets, and env.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
func start(ctx context.Context, binary string, env []string) *function {
	f := &function{queue: make(chan *invocation), ready: make(chan time.Time, 1)}
	f.api = httptest.NewServer(f)
	f.process = run(ctx, []string{binary}, append([]string{
		"AWS_LAMBDA_RUNTIME_API=" + f.api.Listener.Addr().String(), "_HANDLER=bootstrap", "AWS_REGION=eu-central-1",
		"AWS_DEFAULT_REGION=eu-central-1", "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE", "AWS_SESSION_TOKEN=token",
		"AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "AWS_LAMBDA_FUNCTION_NAME=bench",
		"AWS_LAMBDA_FUNCTION_VERSION=$LATEST", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256", "AWS_LAMBDA_LOG_FORMAT=JSON",
		"AWS_LAMBDA_INITIALIZATION_TYPE=on-demand", "AWS_LAMBDA_LOG_GROUP_NAME=bench",
		"AWS_LAMBDA_LOG_STREAM_NAME=2026/11/24/[$LATEST]0123456789abcdef0123456789abcdef",
		"LANG=en_US.UTF-8", "TZ=:UTC", "PATH=/usr/local/bin:/usr/bin:/bin",
	}, env...)...)
	return f
}

func (f *function) stop() {
	f.kill()
	f.api.Close()
}

// ServeHTTP is the Runtime API.
//
// SPEC: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html, read 2026-11-24: GET runtime/invocation/next
// waits for an event; POST runtime/invocation/{id}/response, …/error and runtime/init/error are answered 202.
func (f *function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		body, err := io.ReadAll(r.Body)
		i := f.current.Load()
		if err == nil && i != nil && strings.Contains(r.URL.Path, i.id) && f.current.CompareAndSwap(i, nil) {
			i.answer <- answer{string(body), time.Since(i.begun), !strings.HasSuffix(r.URL.Path, "/response")}
		} else { // such as an error of INIT
			fmt.Fprintf(f.process, "%s: %s\n", r.URL.Path, body)
		}
		w.WriteHeader(http.StatusAccepted)
		return
	}
	f.asked.Do(func() { f.ready <- time.Now() })
	select {
	case <-r.Context().Done():
	case i := <-f.queue:
		i.begun = time.Now()
		f.current.Store(i)
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(i.event)))
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", i.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(i.begun.Add(timeout).UnixMilli(), 10))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:bench")
		w.Header().Set("Lambda-Runtime-Trace-Id",
			"Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0")
		w.Write(i.event)
	}
}

// invoke hands the function an event and returns its answer, which must contain want. A 503, the answer of a receiver on
// a machine that is too busy, is asked for again.
func (f *function) invoke(event []byte, want string) answer {
	for attempt := 1; ; attempt++ {
		a := f.once(event)
		if !a.failed && strings.Contains(a.body, want) {
			return a
		}
		if attempt == 5 || !strings.Contains(a.body, `"statusCode":503`) {
			check(fmt.Errorf("bench: %s answered %.200s, want %s", f.Path, a.body, want))
		}
	}
}

func (f *function) once(event []byte) answer {
	i := &invocation{id: fmt.Sprintf("%08x-0000-4000-8000-000000000000", serial.Add(1)), event: event}
	i.answer = make(chan answer, 1)
	queue := f.queue
	for late := time.After(timeout); ; {
		select {
		case queue <- i:
			queue = nil
		case a := <-i.answer:
			return a
		case <-f.ended:
			f.fail("ended")
		case <-late:
			f.fail("does not answer")
		}
	}
}

// wait returns when INIT ended.
func (f *function) wait() time.Time {
	select {
	case at := <-f.ready:
		return at
	case <-f.ended:
	case <-time.After(timeout):
	}
	f.fail("did not start")
	return time.Time{}
}

func (f *function) fail(how string) {
	_, _, recent := f.output()
	check(fmt.Errorf("bench: %s %s: %s", f.Path, how, recent))
}
