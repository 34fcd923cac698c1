"""One of several values: CASE and its relatives."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from standin.storage import storage
from standin.tsql.comparisons import compare
from standin.tsql.context import Arguments, Context, Function
from standin.tsql.conversions import common_kind, convert, meet
from standin.tsql.precedence import family
from standin.tsql.values import Typed
from standin.type_names import INT


def case(context: Context, node: exp.Case) -> Typed:
    """CASE, simple or searched."""
    subject = context.value(node.this) if node.this is not None else None
    branches: list[tuple[str, Typed]] = []
    for branch in node.args["ifs"]:
        if subject is None:
            condition = context.condition(branch.this)
        else:
            condition = compare(subject, "=", context.value(branch.this))
        branches.append((condition, context.value(branch.args["true"])))
    default = node.args.get("default")
    otherwise = context.value(default) if default is not None else Typed("NULL", INT)
    return _choice(branches, otherwise)


def _choice(branches: Sequence[tuple[str, Typed]], otherwise: Typed) -> Typed:
    results = [*(result for _, result in branches), otherwise]
    kind = common_kind(results)
    whens = " ".join(f"WHEN {condition} THEN {meet(result, kind)}" for condition, result in branches)
    is_nullable = any(result.is_nullable for result in results)
    collation = next((result.collation for result in results if result.collation), None)
    return Typed(f"CASE {whens} ELSE {meet(otherwise, kind)} END", kind, is_nullable, collation)


def if_function(context: Context, node: exp.If) -> Typed:
    """IIF, where the parser has a node of its own for it."""
    return _iif(context, [node.this, node.args["true"], node.args["false"]])


def _iif(context: Context, arguments: Arguments) -> Typed:
    condition = context.condition(arguments[0])
    return _choice([(condition, context.value(arguments[1]))], context.value(arguments[2]))


def _choose(context: Context, arguments: Arguments) -> Typed:
    index = context.value(arguments[0])
    branches = [
        (f"({index.sql} = {number})", context.value(argument)) for number, argument in enumerate(arguments[1:], 1)
    ]
    return _choice(branches, Typed("NULL", INT))


def _is_null(context: Context, arguments: Arguments) -> Typed:
    first, second = (context.value(argument) for argument in arguments)
    kind = second.kind if first.sql == "NULL" else first.kind
    other = convert(second, kind) if kind is not None and second.sql != "NULL" else second.sql
    if kind is not None and second.kind is not None and family(kind) == family(second.kind) != "text":
        other = second.sql if family(kind) != "number" else f"CAST({second.sql} AS {storage(kind)})"
    is_nullable = first.is_nullable and second.is_nullable
    return Typed(f"coalesce({first.sql}, {other})", kind, is_nullable, first.collation)


def _coalesce(context: Context, arguments: Arguments) -> Typed:
    values = [context.value(argument) for argument in arguments]
    kind = common_kind(values)
    sql = f"coalesce({', '.join(meet(value, kind) for value in values)})"
    return Typed(sql, kind, all(value.is_nullable for value in values), values[0].collation)


def _null_if(context: Context, arguments: Arguments) -> Typed:
    first, second = (context.value(argument) for argument in arguments)
    return Typed(
        f"CASE WHEN {compare(first, '=', second)} THEN NULL ELSE {first.sql} END", first.kind, True, first.collation
    )


FUNCTIONS: dict[str, Function] = {
    "IIF": _iif,
    "CHOOSE": _choose,
    "ISNULL": _is_null,
    "COALESCE": _coalesce,
    "NULLIF": _null_if,
}
