"""Literals of texts, numbers and bytes are the same value in PostgreSQL, or refused."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.mssql.expressions.translations import PROPERTY, default_sql, evaluate

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_text_that_postgres_cannot_store_is_refused(value: str) -> None:
    assert default_sql(f"(N'{value}')", "nvarchar(10)") is None


_STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


@PROPERTY
@given(value=_STORABLE)
def test_text_literals_round_trip(expression_postgres: PgConnection, value: str) -> None:
    escaped = value.replace("'", "''")
    sql = default_sql(f"(N'{escaped}')", "nvarchar(max)")
    if "\\\n" in value or "\\\r\n" in value:
        assert sql is None
        return
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"a": (1, "integer")}) == value


@PROPERTY
@given(value=st.decimals(allow_nan=False, allow_infinity=False, places=8).filter(lambda number: abs(number) < 10**20))
def test_number_literals_round_trip(expression_postgres: PgConnection, value: Decimal) -> None:
    sql = default_sql(f"(({format(value, 'f')}))", "decimal(38,8)")
    assert sql is not None
    assert evaluate(expression_postgres, sql, {"a": (1, "integer")}) == value


@PROPERTY
@given(value=st.binary(max_size=20))
def test_binary_literals_round_trip(expression_postgres: PgConnection, value: bytes) -> None:
    sql = default_sql(f"(0x{value.hex()})", "varbinary(max)")
    assert sql is not None
    assert bytes(evaluate(expression_postgres, sql, {"a": (1, "integer")})) == value
