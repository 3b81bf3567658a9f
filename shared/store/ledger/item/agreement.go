package item

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/store/ledger"
)

// OfAgreement returns the agreement after a commit. agreement is its JSON.
func OfAgreement(last ledger.Commit, agreement string) Item {
	i := AgreementKey(last.Subject)
	i[V] = N(Version)
	i[Agreement] = S(agreement)
	i[RecordVersion] = N(last.Version + 1)
	i[Provider] = S(last.Agreement.Provider)
	i[AgreementID] = S(last.Agreement.ID)
	i[Status] = S(string(last.Agreement.Status))
	i[UpdatedAt] = Instant(last.Agreement.UpdatedAt)
	return trimmed(i)
}

// trimmed leaves out what the key and the JSON hold already, if the agreement then takes one [Unit] instead of two. Only
// [ReadStanding] needs these attributes. To an earlier release, such an agreement has no provider, so its patrols pass
// it by.
func trimmed(i Item) Item {
	left := maps.Clone(i)
	if i.string(PK) == i.string(Provider)+"#"+i.string(AgreementID) {
		delete(left, Provider)
		delete(left, AgreementID)
	}
	delete(left, UpdatedAt)
	if i.Bytes() > Unit-expiryBytes && left.Bytes() <= Unit-expiryBytes {
		return left
	}
	return i
}

// ReadAgreement reads an agreement and its version.
func ReadAgreement(i Item) (a esign.Agreement, version int64, err error) {
	if err := i.CheckVersion(); err != nil {
		return a, 0, err
	}
	if s := i.string(Agreement); s != "" {
		if err := json.Unmarshal([]byte(s), &a); err != nil {
			return a, 0, fmt.Errorf("%s: %w", Agreement, err)
		}
	}
	version, err = readRecordVersion(i)
	return a, version, err
}

func readRecordVersion(i Item) (int64, error) {
	version, err := i.number(RecordVersion)
	if err == nil && version == 0 {
		err = fmt.Errorf("no %s", RecordVersion)
	}
	return version, err
}

// OfNote returns a note.
func OfNote(name, text string, version int64) Item {
	i := NoteKey(name)
	i[V] = N(Version)
	i[Text] = S(text)
	i[RecordVersion] = N(version)
	return i
}

// ReadNote reads a note and its version.
func ReadNote(i Item) (text string, version int64, err error) {
	if err := i.CheckVersion(); err != nil {
		return "", 0, err
	}
	version, err = readRecordVersion(i)
	return i.string(Text), version, err
}

// OfReference returns the item that finds the agreement of a subject by a reference.
func OfReference(r ledger.Reference, subject string) Item {
	i := Key(ledger.Key{Subject: ReferencePK(r), ID: subject})
	i[V] = N(Version)
	return i
}

// ReferencePK returns the partition key of a reference's items. It is outside of every subject, and of no note.
func ReferencePK(r ledger.Reference) string { return "@reference#" + r.Hash() }

// ReadReference reads a reference's item. It returns the subject of the agreement.
func ReadReference(i Item) (subject string, err error) { return i.string(SK), i.CheckVersion() }

// TombstoneKey returns the key of a tombstone. It is outside of every subject, and of no note or reference.
func TombstoneKey(subject string) Item {
	sum := sha256.Sum256([]byte(subject))
	return NoteKey("forgotten#" + hex.EncodeToString(sum[:]))
}

// OfTombstone returns the tombstone of a subject: that it was forgotten, and when. It holds nothing else.
func OfTombstone(subject string, at time.Time) Item {
	i := TombstoneKey(subject)
	i[V] = N(Version)
	i[ForgottenAt] = Instant(at)
	return i
}

// ReadTombstone returns when a subject was forgotten.
func ReadTombstone(i Item) (time.Time, error) {
	if err := i.CheckVersion(); err != nil {
		return time.Time{}, err
	}
	return time.Parse(time.RFC3339Nano, i.string(ForgottenAt))
}

// OfDropped returns a dropped event, which expires at once.
func OfDropped(k ledger.Key, at time.Time) Item {
	i := Key(k)
	i[V] = N(Version)
	i[State] = S(string(ledger.Dropped))
	i[Expires] = Unix(at)
	return i
}

// ReadStanding reads an agreement or event that a patrol finds. A time that cannot be read becomes the zero time. So
// one item does not stop the patrol, and counts as old.
func ReadStanding(i Item) ledger.Standing {
	s := ledger.Standing{
		Provider:    i.string(Provider),
		Subject:     i.string(PK),
		AgreementID: i.string(AgreementID),
		Status:      esign.Status(i.string(Status)),
		EventID:     i.string(SK),
	}
	if s.Provider == "" { // see trimmed
		s.Provider, s.AgreementID, _ = strings.Cut(s.Subject, "#")
	}
	since := ReceivedAt
	if i.IsAgreement() {
		s.EventID, since = "", UpdatedAt
	}
	s.Since, _ = time.Parse(time.RFC3339Nano, i.string(since))
	if i.string(since) == "" && !s.Status.Terminal() {
		var a esign.Agreement
		json.Unmarshal([]byte(i.string(Agreement)), &a) // an error leaves the zero time
		s.Since = a.UpdatedAt
	}
	return s
}
