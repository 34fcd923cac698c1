"""Names and texts as DuckDB and T-SQL write them."""

from __future__ import annotations


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A DuckDB text literal."""
    return "'" + text.replace("'", "''") + "'"


def bracket(name: str) -> str:
    """A T-SQL identifier."""
    return "[" + name.replace("]", "]]") + "]"
