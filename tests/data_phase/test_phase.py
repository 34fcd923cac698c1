"""A load that fails: told in the server's words, it costs no other table and no row, and has its exit code."""

from __future__ import annotations

from tests.harness import Finished
from tests.samples import SHOP, SHOP_KEYS, SHOP_ROWS, Serve, Shop, entries, processed


def assert_only_failed(shop: Shop, finished: Finished, key: str, *words: str) -> None:
    """That table failed with these words on screen and in the file; all others are done; the exit code is 1."""
    assert finished.code == 1, finished.text
    assert processed(finished.out) == SHOP_KEYS
    after = entries(shop.workplace.data_progress)
    assert {name: part["status"] for name, part in after.items()} == {
        name: "failed" if name == key else "completed" for name in SHOP_KEYS
    }
    for word in words:
        assert word in after[key]["error"]
    assert f"❌ {key}: {after[key]['error']}" in finished.out
    assert "⚠️ 1 table failed to sync" in finished.out
    assert "Traceback" not in finished.text


def test_a_table_that_the_login_may_not_read_fails_by_itself(serve: Serve, shop: Shop) -> None:
    shop.ready("data")
    guarded = serve(SHOP, SHOP_ROWS, denied=["dbo.Orders"])
    finished = shop.workplace.with_settings(MSSQL_PORT=str(guarded.port)).run("data")
    assert_only_failed(shop, finished, "Orders", "the login may not SELECT from it", "GRANT SELECT")
    granted = shop.workplace.run("data", "--resume")
    assert granted.code == 0, granted.text
    assert processed(granted.out) == ["Orders"]
    shop.assert_equal()


def test_an_error_before_the_first_row_fails_that_table_only(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 8115, "Arithmetic overflow error converting expression.", times=99)
    finished = own_shop.workplace.run("data")
    assert_only_failed(own_shop, finished, "Orders", "Arithmetic overflow error converting expression.", "8115")


def test_an_error_amid_the_rows_fails_that_table_and_keeps_its_old_rows(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.query("INSERT INTO orders VALUES (-1, 0)")
    words = "The operating system returned error 21 to SQL Server during a read."
    own_shop.source.fail_after_rows("dbo.Orders", 7, 823, words, times=99)
    finished = own_shop.workplace.run("data")
    assert_only_failed(own_shop, finished, "Orders", words, "823")
    assert [key for (key, _) in own_shop.rows("orders")] == [-1]


def test_a_row_that_the_target_refuses_fails_that_table_and_names_the_row(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ADD CONSTRAINT no_teens CHECK (id <> 13)")
    finished = shop.workplace.run("data")
    assert_only_failed(shop, finished, "Orders", "no_teens", "Failing row contains (13, 13.50)", "23514")
    assert shop.rows("orders") == []
    shop.query("ALTER TABLE orders DROP CONSTRAINT no_teens")
    assert shop.workplace.run("data", "--resume").code == 0
    shop.assert_equal()


def test_a_target_column_of_another_kind_fails_that_table_and_names_the_column(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ALTER total TYPE date USING NULL")
    finished = shop.workplace.run("data")
    assert_only_failed(shop, finished, "Orders", "column total", "decimal(12,2)", "date")


def test_a_target_column_that_would_cut_values_fails_that_table(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders ALTER total TYPE numeric(12,1)")
    finished = shop.workplace.run("data")
    assert_only_failed(shop, finished, "Orders", "column total")


def test_a_missing_target_column_fails_that_table_and_is_named(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE orders DROP total")
    assert_only_failed(shop, shop.workplace.run("data"), "Orders", "column total is missing", "public.orders")


def test_a_missing_target_table_fails_and_says_which_script_makes_it(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE orders")
    assert_only_failed(shop, shop.workplace.run("data"), "Orders", "public.orders", "replicate-schema.py")


def test_foreign_keys_between_tables_are_suspended_for_the_load_and_are_back_after_it(shop: Shop) -> None:
    shop.ready("data")
    shop.query(
        "CREATE TABLE notes (order_id integer REFERENCES orders);"
        "ALTER TABLE customers ADD CONSTRAINT of_product FOREIGN KEY (id) REFERENCES products NOT VALID"
    )
    keys = "SELECT conname, conrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f' AND"
    keys += " connamespace = 'public'::regnamespace ORDER BY 1"
    before = shop.query(keys)
    finished = shop.workplace.run("data")
    assert finished.code == 0, finished.text
    shop.assert_equal()
    assert len(before) == 2
    assert shop.query(keys) == before


def test_a_foreign_key_that_the_new_rows_break_is_told_and_no_row_is_lost(shop: Shop) -> None:
    shop.ready("data")
    shop.query("CREATE TABLE notes (order_id integer REFERENCES orders); INSERT INTO orders VALUES (999, 0)")
    shop.query("INSERT INTO notes VALUES (999)")
    finished = shop.workplace.run("data")
    assert finished.code == 1, finished.text
    assert "notes_order_id_fkey" in finished.text
    assert "(order_id)=(999)" in finished.text
    assert shop.query("SELECT * FROM notes") == [(999,)]
    shop.assert_equal()


def test_a_failed_table_shows_a_traceback_with_debug_only(own_shop: Shop) -> None:
    own_shop.ready("data")
    own_shop.source.fail_next("dbo.Orders", 50000, "The dog ate it.", times=99)
    with_debug = own_shop.workplace.run("data", "--debug")
    assert "Traceback" in with_debug.text
    assert "The dog ate it." in with_debug.text
    assert "Traceback" not in own_shop.workplace.run("data").text
