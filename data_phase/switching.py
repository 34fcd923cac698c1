"""What is staged becomes live: all tables of a unit in one transaction, and everything around it.

A unit is what becomes visible at the same moment: all tables of a run, or those that foreign keys tie to each other.
At any instant each of its live tables is whole, old or new, and a kill leaves only what the next run brings to its end.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import psycopg2

from data_phase.connection_pair import ConnectionPair
from data_phase.job import Job
from data_phase.load_tasks import tried
from data_phase.modes.staged import Staged, Swap
from model.errors import SuspensionError, TableError
from model.events import Differences, Event, TableCompleted, TableFailed, TablesSwitched
from model.settings import Settings
from postgres import loader, merging, restoration, staging, suspension_record, switch_locks, twins
from postgres.checkpoints import Totals
from postgres.names import TargetName
from postgres.suspension_record import Suspended
from postgres.switch_locks import Patience
from run.closing import in_words, traced
from scheduling.tasks import Label, Lane, Task, Worker


@dataclass(frozen=True)
class StagedTable:
    """A table whose rows are all staged: its key in the progress file, its load, and what that brought."""

    key: str
    job: Job
    totals: Totals
    bytes: int | None = None

    @property
    def live(self) -> TargetName:
        """The table that readers see."""
        assert isinstance(self.job.mode, Staged)
        return self.job.mode.live

    @property
    def staged(self) -> TargetName:
        """The table that holds the rows."""
        return self.job.plan.target

    @property
    def is_swapped(self) -> bool:
        """Whether it takes the live table's place; its differences are applied otherwise."""
        return isinstance(self.job.mode, Swap)


@dataclass(frozen=True)
class Switched:
    """What a switch came to, by the tables' keys: `loaded_as`, and what changed; the times are `TablesSwitched`'s."""

    loaded_as: Mapping[str, str]
    differences: Mapping[str, Differences | None]
    seconds: float = 0.0
    seconds_locked: float = 0.0


@dataclass(frozen=True)
class SwitchUnit:
    """Lets the staged rows of all its tables become live in one transaction. Done again, it finds that done."""

    lane: ClassVar[Lane] = "finishing"
    settings: Settings
    tables: tuple[StagedTable, ...]

    @property
    def label(self) -> Label:
        """Its name among the tasks."""
        return Label(self.tables[0].key, "switch")

    def connect(self) -> ConnectionPair:
        """A pair that is not open yet."""
        return ConnectionPair(self.settings)

    def run(self, worker: Worker[ConnectionPair]) -> Switched:
        """Raises TableError, UnreachableError, CancelledError."""
        return tried(self.settings, worker, lambda _: _Switch(self, worker).make())


class _Switch:
    """One attempt at a unit."""

    def __init__(self, unit: SwitchUnit, worker: Worker[ConnectionPair]) -> None:
        self._settings = unit.settings
        self._tables = unit.tables
        self._worker = worker
        self._connection = worker.connections.target
        self._swapped = {one.live: one.staged for one in unit.tables if one.is_swapped}
        self._merged = {one.live: one.staged for one in unit.tables if not one.is_swapped}
        self._run = unit.tables[0].job.run
        self._patience = Patience(unit.settings.switch_timeout, worker.remark, worker.may_take_long)

    def make(self) -> Switched:
        """Switch, unless an attempt before has; then finish what is left around it."""
        # Comparing and checking foreign keys take as long as they take; keepalives notice a dead connection.
        self._worker.may_take_long()
        switched = self._made_before()
        if switched is None:
            switched = self._make_now()
        self._restore()
        return switched

    def _make_now(self) -> Switched:
        """Make it, unless another worker of this run, which was taken for lost, does so meanwhile."""
        try:
            twins.foreign_keys(self._connection, self._swapped, patience=self._patience.left, tell=self._worker.remark)
            return self._together()
        except (TableError, psycopg2.Error):
            loader.roll_back(self._connection)
            made = None if self._connection.closed else self._made_before()
            if made is None:
                raise
            return made

    def _made_before(self) -> Switched | None:
        with loader.transaction(self._connection) as cursor:
            known = {one.key: staging.live_since(cursor, one.job.id, one.live) for one in self._tables}
        loaded_as = {key: one for key, one in known.items() if one is not None}
        if len(loaded_as) < len(self._tables):
            return None
        return Switched(loaded_as, {})

    def _together(self) -> Switched:
        """The transaction. Raises psycopg2.Error, TargetError, LoadLostError; nothing was changed then."""
        try:
            return self._once()
        except BaseException:
            loader.roll_back(self._connection)
            raise

    def _once(self) -> Switched:
        connection, tables, began = self._connection, self._tables, time.monotonic()
        switch_locks.from_writers(connection, [one.live for one in tables], self._patience)
        with connection.cursor() as cursor:
            for one in tables:
                staging.check_staged(cursor, one.job.id)
            planned = twins.plan_exchange(cursor, self._swapped) if self._swapped else None
            applied = switch_locks.beside_rows(cursor, list(self._merged), self._patience, self._merge)
            if planned is not None:
                since = staging.complete_since(cursor, self._swapped.values())
                switch_locks.from_readers(
                    connection, planned.lock_statement, list(self._swapped), self._patience,
                    lambda cursor: twins.older_readers(cursor, since),
                )  # fmt: skip
            locked = time.monotonic()
            if planned is not None:
                twins.exchange(cursor, planned)
            loaded_as = {}
            for one in tables:
                loaded_as[one.key] = staging.becomes_live(cursor, one.job.id, one.live)
                if not one.is_swapped:
                    staging.remove(cursor, one.staged)
                # Never back: what is set here is seen by others before the transaction ends, and stays if it fails.
                plan = replace(one.job.plan, target=one.live)
                loader.set_identity(cursor, plan, one.totals, afresh=False)
        connection.commit()
        ended = time.monotonic()
        differences = {one.key: applied.get(one.live) for one in tables}
        return Switched(loaded_as, differences, ended - began, ended - locked if self._swapped else 0.0)

    def _merge(self, cursor: Any) -> dict[TargetName, Differences]:
        if not self._merged:
            return {}
        merges = merging.describe(cursor, self._merged)
        done = merging.apply(
            cursor,
            merges,
            compared=lambda _: self._worker.moved(),
            applied=lambda *_: self._worker.moved(),
            tell=self._worker.remark,
        )
        return {live: Differences(one.inserted, one.updated, one.deleted) for live, one in done.items()}

    def _restore(self) -> None:
        """Let the foreign keys of other tables be checked that point to the new ones.

        What cannot be checked is recorded, and tried and told again when the run ends.
        """
        with suppress(SuspensionError, psycopg2.Error):
            for one in suspension_record.read(self._connection):
                if one.kind == "foreign key" and one.is_back:
                    self._restore_key(one)

    def _restore_key(self, key: Suspended) -> None:
        memory, wait = self._settings.maintenance_work_mem, self._settings.lock_wait
        try:
            restoration.restore_one(
                self._connection, key, memory, run=self._run, patience=wait, tell=self._worker.remark
            )
        except (SuspensionError, psycopg2.Error):
            loader.roll_back(self._connection)


class UnitSwitch:
    """A unit on its way through the scheduler."""

    def __init__(self, settings: Settings, tables: Sequence[StagedTable]) -> None:
        self._settings = settings
        self._tables = tuple(tables)
        self._events: list[Event] = []
        self.is_over = False

    @property
    def key(self) -> str:
        """The key of its first table."""
        return self._tables[0].key

    def events(self) -> list[Event]:
        """What happened since the last time."""
        events, self._events = self._events, []
        return events

    def begin(self) -> Sequence[Task[Any, object]]:
        """Its one task."""
        return [SwitchUnit(self._settings, self._tables)]

    def take(self, task: Task[Any, object], result: Any) -> Sequence[Task[Any, object]]:  # noqa: ARG002
        """All its tables are completed."""
        self.is_over = True
        if result.differences:
            self._events.append(TablesSwitched(result.differences, result.seconds, result.seconds_locked))
        for one in self._tables:
            totals = one.totals
            self._events.append(
                TableCompleted(
                    one.key, totals.rows, totals.rejected, totals.changes, result.loaded_as[one.key], bytes=one.bytes
                )
            )
        return []

    def fail(self, error: Exception) -> Sequence[Task[Any, object]]:
        """Nothing of it is live; what is staged stays for --resume."""
        self.is_over = True
        words = self._settings.secrets.hide(in_words(error))
        told = f"its new rows are staged and not live: {words}"
        trace = self._settings.secrets.hide(traced(error))
        self._events += [TableFailed(one.key, told, trace) for one in self._tables]
        return []


class Units:
    """Which tables become live together, and which of them are staged by now."""

    def __init__(
        self, settings: Settings, units: Iterable[Sequence[str]], *, switches_anyway: bool, waits: bool
    ) -> None:
        """`units` are the tables' keys. While it `waits`, none is ready; with `switches_anyway` failures hold up no
        other table of a unit.
        """
        self._settings = settings
        self._left = [list(unit) for unit in units]
        self._staged: dict[str, StagedTable] = {}
        self._failed: set[str] = set()
        self._switches_anyway = switches_anyway
        self._waits = waits

    def staged(self, table: StagedTable) -> None:
        """A table's rows are all there."""
        self._staged[table.key] = table

    def failed(self, key: str) -> None:
        """A table cannot be switched."""
        self._failed.add(key)
        self._staged.pop(key, None)

    def left_out(self, key: str) -> None:
        """A person has taken a table from the run."""
        for unit in self._left:
            if key in unit:
                unit.remove(key)

    def go_on(self) -> None:
        """Do not wait any longer."""
        self._waits = False

    def ready(self) -> list[UnitSwitch]:
        """The units of which every table is staged now, each once."""
        if self._waits:
            return []
        ready = [unit for unit in self._left if self._is_ready(unit)]
        self._left = [unit for unit in self._left if unit not in ready]
        found = [[self._staged[key] for key in unit if key in self._staged] for unit in ready]
        return [UnitSwitch(self._settings, tables) for tables in found if tables]

    def _is_ready(self, unit: Sequence[str]) -> bool:
        if not self._switches_anyway and self._failed.intersection(unit):
            return False
        return all(key in self._staged or key in self._failed for key in unit)

    @property
    def waiting(self) -> list[StagedTable]:
        """The tables that are staged, and whose unit was not ready."""
        return [self._staged[key] for unit in self._left for key in unit if key in self._staged]

    @property
    def failed_in_waiting(self) -> list[str]:
        """The tables for whose sake others wait."""
        return [key for unit in self._left for key in unit if key in self._failed]


def tied_together(tables: Mapping[TargetName, str], ties: Iterable[tuple[TargetName, TargetName]]) -> list[list[str]]:
    """The keys of the tables in groups, each with all that ties reach, in the given order."""
    group_of = {table: [table] for table in tables}
    for one, other in ties:
        if group_of[one] is not group_of[other]:
            merged = group_of[one] + group_of[other]
            for table in merged:
                group_of[table] = merged
    order = {table: number for number, table in enumerate(tables)}
    groups = {id(group): sorted(group, key=order.__getitem__) for group in group_of.values()}
    return [[tables[table] for table in group] for group in groups.values()]
