"""Expressions as Babelfish stores them, given back the form that they have on SQL Server.

Babelfish keeps PostgreSQL's tree of an expression and writes it out again: functions have PostgreSQL's names, parts of
dates are texts, a LIKE with a constant beginning has a range beside it that an index can use. The parser reads the
operators and the casts; what is left of the difference goes here.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import Any

from mssql.expressions.tree import (
    Call,
    Collate,
    Convert,
    Like,
    Literal,
    Logical,
    Name,
    NextValue,
    Node,
    Not,
    Null,
    Refused,
    Token,
    Unary,
)
from mssql.expressions.types import BINARIES, STRINGS, SYNONYMS, declared_type

#: PostgreSQL's types under the names that T-SQL has for them
_TYPES = {
    "character varying": "varchar", "bpchar": "char", "text": "varchar", "int2": "smallint", "int4": "int",
    "int8": "bigint", "float4": "real", "float8": "float", "double precision": "float", "bool": "bit", "boolean": "bit",
    "timestamp without time zone": "datetime2", "timestamp with time zone": "datetimeoffset",
    "time without time zone": "time",
}  # fmt: skip
_SCHEMAS = {(), ("sys",), ("pg_catalog",)}
_FUNCTIONS = {"chr": "CHAR", "spid": "@@SPID", "user_name_sysname": "CURRENT_USER", "servername": "@@SERVERNAME"}
_FUNCTIONS_OF_PARTS = {"dateadd", "datediff", "datediff_big", "datename", "datepart", "datetrunc"}
_CONVERSION = re.compile(r"babelfish_conv_helper_to_(date|time|datetime|datetime2|varchar)")
_PART_OF_NAME = re.compile(r'"((?:[^"]|"")+)"|([^".]+)')
#: the end of the range that stands beside a LIKE with a constant beginning
_LAST_CHARACTER = "\uffff"


def cast_of(operand: Node, name: str, numbers: Sequence[str]) -> Node:
    """A cast as PostgreSQL writes it: `'new'::"varchar"`, `'-0.5'::numeric`.

    Of those without a size nobody wrote one: T-SQL's have a size of their own, which is then there.
    """
    name = _TYPES.get(name, name)
    name = SYNONYMS.get(name, name)
    if name == "decimal" and not numbers and _text(operand) is not None:
        return _number(operand)
    is_made = name in STRINGS | {"decimal", "fixeddecimal", "regclass"} or isinstance(operand, Null)
    if is_made and not numbers:
        return operand
    return Convert(binary_of(operand) if name in BINARIES else operand, declared_type(name, numbers), None)


def _number(operand: Node) -> Node:
    """The number that a text stands for; Babelfish stores one with a sign so."""
    match = re.fullmatch(r"(-?)([0-9]+\.?[0-9]*|\.[0-9]+)", _text(operand) or "")
    if match is None:
        raise Refused(f"{_text(operand)!r} is no number")
    number = Literal(Token.NUMBER, match[2])
    return Unary("-", number) if match[1] else number


def binary_of(node: Node) -> Node:
    """The bytes that a text stands for where a binary value is wanted, which on SQL Server no text may."""
    text = _text(node)
    is_binary = text is not None and re.fullmatch("0x[0-9A-Fa-f]*", text)
    return Literal(Token.BINARY, text[2:]) if text is not None and is_binary else node


def restored(node: Node) -> Node:
    """A tree as SQL Server would have it. One that comes from SQL Server is the same afterwards. Raises `Refused`."""
    node = _rebuilt(node)
    if isinstance(node, Call) and tuple(part.lower() for part in node.schema) in _SCHEMAS:
        return _call(node)
    if isinstance(node, Logical):
        return _without_ranges_of_like(node)
    if isinstance(node, Like) and isinstance(node.pattern, Call) and node.pattern.name.lower() == "like_escape":
        pattern, escape = node.pattern.arguments
        return dataclasses.replace(node, pattern=pattern, escape=escape)
    if isinstance(node, Collate) and node.collation.lower() == "default":
        return node.operand
    return node


def _rebuilt(value: Any) -> Any:
    """A node of restored nodes; anything else as it is."""
    if isinstance(value, tuple):
        return tuple(restored(part) if isinstance(part, Node) else _rebuilt(part) for part in value)
    if not isinstance(value, Node):
        return value
    members: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        member = getattr(value, field.name)
        members[field.name] = restored(member) if isinstance(member, Node) else _rebuilt(member)
    return dataclasses.replace(value, **members)


def _call(node: Call) -> Node:
    name = node.name.lower()
    conversion = _CONVERSION.fullmatch(name)
    if conversion is not None:
        return _conversion(conversion[1], node.arguments)
    if name == "nextval" and len(node.arguments) == 1:
        return _next_value(_text(node.arguments[0]))
    if name in _FUNCTIONS_OF_PARTS and node.arguments:
        part = _text(node.arguments[0])
        if part is not None:
            return Call((), node.name, (Name((part,)), *node.arguments[1:]))
    return Call((), _FUNCTIONS.get(name, node.name), node.arguments)


def _text(node: Node) -> str | None:
    is_text = isinstance(node, Literal) and node.kind in {Token.STRING, Token.NATIONAL}
    return node.text if isinstance(node, Literal) and is_text else None


def _conversion(target: str, arguments: Sequence[Node]) -> Node:
    """CONVERT: for a text its type first, then the value, whether it was TRY_CONVERT, and the style."""
    size: list[str] = []
    if target == "varchar":
        type_, *arguments = arguments
        names = "character varying|character|bpchar|n?varchar|n?char"
        written = re.fullmatch(rf"({names})(?:\((\d+)\))?", _text(type_) or "")
        if written is None:
            raise Refused(f"a value is converted to {_text(type_)}, which this tool does not read")
        target = SYNONYMS.get(_TYPES.get(written[1], written[1]), _TYPES.get(written[1], written[1]))
        size = [written[2]] if written[2] else []
    value, is_try, *style = arguments
    if is_try != Name(("false",)):
        return Call((), "TRY_CONVERT", (Convert(value, declared_type(target, size), style[0] if style else None),))
    return Convert(value, declared_type(target, size), style[0] if style else None)


def _next_value(text: str | None) -> Node:
    """The sequence of nextval(). Babelfish's schemas have the database's name before their own."""
    if text is None:
        raise Refused("the sequence of nextval() is not a constant")
    parts = [quoted.replace('""', '"') or plain for quoted, plain in _PART_OF_NAME.findall(text)]
    if len(parts) == 2 and parts[0].endswith("_dbo"):
        parts[0] = "dbo"
    return NextValue(tuple(parts))


def _without_ranges_of_like(node: Logical) -> Node:
    """`x LIKE 'a%' AND x >= 'a' AND x < 'a…'` says no more than its LIKE does; so does NOT LIKE, with OR and NOT."""
    if not any(isinstance(part, Like) for part in node.parts):
        return node
    parts = tuple(part for part in node.parts if not _is_range_of_like(part))
    return parts[0] if len(parts) == 1 else Logical(node.operator, parts)


def _is_range_of_like(node: Node) -> bool:
    if isinstance(node, Not):
        return _is_range_of_like(node.operand)
    is_pair = isinstance(node, Logical) and node.operator == "AND" and len(node.parts) == 2
    return is_pair and any(_text(part) == _LAST_CHARACTER for part in _all_of(node))


def _all_of(value: Any) -> Iterator[Node]:
    """A node and all that it is made of."""
    if isinstance(value, tuple):
        for part in value:
            yield from _all_of(part)
    elif isinstance(value, Node):
        yield value
        for field in dataclasses.fields(value):
            yield from _all_of(getattr(value, field.name))
