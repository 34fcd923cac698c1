"""What of a run needs a person, the gravest first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from operations.run_result import RunResult
from operations.runs_before import Trend, in_words
from operations.verdict import verdict

Kind = Literal[
    "run", "failed", "different", "left", "not-restored", "rejected", "gone", "rows-jumped", "slower", "warning"
]


@dataclass(frozen=True)
class Item:
    """One thing: of which kind, about which table where it is about one, and what a person reads of it."""

    kind: Kind
    words: str
    table: str | None = None
    details: Sequence[str] = ()


def items(result: RunResult, trends: Mapping[str, Trend]) -> list[Item]:
    """All of them but the warnings."""
    found = [*_failures(result), *_left(result), *_elsewhere(result), *_changes(result, trends)]
    is_told = verdict(result) == "done" or (verdict(result) == "failed" and found)
    return found if is_told else [Item("run", result.ended_because), *found]


def warnings(result: RunResult) -> list[Item]:
    """What a person was warned of, without what the result says as its reason."""
    told = [Item("warning", words) for words in result.warnings if words.strip() and words not in result.ended_because]
    if result.more_warnings:
        told.append(Item("warning", f"and {result.more_warnings:,} more, which the log has"))
    return told


def _failures(result: RunResult) -> Iterator[Item]:
    for table in result.tables:
        if table.status == "failed":
            yield Item("failed", table.error or "failed", table.table)
    for table in result.tables:
        if table.compared == "different":
            yield Item("different", table.error or "source and target differ", table.table)


def _left(result: RunResult) -> Iterator[Item]:
    staged = sum(table.staged for table in result.tables)
    under_way = sum(table.status == "in_progress" for table in result.tables) - staged
    pending = sum(table.status == "pending" and table.compared is None for table in result.tables)
    counts = {"staged and not live": staged, "under way": under_way, "not begun": pending}
    words = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    if verdict(result) != "done" and words:
        yield Item("left", f"{sum(counts.values()):,} tables are left: {words}; --resume continues")


def _elsewhere(result: RunResult) -> Iterator[Item]:
    if result.not_restored:
        words = f"{len(result.not_restored):,} keys, indexes and triggers are not back; the next run restores them"
        yield Item("not-restored", words, None, result.not_restored)
    for table, reasons in result.rejects.items():
        rows = sum(reason.rows for reason in reasons)
        told = [
            f"{reason.rows:,} × {reason.words}" + (f" (column {reason.column})" if reason.column else "")
            for reason in reasons
        ]
        words = f"{rows:,} rows were rejected; --retry-rejects loads them once the cause is fixed"
        yield Item("rejected", words, table, told)
    for table, since in result.gone.items():
        words = f"the source no longer has it, missed since {since.replace('T', ' ')}; it stays in PostgreSQL"
        yield Item("gone", words, table)


def _changes(result: RunResult, trends: Mapping[str, Trend]) -> Iterator[Item]:
    for table in result.tables:
        trend = trends.get(table.table)
        if trend is not None and (trend.has_jumped or trend.is_slower):
            kind: Kind = "rows-jumped" if trend.has_jumped else "slower"
            yield Item(kind, "; ".join(in_words(table, trend)), table.table)
