# What a bare machine needs: git, Python 3.10 or newer with venv, and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TOOLS := .tools

# Some images set it; every start would compile the CDK anew, which takes longer than loading it.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help python try sql contract test lint format bench docs pictures requirements dist clean

help: ## Show what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-14s%s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "After make try: $(BIN)/source-kustomer is the connector, $(BIN)/python -m sandbox a Kustomer."

python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v < (3, 15) else \
	    "Python 3.10 to 3.14 is needed, $(PYTHON) is %d.%d: name another, as in PYTHON=python3.12." % v)'

# Poetry only reads the lock; uv installs, from where pip's configuration says.
$(TOOLS)/done: Makefile | python
	$(PYTHON) -m venv $(TOOLS)
	$(TOOLS)/bin/pip install --quiet "poetry==2.5.1" "poetry-plugin-export==1.10.1"
	@touch $@

# Where the Python that it was made with is gone, the environment is made anew.
$(BIN)/python: | python
	@rm -rf $(VENV)

# What `make try` needs, a third of all. It is exported once and committed, so that nobody who tries
# the connector waits for Poetry.
$(VENV)/try: pyproject.toml tools/requirements.txt tools/install.py $(BIN)/python
	@$(PYTHON) -I tools/install.py $(VENV) tools/requirements.txt
	@touch $@

$(VENV)/done: poetry.lock $(VENV)/try $(TOOLS)/done
	$(TOOLS)/bin/poetry export --with try,dev,databases --output $(VENV)/requirements.txt
	@$(PYTHON) -I tools/install.py $(VENV) $(VENV)/requirements.txt
	@touch $@

try: $(VENV)/try ## Read the sandbox, or the account of secrets/config.json
	@$(BIN)/python -m tools.tour

# The database of `make try`: the account's where there is a configuration, else the sandbox's.
DATABASE = .try/$(if $(wildcard secrets/config.json),,sandbox/)kustomer.duckdb

# Times are shown in UTC, as on the page. DuckDB shows 40 rows, from a pipe too unless it is told.
sql: $(VENV)/try ## Ask that database with DuckDB; ARGS=-ui opens a browser, ARGS=-csv writes CSV
	@test -f $(DATABASE) || { echo "There is no $(DATABASE) yet: make try writes it."; exit 1; }
	@rows=40; test -t 0 || rows=1000000000; \
	    $(BIN)/duckdb -cmd "SET TimeZone = 'UTC'" -cmd ".maxrows $$rows" $(ARGS) $(DATABASE)

contract: $(VENV)/try ## Compare your account with the API's documentation
	@$(BIN)/python -m tools.contract

test: $(VENV)/done ## Run every test: unit, integration, acceptance and container
	$(BIN)/pytest --numprocesses 4 --dist loadgroup -rs

lint: $(VENV)/done ## Check style, types and the lock, as CI does
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/*.yml
	$(TOOLS)/bin/poetry check --lock

format: $(VENV)/done ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(VENV)/done ## Measure speed against the plain way and a raw loop
	$(BIN)/python -m benchmarks

docs: $(VENV)/done ## Write the generated tables of the documentation
	$(BIN)/python -m docs.tables

pictures: $(VENV)/try ## Draw the page for the README, with a Chromium
	$(BIN)/python -m docs.pictures

requirements: $(TOOLS)/done ## Write what `make try` installs, after a change of the lock
	$(TOOLS)/bin/poetry export --with try --output tools/requirements.txt

dist: $(TOOLS)/done ## Build the wheel and the sdist into dist
	$(TOOLS)/bin/poetry build --clean --output dist

clean: ## Remove what was installed and made
	rm -rf $(VENV) $(TOOLS) .try dist build .hypothesis .*_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
