"""An empty target is one message, and a few tables that are missing are named."""

from __future__ import annotations

import pytest

from tests.samples import SHOP_KEYS, Shop, entries, processed, query, statuses, target_tables, write_progress


def own_schema(shop: Shop) -> list[tuple[object, ...]]:
    """The target's schema `replication`, if it is there."""
    return query(shop.target, shop.database, "SELECT 1 FROM pg_namespace WHERE nspname = 'replication'")


@pytest.mark.parametrize("arguments", [[], ["--resume"], ["--verify"], ["--exclude", "Orders"]])
def test_an_empty_target_is_one_message_and_nothing_is_touched(shop: Shop, arguments: list[str]) -> None:
    finished = shop.workplace.run("data", *arguments)
    count = 2 if "--exclude" in arguments else 4
    assert finished.code == 2, finished.text
    assert f"none of the {count} tables exists in the target" in finished.err
    assert "run replicate-schema.py first" in finished.err
    assert finished.text.count("replicate-schema.py") == 1
    assert processed(finished.out) == []
    assert not shop.workplace.data_progress.exists()
    assert (target_tables(shop.target, shop.database), own_schema(shop)) == ([], [])


def test_a_target_without_most_tables_is_one_message_that_names_them(shop: Shop) -> None:
    shop.ready("data")
    assert shop.workplace.run("data").code == 0
    shop.query("DROP TABLE orders, products, sales.orders")
    before = shop.workplace.data_progress.read_text(encoding="utf-8")
    finished = shop.workplace.run("data", "--resume")
    assert finished.code == 2, finished.text
    assert "3 of 4 tables do not exist in the target" in finished.err
    assert "public.orders, public.products and sales.orders. Run replicate-schema.py first" in finished.err
    assert shop.workplace.data_progress.read_text(encoding="utf-8") == before
    assert len(shop.rows("customers")) == 12


def test_a_table_that_is_asked_for_alone_and_is_missing_is_refused(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE products")
    finished = shop.workplace.run("data", "--tables", "Products")
    assert finished.code == 2
    assert "public.products does not exist in the target" in finished.err


def test_a_few_missing_tables_are_named_and_the_rest_is_done(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE products")
    finished = shop.workplace.run("data")
    assert finished.code == 1, finished.text
    assert "⚠️ 1 of 4 tables does not exist in the target" in finished.out
    assert "before replicate-schema.py has made it: public.products" in finished.out
    assert statuses(shop.workplace.data_progress) == {
        key: "failed" if key == "Products" else "completed" for key in SHOP_KEYS
    }
    assert "does not exist; run replicate-schema.py first" in entries(shop.workplace.data_progress)["Products"]["error"]


def test_tables_that_are_skipped_need_not_be_there(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE orders, products, sales.orders")
    write_progress(shop.workplace.data_progress, "data", Orders="skipped", Products="skipped", Sales_Orders="skipped")
    finished = shop.workplace.run("data")
    assert finished.code == 0, finished.text
    assert processed(finished.out) == ["Customers"]
