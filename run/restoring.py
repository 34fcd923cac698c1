"""What both phases share with other runs: the tables that a run claims, and what comes back of what runs suspended."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from typing import Any

import psycopg2

from db import connect_target, target_words
from model.errors import ServerError, SuspensionError
from postgres import restoration, runs, suspension_record
from postgres.names import TargetName
from postgres.runs import LiveRun
from postgres.suspension_record import Suspended
from progress import ProgressTracker
from run.context import Run
from run.target_connections import TargetConnections
from run.waiting import waited

NOT_VALID = " NOT VALID"


def claim(this_run: Run, tables: Sequence[TargetName]) -> LiveRun:
    """This run's claim on the tables in the target. Raises TablesClaimedError, UnreachableError."""
    try:
        live = LiveRun(partial(connect_target, this_run.settings))
        try:
            waited(this_run.script, lambda: live.claim(tables))
        except BaseException:
            live.close()
            raise
    except psycopg2.Error as error:
        raise ServerError(f"the tables cannot be claimed in the target: {target_words(error)}") from None
    return live


def note_suspended(tracker: ProgressTracker, things: Sequence[Suspended]) -> None:
    """Let the progress file know what is suspended from now on, so that it is missed if the target's record is lost.

    Raises ProgressFileError.
    """
    known = {tuple(sorted(one.items(), key=str)): dict(one) for one in tracker.suspended}
    for one in things:
        known[tuple(sorted(as_noted(one).items(), key=str))] = as_noted(one)
    tracker.record_suspended(list(known.values()))


def note_built(tracker: ProgressTracker, table: TargetName) -> None:
    """Let the progress file know that a table's keys and indexes are back. Raises ProgressFileError."""
    left = [
        one
        for one in tracker.suspended
        if (one.get("schema"), one.get("table")) != (table.schema, table.table)
        or one.get("kind") not in suspension_record.BUILT
    ]
    tracker.record_suspended(left)


def as_noted(one: Suspended) -> dict[str, str | None]:
    """What the progress file keeps of a suspended thing."""
    not_valid = "" if one.is_validated else NOT_VALID
    return {
        "kind": one.kind, "schema": one.table.schema, "table": one.table.table, "name": one.name,
        "definition": one.definition + not_valid,
    }  # fmt: skip


def restore(this_run: Run, live: LiveRun, workers: int, suspended: Sequence[Suspended] = ()) -> bool:
    """Restore what this load, or one that was killed, suspended; False if something could not be.

    `suspended` is what was so when the load began. Keys and indexes come back with their own table; those of tables
    that failed, or that a killed run left, are built here, by as many workers as copied. Foreign keys follow, since
    they may need them. What concerns tables that another run loads at this time is left to that run.
    """
    # A connection of its own: the one that the load began with may have been cut since.
    connections = TargetConnections(this_run.settings)
    display, memory = this_run.display, this_run.settings.maintenance_work_mem
    forgotten = suspension_record.reconcile(connections.first)
    for one in forgotten:
        display.say(f"⚠️ {one} cannot be restored: what it belonged to is gone")
    everything = suspension_record.read(connections.first)
    others = _tables_of_others(connections.first, live, everything)
    left = [one for one in everything if not others.intersection(one.tables)]

    def restore_group(group: Sequence[Suspended]) -> list[str]:
        with connections.one() as connect:
            return restoration.restore(connect, group, memory, run=live.number, tell=display.say)

    problems: list[str] = []
    for kind in suspension_record.KINDS:
        groups = restoration.groups(left, kind)
        # In threads also where it is one after the other: a signal would have to wait for the server's answer.
        executor = ThreadPoolExecutor(workers if kind in suspension_record.BUILT else 1, thread_name_prefix="restore")
        try:
            problems += chain.from_iterable(executor.map(restore_group, groups))
        except BaseException:
            connections.give_up()
            raise
        finally:
            executor.shutdown(wait=False, cancel_futures=True)
    gone = _lost(this_run, connections.first)
    connections.close()
    with_their_tables = {one.row for one in suspended} - {one.row for one in [*forgotten, *everything]}
    total = len(left) + len(with_their_tables)
    back = total - len(problems) - len(with_their_tables & {one.row for one in gone})
    this_run.recorder.restored(back, [*problems, *map(str, gone)])
    if total:
        display.say(f"\n🔗 {back} of {total} keys, indexes and triggers are back")
    if len(everything) > len(left):
        names = ", ".join(sorted(str(table) for table in others))
        display.say(f"🔗 {len(everything) - len(left)} more come back when the run that loads {names} now is over")
    for problem in problems:
        display.say(f"⚠️ WARNING: {problem}. No row was deleted; the next run tries again.")
    for one in gone:
        display.say(
            f"⚠️ WARNING: {one} was suspended by an earlier run and is not there or not valid, and the target has no "
            f"record of it: was the schema replication dropped? Create it again ({one.definition}), by hand or with "
            f'replicate-schema.py; or take it out of "suspended" in {this_run.tracker.path}.'
        )
    return not problems and not gone


def _tables_of_others(target: Any, live: LiveRun, suspended: Sequence[Suspended]) -> set[TargetName]:
    """Tables of suspended things that other runs load now; this run's own loads are over. Raises SuspensionError."""
    tables = list({table for one in suspended for table in one.tables})
    try:
        live.stop_loading(tables)
        with target.cursor() as cursor:
            others = runs.loaded_by_others(cursor, tables, live.number)
        target.rollback()
    except psycopg2.Error as error:
        raise SuspensionError(f"what is suspended cannot be restored: {target_words(error)}") from None
    return others


def _lost(this_run: Run, target: Any) -> list[Suspended]:
    """Things that the progress file knows to be suspended, which neither stand again nor are recorded in the target.

    The file keeps those, and what is still recorded.
    """
    tracker = this_run.tracker
    noted = [
        Suspended(
            TargetName(str(one["schema"]), str(one["table"])), one["kind"], str(one["name"]),  # type: ignore[arg-type]
            str(one["definition"]).removesuffix(NOT_VALID), None, not str(one["definition"]).endswith(NOT_VALID), False,
        )
        for one in tracker.suspended
        if one.keys() >= {"kind", "schema", "table", "name", "definition"}
    ]  # fmt: skip
    if not noted:
        return []
    try:
        recorded = {one.row for one in suspension_record.read(target)}
        gone = suspension_record.lost(target, noted)
    except psycopg2.Error as error:
        raise SuspensionError(f"what is suspended cannot be read: {target_words(error)}") from None
    tracker.record_suspended([as_noted(one) for one in noted if one in gone or one.row in recorded])
    return gone
