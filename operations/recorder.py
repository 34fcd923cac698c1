"""Notes what a run does while it does it, so that there is a result on every way out."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from model.events import (
    ChunkCommitted,
    Event,
    LoadBegun,
    TableCompared,
    TableCompleted,
    TableFailed,
    TableLeftOut,
    TableStaged,
    TableStarted,
    TaskBegun,
    TaskEnded,
    TriedAgain,
)
from operations.run_result import RejectReason, RunResult, TableResult
from operations.timeline import Timeline

#: so many warnings, suspended objects and tables with rejected rows are named at most: a line of `runs.jsonl` is read
#: by people, too
MOST_WARNINGS, MOST_SUSPENDED, MOST_REJECTING = 100, 500, 100


class Recorder:
    """A run's result as far as it is known. Listens to events; what no event says is told to it."""

    def __init__(self, script: str, arguments: Sequence[str]) -> None:
        self.run = uuid.uuid4().hex
        self._result = RunResult(script, tuple(arguments), None, _now(), "", 0, "", run=self.run)
        self._tables: dict[str, TableResult] = {}
        self._started: dict[str, float] = {}
        self._timeline = Timeline()
        self._warnings: list[str] = []
        self._began = time.monotonic()
        self._hide: Callable[[str], str] = lambda text: text

    def is_about(self, settings: Mapping[str, object], hide: Callable[[str], str]) -> None:
        """The settings that the run works with, without secrets, and what takes secrets out of a text."""
        self._result = replace(self._result, settings=dict(settings))
        self._hide = hide

    def uses(self, settings: Mapping[str, object]) -> None:
        """Settings that a flag gave, in place of those that `is_about` told."""
        self._result = replace(self._result, settings={**self._result.settings, **settings})

    def works_with(self, **versions: str) -> None:
        """The versions of the servers, `source` and `target`."""
        self._result = replace(self._result, versions={**self._result.versions, **versions})

    def plans(self, session: str | None, tables: Sequence[str], left_alone: int) -> None:
        """The session, the keys of the tables that the run is to do, and how many it leaves alone."""
        self._result = replace(self._result, session=session, left_alone=left_alone)
        for key in tables:
            self._tables.setdefault(key, TableResult(key, "pending"))

    def works_by(self, workers: int) -> None:
        """So many workers copy or compare at the same time."""
        if workers > (self._result.workers or 0):
            self._result = replace(self._result, workers=workers)

    def loads_by(self, modes: Mapping[str, str]) -> None:
        """How the rows of tables come, by the tables' keys."""
        for key, mode in modes.items():
            self._note(key, mode=mode)

    def leaves_out(self, skipped: Sequence[str], gone: Mapping[str, str]) -> None:
        """Tables that a person marked as skipped, and those that the source no longer has, since when."""
        self._result = replace(self._result, skipped=tuple(skipped), gone=dict(gone))

    def suspended(self, count: int) -> None:
        """So many keys, indexes and triggers are suspended for the load."""
        self._result = replace(self._result, suspended=self._result.suspended + count)

    def suspends(self, names: Sequence[str]) -> None:
        """The names of what is suspended for the load."""
        known = (*self._result.suspended_objects, *names)
        self._result = replace(self._result, suspended_objects=known[:MOST_SUSPENDED])

    def leaves_suspended(self, names: Sequence[str]) -> None:
        """The names of what the run leaves suspended, since it ends before its time."""
        self._result = replace(self._result, not_restored=tuple(names))

    def rejects(self, reasons: Mapping[str, Sequence[RejectReason]]) -> None:
        """Why rows were rejected that the target has recorded, by table."""
        first = dict(list(reasons.items())[:MOST_REJECTING])
        self._result = replace(self._result, rejects=first)

    def warned(self, words: str) -> None:
        """A person was warned of something."""
        self._warnings.append(words)

    def restored(self, count: int, left: Sequence[str]) -> None:
        """So many are back; `left` names those that are not."""
        self._result = replace(self._result, restored=self._result.restored + count, not_restored=tuple(left))

    def __call__(self, events: Sequence[Event]) -> None:
        """Note what happened."""
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, TableStarted):
            self._started[event.table] = time.monotonic()
            self._note(event.table, status="in_progress", error=None, staged=False)
        elif isinstance(event, TaskBegun):
            if self._result.workers is not None:
                # More may have joined a cluster.
                self.works_by(event.worker)
            self._timeline.begin(event.worker, event.table, self._seconds)
        elif isinstance(event, TaskEnded):
            self._timeline.end(event.worker, self._seconds)
        elif isinstance(event, LoadBegun):
            self._note(event.table, rows=event.rows, rows_before=event.rows)
        elif isinstance(event, ChunkCommitted):
            self._note(event.table, rows=event.rows)
        elif isinstance(event, TriedAgain):
            self._note(event.table, retries=self._of(event.table).retries + 1)
        elif isinstance(event, TableStaged):
            self._note(event.table, rows=event.rows, rejected=event.rejected, bytes=event.bytes, staged=True)
            self._end(event.table)
        elif isinstance(event, TableCompleted):
            changes = {kind: dict(columns) for kind, columns in event.changes.items()}
            self._note(
                event.table,
                status="completed",
                rows=event.rows,
                rejected=event.rejected,
                changes=changes,
                bytes=event.bytes,
                staged=False,
            )
            self._end(event.table)
        elif isinstance(event, TableFailed):
            self._note(event.table, status="failed", error=event.error, staged=False)
            self._end(event.table)
        elif isinstance(event, TableLeftOut):
            self._note(event.table, status=event.status)
        elif isinstance(event, TableCompared):
            self._compared(event)

    def _compared(self, event: TableCompared) -> None:
        known, found = self._of(event.table), "equal" if event.is_equal else "different"
        if known.status == "pending":
            self._note(event.table, status="compared", rows=event.rows)
        self._note(event.table, compared=found, error=event.error or known.error)

    def _of(self, table: str) -> TableResult:
        return self._tables.get(table) or TableResult(table, "pending")

    def _note(self, table: str, **facts: object) -> None:
        self._tables[table] = replace(self._of(table), **facts)  # type: ignore[arg-type]

    def _end(self, table: str) -> None:
        started = self._started.pop(table, None)
        if started is not None:
            self._note(table, seconds=round(time.monotonic() - started, 3))

    @property
    def _seconds(self) -> float:
        """Since the run began."""
        return time.monotonic() - self._began

    @property
    def failed(self) -> dict[str, str]:
        """The tables that have failed so far, and why."""
        return {key: one.error or "" for key, one in self._tables.items() if one.status == "failed"}

    @property
    def progress(self) -> tuple[int, int]:
        """How many tables are done so far, and how many are not."""
        done = sum(one.status == "completed" for one in self._tables.values())
        return done, len(self._tables) - done

    def ended(self, exit_code: int, because: str) -> RunResult:
        """The result of a run that ends like this."""
        return replace(
            self._result,
            ended_at=_now(),
            exit_code=exit_code,
            ended_because=self._hide(because),
            tables=tuple(self._tables.values()),
            spans=self._timeline.spans(self._seconds),
            warnings=tuple(self._hide(words) for words in self._warnings[:MOST_WARNINGS]),
            more_warnings=max(0, len(self._warnings) - MOST_WARNINGS),
        )


def _now() -> str:
    return datetime.now().isoformat(timespec="seconds")
