"""The display on a terminal: the lines of every display, and live bars under them (rich)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from cli.display.line_bars import Advance, LineBars
from cli.display.plain import USUAL, SteadyStream, Taste, in_words
from model.visible import on_one_line
from run.display import Bars, Line, Whole, line_of


class _RateColumn(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task) -> Text:  # type: ignore[no-untyped-def]
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "", style="progress.data.speed")


class _LiveBars:
    """A bar for each table under way, and one for all of them with the time that is left."""

    def __init__(self, progress: Progress, encoding: str, whole: Whole) -> None:
        self._progress = progress
        self._encoding = encoding
        self._tasks: dict[str, TaskID] = {}
        self._advance = Advance(whole)
        self._all = progress.add_task(self._all_in_words, total=whole.rows or None)

    @property
    def _all_in_words(self) -> str:
        return f"{self._advance.tables} of {self._advance.whole.tables} tables"

    def _show_all(self) -> None:
        self._progress.update(self._all, description=self._all_in_words, completed=self._advance.rows)

    def start(self, table: str, expected: int) -> None:
        self._tasks[table] = self._progress.add_task(
            in_words(on_one_line(table), self._encoding), total=expected or None
        )
        self._advance.under_way[table] = 0

    def rows(self, table: str, copied: int) -> None:
        if table in self._tasks:
            self._progress.update(self._tasks[table], completed=copied)
            self._advance.under_way[table] = copied
            self._show_all()

    def end(self, table: str) -> None:
        if table in self._tasks:
            self._progress.remove_task(self._tasks.pop(table))
        self._advance.end(table)
        self._show_all()


class TerminalDisplay:
    """The same lines on a terminal, with live bars under them while rows travel."""

    def __init__(self, stream: TextIO | None, taste: Taste = USUAL) -> None:
        self._taste = taste
        steady = SteadyStream(stream)
        self._encoding = steady.encoding
        # A console of rich's ends the process itself where its reader has gone.
        file = cast("TextIO", steady)
        self._console = Console(file=file, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def say(self, text: str = "") -> None:
        self.tell(line_of(text))

    def tell(self, line: Line) -> None:
        if self._taste.wants(line, "detail"):
            self._console.print(in_words(self._taste.shown(line.text), self._encoding))

    @contextmanager
    def bars(self, whole: Whole) -> Iterator[Bars]:
        if self._taste.verbosity == "quiet":
            yield LineBars(self, whole)
            return
        ascii_only = in_words("█", self._encoding) != "█"
        bar = TextColumn("") if ascii_only else BarColumn(bar_width=30)
        name = TextColumn("   {task.description}", markup=False)
        progress = Progress(
            name, bar, MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn(),
            console=self._console, transient=True, refresh_per_second=4,
        )  # fmt: skip
        with progress:
            yield _LiveBars(progress, self._encoding, whole)
