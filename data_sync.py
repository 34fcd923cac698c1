"""The data phase: each table's rows from SQL Server into PostgreSQL."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import psycopg2

import verification
from catalog import Table
from db import Settings, UnreachableError, connect_source, connect_target, target_words
from display import Meter, choose_display
from mssql import reader
from mssql.introspection import read_tables
from postgres import loader, state
from postgres.names import TargetName, target_name
from postgres.shape import TargetTable, target_schemas
from postgres.shape import read_tables as read_target_tables
from progress import DEFAULT_FILES, ProgressTracker
from session import (
    ALL_DONE,
    SOME_FAILED,
    Options,
    Plan,
    Run,
    Stopped,
    Work,
    announce,
    close_run,
    load_run_settings,
    plan_run,
    reset,
    run_over,
    work_through,
)
from type_mapping import UnsupportedTypeError

SECONDS_BETWEEN_RECORDS = 2.0
SECONDS_TO_STOP = 10.0

#: errors whose text is meant for a person
EXPECTED = (reader.SourceError, loader.TargetError, UnsupportedTypeError)


def run(options: Options, verify: bool) -> int:
    """Copy the rows of all tables that the options ask for; returns the exit code.

    With `verify` nothing is copied: the rows of both sides are compared.

    Raises what `session.run_script` turns into words: UsageError, SettingsError, UnreachableError, …
    """
    display = choose_display()
    tracker = ProgressTracker(options.progress_file or Path(DEFAULT_FILES["data"]), "data")
    if verify:
        return verification.run(_read(options, tracker))
    with tracker.lock():
        if options.reset:
            return reset(tracker, display)
        this_run = _read(options, tracker)
        with Lane(this_run.settings) as lane:
            existing = lane.target_tables(this_run.tables)
            announce(this_run)
            plan = plan_run(this_run)
            if plan.work:
                return _sync(this_run, plan, existing, lane)
            return ALL_DONE if _restore(this_run, lane) else SOME_FAILED


def _read(options: Options, tracker: ProgressTracker) -> Run:
    settings = load_run_settings(options)
    with closing(connect_source(settings)) as source:
        tables = read_tables(source)
    return run_over(tables, options, settings, tracker)


def _sync(run: Run, plan: Plan, existing: dict[TargetName, TargetTable], lane: Lane) -> int:
    started = time.monotonic()
    rows_synced = 0

    def do_table(work: Work) -> None:
        nonlocal rows_synced
        table = work.table
        place = target_name(table, run.settings)
        run.display.say(f"📊 Syncing {table.full_name} → {place}")
        run.tracker.start(table.key)
        target = existing.get(place)
        if target is None:
            raise loader.TargetError(f"the target table {place} does not exist; run replicate-schema.py first")
        keep = not run.options.truncate and (work.is_partial or not run.options.resume)
        rows = _copy_table(run, lane, table, target, keep)
        run.tracker.complete(table.key, rows_synced=rows)
        rows_synced += rows
        run.display.say(f"✅ {rows:,} rows synced successfully")

    places = [target_name(work.table, run.settings) for work in plan.work]
    count = state.suspend_foreign_keys(lane.target, places)
    if count:
        run.display.say(f"🔗 {count} foreign keys put aside for the load")
    failed = work_through(run, plan, do_table, EXPECTED)
    is_restored = _restore(run, lane)
    seconds = time.monotonic() - started
    totals = [
        ("Total rows synced", f"{rows_synced:,}"),
        ("Duration", f"{seconds:.2f} seconds"),
        ("Throughput", f"{rows_synced / max(seconds, 0.001):,.0f} rows/second"),
    ]
    code = close_run(run, plan, failed, "Synchronization Summary", "sync", totals)
    return code if is_restored else SOME_FAILED


def _restore(run: Run, lane: Lane) -> bool:
    """Put back what this load, or one that was killed, put aside; False if something could not be."""
    keys = state.read_suspended(lane.target)
    problems = [problem for key in keys if (problem := state.restore(lane.target, key))]
    if keys:
        run.display.say(f"\n🔗 {len(keys) - len(problems)} of {len(keys)} foreign keys are back and valid")
    for problem in problems:
        run.display.say(
            f"⚠️ WARNING: foreign key {problem}. No row was deleted; the next run tries again."
        )
    return not problems


class Lane(AbstractContextManager["Lane"]):
    """The two connections that rows travel between; each is opened when needed and again after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._source: Any = None
        self._target: Any = None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.disconnect()

    @property
    def source(self) -> Any:
        """An arrow-odbc connection. Raises UnreachableError."""
        if self._source is None:
            self._source = reader.connect(self._settings)
        return self._source

    @property
    def target(self) -> Any:
        """A psycopg2 connection outside a transaction. Raises UnreachableError."""
        if self._target is None or self._target.closed:
            self._target = connect_target(self._settings)
        return self._target

    def target_tables(self, tables: tuple[Table, ...]) -> dict[TargetName, TargetTable]:
        """What the target holds in the schemas that these tables go to. Raises UnreachableError."""
        try:
            return read_target_tables(self.target, target_schemas(tables, self._settings))
        except psycopg2.Error as error:
            raise UnreachableError(f"the target's catalog cannot be read: {target_words(error)}") from None

    def cancel(self) -> None:
        """Ask the target to end what it is doing for this lane; from any thread."""
        if self._target is not None and not self._target.closed:
            try:
                self._target.cancel()
            except psycopg2.Error:
                self._target.close()

    def disconnect(self) -> None:
        """Drop both connections; what was not committed is gone."""
        self._source = None
        if self._target is not None and not self._target.closed:
            self._target.close()
        self._target = None


@dataclass
class _Copying:
    """What a copy in its own thread shares with the thread that watches it."""

    rows: int = 0
    finished: threading.Event = field(default_factory=threading.Event)
    failure: BaseException | None = None


def _copy_table(run: Run, lane: Lane, table: Table, target: TargetTable, keep: bool) -> int:
    """Copy one table in one transaction; returns the rows committed. With `keep`, earlier rows stay."""
    load_plan = loader.plan_load(table, target, run.settings)
    display = run.display
    if keep and not loader.is_empty(lane.target, target.name):
        display.say(
            f"⚠️ WARNING: {table.full_name} is not truncated and {target.name} already holds rows: its data may be "
            f"partial or doubled. Run without --no-truncate to load it from scratch."
        )
    display.say("🔍 Reading from MS SQL...")
    if not keep:
        display.say("🗑️ Truncating target table...")
    display.say("📝 Writing to PostgreSQL...")

    def copy(state: _Copying) -> None:
        def note(rows: int) -> None:
            state.rows = rows

        batches = reader.read_batches(lane.source, table, load_plan.sources, run.settings.batch_size)
        loader.load(lane.target, load_plan, batches, truncate=not keep, on_rows=note)

    with display.meter(table.full_name, table.row_count) as meter:
        return _watch(copy, lane, table, run.tracker, meter)


def _watch(copy: Callable[[_Copying], None], lane: Lane, table: Table, tracker: ProgressTracker, meter: Meter) -> int:
    """Run a copy in a thread of its own, so that signals are heard whatever the drivers wait for."""
    state = _Copying()

    def body() -> None:
        try:
            copy(state)
        except BaseException as error:
            state.failure = error
        finally:
            state.finished.set()

    thread = threading.Thread(target=body, name=f"copy {table.full_name}", daemon=True)
    thread.start()
    recorded = time.monotonic()
    try:
        while not state.finished.wait(0.25):
            meter.rows(state.rows)
            if time.monotonic() - recorded >= SECONDS_BETWEEN_RECORDS:
                recorded = time.monotonic()
                tracker.record(table.key, rows_copied=state.rows)
    except Stopped:
        lane.cancel()
        state.finished.wait(SECONDS_TO_STOP)
        raise
    if state.failure is not None:
        lane.disconnect()
        raise state.failure
    return state.rows
