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
