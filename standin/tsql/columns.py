"""Names of columns, found in the scopes that a query sees, and methods called on them."""

from __future__ import annotations

from sqlglot import exp

from model.catalog import SqlType
from standin.errors import SqlError
from standin.tsql.context import Context
from standin.tsql.scopes import Scope, Source
from standin.tsql.values import Typed
from standin.type_names import INT, NVARCHAR_MAX
from standin.types import SPATIAL


def column(context: Context, node: exp.Column) -> Typed:
    """The column that a name means. Raises SqlError where it means none, or several."""
    name = node.name
    level: Scope | None = context.scope
    while level is not None:
        found = [typed for source in level.sources if source.answers(node) and (typed := source.find(name)) is not None]
        if len(found) > 1:
            raise SqlError(209, f"Ambiguous column name '{name}'.")
        if found:
            return found[0]
        if node.table and any(source.answers(node) for source in level.sources):
            raise SqlError(207, f"Invalid column name '{name}'.")
        level = level.parent
    if name.lower() == "stsrid":
        # A property, which looks like a column of a table that is called as the column is.
        owner = column(context, exp.column(node.table, table=node.db or None, quoted=True))
        if owner.kind is not None and owner.kind.name in SPATIAL:
            return Typed(f"tds_srid({owner.sql})", INT, owner.is_nullable)
    if node.table:
        full_name = ".".join(part for part in (node.db, node.table, name) if part)
        raise SqlError(4104, f'The multi-part identifier "{full_name}" could not be bound.')
    raise SqlError(207, f"Invalid column name '{name}'.")


def method(context: Context, node: exp.Dot) -> Typed:
    """`c.ToString()` and its like on columns of CLR types, which are stored as their text or bytes."""
    chain: list[exp.Expression] = []
    inner: exp.Expression = node
    while isinstance(inner, exp.Dot):
        chain.insert(0, inner.expression)
        inner = inner.this
    names = [inner.name, *(part.name for part in chain[:-1])]
    value = column(context, exp.column(names[-1], table=names[-2] if len(names) > 1 else None, quoted=True))
    is_spatial = value.kind is not None and value.kind.name in SPATIAL
    text, raw = NVARCHAR_MAX, SqlType("varbinary", -1)
    methods = {"tostring": ("{}", text)}
    if is_spatial:
        methods = {
            "tostring": ("tds_wkt({})", text),
            "astextzm": ("tds_wkt({})", text),
            "asbinaryzm": ("tds_wkb({})", raw),
            "stsrid": ("tds_srid({})", INT),
        }
    called = chain[-1].name.lower()
    if called not in methods:
        raise SqlError(6506, f"Could not find method '{chain[-1].name}'.")
    template, kind = methods[called]
    return Typed(template.format(value.sql), kind, value.is_nullable)


def source_named(scope: Scope, node: exp.Column) -> Source:
    """The table that stands before `.*`."""
    for source in scope.sources:
        if source.answers(node):
            return source
    raise SqlError(
        107, f"The column prefix '{node.table}' does not match with a table name or alias name used in the query."
    )
