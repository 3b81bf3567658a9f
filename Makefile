# make help lists the targets.

.DEFAULT_GOAL := help

GATEWAY := .build/local
RACE    := $(if $(shell command -v $$(go env CC)),-race)

## run: all functions on localhost with an embedded store (PORT=3000, DATA=.local)
run: gateway
	@exec $(GATEWAY)

## send: send a fresh, genuine request: PROVIDER=docusign EVENT=envelope-completed [AGREEMENT=id] [URL=https://…]
send: gateway
	@$(GATEWAY) send -provider '$(PROVIDER)' -event '$(EVENT)' -agreement '$(AGREEMENT)' -url '$(URL)'

.PHONY: gateway
gateway:
	@CGO_ENABLED=0 go build -trimpath -o $(GATEWAY) ./functions/local

help:
	@sed -n 's/^## \([a-z-]*\): /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
