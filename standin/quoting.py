"""Names and texts as DuckDB writes them."""

from __future__ import annotations


def quote(name: str) -> str:
    """A DuckDB identifier."""
    return '"' + name.replace('"', '""') + '"'


def text_literal(text: str) -> str:
    """A DuckDB text literal."""
    return "'" + text.replace("'", "''") + "'"
