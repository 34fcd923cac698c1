"""Schema `replication` in the target: loads and the checkpoints of their chunks.

A chunk's rows and its checkpoint commit together, so what stands here is what is there, whatever was
killed when. The progress file only mirrors it for people.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import psycopg2

from catalog import Chunk
from changes import Counts
from db import target_words
from postgres import suspension
from postgres.names import TargetName

#: milliseconds that a load waits for others to leave a table
LOCK_TIMEOUT_MS = suspension.LOCK_TIMEOUT_MS

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
    changes jsonb NOT NULL DEFAULT '{}',
    committed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (table_schema, table_name, chunk),
    FOREIGN KEY (table_schema, table_name) REFERENCES replication.load ON DELETE CASCADE
);
COMMENT ON TABLE replication.checkpoint IS 'Chunks that are whole in the target, committed with their rows.';
CREATE TABLE IF NOT EXISTS replication.session (
    session text PRIMARY KEY,
    keeps_rows boolean NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE IF NOT EXISTS replication.reject (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    chunk integer NOT NULL,
    key json,
    column_name text,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    content json NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (table_schema, table_name) REFERENCES replication.load ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS reject_table ON replication.reject (table_schema, table_name, id);
COMMENT ON TABLE replication.reject IS
    'Rows that PostgreSQL refused (--on-error reject), committed with those around them.';
COMMENT ON TABLE replication.session IS 'Sessions of sync-data.py. keeps_rows: begun with --no-truncate.';
"""

# What versions before had in other words: `checkpoint` counted NUL characters only, by column.
UPGRADE = """
ALTER TABLE replication.checkpoint ADD COLUMN IF NOT EXISTS changes jsonb NOT NULL DEFAULT '{}';
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'replication.checkpoint'::regclass AND attname = 'nuls') THEN
        UPDATE replication.checkpoint SET changes = jsonb_build_object('nul_characters', nuls) WHERE nuls <> '{}';
        ALTER TABLE replication.checkpoint DROP COLUMN nuls;
    END IF;
END $$;
"""
IS_CURRENT = """
SELECT to_regclass('replication.reject') IS NOT NULL AND EXISTS (
    SELECT FROM pg_attribute WHERE attrelid = to_regclass('replication.checkpoint') AND attname = 'changes')
"""

START = """
DELETE FROM replication.load WHERE table_schema = %(schema)s AND table_name = %(table)s;
INSERT INTO replication.load (table_schema, table_name, session, fingerprint, chunks)
VALUES (%(schema)s, %(table)s, %(session)s, %(fingerprint)s, %(chunks)s)
"""
CHECKPOINT = """
INSERT INTO replication.checkpoint (table_schema, table_name, chunk, rows, identity_low, identity_high, changes)
VALUES (%s, %s, %s, %s, %s, %s, %s)
"""
LOAD = """
SELECT session, fingerprint, chunks, finished_at IS NOT NULL
FROM replication.load WHERE table_schema = %s AND table_name = %s
"""
CHECKPOINTS = "SELECT chunk, rows FROM replication.checkpoint WHERE table_schema = %s AND table_name = %s"
TOTALS = """
SELECT coalesce(sum(rows), 0)::bigint, min(identity_low), max(identity_high), (
    SELECT count(*) FROM replication.reject AS r WHERE (r.table_schema, r.table_name) = (%(schema)s, %(table)s))
FROM replication.checkpoint WHERE table_schema = %(schema)s AND table_name = %(table)s
"""
CHANGES = """
SELECT kind.key, changed.key, sum(changed.value::bigint)::bigint
FROM replication.checkpoint AS c
CROSS JOIN LATERAL jsonb_each(c.changes) AS kind
CROSS JOIN LATERAL jsonb_each_text(kind.value) AS changed
WHERE table_schema = %s AND table_name = %s GROUP BY 1, 2 ORDER BY 1, 2
"""
GREW = """
UPDATE replication.checkpoint SET rows = rows + %s WHERE table_schema = %s AND table_name = %s AND chunk = %s
"""
FINISH = """
UPDATE replication.load AS l SET finished_at = now()
WHERE l.table_schema = %s AND l.table_name = %s AND jsonb_array_length(l.chunks) = (
    SELECT count(*) FROM replication.checkpoint AS c
    WHERE (c.table_schema, c.table_name) = (l.table_schema, l.table_name))
"""
#: held from a chunk's checkpoint to the end of its transaction
CLAIM = "SELECT pg_advisory_xact_lock(hashtextextended(format('replication %%s.%%s %%s', %s, %s, %s::integer), 0))"


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
    """What a chunk, or all committed chunks of a table together, hold.

    `changes` counts the values that were changed on their way, by kind and column.
    `rejected` rows were refused and are recorded in `replication.reject`; they are not among `rows`.
    """

    rows: int
    identity_low: int | None = None
    identity_high: int | None = None
    changes: Counts = field(default_factory=dict)
    rejected: int = 0


def prepare(connection: Any) -> None:
    """Make the schema `replication` where it is missing, or made by an older version. Raises StateError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(IS_CURRENT)
            (is_current,) = cursor.fetchone()
            if not is_current:
                cursor.execute(CREATE)
                cursor.execute(UPGRADE)
                cursor.execute(suspension.CREATE)
        connection.commit()
    except psycopg2.Error as error:
        if not connection.closed:
            connection.rollback()
        raise StateError(
            f"the schema `replication`, where loads keep their checkpoints, cannot be made: {target_words(error)}. "
            f"Let a role that may create it run this once, or grant CREATE on the database."
        ) from None


def begin_session(connection: Any, session: str, keeps_rows: bool) -> None:
    """Remember whether a new session keeps the rows that are there, for those who resume it. Raises StateError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO replication.session (session, keeps_rows) VALUES (%s, %s)", (session, keeps_rows)
            )
        connection.commit()
    except psycopg2.Error as error:
        raise StateError(f"the session cannot be written down: {target_words(error)}") from None


def keeps_rows(connection: Any, session: str) -> bool:
    """Whether a session was begun with --no-truncate; False where that is not known. Raises StateError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT keeps_rows FROM replication.session WHERE session = %s", (session,))
            found = cursor.fetchone()
        connection.rollback()
    except psycopg2.Error as error:
        raise StateError(f"the session cannot be read: {target_words(error)}") from None
    return found is not None and bool(found[0])


def is_known(connection: Any, table: TargetName) -> bool:
    """Whether any load of the table is remembered. Raises StateError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(LOAD, (table.schema, table.table))
            found = cursor.fetchone()
        connection.rollback()
    except psycopg2.Error as error:
        raise StateError(f"the table's last load cannot be read: {target_words(error)}") from None
    return found is not None


def start_load(cursor: Any, table: TargetName, session: str, fingerprint: str, chunks: Sequence[Chunk]) -> None:
    """Write down a load that begins now, in the caller's transaction; an earlier one is forgotten."""
    cut = json.dumps([asdict(chunk) for chunk in chunks], ensure_ascii=False)
    load = {"session": session, "fingerprint": fingerprint, "chunks": cut}
    cursor.execute(START, {"schema": table.schema, "table": table.table, **load})


def record_chunk(cursor: Any, table: TargetName, chunk: int, brought: Totals) -> None:
    """Write down, in the transaction of its rows, that a chunk is there and what it brought."""
    row = (table.schema, table.table, chunk)
    identity = (brought.identity_low, brought.identity_high)
    # One after the other, in one message.
    cursor.execute(f"{CLAIM};{CHECKPOINT}", (*row, *row, brought.rows, *identity, json.dumps(brought.changes)))


def add_rows(cursor: Any, table: TargetName, chunk: int, rows: int) -> None:
    """Write down, in the transaction of its rows, that a committed chunk has grown."""
    cursor.execute(GREW, (rows, table.schema, table.table, chunk))


def read_totals(cursor: Any, table: TargetName) -> Totals:
    """What the committed chunks of a table hold, the caller's own included."""
    cursor.execute(TOTALS, {"schema": table.schema, "table": table.table})
    rows, low, high, rejected = cursor.fetchone()
    cursor.execute(CHANGES, (table.schema, table.table))
    changes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for kind, column, count in cursor.fetchall():
        changes[kind][column] = count
    return Totals(rows, None if low is None else int(low), None if high is None else int(high), changes, rejected)


def finish_load(cursor: Any, table: TargetName) -> bool:
    """Write down, in the caller's transaction, that all chunks are there; False where one is missing."""
    cursor.execute(FINISH, (table.schema, table.table))
    return bool(cursor.rowcount == 1)


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

    What a retry asks first: a connection that broke during COMMIT leaves open whether it happened, so this
    waits until the server has decided. Raises psycopg2.Error.
    """
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(CLAIM, (table.schema, table.table, chunk))
        cursor.execute(
            "SELECT c.rows FROM replication.checkpoint AS c JOIN replication.load USING (table_schema, table_name)"
            " WHERE table_schema = %s AND table_name = %s AND chunk = %s AND session = %s",
            (table.schema, table.table, chunk, session),
        )
        found = cursor.fetchone()
    connection.rollback()
    return None if found is None else int(found[0])
