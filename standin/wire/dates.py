"""Dates and times on the wire."""

from __future__ import annotations

import datetime
import struct

import pyarrow as pa

from model.catalog import SqlType
from standin.ticks import DAYS_TO_1900, EPOCH_DAYS, TICKS_PER_DAY
from standin.types import clock_size
from standin.wire.arrow_buffers import blobs_of, numbers_of
from standin.wire.wire_type import WireType


def date_type(kind: SqlType) -> WireType:
    """date: its days since 0001-01-01."""
    packer = struct.Struct("<BHB").pack

    def pack(array: pa.Array) -> list[bytes]:
        days = [value + EPOCH_DAYS for value in numbers_of(array, "i")]
        return [packer(3, day & 0xFFFF, day >> 16) for day in days]

    return WireType(kind, b"\x28", "CAST({} AS DATE)", pack)


def time_type(kind: SqlType) -> WireType:
    """time: its units since midnight, of which the scale says how long they are."""
    width = clock_size(kind.scale)
    head, unit = bytes([width]), 10 ** (7 - kind.scale)

    def pack(array: pa.Array) -> list[bytes]:
        return [head + (value // unit).to_bytes(width, "little") for value in numbers_of(array, "q")]

    projection = "tds_time_ticks({})" if kind.scale == 7 else "epoch_us(CAST({} AS TIME)) * 10"
    return WireType(kind, bytes([0x29, kind.scale]), projection, pack)


def datetime2_type(kind: SqlType) -> WireType:
    """datetime2: its clock, and its day behind it."""
    width = clock_size(kind.scale)
    head, unit = bytes([width + 3]), 10 ** (7 - kind.scale)
    shift, size = 8 * width, width + 3

    def pack(array: pa.Array) -> list[bytes]:
        return [
            head + (value % TICKS_PER_DAY // unit | value // TICKS_PER_DAY << shift).to_bytes(size, "little")
            for value in numbers_of(array, "q")
        ]

    projection = "tds_dt2_ticks({})" if kind.scale == 7 else "tds_ts_ticks(CAST({} AS TIMESTAMP))"
    return WireType(kind, bytes([0x2A, kind.scale]), projection, pack)


def datetimeoffset_type(kind: SqlType) -> WireType:
    """datetimeoffset: a datetime2 in UTC, and the offset in minutes behind it."""
    width = clock_size(kind.scale)
    head = bytes([width + 5])
    unit: int = 10 ** (7 - kind.scale)

    def one(text: bytes) -> bytes:
        if not text:
            return b"\x00"
        days = datetime.date(int(text[:4]), int(text[5:7]), int(text[8:10])).toordinal() - 1
        minutes = int(text[29:31]) * 60 + int(text[32:34])
        if text[28:29] == b"-":
            minutes = -minutes
        seconds = int(text[11:13]) * 3600 + int(text[14:16]) * 60 + int(text[17:19]) - minutes * 60
        ticks = days * TICKS_PER_DAY + seconds * 10_000_000 + int(text[20:27])
        clock = (ticks % TICKS_PER_DAY // unit).to_bytes(width, "little")
        day = (ticks // TICKS_PER_DAY).to_bytes(3, "little")
        return head + clock + day + struct.pack("<h", minutes)

    def pack(array: pa.Array) -> list[bytes]:
        return [one(text) for text in blobs_of(array)]

    return WireType(kind, bytes([0x2B, kind.scale]), "CAST({} AS VARCHAR)", pack)


_DAYS_FROM_1900 = EPOCH_DAYS - DAYS_TO_1900
_MICROS_PER_DAY = 86_400_000_000


def datetime_type(kind: SqlType) -> WireType:
    """datetime, in units of a three-hundredth of a second."""
    packer = struct.Struct("<BiI").pack

    def pack(array: pa.Array) -> list[bytes]:
        return [
            packer(
                8,
                value // _MICROS_PER_DAY + _DAYS_FROM_1900,
                min((value % _MICROS_PER_DAY * 3 + 5000) // 10000, 25_919_999),
            )
            for value in numbers_of(array, "q")
        ]

    return WireType(kind, b"\x6f\x08", "epoch_us(CAST({} AS TIMESTAMP))", pack)


def smalldatetime_type(kind: SqlType) -> WireType:
    """smalldatetime, in minutes."""
    packer = struct.Struct("<BHH").pack

    def pack(array: pa.Array) -> list[bytes]:
        minutes = [(value + 30_000_000) // 60_000_000 + _DAYS_FROM_1900 * 1440 for value in numbers_of(array, "q")]
        return [packer(4, value // 1440, value % 1440) for value in minutes]

    return WireType(kind, b"\x6f\x04", "epoch_us(CAST({} AS TIMESTAMP))", pack)
