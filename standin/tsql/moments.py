"""Dates and times as ticks, in which they are computed."""

from __future__ import annotations

from model.catalog import SqlType
from standin.types import is_text_moment

#: datetime, and datetime2 with all its digits
DATETIME, DATETIME2 = SqlType("datetime"), SqlType("datetime2", scale=7)


def ticks_of(sql: str, kind: SqlType) -> str:
    """The local ticks of a moment; of a time, those since midnight."""
    if kind.name == "datetimeoffset":
        return f"tds_dt2_ticks(left({sql}, 27))"
    if kind.name == "time":
        return f"tds_time_ticks({sql})" if kind.scale == 7 else f"(epoch_us({sql}) * 10)"
    if is_text_moment(kind):
        return f"tds_dt2_ticks({sql})"
    return f"tds_ts_ticks(CAST({sql} AS TIMESTAMP))"


def from_ticks(ticks: str, kind: SqlType) -> str:
    """A moment of the type from ticks, rounded as the type asks."""
    if kind.name == "datetime":
        day, rest = f"(({ticks}) // 864000000000)", f"(({ticks}) % 864000000000)"
        milliseconds = f"((({rest} * 3 + 50000) // 100000 * 10 + 1) // 3)"
        return f"tds_ticks_ts({day} * 864000000000 + {milliseconds} * 10000)"
    if kind.name == "smalldatetime":
        return f"tds_ticks_ts((({ticks}) + 300000000) // 600000000 * 600000000)"
    unit = 10 ** (7 - kind.scale)
    rounded = f"(({ticks}) + {unit // 2}) // {unit} * {unit}" if unit > 1 else ticks
    if kind.name == "time":
        return f"tds_ticks_time({rounded})" if kind.scale == 7 else f"CAST(tds_ticks_ts({rounded}) AS TIME)"
    return f"tds_ticks_dt2({rounded})" if kind.scale == 7 else f"tds_ticks_ts({rounded})"
