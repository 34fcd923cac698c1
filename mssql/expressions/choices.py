"""One of several values: CASE and its relatives.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from model.catalog import SqlType
from mssql.expressions.conditions import compare
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.conversions import convert
from mssql.expressions.text import full_text, text_value, unpadded
from mssql.expressions.tree import Case, Refused
from mssql.expressions.types import INT, STRINGS, common_type
from mssql.expressions.values import NULL, Notes, Value, quoted, typed


def case(context: Context, node: Case) -> Value:
    """CASE, simple or searched."""
    results = [context.value(result) for _, result in node.branches]
    default = context.value(node.default) if node.default is not None else NULL
    conditions = []
    operand = context.value(node.operand) if node.operand is not None else None
    for condition, _ in node.branches:
        if operand is None:
            conditions.append(context.condition(condition, None).sql)
        else:
            context.notes.once(operand)
            conditions.append(compare(context.notes, "=", operand, context.value(condition)).sql)
    return _choice(context.notes, conditions, [*results, default])


def _choice(notes: Notes, conditions: Sequence[str], results: Sequence[Value]) -> Value:
    type_, converted = _unified(notes, results)
    branches = " ".join(
        f"WHEN {condition} THEN {result.sql}" for condition, result in zip(conditions, converted, strict=False)
    )
    last = converted[-1]
    tail = "" if last.sql == "NULL" else f" ELSE {last.sql}"
    return _merged(f"CASE {branches}{tail} END", type_, converted)


def _merged(sql: str, type_: SqlType, sources: Sequence[Value]) -> Value:
    if type_.name in STRINGS:
        return text_value(sql, type_, [value for value in sources if value.sql != "NULL"])
    return Value(sql, type_, is_now=all(value.is_now for value in sources))


def _unified(notes: Notes, values: Sequence[Value]) -> tuple[SqlType, list[Value]]:
    """All results under the one type of highest precedence ("CASE", "COALESCE")."""
    types = [value.type for value in values if value.type is not None]
    if not types:
        raise Refused("every result is NULL")
    target = types[0]
    for type_ in types[1:]:
        target = common_type(target, type_)
    if target.name in {"char", "nchar"}:
        target = replace(target, name="varchar" if target.name == "char" else "nvarchar")
    return target, [_as_result(notes, value, target) for value in values]


def _as_result(notes: Notes, value: Value, target: SqlType) -> Value:
    if value.type is None:
        return replace(value, type=target)
    if value.known.name in STRINGS and target.name in STRINGS:
        return replace(value, sql=full_text(notes, value), type=target, is_trimmed=False) if value.is_trimmed else value
    if value.known.name == target.name and target.name != "decimal":
        return value
    if value.known.name in STRINGS and isinstance(value.constant, str) and target.name == "decimal":
        raise Refused(f"{value.constant!r} becomes a {target} first")
    return convert(notes, value, target)


def _isnull(context: Context, arguments: Arguments) -> Value:
    """The result has the first argument's type, and the second is cut to it ("ISNULL")."""
    first, second = (context.value(argument) for argument in arguments)
    if first.type is None:
        return typed(second)
    if first.constant is not None:
        return first
    if first.is_trimmed and isinstance(second.constant, str):
        # Without the padding on both sides, which full_text() gives back.
        cut = convert(context.notes, second, first.known)
        sql = f"coalesce({unpadded(first)}, {quoted(str(cut.constant).rstrip(' '))})"
        return replace(_merged(sql, first.known, [first, cut]), is_trimmed=True)
    if first.is_trimmed:
        first = replace(first, sql=full_text(context.notes, first), is_trimmed=False)
    second = convert(context.notes, second, first.known)
    return _merged(f"coalesce({first.sql}, {second.sql})", first.known, [first, second])


def _coalesce(context: Context, arguments: Arguments) -> Value:
    type_, values = _unified(context.notes, [context.value(argument) for argument in arguments])
    return _merged(f"coalesce({', '.join(value.sql for value in values)})", type_, values)


def _nullif(context: Context, arguments: Arguments) -> Value:
    first, second = (typed(context.value(argument)) for argument in arguments)
    if first.constant is not None:
        raise Refused("NULLIF of a constant is not translated")
    context.notes.once(first)
    result = replace(first, sql=full_text(context.notes, first), is_trimmed=False)
    return _merged(
        f"CASE WHEN {compare(context.notes, '=', first, second).sql} THEN NULL ELSE {result.sql} END",
        first.known,
        [result],
    )


def _iif(context: Context, arguments: Arguments) -> Value:
    condition = context.condition(arguments[0], None)
    return _choice(context.notes, [condition.sql], [context.value(argument) for argument in arguments[1:]])


def _choose(context: Context, arguments: Arguments) -> Value:
    """By position from 1; NULL for any other ("CHOOSE")."""
    number = convert(context.notes, typed(context.value(arguments[0])), INT)
    context.notes.once(number)
    conditions = [f"{number.operand} = {position}" for position in range(1, len(arguments))]
    return _choice(context.notes, conditions, [*(context.value(argument) for argument in arguments[1:]), NULL])


def _extreme(function: str, context: Context, arguments: Arguments) -> Value:
    """NULL counts only where all are NULL, as in PostgreSQL ("GREATEST", "LEAST")."""
    type_, values = _unified(context.notes, [context.value(argument) for argument in arguments])
    if type_.name in STRINGS or type_.name == "uniqueidentifier":
        raise Refused(f"{type_} has another order in PostgreSQL")
    return _merged(f"{function}({', '.join(value.sql for value in values)})", type_, values)


FUNCTIONS = {
    "GREATEST": Function(partial(_extreme, "greatest"), 1, 254),
    "LEAST": Function(partial(_extreme, "least"), 1, 254),
    "CHOOSE": Function(_choose, 2, 99),
    "ISNULL": Function(_isnull, 2, 2),
    "COALESCE": Function(_coalesce, 2, 99),
    "NULLIF": Function(_nullif, 2, 2),
    "IIF": Function(_iif, 3, 3),
}
