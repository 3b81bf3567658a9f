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

// Settings of the archiver and the reconciler, as in template.yaml.
const (
	archivers         = 2
	jobVisibility     = 30 * time.Minute
	jobReceives       = 30
	reconcileEvery    = 15 * time.Minute
	reconcileDeadline = 5 * time.Minute
	silentAfter       = 24 * time.Hour
)

// wireClients makes the clients of the vendors' APIs, the archiver and the reconciler.
func (g *Gateway) wireClients() (err error) {
	options := vendorapi.Options{HTTP: vendorapi.NewHTTPClient(), Notes: g.ledger, Now: time.Now}
	for _, p := range g.providers {
		name := p.Info().Name
		if !all.Has(name) {
			continue
		}
		client, err := all.Open(name, []byte(g.config.Keys[name].API.Reveal()), options)
		if errors.Is(err, vendorapi.ErrOff) {
			g.log.Info("no credentials of the vendor's API: documents are not stored, and events are not reconciled",
				"provider", name, "variable", p.Info().APIVariable())
			continue
		} else if err != nil {
			return err
		}
		g.clients[name] = client
	}
	g.jobs.DeadLetters, err = queue.Open(g.db, queue.Config{
		Name: "documents-dead-letters", Visibility: visibility, Now: time.Now,
	})
	if err != nil {
		return err
	}
	g.jobs.Queue, err = queue.Open(g.db, queue.Config{
		Name: "documents", Visibility: jobVisibility, MaxReceives: jobReceives, Now: time.Now,
		DeadLetters: g.jobs.DeadLetters,
	})
	if err != nil {
		return err
	}
	// The path is published. A consumer may run in another folder.
	documents, err := filepath.Abs(filepath.Join(g.config.Data, "documents"))
	if err != nil {
		return err
	}
	g.archiver = &archive.Archiver{
		Clients: g.client, Documents: folder.New(documents), Queue: g.queue, Jobs: g.jobs, Notes: g.ledger,
		Tombstones: g.ledger, FormData: g.config.ArchiveFormData, Now: time.Now, Log: g.log,
	}
	g.reconciler = &reconcile.Reconciler{
		Providers: g.providers, Clients: g.client, Webhook: g.webhook,
		Agreements: g.ledger, Tombstones: g.ledger, Notes: g.ledger, Table: g.ledger, Queue: g.queue,
		Policy: g.worker.Policy, SilentAfter: silentAfter, Now: time.Now, Log: g.log,
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
	variable := webhook.Info{Name: provider}.APIVariable()
	return nil, fmt.Errorf("%s: %w; set $%s and restart", provider, vendorapi.ErrOff, variable)
}

// webhook returns a provider's keys without the development key, which no vendor uses. It returns no URL: vendors reach
// localhost only through a tunnel, whose URL is unknown here.
func (g *Gateway) webhook(_ context.Context, provider string) (string, webhook.Keys, error) {
	keys := g.config.Keys[provider]
	if keys.Development {
		keys.Keys.Keys = nil
	}
	return "", keys.Keys, nil
}

// withArchive is the bus with a rule that gives the archiver its jobs. A job is on disk before its event is on the bus.
// An event that is published again is archived again, which has no effect.
type withArchive struct{ g *Gateway }

// Publish implements [bus.Bus].
func (b withArchive) Publish(ctx context.Context, events []bus.Event) []error {
	for _, e := range events {
		if e.DetailType != string(esign.AgreementCompleted) || b.g.clients[e.Detail.Event.Provider] == nil {
			continue
		}
		if err := b.g.jobs.Add(ctx, archive.Job(e)); err != nil {
			return slices.Repeat([]error{err}, len(events))
		}
	}
	return b.g.bus.Publish(ctx, events)
}

// archive feeds the archiver one job at a time.
func (g *Gateway) archive(ctx context.Context) {
	g.consume(ctx, "archiver", g.jobs.Queue, 1, lambda.NewHandler(g.archiver.Handle))
}

// reconcile runs the reconciler on its schedule, first at once.
func (g *Gateway) reconcile(ctx context.Context) {
	for ctx.Err() == nil {
		pass, cancel := context.WithTimeout(ctx, reconcileDeadline)
		g.reconciler.Run(pass) // logs its failures
		cancel()
		select {
		case <-ctx.Done():
		case <-time.After(reconcileEvery):
		}
	}
}
