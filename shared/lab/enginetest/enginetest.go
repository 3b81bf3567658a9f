// Package enginetest starts the local engines that the AWS drivers are tested against: DynamoDB Local, ElasticMQ and
// moto. They are downloaded once from Maven Central and PyPI into the user's cache folder. If that fails, a test is
// skipped with the reason; it fails if CI is set.
package enginetest

import (
	"bytes"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// DynamoDB starts DynamoDB Local and returns its URL. It stops with the test.
func DynamoDB(t testing.TB) string { return dynamoDB(t, "-inMemory").URL }

// DynamoDBOnDisk starts DynamoDB Local with a table store that survives its process.
func DynamoDBOnDisk(t testing.TB) *Engine { return dynamoDB(t, "-dbPath", t.TempDir()) }

func dynamoDB(t testing.TB, store ...string) *Engine {
	return java(t, "com.amazonaws:DynamoDBLocal:2.6.1", append([]string{"-Djava.library.path=lib", "-cp", "lib/*",
		"com.amazonaws.services.dynamodbv2.local.main.ServerRunner", "-sharedDb", "-disableTelemetry", "-port", "PORT"},
		store...)...)
}

// SQS starts ElasticMQ and returns its URL. It stops with the test.
func SQS(t testing.TB) string { return SQSEngine(t).URL }

// SQSEngine starts ElasticMQ. Its messages do not survive its process.
func SQSEngine(t testing.TB) *Engine {
	return java(t, "org.elasticmq:elasticmq-server_2.13:1.7.1", "-Dnode-address.host=127.0.0.1",
		"-Dnode-address.port=PORT",
		"-Drest-sqs.bind-hostname=127.0.0.1", "-Drest-sqs.bind-port=PORT", "-Drest-stats.enabled=false", "-cp", "lib/*",
		"org.elasticmq.server.Main")
}

// Moto starts moto, for all other services, and returns its URL. It stops with the test.
func Moto(t testing.TB) string {
	t.Helper()
	dir := folder(t, "moto-5.2.1-s3-secretsmanager")
	python := filepath.Join(dir, "bin", "python")
	once(t, dir, func() error {
		if err := run("", "python3", "-m", "venv", dir); err != nil {
			return err
		}
		return run("", python, "-m", "pip", "install", "-q", "--disable-pip-version-check",
			"moto[server,s3,secretsmanager]==5.2.1")
	})
	port := FreePort(t)
	return serve(t, port, dir, python, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", port).URL
}

const pom = `<project><modelVersion>4.0.0</modelVersion><groupId>x</groupId><artifactId>x</artifactId><version>1</version>
<packaging>pom</packaging><dependencies><dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version>
</dependency></dependencies></project>`

// java starts a program of Maven Central; PORT in the arguments is replaced by its port.
func java(t testing.TB, artifact string, arguments ...string) *Engine {
	t.Helper()
	dir := folder(t, strings.ReplaceAll(artifact, ":", "-"))
	once(t, dir, func() error {
		part := strings.Split(artifact, ":")
		if err := os.WriteFile(filepath.Join(dir, "pom.xml"), fmt.Appendf(nil, pom, part[0], part[1], part[2]),
			0o644); err != nil {
			return err
		}
		return run(dir, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib", "-DincludeScope=runtime")
	})
	port := FreePort(t)
	for i, argument := range arguments {
		arguments[i] = strings.ReplaceAll(argument, "PORT", port)
	}
	arguments = append([]string{"-Xmx256m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"}, arguments...)
	return serve(t, port, dir, "java", arguments...)
}

func folder(t testing.TB, name string) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		missing(t, err)
	}
	dir := filepath.Join(cache, "esignhooks", name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		missing(t, err)
	}
	return dir
}

// once fetches an engine, while other packages' tests wait for it.
func once(t testing.TB, dir string, fetch func() error) {
	t.Helper()
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		missing(t, err)
	}
	defer lock.Close() // also unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		missing(t, err)
	}
	done := filepath.Join(dir, "done")
	if _, err := os.Stat(done); err == nil {
		return
	}
	if err := fetch(); err != nil {
		missing(t, err)
	}
	if err := os.WriteFile(done, nil, 0o644); err != nil {
		missing(t, err)
	}
}

func run(dir, name string, arguments ...string) error {
	command := exec.Command(name, arguments...)
	command.Dir = dir
	if out, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, out)
	}
	return nil
}

func missing(t testing.TB, reason error) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatalf("engine not available: %v", reason)
	}
	t.Skipf("engine not available: %v", reason)
}

// FreePort returns a port of 127.0.0.1 that is free now.
func FreePort(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return port
}

// Engine is the process of an engine.
type Engine struct {
	URL string

	t       testing.TB
	command func() *exec.Cmd
	running *exec.Cmd
	ended   chan struct{} // closed
}

// serve starts a server and waits until it answers. It is killed when the test ends.
func serve(t testing.TB, port, dir, name string, arguments ...string) *Engine {
	t.Helper()
	e := &Engine{URL: "http://127.0.0.1:" + port, t: t, command: func() *exec.Cmd {
		command := exec.Command(name, arguments...)
		command.Dir = dir
		return command
	}}
	t.Cleanup(func() {
		if e.ended != nil {
			e.running.Process.Kill()
			<-e.ended
		}
	})
	e.start()
	return e
}

func (e *Engine) start() {
	e.t.Helper()
	var out bytes.Buffer
	command, ended := e.command(), make(chan struct{})
	command.Stdout, command.Stderr = &out, &out
	if err := command.Start(); err != nil {
		missing(e.t, err)
	}
	go func() { command.Wait(); close(ended) }()
	e.running, e.ended = command, ended
	for range 600 {
		if answer, err := http.Get(e.URL); err == nil {
			answer.Body.Close()
			return
		}
		select {
		case <-ended:
			missing(e.t, fmt.Errorf("%s ended: %s", command.Path, &out))
		case <-time.After(100 * time.Millisecond):
		}
	}
	missing(e.t, fmt.Errorf("%s does not answer", command.Path))
}

// Signal signals the process.
func (e *Engine) Signal(s os.Signal) { e.running.Process.Signal(s) }

// Restart kills the process and starts another one on the same port.
func (e *Engine) Restart() {
	e.t.Helper()
	e.running.Process.Kill()
	<-e.ended
	e.start()
}
