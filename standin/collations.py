"""Collations: which code page narrow text is in, and whether case counts."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

#: Latin1, case-insensitive: the collation of `SQL_Latin1_General_CP1_CI_AS` on the wire.
DEFAULT_COLLATION = bytes.fromhex("0904d00034")

DEFAULT_COLLATION_NAME = "SQL_Latin1_General_CP1_CI_AS"

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

_OF_SEVERAL_BYTES = frozenset({"utf-8", "cp932", "cp936", "cp949", "cp950"})


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


def code_page(collation: bytes) -> str:
    """The encoding of narrow text sent under a collation's five bytes."""
    number = int.from_bytes(collation[:4], "little")
    if number & _UTF8_FLAG:
        return "utf-8"
    pages = {lcid: page for _, lcid, page in _CODE_PAGES}
    return pages.get(number & 0xFFFF, "cp1252")


def is_case_sensitive(collation: str | None) -> bool:
    """Whether texts under the collation compare by case."""
    lowered = (collation or "").lower()
    return "_cs" in lowered or "_bin" in lowered


def in_code_page(sql: str, collation: str | None) -> str:
    """DuckDB's text for a text of which a collation's code page keeps what it has, and `?` for the rest.

    Of the Asian code pages, of two bytes, everything is kept.
    """
    kept = _characters(Collation.named(collation).encoding)
    return f"regexp_replace({sql}, '[^{kept}]', '?', 'g')" if kept else sql


@cache
def _characters(encoding: str) -> str:
    """The characters of a code page of one byte, as a class of a regular expression; nothing for another one."""
    if encoding in _OF_SEVERAL_BYTES:
        return ""
    # A byte without a character is that of ISO 8859-1 in Windows.
    found = sorted({ord(bytes([byte]).decode(encoding, "ignore") or chr(byte)) for byte in range(256)})
    return "".join(rf"\x{{{low:X}}}-\x{{{high:X}}}" for low, high in _runs(found))


def _runs(numbers: list[int]) -> Iterator[tuple[int, int]]:
    low = high = numbers[0]
    for number in numbers[1:]:
        if number > high + 1:
            yield low, high
            low = number
        high = number
    yield low, high
