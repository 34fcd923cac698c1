"""Loads and the checkpoints of their chunks, as the target records them.

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
import psycopg2.errors

from db import target_words
from model.changes import Counts
from model.errors import LoadBegunError, LoadLostError, RecordError, TargetError
from model.ranges import Chunk
from postgres import runs
from postgres.names import TargetName

#: milliseconds for which a load waits until a transaction of its own, of which it lost the connection, is decided
LOCK_TIMEOUT_MS = 60_000

CREATE = """
CREATE TABLE IF NOT EXISTS replication.load (
    table_schema text NOT NULL,
    table_name text NOT NULL,
    session text NOT NULL,
    fingerprint text NOT NULL,
    chunks jsonb NOT NULL,
    load text,
    relation oid,
    filenode oid,
    keeps_rows boolean NOT NULL DEFAULT false,
    run integer,
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
"""

# What versions before had in other words: `checkpoint` counted NUL characters only, by column.
UPGRADE = """
ALTER TABLE replication.load
    ADD COLUMN IF NOT EXISTS load text, ADD COLUMN IF NOT EXISTS relation oid, ADD COLUMN IF NOT EXISTS filenode oid,
    ADD COLUMN IF NOT EXISTS keeps_rows boolean NOT NULL DEFAULT false, ADD COLUMN IF NOT EXISTS run integer;
COMMENT ON COLUMN replication.load.run IS 'The run that began it, which begins it no second time.';
COMMENT ON COLUMN replication.load.relation IS
    'The table that is loaded, by its oid; with filenode, which TRUNCATE changes, the proof that it is still the one.';
ALTER TABLE replication.checkpoint ADD COLUMN IF NOT EXISTS changes jsonb NOT NULL DEFAULT '{}';
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'replication.checkpoint'::regclass AND attname = 'nuls') THEN
        UPDATE replication.checkpoint SET changes = jsonb_build_object('nul_characters', nuls) WHERE nuls <> '{}';
        ALTER TABLE replication.checkpoint DROP COLUMN nuls;
    END IF;
END $$;
"""

#: whether the table of a load is still the one that it began with, neither made anew nor emptied or rewritten
_IS_SAME = "l.relation = to_regclass(%(quoted)s)::oid AND l.filenode = coalesce(pg_relation_filenode(l.relation), 0)"
_TABLE = "(l.table_schema, l.table_name) = (%(schema)s, %(table)s)"
_IS_OURS = f"{_TABLE} AND l.load = %(load)s AND c.run = %(run)s AND {_IS_SAME}"

# FOR SHARE: nobody takes the table over before the caller's transaction has ended.
START = """
DELETE FROM replication.load WHERE table_schema = %(schema)s AND table_name = %(table)s;
INSERT INTO replication.load
    (table_schema, table_name, session, load, fingerprint, chunks, keeps_rows, run, relation, filenode)
SELECT c.table_schema, c.table_name, %(session)s, %(load)s, %(fingerprint)s, %(chunks)s, %(keeps_rows)s, c.run,
       %(quoted)s::regclass, coalesce(pg_relation_filenode(%(quoted)s::regclass), 0)
FROM replication.claim AS c
WHERE (c.table_schema, c.table_name, c.run) = (%(schema)s, %(table)s, %(run)s) FOR SHARE
"""
# FOR UPDATE: one worker of a run after the other.
TAKE_BEGINNING = """
SELECT FROM replication.claim AS c
WHERE (c.table_schema, c.table_name, c.run) = (%(schema)s, %(table)s, %(run)s) FOR UPDATE
"""
CHECKPOINT = f"""
INSERT INTO replication.checkpoint (table_schema, table_name, chunk, rows, identity_low, identity_high, changes)
SELECT l.table_schema, l.table_name, %(chunk)s, %(rows)s, %(low)s, %(high)s, %(changes)s
FROM replication.load AS l JOIN replication.claim AS c USING (table_schema, table_name)
WHERE {_IS_OURS} AND l.chunks -> %(chunk)s = %(bounds)s::jsonb FOR SHARE
"""
LOAD = """
SELECT session, load, fingerprint, chunks, keeps_rows, finished_at IS NOT NULL
FROM replication.load WHERE table_schema = %s AND table_name = %s
"""
WHAT_IS_LOADED = """
SELECT l.load, c.run, l.relation IS NOT DISTINCT FROM to_regclass(%(quoted)s)::oid,
       l.filenode IS NOT DISTINCT FROM coalesce(pg_relation_filenode(l.relation), 0),
       l.chunks -> %(chunk)s IS NOT DISTINCT FROM %(bounds)s::jsonb, l.keeps_rows
FROM (SELECT %(schema)s AS table_schema, %(table)s AS table_name) AS t
LEFT JOIN replication.load AS l USING (table_schema, table_name)
LEFT JOIN replication.claim AS c USING (table_schema, table_name)
"""
# One statement, so that the rows and their checkpoints are of one snapshot.
COUNTED = """
SELECT (SELECT count(*) FROM {rows}), coalesce(sum(rows), 0)::bigint
FROM replication.checkpoint WHERE table_schema = %(schema)s AND table_name = %(table)s
"""
REWRITTEN = f"""
UPDATE replication.load AS l SET filenode = coalesce(pg_relation_filenode(l.relation), 0)
WHERE {_TABLE} AND l.load = %(load)s AND l.relation = to_regclass(%(quoted)s)::oid
"""
CHECKPOINTS = "SELECT chunk, rows FROM replication.checkpoint WHERE table_schema = %s AND table_name = %s"
TOTALS = """
SELECT coalesce(sum(rows), 0)::bigint, min(identity_low), max(identity_high), (
    SELECT count(*) FROM replication.reject AS r WHERE (r.table_schema, r.table_name) = (%(schema)s, %(table)s))
FROM replication.checkpoint WHERE table_schema = %(schema)s AND table_name = %(table)s
"""
# Of a table that was recreated or emptied since then, somebody else may know more than this record.
UNFINISHED = """
SELECT l.table_schema, l.table_name, count(p.chunk), jsonb_array_length(l.chunks)
FROM replication.load AS l LEFT JOIN replication.checkpoint AS p USING (table_schema, table_name)
WHERE l.finished_at IS NULL AND l.relation = to_regclass(format('%I.%I', l.table_schema, l.table_name))::oid
  AND l.filenode = coalesce(pg_relation_filenode(l.relation), 0)
GROUP BY l.table_schema, l.table_name
"""
CHANGES = """
SELECT kind.key, changed.key, sum(changed.value::bigint)::bigint
FROM replication.checkpoint AS c
CROSS JOIN LATERAL jsonb_each(c.changes) AS kind
CROSS JOIN LATERAL jsonb_each_text(kind.value) AS changed
WHERE table_schema = %s AND table_name = %s GROUP BY 1, 2 ORDER BY 1, 2
"""
GREW = """
UPDATE replication.checkpoint AS p SET rows = p.rows + %s FROM (
    SELECT FROM replication.claim AS c
    WHERE (c.table_schema, c.table_name, c.run) = (%s, %s, %s) FOR SHARE) AS ours
WHERE p.table_schema = %s AND p.table_name = %s AND p.chunk = %s
"""
FINISH = f"""
UPDATE replication.load AS l SET finished_at = clock_timestamp()
FROM replication.claim AS c
WHERE (c.table_schema, c.table_name) = (l.table_schema, l.table_name) AND {_IS_OURS}
  AND jsonb_array_length(l.chunks) = (
    SELECT count(*) FROM replication.checkpoint AS p
    WHERE (p.table_schema, p.table_name) = (l.table_schema, l.table_name))
RETURNING l.relation, l.filenode
"""
FORGET_LOAD = "DELETE FROM replication.load WHERE table_schema = %s AND table_name = %s"
#: held from a chunk's checkpoint to the end of its transaction
CLAIM = (
    "SELECT pg_advisory_xact_lock(hashtextextended("
    "format('replication %%s.%%s %%s', %(schema)s, %(table)s, %(chunk)s::integer), 0))"
)


@dataclass(frozen=True)
class LoadId:
    """A load of a table and the run that does it: what its transactions are held against.

    `session` is what --resume continues; `load` is another one each time that the table is begun anew, and `run` each
    time that a process works on it. With `keeps_rows` the table's rows are not the load's alone.
    """

    table: TargetName
    session: str
    load: str
    run: int
    fingerprint: str = ""
    keeps_rows: bool = False
    is_partitioned: bool = False

    @property
    def parameters(self) -> dict[str, object]:
        """What the statements are given."""
        return {
            "schema": self.table.schema, "table": self.table.table, "quoted": self.table.quoted, "run": self.run,
            "session": self.session, "load": self.load, "fingerprint": self.fingerprint,
            "keeps_rows": self.keeps_rows,
        }  # fmt: skip


@dataclass(frozen=True)
class Load:
    """A table's last load as the target remembers it: which session's, cut how, and what is committed.

    `done` maps the numbers of committed chunks to their rows. `load` is None where an older version began it.
    """

    session: str
    load: str | None
    fingerprint: str
    chunks: tuple[Chunk, ...]
    keeps_rows: bool
    is_finished: bool
    done: Mapping[int, int]


@dataclass(frozen=True)
class Totals:
    """What a chunk, or all committed chunks of a table together, hold.

    `changes` counts the values that were changed on their way, by kind and column.
    `rejected` rows were refused and are recorded in `replication.reject`; they are not among `rows`. `sent` are the
    bytes that were sent for it just now; of earlier attempts nobody remembers them.
    """

    rows: int
    identity_low: int | None = None
    identity_high: int | None = None
    changes: Counts = field(default_factory=dict)
    rejected: int = 0
    #: `relation/filenode` of the table that holds it, once its load is finished
    loaded_as: str | None = None
    sent: int = 0


def is_known(connection: Any, table: TargetName) -> bool:
    """Whether any load of the table is remembered. Raises RecordError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(LOAD, (table.schema, table.table))
            found = cursor.fetchone()
        connection.rollback()
    except psycopg2.Error as error:
        raise RecordError(f"the table's last load cannot be read: {target_words(error)}") from None
    return found is not None


@dataclass(frozen=True)
class Unfinished:
    """How much of a table the target knows to be loaded, where that is not all: `done` of `chunks` chunks."""

    done: int
    chunks: int

    def __str__(self) -> str:
        return f"{self.done} of {self.chunks} chunk{'s' if self.chunks != 1 else ''}"


def unfinished(connection: Any) -> dict[TargetName, Unfinished]:
    """The tables whose last load was never finished, and that are still as it left them. Raises RecordError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(UNFINISHED)
            found = {TargetName(schema, table): Unfinished(done, of) for schema, table, done, of in cursor.fetchall()}
        connection.rollback()
    except psycopg2.Error as error:
        raise RecordError(f"the loads that were not finished cannot be read: {target_words(error)}") from None
    return found


def start_load(cursor: Any, load_id: LoadId, chunks: Sequence[Chunk]) -> None:
    """Write down a load that begins now, in the caller's transaction; an earlier one is forgotten.

    Raises LoadLostError where the run has not claimed the table any more.
    """
    cut = json.dumps([asdict(chunk) for chunk in chunks], ensure_ascii=False)
    cursor.execute(START, {**load_id.parameters, "chunks": cut})
    if cursor.rowcount != 1:
        raise _taken_over(cursor, load_id)


def take_beginning(cursor: Any, load_id: LoadId) -> None:
    """Keep all other workers of the run from beginning the table's load until the caller's transaction has ended.

    Raises LoadBegunError where one has: it may be one that was taken for lost, or the caller itself be. Raises
    LoadLostError where the run has not claimed the table any more.
    """
    cursor.execute(TAKE_BEGINNING, load_id.parameters)
    if cursor.rowcount != 1:
        raise _taken_over(cursor, load_id)
    cursor.execute(f"SELECT FROM replication.load AS l WHERE {_TABLE} AND l.run = %(run)s", load_id.parameters)
    if cursor.rowcount:
        raise LoadBegunError


def record_chunk(cursor: Any, load_id: LoadId, chunk: Chunk, brought: Totals) -> None:
    """Write down, in the transaction of its rows, that a chunk is there and what it brought.

    Raises LoadLostError where the load is not this run's any more, was not cut like that, or its table is not the one
    that it began with, or was emptied; and TargetError, for another attempt, where another worker committed the chunk.
    """
    values = {
        **load_id.parameters, "chunk": chunk.number, "rows": brought.rows, "low": brought.identity_low,
        "high": brought.identity_high, "changes": json.dumps(brought.changes),
        "bounds": json.dumps(asdict(chunk), ensure_ascii=False),
    }  # fmt: skip
    try:
        # One after the other, in one message.
        cursor.execute(f"{CLAIM};{CHECKPOINT}", values)
    except psycopg2.errors.UniqueViolation:
        # A worker that was taken for lost: what it committed is found by the next attempt.
        raise TargetError("another worker of this run has committed the chunk meanwhile", is_temporary=True) from None
    if cursor.rowcount == 1:
        return
    _hold_against(cursor, load_id, chunk, brought.rows)
    cursor.execute(CHECKPOINT, values)
    if cursor.rowcount != 1:
        raise _taken_over(cursor, load_id)


def add_rows(cursor: Any, load_id: LoadId, chunk: int, rows: int) -> None:
    """Write down, in the transaction of its rows, that a committed chunk has grown. Raises LoadLostError."""
    table = (load_id.table.schema, load_id.table.table)
    cursor.execute(GREW, (rows, *table, load_id.run, *table, chunk))
    if cursor.rowcount != 1:
        raise _taken_over(cursor, load_id)


def _hold_against(cursor: Any, load_id: LoadId, chunk: Chunk, rows: int = 0) -> None:
    """Raise LoadLostError unless the load is this run's, and its table holds the rows of its checkpoints.

    `rows` of the caller's transaction are among the table's. A table that was rewritten and still holds them all
    (VACUUM FULL, ALTER TABLE) is the table of the load from now on.
    """
    bounds = json.dumps(asdict(chunk), ensure_ascii=False)
    cursor.execute(WHAT_IS_LOADED, {**load_id.parameters, "chunk": chunk.number, "bounds": bounds})
    load, run, is_same_table, is_same_file, is_same_cut, keeps_rows = cursor.fetchone()
    if run != load_id.run or load != load_id.load:
        raise _taken_over(cursor, load_id)
    if not is_same_table:
        raise LoadLostError(f"{load_id.table} was dropped or recreated while it was loaded. {_FROM_SCRATCH}")
    if not is_same_cut:
        raise LoadLostError(f"its load has other chunks than this run. {_FROM_SCRATCH}")
    if not is_same_file:
        if keeps_rows:
            raise LoadLostError(f"{load_id.table} was emptied or rewritten while rows were added to it. {_LOOK_AT_IT}")
        hold_count_against_checkpoints(cursor, load_id, rows)
        cursor.execute(REWRITTEN, load_id.parameters)


def hold_count_against_checkpoints(cursor: Any, load_id: LoadId, rows: int = 0) -> None:
    """Raise LoadLostError unless the table holds as many rows as its checkpoints say, and `rows` more."""
    # Counting may take long, waiting for somebody's lock may not.
    cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
    rows_of_table = load_id.table.own_rows(load_id.is_partitioned).replace("%", "%%")
    cursor.execute(COUNTED.format(rows=rows_of_table), load_id.parameters)
    there, recorded = cursor.fetchone()
    if there != recorded + rows:
        raise LoadLostError(
            f"{load_id.table} holds {there:,} rows where {recorded + rows:,} were loaded: somebody emptied or changed "
            f"it, or the server crashed and it is UNLOGGED. {_FROM_SCRATCH}"
        )


_FROM_SCRATCH = "Run --resume without --no-truncate to load it from scratch"
_LOOK_AT_IT = "Check its rows; a run without --no-truncate loads it from scratch"


def _taken_over(cursor: Any, load_id: LoadId) -> LoadLostError:
    who = runs.holder(cursor, load_id.table)
    told = f": {who}" if who is not None else ""
    return LoadLostError(
        f"another run has taken over {load_id.table}, or its record is gone{told}. This run adds nothing more to it; "
        f"--resume loads it again"
    )


def read_totals(cursor: Any, table: TargetName) -> Totals:
    """What the committed chunks of a table hold, the caller's own included."""
    cursor.execute(TOTALS, {"schema": table.schema, "table": table.table})
    rows, low, high, rejected = cursor.fetchone()
    cursor.execute(CHANGES, (table.schema, table.table))
    changes: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for kind, column, count in cursor.fetchall():
        changes[kind][column] = count
    return Totals(rows, None if low is None else int(low), None if high is None else int(high), changes, rejected)


def finish_load(cursor: Any, load_id: LoadId) -> str | None:
    """Write down, in the caller's transaction, that all chunks are there; None where one is missing.

    Returns what `is_still_there` takes: which table, emptied last when. Raises LoadLostError.
    """
    cursor.execute(FINISH, load_id.parameters)
    found = cursor.fetchone()
    if found is None:
        cursor.execute("SELECT chunks -> 0 FROM replication.load AS l WHERE " + _TABLE, load_id.parameters)
        first = cursor.fetchone()
        if first is None:
            raise _taken_over(cursor, load_id)
        _hold_against(cursor, load_id, _chunk(first[0]))
        cursor.execute(FINISH, load_id.parameters)
        found = cursor.fetchone()
    return None if found is None else f"{found[0]}/{found[1]}"


def forget_load(cursor: Any, table: TargetName) -> None:
    """End the load of a table that is dropped in the caller's transaction, if any was ever known here."""
    cursor.execute("SELECT to_regclass('replication.load') IS NOT NULL")
    if cursor.fetchone()[0]:
        cursor.execute(FORGET_LOAD, (table.schema, table.table))


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
    session, load, fingerprint, cut, keeps_rows, is_finished = found
    return Load(session, load, fingerprint, tuple(_chunk(part) for part in cut), keeps_rows, is_finished, done)


def hold_against_table(cursor: Any, load_id: LoadId, known: Load) -> None:
    """Raise LoadLostError unless a load can go on: same table, and the rows of its checkpoints in it."""
    first = known.chunks[0]
    _hold_against(cursor, load_id, first)
    if not known.keeps_rows:
        hold_count_against_checkpoints(cursor, load_id)


def _chunk(part: Mapping[str, Any]) -> Chunk:
    def bound(name: str) -> tuple[str, ...] | None:
        return None if part[name] is None else tuple(part[name])

    return Chunk(part["number"], tuple(part["columns"]), bound("lower"), bound("upper"))


def has_chunk(connection: Any, load_id: LoadId, chunk: int) -> int | None:
    """The rows of a chunk that this load has committed already, None if it has not.

    What a retry asks first: a connection that broke during COMMIT leaves open whether it happened, so this
    waits until the server has decided. Raises psycopg2.Error.
    """
    values = {**load_id.parameters, "chunk": chunk}
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
        cursor.execute(CLAIM, values)
        cursor.execute(
            "SELECT p.rows FROM replication.checkpoint AS p JOIN replication.load AS l USING (table_schema, table_name)"
            f" WHERE {_TABLE} AND p.chunk = %(chunk)s AND l.load = %(load)s",
            values,
        )
        found = cursor.fetchone()
    connection.rollback()
    return None if found is None else int(found[0])
