"""What is said of tables, in their order, though several are worked on at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from model.events import TriedAgain
from run.display import Display


def again_in_words(event: TriedAgain) -> str:
    """What failed, and when it is tried again."""
    where = f"{event.task}: " if event.task else ""
    return f"🔁 {where}{event.error}; attempt {event.attempt} of {event.attempts} in {event.seconds:.1f} s"


class LinesInOrder:
    """Says each table's lines when all tables before it are over."""

    def __init__(self, display: Display, keys: Sequence[str], on_over: Callable[[int], None] = lambda _: None) -> None:
        """`on_over` is told how many tables have been shown to their end, after each."""
        self._display = display
        self._keys = keys
        self._lines: dict[str, list[str]] = {key: [] for key in keys}
        self._over: set[str] = set()
        self._on_over = on_over
        self._shown = 0

    def add(self, key: str, *lines: str) -> None:
        """Lines of a table."""
        self._lines[key] += lines

    def end(self, key: str) -> None:
        """Nothing more is said of the table."""
        self._over.add(key)

    def show(self) -> None:
        """Say what is new of the table whose turn it is, and go on to the next when it is over."""
        while self._shown < len(self._keys):
            key = self._keys[self._shown]
            for line in self._lines[key]:
                self._display.say(line)
            self._lines[key].clear()
            if key not in self._over:
                return
            self._shown += 1
            self._on_over(self._shown)
