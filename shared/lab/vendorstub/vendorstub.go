// Package vendorstub serves the vendors' APIs on this machine as their documents say, with their limits, delays and
// errors, for tests.
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

// Server is all vendors at once, each under paths of its own. What it knows of agreements and subscriptions is the same
// model for all of them; each vendor's file serves it in that vendor's words.
type Server struct {
	URL string
	Now func() time.Time // set before the first request; the real time if not

	mu            sync.Mutex
	agreements    map[string][]*Agreement // by provider, in the order in which they were set
	subscriptions map[string][]*Subscription
	calls         []string // "GET /path" of each request, in their order
	failures      []Failure
	vendors       map[string]any // what a vendor's file keeps for itself
}

// Agreement is the truth about one.
type Agreement struct {
	ID        string
	Status    esign.Status
	ChangedAt time.Time
	CreatedAt time.Time // that of the first Set if it is zero
	// VendorStatus is the vendor's word where Status alone does not tell it; empty is the usual one.
	VendorStatus string
	// PDF is the signed document; a small valid one if it is nil.
	PDF []byte
	// NotReady is how many more requests for documents are answered "not ready", as the vendor says it.
	NotReady int
	// Deleted says that the vendor has it no longer.
	Deleted bool
	// Truncated says that downloads break off in the middle.
	Truncated bool
}

// Subscription is what the vendor keeps of one, as far as all vendors have it.
type Subscription struct {
	ID       string
	URL      string
	Disabled bool
	Failed   []string       // agreements whose events could not be delivered
	Settings map[string]any // in the vendor's own words
}

// Failure is an answer instead of the one that there would be.
type Failure struct {
	Method string // empty: any
	Path   string // a part of the path
	Status int
	Header http.Header
	Body   string
	Hang   bool // until the client gives up, instead of an answer
	Times  int
}

// New starts a server, which ends with the test.
func New(t testing.TB) *Server {
	t.Helper()
	s := &Server{
		Now: time.Now, agreements: map[string][]*Agreement{}, subscriptions: map[string][]*Subscription{}, vendors: map[string]any{},
	}
	mux := http.NewServeMux()
	for _, register := range vendors {
		register(s, mux)
	}
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

// Notes makes empty notes for clients to share, which end with the test.
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

// vendors are filled by the vendors' files: handlers of one mux, so that their paths must differ.
var vendors []func(*Server, *http.ServeMux)

// credentials are filled by the vendors' files: what the member "api" of the secret must be for this server.
var credentials = map[string]func(*Server) any{}

// Credentials are those of a provider that this server accepts.
func (s *Server) Credentials(provider string) json.RawMessage {
	text, err := json.Marshal(credentials[provider](s))
	if err != nil {
		panic(err)
	}
	return text
}

// Set adds an agreement, or changes the one with this ID.
func (s *Server) Set(provider string, a Agreement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.ChangedAt.IsZero() {
		a.ChangedAt = s.Now()
	}
	known := s.agreement(provider, a.ID)
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
	s.agreements[provider] = append(s.agreements[provider], &a)
}

// agreement finds one in any case of its ID, since DocuSign's are not sensitive to it. The caller holds mu.
func (s *Server) agreement(provider, id string) *Agreement {
	for _, a := range s.agreements[provider] {
		if strings.EqualFold(a.ID, id) {
			return a
		}
	}
	return nil
}

// Subscribe adds a subscription as it stands at the vendor.
func (s *Server) Subscribe(provider string, sub Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.subscriptions[provider] = append(s.subscriptions[provider], &sub)
}

// Subscriptions are those that stand at the vendor now.
func (s *Server) Subscriptions(provider string) (all []Subscription) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sub := range s.subscriptions[provider] {
		copied := *sub
		copied.Failed, copied.Settings = slices.Clone(sub.Failed), maps.Clone(sub.Settings)
		all = append(all, copied)
	}
	return all
}

// Fail makes coming requests fail.
func (s *Server) Fail(f Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, f)
}

// Calls are the requests so far that have this in "METHOD /path".
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

func (s *Server) fails(w http.ResponseWriter, r *http.Request) bool {
	s.mu.Lock()
	s.calls = append(s.calls, r.Method+" "+r.URL.Path)
	i := slices.IndexFunc(s.failures, func(f Failure) bool {
		return f.Times > 0 && (f.Method == "" || f.Method == r.Method) && strings.Contains(r.URL.Path, f.Path)
	})
	if i < 0 {
		s.mu.Unlock()
		return false
	}
	s.failures[i].Times--
	f := s.failures[i]
	s.mu.Unlock()
	if f.Hang {
		<-r.Context().Done()
		return true
	}
	for name, values := range f.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(f.Status)
	io.WriteString(w, f.Body)
	return true
}

// answer writes JSON.
func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v)
}

// serve serves a document of an agreement: kind tells the documents of one agreement apart. The caller does not hold mu.
func serve(w http.ResponseWriter, a Agreement, kind string) {
	pdf := a.PDF
	if pdf == nil {
		pdf = PDF(a.ID + " " + kind)
	}
	w.Header().Set("Content-Type", "application/pdf")
	w.Header().Set("Content-Length", fmt.Sprint(len(pdf)))
	if a.Truncated {
		pdf = pdf[:len(pdf)/2]
	}
	w.Write(pdf)
}

// PDF is a small valid one that shows a text.
func PDF(text string) []byte {
	content := fmt.Sprintf("BT /F1 24 Tf 72 720 Td (%s) Tj ET", text)
	objects := []string{
		"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
		"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
		fmt.Sprintf("<< /Length %d >>\nstream\n%s\nendstream", len(content), content),
		"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
	}
	out, offsets := "%PDF-1.4\n", ""
	for i, object := range objects {
		offsets += fmt.Sprintf("%010d 00000 n \n", len(out))
		out += fmt.Sprintf("%d 0 obj\n%s\nendobj\n", i+1, object)
	}
	return fmt.Appendf(nil, "%sxref\n0 6\n0000000000 65535 f \n%strailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n", out, offsets, len(out))
}
