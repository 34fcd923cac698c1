"""Operators: arithmetic, bits, COLLATE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sqlglot import exp

from model.catalog import SqlType
from standin.collations import in_code_page, is_case_sensitive
from standin.storage import storage
from standin.tsql.context import Context
from standin.tsql.conversions import meet
from standin.tsql.precedence import as_decimal, common, family
from standin.tsql.values import Typed, parenthesised
from standin.type_names import BIGINT, INT
from standin.types import INTEGERS, NARROW, WIDE

_SYMBOLS: Mapping[type, str] = {exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%"}
_BITS: Mapping[type, str] = {exp.BitwiseAnd: "&", exp.BitwiseOr: "|", exp.BitwiseXor: "xor"}


def parenthesis(context: Context, node: exp.Paren) -> Typed:
    """A value in brackets."""
    value = context.value(node.this)
    return replace(value, sql=parenthesised(value.sql), name="")


def negative(context: Context, node: exp.Neg) -> Typed:
    """A minus before a value; the least bigint is written with one."""
    value = context.value(node.this)
    if value.sql == "CAST(9223372036854775808 AS DECIMAL(19,0))":
        return Typed("CAST('-9223372036854775808' AS BIGINT)", BIGINT)
    return Typed(f"(-{value.sql})", value.kind, value.is_nullable)


def not_bits(context: Context, node: exp.BitwiseNot) -> Typed:
    """~."""
    value = context.value(node.this)
    return Typed(f"(~{value.sql})", value.kind)


def bits(context: Context, node: exp.Binary) -> Typed:
    """& | ^."""
    left, right = context.value(node.this), context.value(node.expression)
    kind = common(left.kind, right.kind)
    operator = _BITS[type(node)]
    body = f"xor({left.sql}, {right.sql})" if operator == "xor" else f"({left.sql} {operator} {right.sql})"
    return Typed(body, kind)


def arithmetic(context: Context, node: exp.Binary) -> Typed:
    """`+ - * / %` with T-SQL's result types."""
    operator = type(node)
    left, right = context.value(node.this), context.value(node.expression)
    kind = common(left.kind, right.kind)
    is_nullable = left.is_nullable or right.is_nullable
    if operator is exp.Add and kind is not None and family(kind) == "text":
        return _joined(left, right, is_wide=kind.name in WIDE)
    if operator is exp.Add and kind is not None and family(kind) == "binary":
        return Typed(f"({left.sql} || {right.sql})", SqlType("varbinary", -1), is_nullable)
    if kind is not None and family(kind) in {"moment", "date"}:
        days, moment = (left, right) if right.kind and family(right.kind) == "moment" else (right, left)
        sign = "-" if operator is exp.Sub else "+"
        return Typed(f"({moment.sql} {sign} to_microseconds(CAST({days.sql} * 86400000000 AS BIGINT)))", moment.kind)
    first, second = meet(left, kind), meet(right, kind)
    symbol = _SYMBOLS[operator]
    if kind is None:
        return Typed(f"({first} {symbol} {second})")
    if kind.name in INTEGERS:
        # DuckDB's narrow integers overflow where SQL Server's results are int.
        wide = kind if kind.name == "bigint" else INT
        if kind.name != "bigint" and operator is not exp.Div:
            first = f"CAST({first} AS {storage(wide)})" if kind.name != "int" else first
        return Typed(f"({first} {'//' if operator is exp.Div else symbol} {second})", wide, is_nullable)
    if kind.name in {"decimal", "numeric"} and left.kind and right.kind:
        result = _decimal_result(operator, as_decimal(left.kind), as_decimal(right.kind))
        return Typed(f"CAST({first} {symbol} {second} AS {storage(result)})", result, is_nullable)
    if kind.name in {"money", "smallmoney"}:
        return Typed(f"CAST({first} {symbol} {second} AS {storage(kind)})", kind, is_nullable)
    return Typed(f"({first} {symbol} {second})", kind, is_nullable)


def _joined(left: Typed, right: Typed, *, is_wide: bool) -> Typed:
    length = -1
    if left.kind and right.kind and -1 not in {left.kind.max_length, right.kind.max_length}:
        length = left.kind.characters + right.kind.characters
        length = min(8000, length * (2 if is_wide else 1))
    kind = SqlType("nvarchar" if is_wide else "varchar", length)
    return Typed(f"({left.sql} || {right.sql})", kind, left.is_nullable or right.is_nullable, left.collation)


def _decimal_result(operator: type[exp.Binary], one: SqlType, two: SqlType) -> SqlType:
    """Precision and scale of a result ("Precision, scale, and length")."""
    if operator is exp.Div:
        scale = max(6, one.scale + two.precision + 1)
        precision = one.precision - one.scale + two.scale + scale
        if precision > 38:
            scale = max(6, scale - (precision - 38))
            precision = 38
        return SqlType("decimal", precision=precision, scale=min(scale, 38))
    scale = one.scale + two.scale if operator is exp.Mul else max(one.scale, two.scale)
    whole = max(one.precision - one.scale, two.precision - two.scale)
    precision = one.precision + two.precision + 1 if operator is exp.Mul else whole + 1 + scale
    if operator is exp.Mod:
        precision = whole + scale
    return SqlType("decimal", precision=min(38, precision), scale=min(scale, 38))


def collate(context: Context, node: exp.Collate) -> Typed:
    """COLLATE: of a collation's rules only case counts here, and its code page where the text is narrow."""
    value = context.value(node.this)
    collation = node.expression.name
    if collation.lower() == "database_default":
        return value
    if value.kind is not None and value.kind.name in NARROW and value.literal is None:
        value = replace(value, sql=in_code_page(value.sql, collation))
    if is_case_sensitive(collation):
        return replace(value, sql=f'({value.sql} COLLATE "binary")', collation=collation, literal=None)
    return replace(value, sql=f"({value.sql} COLLATE NOCASE)", collation=collation, literal=None)
