"""Who is in the way of this tool's sessions in PostgreSQL, as they wait now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from model.visible import on_one_line

#: how the names begin by which PostgreSQL knows sessions of this tool; those on a cluster say which worker behind it
APPLICATION = "mssql-to-postgres"

BLOCKED = """
SELECT a.pid, left(regexp_replace(a.query, '\\s+', ' ', 'g'), 60),
       b.pid, coalesce(b.usename, ''), coalesce(nullif(b.application_name, ''), b.backend_type, ''),
       left(regexp_replace(coalesce(b.query, ''), '\\s+', ' ', 'g'), 80)
FROM pg_stat_activity AS a
CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS p (pid)
JOIN pg_stat_activity AS b ON b.pid = p.pid
WHERE starts_with(a.application_name, %s) AND a.datname = current_database()
  AND NOT starts_with(b.application_name, %s)
ORDER BY a.pid, b.pid
"""


@dataclass(frozen=True)
class Blocked:
    """A session of ours that waits, and the one that it waits for."""

    pid: int
    query: str
    blocker: int
    user: str
    application: str
    blocking_query: str

    def __str__(self) -> str:
        who = ", ".join(part for part in (f"user {self.user}" if self.user else "", self.application) if part)
        query = f": {on_one_line(self.blocking_query)}" if self.blocking_query else ""
        return f"pid {self.blocker} ({who}) blocks {on_one_line(self.query)}{query}"


def blocked(connection: Any) -> list[Blocked]:
    """What waits for others now. Raises psycopg2.Error; ends the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(BLOCKED, (APPLICATION, APPLICATION))
        found = [Blocked(*row) for row in cursor.fetchall()]
    connection.rollback()
    return found


AT_WORK = """
SELECT a.pid, split_part(a.application_name, ' ', 3), coalesce(a.state, ''),
       left(regexp_replace(coalesce(a.query, ''), '\\s+', ' ', 'g'), 80),
       coalesce(a.wait_event_type, ''), coalesce(a.wait_event, ''),
       (SELECT string_agg(format('pid %%s (%%s, user %%s): %%s', b.pid, coalesce(b.application_name, ''), b.usename,
                                 left(regexp_replace(coalesce(b.query, ''), '\\s+', ' ', 'g'), 80)), '; ')
        FROM pg_stat_activity AS b WHERE b.pid = ANY (pg_blocking_pids(a.pid)))
FROM pg_stat_activity AS a
WHERE starts_with(a.application_name, %s) AND a.datname = current_database()
  AND a.pid <> pg_backend_pid() AND a.state <> 'idle'
ORDER BY a.pid
"""


@dataclass(frozen=True)
class AtWork:
    """A session of ours: what it does, and whom it waits for, in words; None where it waits for nobody.

    `worker` is the address of the cluster's worker that it belongs to; None on the run's own machine.
    """

    pid: int
    does: str
    waits_for: str | None
    worker: str | None = None


def at_work(connection: Any) -> list[AtWork]:
    """Sessions of this tool that do something now. Raises psycopg2.Error; ends the transaction."""
    with connection.cursor() as cursor:
        cursor.execute(AT_WORK, (APPLICATION,))
        rows = cursor.fetchall()
    connection.rollback()
    found = []
    for pid, worker, state, query, kind, event, blockers in rows:
        # Between two statements of a transaction it waits for us.
        waits = f", {kind} {event}" if kind and state == "active" else ""
        found.append(AtWork(pid, f"{state}{waits}: {query}", blockers, worker or None))
    return found
