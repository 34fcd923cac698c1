"""Aggregates, ranking functions and the windows they are computed over."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlglot import exp

from model.catalog import SqlType
from standin.errors import SqlError
from standin.storage import storage
from standin.tsql.comparisons import sort_key, sortable
from standin.tsql.context import Arguments, Context, Function
from standin.tsql.conversions import as_text
from standin.tsql.precedence import family
from standin.tsql.queries import ordered
from standin.tsql.values import Typed, text_kind
from standin.type_names import BIGINT, FLOAT, INT
from standin.types import INTEGERS, WIDE


def _aggregate(name: str) -> Function:
    def translate(context: Context, arguments: Arguments) -> Typed:
        counted = {"COUNT": INT, "COUNT_BIG": BIGINT}.get(name)
        argument = arguments[0] if arguments else exp.Star()
        if counted is not None and isinstance(argument, exp.Star):
            return Typed(f"CAST(count(*) AS {storage(counted)})", counted, is_nullable=False)
        distinct = ""
        if isinstance(argument, exp.Distinct):
            distinct, argument = "DISTINCT ", argument.expressions[0]
        value = context.value(argument)
        kind = value.kind
        if counted is not None:
            return Typed(f"CAST(count({distinct}{value.sql}) AS {storage(counted)})", counted, is_nullable=False)
        if name in {"MIN", "MAX"}:
            if sortable(value) != value.sql:
                return Typed(f"arg_{name.lower()}({value.sql}, {sortable(value)})", kind)
            if kind is not None and kind.name == "bit":
                raise SqlError(8117, f"Operand data type bit is invalid for {name.lower()} operator.")
            return Typed(f"{name.lower()}({value.sql})", kind, True, value.collation)
        return _sum_or_average(name, value, distinct)

    return translate


def _sum_or_average(name: str, value: Typed, distinct: str) -> Typed:
    kind = value.kind
    call = f"{name.lower()}({distinct}{value.sql})"
    if kind is None:
        return Typed(call)
    if family(kind) != "number" or kind.name == "bit":
        raise SqlError(8117, f"Operand data type {kind.name} is invalid for {name.lower()} operator.")
    if kind.name in INTEGERS:
        result = BIGINT if kind.name == "bigint" else INT
    elif kind.name in {"decimal", "numeric"}:
        result = SqlType("decimal", precision=38, scale=max(kind.scale, 6) if name == "AVG" else kind.scale)
    elif kind.name in {"money", "smallmoney"}:
        result = SqlType("money")
    else:
        result = FLOAT
    if name == "AVG" and result.name in INTEGERS:
        whole = f"CAST(sum({distinct}{value.sql}) AS HUGEINT)"
        return Typed(f"CAST({whole} // nullif(count({distinct}{value.sql}), 0) AS {storage(result)})", result)
    return Typed(f"CAST({call} AS {storage(result)})", result)


def _string_agg(context: Context, arguments: Arguments, order: str = "") -> Typed:
    value, separator = (context.value(argument) for argument in arguments)
    kind = text_kind(value)
    if kind.max_length != -1:
        kind = replace(kind, name="nvarchar" if kind.name in WIDE else "varchar", max_length=8000)
    return Typed(f"string_agg({as_text(value)}, {separator.sql}{order})", kind, collation=value.collation)


def within_group(context: Context, node: exp.WithinGroup) -> Typed:
    """STRING_AGG … WITHIN GROUP (ORDER BY …)."""
    function = node.this
    if function.name.upper() != "STRING_AGG":
        raise SqlError(50000, f"The stand-in does not support {function.name} WITHIN GROUP.")
    order = [ordered(context, key) for key in node.expression.expressions]
    return _string_agg(context, function.expressions, " ORDER BY " + ", ".join(order))


def _ranking(name: str) -> Function:
    def translate(context: Context, arguments: Arguments) -> Typed:
        values = ", ".join(context.value(argument).sql for argument in arguments)
        return Typed(f"{name}({values})", BIGINT, is_nullable=False)

    return translate


def _neighbour(name: str) -> Function:
    def translate(context: Context, arguments: Arguments) -> Typed:
        values = [context.value(argument) for argument in arguments]
        return Typed(f"{name}({', '.join(value.sql for value in values)})", values[0].kind, True, values[0].collation)

    return translate


def window(context: Context, node: exp.Window) -> Typed:
    """A function OVER (…)."""
    value = context.value(node.this)
    parts = []
    if keys := node.args.get("partition_by"):
        parts.append("PARTITION BY " + ", ".join(context.value(key).sql for key in keys))
    if order := node.args.get("order"):
        sorted_by = [
            sort_key(context.value(key.this), is_descending=bool(key.args.get("desc"))) for key in order.expressions
        ]
        # ORDER BY (SELECT NULL) means no order, and DuckDB is faster without one.
        if [key.this.sql().upper() for key in order.expressions] != ["(SELECT NULL)"]:
            parts.append("ORDER BY " + ", ".join(sorted_by))
    if spec := node.args.get("spec"):
        parts.append(spec.sql(dialect="duckdb"))
    over = f" OVER ({' '.join(parts)})"
    # A cast around an aggregate stays outside of the window.
    found = re.fullmatch(r"CAST\((\w+\(.*\)) AS ([\w(),]+)\)", value.sql, re.S)
    if found and found[1].split("(")[0] in {"sum", "count", "avg", "row_number", "rank", "dense_rank", "ntile"}:
        return replace(value, sql=f"CAST({found[1]}{over} AS {found[2]})")
    return replace(value, sql=value.sql + over)


FUNCTIONS: dict[str, Function] = {
    **{name: _aggregate(name) for name in ("COUNT", "COUNT_BIG", "MIN", "MAX", "SUM", "AVG")},
    **{name: _ranking(name.lower()) for name in ("ROW_NUMBER", "RANK", "DENSE_RANK", "NTILE")},
    **{name: _neighbour(name.lower()) for name in ("LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE")},
    "STRING_AGG": _string_agg,
}
