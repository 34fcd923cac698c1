"""What loads staged and nobody will show any more, or is live although the progress file does not know it yet."""

from __future__ import annotations

import os
import socket
from collections.abc import Collection, Mapping
from contextlib import closing

import psycopg2

from db import connect_target, target_words
from model.errors import CatalogError, ReplicationError
from model.refresh import Refresh
from model.settings import Settings
from model.visible import listed
from postgres import loader, staging
from postgres.names import TargetName, target_name
from postgres.staging import Place
from progress import ProgressTracker
from run.context import Run, load_run_settings
from run.plan import Plan
from run.script import Script


def notice_live(this_run: Run, plan: Plan, staged: Mapping[str, Refresh], connection: object) -> Plan:
    """The plan without tables that the session has switched already, by a run that died before it could note that.

    They are completed. Raises CatalogError, ProgressFileError.
    """
    tracker, settings = this_run.tracker, this_run.settings
    partial = [work.table for work in plan.work if work.is_partial and work.table.key in staged]
    doubtful = {target_name(table, settings): table for table in partial}
    if not doubtful or plan.is_new:
        return plan
    sessions = {tracker.session_of(table.key) for table in doubtful.values()}
    try:
        found = staging.made_live(connection, list(doubtful), sessions)
    except psycopg2.Error as error:
        raise CatalogError(f"the loads of the target cannot be read: {target_words(error)}") from None
    for name, live in found.items():
        tracker.complete(doubtful[name].key, rows_synced=live.rows, loaded_as=live.loaded_as)
    if found:
        keys = [doubtful[name].key for name in found]
        this_run.display.say(
            f"🔀 {len(keys)} table{'s' if len(keys) > 1 else ''} of this session became live before the last run was "
            f"killed: {listed(keys)}"
        )
    return plan.without({doubtful[name].key for name in found})


def tell_given_up(this_run: Run, plan: Plan, staged: Mapping[str, Refresh]) -> None:
    """Say which staged rows nobody goes on with, since their tables are now filled in place."""
    if plan.is_new:
        return
    tracker = this_run.tracker
    keys = [work.table.key for work in plan.work if work.table.key not in staged]
    given_up = [key for key in keys if tracker.status(key) == "in_progress" and "staged_at" in tracker.entry(key)]
    if given_up:
        one = len(given_up) == 1
        this_run.display.say(
            f"⚠️ {len(given_up)} table{' of this session is' if one else 's of this session are'} staged and not live: "
            f"{listed(given_up)}. {'It is' if one else 'They are'} loaded again, in place, as REFRESH, REFRESH_TABLES "
            f"or --refresh now has it"
        )


def remove_abandoned(this_run: Run, run: int, kept: Collection[str], connection: object) -> None:
    """Remove what abandoned sessions left in the staging schema, but of those that are `kept`; told.

    Raises CatalogError.
    """
    tracker = this_run.tracker
    place = Place(os.path.realpath(tracker.path), socket.gethostname(), run)
    try:
        left = staging.abandoned(connection, place, tracker.unfinished_sessions | {*kept})
        removed = _remove(connection, left)
    except psycopg2.Error as error:
        raise CatalogError(f"what was staged and abandoned cannot be removed: {target_words(error)}") from None
    if removed:
        this_run.display.say(
            f"🧹 {len(removed)} staging table{'s' if len(removed) > 1 else ''} of abandoned sessions removed: "
            f"{listed([table.table for table in removed])}"
        )


def remove_after_reset(script: Script, session: str) -> None:
    """Remove what a session staged whose progress file was moved aside; what cannot be removed now is told."""
    try:
        with closing(connect_target(load_run_settings(script))) as connection:
            removed = _remove(connection, staging.of_session(connection, session))
    except (ReplicationError, psycopg2.Error) as error:
        words = target_words(error) if isinstance(error, psycopg2.Error) else str(error)
        script.display.say(f"⚠️ What the session has staged is still there; the next run removes it. {words}")
        return
    if removed:
        script.display.say(f"🧹 What the session has staged was removed: {listed([one.table for one in removed])}")


def remove_differing(settings: Settings, tables: list[TargetName]) -> None:
    """Remove staging tables whose rows must not be shown, so that they are loaded again. Raises TargetError."""
    if tables:
        with closing(connect_target(settings)) as connection:
            _remove(connection, tables)


def _remove(connection: object, tables: list[TargetName]) -> list[TargetName]:
    for table in tables:
        with loader.transaction(connection) as cursor:
            staging.remove(cursor, table)
    return tables


def staged_session(tracker: ProgressTracker) -> str | None:
    """The session of a progress file that has staged rows; None where there is none, or the file cannot be read."""
    try:
        return tracker.session_id if tracker.load() and tracker.stages else None
    except ReplicationError:
        return None
