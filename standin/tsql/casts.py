"""CAST, CONVERT and AT TIME ZONE."""

from __future__ import annotations

from sqlglot import exp

from model.catalog import SqlType
from standin.errors import SqlError
from standin.tsql.constants import constant_text
from standin.tsql.context import Context
from standin.tsql.conversions import convert
from standin.tsql.parser import written
from standin.tsql.precedence import family
from standin.tsql.values import Typed
from standin.type_names import named_type

#: the style of floats that keeps every digit, and the first version that has it; before, it is read as 0
_ALL_DIGITS, _FIRST_WITH_ALL_DIGITS = 3, 13


def _major_version(context: Context) -> int:
    return int(str(context.statement.facts.properties["productmajorversion"]))


def cast(context: Context, node: exp.Expression) -> Typed:
    """CAST, CONVERT, TRY_CAST and TRY_CONVERT."""
    is_convert = isinstance(node, exp.Convert)
    value = context.value(node.expression if is_convert else node.this)
    target = _named_by(node.this if is_convert else node.args["to"])
    style_node = node.args.get("style") if is_convert else node.args.get("format")
    style = int(constant_text(context.statement, style_node)) if style_node is not None else None
    if style == _ALL_DIGITS and _major_version(context) < _FIRST_WITH_ALL_DIGITS:
        style = 0
    sql = convert(value, target, style)
    if isinstance(node, exp.TryCast) or node.args.get("safe"):
        sql = sql.replace("CAST(", "TRY_CAST(").replace("TRY_TRY_", "TRY_")
    return Typed(sql, target, value.is_nullable, value.collation if family(target) == "text" else None)


def at_time_zone(context: Context, node: exp.AtTimeZone) -> Typed:
    """AT TIME ZONE 'UTC'."""
    value = context.value(node.this)
    zone = node.args["zone"].name
    if zone.upper() != "UTC" or value.kind is None:
        raise SqlError(9820, f"The time zone parameter '{zone}' provided to AT TIME ZONE clause is invalid.")
    target = SqlType("datetimeoffset", scale=value.kind.scale)
    if value.kind.name == "datetimeoffset":
        return Typed(f"tds_ticks_dto(tds_dto_ticks({value.sql}), 0)", target)
    return Typed(convert(value, target), target)


def _named_by(node: exp.Expression, default_length: int = 30) -> SqlType:
    """The T-SQL type that a CAST names; `default_length` is that of a char or binary type without one."""
    text = written(node) if not isinstance(node, exp.DataType) else ""
    if isinstance(node, exp.DataType):
        name = node.args.get("kind")
        if name:
            text = str(written(name) if isinstance(name, exp.Expression) else name)
        else:
            names = {
                "UTINYINT": "tinyint", "TIMESTAMPTZ": "datetimeoffset", "TIMESTAMP": "datetime2",
                "ROWVERSION": "timestamp",
                "DATETIME2": "datetime2", "DOUBLE": "float", "BOOLEAN": "bit", "UUID": "uniqueidentifier",
                "TEXT": "text", "INT": "int", "IMAGE": "image",
            }  # fmt: skip
            base = node.this.name if hasattr(node.this, "name") else str(node.this)
            base = names.get(base, base.lower())
            sizes = [part.name for part in node.expressions]
            text = base + (f"({','.join(sizes)})" if sizes else "")
    return named_type(text, default_length)
