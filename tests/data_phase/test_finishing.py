"""Tables are finished beside the one that is copied: keys and ANALYZE; what a kill or an error in it leaves."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from demo.target import EmbeddedTarget
from model.catalog import Database
from standin.server import StandIn
from tests.harness import Workplace, wait_until
from tests.samples import INT, Shop, processed, query, statuses, table

#: many values in few rows, whose keys stay; and so many rows that the key is suspended
WIDE_ROWS, LONG_ROWS = 6_000, 100_000
COLUMNS = {f"n{number}": INT for number in range(20)}
DATABASE = Database("wide", (table("Keyed"), table("Later"), table("Wide", "dbo", **COLUMNS), table("Younger")))
ROWS: dict[str, Any] = {
    "dbo.Keyed": f"SELECT i, 'row ' || i FROM range({LONG_ROWS}) AS t(i)",
    "dbo.Later": "SELECT i, 'later ' || i FROM range(300) AS t(i)",
    "dbo.Wide": f"SELECT i, {', '.join(['i'] * len(COLUMNS))} FROM range({WIDE_ROWS}) AS t(i)",
    "dbo.Younger": "SELECT i, 'younger ' || i FROM range(300) AS t(i)",
}
#: an index of a table that is analyzed by this function of its rows
ON_ANALYZE = """
CREATE FUNCTION on_analyze(integer) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF current_query() LIKE '%%ANALYZE%%' THEN {0}; END IF;
    RETURN $1;
END $$;
CREATE INDEX on_analyze ON wide (on_analyze(id));
"""
KNOWN = "SELECT relname::text, reltuples::integer FROM pg_class WHERE relname IN ('keyed', 'wide') ORDER BY 1"


@pytest.fixture
def wide(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    target: EmbeddedTarget,
    target_database: str,
) -> Iterator[Shop]:
    """Two tables that take long to finish, each before a small one; and their tables on the target."""
    source = serve(DATABASE, ROWS)
    workplace = make_workplace(source, DATABASE).with_settings(WORKERS="1")
    assert workplace.run("schema").code == 0
    yield Shop(source, workplace, target, target_database)


def at_work(shop: Shop) -> dict[int, set[str]]:
    """The tables that each worker of the last run was at, by the worker."""
    last = json.loads((shop.workplace.folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()[-1])
    found: dict[int, set[str]] = {}
    for span in last["spans"]:
        found.setdefault(span["worker"], set()).add(span["table"])
    return found


def test_keys_and_statistics_are_made_while_the_one_worker_copies_the_next_table(wide: Shop) -> None:
    loaded = wide.workplace.run("data")
    assert loaded.code == 0, loaded.text
    finisher, worker = at_work(wide)[0], at_work(wide)[1]
    # Where the finisher is still at the keys of the first table, the worker sees to the other one itself.
    assert "Keyed" in finisher <= {"Keyed", "Wide"}
    assert worker == {"Keyed", "Later", "Wide", "Younger"}
    assert wide.query(KNOWN) == [("keyed", LONG_ROWS), ("wide", WIDE_ROWS)]
    assert wide.query("SELECT count(*) FROM pg_index WHERE indisprimary AND indrelid = 'keyed'::regclass") == [(1,)]
    wide.assert_equal()
    # No line of one table stands among those of another without its name.
    assert processed(loaded.out) == ["Keyed", "Later", "Wide", "Younger"]
    assert f"✅ [1/4] dbo.Keyed: {LONG_ROWS:,} rows" in loaded.out or f"✅ {LONG_ROWS:,} rows synced" in loaded.out


def test_without_a_connection_to_spare_the_worker_does_all(wide: Shop) -> None:
    wide.query(
        "DROP ROLE IF EXISTS modest; CREATE ROLE modest LOGIN CONNECTION LIMIT 3;"
        f"ALTER DATABASE {wide.database} OWNER TO modest; GRANT ALL ON SCHEMA public TO modest;"
        "ALTER TABLE keyed OWNER TO modest; ALTER TABLE later OWNER TO modest; ALTER TABLE wide OWNER TO modest;"
        "ALTER TABLE younger OWNER TO modest; DROP SCHEMA IF EXISTS replication CASCADE"
    )
    try:
        loaded = wide.workplace.with_settings(PGUSER="modest").run("data")
        assert loaded.code == 0, loaded.text
        assert at_work(wide).keys() == {1}
        assert wide.query(KNOWN) == [("keyed", LONG_ROWS), ("wide", WIDE_ROWS)]
        wide.assert_equal()
    finally:
        query(
            wide.target, wide.database, "REASSIGN OWNED BY modest TO postgres; DROP OWNED BY modest; DROP ROLE modest"
        )


def test_a_kill_before_a_loaded_table_is_analyzed_costs_only_that_and_a_resume_makes_up_for_it(wide: Shop) -> None:
    # Else autovacuum may be quicker than --resume.
    wide.query("ALTER TABLE wide SET (autovacuum_enabled = false)")
    wide.query(ON_ANALYZE.format("PERFORM pg_sleep(60)"))
    process = wide.workplace.start("data")
    analyzing = (
        'SELECT pid FROM pg_stat_activity WHERE query LIKE \'%%ANALYZE "public"."wide"%%\' AND pid <> pg_backend_pid()'
    )

    def is_there() -> bool:
        assert process.poll() is None, process.communicate()
        return bool(wide.query(analyzing)) and statuses(wide.workplace.data_progress)["Younger"] == "completed"

    try:
        wait_until(is_there, "the last table is loaded, and the one before it is being analyzed", timeout=60)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    assert statuses(wide.workplace.data_progress)["Wide"] == "completed"
    wide.query(f"SELECT pg_terminate_backend(pid) FROM ({analyzing}) AS a; DROP FUNCTION on_analyze CASCADE")
    assert dict(wide.query(KNOWN))["wide"] == -1

    resumed = wide.workplace.run("data", "--resume")
    assert resumed.code == 0, resumed.text
    assert "📊 public.wide is analyzed, which an earlier run did not get to" in resumed.out
    assert processed(resumed.out) == []
    assert dict(wide.query(KNOWN))["wide"] == WIDE_ROWS
    wide.assert_equal()
    assert "is analyzed" not in wide.workplace.run("data", "--resume").out


def test_an_analyze_that_fails_is_told_and_the_table_s_rows_count(wide: Shop) -> None:
    wide.query(ON_ANALYZE.format("RAISE 'no statistics today'"))
    loaded = wide.workplace.run("data")
    assert loaded.code == 0, loaded.text
    assert "public.wide is loaded but not analyzed: no statistics today" in loaded.text
    assert 'or run: ANALYZE "public"."wide"' in loaded.text
    assert set(statuses(wide.workplace.data_progress).values()) == {"completed"}
    wide.assert_equal()
