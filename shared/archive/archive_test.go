package archive_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/archive"
	"esignhooks/shared/esign"
	"esignhooks/shared/store/document"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/webhook"
)

// check verifies that everything is archived once, and reported as it is stored.
func (w *world) check() {
	w.t.Helper()
	found := w.found()
	confirmed, archived := w.detail(found["confirmed"]), w.detail(found["archived"])
	if confirmed.Type != esign.AgreementConfirmed || confirmed.Attributes["vendorStatus"] != "completed" {
		w.t.Errorf("%+v", confirmed)
	}
	if i, j := index(w.sent, "confirmed"), index(w.sent, "archived"); len(found) != 2 || i > j {
		w.t.Errorf("%d kinds of findings, confirmed is number %d, archived %d", len(found), i, j)
	}
	var names []string
	for _, d := range archived.Documents {
		names = append(names, d.Name)
		content, err := os.ReadFile(d.Location)
		sum := sha256.Sum256(content)
		want := esign.Document{
			Kind: kindOf(d.Name), Name: d.Name, Location: filepath.Join(w.dir, "acmesign", agreementID, d.Name),
			ContentType: "application/pdf",
			SHA256:      hex.EncodeToString(sum[:]), Size: int64(len(content)),
		}
		if diff := cmp.Diff(want, d); err != nil || diff != "" {
			w.t.Errorf("%v %s", err, diff)
		}
	}
	if diff := cmp.Diff([]string{"documents.pdf", "audit-trail.pdf"}, names); diff != "" {
		w.t.Error(diff)
	}
	for _, d := range w.sent {
		if d.Via == "archived" && string(d.Payload) != string(found["archived"].Payload) {
			w.t.Errorf("two versions of one event: %s and %s", d.Payload, found["archived"].Payload)
		}
	}
	if len(w.jobs)+len(w.parked)+len(w.dead) > 0 {
		w.t.Errorf("left %d, parked %v, dead %v", len(w.jobs), w.parked, w.dead)
	}
}

// kindOf returns the kind of a document that has this name at every vendor.
func kindOf(name string) esign.DocumentKind {
	switch name {
	case "audit-trail.pdf":
		return esign.KindAuditTrail
	case "form-data.json":
		return esign.KindFormData
	}
	return esign.KindDocument
}

func index(sent []webhook.Delivery, kind string) int {
	return slices.IndexFunc(sent, func(d webhook.Delivery) bool { return d.Via == kind })
}

func TestACompletedAgreementIsConfirmedAndArchived(t *testing.T) {
	w := newWorld(t)
	w.archive()
	w.check()
	var manifest map[string]any
	text, err := os.ReadFile(filepath.Join(w.dir, "acmesign", agreementID, "manifest.json"))
	if err != nil || json.Unmarshal(text, &manifest) != nil {
		t.Fatal(err)
	}
	if documents, ok := manifest["documents"].([]any); !ok || len(documents) != 2 {
		t.Errorf("%s", text)
	}
	delete(manifest, "documents")
	want := map[string]any{
		"v": 1.0, "provider": "acmesign", "agreementId": agreementID, "vendorStatus": "completed",
		"completedAt": "2026-11-02T09:29:00Z",
		"archivedAt":  "2026-11-02T09:30:00Z",
	}
	if diff := cmp.Diff(want, manifest); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]float64{"Confirmed acmesign": 1, "Archived acmesign": 1}, w.counted()); diff != "" {
		t.Error(diff)
	}
	described, err := filepath.Glob(filepath.Join(w.dir, "acmesign", agreementID, ".documents.pdf.*.json"))
	if err != nil || len(described) != 1 {
		t.Fatalf("%q, %v", described, err)
	}
	sidecar, err := os.ReadFile(described[0])
	const metadata = `{"contentType":"application/pdf","metadata":{"completed-at":"2026-11-02T09:29:00Z","provider":"acmesign","vendor-status":"completed"}}`
	if err != nil || string(sidecar) != metadata {
		t.Errorf("%s, %v", sidecar, err)
	}
}

func TestASecondEventStoresNothingAndCallsNoVendor(t *testing.T) {
	w := newWorld(t)
	for i := range 3 {
		w.now = start.Add(time.Duration(i) * time.Hour)
		w.archive()
	}
	w.check()
	if w.vendor.downloads != 1 || len(w.vendor.asked) != 1 || len(w.sent) != 4 {
		t.Errorf("%d downloads, asked at %v, %d findings", w.vendor.downloads, w.vendor.asked, len(w.sent))
	}
	if diff := cmp.Diff(map[string]float64{"Confirmed acmesign": 1, "Archived acmesign": 1}, w.counted()); diff != "" {
		t.Error(diff)
	}
}

// Each step may fail before or after it takes effect, and the process may crash there.
func TestAFailureAtAnyStepStillArchivesOnce(t *testing.T) {
	errFault := errors.New("on purpose")
	for name, fail := range map[string]func(do func() error) error{
		"it fails":                      func(func() error) error { return errFault },
		"it takes effect and fails":     func(do func() error) error { do(); return errFault },
		"the process crashes before it": func(func() error) error { panic(errCrash) },
		"the process crashes after it":  func(do func() error) error { do(); panic(errCrash) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, times := range []int{1, 2, 5} { // how many steps one after the other
				n := 1
				for ; ; n++ {
					w := newWorld(t)
					w.fault = func(step int, do func() error) error {
						if step >= n && step < n+times {
							return fail(do)
						}
						return do()
					}
					w.archive()
					w.check()
					if t.Failed() {
						t.Fatalf("%d failures from step %d: %v", times, n, w.steps)
					}
					if len(w.steps) < n {
						break // it finished before that step
					}
				}
				if n < 13 {
					t.Errorf("only %d steps", n)
				}
			}
		})
	}
}

// A forged completion is parked, whatever fails on the way.
func TestAFailureAtAnyStepStillReportsAForgery(t *testing.T) {
	for n := 1; n <= 3; n++ { // manifest, status, park
		for name, fail := range map[string]func(do func() error) error{
			"it fails":                  func(func() error) error { return errors.New("on purpose") },
			"it takes effect and fails": func(do func() error) error { do(); return errors.New("on purpose") },
		} {
			w := newWorld(t)
			w.vendor.status.Status = esign.Declined
			w.fault = func(step int, do func() error) error {
				if step == n {
					return fail(do)
				}
				return do()
			}
			w.archive()
			if len(w.parked) == 0 || len(w.dead)+len(w.sent) > 0 || w.counted()["Forged acmesign"] != 1 {
				t.Errorf("%s at step %d: parked %d, dead %d, %v", name, n, len(w.parked), len(w.dead), w.counted())
			}
		}
	}
}

func TestAStoredDocumentIsNotDownloadedAgain(t *testing.T) {
	w := newWorld(t)
	opened, failed := map[string]int{}, false
	var all []vendorapi.Document
	for _, name := range []string{"documents.pdf", "audit-trail.pdf"} {
		all = append(all, vendorapi.Document{Kind: kindOf(name), Name: name, PDF: true,
			Open: func(context.Context) (vendorapi.Content, error) {
				if opened[name]++; name == "audit-trail.pdf" && !failed {
					failed = true
					return vendorapi.Content{}, vendorapi.ErrNotReady
				}
				return content(pdf(name), ""), nil
			}})
	}
	w.vendor.files = func() ([]vendorapi.Document, error) { return all, nil }
	w.archive()
	w.check()
	if diff := cmp.Diff(map[string]int{"documents.pdf": 1, "audit-trail.pdf": 2}, opened); diff != "" {
		t.Error(diff)
	}
}

func TestConcurrentArchiversAgree(t *testing.T) {
	for range 20 {
		w := newWorld(t)
		var both, group sync.WaitGroup
		both.Add(2)
		open := w.open
		w.open = func(ctx context.Context, provider string) (vendorapi.Client, error) {
			both.Done()
			both.Wait()
			return open(ctx, provider)
		}
		m := &message{body: archive.Job(completed("acmesign", agreementID)), receives: 1}
		for i := range 2 {
			a := w.archiver()
			a.Now = func() time.Time { return start.Add(time.Duration(i) * time.Second) }
			group.Go(func() {
				response, err := a.Handle(t.Context(), events.SQSEvent{Records: []events.SQSMessage{record(m, "")}})
				if err != nil || len(response.BatchItemFailures) > 0 {
					t.Errorf("%+v, %v", response, err)
				}
			})
		}
		group.Wait()
		w.check()
	}
}

func minutes(delays []time.Duration) (all []int) {
	for _, d := range delays {
		all = append(all, int(d.Minutes()))
	}
	return all
}

func TestRetriesBackOffWhileDocumentsAreNotReady(t *testing.T) {
	for name, tt := range map[string]struct {
		pause time.Duration
		want  []int
	}{
		"a vendor without a pause": {0, []int{1, 2, 4, 8, 16, 32, 64, 120, 120, 120}},
		"a vendor with a pause":    {15 * time.Minute, []int{15, 15, 15, 15, 16, 32, 64, 120, 120, 120}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.pause = tt.pause
			files := 0
			w.vendor.files = func() ([]vendorapi.Document, error) {
				if files++; files <= 10 {
					return nil, vendorapi.ErrNotReady
				}
				w.vendor.files = nil
				return w.vendor.Documents(t.Context(), "")
			}
			w.archive()
			w.check()
			if diff := cmp.Diff(tt.want, minutes(w.delays)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheQueueGivesUpDocumentsThatAreNeverReady(t *testing.T) {
	w := newWorld(t)
	w.vendor.files = func() ([]vendorapi.Document, error) { return nil, vendorapi.ErrNotReady }
	w.archive()
	if len(w.dead) != 1 || len(w.parked) > 0 || len(w.found()) != 1 || w.now.Sub(start) < 40*time.Hour {
		t.Errorf("dead %d, parked %d after %s", len(w.dead), len(w.parked), w.now.Sub(start))
	}
}

// The outcome depends on the status that the vendor reports.
func TestAForgedCompletionIsReported(t *testing.T) {
	for name, tt := range map[string]struct {
		status esign.Status
		err    error
		after  time.Duration // when it is found out
		asked  int
	}{
		"the vendor says sent":                 {esign.Sent, nil, 63 * time.Minute, 7},
		"the vendor says nothing that we know": {"", nil, 63 * time.Minute, 7},
		"the vendor does not know it":          {"", vendorapi.ErrUnknown, 63 * time.Minute, 7},
		"the vendor says declined":             {esign.Declined, nil, 0, 1},
		"the vendor says cancelled":            {esign.Cancelled, nil, 0, 1},
		"the vendor says expired":              {esign.Expired, nil, 0, 1},
		"the vendor says failed":               {esign.Failed, nil, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.status = vendorapi.Agreement{Status: tt.status, VendorStatus: "whatever"}
			w.vendor.statusErr = func() error { return tt.err }
			body := archive.Job(completed("acmesign", agreementID))
			w.add(body)
			w.run(w.archiver())
			if diff := cmp.Diff([]string{body}, w.parked); diff != "" || len(w.sent) > 0 || len(w.dead) > 0 {
				t.Errorf("sent %v, dead %v, parked %s", w.sent, w.dead, diff)
			}
			if diff := cmp.Diff(map[string]float64{"Forged acmesign": 1, "Parked acmesign": 1}, w.counted()); diff != "" {
				t.Error(diff)
			}
			if took := w.now.Sub(start); took != tt.after || len(w.vendor.asked) != tt.asked {
				t.Errorf("asked %d times in %s", len(w.vendor.asked), took)
			}
			if !strings.Contains(w.log.String(), `"msg":"forged"`) {
				t.Errorf("logged %s", &w.log)
			}
			if left, err := os.ReadDir(w.dir); err != nil || len(left) > 0 {
				t.Errorf("stored %v, %v", left, err)
			}
		})
	}
}

// The queue also counts receives that no archiver has seen, as when a function is throttled.
func TestACompletionIsNotForgedWithinTheFirstHour(t *testing.T) {
	w := newWorld(t)
	w.vendor.status.Status = esign.Sent
	w.add(archive.Job(completed("acmesign", agreementID)))
	w.jobs[0].receives = 20
	w.vendor.statusErr = func() error {
		if w.now.Sub(start) > 50*time.Minute {
			w.vendor.status.Status = esign.Completed
		}
		return nil
	}
	w.run(w.archiver())
	w.check()
}

func TestACompletionThatTheVendorReportsLateIsArchived(t *testing.T) {
	w := newWorld(t)
	w.vendor.status.Status = esign.Signed
	w.vendor.statusErr = func() error {
		if len(w.vendor.asked) == 6 {
			w.vendor.status.Status = esign.Completed
		} else if len(w.vendor.asked) > 6 {
			t.Error("asked once more")
		}
		return nil
	}
	w.archive()
	w.check()
}

// The outcome of a job for each kind of error, wherever it occurs.
func TestEachErrorHasItsOutcome(t *testing.T) {
	type outcome struct {
		Parked, Dead bool
		Attempts     int
		Level        string // of the log of the last attempt
	}
	const doubted = 7
	late := func(err error) error { return fmt.Errorf("acmesign: %w", err) }
	for name, tt := range map[string]struct {
		err             error
		status, opening outcome // if the status is refused, or the download
	}{
		"not ready": {late(vendorapi.ErrNotReady), outcome{Dead: true, Attempts: maxReceives, Level: "INFO"},
			outcome{Dead: true, Attempts: maxReceives, Level: "INFO"}},
		"the limit": {&vendorapi.LaterError{After: time.Hour},
			outcome{Dead: true, Attempts: maxReceives, Level: "INFO"},
			outcome{Dead: true, Attempts: maxReceives, Level: "INFO"}},
		"denied": {late(vendorapi.ErrDenied), outcome{Dead: true, Attempts: maxReceives, Level: "ERROR"},
			outcome{Dead: true, Attempts: maxReceives, Level: "ERROR"}},
		"a failure": {errors.New("the network"), outcome{Dead: true, Attempts: maxReceives, Level: "ERROR"},
			outcome{Dead: true, Attempts: maxReceives, Level: "ERROR"}},
		"unknown": {late(vendorapi.ErrUnknown), outcome{Parked: true, Attempts: doubted, Level: "ERROR"},
			outcome{Parked: true, Attempts: doubted, Level: "ERROR"}},
		"refused for good": {late(vendorapi.ErrInvalid), outcome{Parked: true, Attempts: 1, Level: "ERROR"},
			outcome{Parked: true, Attempts: 1, Level: "ERROR"}},
		"not supported": {late(errors.ErrUnsupported), outcome{Parked: true, Attempts: 1, Level: "ERROR"},
			outcome{Parked: true, Attempts: 1, Level: "ERROR"}},
	} {
		for where, want := range map[string]outcome{"status": tt.status, "opening": tt.opening} {
			t.Run(name+" at the "+where, func(t *testing.T) {
				w := newWorld(t)
				attempts := 0
				refuse := func() error { attempts++; return tt.err }
				if where == "status" {
					w.vendor.statusErr = refuse
				} else {
					w.vendor.files = of(vendorapi.Document{Name: "documents.pdf",
						Open: func(context.Context) (vendorapi.Content, error) {
							return vendorapi.Content{}, refuse()
						}})
				}
				w.archive()
				lines := strings.Split(strings.TrimSpace(w.log.String()), "\n")
				var last struct{ Level string }
				if err := json.Unmarshal([]byte(lines[len(lines)-1]), &last); err != nil {
					t.Fatal(err)
				}
				got := outcome{len(w.parked) == 1, len(w.dead) == 1, attempts, last.Level}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
				if forged := w.counted()["Forged acmesign"] > 0; forged != (name == "unknown" && where == "status") {
					t.Errorf("forged: %v", forged)
				}
			})
		}
	}
}

// An agreement is archived after one temporary error.
func TestATemporaryErrorIsRetried(t *testing.T) {
	for _, err := range []error{
		vendorapi.ErrNotReady, &vendorapi.LaterError{After: 20 * time.Hour}, vendorapi.ErrDenied, vendorapi.ErrUnknown,
		errors.New("the network"), context.DeadlineExceeded,
	} {
		w := newWorld(t)
		w.vendor.statusErr = func() error { w.vendor.statusErr = nil; return err }
		w.archive()
		w.check()
		if len(w.delays) == 0 || slices.Max(w.delays) > 12*time.Hour { // SQS refuses more
			t.Errorf("%v: put off by %v", err, w.delays)
		}
	}
}

// A vendor whose rate limit is exhausted is not called for any agreement until the limit is reset. Others are.
func TestNoCallIsMadeWhileTheRateLimitIsExhausted(t *testing.T) {
	w := newWorld(t)
	w.vendor.statusErr = func() error { w.vendor.statusErr = nil; return &vendorapi.LaterError{After: 90 * time.Minute} }
	a := w.archiver()
	for i := range 5 {
		w.add(archive.Job(completed("acmesign", fmt.Sprint("e", i))))
	}
	w.add(archive.Job(completed("other", "a1")))
	w.run(a)
	if len(w.parked)+len(w.dead) > 0 || len(w.vendor.asked) != 7 {
		t.Fatalf("parked %d, dead %d, asked %d times", len(w.parked), len(w.dead), len(w.vendor.asked))
	}
	soon := 0
	for _, at := range w.vendor.asked {
		if at.Before(start.Add(90 * time.Minute)) {
			soon++
		}
	}
	if soon != 2 { // the one that was refused, and the other vendor's
		t.Errorf("asked at %v", w.vendor.asked)
	}
}

func TestIncompleteDocumentsAreDownloadedAgain(t *testing.T) {
	const contentType = "application/pdf"
	broken := func(text string) vendorapi.Content {
		c := content("", contentType)
		c.ReadCloser = io.NopCloser(io.MultiReader(strings.NewReader(text), failing{}))
		c.Size = int64(2 * len(text))
		return c
	}
	for name, tt := range map[string]struct {
		content func() vendorapi.Content
		parked  bool // for good after an hour; else the queue gives up in the end
	}{
		"a web page instead of a PDF": {func() vendorapi.Content { return content("<html>busy</html>", contentType) },
			true},
		"a PDF that ends too early": {func() vendorapi.Content { return content("%PDF-1.7\ncontract", contentType) },
			true},
		"an end marker too far from the end": {func() vendorapi.Content {
			return content(pdf("")+strings.Repeat(" ", 1024), contentType)
		}, true},
		"a header too far from the start": {func() vendorapi.Content {
			return content(strings.Repeat(" ", 1024)+pdf(""), contentType)
		}, true},
		"an empty file": {func() vendorapi.Content { return content("", "text/csv") }, true},
		"nothing":       {func() vendorapi.Content { return content("", contentType) }, true},
		"less than was announced": {func() vendorapi.Content {
			c := content(pdf(""), contentType)
			c.Size++
			return c
		}, true},
		"more than was announced": {func() vendorapi.Content {
			c := content(pdf(""), contentType)
			c.Size--
			return c
		}, true},
		"a download that breaks off":         {func() vendorapi.Content { return broken(pdf("")) }, false},
		"a download that breaks off at once": {func() vendorapi.Content { return broken("") }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			bad, opened, closed := true, 0, 0
			w.vendor.files = of(vendorapi.Document{Name: "documents.pdf", PDF: name != "an empty file",
				Open: func(context.Context) (vendorapi.Content, error) {
					c := content(pdf("contract"), contentType)
					if bad {
						c = tt.content()
					}
					opened++
					c.ReadCloser = closing{c.ReadCloser, &closed}
					return c, nil
				}})
			w.archive()
			if (len(w.parked) == 1) != tt.parked || (len(w.dead) == 1) == tt.parked {
				t.Errorf("parked %d, dead %d", len(w.parked), len(w.dead))
			}
			key := document.Key("acmesign", agreementID, "documents.pdf")
			if stored, err := w.store.Stat(t.Context(), key); !errors.Is(err, document.ErrNotFound) {
				t.Errorf("stored %+v, %v", stored, err)
			}
			bad = false // mended at the vendor, redriven by us
			w.add(append(w.parked, w.dead...)[0])
			w.run(w.archiver())
			if got, err := w.store.Get(t.Context(), key); err != nil || string(got) != pdf("contract") {
				t.Errorf("%q, %v", got, err)
			}
			if opened < 2 || closed != opened {
				t.Errorf("%d downloads, %d closed", opened, closed)
			}
		})
	}
}

// closing counts the calls of Close.
type closing struct {
	io.Reader
	closed *int
}

func (c closing) Close() error { *c.closed++; return nil }

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestAPDFMayBeSurroundedByOtherBytes(t *testing.T) {
	for name, body := range map[string]string{
		"a head after 1,000 bytes":          strings.Repeat(" ", 1000) + pdf(""),
		"1,000 bytes after the end":         pdf("") + strings.Repeat("\x00", 1000),
		"an end within, as in a signed one": pdf("") + pdf(""),
		"a large one":                       pdf(strings.Repeat("x", 3<<20)),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.files = of(vendorapi.Document{Name: "documents.pdf", PDF: true,
				Open: func(context.Context) (vendorapi.Content, error) {
					c := content(body, "")
					c.Size = -1
					return c, nil
				}})
			w.archive()
			if got, err := w.store.Get(t.Context(), document.Key("acmesign", agreementID, "documents.pdf")); err != nil ||
				string(got) != body {
				t.Errorf("%d bytes, %v", len(got), err)
			}
		})
	}
}

func TestContentTypes(t *testing.T) {
	for name, tt := range map[string]struct {
		pdf        bool
		said, want string
	}{
		"a PDF that the vendor calls so":        {true, "application/pdf", "application/pdf"},
		"a PDF that the vendor calls otherwise": {true, "text/html; charset=utf-8", "application/pdf"},
		"another file":                          {false, "application/zip", "application/zip"},
		"parameters are left out":               {false, `Text/CSV; charset=utf-8; name="somebody.csv"`, "text/csv"},
		"no type":                               {false, "", "application/octet-stream"},
		"no type that one can read":             {false, "a b\nc", "application/octet-stream"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.vendor.files = of(vendorapi.Document{Name: "file", PDF: tt.pdf,
				Open: func(context.Context) (vendorapi.Content, error) {
					return content(pdf(""), tt.said), nil
				}})
			w.archive()
			documents := w.detail(w.found()["archived"]).Documents
			if len(documents) != 1 || documents[0].ContentType != tt.want {
				t.Errorf("%+v", documents)
			}
		})
	}
}

// endless is content without an end.
type endless struct{ read int64 }

func (e *endless) Read(b []byte) (int, error) {
	e.read += int64(len(b))
	return len(b), nil
}

func TestATooLargeDocumentIsParkedAtOnce(t *testing.T) {
	const limit = 400 << 20
	for name, size := range map[string]int64{"said before": limit + 1, "not said": -1} {
		t.Run(name, func(t *testing.T) {
			w, file := newWorld(t), &endless{}
			w.vendor.files = of(vendorapi.Document{Name: "documents.pdf", PDF: true,
				Open: func(context.Context) (vendorapi.Content, error) {
					return vendorapi.Content{ReadCloser: io.NopCloser(file), Size: size}, nil
				}})
			w.archive()
			if len(w.parked) != 1 || len(w.vendor.asked) != 1 || file.read > limit+1<<20 || (size > limit) != (file.read == 0) {
				t.Errorf("parked %d, asked %d times, read %d", len(w.parked), len(w.vendor.asked), file.read)
			}
		})
	}
}

func TestAPermanentProblemIsParkedAtOnce(t *testing.T) {
	document := func(name string) vendorapi.Document {
		return vendorapi.Document{Name: name,
			Open: func(context.Context) (vendorapi.Content, error) { return content("x", ""), nil }}
	}
	for name, tt := range map[string]struct {
		body     string
		files    []vendorapi.Document
		manifest string
		metric   string
	}{
		"no JSON":                            {"canary", nil, "", "Parked "},
		"no detail":                          {"{}", nil, "", "Parked "},
		"an event of no agreement":           {archive.Job(completed("acmesign", "")), nil, "", "Parked "},
		"an event of no provider":            {archive.Job(completed("", "e1")), nil, "", "Parked "},
		"two documents of one name":          {"", []vendorapi.Document{document("a"), document("a")}, "", "Parked acmesign"},
		"a document named like the manifest": {"", []vendorapi.Document{document("manifest.json")}, "", "Parked acmesign"},
		"an invalid manifest": {"", nil,
			`{"provider":"acmesign","agreementId":"` + agreementID + `","documents":[{"name":"a"}],"archivedAt":1}`,
			"Parked acmesign"},
		"an empty manifest": {"", nil, `{"provider":"acmesign","agreementId":"` + agreementID + `"}`, "Parked acmesign"},
		"another agreement's manifest": {"", nil,
			`{"provider":"acmesign","agreementId":"other","documents":[{"name":"a"}]}`, "Parked acmesign"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if tt.body == "" {
				tt.body = archive.Job(completed("acmesign", agreementID))
			}
			w.vendor.files = func() ([]vendorapi.Document, error) { return tt.files, nil }
			if tt.manifest != "" {
				if err := os.MkdirAll(filepath.Join(w.dir, "acmesign", agreementID), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(w.dir, "acmesign", agreementID, "manifest.json"), []byte(tt.manifest),
					0o600); err != nil {
					t.Fatal(err)
				}
			}
			w.add(tt.body)
			w.run(w.archiver())
			if diff := cmp.Diff([]string{tt.body}, w.parked); diff != "" || len(w.delays) > 0 || w.counted()[tt.metric] != 1 ||
				index(w.sent, "archived") >= 0 {
				t.Errorf("parked %s, put off %v, %v, sent %v", diff, w.delays, w.counted(), w.sent)
			}
			if strings.Contains(w.log.String(), "canary") {
				t.Errorf("logged %s", &w.log)
			}
		})
	}
}

func TestAManifestOfANewerReleaseIsReadAgainLater(t *testing.T) {
	w := newWorld(t)
	w.archive()
	file := filepath.Join(w.dir, "acmesign", agreementID, "manifest.json")
	manifest, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	newer := bytes.Replace(manifest, []byte(`"v": 1`), []byte(`"v": 2`), 1)
	if err := os.WriteFile(file, newer, 0o600); err != nil {
		t.Fatal(err)
	}
	archived := len(w.sent)
	w.archive()
	if len(w.delays) == 0 || len(w.sent) > archived || !strings.Contains(w.log.String(), "deploy that release") {
		t.Errorf("delays %v, sent %v: %s", w.delays, w.sent[archived:], &w.log)
	}
	if after, err := os.ReadFile(file); err != nil || !bytes.Equal(after, newer) {
		t.Errorf("the manifest became %s, %v", after, err)
	}
}

func TestAnAgreementWithoutDocumentsIsNotArchived(t *testing.T) {
	w := newWorld(t)
	w.vendor.files = func() ([]vendorapi.Document, error) { return nil, nil }
	w.archive()
	if len(w.parked) != 1 || index(w.sent, "archived") >= 0 || len(w.vendor.asked) != 7 {
		t.Errorf("parked %d, sent %v, asked %d times", len(w.parked), w.sent, len(w.vendor.asked))
	}
}

func TestWithoutCredentialsNothingHappens(t *testing.T) {
	w := newWorld(t)
	w.open = func(context.Context, string) (vendorapi.Client, error) {
		return nil, fmt.Errorf("acmesign: %w", vendorapi.ErrOff)
	}
	w.archive()
	if len(w.steps)+len(w.log.String()+w.out.String()) > 0 {
		t.Errorf("steps %v, logged %s, counted %s", w.steps, &w.log, &w.out)
	}
}

func TestWrongCredentialsKeepTheJobs(t *testing.T) {
	w := newWorld(t)
	open, tries := w.open, 0
	w.open = func(ctx context.Context, provider string) (vendorapi.Client, error) {
		if tries++; tries < 9 {
			return nil, errors.New("api.key is missing")
		}
		return open(ctx, provider)
	}
	w.archive()
	w.check()
	if !strings.Contains(w.log.String(), `"level":"ERROR"`) {
		t.Errorf("logged %s", &w.log)
	}
}

// The failure of one job does not affect the others.
func TestABatchReportsDelayedJobs(t *testing.T) {
	w := newWorld(t)
	w.vendor.statusErr = func() error { w.vendor.statusErr = nil; return vendorapi.ErrNotReady }
	var batch events.SQSEvent
	for i := range 3 {
		r := record(&message{body: archive.Job(completed("acmesign", fmt.Sprint("e", i))), receives: 1}, "")
		r.MessageId = fmt.Sprint("id", i)
		batch.Records = append(batch.Records, r)
	}
	response, err := w.archiver().Handle(t.Context(), batch)
	want := events.SQSEventResponse{BatchItemFailures: []events.SQSBatchItemFailure{{ItemIdentifier: "id0"}}}
	if diff := cmp.Diff(want, response); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	response, err = w.archiver().Handle(t.Context(), events.SQSEvent{})
	if text, _ := json.Marshal(response); err != nil || string(text) != `{"batchItemFailures":[]}` {
		t.Errorf("%s, %v", text, err)
	}
}

// A call that hangs is cut off while there is time to delay the job.
func TestAnInvocationEndsBeforeItsTimeout(t *testing.T) {
	w := newWorld(t)
	w.vendor.files = of(vendorapi.Document{Name: "documents.pdf",
		Open: func(ctx context.Context) (vendorapi.Content, error) {
			<-ctx.Done()
			return vendorapi.Content{}, ctx.Err()
		}})
	w.add(archive.Job(completed("acmesign", agreementID)))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second+100*time.Millisecond)
	defer cancel()
	m := w.jobs[0]
	m.receives = 1
	response, err := w.archiver().Handle(ctx,
		events.SQSEvent{Records: []events.SQSMessage{record(m, fmt.Sprintf("receipt %p", m))}})
	if err != nil || ctx.Err() != nil || len(response.BatchItemFailures) != 1 || len(w.delays) != 1 {
		t.Errorf("%+v, %v, %v, put off %v", response, err, ctx.Err(), w.delays)
	}
}

// No file remains where the documents are downloaded to.
func TestNoTemporaryFileRemains(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	w := newWorld(t)
	seen := 0
	w.fault = func(n int, do func() error) error {
		if w.steps[n-1] == "put" && n%2 == 0 {
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 { // not even now
				t.Errorf("%v, %v", left, err)
			}
			seen++
		}
		return do()
	}
	w.archive()
	w.check()
	if seen == 0 {
		t.Error("no document was seen on its way")
	}
	t.Setenv("TMPDIR", filepath.Join(dir, "none")) // where the files would have to be
	w = newWorld(t)
	w.archive()
	if len(w.dead) != 1 || index(w.sent, "archived") >= 0 {
		t.Errorf("dead %d, sent %v", len(w.dead), w.sent)
	}
}

// IDs that look like paths stay inside the folder, and are reported unchanged.
func TestUnusualAgreementIDs(t *testing.T) {
	for _, id := range []string{"..", "../../x", "ä", "a b", strings.Repeat("x", 300)} {
		w := newWorld(t)
		w.add(archive.Job(completed("acmesign", id)))
		w.run(w.archiver())
		for _, d := range w.detail(w.found()["archived"]).Documents {
			if inside, err := filepath.Rel(filepath.Join(w.dir, "acmesign"), d.Location); err != nil ||
				!filepath.IsLocal(inside) {
				t.Errorf("%q: %s", id, d.Location)
			}
		}
		if d := w.found()["archived"]; d.Subject != webhook.AgreementSubject("acmesign", id) {
			t.Errorf("%q: %+v", id, d)
		}
	}
}

func TestLogsHoldNoPersonalData(t *testing.T) {
	const canary = "Ada Example ada@example.com"
	for _, err := range []error{nil, vendorapi.ErrNotReady, vendorapi.ErrInvalid} {
		w := newWorld(t)
		w.vendor.status.VendorStatus = "completed"
		w.vendor.files = of(vendorapi.Document{Name: "documents.pdf", Open: func(context.Context) (vendorapi.Content, error) {
			return content(canary, `text/plain; name="`+canary+`"`), err
		}})
		event := completed("acmesign", agreementID)
		event.Detail.Event.Attributes = map[string]string{"note": canary}
		w.add(archive.Job(event))
		w.run(w.archiver())
		w.add("{\"detail\":\"" + canary)
		w.run(w.archiver())
		for what, text := range map[string]string{"log": w.log.String(), "metrics": w.out.String(),
			"findings": fmt.Sprintf("%s", w.sent)} {
			if text == "" || strings.Contains(text, "Ada") || strings.Contains(text, "example.com") {
				if what == "findings" && text == "[]" {
					continue
				}
				t.Errorf("%s: %s", what, text)
			}
		}
	}
}

func TestAJobIsWhatEventBridgeDelivers(t *testing.T) {
	e := completed("acmesign", agreementID)
	var got events.EventBridgeEvent
	if err := json.Unmarshal([]byte(archive.Job(e)), &got); err != nil {
		t.Fatal(err)
	}
	detail, err := json.Marshal(e.Detail)
	if err != nil {
		t.Fatal(err)
	}
	want := events.EventBridgeEvent{
		Version: "0", DetailType: "agreement.completed", Source: "esign.acmesign", Time: start, Resources: []string{},
		Detail: detail,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNothingIsArchivedOfAForgottenAgreement lets an operator forget an agreement before its job is received, and while
// its documents are fetched.
func TestNothingIsArchivedOfAForgottenAgreement(t *testing.T) {
	for name, tt := range map[string]struct {
		looks, documents int
		confirmed        bool
	}{
		"before":                    {0, 0, false},
		"before the first document": {1, 0, true},
		"between the two documents": {2, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			w, looked := newWorld(t), 0
			w.forgotten = func() bool { looked++; return looked > tt.looks }
			w.archive()
			documents, err := filepath.Glob(filepath.Join(w.dir, "acmesign", agreementID, "*.pdf"))
			if err != nil || len(documents) != tt.documents || (index(w.sent, "confirmed") >= 0) != tt.confirmed ||
				index(w.sent, "archived") >= 0 || len(w.jobs)+len(w.parked)+len(w.dead) > 0 {
				t.Errorf("%q, %v; sent %+v", documents, err, w.sent)
			}
			log := w.log.String()
			if !strings.Contains(log, "dropped: the agreement is forgotten") ||
				strings.Contains(log[strings.Index(log, "dropped"):], agreementID) {
				t.Errorf("log: %s", log)
			}
		})
	}
}
