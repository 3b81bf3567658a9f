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

	"esignhooks/shared/plumbing/format"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/webhook"
)

// Tokens fetches access tokens and shares them with all other processes through the notes, encrypted under a key that
// is derived from the credentials. One process at a time fetches a token, since some vendors invalidate the old token
// soon after they issue a new one.
//
// A crash at any point is repaired by the next process. The lease expires, a token that was not stored is fetched
// again, and the token that this invalidates is rejected and dropped.
//
// Set the fields before the first call.
type Tokens struct {
	Provider string
	// Secret is the part of the credentials that the key is derived from. It would be enough to fetch a token.
	Secret webhook.Secret
	// Fetch requests a new token from the vendor.
	Fetch func(context.Context) (token string, expires time.Time, err error)
	Notes ledger.Notes
	Now   func() time.Time

	once     sync.Once
	mutex    chan struct{} // guards the rest; a channel, so that a waiting caller can give up
	last     token
	rejected string // the last token that the vendor rejected
}

const (
	// a token is not used this close to its expiry: clocks differ, requests take time
	tokenMargin  = 2 * time.Minute
	tokenMinAge  = time.Minute            // a rejected token that is younger is kept: then the token is not the problem
	tokenLease   = 40 * time.Second       // how long a process has to fetch and store a token
	tokenWriting = 5 * time.Second        // the part of the lease for storing
	tokenPoll    = 500 * time.Millisecond // between two reads of a note that another process is about to write
)

type token struct {
	value          string
	since, expires time.Time
}

// noteVersion is the format version of the notes that this release writes.
const noteVersion = 1

// note holds a token, or the lease of the process that is fetching one.
type note struct {
	V       int       `json:"v"`                // the format version; absent means 1
	Sealed  string    `json:"sealed,omitempty"` // nonce and ciphertext, base64
	Since   time.Time `json:"since,omitzero"`
	Expires time.Time `json:"expires,omitzero"`
	Lease   time.Time `json:"lease,omitzero"`   // when it expires
	Holder  string    `json:"holder,omitempty"` // of the lease; unique
}

// Bearer adds a token to a request. It is an Authorize for [HTTP].
func (t *Tokens) Bearer(ctx context.Context, r *http.Request) error {
	token, err := t.Token(ctx)
	if err == nil {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return err
}

// Rejected drops the token of a rejected request, and reports whether another attempt is worthwhile. It keeps a token
// that is very new, since then something else must be wrong. It is a Rejected for [HTTP].
func (t *Tokens) Rejected(ctx context.Context, header http.Header) bool {
	rejected, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !ok || t.lock(ctx) != nil {
		return false
	}
	defer t.unlock()
	if rejected != t.last.value {
		return true // another token has replaced it
	}
	if age := t.Now().Sub(t.last.since); 0 <= age && age < tokenMinAge {
		return false
	}
	t.rejected = rejected
	return true
}

// lock locks the mutex, or returns an error when the context ends.
func (t *Tokens) lock(ctx context.Context) error {
	t.once.Do(func() { t.mutex = make(chan struct{}, 1) })
	select {
	case t.mutex <- struct{}{}:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("vendorapi: shared token: %w", ctx.Err())
	}
}

func (t *Tokens) unlock() { <-t.mutex }

// Token returns a token that should be valid for at least two more minutes.
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
		json.Unmarshal([]byte(text), &n) // an unreadable note is replaced
		if err := format.Check(n.V, noteVersion); err != nil {
			return "", fmt.Errorf("vendorapi: shared token: %w", err)
		}
		if found := (token{t.unseal(n.Sealed), n.Since, n.Expires}); t.usable(found) {
			t.last = found
			break
		}
		// A lease that is longer than any real one was written with a wrong clock, and is ignored.
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

// renew fetches and stores a token while we hold the lease, which is this version of the note. A token that cannot be
// stored is used all the same.
func (t *Tokens) renew(ctx context.Context, version int64) (string, error) {
	var n note // after a failure it stays empty, so that the next process need not wait
	value, expires, err := t.fetch(ctx)
	if err == nil {
		n.Since, n.Expires = t.Now(), expires
		n.Sealed, err = t.seal(value)
	}
	if err == nil {
		t.last, t.rejected = token{value, n.Since, expires}, ""
	}
	t.release(ctx, n, version)
	return value, err
}

func (t *Tokens) fetch(ctx context.Context) (value string, expires time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, tokenLease-tokenWriting)
	defer cancel()
	return t.Fetch(ctx)
}

// release replaces the lease with a note, even if the caller has given up. If that fails, the lease expires.
func (t *Tokens) release(ctx context.Context, n note, version int64) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), tokenWriting)
	defer cancel()
	t.write(ctx, n, version)
}

func (t *Tokens) name() string { return t.Provider + "/token" }

func (t *Tokens) write(ctx context.Context, n note, version int64) error {
	n.V = noteVersion
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	return t.Notes.PutNote(ctx, t.name(), string(text), version)
}

// aead returns the cipher with the key that is derived from the credentials.
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
		err = errors.New("vendorapi: no token, or no secret to encrypt it with")
	}
	if err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(aead.Seal(nil, nil, []byte(value), nil)), nil
}

// unseal decrypts a token. It returns the empty token if it was encrypted with other credentials, or is unreadable.
func (t *Tokens) unseal(sealed string) string {
	b, _ := base64.StdEncoding.DecodeString(sealed) // unreadable text decrypts to nothing
	aead, err := t.aead()
	if err != nil {
		return ""
	}
	value, _ := aead.Open(nil, nil, b, nil)
	return string(value)
}
