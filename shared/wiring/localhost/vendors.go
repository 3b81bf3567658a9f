package localhost

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/aws/aws-lambda-go/lambda"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/reconcile"
	"esignhooks/shared/store/bus"
	"esignhooks/shared/store/document/folder"
	queue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// The archiver and the reconciler as template.yaml has them.
const (
	archivers         = 2
	jobVisibility     = 30 * time.Minute
	jobReceives       = 30
	reconcileEvery    = 15 * time.Minute
	reconcileDeadline = 5 * time.Minute
	silentAfter       = 24 * time.Hour
)

// wireClients makes what asks the vendors' APIs.
func (g *Gateway) wireClients() (err error) {
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: g.ledger, Now: time.Now}
	for _, p := range g.providers {
		name := p.Info().Name
		if !all.Has(name) {
			continue
		}
		client, err := all.Open(name, []byte(g.config.Keys[name].API.Reveal()), options)
		if errors.Is(err, vendorapi.ErrOff) {
			g.log.Info("no credentials of the vendor's API: no documents, nothing is reconciled", "provider", name, "variable", p.Info().APIVariable())
			continue
		} else if err != nil {
			return err
		}
		g.clients[name] = client
	}
	if g.jobs.DeadLetters, err = queue.Open(g.db, queue.Config{Name: "documents-dead-letters", Visibility: visibility, Now: time.Now}); err != nil {
		return err
	}
	g.jobs.Queue, err = queue.Open(g.db, queue.Config{
		Name: "documents", Visibility: jobVisibility, MaxReceives: jobReceives, Now: time.Now,
		DeadLetters: g.jobs.DeadLetters,
	})
	if err != nil {
		return err
	}
	documents, err := filepath.Abs(filepath.Join(g.config.Data, "documents")) // who is told of them may run elsewhere
	if err != nil {
		return err
	}
	g.archiver = &archive.Archiver{
		Clients: g.client, Documents: folder.New(documents), Queue: g.queue, Jobs: g.jobs,
		Now: time.Now, Log: g.log,
	}
	g.reconciler = &reconcile.Reconciler{
		Providers: g.providers, Clients: g.client, Webhook: g.webhook, Agreements: g.ledger, Notes: g.ledger, Table: g.ledger, Queue: g.queue,
		SilentAfter: silentAfter, Now: time.Now, Log: g.log,
	}
	return nil
}

func (g *Gateway) client(_ context.Context, provider string) (vendorapi.Client, error) {
	if client := g.clients[provider]; client != nil {
		return client, nil
	}
	if !all.Has(provider) {
		return nil, fmt.Errorf("%s: %w", provider, vendorapi.ErrNoClient)
	}
	return nil, fmt.Errorf("%s: %w; put them into $%s and start again", provider, vendorapi.ErrOff, webhook.Info{Name: provider}.APIVariable())
}

// webhook is where a provider's events come in, and the keys that count. From where the vendors are, localhost has no URL
// but that of a tunnel, which we do not know; and no vendor has the development keys.
func (g *Gateway) webhook(_ context.Context, provider string) (string, webhook.Keys, error) {
	keys := g.config.Keys[provider]
	if keys.Development {
		keys.Keys.Keys = nil
	}
	return "", keys.Keys, nil
}

// outlet is the bus, with the rule that gives the archiver its jobs. They are on disk before their events are on the bus;
// an event that is published once more is archived once more, which changes nothing.
type outlet struct{ g *Gateway }

// Publish implements [bus.Bus].
func (o outlet) Publish(ctx context.Context, events []bus.Event) []error {
	for _, e := range events {
		if e.DetailType != string(esign.AgreementCompleted) || o.g.clients[e.Detail.Event.Provider] == nil {
			continue
		}
		if err := o.g.jobs.Add(ctx, archive.Job(e)); err != nil {
			return slices.Repeat([]error{err}, len(events))
		}
	}
	return o.g.bus.Publish(ctx, events)
}

// archive feeds the archiver one job at a time.
func (g *Gateway) archive(ctx context.Context) {
	g.consume(ctx, "archiver", g.jobs.Queue, 1, lambda.NewHandler(g.archiver.Handle))
}

// reconcile runs the reconciler as the schedule does, beginning now.
func (g *Gateway) reconcile(ctx context.Context) {
	for ctx.Err() == nil {
		pass, cancel := context.WithTimeout(ctx, reconcileDeadline)
		g.reconciler.Run(pass) // which logs what fails
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(reconcileEvery):
		}
	}
}
