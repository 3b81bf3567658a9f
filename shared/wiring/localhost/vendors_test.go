package localhost

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"log/slog"
	"net"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.etcd.io/bbolt"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/operate"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/bus"
	busdriver "esignhooks/shared/store/bus/embedded"
	"esignhooks/shared/store/ledger"
	queue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

func openFile(t *testing.T, name string) *groupcommit.DB {
	t.Helper()
	db, err := bbolt.Open(filepath.Join(t.TempDir(), name), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return groupcommit.New(db)
}

func eventOfType(typ esign.Type, provider string) bus.Event {
	return bus.Event{DetailType: string(typ),
		Detail: bus.Detail{EventID: string(typ) + provider, Event: esign.Event{Provider: provider, AgreementID: "a"}}}
}

func TestAJobIsOnDiskBeforeItsEventIsPublished(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks          string // the file that cannot be written any more
		failed          bool
		jobs, published int
	}{
		"all is well":                         {"", false, 1, 3},
		"a crash before the jobs are there":   {"queue", true, 0, 0},
		"a crash before the events are there": {"bus", true, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			files := map[string]*groupcommit.DB{"queue": openFile(t, "queue"), "bus": openFile(t, "bus")}
			q, err := queue.Open(files["queue"], queue.Config{Name: "documents", Visibility: time.Minute, Now: time.Now})
			if err != nil {
				t.Fatal(err)
			}
			b, err := busdriver.New(files["bus"], nil, nil, time.Now)
			if err != nil {
				t.Fatal(err)
			}
			if tt.breaks != "" {
				files[tt.breaks].Close()
			}
			g := &Gateway{jobs: queue.Jobs{Queue: q}, bus: b,
				clients: map[string]vendorapi.Client{"acmesign": struct{ vendorapi.Client }{}}}
			completed := eventOfType(esign.AgreementCompleted, "acmesign")
			for i, err := range (withArchive{g}).Publish(t.Context(), []bus.Event{
				// which has no client
				eventOfType(esign.AgreementSent, "acmesign"), completed, eventOfType(esign.AgreementCompleted, "other"),
			}) {
				if (err != nil) != tt.failed {
					t.Errorf("event %d: %v", i, err)
				}
			}
			if tt.breaks != "queue" {
				none, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
				defer stop()
				received, _ := q.Receive(none, 10)
				if len(received) != tt.jobs || received[0].Body != archive.Job(completed) {
					t.Errorf("jobs: %+v", received)
				}
			}
			if tt.breaks != "bus" {
				published, err := b.Events()
				if err != nil || len(published) != tt.published {
					t.Errorf("published %d, %v", len(published), err)
				}
			}
		})
	}
}

// TestAVendorWithoutAClientRuns checks that the gateway runs without the vendor's API, and that the banner says so.
func TestAVendorWithoutAClientRuns(t *testing.T) {
	p := acmesign.Provider{}
	config, err := ReadConfig([]webhook.Provider{p}, func(name string) (string, bool) {
		value, ok := map[string]string{"ACMESIGN_API": `{"key":"k"}`, "DATA": t.TempDir()}[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	var log, banner bytes.Buffer
	g, err := Open(config, []webhook.Provider{p}, slog.New(slog.NewJSONHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer g.db.Close()
	if client, err := g.client(t.Context(), acmesign.Name); client != nil || !errors.Is(err, vendorapi.ErrNoClient) {
		t.Errorf("%v, %v", client, err)
	}
	err = g.Banner(&banner, "http://127.0.0.1:3000")
	if err != nil || !strings.Contains(banner.String(), "; API none\n") || log.Len() > 0 {
		t.Errorf("%v: %s, logged %s", err, &banner, &log)
	}
	for command, said := range map[string]string{
		"register -provider acmesign -url https://tunnel.example/webhooks/acmesign": "API client",
		"registered":                        "",
		"archive -provider acmesign -id a":  "API client",
		"inspect -provider acmesign -id a":  "unknown agreement",
		"archive -provider another -id a":   "acmesign",
		"replay -provider acmesign -id a":   "unknown agreement",
		"replay -rebuild -provider x -id a": "unknown agreement",
	} {
		run, err := operate.Parse(strings.Fields(command))
		if err == nil {
			err = run.Act(t.Context(), &banner, g.target())
		}
		if (err == nil) != (said == "") || err != nil && !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

// TestAVendorGetsNoDevelopmentKey checks which keys subscriptions at a vendor are registered with.
func TestAVendorGetsNoDevelopmentKey(t *testing.T) {
	g := release(t, t.TempDir(), acmesign.Provider{})
	own := webhook.Keys{Keys: webhook.Secrets("own"), URLTokens: webhook.Secrets("token")}
	for development, want := range map[bool]int{true: 0, false: 1} {
		g.config.Keys[acmesign.Name] = Keys{Keys: own, Development: development}
		url, keys, err := g.webhook(t.Context(), acmesign.Name)
		if url != "" || len(keys.Keys) != want || len(keys.URLTokens) != 1 || err != nil {
			t.Errorf("development %v: URL %q, %d keys, %d tokens, %v", development, url, len(keys.Keys), len(keys.URLTokens), err)
		}
	}
}

func TestOnlyThisMachineIsListenedTo(t *testing.T) {
	listener, err := release(t, t.TempDir(), acmesign.Provider{}).Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if ip := listener.Addr().(*net.TCPAddr).IP; !ip.IsLoopback() {
		t.Errorf("listens on %s", ip)
	}
}

// TestTheReadAPIShowsEverything checks that no field of an event is lost.
func TestTheReadAPIShowsEverything(t *testing.T) {
	at := time.Date(2026, 11, 2, 9, 30, 0, 0, time.UTC)
	want := event{
		ID: "id", Provider: "p", Type: esign.AgreementSigned, VendorType: "v", AgreementID: "a", OccurredAt: at,
		ReceivedAt: at.Add(1), State: ledger.Processed, Duplicates: 2, Proof: esign.ProofSigned,
		Via: []string{"1", "pulled"}, Pulled: true,
		Approximate: true, Participant: "3", Cause: "c", Attributes: map[string]string{"k": "v"},
		Documents: []esign.Document{{Name: "d"}}, References: map[string]string{"k": "v"}, ReferencesCut: []string{"k"},
		ReferencesLeftOut: 2, Reason: "r", Payload: &esign.Payload{SHA256: "00"},
	}
	entry := ledger.Entry{
		Key: ledger.Key{Subject: "s", ID: want.ID}, Provider: want.Provider, Type: want.Type, VendorType: want.VendorType,
		AgreementID: want.AgreementID, OccurredAt: at, ReceivedAt: want.ReceivedAt, State: want.State,
		Duplicates: want.Duplicates, Proof: want.Proof, Via: want.Via, Event: &esign.Event{Approximate: true,
			Participant: want.Participant, Cause: want.Cause, Attributes: want.Attributes, Documents: want.Documents,
			References: want.References, ReferencesCut: want.ReferencesCut, ReferencesLeftOut: want.ReferencesLeftOut,
			Reason: want.Reason, Payload: want.Payload},
	}
	if diff := cmp.Diff(want, eventOf(entry)); diff != "" {
		t.Error(diff)
	}
	for v, i := reflect.ValueOf(want), 0; i < v.NumField(); i++ {
		if v.Field(i).IsZero() {
			t.Errorf("%s is not checked", v.Type().Field(i).Name)
		}
	}
	entry.OccurredAt, entry.Event = time.Time{}, nil
	if shown := eventOf(entry); !shown.OccurredAt.Equal(entry.ReceivedAt) || !shown.Approximate {
		t.Errorf("without a time: %+v", shown)
	}
}

// TestWhatTheApplicationRefusedIsRedriven checks the command's third part. Others check the queues.
func TestWhatTheApplicationRefusedIsRedriven(t *testing.T) {
	g := release(t, t.TempDir(), acmesign.Provider{})
	if err := g.bus.Publish(t.Context(), []bus.Event{eventOfType(esign.AgreementSent, acmesign.Name)})[0]; err != nil {
		t.Fatal(err)
	}
	failed := []byte(`{"envelope":{"id":"e"},"state":"failed","attempts":10}`)
	if err := g.db.Update(func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("bus.events")).Put(binary.BigEndian.AppendUint64(nil, 1), failed)
	}); err != nil {
		t.Fatal(err)
	}
	var report bytes.Buffer
	err := g.redrive(t.Context(), &report)
	published, readErr := g.bus.Events()
	if err != nil || readErr != nil || published[0].State != busdriver.Waiting ||
		!strings.Contains(report.String(), "published events: 1 ") {
		t.Errorf("%+v, %v, %v: %s", published, err, readErr, &report)
	}
}
