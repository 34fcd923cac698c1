"""Strong locks on tables that others read: waited for in short attempts, so that nobody queues behind us for long.

Whoever asks for a strong lock stands in front of all who come later. So each attempt waits for less than
`deadlock_timeout`, holding as little as it can: in a circle of waiting it is always we who give up, never a reader.
Source: PostgreSQL, "Explicit Locking" and "Lock Management".
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import psycopg2

from postgres.names import TargetName

T = TypeVar("T")

Mode = Literal["ACCESS EXCLUSIVE", "SHARE ROW EXCLUSIVE"]

#: seconds for which a step is tried again before it is given up
PATIENCE_S = 300.0
#: milliseconds that one attempt waits for a lock, at most half of the server's `deadlock_timeout`
ATTEMPT_MS = 300
#: milliseconds beyond `deadlock_timeout` for which an attempt waits that stands behind a VACUUM: autovacuum
#: gives way to whoever has waited so long (PostgreSQL, "Routine Vacuuming")
BEHIND_VACUUM_MS = 500
#: seconds between two attempts, at least and at most
SHORTEST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 1.0
#: seconds after which it is told who is waited for, and again
TOLD_AFTER_S, TOLD_AGAIN_S = 10.0, 60.0
#: lock_not_available, deadlock_detected
NOT_HAD = ("55P03", "40P01")

ATTEMPT_TIMEOUT = f"""
SELECT set_config('lock_timeout', least({ATTEMPT_MS}, d / 2)::integer::text, true)
FROM (SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000 AS d) AS s
"""
TIMEOUT_BEHIND_VACUUM = f"""
SELECT set_config('lock_timeout', (d + {BEHIND_VACUUM_MS})::integer::text, true)
FROM (SELECT extract(epoch FROM current_setting('deadlock_timeout')::interval) * 1000 AS d) AS s
"""
NO_TIMEOUT = "SET LOCAL lock_timeout = 0"

HOLDERS = """
SELECT l.pid, l.mode, coalesce(nullif(a.application_name, ''), a.backend_type, ''), coalesce(a.usename, ''),
       coalesce(left(regexp_replace(a.query, '\\s+', ' ', 'g'), 80), '')
FROM pg_locks AS l
LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND l.relation IN (SELECT to_regclass(name)::oid FROM unnest(%s::text[]) AS wanted (name))
ORDER BY l.pid
"""


@dataclass(frozen=True)
class Holder:
    """Somebody who holds a lock on a table."""

    pid: int
    mode: str
    application: str
    user: str
    query: str

    def __str__(self) -> str:
        who = ", ".join(part for part in (self.application, f"user {self.user}" if self.user else "") if part)
        return f"pid {self.pid}" + (f" ({who})" if who else "") + (f": {self.query}" if self.query else "")


def holders(connection: Any, tables: Iterable[TargetName]) -> list[Holder]:
    """Who else holds a lock on these tables, in order of pid. Raises psycopg2.Error; ends the transaction."""
    with connection.cursor() as cursor:
        found = holders_beside(cursor, tables)
    connection.rollback()
    return found


def holders_beside(cursor: Any, tables: Iterable[TargetName]) -> list[Holder]:
    """The same in the caller's transaction, which goes on."""
    cursor.execute("SELECT pg_stat_clear_snapshot()")
    cursor.execute(HOLDERS, ([table.quoted for table in tables],))
    found = {pid: Holder(pid, *rest) for pid, *rest in cursor.fetchall()}
    return list(found.values())


def patiently(
    connection: Any,
    tables: Sequence[TargetName],
    step: Callable[[Any], T],
    patience: float = PATIENCE_S,
    on_wait: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda _: None,
) -> T:
    """Run `step` with a cursor at the beginning of a transaction, again and again until it has its locks.

    `tables` are those whose locks it takes, for telling who holds them. The transaction stays open behind it, without
    a lock timeout. `on_wait` is called before each further attempt; `tell` is given words about who is waited for,
    after `TOLD_AFTER_S` seconds, each `TOLD_AGAIN_S`, and when it is over. Raises psycopg2.Error: what is no matter of
    locks at once, the rest, with who holds the tables in its words, after `patience` seconds.
    """

    def attempt(cursor: Any, timeout: str) -> T:
        cursor.execute(timeout)
        result = step(cursor)
        cursor.execute(NO_TIMEOUT)
        return result

    return _until_locked(connection, tables, attempt, patience, Told(tables, on_wait, tell))


def execute_patiently(
    connection: Any,
    tables: Sequence[TargetName],
    statement: str,
    patience: float = PATIENCE_S,
    on_wait: Callable[[], None] = lambda: None,
    tell: Callable[[str], None] = lambda _: None,
) -> None:
    """Like `patiently`, for one statement without values: all in one message to the server."""

    def attempt(cursor: Any, timeout: str) -> None:
        cursor.execute(f"{timeout}; {statement}; {NO_TIMEOUT}")

    _until_locked(connection, tables, attempt, patience, Told(tables, on_wait, tell))


class Told:
    """Says whom a step waits for, not at once and not each time."""

    def __init__(self, tables: Sequence[TargetName], on_wait: Callable[[], None], tell: Callable[[str], None]) -> None:
        self._tables = ", ".join(map(str, tables))
        self._on_wait = on_wait
        self._tell = tell
        self._started = time.monotonic()
        self._due = self._started + TOLD_AFTER_S
        self._is_told = False

    def waits(self, others: Sequence[Holder]) -> None:
        """Another attempt follows."""
        self._on_wait()
        now = time.monotonic()
        if now >= self._due:
            self._due, self._is_told = now + TOLD_AGAIN_S, True
            who = "; ".join(map(str, others)) or "another connection"
            what = f"a lock on {self._tables}" if self._tables else "a lock"
            self._tell(f"⏳ waiting {now - self._started:.0f} s for {what}, held by {who}")

    def ends(self) -> None:
        """The locks were had."""
        if self._is_told:
            seconds = time.monotonic() - self._started
            self._tell(f"⏳ {self._tables or 'waiting is over'}: the lock was had after {seconds:.0f} s")


def _until_locked(
    connection: Any,
    tables: Sequence[TargetName],
    attempt: Callable[[Any, str], T],
    patience: float,
    told: Told,
) -> T:
    deadline = time.monotonic() + patience
    pause = SHORTEST_PAUSE_S
    timeout = ATTEMPT_TIMEOUT
    while True:
        try:
            with connection.cursor() as cursor:
                result = attempt(cursor, timeout)
            told.ends()
            return result
        except psycopg2.Error as error:
            if error.pgcode not in NOT_HAD or connection.closed:
                raise
            connection.rollback()
            others = holders(connection, tables)
            if time.monotonic() >= deadline:
                raise LockNotHadError(tables, patience, others, error) from None
        told.waits(others)
        is_vacuum = any(other.mode == "ShareUpdateExclusiveLock" for other in others)
        # With more than one table a lock may be held already while the next one is waited for.
        timeout = TIMEOUT_BEHIND_VACUUM if is_vacuum and len(tables) == 1 else ATTEMPT_TIMEOUT
        time.sleep(pause * random.uniform(0.5, 1.5))
        pause = min(LONGEST_PAUSE_S, pause * 2)


class LockNotHadError(psycopg2.OperationalError):
    """Others held a table for too long; the message says which, and who."""

    def __init__(
        self,
        tables: Sequence[TargetName],
        patience: float,
        others: Sequence[Holder],
        error: psycopg2.Error | str = "others who are gone",
    ) -> None:
        names = ", ".join(map(str, tables))
        who = "; ".join(map(str, others)) or str(error).strip()
        super().__init__(f"{names} could not be locked within {patience:.0f} s. Held by {who}")


def lock(cursor: Any, tables: Sequence[TargetName], mode: Mode, *, at_once: bool = False) -> None:
    """Lock tables in the caller's transaction, in the given order; `at_once`: or raise without waiting.

    Of a partitioned table the partitions follow with the statement that needs them.
    """
    if not tables:
        return
    names = ", ".join(f"ONLY {table.quoted}" for table in tables)
    cursor.execute(f"LOCK TABLE {names} IN {mode} MODE{' NOWAIT' if at_once else ''}")
