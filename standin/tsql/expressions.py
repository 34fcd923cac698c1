"""A value of any kind, translated by the module of its subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlglot import exp

from standin.errors import SqlError
from standin.tsql import (
    aggregates,
    casts,
    choices,
    columns,
    constants,
    date_functions,
    number_functions,
    operators,
    session_functions,
    text_functions,
)
from standin.tsql.context import Context, Function
from standin.tsql.parser import syntax_error, written
from standin.tsql.queries import scalar_query
from standin.tsql.values import Typed

#: every function that is known here, by its name
_FUNCTIONS: Mapping[str, Function] = {
    **aggregates.FUNCTIONS,
    **choices.FUNCTIONS,
    **text_functions.FUNCTIONS,
    **number_functions.FUNCTIONS,
    **date_functions.FUNCTIONS,
    **session_functions.FUNCTIONS,
}
#: those that are called without brackets, and look like columns
_NILADIC: Mapping[str, Function] = {**date_functions.NILADIC, **session_functions.NILADIC}


def value(context: Context, node: exp.Expression) -> Typed:
    """A value. Raises SqlError with SQL Server's number where it is none, or none that is known here."""
    translate = _BY_NODE.get(type(node))
    if translate is None:
        if isinstance(node, exp.Predicate):
            raise syntax_error(written(node, 30))
        raise SqlError(50000, f"The stand-in does not support {type(node).__name__}: {written(node, 80)}")
    return translate(context, node)


def _name(context: Context, node: exp.Column) -> Typed:
    if not node.table and not node.this.args.get("quoted"):
        function = _NILADIC.get(node.name.upper())
        if function is not None:
            return function(context, ())
    return columns.column(context, node)


def _call(context: Context, node: exp.Anonymous) -> Typed:
    function = _FUNCTIONS.get(node.name.upper())
    if function is None:
        raise SqlError(195, f"'{node.name}' is not a recognized built-in function name.", 15)
    return function(context, node.expressions)


def _next_value(_context: Context, _node: exp.Expression) -> Typed:
    raise SqlError(50000, "NEXT VALUE FOR is not supported by the stand-in.")


_BY_NODE: Mapping[type, Callable[[Context, Any], Typed]] = {
    exp.Column: _name,
    exp.Literal: constants.literal,
    exp.National: constants.national,
    exp.HexString: constants.hexadecimal,
    exp.Null: constants.null,
    exp.Parameter: constants.parameter,
    exp.Paren: operators.parenthesis,
    exp.Neg: operators.negative,
    exp.BitwiseNot: operators.not_bits,
    exp.BitwiseAnd: operators.bits,
    exp.BitwiseOr: operators.bits,
    exp.BitwiseXor: operators.bits,
    exp.Add: operators.arithmetic,
    exp.Sub: operators.arithmetic,
    exp.Mul: operators.arithmetic,
    exp.Div: operators.arithmetic,
    exp.Mod: operators.arithmetic,
    exp.Collate: operators.collate,
    exp.Case: choices.case,
    exp.If: choices.if_function,
    exp.Cast: casts.cast,
    exp.TryCast: casts.cast,
    exp.Convert: casts.cast,
    exp.AtTimeZone: casts.at_time_zone,
    exp.Subquery: scalar_query,
    exp.Trim: text_functions.trim,
    exp.Window: aggregates.window,
    exp.WithinGroup: aggregates.within_group,
    exp.Dot: columns.method,
    exp.NextValueFor: _next_value,
    exp.Anonymous: _call,
}
