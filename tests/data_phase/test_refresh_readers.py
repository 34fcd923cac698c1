"""--refresh merge and swap: readers never wait, never fail, and see one night's rows or the next one's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from demo.target import EmbeddedTarget
from tests.harness import wait_until
from tests.nights import ALL, UNITS, Nights, first_night
from tests.readers import TOGETHER, WITHIN_UNITS, Readers

#: what no night changes: an answer about these must be the same one all the time
STEADY = {"keys"}
KEYED, KEYLESS, SALES = UNITS
#: what is published cannot be swapped, nor can what becomes visible with it
UNPUBLISHED = "DROP PUBLICATION nights"
#: what an open transaction has done that each mode's lock waits for
HELD_UP = {"merge": "LOCK TABLE lines IN SHARE MODE", "swap": "SELECT count(*) FROM lines"}


@pytest.fixture
def nights(target: EmbeddedTarget, target_database: str, tmp_path: Path) -> Iterator[Nights]:
    """Night 1 on both sides."""
    with first_night(tmp_path, target, target_database) as made:
        yield made


@contextmanager
def holding(nights: Nights, statement: str) -> Iterator[Any]:
    """A transaction that has run a statement, and stays open."""
    variables = nights.workplace.environment
    connection = psycopg2.connect(
        host=variables["PGHOST"], port=variables["PGPORT"], user=variables["PGUSER"], dbname=nights.database,
        application_name="a long report",
    )  # fmt: skip
    with closing(connection), connection.cursor() as cursor:
        cursor.execute(f"/* of last month */ {statement}")
        yield connection


@pytest.mark.parametrize("mode", ["merge", "swap"])
def test_readers_see_one_night_or_the_next_and_nothing_around_the_tables_changes(nights: Nights, mode: str) -> None:
    if mode == "swap":
        nights.query(UNPUBLISHED)
    before = nights.schema()
    with Readers(nights.target, nights.database, TOGETHER) as readers:
        for night in (2, 3):
            nights.turn_to(night)
            finished = nights.refresh("--refresh", mode)
            assert finished.code == 0, finished.text
            assert f"8 by {mode}" in finished.out
            assert nights.differences(night) == []
            readers.go_round()
    assert readers.troubles(nights=3) == []
    assert {name for name, seen in readers.answers if len(seen) < 3} == STEADY
    assert nights.damage() == []
    assert nights.schema() == before
    # The materialised view is as it was, and can be refreshed; the identity goes on; triggers fire for others again.
    stale = nights.query("SELECT * FROM busiest ORDER BY id")
    nights.query("REFRESH MATERIALIZED VIEW CONCURRENTLY busiest")
    assert nights.query("SELECT * FROM busiest ORDER BY id") != stale
    assert nights.query(
        "INSERT INTO orders (night, customer) SELECT 4, min(id) FROM customers RETURNING id > 1500"
    ) == [(True,)]
    with pytest.raises(psycopg2.Error, match="a trigger fired in a refresh"):
        nights.query("DELETE FROM customers")


def test_a_published_table_is_merged_and_what_becomes_visible_with_it_too(nights: Nights) -> None:
    before = nights.schema()
    nights.turn_to(2)
    with Readers(nights.target, nights.database, TOGETHER) as readers:
        finished = nights.refresh("--refresh", "swap")
        assert finished.code == 0, finished.text
        assert "sales.shops: it is published" in finished.out
        assert "8 by merge" in finished.out
    assert readers.troubles(nights=2) == []
    assert (nights.differences(2), nights.damage(), nights.schema() == before) == ([], [], True)


@pytest.mark.parametrize("mode", HELD_UP)
def test_with_switch_table_those_that_are_ready_are_seen_while_others_wait(nights: Nights, mode: str) -> None:
    before = nights.schema()
    nights.turn_to(2)
    with Readers(nights.target, nights.database, WITHIN_UNITS) as readers:
        with holding(nights, HELD_UP[mode]):
            process = nights.workplace.with_settings(SWITCH_TIMEOUT="60").start(
                "data", "--refresh", mode, "--switch", "table"
            )

            def is_there() -> bool:
                assert process.poll() is None, process.communicate()
                return not nights.differences(2, KEYLESS | SALES)

            wait_until(is_there, "the tables that nobody holds are switched")
            assert nights.differences(1, KEYED) == []
            assert nights.query("SELECT max(night) FROM lines") == [(1,)]
            readers.go_round()
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, out + err
    assert readers.troubles(nights=2) == []
    assert (nights.differences(2), nights.damage(), nights.schema() == before) == ([], [], True)


@pytest.mark.parametrize(
    ("mode", "statement"),
    [
        *HELD_UP.items(),
        ("merge", "SELECT name FROM customers WHERE id = 9 FOR UPDATE"),
        # It would see nothing of the rows that are staged after it began.
        ("swap", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT 1"),
    ],
)
def test_a_switch_that_others_hold_up_ends_with_all_kept_and_resume_only_switches(
    nights: Nights, mode: str, statement: str
) -> None:
    if mode == "swap":
        nights.query(UNPUBLISHED)
    before = nights.schema()
    nights.turn_to(2)
    with Readers(nights.target, nights.database, TOGETHER) as readers:
        with holding(nights, statement) as holder:
            finished = nights.refresh("--refresh", mode, SWITCH_TIMEOUT="2")
            assert finished.code == 1, finished.text
            user = nights.workplace.environment["PGUSER"]
            words = f"pid {holder.info.backend_pid} (a long report, user {user}): /* of last month */ {statement}"
            assert words in finished.text
            assert nights.differences(1) == []
        assert nights.schema() == before
        # Whoever reads a row of the source now fails.
        for name in ALL:
            nights.source.fail_next(name, 208, "nobody was to read this again", times=1000)
        finished = nights.refresh("--resume")
        assert finished.code == 0, finished.text
        assert nights.differences(2) == []
    assert readers.troubles(nights=2) == []
    assert (nights.damage(), nights.schema() == before) == ([], True)


def test_the_readers_notice_what_is_not_of_one_night(nights: Nights) -> None:
    with Readers(nights.target, nights.database) as readers:
        for night in (5, 6, 7):
            nights.query(f"UPDATE sales.shops SET night = {night}")
            readers.go_round()
        with closing(nights.target.connect(nights.database)) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE lines IN ACCESS EXCLUSIVE MODE")
            wait_until(lambda: bool(readers.failures), "a reader has waited too long")
    troubles = readers.troubles(nights=2)
    assert any(one.startswith("shops: 4 different answers") for one in troubles)
    assert any("lock timeout" in one for one in troubles)
