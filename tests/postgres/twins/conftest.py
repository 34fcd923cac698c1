"""The roles of the nasty schema, and databases for the tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from demo.target import EmbeddedTarget
from postgres import own_schema
from postgres.names import quote
from tests.postgres.twins import nasty
from tests.samples import query


@pytest.fixture(scope="session")
def roles(target: EmbeddedTarget) -> Iterator[None]:
    """The roles that the tables' rights name; gone afterwards."""
    query(target, "postgres", "; ".join(f"CREATE ROLE {quote(name)} LOGIN" for name in nasty.ROLES))
    yield
    query(target, "postgres", f"DROP ROLE {', '.join(map(quote, nasty.ROLES))}")


@pytest.fixture
def nasty_connection(target: EmbeddedTarget, target_database: str, roles: None) -> Iterator[Any]:  # noqa: ARG001
    """A connection to a database with the nasty schema, filled, as the tool opens one."""
    query(target, target_database, nasty.DDL)
    query(target, target_database, nasty.LIVE_ROWS)
    with closing(target.connect(target_database)) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        yield connection


@pytest.fixture
def plain_connection(target: EmbeddedTarget, target_database: str) -> Iterator[Any]:
    """A connection to a database with the two schemas of this tool, and nothing else."""
    with closing(target.connect(target_database)) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {nasty.STAGING}")
        connection.commit()
        yield connection
