"""Texts of one character between two others, which is what a range of LIKE asks."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from mssql.expressions.context import Context
from mssql.expressions.tree import Between, Binary, Like, Literal, Name, Node, Token
from mssql.expressions.types import STRINGS


def with_ranges(context: Context, parts: Sequence[Node]) -> list[Node]:
    """Parts of an AND; `x >= 'A'` beside `x <= 'F'` becomes `x LIKE '[A-F]'` where x is one character."""
    found = list(parts)
    for low, high in pairwise(parts):
        if (
            isinstance(low, Binary) and isinstance(high, Binary) and (low.operator, high.operator) == (">=", "<=")
            and low.left == high.left
        ):  # fmt: skip
            like = _as_like(context, low.left, low.right, high.right, is_negated=False)
            if like is not None and low in found:
                position = found.index(low)
                found[position : position + 2] = [like]
    return found


def between_characters(context: Context, node: Between) -> Like | None:
    """BETWEEN as LIKE where the operand is one character, else None."""
    return _as_like(context, node.operand, node.low, node.high, is_negated=node.negated)


def _as_like(context: Context, operand: Node, low: Node, high: Node, *, is_negated: bool) -> Like | None:
    if not (isinstance(operand, Name) and isinstance(low, Literal) and isinstance(high, Literal)):
        return None
    if not all(bound.kind in {Token.STRING, Token.NATIONAL} and _is_plain(bound.text) for bound in (low, high)):
        return None
    type_ = context.value(operand).known
    if type_.name not in STRINGS - {"text", "ntext"} or type_.characters != 1:
        return None
    return Like(operand, Literal(low.kind, f"[{low.text}-{high.text}]"), None, is_negated)


def _is_plain(text: str) -> bool:
    return len(text) == 1 and text.isascii() and text.isalnum()
