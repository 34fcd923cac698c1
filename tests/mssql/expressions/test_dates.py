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


_MOMENTS = st.datetimes(dt.datetime(1753, 1, 1), dt.datetime(9999, 12, 31)).map(
    lambda value: value.replace(microsecond=value.microsecond // 10_000 * 10_000)
)
_WRITTEN = {
    1: "{0:%m/%d}/{1:02}", 8: "{0:%H:%M:%S}", 12: "{1:02}{0:%m%d}", 23: "{2:04}-{0:%m-%d}", 101: "{0:%m/%d}/{2:04}",
    112: "{2:04}{0:%m%d}", 120: "{2:04}-{0:%m-%d %H:%M:%S}", 121: "{2:04}-{0:%m-%d %H:%M:%S}.{3:03}",
}  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moment=_MOMENTS, size=st.integers(1, 30))
def test_styles_write_every_moment_and_cut_it(
    expression_postgres: PgConnection, moment: dt.datetime, size: int
) -> None:
    for style, pattern in _WRITTEN.items():
        sql = computed_sql(f"(CONVERT([varchar]({size}),[d],({style})))", f"varchar({size})", d="datetime")
        assert sql is not None
        text = pattern.format(moment, moment.year % 100, moment.year, moment.microsecond // 1000)
        assert evaluate(expression_postgres, sql, {"d": (moment, "timestamp(3)")}) == text[:size], style


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moment=_MOMENTS)
def test_idioms_for_the_beginning_of_a_day_or_month(expression_postgres: PgConnection, moment: dt.datetime) -> None:
    day = dt.datetime(moment.year, moment.month, moment.day)
    expected = {
        "(dateadd(day,(0),datediff(day,(0),[d])))": day,
        "(dateadd(month,datediff(month,(0),[d]),(0)))": day.replace(day=1),
        "(CONVERT([datetime],floor(CONVERT([float],[d]))))": day,
        "(CONVERT([datetime],CONVERT([varchar](10),[d],(103)),(103)))": day,
    }
    for text, value in expected.items():
        sql = computed_sql(text, "datetime", d="datetime")
        assert sql is not None
        assert evaluate(expression_postgres, sql, {"d": (moment, "timestamp(3)")}) == value, text


def test_no_constant_reaches_the_year_10000() -> None:
    assert default_sql("('9999-12-31 23:59:59.9999999')", "datetime2(7)") == "'9999-12-31 23:59:59.999999'::timestamp"
    assert default_sql("('9999-12-31 23:59:59.9999999')", "datetime2(3)") is None


def test_milliseconds_before_a_day_are_rounded_as_datetime_rounds_them() -> None:
    sql = computed_sql("(dateadd(millisecond,(-2),CONVERT([datetime],[d])))", "datetime", d="date")
    assert sql == "\"d\"::timestamp + interval '-3 milliseconds'"
