"""Tables replaced by twins: afterwards everything is as it was, but for the rows."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any

import pytest

from demo.target import EmbeddedTarget
from postgres import own_schema, suspension_record, twins
from postgres.names import TargetName, quote
from tests.postgres.twins import nasty
from tests.postgres.twins.nasty import ODD, ORDERS, PEOPLE, TWINS
from tests.samples import query

MEMORY = "16MB"


@pytest.fixture(scope="module", autouse=True)
def roles(target: EmbeddedTarget) -> Iterator[None]:
    """The roles that the tables' rights name; gone afterwards."""
    names = ", ".join(map(quote, nasty.ROLES))
    query(target, "postgres", "; ".join(f"CREATE ROLE {quote(name)}" for name in nasty.ROLES))
    yield
    query(target, "postgres", f"DROP ROLE {names}")


@pytest.fixture
def connection(target: EmbeddedTarget, target_database: str) -> Iterator[Any]:
    """A connection to a database with the nasty schema, filled, as the tool opens one."""
    query(target, target_database, nasty.DDL)
    query(target, target_database, nasty.LIVE_ROWS)
    with closing(target.connect(target_database)) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        yield connection


def dump(target: EmbeddedTarget, database: str) -> list[str]:
    """The database's schema as pg_dump writes it."""
    finished = subprocess.run(
        [target.psql.parent / "pg_dump", "--schema-only", "--exclude-schema=replication"],
        env=target.environment(database), capture_output=True, text=True, check=True,
    )  # fmt: skip
    # A new key for each dump.
    return [line for line in finished.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]


def run(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement and commit it; returns its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
    connection.commit()
    return found


def create(connection: Any, pairs: Mapping[TargetName, TargetName] = TWINS) -> None:
    """Make bare twins."""
    with connection.cursor() as cursor:
        for live, twin in pairs.items():
            twins.create(cursor, live, twin)
    connection.commit()


def build(connection: Any, count: int = 30) -> None:
    """Make twins of the three tables, with rows and all."""
    create(connection)
    run(connection, nasty.filling(TWINS[PEOPLE], TWINS[ORDERS], TWINS[ODD], "new", count))
    for live, twin in TWINS.items():
        twins.complete(connection, live, twin, MEMORY)
    twins.foreign_keys(connection, TWINS)


def exchange(connection: Any, pairs: Mapping[TargetName, TargetName] = TWINS) -> list[str]:
    """Lock, exchange, commit and validate; returns what is wrong with keys of other tables."""
    with connection.cursor() as cursor:
        cursor.execute(twins.lock_statement(cursor, twins.relations_to_lock(cursor, pairs)))
        left = twins.exchange(cursor, pairs)
    connection.commit()
    return twins.validate(connection, left)


def test_everything_but_the_rows_is_as_it_was(target: EmbeddedTarget, target_database: str, connection: Any) -> None:
    before = dump(target, target_database)
    build(connection)
    assert exchange(connection) == []
    assert dump(target, target_database) == before
    assert suspension_record.read(connection) == []
    assert run(connection, "SELECT count(*), min(name), max(name) FROM shop.people") == [(30, "new 1", "new 9")]
    assert run(connection, 'SELECT count(*), min("name %s") FROM shop.seen_again') == [(30, "new 1")]
    assert run(connection, f"SELECT relname FROM pg_class WHERE relnamespace = '{nasty.STAGING}'::regnamespace") == []
    assert run(connection, "SELECT relname FROM pg_class WHERE relname ~ '^(retired|twin)'") == []
