"""How much room a table takes, on either side."""

from __future__ import annotations

from dataclasses import dataclass

from model.refresh import Refresh

MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000


def amount(size: int) -> str:
    """Bytes for a person."""
    if size < MEGABYTE / 10:
        return f"{size / 1000:.0f} kB"
    return f"{size / GIGABYTE:.1f} GB" if size >= GIGABYTE / 10 else f"{size / MEGABYTE:.1f} MB"


@dataclass(frozen=True)
class TableSize:
    """Bytes of a table's rows, large values included, and of these with all indexes."""

    rows: int
    with_indexes: int

    def staged(self, how: Refresh) -> int:
        """Bytes that new rows take beside the live table: a twin has its indexes, what is merged has none."""
        return {"truncate": 0, "merge": self.rows, "swap": self.with_indexes}[how]
