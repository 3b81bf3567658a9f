package dropboxsign

import (
	"regexp"
	"slices"
	"strings"

	"esignhooks/shared/webhook"
)

// maxFormerIDs limits the event IDs that the worker looks up.
const maxFormerIDs = 10

// formerIDs returns the event IDs that releases before 2026-12 gave to this copy of the event, and as far as they can
// be derived, those that they gave to the other copy. Those releases took the account's copy and an app's for two
// events.
func (p *payload) formerIDs(eventID string) (former []webhook.FormerID) {
	signers, clients := []string{p.related()}, []string{""}
	if !oneSigner[p.Event.Type] {
		clients = p.clients()
		switch {
		case p.related() != "":
			signers = append(signers, "")
		case p.Event.Metadata.App != "": // the account's copy may have named any signer
			for _, s := range p.request.Signatures[:min(len(p.request.Signatures), maxFormerIDs)] {
				signers = append(signers, string(s.ID))
			}
		}
	}
	seen := []string{eventID}
	for _, signer := range signers {
		for _, client := range clients {
			id := p.formerID(signer, client)
			if !slices.Contains(seen, id) && len(former) < maxFormerIDs {
				seen = append(seen, id)
				former = append(former, webhook.FormerID{ID: id})
			}
		}
	}
	return former
}

// formerID returns the event ID of releases before 2026-12, of a copy with this related_signature_id and this value of
// signature_request.client_id.
func (p *payload) formerID(related, client string) string {
	kind, id := p.object()
	fields := []string{kind, string(p.Event.Type), string(p.Event.Time), id, related}
	switch {
	case id == "" && kind != kindTest:
		fields = append(fields, strings.ReplaceAll(string(p.message), string(p.Event.Hash), ""))
	case oneSigner[p.Event.Type] && related != "":
	case p.signerUnnamed():
		request := string(p.SignatureRequest)
		if client != "" {
			request = clientID.ReplaceAllString(request, "${1}"+client)
		}
		fields = append(fields, request)
	}
	return webhook.EventID(name, fields...)
}

// clientID matches the client_id of a signature request. It is null in the account's copy.
var clientID = regexp.MustCompile(`("client_id"\s*:\s*)(null|"[0-9A-Za-z]*")`)

// clients returns what the client_id of the copies may be, as JSON. The empty value is this copy's.
func (p *payload) clients() []string {
	clients := []string{""}
	if len(p.SignatureRequest) > maxCanonical {
		return clients
	}
	app := string(p.app())
	switch m := clientID.FindSubmatch(p.SignatureRequest); {
	case m == nil:
	case string(m[2]) != "null":
		clients = append(clients, "null")
	case clientID.MatchString(`"client_id":"` + app + `"`):
		clients = append(clients, `"`+app+`"`)
	}
	return clients
}
