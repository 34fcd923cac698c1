"""Families of types, and the type that two operands meet in."""

from __future__ import annotations

from dataclasses import replace

from model.catalog import SqlType
from standin.type_names import BY_PRECEDENCE
from standin.types import BINARIES, DECIMALS, INTEGERS, MOMENTS, TEXTS, WIDE, is_text_moment

_DIGITS = {"bit": 1, "tinyint": 3, "smallint": 5, "int": 10, "bigint": 19}


def _rank(kind: SqlType) -> int:
    name = {"numeric": "decimal", "sysname": "nvarchar"}.get(kind.name, kind.name)
    return BY_PRECEDENCE.index(name) if name in BY_PRECEDENCE else 0


def family(kind: SqlType) -> str:
    """The family whose members DuckDB compares without help."""
    name = kind.name
    if name in INTEGERS or name in DECIMALS or name in {"float", "real"}:
        return "number"
    if name in TEXTS:
        return "text"
    if name in BINARIES:
        return "binary"
    if is_text_moment(kind):
        return name + "7"
    return "moment" if name in MOMENTS else name


def as_decimal(kind: SqlType) -> SqlType:
    """The decimal that holds every value of an exact number's type."""
    if kind.name in _DIGITS:
        return SqlType("decimal", precision=_DIGITS[kind.name])
    if kind.name in {"money", "smallmoney"}:
        return SqlType("decimal", precision=19 if kind.name == "money" else 10, scale=4)
    return kind


def common(left: SqlType | None, right: SqlType | None) -> SqlType | None:
    """The type two operands meet in, by data type precedence."""
    if left is None or right is None:
        return left or right
    higher, lower = (left, right) if _rank(left) <= _rank(right) else (right, left)
    if higher.name in {"decimal", "numeric"} and family(lower) == "number":
        other = as_decimal(lower)
        scale = max(higher.scale, other.scale)
        digits = max(higher.precision - higher.scale, other.precision - other.scale)
        return replace(higher, precision=min(38, digits + scale), scale=scale)
    if family(higher) == "text" and family(lower) == "text" and higher.max_length != -1:
        if lower.max_length == -1 or lower.name in {"text", "ntext", "xml"}:
            return replace(higher, max_length=-1)
        units = max(left.characters, right.characters)
        return replace(higher, max_length=units * 2 if higher.name in WIDE else units)
    if family(higher) == "binary" and family(lower) == "binary" and higher.max_length != -1:
        return replace(higher, max_length=-1 if lower.max_length == -1 else max(left.max_length, right.max_length))
    if higher.name == lower.name:
        return replace(higher, scale=max(higher.scale, lower.scale))
    return higher
