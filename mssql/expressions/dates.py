"""The present time, and functions of dates and times.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from functools import partial

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.context import Arguments, Context, Function, Kind
from mssql.expressions.conversions import convert
from mssql.expressions.date_conversions import LOCAL_TIME, at_offset, between_times, local_time, stamp
from mssql.expressions.date_texts import formatted
from mssql.expressions.numbers import formatted_number
from mssql.expressions.time_zones import UTC, ZONES
from mssql.expressions.tree import AT_TIME_ZONE, Name, Node, Refused
from mssql.expressions.types import DATE, DATED, DATETIME, INT, INTEGERS, STRINGS, is_exact, postgres_type, sized_type
from mssql.expressions.values import Notes, Value, Volatility, constant_value, typed

_DATE_PARTS = {
    "year": "year", "yy": "year", "yyyy": "year", "quarter": "quarter", "qq": "quarter", "q": "quarter",
    "month": "month", "mm": "month", "m": "month",
    "dayofyear": "doy", "dy": "doy", "y": "doy", "day": "day", "dd": "day", "d": "day",
    "weekday": "weekday", "dw": "weekday", "w": "weekday",
    "week": "week", "wk": "week", "ww": "week", "hour": "hour", "hh": "hour", "minute": "minute", "mi": "minute",
    "n": "minute", "second": "second", "ss": "second", "s": "second", "millisecond": "millisecond", "ms": "millisecond",
    "microsecond": "microsecond", "mcs": "microsecond", "iso_week": "iso_week", "isowk": "iso_week",
    "isoww": "iso_week",
}  # fmt: skip
_CLOCK_PARTS = {"hour", "minute", "second", "millisecond", "microsecond"}

_MOVING = "it depends on the present time: add it NOT VALID, after the load, or rows that were valid once are refused"


def _present(context: Context, sql: str, type_: SqlType) -> Value:
    context.notes.uses(Volatility.STABLE)
    if context.kind is Kind.CHECK:
        context.notes.remark(_MOVING)
    return Value(sql, type_, is_now=True)


def _getdate(context: Context, _: Arguments) -> Value:
    context.notes.remark(LOCAL_TIME)
    return _present(context, "statement_timestamp()::timestamp", DATETIME)


def _sysdatetime(context: Context, arguments: Arguments) -> Value:
    return replace(_getdate(context, arguments), type=SqlType("datetime2", scale=7))


def _getutcdate(context: Context, _: Arguments) -> Value:
    return _present(context, "(statement_timestamp() AT TIME ZONE 'UTC')", DATETIME)


def _sysutcdatetime(context: Context, arguments: Arguments) -> Value:
    return replace(_getutcdate(context, arguments), type=SqlType("datetime2", scale=7))


def _sysdatetimeoffset(context: Context, _: Arguments) -> Value:
    return _present(context, "statement_timestamp()", SqlType("datetimeoffset", scale=7))


def part_name(node: Node) -> str:
    """A date part by the name that it has here. Raises `Refused`."""
    name = node.parts[0].lower() if isinstance(node, Name) and len(node.parts) == 1 else ""
    if name not in _DATE_PARTS:
        raise Refused(f"the date part {name or 'given'} is not translated")
    return _DATE_PARTS[name]


def date_argument(context: Context, node: Node, literal: SqlType) -> Value:
    """A date argument, which has a day."""
    value = _moment(context, node, literal)
    if value.known.name == "time":
        raise Refused("a time has no day")
    return value


def _moment(context: Context, node: Node, literal: SqlType) -> Value:
    """A date or time; texts and numbers become dates ("DATEADD", "DATEDIFF")."""
    value = typed(context.value(node))
    if value.known.name in STRINGS:
        return convert(context.notes, value, literal)
    if value.known.name in INTEGERS:
        return convert(context.notes, value, DATETIME)
    if value.known.name == "datetimeoffset":
        return local_time(context.notes, value)
    if value.known.name not in DATED | {"time"}:
        raise Refused(f"{value.type} stands for a date")
    return value


def _day(value: Value) -> str:
    return value.operand if value.known.name == "date" else f"{value.operand}::date"


def _extract(part: str, value: Value) -> str:
    return f"extract({part} from {value.sql})"


def _datepart(context: Context, arguments: Arguments) -> Value:
    part = part_name(arguments[0])
    value = _moment(context, arguments[1], DATETIME)
    _weigh_part(part, value)
    if part == "week":
        context.notes.doubt("the week of the year depends on DATEFIRST: 7, if the language is English")
        first = f"extract(dow from date_trunc('year', {stamp(value)}))"
        return Value(f"(({_extract('doy', value)} + {first} - 1)::integer / 7 + 1)", INT)
    if part == "weekday":
        context.notes.doubt("the day of the week depends on DATEFIRST: 7, if the language is English")
        return Value(f"{_extract('dow', value)}::integer + 1", INT, is_atom=False)
    if part == "millisecond":
        return Value(f"(trunc({_extract('milliseconds', value)})::integer % 1000)", INT)
    if part == "microsecond":
        return Value(f"({_extract('microseconds', value)}::integer % 1000000)", INT)
    if part == "second":
        return Value(f"trunc({_extract('second', value)})::integer", INT)
    return Value(f"{_extract('week' if part == 'iso_week' else part, value)}::integer", INT)


def _weigh_part(part: str, value: Value) -> None:
    """Refuses a part that the type lacks, as the source does."""
    name = value.known.name
    if name == "date" and part in _CLOCK_PARTS:
        raise Refused(f"a date has no {part}")
    if name == "time" and part not in _CLOCK_PARTS:
        raise Refused(f"a time has no {part}")
    if part == "microsecond" and name in {"datetime", "smalldatetime"}:
        raise Refused(f"the microseconds of {value.type} are thirds")


_NAMES = {
    "month": "{January,February,March,April,May,June,July,August,September,October,November,December}",
    "weekday": "{Sunday,Monday,Tuesday,Wednesday,Thursday,Friday,Saturday}",
}


def _datename(context: Context, arguments: Arguments) -> Value:
    """A number as a text, or a name in the language of the session ("DATENAME")."""
    part = part_name(arguments[0])
    type_ = sized_type("nvarchar", 30)
    if part not in _NAMES:
        number = _datepart(context, arguments)
        return Value(f"{number.operand}::text", type_, is_ascii=True, is_digits=True)
    value = date_argument(context, arguments[1], DATETIME)
    context.notes.doubt("DATENAME gives a name in the language of the session")
    number_sql = _extract("month", value) if part == "month" else f"{_extract('dow', value)} + 1"
    return Value(f"('{_NAMES[part]}'::text[])[({number_sql})::integer]", type_, is_ascii=True)


def _field(part: str, context: Context, arguments: Arguments) -> Value:
    return Value(f"{_extract(part, date_argument(context, arguments[0], DATETIME))}::integer", INT)


_UNITS = {
    "year": ("months", 12), "quarter": ("months", 3), "month": ("months", 1), "week": ("days", 7), "day": ("days", 1),
    "doy": ("days", 1), "weekday": ("days", 1), "hour": ("hours", 1), "minute": ("minutes", 1),
    "second": ("seconds", 1), "millisecond": ("milliseconds", 1), "microsecond": ("microseconds", 1),
}  # fmt: skip


def _dateadd(context: Context, arguments: Arguments) -> Value:
    """A month that is too short gives its last day in both engines ("DATEADD")."""
    part = part_name(arguments[0])
    number = typed(context.value(arguments[1]))
    if isinstance(number.constant, Decimal):
        # "The fraction is truncated and not rounded."
        number = constant_value(int(number.constant), INT)
    if number.known.name not in INTEGERS or number.known.name == "bigint":
        raise Refused("DATEADD has a number that is not an int")
    if part not in _UNITS:
        raise Refused(f"DATEADD of {part}s is not translated")
    unit, factor = _UNITS[part]
    value = typed(context.value(arguments[2]))
    if value.known.name != "datetimeoffset":
        return add(context.notes, _moment(context, arguments[2], DATETIME), unit, number, factor)
    if unit == "days":
        # The offset stays, so that each day has 24 hours; PostgreSQL's days follow the session's zone.
        return add(context.notes, value, "hours", number, 24 * factor)
    if unit != "months":
        return add(context.notes, value, unit, number, factor)
    if value.offset is None or value.offset[0] not in "+-":
        raise Refused("months are added to the local time of a datetimeoffset, and timestamptz keeps the instant")
    shifted = add(context.notes, local_time(context.notes, value), unit, number, factor)
    return replace(value, sql=at_offset(shifted.operand, value.offset), is_atom=True, is_now=False)


def add(notes: Notes, value: Value, unit: str, number: Value, factor: int) -> Value:
    """A date or time, so many units on."""
    name = value.known.name
    if name == "date" and unit not in {"months", "days"}:
        raise Refused(f"{unit} are added to a date")
    if name == "time" and unit in {"months", "days"}:
        raise Refused(f"{unit} are added to a time")
    if name == "smalldatetime" and unit not in {"months", "days", "hours", "minutes"}:
        notes.doubt("smalldatetime rounds seconds")
    if name == "datetime" and unit in {"milliseconds", "microseconds"}:
        number = _ticks(notes, value, unit, number)
    is_whole = value.is_whole and unit not in {"milliseconds", "microseconds"}
    value = replace(value, is_whole=is_whole, constant=None)
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
        if unit in {"milliseconds", "microseconds"}:
            sql = f"{value.operand} + {number.operand} * interval '1 {unit[:-1]}'"
        else:
            sql = f"{value.operand} + make_interval({argument} => {count_sql})"
    if name == "date":
        return replace(value, sql=f"({sql})::date", constant=None)
    return replace(value, sql=sql, is_atom=False, constant=None)


def _ticks(notes: Notes, value: Value, unit: str, number: Value) -> Value:
    """Milliseconds after a whole second, rounded to the thirds of hundredths that datetime has ("datetime")."""
    if not value.is_whole or unit != "milliseconds" or not isinstance(number.constant, int):
        notes.doubt("datetime rounds to thirds of hundredths of a second")
        return number
    ticks = (abs(number.constant) * 3 + 5) // 10
    milliseconds = (ticks * 20 + 3) // 6
    return constant_value(milliseconds if number.constant > 0 else -milliseconds, INT)


def difference(left: Value, right: Value) -> Value:
    """datetime - datetime: the time between them, after 1900-01-01 ("- (Subtraction)")."""
    return Value(f"'1900-01-01'::timestamp + ({left.operand} - {right.operand})", DATETIME, is_atom=False)


def total(left: Value, right: Value) -> Value:
    """datetime + datetime: both times since 1900-01-01 ("+ (Addition)")."""
    return Value(f"{left.operand} + ({right.operand} - '1900-01-01'::timestamp)", DATETIME, is_atom=False)


_SMALL_UNITS = {"hour": 3600, "minute": 60, "second": 1}
_LARGE_UNITS = {"millisecond": 1000, "microsecond": 1_000_000}


def _datediff(type_: SqlType, context: Context, arguments: Arguments) -> Value:
    """The number of boundaries crossed; weeks begin on Sunday whatever DATEFIRST says ("DATEDIFF")."""
    part = part_name(arguments[0])
    literal = SqlType("datetime2", scale=7)
    start, end = (_counted(context, argument, literal, part) for argument in arguments[1:])
    if "time" in {start.known.name, end.known.name} and start.known.name != end.known.name:
        start, end = (
            between_times(context.notes, value, literal, Refused("a time")) if value.constant is None else value
            for value in (start, end)
        )
    cast = postgres_type(type_)
    if part in _SMALL_UNITS or part in _LARGE_UNITS:
        if part in _LARGE_UNITS and "datetime" in {start.known.name, end.known.name}:
            context.notes.doubt(f"the {part}s of datetime are thirds")
        truncated = [
            f"date_trunc('{part}', {value.operand + '::interval' if value.known.name == 'time' else stamp(value)})"
            for value in (end, start)
        ]
        scale = f"/ {_SMALL_UNITS[part]}" if part in _SMALL_UNITS else f"* {_LARGE_UNITS[part]}"
        return Value(f"(extract(epoch from {truncated[0]} - {truncated[1]}) {scale})::{cast}", type_)
    if start.known.name == "time":
        raise Refused(f"a time has no {part}")
    if part in {"day", "doy", "weekday"}:
        sql, is_atom = f"{_day(end)} - {_day(start)}", False
    elif part == "week":
        sql, is_atom = " - ".join(f"({_day(value)} - '0001-01-01'::date + 1) / 7" for value in (end, start)), False
    elif part in {"year", "quarter", "month"}:
        sql, is_atom = f"extract(year from {end.sql}) - extract(year from {start.sql})", False
        if part != "year":
            rest = f"extract({part} from {end.sql}) - extract({part} from {start.sql})"
            sql = f"({sql}) * {12 if part == 'month' else 4} + {rest}"
        return Value(f"({sql})::{cast}", type_)
    else:
        raise Refused(f"DATEDIFF of {part}s is not translated")
    return Value(sql if type_ == INT else f"({sql})::{cast}", type_, is_atom=is_atom or type_ != INT)


def _counted(context: Context, node: Node, literal: SqlType, part: str) -> Value:
    """An argument of DATEDIFF; minutes and what is smaller begin at the same instants at every offset."""
    value = typed(context.value(node))
    if value.known.name == "datetimeoffset" and part in _CLOCK_PARTS - {"hour"}:
        return local_time(context.notes, replace(value, offset="+00:00"))
    return _moment(context, node, literal)


def _eomonth(context: Context, arguments: Arguments) -> Value:
    value = date_argument(context, arguments[0], DATETIME)
    months = "interval '1 month'"
    if len(arguments) == 2:
        count = _int(context, arguments[1], "EOMONTH")
        months = f"make_interval(months => {count.operand} + 1)"
        if isinstance(count.constant, int):
            months = f"interval '{count.constant + 1} months'"
    sql = f"(date_trunc('month', {stamp(value)}) + {months} - interval '1 day')::date"
    return Value(sql, DATE, is_now=value.is_now)


def _int(context: Context, node: Node, function: str) -> Value:
    value = typed(context.value(node))
    if value.known.name not in INTEGERS or value.known.name == "bigint":
        raise Refused(f"{function} has a part that is not an int")
    return value


def _datefromparts(context: Context, arguments: Arguments) -> Value:
    parts = [_int(context, argument, "DATEFROMPARTS") for argument in arguments]
    return Value(f"make_date({', '.join(part.sql for part in parts)})", DATE)


def _from_parts(function: str, type_: SqlType, context: Context, arguments: Arguments) -> Value:
    """A moment of its parts; fractions of a second are translated where they are the constant 0."""
    parts = [_int(context, argument, "a function of parts").sql for argument in arguments]
    count = {"make_timestamp": 6, "make_time": 3}[function]
    rest = parts[count:]
    if any(part != "0" for part in rest[:1]):
        raise Refused("the fraction of a second is not the constant 0")
    whole = [*parts[:count], *(["0"] * (count - len(parts)))]
    if len(rest) == 2:
        if not rest[1].isdigit() or int(rest[1]) > 7:
            raise Refused("the precision is not a constant from 0 to 7")
        type_ = replace(type_, scale=int(rest[1]))
    return Value(f"{function}({', '.join(whole)})", type_)


def _datetrunc(context: Context, arguments: Arguments) -> Value:
    part = part_name(arguments[0])
    value = date_argument(context, arguments[1], SqlType("datetime2", scale=7))
    if part == "week":
        raise Refused("the first day of a week depends on DATEFIRST")
    unit = {"doy": "day", "weekday": "day", "iso_week": "week"}.get(part, part)
    sql = f"date_trunc('{unit}', {stamp(value)})"
    if value.known.name == "date":
        sql = f"{sql}::date"
    return replace(value, sql=sql, is_atom=True, constant=None)


def _offset(context: Context, node: Node) -> str:
    """A zone as hours and minutes from UTC. Raises `Refused` for any that is not constant."""
    zone = context.value(node).constant
    if isinstance(zone, int) and not isinstance(zone, bool) and abs(zone) <= 14 * 60:
        return f"{'-' if zone < 0 else '+'}{abs(zone) // 60:02}:{abs(zone) % 60:02}"
    if isinstance(zone, str) and re.fullmatch(r"[+-](?:0[0-9]|1[0-4]):[0-5][0-9]", zone):
        return "+00:00" if zone == "-00:00" else zone
    raise Refused("the offset is not a constant from -14:00 to +14:00")


def _switchoffset(context: Context, arguments: Arguments) -> Value:
    """The same instant at another offset ("SWITCHOFFSET")."""
    value = typed(context.value(arguments[0]))
    if value.known.name != "datetimeoffset":
        value = convert(context.notes, value, SqlType("datetimeoffset", scale=7))
    return replace(value, offset=_offset(context, arguments[1]), constant=None)


def _todatetimeoffset(context: Context, arguments: Arguments) -> Value:
    """A local time at an offset ("TODATETIMEOFFSET")."""
    value = date_argument(context, arguments[0], SqlType("datetime2", scale=7))
    offset = _offset(context, arguments[1])
    if value.known.name != "datetime2":
        value = between_times(context.notes, value, SqlType("datetime2", scale=7), Refused("no date"))
    type_ = SqlType("datetimeoffset", scale=value.known.scale)
    return Value(at_offset(value.operand, offset), type_, offset=offset, is_now=value.is_now)


def _at_time_zone(context: Context, arguments: Arguments) -> Value:
    """A local time in a zone, or an instant shown there ("AT TIME ZONE")."""
    name = context.value(arguments[1]).constant
    if not isinstance(name, str):
        raise Refused("the time zone is not constant")
    zone = {windows.lower(): zone for windows, zone in ZONES.items()}.get(name.lower())
    if zone is None:
        raise Refused(f"the time zone {name} is not known here")
    offset = "+00:00" if zone == UTC else zone
    value = typed(context.value(arguments[0]))
    if zone != UTC:
        context.notes.assume(Assumption.TIME_ZONES, f"the zone {name} of Windows has rules of its own")
    if value.known.name == "datetimeoffset":
        return replace(value, offset=offset)
    if value.known.name not in {"datetime", "datetime2", "smalldatetime"}:
        raise Refused(f"{value.type} is given a time zone")
    scale = value.known.scale if value.known.name == "datetime2" else 3 * (value.known.name == "datetime")
    type_ = SqlType("datetimeoffset", scale=scale)
    return Value(at_offset(value.operand, offset), type_, offset=offset, is_now=value.is_now)


def _format(context: Context, arguments: Arguments) -> Value:
    """Dates by patterns of numbers; what a culture decides is not translated ("FORMAT")."""
    pattern = context.value(arguments[1]).constant
    culture = context.value(arguments[2]).constant if len(arguments) == 3 else None
    if not isinstance(pattern, str) or not (culture is None or isinstance(culture, str)):
        raise Refused("FORMAT is translated for a constant pattern and culture only")
    value = typed(context.value(arguments[0]))
    if is_exact(value.known):
        return formatted_number(context.notes, value, pattern, culture)
    if value.known.name not in DATED | {"datetimeoffset"}:
        raise Refused(f"FORMAT of {value.type} is not translated")
    return formatted(context.notes, date_argument(context, arguments[0], DATETIME), pattern, culture)


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
    "DATEDIFF": Function(partial(_datediff, INT), 3, 3),
    "DATEDIFF_BIG": Function(partial(_datediff, SqlType("bigint")), 3, 3),
    "DATENAME": Function(_datename, 2, 2),
    "DATETRUNC": Function(_datetrunc, 2, 2),
    "EOMONTH": Function(_eomonth, 1, 2),
    "DATEFROMPARTS": Function(_datefromparts, 3, 3),
    "DATETIMEFROMPARTS": Function(partial(_from_parts, "make_timestamp", DATETIME), 7, 7),
    "DATETIME2FROMPARTS": Function(partial(_from_parts, "make_timestamp", SqlType("datetime2", scale=7)), 8, 8),
    "SMALLDATETIMEFROMPARTS": Function(partial(_from_parts, "make_timestamp", SqlType("smalldatetime")), 5, 5),
    "TIMEFROMPARTS": Function(partial(_from_parts, "make_time", SqlType("time", scale=7)), 5, 5),
    "SWITCHOFFSET": Function(_switchoffset, 2, 2),
    "TODATETIMEOFFSET": Function(_todatetimeoffset, 2, 2),
    AT_TIME_ZONE: Function(_at_time_zone, 2, 2),
    "FORMAT": Function(_format, 2, 3),
}
