package play_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/sample/play"
	"esignhooks/shared/webhook"
)

// TestTheApplicationsState compares the truth with what an application answers.
func TestTheApplicationsState(t *testing.T) {
	always := func(status int, body string) func(url.Values) (int, string) {
		return func(url.Values) (int, string) { return status, body }
	}
	asked := 0
	for name, tt := range map[string]struct {
		state func(url.Values) (int, string)
		fault play.Fault
		want  string // the difference, of which there is one
	}{
		"the truth": {always(200, `{"status":"cancelled"}`), "", ""},
		"after a while": {func(url.Values) (int, string) {
			if asked++; asked < 5 {
				return 404, ""
			}
			return 200, `{"status":"cancelled","events":4}`
		}, "", ""},
		"another status":      {always(200, `{"status":"signed"}`), "", `status: "signed" instead of "cancelled"`},
		"another number":      {always(200, `{"status":"cancelled","events":7}`), "", "events: 7 instead of"},
		"unknown":             {always(404, ""), "", "the agreement is unknown"},
		"no status":           {always(200, "{}"), "", "the agreement is unknown"},
		"down":                {always(500, ""), "", "answered with 500"},
		"no JSON":             {always(200, "cancelled"), "", "not the JSON that is expected"},
		"refused and unknown": {always(404, ""), play.WrongKey, ""},
		"refused and known":   {always(200, `{"status":"sent"}`), play.WrongKey, "the agreement is known"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := find(t, "boldsign")
				does := []string{""}
				if tt.fault == play.WrongKey {
					does = []string{"401"}
				}
				plan := play.Plan{Provider: p, Story: "void", URL: address, StateURL: "https://app.example.com/state?of=x",
					Keys: webhook.Secrets("k"), Faults: []play.Fault{tt.fault}}
				plan.Client = &http.Client{Transport: &app{provider: p, does: does, state: func(q url.Values) (int, string) {
					if q.Get("provider") != "boldsign" || q.Get("of") != "x" || q.Get("id") == "" {
						t.Errorf("asked with %v", q)
					}
					return tt.state(q)
				}}}
				run, err := play.New(plan)
				if err != nil {
					t.Fatal(err)
				}
				report, err := run.Run(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if tt.want == "" && report.Verdict != play.Right || tt.want != "" && (report.Verdict != play.Wrong ||
					len(report.Differences) != 1 || !strings.Contains(report.Differences[0].Difference, tt.want)) {
					t.Errorf("%+v", report)
				}
			})
		})
	}
}

func TestReports(t *testing.T) {
	r := &play.Report{
		Provider: "docusign", Story: "void", Faults: []play.Fault{play.LostAck, play.ChangedBody}, Seed: 7, Speed: 3600,
		Seconds: 2.345, Agreements: []string{"a-1", "a-2"}, Messages: 8, Requests: 11, Acknowledged: 7, Retried: 3,
		GivenUp: 1, Lost: 1, False: 2, Verdict: play.Wrong, Compared: []string{"read API"},
		Differences: []play.Difference{{"a-2", "read API", "status: <signed> instead of cancelled"}},
	}
	text := `docusign void: 2 agreements, with lost-ack, changed-body
  sent          11 requests of 8 messages, in 2.3 s (seed 7)
  acknowledged  7
  retried       3
  given up      1
  false         2, which had to be refused
  lost          1 acknowledgement
wrong: 1 difference
  a-2, read API: status: <signed> instead of cancelled
`
	write := func(format string) string {
		var out bytes.Buffer
		if err := r.Write(&out, format); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	if diff := cmp.Diff(text, write("text")); diff != "" {
		t.Error(diff)
	}
	var again play.Report
	if err := json.Unmarshal([]byte(write("json")), &again); err != nil || !cmp.Equal(*r, again) {
		t.Errorf("%v, %s", err, cmp.Diff(*r, again))
	}
	var suite struct {
		XMLName  xml.Name `xml:"testsuite"`
		Tests    int      `xml:"tests,attr"`
		Failures int      `xml:"failures,attr"`
		Cases    []struct {
			Name     string   `xml:"name,attr"`
			Failures []string `xml:"failure"`
		} `xml:"testcase"`
		Out string `xml:"system-out"`
	}
	if err := xml.Unmarshal([]byte(write("junit")), &suite); err != nil || suite.Tests != 2 || suite.Failures != 1 ||
		len(suite.Cases) != 2 || len(suite.Cases[0].Failures) != 0 || len(suite.Cases[1].Failures) != 1 || suite.Out != text {
		t.Errorf("%+v, %v", suite, err)
	}
	r.Verdict, r.Compared, r.Differences = play.Right, []string{"read API", "application"}, nil
	if got := write("text"); !strings.HasSuffix(got, "right: the read API and the application know the truth\n") {
		t.Error(got)
	}
	r.Verdict, r.Compared = play.Open, nil
	if got := write("junit"); strings.Count(got, "<failure") != 2 || !strings.Contains(write("text"), "\nopen: ") {
		t.Error(got)
	}
}

func TestPrinter(t *testing.T) {
	at := time.Date(2026, 11, 2, 8, 30, 5, 0, time.UTC)
	for name, tt := range map[string]struct {
		terminal, many bool
		want           string
	}{
		"few": {false, false, "Nov  2 08:30:05  signed     200 in 12 ms   acknowledged\n" +
			"Nov  2 08:30:05  signed     no answer      connection reset\n"},
		"many":               {false, true, "30 of 100 messages, 1 requests\n"},
		"many on a terminal": {true, true, "\r30 of 100 messages, 1 requests\r30 of 100 messages, 2 requests"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			show := play.Printer(&out, tt.terminal, tt.many)
			p := play.Progress{At: at, Step: "signed", Status: 200, Took: 12 * time.Millisecond, Outcome: "acknowledged",
				Done: 30, Left: 70}
			show(p)
			p.Status, p.Outcome = 0, "connection reset"
			show(p)
			if out.String() != tt.want {
				t.Errorf("got %q", out.String())
			}
		})
	}
}
