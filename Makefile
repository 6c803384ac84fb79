# `make test` is what CI runs. It installs what is missing (Debian packages, npm
# packages, the linter) and then runs everything; `go test ./...` alone needs Go only.
GOLANGCI_VERSION := v2.15.0
TOOLS            := $(CURDIR)/.tools
LINT             := $(TOOLS)/golangci-lint-$(GOLANGCI_VERSION)
INTEROP          := internal/interop/node
BENCH            := examples/bench/node

.PHONY: build run test check vet lint unit deps deb npm bench conformance-peers fuzz chaos chaos-mutations soak readers vuln module release release-check image clean

build:
	go build -trimpath -o bin/posthouse .

run:
	go run .

test: deps vet lint unit

# Installs nothing on the system: what needs more than Go is skipped, and named.
check: vet lint vuln
	go test -race ./...
	.ci/fuzz 30s

vet:
	go vet ./...

lint: $(LINT)
	$(LINT) run ./...

# The timeout is for the whole of a package: some start clusters and browsers. Nothing
# comes from the cache: it does not know of the binaries that tests build and run. Twice as
# many packages as processors run side by side: many wait for time-outs and other programs.
unit:
	POSTHOUSE_TEST_ALL=1 go test -race -count=1 -timeout 20m -p $$((2 * $$(nproc))) ./...
	cd examples/embed && go vet -tags nomsgpack ./... && go test -tags nomsgpack ./...
	cd examples/bench/zishang && go vet ./...
	cd examples/bench/gws && go vet ./...

$(LINT):
	mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(TOOLS)/golangci-lint $@

deps: deb npm

deb:
	.ci/packages redis-server nginx haproxy prometheus chromium nodejs npm python3 fonts-noto-cjk

npm: $(INTEROP)/node_modules/.package-lock.json

$(INTEROP)/node_modules/.package-lock.json: $(INTEROP)/package-lock.json
	cd $(INTEROP) && npm ci --no-audit --no-fund
	touch $@

# Ours beside Node's, Bun's, zishang520's and gws: every group, about half an hour; the figures of docs/performance.md come from here.
bench: deb npm $(BENCH)/node_modules/.package-lock.json
	go run ./examples/bench -all -svg examples/bench/ratios.svg -svgs examples/bench -markdown docs/performance.md
	go test -run '^$$' -bench 'Hook_Event|API_Emit' -benchtime 5s ./internal/interop/backend

$(BENCH)/node_modules/.package-lock.json: $(BENCH)/package-lock.json
	cd $(BENCH) && npm ci --no-audit --no-fund
	touch $@

# The forty behaviours of docs/conformance.md: ours beside Node's and zishang520's, three minutes.
# PEERS="-peer mine=COMMAND" adds another server.
conformance-peers: deb npm
	cd examples/bench/zishang && go build -o $(CURDIR)/bin/zishang-conformance ./conformance
	go test -count=1 -v -run TestBehaviours_Peers ./internal/interop/protocol -args -peer zishang=$(CURDIR)/bin/zishang-conformance $(PEERS)

# Ten minutes for each decoder.
fuzz:
	.ci/fuzz 10m

# The fault and abuse matrices of docs/reliability.md, an hour at most: docs/chaos.md.
chaos: deps
	go run ./internal/interop/chaos

# Breaks the rule that each row guards, and expects the row to turn red.
chaos-mutations: deps
	go run ./internal/interop/chaos -mutations

# Churn, logins and a random fault every minute; the slopes of memory, goroutines and descriptors.
soak: deps
	go run ./internal/interop/chaos -soak $(or $(DURATION),8h)

# The library's tests on 1, 2 and 4 cores, with the event loop and with a goroutine for each connection.
readers: npm
	go test -count=1 -cpu 1,2,4 ./socketio/...
	go test -count=1 -cpu 1,2,4 -tags goroutinereaders ./socketio/...

# A finding fails; a database that cannot be reached is said loudly.
vuln:
	.ci/vuln

# Gives the module a path that go get can fetch: make module MODULE=example.org/you/posthouse
module:
	.ci/module "$(MODULE)"

# Writes a container image below dist, without a container engine.
image:
	.ci/image

# Checks .goreleaser.yaml and builds archives, deb and rpm below dist, without publishing.
release-check:
	.ci/release-check

# Publishes the tag that is checked out.
release:
	.ci/release

clean:
	rm -rf bin dist $(TOOLS)
