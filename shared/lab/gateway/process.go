// Package gateway runs the built gateway as a process. Its tests drive it from outside, as vendors, a browser and an
// operator do. Requests are made from the examples of all providers.
package gateway

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Patience is how long to wait for something that a quiet machine does within seconds.
const Patience = 2 * time.Minute

// Build builds the gateway as make run does. The arguments are more flags of go build.
func Build(file string, arguments ...string) error {
	build := exec.Command("go", append(append([]string{"build", "-trimpath", "-o", file}, arguments...),
		"esignhooks/functions/esignhooks")...)
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("go build: %w\n%s", err, text)
	}
	return nil
}

// Process is a gateway that runs.
type Process struct {
	URL string
	*exec.Cmd
	Exited chan struct{} // closed

	output output // stdout and stderr together
	banner output // stdout
	log    output // stderr
}

// commandOf returns the command of a gateway. Its environment has only these variables, PORT and DATA.
func commandOf(binary, data string, env ...string) *exec.Cmd {
	c := exec.Command(binary, "run")
	c.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "PORT=0", "DATA=" + data}, env...)
	return c
}

// Start starts a gateway on the store in data, and waits until it listens.
func Start(binary, data string, env ...string) (*Process, error) {
	p := &Process{Cmd: commandOf(binary, data, env...), Exited: make(chan struct{})}
	p.Stdout, p.Stderr = io.MultiWriter(&p.output, &p.banner), io.MultiWriter(&p.output, &p.log)
	if err := p.Cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.Wait()
		close(p.Exited)
	}()
	err := p.Await("the banner's first line", func() bool { return strings.Contains(p.banner.String(), "\n") })
	if err != nil {
		p.Process.Kill()
		return nil, err
	}
	first, _, _ := strings.Cut(p.banner.String(), "\n")
	at := strings.Index(first, "http://127.0.0.1:")
	if at < 0 {
		p.Process.Kill()
		return nil, fmt.Errorf("the banner's first line %q says no address on 127.0.0.1", first)
	}
	p.URL = strings.TrimSpace(first[at:])
	return p, nil
}

// Stop signals the process and waits for its end.
func (p *Process) Stop(signal os.Signal) error {
	p.Process.Signal(signal)
	select {
	case <-p.Exited:
		return nil
	case <-time.After(Patience):
		p.Process.Kill()
		return fmt.Errorf("the gateway does not stop on %v", signal)
	}
}

// Await waits until done, for as long as a busy machine may need.
func (p *Process) Await(what string, done func() bool) error {
	for deadline := time.Now().Add(Patience); !done(); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.Exited:
			return fmt.Errorf("the gateway ended before %s; it said last:\n%s", what, p.Last())
		default:
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no %s after %v; the gateway said last:\n%s", what, Patience, p.Last())
		}
	}
	return nil
}

// Last returns the end of the output.
func (p *Process) Last() string {
	said := p.output.String()
	return said[max(0, len(said)-2000):]
}

// output collects what a process writes.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}
