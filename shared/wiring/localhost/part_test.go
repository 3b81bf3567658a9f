package localhost

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/lab/stored"
	"esignhooks/shared/provider"
)

func TestListsHaveParts(t *testing.T) {
	g := openFolder(t, stored.LocalV1(t), provider.All()...)
	for _, list := range []string{"agreements", "events", "published"} {
		type page struct {
			Items []json.RawMessage
			Next  string
		}
		get := func(query string) (p page) {
			members := read[map[string]json.RawMessage](t, g, "/api/"+list+"?"+query)
			json.Unmarshal(members[list], &p.Items)
			json.Unmarshal(members["next"], &p.Next)
			return p
		}
		whole := get("")
		if len(whole.Items) < 3 || whole.Next != "" {
			t.Fatalf("%s: %d items, then %q", list, len(whole.Items), whole.Next)
		}
		next, parts := "", []json.RawMessage{}
		for more := true; more; more = next != "" {
			part := get("limit=2&after=" + next)
			parts, next = append(parts, part.Items...), part.Next
		}
		if fmt.Sprintf("%s", parts) != fmt.Sprintf("%s", whole.Items) {
			t.Errorf("%s: the parts are not the whole:\n%s\n%s", list, parts, whole.Items)
		}
		vendors := 0
		for _, p := range provider.All() {
			vendors += len(get("provider=" + p.Info().Name).Items)
		}
		if none := get("provider=other").Items; vendors != len(whole.Items) || none == nil || len(none) > 0 {
			t.Errorf("%s: the vendors have %d items, another one %s", list, vendors, none)
		}
		for _, bad := range []string{"limit=0", "limit=-1", "limit=x", "after=%21", "after=eA", "after=" + part{list: "x"}.cursor("y")} {
			answer := g.ask("GET", "/api/"+list+"?"+bad, "", nil)
			if name, _, _ := strings.Cut(bad, "="); answer.Code != 400 || !strings.HasPrefix(answer.Body.String(), name) {
				t.Errorf("%s?%s: %d %s", list, bad, answer.Code, answer.Body)
			}
		}
	}
}

// An earlier release has no indexes. It opens the store of this one, and writes events.
func TestAnEarlierReleaseMayChangeTheStore(t *testing.T) {
	data := t.TempDir()
	g := release(t, data, acmesign.Provider{})
	g.post(t, acmesign.Event{Number: 1, Type: "sent", Agreement: "a"}, "")
	reopen := func(change func(tx *bbolt.Tx) error) {
		t.Helper()
		if err := g.db.Update(change); err != nil {
			t.Fatal(err)
		}
		g.db.Close()
		g = release(t, data, acmesign.Provider{})
	}
	hide := func(tx *bbolt.Tx) error { // as if the event were not in the index
		index := tx.Bucket([]byte("ledger.recent.events"))
		k, _ := index.Cursor().First()
		return index.Delete(k)
	}
	reopen(hide)
	if events, err := g.ledger.Events(); err != nil || len(events) != 0 {
		t.Fatalf("the index is made again although it is current: %v, %v", events, err)
	}
	reopen(func(tx *bbolt.Tx) error { return tx.Bucket(storeBucket).Put(versionKey, []byte("1")) })
	if events, err := g.ledger.Events(); err != nil || len(events) != 1 {
		t.Errorf("an event of an earlier release is not listed: %v, %v", events, err)
	}
}
