"""Rows as JSON that a person can read and that loses nothing: how rejected rows are written down.

By the Arrow type in which a column is read: numbers as JSON numbers, exact numbers as text, timestamps as
`2024-05-01 12:30:00.123456`, binary as `0x…`, a uniqueidentifier as SQL Server writes it, NULL as null.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from model.catalog import Column
from model.long_rows import LongRow, LongValue, Part
from postgres import wire
from type_mapping import mapping_of, read_type

#: one row: column → value as JSON has it
Row = Mapping[str, Any]


def write_row(part: Part, position: int, columns: Sequence[Column]) -> Row:
    """One row of a batch whose columns match `columns` by position.

    Of a value too large for a batch its size and SHA-256 stand there; it is read again from the source.
    """
    if isinstance(part, LongRow):
        long = {columns[at].name: _described(value) for at, value in part.values.items()}
        return {**write_row(part.batch, 0, columns), **long}
    batch = part
    return {
        column.name: _written(_settled(values.slice(position, 1), column)[0].as_py(), values.type)
        for column, values in zip(columns, batch.columns, strict=True)
    }


def read_rows(rows: Sequence[Row], columns: Sequence[Column]) -> pa.RecordBatch:
    """The batch that such rows were taken from. Raises ValueError where they do not fit the columns."""
    arrays = []
    for column in columns:
        if any(column.name not in row for row in rows):
            raise ValueError(f"column {column.name} was not there when the row was recorded")
        kind = read_type(column)
        values = [_read(row[column.name], kind) for row in rows]
        if _is_variant(column):
            values = [None if value is None else wire.from_variant_text(str(value)) for value in values]
        arrays.append(pa.array(values, kind))
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _is_variant(column: Column) -> bool:
    return mapping_of(column.type).family == "variant"


def _settled(values: pa.Array, column: Column) -> pa.Array:
    return wire.to_variant_text(values) if _is_variant(column) else values


def _described(value: LongValue) -> Row:
    digest = hashlib.sha256()
    for piece in value.pieces():
        digest.update(piece)
    return {"bytes": value.size, "sha256": digest.hexdigest()}


def _written(value: object, kind: pa.DataType) -> object:
    if isinstance(value, bytes):
        is_uuid = pa.types.is_fixed_size_binary(kind) and kind.byte_width == 16
        return str(uuid.UUID(bytes_le=value)).upper() if is_uuid else f"0x{value.hex().upper()}"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "microseconds")
    if isinstance(value, time):
        return value.isoformat("microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else value


def _read(value: Any, kind: pa.DataType) -> object:
    if value is None:
        return None
    if isinstance(value, dict):
        raise ValueError("a value was too large to be recorded, and the table has no key to read it by")
    if pa.types.is_fixed_size_binary(kind):
        return uuid.UUID(value).bytes_le
    if pa.types.is_binary(kind):
        return bytes.fromhex(value.removeprefix("0x"))
    if pa.types.is_decimal(kind):
        return Decimal(value)
    if pa.types.is_timestamp(kind):
        return datetime.fromisoformat(value)
    if pa.types.is_time(kind):
        return time.fromisoformat(value)
    if pa.types.is_date(kind):
        return date.fromisoformat(value)
    return value
