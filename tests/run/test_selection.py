"""Which tables a run is about: once, for every mode of both scripts."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from model.errors import UsageError
from model.settings import Driver, Secrets, Settings, Source, Target
from run.options import Options
from run.selection import Selection, find_table, select
from tests.harness import Finished
from tests.samples import SHOP_ROWS, Shop, query, table

SETTINGS = Settings(Source("", Driver("", ""), ""), Target({}), Secrets())
TABLES = (
    table("Customers"), table("Orders"), table("OrderLog"), table("Products"),
    table("Orders", schema="Sales"), table("a.b", schema="Sales"),
)  # fmt: skip


def keys(selection: Selection) -> tuple[list[str], list[str]]:
    """The names of all that the globs leave, and of those that the run is about."""
    return [one.key for one in selection.tables], [one.key for one in selection.affected]


def test_without_flags_a_run_is_about_everything() -> None:
    everything = [one.key for one in TABLES]
    assert keys(select(TABLES, Options(), SETTINGS)) == (everything, everything)


@pytest.mark.parametrize(
    ("tables", "exclude", "wanted"),
    [
        (("orders",), (), ["Orders", "Sales.Orders"]),
        (("Sales.*",), (), ["Sales.Orders", "Sales.[a.b]"]),
        (("dbo.O*",), ("*log",), ["Orders"]),
        ((), ("sales.*", "*LOG"), ["Customers", "Orders", "Products"]),
        (("*.b",), (), ["Sales.[a.b]"]),
    ],
)
def test_globs_without_case(tables: tuple[str, ...], exclude: tuple[str, ...], wanted: list[str]) -> None:
    assert keys(select(TABLES, Options(tables=tables, exclude=exclude), SETTINGS))[0] == wanted


@pytest.mark.parametrize(
    ("setting", "flags", "wanted", "said"),
    [
        ({"tables": ("orders",)}, Options(), ["Orders", "Sales.Orders"], "TABLES in the settings: 2 of 6 tables"),
        ({"tables": ("orders",)}, Options(tables=("Customers",)), ["Customers"], ""),
        ({"tables": ("sales.*",)}, Options(exclude=("orders",)), ["Sales.[a.b]"], "TABLES in the settings: 2 of 6"),
        ({"exclude": ("sales.*", "*LOG")}, Options(), ["Customers", "Orders", "Products"],
         "Left out by EXCLUDE in the settings: OrderLog, Sales.Orders and Sales.[a.b]"),
        ({"exclude": ("sales.*",)}, Options(exclude=("*LOG", "orders")), ["Customers", "Products"], "Left out by"),
        ({"exclude": ("Customers",)}, Options(tables=("Customers",)), [], "EXCLUDE in the settings: Customers"),
        ({"exclude": ("*_tmp",)}, Options(tables=("Customers",)), ["Customers"], "*_tmp matches no table"),
    ],
)  # fmt: skip
def test_settings_choose_tables_before_the_flags_do(
    setting: dict[str, Any], flags: Options, wanted: list[str], said: str
) -> None:
    chosen = select(TABLES, flags, replace(SETTINGS, **setting))
    assert keys(chosen)[0] == wanted
    assert said in "\n".join(chosen.remarks)
    assert bool(chosen.remarks) == bool(said)


@pytest.mark.parametrize("setting", ["tables", "exclude"])
def test_a_name_in_the_settings_that_is_no_table_is_refused_with_near_ones(setting: str) -> None:
    both: dict[str, Any] = {setting: ("Customers", "Ordrs")}
    with pytest.raises(UsageError, match=rf"{setting.upper()} in the settings: Ordrs: no table matches\. Near: "):
        select(TABLES, Options(), replace(SETTINGS, **both))


def test_a_start_leaves_the_tables_before_it_alone_and_their_numbers_as_they_are() -> None:
    chosen, affected = keys(select(TABLES, Options(exclude=("Customers",), start_from_table="products"), SETTINGS))
    assert chosen == ["Orders", "OrderLog", "Products", "Sales.Orders", "Sales.[a.b]"]
    assert affected == ["Products", "Sales.Orders", "Sales.[a.b]"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (Options(tables=("Ordrs",)), "--tables Ordrs: no table matches. Near: "),
        (Options(exclude=("Nothing",)), "--exclude Nothing: no table matches"),
        (Options(start_from_table="Orders"), "several tables have that name: dbo.Orders, Sales.Orders"),
        (Options(start_from_table="Prodcts"), "there is no such table. Near: dbo.Products"),
        (Options(tables=("Customers",), start_from_table="Products"), "left out by --tables Customers, so nothing"),
        (Options(exclude=("X*", "Prod*"), start_from_table="Products"), "--exclude X*: no table matches"),
        (Options(exclude=("Cust*", "Prod*"), start_from_table="Products"), "left out by --exclude Prod*, so nothing"),
    ],
)
def test_a_slip_is_refused_with_what_was_meant(options: Options, words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        select(TABLES, options, SETTINGS)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"tables": ("Customers",)}, "left out by TABLES in the settings: Customers, so nothing"),
        ({"exclude": ("Prod*",)}, "left out by EXCLUDE in the settings: Prod*, so nothing"),
    ],
)
def test_a_start_that_the_settings_leave_out_names_them(setting: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=re.escape(words)):
        select(TABLES, Options(start_from_table="Products"), replace(SETTINGS, **setting))


@pytest.mark.parametrize("name", ["sales.a.b", "[Sales].[a.b]", "a.b", "[a.b]"])
def test_a_table_with_a_dot_in_its_name_is_found_by_any_spelling(name: str) -> None:
    assert find_table(TABLES, name).key == "Sales.[a.b]"


# -- every mode of both scripts ----------------------------------------------------------------------

START = ("--start-from-table", "Products")
LEFT = ("Products", "Sales.Orders")


def test_the_ddl_that_is_printed_begins_there_too(shop: Shop) -> None:
    printed = shop.workplace.run("schema", "--dry-run", *START)
    assert printed.code == 0, printed.text
    assert "CREATE TABLE public.products" in printed.out.replace('"', "")
    assert "CREATE TABLE public.orders" not in printed.out.replace('"', "")


def test_a_check_a_comparison_and_a_load_begin_there(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    assert "2 tables" in shop.workplace.run("schema", "--check", *START).out
    compared = shop.workplace.run("data", "--verify", *START)
    assert "Total tables:  2" in compared.out
    loaded = shop.workplace.run("data", *START)
    assert sorted(line for line in loaded.out.splitlines() if "Processing" in line) == [
        "[3/4] Processing: Products", "[4/4] Processing: Sales.Orders",
    ]  # fmt: skip


def test_rejected_rows_are_tried_again_from_there_on(shop: Shop) -> None:
    shop.ready("data")
    for name in ("customers", "products"):
        query(shop.target, shop.database, f"ALTER TABLE {name} ADD CONSTRAINT few CHECK (id < 5)")
    rejected = shop.workplace.run("data", "--on-error", "reject")
    assert rejected.code == 1, rejected.text
    for name in ("customers", "products"):
        query(shop.target, shop.database, f"ALTER TABLE {name} DROP CONSTRAINT few")
    some: Finished = shop.workplace.run("data", "--retry-rejects", *START)
    assert some.code == 0, some.text
    rows = {name: shop.query(f"SELECT count(*) FROM {name}")[0][0] for name in ("customers", "products")}
    assert rows["products"] == len(SHOP_ROWS["dbo.Products"])
    assert rows["customers"] < len(SHOP_ROWS["dbo.Customers"])


@pytest.mark.parametrize(
    ("script", "arguments", "words"),
    [
        ("data", ("--retry-rejects", "--consistent"), "--retry-rejects loads rejected rows only"),
        (
            "data",
            ("--retry-rejects", "--resume", "--no-truncate"),
            "it cannot be combined with --resume and --no-truncate",
        ),
        ("data", ("--verify", "--no-consistent"), "so it cannot be combined with --consistent"),
        ("data", ("--verify=counts", "--on-error", "reject"), "so it cannot be combined with --on-error"),
        (
            "data",
            ("--reset", "--tables", "Orders"),
            "--reset moves the progress file aside and ends, so it cannot be combined with --tables",
        ),
        (
            "schema",
            ("--dry-run", "--resume"),
            "--dry-run prints the DDL and touches nothing, so it cannot be combined with --resume",
        ),
        (
            "schema",
            ("--dry-run", "--recreate"),
            "--dry-run prints the DDL and touches nothing, so it cannot be combined with --recreate",
        ),
        ("schema", ("--check", "--reset"), "--check touches nothing, so it cannot be combined with --reset"),
        (
            "schema",
            ("--check-data", "--apply-drift"),
            "--check-data touches nothing, so it cannot be combined with --apply-drift",
        ),
        (
            "schema",
            ("--recreate", "--apply-drift"),
            "--recreate drops and creates tables that differ, so it cannot be combined with --apply-drift",
        ),
        (
            "schema",
            ("--reset", "--recreate"),
            "--reset moves the progress file aside and ends, so it cannot be combined with --recreate",
        ),
    ],
)
def test_flags_that_mean_nothing_together_are_refused_before_anything_is_read(
    shop: Shop, script: str, arguments: tuple[str, ...], words: str
) -> None:
    refused = shop.workplace.run(script, *arguments)
    assert refused.code == 2
    assert words in " ".join(refused.err.split())
    assert refused.out == ""
