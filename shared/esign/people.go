package esign

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// foldPeople folds what e states about people: the progress of some, and who is concerned at all.
//
// A vendor may know one person under several IDs, and name only one of them in an event. Once an event connects two
// IDs, they are one person, whatever came first. Two people may share an alias, such as a number that a correction gave
// to somebody else. Two people may even share an ID that the sender chose: then their aliases tell them apart.
func foldPeople(a Agreement, e Event) Agreement {
	people := index(a.Participants)
	for _, p := range stated(e) {
		people.add(p.ID, p.Aliases, progress(p, e))
	}
	if len(e.Present) > 0 && !e.Approximate {
		a.Listing = newest(a.Listing, Listing{e.OccurredAt, e.Present})
	}
	people.settle(a.Listing, a.Status.Terminal())
	a.Participants = people.byID
	if len(people.byID) == 0 {
		a.Participants = nil
	}
	return a
}

// Limited returns e with as many people as an agreement keeps, and the same ones as [Fold].
func (e Event) Limited() Event {
	if len(e.Participants) > MaxParticipants {
		e.Participants = slices.Clone(e.Participants)
		slices.SortStableFunc(e.Participants, func(a, b Participant) int { return strings.Compare(a.ID, b.ID) })
		e.Participants = e.Participants[:MaxParticipants]
	}
	for i, p := range e.Participants {
		if len(p.Aliases) > MaxAliases {
			e.Participants = slices.Clone(e.Participants)
			e.Participants[i].Aliases = slices.Sorted(slices.Values(p.Aliases))[:MaxAliases]
		}
	}
	if len(e.Present) > MaxParticipants {
		e.Present = nil
	}
	return e.fitting()
}

// stated returns the participants whose progress e states.
func stated(e Event) []Participant {
	all := e.Participants
	switch status := e.Type.Status(); status {
	case Sent, Viewed, Signed, Declined: // one person's action; the other types concern the whole agreement
		acted := Participant{ID: e.Participant, Status: status}
		if i := slices.IndexFunc(all, func(p Participant) bool { return p.ID == acted.ID }); i >= 0 {
			acted.Aliases = all[i].Aliases
		}
		all = append(slices.Clip(all), acted)
	}
	return slices.DeleteFunc(slices.Clone(all), func(p Participant) bool { return p.ID == "" || rank[p.Status] == 0 })
}

func progress(p Participant, e Event) Progress {
	at, approximate := p.At, p.Approximate
	if at.IsZero() {
		at, approximate = e.OccurredAt, e.Approximate
	}
	made := Progress{Status: p.Status, At: at, Approximate: approximate}
	if p.Replaced {
		made.ReplacedAt = e.OccurredAt
	}
	facts{
		role: told[Role]{p.Role, e.OccurredAt}, order: told[int]{p.Order, e.OccurredAt},
		reference: told[string]{p.Reference, e.OccurredAt}, waiting: turn(p.Waiting, e.OccurredAt),
		problem: told[Cause]{p.Problem, e.OccurredAt}, replacedBy: told[string]{p.ReplacedBy, e.OccurredAt},
	}.in(&made)
	return made.seen(e.OccurredAt)
}

// facts are what is known of a participant apart from the progress, each with the time of the newest event that stated
// it.
type facts struct {
	role       told[Role]
	order      told[int]
	reference  told[string]
	waiting    told[int] // 1: no, 2: yes
	problem    told[Cause]
	replacedBy told[string]
}

func turn(waiting *bool, at time.Time) told[int] {
	switch {
	case waiting == nil:
		return told[int]{}
	case *waiting:
		return told[int]{2, at}
	}
	return told[int]{1, at}
}

func (f facts) or(g facts) facts {
	return facts{
		f.role.or(g.role), f.order.or(g.order), f.reference.or(g.reference), f.waiting.or(g.waiting),
		f.problem.or(g.problem), f.replacedBy.or(g.replacedBy),
	}
}

// facts reads the facts of p. A time that is usually the same as another is stored only if it is not.
func (p Progress) facts() facts {
	waiting := turn(nil, time.Time{})
	if yes := p.Waiting || p.WasWaiting; !p.WaitingAt.IsZero() {
		waiting = turn(&yes, p.WaitingAt)
	}
	return facts{
		told[Role]{p.Role, cmp.Or(p.RoleAt, p.ToldAt)}, told[int]{p.Order, cmp.Or(p.OrderAt, p.ToldAt)},
		told[string]{p.Reference, cmp.Or(p.ReferenceAt, p.ToldAt)}, waiting, told[Cause]{p.Problem, p.ProblemAt},
		told[string]{cmp.Or(p.ReplacedByAlias, p.ReplacedBy), cmp.Or(p.ReplacedByAt, p.ReplacedAt)},
	}
}

// in stores the facts in p, whose ReplacedAt is set.
func (f facts) in(p *Progress) {
	p.Role, p.Order, p.Reference = f.role.value, f.order.value, f.reference.value
	p.ToldAt = time.Time{}
	for _, at := range []time.Time{f.role.time(), f.order.time(), f.reference.time()} {
		if at.After(p.ToldAt) {
			p.ToldAt = at
		}
	}
	p.RoleAt, p.OrderAt = unless(f.role.time(), p.ToldAt), unless(f.order.time(), p.ToldAt)
	p.ReferenceAt = unless(f.reference.time(), p.ToldAt)
	p.Waiting, p.WasWaiting, p.WaitingAt = f.waiting.value == 2, false, f.waiting.time()
	p.Problem, p.ProblemAt = f.problem.value, f.problem.time()
	p.ReplacedBy, p.ReplacedByAlias = f.replacedBy.value, ""
	p.ReplacedByAt = unless(f.replacedBy.time(), p.ReplacedAt)
}

// settled returns p without what no longer matters once somebody has acted, or the agreement has ended.
func (p Progress) settled(replaced, ended bool) Progress {
	acted := !p.Status.Before(Signed)
	if acted {
		p.Problem, p.ProblemAt = "", time.Time{}
	}
	if acted || ended {
		p.Waiting, p.WasWaiting, p.WaitingAt = false, false, time.Time{}
	}
	waiting := p.Waiting || p.WasWaiting
	p.Replaced, p.Waiting, p.WasWaiting = replaced, waiting && !replaced, waiting && replaced
	return p
}

// unless returns at, or zero if it is the usual time.
func unless(at, usual time.Time) time.Time {
	if at.Equal(usual) {
		return time.Time{}
	}
	return at
}

// lastSeen is the latest time at which an event named the participant.
func (p Progress) lastSeen() time.Time {
	if p.StatedAt.After(p.At) {
		return p.StatedAt
	}
	return p.At
}

// seen returns p, named at the given time too.
func (p Progress) seen(at time.Time) Progress {
	if p.StatedAt.After(at) {
		at = p.StatedAt
	}
	p.StatedAt = time.Time{}
	if at.After(p.At) {
		p.StatedAt = at
	}
	return p
}

// join returns what two statements about one person say together.
func (p Progress) join(q Progress) Progress {
	best, other := p, q
	if p.Status.Before(q.Status) || p.Status == q.Status && wins(q.At, q.Approximate, p.At, p.Approximate) {
		best, other = q, p
	}
	known := best.facts().or(other.facts())
	if other.ReplacedAt.After(best.ReplacedAt) {
		best.ReplacedAt = other.ReplacedAt
	}
	known.in(&best)
	return best.seen(other.lastSeen())
}

// people are the participants of an agreement.
type people struct {
	byID map[string]Progress
	ids  map[string][]string // of those who have a key, as ID or alias, by the key's digest
}

func index(byID map[string]Progress) people {
	p := people{make(map[string]Progress, len(byID)), map[string][]string{}}
	for id, known := range byID {
		p.put(id, known.Aliases, known)
	}
	return p
}

// put stores a person who has the ID and the other keys. Of a key and its digest it keeps only the digest.
func (p people) put(id string, others []string, known Progress) {
	byDigest := map[string]string{}
	for _, key := range append(others, id) {
		if digest := Digest(key); byDigest[digest] != digest {
			byDigest[digest] = key
		}
	}
	for digest := range byDigest {
		p.ids[digest] = append(p.ids[digest], byDigest[Digest(id)])
	}
	id = byDigest[Digest(id)]
	delete(byDigest, Digest(id))
	known.Aliases = slices.Sorted(maps.Values(byDigest))
	known.Aliases = known.Aliases[:min(len(known.Aliases), MaxAliases)]
	p.byID[id] = known
}

// having returns the IDs of all who have this key, sorted.
func (p people) having(key string) (ids []string) {
	for _, id := range p.ids[Digest(key)] {
		if _, ok := p.byID[id]; ok {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// withID returns the person whose ID this is. A key and its digest are the same ID.
func (p people) withID(key string) (id string, ok bool) {
	for _, id := range p.having(key) {
		if Digest(id) == Digest(key) {
			return id, true
		}
	}
	return "", false
}

// add joins a statement about one person with what is known of that person.
func (p people) add(id string, aliases []string, said Progress) {
	if known, ok := p.withID(id); ok && disjoint(p.byID[known].Aliases, aliases) { // two people share the ID
		other := p.byID[known]
		delete(p.byID, known)
		p.join(other.Aliases[0], append(other.Aliases[1:], known), other)
		id, aliases = aliases[0], append(slices.Clone(aliases[1:]), id)
	}
	name := id
	if _, ok := p.withID(id); !ok {
		name = p.owner(id, aliases)
	}
	p.join(name, append(slices.Clone(aliases), id), said)
}

func disjoint(a, b []string) bool {
	return len(a) > 0 && len(b) > 0 && !slices.ContainsFunc(a, func(key string) bool {
		return slices.ContainsFunc(b, func(other string) bool { return Digest(other) == Digest(key) })
	})
}

// owner returns the ID of the person who has this alias; the alias itself if nobody has it. Of several, it returns the
// one who has one of the other aliases too. If there are no other aliases, it returns the one who was named last.
func (p people) owner(alias string, aliases []string) string {
	ids := p.having(alias)
	if len(ids) == 0 {
		return alias
	}
	for _, id := range ids {
		if !disjoint(append(p.byID[id].Aliases, id), aliases) && len(aliases) > 0 {
			return id
		}
	}
	if len(aliases) > 0 {
		return aliases[0] // one more of those who share the alias
	}
	return slices.MaxFunc(ids, func(a, b string) int { return p.byID[a].lastSeen().Compare(p.byID[b].lastSeen()) })
}

// join joins a statement with all who are known under one of the keys as their ID.
func (p people) join(id string, others []string, said Progress) {
	for _, key := range append(slices.Clone(others), id) {
		if known, ok := p.withID(key); ok {
			joined := p.byID[known]
			delete(p.byID, known)
			others = append(append(others, joined.Aliases...), known)
			said = said.join(joined)
		}
	}
	p.put(id, others, said)
}

// settle limits the number of people, ends their waiting, and marks who was replaced: who is missing from the newest
// list, and was not named since.
func (p people) settle(newest *Listing, ended bool) {
	for _, id := range slices.Sorted(maps.Keys(p.byID))[min(len(p.byID), MaxParticipants):] {
		delete(p.byID, id)
	}
	listed := map[string]bool{}
	if newest != nil {
		for _, key := range newest.IDs {
			if id, ok := p.withID(key); ok {
				listed[id] = true
			} else if ids := p.having(key); len(ids) == 1 {
				listed[ids[0]] = true
			}
		}
	}
	incomplete := newest == nil || len(newest.IDs) == 0
	for id, known := range p.byID {
		seen := known.lastSeen()
		replaced := !known.ReplacedAt.Before(seen) || !incomplete && !listed[id] && seen.Before(newest.At)
		p.byID[id] = p.linked(id, known.settled(replaced, ended))
	}
}

// linked returns the person with this ID, and names the ID of who has taken over. An event may have named an alias: if
// exactly one other person has it, it is that person's.
func (p people) linked(id string, known Progress) Progress {
	named := cmp.Or(known.ReplacedByAlias, known.ReplacedBy)
	known.ReplacedBy, known.ReplacedByAlias = named, ""
	if named == "" {
		return known
	}
	by, ok := p.withID(named)
	if others := slices.DeleteFunc(p.having(named), func(s string) bool { return s == id }); !ok && len(others) == 1 {
		by, ok = others[0], true
	}
	if ok && by != named {
		known.ReplacedBy, known.ReplacedByAlias = by, named
	}
	return known
}

// newest returns the newer of two lists, or all who are in either if they are of the same time. A list of too many has
// no IDs.
func newest(known *Listing, said Listing) *Listing {
	switch {
	case known == nil || known.At.Before(said.At):
	case known.At.After(said.At) || known.IDs == nil:
		return known
	default:
		said.IDs = slices.Concat(known.IDs, said.IDs)
	}
	ids := slices.Compact(slices.Sorted(slices.Values(said.IDs)))
	if len(ids) > MaxParticipants {
		ids = nil
	}
	return &Listing{said.At, ids}
}

// Digest returns the form in which a key that may be personal is stored: "sha256:" and the lower-case hex SHA-256. A
// key in that form stays as it is.
func Digest(key string) string {
	const prefix = "sha256:"
	if hash, ok := strings.CutPrefix(key, prefix); ok && len(hash) == 2*sha256.Size &&
		strings.Trim(hash, "0123456789abcdef") == "" {
		return key
	}
	sum := sha256.Sum256([]byte(key))
	return prefix + hex.EncodeToString(sum[:])
}
