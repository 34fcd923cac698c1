"""Runs that meet in one target: over the same tables one is refused, over others both are exact."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from data_phase.connection_pair import ConnectionPair
from data_phase.job import Job
from data_phase.load_tasks import FinishLoad
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from db import load_settings
from model.errors import LoadLostError
from model.ranges import WHOLE_TABLE
from postgres import checkpoints, own_schema, runs, staging
from postgres.checkpoints import Totals
from postgres.introspection import read_tables
from postgres.load_plan import plan_load
from postgres.names import TargetName
from scheduling.local_workers import LocalWorkers
from tests.harness import Workplace, wait_until
from tests.loads import begin, copy
from tests.samples import claimed, statuses
from tests.scenes import BIG, BIG_ROWS, Scene

#: what must not come back in the midst of a load: a trigger that changes rows, keys between the tables
MORE_DDL = """
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.label := upper(NEW.label); RETURN NEW; END $$;
CREATE TRIGGER shouting BEFORE INSERT ON big FOR EACH ROW EXECUTE FUNCTION shout();
CREATE TRIGGER shouting BEFORE INSERT ON few FOR EACH ROW EXECUTE FUNCTION shout();
ALTER TABLE few ADD CONSTRAINT few_of_big FOREIGN KEY (id) REFERENCES big;
ALTER TABLE later ADD CONSTRAINT later_of_few FOREIGN KEY (id) REFERENCES few;
"""
STANDING = """
SELECT conname FROM pg_constraint WHERE contype = 'f' AND convalidated AND connamespace = 'public'::regnamespace
UNION ALL SELECT tgname || ' on ' || tgrelid::regclass FROM pg_trigger WHERE NOT tgisinternal AND tgenabled = 'O'
ORDER BY 1
"""
ALL_STANDING = ["few_of_big", "later_of_few", "shouting on big", "shouting on few"]


@pytest.fixture
def elsewhere(scene: Scene, tmp_path: Path) -> Workplace:
    """Another directory for the same source and target."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    return Workplace(folder, scene.workplace.environment)


def standing(scene: Scene) -> list[str]:
    """Foreign keys and triggers that are in force."""
    return [name for (name,) in scene.query(STANDING)]


# -- side by side ----------------------------------------------------------------------------------


@pytest.mark.parametrize("script", ["data", "schema"])
def test_a_second_run_over_a_table_is_refused_with_who_holds_it(
    scene: Scene, elsewhere: Workplace, script: str
) -> None:
    with scene.stopped_in_the_big_table() as process:
        before = scene.checkpoints()
        # The first one's proxy is silent: this one reaches the source directly.
        refused = elsewhere.with_settings(MSSQL_PORT=str(scene.source.port), CHUNK_ROWS="700").run(script)
        assert refused.code == 4, refused.text
        assert "another run works on public.big" in refused.err
        assert f"process {process.pid} on " in refused.err
        assert f"in {scene.workplace.folder}" in refused.err
        assert "nothing was changed" in refused.err
        assert sorted(path.name for path in elsewhere.folder.iterdir() if path.suffix == ".json") == []
        assert scene.checkpoints() == before
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    scene.assert_equal()


@pytest.mark.parametrize("place", ["the same folder", "elsewhere"])
def test_a_second_run_waits_for_the_first_and_says_for_whom(scene: Scene, elsewhere: Workplace, place: str) -> None:
    workplace = scene.workplace if place == "the same folder" else elsewhere
    with scene.stopped_in_the_big_table() as process:
        second = workplace.with_settings(MSSQL_PORT=str(scene.source.port)).start("data", "--wait", "5")
        assert second.stdout is not None
        said = ""
        while "Waiting, 5 min at most" not in said:
            line = second.stdout.readline()
            assert line, said
            said += line
        assert f"process {process.pid} on {socket.gethostname()} in {scene.workplace.folder}, since 20" in said
        assert second.poll() is None
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, out + err
        out, err = second.communicate(timeout=120)
        assert second.returncode == 0, out + err
    scene.assert_equal()


@pytest.mark.parametrize("script", ["data", "schema"])
@pytest.mark.parametrize("place", ["the same folder", "elsewhere"])
def test_who_waits_in_vain_ends_as_one_who_does_not_wait(
    scene: Scene, elsewhere: Workplace, place: str, script: str
) -> None:
    with scene.stopped_in_the_big_table() as process:
        before = scene.checkpoints()
        workplace = elsewhere if place == "elsewhere" else scene.workplace
        # The schema phase has a progress file of its own, and no need for the one that is in use.
        file = "own.json" if place == "elsewhere" else str(scene.workplace.data_progress)
        direct = workplace.with_settings(MSSQL_PORT=str(scene.source.port))
        refused = direct.run(script, "--wait", "0.02", "--progress-file", file)
        assert refused.code == 4, refused.text
        assert refused.out.count("⏳ Waiting, 1 s at most: another run ") == 1
        assert refused.text.count(f"process {process.pid} on {socket.gethostname()}") == 2
        assert f"in {scene.workplace.folder}, since 20" in refused.err
        assert "(sync-data.py " in refused.err
        assert scene.checkpoints() == before
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    scene.assert_equal()


def test_runs_over_other_tables_leave_what_a_live_run_suspended(scene: Scene, elsewhere: Workplace) -> None:
    scene.query(MORE_DDL)
    direct = elsewhere.with_settings(MSSQL_PORT=str(scene.source.port))
    with scene.stopped_in_the_big_table("--tables", "Big") as process:
        for _ in range(2):
            beside = direct.run("data", "--tables", "Few,Later")
            assert beside.code == 0, beside.text
            assert "come back when the run that loads public.big now is over" in beside.out
            assert standing(scene) == ["later_of_few", "shouting on few"]
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert standing(scene) == ALL_STANDING
    for name in ("big", "few", "later"):
        wanted = scene.source.execute(f'SELECT * FROM dbo."{name}" ORDER BY 1')
        assert scene.query(f"SELECT * FROM {name} ORDER BY 1") == wanted, name
    assert scene.query("SELECT * FROM replication.suspended") == []
    assert scene.query("SELECT * FROM replication.run") == []


def test_what_a_killed_run_had_claimed_is_free(scene: Scene, elsewhere: Workplace) -> None:
    scene.query(MORE_DDL)
    scene.kill_in_the_big_table()
    run = elsewhere.run("data", "--tables", "Later")
    # All comes back; what one key wants is in a table that the killed run had not come to.
    assert run.code == 1, run.text
    assert "3 of 4 keys, indexes and triggers are back" in run.out
    assert 'Key (id)=(0) is not present in table "few"' in run.out
    run = elsewhere.run("data")
    assert run.code == 0, run.text
    assert standing(scene) == ALL_STANDING


# -- a run that is taken for dead ------------------------------------------------------------------


@pytest.fixture
def job(scene: Scene) -> Job:
    """The load of the big table by a run of which only the claim is there."""
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        there = read_tables(connection, ["public"])[TargetName("public", "big")]
        run = claimed(connection, there.name)
    settings = load_settings(None, scene.workplace.environment)
    return Job(
        replace(BIG, row_count=BIG_ROWS),
        plan_load(BIG, there, settings),
        TruncateAndCopy(),
        "a session",
        run,
        "a load",
    )


@pytest.mark.parametrize(
    ("meanwhile", "words"),
    [
        (
            "UPDATE replication.claim SET run = (SELECT max(run) FROM replication.run)",
            "another run has taken over public.big",
        ),
        ("DELETE FROM replication.run", "another run has taken over public.big, or its record is gone"),
        ("UPDATE replication.load SET load = 'another one'", "another run has taken over public.big"),
        ("UPDATE replication.load SET chunks = chunks - 0", "has other chunks than this run"),
        ("DROP TABLE big; CREATE TABLE big (id integer, label text)", "was dropped or recreated"),
        ("TRUNCATE big", "public.big holds 4,000 rows where 8,000 were loaded"),
    ],
)
def test_a_chunk_of_a_load_that_is_not_its_own_any_more_is_not_committed(
    scene: Scene, job: Job, meanwhile: str, words: str
) -> None:
    settings = load_settings(None, scene.workplace.environment)
    begun = begin(settings, job)
    copy(settings, begun.job, begun.chunks[0])
    scene.query(
        "INSERT INTO replication.run (host, pid, folder, command) VALUES ('another host', 7, '/there', 'sync-data.py')"
    )
    scene.query(meanwhile)
    before = scene.query("SELECT count(*) FROM big")
    with pytest.raises(LoadLostError, match=words):
        copy(settings, begun.job, begun.chunks[1])
    assert scene.query("SELECT count(*) FROM big") == before


def test_a_run_that_lost_its_connection_claims_its_tables_again(scene: Scene, elsewhere: Workplace) -> None:
    with scene.stopped_in_the_big_table() as process:
        holding = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND objid > 0"
        (before,) = scene.query(holding)
        scene.query(f"SELECT pg_terminate_backend({before[0]})")
        wait_until(lambda: scene.query(holding) not in ([], [before]), "the run is alive again")
        refused = elsewhere.with_settings(MSSQL_PORT=str(scene.source.port)).run("data")
        assert refused.code == 4, refused.text
        scene.proxy.resume()
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    scene.assert_equal()


# -- readers ---------------------------------------------------------------------------------------


TABLES = ("big", "few", "later")
JOINED = [
    "SELECT count(*) FROM big JOIN few USING (id) JOIN later USING (id)",
    "SELECT count(*) FROM later JOIN few USING (id) LEFT JOIN big USING (id)",
    "BEGIN; SELECT count(*) FROM few; SELECT count(*) FROM later; SELECT count(*) FROM big; COMMIT",
    "BEGIN; SELECT count(*) FROM big; SELECT count(*) FROM few; COMMIT",
]


def test_neither_readers_nor_the_run_fail_for_each_other_s_sake(scene: Scene) -> None:
    scene.query(MORE_DDL)
    failures: list[str] = []
    queries = [0]
    stopping = threading.Event()

    def read(sql: str) -> None:
        with closing(scene.target.connect(scene.database)) as connection, connection.cursor() as cursor:
            while not stopping.is_set():
                try:
                    cursor.execute(sql)
                    queries[0] += 1
                except psycopg2.Error as error:
                    failures.append(str(error))
                    connection.rollback()

    readers = [threading.Thread(target=read, args=(sql,)) for sql in JOINED]
    for reader in readers:
        reader.start()
    try:
        for _ in range(3):
            run = scene.run("--workers", "2")
            assert run.code == 0, run.text
            assert "WARNING" not in run.out
    finally:
        stopping.set()
        for reader in readers:
            reader.join(60)
    assert failures == []
    assert queries[0] > 0
    assert standing(scene) == ALL_STANDING
    for name in TABLES:
        wanted = scene.source.execute(f'SELECT * FROM dbo."{name}" ORDER BY 1')
        assert scene.query(f"SELECT * FROM {name} ORDER BY 1") == wanted, name


def test_a_reader_that_does_not_end_is_named_and_nobody_queues_behind_the_run(scene: Scene) -> None:
    with closing(scene.target.connect(scene.database)) as reader, reader.cursor() as cursor:
        cursor.execute("BEGIN; SELECT 'a long report' FROM few")
        process = scene.workplace.with_settings(LOCK_WAIT="6").start("data")
        with closing(scene.target.connect(scene.database)) as other, other.cursor() as beside:
            beside.execute("SET lock_timeout = 900")
            while process.poll() is None:
                beside.execute("SELECT count(*) FROM few")
        out, err = process.communicate(timeout=120)
    assert process.returncode == 1, out + err
    assert "dbo.Few failed: public.few could not be locked within 6 s. Held by pid " in out
    assert "a long report" in out
    assert statuses(scene.workplace.data_progress) == {"Big": "completed", "Few": "failed", "Later": "completed"}
    assert scene.run("--resume").code == 0
    scene.assert_equal()


# -- being alive -----------------------------------------------------------------------------------


HOLDING = """
SELECT k.pid FROM pg_locks AS k JOIN pg_database AS d ON d.oid = k.database AND d.datname = current_database()
WHERE k.locktype = 'advisory' AND k.objsubid = 2 AND {}
"""
#: another connection that gives signs of life
THERE_AGAIN = """
SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> {} AND query = 'SELECT 1'
"""


def is_alive(scene: Scene, number: int) -> bool:
    """Whether others take a run for alive."""
    return scene.query(f"SELECT {runs.IS_ALIVE} FROM (SELECT {number} AS run) AS r") == [(True,)]


def test_a_run_is_alive_again_though_the_server_noticed_late_that_its_connection_broke(scene: Scene) -> None:
    connect = partial(scene.target.connect, scene.database)
    with closing(connect()) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
    live = runs.LiveRun(connect)
    waiting = f"SELECT pg_advisory_lock({runs.LOCK_CLASS}, {live.number})"
    other = connect()
    try:
        with other.cursor() as cursor:
            # It stands for the server's end of the connection: the lock is not free when the run comes back for it.
            queued = threading.Thread(target=cursor.execute, args=(waiting,))
            queued.start()
            wait_until(lambda: bool(scene.query(HOLDING.format("NOT k.granted"))), "somebody waits for the lock")
            ((pid,),) = scene.query(HOLDING.format("k.granted"))
            scene.query(f"SELECT pg_terminate_backend({pid})")
            queued.join()
        wait_until(lambda: bool(scene.query(THERE_AGAIN.format(pid))), "the run is there with another connection")
        other.close()
        wait_until(lambda: is_alive(scene, live.number), "the run is alive for others")
    finally:
        other.close()
        live.close()


class _CommitsLater:
    """A connection whose commit waits for a word."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.waits, self.may = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def commit(self) -> None:
        self.waits.set()
        assert self.may.wait(60)
        self._connection.commit()


@pytest.mark.parametrize("prepare", [own_schema.prepare, staging.prepare])
def test_two_runs_that_begin_at_once_on_a_new_target_do_not_fail_for_each_other_s_sake(
    scene: Scene, prepare: Callable[[Any], None]
) -> None:
    with (
        closing(scene.target.connect(scene.database)) as one,
        closing(scene.target.connect(scene.database)) as other,
        ThreadPoolExecutor(2) as threads,
    ):
        one.autocommit = other.autocommit = False
        slow = _CommitsLater(one)
        first = threads.submit(prepare, slow)
        assert slow.waits.wait(60)
        second = threads.submit(prepare, other)
        waiting = "SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        try:
            wait_until(lambda: bool(scene.query(waiting)), "the second waits for the first")
        finally:
            slow.may.set()
        first.result(60)
        second.result(60)


def test_a_run_has_no_number_of_another_that_is_alive(scene: Scene) -> None:
    connect = partial(scene.target.connect, scene.database)
    with closing(connect()) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        first = runs.LiveRun(connect)
        with connection.cursor() as cursor:
            cursor.execute("DROP SCHEMA replication CASCADE")
        connection.commit()
        own_schema.prepare(connection)
        second = runs.LiveRun(connect)
    assert second.number != first.number
    second.close()
    first.close()


def test_a_load_whose_rows_are_counted_is_not_taken_for_one_that_hangs(scene: Scene, job: Job) -> None:
    settings = load_settings(None, scene.workplace.environment)
    with closing(scene.target.connect(scene.database)) as connection:
        connection.autocommit = False
        with connection.cursor() as cursor:
            checkpoints.start_load(cursor, job.id, [WHOLE_TABLE])
            checkpoints.record_chunk(cursor, job.id, WHOLE_TABLE, Totals(0))
        connection.commit()
        # A lock stands for rows that take long to count.
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE big IN ACCESS EXCLUSIVE MODE")
            workers = LocalWorkers[ConnectionPair](1)
            task = FinishLoad(settings, replace(job, is_continued=True))
            ending = workers.submit(task)
            counting = "SELECT pid FROM pg_locks WHERE NOT granted AND relation = (SELECT 'big'::regclass::oid)"
            wait_until(lambda: bool(scene.query(counting)), "it is counting")
            assert not workers.stands_still(task.label, 0)
            connection.rollback()
            ended = ending.result()
            workers.close()
            workers.disconnect()
        assert isinstance(ended, Totals)
        assert ended.rows == 0
