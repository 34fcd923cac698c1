"""What happens while tables are worked on, as values: progress file, display and run result listen.

Tables are named by their keys in the progress file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from model.changes import Counts


@dataclass(frozen=True)
class Event:
    """Something that happened."""


@dataclass(frozen=True)
class RowsUnderWay(Event):
    """The rows of each table that are on their way and not committed."""

    rows: Mapping[str, int]


@dataclass(frozen=True)
class Stopping(Event):
    """No task begins any more; those that run may end within so many seconds. `because` says why, for a person."""

    because: str
    seconds: float | None = None


@dataclass(frozen=True)
class TableEvent(Event):
    """Something that happened to a table."""

    table: str


#: the number of the one who finishes tables beside the workers
FINISHER = 0


@dataclass(frozen=True)
class TaskBegun(TableEvent):
    """A worker, counted from 1, or the finisher takes up a part of a table's work; `task` says which of them."""

    worker: int
    task: str


@dataclass(frozen=True)
class TaskEnded(TableEvent):
    """The worker is done with it, whatever came of it."""

    worker: int
    task: str


@dataclass(frozen=True)
class TableStarted(TableEvent):
    """A table's turn has come. `expected` is the catalog's estimate of its rows, 0 if unknown."""

    full_name: str
    target: str
    expected: int = 0


@dataclass(frozen=True)
class LoadBegun(TableEvent):
    """How a table's load begins: `chunks` in all, of which `done` are in the target already with `rows` rows.

    `empties` says whether the table is emptied for it, `remarks` what a person should know of how it begins.
    """

    chunks: int
    done: int = 0
    rows: int = 0
    empties: bool = False
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChunkCommitted(TableEvent):
    """A chunk is in the target with its checkpoint; the table's load has brought `rows` so far."""

    rows: int


@dataclass(frozen=True)
class KeysAreBuilt(TableEvent):
    """All rows of a table are there, and its keys and indexes, which were suspended, are being built."""


@dataclass(frozen=True)
class TableCompleted(TableEvent):
    """A table is whole in the target; `rows` is None in the schema phase.

    `changes` are the values that were changed on their way, by kind and column; `rejected` rows are recorded and not
    among `rows`. `loaded_as` says which table holds them, `keeps_rows` that rows of others may be among them, and
    `restored` that its keys and indexes came back with it. `bytes` were sent to the target, where that is known.
    """

    rows: int | None
    rejected: int = 0
    changes: Counts = field(default_factory=dict)
    loaded_as: str | None = None
    keeps_rows: bool = False
    restored: bool = False
    bytes: int | None = None


@dataclass(frozen=True)
class TableStaged(TableEvent):
    """A table's rows are all there, beside the table that readers see; `rejected` are not among them."""

    rows: int
    rejected: int = 0
    changes: Counts = field(default_factory=dict)
    bytes: int | None = None


class Differences(NamedTuple):
    """What becoming visible changed in a table: rows that came, were changed, and went."""

    inserted: int
    updated: int
    deleted: int

    def __bool__(self) -> bool:
        return any(tuple(self))

    def __str__(self) -> str:
        return f"{self.inserted:,} rows added, {self.updated:,} changed, {self.deleted:,} removed"


@dataclass(frozen=True)
class TablesSwitched(Event):
    """Staged rows have become the live ones, of all these tables at the same moment.

    Tables of which only differences were applied have those; others, None. It took `seconds`, for so many of which
    nobody could read the tables.
    """

    tables: Mapping[str, Differences | None]
    seconds: float
    seconds_locked: float = 0.0


@dataclass(frozen=True)
class TableFailed(TableEvent):
    """A table cannot be done: why, for a person, and where in the code, for those who debug."""

    error: str
    trace: str = ""


@dataclass(frozen=True)
class TableLeftOut(TableEvent):
    """A person has taken a table from the run before its turn came, by setting it to this status."""

    status: str


@dataclass(frozen=True)
class ComparisonStarted(TableEvent):
    """Both sides of a table are being read. `expected` is the catalog's estimate of its rows, 0 if unknown."""

    expected: int = 0


@dataclass(frozen=True)
class RowsRead(TableEvent):
    """So many rows of the source's table were read and compared so far."""

    rows: int


@dataclass(frozen=True)
class TableCompared(TableEvent):
    """Both sides of a table were compared. `error` says why they could not be."""

    is_equal: bool
    rows: int | None
    words: str
    error: str | None = None


@dataclass(frozen=True)
class Remarked(TableEvent):
    """Something about a table that a person should know."""

    words: str


@dataclass(frozen=True)
class TriedAgain(TableEvent):
    """Something failed that may pass, and is tried again in `seconds`.

    `task` says which part of the table's work it is, where there are several; `error` what failed.
    """

    task: str
    error: str
    attempt: int
    attempts: int
    seconds: float


@dataclass(frozen=True)
class StandsStill(TableEvent):
    """A task of the table has not moved for so many seconds."""

    seconds: float


@dataclass(frozen=True)
class MovesAgain(TableEvent):
    """It moves again, after so many seconds."""

    seconds: float
