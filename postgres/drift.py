"""How a table that exists differs from the one the source asks for, and what can be mended without loss."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from model.catalog import Column
from model.settings import Settings
from postgres.ddl import TablePlan, column_type, has_native_identity
from postgres.introspection import TargetColumn, TargetTable
from postgres.names import TargetName, fold, quote
from type_mapping import TargetFeatures

_WHOLE_NUMBERS = ("smallint", "integer", "bigint")


@dataclass(frozen=True)
class Difference:
    """One difference in words; `mend` is the statement that removes it and loses nothing, if there is one.

    `fails_load` says that rows of the source may not go into the table as it is, or not as they are.
    """

    text: str
    mend: str | None = None
    fails_load: bool = False


def differences(
    plan: TablePlan, existing: TargetTable, settings: Settings, features: TargetFeatures
) -> list[Difference]:
    """What keeps an existing table from being the planned one; empty if it fits. Order of columns is no difference."""
    return list(_differences(plan, existing, settings, features))


def _differences(
    plan: TablePlan, existing: TargetTable, settings: Settings, features: TargetFeatures
) -> Iterator[Difference]:
    alter = f"ALTER TABLE {plan.target.quoted}"
    expected = {fold(column.name, settings): column for column in plan.table.columns}
    for name, column in expected.items():
        there = existing.column(name)
        if there is None:
            mend = f"{alter} ADD COLUMN {plan.definitions[name]}"
            yield Difference(f"column {name} is missing", mend, fails_load=True)
            continue
        yield from _column_differences(alter, column, there, settings, features)
    for there in existing.columns:
        if there.name not in expected:
            needs_value = there.is_not_null and not (there.has_default or there.is_generated or there.is_identity)
            yield Difference(
                f"column {there.name} is not on the source{' and refuses NULL' if needs_value else ''}",
                fails_load=needs_value,
            )
    computed = {fold(column.name, settings) for column in plan.table.columns if column.computed is not None}
    for there in existing.columns:
        # The other way round is no difference: PostgreSQL may have refused the expression when the table was made.
        if there.is_generated and (there.name not in computed or "GENERATED" not in plan.definitions[there.name]):
            yield Difference(f"column {there.name} is generated, but must receive the source's values", fails_load=True)
    key = plan.table.primary_key
    wanted = tuple(fold(part.name, settings) for part in key.columns) if key else ()
    if existing.primary_key and existing.primary_key != wanted:
        has = f"({', '.join(existing.primary_key)})"
        yield Difference(f"primary key is {has}, the source has ({', '.join(wanted)})", fails_load=True)


def _column_differences(
    alter: str, column: Column, there: TargetColumn, settings: Settings, features: TargetFeatures
) -> Iterator[Difference]:
    wanted = column_type(column, settings, features)
    if there.type != wanted:
        text = f"column {there.name} is {there.type}, the source asks for {wanted}"
        change = f"{alter} ALTER COLUMN {quote(there.name)} TYPE {wanted}"
        mend = change if widens(there.type, wanted) else None
        yield Difference(text, mend, fails_load=is_narrower(there.type, wanted))
    if there.is_not_null and column.is_nullable:
        yield Difference(
            f"column {there.name} refuses NULL, the source allows it",
            f"{alter} ALTER COLUMN {quote(there.name)} DROP NOT NULL",
            fails_load=True,
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


def is_narrower(there: str, wanted: str) -> bool:
    """Whether a type of the same kind as the wanted one may not hold all of its values, or not as they are.

    What a load makes of a type of another kind, `load_plan.plan_load` knows.
    """
    if there in _WHOLE_NUMBERS and wanted in _WHOLE_NUMBERS:
        return _WHOLE_NUMBERS.index(there) < _WHOLE_NUMBERS.index(wanted)
    if (there, wanted) == ("real", "double precision"):
        return True
    kind, bounds = _parts(there)
    wanted_kind, wanted_bounds = _parts(wanted)
    if not bounds:
        return False
    if (kind, wanted_kind) == ("character varying", "text"):
        return True
    if kind != wanted_kind:
        return False
    if kind == "numeric":
        return not widens(wanted, there)
    return not wanted_bounds or bounds[0] < wanted_bounds[0]


def _parts(text: str) -> tuple[str, tuple[int, ...]]:
    numbers = re.search(r"\(([\d,]+)\)", text)
    kind = re.sub(r"\([\d,]+\)", "", text)
    return kind, tuple(map(int, numbers[1].split(","))) if numbers else ()


# -- keys, indexes and constraints --------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A key, index or foreign key that exists, in the words of `NamedStep.shape`; `is_validated` is a constraint's."""

    shape: str
    is_validated: bool = True
    is_primary: bool = False


@dataclass(frozen=True)
class Parts:
    """What a table has, by name. Indexes that belong to a constraint are not among `indexes`."""

    constraints: Mapping[str, Part] = field(default_factory=dict)
    indexes: Mapping[str, Part] = field(default_factory=dict)


# indnullsnotdistinct came with PostgreSQL 15; as JSON it can be asked for everywhere.
INDEXES = """
SELECT n.nspname, t.relname, i.relname, k.conname, k.contype, x.indisunique, x.indnkeyatts, x.indpred IS NOT NULL,
       coalesce((to_jsonb(x) ->> 'indnullsnotdistinct')::boolean, false),
       (SELECT array_agg(coalesce(a.attname, '(expression)') ORDER BY c.position)
        FROM unnest(x.indkey::int2[]) WITH ORDINALITY AS c (number, position)
        LEFT JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = c.number),
       (SELECT array_agg((o.bits & 1) = 1 ORDER BY o.position)
        FROM unnest(x.indoption::int2[]) WITH ORDINALITY AS o (bits, position))
FROM pg_index AS x
JOIN pg_class AS t ON t.oid = x.indrelid
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_constraint AS k ON k.conindid = x.indexrelid AND k.contype IN ('p', 'u', 'x')
WHERE n.nspname = ANY (%(schemas)s)
"""

CONSTRAINTS = """
SELECT n.nspname, t.relname, k.conname, k.contype, k.convalidated, rn.nspname, rt.relname, k.confdeltype, k.confupdtype,
       (SELECT array_agg(a.attname ORDER BY c.position)
        FROM unnest(k.conkey) WITH ORDINALITY AS c (number, position)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = c.number),
       (SELECT array_agg(a.attname ORDER BY c.position)
        FROM unnest(k.confkey) WITH ORDINALITY AS c (number, position)
        JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = c.number)
FROM pg_constraint AS k
JOIN pg_class AS t ON t.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = t.relnamespace
LEFT JOIN pg_class AS rt ON rt.oid = k.confrelid
LEFT JOIN pg_namespace AS rn ON rn.oid = rt.relnamespace
WHERE k.contype IN ('c', 'f') AND n.nspname = ANY (%(schemas)s)
"""

_ACTIONS = {"a": "NO ACTION", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}


def read_parts(connection: Any, schemas: Iterable[str]) -> dict[TargetName, Parts]:
    """Keys, indexes, checks and foreign keys of all tables of these target schemas. Raises psycopg2.Error."""
    constraints: defaultdict[TargetName, dict[str, Part]] = defaultdict(dict)
    indexes: defaultdict[TargetName, dict[str, Part]] = defaultdict(dict)
    wanted = {"schemas": sorted(set(schemas))}
    with connection.cursor() as cursor:
        cursor.execute(INDEXES, wanted)
        for schema, table, index, constraint, kind, is_unique, width, has_filter, no_nulls, names, descending in cursor:
            target = TargetName(schema, table)
            nulls = " NULLS NOT DISTINCT" if no_nulls else ""
            if constraint is not None:
                words = {"p": "PRIMARY KEY", "u": f"UNIQUE{nulls}"}.get(kind, "EXCLUDE")
                constraints[target][constraint] = Part(f"{words} ({_listed(names)})", is_primary=kind == "p")
                continue
            keys = [
                quote(name) + (" DESC" if down else "") for name, down in zip(names[:width], descending, strict=False)
            ]
            included = f" INCLUDE ({_listed(names[width:])})" if names[width:] else ""
            where = " WHERE" if has_filter else ""
            unique = "UNIQUE " if is_unique else ""
            indexes[target][index] = Part(f"{unique}INDEX ({', '.join(keys)}){included}{nulls}{where}")
        cursor.execute(CONSTRAINTS, wanted)
        for schema, table, name, kind, is_validated, other_schema, other, deletes, updates, columns, others in cursor:
            shape = "CHECK"
            if kind == "f":
                shape = (
                    f"FOREIGN KEY ({_listed(columns)}) REFERENCES {TargetName(other_schema, other).quoted}"
                    f" ({_listed(others)}) ON DELETE {_ACTIONS[deletes]} ON UPDATE {_ACTIONS[updates]}"
                )
            constraints[TargetName(schema, table)][name] = Part(shape, is_validated)
    connection.commit()
    tables = {*constraints, *indexes}
    return {target: Parts(constraints[target], indexes[target]) for target in tables}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(quote, names))
