"""What a load puts aside in the target, and how it comes back, after a kill too.

Foreign keys would refuse rows that arrive before the ones they point to, and TRUNCATE altogether;
keys and indexes of large tables are quicker to build once than to keep up row by row, the more so where
rows come in another order; triggers would fire for rows that are not new. Each is recorded in
`replication.suspended` in the same transaction that drops it, and forgotten in the one that puts it back.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg2

from db import is_temporary_target_error, target_words
from postgres.names import TargetName, quote

#: milliseconds to wait for others to leave a table
LOCK_TIMEOUT_MS = 60_000
#: how many triggers or foreign keys come back in one transaction, which waits for others for so many milliseconds
TOGETHER, TOGETHER_LOCK_TIMEOUT_MS = 50, 1_000
#: seconds after which keys that were validated together are committed
TOGETHER_SECONDS = 1.0

Kind = Literal["trigger", "key", "index", "foreign key"]
#: the order in which things come back: foreign keys may point to a key or an index, and are checked by it
KINDS: tuple[Kind, ...] = ("trigger", "key", "index", "foreign key")
#: what is built, and comes back with its own table
BUILT: tuple[Kind, ...] = ("key", "index")

CREATE = """
CREATE TABLE IF NOT EXISTS replication.suspended (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    kind text NOT NULL,
    name text NOT NULL,
    definition text NOT NULL,
    comment text,
    is_validated boolean NOT NULL DEFAULT true,
    is_back boolean NOT NULL DEFAULT false,
    suspended_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_schema, table_name, kind, name)
);
COMMENT ON TABLE replication.suspended IS
    'Dropped by sync-data.py for a load, put back after it or by the next run. is_back: only validation is left.';
"""

_LOADED = "SELECT FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS loaded (table_schema, table_name)"

# Every foreign key from or to the tables that a load will fill.
FOREIGN_KEYS = f"""
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid),
       obj_description(k.oid, 'pg_constraint'), k.convalidated
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS rc ON rc.oid = k.confrelid
JOIN pg_namespace AS rn ON rn.oid = rc.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND EXISTS (
    {_LOADED} WHERE (loaded.table_schema, loaded.table_name) IN ((n.nspname, c.relname), (rn.nspname, rc.relname)))
ORDER BY 1, 2, 3
"""

# Valid indexes that no constraint owns, and about which their definition says everything.
INDEXES = f"""
SELECT n.nspname, c.relname, i.relname, pg_get_indexdef(x.indexrelid), obj_description(x.indexrelid, 'pg_class'), true
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE x.indisvalid AND NOT (x.indisunique AND %(keeps_unique)s)
  AND NOT x.indisprimary AND NOT x.indisclustered AND NOT x.indisreplident
  AND i.relkind = 'i' AND i.reltablespace = 0 AND c.relkind = 'r'
  AND NOT EXISTS (SELECT FROM pg_constraint AS k WHERE k.conindid = x.indexrelid)
  AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = x.indexrelid)
  AND EXISTS ({_LOADED} WHERE (loaded.table_schema, loaded.table_name) = (n.nspname, c.relname))
ORDER BY 1, 2, 3
"""

# Primary keys and unique constraints about which their definition says everything, and on which nothing rests.
# Asked for when the foreign keys are dropped already.
KEYS = f"""
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), obj_description(k.oid, 'pg_constraint'), true
FROM pg_constraint AS k
JOIN pg_index AS x ON x.indexrelid = k.conindid
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype IN ('p', 'u') AND x.indisvalid AND NOT x.indisclustered AND NOT x.indisreplident
  AND i.reltablespace = 0 AND i.reloptions IS NULL AND obj_description(i.oid, 'pg_class') IS NULL AND c.relkind = 'r'
  AND NOT EXISTS (SELECT FROM pg_inherits AS h WHERE h.inhrelid = c.oid)
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.deptype = 'n' AND (d.refclassid, d.refobjid) IN (
        ('pg_constraint'::regclass, k.oid), ('pg_class'::regclass, i.oid)))
  AND EXISTS ({_LOADED} WHERE (loaded.table_schema, loaded.table_name) = (n.nspname, c.relname))
ORDER BY 1, 2, 3
"""

TRIGGERS = f"""
SELECT n.nspname, c.relname, t.tgname, pg_get_triggerdef(t.oid), NULL, true
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND t.tgenabled = 'O' AND t.tgparentid = 0
  AND EXISTS ({_LOADED} WHERE (loaded.table_schema, loaded.table_name) = (n.nspname, c.relname))
ORDER BY 1, 2, 3
"""

REMEMBER = """
INSERT INTO replication.suspended (table_schema, table_name, kind, name, definition, comment, is_validated)
VALUES (%s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (table_schema, table_name, kind, name)
DO UPDATE SET definition = excluded.definition, comment = excluded.comment, is_back = false,
              is_validated = replication.suspended.is_validated OR excluded.is_validated
"""

SUSPENDED = """
SELECT table_schema, table_name, kind, name, definition, comment, is_validated, is_back
FROM replication.suspended ORDER BY table_schema, table_name, kind, name
"""

_ONE = "WHERE table_schema = %s AND table_name = %s AND kind = %s AND name = %s"
FORGET = f"DELETE FROM replication.suspended {_ONE}"
MARK_BACK = f"UPDATE replication.suspended SET is_back = true {_ONE}"
CONSTRAINT_EXISTS = "SELECT FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass"


class SuspensionError(Exception):
    """Something cannot be put aside, or what was cannot be read; the message holds the server's words.

    `is_temporary` says whether another attempt may succeed.
    """

    def __init__(self, words: str, is_temporary: bool = False) -> None:
        super().__init__(words)
        self.is_temporary = is_temporary


@dataclass(frozen=True)
class Suspended:
    """Something that was put aside for a load. `is_back`: it stands again, but is not validated yet."""

    table: TargetName
    kind: Kind
    name: str
    definition: str
    comment: str | None
    is_validated: bool
    is_back: bool

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Its key in `replication.suspended`."""
        return (self.table.schema, self.table.table, self.kind, self.name)

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name}"


def suspend(
    connection: Any,
    tables: Sequence[TargetName],
    large: Sequence[TargetName],
    emptied: Sequence[TargetName] = (),
    *,
    keeps_unique: bool = False,
) -> int:
    """Record and drop, in one transaction, what is in the way of loading `tables`; returns how many things.

    Foreign keys from and to them, their triggers, the secondary indexes of those that are `large`, and the
    primary keys and unique constraints of those that are large and hold no rows but those of the load,
    `emptied`. With `keeps_unique`, unique indexes stay, to refuse rows one by one. Raises SuspensionError; then
    nothing was dropped.
    """
    chosen = (
        ("foreign key", FOREIGN_KEYS, tables),
        ("key", KEYS, () if keeps_unique else emptied),
        ("index", INDEXES, large),
        ("trigger", TRIGGERS, tables),
    )
    return _put_aside(connection, chosen, keeps_unique)


def suspend_triggers(connection: Any, tables: Sequence[TargetName]) -> int:
    """Like `suspend`, but the triggers alone, for a few rows that all else may check. Raises SuspensionError."""
    return _put_aside(connection, [("trigger", TRIGGERS, tables)], keeps_unique=True)


def _put_aside(connection: Any, things: Iterable[tuple[str, str, Sequence[TargetName]]], keeps_unique: bool) -> int:
    count = 0
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
            # Definitions then name every schema, and mean the same to a later run with another search_path.
            cursor.execute("SET LOCAL search_path = pg_catalog")
            for kind, sql, chosen in things:
                if not chosen:
                    continue
                names = {"schemas": [t.schema for t in chosen], "tables": [t.table for t in chosen]}
                cursor.execute(sql, {**names, "keeps_unique": keeps_unique})
                for schema, table, name, definition, comment, is_validated in cursor.fetchall():
                    # A key that is not validated is written down without that, so that it always comes back.
                    bare = definition.removesuffix(" NOT VALID")
                    cursor.execute(REMEMBER, (schema, table, kind, name, bare, comment, is_validated))
                    cursor.execute(_drop(kind, TargetName(schema, table), name))
                    count += 1
        connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        words = target_words(error)
        raise SuspensionError(f"keys and indexes cannot be put aside for the load: {words}") from None
    return count


def _drop(kind: str, table: TargetName, name: str) -> str:
    return {
        "foreign key": f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(name)}",
        "key": f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(name)}",
        "index": f"DROP INDEX {quote(table.schema)}.{quote(name)}",
        "trigger": f"ALTER TABLE {table.quoted} DISABLE TRIGGER {quote(name)}",
    }[kind]


def read_suspended(connection: Any) -> list[Suspended]:
    """What was put aside and has not come back yet, in the order in which it should. Raises SuspensionError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(SUSPENDED)
            rows = cursor.fetchall()
        connection.rollback()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        words = f"replication.suspended cannot be read: {target_words(error)}"
        raise SuspensionError(words, is_temporary_target_error(error)) from None
    found = [Suspended(TargetName(schema, table), *rest) for schema, table, *rest in rows]
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def groups(found: Iterable[Suspended], kind: Kind) -> list[Sequence[Suspended]]:
    """What may come back at once: a key or an index alone, since building takes long, of others several together."""
    chosen = [one for one in found if one.kind == kind]
    size = 1 if kind in BUILT else TOGETHER
    return [chosen[start : start + size] for start in range(0, len(chosen), size)]


def restore(connect: Callable[[], Any], group: Sequence[Suspended], memory: str) -> list[str]:
    """Put a group back as `put_back` does; returns what is wrong, in the server's words.

    What is wrong with one of them does not keep the others away. `connect` gives a connection that is open.
    """
    if len(group) > 1 and _put_back_together(connect(), group):
        return []
    problems = (_restore(connect(), one, memory) for one in group)
    return [problem for problem in problems if problem is not None]


def _restore(connection: Any, one: Suspended, memory: str) -> str | None:
    try:
        put_back(connection, one, memory)
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        return f"{one}: {target_words(error)}"
    return None


def _put_back_together(connection: Any, group: Sequence[Suspended]) -> bool:
    """Put a group of triggers or foreign keys back in few transactions; False where it is to be done one by one."""
    try:
        with connection.cursor() as cursor:
            # Locks of several tables are held meanwhile: whoever uses one of them must not keep others from the rest.
            cursor.execute(f"SET LOCAL lock_timeout = {TOGETHER_LOCK_TIMEOUT_MS}")
            for one in group:
                _make(cursor, one)
            connection.commit()
            began = time.monotonic()
            for one in group:
                if one.kind == "foreign key" and one.is_validated:
                    _validate(cursor, one)
                if time.monotonic() - began > TOGETHER_SECONDS:
                    connection.commit()
                    began = time.monotonic()
        connection.commit()
    except psycopg2.Error:
        if not connection.closed:
            connection.rollback()
        return False
    return True


def put_back(connection: Any, one: Suspended, memory: str) -> None:
    """Put something back, and validate it if it was valid. Raises psycopg2.Error.

    Making it and forgetting it are one transaction, so a kill in between leaves it either recorded or back.
    A foreign key that rows violate stays, not validated, and recorded; rows are never deleted to make a
    key fit. `memory` is `maintenance_work_mem` for building keys and indexes.
    """
    with connection.cursor() as cursor:
        if one.kind in BUILT:
            cursor.execute("SELECT set_config('maintenance_work_mem', %s, true)", (memory,))
            _build(cursor, one)
            cursor.execute(FORGET, one.row)
        else:
            _make(cursor, one)
            if one.kind == "foreign key" and one.is_validated:
                connection.commit()
                _validate(cursor, one)
    connection.commit()


def _build(cursor: Any, one: Suspended) -> None:
    if one.kind == "key":
        cursor.execute(CONSTRAINT_EXISTS, (one.name, one.table.quoted))
        if cursor.fetchone() is None:
            cursor.execute(f"ALTER TABLE {one.table.quoted} ADD CONSTRAINT {quote(one.name)} {one.definition}")
            _comment(cursor, f"CONSTRAINT {quote(one.name)} ON {one.table.quoted}", one.comment)
        return
    place = f"{quote(one.table.schema)}.{quote(one.name)}"
    cursor.execute("SELECT to_regclass(%s)", (place,))
    if cursor.fetchone()[0] is None:
        cursor.execute(one.definition)
        _comment(cursor, f"INDEX {place}", one.comment)


def _make(cursor: Any, one: Suspended) -> None:
    """Let a trigger or a foreign key stand again; a key that was valid is remembered until it is."""
    alter = f"ALTER TABLE {one.table.quoted}"
    if one.kind == "trigger":
        cursor.execute(f"{alter} ENABLE TRIGGER {quote(one.name)}")
        cursor.execute(FORGET, one.row)
    elif not one.is_back:
        cursor.execute(CONSTRAINT_EXISTS, (one.name, one.table.quoted))
        if cursor.fetchone() is None:
            cursor.execute(f"{alter} ADD CONSTRAINT {quote(one.name)} {one.definition} NOT VALID")
            _comment(cursor, f"CONSTRAINT {quote(one.name)} ON {one.table.quoted}", one.comment)
        cursor.execute(MARK_BACK if one.is_validated else FORGET, one.row)


def _validate(cursor: Any, one: Suspended) -> None:
    cursor.execute(f"ALTER TABLE {one.table.quoted} VALIDATE CONSTRAINT {quote(one.name)}")
    cursor.execute(FORGET, one.row)


def _comment(cursor: Any, where: str, comment: str | None) -> None:
    if comment is not None:
        # A % in a name would be taken for the place of a value.
        cursor.execute(f"COMMENT ON {where.replace(chr(37), chr(37) * 2)} IS %s", (comment,))
