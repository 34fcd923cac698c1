"""Dates and times under another type, and the texts that become dates.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.date_texts import SAME_STYLES
from mssql.expressions.tree import Refused
from mssql.expressions.types import DATE, SCALED_TIMES
from mssql.expressions.values import Notes, Value, quoted

LOCAL_TIME = "the present time is local to the PostgreSQL session's TimeZone: set it to the source server's zone"
_DATETIME2 = SqlType("datetime2", scale=7)


def between_times(notes: Notes, value: Value, target: SqlType, refusal: Refused) -> Value:
    """A date or time as another type of these ("CAST and CONVERT", the pages of the types)."""
    source = value.known
    if source.name == "datetimeoffset":
        if target.name == "datetimeoffset":
            return _rounded(notes, value, target)
        return between_times(notes, local_time(notes, value), target, refusal)
    if source.name == "time":
        return _of_time(notes, value, target, refusal)
    if target.name == "datetimeoffset":
        # Without an offset a time is taken as UTC ("datetimeoffset").
        rounded = _rounded(notes, value, replace(_DATETIME2, scale=target.scale))
        sql = stamp(value) if value.known.name == "date" else rounded.operand
        return Value(at_offset(sql, "+00:00"), target, is_now=value.is_now, offset="+00:00")
    if target.name == "date":
        return value if source.name == "date" else replace(value, sql=f"{value.operand}::date", type=DATE, is_atom=True)
    if target.name == "time":
        if source.name == "date":
            raise refusal
        rounded = _rounded(notes, value, replace(_DATETIME2, scale=target.scale))
        return replace(rounded, sql=f"{rounded.operand}::time", type=target, is_atom=True)
    if source.name == "date":
        return replace(value, sql=stamp(value), type=target, is_atom=True, is_whole=True)
    return _rounded(notes, value, target)


def _of_time(notes: Notes, value: Value, target: SqlType, refusal: Refused) -> Value:
    """A time alone; its day is 1900-01-01 ("time")."""
    if target.name == "time":
        if target.scale >= value.known.scale:
            return replace(value, type=target)
        notes.doubt(f"how {value.known} becomes {target} at the end of a day is not documented")
        return replace(value, sql=f"{value.operand}::time({target.scale})", type=target, is_atom=True)
    if target.name not in {"datetime", "smalldatetime", "datetime2"}:
        raise refusal
    moment = replace(
        value, sql=f"'1900-01-01'::date + {value.operand}", type=replace(_DATETIME2, scale=value.known.scale),
        is_atom=False,
    )  # fmt: skip
    return _rounded(notes, moment, target)


def _rounded(notes: Notes, value: Value, target: SqlType) -> Value:
    """A moment with the fraction that the target has: rounded, not cut ("CAST and CONVERT", datetime2)."""
    source = value.known
    result = replace(value, type=target)
    if source.name in {"date", "smalldatetime"}:
        return result
    if target.name == "smalldatetime":
        if source.name != "datetime" and not value.is_now:
            notes.doubt(f"how {source} becomes {target} at 29.999 seconds differs")
        return replace(result, sql=f"date_trunc('minute', {value.operand} + interval '30 seconds')", is_atom=True)
    if value.is_now:
        return result
    digits = source.scale if source.name in SCALED_TIMES else 3
    kept = target.scale if target.name in SCALED_TIMES else 3
    if target.name == "datetime" and source.name != "datetime" and digits > 0:
        notes.doubt(f"{source} becomes {target} in thirds of hundredths of a second")
    elif source.name == "datetime" and target.name in SCALED_TIMES and kept > 3:
        why = f"{source} becomes {target} with fractions that depend on the compatibility level"
        notes.doubt(why, is_lenient=True)
        notes.assume(Assumption.DATETIME_FRACTIONS, why)
    if kept >= min(digits, 6):
        return result
    if kept in {0, 3}:
        unit, half = ("second", "0.5") if kept == 0 else ("milliseconds", "0.0005")
        return replace(result, sql=f"date_trunc('{unit}', {value.operand} + interval '{half} seconds')", is_atom=True)
    notes.doubt(f"PostgreSQL rounds the last digit of {target} in another way before 2000")
    return replace(result, sql=f"{value.operand}::timestamp({kept})", is_atom=True)


def local_time(notes: Notes, value: Value) -> Value:
    """The local time of a datetimeoffset, where its offset is known. Raises `Refused`."""
    type_ = replace(_DATETIME2, scale=value.known.scale)
    if value.offset is not None:
        return replace(value, sql=at_offset(value.operand, value.offset), type=type_, offset=None, is_atom=True)
    if value.is_now:
        notes.remark(LOCAL_TIME)
        return replace(value, sql=f"{value.operand}::timestamp", type=type_, is_atom=True)
    raise Refused("the local time of a datetimeoffset is lost in timestamptz, which keeps the instant")


def at_offset(sql: str, offset: str) -> str:
    """A local time from an instant, or an instant from a local time; `offset` may be the name of a zone."""
    if offset == "+00:00":
        zone = quoted("UTC")
    else:
        zone = f"interval {quoted(offset)}" if offset[0] in "+-" else quoted(offset)
    return f"({sql} AT TIME ZONE {zone})"


def stamp(value: Value) -> str:
    """The date as a timestamp: PostgreSQL turns a bare date into timestamptz, by the session's zone."""
    return value.operand if value.known.name != "date" else f"{value.operand}::timestamp"


def day_of_text(notes: Notes, value: Value, target: SqlType, style: int | None, refusal: Refused) -> Value:
    """A text as a date: the day that the text was made of, or what a person may look at."""
    made = value.date_text
    style = SAME_STYLES.get(style, style) if style is not None else None
    if made is not None:
        is_iso = made.style in {20, 21, 23, 126} and target.name in {"date", "datetime2"}
        if (made.style not in {style, 112} and not is_iso) or made.style < 20:
            notes.assume(
                Assumption.DAY_THROUGH_TEXT, "the text of a date is read again by the language of the source's session"
            )
        day = between_times(notes, between_times(notes, made.date, DATE, refusal), target, refusal)
        if made.time == dt.time() or target.name == "date":
            return day
        if target.name == "smalldatetime":
            raise refusal
        return replace(day, sql=f"{day.operand} + interval '{made.time.isoformat()}'", is_atom=False, is_whole=False)
    if value.is_digits and style in {None, 112}:
        notes.assume(Assumption.DAY_NUMBERS, "which numbers are days differs")
    else:
        notes.doubt(f"which texts are a {target}, and what an empty one is, differs")
    return between_times(notes, _day(notes, value, style, refusal), target, refusal)


def _day(notes: Notes, value: Value, style: int | None, refusal: Refused) -> Value:
    """A day from its digits; of other texts as a suggestion only, for to_date is not immutable."""
    if value.is_digits or style == 112:
        notes.once(value)
        parts = (f"substring({value.sql}, {at}, {length})::integer" for at, length in ((1, 4), (5, 2), (7, 2)))
        return Value(f"make_date({', '.join(parts)})", DATE)
    pattern = {
        None: "YYYY-MM-DD", 20: "YYYY-MM-DD", 23: "YYYY-MM-DD", 101: "MM/DD/YYYY", 103: "DD/MM/YYYY",
        104: "DD.MM.YYYY", 105: "DD-MM-YYYY", 111: "YYYY/MM/DD", 21: "YYYY-MM-DD",
    }.get(style)  # fmt: skip
    if pattern is None:
        raise refusal
    return Value(f"to_date({value.sql}, {quoted(pattern)})", DATE)
