"""What SQL Server itself counts in a table: rows, values, the length of texts and binaries, the sum of numbers.

The load and the verification read rows by the same driver, so a fault of it would show on neither side.
These figures are made by the server, and fetched by another client (pyodbc); what was read has to match them.

Sources: Microsoft, "DATALENGTH (Transact-SQL)": bytes, two for each UTF-16 unit of nchar and nvarchar;
"COUNT_BIG (Transact-SQL)": not for text, ntext and image columns, which is why NULLs are told by CASE;
"SUM (Transact-SQL)": of decimals it is decimal(38, s), of money money, and one that has no room is an error; "DATEDIFF
(Transact-SQL)": days as int, for every date.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyodbc

from db import odbc_diagnosis
from model.catalog import Column, Table
from model.errors import SourceError
from model.exact_numbers import EXACT, has_total
from model.ranges import Chunk
from mssql.quoting import quote, quote_table
from mssql.where import where_clause
from type_mapping import read_type, select_expression, traits_of

#: the longest text that is measured without making a LOB of it, in UTF-16 units
LONGEST_SHORT = 4000
#: digits up to which a decimal can be added up 10^10 times in 38 of them
SUMMED_WHOLE = 28
#: digits of each half of a wider one
GROUP = 20


@dataclass(frozen=True)
class Figures:
    """A server's own count of some rows.

    `values` are the rows without NULL of each column; `sizes` the bytes of each binary column, and for each text
    column its UTF-16 units, or its bytes in UTF-8 on a server that counts those (`counts_utf8`). None where
    a column's values have one size. `totals` are the sums of exact numbers, and of dates and timestamps those of their
    days since 1970; None for other columns.
    """

    rows: int
    values: tuple[int, ...]
    sizes: tuple[int | None, ...]
    totals: tuple[Decimal | None, ...]
    counts_utf8: bool


def ask(connection: Any, query: str) -> None:
    """Have a pyodbc connection answer a query, whatever the answer is. Raises pyodbc.Error."""
    connection.execute(query).fetchall()


def count_rows(connection: Any, table: Table) -> int:
    """The rows of a table. `connection` is a pyodbc one. Raises SourceError."""
    (rows,) = _ask(connection, f"SELECT COUNT_BIG(*) FROM {quote_table(table.schema, table.name)}")
    return int(rows or 0)


def count_values(
    connection: Any, table: Table, columns: Sequence[Column], chunk: Chunk, kinds: Sequence[pa.DataType]
) -> Figures:
    """The server's figures about a chunk of a table. `connection` is a pyodbc one. Raises SourceError.

    `kinds` are the Arrow types in which the columns were read: a decimal's scale there is the server's own.
    """
    rows, unit, *found = _ask(connection, figures_query(table, columns, chunk, kinds))
    values = tuple(int(count or 0) for count in found[: len(columns)])
    others = iter(found[len(columns) :])
    counts_utf8 = unit == 1
    sizes: list[int | None] = []
    for column in columns:
        if not _is_measured(column):
            sizes.append(None)
            continue
        size = int(next(others) or 0)
        sizes.append(size // 2 if _is_text(column) and not counts_utf8 else size)
    totals: list[Decimal | None] = []
    for column, kind in zip(columns, kinds, strict=True):
        parts = _summed(column, kind)
        numbers = [Decimal(next(others) or 0).scaleb(exponent, EXACT) for _, exponent in parts]
        totals.append(sum_exactly(numbers) if parts else None)
    return Figures(int(rows or 0), values, tuple(sizes), tuple(totals), counts_utf8)


def figures_query(table: Table, columns: Sequence[Column], chunk: Chunk, kinds: Sequence[pa.DataType]) -> str:
    """Rows; bytes of a UTF-16 unit; of each column the values, the bytes where they vary in size, the sums."""
    counted = [f"COUNT_BIG(CASE WHEN {quote(column.source_name)} IS NOT NULL THEN 1 END)" for column in columns]
    measured = [f"SUM(CAST(DATALENGTH({_sized(column)}) AS bigint))" for column in columns if _is_measured(column)]
    # As text, so that no driver's decimals stand between.
    summed = [
        f"CAST(SUM({part}) AS varchar(50))"
        for column, kind in zip(columns, kinds, strict=True)
        for part, _ in _summed(column, kind)
    ]
    figures = ", ".join(["COUNT_BIG(*)", "MAX(DATALENGTH(N'a'))", *counted, *measured, *summed])
    return f"SELECT {figures} FROM {quote_table(table.schema, table.name)}{where_clause(chunk)}"


def _summed(column: Column, kind: pa.DataType) -> list[tuple[str, int]]:
    """What SUM is asked of a column, each with the power of ten that it counts; nothing where it has no exact sum.

    No sum can outgrow its type before 10^10 rows: whole numbers and narrow decimals are added up in a wider type;
    wide decimals by their digits, as two groups of twenty.
    """
    if not has_total(kind):
        return []
    expression = select_expression(column, quote(column.source_name))
    if pa.types.is_temporal(kind):
        return [(f"CAST(DATEDIFF(day, '19700101', {expression}) AS bigint)", 0)]
    if not pa.types.is_decimal(kind):
        return [(f"CAST({expression} AS {'decimal(19,0)' if kind == pa.int64() else 'bigint'})", 0)]
    name = quote(column.source_name)
    if kind.precision <= SUMMED_WHOLE:
        return [(f"CAST({name} AS decimal({kind.precision},{kind.scale}))", 0)]
    text = f"CAST(CAST({name} AS decimal({kind.precision},{kind.scale})) AS varchar(41))"
    digits = f"RIGHT('{'0' * 2 * GROUP}' + REPLACE(REPLACE({text}, '-', ''), '.', ''), {2 * GROUP})"
    sign = f"CASE WHEN {name} < 0 THEN -1 ELSE 1 END"
    return [
        (f"{sign} * CAST(SUBSTRING({digits}, {start + 1}, {GROUP}) AS decimal({GROUP},0))", GROUP - start - kind.scale)
        for start in (0, GROUP)
    ]


def sum_exactly(numbers: Sequence[Decimal]) -> Decimal:
    """The sum of numbers, whatever decimal's own precision."""
    found = Decimal(0)
    for number in numbers:
        found = EXACT.add(found, number)
    return found


def _is_text(column: Column) -> bool:
    return bool(pa.types.is_string(read_type(column)))


def _is_measured(column: Column) -> bool:
    if traits_of(column.type).is_fixed_size:
        return False
    return _is_text(column) or bool(pa.types.is_binary(read_type(column)))


def _sized(column: Column) -> str:
    """The expression whose bytes are counted: as UTF-16 for text, whatever the column's code page."""
    expression = select_expression(column, quote(column.source_name))
    traits = traits_of(column.type)
    if not _is_text(column) or (traits.is_text and traits.is_wide):
        return expression
    # Of the other types, max_length is not that of the text.
    is_short = traits.is_text and not traits.is_pointer and 0 < column.type.max_length <= LONGEST_SHORT
    return f"CAST({expression} AS nvarchar({column.type.max_length if is_short else 'max'}))"


def _ask(connection: Any, sql: str) -> list[Any]:
    try:
        return list(connection.cursor().execute(sql).fetchone())
    except pyodbc.Error as error:
        found = odbc_diagnosis(error)
        raise SourceError(found.words, found.is_temporary, found.numbers) from None
