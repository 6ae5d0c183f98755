# Everything here needs only Python 3.11+, make and a package index.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: install demo serve test check bench faults references clean

install: $(STAMP)

$(STAMP): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("gtgateway needs Python 3.11 or newer, found " + sys.version.split()[0]) if sys.version_info < (3, 11) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	touch $(STAMP)

demo: install  ## watch real plans travel from a hospital to a municipality (ONCE=1 ends by itself)
	$(BIN)/gtgateway demo $(if $(ONCE),--once)

serve: install  ## the gateway in development mode, on loopback
	$(BIN)/gtgateway serve --dev

test: install  ## the test suite
	$(BIN)/python -m pytest -n auto --cov --cov-report=term:skip-covered

check: install  ## format, lint, types, fresh references, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m gtgateway.docs --check
	$(MAKE) test

references: install  ## write docs/reference anew
	$(BIN)/python -m gtgateway.docs

bench: install  ## the gateway against the floor and the afternoon version, in one run (QUICK=1: under 45 s)
	$(BIN)/python -m benchmarks $(if $(QUICK),--quick)

faults: install  ## thousands of plans while everything is killed and every peer misbehaves (QUICK=1: under a minute)
	$(BIN)/python -m tests.faults $(if $(QUICK),--quick)

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
