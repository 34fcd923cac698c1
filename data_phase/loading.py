"""The tables of a plan loaded by several workers, and what has to be suspended for it and restored after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from data_phase.blocked_display import BlockedDisplay
from data_phase.connection_pair import ConnectionPair
from data_phase.job import Job
from data_phase.load_display import LoadDisplay, LoadTotals
from data_phase.modes.choice import mode_of, staging_mode
from data_phase.modes.interface import LoadMode
from data_phase.progress_checks import changed_since
from data_phase.progress_mirror import ProgressMirror
from data_phase.refresh_plan import RefreshPlan
from data_phase.reject_files import write_files
from data_phase.sequences import let_sequences_go_on
from data_phase.switching import Units
from data_phase.table_load import TableLoad
from model import changes
from model.errors import SuspensionError, TableError, UnfitTargetError
from model.events import Event, TableFailed
from model.visible import listed
from postgres import restoration, sessions, suspension, suspension_record
from postgres.introspection import TargetTable
from postgres.load_plan import plan_load
from postgres.names import TargetName, target_name
from postgres.runs import LiveRun
from postgres.staging import staging_name
from postgres.suspension_record import Suspended
from run.closing import Closing, Ending, close_run, failed
from run.context import Run
from run.display import Bars, Whole
from run.plan import Plan, Work
from run.restoring import note_suspended, restore
from scheduling.scheduler import Limits
from scheduling.work import Places, do_all

#: from so many rows on, building a table's secondary indexes after the load is worth it
LARGE_TABLE_ROWS = 100_000


#: given the tables' keys and the staging tables that hold their rows
LookFirst = Callable[[Mapping[str, TargetName]], Mapping[str, str]]


@dataclass(frozen=True)
class Loading:
    """What a load is given: the run and its plan, the target as it is, the claim on it, and the means.

    `lacking` are the columns of keys that tables of the target should have and have not, by the tables' keys. Without a
    `reject_limit` a row that PostgreSQL refuses fails its table. `refused` says of tables why they must not be loaded,
    by their keys. `refresh` says of which tables the rows are staged, and when they are switched.
    """

    run: Run
    plan: Plan
    existing: Mapping[TargetName, TargetTable]
    live: LiveRun
    lacking: Mapping[str, tuple[str, ...]]
    reject_limit: int | None
    workers: Places
    stop_at: datetime | None = None
    refused: Mapping[str, str] = field(default_factory=dict)
    refresh: RefreshPlan = field(default_factory=RefreshPlan)
    switches_anyway: bool = False
    #: compares what is staged before it is switched; returns why some of the tables must not be
    look_first: LookFirst | None = None

    @property
    def targets(self) -> dict[str, TargetName]:
        """The planned tables' names in the target, by their keys."""
        return {work.table.key: target_name(work.table, self.run.settings) for work in self.plan.work}

    @property
    def in_place(self) -> dict[str, TargetName]:
        """The same of those that are filled in place."""
        return {key: name for key, name in self.targets.items() if key not in self.refresh.staged}


def load(loading: Loading, pairs: Sequence[ConnectionPair], finisher: ConnectionPair | None = None) -> Ending:
    """Load all tables of the plan, the first workers with `pairs`; says how it ended.

    With a `finisher` keys and statistics of a table are made over it while the next one travels.

    Raises ServerError, SuspensionError, ProgressFileError and Stopped.
    """
    this_run, started = loading.run, time.monotonic()
    if loading.workers.now > 1:
        this_run.display.say(f"👷 {loading.workers.now} workers")
    modes = _modes(loading, pairs[0])
    this_run.recorder.works_by(loading.workers.now)
    this_run.recorder.loads_by({key: mode.name for key, mode in modes.items()})
    suspended = _suspend(loading, modes, pairs[0])
    jobs = _jobs(loading, modes, pairs[0])
    totals = LoadTotals({work.table.key: work.table.full_name for work in loading.plan.work})
    whole = Whole(len(loading.plan.work), sum(work.table.row_count for work in loading.plan.work))
    units = _units(loading)
    with this_run.display.bars(whole) as bars:
        observers = _observers(loading, totals, bars)
        _copy(loading, jobs, pairs, finisher, observers, units)
        _switch_the_rest(loading, units, observers)
    let_sequences_go_on(this_run, _usable(this_run, pairs))
    is_restored = restore(this_run, loading.live, loading.workers.now, suspended)
    done = loading.plan.without(totals.left_out)
    _fail_what_is_gone(loading, done, totals)
    write_files(this_run, this_run.tables)
    seconds = time.monotonic() - started
    lines = [
        ("Total rows synced", f"{totals.rows:,}"),
        *changes.totals(totals.changes.counts),
        *([("Rows rejected", f"{totals.rejected:,}")] if totals.rejected else []),
        ("Duration", f"{seconds:.2f} seconds"),
        ("Throughput", f"{totals.rows / max(seconds, 0.001):,.0f} rows/second"),
    ]
    left = len(units.waiting)
    lines += [("Staged, not live", str(left))] if left else []
    ending = close_run(this_run, done, totals.failed, Closing("Synchronization Summary", "sync", left), lines)
    ending += _left_staged(this_run, units)
    if not is_restored:
        ending += failed("keys, indexes or triggers could not be restored")
    if totals.rejected:
        ending += failed(f"{totals.rejected:,} rows were rejected")
    return ending


def _usable(this_run: Run, pairs: Sequence[ConnectionPair]) -> ConnectionPair:
    """One that was not given up with what its worker hung in."""
    return next((one for one in pairs if not one.is_given_up), None) or ConnectionPair(this_run.settings)


def _modes(loading: Loading, pair: ConnectionPair) -> dict[str, LoadMode]:
    tracker, options = loading.run.tracker, loading.run.options
    begun_as = {tracker.session_of(work.table.key) for work in loading.plan.work} if options.no_truncate else set()
    keeping = {session for session in begun_as if sessions.keeps_rows(pair.target, session)}
    targets = loading.targets

    def mode(work: Work) -> LoadMode:
        refresh = loading.refresh.staged.get(work.table.key)
        if refresh is not None:
            return staging_mode(targets[work.table.key], refresh)
        return mode_of(work, options, tracker.session_of(work.table.key) in keeping)

    return {work.table.key: mode(work) for work in loading.plan.work}


def _suspend(loading: Loading, modes: Mapping[str, LoadMode], pair: ConnectionPair) -> list[Suspended]:
    """Suspend what would stand in the way of the load; returns all that is suspended, also by killed runs.

    Raises SuspensionError.
    """
    this_run, targets, live = loading.run, loading.in_place, loading.live
    before = suspension_record.read(pair.target)
    targets = {key: target for key, target in targets.items() if key not in loading.refused}
    _restore_of_staged(loading, pair)
    large = [work.table.key for work in loading.plan.work if work.table.row_count >= LARGE_TABLE_ROWS]
    large = [key for key in large if key in targets]
    without_keys = [
        targets[key]
        for key in large
        if targets[key] in loading.existing and modes[key].prepare(pair, targets[key], this_run.settings, live.number)
    ]
    tables = suspension.LoadedTables(
        list(targets.values()), [targets[key] for key in large], without_keys, loading.reject_limit is not None
    )
    try:
        count = suspension.suspend(
            pair.target,
            tables,
            on_suspend=partial(_note_suspended, this_run),
            patience=this_run.settings.lock_wait,
            tell=this_run.display.say,
        )
    except SuspensionError:
        # What was suspended before that must not stay so.
        pair.disconnect()
        restore(this_run, live, loading.workers.now)
        raise
    this_run.recorder.suspended(count)
    if count:
        this_run.display.say(f"🔗 {count} keys, indexes and triggers are suspended for the load")
    return [*before, *suspension_record.read(pair.target)]


def _restore_of_staged(loading: Loading, pair: ConnectionPair) -> None:
    """Bring back what a killed load suspended on tables that readers go on using, and whose keys a merge needs.

    What is wrong with it is told at the end, when it is tried again.
    """
    in_place = set(loading.in_place.values())
    staged = {loading.targets[key] for key in loading.refresh.staged}
    for one in suspension_record.read(pair.target) if staged else ():
        if one.table in staged and in_place.isdisjoint(one.tables):
            memory = loading.run.settings.maintenance_work_mem
            restoration.restore(
                lambda: pair.target, [one], memory, run=loading.live.number, tell=loading.run.display.say
            )


def _note_suspended(this_run: Run, things: Sequence[Suspended]) -> None:
    note_suspended(this_run.tracker, things)
    this_run.recorder.suspends([str(one) for one in things])


def _jobs(loading: Loading, modes: Mapping[str, LoadMode], pair: ConnectionPair) -> dict[str, Job | TableError]:
    """What each table's tasks are given, or why it cannot be loaded."""
    settings, targets = loading.run.settings, loading.targets
    suspended = {one.table for one in suspension_record.read(pair.target) if one.kind in suspension_record.BUILT}

    def job(work: Work) -> Job | TableError:
        key, target = work.table.key, targets[work.table.key]
        there = loading.existing.get(target)
        if key in loading.refused:
            return UnfitTargetError(loading.refused[key])
        if there is None:
            return UnfitTargetError(f"the target table {target} does not exist; run replicate-schema.py first")
        try:
            plan = plan_load(work.table, there, settings)
        except UnfitTargetError as error:
            return error
        if modes[key].stages:
            # Nobody's partitions and children but the staging table's own, of which there are none.
            is_unlogged = plan.is_unlogged or loading.refresh.staged[key] == "merge"
            plan = replace(plan, target=staging_name(target), is_partitioned=False, is_unlogged=is_unlogged)
        return Job(
            work.table,
            plan,
            modes[key],
            loading.run.tracker.session_of(key),
            loading.live.number,
            lacks=loading.lacking.get(key, ()),
            reject_limit=loading.reject_limit,
            is_suspended=target in suspended and not modes[key].stages,
        )

    return {work.table.key: job(work) for work in loading.plan.work}


Observer = Callable[[Sequence[Event]], None]


def _observers(loading: Loading, totals: LoadTotals, bars: Bars) -> list[Observer]:
    # The progress file first: what a person reads, and what follows from it, is in the file already.
    return [
        ProgressMirror(loading.run.tracker, loading.targets),
        loading.run.recorder,
        totals,
        LoadDisplay(loading.run, loading.plan, bars, loading.workers.most),
        BlockedDisplay(loading.run),
    ]


def _copy(
    loading: Loading,
    jobs: Mapping[str, Job | TableError],
    pairs: Sequence[ConnectionPair],
    finisher: ConnectionPair | None,
    observers: Sequence[Observer],
    units: Units,
) -> None:
    settings, targets = loading.run.settings, loading.targets
    tables = [work.table for work in loading.plan.work]
    if loading.workers.most > 1:
        tables.sort(key=lambda table: -table.row_count)
    left_out = loading.run.tracker.left_out
    loads = [TableLoad(settings, table, targets[table.key], jobs[table.key], left_out, units) for table in tables]
    limits = Limits(settings.stall_timeout, settings.retry_attempts, stop_at=loading.stop_at)
    do_all(
        loads, loading.workers.most, limits, _publish(observers), pairs, settings.max_rate, finisher, units.ready,
        loading.run.crew,
    )  # fmt: skip


def _publish(observers: Sequence[Observer]) -> Observer:
    def publish(events: Sequence[Event]) -> None:
        for observer in observers:
            observer(events)

    return publish


def _units(loading: Loading) -> Units:
    """The units that are switched; while rows are to be looked at first, they wait."""
    return Units(
        loading.run.settings,
        loading.refresh.units,
        switches_anyway=loading.switches_anyway,
        waits=loading.look_first is not None,
    )


def _switch_the_rest(loading: Loading, units: Units, observers: Sequence[Observer]) -> None:
    """Look at what is staged, where that was asked for, and switch what was waiting for it."""
    if loading.look_first is None or not units.waiting:
        return
    settings, publish = loading.run.settings, _publish(observers)
    for key, words in loading.look_first({one.key: one.staged for one in units.waiting}).items():
        units.failed(key)
        publish([TableFailed(key, words)])
    units.go_on()
    limits = Limits(settings.stall_timeout, settings.retry_attempts)
    do_all([], 1, limits, publish, following=units.ready)


def _left_staged(this_run: Run, units: Units) -> Ending:
    """Told as a failure: tables whose new rows are there and not shown."""
    if not units.waiting:
        return Ending()
    names, cause = listed([one.key for one in units.waiting]), listed(units.failed_in_waiting)
    this_run.display.say(
        f"⚠️ {len(units.waiting)} tables are staged and not live, since {cause} failed: {names}. Readers see "
        f"the rows that they saw before. --resume loads what is missing and then switches all; --resume "
        f"--switch-anyway switches those that are complete."
    )
    return failed(f"{len(units.waiting)} tables are staged and not live")


def _fail_what_is_gone(loading: Loading, plan: Plan, totals: LoadTotals) -> None:
    """Let tables fail that this run completed and that are not there any more at its end."""
    this_run, pair = loading.run, ConnectionPair(loading.run.settings)
    try:
        changed = changed_since(this_run, [work.table for work in plan.work], loading.existing, pair)
    finally:
        pair.disconnect()
    for table, words in changed.items():
        told = f"it was completed, but {words}. --resume loads it again"
        this_run.tracker.fail(table.key, told)
        this_run.display.say(f"❌ {table.full_name} failed: {told}")
        for observer in (this_run.recorder, totals):
            observer([TableFailed(table.key, told)])
