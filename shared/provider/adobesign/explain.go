package adobesign

import (
	"net/http"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// WebApplicationID is the client ID of all webhooks that are created in Adobe's web application.
//
// SPEC: https://helpx.adobe.com/sign/web/developers/webhooks/create.html ("Configure a new webhook"), read 2026-11-30:
// "the client ID sent to webhooks created from the Acrobat Sign web application".
const WebApplicationID = "UB7E5BXCXY"

// Explain implements [webhook.Provider]. Client IDs are public, and shown.
func (p Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	info, ids := p.Info(), r.Header.Values(clientIDHeader)
	if strings.TrimSpace(strings.Join(ids, "")) == "" {
		causes := []webhook.Refusal{{
			Code: refusal.ClientIDMissing,
			Hint: "the request has no client ID in " + clientIDHeader + ", so it is not from Adobe, or a proxy removed the " +
				"header; Adobe sends " + WebApplicationID + " for a webhook that is created in its web application",
		}}
		if name := elsewhere(r.Header, keys.Keys); name != "" {
			causes = append(causes, webhook.Refusal{
				Code: refusal.OtherHeader,
				Hint: "a configured client ID is in the header " + webhook.Label(name) + ", but Adobe puts it in " + clientIDHeader +
					": find the proxy that renames the header",
			})
		}
		return causes
	}
	if webhook.Any(keys.Keys, clientID(r)) {
		return nil
	}
	causes := []webhook.Refusal{{
		Code: refusal.ClientIDUnknown,
		Hint: "the client ID" + shown(ids) + " is not among the keys; if the webhook is yours, add it to the keys, and " +
			"add " + WebApplicationID + " for webhooks that are created in Adobe's web application",
	}}
	switch {
	case clientID(r) == info.DevelopmentKey:
		causes = append(causes, webhook.Refusal{
			Code: refusal.DevelopmentKey,
			Hint: "the client ID is that of development, which is not configured: send a configured one, or unset $" +
				info.KeysVariable + " on localhost",
		})
	case len(keys.Keys) == 1 && webhook.Any(keys.Keys, info.DevelopmentKey):
		causes = append(causes, webhook.Refusal{
			Code: refusal.DevelopmentKey,
			Hint: "only the client ID of development is configured: set $" + info.KeysVariable + " to yours",
		})
	}
	return causes
}

// elsewhere returns the name of a header, in alphabetical order, that has a configured client ID.
func elsewhere(header http.Header, keys []webhook.Secret) (found string) {
	var names []string
	for name := range header {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		for _, value := range header[name] {
			if webhook.Any(keys, strings.TrimSpace(value)) {
				found = name
			}
		}
	}
	return found
}

// Resembles implements [webhook.Provider].
func (Provider) Resembles(r *webhook.Request) bool {
	return len(r.Header.Values(clientIDHeader)) > 0 || strings.HasPrefix(r.Header.Get("User-Agent"), "AdobeSign") ||
		webhook.Mentions(r.Body, `"webhookNotificationId"`, `"webhookUrlInfo"`)
}

// shown returns the client IDs, for a log, after a space. It returns "" if they do not look like client IDs: anybody
// may have put anything there.
func shown(ids []string) string {
	const characters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	text := ""
	for _, id := range ids {
		if id = strings.TrimSpace(id); strings.Trim(id, characters) != "" {
			return ""
		}
		text += " " + id
	}
	if len(text) > 64 {
		return ""
	}
	return text
}
