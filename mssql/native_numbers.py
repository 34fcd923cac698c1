"""Decimals and money in the form in which a driver holds them, in position of the text that it would make of them.

Making a decimal's text in the driver and reading it again is a good part of the time in which rows travel. Asked for
its bytes (SQL_C_BINARY), a driver hands over a decimal as SQL_NUMERIC_STRUCT (Microsoft, "ODBC Programmer's
Reference", Appendix D, "C Data Types") and money as the protocol has it ([MS-TDS] 2.2.5.5.1.5, "Fixed-point
Numbers"): counts of the smallest unit, from which no digit can be lost. No document promises it for SQL_C_BINARY, so a
connection is asked for known numbers first, and each decimal's own scale is compared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import arrow_odbc
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.catalog import Column
from model.errors import UnknownNumberError
from model.exact_numbers import LARGEST_HIGH
from type_mapping import mapping_of, read_type, traits_of, travels_as_text

#: positions of columns, and the Arrow types in which the driver's own bytes of their numbers arrive
RawNumbers = Mapping[int, pa.DataType]
AS_TEXT: RawNumbers = MappingProxyType({})
#: from so many rows on, asking a connection how it hands numbers over costs less than what it saves
LARGE_TABLE_ROWS = 100_000

#: SQL_NUMERIC_STRUCT; its sign is 1 for positive numbers, 0 for negative ones
_NUMERIC = np.dtype([("precision", "u1"), ("scale", "u1"), ("sign", "u1"), ("low", "<u8"), ("high", "<u8")])
#: the upper half comes first
_MONEY = np.dtype([("high", "<u4"), ("low", "<u4")])
_SMALLMONEY = np.dtype("<i4")

#: numbers that tell apart what a driver might do with sign, scale and the order of bytes
_KNOWN = (
    ("decimal(38,5)", "-12345678901234567890123456.78901", "260500356c760e4fc986a2a39f1a950f000000"),
    ("decimal(38,1)", "258.5", "260101190a0000000000000000000000000000"),
    ("money", "-12.56", "ffffffff6015feff"),
    ("money", "922337203685477.5807", "ffffff7fffffffff"),
    ("smallmoney", "-2.5", "589effff"),
)


def ask_for(connection: Any, columns: Sequence[Column], rows: int) -> RawNumbers:
    """Which of a table's columns this arrow-odbc connection is to be asked for in the driver's own form.

    None of a table of few `rows`, nor where the driver's form is not the one read here. Takes a round trip.
    """
    raw = forms_of(columns)
    return raw if raw and rows >= LARGE_TABLE_ROWS and are_offered(connection) else AS_TEXT


def forms_of(columns: Sequence[Column]) -> RawNumbers:
    """The forms in which a driver holds the numbers of these columns."""
    return {
        position: pa.binary(_form(column).itemsize)
        for position, column in enumerate(columns)
        if mapping_of(column.type).family == "decimal" and not travels_as_text(column)
    }


def are_offered(connection: Any) -> bool:
    """Whether this arrow-odbc connection hands numbers over in the forms read here."""
    listed = ", ".join(f"c{at} = CONVERT({kind}, '{number}')" for at, (kind, number, _) in enumerate(_KNOWN))
    # Of any length, since another than the one that was bound would end the process.
    kinds = pa.schema([(f"c{at}", pa.binary()) for at in range(len(_KNOWN))])
    try:
        (batch,) = connection.read_arrow_batches(
            f"SELECT {listed}", batch_size=1, max_binary_size=64, map_schema=lambda _: kinds
        )
    except arrow_odbc.Error:
        return False
    return [column[0].as_py() for column in batch.columns] == [bytes.fromhex(form) for _, _, form in _KNOWN]


def decoded(values: pa.Array, column: Column) -> pa.Array:
    """The numbers of a column that was asked for in the driver's own form, for the whole array at once.

    `column` is what the driver describes. Raises UnknownNumberError, also where a number's own scale is another.
    """
    kind = read_type(column)
    form = _form(column)
    validity, data = values.buffers()
    raw = np.frombuffer(data, dtype=form)[values.offset : values.offset + len(values)]
    if form is _NUMERIC:
        there = np.asarray(values.is_valid()) if values.null_count else True
        is_strange = (raw["scale"] != kind.scale) | (raw["sign"] > 1) | (raw["high"] > LARGEST_HIGH)
        if bool(np.any(is_strange & there)):
            raise UnknownNumberError(f"column {column.name}: the driver sent a decimal in an unknown form")
        numbers = _of_structs(raw)
    else:
        numbers = _of_money(raw) if form is _MONEY else _widened(raw.astype(np.int64))
    if values.offset:
        validity = pa.array(values.is_valid()).buffers()[1]
    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(numbers)], values.null_count)


def _form(column: Column) -> np.dtype[Any]:
    size = traits_of(column.type).money_bytes
    if size is None:
        return _NUMERIC
    return _MONEY if size == _MONEY.itemsize else _SMALLMONEY


def _of_structs(raw: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """Two's complement in 128 bits of each sign and magnitude."""
    negative = (raw["sign"] == 0).astype(np.uint64)
    flipped = np.uint64(0) - negative
    numbers = np.empty((len(raw), 2), dtype=np.uint64)
    numbers[:, 0] = (raw["low"] ^ flipped) + negative
    numbers[:, 1] = (raw["high"] ^ flipped) + (negative & (raw["low"] == 0))
    return numbers


def _of_money(raw: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    whole = (raw["high"].astype(np.uint64) << np.uint64(32)) | raw["low"]
    return _widened(whole.view(np.int64))


def _widened(whole: npt.NDArray[np.int64]) -> npt.NDArray[np.uint64]:
    numbers = np.empty((len(whole), 2), dtype=np.uint64)
    numbers[:, 0] = whole.view(np.uint64)
    numbers[:, 1] = (whole >> 63).view(np.uint64)
    return numbers
