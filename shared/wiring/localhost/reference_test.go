package localhost

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

func TestAgreementsAreFoundByReference(t *testing.T) {
	g := openFolder(t, t.TempDir(), acmesign.Provider{})
	refer := func(provider, id string, references map[string]string) {
		t.Helper()
		claim := ledger.Claim{Key: ledger.Key{Subject: webhook.AgreementSubject(provider, id), ID: id}}
		event := esign.Event{Provider: provider, AgreementID: id, References: references, OccurredAt: time.Now()}
		after := esign.Fold(esign.Agreement{}, event)
		if err := g.ledger.Commit(t.Context(), ledger.Commit{Claim: claim, Event: event, Agreement: &after}); err != nil {
			t.Fatal(err)
		}
	}
	var deals []string
	for i := range ledger.MaxFound + 20 {
		id := fmt.Sprintf("%03d", i)
		refer([]string{"acmesign", "othersign"}[i%2], id, map[string]string{"deal": "1"})
		deals = append(deals, []string{"acmesign ", "othersign "}[i%2]+id)
	}
	slices.Sort(deals)
	long := strings.Repeat("é", esign.MaxReference)
	odd := map[string]string{"a": "a#@", "b": "x&y=z+%00", "c": "b:c", "d": long, "e": "\x00\n<script>", "f": "?after=1"}
	refer("acmesign", "odd", odd)

	get := func(query url.Values) (code int, body string) {
		recorder := httptest.NewRecorder()
		request := httptest.NewRequest("GET", "/api/agreements?"+query.Encode(), nil)
		request.Host = "localhost"
		g.ServeHTTP(recorder, request)
		return recorder.Code, recorder.Body.String()
	}
	pages := func(query url.Values, most int) (all []string) {
		t.Helper()
		for {
			code, body := get(query)
			var page found
			if err := json.Unmarshal([]byte(body), &page); err != nil || code != 200 || page.Agreements == nil {
				t.Fatalf("%v: %d %s, %v", query, code, body, err)
			}
			if len(page.Agreements) > most {
				t.Errorf("%v: %d agreements in a page", query, len(page.Agreements))
			}
			for _, a := range page.Agreements {
				all = append(all, a.Provider+" "+a.ID)
			}
			if page.Next == "" {
				return all
			}
			query.Set("after", page.Next)
		}
	}
	for limit, most := range map[string]int{"": 1000, "7": 7, "120": 120, "110": 110, "1000000": 1000000} {
		if got := pages(url.Values{"reference": {"deal:1"}, "limit": {limit}}, most); !slices.Equal(got, deals) {
			t.Errorf("limit %s: %v", limit, got)
		}
	}
	if got := pages(url.Values{"reference": {"deal:1"}, "provider": {"othersign"}, "limit": {"7"}}, 7); !slices.Equal(got,
		deals[len(deals)/2:]) {
		t.Errorf("of one provider: %v", got)
	}
	for name, value := range odd {
		got := pages(url.Values{"reference": {name + ":" + value}}, 1)
		if !slices.Equal(got, []string{"acmesign odd"}) {
			t.Errorf("%.20q: %v", value, got)
		}
	}
	if got := pages(url.Values{"reference": {"d:" + long + "more"}}, 1); !slices.Equal(got, []string{"acmesign odd"}) {
		t.Errorf("a value that is cut: %v", got)
	}
	for _, nothing := range []string{"deal:", ":1", ":", "deal:01", "DEAL:1", "nothing:" + strings.Repeat("x", 5000)} {
		if got := pages(url.Values{"reference": {nothing}}, 0); len(got) > 0 {
			t.Errorf("%.20s: %v", nothing, got)
		}
	}
	for _, tt := range []struct {
		query url.Values
		said  string
	}{
		{url.Values{"reference": {"deal"}}, "deal_id:123"}, {url.Values{"reference": {""}}, "deal_id:123"},
		{url.Values{"reference": {"deal:1"}, "limit": {"0"}}, "limit"},
		{url.Values{"reference": {"deal:1"}, "limit": {"many"}}, "limit"},
		{url.Values{"reference": {"deal:1"}, "after": {"acmesign#1"}}, "after"},
	} {
		if code, body := get(tt.query); code != 400 || !strings.Contains(body, tt.said) {
			t.Errorf("%v: %d %s", tt.query, code, body)
		}
	}
}
