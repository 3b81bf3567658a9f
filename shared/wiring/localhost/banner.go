package localhost

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"slices"
	"strings"
	"time"

	"esignhooks/shared/sample"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// Banner writes how to use the gateway at base, a URL without a path. For each provider it shows the webhook's URL, the
// key, and a request to paste into a shell. Keys and tokens from the environment appear as the names of their
// variables.
func (g *Gateway) Banner(w io.Writer, base string, now time.Time) error {
	fmt.Fprintf(w, "esignhooks on %s\n\n", base)
	for _, p := range g.providers {
		info, keys := p.Info(), g.config.Keys[p.Info().Name]
		shown := "$" + info.KeysVariable
		if keys.Development {
			shown = info.DevelopmentKey + " (development)"
		} else if len(keys.Keys.Keys) == 0 {
			shown = "none: $" + info.KeysVariable + " is empty"
		}
		if webhook.RefusesAll(p, keys.Keys) {
			shown += "; every request is refused"
		}
		api := "off: $" + info.APIVariable() + " is not set"
		switch {
		case g.clients[info.Name] != nil:
			api = "$" + info.APIVariable() + ": signed documents are stored, and missed events are found"
		case !all.Has(info.Name):
			api = "none for this vendor"
		}
		fmt.Fprintf(w, "%-18s %s\n%-18s key: %s\n%-18s API: %s\n", info.Title, g.config.url(base, p), "", shown, "", api)
	}
	fmt.Fprintf(w, "\nEvents and agreements: %s/ and %[1]s/api/events, %[1]s/api/agreements, %[1]s/api/published\n", base)
	if g.config.ForwardURL != "" {
		fmt.Fprintln(w, "Published events are forwarded to $FORWARD_URL")
	}
	fmt.Fprint(w, "\nTry:\n")
	for _, p := range g.providers {
		if keys := g.config.Keys[p.Info().Name]; len(keys.Keys.Keys) == 0 {
			continue
		}
		if command, err := g.curl(base, p, now); err != nil {
			fmt.Fprintf(w, "\n%s: %v\n", p.Info().Title, err)
		} else {
			fmt.Fprintf(w, "\n%s\n", command)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

// URLs writes the URLs of the gateway on localhost, ready to paste into a shell in double quotes. It need not run.
func URLs(w io.Writer, config Config, providers []webhook.Provider) error {
	for _, p := range providers {
		fmt.Fprintf(w, "%-18s %s\n", p.Info().Title, config.url("http://"+config.address(), p))
	}
	_, err := fmt.Fprintln(w, "A vendor reaches them through a tunnel only, such as https://tunnel.example/webhooks/docusign.")
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

// curl returns a command that sends a genuine request for a new, completed agreement.
func (g *Gateway) curl(base string, p webhook.Provider, now time.Time) (string, error) {
	name, err := sample.Completed(p)
	if err != nil {
		return "", err
	}
	keys := g.config.Keys[p.Info().Name]
	r, _, err := sample.Request(p, name, "", keys.Keys.Keys[0], now)
	if err != nil {
		return "", err
	}
	body, isForm, err := form(r)
	if err != nil {
		return "", err
	}
	url := g.config.url(base, p)
	if len(r.Query) > 0 {
		url += "?" + r.Query.Encode()
	}
	arguments := []string{"curl -i", doubleQuoted(url)}
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		if isForm && name == "Content-Type" || transport(name) {
			continue
		}
		value := name + ": " + r.Header.Get(name)
		// A header may hold the key itself, such as a client ID.
		if secret := keys.Keys.Keys[0]; !keys.Development && r.Header.Get(name) == secret.Reveal() {
			arguments = append(arguments, "-H", doubleQuoted(name+": "+first(p.Info().KeysVariable, keys.Keys.Keys)))
			continue
		}
		arguments = append(arguments, "-H", quoted(value))
	}
	return strings.Join(append(arguments, body...), " "), nil
}

// transport reports whether the transport of a request adds this header, and not the vendor.
func transport(name string) bool {
	switch name {
	case "Accept", "Accept-Encoding", "Connection", "Content-Length", "Host", "User-Agent", "Via":
		return true
	}
	return strings.HasPrefix(name, "X-Forwarded-") || strings.HasPrefix(name, "X-Amz") ||
		strings.HasPrefix(name, "Cloudfront-")
}

// form returns curl's arguments for the body. A multipart body is passed as its fields, since a shell cannot write its
// line ends portably.
func form(r *webhook.Request) (arguments []string, isForm bool, err error) {
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
