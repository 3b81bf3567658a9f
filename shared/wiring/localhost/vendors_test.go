package localhost

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/plumbing/groupcommit"
	"esignhooks/shared/store/bus"
	busdriver "esignhooks/shared/store/bus/embedded"
	queue "esignhooks/shared/store/queue/embedded"
	"esignhooks/shared/vendorapi"
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
	return bus.Event{DetailType: string(typ), Detail: bus.Detail{EventID: string(typ) + provider, Event: esign.Event{Provider: provider, AgreementID: "a"}}}
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
			g := &Gateway{jobs: queue.Jobs{Queue: q}, bus: b, clients: map[string]vendorapi.Client{"docusign": struct{ vendorapi.Client }{}}}
			completed := eventOfType(esign.AgreementCompleted, "docusign")
			for i, err := range (outlet{g}).Publish(t.Context(), []bus.Event{
				eventOfType(esign.AgreementSent, "docusign"), completed, eventOfType(esign.AgreementCompleted, "adobesign"), // which has no credentials
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
