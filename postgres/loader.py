"""Rows into a table by binary COPY, in one transaction with what is recorded about them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import psycopg2

from db import is_temporary_target_error, target_words
from model.changes import Changes
from model.errors import TargetError
from model.long_rows import Part
from postgres import locks
from postgres.checkpoints import Totals
from postgres.copy_stream import CopyStream
from postgres.load_plan import LoadPlan
from postgres.names import TargetName, quote
from postgres.storable_text import without_nuls


def _nothing(*_: object) -> None:
    """For callers who need not be told."""


@dataclass(frozen=True)
class LoadTransaction:
    """What one transaction does beside bringing rows into a table.

    With `empties_first` the table is emptied in it, so readers see the old rows or all of the new ones; `patience` is
    how many seconds that waits for others, and `tell` is told of them. `begin` is called with the cursor before the
    first row, `finish` before the commit, with what was brought. `on_rows` is told the rows sent so far, which are not
    committed yet.
    """

    plan: LoadPlan
    finish: Callable[[Any, Totals], None]
    begin: Callable[[Any], None] = _nothing
    on_rows: Callable[[int], None] = _nothing
    empties_first: bool = False
    patience: float = locks.PATIENCE_S
    tell: Callable[[str], None] = _nothing


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
        return Totals(stream.rows, stream.identity_low, stream.identity_high, changes.counts, sent=stream.sent)


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
            truncate(connection, work.plan, work.patience, lambda: work.on_rows(0), work.tell)
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


def truncate(
    connection: Any,
    plan: LoadPlan,
    patience: float = locks.PATIENCE_S,
    on_wait: Callable[[], None] = _nothing,
    tell: Callable[[str], None] = _nothing,
) -> None:
    """Empty a table at the beginning of a transaction, which stays open; waits for others in short attempts.

    Tables that inherit from it are not ours, and keep their rows. Raises psycopg2.Error.
    """
    statement = f"TRUNCATE TABLE {plan.rows}"
    locks.execute_patiently(connection, [plan.target], statement, patience, on_wait, tell)


def is_empty(connection: Any, plan: LoadPlan, tell: Callable[[str], None] = _nothing) -> bool:
    """Whether the target table holds no row of its own; waits for others for a bounded time. Raises psycopg2.Error."""

    def step(cursor: Any) -> bool:
        cursor.execute(f"SELECT NOT EXISTS (SELECT FROM {plan.rows})")
        return bool(cursor.fetchone()[0])

    empty = locks.patiently(connection, [plan.target], step, tell=tell)
    connection.rollback()
    return empty


def analyze(cursor: Any, table: TargetName) -> None:
    """Let the planner know, in the caller's transaction, what the table holds now. Raises psycopg2.Error."""
    cursor.execute(f"ANALYZE {table.quoted}")


def analyze_patiently(
    connection: Any,
    table: TargetName,
    patience: float = locks.PATIENCE_S,
    on_wait: Callable[[], None] = _nothing,
    tell: Callable[[str], None] = _nothing,
) -> None:
    """The same in a transaction of its own; waits for others in short attempts. Raises psycopg2.Error."""
    locks.execute_patiently(connection, [table], f"ANALYZE {table.quoted}", patience, on_wait, tell)
    connection.commit()


def set_identity(cursor: Any, plan: LoadPlan, totals: Totals, *, afresh: bool) -> None:
    """Let the identity's sequence go on after the furthest of what was loaded and the source's own count.

    In the caller's transaction. An empty table whose source never handed out a value starts at the seed. Where
    earlier rows were kept (not `afresh`), the sequence's own position counts too.
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
    furthest = (max if identity.increment > 0 else min)(known, default=identity.seed)
    # Does nothing where the column has no sequence.
    cursor.execute("SELECT setval(pg_get_serial_sequence(%s, %s)::regclass, %s, %s)", (*column, furthest, bool(known)))


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
    # Others that were waited for so long will not go away soon.
    is_temporary = is_temporary_target_error(error) and not isinstance(error, locks.LockNotHadError)
    return TargetError(words, is_temporary)
