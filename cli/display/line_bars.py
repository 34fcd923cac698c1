"""How far a run is, said in a line now and then: for logs, and for terminals that cannot draw."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from model.visible import listed, on_one_line
from run.display import Display, Line, Whole

SECONDS_BETWEEN_LINES = 60.0
#: tables under way that are named in the line about all
NAMED = 3


def time_in_words(seconds: float) -> str:
    """A time that something takes, as a person says it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{int(seconds / 3600)} h {int(seconds / 60) % 60} min"


@dataclass
class Advance:
    """How far all of a run is, and what is left by its rate so far."""

    whole: Whole
    started: float = field(default_factory=time.monotonic)
    tables: int = 0
    #: rows of tables that are over, and of each that is under way
    over: int = 0
    under_way: dict[str, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """All rows so far."""
        return self.over + sum(self.under_way.values())

    def end(self, table: str) -> None:
        """A table is over."""
        self.over += self.under_way.pop(table, 0)
        self.tables += 1

    def rate(self, now: float) -> float:
        """Rows a second since the beginning."""
        return self.rows / max(now - self.started, 0.001)

    def seconds_left(self, now: float) -> float | None:
        """By the rows where their number is known; None before anything can be said."""
        left = max(self.whole.rows - self.rows, 0)
        return left / self.rate(now) if self.rows and self.whole.rows else None


class LineBars:
    """A line each minute about all tables, and, for those who want details, one about each under way."""

    def __init__(self, display: Display, whole: Whole, clock: Callable[[], float] = time.monotonic) -> None:
        self._display = display
        self._clock = clock
        self._advance = Advance(whole, clock())
        self._expected: dict[str, int] = {}
        self._begun: dict[str, float] = {}
        self._last = clock()

    def start(self, table: str, expected: int) -> None:
        """A table begins."""
        self._expected[table] = expected
        self._begun[table] = self._clock()
        self._advance.under_way[table] = 0

    def rows(self, table: str, copied: int) -> None:
        """So many rows of it so far."""
        if table not in self._advance.under_way:
            return
        self._advance.under_way[table] = copied
        self._tell_in_time()

    def end(self, table: str) -> None:
        """It is over."""
        self._advance.end(table)
        self._expected.pop(table, None)
        self._begun.pop(table, None)
        self._tell_in_time()

    def _tell_in_time(self) -> None:
        now = self._clock()
        if now - self._last >= SECONDS_BETWEEN_LINES:
            self._last = now
            self._tell(now)

    def _tell(self, now: float) -> None:
        advance, whole = self._advance, self._advance.whole
        share = f" of about {whole.rows:,}" if whole.rows else ""
        left = advance.seconds_left(now)
        words = (
            f"… {advance.tables} of {whole.tables} tables, {advance.rows:,}{share} rows, "
            f"{advance.rate(now):,.0f} rows/second"
        )
        words += f", about {time_in_words(left)} left" if left else ""
        words += f"; under way: {listed(list(advance.under_way), NAMED)}" if advance.under_way else ""
        self._display.tell(
            Line(
                f"   {words}", in_log=words, event="under way",
                facts={
                    "tables_done": advance.tables, "tables": whole.tables, "rows": advance.rows,
                    "rows_expected": whole.rows, "seconds_left": None if left is None else round(left),
                },
            )
        )  # fmt: skip
        for table, copied in advance.under_way.items():
            share = f" of about {self._expected[table]:,}" if self._expected[table] > 0 else ""
            rate = copied / max(now - self._begun[table], 0.001)
            words = f"… {on_one_line(table)}: {copied:,}{share} rows, {rate:,.0f} rows/second"
            self._display.tell(
                Line(
                    f"   {words}", "detail", words, event="table under way", table=table,
                    facts={"rows": copied, "rows_expected": self._expected[table]},
                )
            )  # fmt: skip
