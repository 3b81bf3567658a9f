package localhost

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample/play"
	"esignhooks/shared/sample/story"
	"esignhooks/shared/webhook"
)

// playing runs a gateway with all vendors and their development keys, and with more of the environment.
func playing(t *testing.T, environment map[string]string) *Gateway {
	t.Helper()
	config, err := ReadConfig(provider.All(), func(name string) (string, bool) {
		value, ok := environment[name]
		return value, ok
	})
	if err != nil {
		t.Fatal(err)
	}
	config.Data = t.TempDir()
	g, err := Open(config, provider.All(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- g.Serve(ctx, &silent{closed: make(chan struct{})}) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return g
}

// TestEveryStoryEndsInItsTruth plays stories to a gateway, with one of the faults, all at once or none: a few of them, or
// slowly every story of every vendor with each fault.
func TestEveryStoryEndsInItsTruth(t *testing.T) {
	g := playing(t, nil)
	faults := [][]play.Fault{{}, {play.Duplicate, play.Reorder, play.Late, play.LostAck, play.RotatedKey}}
	for _, f := range play.Faults {
		faults = append(faults, []play.Fault{f.Fault})
	}
	var group sync.WaitGroup
	plays := make(chan Simulation)
	for range 16 {
		group.Go(func() {
			for s := range plays {
				s.Speed, s.Patience = 1e9, time.Minute // the machine may be busy
				name := fmt.Sprintf("%s %s %v %d", s.Provider, s.Story, s.Faults, s.Seed)
				report, err := g.Play(t.Context(), s)
				if err != nil {
					t.Errorf("%s: %v", name, err)
				} else if givesUp := len(s.Faults) == 1 && s.Faults[0] == play.WrongKey; report.Verdict != play.Right ||
					(report.GivenUp > 0) != givesUp || (report.Acknowledged > 0) == givesUp {
					t.Errorf("%s: %+v", name, report)
				}
			}
		})
	}
	turn := 0
	for seed := range uint64(slow.Cases(1, 3)) {
		for _, p := range provider.All() {
			book, err := story.Open(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range book.Stories {
				for range slow.Cases(1, len(faults)) {
					if turn++; turn%slow.Cases(3, 1) > 0 {
						continue
					}
					plays <- Simulation{Provider: p.Info().Name, Story: s.Name, Number: min(s.Number, 3), Seed: seed,
						Faults: faults[turn/slow.Cases(3, 1)%len(faults)]}
				}
			}
		}
	}
	close(plays)
	group.Wait()
}

func TestARotatedKeyThatBothKnow(t *testing.T) {
	for _, name := range []string{"adobesign", "boldsign", "docusign", "dropboxsign", "esignglobal"} {
		p, _ := webhook.Find(provider.All(), name)
		g := playing(t, map[string]string{p.Info().KeysVariable: "first-key-0123456789,second-key-0123456789"})
		report, err := g.Play(t.Context(), Simulation{Provider: p.Info().Name, Story: "void", Speed: 1e9,
			Patience: time.Minute, Faults: []play.Fault{play.RotatedKey}})
		if err != nil || report.Verdict != play.Right || report.False > 0 || report.Retried > 0 {
			t.Errorf("%s: %+v, %v", p.Info().Name, report, err)
		}
	}
}

func TestARefusalNamesItsCause(t *testing.T) {
	g, outcomes := playing(t, nil), ""
	report, err := g.Play(t.Context(), Simulation{Provider: "docusign", Story: "void", Speed: 1e9,
		Patience: 1, Keys: webhook.Secrets("another-key"), Progress: func(p play.Progress) { outcomes += p.Outcome }})
	if err != nil || report.Verdict != play.Wrong || !strings.HasPrefix(outcomes, "not acknowledged: development-key, next") {
		t.Errorf("%s, %+v, %v", outcomes, report, err)
	}
}

// TestTheVerdictIsWrong plays to a gateway that does not do its work.
func TestTheVerdictIsWrong(t *testing.T) {
	config, err := ReadConfig(provider.All(), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	config.Data = t.TempDir()
	g, err := Open(config, provider.All(), slog.New(slog.DiscardHandler)) // and nothing serves
	if err != nil {
		t.Fatal(err)
	}
	defer g.db.Close()
	p, err := Simulate(t.Context(), config, provider.All(), Simulation{Provider: "docusign", Story: "void", Speed: 1e9,
		Patience: 1})
	if err != nil {
		t.Fatal(err)
	}
	p.Client.Transport = inProcess{g}
	report, err := p.Run(t.Context())
	if err != nil || report.Verdict != play.Wrong || report.Acknowledged != report.Messages {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestMistakesInASimulation(t *testing.T) {
	config, err := ReadConfig(provider.All(), func(name string) (string, bool) { return "", name == "DOCUSIGN_HMAC_KEYS" })
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		s    Simulation
		want string
	}{
		"no provider": {Simulation{Story: "void"}, "adobesign, boldsign"},
		"no key":      {Simulation{Provider: "docusign", Story: "void"}, "$DOCUSIGN_HMAC_KEYS is empty"},
		"no story":    {Simulation{Provider: "boldsign"}, "two-signers"},
		"many for another machine": {Simulation{Provider: "boldsign", Story: "bulk", Number: 101,
			URL: "https://hooks.example.com/webhooks/boldsign/canary"}, "YES=1"},
		"no state": {Simulation{Provider: "boldsign", Story: "bulk", StateURL: "canary"}, "the URLs to compare with"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Simulate(t.Context(), config, provider.All(), tt.s)
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestWhatIsComparedWithTheTruth compares with the read API of any gateway on this machine.
func TestWhatIsComparedWithTheTruth(t *testing.T) {
	gateway := httptest.NewServer(playing(t, nil))
	defer gateway.Close()
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	defer application.Close()
	config, err := ReadConfig(provider.All(), func(string) (string, bool) { return "", false })
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]string{
		"": "http://127.0.0.1:3000",
		"http://localhost:3000/webhooks/boldsign":     "http://localhost:3000",
		gateway.URL + "/webhooks/boldsign":            gateway.URL,
		application.URL + "/webhooks/boldsign":        "",
		gateway.URL + "/hooks":                        "",
		"https://hooks.example.com/webhooks/boldsign": "",
	} {
		p, err := Simulate(t.Context(), config, provider.All(), Simulation{Provider: "boldsign", Story: "void", URL: url})
		if err != nil || p.API != want {
			t.Errorf("%s: %v, %v", url, p, err)
		}
	}
	if err := answers(t.Context(), gateway.URL); err != nil {
		t.Error(err)
	}
}
