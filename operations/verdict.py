"""How a run ended, in one word, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from model.errors import ALL_DONE, BAD_ARGUMENTS, LOCKED, SOME_FAILED, UNREACHABLE
from operations.run_result import RunResult

Verdict = Literal["done", "failed", "refused", "unreachable", "busy", "stopped"]

_VERDICTS: Mapping[int, Verdict] = {
    ALL_DONE: "done", SOME_FAILED: "failed", BAD_ARGUMENTS: "refused", UNREACHABLE: "unreachable", LOCKED: "busy",
}  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a run came to, in a line of a table."""

    run: str
    script: str
    session: str | None
    started_at: str
    verdict: Verdict
    done: int
    failed: int
    rows: int
    seconds: float
    ended_because: str


def outcome(result: RunResult) -> Outcome:
    """The same without the run's tables."""
    return Outcome(
        result.run, result.script, result.session, result.started_at, verdict(result), done(result), failed(result),
        rows(result), seconds(result), result.ended_because,
    )  # fmt: skip


def verdict(result: RunResult) -> Verdict:
    """The word for a run's exit code; whatever else ends a run stops it."""
    return _VERDICTS.get(result.exit_code, "stopped")


def done(result: RunResult) -> int:
    """The tables that the run completed, or compared and found equal."""
    return sum(
        one.status == "completed" or (one.status, one.compared) == ("compared", "equal") for one in result.tables
    )


def failed(result: RunResult) -> int:
    """The tables that failed, or differ."""
    return sum(one.status == "failed" or one.compared == "different" for one in result.tables)


def rows(result: RunResult) -> int:
    """The rows that the run brought into tables, or compared."""
    return sum(max(0, (one.rows or 0) - one.rows_before) for one in result.tables)


def seconds(result: RunResult) -> float:
    """How long the run took, by its times, which are whole seconds."""
    ended, started = datetime.fromisoformat(result.ended_at), datetime.fromisoformat(result.started_at)
    return max(0.0, (ended - started).total_seconds())
