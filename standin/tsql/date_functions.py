"""Functions of dates and times."""

from __future__ import annotations

import datetime
import re

from model.catalog import SqlType
from standin.errors import SqlError
from standin.storage import storage
from standin.tsql.constants import known_value
from standin.tsql.context import Arguments, Context, Function
from standin.tsql.conversions import convert
from standin.tsql.moments import DATETIME, DATETIME2, from_ticks, ticks_of
from standin.tsql.precedence import family
from standin.tsql.values import Typed
from standin.type_names import BIGINT, INT

_PARTS = {
    **dict.fromkeys(("yy", "yyyy", "year"), "year"),
    **dict.fromkeys(("qq", "q", "quarter"), "quarter"),
    **dict.fromkeys(("mm", "m", "month"), "month"),
    **dict.fromkeys(("dy", "y", "dayofyear"), "dayofyear"),
    **dict.fromkeys(("dd", "d", "day"), "day"),
    **dict.fromkeys(("wk", "ww", "week", "isowk", "isoww", "iso_week"), "week"),
    **dict.fromkeys(("dw", "w", "weekday", "dayofweek"), "dayofweek"),
    **dict.fromkeys(("hh", "hour"), "hour"),
    **dict.fromkeys(("mi", "n", "minute"), "minute"),
    **dict.fromkeys(("ss", "s", "second"), "second"),
    **dict.fromkeys(("ms", "millisecond"), "millisecond"),
    **dict.fromkeys(("mcs", "microsecond"), "microsecond"),
    **dict.fromkeys(("ns", "nanosecond"), "nanosecond"),
    **dict.fromkeys(("tz", "tzoffset"), "tzoffset"),
}


def _moment_of(value: Typed) -> tuple[str, SqlType]:
    kind = value.kind or SqlType("datetime2", scale=6)
    if family(kind) == "number":
        return convert(value, DATETIME), DATETIME
    if family(kind) == "text":
        return convert(value, DATETIME2), DATETIME2
    return value.sql, kind


def _date_add(context: Context, arguments: Arguments) -> Typed:
    unit = _PARTS.get(arguments[0].name.lower())
    number = context.value(arguments[1])
    value = context.value(arguments[2])
    sql, kind = _moment_of(value)
    if value.kind is not None and family(value.kind) == "text":
        kind = DATETIME
        sql = convert(value, kind)
    ticks = ticks_of(sql, kind)
    small = {"second": 10**7, "millisecond": 10**4, "microsecond": 10, "hour": 36 * 10**9, "minute": 6 * 10**8}
    if unit == "nanosecond":
        moved = f"({ticks} + CAST({number.sql} AS BIGINT) // 100)"
    elif unit in small:
        moved = f"({ticks} + CAST({number.sql} AS BIGINT) * {small[unit]})"
    else:
        count = f"CAST({number.sql} AS INTEGER)"
        step = {"year": f"to_years({count})", "quarter": f"to_months(3 * {count})", "month": f"to_months({count})",
                "week": f"to_weeks({count})"}.get(unit or "", f"to_days({count})")  # fmt: skip
        moved = f"(tds_ts_ticks(tds_ticks_ts({ticks}) + {step}) + {ticks} % 10)"
    if kind.name == "date":
        return Typed(f"CAST(tds_ticks_ts({moved}) AS DATE)", kind)
    if kind.name == "datetimeoffset":
        return Typed(f"(tds_ticks_dt2({moved}) || substr({sql}, 28))", kind)
    if kind.name == "time":
        moved = f"({moved} % 864000000000 + 864000000000) % 864000000000"
    return Typed(from_ticks(moved, kind), kind)


def _date_diff(kind: SqlType) -> Function:
    def translate(context: Context, arguments: Arguments) -> Typed:
        unit = _PARTS.get(arguments[0].name.lower(), "day")
        sides = [_moment_of(context.value(argument)) for argument in arguments[1:]]
        first, second = (ticks_of(sql, side) for sql, side in sides)
        if unit == "nanosecond":
            return Typed(f"CAST(({second} - {first}) * 100 AS {storage(kind)})", kind)
        unit = {"dayofyear": "day", "dayofweek": "day"}.get(unit, unit)
        sql = f"date_diff('{unit}', tds_ticks_ts({first}), tds_ticks_ts({second}))"
        return Typed(f"CAST({sql} AS {storage(kind)})", kind)

    return translate


def _part_of(value: Typed, part: str) -> Typed:
    kind = value.kind or SqlType("datetime2", scale=6)
    if family(kind) == "text":
        value, kind = Typed(convert(value, DATETIME2)), DATETIME2
    ticks, unit = ticks_of(value.sql, kind), _PARTS.get(part.lower())
    small = {"millisecond": "// 10000", "microsecond": "// 10", "nanosecond": "* 100"}
    if unit in small:
        return Typed(f"CAST({ticks} % 10000000 {small[unit]} AS INTEGER)", INT, value.is_nullable)
    if unit == "tzoffset":
        sql = f"CAST(tds_offset({value.sql}) AS INTEGER)" if kind.name == "datetimeoffset" else "0"
        return Typed(sql, INT)
    if unit is None:
        raise SqlError(155, f"'{part}' is not a recognized datepart option.", 15)
    extra = " + 1" if unit == "dayofweek" else ""
    return Typed(f"CAST(date_part('{unit}', tds_ticks_ts({ticks})){extra} AS INTEGER)", INT, value.is_nullable)


def _named_part(context: Context, arguments: Arguments) -> Typed:
    return _part_of(context.value(arguments[1]), arguments[0].name)


def _date_part(unit: str) -> Function:
    def translate(context: Context, arguments: Arguments) -> Typed:
        return _part_of(context.value(arguments[0]), unit)

    return translate


def _switch_offset(context: Context, arguments: Arguments) -> Typed:
    value, offset = (context.value(argument) for argument in arguments)
    found = re.fullmatch(r"([+-])(\d\d):(\d\d)", offset.literal or "")
    minutes = str(int(found[1] + "1") * (int(found[2]) * 60 + int(found[3]))) if found else offset.sql
    kind = value.kind or SqlType("datetimeoffset", scale=7)
    return Typed(f"tds_ticks_dto(tds_dto_ticks({value.sql}), {minutes})", kind, value.is_nullable)


def _to_date_time_offset(context: Context, arguments: Arguments) -> Typed:
    value, offset = (context.value(argument) for argument in arguments)
    sql, kind = _moment_of(value)
    text = from_ticks(ticks_of(sql, kind), DATETIME2)
    return Typed(f"({text} || ' ' || {offset.sql})", SqlType("datetimeoffset", scale=kind.scale))


def _now(kind: SqlType, *, utc: bool = True) -> Function:
    def translate(context: Context, _arguments: Arguments) -> Typed:
        now = datetime.datetime.now(datetime.timezone.utc if utc else None)
        if kind.name == "datetimeoffset":
            return known_value(context.statement, kind, now.astimezone())
        text = f"{now.replace(tzinfo=None):%Y-%m-%d %H:%M:%S.%f}"
        return known_value(context.statement, kind, text + "0" if kind.scale == 7 else text[:23])

    return translate


FUNCTIONS: dict[str, Function] = {
    "GETDATE": _now(DATETIME, utc=False),
    "GETUTCDATE": _now(DATETIME),
    "SYSDATETIME": _now(DATETIME2, utc=False),
    "SYSUTCDATETIME": _now(DATETIME2),
    "SYSDATETIMEOFFSET": _now(SqlType("datetimeoffset", scale=7)),
    "DATEADD": _date_add,
    "DATEDIFF": _date_diff(INT),
    "DATEDIFF_BIG": _date_diff(BIGINT),
    "DATEPART": _named_part,
    "YEAR": _date_part("year"),
    "MONTH": _date_part("month"),
    "DAY": _date_part("day"),
    "SWITCHOFFSET": _switch_offset,
    "TODATETIMEOFFSET": _to_date_time_offset,
}

#: those without brackets
NILADIC: dict[str, Function] = {"CURRENT_TIMESTAMP": _now(DATETIME, utc=False)}
