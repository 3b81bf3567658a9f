package adobesign

import (
	"fmt"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

const clientIDHeader = "X-AdobeSign-ClientId"

// Verify implements [webhook.Provider]. The client ID is required even if the URL token is right.
func (Provider) Verify(r *webhook.Request, keys webhook.Keys) (esign.Proof, error) {
	if err := verifyClientID(r, keys); err != nil {
		return "", err
	}
	if r.TokenMatched {
		return esign.ProofURLToken, nil
	}
	return esign.ProofClientID, nil
}

// Sign implements [webhook.Provider].
func (Provider) Sign(r *webhook.Request, key webhook.Secret, _ time.Time) error {
	r.Header.Set(clientIDHeader, key.Reveal())
	return nil
}

func verifyClientID(r *webhook.Request, keys webhook.Keys) error {
	if len(keys.Keys) == 0 {
		return fmt.Errorf("adobesign: %w", webhook.ErrNoKey)
	}
	switch id := clientID(r); {
	case webhook.Any(keys.Keys, id):
		return nil
	case id == "":
		return fmt.Errorf("adobesign: no valid client ID: %w", webhook.ErrNotGenuine)
	}
	return fmt.Errorf("adobesign: the client ID is not configured: %w", webhook.ErrNotGenuine)
}

// WebApplicationID is the client ID of all webhooks that are created in Adobe's web application.
//
// SPEC: https://helpx.adobe.com/sign/web/developers/webhooks/create.html ("Configure a new webhook"), read 2026-11-30:
// "the client ID sent to webhooks created from the Acrobat Sign web application".
const WebApplicationID = "UB7E5BXCXY"

// Explain implements [webhook.Explainer]. Client IDs are public, and shown.
func (Provider) Explain(r *webhook.Request, keys webhook.Keys) []webhook.Refusal {
	switch ids := r.Header.Values(clientIDHeader); {
	case strings.TrimSpace(strings.Join(ids, "")) == "":
		return []webhook.Refusal{{
			Code: "client-id-missing",
			Hint: "the request has no client ID in " + clientIDHeader + ", so it is not from Adobe, or a proxy removed the " +
				"header; Adobe sends " + WebApplicationID + " for a webhook that is created in its web application",
		}}
	case !webhook.Any(keys.Keys, clientID(r)):
		return []webhook.Refusal{{
			Code: "client-id-unknown",
			Hint: "the client ID" + shown(ids) + " is not among the keys; if the webhook is yours, add it to the keys, and " +
				"add " + WebApplicationID + " for webhooks that are created in Adobe's web application",
		}}
	}
	return nil
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
	if len(text) > 100 {
		return ""
	}
	return text
}

// clientID returns the client ID that r names. It is empty if r names none, several, or one that is not printable ASCII
// and so must not be echoed in a header.
func clientID(r *webhook.Request) string {
	id := ""
	for i, value := range r.Header.Values(clientIDHeader) {
		value = strings.TrimSpace(value)
		if i > 0 && value != id {
			return ""
		}
		id = value
	}
	if strings.ContainsFunc(id, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return ""
	}
	return id
}
