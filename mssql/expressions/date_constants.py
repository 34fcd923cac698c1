"""Constants that become dates and times: only what no session setting decides.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

import datetime as dt
import re

from model.catalog import SqlType
from mssql.expressions.tree import Refused
from mssql.expressions.values import Constant

_BASE_DATE = dt.date(1900, 1, 1)
_DATE_TIME_TEXT = re.compile(
    r"(?P<date>[0-9]{8}|[0-9]{1,4}(?P<separator>[-/.])[0-9]{1,2}(?P=separator)[0-9]{1,4})?"
    r"(?:(?P<gap>[T ])?(?P<time>[0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,7})?)?))?"
    r"(?P<zone> ?[+-][0-9]{2}:[0-9]{2}|Z)?"
)
_STYLE_ORDERS = {
    23: ("ymd", "-"), 101: ("mdy", "/"), 102: ("ymd", "."), 103: ("dmy", "/"), 104: ("dmy", "."), 105: ("dmy", "-"),
    110: ("mdy", "-"), 111: ("ymd", "/"), 120: ("ymd", "-"), 121: ("ymd", "-"),
}  # fmt: skip


def to_time(value: Constant, target: SqlType, style: int | None, refusal: Refused) -> dt.date | dt.time:
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
        return _fitted(day, dt.time(), "", target, refusal)
    if isinstance(value, str):
        return _parsed_time(value, target, style, refusal)
    if isinstance(value, dt.datetime):
        if value.tzinfo is not None:
            if target.name == "datetimeoffset":
                return value
            raise refusal
        fraction = f"{value.microsecond:06}".rstrip("0")
        if target.name in {"datetime", "smalldatetime"} and len(fraction) > 3:
            raise refusal
        return _fitted(value.date(), value.time(), fraction, target, refusal)
    if isinstance(value, dt.date):
        return _fitted(value, dt.time(), "", target, refusal)
    if isinstance(value, dt.time) and target.name == "time":
        return value
    raise refusal


def _parsed_time(text: str, target: SqlType, style: int | None, refusal: Refused) -> dt.date | dt.time:
    """A date literal whose meaning depends on no session setting ("SET DATEFORMAT", the pages of the types)."""
    text = text.strip(" ")
    match = _DATE_TIME_TEXT.fullmatch(text)
    if match is None or (match["gap"] is None) == bool(match["date"] and match["time"]):
        raise refusal
    if match["gap"] == "T" and (not match["date"] or len(match["date"]) != 10 or match["time"].count(":") != 2):
        raise refusal
    if match["zone"] and (target.name != "datetimeoffset" or not match["time"]):
        raise refusal
    if not match["date"] and match["time"] and target.name in {"date", "datetimeoffset"}:
        raise refusal
    try:
        day = _parsed_date(match["date"], match["gap"] == "T", target, style) if match["date"] else _BASE_DATE
        clock, _, fraction = (match["time"] or "00:00").partition(".")
        hour, minute, second = (int(part) for part in (clock + ":0").split(":")[:3])
        time = dt.time(hour, minute, second)
    except ValueError:
        raise refusal from None
    if target.name in {"datetime", "smalldatetime"} and len(fraction) > 3:
        raise refusal
    result = _fitted(day, time, fraction.rstrip("0"), target, refusal)
    zone = (match["zone"] or "").strip(" ")
    if zone not in {"", "Z"} and isinstance(result, dt.datetime):
        hours, minutes = int(zone[1:3]), int(zone[4:])
        if hours > 14 or minutes > 59:
            raise refusal
        offset = dt.timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
        return result.replace(tzinfo=dt.timezone(offset))
    return result


def _parsed_date(text: str, is_iso: bool, target: SqlType, style: int | None) -> dt.date:
    """Year, month and day of a date text. Raises `Refused` when two readings are possible, `ValueError` when none."""
    if len(text) == 8 and text.isdigit():
        if style not in {None, 112}:
            raise ValueError
        return dt.date(int(text[:4]), int(text[4:6]), int(text[6:]))
    parts = re.split(r"[-/.]", text)
    separator = text[len(parts[0])]
    lengths = [len(part) for part in parts]
    first, second, third = (int(part) for part in parts)
    if style is not None and not (is_iso and style == 126):
        order, expected = _STYLE_ORDERS.get(style, ("", ""))
        if separator != expected or lengths[order.index("y")] != 4:
            raise ValueError
        values = dict(zip(order, (first, second, third), strict=True))
        return dt.date(values["y"], values["m"], values["d"])
    if lengths == [4, 2, 2] and separator == "-" and (is_iso or target.name not in {"datetime", "smalldatetime"}):
        return dt.date(first, second, third)
    if is_iso or sorted(lengths)[-1] != 4 or lengths[1] == 4 or lengths.count(4) != 1:
        raise ValueError
    year = first if lengths[0] == 4 else third
    one, other = (second, third) if lengths[0] == 4 else (first, second)
    if one <= 12 and other <= 12 and one != other:
        raise Refused(
            f"{text!r} as {target} depends on the session's date format: month and day can be taken for each other"
        )
    return dt.date(year, min(one, other), max(one, other))


def _fitted(day: dt.date, time: dt.time, fraction: str, target: SqlType, refusal: Refused) -> dt.date | dt.time:
    """Day, time and the fraction's digits in the target type, with its rounding."""
    name = target.name
    if name == "date":
        return day
    base = dt.datetime.combine(day, time.replace(microsecond=0))
    try:
        if name == "smalldatetime":
            if fraction:
                raise refusal
            base = base + dt.timedelta(minutes=1 if base.second >= 30 else 0, seconds=-base.second)
            if not dt.datetime(1900, 1, 1) <= base <= dt.datetime(2079, 6, 6, 23, 59):
                raise refusal
            return base
        if name == "datetime":
            ticks = (int(fraction.ljust(3, "0")) * 3 + 5) // 10
            base += dt.timedelta(milliseconds=(ticks * 20 + 3) // 6)
            if base.year < 1753:
                raise refusal
            return base
    except OverflowError:
        raise refusal from None
    if len(fraction) > min(target.scale, 6):
        raise refusal
    base = base.replace(microsecond=int(fraction.ljust(6, "0")))
    if name == "time":
        return base.time()
    return base.replace(tzinfo=dt.timezone.utc) if name == "datetimeoffset" else base
