"""Stopped at any point, a run loses nothing, doubles nothing, and goes on from there."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.harness import Proxy, Workplace, wait_until
from tests.samples import SHOP, SHOP_KEYS, SHOP_ROWS, Shop, entries, processed, query, statuses, table, write_progress

BIG_ROWS = 40_000
#: bytes from the source that are beyond login and catalog of the shop, and far before the end of its big table
PART_OF_BIG = 400_000
#: the shop with its second table big: about 3 MB on the wire
BIG_SHOP = Database("shop", tuple(table("Orders") if each.full_name == "dbo.Orders" else each for each in SHOP.tables))
BIG_SHOP_ROWS = {**SHOP_ROWS, "dbo.Orders": f"SELECT i, 'a longer text for row ' || i FROM range({BIG_ROWS}) AS t(i)"}


@pytest.fixture
def big_shop(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Shop:
    """The shop with a big table in its middle, and its tables on the target."""
    source = serve(BIG_SHOP, BIG_SHOP_ROWS)
    # Small batches, so that a half-read table is one of which rows were written, too; one worker, so that
    # the tables before it are done and those after it are not begun.
    workplace = make_workplace(source, BIG_SHOP).with_settings(BATCH_SIZE="1000", WORKERS="1")
    made = Shop(source, workplace, target, target_database).ready("data")
    made.query("ALTER TABLE orders ALTER total TYPE text; ALTER TABLE orders RENAME total TO label")
    return made


def through(shop: Shop, proxy: Proxy) -> Workplace:
    """The shop's folder with the source behind a proxy."""
    return shop.workplace.with_settings(MSSQL_PORT=str(proxy.port))


def status_of(shop: Shop, key: str) -> str | None:
    """The table's status in the progress file, None where there is none yet."""
    if not shop.workplace.data_progress.exists():
        return None
    return statuses(shop.workplace.data_progress).get(key)


def stop_in_the_middle(shop: Shop, process: subprocess.Popen[str], proxy: Proxy) -> None:
    """Wait until the big table is half read and nothing moves any more."""

    def is_there() -> bool:
        assert process.poll() is None, process.communicate()
        return proxy.is_stalled and status_of(shop, "Orders") == "in_progress"

    wait_until(is_there, "the big table is in progress, and the source is silent")


def wait_for_silence(process: subprocess.Popen[str], proxy: Proxy) -> None:
    """Wait until the proxy holds the source's answers back, wherever the run is then."""

    def is_there() -> bool:
        assert process.poll() is None, process.communicate()
        return proxy.is_stalled

    wait_until(is_there, "the source is silent")


# -- SIGKILL -------------------------------------------------------------------------------------


def test_a_kill_in_mid_table_and_resume_lose_nothing_and_double_nothing(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            wait_until(
                lambda: entries(big_shop.workplace.data_progress)["Orders"].get("rows_copied", 0) > 0,
                "the progress file tells how many rows were copied",
            )
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert statuses(big_shop.workplace.data_progress) == {
        "Customers": "completed", "Orders": "in_progress", "Products": "pending", "Sales.Orders": "pending",
    }  # fmt: skip
    copied = entries(big_shop.workplace.data_progress)["Orders"]["rows_copied"]
    assert 0 < copied < BIG_ROWS

    customers = entries(big_shop.workplace.data_progress)["Customers"]
    resumed = big_shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert "⏳ In Progress:   1" in resumed.out
    assert processed(resumed.out) == SHOP_KEYS[1:]
    assert entries(big_shop.workplace.data_progress)["Customers"] == customers
    assert "rows_copied" not in entries(big_shop.workplace.data_progress)["Orders"]
    big_shop.assert_equal()


def test_readers_never_see_a_part_of_a_table_and_a_kill_brings_the_old_rows_back(big_shop: Shop) -> None:
    big_shop.query("INSERT INTO orders VALUES (-1, 'of last week')")
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            # A TRUNCATE holds readers back; none of them gets anything that is not whole.
            with pytest.raises(Exception, match="lock timeout"):
                big_shop.query("SET lock_timeout = 100; SELECT count(*) FROM orders")
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    assert big_shop.rows("orders") == [(-1, "of last week")]
    assert big_shop.workplace.run("data", "--resume").code == 0
    big_shop.assert_equal()


def test_a_kill_before_the_first_table_leaves_a_session_that_resumes(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy, through(big_shop, proxy).running("data") as process:
        wait_until(lambda: proxy.passed > 0, "the run has reached the source")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    resumed = big_shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    big_shop.assert_equal()


def test_resume_no_truncate_after_a_kill_keeps_rows_and_ends_equal(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    resumed = big_shop.workplace.run("data", "--resume", "--no-truncate")
    # Nothing or whole chunks with their checkpoints were committed, so nothing can be partial or doubled.
    assert resumed.code == 0, resumed.text
    assert "WARNING" not in resumed.text
    big_shop.assert_equal()


def test_resume_no_truncate_after_a_kill_warns_where_rows_of_another_origin_are(big_shop: Shop) -> None:
    big_shop.query("INSERT INTO orders VALUES (-1, 'of last week')")
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data", "--no-truncate") as process:
            stop_in_the_middle(big_shop, process, proxy)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    resumed = big_shop.workplace.run("data", "--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    assert "WARNING: dbo.Orders" in resumed.text
    rows = big_shop.rows("orders")
    assert rows[0] == (-1, "of last week")
    assert rows[1:] == big_shop.source.execute("SELECT * FROM dbo.Orders ORDER BY 1")


def test_killed_again_and_again_it_still_ends_equal(big_shop: Shop) -> None:
    for part in (150_000, 500_000, 1_000_000):
        with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
            proxy.stall_after(part)
            with through(big_shop, proxy).running("data", "--resume") as process:
                wait_for_silence(process, proxy)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
    resumed = big_shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    big_shop.assert_equal()


# -- the network ---------------------------------------------------------------------------------


def test_a_source_connection_cut_in_mid_table_is_made_again_and_nothing_is_lost(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.cut_after(PART_OF_BIG)
        finished = through(big_shop, proxy).run("data")
    assert finished.code == 0, finished.text
    assert "🔁" in finished.out
    assert re.search("08S01|connection", finished.out)
    big_shop.assert_equal()


def test_a_source_connection_cut_at_every_attempt_fails_that_table_in_the_drivers_words(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        once = through(big_shop, proxy).with_settings(RETRY_ATTEMPTS="1")
        proxy.cut_after(PART_OF_BIG)
        finished = once.run("data")
    assert finished.code == 1, finished.text
    after = entries(big_shop.workplace.data_progress)
    assert {key: part["status"] for key, part in after.items()} == {
        key: "failed" if key == "Orders" else "completed" for key in SHOP_KEYS
    }
    assert re.search("08S01|connection", after["Orders"]["error"])
    assert after["Orders"]["error"] in finished.out
    assert big_shop.rows("orders") == []
    resumed = big_shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == ["Orders"]
    big_shop.assert_equal()


def test_a_target_connection_cut_in_mid_table_is_made_again_and_nothing_is_lost(big_shop: Shop) -> None:
    environment = big_shop.workplace.environment
    server = Path(environment["PGHOST"]) / f".s.PGSQL.{environment['PGPORT']}"
    with Proxy(server) as to_target, Proxy(("127.0.0.1", big_shop.source.port)) as to_source:
        to_source.stall_after(PART_OF_BIG)
        cut_off = through(big_shop, to_source).with_settings(PGHOST="127.0.0.1", PGPORT=str(to_target.port))
        with cut_off.running("data") as process:
            stop_in_the_middle(big_shop, process, to_source)
            to_target.cut()
            to_source.resume()
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "🔁" in out
    assert statuses(big_shop.workplace.data_progress) == dict.fromkeys(SHOP_KEYS, "completed")
    big_shop.assert_equal()


def test_a_source_that_goes_away_for_good_ends_the_run_and_resume_goes_on(big_shop: Shop) -> None:
    proxy = Proxy(("127.0.0.1", big_shop.source.port))
    proxy.stall_after(PART_OF_BIG)
    with through(big_shop, proxy).with_settings(RETRY_ATTEMPTS="2", RETRY_SECONDS="0").running("data") as process:
        stop_in_the_middle(big_shop, process, proxy)
        proxy.close()
        out, err = process.communicate(timeout=90)
    assert process.returncode in (1, 3), out + err
    assert "Traceback" not in out + err
    after = statuses(big_shop.workplace.data_progress)
    assert after["Customers"] == "completed"
    assert after["Orders"] in ("failed", "in_progress")
    assert "completed" not in (after["Products"], after["Sales.Orders"])
    resumed = big_shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == SHOP_KEYS[1:]
    big_shop.assert_equal()


def test_a_deadlock_on_the_source_is_tried_again(own_shop: Shop) -> None:
    own_shop.ready("data")
    words = "Transaction (Process ID 52) was deadlocked on lock resources. Rerun the transaction."
    own_shop.source.fail_next("dbo.Orders", 1205, words)
    finished = own_shop.workplace.run("data")
    assert finished.code == 0, finished.text
    assert "🔁" in finished.out
    assert words in finished.out
    own_shop.assert_equal()


def test_a_deadlock_that_comes_back_every_time_fails_the_table_after_the_last_attempt(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 1205, "It was deadlocked.", times=99)
    workplace = own_shop.workplace.with_settings(RETRY_ATTEMPTS="3", RETRY_SECONDS="0")
    finished = workplace.run("data")
    assert finished.code == 1, finished.text
    assert finished.out.count("🔁") == 2
    assert "It was deadlocked." in entries(workplace.data_progress)["Orders"]["error"]
    assert [key for key, status in statuses(workplace.data_progress).items() if status != "completed"] == ["Orders"]


# -- chunks --------------------------------------------------------------------------------------


def test_a_kill_between_chunks_and_resume_no_truncate_go_on_after_the_last_committed_chunk(big_shop: Shop) -> None:
    chunked = big_shop.workplace.with_settings(CHUNK_ROWS="4000")
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(3 * PART_OF_BIG)
        with chunked.with_settings(MSSQL_PORT=str(proxy.port)).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    committed = big_shop.query("SELECT count(*) FROM orders")[0][0]
    assert 0 < committed < BIG_ROWS
    big_shop.query("CREATE TABLE seen AS SELECT id, xmin::text AS loaded_by FROM orders")
    resumed = chunked.run("data", "--resume", "--no-truncate")
    assert resumed.code == 0, resumed.text
    assert "WARNING" not in resumed.text
    assert f"{committed:,} rows" in resumed.out
    again = "SELECT count(*) FROM seen JOIN orders USING (id) WHERE orders.xmin::text <> seen.loaded_by"
    assert big_shop.query(again) == [(0,)]
    big_shop.assert_equal()


def test_a_kill_between_chunks_and_resume_load_the_table_from_scratch(big_shop: Shop) -> None:
    chunked = big_shop.workplace.with_settings(CHUNK_ROWS="4000", WORKERS="3")
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(3 * PART_OF_BIG)
        with chunked.with_settings(MSSQL_PORT=str(proxy.port)).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    big_shop.query("INSERT INTO orders VALUES (-1, 'not of the source')")
    resumed = chunked.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert "Truncating target table..." in resumed.out
    big_shop.assert_equal()


def test_chunks_whose_connections_are_cut_again_and_again_are_loaded_once(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        workplace = through(big_shop, proxy).with_settings(CHUNK_ROWS="4000", WORKERS="2", RETRY_SECONDS="0")
        with workplace.running("data") as process:
            for _ in range(3):
                target = proxy.passed + PART_OF_BIG
                wait_until(lambda size=target: proxy.passed > size, "rows travel")  # type: ignore[misc]
                proxy.cut()
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, out + err
    assert "🔁" in out
    big_shop.assert_equal()


# -- signals -------------------------------------------------------------------------------------


def assert_stopped_in_big_table(shop: Shop, process: subprocess.Popen[str], code: int) -> None:
    """The run ends with this code and words, has saved its progress, and a resume does the rest."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, out + err
    assert "Stopped by" in err
    assert "--resume" in err
    assert "Traceback" not in out + err
    after = statuses(shop.workplace.data_progress)
    assert after["Customers"] == "completed"
    assert after["Orders"] in ("in_progress", "failed")
    assert after["Products"] == "pending"
    left = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    wait_until(lambda: shop.query(left) == [(0,)], "the target has forgotten the run")
    resumed = shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == SHOP_KEYS[1:]
    shop.assert_equal()


def test_ctrl_c_while_rows_travel_stops_the_run_with_progress_saved(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            process.send_signal(signal.SIGINT)
            # The source goes on, but never to the table's end.
            proxy.resume()
            proxy.stall_after(PART_OF_BIG)
            assert_stopped_in_big_table(big_shop, process, 130)


def test_sigterm_while_the_source_is_silent_stops_the_run_with_progress_saved(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            process.send_signal(signal.SIGTERM)
            assert_stopped_in_big_table(big_shop, process, 143)


def test_the_schema_phase_stopped_by_a_signal_resumes(shop: Shop) -> None:
    # The first table waits for somebody who is making one of the same name.
    blocker = shop.target.connect(shop.database)
    blocker.autocommit = False
    with blocker.cursor() as cursor:
        cursor.execute("CREATE TABLE customers (id integer)")
    process = shop.workplace.start("schema")
    try:
        wait_until(
            lambda: (
                shop.workplace.schema_progress.exists()
                and statuses(shop.workplace.schema_progress, "schema")["Customers"] == "in_progress"
                and shop.query("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'") == [(1,)]
            ),
            "the run waits for the lock",
        )
        process.send_signal(signal.SIGTERM)
        blocker.rollback()
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        blocker.close()
    assert process.returncode == 143, out + err
    assert "--resume" in err
    resumed = shop.workplace.run("schema", "--resume")
    assert resumed.code == 0, resumed.text
    assert shop.tables == ["public.customers", "public.orders", "public.products", "sales.orders"]


# -- the lock ------------------------------------------------------------------------------------


def test_a_second_run_exits_at_once_and_names_the_first(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            for arguments in ([], ["--resume"], ["--reset"]):
                second = big_shop.workplace.run("data", *arguments)
                assert second.code == 4, second.text
                assert f"process {process.pid} " in second.err
                assert "sync-data.py" in second.err
                assert process.poll() is None
            proxy.resume()
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, out + err
    big_shop.assert_equal()


def test_the_lock_is_free_after_a_kill(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data") as process:
            stop_in_the_middle(big_shop, process, proxy)
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            assert big_shop.workplace.run("data", "--reset").code == 0


def test_runs_with_different_progress_files_do_not_hinder_each_other(big_shop: Shop) -> None:
    with Proxy(("127.0.0.1", big_shop.source.port)) as proxy:
        proxy.stall_after(PART_OF_BIG)
        with through(big_shop, proxy).running("data", "--tables", "Customers,dbo.Orders") as process:
            stop_in_the_middle(big_shop, process, proxy)
            other = big_shop.workplace.run("data", "--tables", "Products", "--progress-file", "other.json")
            assert other.code == 0, other.text
            proxy.resume()
            out, err = process.communicate(timeout=60)
            assert process.returncode == 0, out + err
    assert statuses(big_shop.workplace.data_progress) == dict.fromkeys(["Customers", "Orders"], "completed")
    assert statuses(big_shop.workplace.folder / "other.json") == {"Products": "completed"}


def test_a_lock_file_that_a_dead_run_left_names_nobody_and_stops_nobody(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="completed")
    (shop.workplace.folder / "data_sync_progress.json.lock").write_text("99999999", encoding="utf-8")
    resumed = shop.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == SHOP_KEYS[1:]


#: what is restored waits for a lock that the test holds
WAITING = """
CREATE TABLE children (id integer PRIMARY KEY REFERENCES parents (id), label varchar(50));
CREATE FUNCTION wait_for_the_test() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM public.parents) THEN PERFORM pg_advisory_xact_lock(1); END IF;
END $$;
CREATE EVENT TRIGGER waits ON ddl_command_start EXECUTE FUNCTION wait_for_the_test();
"""
IS_WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 1 AND NOT granted"


@pytest.mark.parametrize("rows", [10, 100_000], ids=["at a foreign key", "at the last table's own key"])
@pytest.mark.parametrize("level", ["none", "sessions", "snapshot", "snapshot, compared"])
def test_a_source_that_goes_away_after_the_last_table_spoils_nothing(
    level: str,
    rows: int,
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> None:
    database = Database("leaving", (table("Children"), table("Parents")))
    filled = {name: f"SELECT i, 'row ' || i FROM range({count}) AS t(i)" for name, count in
              (("dbo.Children", 10), ("dbo.Parents", rows))}  # fmt: skip
    source = serve(database, filled)
    source.makes_snapshots = has_snapshot = level.startswith("snapshot")
    flags = {"none": [], "snapshot, compared": ["--consistent", "--then-verify"]}.get(level, ["--consistent"])
    query(target, target_database, f"CREATE TABLE parents (id integer PRIMARY KEY, label varchar(50));{WAITING}")
    holder = target.connect(target_database)
    with Proxy(("127.0.0.1", source.port)) as proxy, closing(holder), holder.cursor() as lock:
        lock.execute("SELECT pg_advisory_lock(1)")
        workplace = make_workplace(source, database).with_settings(
            MSSQL_PORT=str(proxy.port), CHUNK_ROWS="40000", WORKERS="2", RETRY_ATTEMPTS="2", RETRY_SECONDS="0"
        )
        process = workplace.start("data", *flags)
        wait_until(
            lambda: query(target, target_database, IS_WAITING) == [(1,)] or process.poll() is not None, "it restores"
        )
        proxy.close()
        lock.execute("SELECT pg_advisory_unlock(1)")
        out, err = process.communicate(timeout=60)
    # A comparison that was asked for and cannot be made is another thing.
    assert process.returncode == (3 if "--then-verify" in flags else 0), out + err
    assert ("could not be dropped" in out) == has_snapshot
    assert set(statuses(workplace.data_progress).values()) == {"completed"}
    assert query(target, target_database, "SELECT count(*) FROM parents") == [(rows,)]
    kinds = "SELECT string_agg(DISTINCT contype::text, '' ORDER BY contype::text) FROM pg_constraint"
    assert query(target, target_database, f"{kinds} WHERE connamespace = 'public'::regnamespace AND contype <> 'n'"
                 ) == [("fp",)]  # fmt: skip
