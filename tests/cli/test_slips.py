"""Slips at the shell: each is refused before anything is touched, with what was probably meant."""

from __future__ import annotations

import json
import re

import pytest

from tests.samples import Shop, both_scripts
from tests.terminals import on_terminal

#: what was typed, and what the refusal must name
SLIPS = {
    "an unset variable": (["--tables", ""], "--tables: its value is empty"),
    "a blank one": (["--exclude", " "], "--exclude: its value is empty"),
    "commas alone": (["--tables", ","], "--tables: its value is empty"),
    "one of two unset": (["--exclude", ",Orders"], "--exclude: nothing stands beside one of its commas"),
    "unset without quotes": (["--tables"], "--tables: expected one argument, and none follows. Is it a shell variable"),
    "unset before a flag": (["--env-file", "--resume"], "--env-file: expected one argument, and none follows"),
    "no start": (["--start-from-table", ""], "--start-from-table: its value is empty"),
    "no settings": (["--env-file", ""], "--env-file: its value is empty"),
    "no progress": (["--progress-file="], "--progress-file: its value is empty"),
    "no type map": (["--type-map="], "--type-map: its value is empty"),
    "two tables": (["--tables", "Orders", "Products"], "Products belongs to no flag. Several tables are given with"),
    "three tables": (["--exclude", "A", "B", "C"], "B and C belong to no flag. Several tables are given with commas"),
    "a letter missing": (["--resum"], "is --resume meant?"),
    "a flag cut short": (["--start-from", "Orders"], "is --start-from-table meant?"),
    "one table": (["--table=Orders"], "is --tables meant?"),
    "in capitals": (["--RESUME"], "is --resume meant?"),
    "one hyphen": (["-tables", "Orders"], "is --tables meant? Nothing was done"),
    "a dash of a text program": (["–resume"], "is a dash of a text program, not two hyphens); is --resume meant?"),
    "nothing like it": (["--xyzzy"], "--help lists all flags"),
    "a wait in words": (["--wait", "long"], "--wait"),
    "a wait without end": (["--wait", "99999"], "from 0 to 10080"),
}


@both_scripts
@pytest.mark.parametrize("name", SLIPS)
def test_a_slip_is_refused_with_what_was_meant(shop: Shop, script: str, name: str) -> None:
    arguments, words = SLIPS[name]
    finished = shop.workplace.run(script, *arguments)
    assert finished.code == 2
    assert words in finished.err
    assert not shop.progress(script).exists()


@both_scripts
def test_a_refusal_is_a_line_of_a_log_where_no_person_looks(shop: Shop, script: str) -> None:
    plain, as_json = (
        shop.workplace.start(script, "--resum", *format_).communicate(timeout=60)
        for format_ in ((), ("--log-format", "json"))
    )
    assert plain[0] == as_json[0] == ""
    (line,) = plain[1].splitlines()
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [0-9a-f]{8} ❌ there is no flag --resum; .*", line)
    (document,) = (json.loads(one) for one in as_json[1].splitlines())
    assert (document["level"], document["event"]) == ("error", "run ended")
    assert "--resume" in document["message"]


def test_a_person_at_a_terminal_sees_the_flags_as_well(shop: Shop) -> None:
    code, shown = on_terminal(shop.workplace, "--resum")
    assert code == 2
    assert "usage: sync-data.py" in shown
    assert "is --resume meant?" in shown


@both_scripts
def test_a_glob_that_matches_nothing_is_told_with_near_names(shop: Shop, script: str) -> None:
    shop.ready(script)
    for flag in ("--tables", "--exclude"):
        finished = shop.workplace.run(script, flag, "Ordrs")
        assert finished.code == 2
        assert f"{flag} Ordrs: no table matches. Near: " in finished.err
        assert "dbo.Orders" in finished.err
    assert not shop.progress(script).exists()


@both_scripts
@pytest.mark.parametrize("name", ["{progress}", "./{progress}", ".env", "runs.jsonl", "link.log"])
def test_a_log_is_never_added_to_a_file_that_runs_need(shop: Shop, script: str, name: str) -> None:
    shop.ready(script)
    assert shop.workplace.run(script).code == 0
    progress, folder = shop.progress(script), shop.workplace.folder
    (folder / "link.log").symlink_to(progress.name)
    before = progress.read_bytes()
    finished = shop.workplace.run(script, "--resume", "--log-file", name.format(progress=progress.name))
    assert finished.code == 2
    assert "a log needs a file of its own" in finished.err
    assert progress.read_bytes() == before
    assert not (folder / ".env").exists()


@both_scripts
def test_a_start_that_the_globs_leave_out_names_that_reason(shop: Shop, script: str) -> None:
    finished = shop.workplace.run(script, "--tables", "Orders", "--start-from-table", "Products")
    assert finished.code == 2
    assert "dbo.Products is left out by --tables Orders, so nothing starts there" in finished.err
    assert not shop.progress(script).exists()


def test_a_start_among_all_tables_is_found_case_or_not(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data", "--start-from-table", "PRODUCTS").code == 0
