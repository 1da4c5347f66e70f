# make demo   set-up and the whole pipeline on a synthetic cohort, on CPU
# make test   set-up, lint and the whole test suite
# make lint   formatting, static checks and types
# make types  the types of the package
# make docs   the documentation as a site, in build/site
# make mutants   how many changes of the arithmetic the tests notice (an hour; see CONTRIBUTING.md)
SHELL := /bin/bash
.DELETE_ON_ERROR:

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
DEMO ?= demo
# Processes that share the tests, file by file; tests/conftest.py gives each one thread.
JOBS ?= 2
PYTEST := $(BIN)/python -m pytest --numprocesses $(JOBS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-fast lint types docs mutants clean
.DEFAULT_GOAL := test

# Installed once; again only when what is installed changes. torch is not pinned to a build: see docs/installation.md.
$(READY): setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.10 or newer is needed, found " + sys.version.split()[0] + "; set PYTHON=python3.12, say" if sys.version_info < (3, 10) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade "pip>=24"
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test]"
	touch $@

demo: $(READY)
	$(BIN)/nnunet_fair demo -o $(DEMO)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(MAKE) --no-print-directory types

# The package as it is installed, out of links: dataset_conversion/ and plans/ stand inside it (see setup.cfg).
types: $(READY)
	rm -rf build/types && mkdir -p build/types
	cp -rs $(CURDIR)/nnunet_fair build/types/ && cp -rs $(CURDIR)/dataset_conversion $(CURDIR)/plans build/types/nnunet_fair/
	cd build/types && $(CURDIR)/$(BIN)/mypy --config-file $(CURDIR)/pyproject.toml --cache-dir ../.mypy_cache -p nnunet_fair

docs: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

test: lint
	$(PYTEST) --durations=15

test-fast: lint
	$(PYTEST) -m "not slow"

# Begins where it was stopped; only what changed is tried again. What may survive: CONTRIBUTING.md.
mutants: $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[mutants]"
	OMP_NUM_THREADS=1 nice $(BIN)/mutmut run --max-children 1
	$(BIN)/mutmut results

clean:
	rm -rf $(VENV) $(DEMO) build mutants *.egg-info
