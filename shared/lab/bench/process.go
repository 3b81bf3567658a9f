package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// process is a running child. Nothing but kill ends it, or its own end.
type process struct {
	*exec.Cmd
	started time.Time
	output  *output
	ended   chan struct{} // closed
}

// run starts a command with this environment and no other variable.
func run(c *exec.Cmd, env []string) (*process, error) {
	p := &process{Cmd: c, output: &output{}, ended: make(chan struct{})}
	c.Env, c.Stdout, c.Stderr = env, p.output, p.output
	c.WaitDelay = time.Second
	p.started = time.Now()
	if err := c.Start(); err != nil {
		return nil, err
	}
	go func() {
		c.Wait()
		close(p.ended)
	}()
	return p, nil
}

// kill ends the process without a warning, and waits for its end.
func (p *process) kill() error {
	err := p.Process.Kill()
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	<-p.ended
	return err
}

// cpu is the processor time that the process has used so far, its calls of the kernel included.
//
// SPEC: https://docs.kernel.org/scheduler/sched-stats.html: the first number of schedstat is the time on the processor in
// nanoseconds. There is a file for each thread; those of Go stay until the process ends.
func (p *process) cpu() (time.Duration, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", p.Process.Pid))
	if err != nil || len(files) == 0 {
		return 0, fmt.Errorf("bench: /proc tells no processor time of process %d; this needs Linux", p.Process.Pid)
	}
	var total time.Duration
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(b), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n)
	}
	return total, nil
}

// memory is what of the process is resident, in bytes: now and at most so far. The pages of its binary count.
//
// SPEC: https://man7.org/linux/man-pages/man5/proc_pid_status.5.html: VmRSS and VmHWM, in kB of 1,024 bytes.
func (p *process) memory() (now, peak int, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ":")
		kilobytes, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		switch name {
		case "VmRSS":
			now = kilobytes << 10
		case "VmHWM":
			peak = kilobytes << 10
		}
	}
	return now, peak, nil
}

// output counts what a process writes, and keeps the beginning and the end of it.
type output struct {
	mu            sync.Mutex
	bytes         int
	processed     int    // lines of the worker that say so
	line          []byte // begun
	first, recent []byte
}

const kept = 8 << 10

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.bytes += len(p)
	o.line = append(o.line, p...)
	end := bytes.LastIndexByte(o.line, '\n') + 1
	o.processed += bytes.Count(o.line[:end], []byte(`"msg":"processed"`))
	o.line = append(o.line[:0], o.line[end:]...)
	o.first = append(o.first, p[:min(len(p), kept-len(o.first))]...)
	o.recent = append(o.recent, p...)
	if extra := len(o.recent) - kept; extra > 0 {
		o.recent = append(o.recent[:0], o.recent[extra:]...)
	}
	return len(p), nil
}

func (o *output) count() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.bytes
}

func (o *output) events() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.processed
}

func (o *output) begin() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.first)
}

func (o *output) end() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.recent)
}
