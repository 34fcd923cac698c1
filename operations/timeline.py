"""Which worker was at which table when, in as much detail as a line of `runs.jsonl` has room for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

#: spans that are kept of a run; more than there may be workers
MOST_SPANS = 300
#: seconds between two parts of a table's work that do not part a span
SHORT_GAP = 0.5


@dataclass(frozen=True)
class Span:
    """A worker, counted from 1, was at a table from `begin` to `end`, in seconds since the run began.

    Where there was more than one table in a short time, `table` is the first of so many `tables`.
    """

    worker: int
    table: str
    begin: float
    end: float
    tables: int = 1

    @property
    def seconds(self) -> float:
        """How long it was."""
        return self.end - self.begin


class Timeline:
    """Takes note of what workers begin and end.

    The parts of a table's work that a worker does one after the other are one span. Where there would be more spans
    than `most`, the shortest of those that follow each other are taken together.
    """

    def __init__(self, most: int = MOST_SPANS) -> None:
        self._most = most
        self._open: dict[int, tuple[str, float]] = {}
        self._spans: dict[int, list[Span]] = {}
        self._count = 0
        #: seconds below which spans of several tables are taken together
        self._fineness = 0.0

    def begin(self, worker: int, table: str, at: float) -> None:
        """A worker takes up a part of a table's work."""
        self._open[worker] = (table, at)

    def end(self, worker: int, at: float) -> None:
        """It is done with that part."""
        begun = self._open.pop(worker, None)
        if begun is None:
            return
        table, since = begun
        own = self._spans.setdefault(worker, [])
        before = len(own)
        own.append(Span(worker, table, round(since, 2), round(at, 2)))
        self._join_last(own)
        self._count += len(own) - before
        while self._count > self._most:
            self._fineness = max(0.05, 2 * self._fineness)
            self._spans = {number: self._joined(spans) for number, spans in self._spans.items()}
            self._count = sum(map(len, self._spans.values()))

    def spans(self, at: float) -> tuple[Span, ...]:
        """All spans, by worker and time; those that are not over last until now."""
        for worker in list(self._open):
            self.end(worker, at)
        return tuple(span for worker in sorted(self._spans) for span in self._spans[worker])

    def _joined(self, spans: Iterable[Span]) -> list[Span]:
        joined: list[Span] = []
        for span in spans:
            joined.append(span)
            self._join_last(joined)
        return joined

    def _join_last(self, spans: list[Span]) -> None:
        """Make one of the last two where they belong together."""
        if len(spans) < 2:
            return
        first, second = spans[-2:]
        gap = second.begin - first.end
        is_same = first.table == second.table and first.tables == second.tables == 1 and gap <= SHORT_GAP
        is_short = max(first.seconds, second.seconds) < self._fineness and gap <= self._fineness
        if is_same or is_short:
            tables = 1 if is_same else first.tables + second.tables
            spans[-2:] = [replace(first, end=second.end, tables=tables)]
