"""Errors of the source that pass by themselves: the run goes on; what does not pass fails its table at once."""

from __future__ import annotations

import re

import pytest

from model.errors import TEMPORARY_NUMBERS
from tests.samples import Shop


def test_each_error_that_is_documented_as_temporary_is_lived_through(own_shop: Shop, odbc_driver: str) -> None:
    own_shop.ready("data")
    for number, meaning in TEMPORARY_NUMBERS.items():
        own_shop.source.fail_next("dbo.Orders", number, f"Told as ({number + 1}): {meaning}.")
    workplace = own_shop.workplace.with_settings(RETRY_ATTEMPTS="100", RETRY_SECONDS="0", MSSQL_DRIVER=odbc_driver)
    finished = workplace.run("data")
    assert finished.code == 0, finished.text
    own_shop.assert_equal()
    told = [line for line in finished.out.splitlines() if "🔁" in line]
    missing = [number for number in TEMPORARY_NUMBERS if not any(f"({number})" in line for line in told)]
    assert missing == []


def test_a_value_in_parentheses_is_not_taken_for_an_error_that_passes(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 245, "Conversion failed for '40001', value (64) (1205) of 08S01.", times=9)
    finished = own_shop.workplace.with_settings(RETRY_SECONDS="0").run("data")
    assert finished.code == 1, finished.text
    assert "🔁" not in finished.out
    assert "(245)" in finished.text


@pytest.mark.parametrize(("number", "least", "most"), [(8645, 60, 180), (1205, 15, 45)])
def test_where_the_source_lacks_memory_the_run_waits_longer(
    own_shop: Shop, number: int, least: float, most: float
) -> None:
    own_shop.ready("data").source.fail_next("dbo.Orders", number, "Rerun the query.")
    process = own_shop.workplace.with_settings(RETRY_SECONDS="60").start("data")
    try:
        assert process.stdout is not None
        told = next(line for line in process.stdout if "🔁" in line)
    finally:
        process.kill()
        process.communicate()
    found = re.search(r"attempt 2 of 5 in ([\d.]+) s", told)
    assert found, told
    assert least <= float(found[1]) <= most
