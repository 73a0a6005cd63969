# The README's two commands, `make demo` and `make test`, and what a contributor needs beside them. `make` lists all.
# Works with the make of Linux and of macOS (GNU make 3.81), with or without uv.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

BIN := .venv/bin
UV := $(shell command -v uv 2>/dev/null)
WORKERS ?= 2
HOME_DIR ?= .tags
OUT ?= out

# The first Python on the PATH that the locked packages have wheels for. `make PYTHON=/path/to/python3.12 ...` names one.
supported = import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.14 python; do \
	$$python -c '$(supported)' >/dev/null 2>&1 && { command -v $$python; break; }; done)

# Checked hashes, no index named: packages come from wherever this machine's pip or uv is set up to look.
ifdef UV
install = $(UV) pip install --quiet --python $(BIN)/python
else
install = { $(BIN)/python -m pip --version || $(BIN)/python -m ensurepip; } >/dev/null 2>&1; \
	$(BIN)/python -m pip install -qq --disable-pip-version-check
endif

# uv leaves bytecode to the first import, and some machines never keep it: each start would take twice as long.
compile = $(BIN)/python -m compileall -q -j 2 .venv/lib >/dev/null 2>&1 || true

.PHONY: help demo test pictures benchmarks ui docs lexicon lint format types lock clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/runtime ## install, then select from the sample data for the two targets in targets/
	@for target in grade_school_math python_programming; do \
		echo && echo "== $$target: a tenth of sample/pool" && \
		$(BIN)/tags-assets select sample/pool --target $$target --budget 10% --home $(HOME_DIR) --out $(OUT)/$$target || exit; \
	done
	@echo && echo "Written:" && ls -d $(OUT)/*/subset.jsonl $(OUT)/*/report.html | sed 's/^/  /'
	@echo "Open a report.html in a browser: it says what was picked, and why."
	@echo "The graph that did it: run \`make ui\`, which says when it is ready, and where."

test: .venv/dev ## install, then lint, check types and run all the tests
	@$(MAKE) lint types
	@$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(PYTEST_ARGS)

pictures: .venv/dev ## take the screenshots of docs/images anew, from the browser tests
	@PICTURES=docs/images $(BIN)/python -m pytest -q -m browser tags_assets_tests/report tags_assets_tests/ui

benchmarks: .venv/dev ## run every benchmark (hours; the public data at ../shared/data) and write docs/benchmarks.md
	@$(BIN)/python benchmarks/run.py $(HOME_DIR)

lexicon: .venv/runtime ## embed the lexicon anew, after a change to it
	@$(BIN)/python -m tags_assets.resources.knowledge

ui: .venv/runtime ## serve the graph at http://127.0.0.1:3000 (Dagster's UI and daemon) until Ctrl-C
	@$(BIN)/tags-assets ui --home $(HOME_DIR)

docs: .venv/runtime ## write the reference pages from the code
	@PYTHONWARNINGS=ignore $(BIN)/python docs/generate.py

lint: .venv/dev
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

format: .venv/dev ## put the code into its one format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

types: .venv/dev
	@$(BIN)/mypy

lock: .venv/dev ## take up the newest versions that pyproject.toml allows
	@lock() { $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --fork-strategy fewest \
		--generate-hashes --no-annotate --no-strip-extras --no-emit-index-url --custom-compile-command "make lock" "$$@"; }; \
	lock pyproject.toml --group dev --output-file requirements/dev.txt && \
	lock pyproject.toml --group build --constraint requirements/dev.txt --output-file requirements/runtime.txt && \
	lock --no-deps requirements/no-deps.in --output-file requirements/no-deps.txt

clean: ## remove .venv, caches and builds (never .tags, which holds your artifacts)
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find tags_assets tags_assets_tests benchmarks sample -name __pycache__ -prune -exec rm -rf {} +

# .venv is made once. Each set of packages leaves a stamp in it, older than its lock file when it must be installed again.

$(BIN)/python:
	@test -n "$(PYTHON)" && "$(PYTHON)" -c '$(supported)' 2>/dev/null || { \
		found=$$({ "$(or $(PYTHON),python3)" --version || echo none; } 2>/dev/null); \
		echo "tags-assets needs Python 3.11 to 3.14 and found $$found. To fix it: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Making .venv with $(PYTHON) and $(if $(UV),uv,pip) ..."
	@$(if $(UV),$(UV) venv --quiet --allow-existing --python "$(PYTHON)" .venv,"$(PYTHON)" -m venv .venv)

.venv/runtime: $(BIN)/python requirements/runtime.txt pyproject.toml
	@echo "Installing the pinned packages (1.5 GB on disk; a minute or two the first time) ..."
	@$(install) --require-hashes -r requirements/runtime.txt
	@$(install) --no-deps --no-build-isolation --editable .
	@$(compile)
	@$(write_env)
	@touch $@

.venv/dev: .venv/runtime requirements/dev.txt requirements/no-deps.txt
	@echo "Installing what the tests need ..."
	@$(install) --require-hashes -r requirements/dev.txt
	@$(install) --require-hashes --no-deps -r requirements/no-deps.txt
	@$(compile)
	@touch $@

# Dagster's own commands (`dg dev`, `dagster-webserver`, `dagster-daemon`) read .env in the folder that they start in:
# it turns their telemetry off and tells the daemon where dagster.yaml is, unless DAGSTER_HOME says so already. Lines of
# your own, such as keys, are kept; git ignores the file.
define write_env
{ echo 'DAGSTER_DISABLE_TELEMETRY=1'; echo 'DAGSTER_HOME=$${DAGSTER_HOME:-$(CURDIR)}'; \
	if [ -f .env ]; then grep -v -e '^DAGSTER_DISABLE_TELEMETRY=1$$' -e '^DAGSTER_HOME=$${DAGSTER_HOME:-' .env; fi; true; } > .env.new && mv .env.new .env
endef
