"""Arrow batches as the stream that binary COPY reads, encoded in native code.

Binary COPY carries no type names, only the bytes that each column's receive function wants, so every
batch is brought to the target columns' own types first, and any value that would not survive that
raises.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain

import numpy as np
import pgpq
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import InexactError, TargetError, ValueRefusedError, WireError
from model.exact_numbers import rescaled
from model.long_rows import LongRow, LongValue, Part
from postgres import wire
from postgres.load_plan import LoadColumn, LoadPlan
from type_mapping import Family

#: where byte i of PostgreSQL's uuid stands in SQL Server's sixteen bytes (its first three groups are little-endian)
_UUID_ORDER = np.array([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15])

#: bytes of the largest row that PostgreSQL can make: an allocation of its own ends below 1 GB
LARGEST_ROW = (1 << 30) - (64 << 10)

# What precedes the encoding, and the encoding itself, in an XML declaration.
_XML_ENCODING = r"^(<\?xml\s+version\s*=\s*(?:\"[^\"]*\"|'[^']*'))\s+encoding\s*=\s*(?:\"[^\"]*\"|'[^']*')"


class CopyStream:
    """The file that psycopg2 reads the COPY stream from: each batch encoded whole, handed over uncopied."""

    def __init__(self, plan: LoadPlan, batches: Iterable[Part], on_rows: Callable[[int], None]) -> None:
        self._plan = plan
        self._columns = plan.columns
        self._identity = plan.identity
        self._on_rows = on_rows
        self._pieces = self._encode(batches)
        self.rows = 0
        self.sent = 0
        self.identity_low: int | None = None
        self.identity_high: int | None = None
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002  (psycopg2 accepts pieces of any size)
        try:
            # The encoder keeps small batches back; an empty piece would mean the end to psycopg2.
            piece = next((piece for piece in self._pieces if piece), b"")
            self.sent += len(piece)
            return piece
        except BaseException as error:
            # psycopg2 wraps what is raised here into a QueryCanceled of its own; the cause is kept.
            self.failure = error
            raise

    def _encode(self, batches: Iterable[Part]) -> Iterator[bytes]:
        parts = iter(batches)
        first = next(parts, None)
        schema = self._schema(first.batch if isinstance(first, LongRow) else first)
        encoder = pgpq.ArrowToPostgresBinaryEncoder(schema)
        yield encoder.write_header()
        for part in parts if first is None else chain([first], parts):
            batch = part.batch if isinstance(part, LongRow) else part
            arrays = [
                _column_to_wire(batch.column(i), column, field.type)
                for i, (column, field) in enumerate(zip(self._columns, schema, strict=True))
            ]
            wire_batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
            if self._identity is not None:
                self._note_identity(arrays[self._identity])
            self.rows += batch.num_rows
            if isinstance(part, LongRow):
                # In the midst of what the encoder keeps back: the order of rows means nothing.
                yield from _encode_long_row(self._plan, part, wire_batch)
            else:
                yield encoder.write_batch(wire_batch)
            self._on_rows(self.rows)
        yield encoder.finish()

    def _schema(self, first: pa.RecordBatch | None) -> pa.Schema:
        kinds = [column.wire for column in self._columns]
        for position, column in enumerate(self._columns):
            # Numbers of a scale that the catalog did not promise, and a column that takes any.
            if first is not None and column.family == "decimal" and column.modifier < 0:
                kinds[position] = first.schema.field(position).type
        return pa.schema([(f"c{position}", kind) for position, kind in enumerate(kinds)])

    def _note_identity(self, values: pa.Array) -> None:
        extremes = pc.min_max(values).as_py()
        if extremes["min"] is None:
            return
        low, high = int(extremes["min"]), int(extremes["max"])
        self.identity_low = low if self.identity_low is None else min(low, self.identity_low)
        self.identity_high = high if self.identity_high is None else max(high, self.identity_high)


#: family and base type on the target ("" for all of them) → how the values are put into its binary form
_CONVERSIONS: Mapping[tuple[Family, str], Callable[[pa.Array], pa.Array]] = {
    ("json", "jsonb"): wire.to_jsonb,
    ("spatial", ""): wire.to_ewkb,
    ("variant", ""): wire.to_variant_text,
    ("vector", "_float4"): wire.to_real_array,
    ("vector", "vector"): wire.to_vector,
}


def _encode_long_row(plan: LoadPlan, row: LongRow, short: pa.RecordBatch) -> Iterator[bytes]:
    """A row of the COPY stream, its long values a piece at a time. `short` is the rest of it, ready to be encoded.

    PostgreSQL, "COPY", binary format: a row is the number of its fields in two bytes, then each field behind
    its length in four, -1 for NULL. Raises ValueRefusedError for a row that no PostgreSQL can hold.
    """
    longs = {position: _long_field(value, plan.columns[position]) for position, value in row.values.items()}
    total = sum(size for size, _ in longs.values()) + short.nbytes
    if total > LARGEST_ROW:
        position, (size, _) = max(longs.items(), key=lambda item: item[1][0])
        name = plan.columns[position].name
        raise ValueRefusedError(
            f"column {name}: a value of {size:,} bytes in a row of {total:,}{_whose(plan, short)}; PostgreSQL holds "
            f"rows up to {LARGEST_ROW:,} bytes",
            name,
        )
    encoded = _encoded_row(short)
    start = 2
    yield encoded[:start]
    for position in range(len(plan.columns)):
        (length,) = struct.unpack_from(">i", encoded, start)
        end = start + 4 + max(length, 0)
        if position in longs:
            size, pieces = longs[position]
            yield struct.pack(">i", size)
            yield from pieces
        else:
            yield encoded[start:end]
        start = end


def _encoded_row(batch: pa.RecordBatch) -> bytes:
    """A batch of one row as the COPY stream has it, without what precedes and ends the stream."""
    encoder = pgpq.ArrowToPostgresBinaryEncoder(batch.schema)
    encoder.write_header()
    encoded: bytes = encoder.write_batch(batch) + encoder.finish()
    return encoded[:-2]


def _whose(plan: LoadPlan, short: pa.RecordBatch) -> str:
    """The key of a row, for a person."""
    parts = [f"{plan.columns[position].name} {short.column(position)[0].as_py()}" for position in plan.key]
    return f" ({', '.join(parts)})" if parts else ""


def _long_field(value: LongValue, column: LoadColumn) -> tuple[int, Iterator[bytes]]:
    """The size of a long value in the COPY stream, and its bytes."""
    if column.family in ("text", "binary"):
        return value.size, value.pieces()
    if column.family == "xml":
        pieces = value.pieces()
        first = next(pieces)
        bare = re.sub(_XML_ENCODING.encode(), rb"\1", first)
        return value.size - len(first) + len(bare), chain([bare], pieces)
    whole = b"".join(value.pieces())
    kind = pa.binary() if column.family == "spatial" else pa.string()
    field = pa.RecordBatch.from_arrays([_column_to_wire(pa.array([whole], kind), column)], ["field"])
    # Behind the number of fields and the length.
    content = _encoded_row(field)[6:]
    return len(content), iter((content,))


def _column_to_wire(values: pa.Array, column: LoadColumn, kind: pa.DataType | None = None) -> pa.Array:
    """The same as `_to_wire`, where whatever is wrong with a column's values is told with its name."""
    try:
        return _to_wire(values, column, kind)
    except (pa.ArrowException, ValueError, IndexError, TypeError, ArithmeticError, struct.error) as error:
        raise TargetError(
            f"column {column.name}: a value that the source sent as {values.type} cannot be stored in the target's "
            f"{column.base_type}: {error}. Look at its values on the source, or leave the table out with --exclude"
        ) from None


def _to_wire(values: pa.Array, column: LoadColumn, kind: pa.DataType | None = None) -> pa.Array:
    """One column of a batch in the type and byte order that the target's receive function reads."""
    if column.family == "uuid":
        return _reorder_uuid(values)
    if column.family == "time" and values.type != column.wire:
        # Cut, never rounded: 23:59:59.9999999 would become 24:00:00.
        return values.cast(column.wire, safe=False)
    convert = _CONVERSIONS.get((column.family, column.base_type)) or _CONVERSIONS.get((column.family, ""))
    if convert is not None:
        try:
            values = convert(values)
        except (WireError, pa.ArrowInvalid) as error:
            raise TargetError(
                f"column {column.name}: the source sent an invalid {column.family} value: {error}"
            ) from None
    if column.family == "xml":
        values = pc.replace_substring_regex(values, _XML_ENCODING, r"\1")
    kind = kind or column.wire
    if values.type == kind:
        return values
    try:
        return rescaled(values, kind) if pa.types.is_decimal(kind) else values.cast(kind, safe=True)
    except (InexactError, pa.ArrowException) as error:
        raise ValueRefusedError(
            f"column {column.name}: a value that the source sent as {values.type} does not fit {kind}, the type in "
            f"the source's catalog for which the target's {column.base_type} was made: {error}. Widen the target's "
            f"column (to numeric without precision, say), then use --resume",
            column.name,
        ) from None


def _reorder_uuid(values: pa.Array) -> pa.Array:
    """SQL Server's sixteen bytes of each uuid in the order of its text form, for the whole column at once."""
    validity, data = values.buffers()
    raw = np.frombuffer(data, dtype=np.uint8).reshape(-1, 16)[values.offset : values.offset + len(values)]
    ordered = pa.py_buffer(np.ascontiguousarray(raw[:, _UUID_ORDER]))
    if values.offset:
        validity = pa.array(values.is_valid()).buffers()[1]
    return pa.FixedSizeBinaryArray.from_buffers(values.type, len(values), [validity, ordered], values.null_count)
