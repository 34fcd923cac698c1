"""ODBC itself, for what the other ways cannot do: a query beyond the basic plane, and values in pieces.

The values of a row are taken one after the other (SQLGetData), so memory holds a piece of one of them,
whatever its size. Slow for ordinary rows; the two drivers agree on every byte.

Sources: Microsoft, "SQLGetData Function", "Getting Long Data", "C Data Types", "SQLDriverConnect Function".
"""

from __future__ import annotations

import codecs
import ctypes
import ctypes.util
import re
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from db import choose_utf8_locale, login_attributes, login_timeout, odbc_words, probe_port, source_unreachable
from model.driver_manager import libraries
from model.errors import OdbcError
from model.long_rows import PIECE_BYTES
from model.settings import Settings

ENVIRONMENT, CONNECTION, STATEMENT = 1, 2, 3
SUCCESS, SUCCESS_WITH_INFO, NO_DATA = 0, 1, 100
NULL_DATA, NO_TOTAL = -1, -4
ATTR_ODBC_VERSION, ODBC_3_80 = 200, 380
ATTR_LOGIN_TIMEOUT, IS_POINTER = 103, -4
#: what a driver says of a value that has no room, and what arrow-odbc makes of it
TRUNCATED, OUTGROWN = "[01004]", "a value is too large to be written into the allocated buffer"
ROW_STATUS_POINTER, ROWS_FETCHED_POINTER, ROW_ARRAY_SIZE, ROW_ERROR = 25, 26, 27, 5
CHAR, WIDE, BINARY, BIT, BIGINT, FLOAT, DOUBLE, DATE, TIMESTAMP = 1, -8, -2, -7, -25, 7, 8, 91, 93
#: Arrow type → C type, its layout, what becomes of the numbers in it
_FIXED: dict[Any, tuple[int, str]] = {
    pa.bool_(): (BIT, "<?"),
    **dict.fromkeys((pa.uint8(), pa.int16(), pa.int32(), pa.int64()), (BIGINT, "<q")),
    pa.float32(): (FLOAT, "<f"),
    pa.float64(): (DOUBLE, "<d"),
}
_SHORT = 64
#: room for a result's name, in characters, the terminator included
_LONGEST_NAME = 130


@cache
def _manager() -> Any:
    """The system's driver manager, the one that pyodbc uses too."""
    choose_utf8_locale()
    if sys.platform == "win32":
        return ctypes.WinDLL("odbc32")
    names = libraries(sys.platform)
    for name in names:
        with suppress(OSError):
            return ctypes.CDLL(name)
    return ctypes.CDLL(ctypes.util.find_library("odbc") or names[0])


def _words_of(kind: int, handle: Any) -> str:
    state, message = ctypes.create_string_buffer(12), ctypes.create_string_buffer(4096)
    number, length = ctypes.c_int(), ctypes.c_short()
    found = []
    for record in range(1, 9):
        code = _manager().SQLGetDiagRecW(
            ctypes.c_short(kind), handle, ctypes.c_short(record), state, ctypes.byref(number), message,
            ctypes.c_short(2048), ctypes.byref(length),
        )  # fmt: skip
        if ctypes.c_short(code).value not in (SUCCESS, SUCCESS_WITH_INFO):
            break
        text = message.raw[: 2 * min(length.value, 2047)].decode("utf-16-le", "replace")
        found.append(f"[{state.raw[:10].decode('utf-16-le')}] {text} ({number.value})")
    return odbc_words(OdbcError("; ".join(found) or "no words from the driver"))


def _call(function: str, kind: int, handle: Any, *arguments: Any) -> int:
    """Call a function of ODBC on a handle; its return code, where that is no error. Raises OdbcError."""
    code: int = ctypes.c_short(getattr(_manager(), function)(handle, *arguments)).value
    if code not in (SUCCESS, SUCCESS_WITH_INFO, NO_DATA):
        raise OdbcError(_words_of(kind, handle))
    return code


def _allocate(kind: int, parent: Any) -> Any:
    handle = ctypes.c_void_p()
    code = _manager().SQLAllocHandle(ctypes.c_short(kind), parent, ctypes.byref(handle))
    if ctypes.c_short(code).value not in (SUCCESS, SUCCESS_WITH_INFO):
        raise OdbcError("the driver manager has no handle to give")
    return handle


def _wide(text: str) -> tuple[bytes, ctypes.c_int]:
    encoded = text.encode("utf-16-le")
    return encoded + b"\0\0", ctypes.c_int(len(encoded) // 2)


@contextmanager
def connect(settings: Settings) -> Iterator[Connection]:
    """A connection of its own to the source. Raises UnreachableError."""
    probe_port(settings.source)
    environment = _allocate(ENVIRONMENT, None)
    version = ctypes.c_void_p(ODBC_3_80)
    _call("SQLSetEnvAttr", ENVIRONMENT, environment, ctypes.c_int(ATTR_ODBC_VERSION), version, ctypes.c_int(0))
    handle = _allocate(CONNECTION, environment)
    is_open = False
    try:
        timeout = ctypes.c_void_p(login_timeout(settings.source))
        _call("SQLSetConnectAttrW", CONNECTION, handle, ctypes.c_int(ATTR_LOGIN_TIMEOUT), timeout, ctypes.c_int(0))
        for attribute, value in login_attributes(settings.source).items():
            # Both drivers' managers keep the pointer alone until they connect: `value` lasts as long.
            arguments = (ctypes.c_int(attribute), ctypes.c_char_p(value), ctypes.c_int(IS_POINTER))
            _call("SQLSetConnectAttrW", CONNECTION, handle, *arguments)
        text, length = _wide(settings.source.connection_string)
        try:
            # 0: no questions to a person.
            short = ctypes.c_short(length.value)
            _call("SQLDriverConnectW", CONNECTION, handle, None, text, short, None, ctypes.c_short(0), None, 0)
        except OdbcError as error:
            raise source_unreachable(settings, error) from None
        is_open = True
        yield Connection(handle)
    finally:
        if is_open:
            with suppress(OdbcError):
                _call("SQLDisconnect", CONNECTION, handle)
        _manager().SQLFreeHandle(ctypes.c_short(CONNECTION), handle)
        _manager().SQLFreeHandle(ctypes.c_short(ENVIRONMENT), environment)


class Connection:
    """An open connection."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._buffer = ctypes.create_string_buffer(PIECE_BYTES)

    def execute(self, statement: str) -> None:
        """Run a statement that answers nothing. Raises OdbcError."""
        handle = _allocate(STATEMENT, self._handle)
        try:
            _call("SQLExecDirectW", STATEMENT, handle, *_wide(statement))
        finally:
            _manager().SQLFreeHandle(ctypes.c_short(STATEMENT), handle)

    def ask(self, query: str) -> None:
        """Have a query answered, whatever the answer is. Raises OdbcError."""
        for _ in self.rows(query):
            pass

    def rows(self, query: str, on_description: Callable[[pa.Schema], None] | None = None) -> Iterator[Row]:
        """The rows of a query; each is over when the next one is asked for. Raises OdbcError.

        `on_description` is told before the first row what the driver says of the result's columns, as the Arrow types
        that arrow-odbc would offer for them. What it raises ends the query.
        """
        with self._answering(query) as statement:
            if on_description is not None:
                on_description(schema_of(_described(statement)))
            while _call("SQLFetch", STATEMENT, statement) != NO_DATA:
                yield Row(statement, self._buffer)

    def blocks(self, query: str, rows: int, bind: Callable[[list[Described]], Sequence[Buffers]]) -> Iterator[int]:
        """A query's rows in blocks of at most so many, in the buffers that `bind` makes for the result's columns.

        How many rows lie in them; they are over when the next block is asked for. Raises OdbcError.
        """
        fetched, states = ctypes.c_size_t(), (ctypes.c_ushort * rows)()
        with self._answering(query) as statement:
            buffers = bind(_described(statement))
            for attribute, value in (
                (ROW_ARRAY_SIZE, ctypes.c_void_p(rows)),
                (ROWS_FETCHED_POINTER, ctypes.byref(fetched)),
                (ROW_STATUS_POINTER, states),
            ):
                _call("SQLSetStmtAttrW", STATEMENT, statement, ctypes.c_int(attribute), value, ctypes.c_int(0))
            for number, one in enumerate(buffers, start=1):
                _call(
                    "SQLBindCol", STATEMENT, statement, ctypes.c_ushort(number), ctypes.c_short(one.code),
                    ctypes.c_void_p(one.data.ctypes.data), ctypes.c_ssize_t(one.width),
                    ctypes.c_void_p(one.lengths.ctypes.data),
                )  # fmt: skip
            while _call("SQLFetch", STATEMENT, statement) != NO_DATA:
                # A row with an error is one of a block that was fetched with no more than a remark.
                if ROW_ERROR in states[: fetched.value]:
                    words = _words_of(STATEMENT, statement)
                    raise OdbcError(OUTGROWN if TRUNCATED in words else words)
                yield fetched.value

    @contextmanager
    def _answering(self, query: str) -> Iterator[Any]:
        statement = _allocate(STATEMENT, self._handle)
        try:
            _call("SQLExecDirectW", STATEMENT, statement, *_wide(query))
            yield statement
        finally:
            _manager().SQLFreeHandle(ctypes.c_short(STATEMENT), statement)


class Buffers(Protocol):
    """Buffers of a column: `width` bytes a row for values of C type `code`, and their lengths."""

    @property
    def code(self) -> int:
        """A C type of ODBC."""

    @property
    def width(self) -> int:
        """In bytes."""

    @property
    def data(self) -> npt.NDArray[np.uint8]:
        """The values."""

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        """Of the values, in bytes."""


#: SQL's types by number (ODBC, "SQL Data Types"; those from -150 on are Microsoft's) → Arrow types of one size
_ARROW_TYPES = {
    -7: pa.bool_(), -6: pa.uint8(), 5: pa.int16(), 4: pa.int32(), -5: pa.int64(), 7: pa.float32(), 8: pa.float64(),
    9: pa.date32(), 91: pa.date32(), **dict.fromkeys((-2, -3, -4), pa.binary()),
}  # fmt: skip
_DECIMALS, _TIMES, _MOMENTS, _FLOAT = (2, 3), (92, -154), (93, 11), 6
#: digits of a decimal in 128 bits, bits of a real's digits
_MOST_DIGITS, _REAL_BITS = 38, 24


#: SQL's types of characters and of bytes, by number
_TEXTS, _BYTES = frozenset({1, 12, -1, -8, -9, -10, -152}), frozenset({-2, -3, -4, -151})


@dataclass(frozen=True)
class Described:
    """What the driver says of a column of a result: `size` in characters or bytes, 0 where it has no bound."""

    name: str
    kind: pa.DataType
    size: int
    is_text: bool
    is_binary: bool


def schema_of(described: Sequence[Described]) -> pa.Schema:
    """The columns of a result as Arrow has them."""
    return pa.schema([(one.name, one.kind) for one in described])


def _described(statement: Any) -> list[Described]:
    count = ctypes.c_short()
    _call("SQLNumResultCols", STATEMENT, statement, ctypes.byref(count))
    found = []
    name, length = ctypes.create_string_buffer(2 * _LONGEST_NAME), ctypes.c_short()
    for position in range(1, count.value + 1):
        kind, digits, size = ctypes.c_short(), ctypes.c_short(), ctypes.c_size_t()
        _call(
            "SQLDescribeColW", STATEMENT, statement, ctypes.c_ushort(position), name, ctypes.c_short(_LONGEST_NAME),
            ctypes.byref(length), ctypes.byref(kind), ctypes.byref(size), ctypes.byref(digits), None,
        )  # fmt: skip
        text = name.raw[: 2 * min(length.value, _LONGEST_NAME - 1)].decode("utf-16-le", "replace")
        arrow = _arrow_type(kind.value, size.value, digits.value)
        found.append(Described(text, arrow, size.value, kind.value in _TEXTS, kind.value in _BYTES))
    return found


def _arrow_type(kind: int, size: int, digits: int) -> pa.DataType:
    if kind in _DECIMALS and 0 < size <= _MOST_DIGITS:
        return pa.decimal128(size, digits)
    if kind == _FLOAT:
        return pa.float32() if size <= _REAL_BITS else pa.float64()
    unit = next((unit for unit, most in (("s", 0), ("ms", 3), ("us", 6)) if digits <= most), "ns")
    if kind in _TIMES:
        return pa.time32(unit) if unit in ("s", "ms") else pa.time64(unit)
    if kind in _MOMENTS:
        return pa.timestamp(unit)
    return _ARROW_TYPES.get(kind, pa.string())


class Row:
    """The row at which a statement stands. Its columns are taken from left to right, each once."""

    def __init__(self, statement: Any, buffer: Any) -> None:
        self._statement = statement
        self._buffer = buffer
        self._column = 0

    def value(self, kind: pa.DataType) -> Any:
        """The next column in Python's form of an Arrow type other than text or binary; None for NULL."""
        if kind in _FIXED:
            code, layout = _FIXED[kind]
            raw = self._whole(code)
            return None if raw is None else struct.unpack_from(layout, raw)[0]
        if pa.types.is_date(kind):
            raw = self._whole(DATE)
            return None if raw is None else date(*struct.unpack_from("<hHH", raw))
        if pa.types.is_timestamp(kind):
            raw = self._whole(TIMESTAMP)
            if raw is None:
                return None
            year, month, day, hour, minute, second, nanoseconds = struct.unpack_from("<hHHHHHI", raw)
            return datetime(year, month, day, hour, minute, second, nanoseconds // 1000)
        raw = self._whole(CHAR)
        if raw is None:
            return None
        text = raw.split(b"\0")[0].decode("ascii").strip()
        if pa.types.is_time(kind):
            # A seventh digit is cut; Python's own parser takes six at most.
            return time.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
        return Decimal(text)

    def _whole(self, code: int) -> bytes | None:
        self._column += 1
        size = ctypes.c_ssize_t()
        self._get(code, size)
        return None if size.value == NULL_DATA else ctypes.string_at(self._buffer, _SHORT)

    def pieces(self, code: int) -> Iterator[bytes] | None:
        """The next column, text as UTF-16 (`WIDE`) or bytes (`BINARY`), in pieces; None for NULL.

        The pieces are to be taken before the next column is.
        """
        self._column += 1
        size = ctypes.c_ssize_t()
        result = self._get(code, size)
        return None if size.value == NULL_DATA else self._pieces(code, size, result)

    def _pieces(self, code: int, size: ctypes.c_ssize_t, result: int) -> Iterator[bytes]:
        # Text in a full buffer ends with a terminator of two bytes.
        room = PIECE_BYTES - (2 if code == WIDE else 0)
        while result != NO_DATA:
            is_cut = result == SUCCESS_WITH_INFO and (size.value == NO_TOTAL or size.value > room)
            yield ctypes.string_at(self._buffer, room if is_cut else size.value)
            if not is_cut:
                return
            result = self._get(code, size)

    def _get(self, code: int, size: ctypes.c_ssize_t) -> int:
        position, kind, room = ctypes.c_ushort(self._column), ctypes.c_short(code), ctypes.c_ssize_t(PIECE_BYTES)
        arguments = (self._statement, position, kind, self._buffer, room, ctypes.byref(size))
        return _call("SQLGetData", STATEMENT, *arguments)


class Utf8:
    """Pieces of UTF-16 as pieces of UTF-8; `has_half_pair` says whether U+FFFD stands for half a pair in them."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.has_half_pair = False

    def __iter__(self) -> Iterator[bytes]:
        decoder = codecs.getincrementaldecoder("utf-16-le")("surrogatepass")
        for piece in self._pieces:
            yield self._encoded(decoder.decode(piece))
        yield self._encoded(decoder.decode(b"", final=True))

    def _encoded(self, text: str) -> bytes:
        try:
            return text.encode("utf-8")
        except UnicodeEncodeError:
            self.has_half_pair = True
            return re.sub("[\ud800-\udfff]", "\ufffd", text).encode("utf-8")
