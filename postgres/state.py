"""Schema `replication` in the target: what a load has put aside, so that it comes back after a kill too.

Foreign keys would refuse rows that arrive before the ones they point to, and TRUNCATE altogether. They
are recorded and dropped in one transaction before a load, and put back after it, or by the next run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg2

from db import target_words
from postgres.names import TargetName, quote

CREATE = """
CREATE SCHEMA IF NOT EXISTS replication;
CREATE TABLE IF NOT EXISTS replication.suspended (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    name text NOT NULL,
    kind text NOT NULL,
    definition text NOT NULL,
    is_validated boolean NOT NULL,
    is_back boolean NOT NULL DEFAULT false,
    suspended_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_schema, table_name, name)
);
COMMENT ON TABLE replication.suspended IS
    'Dropped by sync-data.py for a load, put back after it or by the next run. is_back: only validation is left.';
"""

# Every foreign key from or to the tables that a load will fill.
FOREIGN_KEYS = """
SELECT n.nspname, c.relname, k.conname, pg_get_constraintdef(k.oid), k.convalidated
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS rc ON rc.oid = k.confrelid
JOIN pg_namespace AS rn ON rn.oid = rc.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND EXISTS (
    SELECT FROM unnest(%(schemas)s::text[], %(tables)s::text[]) AS loaded (table_schema, table_name)
    WHERE (loaded.table_schema, loaded.table_name) IN ((n.nspname, c.relname), (rn.nspname, rc.relname)))
ORDER BY 1, 2, 3
"""

REMEMBER = """
INSERT INTO replication.suspended (table_schema, table_name, name, kind, definition, is_validated)
VALUES (%s, %s, %s, 'foreign key', %s, %s)
ON CONFLICT (table_schema, table_name, name)
DO UPDATE SET definition = excluded.definition, is_back = false,
              is_validated = replication.suspended.is_validated OR excluded.is_validated
"""

SUSPENDED = """
SELECT table_schema, table_name, name, definition, is_validated, is_back
FROM replication.suspended WHERE kind = 'foreign key' ORDER BY 1, 2, 3
"""

EXISTS = "SELECT FROM pg_constraint WHERE conname = %s AND conrelid = %s::regclass"
FORGET = "DELETE FROM replication.suspended WHERE table_schema = %s AND table_name = %s AND name = %s"
MARK_BACK = "UPDATE replication.suspended SET is_back = true WHERE table_schema = %s AND table_name = %s AND name = %s"


class StateError(Exception):
    """The schema `replication` cannot be used; the message holds the server's words."""


@dataclass(frozen=True)
class Suspended:
    """A foreign key that was dropped for a load. `is_back`: it stands again, but is not validated yet."""

    table: TargetName
    name: str
    definition: str
    is_validated: bool
    is_back: bool


def suspend_foreign_keys(connection: Any, tables: Sequence[TargetName]) -> int:
    """Record and drop all foreign keys from and to these tables, in one transaction; returns how many.

    Raises StateError; then nothing was dropped.
    """
    try:
        with connection.cursor() as cursor:
            cursor.execute(FOREIGN_KEYS, {"schemas": [t.schema for t in tables], "tables": [t.table for t in tables]})
            found = cursor.fetchall()
            if found:
                cursor.execute(CREATE)
            for schema, table, name, definition, is_validated in found:
                # A key that is not validated is written down without that, so that it always comes back.
                bare = definition.removesuffix(" NOT VALID")
                cursor.execute(REMEMBER, (schema, table, name, bare, is_validated))
                cursor.execute(f"ALTER TABLE {TargetName(schema, table).quoted} DROP CONSTRAINT {quote(name)}")
        connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        raise StateError(f"foreign keys cannot be put aside for the load: {target_words(error)}") from None
    return len(found)


def read_suspended(connection: Any) -> list[Suspended]:
    """What was put aside and has not come back yet. Raises StateError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('replication.suspended') IS NOT NULL")
            (exists,) = cursor.fetchone()
            if not exists:
                return []
            cursor.execute(SUSPENDED)
            rows = cursor.fetchall()
    except psycopg2.Error as error:
        raise StateError(f"replication.suspended cannot be read: {target_words(error)}") from None
    finally:
        if not connection.closed:
            connection.rollback()
    return [Suspended(TargetName(schema, table), *rest) for schema, table, *rest in rows]


def restore(connection: Any, key: Suspended) -> str | None:
    """Put a foreign key back, and validate it if it was valid; returns what is wrong, in the server's words.

    Adding and forgetting are one transaction, so a kill in between leaves it either recorded or back. A
    key that rows violate stays, not validated, and recorded; rows are never deleted to make a key fit.
    """
    row = (key.table.schema, key.table.table, key.name)
    alter = f"ALTER TABLE {key.table.quoted}"
    try:
        with connection.cursor() as cursor:
            cursor.execute(EXISTS, (key.name, key.table.quoted))
            if not key.is_back:
                if cursor.fetchone() is None:
                    cursor.execute(f"{alter} ADD CONSTRAINT {quote(key.name)} {key.definition} NOT VALID")
                cursor.execute(MARK_BACK if key.is_validated else FORGET, row)
                connection.commit()
            if key.is_validated:
                cursor.execute(f"{alter} VALIDATE CONSTRAINT {quote(key.name)}")
                cursor.execute(FORGET, row)
                connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        return f"{key.table}.{key.name}: {target_words(error)}"
    return None
