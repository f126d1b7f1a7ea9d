# GNU make 4.3, Go and git; docker for the image, and its buildx for image-all.

VERSION ?= 0.1.0
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
BUILD    = github.com/podsignal/podsignal/cmd/internal/build
LDFLAGS  = -s -w -X $(BUILD).Version=$(VERSION) -X $(BUILD).Commit=$(COMMIT)
# The same bytes wherever the sources are, with or without git, as the Dockerfiles have it.
GOBUILD  = CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
BIN     ?= $(CURDIR)/bin
# Leaves HTTP/2 out of net/http, half a MB: podsignal never speaks it. As in the Dockerfile.
TAGS     = nethttpomithttp2

GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
GOVULNCHECK   = golang.org/x/vuln/cmd/govulncheck@v1.8.0
ACTIONLINT    = github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
CRANE         = github.com/google/go-containerregistry/cmd/crane@v0.22.1
FUZZTIME      = 10s

# Modules of their own keep what they import out of podsignal's go.mod. examples/kubelet-writer,
# another one, compiles much of Kubernetes: .ci/run runs it.
MODULES  = . cmd/kubectl-podsignal cmd/release examples/manifests
# Those of them that become programs, and not only tests.
PROGRAMS = . cmd/kubectl-podsignal cmd/release

# in runs a command in each of these modules, and ends with the first that fails. Its
# parentheses must be in pairs, or make takes one for the end of the call.
in = for module in $(1); do ( cd $$module && $(2) ) || exit; done

.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## build bin/podsignal: static, stripped, with its version
	$(GOBUILD) -tags '$(TAGS)' -o $(BIN)/ ./cmd/podsignal

.PHONY: plugin
plugin: ## build bin/kubectl-podsignal, the plugin of kubectl, in the same way
	cd cmd/kubectl-podsignal && $(GOBUILD) -o $(BIN)/ .

.PHONY: demo
demo: ## watch three swaps reload nginx on this machine, in 4 s and without a cluster
	@$(MAKE) --silent --no-print-directory build
	@go build -o bin/ ./examples/greeter ./examples/demo
	@bin/demo -podsignal bin/podsignal -greeter bin/greeter

# Go's cache of results misses the changes of files outside of a module.
.PHONY: test
test: ## run all tests, with the race detector, in a random order
	@$(call in,$(MODULES),\
		if [ $$module != . ]; then fresh=-count=1; fi; \
		go test -race -shuffle=on -timeout 30m $$fresh $(TESTFLAGS) ./...)

# Where the data of vulnerabilities cannot be reached, the rest is looked at all the same.
.PHONY: lint
lint: ## look for mistakes and known vulnerabilities
	@echo 'workflows:' && go run $(ACTIONLINT) .github/workflows/*.yml
	@$(call in,$(MODULES),echo "$$module:" && go run $(GOLANGCI_LINT) run)
	@out=$$($(MAKE) --silent --no-print-directory vulnerabilities 2>&1) && status=0 || status=$$?; \
		printf '%s\n' "$$out"; \
		case $$out in \
		(*'govulncheck: fetching vulnerabilities:'*) \
			echo 'lint: vulnerabilities were not looked for: their data cannot be reached from here' ;; \
		(*) exit $$status ;; \
		esac

.PHONY: vulnerabilities
vulnerabilities: ## look for known vulnerabilities, and fail if their data cannot be reached
	@$(call in,$(PROGRAMS),go run $(GOVULNCHECK) ./...)

.PHONY: fuzz
fuzz: ## fuzz each parser, for FUZZTIME (10s)
	@$(call in,$(MODULES),\
		for pkg in $$(go list ./...); do \
			list=$$(go test -list '^Fuzz' $$pkg) || { printf '%s\n' "$$list"; exit 1; }; \
			for name in $$(printf '%s\n' "$$list" | grep '^Fuzz'); do \
				echo "$$pkg $$name"; \
				go test -run '^$$' -fuzz "^$$name\$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
			done; \
		done)

# SEED repeats the choices of a run that has failed; it is printed by each.
SOAK ?= 10m

.PHONY: soak
soak: ## cause random faults for SOAK (10m), and check what is promised
	SOAK=$(SOAK) SEED=$(SEED) go test -tags soak -run '^TestSoak$$' -count=1 -timeout 0 -v ./cmd/podsignal

# BENCH=short is for CI: it shows that all works, and too little to be figures. BEFORE is the
# path of another build to be compared, SAMPLES a file for benchstat.
BENCH ?= full
BENCHFLAGS_full  = -swaps 200
BENCHFLAGS_short = -swaps 5 -burst 100 -idle 3s -processes 90,5

.PHONY: bench
bench: ## compare podsignal with a floor and the shell, in 10 minutes, or 1 with BENCH=short; as root
	@$(MAKE) --silent --no-print-directory build
	@go build -o bin/bench ./cmd/internal/bench
	@bin/bench -podsignal bin/podsignal $(if $(BEFORE),-before $(BEFORE)) $(if $(SAMPLES),-samples $(SAMPLES)) $(BENCHFLAGS_$(BENCH))

.PHONY: bench-growth
bench-growth: ## measure podsignal with ever more processes, keys, volumes and targets; as root
	@$(MAKE) --silent --no-print-directory build
	@go build -o bin/bench ./cmd/internal/bench
	@bin/bench -podsignal bin/podsignal -growth

# Etcd and the API server are those that .ci/cluster programs builds.
.PHONY: admission
admission: ## try the admission policies on an API server, started on this machine
	go test -tags admission -count=1 -timeout 20m -v ./cmd/internal/admission

# Its variables are in examples/e2e/README.md. It took 2 to 5 minutes on a machine with 2
# cores, where the kubelet looks at volumes every 5 s.
.PHONY: e2e
e2e: ## run examples on kubectl's present cluster, in the namespace E2E_NAMESPACE
	go test -tags e2e -run '^TestE2E$$' -count=1 -parallel 8 -timeout 40m -v ./examples/e2e

# The name of the image, with its registry if it is to be pushed.
IMAGE ?= podsignal
# The time of the commit, not of the build, is that of the files in the image.
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null || echo 0)
# GOPROXY without a value is docker's way to say: from the environment, if set.
BUILD_ARGS = --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) \
	--build-arg SOURCE_DATE_EPOCH=$(SOURCE_DATE_EPOCH) --build-arg GOPROXY

.PHONY: image
image: ## build the image podsignal:VERSION
	docker build $(BUILD_ARGS) -t $(IMAGE):$(VERSION) .

PLUGIN_IMAGE ?= kubectl-podsignal

.PHONY: image-plugin
image-plugin: ## build the image kubectl-podsignal:VERSION
	docker build $(BUILD_ARGS) -f cmd/kubectl-podsignal/Dockerfile -t $(PLUGIN_IMAGE):$(VERSION) .

# Docker's classic store keeps one architecture under a tag, so each gets its own; a
# registry keeps both under one. A provenance would hold the time of the build.
BUILDX = docker buildx build --load --provenance=false $(BUILD_ARGS)

.PHONY: image-all
image-all: ## build it for amd64 and arm64; with PUSH=1 push both, as one, to IMAGE
	@docker buildx version >/dev/null 2>&1 || { \
		echo 'image-all: docker has no buildx: install its package docker-buildx-plugin or docker-buildx'; exit 1; }
	$(BUILDX) --platform linux/amd64 -t $(IMAGE):$(VERSION)-amd64 .
	$(BUILDX) --platform linux/arm64 -t $(IMAGE):$(VERSION)-arm64 .
ifdef PUSH
	docker push $(IMAGE):$(VERSION)-amd64
	docker push $(IMAGE):$(VERSION)-arm64
	docker buildx imagetools create -t $(IMAGE):$(VERSION) $(IMAGE):$(VERSION)-amd64 $(IMAGE):$(VERSION)-arm64
endif

DIST ?= $(CURDIR)/dist

.PHONY: release-dry-run
release-dry-run: ## build all that a release has into dist/, without Docker, and publish nothing
	rm -rf $(DIST)
	@go -C cmd/release build -o $(CURDIR)/bin/release .
	bin/release -version $(VERSION) -commit $(COMMIT) -time $(SOURCE_DATE_EPOCH) $(DIST)

# The login is that of docker login.
.PHONY: release-push
release-push: ## push the images in dist/ to REGISTRY, each for all its architectures
	@: $${REGISTRY:?is the registry with the folder of the images, such as registry.example/podsignal}
	@layout=$$(mktemp -d) && trap 'rm -rf "$$layout"' EXIT && \
	for archive in $(DIST)/*.oci.tar; do \
		image=$$(basename "$$archive" .oci.tar) && mkdir "$$layout/$$image" && \
		tar -xf "$$archive" -C "$$layout/$$image" && \
		go run $(CRANE) push "$$layout/$$image" "$$REGISTRY/$$image:$(VERSION)" || exit; \
	done

.PHONY: clean
clean: ## remove what was built
	rm -rf bin dist
