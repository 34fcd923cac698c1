"""docs/sqlserver.md names tests that are there, and of the kind that its columns say."""

from __future__ import annotations

import re
import subprocess
import sys

from tests.harness import ROOT

PAGE = ROOT / "docs" / "sqlserver.md"
HEAD = "| what | proven on a T-SQL server by | on the stand-in by | rests on |"


def rows() -> list[list[str]]:
    """The table's cells, row by row."""
    lines = PAGE.read_text(encoding="utf-8").partition(HEAD)[2].splitlines()[2:]
    table = lines[: lines.index("")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table]


def named(column: int) -> set[str]:
    """The tests that a column of the table names."""
    return {test for row in rows() for test in re.findall(r"`([\w/]+\.py::\w+)`", row[column])}


def collected(*arguments: str) -> set[str]:
    """The tests that pytest collects, without their parameters."""
    listed = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *arguments],
        cwd=ROOT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = (line.partition("[")[0] for line in listed.stdout.splitlines() if "::" in line)
    return {line.removeprefix("tests/") for line in lines}


def test_what_is_said_to_be_proven_on_a_t_sql_server_is_and_nothing_of_it_is_left_out() -> None:
    tests = collected("-m", "tsql")
    assert named(1) - tests == set()
    assert {test.partition("::")[0] for test in tests} == {test.partition("::")[0] for test in named(1)}


def test_what_is_said_to_be_proven_on_the_stand_in_needs_no_t_sql_server() -> None:
    words = re.findall(r"`([\w/]+\.py::\w+)`", PAGE.read_text(encoding="utf-8").partition(HEAD)[0])
    assert words
    tests = named(2) | set(words)
    files = sorted({f"tests/{test.partition('::')[0]}" for test in tests})
    assert tests - collected("-m", "not tsql", *files) == set()


def test_every_row_says_what_it_rests_on() -> None:
    assert len(rows()) > 20
    for row in rows():
        assert len(row) == 4, row
        what, on_server, on_stand_in, read = row
        assert what
        assert on_server or on_stand_in, f"{what}: proven by nothing"
        # What no T-SQL server has shown must name what was read instead.
        assert on_server or read, f"{what}: rests on nothing"
