"""One table on its way through the scheduler: begin, chunks, finish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from data_phase.chunk_copy import is_analyzed_apart
from data_phase.job import Begun, Job
from data_phase.load_tasks import AbandonLoad, AnalyzeTable, BeginLoad, CopyChunk, FinishLoad
from data_phase.switching import StagedTable, Units
from model.catalog import Table
from model.errors import TableError
from model.events import (
    ChunkCommitted,
    Event,
    KeysAreBuilt,
    LoadBegun,
    TableCompleted,
    TableFailed,
    TableLeftOut,
    TableStaged,
    TableStarted,
)
from model.settings import Settings
from postgres.checkpoints import Totals
from postgres.names import TargetName
from run.closing import in_words, traced
from scheduling.tasks import Task


class TableLoad:
    """Where one table's load stands. What happens to it is told in events; nothing here touches a server."""

    def __init__(
        self,
        settings: Settings,
        table: Table,
        target: TargetName,
        job: Job | TableError,
        left_out: Callable[[str], str | None] = lambda _: None,
        units: Units | None = None,
    ) -> None:
        """`job` is what it cannot be loaded for, where it cannot; `units` is told of a table whose rows are staged.

        `left_out` says, when the table's turn comes, to which status a person has set it, so that it is left alone.
        """
        self._settings = settings
        self._table = table
        self._target = target
        self._job = job
        self._left_out = left_out
        self._units = units
        self._left: set[int] = set()
        self._rows = 0
        self._bytes: int | None = 0
        self._events: list[Event] = []
        self.is_over = False

    @property
    def key(self) -> str:
        """The table's key in the progress file."""
        return self._table.key

    @property
    def job(self) -> Job:
        """What its tasks are given. Raises TableError where it cannot be loaded."""
        if isinstance(self._job, TableError):
            raise self._job
        return self._job

    def events(self) -> list[Event]:
        """What happened since the last time."""
        events, self._events = self._events, []
        return events

    def begin(self) -> Sequence[Task[Any, object]]:
        """Raises TableError, and what `left_out` raises."""
        status = self._left_out(self.key)
        if status is not None:
            self._events.append(TableLeftOut(self.key, status))
            self.is_over = True
            if self._units is not None:
                (self._units.failed if status == "failed" else self._units.left_out)(self.key)
            return []
        self._events.append(TableStarted(self.key, self._table.full_name, str(self._target), self._table.row_count))
        return [BeginLoad(self._settings, self.job)]

    def take(self, task: Task[Any, object], result: Any) -> Sequence[Task[Any, object]]:
        """What a task brought; returns those that follow from it."""
        if isinstance(task, BeginLoad):
            return self._begun(result)
        if isinstance(task, CopyChunk):
            return self._copied(task, result)
        if isinstance(task, FinishLoad):
            self._complete(result)
        return []

    def fail(self, error: Exception) -> Sequence[Task[Any, object]]:
        """The table has failed; what was committed of it stays."""
        words = self._settings.secrets.hide(in_words(error))
        self._events.append(TableFailed(self.key, words, self._settings.secrets.hide(traced(error))))
        self.is_over = True
        if self._units is not None:
            self._units.failed(self.key)
        return [] if isinstance(self._job, TableError) else [AbandonLoad(self._settings, self._job)]

    def _begun(self, begun: Begun) -> Sequence[Task[Any, object]]:
        self._job = job = begun.job
        self._rows = sum(begun.done.values())
        left = [chunk for chunk in begun.chunks if chunk.number not in begun.done]
        self._left = {chunk.number for chunk in left}
        self._events.append(
            LoadBegun(
                self.key,
                len(begun.chunks),
                len(begun.done),
                self._rows,
                not (job.mode.keeps_rows or job.mode.stages),
                begun.remarks,
            )
        )
        return [CopyChunk(self._settings, job, chunk) for chunk in left] or [FinishLoad(self._settings, job)]

    def _copied(self, task: CopyChunk, brought: Totals) -> Sequence[Task[Any, object]]:
        self._rows += brought.rows
        if self._bytes is not None:
            self._bytes = self._bytes + brought.sent if brought.sent else None
        self._left.discard(task.chunk.number)
        if task.chunk.is_whole_table and not (self.job.is_suspended or self.job.mode.stages):
            # Its rows and the record of them are there, and no kill from here on must have it loaded again.
            self._complete(brought)
            return [AnalyzeTable(self._settings, self.job)] if is_analyzed_apart(self.job, brought) else []
        self._events.append(ChunkCommitted(self.key, self._rows))
        if self._left:
            return []
        if self.job.is_suspended:
            self._events.append(KeysAreBuilt(self.key))
        return [FinishLoad(self._settings, self.job)]

    def _complete(self, totals: Totals) -> None:
        self.is_over = True
        if self.job.mode.stages:
            assert self._units is not None
            self._units.staged(StagedTable(self.key, self.job, totals, self._bytes))
            self._events.append(TableStaged(self.key, totals.rows, totals.rejected, totals.changes, self._bytes))
            return
        self._events.append(
            TableCompleted(
                self.key,
                totals.rows,
                totals.rejected,
                totals.changes,
                totals.loaded_as,
                keeps_rows=self.job.mode.keeps_rows,
                restored=self.job.is_suspended,
                bytes=self._bytes,
            )
        )
