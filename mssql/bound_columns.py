"""Buffers bound to a result's columns, and the Arrow arrays that are made of them, for whole blocks at once (numpy).

What arrow-odbc does in Rust, for connections that it cannot open. Values arrive as they do there: texts as UTF-16,
decimals and times as text, numbers and dates as the driver's C types.

Source: Microsoft, "ODBC Programmer's Reference", Appendix D, "C Data Types"; "Column-Wise Binding".
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.errors import InexactError, OdbcError
from model.exact_numbers import decimals_of
from mssql.odbc_client import (
    BIGINT,
    BINARY,
    BIT,
    CHAR,
    DATE,
    DOUBLE,
    FLOAT,
    NULL_DATA,
    OUTGROWN,
    TIMESTAMP,
    WIDE,
    Described,
)

#: characters that any value of another type than text and binary takes where it is asked for as text
_ANY_TEXT = 128
#: room for what is declared to be longer, or without a bound, where nobody says how long it is: a row's whole page
_UNBOUNDED = 8_000
_DATE = np.dtype([("year", "<i2"), ("month", "<u2"), ("day", "<u2")])
_MOMENT = np.dtype([*_DATE.descr, ("hour", "<u2"), ("minute", "<u2"), ("second", "<u2"), ("nanosecond", "<u4")])
_NUMBERS: Mapping[int, np.dtype[Any]] = {
    BIT: np.dtype("u1"),
    BIGINT: np.dtype("<i8"),
    FLOAT: np.dtype("<f4"),
    DOUBLE: np.dtype("<f8"),
}
_FIXED = {
    pa.bool_(): BIT,
    **dict.fromkeys((pa.uint8(), pa.int16(), pa.int32(), pa.int64()), BIGINT),
    pa.float32(): FLOAT,
    pa.float64(): DOUBLE,
}
_WIDTHS = {BIT: 1, BIGINT: 8, FLOAT: 4, DOUBLE: 8, DATE: _DATE.itemsize, TIMESTAMP: _MOMENT.itemsize}
#: units of a timestamp or time in a second
_A_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bound:
    """The buffers of a column: `width` bytes a row for values of C type `code`, and their lengths in bytes."""

    kind: pa.DataType
    code: int
    width: int
    data: npt.NDArray[np.uint8]
    lengths: Numbers

    def array(self, count: int) -> pa.Array:
        """The first so many rows, copied. Raises OdbcError for a value that had no room."""
        lengths = self.lengths[:count].copy()
        there = lengths != NULL_DATA
        raw = self.data.reshape(-1, self.width)[:count]
        if self.code in _NUMBERS:
            numbers = raw.reshape(-1).view(_NUMBERS[self.code]).copy()
            numbers = numbers != 0 if self.code == BIT else numbers
            return pa.array(numbers, mask=~there).cast(self.kind)
        if self.code == DATE:
            days = _days(raw.reshape(-1).view(_DATE))
            return _of_numbers(days.astype(np.int32), there, self.kind)
        if self.code == TIMESTAMP:
            return _of_numbers(_moments(raw.reshape(-1).view(_MOMENT), there, self.kind.unit), there, self.kind)
        self._refuse_outgrown(lengths, there)
        lengths[~there] = 0
        if self.code == WIDE:
            return _texts(raw.view("<u2"), lengths // 2, there)
        if pa.types.is_time(self.kind):
            return _of_numbers(_times(raw, lengths, self.kind), there, self.kind)
        kind = pa.string() if self.code == CHAR else self.kind
        if pa.types.is_fixed_size_binary(kind):
            if np.any(there & (lengths != self.width)):
                raise OdbcError(f"a value has not the {self.width} bytes of its column")
            return _bytes(raw, lengths, there, pa.binary()).cast(kind)
        values = _bytes(raw, lengths, there, kind)
        try:
            return decimals_of(values, self.kind) if self.code == CHAR else values
        except InexactError as error:
            raise OdbcError(str(error)) from None

    def _refuse_outgrown(self, lengths: Numbers, there: npt.NDArray[np.bool_]) -> None:
        # NO_TOTAL is negative: a value of which the driver does not know how long it is, only that it was cut.
        room = self.width - {CHAR: 1, WIDE: 2}.get(self.code, 0)
        if np.any(there & ((lengths > room) | (lengths < 0))):
            raise OdbcError(OUTGROWN)


def bind(kind: pa.DataType, described: Described, rows: int, max_text: int | None, max_binary: int | None) -> Bound:
    """Buffers for a column that is to arrive as a kind; the most that a text (UTF-16 units) or binary may take."""
    code, width = _FIXED.get(kind), 0
    if code is None:
        if pa.types.is_date(kind):
            code = DATE
        elif pa.types.is_timestamp(kind):
            code = TIMESTAMP
        elif pa.types.is_string(kind):
            code, width = WIDE, 2 * (_room(described, described.is_text, max_text) + 1)
        elif pa.types.is_fixed_size_binary(kind):
            code, width = BINARY, kind.byte_width
        elif pa.types.is_binary(kind):
            code, width = BINARY, max(_room(described, described.is_binary, max_binary), 1)
        else:
            code, width = CHAR, _ANY_TEXT
    width = width or _WIDTHS[code]
    return Bound(kind, code, width, np.zeros(rows * width, np.uint8), np.zeros(rows, np.int64))


def _room(described: Described, is_declared: bool, most: int | None) -> int:
    if not is_declared:
        return _ANY_TEXT
    return min(described.size or sys.maxsize, most or _UNBOUNDED)


# -- the values of a block ---------------------------------------------------------------------------


def _of_numbers(numbers: npt.NDArray[np.int64 | np.int32], there: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    if kind.bit_width == 32:
        numbers = numbers.astype(np.int32)
    return pa.Array.from_buffers(kind, len(numbers), [_validity(there), pa.py_buffer(numbers)], int((~there).sum()))


def _validity(there: npt.NDArray[np.bool_]) -> pa.Buffer | None:
    return None if there.all() else pa.array(there).buffers()[1]


def _days(dates: npt.NDArray[np.void]) -> Numbers:
    """Days since 1970 in the calendar that SQL Server counts in at all times, the Gregorian one."""
    year, month = dates["year"].astype(np.int64), dates["month"].astype(np.int64)
    # Years that begin in March, so that the day which some of them have more is their last.
    year -= month <= 2
    month = (month + 9) % 12
    of_year = (153 * month + 2) // 5 + dates["day"].astype(np.int64) - 1
    days: Numbers = 365 * year + year // 4 - year // 100 + year // 400 + of_year - 719_468
    return days


def _moments(found: npt.NDArray[np.void], there: npt.NDArray[np.bool_], unit: str) -> Numbers:
    seconds = _days(found) * 86_400 + found["hour"].astype(np.int64) * 3_600
    seconds += found["minute"].astype(np.int64) * 60 + found["second"]
    a_second = _A_SECOND[unit]
    last = np.iinfo(np.int64).max // a_second
    if np.any(there & ((seconds >= last) | (seconds <= -last))):
        raise OdbcError("Timestamp is not representable in arrow")
    moments: Numbers = seconds * a_second + found["nanosecond"].astype(np.int64) // (1_000_000_000 // a_second)
    return moments


def _times(raw: npt.NDArray[np.uint8], lengths: Numbers, kind: pa.DataType) -> Numbers:
    """Times of day written as `hh:mm:ss[.fffffff]`, in the kind's unit; digits beyond it are cut."""
    digits = np.where(np.arange(18) < lengths[:, None], raw[:, :18], ord("0")).astype(np.int64) - ord("0")
    hours, minutes, seconds = (digits[:, at] * 10 + digits[:, at + 1] for at in (0, 3, 6))
    nanoseconds = digits[:, 9:18] @ (10 ** np.arange(8, -1, -1))
    a_second = _A_SECOND[kind.unit]
    times: Numbers = (hours * 3_600 + minutes * 60 + seconds) * a_second + nanoseconds // (1_000_000_000 // a_second)
    return times


def _bytes(raw: npt.NDArray[np.uint8], lengths: Numbers, there: npt.NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    data = raw[np.arange(raw.shape[1]) < lengths[:, None]]
    return _of_pieces(kind, np.concatenate(([0], np.cumsum(lengths))), data.tobytes(), there)


def _texts(raw: npt.NDArray[np.uint16], lengths: Numbers, there: npt.NDArray[np.bool_]) -> pa.Array:
    """UTF-16 as UTF-8; half a surrogate pair as U+FFFD."""
    units = raw[np.arange(raw.shape[1]) < lengths[:, None]]
    ends = np.concatenate(([0], np.cumsum(lengths)))
    if not units.size or units.max() < 0x80:
        return _of_pieces(pa.string(), ends, units.astype(np.uint8).tobytes(), there)
    sizes = 1 + (units >= 0x80).astype(np.int64) + (units >= 0x800)
    kinds = units & 0xFC00
    if np.any((kinds == 0xD800) | (kinds == 0xDC00)):
        of_row = np.repeat(np.arange(len(lengths)), lengths)
        is_pair = (kinds[:-1] == 0xD800) & (kinds[1:] == 0xDC00) & (of_row[:-1] == of_row[1:])
        is_paired = np.concatenate((is_pair, [False])) | np.concatenate(([False], is_pair))
        # Both halves of a pair are four bytes together.
        sizes[is_paired] = 2
        units = np.where(((kinds == 0xD800) | (kinds == 0xDC00)) & ~is_paired, np.uint16(0xFFFD), units)
    before = np.concatenate(([0], np.cumsum(sizes)))
    return _of_pieces(pa.string(), before[ends], units.astype("<u2").tobytes().decode("utf-16-le").encode(), there)


def _of_pieces(kind: pa.DataType, offsets: Numbers, data: bytes, there: npt.NDArray[np.bool_]) -> pa.Array:
    buffers = [_validity(there), pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(kind, len(there), buffers, int((~there).sum()))
