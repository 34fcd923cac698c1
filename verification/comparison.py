"""What was found of a table, and the words for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from model.catalog import Table
from verification.row_differences import Difference


@dataclass(frozen=True)
class Comparison:
    """What the two sides of a table hold.

    `columns` are those that differ, taken as a whole. `problem` says why the sides could not be compared.
    `is_partly_known` is set where more rows differ than were looked at.
    """

    table: Table
    source: int | None = None
    target: int | None = None
    is_equal: bool = False
    columns: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    is_partly_known: bool = False
    problem: str | None = None

    def without_values(self) -> Comparison:
        """The same without keys and values: how many rows differ, and in which columns."""
        return replace(self, differences=tuple(one.without_values() for one in self.differences))

    def describe(self) -> str:
        """Some lines for a person."""
        name = self.table.full_name
        if self.problem is not None or self.source is None or self.target is None:
            return f"❌ {name}: {self.problem}"
        if self.is_equal:
            return f"✅ {name}: {self.source:,} rows equal"
        if self.source != self.target:
            lines = [f"❌ {name}: {self.source:,} rows on the source, {self.target:,} on the target"]
        else:
            lines = [f"❌ {name}: {self.source:,} rows on both sides, but not the same values"]
        if self.columns and self.source == self.target:
            lines.append(f"   columns that differ: {', '.join(self.columns)}")
        for difference in self.differences:
            lines += difference.lines()
        if self.is_partly_known:
            lines.append("   more rows differ than were looked at one by one; the lists are not complete")
        return "\n".join(lines)
