package refusal_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/webhook/refusal"
)

// BenchmarkExplain measures the largest bodies of each kind of work, and many keys. The bytes that are hashed and formed
// are limited, so no request can cost much more.
func BenchmarkExplain(b *testing.B) {
	dense := strings.Repeat(`"ключ/<&>":["значение",{"a":1.50,"b":null}],`, 8)
	for _, size := range []int{2 << 10, 20 << 10, 64 << 10, 256 << 10, 1 << 20, 10 << 20} {
		body := []byte("{" + strings.Repeat(dense, max(1, (size-16)/len(dense))) + `"z":0}`)
		if size == 256<<10 {
			body = body[:0]
			for len(body) < size-2*len(dense) {
				body = append(body, dense...)
			}
			body = append([]byte("{"), append(body, `"z":0}`...)...)
		}
		for _, keys := range []int{1, 100} {
			var configured webhook.Keys
			for i := range keys {
				configured.Keys = append(configured.Keys, webhook.NewSecret(fmt.Sprint("key ", i)))
			}
			for _, p := range provider.All() {
				r := &webhook.Request{Method: http.MethodPost, Header: http.Header{}, Body: bytes.Clone(body)}
				if p.Sign(r, webhook.NewSecret("another"), time.Unix(1, 0)) != nil {
					continue
				}
				b.Run(fmt.Sprintf("%s/%dKB/%dkeys", p.Info().Name, size>>10, keys), func(b *testing.B) {
					for b.Loop() {
						refusal.Explain(p, provider.All(), r, configured)
					}
				})
			}
		}
	}
}
