"""How a table's rows go into the target: which column of the source into which of the target, in which binary form."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from model.catalog import Column, Table
from model.changes import NulPolicy
from model.errors import UnfitTargetError
from model.settings import Settings
from postgres.introspection import TargetTable
from postgres.names import TargetName, fold, quote
from type_mapping import Family, mapping_of, wire_type


@dataclass(frozen=True)
class LoadColumn:
    """A column on its way: its name and base type on the target, its family, the Arrow type that COPY needs."""

    name: str
    family: Family
    wire: pa.DataType
    base_type: str = ""
    modifier: int = -1


@dataclass(frozen=True)
class LoadPlan:
    """How a table's rows go in: `sources` are the columns to read, `columns` where each of them goes."""

    target: TargetName
    sources: tuple[Column, ...]
    columns: tuple[LoadColumn, ...]
    is_partitioned: bool = False
    is_unlogged: bool = False
    nul_policy: NulPolicy = "strip"
    #: positions of the columns by which a person finds a row
    key: tuple[int, ...] = ()

    @property
    def rows(self) -> str:
        """The target table in a FROM or a TRUNCATE."""
        return self.target.own_rows(self.is_partitioned)

    @property
    def identity(self) -> int | None:
        """The position of the identity column among `columns`; SQL Server allows one."""
        return next((i for i, column in enumerate(self.sources) if column.identity is not None), None)


def plan_load(table: Table, target: TargetTable, settings: Settings) -> LoadPlan:
    """Pair the source's columns with the target's; columns that the target generates are left out.

    Raises UnfitTargetError where a column is missing on the target or must not receive the source's
    values.
    """
    sources: list[Column] = []
    columns: list[LoadColumn] = []
    for column in table.columns:
        there = target.column(fold(column.name, settings))
        if there is None:
            raise UnfitTargetError(f"column {column.name} is missing in the target table {target.name}")
        if there.is_generated:
            if column.computed is None:
                raise UnfitTargetError(
                    f"column {there.name} of {target.name} is GENERATED, and would not receive the values of the "
                    f"source's column {column.name}. Make it an ordinary column: ALTER TABLE {target.name.quoted} "
                    f"ALTER COLUMN {quote(there.name)} DROP EXPRESSION"
                )
            continue
        arrow = wire_type(column, there.base_type, there.modifier)
        sources.append(column)
        columns.append(LoadColumn(there.name, mapping_of(column.type).family, arrow, there.base_type, there.modifier))
    names = table.primary_key.columns_used if table.primary_key else ()
    key = tuple(position for position, column in enumerate(sources) if column.name in names)
    return LoadPlan(
        target.name, tuple(sources), tuple(columns), target.is_partitioned, target.is_unlogged, settings.nul_policy, key
    )
