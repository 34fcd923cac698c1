"""TRY_CONVERT and TRY_CAST of texts to numbers.

Rules cited by the title of the page in Microsoft's Transact-SQL reference.
"""

from __future__ import annotations

from mssql.expressions.assumptions import Assumption
from mssql.expressions.constants import INTEGER_BOUNDS
from mssql.expressions.context import Arguments, Context, Function
from mssql.expressions.text import full_text, unpadded
from mssql.expressions.tree import Convert, Refused
from mssql.expressions.types import INTEGERS, STRINGS, postgres_type
from mssql.expressions.values import Value, quoted, typed

_NO_COUNTERPART = "has no counterpart: PostgreSQL raises an error for what does not convert"


def _try_convert(context: Context, arguments: Arguments) -> Value:
    """NULL for what does not convert ("TRY_CONVERT"): plain numbers convert."""
    (node,) = arguments
    if not isinstance(node, Convert) or node.style is not None:
        raise Refused(f"TRY_CONVERT {_NO_COUNTERPART}")
    value, target = typed(context.value(node.operand)), node.type
    if value.known.name not in STRINGS or value.constant is not None or target.name not in {*INTEGERS, "decimal"}:
        raise Refused(f"TRY_CONVERT to {target} {_NO_COUNTERPART}")
    context.notes.once(value)
    context.notes.assume(Assumption.TRIED_NUMBERS, f"which texts are a {target} is not documented to the last one")
    text, type_ = full_text(context.notes, value), postgres_type(target)
    subject = f'{text} COLLATE "C"'
    if target.name == "decimal":
        limit = f"1e{target.precision - target.scale}"
        inside = (
            f"round({text}::numeric, {target.scale}) > -{limit} AND round({text}::numeric, {target.scale}) < {limit}"
        )
        is_number, blank = r"^ *[-+]?([0-9]+\.?[0-9]*|\.[0-9]+) *$", ""
    else:
        low, high = INTEGER_BOUNDS[target.name]
        inside = f"{text}::numeric BETWEEN {low} AND {high}"
        # An empty text is 0.
        is_number, blank = "^ *[-+]?[0-9]+ *$", f" WHEN {unpadded(value)} = '' THEN 0"
    tried = f"CASE WHEN {inside} THEN {text}::{type_} END"
    return Value(f"CASE WHEN {subject} ~ {quoted(is_number)} THEN {tried}{blank} END", target)


FUNCTIONS = {"TRY_CONVERT": Function(_try_convert, 1, 1)}
