package gateway

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/vendorstub"
	"esignhooks/shared/vendorapi/all"
)

// credentials returns the environment that connects a gateway with the stub.
func credentials(stub *vendorstub.Server) (env []string) {
	for _, p := range all.Providers() {
		name := p.Info().Name
		env = append(env, strings.ToUpper(name)+"_API="+string(stub.Credentials(name)))
	}
	return env
}

// complete sends the webhook that completes an agreement.
func (g *gateway) complete(provider, id string) {
	g.t.Helper()
	if out, err := g.operate("send", "-provider", provider, "-event", completion(providerOf(provider)), "-agreement",
		id); err != nil {
		g.t.Fatalf("%v: %s", err, out)
	}
}

type document struct {
	Name, Location, ContentType, SHA256 string
	Size                                int64
}

// documents returns an agreement's documents in the read API. An unknown agreement has none.
func (g *gateway) documents(provider, id string) []document {
	g.t.Helper()
	var a struct{ Documents []document }
	g.read("/api/agreements/"+provider+"/"+id, &a)
	return a.Documents
}

// archived waits for the documents of an agreement, and compares them with the files on disk.
func (g *gateway) archived(provider, id string) (found []document) {
	g.t.Helper()
	g.await("documents of "+provider+" "+id, func() bool {
		found = g.documents(provider, id)
		return len(found) > 0
	})
	for _, d := range found {
		content, err := os.ReadFile(d.Location)
		sum := sha256.Sum256(content)
		if err != nil || hex.EncodeToString(sum[:]) != d.SHA256 || int64(len(content)) != d.Size ||
			!bytes.HasPrefix(content, []byte("%PDF-")) || d.ContentType != "application/pdf" {
			g.t.Errorf("%+v: %d bytes, %x, %v", d, len(content), sum, err)
		}
		if want := filepath.Join(g.data, "documents", provider, id, d.Name); d.Location != want {
			g.t.Errorf("stored at %s, not at %s", d.Location, want)
		}
	}
	return found
}

// types counts the published events of an agreement by type.
func (g *gateway) types(id string) map[string]int {
	g.t.Helper()
	types := map[string]int{}
	for _, p := range g.published() {
		if p.Envelope.Detail.Event.AgreementID == id {
			types[p.Envelope.DetailType]++
		}
	}
	return types
}

func TestACompletedAgreementIsConfirmedAndArchived(t *testing.T) {
	t.Parallel()
	for _, p := range all.Providers() {
		provider := p.Info().Name
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			stub := vendorstub.New(t)
			g := start(t, credentials(stub)...)
			id := guid()
			stub.Set(provider, vendorstub.Agreement{ID: id, Status: "completed"})
			g.complete(provider, id)
			found := g.archived(provider, id)
			g.await("publication", func() bool { return g.types(id)["agreement.archived"] > 0 })
			want := map[string]int{"agreement.completed": 1, "agreement.confirmed": 1, "agreement.archived": 1}
			if got := g.types(id); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("published %v", got)
			}
			for _, e := range g.agreement(provider, id).Events {
				if proof := map[bool]string{true: "confirmed"}[e.Type != "agreement.completed"]; proof != "" && e.Proof != proof ||
					proof == "" && e.Proof == "confirmed" {
					t.Errorf("%s has proof %s", e.Type, e.Proof)
				}
			}
			shown := g.send(request{method: "GET", path: "/api/agreements/" + provider + "/" + id}).Body
			if !strings.Contains(shown, found[0].Location) {
				t.Error("the agreement does not name its documents")
			}
			if out, err := g.operate("archive", "-provider", provider, "-id", id); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			g.await("second job's end",
				func() bool { return strings.Count(g.log.String(), `"msg":"archived"`) == 2 })
			if got := g.documents(provider, id); fmt.Sprint(got) != fmt.Sprint(found) {
				t.Errorf("was %v, is %v", found, got)
			}
			if got := g.types(id); got["agreement.confirmed"] != 1 || got["agreement.archived"] != 1 {
				t.Errorf("published %v", got)
			}
			for _, secret := range credentials(stub) {
				_, secret, _ = strings.Cut(secret, "=")
				if strings.Contains(g.output.String(), secret) {
					t.Error("the output shows credentials")
				}
			}
		})
	}
}

// An application that receives the locations of documents may run in another folder.
func TestDocumentsAreFoundFromAnywhere(t *testing.T) {
	t.Parallel()
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	relative, err := filepath.Rel(here, data)
	if err != nil {
		t.Fatal(err)
	}
	stub := vendorstub.New(t)
	g := startIn(t, relative, credentials(stub)...)
	g.data = data
	id := guid()
	stub.Set(reference, vendorstub.Agreement{ID: id, Status: "completed"})
	g.complete(reference, id)
	g.archived(reference, id)
}

func TestAForgedCompletionIsNotArchivedUntilTheVendorSaysSo(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, credentials(stub)...)
	id := guid()
	stub.Set(reference, vendorstub.Agreement{ID: id, Status: "declined"})
	g.complete(reference, id)
	g.await("alarm", func() bool { return strings.Contains(g.log.String(), `"msg":"forged"`) })
	if got := g.documents(reference, id); len(got) > 0 {
		t.Errorf("archived %v", got)
	}
	if _, err := os.Stat(filepath.Join(g.data, "documents", reference, id)); !os.IsNotExist(err) {
		t.Errorf("something is stored: %v", err)
	}
	if got := g.types(id); got["agreement.completed"] != 1 || len(got) != 1 {
		t.Errorf("published %v", got)
	}
	stub.Set(reference, vendorstub.Agreement{ID: id, Status: "completed"})
	if out, err := g.operate("redrive"); err != nil || !strings.Contains(out, "documents: 1 moved") {
		t.Errorf("%v: %s", err, out)
	}
	g.archived(reference, id)
}

// TestACompletionOfAnotherAccount is asked about when there are credentials of that account.
func TestACompletionOfAnotherAccount(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, credentials(stub)...)
	id := guid()
	stub.Set(reference, vendorstub.Agreement{ID: id, Status: "completed", Other: true})
	r := message(id, "envelope-completed")
	r = r.must(t, strings.ReplaceAll(r.body, "3d9a1c52-7f04-4b6e-8a21-5c0b7e94d113", vendorstub.DocuSignOther))
	g.accept(r)
	g.await("the log", func() bool { return strings.Contains(g.log.String(), "not asked") })
	for command, want := range map[string]string{"registered": id, "redrive": "docusign: 1 wait for credentials"} {
		if out, err := g.operate(command); err != nil || !strings.Contains(out, want) {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
	if got := g.types(id); got["agreement.completed"] != 1 || len(got) != 1 ||
		strings.Contains(g.log.String(), `"msg":"forged"`) {
		t.Errorf("published %v", got)
	}
	g.stop(syscall.SIGKILL)
	var env []string
	for _, variable := range g.env {
		env = append(env, strings.ReplaceAll(variable, vendorstub.DocuSignAccount, vendorstub.DocuSignOther))
	}
	g = startIn(t, g.data, env...)
	if out, err := g.operate("redrive"); err != nil || !strings.Contains(out, "docusign: 1 completions") {
		t.Errorf("%v: %s", err, out)
	}
	g.archived(reference, id)
	if out, err := g.operate("registered"); err != nil || strings.Contains(out, id) {
		t.Errorf("%v: %s", err, out)
	}
}

func TestADocumentThatIsNotReadyIsFetchedAfterAKill(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, credentials(stub)...)
	id := guid()
	stub.Set("dropboxsign", vendorstub.Agreement{ID: id, Status: "completed", NotReady: 2})
	g.complete("dropboxsign", id)
	// a retry takes minutes, but a restart retries at once
	for _, attempt := range []string{`"attempt":1,`, `"attempt":2,`} {
		g.await(attempt, func() bool { return strings.Contains(g.log.String(), attempt) })
		g = g.kill()
	}
	g.archived("dropboxsign", id)
}

func TestEveryAcknowledgedCompletionIsArchivedAfterAKill(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, credentials(stub)...)
	var ids, acknowledged []string
	for range 40 {
		id := guid()
		stub.Set(reference, vendorstub.Agreement{ID: id, Status: "completed"})
		ids = append(ids, id)
	}
	var mu sync.Mutex
	var group sync.WaitGroup
	for some := range slices.Chunk(ids, 10) {
		group.Go(func() {
			for _, id := range some {
				if got, err := g.try(message(id, "envelope-completed")); err != nil || got.Status != http.StatusOK {
					return
				}
				mu.Lock()
				acknowledged = append(acknowledged, id)
				mu.Unlock()
			}
		})
	}
	g.await("acknowledgements", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(acknowledged) > 15
	})
	g.stop(syscall.SIGKILL)
	group.Wait()
	g = startIn(t, g.data, g.env...)
	for _, id := range acknowledged {
		g.archived(reference, id)
	}
}

func TestAnAgreementWithoutAWebhookIsFoundAndArchived(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	id := guid()
	stub.Set(reference, vendorstub.Agreement{ID: id, Status: "completed", ChangedAt: time.Now().Add(-time.Hour)})
	g := start(t, credentials(stub)...)
	g.archived(reference, id)
	if a := g.agreement(reference, id); a.Status != "completed" || a.Events[0].VendorType != "reconciled" {
		t.Errorf("%+v", a)
	}
}

func TestAnAgreementIsArchivedByHand(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, credentials(stub)...)
	id := guid()
	if out, err := g.operate("archive", "-provider", reference, "-id", id); err == nil ||
		!strings.Contains(out, "unknown to the vendor") {
		t.Errorf("%v: %s", err, out)
	}
	stub.Set(reference, vendorstub.Agreement{ID: id, Status: "completed"})
	if out, err := g.operate("archive", "-provider", reference, "-id", strings.ToUpper(id)); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	g.archived(reference, id)
}

func TestWithoutCredentialsEverythingThatNeedsThemIsOff(t *testing.T) {
	t.Parallel()
	g := start(t)
	id := guid()
	g.complete(reference, id)
	g.agreement(reference, id)
	if got := g.documents(reference, id); got != nil {
		t.Errorf("%v", got)
	}
	for _, p := range all.Providers() {
		if n := strings.Count(g.log.String(), strings.ToUpper(p.Info().Name)+"_API"); n != 1 {
			t.Errorf("the log says %d times that %s is off", n, p.Info().Name)
		}
	}
	if banner := g.banner.String(); strings.Count(banner, "; API off\n") != len(all.Providers()) {
		t.Errorf("the banner does not say so: %s", banner)
	}
	out, err := g.operate("archive", "-provider", reference, "-id", id)
	if err == nil || !strings.Contains(out, "DOCUSIGN_API") ||
		!strings.Contains(out, "a JSON object with integrationKey, userId, accountId, privateKey;") {
		t.Errorf("%v: %s", err, out)
	}
}

func TestRegisteringATunnel(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, append(credentials(stub), "DROPBOXSIGN_API_KEYS=key-of-the-account",
		"DROPBOXSIGN_URL_TOKENS=canary-old,canary-new")...)
	const tunnel = "https://tunnel.example/webhooks/dropboxsign"
	for _, tt := range []struct {
		order string
		want  string
		fails bool
	}{
		{"register -provider dropboxsign", "URL=https://tunnel.example", true},
		// the development key
		{"register -provider docusign -url https://tunnel.example/webhooks/docusign",
			"put one there first, on localhost into $DOCUSIGN_HMAC_KEYS", true},
		{"registered -provider dropboxsign -url " + tunnel, "no healthy subscription", true},
		{"register -provider dropboxsign -url " + tunnel, "APPLY=1", false},
		{"register -provider dropboxsign -apply -url " + tunnel, "read back", false},
		{"register -provider dropboxsign -apply -url " + tunnel, "nothing to do", false},
		{"registered -provider dropboxsign -url " + tunnel, "yes      yes", false},
		{"registered", "eSignGlobal", false},
	} {
		out, err := g.operate(strings.Fields(tt.order)...)
		if (err != nil) != tt.fails || !strings.Contains(out, tt.want) || strings.Contains(out, "canary") {
			t.Errorf("%s: %v\n%s", tt.order, err, out)
		}
	}
	if got := stub.Subscriptions("dropboxsign"); len(got) != 1 || got[0].URL != tunnel+"/canary-new" {
		t.Errorf("registered %+v", got)
	}
}

// TestConfirmNow asks about an agreement before its webhook arrives, as an application does, and then as an operator.
func TestConfirmNow(t *testing.T) {
	t.Parallel()
	stub := vendorstub.New(t)
	g := start(t, credentials(stub)...)
	type reply struct {
		Agreement struct{ ID, Status string }
		Entered   bool
		Recently  bool
		AskedAt   time.Time
		Error     struct{ Code, Message string }
	}
	ask := func(provider, id string) (r reply) {
		t.Helper()
		got := g.send(request{path: "/api/confirm", header: map[string]string{"Content-Type": "application/json"},
			body: fmt.Sprintf(`{"provider":%q,"agreementId":%q}`, provider, id)})
		err := json.Unmarshal([]byte(got.Body), &r)
		if status := map[bool]int{true: 200, false: 422}[r.Error.Code == ""]; err != nil || got.Status != status {
			t.Errorf("%+v, %v", got, err)
		}
		return r
	}
	for _, p := range all.Providers() {
		name, id, first := p.Info().Name, "", reply{}
		for range 20 { // on a busy machine, the stub may be too slow
			id = guid()
			stub.Set(name, vendorstub.Agreement{ID: id, Status: esign.Completed, CreatedAt: time.Now().Add(-time.Hour)})
			if first = ask(name, id); first.Error.Code != "too-slow" && first.Error.Code != "unavailable" {
				break
			}
		}
		if a := first.Agreement; a.Status != "completed" || a.ID != id || !first.Entered || first.Recently {
			t.Errorf("%s: %+v", name, first)
		}
		second := ask(name, id)
		if second.Agreement != first.Agreement || second.Entered || !second.Recently || !second.AskedAt.Equal(first.AskedAt) {
			t.Errorf("%s, a second time: %+v", name, second)
		}
		g.await("the finding's event", func() bool { return g.types(id)["agreement.completed"] == 1 })
		out, err := g.operate("confirm", "-provider", name, "-id", id)
		if err != nil || !strings.Contains(out, `"status": "completed"`) || !strings.Contains(out, `"recently": true`) {
			t.Errorf("%s: %s, %v", name, out, err)
		}
		if got := ask(name, guid()); got.Error.Code != "unknown-agreement" || got.Error.Message == "" {
			t.Errorf("%s, an unknown one: %+v", name, got)
		}
		g.complete(name, id) // the webhook arrives
		g.await("the webhook's event", func() bool { return len(g.agreement(name, id).Events) >= 2 })
		if got := g.agreement(name, id); got.Status != "completed" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := ask("boldsign", "x"); got.Error.Code != "not-asked" {
		t.Errorf("%+v", got)
	}
	out, err := g.operate("confirm", "-provider", "boldsign", "-id", "x")
	if err == nil || !strings.Contains(out, "not-asked") {
		t.Errorf("%s, %v", out, err)
	}
}
