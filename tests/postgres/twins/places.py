"""A database with the nasty schema, and the steps of an exchange as a caller takes them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from demo.target import EmbeddedTarget
from postgres import twins
from postgres.names import TargetName
from tests.postgres.twins.nasty import LIVES, ODD, ORDERS, PEOPLE, STAGING, filling

TWINS = {live: TargetName(STAGING, str(live)) for live in LIVES}
MEMORY = "16MB"


def run(connection: Any, sql: str) -> list[tuple[Any, ...]]:
    """Run a statement and commit it; returns its rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql)
        found: list[tuple[Any, ...]] = cursor.fetchall() if cursor.description else []
    connection.commit()
    return found


def dump(target: EmbeddedTarget, database: str) -> list[str]:
    """The database's schema, but for this tool's own, as pg_dump writes it."""
    finished = subprocess.run(
        [target.psql.parent / "pg_dump", "--schema-only", "--exclude-schema=replication*"],
        env=target.environment(database), capture_output=True, text=True, check=True,
    )  # fmt: skip
    # A new key for each dump.
    return [line for line in finished.stdout.splitlines() if not re.match(r"\\(un)?restrict ", line)]


def create(connection: Any, pairs: Mapping[TargetName, TargetName]) -> None:
    """Make bare twins."""
    with connection.cursor() as cursor:
        for live, twin in pairs.items():
            twins.create(cursor, live, twin)
    connection.commit()


def fill(connection: Any, count: int = 30) -> None:
    """Rows for the three twins of the nasty schema."""
    run(connection, filling(TWINS[PEOPLE], TWINS[ORDERS], TWINS[ODD], "new", count))


def finish(connection: Any, pairs: Mapping[TargetName, TargetName]) -> None:
    """All that twins need beside their rows."""
    for live, twin in pairs.items():
        twins.complete(connection, live, twin, MEMORY)
    twins.foreign_keys(connection, pairs)


def build(connection: Any, count: int = 30) -> None:
    """Twins of the three tables of the nasty schema, with rows and all."""
    create(connection, TWINS)
    fill(connection, count)
    finish(connection, TWINS)


def exchange(connection: Any, pairs: Mapping[TargetName, TargetName]) -> list[str]:
    """Lock, exchange, commit and validate; returns what is wrong with foreign keys."""
    with connection.cursor() as cursor:
        planned = twins.plan_exchange(cursor, pairs)
        cursor.execute(planned.lock_statement)
        left = twins.exchange(cursor, planned)
    connection.commit()
    return twins.validate(connection, left)


def replace(connection: Any, lives: Iterable[TargetName], rows: str = "") -> list[str]:
    """Replace tables by their twins, after running `rows` on these; returns what is wrong with foreign keys."""
    pairs = {live: TargetName(STAGING, str(live)) for live in lives}
    create(connection, pairs)
    if rows:
        run(connection, rows)
    finish(connection, pairs)
    return exchange(connection, pairs)
