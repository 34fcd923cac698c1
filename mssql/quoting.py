"""The one helper that quotes identifiers for SQL Server, and what the text of a query cannot carry."""

from __future__ import annotations

LAST_OF_BASIC_PLANE = 0xFFFF


def quote(name: str) -> str:
    """`[name]`, a `]` inside doubled (Microsoft, "Database Identifiers")."""
    return "[" + name.replace("]", "]]") + "]"


def quote_table(schema: str, table: str) -> str:
    """`[schema].[table]`."""
    return f"{quote(schema)}.{quote(table)}"


def is_beyond_basic_plane(text: str) -> bool:
    """Whether unixODBC garbles the text, a character beyond the basic plane of which is two units in UTF-16."""
    return any(ord(character) > LAST_OF_BASIC_PLANE for character in text)


def can_stand_in_a_query(text: str) -> bool:
    """Whether a value may be a literal: a query ends at a NUL, and unixODBC garbles what `is_beyond_basic_plane`."""
    return all("\x00" < character < "\ud800" or "\udfff" < character <= "\uffff" for character in text)
