# How `sam build` makes a function: build-<Name>Function compiles functions/<name>. It runs in the root of the
# repository, or in a copy of it without .git: hence no version control stamp, and the same bytes from both. `make bench`
# compiles what it compares them with in the same way, from another folder.

FUNCTIONS = functions

build-%Function:
	CGO_ENABLED=0 GOOS=linux GOARCH=$(GOARCH) GOWORK=off go build -tags lambda.norpc -trimpath -buildvcs=false \
		-ldflags '-s -w -buildid=' -o "$(ARTIFACTS_DIR)/bootstrap" \
		./$(FUNCTIONS)/$(shell echo '$*' | tr '[:upper:]' '[:lower:]')
