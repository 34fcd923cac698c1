"""A table's rows → Arrow record batches, in native code (arrow-odbc), with bounded memory.

Nothing depends on the locale that a shell or cron gives: values cross as UTF-16, and for the text of
queries, which the drivers take in the locale's encoding, one of UTF-8 is chosen. Columns without a
declared bound get a buffer as large as their largest value, which the server measures first; a value
that outgrew it since is an error, never a shorter value.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import Any

import arrow_odbc
import pyarrow as pa
import pyarrow.compute as pc
from arrow_odbc import TextEncoding

from db import CONNECT_TIMEOUT_S, Settings, choose_utf8_locale, odbc_diagnosis, probe_port, source_unreachable
from model.catalog import WHOLE_TABLE, Chunk, Column, Picked, Table
from model.changes import Kind
from model.errors import DescriptionError, OdbcError, OtherwiseDescribedError, SourceError, UnknownNumberError
from model.exact_numbers import decimals_of
from model.long_rows import PIECE_BYTES, LongRow, LongValue, Part, spool
from mssql import descriptions, native_numbers, odbc_client
from mssql.descriptions import NEXT_STEP
from mssql.losses import count_half_pairs, cut_to_microseconds, holds_replacement, seventh_digit_flag
from mssql.native_numbers import AS_TEXT, RawNumbers, decoded
from mssql.quoting import is_beyond_basic_plane, quote, quote_table
from mssql.where import where_clause
from type_mapping import (
    Lob,
    declared_characters,
    has_seventh_digit,
    mapping_of,
    read_type,
    select_expression,
    traits_of,
    travels_as_text,
)

#: bytes of one transit buffer between driver and Arrow; arrow-odbc holds two while it reads ahead
TRANSIT_BYTES = 16 * 1024 * 1024
#: room above the largest measured value, in which a longer one is noticed even by a driver that cuts
_MARGIN = 4
#: a row whose buffers would take more bytes than this is read value by value
LARGEST_BOUND_ROW = 4 * 1024 * 1024
#: bytes of text and binary in a batch of rows that were read so
GATHERED_BYTES = 4 * 1024 * 1024
_OUTGROWN = "a value grew on the source after it was measured"
#: the years that a count of nanoseconds since 1970 in 64 bits holds whole
NANOSECOND_YEARS = (1678, 2261)
#: rows that @@ROWCOUNT, an int, is sure to count
MOST_COUNTED = 2_000_000_000
#: told how a value was changed, of which column (by its place), in how many values
OnChange = Callable[[Kind, int, int], None]


@dataclass(frozen=True)
class Bounds:
    """What the server measured of a chunk's values before they are read.

    The largest values of its unbounded columns (UTF-16 units of text, bytes of binary), and the places of
    the columns with seven fractional digits in which a moment lies beyond what nanoseconds can count.
    """

    text: int = 0
    binary: int = 0
    beyond_nanoseconds: frozenset[int] = frozenset()


def connect(settings: Settings) -> Any:
    """An arrow-odbc connection. Raises UnreachableError."""
    choose_utf8_locale()
    probe_port(settings.source)
    try:
        return arrow_odbc.connect(settings.source.connection_string, login_timeout_sec=CONNECT_TIMEOUT_S)
    except arrow_odbc.Error as error:
        raise source_unreachable(settings, error) from None


def select_list(columns: Sequence[Column]) -> str:
    """The SELECT list that reads the columns without loss, in their order.

    Results are named c0, c1, …: drivers hand a column's name over in encodings of their own. The alias stands in
    front, as in the catalog's queries.
    """
    return ", ".join(f"c{place} = {_expression(column)}" for place, column in enumerate(columns))


def _expression(column: Column) -> str:
    return select_expression(column, quote(column.source_name))


def read_batches(
    connection: Any,
    settings: Settings,
    table: Table,
    columns: Sequence[Column],
    chunk: Chunk | Picked = WHOLE_TABLE,
    on_change: OnChange | None = None,
    by_value: odbc_client.Connection | None = None,
    raw: RawNumbers = AS_TEXT,
) -> Iterator[Part]:
    """The rows of a chunk of a table as record batches of at most BATCH_SIZE rows, columns in the given order.

    A batch is smaller where its rows are wide, and where a row may be too large to be bound at all, rows are
    read value by value, those with long values one by one: so memory stays bounded. `on_change` is told of values
    that lost something on their way; counting them may take another query. `connection` is an arrow-odbc one;
    `by_value` serves where another kind is needed, and one is opened where it is not given. `raw` are the numbers that
    the connection is asked for in the driver's own form. Raises SourceError, and UnreachableError where a second
    connection cannot be had.
    """
    told: OnChange = on_change or (lambda *_: None)
    reading = _Reading(connection, settings, table, chunk, tuple(columns), told, by_value, on_change is not None)
    wanted = reading.promised
    # What expressions hide is described first, the columns as they are selected second.
    for _ in range(3):
        described = yield from _as_described(reading, wanted, raw)
        if described is None:
            return
        wanted, raw = described, native_numbers.forms_of(described) if raw else raw
    raise SourceError(f"the driver describes the table's columns otherwise each time. {NEXT_STEP}")


def _as_described(
    reading: _Reading, columns: tuple[Column, ...], raw: RawNumbers
) -> Generator[Part, None, tuple[Column, ...] | None]:
    """The rows; or none, and the columns as the driver describes them, where that is not as they were given."""
    try:
        yield from reading.parts(columns, raw)
    except OtherwiseDescribedError as found:
        # Not read here, since what is being handled keeps the query open.
        return found.columns
    except DescriptionError as error:
        raise SourceError(str(error)) from None
    return None


@dataclass(frozen=True)
class _Reading:
    """What is read of a table, by which connections. `promised` are the columns as the catalog has them."""

    connection: Any
    settings: Settings
    table: Table
    chunk: Chunk | Picked
    promised: tuple[Column, ...]
    told: OnChange
    by_value: odbc_client.Connection | None
    counts_changes: bool

    @property
    def source(self) -> str:
        """What stands behind FROM."""
        return f"{quote_table(self.table.schema, self.table.name)}{where_clause(self.chunk)}"

    def second_connection(self) -> AbstractContextManager[odbc_client.Connection]:
        """What reads value by value. Raises SourceError where there is none and none may be opened."""
        if self.by_value is not None:
            return nullcontext(self.by_value)
        if self.settings.source.closed_because is not None:
            # This table's failure alone: the connection that reads in batches stands, and serves the others.
            raise SourceError(
                f"rows with values too large to bind, with broken text, or with names beyond the basic plane take a "
                f"second connection; {self.settings.source.closed_because}"
            )
        return odbc_client.connect(self.settings)

    def parts(self, columns: tuple[Column, ...], raw: RawNumbers) -> Iterator[Part]:
        """The rows, read as `columns` say. Raises OtherwiseDescribedError where the driver describes others."""
        source = self.source
        if is_beyond_basic_plane(f"{source}{select_list(columns)}"):
            yield from _read_value_by_value(self, columns)
            return
        self._describe_bare(columns)
        bounds = _measure(self.connection, columns, source)
        row_bytes = sum(_transit_bytes(column, bounds) for column in columns)
        if row_bytes > LARGEST_BOUND_ROW:
            yield from _read_value_by_value(self, columns)
            return
        suspects: set[int] = set()
        arrived = 0
        for batch in _read_in_blocks(self.connection, self.settings, columns, source, bounds, row_bytes, raw):
            arrived += batch.num_rows
            yield _settled(batch, self.promised, columns, raw, suspects, self.told)
        try:
            answer = self.connection.read_arrow_batches(_count_query(arrived), batch_size=1)
            _refuse_short_answer(arrived, [row["sent"] for part in answer for row in part.to_pylist()])
        except arrow_odbc.Error as error:
            raise _source_error(error) from None
        if suspects and self.counts_changes:
            self._count_half_pairs(sorted(suspects))

    def _describe_bare(self, columns: tuple[Column, ...]) -> None:
        """Hold against the catalog those columns whose own description an expression hides."""
        places = descriptions.bare(columns) if columns is self.promised else []
        if not places:
            return
        offered: list[pa.DataType] = []

        def note(schema: pa.Schema) -> pa.Schema:
            offered.extend(schema.types)
            return schema

        query = descriptions.bare_query(columns, places, quote_table(self.table.schema, self.table.name))
        try:
            for _ in self.connection.read_arrow_batches(query, batch_size=1, map_schema=note):
                pass
        except arrow_odbc.Error as error:
            raise _source_error(error) from None
        descriptions.hold_bare_against(columns, places, offered)

    def _count_half_pairs(self, places: Sequence[int]) -> None:
        columns = [self.promised[place] for place in places]
        try:
            with self.second_connection() as other:
                counts = count_half_pairs(other, self.table, columns, self.chunk)
        except OdbcError as error:
            raise _source_error(error) from None
        for place, count in zip(places, counts, strict=True):
            self.told("unpaired_surrogates", place, count)


def _count_query(arrived: int) -> str:
    """What asks how many rows the server sent in answer to the connection's query before, of which so many arrived."""
    return f"SELECT sent = {'@@ROWCOUNT' if arrived <= MOST_COUNTED else 'ROWCOUNT_BIG()'}"


def _refuse_short_answer(arrived: int, sent: Sequence[int]) -> None:
    """Raise SourceError unless the rows that arrived are all that the server sent.

    Drivers that fetch rows in blocks can end a result too early without a word: FreeTDS at an error of the
    server in mid-result, Microsoft's where the connection breaks between two rows.
    """
    if not sent:
        raise SourceError("the rows that were sent cannot be counted: no answer", is_temporary=True)
    if sent[0] != arrived:
        raise SourceError(f"the source's answer broke off: {arrived:,} rows arrived, {sent[0]:,} sent", True)


def _settled(
    batch: pa.RecordBatch,
    promised: Sequence[Column],
    columns: Sequence[Column],
    raw: Container[int],
    suspects: set[int],
    on_change: OnChange,
) -> pa.RecordBatch:
    """The batch with the columns alone, in the types they are read as; what was lost is told or suspected.

    Columns behind them are flags, named after the place of the column whose seventh digits they show.
    """
    arrays = batch.columns[: len(columns)]
    for place, column in enumerate(columns):
        with _naming(promised[place]):
            if place in raw:
                arrays[place] = decoded(arrays[place], column)
            elif arrays[place].type in _NANOSECONDS:
                arrays[place], count = cut_to_microseconds(arrays[place])
                on_change("seventh_digits", place, count)
            elif travels_as_text(column):
                arrays[place] = decimals_of(arrays[place], read_type(column))
            elif traits_of(column.type).is_wide and place not in suspects and holds_replacement(arrays[place]):
                suspects.add(place)
            arrays[place] = descriptions.as_promised(arrays[place], promised[place], column)
    for name, flags in zip(batch.schema.names[len(columns) :], batch.columns[len(columns) :], strict=True):
        on_change("seventh_digits", int(name), flags.true_count)
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


@contextmanager
def _naming(column: Column) -> Iterator[None]:
    """Whatever is wrong with a column's values is told with its name."""
    try:
        yield
    except (UnknownNumberError, DescriptionError) as error:
        raise SourceError(str(error)) from None
    except (pa.ArrowException, ValueError, ArithmeticError) as error:
        raise _not_as_declared(column, error) from None


def _not_as_declared(column: Column, error: Exception) -> SourceError:
    return SourceError(
        f"column {column.name}: a value of it is no {column.type} as the catalog declares it: {error}. {NEXT_STEP}"
    )


_NANOSECONDS = {pa.time64("ns"), pa.timestamp("ns")}


def _read_in_blocks(
    connection: Any,
    settings: Settings,
    columns: Sequence[Column],
    source: str,
    bounds: Bounds,
    row_bytes: int,
    raw: RawNumbers,
) -> Iterator[pa.RecordBatch]:
    """Batches by the fast lane; seventh digits either in nanoseconds, or as flags behind the columns."""

    def as_needed(offered: pa.Schema) -> pa.Schema:
        descriptions.hold_against(columns, offered.types)
        fields = [
            (column.name, raw.get(place) or _arriving_type(column, field.type, place in bounds.beyond_nanoseconds))
            for place, (column, field) in enumerate(zip(columns, offered, strict=False))
        ]
        return pa.schema(fields + [(str(place), pa.bool_()) for place in sorted(bounds.beyond_nanoseconds)])

    try:
        reader = connection.read_arrow_batches(
            f"SELECT {select_list(columns)}{_flags(columns, bounds.beyond_nanoseconds)} FROM {source}",
            batch_size=max(1, min(settings.batch_size, TRANSIT_BYTES // max(row_bytes, 1))),
            max_bytes_per_batch=1 << 40,
            max_text_size=max(bounds.text, _longest_declared_text(columns)) + _MARGIN,
            max_binary_size=max(bounds.binary, _longest_declared_binary(columns)) + _MARGIN,
            map_schema=as_needed,
            fetch_concurrently=True,
            payload_text_encoding=TextEncoding.UTF16,
        )
        for batch in reader:
            _refuse_outgrown(batch, columns, bounds)
            yield batch
    except arrow_odbc.Error as error:
        failure = _source_error(error)
        if str(failure) == _OUTGROWN and not any(mapping_of(column.type).lob(column.type) for column in columns):
            of_bounds = [f"{c.name} ({c.type})" for c in columns if declared_characters(c.type) or _declared_bytes(c)]
            raise SourceError(
                f"column {' or '.join(of_bounds)}: the driver sent a longer value than the catalog says. {NEXT_STEP}"
            ) from None
        raise failure from None


def _arriving_type(column: Column, offered: pa.DataType, is_beyond_nanoseconds: bool) -> pa.DataType:
    # The driver hands a time(7) over as text, for which a microsecond field has no room.
    if offered == pa.time64("ns") or travels_as_text(column):
        return offered
    is_whole = has_seventh_digit(column.type) and offered == pa.timestamp("ns") and not is_beyond_nanoseconds
    return offered if is_whole else read_type(column)


def _is_cut(column: Column) -> bool:
    """Whether a seventh digit may be lost: not of a column that holds only a datetimeoffset's offset."""
    return has_seventh_digit(column.type) and pa.types.is_temporal(read_type(column))


def _flags(columns: Sequence[Column], places: Iterable[int]) -> str:
    return "".join(f", {seventh_digit_flag(quote(columns[place].source_name))} AS x{place}" for place in sorted(places))


def _read_value_by_value(reading: _Reading, columns: tuple[Column, ...]) -> Iterator[Part]:
    """The rows through ODBC itself: in batches, but those with long values one by one; seventh digits as flags."""
    settings, on_change, source = reading.settings, reading.told, reading.source
    kinds = [mapping_of(column.type).lob(column.type) for column in columns]
    # Unbounded values last: a driver hands values over from left to right, and keeps those before in memory.
    order = sorted(range(len(columns)), key=lambda place: kinds[place] is not None)
    shorts = [place for place in order if kinds[place] is None]
    cut = [place for place, column in enumerate(columns) if _is_cut(column)]
    expressions = [select_expression(columns[place], quote(columns[place].source_name)) for place in order]
    listed = [
        f"CAST({e} AS nvarchar(max))" if kinds[p] == "text" else e for p, e in zip(order, expressions, strict=True)
    ]
    flags = [seventh_digit_flag(quote(columns[place].source_name)) for place in cut]
    listed[len(shorts) : len(shorts)] = flags
    query = f"SELECT {', '.join(f'{part} AS c{place}' for place, part in enumerate(listed))} FROM {source}"
    gathered = _Gathered(reading.promised, columns, settings.batch_size)
    arrived = 0

    def hold_against(offered: Sequence[pa.DataType]) -> None:
        by_place = dict(zip((*shorts, *(None for _ in cut), *order[len(shorts) :]), offered, strict=True))
        descriptions.hold_against(columns, [by_place[place] for place in range(len(columns))])

    try:
        with reading.second_connection() as connection:
            if columns is reading.promised and (hidden := descriptions.bare(columns)):
                own = descriptions.bare_query(columns, hidden, quote_table(reading.table.schema, reading.table.name))
                for _ in connection.rows(own, lambda offered: descriptions.hold_bare_against(columns, hidden, offered)):
                    pass
            for row in connection.rows(query, hold_against):
                values: dict[int, object] = {place: _value(row, columns, place, on_change) for place in shorts}
                for place in cut:
                    on_change("seventh_digits", place, int(row.value(pa.bool_()) or 0))
                values |= {place: _value(row, columns, place, on_change) for place in order[len(shorts) :]}
                yield from gathered.take(values)
                arrived += 1
            yield from gathered.left()
            _refuse_short_answer(arrived, [row.value(pa.int64()) for row in connection.rows(_count_query(arrived))])
    except OdbcError as error:
        raise _source_error(error) from None
    except OSError as error:
        raise SourceError(f"a long value found no room in the folder for temporary files (TMPDIR): {error}") from None


def _value(row: odbc_client.Row, columns: Sequence[Column], place: int, on_change: OnChange) -> object:
    """The next column's value, a long one in a temporary file; text as UTF-8."""
    kind = read_type(columns[place])
    if pa.types.is_string(kind):
        wide = row.pieces(odbc_client.WIDE)
        if wide is None:
            return None
        pieces = odbc_client.Utf8(wide)
        value = _taken(iter(pieces))
        on_change("unpaired_surrogates", place, int(pieces.has_half_pair))
        return value
    if pa.types.is_binary(kind) or pa.types.is_fixed_size_binary(kind):
        raw = row.pieces(odbc_client.BINARY)
        return None if raw is None else _taken(raw)
    try:
        return row.value(kind)
    except (ValueError, ArithmeticError) as error:
        raise _not_as_declared(columns[place], error) from None


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
        """One more row, its values by place; yields what is ready."""
        long = {place: value for place, value in row.items() if isinstance(value, LongValue)}
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
        for place, (promised, column) in enumerate(self._columns):
            with _naming(promised):
                values = pa.array([row[place] for row in rows], read_type(column))
                arrays.append(descriptions.as_promised(values, promised, column))
        return pa.RecordBatch.from_arrays(arrays, names=[promised.name for promised, _ in self._columns])


def _source_error(error: BaseException) -> SourceError:
    found = odbc_diagnosis(error)
    words = found.words
    if "too large to be written into the allocated buffer" in words:
        return SourceError(_OUTGROWN, is_temporary=True)
    if "Timestamp is not representable in arrow" in words:
        return SourceError("a moment on the source left the range that was measured", is_temporary=True)
    return SourceError(words, found.is_temporary)


def _measure(connection: Any, columns: Sequence[Column], source: str) -> Bounds:
    """Ask the server for the largest value of each unbounded column, and the range of moments of seven digits.

    DATALENGTH counts bytes. SQL Server stores two for a UTF-16 unit of nvarchar; a server that counts
    UTF-8 bytes says so through DATALENGTH(N'a') and needs no division. xml's DATALENGTH is that of its
    internal form, so the text itself is measured.
    """
    measures: list[str] = []
    lobs: list[tuple[str, Lob]] = []
    moments: list[tuple[str, int]] = []

    def ask(measure: str) -> str:
        measures.append(f"{measure} AS m{len(measures)}")
        return f"m{len(measures) - 1}"

    for place, column in enumerate(columns):
        expression = _expression(column)
        lob = mapping_of(column.type).lob(column.type)
        if lob is not None:
            traits = traits_of(column.type)
            in_bytes = lob == "binary" or (traits.is_text and not traits.is_wide)
            unit = "" if in_bytes else " / DATALENGTH(N'a')"
            lobs.append((ask(f"CAST(MAX(DATALENGTH({expression})){unit} AS bigint)"), lob))
        elif _is_cut(column) and pa.types.is_timestamp(read_type(column)):
            moments += [(ask(f"{edge}({expression})"), place) for edge in ("MIN", "MAX")]
    if not measures:
        return Bounds()

    def in_microseconds(offered: pa.Schema) -> pa.Schema:
        moment = pa.timestamp("us")
        return pa.schema(
            [field.with_type(moment if pa.types.is_timestamp(field.type) else field.type) for field in offered]
        )

    query = f"SELECT {', '.join(measures)} FROM {source}"
    try:
        (batch,) = list(connection.read_arrow_batches(query, batch_size=1, map_schema=in_microseconds))
    except arrow_odbc.Error as error:
        raise _source_error(error) from None
    found = batch.to_pylist()[0]
    first, last = NANOSECOND_YEARS
    return Bounds(
        text=max((found[name] or 0 for name, kind in lobs if kind == "text"), default=0),
        binary=max((found[name] or 0 for name, kind in lobs if kind == "binary"), default=0),
        beyond_nanoseconds=frozenset(
            place for name, place in moments if found[name] is not None and not first <= found[name].year <= last
        ),
    )


def _transit_bytes(column: Column, bounds: Bounds) -> int:
    """Bytes one value of the column takes in the transit buffer, its length indicator included."""
    mapping = mapping_of(column.type)
    lob = mapping.lob(column.type)
    if lob == "text":
        return 2 * (bounds.text + _MARGIN + 1) + 8
    if lob == "binary":
        return bounds.binary + _MARGIN + 8
    if mapping.family == "text":
        return 2 * (declared_characters(column.type) + 1) + 8
    if mapping.family == "binary":
        return column.type.max_length + 8
    if mapping.family == "decimal":
        return 42 + 8
    return 16 + 8


def _longest_declared_text(columns: Sequence[Column]) -> int:
    return max((declared_characters(column.type) for column in columns), default=0)


def _longest_declared_binary(columns: Sequence[Column]) -> int:
    return max((c.type.max_length for c in columns if mapping_of(c.type).family in ("binary", "uuid")), default=0)


def _refuse_longer(values: pa.Array, column: Column) -> None:
    """Raise SourceError for a value longer than its column's catalog entry says: it may have been cut."""
    is_text = mapping_of(column.type).family == "text"
    declared = declared_characters(column.type) if is_text else _declared_bytes(column)
    if not declared or (pc.max(pc.binary_length(values)).as_py() or 0) <= declared:
        return
    if is_text and (pc.max(pc.utf8_length(values)).as_py() or 0) <= declared:
        return
    raise SourceError(
        f"column {column.name}: the catalog says {column.type}, and the driver sent a longer value, which may have "
        f"been cut. {NEXT_STEP}"
    )


def _declared_bytes(column: Column) -> int:
    return max(column.type.max_length, 0) if mapping_of(column.type).family == "binary" else 0


def _refuse_outgrown(batch: pa.RecordBatch, columns: Sequence[Column], bounds: Bounds) -> None:
    # FreeTDS hands over the beginning of a value that does not fit, without an error.
    for index, column in enumerate(columns):
        lob = mapping_of(column.type).lob(column.type)
        if lob is None:
            _refuse_longer(batch.column(index), column)
            continue
        limit = bounds.text if lob == "text" else bounds.binary
        values = batch.column(index)
        longest = pc.max(pc.binary_length(values)).as_py() or 0
        if longest <= limit:
            continue
        if lob == "text":
            suspects = values.filter(pc.greater(pc.binary_length(values), limit))
            longest = max(len(text.encode("utf-16-le")) // 2 for text in suspects.to_pylist())
        if longest > limit:
            raise SourceError(f"column {column.name}: {_OUTGROWN}", is_temporary=True)
