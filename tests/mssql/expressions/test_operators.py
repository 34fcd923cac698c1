"""Arithmetic of integers and decimals gives T-SQL's values."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from hypothesis import assume, given
from hypothesis import strategies as st

from tests.mssql.expressions.generated import INTEGER_LEAVES, SMALL, Env, Generated, column_value
from tests.mssql.expressions.translations import PROPERTY, check_sql, computed_sql, evaluate

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


class _SourceError(Exception):
    """T-SQL would raise an error: there is no value to compare."""


def _truncated(left: int, right: int) -> int:
    if right == 0:
        raise _SourceError
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


def _int(value: int) -> int:
    if not -(2**31) <= value < 2**31:
        raise _SourceError
    return value


def _arithmetic(operator: str, left: Any, right: Any) -> Any:
    if left is None or right is None:
        return None
    if operator == "/":
        return _truncated(left, right)
    if operator == "%":
        return _int(left - right * _truncated(left, right))
    return _int({"+": left + right, "-": left - right, "*": left * right}[operator])


def _binary_of(children: st.SearchStrategy[Generated], operators: str) -> st.SearchStrategy[Generated]:
    def build(left: Generated, operator: str, right: Generated) -> Generated:
        return f"({left[0]}{operator}{right[0]})", lambda env: _arithmetic(operator, left[1](env), right[1](env))

    return st.builds(build, children, st.sampled_from(operators), children)


def _negated(inner: Generated) -> Generated:
    def run(env: Env) -> Any:
        value = inner[1](env)
        return None if value is None else _int(-value)

    return f"(- {inner[0]})", run


def _absolute(inner: Generated) -> Generated:
    def run(env: Env) -> Any:
        value = inner[1](env)
        return None if value is None else _int(abs(value))

    return f"abs({inner[0]})", run


def _isnull(first: Generated, second: Generated) -> Generated:
    def run(env: Env) -> Any:
        # PostgreSQL computes constants before it looks whether they are needed.
        value, other = first[1](env), second[1](env)
        return other if value is None else value

    return f"isnull({first[0]},{second[0]})", run


integers = st.recursive(
    INTEGER_LEAVES,
    lambda children: st.one_of(
        _binary_of(children, "+-*/%"),
        children.map(_negated),
        children.map(_absolute),
        st.builds(_isnull, st.sampled_from("ab").map(column_value), children),
    ),
    max_leaves=8,
)


def _source_value(expression: Generated, env: Env) -> Any:
    try:
        return expression[1](env)
    except _SourceError:
        assume(False)


@PROPERTY
@given(expression=integers, a=SMALL, b=SMALL)
def test_integer_arithmetic_is_t_sql_s(
    expression_postgres: PgConnection, expression: Generated, a: int | None, b: int | None
) -> None:
    expected = _source_value(expression, {"a": a, "b": b})
    sql = computed_sql(f"({expression[0]})", "int", a="int", b="int")
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"a": (a, "integer"), "b": (b, "integer")}) == expected


_PRICES = st.decimals("-9999.99", "9999.99", places=2)


@PROPERTY
@given(p=_PRICES, q=_PRICES, factor=st.decimals("0.001", "9.999", places=3), places=st.integers(0, 3))
def test_decimal_arithmetic_is_exact(
    expression_postgres: PgConnection, p: Decimal, q: Decimal, factor: Decimal, places: int
) -> None:
    env = {"p": (p, "numeric(10,2)"), "q": (q, "numeric(10,2)")}
    text = f"(round(([p]+[q])*({factor})-[q],({places})))"
    sql = check_sql(f"({text}=(0))", p="decimal(10,2)", q="decimal(10,2)")
    assert sql is not None
    exact = (p + q) * factor - q
    expected = exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    assert evaluate(expression_postgres, sql.removesuffix(" = 0"), env) == expected
    scaled = computed_sql("([p]/(100))", "decimal(14,6)", p="decimal(10,2)")
    assert scaled is not None
    assert evaluate(expression_postgres, scaled, env) == p / 100
