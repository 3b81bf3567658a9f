package esign

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// foldPeople folds what e states about people: the progress of some, and who is concerned at all.
//
// A vendor may know one person under several IDs, and name only one of them in an event. All IDs that events connect
// are one person, whatever came first.
func foldPeople(a Agreement, e Event) Agreement {
	people := index(a.Participants)
	for _, p := range stated(e) {
		people.add(p.ID, p.Aliases, progress(p, e))
	}
	if n := len(e.Present); n > 0 && n <= MaxParticipants && !e.Approximate {
		a.Listing = newest(a.Listing, Listing{e.OccurredAt, e.Present})
	}
	people.settle(a.Listing)
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
	return e
}

// stated returns the participants whose progress e states.
func stated(e Event) []Participant {
	all := e.Participants
	switch status := e.Type.Status(); status {
	case Sent, Viewed, Signed, Declined: // one person's action; the other types concern the whole agreement
		all = append(slices.Clip(all), Participant{ID: e.Participant, Status: status})
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
	return made.seen(e.OccurredAt)
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
	if other.ReplacedAt.After(best.ReplacedAt) {
		best.ReplacedAt = other.ReplacedAt
	}
	return best.seen(other.lastSeen())
}

// people are the participants of an agreement.
type people struct {
	byID map[string]Progress
	id   map[string]string // by the digest of each key of the person
}

func index(byID map[string]Progress) people {
	p := people{make(map[string]Progress, len(byID)), map[string]string{}}
	for id, known := range byID {
		p.enter(id, known)
	}
	return p
}

func (p people) enter(id string, known Progress) {
	p.byID[id] = known
	for _, key := range append([]string{id}, known.Aliases...) {
		p.id[Digest(key)] = id
	}
}

// find returns the ID of the person with this key. A key and its digest are the same key.
func (p people) find(key string) (id string, ok bool) {
	id = p.id[Digest(key)]
	_, ok = p.byID[id]
	return id, ok
}

// add joins a statement about one person with everything known under any of the person's keys.
func (p people) add(id string, aliases []string, said Progress) {
	keys := keySet{}
	for _, key := range append([]string{id}, aliases...) {
		keys.add(key, key != id)
		if known, ok := p.find(key); ok {
			keys.add(known, false)
			for _, alias := range p.byID[known].Aliases {
				keys.add(alias, true)
			}
			said = said.join(p.byID[known])
			delete(p.byID, known)
		}
	}
	id, said.Aliases = keys.choose()
	p.enter(id, said)
}

// keySet holds the keys of one person, by their digests. Of a key and its digest it keeps only the digest.
type keySet map[string]struct {
	key   string
	alias bool // in any event
}

func (s keySet) add(key string, alias bool) {
	digest := Digest(key)
	k := s[digest]
	if k.key != digest {
		k.key = key
	}
	k.alias = k.alias || alias
	s[digest] = k
}

// choose returns which key stands for the person: of those that are no alias, the one with the lowest digest. It
// returns the others as aliases.
func (s keySet) choose() (id string, aliases []string) {
	digests := slices.Sorted(maps.Keys(s))
	first := max(0, slices.IndexFunc(digests, func(digest string) bool { return !s[digest].alias }))
	for i, digest := range digests {
		if i != first {
			aliases = append(aliases, s[digest].key)
		}
	}
	slices.Sort(aliases)
	return s[digests[first]].key, aliases[:min(len(aliases), MaxAliases)]
}

// settle limits the number of people, and marks who was replaced: who is missing from the newest list, and was not
// named since.
func (p people) settle(newest *Listing) {
	for _, id := range slices.Sorted(maps.Keys(p.byID))[min(len(p.byID), MaxParticipants):] {
		delete(p.byID, id)
	}
	listed := map[string]bool{}
	if newest != nil {
		for _, key := range newest.IDs {
			if id, ok := p.find(key); ok {
				listed[id] = true
			}
		}
	}
	for id, known := range p.byID {
		seen := known.lastSeen()
		known.Replaced = !known.ReplacedAt.Before(seen) || newest != nil && !listed[id] && seen.Before(newest.At)
		p.byID[id] = known
	}
}

// newest returns the newer of two lists, or all who are in either if they are of the same time.
func newest(known *Listing, said Listing) *Listing {
	switch {
	case known == nil || known.At.Before(said.At):
	case known.At.Equal(said.At):
		said.IDs = slices.Concat(known.IDs, said.IDs)
	default:
		return known
	}
	ids := slices.Sorted(slices.Values(said.IDs))
	return &Listing{said.At, slices.Compact(ids)}
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
