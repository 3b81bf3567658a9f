# Targets for people; `sam build` has its own in .sam. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: run send urls register registered logs inspect redrive replay archive test faults sim e2e bench check format vet staticcheck vulnerabilities template help gateway operator

STACK ?= esignhooks

GATEWAY  := .build/local
OPERATOR := .build/operator
PYTHON   := .build/python
RACE     := $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race)# the race detector needs a C compiler

STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0

## run: all functions on localhost with an embedded store (PORT=3000, DATA=.local)
run: gateway
	@exec $(GATEWAY)

## send: send a fresh, signed request: PROVIDER=docusign EVENT=envelope-completed [AGREEMENT=id] [URL=of the webhook]
send: gateway
	@exec $(GATEWAY) send -provider '$(PROVIDER)' -event '$(EVENT)' -agreement '$(AGREEMENT)' -url '$(URL)'

gateway:
	@CGO_ENABLED=0 go build -trimpath -o $(GATEWAY) ./functions/local

# What follows acts on the stack STACK with your AWS credentials, or with STACK=localhost on the gateway's store.
ifeq ($(STACK),localhost)
OPERATE  := $(GATEWAY)
operated := gateway
deployed  = $(error STACK=localhost: make run prints the URLs and the logs to its terminal)
else
OPERATE   = $(OPERATOR) -stack '$(STACK)'
operated := operator
endif

## urls: what to register at each vendor, with the URLs' secret tokens [STACK=esignhooks, here and below]
urls: operator
	@$(deployed)exec $(OPERATE) urls

## register: what PROVIDER=docusign must be told so that it calls the stack; APPLY=1 tells it [URL=of a tunnel] [STACK=localhost]
register: $(operated)
	@exec $(OPERATE) register -provider '$(PROVIDER)' -url '$(URL)' $(if $(filter 1,$(APPLY)),-apply)

## registered: whom the vendors call, and whether that is healthy [PROVIDER=docusign] [URL=of a tunnel] [STACK=localhost]
registered: $(operated)
	@exec $(OPERATE) registered -provider '$(PROVIDER)' -url '$(URL)'

## logs: follow the functions' logs
logs: operator
	@$(deployed)exec $(OPERATE) logs

## inspect: an agreement and its history: PROVIDER=docusign ID=id [STACK=localhost]
inspect: $(operated)
	@exec $(OPERATE) inspect -provider '$(PROVIDER)' -id '$(ID)'

## redrive: process the dead letters again, also the archiver's, publish what could not be published [STACK=localhost]
redrive: $(operated)
	@exec $(OPERATE) redrive

## replay: publish again: PROVIDER=docusign ID=id, or FROM=2026-11-02 TO=2026-11-03T12:00:00Z; REBUILD=1 only checks [STACK=localhost]
replay: $(operated)
	@exec $(OPERATE) replay -provider '$(PROVIDER)' -id '$(ID)' -from '$(FROM)' -to '$(TO)' $(if $(REBUILD),-rebuild)

## archive: fetch and store an agreement's documents now: PROVIDER=docusign ID=id [STACK=localhost]
archive: $(operated)
	@exec $(OPERATE) archive -provider '$(PROVIDER)' -id '$(ID)'

operator:
	@CGO_ENABLED=0 go build -trimpath -o $(OPERATOR) ./functions/operator

## test: all tests; without Java, Maven and Python those of the AWS drivers are skipped
test:
	go test $(RACE) ./...

## faults: the AWS drivers on a network that fails (DELIVERIES=10000)
faults:
	DELIVERIES=$(or $(DELIVERIES),10000) go test $(RACE) -count=1 -timeout 30m -v -run 'UnderFaults|NothingIsLost|HangingEngines' ./shared/wiring/lambda/background

## fuzz: look for inputs that break the invariants, T for each target: [T=60s]
fuzz: T ?= 60s
fuzz:
	@for package in $$(go list ./...); do \
		targets=$$(go test -list '^Fuzz' $$package) || { echo "$$targets"; exit 1; }; \
		for target in $$(echo "$$targets" | grep '^Fuzz'); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(T) -fuzzminimizetime 10x $$package || { \
				echo "the input is in testdata/fuzz/$$target of $$package: commit it with the repair, all tests run it from then on"; exit 1; }; \
		done; \
	done

## e2e: deploy to the AWS endpoint of the environment, an emulator or a real account, try everything, delete (needs Python)
e2e: $(PYTHON)/bin/sam
	SAM='$(CURDIR)/$(PYTHON)/bin/sam' go test -count=1 -timeout 20m -v ./shared/lab/e2e

## bench: measure the built functions beside bare ones [ROUNDS=15] [AGREEMENTS=1000000] [ONLY=cold,warm]; PROFILE=folder: profiles
bench:
	@CGO_ENABLED=0 go build -trimpath -o .build/bench ./shared/lab/bench
	@exec .build/bench -rounds '$(or $(ROUNDS),15)' -agreements '$(or $(AGREEMENTS),1000000)' -only '$(ONLY)' -profile '$(PROFILE)'

## sim: simulate SEEDS worlds in which everything fails, every schedule of two copies, and planted mistakes; SEED=n [TEST=…]: one again
SEEDS ?= 20000
sim:
	go test -count=1 -timeout 10h -v ./shared/lab/sim $(if $(SEED),-run '^$(or $(TEST),TestSeeds)$$' -seed $(SEED),-seeds $(SEEDS) -all)

## check: formatting, linters, known vulnerabilities, the template (needs Python)
check: format vet staticcheck vulnerabilities template

format:
	@test -z "$$(gofmt -l .)" || { gofmt -d .; exit 1; }

vet:
	go vet ./...

staticcheck:
	go run $(STATICCHECK) -checks all,-ST1000,-ST1003,-ST1022 ./...

# The database may be out of reach; a vulnerability that is found fails.
vulnerabilities:
	@if curl -fsS -m 10 -o /dev/null https://vuln.go.dev/index/db.json 2>/dev/null; then go run $(GOVULNCHECK) ./...; \
	else echo 'govulncheck: skipped, https://vuln.go.dev cannot be reached'; fi

template: $(PYTHON)/bin/sam
	$(PYTHON)/bin/cfn-lint template.yaml
	SAM_CLI_TELEMETRY=0 AWS_DEFAULT_REGION=us-east-1 $(PYTHON)/bin/sam validate --lint

$(PYTHON)/bin/sam:
	python3 -m venv $(PYTHON)
	$(PYTHON)/bin/pip install -q --disable-pip-version-check aws-sam-cli==1.170.0 cfn-lint==1.58.0

help:
	@sed -n 's/^## \([a-z0-9-]*\): /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
