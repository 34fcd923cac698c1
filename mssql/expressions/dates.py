"""The present time, and functions of dates and times.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from model.catalog import SqlType
from mssql.expressions.context import Arguments, Context, Function, Kind
from mssql.expressions.conversions import convert
from mssql.expressions.tree import Name, Node, Refused
from mssql.expressions.types import DATED, DATETIME, INT, INTEGERS
from mssql.expressions.values import Value, Volatility, typed

_DATE_PARTS = {
    "year": "year", "yy": "year", "yyyy": "year", "quarter": "quarter", "qq": "quarter", "q": "quarter",
    "month": "month", "mm": "month", "m": "month",
    "dayofyear": "doy", "dy": "doy", "y": "doy", "day": "day", "dd": "day", "d": "day",
    "week": "week", "wk": "week", "ww": "week", "hour": "hour", "hh": "hour", "minute": "minute", "mi": "minute",
    "n": "minute", "second": "second", "ss": "second", "s": "second", "millisecond": "millisecond", "ms": "millisecond",
    "iso_week": "iso_week", "isowk": "iso_week", "isoww": "iso_week",
}  # fmt: skip

_LOCAL_TIME = "the present time is local to the PostgreSQL session's TimeZone: set it to the source server's zone"
_MOVING = "it depends on the present time: add it NOT VALID, after the load, or rows that were valid once are refused"


def _present(context: Context, sql: str, type_: SqlType) -> Value:
    context.notes.uses(Volatility.STABLE)
    if context.kind is Kind.CHECK:
        context.notes.remark(_MOVING)
    return Value(sql, type_, is_now=True)


def _getdate(context: Context, _: Arguments) -> Value:
    context.notes.remark(_LOCAL_TIME)
    return _present(context, "statement_timestamp()::timestamp", DATETIME)


def _sysdatetime(context: Context, arguments: Arguments) -> Value:
    return replace(_getdate(context, arguments), type=SqlType("datetime2", scale=7))


def _getutcdate(context: Context, _: Arguments) -> Value:
    return _present(context, "(statement_timestamp() AT TIME ZONE 'UTC')", DATETIME)


def _sysutcdatetime(context: Context, arguments: Arguments) -> Value:
    return replace(_getutcdate(context, arguments), type=SqlType("datetime2", scale=7))


def _sysdatetimeoffset(context: Context, _: Arguments) -> Value:
    return _present(context, "statement_timestamp()", SqlType("datetimeoffset", scale=7))


def _part_name(node: Node) -> str:
    name = node.parts[0].lower() if isinstance(node, Name) and len(node.parts) == 1 else ""
    if name in {"weekday", "dw", "w"}:
        raise Refused("the day of the week depends on DATEFIRST")
    if name not in _DATE_PARTS:
        raise Refused(f"the date part {name or 'given'} is not translated")
    return _DATE_PARTS[name]


def _date(context: Context, node: Node, literal: SqlType) -> Value:
    """A date argument; constant texts and numbers become dates ("DATEADD", "DATEDIFF")."""
    value = typed(context.value(node))
    if isinstance(value.constant, str):
        return convert(context.notes, value, literal)
    if isinstance(value.constant, int) and value.known.name == "int":
        return convert(context.notes, value, DATETIME)
    if value.known.name not in DATED:
        if value.known.name == "datetimeoffset" and value.is_now:
            return convert(context.notes, value, SqlType("datetime2", scale=7))
        raise Refused(
            "the local time of a datetimeoffset is lost in timestamptz, which keeps the instant"
            if value.known.name == "datetimeoffset"
            else f"{value.type} stands for a date"
        )
    return value


def _stamp(value: Value) -> str:
    """The date as a timestamp: PostgreSQL turns a bare date into timestamptz, by the session's zone."""
    return value.operand if value.known.name != "date" else f"{value.operand}::timestamp"


def _day(value: Value) -> str:
    return value.operand if value.known.name == "date" else f"{value.operand}::date"


def _extract(part: str, value: Value) -> str:
    return f"extract({part} from {value.sql})"


def _datepart(context: Context, arguments: Arguments) -> Value:
    part = _part_name(arguments[0])
    if part == "week":
        raise Refused("the week of the year depends on DATEFIRST")
    value = _date(context, arguments[1], DATETIME)
    if part == "millisecond":
        if value.known.name != "datetime2":
            raise Refused(f"the milliseconds of {value.type} are thirds")
        sql = f"(trunc(extract(milliseconds from {value.sql}))::integer % 1000)"
        return Value(sql, INT)
    if part == "second":
        return Value(f"trunc({_extract('second', value)})::integer", INT)
    if value.known.name == "date" and part in {"hour", "minute"}:
        raise Refused(f"a date has no {part}")
    return Value(f"{_extract('week' if part == 'iso_week' else part, value)}::integer", INT)


def _field(part: str, context: Context, arguments: Arguments) -> Value:
    return Value(f"{_extract(part, _date(context, arguments[0], DATETIME))}::integer", INT)


def _dateadd(context: Context, arguments: Arguments) -> Value:
    """A month that is too short gives its last day in both engines ("DATEADD")."""
    part = _part_name(arguments[0])
    number = typed(context.value(arguments[1]))
    if number.known.name not in INTEGERS or number.known.name == "bigint":
        raise Refused("DATEADD has a number that is not an int")
    value = context.value(arguments[2])
    if value.type is not None and value.known.name == "datetimeoffset" and value.is_now:
        if part not in {"hour", "minute", "second"}:
            raise Refused("days of a datetimeoffset would follow the PostgreSQL session's zone")
        unit, factor = f"{part}s", 1
    else:
        value = _date(context, arguments[2], DATETIME)
        unit, factor = {
            "year": ("months", 12), "quarter": ("months", 3), "month": ("months", 1), "week": ("days", 7),
            "day": ("days", 1), "doy": ("days", 1), "hour": ("hours", 1), "minute": ("minutes", 1),
            "second": ("seconds", 1),
        }.get(part, ("", 0))  # fmt: skip
    if not unit:
        raise Refused(f"DATEADD of {part}s is not translated")
    return add(value, unit, number, factor)


def add(value: Value, unit: str, number: Value, factor: int) -> Value:
    name = value.known.name
    if name == "date" and unit not in {"months", "days"}:
        raise Refused(f"{unit} are added to a date")
    if name == "smalldatetime" and unit == "seconds":
        raise Refused("smalldatetime rounds seconds")
    if isinstance(number.constant, int):
        count = number.constant * factor
        if name == "date" and unit == "days":
            sign = "-" if count < 0 else "+"
            return replace(value, sql=f"{value.operand} {sign} {abs(count)}", is_atom=False, constant=None)
        sql = f"{value.operand} + interval '{count} {unit}'"
    else:
        count_sql = number.sql if factor == 1 else f"{number.operand} * {factor}"
        if name == "date" and unit == "days":
            sql = f"{value.operand} + {number.operand if factor == 1 else f'({count_sql})'}"
            return replace(value, sql=sql, is_atom=False, constant=None, is_now=False)
        value = replace(value, is_now=False)
        argument = {"hours": "hours", "minutes": "mins", "seconds": "secs"}.get(unit, unit)
        sql = f"{value.operand} + make_interval({argument} => {count_sql})"
    if name == "date":
        return replace(value, sql=f"({sql})::date", constant=None)
    return replace(value, sql=sql, is_atom=False, constant=None)


def _datediff(context: Context, arguments: Arguments) -> Value:
    """The number of boundaries crossed; weeks begin on Sunday whatever DATEFIRST says ("DATEDIFF")."""
    part = _part_name(arguments[0])
    literal = SqlType("datetime2", scale=7)
    start, end = (_date(context, argument, literal) for argument in arguments[1:])
    if part in {"day", "doy"}:
        return Value(f"{_day(end)} - {_day(start)}", INT, is_atom=False)
    if part == "week":
        weeks = [f"({_day(value)} - '0001-01-01'::date + 1) / 7" for value in (end, start)]
        return Value(f"{weeks[0]} - {weeks[1]}", INT, is_atom=False)
    if part in {"year", "quarter", "month"}:
        years = f"extract(year from {end.sql}) - extract(year from {start.sql})"
        if part == "year":
            return Value(f"({years})::integer", INT)
        factor = 12 if part == "month" else 4
        rest = f"extract({part} from {end.sql}) - extract({part} from {start.sql})"
        return Value(f"(({years}) * {factor} + {rest})::integer", INT)
    seconds = {"hour": 3600, "minute": 60, "second": 1}.get(part)
    if seconds is None:
        raise Refused(f"DATEDIFF of {part}s is not translated")
    first, last = (f"date_trunc('{part}', {_stamp(value)})" for value in (start, end))
    return Value(f"(extract(epoch from {last} - {first}) / {seconds})::integer", INT)


def _eomonth(context: Context, arguments: Arguments) -> Value:
    value = _date(context, arguments[0], DATETIME)
    months = "1 month"
    if len(arguments) == 2:
        count = context.value(arguments[1]).constant
        if not isinstance(count, int) or isinstance(count, bool):
            raise Refused("EOMONTH has a number of months that is not constant")
        months = f"{count + 1} months"
    sql = f"(date_trunc('month', {_stamp(value)}) + interval '{months}' - interval '1 day')::date"
    return Value(sql, SqlType("date"), is_now=value.is_now)


def _datefromparts(context: Context, arguments: Arguments) -> Value:
    parts = [typed(context.value(argument)) for argument in arguments]
    if any(part.known.name not in INTEGERS or part.known.name == "bigint" for part in parts):
        raise Refused("DATEFROMPARTS has a part that is not an int")
    return Value(f"make_date({', '.join(part.sql for part in parts)})", SqlType("date"))


FUNCTIONS = {
    "GETDATE": Function(_getdate, 0, 0),
    "CURRENT_TIMESTAMP": Function(_getdate, 0, 0),
    "SYSDATETIME": Function(_sysdatetime, 0, 0),
    "GETUTCDATE": Function(_getutcdate, 0, 0),
    "SYSUTCDATETIME": Function(_sysutcdatetime, 0, 0),
    "SYSDATETIMEOFFSET": Function(_sysdatetimeoffset, 0, 0),
    "YEAR": Function(partial(_field, "year"), 1, 1),
    "MONTH": Function(partial(_field, "month"), 1, 1),
    "DAY": Function(partial(_field, "day"), 1, 1),
    "DATEPART": Function(_datepart, 2, 2),
    "DATEADD": Function(_dateadd, 3, 3),
    "DATEDIFF": Function(_datediff, 3, 3),
    "EOMONTH": Function(_eomonth, 1, 2),
    "DATEFROMPARTS": Function(_datefromparts, 3, 3),
}
