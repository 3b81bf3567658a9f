package docusign

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

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

// participants are the recipients who sign, and others for whom the envelope waits, who have a problem, or whose view
// is the event; by ID. They are at most as many as an agreement keeps.
func (p *payload) participants(t esign.Type) []esign.Participant {
	var said []esign.Participant
	who, cause := p.participant(), p.cause()
	reassigned := who != "" && p.reassignedID != "" && p.reassignedID != p.recipientID
	for _, r := range p.Recipients {
		one := p.person(r)
		about := one.ID == who
		if about && cause != "" {
			one.Problem = cause
		}
		viewer := t == esign.AgreementViewed && about
		switch {
		case one.ID == "", about && reassigned:
			continue
		case one.Problem != "":
			one.Status = cmp.Or(one.Status, esign.Sent)
		case one.Status == "", !r.signs() && !viewer && !(r.routes() && one.Waiting != nil):
			continue
		}
		said = append(said, one)
	}
	if reassigned {
		one := p.person(p.who)
		one.ID, one.Status, one.At, one.Approximate = who, esign.Sent, time.Time{}, false
		one.Replaced, one.ReplacedBy, one.Waiting, one.Problem = true, p.key(p.reassignedID), new(false), ""
		said = append(said, one)
	} else if who != "" && cause != "" && p.who.RecipientID == "" && p.who.GUID == "" { // the message does not describe it
		said = append(said, esign.Participant{ID: who, Status: esign.Sent, Problem: cause})
	}
	slices.SortStableFunc(said, func(a, b esign.Participant) int { return strings.Compare(a.ID, b.ID) })
	return said[:min(len(said), esign.MaxParticipants)]
}

// person returns what the message states about a recipient. The status is empty if nothing has happened yet.
func (p *payload) person(r recipient) esign.Participant {
	status := strings.ToLower(string(r.Status))
	one := esign.Participant{
		Status: progress[status], Role: r.role(), Order: r.order(), Reference: string(r.ClientUserID),
		Waiting: p.waiting(r), Problem: r.trouble(),
	}
	one.ID, one.Aliases = p.keys(r)
	one.At, one.Approximate = p.time(r.of(status))
	if one.Status == esign.Signed && one.Role != "" && !r.signs() {
		one.Status = esign.Viewed
	}
	if len(r.DelegatedTo) > 0 && one.Status != esign.Signed && one.Status != esign.Declined {
		one.Replaced, one.ReplacedBy, one.Waiting = true, p.delegate(r), new(false)
	}
	return one
}

// key is the ID of the recipient whom the message names by the given ID.
func (p *payload) key(named string) string {
	if id, _ := p.keys(p.recipient(named)); id != "" {
		return id
	}
	return webhook.ParticipantKey(canonical(text(named)))
}

// maxDelegations is how many delegations of one recipient are read. Each is compared with all recipients.
const maxDelegations = 10

// delegate is the ID of the recipient to whom r has delegated, or "" if the message does not describe exactly one.
func (p *payload) delegate(r recipient) string {
	var found []recipient
	for _, other := range p.Recipients {
		if (other.RecipientID != r.RecipientID || other.GUID != r.GUID) && r.delegatesTo(other) {
			found = append(found, other)
		}
		if len(found) > 1 {
			return ""
		}
	}
	if len(found) == 0 {
		return ""
	}
	id, _ := p.keys(found[0])
	return id
}

func (r recipient) delegatesTo(other recipient) bool {
	to := r.DelegatedTo[:min(len(r.DelegatedTo), maxDelegations)]
	return other.DelegatedBy.is(r) || slices.ContainsFunc(to, func(u user) bool { return u.is(other) })
}

// is reports whether the user is the recipient. A recipient without an account has a user ID of zeros.
func (u user) is(r recipient) bool {
	same := func(a, b text) bool { return a != "" && strings.EqualFold(string(a), string(b)) }
	return same(u.UserID, r.UserID) && strings.Trim(string(u.UserID), "0-") != "" || same(u.Email, r.Email)
}

// order is the recipient's place in the order of routing, from 1; zero if the message does not hold it.
func (r recipient) order() int { return place(r.Order) }

func place(order text) int {
	n, err := strconv.ParseUint(string(order), 10, 16)
	if err != nil {
		return 0
	}
	return int(n)
}

// waiting reports whether it is the recipient's turn, or returns nil if the message does not say it.
//
// SPEC: https://github.com/ballerina-platform/module-ballerinax-docusign.dsesign, the texts of the eSignature OpenAPI
// 2.1, read 2026-11-30: a recipient whose routingOrder equals currentRoutingOrder has been asked, and has not finished.
// We infer that it is the turn of all who have been asked where the latter is missing, as in XML, and that a recipient
// whose identification has failed may get another chance.
func (p *payload) waiting(r recipient) *bool {
	switch strings.ToLower(string(p.Status)) {
	case "sent", "delivered":
	case "created", "completed", "declined", "voided", "timedout", "deleted":
		return new(false)
	default:
		return nil
	}
	order, current := r.order(), place(r.current)
	reached := order == 0 || current == 0 || order == current
	switch status := strings.ToLower(string(r.Status)); {
	case progress[status] == esign.Signed, progress[status] == esign.Declined, r.copies(), !reached:
		return new(false)
	case status == "sent", status == "delivered", status == "autoresponded":
		return new(true)
	case status == "created" && current == 0:
		return new(false)
	}
	return nil
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
