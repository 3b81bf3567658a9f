package console

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"esignhooks/shared/lab/gateway"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/webhook/webhooktest"
)

// start runs a gateway.
func start(t *testing.T, env ...string) *gateway.Process {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "esignhooks")
	must(t, gateway.Build(binary))
	g, err := gateway.Start(binary, t.TempDir(), env...)
	must(t, err)
	t.Cleanup(func() {
		if err := g.Stop(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
	})
	return g
}

// order posts to the gateway's API.
func order(t *testing.T, g *gateway.Process, path string, body any) (answer map[string]any) {
	t.Helper()
	content, err := json.Marshal(body)
	must(t, err)
	got, err := http.Post(g.URL+path, "application/json", strings.NewReader(string(content)))
	must(t, err)
	defer got.Body.Close()
	json.NewDecoder(got.Body).Decode(&answer)
	if got.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d", path, got.StatusCode)
	}
	return answer
}

func send(t *testing.T, g *gateway.Process, provider, event, agreement string) (request string) {
	t.Helper()
	sent := order(t, g, "/api/send", map[string]string{"provider": provider, "event": event, "agreement": agreement})
	return fmt.Sprint(sent["id"])
}

// refuse posts a request that nobody has signed.
func refuse(t *testing.T, g *gateway.Process, provider, body string) {
	t.Helper()
	answer, err := http.Post(g.URL+"/webhooks/"+provider, "application/json", strings.NewReader(body))
	must(t, err)
	answer.Body.Close()
}

const envelope = "0e8d53b7-2f94-4c61-b80a-d6471c9e3a25"

var looks = []look{{1280, "light"}, {1280, "dark"}, {390, "light"}, {390, "dark"}}

func TestTheConsole(t *testing.T) {
	slow.Test(t)
	b, g := open(t), start(t)

	p := b.visit(t, looks[0], g.URL)
	p.shows("#empty", "make send PROVIDER=docusign EVENT=envelope-completed")
	first := send(t, g, "docusign", "envelope-completed", envelope)
	p.shows("#items", "agreement.completed") // without a reload
	p.shows("#items", envelope)

	p.follow("#requests/" + first)
	p.shows("#detail h2", "agreement.completed")
	p.shows("#detail", "processed")
	for _, text := range []string{"Verification", "Agreement before and after", "No earlier request has this event ID",
		"answered 200",
		"No FORWARD_URL is set"} {
		p.shows("#detail", text)
	}
	for _, person := range []string{"ada@example.com", "Ada Example"} { // until they are asked for
		if eval[bool](p, fmt.Sprintf("document.documentElement.outerHTML.includes(%q)", person)) {
			t.Errorf("%s is shown", person)
		}
	}
	p.press("Show personal data")
	p.shows("#detail pre", "ada@example.com")
	p.press("Conceal personal data")
	p.until("it is concealed again", `!document.body.innerText.includes('ada@example.com')`)

	p.press("Redeliver")
	p.shows("#detail .result", "a duplicate")
	p.shows("#detail .facts", "duplicate")
	p.shows("#items", "duplicate")
	p.press("Replay")
	p.shows("#detail .result", "1")

	refuse(t, g, "docusign", `{"event":"envelope-completed"}`)
	p.shows("#items", "signature-missing")
	p.follow(eval[string](p, `[...document.querySelectorAll('#items a')].find(a => a.innerText.includes('refused')).hash`))
	p.shows(".why", "signature-missing")
	p.shows(".why .hint", "X-DocuSign-Signature-1")

	for filter, want := range map[string]int{"text=signature-missing": 1, "state=duplicate": 1, "provider=adobesign": 0,
		"cause=signature-missing": 1,
		"text=" + envelope:        2, "type=agreement.completed": 2} {
		name, value, _ := strings.Cut(filter, "=")
		p.until(filter+" filters", fmt.Sprintf(`(() => {
			const field = document.getElementById('filters').elements[%q]
			field.value = %q
			field.dispatchEvent(new Event('input', { bubbles: true }))
			return document.querySelectorAll('#items li').length === %d
		})()`, name, value, want))
		p.press("Clear filters")
	}

	p.follow("#agreements/docusign/" + envelope)
	p.shows("#detail", "Timeline")
	p.shows(".timeline", "redelivered")
	p.shows(".person", "signed")
	p.press("Events")
	p.shows("#items", "+1")
	p.quiet()
}

// TestAnswersAreLate sends while the page waits for answers that were read before.
func TestAnswersAreLate(t *testing.T) {
	slow.Test(t)
	b, g := open(t), start(t)
	first := send(t, g, "docusign", "envelope-sent", envelope)
	p := b.visit(t, looks[0], g.URL+"/#agreements/docusign/"+envelope, `{
		const now = fetch
		window.read = []
		fetch = async (path, ...more) => {
			const answer = await now(path, ...more)
			read.push(path)
			await new Promise(late => setTimeout(late, 2000))
			return answer
		}
	}`)
	reads := func(path string) {
		p.until(path+" is read", fmt.Sprintf("read.some(one => one.startsWith(%q))", path))
	}
	reads("/api/requests?")
	order(t, g, "/api/requests/"+first+"/redeliver", nil)
	p.shows(".timeline", "redelivered")

	p.follow("#requests/" + first)
	p.shows("#items", "duplicate")
	reads("/api/requests/" + first)
	order(t, g, "/api/requests/"+first+"/redeliver", nil)
	p.shows("#detail", "2 more")
	p.quiet()
}

func TestWhatVendorsSendIsText(t *testing.T) {
	slow.Test(t)
	b, g := open(t), start(t)
	const id = "<img src=x onerror=document.title='broken'>"
	request := send(t, g, "dropboxsign", "signature-request-all-signed", id)
	for _, fragment := range []string{"#requests/" + request, "#agreements/dropboxsign/" + url.PathEscape(id)} {
		p := b.visit(t, looks[0], g.URL+"/"+fragment)
		p.shows("#detail", "<img src=x")
		if eval[string](p, "document.title") != "esignhooks" || eval[int](p, "document.images.length") > 0 {
			t.Errorf("%s: the ID became HTML", fragment)
		}
		p.quiet()
		p.close()
	}
}

func TestAStoryIsPlayed(t *testing.T) {
	slow.Test(t)
	b, g := open(t), start(t)
	p := b.visit(t, looks[0], g.URL)
	p.press("Send")
	eval[any](p, `(() => {
		const { provider, what } = document.querySelector('dialog form').elements
		provider.value = 'docusign'
		provider.dispatchEvent(new Event('change'))
		what.value = [...what.options].find(o => o.value.startsWith('story/')).value
		what.dispatchEvent(new Event('change'))
	})()`)
	p.press("Play")
	p.shows("dialog [role=status]", "acknowledged")
	p.press("Close")
	p.shows(".timeline", "agreement.completed")
	p.quiet()
}

// axe finds what hinders people who use the keyboard, a screen reader or strong contrasts.
const (
	axeVersion = "4.10.3"
	axeSHA256  = "0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292"
)

// axe returns axe-core's source. It is fetched once, into .build.
func axe(t *testing.T) string {
	t.Helper()
	file := filepath.Join(webhooktest.Root(t), ".build", "axe-core-"+axeVersion+".js")
	if source, err := os.ReadFile(file); err == nil {
		return string(source)
	}
	const address = "https://registry.npmjs.org/axe-core/-/axe-core-" + axeVersion + ".tgz"
	unavailable := func(err error) {
		t.Helper()
		if os.Getenv("CI") != "" {
			t.Fatal(err)
		}
		t.Skip("axe-core cannot be fetched: ", err)
	}
	answer, err := http.Get(address)
	if err != nil {
		unavailable(err)
	}
	defer answer.Body.Close()
	tarball, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		unavailable(fmt.Errorf("%s: %s, %v", address, answer.Status, err))
	}
	if sum := fmt.Sprintf("%x", sha256.Sum256(tarball)); sum != axeSHA256 {
		t.Fatalf("%s has the SHA-256 %s, not %s", address, sum, axeSHA256)
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(tarball))
	must(t, err)
	for files := tar.NewReader(unpacked); ; {
		header, err := files.Next()
		must(t, err)
		if header.Name != "package/axe.min.js" {
			continue
		}
		source, err := io.ReadAll(files)
		must(t, err)
		must(t, os.MkdirAll(filepath.Dir(file), 0o700))
		must(t, os.WriteFile(file, source, 0o600))
		return string(source)
	}
}

// TestEverybodyCanUseTheConsole looks at each view in each look. With SHOTS=folder it also keeps pictures.
func TestEverybodyCanUseTheConsole(t *testing.T) {
	slow.Test(t)
	b, g, source := open(t), start(t), axe(t)
	check := func(name, fragment, ready string) {
		for _, l := range looks {
			p := b.visit(t, l, g.URL+"/"+fragment)
			if p.shows("main", ready); name == "send" {
				p.press("Send")
			}
			eval[any](p, source)
			found := eval[[]string](p, `axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
				.then(r => r.violations.map(v => v.id + ': ' + v.help + ' ' + v.nodes.slice(0, 3).map(n => n.html).join(' ')))`)
			for _, violation := range found {
				t.Errorf("%s at %d, %s: %s", name, l.width, l.scheme, violation)
			}
			if width := eval[int](p, "document.documentElement.scrollWidth"); width > l.width {
				t.Errorf("%s is %d wide at %d", name, width, l.width)
			}
			if dir := os.Getenv("SHOTS"); dir != "" {
				file := fmt.Sprintf("%s-%d-%s", name, l.width, l.scheme)
				must(t, os.WriteFile(filepath.Join(dir, file+".png"), p.picture(), 0o600))
				p.size(l, 2600)
				must(t, os.WriteFile(filepath.Join(dir, file+"-full.png"), p.picture(), 0o600))
			}
			p.quiet()
			p.close()
		}
	}
	check("empty", "", "Waiting for the first request")
	send(t, g, "docusign", "envelope-sent", envelope)
	id := send(t, g, "docusign", "envelope-completed", envelope)
	order(t, g, "/api/requests/"+id+"/redeliver", nil)
	send(t, g, "dropboxsign", "signature-request-all-signed", "")
	send(t, g, "adobesign", "agreement-sent", "")
	refuse(t, g, "docusign", `{"event":"envelope-completed"}`)
	check("requests", "", "agreement.completed")
	check("request", "#requests/"+id, "On the bus")
	p := b.visit(t, looks[0], g.URL)
	p.shows("#items", "refused")
	refused := eval[string](p, `[...document.querySelectorAll('#items a')].find(a => a.innerText.includes('refused')).hash`)
	p.close()
	check("refused", refused, "signature-missing")
	check("agreements", "#agreements", "completed")
	check("agreement", "#agreements/docusign/"+envelope, "redelivered")
	check("events", "#events", "processed")
	check("send", "", "agreement.completed")
}
