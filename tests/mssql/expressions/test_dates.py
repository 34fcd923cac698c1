"""The present time in columns of several types, and boundaries that are counted as T-SQL counts them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.mssql.expressions.translations import computed_sql, default_sql, evaluate

if TYPE_CHECKING:
    from psycopg2.extensions import connection as PgConnection  # noqa: N812


def test_smalldatetime_default_rounds_to_the_minute() -> None:
    assert "date_trunc('minute'" in (default_sql("(getdate())", "smalldatetime") or "")


def test_getdate_in_a_datetimeoffset_is_local_time_labelled_utc() -> None:
    assert default_sql("(getdate())", "datetimeoffset(7)") == "(statement_timestamp()::timestamp AT TIME ZONE 'UTC')"


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.datetimes(dt.datetime(1753, 1, 1), dt.datetime(9999, 12, 31)), end=st.datetimes(dt.datetime(1753, 1, 1))
)
def test_datediff_counts_boundaries(expression_postgres: PgConnection, start: dt.datetime, end: dt.datetime) -> None:
    start, end = (value.replace(microsecond=value.microsecond // 1000 * 1000) for value in (start, end))

    def sunday(value: dt.datetime) -> int:
        return (value.toordinal()) // 7

    expected = {
        "year": end.year - start.year,
        "quarter": (end.year * 4 + (end.month - 1) // 3) - (start.year * 4 + (start.month - 1) // 3),
        "month": (end.year * 12 + end.month) - (start.year * 12 + start.month),
        "day": end.toordinal() - start.toordinal(),
        "week": sunday(end) - sunday(start),
        "hour": (end.toordinal() * 24 + end.hour) - (start.toordinal() * 24 + start.hour),
    }
    env = {"d": (start, "timestamp(3)"), "e": (end, "timestamp(3)")}
    for part, number in expected.items():
        sql = computed_sql(f"(datediff({part},[d],[e]))", "int", d="datetime", e="datetime")
        assert sql is not None
        assert evaluate(expression_postgres, sql, env) == number, part
