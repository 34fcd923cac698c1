"""What SQL Server itself counts in a table: rows, values, and the length of texts and binaries.

The load and the verification read rows by the same driver, so a fault of it would show on neither side.
These figures are made by the server, and fetched by another client (pyodbc); what was read has to match them.

Sources: Microsoft, "DATALENGTH (Transact-SQL)": bytes, two for each UTF-16 unit of nchar and nvarchar;
"COUNT_BIG (Transact-SQL)": not for text, ntext and image columns, which is why NULLs are told by CASE.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyodbc

from catalog import Chunk, Column, Table
from db import is_temporary_source_error, odbc_words
from mssql.chunks import where_clause
from mssql.quoting import quote, quote_table
from mssql.reader import SourceError
from type_mapping import read_type, select_expression

#: the longest text that is measured without making a LOB of it, in UTF-16 units
LONGEST_SHORT = 4000
_WIDE = {"nvarchar", "ntext", "sysname"}
_OF_ONE_SIZE = {"char", "nchar", "binary", "timestamp"}


@dataclass(frozen=True)
class Figures:
    """A server's own count of some rows.

    `values` are the rows without NULL of each column; `sizes` the bytes of each binary column, and for each text
    column its UTF-16 units, or its bytes in UTF-8 on a server that counts those (`counts_utf8`). None where
    a column's values have one size.
    """

    rows: int
    values: tuple[int, ...]
    sizes: tuple[int | None, ...]
    counts_utf8: bool


def count_rows(connection: Any, table: Table) -> int:
    """The rows of a table. `connection` is a pyodbc one. Raises SourceError."""
    (rows,) = _ask(connection, f"SELECT COUNT_BIG(*) FROM {quote_table(table.schema, table.name)}")
    return rows or 0


def count_values(connection: Any, table: Table, columns: Sequence[Column], chunk: Chunk) -> Figures:
    """The server's figures about a chunk of a table. `connection` is a pyodbc one. Raises SourceError."""
    rows, unit, *found = _ask(connection, figures_query(table, columns, chunk))
    values = tuple(count or 0 for count in found[: len(columns)])
    measured = iter(found[len(columns) :])
    counts_utf8 = unit == 1
    sizes: list[int | None] = []
    for column in columns:
        if not _is_measured(column):
            sizes.append(None)
            continue
        size = next(measured) or 0
        sizes.append(size // 2 if _is_text(column) and not counts_utf8 else size)
    return Figures(rows or 0, values, tuple(sizes), counts_utf8)


def figures_query(table: Table, columns: Sequence[Column], chunk: Chunk) -> str:
    """Rows; bytes of a UTF-16 unit; the values of each column; the bytes of each column whose values vary in size."""
    counted = [f"COUNT_BIG(CASE WHEN {quote(column.source_name)} IS NOT NULL THEN 1 END)" for column in columns]
    measured = [f"SUM(CAST(DATALENGTH({_sized(column)}) AS bigint))" for column in columns if _is_measured(column)]
    figures = ", ".join(["COUNT_BIG(*)", "MAX(DATALENGTH(N'a'))", *counted, *measured])
    return f"SELECT {figures} FROM {quote_table(table.schema, table.name)}{where_clause(chunk)}"


def _is_text(column: Column) -> bool:
    return bool(pa.types.is_string(read_type(column)))


def _is_measured(column: Column) -> bool:
    return column.type.name not in _OF_ONE_SIZE and (_is_text(column) or bool(pa.types.is_binary(read_type(column))))


def _sized(column: Column) -> str:
    """The expression whose bytes are counted: as UTF-16 for text, whatever the column's code page."""
    expression = select_expression(column, quote(column.source_name))
    if not _is_text(column) or column.type.name in _WIDE:
        return expression
    # Of the other types, max_length is not that of the text: 16 for text, a pointer's.
    is_short = column.type.name == "varchar" and 0 < column.type.max_length <= LONGEST_SHORT
    return f"CAST({expression} AS nvarchar({column.type.max_length if is_short else 'max'}))"


def _ask(connection: Any, sql: str) -> list[int | None]:
    try:
        row = connection.cursor().execute(sql).fetchone()
    except pyodbc.Error as error:
        words = odbc_words(error)
        raise SourceError(words, is_temporary_source_error(words)) from None
    return [None if figure is None else int(figure) for figure in row]
