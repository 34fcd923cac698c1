"""Tables that exist, differ or cannot be made: what becomes of them is told, and nothing is dropped unasked."""

from __future__ import annotations

import pytest

from tests.samples import SHOP_KEYS, Shop, entries, processed, statuses


def test_a_table_that_exists_and_fits_is_completed_with_its_rows(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    assert shop.workplace.run("data").code == 0
    again = shop.workplace.run("schema")
    assert again.code == 0, again.text
    assert again.out.count("exists already and fits") == 4
    shop.assert_equal()


def test_a_table_that_exists_and_differs_fails_readably_and_is_not_dropped(shop: Shop) -> None:
    shop.query("CREATE TABLE orders (id bigint, total numeric(12,2), mine text); INSERT INTO orders VALUES (1)")
    finished = shop.workplace.run("schema")
    assert finished.code == 1, finished.text
    after = entries(shop.workplace.schema_progress, "schema")
    assert statuses(shop.workplace.schema_progress, "schema") == {
        key: "failed" if key == "Orders" else "completed" for key in SHOP_KEYS
    }
    for words in (
        "column id is bigint, the source asks for integer",
        "column mine is not on the source",
        "--recreate",
    ):
        assert words in after["Orders"]["error"]
        assert words in finished.out
    assert shop.query("SELECT id FROM orders") == [(1,)]
    assert "⚠️ 1 table failed to replicate" in finished.out


def test_recreate_drops_what_differs_and_nothing_else(shop: Shop) -> None:
    assert shop.workplace.run("schema").code == 0
    assert shop.workplace.run("data").code == 0
    shop.query("ALTER TABLE orders ADD mine text")
    finished = shop.workplace.run("schema", "--recreate")
    assert finished.code == 0, finished.text
    assert shop.rows("orders") == []
    assert len(shop.rows("customers")) == 12
    assert shop.workplace.run("data", "--tables", "dbo.Orders").code == 0
    shop.assert_equal()


def test_recreate_does_not_drop_what_a_view_depends_on(shop: Shop) -> None:
    shop.query("CREATE TABLE orders (id bigint); CREATE VIEW report AS SELECT * FROM orders")
    finished = shop.workplace.run("schema", "--recreate")
    assert finished.code == 1, finished.text
    error = entries(shop.workplace.schema_progress, "schema")["Orders"]["error"]
    assert "report" in error
    assert shop.query("SELECT count(*) FROM report") == [(0,)]


def test_a_view_instead_of_a_table_fails_that_table_in_the_servers_words(shop: Shop) -> None:
    shop.query("CREATE VIEW orders AS SELECT 1 AS id")
    finished = shop.workplace.run("schema")
    assert finished.code == 1, finished.text
    assert statuses(shop.workplace.schema_progress, "schema")["Orders"] == "failed"
    assert '"orders" already exists' in entries(shop.workplace.schema_progress, "schema")["Orders"]["error"]


def test_a_failed_schema_table_is_made_by_resume(shop: Shop) -> None:
    shop.query("CREATE TABLE orders (id bigint)")
    assert shop.workplace.run("schema").code == 1
    shop.query("DROP TABLE orders")
    resumed = shop.workplace.run("schema", "--resume")
    assert resumed.code == 0, resumed.text
    assert processed(resumed.out) == ["Orders"]
    assert len(shop.tables) == 4


@pytest.mark.parametrize("schemas", ["", "CREATE SCHEMA sales"], ids=["no schema", "schemas there"])
def test_a_role_that_may_not_create_is_told_in_the_servers_words(shop: Shop, schemas: str) -> None:
    name = f"reader_{shop.database}"
    shop.query(f"CREATE ROLE {name} LOGIN; {schemas}")
    finished = shop.workplace.with_settings(PGUSER=name).run("schema")
    assert finished.code == 1, finished.text
    assert "permission denied" in finished.text
    assert "Traceback" not in finished.text
    assert shop.tables == []
    shop.query(f"ALTER ROLE {name} SUPERUSER")
    resumed = shop.workplace.with_settings(PGUSER=name).run("schema", "--resume")
    assert resumed.code == 0, resumed.text
    assert len(shop.tables) == 4
