"""A bare twin of a table, for loading: columns and checks, nothing that would slow a load down or fire in it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from postgres.names import TargetName, quote
from postgres.twins.parts import Column, Table, literal, read_all, rendered, twin_name

#: how an identity is written
_ALWAYS = {"a": "ALWAYS", "d": "BY DEFAULT"}


@contextmanager
def settings_kept(cursor: Any, *names: str) -> Iterator[None]:
    """Give settings back what they were when the block ends without an error; the transaction is over otherwise."""
    kept = []
    for name in names:
        cursor.execute("SELECT current_setting(%s)", (name,))
        kept.append((name, cursor.fetchone()[0]))
    yield
    for name, value in kept:
        cursor.execute("SELECT set_config(%s, %s, true)", (name, value))


def create(cursor: Any, live: TargetName, twin: TargetName) -> None:
    """Make the bare twin of a table, in the caller's transaction. Raises psycopg2.Error, LoadLostError.

    Columns with all that is said of them, CHECK and NOT NULL constraints, storage options, and sequences of its own for
    its identities; serial columns count on with the live table's sequence.
    """
    with settings_kept(cursor, "search_path", "default_tablespace"):
        table = read_all(cursor, [live])[live]
        cursor.execute(f"SET LOCAL default_tablespace = {literal(table.tablespace)}")
        cursor.execute("; ".join(_statements(table, twin)))


def _statements(table: Table, twin: TargetName) -> list[str]:
    columns = ", ".join(column.definition for column in table.columns)
    statements = [f"CREATE {table.persistence}TABLE {twin.quoted} ({columns}){table.tail}"]
    statements += [rendered(statement, twin) for column in table.columns for statement in column.settings]
    statements += [made for part in table.of("not null", "check") for made in part.made(twin, part.name)]
    statements += [_identity(column, twin) for column in table.columns if column.sequence is not None]
    return statements


def _identity(column: Column, twin: TargetName) -> str:
    # Behind its NOT NULL, which would get a name of its own otherwise.
    assert column.sequence is not None
    name = f"{quote(twin.schema)}.{quote(twin_name(column.sequence.oid))}"
    return (
        f"ALTER TABLE {twin.quoted} ALTER COLUMN {quote(column.name)} ADD GENERATED {_ALWAYS[column.identity]} "
        f"AS IDENTITY (SEQUENCE NAME {name} {column.sequence.options})"
    )
