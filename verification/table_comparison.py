"""One table's comparison on its way through the scheduler: sums of both sides, and where they differ, the rows.

Where the sums differ, the parts of the table whose sums differ are read again, and their rows compared one by one: at
most BYTES_LOOKED_AT of a side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from model.catalog import Table
from model.errors import TableError, UnfitTargetError
from model.events import ComparisonStarted, Event, RowsRead, TableCompared
from model.ranges import WHOLE_TABLE, Chunk
from model.settings import Settings
from postgres.introspection import TargetTable
from postgres.names import target_name
from postgres.reader import BlockRange
from run.closing import unexpected
from scheduling.tasks import Task
from verification.checksums import BUCKETS, Sums
from verification.comparison import Comparison
from verification.comparison_tasks import ComparisonTask, CountPart, LookAtPart, PlanSource, SumPart
from verification.pairing import pair_up
from verification.reading import Range
from verification.row_differences import Difference, Found, bytes_a_row, find_differences, together

Mode = Literal["values", "counts"]
#: bytes of differing parts that are held of each side while they are compared row by row
BYTES_LOOKED_AT = 64 * 1024 * 1024


class TableComparison:
    """Where one table's comparison stands. What happens to it is told in events; nothing here touches a server."""

    def __init__(
        self,
        settings: Settings,
        table: Table,
        target: TargetTable | None,
        blocks: Sequence[BlockRange],
        seed: bytes,
        refused: str | None = None,
    ) -> None:
        """`blocks` are the parts in which the target's rows are read; `refused` says why it must not be compared."""
        self._refused = refused
        self._settings = settings
        self._table = table
        self._target = target
        self._blocks = blocks
        self._seed = seed
        self._chunks: tuple[Chunk, ...] = ()
        self._open_tasks = 0
        self._rows = 0
        self._source: Sums | None = None
        self._there: Sums | None = None
        self._found: tuple[Found | None, Found | None] = (None, None)
        self._most = 0
        self._leaves_parts_out = False
        self._events: list[Event] = []
        self.result: Comparison | None = None

    @property
    def key(self) -> str:
        """The table's key in the progress file."""
        return self._table.key

    @property
    def is_over(self) -> bool:
        """Whether there is a result."""
        return self.result is not None

    def events(self) -> list[Event]:
        """What happened since the last time."""
        events, self._events = self._events, []
        return events

    def begin(self) -> Sequence[Task[Any, object]]:
        """The first reading's tasks. Raises UnfitTargetError."""
        name = target_name(self._table, self._settings)
        self._events.append(ComparisonStarted(self.key, self._table.row_count))
        if self._refused is not None:
            raise UnfitTargetError(f"not compared: {self._refused}")
        if self._target is None:
            raise UnfitTargetError(f"{name} does not exist on the target")
        pair_up(self._table, self._target, self._settings, self._seed)
        return self._given(self._first_tasks(ComparisonTask(self._settings, self._table, self._target, self._seed)))

    def _first_tasks(self, task: ComparisonTask) -> Sequence[Task[Any, object]]:
        return [PlanSource(*_of(task)), *(SumPart(*_of(task), blocks) for blocks in self._blocks)]

    def _given(self, tasks: Sequence[Task[Any, object]]) -> Sequence[Task[Any, object]]:
        self._open_tasks += len(tasks)
        return tasks

    def take(self, task: Task[Any, object], result: Any) -> Sequence[Task[Any, object]]:
        """What a task brought; returns those that follow from it."""
        self._open_tasks -= 1
        if isinstance(task, PlanSource):
            self._chunks = result
            return self._given([SumPart(*_of(task), chunk) for chunk in result])
        if isinstance(task, (SumPart, CountPart)):
            self._add(task.part, result)
            return [] if self._open_tasks else self._judge(task)
        if isinstance(task, LookAtPart):
            self._collect(task.part, result)
            if not self._open_tasks:
                self._explain(task)
        return []

    def fail(self, error: Exception) -> Sequence[Task[Any, object]]:
        """The sides cannot be compared."""
        if isinstance(error, TableError):
            words = f"{error.side} cannot be read: {error}" if error.side else str(error)
        else:
            words = unexpected(error)
        self._end(Comparison(self._table, problem=self._settings.secrets.hide(words)))
        return []

    def _add(self, part: Range, sums: Sums) -> None:
        if isinstance(part, Chunk):
            self._rows += sums.rows
            self._events.append(RowsRead(self.key, self._rows))
            self._source = _added(self._source, sums)
        else:
            self._there = _added(self._there, sums)

    def _judge(self, task: ComparisonTask) -> Sequence[Task[Any, object]]:
        assert self._source is not None and self._there is not None
        rows = self._source.rows, self._there.rows
        if self._source.is_like(self._there):
            self._end(Comparison(self._table, *rows, is_equal=True))
            return []
        return self._look_again(task, self._source, self._there)

    def _look_again(self, task: ComparisonTask, source: Sums, there: Sums) -> Sequence[Task[Any, object]]:
        """Read both sides once more, and keep the rows of those parts that differ, as many as memory allows."""
        self._most = BYTES_LOOKED_AT // bytes_a_row(len(self._table.columns))
        differing = source.differing_buckets(there)
        rows = np.maximum(source.bucket_rows[differing], there.bucket_rows[differing]).cumsum()
        chosen = differing[: max(1, int(np.searchsorted(rows, self._most, side="right")))]
        self._leaves_parts_out = len(chosen) < len(differing)
        is_wanted = np.zeros(BUCKETS, np.bool_)
        is_wanted[chosen] = True
        parts: tuple[Range, ...] = (*self._chunks, *self._blocks)
        return self._given([LookAtPart(*_of(task), part, is_wanted, self._most) for part in parts])

    def _collect(self, part: Range, found: Found | None) -> None:
        here, there = self._found
        if isinstance(part, Chunk):
            self._found = (_merged(here, found, self._most), there)
        else:
            self._found = (here, _merged(there, found, self._most))

    def _explain(self, task: ComparisonTask) -> None:
        assert self._source is not None and self._there is not None
        names = [column.name for column in self._table.columns]
        differences = tuple(find_differences(names, task.pair.keys, *self._found))
        if not differences:
            differences = (Difference("the second reading found no difference: rows change meanwhile", 0, ()),)
        is_cut = any(found.is_cut for found in self._found if found is not None)
        self._end(
            Comparison(
                self._table,
                self._source.rows,
                self._there.rows,
                columns=tuple(names[position] for position in self._source.differing_columns(self._there)),
                differences=differences,
                is_partly_known=self._leaves_parts_out or is_cut,
            )
        )

    def _end(self, result: Comparison) -> None:
        if self._settings.secrets.hides_values:
            result = result.without_values()
        self.result = result
        # Sums and rows take megabytes, and there may be thousands of tables.
        self._source = self._there = None
        self._found, self._chunks = (None, None), ()
        self._events.append(TableCompared(self.key, result.is_equal, result.source, result.describe(), result.problem))


class TableCount(TableComparison):
    """Compares the numbers of rows alone."""

    def _first_tasks(self, task: ComparisonTask) -> Sequence[Task[Any, object]]:
        return [CountPart(*_of(task), WHOLE_TABLE), CountPart(*_of(task), BlockRange())]

    def _look_again(self, task: ComparisonTask, source: Sums, there: Sums) -> Sequence[Task[Any, object]]:  # noqa: ARG002
        self._end(Comparison(self._table, source.rows, there.rows))
        return []


def _of(task: ComparisonTask) -> tuple[Settings, Table, TargetTable, bytes]:
    return task.settings, task.table, task.target, task.seed


def _added(known: Sums | None, more: Sums) -> Sums:
    if known is None:
        return more
    known.add(more)
    return known


def _merged(known: Found | None, more: Found | None, most: int) -> Found | None:
    return together([one for one in (known, more) if one is not None], most) if more is not None else known
