"""A whole query translated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlglot import exp

from standin.parameters import Parameter
from standin.relations import Output, Relation
from standin.tsql.conditions import condition
from standin.tsql.context import Context, Facts, Statement, Translators
from standin.tsql.expressions import value
from standin.tsql.queries import query
from standin.tsql.scopes import Scope

_TRANSLATORS = Translators(value, condition, query)


@dataclass(frozen=True)
class Translation:
    """A query as DuckDB runs it.

    Its columns are called c1, c2, … in `sql` and as `outputs` say outside. `binds` are the values of `$1`, `$2`, …,
    `tables` those that the query names.
    """

    sql: str
    outputs: tuple[Output, ...]
    binds: tuple[object, ...]
    tables: tuple[Relation, ...]


def translate(
    tree: exp.Expression,
    relations: Mapping[tuple[str, str], Relation],
    facts: Facts,
    parameters: Mapping[str, Parameter],
) -> Translation:
    """The query over `relations`, which are keyed by schema and name in lower case, as `parameters` are by theirs.

    Raises SqlError with SQL Server's number and words.
    """
    statement = Statement(relations, facts, parameters)
    found = query(Context(statement, _TRANSLATORS, Scope()), tree)
    return Translation(found.sql, found.outputs, tuple(statement.binds), tuple(statement.tables))
