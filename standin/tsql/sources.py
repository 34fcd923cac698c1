"""FROM: tables, joins, derived tables and VALUES."""

from __future__ import annotations

import random
from collections.abc import Sequence

from sqlglot import exp

from standin.errors import SqlError
from standin.quoting import quote
from standin.relations import Output
from standin.tsql.context import Context
from standin.tsql.conversions import common_kind, meet
from standin.tsql.parser import written
from standin.tsql.scopes import Scope, Source
from standin.tsql.values import numbered, parenthesised, renamed

#: rows that the stand-in takes for a page when it samples a table
PAGE_ROWS = 20


def from_clause(context: Context, node: exp.Select) -> str:
    """A SELECT's FROM, with a blank before it; the context's scope then knows the tables."""
    clause = node.args.get("from_")
    if clause is None:
        return ""
    sql = " FROM " + _source(context, clause.this)
    for join in node.args.get("joins") or ():
        sql += _join(context, join)
    for lateral in node.args.get("laterals") or ():
        sql += f" CROSS JOIN LATERAL {_source(context, lateral)}"
    return sql


def _join(context: Context, join: exp.Join) -> str:
    side, kind = (join.args.get("side") or "").upper(), (join.args.get("kind") or "").upper()
    sources = context.scope.sources
    before = len(sources)
    if isinstance(join.this, exp.Lateral):
        is_outer = not join.this.args.get("cross_apply")
        word = "LEFT JOIN LATERAL" if is_outer else "CROSS JOIN LATERAL"
        sql = f" {word} {_source(context, join.this)}{' ON TRUE' if is_outer else ''}"
        side = "LEFT" if is_outer else ""
    else:
        joined = _source(context, join.this)
        condition = join.args.get("on")
        if condition is None:
            sql = f" CROSS JOIN {joined}"
        else:
            sql = f" {side or kind or 'INNER'} JOIN {joined} ON {context.condition(condition)}"
    if side in {"LEFT", "FULL"}:
        sources[before:] = [source.nullable() for source in sources[before:]]
    if side in {"RIGHT", "FULL"}:
        sources[:before] = [source.nullable() for source in sources[:before]]
    return sql


def _source(context: Context, node: exp.Expression) -> str:
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        return _table(context, node)
    if isinstance(node, exp.Lateral):
        return _derived(context, context.scope, node.this, node)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Table):
        sql = _source(context, node.this)
        for join in node.this.args.get("joins") or node.args.get("joins") or ():
            sql += _join(context, join)
        return parenthesised(sql)
    if isinstance(node, exp.Subquery):
        return _derived(context, context.scope.beside(), node, node)
    if isinstance(node, exp.Values):
        return _values(context, node)
    raise SqlError(208, f"Invalid object name '{written(node, 60)}'.")


def _table(context: Context, node: exp.Table) -> str:
    schema, name = node.db, node.name
    if not schema and name.lower() in context.scope.ctes:
        inner, outputs = context.scope.ctes[name.lower()]
        return f"{inner} AS {_add(context, node.alias or name, outputs)}"
    relation = context.statement.relations.get(((schema or "dbo").lower(), name.lower()))
    catalog = node.catalog.lower()
    is_here = not catalog or catalog == context.statement.facts.database.lower() or (schema or "").lower() == "sys"
    if relation is None or not is_here:
        full_name = ".".join(part for part in (node.catalog, schema, name) if part)
        raise SqlError(208, f"Invalid object name '{full_name}'.")
    context.statement.tables.append(relation)
    alias = context.statement.alias()
    columns = tuple((output.name, output) for output in relation.columns)
    context.scope.sources.append(Source(alias, node.alias or name, "" if node.alias else relation.schema, columns))
    sql = f"{quote(relation.schema)}.{quote(relation.name)}"
    if sample := node.args.get("sample"):
        sql = _some_pages(sql, sample)
    sql = f"{sql} AS {alias}"
    for join in node.args.get("joins") or ():
        sql += _join(context, join)
    return sql


def _some_pages(table: str, sample: exp.TableSample) -> str:
    """A table's rows in the part of its pages that TABLESAMPLE asks for, others each time."""
    percent = sample.args.get("percent")
    if percent is None or sample.args.get("seed") is not None:
        raise SqlError(50000, "The stand-in samples a table by PERCENT only, and not REPEATABLE.")
    seed = random.getrandbits(32)
    return f"(SELECT * FROM {table} WHERE hash(rowid // {PAGE_ROWS}, {seed}) % 1000000 < {percent.this} * 10000)"


def _derived(context: Context, around: Scope, source: exp.Expression, node: exp.Expression) -> str:
    """A query or VALUES in brackets; `around` is what it sees besides its own tables."""
    inner = source
    while isinstance(inner, exp.Subquery) and not isinstance(inner.this, exp.Values):
        inner = inner.this
    names = _column_names(node)
    if isinstance(inner, (exp.Subquery, exp.Values)):
        return _values(context, inner.this if isinstance(inner, exp.Subquery) else inner, node.alias, names)
    query = context.within(around).query(inner)
    outputs = renamed(query.outputs, names)
    alias = _add(context, node.alias, outputs)
    return f"({query.sql}) AS {alias}({numbered(len(outputs))})"


def _values(context: Context, node: exp.Values, name: str = "", names: Sequence[str] = ()) -> str:
    rows = [[context.value(value) for value in row.expressions] for row in node.expressions]
    kinds = [common_kind(row[position] for row in rows) for position in range(len(rows[0]))]
    outputs = [Output(label, kind) for label, kind in zip(names or _column_names(node), kinds, strict=False)]
    alias = _add(context, name or node.alias, outputs)
    listed = ", ".join(
        parenthesised(", ".join(meet(value, kind) for value, kind in zip(row, kinds, strict=True))) for row in rows
    )
    return f"(VALUES {listed}) AS {alias}({numbered(len(outputs))})"


def _column_names(node: exp.Expression) -> list[str]:
    """The names that a table's alias gives its columns."""
    alias = node.args.get("alias")
    return [] if alias is None else [column.name for column in alias.args.get("columns") or ()]


def _add(context: Context, name: str, outputs: Sequence[Output]) -> str:
    """A source whose columns are called c1, c2, …; returns its alias."""
    alias = context.statement.alias()
    columns = tuple((f"c{number}", output) for number, output in enumerate(outputs, 1))
    context.scope.sources.append(Source(alias, name, "", columns))
    return alias
