"""--status: what runs or ran last, told without a lock, while a run is at work and while servers are down."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

from tests.harness import ROOT
from tests.samples import Shop, both_scripts, write_progress
from tests.scenes import BIG_ROWS, Scene

MORE_DDL = "ALTER TABLE few ADD CONSTRAINT few_of_big FOREIGN KEY (id) REFERENCES big"


def status_of(scene: Scene, **settings: str) -> dict[str, Any]:
    """What --status --json says of the data phase."""
    finished = scene.workplace.with_settings(**settings).run("data", "--status", "--json")
    assert finished.code == 0, finished.text
    found: dict[str, Any] = json.loads(finished.out)
    return found


def test_a_run_at_work_is_told_with_its_tables_and_sessions(scene: Scene) -> None:
    scene.query(MORE_DDL)
    assert scene.run().code == 0
    with scene.stopped_in_the_big_table() as process:
        found = status_of(scene, MSSQL_PORT=str(scene.source.port))
        assert found["is_running"]
        assert f"process {process.pid} on " in found["holder"]["words"]
        (big,) = [one for one in found["under_way"] if one["table"] == "Big"]
        assert 0 < big["rows"] < BIG_ROWS
        # An earlier run knew how many there are.
        assert big["expected"] == BIG_ROWS
        assert found["rate"] > 0
        assert found["seconds_left"] >= 0
        assert found["tables"] == {"in_progress": 1, "pending": 2}
        assert any("few_of_big" in one for one in found["suspended"])
        assert any(one["side"] == "PostgreSQL" and "COPY" in one["does"] for one in found["sessions"])
        shown = scene.workplace.run("data", "--status").out
        assert f"runs: process {process.pid} on " in shown
        assert "under way: Big, " in shown
        assert "next: Wait for it" in shown


def test_whom_a_run_waits_for_is_told(scene: Scene) -> None:
    connection = scene.target.connect(scene.database)
    connection.autocommit = False
    with connection.cursor() as cursor:
        cursor.execute("SET application_name = 'a report'; LOCK TABLE few IN EXCLUSIVE MODE")
    process = scene.workplace.start("data", "--tables", "Few", "--no-truncate")
    try:
        waiting: list[str] = []
        while not waiting:
            assert process.poll() is None
            waiting = [one["waits_for"] for one in status_of(scene)["sessions"] if one["waits_for"]]
        assert "a report" in waiting[0]
    finally:
        connection.close()
        process.communicate(timeout=60)


def test_a_killed_run_is_not_taken_for_one_at_work(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    files = {path: path.read_bytes() for path in scene.workplace.folder.iterdir()}
    found = status_of(scene)
    assert {path: path.read_bytes() for path in scene.workplace.folder.iterdir()} == files
    assert not found["is_running"]
    assert found["holder"]["is_alive"] is False
    assert found["next_step"] == "3 tables are left: python sync-data.py --resume"
    shown = scene.workplace.run("data", "--status").out
    assert "was killed: process " in shown


def test_a_number_that_is_used_again_is_not_the_run(scene: Scene) -> None:
    scene.kill_in_the_big_table()
    holder = scene.workplace.folder / "data_sync_progress.json.lock.holder"
    words = holder.read_text(encoding="utf-8").split(" ", 2)
    holder.write_text(f"{words[0]} {os.getpid()} {words[2]}", encoding="utf-8")
    assert not status_of(scene)["is_running"]


def test_failures_rejects_and_the_last_runs_are_told(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT odd CHECK (id <> 13)")
    assert shop.workplace.run("data").code == 1
    assert shop.workplace.run("data", "--tables", "Customers", "--verify").code == 0
    shown = shop.workplace.run("data", "--status").out
    assert "tables: 3 completed, 1 failed" in shown
    assert "failed: Orders: " in shown
    assert "odd" in shown
    assert "last verification: " in shown
    assert "both sides are equal" in shown
    assert "1 tables are left: look at the errors, then python sync-data.py --resume" in shown
    assert shop.workplace.run("data", "--resume", "--on-error", "reject").code == 1
    shown = shop.workplace.run("data", "--status").out
    assert "rejected: public.orders: 1 rows" in shown
    assert "--retry-rejects" in shown


def test_what_is_staged_is_told_while_it_is_and_after_a_failure(scene: Scene) -> None:
    scene.query("ALTER TABLE few ADD CONSTRAINT odd CHECK (id <> 13)")
    with scene.stopped_in_the_big_table("--refresh", "merge"):
        (big,) = status_of(scene)["staged"]
        assert (big["table"], big["is_complete"]) == ("public.big", False)
        assert 0 < big["rows"] < BIG_ROWS
        assert re.search(r"being staged: public\.big \([\d,]+ rows\)", scene.workplace.run("data", "--status").out)
    assert scene.run("--resume").code == 1
    found = status_of(scene)
    assert [(one["table"], one["rows"], one["is_complete"]) for one in found["staged"]] == [
        ("public.big", BIG_ROWS, True), ("public.later", 300, True),
    ]  # fmt: skip
    assert {one["session"] for one in found["staged"]} == {found["session"]}
    # They wait for the others, and nobody works at them.
    assert found["under_way"] == []
    assert found["next_step"].startswith("3 tables are left, 2 of them staged and not live: look at the errors")
    shown = scene.workplace.run("data", "--status").out
    assert f"staged and not live: public.big ({BIG_ROWS:,} rows), public.later (300 rows)" in shown
    # Nothing but the session says that it is a merge.
    assert re.search(r"last run: \S+, failed: .* \(merge, 1 worker\)\n", shown)
    assert (found["last_run"]["modes"], found["last_run"]["workers"]) == (["merge"], 1)
    # Without the target the file knows what is complete.
    assert [one["table"] for one in status_of(scene, PGHOST="127.0.0.1", PGPORT="1")["staged"]] == ["Big", "Later"]
    assert scene.run("--new-session", "--tables", "Later", "--progress-file", "other.json").code == 0
    scene.workplace.data_progress.unlink()
    assert re.search(r"public\.big \(30,000 rows of session \w{8}\)", scene.workplace.run("data", "--status").out)


@both_scripts
def test_servers_that_are_down_are_named_and_the_files_still_told(shop: Shop, script: str) -> None:
    write_progress(shop.progress(script), script, Customers="completed", Orders="pending")
    down = shop.workplace.with_settings(MSSQL_PORT="1", PGHOST="127.0.0.1", PGPORT="1")
    finished = down.run(script, "--status")
    assert finished.code == 0
    assert "tables: 1 pending, 1 completed" in finished.out
    assert "not known: PostgreSQL: " in finished.out
    assert "not known: SQL Server: " in finished.out


@both_scripts
def test_it_needs_no_settings_and_no_package(shop: Shop, script: str) -> None:
    write_progress(shop.progress(script), script, Customers="completed")
    name = {"schema": "replicate-schema.py", "data": "sync-data.py"}[script]
    bare = subprocess.run(
        [sys.executable, "-S", str(ROOT / name), "--status"], cwd=shop.workplace.folder, capture_output=True, text=True,
        check=False, encoding="utf-8", env={**os.environ, "PYTHONUTF8": "1"},
    )  # fmt: skip
    assert bare.returncode == 0, bare.stderr
    assert "tables: 1 completed" in bare.stdout
    words = "not known: both servers were not asked: the Python package psycopg2-binary is not installed for "
    assert words in bare.stdout


def test_a_broken_file_is_told_and_what_ran_last_as_well(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    shop.workplace.data_progress.write_text('{"tables": {,}}', encoding="utf-8")
    finished = shop.workplace.run("data", "--status")
    assert finished.code == 0
    assert "not known: " in finished.out
    assert "last run: " in finished.out
    # To begin anew would be the wrong advice: all that was done stands in that file.
    assert "next: Mend data_sync_progress.json, as told above, then python sync-data.py --resume" in finished.out


def test_after_a_reset_nobody_is_told_that_nothing_ever_ran(shop: Shop) -> None:
    assert "next: Nothing has run here: " in shop.workplace.run("data", "--status").out
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    assert shop.workplace.run("data", "--reset").code == 0
    shown = shop.workplace.run("data", "--status").out
    assert "next: There is no data_sync_progress.json here: python sync-data.py begins a session." in shown


def test_both_sides_that_differ_are_what_comes_next(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    shop.query("DELETE FROM orders WHERE id = 13")
    assert shop.workplace.run("data", "--verify").code == 1
    shown = shop.workplace.run("data", "--status").out
    assert "next: All tables are done, but the last verification failed: 1 of 4 tables differ. python sync" in shown
    # Loaded again since: what that verification saw is gone.
    assert shop.workplace.run("data").code == 0
    assert "next: All tables are done. python sync-data.py begins" in shop.workplace.run("data", "--status").out
    shop.query("DELETE FROM orders WHERE id = 13")
    assert shop.workplace.run("data", "--verify", "--tables", "Orders").code == 1
    assert "the last verification failed" in shop.workplace.run("data", "--status").out
    assert shop.workplace.run("data", "--tables", "Customers", "--then-verify").code == 0


@both_scripts
def test_work_beside_it_is_refused(shop: Shop, script: str) -> None:
    finished = shop.workplace.run(script, "--status", "--resume")
    assert finished.code == 2
    assert "cannot be combined with --resume" in finished.err


def test_a_stopped_run_s_status_names_the_way_on(scene: Scene) -> None:
    with scene.stopped_in_the_big_table() as process:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    found = status_of(scene)
    assert (found["holder"], found["last_run"]["verdict"]) == (None, "stopped")
    assert "--resume" in found["next_step"]
