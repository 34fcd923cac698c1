"""The servers of a proof: those that the environment names, or containers of compose.yaml, gone at the end."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg2

from db import connect_source, load_settings
from demo.named_target import NamedTarget
from model.errors import UnreachableError

ROOT = Path(__file__).resolve().parent.parent
#: seconds until a new server must answer: a SQL Server makes its own databases first
PATIENCE_S = 600


class ProofError(Exception):
    """A proof that cannot begin; says what to do."""


@contextlib.contextmanager
def servers(environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The variables that name the servers to the tests, once they answer.

    MSSQL_TEST_HOST (with _PORT, _USER, _PASSWORD, _ENCRYPT) names a SQL Server, else one of MSSQL_IMAGE is started.
    PG_TEST_HOST (with _PORT, _USER, _PASSWORD) names a PostgreSQL, else one of POSTGRES_IMAGE is started; without
    either it is the one that the tests carry. Raises ProofError.
    """
    given = {name: value for name, value in environment.items() if name.startswith(("MSSQL_TEST_", "PG_TEST_"))}
    wanted = [] if "MSSQL_TEST_HOST" in given else ["sqlserver"]
    wanted += ["postgres"] if "PG_TEST_HOST" not in given and environment.get("POSTGRES_IMAGE") else []
    with contextlib.ExitStack() as stack:
        if wanted:
            given |= stack.enter_context(_containers(wanted, environment))
        _wait("SQL Server", lambda: connect_source(load_settings(None, source_settings(given, "master"))).close())
        if "PG_TEST_HOST" in given:
            _wait("PostgreSQL", lambda: NamedTarget(given).connect().close())
        yield given


def source_settings(given: Mapping[str, str], database: str) -> dict[str, str]:
    """The tool's settings of a database of the SQL Server that the tests' variables name."""
    return {
        "MSSQL_HOST": given["MSSQL_TEST_HOST"],
        "MSSQL_PORT": given.get("MSSQL_TEST_PORT", "1433"),
        "MSSQL_USER": given.get("MSSQL_TEST_USER", "sa"),
        "MSSQL_PASSWORD": given.get("MSSQL_TEST_PASSWORD", ""),
        "MSSQL_ENCRYPT": given.get("MSSQL_TEST_ENCRYPT", "yes"),
        "MSSQL_TRUST_SERVER_CERTIFICATE": "yes",
        "MSSQL_DATABASE": database,
        "PGDATABASE": "none",
    }


@contextlib.contextmanager
def _containers(wanted: list[str], environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Start services of compose.yaml in a project of their own; the variables that name them."""
    if not environment.get("ACCEPT_EULA"):
        raise ProofError(
            "No SQL Server is named in MSSQL_TEST_HOST, and to start one its licence must be accepted by you: read"
            " https://go.microsoft.com/fwlink/?linkid=857698 and set ACCEPT_EULA=Y."
        )
    passwords = {
        "MSSQL_SA_PASSWORD": environment.get("MSSQL_SA_PASSWORD") or f"Aa1{secrets.token_hex(16)}",
        "POSTGRES_PASSWORD": environment.get("POSTGRES_PASSWORD") or secrets.token_hex(16),
    }
    whole = {**environment, **passwords}
    compose = ["docker", "compose", "--project-name", f"proof-{uuid.uuid4().hex[:12]}"]
    compose += ["--file", str(ROOT / "compose.yaml")]

    def run(*arguments: str) -> str:
        try:
            ended = subprocess.run([*compose, *arguments], env=whole, check=False, capture_output=True, text=True)
        except OSError:
            raise ProofError("Docker is not there: install it, or name a SQL Server in MSSQL_TEST_HOST.") from None
        if ended.returncode != 0:
            raise ProofError(f"docker compose {' '.join(arguments)} failed:\n{ended.stderr.strip()}")
        return ended.stdout.strip()

    try:
        run("up", "--detach", *wanted)
        named: dict[str, str] = {}
        for service, prefix, port, user, password in (
            ("sqlserver", "MSSQL_TEST", "1433", "sa", passwords["MSSQL_SA_PASSWORD"]),
            ("postgres", "PG_TEST", "5432", "postgres", passwords["POSTGRES_PASSWORD"]),
        ):
            if service in wanted:
                host, _, published = run("port", service, port).rpartition(":")
                named |= {
                    f"{prefix}_HOST": host, f"{prefix}_PORT": published, f"{prefix}_USER": user,
                    f"{prefix}_PASSWORD": password,
                }  # fmt: skip
        yield named
    finally:
        with contextlib.suppress(ProofError):
            run("--profile", "sqlserver", "--profile", "postgres", "down", "--volumes")


def _wait(what: str, connect: Callable[[], None]) -> None:
    """Wait until a server answers. Raises ProofError."""
    deadline = time.monotonic() + PATIENCE_S
    print(f"Waiting for {what}", file=sys.stderr)
    while True:
        try:
            return connect()
        except (UnreachableError, psycopg2.OperationalError) as error:
            if time.monotonic() > deadline:
                raise ProofError(f"{what} does not answer: {error}") from None
            time.sleep(2)


def environment_of_tests(given: Mapping[str, str]) -> dict[str, str]:
    """This process's environment with the variables that name the servers, and no settings of the tool."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MSSQL_", "PG"))}
    return {**kept, **given}
