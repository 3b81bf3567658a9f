package webhooktest

import (
	"testing"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Benchmark measures a provider's methods with its longest example about an agreement. It verifies the example with the
// right and with a wrong key, identifies it and normalises it.
func Benchmark(b *testing.B, p webhook.Provider) {
	r, ids := longest(b, p)
	keys := DevelopmentKeys(p)
	forged := Clone(r)
	if err := p.Sign(forged, webhook.NewSecret("forged"), ReceivedAt); err != nil {
		b.Fatal(err)
	}
	d := Delivery(p, r, ids[0], esign.ProofSigned)
	for name, do := range map[string]func() error{
		"verify":    func() error { _, err := p.Verify(r, keys); return err },
		"refuse":    func() error { p.Verify(forged, keys); return nil },
		"identify":  func() error { _, err := p.Identify(r); return err },
		"normalise": func() error { _, err := p.Normalize(d); return err },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(r.Body)))
			for b.Loop() {
				if err := do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// longest finds the example with the longest body that is about an agreement.
func longest(b *testing.B, p webhook.Provider) (found *webhook.Request, ids []webhook.Identity) {
	b.Helper()
	for _, r := range Examples(b, p.Info().Name) {
		if identities, err := p.Identify(r); err != nil || identities[0].AgreementID == "" || found != nil &&
			len(r.Body) <= len(found.Body) {
			continue
		} else {
			found, ids = r, identities
		}
	}
	if found == nil {
		b.Fatal("no example is about an agreement")
	}
	return found, ids
}
