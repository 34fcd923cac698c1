"""Rows read in blocks by arrow-odbc, in native code, into buffers whose sizes are known before.

Columns without a declared bound get a buffer as large as their largest value, which the server measures first; a value
that outgrew it since is an error, never a shorter value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import arrow_odbc
import pyarrow as pa
import pyarrow.compute as pc
from arrow_odbc import TextEncoding

from model.catalog import Column
from model.errors import OdbcError, SourceError
from model.exact_numbers import decimals_of
from mssql import descriptions
from mssql.answers import OUTGROWN, count_query, has_outgrown, naming, refuse_short, source_error
from mssql.descriptions import NEXT_STEP
from mssql.losses import count_half_pairs, cut_to_microseconds, holds_replacement, seventh_digit_flag
from mssql.native_numbers import decoded
from mssql.quoting import quote
from mssql.wanted_rows import Form, Reading, expression_of, is_cut, select_list
from type_mapping import (
    Lob,
    declared_characters,
    has_seventh_digit,
    mapping_of,
    read_type,
    traits_of,
    travels_as_text,
)

#: bytes of one transit buffer between driver and Arrow; arrow-odbc holds two while it reads ahead
TRANSIT_BYTES = 16 * 1024 * 1024
#: room above the largest measured value, in which a longer one is noticed even by a driver that cuts
_MARGIN = 4
#: the years that a count of nanoseconds since 1970 in 64 bits holds whole
NANOSECOND_YEARS = (1678, 2261)
_NANOSECONDS = {pa.time64("ns"), pa.timestamp("ns")}


@dataclass(frozen=True)
class Bounds:
    """What the server measured of a chunk's values before they are read.

    The largest values of its unbounded columns (UTF-16 units of text, bytes of binary), and the positions of
    the columns with seven fractional digits in which a timestamp lies beyond what nanoseconds can count.
    """

    text: int = 0
    binary: int = 0
    beyond_nanoseconds: frozenset[int] = frozenset()


# -- the rows --------------------------------------------------------------------------------------


def read_in_blocks(reading: Reading, form: Form, bounds: Bounds) -> Iterator[pa.RecordBatch]:
    """The rows in batches; raises SourceError, and OtherwiseDescribedError where the driver describes other columns."""
    suspects: set[int] = set()
    arrived = 0
    for batch in _blocks(reading, form, bounds):
        arrived += batch.num_rows
        yield _settled(batch, reading, form, suspects)
    try:
        answer = reading.source.connection.read_arrow_batches(count_query(arrived), batch_size=1)
        refuse_short(arrived, [row["sent"] for part in answer for row in part.to_pylist()])
    except arrow_odbc.Error as error:
        raise source_error(error) from None
    if suspects and reading.on_change is not None:
        _count_half_pairs(reading, sorted(suspects))


def _blocks(reading: Reading, form: Form, bounds: Bounds) -> Iterator[pa.RecordBatch]:
    """Batches as they arrive; seventh digits either in nanoseconds, or as flags behind the columns."""
    columns = form.columns

    def as_needed(offered: pa.Schema) -> pa.Schema:
        descriptions.hold_against(columns, offered.types)
        fields = [
            (column.name, form.raw.get(at) or _arriving_type(column, field.type, at in bounds.beyond_nanoseconds))
            for at, (column, field) in enumerate(zip(columns, offered, strict=False))
        ]
        return pa.schema(fields + [(str(position), pa.bool_()) for position in sorted(bounds.beyond_nanoseconds)])

    flags = _flags(columns, bounds.beyond_nanoseconds)
    fitting = TRANSIT_BYTES // max(row_bytes(columns, bounds), 1)
    try:
        reader = reading.source.connection.read_arrow_batches(
            f"SELECT {select_list(columns)}{flags} FROM {reading.wanted.rows}",
            batch_size=max(1, min(reading.source.settings.batch_size, fitting)),
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
        if has_outgrown(error) and not any(mapping_of(column.type).lob(column.type) for column in columns):
            of_bounds = [f"{c.name} ({c.type})" for c in columns if declared_characters(c.type) or _declared_bytes(c)]
            raise SourceError(
                f"column {' or '.join(of_bounds)}: the driver sent a longer value than the catalog says. {NEXT_STEP}"
            ) from None
        raise source_error(error) from None


def _arriving_type(column: Column, offered: pa.DataType, is_beyond_nanoseconds: bool) -> pa.DataType:
    # The driver hands a time(7) over as text, for which a microsecond field has no room.
    if offered == pa.time64("ns") or travels_as_text(column):
        return offered
    is_whole = has_seventh_digit(column.type) and offered == pa.timestamp("ns") and not is_beyond_nanoseconds
    return offered if is_whole else read_type(column)


def _flags(columns: Sequence[Column], positions: Iterable[int]) -> str:
    return "".join(f", {seventh_digit_flag(quote(columns[at].source_name))} AS x{at}" for at in sorted(positions))


def _settled(batch: pa.RecordBatch, reading: Reading, form: Form, suspects: set[int]) -> pa.RecordBatch:
    """The batch with the columns alone, in the types they are read as; what was lost is told or suspected.

    Columns behind them are flags, named after the position of the column whose seventh digits they show.
    """
    columns, promised = form.columns, reading.wanted.columns
    arrays = batch.columns[: len(columns)]
    for at, column in enumerate(columns):
        with naming(promised[at]):
            if at in form.raw:
                arrays[at] = decoded(arrays[at], column)
            elif arrays[at].type in _NANOSECONDS:
                arrays[at], count = cut_to_microseconds(arrays[at])
                reading.tell("seventh_digits", at, count)
            elif travels_as_text(column):
                arrays[at] = decimals_of(arrays[at], read_type(column))
            elif traits_of(column.type).is_wide and at not in suspects and holds_replacement(arrays[at]):
                suspects.add(at)
            arrays[at] = descriptions.as_promised(arrays[at], promised[at], column)
    for name, flags in zip(batch.schema.names[len(columns) :], batch.columns[len(columns) :], strict=True):
        reading.tell("seventh_digits", int(name), flags.true_count)
    return pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])


def _count_half_pairs(reading: Reading, positions: Sequence[int]) -> None:
    wanted = reading.wanted
    columns = [wanted.columns[position] for position in positions]
    try:
        with reading.source.second_connection() as other:
            counts = count_half_pairs(other, wanted.table, columns, wanted.chunk)
    except OdbcError as error:
        raise source_error(error) from None
    for position, count in zip(positions, counts, strict=True):
        reading.tell("unpaired_surrogates", position, count)


# -- values longer than their room -----------------------------------------------------------------


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
            raise SourceError(f"column {column.name}: {OUTGROWN}", is_temporary=True)


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


# -- sizes -----------------------------------------------------------------------------------------


def measure(connection: Any, columns: Sequence[Column], rows: str) -> Bounds:
    """Ask the server for the largest value of each unbounded column, and the range of timestamps of seven digits.

    DATALENGTH counts bytes. SQL Server stores two for a UTF-16 unit of nvarchar; a server that counts
    UTF-8 bytes says so through DATALENGTH(N'a') and needs no division. xml's DATALENGTH is that of its
    internal form, so the text itself is measured.
    """
    measures: list[str] = []
    lobs: list[tuple[str, Lob]] = []
    edges: list[tuple[str, int]] = []

    def ask(measure: str) -> str:
        measures.append(f"{measure} AS m{len(measures)}")
        return f"m{len(measures) - 1}"

    for position, column in enumerate(columns):
        expression = expression_of(column)
        lob = mapping_of(column.type).lob(column.type)
        if lob is not None:
            traits = traits_of(column.type)
            in_bytes = lob == "binary" or (traits.is_text and not traits.is_wide)
            unit = "" if in_bytes else " / DATALENGTH(N'a')"
            lobs.append((ask(f"CAST(MAX(DATALENGTH({expression})){unit} AS bigint)"), lob))
        elif is_cut(column) and pa.types.is_timestamp(read_type(column)):
            edges += [(ask(f"{edge}({expression})"), position) for edge in ("MIN", "MAX")]
    if not measures:
        return Bounds()

    def in_microseconds(offered: pa.Schema) -> pa.Schema:
        kinds = [pa.timestamp("us") if pa.types.is_timestamp(kind) else kind for kind in offered.types]
        return pa.schema([field.with_type(kind) for field, kind in zip(offered, kinds, strict=True)])

    query = f"SELECT {', '.join(measures)} FROM {rows}"
    try:
        (batch,) = list(connection.read_arrow_batches(query, batch_size=1, map_schema=in_microseconds))
    except arrow_odbc.Error as error:
        raise source_error(error) from None
    found = batch.to_pylist()[0]
    first, last = NANOSECOND_YEARS
    return Bounds(
        text=max((found[name] or 0 for name, kind in lobs if kind == "text"), default=0),
        binary=max((found[name] or 0 for name, kind in lobs if kind == "binary"), default=0),
        beyond_nanoseconds=frozenset(
            position for name, position in edges if found[name] is not None and not first <= found[name].year <= last
        ),
    )


def row_bytes(columns: Sequence[Column], bounds: Bounds) -> int:
    """Bytes one row takes in the transit buffer."""
    return sum(_transit_bytes(column, bounds) for column in columns)


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
