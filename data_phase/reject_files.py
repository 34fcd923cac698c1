"""The files in `rejects/` that list the rows which PostgreSQL refused.

The truth is in the target, in `replication.reject`; the files mirror it for people.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence

import psycopg2

from db import connect_target, target_words
from hand_edits.whole_files import write_lines_atomically
from model.catalog import Table
from model.error_values import without_values
from model.visible import visible_json
from operations.run_result import RejectReason
from postgres import rejected_rows
from postgres.names import target_name
from run.context import Run

#: characters; with what is added to them, file systems take 255 bytes
LONGEST_FILE_NAME = 200
FOLDER = "rejects"
#: reasons of a table that the run's result keeps
MOST_REASONS = 5


def write_files(this_run: Run, tables: Sequence[Table]) -> int:
    """Let the folder hold what the target has recorded about the tables; returns how many rows that is.

    It lies beside the progress file. What cannot be written is told, and written by the next run.
    """
    folder = this_run.tracker.path.parent / FOLDER
    connection = connect_target(this_run.settings)
    total = 0
    reasons: dict[str, list[RejectReason]] = {}
    try:
        counts = rejected_rows.count_all(connection)
        for table in tables:
            target = target_name(table, this_run.settings)
            file = folder / f"{file_name(table.key)}.jsonl"
            if not counts.get(target):
                file.unlink(missing_ok=True)
                continue
            total += counts[target]
            found = rejected_rows.reasons(connection, target, MOST_REASONS)
            hide = this_run.settings.secrets.hide
            reasons[table.key] = [RejectReason(column, code, rows, hide(words)) for column, code, rows, words in found]
            folder.mkdir(mode=0o700, exist_ok=True)
            lines = rejected_rows.lines(connection, target, table.full_name)
            shown = map(_without_values, lines) if this_run.settings.secrets.hides_values else lines
            write_lines_atomically(file, map(visible_json, shown))
            this_run.display.say(
                f"⚠️ {table.full_name}: {counts[target]:,} rejected rows, listed in {FOLDER}/{file.name}"
            )
    except (psycopg2.Error, OSError) as error:
        words = target_words(error) if isinstance(error, psycopg2.Error) else str(error)
        words = this_run.settings.secrets.hide(words)
        this_run.display.say(
            f"⚠️ WARNING: {folder} cannot be written: {words}. The rows are in replication.reject in the target; "
            f"the next run writes the files."
        )
    finally:
        connection.close()
        this_run.recorder.rejects(reasons)
    if total:
        this_run.display.say("💡 Use --retry-rejects once the cause is fixed")
    return total


def _without_values(line: str) -> str:
    """A row's line without its key and its values: they are in replication.reject, where --retry-rejects finds them."""
    document = json.loads(line)
    shown = {name: value for name, value in document.items() if name not in ("key", "row")}
    return json.dumps({**shown, "reason": without_values(str(document.get("reason") or ""))}, ensure_ascii=False) + "\n"


def file_name(key: str) -> str:
    """A table's name as the name of a file on any system, also where cron's locale knows ASCII only."""
    escaped = re.sub(
        r'[^ -~]|[%/\\:*?"<>|]',
        lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode("utf-8", "surrogatepass")),
        key,
    )
    escaped = re.sub(r"^\.", "%2E", escaped)
    # Names of devices on Windows, whatever follows behind a dot (Microsoft, "Naming Files, Paths, and Namespaces").
    if re.match(r"(?i)(con|prn|aux|nul|com\d|lpt\d)(\.|$)", escaped):
        escaped = f"%{ord(escaped[0]):02X}{escaped[1:]}"
    if len(escaped) > LONGEST_FILE_NAME:
        digest = hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16]
        return f"{escaped[: LONGEST_FILE_NAME - 20]}-{digest}"
    return escaped
