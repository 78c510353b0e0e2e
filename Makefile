# `make` alone says what there is. Every command sets up .venv first, which costs nothing when it is there.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Packages are installed without bytecode, which is made as it is needed, and kept: where an environment
# forbids to keep it, every process would compile torch anew.
unexport PYTHONDONTWRITEBYTECODE
# Relative, so that the folder of the clone may have any name.
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# More for the command of a target: make test ARGS="-k pareto", make demo ARGS="--observations 20"
ARGS ?=
# Set, it shortens a benchmark to minutes: make bench-quality QUICK=1
QUICK ?=
# Tests that run side by side, each with a Postgres of its own, on any number of cores: they mostly wait.
# 0 for one after the other.
WORKERS ?= 4
# Which tests `make test` runs; see `markers` in pyproject.toml.
MARKS ?= not slow and not long
# How long `make soak` lasts.
SECONDS ?= 3600

.PHONY: help
help: ## say what there is
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## make .venv and install everything (again only when something changed)
	@scripts/setup.sh

.PHONY: demo
demo: setup ## tune a real network on real data, and print the efficient frontier
	@$(BIN)/tradeoff demo $(ARGS)

.PHONY: test
test: setup ## run the tests, without the slow ones
	@$(PYTEST) -m "$(MARKS)" -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: test-slow
test-slow: setup ## run only the slow tests
	@$(PYTEST) -m "slow or long" $(ARGS)

.PHONY: test-all
test-all: setup ## run all tests
	@$(PYTEST) $(ARGS)

.PHONY: faults
faults: setup ## run every test of faults, each fault for a minute; takes about 25 minutes
	@TRADEOFF_FAULT_SECONDS=60 $(PYTEST) tests/faults --deselect tests/faults/test_soak.py $(ARGS)

.PHONY: soak
soak: setup ## run random faults for a long time: make soak SECONDS=3600
	@TRADEOFF_SOAK_SECONDS=$(SECONDS) $(PYTEST) tests/faults/test_soak.py -s $(ARGS)

.PHONY: lint
lint: setup ## check formatting, style, types, imports between rooms, container files
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml
	@[ ! -x $(BIN)/hadolint ] || $(BIN)/hadolint Dockerfile

.PHONY: docs
docs: setup ## build the site of docs/ into build/site, to be opened without a server
	@NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo build/site/index.html

.PHONY: lock
lock: ## write locks/ anew: what the images are made of, with hashes
	@scripts/supply-chain.sh lock

.PHONY: audit
audit: ## look for known weaknesses of what is locked; asks the package index
	@scripts/supply-chain.sh audit

.PHONY: sbom
sbom: ## list what the images are made of, in dist/sbom-*.json
	@scripts/supply-chain.sh sbom

.PHONY: bench-capacity
bench-capacity: setup ## simulate what large installations need, from measured costs
	@$(BIN)/python -m benchmarks.capacity $(ARGS)

.PHONY: bench-speed
bench-speed: setup ## measure what one suggestion costs, beside BoTorch's stock loop (QUICK=1: minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.speed $(if $(QUICK),--quick) $(ARGS)

.PHONY: bench-quality
bench-quality: setup ## measure how well the engine searches, beside other optimizers (QUICK=1: minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.quality $(if $(QUICK),--quick) $(ARGS)

.PHONY: bench-failures
bench-failures: setup ## measure what learning from failed trainings brings (QUICK=1: minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.failures $(if $(QUICK),--quick) $(ARGS)

.PHONY: bench-parallel
bench-parallel: setup ## measure what many workers cost (QUICK=1: minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.parallel $(if $(QUICK),--quick) $(ARGS)

.PHONY: bench-service
bench-service: setup ## measure the service under load, beside what the machine can do, and Optuna
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.service $(ARGS)

.PHONY: bench-headline
bench-headline: setup ## search beside random search on real trainings; in full for a GPU, ARGS="--scale reduced" for two cores
	@OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.headline $(ARGS)

.PHONY: format
format: setup ## format the code and mend what can be mended
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

.PHONY: clean
clean: ## remove .venv and everything that was made here
	@rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
