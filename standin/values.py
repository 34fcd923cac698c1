"""Values as Python gives them, in the form in which they are stored."""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from decimal import Decimal

import pyarrow as pa

from model.catalog import SqlType
from standin.errors import EncodingError
from standin.surrogates import keep_surrogates
from standin.types import BINARIES, DECIMALS, INTEGERS, MOMENTS, SPATIAL, TEXTS, is_text_moment

#: stands between a sql_variant's text and its base type
BASE_TYPE_MARK = "\U0010e000"


@dataclass(frozen=True)
class Variant:
    """A value of a sql_variant column with its base type; plain text needs none, and is nvarchar."""

    kind: SqlType
    value: object

    @property
    def stored(self) -> str:
        """The value's text, the mark, the base type's name."""
        value = stored_value(self.kind, self.value)
        text = "0x" + value.hex() if isinstance(value, bytes) else str(value)
        if self.kind.name == "uniqueidentifier":
            text = text.upper()
        return f"{text}{BASE_TYPE_MARK}{self.kind.name}"


@dataclass(frozen=True)
class Shape:
    """A value of a geography or geometry column, in the forms in which it can be asked for."""

    wkb: bytes
    srid: int = 4326
    wkt: str = ""

    @property
    def stored(self) -> bytes:
        """SRID and length of the binary, four bytes each, the binary, the text."""
        return struct.pack(">iI", self.srid, len(self.wkb)) + self.wkb + self.wkt.encode()


def stored_value(kind: SqlType, value: object) -> object:
    """A Python value in the form its column's Arrow array takes, see `arrow_type`."""
    if value is None:
        return None
    if isinstance(value, (Variant, Shape)):
        return keep_surrogates(value.stored) if isinstance(value, Variant) else value.stored
    if kind.name in TEXTS:
        return keep_surrogates(str(value))
    if kind.name in SPATIAL and isinstance(value, bytes):
        return Shape(value).stored
    if kind.name in BINARIES and isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value)
    if kind.name in INTEGERS:
        return int(value)  # type: ignore[call-overload]
    if kind.name in DECIMALS:
        return Decimal(str(value))
    if kind.name == "datetimeoffset":
        return offset_text(value)
    if is_text_moment(kind):
        text = str(value).replace("T", " ")
        if kind.name == "datetime2" and len(text) == 10:
            text += " 00:00:00"
        return _seven_digits(text)
    if kind.name in MOMENTS or kind.name in {"date", "time"}:
        return str(value)
    if kind.name == "uniqueidentifier":
        return str(value)
    return value


def offset_text(value: object) -> str:
    """A datetimeoffset in its stored text; an aware `datetime` or text `… +HH:MM`."""
    text = str(value).replace("T", " ")
    found = re.fullmatch(r"(.{10} [\d:.]+?) ?([+-]\d\d:\d\d|Z)?", text)
    if not found:
        raise EncodingError(f"{text!r} is not a datetimeoffset")
    offset = found[2] if found[2] and found[2] != "Z" else "+00:00"
    return f"{_seven_digits(found[1])} {offset}"


def _seven_digits(text: str) -> str:
    head, _, digits = text.partition(".")
    return f"{head}.{digits:0<7}"


def arrow_type(kind: SqlType) -> pa.DataType:
    """The Arrow type in which `stored_value` results are handed to DuckDB, which casts the rest."""
    if kind.name in INTEGERS:
        return pa.int64()
    if kind.name in DECIMALS:
        scale = kind.scale if kind.name in {"decimal", "numeric"} else 4
        return pa.decimal128(38, scale)
    if kind.name in {"real", "float"}:
        return pa.float64()
    if kind.name in BINARIES:
        return pa.binary()
    return pa.string()
