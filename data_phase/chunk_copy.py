"""A chunk's way from source to target: the parts that the load modes are put together from.

A chunk's rows and its checkpoint commit together, so it does not matter who runs a chunk, how often it was tried, or
what died in between.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg2

from data_phase.job import Begun, Job, Step
from model.changes import Changes, Kind
from model.errors import LoadBegunError, TargetError
from model.long_rows import LongRow, Part
from model.ranges import WHOLE_TABLE, Chunk
from mssql import chunk_keys, chunk_planning, native_numbers, reader
from mssql.wanted_rows import SourceConnections, WantedRows
from postgres import checkpoints, loader, restoration, suspension_record
from postgres.checkpoints import Totals
from postgres.loader import CopyAll, LoadTransaction, Writer
from postgres.rejected_rows import CopyButRejected, Rejects
from postgres.suspension_record import Suspended

#: values, rows × columns, from which on a table of one chunk is analyzed by a task of its own: ANALYZE of so many takes
#: about 50 ms, another task and its commit 5
ANALYZED_APART = 100_000


def anew(job: Job) -> Job:
    """The job as a load of its own, which no earlier one shares anything with."""
    return replace(job, load=uuid.uuid4().hex, is_continued=False)


def plan_chunks(step: Step) -> tuple[Chunk, ...]:
    """The chunks in which the table is to be read. Raises PlanningError, UnreachableError."""
    worker, chunk_rows = step.worker, step.settings.chunk_rows
    return chunk_planning.plan_chunks(step.source, step.job.table, chunk_rows, worker.moved, tell=worker.remark)


def begin(step: Step, job: Job, chunks: tuple[Chunk, ...], prepare: Callable[[Any], None]) -> Begun:
    """Begin a load, together with what prepares its table for it: `prepare` is called in the same transaction.

    A run begins a table once: what another of its workers has begun meanwhile is gone on with. One of one chunk is
    written down with that. Raises TargetError, LoadLostError, and what `prepare` raises.
    """
    try:
        with loader.transaction(step.target) as cursor:
            prepare(cursor)
            checkpoints.take_beginning(cursor, job.id)
            if len(chunks) > 1:
                checkpoints.start_load(cursor, job.id, chunks)
    except LoadBegunError:
        known = checkpoints.read_load(step.target, job.plan.target)
        assert known is not None, "it was there a moment ago, and only this run changes it"
        return Begun(replace(job, load=known.load or ""), known.chunks, dict(known.done))
    return Begun(job, chunks, {})


def bring(step: Step, chunk: Chunk, *, empties_first: bool) -> Totals:
    """Copy one chunk and its checkpoint in one transaction; returns what it brought.

    With `empties_first` the table is emptied in the same transaction, so that its readers see the old rows or all of
    the new ones. A whole table's load begins and ends in it as well. Raises SourceError, TargetError, LoadLostError,
    UnreachableError and CancelledError; nothing was kept then.
    """
    job, is_whole = step.job, chunk.is_whole_table
    changes, loaded_as = Changes(), list[str]()

    def begin(cursor: Any) -> None:
        if is_whole:
            checkpoints.start_load(cursor, job.id, [WHOLE_TABLE])

    def finish(cursor: Any, brought: Totals) -> None:
        checkpoints.record_chunk(cursor, job.id, chunk, brought)
        if is_whole:
            loaded_as.append(end_load(cursor, job, brought))
            if not (job.is_suspended or job.mode.stages or is_analyzed_apart(job, brought)):
                loader.analyze(cursor, job.plan.target)

    def count(kind: Kind, position: int, values: int) -> None:
        changes.add(kind, job.plan.columns[position].name, values)

    raw = native_numbers.ask_for(step.source, job.plan.sources, job.table.row_count)
    source = SourceConnections(step.source, step.settings, step.pair.by_value, step.pair.wires)
    batches = _paced(step, reader.read_batches(source, WantedRows(job.table, job.plan.sources, chunk, raw), count))
    work = LoadTransaction(
        job.plan, finish, begin, step.worker.moved, empties_first, step.settings.lock_wait, step.worker.remark
    )
    brought = loader.load(step.target, work, batches, _writer(job, chunk), changes)
    return replace(brought, loaded_as=next(iter(loaded_as), None))


def is_analyzed_apart(job: Job, brought: Totals) -> bool:
    """Whether a table of one chunk is analyzed after its rows are committed, while the next one travels.

    Neither its readers nor the source wait for that then.
    """
    return brought.rows * len(job.plan.columns) >= ANALYZED_APART


def _paced(step: Step, parts: Iterable[Part]) -> Iterator[Part]:
    """The same parts, no faster than the run may be."""
    for part in parts:
        yield part
        batch = part.batch if isinstance(part, LongRow) else part
        step.worker.keep_pace(batch.num_rows, batch.nbytes)


def committed(step: Step, chunk: Chunk) -> Totals | None:
    """What a chunk brought that an earlier attempt committed before it was cut off; None where none did.

    Raises psycopg2.Error, TargetError and LoadLostError.
    """
    rows = checkpoints.has_chunk(step.target, step.job.id, chunk.number)
    if rows is None or not chunk.is_whole_table:
        return None if rows is None else Totals(rows)
    with loader.transaction(step.target) as cursor:
        totals = checkpoints.read_totals(cursor, step.job.plan.target)
        return replace(totals, loaded_as=checkpoints.finish_load(cursor, step.job.id))


def end_load(cursor: Any, job: Job, totals: Totals) -> str:
    """End the load in the caller's transaction: its identity goes on after its rows; returns which table holds them.

    Raises TargetError, LoadLostError.
    """
    loader.set_identity(cursor, job.plan, totals, afresh=not job.mode.keeps_rows)
    loaded_as = checkpoints.finish_load(cursor, job.id)
    if loaded_as is None:
        raise TargetError(
            "some of its chunks have no checkpoint in replication.checkpoint. Did another run load it meanwhile?"
        )
    return loaded_as


def end_emptied(step: Step) -> Totals:
    """End the load of a table that was empty when it began; rows that went without a trace are missed now.

    Raises TargetError, LoadLostError.
    """
    job = step.job
    with loader.transaction(step.target) as cursor:
        totals = checkpoints.read_totals(cursor, job.plan.target)
        # A crash empties an UNLOGGED table, a person a partition.
        if job.is_continued or job.plan.is_unlogged or job.plan.is_partitioned:
            checkpoints.hold_count_against_checkpoints(cursor, job.id)
        return replace(totals, loaded_as=end_load(cursor, job, totals))


def restore_keys(step: Step) -> None:
    """Bring the table's own keys and indexes back, and let the planner know the table. Raises TargetError."""
    target = step.job.plan.target
    for one in suspension_record.read(step.target):
        if one.table == target and one.kind in suspension_record.BUILT:
            _restore(step, one)
    with loader.transaction(step.target) as cursor:
        loader.analyze(cursor, target)


def _restore(step: Step, one: Suspended) -> None:
    try:
        restoration.restore_one(
            step.target,
            one,
            step.settings.maintenance_work_mem,
            run=step.job.run,
            patience=step.settings.lock_wait,
            tell=step.worker.remark,
        )
    except psycopg2.Error as error:
        loader.roll_back(step.target)
        failure = loader.target_error(error)
        raise TargetError(f"its {one} cannot be restored: {failure}", failure.is_temporary) from None


def _writer(job: Job, chunk: Chunk) -> Writer:
    return CopyAll() if job.reject_limit is None else CopyButRejected(refusals(job, chunk.number))


def refusals(job: Job, chunk: int) -> Rejects:
    """Where a chunk's refused rows go, of a job that leaves them out."""
    assert job.reject_limit is not None
    return Rejects(job.plan, chunk, job.reject_limit, partial(chunk_keys.find_again, job.table))
