"""--refresh merge and swap: what is staged, what becomes live, and what a failure, a kill and a slip leave."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any

import pytest

from data_phase.job import Job
from data_phase.modes.staged import Merge, Staged, Swap
from data_phase.switching import StagedTable, SwitchUnit
from db import load_settings
from postgres import own_schema, staging
from postgres.introspection import read_tables
from postgres.load_plan import plan_load
from postgres.names import TargetName
from scheduling.tasks import run_unwatched
from tests.harness import wait_until
from tests.loads import begin, copy, finish
from tests.samples import claimed, set_status, statuses
from tests.scenes import BIG, BIG_ROWS, Scene, holding

MODES = ["merge", "swap"]
OLD = "INSERT INTO {} SELECT i, 'old ' || i FROM generate_series(1, 500) AS s(i)"
TABLES = ("big", "few", "later")


@pytest.fixture
def old(scene: Scene) -> Scene:
    """A scene whose tables hold rows of the night before."""
    for name in TABLES:
        scene.query(OLD.format(name))
    return scene


def is_old(scene: Scene, name: str) -> bool:
    """Whether a table is as it was; fails where it is neither that nor the source's."""
    rows = scene.query(f"SELECT * FROM {name} ORDER BY 1")
    if rows == [(number, f"old {number}") for number in range(1, 501)]:
        return True
    assert rows == scene.source.execute(f'SELECT * FROM dbo."{name}" ORDER BY 1'), name
    return False


def staged(scene: Scene) -> list[str]:
    """What stands in the staging schema."""
    found = scene.query(
        "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('replication_staging')"
        " ORDER BY 1"
    )
    return [name for (name,) in found]


@contextmanager
def broken(scene: Scene, name: str) -> Iterator[None]:
    """A table that takes none of the source's rows, however they come."""
    scene.query(f"ALTER TABLE {name} ADD CONSTRAINT refuses CHECK (label NOT LIKE '{name}%') NOT VALID")
    yield
    scene.query(f"ALTER TABLE {name} DROP CONSTRAINT refuses")


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("mode", MODES)
def test_all_tables_become_live_at_the_end(old: Scene, mode: str, workers: int) -> None:
    ended = old.run("--refresh", mode, "--workers", str(workers))
    assert ended.code == 0, ended.text
    old.assert_equal()
    assert staged(old) == []
    assert re.search(r"🔀 3 tables are live with the new rows: switched in \d", ended.out)
    assert "Truncating" not in ended.out
    assert "Successful: 3" in re.sub(r" +", " ", ended.out)
    again = old.run("--refresh", mode)
    assert again.code == 0, again.text
    assert (", 0 rows added, 0 changed, 0 removed" in again.out) == (mode == "merge")
    old.assert_equal()


@pytest.mark.parametrize("of", [Merge, Swap])
def test_a_switch_that_another_worker_of_the_run_makes_meanwhile_is_found_made(
    scene: Scene, of: type[Staged], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker of a cluster may that was taken for lost, and whose connection could not be ended."""
    settings = load_settings(None, scene.workplace.environment)
    live = TargetName("public", "big")
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        staging.prepare(connection)
        there = read_tables(connection, ["public"])[live]
        run = claimed(connection, live, staging.staging_name(live))
    plan = replace(plan_load(BIG, there, settings), target=staging.staging_name(live))
    begun = begin(settings, Job(BIG, plan, of(live), "a session", run))
    for chunk in begun.chunks:
        copy(settings, begun.job, chunk)
    unit = SwitchUnit(settings, (StagedTable("Big", begun.job, finish(settings, begun.job)),))
    is_made, may_commit = threading.Event(), threading.Event()
    becomes_live = staging.becomes_live

    def wait_before_the_commit(*arguments: Any) -> str:
        monkeypatch.setattr(staging, "becomes_live", becomes_live)
        made = becomes_live(*arguments)
        is_made.set()
        assert may_commit.wait(60)
        return made

    monkeypatch.setattr(staging, "becomes_live", wait_before_the_commit)
    with ThreadPoolExecutor(2) as elsewhere:
        first = elsewhere.submit(run_unwatched, unit)
        assert is_made.wait(60)
        second = elsewhere.submit(run_unwatched, unit)
        try:
            waiting = "SELECT pid FROM pg_locks WHERE NOT granted"
            wait_until(lambda: bool(scene.query(waiting)), "the second waits for the first")
        finally:
            may_commit.set()
        assert second.result(60).loaded_as == first.result(60).loaded_as
    assert scene.query("SELECT count(*) FROM big") == [(BIG_ROWS,)]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_live_where_a_table_failed_and_resume_loads_only_that(old: Scene, mode: str) -> None:
    with broken(old, "few"):
        ended = old.run("--refresh", mode)
    assert ended.code == 1, ended.text
    assert all(is_old(old, name) for name in TABLES)
    assert "2 tables are staged and not live, since Few failed: Big and Later" in ended.out
    assert statuses(old.workplace.data_progress) == {"Big": "in_progress", "Few": "failed", "Later": "in_progress"}
    folder = old.workplace.folder
    kept = json.loads((folder / "runs.jsonl").read_text(encoding="utf-8"))["tables"]
    assert {one["table"]: one["staged"] for one in kept} == {"Big": True, "Few": False, "Later": True}
    page = (folder / "run_report.html").read_text(encoding="utf-8")
    assert "2 tables are left: 2 staged and not live; --resume continues" in page
    assert page.count('data-status="staged"') == 2
    before = old.proxy.passed
    resumed = old.run("--resume", "--refresh", mode)
    assert resumed.code == 0, resumed.text
    # What is staged already is not read again.
    assert old.proxy.passed - before < 200_000
    old.assert_equal()
    assert staged(old) == []


@pytest.mark.parametrize("mode", MODES)
def test_those_that_are_complete_become_live_where_that_is_asked_for(old: Scene, mode: str) -> None:
    with broken(old, "few"):
        ended = old.run("--refresh", mode, "--switch-anyway")
    assert ended.code == 1, ended.text
    assert [is_old(old, name) for name in TABLES] == [False, True, False]
    assert statuses(old.workplace.data_progress) == {"Big": "completed", "Few": "failed", "Later": "completed"}


@pytest.mark.parametrize("mode", MODES)
def test_each_table_becomes_live_when_it_is_ready(old: Scene, mode: str) -> None:
    with broken(old, "few"):
        ended = old.run("--refresh", mode, "--switch", "table")
    assert ended.code == 1, ended.text
    assert [is_old(old, name) for name in TABLES] == [False, True, False]


@pytest.mark.parametrize("mode", MODES)
def test_a_killed_load_goes_on_behind_its_chunks(old: Scene, mode: str) -> None:
    old.kill_in_the_big_table("--refresh", mode)
    assert all(is_old(old, name) for name in TABLES)
    name = staged(old)[0]
    before = old.checkpoints(name)
    assert before
    resumed = old.run("--resume", "--refresh", mode)
    assert resumed.code == 0, resumed.text
    assert "chunks are there already" in resumed.out
    old.assert_equal()
    kept = old.checkpoints("big")
    assert {number: kept[number] for number in before} == before


@pytest.mark.parametrize("mode", MODES)
def test_what_an_abandoned_session_staged_goes_with_the_next_run(old: Scene, mode: str) -> None:
    old.kill_in_the_big_table("--refresh", mode)
    assert staged(old)
    ended = old.run()
    assert ended.code == 0, ended.text
    assert "staging table of abandoned sessions removed: public.big" in ended.out
    assert staged(old) == []
    old.assert_equal()


@pytest.mark.parametrize("mode", MODES)
def test_what_is_staged_and_given_up_for_another_mode_is_told(old: Scene, mode: str) -> None:
    with broken(old, "few"):
        assert old.run("--refresh", mode).code == 1
    other = {"merge": "swap", "swap": "merge"}[mode]
    with broken(old, "few"):
        again = old.run("--resume", "--refresh", other)
    assert again.code == 1, again.text
    assert "dbo.Later: its load starts from scratch, because its columns, its key or its mode changed" in again.out
    in_place = old.run("--resume", "--refresh", "truncate")
    assert in_place.code == 0, in_place.text
    assert (
        "2 tables of this session are staged and not live: Big and Later. They are loaded again, in place"
        in in_place.out
    )
    old.assert_equal()
    assert staged(old) == []


@pytest.mark.parametrize("mode", MODES)
def test_what_is_staged_is_not_completed_by_a_hand_edit_alone(old: Scene, mode: str) -> None:
    with broken(old, "few"):
        assert old.run("--refresh", mode).code == 1
    set_status(old.workplace.data_progress, "Big", "completed")
    for _ in range(2):
        resumed = old.run("--resume")
        assert resumed.code == 1, resumed.text
        assert re.search(
            r"dbo\.Big is completed .* not finished \(30,000 rows are staged and not live\)\. It is left as it is",
            resumed.out,
        )
        assert [is_old(old, name) for name in TABLES] == [True, False, False]
    set_status(old.workplace.data_progress, "Big", "failed")
    before = old.proxy.passed
    resumed = old.run("--resume")
    assert resumed.code == 0, resumed.text
    assert old.proxy.passed - before < 200_000
    old.assert_equal()
    assert staged(old) == []


def test_what_was_staged_and_is_skipped_goes(old: Scene) -> None:
    with broken(old, "few"):
        assert old.run("--refresh", "merge").code == 1
    set_status(old.workplace.data_progress, "Big", "skipped")
    resumed = old.run("--resume")
    assert resumed.code == 0, resumed.text
    assert [is_old(old, name) for name in TABLES] == [True, False, False]
    assert staged(old) == []


def test_reset_removes_what_was_staged(old: Scene) -> None:
    old.kill_in_the_big_table("--refresh", "merge")
    ended = old.run("--reset")
    assert ended.code == 0, ended.text
    assert "What the session has staged was removed: public.big" in ended.out
    assert staged(old) == []


def test_reset_needs_no_target_for_it(old: Scene) -> None:
    old.kill_in_the_big_table("--refresh", "merge")
    ended = old.run("--reset", PGPORT="1")
    assert ended.code == 0, ended.text
    assert "the next run removes it" in ended.out


@pytest.mark.parametrize(("mode", "statement"), [
    ("merge", "LOCK TABLE few IN SHARE MODE"), ("swap", "SELECT count(*) FROM few"),
])  # fmt: skip
def test_a_switch_that_is_kept_waiting_ends_and_is_all_that_is_left(old: Scene, mode: str, statement: str) -> None:
    with holding(old, statement) as pid:
        ended = old.run("--refresh", mode, SWITCH_TIMEOUT="3")
        assert ended.code == 1, ended.text
        assert re.search(
            rf"public\.few.* could not be locked within 3 s.* pid {pid} \(a report, user postgres\)", ended.text
        )
        assert all(is_old(old, name) for name in TABLES)
    before = old.proxy.passed
    resumed = old.run("--resume", "--refresh", mode)
    assert resumed.code == 0, resumed.text
    assert old.proxy.passed - before < 200_000
    old.assert_equal()


def test_tables_go_their_own_ways(old: Scene) -> None:
    ended = old.run("--refresh", "merge", "--switch", "table", REFRESH_TABLES="F*:truncate,dbo.Later:swap")
    assert ended.code == 0, ended.text
    assert "1 by merge and 1 by swap" in ended.out
    old.assert_equal()


@pytest.mark.parametrize(
    ("arguments", "settings", "words"),
    [
        (["--refresh", "replace"], {}, "invalid choice"),
        (["--refresh", "merge", "--no-truncate"], {}, "--no-truncate keeps rows in the tables that readers see"),
        (["--verify", "--refresh", "merge"], {}, "--verify copies nothing"),
        ([], {"REFRESH_TABLES": "Few"}, "REFRESH_TABLES must look like AuditLog:truncate"),
        ([], {"REFRESH": "mrege"}, "REFRESH must be one of truncate, merge, swap"),
    ],
)
def test_slips_are_refused(old: Scene, arguments: list[str], settings: dict[str, str], words: str) -> None:
    ended = old.run(*arguments, **settings)
    assert ended.code == 2, ended.text
    assert words in ended.err


#: changes a row of what is staged for `few`, as a fault on the way would
SPOIL = """
CREATE FUNCTION spoil_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF new.id = 7 THEN new.label := 'spoilt'; END IF;
    RETURN new;
END $$;
CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'replication_staging."public.few"')
    THEN
        CREATE TRIGGER spoils_rows BEFORE INSERT ON replication_staging."public.few"
            FOR EACH ROW EXECUTE FUNCTION public.spoil_row();
    END IF;
END $$;
CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION spoil();
"""


@pytest.mark.parametrize("mode", MODES)
def test_rows_that_differ_are_never_shown(old: Scene, mode: str) -> None:
    old.query(SPOIL)
    ended = old.run("--refresh", mode, "--verify-first")
    assert ended.code == 1, ended.text
    assert "Comparing both sides of 3 tables before they are shown" in ended.out
    assert re.search(r"dbo\.Few failed: its new rows differ from the source's and were not shown", ended.text)
    assert all(is_old(old, name) for name in TABLES)
    old.query("DROP EVENT TRIGGER spoil")
    resumed = old.run("--resume", "--refresh", mode, "--verify-first")
    assert resumed.code == 0, resumed.text
    old.assert_equal()


@pytest.mark.parametrize("mode", MODES)
def test_rejected_rows_of_what_was_staged_can_be_tried_again(old: Scene, mode: str) -> None:
    old.query("ALTER TABLE few ADD CONSTRAINT refuses CHECK (label <> 'few 7') NOT VALID")
    ended = old.run("--refresh", mode, "--on-error", "reject")
    assert ended.code == 1, ended.text
    assert "1 rows were rejected" in ended.text
    assert old.query("SELECT count(*) FROM few") == [(299,)]
    assert staged(old) == []
    old.query("ALTER TABLE few DROP CONSTRAINT refuses")
    again = old.run("--retry-rejects")
    assert again.code == 0, again.text
    old.assert_equal()
