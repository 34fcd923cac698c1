"""Errors that may pass are tried again, so many times and visibly; others are not; what hangs is given up."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg2
import pyodbc
import pytest

from data_phase.connection_pair import ConnectionPair
from data_phase.job import Begun, Job
from data_phase.load_tasks import BeginLoad, CopyChunk, FinishLoad
from data_phase.modes.interface import LoadMode
from data_phase.modes.keep_and_continue import AddToRows
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from db import load_settings
from demo.target import EmbeddedTarget
from model.catalog import Database
from model.errors import CancelledError, TableError, TargetError, UnreachableError
from model.ranges import WHOLE_TABLE, Chunk
from model.settings import Settings
from mssql import chunk_planning
from postgres import checkpoints, loader, own_schema
from postgres.checkpoints import Totals
from postgres.introspection import read_tables as read_target_tables
from postgres.load_plan import plan_load
from postgres.names import TargetName
from scheduling.local_workers import LocalWorkers
from scheduling.tasks import run_unwatched
from standin.server import StandIn
from tests.harness import Finished, Proxy, Workplace, source_settings, wait_until
from tests.loads import begin, copy, finish
from tests.samples import Shop, claimed, entries, query, statuses, table

DEADLOCK = "Transaction (Process ID 51) was deadlocked on lock resources and has been chosen as the deadlock victim."


def impatient(workplace: Workplace, **settings: str) -> Workplace:
    """Two attempts and no waits between them."""
    return workplace.with_settings(**{"RETRY_ATTEMPTS": "2", "RETRY_SECONDS": "0", "WORKERS": "1", **settings})


# -- errors of the source --------------------------------------------------------------------------


def test_temporary_errors_are_tried_again_so_many_times_and_others_are_not(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Customers", 1205, DEADLOCK)
    own_shop.source.fail_next("dbo.Orders", 1205, DEADLOCK, times=5)
    own_shop.source.fail_next("dbo.Products", 8134, "Divide by zero error encountered.")
    own_shop.source.fail_after_rows("Sales.Orders", 4)
    finished = impatient(own_shop.workplace).run("data")
    assert finished.code == 1
    assert statuses(own_shop.workplace.data_progress) == {
        "Customers": "completed", "Orders": "failed", "Products": "failed", "Sales.Orders": "completed",
    }  # fmt: skip
    said = dict(
        zip(("Customers", "Orders", "Products", "Sales.Orders"), finished.out.split("Processing: ")[1:], strict=True)
    )
    assert {key: part.count("🔁") for key, part in said.items()} == {
        "Customers": 1, "Orders": 1, "Products": 0, "Sales.Orders": 1,
    }  # fmt: skip
    assert "1205" in said["Customers"]
    assert "attempt 2 of 2 in 0.0 s" in said["Customers"]
    assert "1205" in entries(own_shop.workplace.data_progress)["Orders"]["error"]
    assert "8134" in entries(own_shop.workplace.data_progress)["Products"]["error"]
    # Three of the five deadlocks are left.
    assert impatient(own_shop.workplace, RETRY_ATTEMPTS="4").run("data", "--resume").code == 0
    own_shop.assert_equal()


# -- silence, and closed doors ---------------------------------------------------------------------

BIG_ROWS = 30_000
#: bytes from the source by which the big table is on its way
PART = 1_000_000
BIG = Database("silence", (table("Big"),))
BIG_DDL = "CREATE TABLE big (id integer PRIMARY KEY, label varchar(60))"


@pytest.fixture
def big(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Shop:
    """A table of several chunks."""
    query(target, target_database, BIG_DDL)
    rows = f"SELECT i, 'a text that takes some room, of row ' || i FROM range({BIG_ROWS}) AS t(i)"
    source = serve(BIG, {"dbo.Big": rows})
    workplace = impatient(make_workplace(source, BIG), CHUNK_ROWS="10000", BATCH_SIZE="1000")
    return Shop(source, workplace, target, target_database)


@pytest.mark.parametrize("chunk_rows", ["10000", "100000"])
def test_a_chunk_that_stands_still_is_given_up_and_tried_with_another_connection(big: Shop, chunk_rows: str) -> None:
    with Proxy(("127.0.0.1", big.source.port)) as proxy:
        proxy.stall_after(PART)
        settings = {"MSSQL_PORT": str(proxy.port), "STALL_TIMEOUT": "2", "CHUNK_ROWS": chunk_rows}
        process = big.workplace.with_settings(**settings).start("data", "--no-truncate")
        assert process.stdout is not None
        assert any("🔁 no row for 2 s; retried with another connection" in line for line in process.stdout)
        # The connection that was given up wakes up as well, beside the new one.
        proxy.resume()
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    big.assert_equal()


def test_a_chunk_that_always_stands_still_fails_its_table_and_the_run_ends(big: Shop) -> None:
    with Proxy(("127.0.0.1", big.source.port)) as proxy:
        proxy.stall_after(PART)
        stalled = big.workplace.with_settings(MSSQL_PORT=str(proxy.port), STALL_TIMEOUT="1").run("data")
    assert stalled.code == 1
    error = entries(big.workplace.data_progress)["Big"]["error"]
    assert "no row for 1 s, 2 times; it was given up. What blocks a query shows in sys.dm_exec_requests" in error
    assert "set a larger STALL_TIMEOUT" in error
    assert big.workplace.run("data", "--resume", "--no-truncate").code == 0
    big.assert_equal()


def run_over_a_broken_target(big: Shop, break_it: Callable[[Proxy], None]) -> Finished:
    """A load during which something happens to the target's connections."""
    environment = big.workplace.environment
    with (
        Proxy(("127.0.0.1", big.source.port)) as source,
        Proxy(Path(environment["PGHOST"]) / f".s.PGSQL.{environment['PGPORT']}") as target,
    ):
        source.stall_after(PART)
        settings = {"MSSQL_PORT": str(source.port), "PGHOST": "127.0.0.1", "PGPORT": str(target.port)}
        process = big.workplace.with_settings(**settings).start("data")
        wait_until(lambda: source.is_stalled, "the table is on its way")
        break_it(target)
        source.resume()
        out, err = process.communicate(timeout=60)
    return Finished(process.returncode, out, err)


def test_a_target_that_refuses_connections_for_good_ends_the_run_in_plain_words(big: Shop) -> None:
    finished = run_over_a_broken_target(big, Proxy.close)
    assert finished.code == 3, finished.text
    assert "🔁" in finished.out
    assert "PostgreSQL 127.0.0.1" in finished.err
    assert "Check PGHOST and PGPORT" in finished.err
    assert "Traceback" not in finished.text
    assert statuses(big.workplace.data_progress) == {"Big": "in_progress"}
    assert big.workplace.run("data", "--resume", "--no-truncate").code == 0
    big.assert_equal()


def test_target_connections_that_are_cut_are_opened_again(big: Shop) -> None:
    finished = run_over_a_broken_target(big, Proxy.cut)
    assert finished.code == 0, finished.text
    assert finished.out.count("🔁") == 1
    big.assert_equal()


# -- the functions of a chunk ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def source() -> Iterator[StandIn]:
    """The table of several chunks, for tests that only read it."""
    with StandIn(BIG, {"dbo.Big": "SELECT i, 'row ' || i FROM range(3000) AS t(i)"}) as running:
        yield running


@pytest.fixture
def settings(source: StandIn, target: EmbeddedTarget, target_database: str) -> Settings:
    """Settings from that source to an empty table."""
    query(target, target_database, BIG_DDL)
    environment = {**source_settings(source.port, BIG.name), **target.environment(target_database)}
    return load_settings(None, {**environment, "CHUNK_ROWS": "1000", "RETRY_ATTEMPTS": "2", "RETRY_SECONDS": "0"})


@pytest.fixture
def job(settings: Settings, target: EmbeddedTarget, target_database: str) -> Job:
    """The load of that table."""
    return _job(target, target_database, settings)


def _job(target: EmbeddedTarget, target_database: str, settings: Settings) -> Job:
    (big,) = BIG.tables
    with closing(target.connect(target_database)) as connection:
        connection.autocommit = False
        own_schema.prepare(connection)
        there = read_target_tables(connection, ["public"])
        name = TargetName("public", "big")
        run = claimed(connection, name)
    return Job(big, plan_load(big, there[name], settings), TruncateAndCopy(), "a session", run, "a load")


def test_a_connection_pair_that_is_given_up_never_reaches_the_target_again(
    settings: Settings, target: EmbeddedTarget, target_database: str
) -> None:
    pair = ConnectionPair(settings)
    with pair.target.cursor() as cursor:
        cursor.execute("INSERT INTO public.big VALUES (1, 'too late')")
    connection = pair.target
    pair.give_up()
    with pytest.raises(psycopg2.OperationalError):
        connection.commit()
    with pytest.raises(CancelledError):
        _ = pair.target
    assert query(target, target_database, "SELECT * FROM big") == []


def test_a_chunk_that_is_given_up_frees_the_source_and_its_thread(
    settings: Settings, job: Job, source: StandIn, target: EmbeddedTarget, target_database: str
) -> None:
    begun = begin(settings, job)
    workers = LocalWorkers[ConnectionPair](1)
    copying = CopyChunk(settings, begun.job, begun.chunks[0])
    source.hold_back("dbo.Big")
    hanging = workers.submit(copying)
    wait_until(lambda: len(source.held_back) == 1, "it waits for the source")
    workers.give_up(copying.label)
    assert isinstance(hanging.exception(60), CancelledError)
    wait_until(lambda: source.connections == 0, "the source has no connection")
    assert query(target, target_database, "SELECT * FROM big") == []


def hang_once_in_planning(monkeypatch: pytest.MonkeyPatch) -> tuple[threading.Event, threading.Event]:
    """Have the next beginning hang before it has touched its table: an event of that it hangs, one that wakes it up."""
    hangs, wakes_up = threading.Event(), threading.Event()
    plan_chunks = chunk_planning.plan_chunks

    def hang(*arguments: Any, **named: Any) -> tuple[Chunk, ...]:
        monkeypatch.setattr(chunk_planning, "plan_chunks", plan_chunks)
        hangs.set()
        assert wakes_up.wait(60)
        return plan_chunks(*arguments, **named)

    monkeypatch.setattr(chunk_planning, "plan_chunks", hang)
    return hangs, wakes_up


def test_a_beginning_that_was_given_up_empties_nothing_when_it_wakes_up(
    settings: Settings, job: Job, target: EmbeddedTarget, target_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would truncate the table, and forget the checkpoints, of those who went on without it."""
    hangs, wakes_up = hang_once_in_planning(monkeypatch)
    workers = LocalWorkers[ConnectionPair](2)
    beginning = BeginLoad(settings, job)
    sleeper = workers.submit(beginning)
    assert hangs.wait(60)
    workers.give_up(beginning.label)
    begun = workers.submit(beginning).result(60)
    assert isinstance(begun, Begun)
    for chunk in begun.chunks:
        copy(settings, begun.job, chunk)
    wakes_up.set()
    with pytest.raises(CancelledError):
        sleeper.result(60)
    workers.close()
    workers.disconnect()
    assert finish(settings, begun.job).rows == 3000
    assert query(target, target_database, "SELECT count(*), count(DISTINCT id) FROM big") == [(3000, 3000)]


@pytest.mark.parametrize("mode", [TruncateAndCopy(), AddToRows()])
def test_a_beginning_that_wakes_up_where_nobody_could_end_it_begins_nothing_anew(
    settings: Settings, job: Job, target: EmbeddedTarget, target_database: str, monkeypatch: pytest.MonkeyPatch,
    mode: LoadMode,
) -> None:  # fmt: skip
    """As in the process of another machine that stood still, before it is told that others went on without it."""
    job = replace(job, mode=mode)
    hangs, wakes_up = hang_once_in_planning(monkeypatch)
    with ThreadPoolExecutor(1) as elsewhere:
        sleeper = elsewhere.submit(begin, settings, job)
        assert hangs.wait(60)
        begun = begin(settings, job)
        first, *others = begun.chunks
        copy(settings, begun.job, first)
        wakes_up.set()
        late = sleeper.result(60)
    # It found what was begun: whoever it tells can go on with that.
    assert (late.job, late.chunks, late.done) == (begun.job, begun.chunks, {0: 1000})
    for chunk in others:
        copy(settings, begun.job, chunk)
    assert finish(settings, begun.job).rows == 3000
    assert query(target, target_database, "SELECT count(*), count(DISTINCT id) FROM big") == [(3000, 3000)]


@pytest.mark.parametrize("mode", [TruncateAndCopy(), AddToRows()])
@pytest.mark.parametrize("is_whole", [True, False])
def test_a_chunk_that_was_committed_before_its_connection_broke_is_not_copied_again(
    settings: Settings, job: Job, target: EmbeddedTarget, target_database: str, monkeypatch: pytest.MonkeyPatch,
    is_whole: bool, mode: LoadMode,
) -> None:  # fmt: skip
    job = replace(job, mode=mode)
    settings = replace(settings, chunk_rows=10_000 if is_whole else 1000)
    begun = begin(settings, job)
    load = loader.load

    def commit_and_break(*arguments: Any, **more: Any) -> Totals:
        monkeypatch.setattr(loader, "load", load)
        load(*arguments, **more)
        raise TargetError("the connection broke", is_temporary=True)

    for chunk in begun.chunks:
        monkeypatch.setattr(loader, "load", commit_and_break)
        copy(settings, begun.job, chunk)
    assert len(begun.chunks) == (1 if is_whole else 3)
    assert query(target, target_database, "SELECT count(*), count(DISTINCT id) FROM big") == [(3000, 3000)]


def test_a_retry_waits_for_a_commit_that_is_still_on_its_way(
    settings: Settings, job: Job, target: EmbeddedTarget, target_database: str
) -> None:
    begun = begin(settings, job)
    load = begun.job.id
    with closing(target.connect(target_database)) as first, closing(target.connect(target_database)) as second:
        first.autocommit = second.autocommit = False
        with first.cursor() as cursor:
            checkpoints.record_chunk(cursor, load, begun.chunks[0], Totals(1000))
        answers: list[int | None] = []
        asking = threading.Thread(
            target=lambda: answers.append(checkpoints.has_chunk(second, load, begun.chunks[0].number))
        )
        asking.start()
        waiting = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_until(lambda: len(query(target, target_database, waiting)) == 1, "the question waits for the commit")
        first.commit()
        asking.join(60)
        assert answers == [1000]


def drivers() -> list[object]:
    """The driver that is found by itself, and FreeTDS where it is installed."""
    has_freetds = "FreeTDS" in pyodbc.drivers()
    return ["", pytest.param("FreeTDS", marks=pytest.mark.skipif(not has_freetds, reason="FreeTDS is not installed"))]


@pytest.mark.parametrize("driver", drivers())
def test_an_answer_that_breaks_off_is_never_taken_for_a_whole_one(
    source: StandIn, target: EmbeddedTarget, target_database: str, driver: str
) -> None:
    """Drivers that fetch rows in blocks can swallow an error, or a cut between two rows, and say that was all."""
    with Proxy(("127.0.0.1", source.port)) as proxy:
        query(target, target_database, BIG_DDL)
        environment = {**source_settings(proxy.port, BIG.name), **target.environment(target_database)}
        given = {"MSSQL_DRIVER": driver, "BATCH_SIZE": "100", "RETRY_ATTEMPTS": "2", "RETRY_SECONDS": "0"}
        settings = load_settings(None, {**environment, **given})
        job = _job(target, target_database, settings)
        passed = proxy.passed
        assert copy(settings, job, WHOLE_TABLE).rows == 3000
        traffic = proxy.passed - passed
        for step in range(1, 30):
            source.fail_after_rows("dbo.Big", step * 100 + step % 3, 1205, DEADLOCK)
            assert copy(settings, job, WHOLE_TABLE).rows == 3000, f"error after {step * 100} rows"
            proxy.cut_after(traffic // 3 + traffic * 2 // 3 * step // 30)
            try:
                assert copy(settings, job, WHOLE_TABLE).rows == 3000, f"cut in step {step}"
            except TableError:
                # Not every word that FreeTDS has for a cut is known as temporary; what counts is that it is heard.
                assert driver == "FreeTDS"
            proxy.resume()
    assert query(target, target_database, "SELECT count(*), count(DISTINCT id) FROM big") == [(3000, 3000)]


def test_tasks_run_in_processes_that_share_nothing_with_this_one(
    settings: Settings, job: Job, target: EmbeddedTarget, target_database: str
) -> None:
    """As on another machine: tasks and what they bring travel as bytes, and nobody watches."""
    query(target, target_database, "INSERT INTO big VALUES (-1, 'an old row')")
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        begun = executor.submit(run_unwatched, pickle.loads(pickle.dumps(BeginLoad(settings, job)))).result()
        chunks = [pickle.loads(pickle.dumps(CopyChunk(settings, begun.job, chunk))) for chunk in begun.chunks]
        rows = [brought.rows for brought in executor.map(run_unwatched, chunks)]
        # Once more, as somebody does who does not know that it was done: nothing is doubled.
        again = executor.submit(run_unwatched, chunks[0], tries_again=True).result()
        ended = executor.submit(run_unwatched, FinishLoad(settings, begun.job)).result()
    assert (again.rows, rows, ended.rows) == (1000, [1000, 1000, 1000], 3000)
    assert query(target, target_database, "SELECT count(*), count(DISTINCT id), min(id) FROM big") == [(3000, 3000, 0)]


def test_what_fails_in_another_process_is_told_as_it_is_here(settings: Settings, job: Job) -> None:
    closed = replace(settings, source=replace(settings.source, address=("127.0.0.1", 1)))
    with (
        ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as executor,
        pytest.raises(UnreachableError, match="cannot be reached"),
    ):
        executor.submit(run_unwatched, BeginLoad(closed, job)).result()
