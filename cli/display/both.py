"""Two displays at the same time: a terminal or a pipe, and a log file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from run.display import Bars, Display, Line, Whole, line_of


class BothDisplays:
    """Says everything twice."""

    def __init__(self, first: Display, second: Display) -> None:
        self._both = (first, second)

    def say(self, text: str = "") -> None:
        """Say it on both."""
        self.tell(line_of(text))

    def tell(self, line: Line) -> None:
        """Say it on both."""
        for display in self._both:
            display.tell(line)

    @contextmanager
    def bars(self, whole: Whole) -> Iterator[Bars]:
        """Bars on both."""
        with self._both[0].bars(whole) as first, self._both[1].bars(whole) as second:
            yield _BothBars(first, second)


class _BothBars:
    def __init__(self, first: Bars, second: Bars) -> None:
        self._both = (first, second)

    def start(self, table: str, expected: int) -> None:
        for bars in self._both:
            bars.start(table, expected)

    def rows(self, table: str, copied: int) -> None:
        for bars in self._both:
            bars.rows(table, copied)

    def end(self, table: str) -> None:
        for bars in self._both:
            bars.end(table)
