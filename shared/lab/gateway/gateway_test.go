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
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"esignhooks/shared/provider"
)

// allKeys configures every provider with keys of these tests.
var allKeys = withOthers(adobeKeys, docusignKeys, dropboxKeys, esignKeys)

// withOthers adds keys of all other providers to the environment.
func withOthers(env ...string) []string {
	for _, p := range provider.All() {
		variable := p.Info().KeysVariable + "="
		if !slices.ContainsFunc(env, func(s string) bool { return strings.HasPrefix(s, variable) }) {
			env = append(env, variable+"gateway-key-of-"+p.Info().Name)
		}
	}
	return env
}

// genuine returns a new, genuine request of each provider.
func genuine() map[string]request {
	return map[string]request{
		"adobesign":   adobe(guid(), "AGREEMENT_CREATED"),
		"docusign":    docusign(guid(), "envelope-sent", 1),
		"dropboxsign": dropbox(guid(), "signature_request_sent", 1, nil),
		"esignglobal": esign(esignV1(guid(), "ENVELOPE_START", nil)),
	}
}

func TestOtherMethodsAreAnsweredWithTheAllowedOnes(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	for provider, r := range genuine() {
		methods, allowed := []string{"PUT", "DELETE", "PATCH", "OPTIONS"}, []string{"POST"}
		if provider == "adobesign" {
			allowed = []string{"GET", "POST"}
		} else {
			methods = append(methods, "GET", "HEAD")
		}
		for _, method := range methods {
			r.method = method
			got := g.send(r)
			allow := strings.FieldsFunc(got.Header.Get("Allow"), func(r rune) bool { return r == ',' || r == ' ' })
			slices.Sort(allow)
			if got.Status != http.StatusMethodNotAllowed || !slices.Equal(slices.DeleteFunc(allow, func(m string) bool { return m == "HEAD" }), allowed) {
				t.Errorf("%s %s: got %d with Allow %q, want 405 with %q", method, r.path, got.Status, got.Header.Get("Allow"), allowed)
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

func TestUnknownPathsAreNotFound(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	r := docusign(guid(), "envelope-sent", 1)
	for _, path := range []string{
		"/webhooks", "/webhooks/", "//webhooks/docusign", "/webhooks//docusign", "/webhooks/nobody", "/webhooks/DocuSign",
		"/webhooks/docusign/a/b", "/webhooks/docusign/a/b/c", "/webhook/docusign", "/docusign", "/webhooks/docusign/../adobesign",
		"/webhooks/./docusign", "/x/webhooks/docusign", "/webhooks/docusign%2Fa%2Fb", "/webhooks/docusign.json", "/api", "/api/",
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
	env := slices.Clone(allKeys)
	for _, name := range []string{"ADOBESIGN", "DOCUSIGN", "DROPBOXSIGN", "ESIGNGLOBAL"} {
		env = append(env, name+"_URL_TOKENS=first-token-8d1f, second-token-22ab")
	}
	g := start(t, env...)
	for provider, r := range genuine() {
		path := r.path
		for _, token := range []string{"", "/", "/wrong", "/first-token-8d1", "/first-token-8d1fX", "/FIRST-TOKEN-8D1F", "/first-token-8d1f,second-token-22ab", "/first-token-8d1f/x", "/%20first-token-8d1f"} {
			for _, method := range []string{"POST", "GET"} {
				r.method = method
				if got := g.send(r.to(path + token)); got.Status != http.StatusNotFound || got.Header.Get("X-AdobeSign-ClientId") != "" {
					t.Errorf("%s %s%s: got %d, want 404", method, path, token, got.Status)
				}
			}
		}
		if n := len(g.events()); n != 0 {
			t.Fatalf("%s: wrong tokens left %d events", provider, n)
		}
	}
	for _, r := range genuine() {
		path := r.path
		g.accept(r.to(path+"/first-token-8d1f"), r.to(path+"/second-token-22ab"))
		g.refuse(r.without("X-").without("Content-Sha").with("X-AdobeSign-ClientId", "nobody").to(path + "/first-token-8d1f").broken())
	}
	for _, e := range g.events() {
		if e.Duplicates != 1 {
			t.Errorf("%s: got %d duplicates, want one for the second token", e.Provider, e.Duplicates)
		}
	}
	get := request{method: "GET", path: "/webhooks/adobesign/first-token-8d1f"}
	g.accept(get.with("X-AdobeSign-ClientId", adobeID))
}

// broken returns r with an event_hash that is none, and with a signature that is none for eSignGlobal, whose token alone
// would prove it.
func (r request) broken() request {
	r.body = strings.Replace(r.body, `"event_hash":"`, `"event_hash":"0`, 1)
	return r.with("X-Tsign-Open-Signature", "00").with("X-Tsign-Open-Timestamp", esignTime)
}

func TestBodiesUpToTenMebibytesAreTaken(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	body := text(docusignMessage(id, "envelope-completed", 1))
	fits := docusignBody(body + strings.Repeat(" ", 10<<20-len(body)))
	large := docusignBody(fits.body + " ")
	for _, chunked := range []bool{false, true} {
		fits.chunked, large.chunked = chunked, chunked
		g.accept(fits)
		if got := g.send(large); got.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("one byte more: got %d, want 413", got.Status)
		}
	}
	g.one("docusign", id, 1)
}

func TestAPayloadThatCannotBeStoredIsNotAcknowledged(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "payloads"), nil, 0o600); err != nil { // in the way of the folder
		t.Fatal(err)
	}
	g := startIn(t, data, docusignKeys)
	id := guid()
	body := text(docusignMessage(id, "envelope-completed", 1))
	large := docusignBody(body + strings.Repeat(" ", 2<<20))
	got := g.send(large)
	if got.Status != http.StatusServiceUnavailable || got.Header.Get("Retry-After") == "" {
		t.Errorf("got %d with Retry-After %q, want 503 with one", got.Status, got.Header.Get("Retry-After"))
	}
	if err := os.Remove(filepath.Join(data, "payloads")); err != nil {
		t.Fatal(err)
	}
	g.accept(large) // the vendor's retry
	g.one("docusign", id, 1)
}

func TestBodiesThatAreNotUTF8AreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	odd := func(r request) request {
		r.body = strings.Replace(r.body, "Lease", "Miete f\xfcr \xc3\x28", 1)
		return r
	}
	message := odd(request{body: dropboxMessage(dropboxKey, "signature_request_sent", 1, nil, signatureRequest(guid(), nil))}).body
	document := odd(request{body: text(docusignMessage(guid(), "envelope-sent", 1, object{"note": "Lease"}))}).body
	envelope := odd(request{body: text(esignV1(guid(), "ENVELOPE_START", object{"note": "Lease"}))}).body
	for _, r := range []request{
		odd(adobe(guid(), "AGREEMENT_CREATED")),
		docusignBody(document),
		multipartForm(message, contentSha256(dropboxKey, message)),
		esignSigned(esignSecret, envelope, "", ""),
	} {
		g.accept(r, r)
	}
	events := g.events()
	if len(events) != 4 {
		t.Errorf("got %d events %s, want 4", len(events), names(events))
	}
	for _, e := range events {
		if e.Duplicates != 1 || e.State == "failed" {
			t.Errorf("%s: %s with %d duplicates, want one", e.Provider, e.State, e.Duplicates)
		}
	}
}

func TestWhatWeKnowIsForThisMachineOnly(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	_, port, _ := strings.Cut(strings.TrimPrefix(g.url, "http://"), ":")
	for _, host := range []string{"hooks.example.org", "localhost.example.org", "127.0.0.1.example.org", "example.org:" + port, "127.0.0.2", "0.0.0.0", "[::1]"} {
		g.accept(func() request { r := docusign(id, "envelope-sent", 1); r.host = host; return r }())
		for _, path := range []string{"/", "/api/events", "/api/agreements", "/api/agreements/docusign/" + id} {
			if host == "[::1]" {
				continue // this machine as well; the documents name two hosts
			}
			if got := g.send(request{method: "GET", path: path, host: host}); got.Status != http.StatusNotFound || strings.Contains(got.Body, id) {
				t.Errorf("Host %s, %s: got %d, want 404", host, path, got.Status)
			}
		}
	}
	g.events()
	for _, host := range []string{"localhost", "localhost:" + port, "127.0.0.1", "127.0.0.1:9"} {
		for _, path := range []string{"/", "/api/events", "/api/agreements", "/api/agreements/docusign/" + id} {
			if got := g.send(request{method: "GET", path: path, host: host}); got.Status != http.StatusOK || !strings.Contains(got.Body, id) {
				t.Errorf("Host %s, %s: got %d, want 200 with the agreement", host, path, got.Status)
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

func TestThePageEscapesWhatVendorsSay(t *testing.T) {
	t.Parallel()
	g := start(t, adobeKeys)
	id, name := `<script>alert("a/b?c#d&e%2F")</script>`, `AGREEMENT_<img src=x onerror=alert(1)>`
	g.accept(adobe(id, name), adobe("javascript:alert(1)", name))
	g.events()
	page := g.send(request{method: "GET", path: "/"})
	if page.Status != http.StatusOK || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
		t.Errorf("got %d, %s", page.Status, page.Header.Get("Content-Type"))
	}
	for _, raw := range []string{"<script>alert", "<img", `href="javascript`} {
		if strings.Contains(page.Body, raw) {
			t.Errorf("the page holds %q", raw)
		}
	}
	if !strings.Contains(page.Body, "&lt;script&gt;") {
		t.Error("the page does not show the agreement")
	}
	if a := g.agreement("adobesign", id); a.ID != id || len(a.Events) != 1 {
		t.Errorf("got %+v, want the agreement with its odd ID", a)
	}
}

func TestTheReadAPI(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	for path, want := range map[string]string{"/api/events": `{"events":[]}`, "/api/agreements": `{"agreements":[]}`} {
		if got := g.send(request{method: "GET", path: path}); strings.TrimSpace(got.Body) != want {
			t.Errorf("%s: got %s, want %s", path, got.Body, want)
		}
	}
	id := guid()
	g.accept(docusign(strings.ToUpper(id), "envelope-completed", 2), docusign(id, "envelope-sent", 1), docusign(guid(), "envelope-sent", 1))
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
	want := []string{"id", "provider", "type", "vendorType", "agreementId", "occurredAt", "receivedAt", "state", "duplicates"}
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
	if len(raw.Agreements) != 6 {
		t.Errorf("got %d agreements, want 6", len(raw.Agreements))
	}
	for _, a := range raw.Agreements {
		for _, field := range []string{"provider", "id", "status", "updatedAt"} {
			if _, ok := a[field]; !ok {
				t.Errorf("an agreement has no %s: %v", field, a)
			}
		}
	}
	a := g.agreement("docusign", id)
	if len(a.Events) != 2 || a.Events[0].VendorType != "envelope-sent" || a.Events[1].VendorType != "envelope-completed" {
		t.Errorf("got %s, want sent, then completed", names(a.Events))
	}
}

func TestNoPersonIsShown(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
	const code = "access-code-60d1"
	anonymous := object{"participantUserId": nil, "actingUserId": nil}
	g.accept(
		adobe(guid(), "AGREEMENT_ACTION_COMPLETED", anonymous), adobeBody(`{"participantUserEmail":"a@people.example"`),
		docusignXML(guid(), "Completed", 1, 2, ""),
		docusign(guid(), "recipient-completed", 1, data(guid(), object{"recipientId": "1", "envelopeSummary": object{
			"sender": object{"email": "s@people.example"}, "recipients": object{"signers": []object{{"recipientId": "1", "email": "a@people.example", "name": "Ada", "status": "completed"}}},
		}})),
		dropbox(guid(), "signature_request_signed", 1, object{"related_signature_id": "sig-1"}),
		esign(esignV1(guid(), "ENVELOPE_SIGNER_SIGNED", object{"signerInfo": signer("ann", 1, object{"businessId": nil, "accessCode": code})})),
		esign(esignV1(guid(), "ENVELOPE_DECLINED", object{"declineSigner": object{"userEmail": "ann@people.example", "signerMessage": code}})),
	)
	g.refuse(adobe(guid(), "AGREEMENT_CREATED").with("X-AdobeSign-ClientId", "a@people.example"))
	shown := g.output.String()
	for _, e := range g.events() {
		shown += text(e)
		if e.AgreementID != "" {
			shown += g.send(request{method: "GET", path: "/api/agreements/" + e.Provider + "/" + url.PathEscape(e.AgreementID)}).Body
		}
	}
	for _, path := range []string{"/", "/api/events", "/api/agreements"} {
		shown += g.send(request{method: "GET", path: path}).Body
	}
	for _, private := range []string{"people.example", code} {
		if at := strings.Index(shown, private); at >= 0 {
			t.Errorf("%q is shown: …%s…", private, shown[max(0, at-300):min(len(shown), at+100)])
		}
	}
}

func TestEmptyListsOfKeysRefuseAndSaySo(t *testing.T) {
	t.Parallel()
	for _, empty := range []string{"", " , ,"} {
		t.Run(fmt.Sprintf("%q", empty), func(t *testing.T) {
			g := start(t, "ADOBESIGN_CLIENT_IDS="+empty, "DOCUSIGN_HMAC_KEYS="+empty, "DROPBOXSIGN_API_KEYS="+empty, "ESIGNGLOBAL_SECRETS="+empty)
			body := text(docusignMessage(guid(), "envelope-sent", 1))
			message := dropboxMessage("", "signature_request_sent", 1, nil, signatureRequest(guid(), nil))
			envelope := text(esignV1(guid(), "ENVELOPE_START", nil))
			g.refuse(
				adobe(guid(), "AGREEMENT_CREATED").with("X-AdobeSign-ClientId", ""), adobe(guid(), "AGREEMENT_CREATED").without("X-Adobe"),
				adobe(guid(), "AGREEMENT_CREATED").with("X-AdobeSign-ClientId", "DEVELOPMENTCLIENTID"),
				request{method: "GET", path: "/webhooks/adobesign"}.with("X-AdobeSign-ClientId", ""),
				docusignBody(body, ""), docusignBody(body).without("X-"), docusignBody(body, "development-docusign-hmac-key"),
				multipartForm(message, contentSha256("", message)), multipartForm(message, ""),
				esignSigned("", envelope, "", ""), esignSigned("", envelope, "", "").without("X-"),
			)
			if events := g.events(); len(events) != 0 {
				t.Errorf("refused requests left events: %s", names(events))
			}
			for _, variable := range []string{"ADOBESIGN_CLIENT_IDS", "DOCUSIGN_HMAC_KEYS", "DROPBOXSIGN_API_KEYS", "ESIGNGLOBAL_SECRETS"} {
				if !strings.Contains(strings.ReplaceAll(g.output.String(), g.banner.String(), ""), variable) {
					t.Errorf("the log does not name %s", variable)
				}
			}
		})
	}
}

// fails runs a gateway that must not start, and returns what it says.
func fails(t *testing.T, c *exec.Cmd) string {
	t.Helper()
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	timer := time.AfterFunc(10*time.Second, func() { c.Process.Kill() })
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

func TestAWrongConfigurationIsSaidAllAtOnce(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"abc", "-1", "65536", "99999999999999999999", "80 ", "3000,3001", "1e3"} {
		if said := fails(t, command(t.TempDir(), "PORT="+port)); !strings.Contains(said, "PORT") || !strings.Contains(said, strings.TrimSpace(port)) {
			t.Errorf("PORT=%q: it says %q", port, said)
		}
	}
	said := fails(t, command(t.TempDir(), "PORT=abc", "DOCUSIGN_URL_TOKENS=secret/one", "ADOBESIGN_URL_TOKENS=secret?two"))
	for _, name := range []string{"PORT", "DOCUSIGN_URL_TOKENS", "ADOBESIGN_URL_TOKENS"} {
		if !strings.Contains(said, name) {
			t.Errorf("it says nothing of %s: %s", name, said)
		}
	}
	if strings.Contains(said, "secret") {
		t.Errorf("it shows a token: %s", said)
	}
}

func TestWhatIsTakenIsSaidClearly(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
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
	g.accept(docusign(id, "envelope-sent", 1)) // the first one is unharmed
	g.one("docusign", id, 0)
}

func TestTheGatewayStopsInPeace(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	g.accept(docusign(id, "envelope-sent", 1))
	g.stop(syscall.SIGTERM)
	if code := g.process.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit code %d, want 0\n%s", code, g.output)
	}
	again := startIn(t, g.data, docusignKeys)
	again.one("docusign", id, 0)
}

func TestWhatIsUnderWayWhenTheGatewayStopsIsAnswered(t *testing.T) {
	t.Parallel()
	g := start(t, docusignKeys)
	id := guid()
	r := docusign(id, "envelope-sent", 1)
	half, rest := r.body[:len(r.body)/2], r.body[len(r.body)/2:]
	connection, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n", r.path, len(r.body))
	for name, value := range r.header {
		fmt.Fprintf(connection, "%s: %s\r\n", name, value)
	}
	io.WriteString(connection, "\r\n")
	answer := bufio.NewReader(connection)
	if line, err := answer.ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") { // the handler reads the body
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
	startIn(t, g.data, docusignKeys).one("docusign", id, 0)
}

func TestWhatIsStoredIsForThisUserOnly(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	g := startIn(t, data, docusignKeys)
	g.accept(docusignBody(`{"event":"envelope-sent","data":{"envelopeId":"` + guid() + `","more":"` + strings.Repeat("x", 2<<20) + `"}}`))
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

// providers is how many providers the banner names.
func (g *gateway) providers() int { return strings.Count(g.banner.String(), " key: ") }

// commands returns the commands that the banner offers to paste.
func (g *gateway) commands() (commands []string) {
	g.t.Helper()
	g.await("a command for each provider", 5*time.Second, func() bool { return strings.Count(g.banner.String(), "\ncurl ") == g.providers() })
	for _, part := range strings.Split(g.banner.String(), "\n\n") {
		if strings.HasPrefix(part, "curl ") {
			commands = append(commands, part)
		}
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

func TestDevelopmentKeysAndCommandsArePrinted(t *testing.T) {
	t.Parallel()
	needsCurl(t)
	g := start(t)
	for _, want := range []string{
		"DEVELOPMENTCLIENTID", "development-docusign-hmac-key", "development-dropboxsign-api-key", "development-esignglobal-secret",
		g.url + "/webhooks/adobesign", g.url + "/webhooks/docusign", g.url + "/webhooks/dropboxsign", g.url + "/webhooks/esignglobal",
	} {
		g.await(want, 5*time.Second, func() bool { return strings.Contains(g.banner.String(), want) })
	}
	for _, command := range g.commands() {
		g.paste(command, nil)
		g.paste(command, nil) // pasted twice, it is a duplicate
	}
	wantPasted(t, g, 1)
	g.accept(
		adobe(guid(), "AGREEMENT_CREATED").with("X-AdobeSign-ClientId", "DEVELOPMENTCLIENTID"),
		docusignBody(text(docusignMessage(guid(), "envelope-sent", 1)), "development-docusign-hmac-key"),
		multipartForm(dropboxMessage("development-dropboxsign-api-key", "callback_test", 1, nil, nil), ""),
		esignSigned("development-esignglobal-secret", text(esignV1(guid(), "ENVELOPE_START", nil)), "", ""),
	)
}

// wantPasted wants a completed agreement of each provider.
func wantPasted(t *testing.T, g *gateway, duplicates int) {
	t.Helper()
	providers := map[string]bool{}
	for _, e := range g.events() {
		providers[e.Provider] = true
		if e.Type != "agreement.completed" || e.State != "processed" || e.Duplicates != duplicates || e.Proof == "partly-signed" {
			t.Errorf("a pasted command became %+v", e)
		}
	}
	if len(providers) != g.providers() || len(g.agreements()) != g.providers() {
		t.Errorf("got events of %v and %d agreements, want one of each provider", providers, len(g.agreements()))
	}
}

func TestKeysFromTheEnvironmentAreNeverPrinted(t *testing.T) {
	t.Parallel()
	needsCurl(t)
	secrets := []string{
		adobeID, adobeOther, adobeThird, docusignKey, docusignSecond, dropboxKey, dropboxSecond, esignSecret, esignSecond,
		"adobe-token-5d1", "docusign-token-6e2", "dropbox-token-7f3", "esign-token-804", "esign-token-915",
	}
	for name, tokens := range map[string][]string{
		"with keys": nil,
		"with keys and tokens": {
			"ADOBESIGN_URL_TOKENS=adobe-token-5d1", "DOCUSIGN_URL_TOKENS=docusign-token-6e2",
			"DROPBOXSIGN_URL_TOKENS=dropbox-token-7f3", "ESIGNGLOBAL_URL_TOKENS=esign-token-804,esign-token-915",
		},
	} {
		t.Run(name, func(t *testing.T) {
			env := append(slices.Clone(allKeys), tokens...)
			g := start(t, env...)
			for _, command := range g.commands() {
				g.paste(command, env)
			}
			wantPasted(t, g, 0)
			for _, r := range genuine() { // noise for the log: accepted, refused, not found, unreadable
				path, token := r.path, ""
				for _, line := range tokens {
					if variable, list, _ := strings.Cut(line, "="); strings.HasPrefix(variable, strings.ToUpper(strings.Split(path, "/")[2])) {
						token = "/" + strings.Split(list, ",")[0]
					}
				}
				g.accept(r.to(path + token))
				g.send(r.to(path + token + "x"))
				g.send(r.without("X-").broken().to(path + token))
				g.send(request{method: "GET", path: path + token})
				g.send(request{method: "DELETE", path: path + token + "/" + adobeID})
				r.body = "{"
				g.send(r.to(path + token))
			}
			g.events()
			fails(t, command(g.data, env...))
			g.stop(syscall.SIGTERM)
			for _, secret := range secrets {
				if strings.Contains(g.output.String(), secret) {
					t.Errorf("the output shows %s:\n%s", secret, g.output)
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
	g := start(t, allKeys...)
	for _, r := range genuine() {
		g.accept(r, r)
	}
	g.refuse(adobe(guid(), "AGREEMENT_CREATED").without("X-Adobe"))
	g.events()
	log := g.log.String()
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
	if !strings.Contains(log, "adobesign") {
		t.Error("the log has no line of the refused request")
	}
}

func TestManyCopiesAtOnceAreOneEvent(t *testing.T) {
	t.Parallel()
	g := start(t, allKeys...)
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
	g := start(t, allKeys...)
	var requests []request
	for range 50 {
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
	if events, agreements := len(g.events()), len(g.agreements()); events != 200 || agreements != 200 {
		t.Errorf("got %d events and %d agreements, want 200 of each", events, agreements)
	}
}

// atOnce sends all requests at once, and wants each acknowledged within the vendors' shortest limit.
func (g *gateway) atOnce(requests []request) {
	g.t.Helper()
	problems := make([]string, len(requests))
	var group sync.WaitGroup
	for i, r := range requests {
		group.Go(func() {
			begun := time.Now()
			if got, err := g.try(r); err != nil {
				problems[i] = err.Error()
			} else if problems[i] = acknowledged(r, got); time.Since(begun) > 5*time.Second {
				problems[i] += fmt.Sprint("acknowledged after ", time.Since(begun))
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
