"""What is said of tables that are worked on at a time: whose line it is can always be seen."""

from __future__ import annotations

import io

from cli.display.plain import PlainDisplay
from run.display import Line
from run.table_lines import LiveLines


def test_a_table_s_line_among_those_of_the_next_one_has_its_name() -> None:
    said = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    lines = LiveLines(PlainDisplay(said))
    done = "✅ [1/2] dbo.Orders: 5 rows in 0.1 s"
    lines.remark("Orders", Line("[1/2] Processing: Orders"))
    lines.add("Orders", Line("🔑 Building its keys..."))
    lines.remark("Lines", Line("[2/2] Processing: Lines"))
    lines.add("Orders", Line("✅ 5 rows synced successfully", in_log=done))
    lines.end("Orders")
    lines.remark("Orders", Line("⚠️ not analyzed", in_log="⚠️ dbo.Orders: not analyzed"))
    lines.add("Lines", Line("✅ 7 rows synced successfully", in_log="✅ [2/2] dbo.Lines: 7 rows in 0.1 s"))
    said.seek(0)
    assert said.read().splitlines() == [
        "[1/2] Processing: Orders",
        "🔑 Building its keys...",
        "[2/2] Processing: Lines",
        done,
        "⚠️ dbo.Orders: not analyzed",
        "✅ 7 rows synced successfully",
    ]
