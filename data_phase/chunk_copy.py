"""A chunk's way from source to target, as plain functions that any executor can run.

Everything they take is picklable, and the truth is in the target: a chunk's rows and its checkpoint
commit together, so it does not matter who runs a chunk, how often it was tried, or what died in between.
"""

from __future__ import annotations

import hashlib
import queue
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import psycopg2

from db import Settings, connect_target
from model.catalog import WHOLE_TABLE, Chunk, Table
from model.changes import Changes, Kind
from model.errors import (
    CancelledError,
    LoadLostError,
    PlanningError,
    SourceError,
    SuspensionError,
    TargetError,
    UnreachableError,
)
from model.long_rows import Part
from mssql import chunk_planning as source_chunks
from mssql import native_numbers, odbc_client, reader, snapshots
from postgres import checkpoints, loader, rejected_rows, suspension
from postgres.checkpoints import Load, LoadId, Totals
from postgres.loader import LoadPlan
from postgres.recorded_rows import read_rows
from postgres.rejected_rows import Recorded, Rejects
from postgres.suspension import Suspended

T = TypeVar("T")

LONGEST_WAIT_S = 30.0
#: changes with what a chunk's bounds mean, so that no load goes on with bounds that meant other rows
CHUNKS_AS_OF = "2"
#: what stands in for a chunk's number while a load begins and ends
BEGIN, FINISH = -1, -2
#: errors whose text is meant for a person
EXPECTED = (
    SourceError,
    PlanningError,
    TargetError,
    SuspensionError,
    LoadLostError,
)


@dataclass(frozen=True)
class Job:
    """One table's load: what to read, where to put it, and which session it belongs to.

    `empties` is false where rows that were in the table before are to stay. Without a `reject_limit` a row that
    PostgreSQL refuses fails the table; with one it is recorded and left out, up to so many (0: any number).
    `has_aside` is true where keys or indexes of the table are suspended; they come back when its load finishes.
    `run` is the one that has claimed the table, `load` what the target knows this load by, and `is_continued` says
    that an earlier run began it. `lacks` are the columns of keys that the target's table should have and has not.
    """

    table: Table
    plan: LoadPlan
    session: str
    run: int = 0
    load: str = ""
    is_continued: bool = False
    lacks: tuple[str, ...] = ()
    empties: bool = True
    reject_limit: int | None = None
    has_aside: bool = False

    @property
    def id(self) -> LoadId:
        """What the target's transactions are held against."""
        return LoadId(
            self.plan.target, self.session, self.load, self.run, self.fingerprint, not self.empties,
            self.plan.is_partitioned,
        )  # fmt: skip

    @property
    def fingerprint(self) -> str:
        """A digest of what must not change while a load is continued: both sides' columns and the key."""
        parts = [
            CHUNKS_AS_OF,
            self.table.full_name,
            str(self.plan.target),
            self.plan.nul_policy,
            *(
                f"{column.name} {column.type} {column.type.option or ''} {column.is_nullable}"
                for column in self.plan.sources
            ),
            *(f"{column.name} {column.wire} {column.base_type}" for column in self.plan.columns),
            *(column.name for column in source_chunks.chunk_key(self.table)),
        ]
        return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True)
class Begun:
    """How a table's load begins: its chunks, and those that are in the target already with their rows.

    `job` is what the chunks are to be copied for. `keeps_others` is true where the table holds rows of
    another origin, which stay. `remark` is what a person should know of how it begins.
    """

    job: Job
    chunks: tuple[Chunk, ...]
    done: dict[int, int]
    keeps_others: bool = False
    remark: str | None = None


class Lane:
    """The two connections that rows travel between; each is opened when needed and again after a failure."""

    def __init__(self, settings: Settings, session: snapshots.Session | None = None) -> None:
        """`session` holds connections to the source that must last, since no other sees the moment that they see."""
        self.settings = settings
        self._session = session
        self._source: Any = session.batches if session is not None else None
        self._target: Any = None
        self.is_given_up = False

    @property
    def source(self) -> Any:
        """An arrow-odbc connection. Raises UnreachableError."""
        if self._source is None:
            self._source = reader.connect(self.settings)
        return self._source

    @property
    def target(self) -> Any:
        """A psycopg2 connection outside a transaction. Raises UnreachableError, CancelledError once given up."""
        if self._target is None or self._target.closed:
            self._target = connect_target(self.settings)
        if self.is_given_up:
            self.disconnect()
            raise CancelledError
        return self._target

    @property
    def by_value(self) -> odbc_client.Connection | None:
        """The connection that must serve where rows are read value by value; None where one may be opened."""
        return self._session.by_value if self._session is not None else None

    def give_up(self) -> None:
        """End this lane for good, from any thread, whatever its worker hangs in.

        Nothing that its worker does when it wakes up can reach the target any more: the connection is
        broken, and no other is opened.
        """
        self.is_given_up = True
        target = self._target
        if target is None or target.closed:
            return
        # Asking the server to stop takes a connection of its own, which may hang as well.
        threading.Thread(target=_cancel, args=(target,), daemon=True).start()
        with (
            suppress(psycopg2.Error, OSError),
            socket.fromfd(target.fileno(), socket.AF_INET, socket.SOCK_STREAM) as wire,
        ):
            wire.shutdown(socket.SHUT_RDWR)

    def disconnect(self) -> None:
        """Drop both connections; what was not committed is gone.

        A session that must last is kept while it sees its moment.
        """
        if self._session is not None and not self._session.is_open:
            self._session = None
        self._source = self._session.batches if self._session is not None else None
        if self._target is not None and not self._target.closed:
            self._target.close()
        self._target = None


@dataclass
class Watch:
    """What local workers share with the thread that watches them: lanes, rows under way, the wish to stop.

    A worker of another process or machine has none; it opens a lane for each chunk.
    """

    lanes: queue.SimpleQueue[Lane] = field(default_factory=queue.SimpleQueue)
    busy: dict[tuple[str, int], Lane] = field(default_factory=dict)
    rows: dict[tuple[str, int], int] = field(default_factory=dict)
    moved_at: dict[tuple[str, int], float] = field(default_factory=dict)
    given_up: set[tuple[str, int]] = field(default_factory=set)
    stopping: threading.Event = field(default_factory=threading.Event)
    remarks: queue.SimpleQueue[tuple[str, str]] = field(default_factory=queue.SimpleQueue)


def _cancel(connection: Any) -> None:
    with suppress(psycopg2.Error):
        connection.cancel()


@contextmanager
def _lane(settings: Settings, watch: Watch | None, label: tuple[str, int]) -> Iterator[Lane]:
    if watch is None:
        lane = Lane(settings)
        try:
            yield lane
        finally:
            lane.disconnect()
        return
    try:
        lane = watch.lanes.get_nowait()
    except queue.Empty:
        lane = Lane(settings)
    watch.busy[label] = lane
    watch.moved_at[label] = time.monotonic()
    try:
        yield lane
    finally:
        watch.rows.pop(label, None)
        # A lane that the watching thread has given up is not used again.
        if watch.busy.get(label) is lane:
            del watch.busy[label]
            watch.lanes.put(lane)
        else:
            lane.disconnect()


def begin(settings: Settings, job: Job, continues: bool, watch: Watch | None = None) -> Begun:
    """Begin a table's load, or find where it stood.

    A table of one chunk is not touched yet: its chunk empties and fills it in one transaction. Of a table
    of several, the emptying and the list of chunks are committed here. With `continues`, a load of the
    same session goes on after its committed chunks, if the table is still the one that they went into and holds their
    rows, and a table of which no load is known is not emptied. One that was emptied or made anew meanwhile is begun
    from the start. Raises what `copy` raises, TargetError where the structure changed since the load began, and
    LoadLostError where the table holds other rows than were loaded.
    """

    def note() -> None:
        if watch is not None:
            watch.moved_at[job.table.key, BEGIN] = time.monotonic()
            if watch.stopping.is_set():
                raise CancelledError

    def once(lane: Lane) -> Begun:
        its, remark = replace(job, load=uuid.uuid4().hex), None
        if continues:
            known = checkpoints.read_load(lane.target, job.plan.target)
            if known is not None and known.session == job.session:
                if watch is not None:
                    # Counting rows takes as long as it takes.
                    watch.moved_at.pop((job.table.key, BEGIN), None)
                begun = _continued(lane, job, known)
                if isinstance(begun, Begun):
                    return begun
                remark = begun
            if known is None:
                its = replace(its, empties=False)
        keeps_others = not its.empties and not loader.is_empty(lane.target, job.plan)
        if keeps_others and job.lacks:
            raise TargetError(
                f"{job.plan.target} lacks the source's key ({', '.join(job.lacks)}), and no record says why: rows that "
                f"are there already would be doubled, so none were added. Make the key with replicate-schema.py, or "
                f"run --resume without --no-truncate to load the table from scratch"
            )
        found = source_chunks.plan_chunks(lane.source, job.table, settings.chunk_rows, note)
        if len(found) > 1:
            with loader.transaction(lane.target) as cursor:
                if its.empties:
                    loader.truncate(lane.target, job.plan, settings.lock_wait, note)
                checkpoints.start_load(cursor, its.id, found)
        return Begun(its, found, {}, keeps_others, remark)

    return _with_retries(once, settings, job, BEGIN, watch)


def _continued(lane: Lane, job: Job, known: Load) -> Begun | str:
    """A load that goes on; words where it does not, since its table is empty: it is begun from the start.

    Raises TargetError and LoadLostError.
    """
    its = replace(job, load=known.load or "", empties=not known.keeps_rows, is_continued=True)
    if known.load is None:
        raise TargetError(
            "its load was begun by an older version of this tool and cannot be continued. Run without --no-truncate to "
            "load it from scratch"
        )
    if known.fingerprint != job.fingerprint:
        raise TargetError(
            "its load cannot be continued: the columns or the key changed since it began. "
            "Run without --no-truncate to load it from scratch"
        )
    try:
        with loader.transaction(lane.target) as cursor:
            checkpoints.hold_against_table(cursor, its.id, known)
    except LoadLostError as lost:
        if not loader.is_empty(lane.target, job.plan):
            raise
        return f"⚠️ {job.table.full_name}: its load begins anew, since {job.plan.target} is empty: {lost}"
    return Begun(its, known.chunks, dict(known.done))


def copy(settings: Settings, job: Job, chunk: Chunk, watch: Watch | None = None) -> Totals:
    """Copy one chunk and its checkpoint in one transaction; returns what it brought.

    Raises SourceError, TargetError or UnreachableError when it failed for good, CancelledError when the run is
    stopping. A chunk that turns out to be committed already is not copied again.
    """
    is_whole = chunk.is_whole_table

    def once(lane: Lane) -> Totals:
        label = (job.table.key, chunk.number)

        def note(rows: int) -> None:
            if watch is not None:
                watch.rows[label] = rows
                watch.moved_at[label] = time.monotonic()
                if watch.stopping.is_set():
                    raise CancelledError

        def begin(cursor: Any) -> None:
            if is_whole:
                checkpoints.start_load(cursor, job.id, [WHOLE_TABLE])

        def finish(cursor: Any, brought: Totals) -> None:
            checkpoints.record_chunk(cursor, job.id, chunk, brought)
            if is_whole:
                loaded_as.append(_finish(cursor, job, brought))
                if not job.has_aside:
                    loader.analyze(cursor, job.plan.target)

        changes, loaded_as = Changes(), list[str]()

        def count(kind: Kind, place: int, values: int) -> None:
            changes.add(kind, job.plan.columns[place].name, values)

        raw = native_numbers.ask_for(lane.source, job.plan.sources, job.table.row_count)
        batches = reader.read_batches(
            lane.source, settings, job.table, job.plan.sources, chunk, count, lane.by_value, raw
        )
        load = loader.load
        if job.reject_limit is not None:
            load = partial(rejected_rows.load, refused=_refused_by(job, chunk.number))
        brought = load(
            lane.target,
            job.plan,
            batches,
            empty_first=is_whole and job.empties,
            begin=begin,
            finish=finish,
            on_rows=note,
            changes=changes,
            patience=settings.lock_wait,
        )
        return replace(brought, loaded_as=next(iter(loaded_as), None))

    def once_more(lane: Lane) -> Totals:
        committed = checkpoints.has_chunk(lane.target, job.id, chunk.number)
        if committed is None:
            return once(lane)
        if not is_whole:
            return Totals(committed)
        with loader.transaction(lane.target) as cursor:
            totals = checkpoints.read_totals(cursor, job.plan.target)
            return replace(totals, loaded_as=checkpoints.finish_load(cursor, job.id))

    # A given-up attempt may have been committed in its last moment.
    is_again = watch is not None and (job.table.key, chunk.number) in watch.given_up
    return _with_retries(once_more if is_again else once, settings, job, chunk.number, watch, once_more)


def _refused_by(job: Job, chunk: int) -> Rejects:
    assert job.reject_limit is not None
    return Rejects(job.plan, chunk, job.reject_limit, partial(source_chunks.find_again, job.table))


@dataclass(frozen=True)
class Retried:
    """What became of a table's rejected rows: now in it, refused again, no longer on the source."""

    loaded: int
    refused: int
    gone: int


def retry_rejects(settings: Settings, job: Job, watch: Watch | None = None) -> Retried:
    """Load a table's rejected rows once more: read anew by their key, or, without one, as they were recorded.

    A few at a time, each time in one transaction with what is recorded about them. Raises what `copy` raises.
    """
    target = job.plan.target
    done: list[Retried] = []
    after = 0
    last = _with_retries(lambda lane: rejected_rows.last_id(lane.target, target), settings, job, BEGIN, watch)

    def once(lane: Lane) -> tuple[Retried, int] | None:
        rows = rejected_rows.read(lane.target, target, after, last)
        if not rows:
            return None
        # Of one chunk, whose checkpoint counts them, and either all with a key or all without.
        like = [row for row in rows if (row.chunk, row.key is None) == (rows[0].chunk, rows[0].key is None)]
        many = next((place for place, row in enumerate(rows) if row not in like), len(rows))
        rows = rows[:many]
        refused = _refused_by(replace(job, reject_limit=0), rows[0].chunk)

        def begin(cursor: Any) -> None:
            rejected_rows.forget(cursor, rows)

        def finish(cursor: Any, brought: Totals) -> None:
            checkpoints.add_rows(cursor, job.id, rows[0].chunk, brought.rows)
            loader.set_identity(cursor, job.plan, brought, afresh=False)

        brought = rejected_rows.load(
            lane.target, job.plan, _once_more(lane, settings, job, rows), refused=refused,
            empty_first=False, begin=begin, finish=finish,
        )  # fmt: skip
        gone = len(rows) - brought.rows - brought.rejected
        return Retried(brought.rows, brought.rejected, gone), rows[-1].id

    while True:
        step = _with_retries(once, settings, job, FINISH, watch)
        if step is None:
            break
        done.append(step[0])
        after = step[1]
    return Retried(sum(r.loaded for r in done), sum(r.refused for r in done), sum(r.gone for r in done))


def _once_more(lane: Lane, settings: Settings, job: Job, rows: Sequence[Recorded]) -> Iterator[Part]:
    keys = [row.key for row in rows if row.key is not None]
    try:
        if keys:
            picked = source_chunks.pick(job.table, keys)
            yield from reader.read_batches(lane.source, settings, job.table, job.plan.sources, picked)
        else:
            yield read_rows([row.row for row in rows], job.plan.sources)
    except (KeyError, ValueError) as error:
        raise TargetError(f"its rejected rows do not fit the table any more ({error}); load the table again") from None


def finish(settings: Settings, job: Job, watch: Watch | None = None) -> Totals:
    """End a table's load; returns all that it holds.

    Its identity goes on after its rows, its keys and indexes are back, the planner knows it. Raises TargetError
    where a key or an index cannot be built from the rows.
    """

    def once(lane: Lane) -> Totals:
        if watch is not None:
            # Counting rows and building an index take as long as they take; the connection's keepalives notice a dead
            # one.
            watch.moved_at.pop((job.table.key, FINISH), None)
        with loader.transaction(lane.target) as cursor:
            totals = checkpoints.read_totals(cursor, job.plan.target)
            if job.empties and (job.is_continued or job.plan.is_unlogged or job.plan.is_partitioned):
                # Rows may have gone without a trace: a crash empties an UNLOGGED table, a person a partition.
                checkpoints.hold_count_against_checkpoints(cursor, job.id)
            totals = replace(totals, loaded_as=_finish(cursor, job, totals))
        for one in suspension.read_suspended(lane.target):
            if one.table == job.plan.target and one.kind in suspension.BUILT:
                _put_back(lane, one, settings, job.run)
        with loader.transaction(lane.target) as cursor:
            loader.analyze(cursor, job.plan.target)
        return totals

    return _with_retries(once, settings, job, FINISH, watch)


def _put_back(lane: Lane, one: Suspended, settings: Settings, run: int) -> None:
    try:
        suspension.put_back(
            lane.target, one, settings.maintenance_work_mem, run=run, patience=settings.lock_wait
        )  # fmt: skip
    except psycopg2.Error as error:
        loader.roll_back(lane.target)
        failure = loader.target_error(error)
        raise TargetError(f"its {one} cannot be restored: {failure}", failure.is_temporary) from None


def _finish(cursor: Any, job: Job, totals: Totals) -> str:
    """End the load in the caller's transaction; returns which table holds it, for `state`'s later questions."""
    loader.set_identity(cursor, job.plan, totals, afresh=job.empties)
    loaded_as = checkpoints.finish_load(cursor, job.id)
    if loaded_as is None:
        raise TargetError("chunks of it are missing in replication.checkpoint: did another run load it meanwhile?")
    return loaded_as


def _with_retries(
    once: Callable[[Lane], T],
    settings: Settings,
    job: Job,
    number: int,
    watch: Watch | None,
    once_more: Callable[[Lane], T] | None = None,
) -> T:
    """Try until it works, fails for good, or the attempts are used up; each failure drops the connections.

    `once_more` is what attempts after the first do. Waits double, with jitter, so that workers that were
    cut off together do not come back together.
    """
    label = (job.table.key, number)
    with _lane(settings, watch, label) as lane:
        for attempt in range(1, settings.retry_attempts + 1):
            if watch is not None and watch.stopping.is_set():
                raise CancelledError
            try:
                return (once if attempt == 1 or once_more is None else once_more)(lane)
            except (*EXPECTED, UnreachableError, psycopg2.Error) as error:
                lane.disconnect()
                if lane.is_given_up or (watch is not None and watch.stopping.is_set()):
                    raise CancelledError from None
                failure = loader.target_error(error) if isinstance(error, psycopg2.Error) else error
                is_temporary = isinstance(failure, UnreachableError) or failure.is_temporary
                if not is_temporary or attempt == settings.retry_attempts:
                    raise failure from None
                wait = min(LONGEST_WAIT_S, settings.retry_seconds * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)
                if watch is not None:
                    where = f"chunk {number + 1}: " if number > 0 else ""
                    again = f"attempt {attempt + 1} of {settings.retry_attempts} in {wait:.1f} s"
                    watch.remarks.put((job.table.key, f"🔁 {where}{settings.secrets.hide(str(failure))}; {again}"))
                    watch.stopping.wait(wait)
                else:
                    time.sleep(wait)
    raise AssertionError("unreachable")
