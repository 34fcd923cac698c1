"""What a load mode is: a way for a table's rows to come into the target."""

from __future__ import annotations

from typing import ClassVar, Protocol

from data_phase.connection_pair import ConnectionPair
from data_phase.job import Begun, Step
from model.ranges import Chunk
from model.settings import Settings
from postgres.checkpoints import Totals
from postgres.names import TargetName


class LoadMode(Protocol):
    """One of the ways to load a table; a frozen dataclass of picklable values.

    `prepare` is called for each large table before the first one begins, `begin` once a table, then `copy_chunk` for
    each chunk that is left, by any worker and more than once where one was cut off, and `finish` after the last. All
    but `prepare` are called by tasks, so that temporary errors are tried again around them. Each raises TableError,
    UnreachableError, CancelledError, and psycopg2.Error, which the tasks turn into TargetError.
    """

    #: what a person and the record call it
    name: ClassVar[str]
    #: whether rows may be in the table that this load did not bring
    keeps_rows: ClassVar[bool]
    #: whether rows go into a staging table, and become live later
    stages: ClassVar[bool]

    def prepare(self, pair: ConnectionPair, target: TargetName, settings: Settings, run: int) -> bool:
        """Ready a table for its load; returns whether its unique keys may be suspended."""

    def begin(self, step: Step) -> Begun:
        """Begin the load, or find where it stood."""

    def copy_chunk(self, step: Step, chunk: Chunk) -> Totals:
        """Bring a chunk's rows and its checkpoint in one transaction; of a whole table, all that `finish` does besides
        restoring keys.
        """

    def finish(self, step: Step) -> Totals:
        """End the load once all chunks are there; returns all that the table holds of it."""

    def abandon(self, step: Step) -> None:
        """The load failed for good: take away what no --resume needs."""
