"""Conditions, which are no values in T-SQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from standin.errors import SqlError
from standin.tsql.comparisons import compare
from standin.tsql.context import Context
from standin.tsql.conversions import as_kinds, meet
from standin.tsql.parser import written
from standin.tsql.patterns import like
from standin.tsql.precedence import common
from standin.tsql.values import parenthesised

_COMPARISONS: Mapping[type, str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.LT: "<",
    exp.LTE: "<=",
}


def condition(context: Context, node: exp.Expression) -> str:
    """A condition; what is none is refused (error 4145)."""
    if isinstance(node, exp.Paren):
        return parenthesised(context.condition(node.this))
    if isinstance(node, (exp.And, exp.Or)):
        word = "AND" if isinstance(node, exp.And) else "OR"
        return f"({context.condition(node.this)} {word} {context.condition(node.expression)})"
    if isinstance(node, exp.Not):
        return f"(NOT {context.condition(node.this)})"
    if type(node) in _COMPARISONS:
        return _comparison(context, node)
    if isinstance(node, exp.Is):
        tested = context.value(node.this).sql
        return f"({tested} IS {'NOT ' if isinstance(node.expression, exp.Not) else ''}NULL)"
    if isinstance(node, exp.Between):
        value, low, high = (context.value(node.args[part]) for part in ("this", "low", "high"))
        return f"({compare(value, '>=', low)} AND {compare(value, '<=', high)})"
    if isinstance(node, exp.In):
        return _in(context, node)
    if isinstance(node, exp.Exists):
        inner = node.this.this if isinstance(node.this, exp.Subquery) else node.this
        return f"EXISTS ({context.query(inner).sql})"
    if isinstance(node, (exp.Like, exp.Escape)):
        return like(context, node)
    raise SqlError(4145, "An expression of non-boolean type specified in a context where a condition is expected,"
                         f" near '{written(node, 30)}'.", 15)  # fmt: skip


def _comparison(context: Context, node: exp.Expression) -> str:
    operator = _COMPARISONS[type(node)]
    left = context.value(node.this)
    if isinstance(node.expression, (exp.Any, exp.All)):
        query = context.query(node.expression.this)
        return f"({left.sql} {operator} {type(node.expression).__name__.upper()} ({query.sql}))"
    return compare(left, operator, context.value(node.expression))


def _in(context: Context, node: exp.In) -> str:
    value = context.value(node.this)
    if query_node := node.args.get("query"):
        inner = query_node.this if isinstance(query_node, exp.Subquery) else query_node
        query = context.query(inner)
        kind = common(value.kind, query.outputs[0].kind)
        return f"({meet(value, kind)} IN ({as_kinds(query, [kind])}))"
    options = [context.value(option) for option in node.expressions]
    return parenthesised(" OR ".join(compare(value, "=", option) for option in options))
