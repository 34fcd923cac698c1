"""What a person sees: banners, one block a table, live bars on a terminal, plain lines for cron.

The texts are the same everywhere. A terminal adds bars; a pipe or cron gets whole lines without
control characters; an output whose encoding has no emoji gets words in their place.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.text import Text

from progress import Summary

RULE = "=" * 60
SECONDS_BETWEEN_LINES = 30.0

#: emoji → the word that stands for it where the output's encoding has no emoji
WORDS: dict[str, str] = {
    "📊": "[i]",
    "✅": "[OK]",
    "❌": "[FAILED]",
    "⏳": "[..]",
    "📋": "[--]",
    "📈": "[%]",
    "⏭️": "[SKIP]",
    "🔍": "[READ]",
    "🗑️": "[TRUNCATE]",
    "📝": "[WRITE]",
    "⚠️": "[WARNING]",
    "💡": "[HINT]",
    "🔌": "[CONNECT]",
    "🏗️": "[CREATE]",
    "🔗": "[KEYS]",
    "🛑": "[STOPPED]",
    "🔁": "[RETRY]",
    "→": "->",
    "…": "...",
    "·": "-",
    "≈": "~",
    "–": "-",
    "×": "x",
}


def in_words(text: str, encoding: str) -> str:
    """`text` as this encoding can show it: emoji as words, any other unknown character escaped."""
    try:
        text.encode(encoding)
        return text
    except UnicodeEncodeError:
        pass
    for emoji, word in WORDS.items():
        text = text.replace(emoji, word)
    return text.encode(encoding, errors="backslashreplace").decode(encoding)


class Meter(Protocol):
    """Counts the rows of one table while they travel."""

    def rows(self, copied: int) -> None:
        """So many rows of this table have been sent so far."""


class Display(Protocol):
    """Where the phases say what they do."""

    def say(self, text: str = "") -> None:
        """One or more whole lines."""

    @contextmanager
    def meter(self, label: str, expected_rows: int) -> Iterator[Meter]:
        """Show a table's rows while they travel; `expected_rows` is the catalog's estimate, 0 if unknown."""


class _LineMeter:
    def __init__(self, display: PlainDisplay, expected: int) -> None:
        self._display = display
        self._expected = expected
        self._started = self._last = time.monotonic()

    def rows(self, copied: int) -> None:
        now = time.monotonic()
        if now - self._last < SECONDS_BETWEEN_LINES:
            return
        self._last = now
        share = f" of about {self._expected:,}" if self._expected > 0 else ""
        self._display.say(f"   … {copied:,}{share} rows, {copied / (now - self._started):,.0f} rows/second")


class PlainDisplay:
    """Whole lines, nothing else: for pipes, files and cron."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def say(self, text: str = "") -> None:
        self._stream.write(in_words(text, self._stream.encoding or "ascii") + "\n")
        self._stream.flush()

    @contextmanager
    def meter(self, label: str, expected_rows: int) -> Iterator[Meter]:  # noqa: ARG002
        yield _LineMeter(self, expected_rows)


class _RateColumn(TextColumn):
    def __init__(self) -> None:
        super().__init__("")

    def render(self, task) -> Text:  # type: ignore[no-untyped-def]
        speed = task.finished_speed or task.speed
        return Text(f"{speed:,.0f} rows/s" if speed else "", style="progress.data.speed")


class _BarMeter:
    def __init__(self, bars: Progress, task: TaskID) -> None:
        self._bars = bars
        self._task = task

    def rows(self, copied: int) -> None:
        self._bars.update(self._task, completed=copied)


class TerminalDisplay:
    """The same lines on a terminal, with a live bar under them while a table's rows travel."""

    def __init__(self, stream: TextIO) -> None:
        self._encoding = stream.encoding or "ascii"
        self._console = Console(file=stream, highlight=False, markup=False, emoji=False, soft_wrap=True)

    def say(self, text: str = "") -> None:
        self._console.print(in_words(text, self._encoding))

    @contextmanager
    def meter(self, label: str, expected_rows: int) -> Iterator[Meter]:
        ascii_only = in_words("█", self._encoding) != "█"
        bar = TextColumn("") if ascii_only else BarColumn(bar_width=30)
        bars = Progress(
            TextColumn("   {task.description}"), bar, MofNCompleteColumn(), _RateColumn(), TimeRemainingColumn(),
            console=self._console, transient=True, refresh_per_second=4,
        )  # fmt: skip
        with bars:
            task = bars.add_task(in_words(label, self._encoding), total=expected_rows or None)
            yield _BarMeter(bars, task)


def choose_display(stream: TextIO | None = None) -> Display:
    """Bars where a person watches a terminal that can draw them; plain lines everywhere else."""
    stream = stream or sys.stdout
    if stream.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalDisplay(stream)
    return PlainDisplay(stream)


def summary_banner(summary: Summary) -> str:
    """The block that a resumed run starts with, and that returns every ten tables and at the end."""
    lines = [
        RULE,
        "📊 PROGRESS SUMMARY",
        RULE,
        f"Total tables:     {summary.total}",
        f"✅ Completed:     {summary.completed}",
        f"❌ Failed:        {summary.failed}",
        f"⏳ In Progress:   {summary.in_progress}",
        f"📋 Remaining:     {summary.remaining}",
    ]
    if summary.skipped:
        lines.append(f"⏭️ Skipped:       {summary.skipped}")
    lines += [f"📈 Progress:      {summary.completed + summary.skipped}/{summary.total} ({summary.percent}%)", RULE]
    return "\n".join(lines)


def closing_block(title: str, rows: list[tuple[str, str]]) -> str:
    """The last block of a run: a title and aligned `name: value` lines."""
    width = max(len(name) for name, _ in rows) + 2
    lines = [f"{name + ':':<{width}}{value}" for name, value in rows]
    return "\n".join([RULE, title, RULE, *lines, RULE])
