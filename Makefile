# `make test` is what CI runs. It installs what is missing (Debian packages, npm
# packages, the linter) and then runs everything; `go test ./...` alone needs Go only.
GOLANGCI_VERSION := v2.15.0
TOOLS            := $(CURDIR)/.tools
LINT             := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
INTEROP          := internal/interop/node
BENCH            := examples/bench/node

.PHONY: build run test check vet lint unit deps deb npm bench fuzz clean

build:
	go build -trimpath -o bin/posthouse .

run:
	go run .

test: deps vet lint unit

check: vet lint
	go test -race ./...

vet:
	go vet ./...

lint: $(LINT)
	$(LINT) run ./...

# The timeout is for the whole of a package: some start clusters and browsers.
unit:
	POSTHOUSE_TEST_ALL=1 go test -race -timeout 15m ./...

$(LINT):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

deps: deb npm

deb:
	.ci/packages redis-server nginx chromium nodejs npm fonts-noto-cjk

npm: $(INTEROP)/node_modules/.package-lock.json

$(INTEROP)/node_modules/.package-lock.json: $(INTEROP)/package-lock.json
	cd $(INTEROP) && npm ci --no-audit --no-fund
	touch $@

bench: npm
	go run ./examples/bench

# Ten minutes for each decoder.
fuzz:
	.ci/fuzz 10m

clean:
	rm -rf bin $(TOOLS)
