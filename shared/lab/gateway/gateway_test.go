package gateway

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
)

func TestOtherMethodsAreAnsweredWithTheAllowedOnes(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, r := range genuine() {
		methods, allowed := []string{"PUT", "DELETE", "PATCH", "OPTIONS"}, strings.Split(r.provider.Info().Allow, ", ")
		slices.Sort(allowed)
		if !slices.Contains(allowed, "GET") {
			methods = append(methods, "GET", "HEAD")
		}
		for _, method := range methods {
			r.method = method
			got := g.send(r)
			allow := strings.FieldsFunc(got.Header.Get("Allow"), func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(allow)
			if got.Status != http.StatusMethodNotAllowed ||
				!slices.Equal(slices.DeleteFunc(allow, func(m string) bool { return m == "HEAD" }), allowed) {
				t.Errorf("%s %s: got %d with Allow %q, want 405 with %q", method, r.path, got.Status, got.Header.Get("Allow"),
					allowed)
			}
			if method == "GET" && strings.TrimSpace(got.Body) == "" {
				t.Errorf("%s %s: no text says what the URL is for", method, r.path)
			}
		}
	}
	if events := g.events(); len(events) != 0 {
		t.Errorf("other methods left events: %s", names(events))
	}
}

// API Gateway does not know such a path, so its sender must be told before it is registered there.
func TestASlashAtTheEndOfAPathIsLogged(t *testing.T) {
	g := start(t)
	r := message(guid(), "envelope-sent")
	if got := g.send(r.to("/webhooks/docusign")); got.Status != 200 || strings.Contains(g.log.String(), "ends in a slash") {
		t.Errorf("%+v\n%s", got, g.log.String())
	}
	if got := g.send(r.to("/webhooks/docusign/")); got.Status != 200 || !strings.Contains(g.log.String(), "without the slash") {
		t.Errorf("%+v\n%s", got, g.log.String())
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	t.Parallel()
	g := start(t)
	r := message(guid(), "envelope-sent")
	for _, path := range []string{
		"/webhooks", "/webhooks/", "//webhooks/docusign", "/webhooks//docusign", "/webhooks/nobody", "/webhooks/DocuSign",
		"/webhooks/docusign/a/b", "/webhooks/docusign/a/b/c", "/webhook/docusign", "/docusign",
		"/webhooks/docusign/../adobesign",
		"/webhooks/./docusign", "/x/webhooks/docusign", "/webhooks/docusign%2Fa%2Fb", "/webhooks/docusign.json", "/api",
		"/api/",
		"/api/nothing", "/api/agreements/docusign", "/api/events/unknown", "//api/events", "/favicon.ico", "/index.html",
	} {
		for _, method := range []string{"GET", "POST"} {
			r.method = method
			got := g.send(r.to(path))
			if got.Status != http.StatusNotFound {
				t.Errorf("%s %s: got %d, want 404", method, path, got.Status)
			}
		}
	}
	for _, path := range []string{"/api/agreements/docusign/unknown", "/api/agreements/nobody/unknown"} {
		if got := g.send(request{method: "GET", path: path}); got.Status != http.StatusNotFound {
			t.Errorf("%s: got %d, want 404", path, got.Status)
		}
	}
	for _, path := range []string{"/webhooks/docusign/", "/api/events/", "/api/agreements/", "/webhooks/docusign?x=1"} {
		if got := g.send(r.to(path)); got.Status/100 == 3 || got.Header.Get("Location") != "" {
			t.Errorf("%s: got a redirect, %d", path, got.Status)
		}
	}
	if events := g.events(); len(events) > 1 {
		t.Errorf("unknown paths left events: %s", names(events))
	}
}

func TestURLTokens(t *testing.T) {
	t.Parallel()
	var env []string
	for _, p := range provider.All() {
		env = append(env, tokensVariable(p)+"=first-token-8d1f, second-token-22ab")
	}
	g := start(t, env...)
	for _, r := range genuine() {
		for _, token := range []string{
			"", "/", "/wrong", "/first-token-8d1", "/first-token-8d1fX", "/FIRST-TOKEN-8D1F",
			"/first-token-8d1f,second-token-22ab",
			"/first-token-8d1f/x", "/%20first-token-8d1f",
		} {
			for _, method := range []string{"POST", "GET"} {
				sent := r.to(r.path + token)
				sent.method = method
				if got := g.send(sent); got.Status != http.StatusNotFound || strings.Contains(fmt.Sprint(got), r.key) {
					t.Errorf("%s %s%s: got %v, want 404", method, r.path, token, got)
				}
			}
		}
		if n := len(g.events()); n != 0 {
			t.Fatalf("%s: wrong tokens left %d events", r.path, n)
		}
	}
	for _, r := range genuine() {
		g.accept(r.to(r.path+"/first-token-8d1f"), r.to(r.path+"/second-token-22ab"))
		g.refuse(r.forged(t).to(r.path + "/first-token-8d1f"))
		for _, example := range sample.Names(r.provider) {
			if r := messageOf(r.provider, "", example); r.method == http.MethodGet {
				g.accept(r.to(r.path + "/first-token-8d1f"))
			}
		}
	}
	for _, e := range g.events() {
		if e.Duplicates != 1 {
			t.Errorf("%s: got %d duplicates, want one for the second token", e.Provider, e.Duplicates)
		}
	}
}

func tokensVariable(p webhook.Provider) string { return strings.ToUpper(p.Info().Name) + "_URL_TOKENS" }

// A vendor may repeat the URL in its messages.
func TestATokenInAMessageIsMasked(t *testing.T) {
	t.Parallel()
	const token = "token-in-the-path-4f8a1c"
	var env []string
	for _, p := range provider.All() {
		env = append(env, tokensVariable(p)+"="+token)
	}
	g := start(t, env...)
	for _, r := range genuine() {
		url := "https://hooks.example.org" + r.path + "/" + token
		if p := r.provider.Info().Name; strings.Contains(r.body, "/webhooks/"+p) {
			r = r.must(t, strings.ReplaceAll(r.body, "/webhooks/"+p, "/webhooks/"+p+"/"+token))
		}
		g.accept(r.to(r.path + "/" + token))
		g.accept(r.must(t, r.field(`"url":"`+url+`"`)).to(r.path + "/" + token))
		if bad, ok := r.saying(`{"url":"` + url + `"`); ok {
			g.accept(bad.to(r.path + "/" + token))
		}
	}
	g.events()
	for _, path := range []string{"/", "/api/events", "/api/agreements"} {
		if strings.Contains(g.send(request{method: "GET", path: path}).Body, token) {
			t.Errorf("%s shows the token", path)
		}
	}
	if strings.Contains(g.output.String(), token) {
		t.Errorf("the output shows the token")
	}
}

func TestBodiesUpToTenMebibytesAreAccepted(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	r := message(id, "envelope-completed")
	fits := r.must(t, r.body+strings.Repeat(" ", 10<<20-len(r.body)))
	large := r.must(t, fits.body+" ")
	for _, chunked := range []bool{false, true} {
		fits.chunked, large.chunked = chunked, chunked
		g.accept(fits)
		if got := g.send(large); got.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("one byte more: got %d, want 413", got.Status)
		}
	}
	g.one(reference, id, 1)
}

func TestAPayloadThatCannotBeStoredIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "payloads"), nil, 0o600); err != nil { // in the way of the folder
		t.Fatal(err)
	}
	g := startIn(t, data)
	id := guid()
	r := message(id, "envelope-completed")
	large := r.must(t, r.body+strings.Repeat(" ", 2<<20))
	got := g.send(large)
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %d with Retry-After %q, want 503 with one", got.Status, got.Header.Get("Retry-After"))
	}
	if err := os.Remove(filepath.Join(data, "payloads")); err != nil {
		t.Fatal(err)
	}
	g.accept(large) // the vendor's retry
	g.one(reference, id, 1)
}

func TestBodiesThatAreNotUTF8AreAccepted(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, r := range genuine() {
		r = r.must(t, r.field("\"note\":\"Miete f\xfcr \xc3\x28\""))
		g.accept(r, r)
	}
	events := g.events()
	if len(events) != len(provider.All()) {
		t.Errorf("got %d events %s, want one of each provider", len(events), names(events))
	}
	for _, e := range events {
		if e.Duplicates != 1 || e.State == "failed" {
			t.Errorf("%s: %s with %d duplicates, want one", e.Provider, e.State, e.Duplicates)
		}
	}
}

func TestTheReadAPIAnswersOnlyThisMachine(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	_, port, _ := strings.Cut(strings.TrimPrefix(g.url, "http://"), ":")
	for _, host := range []string{"hooks.example.org", "localhost.example.org", "127.0.0.1.example.org", "example.org:" +
		port, "127.0.0.2", "0.0.0.0", "[::1]"} {
		r := message(id, "envelope-sent")
		r.host = host
		g.accept(r)
		for _, path := range []string{"/", "/api/events", "/api/agreements", "/api/agreements/" + reference + "/" + id} {
			if host == "[::1]" {
				continue // this machine as well; the documents name two hosts
			}
			if got := g.send(request{method: "GET", path: path, host: host}); got.Status != http.StatusNotFound ||
				strings.Contains(got.Body, id) {
				t.Errorf("Host %s, %s: got %d, want 404", host, path, got.Status)
			}
		}
	}
	g.events()
	for _, host := range []string{"localhost", "localhost:" + port, "127.0.0.1", "127.0.0.1:9"} {
		for _, path := range []string{"/", "/api/events", "/api/agreements", "/api/agreements/" + reference + "/" + id} {
			want := id
			if path == "/" {
				want = "<h1>esignhooks</h1>"
			}
			if got := g.send(request{method: "GET", path: path, host: host}); got.Status != http.StatusOK ||
				!strings.Contains(got.Body, want) {
				t.Errorf("Host %s, %s: got %d, want 200 with %s", host, path, got.Status, want)
			}
		}
	}
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		network, ok := address.(*net.IPNet)
		if !ok || network.IP.IsLoopback() {
			continue
		}
		if connection, err := net.DialTimeout("tcp", net.JoinHostPort(network.IP.String(), port), time.Second); err == nil {
			connection.Close()
			t.Errorf("the gateway listens on %s", network.IP)
		}
	}
}

func TestTheReadAPI(t *testing.T) {
	t.Parallel()
	g := start(t)
	for path, want := range map[string]string{"/api/events": `{"events":[]}`, "/api/agreements": `{"agreements":[]}`} {
		if got := g.send(request{method: "GET", path: path}); strings.TrimSpace(got.Body) != want {
			t.Errorf("%s: got %s, want %s", path, got.Body, want)
		}
	}
	id := guid()
	first := message(id, "envelope-sent")
	g.accept(message(strings.ToUpper(id), "envelope-completed"), first, message(guid(), "envelope-sent"))
	for _, r := range genuine() {
		g.accept(r)
	}
	events := g.events()
	if !slices.IsSortedFunc(events, func(a, b event) int { return b.ReceivedAt.Compare(a.ReceivedAt) }) {
		t.Error("the events are not in the order of receivedAt, the newest first")
	}
	var raw struct{ Events, Agreements []map[string]any }
	g.read("/api/events", &raw)
	g.read("/api/agreements", &raw)
	want := []string{"id", "provider", "type", "vendorType", "agreementId", "occurredAt", "receivedAt", "state",
		"duplicates"}
	for _, e := range raw.Events {
		for _, field := range want {
			if _, ok := e[field]; !ok {
				t.Errorf("an event has no %s: %v", field, e)
			}
		}
		if id, _ := e["id"].(string); len(id) != 64 || strings.ToLower(id) != id {
			t.Errorf("the event ID %q is no lower-case hex SHA-256", id)
		}
	}
	if want := 2 + len(provider.All()); len(raw.Agreements) != want {
		t.Errorf("got %d agreements, want %d", len(raw.Agreements), want)
	}
	for _, a := range raw.Agreements {
		for _, field := range []string{"provider", "id", "status", "updatedAt"} {
			if _, ok := a[field]; !ok {
				t.Errorf("an agreement has no %s: %v", field, a)
			}
		}
	}
	a := g.agreement(reference, id)
	if len(a.Events) != 2 || a.Events[0].VendorType != "envelope-sent" || a.Events[1].VendorType != "envelope-completed" {
		t.Errorf("got %s, want sent, then completed", names(a.Events))
	}
}

func TestNoPersonIsShown(t *testing.T) {
	t.Parallel()
	g := start(t)
	address := regexp.MustCompile(`[\w.+-]+@[\w-]+\.[\w.-]*\w`)
	people := map[string]bool{"a@people.example": true}
	for _, p := range provider.All() {
		for _, example := range sample.Names(p) {
			r := messageOf(p, "", example)
			for _, found := range address.FindAllString(r.body, -1) {
				people[found] = true
			}
			g.accept(r)
		}
		if bad, ok := messageOf(p, "", completion(p)).saying(`{"email":"a@people.example"`); ok {
			g.accept(bad)
		}
		r, _ := signed(p, "", completion(p), "a@people.example", time.Now())
		g.refuse(r)
	}
	if len(people) < 5 {
		t.Fatalf("the examples name %d people only", len(people))
	}
	g.events()
	shown := g.log.String() // the banner offers examples
	for _, e := range g.events() {
		shown += fmt.Sprintf("%+v", e)
		if e.AgreementID != "" {
			shown += g.send(request{method: "GET", path: "/api/agreements/" + e.Provider + "/" +
				url.PathEscape(e.AgreementID)}).Body
		}
	}
	for _, path := range []string{"/", "/api/events", "/api/agreements", "/api/published"} {
		shown += g.send(request{method: "GET", path: path}).Body
	}
	for person := range people {
		if at := strings.Index(shown, person); at >= 0 {
			t.Errorf("%q is shown: …%s…", person, shown[max(0, at-300):min(len(shown), at+100)])
		}
	}
}

func TestEmptyListsOfKeysRefuseAllAndTheLogNamesTheVariables(t *testing.T) {
	t.Parallel()
	for _, empty := range []string{"", " , ,"} {
		t.Run(fmt.Sprintf("%q", empty), func(t *testing.T) {
			var env []string
			for _, p := range provider.All() {
				env = append(env, p.Info().KeysVariable+"="+empty)
			}
			g := start(t, env...)
			for _, p := range provider.All() {
				for _, example := range []string{completion(p), sample.Names(p)[len(sample.Names(p))-1]} {
					r := messageOf(p, "", example)
					bare := r
					bare.header = map[string]string{"Content-Type": r.header["Content-Type"]}
					r.key = ""
					emptied, _ := r.saying(r.body)
					g.refuse(messageOf(p, "", example), bare, emptied)
				}
			}
			if events := g.events(); len(events) != 0 {
				t.Errorf("refused requests left events: %s", names(events))
			}
			for _, p := range provider.All() {
				if variable := p.Info().KeysVariable; !strings.Contains(g.log.String(), variable) {
					t.Errorf("the log does not name %s", variable)
				}
			}
		})
	}
}

// fails runs a gateway that must not start, and returns its output.
func fails(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	timer := time.AfterFunc(Patience, func() { c.Process.Kill() })
	defer timer.Stop()
	var failed *exec.ExitError
	if err := c.Run(); !errors.As(err, &failed) || failed.ExitCode() != 1 {
		t.Errorf("got %v, want exit code 1; it said:\n%s", err, &said)
	}
	if strings.Contains(said.String(), "panic") || strings.Contains(said.String(), "goroutine") {
		t.Errorf("it does not say it clearly:\n%s", &said)
	}
	return said.String()
}

func TestAllConfigurationProblemsAreReportedAtOnce(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"abc", "-1", "65536", "99999999999999999999", "80 ", "3000,3001", "1e3"} {
		if said := fails(t, command(t.TempDir(), "PORT="+port)); !strings.Contains(said, "PORT") ||
			!strings.Contains(said, strings.TrimSpace(port)) {
			t.Errorf("PORT=%q: it says %q", port, said)
		}
	}
	one, other := tokensVariable(provider.All()[0]), tokensVariable(provider.All()[1])
	said := fails(t, command(t.TempDir(), "PORT=abc", one+"=secret/one", other+"=secret?two"))
	for _, name := range []string{"PORT", one, other} {
		if !strings.Contains(said, name) {
			t.Errorf("it says nothing of %s: %s", name, said)
		}
	}
	if strings.Contains(said, "secret") {
		t.Errorf("it shows a token: %s", said)
	}
}

func TestAPortOrStoreInUseIsReported(t *testing.T) {
	t.Parallel()
	g := start(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(g.url, "http://"), ":")
	if said := fails(t, command(g.data)); !strings.Contains(said, g.data) {
		t.Errorf("a second process on the same DATA: it says %q, and not %s", said, g.data)
	}
	if said := fails(t, command(t.TempDir(), "PORT="+port)); !strings.Contains(said, port) {
		t.Errorf("a second process on the same PORT: it says %q, and not %s", said, port)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if said := fails(t, command(file)); !strings.Contains(said, file) {
		t.Errorf("a file as DATA: it says %q, and not %s", said, file)
	}
	id := guid()
	g.accept(message(id, "envelope-sent")) // the first one is unharmed
	g.one(reference, id, 0)
}

func TestSIGTERMStopsTheGatewayWithoutLoss(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	g.accept(message(id, "envelope-sent"))
	g.stop(syscall.SIGTERM)
	if code := g.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, g.output)
	}
	again := startIn(t, g.data)
	again.one(reference, id, 0)
}

func TestARequestInFlightIsAnsweredDuringShutdown(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	r := message(id, "envelope-sent")
	half, rest := r.body[:len(r.body)/2], r.body[len(r.body)/2:]
	connection, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: "+
		"100-continue\r\nConnection: close\r\n", r.path, len(r.body))
	for name, value := range r.header {
		fmt.Fprintf(connection, "%s: %s\r\n", name, value)
	}
	io.WriteString(connection, "\r\n")
	answer := bufio.NewReader(connection)
	// the handler reads the body
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("%q, %v", line, err)
	}
	io.WriteString(connection, half)
	g.process.Process.Signal(syscall.SIGTERM)
	for { // until it takes no more connections
		other, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			break
		}
		other.Close()
	}
	io.WriteString(connection, rest)
	if all, err := io.ReadAll(answer); err != nil || !strings.Contains(string(all), "HTTP/1.1 200 ") {
		t.Errorf("answered %q, %v", all, err)
	}
	<-g.exited
	startIn(t, g.data).one(reference, id, 0)
}

func TestFilesAreReadableByTheirOwnerOnly(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	g := startIn(t, data)
	r := message("", "envelope-sent")
	g.accept(r.must(t, r.field(`"more":"`+strings.Repeat("x", 2<<20)+`"`)))
	g.events()
	files := 0
	err := filepath.WalkDir(data, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v", path, info.Mode())
		}
		if !entry.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files < 2 { // the store and a payload
		t.Errorf("%d files, %v", files, err)
	}
}

// commands returns a command to paste for each provider.
func (g *gateway) commands() (commands []string) {
	g.t.Helper()
	for _, p := range provider.All() {
		name, err := sample.Completed(p)
		if err != nil {
			g.t.Fatal(err)
		}
		said, err := g.operate("send", "-provider", p.Info().Name, "-event", name, "-curl")
		if err != nil || !strings.HasPrefix(said, "curl ") || strings.Count(said, "\ncurl ") > 0 {
			g.t.Errorf("%v: %s", err, said)
		}
		commands = append(commands, said)
	}
	return commands
}

// paste runs a command as an operator's shell would, and wants 200.
func (g *gateway) paste(command string, env []string) {
	g.t.Helper()
	shell := exec.Command("bash", "-c", strings.TrimSpace(command))
	shell.Env = append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	said, err := shell.Output()
	if err != nil || !bytes.Contains(said, []byte(" 200 OK")) {
		g.t.Errorf("pasted, it does not work: %v\n%s\n%.600s", err, said, command)
	}
}

func needsCurl(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(tool); err == nil {
			continue
		}
		if os.Getenv("CI") != "" {
			t.Fatal(tool + " is missing")
		}
		t.Skip(tool + " is missing: commands are not pasted")
	}
}

func TestCommandsToPasteArePrinted(t *testing.T) {
	t.Parallel()
	needsCurl(t)
	g := start(t)
	for _, command := range g.commands() {
		g.paste(command, nil)
		g.paste(command, nil) // pasted twice, it is a duplicate
	}
	wantPasted(t, g, 1)
	for _, r := range genuine() {
		g.accept(r)
	}
}

// wantPasted wants a completed agreement of each provider.
func wantPasted(t *testing.T, g *gateway, duplicates int) {
	t.Helper()
	providers := map[string]bool{}
	for _, e := range g.events() {
		providers[e.Provider] = true
		if e.Type != "agreement.completed" || e.State != "processed" || e.Duplicates != duplicates ||
			e.Proof == "partly-signed" {
			t.Errorf("a pasted command became %+v", e)
		}
	}
	if len(providers) != len(provider.All()) || len(g.agreements()) != len(provider.All()) {
		t.Errorf("got events of %v and %d agreements, want one of each provider", providers, len(g.agreements()))
	}
}

func TestKeysFromTheEnvironmentAreNeverPrinted(t *testing.T) {
	t.Parallel()
	needsCurl(t)
	key := func(p webhook.Provider) string { return "black-box-key-5b1e-" + p.Info().Name }
	var secrets, keys, tokens []string
	for _, p := range provider.All() {
		name := p.Info().Name
		secrets = append(secrets, key(p), "old-"+key(p), "token-6e2-"+name, "old-token-6e2-"+name)
		keys = append(keys, p.Info().KeysVariable+"="+key(p)+",old-"+key(p))
		tokens = append(tokens, tokensVariable(p)+"=token-6e2-"+name+",old-token-6e2-"+name)
	}
	for name, tokens := range map[string][]string{"with keys": nil, "with keys and tokens": tokens} {
		t.Run(name, func(t *testing.T) {
			env := slices.Concat(keys, tokens)
			g := start(t, env...)
			var said string
			for _, command := range g.commands() {
				g.paste(command, env)
				said += command
			}
			wantPasted(t, g, 0)
			for name, r := range genuineUnder(key) { // for the log: accepted, refused, not found, unreadable
				path := r.path
				if tokens != nil {
					path += "/token-6e2-" + name
				}
				old := r
				old.key = "old-" + key(r.provider)
				g.accept(r.to(path), old.must(t, r.body).to(path))
				g.send(r.to(path + "x"))
				g.send(r.forged(t).to(path))
				g.send(request{method: "GET", path: path})
				g.send(request{method: "DELETE", path: path + "/" + key(r.provider)})
				r.body = "{"
				g.send(r.to(path))
			}
			g.events()
			fails(t, command(g.data, env...))
			g.stop(syscall.SIGTERM)
			for _, secret := range secrets {
				if strings.Contains(g.output.String()+said, secret) {
					t.Errorf("the output shows %s:\n%s%s", secret, g.output, said)
				}
			}
			if strings.Contains(g.output.String(), "development") {
				t.Error("the output speaks of development keys, though there are real ones")
			}
		})
	}
}

func TestTheLogIsJSON(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, r := range genuine() {
		g.accept(r, r)
		g.refuse(r.forged(t))
	}
	g.events()
	log := g.log.String()
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
	for _, p := range provider.All() {
		if !strings.Contains(log, `"provider":"`+p.Info().Name+`"`) {
			t.Errorf("the log has no line of the refused request of %s", p.Info().Name)
		}
	}
}

func TestConcurrentCopiesAreOneEvent(t *testing.T) {
	t.Parallel()
	g := start(t)
	for provider, r := range genuine() {
		t.Run(provider, func(t *testing.T) {
			g := g.in(t)
			g.atOnce(slices.Repeat([]request{r}, 20))
			found := 0
			for _, e := range g.events() {
				if e.Provider != provider {
					continue
				}
				if found++; e.Duplicates != 19 || e.State != "processed" {
					t.Errorf("got %s with %d duplicates, want processed with 19", e.State, e.Duplicates)
				}
			}
			if found != 1 {
				t.Errorf("got %d events, want one", found)
			}
		})
	}
}

func TestManyAgreementsAtOnceAreAllProcessed(t *testing.T) {
	t.Parallel()
	g := start(t)
	var requests []request
	for range slow.Cases(10, 50) {
		for _, r := range genuine() {
			requests = append(requests, r)
		}
	}
	g.atOnce(requests)
	for _, e := range g.events() {
		if e.State != "processed" || e.Duplicates != 0 {
			t.Errorf("got %+v", e)
		}
	}
	if events, agreements := len(g.events()), len(g.agreements()); events != len(requests) || agreements != len(requests) {
		t.Errorf("got %d events and %d agreements, want %d of each", events, agreements, len(requests))
	}
}

// atOnce sends all requests concurrently. Each must be acknowledged.
func (g *gateway) atOnce(requests []request) {
	g.t.Helper()
	problems := make([]string, len(requests))
	var group sync.WaitGroup
	for i, r := range requests {
		group.Go(func() {
			if got, err := g.try(r); err != nil {
				problems[i] = err.Error()
			} else {
				problems[i] = acknowledged(r, got)
			}
		})
	}
	group.Wait()
	for _, problem := range problems {
		if problem != "" {
			g.t.Error(problem)
		}
	}
}
