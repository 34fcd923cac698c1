"""Functions of texts give T-SQL's values."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from tests.mssql.expressions.translations import PROPERTY, computed_sql, evaluate

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


_PLAIN_TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)


@PROPERTY
@given(s=_PLAIN_TEXT, start=st.integers(-3, 14), count=st.integers(0, 14))
def test_text_functions_are_t_sql_s(expression_postgres: PgConnection, s: str, start: int, count: int) -> None:
    cases = {
        f"(left([s],({count})))": s[:count],
        f"(right([s],({count})))": s[len(s) - count :] if count < len(s) else s,
        f"(substring([s],({start}),({count})))": s[max(start, 1) - 1 : max(start + count - 1, 0)],
        "(ltrim([s]))": s.lstrip(" "),
        "(rtrim([s]))": s.rstrip(" "),
        f"(isnull([n],[s]+'{'x' * count}'))": (s + "x" * count)[:5],
        "(([s]+'/')+[s])": f"{s}/{s}",
        "(replace([s],' ','--'))": s.replace(" ", "--"),
    }
    env = {"s": (s, "varchar(20)"), "n": (None, "varchar(5)")}
    for text, expected in cases.items():
        sql = computed_sql(text, "varchar(200)", s="varchar(20)", n="varchar(5)")
        assert sql is not None, text
        assert evaluate(expression_postgres, sql, env) == expected, text
    length = computed_sql("(len([s]))", "int", s="varchar(20)")
    assert length is not None
    assert evaluate(expression_postgres, length, env) == len(s.rstrip(" "))
