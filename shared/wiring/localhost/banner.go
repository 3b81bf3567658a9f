package localhost

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// Banner writes, on one screen, how to use the gateway at base, a URL without a path. It shows no secret: keys appear as
// the beginning of their SHA-256, and URLs have no tokens.
func (g *Gateway) Banner(w io.Writer, base string) error {
	fmt.Fprintf(w, "esignhooks on %s\n\n", base)
	for _, p := range g.providers {
		info := p.Info()
		fmt.Fprintf(w, "%-18s %s/webhooks/%s\n%-18s %s; API %s\n", info.Title, base, info.Name, "",
			g.config.keysOf(p), g.apiOf(info.Name))
	}
	shown := []string{"look at", base + "/",
		"as JSON", base + "/api/requests, /api/agreements, /api/events, /api/published"}
	if g.config.ForwardURL != "" {
		shown = append(shown, "forwards to", "$FORWARD_URL")
	}
	shown = append(shown, "try", "make send PROVIDER=docusign EVENT=envelope-completed (CURL=1: print a command)")
	fmt.Fprintln(w)
	for i := 0; i < len(shown); i += 2 {
		fmt.Fprintf(w, "%-18s %s\n", shown[i], shown[i+1])
	}
	_, err := fmt.Fprintln(w)
	return err
}

// keysOf returns the number and the fingerprints of a provider's keys, and what must be known about them.
func (c Config) keysOf(p webhook.Provider) string {
	info, keys := p.Info(), c.Keys[p.Info().Name]
	const most = 6 // on one line
	var prints []string
	for _, key := range keys.Keys.Keys[:min(len(keys.Keys.Keys), most)] {
		prints = append(prints, key.Fingerprint())
	}
	text := fmt.Sprintf("%d keys: %s", len(keys.Keys.Keys), strings.Join(prints, " "))
	switch n := len(keys.Keys.Keys); {
	case n == 0:
		text = "no key: $" + info.KeysVariable + " is empty"
	case n == 1:
		text = "1 key: " + prints[0]
	case n > most:
		text += " …"
	}
	if keys.Development {
		text += " (development)"
	}
	if n := len(keys.URLTokens); n == 1 {
		text += "; 1 URL token"
	} else if n > 1 {
		text += fmt.Sprintf("; %d URL tokens", n)
	}
	if webhook.RefusesAll(p, keys.Keys) {
		text += "; every request is refused"
	}
	return text
}

// apiOf returns the state of a vendor's API.
func (g *Gateway) apiOf(name string) string {
	switch {
	case g.clients[name] != nil:
		return "on"
	case !all.Has(name):
		return "none"
	}
	return "off"
}

// URLs writes the URLs of the gateway on localhost, ready to paste into a shell in double quotes. It need not run.
func URLs(w io.Writer, config Config, providers []webhook.Provider) error {
	for _, p := range providers {
		fmt.Fprintf(w, "%-18s %s\n", p.Info().Title, config.url("http://"+config.address(), p))
	}
	_, err := fmt.Fprintln(w, "A vendor reaches them only through a tunnel, as https://tunnel.example/webhooks/docusign.")
	return err
}

// url returns the provider's URL, ready to paste into a shell in double quotes.
func (c Config) url(base string, p webhook.Provider) string {
	url := base + "/webhooks/" + p.Info().Name
	if tokens := c.Keys[p.Info().Name].URLTokens; len(tokens) > 0 {
		url += "/" + first(p.Info().TokensVariable(), tokens)
	}
	return url
}

// first returns the shell expression for the first of a variable's comma-separated values.
func first(variable string, values []webhook.Secret) string {
	if len(values) == 1 {
		return "$" + variable
	}
	return "${" + variable + "%%,*}"
}

// Curl writes a command that sends the same request as [Send], for a shell. Keys and tokens from the environment appear
// as the names of their variables.
func Curl(ctx context.Context, w io.Writer, config Config, providers []webhook.Provider, s Sending,
	now time.Time) error {
	r, _, err := s.request(config, providers, now)
	if err != nil {
		return err
	}
	address := config.url("http://"+config.address(), r.provider)
	if s.URL != "" {
		if _, err := httpRequest(ctx, r.provider, r.key, r.Request, s.URL, now); err != nil {
			return err
		}
		address, _, _ = strings.Cut(s.URL, "?") // r has the query now
		address = shellEscaped.Replace(address)
	}
	command, err := r.curl(config.Keys[r.Provider], address)
	if err == nil {
		_, err = fmt.Fprintln(w, command)
	}
	return err
}

// shellEscaped is for text in double quotes.
var shellEscaped = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "$", `\$`, "`", "\\`")

// curl returns a command that sends the request to an address, which is ready for double quotes.
func (r signed) curl(keys Keys, address string) (string, error) {
	key := first(r.provider.Info().KeysVariable, keys.Keys.Keys)
	if r.Key != nil {
		key = "$" + r.KeyVariable
	}
	body, isForm, err := form(r.Request)
	if err != nil {
		return "", err
	}
	if len(r.Query) > 0 {
		address += "?" + r.Query.Encode()
	}
	arguments := []string{"curl -i", doubleQuoted(address)}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if isForm && name == "Content-Type" || transport(name) {
			continue
		}
		// A header may hold the key itself, such as a client ID.
		if (r.Key != nil || !keys.Development) && r.Header.Get(name) == r.key.Reveal() {
			arguments = append(arguments, "-H", doubleQuoted(name+": "+key))
			continue
		}
		arguments = append(arguments, "-H", quoted(name+": "+r.Header.Get(name)))
	}
	return strings.Join(append(arguments, body...), " "), nil
}

// transport reports whether the transport of a request adds this header, and not the vendor.
func transport(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Connection", "Content-Length", "Host", "User-Agent":
		return true
	}
	return proxied(name) || strings.HasPrefix(name, "X-Amz") || strings.HasPrefix(name, "Cloudfront-")
}

// form returns curl's arguments for the body. A multipart body is passed as its fields, since a shell cannot write its
// line ends portably.
func form(r *webhook.Request) (arguments []string, isForm bool, err error) {
	if r.Method == http.MethodGet {
		return nil, false, nil
	}
	mediaType, parameters, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if !strings.HasPrefix(mediaType, "multipart/") {
		return []string{"--data-binary", quoted(string(r.Body))}, false, nil
	}
	parts := multipart.NewReader(bytes.NewReader(r.Body), parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return arguments, true, nil
		} else if err != nil {
			return nil, true, err
		}
		value, err := io.ReadAll(part)
		if err != nil {
			return nil, true, err
		}
		arguments = append(arguments, "--form-string", quoted(part.FormName()+"="+string(value)))
	}
}

func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func doubleQuoted(s string) string { return `"` + s + `"` }
