"""Conditions are true, false or unknown as in T-SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from tests.expression_corpus import CI
from tests.mssql.expressions.generated import INTEGER_LEAVES, SMALL, Env, Generated, column_value
from tests.mssql.expressions.translations import PROPERTY, check_sql, evaluate

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


def test_bit_columns_are_compared_as_booleans() -> None:
    assert check_sql("([f]=(1))", f="bit") == '"f" = true'


def _compare(operator: str, left: Any, right: Any) -> bool | None:
    if left is None or right is None:
        return None
    outcomes: dict[str, bool] = {
        "=": left == right, "<>": left != right, "<": left < right, ">": left > right,
        "<=": left <= right, ">=": left >= right,
    }  # fmt: skip
    return outcomes[operator]


def _comparison(left: Generated, operator: str, right: Generated) -> Generated:
    return f"({left[0]}{operator}{right[0]})", lambda env: _compare(operator, left[1](env), right[1](env))


def _null_test(inner: Generated, negated: bool) -> Generated:
    return f"({inner[0]} IS {'NOT ' if negated else ''}NULL)", lambda env: (inner[1](env) is None) != negated


def _member(inner: Generated, items: list[int], negated: bool) -> Generated:
    def run(env: Env) -> bool | None:
        value = inner[1](env)
        return None if value is None else (value in items) != negated

    return f"({inner[0]} {'NOT ' if negated else ''}IN ({', '.join(f'({item})' for item in items)}))", run


def _between(inner: Generated, low: int, high: int) -> Generated:
    def run(env: Env) -> bool | None:
        value = inner[1](env)
        return None if value is None else low <= value <= high

    return f"({inner[0]} BETWEEN ({low}) AND ({high}))", run


def _not(inner: Generated) -> Generated:
    def run(env: Env) -> bool | None:
        value = inner[1](env)
        return None if value is None else not value

    return f"(NOT {inner[0]})", run


def _logical(left: Generated, operator: str, right: Generated) -> Generated:
    def run(env: Env) -> bool | None:
        values = {left[1](env), right[1](env)}
        decisive = operator == "OR"
        if decisive in values:
            return decisive
        return None if None in values else not decisive

    return f"({left[0]} {operator} {right[0]})", run


def _text_equal(name: str, literal: str, negated: bool) -> Generated:
    def run(env: Env) -> bool | None:
        value = env[name]
        return None if value is None else (value.rstrip(" ").lower() == literal.rstrip(" ").lower()) != negated

    return f"([{name}]{'<>' if negated else '='}'{literal}')", run


_LETTERS = st.text("abAB -", max_size=4)

conditions = st.recursive(
    st.one_of(
        st.builds(_comparison, INTEGER_LEAVES, st.sampled_from(["=", "<>", "<", ">", "<=", ">="]), INTEGER_LEAVES),
        st.builds(_null_test, st.sampled_from("abs").map(column_value), st.booleans()),
        st.builds(_member, INTEGER_LEAVES, st.lists(st.integers(-3, 3), min_size=1, max_size=4), st.booleans()),
        st.builds(_between, INTEGER_LEAVES, st.integers(-3, 3), st.integers(-3, 3)),
        st.builds(_text_equal, st.just("s"), _LETTERS, st.booleans()),
    ),
    lambda children: st.one_of(
        children.map(_not), st.builds(_logical, children, st.sampled_from(["AND", "OR"]), children)
    ),
    max_leaves=8,
)


@PROPERTY
@given(condition=conditions, a=SMALL, b=SMALL, s=st.one_of(st.none(), _LETTERS))
def test_conditions_are_t_sql_s(
    expression_postgres: PgConnection, condition: Generated, a: int | None, b: int | None, s: str | None
) -> None:
    expected = condition[1]({"a": a, "b": b, "s": s})
    sql = check_sql(condition[0], a="int", b="int", s=f"varchar(9) {CI}")
    assert sql is not None
    env = {"a": (a, "integer"), "b": (b, "integer"), "s": (s, "varchar(9)")}
    assert evaluate(expression_postgres, sql, env) == expected
