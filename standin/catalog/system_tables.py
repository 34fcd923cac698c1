"""The views of `sys` as plain tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.catalog import Database, SqlType
from standin.catalog.constraint_rows import add_constraints
from standin.catalog.index_rows import add_indexes
from standin.catalog.object_rows import add_names, add_others, add_sequences
from standin.catalog.rows import CREATED, Catalog, Row
from standin.catalog.server_rows import add_server
from standin.catalog.table_rows import add_columns, add_period, add_table
from standin.catalog.type_rows import add_types
from standin.catalog.views import VIEWS, columns_of
from standin.relations import Relation
from standin.types import INTEGERS


@dataclass(frozen=True)
class SystemTable:
    """One view of `sys`, ready to be stored."""

    relation: Relation
    rows: list[tuple[object, ...]]


def system_tables(
    database: Database, counts: Mapping[tuple[str, str], int], identities: Mapping[tuple[str, str], int | None]
) -> list[SystemTable]:
    """The views of `sys` with their rows.

    `counts` are the rows of each (schema, table), `identities` the last identity value in each that
    has one; both as they lie in the stand-in when it starts.
    """
    catalog = Catalog(database)
    add_types(catalog)
    # Tables reference one another, so all have their numbers before the rest of each is told.
    tables = [add_table(catalog, table) for table in sorted(database.tables, key=lambda table: table.sort_key)]
    for made in tables:
        add_columns(catalog, made, identities)
        add_indexes(catalog, made, counts.get((made.table.schema, made.table.name), made.table.row_count))
        add_constraints(catalog, made)
        add_period(catalog, made)
    add_sequences(catalog)
    add_others(catalog)
    add_server(catalog)
    add_names(catalog)
    catalog.rows["all_objects"] = catalog.rows["objects"]
    catalog.rows["all_columns"] = catalog.rows["columns"]

    return [_as_table(view, catalog.rows[view]) for view in VIEWS]


def _as_table(view: str, rows: Sequence[Row]) -> SystemTable:
    columns = columns_of(view)
    values = [
        tuple(
            row.get(column.name)
            if column.is_nullable or row.get(column.name) is not None
            else _default(column.kind or SqlType("int"))
            for column in columns
        )
        for row in rows
    ]
    return SystemTable(Relation("sys", view, columns), values)


def _default(kind: SqlType) -> object:
    """A value for a column that may not be NULL and of which the stand-in knows nothing."""
    if kind.name in INTEGERS:
        return 0
    return CREATED if kind.name == "datetime" else ""
