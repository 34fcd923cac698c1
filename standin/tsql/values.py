"""Translated values and queries: DuckDB's text, and what T-SQL knows of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from model.catalog import SqlType
from standin.quoting import text_literal
from standin.relations import Output
from standin.tsql.precedence import family


@dataclass(frozen=True)
class Query:
    """A translated query: its columns are called c1, c2, … in `sql` and as `outputs` say outside."""

    sql: str
    outputs: tuple[Output, ...]


@dataclass(frozen=True)
class Typed:
    """A translated expression."""

    sql: str
    kind: SqlType | None = None
    is_nullable: bool = True
    collation: str | None = None
    name: str = ""
    table: tuple[str, ...] = ()
    #: The text of a literal, which conversions may read at once.
    literal: str | None = None


def text_value(text: str, kind: SqlType) -> Typed:
    """A text that is known now."""
    return Typed(text_literal(text), kind, is_nullable=False, literal=text)


def text_kind(value: Typed) -> SqlType:
    """The type of the text that a function makes of a value."""
    if value.kind is None or family(value.kind) != "text":
        return SqlType("varchar", 8000)
    if value.kind.name in {"xml", "ntext", "text"}:
        return SqlType("nvarchar" if value.kind.name != "text" else "varchar", -1)
    return value.kind


def parenthesised(sql: str) -> str:
    """The text in brackets."""
    return f"({sql})"


def numbered(count: int) -> str:
    """The columns of a query within another one."""
    return ", ".join(f"c{number}" for number in range(1, count + 1))


def renamed(outputs: Sequence[Output], names: Sequence[str]) -> tuple[Output, ...]:
    """The columns under the names that an alias gives them, if it does."""
    if not names:
        return tuple(outputs)
    return tuple(replace(output, name=name) for output, name in zip(outputs, names, strict=False))
