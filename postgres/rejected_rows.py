"""Rows that PostgreSQL refuses: found, written down in the target, and the others loaded all the same.

Each batch goes in behind a savepoint. One that is refused for what is in it is halved until the row
stands alone, and that row is recorded in `replication.reject`, in the transaction that brings the rows
around it: whatever is killed when, a row is either in its table or recorded, and never both.

Source: PostgreSQL, "PostgreSQL Error Codes".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg2

from db import target_words
from model.changes import Changes
from model.errors import LoadLostError, TargetError, ValueRefusedError
from model.long_rows import LongRow, Part
from postgres import loader
from postgres.checkpoints import Totals
from postgres.load_plan import LoadPlan
from postgres.loader import LoadTransaction
from postgres.names import TargetName
from postgres.recorded_rows import Row, write_row
from postgres.storable_text import without_nuls

#: rows that an iteration of `read` brings
ROWS_A_FETCH = 100
# Class 22 is about data; this code of it says that our own encoding is at fault.
_BAD_FORMAT = "22P04"
_TOO_LARGE = "54000"

CREATE = """
CREATE TABLE IF NOT EXISTS replication.reject (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    table_schema text NOT NULL,
    table_name text NOT NULL,
    chunk integer NOT NULL,
    key json,
    column_name text,
    sqlstate text NOT NULL,
    reason text NOT NULL,
    content json NOT NULL,
    rejected_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (table_schema, table_name) REFERENCES replication.load ON DELETE CASCADE
);
CREATE INDEX IF NOT EXISTS reject_table ON replication.reject (table_schema, table_name, id);
COMMENT ON TABLE replication.reject IS
    'Rows that PostgreSQL refused (--on-error reject), committed with those around them.';
"""

RECORD = """
INSERT INTO replication.reject (table_schema, table_name, chunk, key, column_name, sqlstate, reason, content)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
"""
COUNT = "SELECT count(*) FROM replication.reject WHERE table_schema = %s AND table_name = %s"
READ = """
SELECT id, chunk, key, content FROM replication.reject
WHERE table_schema = %s AND table_name = %s AND id > %s AND id <= %s ORDER BY id LIMIT %s
"""
LAST = "SELECT coalesce(max(id), 0) FROM replication.reject WHERE table_schema = %s AND table_name = %s"
FORGET = "DELETE FROM replication.reject WHERE id = ANY (%s)"
# As text, since the values are to be handed on as they were written.
LINES = """
SELECT key::text, column_name, reason, sqlstate, content::text, rejected_at::text
FROM replication.reject WHERE table_schema = %s AND table_name = %s ORDER BY id
"""
REASONS = """
SELECT column_name, sqlstate, count(*), min(reason) FROM replication.reject
WHERE table_schema = %s AND table_name = %s GROUP BY column_name, sqlstate ORDER BY count(*) DESC, 1, 2 LIMIT %s
"""
TABLES = "SELECT table_schema, table_name, count(*) FROM replication.reject GROUP BY 1, 2"


@dataclass(frozen=True)
class Recorded:
    """A rejected row as the target remembers it. `key` finds it on the source, where there is one."""

    id: int
    chunk: int
    key: Row | None
    row: Row


@dataclass
class Rejects:
    """Where a chunk's refused rows go. `key` names the columns that find a row on the source again.

    Raises TargetError, from `add`, for a row too many: a limit of `limit` rows a table, 0 for none.
    """

    plan: LoadPlan
    chunk: int
    limit: int
    key: Callable[[Row], Row | None]
    before: int = 0
    count: int = field(default=0, init=False)

    def add(self, cursor: Any, row: Row, column: str | None, code: str, reason: str) -> None:
        """Record one row in the caller's transaction."""
        self.count += 1
        if 0 < self.limit < self.before + self.count:
            raise TargetError(
                f"more than {self.limit:,} rows were rejected (REJECT_LIMIT), the last one for: {reason}. "
                f"Fix the cause, then load the table again"
            )
        key = self.key(row)
        written = [None if part is None else json.dumps(part, ensure_ascii=False) for part in (key, row)]
        whose = (self.plan.target.schema, self.plan.target.table, self.chunk)
        cursor.execute(RECORD, (*whose, written[0], column, code, reason, written[1]))


class CopyButRejected:
    """Rows go in, but those that PostgreSQL refuses for their data go to `rejects`; any other refusal is an error."""

    def __init__(self, rejects: Rejects) -> None:
        self._rejects = rejects

    def write(self, cursor: Any, work: LoadTransaction, batches: Iterable[Part], changes: Changes) -> Totals:
        """Write the rows batch by batch, each behind a savepoint; see `loader.Writer`."""
        self._rejects.before = count(cursor, work.plan.target)
        arrived = 0
        halving = _Halving(cursor, work.plan, self._rejects, lambda: work.on_rows(arrived))
        for batch in batches:
            halving.take(batch, without_nuls(work.plan, batch, changes, refuses=False))
            arrived += batch.num_rows
            work.on_rows(arrived)
        return Totals(halving.rows, halving.low, halving.high, changes.counts, self._rejects.count, sent=halving.sent)


class _Halving:
    """Takes batches into the table of an open transaction, and refused rows out of them."""

    def __init__(self, cursor: Any, plan: LoadPlan, rejects: Rejects, on_attempt: Callable[[], None]) -> None:
        self._cursor = cursor
        self._plan = plan
        self._rejects = rejects
        self._on_attempt = on_attempt
        self.rows = 0
        self.sent = 0
        self.low: int | None = None
        self.high: int | None = None

    def take(self, batch: Part, storable: Part) -> None:
        """Rows as they arrived, which is what is recorded of them, and as they can be stored."""
        ranges = [(0, batch.num_rows)] if batch.num_rows else []
        while ranges:
            start, rows = ranges.pop()
            refusal = self._try(storable if isinstance(storable, LongRow) else storable.slice(start, rows))
            self._on_attempt()
            if refusal is None:
                continue
            if rows > 1:
                half = rows // 2
                # The first half first: of two equal keys the earlier row stays.
                ranges += [(start + half, rows - half), (start, half)]
                continue
            column, code, reason = refusal
            self._rejects.add(self._cursor, write_row(batch, start, self._plan.sources), column, code, reason)

    def _try(self, part: Part) -> tuple[str | None, str, str] | None:
        """Copy the rows, or leave all as it was and return the column, code and words of the refusal."""
        self._cursor.execute("SAVEPOINT rows")
        try:
            stream = loader.copy_rows(self._cursor, self._plan, [part])
        except (psycopg2.Error, ValueRefusedError) as error:
            if not is_refusal(error):
                raise
            self._cursor.execute("ROLLBACK TO SAVEPOINT rows")
            self._cursor.execute("RELEASE SAVEPOINT rows")
            return _column_of(error), getattr(error, "pgcode", None) or "22000", _words(error)
        self._cursor.execute("RELEASE SAVEPOINT rows")
        self.rows += stream.rows
        self.sent += stream.sent
        edges = [edge for edge in (self.low, self.high, stream.identity_low, stream.identity_high) if edge is not None]
        self.low, self.high = min(edges, default=None), max(edges, default=None)
        return None


def is_refusal(error: BaseException) -> bool:
    """Whether PostgreSQL refused what stands in a row, rather than the load.

    Wrong data (class 22), violated constraints (class 23), and values too large for it (54000).
    """
    if isinstance(error, ValueRefusedError):
        return True
    code: str = getattr(error, "pgcode", None) or ""
    return (code[:2] in ("22", "23") and code != _BAD_FORMAT) or code == _TOO_LARGE


def _column_of(error: BaseException) -> str | None:
    """The column that the server names: as a field of its error, or where the COPY stood."""
    if isinstance(error, ValueRefusedError):
        return error.column
    diagnostics: Any = getattr(error, "diag", None)
    if diagnostics.column_name:
        return str(diagnostics.column_name)
    # Translated servers write other words around it, but all of them the line's number first.
    found = re.search(r"^COPY [^\n]*?\b1, \S+ ([^\n]+)$", diagnostics.context or "", re.MULTILINE)
    return found[1] if found else None


def _words(error: BaseException) -> str:
    diagnostics: Any = getattr(error, "diag", None)
    if diagnostics is None or not diagnostics.message_primary:
        return target_words(error)
    detail = f"; detail: {diagnostics.message_detail}" if diagnostics.message_detail else ""
    return f"{diagnostics.message_primary}{detail}"


# -- what is recorded ----------------------------------------------------------------------------


def count(cursor: Any, table: TargetName) -> int:
    """How many rejected rows of a table are recorded."""
    cursor.execute(COUNT, (table.schema, table.table))
    return int(cursor.fetchone()[0])


def count_all(connection: Any) -> dict[TargetName, int]:
    """The recorded rows of all tables that have any. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(TABLES)
        found = {TargetName(schema, table): int(rows) for schema, table, rows in cursor.fetchall()}
    connection.rollback()
    return found


def reasons(connection: Any, table: TargetName, most: int) -> list[tuple[str | None, str, int, str]]:
    """Why a table's recorded rows were rejected, the most frequent first: column, code, rows, the words of one of them.

    Raises psycopg2.Error.
    """
    with connection.cursor() as cursor:
        cursor.execute(REASONS, (table.schema, table.table, most))
        found = [(column, str(code), int(rows), str(words)) for column, code, rows, words in cursor.fetchall()]
    connection.rollback()
    return found


def last_id(connection: Any, table: TargetName) -> int:
    """The number of the table's newest rejected row, 0 where there is none. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(LAST, (table.schema, table.table))
        found = int(cursor.fetchone()[0])
    connection.rollback()
    return found


def read(connection: Any, table: TargetName, after: int, last: int) -> list[Recorded]:
    """The next few rejected rows of a table, in order, behind one and up to another. Raises psycopg2.Error."""
    with connection.cursor() as cursor:
        cursor.execute(READ, (table.schema, table.table, after, last, ROWS_A_FETCH))
        found = [Recorded(*row) for row in cursor.fetchall()]
    connection.rollback()
    return found


def forget(cursor: Any, rows: Sequence[Recorded]) -> None:
    """Take rows out of the record, in the caller's transaction. Raises LoadLostError where one is gone from it."""
    cursor.execute(FORGET, ([row.id for row in rows],))
    if cursor.rowcount != len(rows):
        raise LoadLostError(
            "rejected rows were loaded or removed by another run meanwhile; --retry-rejects tries again"
        )


def lines(connection: Any, table: TargetName, full_name: str) -> Iterator[str]:
    """The recorded rows of a table as lines of JSON. Raises psycopg2.Error."""
    with connection.cursor("rejects") as cursor:
        cursor.itersize = ROWS_A_FETCH
        cursor.execute(LINES, (table.schema, table.table))
        for key, column, reason, code, row, rejected_at in cursor:
            whose = f'"table": {json.dumps(full_name, ensure_ascii=False)}, "key": {key or "null"}'
            about = {"column": column, "reason": reason, "sqlstate": code, "rejected_at": rejected_at}
            told = json.dumps(about, ensure_ascii=False)[1:-1]
            yield f'{{{whose}, {told}, "row": {row}}}\n'
    connection.rollback()
