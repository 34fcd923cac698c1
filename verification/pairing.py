"""A table on both sides: its columns on each, and the form in which their values meet."""

from __future__ import annotations

from dataclasses import dataclass

from model.catalog import Column, Table
from model.errors import UnfitTargetError
from model.settings import Settings
from postgres.introspection import TargetColumn, TargetTable
from postgres.names import fold
from verification.checksums import RowHasher, Salt
from verification.comparable_values import Form, form_of


@dataclass(frozen=True)
class Pair:
    """A table on both sides: its columns on each, and the form in which their values meet.

    `keys` are the positions of the columns that tell its rows apart; none, where nothing does. `seed` is what
    the verification's hashes hang on.
    """

    table: Table
    target: TargetTable
    there: tuple[TargetColumn, ...]
    forms: tuple[Form, ...]
    keys: tuple[int, ...]
    seed: bytes

    @property
    def columns(self) -> tuple[Column, ...]:
        """The source's columns."""
        return self.table.columns

    @property
    def hasher(self) -> RowHasher:
        """What hashes rows of either side."""
        return RowHasher(Salt(self.seed, len(self.columns)), self.keys)


def pair_up(table: Table, target: TargetTable, settings: Settings, seed: bytes) -> Pair:
    """Pair a table's columns with the target's.

    Raises UnfitTargetError where a column is missing there, or its values cannot be compared.
    """
    there: list[TargetColumn] = []
    forms: list[Form] = []
    for column in table.columns:
        found = target.column(fold(column.name, settings))
        if found is None:
            raise UnfitTargetError(f"column {column.name} is missing in the target table {target.name}")
        there.append(found)
        forms.append(form_of(column, found.base_type, settings.nul_policy))
    return Pair(table, target, tuple(there), tuple(forms), _key_positions(table), seed)


def _key_positions(table: Table) -> tuple[int, ...]:
    """The columns of the primary key, else of a unique key without NULLs."""
    positions = {column.name: position for position, column in enumerate(table.columns)}
    candidates = [key.columns_used for key in (table.primary_key, *table.unique) if key and not key.is_disabled]
    candidates += [
        tuple(column.name for column in index.columns)
        for index in table.indexes
        if index.is_unique and index.filter is None and not index.is_disabled
    ]
    for number, names in enumerate(candidates):
        if all(name in positions for name in names) and (
            (number == 0 and table.primary_key) or not any(table.columns[positions[name]].is_nullable for name in names)
        ):
            return tuple(positions[name] for name in names)
    return ()
