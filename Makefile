# SPDX-License-Identifier: Apache-2.0
#
# `make demo` and `make test` need Python 3.11 or newer and make. They install everything else in
# .venv, from pinned and hashed requirements. `make help` lists all targets.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:

PYTHON ?= python3
# Number of xdist workers: one for each core.
WORKERS ?= auto
# Set to measure branch coverage: make test COVERAGE=1
COVERAGE ?=
# The rounds and the seed of `make fuzz`.
ROUNDS ?= 20000
SEED ?= 1

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
STAGE := $(BIN)/python scripts/stage.py
LOCK := .build/lock
MUTATION := .build/mutation
# Arguments of `make mutation`, such as "gate/rules/license.py" or "--again". Default: all files.
MUTATE ?=
COMPILE := $(LOCK)/bin/uv --quiet pip compile --universal --python-version 3.11 \
	--generate-hashes --no-header --no-annotate --no-strip-extras --upgrade

.PHONY: help demo test interop interop-docs bench bench-keyless fuzz mutation format-check lint prose \
	types contracts unit format lock reference resign docs clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

# --- for users ---------------------------------------------------------------------------------

demo: $(READY) ## sign, release and verify a copy of model/ with a fresh key, and tamper with it
	@$(BIN)/python scripts/demo.py

test: format-check lint types contracts unit ## run all checks that need only Python

interop: $(READY) ## verify our signatures with other clients, and theirs with ours; needs Go and Node.js
	@$(STAGE) peers $(BIN)/python -m tests.interop.peers
	@$(STAGE) interop $(BIN)/python -m pytest tests/interop -m interop

interop-docs: $(READY) ## write the page on which clients verify what; needs Go and Node.js
	@$(BIN)/python -m tests.interop.page

bench: $(READY) ## print speed and memory ratios as a Markdown table; needs openssl and 9 GB of disk
	@$(BIN)/python -m tests.benchmarks

mutation: $(MUTATION)/.ready ## break the rules in one place at a time, and run the tests; MUTATE=FILE
	@$(MUTATION)/bin/python -m tests.mutation $(MUTATE)

bench-keyless: $(READY) ## sign a thousand rows with an identity, compared with `sigstore`; needs Go
	@$(STAGE) peers $(BIN)/python -m tests.interop.peers
	@$(BIN)/python -m tests.benchmarks.keyless

fuzz: $(READY) ## fuzz the readers of hostile documents: make fuzz ROUNDS=20000 SEED=2
	@FUZZ_ROUNDS=$(ROUNDS) FUZZ_SEED=$(SEED) $(BIN)/python -m pytest -q tests/fuzz -n $(WORKERS)

# --- the stages of `make test` -----------------------------------------------------------------

format-check: $(READY) ## check the formatting
	@$(STAGE) format $(BIN)/ruff format --check

lint: $(READY) prose ## run ruff, and find phrases that mark unidiomatic prose
	@$(STAGE) lint $(BIN)/ruff check

prose: $(READY) ## find phrases that mark unidiomatic prose
	@$(STAGE) prose $(BIN)/python scripts/check_prose.py

types: $(READY) ## run mypy --strict, also on the tests
	@$(STAGE) types $(BIN)/mypy

contracts: $(READY) ## check that modules import only from lower layers
	@$(STAGE) contracts $(BIN)/lint-imports

TESTS := -m pytest -q -n $(WORKERS) --durations=10 --ignore=tests/interop --ignore=tests/benchmarks

ifneq ($(filter-out 0,$(COVERAGE)),)
# Child processes write coverage data of their own (`patch = subprocess` in pyproject.toml).
unit: $(READY) ## run the tests; COVERAGE=1 with branch coverage and its floor
	@$(BIN)/coverage erase
	@$(STAGE) tests $(BIN)/coverage run $(TESTS)
	@$(BIN)/coverage combine --quiet
	@$(STAGE) coverage $(BIN)/coverage report
else
unit: $(READY)
	@$(STAGE) tests $(BIN)/python $(TESTS)
endif

# --- for maintainers ---------------------------------------------------------------------------

format: $(READY) ## format the code and sort its imports
	@$(BIN)/ruff check --select I --fix
	@$(BIN)/ruff format

docs: $(READY) ## write the generated pages
	@$(BIN)/python scripts/write_docs.py

reference: $(READY) ## make model/ again, byte for byte
	@$(BIN)/python model/export_ensemble_v2_seeds.py --reference

resign: $(READY) ## sign bundles/ again: make resign KEY=path/to/release.key
	@test -n "$(KEY)" || { echo "make resign KEY=path/to/release.key (outside the repository)" >&2; exit 2; }
	@$(BIN)/provenance release --signer "file:$(KEY)"

lock: $(LOCK)/.ready ## pin the newest versions that pyproject.toml allows
	@$(COMPILE) pyproject.toml --output-file requirements/run.txt
	@$(COMPILE) pyproject.toml --extra run --extra layout --group dev requirements/build.in \
		--constraints requirements/run.txt --output-file requirements/dev.txt
	@$(COMPILE) requirements/bench.in --output-file requirements/bench.txt
	@$(COMPILE) requirements/dev.txt requirements/mutation.in --no-emit-package yattag \
		--output-file requirements/mutation.txt
	@$(COMPILE) requirements/lock.in --output-file requirements/lock.txt

clean: ## remove everything that was built, including .venv
	rm -rf $(VENV) .build build dist htmlcov .coverage .coverage.* \
		.hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

# --- set-up ------------------------------------------------------------------------------------

# A stamp file, so that a second run does nothing. It is in .venv and is removed with it.
$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) scripts/environment.py $(VENV) --requirements requirements/dev.txt --project .
	@touch $@

$(LOCK)/.ready: requirements/lock.txt
	@$(PYTHON) scripts/environment.py $(LOCK) --requirements requirements/lock.txt
	@touch $@

$(MUTATION)/.ready: requirements/mutation.txt pyproject.toml
	@$(PYTHON) scripts/environment.py $(MUTATION) --requirements requirements/mutation.txt --project .
	@touch $@
