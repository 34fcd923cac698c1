"""The report of a run: `run_report.html`, one page that needs no network and no script.

Names of tables, values in errors and words of servers come from outside. Each is shown with its control characters as
escapes (`model.visible`), and the template engine escapes what HTML means. The page's own policy forbids scripts and
anything from elsewhere besides.
"""

from __future__ import annotations

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from hand_edits.whole_files import write_atomically
from model import changes
from model.settings_table import SETTINGS
from model.version import __version__
from model.visible import on_one_line, visible
from operations import charts, runs_before, verdict
from operations.attention import items, warnings
from operations.history import BrokenLine, newest_first
from operations.run_result import RunResult, TableResult
from operations.runs_before import RunsBefore, Trend

FILE = "run_report.html"
#: things of one kind that a page shows at once; the others are folded, or only counted
FEW, MANY = 100, 1000
#: tables up to which all of them are printed, too
PRINTED = 500
SLOWEST = 10

_TITLES: dict[verdict.Verdict, str] = {
    "done": "Done", "failed": "Failed", "refused": "Refused", "unreachable": "Not reached", "busy": "Not begun",
    "stopped": "Stopped",
}  # fmt: skip


@dataclass(frozen=True)
class TableRow:
    """A table as the page shows it."""

    name: str
    status: str
    is_problem: bool
    rows: int | None
    rows_were: int | None
    seconds: float | None
    rate: float | None
    usual_rate: float | None
    notes: str
    mode: str = ""


def write_report(result: RunResult, folder: Path) -> Path:
    """Write a run's page beside its line in `runs.jsonl`, instead of the last one; returns its path.

    Raises OSError, and ImportError where the template engine is not installed.
    """
    path = folder / FILE
    write_atomically(path, page(result, newest_first(folder)))
    return path


def page(result: RunResult, runs: Iterable[RunResult | BrokenLine]) -> str:
    """The whole page. `runs` are those that the folder knows, the newest first, this one among them or not."""
    # Here, since --help and --history need nothing that is installed.
    from jinja2 import Environment, StrictUndefined  # noqa: PLC0415

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True
    )
    environment.filters.update(
        shown=_shown, lines=visible, cut=_cut, number=_number, clock=charts.clock, moment=_moment, size=_size
    )
    text = files("operations").joinpath("templates/run_report.html.jinja").read_text(encoding="utf-8")
    return environment.from_string(text).render(_facts(result, runs))


def _facts(result: RunResult, runs: Iterable[RunResult | BrokenLine]) -> dict[str, Any]:
    earlier = RunsBefore(result, runs)
    trends, before = earlier.trends, [*earlier.outcomes, verdict.outcome(result)]
    modes = verdict.modes(result)
    rows = [_row(table, trends.get(table.table), tells_mode=len(modes) > 1) for table in result.tables]
    failed = {table.table for table in result.tables if table.status == "failed"}
    seconds, word = verdict.seconds(result), verdict.verdict(result)
    return {
        "run": result,
        "verdict": word,
        "title": _TITLES[word],
        "sentence": result.ended_because,
        "done": verdict.done(result),
        "failed": verdict.failed(result),
        "rows": verdict.rows(result),
        "seconds": seconds,
        "modes": modes,
        "cluster": verdict.cluster(result),
        "rate": verdict.rows(result) / seconds if seconds else None,
        "sent": sum(table.bytes or 0 for table in result.tables),
        "items": items(result, trends),
        "warnings": warnings(result),
        "problems": [row for row in rows if row.is_problem],
        "others": [row for row in rows if not row.is_problem],
        "is_printed": len(rows) <= PRINTED,
        "lanes": charts.lanes(result.spans, failed),
        "ticks": _ticks(result),
        "slowest": _slowest(result),
        "changes": _changes(result),
        "rejects": result.rejects,
        "before": before,
        "columns": charts.columns(before),
        "settings": {_setting(name): value for name, value in result.settings.items()},
        "versions": {"this tool": __version__, "Python": platform.python_version(), **result.versions},
        "rule": runs_before.RULE,
        "has_trends": bool(trends),
        "few": FEW,
        "many": MANY,
    }


def _row(table: TableResult, trend: Trend | None, *, tells_mode: bool) -> TableRow:
    jumped = trend is not None and (trend.has_jumped or trend.is_slower)
    notes = [*([table.mode] if tells_mode and table.mode else []), *_notes(table, trend)]
    is_over = table.status == "completed" or table.compared == "equal"
    return TableRow(
        table.table, _status(table),
        not is_over or jumped or bool(table.rejected) or table.compared == "different",
        table.rows, trend.rows_were if trend else None, table.seconds, runs_before.rate(table),
        trend.usual_rate if trend else None, "; ".join(notes), table.mode or "",
    )  # fmt: skip


def _status(table: TableResult) -> str:
    if table.staged:
        return "staged"
    return table.status if table.status != "in_progress" else "under way"


def _notes(table: TableResult, trend: Trend | None) -> list[str]:
    notes = [] if trend is None else [*(["rows jumped"] * trend.has_jumped), *(["slower"] * trend.is_slower)]
    if table.rejected:
        notes.append(f"{table.rejected:,} rejected")
    changed = sum(sum(columns.values()) for columns in table.changes.values())
    if changed:
        notes.append(f"{changed:,} values changed")
    if table.retries:
        notes.append(f"{table.retries:,} retries")
    if table.rows_before:
        notes.append(f"continued after {table.rows_before:,} rows")
    if table.compared:
        notes.append(f"compared: {table.compared}")
    return notes


def _ticks(result: RunResult) -> list[str]:
    if not result.spans:
        return []
    start, end = charts.edges(result.spans)
    return [charts.clock(start + (end - start) * part / 4) for part in range(5)]


def _slowest(result: RunResult) -> list[tuple[str, float, float]]:
    """The tables that took longest: their names, seconds, and percent of the longest."""
    timed = sorted(((table.seconds or 0.0, table.table) for table in result.tables), reverse=True)[:SLOWEST]
    longest = timed[0][0] if timed else 0
    return [(name, seconds, 100 * seconds / longest) for seconds, name in timed if longest and seconds]


def _changes(result: RunResult) -> list[tuple[str, str]]:
    """What was changed on the way: the table, and the words for a column of it."""
    policy: changes.NulPolicy = "replace" if result.settings.get("nul_policy") == "replace" else "strip"
    return [
        (table.table, changes.describe(kind, column, count, policy))
        for table in result.tables
        for kind, columns in table.changes.items()
        for column, count in columns.items()
    ]


# -- how facts are written -----------------------------------------------------------------------------


def _shown(text: object) -> str:
    """A name, or words within a line."""
    return on_one_line(str(text))


def _cut(text: str, most: int) -> str:
    """A text that is not longer than that, or says how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}"


def _moment(time: str) -> str:
    return on_one_line(time).replace("T", " ")


def _size(count: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:,.0f} {unit}"
        count /= 1000
    return f"{count:,.1f} TB"


def _setting(field: str) -> str:
    """A setting's name as it stands in `.env`; some are shown that have none, such as the source."""
    return next((setting.name for setting in SETTINGS.values() if setting.field == field), field)
