"""--refresh merge and swap: rows go into a staging table, beside the live one, which readers go on reading.

What is staged becomes live in `data_phase.switching`. A load goes on behind its committed chunks on each --resume,
since nobody else has anything to do with a staging table.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from data_phase import chunk_copy
from data_phase.connection_pair import ConnectionPair
from data_phase.job import Begun, Step
from model.errors import LoadLostError
from model.ranges import Chunk
from model.settings import Settings
from postgres import checkpoints, loader, merging, staging, twins
from postgres.checkpoints import Load, Totals
from postgres.introspection import relation_exists
from postgres.names import TargetName


@dataclass(frozen=True)
class Staged(ABC):
    """Rows are staged for the table `live`; the job's plan is about the staging table."""

    live: TargetName
    name: ClassVar[str]
    keeps_rows: ClassVar[bool] = False
    stages: ClassVar[bool] = True

    def prepare(self, pair: ConnectionPair, target: TargetName, settings: Settings, run: int) -> bool:  # noqa: ARG002
        """Nothing of the live table is in the way."""
        return False

    def begin(self, step: Step) -> Begun:
        """Go on with the session's own load where its rows are still there; else make the staging table anew."""
        table = step.job.plan.target
        with loader.transaction(step.target) as cursor:
            job = replace(step.job, shape=staging.shape(cursor, self.live), mode=self)
        is_there = relation_exists(step.target, table.quoted)
        known = checkpoints.read_load(step.target, table) if is_there else None
        remarks: tuple[str, ...] = ()
        if known is not None and known.session == job.session and known.load is not None:
            # Counting rows takes as long as it takes.
            step.worker.may_take_long()
            begun = self._continued(replace(step, job=job), known)
            if isinstance(begun, Begun):
                return begun
            remarks = (begun,)
            step.worker.moved()
        job = chunk_copy.anew(job)
        chunks = chunk_copy.plan_chunks(step)

        def make(cursor: Any) -> None:
            # Before, since two at once would make the same table.
            checkpoints.take_beginning(cursor, job.id)
            staging.remove(cursor, table)
            self._make(cursor, table)

        return replace(chunk_copy.begin(step, job, chunks, make), remarks=remarks)

    def _continued(self, step: Step, known: Load) -> Begun | str:
        """A load that goes on; words where it does not, and is begun from the start."""
        job = replace(step.job, load=known.load or "", is_continued=True)
        if known.fingerprint != job.fingerprint:
            why = "its columns, its key or its mode changed"
            return f"⚠️ {job.table.full_name}: its load starts from scratch, because {why}"
        try:
            with loader.transaction(step.target) as cursor:
                checkpoints.hold_against_table(cursor, job.id, known)
        except LoadLostError as lost:
            return f"⚠️ {job.table.full_name}: its load starts from scratch: {str(lost).partition('. Run ')[0]}"
        return Begun(job, known.chunks, dict(known.done))

    def copy_chunk(self, step: Step, chunk: Chunk) -> Totals:
        """A chunk's rows with its checkpoint."""
        return chunk_copy.bring(step, chunk, empties_first=chunk.is_whole_table)

    def finish(self, step: Step) -> Totals:
        """Complete what is staged; done again, it changes nothing."""
        # Counting rows and building indexes take as long as they take; keepalives notice a dead connection.
        step.worker.may_take_long()
        totals = chunk_copy.end_emptied(step)
        self._complete(step)
        return totals

    def abandon(self, step: Step) -> None:
        """What is committed stays: --resume goes on behind it. A table of which nothing is goes."""
        table = step.job.plan.target
        if not checkpoints.is_known(step.target, table):
            with loader.transaction(step.target) as cursor:
                staging.remove(cursor, table)

    @abstractmethod
    def _make(self, cursor: Any, table: TargetName) -> None:
        """Make the staging table, in the caller's transaction."""

    @abstractmethod
    def _complete(self, step: Step) -> None:
        """Do what is left once all rows are there."""


@dataclass(frozen=True)
class Merge(Staged):
    """Only the differences are applied to the live table.

    The staging table is UNLOGGED: nothing of it needs to outlive a crash of the server, after which it is empty. That
    is noticed, since its checkpoints say how many rows it must hold.
    """

    name: ClassVar[str] = "merge"

    def _make(self, cursor: Any, table: TargetName) -> None:
        merging.create_staging(cursor, self.live, table)

    def _complete(self, step: Step) -> None:
        with loader.transaction(step.target) as cursor:
            loader.analyze(cursor, step.job.plan.target)


@dataclass(frozen=True)
class Swap(Staged):
    """The staging table is a complete twin of the live one, logged like it, and takes its place."""

    name: ClassVar[str] = "swap"

    def _make(self, cursor: Any, table: TargetName) -> None:
        twins.create(cursor, self.live, table)

    def _complete(self, step: Step) -> None:
        twins.complete(
            step.target, self.live, step.job.plan.target, step.settings.maintenance_work_mem, step.worker.moved
        )
