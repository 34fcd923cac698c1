"""What a run did, as a value, and the file that keeps a line of each: `runs.jsonl` beside the progress file."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from model.changes import Counts
from model.visible import json_text
from operations.timeline import Span

FILE = "runs.jsonl"
#: how often it is looked whether another run has ended its line
LOOKS, SECONDS_BETWEEN_LOOKS = 10, 0.02


@dataclass(frozen=True)
class TableResult:
    """What became of one table in a run.

    `status` is the progress file's, as the run left it; `compared` says "equal" or "different" where both sides were
    compared. `rows`, `rejected` and `changes` (values that were changed on their way, by kind and column) are the
    table's, `seconds`, `bytes` (sent to the target) and `retries` those of this run. `rows_before` of the rows were
    there when this run began with the table, because it continued a load. `staged` rows are complete, and not live yet.
    `mode` is how its rows came (`truncate`, `merge`, `swap`; `keep` where rows of others stayed). What is not known is
    None.
    """

    table: str
    status: str
    rows: int | None = None
    seconds: float | None = None
    bytes: int | None = None
    error: str | None = None
    changes: Counts = field(default_factory=dict)
    rejected: int = 0
    retries: int = 0
    compared: str | None = None
    rows_before: int = 0
    staged: bool = False
    mode: str | None = None


@dataclass(frozen=True)
class RejectReason:
    """Why so many rows of a table were rejected: the column where the server named one, its code, and its words.

    The words are those of one of the rows.
    """

    column: str | None
    sqlstate: str
    rows: int
    words: str


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    `ended_because` is the reason in words, the same that a person read. `suspended` and `restored` count keys, indexes
    and triggers; `not_restored` names those that are not back. `skipped` names the tables left out because a
    person marked them so; `gone` those that the source no longer has, and when a run first missed them. `settings` hold
    no secret. So many `workers` copied or compared at the same time at most; those of a cluster where `settings` name
    one. Times are local, ISO 8601.
    `run` tells it from all others; the lines of its log begin with the first signs of it.

    `spans` say which worker was at which table when, in seconds since the run began. `rejects` are the reasons of all
    rejected rows that the target had recorded when the run ended, by table. `suspended_objects` names what was
    suspended, `warnings` what a person was warned of, each up to a limit; `more_warnings` were beyond it.
    """

    script: str
    arguments: Sequence[str]
    session: str | None
    started_at: str
    ended_at: str
    exit_code: int
    ended_because: str
    tables: Sequence[TableResult] = ()
    left_alone: int = 0
    suspended: int = 0
    restored: int = 0
    not_restored: Sequence[str] = ()
    skipped: Sequence[str] = ()
    gone: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, object] = field(default_factory=dict)
    run: str = ""
    spans: Sequence[Span] = ()
    rejects: Mapping[str, Sequence[RejectReason]] = field(default_factory=dict)
    suspended_objects: Sequence[str] = ()
    warnings: Sequence[str] = ()
    more_warnings: int = 0
    workers: int | None = None

    @property
    def line(self) -> str:
        """The result as one line of JSON."""
        return json_text(asdict(self)) + "\n"


def keep(result: RunResult, folder: Path) -> None:
    """Add a run's line to the folder's `runs.jsonl`, whole and in one piece, also beside other runs.

    A new file is its owner's alone, since errors may hold values of rows. Raises OSError.
    """
    # Windows would write another end of a line otherwise.
    as_it_is = getattr(os, "O_BINARY", 0)
    descriptor = os.open(folder / FILE, os.O_RDWR | os.O_APPEND | os.O_CREAT | as_it_is, 0o600)
    try:
        written = result.line.encode("utf-8", "backslashreplace")
        left = memoryview(written if _ends_a_line(descriptor) else b"\n" + written)
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)


def _ends_a_line(descriptor: int) -> bool:
    """Whether a file ends where a line ends: one that a full disk or a kill cut off must not spoil the next.

    A line that another run is writing at this moment ends by itself.
    """
    for _ in range(LOOKS):
        if os.lseek(descriptor, 0, os.SEEK_END) == 0:
            return True
        os.lseek(descriptor, -1, os.SEEK_END)
        if os.read(descriptor, 1) == b"\n":
            return True
        time.sleep(SECONDS_BETWEEN_LOOKS)
    return False
