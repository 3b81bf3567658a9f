package mutants

// inTerminal are mistakes in the command esignhooks and in what it shows.
var inTerminal = []mistake{
	{"a usage error is a failure like others", "functions/esignhooks/main.go",
		`fmt.Fprintln(a.err, usage)
		return 2`, `fmt.Fprintln(a.err, usage)
		return 1`, "../functions/esignhooks TestUsageErrors"},
	{"a provider that does not exist is asked for", "functions/esignhooks/main.go",
		`name != "" && !ok`, `name == "" && !ok`, "../functions/esignhooks TestUsageErrors"},
	{"a command loses the names of its flags", "shared/operate/parse.go",
		`fmt.Sprintf("--%s=%v", flag.Name, flag.Target.Interface())`, `fmt.Sprintf("--%s=%v", flag.Name, flag.Name)`,
		"operate TestACommandIsPassedOn"},
	{"the banner shows keys", "shared/wiring/localhost/banner.go",
		`key.Fingerprint()`, `key.Fingerprint()+key.Reveal()`, "wiring/localhost TestTheBannerFitsOnAScreen"},
	{"a printed command holds the key", "shared/wiring/localhost/banner.go",
		`(r.Key != nil || !keys.Development) &&`, `r.Key != nil &&`, "wiring/localhost TestACommandToPaste"},
	{"a vendor writes escape sequences to the terminal", "shared/wiring/localhost/line.go",
		`terminal.Printable(cmp.Or(r.VendorType, string(r.Type), r.Method))`,
		`cmp.Or(r.VendorType, string(r.Type), r.Method)`, "wiring/localhost TestARequestIsOneLine"},
	{"only NO_COLOR=1 switches colours off", "shared/plumbing/terminal/terminal.go",
		`none == "" &&`, `none != "1" &&`, "plumbing/terminal TestColoursAreSwitchedOff"},
	{"a terminal shows no warnings", "functions/esignhooks/run.go",
		`slog.LevelWarn`, `slog.LevelError`, "../functions/esignhooks TestWarningsAreShownOnATerminal"},
	{"the logs show all requests instead of the refused ones", "functions/esignhooks/logs.go",
		`(refused || !c.Refused)`, `(refused || c.Refused)`, "../functions/esignhooks TestLogsOfAStack"},
	{"the logs of localhost begin with the newest request", "shared/wiring/localhost/follow.go",
		`slices.Backward(all)`, `slices.All(all)`, "../functions/esignhooks TestLogsOfLocalhost"},
	{"make run compiles the AWS SDK", "Makefile", "$(call build,-o $(GATEWAY)", "$(call build,-tags stacks -o $(GATEWAY)",
		"docs TestOperatorTargetsPassTheirVariables"},
	{"the gateway is built to say that it does not run", "Makefile", "ifeq ($(STACK)$(wildcard $(GATEWAY)),localhost)",
		"ifeq ($(STACK)$(wildcard $(GATEWAY)),nowhere)", "docs TestOperatorTargetsPassTheirVariables"},
}
