package payload_test

import (
	"testing"
	"time"

	"esignhooks/shared/store/payload"
)

func TestKeyIsByDayInUTC(t *testing.T) {
	day := time.Date(2026, 11, 2, 23, 59, 59, 0, time.FixedZone("", -3600))
	const want = "2026/11/03/acmesign/ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // sha256 of "abc"
	if got := payload.Key("acmesign", day, []byte("abc")); got != want {
		t.Error(got)
	}
}

func TestArchiveKeyNeedsOnlyWhatTheHistoryHolds(t *testing.T) {
	const sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" // sha256 of "abc"
	if got := payload.ArchiveKey("acmesign", sum); got != "acmesign/"+sum {
		t.Error(got)
	}
}
