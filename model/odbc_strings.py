"""ODBC's connection strings, written and taken apart."""

from __future__ import annotations

import re


def odbc_value(value: str) -> str:
    """A value for an ODBC connection string, in braces where it needs them (a `}` doubled).

    Source: Microsoft, "SQLDriverConnect Function", comments on special characters.
    """
    if value and not re.search(r"[\[\]{}(),;?*=!@\s]", value):
        return value
    return "{" + value.replace("}", "}}") + "}"


def parse_odbc(text: str) -> dict[str, str]:
    """The keywords (lower-cased) and values of an ODBC connection string; the first of a name wins."""
    parts: dict[str, str] = {}
    for match in re.finditer(r"\s*([^=;]+?)\s*=\s*(\{(?:[^}]|\}\})*\}|[^;]*)(?:;|$)", text):
        value = match[2].strip()
        if value.startswith("{"):
            value = value[1:-1].replace("}}", "}")
        parts.setdefault(match[1].lower(), value)
    return parts
