"""A display that takes note of what a person is warned of, for the run's result."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

from cli.display.log import without_sign
from run.display import Bars, Display, Line, Whole, line_of

#: warnings whose facts stand in the result already
TOLD_AS_FACTS = frozenset({"values changed", "rows rejected", "chunks are there", "tried again"})


class NotingDisplay:
    """Says everything on another display, and hands warnings to `note` as well."""

    def __init__(self, display: Display, note: Callable[[str], None]) -> None:
        self._display = display
        self._note = note

    def say(self, text: str = "") -> None:
        """Say it."""
        self.tell(line_of(text))

    def tell(self, line: Line) -> None:
        """Say it."""
        if line.level == "warning" and line.event not in TOLD_AS_FACTS:
            self._note(without_sign(line.in_log if line.in_log is not None else line.text).strip())
        self._display.tell(line)

    def bars(self, whole: Whole) -> AbstractContextManager[Bars]:
        """Its bars."""
        return self._display.bars(whole)
