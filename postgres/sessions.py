"""Sessions as the target knows them: of which source, and where the progress file lies that `--resume` continues with.

So that a run that is started from the wrong folder notices it, and `--status` finds what the file does not say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg2

from db import target_words
from model.errors import RecordError

CREATE = """
CREATE TABLE IF NOT EXISTS replication.session (
    session text PRIMARY KEY,
    keeps_rows boolean NOT NULL,
    started_at timestamptz NOT NULL DEFAULT now(),
    phase text,
    source text,
    progress_file text,
    host text,
    last_run_at timestamptz,
    ended_at timestamptz
);
COMMENT ON TABLE replication.session IS
    'Sessions of both scripts. keeps_rows: begun with --no-truncate. ended_at: when nothing was left to do.';
"""

# Versions before knew sessions of sync-data.py only, and not where they were kept.
UPGRADE = """
ALTER TABLE replication.session
    ADD COLUMN IF NOT EXISTS phase text, ADD COLUMN IF NOT EXISTS source text,
    ADD COLUMN IF NOT EXISTS progress_file text, ADD COLUMN IF NOT EXISTS host text,
    ADD COLUMN IF NOT EXISTS last_run_at timestamptz, ADD COLUMN IF NOT EXISTS ended_at timestamptz;
"""

GOES_ON = """
INSERT INTO replication.session (session, keeps_rows, phase, source, progress_file, host, last_run_at)
VALUES (%(session)s, %(keeps_rows)s, %(phase)s, %(source)s, %(progress_file)s, %(host)s, now())
ON CONFLICT (session) DO UPDATE SET
    phase = excluded.phase, source = excluded.source, progress_file = excluded.progress_file, host = excluded.host,
    last_run_at = now(), ended_at = CASE WHEN %(has_work)s THEN NULL ELSE session.ended_at END
"""
ENDED = "UPDATE replication.session SET ended_at = coalesce(ended_at, now()) WHERE session = %s"
KEEPS_ROWS = "SELECT keeps_rows FROM replication.session WHERE session = %s"
KNOWN = """
SELECT session, phase, source, progress_file, host, started_at, last_run_at, ended_at
FROM replication.session
WHERE phase = %s AND lower(source) = lower(%s) AND progress_file IS NOT NULL
ORDER BY last_run_at DESC, started_at DESC
"""


@dataclass(frozen=True)
class Place:
    """Where a session is kept: which phase's, of which source (server and database), in which file on which host."""

    phase: str
    source: str
    progress_file: str
    host: str


@dataclass(frozen=True)
class Session:
    """A session that runs of this tool worked on. `ended_at` is None while something of it is left to do."""

    session: str
    place: Place
    started_at: datetime
    last_run_at: datetime
    ended_at: datetime | None


def goes_on(connection: Any, session: str, place: Place, *, keeps_rows: bool, has_work: bool) -> None:
    """Write down that a run works on a session, and where it is kept.

    `keeps_rows` says of a new session whether it keeps the rows that are there, for those who resume it; `has_work`
    whether something is left to do. Raises RecordError.
    """
    values = {
        "session": session, "keeps_rows": keeps_rows, "phase": place.phase, "source": place.source,
        "progress_file": place.progress_file, "host": place.host, "has_work": has_work,
    }  # fmt: skip
    try:
        with connection.cursor() as cursor:
            cursor.execute(GOES_ON, values)
        connection.commit()
    except psycopg2.Error as error:
        raise RecordError(f"the session cannot be recorded: {target_words(error)}") from None


def note_end(connection: Any, session: str) -> None:
    """Write down that a session has nothing left to do. Raises RecordError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(ENDED, (session,))
        connection.commit()
    except psycopg2.Error as error:
        raise RecordError(f"the session's end cannot be recorded: {target_words(error)}") from None


def keeps_rows(connection: Any, session: str) -> bool:
    """Whether a session was begun with --no-truncate; False where that is not known. Raises RecordError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(KEEPS_ROWS, (session,))
            found = cursor.fetchone()
        connection.rollback()
    except psycopg2.Error as error:
        raise RecordError(f"the session cannot be read: {target_words(error)}") from None
    return found is not None and bool(found[0])


def known(connection: Any, phase: str, source: str) -> list[Session]:
    """The sessions of a phase and a source, the one that a run worked on last first. Raises RecordError."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(KNOWN, (phase, source))
            found = cursor.fetchall()
        connection.rollback()
    except psycopg2.Error as error:
        raise RecordError(f"the sessions cannot be read: {target_words(error)}") from None
    return [Session(row[0], Place(*row[1:5]), *row[5:8]) for row in found]
