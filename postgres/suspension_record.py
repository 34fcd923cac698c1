"""What loads have suspended in the target: its record, `replication.suspended`, and the mark on what is half restored.

A thing is recorded in the transaction that drops it, and forgotten in the one that restores it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import psycopg2

from db import is_temporary_target_error, target_words
from model.errors import SuspensionError, UnknownDefinitionError
from postgres import definitions
from postgres.names import TargetName, listed, quote

#: how the comment begins of a trigger that is disabled, and of a foreign key that is back but not validated: so that
#: they are known for what they are even where the record was dropped; their own comment follows
MARK = "Suspended by sync-data.py for a load, and not as it was yet."

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

RECORD = """
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
RECORD_BACK = f"UPDATE replication.suspended SET is_back = true {_ONE}"
#: of two runs that restore the same thing, one does it and the other leaves it
TAKE = f"SELECT is_back FROM replication.suspended {_ONE} FOR UPDATE SKIP LOCKED"
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
SELECT w.position::integer
FROM unnest(%(schemas)s::text[], %(tables)s::text[], %(kinds)s::text[], %(names)s::text[], %(valid)s::boolean[])
     WITH ORDINALITY AS w (table_schema, table_name, kind, name, is_valid, position)
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

    @property
    def as_commented(self) -> str:
        """What COMMENT ON calls it."""
        if self.kind == "index":
            return f"INDEX {quote(self.table.schema)}.{quote(self.name)}"
        return f"{'TRIGGER' if self.kind == 'trigger' else 'CONSTRAINT'} {quote(self.name)} ON {self.table.quoted}"

    @property
    def marked_comment(self) -> str:
        """The mark, and its own comment behind it."""
        return MARK if self.comment is None else f"{MARK}\n{self.comment}"

    def __str__(self) -> str:
        return f"{self.kind} {self.table}.{self.name}"


# -- the mark ------------------------------------------------------------------------------------


def is_marked(comment: str | None) -> bool:
    """Whether a comment says that the thing is suspended, or back and not validated."""
    return comment is not None and comment.startswith(MARK)


def without_mark(comment: str | None) -> str | None:
    """The thing's own comment."""
    return (comment or "").removeprefix(MARK).removeprefix("\n") or None


def write_comment(cursor: Any, one: Suspended, comment: str | None) -> None:
    """Give a thing a comment, or take its comment away, in the caller's transaction."""
    # A % in a name would be taken for a placeholder.
    cursor.execute(f"COMMENT ON {one.as_commented.replace('%', '%%')} IS %s", (comment,))


# -- the record ----------------------------------------------------------------------------------


def record(cursor: Any, one: Suspended) -> None:
    """Write down what the caller's transaction drops."""
    cursor.execute(RECORD, (*one.row, one.definition, one.comment, one.is_validated))


def is_made(connection: Any) -> bool:
    """Whether the record of what is suspended is there, and this role may read it. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(IS_MADE)
        (found,) = cursor.fetchone()
    connection.rollback()
    return bool(found)


def read(connection: Any) -> list[Suspended]:
    """What was suspended and is not restored yet, in the order in which it should be. Raises SuspensionError."""
    return _listed(connection, SUSPENDED, "cannot be read")


def reconcile(connection: Any) -> list[Suspended]:
    """Record again what bears the mark; forget, and return, what cannot be restored since its table is gone.

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
    recorded = {one.row for one in read(connection)}
    values: dict[str, Sequence[object]] = {
        **listed(one.table for one in known),
        "kinds": [one.kind for one in known],
        "names": [one.name for one in known],
        "valid": [one.is_validated for one in known],
    }
    with connection.cursor() as cursor:
        cursor.execute(STANDING, values)
        standing = {position for (position,) in cursor.fetchall()}
    connection.rollback()
    return [one for position, one in enumerate(known, 1) if position not in standing and one.row not in recorded]
