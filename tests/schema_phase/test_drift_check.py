"""sync-data.py --with-schema: tables that have drifted apart are told before any row is copied, and keep their rows."""

from __future__ import annotations

import pytest

from tests.harness import Finished
from tests.samples import SHOP_KEYS, Shop, processed, statuses


def night(shop: Shop, *flags: str) -> Finished:
    """A nightly run that looks at the schema first."""
    return shop.workplace.run("data", "--nightly", "--with-schema", *flags)


def test_tables_that_fit_are_copied_and_one_line_says_so(shop: Shop) -> None:
    shop.ready("data")
    finished = night(shop)
    assert finished.code == 0, finished.text
    assert "🔎 Schema: 4 tables compared, none differs from the source" in finished.out
    shop.assert_equal()


ADD = "INSERT INTO products (id) VALUES (-1)"


@pytest.mark.parametrize(
    ("by_hand", "words"),
    [
        (f"{ADD}; ALTER TABLE products DROP COLUMN label", "column label is missing"),
        (f"{ADD}; ALTER TABLE products ALTER COLUMN label TYPE varchar(3)", "label is character varying(3), the sour"),
        ("ALTER TABLE products ALTER COLUMN label SET NOT NULL; INSERT INTO products VALUES (-1, 'x')",
         "column label refuses NULL, the source allows it"),
        ("ALTER TABLE products ADD COLUMN own integer NOT NULL; INSERT INTO products VALUES (-1, 'x', 1)",
         "column own is not on the source and refuses NULL"),
        (f"{ADD}; ALTER TABLE products ALTER COLUMN label TYPE integer USING 1",
         "cannot be loaded into a target column of type"),
    ],
)  # fmt: skip
def test_a_table_that_would_fail_is_not_touched_the_others_are_copied(shop: Shop, by_hand: str, words: str) -> None:
    shop.ready("data")
    shop.query(by_hand)
    before = shop.query("SELECT id FROM products")
    finished = night(shop)
    assert finished.code == 1, finished.text
    assert "⚠️ Schema: 4 tables compared, 1 differs from the source:" in finished.out
    (told,) = [line for line in finished.out.splitlines() if "❌ dbo.Products → public.products: " in line]
    assert words in told
    assert told.endswith(": not copied")
    assert shop.query("SELECT id FROM products") == before
    assert statuses(shop.workplace.data_progress) == {**dict.fromkeys(SHOP_KEYS, "completed"), "Products": "failed"}
    # What the messages say mends it, and the next run does the rest.
    flag = (
        "--apply-drift" if "--apply-drift adds missing columns and widens types" in error_of(finished) else "--recreate"
    )
    made = shop.workplace.run("schema", flag)
    assert made.code == 0, made.text
    again = night(shop)
    assert again.code == 0, again.text
    assert processed(again.out) == ["Products"]
    shop.assert_equal()


def error_of(finished: Finished) -> str:
    """What the run says of the table that failed."""
    (line,) = [line for line in finished.out.splitlines() if "failed: public.products differs from the source" in line][
        :1
    ]
    return line


def test_what_does_not_fail_a_load_is_told_and_the_table_is_copied(shop: Shop) -> None:
    shop.ready("data")
    shop.query("ALTER TABLE products ADD COLUMN own integer; ALTER TABLE customers ALTER COLUMN label TYPE text")
    finished = night(shop)
    assert finished.code == 0, finished.text
    assert "dbo.Products → public.products: column own is not on the source: copied all the same" in finished.out
    assert "column label is text, the source asks for character varying(50): copied all the same" in finished.out
    assert shop.query("SELECT count(*) FROM products") == [(5,)]


def test_a_missing_table_is_told_once_and_the_others_are_copied(shop: Shop) -> None:
    shop.ready("data")
    shop.query("DROP TABLE products")
    finished = night(shop)
    assert finished.code == 1
    assert "🔎 Schema: 3 tables compared, none differs from the source" in finished.out
    assert statuses(shop.workplace.data_progress) == {**dict.fromkeys(SHOP_KEYS, "completed"), "Products": "failed"}
    assert shop.workplace.run("schema").code == 0
    assert night(shop).code == 0
    shop.assert_equal()


def test_without_nightly_it_looks_as_well_and_not_where_nothing_is_left(shop: Shop) -> None:
    shop.ready("data")
    assert "🔎 Schema" in shop.workplace.run("data", "--with-schema").out
    assert "Schema" not in shop.workplace.run("data", "--resume", "--with-schema").out
    assert shop.workplace.run("data", "--verify", "--with-schema").code == 2
