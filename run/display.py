"""Where a run says what it does, and the blocks that it says at its turns."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol

from progress import Summary

RULE = "=" * 60


class Bars(Protocol):
    """Shows the rows of several tables while they travel."""

    def start(self, table: str, expected: int) -> None:
        """A table begins; `expected` is the catalog's estimate of its rows, 0 if unknown."""

    def rows(self, table: str, copied: int) -> None:
        """So many rows of the table have been sent so far."""

    def end(self, table: str) -> None:
        """The table is over."""


class Display(Protocol):
    """Where the phases say what they do."""

    def say(self, text: str = "") -> None:
        """One or more whole lines."""

    def bars(self) -> AbstractContextManager[Bars]:
        """Show tables' rows while they travel."""


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
