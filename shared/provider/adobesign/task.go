package adobesign

import (
	"strconv"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/webhook"
)

// task is what a participant set asks of its members.
type task struct {
	role    esign.Role
	order   int
	waiting *bool // whether it is their turn; nil if the set does not say
	later   bool  // their turn has not come
}

// roles maps the vendor's roles. Those named DELEGATE_TO_… are left out.
//
// SPEC: as for signers.
var roles = map[webhook.Text]esign.Role{
	"SIGNER":              esign.RoleSigner,
	"APPROVER":            esign.RoleApprover,
	"ACCEPTOR":            esign.RoleAcceptor,
	"CERTIFIED_RECIPIENT": esign.RoleCertified,
	"FORM_FILLER":         esign.RoleFormFiller,
	"SHARE":               esign.RoleCopy,
	"NOTARY_SIGNER":       esign.RoleNotary,
	"ELECTRONIC_SEALER":   esign.RoleSeal,
}

func role(word webhook.Text) esign.Role {
	switch r, known := roles[word]; {
	case known:
		return r
	case word == "":
		return ""
	case strings.HasPrefix(string(word), "DELEGATE_TO_"):
		return esign.RoleDelegate
	}
	return esign.RoleOther
}

func (s participantSet) order() int {
	n, err := strconv.Atoi(string(s.Order))
	if err != nil {
		return 0
	}
	return max(n, 0)
}

func (s participantSet) task() task {
	t := task{role: role(s.Role), order: s.order(), later: s.Status == later}
	switch s.Status {
	case later, "WAITING_FOR_OTHERS", "COMPLETED", "CANCELLED", "EXPIRED", "WAITING_FOR_AUTHORING", "WAITING_FOR_PREFILL":
		t.waiting = turn(false)
	default:
		if s.waits() {
			t.waiting = turn(true)
		}
	}
	return t
}

func turn(is bool) *bool { return &is }

// or returns t, or u if only that one waits.
func (t task) or(u task) task {
	if t == (task{}) || u.waiting != nil && *u.waiting && (t.waiting == nil || !*t.waiting) {
		return u
	}
	return t
}

// tasks are those of everybody in a participant set.
type tasks struct {
	byID, byAlias map[string]task
}

func (all tasks) add(person esign.Participant, t task) {
	all.byID[person.ID] = all.byID[person.ID].or(t)
	for _, alias := range person.Aliases {
		all.byAlias[alias] = all.byAlias[alias].or(t)
	}
}

// of returns a person with their task. If an event says that their turn begins or ends, a set that was not asked yet
// does not contradict it.
func (all tasks) of(person esign.Participant) esign.Participant {
	t := all.byID[person.ID].or(all.byAlias[person.ID])
	for _, alias := range person.Aliases {
		t = t.or(all.byID[alias])
	}
	if t.role != "" {
		person.Role = t.role
	}
	if t.order > 0 {
		person.Order = t.order
	}
	if t.waiting != nil && (person.Waiting == nil || !t.later) {
		person.Waiting = t.waiting
	}
	return person
}
