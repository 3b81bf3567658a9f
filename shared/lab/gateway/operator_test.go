package gateway

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// operate runs a command against the running gateway.
func (g *gateway) operate(arguments ...string) (string, error) {
	c := exec.Command(binary, arguments...)
	c.Env = append(command(g.data, g.env...).Env, "PORT="+g.url[strings.LastIndex(g.url, ":")+1:])
	out, err := c.CombinedOutput()
	return string(out), err
}

func TestAnOperatorInspectsAndReplays(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	g.accept(message(id, "envelope-sent"), message(id, "envelope-completed"))
	before := g.agreement(reference, id)
	out, err := g.operate("inspect", "-provider", reference, "-id", strings.ToUpper(id))
	for _, want := range []string{id, "completed", "– → sent", "sent → completed", before.Events[0].ID} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("no %q, %v:\n%s", want, err, out)
		}
	}
	g.await("publication", func() bool { return len(g.published()) == 2 })
	now := time.Now().UTC()
	from, to := now.Add(-time.Hour).Format(time.RFC3339), now.Add(time.Hour).Format(time.RFC3339)
	for i, arguments := range [][]string{{"-provider", reference, "-id", id}, {"-from", from, "-to", to}} {
		if out, err := g.operate(append([]string{"replay"}, arguments...)...); err != nil ||
			!strings.Contains(out, "2 events published again") {
			t.Errorf("%v\n%s", err, out)
		}
		all := g.published()
		if len(all) != 4+2*i {
			t.Fatalf("%d events", len(all))
		}
		for j, p := range all[:2] { // the last first
			if d := p.Envelope.Detail; !d.Replay || d.EventID != before.Events[1-j].ID || !d.StatusChanged {
				t.Errorf("%+v", d)
			}
		}
	}
	if out, err := g.operate("replay", "-rebuild", "-provider", reference, "-id", id); err != nil ||
		!strings.Contains(out, "no difference") {
		t.Errorf("%v\n%s", err, out)
	}
	if after := g.agreement(reference, id); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

func TestAnOperatorRedrivesDeadLetters(t *testing.T) {
	t.Parallel()
	g := start(t)
	g.accept(message("", "envelope-sent").must(t, `{"event":`))
	unreadable := func() int { return strings.Count(g.log.String(), `"msg":"unreadable"`) }
	for range 2 { // what is still unreadable is a dead letter again
		g.unreadable(1)
		before := unreadable()
		if out, err := g.operate("redrive"); err != nil || !strings.Contains(out, "dead letters: 1 moved") {
			t.Errorf("%v\n%s", err, out)
		}
		g.await("dead letter", func() bool { return unreadable() > before })
	}
	g.unreadable(1)
}

func TestMalformedOperatorCommands(t *testing.T) {
	t.Parallel()
	g := start(t)
	for arguments, want := range map[string]string{
		"explode":                "unexpected argument explode",
		"inspect":                "PROVIDER is missing",
		"inspect -stack another": "PROVIDER is missing",
		"-stack another redrive": "-tags stacks",
		"inspect -provider " + reference + " -id unknown":  "unknown agreement",
		"replay -provider " + reference + " -id x -from y": "2026-11-02T09:30:00Z",
	} {
		if out, err := g.operate(strings.Fields(arguments)...); err == nil || !strings.Contains(out, want) {
			t.Errorf("%s: no %q, %v\n%s", arguments, want, err, out)
		}
	}
	for _, o := range []struct {
		path, body string
		status     int
	}{{"/api/operate", `["redrive"]`, 200}, {"/api/confirm", `{"provider":"docusign","agreementId":"x"}`, 422}} {
		order := request{path: o.path, body: o.body, header: map[string]string{"Content-Type": "application/json"}}
		if got := g.send(order); got.Status != o.status {
			t.Errorf("%+v", got)
		}
		refuses(t, g, order)
	}
	// the URL's host takes precedence over the header's
	for _, host := range []string{"localhost", "127.0.0.1", "tunnel.example"} {
		connection, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(connection, "GET http://%s/api/events HTTP/1.1\r\nHost: tunnel.example\r\nConnection: close\r\n\r\n",
			host)
		if answer, err := io.ReadAll(connection); err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 404 ") {
			t.Errorf("a URL with the host %s: %s, %v", host, answer, err)
		}
		connection.Close()
	}
}

// refuses checks that an order is refused unless it comes from this machine, and not from a web page.
func refuses(t *testing.T, g *gateway, order request) {
	t.Helper()
	for name, r := range map[string]request{
		"from a web page elsewhere": order.with("Origin", "https://example.com"),
		"from another site":         order.with("Sec-Fetch-Site", "cross-site"),
		"as a form":                 order.with("Content-Type", "text/plain"),
	} {
		if got := g.send(r); got.Status != 403 {
			t.Errorf("%s: %+v", name, got)
		}
	}
	tunnel := order
	tunnel.host = "tunnel.example"
	for name, r := range map[string]request{
		"through a tunnel": tunnel, "through a tunnel that changes the Host header": order.with("X-Forwarded-For",
			"192.0.2.1"),
		"through a tunnel that names itself":     order.with("Via", "1.1 tunnel"),
		"through a tunnel that names the client": order.with("X-Real-Ip", "192.0.2.1"),
		"through a tunnel with an empty header":  order.with("X-Forwarded-For", ""),
		"through a tunnel that sends the host":   order.with("X-Forwarded-Host", "tunnel.example"),
		"by the standard":                        order.with("Forwarded", "for=192.0.2.1"),
		"through Cloudflare":                     order.with("CF-Ray", "230b030023ae2822-SJC"),
		"through ngrok":                          order.with("ngrok-skip-browser-warning", "1"),
	} {
		if got := g.send(r); got.Status != 404 {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
