# make run, make test: all that a new machine needs (Debian 12, Python 3.11 with venv, make).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTS ?= tests
JOBS ?= auto
RUN_ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install run test check bench docs soak lock clean

help:
	@echo "make run     start groundglass on this machine (RUN_ARGS=... for options of serve)"
	@echo "make test    the whole suite        make check   style, types, imports, docs"
	@echo "make bench   figures, each beside a peer        make soak    long fuzz, crash and load runs"
	@echo "make docs    reference pages from the code      make lock    new dependency locks"

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' \
	  || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null \
	  || { echo "this Python cannot make an environment: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: requirements.txt pyproject.toml | $(VENV)/pyvenv.cfg
	$(BIN)/python -m pip install --quiet --require-hashes --only-binary :all: -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-dev.txt
	@touch $@

install: $(VENV)/.run

run: install
	$(BIN)/groundglass serve $(RUN_ARGS)

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m "not soak" $(TESTS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/python -m pytest -q tests/test_architecture.py tests/test_docs.py tests/test_translations.py

soak: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) -m soak --timeout 7200 $(TESTS)

bench: $(VENV)/.dev
	$(BIN)/python -m bench

docs: $(VENV)/.dev
	$(BIN)/python tools/make_docs.py

lock: $(VENV)/.dev
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-find-links --no-emit-index-url \
	  --no-emit-trusted-host --extra build --extra dev --output-file requirements-dev.txt pyproject.toml
	$(BIN)/pip-compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-emit-find-links --no-emit-index-url \
	  --no-emit-trusted-host --extra build --constraint requirements-dev.txt --output-file requirements.txt pyproject.toml

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
