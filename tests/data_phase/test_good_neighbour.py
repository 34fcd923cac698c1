"""A load beside others: its pace, its end in time, what it owes the target, and who is in its way."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime, timedelta

import pyodbc
import pytest

from db import load_settings
from standin.server import LOGIN
from tests.harness import Workplace, wait_until
from tests.samples import Shop, statuses
from tests.scenes import Scene, holding

MORE_DDL = """
ALTER TABLE few ADD CONSTRAINT few_of_big FOREIGN KEY (id) REFERENCES big;
ALTER TABLE later ADD CONSTRAINT later_of_few FOREIGN KEY (id) REFERENCES few;
"""


# -- pace ------------------------------------------------------------------------------------------


def test_a_load_is_no_faster_than_it_may_be(scene: Scene) -> None:
    started = time.monotonic()
    finished = scene.run("--tables", "Big", "--max-rate", "10krows", BATCH_SIZE="1000", STALL_TIMEOUT="3")
    assert finished.code == 0, finished.text
    # 30,000 rows; how long it takes beyond that says nothing.
    assert time.monotonic() - started > 2.9
    assert "At most 10,000 rows/s" in finished.out
    assert "retried with another connection" not in finished.out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--max-rate", "fast"], "must be like 50000rows or 20MB"),
        (["--stop-at", "25:00"], "must be a time like 06:00"),
        (["--workers", "65"], "must be a whole number from 1 to 64"),
        (["--workers", "0"], "must be a whole number from 1 to 64"),
        (["--restore-keys", "--resume"], "cannot be combined with --resume"),
        (["--verify", "--stop-at", "06:00"], "cannot be combined with --stop-at"),
    ],
)
def test_flags_that_cannot_be_followed_are_refused(shop: Shop, arguments: list[str], words: str) -> None:
    finished = shop.workplace.run("data", *arguments)
    assert finished.code == 2
    assert words in finished.err


# -- the end -----------------------------------------------------------------------------------------


def test_a_load_ends_in_time_with_whole_chunks_and_goes_on_later(scene: Scene) -> None:
    soon = datetime.now() + timedelta(seconds=8)
    ended = scene.run("--stop-at", f"{soon:%H:%M:%S}", "--max-rate", "2000rows", BATCH_SIZE="50", CHUNK_ROWS="400")
    assert ended.code == 5, ended.text
    assert re.search(r"--stop-at ends the run\. \d tables are done, \d are left", ended.err)
    assert "Traceback" not in ended.text
    rows = sum(rows for rows, _ in scene.checkpoints().values())
    assert scene.query("SELECT count(*) FROM big") == [(rows,)]
    resumed = scene.run("--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    scene.assert_equal()


def test_a_signal_lets_chunks_end_that_move(scene: Scene) -> None:
    process = scene.workplace.start("data", "--max-rate", "3000rows", "--workers", "1")
    wait_until(lambda: scene.rows_synced > 0, "the first chunk is committed")
    before = len(scene.checkpoints())
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert "Stopping once the chunks under way are through, 8 s at most" in out
    assert "Stopped by SIGTERM" in err
    assert len(scene.checkpoints()) > before
    assert scene.run("--resume", "--no-truncate").code == 0
    scene.assert_equal()


def test_a_second_signal_ends_a_run_at_once(scene: Scene) -> None:
    # A chunk that would take minutes.
    process = scene.workplace.with_settings(CHUNK_ROWS="100000", BATCH_SIZE="50").start("data", "--max-rate", "100rows")
    wait_until(lambda: bool(scene.query("SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY %'")), "rows travel")
    assert process.stdout is not None
    process.send_signal(signal.SIGTERM)
    told(iter(process.stdout.readline, ""), "Stopping once the chunks under way are through")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM
    resumed = scene.run("--resume")
    assert resumed.code == 0, resumed.text
    scene.assert_equal()


# -- what is suspended -------------------------------------------------------------------------------


def test_what_is_suspended_is_told_when_a_run_stops_and_comes_back_alone(scene: Scene) -> None:
    scene.query(MORE_DDL)
    with scene.stopped_in_the_big_table() as process:
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert re.search(r"2 keys, indexes and triggers of 2 tables .*--restore-keys brings only them", out)
    scene.query("DELETE FROM big; DELETE FROM few; DELETE FROM later")
    before = scene.workplace.data_progress.read_text(encoding="utf-8")
    # The source is not needed for it.
    restored = scene.run("--restore-keys", MSSQL_PORT="1")
    assert restored.code == 0, restored.text
    assert "2 of 2 keys, indexes and triggers are back" in restored.out
    assert scene.query("SELECT conname FROM pg_constraint WHERE conname LIKE '%\\_of\\_%' ORDER BY 1") == [
        ("few_of_big",), ("later_of_few",),
    ]  # fmt: skip
    assert statuses(scene.workplace.data_progress)["Big"] == "in_progress"
    assert before.count("rows_synced") == scene.workplace.data_progress.read_text(encoding="utf-8").count("rows_synced")
    again = scene.run("--restore-keys")
    assert again.code == 0
    assert "nothing is suspended" in again.out


# -- who is in the way ---------------------------------------------------------------------------------


def told(process_lines: Iterator[str], words: str) -> str:
    """The first line with these words; fails where the run ends before it."""
    seen = ""
    for line in process_lines:
        seen += line
        if words in line:
            return line
    raise AssertionError(seen)


def test_whoever_keeps_a_table_from_being_emptied_is_told(scene: Scene) -> None:
    direct = Workplace(scene.workplace.folder, scene.workplace.environment, told=())
    with holding(scene, "SELECT count(*) FROM few") as pid:
        process = direct.start("data", "--tables", "Few")
        assert process.stdout is not None
        line = told(iter(process.stdout.readline, ""), "for a lock on public.few")
        assert re.search(rf"dbo\.Few.*waiting 1\d s .*held by pid {pid} \(a report, user postgres\): SELECT", line)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "the lock was had after" in out


def told_of_few(scene: Scene, script: str, *arguments: str) -> str:
    """What a run says of the session that reads a table and keeps it from its lock; the run then ends well."""
    direct = Workplace(scene.workplace.folder, scene.workplace.environment, told=())
    with holding(scene, "SELECT count(*) FROM few") as pid:
        process = direct.start(script, *arguments)
        assert process.stdout is not None
        line = told(iter(process.stdout.readline, ""), "for a lock on public.")
        assert re.search(rf"waiting 1\d s .*public\.few, held by pid {pid} \(a report, user postgres\): SELECT", line)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "the lock was had after" in out
    return line


def test_whoever_keeps_a_table_of_several_chunks_from_being_emptied_is_told(scene: Scene) -> None:
    scene.workplace = scene.workplace.with_settings(CHUNK_ROWS="100")
    assert "dbo.Few" in told_of_few(scene, "data", "--tables", "Few")


def test_whoever_keeps_a_foreign_key_from_being_suspended_is_told(scene: Scene) -> None:
    scene.query(MORE_DDL)
    assert scene.run().code == 0
    told_of_few(scene, "data", "--tables", "Few")
    assert scene.query("SELECT count(*) FROM replication.suspended") == [(0,)]


def test_whoever_keeps_the_schema_phase_from_a_table_is_told(scene: Scene) -> None:
    scene.query("ALTER TABLE few DROP CONSTRAINT few_pkey")
    told_of_few(scene, "schema", "--tables", "Few")


def test_whoever_keeps_rows_from_going_in_is_told(scene: Scene) -> None:
    assert scene.run("--tables", "Few").code == 0
    scene.query("TRUNCATE few")
    direct = Workplace(scene.workplace.folder, scene.workplace.environment, told=())
    # Rows are added to a table that is not emptied: its COPY waits without an end.
    with holding(scene, "LOCK TABLE few IN EXCLUSIVE MODE") as pid:
        process = direct.start("data", "--tables", "Few", "--no-truncate")
        assert process.stdout is not None
        line = told(iter(process.stdout.readline, ""), "no row for 1")
        assert f"pid {pid} (user postgres, a report) blocks " in line
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "Few moves again" in out or "dbo.Few: 300 rows" in out


@contextmanager
def locking(scene: Scene) -> Iterator[int]:
    """A session of the source that has locked a table for writing; its number there."""
    driver = load_settings(None, scene.workplace.environment).source.driver.name
    text = scene.source.connection_string(driver, APP="a report", WSID="desk7")
    with closing(pyodbc.connect(text, autocommit=True)) as connection:
        connection.execute("BEGIN TRANSACTION")
        connection.execute("SELECT TOP (1) 1 AS c0 FROM dbo.Few WITH (TABLOCKX)").fetchall()
        yield int(connection.execute("SELECT @@SPID AS c0").fetchone()[0])


def test_whoever_locks_a_table_of_the_source_is_told_with_login_host_and_program(scene: Scene) -> None:
    direct = Workplace(scene.workplace.folder, scene.workplace.environment, told=())
    who = f"(login {LOGIN}, host desk7, a report)"
    with locking(scene) as session:
        process = direct.start("data", "--tables", "Few")
        assert process.stdout is not None
        line = told(iter(process.stdout.readline, ""), "no row for 1")
        assert re.search(
            rf"Few: no row for 1\d s\. SQL Server: session {session} {re.escape(who)} blocks session \d+ \(LCK_M_IS\)",
            line,
        )
        shown = scene.workplace.run("data", "--status").out
        assert f": suspended: SELECT, LCK_M_IS; waits for session {session} {who}" in shown
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert f"session {session} {who} blocks" in (scene.workplace.folder / "run_report.html").read_text(encoding="utf-8")


@pytest.fixture
def blind(scene: Scene) -> Iterator[Scene]:
    """The scene with a login that may not look at other sessions of the source."""
    scene.source.revoke("VIEW SERVER STATE")
    yield scene
    scene.source.grant("VIEW SERVER STATE", "")


def test_a_login_that_may_not_see_whom_it_waits_for_is_told_so_and_the_run_goes_on(blind: Scene) -> None:
    scene = blind
    direct = Workplace(scene.workplace.folder, scene.workplace.environment, told=())
    with locking(scene):
        process = direct.start("data", "--tables", "Few")
        assert process.stdout is not None
        line = told(iter(process.stdout.readline, ""), "no row for 1")
        assert "SQL Server: whom a read waits for is not shown to this login (it takes VIEW SERVER STATE)" in line
        shown = scene.workplace.run("data", "--status").out
        assert "not known: SQL Server: whom a read waits for is not shown to this login" in shown
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err


@pytest.mark.parametrize("name", ["APP={nightly copy}", ""])
def test_sessions_of_a_whole_connection_string_are_found_whatever_it_calls_them(scene: Scene, name: str) -> None:
    settings = load_settings(None, scene.workplace.environment)
    whole = settings.source.connection_string.replace("APP=mssql-to-postgres", name)
    scene.workplace = scene.workplace.with_settings(MSSQL_CONNECTION_STRING=whole)
    with locking(scene) as session:
        process = scene.workplace.start("data", "--tables", "Few")

        def is_seen() -> bool:
            assert process.poll() is None, process.communicate()
            return f"waits for session {session} " in scene.workplace.run("data", "--status").out

        wait_until(is_seen, "it is seen waiting")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
