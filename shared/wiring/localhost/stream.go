package localhost

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	bus "esignhooks/shared/store/bus/embedded"
	"esignhooks/shared/store/ledger"
)

// Limits of the stream.
const (
	maxReaders  = 32
	maxUnread   = 256 // messages; a reader that is slower is dropped
	readTimeout = 10 * time.Second
	heartbeat   = 15 * time.Second
)

// stream passes what happens in the gateway to the open consoles, as server-sent events. It keeps nothing: a reader
// that has missed something must read the lists again.
type stream struct {
	process string // begins the IDs of this process

	mu      sync.Mutex
	number  uint64 // of the last message
	readers map[*reader]bool
	closed  bool
}

type reader struct {
	messages chan []byte // closed if the reader is dropped, or the gateway stops
	missed   bool        // it did not get all messages since its last connection
}

func newStream(process string) *stream { return &stream{process: process, readers: map[*reader]bool{}} }

// send sends a message to all readers. It never blocks.
func (s *stream) send(kind string, value any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	if len(s.readers) == 0 {
		return
	}
	data, err := json.Marshal(value)
	if err != nil {
		return // the readers notice the gap
	}
	message := fmt.Appendf(nil, "id: %s\nevent: %s\ndata: %s\n\n", s.id(), kind, data)
	for r := range s.readers {
		select {
		case r.messages <- message:
		default:
			s.drop(r)
		}
	}
}

// id returns the ID of the last message.
func (s *stream) id() string { return fmt.Sprintf("%s-%d", s.process, s.number) }

func (s *stream) drop(r *reader) {
	if s.readers[r] {
		delete(s.readers, r)
		close(r.messages)
	}
}

// join adds a reader, unless there are too many. last is the ID of the last message that it has got.
func (s *stream) join(last string) (*reader, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || len(s.readers) >= maxReaders {
		return nil, false
	}
	r := &reader{make(chan []byte, maxUnread), last != "" && last != s.id()}
	r.messages <- fmt.Appendf(nil, "id: %s\nevent: hello\ndata: {\"missed\":%t}\n\n", s.id(), r.missed)
	s.readers[r] = true
	return r, true
}

func (s *stream) leave(r *reader) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(r)
}

// close ends all connections.
func (s *stream) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for r := range s.readers {
		s.drop(r)
	}
}

// ServeHTTP implements [http.Handler].
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	if r.Method == http.MethodHead {
		return
	}
	reader, ok := s.join(r.Header.Get("Last-Event-ID"))
	if !ok {
		http.Error(w, "too many consoles are open", http.StatusServiceUnavailable)
		return
	}
	defer s.leave(reader)
	connection, tick := http.NewResponseController(w), time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		var message []byte
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
			message = []byte(": still here\n\n")
		case message, ok = <-reader.messages:
			if !ok {
				return
			}
		}
		connection.SetWriteDeadline(time.Now().Add(readTimeout)) // the server's is for answers
		if _, err := w.Write(message); err != nil {
			return
		}
		if err := connection.Flush(); err != nil {
			return
		}
	}
}

// watch sends what becomes of requests, events and publications.
func (s *stream) watch(g *Gateway) {
	g.requests.seen = append(g.requests.seen, func(r Request) { s.send("request", r) })
	g.ledger.Written = func(e ledger.Entry) { s.send("event", eventOf(e)) }
	g.bus.Written = func(p bus.Published) { s.send("published", p) }
}
