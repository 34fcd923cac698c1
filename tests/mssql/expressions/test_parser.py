"""Any text is translated or refused: deep ones, senseless ones, and names that try to break out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from mssql.expressions import translate_check, translate_computed, translate_default, translate_filter
from tests.expression_corpus import column, table
from tests.mssql.expressions.translations import PROPERTY, bracketed, check_sql, default_sql, quote, sequence_name

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


def test_deep_nesting_is_refused_not_fatal() -> None:
    assert default_sql("(" * 50 + "1" + ")" * 50, "int") == "1"
    for text in (
        "(" * 5000 + "1" + ")" * 5000,
        "1" + "+1" * 20000,
        "-" * 1 + " -" * 20000 + "1",
        "NOT " * 5000 + "1=1",
    ):
        assert default_sql(text, "int") is None


@PROPERTY
@given(name=st.text(st.sampled_from("a]['\"%;-) é😀"), min_size=1, max_size=12))
def test_names_cannot_break_out(expression_postgres: PgConnection, name: str) -> None:
    sql = check_sql(f"({bracketed(name)}>(0))", **{name: "int"})
    assert sql == f"{quote(name)} > 0"
    with expression_postgres.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS named")
        cursor.execute(f"CREATE TEMPORARY TABLE named ({quote(name)} integer CHECK ({sql}))")


_SCRAPS = st.lists(
    st.sampled_from([
        "(", ")", "[a]", "[s]", "'x'", "N'y'", "1", "0x0A", "$2", "1.5", "1e3", "+", "-", "*", "/", "%", "&", "=",
        "<>", "<", "AND", "OR", "NOT", "IS", "NULL", "IN", "LIKE", "BETWEEN", "CASE", "WHEN", "THEN", "ELSE", "END",
        "getdate(", "len(", "isnull(", "CONVERT(", "[int]", ",", "CAST(", "AS", "::", "--", "/*", ";", "COLLATE",
        "NEXT", "VALUE", "FOR", "dateadd(", "day", "left(", "\\", "\x00", "é", ".", "~", "iif(", "newid()", "round(",
        "replace(",
    ]),
    max_size=14,
).map(" ".join)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(
    text=st.one_of(_SCRAPS, st.text(max_size=20)),
    type_=st.sampled_from(["int", "varchar(9)", "datetime", "bit", "money"]),
)
def test_any_text_is_translated_or_refused(text: str, type_: str) -> None:
    where = {"a": "int", "s": "varchar(9)"}
    for result in (
        translate_default(text, column("c", type_), sequence_name=sequence_name),
        translate_check(text, table(where), quote),
        translate_computed(text, column("c", type_), table(where), quote),
        translate_filter(text, table(where), quote),
    ):
        assert result.original == text
        assert (result.sql is None) == (result.reason is not None)
