"""Rows that PostgreSQL refused, in the data phase: the files that list them, and loading them again.

The truth is in the target, in `replication.reject`; the files mirror it for people.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import psycopg2

from cli.session import Run
from data_phase.chunk_copy import EXPECTED, Job, Lane, retry_rejects
from db import target_words
from model.catalog import Table
from model.errors import UnfitTargetError
from model.visible import visible_json
from postgres import loader, rejected_rows
from postgres.introspection import TargetTable
from postgres.names import TargetName, target_name
from progress import write_lines_atomically

#: characters; with what is added to them, file systems take 255 bytes
LONGEST_FILE_NAME = 200
FOLDER = "rejects"


@dataclass(frozen=True)
class OnRefusal:
    """What a row does that PostgreSQL refuses.

    With `leaves_out` it is recorded and the rest of its table is loaded; with `retries` nothing but the
    rows that were left out before is loaded. Else it fails its table.
    """

    leaves_out: bool = False
    retries: bool = False


FAIL = OnRefusal()


def write_files(this_run: Run) -> int:
    """Let the folder hold what the target has recorded about the run's tables; returns how many rows that is.

    It lies beside the progress file. What cannot be written is told, and written by the next run.
    """
    folder = this_run.tracker.path.parent / FOLDER
    lane = Lane(this_run.settings)
    total = 0
    try:
        counts = rejected_rows.count_all(lane.target)
        for table in this_run.tables:
            place = target_name(table, this_run.settings)
            file = folder / f"{file_name(table.key)}.jsonl"
            if not counts.get(place):
                file.unlink(missing_ok=True)
                continue
            total += counts[place]
            folder.mkdir(mode=0o700, exist_ok=True)
            write_lines_atomically(file, map(visible_json, rejected_rows.lines(lane.target, place, table.full_name)))
            this_run.display.say(
                f"⚠️ {table.full_name}: {counts[place]:,} rejected rows, listed in {FOLDER}/{file.name}"
            )
    except (psycopg2.Error, OSError) as error:
        words = target_words(error) if isinstance(error, psycopg2.Error) else str(error)
        words = this_run.settings.secrets.hide(words)
        this_run.display.say(
            f"⚠️ WARNING: {folder} cannot be written: {words}. The rows stand in replication.reject in the target; "
            f"the next run writes the files."
        )
    finally:
        lane.disconnect()
    if total:
        this_run.display.say("💡 Use --retry-rejects once the cause is mended")
    return total


def file_name(key: str) -> str:
    """A table's name as the name of a file on any system, also where cron's locale knows ASCII only."""
    escaped = re.sub(
        r'[^ -~]|[%/\\:*?"<>|]',
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")),
        key,
    )
    escaped = re.sub(r"^\.", "%2E", escaped)
    if len(escaped) > LONGEST_FILE_NAME:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"{escaped[: LONGEST_FILE_NAME - 20]}-{digest}"
    return escaped


def rejected_tables(this_run: Run, lane: Lane) -> list[Table]:
    """Those of the run's tables of which rejected rows are recorded. Raises psycopg2.Error."""
    counts = rejected_rows.count_all(lane.target)
    return [table for table in this_run.tables if counts.get(target_name(table, this_run.settings))]


def retry(this_run: Run, existing: dict[TargetName, TargetTable], tables: Sequence[Table], run: int) -> bool:
    """Load the rejected rows of these tables again; False where a table failed altogether.

    Round after round while any goes in, since a row may have waited for one that another table rejected.
    `run` is the one that has claimed the tables. Raises UnreachableError.
    """
    has_progress = this_run.tracker.load()
    is_whole = True
    # In a thread: a signal would have to wait for the servers' answers.
    executor = ThreadPoolExecutor(1, thread_name_prefix="retry")
    try:
        waiting = list(tables)
        while waiting:
            refused: list[Table] = []
            any_went_in = False
            for table in waiting:
                try:
                    job = _job(this_run, existing, table, run)
                    retried = executor.submit(retry_rejects, this_run.settings, job).result()
                except (*EXPECTED, UnfitTargetError) as error:
                    is_whole = False
                    this_run.display.say(f"❌ {table.full_name}: {this_run.settings.secrets.hide(str(error))}")
                    continue
                gone = f", {retried.gone:,} are no longer on the source" if retried.gone else ""
                told = f"{retried.loaded:,} rejected rows went in, {retried.refused:,} are refused again{gone}"
                this_run.display.say(f"🔁 {table.full_name}: {told}")
                if has_progress and this_run.tracker.entry(table.key):
                    rows = this_run.tracker.rows_synced(table.key) + retried.loaded
                    this_run.tracker.record(table.key, rows_synced=rows, rows_rejected=retried.refused)
                any_went_in = any_went_in or retried.loaded > 0
                if retried.refused:
                    refused.append(table)
            waiting = refused if any_went_in else []
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
    return is_whole


def _job(this_run: Run, existing: dict[TargetName, TargetTable], table: Table, run: int) -> Job:
    place = target_name(table, this_run.settings)
    if place not in existing:
        raise UnfitTargetError(f"the target table {place} does not exist any more")
    plan = loader.plan_load(table, existing[place], this_run.settings)
    return Job(table, plan, session="", run=run, empties=False, reject_limit=0)
