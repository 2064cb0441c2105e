# `make help` lists what there is.  Everything below needs root on Debian 12 or Ubuntu 24.04.

PYTHON := .venv/bin/python
PREFIX := /usr/local
DESTDIR :=

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

.PHONY: run
run: ## Install what is missing, build, and run a container that shows itself.
	@scripts/setup.sh run
	@$(PYTHON) -m scripts.build
	@$(PYTHON) -m scripts.demo

.PHONY: test
test: ## Install what is missing, build, lint, and run all tests.
	@scripts/setup.sh test
	@$(PYTHON) -m scripts.build
	@scripts/test.sh $(TESTS)

.PHONY: test-vm
test-vm: ## Run the tests that need another kernel, in a virtual machine (TESTS= as for test).
	@scripts/setup.sh vm
	@$(PYTHON) -m scripts.build
	@scripts/test_vm.sh $(TESTS)

.PHONY: bench
bench: ## Measure this runtime beside runc and gVisor's runsc (BENCH="--quick ..." for options).
	@scripts/setup.sh test
	@$(PYTHON) -m scripts.build
	@$(PYTHON) -m scripts.bench $(BENCH)

.PHONY: install
install: ## Install bin/runsc and its private library below $(DESTDIR)$(PREFIX).
	@scripts/setup.sh build
	@$(PYTHON) -m scripts.build
	@$(PYTHON) -m scripts.install "$(DESTDIR)$(PREFIX)"

.PHONY: build
build: setup ## Compile: C extensions, then sentry and netstack with mypyc.
	@$(PYTHON) -m scripts.build

.PHONY: dev
dev: setup ## Build the C extensions only; bin/runsc then runs the Python sources.
	@$(PYTHON) -m scripts.build extensions
	@rm -f build/compiled/manifest

.PHONY: setup
setup: ## Install what building needs (Debian packages, .venv).
	@scripts/setup.sh build

.PHONY: lint
lint: setup ## Check style, types, layers, sizes and generated files.
	@$(PYTHON) -m scripts.lint

.PHONY: format
format: setup ## Rewrite the sources in the house format.
	@.venv/bin/ruff check --fix --quiet; .venv/bin/ruff format

.PHONY: generate
generate: setup ## Rewrite the generated files.
	@$(PYTHON) -m scripts.generated --write

.PHONY: rootfs
rootfs: ## Make the root file systems of the tests (in .cache, once).
	@scripts/setup.sh test
	@$(PYTHON) -m scripts.rootfs

.PHONY: clean
clean: ## Remove what was built (root file systems stay in .cache, packages in .venv).
	rm -rf build
	find config netstack runsc sentry -name '*.so' -delete
	find . -name __pycache__ -not -path './.venv/*' -not -path './.cache/*' -prune -exec rm -rf {} +
