"""A value that a client's request or a batch's variable gives a query."""

from __future__ import annotations

from dataclasses import dataclass

from model.catalog import SqlType


@dataclass(frozen=True)
class Parameter:
    """One parameter of a request: its name with `@` or empty, its T-SQL type and its value."""

    name: str
    kind: SqlType
    value: object
    is_output: bool = False
