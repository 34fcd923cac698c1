"""LIKE finds what it finds in T-SQL, and beyond ASCII a remark says what is doubtful."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mssql.expressions import translate_check
from tests.expression_corpus import CI, table
from tests.mssql.expressions.translations import PROPERTY, check_sql, evaluate, quote

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


def _passes(connection: PgConnection, pattern: str, text: str, type_: str = "nvarchar(9) Latin1_General_CI_AS") -> bool:
    sql = check_sql(f"([s] LIKE N'{pattern}')", s=type_)
    assert sql is not None
    return bool(evaluate(connection, sql, {"s": (text, "varchar(9)")}))


@pytest.mark.parametrize("text", ["É", "é", "²", "A", "-", "٣"])
def test_between_digits_lie_digits_only(expression_postgres: PgConnection, text: str) -> None:
    assert _passes(expression_postgres, "[0-9]", "7")
    assert not _passes(expression_postgres, "[0-9]", text)
    assert _passes(expression_postgres, "[^0-9]", text)


@pytest.mark.parametrize(("text", "is_inside"), [("É", True), ("ñ", True), ("ø", True), ("Ž", False), ("€", False),
                                                 ("×", False), ("Ж", False), ("7", False), ("-", False)])  # fmt: skip
def test_between_letters_lie_latin_letters_only(expression_postgres: PgConnection, text: str, is_inside: bool) -> None:
    assert _passes(expression_postgres, "[A-Z]", text) == is_inside
    assert _passes(expression_postgres, "[^A-Z]", text) != is_inside


def test_letters_pass_where_a_language_has_an_order_of_its_own(expression_postgres: PgConnection) -> None:
    for text in ("Å", "é", "Ž"):
        assert _passes(expression_postgres, "[A-Z]", text, "nvarchar(9) Danish_Norwegian_CI_AS")
        assert _passes(expression_postgres, "[^A-Z]", text, "nvarchar(9) Danish_Norwegian_CI_AS")
    assert not _passes(expression_postgres, "[A-Z]", "€", "nvarchar(9) Danish_Norwegian_CI_AS")
    result = translate_check("([s] LIKE '[A-Z]')", table({"s": "varchar(9) Danish_Norwegian_CI_AS"}), quote)
    assert "may have them in it" in (result.suggestion or "")


def _like(text: str, pattern: list[str], is_padded: bool) -> bool:
    """LIKE over ASCII under a case-insensitive collation, by the page's words and no regular expression."""
    if not pattern:
        return text == "" or (is_padded and text.strip(" ") == "")
    head, rest = pattern[0], pattern[1:]
    if head == "%":
        return any(_like(text[position:], rest, is_padded) for position in range(len(text) + 1))
    if not text:
        return False
    if head == "_":
        matched = True
    elif head.startswith("[^"):
        matched = text[0].lower() not in head[2:-1].lower()
    elif head.startswith("["):
        matched = text[0].lower() in head[1:-1].lower()
    else:
        matched = text[0].lower() == head.lower()
    return matched and _like(text[1:], rest, is_padded)


_LIKE_PIECES = st.sampled_from(
    ["%", "_", "a", "B", ".", "*", "$", "^", "\\", "(", "{", " ", "[ab]", "[^aB]", "[%]", "[_]", "[[]", "[.^]"]
)


@PROPERTY
@given(
    s=st.text("abAB.*$^\\({ %_[", max_size=5),
    pattern=st.lists(_LIKE_PIECES, min_size=1, max_size=5),
    wide=st.booleans(),
)
def test_like_is_t_sql_s(expression_postgres: PgConnection, s: str, pattern: list[str], wide: bool) -> None:
    prefix = "n" if wide else ""
    sql = check_sql(f"([s] LIKE {prefix}'{''.join(pattern)}')", s=f"{prefix}varchar(9) {CI}")
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"s": (s, "varchar(9)")}) == _like(s, pattern, is_padded=not wide)
