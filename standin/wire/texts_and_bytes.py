"""Texts, bytes and uniqueidentifiers on the wire."""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise

import pyarrow as pa
import pyarrow.compute as pc

from model.catalog import SqlType
from standin.collations import Collation
from standin.errors import EncodingError
from standin.surrogates import to_utf16
from standin.types import WIDE
from standin.wire.arrow_buffers import blobs_of, pieces_of
from standin.wire.wire_type import WireType

_PLP_NULL = b"\xff" * 8

_LONG_POINTER = b"\x10" + b"standin-textptr!" + b"\x00" * 8

#: Two bytes of length for every length that a value within a row may have.
_HEADS = tuple(struct.pack("<H", length) for length in range(8001))

# The first byte of a character in UTF-8 that takes two units in UTF-16.
_BEYOND_BMP = re.compile(rb"[\xf0-\xf4]")


def text_type(kind: SqlType, collation: Collation) -> WireType:
    """Texts of every type, and what is stored as one."""
    is_wide = kind.name in WIDE
    encoding = "utf-16-le" if is_wide else collation.encoding
    if kind.name == "xml":
        return WireType(
            kind,
            b"\xf1\x00",
            "CAST({} AS VARCHAR)",
            lambda array: [_plp(value) for value in _encoded(array, encoding)],
            _PLP_NULL,
        )
    if kind.name in {"text", "ntext"}:
        token, size = (0x63, 0x7FFFFFFE) if is_wide else (0x23, 0x7FFFFFFF)
        return WireType(
            kind,
            bytes([token]) + struct.pack("<I", size) + collation.wire,
            "CAST({} AS VARCHAR)",
            lambda array: [
                _LONG_POINTER + struct.pack("<I", len(value)) + value for value in _encoded(array, encoding)
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
            lambda array: [_plp(value) for value in _encoded(array, encoding)],
            _PLP_NULL,
        )
    return WireType(
        kind,
        bytes([token]) + struct.pack("<H", length) + collation.wire,
        projection,
        lambda array: _framed(_encoded(array, encoding), length),
        b"\xff\xff",
    )


def binary_type(kind: SqlType) -> WireType:
    """Bytes of every type; a rowversion is some, too."""
    if kind.name == "image":
        return WireType(
            kind,
            b"\x22" + struct.pack("<I", 0x7FFFFFFF),
            "{}",
            lambda array: [_LONG_POINTER + struct.pack("<I", len(value)) + value for value in blobs_of(array)],
            has_table_name=True,
        )
    length = 8 if kind.name == "timestamp" else kind.max_length
    token = 0xAD if kind.name in {"binary", "timestamp"} else 0xA5
    if not 0 < length <= 8000:
        return WireType(
            kind,
            bytes([token]) + b"\xff\xff",
            "{}",
            lambda array: [_plp(value) for value in blobs_of(array)],
            _PLP_NULL,
        )
    return WireType(
        kind,
        bytes([token]) + struct.pack("<H", length),
        "{}",
        lambda array: _framed(blobs_of(array), length),
        b"\xff\xff",
        user_type=80 if kind.name == "timestamp" else 0,
    )


def guid_type(kind: SqlType) -> WireType:
    """uniqueidentifier."""

    def pack(array: pa.Array) -> list[bytes]:
        return [b"\x10" + value for value in blobs_of(array)]

    return WireType(kind, b"\x24\x10", "tds_guid_bytes(CAST({} AS UUID))", pack)


def _encoded(array: pa.Array, encoding: str) -> list[bytes]:
    """Each text in the wire's encoding; characters that a code page lacks become `?`, as on the server."""
    body, borders = pieces_of(array)
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


def _plp(value: bytes) -> bytes:
    """A value of a (max) type: its length, one chunk of all its bytes, the end."""
    head = struct.pack("<Q", len(value))
    return head + (struct.pack("<I", len(value)) + value if value else b"") + b"\x00\x00\x00\x00"


def _framed(values: Sequence[bytes], limit: int) -> list[bytes]:
    """Values behind two bytes of length; refuses those longer than the declared `limit` bytes."""
    if max(map(len, values), default=0) > limit:
        raise EncodingError("String or binary data would be truncated.")
    return [_HEADS[len(value)] + value for value in values]
