"""SELECT, set operations and common table expressions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlglot import exp

from model.catalog import SqlType
from standin.errors import SqlError
from standin.relations import Output
from standin.tsql.columns import source_named
from standin.tsql.comparisons import sort_key
from standin.tsql.context import Context
from standin.tsql.conversions import as_kinds
from standin.tsql.parser import syntax_error, written
from standin.tsql.precedence import common
from standin.tsql.sources import from_clause
from standin.tsql.values import Query, Typed, numbered, renamed


def query(context: Context, node: exp.Expression) -> Query:
    """A SELECT, a set operation or a bracketed one of either."""
    inner = context.within(context.scope.child())
    prefix = _with(inner, node)
    if isinstance(node, exp.Select):
        translated = _select(inner, node)
    elif isinstance(node, exp.SetOperation):
        translated = _set_operation(inner, node)
    elif isinstance(node, (exp.Subquery, exp.Paren)):
        translated = _bracketed(inner, node)
    else:
        raise syntax_error(written(node, 30))
    return replace(translated, sql=prefix + translated.sql)


def scalar_query(context: Context, node: exp.Subquery) -> Typed:
    """A query in brackets where a value is wanted."""
    found = context.query(node.this)
    first = found.outputs[0]
    return Typed(f"({found.sql})", first.kind, True, first.collation)


def ordered(context: Context, key: exp.Expression, outputs: Sequence[Output] = (), items: Sequence[Typed] = ()) -> str:
    """One key of ORDER BY: a position, a name of the select list, or a value."""
    inner = key.this if isinstance(key, exp.Ordered) else key
    is_descending = isinstance(key, exp.Ordered) and bool(key.args.get("desc"))
    named = _output_named(inner, outputs)
    if named is not None:
        return sort_key(named, is_descending=is_descending)
    value = context.value(inner)
    for number, item in enumerate(items, 1):
        if item.sql == value.sql:
            value = Typed(f"c{number}", value.kind)
            break
    return sort_key(value, is_descending=is_descending)


def _output_named(key: exp.Expression, outputs: Sequence[Output]) -> Typed | None:
    """The column of the select list that a key of ORDER BY gives by its position or its name."""
    if isinstance(key, exp.Literal) and not key.is_string:
        number = int(key.name)
        if not 0 < number <= len(outputs):
            raise SqlError(108, f"The ORDER BY position number {number} is out of range of the number of items"
                                " in the select list.", 15)  # fmt: skip
        return Typed(f"c{number}", outputs[number - 1].kind)
    if isinstance(key, exp.Column) and not key.table:
        for number, output in enumerate(outputs, 1):
            if output.name.lower() == key.name.lower():
                return Typed(f"c{number}", output.kind)
    return None


def _bracketed(context: Context, node: exp.Expression) -> Query:
    inner = context.query(node.this)
    tail = _tail(context.within(context.scope.child()), node, inner.outputs, [])
    return replace(inner, sql=f"SELECT * FROM ({inner.sql}) AS sub{tail}") if tail else inner


def _with(context: Context, node: exp.Expression) -> str:
    clause = node.args.get("with_")
    if clause is None:
        return ""
    known = context.scope.ctes
    parts = []
    for cte in clause.expressions:
        body = cte.this
        names = [column.name for column in cte.args["alias"].args.get("columns") or ()]
        alias = context.statement.alias()
        if _is_recursive(cte):
            # The part before UNION ALL says what the columns are; DuckDB wants the union itself outermost.
            anchor = context.query(body.this)
            outputs = renamed(anchor.outputs, names)
            known[cte.alias.lower()] = (alias, outputs)
            step = context.query(body.expression)
            kinds = [output.kind for output in anchor.outputs]
            found = Query(f"({anchor.sql}) UNION ALL ({as_kinds(step, kinds)})", outputs)
        else:
            found = context.query(body)
            outputs = renamed(found.outputs, names)
        known[cte.alias.lower()] = (alias, outputs)
        parts.append(f"{alias}({numbered(len(outputs))}) AS ({found.sql})")
    return "WITH RECURSIVE " + ", ".join(parts) + " "


def _is_recursive(cte: exp.CTE) -> bool:
    body = cte.this
    return isinstance(body, exp.SetOperation) and any(
        table.name.lower() == cte.alias.lower() and not table.db for table in body.expression.find_all(exp.Table)
    )


def _set_operation(context: Context, node: exp.SetOperation) -> Query:
    left, right = context.query(node.this), context.query(node.expression)
    if len(left.outputs) != len(right.outputs):
        raise SqlError(
            205,
            "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of"
            " expressions in their target lists.",
        )
    kinds: list[SqlType | None] = [common(a.kind, b.kind) for a, b in zip(left.outputs, right.outputs, strict=True)]
    outputs = tuple(
        replace(a, kind=kind, is_nullable=a.is_nullable or b.is_nullable)
        for a, b, kind in zip(left.outputs, right.outputs, kinds, strict=True)
    )
    word = {exp.Union: "UNION", exp.Except: "EXCEPT", exp.Intersect: "INTERSECT"}[type(node)]
    if not node.args.get("distinct", True):
        word += " ALL"
    sql = f"({as_kinds(left, kinds)}) {word} ({as_kinds(right, kinds)})"
    tail = _tail(context.within(context.scope.beside()), node, outputs, [])
    return Query(f"SELECT * FROM ({sql}) AS combined({numbered(len(outputs))}){tail}", outputs)


def _select(context: Context, node: exp.Select) -> Query:
    if node.args.get("for_"):
        raise SqlError(50000, "FOR XML and FOR JSON are not supported by the stand-in.")
    from_sql = from_clause(context, node)
    items: list[Typed] = []
    for item in node.expressions:
        items.extend(_item(context, item))
    outputs = tuple(Output(item.name, item.kind, item.is_nullable, item.collation, item.table) for item in items)
    listed = ", ".join(f"{item.sql} AS c{number}" for number, item in enumerate(items, 1))
    sql = f"SELECT {'DISTINCT ' if node.args.get('distinct') else ''}{listed}{from_sql}"
    if where := node.args.get("where"):
        sql += f" WHERE {context.condition(where.this)}"
    if group := node.args.get("group"):
        sql += " GROUP BY " + ", ".join(context.value(key).sql for key in group.expressions)
    if having := node.args.get("having"):
        sql += f" HAVING {context.condition(having.this)}"
    return Query(sql + _tail(context, node, outputs, items), outputs)


def _tail(context: Context, node: exp.Expression, outputs: Sequence[Output], items: Sequence[Typed]) -> str:
    """ORDER BY, TOP and OFFSET … FETCH."""
    sql = ""
    if order := node.args.get("order"):
        sql += " ORDER BY " + ", ".join(ordered(context, key, outputs, items) for key in order.expressions)
    limit, offset = node.args.get("limit"), node.args.get("offset")
    if limit is not None:
        count: Any = limit.args.get("count") if isinstance(limit, exp.Fetch) else limit.args.get("expression")
        options = limit.args.get("limit_options")
        if options is not None and options.args.get("with_ties"):
            raise SqlError(50000, "TOP … WITH TIES is not supported by the stand-in.")
        percent = "%" if options is not None and options.args.get("percent") else ""
        sql += f" LIMIT {context.value(count).sql}{percent}"
    if offset is not None:
        sql += f" OFFSET {context.value(offset.expression).sql}"
    return sql


def _item(context: Context, item: exp.Expression) -> list[Typed]:
    if isinstance(item, exp.Star):
        return [column for source in context.scope.sources for column in source.all_columns()]
    if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
        return source_named(context.scope, item).all_columns()
    if isinstance(item, exp.Alias):
        return [replace(context.value(item.this), name=item.alias)]
    if isinstance(item, (exp.Aliases, exp.PropertyEQ)):
        raise syntax_error(written(item))
    return [context.value(item)]
