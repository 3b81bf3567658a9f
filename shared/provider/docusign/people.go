package docusign

import (
	"regexp"
	"slices"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// canonical returns an ID in the form in which two spellings of it are equal.
func canonical(id text) string {
	if guid.MatchString(string(id)) {
		return strings.ToLower(string(id))
	}
	return string(id)
}

// identity is the ID of a recipient that all JSON messages have. XML has only DocuSign's own.
func (p *payload) identity(r recipient) string {
	if r.RecipientID == "" || r.GUID != "" && p.shared(r.RecipientID) {
		return canonical(r.GUID)
	}
	return canonical(r.RecipientID)
}

// shared reports whether several recipients of the message have this ID. The sender may have chosen it carelessly.
func (p *payload) shared(recipientID text) bool {
	n := 0
	for _, r := range p.Recipients {
		if r.RecipientID == recipientID {
			n++
		}
	}
	return n > 1
}

// keys returns the ID of a recipient, DocuSign's own if the message has it, and the other IDs of the same person. The
// ID is empty if the recipient has none.
func (p *payload) keys(r recipient) (id string, aliases []string) {
	var all []string
	add := func(key text) {
		for _, spelling := range []string{canonical(key), string(key)} { // earlier releases stored it as written
			if spelling = webhook.ParticipantKey(spelling); key != "" && !slices.Contains(all, spelling) {
				all = append(all, spelling)
			}
		}
	}
	if add(r.GUID); len(all) == 0 || !p.shared(r.RecipientID) {
		add(r.RecipientID)
	}
	if len(all) == 0 {
		return "", nil
	}
	return all[0], append(aliases, all[1:]...)
}

// participant is the ID of the recipient whom the event is about.
func (p *payload) participant() string {
	if p.recipientID == "" {
		return ""
	}
	if id, _ := p.keys(p.who); id != "" && !(p.format == formatSIM && p.shared(p.who.RecipientID)) {
		return id
	}
	return webhook.ParticipantKey(canonical(text(p.recipientID)))
}

// progress maps the statuses of recipients. It leaves out "created", which is not progress.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: a recipient with faxpending has signed, and the paper is awaited; one with autoresponded may
// still sign.
var progress = map[string]esign.Status{
	"sent":                 esign.Sent,
	"autoresponded":        esign.Sent,
	"authenticationfailed": esign.Sent,
	"delivered":            esign.Viewed,
	"signed":               esign.Signed,
	"completed":            esign.Signed,
	"faxpending":           esign.Signed,
	"declined":             esign.Declined,
}

// participants are the recipients who sign, and others whom the event is about, by ID. They are at most as many as an
// agreement keeps.
func (p *payload) participants(t esign.Type) []esign.Participant {
	var said []esign.Participant
	who, replaced := p.participant(), ""
	if p.reassignedID != "" && p.reassignedID != p.recipientID {
		replaced = who
	}
	for _, r := range p.Recipients {
		id, aliases := p.keys(r)
		status := strings.ToLower(string(r.Status))
		viewer := t == esign.AgreementViewed && id == who
		if id == "" || id == replaced || progress[status] == "" || !r.signs() && !viewer {
			continue
		}
		at, approximate := p.time(r.of(status))
		said = append(said, esign.Participant{
			ID: id, Aliases: aliases, Status: progress[status], At: at, Approximate: approximate,
			Replaced: len(r.DelegatedTo) > 0 && !r.acted(),
		})
	}
	if replaced != "" {
		_, aliases := p.keys(p.who)
		said = append(said, esign.Participant{ID: replaced, Aliases: aliases, Status: esign.Sent, Replaced: true})
	}
	slices.SortStableFunc(said, func(a, b esign.Participant) int { return strings.Compare(a.ID, b.ID) })
	return said[:min(len(said), esign.MaxParticipants)]
}

// present returns all IDs of all recipients, or nil if the message does not list them all.
//
// SPEC: https://developers.docusign.com/platform/webhooks/connect/json-sim-event-model/, read 2026-11-30: with
// "recipients" included, a message lists all groups of recipients, whatever their status.
func (p *payload) present() []string {
	if len(p.Recipients) >= webhook.MaxList { // the list may be truncated
		return nil
	}
	var all []string
	for _, r := range p.Recipients {
		id, aliases := p.keys(r)
		if id == "" {
			return nil
		}
		all = append(append(all, id), aliases...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}
