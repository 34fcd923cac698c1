"""Databases of their own for the tests that need a T-SQL server, which other suites may use at the same time."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping

from db import connect_source, load_settings
from mssql.quoting import quote
from tests.harness import drop_database


@contextlib.contextmanager
def own_database(server: Mapping[str, str], word: str) -> Iterator[dict[str, str]]:
    """Create a database that no other test and no other suite has; yields the settings that reach it, then drops it.

    `word` says in the server's list of databases what it is for, should a killed suite leave it behind.
    """
    name = f"tests_{word}_{uuid.uuid4().hex[:12]}"
    master = load_settings(None, {**server, "MSSQL_DATABASE": "master", "PGDATABASE": "none"})
    with contextlib.closing(connect_source(master)) as admin:
        admin.execute(f"CREATE DATABASE {quote(name)}")
        try:
            yield {**server, "MSSQL_DATABASE": name}
        finally:
            drop_database(admin, quote(name))
