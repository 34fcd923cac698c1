"""Whether the target holds what the progress file and the source's catalog say: asked before a run believes it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

import psycopg2

from data_phase.connection_pair import ConnectionPair
from db import target_words
from model.catalog import Table
from model.errors import CatalogError, RecordError, UnfitTargetError
from model.visible import listed
from postgres import checkpoints, staging, suspension_record
from postgres.introspection import Standing, TargetTable, count_rows, missing_key, read_standing
from postgres.load_plan import plan_load
from postgres.names import TargetName, target_name
from postgres.staging import staging_name
from progress import ProgressTracker
from run.closing import Ending, failed
from run.context import Run
from run.plan import Plan


def believed(this_run: Run, plan: Plan, existing: Mapping[TargetName, TargetTable], pair: ConnectionPair) -> Plan:
    """The plan, with those completed tables that are not there as they were loaded: they are loaded again.

    Raises UnreachableError.
    """
    changed = changed_since(this_run, plan.done, existing, pair)
    for table, words in changed.items():
        this_run.display.say(f"⚠️ {table.full_name} was completed, but {words}: it is loaded again")
    return plan.with_more({table.key for table in changed}) if changed else plan


def changed_since(
    this_run: Run, tables: Iterable[Table], existing: Mapping[TargetName, TargetTable], pair: ConnectionPair
) -> dict[Table, str]:
    """Those completed tables that are not there as they were loaded, and why.

    A table that somebody marked by hand is taken at his word. Raises UnreachableError.
    """
    tracker, settings = this_run.tracker, this_run.settings
    claimed = {
        target_name(table, settings): table
        for table in tables
        if tracker.status(table.key) == "completed" and tracker.entry(table.key).get("loaded_as")
    }
    try:
        standing = read_standing(pair.target, list(claimed))
    except psycopg2.Error as error:
        raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None
    found = {
        table: _what_is_wrong(this_run, pair, table, existing.get(name), standing.get(name))
        for name, table in claimed.items()
    }
    return {table: words for table, words in found.items() if words is not None}


def _what_is_wrong(
    this_run: Run, pair: ConnectionPair, table: Table, target: TargetTable | None, standing: Standing | None
) -> str | None:
    """Why a completed table is not there as it was loaded; None where it is."""
    entry = this_run.tracker.entry(table.key)
    name, rows = target_name(table, this_run.settings), this_run.tracker.rows_synced(table.key)
    if target is None or standing is None:
        return f"{name} no longer exists"
    try:
        plan_load(table, target, this_run.settings)
    except UnfitTargetError as error:
        return str(error)
    was, now = str(entry["loaded_as"]).partition("/"), standing.loaded_as.partition("/")
    if was[0] != now[0]:
        return f"{name} was recreated since then"
    if rows and not standing.has_blocks:
        return f"{name} is empty now"
    if was == now and not target.is_partitioned:
        return None
    # Emptied and filled by others, or only written anew by VACUUM FULL and the like; a partitioned table has no file.
    try:
        there = count_rows(pair.target, target)
    except psycopg2.Error as error:
        raise CatalogError(f"the rows of {name} cannot be counted: {target_words(error)}") from None
    if was == now:
        return f"{name} is empty now" if rows and not there else None
    return None if there == rows or entry.get("kept_rows") else f"{name} holds {there:,} rows now, not {rows:,}"


def unfinished_loads(this_run: Run, pair: ConnectionPair) -> dict[str, str]:
    """The run's tables whose load the target knows to be unfinished, by their keys, and how much of it is there.

    Raises RecordError.
    """
    known = checkpoints.unfinished(pair.target)
    names = {table.key: target_name(table, this_run.settings) for table in this_run.affected}
    return {
        **{key: str(known[name]) for key, name in names.items() if name in known},
        **_not_live(this_run.tracker, names, pair),
    }


def _not_live(tracker: ProgressTracker, names: Mapping[str, TargetName], pair: ConnectionPair) -> dict[str, str]:
    """The tables of which the session has staged rows that are not live, unless it has filled them otherwise since."""
    try:
        staged = {one.live: one for one in staging.all_loads(pair.target)}
        found = {key: staged.get(staging_name(name).table) for key, name in names.items()} if staged else {}
        ours = {key: one for key, one in found.items() if one and one.session == tracker.session_of(key)}
        live = staging.made_live(pair.target, [names[key] for key in ours], {one.session for one in ours.values()})
    except psycopg2.Error as error:
        raise RecordError(f"what is staged cannot be read: {target_words(error)}") from None
    return {key: f"{one.rows:,} rows are staged and not live" for key, one in ours.items() if names[key] not in live}


def contradicted(this_run: Run, plan: Plan, unfinished: Mapping[str, str], pair: ConnectionPair) -> dict[str, str]:
    """The tables that the progress file calls completed and whose load is `unfinished`: key → full name; told.

    Told as well is what is suspended of tables that count as completed: it comes back with this run. Raises
    SuspensionError.
    """
    suspended = Counter(one.table for one in suspension_record.read(pair.target))
    file = this_run.tracker.path
    found: dict[str, str] = {}
    for table in plan.done:
        if this_run.tracker.status(table.key) != "completed":
            continue
        if table.key in unfinished:
            found[table.key] = table.full_name
            this_run.display.say(
                f"⚠️ WARNING: {table.full_name} is completed according to {file}, but the target knows that its load "
                f"was not finished ({unfinished[table.key]}). It is left as it is. If it is to stay so, set it to "
                f"skipped; to have it loaded, set it to failed."
            )
        count = suspended[target_name(table, this_run.settings)]
        if count:
            this_run.display.say(
                f"⚠️ {table.full_name} is completed according to {file}, but {count} of its keys, indexes and triggers "
                f"{'are' if count > 1 else 'is'} still suspended: this run brings {'them' if count > 1 else 'it'} back."
            )
    return found


def left_unfinished(this_run: Run) -> Ending:
    """Told as a failure: tables that the source no longer has, and whose last load did not finish."""
    tracker = this_run.tracker
    tables = [table for table in tracker.gone if tracker.entry(table).get("was") in ("in_progress", "failed")]
    if not tables:
        return Ending()
    words = f"the last load of {listed(tables)} did not finish, and the source no longer has that table"
    this_run.display.say(f"❌ {words}: the target may hold a part of its rows. What to do about it is yours to decide.")
    return failed(words)


def lacking_keys(
    this_run: Run, plan: Plan, existing: Mapping[TargetName, TargetTable], pair: ConnectionPair
) -> dict[str, tuple[str, ...]]:
    """Tables whose target lacks a key that the source has, with no record of it: table → the key's columns; told."""
    recorded = {one.table for one in suspension_record.read(pair.target) if one.kind in suspension_record.BUILT}
    lacking: dict[str, tuple[str, ...]] = {}
    for table in plan.affected:
        target = existing.get(target_name(table, this_run.settings))
        if target is None or target.name in recorded or this_run.tracker.status(table.key) == "skipped":
            continue
        columns = missing_key(table, target, this_run.settings)
        if columns:
            lacking[table.key] = columns
            this_run.display.say(
                f"⚠️ WARNING: {target.name} lacks the source's key ({', '.join(columns)}), and no record says why. "
                f"replicate-schema.py --resume creates it; MISSING_KEYS=tell in the settings accepts it."
            )
    return lacking
