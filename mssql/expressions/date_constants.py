"""Constants that become dates and times, and where a setting of the session decides.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence

from model.catalog import SqlType
from mssql.expressions.assumptions import Assumption
from mssql.expressions.tree import Refused
from mssql.expressions.values import Constant, Notes

_BASE_DATE = dt.date(1900, 1, 1)
_TEXT = re.compile(
    r"(?P<date>[0-9]{8}|[0-9]{1,4}(?P<separator>[-/.])[0-9]{1,2}(?P=separator)[0-9]{1,4})?(?P<gap>T| +)?"
    r"(?P<time>[0-9]{1,2}(?::[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,7}|:[0-9]{3})?)?)?)?(?: *(?P<half>[AaPp][Mm]))?"
    r"(?P<zone> ?[+-][0-9]{2}:[0-9]{2}|Z)?"
)
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_SPELLED = (
    re.compile(r"(?P<month>[A-Za-z]{3,9})\.? *(?P<day>[0-9]{1,2})(?:,| ) *(?P<year>[0-9]{4})(?![0-9])"),
    re.compile(r"(?P<day>[0-9]{1,2})[- ]*(?P<month>[A-Za-z]{3,9}),?[- ]*(?P<year>[0-9]{4})(?![0-9])"),
)
_ORDERS = {
    1: ("mdy", "/"), 2: ("ymd", "."), 3: ("dmy", "/"), 4: ("dmy", "."), 5: ("dmy", "-"), 10: ("mdy", "-"),
    11: ("ymd", "/"), 20: ("ymd", "-"), 21: ("ymd", "-"), 23: ("ymd", "-"), 25: ("ymd", "-"), 101: ("mdy", "/"),
    102: ("ymd", "."), 103: ("dmy", "/"), 104: ("dmy", "."), 105: ("dmy", "-"), 110: ("mdy", "-"), 111: ("ymd", "/"),
    120: ("ymd", "-"), 121: ("ymd", "-"), 126: ("ymd", "-"), 127: ("ymd", "-"),
}  # fmt: skip
"""Styles of CONVERT that read a date, those below 20 with two digits of the year ("CAST and CONVERT")."""


def to_time(notes: Notes, value: Constant, target: SqlType, style: int | None, refusal: Refused) -> dt.date | dt.time:
    """A constant as a date or time of the target type."""
    if isinstance(value, bool):
        raise refusal
    if isinstance(value, int):
        if target.name not in {"datetime", "smalldatetime"}:
            raise refusal
        try:
            day = _BASE_DATE + dt.timedelta(days=value)
        except OverflowError:
            raise refusal from None
        return _fitted(notes, day, dt.time(), "", target, refusal)
    if isinstance(value, str):
        return _parsed(notes, value, target, style, refusal)
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            if target.name == "datetimeoffset":
                return value
            raise refusal
        fraction = f"{value.microsecond:06}".rstrip("0")
        if target.name in {"datetime", "smalldatetime"} and len(fraction) > 3:
            raise refusal
        return _fitted(notes, value.date(), value.time(), fraction, target, refusal)
    if isinstance(value, dt.date):
        return _fitted(notes, value, dt.time(), "", target, refusal)
    if isinstance(value, dt.time) and target.name == "time":
        return value
    raise refusal


def _parsed(notes: Notes, text: str, target: SqlType, style: int | None, refusal: Refused) -> dt.date | dt.time:
    """A text as a date ("datetime", "date", "time", and the formats that they take)."""
    text = _spelled_out(text.strip(" "))
    match = _TEXT.fullmatch(text)
    if match is None or bool(match["date"] and match["time"]) != bool(match["gap"]):
        raise refusal
    date, clock, zone = match["date"] or "", match["time"] or "", (match["zone"] or "").strip(" ")
    is_iso = match["gap"] == "T"
    if is_iso and (len(date) != 10 or clock.count(":") != 2 or match["half"] or clock.index(":") != 2):
        raise refusal
    if zone and (target.name != "datetimeoffset" or not clock):
        raise refusal
    if clock and not date and target.name in {"date", "datetimeoffset"}:
        raise refusal
    try:
        day = _parsed_date(notes, date, target, style, is_iso=is_iso) if date else _BASE_DATE
        time, fraction = _parsed_clock(clock, match["half"])
    except ValueError:
        raise refusal from None
    if target.name in {"datetime", "smalldatetime"} and len(fraction) > 3:
        raise refusal
    result = _fitted(notes, day, time, fraction.rstrip("0"), target, refusal)
    if zone not in {"", "Z"} and isinstance(result, dt.datetime):
        hours, minutes = int(zone[1:3]), int(zone[4:])
        if hours > 14 or minutes > 59:
            raise refusal
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
        return result.replace(tzinfo=dt.timezone(offset))
    return result


def _spelled_out(text: str) -> str:
    """A date with an English month at the beginning as eight digits: a session of another language knows the same
    month by it or none ("datetime", alphabetical format)."""
    for pattern in _SPELLED:
        match = pattern.match(text)
        word = match["month"].lower() if match is not None else ""
        if match is None or not any(word in {month, month[:3]} for month in _MONTHS):
            continue
        number = next(number for number, month in enumerate(_MONTHS, 1) if word in {month, month[:3]})
        rest = text[match.end() :]
        return f"{match['year']}{number:02}{int(match['day']):02}" + (f" {rest.lstrip(' ')}" if rest else "")
    return text


def _parsed_clock(text: str, half: str | None) -> tuple[dt.time, str]:
    """A time without its fraction, and the fraction's digits. Raises `ValueError`."""
    if not text:
        if half:
            raise ValueError(half)
        return dt.time(), ""
    clock, _, fraction = text.partition(".")
    parts = clock.split(":")
    if len(parts) == 4:
        fraction = parts.pop()
    if len(parts) == 1 and not half:
        raise ValueError(text)
    hour, minute, second = (int(part) for part in (*parts, "0", "0")[:3])
    if half is not None:
        if not 1 <= hour <= 12:
            raise ValueError(text)
        hour = hour % 12 + (12 if half.lower() == "pm" else 0)
    return dt.time(hour, minute, second), fraction


def _parsed_date(notes: Notes, text: str, target: SqlType, style: int | None, *, is_iso: bool) -> dt.date:
    """Year, month and day of a date text ("SET DATEFORMAT"). Raises `ValueError` for none."""
    if len(text) == 8 and text.isdigit():
        if style not in {None, 112}:
            raise ValueError(text)
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    parts = re.split(r"[-/.]", text)
    separator = text[len(parts[0])]
    lengths = [len(part) for part in parts]
    if 3 in lengths or lengths[1] > 2 or lengths.count(4) > 1:
        raise ValueError(text)
    if style is not None:
        order, expected = _ORDERS.get(style, ("", ""))
        if separator != expected or (lengths[order.index("y")] == 4) != (style >= 20):
            raise ValueError(text)
        return _ordered(notes, parts, order)
    year_first = lengths[0] == 4
    is_certain = lengths == [4, 2, 2] and separator == "-"
    if is_iso or (is_certain and target.name not in {"datetime", "smalldatetime"}):
        if not is_certain:
            raise ValueError(text)
        return _ordered(notes, parts, "ymd")
    one, other = (int(part) for part in (parts[1:] if year_first else parts[:2]))
    if 4 in lengths and (one > 12 or other > 12 or one == other):
        year = int(parts[0 if year_first else 2])
        return dt.date(year, min(one, other), max(one, other))
    if year_first:
        notes.assume(Assumption.ISO_DATES, f"{text!r} as {target} depends on the session's date format")
        return _ordered(notes, parts, "ymd")
    notes.doubt(f"{text!r} as {target} depends on the session's date format: month and day can be taken for each other")
    return _ordered(notes, parts, "mdy")


def _ordered(notes: Notes, parts: Sequence[str], order: str) -> dt.date:
    found = dict(zip(order, parts, strict=True))
    year = int(found["y"])
    if len(found["y"]) <= 2:
        notes.assume(Assumption.TWO_DIGIT_YEARS, "a year of two digits depends on the server's cutoff")
        year += 2000 if year < 50 else 1900
    return dt.date(year, int(found["m"]), int(found["d"]))


def _fitted(
    notes: Notes, day: dt.date, time: dt.time, fraction: str, target: SqlType, refusal: Refused
) -> dt.date | dt.time:
    """Day, time and the fraction's digits in the target type, with its rounding."""
    if target.name == "date":
        return day
    base = dt.datetime.combine(day, time.replace(microsecond=0))
    try:
        if target.name == "smalldatetime":
            # "29.998 seconds or less are rounded down to the nearest minute" ("smalldatetime").
            milliseconds = base.second * 1000 + int(fraction.ljust(3, "0"))
            base = base + dt.timedelta(minutes=1 if milliseconds >= 29_999 else 0, seconds=-base.second)
            if not dt.datetime(1900, 1, 1) <= base <= dt.datetime(2079, 6, 6, 23, 59):
                raise refusal
            return base
        if target.name == "datetime":
            ticks = (int(fraction.ljust(3, "0")) * 3 + 5) // 10
            base += dt.timedelta(milliseconds=(ticks * 20 + 3) // 6)
            if base.year < 1753:
                raise refusal
            return base
        unit = 10 ** (7 - target.scale)
        ticks = (int(fraction.ljust(7, "0")) + unit // 2) // unit * unit
        rounded = base + dt.timedelta(microseconds=ticks // 10)
    except OverflowError:
        raise refusal from None
    if ticks % 10:
        notes.assume(Assumption.SEVENTH_DIGIT, "PostgreSQL has six fractional digits")
    if target.name == "time":
        if rounded.date() != base.date():
            raise refusal
        return rounded.time()
    return rounded.replace(tzinfo=dt.timezone.utc) if target.name == "datetimeoffset" else rounded
