package localhost

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/bus"
	busdriver "esignhooks/shared/store/bus/embedded"
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
			b, err := busdriver.New(files["bus"], "", time.Now)
			if err != nil {
				t.Fatal(err)
			}
			if tt.breaks != "" {
				files[tt.breaks].Close()
			}
			g := &Gateway{jobs: queue.Jobs{Queue: q}, bus: b,
				clients: map[string]vendorapi.Client{"acmesign": struct{ vendorapi.Client }{}}}
			completed := eventOfType(esign.AgreementCompleted, "acmesign")
			for i, err := range (outlet{g}).Publish(t.Context(), []bus.Event{
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
	err = g.Banner(&banner, "http://127.0.0.1:3000", time.Now())
	if err != nil || !strings.Contains(banner.String(), "API: none for this vendor") || log.Len() > 0 {
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
		run, err := parse(strings.Fields(command))
		if err == nil {
			err = run(t.Context(), &banner, g)
		}
		if (err == nil) != (said == "") || err != nil && !strings.Contains(err.Error(), said) {
			t.Errorf("%s: %v", command, err)
		}
	}
}
