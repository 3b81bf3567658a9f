# Targets for people; `sam build` has its own in .sam. `make help` lists them.

.DEFAULT_GOAL := help
.PHONY: run send test check format vet staticcheck vulnerabilities template help gateway

GATEWAY := .build/local
PYTHON  := .build/python
RACE    := $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race)# the race detector needs a C compiler

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

## test: all tests; without Java, Maven and Python those of the AWS drivers are skipped
test:
	go test $(RACE) ./...

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
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' $(MAKEFILE_LIST) | expand -t 8
