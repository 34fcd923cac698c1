"""Values compared and put in order."""

from __future__ import annotations

from standin.quoting import text_literal
from standin.tsql.conversions import meet
from standin.tsql.precedence import common, family
from standin.tsql.values import Typed


def sortable(value: Typed) -> str:
    """What DuckDB sorts as SQL Server sorts the value."""
    if value.kind is not None and value.kind.name == "uniqueidentifier":
        return f"tds_guid_key({value.sql})"
    if value.kind is not None and value.kind.name == "datetimeoffset":
        return f"tds_dto_ticks({value.sql})"
    return value.sql


def _without_blanks(value: Typed) -> str:
    return text_literal(value.literal.rstrip(" ")) if value.literal is not None else f"rtrim({value.sql}, ' ')"


def compare(left: Typed, operator: str, right: Typed) -> str:
    """A comparison of two values."""
    kind = common(left.kind, right.kind)
    first, second = (Typed(meet(side, kind), kind, literal=side.literal) for side in (left, right))
    if kind is not None and family(kind) == "text":
        # Trailing blanks do not count in comparisons.
        first, second = (Typed(_without_blanks(side)) for side in (first, second))
    if kind is not None and (kind.name == "datetimeoffset" or operator not in {"=", "<>"}):
        first, second = Typed(sortable(first)), Typed(sortable(second))
    return f"({first.sql} {operator} {second.sql})"


def sort_key(value: Typed, *, is_descending: bool) -> str:
    """One key of ORDER BY; NULL comes before every value."""
    return f"{sortable(value)} {'DESC NULLS LAST' if is_descending else 'ASC NULLS FIRST'}"
