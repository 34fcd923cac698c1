"""Source and target compared: rows counted, every value summed up, and where they differ, told in keys.

Both sides are read as Arrow batches in native code, by other ways than the load writes them, brought to one
form (`forms`) and hashed into sums that do not depend on the order of rows (`checksums`). So parts of a
table can be read by several workers, each side in parts of its own: chunks by key on the source, ranges of
blocks on the target. What was read of the source has to match what the server counts itself.

Where the sums differ, the parts of the table whose sums differ are read again, and their rows compared one
by one. Memory is bounded whatever the size of a table: sums of BUCKETS parts, one batch a worker, and in the
second reading at most BYTES_LOOKED_AT a side.
"""

from __future__ import annotations

import queue
import random
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from typing import Any, Literal, TypeVar

import numpy as np
import numpy.typing as npt
import psycopg2
import pyarrow as pa
import pyodbc

from cli.display.plain import Bars, closing_block
from cli.session import Run, unexpected
from db import Settings, connect_source, connect_target, target_words
from model.catalog import WHOLE_TABLE, Chunk, Column, Table
from model.errors import (
    ALL_DONE,
    SOME_FAILED,
    CancelledError,
    CatalogError,
    PlanningError,
    SourceError,
    TableError,
    TargetError,
    UnfitTargetError,
    UnreachableError,
)
from model.exact_numbers import EXACT, has_total, total
from model.long_rows import LongRow
from mssql import chunk_planning as source_chunks
from mssql import figures, reader
from mssql.figures import Figures
from postgres import reader as target_reader
from postgres.introspection import TargetColumn, TargetTable, read_tables, target_schemas
from postgres.names import TargetName, fold, target_name
from postgres.reader import BlockRange, Wanted
from type_mapping import read_type
from verification.checksums import BUCKETS, RowHasher, Salt, Sums, byte_size, text_units, utf16_units
from verification.comparable_values import LONGEST_WHOLE, Form, form_of
from verification.row_differences import Difference, Found, bytes_a_row, collect, find_differences, together

Mode = Literal["values", "counts"]
T = TypeVar("T")

#: bytes of differing parts that are held of each side while they are compared row by row
BYTES_LOOKED_AT = 64 * 1024 * 1024
LONGEST_WAIT_S = 30.0
EXPECTED = (SourceError, PlanningError, TargetError, UnreachableError)


# -- what is compared --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Pair:
    """A table on both sides: its columns on each, and the form in which their values meet.

    `keys` are the places of the columns that tell its rows apart; none, where nothing does. `seed` is what
    the verification's hashes hang on.
    """

    table: Table
    target: TargetTable
    there: tuple[TargetColumn, ...]
    forms: tuple[Form, ...]
    keys: tuple[int, ...]
    seed: bytes

    @property
    def columns(self) -> tuple[Column, ...]:
        """The source's columns."""
        return self.table.columns

    @property
    def hasher(self) -> RowHasher:
        """What hashes rows of either side."""
        return RowHasher(Salt(self.seed, len(self.columns)), self.keys)


def pair_up(table: Table, target: TargetTable, settings: Settings, seed: bytes) -> Pair:
    """Pair a table's columns with the target's.

    Raises UnfitTargetError where a column is missing there, or its values cannot be compared.
    """
    there: list[TargetColumn] = []
    forms: list[Form] = []
    for column in table.columns:
        found = target.column(fold(column.name, settings))
        if found is None:
            raise UnfitTargetError(f"column {column.name} is missing in the target table {target.name}")
        there.append(found)
        forms.append(form_of(column, found.base_type, settings.nul_policy))
    return Pair(table, target, tuple(there), tuple(forms), _key_places(table), seed)


def _key_places(table: Table) -> tuple[int, ...]:
    """The columns of the primary key, else of a unique key without NULLs."""
    places = {column.name: place for place, column in enumerate(table.columns)}
    candidates = [key.columns_used for key in (table.primary_key, *table.unique) if key and not key.is_disabled]
    candidates += [
        tuple(column.name for column in index.columns)
        for index in table.indexes
        if index.is_unique and index.filter is None and not index.is_disabled
    ]
    for number, names in enumerate(candidates):
        if all(name in places for name in names) and (
            (number == 0 and table.primary_key) or not any(table.columns[places[name]].is_nullable for name in names)
        ):
            return tuple(places[name] for name in names)
    return ()


# -- what a worker does ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Connector:
    """How a kind of connection is opened and closed."""

    open: Callable[[Settings], Any]
    close: Callable[[Any], None]


def _let_go(_connection: object) -> None:
    """An arrow-odbc connection closes when nothing refers to it."""


def _close(connection: Any) -> None:
    with suppress(pyodbc.Error):
        connection.close()


#: rows of the source, the source's own figures, rows of the target
SOURCE = Connector(reader.connect, _let_go)
SOURCE_FIGURES = Connector(connect_source, _close)
TARGET = Connector(target_reader.connect, target_reader.disconnect)


class Watch:
    """What workers share with the thread that watches them: connections, rows under way, the wish to stop."""

    def __init__(self) -> None:
        self._idle: dict[Connector, queue.SimpleQueue[Any]] = {
            connector: queue.SimpleQueue() for connector in (SOURCE, SOURCE_FIGURES, TARGET)
        }
        self.stopping = threading.Event()
        self.rows: dict[str, int] = {}

    @contextmanager
    def connection(self, connector: Connector, settings: Settings) -> Iterator[Any]:
        """A connection of a kind, which is used again unless the work with it failed. Raises UnreachableError."""
        try:
            found = self._idle[connector].get_nowait()
        except queue.Empty:
            found = connector.open(settings)
        try:
            yield found
        except BaseException:
            connector.close(found)
            raise
        self._idle[connector].put(found)

    def note(self, table: Table, rows: int) -> None:
        """So many more rows of a table were read. Raises CancelledError when the run is stopping."""
        if self.stopping.is_set():
            raise CancelledError
        self.rows[table.key] = self.rows.get(table.key, 0) + rows

    def close(self) -> None:
        """Close the connections that nobody uses."""
        for connector, idle in self._idle.items():
            while not idle.empty():
                connector.close(idle.get())


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


def plan_source(settings: Settings, pair: Pair, watch: Watch) -> tuple[Chunk, ...]:
    """The parts in which the source's rows are read. Raises PlanningError, UnreachableError."""
    with watch.connection(SOURCE, settings) as source:
        return source_chunks.plan_chunks(source, pair.table, settings.chunk_rows, lambda: watch.note(pair.table, 0))


def count_part(settings: Settings, pair: Pair, watch: Watch, part: Range) -> Sums:
    """The number of rows of a whole side, as its server counts them.

    Raises SourceError, TargetError, UnreachableError.
    """
    sums = Sums.empty(0)
    if isinstance(part, Chunk):
        with watch.connection(SOURCE_FIGURES, settings) as source:
            sums.rows = figures.count_rows(source, pair.table)
    else:
        with watch.connection(TARGET, settings) as target:
            sums.rows = target_reader.count_rows(target, pair.target)
    return sums


def sum_part(settings: Settings, pair: Pair, watch: Watch, part: Range) -> Sums:
    """The sums of a part; those of the source are held against the server's own figures.

    Raises SourceError, TargetError, UnreachableError.
    """
    sums, hasher = Sums.empty(len(pair.columns)), pair.hasher
    sizes = np.zeros((len(pair.columns), 2), np.int64)
    totals = [Decimal(0)] * len(pair.columns)
    kinds = [read_type(column) for column in pair.columns]
    for piece in _pieces(settings, pair, watch, part):
        hasher.add_up(piece.columns, sums)
        sizes += piece.sizes
        for place, values in enumerate(piece.read):
            kinds[place] = values.type
            if has_total(values.type):
                totals[place] = EXACT.add(totals[place], total(values))
        watch.note(pair.table, len(piece.columns[0]) if isinstance(part, Chunk) else 0)
    if isinstance(part, Chunk):
        with watch.connection(SOURCE_FIGURES, settings) as source:
            counted = figures.count_values(source, pair.table, pair.columns, part, kinds)
        _hold_against(pair, sums, sizes, totals, counted)
    return sums


def look_at_part(
    settings: Settings, pair: Pair, watch: Watch, part: Range, *, is_wanted: npt.NDArray[np.bool_], most: int
) -> Found | None:
    """The rows of a part that lie in wanted parts of the table by their key's hash, up to `most` different ones.

    Raises SourceError, TargetError, UnreachableError.
    """
    hasher, found = pair.hasher, None
    for piece in _pieces(settings, pair, watch, part):
        more = collect(hasher, piece.columns, is_wanted, most)
        found = together([one for one in (found, more) if one is not None], most)
        watch.note(pair.table, 0)
    return found


def _pieces(settings: Settings, pair: Pair, watch: Watch, part: Range) -> Iterator[Piece]:
    if isinstance(part, Chunk):
        with watch.connection(SOURCE, settings) as source:
            for rows in reader.read_batches(source, settings, pair.table, pair.columns, part):
                yield _of_source(pair, rows)
    else:
        wanted = [
            Wanted(column, LONGEST_WHOLE if form.cleans else None)
            for column, form in zip(pair.there, pair.forms, strict=True)
        ]
        with watch.connection(TARGET, settings) as target:
            for batch in target_reader.read_batches(target, pair.target, wanted, part):
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
        for place, value in rows.values.items():
            column, kind = pair.columns[place], batch.columns[place].type
            arrays[place] = _in_form(column, SourceError, kind, partial(pair.forms[place].of_long, value, column))
            sizes[place] = sum(utf16_units(np.frombuffer(piece, np.uint8)) for piece in value.pieces()), value.size
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
    for place, column in enumerate(pair.columns):
        where = f"column {column.name}: "
        values = sums.rows - int(sums.nulls[place])
        _refuse_unlike(where, f"{values:,} values were read", values, counted.values[place])
        wanted = counted.sizes[place]
        if wanted is not None:
            in_units = pa.types.is_string(read_type(column)) and not counted.counts_utf8
            size = int(sizes[place, 0 if in_units else 1])
            _refuse_unlike(where, f"{size:,} {'UTF-16 units' if in_units else 'bytes'} were read", size, wanted)
        expected = counted.totals[place]
        if expected is not None:
            what = "days" if pa.types.is_temporal(read_type(column)) else "values"
            words = f"{what} that add up to {totals[place]:,f} were read"
            _refuse_unlike(where, words, totals[place], expected)


def _refuse_unlike(where: str, words: str, read: int | Decimal, counted: int | Decimal) -> None:
    if read != counted:
        raise SourceError(
            f"{where}{words} where the source itself counts {Decimal(counted):,f}: the driver reads them wrongly, a "
            f"bit was flipped on the way, or rows changed meanwhile",
            is_temporary=True,
        )


def with_retries(once: Callable[[], T], settings: Settings, watch: Watch, remark: Callable[[str], None]) -> T:
    """Try until it works, fails for good, or the attempts are used up; waits double, with jitter."""
    for attempt in range(1, settings.retry_attempts + 1):
        if watch.stopping.is_set():
            raise CancelledError
        try:
            return once()
        except EXPECTED as error:
            is_temporary = isinstance(error, UnreachableError) or error.is_temporary
            if not is_temporary or attempt == settings.retry_attempts or watch.stopping.is_set():
                raise
            pause = min(LONGEST_WAIT_S, settings.retry_seconds * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)
            again = f"attempt {attempt + 1} of {settings.retry_attempts} in {pause:.1f} s"
            remark(f"🔁 {settings.secrets.hide(str(error))}; {again}")
            watch.stopping.wait(pause)
    raise AssertionError("the last attempt returns")


# -- what was found ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Comparison:
    """What the two sides of a table hold.

    `columns` are those that differ, taken as a whole. `problem` says why the sides could not be compared.
    `is_partly_known` is set where more rows differ than were looked at.
    """

    table: Table
    source: int | None = None
    target: int | None = None
    is_equal: bool = False
    columns: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    is_partly_known: bool = False
    problem: str | None = None

    def describe(self) -> str:
        """Some lines for a person."""
        name = self.table.full_name
        if self.problem is not None or self.source is None or self.target is None:
            return f"❌ {name}: {self.problem}"
        if self.is_equal:
            return f"✅ {name}: {self.source:,} rows equal"
        if self.source != self.target:
            lines = [f"❌ {name}: {self.source:,} rows on the source, {self.target:,} on the target"]
        else:
            lines = [f"❌ {name}: {self.source:,} rows on both sides, but not the same values"]
        if self.columns and self.source == self.target:
            lines.append(f"   columns that differ: {', '.join(self.columns)}")
        for difference in self.differences:
            lines += difference.lines()
        if self.is_partly_known:
            lines.append("   more rows differ than were looked at one by one; the lists are not complete")
        return "\n".join(lines)


def run(this_run: Run, mode: Mode, workers: int) -> int:
    """Compare all tables of a run and say what was found; returns the exit code.

    Raises UnreachableError.
    """
    started = time.monotonic()
    display = this_run.display
    equal = total = rows = 0
    with display.bars() as bars:
        for comparison in compare(this_run.tables, this_run.settings, mode, workers, bars, display.say):
            display.say(comparison.describe())
            total += 1
            equal += comparison.is_equal
            rows += comparison.source or 0
    display.say(
        "\n"
        + closing_block(
            "Verification Summary",
            [
                ("Total tables", str(total)),
                ("Equal", str(equal)),
                ("Different", str(total - equal)),
                ("Rows compared" if mode == "values" else "Rows counted", f"{rows:,}"),
                ("Duration", f"{time.monotonic() - started:.2f} seconds"),
            ],
        )
    )
    return ALL_DONE if equal == total else SOME_FAILED


def compare(
    tables: Sequence[Table],
    settings: Settings,
    mode: Mode,
    workers: int,
    bars: Bars,
    say: Callable[[str], None] = lambda _: None,
) -> Iterator[Comparison]:
    """Compare tables by several workers; results come in the tables' order. `say` is told of attempts that failed.

    Raises UnreachableError when a side cannot be reached.
    """
    existing, ranges = _read_target(tables, settings)
    comparing = _Comparing(settings, mode, workers, bars, say, existing, ranges)
    yield from comparing.results(tables)


def _read_target(
    tables: Sequence[Table], settings: Settings
) -> tuple[dict[TargetName, TargetTable], dict[TargetName, tuple[BlockRange, ...]]]:
    with closing(connect_target(settings)) as target:
        try:
            existing = read_tables(target, target_schemas(tables, settings))
            wanted = [target_name(table, settings) for table in tables]
            return existing, target_reader.block_ranges(target, [place for place in wanted if place in existing])
        except psycopg2.Error as error:
            raise CatalogError(f"the target's catalog cannot be read: {target_words(error)}") from None


@dataclass
class _Case:
    """Where one table's comparison stands: the tasks that are not over, and what the others brought."""

    pair: Pair
    target_parts: tuple[BlockRange, ...]
    source_parts: tuple[Chunk, ...] = ()
    open_tasks: int = 0
    source: Sums | None = None
    target: Sums | None = None
    found_here: list[Found] = field(default_factory=list)
    found_there: list[Found] = field(default_factory=list)
    most: int = 0
    leaves_parts_out: bool = False
    is_second: bool = False
    result: Comparison | None = None


Handler = Callable[[_Case, Any], None]


class _Comparing:
    """Hands parts of tables to workers and puts together what they find, in the thread that asks for results."""

    def __init__(
        self,
        settings: Settings,
        mode: Mode,
        workers: int,
        bars: Bars,
        say: Callable[[str], None],
        existing: dict[TargetName, TargetTable],
        ranges: dict[TargetName, tuple[BlockRange, ...]],
    ) -> None:
        self._settings = settings
        self._mode = mode
        self._workers = workers
        self._bars = bars
        self._say = say
        self._existing = existing
        self._ranges = ranges
        self._seed = secrets.token_bytes(16)
        self._watch = Watch()
        self._remarks: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._ready: deque[tuple[_Case, Callable[[], object], Handler]] = deque()
        self._running: dict[Future[object], tuple[_Case, Handler]] = {}

    def results(self, tables: Sequence[Table]) -> Iterator[Comparison]:
        """A comparison for each table, in order."""
        waiting = deque(tables)
        begun: deque[_Case | Comparison] = deque()
        executor = ThreadPoolExecutor(self._workers, thread_name_prefix="verify")
        try:
            while waiting or begun:
                while len(self._running) < self._workers and (self._ready or waiting):
                    if self._ready:
                        case, action, handle = self._ready.popleft()
                        if case.result is None:
                            self._running[executor.submit(action)] = case, handle
                    else:
                        begun.append(self._begin(waiting.popleft()))
                self._take_results()
                while begun:
                    first = begun[0] if isinstance(begun[0], Comparison) else begun[0].result
                    if first is None:
                        break
                    begun.popleft()
                    self._bars.end(first.table.key)
                    yield first
        finally:
            self._watch.stopping.set()
            executor.shutdown(wait=False, cancel_futures=True)
        self._watch.close()

    def _take_results(self) -> None:
        done, _ = wait(self._running, timeout=0.25, return_when=FIRST_COMPLETED)
        while not self._remarks.empty():
            self._say(self._remarks.get())
        for key, rows in list(self._watch.rows.items()):
            self._bars.rows(key, rows)
        for future in done:
            case, handle = self._running.pop(future)
            try:
                result = future.result()
            except UnreachableError:
                raise
            except Exception as error:
                side = error.side if isinstance(error, TableError) else None
                words = f"{side} cannot be read: {error}" if side else unexpected(error)
                self._end(case, Comparison(case.pair.table, problem=self._settings.secrets.hide(words)))
            else:
                if case.result is None:
                    handle(case, result)

    # -- one table ---------------------------------------------------------------------------------

    def _begin(self, table: Table) -> _Case | Comparison:
        place = target_name(table, self._settings)
        there = self._existing.get(place)
        if there is None:
            return Comparison(table, problem=f"{place} does not exist on the target")
        try:
            pair = pair_up(table, there, self._settings, self._seed)
        except UnfitTargetError as error:
            return Comparison(table, problem=str(error))
        self._bars.start(table.key, table.row_count)
        case = _Case(pair, self._ranges[place])
        if self._mode == "counts":
            for whole in (WHOLE_TABLE, BlockRange()):
                self._give(case, partial(count_part, self._settings, pair, self._watch, whole), self._summed(whole))
        else:
            self._give(case, partial(plan_source, self._settings, pair, self._watch), self._planned)
            for blocks in case.target_parts:
                self._give(case, partial(sum_part, self._settings, pair, self._watch, blocks), self._summed(blocks))
        return case

    def _give(self, case: _Case, action: Callable[[], object], handle: Handler) -> None:
        def remark(words: str) -> None:
            self._remarks.put(f"{case.pair.table.full_name}: {words}")

        case.open_tasks += 1
        self._ready.append((case, partial(with_retries, action, self._settings, self._watch, remark), handle))

    def _planned(self, case: _Case, result: tuple[Chunk, ...]) -> None:
        case.open_tasks -= 1
        case.source_parts = result
        for chunk in result:
            action = partial(sum_part, self._settings, case.pair, self._watch, chunk)
            self._give(case, action, self._summed(chunk))

    def _summed(self, part: Range) -> Handler:
        def handle(case: _Case, result: Sums) -> None:
            case.open_tasks -= 1
            side = "source" if isinstance(part, Chunk) else "target"
            known: Sums | None = getattr(case, side)
            if known is None:
                setattr(case, side, result)
            else:
                known.add(result)
            if not case.open_tasks:
                self._judge(case)

        return handle

    def _judge(self, case: _Case) -> None:
        assert case.source is not None and case.target is not None
        table, rows = case.pair.table, (case.source.rows, case.target.rows)
        if case.source.is_like(case.target):
            self._end(case, Comparison(table, *rows, is_equal=True))
        elif self._mode == "counts":
            self._end(case, Comparison(table, *rows))
        else:
            self._look_again(case, case.source, case.target)

    def _look_again(self, case: _Case, source: Sums, target: Sums) -> None:
        """Read both sides once more, and keep the rows of those parts that differ, as many as memory allows."""
        case.most = BYTES_LOOKED_AT // bytes_a_row(len(case.pair.columns))
        differing = source.differing_buckets(target)
        rows = np.maximum(source.bucket_rows[differing], target.bucket_rows[differing]).cumsum()
        chosen = differing[: max(1, int(np.searchsorted(rows, case.most, side="right")))]
        case.leaves_parts_out = len(chosen) < len(differing)
        is_wanted = np.zeros(BUCKETS, np.bool_)
        is_wanted[chosen] = True
        parts: tuple[Range, ...] = (*case.source_parts, *case.target_parts)
        for part in parts:
            action = partial(
                look_at_part, self._settings, case.pair, self._watch, part, is_wanted=is_wanted, most=case.most
            )
            self._give(case, action, self._looked_at(part))

    def _looked_at(self, part: Range) -> Handler:
        def handle(case: _Case, result: Found | None) -> None:
            case.open_tasks -= 1
            if result is not None:
                found = case.found_here if isinstance(part, Chunk) else case.found_there
                merged = together([*found, result], case.most)
                found[:] = [merged] if merged is not None else []
            if not case.open_tasks:
                self._explain(case)

        return handle

    def _explain(self, case: _Case) -> None:
        assert case.source is not None and case.target is not None
        names = [column.name for column in case.pair.columns]
        here, there = (found[0] if found else None for found in (case.found_here, case.found_there))
        differences = tuple(find_differences(names, case.pair.keys, here, there))
        if not differences:
            differences = (Difference("the second reading found no difference: rows change meanwhile", 0, ()),)
        is_cut = any(found.is_cut for found in (here, there) if found is not None)
        self._end(
            case,
            Comparison(
                case.pair.table,
                case.source.rows,
                case.target.rows,
                columns=tuple(names[place] for place in case.source.differing_columns(case.target)),
                differences=differences,
                is_partly_known=case.leaves_parts_out or is_cut,
            ),
        )

    def _end(self, case: _Case, result: Comparison) -> None:
        if case.result is None:
            case.result = result
