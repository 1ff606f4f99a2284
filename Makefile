# What a bare machine needs: git, Python 3.10 or newer with venv, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools

.DEFAULT_GOAL := help
.PHONY: help try test lint format bench docs dist clean

help: ## Show what there is to make
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

# Poetry only reads the lock; pip installs, so that a mirror in pip's configuration is honoured.
$(TOOLS)/done: Makefile
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet "poetry==2.5.1" "poetry-plugin-export==1.10.1"
	@touch $@

$(VENV)/done: pyproject.toml poetry.lock $(TOOLS)/done
	$(PYTHON) -m venv $(VENV)
	$(TOOLS)/bin/poetry export --with dev,databases --output $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --no-deps --require-hashes --requirement $(VENV)/requirements.txt
	$(BIN)/pip install --quiet --no-deps --editable .
	@touch $@

try: $(VENV)/done ## See what arrives: from the sandbox, or with secrets/config.json from your account
	@$(BIN)/python -m sandbox.tour

test: $(VENV)/done ## Run every test: unit, integration, acceptance and container
	$(BIN)/pytest --numprocesses 4 --dist loadgroup -rs

lint: $(VENV)/done ## Check style, types and the lock, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(TOOLS)/bin/poetry check --lock

format: $(VENV)/done ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/done ## Measure speed against the plain way and a raw loop
	$(BIN)/python -m benchmarks

docs: $(VENV)/done ## Write the generated tables of the documentation
	$(BIN)/python -m docs.tables

dist: $(TOOLS)/done ## Build the wheel and the sdist into dist
	$(TOOLS)/bin/poetry build --clean --output dist

clean: ## Remove what was installed and made
	rm -rf $(VENV) $(TOOLS) .try dist
