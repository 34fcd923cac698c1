"""All that a twin needs beside its rows to take the live table's place: built when it is loaded, finished after a kill.

What stands already as the live table has it is left; what does not, or not any more, is made again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import psycopg2

from db import is_temporary_target_error, target_words
from model.errors import LoadLostError, TargetError
from postgres.names import TargetName, quote
from postgres.suspension_record import QUALIFIED
from postgres.twins.parts import Kind, Part, Table, literal, read_all, rendered, twin_name
from postgres.twins.rights import give_rights, guests, roles_in

#: what is built from the rows, in a transaction each
BUILT: tuple[Kind, ...] = ("key", "index")
#: what is said about the table, all in one transaction
SAID: tuple[Kind, ...] = ("statistics", "trigger", "policy")


def complete(
    connection: Any, live: TargetName, twin: TargetName, memory: str, moved: Callable[[], None] = lambda: None
) -> None:
    """Give a loaded twin everything but its foreign keys: keys, indexes, triggers, policies, owner, rights, comments.

    `memory` is `maintenance_work_mem` for keys and indexes; `moved` is called after each step. Each step is committed,
    and one that is done is not done again. Raises TargetError with the key's or index's name where it cannot be built,
    LoadLostError where the live table is not the one any more that the twin was made for, psycopg2.Error.
    """
    there, made = _read(connection, live, twin)
    check_shape(there, made)
    expected = {part.twin_key(twin): part for part in there.of(*BUILT, *SAID)}
    surplus = [part for part in made.of(*BUILT, *SAID) if not is_alike(part, expected.get(part.key))]
    if surplus:
        with connection.cursor() as cursor:
            for part in surplus:
                cursor.execute(_drop(part, twin))
        connection.commit()
        there, made = _read(connection, live, twin)
    for part in there.of(*BUILT):
        if part.twin_key(twin) not in made.parts:
            _build(connection, part, live, twin, memory)
            moved()
    _say(connection, live, twin)
    moved()
    with connection.cursor() as cursor:
        cursor.execute(f"ANALYZE {twin.quoted}")
    connection.commit()
    moved()


def check_shape(live: Table, twin: Table) -> None:
    """Raise LoadLostError unless the two have the same columns and checks."""
    pairs = (
        ("its columns are", [column.shape for column in live.columns], [column.shape for column in twin.columns]),
        ("its checks are", live.of("check", "not null"), twin.of("check", "not null")),
        ("its storage is", (live.persistence, live.tail), (twin.persistence, twin.tail)),
    )
    for what, one, other in pairs:
        if one != other:
            raise LoadLostError(
                f"{live.name} was changed while its new rows were staged: {what} not those of {twin.name}. Nothing of "
                f"it was replaced; the next run stages it anew"
            )


def is_alike(part: Part, other: Part | None) -> bool:
    """Whether two parts of different tables are made by the same statements."""
    return other is not None and (part.statements, part.tablespace) == (other.statements, other.tablespace)


def _read(connection: Any, live: TargetName, twin: TargetName) -> tuple[Table, Table]:
    with connection.cursor() as cursor:
        found = read_all(cursor, [live, twin])
    connection.rollback()
    return found[live], found[twin]


def _build(connection: Any, part: Part, live: TargetName, twin: TargetName, memory: str) -> None:
    """Build a key or an index, and commit it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('maintenance_work_mem', %s, true)", (memory,))
            cursor.execute(f"SET LOCAL default_tablespace = {literal(part.tablespace)}")
            cursor.execute(QUALIFIED)
            cursor.execute("; ".join(part.made(twin, part.twin_name)))
        connection.commit()
    except psycopg2.Error as error:
        if connection.closed or is_temporary_target_error(error):
            raise
        connection.rollback()
        words = target_words(error).replace(part.twin_name, part.name)
        raise TargetError(f"{part.kind} {part.name} of {live} cannot be built on its new rows: {words}") from None


def _say(connection: Any, live: TargetName, twin: TargetName) -> None:
    """Owner and rights, statistics, triggers, policies, settings and comments, in one quick transaction."""
    with connection.cursor() as cursor:
        there, made = (found := read_all(cursor, [live, twin]))[live], found[twin]
        with guests(cursor, twin.schema, roles_in(there), there.owner):
            statements = (
                [f"ALTER TABLE {twin.quoted} OWNER TO {quote(there.owner)}"] if there.owner != made.owner else []
            )
            statements += [
                statement
                for part in there.of(*SAID) if part.twin_key(twin) not in made.parts
                for statement in part.made(twin, part.twin_name)
            ]  # fmt: skip
            statements += [rendered(one, twin) for one in there.settings if one not in made.settings]
            statements += _comments(there, made)
            if statements:
                cursor.execute("; ".join(statements))
            # A change of owner changes them.
            give_rights(cursor, there, read_all(cursor, [twin])[twin])
    connection.commit()


def _comments(live: Table, twin: Table) -> list[str]:
    statements = []
    if live.comment != twin.comment:
        statements.append(f"COMMENT ON TABLE {twin.name.quoted} IS {literal(live.comment)}")
    for column, other in zip(live.columns, twin.columns, strict=True):
        if column.comment != other.comment:
            statements.append(f"COMMENT ON COLUMN {twin.name.quoted}.{quote(column.name)} IS {literal(column.comment)}")
        if column.sequence and other.sequence and column.sequence.comment != other.sequence.comment:
            name = TargetName(twin.name.schema, twin_name(column.sequence.oid)).quoted
            statements.append(f"COMMENT ON SEQUENCE {name} IS {literal(column.sequence.comment)}")
    return statements


def _drop(part: Part, twin: TargetName) -> str:
    in_schema = f"{quote(twin.schema)}.{quote(part.name)}"
    return {
        # Foreign keys of twins rest on it, and are made again.
        "key": f"ALTER TABLE {twin.quoted} DROP CONSTRAINT {quote(part.name)} CASCADE",
        "index": f"DROP INDEX {in_schema} CASCADE",
        "statistics": f"DROP STATISTICS {in_schema}",
        "trigger": f"DROP TRIGGER {quote(part.name)} ON {twin.quoted}",
        "policy": f"DROP POLICY {quote(part.name)} ON {twin.quoted}",
    }[part.kind]
