"""The values of a request's parameters."""

from __future__ import annotations

import datetime
import struct
import uuid
from decimal import Decimal

from model.catalog import SqlType
from standin.collations import code_page
from standin.errors import EncodingError
from standin.surrogates import keep_surrogates
from standin.ticks import DAYS_TO_1900, TICKS_PER_DAY
from standin.types import clock_size
from standin.wire.reader import Reader

_FIXED_WIDTHS = {0x30: 1, 0x32: 1, 0x34: 2, 0x38: 4, 0x3A: 4, 0x3B: 4, 0x3C: 8, 0x3D: 8, 0x3E: 8, 0x7A: 4, 0x7F: 8}


def read_value(reader: Reader) -> tuple[SqlType, object]:
    """The next value with its type. Raises EncodingError for a type that is not known."""
    token = reader.number(1)
    if token == 0x1F:
        return SqlType("int"), None
    if token in _FIXED_WIDTHS:
        return _read_fixed(token, reader.take(_FIXED_WIDTHS[token]), 0, 0)
    if token == 0x28:
        return _read_clock(token, 0, reader.take(reader.number(1)))
    if token in {0x29, 0x2A, 0x2B}:
        scale = reader.number(1)
        return _read_clock(token, scale, reader.take(reader.number(1)))
    if token in {0x24, 0x26, 0x68, 0x6A, 0x6C, 0x6D, 0x6E, 0x6F}:
        declared, precision, scale = reader.number(1), 0, 0
        if token in {0x6A, 0x6C}:
            precision, scale = reader.number(1), reader.number(1)
        raw = reader.take(reader.number(1))
        if raw:
            return _read_fixed(token, raw, precision, scale)
        if token == 0x26:
            return SqlType({1: "tinyint", 2: "smallint", 8: "bigint"}.get(declared, "int")), None
        if token == 0x6F:
            return SqlType("datetime"), None
        return _read_fixed(token, raw, precision, scale)
    if token == 0xF1:
        if reader.number(1):
            raise EncodingError("xml parameters with a schema are not supported by the stand-in")
        body = reader.plp()
        return SqlType("xml", -1), None if body is None else body.decode("utf-16")
    if token in {0x22, 0x23, 0x63}:
        reader.take(4)
        collation = reader.take(5) if token != 0x22 else b""
        size = reader.number(4)
        data = None if size == 0xFFFFFFFF else reader.take(size)
        return _finish_long(token, data, -1, collation)
    if token in {0xA5, 0xAD, 0xA7, 0xAF, 0xE7, 0xEF}:
        declared = reader.number(2)
        collation = reader.take(5) if token not in {0xA5, 0xAD} else b""
        if declared == 0xFFFF:
            return _finish_long(token, reader.plp(), -1, collation)
        size = reader.number(2)
        return _finish_long(token, None if size == 0xFFFF else reader.take(size), declared, collation)
    return _read_fixed(token, b"", 0, 0)


def _read_fixed(token: int, raw: bytes, precision: int, scale: int) -> tuple[SqlType, object]:
    """A value whose TYPE_INFO is a length in one byte, or none: `raw` is empty for NULL."""
    width = len(raw)
    if token in {0x32, 0x68}:
        return SqlType("bit"), int(raw[0]) if raw else None
    if token in {0x26, 0x30, 0x34, 0x38, 0x7F}:
        names = {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"}
        signed = width > 1
        return SqlType(names.get(width, "int")), int.from_bytes(raw, "little", signed=signed) if raw else None
    if token in {0x6D, 0x3B, 0x3E}:
        kind = SqlType("real" if width == 4 else "float")
        return kind, struct.unpack("<f" if width == 4 else "<d", raw)[0] if raw else None
    if token in {0x6A, 0x6C, 0x37, 0x3F}:
        kind = SqlType("decimal", precision=precision, scale=scale)
        if not raw:
            return kind, None
        number = int.from_bytes(raw[1:], "little") * (1 if raw[0] else -1)
        sign, digits = ("-" if number < 0 else ""), str(abs(number))
        return kind, Decimal(f"{sign}{digits}E-{scale}")
    if token in {0x6E, 0x3C, 0x7A}:
        kind = SqlType("smallmoney" if width == 4 else "money")
        if not raw:
            return kind, None
        if width == 4:
            return kind, Decimal(int.from_bytes(raw, "little", signed=True)).scaleb(-4)
        high, low = struct.unpack("<iI", raw)
        return kind, Decimal((high << 32) + low) / 10000
    if token in {0x6F, 0x3A, 0x3D}:
        if width == 4:
            days, minutes = struct.unpack("<HH", raw)
            ticks = (days + DAYS_TO_1900) * TICKS_PER_DAY + minutes * 600_000_000
            return SqlType("smalldatetime"), _moment_text(ticks, 0)
        if not raw:
            return SqlType("datetime"), None
        days, units = struct.unpack("<iI", raw)
        milliseconds = (units * 10 + 1) // 3
        return SqlType("datetime"), _moment_text((days + DAYS_TO_1900) * TICKS_PER_DAY + milliseconds * 10_000, 3)
    if token == 0x24:
        return SqlType("uniqueidentifier"), uuid.UUID(bytes_le=raw) if raw else None
    raise EncodingError(f"parameters of TDS type 0x{token:02x} are not supported by the stand-in")


def _read_clock(token: int, scale: int, raw: bytes) -> tuple[SqlType, object]:
    """date, time, datetime2 and datetimeoffset; moments come as text with all their digits."""
    if token == 0x28:
        value = datetime.date.fromordinal(int.from_bytes(raw, "little") + 1) if raw else None
        return SqlType("date", precision=10), value
    name = {0x29: "time", 0x2A: "datetime2", 0x2B: "datetimeoffset"}[token]
    kind = SqlType(name, scale=scale)
    if not raw:
        return kind, None
    width = clock_size(scale)
    ticks = int.from_bytes(raw[:width], "little") * 10 ** (7 - scale)
    if token == 0x29:
        return kind, _clock_text(ticks, scale)
    ticks += int.from_bytes(raw[width : width + 3], "little") * TICKS_PER_DAY
    if token == 0x2A:
        return kind, _moment_text(ticks, scale)
    minutes = struct.unpack("<h", raw[width + 3 :])[0]
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return kind, f"{_moment_text(ticks + minutes * 600_000_000)} {offset}"


def _finish_long(token: int, data: bytes | None, declared: int, collation: bytes) -> tuple[SqlType, object]:
    if token in {0x22, 0xA5, 0xAD}:
        return SqlType("varbinary", declared), data
    if token in {0x63, 0xE7, 0xEF}:
        text = None if data is None else keep_surrogates(data.decode("utf-16-le", "surrogatepass"))
        return SqlType("nvarchar", declared), text
    return SqlType("varchar", declared), None if data is None else data.decode(code_page(collation), "replace")


def _moment_text(ticks: int, digits: int = 7) -> str:
    day = datetime.date.fromordinal(ticks // TICKS_PER_DAY + 1)
    return f"{day.isoformat()} {_clock_text(ticks % TICKS_PER_DAY, digits)}"


def _clock_text(ticks: int, digits: int = 7) -> str:
    seconds, rest = divmod(ticks, 10_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{rest:07}"[: 9 + digits] if digits else text
