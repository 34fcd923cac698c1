"""The one helper that quotes identifiers for SQL Server."""

from __future__ import annotations


def quote(name: str) -> str:
    """`[name]`, a `]` inside doubled (Microsoft, "Database Identifiers")."""
    return "[" + name.replace("]", "]]") + "]"


def quote_table(schema: str, table: str) -> str:
    """`[schema].[table]`."""
    return f"{quote(schema)}.{quote(table)}"
