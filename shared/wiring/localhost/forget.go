package localhost

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"esignhooks/shared/archive"
	"esignhooks/shared/operate"
	"esignhooks/shared/store/document"
	"esignhooks/shared/store/payload"
	"esignhooks/shared/store/queue"
	"esignhooks/shared/store/queue/embedded"
)

// inFlight is far longer than it takes to publish an event that is committed. The ledger itself refuses the commits of
// the worker.
const inFlight = time.Second

// places are the stores of localhost that may hold something of an agreement, apart from the ledger.
func (g *Gateway) places() []operate.Place {
	files := func(name string, paths func(operate.Traces) []string) operate.Place {
		return operate.Place{Name: name, Forget: func(_ context.Context, t operate.Traces, remove bool) (int, int, error) {
			found := 0
			for _, path := range paths(t) {
				n, err := forgetFiles(filepath.Join(g.config.Data, filepath.FromSlash(path)), remove)
				if found += n; err != nil {
					return found, 0, err
				}
			}
			return found, 0, nil
		}}
	}
	return []operate.Place{
		ofQueue("deliveries", g.queue), ofQueue("dead letters", g.dead),
		ofQueue("jobs of the archiver", g.jobs.Queue), ofQueue("dead letters of the archiver", g.jobs.DeadLetters),
		files("stored payloads", func(t operate.Traces) (paths []string) {
			for _, e := range t.Events {
				paths = append(paths, "payloads/"+payload.KeyOf(e.Provider, e.ReceivedAt, e.SHA256))
			}
			slices.Sort(paths)
			return slices.Compact(paths)
		}),
		files("documents", func(t operate.Traces) []string {
			return []string{"documents/" + document.Folder(t.Provider, t.AgreementID)}
		}),
		{Name: "recorded requests", Forget: func(_ context.Context, t operate.Traces, remove bool) (int, int, error) {
			n, err := g.forgetRecorded(t, remove)
			return n, 0, err
		}},
		{Name: "published events", Forget: func(_ context.Context, t operate.Traces, remove bool) (int, int, error) {
			n, err := g.bus.Forget(t.Subject, remove)
			return n, 0, err
		}},
		{Name: "requests in memory", Forget: func(_ context.Context, t operate.Traces, remove bool) (int, int, error) {
			return g.requests.forget(t.Subject, remove), 0, nil
		}},
	}
}

// ofQueue is a queue of localhost. Messages in flight stay: the worker and the archiver drop them.
func ofQueue(name string, q *embedded.Queue) operate.Place {
	return operate.Place{Name: name, Forget: func(_ context.Context, t operate.Traces, remove bool) (int, int, error) {
		act := q.Count
		if remove {
			act = q.Remove
		}
		n, err := act(func(m queue.Message) bool {
			return m.Group == t.Subject || archive.IsOf(m.Body, t.Provider, t.AgreementID)
		})
		return n, 0, err
	}}
}

// forgetFiles counts the files at or below a path. If remove is set, it removes them.
func forgetFiles(path string, remove bool) (found int, err error) {
	err = filepath.WalkDir(path, func(_ string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found++
		}
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err == nil && remove {
		err = os.RemoveAll(path)
	}
	return found, err
}
