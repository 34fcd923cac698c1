"""What both phases note in the target about the session they work on, and the slips that this finds out."""

from __future__ import annotations

import os
import socket
from contextlib import closing
from typing import Any

from db import connect_target
from model.errors import RecordError, UnreachableError, UsageError
from postgres import sessions
from postgres.sessions import Place, Session
from progress import ProgressTracker
from run.context import Run
from run.options import Options
from run.plan import Plan

HOW_TO_BEGIN = "To begin a new session, run without --resume, or with --new-session"


def refuse_without_folder(options: Options, tracker: ProgressTracker) -> None:
    """Raise UsageError where a session is to be continued whose file's folder is not there: a disk that is not mounted,
    a path that was mistyped."""
    folder = tracker.path.parent
    if (options.resume or options.nightly) and not folder.is_dir():
        flag = "--resume" if options.resume else "--nightly"
        raise UsageError(
            f"{flag}: the folder {folder.absolute()} of the progress file does not exist. Nothing was done. Is the "
            f"path right, and its disk mounted? {HOW_TO_BEGIN}: that makes the folder."
        )


def refuse_elsewhere(this_run: Run, plan: Plan, connection: Any) -> None:
    """Refuse to begin a session by `--resume` where the target knows one of this source in another place.

    Begun by `--nightly`, it is only told. Needs the schema `replication`. Raises UsageError, RecordError.
    """
    options = this_run.options
    if plan.is_known or not (options.resume or options.nightly):
        return
    here = place_of(this_run)
    found = sessions.known(connection, here.phase, here.source)
    if not found or _is_at(found[0], here):
        return
    known = f"the target knows a session of {here.source} in another place: {_in_words(found[0], here)}"
    if options.nightly:
        this_run.display.say(f"⚠️ There is no progress file {this_run.tracker.path}, but {known}. This run begins anew.")
        return
    raise UsageError(
        f"--resume: there is no progress file {here.progress_file}, but {known}. Nothing was changed. To continue that "
        f"session, start from its folder or name its file with --progress-file. {HOW_TO_BEGIN}."
    )


def place_of(this_run: Run) -> Place:
    """Where this run's session is kept."""
    path = os.path.realpath(this_run.tracker.path)
    return Place(this_run.tracker.phase, this_run.settings.source.label, path, socket.gethostname())


def note_session(this_run: Run, plan: Plan, connection: Any) -> None:
    """Let the target know of the session, once it stands in the progress file. Raises RecordError."""
    sessions.goes_on(
        connection,
        this_run.tracker.session_id,
        place_of(this_run),
        keeps_rows=this_run.options.no_truncate and plan.is_new,
        has_work=bool(plan.work),
    )


def note_end(this_run: Run) -> None:
    """Let the target know that the session is over, if it is; a failure is told, and costs nothing else."""
    if this_run.tracker.unfinished:
        return
    try:
        with closing(connect_target(this_run.settings)) as connection:
            sessions.note_end(connection, this_run.tracker.session_id)
    except (RecordError, UnreachableError) as error:
        this_run.display.say(f"⚠️ WARNING: {error}. All tables are done all the same.")


def _is_at(session: Session, here: Place) -> bool:
    return (session.place.progress_file, session.place.host) == (here.progress_file, here.host)


def _in_words(session: Session, here: Place) -> str:
    where = session.place.progress_file + (f" on {session.place.host}" if session.place.host != here.host else "")
    ended = f", ended {_time(session.ended_at)}" if session.ended_at else ", not ended"
    return f"{where} (begun {_time(session.started_at)}, last run {_time(session.last_run_at)}{ended})"


def _time(moment: Any) -> str:
    return str(moment.astimezone().strftime("%Y-%m-%d %H:%M"))
