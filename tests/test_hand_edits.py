"""What people do to the entries of the progress file, and what the source does to its tables meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from standin.server import StandIn
from tests.harness import Workplace
from tests.samples import (
    SHOP_KEYS,
    Shop,
    both_scripts,
    entries,
    processed,
    set_status,
    statuses,
    write_progress,
)

#: what a stand-in's catalog forgets with a table
CATALOG = ("sys.tables", "sys.objects", "sys.all_objects")


def document(file: Path) -> dict[str, Any]:
    """A progress file's content."""
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def rename(file: Path, key: str, to: str) -> None:
    """Change a table's name in the file, as an editor does."""
    text = file.read_text(encoding="utf-8")
    assert text.count(f'"{key}": {{') == 1
    file.write_text(text.replace(f'"{key}": {{', f'"{to}": {{'), encoding="utf-8")


def drop_at_the_source(source: StandIn, name: str) -> None:
    """The catalog shows no table of that name any more."""
    source.execute("DELETE FROM sys.tables WHERE name = ?", [name])


def last_result(workplace: Workplace) -> dict[str, Any]:
    """What `runs.jsonl` says of the last run."""
    line = (workplace.folder / "runs.jsonl").read_text(encoding="utf-8").splitlines()[-1]
    found: dict[str, Any] = json.loads(line)
    return found


# -- names ---------------------------------------------------------------------------------------


@both_scripts
@pytest.mark.parametrize("spelled", ["products", "dbo.Products", "[DBO].[products]"])
@pytest.mark.parametrize("arguments", [[], ["--resume"]])
def test_a_name_that_is_equal_but_for_case_or_schema_is_understood_and_said(
    shop: Shop, script: str, spelled: str, arguments: list[str]
) -> None:
    shop.ready(script)
    write_progress(shop.progress(script), script, Products="skipped", Customers="completed")
    rename(shop.progress(script), "Products", spelled)
    finished = shop.workplace.run(script, *arguments)
    assert finished.code == 0, finished.text
    assert f"{spelled} in {shop.progress(script).name} is taken for Products" in finished.out
    assert "Products" not in processed(finished.out)
    assert statuses(shop.progress(script), script)["Products"] == "skipped"
    assert spelled not in entries(shop.progress(script), script)


@both_scripts
@pytest.mark.parametrize("arguments", [[], ["--resume"], ["--tables", "Customers"]])
def test_a_name_that_is_no_table_is_refused_before_anything_is_touched(
    shop: Shop, script: str, arguments: list[str]
) -> None:
    shop.ready(script)
    assert shop.workplace.run(script).code == 0
    set_status(shop.progress(script), "Products", "skipped", script)
    rename(shop.progress(script), "Products", "Prodcuts")
    before = shop.progress(script).read_text(encoding="utf-8")
    finished = shop.workplace.run(script, *arguments)
    assert finished.code == 2, finished.text
    assert '"Prodcuts" names no table of the source; the entry was written for [dbo].[Products]' in finished.err
    assert "Near: Products" in finished.err
    assert before.splitlines().index('    "Prodcuts": {') + 1 == int(
        finished.err.partition("line ")[2].partition(":")[0]
    )
    assert shop.progress(script).read_text(encoding="utf-8") == before
    assert processed(finished.out) == []


def test_two_entries_that_mean_one_table_are_refused(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Products="completed", products="skipped")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 2
    assert '"Products" and line 1' in finished.err
    assert '"products" mean the same table, Products' in finished.err
    assert shop.done("data") == []


# -- skipped -------------------------------------------------------------------------------------


@both_scripts
def test_what_is_skipped_by_hand_stays_so_through_new_sessions_until_it_is_taken_back(shop: Shop, script: str) -> None:
    shop.ready(script)
    write_progress(shop.progress(script), script, Products="Skip", Customers="completed")
    for arguments in ([], [], ["--resume"], ["--start-from-table", "Products"], ["--tables", "Pro*,Customers"]):
        finished = shop.workplace.run(script, *arguments)
        assert finished.code == 0, finished.text
        assert "Products" not in processed(finished.out)
        assert "⏭️ Left out, since " in finished.out
        assert ' has it as "skipped": Products. To have a table done again' in finished.out
        assert last_result(shop.workplace)["skipped"] == ["Products"]
        assert statuses(shop.progress(script), script)["Products"] == "skipped"
    set_status(shop.progress(script), "Products", "pending", script)
    finished = shop.workplace.run(script)
    assert processed(finished.out) == SHOP_KEYS
    assert "Left out" not in finished.out
    assert last_result(shop.workplace)["skipped"] == []


def test_a_skipped_table_whose_entry_is_removed_is_done_again(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Products="skipped")
    assert "Products" not in processed(shop.workplace.run("data").out)
    left = document(shop.workplace.data_progress)
    del left["tables"]["Products"]
    shop.workplace.data_progress.write_text(json.dumps(left), encoding="utf-8")
    assert processed(shop.workplace.run("data").out) == SHOP_KEYS


def test_a_reset_says_what_is_no_longer_left_out(shop: Shop) -> None:
    write_progress(shop.workplace.data_progress, "data", Products="skipped", Sales_Orders="skipped")
    finished = shop.workplace.run("data", "--reset")
    assert finished.code == 0
    assert 'It had Products and Sales.Orders set to "skipped"' in finished.out


# -- left out by the settings ---------------------------------------------------------------------


@both_scripts
def test_settings_leave_tables_out_as_the_flags_do_and_say_so(shop: Shop, script: str) -> None:
    shop.ready(script)
    workplace = shop.workplace.with_settings(EXCLUDE="orders, *_tmp")
    finished = workplace.run(script)
    assert finished.code == 0, finished.text
    assert processed(finished.out) == ["Customers", "Products"]
    assert "⏭️ Left out by EXCLUDE in the settings: Orders and Sales.Orders" in finished.out
    assert "EXCLUDE in the settings: *_tmp matches no table" in finished.out
    assert list(entries(shop.progress(script), script)) == ["Customers", "Products"]
    finished = workplace.with_settings(TABLES="Customers,Sales.*").run(script)
    assert processed(finished.out) == ["Customers"]
    assert "did not finish" not in finished.out
    finished = workplace.with_settings(TABLES="Customers").run(script, "--tables", "Products,Orders")
    assert processed(finished.out) == ["Products"]


@both_scripts
@pytest.mark.parametrize("setting", ["TABLES", "EXCLUDE"])
def test_a_slip_in_these_settings_is_refused(shop: Shop, script: str, setting: str) -> None:
    finished = shop.workplace.with_settings(**{setting: "Customers,Prodcuts"}).run(script)
    assert finished.code == 2
    assert f"{setting} in the settings: Prodcuts: no table matches. Near: dbo.Products" in finished.err
    assert not shop.progress(script).exists()


def test_what_a_setting_leaves_out_since_then_is_not_left_to_do(shop: Shop) -> None:
    shop.ready("data")
    write_progress(
        shop.workplace.data_progress, "data",
        Customers="completed", Orders="failed", Products="completed", Sales_Orders="completed",
    )  # fmt: skip
    workplace = shop.workplace.with_settings(EXCLUDE="dbo.Orders")
    resumed = workplace.run("data", "--resume")
    assert (resumed.code, processed(resumed.out)) == (0, []), resumed.text
    assert "did not finish" not in workplace.run("data").out


# -- gone ----------------------------------------------------------------------------------------


@both_scripts
def test_a_table_dropped_at_the_source_stays_told_until_a_person_decides(own_shop: Shop, script: str) -> None:
    own_shop.ready(script)
    file = own_shop.progress(script)
    assert own_shop.workplace.run(script).code == 0
    drop_at_the_source(own_shop.source, "Products")
    since = ""
    for arguments in ([], ["--resume"], ["--tables", "Customers"], []):
        finished = own_shop.workplace.run(script, *arguments)
        assert finished.code == 0, finished.text
        part = entries(file, script)["Products"]
        assert (part["status"], part["was"]) == ("gone", "completed")
        since = since or part["gone_since"]
        assert part["gone_since"] == since
        told = (
            f"The source no longer has, or no longer shows to this login: Products (since {since.replace('T', ' ')})."
        )
        assert finished.out.count(told) == 1
        assert last_result(own_shop.workplace)["gone"] == {"Products": since}
    set_status(file, "Products", "skipped", script)
    finished = own_shop.workplace.run(script)
    assert (finished.code, "no longer has" in finished.out) == (0, False)
    assert statuses(file, script)["Products"] == "skipped"


def test_a_gone_table_whose_entry_is_removed_is_forgotten(own_shop: Shop) -> None:
    own_shop.ready("data")
    assert own_shop.workplace.run("data").code == 0
    drop_at_the_source(own_shop.source, "Products")
    assert "no longer has" in own_shop.workplace.run("data").out
    left = document(own_shop.workplace.data_progress)
    del left["tables"]["Products"]
    own_shop.workplace.data_progress.write_text(json.dumps(left, indent=2), encoding="utf-8")
    finished = own_shop.workplace.run("data")
    assert (finished.code, "no longer has" in finished.out) == (0, False)
    assert "Products" not in entries(own_shop.workplace.data_progress)


def test_a_session_whose_last_table_is_gone_can_be_finished(own_shop: Shop) -> None:
    own_shop.ready("data")
    assert own_shop.workplace.run("data").code == 0
    set_status(own_shop.workplace.data_progress, "Products", "pending")
    drop_at_the_source(own_shop.source, "Products")
    resumed = own_shop.workplace.run("data", "--resume")
    assert (resumed.code, processed(resumed.out)) == (0, []), resumed.text
    assert "Nothing left to do" in resumed.out
    assert "no longer has" in resumed.out
    assert "did not finish" not in own_shop.workplace.run("data").out


def test_a_table_that_is_gone_in_the_midst_of_its_load_costs_the_exit_code(own_shop: Shop) -> None:
    own_shop.ready("data")
    assert own_shop.workplace.run("data").code == 0
    set_status(own_shop.workplace.data_progress, "Products", "in_progress")
    drop_at_the_source(own_shop.source, "Products")
    for arguments in (["--resume"], []):
        finished = own_shop.workplace.run("data", *arguments)
        assert finished.code == 1, finished.text
        assert "❌ the last load of Products did not finish" in finished.out
        assert "the last load of Products did not finish" in last_result(own_shop.workplace)["ended_because"]
    set_status(own_shop.workplace.data_progress, "Products", "skipped")
    assert own_shop.workplace.run("data", "--resume").code == 0


def test_a_table_that_comes_back_is_loaded_again(own_shop: Shop) -> None:
    own_shop.ready("data")
    assert own_shop.workplace.run("data").code == 0
    own_shop.source.execute("CREATE TABLE kept AS SELECT * FROM sys.tables WHERE name = 'Products'")
    drop_at_the_source(own_shop.source, "Products")
    assert own_shop.workplace.run("data", "--resume").code == 0
    own_shop.source.execute("INSERT INTO sys.tables SELECT * FROM kept")
    own_shop.source.execute("UPDATE dbo.Products SET label = 'new'")
    finished = own_shop.workplace.run("data", "--resume")
    assert processed(finished.out) == ["Products"]
    assert "no longer has" not in finished.out
    own_shop.assert_equal()
