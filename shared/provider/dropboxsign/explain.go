package dropboxsign

import (
	"maps"
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// Explain implements [webhook.Provider]. Two signatures prove a callback: event_hash, which covers time and type only,
// and Content-Sha256. If one of them is right, something has changed the rest.
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	sent, present := contentHeader(r.Header)
	hash := refusal.Scheme{
		Info:         p.Info(),
		Where:        "event_hash",
		Format:       "64 characters of lower-case hex",
		Source:       "the account's primary API key, at Settings → API of Dropbox Sign",
		Absent:       "it is not from Dropbox Sign, or something changed the form",
		Header:       refusal.Without(r.Header, func(name string) bool { return name == "Content-Sha256" }),
		Body:         r.Body,
		BodyUnsigned: true,
	}
	c, err := decode(r)
	if c == nil || err != nil && !present {
		found := hash.Find(nil)
		if _, absent := found[refusal.SignatureMissing]; absent && (present || webhook.Mentions(r.Body, "event_hash")) {
			delete(found, refusal.SignatureMissing)
			found.Add(refusal.BodyChanged, "it is not a form with one field json, or it is cut off")
		}
		return hash.Causes(found)
	}
	if c.Event.Hash != "" {
		hash.Sent = []string{string(c.Event.Hash)}
	}
	hash.Signed = func([]byte) [][]byte { return [][]byte{[]byte(c.Event.Time), []byte(c.Event.Type)} }
	content := hash
	content.Where, content.Format, content.Sent = "the header Content-Sha256", "base64 of 64 characters of hex", []string{sent}
	content.Body, content.BodyUnsigned = c.message, false
	content.Signed = func(body []byte) [][]byte { return [][]byte{body} }

	hashRight := webhook.Matches(keys.Keys, hash.Sent, c.eventHash)
	switch contentRight := present && c.contentMatches(keys.Keys, sent); {
	case hashRight && present && !contentRight:
		return content.Causes(content.Find(keys.Keys).Partly("event_hash is right, but Content-Sha256 is not"))
	case hashRight:
		return hash.Causes(refusal.Found{refusal.BodyChanged: "it is not JSON, or event_time and event_type were changed"})
	case contentRight:
		return hash.Causes(hash.Find(keys.Keys).Partly("Content-Sha256 is right, but event_hash is not"))
	case !present:
		return hash.Causes(hash.Find(keys.Keys))
	}
	found := hash.Find(keys.Keys)
	maps.Copy(found, content.Find(keys.Keys))
	return hash.Causes(found.Specific())
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	agent := strings.ToLower(r.Header.Get("User-Agent"))
	return strings.Contains(agent, "hellosign") || strings.Contains(agent, "dropbox sign") ||
		r.Header.Get("Content-Sha256") != "" || webhook.Mentions(r.Body, "event_hash")
}
