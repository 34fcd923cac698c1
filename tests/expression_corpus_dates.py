"""Dates and times as constants and as texts, as catalogs store them, with the documented values."""

from __future__ import annotations

import datetime as dt

from mssql.expressions.assumptions import Assumption
from tests.expression_corpus import Entry, Kind, Moving, check, computed, default, filtered, refused


def _timestamp(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]


def _instant(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.timezone.utc)  # type: ignore[arg-type, misc]


_BASE = _timestamp(1900, 1, 1)
_DAY = _timestamp(2026, 2, 28, 13, 45, 59, 997000)
_ISO = Assumption.ISO_DATES.value
_SEVENTH = Assumption.SEVENTH_DIGIT.value
_SIX_DIGITS = "keeps six fractional digits, and rounds the seventh"
_NO_LOCALE = "lacks the locales that FORMAT asks for"

_DATE_CONSTANTS = (
    default("('2012-02-01')", "datetime", _timestamp(2012, 2, 1), remark=_ISO),
    default("('1900-01-01 00:00:00.000')", "datetime", _BASE),
    default("('2012-12-25')", "datetime", _timestamp(2012, 12, 25)),
    default("('2012-02-01 10:20:30')", "smalldatetime", _timestamp(2012, 2, 1, 10, 21), remark=_ISO),
    default("('2012-02-01 10:20:29.998')", "smalldatetime", _timestamp(2012, 2, 1, 10, 20), remark=_ISO),
    default("('2099/12/31')", "date", dt.date(2099, 12, 31)),
    default("('2012/02/01')", "date", dt.date(2012, 2, 1), remark=_ISO),
    default("('1/1/1900')", "datetime", _BASE),
    default("('1/1/1900 12:00:00 AM')", "datetime", _BASE),
    default("('12/31/9999 11:59:59 PM')", "datetime", _timestamp(9999, 12, 31, 23, 59, 59)),
    default("('Jan  1 1900 12:00AM')", "datetime", _BASE),
    default("('31 Dec 2099')", "date", dt.date(2099, 12, 31)),
    default("('December 31, 2099')", "datetime", _timestamp(2099, 12, 31)),
    default("('17:30')", "time(7)", dt.time(17, 30)),
    default("('5:30 PM')", "time(0)", dt.time(17, 30)),
    default("('08:00:00.0000000')", "time(7)", dt.time(8)),
    default(
        "('9999-12-31 23:59:59.9999999')",
        "datetime2(7)",
        _timestamp(9999, 12, 31, 23, 59, 59, 999999),
        remark=_SEVENTH,
        stand_in_differs=_SIX_DIGITS,
    ),
    default(
        "(CONVERT([datetime2],'9999-12-31 23:59:59.9999999'))",
        "datetime2(7)",
        _timestamp(9999, 12, 31, 23, 59, 59, 999999),
        remark=_SEVENTH,
        stand_in_differs=_SIX_DIGITS,
    ),
    default(
        "(CONVERT([datetime2](7),'9999-12-31T23:59:59.9999999',(126)))",
        "datetime2(7)",
        _timestamp(9999, 12, 31, 23, 59, 59, 999999),
        remark=_SEVENTH,
        stand_in_differs=_SIX_DIGITS,
    ),
    default("('2020-01-02 03:04:05.1234567')", "datetime2(3)", _timestamp(2020, 1, 2, 3, 4, 5, 123000)),
    default("('2020-01-02 03:04:05.6789')", "datetime2(0)", _timestamp(2020, 1, 2, 3, 4, 6)),
    default(
        "('23:59:59.9999999')", "time(7)", dt.time(23, 59, 59, 999999), remark=_SEVENTH, stand_in_differs=_SIX_DIGITS
    ),
    default(
        "(CONVERT([datetime],'9999-12-31 23:59:59.997',(121)))",
        "datetime",
        _timestamp(9999, 12, 31, 23, 59, 59, 997000),
    ),
    default("(CONVERT([datetime],'2012-02-01 00:00:00',(120)))", "datetime", _timestamp(2012, 2, 1)),
    default("(CONVERT([datetime],'2012-02-01 00:00:00',(20)))", "datetime", _timestamp(2012, 2, 1)),
    default(
        "(CONVERT([datetime],'2012-02-01T10:11:12',(126)))",
        "datetime",
        _timestamp(2012, 2, 1, 10, 11, 12),
        stand_in_differs="does not read style 126",
    ),
    default("(CONVERT([date],'2012-02-01',(23)))", "date", dt.date(2012, 2, 1)),
    default("(CONVERT([datetime],'02/01/2012',(101)))", "datetime", _timestamp(2012, 2, 1)),
    default(
        "(CONVERT([datetime],'02/01/12',(1)))",
        "datetime",
        _timestamp(2012, 2, 1),
        remark=Assumption.TWO_DIGIT_YEARS.value,
    ),
    default("(CONVERT([datetime],'20120201',(112)))", "datetime", _timestamp(2012, 2, 1)),
    default(
        "(CONVERT([datetime],'1900-01-01',(0)))",
        "datetime",
        _BASE,
        stand_in_differs="wants the format of style 0 in the text",
    ),
    default(
        "(CONVERT([smalldatetime],'20790606',(0)))",
        "smalldatetime",
        _timestamp(2079, 6, 6),
        stand_in_differs="wants the format of style 0 in the text",
    ),
    default("(CONVERT([datetime],(0),(0)))", "datetime", _BASE),
    default(
        "('2020-01-02T03:04:05.1234567+02:00')",
        "datetimeoffset(7)",
        _instant(2020, 1, 2, 1, 4, 5, 123456),
        remark=_SEVENTH,
        stand_in_differs=_SIX_DIGITS,
    ),
    check(
        "([OrderDate]>='2012-02-01')",
        {"OrderDate": "datetime"},
        {(_timestamp(2012, 2, 1),): True, (_timestamp(2012, 1, 31, 23, 59, 59),): False},
        remark=_ISO,
    ),
    check(
        "([BirthDate]>='1930-01-01' AND [BirthDate]<=dateadd(year,(-18),getdate()))",
        {"BirthDate": "date"},
        {(dt.date(1970, 5, 5),): True, (dt.date(1929, 12, 31),): False, (dt.date(2190, 1, 1),): False},
    ),
    check(
        "([HireDate]>='1996-07-01' AND [HireDate]<=dateadd(day,(1),getdate()))",
        {"HireDate": "date"},
        {(dt.date(2009, 1, 7),): True, (dt.date(1996, 6, 30),): False},
    ),
    check(
        "([EndDate]>=[StartDate] OR [EndDate] IS NULL)",
        {"StartDate": "datetime", "EndDate": "datetime"},
        {(_BASE, _DAY): True, (_DAY, _BASE): False, (_DAY, None): True},
    ),
    check(
        "([ValidTo]='9999-12-31 23:59:59.9999999' OR [IsCurrent]=(0))",
        {"ValidTo": "datetime2(7)", "IsCurrent": "bit"},
        {("2020-01-01", True): False, ("2020-01-01", False): True},
        remark=_SEVENTH,
        stand_in_differs=_SIX_DIGITS,
    ),
    check(
        "([d] BETWEEN '2000-01-01' AND '2078-12-31')",
        {"d": "smalldatetime"},
        {(_timestamp(2020, 1, 1),): True, (_timestamp(1999, 12, 31),): False},
    ),
    check(
        "([StartTime]>='00:00:00' AND [StartTime]<='23:59:59')",
        {"StartTime": "time(0)"},
        {(dt.time(12),): True, (dt.time(0),): True},
    ),
    check("([d]<>'19000101')", {"d": "datetime"}, {(_BASE,): False, (_DAY,): True}),
    check(
        "([d]<CONVERT([datetime],'2100-01-01',(120)))",
        {"d": "datetime"},
        {(_DAY,): True, (_timestamp(2100, 1, 1),): False},
    ),
    filtered(
        "([ClosedOn]>='2020-01-01')",
        {"ClosedOn": "date"},
        {(dt.date(2020, 1, 1),): True, (dt.date(2019, 12, 31),): False},
    ),
    filtered("([ClosedOn]>='2020-02-01T00:00:00')", {"ClosedOn": "datetime"}, {(_DAY,): True, (_BASE,): False}),
)


_WRITTEN_DATES = (
    computed("(CONVERT([varchar](10),[d],(101)))", "varchar(10)", {"d": "datetime"}, {(_DAY,): "02/28/2026"}),
    computed("(CONVERT([char](8),[d],(112)))", "char(8)", {"d": "date"}, {(dt.date(987, 2, 1),): "09870201"}),
    computed("(CONVERT([char](10),[d],(23)))", "char(10)", {"d": "datetime"}, {(_DAY,): "2026-02-28"}),
    computed("(CONVERT([char](8),[d],(1)))", "char(8)", {"d": "datetime"}, {(_DAY,): "02/28/26"}),
    computed("(CONVERT([varchar](8),[d],(3)))", "varchar(8)", {"d": "datetime"}, {(_DAY,): "28/02/26"}),
    computed("(CONVERT([varchar](6),[d],(12)))", "varchar(6)", {"d": "datetime"}, {(_DAY,): "260228"}),
    computed("(CONVERT([varchar](19),[d],(20)))", "varchar(19)", {"d": "datetime"}, {(_DAY,): "2026-02-28 13:45:59"}),
    computed("(CONVERT([varchar](16),[d],(120)))", "varchar(16)", {"d": "datetime"}, {(_DAY,): "2026-02-28 13:45"}),
    computed("(CONVERT([varchar](13),[d],(121)))", "varchar(13)", {"d": "datetime"}, {(_DAY,): "2026-02-28 13"}),
    computed(
        "(CONVERT([varchar](23),[d],(21)))", "varchar(23)", {"d": "datetime"}, {(_DAY,): "2026-02-28 13:45:59.997"}
    ),
    computed(
        "(CONVERT([varchar](30),[d],(121)))", "varchar(30)", {"d": "datetime2(3)"}, {(_DAY,): "2026-02-28 13:45:59.997"}
    ),
    computed(
        "(CONVERT([varchar](30),[d],(120)))",
        "varchar(30)",
        {"d": "datetime2(7)"},
        {(_DAY,): "2026-02-28 13:45:59"},
        stand_in_differs="writes the fraction",
    ),
    computed(
        "(CONVERT([varchar](30),[d],(121)))",
        "varchar(30)",
        {"d": "smalldatetime"},
        {(_timestamp(2026, 2, 28, 13, 45),): "2026-02-28 13:45:00.000"},
        stand_in_differs="writes no fraction",
    ),
    computed(
        "(CONVERT([varchar](30),[d],(126)))",
        "varchar(30)",
        {"d": "datetime"},
        {(_DAY,): "2026-02-28T13:45:59.997", (_BASE,): "1900-01-01T00:00:00"},
        stand_in_differs="writes a fraction of zeros",
    ),
    computed(
        "(CONVERT([varchar](19),[d],(126)))",
        "varchar(19)",
        {"d": "datetime2(7)"},
        {(_DAY,): "2026-02-28T13:45:59"},
        stand_in_differs="writes a blank",
    ),
    computed("(CONVERT([varchar](5),[d],(108)))", "varchar(5)", {"d": "datetime"}, {(_DAY,): "13:45"}),
    computed("(CONVERT([varchar](12),[d],(114)))", "varchar(12)", {"d": "datetime"}, {(_DAY,): "13:45:59:997"}),
    computed(
        "(CONVERT([varchar](5),[StartTime],(108)))",
        "varchar(5)",
        {"StartTime": "time(7)"},
        {(dt.time(7, 5, 9),): "07:05"},
    ),
    computed(
        "(CONVERT([varchar](8),[StartTime]))", "varchar(8)", {"StartTime": "time(7)"}, {(dt.time(7, 5, 9),): "07:05:09"}
    ),
    computed("(CONVERT([varchar](10),[d],(104)))", "varchar(10)", {"d": "datetime"}, {(_DAY,): "28.02.2026"}),
    computed(
        "(CONVERT([varchar](10),[d],(105)))", "varchar(10)", {"d": "date"}, {(dt.date(2026, 2, 1),): "01-02-2026"}
    ),
    computed(
        "(CONVERT([varchar](10),[d],(110)))", "varchar(10)", {"d": "date"}, {(dt.date(2026, 2, 1),): "02-01-2026"}
    ),
    computed(
        "(CONVERT([varchar](10),[d],(111)))", "varchar(10)", {"d": "date"}, {(dt.date(2026, 2, 1),): "2026/02/01"}
    ),
    computed("(CONVERT([varchar](10),[d]))", "varchar(10)", {"d": "date"}, {(dt.date(2026, 2, 1),): "2026-02-01"}),
    computed("(CONVERT([int],CONVERT([char](8),[d],(112)),(0)))", "int", {"d": "datetime"}, {(_DAY,): 20260228}),
    computed(
        "(CONVERT([int],CONVERT([varchar](6),[d],(112))))", "int", {"d": "date"}, {(dt.date(2026, 2, 1),): 202602}
    ),
    computed(
        "(CONVERT([bigint],CONVERT([varchar](8),[d],(112))))",
        "bigint",
        {"d": "date"},
        {(dt.date(2026, 2, 1),): 20260201},
    ),
    computed("(CONVERT([int],left(CONVERT([varchar](8),[d],(112)),(6))))", "int", {"d": "datetime"}, {(_DAY,): 202602}),
    computed(
        "(CONVERT([int],CONVERT([varchar](4),datepart(year,[d]))+right('0'+CONVERT([varchar](2),datepart(month,[d])),(2))))",
        "int",
        {"d": "datetime"},
        {(_DAY,): 202602},
    ),
    computed(
        "((CONVERT([varchar](4),datepart(year,[d]))+'-')+CONVERT([varchar](2),datepart(quarter,[d])))",
        "varchar(7)",
        {"d": "date"},
        {(dt.date(2026, 5, 1),): "2026-2"},
    ),
    computed(
        "(CONVERT([date],CONVERT([char](8),[DateKey])))",
        "date",
        {"DateKey": "int"},
        {(20260228,): dt.date(2026, 2, 28)},
        remark=Assumption.DAY_NUMBERS.value,
    ),
    computed(
        "(CONVERT([date],CONVERT([varchar](8),[DateKey]),(112)))",
        "date",
        {"DateKey": "int"},
        {(20260228,): dt.date(2026, 2, 28)},
        remark=Assumption.DAY_NUMBERS.value,
    ),
    computed(
        "(CONVERT([datetime],CONVERT([varchar](10),[d],(101)),(101)))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28)},
    ),
    computed(
        "(CONVERT([datetime],CONVERT([varchar](10),[d],(103)),(103)))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28)},
    ),
    computed(
        "(CONVERT([datetime],CONVERT([varchar](10),[d],(120))))",
        "datetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28)},
        remark=Assumption.DAY_THROUGH_TEXT.value,
    ),
    computed(
        "(CONVERT([smalldatetime],CONVERT([char](8),[d],(112))))",
        "smalldatetime",
        {"d": "datetime"},
        {(_DAY,): _timestamp(2026, 2, 28)},
    ),
    default("(CONVERT([datetime],CONVERT([varchar](10),getdate(),(101)),(101)))", "date", Moving.TODAY),
    default(
        "(CONVERT([datetime],CONVERT([varchar],getdate(),(101))))",
        "date",
        Moving.TODAY,
        remark=Assumption.DAY_THROUGH_TEXT.value,
    ),
    default("(CONVERT([varchar](10),getdate(),(121)))", "varchar(10)", Moving.DAY_TEXT),
    default("(CONVERT([char](10),getdate(),(126)))", "char(10)", Moving.DAY_TEXT),
    default(
        "(format(getdate(),'yyyy-MM-dd'))",
        "varchar(10)",
        Moving.DAY_TEXT,
        remark=Assumption.CALENDAR.value,
        stand_in_differs=_NO_LOCALE,
    ),
    default("(CONVERT([int],CONVERT([char](8),getdate(),(112))))", "int", Moving.NUMBER),
    check(
        "([DateKey]=CONVERT([int],CONVERT([char](8),[Day],(112))))",
        {"DateKey": "int", "Day": "date"},
        {(20260228, dt.date(2026, 2, 28)): True, (20260227, dt.date(2026, 2, 28)): False},
    ),
    check("(CONVERT([varchar](8),[d],(108))='00:00:00')", {"d": "datetime"}, {(_BASE,): True, (_DAY,): False}),
    check(
        "(datepart(hour,[d])=(0) AND datepart(minute,[d])=(0) AND datepart(second,[d])=(0) AND "
        "datepart(millisecond,[d])=(0))",
        {"d": "datetime"},
        {(_BASE,): True, (_DAY,): False},
    ),
    check("([d]=CONVERT([date],[d]))", {"d": "datetime"}, {(_BASE,): True, (_DAY,): False}),
)


_FORMATS = (
    computed(
        "(format([d],'yyyyMM'))",
        "nvarchar(4000)",
        {"d": "date"},
        {(dt.date(2026, 2, 1),): "202602"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(format([d],'yyyy-MM-dd HH.mm'))",
        "nvarchar(4000)",
        {"d": "datetime"},
        {(_DAY,): "2026-02-28 13.45"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(format([d],'dd/MM/yyyy','en-US'))",
        "nvarchar(4000)",
        {"d": "date"},
        {(dt.date(2026, 2, 1),): "01/02/2026"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(format([d],'HH:mm:ss','en-us'))",
        "nvarchar(4000)",
        {"d": "datetime"},
        {(_DAY,): "13:45:59"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(format([d],'yyyyMMdd','de-de'))",
        "nvarchar(4000)",
        {"d": "date"},
        {(dt.date(2026, 2, 1),): "20260201"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(format([n],'00000'))",
        "nvarchar(4000)",
        {"n": "int"},
        {(42,): "00042", (-42,): "-00042", (123456,): "123456"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(format([n],'D5'))",
        "nvarchar(4000)",
        {"n": "int"},
        {(42,): "00042", (-42,): "-00042"},
        stand_in_differs=_NO_LOCALE,
    ),
    computed(
        "(N'INV-'+format([n],'D6'))",
        "nvarchar(4000)",
        {"n": "int"},
        {(42,): "INV-000042"},
        stand_in_differs=_NO_LOCALE,
    ),
)


_D_, _C_, _G_, _F_ = Kind.DEFAULT, Kind.CHECK, Kind.COMPUTED, Kind.FILTER

_REPORTED = (
    refused(_D_, "('01/02/2020')", "date format", column="datetime"),
    refused(_D_, "('1/2/00')", "date format", column="datetime"),
    refused(_D_, "('2012-02-30')", "is no datetime", column="datetime"),
    refused(_D_, "('25:00')", "is no time", column="time(0)"),
    refused(_D_, "('Okt 1 2020')", "is no date", column="date"),
    refused(_D_, "(CONVERT([datetime],'2020-01-02',(101)))", "is no datetime", column="datetime"),
    refused(_D_, "(CONVERT([varchar](20),getdate(),(0)))", "language", column="varchar(20)"),
    refused(_D_, "(CONVERT([varchar](20),getdate(),(100)))", "language", column="varchar(20)"),
    refused(_D_, "(CONVERT([varchar](11),getdate(),(106)))", "language", column="varchar(11)"),
    refused(_D_, "(CONVERT([varchar](30),getdate(),(130)))", "Hijri", column="varchar(30)"),
    refused(_D_, "(datename(month,getdate()))", "language", column="nvarchar(30)"),
    refused(_D_, "(datename(weekday,getdate()))", "language", column="nvarchar(30)"),
    refused(_D_, "(format(getdate(),'MMM yyyy'))", "language", column="nvarchar(8)"),
    refused(_D_, "(format(getdate(),'d'))", "culture", column="nvarchar(10)"),
    refused(_D_, "(format(getdate(),'d','de-de'))", "culture", column="nvarchar(10)"),
    refused(_D_, "(CONVERT([datetime],'0x01',(1)))", "is no datetime", column="datetime"),
    refused(_C_, "(datepart(weekday,[d]) BETWEEN (2) AND (6))", "DATEFIRST", {"d": "date"}),
    refused(_G_, "(datepart(week,[d]))", "DATEFIRST", {"d": "date"}, "int"),
    refused(_C_, "(isdate([s])=(1))", "ISDATE", {"s": "varchar(10)"}),
    refused(_C_, "(month([o])=(1))", "offset", {"o": "datetimeoffset(7)"}),
    refused(_G_, "(CONVERT([varchar](30),[o],(126)))", "offset", {"o": "datetimeoffset(7)"}, "varchar(30)"),
    refused(_G_, "(CONVERT([varchar](30),[d],(121)))", "seventh", {"d": "datetime2(7)"}, "varchar(30)"),
    refused(_G_, "(datediff(millisecond,[a],[b]))", "thirds", {"a": "datetime", "b": "datetime"}, "int"),
    refused(_G_, "(dateadd(millisecond,(-2),[d]))", "thirds", {"d": "datetime"}, "datetime"),
    refused(_G_, "(CONVERT([date],[s],(112)))", "which texts", {"s": "varchar(8)"}, "date"),
    refused(_G_, "(CONVERT([datetime],[s],(120)))", "which texts", {"s": "varchar(20)"}, "datetime"),
)

ENTRIES: tuple[Entry, ...] = (
    *_DATE_CONSTANTS,
    *_WRITTEN_DATES,
    *_FORMATS,
    *_REPORTED,
)
