"""The plain mode: a table is emptied, and holds the rows of this load alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from data_phase import chunk_copy
from data_phase.connection_pair import ConnectionPair
from data_phase.job import Begun, Step
from model.ranges import Chunk
from model.settings import Settings
from postgres import loader
from postgres.checkpoints import Totals
from postgres.names import TargetName


@dataclass(frozen=True)
class TruncateAndCopy:
    """A table of one chunk is emptied and filled in one transaction, one of several is emptied when its load begins."""

    name: ClassVar[str] = "truncate"
    keeps_rows: ClassVar[bool] = False
    stages: ClassVar[bool] = False

    def prepare(self, pair: ConnectionPair, target: TargetName, settings: Settings, run: int) -> bool:  # noqa: ARG002
        """Its old rows are emptied, so nothing that its unique keys guard is left."""
        return True

    def begin(self, step: Step) -> Begun:
        """Empty a table of several chunks, and write its chunks down. One of one chunk is not touched yet."""
        job = replace(chunk_copy.anew(step.job), mode=self)
        chunks = chunk_copy.plan_chunks(step)
        if len(chunks) == 1:
            return Begun(job, chunks, {})

        def empty(_: Any) -> None:
            loader.truncate(step.target, job.plan, step.settings.lock_wait, step.worker.moved, step.worker.remark)

        return chunk_copy.begin(step, job, chunks, empty)

    def copy_chunk(self, step: Step, chunk: Chunk) -> Totals:
        """A chunk's rows with its checkpoint."""
        return chunk_copy.bring(step, chunk, empties_first=chunk.is_whole_table)

    def finish(self, step: Step) -> Totals:
        """End the load; rows that went without a trace are missed now."""
        # Counting rows and building an index take as long as they take; keepalives notice a dead connection.
        step.worker.may_take_long()
        totals = chunk_copy.end_emptied(step)
        chunk_copy.restore_keys(step)
        return totals

    def abandon(self, step: Step) -> None:
        """What is committed stays: --resume --no-truncate goes on behind it."""
