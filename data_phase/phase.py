"""The data phase: all tables' rows from SQL Server into PostgreSQL, by several workers, exactly once."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg2

from cli.display.choice import choose_display
from cli.display.plain import Bars, Display
from cli.session import (
    TABLES_BETWEEN_BANNERS,
    Options,
    Plan,
    Run,
    Work,
    announce,
    begin_session,
    close_run,
    find_table,
    load_run_settings,
    plan_run,
    reset,
    run_over,
    summary_lines,
    unexpected,
)
from data_phase import consistency, rejecting
from data_phase.chunk_copy import BEGIN, EXPECTED, FINISH, Begun, Job, Lane, Watch, begin, copy, finish
from data_phase.progress_checks import believed, changed_since, lacking_keys
from data_phase.rejecting import FAIL, OnRefusal
from data_phase.restoring import as_noted, claim, note_built, note_suspended, restore
from db import Settings, connect_target, target_words
from model import changes
from model.catalog import Chunk, Table
from model.errors import (
    ALL_DONE,
    SOME_FAILED,
    CancelledError,
    CatalogError,
    SuspensionError,
    TargetError,
    UnfitTargetError,
    UnreachableError,
    UsageError,
)
from model.visible import on_one_line
from mssql.introspection import read_tables
from postgres import checkpoints, encryption, loader, suspension
from postgres.checkpoints import Totals
from postgres.connections import spare_connections
from postgres.introspection import TargetTable, target_schemas
from postgres.introspection import read_tables as read_target_tables
from postgres.names import TargetName, target_name
from postgres.runs import LiveRun
from progress import DEFAULT_FILES, ProgressTracker

if TYPE_CHECKING:
    from verification.phase import Mode

SECONDS_BETWEEN_RECORDS = 2.0
SECONDS_TO_STOP = 10.0
#: threads that may hang in a driver for ever before a run does
MOST_HANGING = 1000
#: from so many rows on, building a table's secondary indexes after the load is worth it
LARGE_TABLE_ROWS = 100_000


def run(
    options: Options,
    workers: int | None = None,
    on_refusal: OnRefusal = FAIL,
    then_verify: Mode | None = None,
    consistent: bool | None = None,
) -> int:
    """Copy the rows of all tables that the options ask for; returns the exit code.

    With `then_verify` the tables that are completed are compared afterwards. `workers` overrides the setting.
    `consistent` asks for one moment of the source, or, where it is False, gives up a session's own.
    Raises what `session.run_script` turns into words: UsageError, SettingsError, UnreachableError, …
    """
    display = choose_display()
    tracker = ProgressTracker(options.progress_file or Path(DEFAULT_FILES["data"]), "data")
    with tracker.lock():
        if options.reset:
            return reset(tracker, display)
        this_run, lane = _read(options, tracker)
        existing = _target_tables(lane, this_run)
        announce(this_run)
        _tell_of_open_wires(this_run, lane, is_compared=then_verify == "values")
        if on_refusal.retries:
            return _retry(this_run, existing, lane)
        plan = plan_run(this_run)
        checkpoints.prepare(lane.target, this_run.settings.trusted_roles)
        plan = believed(this_run, plan, existing, lane)
        live = claim(this_run, [target_name(work.table, this_run.settings) for work in plan.work])
        try:
            wanted = workers or this_run.settings.workers
            affordable = _affordable(this_run, wanted, lane.target)
            code = _copy(this_run, plan, existing, lane, live, affordable, on_refusal, then_verify, consistent)
        except BaseException:
            live.abandon()
            _tell_what_is_suspended(display, tracker.suspended)
            raise
        live.close()
        return code


def _copy(
    this_run: Run,
    plan: Plan,
    existing: dict[TargetName, TargetTable],
    lane: Lane,
    live: LiveRun,
    workers: int,
    on_refusal: OnRefusal,
    then_verify: Mode | None,
    consistent: bool | None,
) -> int:
    tracker, options, display = this_run.tracker, this_run.options, this_run.display
    snapshots = tracker.snapshots if plan.is_known else set()
    if plan.is_new:
        its = (
            consistency.take(this_run, this_run.tables, workers)
            if consistent
            else consistency.Moment(this_run.settings)
        )
    else:
        its = consistency.again(this_run, plan, consistent)
    try:
        begin_session(this_run, plan)
        if plan.is_new:
            tracker.record_consistency(its.document)
        elif consistent is False and plan.work:
            tracker.forget_consistency()
    except BaseException:
        if plan.is_new and its.database is not None:
            consistency.drop(this_run, its.database)
        raise
    for name in sorted(snapshots - tracker.snapshots):
        consistency.drop(this_run, name)
    if its.level is not None:
        display.say(f"📸 One moment of the source: {its}")
    if plan.is_new:
        checkpoints.begin_session(lane.target, tracker.session_id, keeps_rows=not options.truncate)
    lacking = lacking_keys(this_run, plan, existing, lane)
    if plan.work:
        lanes = _lanes(its, lane)
        workers = len(lanes) if its.sessions else workers
        at_moment = replace(this_run, settings=its.settings)
        code = _sync(at_moment, plan, existing, lanes, live, workers, on_refusal.leaves_out, lacking)
    else:
        code = ALL_DONE if restore(this_run, live, 1) else SOME_FAILED
        rejecting.write_files(this_run)
    if lacking and this_run.settings.missing_keys == "error":
        display.say(f"❌ Keys of the source are missing on the target: {', '.join(lacking)}")
        code = max(code, SOME_FAILED)
    try:
        if then_verify is not None:
            code = max(code, _compare_completed(this_run, plan, its, then_verify, workers))
    finally:
        consistency.end(this_run, its)
    return code


def _compare_completed(this_run: Run, plan: Plan, its: consistency.Moment, mode: Mode, workers: int) -> int:
    completed = tuple(table for table in plan.tables if this_run.tracker.status(table.key) == "completed")
    this_run.display.say(f"\n🔍 Comparing both sides of {len(completed)} completed tables...")
    # What can be reached of the moment: a snapshot can, the moment of sessions is over.
    settings = this_run.settings if its.sessions else its.settings
    return _compare(replace(this_run, tables=completed, settings=settings), mode, workers)


def _compare(this_run: Run, mode: Mode, workers: int) -> int:
    # Here, since a run that compares nothing need not wait for the drivers that comparing takes.
    from verification import phase as verification  # noqa: PLC0415

    with closing(connect_target(this_run.settings)) as target:
        workers = _affordable(this_run, workers, target)
    return verification.run(this_run, mode, workers)


def _affordable(this_run: Run, workers: int, target: Any) -> int:
    """As many workers as PostgreSQL has connections for: one has `target` already, and the run itself needs another."""
    spare = spare_connections(target)
    fewer = workers if spare is None else max(1, min(workers, spare))
    if fewer < workers:
        this_run.display.say(
            f"⚠️ {workers} workers need more connections than PostgreSQL has left for this role: {fewer} "
            f"worker{'s' if fewer != 1 else ''} instead. See max_connections, and the role's and the database's "
            f"CONNECTION LIMIT."
        )
    return fewer


def verify(options: Options, mode: Mode, workers: int | None = None) -> int:
    """Copy nothing; compare both sides of all tables that the options ask for. Returns the exit code.

    Needs no lock and leaves the progress file alone. Raises what `run` raises.
    """
    if options.resume or options.reset or not options.truncate:
        raise UsageError(
            "--verify copies nothing, so --resume, --reset and --no-truncate cannot stand beside it; "
            "--then-verify compares after a load"
        )
    tracker = ProgressTracker(options.progress_file or Path(DEFAULT_FILES["data"]), "data")
    this_run, lane = _read(options, tracker)
    announce(this_run)
    _tell_of_open_wires(this_run, lane, is_compared=True)
    _tell_what_is_suspended(this_run.display, _suspended_in(lane))
    lane.disconnect()
    if options.start_from_table:
        start = find_table(this_run.tables, options.start_from_table)
        left = tuple(table for table in this_run.tables if table.sort_key >= start.sort_key)
        this_run = replace(this_run, tables=left)
    return _compare(this_run, mode, workers or this_run.settings.workers)


def _tell_of_open_wires(this_run: Run, lane: Lane, *, is_compared: bool) -> None:
    """Say which connections are not encrypted: nothing else tells a bit that was flipped on the way."""
    sides = ["the source (MSSQL_ENCRYPT)"] if not this_run.settings.source.is_encrypted else []
    sides += ["the target (PGSSLMODE)"] if encryption.is_open(lane.target) else []
    if sides:
        advice = "" if is_compared else "; encrypt them, or use --then-verify, which compares every value"
        this_run.display.say(
            f"⚠️ Not encrypted: the connections to {' and to '.join(sides)}. Neither protocol has checksums of its own, "
            f"so a bit that is flipped on the way goes unnoticed by the load{advice}."
        )


def _read(options: Options, tracker: ProgressTracker) -> tuple[Run, Lane]:
    lane = Lane(load_run_settings(options))
    return run_over(read_tables(lane.source), options, lane.settings, tracker), lane


def _suspended_in(lane: Lane) -> list[Mapping[str, str | None]]:
    try:
        found = suspension.read_suspended(lane.target) if suspension.is_made(lane.target) else []
    except psycopg2.Error as error:
        raise CatalogError(f"what is suspended in the target cannot be read: {target_words(error)}") from None
    return [as_noted(one) for one in found]


def _tell_what_is_suspended(display: Display, things: Sequence[Mapping[str, str | None]]) -> None:
    """Say what is not back in the target, and how it comes back."""
    if things:
        tables = {(one.get("schema"), one.get("table")) for one in things}
        display.say(
            f"⚠️ {len(things)} keys, indexes and triggers of {len(tables)} table{'s' if len(tables) > 1 else ''} were "
            f"suspended for a load and are not back. Any next run of either script brings them back; --resume goes on "
            f"with the load."
        )


def _lanes(its: consistency.Moment, lane: Lane) -> list[Lane]:
    """The lanes that there are to begin with: the run's own, or those that see one moment."""
    if its.level is None:
        return [lane]
    lane.disconnect()
    return [Lane(its.settings, session) for session in its.sessions] or [Lane(its.settings)]


def _target_tables(lane: Lane, this_run: Run) -> dict[TargetName, TargetTable]:
    try:
        return read_target_tables(lane.target, target_schemas(this_run.tables, this_run.settings))
    except psycopg2.Error as error:
        raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None


def _sync(
    this_run: Run,
    plan: Plan,
    existing: dict[TargetName, TargetTable],
    lanes: Sequence[Lane],
    live: LiveRun,
    workers: int,
    leaves_out: bool,
    lacking: Mapping[str, tuple[str, ...]],
) -> int:
    display, lane, tracker = this_run.display, lanes[0], this_run.tracker
    started = time.monotonic()
    if workers > 1:
        display.say(f"👷 {workers} workers")
    places = {work.table.key: target_name(work.table, this_run.settings) for work in plan.work}
    large = [places[work.table.key] for work in plan.work if work.table.row_count >= LARGE_TABLE_ROWS]
    keeping = _keeping_sessions(this_run, plan, lane)
    kept_tables = {places[work.table.key] for work in plan.work if tracker.session_of(work.table.key) in keeping}
    partial_ones = {places[work.table.key] for work in plan.work if work.is_partial and not this_run.options.truncate}
    kept = _kept(this_run, lane, live, [place for place in large if place in partial_ones and place in existing])
    emptied = [place for place in large if place not in kept and place not in kept_tables]
    try:
        count = suspension.suspend(
            lane.target, list(places.values()), large, emptied, keeps_unique=leaves_out,
            on_suspend=partial(note_suspended, tracker), patience=this_run.settings.lock_wait,
        )  # fmt: skip
    except SuspensionError:
        # What was suspended before that must not stay so.
        lane.disconnect()
        restore(this_run, live, workers)
        raise
    if count:
        display.say(f"🔗 {count} keys, indexes and triggers are suspended for the load")
    aside = suspension.read_suspended(lane.target)
    built = {one.table for one in aside if one.kind in suspension.BUILT}
    with display.bars() as bars:
        loads = Loads(
            this_run, plan, existing, workers, bars, lanes, live.number, built, kept_tables, leaves_out, lacking
        )
        # Far more threads than workers, made when needed: one that hangs in a driver must not keep a place.
        executor = ThreadPoolExecutor(workers + MOST_HANGING, thread_name_prefix="copy")
        try:
            loads.run(executor)
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
    loads.disconnect()
    is_restored = restore(this_run, live, workers, count)
    loads.failed += _emptied_meanwhile(this_run, plan, existing)
    rejecting.write_files(this_run)
    seconds = time.monotonic() - started
    totals = [
        ("Total rows synced", f"{loads.rows_synced:,}"),
        *changes.totals(loads.changes.counts),
        *([("Rows rejected", f"{loads.rows_rejected:,}")] if loads.rows_rejected else []),
        ("Duration", f"{seconds:.2f} seconds"),
        ("Throughput", f"{loads.rows_synced / max(seconds, 0.001):,.0f} rows/second"),
    ]
    code = close_run(this_run, plan, loads.failed, "Synchronization Summary", "sync", totals)
    return code if is_restored and not loads.rows_rejected else SOME_FAILED


def _emptied_meanwhile(this_run: Run, plan: Plan, existing: dict[TargetName, TargetTable]) -> list[str]:
    """The keys of tables that this run completed and that are not there any more at its end; they have failed."""
    lane = Lane(this_run.settings)
    try:
        changed = changed_since(this_run, [work.table for work in plan.work], existing, lane)
    finally:
        lane.disconnect()
    for table, words in changed.items():
        this_run.tracker.fail(table.key, f"it was completed, but {words}. --resume loads it again")
        this_run.display.say(f"❌ {table.full_name} failed: it was completed, but {words}. --resume loads it again")
    return [table.key for table in changed]


def _keeping_sessions(this_run: Run, plan: Plan, lane: Lane) -> set[str]:
    """The sessions of the tables to be loaded that keep the rows which are there."""
    if this_run.options.truncate:
        return set()
    sessions = {this_run.tracker.session_of(work.table.key) for work in plan.work}
    return {session for session in sessions if checkpoints.keeps_rows(lane.target, session)}


def _kept(this_run: Run, lane: Lane, live: LiveRun, tables: Sequence[TargetName]) -> list[TargetName]:
    """Those partial tables whose rows no known load brought: they stay, and so must the keys that guard them.

    Keys that a killed run, which meant to empty the tables, suspended are back before rows join them.
    """
    kept = [table for table in tables if not checkpoints.is_known(lane.target, table)]
    kept = [table for table in kept if _holds_rows(lane, table)]
    for one in suspension.read_suspended(lane.target) if kept else ():
        if one.kind == "key" and one.table in kept:
            # What is wrong with it is told at the end, when it is tried again.
            memory = this_run.settings.maintenance_work_mem
            suspension.restore(lambda: lane.target, [one], memory, run=live.number)
    return kept


def _holds_rows(lane: Lane, table: TargetName) -> bool:
    try:
        return not loader.is_empty(lane.target, loader.LoadPlan(table, (), ()))
    except psycopg2.Error:
        # Its own load will say what is wrong.
        lane.disconnect()
        return True


def _retry(this_run: Run, existing: dict[TargetName, TargetTable], lane: Lane) -> int:
    """Load the rejected rows of the run's tables again; returns the exit code."""
    checkpoints.prepare(lane.target, this_run.settings.trusted_roles)
    tables = rejecting.rejected_tables(this_run, lane)
    places = [target_name(table, this_run.settings) for table in tables]
    live = claim(this_run, places)
    try:
        if tables:
            suspension.suspend_triggers(lane.target, places)
        # Loading takes its time, and a connection that idles so long may be dead when it is needed again.
        lane.disconnect()
        is_loaded = rejecting.retry(this_run, existing, tables, live.number)
        is_restored = restore(this_run, live, 1)
    finally:
        live.close()
    left = rejecting.write_files(this_run)
    if not tables:
        this_run.display.say("✅ Nothing to do: no row is rejected.")
    elif not left and is_loaded:
        this_run.display.say("✅ No row is rejected any more.")
    return ALL_DONE if is_restored and is_loaded and not left else SOME_FAILED


# -- tables and chunks over workers ------------------------------------------------------------


@dataclass
class _TableLoad:
    """Where one table's load stands. `lines` are what a person will read of it, kept until its turn."""

    work: Work
    lines: list[str] = field(default_factory=list)
    job: Job | None = None
    waiting: deque[Chunk] = field(default_factory=deque)
    rows: int = 0
    failure: Exception | None = None
    is_over: bool = False

    @property
    def table(self) -> Table:
        """The source table."""
        return self.work.table


@dataclass
class _Task:
    """Something an executor works on for a table; `label` is what workers call it, `action` repeats it."""

    load: _TableLoad
    label: tuple[str, int]
    action: Callable[[], object]
    handle: Callable[[_TableLoad, object], None]
    stalls: int = 0


def _copy_chunk(chunk: Chunk, settings: Settings, job: Job, watch: Watch) -> Totals:
    return copy(settings, job, chunk, watch)


def _begin_load(continues: bool, settings: Settings, job: Job, watch: Watch) -> Begun:
    return begin(settings, job, continues, watch)


class Loads:
    """Hands tables and their chunks to an executor's workers and keeps progress, in one watching thread.

    One worker does the tables in their order; several begin with the largest. What is said about a table
    appears in the fixed order all the same.
    """

    def __init__(
        self,
        this_run: Run,
        plan: Plan,
        existing: dict[TargetName, TargetTable],
        workers: int,
        bars: Bars,
        lanes: Iterable[Lane],
        number: int = 0,
        aside: Set[TargetName] = frozenset(),
        keeping: Set[TargetName] = frozenset(),
        leaves_out: bool = False,
        lacking: Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        self._run = this_run
        self._settings: Settings = this_run.settings
        self._plan = plan
        self._existing = existing
        self._workers = workers
        self._bars = bars
        self._aside = aside
        self._keeping = keeping
        self._number = number
        self._lacking = lacking or {}
        self._reject_limit = this_run.settings.reject_limit if leaves_out else None
        self._watch = Watch()
        # The first workers go on with the connections that the run began with.
        for lane in lanes:
            self._watch.lanes.put(lane)
        self._in_order = [_TableLoad(work) for work in plan.work]
        self._by_key = {load.table.key: load for load in self._in_order}
        self._to_begin = deque(self._in_order)
        if workers > 1:
            self._to_begin = deque(sorted(self._in_order, key=lambda load: -load.table.row_count))
        self._tasks: dict[Future[object], _Task] = {}
        self._ready: deque[tuple[_TableLoad, Chunk]] = deque()
        self._to_finish: deque[_TableLoad] = deque()
        self._shown = 0
        self._recorded_at = time.monotonic()
        self._unreachable: UnreachableError | None = None
        self.rows_synced = 0
        self.rows_rejected = 0
        #: values that were changed on their way, by kind, table and column
        self.changes = changes.Changes()
        self.failed: list[str] = []

    def run(self, executor: Executor) -> None:
        """Work until everything is done or failed. Raises UnreachableError and Stopped."""
        done: Iterable[Future[object]] = ()
        try:
            while True:
                # One for what ended and what begins: a write is waited for, and small tables are over in no time.
                with self._run.tracker.in_one_write():
                    # Before results, since what is remarked about a table comes before its end.
                    self._take_remarks()
                    for future in done:
                        self._take(self._tasks.pop(future), future)
                    self._tick(executor)
                    chosen = self._choose()
                self._show()
                # Not before it stands in the file that they are in progress: a resumed run must know of their rows.
                for task in chosen:
                    self._tasks[executor.submit(task.action)] = task
                if not self._tasks:
                    break
                done, _ = wait(self._tasks, timeout=0.25, return_when=FIRST_COMPLETED)
        except BaseException:
            self._stop()
            raise
        if self._unreachable is not None:
            raise self._unreachable

    def disconnect(self) -> None:
        """Close the workers' connections: what comes after the load opens its own, and there may be no more of them."""
        while not self._watch.lanes.empty():
            self._watch.lanes.get().disconnect()

    # -- giving out -------------------------------------------------------------------------------

    def _choose(self) -> list[_Task]:
        """What the workers that are free do next."""
        chosen: list[_Task] = []
        while len(self._tasks) + len(chosen) < self._workers and self._unreachable is None:
            if self._to_finish:
                chosen.append(self._task(self._to_finish.popleft(), FINISH, finish, self._finished))
            elif self._ready:
                load, chunk = self._ready.popleft()
                if load.failure is None:
                    done = partial(self._chunk_done, chunk)
                    chosen.append(self._task(load, chunk.number, partial(_copy_chunk, chunk), done))
            elif self._to_begin:
                begun = self._begin(self._to_begin.popleft())
                if begun is not None:
                    chosen.append(begun)
            else:
                break
        return chosen

    def _task(
        self,
        load: _TableLoad,
        number: int,
        step: Callable[[Settings, Job, Watch], object],
        handle: Callable[[_TableLoad, object], None],
    ) -> _Task:
        assert load.job is not None
        action = partial(step, self._settings, load.job, self._watch)
        return _Task(load, (load.table.key, number), action, handle)

    def _begin(self, load: _TableLoad) -> _Task | None:
        """What begins a table's load; None where it has failed already."""
        table, tracker, options = load.table, self._run.tracker, self._run.options
        place = target_name(table, self._settings)
        tracker.start(table.key)
        load.lines.append(f"📊 Syncing {table.full_name} → {place}")
        self._bars.start(table.key, table.row_count)
        target = self._existing.get(place)
        if target is None:
            words = f"the target table {place} does not exist; run replicate-schema.py first"
            self._fail(load, TargetError(words))
            return None
        try:
            load_plan = loader.plan_load(table, target, self._settings)
        except UnfitTargetError as error:
            self._fail(load, error)
            return None
        continues = options.resume and not options.truncate and load.work.is_partial
        load.job = Job(
            table,
            load_plan,
            tracker.session_of(table.key),
            self._number,
            lacks=self._lacking.get(table.key, ()),
            empties=place not in self._keeping,
            reject_limit=self._reject_limit,
            has_aside=place in self._aside,
        )
        return self._task(load, BEGIN, partial(_begin_load, continues), self._begun)

    # -- taking back ------------------------------------------------------------------------------

    def _take(self, task: _Task, future: Future[object]) -> None:
        error = future.exception()
        if error is None:
            task.handle(task.load, future.result())
        elif isinstance(error, UnreachableError):
            self._unreachable = error
        elif isinstance(error, Exception):
            self._fail(task.load, error)
        else:
            raise error

    def _begun(self, load: _TableLoad, result: object) -> None:
        assert isinstance(result, Begun) and load.job is not None
        load.job = result.job
        if result.keeps_others:
            load.lines.append(
                f"⚠️ WARNING: {load.table.full_name} is not truncated and {result.job.plan.target} already holds rows: "
                f"its data may be partial or doubled. Run without --no-truncate to load it from scratch."
            )
        if result.remark is not None:
            load.lines.append(result.remark)
        load.rows = sum(result.done.values())
        left = [chunk for chunk in result.chunks if chunk.number not in result.done]
        load.lines.append("🔍 Reading from MS SQL...")
        if result.done:
            load.lines.append(
                f"⏭️ {len(result.done)} of {len(result.chunks)} chunks are there already, {load.rows:,} rows"
            )
        elif load.job.empties:
            load.lines.append("🗑️ Truncating target table...")
        load.lines.append("📝 Writing to PostgreSQL...")
        load.waiting = deque(left)
        if load.rows:
            self._run.tracker.record(load.table.key, rows_synced=load.rows)
        self._ready.extendleft((load, chunk) for chunk in reversed(left))
        if not left:
            self._to_finish.append(load)

    def _chunk_done(self, chunk: Chunk, load: _TableLoad, result: object) -> None:
        assert isinstance(result, Totals) and load.job is not None
        load.rows += result.rows
        load.waiting.remove(chunk)
        self._bars.rows(load.table.key, load.rows)
        if chunk.is_whole_table and not load.job.has_aside:
            self._complete(load, result)
            return
        self._run.tracker.record(load.table.key, rows_synced=load.rows, rows_copied=load.rows)
        if not load.waiting:
            if load.job.has_aside:
                load.lines.append("🔑 Building its keys and indexes...")
            self._to_finish.append(load)

    def _finished(self, load: _TableLoad, result: object) -> None:
        assert isinstance(result, Totals)
        self._complete(load, result)

    def _complete(self, load: _TableLoad, totals: Totals) -> None:
        facts: dict[str, object] = {"rows_rejected": totals.rejected} if totals.rejected else {}
        if totals.loaded_as is not None:
            facts["loaded_as"] = totals.loaded_as
        if load.job is not None and not load.job.empties:
            facts["kept_rows"] = True
        self._run.tracker.complete(load.table.key, rows_synced=totals.rows, **facts, **totals.changes)
        if load.job is not None and load.job.has_aside:
            note_built(self._run.tracker, load.job.plan.target)
        self.rows_synced += totals.rows
        self.rows_rejected += totals.rejected
        for kind, columns in totals.changes.items():
            for column, count in columns.items():
                self.changes.add(kind, f"{load.table.full_name}.{column}", count)
                words = changes.describe(kind, column, count, self._settings.nul_policy)
                load.lines.append(f"⚠️ {words}")
        if totals.rejected:
            load.lines.append(f"⚠️ {totals.rejected:,} rows were rejected")
        load.lines.append(f"✅ {totals.rows:,} rows synced successfully")
        self._over(load)

    def _fail(self, load: _TableLoad, error: Exception) -> None:
        if isinstance(error, CancelledError) or load.failure is not None:
            return
        load.failure = error
        is_expected = isinstance(error, EXPECTED)
        words = self._settings.secrets.hide(str(error) if is_expected else unexpected(error))
        if self._run.options.debug:
            load.lines.append(self._settings.secrets.hide(_traced(error)))
        self._run.tracker.fail(load.table.key, words)
        self.failed.append(load.table.key)
        load.lines.append(f"❌ {load.table.full_name} failed: {on_one_line(words)}")
        self._over(load)

    def _over(self, load: _TableLoad) -> None:
        load.is_over = True
        self._bars.end(load.table.key)

    # -- showing ----------------------------------------------------------------------------------

    def _take_remarks(self) -> None:
        while not self._watch.remarks.empty():
            key, remark = self._watch.remarks.get()
            self._by_key[key].lines.append(remark)

    def _show(self) -> None:
        """Say what is new of the table whose turn it is, and go on to the next when it is over."""
        display = self._run.display
        while self._shown < len(self._in_order):
            load = self._in_order[self._shown]
            if load.lines and load.lines[0].startswith("📊"):
                display.say(
                    f"\n[{load.work.number}/{len(self._plan.tables)}] Processing: {on_one_line(load.table.key)}"
                )
            for line in load.lines:
                display.say(line)
            load.lines.clear()
            if not load.is_over:
                return
            self._shown += 1
            if self._shown % TABLES_BETWEEN_BANNERS == 0 and self._shown < len(self._in_order):
                display.say("\n" + summary_lines(self._run, self._plan))

    def _tick(self, executor: Executor) -> None:
        """A quarter of a second has passed: bars, the progress file, and chunks that stand still."""
        under_way: dict[str, int] = {}
        for (key, _), rows in list(self._watch.rows.items()):
            under_way[key] = under_way.get(key, 0) + rows
        for key, rows in under_way.items():
            self._bars.rows(key, self._by_key[key].rows + rows)
        now = time.monotonic()
        if now - self._recorded_at >= SECONDS_BETWEEN_RECORDS:
            self._recorded_at = now
            for key, rows in under_way.items():
                if not self._by_key[key].is_over:
                    self._run.tracker.record(key, rows_copied=self._by_key[key].rows + rows)
        for future, task in list(self._tasks.items()):
            moved_at = self._watch.moved_at.get(task.label)
            if moved_at is not None and now - moved_at > self._settings.stall_timeout and not future.done():
                self._give_up(executor, future, task)

    def _give_up(self, executor: Executor, future: Future[object], task: _Task) -> None:
        """End a task that brought no row for too long, and try it anew with another connection.

        Its worker may hang in a driver for ever; its lane is broken, so it cannot commit any more.
        """
        lane = self._watch.busy.pop(task.label, None)
        if lane is not None:
            lane.give_up()
        self._watch.given_up.add(task.label)
        del self._tasks[future]
        self._watch.moved_at.pop(task.label, None)
        words = f"no row for {self._settings.stall_timeout} s"
        if task.stalls + 1 >= self._settings.retry_attempts:
            given_up = (
                f"{words}, {task.stalls + 1} times; it was given up. What blocks a query shows in sys.dm_exec_requests "
                "of the source and in pg_stat_activity of the target; where servers only need longer, set a larger "
                "STALL_TIMEOUT. Then use --resume"
            )
            self._fail(task.load, TargetError(given_up))
            return
        task.load.lines.append(f"🔁 {words}; tried anew with another connection")
        again = _Task(task.load, task.label, task.action, task.handle, task.stalls + 1)
        self._tasks[executor.submit(task.action)] = again

    def _stop(self) -> None:
        """End all workers; what they had not committed is rolled back."""
        self._watch.stopping.set()
        for lane in list(self._watch.busy.values()):
            lane.give_up()
        _, left = wait(self._tasks, timeout=SECONDS_TO_STOP)
        for future in left:
            future.cancel()


def _traced(error: BaseException) -> str:
    import traceback  # noqa: PLC0415

    return "".join(traceback.format_exception(error)).rstrip()
