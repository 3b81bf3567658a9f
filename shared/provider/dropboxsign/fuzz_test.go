package dropboxsign_test

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/webhooktest"
)

var eventID = regexp.MustCompile(`^[0-9a-f]{64}$`)

// FuzzIdentify checks that the only error is ErrUnreadable, identities are well formed, and Normalize agrees.
func FuzzIdentify(f *testing.F) {
	for _, r := range webhooktest.Examples(f, "dropboxsign") {
		f.Add(r.Header.Get("Content-Type"), r.Body)
	}
	f.Add("", []byte(`{"event":{"event_type":"`+signed+`"}`+viewed+`}`))
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := post(contentType, string(body))
		ids, err := provider.Identify(r)
		if err != nil {
			_, again := provider.Normalize(webhooktest.Delivery(provider, r, webhook.Identity{}, ""))
			if !errors.Is(err, webhook.ErrUnreadable) || !errors.Is(again, webhook.ErrUnreadable) || len(ids) != 0 {
				t.Fatalf("identified: %v; normalised: %v", err, again)
			}
			return
		}
		id, event := only(t, r), meaning(t, r)
		if !eventID.MatchString(id.EventID) || id.VendorType == "" || id.VendorType != webhook.Label(id.VendorType) ||
			id.Via != webhook.Label(id.Via) {
			t.Errorf("%+v", id)
		}
		if !strings.HasPrefix(id.Subject, "dropboxsign"+"#") || len(id.Subject) > 128 {
			t.Errorf("subject %q", id.Subject)
		}
		if event.VendorType != id.VendorType || event.AgreementID != id.AgreementID ||
			!event.OccurredAt.Equal(id.OccurredAt) {
			t.Errorf("identified as %+v, normalised as %+v", id, event)
		}
		if event.AgreementID == "" && (strings.HasPrefix(string(event.Type), "agreement.") || event.Participants != nil) {
			t.Errorf("%+v of no agreement", event)
		}
		if slices.Contains(id.FormerIDs, webhook.FormerID{ID: id.EventID}) || len(id.FormerIDs) > 10 {
			t.Errorf("former IDs %v of %s", id.FormerIDs, id.EventID)
		}
		if slices.ContainsFunc(event.Present, func(key string) bool { return key == "" || strings.Contains(key, "@") }) {
			t.Errorf("present: %q", event.Present)
		}
	})
}

// FuzzVerify checks that any request that passes with an example's Content-Sha256 has the example's meaning.
func FuzzVerify(f *testing.F) {
	examples := webhooktest.Examples(f, "dropboxsign")
	for name, r := range examples {
		f.Add(name, r.Header.Get("Content-Type"), r.Body)
	}
	f.Fuzz(func(t *testing.T, name, contentType string, body []byte) {
		example := examples[name]
		if example == nil {
			return
		}
		changed := post(contentType, string(body))
		changed.Header["Content-Sha256"] = example.Header["Content-Sha256"]
		proof, err := provider.Verify(changed, keys)
		if err != nil && (!errors.Is(err, webhook.ErrNotGenuine) || proof != "") {
			t.Fatalf("%q, %v", proof, err)
		}
		if proof != esign.ProofSigned {
			return
		}
		if diff := cmp.Diff(only(t, example), only(t, changed)) +
			cmp.Diff(meaning(t, example), meaning(t, changed)); diff != "" {
			t.Error(diff)
		}
	})
}

// FuzzSign checks that a signed request is genuine, and that signing does not change its event.
func FuzzSign(f *testing.F) {
	for _, r := range webhooktest.Examples(f, "dropboxsign") {
		f.Add(r.Header.Get("Content-Type"), r.Body)
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		r := post(contentType, string(body))
		r.Header.Set("Content-Sha256", "")
		before, err := provider.Identify(r)
		if err != nil || provider.Sign(r, keys.Keys[0], webhooktest.ReceivedAt) != nil {
			return
		}
		proof, err := provider.Verify(r, keys)
		if err != nil && strings.Contains(err.Error(), "event_hash") {
			return // an impossible time or type
		}
		if err != nil || proof != esign.ProofSigned {
			t.Fatalf("%q, %v", proof, err)
		}
		if diff := cmp.Diff(before[0], only(t, r)); diff != "" {
			t.Error(diff)
		}
	})
}
