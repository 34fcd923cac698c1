"""What a run did, as a value, and the file that keeps a line of each: `runs.jsonl` beside the progress file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from model.changes import Counts
from model.visible import json_text

FILE = "runs.jsonl"


@dataclass(frozen=True)
class TableResult:
    """What became of one table in a run.

    `status` is the progress file's, as the run left it; `compared` says "equal" or "different" where both sides were
    compared. `rows`, `rejected` and `changes` (values that were changed on their way, by kind and column) are the
    table's, `seconds`, `bytes` (sent to the target) and `retries` those of this run. What is not known is None.
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


@dataclass(frozen=True)
class RunResult:
    """What a run did.

    `ended_because` is the reason in words, the same that a person read. `suspended` and `restored` count keys, indexes
    and triggers; `not_restored` names those that are not back. `skipped` names the tables left out because a
    person marked them so; `gone` those that the source no longer has, and when a run first missed them. `settings` hold
    no secret. Times are local, ISO 8601.
    `run` tells it from all others; the lines of its log begin with the first signs of it.
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

    @property
    def line(self) -> str:
        """The result as one line of JSON."""
        return json_text(asdict(self)) + "\n"


def keep(result: RunResult, folder: Path) -> None:
    """Add a run's line to the folder's `runs.jsonl`, whole and in one piece, also beside other runs.

    A new file is its owner's alone, since errors may hold values of rows. Raises OSError.
    """
    descriptor = os.open(folder / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        left = memoryview(result.line.encode("utf-8", "backslashreplace"))
        while left:
            left = left[os.write(descriptor, left) :]
    finally:
        os.close(descriptor)
