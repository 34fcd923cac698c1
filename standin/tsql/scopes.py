"""Which tables a part of a query sees, and by which names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sqlglot import exp

from standin.quoting import quote
from standin.relations import Output
from standin.tsql.values import Typed


@dataclass(frozen=True)
class Source:
    """One table in FROM: the alias it got, the names it answers to, its columns."""

    alias: str
    name: str
    schema: str
    columns: tuple[tuple[str, Output], ...]

    def answers(self, column: exp.Column) -> bool:
        """Whether what stands before the column's name, if anything, means this table."""
        if not column.table:
            return True
        if self.name.lower() != column.table.lower():
            return False
        return not column.db or not self.schema or self.schema.lower() == column.db.lower()

    def find(self, name: str) -> Typed | None:
        """The column of that name, if there is one."""
        lowered = name.lower()
        for inner, output in self.columns:
            if output.name.lower() == lowered:
                return self._typed(inner, output)
        return None

    def all_columns(self) -> list[Typed]:
        """What `*` means."""
        return [self._typed(inner, output) for inner, output in self.columns]

    def nullable(self) -> Source:
        """The table on the side of an outer join that may have no row."""
        columns = tuple((inner, replace(output, is_nullable=True)) for inner, output in self.columns)
        return replace(self, columns=columns)

    def _typed(self, inner: str, output: Output) -> Typed:
        return Typed(
            f"{self.alias}.{quote(inner)}", output.kind, output.is_nullable, output.collation, output.name, output.table
        )


@dataclass
class Scope:
    """The tables of one SELECT's FROM so far, those around it, and the common table expressions by name."""

    sources: list[Source] = field(default_factory=list)
    parent: Scope | None = None
    ctes: dict[str, tuple[str, tuple[Output, ...]]] = field(default_factory=dict)

    def child(self) -> Scope:
        """A scope within this one."""
        return Scope(parent=self, ctes=dict(self.ctes))

    def beside(self) -> Scope:
        """A scope that sees what is around this one, and none of its tables."""
        return Scope(parent=self.parent, ctes=self.ctes)
