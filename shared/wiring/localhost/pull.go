package localhost

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/webhook"
)

// vendorProofs are the proofs that a request can have.
var vendorProofs = []esign.Proof{
	esign.ProofSigned, esign.ProofPartlySigned, esign.ProofAuthenticated, esign.ProofURLToken, esign.ProofClientID,
}

// Pull gives an event of a stack to the running gateway. It reports whether the gateway did not know it.
func Pull(ctx context.Context, config Config, p operate.Pulled) (isNew bool, err error) {
	report, err := order(ctx, config, "/api/pull", p)
	if err != nil {
		return false, err
	}
	defer report.Close()
	var state struct{ New bool }
	err = json.NewDecoder(report).Decode(&state)
	return state.New, err
}

// servePull puts an event of a stack into the queue, as the receiver does. It keeps its identity, proof and time, and is
// marked by [operate.PulledVia].
func (g *Gateway) servePull(w http.ResponseWriter, r *http.Request) {
	if foreign(w, r) {
		return
	}
	var p operate.Pulled
	const room = 1 << 20 // of JSON, apart from the payload in base64
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, webhook.MaxBody/3*4+room)).Decode(&p); err != nil {
		http.Error(w, "this is not a pulled event", http.StatusBadRequest)
		return
	}
	isNew, err := g.pull(r.Context(), p)
	if err != nil {
		http.Error(w, err.Error(), http.StatusUnprocessableEntity)
		return
	}
	answer(w, map[string]any{"new": isNew}, nil)
}

func (g *Gateway) pull(ctx context.Context, p operate.Pulled) (isNew bool, err error) {
	provider, ok := webhook.Find(g.providers, p.Provider)
	if !ok || !slices.Contains(vendorProofs, p.Proof) || p.ReceivedAt.IsZero() {
		return false, errors.New("it is not an event of a vendor that this gateway knows")
	}
	d := webhook.Delivery{Provider: p.Provider, ReceivedAt: p.ReceivedAt.UTC(), Proof: p.Proof, Payload: p.Payload,
		Via: operate.PulledVia}
	ids, err := provider.Identify(d.Request())
	if err != nil {
		return false, fmt.Errorf("it cannot be read: %w", err)
	}
	i := slices.IndexFunc(ids, func(id webhook.Identity) bool {
		return id.EventID == p.EventID ||
			slices.ContainsFunc(id.FormerIDs, func(f webhook.FormerID) bool { return f.ID == p.EventID })
	})
	if i < 0 {
		return false, errors.New("this version gives the event another ID: check out the version of the stack")
	}
	d.EventID, d.Subject, d.FormerIDs = ids[i].EventID, ids[i].Subject, ids[i].FormerIDs
	found, err := g.ledger.Claim(ctx, ledger.NewClaim(&d, ids[i].VendorType, ids[i].AgreementID, ids[i].ExactTime()))
	if err != nil || found.State.Settled() {
		return false, err
	}
	message, key := queue.Encode(&d)
	if key != "" {
		if err := g.worker.Payloads.Put(ctx, key, d.Payload); err != nil {
			return false, err
		}
	}
	return found.State == ledger.New, g.queue.Send(ctx, message)
}
