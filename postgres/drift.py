"""How a table that exists differs from the one the source asks for, and what can be mended without loss."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from catalog import Column
from db import Settings
from postgres.ddl import TablePlan, column_type, has_native_identity
from postgres.names import fold, quote
from postgres.shape import TargetColumn, TargetTable
from type_mapping import TargetFeatures

_WHOLE_NUMBERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True)
class Difference:
    """One difference in words; `mend` is the statement that removes it and loses nothing, if there is one."""

    text: str
    mend: str | None = None


def differences(
    plan: TablePlan, existing: TargetTable, settings: Settings, features: TargetFeatures
) -> list[Difference]:
    """What keeps an existing table from being the planned one; empty if it fits. Order of columns is no difference."""
    return list(_differences(plan, existing, settings, features))


def _differences(
    plan: TablePlan, existing: TargetTable, settings: Settings, features: TargetFeatures
) -> Iterator[Difference]:
    alter = f"ALTER TABLE {plan.place.quoted}"
    expected = {fold(column.name, settings): column for column in plan.table.columns}
    for name, column in expected.items():
        there = existing.column(name)
        if there is None:
            yield Difference(f"column {name} is missing", f"{alter} ADD COLUMN {plan.definitions[name]}")
            continue
        yield from _column_differences(alter, column, there, settings, features)
    for there in existing.columns:
        if there.name not in expected:
            yield Difference(f"column {there.name} is not on the source")
    key = plan.table.primary_key
    wanted = tuple(fold(part.name, settings) for part in key.columns) if key else ()
    if existing.primary_key and existing.primary_key != wanted:
        has = f"({', '.join(existing.primary_key)})"
        yield Difference(f"primary key is {has}, the source has ({', '.join(wanted)})")


def _column_differences(
    alter: str, column: Column, there: TargetColumn, settings: Settings, features: TargetFeatures
) -> Iterator[Difference]:
    wanted = column_type(column, settings, features)
    if there.type != wanted:
        text = f"column {there.name} is {there.type}, the source asks for {wanted}"
        change = f"{alter} ALTER COLUMN {quote(there.name)} TYPE {wanted}"
        yield Difference(text, change if widens(there.type, wanted) else None)
    if there.is_not_null and column.is_nullable:
        yield Difference(
            f"column {there.name} refuses NULL, the source allows it",
            f"{alter} ALTER COLUMN {quote(there.name)} DROP NOT NULL",
        )
    elif column.is_nullable != (not there.is_not_null):
        yield Difference(f"column {there.name} allows NULL, the source refuses it")
    if column.identity is not None and not there.is_identity:
        kind = "identity" if has_native_identity(column, features) else "sequence"
        yield Difference(f"column {there.name} has no {kind}")


def widens(old: str, new: str) -> bool:
    """Whether every value of PostgreSQL type `old` is the same value in type `new`.

    Both as `format_type` writes them. What is not known to be wider is not.
    """
    if old in _WHOLE_NUMBERS and new in _WHOLE_NUMBERS:
        return _WHOLE_NUMBERS.index(old) < _WHOLE_NUMBERS.index(new)
    if (old, new) == ("real", "double precision"):
        return True
    old_kind, old_numbers = _parts(old)
    new_kind, new_numbers = _parts(new)
    if old_kind == "character varying" and new_kind in ("character varying", "text"):
        return new_kind == "text" or (bool(old_numbers) and bool(new_numbers) and old_numbers[0] <= new_numbers[0])
    if old_kind != new_kind or not old_numbers or not new_numbers:
        return False
    if old_kind == "numeric":
        old_whole, new_whole = old_numbers[0] - old_numbers[1], new_numbers[0] - new_numbers[1]
        return new_numbers[1] >= old_numbers[1] and new_whole >= old_whole
    if old_kind.startswith(("timestamp", "time")):
        return new_numbers[0] >= old_numbers[0]
    return False


def _parts(text: str) -> tuple[str, tuple[int, ...]]:
    numbers = re.search(r"\(([\d,]+)\)", text)
    kind = re.sub(r"\([\d,]+\)", "", text)
    return kind, tuple(map(int, numbers[1].split(","))) if numbers else ()
