"""Schema `replication` in the target: checkpoints of loads, and what a load has put aside.

A chunk's rows and its checkpoint commit together, so what stands here is what is there, whatever was
killed when. The progress file only mirrors it for people.

Foreign keys would refuse rows that arrive before the ones they point to, and TRUNCATE altogether. They
are recorded and dropped in one transaction before a load, and put back after it, or by the next run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import psycopg2

from catalog import Chunk
from db import target_words
from postgres.names import TargetName, quote

#: milliseconds that a load waits for others to leave a table
LOCK_TIMEOUT_MS = 60_000

CREATE = """
CREATE SCHEMA IF NOT EXISTS replication;
CREATE TABLE IF NOT EXISTS replication.load (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    session text NOT NULL,
    fingerprint text NOT NULL,
    chunks jsonb NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    finished_at timestamptz,
    PRIMARY KEY (table_schema, table_name)
);
COMMENT ON TABLE replication.load IS 'The last load of each table by sync-data.py, and the chunks it is cut into.';
CREATE TABLE IF NOT EXISTS replication.checkpoint (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    chunk integer NOT NULL,
    rows bigint NOT NULL,
    identity_low numeric,
    identity_high numeric,
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_schema, table_name, chunk),
    FOREIGN KEY (table_schema, table_name) REFERENCES replication.load ON DELETE CASCADE
);
COMMENT ON TABLE replication.checkpoint IS 'Chunks that are whole in the target, committed with their rows.';
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

START = """
INSERT INTO replication.load (table_schema, table_name, session, fingerprint, chunks) VALUES (%s, %s, %s, %s, %s)
"""
CHECKPOINT = """
INSERT INTO replication.checkpoint (table_schema, table_name, chunk, rows, identity_low, identity_high)
VALUES (%s, %s, %s, %s, %s, %s)
"""
LOAD = """
SELECT session, fingerprint, chunks, finished_at IS NOT NULL
FROM replication.load WHERE table_schema = %s AND table_name = %s
"""
CHECKPOINTS = "SELECT chunk, rows FROM replication.checkpoint WHERE table_schema = %s AND table_name = %s"
TOTALS = """
SELECT coalesce(sum(rows), 0)::bigint, min(identity_low), max(identity_high)
FROM replication.checkpoint WHERE table_schema = %s AND table_name = %s
"""
FINISH = "UPDATE replication.load SET finished_at = now() WHERE table_schema = %s AND table_name = %s"
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
class Load:
    """A table's last load as the target remembers it: which session's, cut how, and what is committed.

    `done` maps the numbers of committed chunks to their rows.
    """

    session: str
    fingerprint: str
    chunks: tuple[Chunk, ...]
    is_finished: bool
    done: Mapping[int, int]


@dataclass(frozen=True)
class Totals:
    """What all committed chunks of a table hold together."""

    rows: int
    identity_low: int | None
    identity_high: int | None


def prepare(connection: Any) -> None:
    """Make the schema `replication` where it is missing. Raises StateError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT to_regclass('replication.checkpoint') IS NOT NULL")
            (exists,) = cursor.fetchone()
            if not exists:
                cursor.execute(CREATE)
        connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        raise StateError(
            f"the schema `replication`, where loads keep their checkpoints, cannot be made: {target_words(error)}. "
            f"Let a role that may create it run this once, or grant CREATE on the database."
        ) from None


def start_load(cursor: Any, table: TargetName, session: str, fingerprint: str, chunks: Sequence[Chunk]) -> None:
    """Write down a load that begins now, in the caller's transaction; an earlier one is forgotten."""
    row = (table.schema, table.table)
    cursor.execute("DELETE FROM replication.load WHERE table_schema = %s AND table_name = %s", row)
    cut = json.dumps([asdict(chunk) for chunk in chunks], ensure_ascii=False)
    cursor.execute(START, (*row, session, fingerprint, cut))


def record_chunk(
    cursor: Any, table: TargetName, chunk: int, rows: int, identity: tuple[int | None, int | None]
) -> None:
    """Write down, in the transaction of its rows, that a chunk is there."""
    cursor.execute(CHECKPOINT, (table.schema, table.table, chunk, rows, *identity))


def read_totals(cursor: Any, table: TargetName) -> Totals:
    """What the committed chunks of a table hold, the caller's own included."""
    cursor.execute(TOTALS, (table.schema, table.table))
    rows, low, high = cursor.fetchone()
    return Totals(rows, None if low is None else int(low), None if high is None else int(high))


def finish_load(cursor: Any, table: TargetName) -> None:
    """Write down, in the caller's transaction, that all chunks are there."""
    cursor.execute(FINISH, (table.schema, table.table))


def read_load(connection: Any, table: TargetName) -> Load | None:
    """The table's last load, once nobody writes to the table any more.

    The lock waits for a transaction that a killed run may have left behind on the server. Raises
    psycopg2.Error.
    """
    row = (table.schema, table.table)
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(f"LOCK TABLE ONLY {table.quoted} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(LOAD, row)
        found = cursor.fetchone()
        cursor.execute(CHECKPOINTS, row)
        done = dict(cursor.fetchall())
    connection.rollback()
    if found is None:
        return None
    session, fingerprint, cut, is_finished = found
    return Load(session, fingerprint, tuple(_chunk(part) for part in cut), is_finished, done)


def _chunk(part: Mapping[str, Any]) -> Chunk:
    def bound(name: str) -> tuple[str, ...] | None:
        return None if part[name] is None else tuple(part[name])

    return Chunk(part["number"], tuple(part["columns"]), bound("lower"), bound("upper"))


def has_chunk(connection: Any, table: TargetName, session: str, chunk: int) -> int | None:
    """The rows of a chunk that this session has committed already, None if it has not.

    What a retry asks first: a connection that broke during COMMIT leaves open whether it happened.
    Raises psycopg2.Error.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(
            "SELECT c.rows FROM replication.checkpoint AS c JOIN replication.load USING (table_schema, table_name)"
            " WHERE table_schema = %s AND table_name = %s AND chunk = %s AND session = %s",
            (table.schema, table.table, chunk, session),
        )
        found = cursor.fetchone()
    connection.rollback()
    return None if found is None else int(found[0])


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
