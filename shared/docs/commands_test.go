package docs

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"debug/elf"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"esignhooks/shared/esign"
	"esignhooks/shared/lab/slow"
	"esignhooks/shared/provider"
	"esignhooks/shared/sample"
	"esignhooks/shared/webhook"
	wiring "esignhooks/shared/wiring/lambda"
	"esignhooks/shared/wiring/localhost"
)

const root = "../.."

func read(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, file))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// runMake runs make in the module's root, with no variables but these. A stub folder comes first in its path.
func runMake(stubs string, arguments ...string) (string, error) {
	c := exec.Command("make", append([]string{"--no-print-directory"}, arguments...)...)
	c.Dir = root
	c.Env = []string{"PATH=" + stubs + ":" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
	out, err := c.CombinedOutput()
	return string(out), err
}

var recipes = map[string]string{} // by arguments

// recipe returns the commands that a target would run.
func recipe(t *testing.T, arguments ...string) string {
	t.Helper()
	key := fmt.Sprintf("%q", arguments)
	if out, ok := recipes[key]; ok {
		return out
	}
	out, err := runMake("", append([]string{"-n"}, arguments...)...)
	if err != nil {
		t.Errorf("make %q: %v\n%s", arguments, err, out)
	}
	recipes[key] = out
	return out
}

// makefile is what the Makefile declares.
type makefile struct {
	targets []string            // in the order of the file
	needs   map[string][]string // prerequisites by target
	phony   []string
	help    map[string]string // by target
}

func readMakefile(t *testing.T) makefile {
	t.Helper()
	m := makefile{needs: map[string][]string{}, help: map[string]string{}}
	text := read(t, "Makefile")
	rule := regexp.MustCompile(`(?m)^([a-z][a-z0-9-]*):([^=\n]*)$`)
	for _, found := range rule.FindAllStringSubmatch(text, -1) {
		m.targets = append(m.targets, found[1])
		m.needs[found[1]] = strings.Fields(found[2])
	}
	for _, found := range regexp.MustCompile(`(?m)^## ([a-z0-9-]+): (.+)$`).FindAllStringSubmatch(text, -1) {
		m.help[found[1]] = found[2]
	}
	_, phony, _ := strings.Cut(text, ".PHONY:")
	phony, _, _ = strings.Cut(phony, "\n")
	m.phony = strings.Fields(phony)
	return m
}

func TestMakeHelpListsEveryTarget(t *testing.T) {
	m := readMakefile(t)
	part := map[string]bool{"help": true, "gateway": true, "operator": true} // of other targets, by $(operated)
	for target := range m.help {
		for _, needed := range m.needs[target] {
			part[needed] = true
		}
	}
	shown, err := runMake("")
	if again := recipe(t, "help"); err != nil || recipe(t) != again {
		t.Errorf("make alone does not print the help, %v", err)
	}
	for _, target := range m.targets {
		if !slices.Contains(m.phony, target) {
			t.Errorf("%s is not .PHONY: a file with its name would replace it", target)
		}
		if m.help[target] == "" && !part[target] {
			t.Errorf("%s has no line of help", target)
		}
	}
	for target, text := range m.help {
		line := regexp.MustCompile(`(?m)^` + target + `\s+` + regexp.QuoteMeta(text) + `$`)
		if !slices.Contains(m.targets, target) || !line.MatchString(shown) {
			t.Errorf("make help does not show %s, or there is no such target", target)
		}
	}
	for _, target := range m.phony {
		if !slices.Contains(m.targets, target) {
			t.Errorf(".PHONY names %s, which is not a target", target)
		}
	}
}

// settings returns the variables that the gateway reads, with their defaults.
func settings(t *testing.T) map[string]string {
	t.Helper()
	read := map[string]string{}
	config, err := localhost.ReadConfig(provider.All(), func(name string) (string, bool) {
		read[name] = ""
		return "", false
	})
	if err != nil {
		t.Fatal(err)
	}
	read["PORT"], read["DATA"] = config.Port, config.Data
	return read
}

var assignment = regexp.MustCompile(`\b([A-Z][A-Z_]*)=([\w.:/-]*)`)

// TestVariablesOfTheHelpHaveTheirEffect sets each variable that the help names. Numbers in the help are defaults.
func TestVariablesOfTheHelpHaveTheirEffect(t *testing.T) {
	read := settings(t)
	for target, text := range readMakefile(t).help {
		variables := assignment.FindAllStringSubmatch(text, -1)
		if strings.Contains(text, "[STACK=localhost]") && target != "urls" { // the help of urls says it for all
			variables = append(variables, []string{"", "STACK", "esignhooks"})
		}
		for _, v := range variables {
			name, value := v[1], v[2]
			if fallback, ok := read[name]; ok {
				if value != fallback {
					t.Errorf("the help of %s says %s=%s, the default is %q", target, name, value, fallback)
				}
				continue
			}
			if !isUsed(t, target, name, variables) {
				t.Errorf("make %s does not use %s", target, name)
			}
			byDefault := regexp.MustCompile(`^(\d\d+s?|all|esignhooks)$`).MatchString(value)
			if byDefault && recipe(t, target) != recipe(t, target, name+"="+value) {
				t.Errorf("the help of %s says %s=%s, the default is another", target, name, value)
			}
		}
	}
}

// isUsed reports whether the variable changes what a target runs, alone or with the other variables.
func isUsed(t *testing.T, target, name string, variables [][]string) bool {
	t.Helper()
	others := []string{target}
	for _, v := range variables {
		if v[1] != name && v[1] != "STACK" {
			others = append(others, v[1]+"=1")
		}
	}
	for _, value := range []string{"777", "1"} {
		for _, with := range [][]string{{target}, others} {
			if recipe(t, append(slices.Clone(with), name+"="+value)...) != recipe(t, with...) {
				return true
			}
		}
	}
	return false
}

// TestOperatorTargetsPassTheirVariables checks that each is a command of the binary, with the flags of its variables.
func TestOperatorTargetsPassTheirVariables(t *testing.T) {
	flags := map[string][]string{
		"urls": nil, "logs": {"provider", "since", "refused"}, "redrive": nil,
		"register": {"provider", "url", "apply"}, "registered": {"provider", "url"},
		"inspect": {"provider", "id", "reference"}, "archive": {"provider", "id"}, "confirm": {"provider", "id"},
		"forget": {"provider", "id", "apply"},
		"replay": {"provider", "id", "from", "to", "rebuild"}, "send": {"provider", "event", "agreement", "url", "file"},
		"doctor": {"provider", "url"}, "fixture": {"file", "out", "provider"},
		"preflight": nil,
	}
	for target := range readMakefile(t).help {
		wanted, ok := flags[target]
		if !ok {
			continue
		}
		arguments, where := []string{target, "GATEWAY=Makefile"}, "" // a file that is there
		for _, name := range wanted {
			switch name {
			case "apply", "rebuild", "refused":
				arguments, where = append(arguments, strings.ToUpper(name)+"=1"), where+" --"+name
			default:
				arguments, where = append(arguments, strings.ToUpper(name)+"=of "+name), where+" --"+name+"='of "+name+"'"
			}
		}
		stacks := map[string]string{
			"of stack": "-tags stacks -o .build/esignhooks-stacks ./functions/esignhooks|" +
				".build/esignhooks-stacks --stack='of stack' ",
			"localhost": "-o Makefile ./functions/esignhooks|Makefile --stack=localhost ",
		}
		if target == "preflight" {
			delete(stacks, "localhost")
		}
		if target == "send" || target == "fixture" {
			stacks = map[string]string{"of stack": "-o Makefile ./functions/esignhooks|Makefile "}
		}
		for stack, want := range stacks {
			built, run, _ := strings.Cut(want, "|")
			got := recipe(t, append(slices.Clone(arguments), "STACK="+stack)...)
			if !strings.Contains(got, "CGO_ENABLED=0 go build -trimpath "+built+";") ||
				!strings.HasSuffix(got, "\nexec "+run+target+where+"\n") {
				t.Errorf("make %s STACK=%s runs\n%swant\n%s\n%s", target, stack, got, built, run+target+where)
			}
		}
	}
	for _, target := range []string{"urls", "logs"} { // the first time
		out, err := runMake("", target, "STACK=localhost", "GATEWAY=absent")
		if err == nil || !strings.Contains(out, "make run") || strings.Contains(recipe(t, target, "STACK=localhost",
			"GATEWAY=absent"), "go build") {
			t.Errorf("make %s STACK=localhost: %s, %v", target, out, err)
		}
	}
	if got := recipe(t, "run"); !strings.HasSuffix(got, "\nexec .build/esignhooks run\n") {
		t.Errorf("make run runs\n%s", got)
	}
}

// TestALongBuildSaysSo replaces the compiler by one that waits for the message, and by one that fails before.
func TestALongBuildSaysSo(t *testing.T) {
	const message = "building esignhooks; the first time takes about a minute\n"
	for _, tt := range []struct{ compiler, sleep, want string }{
		{`[ "$1" = env ] || until grep -q building stderr; do :; done`, "exit 0", message},
		{"exit 3", "exec /bin/sleep 5", ""},
	} {
		stubs := t.TempDir()
		for tool, does := range map[string]string{"go": "cd $(dirname $0); " + tt.compiler, "sleep": tt.sleep} {
			if err := os.WriteFile(filepath.Join(stubs, tool), []byte("#!/bin/sh\n"+does+"\n"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		stderr, err := os.Create(filepath.Join(stubs, "stderr"))
		if err != nil {
			t.Fatal(err)
		}
		defer stderr.Close()
		c := exec.Command("make", "-C", root, "gateway")
		c.Env, c.Stderr = []string{"PATH=" + stubs + ":" + os.Getenv("PATH")}, stderr
		err = c.Run()
		said, _ := os.ReadFile(stderr.Name())
		if (err == nil) != (tt.want != "") || !strings.HasPrefix(string(said), tt.want) ||
			tt.want == "" && strings.Contains(string(said), "building") {
			t.Errorf("%s: %v\n%s", tt.compiler, err, said)
		}
	}
}

// TestTargetsFailWithTheirCommands replaces the tools by ones that fail. Each target must fail as well.
func TestTargetsFailWithTheirCommands(t *testing.T) {
	stubs := t.TempDir()
	for tool, does := range map[string]string{"go": "exit 1", "python3": "exit 1", "gofmt": "echo x.go", "curl": "exit 0"} {
		if err := os.WriteFile(filepath.Join(stubs, tool), []byte("#!/bin/sh\n"+does+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, target := range readMakefile(t).targets {
		if target == "help" {
			continue
		}
		if out, err := runMake(stubs, target, "PYTHON="+stubs); err == nil {
			t.Errorf("make %s succeeds although its command fails:\n%s", target, out)
		}
	}
}

// TestMakeTestRunsEverything looks for what would leave tests out.
func TestMakeTestRunsEverything(t *testing.T) {
	for _, target := range []string{"test", "test-all"} {
		got := recipe(t, target)
		for _, want := range []string{" -race", " -tags stacks", " ./..."} {
			if _, err := exec.LookPath("gcc"); want == " -race" && err != nil {
				continue // the race detector needs a C compiler
			}
			if !strings.Contains(got, want) {
				t.Errorf("make %s does not say%s: %s", target, want, got)
			}
		}
		if narrower := regexp.MustCompile(` -(run|skip|short|failfast|vet|list)\b`).FindString(got); narrower != "" {
			t.Errorf("make %s runs less, by%s: %s", target, narrower, got)
		}
		if slow := strings.Contains(got, "SLOW=1"); slow != (target == "test-all") {
			t.Errorf("make %s runs slow tests: %v", target, slow)
		}
	}
	check := recipe(t, "check")
	for _, want := range []string{
		`test -z "$(gofmt -l .)"`, "go vet -tags stacks ./...", "go vet ./functions/esignhooks", "honnef.co/go/tools/cmd/staticcheck@v", " -tags stacks -checks all,", "-ST1022 ./...", "-ST1022 ./functions/esignhooks",
		"golang.org/x/vuln/cmd/govulncheck@v", "; then go run", " ./...; \\\nelse", "go mod download -json golang.org/x/vulndb@",
		"/data/osv\" -tags stacks ./...", "bin/cfn-lint template.yaml", "shared/lab/template/lint.py template.yaml .build/transformed",
		"shared/lab/template/security.py .build/transformed .checkov.yaml shared/docs", "bin/sam validate --lint",
	} {
		if !strings.Contains(check, want) {
			t.Errorf("make check does not run %s", want)
		}
	}
}

var parsed = map[string][]*ast.File{} // by pattern

// sources returns the parsed files of a package pattern such as ./shared/lab/...
func sources(t *testing.T, pattern string) (files []*ast.File) {
	t.Helper()
	if files, ok := parsed[pattern]; ok {
		return files
	}
	defer func() { parsed[pattern] = files }()
	dir, below := strings.CutSuffix(pattern, "...")
	start := filepath.Join(root, dir)
	err := filepath.WalkDir(start, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && path != start && (!below || strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if strings.HasSuffix(path, ".go") {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
			files = append(files, file)
			return err
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		t.Errorf("%s has no Go files, %v", pattern, err)
	}
	return files
}

// literals returns the texts in the sources, and the names of the functions.
func literals(files []*ast.File) (texts, functions map[string]bool) {
	texts, functions = map[string]bool{}, map[string]bool{}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.BasicLit:
				texts[strings.Trim(n.Value, "`\"")] = true
			case *ast.FuncDecl:
				functions[n.Name.Name] = true
			}
			return true
		})
	}
	return texts, functions
}

// checkGo checks a go command: its packages, the tests and the flags that it names, and the variables before it.
func checkGo(t *testing.T, where string, words []string) {
	t.Helper()
	var variables []string
	for len(words) > 0 && assignment.MatchString(words[0]) && words[0] != "go" {
		name, _, _ := strings.Cut(words[0], "=")
		variables, words = append(variables, name), words[1:]
	}
	if len(words) < 2 || words[0] != "go" || !slices.Contains([]string{"test", "build", "run", "doc"}, words[1]) {
		return
	}
	packages := slices.DeleteFunc(slices.Clone(words), func(w string) bool { return !strings.HasPrefix(w, "./") })
	wide := slices.Equal(packages, []string{"./..."}) && len(variables) == 0 && !slices.Contains(words, "-run")
	if len(packages) == 0 || wide {
		return
	}
	var files []*ast.File
	for _, pattern := range packages {
		if words[1] == "doc" { // ./folder.Name
			pattern = pattern[:strings.LastIndexByte(pattern, '.')]
		}
		files = append(files, sources(t, pattern)...)
	}
	texts, functions := literals(files)
	switch words[1] {
	case "doc":
		_, name, _ := strings.Cut(filepath.Base(packages[0]), ".")
		if !slices.ContainsFunc(files, func(f *ast.File) bool { return f.Scope.Lookup(name) != nil }) {
			t.Errorf("%s: there is no %s", where, packages[0])
		}
	case "test":
		known := strings.Fields("race count timeout v run bench fuzz fuzztime list json p parallel cover")
		for i, word := range words[2:] {
			name, value, _ := strings.Cut(strings.TrimLeft(word, "-"), "=")
			if !strings.HasPrefix(word, "-") || slices.Contains(known, name) && name != "run" {
				continue
			}
			if name != "run" {
				if shared, _ := literals(sources(t, "./shared/webhook/webhooktest")); !texts[name] && !shared[name] {
					t.Errorf("%s: the tests have no flag -%s", where, name)
				}
				continue
			}
			if value == "" {
				value = words[2+i+1]
			}
			for alternative := range strings.SplitSeq(strings.Trim(value, `'"`), "|") {
				pattern := regexp.MustCompile(strings.Trim(alternative, "()"))
				matches := func(f string) bool { return strings.HasPrefix(f, "Test") && pattern.MatchString(f) }
				if alternative != "^$" && !slices.ContainsFunc(slices.Collect(maps.Keys(functions)), matches) {
					t.Errorf("%s: no test matches %s", where, alternative)
				}
			}
		}
		for _, name := range variables {
			if !texts[name] && name != "SLOW" && name != "GOFLAGS" {
				t.Errorf("%s: the tests do not read %s", where, name)
			}
		}
	}
}

func TestGoCommandsOfTheMakefile(t *testing.T) {
	m, count := readMakefile(t), 0
	for _, target := range m.targets {
		variants := []string{""}
		if target == "sim" {
			variants = append(variants, "SEED=1", "TEST=TestUpgrade SEED=1")
		}
		for _, with := range variants {
			for line := range strings.Lines(recipe(t, append(strings.Fields(with), target)...)) {
				checkGo(t, "make "+target, strings.Fields(line))
				count++
			}
		}
	}
	if count < 20 {
		t.Errorf("only %d commands", count)
	}
	at, _ := filepath.Abs(root)
	for target, want := range map[string]string{
		"bench ROUNDS=777 AGREEMENTS=778 ONLY=779 PROFILE=780": "CGO_ENABLED=0 go build -trimpath -o .build/bench " +
			"./shared/lab/bench\nexec .build/bench -rounds '777' -agreements '778' -only '779' -profile '780'\n",
		"e2e": "SAM='" + at + "/.build/python/bin/sam' go test -count=1 -timeout 20m -v " +
			"./shared/lab/e2e\n",
		"sim SEEDS=777":            "-v ./shared/lab/sim -seeds 777 -all\n",
		"sim SEED=777":             "-v ./shared/lab/sim -run '^TestSeeds$' -seed 777\n",
		"sim SEED=777 TEST=TestIt": "-v ./shared/lab/sim -run '^TestIt$' -seed 777\n",
		"mutants PLANT=7":          "./shared/lab/template -run TestEveryValueMatters -sweep\n",
		"mutants":                  "-v ./shared/lab/mutants -run TestMistakesAreFound -plant 'all'\n",
		"soak SEED=778":            "-v ./shared/lab/soak -run TestSoak -minutes 60 -seed 778\n",
		"generate":                 "./shared/lab/template -run TestGeneratedSectionsAreCurrent -update\n",
		"fuzz T=777s":              "packages=$(go list ./...) || exit 1; for package in $packages; do",
		"fuzz T=778s":              "-fuzz \"^$target\\$\" -fuzztime 778s -fuzzminimizetime 10x $package ||",
	} {
		if got := recipe(t, strings.Fields(target)...); !strings.Contains(got, want) {
			t.Errorf("make %s runs\n%swant\n%s", target, got, want)
		}
	}
	for _, target := range m.targets { // results of earlier runs do not count
		for line := range strings.Lines(recipe(t, target)) {
			if strings.Contains(line, "go test") && !regexp.MustCompile(` -(count=1|fuzz|list) `).MatchString(line) {
				t.Errorf("make %s may run nothing: %s", target, line)
			}
		}
	}
}

// command is one that a page shows.
type command struct {
	page      string
	variables []string // before it
	words     []string
}

func (c command) String() string { return c.page + ": " + strings.Join(c.words, " ") }

var tools = []string{"cd", "make", "sam", "curl", "go", "jq", "git", ".ci/run"}

// commands returns the commands that the pages show, on lines of their own and within sentences.
func commands(t *testing.T) (all []command) {
	placeholder, code := regexp.MustCompile(`<[^>\n]*>`), regexp.MustCompile("`([^`\n]+)`")
	for page, text := range pages(t) {
		add := func(line string) {
			line, _, _ = strings.Cut(placeholder.ReplaceAllString(strings.TrimSpace(line), "PLACEHOLDER"), " # ")
			for part := range strings.SplitSeq(strings.TrimPrefix(line, "$ "), "&&") {
				c := command{page: filepath.Base(page), words: strings.Fields(part)}
				for len(c.words) > 0 && assignment.MatchString(c.words[0]) && !strings.HasPrefix(c.words[0], "-") {
					name, _, _ := strings.Cut(c.words[0], "=")
					c.variables, c.words = append(c.variables, name), c.words[1:]
				}
				if len(c.words) > 1 && slices.Contains(tools, c.words[0]) || len(c.words) == 1 && c.words[0] == ".ci/run" {
					all = append(all, c)
				}
			}
		}
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "    ") {
				add(line)
			}
		}
		for _, found := range code.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
			add(found[1])
		}
	}
	return all
}

// TestCommandsOnThePagesExist checks their targets, variables, flags, functions, events, parameters and files.
func TestCommandsOnThePagesExist(t *testing.T) {
	m, read, count := readMakefile(t), settings(t), map[string]int{}
	for _, c := range commands(t) {
		count[c.words[0]]++
		for _, name := range c.variables {
			if _, ok := read[name]; !ok {
				t.Errorf("%s: the gateway does not read %s", c, name)
			}
		}
		switch c.words[0] {
		case "make":
			checkMake(t, m, c)
		case "sam":
			checkSAM(t, c)
		case "cd":
			if c.words[1] != "esignhooks" {
				t.Errorf("%s: a clone makes another folder", c)
			}
		case "go":
			checkGo(t, c.String(), c.words)
		case ".ci/run":
			if info, err := os.Stat(filepath.Join(root, c.words[0])); err != nil || info.Mode()&0o111 == 0 {
				t.Errorf("%s: not executable, %v", c, err)
			}
		}
	}
	for tool, least := range map[string]int{"make": 60, "sam": 8, "curl": 2, "go": 8} {
		if count[tool] < least {
			t.Errorf("found only %d commands of %s", count[tool], tool)
		}
	}
}

func checkMake(t *testing.T, m makefile, c command) {
	t.Helper()
	target, values := "", map[string]string{}
	for _, word := range c.words[1:] {
		if name, value, ok := strings.Cut(word, "="); ok {
			values[name] = value
		} else if target == "" {
			target = word
		}
	}
	if m.help[target] == "" && target != "help" {
		t.Errorf("%s: there is no such target, or the help does not list it", c)
		return
	}
	var others [][]string
	for name := range values {
		others = append(others, []string{"", name})
	}
	for name, value := range values {
		if !isUsed(t, target, name, others) {
			t.Errorf("%s: make %s does not use %s", c, target, name)
		}
		switch name {
		case "PROVIDER":
			p, ok := webhook.Find(provider.All(), value)
			if value == "northsign" || value == "PLACEHOLDER" {
				continue // the vendor of adding-a-vendor.md
			}
			if event := values["EVENT"]; !ok || event != "" && !slices.Contains(sample.Names(p), event) {
				t.Errorf("%s: no such provider or event", c)
			}
		case "URL":
			if value != "PLACEHOLDER" && value != "" && !strings.HasSuffix(value, "/webhooks/"+values["PROVIDER"]) {
				t.Errorf("%s: not the provider's URL", c)
			}
		case "APPLY", "REBUILD":
			if value != "1" {
				t.Errorf("%s: only 1 has an effect", c)
			}
		case "STACK":
			if value == "localhost" && !strings.Contains(m.help[target], "STACK=localhost") {
				t.Errorf("%s: not on localhost", c)
			}
		case "ONLY":
			texts, _ := literals(sources(t, "./shared/lab/bench"))
			for figure := range strings.SplitSeq(value, ",") {
				if !texts[figure] {
					t.Errorf("%s: there is no figure %s", c, figure)
				}
			}
		}
	}
}

var template struct {
	parameters map[string][]string // allowed values
	functions  []string
}

// templateOf returns the parameters with their allowed values, and the functions.
func templateOf(t *testing.T) (parameters map[string][]string, functions []string) {
	t.Helper()
	if template.parameters != nil {
		return template.parameters, template.functions
	}
	defer func() { template.parameters, template.functions = parameters, functions }()
	var all struct {
		Parameters map[string]struct {
			AllowedValues []string `yaml:"AllowedValues"`
		} `yaml:"Parameters"`
		Resources map[string]struct {
			Type string `yaml:"Type"`
		} `yaml:"Resources"`
	}
	if err := yaml.Unmarshal([]byte(read(t, "template.yaml")), &all); err != nil {
		t.Fatal(err)
	}
	parameters = map[string][]string{}
	for name, p := range all.Parameters {
		parameters[name] = p.AllowedValues
	}
	for name, r := range all.Resources {
		if r.Type == "AWS::Serverless::Function" {
			functions = append(functions, name)
		}
	}
	return parameters, functions
}

func checkParameter(t *testing.T, where, setting string) {
	t.Helper()
	parameters, _ := templateOf(t)
	name, value, _ := strings.Cut(setting, "=")
	allowed, ok := parameters[name]
	if setting != "Name=value" && (!ok || len(allowed) > 0 && !slices.Contains(allowed, value)) {
		t.Errorf("%s: the template has no parameter %s, or does not allow the value", where, setting)
	}
}

func checkSAM(t *testing.T, c command) {
	t.Helper()
	_, functions := templateOf(t)
	words := c.words[1:]
	if len(words) > 1 && words[0] == "local" {
		words = words[1:]
	}
	if !slices.Contains([]string{"build", "deploy", "delete", "local", "invoke"}, words[0]) {
		t.Errorf("%s: SAM has no such command", c)
	}
	for i := 1; i < len(words); i++ {
		value := words[min(i+1, len(words)-1)]
		switch words[i] {
		case "--guided":
			continue
		case "--config-env":
			if !strings.Contains(read(t, "samconfig.toml"), "\n["+value+".deploy.parameters]") {
				t.Errorf("%s: samconfig.toml has no such environment", c)
			}
		case "--parameter-overrides":
			for i++; i < len(words) && !strings.HasPrefix(words[i], "--"); i++ {
				checkParameter(t, c.String(), strings.Trim(words[i], "'"))
			}
			i--
			continue
		case "-e":
			if _, err := os.Stat(filepath.Join(root, value)); err != nil {
				t.Errorf("%s: %v", c, err)
			}
			folder := filepath.Base(filepath.Dir(value))
			if !strings.EqualFold(folder+"Function", words[1]) {
				t.Errorf("%s: the event of another provider", c)
			}
		default:
			if words[0] != "invoke" || !slices.Contains(functions, words[i]) {
				t.Errorf("%s: %s is neither a known flag nor a function", c, words[i])
			}
			continue
		}
		i++
	}
}

// TestSAMConfiguration checks each environment of samconfig.toml.
func TestSAMConfiguration(t *testing.T) {
	got, section := map[string]string{}, ""
	for line := range strings.Lines(read(t, "samconfig.toml")) {
		line = strings.TrimSpace(line)
		if name, ok := strings.CutPrefix(line, "["); ok {
			section = strings.TrimSuffix(name, "]")
		} else if name, value, ok := strings.Cut(line, " = "); ok && !strings.HasPrefix(line, "#") {
			got[section+"."+name] = strings.Trim(value, `"`)
		}
	}
	want := map[string]string{
		".version":                                 "0.1",
		"default.global.parameters.stack_name":     "esignhooks", // STACK of the Makefile
		"default.build.parameters.build_in_source": "true", "default.build.parameters.parallel": "true",
		"default.validate.parameters.lint": "true",
		// no change to a stack is confirmed but in production
		"default.deploy.parameters.capabilities": "CAPABILITY_IAM", "default.deploy.parameters.resolve_s3": "true",
		"prod.global.parameters.stack_name":          "esignhooks-prod",
		"prod.global.parameters.parameter_overrides": "DeletionProtection=true",
		"prod.deploy.parameters.capabilities":        "CAPABILITY_IAM",
		"prod.deploy.parameters.resolve_s3":          "true", "prod.deploy.parameters.confirm_changeset": "true",
	}
	if !maps.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	checkParameter(t, "samconfig.toml", want["prod.global.parameters.parameter_overrides"])
	if stack := got["default.global.parameters.stack_name"]; !strings.Contains(recipe(t, "urls"), "--stack='"+stack+"'") {
		t.Errorf("make urls acts on another stack than %s", stack)
	}
	comment := regexp.MustCompile(`parameter_overrides = "([^"]+)"\)`).FindStringSubmatch(read(t, "samconfig.toml"))
	for _, setting := range strings.Fields(comment[1]) {
		checkParameter(t, "samconfig.toml", setting)
	}
}

// TestSAMBuildsEveryFunction checks the rule of each architecture for each function of the template.
func TestSAMBuildsEveryFunction(t *testing.T) {
	parameters, functions := templateOf(t)
	architectures := map[string]string{"x86_64": "amd64", "arm64": "arm64"}
	if len(parameters["Arch"]) != len(architectures) || len(functions) < 8 {
		t.Fatalf("architectures %q, functions %q", parameters["Arch"], functions)
	}
	for _, arch := range parameters["Arch"] {
		for _, function := range functions {
			folder := "functions/" + strings.ToLower(strings.TrimSuffix(function, "Function"))
			got := recipe(t, "-f", ".sam/"+arch+"/Makefile", "build-"+function, "ARTIFACTS_DIR=/a b")
			got = strings.Join(strings.Fields(strings.ReplaceAll(got, "\\\n", " ")), " ")
			want := "CGO_ENABLED=0 GOOS=linux GOARCH=" + architectures[arch] + " GOWORK=off go build -tags lambda.norpc " +
				"-trimpath -buildvcs=false -ldflags '-s -w -buildid=' -o \"/a b/bootstrap\" ./" + folder
			if got != want {
				t.Errorf("%s for %s:\n got %s\nwant %s", function, arch, got, want)
			}
			if _, err := os.Stat(filepath.Join(root, folder, "main.go")); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestABuiltFunction builds one as SAM does, for each architecture.
func TestABuiltFunction(t *testing.T) {
	slow.Test(t)
	for arch, machine := range map[string]elf.Machine{"x86_64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		to := t.TempDir()
		out, err := runMake("", "-f", ".sam/"+arch+"/Makefile", "build-DocuSignFunction", "ARTIFACTS_DIR="+to)
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		file, err := elf.Open(filepath.Join(to, "bootstrap"))
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if file.Machine != machine || file.Section(".interp") != nil || file.Section(".debug_info") != nil {
			t.Errorf("%s: %v, not static or not stripped", arch, file.Machine)
		}
	}
}

// TestScriptsOfCI checks that the scripts parse and stop at a failure, and that CI runs every target that tests.
func TestScriptsOfCI(t *testing.T) {
	m := readMakefile(t)
	for _, script := range []string{".ci/run", ".ci/clean-clone"} {
		text := read(t, script)
		if out, err := exec.Command("bash", "-n", filepath.Join(root, script)).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
		if !strings.HasPrefix(text, "#!/usr/bin/env bash\n") || !strings.Contains(text, "\nset -euo pipefail\n") {
			t.Errorf("%s continues after a failure", script)
		}
		for _, found := range regexp.MustCompile(`(?m)(?:^|[;&|] *)make (-s )?([a-z0-9-]+)`).FindAllStringSubmatch(text, -1) {
			if !slices.Contains(m.targets, found[2]) {
				t.Errorf("%s: make %s does not exist", script, found[2])
			}
		}
		for line := range strings.Lines(text) { // whatever prints a problem, ends the script
			told := regexp.MustCompile(`(\|\||then) (\{ )?(cat|tail|grep|echo) `).MatchString(line)
			if told && !strings.Contains(line, "exit 1; ") && !strings.HasSuffix(line, "|| true\n") {
				t.Errorf("%s continues after a failure: %s", script, line)
			}
		}
		ignored := regexp.MustCompile(`(?m)(^|then |; )(make|\.ci/\S+|SAM\S+ \S+sam build)[^\n"{]*\|\| *(true|:)`)
		if lenient := ignored.FindString(text); lenient != "" {
			t.Errorf("%s: a failure is ignored: %s", script, lenient)
		}
	}
	wanted := []string{".ci/clean-clone", ".build/python/bin/sam build --parameter-overrides Arch=x86_64"}
	for _, target := range []string{"check", "test", "test-all", "sim", "mutants", "soak", "e2e"} {
		if slices.Contains(m.targets, target) {
			wanted = append(wanted, "make "+target)
		}
	}
	run := read(t, ".ci/run")
	for _, want := range wanted {
		if !regexp.MustCompile(`(?m)^([^#\n]*\s)?` + regexp.QuoteMeta(want) + `(\s|;|$)`).MatchString(run) {
			t.Errorf(".ci/run does not run %s", want)
		}
	}
	if !regexp.MustCompile(`make soak MINUTES=[1-9]`).MatchString(run) {
		t.Error(".ci/run does not soak")
	}
	if !strings.Contains(run, "\nexport CI=${CI:-true}\n") {
		t.Error(".ci/run skips tests whose engines are missing")
	}
}

// TestEventsAreProxyEvents checks the examples as `sam local invoke` passes them on.
func TestEventsAreProxyEvents(t *testing.T) {
	files, err := filepath.Glob(root + "/events/*/*.json")
	if err != nil || len(files) < 50 {
		t.Fatalf("%d events, %v", len(files), err)
	}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var e struct {
			Resource, Path, HTTPMethod      string
			Headers                         map[string]string
			MultiValueHeaders               map[string][]string
			QueryStringParameters           map[string]string
			MultiValueQueryStringParameters map[string][]string
			RequestContext                  struct{ ResourcePath, HTTPMethod string }
		}
		if err := json.Unmarshal(b, &e); err != nil {
			t.Errorf("%s: %v", file, err)
		}
		path := "/webhooks/" + filepath.Base(filepath.Dir(file))
		if e.Resource != path || e.Path != path || e.RequestContext.ResourcePath != path ||
			e.RequestContext.HTTPMethod != e.HTTPMethod {
			t.Errorf("%s: %+v", file, e)
		}
		for _, pair := range []struct {
			one  map[string]string
			many map[string][]string
		}{{e.Headers, e.MultiValueHeaders}, {e.QueryStringParameters, e.MultiValueQueryStringParameters}} {
			if len(pair.one) != len(pair.many) {
				t.Errorf("%s: %d single and %d multiple values", file, len(pair.one), len(pair.many))
			}
			for name, value := range pair.one {
				if all := pair.many[name]; len(all) == 0 || all[len(all)-1] != value {
					t.Errorf("%s: %s is %q and %q", file, name, value, all)
				}
			}
		}
	}
}

// block is a fenced block of a page.
type block struct{ page, language, text string }

func blocks(t *testing.T, language string) (all []block) {
	t.Helper()
	for page, text := range pages(t) {
		for _, found := range regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```").FindAllStringSubmatch(text, -1) {
			if found[1] == language {
				all = append(all, block{page, found[1], found[2]})
			}
		}
	}
	return all
}

// whole fills in what a page leaves out.
var whole = strings.NewReplacer(", …", "", "[…]", "[]", "{…}", "{}")

// TestPortsOfThePages expects the default port of the gateway, and one for an application.
func TestPortsOfThePages(t *testing.T) {
	gateway := settings(t)["PORT"]
	for page, text := range pages(t) {
		for _, found := range regexp.MustCompile(`.*(?:127\.0\.0\.1|localhost):(\d+).*`).FindAllStringSubmatch(text, -1) {
			application := regexp.MustCompile(`FORWARD_URL|ListenAndServe`).MatchString(found[0])
			if want := map[bool]string{false: gateway, true: "8080"}[application]; found[1] != want {
				t.Errorf("%s: want port %s: %s", page, want, found[0])
			}
		}
	}
}

// TestTheConsumerCompiles builds the program of events.md.
func TestTheConsumerCompiles(t *testing.T) {
	slow.Test(t)
	for _, b := range blocks(t, "go") {
		if b.page != "events.md" {
			continue
		}
		file := filepath.Join(t.TempDir(), "main.go")
		if err := os.WriteFile(file, []byte(b.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command("go", "build", "-o", os.DevNull, file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

func TestBlocksOfDataParse(t *testing.T) {
	if n := len(blocks(t, "json")) + len(blocks(t, "yaml")); n < 4 {
		t.Errorf("found only %d blocks", n)
	}
	for _, b := range blocks(t, "json") {
		if !json.Valid([]byte(whole.Replace(b.text))) {
			t.Errorf("%s: not JSON: %s", b.page, b.text)
		}
		if b.page != "configuration.md" {
			continue
		}
		if keys, err := wiring.ParseKeys(b.text, true); err != nil || len(keys.Keys) != 1 || len(keys.URLTokens) != 2 {
			t.Errorf("the functions do not understand this secret: %v: %s", err, b.text)
		}
	}
	for _, b := range blocks(t, "yaml") {
		var parsed map[string]any
		if err := yaml.Unmarshal([]byte(b.text), &parsed); err != nil {
			t.Errorf("%s: %v\n%s", b.page, err, b.text)
		}
		patterns := regexp.MustCompile(`(?s)EventPattern: \|[^\n]*\n(.*?)\n\s*Targets:`)
		for _, pattern := range patterns.FindAllStringSubmatch(b.text, -1) {
			var p struct {
				Source     []any    `json:"source"`
				DetailType []string `json:"detail-type"`
				Detail     struct {
					StatusChanged, Replay []bool
					Proof                 []esign.Proof
				}
			}
			decoder := json.NewDecoder(strings.NewReader(pattern[1]))
			if err := decoder.Decode(&p); err != nil || fmt.Sprint(p.Source, p.DetailType, p.Detail.StatusChanged,
				p.Detail.Replay) != "[map[prefix:esign.]] [agreement.completed] [true] [false]" {
				t.Errorf("%s: the pattern is %+v, %v", b.page, p, err)
			}
			strong := []esign.Proof{esign.ProofConfirmed, esign.ProofSigned, esign.ProofPartlySigned, esign.ProofAuthenticated,
				esign.ProofURLToken} // all but what everybody knows
			if p.Detail.Proof != nil && !slices.Equal(p.Detail.Proof, strong) {
				t.Errorf("%s: the pattern takes %q", b.page, p.Detail.Proof)
			}
		}
	}
}

// certificateIsShown shows the client certificate that deploy.md makes to a server that trusts its CA only, and expects
// that its subject is accepted as the page writes it.
func certificateIsShown(t *testing.T, dir string) {
	t.Helper()
	file := func(name string) string { return filepath.Join(dir, name) }
	client, err := tls.LoadX509KeyPair(file("client.pem"), file("client.key"))
	ca, caErr := os.ReadFile(file("ca-1.pem"))
	written, subjectErr := os.ReadFile(file("subject.txt"))
	if err := errors.Join(err, caErr, subjectErr); err != nil {
		t.Fatal(err)
	}
	var shown string
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		shown = r.TLS.PeerCertificates[0].Subject.String()
	}))
	s.TLS = &tls.Config{ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: x509.NewCertPool()}
	if !s.TLS.ClientCAs.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate in ca-1.pem")
	}
	s.StartTLS()
	defer s.Close()
	s.Client().Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{client}
	if _, err := s.Client().Get(s.URL); err != nil {
		t.Fatal(err)
	}
	_, subject, _ := strings.Cut(strings.TrimSpace(string(written)), "subject=")
	onThePage := regexp.MustCompile(`AdobeSignClientSubjects="([^"]*)"`).FindStringSubmatch(pages(t)["deploy.md"])
	for _, listed := range []string{subject, onThePage[1]} {
		c, err := webhook.ParseClientCertificates("mtls.example.com", listed)
		if err != nil || !c.Accept(&webhook.Request{Domain: "mtls.example.com", ClientSubject: shown}) {
			t.Errorf("%q is not accepted under %q: %v", shown, listed, err)
		}
	}
	if info, err := os.Stat(file("client.p12")); err != nil || info.Size() < 1000 || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("client.p12: %v, %v", info, err)
	}
}

// TestShellBlocks runs the shell blocks that make files.
func TestShellBlocks(t *testing.T) {
	for _, tool := range []string{"bash", "jq", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("CI") == "" {
			t.Skip(err)
		}
	}
	shell := func(dir, script string) {
		t.Helper()
		c := exec.Command("bash", "-euo", "pipefail", "-c", script)
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s\n%s", err, out, script)
		}
	}
	dir := t.TempDir()
	for _, b := range blocks(t, "bash") {
		shell(dir, b.text)
	}
	certificateIsShown(t, dir)
	made, err := os.ReadFile(filepath.Join(dir, "events/northsign/document-completed.json"))
	var e struct {
		Path, HTTPMethod, Body string
		Headers                map[string]string
	}
	if err := errors.Join(err, json.Unmarshal(made, &e)); err != nil {
		t.Fatal(err)
	}
	signature := fmt.Sprintf("%x", webhook.NewSecret("development-northsign-secret").HMAC(sha256.New, []byte(e.Body)))
	if e.Path != "/webhooks/northsign" || e.HTTPMethod != "POST" || !json.Valid([]byte(e.Body)) ||
		e.Headers["X-NorthSign-Signature"] != signature {
		t.Errorf("the event is %s", made)
	}
	count := 0
	for line := range strings.Lines(pages(t)["after-the-event.md"]) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "jq ") {
			if err := os.WriteFile(filepath.Join(dir, "key.pem"), []byte("made up\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			shell(dir, line)
			made, err := os.ReadFile(filepath.Join(dir, "api.json"))
			if err != nil || !bytes.Contains(made, []byte(`"privateKey": "made up\n"`)) {
				t.Errorf("%s makes %s, %v", line, made, err)
			}
			count++
		}
	}
	if count == 0 {
		t.Error("after-the-event.md has no command of jq")
	}
}
