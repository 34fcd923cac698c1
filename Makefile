# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs. `make setup` installs what
# a user needs, `make dev` what the demo and the tests need besides.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where make comes with Git or MSYS2.
ifeq ($(OS),Windows_NT)
PYTHON := py
BIN := $(VENV)/Scripts
endif

.PHONY: demo demo-cluster test test-sqlserver lint bench wheel setup dev odbc clean

demo: dev
	$(BIN)/python -m demo

# The same by a Dask cluster on this machine: a scheduler and three worker processes, one of which is killed.
demo-cluster: dev
	$(BIN)/python -m demo.cluster

test: dev
	$(BIN)/python -m pytest -n auto --dist loadscope

# On the SQL Server that MSSQL_TEST_HOST names, or on one of MSSQL_IMAGE, started by docker compose; docs/sqlserver.md.
test-sqlserver: dev
	$(BIN)/python -m proof $(if $(SAMPLES),--samples "$(SAMPLES)")

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Needs a T-SQL server and a PostgreSQL named by .env; see docs/performance.md.
bench: dev
	$(BIN)/python -m bench.speed

# Into dist/: for other machines (docs/install.md), and for a cluster's workers (docs/cluster.md).
wheel: $(VENV)/.dev
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist .

setup: $(VENV)/.ready odbc

dev: $(VENV)/.dev odbc

$(VENV)/.ready: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed; name one with PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

$(VENV)/.dev: $(VENV)/.ready requirements-dev.txt requirements-cluster.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

# pyodbc and arrow-odbc need the system's ODBC driver manager; FreeTDS is the second driver that the tests use.
odbc: $(VENV)/.ready
	@$(BIN)/python -m installation.system_packages

clean:
	rm -rf $(VENV) .demo dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
