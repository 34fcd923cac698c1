"""Where a run says what it does, and the blocks that it says at its turns."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol

from model.visible import on_one_line
from progress import Summary

RULE = "=" * 60
#: how much a person wants to know, the least important first
Level = Literal["chunk", "detail", "info", "warning", "error", "end"]
LEVELS: tuple[Level, ...] = ("chunk", "detail", "info", "warning", "error", "end")


@dataclass(frozen=True)
class Line:
    """Something that is said: `text` to a person at a terminal, `in_log` to a log, where that is another.

    `event` is a word for it that stays the same, `table` the key of the table that it is about, and `facts` are its
    numbers, for machines.
    """

    text: str
    level: Level = "info"
    in_log: str | None = None
    event: str = "said"
    table: str | None = None
    facts: Mapping[str, object] = field(default_factory=dict)


def line_of(text: str) -> Line:
    """A line that says by its first sign how much it matters."""
    sign = text.lstrip()[:1]
    return Line(text, "error" if sign == "❌" else "warning" if sign in "⚠🛑" and sign else "info")


class Bars(Protocol):
    """Shows the rows of several tables while they travel."""

    def start(self, table: str, expected: int) -> None:
        """A table begins; `expected` is the catalog's estimate of its rows, 0 if unknown."""

    def rows(self, table: str, copied: int) -> None:
        """So many rows of the table have been sent so far."""

    def end(self, table: str) -> None:
        """The table is over."""


@dataclass(frozen=True)
class Whole:
    """All that a run is to do: so many tables, and the catalog's estimate of their rows, 0 if unknown."""

    tables: int
    rows: int = 0


class Display(Protocol):
    """Where the phases say what they do."""

    def say(self, text: str = "") -> None:
        """One or more whole lines, which say by their first sign how much they matter."""

    def tell(self, line: Line) -> None:
        """The same, with what a log says of it."""

    def bars(self, whole: Whole) -> AbstractContextManager[Bars]:
        """Show tables' rows while they travel."""


def summary_banner(summary: Summary) -> str:
    """The block that a resumed run starts with, and that returns every ten tables and at the end."""
    lines = [
        RULE,
        "📊 PROGRESS SUMMARY",
        RULE,
        f"Total tables:     {summary.total}",
        f"✅ Completed:     {summary.completed}",
        # A search for failures finds no good news.
        *([f"❌ Failed:        {summary.failed}"] if summary.failed else []),
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


def closing_line(title: str, rows: list[tuple[str, str]], *, is_good: bool) -> Line:
    """The same as something that is said, with one line for a log."""
    in_log = f"{'✅' if is_good else '❌'} {title}: " + ", ".join(f"{name} {value}" for name, value in rows)
    return Line("\n" + closing_block(title, rows), "end", in_log, "summary", None, dict(rows))


def summary_line(summary: Summary) -> str:
    """The same as the banner, for a log."""
    failed = f", {summary.failed} failed" if summary.failed else ""
    skipped = f", {summary.skipped} skipped" if summary.skipped else ""
    return (
        f"📈 {summary.completed + summary.skipped} of {summary.total} tables are done ({summary.percent}%){failed}"
        f"{skipped}, {summary.in_progress} in progress, {summary.remaining} remaining"
    )


def banner_line(summary: Summary) -> Line:
    """The banner, and what a log says instead."""
    return Line("\n" + summary_banner(summary), in_log=summary_line(summary), event="progress")


def tell_failures(display: Display, failures: Mapping[str, str]) -> None:
    """Say once more, where a run ends, which tables failed and why."""
    for key, error in failures.items():
        words = f"   ❌ {on_one_line(key)}: {on_one_line(error)}"
        display.tell(Line(words, "error", words.strip(), "failure", key, {"error": error}))
