"""Arrow batches → binary COPY, in native code, one transaction a load.

Binary COPY carries no type names, only the bytes that each column's receive function wants, so every
batch is brought to the target columns' own types first, and any value that would not survive that
raises.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Any, Protocol

import numpy as np
import pgpq
import psycopg2
import pyarrow as pa
import pyarrow.compute as pc

from db import Settings, is_temporary_target_error, target_words
from model.catalog import Column, Table
from model.changes import Changes, NulPolicy
from model.errors import InexactError, TargetError, UnfitTargetError, ValueRefusedError, WireError
from model.exact_numbers import rescaled
from model.long_rows import LongRow, LongValue, Part, spool
from postgres import locks, wire
from postgres.checkpoints import Totals
from postgres.introspection import TargetTable
from postgres.names import TargetName, fold, quote
from type_mapping import Family, mapping_of, wire_type

#: where byte i of PostgreSQL's uuid stands in SQL Server's sixteen bytes (its first three groups are little-endian)
_UUID_ORDER = np.array([3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15])

REPLACEMENT = "\ufffd"
#: bytes of the largest row that PostgreSQL can make: an allocation of its own ends below 1 GB
LARGEST_ROW = (1 << 30) - (64 << 10)

# What precedes the encoding, and the encoding itself, in an XML declaration.
_XML_ENCODING = r"^(<\?xml\s+version\s*=\s*(?:\"[^\"]*\"|'[^']*'))\s+encoding\s*=\s*(?:\"[^\"]*\"|'[^']*')"


@dataclass(frozen=True)
class LoadColumn:
    """A column on its way: its name and base type on the target, its family, the Arrow type that COPY needs."""

    name: str
    family: Family
    wire: pa.DataType
    base_type: str = ""
    modifier: int = -1


@dataclass(frozen=True)
class LoadPlan:
    """How a table's rows go in: `sources` are the columns to read, `columns` where each of them goes."""

    target: TargetName
    sources: tuple[Column, ...]
    columns: tuple[LoadColumn, ...]
    is_partitioned: bool = False
    is_unlogged: bool = False
    nul_policy: NulPolicy = "strip"
    #: places of the columns by which a person finds a row
    key: tuple[int, ...] = ()

    @property
    def rows(self) -> str:
        """The target table in a FROM or a TRUNCATE."""
        return self.target.own_rows(self.is_partitioned)

    @property
    def identity(self) -> int | None:
        """The place of the identity column among `columns`; SQL Server allows one."""
        return next((i for i, column in enumerate(self.sources) if column.identity is not None), None)


def plan_load(table: Table, target: TargetTable, settings: Settings) -> LoadPlan:
    """Pair the source's columns with the target's; columns that the target generates are left out.

    Raises UnfitTargetError where a column is missing on the target or must not receive the source's
    values.
    """
    sources: list[Column] = []
    columns: list[LoadColumn] = []
    for column in table.columns:
        there = target.column(fold(column.name, settings))
        if there is None:
            raise UnfitTargetError(f"column {column.name} is missing in the target table {target.name}")
        if there.is_generated:
            if column.computed is None:
                raise UnfitTargetError(
                    f"column {there.name} of {target.name} is GENERATED, and would not receive the values of the "
                    f"source's column {column.name}. Make it an ordinary column: ALTER TABLE {target.name.quoted} "
                    f"ALTER COLUMN {quote(there.name)} DROP EXPRESSION"
                )
            continue
        arrow = wire_type(column, there.base_type, there.modifier)
        sources.append(column)
        columns.append(LoadColumn(there.name, mapping_of(column.type).family, arrow, there.base_type, there.modifier))
    names = table.primary_key.columns_used if table.primary_key else ()
    key = tuple(place for place, column in enumerate(sources) if column.name in names)
    return LoadPlan(
        target.name, tuple(sources), tuple(columns), target.is_partitioned, target.is_unlogged, settings.nul_policy, key
    )


def _nothing(*_: object) -> None:
    """For callers who need not be told."""


@dataclass(frozen=True)
class LoadTransaction:
    """What one transaction does beside bringing rows into a table.

    With `empties_first` the table is emptied in it, so readers see the old rows or all of the new ones; `patience` is
    how many seconds that waits for others. `begin` is called with the cursor before the first row, `finish` before the
    commit, with what was brought. `on_rows` is told the rows sent so far, which are not committed yet.
    """

    plan: LoadPlan
    finish: Callable[[Any, Totals], None]
    begin: Callable[[Any], None] = _nothing
    on_rows: Callable[[int], None] = _nothing
    empties_first: bool = False
    patience: float = locks.PATIENCE_S


class Writer(Protocol):
    """How rows are written."""

    def write(self, cursor: Any, work: LoadTransaction, batches: Iterable[Part], changes: Changes) -> Totals:
        """Write them in the caller's transaction; `changes` receives the values that are changed here.

        Raises TargetError, psycopg2.Error, or whatever `batches` raises.
        """


class CopyAll:
    """All rows go in, or none."""

    def write(self, cursor: Any, work: LoadTransaction, batches: Iterable[Part], changes: Changes) -> Totals:
        """Write the rows in one COPY; see `Writer`."""
        plan = work.plan
        refuses = plan.nul_policy == "error"
        storable = (without_nuls(plan, batch, changes, refuses=refuses) for batch in batches)
        # Rows of a table that was emptied in this transaction need no later visit to mark them as visible.
        freezes = work.empties_first and not plan.is_partitioned
        stream = copy_rows(cursor, plan, storable, work.on_rows, freezes=freezes)
        return Totals(stream.rows, stream.identity_low, stream.identity_high, changes.counts)


def load(
    connection: Any, work: LoadTransaction, batches: Iterable[Part], writer: Writer, changes: Changes | None = None
) -> Totals:
    """Bring `batches` into a table in one transaction, together with what `work` does; returns what they hold.

    The batches' columns match `work.plan.sources` by position. `changes` receives the values that were changed here,
    beside those that the source's side counted.
    Raises TargetError, or whatever `batches` raises; either way everything is rolled back.
    """
    with transaction(connection) as cursor:
        if work.empties_first:
            truncate(connection, work.plan, work.patience, lambda: work.on_rows(0))
        work.begin(cursor)
        brought = writer.write(cursor, work, batches, changes or Changes())
        work.finish(cursor, brought)
    return brought


@contextmanager
def transaction(connection: Any) -> Iterator[Any]:
    """A cursor whose work is committed at the end, or rolled back whatever is raised.

    The server's errors become TargetError.
    """
    try:
        with connection.cursor() as cursor:
            yield cursor
        connection.commit()
    except psycopg2.Error as error:
        roll_back(connection)
        raise target_error(error) from None
    except BaseException:
        roll_back(connection)
        raise


def copy_rows(
    cursor: Any,
    plan: LoadPlan,
    batches: Iterable[Part],
    on_rows: Callable[[int], None] = lambda _: None,
    *,
    freezes: bool = False,
) -> CopyStream:
    """COPY `batches`, whose text is storable, in the caller's transaction; returns what went in.

    Raises psycopg2.Error, ValueRefusedError, or whatever `batches` raises.
    """
    stream = CopyStream(plan, batches, on_rows)
    names = ", ".join(quote(column.name) for column in plan.columns)
    options = "FORMAT binary, FREEZE" if freezes else "FORMAT binary"
    try:
        cursor.copy_expert(f"COPY {plan.target.quoted} ({names}) FROM STDIN ({options})", stream, size=1 << 16)
    except psycopg2.Error:
        if stream.failure is not None:
            raise stream.failure from None
        raise
    if cursor.rowcount != stream.rows:
        raise TargetError(f"{stream.rows} rows were sent and {cursor.rowcount} arrived; rolled back")
    return stream


def without_nuls(plan: LoadPlan, part: Part, changes: Changes, *, refuses: bool) -> Part:
    """The rows with text that PostgreSQL can store, by NUL_POLICY; what was changed is counted.

    With the policy `error` NULs stay for the server to refuse them, or raise TargetError where it `refuses`.
    """
    batch = part.batch if isinstance(part, LongRow) else part
    arrays = batch.columns
    for place, column in enumerate(plan.columns):
        if column.family in ("text", "xml"):
            arrays[place] = _without_nuls(plan, arrays[place], column, changes, refuses)
    bare = pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
    if not isinstance(part, LongRow):
        return bare
    values = {
        place: _long_without_nuls(plan, value, plan.columns[place], changes, refuses)
        if plan.columns[place].family in ("text", "xml")
        else value
        for place, value in part.values.items()
    }
    return LongRow(bare, values)


def _long_without_nuls(
    plan: LoadPlan, value: LongValue, column: LoadColumn, changes: Changes, refuses: bool
) -> LongValue:
    if not any(b"\0" in piece for piece in value.pieces()):
        return value
    if refuses:
        raise _nul_refused(column, 1)
    if plan.nul_policy == "error":
        return value
    changes.add("nul_characters", column.name, 1)
    instead = b"" if plan.nul_policy == "strip" else REPLACEMENT.encode()
    return spool(piece.replace(b"\0", instead) for piece in value.pieces())


def _nul_refused(column: LoadColumn, count: int) -> TargetError:
    return TargetError(
        f"column {column.name}: {count} values of a batch hold the character U+0000, which PostgreSQL's text "
        f"cannot; NUL_POLICY=strip or replace stores them without it"
    )


def _without_nuls(plan: LoadPlan, values: pa.Array, column: LoadColumn, changes: Changes, refuses: bool) -> pa.Array:
    data = values.buffers()[2]
    # Its lowest byte says of a whole column in a moment that there is none.
    if data is None or not data.size or np.frombuffer(data, dtype=np.uint8).min() > 0:
        return values
    count = pc.sum(pc.match_substring(values, "\0")).as_py() or 0
    if not count:
        return values
    if refuses:
        raise _nul_refused(column, count)
    if plan.nul_policy == "error":
        return values
    changes.add("nul_characters", column.name, count)
    return pc.replace_substring(values, "\0", "" if plan.nul_policy == "strip" else REPLACEMENT)


def truncate(
    connection: Any, plan: LoadPlan, patience: float = locks.PATIENCE_S, on_wait: Callable[[], None] = lambda: None
) -> None:
    """Empty a table at the beginning of a transaction, which stays open; waits for others in short attempts.

    Tables that inherit from it are not ours, and keep their rows. Raises psycopg2.Error.
    """
    statement = f"TRUNCATE TABLE {plan.rows}"
    locks.execute_patiently(connection, [plan.target], statement, patience, on_wait)


def is_empty(connection: Any, plan: LoadPlan) -> bool:
    """Whether the target table holds no row of its own; waits for others for a bounded time. Raises psycopg2.Error."""

    def step(cursor: Any) -> bool:
        cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {plan.rows})")
        return bool(cursor.fetchone()[0])

    empty = locks.patiently(connection, [plan.target], step)
    connection.rollback()
    return empty


def analyze(cursor: Any, place: TargetName) -> None:
    """Let the planner know, in the caller's transaction, what the table holds now. Raises psycopg2.Error."""
    cursor.execute(f"ANALYZE {place.quoted}")


def set_identity(cursor: Any, plan: LoadPlan, totals: Totals, *, afresh: bool) -> None:
    """Let the identity's sequence go on after the furthest of what was loaded and the source's own count.

    In the caller's transaction. An empty table whose source never counted past its seed starts at the
    seed. Where earlier rows were kept (not `afresh`), the sequence's own position counts too.
    """
    if plan.identity is None:
        return
    identity = plan.sources[plan.identity].identity
    assert identity is not None
    name = plan.columns[plan.identity].name
    # Quoted names inside values: the function takes its first argument as SQL spells a table.
    column = (plan.target.quoted, name)
    known = [value for value in (identity.last_value, totals.identity_low, totals.identity_high) if value is not None]
    if not afresh:
        cursor.execute("SELECT pg_sequence_last_value(pg_get_serial_sequence(%s, %s)::regclass)", column)
        known += [value for (value,) in cursor.fetchall() if value is not None]
    is_untouched = all(value == identity.seed for value in known) and totals.rows == 0
    furthest = (max if identity.increment > 0 else min)(known, default=identity.seed)
    # Does nothing where the column has no sequence.
    cursor.execute(
        "SELECT setval(pg_get_serial_sequence(%s, %s)::regclass, %s, %s)", (*column, furthest, not is_untouched)
    )


class CopyStream:
    """The file that psycopg2 reads the COPY stream from: each batch encoded whole, handed over uncopied."""

    def __init__(self, plan: LoadPlan, batches: Iterable[Part], on_rows: Callable[[int], None]) -> None:
        self._plan = plan
        self._columns = plan.columns
        self._identity = plan.identity
        self._on_rows = on_rows
        self._pieces = self._encode(batches)
        self.rows = 0
        self.identity_low: int | None = None
        self.identity_high: int | None = None
        self.failure: BaseException | None = None

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002  (psycopg2 accepts pieces of any size)
        try:
            # The encoder keeps small batches back; an empty piece would mean the end to psycopg2.
            return next((piece for piece in self._pieces if piece), b"")
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
                _on_its_way(batch.column(i), column, field.type)
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
        for place, column in enumerate(self._columns):
            # Numbers of a scale that the catalog did not promise, and a column that takes any.
            if first is not None and column.family == "decimal" and column.modifier < 0:
                kinds[place] = first.schema.field(place).type
        return pa.schema([(f"c{place}", kind) for place, kind in enumerate(kinds)])

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
    ("vector", "_float4"): wire.to_real_array,
    ("vector", "vector"): wire.to_vector,
}


def _encode_long_row(plan: LoadPlan, row: LongRow, short: pa.RecordBatch) -> Iterator[bytes]:
    """A row of the COPY stream, its long values a piece at a time. `short` is the rest of it, ready to be encoded.

    PostgreSQL, "COPY", binary format: a row is the number of its fields in two bytes, then each field behind
    its length in four, -1 for NULL. Raises ValueRefusedError for a row that no PostgreSQL can hold.
    """
    longs = {place: _long_field(value, plan.columns[place]) for place, value in row.values.items()}
    total = sum(size for size, _ in longs.values()) + short.nbytes
    if total > LARGEST_ROW:
        place, (size, _) = max(longs.items(), key=lambda item: item[1][0])
        name = plan.columns[place].name
        raise ValueRefusedError(
            f"column {name}: a value of {size:,} bytes in a row of {total:,}{_whose(plan, short)}; PostgreSQL holds "
            f"rows up to {LARGEST_ROW:,} bytes",
            name,
        )
    encoded = _encoded_row(short)
    start = 2
    yield encoded[:start]
    for place in range(len(plan.columns)):
        (length,) = struct.unpack_from(">i", encoded, start)
        end = start + 4 + max(length, 0)
        if place in longs:
            size, pieces = longs[place]
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
    parts = [f"{plan.columns[place].name} {short.column(place)[0].as_py()}" for place in plan.key]
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
    field = pa.RecordBatch.from_arrays([_on_its_way(pa.array([whole], kind), column)], ["field"])
    # Behind the number of fields and the length.
    content = _encoded_row(field)[6:]
    return len(content), iter((content,))


def _on_its_way(values: pa.Array, column: LoadColumn, kind: pa.DataType | None = None) -> pa.Array:
    """The same as `_to_wire`, where whatever is wrong with a column's values is told with its name."""
    try:
        return _to_wire(values, column, kind)
    except (pa.ArrowException, ValueError, IndexError, TypeError, ArithmeticError, struct.error) as error:
        raise TargetError(
            f"column {column.name}: a value that the source sent as {values.type} cannot be brought into the target's "
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
                f"column {column.name}: the source sent what is no {column.family} value: {error}"
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
            f"column {column.name}: a value that the source sent as {values.type} does not fit {kind}, which its "
            f"catalog promises and the target's {column.base_type} was made for: {error}. Widen the target's column "
            f"(to numeric without precision, say), then use --resume",
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


def roll_back(connection: Any) -> None:
    """Roll back, or close a connection that cannot."""
    if not connection.closed:
        try:
            connection.rollback()
        except psycopg2.Error:
            connection.close()


def target_error(error: psycopg2.Error) -> TargetError:
    """A TargetError with the server's words and what to do next."""
    words = target_words(error)
    if isinstance(error, locks.LockNotHadError):
        words = f"{words}. End it, then use --resume"
    # Others that were waited for so long will not go away in a moment.
    is_temporary = is_temporary_target_error(error) and not isinstance(error, locks.LockNotHadError)
    return TargetError(words, is_temporary)
