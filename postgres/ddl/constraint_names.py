"""Names of a table's constraints, of which PostgreSQL has one space a table: the source's first, then our own."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from model.catalog import Table
from postgres.ddl.context import Context
from postgres.names import cut, fold, target_name


@dataclass(frozen=True)
class ConstraintNames:
    """What the constraints of one table are called in PostgreSQL; `checks` and `foreign_keys` in the table's order.

    Checks of ours, by column, keep the source's range and length. NOT NULL has a name of its own from PostgreSQL 18
    on: `not_nulls` are given where PostgreSQL's own choice could be the name of a constraint of the source.
    """

    checks: tuple[str, ...] = ()
    foreign_keys: tuple[str, ...] = ()
    ranges: Mapping[str, str] = field(default_factory=dict)
    lengths: Mapping[str, str] = field(default_factory=dict)
    not_nulls: Mapping[str, str] = field(default_factory=dict)


def constraint_names(context: Context, table: Table) -> ConstraintNames:
    """Names that depend on the table alone, so that every run gives the same.

    A constraint has its own name unless a key or another constraint has it too: a server may have two checks of one
    name on a table (Babelfish), and letters of either case may fall together.
    """
    keys = [*((table.primary_key,) if table.primary_key else ()), *table.unique]
    used = {context.names.of(table, key.name) for key in keys}
    others = [*(check.name for check in table.checks), *(key.name for key in table.foreign_keys)]
    folded = [fold(name, context.settings) for name in others]
    alone = {name for name, count in Counter(folded).items() if count == 1} - used
    given: dict[int, str] = {}
    taken = used | alone
    for place in sorted(range(len(others)), key=lambda place: others[place]):
        given[place] = folded[place] if folded[place] in alone else _free(folded[place], taken)
    names = [given[place] for place in range(len(others))]
    return ConstraintNames(
        tuple(names[: len(table.checks)]),
        tuple(names[len(table.checks) :]),
        _own(context, table, "range", taken),
        _own(context, table, "length", taken),
        _own(context, table, "not_null", taken) if any(map(_may_be_a_not_null, taken)) else {},
    )


def _own(context: Context, table: Table, what: str, taken: set[str]) -> dict[str, str]:
    target = target_name(table, context.settings)
    return {
        column.name: _free(fold(f"{target.table}_{column.name}_{what}", context.settings), taken)
        for column in table.columns
    }


def _may_be_a_not_null(name: str) -> bool:
    """Whether PostgreSQL could choose the name for a NOT NULL: table, column, `not_null`, perhaps a number."""
    return re.search(r"_not_null\d*$", name) is not None


def _free(name: str, taken: set[str]) -> str:
    """The name, numbered where it is taken; it is taken from now on."""
    candidate = name
    number = 1
    while candidate in taken:
        number += 1
        candidate = cut(f"{name}_{number}")
    taken.add(candidate)
    return candidate
