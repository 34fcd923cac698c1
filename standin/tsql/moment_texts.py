"""Dates and times as CONVERT writes them."""

from __future__ import annotations

from model.catalog import SqlType
from standin.tsql.moments import ticks_of
from standin.tsql.values import Typed

_MOMENT_STYLES = {
    0: "%b %_d %Y %_I:%M%p", 1: "%m/%d/%y", 2: "%y.%m.%d", 3: "%d/%m/%y", 4: "%d.%m.%y", 5: "%d-%m-%y",
    8: "%H:%M:%S", 10: "%m-%d-%y", 11: "%y/%m/%d", 12: "%y%m%d", 101: "%m/%d/%Y", 102: "%Y.%m.%d", 103: "%d/%m/%Y",
    104: "%d.%m.%Y", 105: "%d-%m-%Y", 108: "%H:%M:%S", 110: "%m-%d-%Y", 111: "%Y/%m/%d", 112: "%Y%m%d",
    20: "%Y-%m-%d %H:%M:%S", 120: "%Y-%m-%d %H:%M:%S", 23: "%Y-%m-%d",
}  # fmt: skip


def moment_text(value: Typed, kind: SqlType, style: int | None) -> str:
    """A moment, date or time as CONVERT writes it."""
    if kind.name == "time":
        digits = kind.scale
        text = f"tds_ticks_time({ticks_of(value.sql, kind)})"
        return f"left({text}, {9 + digits if digits else 8})"
    if style is None:
        style = 0 if kind.name in {"datetime", "smalldatetime"} else 121
    ticks = ticks_of(value.sql, kind)
    if style in {0, 100}:
        at = f"tds_ticks_ts({ticks})"
        day = f"strftime({at}, '%b ') || lpad(CAST(day({at}) AS VARCHAR), 2, ' ') || strftime({at}, ' %Y ')"
        hour = f"lpad(CAST((hour({at}) + 11) % 12 + 1 AS VARCHAR), 2, ' ')"
        return f"({day} || {hour} || strftime({at}, ':%M%p'))"
    if style in _MOMENT_STYLES:
        return f"strftime(tds_ticks_ts({ticks}), '{_MOMENT_STYLES[style]}')"
    text = f"tds_ticks_dt2({ticks})"
    if kind.name == "date":
        return f"left({text}, 10)"
    digits = {"datetime": 3, "smalldatetime": 0}.get(kind.name, kind.scale)
    if style == 127 and kind.name == "datetimeoffset":
        text = f"tds_ticks_dt2(tds_dto_ticks({value.sql}))"
    body = f"left({text}, {20 + digits if digits else 19})"
    if style in {126, 127}:
        body = f"replace(regexp_replace({body}, '\\.0+$', ''), ' ', 'T')"
    if kind.name != "datetimeoffset":
        return body
    if style == 127:
        return f"({body} || 'Z')"
    # The blank before the offset is not written in ISO 8601.
    return f"({body} || substr({value.sql}, {29 if style == 126 else 28}))"
