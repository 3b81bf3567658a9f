package play

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"

	"esignhooks/shared/sample/story"
)

// Verdict is whether the receiver has made of a story what it is.
type Verdict string

// The verdicts.
const (
	Right Verdict = "right"
	Wrong Verdict = "wrong"
	Open  Verdict = "open" // nothing was compared with the truth
)

// Report is what came of a play.
type Report struct {
	Provider     string       `json:"provider"`
	Story        string       `json:"story"`
	Faults       []Fault      `json:"faults"`
	Seed         uint64       `json:"seed"`
	Speed        float64      `json:"speed"`
	Seconds      float64      `json:"seconds"` // until the last answer
	Agreements   []string     `json:"agreements"`
	Messages     int          `json:"messages"`     // copies through several subscriptions included
	Requests     int          `json:"sent"`         // requests: all tries
	Acknowledged int          `json:"acknowledged"` // messages
	Retried      int          `json:"retried"`      // requests that repeat an earlier one
	GivenUp      int          `json:"givenUp"`      // messages
	Lost         int          `json:"lostAcknowledgements"`
	False        int          `json:"mustBeRefused"` // requests
	Unnoticed    int          `json:"unnoticed"`     // requests that were changed, though nothing signs the body
	Verdict      Verdict      `json:"verdict"`
	Compared     []string     `json:"compared"` // with the truth
	Differences  []Difference `json:"differences"`
	Left         int          `json:"differencesLeftOut"`
}

// Difference is one point in which a source does not know the truth about an agreement.
type Difference struct {
	Agreement  string `json:"agreement"`
	Source     string `json:"source"`
	Difference string `json:"difference"`
}

// maxDifferences is how many differences a report has.
const maxDifferences = 1000

func newReport(p *Play) *Report {
	r := &Report{
		Provider: p.Provider.Info().Name, Story: p.Story, Faults: append([]Fault{}, p.Faults...), Seed: p.Seed,
		Speed: p.Speed, Messages: len(p.deliveries), Compared: []string{}, Differences: []Difference{},
	}
	for _, a := range p.agreements {
		r.Agreements = append(r.Agreements, a.ID)
	}
	return r
}

// count counts a try.
func (r *Report) count(d *delivery, came result) {
	r.Requests++
	if d.try > 0 {
		r.Retried++
	}
	if d.changed && d.try == 0 && !came.refuse {
		r.Unnoticed++
	}
	switch {
	case came.refuse:
		r.False++
		return
	case came.acknowledged:
		d.acknowledged++
		if d.loses && d.try == 0 {
			r.Lost++
		}
	}
	d.genuine++
}

func (r *Report) differ(agreement, source, difference string) {
	if len(r.Differences) == maxDifferences {
		r.Left++
		return
	}
	r.Differences = append(r.Differences, Difference{agreement, source, difference})
}

func (r *Report) enter(source string, wrong map[*story.Agreement][]string) {
	for a, differences := range wrong {
		for _, difference := range differences {
			r.differ(a.ID, source, difference)
		}
	}
}

func (r *Report) conclude() {
	switch {
	case len(r.Differences) > 0:
		r.Verdict = Wrong
	case len(r.Compared) == 0:
		r.Verdict = Open
	default:
		r.Verdict = Right
	}
	slices.SortStableFunc(r.Differences, func(a, b Difference) int { return strings.Compare(a.Agreement, b.Agreement) })
}

// Formats are how a report can be written.
var Formats = []string{"text", "json", "junit"}

// Write writes the report in one of the formats.
func (r *Report) Write(w io.Writer, format string) error {
	switch format {
	case "json":
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(w, "%s\n", b)
		return err
	case "junit":
		return r.junit(w)
	}
	return r.text(w)
}

// shown is how many differences and agreements the text has.
const shown = 20

func (r *Report) text(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s: %s", r.Provider, r.Story, plural(len(r.Agreements), "agreement"))
	for i, f := range r.Faults {
		fmt.Fprintf(&b, "%s%s", map[bool]string{true: ", with ", false: ", "}[i == 0], f)
	}
	fmt.Fprintf(&b, "\n  sent          %s of %s, in %.1f s (seed %d)\n", plural(r.Requests, "request"),
		plural(r.Messages, "message"), r.Seconds, r.Seed)
	fmt.Fprintf(&b, "  acknowledged  %d\n  retried       %d\n  given up      %d\n", r.Acknowledged, r.Retried, r.GivenUp)
	if r.False > 0 {
		fmt.Fprintf(&b, "  false         %d, which had to be refused\n", r.False)
	}
	if r.Lost > 0 {
		fmt.Fprintf(&b, "  lost          %s\n", plural(r.Lost, "acknowledgement"))
	}
	if r.Unnoticed > 0 {
		fmt.Fprintf(&b, "  unnoticed     %s that were changed: %s does not sign the body\n", plural(r.Unnoticed, "request"),
			r.Provider)
	}
	if len(r.Agreements) == 1 {
		fmt.Fprintf(&b, "  agreement     %s\n", r.Agreements[0])
	}
	switch r.Verdict {
	case Right:
		fmt.Fprintf(&b, "right: the %s the truth\n", knows(r.Compared))
	case Open:
		b.WriteString("open: nothing was compared with the truth; name the read API or a URL of your application's state\n")
	default:
		fmt.Fprintf(&b, "wrong: %s\n", plural(len(r.Differences)+r.Left, "difference"))
	}
	for i, d := range r.Differences {
		if i == shown {
			fmt.Fprintf(&b, "  and %d more\n", len(r.Differences)+r.Left-shown)
			break
		}
		fmt.Fprintf(&b, "  %s, %s: %s\n", d.Agreement, d.Source, d.Difference)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func knows(sources []string) string {
	if len(sources) == 1 {
		return sources[0] + " knows"
	}
	return strings.Join(sources, " and the ") + " know"
}

func plural(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return fmt.Sprintf("%d %ss", n, word)
}

// junit writes a test suite with a test case for each agreement.
func (r *Report) junit(w io.Writer) error {
	type failure struct {
		Message string `xml:"message,attr"`
	}
	type testcase struct {
		Class    string    `xml:"classname,attr"`
		Name     string    `xml:"name,attr"`
		Failures []failure `xml:"failure"`
	}
	type suite struct {
		XMLName  xml.Name   `xml:"testsuite"`
		Name     string     `xml:"name,attr"`
		Tests    int        `xml:"tests,attr"`
		Failures int        `xml:"failures,attr"`
		Time     string     `xml:"time,attr"`
		Cases    []testcase `xml:"testcase"`
		Out      string     `xml:"system-out"`
	}
	wrong := map[string][]string{}
	for _, d := range r.Differences {
		wrong[d.Agreement] = append(wrong[d.Agreement], d.Source+": "+d.Difference)
	}
	class := r.Provider + "." + r.Story
	s := suite{Name: class, Tests: len(r.Agreements), Time: fmt.Sprintf("%.3f", r.Seconds)}
	for _, id := range r.Agreements {
		c := testcase{Class: class, Name: id}
		if r.Verdict == Open {
			wrong[id] = append(wrong[id], "nothing was compared with the truth")
		}
		if len(wrong[id]) > 0 {
			c.Failures = []failure{{strings.Join(wrong[id], "; ")}}
			s.Failures++
		}
		s.Cases = append(s.Cases, c)
	}
	var text strings.Builder
	if err := r.text(&text); err != nil {
		return err
	}
	s.Out = text.String()
	b, err := xml.MarshalIndent(s, "", "  ")
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s%s\n", xml.Header, b)
	return err
}
