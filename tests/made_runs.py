"""Results of runs that never were, with names and values as bad as they may be."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from operations.run_result import RejectReason, RunResult, TableResult
from operations.timeline import Span

#: names that mean something in HTML, SVG, CSS, a template or a terminal, turn text around, or are very long
HOSTILE = (
    "<script>window.hacked = 1</script>",
    "</title></svg><img src=x onerror='window.hacked = 1'>",
    '" onmouseover="window.hacked = 1" x="',
    "'><svg onload=window.hacked=1>",
    "</style><script>window.hacked=1</script><style>",
    "{{ 7 * 7 }} {% raw %}",
    "<!-- & &amp; ]]> -->",
    "http://example.com/x.js",
    "turn\u202eedoc\u2066 around",
    "bell\x07 escape\x1b[31m nul\x00 line\nbreak\ttab",
    "half \ud800 pair",
    "שלום عربي",
    "a" * 2_000,
    "W" * 128 + " " + "long words " * 30,
    "",
    "   ",
)
SETTINGS = {"source": "sql.example.com/shop", "target": "localhost/shop", "workers": 4, "chunk_rows": 1_000_000}
BEGUN = datetime(2026, 11, 26, 1, 0, 0)


def a_load(number: int, name: str = "", **facts: object) -> TableResult:
    """A table that was loaded well."""
    rows = 1_000 * (number % 97) ** 2
    seconds = round(0.2 + rows / 250_000, 3)
    usual = TableResult(
        name or f"Sales.Table_{number:04}", "completed", rows, seconds, rows * 80, mode="truncate"
    )  # fmt: skip
    return TableResult(**{**vars(usual), **facts})


def a_night(tables: Sequence[TableResult], nights_ago: int = 0, **facts: object) -> RunResult:
    """A run over tables, by four workers."""
    begun = BEGUN - timedelta(days=nights_ago)
    spans, clocks = [], [0.0] * 4
    for number, table in enumerate(tables[:300]):
        worker = number % 4
        end = clocks[worker] + (table.seconds or 0.1)
        spans.append(Span(worker + 1, table.table, round(clocks[worker], 2), round(end, 2), 1 + (number % 50 == 49)))
        clocks[worker] = end
    ended = begun + timedelta(seconds=round(max(clocks)) + 1)
    failed = sum(table.status == "failed" for table in tables)
    usual = RunResult(
        "sync-data.py", ("--nightly",), "9f1c64d2b7e04c0c8d3a5e6f708192a3", begun.isoformat(), ended.isoformat(),
        1 if failed else 0, f"{failed} tables failed to sync" if failed else "all tables are completed", tuple(tables),
        versions={"source": "15.0.4430.1", "target": "16.4"}, settings=SETTINGS, run=f"{nights_ago:032x}",
        spans=tuple(spans), workers=4,
    )  # fmt: skip
    return RunResult(**{**vars(usual), **facts})


def a_bad_night(count: int) -> RunResult:
    """A run over so many tables in which everything went wrong that can, among hostile names."""
    tables = [a_load(number) for number in range(count)]
    for number, name in enumerate(HOSTILE[:count]):
        tables[number] = a_load(number + 40, name or "[]")
    for number in range(0, min(count, len(HOSTILE)), 3):
        name = tables[number].table
        tables[number] = a_load(0, name, status="failed", error=f"refused: {HOSTILE[number]}", rows=None, retries=4)
    if count > 20:
        tables[20] = a_load(40, "dbo.Changed", changes={"nul_characters": {HOSTILE[0]: 3}}, rejected=7)
        tables[19] = a_load(40, "dbo.Different", compared="different", error="3 rows differ")
    return a_night(
        tables,
        arguments=("--tables", HOSTILE[0]), not_restored=(f"index public.{HOSTILE[1]}",), suspended=12, restored=11,
        suspended_objects=tuple(f"index public.{name}" for name in HOSTILE), skipped=(HOSTILE[2], "AuditLog"),
        gone={HOSTILE[3]: "2026-11-24T01:00:00"}, warnings=HOSTILE, more_warnings=3,
        rejects={HOSTILE[4]: (RejectReason(HOSTILE[5], "22003", 7, HOSTILE[0]),)},
        settings={**SETTINGS, "target_schema": HOSTILE[0], "exclude": HOSTILE[12]},
        versions={"source": HOSTILE[0], "target": "16.4"}, ended_because=f"1 table failed: {HOSTILE[1]}",
        exit_code=1,
    )  # fmt: skip


def nights_before(count: int, nights: int = 8) -> list[RunResult]:
    """The nights before, the newest first, in which all was well."""
    tables = [a_load(number) for number in range(count)]
    return [a_night(tables, ago) for ago in range(1, nights + 1)]
