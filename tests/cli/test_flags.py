"""What each flag of the two scripts means, as a person at a shell sees it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from model.catalog import Database
from standin.server import StandIn
from tests.harness import Workplace
from tests.samples import (
    EARLIER,
    SHOP_COUNTS,
    SHOP_KEYS,
    Shop,
    both_scripts,
    counts,
    entries,
    processed,
    statuses,
    write_progress,
)

ALL_TARGETS = sorted(SHOP_COUNTS)
NOTHING_LEFT = "Nothing left to do"


# -- plain ---------------------------------------------------------------------------------------


def test_a_plain_run_of_both_scripts_copies_all_tables_in_order(shop: Shop) -> None:
    made = shop.workplace.run("schema")
    assert made.code == 0, made.text
    assert shop.tables == ALL_TARGETS
    copied = shop.workplace.run("data")
    assert copied.code == 0, copied.text
    for finished, script in ((made, "schema"), (copied, "data")):
        assert processed(finished.out) == SHOP_KEYS
        assert statuses(shop.progress(script), script) == dict.fromkeys(SHOP_KEYS, "completed")
        assert finished.err == ""
        assert "--resume" not in finished.text
    shop.assert_equal()


@both_scripts
def test_a_plain_run_after_an_unfinished_session_says_so_and_starts_over(shop: Shop, script: str) -> None:
    shop.ready(script)
    write_progress(shop.progress(script), script, Customers="completed", Orders="failed", Products="pending")
    finished = shop.workplace.run(script)
    assert finished.code == 0, finished.text
    assert re.search(r"last session did not finish.*--resume would have continued it", finished.out)
    assert processed(finished.out) == SHOP_KEYS
    assert shop.done(script) == ALL_TARGETS
    assert EARLIER not in shop.progress(script).read_text(encoding="utf-8")


def test_a_plain_run_after_a_finished_session_starts_over_without_a_warning(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.progress("data"), "data", **dict.fromkeys(("Customers", "Orders", "Products"), "completed"))
    finished = shop.workplace.run("data")
    assert finished.code == 0, finished.text
    assert "did not finish" not in finished.text
    assert processed(finished.out) == SHOP_KEYS


# -- --resume ------------------------------------------------------------------------------------


@both_scripts
def test_resume_skips_completed_tables_and_does_all_others_in_order(shop: Shop, script: str) -> None:
    shop.ready(script)
    write_progress(
        shop.progress(script), script, Products="in_progress", Customers="completed", Sales_Orders="failed"
    )  # and Orders has no entry
    finished = shop.workplace.run(script, "--resume")
    assert finished.code == 0, finished.text
    assert processed(finished.out) == ["Orders", "Products", "Sales.Orders"]
    assert shop.done(script) == ["public.orders", "public.products", "sales.orders"]
    after = entries(shop.progress(script), script)
    assert statuses(shop.progress(script), script) == dict.fromkeys(
        ["Products", "Customers", "Sales.Orders", "Orders"], "completed"
    )
    assert after["Customers"]["started_at"] == EARLIER
    assert after["Sales.Orders"]["error"] is None
    assert "failed_at" not in after["Sales.Orders"]


def test_resume_keeps_the_start_of_the_session(shop: Shop) -> None:
    shop.ready("schema")
    write_progress(shop.progress("schema"), "schema", Customers="completed")
    assert shop.workplace.run("schema", "--resume").code == 0
    text = shop.progress("schema").read_text(encoding="utf-8")
    assert f'"session_start": "{EARLIER}"' in text
    assert f'"last_updated": "{EARLIER}"' not in text


def test_resume_shows_what_the_last_session_left(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="completed", Orders="failed", Products="in_progress")
    before_work = shop.workplace.run("data", "--resume").out.partition("Processing:")[0]
    assert "✅ Completed:     1" in before_work
    assert "❌ Failed:        1" in before_work
    assert "⏳ In Progress:   1" in before_work
    assert "📋 Remaining:     1" in before_work
    assert "📈 Progress:      1/4 (25%)" in before_work


@pytest.mark.parametrize("status", ["in_progress", "failed"])
def test_resume_truncates_a_partial_table_and_loads_it_whole(shop: Shop, status: str) -> None:
    shop.ready("data")
    shop.query("INSERT INTO orders VALUES (1, 1.50), (2, 0), (999, 0)")
    write_progress(shop.workplace.data_progress, "data", Customers="pending", Orders=status)
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 0, finished.text
    shop.assert_equal()


def test_resume_leaves_the_target_of_completed_tables_alone(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE customers; CREATE TABLE customers (other text); INSERT INTO customers VALUES ('mine')")
    write_progress(shop.progress("schema"), "schema", Customers="completed")
    finished = shop.workplace.run("schema", "--resume")
    assert finished.code == 0, finished.text
    assert shop.query("SELECT * FROM customers") == [("mine",)]


@both_scripts
def test_resume_with_nothing_left_says_so_and_changes_nothing(shop: Shop, script: str) -> None:
    shop.ready(script)
    write_progress(
        shop.progress(script), script, Customers="completed", Orders="skipped", Products="completed",
        Sales_Orders="completed",
    )  # fmt: skip
    before = entries(shop.progress(script), script)
    finished = shop.workplace.run(script, "--resume")
    assert finished.code == 0, finished.text
    assert NOTHING_LEFT in finished.out
    assert processed(finished.out) == []
    assert entries(shop.progress(script), script) == before
    assert shop.done(script) == []


def test_resume_without_a_progress_file_is_a_plain_run_and_says_so(shop: Shop) -> None:
    shop.ready("data")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 0, finished.text
    assert f"no progress file {shop.workplace.data_progress.name}" in finished.out
    assert processed(finished.out) == SHOP_KEYS
    assert shop.done("data") == ALL_TARGETS


# -- --no-truncate -------------------------------------------------------------------------------


def warned_tables(text: str) -> list[str]:
    """The tables that a run's WARNING lines about rows that were kept name."""
    return re.findall(r"WARNING: (\S+) is not truncated", text)


def test_resume_no_truncate_keeps_the_rows_warns_and_names_the_table(shop: Shop) -> None:
    shop.ready("data")
    shop.query("INSERT INTO orders VALUES (999, 0)")
    shop.query("INSERT INTO products VALUES (999, 'never started: empty after a load from scratch')")
    write_progress(shop.workplace.data_progress, "data", Customers="completed", Orders="in_progress")
    finished = shop.workplace.run("data", "--resume", "--no-truncate")
    assert finished.code == 0, finished.text
    assert warned_tables(finished.text) == ["dbo.Orders"]
    assert "partial or doubled" in finished.text
    wanted = shop.source.execute("SELECT * FROM dbo.Orders ORDER BY 1")
    assert shop.rows("orders") == [*wanted, (999, 0)]
    assert counts(shop.target, shop.database, "products", "sales.orders") == {"products": 5, "sales.orders": 9}


def test_resume_no_truncate_of_an_empty_partial_table_has_nothing_to_warn_about(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="in_progress")
    finished = shop.workplace.run("data", "--resume", "--no-truncate")
    assert finished.code == 0, finished.text
    assert "WARNING" not in finished.text
    shop.assert_equal()


def test_resume_no_truncate_never_doubles_rows_that_a_primary_key_guards(shop: Shop) -> None:
    shop.ready("data")
    shop.query("INSERT INTO orders VALUES (1, 1.50), (2, 2.50)")
    write_progress(shop.workplace.data_progress, "data", Customers="completed", Orders="in_progress")
    finished = shop.workplace.run("data", "--resume", "--no-truncate")
    assert finished.code == 1
    assert warned_tables(finished.text) == ["dbo.Orders"]
    failed = entries(shop.workplace.data_progress)["Orders"]
    assert failed["status"] == "failed"
    assert "duplicate key" in failed["error"]
    assert "(id)=(1)" in failed["error"]
    assert len(shop.rows("orders")) == 2


def test_plain_no_truncate_warns_about_every_table_that_holds_rows(shop: Shop) -> None:
    shop.ready("data")
    shop.query("INSERT INTO customers VALUES (-1, 'old'); INSERT INTO sales.orders VALUES (-1, 'old')")
    finished = shop.workplace.run("data", "--no-truncate")
    assert finished.code == 0, finished.text
    assert sorted(warned_tables(finished.text)) == ["Sales.Orders", "dbo.Customers"]
    assert counts(shop.target, shop.database, *ALL_TARGETS) == {
        **SHOP_COUNTS,
        "public.customers": 13,
        "sales.orders": 10,
    }


# -- --start-from-table --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "name"),
    [("schema", "Products"), ("data", "PRODUCTS"), ("schema", "dbo.products"), ("data", "[dbo].[Products]")],
)
def test_start_from_table_does_that_table_and_all_after_it(shop: Shop, script: str, name: str) -> None:
    shop.ready(script)
    finished = shop.workplace.run(script, "--start-from-table", name)
    assert finished.code == 0, finished.text
    assert processed(finished.out) == ["Products", "Sales.Orders"]
    assert "[3/4] Processing: Products" in finished.out
    assert shop.done(script) == ["public.products", "sales.orders"]


@both_scripts
def test_start_from_table_keeps_the_entries_of_tables_before_it_and_does_completed_ones_again(
    shop: Shop, script: str
) -> None:
    shop.ready(script)
    write_progress(
        shop.progress(script), script, Customers="failed", Orders="in_progress", Products="completed",
        Sales_Orders="completed",
    )  # fmt: skip
    before = entries(shop.progress(script), script)
    finished = shop.workplace.run(script, "--start-from-table", "Products")
    assert finished.code == 0, finished.text
    after = entries(shop.progress(script), script)
    assert processed(finished.out) == ["Products", "Sales.Orders"]
    assert (after["Customers"], after["Orders"]) == (before["Customers"], before["Orders"])
    assert after["Products"]["started_at"] > EARLIER
    assert after["Sales.Orders"]["started_at"] > EARLIER


def test_resume_start_from_table_skips_completed_tables_after_it(shop: Shop) -> None:
    shop.ready("data")
    write_progress(
        shop.progress("data"), "data", Customers="failed", Orders="completed", Products="failed",
        Sales_Orders="completed",
    )  # fmt: skip
    before = entries(shop.progress("data"), "data")
    finished = shop.workplace.run("data", "--resume", "--start-from-table", "dbo.Orders")
    assert finished.code == 0, finished.text
    assert processed(finished.out) == ["Products"]
    after = entries(shop.progress("data"), "data")
    assert {key: after[key] for key in before if key != "Products"} == {
        key: before[key] for key in before if key != "Products"
    }
    assert after["Products"]["status"] == "completed"


def test_an_unknown_start_table_is_refused_with_near_matches(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.progress("data"), "data", Customers="failed")
    before = shop.progress("data").read_bytes()
    finished = shop.workplace.run("data", "--start-from-table", "Prodcuts")
    assert finished.code == 2
    assert "no such table" in finished.err
    assert "dbo.Products" in finished.err
    assert "Traceback" not in finished.text
    assert shop.done("data") == []
    assert shop.progress("data").read_bytes() == before


def test_a_start_table_that_two_schemas_have_is_refused_with_the_candidates(shop: Shop) -> None:
    shop.ready("schema")
    finished = shop.workplace.run("schema", "--start-from-table", "orders")
    assert finished.code == 2
    assert "dbo.Orders, Sales.Orders" in finished.err
    assert shop.done("schema") == []
    assert not shop.progress("schema").exists()


# -- --reset -------------------------------------------------------------------------------------


def moved_files(folder: Path, name: str) -> list[Path]:
    """The progress files that `--reset` renamed."""
    return [file for file in folder.iterdir() if re.fullmatch(rf"{name}\.\d{{8}}-\d{{6}}(-\d+)?\.json", file.name)]


@both_scripts
def test_reset_renames_the_progress_file_with_a_timestamp(shop: Shop, script: str) -> None:
    write_progress(shop.progress(script), script, Customers="failed")
    before = shop.progress(script).read_bytes()
    finished = shop.workplace.run(script, "--reset")
    assert finished.code == 0, finished.text
    assert not shop.progress(script).exists()
    (moved,) = moved_files(shop.workplace.folder, shop.progress(script).stem)
    assert moved.read_bytes() == before
    assert moved.name in finished.out
    assert shop.done(script) == []


@pytest.mark.parametrize(("script", "content"), [("data", b""), ("schema", b'{"tables": {'), ("data", b"\xff\xfe\x00")])
def test_reset_works_on_a_corrupt_file_and_without_any_settings(shop: Shop, script: str, content: bytes) -> None:
    shop.progress(script).write_bytes(content)
    bare = shop.workplace.with_settings(**dict.fromkeys(shop.workplace.environment, ""))
    finished = bare.run(script, "--reset")
    assert finished.code == 0, finished.text
    (moved,) = moved_files(shop.workplace.folder, shop.progress(script).stem)
    assert moved.read_bytes() == content


def test_two_resets_in_a_row_keep_both_files(shop: Shop) -> None:
    for content in ("first", "second"):
        shop.workplace.data_progress.write_text(content, encoding="utf-8")
        assert shop.workplace.run("data", "--reset").code == 0
    kept = {file.read_text(encoding="utf-8") for file in moved_files(shop.workplace.folder, "data_sync_progress")}
    assert kept == {"first", "second"}


def test_reset_without_a_progress_file_says_so(shop: Shop) -> None:
    finished = shop.workplace.run("schema", "--reset")
    assert finished.code == 0, finished.text
    assert "no progress file" in finished.out


# -- --tables and --exclude ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "arguments", "wanted"),
    [
        ("data", ["--tables", "products"], ["Products"]),
        ("schema", ["--tables", "Orders"], ["Orders", "Sales.Orders"]),
        ("data", ["--tables", "Sales.*", "--tables", "C*"], ["Customers", "Sales.Orders"]),
        ("schema", ["--tables", "sales.*, Products"], ["Products", "Sales.Orders"]),
        ("data", ["--exclude", "*ers"], ["Products"]),
        ("schema", ["--exclude", "dbo.Orders", "--exclude", "Products"], ["Customers", "Sales.Orders"]),
        ("data", ["--tables", "*Orders", "--exclude", "dbo.*"], ["Sales.Orders"]),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_globs_choose_the_tables(shop: Shop, script: str, arguments: list[str], wanted: list[str]) -> None:
    shop.ready(script)
    finished = shop.workplace.run(script, *arguments)
    assert finished.code == 0, finished.text
    assert processed(finished.out) == wanted
    assert f"[1/{len(wanted)}]" in finished.out
    assert len(shop.done(script)) == len(wanted)


@pytest.mark.parametrize(("script", "option"), [("schema", "--exclude"), ("data", "--tables")])
def test_a_glob_that_matches_nothing_is_refused_with_near_matches(shop: Shop, script: str, option: str) -> None:
    shop.ready(script)
    finished = shop.workplace.run(script, option, "Products", option, "Custmers")
    assert finished.code == 2
    assert f"{option} Custmers" in finished.err
    assert "dbo.Customers" in finished.err
    assert shop.done(script) == []


def test_a_run_over_some_tables_keeps_the_entries_of_all_others(shop: Shop) -> None:
    shop.ready("data")
    write_progress(shop.workplace.data_progress, "data", Customers="failed", Orders="completed", Products="completed")
    before = entries(shop.workplace.data_progress)
    finished = shop.workplace.run("data", "--tables", "Products")
    assert finished.code == 0, finished.text
    after = entries(shop.workplace.data_progress)
    assert (after["Customers"], after["Orders"]) == (before["Customers"], before["Orders"])
    assert after["Products"]["started_at"] > EARLIER


# -- files and help ------------------------------------------------------------------------------


@both_scripts
def test_help_shows_every_flag_with_examples_and_exit_codes(shop: Shop, script: str) -> None:
    finished = shop.workplace.run(script, "--help")
    assert finished.code == 0
    flags = "--resume --start-from-table --reset --tables --exclude --no-truncate --env-file --progress-file --debug"
    assert all(flag in finished.out for flag in flags.split())
    name = {"schema": "replicate-schema.py", "data": "sync-data.py"}[script]
    assert finished.out.count(f"python {name}") >= 4
    assert re.search(r"exit codes:.*130/143", finished.out, re.DOTALL)


@pytest.mark.parametrize(("script", "argument"), [("data", "--resum"), ("schema", "--unknown"), ("data", "Orders")])
def test_an_unknown_argument_is_refused(shop: Shop, script: str, argument: str) -> None:
    finished = shop.workplace.run(script, argument)
    assert finished.code == 2
    assert argument in finished.err
    assert "--help says more" in finished.err


def test_settings_come_from_an_env_file_and_the_environment_wins(shop: Shop, tmp_path: Path) -> None:
    shop.ready("data")
    settings = {**shop.workplace.environment, "MSSQL_PORT": "1", "PGDATABASE": "nowhere"}
    file = tmp_path / "elsewhere.env"
    file.write_text("".join(f"{name}='{value}'\n" for name, value in settings.items()), encoding="utf-8")
    kept = {"MSSQL_PORT", "PGDATABASE"}
    bare = shop.workplace.with_settings(**{name: "" for name in shop.workplace.environment if name not in kept})
    finished = bare.run("data", "--env-file", str(file))
    assert finished.code == 0, finished.text
    assert shop.done("data") == ALL_TARGETS


def test_a_dot_env_file_in_the_current_folder_is_read(shop: Shop) -> None:
    lines = (f"{name}='{value}'\n" for name, value in shop.workplace.environment.items())
    (shop.workplace.folder / ".env").write_text("".join(lines), encoding="utf-8")
    finished = shop.workplace.with_settings(**dict.fromkeys(shop.workplace.environment, "")).run("schema")
    assert finished.code == 0, finished.text
    assert shop.tables == ALL_TARGETS


def test_a_missing_env_file_is_refused_by_name(shop: Shop) -> None:
    finished = shop.workplace.run("data", "--env-file", "no-such.env")
    assert finished.code == 2
    assert "no-such.env" in finished.err
    assert shop.done("data") == []


@both_scripts
def test_a_progress_file_elsewhere_is_written_and_resumed(shop: Shop, script: str, tmp_path: Path) -> None:
    shop.ready(script)
    (tmp_path / "kept").mkdir()
    file = tmp_path / "kept" / "mine.json"
    write_progress(file, script, Customers="completed")
    finished = shop.workplace.run(script, "--resume", "--progress-file", str(file))
    assert finished.code == 0, finished.text
    assert processed(finished.out) == SHOP_KEYS[1:]
    assert sorted(statuses(file, script)) == SHOP_KEYS
    assert not shop.progress(script).exists()
    assert str(file) in finished.out


@both_scripts
def test_a_source_that_shows_no_table_is_told_and_is_not_called_completed(
    serve: Callable[..., StandIn],
    make_workplace: Callable[[StandIn, Database], Workplace],
    script: str,
) -> None:
    empty = Database("shop", ())
    finished = make_workplace(serve(empty, {}), empty).run(script)
    assert "every table is completed" not in finished.text
    assert "no table" in finished.text.lower()
