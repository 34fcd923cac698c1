"""How a run ended, in one word, and what it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from model.errors import ALL_DONE, BAD_ARGUMENTS, LOCKED, SOME_FAILED, UNREACHABLE
from model.visible import on_one_line
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
    modes: tuple[str, ...] = ()
    workers: int | None = None
    cluster: str | None = None

    @property
    def how(self) -> str:
        """In which modes rows came, and who brought or compared them, in words; empty where nobody did."""
        return how(self.modes, self.workers, self.cluster)


def how(modes: Sequence[str], workers: int | None, cluster: str | None) -> str:
    """The words for `Outcome.how`."""
    where = f" of the cluster {on_one_line(cluster)}" if cluster else ""
    who = f"{workers} worker{'s' * (workers != 1)}{where}" if workers else ""
    return ", ".join(filter(None, [*map(on_one_line, modes), who]))


def outcome(result: RunResult) -> Outcome:
    """The same without the run's tables."""
    return Outcome(
        result.run, result.script, result.session, result.started_at, verdict(result), done(result), failed(result),
        rows(result), seconds(result), result.ended_because, modes(result), result.workers, cluster(result),
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


def modes(result: RunResult) -> tuple[str, ...]:
    """How the rows of its tables came, each mode once, in the order of the tables."""
    return tuple(dict.fromkeys(one.mode for one in result.tables if one.mode))


def cluster(result: RunResult) -> str | None:
    """The cluster that did the work, by its scheduler's address; None where it was this machine."""
    address = result.settings.get("cluster")
    return str(address) if address and result.workers else None


def seconds(result: RunResult) -> float:
    """How long the run took, by its times, which are whole seconds."""
    ended, started = datetime.fromisoformat(result.ended_at), datetime.fromisoformat(result.started_at)
    return max(0.0, (ended - started).total_seconds())
