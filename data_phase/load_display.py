"""What a person reads of a load: each table's lines in order, bars, and the totals at the end."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from model import changes
from model.events import (
    ChunkCommitted,
    Differences,
    Event,
    KeysAreBuilt,
    LoadBegun,
    Remarked,
    RowsUnderWay,
    Stopping,
    TableCompleted,
    TableFailed,
    TableLeftOut,
    TablesSwitched,
    TableStaged,
    TableStarted,
    TriedAgain,
)
from model.visible import listed, on_one_line
from run.context import Run
from run.display import Bars, Line, banner_line, line_of
from run.plan import Plan
from run.table_lines import BlockLines, LiveLines, TableLines, again_in_words, with_name

TABLES_BETWEEN_BANNERS = 10
#: what a log says between rows and seconds
_IN_LOG = {"synced successfully": "in ", "staged": "staged in "}


class LoadDisplay:
    """Says events as lines."""

    def __init__(self, run: Run, plan: Plan, bars: Bars, workers: int) -> None:
        self._run = run
        self._plan = plan
        self._bars = bars
        self._numbers = {work.table.key: work.number for work in plan.work}
        self._names = {work.table.key: work.table.full_name for work in plan.work}
        self._lines: TableLines = BlockLines(run.display) if workers > 1 else LiveLines(run.display)
        self._begun_at: dict[str, float] = {}
        self._over = 0
        #: tables whose lines were said when they were staged, and those of which all is said
        self._staged: set[str] = set()
        self._ended: set[str] = set()
        #: rows that are committed of the tables that are under way
        self._committed: dict[str, int] = {}

    def __call__(self, events: Sequence[Event]) -> None:
        """Say what happened."""
        for event in events:
            self._take(event)

    def _banner(self) -> None:
        if self._over % TABLES_BETWEEN_BANNERS == 0 and self._over < len(self._plan.work):
            self._run.display.tell(banner_line(self._run.tracker.summary(self._plan.keys)))

    def _take(self, event: Event) -> None:
        if isinstance(event, TableStarted):
            self._start(event)
        elif isinstance(event, LoadBegun):
            self._committed[event.table] = event.rows
            self._begin(event)
        elif isinstance(event, ChunkCommitted):
            self._committed[event.table] = event.rows
            self._bars.rows(event.table, event.rows)
            words = f"   … {self._names[event.table]}: {event.rows:,} rows are committed"
            facts = {"rows": event.rows}
            self._run.display.tell(Line(words, "chunk", event="chunk committed", table=event.table, facts=facts))
        elif isinstance(event, RowsUnderWay):
            for table, rows in event.rows.items():
                self._bars.rows(table, self._committed.get(table, 0) + rows)
        elif isinstance(event, KeysAreBuilt):
            self._detail(event.table, "🔑 Building its keys and indexes...")
        elif isinstance(event, Stopping):
            self._run.display.say(stopping_in_words(event))
        elif isinstance(event, Remarked):
            self._remark(event.table, event.words, "remark")
        elif isinstance(event, TriedAgain):
            self._remark(event.table, self._run.settings.secrets.hide(again_in_words(event)), "tried again")
        elif isinstance(event, TableStaged):
            self._staged.add(event.table)
            self._say_done(event, "staged")
        elif isinstance(event, TablesSwitched):
            self._switch(event)
        elif isinstance(event, TableCompleted):
            if event.table not in self._staged:
                self._say_done(event, "synced successfully")
        elif isinstance(event, TableFailed):
            self._fail(event)
        elif isinstance(event, TableLeftOut):
            words = f"⏭️ {on_one_line(self._names[event.table])} was set to {event.status}: left alone"
            self._lines.add(event.table, Line(words, event="table left out", table=event.table))
            self._end(event.table)

    def _detail(self, table: str, *texts: str, event: str = "detail") -> None:
        self._lines.add(table, *(Line(text, "detail", event=event, table=table) for text in texts))

    def _warn(self, table: str, text: str, event: str) -> None:
        """Words of a table's own lines, which a log gives with its name."""
        told = line_of(text)
        self._lines.add(table, replace(told, in_log=self._named(table, text), event=event, table=table))

    def _remark(self, table: str, text: str, event: str) -> None:
        told = line_of(text)
        level = "warning" if text.startswith("🔁") else told.level
        self._lines.remark(table, replace(told, level=level, in_log=self._named(table, text), event=event, table=table))

    def _named(self, table: str, text: str) -> str:
        return with_name(self._names[table], text)

    def _start(self, event: TableStarted) -> None:
        self._bars.start(event.table, event.expected)
        self._begun_at[event.table] = time.monotonic()
        title = f"[{self._numbers[event.table]}/{len(self._plan.tables)}] Processing: {on_one_line(event.table)}"
        told = f"📊 Syncing {event.full_name} → {event.target}"
        self._lines.remark(event.table, Line(f"\n{title}", "detail", event="table started", table=event.table))
        self._detail(event.table, told)

    def _begin(self, event: LoadBegun) -> None:
        for remark in event.remarks:
            self._warn(event.table, remark, "remark")
        self._detail(event.table, "🔍 Reading from MS SQL...")
        if event.done:
            done = f"⏭️ {event.done} of {event.chunks} chunks are there already, {event.rows:,} rows"
            self._warn(event.table, done, "chunks are there")
        elif event.empties:
            self._detail(event.table, "🗑️ Truncating target table...")
        self._detail(event.table, "📝 Writing to PostgreSQL...")

    def _switch(self, event: TablesSwitched) -> None:
        """Say what became visible at the same moment, and what that changed in each table."""
        for key, found in event.tables.items():
            words = "replaced by its twin" if found is None else "nothing differed" if not found else str(found)
            told = f"   🔀 {self._names[key]}: {words}"
            facts = {} if found is None else dict(zip(("inserted", "updated", "deleted"), found, strict=True))
            self._run.display.tell(Line(told, "detail", event="table switched", table=key, facts=facts))
        names = listed([on_one_line(self._names[key]) for key in event.tables])
        many = f"{len(event.tables)} tables are" if len(event.tables) > 1 else f"{names} is"
        changed = [found for found in event.tables.values() if found is not None]
        total = Differences(*map(sum, zip(*changed, strict=True))) if changed else None
        rows = f", {total}" if total is not None else ""
        locked = f", {event.seconds_locked * 1000:,.0f} ms of them closed to readers" if event.seconds_locked else ""
        words = f"🔀 {many} live with the new rows: switched in {event.seconds:.2f} s{locked}{rows}"
        self._run.display.tell(replace(line_of(words), event="tables switched"))

    def _say_done(self, event: TableCompleted | TableStaged, what: str) -> None:
        for kind, columns in event.changes.items():
            for column, count in columns.items():
                words = changes.describe(kind, column, count, self._run.settings.nul_policy)
                self._warn(event.table, f"⚠️ {words}", "values changed")
        if event.rejected:
            self._warn(event.table, f"⚠️ {event.rejected:,} rows were rejected", "rows rejected")
        seconds, rows = self._seconds(event.table), event.rows or 0
        name, number = on_one_line(self._names[event.table]), self._numbers[event.table]
        self._lines.add(
            event.table,
            Line(
                f"✅ {rows:,} rows {what}",
                in_log=f"✅ [{number}/{len(self._plan.tables)}] {name}: {rows:,} rows {_IN_LOG[what]}{seconds:.1f} s",
                event="table completed" if isinstance(event, TableCompleted) else "table staged", table=event.table,
                facts={"rows": rows, "seconds": round(seconds, 3), "rejected": event.rejected, "bytes": event.bytes},
            ),
        )  # fmt: skip
        self._end(event.table)

    def _fail(self, event: TableFailed) -> None:
        if self._run.options.debug:
            self._lines.add(event.table, Line(event.trace, "error", event="trace", table=event.table))
        name, number = on_one_line(self._names[event.table]), self._numbers[event.table]
        words, seconds = on_one_line(event.error), self._seconds(event.table)
        self._lines.add(
            event.table,
            Line(
                f"❌ {self._names[event.table]} failed: {words}", "error",
                f"❌ [{number}/{len(self._plan.tables)}] {name} failed: {words}", "table failed", event.table,
                {"error": event.error, "seconds": round(seconds, 3)},
            ),
        )  # fmt: skip
        self._end(event.table)

    def _seconds(self, table: str) -> float:
        now = time.monotonic()
        return now - self._begun_at.get(table, now)

    def _end(self, table: str) -> None:
        if table in self._ended:
            return
        self._ended.add(table)
        self._committed.pop(table, None)
        self._lines.end(table)
        self._bars.end(table)
        self._over += 1
        self._banner()


def stopping_in_words(event: Stopping) -> str:
    """Why no more begins, and how long what runs may take."""
    if event.seconds is None:
        return f"🛑 {event.because}."
    return f"🛑 {event.because}, {event.seconds:.0f} s at most; a second signal stops at once."


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
        #: tables that a person has taken from the run
        self.left_out: set[str] = set()
        #: tables that were counted when they were staged
        self._counted: set[str] = set()

    def __call__(self, events: Sequence[Event]) -> None:
        """Count what happened."""
        for event in events:
            if isinstance(event, TableFailed) or (isinstance(event, TableLeftOut) and event.status == "failed"):
                self.failed.append(event.table)
            elif isinstance(event, TableLeftOut):
                self.left_out.add(event.table)
            elif isinstance(event, (TableStaged, TableCompleted)) and event.table not in self._counted:
                self._counted.add(event.table)
                self.rows += event.rows or 0
                self.rejected += event.rejected
                for kind, columns in event.changes.items():
                    for column, count in columns.items():
                        self.changes.add(kind, f"{self._names[event.table]}.{column}", count)
