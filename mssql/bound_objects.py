"""Defaults and rules that stand by themselves and are bound to columns, as databases of long ago have them.

Sources: Microsoft, "sys.columns" (default_object_id, rule_object_id), "CREATE DEFAULT", "CREATE RULE", "sp_bindrule".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from model.catalog import Check, Default
from mssql.catalog_queries import Catalog
from mssql.quoting import quote

BOUND_OBJECTS = """
SELECT o.object_id, CAST(o.name AS nvarchar(128)) AS name, m.definition
FROM sys.objects AS o LEFT JOIN sys.sql_modules AS m ON m.object_id = o.object_id
WHERE o.type = 'R' OR (o.type = 'D' AND o.parent_object_id = 0)
"""

_BLANK = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)"
_PART = r"(?:\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\"|[\w@#$]+)"
_CREATE = re.compile(
    rf"{_BLANK}*CREATE{_BLANK}+(?:DEFAULT|RULE){_BLANK}+{_PART}(?:{_BLANK}*\.{_BLANK}*{_PART})*{_BLANK}*\bAS\b(.*)",
    re.IGNORECASE | re.DOTALL,
)
#: what may hold the signs of a comment or a variable without being one
_QUOTED = r"'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]|\"(?:[^\"]|\"\")*\""
_COMMENT = re.compile(rf"{_QUOTED}|(--[^\n]*|/\*.*?\*/)", re.DOTALL)
_VARIABLE = re.compile(rf"{_QUOTED}|(@[\w@#$]+)")


@dataclass(frozen=True)
class Bound:
    """A default or a rule; `text` is what follows AS, the whole where that is not clear, empty where it is hidden."""

    name: str
    text: str


def read_bound(catalog: Catalog) -> dict[int, Bound]:
    """All of them, by number."""
    rows = catalog.optional("bound defaults and rules", BOUND_OBJECTS)
    return {row.object_id: Bound(row.name, _expression(row.definition or "")) for row in rows}


def _expression(definition: str) -> str:
    found = _CREATE.match(definition)
    if found is None:
        return definition
    return _COMMENT.sub(lambda match: " " if match[1] else match[0], found[1]).strip().rstrip("; \n")


def bound_default(bound: Mapping[int, Bound], number: int) -> Default:
    """The default that a column has by this number; one without a text where the server does not show it."""
    found = bound.get(number, Bound("", ""))
    return Default(found.name, found.text)


def bound_rule(bound: Mapping[int, Bound], number: int, column: str) -> Check:
    """The rule that a column has by this number, as a check of the column, whose name stands for the rule's variable.

    Rows that were there before the rule was bound may break it, like those of a check that is not trusted.
    """
    found = bound.get(number, Bound(f"rule {number}", ""))
    text = _VARIABLE.sub(lambda match: quote(column) if match[1] else match[0], found.text)
    return Check(f"{found.name}_{column}", text, is_trusted=False)
