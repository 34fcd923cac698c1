"""T-SQL types of the stand-in: how each one lies in DuckDB and how it travels over TDS.

Three forms of a value meet here. *Stored*: the DuckDB column that holds it (`storage`). *Projected*:
the DuckDB expression that hands it to Arrow in a form whose buffers need no further arithmetic
(`WireType.projection`). *Wire*: the bytes of the TDS row (`WireType.encode_array`), a whole Arrow
column at a time, since a Python call for every value would dominate the demo's run time.

DuckDB's TIMESTAMP and TIME hold microseconds. Columns that can hold a seventh digit (`time(7)`,
`datetime2(7)`) and every `datetimeoffset` are therefore stored as text of fixed width, which compares
and sorts as the values do: `2024-02-29 23:59:59.9999999`, followed by ` +05:30` for datetimeoffset.
A sql_variant is its value's text, with a mark and the base type behind it (`Variant`); a geography or
geometry its SRID, well-known binary and text in one blob (`Shape`), since nothing here computes with it.
"""

from __future__ import annotations

import datetime
import re
import struct
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import accumulate, pairwise, repeat

import pyarrow as pa
import pyarrow.compute as pc
from pysqlbridge.tds import ColumnType

from model.catalog import SqlType
from standin.parameters import Parameter

NARROW = frozenset({"char", "varchar", "text"})
WIDE = frozenset({"nchar", "nvarchar", "ntext", "sysname", "xml", "sql_variant", "hierarchyid", "json", "vector"})
TEXTS = NARROW | WIDE
SPATIAL = frozenset({"geography", "geometry"})
BINARIES = frozenset({"binary", "varbinary", "image", "timestamp"}) | SPATIAL
INTEGERS = {"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
DECIMALS = frozenset({"decimal", "numeric", "money", "smallmoney"})
MOMENTS = frozenset({"smalldatetime", "datetime", "datetime2"})

#: Days and 100-nanosecond ticks between 0001-01-01 (the origin of TDS) and 1970-01-01 (DuckDB's).
EPOCH_DAYS = 719162
TICKS_PER_DAY = 864_000_000_000

#: Latin1, case-insensitive: the collation of `SQL_Latin1_General_CP1_CI_AS` on the wire.
DEFAULT_COLLATION = bytes.fromhex("0904d00034")
DEFAULT_COLLATION_NAME = "SQL_Latin1_General_CP1_CI_AS"

# A lone surrogate has no UTF-8, hence no place in DuckDB; it is kept in the last private-use plane.
_SURROGATE = re.compile("[\ud800-\udfff]")
_KEPT_SURROGATE = re.compile("[\U0010d800-\U0010dfff]")
_SURROGATE_SHIFT = 0x100000
# The first byte of a character in UTF-8 that takes two units in UTF-16.
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")

# Collation name prefix: LCID and Python's name of the code page of its varchar columns.
_CODE_PAGES = (
    ("arabic", 0x0401, "cp1256"),
    ("chinese_taiwan", 0x0404, "cp950"),
    ("chinese_prc", 0x0804, "cp936"),
    ("cyrillic", 0x0419, "cp1251"),
    ("czech", 0x0405, "cp1250"),
    ("greek", 0x0408, "cp1253"),
    ("hebrew", 0x040D, "cp1255"),
    ("hungarian", 0x040E, "cp1250"),
    ("japanese", 0x0411, "cp932"),
    ("korean", 0x0412, "cp949"),
    ("lithuanian", 0x0427, "cp1257"),
    ("polish", 0x0415, "cp1250"),
    ("thai", 0x041E, "cp874"),
    ("turkish", 0x041F, "cp1254"),
    ("vietnamese", 0x042A, "cp1258"),
)
# SQL_ collations are told by a sort id instead; these two are the code pages of DOS.
_SORT_IDS = (("sql_latin1_general_cp437", 32, "cp437"), ("sql_latin1_general_cp850", 42, "cp850"))
_UTF8_FLAG = 1 << 26


#: stands between a sql_variant's text and its base type
_BASE_TYPE_MARK = "\U0010e000"


class EncodingError(Exception):
    """A value does not fit the type it is to be sent as."""


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
        return f"{text}{_BASE_TYPE_MARK}{self.kind.name}"


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


def keep_surrogates(text: str) -> str:
    """`text` with lone surrogates moved to where UTF-8 can carry them."""
    if not _SURROGATE.search(text):
        return text
    # Pairs become the character they stand for; only what is left alone needs the detour.
    text = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    return _SURROGATE.sub(lambda found: chr(ord(found[0]) + _SURROGATE_SHIFT), text)


def to_utf16(text: str) -> bytes:
    """`text` as UTF-16LE, lone surrogates as they were before `keep_surrogates`."""
    if _KEPT_SURROGATE.search(text):
        text = _KEPT_SURROGATE.sub(lambda found: chr(ord(found[0]) - _SURROGATE_SHIFT), text)
    return text.encode("utf-16-le", "surrogatepass")


@dataclass(frozen=True)
class Collation:
    """A collation's five bytes on the wire and the encoding of narrow text under it."""

    wire: bytes
    encoding: str

    @classmethod
    def named(cls, name: str | None) -> Collation:
        """The collation called `name`; Latin1 for `None` and for names not known here."""
        lowered = (name or "").lower()
        for prefix, sort_id, encoding in _SORT_IDS:
            if lowered.startswith(prefix):
                return cls(struct.pack("<IB", 0x0409 | 0xD0 << 16, sort_id), encoding)
        lcid, encoding = 0x0409, "cp1252"
        for prefix, candidate, page in _CODE_PAGES:
            if lowered.startswith(prefix):
                lcid, encoding = candidate, page
        if lowered.endswith("_utf8"):
            return cls(struct.pack("<IB", lcid | 0xD0 << 16 | _UTF8_FLAG, 0), "utf-8")
        if encoding == "cp1252" and (not lowered or lowered.startswith("sql_")):
            return cls(DEFAULT_COLLATION, "cp1252")
        return cls(struct.pack("<IB", lcid | 0xD0 << 16, 0), encoding)


def is_case_sensitive(collation: str | None) -> bool:
    """Whether texts under the collation compare by case."""
    lowered = (collation or "").lower()
    return "_cs" in lowered or "_bin" in lowered


def is_text_moment(kind: SqlType) -> bool:
    """Whether the type is one of those stored as text to keep its seventh digit or its offset."""
    return kind.name == "datetimeoffset" or (kind.name in {"time", "datetime2"} and kind.scale == 7)


def storage(kind: SqlType) -> str:
    """The DuckDB type that holds a column of the T-SQL type."""
    simple = {
        "bit": "UTINYINT",
        "tinyint": "UTINYINT",
        "smallint": "SMALLINT",
        "int": "INTEGER",
        "bigint": "BIGINT",
        "real": "FLOAT",
        "float": "DOUBLE",
        "money": "DECIMAL(19,4)",
        "smallmoney": "DECIMAL(10,4)",
        "date": "DATE",
        "uniqueidentifier": "UUID",
    }
    if kind.name in simple:
        return simple[kind.name]
    if kind.name in {"decimal", "numeric"}:
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.name in BINARIES:
        return "BLOB"
    if is_text_moment(kind) or kind.name in TEXTS:
        return "VARCHAR"
    if kind.name == "time":
        return "TIME"
    return "TIMESTAMP" if kind.name in MOMENTS else "VARCHAR"


#: DuckDB macros that projections and translated expressions use.
MACROS = (
    # Moments: ticks are 100-nanosecond units since 0001-01-01.
    "tds_ts_ticks(x) AS (epoch_us(x) + 62135596800000000) * 10",
    "tds_dt2_ticks(x) AS (epoch_us(CAST(left(x, 26) AS TIMESTAMP)) + 62135596800000000) * 10"
    " + CAST(substr(x, 27, 1) AS BIGINT)",
    "tds_time_ticks(x) AS epoch_us(CAST(left(x, 15) AS TIME)) * 10 + CAST(substr(x, 16, 1) AS BIGINT)",
    "tds_ticks_ts(x) AS make_timestamp(x // 10 - 62135596800000000)",
    "tds_ticks_dt2(x) AS lpad(strftime(tds_ticks_ts(x), '%Y-%m-%d %H:%M:%S.%f'), 26, '0') || (x % 10)",
    "tds_ticks_time(x) AS strftime(tds_ticks_ts(x), '%H:%M:%S.%f') || (x % 10)",
    "tds_fraction(x) AS CASE WHEN contains(x, '.') THEN rpad(x, 27, '0') ELSE x || '.0000000' END",
    "tds_norm_dt2(x) AS tds_fraction(CASE WHEN length(x) = 10 THEN x || ' 00:00:00'"
    " WHEN length(x) = 16 THEN x || ':00' ELSE replace(x, 'T', ' ') END)",
    "tds_norm_time(x) AS substr(tds_norm_dt2('0001-01-01 ' || x), 12)",
    "tds_offset_text(x) AS CASE WHEN regexp_matches(x, '[+-]\\d\\d:\\d\\d$') THEN right(x, 6)"
    " WHEN regexp_matches(x, ':.*[+-]\\d\\d$') THEN right(x, 3) || ':00' ELSE '+00:00' END",
    "tds_norm_dto(x) AS tds_norm_dt2(trim(regexp_replace(x, '(:.*?) ?(Z|[+-]\\d\\d(:\\d\\d)?)$', '\\1')))"
    " || ' ' || tds_offset_text(x)",
    # Each names its argument once: a macro's argument is written out wherever its name stands.
    f"tds_variant_text(x) AS split_part(x, '{_BASE_TYPE_MARK}', 1)",
    f"tds_variant_type(x) AS CASE WHEN contains(x, '{_BASE_TYPE_MARK}') THEN split_part(x, '{_BASE_TYPE_MARK}', 2)"
    " WHEN x IS NOT NULL THEN 'nvarchar' END",
    "tds_shape_number(x) AS CAST('0x' || hex(x) AS BIGINT)",
    "tds_srid(x) AS CAST(tds_shape_number(x[1:4]) AS INTEGER)",
    "tds_wkb(x) AS x[9:8 + tds_shape_number(x[5:8])]",
    "tds_wkt(x) AS decode(x[9 + tds_shape_number(x[5:8]):])",
    # Exponents have three digits.
    "tds_exponent(x) AS regexp_replace(x, 'e([+-])(\\d\\d)$', 'e\\10\\2')",
    "tds_offset(x) AS CAST(substr(x, 29, 1) || '1' AS BIGINT)"
    " * (CAST(substr(x, 30, 2) AS BIGINT) * 60 + CAST(substr(x, 33, 2) AS BIGINT))",
    "tds_dto_ticks(x) AS tds_dt2_ticks(left(x, 27)) - tds_offset(x) * 600000000",
    "tds_ticks_dto(t, minutes) AS tds_ticks_dt2(t + CAST(minutes AS BIGINT) * 600000000) || ' '"
    " || CASE WHEN minutes < 0 THEN '-' ELSE '+' END || lpad(CAST(abs(minutes) // 60 AS VARCHAR), 2, '0')"
    " || ':' || lpad(CAST(abs(minutes) % 60 AS VARCHAR), 2, '0')",
    # uniqueidentifier: the first three groups are little-endian in its bytes; it sorts from the last group.
    "tds_guid_hex(h) AS substr(h, 7, 2) || substr(h, 5, 2) || substr(h, 3, 2) || substr(h, 1, 2)"
    " || substr(h, 11, 2) || substr(h, 9, 2) || substr(h, 15, 2) || substr(h, 13, 2) || substr(h, 17)",
    "tds_guid_bytes(x) AS unhex(tds_guid_hex(replace(CAST(x AS VARCHAR), '-', '')))",
    "tds_bytes_guid(x) AS CAST(tds_guid_hex(hex(x)) AS UUID)",
    "tds_guid_order(h) AS substr(h, 21) || substr(h, 17, 4) || substr(h, 13, 4) || substr(h, 9, 4) || substr(h, 1, 8)",
    "tds_guid_key(x) AS tds_guid_order(hex(tds_guid_bytes(x)))",
    # Text: lengths count UTF-16 units; half a surrogate pair, kept in the last plane, is one.
    "tds_units(x) AS CASE WHEN length(x) = strlen(x) THEN length(x)"
    " ELSE length(x) + length(regexp_replace(x, '[^\\x{10000}-\\x{10D7FF}\\x{10E000}-\\x{10FFFF}]', '', 'g')) END",
    "tds_unit_hex(u) AS printf('%02X%02X', u & 255, u >> 8)",
    "tds_utf16(x) AS CASE WHEN x IS NULL THEN NULL"
    " WHEN length(x) = strlen(x) THEN unhex(regexp_replace(hex(x), '(..)', '\\100', 'g'))"
    " ELSE unhex(array_to_string(list_transform(string_split(x, ''), lambda c:"
    " CASE WHEN unicode(c) < 65536 THEN tds_unit_hex(unicode(c))"
    " WHEN unicode(c) BETWEEN 1103872 AND 1105919 THEN tds_unit_hex(unicode(c) - 1048576)"
    " ELSE tds_unit_hex(55296 + ((unicode(c) - 65536) >> 10))"
    " || tds_unit_hex(56320 + ((unicode(c) - 65536) & 1023)) END), '')) END",
    "tds_latin1(x) AS CASE WHEN x IS NULL THEN NULL WHEN length(x) = strlen(x) THEN encode(x)"
    " ELSE unhex(array_to_string(list_transform(string_split(x, ''), lambda c:"
    " printf('%02X', CASE WHEN unicode(c) < 256 THEN unicode(c)"
    " WHEN instr('€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ', c) > 0"
    " THEN 127 + instr('€ ‚ƒ„…†‡ˆ‰Š‹Œ Ž  ‘’“”•–—˜™š›œ žŸ', c) ELSE 63 END)), '')) END",
    "tds_from_utf16(x) AS CASE WHEN x IS NULL THEN NULL ELSE array_to_string(list_transform("
    "range(0, octet_length(x) // 2), lambda i: chr(CAST('0x' || substr(hex(x), CAST(4 * i + 3 AS BIGINT), 2)"
    " || substr(hex(x), CAST(4 * i + 1 AS BIGINT), 2) AS INTEGER))), '') END",
    "tds_from_latin1(x) AS CASE WHEN x IS NULL THEN NULL ELSE array_to_string(list_transform("
    "range(0, octet_length(x)), lambda i: chr(CAST('0x' || substr(hex(x), CAST(2 * i + 1 AS BIGINT), 2)"
    " AS INTEGER))), '') END",
)


# TYPE_INFO of the nullable form (token and length) and the token of the fixed one.
_FIXED_TOKENS: Mapping[bytes, int] = {
    b"\x68\x01": 0x32,
    b"\x26\x01": 0x30,
    b"\x26\x02": 0x34,
    b"\x26\x04": 0x38,
    b"\x26\x08": 0x7F,
    b"\x6d\x04": 0x3B,
    b"\x6d\x08": 0x3E,
    b"\x6e\x04": 0x7A,
    b"\x6e\x08": 0x3C,
    b"\x6f\x04": 0x3A,
    b"\x6f\x08": 0x3D,
}
_ZEROS: Mapping[int, object] = {
    pa.date32().id: datetime.date(1970, 1, 1),
    pa.decimal128(1, 0).id: Decimal(0),
    **{kind.id: 0 for kind in (pa.uint8(), pa.int16(), pa.int32(), pa.int64())},
    pa.float32().id: 0.0,
    pa.float64().id: 0.0,
}


def _values(array: pa.Array, code: str, step: int = 1) -> list[int]:
    """The buffer of a fixed-width array as Python numbers; slots of NULLs hold anything.

    `code` is `struct`'s letter of one item, `step` the number of items a value spans.
    """
    buffer = array.buffers()[1]
    if buffer is None:
        return [0] * len(array)
    items = memoryview(buffer).cast("B")
    items = items[: len(items) // struct.calcsize(code) * struct.calcsize(code)].cast(code)  # type: ignore[call-overload]
    numbers: list[int] = items[array.offset * step : (array.offset + len(array)) * step].tolist()
    return numbers


def _valid(array: pa.Array) -> list[int]:
    """1 for each value, 0 for each NULL."""
    return _values(array.is_valid().cast(pa.uint8()), "B")


def _pieces(array: pa.Array) -> tuple[bytes, list[int]]:
    """The bytes of a text or binary array and the borders of its values within them."""
    if pa.types.is_large_string(array.type) or pa.types.is_large_binary(array.type):
        code = "q"
    elif pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        code = "i"
    else:
        return _pieces(array.cast(pa.large_binary()))
    _, offsets, data = array.buffers()
    if not len(array):
        return b"", [0]
    view = memoryview(offsets).cast("B")
    size = struct.calcsize(code)
    borders = view[array.offset * size : (array.offset + len(array) + 1) * size].cast(code).tolist()  # type: ignore[call-overload]
    first = borders[0]
    body = bytes(memoryview(data)[first : borders[-1]]) if data is not None else b""
    return body, [border - first for border in borders]


def _blobs(array: pa.Array) -> list[bytes]:
    body, borders = _pieces(array)
    return [body[start:end] for start, end in pairwise(borders)]


def _encoded_texts(array: pa.Array, encoding: str) -> list[bytes]:
    """Each text in the wire's encoding; characters that a code page lacks become `?`, as on the server."""
    body, borders = _pieces(array)
    if body.isascii():
        if encoding != "utf-16-le":
            return [body[start:end] for start, end in pairwise(borders)]
        wide = body.decode("ascii").encode("utf-16-le")
        return [wide[2 * start : 2 * end] for start, end in pairwise(borders)]
    if encoding == "utf-16-le" and not _BEYOND_BMP.search(body):
        # Every character is one unit of two bytes, so all texts are encoded at once.
        wide = body.decode().encode("utf-16-le")
        lengths = pc.utf8_length(array.fill_null("")).to_pylist()
        ends = [2 * end for end in accumulate(lengths, initial=0)]
        return [wide[start:end] for start, end in pairwise(ends)]
    texts = [body[start:end].decode() for start, end in pairwise(borders)]
    if encoding == "utf-16-le":
        return [to_utf16(text) for text in texts]
    return [text.encode(encoding, "replace") for text in texts]


@dataclass(frozen=True)
class WireType(ColumnType):  # type: ignore[misc]
    """How a column of one T-SQL type is declared and sent.

    `info` is TYPE_INFO, `projection` a DuckDB expression over `{}`, `pack` turns an Arrow array of
    the projected values into wire values (those of NULLs are ignored), `null` is a NULL's bytes.
    """

    kind: SqlType
    info: bytes
    projection: str
    pack: Callable[[pa.Array], list[bytes]]
    null: bytes = b"\x00"
    user_type: int = 0
    #: text, ntext and image name their table in COLMETADATA.
    has_table_name: bool = False
    is_required: bool = False

    def type_info(self) -> bytes:
        """The TYPE_INFO bytes of COLMETADATA."""
        return self.info

    def encode(self, value: object) -> bytes:
        """One value, given in the form of the projection; used for output parameters."""
        return self.encode_array(pa.array([value]))[0]

    def encode_array(self, array: pa.Array) -> list[bytes]:
        """The wire bytes of every value of the array."""
        if self.is_required and array.null_count:
            raise EncodingError("The stand-in holds NULL in a column that is declared NOT NULL.")
        if pa.types.is_null(array.type):
            return [self.null] * len(array)
        if not array.null_count:
            return self.pack(array)
        null = self.null
        # The slots of NULLs may hold numbers that do not fit the type.
        zero = _ZEROS.get(array.type.id)
        packed = self.pack(array if zero is None else array.fill_null(zero))
        return [value if there else null for value, there in zip(packed, _valid(array), strict=True)]

    def required(self) -> WireType:
        """The form for a column that is NOT NULL: numbers and datetimes then come without their length.

        Microsoft's driver tells such columns by this form alone.
        """
        token = _FIXED_TOKENS.get(self.info[:2])
        if token is None:
            return self
        pack = self.pack
        return replace(
            self, info=bytes([token]), pack=lambda array: [value[1:] for value in pack(array)], is_required=True
        )


def _integer(kind: SqlType) -> WireType:
    width = INTEGERS[kind.name]
    token = 0x68 if kind.name == "bit" else 0x26
    code = {1: "B", 2: "h", 4: "i", 8: "q"}[width]
    packer = struct.Struct("<B" + code).pack

    def pack(array: pa.Array) -> list[bytes]:
        return list(map(packer, repeat(width), _values(array, code)))

    return WireType(kind, bytes([token, width]), f"CAST({{}} AS {storage(kind)})", pack)


def _floating(kind: SqlType) -> WireType:
    width, code = (4, "f") if kind.name == "real" else (8, "d")
    packer = struct.Struct("<B" + code).pack

    def pack(array: pa.Array) -> list[bytes]:
        return list(map(packer, repeat(width), _values(array, code)))

    return WireType(kind, bytes([0x6D, width]), f"CAST({{}} AS {storage(kind)})", pack)


def _unscaled(array: pa.Array) -> list[int]:
    """The unscaled integers of a decimal128 array."""
    words = _values(array, "q", 2)
    return [(high << 64) | (low & 0xFFFFFFFFFFFFFFFF) for low, high in zip(words[::2], words[1::2], strict=True)]


def _decimal(kind: SqlType) -> WireType:
    width = 4 if kind.precision <= 9 else 8 if kind.precision <= 19 else 12 if kind.precision <= 28 else 16
    length = width + 1
    head = {True: bytes([length, 1]), False: bytes([length, 0])}
    code = {4: "I", 8: "Q"}.get(width)
    packer = struct.Struct("<BB" + code).pack if code else None

    def pack(array: pa.Array) -> list[bytes]:
        if packer and kind.precision <= 18:
            return [packer(length, value >= 0, abs(value)) for value in _values(array, "q", 2)[::2]]
        return [head[value >= 0] + abs(value).to_bytes(width, "little") for value in _unscaled(array)]

    token = 0x6A if kind.name == "decimal" else 0x6C
    info = bytes([token, length, kind.precision, kind.scale])
    return WireType(kind, info, f"CAST({{}} AS {storage(kind)})", pack)


def _money(kind: SqlType) -> WireType:
    width = 8 if kind.name == "money" else 4
    packer = struct.Struct("<Bi" if width == 4 else "<BiI").pack

    def pack(array: pa.Array) -> list[bytes]:
        lows = _values(array, "q", 2)[::2]
        if width == 4:
            return [packer(width, value) for value in lows]
        return [packer(width, value >> 32, value & 0xFFFFFFFF) for value in lows]

    return WireType(kind, bytes([0x6E, width]), f"CAST({{}} AS {storage(kind)})", pack)


def _date(kind: SqlType) -> WireType:
    packer = struct.Struct("<BHB").pack

    def pack(array: pa.Array) -> list[bytes]:
        return [packer(3, (value + EPOCH_DAYS) & 0xFFFF, (value + EPOCH_DAYS) >> 16) for value in _values(array, "i")]

    return WireType(kind, b"\x28", "CAST({} AS DATE)", pack)


def _time_width(scale: int) -> int:
    return 3 if scale <= 2 else 4 if scale <= 4 else 5


def _time(kind: SqlType) -> WireType:
    width = _time_width(kind.scale)
    head, unit = bytes([width]), 10 ** (7 - kind.scale)

    def pack(array: pa.Array) -> list[bytes]:
        return [head + (value // unit).to_bytes(width, "little") for value in _values(array, "q")]

    projection = "tds_time_ticks({})" if kind.scale == 7 else "epoch_us(CAST({} AS TIME)) * 10"
    return WireType(kind, bytes([0x29, kind.scale]), projection, pack)


def _datetime2(kind: SqlType) -> WireType:
    width = _time_width(kind.scale)
    head, unit = bytes([width + 3]), 10 ** (7 - kind.scale)
    shift, size = 8 * width, width + 3

    def pack(array: pa.Array) -> list[bytes]:
        return [
            head + (value % TICKS_PER_DAY // unit | value // TICKS_PER_DAY << shift).to_bytes(size, "little")
            for value in _values(array, "q")
        ]

    projection = "tds_dt2_ticks({})" if kind.scale == 7 else "tds_ts_ticks(CAST({} AS TIMESTAMP))"
    return WireType(kind, bytes([0x2A, kind.scale]), projection, pack)


def _datetimeoffset(kind: SqlType) -> WireType:
    width = _time_width(kind.scale)
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
        return [one(text) for text in _blobs(array)]

    return WireType(kind, bytes([0x2B, kind.scale]), "CAST({} AS VARCHAR)", pack)


_MICROS_PER_DAY = 86_400_000_000
_DAYS_1900 = 25567


def _datetime(kind: SqlType) -> WireType:
    packer = struct.Struct("<BiI").pack

    def pack(array: pa.Array) -> list[bytes]:
        return [
            packer(
                8,
                value // _MICROS_PER_DAY + _DAYS_1900,
                min((value % _MICROS_PER_DAY * 3 + 5000) // 10000, 25_919_999),
            )
            for value in _values(array, "q")
        ]

    return WireType(kind, b"\x6f\x08", "epoch_us(CAST({} AS TIMESTAMP))", pack)


def _smalldatetime(kind: SqlType) -> WireType:
    packer = struct.Struct("<BHH").pack

    def pack(array: pa.Array) -> list[bytes]:
        minutes = [(value + 30_000_000) // 60_000_000 + _DAYS_1900 * 1440 for value in _values(array, "q")]
        return [packer(4, value // 1440, value % 1440) for value in minutes]

    return WireType(kind, b"\x6f\x04", "epoch_us(CAST({} AS TIMESTAMP))", pack)


def _guid(kind: SqlType) -> WireType:
    def pack(array: pa.Array) -> list[bytes]:
        return [b"\x10" + value for value in _blobs(array)]

    return WireType(kind, b"\x24\x10", "tds_guid_bytes(CAST({} AS UUID))", pack)


_PLP_NULL = b"\xff" * 8
_LONG_POINTER = b"\x10" + b"standin-textptr!" + b"\x00" * 8


def _plp(value: bytes) -> bytes:
    head = struct.pack("<Q", len(value))
    return head + (struct.pack("<I", len(value)) + value if value else b"") + b"\x00\x00\x00\x00"


#: Two bytes of length for every length that a value within a row may have.
_HEADS = tuple(struct.pack("<H", length) for length in range(8001))


def _framed(values: Sequence[bytes], limit: int) -> list[bytes]:
    """Values behind two bytes of length; refuses those longer than the declared `limit` bytes."""
    if max(map(len, values), default=0) > limit:
        raise EncodingError("String or binary data would be truncated.")
    return [_HEADS[len(value)] + value for value in values]


def _characters(kind: SqlType, collation: Collation) -> WireType:
    is_wide = kind.name in WIDE
    encoding = "utf-16-le" if is_wide else collation.encoding
    if kind.name == "xml":
        return WireType(
            kind,
            b"\xf1\x00",
            "CAST({} AS VARCHAR)",
            lambda array: [_plp(value) for value in _encoded_texts(array, encoding)],
            _PLP_NULL,
        )
    if kind.name in {"text", "ntext"}:
        token, size = (0x63, 0x7FFFFFFE) if is_wide else (0x23, 0x7FFFFFFF)
        return WireType(
            kind,
            bytes([token]) + struct.pack("<I", size) + collation.wire,
            "CAST({} AS VARCHAR)",
            lambda array: [
                _LONG_POINTER + struct.pack("<I", len(value)) + value for value in _encoded_texts(array, encoding)
            ],
            has_table_name=True,
        )
    length = 256 if kind.name == "sysname" else kind.max_length
    if kind.name in {"sql_variant", "hierarchyid", "json", "vector"}:
        length = 8000 if kind.name == "hierarchyid" else -1
    projection = "CAST(tds_variant_text({}) AS VARCHAR)" if kind.name == "sql_variant" else "CAST({} AS VARCHAR)"
    token = {"char": 0xAF, "nchar": 0xEF}.get(kind.name, 0xE7 if is_wide else 0xA7)
    if not 0 < length <= 8000:
        return WireType(
            kind,
            bytes([token]) + b"\xff\xff" + collation.wire,
            projection,
            lambda array: [_plp(value) for value in _encoded_texts(array, encoding)],
            _PLP_NULL,
        )
    return WireType(
        kind,
        bytes([token]) + struct.pack("<H", length) + collation.wire,
        projection,
        lambda array: _framed(_encoded_texts(array, encoding), length),
        b"\xff\xff",
    )


def _binary(kind: SqlType) -> WireType:
    if kind.name == "image":
        return WireType(
            kind,
            b"\x22" + struct.pack("<I", 0x7FFFFFFF),
            "{}",
            lambda array: [_LONG_POINTER + struct.pack("<I", len(value)) + value for value in _blobs(array)],
            has_table_name=True,
        )
    length = 8 if kind.name == "timestamp" else kind.max_length
    token = 0xAD if kind.name in {"binary", "timestamp"} else 0xA5
    if not 0 < length <= 8000:
        return WireType(
            kind,
            bytes([token]) + b"\xff\xff",
            "{}",
            lambda array: [_plp(value) for value in _blobs(array)],
            _PLP_NULL,
        )
    return WireType(
        kind,
        bytes([token]) + struct.pack("<H", length),
        "{}",
        lambda array: _framed(_blobs(array), length),
        b"\xff\xff",
        user_type=80 if kind.name == "timestamp" else 0,
    )


def wire_type(kind: SqlType, collation: str | None = None) -> WireType:
    """The way a value of the T-SQL type is sent; `collation` is the column's, by name."""
    plain = {
        "real": _floating,
        "float": _floating,
        "decimal": _decimal,
        "numeric": _decimal,
        "money": _money,
        "smallmoney": _money,
        "date": _date,
        "time": _time,
        "datetime2": _datetime2,
        "datetimeoffset": _datetimeoffset,
        "datetime": _datetime,
        "smalldatetime": _smalldatetime,
        "uniqueidentifier": _guid,
    }
    if kind.name in INTEGERS:
        return _integer(kind)
    if kind.name in plain:
        return plain[kind.name](kind)
    if kind.name in BINARIES:
        return _binary(kind)
    return _characters(kind if kind.name in TEXTS else SqlType("nvarchar", -1), Collation.named(collation))


def from_duckdb(name: str) -> SqlType:
    """The T-SQL type to send a DuckDB result as where the query itself does not tell."""
    decimal = re.fullmatch(r"DECIMAL\((\d+),(\d+)\)", name)
    if decimal:
        return SqlType("decimal", precision=int(decimal[1]), scale=int(decimal[2]))
    known = {
        "BOOLEAN": SqlType("bit"),
        "UTINYINT": SqlType("tinyint"),
        "TINYINT": SqlType("smallint"),
        "SMALLINT": SqlType("smallint"),
        "USMALLINT": SqlType("int"),
        "INTEGER": SqlType("int"),
        "UINTEGER": SqlType("bigint"),
        "BIGINT": SqlType("bigint"),
        "UBIGINT": SqlType("decimal", precision=20),
        "HUGEINT": SqlType("decimal", precision=38),
        "FLOAT": SqlType("real"),
        "DOUBLE": SqlType("float"),
        "DATE": SqlType("date"),
        "TIME": SqlType("time", scale=6),
        "TIMESTAMP": SqlType("datetime2", scale=6),
        "UUID": SqlType("uniqueidentifier"),
        "BLOB": SqlType("varbinary", -1),
        '"NULL"': SqlType("int"),
        "NULL": SqlType("int"),
    }
    return known.get(name, SqlType("nvarchar", -1))


# --- from Python and from requests ------------------------------------------------------------------


def _fraction7(text: str) -> str:
    head, _, digits = text.partition(".")
    return f"{head}.{digits:0<7}"


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
        return _fraction7(text)
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
    return f"{_fraction7(found[1])} {offset}"


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


class _Reader:
    """A cursor over the bytes of a request."""

    def __init__(self, data: bytes, at: int) -> None:
        self._data = data
        self.at = at

    @property
    def is_done(self) -> bool:
        return self.at >= len(self._data)

    def take(self, size: int) -> bytes:
        piece = self._data[self.at : self.at + size]
        if len(piece) < size:
            raise EncodingError("the request ends in the middle of a parameter")
        self.at += size
        return piece

    def number(self, size: int, *, signed: bool = False) -> int:
        return int.from_bytes(self.take(size), "little", signed=signed)

    def plp(self) -> bytes | None:
        if self.number(8) == 0xFFFFFFFFFFFFFFFF:
            return None
        whole = bytearray()
        while size := self.number(4):
            whole += self.take(size)
        return bytes(whole)


def _moment(ticks: int, digits: int = 7) -> str:
    day = datetime.date.fromordinal(ticks // TICKS_PER_DAY + 1)
    return f"{day.isoformat()} {_clock(ticks % TICKS_PER_DAY, digits)}"


def _clock(ticks: int, digits: int = 7) -> str:
    seconds, rest = divmod(ticks, 10_000_000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{rest:07}"[: 9 + digits] if digits else text


def _code_page(collation: bytes) -> str:
    """The encoding of narrow text sent under a collation's five bytes."""
    number = int.from_bytes(collation[:4], "little")
    if number & _UTF8_FLAG:
        return "utf-8"
    pages = {lcid: page for _, lcid, page in _CODE_PAGES}
    return pages.get(number & 0xFFFF, "cp1252")


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
            return SqlType("smalldatetime"), _moment((days + 693595) * TICKS_PER_DAY + minutes * 600_000_000, 0)
        if not raw:
            return SqlType("datetime"), None
        days, units = struct.unpack("<iI", raw)
        milliseconds = (units * 10 + 1) // 3
        return SqlType("datetime"), _moment((days + 693595) * TICKS_PER_DAY + milliseconds * 10_000, 3)
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
    width = _time_width(scale)
    ticks = int.from_bytes(raw[:width], "little") * 10 ** (7 - scale)
    if token == 0x29:
        return kind, _clock(ticks, scale)
    ticks += int.from_bytes(raw[width : width + 3], "little") * TICKS_PER_DAY
    if token == 0x2A:
        return kind, _moment(ticks, scale)
    minutes = struct.unpack("<h", raw[width + 3 :])[0]
    sign = "-" if minutes < 0 else "+"
    offset = f"{sign}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return kind, f"{_moment(ticks + minutes * 600_000_000)} {offset}"


_FIXED_WIDTHS = {0x30: 1, 0x32: 1, 0x34: 2, 0x38: 4, 0x3A: 4, 0x3B: 4, 0x3C: 8, 0x3D: 8, 0x3E: 8, 0x7A: 4, 0x7F: 8}


def _read_value(reader: _Reader) -> tuple[SqlType, object]:
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


def _finish_long(token: int, data: bytes | None, declared: int, collation: bytes) -> tuple[SqlType, object]:
    if token in {0x22, 0xA5, 0xAD}:
        return SqlType("varbinary", declared), data
    if token in {0x63, 0xE7, 0xEF}:
        text = None if data is None else keep_surrogates(data.decode("utf-16-le", "surrogatepass"))
        return SqlType("nvarchar", declared), text
    return SqlType("varchar", declared), None if data is None else data.decode(_code_page(collation), "replace")


_PROCEDURES = {
    2: "sp_cursoropen",
    10: "sp_executesql",
    11: "sp_prepare",
    12: "sp_execute",
    13: "sp_prepexec",
    14: "sp_prepexecrpc",
    15: "sp_unprepare",
}


def read_request(payload: bytes, start: int) -> list[tuple[str, list[Parameter]]]:
    """The procedure calls of an RPC request; `start` is where its ALL_HEADERS block ends.

    Raises EncodingError where a parameter's type is not known: its length is then unknown too.
    """
    reader = _Reader(payload, start)
    calls = []
    while not reader.is_done:
        length = reader.number(2)
        if length == 0xFFFF:
            number = reader.number(2)
            name = _PROCEDURES.get(number, f"sp_{number}")
        else:
            name = reader.take(length * 2).decode("utf-16-le")
        reader.take(2)
        parameters: list[Parameter] = []
        while not reader.is_done and payload[reader.at] not in {0x80, 0xFF}:
            parameter = reader.take(reader.number(1) * 2).decode("utf-16-le")
            status = reader.number(1)
            kind, value = _read_value(reader)
            parameters.append(Parameter(parameter, kind, value, bool(status & 1)))
        if not reader.is_done:
            reader.take(1)  # the flag between two calls of one batch
        calls.append((name, parameters))
    return calls


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
