"""What the servers tell of a run: sessions at work, whom they wait for, what is suspended, what was rejected."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2

from db import connect_source, connect_target, find_env_file, load_settings, odbc_words
from model.errors import ReplicationError
from model.settings import Settings
from mssql import activity as source_activity
from operations.status import Session, Staged, Status
from postgres import activity as target_activity
from postgres import rejected_rows, staging, suspension_record


def with_servers(status: Status, env_file: Path | None) -> Status:
    """The status with what both servers tell; what cannot be asked is among what is not known. Touches nothing."""
    try:
        settings = load_settings(find_env_file(env_file))
    except ReplicationError as error:
        return _without(status, f"both servers were not asked: {error}")
    for ask in (_target, _source):
        status = _asked(ask, status, settings)
    return status


def _asked(ask: Callable[[Status, Settings], Status], status: Status, settings: Settings) -> Status:
    try:
        return ask(status, settings)
    except Exception as error:
        # Whatever a server or a driver says: the rest is told all the same.
        words = str(error) if ask is _target or isinstance(error, ReplicationError) else odbc_words(error)
        side = "PostgreSQL" if ask is _target else "SQL Server"
        return _without(status, f"{side}: {settings.secrets.hide(words).strip().splitlines()[0]}")


def _without(status: Status, words: str) -> Status:
    return replace(status, not_known=(*status.not_known, words))


def _target(status: Status, settings: Settings) -> Status:
    with closing(connect_target(settings)) as target:
        sessions = [
            Session("PostgreSQL", one.pid, one.does, one.waits_for, one.worker)
            for one in target_activity.at_work(target)
        ]
        suspended, rejected = status.suspended, status.rejected
        staged = [Staged(one.live, one.rows, one.is_complete, one.session) for one in staging.all_loads(target)]
        if suspension_record.is_made(target):
            suspended = [str(one) for one in suspension_record.read(target)]
            try:
                rejected = {str(table): count for table, count in rejected_rows.count_all(target).items()}
            except psycopg2.Error:
                target.rollback()
    return replace(
        status, sessions=(*status.sessions, *sessions), suspended=suspended, rejected=rejected, staged=staged
    )


def _source(status: Status, settings: Settings) -> Status:
    with closing(connect_source(settings)) as source:
        found = source_activity.at_work(source)
    if found is None:
        return _without(status, f"SQL Server: {source_activity.NOT_SHOWN}")
    sessions = [Session("SQL Server", one.session, one.does, one.waits_for) for one in found]
    return replace(status, sessions=(*status.sessions, *sessions))
