# Targets for people; `sam build` has its own in .sam. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: run send explain simulate record fixture doctor pull preflight version deploy urls register registered logs inspect redrive replay archive forget confirm test test-all faults fuzz sim mutants soak e2e bench generate check format vet staticcheck vulnerabilities template help gateway operator

BENCH := $(or $(STACK),localhost)# the commands for developers act on localhost, unless STACK is given
STACK ?= esignhooks

GATEWAY  := .build/esignhooks
OPERATOR := .build/esignhooks-stacks# the same, with the AWS SDK
PYTHON   := .build/python
CHECKOV  := .build/checkov# for itself: it needs another boto3 than SAM
RACE     := $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race)# the race detector needs a C compiler

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0
VULNDB      := golang.org/x/vulndb@latest

# build builds the command with the flags $(1). It says so if that takes more than two seconds. The timer holds neither
# output open, and its end is not reported.
define build
@( trap exit TERM; sleep 2 >/dev/null 2>&1 & wait $$!; \
	kill -0 $$$$ && echo 'building esignhooks; the first time takes $(2)' >&2 ) & timer=$$!; \
CGO_ENABLED=0 go build -trimpath $(1) ./functions/esignhooks; status=$$?; kill $$timer 2>/dev/null; exit $$status
endef

## run: run all functions on localhost with an embedded store (PORT=3000, DATA=.local)
run: gateway
	@exec $(GATEWAY) run

## send: send a fresh, signed request: PROVIDER=docusign EVENT=envelope-completed [AGREEMENT=id], or FILE=saved [PROVIDER=]; [URL=of the webhook] [KEY=to sign with]; CURL=1 prints a curl command instead
export KEY
send: gateway
	@exec $(GATEWAY) send --provider='$(PROVIDER)' --event='$(EVENT)' --agreement='$(AGREEMENT)' --url='$(URL)' --file='$(FILE)'$(if $(KEY), --key-variable=KEY)$(if $(filter 1,$(CURL)), --curl)

## simulate: play a story as a vendor, and judge what became of it: PROVIDER=docusign STORY=two-signers [FAULTS=duplicate,late] [N=agreements] [SPEED=3600] [SEED=n] [URL=of the webhook] [KEY=to sign with] [API=http://… STATE_URL=http://… to compare with] [REPORT=text|json|junit] [OUT=file] [YES=1]
simulate: gateway
	@exec $(GATEWAY) simulate --provider='$(PROVIDER)' --story='$(STORY)' --faults='$(FAULTS)' --url='$(URL)' --api='$(API)' \
		--state-url='$(STATE_URL)' --report='$(or $(REPORT),text)' --out='$(OUT)'$(if $(N), --number='$(N)') \
		--speed='$(or $(SPEED),3600)'$(if $(SEED), --seed='$(SEED)')$(if $(KEY), --key-variable=KEY)$(if $(filter 1,$(YES)), --yes)

## record: record the next requests to localhost as they come, in DATA/recorded: [COUNT=100] [MINUTES=60]; OFF=1 ends it
record: gateway
	@exec $(GATEWAY) record --count='$(or $(COUNT),100)' --minutes='$(or $(MINUTES),60)'$(if $(filter 1,$(OFF)), --off)

## fixture: make an example of a recorded request, without personal data: FILE=.local/recorded/….json [OUT=file] [PROVIDER=of a body]
fixture: gateway
	@exec $(GATEWAY) fixture --file='$(FILE)' --out='$(OUT)' --provider='$(PROVIDER)'

## doctor: examine keys, clock, tunnel, TLS, the URL from outside in, and the vendor [PROVIDER=docusign] [URL=of a tunnel] [STACK=name of a stack]
ifeq ($(BENCH),localhost)
doctor: gateway
	@exec $(GATEWAY) --stack=localhost doctor --provider='$(PROVIDER)' --url='$(URL)'
else
doctor: operator
	@exec $(OPERATOR) --stack='$(BENCH)' doctor --provider='$(PROVIDER)' --url='$(URL)'
endif

## explain: explain why a saved request is refused: FILE=request.json [PROVIDER=docusign] [STACK=name, for its keys]
ifeq ($(origin STACK),file) # nobody names a stack
explain: gateway
	@exec $(GATEWAY) explain --file='$(FILE)' --provider='$(PROVIDER)'
else
explain: $(if $(filter localhost,$(STACK)),gateway,operator)
	@exec $(if $(filter localhost,$(STACK)),$(GATEWAY),$(OPERATOR)) --stack='$(STACK)' explain --file='$(FILE)' --provider='$(PROVIDER)'
endif

gateway:
	$(call build,-o $(GATEWAY),about a minute)

# These targets act on the stack STACK with your AWS credentials, or with STACK=localhost on the running gateway.
ifeq ($(STACK),localhost)
operated := gateway
OPERATE  := $(GATEWAY) --stack=localhost
else
operated := operator
OPERATE   = $(OPERATOR) --stack='$(STACK)'
endif

ifeq ($(STACK)$(wildcard $(GATEWAY)),localhost) # the first time: nothing can run, so nothing is built to say so
urls logs:
	@echo 'STACK=localhost has not run yet: make run starts it, shows its requests, and' \
		"receives on http://127.0.0.1:$${PORT:-3000}/webhooks/<provider>" >&2; exit 1
else
## urls: show what to register at each vendor, with the secret tokens of the URLs [STACK=esignhooks, here and below]
urls: $(operated)
	@exec $(OPERATE) urls

## logs: follow the functions' logs, or the requests to localhost [PROVIDER=docusign] [REFUSED=1] [SINCE=10m] [STACK=localhost]
logs: $(operated)
	@exec $(OPERATE) logs --provider='$(PROVIDER)' --since='$(SINCE)' $(if $(filter 1,$(REFUSED)),--refused)
endif

## register: show how to make PROVIDER=docusign call the stack; APPLY=1 does it [URL=of a tunnel] [STACK=localhost]
register: $(operated)
	@exec $(OPERATE) register --provider='$(PROVIDER)' --url='$(URL)' $(if $(filter 1,$(APPLY)),--apply)

## registered: list the subscriptions at the vendors and their problems, and unconfirmed completions [PROVIDER=docusign] [URL=of a tunnel] [STACK=localhost]
registered: $(operated)
	@exec $(OPERATE) registered --provider='$(PROVIDER)' --url='$(URL)'

## inspect: show an agreement and its history: PROVIDER=docusign ID=id, or find agreements: REFERENCE=deal_id:123 [STACK=localhost]
inspect: $(operated)
	@exec $(OPERATE) inspect --provider='$(PROVIDER)' --id='$(ID)' --reference='$(REFERENCE)'

## redrive: retry dead letters, publish what could not be published, confirm what has credentials now [STACK=localhost]
redrive: $(operated)
	@exec $(OPERATE) redrive

## replay: publish again: PROVIDER=docusign ID=id, or FROM=2026-11-02 TO=2026-11-03T12:00:00Z; REBUILD=1 only checks [STACK=localhost]
replay: $(operated)
	@exec $(OPERATE) replay --provider='$(PROVIDER)' --id='$(ID)' --from='$(FROM)' --to='$(TO)' $(if $(REBUILD),--rebuild)

## archive: fetch and store an agreement's documents now: PROVIDER=docusign ID=id [STACK=localhost]
archive: $(operated)
	@exec $(OPERATE) archive --provider='$(PROVIDER)' --id='$(ID)'

## forget: show what there is of an agreement: PROVIDER=docusign ID=id; APPLY=1, or yes, removes it for good [STACK=localhost]
forget: $(operated)
	@exec $(OPERATE) forget --provider='$(PROVIDER)' --id='$(ID)' $(if $(filter 1,$(APPLY)),--apply)

## confirm: ask the vendor about an agreement now, and enter what is new: PROVIDER=docusign ID=id [STACK=localhost]
confirm: $(operated)
	@exec $(OPERATE) confirm --provider='$(PROVIDER)' --id='$(ID)'

## pull: replay what a stack has received into localhost, which must run: SINCE=8h or a time; APPLY=1, or yes, copies the payloads
pull: operator
	@exec $(OPERATOR) --stack='$(STACK)' pull --since='$(SINCE)'$(if $(filter 1,$(APPLY)), --apply)

## preflight: check a stack and its account before production: quotas, secrets, alarms, mappings, URL, subscriptions
preflight: operator
	@exec $(OPERATOR) --stack='$(STACK)' preflight

## version: show the version of esignhooks, and whether it can act on stacks
version: gateway
	@exec $(GATEWAY) version

## deploy: build the stack STACK and deploy it; a name that AWS would refuse is refused at once [STACK=esignhooks] [PARAMETERS='Arch=x86_64 …']
deploy:
	@printf %s '$(STACK)' | grep -Eqx '[A-Za-z][A-Za-z0-9-]{0,54}' || { echo 'the name of a stack has at most 55 letters,' \
		'digits and hyphens, since the names of its queues begin with it: they have 80 characters at most' >&2; exit 2; }
	sam build$(if $(PARAMETERS), --parameter-overrides $(PARAMETERS))
	sam deploy --stack-name '$(STACK)'$(if $(PARAMETERS), --parameter-overrides $(PARAMETERS))

operator:
	$(call build,-tags stacks -o $(OPERATOR),a few minutes)

## test: run all tests but the slow ones; without Java, Maven and Python those of the AWS drivers are skipped
test:
	@go run ./shared/lab/suite $(RACE) -tags stacks -timeout 30m ./...

## test-all: run the slow tests too: engines that fail, many random cases, all figures
test-all:
	@SLOW=1 go run ./shared/lab/suite $(RACE) -tags stacks -timeout 30m ./shared/wiring/lambda/background ./... # first what takes longest

## faults: test the AWS drivers on a network that fails (DELIVERIES=10000)
faults:
	SLOW=1 DELIVERIES=$(or $(DELIVERIES),10000) go test $(RACE) -count=1 -timeout 30m -v -run 'UnderFaults|NothingIsLost|HangingEngines' ./shared/wiring/lambda/background

## fuzz: look for inputs that break the invariants, for the time T per target [T=60s]
fuzz: T ?= 60s
fuzz:
	@packages=$$(go list ./...) || exit 1; for package in $$packages; do \
		targets=$$(go test -list '^Fuzz' $$package) || { echo "$$targets"; exit 1; }; \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(T) -fuzzminimizetime 10x $$package || { \
				echo "the input is in testdata/fuzz/$$target of $$package: commit it with the fix, and make test will run it"; exit 1; }; \
		done; \
	done

## e2e: deploy to an emulator or a real account, as the environment says, test everything, delete it (needs Python)
e2e: $(PYTHON)/bin/sam $(PYTHON)/bin/aws
	SAM='$(CURDIR)/$(PYTHON)/bin/sam' go test -count=1 -timeout 20m -v ./shared/lab/e2e

## bench: measure the built functions, and bare ones for comparison [ROUNDS=15] [AGREEMENTS=1000000] [ONLY=cold,warm]; PROFILE=folder: profiles
bench:
	@CGO_ENABLED=0 go build -trimpath -o .build/bench ./shared/lab/bench
	@exec .build/bench -rounds '$(or $(ROUNDS),15)' -agreements '$(or $(AGREEMENTS),1000000)' -only '$(ONLY)' -profile '$(PROFILE)'

## sim: simulate SEEDS=10000 worlds with failures, every schedule of two copies; SEED=n [TEST=…]: one world
SEEDS ?= 10000
sim:
	go test -count=1 -timeout 10h -v ./shared/lab/sim $(if $(SEED),-run '^$(or $(TEST),TestSeeds)$$' -seed $(SEED),-seeds $(SEEDS) -all)

## mutants: plant mistakes in the code, and expect a test that fails for each [PLANT=all]; PLANT=0 to 9: template, wiring and a tenth
mutants:
	go test -count=1 ./shared/lab/template -run TestEveryValueMatters -sweep
	go test -count=1 -timeout 3h -v ./shared/lab/mutants -run TestMistakesAreFound -plant '$(or $(PLANT),all)'

## soak: let real processes and engines fail for MINUTES=60, while vendors send; SEED=n repeats the choices
soak:
	go test -count=1 -timeout 10h -v ./shared/lab/soak -run TestSoak -minutes $(or $(MINUTES),60) $(if $(SEED),-seed $(SEED))

## generate: rewrite the vendors' sections of template.yaml, after a change of a vendor or of shared/lab/template/vendors.tmpl
generate:
	@go test -count=1 ./shared/lab/template -run TestGeneratedSectionsAreCurrent -update

## check: check formatting, run the linters, look for known vulnerabilities, validate the template (needs Python)
check: format vet staticcheck vulnerabilities template

format:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }

vet:
	go vet -tags stacks ./...
	go vet ./functions/esignhooks

staticcheck:
	go run $(STATICCHECK) -tags stacks -checks all,-ST1000,-ST1003,-ST1022 ./...
	go run $(STATICCHECK) -checks all,-ST1000,-ST1003,-ST1022 ./functions/esignhooks

# The check is of the toolchain in go.mod. If the database cannot be reached, the Go module proxy has it too, some weeks
# old. A vulnerability that is found fails the check.
vulnerabilities: export GOTOOLCHAIN := auto
vulnerabilities:
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json 2>/dev/null; then go run $(GOVULNCHECK) -tags stacks ./...; \
	else module=$$(go mod download -json $(VULNDB)) || { echo "$$module" >&2; exit 1; }; \
	echo "govulncheck: https://vuln.go.dev cannot be reached; the module has $$(echo "$$module" | sed -n 's/.*"Version": "\(.*\)",/\1/p')"; \
	go run $(GOVULNCHECK) -db "file://$$(echo "$$module" | sed -n 's/.*"Dir": "\(.*\)",/\1/p')/data/osv" -tags stacks ./... ; fi

template: $(PYTHON)/bin/sam $(CHECKOV)/bin/checkov
	$(PYTHON)/bin/cfn-lint template.yaml
	$(PYTHON)/bin/python shared/lab/template/lint.py template.yaml .build/transformed
	$(CHECKOV)/bin/python shared/lab/template/security.py .build/transformed .checkov.yaml shared/docs
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(PYTHON)/bin/sam validate --lint

$(PYTHON)/bin/sam $(PYTHON)/bin/aws:
	python3 -m venv $(PYTHON)
	$(PYTHON)/bin/pip install -q --disable-pip-version-check aws-sam-cli==1.170.0 cfn-lint==1.58.0 awscli==1.46.3

$(CHECKOV)/bin/checkov:
	python3 -m venv $(CHECKOV)
	$(CHECKOV)/bin/pip install -q --disable-pip-version-check checkov==3.3.30 parliament==1.6.4

help:
	@sed -n 's/^## \([a-z0-9-]*\): /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
