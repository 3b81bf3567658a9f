package localhost_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/provider"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/localhost"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// plain is a provider's keys without the wrapping.
type plain struct {
	Keys, Tokens []string
	Development  bool
	API          string
}

func unwrap(config localhost.Config) map[string]plain {
	all := map[string]plain{}
	for name, keys := range config.Keys {
		all[name] = plain{reveal(keys.Keys.Keys), reveal(keys.URLTokens), keys.Development, keys.API.Reveal()}
	}
	return all
}

func reveal(secrets []webhook.Secret) []string {
	var all []string
	for _, s := range secrets {
		all = append(all, s.Reveal())
	}
	return all
}

func TestReadConfig(t *testing.T) {
	development := map[string]plain{}
	for _, p := range provider.All() {
		development[p.Info().Name] = plain{Keys: []string{p.Info().DevelopmentKey}, Development: true}
	}
	for name, tt := range map[string]struct {
		env        map[string]string
		port, data string
		differs    map[string]plain
	}{
		"nothing is set":                        {nil, "3000", ".local", nil},
		"port and folder":                       {map[string]string{"PORT": "8080", "DATA": "/var/lib/esignhooks"}, "8080", "/var/lib/esignhooks", nil},
		"empty port and folder are unset":       {map[string]string{"PORT": "", "DATA": ""}, "3000", ".local", nil},
		"any free port":                         {map[string]string{"PORT": "0"}, "0", ".local", nil},
		"the highest port":                      {map[string]string{"PORT": "65535"}, "65535", ".local", nil},
		"one key":                               {map[string]string{"DOCUSIGN_HMAC_KEYS": "a"}, "3000", ".local", map[string]plain{"docusign": {Keys: []string{"a"}}}},
		"a list of keys":                        {map[string]string{"DROPBOXSIGN_API_KEYS": "a,b,c"}, "3000", ".local", map[string]plain{"dropboxsign": {Keys: []string{"a", "b", "c"}}}},
		"a list as people write it":             {map[string]string{"ESIGNGLOBAL_SECRETS": " a , 'b',\t\"c\"\n,,a"}, "3000", ".local", map[string]plain{"esignglobal": {Keys: []string{"a", "b", "c"}}}},
		"set but empty means none":              {map[string]string{"ADOBESIGN_CLIENT_IDS": ""}, "3000", ".local", map[string]plain{"adobesign": {}}},
		"white space means none":                {map[string]string{"ADOBESIGN_CLIENT_IDS": " \n"}, "3000", ".local", map[string]plain{"adobesign": {}}},
		"commas alone mean none":                {map[string]string{"ADOBESIGN_CLIENT_IDS": " , ,"}, "3000", ".local", map[string]plain{"adobesign": {}}},
		"empty quotes mean none":                {map[string]string{"ADOBESIGN_CLIENT_IDS": `""`}, "3000", ".local", map[string]plain{"adobesign": {}}},
		"the development key may be set":        {map[string]string{"DOCUSIGN_HMAC_KEYS": "development-docusign-hmac-key"}, "3000", ".local", map[string]plain{"docusign": {Keys: []string{"development-docusign-hmac-key"}}}},
		"tokens beside the development key":     {map[string]string{"DOCUSIGN_URL_TOKENS": "t, u"}, "3000", ".local", map[string]plain{"docusign": {Keys: []string{"development-docusign-hmac-key"}, Tokens: []string{"t", "u"}, Development: true}}},
		"tokens alone":                          {map[string]string{"ESIGNGLOBAL_SECRETS": "", "ESIGNGLOBAL_URL_TOKENS": "t"}, "3000", ".local", map[string]plain{"esignglobal": {Tokens: []string{"t"}}}},
		"empty tokens mean none":                {map[string]string{"DOCUSIGN_URL_TOKENS": " ,\"\""}, "3000", ".local", nil},
		"a token as it is generated":            {map[string]string{"DOCUSIGN_URL_TOKENS": "AZaz09-._~"}, "3000", ".local", map[string]plain{"docusign": {Keys: []string{"development-docusign-hmac-key"}, Tokens: []string{"AZaz09-._~"}, Development: true}}},
		"keys may hold what tokens may not":     {map[string]string{"DOCUSIGN_HMAC_KEYS": "QUJD+/==,a%2F?#b"}, "3000", ".local", map[string]plain{"docusign": {Keys: []string{"QUJD+/==", "a%2F?#b"}}}},
		"credentials of the vendor's API alone": {map[string]string{"DROPBOXSIGN_API": `{"apiKey":"k"}`}, "3000", ".local", map[string]plain{"dropboxsign": {Keys: []string{"development-dropboxsign-api-key"}, Development: true, API: `{"apiKey":"k"}`}}},
		"no credentials of the vendor's API":    {map[string]string{"DROPBOXSIGN_API": ""}, "3000", ".local", nil},
		"other variables are nobody's":          {map[string]string{"DOCUSIGN_KEYS": "x", "docusign_hmac_keys": "x", "URL_TOKENS": "x"}, "3000", ".local", nil},
		"every provider has its own": {map[string]string{"ADOBESIGN_CLIENT_IDS": "a", "DOCUSIGN_HMAC_KEYS": "b", "DROPBOXSIGN_API_KEYS": "c", "ESIGNGLOBAL_SECRETS": "d"}, "3000", ".local",
			map[string]plain{"adobesign": {Keys: []string{"a"}}, "docusign": {Keys: []string{"b"}}, "dropboxsign": {Keys: []string{"c"}}, "esignglobal": {Keys: []string{"d"}}}},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := localhost.ReadConfig(provider.All(), lookup(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			if config.Port != tt.port || config.Data != tt.data {
				t.Errorf("port %q, folder %q", config.Port, config.Data)
			}
			want := maps.Clone(development)
			maps.Copy(want, tt.differs)
			if diff := cmp.Diff(want, unwrap(config)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadConfigReportsAllProblemsAtOnce(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		want []string // what the lines of the error begin with
	}{
		"a port that is a word":              {map[string]string{"PORT": "http"}, []string{"PORT"}},
		"a negative port":                    {map[string]string{"PORT": "-1"}, []string{"PORT"}},
		"a port beyond the last":             {map[string]string{"PORT": "65536"}, []string{"PORT"}},
		"a port with a host":                 {map[string]string{"PORT": "0.0.0.0:3000"}, []string{"PORT"}},
		"a token with a slash":               {map[string]string{"DOCUSIGN_URL_TOKENS": "canary/1"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"a whole URL for a token":            {map[string]string{"DOCUSIGN_URL_TOKENS": "https://canary.example/webhooks/docusign/t"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"a token with a question mark":       {map[string]string{"DOCUSIGN_URL_TOKENS": "canary?x"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"a token with a number sign":         {map[string]string{"DOCUSIGN_URL_TOKENS": "canary#x"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"a token that is escaped":            {map[string]string{"DOCUSIGN_URL_TOKENS": "canary%41"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"a token with a space":               {map[string]string{"DOCUSIGN_URL_TOKENS": "canary x"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"a bad token behind a good one":      {map[string]string{"DOCUSIGN_URL_TOKENS": "good,canary/1"}, []string{"DOCUSIGN_URL_TOKENS"}},
		"tokens of two providers and a port": {map[string]string{"PORT": "x", "DOCUSIGN_URL_TOKENS": "canary/1", "ADOBESIGN_URL_TOKENS": "canary?"}, []string{"PORT", "ADOBESIGN_URL_TOKENS", "DOCUSIGN_URL_TOKENS"}},
		"an application without a scheme":    {map[string]string{"FORWARD_URL": "canary:8080/events"}, []string{"FORWARD_URL"}},
		"an application by another protocol": {map[string]string{"FORWARD_URL": "ftp://canary/events"}, []string{"FORWARD_URL"}},
		"an application without a port":      {map[string]string{"FORWARD_URL": "http://canary:port"}, []string{"FORWARD_URL"}},
		"an application without a host":      {map[string]string{"FORWARD_URL": "http:///canary"}, []string{"FORWARD_URL"}},
		"credentials that are no JSON":       {map[string]string{"DROPBOXSIGN_API": "canary"}, []string{"DROPBOXSIGN_API"}},
		"credentials that are not enough":    {map[string]string{"DROPBOXSIGN_API": `{"host":"canary.example"}`}, []string{"DROPBOXSIGN_API"}},
		"credentials with a misspelt member": {map[string]string{"DROPBOXSIGN_API": `{"apiKey":"canary","hots":"canary"}`}, []string{"DROPBOXSIGN_API"}},
		"everything is wrong": {
			map[string]string{
				"PORT": "x", "FORWARD_URL": "canary", "DOCUSIGN_URL_TOKENS": "/canary", "ADOBESIGN_URL_TOKENS": "/canary", "DROPBOXSIGN_URL_TOKENS": "/canary",
				"ESIGNGLOBAL_URL_TOKENS": "/canary", "DROPBOXSIGN_API": `["canary"]`, "ADOBESIGN_API": `"canary"`,
			},
			[]string{"PORT", "FORWARD_URL", "ADOBESIGN_URL_TOKENS", "ADOBESIGN_API", "DOCUSIGN_URL_TOKENS", "DROPBOXSIGN_URL_TOKENS", "DROPBOXSIGN_API", "ESIGNGLOBAL_URL_TOKENS"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := localhost.ReadConfig(provider.All(), lookup(tt.env))
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes a token: %v", err)
			}
			lines := strings.Split(err.Error(), "\n")
			for i, line := range lines {
				lines[i] = line[:strings.IndexAny(line, ": ")]
			}
			if diff := cmp.Diff(tt.want, lines); diff != "" {
				t.Errorf("%v: %s", err, diff)
			}
		})
	}
}

func TestReadConfigAsksForNothingElse(t *testing.T) {
	asked := map[string]bool{}
	if _, err := localhost.ReadConfig(provider.All(), func(name string) (string, bool) {
		asked[name] = true
		return "", false
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"PORT": true, "DATA": true, "FORWARD_URL": true}
	for _, p := range provider.All() {
		info := p.Info()
		want[info.KeysVariable], want[info.TokensVariable()], want[info.APIVariable()] = true, true, true
	}
	for _, fixed := range []string{"ADOBESIGN_CLIENT_IDS", "DOCUSIGN_HMAC_KEYS", "DROPBOXSIGN_API_KEYS", "ESIGNGLOBAL_SECRETS",
		"DOCUSIGN_URL_TOKENS", "DOCUSIGN_API"} {
		if !want[fixed] {
			t.Errorf("%s has another name", fixed)
		}
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Error(diff)
	}
}
