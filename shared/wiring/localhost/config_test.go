package localhost_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"esignhooks/shared/lab/acmesign"
	"esignhooks/shared/provider"
	"esignhooks/shared/vendorapi/all"
	"esignhooks/shared/webhook"
	"esignhooks/shared/wiring/localhost"
)

func lookup(env map[string]string) func(string) (string, bool) {
	return func(name string) (string, bool) {
		value, ok := env[name]
		return value, ok
	}
}

// other is AcmeSign under another name.
type other struct{ acmesign.Provider }

func (p other) Info() webhook.Info {
	info := p.Provider.Info()
	info.Name, info.KeysVariable, info.DevelopmentKey = "other", "OTHER_KEYS", "development-other-key"
	return info
}

var providers = []webhook.Provider{acmesign.Provider{}, other{}}

// plain is a provider's configuration with its secrets revealed.
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

func TestReadConfigOfKeys(t *testing.T) {
	development := plain{Keys: []string{"development-acmesign-key"}, Development: true}
	withTokens := func(tokens ...string) plain { return plain{Keys: development.Keys, Tokens: tokens, Development: true} }
	withAPI := plain{Keys: development.Keys, Development: true, API: `{"key":"k"}`}
	keys := func(keys ...string) plain { return plain{Keys: keys} }
	type env map[string]string
	for name, tt := range map[string]struct {
		env  env
		want plain
	}{
		"nothing is set":                     {nil, development},
		"one key":                            {env{"ACMESIGN_KEYS": "a"}, keys("a")},
		"a list of keys":                     {env{"ACMESIGN_KEYS": "a,b,c"}, keys("a", "b", "c")},
		"a list with white space and quotes": {env{"ACMESIGN_KEYS": " a , 'b',\t\"c\"\n,,a"}, keys("a", "b", "c")},
		"set but empty means none":           {env{"ACMESIGN_KEYS": ""}, plain{}},
		"white space means none":             {env{"ACMESIGN_KEYS": " \n"}, plain{}},
		"commas alone mean none":             {env{"ACMESIGN_KEYS": " , ,"}, plain{}},
		"empty quotes mean none":             {env{"ACMESIGN_KEYS": `""`}, plain{}},
		"the development key may be set":     {env{"ACMESIGN_KEYS": development.Keys[0]}, keys(development.Keys...)},
		"tokens and the development key":     {env{"ACMESIGN_URL_TOKENS": "t, u"}, withTokens("t", "u")},
		"tokens alone": {env{"ACMESIGN_KEYS": "", "ACMESIGN_URL_TOKENS": "t"},
			plain{Tokens: []string{"t"}}},
		"empty tokens mean none":             {env{"ACMESIGN_URL_TOKENS": " ,\"\""}, development},
		"a token of all allowed characters":  {env{"ACMESIGN_URL_TOKENS": "AZaz09-._~"}, withTokens("AZaz09-._~")},
		"keys may hold any character":        {env{"ACMESIGN_KEYS": "QUJD+/==,a%2F?#b"}, keys("QUJD+/==", "a%2F?#b")},
		"credentials of the vendor's API":    {env{"ACMESIGN_API": `{"key":"k"}`}, withAPI},
		"no credentials of the vendor's API": {env{"ACMESIGN_API": ""}, development},
		"similar names do not count":         {env{"ACMESIGN": "x", "acmesign_keys": "x", "URL_TOKENS": "x"}, development},
	} {
		t.Run(name, func(t *testing.T) {
			config, err := localhost.ReadConfig(providers, lookup(tt.env))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]plain{
				acmesign.Name: tt.want, "other": {Keys: []string{"development-other-key"}, Development: true},
			}
			if diff := cmp.Diff(want, unwrap(config)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestReadConfigOfTheGateway(t *testing.T) {
	for name, tt := range map[string]struct {
		env        map[string]string
		port, data string
	}{
		"nothing is set":                  {nil, "3000", ".local"},
		"port and folder":                 {map[string]string{"PORT": "8080", "DATA": "/var/lib/x"}, "8080", "/var/lib/x"},
		"empty port and folder are unset": {map[string]string{"PORT": "", "DATA": ""}, "3000", ".local"},
		"any free port":                   {map[string]string{"PORT": "0"}, "0", ".local"},
		"the highest port":                {map[string]string{"PORT": "65535"}, "65535", ".local"},
	} {
		config, err := localhost.ReadConfig(providers, lookup(tt.env))
		if err != nil || config.Port != tt.port || config.Data != tt.data {
			t.Errorf("%s: port %q, folder %q, %v", name, config.Port, config.Data, err)
		}
	}
}

func TestReadConfigReportsAllProblemsAtOnce(t *testing.T) {
	type env map[string]string
	tokens := []string{"ACMESIGN_URL_TOKENS"}
	for name, tt := range map[string]struct {
		env  env
		want []string // the variables that the lines of the error name
	}{
		"a port that is a word":    {env{"PORT": "http"}, []string{"PORT"}},
		"a negative port":          {env{"PORT": "-1"}, []string{"PORT"}},
		"a port above the highest": {env{"PORT": "65536"}, []string{"PORT"}},
		"a port with a host":       {env{"PORT": "0.0.0.0:3000"}, []string{"PORT"}},
		"a token with a slash":     {env{"ACMESIGN_URL_TOKENS": "canary/1"}, tokens},
		"a whole URL for a token": {env{"ACMESIGN_URL_TOKENS": "https://canary.example/webhooks/acmesign/t"},
			tokens},
		"a token with a question mark":       {env{"ACMESIGN_URL_TOKENS": "canary?x"}, tokens},
		"a token with a number sign":         {env{"ACMESIGN_URL_TOKENS": "canary#x"}, tokens},
		"a token that is escaped":            {env{"ACMESIGN_URL_TOKENS": "canary%41"}, tokens},
		"a token with a space":               {env{"ACMESIGN_URL_TOKENS": "canary x"}, tokens},
		"a bad token after a good one":       {env{"ACMESIGN_URL_TOKENS": "good,canary/1"}, tokens},
		"an application without a scheme":    {env{"FORWARD_URL": "canary:8080/events"}, []string{"FORWARD_URL"}},
		"an application by another protocol": {env{"FORWARD_URL": "ftp://canary/events"}, []string{"FORWARD_URL"}},
		"a secret that is too short":         {env{"FORWARD_SECRET": "whsec_canary"}, []string{"FORWARD_SECRET"}},
		"settings that are not true or false": {env{"INCLUDE_REASONS": "yes", "ARCHIVE_FORM_DATA": "1"},
			[]string{"INCLUDE_REASONS", "ARCHIVE_FORM_DATA"}},
		"an application without a port": {env{"FORWARD_URL": "http://canary:port"}, []string{"FORWARD_URL"}},
		"an application without a host": {env{"FORWARD_URL": "http:///canary"}, []string{"FORWARD_URL"}},
		"everything is wrong": {
			env{"PORT": "x", "FORWARD_URL": "canary", "ACMESIGN_URL_TOKENS": "/canary", "OTHER_URL_TOKENS": "canary?"},
			[]string{"PORT", "FORWARD_URL", "ACMESIGN_URL_TOKENS", "OTHER_URL_TOKENS"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := localhost.ReadConfig(providers, lookup(tt.env))
			if err == nil {
				t.Fatal("no error")
			}
			if strings.Contains(err.Error(), "canary") {
				t.Errorf("the error quotes a secret: %v", err)
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

func TestReadConfigChecksTheCredentialsOfEveryVendorWithAClient(t *testing.T) {
	for _, p := range all.Providers() {
		for _, wrong := range []string{"canary", `"canary"`, `["canary"]`, `{"host":"canary.example"}`, `{"hots":"canary"}`} {
			_, err := localhost.ReadConfig(provider.All(), lookup(map[string]string{p.Info().APIVariable(): wrong}))
			switch {
			case err == nil || !strings.HasPrefix(err.Error(), p.Info().APIVariable()+": "):
				t.Errorf("%s: %v", wrong, err)
			case strings.Contains(err.Error(), "canary"):
				t.Errorf("the error quotes a secret: %v", err)
			}
		}
	}
}

func TestReadConfigReadsNothingElse(t *testing.T) {
	read := map[string]bool{}
	if _, err := localhost.ReadConfig(provider.All(), func(name string) (string, bool) {
		read[name] = true
		return "", false
	}); err != nil {
		t.Fatal(err)
	}
	want := map[string]bool{"PORT": true, "DATA": true, "FORWARD_URL": true, "FORWARD_SECRET": true,
		"REFERENCES": true, "INCLUDE_REASONS": true, "ARCHIVE_FORM_DATA": true}
	for _, p := range provider.All() {
		info := p.Info()
		maps.Copy(want, map[string]bool{info.KeysVariable: true, info.TokensVariable(): true, info.APIVariable(): true})
	}
	if diff := cmp.Diff(want, read); diff != "" {
		t.Error(diff)
	}
}
