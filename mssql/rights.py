"""What the login may read in the source (Microsoft, "HAS_PERMS_BY_NAME")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.catalog import Column, Table
from mssql.catalog_queries import Catalog
from mssql.quoting import is_beyond_basic_plane, literal, quote_table

#: rights asked about in one query
AT_ONCE = 200


def unreadable(catalog: Catalog, tables: Sequence[Table]) -> list[Table]:
    """Those of the tables that the login may not SELECT from. Where the server does not say, it may.

    The right may be had on a table, or on its columns: the first one is asked about. Raises pyodbc.Error and
    arrow_odbc.Error.
    """
    answers = had(catalog, "SELECT", [(table, table.columns[0]) for table in tables])
    return [table for table, answer in zip(tables, answers, strict=True) if answer == 0]


def had(catalog: Catalog, right: str, columns: Sequence[tuple[Table, Column]]) -> list[Any]:
    """Whether the login has the right on each of the columns, as 1 or 0; None where the server does not say.

    Raises pyodbc.Error and arrow_odbc.Error.
    """
    found: list[Any] = []
    for start in range(0, len(columns), AT_ONCE):
        questions = [_question(right, table, column) for table, column in columns[start : start + AT_ONCE]]
        asked = ", ".join(f"{question} AS a{number}" for number, question in enumerate(questions))
        (row,) = catalog.rows(f"SELECT {asked}")
        found += [getattr(row, f"a{number}") for number in range(len(questions))]
    return found


def _question(right: str, table: Table, column: Column) -> str:
    name, part = literal(quote_table(table.schema, table.name)), literal(column.source_name)
    if is_beyond_basic_plane(name + part):
        # A name that the driver manager garbles would be that of no column.
        return "CAST(NULL AS int)"
    return f"HAS_PERMS_BY_NAME({name}, 'OBJECT', '{right}', {part}, 'COLUMN')"
