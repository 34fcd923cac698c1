"""A result's columns: the way of each T-SQL type to the wire, and how a client is told of them."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from model.catalog import SqlType
from standin.collations import Collation
from standin.types import BINARIES, INTEGERS, TEXTS
from standin.wire.dates import (
    date_type,
    datetime2_type,
    datetime_type,
    datetimeoffset_type,
    smalldatetime_type,
    time_type,
)
from standin.wire.numbers import decimal_type, float_type, integer_type, money_type
from standin.wire.texts_and_bytes import binary_type, guid_type, text_type
from standin.wire.wire_type import WireType


def wire_type(kind: SqlType, collation: str | None = None) -> WireType:
    """The way a value of the T-SQL type is sent; `collation` is the column's, by name."""
    plain = {
        "real": float_type,
        "float": float_type,
        "decimal": decimal_type,
        "numeric": decimal_type,
        "money": money_type,
        "smallmoney": money_type,
        "date": date_type,
        "time": time_type,
        "datetime2": datetime2_type,
        "datetimeoffset": datetimeoffset_type,
        "datetime": datetime_type,
        "smalldatetime": smalldatetime_type,
        "uniqueidentifier": guid_type,
    }
    if kind.name in INTEGERS:
        return integer_type(kind)
    if kind.name in plain:
        return plain[kind.name](kind)
    if kind.name in BINARIES:
        return binary_type(kind)
    return text_type(kind if kind.name in TEXTS else SqlType("nvarchar", -1), Collation.named(collation))


def column_metadata(columns: Sequence[tuple[str, WireType, bool, Sequence[str]]]) -> bytes:
    """COLMETADATA of columns given as (name, type, is nullable, parts of the table's name)."""
    out = bytearray(b"\x81" + struct.pack("<H", len(columns)))
    for name, wire, is_nullable, table in columns:
        out += struct.pack("<IH", wire.user_type, 0x0008 | int(is_nullable)) + wire.type_info()
        if wire.has_table_name:
            out += bytes([len(table)])
            for part in table:
                encoded = part.encode("utf-16-le")
                out += struct.pack("<H", len(encoded) // 2) + encoded
        encoded = name.encode("utf-16-le")[:256]
        out += bytes([len(encoded) // 2]) + encoded
    return bytes(out)
