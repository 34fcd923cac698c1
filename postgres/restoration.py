"""How what a load suspended is restored, by the load itself or by the next run after a kill."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import psycopg2

from db import target_words
from model.errors import SuspensionError
from postgres import locks, runs
from postgres.names import quote
from postgres.suspension_record import (
    BUILT,
    FORGET,
    QUALIFIED,
    RECORD_BACK,
    TAKE,
    Kind,
    Suspended,
    is_marked,
    without_mark,
    write_comment,
)

#: how many triggers or foreign keys are restored in one transaction
TOGETHER = 50
#: seconds after which keys that were validated together are committed
TOGETHER_SECONDS = 1.0

CONSTRAINT = """
SELECT pg_get_constraintdef(k.oid) FROM pg_constraint AS k WHERE k.conname = %s AND k.conrelid = %s::regclass
"""
INDEX = """
SELECT x.indrelid = %s::regclass AND x.indisvalid, pg_get_indexdef(x.indexrelid)
FROM pg_class AS i JOIN pg_namespace AS n ON n.oid = i.relnamespace LEFT JOIN pg_index AS x ON x.indexrelid = i.oid
WHERE n.nspname = %s AND i.relname = %s
"""
IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass"
# By kind, of what bears a mark while it is half back.
COMMENT_OF: Mapping[Kind, str] = {
    "foreign key": """
SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s
""",
    "trigger": """
SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s
""",
}


def groups(found: Iterable[Suspended], kind: Kind) -> list[Sequence[Suspended]]:
    """What may come back at once: a key or an index alone, since building takes long, of others several together."""
    chosen = [one for one in found if one.kind == kind]
    size = 1 if kind in BUILT else TOGETHER
    return [chosen[start : start + size] for start in range(0, len(chosen), size)]


def restore(
    connect: Callable[[], Any],
    group: Sequence[Suspended],
    memory: str,
    *,
    run: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Restore a group as `restore_one` does; returns what is wrong, in the server's words.

    What is wrong with one of them does not keep the others away. `connect` gives a connection that is open.
    """
    if len(group) > 1 and _restore_together(connect(), group, run):
        return []
    problems = (_problem_with(connect(), one, memory, run, tell) for one in group)
    return [problem for problem in problems if problem is not None]


def _problem_with(connection: Any, one: Suspended, memory: str, run: int, tell: Callable[[str], None]) -> str | None:
    """Restore something; returns why it could not be."""
    try:
        restore_one(connection, one, memory, run=run, tell=tell)
    except (psycopg2.Error, SuspensionError) as error:
        if not connection.closed:
            connection.rollback()
        return str(error) if isinstance(error, SuspensionError) else f"{one}: {target_words(error)}"
    return None


def _restore_together(connection: Any, group: Sequence[Suspended], run: int) -> bool:
    """Restore a group of triggers or foreign keys in few transactions; False where it is to be done one by one."""
    try:
        with connection.cursor() as cursor:
            # Locks of several tables are held meanwhile: whoever uses one of them must not keep others from the rest.
            cursor.execute(locks.ATTEMPT_TIMEOUT)
            others = runs.loaded_by_others(cursor, list({table for one in group for table in one.tables}), run)
            ours = [one for one in group if not others.intersection(one.tables)]
            for one in ours:
                _make(cursor, one)
            connection.commit()
            began = time.monotonic()
            for one in ours:
                if one.kind == "foreign key" and one.is_validated:
                    cursor.execute(locks.ATTEMPT_TIMEOUT)
                    _validate(cursor, one)
                if time.monotonic() - began > TOGETHER_SECONDS:
                    connection.commit()
                    began = time.monotonic()
        connection.commit()
    except (psycopg2.Error, SuspensionError):
        if not connection.closed:
            connection.rollback()
        return False
    return True


def restore_one(
    connection: Any,
    one: Suspended,
    memory: str,
    *,
    run: int = 0,
    patience: float = locks.PATIENCE_S,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Restore something, and validate it if it was valid. Raises psycopg2.Error, SuspensionError.

    Making it and forgetting it are one transaction, so a kill in between leaves it either recorded or back.
    A foreign key that rows violate stays, not validated, and recorded; rows are never deleted to make a
    key fit. What concerns a table that another run than `run` loads is left to that one. `memory` is
    `maintenance_work_mem` for building keys and indexes.
    """

    def make(cursor: Any) -> None:
        if not runs.loaded_by_others(cursor, one.tables, run):
            _make(cursor, one)

    if one.kind in BUILT:
        locks.patiently(connection, [one.table], lambda cursor: _build(cursor, one, memory), patience, tell=tell)
    else:
        locks.patiently(connection, one.tables, make, patience, tell=tell)
        if one.kind == "foreign key" and one.is_validated:
            connection.commit()
            locks.patiently(connection, one.tables, lambda cursor: _validate(cursor, one), patience, tell=tell)
    connection.commit()


def _is_ours(cursor: Any, one: Suspended) -> bool:
    """Whether the thing is still to be restored, by nobody else; until the end of the caller's transaction."""
    cursor.execute(TAKE, one.row)
    return cursor.fetchone() is not None


def _build(cursor: Any, one: Suspended, memory: str) -> None:
    one.check_form()
    if not _is_ours(cursor, one):
        return
    cursor.execute("SELECT set_config('maintenance_work_mem', %s, true)", (memory,))
    cursor.execute(QUALIFIED)
    if one.kind == "key":
        if not _stands(cursor, one):
            cursor.execute(f"ALTER TABLE {one.table.quoted} ADD CONSTRAINT {quote(one.name)} {one.definition}")
            _give_comment(cursor, one, one.comment)
    else:
        cursor.execute(INDEX, (one.table.quoted, one.table.schema, one.name))
        there = cursor.fetchone()
        if there is not None and there != (True, one.definition):
            raise SuspensionError(
                f"{one}: its name is taken by something else ({there[1] or 'no index'}). Rename or drop that, and the "
                f"next run builds the index: {one.definition}"
            )
        if there is None:
            cursor.execute(one.definition)
            _give_comment(cursor, one, one.comment)
    cursor.execute(FORGET, one.row)


def _stands(cursor: Any, one: Suspended) -> bool:
    """Whether a constraint is there already. Raises SuspensionError where another one has its name."""
    cursor.execute(CONSTRAINT, (one.name, one.table.quoted))
    there = cursor.fetchone()
    if there is None:
        return False
    if there[0].removesuffix(" NOT VALID") != one.definition:
        raise SuspensionError(
            f"{one}: its name is taken by another one: {there[0]}. Rename or drop that, and the next run restores the "
            f"suspended one: {one.definition}"
        )
    return True


def _make(cursor: Any, one: Suspended) -> None:
    """Let a trigger or a foreign key stand again; a key that was valid is remembered until it is."""
    one.check_form()
    if not _is_ours(cursor, one):
        return
    alter = f"ALTER TABLE {one.table.quoted}"
    if one.kind == "trigger":
        cursor.execute(f"{alter} ENABLE TRIGGER {quote(one.name)}")
        _unmark(cursor, one)
        cursor.execute(FORGET, one.row)
        return
    cursor.execute(QUALIFIED)
    is_there = _stands(cursor, one)
    cursor.execute(IS_PARTITIONED, (one.table.quoted,))
    (is_partitioned,) = cursor.fetchone()
    if not is_there:
        # PostgreSQL, "ALTER TABLE": before version 18, NOT VALID is refused for a partitioned table.
        later = "" if is_partitioned else " NOT VALID"
        cursor.execute(f"{alter} ADD CONSTRAINT {quote(one.name)} {one.definition}{later}")
        is_open = one.is_validated and not is_partitioned
        _give_comment(cursor, one, one.marked_comment if is_open else one.comment)
    cursor.execute(RECORD_BACK if one.is_validated and not is_partitioned else FORGET, one.row)


def _validate(cursor: Any, one: Suspended) -> None:
    cursor.execute(TAKE, one.row)
    found = cursor.fetchone()
    # Another run may have suspended it again.
    if found is not None and found[0]:
        cursor.execute(f"ALTER TABLE {one.table.quoted} VALIDATE CONSTRAINT {quote(one.name)}")
        _unmark(cursor, one)
        cursor.execute(FORGET, one.row)


def _unmark(cursor: Any, one: Suspended) -> None:
    """Give a thing its own comment again, if it bears the mark."""
    cursor.execute(COMMENT_OF[one.kind], (one.table.quoted, one.name))
    (comment,) = cursor.fetchone()
    if is_marked(comment):
        write_comment(cursor, one, without_mark(comment))


def _give_comment(cursor: Any, one: Suspended, comment: str | None) -> None:
    """Give what was just made its comment, if it had one."""
    if comment is not None:
        write_comment(cursor, one, comment)
