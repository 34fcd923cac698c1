"""One snapshot of the source for all who read it: a database snapshot, or SNAPSHOT sessions opened behind a fence.

A database snapshot is a database of its own, so it also serves a later `--resume`. SNAPSHOT transactions each
see what was committed when they first read (Microsoft, "SET TRANSACTION ISOLATION LEVEL"); the fence is a
shared lock on every table, held while they do, so that nothing is committed between the first and the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import arrow_odbc
import pyarrow as pa
import pyodbc

from db import connect_source, odbc_diagnosis, odbc_words
from model.catalog import Table
from model.errors import OdbcError, SnapshotError
from model.settings import Settings
from mssql import odbc_client, reader
from mssql.quoting import can_be_one_constant, is_beyond_basic_plane, literal, quote, quote_table
from mssql.wires import Wires

#: milliseconds that the fence waits for those who write to a table
FENCE_TIMEOUT_MS = 30_000
#: `sys.dm_exec_sessions.transaction_isolation_level` of SNAPSHOT
SNAPSHOT = 5
#: SQL Server's errors: a lock was not had in time, the database does not allow snapshot isolation
LOCK_TIMEOUT, SNAPSHOT_NOT_ALLOWED = 1222, 3952

DATABASE = "SELECT DB_NAME()"
# On a readable secondary sys.database_files has the primary's paths (Microsoft, "sys.database_files"). Whoever may
# create databases sees these rows (Microsoft, "sys.master_files"). A snapshot is made of files of rows alone, type 0.
DATA_FILES = """
SELECT name, physical_name FROM sys.master_files WHERE database_id = DB_ID() AND type = 0 ORDER BY file_id
"""
IS_SNAPSHOT = """
SELECT COUNT(*) FROM sys.databases WHERE name = ? AND source_database_id IS NOT NULL AND source_database_id = DB_ID()
"""
BEGIN = ("SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION")
ISOLATION = "SELECT transaction_isolation_level AS level FROM sys.dm_exec_sessions WHERE session_id = @@SPID"


def take_snapshot(connection: Any, stamp: str) -> str:
    """Make a database snapshot of the database that a pyodbc connection is in; returns the snapshot's name.

    `stamp` makes the name unique. Needs the right to create databases (Microsoft, "CREATE DATABASE", the part
    on database snapshots). Raises SnapshotError.
    """
    try:
        (database,) = connection.execute(DATABASE).fetchone()
        files = connection.execute(DATA_FILES).fetchall()
        if not files:
            raise SnapshotError("the server shows no data files of the database: the login may not create databases")
        name = f"{database[:90]}_replication_{stamp}"
        if not all(can_be_one_constant(physical) for _, physical in files):
            raise SnapshotError("a data file's path has a backslash before the end of a line, which T-SQL would drop")
        parts = ", ".join(
            f"(NAME = {quote(logical)}, FILENAME = {literal(f'{physical}.{stamp}.ss')})" for logical, physical in files
        )
        connection.execute(f"CREATE DATABASE {quote(name)} ON {parts} AS SNAPSHOT OF {quote(database)}")
        return name
    except pyodbc.Error as error:
        raise SnapshotError(odbc_words(error)) from None


def has_snapshot(connection: Any, name: str) -> bool:
    """Whether there is such a snapshot of the database that a pyodbc connection is in. Raises SnapshotError."""
    try:
        return bool(connection.execute(IS_SNAPSHOT, name).fetchone()[0])
    except pyodbc.Error as error:
        raise SnapshotError(odbc_words(error)) from None


def drop_snapshot(connection: Any, name: str) -> None:
    """Drop a snapshot of the database that a pyodbc connection is in, if it is there. Raises SnapshotError."""
    if has_snapshot(connection, name):
        try:
            connection.execute(f"DROP DATABASE {quote(name)}")
        except pyodbc.Error as error:
            raise SnapshotError(odbc_words(error)) from None


@dataclass(frozen=True)
class Session:
    """A worker's connections to one snapshot: one that reads in batches, and one that reads value by value.

    `life` keeps the second one open, where there is one. `wires` are those of both.
    """

    batches: Any
    by_value: odbc_client.Connection | None = None
    life: Any = None
    wires: Wires = field(default_factory=Wires)

    @property
    def is_open(self) -> bool:
        """Whether they still see the snapshot."""
        asked = "SELECT CAST(@@TRANCOUNT AS bigint) AS c0"
        try:
            return _value(self.batches, asked) == 1 and (self.by_value is None or _values(self.by_value, asked) == [1])
        except (arrow_odbc.Error, OdbcError):
            return False


def open_sessions(settings: Settings, tables: Sequence[Table], count: int) -> list[Session]:
    """Sessions that all see one snapshot of the tables, at most `count` of them, at least one.

    Where the server's table locks do not keep writers out there is no fence: then there is one session, of one
    connection. Raises SnapshotError, and UnreachableError.
    """
    if not tables:
        raise SnapshotError("there is no table")
    try:
        with closing(connect_source(settings)) as fence:
            fence.execute(f"SET LOCK_TIMEOUT {FENCE_TIMEOUT_MS}")
            fence.execute("BEGIN TRANSACTION")
            for table in tables:
                fence.execute(f"SELECT TOP (1) 1 AS c0 FROM {_quoted(table)} WITH (TABLOCK, HOLDLOCK)").fetchall()
            is_fenced = _is_locked(settings, tables[0])
            first = _readable(tables)
            sessions = [_session(settings, first, is_fenced) for _ in range(count if is_fenced else 1)]
            fence.execute("ROLLBACK TRANSACTION")
            return sessions
    except pyodbc.Error as error:
        found = odbc_diagnosis(error)
        words = found.words
        if LOCK_TIMEOUT in found.numbers:
            words = f"others wrote to the tables for {FENCE_TIMEOUT_MS // 1000} s without a pause: {words}"
        raise SnapshotError(words) from None


def _readable(tables: Sequence[Table]) -> Table:
    """A table that every kind of connection can name. Raises SnapshotError."""
    found = [table for table in tables if not is_beyond_basic_plane(_quoted(table))]
    if not found:
        raise SnapshotError("no table has a name that the driver manager takes (characters beyond the basic plane)")
    return found[0]


def _is_locked(settings: Settings, table: Table) -> bool:
    """Whether the fence keeps another session from writing to the table, as that session finds out."""
    with closing(connect_source(settings)) as other:
        other.execute("SET LOCK_TIMEOUT 0")
        other.execute("BEGIN TRANSACTION")
        try:
            other.execute(f"SELECT TOP (1) 1 AS c0 FROM {_quoted(table)} WITH (TABLOCKX)").fetchall()
            return False
        except pyodbc.Error as error:
            return LOCK_TIMEOUT in odbc_diagnosis(error).numbers


def _session(settings: Settings, table: Table, is_fenced: bool) -> Session:
    # The first reading of a table, not BEGIN, decides which snapshot a connection sees.
    touch = f"SELECT COUNT_BIG(*) AS c0 FROM (SELECT TOP (1) 1 AS c1 FROM {_quoted(table)}) AS t"
    try:
        wires = Wires()
        batches = wires.opened(lambda: reader.connect(settings), reader.ask)
        for statement in BEGIN:
            batches.execute(statement)
        _value(batches, touch)
        level = _value(batches, ISOLATION)
        if level != SNAPSHOT:
            raise SnapshotError(f"the server gave isolation level {level} instead of SNAPSHOT ({SNAPSHOT})")
        if not is_fenced:
            return Session(batches, wires=wires)
        life = odbc_client.connect(settings)
        session = Session(batches, wires.opened(life.__enter__, odbc_client.Connection.ask), life, wires)
        assert session.by_value is not None
        for statement in BEGIN:
            session.by_value.execute(statement)
        _values(session.by_value, touch)
        return session
    except (arrow_odbc.Error, OdbcError) as error:
        found = odbc_diagnosis(error)
        is_off = SNAPSHOT_NOT_ALLOWED in found.numbers
        advice = "; ALTER DATABASE … SET ALLOW_SNAPSHOT_ISOLATION ON allows it" if is_off else ""
        raise SnapshotError(f"{found.words}{advice}") from None


def _quoted(table: Table) -> str:
    return quote_table(table.schema, table.name)


def _value(session: Any, sql: str) -> Any:
    """The one value that a query answers, None where there is no row."""
    batches = session.read_arrow_batches(sql, batch_size=1)
    found = [value for batch in batches for value in batch.column(0).to_pylist()]
    return found[0] if found else None


def _values(connection: odbc_client.Connection, sql: str) -> list[Any]:
    return [row.value(pa.int64()) for row in connection.rows(sql)]
