"""What a load suspends in the target, and how it comes back, after a kill too.

Foreign keys would refuse rows that arrive before the ones they point to, and TRUNCATE altogether;
keys and indexes of large tables are quicker to build once than to keep up row by row, the more so where
rows come in another order; triggers would fire for rows that are not new. Each is recorded in
`replication.suspended` in the same transaction that drops it, and forgotten in the one that restores it. Such a
transaction concerns as few tables as it can, since others read them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import psycopg2

from db import is_temporary_target_error, target_words
from model.errors import SuspensionError, UnknownDefinitionError
from postgres import definitions, locks, runs
from postgres.names import TargetName, quote

#: how many triggers or foreign keys, or tables with what is on them, are suspended or restored in one transaction
TOGETHER = 50
#: how the comment begins of a trigger that is disabled, and of a foreign key that is back but not validated: so that
#: they are known for what they are even where the record was dropped; their own comment follows
MARK = "Suspended by sync-data.py for a load, and not as it was yet."
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
    'Dropped by sync-data.py for a load, restored after it or by the next run. is_back: only validation is left.';
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
SELECT n.nspname, c.relname, t.tgname, pg_get_triggerdef(t.oid), obj_description(t.oid, 'pg_trigger'), true
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
#: of two runs that restore the same thing, one does it and the other leaves it
TAKE = f"SELECT is_back FROM replication.suspended {_ONE} FOR UPDATE SKIP LOCKED"
CONSTRAINT = """
SELECT pg_get_constraintdef(k.oid) FROM pg_constraint AS k WHERE k.conname = %s AND k.conrelid = %s::regclass
"""
INDEX = """
SELECT x.indrelid = %s::regclass AND x.indisvalid, pg_get_indexdef(x.indexrelid)
FROM pg_class AS i JOIN pg_namespace AS n ON n.oid = i.relnamespace LEFT JOIN pg_index AS x ON x.indexrelid = i.oid
WHERE n.nspname = %s AND i.relname = %s
"""
# PostgreSQL, "LOCK": what an ACCESS EXCLUSIVE lock asks for in every version.
LOCKABLE = """
SELECT w.place::integer
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, place)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') ORDER BY w.place
"""
IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = %s::regclass"
# Definitions then name every schema, and mean the same to a later run with another search_path.
QUALIFIED = "SET LOCAL search_path = pg_catalog"

# What bears the mark, and is not recorded any more: its record was dropped.
ADOPT = """
INSERT INTO replication.suspended (table_schema, table_name, kind, name, definition, is_validated, is_back)
SELECT n.nspname, c.relname, 'foreign key', k.conname,
       regexp_replace(pg_get_constraintdef(k.oid), ' NOT VALID$', ''), true, true
FROM pg_description AS d
JOIN pg_constraint AS k ON d.classoid = 'pg_constraint'::regclass AND k.oid = d.objoid
JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND starts_with(d.description, %(mark)s)
UNION ALL
SELECT n.nspname, c.relname, 'trigger', t.tgname, pg_get_triggerdef(t.oid), true, false
FROM pg_description AS d
JOIN pg_trigger AS t ON d.classoid = 'pg_trigger'::regclass AND t.oid = d.objoid
JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE starts_with(d.description, %(mark)s)
ON CONFLICT DO NOTHING
"""
FOREIGN_KEY_COMMENT = """
SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = %s::regclass AND conname = %s
"""
TRIGGER_COMMENT = """
SELECT obj_description(oid, 'pg_trigger') FROM pg_trigger WHERE tgrelid = %s::regclass AND tgname = %s
"""

IS_MADE = """
SELECT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) = ('replication', 'suspended')
      AND has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
"""

# What cannot come back: its table is gone, or its trigger with it.
GONE = """
DELETE FROM replication.suspended AS s
WHERE NOT EXISTS (
    SELECT FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname) = (s.table_schema, s.table_name) AND c.relkind IN ('r', 'p'))
OR s.kind = 'trigger' AND NOT EXISTS (
    SELECT FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE (n.nspname, c.relname, t.tgname) = (s.table_schema, s.table_name, s.name))
RETURNING table_schema, table_name, kind, name, definition, comment, is_validated, is_back
"""

# Those of a list that stand in the target, whatever their definition.
STANDING = """
SELECT w.place::integer
FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(kinds)s::text[], %(names)s::text[], %(valid)s::boolean[])
     WITH ORDINALITY AS w (table_schema, table_name, kind, name, is_valid, place)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE CASE w.kind
    WHEN 'index' THEN EXISTS (
        SELECT FROM pg_index AS x JOIN pg_class AS i ON i.oid = x.indexrelid
        WHERE x.indrelid = c.oid AND i.relname = w.name)
    WHEN 'trigger' THEN EXISTS (
        SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND t.tgname = w.name AND t.tgenabled <> 'D')
    ELSE EXISTS (
        SELECT FROM pg_constraint AS k
        WHERE k.conrelid = c.oid AND k.conname = w.name AND (k.convalidated OR NOT w.is_valid))
END
"""


@dataclass(frozen=True)
class Suspended:
    """Something that was suspended for a load. `is_back`: it stands again, but is not validated yet."""

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

    @property
    def tables(self) -> tuple[TargetName, ...]:
        """The tables that it concerns: its own, and the one that a foreign key points to."""
        if self.kind != "foreign key":
            return (self.table,)
        try:
            return (self.table, definitions.read_foreign_key(self.definition))
        except UnknownDefinitionError:
            return (self.table,)

    def check_form(self) -> None:
        """Raise SuspensionError unless its definition is one that this tool writes down, of the very thing."""
        try:
            if self.kind == "key":
                definitions.read_key(self.definition)
            elif self.kind == "foreign key":
                definitions.read_foreign_key(self.definition)
            elif self.kind == "index" and definitions.read_index(self.definition) != (self.name, self.table):
                raise UnknownDefinitionError
        except UnknownDefinitionError:
            raise SuspensionError(
                f"{self}: its definition in replication.suspended has not the form that this tool writes, and was not "
                f"run: {self.definition}"
            ) from None

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name}"


# -- suspending --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Unit:
    """What one transaction suspends: `things`, by kind, table and name, behind locks on `locked`."""

    locked: tuple[TargetName, ...]
    things: frozenset[tuple[Kind, TargetName, str]]


Note = Callable[[Sequence[Suspended]], None]


def suspend(
    connection: Any,
    tables: Sequence[TargetName],
    large: Sequence[TargetName],
    emptied: Sequence[TargetName] = (),
    *,
    keeps_unique: bool = False,
    on_suspend: Note = lambda _: None,
    patience: float = locks.PATIENCE_S,
) -> int:
    """Record and drop what is in the way of loading `tables`; returns how many things.

    Foreign keys from and to them, their triggers, the secondary indexes of those that are `large`, and the
    primary keys and unique constraints of those that are large and hold no rows but those of the load,
    `emptied`. With `keeps_unique`, unique indexes stay, to refuse rows one by one. `on_suspend` is told of things
    before they are committed. Raises SuspensionError; what was suspended until then is recorded, and to be restored.
    """
    return _suspend(
        connection,
        [[("foreign key", FOREIGN_KEYS, tables)],
         [("key", KEYS, () if keeps_unique else emptied), ("index", INDEXES, large), ("trigger", TRIGGERS, tables)]],
        keeps_unique,
        on_suspend,
        patience,
    )  # fmt: skip


def suspend_triggers(connection: Any, tables: Sequence[TargetName], on_suspend: Note = lambda _: None) -> int:
    """Like `suspend`, but the triggers alone, for a few rows that all else may check. Raises SuspensionError."""
    return _suspend(connection, [[("trigger", TRIGGERS, tables)]], True, on_suspend, locks.PATIENCE_S)


_Wanted = tuple[Kind, str, Sequence[TargetName]]


def _suspend(
    connection: Any, steps: Iterable[Sequence[_Wanted]], keeps_unique: bool, on_suspend: Note, patience: float
) -> int:
    count = 0
    try:
        for step in steps:
            queries = {kind: sql for kind, sql, _ in step}
            with connection.cursor() as cursor:
                found = [
                    one for kind, sql, tables in step for one in _standing(cursor, kind, sql, tables, keeps_unique)
                ]
            connection.rollback()
            for one in found:
                if one.kind == "foreign key":
                    one.check_form()
            units = _units(one for one in found if _has_known_form(one))
            for start in range(0, len(units), TOGETHER):
                group = units[start : start + TOGETHER]

                def take(cursor: Any, unit: _Unit, queries: dict[Kind, str] = queries) -> int:
                    return _take(cursor, unit, queries, keeps_unique, on_suspend)

                taken = _take_at_once(connection, group, take)
                count += (
                    sum(_take_patiently(connection, unit, take, patience) for unit in group) if taken is None else taken
                )
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        words = target_words(error)
        raise SuspensionError(
            f"keys and indexes cannot be suspended for the load: {words}", is_temporary_target_error(error)
        ) from None
    return count


def _has_known_form(one: Suspended) -> bool:
    # What this tool could not make again stays.
    try:
        one.check_form()
    except SuspensionError:
        return False
    return True


def _standing(cursor: Any, kind: Kind, sql: str, tables: Sequence[TargetName], keeps_unique: bool) -> list[Suspended]:
    """What stands on the tables of a kind, by its query."""
    if not tables:
        return []
    cursor.execute(QUALIFIED)
    names = {"schemas": [t.schema for t in tables], "tables": [t.table for t in tables]}
    cursor.execute(sql, {**names, "keeps_unique": keeps_unique})
    return [
        # A key that is not validated is written down without that, so that it always comes back.
        Suspended(
            TargetName(schema, table), kind, name, definition.removesuffix(" NOT VALID"), _without_mark(comment),
            is_validated or _is_marked(comment), False,
        )
        for schema, table, name, definition, comment, is_validated in cursor.fetchall()
    ]  # fmt: skip


def _is_marked(comment: str | None) -> bool:
    return comment is not None and comment.startswith(MARK)


def _without_mark(comment: str | None) -> str | None:
    return (comment or "").removeprefix(MARK).removeprefix("\n") or None


def _units(found: Iterable[Suspended]) -> list[_Unit]:
    """A unit for each foreign key, and one for all else on a table."""
    ordered = sorted(found, key=lambda one: [(table.schema, table.table) for table in one.tables])
    units = []
    for tables, things in groupby(ordered, key=lambda one: one.tables):
        locked = tuple(sorted(set(tables), key=lambda table: (table.schema, table.table)))
        units.append(_Unit(locked, frozenset((one.kind, one.table, one.name) for one in things)))
    return units


_Take = Callable[[Any, _Unit], int]


def _take_at_once(connection: Any, group: Sequence[_Unit], take: _Take) -> int | None:
    """Suspend several units in one transaction, if nobody is in the way; None where somebody is."""
    tables = sorted({table for unit in group for table in unit.locked}, key=lambda table: (table.schema, table.table))
    try:
        with connection.cursor() as cursor:
            cursor.execute(locks.ATTEMPT_TIMEOUT)
            locks.lock(cursor, _lockable(cursor, tables), "ACCESS EXCLUSIVE", at_once=True)
            count = take(cursor, _Unit(tuple(tables), frozenset().union(*(unit.things for unit in group))))
        connection.commit()
    except psycopg2.Error as error:
        if error.pgcode not in (*locks.NOT_HAD, "42P01"):
            raise
        connection.rollback()
        return None
    return count


def _take_patiently(connection: Any, unit: _Unit, take: _Take, patience: float) -> int:
    order = list(unit.locked)

    def step(cursor: Any) -> int:
        locks.lock(cursor, _lockable(cursor, order), "ACCESS EXCLUSIVE")
        # Readers that come from one table to the other are not met head-on each time.
        order.reverse()
        return take(cursor, unit)

    count = locks.patiently(connection, unit.locked, step, patience)
    connection.commit()
    return count


def _lockable(cursor: Any, tables: Sequence[TargetName]) -> list[TargetName]:
    """Those of the tables that this role may lock; the owner of a foreign key may drop it without that right."""
    cursor.execute(LOCKABLE, {"schemas": [t.schema for t in tables], "tables": [t.table for t in tables]})
    return [tables[place - 1] for (place,) in cursor.fetchall()]


def _take(cursor: Any, unit: _Unit, queries: dict[Kind, str], keeps_unique: bool, on_suspend: Note) -> int:
    """Record and drop the unit's things as they stand now that their tables are locked; returns how many."""
    taken = []
    for kind in {kind for kind, _, _ in unit.things}:
        tables = list({table for other, table, _ in unit.things if other == kind})
        for one in _standing(cursor, kind, queries[kind], tables, keeps_unique):
            if (kind, one.table, one.name) in unit.things and _has_known_form(one):
                taken.append(one)
    on_suspend(taken)
    for one in taken:
        cursor.execute(REMEMBER, (*one.row, one.definition, one.comment, one.is_validated))
        cursor.execute(_drop(one.kind, one.table, one.name))
        if one.kind == "trigger":
            _comment(cursor, _where(one), _marked(one.comment))
    return len(taken)


def _drop(kind: Kind, table: TargetName, name: str) -> str:
    return {
        "foreign key": f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(name)}",
        "key": f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(name)}",
        "index": f"DROP INDEX {quote(table.schema)}.{quote(name)}",
        "trigger": f"ALTER TABLE {table.quoted} DISABLE TRIGGER {quote(name)}",
    }[kind]


# -- what is suspended -------------------------------------------------------------------------


def is_made(connection: Any) -> bool:
    """Whether the record of what is suspended is there, and this role may read it. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(IS_MADE)
        (found,) = cursor.fetchone()
    connection.rollback()
    return bool(found)


def read_suspended(connection: Any) -> list[Suspended]:
    """What was suspended and is not restored yet, in the order in which it should be. Raises SuspensionError."""
    return _listed(connection, SUSPENDED, "cannot be read")


def put_record_right(connection: Any) -> list[Suspended]:
    """Forget, and return, what cannot come back since its table is gone; record again what bears the mark.

    Raises SuspensionError.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(QUALIFIED)
            cursor.execute(ADOPT, {"mark": MARK})
        connection.commit()
    except psycopg2.Error as error:
        raise SuspensionError(f"replication.suspended cannot be changed: {target_words(error)}") from None
    return _listed(connection, GONE, "cannot be changed")


def _listed(connection: Any, sql: str, what: str) -> list[Suspended]:
    try:
        with connection.cursor() as cursor:
            cursor.execute(sql)
            rows = cursor.fetchall()
        connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        words = f"replication.suspended {what}: {target_words(error)}"
        raise SuspensionError(words, is_temporary_target_error(error)) from None
    found = [Suspended(TargetName(schema, table), *rest) for schema, table, *rest in rows]
    return sorted(found, key=lambda one: KINDS.index(one.kind))


def lost(connection: Any, known: Sequence[Suspended]) -> list[Suspended]:
    """Those of the things that were suspended once which neither stand again nor are recorded.

    Raises psycopg2.Error, SuspensionError.
    """
    if not known:
        return []
    recorded = {one.row for one in read_suspended(connection)}
    values = {
        "schemas": [one.table.schema for one in known], "tables": [one.table.table for one in known],
        "kinds": [one.kind for one in known], "names": [one.name for one in known],
        "valid": [one.is_validated for one in known],
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(STANDING, values)
        standing = {place for (place,) in cursor.fetchall()}
    connection.rollback()
    return [one for place, one in enumerate(known, 1) if place not in standing and one.row not in recorded]


# -- restoring ---------------------------------------------------------------------------------


def groups(found: Iterable[Suspended], kind: Kind) -> list[Sequence[Suspended]]:
    """What may come back at once: a key or an index alone, since building takes long, of others several together."""
    chosen = [one for one in found if one.kind == kind]
    size = 1 if kind in BUILT else TOGETHER
    return [chosen[start : start + size] for start in range(0, len(chosen), size)]


def restore(connect: Callable[[], Any], group: Sequence[Suspended], memory: str, *, run: int = 0) -> list[str]:
    """Restore a group as `put_back` does; returns what is wrong, in the server's words.

    What is wrong with one of them does not keep the others away. `connect` gives a connection that is open.
    """
    if len(group) > 1 and _put_back_together(connect(), group, run):
        return []
    problems = (_restore(connect(), one, memory, run) for one in group)
    return [problem for problem in problems if problem is not None]


def _restore(connection: Any, one: Suspended, memory: str, run: int) -> str | None:
    try:
        put_back(connection, one, memory, run=run)
    except (psycopg2.Error, SuspensionError) as error:
        if not connection.closed:
            connection.rollback()
        return str(error) if isinstance(error, SuspensionError) else f"{one}: {target_words(error)}"
    return None


def _put_back_together(connection: Any, group: Sequence[Suspended], run: int) -> bool:
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


def put_back(
    connection: Any,
    one: Suspended,
    memory: str,
    *,
    run: int = 0,
    patience: float = locks.PATIENCE_S,
    on_wait: Callable[[], None] = lambda: None,
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
        locks.patiently(connection, [one.table], lambda cursor: _build(cursor, one, memory), patience, on_wait)
    else:
        locks.patiently(connection, one.tables, make, patience, on_wait)
        if one.kind == "foreign key" and one.is_validated:
            connection.commit()
            locks.patiently(connection, one.tables, lambda cursor: _validate(cursor, one), patience, on_wait)
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
            _comment(cursor, _where(one), one.comment)
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
            _comment(cursor, f"INDEX {quote(one.table.schema)}.{quote(one.name)}", one.comment)
    cursor.execute(FORGET, one.row)


def _stands(cursor: Any, one: Suspended) -> bool:
    """Whether a constraint is there already. Raises SuspensionError where another one has its name."""
    cursor.execute(CONSTRAINT, (one.name, one.table.quoted))
    there = cursor.fetchone()
    if there is None:
        return False
    if there[0].removesuffix(" NOT VALID") != one.definition:
        raise SuspensionError(
            f"{one}: another one of its name stands there: {there[0]}. Rename or drop that, and the next run makes the "
            f"one that was suspended: {one.definition}"
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
        _unmark(cursor, one, TRIGGER_COMMENT)
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
        _comment(cursor, _where(one), _marked(one.comment) if is_open else one.comment)
    cursor.execute(MARK_BACK if one.is_validated and not is_partitioned else FORGET, one.row)


def _validate(cursor: Any, one: Suspended) -> None:
    cursor.execute(TAKE, one.row)
    found = cursor.fetchone()
    # Another run may have suspended it again.
    if found is not None and found[0]:
        cursor.execute(f"ALTER TABLE {one.table.quoted} VALIDATE CONSTRAINT {quote(one.name)}")
        _unmark(cursor, one, FOREIGN_KEY_COMMENT)
        cursor.execute(FORGET, one.row)


def _marked(comment: str | None) -> str:
    return MARK if comment is None else f"{MARK}\n{comment}"


def _unmark(cursor: Any, one: Suspended, query: str) -> None:
    """Give a thing its own comment again, if it bears the mark."""
    cursor.execute(query, (one.table.quoted, one.name))
    (comment,) = cursor.fetchone()
    if _is_marked(comment):
        where = _where(one).replace("%", "%%")
        cursor.execute(f"COMMENT ON {where} IS %s", (_without_mark(comment),))


def _where(one: Suspended) -> str:
    kind = "TRIGGER" if one.kind == "trigger" else "CONSTRAINT"
    return f"{kind} {quote(one.name)} ON {one.table.quoted}"


def _comment(cursor: Any, where: str, comment: str | None) -> None:
    if comment is not None:
        # A % in a name would be taken for the place of a value.
        cursor.execute(f"COMMENT ON {where.replace(chr(37), chr(37) * 2)} IS %s", (comment,))
