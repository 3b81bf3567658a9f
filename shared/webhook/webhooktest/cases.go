package webhooktest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// Case is a public case among the fixtures: what people ran into with the webhooks of a vendor, and what is right.
type Case struct {
	Name     string
	Requests []CaseRequest
	Right    any // see [Outcome.Check]
}

// CaseRequest is a request of a case. Headers are names and values in turn of sending.
type CaseRequest struct {
	Method  string      `json:"method"`
	Path    string      `json:"path"`
	Headers [][2]string `json:"headers"`
	Body    []byte      `json:"-"`
}

// CaseKeys are the keys that the cases expect, as the environment of the local gateway.
var CaseKeys = []string{
	"ADOBESIGN_CLIENT_IDS=UB7E5BXCXY,BGBQIIE7H253K6",
	"DOCUSIGN_HMAC_KEYS=k1-docusign-hmac-key=,k2-docusign-hmac-key=",
	"DROPBOXSIGN_API_KEYS=324e3b0840f065eb51f3fd63231d0d33daa35d4ed10d27718839e81737065782",
	"ESIGNGLOBAL_SECRETS=test-secret-0001", "ESIGNGLOBAL_URL_TOKENS=",
}

// Cases returns all cases. It skips the test if there are no fixtures.
func Cases(t testing.TB) (cases []Case) {
	t.Helper()
	Fixture(t, "cases/README.md") // or skip
	dir := os.Getenv("ESIGN_FIXTURES")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(Root(t), dir)
	}
	files, err := filepath.Glob(filepath.Join(dir, "cases", "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		var stored struct {
			Requests []struct {
				CaseRequest
				Body   string   `json:"body"`
				Base64 []byte   `json:"body_base64"`
				Times  int      `json:"times"`
				Each   []string `json:"each"`
			}
			Right any
		}
		if err := json.Unmarshal(Fixture(t, "cases/"+filepath.Base(file)), &stored); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		c := Case{Name: strings.TrimSuffix(filepath.Base(file), ".json"), Right: stored.Right}
		for _, r := range stored.Requests {
			body := r.Body
			if r.Base64 != nil {
				body = string(r.Base64)
			}
			words := r.Each
			if words == nil {
				words = []string{"$each"}
			}
			for _, word := range words {
				r.CaseRequest.Body = []byte(strings.ReplaceAll(body, "$each", word))
				for range max(1, r.Times) {
					c.Requests = append(c.Requests, r.CaseRequest)
				}
			}
		}
		cases = append(cases, c)
	}
	return cases
}

// Outcome is what a case left, in the words of its right.
type Outcome struct {
	Answers    []any          `json:"answers"`
	Events     []any          `json:"events"`
	Agreements map[string]any `json:"agreements"`
	Log        string         `json:"-"`
}

// Answered adds an answer.
func (o *Outcome) Answered(status int, body []byte) {
	var decoded any
	if json.Unmarshal(body, &decoded) != nil {
		decoded = string(body)
	}
	o.Answers = append(o.Answers, map[string]any{"status": status, "body": decoded})
}

// Check reports each difference from what is right. {"any": […]} stands for one of several right values, and {"all": x}
// for a list that is not empty and whose every element is x. A list of participants holds their statuses, sorted.
func (o Outcome) Check(t testing.TB, right any) {
	t.Helper()
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	got["log"] = o.Log
	if problem := match(right, got, ""); problem != "" {
		t.Errorf("%s\ngot %s\nlog:\n%s", problem, b, o.Log)
	}
}

// match returns a difference, or "".
func match(want, got any, path string) string {
	switch want := want.(type) {
	case map[string]any:
		if any, ok := want["any"].([]any); ok && len(want) == 1 {
			return matchAny(any, got, path)
		}
		if all, ok := want["all"]; ok && len(want) == 1 {
			return matchAll(all, got, path)
		}
		return matchObject(want, got, path)
	case []any:
		if path == ".log" {
			return matchLog(want, got.(string))
		}
		list, _ := got.([]any)
		if len(list) != len(want) {
			return fmt.Sprintf("%s: %d elements, want %d", path, len(list), len(want))
		}
		for i := range want {
			if problem := match(want[i], list[i], fmt.Sprintf("%s[%d]", path, i)); problem != "" {
				return problem
			}
		}
	case float64:
		if answer, ok := got.(map[string]any); ok { // the status of an answer
			got = answer["status"]
		}
		if got != want {
			return fmt.Sprintf("%s: %v, want %v", path, got, want)
		}
	default:
		if got == nil && (want == "" || want == false) {
			return ""
		}
		if got != want {
			return fmt.Sprintf("%s: %v, want %v", path, got, want)
		}
	}
	return ""
}

func matchAny(any []any, got any, path string) string {
	var problems []string
	for _, want := range any {
		problem := match(want, got, path)
		if problem == "" {
			return ""
		}
		problems = append(problems, problem)
	}
	return strings.Join(problems, "; or ")
}

func matchAll(want, got any, path string) string {
	list, _ := got.([]any)
	if len(list) == 0 {
		return path + ": an empty list"
	}
	for i := range list {
		if problem := match(want, list[i], fmt.Sprintf("%s[%d]", path, i)); problem != "" {
			return problem
		}
	}
	return ""
}

func matchObject(want map[string]any, got any, path string) string {
	object, _ := got.(map[string]any)
	if path == ".agreements" && len(object) != len(want) {
		return fmt.Sprintf("%s: %d agreements, want %d", path, len(object), len(want))
	}
	for name, value := range want {
		if problem := match(value, object[name], path+"."+name); problem != "" {
			return problem
		}
	}
	return ""
}

func matchLog(patterns []any, log string) string {
	for _, pattern := range patterns {
		found := regexp.MustCompile(pattern.(string))
		if !slices.ContainsFunc(strings.Split(log, "\n"), found.MatchString) {
			return fmt.Sprintf("no line of the log matches %s", pattern)
		}
	}
	return ""
}
