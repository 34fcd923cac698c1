"""What a name in a progress file means, whoever wrote it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hand_edits.entries import KnownTables, Meant, meaning
from hand_edits.names import origin, parts
from hand_edits.reading import HandEditError
from model.catalog import Table
from tests.samples import table

NOW = "2026-01-31T01:00:00"
TABLES = (table("T002_Order"), table("T003_Item"), table("Orders", "Sales"), table("a.b"), table("Order Details"))


def part(status: str, **facts: object) -> dict[str, Any]:
    """An entry."""
    return {"data": {"status": status, **facts}}


def meant(entries: Mapping[str, Any], tables: tuple[Table, ...] = TABLES, is_bare: bool = False) -> Meant:
    """What the entries mean beside these tables."""
    return meaning(entries, "data", KnownTables(tables), is_bare, NOW, lambda name: f"line of {name}: ")


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("T002_Order", "T002_Order"), ("t002_order", "T002_Order"), ("dbo.T002_Order", "T002_Order"),
        ("DBO.t002_ORDER", "T002_Order"), ("[dbo].[T002_Order]", "T002_Order"), (" T002_Order ", "T002_Order"),
        ("dbo . T002_Order", "T002_Order"), ('"dbo"."T002_Order"', "T002_Order"), ("sales.orders", "Sales.Orders"),
        ("[Sales].[Orders]", "Sales.Orders"), ("dbo.[A.B]", "[a.b]"), ("order details", "Order Details"),
    ],
)  # fmt: skip
def test_equal_but_for_case_blanks_brackets_and_the_default_schema_is_understood(written: str, key: str) -> None:
    found = meant({written: part("skipped")})
    assert found.tables == {key: part("skipped")}
    assert found.respelled == ({written: key} if written != key else {})


@pytest.mark.parametrize(
    ("written", "near"),
    [
        ("T002_Ordr", "T002_Order"),
        ("Orders", "Sales.Orders"),
        ("x.T003_Item", "T003_Item"),
        ("shop.dbo.T003_Item", "T003_Item"),
    ],
)
@pytest.mark.parametrize("is_bare", [True, False])
def test_any_other_name_is_refused_with_its_line_and_near_ones(written: str, near: str, is_bare: bool) -> None:
    with pytest.raises(HandEditError) as refused:
        meant({written: part("skipped")}, is_bare=is_bare)
    assert f'line of {written}: "{written}" names no table of the source. Near: ' in str(refused.value)
    assert near in str(refused.value).partition("Near: ")[2]
    assert str(refused.value).endswith("Correct the name, or remove the entry")


def test_two_entries_of_one_table_are_refused_by_name() -> None:
    with pytest.raises(HandEditError, match=r'"T002_Order" and line of t002_order: "t002_order" mean the same table'):
        meant({"T002_Order": part("completed"), "t002_order": part("skipped")})


def test_a_name_between_two_tables_that_differ_in_case_is_refused() -> None:
    tables = (table("Orders"), table("orders"))
    assert meant({"orders": part("skipped")}, tables).tables == {"orders": part("skipped")}
    with pytest.raises(HandEditError, match="may mean any of Orders, orders"):
        meant({"ORDERS": part("skipped")}, tables)


def test_an_entry_that_this_tool_wrote_for_a_table_is_of_one_that_is_gone() -> None:
    entry = part("completed", rows_synced=3, source="[dbo].[T009_Old]")
    found = meant({"T009_Old": entry})
    assert found.tables["T009_Old"]["data"] == {
        "status": "gone", "gone_since": NOW, "was": "completed", "rows_synced": 3, "source": "[dbo].[T009_Old]",
    }  # fmt: skip
    again = meant({name: dict(entry) for name, entry in found.tables.items()})
    assert again.tables == found.tables


def test_an_entry_that_this_tool_wrote_for_another_table_was_renamed_by_somebody() -> None:
    with pytest.raises(
        HandEditError, match=r'"T002_Ordr" names no table of the source; .* for \[dbo\]\.\[T002_Order\]'
    ):
        meant({"T002_Ordr": part("pending", source="[dbo].[T002_Order]")})


def test_in_older_files_what_was_begun_counts_as_gone_unless_it_looks_like_a_slip() -> None:
    times = {"started_at": NOW, "completed_at": NOW}
    assert meant({"Basket": part("completed", **times)}).tables["Basket"]["data"]["status"] == "gone"
    near = part("completed", **times)
    with pytest.raises(HandEditError, match="Near: T003_Item"):
        meant({"T003_Itme": near})
    both = {"T003_Itme": near, "T003_Item": part("pending")}
    assert meant(both).tables["T003_Itme"]["data"]["status"] == "gone"


def test_what_a_person_decided_about_a_table_that_is_gone_stays() -> None:
    entry = part("skipped", source="[dbo].[T009_Old]")
    assert meant({"T009_Old": entry}).tables == {"T009_Old": entry}


@pytest.mark.parametrize(
    ("was", "is_now"),
    [("completed", "pending"), ("in_progress", "in_progress"), ("failed", "failed"), (None, "pending")],
)
def test_a_table_that_is_there_again_is_to_be_done(was: str | None, is_now: str) -> None:
    found = meant({"T003_Item": part("gone", gone_since=NOW, was=was, rows_synced=3)})
    assert found.tables["T003_Item"]["data"] == {"status": is_now, "rows_synced": 3}


names = st.text(min_size=1, max_size=8) | st.text('ab.[]" ', min_size=1, max_size=6)


@given(names, names)
def test_each_key_means_its_own_table(schema: str, name: str) -> None:
    one = table(name, schema)
    assert meant({one.key: part("failed")}, (one,)).tables == {one.key: part("failed")}


@given(names, names)
def test_a_table_that_was_worked_on_is_known_for_gone_whatever_it_is_called(schema: str, name: str) -> None:
    key = table(name, schema).key
    found = meant({key: part("pending", source=origin(key))}, ())
    assert found.tables[key]["data"]["status"] == "gone"


@given(names, names, names, names)
def test_two_tables_never_have_one_origin(schema: str, name: str, other_schema: str, other_name: str) -> None:
    one, other = table(name, schema).key, table(other_name, other_schema).key
    if parts(one) != parts(other):
        assert origin(one) != origin(other)


@given(st.text() | st.text('ab.[]" '))
def test_any_name_is_understood_or_refused_in_words(name: str) -> None:
    try:
        assert set(meant({name: part("skipped")}).tables) <= {one.key for one in TABLES}
    except HandEditError as refused:
        assert "names no table of the source" in str(refused)
