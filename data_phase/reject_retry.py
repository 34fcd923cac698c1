"""--retry-rejects: rows that PostgreSQL refused are loaded again, once the cause is mended."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from data_phase.chunk_copy import refusals
from data_phase.connection_pair import ConnectionPair
from data_phase.job import Job, Step
from data_phase.load_tasks import LoadTask, tried
from data_phase.modes.keep_and_continue import AddToRows
from data_phase.reject_files import write_files
from model.catalog import Table
from model.errors import TableError, TargetError, UnfitTargetError
from model.events import TableCompleted, TableFailed, TableStarted
from model.long_rows import Part
from mssql import chunk_keys, reader
from mssql.keys_read_back import misread_keys
from mssql.wanted_rows import SourceConnections, WantedRows
from postgres import checkpoints, loader, rejected_rows, suspension
from postgres.checkpoints import Totals
from postgres.introspection import TargetTable
from postgres.load_plan import plan_load
from postgres.loader import LoadTransaction
from postgres.names import TargetName, target_name
from postgres.recorded_rows import read_rows
from postgres.rejected_rows import CopyButRejected, Recorded
from run.closing import Ending, failed
from run.context import Run
from run.restoring import claim, restore
from scheduling.tasks import Label, Worker, run_unwatched


@dataclass(frozen=True)
class Retried:
    """What became of a table's rejected rows: now in it, refused again, no longer on the source, not to be looked for.

    The last ones stay recorded: the source reads their keys otherwise than they were written down, and so nobody knows
    whether they are still there.
    """

    loaded: int = 0
    refused: int = 0
    gone: int = 0
    misread: int = 0

    def __add__(self, other: Retried) -> Retried:
        """Of both."""
        return Retried(
            self.loaded + other.loaded,
            self.refused + other.refused,
            self.gone + other.gone,
            self.misread + other.misread,
        )

    @property
    def left(self) -> int:
        """Rows that are still recorded."""
        return self.refused + self.misread

    def __str__(self) -> str:
        gone = f", {self.gone:,} are no longer on the source" if self.gone else ""
        misread = (
            f", {self.misread:,} were not looked for and stay recorded, because the source reads their keys otherwise "
            f"than they were recorded (was the column's collation changed?)"
            if self.misread
            else ""
        )
        return f"{self.loaded:,} rejected rows were loaded, {self.refused:,} were rejected again{gone}{misread}"


@dataclass(frozen=True)
class RetryRejects(LoadTask):
    """Loads a table's rejected rows once more: read anew by their key, or, without one, as they were recorded.

    A few at a time, each time in one transaction with what is recorded about them.
    """

    @property
    def label(self) -> Label:
        """Its name among the table's tasks."""
        return Label(self.job.table.key, "retry rejects")

    def run(self, worker: Worker[ConnectionPair]) -> Retried:
        """Raises TableError, UnreachableError."""
        step, done, after = self.step(worker), Retried(), 0
        last = tried(step.settings, step.worker, lambda _: rejected_rows.last_id(step.target, self.job.plan.target))
        while True:
            some = tried(step.settings, step.worker, lambda _, after=after: self._load_next(step, after, last))  # type: ignore[misc]
            if some is None:
                break
            retried, after = some
            done += retried
        return done

    def _load_next(self, step: Step, after: int, last: int) -> tuple[Retried, int] | None:
        """The next few rows, and the last one's number; None where none is left.

        Each attempt reads the record anew: rows whose commit was not heard of are no longer in it.
        """
        rows = self._next_rows(step, after, last)
        return (self._load(step, rows), rows[-1].id) if rows else None

    def _next_rows(self, step: Step, after: int, last: int) -> Sequence[Recorded]:
        """Rows of one chunk, whose checkpoint counts them, and either all with a key or all without."""
        rows = rejected_rows.read(step.target, self.job.plan.target, after, last)
        like = [row for row in rows if (row.chunk, row.key is None) == (rows[0].chunk, rows[0].key is None)]
        return rows[: next((number for number, row in enumerate(rows) if row not in like), len(rows))]

    def _load(self, step: Step, recorded: Sequence[Recorded]) -> Retried:
        misread = _misread(step, recorded)
        rows = [row for row in recorded if row.id not in misread]
        if not rows:
            return Retried(misread=len(misread))

        def begin(cursor: Any) -> None:
            rejected_rows.forget(cursor, rows)

        def finish(cursor: Any, brought: Totals) -> None:
            checkpoints.add_rows(cursor, self.job.id, rows[0].chunk, brought.rows)
            loader.set_identity(cursor, self.job.plan, brought, afresh=False)

        work = LoadTransaction(self.job.plan, finish, begin)
        writer = CopyButRejected(refusals(self.job, rows[0].chunk))
        brought = loader.load(step.target, work, _read_again(step, rows), writer)
        gone = len(rows) - brought.rows - brought.rejected
        return Retried(brought.rows, brought.rejected, gone, len(misread))


def _misread(step: Step, rows: Sequence[Recorded]) -> set[int]:
    """The numbers of rows that cannot be looked for. Raises SourceError, TargetError."""
    keys = {row.id: row.key for row in rows if row.key is not None}
    try:
        found = misread_keys(step.source, step.job.table, list(keys.values())) if keys else []
    except (KeyError, ValueError) as error:
        raise _unfit(error) from None
    return {list(keys)[position] for position in found}


def _unfit(error: Exception) -> TargetError:
    return TargetError(f"its rejected rows no longer fit the table ({error}); load the table again")


def _read_again(step: Step, rows: Sequence[Recorded]) -> Iterator[Part]:
    job, keys = step.job, [row.key for row in rows if row.key is not None]
    try:
        if keys:
            picked = chunk_keys.pick(job.table, keys)
            source = SourceConnections(step.source, step.settings, wires=step.pair.wires)
            yield from reader.read_batches(source, WantedRows(job.table, job.plan.sources, picked))
        else:
            yield read_rows([row.row for row in rows], job.plan.sources)
    except (KeyError, ValueError) as error:
        raise _unfit(error) from None


def retry(
    this_run: Run, existing: Mapping[TargetName, TargetTable], pair: ConnectionPair, refused: Mapping[str, str]
) -> Ending:
    """Load the rejected rows of the run's tables again, but for those of which `refused` says why not.

    Raises ServerError.
    """
    counts = rejected_rows.count_all(pair.target)
    tables = [table for table in this_run.affected if counts.get(target_name(table, this_run.settings))]
    targets = [target_name(table, this_run.settings) for table in tables]
    this_run.recorder.plans(None, [table.key for table in tables], len(this_run.affected) - len(tables))
    live = claim(this_run, targets)
    try:
        if tables:
            suspension.suspend_triggers(pair.target, targets, tell=this_run.display.say)
        # Loading takes its time, and a connection that idles so long may be dead when it is needed again.
        pair.disconnect()
        is_loaded = _in_rounds(this_run, existing, tables, live.number, refused)
        is_restored = restore(this_run, live, 1)
    finally:
        live.close()
    left = write_files(this_run, this_run.affected)
    if not tables:
        this_run.display.say("✅ Nothing to do: no row is rejected.")
    elif not left and is_loaded:
        this_run.display.say("✅ No row is rejected any more.")
    ending = Ending(reasons=("nothing was left to do" if not tables else "the rejected rows were tried again",))
    if left:
        ending += failed(f"{left:,} rows are still rejected")
    if not is_loaded:
        ending += failed("tables failed")
    if not is_restored:
        ending += failed("triggers could not be restored")
    return ending


def _in_rounds(
    this_run: Run,
    existing: Mapping[TargetName, TargetTable],
    tables: Sequence[Table],
    run: int,
    left_out: Mapping[str, str],
) -> bool:
    """Round after round while any row goes in, since a row may have waited for one that another table rejected.

    False where a table failed altogether.
    """
    has_progress = this_run.tracker.load()
    is_whole = True
    # In a thread: a signal would have to wait for the servers' answers.
    executor = ThreadPoolExecutor(1, thread_name_prefix="retry")
    try:
        waiting = list(tables)
        while waiting:
            refused: list[Table] = []
            any_went_in = False
            for table in waiting:
                this_run.recorder([TableStarted(table.key, table.full_name, "")])
                try:
                    task = RetryRejects(this_run.settings, _job(this_run, existing, table, run, left_out))
                    retried = executor.submit(run_unwatched, task).result()
                except TableError as error:
                    is_whole = False
                    words = this_run.settings.secrets.hide(str(error))
                    this_run.recorder([TableFailed(table.key, words)])
                    this_run.display.say(f"❌ {table.full_name}: {words}")
                    continue
                this_run.display.say(f"🔁 {table.full_name}: {retried}")
                rows = retried.loaded
                if has_progress and this_run.tracker.entry(table.key):
                    rows += this_run.tracker.rows_synced(table.key)
                    this_run.tracker.record(table.key, rows_synced=rows, rows_rejected=retried.left)
                this_run.recorder([TableCompleted(table.key, rows, retried.left)])
                any_went_in = any_went_in or retried.loaded > 0
                if retried.refused:
                    refused.append(table)
            waiting = refused if any_went_in else []
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    return is_whole


def _job(
    this_run: Run, existing: Mapping[TargetName, TargetTable], table: Table, run: int, refused: Mapping[str, str]
) -> Job:
    if table.key in refused:
        raise UnfitTargetError(refused[table.key])
    target = target_name(table, this_run.settings)
    if target not in existing:
        raise UnfitTargetError(f"the target table {target} no longer exists")
    plan = plan_load(table, existing[target], this_run.settings)
    return Job(table, plan, AddToRows(), session="", run=run, reject_limit=0)
