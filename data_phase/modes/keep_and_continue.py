"""--no-truncate: rows that are there stay, and a load that was cut off goes on behind its last committed chunk."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import psycopg2

from data_phase import chunk_copy
from data_phase.connection_pair import ConnectionPair
from data_phase.job import Begun, Step
from data_phase.modes.truncate_and_copy import TruncateAndCopy
from model.errors import LoadLostError, TargetError
from model.ranges import Chunk
from model.settings import Settings
from postgres import checkpoints, loader, restoration, sessions, suspension_record
from postgres.checkpoints import Load, Totals
from postgres.load_plan import LoadPlan
from postgres.names import TargetName


@dataclass(frozen=True)
class KeepAndContinue:
    """A load of the same session goes on after its committed chunks; rows of unknown origin stay, with a warning."""

    name: ClassVar[str] = "keep"
    keeps_rows: ClassVar[bool] = True
    stages: ClassVar[bool] = False

    def prepare(self, pair: ConnectionPair, target: TargetName, settings: Settings, run: int) -> bool:
        """Rows whose load nobody knows stay, and so must the keys that guard them.

        Keys that a killed run, which meant to empty the table, suspended are back before rows join them.
        """
        if checkpoints.is_known(pair.target, target) or not _holds_rows(pair, target):
            return True
        for one in suspension_record.read(pair.target):
            if one.kind == "key" and one.table == target:
                # What is wrong with it is told at the end, when it is tried again.
                restoration.restore(lambda: pair.target, [one], settings.maintenance_work_mem, run=run)
        return False

    def begin(self, step: Step) -> Begun:
        """Go on with the session's own load, if the table is still the one that its rows went into and holds them.

        A table that was emptied or made anew meanwhile begins from the start. Where only another session's load is
        known, the table begins as its own session began: emptied, unless that keeps rows.
        """
        known = checkpoints.read_load(step.target, step.job.plan.target)
        remarks: tuple[str, ...] = ()
        if known is not None and known.session == step.job.session:
            # Counting rows takes as long as it takes.
            step.worker.may_take_long()
            begun = _continued(step, known)
            if isinstance(begun, Begun):
                return begun
            remarks = (begun,)
            step.worker.moved()
        if known is not None and not sessions.keeps_rows(step.target, step.job.session):
            begun = TruncateAndCopy().begin(step)
        else:
            begun = self._begin_beside_others(step)
        return replace(begun, remarks=(*begun.remarks, *remarks))

    def _begin_beside_others(self, step: Step) -> Begun:
        job = replace(chunk_copy.anew(step.job), mode=self)
        holds_others = not loader.is_empty(step.target, job.plan, step.worker.remark)
        if holds_others and job.lacks:
            raise TargetError(
                f"{job.plan.target} lacks the source's key ({', '.join(job.lacks)}), and no record says why: existing "
                f"rows could be doubled, so none were added. Create the key with replicate-schema.py, or "
                f"run --resume without --no-truncate to load the table from scratch"
            )
        chunks = chunk_copy.plan_chunks(step)
        begun = chunk_copy.begin(step, job, chunks, lambda _: None) if len(chunks) > 1 else Begun(job, chunks, {})
        warning = (
            f"⚠️ WARNING: {job.table.full_name} is not truncated and {job.plan.target} already holds rows: "
            f"its data may be partial or doubled. Run without --no-truncate to load it from scratch."
        )
        return replace(begun, remarks=(warning,) if holds_others else ())

    def copy_chunk(self, step: Step, chunk: Chunk) -> Totals:
        """A chunk's rows with its checkpoint, beside those that are there."""
        return chunk_copy.bring(step, chunk, empties_first=False)

    def finish(self, step: Step) -> Totals:
        """End the load; how many rows the table should hold besides, nobody knows."""
        # Building an index takes as long as it takes; keepalives notice a dead connection.
        step.worker.may_take_long()
        with loader.transaction(step.target) as cursor:
            totals = checkpoints.read_totals(cursor, step.job.plan.target)
            totals = replace(totals, loaded_as=chunk_copy.end_load(cursor, step.job, totals))
        chunk_copy.restore_keys(step)
        return totals

    def abandon(self, step: Step) -> None:
        """What is committed stays: --resume --no-truncate goes on behind it."""


@dataclass(frozen=True)
class ContinueBesideRows(KeepAndContinue):
    """The same in a session that began with --no-truncate: the table keeps its rows, whoever brought them."""

    def prepare(self, pair: ConnectionPair, target: TargetName, settings: Settings, run: int) -> bool:
        """Rows stay, and so do the keys that guard them."""
        super().prepare(pair, target, settings, run)
        return False


@dataclass(frozen=True)
class AddToRows(KeepAndContinue):
    """A table that is begun, or begun again, in such a session: its load joins the rows that are there."""

    def prepare(self, pair: ConnectionPair, target: TargetName, settings: Settings, run: int) -> bool:  # noqa: ARG002
        """Rows stay, and so do the keys that guard them."""
        return False

    def begin(self, step: Step) -> Begun:
        """Nothing is continued: what an earlier load brought stays like any other row."""
        return self._begin_beside_others(step)


def _continued(step: Step, known: Load) -> Begun | str:
    """A load that goes on; words where it does not, since its table is empty: it is begun from the start.

    Raises TargetError and LoadLostError.
    """
    if known.load is None:
        raise TargetError(
            "its load was begun by an older version of this tool and cannot be continued. Run without --no-truncate to "
            "load it from scratch"
        )
    if known.fingerprint != step.job.fingerprint:
        raise TargetError(
            "its load cannot be continued: the columns or the key changed since it began. "
            "Run without --no-truncate to load it from scratch"
        )
    mode = KeepAndContinue() if known.keeps_rows else TruncateAndCopy()
    job = replace(step.job, load=known.load, is_continued=True, mode=mode)
    try:
        with loader.transaction(step.target) as cursor:
            checkpoints.hold_against_table(cursor, job.id, known)
    except LoadLostError as lost:
        if not loader.is_empty(step.target, job.plan):
            raise
        return f"⚠️ {job.table.full_name}: its load starts from scratch, because {job.plan.target} is empty: {lost}"
    return Begun(job, known.chunks, dict(known.done))


def _holds_rows(pair: ConnectionPair, target: TargetName) -> bool:
    try:
        return not loader.is_empty(pair.target, LoadPlan(target, (), ()))
    except psycopg2.Error:
        # Its own load will say what is wrong.
        pair.disconnect()
        return True
