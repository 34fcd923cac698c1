"""What the translation of a part of a query is given: where it stands, and how its own parts are translated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from sqlglot import exp

from standin.parameters import Parameter
from standin.relations import Relation
from standin.tsql.scopes import Scope
from standin.tsql.values import Query, Typed

Arguments: TypeAlias = Sequence[exp.Expression]


@dataclass(frozen=True)
class Facts:
    """What expressions may ask about the session and the server."""

    database: str
    login: str
    program: str
    spid: int
    version_text: str
    properties: Mapping[str, str | int]
    transactions: int = 0
    row_count: int = 0


@dataclass
class Statement:
    """What is known while one query is translated, and what it turns out to need.

    `tables` collects the tables that were named, `binds` the values that DuckDB is to bind as `$1`, `$2`, ….
    """

    relations: Mapping[tuple[str, str], Relation]
    facts: Facts
    parameters: Mapping[str, Parameter]
    tables: list[Relation] = field(default_factory=list)
    binds: list[object] = field(default_factory=list)
    aliases: int = 0

    def alias(self) -> str:
        """A name for a table in FROM that no other one has."""
        self.aliases += 1
        return f"s{self.aliases}"

    def bind(self, value: object) -> str:
        """What stands in the query for a value that DuckDB binds."""
        if value not in self.binds:
            self.binds.append(value)
        return f"${self.binds.index(value) + 1}"


@dataclass(frozen=True)
class Translators:
    """How the three kinds of a query's parts are translated; T-SQL's conditions are no values."""

    value: Callable[[Context, exp.Expression], Typed]
    condition: Callable[[Context, exp.Expression], str]
    query: Callable[[Context, exp.Expression], Query]


@dataclass(frozen=True)
class Context:
    """The statement and the scope in which a part of a query stands."""

    statement: Statement
    translators: Translators
    scope: Scope

    def within(self, scope: Scope) -> Context:
        """The same statement in another scope."""
        return replace(self, scope=scope)

    def value(self, node: exp.Expression) -> Typed:
        """A value of any kind."""
        return self.translators.value(self, node)

    def condition(self, node: exp.Expression) -> str:
        """A condition."""
        return self.translators.condition(self, node)

    def query(self, node: exp.Expression) -> Query:
        """A query in a scope of its own, within this one."""
        return self.translators.query(self, node)


#: What translates the calls of one function of T-SQL.
Function: TypeAlias = Callable[[Context, Arguments], Typed]
