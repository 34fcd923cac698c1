"""What a person reads of a load: each table's lines in order, bars, and the totals at the end."""

from __future__ import annotations

from collections.abc import Sequence

from model import changes
from model.events import (
    ChunkCommitted,
    Event,
    KeysAreBuilt,
    LoadBegun,
    Remarked,
    RowsUnderWay,
    TableCompleted,
    TableFailed,
    TableStarted,
    TriedAgain,
)
from model.visible import on_one_line
from run.closing import summary_lines
from run.context import Run
from run.display import Bars
from run.plan import Plan
from run.table_lines import LinesInOrder, again_in_words

TABLES_BETWEEN_BANNERS = 10


class LoadDisplay:
    """Says events as lines."""

    def __init__(self, run: Run, plan: Plan, bars: Bars) -> None:
        self._run = run
        self._plan = plan
        self._bars = bars
        self._numbers = {work.table.key: work.number for work in plan.work}
        self._names = {work.table.key: work.table.full_name for work in plan.work}
        self._lines = LinesInOrder(run.display, [work.table.key for work in plan.work], self._banner)
        #: rows that are committed of the tables that are under way
        self._committed: dict[str, int] = {}

    def __call__(self, events: Sequence[Event]) -> None:
        """Say what happened."""
        for event in events:
            self._take(event)
        self._lines.show()

    def _banner(self, shown: int) -> None:
        if shown % TABLES_BETWEEN_BANNERS == 0 and shown < len(self._plan.work):
            self._run.display.say("\n" + summary_lines(self._run, self._plan))

    def _take(self, event: Event) -> None:
        if isinstance(event, TableStarted):
            self._bars.start(event.table, event.expected)
            title = f"[{self._numbers[event.table]}/{len(self._plan.tables)}] Processing: {on_one_line(event.table)}"
            self._lines.add(event.table, f"\n{title}", f"📊 Syncing {event.full_name} → {event.target}")
        elif isinstance(event, LoadBegun):
            self._committed[event.table] = event.rows
            self._lines.add(event.table, *self._begun(event))
        elif isinstance(event, ChunkCommitted):
            self._committed[event.table] = event.rows
            self._bars.rows(event.table, event.rows)
        elif isinstance(event, RowsUnderWay):
            for table, rows in event.rows.items():
                self._bars.rows(table, self._committed.get(table, 0) + rows)
        elif isinstance(event, KeysAreBuilt):
            self._lines.add(event.table, "🔑 Building its keys and indexes...")
        elif isinstance(event, Remarked):
            self._lines.add(event.table, event.words)
        elif isinstance(event, TriedAgain):
            self._lines.add(event.table, self._run.settings.secrets.hide(again_in_words(event)))
        elif isinstance(event, TableCompleted):
            self._lines.add(event.table, *self._completed(event))
            self._end(event.table)
        elif isinstance(event, TableFailed):
            self._lines.add(event.table, *([event.trace] if self._run.options.debug else []))
            self._lines.add(event.table, f"❌ {self._names[event.table]} failed: {on_one_line(event.error)}")
            self._end(event.table)

    def _end(self, table: str) -> None:
        self._committed.pop(table, None)
        self._lines.end(table)
        self._bars.end(table)

    def _begun(self, event: LoadBegun) -> list[str]:
        lines = [*event.remarks, "🔍 Reading from MS SQL..."]
        if event.done:
            lines.append(f"⏭️ {event.done} of {event.chunks} chunks are there already, {event.rows:,} rows")
        elif event.empties:
            lines.append("🗑️ Truncating target table...")
        return [*lines, "📝 Writing to PostgreSQL..."]

    def _completed(self, event: TableCompleted) -> list[str]:
        lines = [
            f"⚠️ {changes.describe(kind, column, count, self._run.settings.nul_policy)}"
            for kind, columns in event.changes.items()
            for column, count in columns.items()
        ]
        if event.rejected:
            lines.append(f"⚠️ {event.rejected:,} rows were rejected")
        return [*lines, f"✅ {event.rows:,} rows synced successfully"]


class LoadTotals:
    """What a load brought, all tables together."""

    def __init__(self, names: dict[str, str]) -> None:
        """`names` are the tables' names in full, by their keys."""
        self._names = names
        self.rows = 0
        self.rejected = 0
        #: values that were changed on their way, by kind, table and column
        self.changes = changes.Changes()
        self.failed: list[str] = []

    def __call__(self, events: Sequence[Event]) -> None:
        """Count what happened."""
        for event in events:
            if isinstance(event, TableFailed):
                self.failed.append(event.table)
            elif isinstance(event, TableCompleted):
                self.rows += event.rows or 0
                self.rejected += event.rejected
                for kind, columns in event.changes.items():
                    for column, count in columns.items():
                        self.changes.add(kind, f"{self._names[event.table]}.{column}", count)
