"""What a load suspends in the target.

Foreign keys would refuse rows that arrive before the ones they point to, and TRUNCATE altogether;
keys and indexes of large tables are quicker to build once than to keep up row by row, the more so where
rows come in another order; triggers would fire for rows that are not new. Each is recorded in
`replication.suspended` in the same transaction that drops it. Such a transaction concerns as few tables as it can,
since others read them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import psycopg2

from db import is_temporary_target_error, target_words
from model.errors import SuspensionError
from postgres import locks
from postgres.names import TargetName, listed, quote
from postgres.suspension_record import QUALIFIED, Kind, Suspended, is_marked, record, without_mark, write_comment

#: how many tables, with what is on them, are dealt with in one transaction
TOGETHER = 50

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

# PostgreSQL, "LOCK": what an ACCESS EXCLUSIVE lock asks for in every version.
LOCKABLE = """
SELECT w.position::integer
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
JOIN pg_namespace AS n ON n.nspname = w.table_schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.table_name
WHERE has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') ORDER BY w.position
"""
QUERIES: Mapping[Kind, str] = {"foreign key": FOREIGN_KEYS, "key": KEYS, "index": INDEXES, "trigger": TRIGGERS}


@dataclass(frozen=True)
class LoadedTables:
    """The tables that a load fills, and what it leaves on them.

    The secondary indexes of the `large` ones go; so do the primary keys and unique constraints of the large ones that
    hold no rows but those of the load, `emptied`. With `keeps_unique` nothing unique goes: it refuses rows one by one.
    """

    tables: Sequence[TargetName]
    large: Sequence[TargetName] = ()
    emptied: Sequence[TargetName] = ()
    keeps_unique: bool = False


Note = Callable[[Sequence[Suspended]], None]


def suspend(
    connection: Any,
    loaded: LoadedTables,
    *,
    on_suspend: Note = lambda _: None,
    patience: float = locks.PATIENCE_S,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Record and drop what is in the way of a load; returns how many things.

    Foreign keys from and to the tables, their triggers, and keys and indexes as `LoadedTables` says. `on_suspend` is
    told of things before they are committed, `tell` of whoever is waited for. Raises SuspensionError; what was
    suspended until then is recorded, and to be restored.
    """
    suspender = _Suspender(connection, loaded.keeps_unique, on_suspend, patience, tell)
    return suspender.suspend(
        {"foreign key": loaded.tables},
        # Foreign keys rest on them.
        {"key": () if loaded.keeps_unique else loaded.emptied, "index": loaded.large, "trigger": loaded.tables},
    )


def suspend_triggers(
    connection: Any,
    tables: Sequence[TargetName],
    on_suspend: Note = lambda _: None,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Like `suspend`, but the triggers alone, for a few rows that all else may check. Raises SuspensionError."""
    return _Suspender(connection, True, on_suspend, locks.PATIENCE_S, tell).suspend({"trigger": tables})


@dataclass(frozen=True)
class _Unit:
    """What one transaction suspends: `things`, by kind, table and name, behind locks on `locked`."""

    locked: tuple[TargetName, ...]
    things: frozenset[tuple[Kind, TargetName, str]]


@dataclass(frozen=True)
class _Suspender:
    """Suspends over one connection."""

    connection: Any
    keeps_unique: bool
    on_suspend: Note
    patience: float
    tell: Callable[[str], None]

    def suspend(self, *stages: Mapping[Kind, Sequence[TargetName]]) -> int:
        """Suspend, one stage after the other, what stands of these kinds on these tables; returns how many things.

        Raises SuspensionError.
        """
        try:
            return sum(map(self._suspend_stage, stages))
        except psycopg2.Error as error:
            if not self.connection.closed:
                self.connection.rollback()
            raise SuspensionError(
                f"keys and indexes cannot be suspended for the load: {target_words(error)}",
                is_temporary_target_error(error),
            ) from None

    def _suspend_stage(self, stage: Mapping[Kind, Sequence[TargetName]]) -> int:
        with self.connection.cursor() as cursor:
            found = [one for kind, tables in stage.items() for one in self._find(cursor, kind, tables)]
        self.connection.rollback()
        for one in found:
            if one.kind == "foreign key":
                one.check_form()
        units = _units(one for one in found if _has_known_form(one))
        count = 0
        for start in range(0, len(units), TOGETHER):
            group = units[start : start + TOGETHER]
            taken = self._suspend_at_once(group)
            count += sum(map(self._suspend_patiently, group)) if taken is None else taken
        return count

    def _find(self, cursor: Any, kind: Kind, tables: Sequence[TargetName]) -> list[Suspended]:
        """What stands of a kind on the tables, as it will be recorded."""
        if not tables:
            return []
        cursor.execute(QUALIFIED)
        cursor.execute(QUERIES[kind], {**listed(tables), "keeps_unique": self.keeps_unique})
        return [
            # A key that is not validated is written down without that, so that it always comes back.
            Suspended(
                TargetName(schema, table), kind, name, definition.removesuffix(" NOT VALID"), without_mark(comment),
                is_validated or is_marked(comment), False,
            )
            for schema, table, name, definition, comment, is_validated in cursor.fetchall()
        ]  # fmt: skip

    def _suspend_at_once(self, group: Sequence[_Unit]) -> int | None:
        """Suspend several units in one transaction, if nobody is in the way; None where somebody is."""
        tables = sorted({table for unit in group for table in unit.locked})
        try:
            with self.connection.cursor() as cursor:
                cursor.execute(locks.ATTEMPT_TIMEOUT)
                locks.lock(cursor, _lockable(cursor, tables), "ACCESS EXCLUSIVE", at_once=True)
                count = self._take(cursor, _Unit(tuple(tables), frozenset().union(*(unit.things for unit in group))))
            self.connection.commit()
        except psycopg2.Error as error:
            if error.pgcode not in (*locks.NOT_HAD, "42P01"):
                raise
            self.connection.rollback()
            return None
        return count

    def _suspend_patiently(self, unit: _Unit) -> int:
        order = list(unit.locked)

        def step(cursor: Any) -> int:
            locks.lock(cursor, _lockable(cursor, order), "ACCESS EXCLUSIVE")
            # Readers that come from one table to the other are not met head-on each time.
            order.reverse()
            return self._take(cursor, unit)

        count = locks.patiently(self.connection, unit.locked, step, self.patience, tell=self.tell)
        self.connection.commit()
        return count

    def _take(self, cursor: Any, unit: _Unit) -> int:
        """Record and drop the unit's things as they stand now that their tables are locked; returns how many."""
        taken = []
        for kind in {kind for kind, _, _ in unit.things}:
            tables = list({table for other, table, _ in unit.things if other == kind})
            for one in self._find(cursor, kind, tables):
                if (kind, one.table, one.name) in unit.things and _has_known_form(one):
                    taken.append(one)
        self.on_suspend(taken)
        for one in taken:
            record(cursor, one)
            cursor.execute(_drop(one.kind, one.table, one.name))
            if one.kind == "trigger":
                write_comment(cursor, one, one.marked_comment)
        return len(taken)


def _has_known_form(one: Suspended) -> bool:
    # What this tool could not make again stays.
    try:
        one.check_form()
    except SuspensionError:
        return False
    return True


def _units(found: Iterable[Suspended]) -> list[_Unit]:
    """A unit for each foreign key, and one for all else on a table."""
    ordered = sorted(found, key=lambda one: one.tables)
    units = []
    for tables, things in groupby(ordered, key=lambda one: one.tables):
        locked = tuple(sorted(set(tables)))
        units.append(_Unit(locked, frozenset((one.kind, one.table, one.name) for one in things)))
    return units


def _lockable(cursor: Any, tables: Sequence[TargetName]) -> list[TargetName]:
    """Those of the tables that this role may lock; the owner of a foreign key may drop it without that right."""
    cursor.execute(LOCKABLE, listed(tables))
    return [tables[position - 1] for (position,) in cursor.fetchall()]


def _drop(kind: Kind, table: TargetName, name: str) -> str:
    return {
        "foreign key": f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(name)}",
        "key": f"ALTER TABLE {table.quoted} DROP CONSTRAINT {quote(name)}",
        "index": f"DROP INDEX {quote(table.schema)}.{quote(name)}",
        "trigger": f"ALTER TABLE {table.quoted} DISABLE TRIGGER {quote(name)}",
    }[kind]
