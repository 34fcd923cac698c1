"""How identifiers and texts are written in T-SQL, and what the text of a query cannot carry."""

from __future__ import annotations

import re

LAST_OF_BASIC_PLANE = 0xFFFF


def quote(name: str) -> str:
    """`[name]`, a `]` inside doubled (Microsoft, "Database Identifiers")."""
    return "[" + name.replace("]", "]]") + "]"


def quote_table(schema: str, table: str) -> str:
    """`[schema].[table]`."""
    return f"{quote(schema)}.{quote(table)}"


#: T-SQL drops a backslash before the end of a line, and the end of the line, inside of a constant; not in an
#: identifier, of which the page says nothing (Microsoft, "Backslash (Line Continuation)")
_CONTINUATION = re.compile(r"(?<=\\)(?=\r?\n)")


def literal(text: str) -> str:
    """An expression with this text as its value: `N'text'`, a `'` inside doubled.

    A text in which T-SQL would read a continued line is put together of several constants, in parentheses, so that
    `COLLATE` may follow. For where an expression may stand; a CREATE DATABASE, say, takes constants only.
    """
    parts = [f"N'{part}'" for part in _CONTINUATION.split(text.replace("'", "''"))]
    return parts[0] if len(parts) == 1 else f"({' + '.join(parts)})"


def can_be_one_constant(text: str) -> bool:
    """Whether a single constant has this text as its value."""
    return not _CONTINUATION.search(text)


def is_beyond_basic_plane(text: str) -> bool:
    """Whether unixODBC garbles the text, a character beyond the basic plane of which is two units in UTF-16."""
    return any(ord(character) > LAST_OF_BASIC_PLANE for character in text)


def can_stand_in_a_query(text: str) -> bool:
    """Whether a value may be a literal: a query ends at a NUL, and unixODBC garbles what `is_beyond_basic_plane`."""
    return all("\x00" < character < "\ud800" or "\udfff" < character <= "\uffff" for character in text)
