"""What the files tell of a run: the progress file, who holds it, and the runs that were."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from hand_edits.statuses import STATUSES, Phase
from hand_edits.whole_files import real_path
from model.errors import ProgressFileError
from operations import verdict
from operations.history import last_runs
from operations.run_result import RunResult
from operations.status import Holder, LastRun, Staged, Status, UnderWay
from progress import ProgressTracker

SCRIPTS: Mapping[Phase, str] = {"schema": "replicate-schema.py", "data": "sync-data.py"}
#: runs among which the last verification, and rows that a table had, are looked for
RUNS_LOOKED_AT = 200


def read_files(path: Path, phase: Phase, now: datetime) -> Status:
    """A script's status as its files tell it; what cannot be read is among what is not known. Touches nothing."""
    not_known: list[str] = []
    tracker = ProgressTracker(path, phase)
    holder = _holder(path)
    is_readable = True
    try:
        tracker.load()
    except ProgressFileError as error:
        is_readable = False
        not_known.append(str(error))
    runs: list[RunResult] = []
    try:
        runs, broken = last_runs(path.parent, RUNS_LOOKED_AT)
        not_known += [f"{one.file}, line {one.line}: {one.why}" for one in broken]
    except OSError as error:
        not_known.append(f"the runs that were: {error.strerror or error}")
    script = SCRIPTS[phase]
    ours = [run for run in runs if run.script == script]
    compared = [run for run in ours if any(one.compared for one in run.tables)]
    entries = {name: tracker.entry(name) for name in tracker.entries}
    rows = sum(_rows(entry) for entry in entries.values())
    known = _rows_before(ours)
    rate, left = _pace(entries, holder, known, now)
    return Status(
        script=script,
        progress_file=str(path),
        session=tracker.facts.get("session_id"),
        session_begun=tracker.facts.get("session_start"),
        last_updated=tracker.facts.get("last_updated"),
        holder=holder,
        tables=_counts(tracker, entries),
        rows=rows,
        rate=rate,
        seconds_left=left,
        under_way=[
            UnderWay(name, _rows(entry), known.get(name), str(entry.get("started_at", "?")))
            for name, entry in entries.items()
            if entry.get("status") == "in_progress" and "staged_at" not in entry
        ],
        staged=[
            Staged(name, _rows(entry), True, tracker.session_of(name))
            for name, entry in entries.items()
            if entry.get("status") == "in_progress" and "staged_at" in entry
        ],
        failed={
            name: str(entry.get("error") or "") for name, entry in entries.items() if entry.get("status") == "failed"
        },
        suspended=[f"{one.get('kind')} {one.get('name')} of {one.get('table')}" for one in tracker.suspended],
        last_run=_last(ours),
        last_verification=_last(compared),
        not_known=tuple(not_known),
        is_readable=is_readable,
    )


def _counts(tracker: ProgressTracker, entries: Mapping[str, Mapping[str, object]]) -> dict[str, int]:
    gone = set(tracker.gone)
    found = [entry.get("status") for name, entry in entries.items() if name not in gone]
    counts: dict[str, int] = {status: found.count(status) for status in STATUSES if found.count(status)}
    return {**counts, **({"gone": len(gone)} if gone else {})}


def _rows(entry: Mapping[str, object]) -> int:
    """Rows that are committed, or on their way."""
    values = [entry.get(name) for name in ("rows_synced", "rows_copied")]
    return max((value for value in values if isinstance(value, int)), default=0)


def _rows_before(runs: Sequence[RunResult]) -> dict[str, int]:
    """The rows that each table had when it was completed last."""
    known: dict[str, int] = {}
    for run in runs:
        known |= {one.table: one.rows for one in run.tables if one.status == "completed" and one.rows is not None}
    return known


def _pace(
    entries: Mapping[str, Mapping[str, object]], holder: Holder | None, known: Mapping[str, int], now: datetime
) -> tuple[float | None, int | None]:
    """Rows a second of the run that is at work, and the seconds that it still takes by what tables had before."""
    began = re.search(r"since (\S+)", holder.words) if holder is not None and holder.is_alive is not False else None
    if began is None:
        return None, None
    started = began[1]
    with suppress(ValueError):
        elapsed = (now - datetime.fromisoformat(started)).total_seconds()
        moved = sum(_rows(entry) for entry in entries.values() if str(entry.get("started_at", "")) >= started)
        rate = moved / elapsed if elapsed > 0 and moved else None
        waiting = {name: entry for name, entry in entries.items() if entry.get("status") in ("pending", "in_progress")}
        if rate is None or not waiting.keys() <= known.keys():
            return rate, None
        left = sum(max(known[name] - _rows(entry), 0) for name, entry in waiting.items())
        return rate, round(left / rate)
    return None, None


def _last(runs: Sequence[RunResult]) -> LastRun | None:
    if not runs:
        return None
    run = runs[-1]
    came = verdict.outcome(run)
    return LastRun(
        run.run, run.started_at, run.ended_at, came.verdict, run.exit_code, run.ended_because, came.modes,
        came.workers, came.cluster, came.how,
    )  # fmt: skip


def _holder(path: Path) -> Holder | None:
    """Who holds the progress file. A process that died leaves its words behind, and holds nothing."""
    real = real_path(path)
    try:
        words = real.with_name(real.name + ".lock.holder").read_text(encoding="utf-8", errors="backslashreplace")
    except OSError:
        return None
    found = re.match(r"process (\d+) on (\S+) in ", words)
    if found is None or found[2] != socket.gethostname() or sys.platform == "win32":
        return Holder(words, None)
    return Holder(words, _is_alive(int(found[1]), real.with_name(real.name + ".lock")))


def _is_alive(pid: int, lock: Path) -> bool:
    """Whether the process lives and, where the system lists locks, holds this one: numbers are used again."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    with suppress(OSError):
        inode = lock.stat().st_ino
        listed = Path("/proc/locks").read_text(encoding="ascii", errors="replace")
        return any(line.split()[5].endswith(f":{inode}") for line in listed.splitlines() if len(line.split()) > 5)
    return True
