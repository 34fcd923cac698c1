"""Readers go on while many tables are exchanged: none of their queries fails, waits for long, or sees a mix."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from postgres import locks, twins
from postgres.names import TargetName
from tests.postgres.twins.nasty import STAGING
from tests.postgres.twins.places import create, finish, run

TABLES = [TargetName("public", f"table_{number:02}") for number in range(20)]
#: milliseconds for which a reader waits for a lock before its query fails
READERS_WAIT_MS = 250


def ddl() -> str:
    """Twenty tables that point to each other in a circle, each with indexes, a view, and a view on that."""
    tables = "".join(
        f"CREATE TABLE {table.quoted} (id integer PRIMARY KEY, night integer, next integer, label text);"
        f"CREATE INDEX ON {table.quoted} (night); CREATE INDEX ON {table.quoted} (label) WHERE id > 0;"
        f"CREATE VIEW {table.table}_seen AS SELECT a.id, a.night FROM {table.quoted} AS a;"
        f"CREATE VIEW {table.table}_above AS SELECT * FROM {table.table}_seen;"
        f"INSERT INTO {table.quoted} SELECT n, 0, n, 'x' FROM generate_series(1, 50) AS n;"
        for table in TABLES
    )
    keys = "".join(
        f"ALTER TABLE {table.quoted} ADD FOREIGN KEY (next) REFERENCES {TABLES[number - 1].quoted};"
        for number, table in enumerate(TABLES)
    )
    return tables + keys


class Reader(threading.Thread):
    """Asks in a loop which nights the tables and views show; `problems` are queries that failed or saw two."""

    def __init__(self, target: EmbeddedTarget, database: str, parts: list[str]) -> None:
        super().__init__()
        self._connection = target.connect(database)
        self._query = " UNION ALL ".join(f"SELECT DISTINCT night FROM {part}" for part in parts)
        self.is_wanted = True
        self.problems: list[str] = []
        self.nights: list[int] = []

    def run(self) -> None:
        with closing(self._connection), self._connection.cursor() as cursor:
            cursor.execute(f"SET lock_timeout = {READERS_WAIT_MS}")
            while self.is_wanted:
                try:
                    cursor.execute(self._query)
                    seen = {night for (night,) in cursor.fetchall()}
                    self.nights.append(min(seen))
                    if len(seen) > 1:
                        self.problems.append(f"two nights mixed: {seen}")
                except psycopg2.Error as error:
                    self.problems.append(f"{type(error).__name__} {error}")


def exchanged(connection: Any, pairs: dict[TargetName, TargetName]) -> None:
    """Exchange them in attempts of 100 ms."""

    def step(cursor: Any) -> None:
        planned = twins.plan_exchange(cursor, pairs)
        cursor.execute("SET LOCAL statement_timeout = 100")
        cursor.execute(planned.lock_statement)
        cursor.execute("SET LOCAL statement_timeout = 0")
        twins.exchange(cursor, planned)
        connection.commit()

    for _ in range(200):
        try:
            locks.patiently(connection, list(pairs), step)
        except psycopg2.errors.QueryCanceled:
            connection.rollback()
        else:
            return
    pytest.fail("the locks were never had")


def test_readers_notice_nothing_but_the_new_rows(
    target: EmbeddedTarget, target_database: str, plain_connection: Any
) -> None:
    run(plain_connection, ddl())
    pairs = {live: TargetName(STAGING, str(live)) for live in TABLES}
    ways = [
        [table.table for table in TABLES],
        [f"{table.table}_above" for table in reversed(TABLES)],
        [f"{table.table}_seen" for table in TABLES[::3]] + [table.table for table in TABLES[::-2]],
        [f"{TABLES[7].table}_above"],
    ]
    readers = [Reader(target, target_database, parts) for parts in ways]
    for reader in readers:
        reader.start()
    try:
        for night in (1, 2):
            create(plain_connection, pairs)
            rows = "SELECT n, {0}, n, 'x' FROM generate_series(1, 50) AS n"
            run(plain_connection, "; ".join(f"INSERT INTO {t.quoted} {rows.format(night)}" for t in pairs.values()))
            finish(plain_connection, pairs)
            exchanged(plain_connection, pairs)
    finally:
        for reader in readers:
            reader.is_wanted = False
        for reader in readers:
            reader.join()
    assert [problem for reader in readers for problem in reader.problems] == []
    for reader in readers:
        assert reader.nights == sorted(reader.nights)
        assert set(reader.nights) == {0, 1, 2} or reader.nights[-1] == 2
    assert run(plain_connection, "SELECT DISTINCT night FROM table_07_above") == [(2,)]
