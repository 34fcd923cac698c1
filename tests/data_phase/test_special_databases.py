"""--consistent in databases of a special kind: it works, or is refused with the true reason before a row is read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Column, Database, Key, KeyColumn, SqlType, Table
from standin.server import StandIn
from tests.harness import Finished, Workplace
from tests.samples import MakeWorkplace, query, set_status

INT = SqlType("int", 4)
BINARY = SqlType("varbinary", -1)
ROWS = 20

REPLICA = "UPDATE sys.databases SET replica_id = '6f9619ff-8b86-d011-b42d-00c04fc964ff' WHERE database_id = 5"
READ_ONLY = "UPDATE sys.databases SET is_read_only = 1 WHERE database_id = 5"
READ_WRITE = "UPDATE sys.databases SET is_read_only = 0 WHERE database_id = 5"
STANDBY = "UPDATE sys.databases SET is_read_only = 1, is_in_standby = 1 WHERE database_id = 5"
MEMORY_FILEGROUP = (
    "INSERT INTO sys.filegroups BY NAME SELECT 'memory' AS name, 9 AS data_space_id, 'FX' AS type,"
    " 'MEMORY_OPTIMIZED_DATA_FILEGROUP' AS type_desc"
)
FULL_ACCESS = (
    "INSERT INTO sys.database_filestream_options BY NAME SELECT 5 AS database_id, 2 AS non_transacted_access,"
    " 'FULL' AS non_transacted_access_desc"
)


def keyed(name: str, *traits: str, **more: bool) -> Table:
    """A table with a key and a column, of which `more` says what is special."""
    columns = (Column("id", INT, is_nullable=False), replace(Column("content", BINARY), **more))  # type: ignore[arg-type]
    return Table("dbo", name, columns, Key(f"PK_{name}", (KeyColumn("id"),)), traits=traits)


PLAIN = keyed("Plain")
FILES = keyed("Files", is_filestream=True)
CACHE = keyed("Cache", "memory-optimised")
FAR = keyed("Far", "external")
FOLDER = keyed("Folder", "FileTable", is_filestream=True)


@dataclass
class Scene:
    """A source with some tables, and the target with the same ones, empty."""

    source: StandIn
    workplace: Workplace
    query: Callable[[str], list[tuple[Any, ...]]]

    def run(self, *arguments: str) -> Finished:
        """The data phase with --consistent, unless other words are given."""
        return self.workplace.run("data", *(arguments or ("--consistent",)))

    def counts(self, *tables: str) -> list[int]:
        """The rows that the target's tables hold."""
        return [self.query(f"SELECT count(*) FROM {table}")[0][0] for table in tables]

    @property
    def snapshot(self) -> dict[str, str]:
        """What the progress file says of the snapshot."""
        found: dict[str, str] = json.loads(self.workplace.data_progress.read_text(encoding="utf-8"))["consistency"]
        return found


@pytest.fixture
def of(
    serve: Callable[..., StandIn], make_workplace: MakeWorkplace, target: EmbeddedTarget, target_database: str
) -> Callable[..., Scene]:
    """Makes the scene of some tables; its source makes database snapshots."""

    def make(*tables: Table) -> Scene:
        database = Database("special", tables)
        rows = {table.full_name: [(number, bytes([number])) for number in range(ROWS)] for table in tables}
        source = serve(database, rows)
        source.makes_snapshots = True
        for table in tables:
            ddl = f"CREATE TABLE {table.name.lower()} (id integer PRIMARY KEY, content bytea)"
            query(target, target_database, ddl)
        return Scene(source, make_workplace(source, database), lambda sql: query(target, target_database, sql))

    return make


# -- FILESTREAM -------------------------------------------------------------------------------------


def test_filestream_columns_are_read_by_transactions_since_a_database_snapshot_lacks_them(
    of: Callable[..., Scene],
) -> None:
    scene = of(PLAIN, FILES)
    done = scene.run()
    assert done.code == 0, done.text
    assert "it holds no FILESTREAM data, and these tables have columns of it: dbo.Files" in done.out
    assert scene.snapshot["level"] == "snapshot sessions"
    assert scene.counts("plain", "files") == [ROWS, ROWS]


def test_without_the_tables_with_filestream_a_database_snapshot_is_made(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, FILES)
    assert scene.run("--consistent", "--exclude", "Files").code == 0
    assert scene.snapshot["level"] == "database snapshot"


def test_filetables_that_are_written_without_transactions_are_refused_by_name(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, FOLDER)
    scene.source.execute(FULL_ACCESS)
    refused = scene.run()
    assert refused.code == 2
    assert "FileTables whose files are written without transactions cannot be read in them: dbo.Folder" in refused.err
    assert "it holds no FILESTREAM data, and these tables have columns of it: dbo.Folder" in refused.err
    assert scene.counts("plain", "folder") == [0, 0]
    assert not scene.workplace.data_progress.exists()


# -- memory-optimised tables -------------------------------------------------------------------------


def test_memory_optimised_tables_before_2019_are_refused_by_name(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, CACHE)
    scene.source.pose_as("13.0.1601.5")
    scene.source.execute(MEMORY_FILEGROUP)
    refused = scene.run()
    assert refused.code == 2
    assert "before SQL Server 2019 there is none of a database with a memory-optimised filegroup" in refused.err
    assert "memory-optimised tables cannot be read in them: dbo.Cache" in refused.err
    assert scene.counts("plain", "cache") == [0, 0]
    # The others are copied by transactions.
    assert scene.run("--consistent", "--exclude", "Cache").code == 0
    assert scene.snapshot["level"] == "snapshot sessions"


def test_memory_optimised_tables_are_in_a_database_snapshot_from_2019_on(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, CACHE)
    scene.source.pose_as("15.0.2000.5")
    scene.source.execute(MEMORY_FILEGROUP)
    assert scene.run().code == 0
    assert scene.snapshot["level"] == "database snapshot"
    assert scene.counts("plain", "cache") == [ROWS, ROWS]


# -- tables that lie elsewhere ------------------------------------------------------------------------


def test_external_tables_are_refused_by_name(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, FAR)
    refused = scene.run()
    assert refused.code == 2
    assert "rows of external and stretched tables lie outside of the database" in refused.err
    assert "dbo.Far. Leave them out with --exclude" in refused.err
    assert scene.source.snapshots == {}
    assert scene.run("--consistent", "--exclude", "Far").code == 0


# -- replicas and read-only databases ----------------------------------------------------------------


def test_on_a_readable_secondary_the_files_of_a_snapshot_lie_where_its_own_do(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN)
    scene.source.execute(REPLICA)
    scene.source.execute("UPDATE sys.database_files SET physical_name = '/primary/special.mdf' WHERE type = 0")
    done = scene.run()
    assert done.code == 0, done.text
    assert scene.snapshot["level"] == "database snapshot"


def test_filetables_on_a_readable_secondary_are_refused_by_name(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, FOLDER)
    scene.source.execute(REPLICA)
    refused = scene.run()
    assert refused.code == 2
    assert "FileTables cannot be read on a secondary replica: dbo.Folder" in refused.err
    assert scene.counts("plain", "folder") == [0, 0]


def test_a_readable_secondary_is_not_taken_for_one_moment_by_itself(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN)
    scene.source.execute(REPLICA)
    scene.source.makes_snapshots = False
    assert scene.run().code == 0
    assert scene.snapshot["level"] == "snapshot sessions"


def test_a_read_only_database_is_one_moment_by_itself(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN, CACHE)
    scene.source.execute(READ_ONLY)
    done = scene.run()
    assert done.code == 0, done.text
    assert "📸 The source is read from the database as it is, which is read-only" in done.out
    assert scene.snapshot["level"] == "read-only database"
    assert scene.source.snapshots == {}
    assert scene.counts("plain", "cache") == [ROWS, ROWS]


def test_a_session_on_a_read_only_database_is_resumed_while_it_is_read_only(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN)
    scene.source.execute(READ_ONLY)
    assert scene.run().code == 0
    set_status(scene.workplace.data_progress, "Plain", "pending")
    scene.source.execute(READ_WRITE)
    refused = scene.run("--resume")
    assert refused.code == 2
    assert "from a database that was read-only" in refused.err
    scene.source.execute(READ_ONLY)
    assert scene.run("--resume").code == 0


def test_a_standby_of_log_shipping_is_refused(of: Callable[..., Scene]) -> None:
    scene = of(PLAIN)
    scene.source.execute(STANDBY)
    refused = scene.run()
    assert refused.code == 2
    assert "the database is a standby of log shipping" in refused.err
    assert scene.counts("plain") == [0]


@pytest.mark.parametrize(("engine", "name"), [(5, "Azure SQL Database"), (8, "Azure SQL Managed Instance")])
def test_azure_is_read_by_transactions_and_is_not_asked_for_a_database_snapshot(
    of: Callable[..., Scene], engine: int, name: str
) -> None:
    scene = of(PLAIN)
    scene.source.properties["engineedition"] = engine
    scene.source.properties["productversion"] = "12.0.2000.8"
    done = scene.run()
    assert done.code == 0, done.text
    assert f"(no database snapshot: {name} has none)" in done.out
    assert scene.snapshot["level"] == "snapshot sessions"
