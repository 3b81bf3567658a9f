package localhost

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/store/ledger"
)

// listener reads the stream of a gateway that serves on a port.
type listener struct {
	t     *testing.T
	lines *bufio.Scanner
	last  string // ID
	close func()
}

func listen(t *testing.T, url, last string) *listener {
	t.Helper()
	r, _ := http.NewRequest("GET", url+"/api/stream", nil)
	r.Header.Set("Last-Event-ID", last)
	answer, err := http.DefaultClient.Do(r)
	if err != nil || answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatal(answer, err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return &listener{t, bufio.NewScanner(answer.Body), last, func() { answer.Body.Close() }}
}

// next returns the next message of a kind, and skips the others.
func (l *listener) next(kind string) (data string) {
	l.t.Helper()
	got := ""
	for l.lines.Scan() {
		name, value, _ := strings.Cut(l.lines.Text(), ": ")
		switch name {
		case "id":
			l.last = value
		case "event":
			got = value
		case "data":
			if got == kind {
				return value
			}
		}
	}
	l.t.Fatalf("the stream ended before a message %q: %v", kind, l.lines.Err())
	return ""
}

func TestTheStreamShowsWhatHappens(t *testing.T) {
	g := release(t, t.TempDir(), acmesign.Provider{})
	server := httptest.NewServer(g)
	defer server.Close()
	defer g.stream.close()
	stop := serve(t, g.Gateway)
	l := listen(t, server.URL, "")
	if hello := l.next("hello"); hello != `{"missed":false}` {
		t.Error(hello)
	}
	e := acmesign.Event{Number: 1, Type: "completed", Agreement: "a", At: time.Now()}
	g.post(t, e, "")
	if data := l.next("request"); !strings.Contains(data, `"outcome":"accepted"`) {
		t.Error(data)
	}
	for data := ""; !strings.Contains(data, `"state":"processed"`); data = l.next("event") {
	}
	if data := l.next("published"); !strings.Contains(data, `"state":"unforwarded"`) {
		t.Error(data)
	}
	g.awaitState(t, e, ledger.Processed)
	if hello := listen(t, server.URL, l.last).next("hello"); hello != `{"missed":false}` {
		t.Errorf("%s, and nothing was missed", hello)
	}
	g.ask("GET", "/webhooks/acmesign", "", nil)
	if data := l.next("request"); !strings.Contains(data, `"outcome":"refused"`) {
		t.Error(data)
	}
	if hello := listen(t, server.URL, l.last+"0").next("hello"); hello != `{"missed":true}` {
		t.Errorf("%s, and something was missed", hello)
	}
	stop() // ends the stream, or it would wait for its readers
	for l.lines.Scan() {
	}
}

func TestTheStreamIsBounded(t *testing.T) {
	s := newStream("p")
	s.send("a", nil)
	r, ok := s.join("")
	for range maxReaders - 1 {
		s.join("")
	}
	if _, more := s.join(""); !ok || more {
		t.Error("too many readers, or too few")
	}
	for range maxUnread - 1 {
		s.send("a", 1)
	}
	if len(r.messages) != maxUnread || len(s.readers) != maxReaders {
		t.Error("messages are missing")
	}
	s.send("a", 1) // nobody reads
	if len(s.readers) != 0 {
		t.Fatal("slow readers stay")
	}
	for range r.messages { // ends
	}
	s.leave(r)
	s.close()
	if answer := httptest.NewRecorder(); true {
		s.ServeHTTP(answer, httptest.NewRequest("GET", "/", nil))
		if answer.Code != http.StatusServiceUnavailable {
			t.Error(answer.Code)
		}
	}
}

func TestTheConsoleActs(t *testing.T) {
	g := openWith(t, map[string]string{"DATA": t.TempDir(), "ACMESIGN_URL_TOKENS": "token-1"}, acmesign.Provider{})
	body, header := genuine(1)
	for _, path := range []string{"/token-1?q=1", "/old", "/token-1"} {
		g.ask("POST", "/webhooks/acmesign"+path, body, header)
	}
	g.ask("POST", "/webhooks/acmesign/token-1", strings.Repeat(" ", maxKeptBody+1), header)
	old := read[listedRequests](t, g, "/api/requests").Requests
	json1 := http.Header{"Content-Type": {"application/json"}}
	from := func(origin string) http.Header {
		return http.Header{"Content-Type": json1["Content-Type"], "Origin": {origin}, "Sec-Fetch-Site": {"cross-site"}}
	}
	redeliver := func(i int) string { return "/api/requests/" + old[i].ID + "/redeliver" }
	for _, tt := range []struct {
		behaviour, path, body string
		header                http.Header
		status                int
		want                  string // in the answer
		outcome               string // of the newest request; empty: none came
	}{
		{"the same bytes again are a duplicate", redeliver(1), "", json1, 200, `"status":200`, "duplicate"},
		{"what was refused is refused again", redeliver(2), "", json1, 200, `"status":404`, "refused"},
		{"a body that was cut cannot be sent", redeliver(0), "", json1, 409, "not kept completely", ""},
		{"an unknown request", "/api/requests/x/redeliver", "", json1, 404, "no such request", ""},
		{"another web page resends", redeliver(1), "", from("https://evil.example"), 403, "", ""},
		{"a form resends", redeliver(1), "", nil, 403, "", ""},
		{"another web page sends", "/api/send", "{}", from("https://evil.example"), 403, "", ""},
		{"another web page plays", "/api/play", "{}", from("https://evil.example"), 403, "", ""},
		{"an unknown vendor", "/api/send", `{"provider":"x"}`, json1, 422, "the providers are: acmesign", ""},
		{"an unknown example", "/api/send", `{"provider":"acmesign","event":"x"}`, json1, 422, "no example", ""},
		{"no JSON", "/api/send", `x`, json1, 400, "", ""},
		{"no stories", "/api/play", `{"provider":"acmesign","story":"x"}`, json1, 422, "acmesign", ""},
	} {
		t.Run(tt.behaviour, func(t *testing.T) {
			before := len(g.requests.kept)
			answer := g.ask("POST", tt.path, tt.body, tt.header)
			if answer.Code != tt.status || !strings.Contains(answer.Body.String(), tt.want) {
				t.Errorf("%d %s, want %d with %q", answer.Code, answer.Body, tt.status, tt.want)
			}
			list := read[listedRequests](t, g, "/api/requests").Requests
			if came := len(list) > before; came != (tt.outcome != "") || came && string(list[0].Outcome) != tt.outcome {
				t.Errorf("%d requests instead of %d: %+v", len(list), before, list[0])
			}
			var s sent
			if json.Unmarshal(answer.Body.Bytes(), &s); tt.outcome != "" &&
				(s.ID != list[0].ID || !strings.Contains(tt.path, list[0].RedeliveryOf)) {
				t.Errorf("answered %+v for %+v", s, list[0])
			}
		})
	}
}
