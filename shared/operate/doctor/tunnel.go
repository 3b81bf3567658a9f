package doctor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/webhook"
)

// Local asks the tunnels' programs on this computer, and looks for a program in the path.
type Local struct {
	Get  func(ctx context.Context, url string) ([]byte, error)
	Find func(program string) (path string, err error)
}

// Get is [Local.Get] of this computer.
func Get(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return nil, errors.New(answer.Status)
	}
	return io.ReadAll(io.LimitReader(answer.Body, 1<<20))
}

// Tunnel finds the public URL of a tunnel to this port. It is empty if none runs.
//
// SPEC: https://ngrok.com/docs/agent/api/, read 2026-11-30: the agent lists its tunnels on 127.0.0.1:4040.
// SPEC: https://developers.cloudflare.com/cloudflare-one/networks/connectors/cloudflare-tunnel/monitor-tunnels/metrics/,
// read 2026-11-30: cloudflared serves metrics on the first free port from 20241 to 20245;
// https://github.com/Kewton/CommandMate/pull/2138, read 2026-11-30: there, /quicktunnel is {"hostname": "…"}.
func (l Local) Tunnel(ctx context.Context, port string) (address string, f Finding) {
	f = Finding{Group: Computer, Check: "tunnel", Level: OK}
	if address = l.ngrok(ctx, port); address != "" {
		f.Text = "ngrok forwards " + address + " to port " + port
		return address, f
	}
	for metrics := 20241; metrics <= 20245; metrics++ {
		var found struct{ Hostname string }
		b, err := l.Get(ctx, fmt.Sprintf("http://127.0.0.1:%d/quicktunnel", metrics))
		if err == nil && json.Unmarshal(b, &found) == nil && found.Hostname != "" {
			address = "https://" + found.Hostname
			f.Text = "cloudflared forwards " + address + "; reachability shows whether to this gateway"
			return address, f
		}
	}
	commands := map[string]string{
		"cloudflared": "cloudflared tunnel --url http://127.0.0.1:" + port, "ngrok": "ngrok http " + port,
	}
	f.Level = NotChecked
	for _, program := range []string{"cloudflared", "ngrok"} {
		if _, err := l.Find(program); err == nil {
			f.Text = "none runs: a vendor reaches this gateway only through one; start it with " + commands[program]
			return "", f
		}
	}
	f.Text = "none runs, and neither cloudflared nor ngrok is installed: install one, and start it with " +
		commands["cloudflared"] + " or " + commands["ngrok"]
	return "", f
}

func (l Local) ngrok(ctx context.Context, port string) string {
	var list struct {
		Tunnels []struct {
			PublicURL string `json:"public_url"`
			Config    struct{ Addr string }
		}
	}
	b, err := l.Get(ctx, "http://127.0.0.1:4040/api/tunnels")
	if err != nil || json.Unmarshal(b, &list) != nil {
		return ""
	}
	for _, t := range list.Tunnels {
		if strings.HasPrefix(t.PublicURL, "https://") && strings.HasSuffix(t.Config.Addr, ":"+port) {
			return t.PublicURL
		}
	}
	return ""
}

// Address returns the URL of a provider's webhook, with its newest token. given is the URL of a tunnel or of a domain,
// with or without a path before /webhooks, or the URL of a webhook. The address is empty if it is another provider's.
func Address(given string, p webhook.Provider, keys webhook.Keys) (string, error) {
	u, err := url.Parse(given)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || u.RawQuery != "" ||
		u.Fragment != "" {
		return "", errors.New("doctor: the URL must be like https://tunnel.example or " +
			"https://tunnel.example/webhooks/docusign, without a query") // it may hold a token, and is not quoted
	}
	before, after, found := strings.Cut(strings.TrimSuffix(u.Path, "/"), "/webhooks/")
	name, token, _ := strings.Cut(after, "/")
	before = strings.TrimSuffix(before, "/webhooks")
	base := u.Scheme + "://" + u.Host + before + "/webhooks/" + p.Info().Name
	switch {
	case found && name != p.Info().Name:
		return "", nil
	case token != "":
		return base + "/" + token, nil
	}
	return keys.URL(base), nil
}

// Select returns the patients that are asked for: that of a provider, and those that a URL leads to. An empty string
// asks for all. A URL replaces the patients' own.
func Select(patients []Patient, provider, given string) (selected []Patient, err error) {
	var names []string
	for _, p := range patients {
		name := p.Provider.Info().Name
		if names = append(names, name); provider != "" && provider != name {
			continue
		}
		if given != "" {
			if p.Address, err = Address(given, p.Provider, p.Keys); err != nil {
				return nil, err
			} else if p.Address == "" {
				continue
			}
		}
		selected = append(selected, p)
	}
	if len(selected) > 0 {
		return selected, nil
	}
	if provider != "" && !slices.Contains(names, provider) {
		return nil, fmt.Errorf("doctor: no provider %q; the providers are: %s", provider, strings.Join(names, ", "))
	}
	return nil, errors.New("doctor: the URL is that of another provider")
}
