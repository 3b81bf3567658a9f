package stack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsdynamodb "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/ledger"
	"esignhooks/shared/store/ledger/dynamodb"
	"esignhooks/shared/store/payload"
)

// table is a ledger with these events.
type table []ledger.Entry

func (t table) Committed(_ context.Context, from, to time.Time, visit func([]ledger.Entry) error) error {
	var entries []ledger.Entry
	for _, e := range t {
		if !e.ProcessedAt.Before(from) && e.ProcessedAt.Before(to) {
			entries = append(entries, e)
		}
	}
	return visit(entries)
}

// bucket is an archive with these payloads.
type bucket map[string]string

func (bucket) Put(context.Context, string, []byte) error { return errors.New("read only") }

func (b bucket) Get(_ context.Context, key string) ([]byte, error) {
	if body, ok := b[key]; ok {
		return []byte(body), nil
	}
	return nil, payload.ErrNotFound
}

func TestPull(t *testing.T) {
	at := func(minute int) time.Time { return time.Date(2026, 11, 2, 9, minute, 0, 0, time.UTC) }
	entry := func(id string, minute int, proof esign.Proof, sum string) ledger.Entry {
		e := entryOf(id)
		e.ReceivedAt, e.ProcessedAt, e.Proof, e.SHA256 = at(minute), at(minute+1), proof, sum
		return e
	}
	events := table{
		entry("late", 20, esign.ProofURLToken, "sum-of-late"), entry("early", 10, esign.ProofSigned, "sum-of-early"),
		entry("finding", 11, esign.ProofConfirmed, "sum-of-finding"), entry("before", 1, esign.ProofSigned, "sum-of-before"),
		entry("expired", 12, esign.ProofSigned, "sum-of-expired"), entry("known", 13, esign.ProofSigned, "sum-of-known"),
		entry("odd", 14, esign.ProofSigned, "sum-of-odd"),
	}
	archive := bucket{}
	for _, id := range []string{"early", "late", "before", "finding", "known", "odd"} {
		archive[payload.ArchiveKey("docusign", "sum-of-"+id)] = "payload of " + id
	}
	found, err := received(t.Context(), events, at(5), at(59))
	must(t, err)
	var got []string
	var report bytes.Buffer
	err = pull(t.Context(), &report, archive, found, func(_ context.Context, p operate.Pulled) (bool, error) {
		got = append(got, fmt.Sprintf("%s %s %s %s", p.EventID, p.Proof, p.ReceivedAt.Format("15:04"), p.Payload))
		if p.EventID == "odd" {
			return false, errors.New("why")
		}
		return p.EventID != "known", nil
	})
	want := "early signed 09:10 payload of early|known signed 09:13 payload of known|odd signed 09:14 payload of odd|" +
		"late url-token 09:20 payload of late"
	if strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	const says = "docusign odd is not pulled: why\n" +
		"pulled: 2 new events, 1 that localhost had already; the payloads of 1 are not kept any more\n"
	if report.String() != says || err == nil || !strings.Contains(err.Error(), "1 events are not pulled") {
		t.Errorf("%v, %s", err, &report)
	}
	if _, err := (&Stack{name: "hooks"}).Pull(t.Context(), &report, at(0), true, nil); err == nil ||
		!strings.Contains(err.Error(), "ArchiveDays") {
		t.Errorf("without an archive: %v", err)
	}
}

// testPull pulls an event from a table and a bucket.
func (a *account) testPull(t *testing.T) {
	e, body := entryOf("pulled"), `{"event":"envelope-completed"}`
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	_, err := a.s3.CreateBucket(t.Context(), &awss3.CreateBucketInput{Bucket: aws.String("archive")})
	must(t, err)
	a.put("archive", payload.ArchiveKey("docusign", hash), []byte(body))
	must(t, dynamodb.New(awsdynamodb.NewFromConfig(a.config), "Table", 0).Commit(t.Context(), ledger.Commit{
		Claim: ledger.Claim{Key: ledger.Key{Subject: "docusign#pulled", ID: e.ID}, Provider: e.Provider,
			ReceivedAt: e.ProcessedAt, SHA256: hash, Proof: esign.ProofSigned},
		Event: *e.Event, At: time.Date(2026, 12, 24, 0, 0, 0, 0, time.UTC).AddDate(-1, 0, 0),
	}))
	outputs := maps.Clone(a.outputs)
	outputs["ArchiveBucketName"] = "archive"
	s, err := Open(t.Context(), a.deploy(outputs))
	must(t, err)
	for _, apply := range []bool{false, true} {
		var got []operate.Pulled
		var report bytes.Buffer
		n, err := s.Pull(t.Context(), &report, time.Date(2025, 12, 23, 0, 0, 0, 0, time.UTC), apply,
			func(_ context.Context, p operate.Pulled) (bool, error) {
				if p.EventID == e.ID {
					got = append(got, p)
				}
				return true, nil
			})
		if err != nil || n < 1 || len(got) != map[bool]int{false: 0, true: 1}[apply] ||
			apply && string(got[0].Payload) != body {
			t.Errorf("apply %v: %d, %v, %v\n%s", apply, n, got, err, &report)
		}
	}
}
