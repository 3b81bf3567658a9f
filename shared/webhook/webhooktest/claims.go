package webhooktest

import (
	"crypto/hmac"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"net/http"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// Claims is what a vendor's own test states about the vendor's requests. It is written from the vendor's documents and
// computes signatures itself, so that it can disagree with the provider. The suites of [Run] check each claim. Zero
// values are the strictest: what no claim allows must be refused.
type Claims struct {
	// Variables are the environment variables of localhost for the keys, the URL tokens and the API credentials. They
	// never change, since users set them.
	Variables [3]string

	// Header is the header that proves a request.
	Header string
	// Headers are more headers of every request, such as a signed timestamp.
	Headers http.Header
	// SignedTime names the header whose timestamp the signature covers in front of the query and the body. Empty: none.
	SignedTime string
	// Covered returns the bytes under the signature. Nil: nothing is signed, and Header carries the key itself.
	Covered func(*webhook.Request) []byte
	// Spellings are the values of Header that the vendor may send for a MAC. The first one is used to sign.
	Spellings []func(mac []byte) string

	// AlgorithmHeader names the algorithm of the signature. A provider must not obey it. Empty: a made-up one is tried.
	AlgorithmHeader string

	// Object and ID are the JSON names of the member with the agreement, and of the agreement's ID in it. If Object is
	// empty, the ID is a member on the level of those of Completed.
	Object, ID string
	// Completed returns JSON members that say, genuine under key, that the agreement is completed. Bodies with different
	// seeds are different events.
	Completed func(key, seed string) string
	// Wrap makes a body of JSON members. Nil: an object of them.
	Wrap func(members string) string
	// Named returns JSON members of an event whose vendor type, and other labels, are the given JSON string. Nil: the
	// type cannot be chosen freely.
	Named func(quoted string) string
	// KeepsObject states that of two objects with the same name, members of the first survive in the second.
	KeepsObject bool
	// RefusesOtherFormats states that a body that is not JSON is refused, since nothing in it can be verified. Other
	// vendors' signatures cover any bytes, and such a request is kept as unreadable.
	RefusesOtherFormats bool

	// AnyOfSeveral states that one right value of Header among several proves a request.
	AnyOfSeveral bool
	// WithoutHeader is the proof of a request that lacks Header. Empty: it is refused.
	WithoutHeader esign.Proof
	// TokenAlone is the proof of a request that has nothing but the right URL token. Empty: it is refused.
	TokenAlone esign.Proof

	// LongLists are genuine bodies by name, in which a list of megabytes is made by the given repeat function. Reading
	// one must not cost a multiple of its size.
	LongLists map[string]func(repeat func(element string) string) string
}

// MAC returns the HMAC of b under key, computed without the product's code.
func MAC(h func() hash.Hash, key string, b []byte) []byte {
	mac := hmac.New(h, []byte(key))
	mac.Write(b)
	return mac.Sum(nil)
}

// Hex spells a MAC in lower-case hexadecimal digits.
func Hex(mac []byte) string { return hex.EncodeToString(mac) }

// Base64 spells a MAC in base64 with padding.
func Base64(mac []byte) string { return base64.StdEncoding.EncodeToString(mac) }

// Base64OfHex spells a MAC as the base64 of its hexadecimal digits.
func Base64OfHex(mac []byte) string { return Base64([]byte(Hex(mac))) }

// BodyOf returns the body. It is the Covered of vendors that sign nothing but the body.
func BodyOf(r *webhook.Request) []byte { return r.Body }

// Body returns a message about the agreement with this ID.
func (c Claims) Body(key, id string) string {
	agreement := fmt.Sprintf(`%q:%q`, c.ID, id)
	if c.Object != "" {
		agreement = fmt.Sprintf(`%q:{%s}`, c.Object, agreement)
	}
	return c.Message(key, agreement)
}

// Message returns a message with these members, those of Completed, and a person's address.
func (c Claims) Message(key, members string) string {
	return c.wrap(c.Completed(key, members) + `,` + members + `,"leak":"canary.person@example.com"`)
}

func (c Claims) wrap(members string) string {
	if c.Wrap != nil {
		return c.Wrap(members)
	}
	return "{" + members + "}"
}

// NamedBody returns the body of an event with this vendor type, a JSON string.
func (c Claims) NamedBody(quoted string) string { return c.wrap(c.Named(quoted)) }

// Fill puts the vendor's names for OUTER, INNER and EVENT into text.
func (c Claims) Fill(key, text string) string {
	return strings.NewReplacer("OUTER", c.Object, "INNER", c.ID, "EVENT", c.Completed(key, text)).Replace(text)
}
