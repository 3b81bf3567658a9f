package dropboxsign

import (
	"bytes"
	"encoding/base64"
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// maxExplained is the largest body that is read to explain a refusal, in bytes, and the largest one times the keys.
const maxExplained = 256 << 10

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
	var c *payload
	if len(r.Body) <= maxExplained {
		c, _ = decode(r)
	}
	if c == nil || c.Event.Hash == "" {
		return hash.Causes(unread(r.Body, hash.Find(nil), len(r.Body) > maxExplained))
	}
	hash.Sent = []string{string(c.Event.Hash)}
	hash.Signed = func([]byte) [][]byte { return [][]byte{[]byte(c.Event.Time), []byte(c.Event.Type)} }
	found := hash.Find(keys.Keys)
	hashRight := webhook.Matches(keys.Keys, hash.Sent, c.eventHash)
	if !present {
		if hashRight {
			found = changed("event_time or event_type was changed")
		}
		return hash.Causes(found)
	}
	content := hash
	content.Where, content.Format, content.Sent = "the header Content-Sha256", "base64 of 64 characters of hex", []string{sent}
	content.Body, content.BodyUnsigned = c.message, false
	content.Signed = func(body []byte) [][]byte { return [][]byte{body} }
	foundContent := content.Find(keys.Keys)
	contentRight := len(c.message)*len(keys.Keys) <= maxExplained && c.contentMatches(keys.Keys, sent)
	switch {
	case hashRight && contentRight:
		return hash.Causes(changed("event_time or event_type was changed"))
	case hashRight:
		return content.Causes(foundContent.And(changed("event_hash is right, but Content-Sha256 is not")))
	case contentRight:
		return hash.Causes(found.And(changed("Content-Sha256 is right, but event_hash is not")))
	}
	return hash.Causes(found.And(foundContent))
}

func changed(how string) refusal.Found {
	return refusal.Found{refusal.BodyChanged: refusal.Evidence{Text: how}}
}

// unread returns the causes for a body without a readable event_hash.
func unread(body []byte, found refusal.Found, large bool) refusal.Found {
	decoded, _ := base64.StdEncoding.DecodeString(string(bytes.TrimSpace(body[:min(len(body), 64<<10)])))
	_, compressed := found[refusal.BodyCompressed]
	switch hash := []string{"event_hash"}; {
	case compressed:
		delete(found, refusal.SignatureMissing)
	case large:
		return changed("it is too large to be a callback")
	case webhook.Mentions(body, hash...) || webhook.Mentions(decoded, hash...):
		return changed("it is not a form with one field json, or it is cut off")
	}
	return found
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	agent := strings.ToLower(r.Header.Get("User-Agent"))
	return strings.Contains(agent, "hellosign") || strings.Contains(agent, "dropbox sign") ||
		r.Header.Get("Content-Sha256") != "" || webhook.Mentions(r.Body, "event_hash")
}
