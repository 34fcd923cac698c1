"""How tables are named in a progress file, by this tool and by people."""

from __future__ import annotations

import re

from model.catalog import DEFAULT_SCHEMA

#: a part of a name: in brackets, in double quotes, or bare; the first two with their closing sign doubled inside
_PART = r'\s*(?:\[((?:[^\]]|\]\])+)\]|"((?:[^"]|"")+)"|([^.\[\]"]+))\s*'
_NAME = re.compile(rf"(?:{_PART}\.)?{_PART}", re.DOTALL)


def parts(name: str) -> tuple[str, str] | None:
    """Schema and table of a name as T-SQL writes it; a bare one is of dbo. None for what is no such name."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    schema, table = _part(*found.groups()[:3]), _part(*found.groups()[3:])
    return (schema or DEFAULT_SCHEMA, table) if table else None


def _part(bracketed: str | None, quoted: str | None, bare: str | None) -> str:
    if bracketed is not None:
        return bracketed.replace("]]", "]")
    return quoted.replace('""', '"') if quoted is not None else (bare or "").strip()


def origin(key: str) -> str:
    """The table that this tool wrote an entry for, as it notes it inside: `[dbo].[Orders]` for the key `Orders`.

    By this an entry whose key a person changed is told from one whose table the source no longer has. It is not the
    key itself, which `grep '"Orders"'` should find once.
    """
    return ".".join(f"[{part.replace(']', ']]')}]" for part in parts(key) or (DEFAULT_SCHEMA, key))
