package localhost

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/operate"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/bus"
)

// Operate runs a command in the running gateway, which has exclusive use of the store. The arguments are those of
// [operate.Parse]. It writes the report to w.
func Operate(ctx context.Context, w io.Writer, config Config, arguments []string) error {
	report, err := order(ctx, config, "/api/operate", arguments)
	if err != nil {
		return err
	}
	defer report.Close()
	_, err = io.Copy(w, report)
	return err
}

var errNoGateway = errors.New("no gateway answers")

// order has the running gateway do something, and returns its answer.
func order(ctx context.Context, config Config, path string, what any) (io.ReadCloser, error) {
	body, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+config.address()+path,
		bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	return ask(config, request)
}

// ask sends a request to the running gateway, and returns the body of its answer.
func ask(config Config, request *http.Request) (io.ReadCloser, error) {
	answer, err := http.DefaultClient.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		return nil, fmt.Errorf("%w on %s; start it with make run: %w", errNoGateway, config.address(), failed.Err)
	} else if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		report, _ := io.ReadAll(answer.Body)
		return nil, errors.New(strings.TrimSpace(string(report)))
	}
	return answer.Body, nil
}

// foreign refuses an order of another web page, and reports whether it has: a browser sends the page's origin.
func foreign(w http.ResponseWriter, r *http.Request) bool {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err := new(http.CrossOriginProtection).Check(r); err != nil || mediaType != "application/json" {
		http.Error(w, "run commands by make, not by a web page", http.StatusForbidden)
		return true
	}
	return false
}

// confirm asks a vendor about one agreement now, as an invocation of the reconciler does.
func (g *Gateway) confirm(w http.ResponseWriter, r *http.Request) {
	if foreign(w, r) {
		return
	}
	payload, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, 64<<10)) // too long: no question
	q, _ := reconcile.ReadQuestion(payload)
	reply := g.reconciler.Confirm(r.Context(), q)
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if reply.Error != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
	}
	json.NewEncoder(w).Encode(reply)
}

// operate runs a command.
func (g *Gateway) operate(w http.ResponseWriter, r *http.Request) {
	if foreign(w, r) {
		return
	}
	var arguments []string
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&arguments); err != nil {
		http.Error(w, `a command is a JSON list like ["redrive"]`, http.StatusBadRequest)
		return
	}
	http.NewResponseController(w).SetWriteDeadline(time.Now().Add(10 * time.Minute)) // a vendor may be slow
	var report bytes.Buffer
	command, err := operate.Parse(arguments)
	if err == nil {
		err = command.Act(r.Context(), &report, g.target())
		g.stream.send("reload", nil) // it may have changed or removed anything
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		fmt.Fprintln(&report, err)
	}
	report.WriteTo(w)
}

// target returns localhost as a target of operator commands.
func (g *Gateway) target() operate.Target {
	return operate.Target{
		Providers: g.providers, Ledger: g.ledger, Bus: withArchive{g}, Clients: g.client, Webhook: g.webhook, Notes: g.ledger,
		Now: time.Now, Confirm: g.reconciler.Confirm, Forgetter: g.ledger, Places: g.places(), InFlight: inFlight,
		Redrive: g.redrive,
		Archive: func(ctx context.Context, e bus.Event) error { return g.jobs.Add(ctx, archive.Order(e)) },
	}
}

func (g *Gateway) redrive(ctx context.Context, w io.Writer) error {
	letters, err := g.dead.Redrive(g.queue)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "dead letters: %d moved back to the queue\n", letters)
	jobs, err := g.jobs.DeadLetters.Redrive(g.jobs.Queue)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "documents: %d moved back to the queue\n", jobs)
	events, err := g.bus.Redrive()
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "published events: %d to be forwarded again\n", events)
	return operate.AskAgain(ctx, w, g.target())
}
