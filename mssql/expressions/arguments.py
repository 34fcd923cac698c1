"""What functions of texts are given."""

from __future__ import annotations

from mssql.expressions.context import Context
from mssql.expressions.conversions import convert
from mssql.expressions.tree import Node, Refused
from mssql.expressions.types import INTEGERS, MONEY, STRINGS, sized_type
from mssql.expressions.values import Value, typed


def string_argument(context: Context, node: Node) -> Value:
    """A text; T-SQL turns other types into varchar here. Raises `Refused` for those whose text is not certain."""
    value = typed(context.value(node))
    if value.known.name in {"text", "ntext"}:
        raise Refused(f"{value.type} is an argument")
    if value.known.name in STRINGS:
        return value
    if value.known.name not in {*INTEGERS, *MONEY, "uniqueidentifier", "decimal", "bit"}:
        raise Refused(f"{value.type} becomes a text first")
    return convert(context.notes, value, sized_type("varchar", 41))


def whole_number(context: Context, node: Node, function: str) -> Value:
    """A position or a number of characters, in SQL as an integer. Raises `Refused` where it is of another type."""
    value = typed(context.value(node))
    if value.known.name not in INTEGERS:
        raise Refused(f"{function} has a position or length that is not a whole number")
    if value.known.name == "bigint":
        return Value(f"{value.operand}::integer", value.type, value.constant)
    return value


def constant_count(value: Value) -> int | None:
    """The number where it is constant and not negative, else None."""
    is_count = isinstance(value.constant, int) and not isinstance(value.constant, bool) and value.constant >= 0
    return value.constant if is_count and isinstance(value.constant, int) else None
