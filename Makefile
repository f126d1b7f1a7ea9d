# GNU make 4.3, Go and git; docker for the image.

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
LDFLAGS  = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)

GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.8.0
FUZZTIME      = 10s

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/podsignal: static, stripped, with its version
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/podsignal ./cmd/podsignal

.PHONY: demo
demo: ## watch three swaps reload nginx on this machine, in 4 s and without a cluster
	@$(MAKE) --silent --no-print-directory build
	@go build -o bin/ ./examples/greeter ./examples/demo
	@bin/demo -podsignal bin/podsignal -greeter bin/greeter

.PHONY: test
test: ## run all tests, with the race detector, in a random order
	go test -race -shuffle=on $(TESTFLAGS) ./...

# A program that fails under `go run` has its exit status replaced by 1, so what
# govulncheck said must tell findings from data that it could not fetch.
.PHONY: lint
lint: ## look for mistakes and known vulnerabilities
	go run $(GOLANGCI_LINT) run
	@out=$$(go run $(GOVULNCHECK) ./... 2>&1) && status=0 || status=$$?; \
	printf '%s\n' "$$out"; \
	case $$out in \
	*'govulncheck: fetching vulnerabilities:'*) \
		echo 'lint: vulnerabilities were not looked for: their data cannot be reached from here' ;; \
	*) exit $$status ;; \
	esac

.PHONY: fuzz
fuzz: ## fuzz each parser, for FUZZTIME (10s)
	@for pkg in $$(go list ./...); do \
		list=$$(go test -list '^Fuzz' $$pkg) || { printf '%s\n' "$$list"; exit 1; }; \
		for name in $$(printf '%s\n' "$$list" | grep '^Fuzz'); do \
			echo "$$pkg $$name"; \
			go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

# SEED repeats the choices of a run that has failed; it is printed by each.
SOAK ?= 10m

.PHONY: soak
soak: ## cause random faults for SOAK (10m), and check what is promised
	SOAK=$(SOAK) SEED=$(SEED) go test -tags soak -run '^TestSoak$$' -count=1 -timeout 0 -v ./cmd/podsignal

# Its variables are in examples/e2e/README.md. It takes a minute where the kubelet looks
# at volumes every 5 s, and about 4 where it does so once a minute, as by default.
.PHONY: e2e
e2e: ## run examples on kubectl's present cluster, in the namespace E2E_NAMESPACE
	go test -tags e2e -run '^TestE2E$$' -count=1 -timeout 20m -v ./examples/e2e

# GOPROXY without a value is docker's way to say: from the environment, if set.
.PHONY: image
image: ## build the image podsignal:VERSION
	docker build --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) --build-arg GOPROXY \
		-t podsignal:$(VERSION) .

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
