// Package localhost wires the product for localhost, in one process without AWS: a gateway that calls the same
// functions that run on Lambda, the embedded ledger and queue, and the read API. It never imports the AWS SDK.
package localhost

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"esignhooks/shared/esign"
	"esignhooks/shared/operate/doctor"
	"esignhooks/shared/outlet"
	"esignhooks/shared/vendorapi"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
)

// Config is the configuration of localhost. Each field names the environment variable that it is read from. None is
// required.
type Config struct {
	// PORT: the port to listen on, from 0 to 65535. 0 picks a free one. Default: 3000.
	Port string
	// DATA: the folder of the embedded store. Default: .local.
	Data string
	// FORWARD_URL: the URL of the application that gets the published events. Empty by default: none does.
	ForwardURL string
	// FORWARD_SECRET: the secret that signs the events for the application, as Standard Webhooks describe it. Several,
	// separated by commas, sign at the same time, so that one can replace another. Empty by default: nothing is signed.
	ForwardKeys []outlet.Key
	// REFERENCES: the names of the references that events may carry, separated by commas, or * for all. If it is set but
	// empty, they carry none. Default: *.
	References []string
	// INCLUDE_REASONS: true or false. If true, events carry why somebody declined or cancelled. Default: false.
	IncludeReasons bool
	// ARCHIVE_FORM_DATA: true or false. If true, what the participants have filled in is archived too. Default: false.
	ArchiveFormData bool
	// Keys has an entry for each provider, by name.
	Keys map[string]Keys
}

// Keys is the configuration of one provider.
type Keys struct {
	// The variable in [webhook.Info], such as DOCUSIGN_HMAC_KEYS: the keys, separated by commas. Default: the development
	// key. If it is set but empty, there is no key.
	//
	// <PROVIDER>_URL_TOKENS: the URL tokens, separated by commas. Empty by default: the URL needs none.
	webhook.Keys
	// Development reports whether the variable of the keys is unset, and Keys holds the development key.
	Development bool
	// <PROVIDER>_API: the credentials of the vendor's API, the JSON object that is the member "api" of a stack's secret.
	// Empty by default: features that need the API are off.
	API webhook.Secret
	// Problems are how the keys are written oddly, which does no harm.
	Problems []string
}

// ReadConfig reads the environment through lookup, normally [os.LookupEnv]. It reports all problems at once. No error
// quotes a value that may be secret.
func ReadConfig(providers []webhook.Provider, lookup func(string) (string, bool)) (Config, error) {
	value := func(name, fallback string) string {
		if v, ok := lookup(name); ok && v != "" {
			return v
		}
		return fallback
	}
	config := Config{
		Port:       value("PORT", "3000"),
		Data:       value("DATA", ".local"),
		ForwardURL: value("FORWARD_URL", ""),
		Keys:       map[string]Keys{},
	}
	var problems []error
	if n, err := strconv.Atoi(config.Port); err != nil || n < 0 || n > 65535 {
		problems = append(problems, fmt.Errorf("PORT is %q, not a port number from 0 to 65535", config.Port))
	}
	if config.ForwardURL != "" && !isHTTP(config.ForwardURL) {
		problems = append(problems, errors.New("FORWARD_URL is not like http://127.0.0.1:8080/events"))
	}
	references, ok := lookup("REFERENCES")
	if !ok {
		references = "*"
	}
	is := func(name string) bool {
		s := value(name, "false")
		if s != "true" && s != "false" {
			problems = append(problems, fmt.Errorf("%s is %q, neither true nor false", name, s))
		}
		return s == "true"
	}
	config.References = esign.ParseReferences(references)
	config.IncludeReasons, config.ArchiveFormData = is("INCLUDE_REASONS"), is("ARCHIVE_FORM_DATA")
	for _, secret := range webhook.Secrets(strings.Split(value("FORWARD_SECRET", ""), ",")...) {
		key, err := outlet.ParseKey(secret)
		if err != nil {
			problems = append(problems, fmt.Errorf("FORWARD_SECRET is %w", err))
		}
		config.ForwardKeys = append(config.ForwardKeys, key)
	}
	for _, p := range providers {
		info := p.Info()
		keys := Keys{API: webhook.NewSecret(value(info.APIVariable(), ""))}
		list, ok := lookup(info.KeysVariable)
		if keys.Development = !ok; !ok {
			list = info.DevelopmentKey
		}
		tokens, _ := lookup(info.TokensVariable())
		keys.Keys.Keys, keys.Problems = webhook.Secrets(strings.Split(list, ",")...), doctor.Written(strings.Split(list, ","))
		keys.URLTokens = webhook.Secrets(strings.Split(tokens, ",")...)
		for _, token := range keys.URLTokens {
			if !isSegment(token.Reveal()) {
				problems = append(problems, fmt.Errorf("%s: a token must be one segment of a URL: not only dots, "+
					"and none of / ? # %% and spaces", info.TokensVariable()))
			}
		}
		_, err := all.Open(info.Name, []byte(keys.API.Reveal()), vendorapi.Options{})
		if err != nil && !errors.Is(err, vendorapi.ErrOff) {
			problems = append(problems, fmt.Errorf("%s: %w", info.APIVariable(), err))
		}
		config.Keys[info.Name] = keys
	}
	return config, errors.Join(problems...)
}

func isHTTP(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// address is where the gateway listens: on this machine only.
func (c Config) address() string { return net.JoinHostPort("127.0.0.1", c.Port) }

// isSegment reports whether s can be a segment of a path unescaped, and is neither . nor ..
func isSegment(s string) bool {
	return s != "." && s != ".." && !strings.ContainsFunc(s, func(c rune) bool {
		return c <= ' ' || c > '~' || strings.ContainsRune("/?#%", c)
	})
}
