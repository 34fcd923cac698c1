"""How much room a table takes, on either side."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TableSize:
    """Bytes of a table's rows, large values included, and of these with all indexes."""

    rows: int
    with_indexes: int
