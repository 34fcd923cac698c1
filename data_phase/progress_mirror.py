"""The progress file as a mirror of what happens to tables."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime

from model.events import (
    ChunkCommitted,
    Event,
    LoadBegun,
    RowsUnderWay,
    TableCompleted,
    TableFailed,
    TableStaged,
    TableStarted,
)
from postgres.names import TargetName
from progress import ProgressTracker
from run.restoring import note_built

SECONDS_BETWEEN_RECORDS = 2.0


class ProgressMirror:
    """Writes events down in the progress file, all of a round in one write.

    A write is waited for, and small tables are over in no time. Raises ProgressFileError.
    """

    def __init__(self, tracker: ProgressTracker, targets: Mapping[str, TargetName]) -> None:
        """`targets` are the tables' names in the target, by their keys."""
        self._tracker = tracker
        self._targets = targets
        #: rows that are committed of the tables that are under way
        self._committed: dict[str, int] = {}
        self._recorded_at = time.monotonic()

    def __call__(self, events: Sequence[Event]) -> None:
        """Write down what happened."""
        with self._tracker.in_one_write():
            for event in events:
                self._take(event)

    def _take(self, event: Event) -> None:
        tracker = self._tracker
        if isinstance(event, TableStarted):
            tracker.start(event.table)
            self._committed[event.table] = 0
        elif isinstance(event, LoadBegun):
            self._committed[event.table] = event.rows
            if event.rows:
                tracker.record(event.table, rows_synced=event.rows)
        elif isinstance(event, ChunkCommitted):
            self._committed[event.table] = event.rows
            tracker.record(event.table, rows_synced=event.rows, rows_copied=event.rows)
        elif isinstance(event, RowsUnderWay):
            self._record_under_way(event.rows)
        elif isinstance(event, TableStaged):
            self._committed.pop(event.table, None)
            now = datetime.now().isoformat(timespec="seconds")
            tracker.record(event.table, rows_synced=event.rows, staged_at=now)
        elif isinstance(event, TableCompleted):
            self._complete(event)
        elif isinstance(event, TableFailed):
            self._committed.pop(event.table, None)
            tracker.fail(event.table, event.error)

    def _record_under_way(self, rows: Mapping[str, int]) -> None:
        now = time.monotonic()
        if now - self._recorded_at < SECONDS_BETWEEN_RECORDS:
            return
        self._recorded_at = now
        for table, under_way in rows.items():
            if under_way and table in self._committed:
                self._tracker.record(table, rows_copied=self._committed[table] + under_way)

    def _complete(self, event: TableCompleted) -> None:
        self._committed.pop(event.table, None)
        facts: dict[str, object] = {"rows_rejected": event.rejected} if event.rejected else {}
        if event.loaded_as is not None:
            facts["loaded_as"] = event.loaded_as
        if event.keeps_rows:
            facts["kept_rows"] = True
        self._tracker.complete(event.table, rows_synced=event.rows, **facts, **event.changes)
        if event.restored:
            note_built(self._tracker, self._targets[event.table])
