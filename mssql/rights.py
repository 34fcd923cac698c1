"""What the login may read in the source (Microsoft, "HAS_PERMS_BY_NAME")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyodbc

from model.catalog import Table
from mssql.quoting import is_beyond_basic_plane, literal, quote_table

#: tables asked about in one query
AT_ONCE = 200


def unreadable(connection: Any, tables: Sequence[Table]) -> list[Table]:
    """Those of the tables that the login may not SELECT from. Where the server does not say, it may.

    Raises pyodbc.Error and arrow_odbc.Error.
    """
    questions = {table: _question(table) for table in tables}
    # A name that the driver manager garbles would be that of no table.
    asked = [table for table, question in questions.items() if not is_beyond_basic_plane(question)]
    found: list[Table] = []
    for start in range(0, len(asked), AT_ONCE):
        some = asked[start : start + AT_ONCE]
        answers = _answers(connection, [questions[table] for table in some])
        found += [table for table, answer in zip(some, answers, strict=True) if answer == 0]
    return found


def _answers(connection: Any, questions: Sequence[str]) -> list[Any]:
    """One answer each, by a pyodbc or an arrow-odbc connection."""
    query = "SELECT " + ", ".join(f"{question} AS a{number}" for number, question in enumerate(questions))
    if isinstance(connection, pyodbc.Connection):
        return list(connection.cursor().execute(query).fetchone())
    batches = connection.read_arrow_batches(query, batch_size=1)
    return next([column[0].as_py() for column in batch.columns] for batch in batches)


def _question(table: Table) -> str:
    """Whether the login may read the table's first column: the right may be had on the table, or on its columns."""
    name = literal(quote_table(table.schema, table.name))
    return f"HAS_PERMS_BY_NAME({name}, 'OBJECT', 'SELECT', {literal(table.columns[0].source_name)}, 'COLUMN')"
