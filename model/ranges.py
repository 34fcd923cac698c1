"""Which of a table's rows are meant: a chunk by the bounds of its key, or rows that are picked."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """A range of a table's rows by its key: above `lower`, up to and including `upper`.

    Bounds are T-SQL literals, one for each key column, found by SQL Server and only ever compared by it;
    `None` is no bound. `columns` are the key's columns; a chunk without columns is the whole table.
    """

    number: int = 0
    columns: tuple[str, ...] = ()
    lower: tuple[str, ...] | None = None
    upper: tuple[str, ...] | None = None

    @property
    def is_whole_table(self) -> bool:
        """Whether it has no bounds at all."""
        return self.lower is None and self.upper is None


WHOLE_TABLE = Chunk()


@dataclass(frozen=True)
class Picked:
    """Single rows of a table, found by their keys: T-SQL literals, one for each of `columns`."""

    columns: tuple[str, ...]
    keys: tuple[tuple[str, ...], ...]
