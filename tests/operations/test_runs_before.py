"""A run's tables held against the runs before: what counts as a jump, and what as slower."""

from __future__ import annotations

from dataclasses import replace

import pytest

from operations.history import BrokenLine
from operations.run_result import RunResult, TableResult
from operations.runs_before import RunsBefore, Trend, in_words
from tests.made_runs import SETTINGS, a_night


def load(rows: int, seconds: float = 10.0, before: int = 0, status: str = "completed") -> TableResult:
    """A load of the one table."""
    return TableResult("Orders", status, rows, seconds, rows_before=before)


def night(ago: int, table: TableResult) -> RunResult:
    """A run over it."""
    return a_night([table], ago)


def trend(table: TableResult, *earlier: TableResult) -> Trend | None:
    """How a load looks after others, the newest of them first."""
    runs = [night(ago, one) for ago, one in enumerate(earlier, start=1)]
    return RunsBefore(night(0, table), runs).trends.get("Orders")


@pytest.mark.parametrize(
    ("rows", "were", "has_jumped"),
    [
        (1_000, 1_000, False),
        (1_199, 1_000, False),
        (1_200, 1_000, True),
        (800, 1_000, True),
        (801, 1_000, False),
        (99, 0, False),
        (100, 0, True),
        (150, 100, False),
        (0, 1, True),
        (0, 0, False),
    ],
)
def test_rows_jump_by_a_fifth_and_a_hundred_or_to_nothing(rows: int, were: int, has_jumped: bool) -> None:
    found = trend(load(rows), load(were))
    assert found is not None
    assert (found.has_jumped, found.rows_were, found.is_emptied) == (has_jumped, were, rows == 0 and were > 0)
    assert bool(in_words(load(rows), found)) == has_jumped


def test_rows_are_held_against_the_newest_completed_load() -> None:
    found = trend(load(1_000), load(5, status="failed"), load(1_000), load(9_000))
    assert found is not None
    assert (found.rows_were, found.has_jumped) == (1_000, False)


@pytest.mark.parametrize(("seconds", "is_slower"), [(100.0, False), (199.0, False), (201.0, True)])
def test_a_load_is_slower_at_less_than_half_the_usual_rate(seconds: float, is_slower: bool) -> None:
    usual = load(100_000, 100.0)
    found = trend(load(100_000, seconds), usual, load(100_000, 20.0), usual, load(100_000, 900.0), usual)
    assert found is not None
    assert (found.is_slower, found.usual_rate) == (is_slower, 1_000.0)


def test_a_second_more_or_two_loads_before_say_nothing() -> None:
    quick = trend(load(10_000, 11.0), *[load(10_000, 1.1)] * 3)
    assert quick is not None
    assert not quick.is_slower
    assert quick.seconds_usual == pytest.approx(1.1)
    few = trend(load(10_000, 100.0), *[load(10_000, 1.0)] * 2)
    assert few is not None
    assert (few.is_slower, few.usual_rate) == (False, None)


def test_what_a_continued_table_held_before_does_not_make_it_faster() -> None:
    found = trend(load(100_000, 100.0, before=90_000), *[load(100_000, 100.0)] * 3)
    assert found is not None
    assert found.is_slower


def test_a_failed_or_a_new_table_has_no_trend() -> None:
    assert trend(load(10, status="failed"), load(10)) is None
    assert trend(load(10)) is None


def test_other_scripts_other_databases_broken_lines_and_itself_are_not_compared_with() -> None:
    this = night(0, load(10))
    runs: list[RunResult | BrokenLine] = [
        this,
        BrokenLine("runs.jsonl", 3, "why"),
        replace(night(1, load(9_999)), script="replicate-schema.py"),
        replace(night(2, load(9_999)), settings={**SETTINGS, "target": "elsewhere"}),
        night(3, load(10)),
    ]
    before = RunsBefore(this, runs)
    assert before.trends["Orders"].rows_were == 10
    newest_last = [one.run for one in reversed(runs) if isinstance(one, RunResult) and one is not this]
    assert [one.run for one in before.outcomes] == newest_last


# -- like with like ------------------------------------------------------------------------------------


def test_a_load_is_no_slower_than_loads_that_came_another_way() -> None:
    truncated = replace(load(100_000, 10.0), mode="truncate")
    found = trend(replace(load(100_000, 100.0), mode="swap"), *[truncated] * 3)
    assert found is not None
    assert (found.is_slower, found.usual_rate) == (False, None)
    assert (found.rows_were, found.has_jumped) == (100_000, False)


def test_the_usual_rate_is_that_of_the_loads_that_came_the_same_way() -> None:
    truncated, swapped = (
        replace(load(100_000, seconds), mode=mode) for seconds, mode in ((10.0, "truncate"), (50.0, "swap"))
    )
    found = trend(
        replace(load(100_000, 101.0), mode="swap"), truncated, swapped, truncated, swapped, truncated, swapped
    )
    assert found is not None
    assert (found.is_slower, found.usual_rate) == (True, 2_000.0)


@pytest.mark.parametrize("settings", [{"cluster": "tls://scheduler:8786"}, {"max_rate": "1,000 rows/s"}])
def test_a_cluster_and_a_bounded_run_are_not_held_against_others(settings: dict[str, object]) -> None:
    bounded = replace(night(0, load(100_000, 100.0)), settings={**SETTINGS, **settings})
    before = [night(ago, load(100_000, 10.0)) for ago in (1, 2, 3)]
    found = RunsBefore(bounded, before).trends["Orders"]
    assert (found.is_slower, found.usual_rate, found.rows_were) == (False, None, 100_000)


def test_a_table_that_only_had_to_become_live_is_not_slow() -> None:
    found = trend(load(100_000, 100.0, before=100_000), *[load(100_000, 10.0)] * 3)
    assert found is not None
    assert not found.is_slower
