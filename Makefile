# artifact-store: `make help` lists what there is. Nothing here needs more than Python 3.11+ and make;
# `make test` and `make conformance` also build real clients with Go where it is installed.

VENV := .venv
BIN := $(VENV)/bin
DATA ?= ./data
LISTEN ?= 127.0.0.1:5000

# The newest Python at hand that is 3.11 or later; PYTHON=... chooses another.
PYTHON ?= $(firstword $(foreach name,python3.14 python3.13 python3.12 python3.11 python3,$(shell \
	$(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))

# A stamp is made anew when what it was installed from changes, so that a second run costs nothing.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
PYTEST := $(BIN)/python -m pytest

.PHONY: help setup dev serve check test conformance soak bench bench-smoke lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(RUN_STAMP) ## create .venv and install what the server needs

serve: $(RUN_STAMP) ## run the registry on 127.0.0.1:5000, data in ./data (LISTEN=, DATA=)
	$(BIN)/artifact-store serve --data $(DATA) --listen $(LISTEN)

dev: $(DEV_STAMP) ## install what checks and tests need as well

check: $(DEV_STAMP) ## lint, types, import rules, unit tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) tests -n auto -m "not slow"

test: $(DEV_STAMP) ## everything: check's steps, the pinned real clients, all tests (REQUIRE=all: a skip fails)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m conformance.clients.install
	$(PYTEST) tests conformance -n auto --dist loadfile

conformance: $(DEV_STAMP) ## suites and real clients against a server; writes the tables of conformance/README.md (REPLICAS=3)
	$(BIN)/python -m conformance.clients.install
	WRITE_TABLE=1 REPLICAS=$(or $(REPLICAS),0) $(PYTEST) conformance

CYCLES ?= 300
MINUTES ?= 10
POWER ?= 3
OUTAGES ?= 1

soak: $(DEV_STAMP) ## faults at length: kills, power loss, all at once, outages (CYCLES=, MINUTES=, POWER=, OUTAGES=, SEED=; JSON=file)
	$(BIN)/python -m tests.faults.soak --cycles $(CYCLES) --minutes $(MINUTES) --power $(POWER) \
		--outages $(OUTAGES) $(if $(SEED),--seed $(SEED)) $(if $(JSON),--json $(JSON))

bench: $(DEV_STAMP) ## measure beside other registries, an hour at most; goes on where it was broken off
	$(BIN)/python -m conformance.clients.install
	$(BIN)/python -m conformance.peers

bench-smoke: $(DEV_STAMP) ## a little of that, in minutes
	$(BIN)/python -m conformance.clients.install
	$(BIN)/python -m conformance.peers --smoke --fresh

# The lock for the server holds the same versions as the one for development, and less.
COMPILE = $(UV) pip compile pyproject.toml --universal --python-version 3.11 --no-emit-index-url \
	--generate-hashes --no-annotate --no-header --quiet
UV ?= $(or $(shell command -v uv),$(VENV)/bin/uv)

lock: $(DEV_STAMP) ## write requirements.lock and requirements-serve.lock anew
	test -x "$(UV)" || $(PIP) install uv
	$(COMPILE) --extra dev --upgrade --output-file requirements.lock
	$(COMPILE) --extra postgresql --extra s3 --extra nats --extra kafka --constraint requirements.lock --output-file requirements-serve.lock

clean: ## remove what was installed and cached; data stays
	rm -rf $(VENV) .tools dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .schemathesis
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "artifact-store needs Python 3.11 or newer; none is on PATH." \
		"Install one, or name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "$(PYTHON) cannot make virtual environments;" \
		"on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(RUN_STAMP): requirements-serve.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements-serve.lock
	$(PIP) install --no-deps --editable .
	@touch $@

$(DEV_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --editable .
	@touch $@ $(RUN_STAMP)
