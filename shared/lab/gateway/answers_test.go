package gateway

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

const answersFile = "testdata/answers.json"

// answers returns the fixed answers, without the date: by provider and example, under the development key.
var answers = sync.OnceValue(func() map[string]answer {
	all := map[string]answer{}
	content, err := os.ReadFile(answersFile)
	if err == nil {
		err = json.Unmarshal(content, &all)
	}
	if err != nil {
		panic(err)
	}
	return all
})

// acknowledged compares an answer with the vendor's acknowledgement, byte for byte.
func acknowledged(r request, got answer) (problem string) {
	p := r.provider
	want, ok := answers()[p.Info().Name+"/"+completion(p)]
	got.Header = got.Header.Clone()
	got.Header.Del("Date")
	if !ok { // a new vendor: its own test states the acknowledgement
		if a := p.Acknowledge(&webhook.Request{Method: r.method, Header: http.Header{},
			Body: []byte(r.body)}); a.Status != got.Status || string(a.Body) != got.Body {
			return fmt.Sprintf("acknowledged with %d %q", got.Status, got.Body)
		}
		return ""
	}
	want.Header = want.Header.Clone()
	if key := p.Info().DevelopmentKey; r.key != key { // a vendor may expect its client ID back
		want.Body = strings.ReplaceAll(want.Body, key, r.key)
		for _, values := range want.Header {
			values[0] = strings.ReplaceAll(values[0], key, r.key)
		}
		want.Header.Del("Content-Length")
		got.Header.Del("Content-Length")
	}
	if diff := cmp.Diff(want, got); diff != "" {
		return "acknowledgement (-want +got):\n" + diff
	}
	return ""
}

func TestEveryExampleGetsItsFixedAnswerAndBecomesItsEvent(t *testing.T) {
	t.Parallel()
	g := start(t)
	got := map[string]answer{}
	for _, p := range provider.All() {
		name := p.Info().Name
		for _, example := range sample.Names(p) {
			r, id := signed(p, "", example, p.Info().DevelopmentKey, time.Now())
			for _, attempt := range []string{"first", "repeated"} {
				a := g.send(r)
				a.Header.Del("Date")
				if before, ok := got[name+"/"+example]; ok && !cmp.Equal(before, a) {
					t.Errorf("%s/%s: the %s delivery is answered differently: %s", name, example, attempt, cmp.Diff(before, a))
				}
				got[name+"/"+example] = a
			}
			if r.method != "POST" {
				continue
			}
			if problem := acknowledged(r, got[name+"/"+example]); problem != "" {
				t.Errorf("%s/%s: %s", name, example, problem)
			}
			var want struct{ Events []struct{ Type string } }
			file := filepath.Join(webhooktest.Root(t), "shared/provider", name, "testdata", example+".want.json")
			content, err := os.ReadFile(file)
			if err == nil {
				err = json.Unmarshal(content, &want)
			}
			if err != nil || len(want.Events) == 0 {
				t.Errorf("%s/%s: %s: %d events, %v", name, example, file, len(want.Events), err)
				continue
			}
			e, kind := g.event(r.identities(t)[0].EventID), want.Events[0].Type
			if e.Type != kind || e.State != "processed" || e.Duplicates != 1 || e.AgreementID != id || e.Proof == "" {
				t.Errorf("%s/%s: got %+v, want a processed %s of agreement %q with one duplicate", name, example, e, kind, id)
			}
		}
	}
	if flag.Lookup("update").Value.String() != "true" { // which adds the answers of a new vendor
		maps.DeleteFunc(got, func(name string, _ answer) bool { _, fixed := answers()[name]; return !fixed })
	}
	content, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	webhooktest.Golden(t, answersFile, append(content, '\n'))
}

func TestGenuineRequestsThatCannotBeReadAreKept(t *testing.T) {
	t.Parallel()
	g := start(t)
	want := 0
	for _, r := range genuine() {
		for _, body := range []string{"", "{", "<xml/>", "\xff\xfe\x00", `"text"`,
			`<soap:Envelope xmlns:soap="x"><soap:Body/></soap:Envelope>`} {
			if odd, ok := r.saying(body); ok {
				g.accept(odd, odd) // the hash of the body is the identity
				want++
			} else {
				g.refuse(odd)
			}
		}
	}
	g.unreadable(want)
	for _, e := range g.events() {
		if e.Duplicates != 1 {
			t.Errorf("%s: %d duplicates, want one", e.Provider, e.Duplicates)
		}
	}
}

func TestForgedRequestsLeaveNoTrace(t *testing.T) {
	t.Parallel()
	g := start(t)
	for _, r := range genuine() {
		unsigned := r
		unsigned.header = map[string]string{"Content-Type": r.header["Content-Type"]}
		g.accept(r)
		g.refuse(r.forged(t))
		if !unsigned.isGenuine() { // a signature may be in the body
			g.refuse(unsigned)
		}
		if changed := r; r.provider.Info().SignsAll {
			changed.body += "\n"
			g.refuse(changed)
		}
	}
	events := g.events()
	if len(events) != len(provider.All()) {
		t.Errorf("refused requests left events: %s", names(events))
	}
	for _, e := range events {
		if e.Duplicates != 0 {
			t.Errorf("%s: a refused request counts as a duplicate", e.Provider)
		}
	}
}
