"""Slips at the shell: each is refused before anything is touched, with what was probably meant."""

from __future__ import annotations

import pytest

from tests.samples import Shop, both_scripts

#: what was typed, and what the refusal must name
SLIPS = {
    "an unset variable": (["--tables", ""], "--tables: its value is empty"),
    "a blank one": (["--exclude", " "], "--exclude: its value is empty"),
    "commas alone": (["--tables", ","], "--tables: its value is empty"),
    "no start": (["--start-from-table", ""], "--start-from-table: its value is empty"),
    "no settings": (["--env-file", ""], "--env-file: its value is empty"),
    "no progress": (["--progress-file="], "--progress-file: its value is empty"),
    "no type map": (["--type-map="], "--type-map: its value is empty"),
    "two tables": (["--tables", "Orders", "Products"], "--tables A,B"),
    "a letter missing": (["--resum"], "is --resume meant?"),
    "a flag cut short": (["--start-from", "Orders"], "is --start-from-table meant?"),
    "one table": (["--table=Orders"], "is --tables meant?"),
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
def test_a_start_that_the_globs_leave_out_names_that_reason(shop: Shop, script: str) -> None:
    finished = shop.workplace.run(script, "--tables", "Orders", "--start-from-table", "Products")
    assert finished.code == 2
    assert "dbo.Products is left out by --tables" in finished.err
    assert not shop.progress(script).exists()


def test_a_start_among_all_tables_is_found_case_or_not(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data", "--start-from-table", "PRODUCTS").code == 0
