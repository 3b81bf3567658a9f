package reconcile

import (
	"context"
	"maps"
	"slices"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/finding"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// fillIn sends a finding if the vendor states references that our agreement lacks, or of which it has older values. The
// next pass finds no difference, so there is one finding for each.
func (p *pass) fillIn(ctx context.Context, ours esign.Agreement, a vendorapi.Agreement) error {
	d, _, ok := p.updateFinding(ours, a, p.began, false)
	if !ok {
		return nil
	}
	if err := p.send(ctx, d); err != nil {
		return err
	}
	p.log.InfoContext(ctx, "reconciled: no webhook brought these references", "event", d.EventID,
		"agreement", webhook.Label(a.ID))
	return nil
}

// statusFinding returns the finding that our agreement has reached the vendor's status, and our agreement after it.
func (p *pass) statusFinding(ours esign.Agreement, a vendorapi.Agreement) (webhook.Delivery, esign.Agreement) {
	return p.apply(ours, a, func(said finding.Said) webhook.Delivery {
		return finding.Reconciled(p.provider, a.ID, a.Status, a.VendorStatus, a.ChangedAt, p.settings.Now(), said)
	})
}

// updateFinding returns the finding of what the vendor states and our agreement lacks apart from its status, and our
// agreement after it. ok is false if our agreement lacks nothing. people includes how far people are, and not only what
// the sender calls them.
func (p *pass) updateFinding(
	ours esign.Agreement, a vendorapi.Agreement, asked time.Time, people bool,
) (d webhook.Delivery, after esign.Agreement, ok bool) {
	if len(a.References) == 0 && len(a.Participants) == 0 {
		return d, ours, false
	}
	var lacks []string
	made := func(said finding.Said) webhook.Delivery {
		return finding.Updated(p.provider, a.ID, a.VendorStatus, asked, p.settings.Now(), said, lacks)
	}
	_, after = p.apply(ours, a, made)
	if lacks = differences(ours, after, people); len(lacks) == 0 {
		return d, ours, false
	}
	d, after = p.apply(ours, a, made)
	return d, after, true
}

// apply makes a finding of what the vendor says, as far as the operator lets events carry it, and folds it into our
// agreement as the worker will.
//
// An answer may leave out the references of people, which is no statement. A person who is new in such an answer would
// end the reference that all signers share, and is left out.
func (p *pass) apply(
	ours esign.Agreement, a vendorapi.Agreement, made func(finding.Said) webhook.Delivery,
) (d webhook.Delivery, after esign.Agreement) {
	said := p.allowed(a.Said())
	d, after = p.fold(ours, made(said))
	if shared := after.SharedReference; ours.References[shared] != "" && after.References[shared] == "" {
		said.Participants = slices.DeleteFunc(said.Participants, func(p esign.Participant) bool { return p.Reference == "" })
		d, after = p.fold(ours, made(said))
	}
	return d, after
}

func (p *pass) fold(ours esign.Agreement, d webhook.Delivery) (webhook.Delivery, esign.Agreement) {
	e, _ := finding.Event(&d) // our own finding is readable
	return d, esign.Fold(ours, d.Complete(p.settings.Policy.Apply(e, p.personReference)))
}

// allowed returns said without the references that are not on the operator's list. It cuts no value: the worker does,
// and notes it.
func (p *pass) allowed(said finding.Said) finding.Said {
	policy := p.settings.Policy
	said.References = maps.Clone(said.References)
	maps.DeleteFunc(said.References, func(name, _ string) bool { return !policy.Allows(name) })
	said.Participants = slices.Clone(said.Participants)
	if !policy.Allows(p.personReference) {
		for i := range said.Participants {
			said.Participants[i].Reference = ""
		}
	}
	if !policy.Allows(said.SharedReference) {
		said.SharedReference = ""
	}
	return said
}

// differences lists the references that an agreement has after an event, and had not before it, in a form that is the
// same whenever it is the same difference. A value that replaces another names the time of that one: the same value may
// come again later.
func differences(before, after esign.Agreement, people bool) (lacks []string) {
	for _, name := range slices.Sorted(maps.Keys(after.References)) {
		value, known := after.References[name], before.References[name]
		if value == known {
			continue
		}
		at, older := before.ReferencesOlder[name]
		if !older {
			at = before.ReferencesAt
		}
		lacks = append(lacks, "reference", name, value, replaced(known, at))
	}
	for _, id := range slices.Sorted(maps.Keys(after.Participants)) {
		is, was := after.Participants[id], before.Participants[id]
		if is.Reference != was.Reference {
			at := was.ReferenceAt
			if at.IsZero() {
				at = was.ToldAt
			}
			lacks = append(lacks, "participant", id, is.Reference, replaced(was.Reference, at))
		}
		if people && is.Status != was.Status {
			lacks = append(lacks, "progress", id, string(is.Status))
		}
	}
	return lacks
}

func replaced(value string, at time.Time) string {
	if value == "" {
		return ""
	}
	return at.UTC().Format(time.RFC3339Nano)
}
