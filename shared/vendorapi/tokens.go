package vendorapi

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// Tokens gets access tokens and shares them with all other processes by way of the notes, where they stand sealed under a
// key made of the credentials. One process at a time gets a new token: some vendors cut the old one short when they give a
// new one. Whatever a process leaves undone, the next one makes good: a lease ends, a token that was not written down is
// got anew, and the one that this cuts short is rejected and given up. Its fields are set once.
type Tokens struct {
	Provider string
	// Secret is the part of the credentials that makes the key; whoever knows it could get a token anyway.
	Secret webhook.Secret
	// Fetch gets a new token from the vendor.
	Fetch func(context.Context) (token string, expires time.Time, err error)
	Notes ledger.Notes
	Now   func() time.Time

	once     sync.Once
	turn     chan struct{} // holds one while somebody has the turn to look at the rest
	last     token
	rejected string // the last that the vendor did not take
}

const (
	tokenMargin  = 2 * time.Minute        // of a token's life, which is not used: clocks differ, and requests take time
	tokenRest    = time.Minute            // what a token must last before another is got because it was rejected
	tokenLease   = 40 * time.Second       // how long a process has to get a token and to write it down
	tokenWriting = 5 * time.Second        // of it, how long to write it down
	tokenPoll    = 500 * time.Millisecond // between two looks at a note that another process is to write
)

type token struct {
	value          string
	since, expires time.Time
}

// note holds a token, or says that somebody is getting one.
type note struct {
	Sealed  string    `json:"sealed,omitempty"` // nonce and ciphertext, base64
	Since   time.Time `json:"since,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Lease   time.Time `json:"lease,omitzero"`   // its end
	Holder  string    `json:"holder,omitempty"` // of the lease; no two are the same
}

// Bearer is an Authorize for [HTTP].
func (t *Tokens) Bearer(ctx context.Context, r *http.Request) error {
	token, err := t.Token(ctx)
	if err == nil {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// Rejected is that of [HTTP]: the token of the request is not used any more, unless it is quite new, so that it is not the
// token that the vendor minds.
func (t *Tokens) Rejected(ctx context.Context, header http.Header) bool {
	rejected, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !ok || t.lock(ctx) != nil {
		return false
	}
	defer t.unlock()
	if rejected != t.last.value {
		return true // there is another one by now
	}
	if age := t.Now().Sub(t.last.since); 0 <= age && age < tokenRest {
		return false
	}
	t.rejected = rejected
	return true
}

// lock waits for the turn, no longer than the context lasts.
func (t *Tokens) lock(ctx context.Context) error {
	t.once.Do(func() { t.turn = make(chan struct{}, 1) })
	select {
	case t.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("vendorapi: shared token: %w", ctx.Err())
	}
}

func (t *Tokens) unlock() { <-t.turn }

// Token returns a token that should be valid for another two minutes.
func (t *Tokens) Token(ctx context.Context) (string, error) {
	if err := t.lock(ctx); err != nil {
		return "", err
	}
	defer t.unlock()
	for !t.usable(t.last) {
		text, version, err := t.Notes.Note(ctx, t.name())
		if err != nil {
			return "", fmt.Errorf("vendorapi: shared token: %w", err)
		}
		var n note
		json.Unmarshal([]byte(text), &n) // what cannot be read is written anew
		if found := (token{t.unseal(n.Sealed), n.Since, n.Expires}); t.usable(found) {
			t.last = found
			break
		}
		// A lease that is longer than any was written by a clock that is wrong.
		if left := n.Lease.Sub(t.Now()); 0 < left && left < 2*tokenLease {
			if err := sleep(ctx, tokenPoll); err != nil {
				return "", fmt.Errorf("vendorapi: shared token: %w", err)
			}
			continue
		}
		err = t.write(ctx, note{Lease: t.Now().Add(tokenLease), Holder: rand.Text()}, version)
		if err == nil {
			return t.renew(ctx, version+1)
		}
		if !errors.Is(err, ledger.ErrConflict) {
			return "", fmt.Errorf("vendorapi: shared token: %w", err)
		}
	}
	return t.last.value, nil
}

func (t *Tokens) usable(k token) bool {
	return k.value != "" && k.value != t.rejected && t.Now().Add(tokenMargin).Before(k.expires)
}

// renew gets a token while we hold the lease, the note's version. A token that cannot be shared is used all the same.
func (t *Tokens) renew(ctx context.Context, version int64) (string, error) {
	fetching, cancel := context.WithTimeout(ctx, tokenLease-tokenWriting)
	defer cancel()
	var n note // after a failure: the next one need not wait
	value, expires, err := t.Fetch(fetching)
	if err == nil {
		n.Since, n.Expires = t.Now(), expires
		n.Sealed, err = t.seal(value)
	}
	if err == nil {
		t.last, t.rejected = token{value, n.Since, expires}, ""
	}
	writing, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenWriting)
	defer cancel()
	t.write(writing, n, version)
	return value, err
}

func (t *Tokens) name() string { return t.Provider + "/token" }

func (t *Tokens) write(ctx context.Context, n note, version int64) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return t.Notes.PutNote(ctx, t.name(), string(text), version)
}

// aead seals under a key made of the credentials.
func (t *Tokens) aead() (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(t.Secret.Reveal()), nil, "esignhooks shared token of "+t.Provider, 32)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

func (t *Tokens) seal(value string) (string, error) {
	aead, err := t.aead()
	if err == nil && (value == "" || t.Secret.Reveal() == "") {
		err = errors.New("vendorapi: no token, or nothing to seal it under")
	}
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, []byte(value), nil)), nil
}

// unseal returns the empty token for one that was sealed with other credentials, or by nobody.
func (t *Tokens) unseal(sealed string) string {
	b, _ := base64.StdEncoding.DecodeString(sealed) // what cannot be read is sealed by nobody
	aead, err := t.aead()
	if err != nil {
		return ""
	}
	value, _ := aead.Open(nil, nil, b, nil)
	return string(value)
}
