# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint bench setup odbc clean

demo: $(VENV)/.ready odbc
	$(BIN)/python -m demo

test: $(VENV)/.ready odbc
	$(BIN)/python -m pytest -n auto --dist loadscope

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Needs a T-SQL server and a PostgreSQL named by .env; see docs/performance.md.
bench: $(VENV)/.ready odbc
	$(BIN)/python -m bench.speed

setup: $(VENV)/.ready odbc

$(VENV)/.ready: requirements.txt requirements-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# pyodbc and arrow-odbc need the system's ODBC driver manager; FreeTDS is the second driver that the tests use.
odbc: $(VENV)/.ready
	@$(BIN)/python -m installation.system_packages

clean:
	rm -rf $(VENV) .demo .pytest_cache .mypy_cache .ruff_cache .hypothesis
