"""Where the parts of a chart lie, in percent of its width or height; a template draws them as SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Literal

from model.events import FINISHER
from model.visible import on_one_line
from operations.timeline import Span
from operations.verdict import Outcome

#: percent of the width that a name needs at least to be written on its bar
ROOM_FOR_NAME = 9.0
#: percent below which a bar could not be seen
LEAST = 0.15

Kind = Literal["one", "other", "failed", "several"]


@dataclass(frozen=True)
class Bar:
    """A part of a lane: from `x` on, `width` wide, both in percent. `words` say what it is, `name` is written on it."""

    x: float
    width: float
    kind: Kind
    words: str
    name: str


@dataclass(frozen=True)
class Lane:
    """What one worker, or the finisher, did, and how many percent of the time it was busy."""

    worker: int
    busy: float
    bars: Sequence[Bar]

    @property
    def name(self) -> str:
        """For a person."""
        return "finishing" if self.worker == FINISHER else f"worker {self.worker}"


@dataclass(frozen=True)
class Column:
    """A run among others: `height` in percent of the longest one."""

    height: float
    verdict: str
    words: str


def clock(at: float) -> str:
    """`1:02:03`, `2:03` below an hour, `4.2 s` below a minute."""
    if at < 59.95:
        return f"{at:.1f} s"
    whole = round(at)
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def lanes(spans: Sequence[Span], failed: Set[str]) -> list[Lane]:
    """A lane for each worker and for the finisher, over the time from the first span's begin to the last one's end."""
    if not spans:
        return []
    start, end = edges(spans)
    whole = max(end - start, 0.01)
    workers = sorted({span.worker for span in spans}, key=lambda worker: (worker == FINISHER, worker))
    by_worker: Mapping[int, list[Span]] = {worker: [] for worker in workers}
    for span in spans:
        by_worker[span.worker].append(span)
    return [
        Lane(
            worker,
            min(100.0, 100 * sum(span.seconds for span in own) / whole),
            [_bar(span, start, whole, number, failed) for number, span in enumerate(own)],
        )
        for worker, own in by_worker.items()
    ]


def edges(spans: Sequence[Span]) -> tuple[float, float]:
    """When the first of the spans begins and the last one ends."""
    return min(span.begin for span in spans), max(span.end for span in spans)


def _bar(span: Span, start: float, whole: float, number: int, failed: Set[str]) -> Bar:
    x = 100 * (span.begin - start) / whole
    width = max(LEAST, 100 * span.seconds / whole)
    name = on_one_line(span.table) if span.tables == 1 else f"{span.tables:,} tables"
    first = f" from {on_one_line(span.table)} on" if span.tables > 1 else ""
    kind: Kind = "one" if number % 2 else "other"
    if span.tables > 1:
        kind = "several"
    elif span.table in failed:
        kind = "failed"
    return Bar(
        round(min(x, 100 - LEAST), 3), round(min(width, 100.0), 3), kind,
        f"{name}{first}: {clock(span.begin)} to {clock(span.end)}", name if width >= ROOM_FOR_NAME else "",
    )  # fmt: skip


def columns(runs: Sequence[Outcome]) -> list[Column]:
    """A column for each run, in their order."""
    longest = max((run.seconds for run in runs), default=0) or 1
    return [
        Column(
            round(max(2.0, 100 * run.seconds / longest), 1), run.verdict,
            f"{run.started_at.replace('T', ' ')}: {run.verdict}, {clock(run.seconds)}",
        )
        for run in runs
    ]  # fmt: skip
