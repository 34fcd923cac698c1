"""What one client's statements read and change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import duckdb

from standin.session.answer import Answer
from standin.source import Source


@dataclass(frozen=True)
class Prepared:
    """A prepared statement and the names of its parameters."""

    sql: str
    names: tuple[str, ...]


@dataclass
class State:
    """What a session's statements change, and a reset of its connection takes back."""

    isolation: str = "READ COMMITTED"
    transactions: int = 0
    #: what the open transaction is called on the wire
    descriptor: bytes | None = None
    is_implicit: bool = False
    has_snapshot: bool = False
    is_format_only: bool = False
    row_count: int = 0
    handles: dict[int, Prepared] = field(default_factory=dict)
    last_handle: int = 0


@dataclass
class Session:
    """A client that is logged in: what it reads, where its answers go, its state.

    `stop_if_cancelled` raises where the client wants the answer to end.
    """

    source: Source
    duck: duckdb.DuckDBPyConnection
    database: str
    login: str
    program: str
    spid: int
    tds_version: int
    answer: Answer
    stop_if_cancelled: Callable[[], None]
    new_descriptor: Callable[[], bytes]
    state: State = field(default_factory=State)
