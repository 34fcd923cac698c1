"""What catalogs compute with dates and times, with the documented values."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, Moving, check, computed, default


def _timestamp(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]


def _instant(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.timezone.utc)  # type: ignore[arg-type, misc]


def _east(hours: int, *parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.timezone(dt.timedelta(hours=hours)))  # type: ignore[arg-type, misc]


_D = Decimal
_BASE = _timestamp(1900, 1, 1)
_DAY = _timestamp(2026, 2, 28, 13, 45, 59, 997000)
_ROUNDS = "keeps other digits of a quotient"

_IDIOMS = (
    computed(
        "(dateadd(day,(0),datediff(day,(0),[d])))", "datetime", {"d": "datetime"}, {(_DAY,): _timestamp(2026, 2, 28)}
    ),
    computed(
        "(dateadd(month,datediff(month,(0),[d]),(0)))", "datetime", {"d": "datetime"}, {(_DAY,): _timestamp(2026, 2, 1)}
    ),
    computed(
        "(dateadd(year,datediff(year,(0),[d]),(0)))", "datetime", {"d": "datetime"}, {(_DAY,): _timestamp(2026, 1, 1)}
    ),
    computed(
        "(dateadd(quarter,datediff(quarter,(0),[d]),(0)))",
        "datetime",
        {"d": "date"},
        {(dt.date(2026, 5, 7),): _timestamp(2026, 4, 1)},
    ),
    computed(
        "(dateadd(week,datediff(week,(0),[d]),(0)))",
        "datetime",
        {"d": "date"},
        {(dt.date(2026, 2, 25),): _timestamp(2026, 2, 23)},
        stand_in_differs="counts weeks of seven days",
    ),
    computed(
        "(dateadd(hour,datediff(hour,(0),[d]),(0)))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28, 13)},
    ),
    computed(
        "(dateadd(day,(-1),dateadd(month,datediff(month,(0),[d])+(1),(0))))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28)},
    ),
    computed(
        "(dateadd(day,-datepart(day,[d])+(1),[d]))",
        "date",
        {"d": "date"},
        {(dt.date(2026, 2, 28),): dt.date(2026, 2, 1)},
    ),
    computed(
        "(CONVERT([datetime],floor(CONVERT([float],[d]))))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28)},
    ),
    computed(
        "(datediff(day,(0),[d])%(7))", "int", {"d": "date"}, {(dt.date(2026, 2, 23),): 0, (dt.date(2026, 3, 1),): 6}
    ),
    computed(
        "(CONVERT([datetime],[d])+CONVERT([datetime],[t]))",
        "datetime",
        {"d": "date", "t": "time(0)"},
        {(dt.date(2026, 2, 28), dt.time(13, 45)): _timestamp(2026, 2, 28, 13, 45)},
    ),
    computed(
        "([d]+[t])",
        "datetime",
        {"d": "datetime", "t": "datetime"},
        {(_timestamp(2026, 2, 28), _timestamp(1900, 1, 1, 13, 45)): _timestamp(2026, 2, 28, 13, 45)},
    ),
    computed(
        "([e]-[d])",
        "datetime",
        {"d": "datetime", "e": "datetime"},
        {(_timestamp(2026, 2, 28), _timestamp(2026, 3, 1, 12)): _timestamp(1900, 1, 2, 12)},
        stand_in_differs="refuses a difference that is no day",
    ),
    computed("([d]+(1))", "datetime", {"d": "datetime"}, {(_BASE,): _timestamp(1900, 1, 2)}),
    computed(
        "(dateadd(day,[Terms],[InvoiceDate]))",
        "datetime",
        {"InvoiceDate": "datetime", "Terms": "tinyint"},
        {(_BASE, 30): _timestamp(1900, 1, 31)},
    ),
    computed(
        "(dateadd(minute,[Duration],[StartTime]))",
        "time(0)",
        {"StartTime": "time(0)", "Duration": "int"},
        {(dt.time(23, 30), 45): dt.time(0, 15)},
    ),
    computed(
        "(dateadd(millisecond,[a],[d]))",
        "datetime2(3)",
        {"d": "datetime2(3)", "a": "int"},
        {(_timestamp(2026, 1, 1), -3): _timestamp(2025, 12, 31, 23, 59, 59, 997000)},
    ),
    computed(
        "(dateadd(second,[Seconds],'19700101'))", "datetime", {"Seconds": "int"}, {(86400,): _timestamp(1970, 1, 2)}
    ),
    computed("(dateadd(year,(-1),[d]))", "date", {"d": "date"}, {(dt.date(2024, 2, 29),): dt.date(2023, 2, 28)}),
    computed(
        "(datediff(minute,[StartTime],[EndTime]))",
        "int",
        {"StartTime": "time(7)", "EndTime": "time(7)"},
        {(dt.time(8, 0, 59), dt.time(9, 30)): 90, (dt.time(9), dt.time(8)): -60},
    ),
    computed(
        "(datediff(hour,[StartTime],[EndTime]))",
        "int",
        {"StartTime": "time(0)", "EndTime": "time(0)"},
        {(dt.time(8, 59), dt.time(17)): 9},
    ),
    computed(
        "(datediff(second,[StartTime],[EndTime])/(3600.0))",
        "decimal(17,6)",
        {"StartTime": "time(0)", "EndTime": "time(0)"},
        {(dt.time(8), dt.time(8, 20)): _D("0.333333")},
        remark=Assumption.QUOTIENTS.value,
        stand_in_differs=_ROUNDS,
    ),
    computed("(datediff(second,'00:00:00',[t]))", "int", {"t": "time(0)"}, {(dt.time(1, 0, 1),): 3601}),
    computed(
        "(datediff(millisecond,[a],[b]))",
        "int",
        {"a": "datetime2(3)", "b": "datetime2(3)"},
        {(_timestamp(2026, 1, 1), _timestamp(2026, 1, 1, 0, 0, 1, 5000)): 1005},
    ),
    computed(
        "(datediff_big(millisecond,'1970-01-01',[d]))",
        "bigint",
        {"d": "datetime2(3)"},
        {(_timestamp(2026, 1, 1),): 1767225600000},
    ),
    computed(
        "(datediff_big(second,'1970-01-01 00:00:00',[d]))",
        "bigint",
        {"d": "datetime"},
        {(_timestamp(2026, 1, 1),): 1767225600},
    ),
    computed(
        "(datediff(second,'1970-01-01',[d]))", "int", {"d": "datetime2(0)"}, {(_timestamp(2026, 1, 1),): 1767225600}
    ),
    computed("(datepart(millisecond,[d]))", "int", {"d": "datetime"}, {(_DAY,): 997}),
    computed("(datepart(millisecond,[d]))", "int", {"d": "datetime2(7)"}, {(_DAY,): 997}),
    computed("(datepart(microsecond,[d]))", "int", {"d": "datetime2(7)"}, {(_DAY,): 997000}),
    computed("(datepart(hour,[t])*(60)+datepart(minute,[t]))", "int", {"t": "time(0)"}, {(dt.time(13, 45),): 825}),
    computed("(datename(year,[d]))", "nvarchar(30)", {"d": "date"}, {(dt.date(2026, 2, 1),): "2026"}),
    computed(
        "((datename(year,[d])+'-')+datename(quarter,[d]))",
        "nvarchar(61)",
        {"d": "date"},
        {(dt.date(2026, 2, 1),): "2026-1"},
    ),
    computed(
        "(datetrunc(month,[d]))",
        "date",
        {"d": "date"},
        {(dt.date(2026, 2, 28),): dt.date(2026, 2, 1)},
        stand_in_differs="has no DATETRUNC before 2022",
    ),
    computed("(eomonth([d],(1)))", "date", {"d": "datetime"}, {(_DAY,): dt.date(2026, 3, 31)}),
    computed(
        "(eomonth([d],[a]))", "date", {"d": "date", "a": "int"}, {(dt.date(2026, 1, 31), 1): dt.date(2026, 2, 28)}
    ),
    computed(
        "(datefromparts([y],[m],(1)))", "date", {"y": "smallint", "m": "tinyint"}, {(2026, 2): dt.date(2026, 2, 1)}
    ),
    computed(
        "(datetimefromparts([y],(1),(1),(0),(0),(0),(0)))", "datetime", {"y": "int"}, {(2026,): _timestamp(2026, 1, 1)}
    ),
    computed(
        "(datetime2fromparts([y],(1),(1),[h],(0),(0),(0),(0)))",
        "datetime2(0)",
        {"y": "int", "h": "int"},
        {(2026, 5): _timestamp(2026, 1, 1, 5)},
    ),
    computed(
        "(smalldatetimefromparts([y],(2),(3),(4),(5)))",
        "smalldatetime",
        {"y": "int"},
        {(2026,): _timestamp(2026, 2, 3, 4, 5)},
    ),
    computed("(timefromparts([h],(30),(0),(0),(0)))", "time(0)", {"h": "int"}, {(5,): dt.time(5, 30)}),
    computed("(year([d])*(100)+month([d]))", "int", {"d": "datetime"}, {(_DAY,): 202602}),
    computed(
        "(case when month([d])>=(7) then year([d])+(1) else year([d]) end)",
        "int",
        {"d": "date"},
        {(dt.date(2026, 7, 1),): 2027, (dt.date(2026, 6, 30),): 2026},
    ),
    computed(
        "(CONVERT([datetime2](0),[d]))",
        "datetime2(0)",
        {"d": "datetime"},
        {(_timestamp(2026, 2, 28, 13, 45, 59, 500000),): _timestamp(2026, 2, 28, 13, 46)},
    ),
    computed(
        "(CONVERT([smalldatetime],[d]))", "smalldatetime", {"d": "datetime"}, {(_DAY,): _timestamp(2026, 2, 28, 13, 46)}
    ),
    computed(
        "(CONVERT([time](0),[d]))",
        "time(0)",
        {"d": "datetime2(0)"},
        {(_timestamp(2026, 2, 28, 13, 45),): dt.time(13, 45)},
    ),
    computed(
        "(CONVERT([datetime],[t]))", "datetime", {"t": "time(0)"}, {(dt.time(13, 45),): _timestamp(1900, 1, 1, 13, 45)}
    ),
    check(
        "(datediff(day,[d],[e])>=(0))",
        {"d": "date", "e": "date"},
        {(dt.date(2026, 1, 1), dt.date(2026, 1, 1)): True, (dt.date(2026, 1, 2), dt.date(2026, 1, 1)): False},
    ),
    check("([d]=dateadd(day,datediff(day,(0),[d]),(0)))", {"d": "datetime"}, {(_BASE,): True, (_DAY,): False}),
    check(
        "([d]<=[e])",
        {"d": "datetime", "e": "datetime2(7)"},
        {(_BASE, _DAY): True, (_DAY, _BASE): False},
        remark=Assumption.DATETIME_FRACTIONS.value,
    ),
    check(
        "([EndTime]>[StartTime])",
        {"StartTime": "time(0)", "EndTime": "time(0)"},
        {(dt.time(8), dt.time(9)): True, (dt.time(9), dt.time(9)): False},
    ),
    check(
        "(datediff(year,[BirthDate],getdate())>=(16))",
        {"BirthDate": "date"},
        {(dt.date(1980, 1, 1),): True, (dt.date(2190, 1, 1),): False},
    ),
)

_ZONED = (
    default("(sysutcdatetime() AT TIME ZONE 'UTC')", "datetimeoffset(7)", Moving.INSTANT),
    default("(dateadd(day,(0),sysdatetimeoffset()))", "datetimeoffset(7)", Moving.INSTANT),
    computed(
        "(CONVERT([datetime2](0),([u] AT TIME ZONE 'UTC') AT TIME ZONE 'Central European Standard Time'))",
        "datetime2(0)",
        {"u": "datetime2(0)"},
        {
            (_timestamp(2026, 7, 1, 12),): _timestamp(2026, 7, 1, 14),
            (_timestamp(2026, 1, 1, 12),): _timestamp(2026, 1, 1, 13),
        },
        remark=Assumption.TIME_ZONES.value,
    ),
    computed(
        "(CONVERT([date],[o] AT TIME ZONE 'Eastern Standard Time'))",
        "date",
        {"o": "datetimeoffset(0)"},
        {(_instant(2026, 7, 1, 3),): dt.date(2026, 6, 30)},
        remark=Assumption.TIME_ZONES.value,
    ),
    computed(
        "(datediff(second,[o],[p]))",
        "int",
        {"o": "datetimeoffset(0)", "p": "datetimeoffset(0)"},
        {(_instant(2026, 7, 1, 3), _east(1, 2026, 7, 1, 3)): -3600},
    ),
    computed(
        "((datepart(weekday,[d])+@@datefirst)%(7))",
        "int",
        {"d": "date"},
        {(dt.date(2026, 2, 28),): 0, (dt.date(2026, 3, 1),): 1},
        stand_in_differs="reads +@@ as an operator",
    ),
    check(
        "(((@@datefirst+datepart(weekday,[d]))-(2))%(7)<(5))",
        {"d": "date"},
        {(dt.date(2026, 2, 27),): True, (dt.date(2026, 2, 28),): False, (dt.date(2026, 3, 1),): False},
    ),
)

_MORE = (
    default(
        "({d '2000-02-01'})", "datetime", _timestamp(2000, 2, 1), stand_in_differs="does not know ODBC's constants"
    ),
    default(
        "({ts '2000-02-01 10:20:30'})",
        "datetime",
        _timestamp(2000, 2, 1, 10, 20, 30),
        stand_in_differs="does not know ODBC's constants",
    ),
    default(
        "(CONVERT([int],format(getdate(),'yyyyMMdd')))", "int", Moving.NUMBER, stand_in_differs="lacks the locales"
    ),
    check(
        "(CONVERT([time],[d])='00:00:00')",
        {"d": "datetime"},
        {(_BASE,): True, (_DAY,): False},
        remark=Assumption.DATETIME_FRACTIONS.value,
    ),
    check(
        "([d]=CONVERT([datetime2](7),[e]))",
        {"d": "datetime2(3)", "e": "datetime"},
        {(_DAY, _DAY): True},
        remark=Assumption.DATETIME_FRACTIONS.value,
    ),
    computed(
        "(CONVERT([datetime],CONVERT([varchar](10),[d],(120))+' 23:59:59'))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28, 23, 59, 59)},
        remark=Assumption.DAY_THROUGH_TEXT.value,
    ),
    computed(
        "(CONVERT([datetime],CONVERT([char](8),[d],(112))+' 23:59:59.997'))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28, 23, 59, 59, 997000)},
    ),
    computed(
        "(dateadd(millisecond,(-3),dateadd(day,(1),CONVERT([datetime],[d]))))",
        "datetime",
        {"d": "date"},
        {(dt.date(2026, 2, 28),): _timestamp(2026, 2, 28, 23, 59, 59, 997000)},
    ),
    computed(
        "(dateadd(second,(-1),dateadd(day,datediff(day,(0),[d])+(1),(0))))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28, 23, 59, 59)},
    ),
    computed("(datediff(minute,(0),[t]))", "int", {"t": "time(0)"}, {(dt.time(1, 30),): 90}),
    default("(sysdatetimeoffset())", "datetime2(7)", Moving.LOCAL_NOW, remark="TimeZone"),
)

_OFFSETS = (
    default("(switchoffset(sysdatetimeoffset(),'+00:00'))", "datetimeoffset(7)", Moving.INSTANT),
    default("(todatetimeoffset(getutcdate(),'+00:00'))", "datetimeoffset(3)", Moving.INSTANT),
    default("(todatetimeoffset(sysutcdatetime(),(0)))", "datetimeoffset(7)", Moving.INSTANT),
    default("(CONVERT([datetime2](7),switchoffset(sysdatetimeoffset(),'+00:00')))", "datetime2(7)", Moving.UTC_NOW),
    default(
        "(CONVERT([datetime],switchoffset(sysdatetimeoffset(),(0))))",
        "datetime",
        Moving.UTC_NOW,
        stand_in_differs="wants an offset in a text",
    ),
    computed(
        "(CONVERT([date],switchoffset([o],'+00:00')))",
        "date",
        {"o": "datetimeoffset(7)"},
        {(_east(-2, 2026, 2, 28, 23, 30),): dt.date(2026, 3, 1)},
    ),
    computed(
        "(CONVERT([datetime2](0),switchoffset([o],'-05:00')))",
        "datetime2(0)",
        {"o": "datetimeoffset(0)"},
        {(_instant(2026, 2, 28, 12),): _timestamp(2026, 2, 28, 7)},
    ),
    computed(
        "(datepart(hour,switchoffset([o],(330))))",
        "int",
        {"o": "datetimeoffset(0)"},
        {(_instant(2026, 2, 28, 12),): 17},
    ),
    computed(
        "(todatetimeoffset([d],'+02:00'))",
        "datetimeoffset(0)",
        {"d": "datetime2(0)"},
        {(_timestamp(2026, 2, 28, 12),): _instant(2026, 2, 28, 10)},
        stand_in_differs="the driver reads another type",
    ),
    computed(
        "(CONVERT([datetimeoffset](0),[d]))",
        "datetimeoffset(0)",
        {"d": "datetime2(0)"},
        {(_timestamp(2026, 2, 28, 12),): _instant(2026, 2, 28, 12)},
        stand_in_differs="the driver reads another type",
    ),
    check(
        "([o]>='2020-01-01T00:00:00+00:00')",
        {"o": "datetimeoffset(7)"},
        {(_east(1, 2020, 1, 1, 1),): True, (_east(1, 2020, 1, 1, 0, 30),): False},
    ),
)

ENTRIES: tuple[Entry, ...] = (*_IDIOMS, *_ZONED, *_MORE, *_OFFSETS)
