"""The tasks of a table's load: picklable values that any executor can run, and the retries around them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, TypeVar

import psycopg2

from data_phase import chunk_copy
from data_phase.connection_pair import ConnectionPair
from data_phase.job import Begun, Job, Step
from model.errors import TableError
from model.ranges import Chunk
from model.settings import Settings
from postgres import loader
from postgres.checkpoints import Totals
from scheduling import tasks
from scheduling.retry import RetryPolicy
from scheduling.tasks import Label, Lane, Worker

T = TypeVar("T")


def tried(settings: Settings, worker: Worker[ConnectionPair], once: Callable[[int], T]) -> T:
    """Call `once` with an attempt's number until it works. Raises TableError, UnreachableError, CancelledError."""

    def attempt(number: int) -> T:
        try:
            return once(number)
        except psycopg2.Error as error:
            raise loader.target_error(error) from None

    return tasks.tried(worker, RetryPolicy(settings.retry_attempts, settings.retry_seconds), attempt)


@dataclass(frozen=True)
class LoadTask:
    """What every task of a load knows."""

    lane: ClassVar[Lane] = "working"

    settings: Settings
    job: Job

    def connect(self) -> ConnectionPair:
        """A pair that is not open yet."""
        return ConnectionPair(self.settings)

    def step(self, worker: Worker[ConnectionPair]) -> Step:
        """The task in a worker's hands."""
        return Step(self.settings, self.job, worker)


@dataclass(frozen=True)
class BeginLoad(LoadTask):
    """Begins a table's load, or finds where it stood."""

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.job.table.key, "begin")

    def run(self, worker: Worker[ConnectionPair]) -> Begun:
        """Raises TableError, UnreachableError, CancelledError."""
        step = self.step(worker)
        return tried(self.settings, worker, lambda _: self.job.mode.begin(step))


@dataclass(frozen=True)
class CopyChunk(LoadTask):
    """Copies one chunk. One that turns out to be committed already is not copied again."""

    chunk: Chunk

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        number = self.chunk.number
        return Label(self.job.table.key, f"chunk {number}", f"chunk {number + 1}" if number > 0 else "")

    def run(self, worker: Worker[ConnectionPair]) -> Totals:
        """Raises TableError, UnreachableError, CancelledError."""
        step = self.step(worker)

        def once(attempt: int) -> Totals:
            # One that was given up, or lost its connection, may have been committed in its last moment.
            if attempt > 1 or worker.tries_again:
                there = chunk_copy.committed(step, self.chunk)
                if there is not None:
                    return there
            try:
                return self.job.mode.copy_chunk(step, self.chunk)
            except (TableError, psycopg2.Error):
                if not worker.tries_again:
                    raise
                # A worker that was taken for lost may have been quicker, so that these rows are there already.
                loader.roll_back(step.target)
                there = chunk_copy.committed(step, self.chunk)
                if there is None:
                    raise
                return there

        return tried(self.settings, worker, once)


@dataclass(frozen=True)
class FinishLoad(LoadTask):
    """Ends a table's load once all chunks are there; the source is not asked."""

    lane: ClassVar[Lane] = "finishing"

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.job.table.key, "finish")

    def run(self, worker: Worker[ConnectionPair]) -> Totals:
        """Raises TableError, UnreachableError, CancelledError."""
        step = self.step(worker)
        return tried(self.settings, worker, lambda _: self.job.mode.finish(step))


@dataclass(frozen=True)
class AnalyzeTable(LoadTask):
    """Lets the planner know a table of one chunk, whose load is over: what goes wrong with it is only told."""

    lane: ClassVar[Lane] = "finishing"

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.job.table.key, "analyze", "ANALYZE")

    def run(self, worker: Worker[ConnectionPair]) -> None:
        """Raises UnreachableError, CancelledError."""
        step, target = self.step(worker), self.job.plan.target

        def wait() -> None:
            worker.moved()
            # Sampling rows takes as long as it takes; keepalives notice a dead connection.
            worker.may_take_long()

        def once(_: int) -> None:
            wait()
            loader.analyze_patiently(step.target, target, self.settings.lock_wait, wait, worker.remark)

        try:
            tried(self.settings, worker, once)
        except TableError as error:
            worker.remark(
                f"⚠️ {target} is loaded but not analyzed: {error}. Queries may be slow until autovacuum does it; "
                f"or run: ANALYZE {target.quoted}"
            )


@dataclass(frozen=True)
class AbandonLoad(LoadTask):
    """Takes away what a load that failed for good leaves behind."""

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.job.table.key, "abandon")

    def run(self, worker: Worker[ConnectionPair]) -> None:
        """Raises TableError, UnreachableError, CancelledError."""
        step = self.step(worker)
        tried(self.settings, worker, lambda _: self.job.mode.abandon(step))
