"""What a function's translation is given, and what it promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mssql.expressions.tree import Node
from mssql.expressions.values import Condition, Notes, Value

Arguments = tuple[Node, ...]


class Kind(Enum):
    """Where an expression stands in the catalog; the values are words for a person."""

    DEFAULT = "default"
    CHECK = "check"
    COMPUTED = "computed column"
    FILTER = "filter"


@dataclass(frozen=True)
class Context:
    """Where an expression stands, how its parts are translated, and where it is noted what they rely on.

    `target_version` is the PostgreSQL server's `server_version_num`.
    """

    kind: Kind
    target_version: int
    notes: Notes
    value: Callable[[Node], Value]
    condition: Callable[[Node, bool | None], Condition]


@dataclass(frozen=True)
class Function:
    """A function of T-SQL: what writes a call of it, and how many arguments it takes."""

    write: Callable[[Context, Arguments], Value]
    least: int
    most: int
