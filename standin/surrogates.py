"""Lone surrogates, which SQL Server's texts may hold and UTF-8 may not."""

from __future__ import annotations

import re

# A lone surrogate has no UTF-8, so DuckDB cannot hold it; it is kept in the last private-use plane.
_SURROGATE = re.compile("[\ud800-\udfff]")

_KEPT_SURROGATE = re.compile("[\U0010d800-\U0010dfff]")

_SURROGATE_SHIFT = 0x100000


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
