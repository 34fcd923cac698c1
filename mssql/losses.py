"""What values lose between SQL Server and an Arrow batch, noticed and counted.

Two things are lost: a seventh fractional digit, for which PostgreSQL has no room, and half a surrogate pair,
which has no UTF-8 and which the drivers replace by U+FFFD. Columns that cannot hold the case are not looked
at, and the server is asked nothing more unless there is something to count.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.catalog import Column, Table
from model.ranges import Chunk, Picked
from mssql import odbc_client
from mssql.quoting import quote, quote_table
from mssql.where import where_clause
from type_mapping import select_expression

REPLACEMENT = "\ufffd"
_LEAD_BYTE = REPLACEMENT.encode()[0]


def seventh_digit_flag(quoted: str) -> str:
    """The T-SQL expression that is 1 where a time has a seventh digit. `quoted` is the quoted column.

    Microsoft, "DATEPART (Transact-SQL)": nanoseconds come in steps of 100; "bit": any number but 0 becomes 1.
    """
    return f"CAST(DATEPART(NANOSECOND, {quoted}) % 1000 AS bit)"


def cut_to_microseconds(values: pa.Array) -> tuple[pa.Array, int]:
    """Times or timestamps of nanoseconds as microseconds, and how many of them had a seventh digit.

    Cut towards the past, never rounded: 23:59:59.9999999 would become 24:00:00.
    """
    kind = pa.time64("us") if pa.types.is_time(values.type) else pa.timestamp("us")
    validity, data = values.buffers()
    numbers = np.frombuffer(data, dtype=np.int64)[values.offset : values.offset + len(values)]
    cut = numbers // 1000
    is_cut = numbers != cut * 1000
    if values.null_count:
        is_cut &= values.is_valid().to_numpy(zero_copy_only=False)
        validity = pa.array(values.is_valid()).buffers()[1] if values.offset else validity
    whole = pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(cut)], values.null_count)
    return whole, int(np.count_nonzero(is_cut))


def holds_replacement(values: pa.Array) -> bool:
    """Whether U+FFFD is anywhere in an array of text: the source's own, or put there for half a pair."""
    data = values.buffers()[2]
    if data is None or not (np.frombuffer(data, dtype=np.uint8) == _LEAD_BYTE).any():
        return False
    return bool(pc.any(pc.match_substring(values, REPLACEMENT)).as_py())


def count_half_pairs(
    connection: odbc_client.Connection, table: Table, columns: Sequence[Column], chunk: Chunk | Picked
) -> list[int]:
    """How many values of each of these columns of a chunk hold half a surrogate pair.

    The text is read once more, as the bytes of its UTF-16. A server that keeps text as UTF-8, and says so
    through DATALENGTH, has no such values. Raises OdbcError.
    """
    expressions = (select_expression(column, quote(column.source_name)) for column in columns)
    texts = ", ".join(f"CAST(CAST({expression} AS nvarchar(max)) AS varbinary(max))" for expression in expressions)
    counts = [0] * len(columns)
    if [row.value(pa.int64()) for row in connection.rows("SELECT DATALENGTH(N'a')")] != [2]:
        return counts
    for row in connection.rows(f"SELECT {texts} FROM {quote_table(table.schema, table.name)}{where_clause(chunk)}"):
        for position in range(len(columns)):
            pieces = row.pieces(odbc_client.BINARY)
            counts[position] += pieces is not None and has_half_pair(b"".join(pieces))
    return counts


def has_half_pair(raw: bytes) -> bool:
    """Whether text in UTF-16 (little-endian) has a surrogate without its other half."""
    try:
        raw.decode("utf-16-le")
    except UnicodeDecodeError:
        return True
    return False
