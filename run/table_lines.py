"""What is said of tables while several are worked on at a time: never the lines of two mixed."""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from model.events import TriedAgain
from model.visible import on_one_line
from run.display import Display, Line


def again_in_words(event: TriedAgain) -> str:
    """What failed, and when it is tried again."""
    where = f"{event.task}: " if event.task else ""
    return f"🔁 {where}{event.error}; attempt {event.attempt} of {event.attempts} in {event.seconds:.1f} s"


def with_name(full_name: str, text: str) -> str:
    """Words of a table's own lines as a log gives them: with its name, after their first sign."""
    sign, blank, words = text.partition(" ")
    name = on_one_line(full_name)
    return f"{sign} {name}: {words}" if blank and not sign.isascii() else f"{name}: {text}"


def as_in_log(line: Line) -> Line:
    """A line as a log has it, which names the table."""
    return replace(line, text=line.in_log or line.text, in_log=None)


class TableLines(Protocol):
    """Says the lines of tables."""

    def add(self, key: str, *lines: Line) -> None:
        """Lines of a table."""

    def remark(self, key: str, line: Line) -> None:
        """Something about a table that a person should know now."""

    def end(self, key: str) -> None:
        """Nothing more is said of the table."""


class LiveLines:
    """Says everything at once: for one table at a time, while those before it may still be finished.

    What is said of these is said as a log does, which names the table.
    """

    def __init__(self, display: Display) -> None:
        self._display = display
        self._begun: set[str] = set()
        self._newest = ""

    def add(self, key: str, *lines: Line) -> None:
        """Say them."""
        if key not in self._begun:
            self._begun.add(key)
            self._newest = key
        for line in lines:
            self._display.tell(line if key == self._newest else as_in_log(line))

    def remark(self, key: str, line: Line) -> None:
        """Say it."""
        self.add(key, line)

    def end(self, key: str) -> None:
        """Nothing is kept."""


class BlockLines:
    """Says a table's lines together when it ends, and what cannot wait at once, with the table's name."""

    def __init__(self, display: Display) -> None:
        self._display = display
        self._lines: dict[str, list[Line]] = {}

    def add(self, key: str, *lines: Line) -> None:
        """Keep them until the table ends."""
        self._lines.setdefault(key, []).extend(lines)

    def remark(self, key: str, line: Line) -> None:  # noqa: ARG002
        """Say it as a log does, which names the table."""
        self._display.tell(as_in_log(line))

    def end(self, key: str) -> None:
        """Say what was kept."""
        for line in self._lines.pop(key, []):
            self._display.tell(line)
