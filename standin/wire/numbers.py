"""Numbers on the wire."""

from __future__ import annotations

import struct
from itertools import repeat

import pyarrow as pa

from model.catalog import SqlType
from standin.storage import storage
from standin.types import INTEGERS, decimal_size
from standin.wire.arrow_buffers import numbers_of
from standin.wire.wire_type import WireType


def integer_type(kind: SqlType) -> WireType:
    """bit, tinyint, smallint, int, bigint."""
    width = INTEGERS[kind.name]
    token = 0x68 if kind.name == "bit" else 0x26
    code = {1: "B", 2: "h", 4: "i", 8: "q"}[width]
    packer = struct.Struct("<B" + code).pack

    def pack(array: pa.Array) -> list[bytes]:
        return list(map(packer, repeat(width), numbers_of(array, code)))

    return WireType(kind, bytes([token, width]), f"CAST({{}} AS {storage(kind)})", pack)


def float_type(kind: SqlType) -> WireType:
    """real and float."""
    width, code = (4, "f") if kind.name == "real" else (8, "d")
    packer = struct.Struct("<B" + code).pack

    def pack(array: pa.Array) -> list[bytes]:
        return list(map(packer, repeat(width), numbers_of(array, code)))

    return WireType(kind, bytes([0x6D, width]), f"CAST({{}} AS {storage(kind)})", pack)


def _unscaled(array: pa.Array) -> list[int]:
    """The unscaled integers of a decimal128 array."""
    words = numbers_of(array, "q", 2)
    return [(high << 64) | (low & 0xFFFFFFFFFFFFFFFF) for low, high in zip(words[::2], words[1::2], strict=True)]


def decimal_type(kind: SqlType) -> WireType:
    """decimal and numeric."""
    length = decimal_size(kind.precision)
    width = length - 1
    head = {True: bytes([length, 1]), False: bytes([length, 0])}
    code = {4: "I", 8: "Q"}.get(width)
    packer = struct.Struct("<BB" + code).pack if code else None

    def pack(array: pa.Array) -> list[bytes]:
        if packer and kind.precision <= 18:
            return [packer(length, value >= 0, abs(value)) for value in numbers_of(array, "q", 2)[::2]]
        return [head[value >= 0] + abs(value).to_bytes(width, "little") for value in _unscaled(array)]

    token = 0x6A if kind.name == "decimal" else 0x6C
    info = bytes([token, length, kind.precision, kind.scale])
    return WireType(kind, info, f"CAST({{}} AS {storage(kind)})", pack)


def money_type(kind: SqlType) -> WireType:
    """money and smallmoney."""
    width = 8 if kind.name == "money" else 4
    packer = struct.Struct("<Bi" if width == 4 else "<BiI").pack

    def pack(array: pa.Array) -> list[bytes]:
        lows = numbers_of(array, "q", 2)[::2]
        if width == 4:
            return [packer(width, value) for value in lows]
        return [packer(width, value >> 32, value & 0xFFFFFFFF) for value in lows]

    return WireType(kind, bytes([0x6E, width]), f"CAST({{}} AS {storage(kind)})", pack)
