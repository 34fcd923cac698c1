"""--consistent: all tables as they were at one moment, whatever is written meanwhile, or a clear refusal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from db import connect_source, load_settings
from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.harness import Finished, Proxy, Workplace, source_settings, wait_until
from tests.samples import query, set_status, table
from tests.tsql_servers import own_database

ROW_COUNT = 20_000
DATABASE = Database("moments", (table("Big"), table("Later")))
ROWS = {
    "dbo.Big": f"SELECT i, 'number ' || i FROM range(1, {ROW_COUNT + 1}) AS t(i)",
    "dbo.Later": "SELECT i, 'later ' || i FROM range(1, 101) AS t(i)",
}
DDL = "CREATE TABLE big (id integer PRIMARY KEY, label varchar(50));\
       CREATE TABLE later (id integer PRIMARY KEY, label varchar(50))"
#: bytes from the source after which the big table is on its way
PART = 300_000
#: what others write while a run is at the big table
WRITTEN = (
    "INSERT INTO dbo.Big VALUES (1000001, 'new')",
    "DELETE FROM dbo.Big WHERE id > 19000 AND id < 1000000",
    "UPDATE dbo.Later SET label = 'changed'",
    "INSERT INTO dbo.Later VALUES (1000001, 'new')",
)


@dataclass
class Scene:
    """Two tables on a stand-in of their own behind a proxy, and empty on the target."""

    source: StandIn
    proxy: Proxy
    workplace: Workplace
    query: Callable[[str], list[tuple[Any, ...]]]

    def run(self, *arguments: str) -> Finished:
        """Run the data phase to its end."""
        return self.workplace.run("data", *arguments)

    def start_and_stall(self, *arguments: str) -> subprocess.Popen[str]:
        """A run that is at the big table, and to which the source now says nothing."""
        self.proxy.stall_after(PART)
        process = self.workplace.start("data", *arguments)
        wait_until(lambda: self.proxy.is_stalled or process.poll() is not None, "the source is silent")
        assert process.poll() is None, process.communicate()
        return process

    def write(self) -> None:
        """What others do to the source meanwhile."""
        for statement in WRITTEN:
            self.source.execute(statement)

    @property
    def snapshot(self) -> dict[str, str]:
        """What the progress file says of the snapshot."""
        document = json.loads(self.workplace.data_progress.read_text(encoding="utf-8"))
        found: dict[str, str] = document.get("consistency", {})
        return found

    def assert_as_before(self) -> None:
        """The target holds what the source held before others wrote."""
        assert self.query("SELECT count(*), min(id), max(id) FROM big") == [(ROW_COUNT, 1, ROW_COUNT)]
        assert self.query("SELECT count(*), count(*) FILTER (WHERE label = 'later ' || id) FROM later") == [(100, 100)]


@pytest.fixture
def scene(
    serve: Callable[..., StandIn], target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> Iterator[Scene]:
    """The scene; its source makes no database snapshots."""
    query(target, target_database, DDL)
    source = serve(DATABASE, ROWS)
    with Proxy(("127.0.0.1", source.port)) as proxy:
        settings = {
            **source_settings(proxy.port, DATABASE.name), **target.environment(target_database),
            "BATCH_SIZE": "500", "CHUNK_ROWS": "4000", "RETRY_ATTEMPTS": "2", "RETRY_SECONDS": "0",
        }  # fmt: skip
        yield Scene(source, proxy, Workplace(tmp_path, settings), lambda sql: query(target, target_database, sql))


@pytest.mark.parametrize("workers", ["1", "2"])
@pytest.mark.parametrize("makes_snapshots", [True, False])
def test_what_is_written_meanwhile_is_not_seen(scene: Scene, makes_snapshots: bool, workers: str) -> None:
    scene.source.makes_snapshots = makes_snapshots
    process = scene.start_and_stall("--consistent", "--workers", workers)
    scene.write()
    scene.proxy.resume()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    scene.assert_as_before()
    if makes_snapshots:
        assert "📸 The source is read from database snapshot moments_replication_2" in out
        assert scene.snapshot["level"] == "database snapshot"
        assert "was dropped" in out
    else:
        assert f"📸 The source is read from {workers} SNAPSHOT transaction" in out
        assert "no database snapshot: [42000] Database Snapshot is not supported" in out
        assert scene.snapshot["level"] == "snapshot sessions"
    assert scene.source.snapshots == {}


def test_without_it_the_tables_are_of_no_one_snapshot(scene: Scene) -> None:
    process = scene.start_and_stall("--workers", "1")
    scene.write()
    scene.proxy.resume()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert scene.query("SELECT count(*) FROM later") == [(101,)]
    assert scene.snapshot == {}


@pytest.mark.parametrize("flags", [(), ("--no-truncate",)])
def test_a_killed_run_goes_on_with_the_same_database_snapshot(scene: Scene, flags: tuple[str, ...]) -> None:
    scene.source.makes_snapshots = True
    process = scene.start_and_stall("--consistent")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    scene.proxy.resume()
    scene.write()
    (name,) = scene.source.snapshots.values()
    resumed = scene.run("--resume", *flags)
    assert resumed.code == 0, resumed.text
    assert f"📸 The source is read from database snapshot {name}, taken at" in resumed.out
    assert f"The database snapshot {name} was dropped" in resumed.out
    scene.assert_as_before()
    assert scene.source.snapshots == {}


def test_a_snapshot_stays_while_a_table_is_not_done(scene: Scene) -> None:
    scene.source.makes_snapshots = True
    scene.source.fail_next("dbo.Later", 8134, "Divide by zero error encountered.")
    failed = scene.run("--consistent")
    assert failed.code == 1
    (name,) = scene.source.snapshots.values()
    assert f"The database snapshot {name} stays, so that --resume can read it" in failed.out
    scene.write()
    assert scene.run("--resume").code == 0
    scene.assert_as_before()
    assert scene.source.snapshots == {}


def test_a_new_session_drops_the_snapshot_of_the_one_before(scene: Scene) -> None:
    scene.source.makes_snapshots = True
    scene.source.fail_next("dbo.Later", 8134, "Divide by zero error encountered.")
    assert scene.run("--consistent").code == 1
    assert len(scene.source.snapshots) == 1
    again = scene.run()
    assert again.code == 0, again.text
    assert "was dropped" in again.out
    assert scene.source.snapshots == {}
    assert scene.snapshot == {}


def test_the_snapshot_of_sessions_is_gone_after_a_kill(scene: Scene) -> None:
    process = scene.start_and_stall("--consistent")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    scene.proxy.resume()
    refused = scene.run("--resume")
    assert refused.code == 2
    assert "the snapshot of its SNAPSHOT transactions" in refused.err
    assert "--no-consistent" in refused.err
    assert scene.run("--resume", "--no-consistent").code == 0
    assert scene.query("SELECT count(*) FROM big") == [(ROW_COUNT,)]
    assert scene.snapshot == {}


def test_a_session_that_breaks_ends_the_run_and_nothing_of_another_snapshot_comes(scene: Scene) -> None:
    process = scene.start_and_stall("--consistent", "--workers", "1")
    scene.write()
    scene.proxy.cut()
    scene.proxy.resume()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 3, out + err
    assert "no further connection to the source can see their snapshot" in err
    assert "Traceback" not in out + err
    assert scene.query("SELECT count(*) FROM later") == [(0,)]


def test_a_failing_table_does_not_cost_the_snapshot(scene: Scene) -> None:
    scene.query("ALTER TABLE big ADD CHECK (id < 15000)")
    failed = scene.run("--consistent", "--workers", "1")
    assert failed.code == 1, failed.text
    assert scene.query("SELECT count(*) FROM later") == [(100,)]


def test_a_database_that_is_read_only_no_more_at_the_end_is_told(scene: Scene) -> None:
    scene.source.execute("UPDATE sys.databases SET is_read_only = 1 WHERE database_id = 5")
    process = scene.start_and_stall("--consistent", "--workers", "1")
    scene.source.execute("UPDATE sys.databases SET is_read_only = 0 WHERE database_id = 5")
    scene.proxy.resume()
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1, out + err
    assert "the source was read-only when the run began, and is so no more" in out


def test_where_neither_can_be_had_nothing_is_touched(scene: Scene) -> None:
    with closing(connect_source(load_settings(None, scene.workplace.environment))) as writer:
        writer.execute("BEGIN TRANSACTION")
        writer.execute("SELECT TOP (1) 1 FROM dbo.Later WITH (TABLOCKX)").fetchall()
        refused = scene.run("--consistent")
    assert refused.code == 2
    assert "--consistent: no snapshot of the source can be had, and nothing was copied" in refused.err
    assert "database snapshot: [42000] Database Snapshot is not supported" in refused.err
    assert "SNAPSHOT transactions: others wrote to the tables" in refused.err
    assert not scene.workplace.data_progress.exists()


def test_a_session_without_a_snapshot_cannot_become_one_with_one(scene: Scene) -> None:
    assert scene.run().code == 0
    set_status(scene.workplace.data_progress, "Later", "pending")
    refused = scene.run("--resume", "--consistent")
    assert refused.code == 2
    assert "its tables are of several moments already" in refused.err


@pytest.mark.parametrize("flags", [(), ("--no-truncate",)])
def test_a_run_over_some_tables_in_between_changes_nothing_of_the_snapshot_of_the_rest(
    scene: Scene, flags: tuple[str, ...]
) -> None:
    scene.source.makes_snapshots = True
    scene.source.fail_next("dbo.Big", 8134, "Divide by zero error encountered.")
    assert scene.run("--consistent", "--tables", "Big").code == 1
    (name,) = scene.source.snapshots.values()
    scene.write()
    assert scene.run("--tables", "Later").code == 0
    assert list(scene.source.snapshots.values()) == [name]
    resumed = scene.run("--resume", *flags)
    assert resumed.code == 0, resumed.text
    assert f"database snapshot {name}, taken at" in resumed.out
    assert scene.query("SELECT count(*), max(id) FROM big") == [(ROW_COUNT, ROW_COUNT)]
    assert scene.source.snapshots == {}


def test_the_snapshot_of_sessions_is_not_forgotten_for_a_run_over_other_tables(scene: Scene) -> None:
    process = scene.start_and_stall("--consistent")
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    scene.proxy.resume()
    assert scene.run("--tables", "Later").code == 0
    refused = scene.run("--resume")
    assert refused.code == 2
    assert "the snapshot of its SNAPSHOT transactions" in refused.err


def test_tables_of_sessions_with_different_snapshots_are_not_mixed(scene: Scene) -> None:
    scene.source.makes_snapshots = True
    scene.source.fail_next("dbo.Big", 8134, "Divide by zero error encountered.")
    assert scene.run("--consistent", "--tables", "Big").code == 1
    scene.source.fail_next("dbo.Later", 8134, "Divide by zero error encountered.")
    assert scene.run("--tables", "Later").code == 1
    refused = scene.run("--resume")
    assert refused.code == 2
    assert "belong to sessions that read different snapshots" in refused.err
    assert "Later: of no one snapshot" in refused.err
    assert scene.run("--resume", "--tables", "Big").code == 0
    assert scene.run("--resume").code == 0
    assert scene.source.snapshots == {}


def test_a_typing_error_leaves_no_database_snapshot_behind(scene: Scene) -> None:
    scene.source.makes_snapshots = True
    refused = scene.run("--consistent", "--start-from-table", "Typo")
    assert refused.code == 2
    assert scene.source.snapshots == {}


def test_on_a_server_that_speaks_t_sql(
    tsql_server: dict[str, str], target: EmbeddedTarget, target_database: str, tmp_path: Path
) -> None:
    query(target, target_database, DDL)
    sizes = {"BATCH_SIZE": "500", "CHUNK_ROWS": "4000"}
    with own_database(tsql_server, "moments") as reached:
        given = {**reached, **target.environment(target_database), **sizes}
        with (
            closing(connect_source(load_settings(None, given))) as writer,
            Proxy((given["MSSQL_HOST"], int(given["MSSQL_PORT"]))) as proxy,
        ):
            writer.execute("CREATE TABLE dbo.Big (id int NOT NULL PRIMARY KEY, label nvarchar(50))")
            writer.execute("CREATE TABLE dbo.Later (id int NOT NULL PRIMARY KEY, label nvarchar(50))")
            digits = "(VALUES (0),(1),(2),(3),(4),(5),(6),(7),(8),(9))"
            numbers = " CROSS JOIN ".join(f"{digits} AS d{digit} (v{digit})" for digit in range(5))
            number = "1 + v0 + 10 * v1 + 100 * v2 + 1000 * v3 + 10000 * v4"
            for table_name, word, count in (("Big", "number", ROW_COUNT), ("Later", "later", 100)):
                writer.execute(
                    f"INSERT INTO dbo.{table_name} SELECT n, CONCAT('{word} ', n) FROM"
                    f" (SELECT {number} AS n FROM {numbers}) AS numbers WHERE n <= {count}"
                )
            settings = {**given, "MSSQL_HOST": "127.0.0.1", "MSSQL_PORT": str(proxy.port)}
            there = Workplace(tmp_path, settings)
            proxy.stall_after(PART)
            process = there.start("data", "--consistent", "--workers", "2")
            wait_until(lambda: proxy.is_stalled or process.poll() is not None, "the source is silent")
            assert process.poll() is None, process.communicate()
            for statement in WRITTEN:
                writer.execute(statement)
            proxy.resume()
            out, err = process.communicate(timeout=120)
            assert process.returncode == 0, out + err
            assert "📸 The source is read from " in out
            assert query(target, target_database, "SELECT count(*), max(id) FROM big") == [(ROW_COUNT, ROW_COUNT)]
            later = "SELECT count(*), count(*) FILTER (WHERE label = 'later ' || id) FROM later"
            assert query(target, target_database, later) == [(100, 100)]
