// Package vendorstub serves the vendors' APIs on this machine, as their documentation describes them, with their rate
// limits, delays and errors. It is for tests.
package vendorstub

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/embedded"
)

// Server is all vendors at once, each under its own paths. It keeps agreements and subscriptions in one model; each
// vendor's file serves them in that vendor's format.
type Server struct {
	URL string
	Now func() time.Time // set before the first request; the real time by default

	mu        sync.Mutex          // guards all below, and all state of the vendors
	accounts  map[string]*account // by provider
	calls     []string            // "GET /path" of each request, in order
	failures  []Failure
	adobeSign *adobeSign
	docuSign  *docuSign
}

// account is the one account at a vendor.
type account struct {
	*Server
	credentials   func() object // what the member "api" of the secret must be for this server
	agreements    []*Agreement  // in the order in which they were set
	subscriptions []*Subscription
	tokens        map[string]time.Time // when each expires
	made          int                  // IDs and tokens so far
}

// Agreement is the true state of one agreement.
type Agreement struct {
	ID        string
	Status    esign.Status
	ChangedAt time.Time
	CreatedAt time.Time // by default, the time of the first Set
	// VendorStatus is the vendor's word, where Status does not determine it. Empty means the usual one.
	VendorStatus string
	// PDF is the signed document. Nil means a small valid one.
	PDF []byte
	// Form is what the participants have filled in, in the vendor's format: JSON of form_data or response_data, or CSV.
	Form string
	// NotReady is how many more requests for documents are answered "not ready", in the vendor's way.
	NotReady int
	// Deleted means that the vendor no longer has it.
	Deleted bool
	// Included are the custom_fields and recipients that DocuSign includes if it is asked to, each in its own format.
	Included map[string]any
	// Other means that it belongs to another account, which only DocuSign's credentials can name.
	Other bool
	// Truncated means that downloads break off in the middle.
	Truncated bool
}

// Subscription is a subscription at the vendor, as far as all vendors have the same fields.
type Subscription struct {
	ID       string
	URL      string
	Disabled bool
	Failed   []string       // agreements whose events could not be delivered
	Settings map[string]any // in the vendor's own format
}

// Failure replaces the regular answer to a request.
type Failure struct {
	Method string // empty: any
	Path   string // a part of the path
	Status int
	Header http.Header
	Body   string
	Hang   bool // no answer: wait until the client gives up
	Times  int
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{Now: time.Now, accounts: map[string]*account{}}
	mux := http.NewServeMux()
	s.adobeSign = serveAdobeSign(s.account("adobesign"), mux)
	s.docuSign = serveDocuSign(s.account("docusign"), mux)
	serveDropboxSign(s.account("dropboxsign"), mux)
	serveESignGlobal(s.account("esignglobal"), mux)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.fails(w, r) {
			mux.ServeHTTP(w, r)
		}
	}))
	s.URL = "http://" + server.Listener.Addr().String() // before a handler reads it
	server.Start()
	t.Cleanup(server.Close)
	return s
}

// Notes returns empty notes for clients to share, which end with the test.
func Notes(t testing.TB) ledger.Notes {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	notes, err := embedded.New(groupcommit.New(db))
	if err != nil {
		t.Fatal(err)
	}
	return notes
}

// account returns the account at a provider. The caller holds mu.
func (s *Server) account(provider string) *account {
	if s.accounts[provider] == nil {
		s.accounts[provider] = &account{Server: s, tokens: map[string]time.Time{}}
	}
	return s.accounts[provider]
}

// Credentials returns the credentials of a provider that this server accepts, or JSON's null for a provider that it
// does not serve.
func (s *Server) Credentials(provider string) json.RawMessage {
	s.mu.Lock()
	defer s.mu.Unlock()
	made := s.account(provider).credentials
	if made == nil {
		return json.RawMessage("null")
	}
	text, _ := json.Marshal(made()) // strings always marshal
	return text
}

// Set adds an agreement, or changes the one with this ID.
func (s *Server) Set(provider string, a Agreement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.account(provider)
	if a.ChangedAt.IsZero() {
		a.ChangedAt = s.Now()
	}
	known := at.agreement(a.ID)
	if a.CreatedAt.IsZero() {
		a.CreatedAt = a.ChangedAt
		if known != nil {
			a.CreatedAt = known.CreatedAt
		}
	}
	if known != nil {
		*known = a
		return
	}
	at.agreements = append(at.agreements, &a)
}

// Subscribe adds a subscription at the vendor.
func (s *Server) Subscribe(provider string, sub Subscription) {
	s.locked(func() {
		at := s.account(provider)
		at.subscriptions = append(at.subscriptions, &sub)
	})
}

// Disable disables all subscriptions, as a vendor does after failures.
func (s *Server) Disable(provider string) {
	s.locked(func() {
		for _, sub := range s.account(provider).subscriptions {
			sub.Disabled = true
		}
	})
}

// Subscriptions returns the subscriptions that are at the vendor now.
func (s *Server) Subscriptions(provider string) (all []Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.account(provider).subscriptions {
		copied := *sub
		copied.Failed, copied.Settings = slices.Clone(sub.Failed), maps.Clone(sub.Settings)
		all = append(all, copied)
	}
	return all
}

// Fail makes coming requests fail.
func (s *Server) Fail(f Failure) {
	s.locked(func() { s.failures = append(s.failures, f) })
}

// Calls counts the requests so far whose "METHOD /path" contains part.
func (s *Server) Calls(part string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.calls {
		if strings.Contains(c, part) {
			n++
		}
	}
	return n
}

// fails records a request, and answers it if it is to fail.
func (s *Server) fails(w http.ResponseWriter, r *http.Request) bool {
	f := s.failure(r)
	if f == nil {
		return false
	}
	if f.Hang {
		<-r.Context().Done()
		return true
	}
	maps.Copy(w.Header(), f.Header)
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
	return true
}

func (s *Server) failure(r *http.Request) *Failure {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	for i, f := range s.failures {
		if f.Times > 0 && (f.Method == "" || f.Method == r.Method) && strings.Contains(r.URL.Path, f.Path) {
			s.failures[i].Times--
			return &f
		}
	}
	return nil
}

// agreement finds an agreement by its ID in any case, since DocuSign ignores the case.
func (a *account) agreement(id string) *Agreement {
	for _, found := range a.agreements {
		if strings.EqualFold(found.ID, id) {
			return found
		}
	}
	return nil
}

func (a *account) subscription(id string) *Subscription {
	for _, found := range a.subscriptions {
		if found.ID == id {
			return found
		}
	}
	return nil
}

// locked changes something while the mutex is held.
func (s *Server) locked(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

// issue returns a new access token.
func (a *account) issue(lifetime time.Duration) string {
	a.made++
	token := fmt.Sprintf("stub-access-token-%d", a.made)
	a.tokens[token] = a.Now().Add(lifetime)
	return token
}

// authorized reports whether a request carries an access token that has not expired.
func (a *account) authorized(r *http.Request) bool {
	token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return bearer && a.Now().Before(a.tokens[token])
}

// preparing reports whether the documents are not ready yet, and counts the request.
func (a *Agreement) preparing() bool {
	if a.NotReady == 0 {
		return false
	}
	a.NotReady--
	return true
}
