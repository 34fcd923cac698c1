"""Rows read value by value, through ODBC itself: those that are too large to be bound, and what arrow-odbc cannot send.

A long value goes into a temporary file piece by piece, so memory stays bounded, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

import pyarrow as pa

from model.catalog import Column
from model.errors import OdbcError, SourceError
from model.long_rows import PIECE_BYTES, LongRow, LongValue, Part, spool
from mssql import descriptions, odbc_client
from mssql.answers import count_query, naming, not_as_declared, refuse_short, source_error
from mssql.losses import seventh_digit_flag
from mssql.quoting import quote
from mssql.wanted_rows import Form, Reading, expression_of, is_cut
from type_mapping import mapping_of, read_type

#: bytes of text and binary in a batch of rows that were read so
GATHERED_BYTES = 4 * 1024 * 1024


class _Order:
    """In which order a query lists the columns, by their positions.

    First the `shorts`, then flags that show the seventh digits of those that are `cut`. Unbounded values, `longs`, are
    last: a driver hands values over from left to right, and keeps those before in memory.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._lobs = [mapping_of(column.type).lob(column.type) for column in columns]
        self.shorts = [position for position, lob in enumerate(self._lobs) if lob is None]
        self.longs = [position for position, lob in enumerate(self._lobs) if lob is not None]
        self.cut = [position for position, column in enumerate(columns) if is_cut(column)]

    def query(self, rows: str) -> str:
        """What reads the columns of these rows."""
        listed = [expression_of(self._columns[position]) for position in self.shorts]
        listed += [seventh_digit_flag(quote(self._columns[position].source_name)) for position in self.cut]
        listed += map(self._long, self.longs)
        return f"SELECT {', '.join(f'{part} AS c{number}' for number, part in enumerate(listed))} FROM {rows}"

    def _long(self, position: int) -> str:
        expression = expression_of(self._columns[position])
        return f"CAST({expression} AS nvarchar(max))" if self._lobs[position] == "text" else expression

    def hold_against(self, offered: pa.Schema) -> None:
        """Compare the types that the driver offers for the query with the columns'."""
        positions = (*self.shorts, *(None for _ in self.cut), *self.longs)
        by_position = dict(zip(positions, offered.types, strict=True))
        descriptions.hold_against(self._columns, [by_position[position] for position in range(len(self._columns))])


def read_value_by_value(reading: Reading, form: Form) -> Iterator[Part]:
    """The rows: in batches, but those with long values one by one; seventh digits as flags.

    Raises SourceError, and OtherwiseDescribedError where the driver describes other columns.
    """
    source, wanted = reading.source, reading.wanted
    order = _Order(form.columns)
    gathered = _Gathered(wanted.columns, form.columns, source.settings.batch_size)
    arrived = 0
    try:
        with source.second_connection() as connection:
            if form.is_promised:
                _describe_bare(connection, reading)
            for row in connection.rows(order.query(wanted.rows), order.hold_against):
                values = {position: _value(reading, row, form, position) for position in order.shorts}
                for position in order.cut:
                    reading.tell("seventh_digits", position, int(row.value(pa.bool_()) or 0))
                values |= {position: _value(reading, row, form, position) for position in order.longs}
                yield from gathered.take(values)
                arrived += 1
            yield from gathered.left()
            refuse_short(arrived, [row.value(pa.int64()) for row in connection.rows(count_query(arrived))])
    except OdbcError as error:
        raise source_error(error) from None
    except OSError as error:
        raise SourceError(f"a long value found no room in the folder for temporary files (TMPDIR): {error}") from None


def _describe_bare(connection: odbc_client.Connection, reading: Reading) -> None:
    """Hold against the catalog those columns whose own description an expression hides."""
    columns = reading.wanted.columns
    hidden = descriptions.bare(columns)
    if not hidden:
        return
    query = descriptions.bare_query(columns, hidden, reading.wanted.quoted_table)
    for _ in connection.rows(query, lambda offered: descriptions.hold_bare_against(columns, hidden, offered.types)):
        pass


def _value(reading: Reading, row: odbc_client.Row, form: Form, position: int) -> object:
    """The next column's value, a long one in a temporary file; text as UTF-8."""
    column = form.columns[position]
    kind = read_type(column)
    if pa.types.is_string(kind):
        wide = row.pieces(odbc_client.WIDE)
        if wide is None:
            return None
        pieces = odbc_client.Utf8(wide)
        value = _taken(iter(pieces))
        reading.tell("unpaired_surrogates", position, int(pieces.has_half_pair))
        return value
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        raw = row.pieces(odbc_client.BINARY)
        return None if raw is None else _taken(raw)
    try:
        return row.value(kind)
    except (ValueError, ArithmeticError) as error:
        raise not_as_declared(column, error) from None


def _taken(pieces: Iterator[bytes]) -> bytes | LongValue:
    parts: list[bytes] = []
    size = 0
    for piece in pieces:
        parts.append(piece)
        size += len(piece)
        if size > PIECE_BYTES:
            return spool(chain(parts, pieces))
    return b"".join(parts)


class _Gathered:
    """Rows that come one by one, on their way into batches."""

    def __init__(self, promised: Sequence[Column], columns: Sequence[Column], most_rows: int) -> None:
        self._columns = tuple(zip(promised, columns, strict=True))
        self._most_rows = most_rows
        self._rows: list[dict[int, object]] = []
        self._size = 0

    def take(self, row: dict[int, object]) -> Iterator[Part]:
        """One more row, its values by position; yields what is ready."""
        long = {position: value for position, value in row.items() if isinstance(value, LongValue)}
        if long:
            yield LongRow(self._batch([{**row, **dict.fromkeys(long)}]), long)
            return
        self._rows.append(row)
        self._size += sum(len(value) for value in row.values() if isinstance(value, bytes))
        if len(self._rows) >= self._most_rows or self._size >= GATHERED_BYTES:
            yield from self.left()

    def left(self) -> Iterator[Part]:
        """The rows that wait."""
        if self._rows:
            yield self._batch(self._rows)
        self._rows, self._size = [], 0

    def _batch(self, rows: Sequence[Mapping[int, object]]) -> pa.RecordBatch:
        arrays = []
        for position, (promised, column) in enumerate(self._columns):
            with naming(promised):
                values = pa.array([row[position] for row in rows], read_type(column))
                arrays.append(descriptions.as_promised(values, promised, column))
        return pa.RecordBatch.from_arrays(arrays, names=[promised.name for promised, _ in self._columns])
