"""Values of every T-SQL type that a server must hand over as they are."""

from __future__ import annotations

import datetime
import struct
import uuid
from collections.abc import Sequence
from decimal import Decimal

from model.catalog import SqlType
from standin.values import Shape

#: name, type, the greatest or most awkward value, the least or another one
VALUES: tuple[tuple[str, SqlType, object, object], ...] = (
    ("c_bit", SqlType("bit"), True, False),
    ("c_tinyint", SqlType("tinyint"), 255, 0),
    ("c_smallint", SqlType("smallint"), 32767, -32768),
    ("c_int", SqlType("int"), 2**31 - 1, -(2**31)),
    ("c_bigint", SqlType("bigint"), 2**63 - 1, -(2**63)),
    ("c_decimal9", SqlType("decimal", precision=9, scale=2), Decimal("9999999.99"), Decimal("-0.01")),
    ("c_decimal19", SqlType("decimal", precision=19, scale=0), Decimal(10**19 - 1), Decimal(1 - 10**19)),
    ("c_decimal28", SqlType("numeric", precision=28, scale=10), Decimal("123456789012345678.0123456789"), Decimal(0)),
    ("c_decimal38", SqlType("decimal", precision=38, scale=37), Decimal("9." + "9" * 37), Decimal("-0." + "1" * 37)),
    ("c_numeric38", SqlType("numeric", precision=38, scale=0), Decimal("9" * 38), Decimal("-" + "9" * 38)),
    ("c_money", SqlType("money"), Decimal("922337203685477.5807"), Decimal("-922337203685477.5808")),
    ("c_smallmoney", SqlType("smallmoney"), Decimal("214748.3647"), Decimal("-214748.3648")),
    ("c_real", SqlType("real"), 1.5, -3.4028234663852886e38),
    ("c_float", SqlType("float"), 0.1, -1.7976931348623157e308),
    ("c_date", SqlType("date"), datetime.date(9999, 12, 31), datetime.date(1, 1, 1)),
    ("c_time0", SqlType("time", scale=0), datetime.time(23, 59, 59), datetime.time(0, 0)),
    ("c_time6", SqlType("time", scale=6), datetime.time(23, 59, 59, 999999), datetime.time(0, 0, 0, 1)),
    ("c_smalldatetime", SqlType("smalldatetime"), datetime.datetime(2079, 6, 6, 23, 59), datetime.datetime(1900, 1, 1)),
    (
        "c_datetime",
        SqlType("datetime"),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 997000),
        datetime.datetime(1753, 1, 1, 0, 0, 0, 3000),
    ),
    (
        "c_datetime2_0",
        SqlType("datetime2", scale=0),
        datetime.datetime(9999, 12, 31, 23, 59, 59),
        datetime.datetime(1, 1, 1),
    ),
    (
        "c_datetime2_6",
        SqlType("datetime2", scale=6),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999),
        datetime.datetime(1, 1, 1, 0, 0, 0, 1),
    ),
    ("c_char", SqlType("char", 5), "ab€  ", "     "),
    ("c_varchar", SqlType("varchar", 50), "café € ‘Ž’ ÿ", ""),
    ("c_nchar", SqlType("nchar", 10), "x😀  ", "Ω    "),
    ("c_nvarchar", SqlType("nvarchar", 200), "Ω中😀👩‍🍳 trailing  ", ""),
    ("c_varchar_max", SqlType("varchar", -1), "x" * 100_000, ""),
    ("c_nvarchar_max", SqlType("nvarchar", -1), "é😀" * 50_000, ""),
    ("c_text", SqlType("text", -1), "some text é", ""),
    ("c_ntext", SqlType("ntext", -1), "ntext 中😀", ""),
    ("c_image", SqlType("image", -1), bytes(range(256)) * 40, b""),
    ("c_binary", SqlType("binary", 4), b"\x01\x02\x00\xff", b"\0\0\0\0"),
    ("c_varbinary", SqlType("varbinary", 20), b"\0\xff\0", b""),
    ("c_varbinary_max", SqlType("varbinary", -1), bytes(range(256)) * 40_000, b""),
    (
        "c_guid",
        SqlType("uniqueidentifier"),
        uuid.UUID("00112233-4455-6677-8899-aabbccddeeff"),
        uuid.UUID("ffffffff-ffff-ffff-ffff-ffffffffffff"),
    ),
    ("c_xml", SqlType("xml", -1), "<a b='1'>é中😀</a>", ""),
    ("c_rowversion", SqlType("timestamp", 8), b"\0\0\0\0\0\0\x07\xd1", b"\xff" * 8),
    ("c_sysname", SqlType("nvarchar", 256, alias="sysname"), "a name", "ω"),
)


def point(x: float, y: float, srid: int = 4326) -> Shape:
    """A point, little-endian as SQL Server writes it."""
    return Shape(struct.pack("<BIdd", 1, 1, x, y), srid, f"POINT ({x!r} {y!r})")


def line(numbers: Sequence[float], srid: int) -> Shape:
    """A line with Z and M in the codes of ISO."""
    count = len(numbers) // 4
    return Shape(struct.pack(f"<BII{4 * count}d", 1, 3002, count, *numbers[: 4 * count]), srid, "LINESTRING")


def extended(shape: Shape) -> str:
    """A shape as EWKB: the SRID behind the type."""
    code = shape.wkb[:4] + bytes([shape.wkb[4] | 0x20])
    return (code + struct.pack("<i", shape.srid) + shape.wkb[5:]).hex()
