"""The strong locks of a switch: had in attempts so short that no reader waits for long, in an order without circles.

First the tables are taken from writers and from VACUUM, which no reader notices; only then from readers, all of them in
one statement that may take `READERS_WAIT_MS` altogether, and is given up rather than kept waiting. An attempt ends
before anybody looks for a deadlock, so it is never a reader that has to go. Source: PostgreSQL, "Explicit Locking",
"Lock Management" and "Client Connection Defaults" (statement_timeout).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import psycopg2

from postgres import locks
from postgres.names import TargetName, listed

T = TypeVar("T")

#: milliseconds that an attempt at all of the readers' tables takes at most; whoever reads meanwhile waits so long
READERS_WAIT_MS = 100
#: lock_not_available, deadlock_detected, query_canceled (by statement_timeout)
NOT_HAD = (*locks.NOT_HAD, "57014")


GIVE_BACK = "ROLLBACK TO SAVEPOINT before_locks; RELEASE SAVEPOINT before_locks"
# What an attempt would wait behind for long: VACUUM gives way to those who have waited for `deadlock_timeout`.
VACUUMED = """
SELECT w.position::integer
FROM unnest(%(schemas)s::text[], %(tables)s::text[]) WITH ORDINALITY AS w (table_schema, table_name, position)
JOIN pg_locks AS l ON l.relation = to_regclass(format('%%I.%%I', w.table_schema, w.table_name))::oid
WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_backend_pid() AND l.mode = 'ShareUpdateExclusiveLock'
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY 1 LIMIT 1
"""


@dataclass(frozen=True)
class Patience:
    """How many seconds a switch waits in all, from `since` on, and whom it tells of those it waits for.

    `on_wait` is called before each further attempt.
    """

    seconds: float
    tell: Callable[[str], None]
    on_wait: Callable[[], None]
    since: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds for which further attempts are made."""
        return max(0.0, self.since + self.seconds - time.monotonic())


def from_writers(connection: Any, tables: Sequence[TargetName], patience: Patience) -> None:
    """Let nobody but us write to the tables until the transaction ends, which begins here; readers go on.

    Raises psycopg2.Error: `locks.LockNotHadError` where others hold them for too long.
    """
    ordered = sorted(tables)

    def step(cursor: Any) -> None:
        # While nothing else is held, a long wait behind a VACUUM is in nobody's way who reads.
        cursor.execute(VACUUMED, listed(ordered))
        for (position,) in cursor.fetchall():
            cursor.execute(locks.TIMEOUT_BEHIND_VACUUM)
            locks.lock(cursor, [ordered[position - 1]], "SHARE ROW EXCLUSIVE")
            cursor.execute(locks.ATTEMPT_TIMEOUT)
        locks.lock(cursor, ordered, "SHARE ROW EXCLUSIVE")

    locks.patiently(connection, ordered, step, patience.left, patience.on_wait, patience.tell)


def beside_rows(cursor: Any, tables: Sequence[TargetName], patience: Patience, step: Callable[[Any], T]) -> T:
    """Run a step that changes rows of tables that were taken from writers, in the transaction that goes on.

    Others may have locked rows before (FOR UPDATE, or a row of their own that refers to it). Waiting for them is in no
    reader's way, but does not last longer than the patience. Raises psycopg2.Error: `locks.LockNotHadError` where they
    do not give them up.
    """
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", (str(max(1, round(patience.left * 1000))),))
    try:
        result = step(cursor)
    except psycopg2.Error as error:
        if error.pgcode not in locks.NOT_HAD or cursor.connection.closed:
            raise
        cursor.connection.rollback()
        others = [one for one in locks.holders_beside(cursor, tables) if one.mode != "AccessShareLock"]
        cursor.connection.rollback()
        raise locks.LockNotHadError(tables, patience.seconds, others) from None
    cursor.execute(locks.NO_TIMEOUT)
    return result


def from_readers(
    connection: Any,
    lock_statement: str,
    tables: Sequence[TargetName],
    patience: Patience,
    others_in_the_way: Callable[[Any], Sequence[locks.Holder]] = lambda _: (),
) -> None:
    """Take from everybody what a statement takes, until the transaction ends, which goes on.

    `tables` are those that holders are looked for on; `others_in_the_way` is asked, once the locks are had, for those
    who have to be waited for besides. Raises psycopg2.Error: `locks.LockNotHadError` where others hold them for too
    long.
    """
    told = locks.Told(tables, patience.on_wait, patience.tell)
    pause = locks.SHORTEST_PAUSE_S
    with connection.cursor() as cursor:
        while True:
            cursor.execute("SAVEPOINT before_locks")
            try:
                cursor.execute(
                    f"SET LOCAL statement_timeout = {READERS_WAIT_MS}; {lock_statement}; "
                    f"SET LOCAL statement_timeout = 0"
                )
                others = others_in_the_way(cursor)
                if not others:
                    told.ends()
                    return
                cursor.execute(GIVE_BACK)
            except psycopg2.Error as error:
                if error.pgcode not in NOT_HAD or connection.closed:
                    raise
                cursor.execute(GIVE_BACK)
                others = [*others_in_the_way(cursor), *locks.holders_beside(cursor, tables)]
            if not patience.left:
                raise locks.LockNotHadError(tables, patience.seconds, others)
            told.waits(others)
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(locks.LONGEST_PAUSE_S, pause * 2)
