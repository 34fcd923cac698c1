"""Decimal arithmetic has T-SQL's type and value, also where 38 digits do not suffice."""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.mssql.expressions.translations import computed_sql, evaluate

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812

_WIDE = Context(prec=200)
Number = tuple[int, int, Decimal]


@st.composite
def _numbers(draw: st.DrawFn) -> Number:
    """Precision, scale, and a value that has them."""
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    digits = draw(st.integers(-(10 ** min(precision, 20)) + 1, 10 ** min(precision, 20) - 1))
    return precision, scale, Decimal(digits).scaleb(-scale, _WIDE)


def _type_of(operator: str, one: Number, other: Number) -> tuple[int, int]:
    """Precision and scale of a result, by the table and the rules of "Precision, scale, and length"."""
    (p1, s1, _), (p2, s2, _) = one, other
    if operator in "+-":
        integral = max(p1 - s1, p2 - s2)
        precision, scale = max(s1, s2) + integral + 1, max(s1, s2)
        return (precision, scale) if precision <= 38 else (38, min(scale, 38 - integral))
    precision, scale = p1 + p2 + 1, s1 + s2
    if operator == "/":
        scale = max(6, s1 + p2 + 1)
        precision = p1 - s1 + s2 + scale
    if precision <= 38:
        return precision, scale
    integral = precision - scale
    if integral < 32:
        return 38, min(scale, 38 - integral)
    return 38, min(scale, 6)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operator=st.sampled_from("+-*/"), one=_numbers(), other=_numbers())
def test_arithmetic_has_the_documented_scale_and_the_value_at_it(
    expression_postgres: PgConnection, operator: str, one: Number, other: Number
) -> None:
    assume(operator != "/" or other[2])
    precision, scale = _type_of(operator, one, other)
    types = [f"decimal({number[0]},{number[1]})" for number in (one, other)]
    sql = computed_sql(f"([a]{operator}[b])", f"decimal({precision},{scale})", a=types[0], b=types[1])
    assert sql is not None
    exact = {
        "+": _WIDE.add(one[2], other[2]),
        "-": _WIDE.subtract(one[2], other[2]),
        "*": _WIDE.multiply(one[2], other[2]),
        "/": _WIDE.divide(one[2], other[2]) if operator == "/" else Decimal(0),
    }[operator]
    expected = exact.quantize(Decimal(1).scaleb(-scale), ROUND_DOWN if operator == "/" else ROUND_HALF_UP, _WIDE)
    assume(abs(expected) < Decimal(10) ** (precision - scale))
    env = {
        "a": (one[2], f"numeric({one[0]},{one[1]})"),
        "b": (other[2], f"numeric({other[0]},{other[1]})"),
    }
    assert evaluate(expression_postgres, f"({sql})::numeric({precision},{scale})", env) == expected


@pytest.mark.parametrize(
    ("one", "other", "result"),
    [
        ("decimal(30,20)", "decimal(30,20)", "decimal(38,17)"),
        ("decimal(30,10)", "decimal(30,10)", "decimal(38,6)"),
        ("decimal(38,4)", "decimal(10,1)", "decimal(38,5)"),
    ],
)
def test_products_have_the_type_that_the_documentation_gives(one: str, other: str, result: str) -> None:
    assert computed_sql("([a]*[b])", result, a=one, b=other) is not None
    assert computed_sql("([a]*[b])", "decimal(38,8)", a=one, b=other) is None
