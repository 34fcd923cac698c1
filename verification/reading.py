"""Parts of a table read on either side, in the form in which they are compared, and summed up.

Both sides are read as Arrow batches in native code, by other ways than the load writes them, brought to one
form (`comparable_values`) and hashed into sums that do not depend on the order of rows (`checksums`). What was read
of the source has to match what the server counts itself. Memory is bounded whatever the size of a table: one batch a
worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.catalog import Column
from model.errors import SourceError, TargetError
from model.exact_numbers import EXACT, has_total, total
from model.long_rows import LongRow
from model.ranges import Chunk
from model.settings import Settings
from mssql import chunk_planning, figures, reader
from mssql.figures import Figures
from mssql.wanted_rows import SourceConnections, WantedRows
from postgres import reader as target_reader
from postgres.reader import BlockRange, Wanted
from scheduling.tasks import Worker
from type_mapping import read_type
from verification.checksums import Sums, byte_size, text_units, utf16_units
from verification.comparable_values import LONGEST_WHOLE
from verification.connections import ComparisonConnections
from verification.pairing import Pair
from verification.row_differences import Found, collect, together

#: where some of a table's rows lie: on the source, or on the target
Range = Chunk | BlockRange


@dataclass(frozen=True)
class Piece:
    """Some rows of a side in the form in which they are compared, by columns.

    `sizes` are, of the source's columns as they were read, the UTF-16 units of texts, and the bytes of texts
    and binaries; `read` are these columns themselves.
    """

    columns: list[pa.Array]
    sizes: npt.NDArray[np.int64]
    read: list[pa.Array] = field(default_factory=list)


@dataclass(frozen=True)
class Reading:
    """A task of a comparison under way: the pair that it is about, and whose connections it works with."""

    settings: Settings
    pair: Pair
    worker: Worker[ComparisonConnections]

    @property
    def connections(self) -> ComparisonConnections:
        """The worker's."""
        return self.worker.connections


def plan_source(reading: Reading) -> tuple[Chunk, ...]:
    """The parts in which the source's rows are read. Raises PlanningError, UnreachableError."""
    source, worker, chunk_rows = reading.connections.source, reading.worker, reading.settings.chunk_rows
    return chunk_planning.plan_chunks(source, reading.pair.table, chunk_rows, worker.moved, tell=worker.remark)


def count_part(reading: Reading, part: Range) -> Sums:
    """The number of rows of a whole side, as its server counts them.

    Raises SourceError, TargetError, UnreachableError.
    """
    sums = Sums.empty(0)
    # Counting takes as long as it takes.
    reading.worker.may_take_long()
    if isinstance(part, Chunk):
        sums.rows = figures.count_rows(reading.connections.source_figures, reading.pair.table)
    else:
        sums.rows = target_reader.count_rows(reading.connections.target, reading.pair.target)
    return sums


def sum_part(reading: Reading, part: Range) -> Sums:
    """The sums of a part; those of the source are held against the server's own figures.

    Raises SourceError, TargetError, UnreachableError.
    """
    pair = reading.pair
    sums, hasher = Sums.empty(len(pair.columns)), pair.hasher
    sizes = np.zeros((len(pair.columns), 2), np.int64)
    totals = [Decimal(0)] * len(pair.columns)
    kinds = [read_type(column) for column in pair.columns]
    rows = 0
    for piece in _pieces(reading, part):
        hasher.add_up(piece.columns, sums)
        sizes += piece.sizes
        for position, values in enumerate(piece.read):
            kinds[position] = values.type
            if has_total(values.type):
                totals[position] = EXACT.add(totals[position], total(values))
        rows += len(piece.columns[0]) if isinstance(part, Chunk) else 0
        reading.worker.moved(rows)
    if isinstance(part, Chunk):
        reading.worker.may_take_long()
        counted = figures.count_values(reading.connections.source_figures, pair.table, pair.columns, part, kinds)
        _hold_against(pair, sums, sizes, totals, counted)
    return sums


def look_at_part(reading: Reading, part: Range, is_wanted: npt.NDArray[np.bool_], most: int) -> Found | None:
    """The rows of a part that lie in wanted parts of the table by their key's hash, up to `most` different ones.

    Raises SourceError, TargetError, UnreachableError.
    """
    hasher, found = reading.pair.hasher, None
    for piece in _pieces(reading, part):
        more = collect(hasher, piece.columns, is_wanted, most)
        found = together([one for one in (found, more) if one is not None], most)
        reading.worker.moved()
    return found


def _pieces(reading: Reading, part: Range) -> Iterator[Piece]:
    pair = reading.pair
    if isinstance(part, Chunk):
        source = SourceConnections(reading.connections.source, reading.settings, wires=reading.connections.wires)
        for rows in reader.read_batches(source, WantedRows(pair.table, pair.columns, part)):
            yield _of_source(pair, rows)
    else:
        wanted = [
            Wanted(column, LONGEST_WHOLE if form.cleans else None)
            for column, form in zip(pair.there, pair.forms, strict=True)
        ]
        for batch in target_reader.read_batches(reading.connections.target, pair.target, wanted, part):
            arrays = [
                _in_form(column, TargetError, values.type, partial(form.of_target, values))
                for column, form, values in zip(pair.columns, pair.forms, batch.columns, strict=True)
            ]
            yield Piece(arrays, np.zeros((len(arrays), 2), np.int64))


def _of_source(pair: Pair, rows: pa.RecordBatch | LongRow) -> Piece:
    batch = rows.batch if isinstance(rows, LongRow) else rows
    arrays = [
        _in_form(column, SourceError, values.type, partial(form.of_source, values))
        for column, form, values in zip(pair.columns, pair.forms, batch.columns, strict=True)
    ]
    sizes = np.array([_sizes(values) for values in batch.columns], np.int64).reshape(len(arrays), 2)
    if isinstance(rows, LongRow):
        for position, value in rows.values.items():
            column, kind = pair.columns[position], batch.columns[position].type
            arrays[position] = _in_form(column, SourceError, kind, partial(pair.forms[position].of_long, value, column))
            sizes[position] = sum(utf16_units(np.frombuffer(piece, np.uint8)) for piece in value.pieces()), value.size
    return Piece(arrays, sizes, batch.columns)


def _in_form(
    column: Column,
    failure: type[SourceError] | type[TargetError],
    sent_as: pa.DataType,
    convert: Callable[[], pa.Array],
) -> pa.Array:
    try:
        return convert()
    except (pa.ArrowException, ValueError, TypeError, ArithmeticError) as error:
        raise failure(
            f"column {column.name}: a value sent as {sent_as} cannot be compared as the {column.type} of the "
            f"source's catalog: {error}. Compare this column by hand, or leave the table out with --exclude"
        ) from None


def _sizes(values: pa.Array) -> tuple[int, int]:
    """UTF-16 units of texts, and bytes of texts and binaries."""
    if pa.types.is_string(values.type):
        return text_units(values), byte_size(values)
    return 0, byte_size(values) if pa.types.is_binary(values.type) else 0


def _hold_against(
    pair: Pair, sums: Sums, sizes: npt.NDArray[np.int64], totals: Sequence[Decimal], counted: Figures
) -> None:
    """Raise a temporary SourceError where what was read is not what the server counts."""
    _refuse_unlike("", f"{sums.rows:,} rows were read", sums.rows, counted.rows)
    for position, column in enumerate(pair.columns):
        where = f"column {column.name}: "
        values = sums.rows - int(sums.nulls[position])
        _refuse_unlike(where, f"{values:,} values were read", values, counted.values[position])
        wanted = counted.sizes[position]
        if wanted is not None:
            in_units = pa.types.is_string(read_type(column)) and not counted.counts_utf8
            size = int(sizes[position, 0 if in_units else 1])
            _refuse_unlike(where, f"{size:,} {'UTF-16 units' if in_units else 'bytes'} were read", size, wanted)
        expected = counted.totals[position]
        if expected is not None:
            what = "days" if pa.types.is_temporal(read_type(column)) else "values"
            words = f"{what} that add up to {totals[position]:,f} were read"
            _refuse_unlike(where, words, totals[position], expected)


def _refuse_unlike(where: str, words: str, read: int | Decimal, counted: int | Decimal) -> None:
    if read != counted:
        raise SourceError(
            f"{where}{words} where the source itself counts {Decimal(counted):,f}: the driver reads them wrongly, a "
            f"bit was flipped on the way, or rows changed meanwhile",
            is_temporary=True,
        )
