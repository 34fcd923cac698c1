"""The data phase: all tables' rows from SQL Server into PostgreSQL, by several workers, exactly once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg2

from data_phase import consistency, finishing, missing_tables
from data_phase.connection_pair import ConnectionPair
from data_phase.consistency import SourceSnapshot
from data_phase.hiding_check import hidden
from data_phase.loading import Loading, LookFirst, load
from data_phase.options import DataOptions
from data_phase.progress_checks import believed, contradicted, lacking_keys, left_unfinished, unfinished_loads
from data_phase.refresh_plan import flags_of, plan_refresh
from data_phase.reject_files import write_files
from data_phase.reject_retry import retry
from data_phase.rights_check import lacking_rights
from data_phase.staging_left import (
    notice_live,
    remove_abandoned,
    remove_after_reset,
    remove_differing,
    staged_session,
    tell_given_up,
)
from db import connect_target, target_words
from model.catalog import Table
from model.errors import CatalogError
from mssql.introspection import read_tables
from mssql.server_version import read_version
from operations.run_result import RunResult
from postgres import encryption, own_schema, suspension_record
from postgres.introspection import TargetTable, target_schemas
from postgres.introspection import read_tables as read_target_tables
from postgres.names import TargetName, target_name
from postgres.staging import staging_name
from progress import DEFAULT_FILES, ProgressTracker
from run.closing import Ending, failed
from run.context import Run, announce, load_run_settings, reset, run_over
from run.crews import hired
from run.display import Display
from run.plan import Plan, begin_session, plan_run
from run.restoring import as_noted, claim, restore
from run.script import Script
from run.sessions import note_end, note_session, refuse_elsewhere, refuse_without_folder
from run.target_connections import affordable
from run.waiting import locked
from scheduling.work import Places

if TYPE_CHECKING:
    from verification.table_comparison import Mode


#: compares tables with their targets; says why some must not be loaded, by their keys
LookAtSchema = Callable[[Run, Sequence[Table]], Mapping[str, str]]


def run(script: Script, data_options: DataOptions, look_at_schema: LookAtSchema | None = None) -> RunResult:
    """Copy the rows of all tables that the options ask for.

    `look_at_schema` is asked before any of them is begun, where the tables' structure is to be compared first.

    Raises ReplicationError where the run ends for that, and Stopped.
    """
    tracker = _tracker(script)
    refuse_without_folder(script.options, tracker)
    with locked(script, tracker):
        if script.options.reset:
            session = staged_session(tracker)
            words = reset(script, tracker)
            if session is not None:
                remove_after_reset(script, session)
            return script.recorder.ended(0, words)
        this_run, pair = _read(script, tracker)
        if data_options.max_rate is not None:
            this_run = replace(this_run, settings=replace(this_run.settings, max_rate=data_options.max_rate))
            script.recorder.uses({"max_rate": str(data_options.max_rate)})
        existing = _target_tables(pair, this_run)
        announce(this_run)
        if this_run.settings.max_rate is not None:
            this_run.display.say(f"🐢 At most {this_run.settings.max_rate}")
        _tell_of_open_wires(this_run, pair, is_compared=data_options.then_verify == "values")
        if data_options.retry_rejects:
            own_schema.prepare(pair.target, this_run.settings.trusted_roles)
            ending = retry(this_run, existing, pair, hidden(this_run, this_run.affected, pair, data_options.allows))
        else:
            with hired(this_run, data_options.cluster) as with_crew:
                ending = _run(with_crew, existing, pair, data_options, look_at_schema)
    return script.recorder.ended(ending.exit_code, ending.because)


def _run(
    this_run: Run,
    existing: Mapping[TargetName, TargetTable],
    pair: ConnectionPair,
    data_options: DataOptions,
    look_at_schema: LookAtSchema | None,
) -> Ending:
    plan = plan_run(this_run)
    missing_tables.tell_or_refuse(this_run, existing)
    own_schema.prepare(pair.target, this_run.settings.trusted_roles)
    refuse_elsewhere(this_run, plan, pair.target)
    plan = believed(this_run, plan, existing, pair)
    refresh = plan_refresh(this_run, plan, existing, pair, data_options)
    plan = notice_live(this_run, plan, refresh.staged, pair.target)
    tell_given_up(this_run, plan, refresh.staged)
    refused = look_at_schema(this_run, [work.table for work in plan.work]) if look_at_schema and plan.work else {}
    unfinished = unfinished_loads(this_run, pair)
    doubted = contradicted(this_run, plan, unfinished, pair)
    names = {work.table.key: target_name(work.table, this_run.settings) for work in plan.work}
    live = claim(this_run, [*names.values(), *(staging_name(names[key]) for key in refresh.staged if key in names)])
    try:
        wanted = this_run.crew.places(data_options.workers, this_run.settings.workers)
        workers = affordable(this_run, wanted, pair.target)
        snapshot = _begin(this_run, plan, pair, data_options, workers.now)
        if refresh.staged:
            this_run.tracker.record_stages()
        kept = {this_run.tracker.session_of(key) for key in doubted}
        remove_abandoned(this_run, live.number, kept, pair.target)
        lacking = lacking_keys(this_run, plan, existing, pair)
        this_run.tracker.know_unfinished(unfinished)
        asked = [work.table for work in plan.work]
        if data_options.then_verify is not None:
            # What an earlier run completed knowingly is not compared without asking: masks are equal to masks.
            asked += _completed(this_run, plan)
        refused = {**refused, **hidden(this_run, asked, pair, data_options.allows)}
        in_place = plan.without(refresh.staged.keys())
        refused = {**refused, **lacking_rights(this_run, in_place, existing, pair)}
        limit = this_run.settings.reject_limit if data_options.on_error == "reject" else None
        loading = Loading(
            this_run, plan, existing, live, lacking, limit, workers, data_options.stop_at, refused, refresh,
            data_options.switch_anyway,
        )  # fmt: skip
        if data_options.verify_first and data_options.then_verify is not None:
            loading = replace(loading, look_first=_look_first(loading, snapshot, data_options.then_verify))
        ending = _load(loading, snapshot, pair) + left_unfinished(this_run)
        if doubted:
            ending += failed(f"completed by hand, but not loaded to the end: {', '.join(doubted.values())}")
        try:
            if data_options.then_verify is not None:
                ending += _compare_completed(loading, snapshot, data_options.then_verify)
        finally:
            consistency.end(this_run, snapshot)
        if (doubt := consistency.changed_meanwhile(this_run, snapshot)) is not None:
            this_run.display.say(f"❌ {doubt}")
            ending += failed(doubt)
        if this_run.tracker.stages:
            with closing(connect_target(this_run.settings)) as connection:
                remove_abandoned(this_run, live.number, kept, connection)
        note_end(this_run)
    except BaseException:
        live.abandon()
        left = this_run.tracker.suspended
        _tell_what_is_suspended(this_run.display, left)
        this_run.recorder.leaves_suspended(
            [f"{one['kind']} {one['schema']}.{one['table']}.{one['name']}" for one in left]
        )
        raise
    live.close()
    return ending


def _begin(this_run: Run, plan: Plan, pair: ConnectionPair, data_options: DataOptions, workers: int) -> SourceSnapshot:
    """Begin or continue a session, and find the snapshot of the source that it reads."""
    tracker, consistent = this_run.tracker, data_options.consistent
    flags = flags_of(this_run, plan, data_options)
    this_run.recorder.uses(flags)
    before = tracker.snapshots if plan.is_known else set()
    if not plan.is_new:
        snapshot = consistency.again(this_run, plan, consistent)
    elif consistent:
        snapshot = consistency.take(this_run, workers)
    else:
        snapshot = SourceSnapshot(this_run.settings)
    try:
        begin_session(this_run, plan)
        if plan.is_new:
            tracker.record_consistency(snapshot.document)
        elif consistent is False and plan.work:
            tracker.forget_consistency()
        if flags != tracker.refresh:
            tracker.record_refresh(flags)
    except BaseException:
        if plan.is_new and snapshot.database is not None:
            consistency.drop(this_run, snapshot.database)
        raise
    for name in sorted(before - tracker.snapshots):
        consistency.drop(this_run, name)
    if snapshot.level is not None:
        this_run.display.say(f"📸 The source is read from {snapshot}")
    note_session(this_run, plan, pair.target)
    keys = [work.table.key for work in plan.work]
    this_run.recorder.plans(tracker.session_id, keys, len(plan.tables) - len(keys))
    return snapshot


def _load(loading: Loading, snapshot: SourceSnapshot, pair: ConnectionPair) -> Ending:
    this_run = loading.run
    finishing.analyze_what_was_left(this_run, loading.plan, pair)
    if loading.plan.work:
        finisher = finishing.finisher(loading, pair)
        pairs = _pairs(snapshot, pair)
        workers = Places(len(pairs), len(pairs)) if snapshot.sessions else loading.workers
        reading = replace(this_run, settings=snapshot.settings)
        ending = load(replace(loading, run=reading, workers=workers), pairs, finisher)
    else:
        is_restored = restore(this_run, loading.live, 1)
        write_files(this_run, this_run.tables)
        ending = Ending(reasons=("nothing was left to do",))
        if not is_restored:
            ending += failed("keys, indexes or triggers could not be restored")
    if loading.lacking and this_run.settings.missing_keys == "error":
        words = f"Keys of the source are missing on the target: {', '.join(loading.lacking)}"
        this_run.display.say(f"❌ {words}")
        ending += failed(words)
    return ending


def _pairs(snapshot: SourceSnapshot, pair: ConnectionPair) -> list[ConnectionPair]:
    """The pairs that there are to begin with: the run's own, or those that see one snapshot."""
    if snapshot.level is None:
        return [pair]
    pair.disconnect()
    return [ConnectionPair(snapshot.settings, session) for session in snapshot.sessions] or [
        ConnectionPair(snapshot.settings)
    ]


def _compare_completed(loading: Loading, snapshot: SourceSnapshot, mode: Mode) -> Ending:
    this_run = loading.run
    seen = loading.refresh.staged.keys() if loading.look_first is not None else set()
    completed = tuple(table for table in _completed(this_run, loading.plan) if table.key not in seen)
    if not completed and seen:
        return Ending()
    this_run.display.say(f"\n🔍 Comparing both sides of {len(completed)} completed tables...")
    # What can be reached of the snapshot: a database can, that of sessions is over.
    settings = this_run.settings if snapshot.sessions else snapshot.settings
    comparing = replace(this_run, affected=completed, settings=settings)
    return _compare(comparing, mode, loading.workers.most, loading.refused)


def _completed(this_run: Run, plan: Plan) -> list[Table]:
    return [table for table in plan.tables if this_run.tracker.status(table.key) == "completed"]


def _look_first(loading: Loading, snapshot: SourceSnapshot, mode: Mode) -> LookFirst:
    """What compares staged rows with the source, before anybody sees them."""
    settings = loading.run.settings if snapshot.sessions else snapshot.settings

    def look(staged: Mapping[str, TargetName]) -> Mapping[str, str]:
        from verification import phase as verification  # noqa: PLC0415

        tables = tuple(table for table in loading.plan.tables if table.key in staged)
        loading.run.display.say(f"\n🔍 Comparing both sides of {len(tables)} tables before they are shown...")
        run = replace(loading.run, affected=tables, settings=settings)
        standing_in = {target_name(table, settings): staged[table.key] for table in tables}
        found = verification.look(run, mode, _comparing(run, loading.workers.most), standing_in, loading.refused)
        remove_differing(loading.run.settings, [staged[one.table.key] for one in found if not one.is_equal])
        return {
            one.table.key: f"its new rows differ from the source's and were not shown: {one.describe()}. --resume "
            f"loads it again"
            for one in found
            if not one.is_equal
        }

    return look


def _compare(this_run: Run, mode: Mode, asked: int | None, refused: Mapping[str, str]) -> Ending:
    # Here, since a run that compares nothing need not wait for the drivers that comparing takes.
    from verification import phase as verification  # noqa: PLC0415

    return verification.run(this_run, mode, _comparing(this_run, asked), refused)


def _comparing(this_run: Run, asked: int | None) -> int:
    """How many workers compare at most, where so many are asked for."""
    # Each has one connection to the source for rows, and one for the source's own figures.
    wanted = this_run.crew.places(asked, this_run.settings.workers, source_connections=2)
    with closing(connect_target(this_run.settings)) as target:
        return affordable(this_run, wanted, target).most


def restore_keys(script: Script, workers: int | None = None) -> RunResult:
    """Bring back what loads suspended and did not restore, and nothing else; the source is not asked.

    Raises what `run` raises.
    """
    tracker = _tracker(script)
    with locked(script, tracker):
        tracker.load()
        settings = load_run_settings(script)
        this_run = Run(script, settings, tracker, (), ())
        announce(this_run)
        with closing(connect_target(settings)) as target:
            own_schema.prepare(target, settings.trusted_roles)
            wanted = len(suspension_record.read(target))
            count = affordable(this_run, this_run.crew.places(workers, settings.workers), target).now
        live = claim(this_run, [])
        try:
            is_restored = restore(this_run, live, count)
        finally:
            live.close()
    if not wanted and is_restored:
        script.display.say("✅ Nothing to do: nothing is suspended.")
        return script.recorder.ended(0, "nothing was suspended")
    if is_restored:
        return script.recorder.ended(0, "all that was suspended is back")
    return script.recorder.ended(1, "keys, indexes or triggers could not be restored")


def verify(script: Script, mode: Mode, data_options: DataOptions) -> RunResult:
    """Copy nothing; compare both sides of all tables that the options ask for.

    Needs no lock and leaves the progress file alone. Raises what `run` raises.
    """
    this_run, pair = _read(script, _tracker(script))
    announce(this_run)
    missing_tables.tell_or_refuse(this_run, _target_tables(pair, this_run))
    _tell_of_open_wires(this_run, pair, is_compared=True)
    _tell_what_is_suspended(this_run.display, _suspended_in(pair))
    refused = hidden(this_run, this_run.affected, pair, data_options.allows)
    pair.disconnect()
    script.recorder.plans(None, [table.key for table in this_run.affected], 0)
    with hired(this_run, data_options.cluster) as with_crew:
        ending = _compare(with_crew, mode, data_options.workers, refused)
    return script.recorder.ended(ending.exit_code, ending.because)


def _tracker(script: Script) -> ProgressTracker:
    return ProgressTracker(script.options.progress_file or Path(DEFAULT_FILES["data"]), "data", script.display.say)


def _read(script: Script, tracker: ProgressTracker) -> tuple[Run, ConnectionPair]:
    settings = load_run_settings(script)
    pair = ConnectionPair(settings)
    this_run = run_over(script, read_tables(pair.source), settings, tracker)
    script.recorder.works_with(source=read_version(pair.source))
    script.recorder.works_with(target=str(pair.target.get_parameter_status("server_version")))
    return this_run, pair


def _tell_of_open_wires(this_run: Run, pair: ConnectionPair, *, is_compared: bool) -> None:
    """Say which connections are not encrypted: nothing else tells a bit that was flipped on the way."""
    sides = ["the source (MSSQL_ENCRYPT)"] if not this_run.settings.source.is_encrypted else []
    sides += ["the target (PGSSLMODE)"] if encryption.is_open(pair.target) else []
    if sides:
        advice = "" if is_compared else "; encrypt them, or use --then-verify, which compares every value"
        this_run.display.say(
            f"⚠️ Not encrypted: the connections to {' and to '.join(sides)}. Neither protocol has checksums of its "
            f"own, so the load does not notice a bit that is flipped on the way{advice}."
        )


def _suspended_in(pair: ConnectionPair) -> list[Mapping[str, str | None]]:
    try:
        found = suspension_record.read(pair.target) if suspension_record.is_made(pair.target) else []
    except psycopg2.Error as error:
        raise CatalogError(f"what is suspended in the target cannot be read: {target_words(error)}") from None
    return [as_noted(one) for one in found]


def _tell_what_is_suspended(display: Display, things: Sequence[Mapping[str, str | None]]) -> None:
    """Say what is not back in the target, and how it comes back."""
    if things:
        tables = {(one.get("schema"), one.get("table")) for one in things}
        display.say(
            f"⚠️ {len(things)} keys, indexes and triggers of {len(tables)} table{'s' if len(tables) > 1 else ''} were "
            f"suspended for a load and are not back. --resume continues the load and brings them; --restore-keys "
            f"brings only them."
        )


def _target_tables(pair: ConnectionPair, this_run: Run) -> dict[TargetName, TargetTable]:
    try:
        return read_target_tables(pair.target, target_schemas(this_run.tables, this_run.settings))
    except psycopg2.Error as error:
        raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None
