"""What tables and queries offer."""

from __future__ import annotations

from dataclasses import dataclass

from model.catalog import SqlType


@dataclass(frozen=True)
class Output:
    """A column that a table or a query offers."""

    name: str
    kind: SqlType | None = None
    is_nullable: bool = True
    collation: str | None = None
    table: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """A table that can be named in FROM."""

    schema: str
    name: str
    columns: tuple[Output, ...]
