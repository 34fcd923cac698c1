"""--consistent: which snapshot of the source a session reads, and what becomes of it on --resume.

A snapshot is one moment of the source: a database snapshot, or sessions at the isolation level SNAPSHOT that all
see it; a database that is read-only is one moment by itself. Which one was obtained is said, and kept in the progress
file; the connections of a run are made to it here. A database snapshot outlives a run, so a killed session goes on with
the same one; that of SNAPSHOT sessions ends with their connections, and is never replaced by another.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from db import connect_source, in_database
from model.errors import SnapshotError, UnreachableError, UsageError
from model.settings import Settings
from mssql import snapshots
from mssql.snapshot_limits import Limits, read_limits
from run.context import Run
from run.plan import Plan

Level = Literal["database snapshot", "snapshot sessions", "read-only database"]

NO_MORE_CONNECTIONS = (
    "--consistent by SNAPSHOT transactions: no further connection to the source can see their snapshot, and one is "
    "needed: one broke, or, where the server has no table locks, a table has to be read value by value. No row of "
    "another moment was copied. Run again without --resume; or let the login create databases, so that the run can "
    "use a database snapshot"
)
NOT_ON_A_CLUSTER = (
    "all of them are opened at one moment by one process, and the workers of a cluster are several; --cluster takes a "
    "database snapshot"
)


@dataclass(frozen=True)
class SourceSnapshot:
    """The snapshot that a run reads: how to reach it, and the connections that are open to it already.

    `settings` are the run's own where no snapshot was asked for. `sessions` are all that there can be, where
    the level is that of sessions.
    """

    settings: Settings
    level: Level | None = None
    database: str | None = None
    taken_at: str | None = None
    sessions: tuple[snapshots.Session, ...] = ()

    @property
    def document(self) -> dict[str, str] | None:
        """What the progress file keeps of it."""
        if self.level is None or self.taken_at is None:
            return None
        return {
            "level": self.level,
            "taken_at": self.taken_at,
            **({"database": self.database} if self.database else {}),
        }

    def __str__(self) -> str:
        if self.level == "database snapshot":
            return f"database snapshot {self.database}, taken at {self.taken_at}"
        if self.level == "read-only database":
            return f"the database as it is, which is read-only, from {self.taken_at} on"
        return f"{len(self.sessions)} SNAPSHOT transaction{'s' * (len(self.sessions) > 1)}, opened at {self.taken_at}"


def take(run: Run, workers: int) -> SourceSnapshot:
    """The snapshot of a new session. Raises UsageError where none can be had, and UnreachableError.

    Workers of a cluster share a database snapshot: sessions at SNAPSHOT are held by the process that opened them.
    """
    settings, now = run.settings, datetime.now()
    limits = _limits(run)
    if limits.why_no_moment is not None:
        raise UsageError(f"--consistent: {limits.why_no_moment}. Nothing was copied.")
    if limits.is_fixed:
        return SourceSnapshot(settings, "read-only database", None, now.isoformat(timespec="seconds"))
    try:
        if limits.why_no_database_snapshot is not None:
            raise SnapshotError(limits.why_no_database_snapshot)
        with closing(connect_source(settings)) as connection:
            name = snapshots.take_snapshot(connection, now.strftime("%Y%m%d_%H%M%S"))
        return _by_snapshot(settings, name, now.isoformat(timespec="seconds"))
    except SnapshotError as error:
        no_snapshot = settings.secrets.hide(str(error))
    try:
        if not run.crew.is_local:
            raise SnapshotError(NOT_ON_A_CLUSTER)
        if limits.why_no_sessions is not None:
            raise SnapshotError(limits.why_no_sessions)
        sessions = snapshots.open_sessions(settings, run.tables, workers)
    except SnapshotError as error:
        raise UsageError(
            f"--consistent: no snapshot of the source can be had, and nothing was copied.\n"
            f"  database snapshot: {no_snapshot}\n"
            f"  SNAPSHOT transactions: {settings.secrets.hide(str(error))}\n"
            f"Or run without --consistent, from a source that does not change, such as a restored backup."
            f"{'' if run.crew.is_local else ' Or run without --cluster.'}"
        ) from None
    run.display.say(f"   (no database snapshot: {no_snapshot})")
    closed = replace(settings, source=replace(settings.source, closed_because=NO_MORE_CONNECTIONS))
    return SourceSnapshot(closed, "snapshot sessions", None, now.isoformat(timespec="seconds"), tuple(sessions))


def again(run: Run, plan: Plan, wanted: bool | None) -> SourceSnapshot:
    """The snapshot of the session that is resumed; none where it has none, or it is given up by `wanted` False.

    Raises UsageError where the session's snapshot is gone, where the tables that are left are of sessions with
    different snapshots, or where one is wanted now and the session began without, and UnreachableError.
    """
    if wanted is False or not plan.work:
        return SourceSnapshot(run.settings)
    known = _snapshot_of(run, plan)
    if not known:
        if wanted:
            raise UsageError(
                "--consistent: this session began without it, so its tables are of several moments already. "
                "Start a new session (without --resume), or continue without --consistent."
            )
        return SourceSnapshot(run.settings)
    name, taken_at = known.get("database"), known.get("taken_at", "")
    if known.get("level") == "read-only database":
        if not _limits(run).is_fixed:
            raise UsageError(
                f"this session began with --consistent, from a database that was read-only ({taken_at}) and is so no "
                f"more. Start a new session (without --resume), or continue with --no-consistent: tables copied from "
                f"now on are then of a later moment."
            )
        return SourceSnapshot(run.settings, "read-only database", None, taken_at)
    if name is None:
        raise UsageError(
            f"this session began with --consistent, and the snapshot of its SNAPSHOT transactions ({taken_at}) ended "
            f"with them. Start a new session (without --resume), or continue with --no-consistent: tables copied from "
            f"now on are then of a later moment."
        )
    with closing(connect_source(run.settings)) as connection:
        if not _exists(connection, name):
            raise UsageError(
                f"this session began with --consistent, and its database snapshot {name} is gone. Start a new "
                f"session (without --resume), or continue with --no-consistent: tables copied from now on are then of "
                f"a later moment."
            )
    return _by_snapshot(run.settings, name, taken_at)


def _snapshot_of(run: Run, plan: Plan) -> Mapping[str, str]:
    """The one snapshot of all the tables that are left. Raises UsageError where there are several."""
    tables: dict[tuple[tuple[str, str], ...], list[str]] = {}
    for work in plan.work:
        snapshot = run.tracker.consistency_of(run.tracker.session_of(work.table.key))
        tables.setdefault(tuple(sorted(snapshot.items())), []).append(work.table.key)
    if len(tables) > 1:
        listed = [
            f"  {', '.join(keys)}: {f'as of {taken_at}' if taken_at else 'of no one snapshot'}"
            for taken_at, keys in ((dict(snapshot).get("taken_at"), keys) for snapshot, keys in tables.items())
        ]
        raise UsageError(
            "the tables that are left belong to sessions that read different snapshots:\n" + "\n".join(listed)
            + "\nResume one session after the other with --resume --tables, or all tables with --no-consistent: they "
            "are then of later moments."
        )  # fmt: skip
    return dict(next(iter(tables)))


def end(run: Run, snapshot: SourceSnapshot) -> None:
    """Drop a session's database snapshot once it has no table left to copy; else say that it stays, and for what."""
    if snapshot.database is None:
        return
    if run.tracker.is_read_still(snapshot.database):
        run.display.say(f"📸 The database snapshot {snapshot.database} stays, so that --resume can read it.")
        return
    drop(run, snapshot.database)


def drop(run: Run, name: str) -> None:
    """Drop a database snapshot that no session needs any more; a failure is told."""
    try:
        with closing(connect_source(run.settings)) as connection:
            snapshots.drop_snapshot(connection, name)
        run.display.say(f"📸 The database snapshot {name} was dropped.")
    except (SnapshotError, UnreachableError) as error:
        # The copy is what a run is judged by, not the source's housekeeping after it.
        words = run.settings.secrets.hide(str(error))
        run.display.say(f"⚠️ WARNING: the database snapshot {name} could not be dropped: {words}. Drop it by hand.")


def _limits(run: Run) -> Limits:
    """Raises UsageError where the catalog does not tell them, and UnreachableError."""
    try:
        with closing(connect_source(run.settings)) as connection:
            return read_limits(connection, run.tables)
    except SnapshotError as error:
        raise UsageError(f"--consistent: {run.settings.secrets.hide(str(error))}. Nothing was copied.") from None


def changed_meanwhile(run: Run, snapshot: SourceSnapshot) -> str | None:
    """Why what was copied may be of several moments after all; None where it is of one, or was not to be."""
    if snapshot.level != "read-only database":
        return None
    try:
        if _limits(run).is_fixed:
            return None
        why = "is so no more"
    except (UsageError, UnreachableError) as error:
        why = f"cannot be asked whether it is so still: {run.settings.secrets.hide(str(error))}"
    return (
        f"--consistent: the source was read-only when the run began, and {why}. What was copied may be of several "
        f"moments: run again"
    )


def _by_snapshot(settings: Settings, name: str, taken_at: str) -> SourceSnapshot:
    return SourceSnapshot(
        replace(settings, source=in_database(settings.source, name)), "database snapshot", name, taken_at
    )


def _exists(connection: Any, name: str) -> bool:
    try:
        return snapshots.has_snapshot(connection, name)
    except SnapshotError as error:
        raise UsageError(f"--consistent: cannot see whether the database snapshot {name} is there: {error}") from None
