"""The runs that were: every line of `runs.jsonl` as a value again, and files that do not grow for ever."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.changes import KINDS
from operations.history import BrokenLine, Limits, last_runs, newest_first, rotate
from operations.run_result import FILE, RejectReason, RunResult, TableResult, keep
from operations.stored_run import run_of
from operations.timeline import Span
from tests.harness import ROOT

NOW = datetime(2026, 11, 26, 1, 0, 0)
NO_LIMITS = Limits(0, 0)


def a_run(number: int = 1, at: datetime = NOW) -> RunResult:
    """A run that is told from others by its number."""
    time = at.isoformat(timespec="seconds")
    return RunResult("sync-data.py", (), None, time, time, 0, f"run {number}", run=str(number))


def kept(folder: Path) -> list[int]:
    """The numbers of the runs that a folder knows, the newest first."""
    return [int(one.run) for one in newest_first(folder) if isinstance(one, RunResult)]


# -- as values ------------------------------------------------------------------------------------------

whole = st.integers(0, 2**53)
numbers = st.floats(0, 1e9)
some_text = st.text(max_size=20)
tables = st.builds(
    TableResult, some_text, some_text, st.none() | whole, st.none() | numbers, st.none() | whole, st.none() | some_text,
    st.dictionaries(st.sampled_from(KINDS), st.dictionaries(some_text, whole, max_size=2), max_size=2), whole, whole,
    st.none() | some_text, whole, st.booleans(),
)  # fmt: skip
texts = st.lists(some_text, max_size=3).map(tuple)
results = st.builds(
    RunResult, some_text, texts, st.none() | some_text, st.just("2026-11-26T01:00:00"),
    st.just("2026-11-26T02:00:00"), st.integers(0, 255), some_text, st.lists(tables, max_size=3).map(tuple), whole,
    whole, whole, texts, texts, st.dictionaries(some_text, some_text, max_size=2),
    st.dictionaries(some_text, some_text, max_size=2), st.dictionaries(some_text, whole | some_text, max_size=2),
    some_text, st.lists(st.builds(Span, whole, some_text, numbers, numbers, whole), max_size=3).map(tuple),
    st.dictionaries(
        some_text, st.lists(st.builds(RejectReason, st.none() | some_text, some_text, whole, some_text)).map(tuple),
        max_size=2,
    ),
    texts, texts, whole,
)  # fmt: skip


@given(results)
def test_a_run_that_is_kept_and_read_is_the_same(result: RunResult) -> None:
    assert run_of(result.line.encode()) == result


def test_lines_of_older_and_newer_versions_are_read() -> None:
    document = json.loads(a_run().line)
    older = {name: document[name] for name in ("script", "started_at", "ended_at", "exit_code", "ended_because")}
    assert run_of(json.dumps(older).encode()) == replace(a_run(), run="")
    assert run_of(json.dumps({**document, "moon": "full"}).encode()) == a_run()


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"script": "sync-da', "not JSON, or was cut off"),
        (b"\xff\xfe", "not JSON"),
        (b"[1]", "not an object"),
        (b"{}", 'no "script"'),
        (a_run().line.replace('"exit_code": 0', '"exit_code": "0"').encode(), '"exit_code" is not as a run writes it'),
        (a_run().line.replace('"tables": []', '"tables": [{"table": 3}]').encode(), '"table" is not as'),
        (a_run().line.replace("2026-11-26T01", "yesterday").encode(), '"started_at" is not as'),
    ],
)
def test_what_is_no_run_says_why(line: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=re.escape(why)):
        run_of(line)


@given(st.binary(max_size=60) | st.recursive(
    st.none() | st.booleans() | st.floats() | some_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["tables", "spans", "rejects"]), inner),
).map(lambda part: json.dumps({**json.loads(a_run().line), "tables": part, "spans": part}).encode()))  # fmt: skip
def test_no_line_breaks_the_reader(line: bytes) -> None:
    try:
        run_of(line)
    except ValueError as error:
        assert str(error)


def test_broken_lines_are_named_with_their_place_and_the_others_are_read(tmp_path: Path) -> None:
    lines = [a_run(1).line, "rubbish\n", "\n", a_run(2).line, '{"script": "cut o']
    (tmp_path / FILE).write_text("".join(lines), encoding="utf-8")
    runs, broken = last_runs(tmp_path, 10)
    assert [run.run for run in runs] == ["1", "2"]
    assert [(one.file, one.line) for one in broken] == [(FILE, 2), (FILE, 5)]


def test_only_as_many_as_are_asked_for_are_read(tmp_path: Path) -> None:
    (tmp_path / FILE).write_text("rubbish\n" + "".join(a_run(n).line for n in range(5)), encoding="utf-8")
    runs, broken = last_runs(tmp_path, 2)
    assert ([run.run for run in runs], broken) == (["3", "4"], [])


def test_without_a_file_there_is_no_run(tmp_path: Path) -> None:
    assert last_runs(tmp_path, 5) == ([], [])
    (tmp_path / FILE).touch()
    assert last_runs(tmp_path, 5) == ([], [])
    rotate(tmp_path, Limits(1, 1), NOW)
    assert last_runs(tmp_path / "missing", 5) == ([], [])


# -- rotation -------------------------------------------------------------------------------------------


@given(runs=st.integers(1, 7), nights=st.integers(0, 40))
def test_by_count_so_many_are_kept_at_least_and_twice_as_many_at_most(
    tmp_path_factory: pytest.TempPathFactory, runs: int, nights: int
) -> None:
    folder = tmp_path_factory.mktemp("count")
    for number in range(nights):
        keep(a_run(number), folder)
        rotate(folder, Limits(runs, 0), NOW + timedelta(days=number))
    there = kept(folder)
    assert there == sorted(there, reverse=True)
    assert there[:runs] == list(range(nights))[::-1][:runs]
    assert len(there) <= 2 * runs


@given(days=st.integers(1, 6), nights=st.integers(0, 40))
def test_by_age_each_is_kept_for_so_many_days_at_least_and_twice_as_many_at_most(
    tmp_path_factory: pytest.TempPathFactory, days: int, nights: int
) -> None:
    folder = tmp_path_factory.mktemp("age")
    for number in range(nights):
        at = NOW + timedelta(days=number)
        keep(a_run(number, at), folder)
        rotate(folder, Limits(0, days), at)
    ages = [nights - 1 - number for number in kept(folder)]
    assert ages == list(range(len(ages)))
    assert min(nights, days + 1) <= len(ages) <= 2 * days + 3


def test_a_clock_that_is_set_back_does_not_make_the_newest_runs_the_first_to_go(tmp_path: Path) -> None:
    for number in range(9):
        keep(a_run(number), tmp_path)
        rotate(tmp_path, Limits(2, 0), NOW - timedelta(hours=number))
    assert kept(tmp_path)[:2] == [8, 7]
    assert kept(tmp_path) == sorted(kept(tmp_path), reverse=True)


def test_without_limits_nothing_is_set_aside(tmp_path: Path) -> None:
    for number in range(10):
        keep(a_run(number, datetime(1999, 1, 1)), tmp_path)
        rotate(tmp_path, NO_LIMITS, NOW)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_files_of_others_are_neither_read_nor_removed(tmp_path: Path) -> None:
    (tmp_path / "runs-old.jsonl").write_text(a_run(99, datetime(1999, 1, 1)).line, encoding="utf-8")
    for number in range(5):
        keep(a_run(number), tmp_path)
        rotate(tmp_path, Limits(1, 1), NOW)
    assert (tmp_path / "runs-old.jsonl").exists()
    assert 99 not in kept(tmp_path)


def test_a_line_added_to_a_file_that_was_just_set_aside_is_not_lost(tmp_path: Path) -> None:
    keep(a_run(1), tmp_path)
    with (tmp_path / FILE).open("a", encoding="utf-8") as slow:
        rotate(tmp_path, Limits(1, 0), NOW)
        keep(a_run(2), tmp_path)
        slow.write(a_run(3).line)
    assert sorted(kept(tmp_path)) == [1, 2, 3]


def test_runs_that_end_and_rotate_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    """Three processes add their lines while each sets the file aside again and again; nothing is old enough to go."""
    writer = (
        "import sys; from datetime import datetime; from pathlib import Path\n"
        "from operations.history import Limits, rotate; from operations.recorder import Recorder\n"
        "from operations.run_result import FILE, keep\n"
        "folder = Path(sys.argv[1])\n"
        "for number in range(60):\n"
        "    keep(Recorder(sys.argv[2], ()).ended(0, str(number)), folder)\n"
        "    rotate(folder, Limits(60, 0), datetime.now())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", writer, str(tmp_path), str(name)], cwd=ROOT) for name in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]
    found = list(newest_first(tmp_path))
    assert not [one for one in found if isinstance(one, BrokenLine)]
    # What is removed is the oldest: of each writer's lines, none is missing after the first that is there.
    runs = [one for one in found if isinstance(one, RunResult)]
    assert len(runs) >= 60
    for script in ("0", "1", "2"):
        numbers_of = sorted(int(one.ended_because) for one in runs if one.script == script)
        assert numbers_of == list(range(60))[60 - len(numbers_of) :]
