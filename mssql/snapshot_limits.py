"""What of a database can be read as of one moment, and why not, by what its catalog says: known before a row is read.

Sources: Microsoft, "Database Snapshots (SQL Server)"; "FILESTREAM Compatibility with Other SQL Server Features";
"FileTable Compatibility with Other SQL Server Features", on snapshot isolation; "Unsupported SQL Server Features for
In-Memory OLTP"; "MSSQLSERVER_41332"; "Database Snapshots with Always On Availability Groups"; "Active Secondaries:
Readable Secondary Replicas"; "SERVERPROPERTY", EngineEdition; "sys.databases"; "Transact-SQL differences between SQL
Server and Azure SQL Managed Instance".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyodbc

from db import odbc_words
from model.catalog import Table
from model.errors import SnapshotError

#: engines without database snapshots, by EngineEdition
WITHOUT_DATABASE_SNAPSHOTS = {
    5: "Azure SQL Database", 6: "Azure Synapse Analytics", 8: "Azure SQL Managed Instance",
    11: "Azure Synapse serverless", 12: "SQL database in Microsoft Fabric",
}  # fmt: skip
#: the version from which on a database with a memory-optimised filegroup can have snapshots
MEMORY_IN_SNAPSHOTS = 15

# DB_ID() may not be the number that sys.databases has in Azure SQL Database; the name is.
FACTS = """
SELECT engine = CAST(SERVERPROPERTY('EngineEdition') AS int),
       version = CAST(SERVERPROPERTY('ProductVersion') AS nvarchar(128)),
       is_read_only = CAST(d.is_read_only AS int),
       is_standby = CAST(d.is_in_standby AS int),
       is_snapshot = CASE WHEN d.source_database_id IS NULL THEN 0 ELSE 1 END,
       is_replica = CASE WHEN d.replica_id IS NULL THEN 0 ELSE 1 END,
       updateability = CAST(DATABASEPROPERTYEX(d.name, 'Updateability') AS nvarchar(128)),
       (SELECT COUNT(*) FROM sys.filegroups WHERE type = 'FX') AS memory_filegroups
FROM sys.databases AS d
WHERE d.name = DB_NAME()
"""
# 2: FULL, files may be written without a transaction.
FILES_WRITTEN_FREELY = """
SELECT COUNT(*) FROM sys.database_filestream_options WHERE database_id = DB_ID() AND non_transacted_access = 2
"""


@dataclass(frozen=True)
class Limits:
    """What the catalog says of a database and of the tables that are to be read.

    `is_fixed` is a database that is one moment by itself; `is_secondary` one that another server's changes reach.
    """

    tables: Sequence[Table]
    engine: int
    version: int
    is_fixed: bool
    is_standby: bool
    is_secondary: bool
    has_memory_filegroup: bool
    files_are_written_freely: bool

    @property
    def why_no_moment(self) -> str | None:
        """Why no way leads to one moment of these tables; None where one may."""
        outside = _named(self.tables, lambda table: not {"external", "stretched"}.isdisjoint(table.traits))
        if outside:
            return (
                f"rows of external and stretched tables lie outside of the database, where no snapshot of it holds "
                f"them: {outside}. Leave them out with --exclude"
            )
        if self.is_standby:
            return (
                "the database is a standby of log shipping: each restore of its log changes it, and no snapshot of it "
                "can be made. Read from the primary"
            )
        return None

    @property
    def why_no_database_snapshot(self) -> str | None:
        """Why a database snapshot would not do; None where the server may be asked for one."""
        if self.engine in WITHOUT_DATABASE_SNAPSHOTS:
            return f"{WITHOUT_DATABASE_SNAPSHOTS[self.engine]} has none"
        streams = _named(self.tables, lambda table: any(column.is_filestream for column in table.columns))
        if streams:
            return f"it holds no FILESTREAM data, and these tables have columns of it: {streams}"
        if self.has_memory_filegroup and self.version < MEMORY_IN_SNAPSHOTS:
            return "before SQL Server 2019 there is none of a database with a memory-optimised filegroup"
        return None

    @property
    def why_no_sessions(self) -> str | None:
        """Why SNAPSHOT transactions would not do; None where the server may be asked for them."""
        in_memory = _named(self.tables, lambda table: "memory-optimised" in table.traits)
        if in_memory:
            return f"memory-optimised tables cannot be read in them: {in_memory}"
        files = _named(self.tables, lambda table: "FileTable" in table.traits)
        if files and self.files_are_written_freely:
            return f"FileTables whose files are written without transactions cannot be read in them: {files}"
        if files and self.is_secondary:
            return f"FileTables cannot be read on a secondary replica: {files}"
        return None


def read_limits(connection: Any, tables: Sequence[Table]) -> Limits:
    """What limits a snapshot of these tables of the database that a pyodbc connection is in. Raises SnapshotError."""
    try:
        facts = connection.cursor().execute(FACTS).fetchone()
        has_files = any("FileTable" in table.traits for table in tables)
        freely = bool(connection.cursor().execute(FILES_WRITTEN_FREELY).fetchone()[0]) if has_files else False
    except pyodbc.Error as error:
        raise SnapshotError(f"the catalog does not say what snapshots it has: {odbc_words(error)}") from None
    if facts is None:
        raise SnapshotError("sys.databases does not show the database that the run reads")
    is_ours = facts.engine not in WITHOUT_DATABASE_SNAPSHOTS and not facts.is_replica
    return Limits(
        tables=tables,
        engine=facts.engine or 0,
        version=int(str(facts.version or "0").partition(".")[0]),
        is_fixed=bool(is_ours and (facts.is_read_only or facts.is_snapshot) and not facts.is_standby),
        is_standby=bool(facts.is_standby),
        # A secondary is not set to read-only, and changes with its primary.
        is_secondary=bool(facts.is_replica and facts.updateability == "READ_ONLY"),
        has_memory_filegroup=bool(facts.memory_filegroups),
        files_are_written_freely=freely,
    )


def _named(tables: Sequence[Table], is_meant: Callable[[Table], bool]) -> str:
    return ", ".join(table.full_name for table in tables if is_meant(table))
