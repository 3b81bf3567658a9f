package gateway

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
)

// TestAnAgreementIsFoundByWhatItsSenderWrote posts envelopes with custom fields. An envelope is found by its newest
// value, whichever message arrives last, and whatever the value is.
func TestAnAgreementIsFoundByWhatItsSenderWrote(t *testing.T) {
	t.Parallel()
	g := start(t)
	p, _ := webhook.Find(provider.All(), "docusign")
	begin := time.Now().Add(-time.Hour).Truncate(time.Second)
	say := func(id, example, value string, at time.Time) {
		t.Helper()
		r, _ := signed(p, id, example, p.Info().DevelopmentKey, at)
		quoted, _ := json.Marshal(value)
		field := `"envelopeSummary":{"customFields":{"textCustomFields":[{"name":"deal_id","value":` + string(quoted) + `}]},`
		g.accept(r.must(t, strings.Replace(r.body, `"envelopeSummary":{`, field, 1)))
	}
	long := strings.Repeat("0", 256)
	values := []string{"123", "12", "a#@", "a:b", "a&reference=b", "a\n\u202eb", "é\x00", long}
	envelopes := map[string]string{}
	for _, value := range values {
		id := guid()
		say(id, "envelope-completed", value, begin.Add(time.Minute))
		say(id, "envelope-sent", "earlier "+value, begin)
		envelopes[value] = id
	}
	g.events()
	find := func(reference string) (ids []string) {
		t.Helper()
		var list struct{ Agreements []agreement }
		if status := g.read("/api/agreements?reference="+url.QueryEscape(reference), &list); status != http.StatusOK {
			t.Errorf("%.40q: %d", reference, status)
		}
		for _, a := range list.Agreements {
			ids = append(ids, a.ID)
		}
		return ids
	}
	for _, value := range values {
		if got := find("deal_id:" + value); !slices.Equal(got, []string{envelopes[value]}) {
			t.Errorf("%.40q: %v", value, got)
		}
		if got := find("deal_id:earlier " + value); len(got) > 0 {
			t.Errorf("an earlier value of %.40q: %v", value, got)
		}
	}
	answer := g.send(request{method: "GET", path: "/api/agreements?reference=deal_id"})
	if answer.Status != http.StatusBadRequest || !strings.Contains(answer.Body, "deal_id:123") {
		t.Errorf("without a colon: %d %s", answer.Status, answer.Body)
	}
}
