// Package localhost wires everything for localhost, in one process without AWS: a gateway that calls the very functions that
// run on Lambda, the embedded ledger and queue, and the read API. It never imports the AWS SDK.
package localhost

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// Config is the configuration of localhost.
type Config struct {
	Port string // PORT; default 3000
	Data string // DATA: the folder of the embedded store; default .local
	// ForwardURL is FORWARD_URL: the application that gets the published events; empty if there is none.
	ForwardURL string
	Keys       map[string]Keys
}

// Keys are the keys of one provider, and where they come from.
type Keys struct {
	webhook.Keys
	Development bool // the well-known development key, since the variable is unset
	// API is what <PROVIDER>_API holds, the credentials of the vendor's API as in the member "api" of a stack's secret; empty
	// if everything that needs them is off.
	API webhook.Secret
}

// ReadConfig reads the environment through lookup, which is [os.LookupEnv]. It reports all problems at once.
func ReadConfig(providers []webhook.Provider, lookup func(string) (string, bool)) (Config, error) {
	value := func(name, fallback string) string {
		if v, ok := lookup(name); ok && v != "" {
			return v
		}
		return fallback
	}
	config := Config{Port: value("PORT", "3000"), Data: value("DATA", ".local"), Keys: map[string]Keys{}}
	var problems []error
	if n, err := strconv.Atoi(config.Port); err != nil || n < 0 || n > 65535 {
		problems = append(problems, fmt.Errorf("PORT is %q, not a port number from 0 to 65535", config.Port))
	}
	config.ForwardURL = value("FORWARD_URL", "")
	if u, err := url.Parse(config.ForwardURL); config.ForwardURL != "" && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		problems = append(problems, errors.New("FORWARD_URL is not like http://127.0.0.1:8080/events")) // it is not quoted, since it may hold a secret
	}
	for _, p := range providers {
		info := p.Info()
		keys := Keys{}
		list, ok := lookup(info.KeysVariable)
		if keys.Development = !ok; !ok {
			list = info.DevelopmentKey
		}
		tokens, _ := lookup(info.TokensVariable())
		keys.Keys.Keys = webhook.Secrets(strings.Split(list, ",")...)
		keys.URLTokens = webhook.Secrets(strings.Split(tokens, ",")...)
		for _, token := range keys.URLTokens {
			if !isSegment(token.Reveal()) {
				problems = append(problems, fmt.Errorf("%s: a token is one segment of a URL, neither dots alone nor with any of / ? # %% and spaces in it", info.TokensVariable()))
			}
		}
		api := value(info.APIVariable(), "")
		if _, err := all.Open(info.Name, []byte(api), vendorapi.Options{}); err != nil && !errors.Is(err, vendorapi.ErrOff) {
			problems = append(problems, fmt.Errorf("%s: %w", info.APIVariable(), err))
		}
		keys.API = webhook.NewSecret(api)
		config.Keys[info.Name] = keys
	}
	return config, errors.Join(problems...)
}

// address is where the gateway listens: on this machine only.
func (c Config) address() string { return net.JoinHostPort("127.0.0.1", c.Port) }

// isSegment says whether a text may stand in a path as it is, and does not mean a folder.
func isSegment(s string) bool {
	return s != "." && s != ".." && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune("/?#%", c)
	})
}
