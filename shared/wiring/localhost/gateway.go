package localhost

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/outlet"
	"esignhooks/shared/plumbing/apigw"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/process"
	"esignhooks/shared/publish"
	"esignhooks/shared/receive"
	"esignhooks/shared/reconcile"
	bus "esignhooks/shared/store/bus/embedded"
	ledger "esignhooks/shared/store/ledger/embedded"
	"esignhooks/shared/store/payload/folder"
	queue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// A failing message is retried for about two minutes: 25 times, 5 seconds apart.
const (
	visibility  = 5 * time.Second
	maxReceives = 25
	workers     = 32 // batches processed at once; concurrent writes share a commit
)

// Gateway is the whole product on localhost, in one process.
type Gateway struct {
	config     Config
	providers  []webhook.Provider
	log        *slog.Logger
	db         *groupcommit.DB
	ledger     *ledger.Ledger
	queue      *queue.Queue
	dead       *queue.Queue // dead letters of queue
	jobs       queue.Jobs   // of the archiver
	bus        *bus.Bus
	clients    map[string]vendorapi.Client // by provider, where there are credentials
	worker     *process.Processor
	publisher  *publish.Publisher
	archiver   *archive.Archiver
	reconciler *reconcile.Reconciler
	webhooks   map[string]http.Handler // by provider
	requests   *requests
	recordings *recordings
	stream     *stream
}

// Open opens the store in config.Data, with everything that earlier processes have acknowledged.
func Open(config Config, providers []webhook.Provider, log *slog.Logger) (*Gateway, error) {
	db, err := openStore(config.Data)
	if err != nil {
		return nil, err
	}
	g := &Gateway{
		config: config, providers: providers, log: log, db: groupcommit.New(db),
		clients: map[string]vendorapi.Client{}, webhooks: map[string]http.Handler{},
		requests:   newRequests(config.Keys, time.Now()),
		recordings: newRecordings(config.Data, config.Keys, log),
	}
	if err := g.wire(); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	g.stream = newStream(g.requests.process)
	g.stream.watch(g)
	return g, nil
}

func (g *Gateway) wire() (err error) {
	if g.ledger, err = ledger.New(g.db); err != nil {
		return err
	}
	if g.dead, err = queue.Open(g.db,
		queue.Config{Name: "dead-letters", Visibility: visibility, Now: time.Now}); err != nil {
		return err
	}
	var application *outlet.Sender
	if g.config.ForwardURL != "" {
		application = &outlet.Sender{URL: g.config.ForwardURL, Client: outlet.NewClient(), Now: time.Now}
	}
	if g.bus, err = bus.New(g.db, application, g.config.ForwardKeys, time.Now); err != nil {
		return err
	}
	g.queue, err = queue.Open(g.db, queue.Config{
		Name: "deliveries", Visibility: visibility, Now: time.Now,
		MaxReceives: maxReceives, DeadLetters: g.dead, OnDeadLetter: g.giveUp,
	})
	if err != nil {
		return err
	}
	payloads := folder.New(filepath.Join(g.config.Data, "payloads"))
	g.worker = &process.Processor{
		Providers: g.providers, Ledger: g.ledger, Payloads: payloads, DeadLetters: g.dead, Now: time.Now, Log: g.log,
		Policy: esign.Policy{References: g.config.References, Reasons: g.config.IncludeReasons},
	}
	if err := g.wireClients(); err != nil {
		return err
	}
	g.publisher = &publish.Publisher{Bus: withArchive{g}, SetAside: payloads, Log: g.log}
	explanations := new(receive.Limiter)
	for _, p := range g.providers {
		name := p.Info().Name
		keys := g.config.Keys[name].Keys
		if webhook.RefusesAll(p, keys) {
			g.log.Warn("no key: every request will be refused", "provider", name, "variable", p.Info().KeysVariable)
		}
		receiver := &receive.Receiver{
			Provider: p, Others: g.providers, Explanations: explanations, Keys: func(context.Context) (webhook.Keys, error) { return keys, nil },
			Claims:   g.ledger,
			Payloads: payloads, Queue: g.queue, Now: time.Now, Log: g.log.With("provider", name),
			Observe: g.requests.observe,
		}
		g.webhooks[name] = apigw.HTTP(apigw.Function(receiver.Receive), "/webhooks/"+name, g.log.With("provider", name))
	}
	return nil
}

// Serve serves requests and runs all functions until ctx is done. It closes the store.
func (g *Gateway) Serve(ctx context.Context, listener net.Listener) error {
	server := g.server()
	server.RegisterOnShutdown(g.stream.close)
	ctx, cancel := context.WithCancel(ctx)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() { g.work(ctx) })
	}
	group.Go(func() { g.publish(ctx) })
	if len(g.clients) > 0 {
		for range archivers {
			group.Go(func() { g.archive(ctx) })
		}
		group.Go(func() { g.reconcile(ctx) })
	}
	if g.config.ForwardURL != "" {
		group.Go(func() { g.bus.Forward(ctx, g.log) })
	}
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		server.Shutdown(grace)
	})
	err := server.Serve(listener) // returns when Shutdown begins
	cancel()
	<-stopped
	group.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return errors.Join(err, g.db.Close())
}

func (g *Gateway) server() *http.Server {
	return &http.Server{
		Handler: g, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: time.Minute, ErrorLog: slog.NewLogLogger(g.log.Handler(), slog.LevelDebug),
	}
}

// Listen listens on the configured port, for this machine only.
func (g *Gateway) Listen() (net.Listener, error) {
	listener, err := net.Listen("tcp", g.config.address())
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("port %s is in use; stop what uses it, or set PORT to another", g.config.Port)
	}
	return listener, err
}

// ServeHTTP routes as API Gateway does. It does not use http.ServeMux, whose redirects would lose a vendor's event. Unlike
// API Gateway it ignores a slash at the end of a path, but the log warns of it.
//
// The page and /api/ answer direct requests of this machine only: a tunnel must neither publish the store nor let
// strangers run commands.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	segments := strings.Split(strings.TrimSuffix(strings.TrimPrefix(r.URL.EscapedPath(), "/"), "/"), "/")
	if segments[0] == "webhooks" {
		g.serveWebhook(w, r, segments[1:])
	} else if !isLocal(r.Host) || r.URL.Host != "" || forwarded(r.Header) { // a host in the URL overrides the Host header
		http.NotFound(w, r)
	} else {
		g.serveReader(w, r, segments)
	}
}

func (g *Gateway) serveWebhook(w http.ResponseWriter, r *http.Request, segments []string) {
	if len(segments) == 0 || g.webhooks[segments[0]] == nil {
		http.NotFound(w, r)
		return
	}
	function := g.webhooks[segments[0]]
	if len(segments) > 1 {
		token, err := url.PathUnescape(segments[1])
		if err != nil || token == "" || len(segments) > 2 {
			function = http.NotFoundHandler()
		}
		r.SetPathValue("token", token)
	}
	if strings.HasSuffix(r.URL.Path, "/") {
		g.log.WarnContext(r.Context(), "the path ends in a slash", "provider", segments[0],
			"hint", "in AWS no such path exists, and the answer is 404: register the URL without the slash")
	}
	g.recordings.record(r, segments[0])
	g.requests.serve(w, r, segments[0], function)
}

// forwarded reports whether a request came through a proxy, which may have changed the Host header.
func forwarded(h http.Header) bool {
	for name := range h {
		if proxied(name) {
			return true
		}
	}
	return false
}

// proxied reports whether proxies and tunnels add this header. Cloudflare's and ngrok's can be set up to send no other.
//
// SPEC: https://developers.cloudflare.com/fundamentals/reference/http-headers/ and
// https://ngrok.com/docs/http/#upstream-headers, read 2026-12-01: Cf-Connecting-Ip, Cf-Ray and others; Ngrok-…
func proxied(name string) bool {
	return name == "Forwarded" || name == "Via" || name == "X-Real-Ip" || strings.HasPrefix(name, "X-Forwarded-") ||
		strings.HasPrefix(name, "Cf-") || strings.HasPrefix(name, "Ngrok-")
}

// isLocal reports whether a Host header names this machine.
func isLocal(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return host == "localhost" || host == "127.0.0.1"
}
