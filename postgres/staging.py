"""Where new rows stand until readers are to see them: the schema `replication_staging`.

A staging table is filled like any other table, in chunks with their checkpoints, and its load is known by its own name.
When its rows become the live table's, so does the record of its load, in the same transaction. Of an abandoned session
its staging tables are all that is left.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2

from db import target_words
from model.errors import LoadLostError, RecordError
from postgres import runs
from postgres.checkpoints import LoadId
from postgres.names import OWN_SCHEMA, STAGING_SCHEMA, TargetName, cut, listed

CREATE = f"CREATE SCHEMA IF NOT EXISTS {STAGING_SCHEMA}"
IS_MADE = f"SELECT to_regnamespace('{STAGING_SCHEMA}') IS NOT NULL"
# Whoever may create something there could have rows of his own become those of a live table. PostgreSQL, "Privileges".
STRANGERS = f"""
WITH trusted AS (
    SELECT oid FROM pg_roles WHERE rolname = current_user OR rolsuper OR rolname = ANY (%(trusted)s)
), ours AS (SELECT * FROM pg_namespace WHERE nspname = '{STAGING_SCHEMA}')
SELECT 'it belongs to ' || pg_get_userbyid(nspowner) FROM ours WHERE nspowner NOT IN (SELECT oid FROM trusted)
UNION ALL
SELECT CASE grantee WHEN 0 THEN 'everybody' ELSE pg_get_userbyid(grantee)::text END || ' may create tables in it'
FROM ours CROSS JOIN LATERAL aclexplode(nspacl)
WHERE privilege_type = 'CREATE' AND grantee NOT IN (SELECT oid FROM trusted)
"""
# What a table of the same rows must have alike, and a load must not find changed when it goes on.
SHAPE = """
SELECT md5(string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attcollation, a.attnotnull,
    a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid)), ', ' ORDER BY a.attnum))
FROM pg_attribute AS a LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = %s::regclass AND a.attnum > 0 AND NOT a.attisdropped
"""
# Sessions of other progress files may go on with theirs; a live run's are claimed.
LEFT_BEHIND = f"""
SELECT c.relname, l.session, r.run IS NOT NULL,
       s.session IS NOT NULL AND s.ended_at IS NULL AND (s.progress_file, s.host) IS DISTINCT FROM (%(file)s, %(host)s)
FROM pg_class AS c
LEFT JOIN {OWN_SCHEMA}.load AS l ON (l.table_schema, l.table_name) = ('{STAGING_SCHEMA}', c.relname)
LEFT JOIN {OWN_SCHEMA}.session AS s USING (session)
LEFT JOIN {OWN_SCHEMA}.claim AS r ON (r.table_schema, r.table_name) = ('{STAGING_SCHEMA}', c.relname)
     AND r.run <> %(run)s
WHERE c.relnamespace = to_regnamespace('{STAGING_SCHEMA}') AND c.relkind IN ('r', 'p') ORDER BY 1
"""
ALL_LOADS = f"""
SELECT l.table_name, l.session, l.finished_at IS NOT NULL, (
    SELECT coalesce(sum(c.rows), 0)::bigint FROM {OWN_SCHEMA}.checkpoint AS c
    WHERE (c.table_schema, c.table_name) = (l.table_schema, l.table_name))
FROM {OWN_SCHEMA}.load AS l WHERE l.table_schema = '{STAGING_SCHEMA}' ORDER BY 1
"""
OF_SESSION = f"SELECT table_name FROM {OWN_SCHEMA}.load WHERE table_schema = '{STAGING_SCHEMA}' AND session = %s"
FORGET = f"DELETE FROM {OWN_SCHEMA}.load WHERE table_schema = '{STAGING_SCHEMA}' AND table_name = %s"
TIES = """
SELECT n.nspname, c.relname, rn.nspname, rc.relname
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS rc ON rc.oid = k.confrelid JOIN pg_namespace AS rn ON rn.oid = rc.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid <> k.confrelid
  AND (n.nspname, c.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(tables)s::text[]))
  AND (rn.nspname, rc.relname) IN (SELECT * FROM unnest(%(schemas)s::text[], %(tables)s::text[]))
"""

_STAGED = f"(l.table_schema, l.table_name) = ('{STAGING_SCHEMA}', %(staged)s) AND l.load = %(load)s"
#: the run must have claimed both tables until the end of the transaction; their loads are complete
BECOMES_LIVE = f"""
DELETE FROM {OWN_SCHEMA}.load WHERE (table_schema, table_name) = (%(schema)s, %(table)s);
INSERT INTO {OWN_SCHEMA}.load (table_schema, table_name, session, load, fingerprint, chunks, keeps_rows, relation,
    filenode, started_at, finished_at)
SELECT c.table_schema, c.table_name, l.session, l.load, l.fingerprint, l.chunks, false, %(quoted)s::regclass,
       coalesce(pg_relation_filenode(%(quoted)s::regclass), 0), l.started_at, l.finished_at
FROM {OWN_SCHEMA}.load AS l
JOIN {OWN_SCHEMA}.claim AS c ON (c.table_schema, c.table_name, c.run) = (%(schema)s, %(table)s, %(run)s)
WHERE {_STAGED} AND l.finished_at IS NOT NULL FOR SHARE OF c
"""
FOLLOW = f"""
UPDATE {OWN_SCHEMA}.checkpoint SET table_schema = %(schema)s, table_name = %(table)s
WHERE (table_schema, table_name) = ('{STAGING_SCHEMA}', %(staged)s);
UPDATE {OWN_SCHEMA}.reject SET table_schema = %(schema)s, table_name = %(table)s
WHERE (table_schema, table_name) = ('{STAGING_SCHEMA}', %(staged)s);
DELETE FROM {OWN_SCHEMA}.load WHERE (table_schema, table_name) = ('{STAGING_SCHEMA}', %(staged)s)
"""
# The staged rows are those of the load, which is complete, and nobody took the table over.
STAGED = f"""
SELECT l.relation = to_regclass(%(quoted)s)::oid AND l.filenode = pg_relation_filenode(l.relation)
       AND l.finished_at IS NOT NULL AND c.run = %(run)s
FROM {OWN_SCHEMA}.load AS l LEFT JOIN {OWN_SCHEMA}.claim AS c USING (table_schema, table_name)
WHERE {_STAGED}
"""
LOADED_AS = f"""
SELECT l.relation || '/' || l.filenode FROM {OWN_SCHEMA}.load AS l
WHERE (l.table_schema, l.table_name) = (%(schema)s, %(table)s) AND l.load = %(load)s
"""
# A commit follows the time that it records, and others may read the clock and look at rows in either order.
COMPLETE_SINCE = f"""
SELECT coalesce(max(finished_at) + interval '1 second', clock_timestamp()) FROM {OWN_SCHEMA}.load
WHERE table_schema = '{STAGING_SCHEMA}' AND table_name = ANY (%s)
"""
# Of one session, complete, and still as its load left them.
LIVE_OF_SESSION = f"""
SELECT l.table_schema, l.table_name, l.relation || '/' || l.filenode, (
    SELECT coalesce(sum(p.rows), 0)::bigint FROM {OWN_SCHEMA}.checkpoint AS p
    WHERE (p.table_schema, p.table_name) = (l.table_schema, l.table_name))
FROM {OWN_SCHEMA}.load AS l
JOIN unnest(%(schemas)s::text[], %(tables)s::text[]) AS w (table_schema, table_name) USING (table_schema, table_name)
WHERE l.session = ANY (%(sessions)s) AND l.finished_at IS NOT NULL AND NOT l.keeps_rows
  AND l.relation = to_regclass(format('%%I.%%I', l.table_schema, l.table_name))::oid
  AND l.filenode = coalesce(pg_relation_filenode(l.relation), 0)
"""


def staging_name(live: TargetName) -> TargetName:
    """Where a table's new rows are staged."""
    return TargetName(STAGING_SCHEMA, cut(str(live)))


def prepare(connection: Any, trusted: Sequence[str] = ()) -> None:
    """Make the schema where it is missing. Raises RecordError, also where others may create tables in it."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(IS_MADE)
            if cursor.fetchone() == (False,):
                cursor.execute(runs.PREPARE)
                cursor.execute(CREATE)
            cursor.execute(STRANGERS, {"trusted": list(trusted)})
            strangers = [words for (words,) in cursor.fetchall()]
        connection.commit()
    except psycopg2.Error as error:
        connection.rollback()
        raise RecordError(
            f"the schema {STAGING_SCHEMA}, where new rows stand until they are shown, cannot be made: "
            f"{target_words(error)}. Let a superuser create it for this role (CREATE SCHEMA {STAGING_SCHEMA} "
            f"AUTHORIZATION ...), grant CREATE on the database, or use --refresh truncate"
        ) from None
    if strangers:
        raise RecordError(
            f"the schema {STAGING_SCHEMA} of the target cannot be trusted: {'; '.join(strangers)}. Nothing in it was "
            f"read. Revoke that, name the role in TRUSTED_ROLES if it is yours, or drop the schema"
        )


def shape(cursor: Any, live: TargetName) -> str:
    """A digest of a table's columns: another one, and what was staged for it does not fit. Raises psycopg2.Error."""
    cursor.execute(SHAPE, (live.quoted,))
    return str(cursor.fetchone()[0])


def remove(cursor: Any, table: TargetName) -> None:
    """Drop a staging table and forget its load, in the caller's transaction. Raises psycopg2.Error."""
    cursor.execute(f"DROP TABLE IF EXISTS {table.quoted}")
    cursor.execute(FORGET, (table.table,))


# -- what is left ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """The progress file whose sessions are ours, on which host, and the run that works on one of them."""

    progress_file: str
    host: str
    run: int


def abandoned(connection: Any, place: Place, sessions: Collection[str]) -> list[TargetName]:
    """Staging tables with which nobody goes on: not a session of another file, no live run, and none of `sessions`.

    Raises psycopg2.Error.
    """
    with connection.cursor() as cursor:
        cursor.execute(LEFT_BEHIND, {"file": place.progress_file, "host": place.host, "run": place.run})
        found = cursor.fetchall()
    connection.rollback()
    return [
        TargetName(STAGING_SCHEMA, name)
        for name, session, is_claimed, is_of_others in found
        if not is_claimed and not is_of_others and session not in sessions
    ]


def of_session(connection: Any, session: str) -> list[TargetName]:
    """The staging tables of a session. Raises psycopg2.Error."""
    return [TargetName(STAGING_SCHEMA, name) for (name,) in _of_loads(connection, OF_SESSION, session)]


@dataclass(frozen=True)
class StagedLoad:
    """What stands in the staging schema for a table, as it is called there: whose, how many rows, and whether all."""

    live: str
    session: str
    is_complete: bool
    rows: int


def all_loads(connection: Any) -> list[StagedLoad]:
    """What loads of any session have staged. Raises psycopg2.Error."""
    return [StagedLoad(*row) for row in _of_loads(connection, ALL_LOADS)]


def _of_loads(connection: Any, query: str, *values: object) -> list[tuple[Any, ...]]:
    """The rows of a query on the loads; none where no load was ever recorded. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT to_regclass('{OWN_SCHEMA}.load') IS NOT NULL")
        found: list[tuple[Any, ...]] = []
        if cursor.fetchone() == (True,):
            cursor.execute(query, values)
            found = cursor.fetchall()
    connection.rollback()
    return found


# -- what becomes live -----------------------------------------------------------------------------------


def ties(connection: Any, tables: Collection[TargetName]) -> list[tuple[TargetName, TargetName]]:
    """The pairs of these tables that a foreign key ties, from child to parent. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(TIES, listed(tables))
        found = cursor.fetchall()
    connection.rollback()
    return [(TargetName(*row[:2]), TargetName(*row[2:])) for row in found]


def check_staged(cursor: Any, load_id: LoadId) -> None:
    """Raise LoadLostError unless the staging table holds the complete load of this run."""
    cursor.execute(STAGED, _of(load_id, load_id.table))
    if cursor.fetchone() != (True,):
        raise LoadLostError(
            f"what was staged in {load_id.table} is not there any more, or another run has taken it over. The live "
            f"table is as it was; --resume loads it again"
        )


def complete_since(cursor: Any, tables: Collection[TargetName]) -> datetime:
    """By the server's clock, a moment at which all rows of these staging tables were committed.

    Raises psycopg2.Error.
    """
    cursor.execute(COMPLETE_SINCE, ([table.table for table in tables],))
    found: datetime = cursor.fetchone()[0]
    return found


def becomes_live(cursor: Any, load_id: LoadId, live: TargetName) -> str:
    """The record of a staged load becomes that of its live table, in the caller's transaction; returns `loaded_as`.

    Raises LoadLostError where another run has claimed one of the two.
    """
    values = _of(load_id, live)
    cursor.execute(BECOMES_LIVE, values)
    if cursor.rowcount != 1:
        raise LoadLostError(
            f"another run has taken over {live}, or the record of what was staged for it is gone. The live table is as "
            f"it was; --resume loads it again"
        )
    cursor.execute(FOLLOW, values)
    cursor.execute(LOADED_AS, values)
    return str(cursor.fetchone()[0])


def live_since(cursor: Any, load_id: LoadId, live: TargetName) -> str | None:
    """`loaded_as` of a staged load that has become live already; None where it has not. Raises psycopg2.Error."""
    cursor.execute(LOADED_AS, _of(load_id, live))
    found = cursor.fetchone()
    return None if found is None else str(found[0])


@dataclass(frozen=True)
class Live:
    """A table that a session has made live: which table holds the rows (`loaded_as`), and how many."""

    loaded_as: str
    rows: int


def made_live(connection: Any, tables: Sequence[TargetName], sessions: Collection[str]) -> dict[TargetName, Live]:
    """Those of the tables that hold the complete rows of one of these sessions, untouched. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(LIVE_OF_SESSION, {**listed(tables), "sessions": list(sessions)})
        found = {TargetName(schema, table): Live(*rest) for schema, table, *rest in cursor.fetchall()}
    connection.rollback()
    return found


def _of(load_id: LoadId, live: TargetName) -> dict[str, object]:
    return {
        **load_id.parameters, "staged": load_id.table.table, "schema": live.schema, "table": live.table,
        "quoted": live.quoted,
    }  # fmt: skip
