"""One table's load as a value: what every task of it is given, and how it begins."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from data_phase.connection_pair import ConnectionPair
from model.catalog import Table
from model.ranges import Chunk
from model.settings import Settings
from mssql import chunk_keys
from postgres.checkpoints import LoadId
from postgres.load_plan import LoadPlan
from scheduling.tasks import Worker

if TYPE_CHECKING:
    from data_phase.modes.interface import LoadMode

#: changes with what a chunk's bounds mean, so that no load goes on with bounds that meant other rows
CHUNKS_AS_OF = "2"


@dataclass(frozen=True)
class Job:
    """One table's load: what to read, where to put it, how, and which session it belongs to.

    Without a `reject_limit` a row that PostgreSQL refuses fails the table; with one it is recorded and left out, up to
    so many (0: any number). `is_suspended` is true where keys or indexes of the table are suspended; they come back
    when its load finishes. `run` is the one that has claimed the table, `load` what the target knows this load by, and
    `is_continued` says that an earlier run began it. `lacks` are the columns of keys that the target's table should
    have and has not. `shape` is a digest of the live table's columns, where rows are staged for it.
    """

    table: Table
    plan: LoadPlan
    mode: LoadMode
    session: str
    run: int = 0
    load: str = ""
    is_continued: bool = False
    lacks: tuple[str, ...] = ()
    reject_limit: int | None = None
    is_suspended: bool = False
    shape: str = ""

    @property
    def id(self) -> LoadId:
        """What the target's transactions are held against."""
        return LoadId(
            self.plan.target, self.session, self.load, self.run, self.fingerprint, self.mode.keeps_rows,
            self.plan.is_partitioned,
        )  # fmt: skip

    @property
    def fingerprint(self) -> str:
        """A digest of what must not change while a load is continued: both sides' columns and the key."""
        parts = [
            CHUNKS_AS_OF,
            self.table.full_name,
            str(self.plan.target),
            self.plan.nul_policy,
            *(
                f"{column.name} {column.type} {column.type.option or ''} {column.is_nullable}"
                for column in self.plan.sources
            ),
            *(f"{column.name} {column.wire} {column.base_type}" for column in self.plan.columns),
            *(column.name for column in chunk_keys.chunk_key(self.table)),
            *((self.mode.name, self.shape) if self.mode.stages else ()),
        ]
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Begun:
    """How a table's load begins: its chunks, and those that are in the target already with their rows.

    `job` is what the chunks are to be copied for; its mode is the one that the load goes on in. `remarks` are what a
    person should know of how it begins.
    """

    job: Job
    chunks: tuple[Chunk, ...]
    done: dict[int, int]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Step:
    """A task under way: what it is about, and whose connections it works with."""

    settings: Settings
    job: Job
    worker: Worker[ConnectionPair]

    @property
    def pair(self) -> ConnectionPair:
        """The worker's connections."""
        return self.worker.connections

    @property
    def source(self) -> Any:
        """An arrow-odbc connection. Raises UnreachableError."""
        return self.pair.source

    @property
    def target(self) -> Any:
        """A psycopg2 connection outside a transaction. Raises UnreachableError, CancelledError."""
        return self.pair.target
