"""Source and target compared: rows counted, every value summed up, and where they differ, told in keys.

Parts of a table can be read by several workers, each side in parts of its own: chunks by key on the source, ranges of
blocks on the target.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing

import psycopg2

from db import connect_target, target_words
from model.catalog import Table
from model.errors import CatalogError
from model.events import ComparisonStarted, Event, Remarked, RowsRead, RowsUnderWay, TableCompared, TriedAgain
from model.settings import Settings
from postgres import reader as target_reader
from postgres.introspection import TargetTable, read_tables
from postgres.names import TargetName, target_name
from postgres.reader import BlockRange
from run.closing import Ending, failed
from run.context import Run
from run.display import Bars, Level, Line, Whole, closing_line
from run.table_lines import again_in_words, with_name
from scheduling.scheduler import Limits
from scheduling.work import LOCAL, Crew, do_all
from verification.comparison import Comparison
from verification.table_comparison import Mode, TableComparison, TableCount


def run(this_run: Run, mode: Mode, workers: int, refused: Mapping[str, str]) -> Ending:
    """Compare the tables that a run is about, and say what was found; `refused` says why some must not be compared.

    Raises ServerError and Stopped.
    """
    found = look(this_run, mode, workers, {}, refused)
    equal = sum(comparison.is_equal for comparison in found)
    if equal < len(found):
        return failed(f"{len(found) - equal} of {len(found)} tables differ")
    return Ending(reasons=("both sides are equal",))


def look(
    this_run: Run,
    mode: Mode,
    workers: int,
    standing_in: Mapping[TargetName, TargetName],
    refused: Mapping[str, str],
) -> Sequence[Comparison]:
    """The same; returns what was found. Of a table that is `standing_in` the other one's rows are read.

    Raises ServerError and Stopped.
    """
    started = time.monotonic()
    this_run.recorder.works_by(workers)
    whole = Whole(len(this_run.affected), sum(table.row_count for table in this_run.affected))
    with this_run.display.bars(whole) as bars:
        observers: list[Callable[[Sequence[Event]], None]] = [this_run.recorder, ComparisonDisplay(this_run, bars)]

        def publish(events: Sequence[Event]) -> None:
            for observer in observers:
                observer(events)

        found = compare(
            this_run.affected, this_run.settings, mode, workers, publish, standing_in, refused, this_run.crew
        )
    equal = sum(comparison.is_equal for comparison in found)
    rows = sum(comparison.source or 0 for comparison in found)
    counts = [
        ("Total tables", str(len(found))),
        ("Equal", str(equal)),
        *([("Different", str(len(found) - equal))] if equal < len(found) else []),
        ("Rows compared" if mode == "values" else "Rows counted", f"{rows:,}"),
        ("Duration", f"{time.monotonic() - started:.2f} seconds"),
    ]
    this_run.display.tell(closing_line("Verification Summary", counts, is_good=equal == len(found)))
    return found


def compare(
    tables: Sequence[Table],
    settings: Settings,
    mode: Mode,
    workers: int,
    publish: Callable[[Sequence[Event]], None] = lambda _: None,
    standing_in: Mapping[TargetName, TargetName] | None = None,
    refused: Mapping[str, str] | None = None,
    crew: Crew = LOCAL,
) -> list[Comparison]:
    """Compare tables by so many workers at most; results are in the tables' order. Raises ServerError and Stopped."""
    existing, blocks = _read_target(tables, settings, standing_in or {})
    kind = TableCount if mode == "counts" else TableComparison
    seed = secrets.token_bytes(16)
    comparing = []
    for table in tables:
        name = target_name(table, settings)
        why_not = (refused or {}).get(table.key)
        comparing.append(kind(settings, table, existing.get(name), blocks.get(name, ()), seed, why_not))
    limits = Limits(settings.stall_timeout, settings.retry_attempts, seconds_to_stop=0)
    do_all(comparing, workers, limits, publish, crew=crew)
    return [one.result for one in comparing if one.result is not None]


def _read_target(
    tables: Sequence[Table], settings: Settings, standing_in: Mapping[TargetName, TargetName]
) -> tuple[dict[TargetName, TargetTable], dict[TargetName, tuple[BlockRange, ...]]]:
    """The tables that hold the rows, and their parts, by the names that the tables have for others."""
    with closing(connect_target(settings)) as target:
        try:
            wanted = [target_name(table, settings) for table in tables]
            holding = {name: standing_in.get(name, name) for name in wanted}
            existing = read_tables(target, {one.schema for one in holding.values()})
            blocks = target_reader.block_ranges(target, [one for one in holding.values() if one in existing])
            return (
                {name: existing[one] for name, one in holding.items() if one in existing},
                {name: blocks[one] for name, one in holding.items() if one in blocks},
            )
        except psycopg2.Error as error:
            raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None


class ComparisonDisplay:
    """Says events as lines, each when it happens."""

    def __init__(self, run: Run, bars: Bars) -> None:
        self._run = run
        self._bars = bars
        self._names = {table.key: table.full_name for table in run.affected}
        #: rows that were read of the tables that are under way
        self._read: dict[str, int] = {}

    def __call__(self, events: Sequence[Event]) -> None:
        """Say what happened."""
        for event in events:
            self._take(event)

    def _take(self, event: Event) -> None:
        if isinstance(event, ComparisonStarted):
            self._bars.start(event.table, event.expected)
        elif isinstance(event, RowsRead):
            self._read[event.table] = event.rows
            self._bars.rows(event.table, event.rows)
        elif isinstance(event, RowsUnderWay):
            for table, rows in event.rows.items():
                self._bars.rows(table, self._read.get(table, 0) + rows)
        elif isinstance(event, Remarked):
            self._tell(event.table, event.words, "info", "remark")
        elif isinstance(event, TriedAgain):
            words = self._run.settings.secrets.hide(again_in_words(event))
            self._tell(event.table, words, "warning", "tried again")
        elif isinstance(event, TableCompared):
            level = "info" if event.is_equal else "error"
            facts = {"is_equal": event.is_equal, "rows": event.rows, "error": event.error}
            self._run.display.tell(
                Line(event.words, level, event="table compared", table=event.table, facts=facts)  # type: ignore[arg-type]
            )
            self._bars.end(event.table)

    def _tell(self, table: str, words: str, level: Level, event: str) -> None:
        self._run.display.tell(Line(with_name(self._names[table], words), level, event=event, table=table))
